/* What a process has open, and whether it may write there: the truth behind its command line. */
#include "host/open_files.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "host/procfs.h"

#define DELETED " (deleted)"

void open_files_clear(struct open_files *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->items[i].path);
    free(f->items);
    *f = (struct open_files){0};
}

/* fdinfo: "pos:\t0\nflags:\t0100002\n…", flags in octal as open(2) had them. */
static struct err *opened_for_writing(int proc_fd, pid_t n, bool *ret)
{
    AUTO(freep) char *name = xasprintf("fdinfo/%d", (int)n);
    AUTO(freep) char *text = NULL;

    TRY(procfs_read(proc_fd, name, 1U << 20, &text, NULL));
    const char *flags = strstr(text, "flags:");
    if (!flags)
        return err_new(ERR_CORRUPT, "'%s' of a process has no flags", name);
    unsigned long mode = strtoul(flags + strlen("flags:"), NULL, 8) & O_ACCMODE;
    *ret = mode == O_WRONLY || mode == O_RDWR;
    return NULL;
}

static struct err *read_one(int proc_fd, pid_t n, struct open_files *ret)
{
    AUTO(freep) char *name = xasprintf("fd/%d", (int)n);
    AUTO(freep) char *path = NULL;
    bool writing = false;

    TRY(procfs_link(proc_fd, name, &path));
    if (path[0] != '/')
        return NULL;
    TRY(opened_for_writing(proc_fd, n, &writing));
    if (str_ends(path, DELETED))
        path[strlen(path) - strlen(DELETED)] = '\0';
    ret->items = xgrow(ret->items, &ret->cap, ret->n + 1, sizeof(*ret->items));
    ret->items[ret->n++] = (struct open_file){.path = TAKE(path), .writing = writing};
    return NULL;
}

struct err *open_files_read(struct ctx *ctx, pid_t pid, struct open_files *ret)
{
    AUTO(open_files_clear) struct open_files all = {0};
    AUTO(closep) int fd = -1;
    AUTO(freep) pid_t *fds = NULL;
    size_t n = 0;

    TRY(procfs_open_live(ctx, pid, &fd));
    TRY(procfs_numbers(fd, "fd", &fds, &n));
    for (size_t i = 0; i < n; i++) {
        struct err *e = read_one(fd, fds[i], &all);

        if (!procfs_gone(&e)) /* closed meanwhile */
            all.unseen += e != NULL;
        err_free(e); /* counted: the rest is still worth knowing */
    }
    *ret = all;
    all = (struct open_files){0};
    return NULL;
}
