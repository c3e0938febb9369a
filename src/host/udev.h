#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"

/* What udev has noted of a block device: /run/udev/data/b<major>:<minor>, lines of "E:NAME=value"
 * among others (systemd 252, src/libsystemd/sd-device/device-private.c). A machine without udev has
 * none of it. *ret NULL: it says nothing of that; else to be freed. ERR_SYS, ERR_BADINPUT (larger
 * than any such file). */
struct err *udev_property(struct ctx *ctx, uint32_t major, uint32_t minor, const char *name,
                          char **ret) MUST_CHECK;
/* The first value of that name that is not empty, in the text of such a file; NULL: none. To be
 * freed. */
char *udev_value(const char *data, size_t n, const char *name);
