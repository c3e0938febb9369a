#pragma once

#include "base/err.h"

/* The map of a half file (partial.h) is locked by who gets the file. */
#define MAP_BUSY "another agavectl is getting it; wait for it to end"

/* Opens it in the folder of maps, with these flags besides, and takes its lock. *ret_fd -1: it was
 * removed by its owner just now; try again. ERR_REFUSED: somebody has it, or it is no plain file;
 * ERR_SYS. */
struct err *map_lock(int side_fd, const char *map_name, int flags, int *ret_fd) MUST_CHECK;
