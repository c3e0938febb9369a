#pragma once

#include <ftw.h>
#include <stdio.h>

static inline int remove_tree_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
    return remove(path);
}

/* For the end of a test: a folder that it made, with all that is in it. Links are not followed, and
 * what is mounted stays. */
static inline void remove_tree(const char *dir)
{
    (void)nftw(dir, remove_tree_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
