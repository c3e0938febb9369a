/* See place.h. The folder is held open from begin to end, so that all steps happen in the same one
 * whatever is renamed or mounted above it meanwhile. The folder may belong to the validator's user:
 * nothing in it is followed, and nothing in it but our own left-over is removed. */
#include "fetch/place.h"

#include "base/fault.h"
#include "fetch/provenance.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>

struct place {
    int dir_fd, fd;
    char *dir, *name, *tmp;
    bool mine; /* the temporary file is ours to remove */
};

static struct err *open_dir(struct fsroot *root, struct place *p)
{
    struct err *e = store_place_open(root, p->dir, &p->dir_fd);

    if (!e || e->kind != ERR_NOTFOUND)
        return e;
    err_free(e); /* "not found" would sound like the source's answer */
    return err_sys(ENOENT, "cannot open the folder '%s'", p->dir);
}

static struct err *refuse_existing(const struct place *p)
{
    struct stat st;

    if (fstatat(p->dir_fd, p->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return err_new(ERR_REFUSED, "'%s/%s' exists already; move it away to fetch it again",
                       p->dir, p->name);
    if (errno != ENOENT)
        return err_sys(errno, "cannot look at '%s/%s'", p->dir, p->name);
    return NULL;
}

static struct err *remove_leftover(const struct place *p, uint64_t *ret_b)
{
    struct stat st;

    *ret_b = 0;
    if (fstatat(p->dir_fd, p->tmp, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? NULL : err_sys(errno, "cannot look at '%s/%s'", p->dir, p->tmp);
    if (!S_ISREG(st.st_mode))
        return err_new(
            ERR_REFUSED,
            "'%s/%s' is not a plain file and was not made by this program; look who made "
            "it and remove it",
            p->dir, p->tmp);
    if (unlinkat(p->dir_fd, p->tmp, 0) < 0)
        return err_sys(errno, "cannot remove '%s/%s'", p->dir, p->tmp);
    *ret_b = (uint64_t)st.st_size;
    return NULL;
}

struct err *place_prepare(struct fsroot *root, const char *dir, const char *name,
                          struct place **ret)
{
    AUTO(place_freep) struct place *p = xcalloc(1, sizeof(*p));

    p->dir_fd = p->fd = -1;
    p->dir = xstrdup(dir);
    p->name = xstrdup(name);
    p->tmp = xasprintf("tmp-%s", name);
    TRY(open_dir(root, p));
    TRY(refuse_existing(p));
    *ret = TAKE(p);
    return NULL;
}

struct err *place_create(struct place *p, uint64_t *ret_leftover_b)
{
    TRY(remove_leftover(p, ret_leftover_b));
    /* Nobody else reads it until it is whole. */
    p->fd = openat(p->dir_fd, p->tmp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (p->fd < 0)
        return err_sys(errno, "cannot create '%s/%s'", p->dir, p->tmp);
    p->mine = true;
    return NULL;
}

struct err *place_reopen(struct place *p, uint64_t inode, uint64_t min_b, bool *ret_found)
{
    AUTO(closep) int fd = openat(p->dir_fd, p->tmp, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    *ret_found = false;
    if (fd < 0)
        return NULL; /* whatever is in the way there, place_create meets it as well */
    if (fstat(fd, &st) < 0)
        return err_sys(errno, "cannot look at '%s/%s'", p->dir, p->tmp);
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_ino != inode || st.st_nlink != 1 ||
        (uint64_t)st.st_size < min_b)
        return NULL;
    /* A crash between the last steps left it to the validator's user. */
    if ((st.st_uid != geteuid() && fchown(fd, geteuid(), getegid()) < 0) || fchmod(fd, 0600) < 0)
        return err_sys(errno, "cannot take '%s/%s' over", p->dir, p->tmp);
    p->fd = TAKE_FD(fd);
    *ret_found = true;
    return NULL;
}

int place_fd(const struct place *p)
{
    return p->fd;
}

int place_dir_fd(const struct place *p)
{
    return p->dir_fd;
}

void place_keep(struct place *p, bool keep)
{
    p->mine = !keep;
}

struct err *place_begin(struct fsroot *root, const char *dir, const char *name, struct place **ret,
                        uint64_t *ret_leftover_b)
{
    AUTO(place_freep) struct place *p = NULL;

    TRY(place_prepare(root, dir, name, &p));
    TRY(place_create(p, ret_leftover_b));
    *ret = TAKE(p);
    return NULL;
}

struct err *place_has_room(const struct place *p, uint64_t need_b)
{
    struct statvfs st;
    uint64_t free_b;

    if (fstatvfs(p->dir_fd, &st) < 0)
        return err_sys(errno, "cannot ask how much room '%s' has", p->dir);
    if (__builtin_mul_overflow((uint64_t)st.f_bavail, (uint64_t)st.f_frsize, &free_b))
        free_b = UINT64_MAX;
    if (free_b < need_b) {
        char need[32], have[32];

        return err_sys(ENOSPC, "'%s' has %s free, %s are needed", p->dir,
                       fmt_size(free_b, have, sizeof(have)), fmt_size(need_b, need, sizeof(need)));
    }
    return NULL;
}

struct err *place_write(struct place *p, const void *data, size_t n)
{
    const char *at = data;

    while (n) {
        ssize_t done = write(p->fd, at, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return err_sys(errno, "cannot write '%s/%s'", p->dir, p->tmp);
        at += done;
        n -= (size_t)done;
    }
    return NULL;
}

static struct err *make_final(struct place *p)
{
    if (renameat2(p->dir_fd, p->tmp, p->dir_fd, p->name, RENAME_NOREPLACE) == 0)
        return NULL;
    if (errno == EEXIST)
        return err_new(ERR_REFUSED, "'%s/%s' appeared meanwhile and is not overwritten", p->dir,
                       p->name);
    return err_sys(errno, "cannot rename '%s/%s'", p->dir, p->tmp);
}

struct err *place_finish(struct place *p, uint32_t uid, uint32_t gid, mode_t mode)
{
    /* The long one first, while the file is nobody else's. */
    if (fdatasync(p->fd) < 0)
        return err_sys(errno, "cannot write '%s/%s'", p->dir, p->tmp);
    if ((uid != UINT32_MAX || gid != UINT32_MAX) && fchown(p->fd, uid, gid) < 0)
        return err_sys(errno, "cannot give '%s/%s' to %u:%u", p->dir, p->tmp, uid, gid);
    if (fchmod(p->fd, mode) < 0)
        return err_sys(errno, "cannot set the mode of '%s/%s'", p->dir, p->tmp);
    if (fsync(p->fd) < 0)
        return err_sys(errno, "cannot write '%s/%s'", p->dir, p->tmp);
    if (close(TAKE_FD(p->fd)) < 0)
        return err_sys(errno, "cannot write '%s/%s'", p->dir, p->tmp);
    FAULT("place-rename");
    TRY(make_final(p));
    FAULT("place-renamed");
    p->mine = false;
    if (fsync(p->dir_fd) < 0)
        return err_sys(errno, "cannot write the folder '%s'", p->dir);
    return NULL;
}

struct place *place_free(struct place *p)
{
    if (!p)
        return NULL;
    if (p->mine)
        (void)unlinkat(p->dir_fd, p->tmp, 0); /* the error that led here is the one to report */
    closep(&p->fd);
    closep(&p->dir_fd);
    free(p->dir);
    free(p->name);
    free(p->tmp);
    free(p);
    return NULL;
}

void place_freep(struct place **p)
{
    *p = place_free(*p);
}
