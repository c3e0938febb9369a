#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"

/* What a block device is, whatever its name is today: names like /dev/sdb are given out anew at
 * every boot. From /sys, the links of /dev/disk/by-id and /dev/zvol, and udev's notes where there
 * are any; no device is opened. */
enum block_id_kind {
    BLOCK_ID_DISK,
    BLOCK_ID_PARTITION,
    BLOCK_ID_ZVOL,
    BLOCK_ID_BRD,
    BLOCK_ID_ZRAM,
    BLOCK_ID_LOOP,
    BLOCK_ID_MD,
    BLOCK_ID_DM,
    BLOCK_ID_OTHER, /* /sys does not know it */
};
struct block_id {
    enum block_id_kind kind;
    uint32_t major, minor;
    uint64_t size_b; /* 0: /sys does not say */
    /* It is told from all others by something of its own (serial number, UUID, dataset, file). Else
     * text has number and size alone. */
    bool sure;
    /* For people and to compare with: "disk 'S4EWNX0R', 3.5 TiB", "partition 'f3a0-…' of disk
     * 'S4EWNX0R', 1.2 TiB", "zvol tank/solana", "RAM disk 1:0, 600 GiB", "zram 252:0, 1.0 GiB",
     * "loop device on '/img', 1.0 GiB". Printable ASCII. Does not depend on what the device holds.
     */
    char *text;
    /* A path below /dev/disk/by-id or /dev/zvol that leads to it at every boot, or NULL. */
    char *stable_name;
};
void block_id_clear(struct block_id *b);

/* dev: any path that leads to a block device. ERR_NOTFOUND (nothing there), ERR_BADINPUT (no block
 * device), ERR_SYS. */
struct err *block_id_read(struct ctx *ctx, const char *dev, struct block_id *ret) MUST_CHECK;
bool block_id_same(const struct block_id *a, const struct block_id *b);
/* Before a device is changed: is it still the one whose text was written down when that was
 * decided? ERR_REFUSED with both; else as block_id_read. text NULL: nothing was written down, and
 * all is well. */
struct err *block_id_expect(struct ctx *ctx, const char *dev, const char *text) MUST_CHECK;
/* The text of a zvol, of one that is still to be made as well. To be freed. */
char *block_id_zvol_text(const char *dataset);
/* The same of brd's /dev/ramN. */
char *block_id_brd_text(uint32_t n, uint64_t size_b);
/* Is this a name of the kernel's own ("/dev/sdb1", "/dev/dm-0"), which may be another device's
 * after a reboot? RAM disks, zram and loop devices have no other, and are not meant. */
bool block_id_passing_name(const char *dev);
