#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"

/* Does this kernel's tmpfs take the option noswap (Linux 6.4, Documentation/filesystems/tmpfs.rst)?
 * Asked of the kernel itself by a mount that is begun and never made; where that cannot be (a
 * captured host, no rights), its release decides. ERR_SYS, ERR_NOTFOUND (no release). */
struct err *tmpfs_takes_noswap(struct ctx *ctx, bool *ret) MUST_CHECK;
/* Direct I/O in a folder, tried with a file without a name that is gone with its descriptor. */
enum odirect {
    ODIRECT_REFUSED, /* O_DIRECT cannot be opened (tmpfs before Linux 6.6) */
    ODIRECT_COARSE,  /* it can, but 512 bytes cannot be written: the device has larger sectors */
    ODIRECT_TAKEN,
};
/* ERR_SYS (no rights, full, read-only, a file system without such files), ERR_NOTFOUND,
 * ERR_REFUSED (a captured host). Blocks for one write. */
struct err *odirect_probe(struct ctx *ctx, const char *folder, enum odirect *ret) MUST_CHECK;
