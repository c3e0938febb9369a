/* See partial_sweep.h. What is locked is being fetched and stays, as does what is not ours. */
#include "fetch/partial_sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "fetch/map_lock.h"
#include "fetch/provenance.h"
#include "fetch/store.h"
#include "io/fsroot.h"
#include "solana/snapshot_name.h"

/* Ours are root's and for nobody else until they are whole. */
static bool is_half(int dir_fd, const char *file, struct stat *st)
{
    return fstatat(dir_fd, file, st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st->st_mode) &&
           st->st_uid == geteuid() && (st->st_mode & 07777) == 0600;
}

/* name: the final one. Nothing is done while somebody has the lock of its map. */
static struct err *sweep_one(int dir_fd, int side_fd, const char *dir, const char *name,
                             uint64_t *ret_b)
{
    AUTO(freep) char *tmp = xasprintf("tmp-%s", name);
    AUTO(freep) char *map_name = xasprintf("%s.map", name);
    AUTO(closep) int map_fd = -1;
    struct stat st;
    struct err *e = side_fd < 0 ? NULL : map_lock(side_fd, map_name, 0, &map_fd);

    if (e && (e->kind == ERR_REFUSED || e->sys != ENOENT)) {
        log_debug("'%s/%s' stays: %s", dir, tmp, e->text);
        err_free(e);
        return NULL;
    }
    err_free(e);
    if (is_half(dir_fd, tmp, &st)) {
        if (unlinkat(dir_fd, tmp, 0) < 0)
            return err_sys(errno, "cannot remove '%s/%s'", dir, tmp);
        *ret_b += (uint64_t)st.st_blocks * 512;
    }
    if (map_fd >= 0 && unlinkat(side_fd, map_name, 0) < 0)
        return err_sys(errno, "cannot remove '%s/" STORE_DIR "/%s'", dir, map_name);
    return NULL;
}

/* The final name in "tmp-NAME" or "NAME.map"; NULL: it is no such thing. To be freed. */
static char *name_in(const char *file)
{
    struct snapshot_name parsed;
    AUTO(freep) char *name = NULL;
    struct err *e;

    if (str_starts(file, "tmp-"))
        name = xstrdup(file + 4);
    else if (str_ends(file, ".map"))
        name = xstrndup(file, strlen(file) - 4);
    e = name ? snapshot_name_parse(name, &parsed) : NULL;
    return e ? (err_free(e), NULL) : TAKE(name);
}

/* Of all the files of that folder; no folder: nothing in it. */
static struct err *sweep_list(struct ctx *ctx, const char *list, int dir_fd, int side_fd,
                              const char *dir, const struct strlist *keep, uint64_t *ret_b)
{
    AUTO(strlist_clear) struct strlist files = {0};
    struct err *e = fsroot_list(ctx->root, list, &files);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    for (size_t i = 0; i < files.n; i++) {
        AUTO(freep) char *name = name_in(files.items[i]);

        if (name && !strlist_has(keep, name))
            TRY(sweep_one(dir_fd, side_fd, dir, name, ret_b));
    }
    return NULL;
}

struct err *partial_sweep(struct ctx *ctx, const char *dir, const struct strlist *keep,
                          uint64_t *ret_b)
{
    AUTO(freep) char *side = xasprintf("%s/" STORE_DIR, dir);
    AUTO(closep) int dir_fd = -1;
    AUTO(closep) int side_fd = -1;
    struct err *e = store_place_open(ctx->root, dir, &dir_fd);
    uint64_t freed_b = 0;

    if (!e)
        e = store_dir_open(ctx, dir, false, &side_fd);
    if (e && e->kind != ERR_NOTFOUND)
        return e;
    err_free(e);
    if (dir_fd >= 0) {
        TRY(sweep_list(ctx, dir, dir_fd, side_fd, dir, keep, &freed_b));
        TRY(sweep_list(ctx, side, dir_fd, side_fd, dir, keep, &freed_b));
        (void)unlinkat(dir_fd, STORE_DIR, AT_REMOVEDIR); /* others may use it */
    }
    *ret_b = freed_b;
    return NULL;
}
