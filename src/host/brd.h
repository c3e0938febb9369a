#pragma once

#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"
#include "host/kmodule.h"

/* The kernel's RAM disks /dev/ram0, /dev/ram1, …: made by loading the module brd, all of one size.
 * drivers/block/brd.c of Linux 6.1 (rd_nr, rd_size in KiB, max_part). Their pages are taken when
 * they are first written, stay until the module is unloaded, and are never swapped. */
#define BRD_MODULE "brd"
#define BRD_MAX    64 /* more than anybody has: numbers above are refused */

/* "/dev/ram0" gives 0. ERR_BADINPUT. */
struct err *brd_number(const char *dev, uint64_t *ret) MUST_CHECK;
/* What modprobe.d must say for the devices up to this number: "options brd rd_nr=1 rd_size=… "
 * "max_part=0\n". To be freed. */
char *brd_conf(uint64_t number, uint64_t size_b);
/* Loads the module with these options. ERR_ABSENT (this kernel has none, or has it built in without
 * the device), ERR_REMOTE. */
struct err *brd_load(struct ctx *ctx, uint64_t number, uint64_t size_b) MUST_CHECK;
/* Unloads it: all RAM disks and their content are gone. ERR_REFUSED while anybody uses one, with
 * who. */
struct err *brd_unload(struct ctx *ctx) MUST_CHECK;
/* Waits up to a second for nobody to use any: udev opens a disk for some milliseconds after an
 * unmount. ERR_REFUSED with who. */
struct err *brd_wait_free(struct ctx *ctx) MUST_CHECK;
/* Who uses any RAM disk: "/dev/ram1: mounted at '/x'", one a line of the list. */
struct err *brd_users(struct ctx *ctx, struct strlist *ret) MUST_CHECK;
/* The paths of those that are not blank; with none, unloading loses nothing. ERR_SYS. */
struct err *brd_filled(struct ctx *ctx, struct strlist *ret) MUST_CHECK;
