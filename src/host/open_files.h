#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"

/* The files that a process has open, by the links of /proc/<pid>/fd (proc(5)). Files that it gave
 * to io_uring and then closed, and those that are only mapped, are not among them. */
struct open_file {
    char *path;   /* as the process's own mount namespace names it; " (deleted)" is cut off */
    bool writing; /* opened for writing */
};
struct open_files {
    struct open_file *items;
    size_t n, cap;
    size_t unseen; /* descriptors that could not be looked at */
};
void open_files_clear(struct open_files *f);

/* Sockets, pipes and anonymous files are left out. ERR_NOTFOUND (the process is gone), ERR_SYS
 * (EACCES: not for this user). */
struct err *open_files_read(struct ctx *ctx, pid_t pid, struct open_files *ret) MUST_CHECK;
