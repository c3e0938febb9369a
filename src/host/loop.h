#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"

struct loop_opts {
    bool read_only;
    bool direct_io;    /* where the backing file can; silently without it elsewhere */
    bool autoclear;    /* detached by the kernel when its last user closes it */
    uint32_t sector_b; /* logical; 0: the kernel's choice */
};
/* Attaches an existing file to a free loop device with one LOOP_CONFIGURE (Linux 5.8). *ret_dev is
 * "/dev/loopN", to be freed. ERR_NOTFOUND (no file), ERR_SYS. opts may be NULL. */
struct err *loop_attach(const char *file, const struct loop_opts *opts, char **ret_dev) MUST_CHECK;
/* ERR_REFUSED while anybody uses the device (the kernel would say yes and detach it at some later
 * time); returns when it is really free. Not attached: fine. Waits at most 5 s (ERR_TIMEOUT). */
struct err *loop_detach(struct ctx *ctx, const char *dev) MUST_CHECK;
/* Devices on this file, by device and inode, not by name. */
struct err *loop_find(struct ctx *ctx, const char *file, struct strlist *ret) MUST_CHECK;
/* The backing file's path as the kernel knows it. ERR_NOTFOUND: not attached, or no loop device. To
 * be freed. */
struct err *loop_backing(struct ctx *ctx, const char *dev, char **ret) MUST_CHECK;
