#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"

/* systemd's unit files as they lie on the disk, with their drop-ins: what the manager would read at
 * the next boot. systemd.unit(5) and systemd.syntax(7) of systemd 252. Specifiers (%i, %t …) are
 * not expanded. */
struct unit_setting {
    char *section, *key, *value; /* continued lines joined by a blank */
    char *file;
    uint32_t line;
};
struct unit_file {
    char *name;   /* behind aliases: the real one */
    char *path;   /* its own file, or "" */
    bool masked;  /* a link to /dev/null, or an empty file: it cannot be started */
    bool dropins; /* at least one drop-in was read */
    struct unit_setting *items;
    size_t n, cap;
    struct strlist faults; /* "path:line: what", lines that systemd skips with a warning */
};
void unit_file_clear(struct unit_file *u);

/* The unit of that name ("docker.service") with everything that is merged into it. ERR_NOTFOUND: no
 * such unit in the search path. ERR_SYS, ERR_CORRUPT (aliases in a circle). */
struct err *unit_file_load(struct ctx *ctx, const char *name, struct unit_file *ret) MUST_CHECK;
/* Appends one file's settings; never fails: what cannot be read is a fault. */
void unit_file_parse(const char *text, size_t n, const char *path, struct unit_file *u);

/* The value that counts of a setting with one value: the last. "" when it was reset, NULL when it
 * is not set. Owned by u. */
const char *unit_file_get(const struct unit_file *u, const char *section, const char *key);
/* All values of a setting that may be given more than once; an empty one forgets those before it,
 * except of dependencies (Before=, Requires= …), which cannot be forgotten. */
void unit_file_all(const struct unit_file *u, const char *section, const char *key,
                   struct strlist *ret);
/* The same, split at blanks (quotes and backslashes as in systemd.syntax(7)). */
void unit_file_words(const struct unit_file *u, const char *section, const char *key,
                     struct strlist *ret);
bool unit_file_has_word(const struct unit_file *u, const char *section, const char *key,
                        const char *word);
/* true, yes, y, on, 1 and their opposites, as systemd reads them; def where it is not set or
 * neither. */
bool unit_file_bool(const struct unit_file *u, const char *section, const char *key, bool def);
/* Words of one value, as an ExecStart= is split. */
void unit_file_split(const char *value, struct strlist *ret);

/* Units that pull this one in by a link in their .wants or .requires folder, anywhere in the search
 * path: what "enabled" means. */
struct err *unit_file_wanted_by(struct ctx *ctx, const char *name, struct strlist *ret) MUST_CHECK;
/* Names of the services of the administrator and of this boot (/etc, /run, /usr/local), sorted;
 * those of packages are not listed. */
struct err *unit_files_local(struct ctx *ctx, struct strlist *ret) MUST_CHECK;
/* "/srv/solana/ramdisk" → "srv-solana-ramdisk": systemd-escape --path. To be freed. */
char *unit_path_escape(const char *path);
