#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"

/* Which logs logrotate turns, and how: /etc/logrotate.conf and the files of /etc/logrotate.d, as
 * logrotate(8) 3.21 reads them. */
struct logrotate_block {
    char *patterns; /* paths and globs, some in quotes; options that stand before them as well */
    char *body;     /* between the braces, without comments */
    char *file;
    uint32_t line; /* of its opening brace */
};
struct logrotate_conf {
    struct logrotate_block *items;
    size_t n, cap;
    struct strlist faults; /* files that could not be read */
};
void logrotate_conf_clear(struct logrotate_conf *c);
/* Files with a taboo ending (.dpkg-old, ~ …) are left out. None of them being there is fine.
 * ERR_SYS when the folder cannot be listed. */
struct err *logrotate_conf_read(struct ctx *ctx, struct logrotate_conf *ret) MUST_CHECK;
/* Appends one file's blocks; never fails. */
void logrotate_conf_parse(const char *text, size_t n, const char *file, struct logrotate_conf *c);
/* Does one of its patterns mean this file? */
bool logrotate_block_means(const struct logrotate_block *b, const char *path);
