#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "io/fsroot.h"

/* Folders by the names of their path alone, for root's work where others may have planted links:
 * one anywhere in the path is ERR_REFUSED. Also ERR_BADINPUT (".."), ERR_REFUSED (a captured host
 * would be changed), ERR_SYS. */

/* make: mode of those that are missing; 0: ERR_NOTFOUND. *ret_fd is O_RDONLY and O_CLOEXEC; the
 * caller closes it. */
struct err *folder_open(struct fsroot *r, const char *path, mode_t make, int *ret_fd) MUST_CHECK;
/* An empty one; absent is fine. ERR_SYS with ENOTEMPTY, EBUSY (a mount point), ENOTDIR. */
struct err *folder_remove(struct fsroot *r, const char *path) MUST_CHECK;
