#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"

/* /etc/fstab, fstab(5) of util-linux 2.38: what is mounted at the next boot. */
struct fstab_entry {
    uint32_t line;
    char *spec;    /* "/dev/ram0", "UUID=…", "tank/x"; escapes are decoded */
    char *target;  /* without slashes at its end; "none" or "swap" of a swap */
    char *type;    /* "xfs", "none", "auto" */
    char *options; /* "defaults" where the line has none */
};
struct fstab_fault { /* a line that mount and systemd skip or misread */
    uint32_t line;
    char *text;
};
struct fstab {
    struct fstab_entry *items;
    size_t n, cap;
    struct fstab_fault *faults;
    size_t n_faults, cap_faults;
};
void fstab_clear(struct fstab *f);
/* Never fails: what cannot be read is a fault with its line. */
void fstab_parse(const char *text, size_t n, struct fstab *ret);
/* ERR_NOTFOUND (no such file), ERR_BADINPUT (larger than 1 MiB), ERR_SYS. */
struct err *fstab_read(struct ctx *ctx, struct fstab *ret) MUST_CHECK;
/* The first entry for that mount point, as systemd's generator takes it at boot (it complains about
 * a second one). *ret_n (may be NULL): how many there are. */
const struct fstab_entry *fstab_at(const struct fstab *f, const char *target, size_t *ret_n);
/* Is the option there, plain or with a value? *ret_value (may be NULL): the text behind its first
 * "=", to be freed; NULL when it has none. */
bool fstab_option(const struct fstab_entry *e, const char *name, char **ret_value);
/* All values of an option that may be given more than once. */
void fstab_option_all(const struct fstab_entry *e, const char *name, struct strlist *ret);
/* The device that the entry means: UUID=, LABEL=, PARTUUID= and PARTLABEL= become their links below
 * /dev/disk, anything else stays as it is. To be freed. */
char *fstab_device(const struct fstab_entry *e);
