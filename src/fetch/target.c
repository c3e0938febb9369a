/* See target.h. What the kernel would refuse later is asked of the kernel before: access(2) with
 * our effective ids knows owners, modes, lists and read-only mounts. */
#include "fetch/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "fetch/provenance.h"
#include "io/fsroot.h"

/* A link that somebody else made leads where he likes, and later elsewhere. */
static struct err *check_link(struct fsroot *r, const char *dir, const char *part)
{
    AUTO(closep) int fd = -1;
    struct stat st;

    TRY(fsroot_openat(r, part, O_PATH | O_NOFOLLOW, 0, &fd));
    if (fstat(fd, &st) < 0)
        return err_sys(errno, "cannot look at '%s'", part);
    if (!S_ISLNK(st.st_mode) || st.st_uid == 0 || st.st_uid == geteuid())
        return NULL;
    AUTO(freep) char *real = NULL;
    err_free(fsroot_real(r, dir, &real)); /* it is for the text alone */
    return err_new(
        ERR_REFUSED,
        "'%s' is a link of user %u, who can make it lead elsewhere at any time; name the "
        "folder itself%s%s%s",
        part, st.st_uid, real ? " ('" : "", real ? real : "", real ? "')" : "");
}

struct err *target_part(struct ctx *ctx, const char *dir, char **ret)
{
    AUTO(freep) char *part = xstrdup(dir);
    struct stat st;

    for (;;) {
        struct err *e = fsroot_stat(ctx->root, part, &st);
        char *slash = strrchr(part, '/');

        if (!e || e->kind != ERR_NOTFOUND || !slash || !part[1]) {
            TRY(e);
            break;
        }
        err_free(e);
        slash[slash == part] = 0;
    }
    *ret = TAKE(part);
    return NULL;
}

static struct err *check_links(struct ctx *ctx, const char *dir, const char *part)
{
    AUTO(freep) char *upto = xstrdup(part);
    size_t n = 0, len = strlen(part);

    while (n < len) {
        n += strspn(part + n, "/");
        n += strcspn(part + n, "/");
        upto[n] = 0;
        if (n > 1)
            TRY(check_link(ctx->root, dir, upto));
        upto[n] = part[n];
    }
    return NULL;
}

static struct err *check_rights(struct ctx *ctx, const char *part)
{
    AUTO(freep) char *path = fsroot_path(ctx->root, part);

    if (faccessat(AT_FDCWD, path, R_OK | W_OK | X_OK, AT_EACCESS) == 0)
        return NULL;
    int sys = errno;
    if (sys == EROFS)
        return err_new(ERR_REFUSED,
                       "'%s' is mounted read-only; look at 'mount' and the kernel's log, or take "
                       "another folder",
                       part);
    if (sys == EACCES || sys == EPERM)
        return err_new(ERR_REFUSED,
                       "user %u may not write into '%s'; run it as root, or take a folder of yours",
                       geteuid(), part);
    return err_sys(sys, "cannot write into '%s'", part);
}

static struct err *check_room(struct ctx *ctx, const char *part, uint64_t least_b)
{
    struct statvfs v;
    uint64_t free_b;
    char need[32], have[32];

    TRY(fsroot_statvfs(ctx->root, part, &v));
    if (__builtin_mul_overflow((uint64_t)v.f_bavail, (uint64_t)v.f_frsize, &free_b))
        free_b = UINT64_MAX;
    if (free_b >= least_b)
        return NULL;
    return err_hint(err_sys(ENOSPC, "no room in '%s'", part),
                    "%s are free, and %s must be left beside what is fetched: make room, or take "
                    "another folder",
                    fmt_size(free_b, have, sizeof(have)), fmt_size(least_b, need, sizeof(need)));
}

/* What comes after part is not there; as a link to nothing it could not be made either. */
static struct err *check_next(struct ctx *ctx, const char *dir, const char *part)
{
    size_t n = strlen(part);
    AUTO(freep) char *next = NULL, *to = NULL;
    struct err *e;

    n += strspn(dir + n, "/");
    next = xstrndup(dir, n + strcspn(dir + n, "/"));
    e = fsroot_readlink(ctx->root, next, &to);
    if (!e)
        return err_new(ERR_NOTFOUND, "'%s' is a link to '%s', which is not there; make that folder",
                       next, to);
    err_free(e); /* no link, or nothing */
    return NULL;
}

struct err *target_check(struct ctx *ctx, const char *dir, uint64_t least_b, bool *ret_there)
{
    AUTO(freep) char *part = NULL;
    AUTO(closep) int store_fd = -1;
    bool folder = false;
    struct err *e;

    TRY(target_part(ctx, dir, &part));
    TRY(fsroot_is_folder(ctx->root, part, &folder));
    TRY(check_links(ctx, dir, part));
    TRY(check_rights(ctx, part));
    if (least_b)
        TRY(check_room(ctx, part, least_b));
    *ret_there = str_eq(part, dir);
    if (!*ret_there)
        TRY(check_next(ctx, dir, part));
    e = *ret_there ? store_dir_open(ctx, dir, false, &store_fd) : NULL;
    if (e && e->kind == ERR_NOTFOUND)
        e = err_free(e);
    return e;
}
