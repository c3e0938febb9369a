#pragma once

#include "base/str.h"
#include "config/config.h"
#include "fixture.h"

/* A made-up host after its mounts: a tmpfs as RAM disk, the volume used as it is, the bind a link
 * (so that both names are one folder). */
#define BOOT_A   "0c3f0b0e-7d9e-4a54-9a0e-1f2d3c4b5a69"
#define BOOT_B   "1c3f0b0e-7d9e-4a54-9a0e-1f2d3c4b5a69"
#define SNAPS    "/srv/solana/snapshots"
#define ACCOUNTS "/srv/solana/ramdisk/accounts"
#define MARKS    "/var/lib/agavectl/op"

struct host {
    struct fixture f;
    struct config *cfg;
    struct strlist said;
};
/* more: lines of YAML after the usual ones; "" for none. */
void host_new(struct host *h, const char *more);
void host_clear(struct host *h);
void host_boot(struct host *h, const char *id);
/* Seconds since 1970; until told otherwise later than any file of the host. */
void host_booted_at(struct host *h, unsigned long at_s);
void host_mounts(struct host *h, bool ramdisk, bool bind);
/* A local bank snapshot as agave-validator 3.0.14 leaves it at an orderly end, with its accounts or
 * without. */
void host_bank_snapshot(struct host *h, unsigned slot, bool accounts);
bool host_has(const struct host *h, const char *path);
bool host_said(const struct host *h, const char *part);
