#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "config/config.h"
#include "host/fstab.h"

/* Our lines of /etc/fstab as text, and the lines of others that they take the place of. Pure. */
enum fstab_place { FSTAB_VOLUME, FSTAB_RAMDISK, FSTAB_BIND, FSTAB_PLACES };

struct fstab_facts {
    const char *volume;          /* name of its device at the next boot; NULL: none that holds */
    const char *ramdisk_options; /* of mount; NULL: nothing is mounted there */
    const char *formatter;       /* unit that formats the RAM disk; NULL: nothing is formatted */
    bool zfs;                    /* storage.kind_root is a dataset, or in one */
};
/* One line without its newline, to be freed; NULL: we have none for that place. */
char *fstab_line(const struct config *cfg, const struct fstab_facts *f, enum fstab_place p);

/* What a line of others has that ours would not have and that changes how it is mounted: options of
 * the file system, units that it waits for. *ret: for people; NULL: nothing. turned_off: services
 * that are taken over as well. To be freed. */
char *fstab_differs(const struct fstab_entry *theirs, const struct fstab_entry *ours,
                    const struct strlist *turned_off);

/* Begins a line of others that was taken over; the line follows as it was. */
#define FSTAB_ADOPTED "#agavectl-adopted# "
/* data with these lines (numbers from 1) taken over. */
void fstab_adopt(const char *data, size_t n, const uint32_t *lines, size_t n_lines,
                 struct strbuf *ret);
/* data with all that were taken over as they were before. */
void fstab_unadopt(const char *data, size_t n, struct strbuf *ret);
