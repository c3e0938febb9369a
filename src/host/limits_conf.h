#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"

/* Limits that a login gives: /etc/security/limits.conf and the files of limits.d behind it, as
 * pam_limits reads them (limits.conf(5) of Linux-PAM 1.5.2). Only hard limits of open files and
 * locked memory are kept. */
enum limits_item { LIMITS_NOFILE, LIMITS_MEMLOCK };
struct limits_line {
    char *domain; /* "sol", "@group", "*", "1000:2000", ":1000", "@:1000" */
    enum limits_item item;
    uint64_t hard; /* files, bytes; UINT64_MAX: unlimited */
    char *file;
    uint32_t line;
};
struct limits_conf {
    struct limits_line *items; /* in the order of reading */
    size_t n, cap;
    struct strlist faults; /* "file:line: what", or a file that could not be read */
};
void limits_conf_clear(struct limits_conf *c);
/* ERR_SYS when the folder cannot be listed; none of the files being there is fine. */
struct err *limits_conf_read(struct ctx *ctx, struct limits_conf *ret) MUST_CHECK;
/* Appends one file's lines. */
void limits_conf_parse(const char *text, size_t n, const char *file, struct limits_conf *c);

struct limits_user {
    const char *name; /* NULL: not known */
    uint64_t uid, gid;
    const struct strlist *groups; /* names; NULL: not known */
};
/* The line that counts: the user's own (by name or number) before a group's before "*"; the last
 * one among equals. "*", groups and ranges mean nobody with the number 0. NULL: nobody sets it. */
const struct limits_line *limits_conf_get(const struct limits_conf *c, const struct limits_user *u,
                                          enum limits_item item);
/* Would a line for this very user count over that one, wherever it stands? */
bool limits_line_is_weak(const struct limits_line *l);
