/* From a system call's first argument to a mount: descriptor, fdinfo's mnt_id, mountinfo. */
#include "host/thread_wait.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/str.h"
#include "host/mounts.h"
#include "host/procfs.h"

#define TEXT_MAX_B 4096

/* Calls that reach a file system through the descriptor that is their first argument. */
static const long fd_calls[] = {
    SYS_write,     SYS_pwrite64,  SYS_writev,          SYS_pwritev,    SYS_pwritev2, SYS_read,
    SYS_pread64,   SYS_readv,     SYS_preadv,          SYS_preadv2,    SYS_fsync,    SYS_fdatasync,
    SYS_ftruncate, SYS_fallocate, SYS_sync_file_range, SYS_getdents64, SYS_fchmod,   SYS_fchown,
    SYS_flock,     SYS_ioctl,     SYS_syncfs,          SYS_sendfile,   SYS_close,    SYS_lseek,
};

void thread_wait_clear(struct thread_wait *w)
{
    free(w->file);
    free(w->mount);
    free(w->fstype);
    *w = (struct thread_wait){0};
}

/* "1 0x5 0x7f… …"; "running" and "-1 …" (not in a call) are no descriptor. */
static bool parse_fd(const char *text, int *ret)
{
    long nr;
    uint64_t fd;

    if (sscanf(text, "%ld 0x%" SCNx64, &nr, &fd) != 2 || fd > INT32_MAX)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(fd_calls); i++)
        if (fd_calls[i] == nr) {
            *ret = (int)fd;
            return true;
        }
    return false;
}

static bool parse_mount_id(const char *text, int *ret)
{
    const char *at = strstr(text, "mnt_id:");

    return at && sscanf(at, "mnt_id: %d", ret) == 1;
}

static struct err *fill(struct ctx *ctx, int proc_fd, pid_t pid, int fd, struct thread_wait *ret)
{
    AUTO(freep) char *link = xasprintf("fd/%d", fd);
    AUTO(freep) char *info = xasprintf("fdinfo/%d", fd);
    AUTO(freep) char *text = NULL;
    AUTO(mounts_clear) struct mounts m = {0};
    AUTO(thread_wait_clear) struct thread_wait w = {0};
    int id = 0;

    TRY(procfs_link(proc_fd, link, &w.file));
    TRY(procfs_read(proc_fd, info, TEXT_MAX_B, &text, NULL));
    TRY(mounts_read_of(ctx, pid, &m));
    for (size_t i = 0; parse_mount_id(text, &id) && i < m.n && !w.mount; i++)
        if (m.items[i].id == id) {
            w.mount = xstrdup(m.items[i].target);
            w.fstype = xstrdup(m.items[i].fstype);
        }
    *ret = w;
    w = (struct thread_wait){0};
    return NULL;
}

struct err *thread_wait_find(struct ctx *ctx, pid_t pid, pid_t tid, struct thread_wait *ret)
{
    AUTO(freep) char *name = xasprintf("task/%d/syscall", tid);
    AUTO(freep) char *text = NULL;
    AUTO(closep) int proc_fd = -1;
    int fd = -1;
    struct err *e = procfs_open(ctx, pid, &proc_fd);

    *ret = (struct thread_wait){0};
    if (!e)
        e = procfs_read(proc_fd, name, TEXT_MAX_B, &text, NULL);
    if (!e && parse_fd(text, &fd))
        e = fill(ctx, proc_fd, pid, fd, ret);
    return procfs_gone(&e) || procfs_hidden(&e) ? NULL : e;
}
