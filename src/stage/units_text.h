#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "config/config.h"

/* What the stage units puts below /etc/systemd/system, as plain data: units, links that enable
 * them, drop-ins for those that must not start without the storage. */
#define UNITS_ETC     "/etc/systemd/system"
#define UNITS_RAMDISK "agavectl-ramdisk.service"
#define UNITS_BOOT    "agavectl-boot.service"
#define UNITS_SEEN    "agavectl-boot-seen"
#define UNITS_DROPIN  "50-agavectl.conf"
#define UNITS_YIELD   "50-agavectl-yield.conf"
/* Ends the name of a unit of others that was turned off: no ending that systemd reads. */
#define UNITS_ASIDE ".agavectl-aside"

struct units_facts {
    const char *program;   /* absolute path of agavectl */
    const char *config;    /* absolute path of its config; NULL: the defaults */
    bool docker, kubelet;  /* the host has these units, and they are shown the storage */
    const char *validator; /* the validator's own service, or NULL */
    const char *formatter; /* somebody else's unit that formats the RAM disk, or NULL */
};
struct units_file {
    char *path;
    char *text; /* of a file, without OWN_FILE_MARK; NULL: a link */
    char *link; /* what the link says */
    bool dropin;
};
struct units_files { /* in the order in which they are written; taken away the other way round */
    struct units_file *items;
    size_t n, cap;
};
void units_files_clear(struct units_files *f);
void units_files_make(const struct config *cfg, const struct units_facts *facts,
                      struct units_files *ret);
const struct units_file *units_files_find(const struct units_files *f, const char *path);

/* Paths that must be mount points before Docker, kubelet and the validator start. */
void units_mount_points(const struct config *cfg, struct strlist *ret);
/* "/srv/solana" → "srv-solana.mount"; to be freed. */
char *units_mount_unit(const char *path);
