#pragma once

#include <stddef.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"

/* Drop-in files in the order in which they are read: by name, whatever their folder; one hides
 * those of its name in later folders (sysctl.d(5), systemd-system.conf(5)). */

/* Paths of the files in folders (the first one counts most) that end in suffix. A folder that is
 * not there is fine. ERR_SYS. */
struct err *conf_files_find(struct ctx *ctx, const char *const *folders, size_t n,
                            const char *suffix, struct strlist *ret) MUST_CHECK;
