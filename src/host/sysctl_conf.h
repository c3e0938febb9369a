#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"

/* What sysctls the next boot sets: the files that systemd-sysctl reads, sysctl.d(5) of systemd 252.
 * /etc/sysctl.conf is one of them only where a link in sysctl.d leads to it (Debian and Ubuntu make
 * 99-sysctl.conf); sysctl --system of procps reads it always. */
struct sysctl_setting {
    char *key;   /* as a path below /proc/sys: "net/core/rmem_max"; may be a pattern */
    char *value; /* NULL: "-key", left alone by patterns */
    char *file;
    uint32_t line;
};
struct sysctl_conf {
    struct sysctl_setting *items; /* in the order of application */
    size_t n, cap;
    struct strlist faults; /* "file:line: what", or a file that could not be read */
};
void sysctl_conf_clear(struct sysctl_conf *c);
/* ERR_SYS when a folder cannot be listed; none of them being there is fine. */
struct err *sysctl_conf_read(struct ctx *ctx, struct sysctl_conf *ret) MUST_CHECK;
/* Appends one file's lines. */
void sysctl_conf_parse(const char *text, size_t n, const char *file, struct sysctl_conf *c);
/* The one that counts of "net/core/rmem_max": the last that names it, else the last pattern that
 * fits, unless it is left alone. NULL: nobody sets it. */
const struct sysctl_setting *sysctl_conf_get(const struct sysctl_conf *c, const char *key);
