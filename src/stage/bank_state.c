/* Puts local bank snapshots aside whose accounts are lost. Seen with agave-validator 3.0.14: with
 * --use-snapshot-archives-at-startup when-newest (its default) it ends with "failed to load bank
 * from snapshot … failed to read account snapshot dir", at every start, while good archives lie
 * beside. Decides nothing: when this is right is the caller's to know. */
#include "stage/bank_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/str.h"
#include "io/fsroot.h"
#include "solana/bank_snapshots.h"

#define ASIDE     "snapshots.aside-"
#define KEPT      2
#define N_MAX     1000000000u
#define DEPTH_MAX 4 /* aside, slot, accounts_hardlinks, and one more */

static struct err *highest(struct ctx *ctx, const char *snapshots, struct bank_snapshot *ret,
                           bool *ret_any)
{
    AUTO(bank_snapshots_clear) struct bank_snapshots b = {0};

    *ret_any = false;
    TRY(bank_snapshots_read(ctx->root, snapshots, &b));
    for (size_t i = 0; i < b.n && !*ret_any; i++) {
        *ret = b.items[i];
        *ret_any = b.items[i].loadable;
    }
    return NULL;
}

struct err *bank_state_any(struct ctx *ctx, const char *snapshots, bool *ret)
{
    struct bank_snapshot b;

    return highest(ctx, snapshots, &b, ret);
}

struct err *bank_state_since(struct ctx *ctx, const char *snapshots, uint64_t at_s, bool *ret)
{
    struct bank_snapshot b = {0};
    struct stat st;
    bool any = false;

    *ret = false;
    TRY(highest(ctx, snapshots, &b, &any));
    if (!any)
        return NULL;
    AUTO(freep)
    char *path = xasprintf("%s/" BANK_SNAPSHOTS_DIR "/%" PRIu64, snapshots, b.slot);
    TRY(fsroot_stat(ctx->root, path, &st));
    *ret = st.st_mtim.tv_sec >= 0 && (uint64_t)st.st_mtim.tv_sec >= at_s;
    return NULL;
}

struct err *bank_state_lost(struct ctx *ctx, const char *snapshots, const char *accounts,
                            char **ret_why)
{
    struct bank_snapshot b = {0};
    bool any = false, has = false;

    *ret_why = NULL;
    TRY(highest(ctx, snapshots, &b, &any));
    if (!any)
        return NULL;
    TRY(bank_snapshot_has_accounts(ctx->root, &b, accounts, &has));
    if (!has)
        *ret_why = xasprintf("the accounts of the local bank snapshot at slot %" PRIu64
                             " are not in '%s/snapshot'",
                             b.slot, accounts);
    return NULL;
}

/* The number of a folder that was put aside; 0: it is none. */
static uint64_t aside_number(const char *name)
{
    uint64_t n = 0;

    if (!str_starts(name, ASIDE))
        return 0;
    struct err *e = parse_u64(name + strlen(ASIDE), 1, N_MAX, &n);
    bool ok = !e;
    err_free(e);
    return ok ? n : 0;
}

static struct err *remove_below(int dir_fd, const char *name, dev_t dev, int depth);

static struct err *remove_entries(int fd, dev_t dev, int depth)
{
    DIR *d = fdopendir(fd);
    struct err *e = NULL;

    if (!d) {
        e = err_sys(errno, "cannot list a folder");
        close(fd);
        return e;
    }
    for (struct dirent *f = readdir(d); f && !e; f = readdir(d))
        if (!str_eq(f->d_name, ".") && !str_eq(f->d_name, ".."))
            e = remove_below(dirfd(d), f->d_name, dev, depth);
    closedir(d);
    return e;
}

/* Follows no link and leaves the file system nowhere: the links in it lead to accounts. */
static struct err *remove_below(int dir_fd, const char *name, dev_t dev, int depth)
{
    struct stat st;

    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(errno, "cannot look at '%s'", name);
    if (!S_ISDIR(st.st_mode))
        return unlinkat(dir_fd, name, 0) < 0 ? err_sys(errno, "cannot remove '%s'", name) : NULL;
    if (st.st_dev != dev || depth > DEPTH_MAX)
        return err_new(ERR_REFUSED, "'%s' is not a folder of Agave's", name);
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_sys(errno, "cannot open '%s'", name);
    TRY(remove_entries(fd, dev, depth + 1));
    if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0)
        return err_sys(errno, "cannot remove '%s'", name);
    return NULL;
}

/* All but the latest. One that cannot be removed is in nobody's way. */
static void prune(int dir_fd, const struct strlist *names, uint64_t latest, dev_t dev)
{
    for (size_t i = 0; i < names->n; i++) {
        uint64_t n = aside_number(names->items[i]);

        if (n && n + KEPT <= latest)
            err_free(remove_below(dir_fd, names->items[i], dev, 1));
    }
}

/* An empty folder as the one that went. The validator may write beside it, so nothing of it is
 * believed: the owner is given to the descriptor of what was made. */
static struct err *make_empty(int dir_fd, const char *dir, const struct stat *as)
{
    AUTO(closep) int fd = -1;

    if (mkdirat(dir_fd, BANK_SNAPSHOTS_DIR, 0700) < 0)
        return err_sys(errno, "cannot make '%s/%s' again", dir, BANK_SNAPSHOTS_DIR);
    fd = openat(dir_fd, BANK_SNAPSHOTS_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_sys(errno, "cannot open '%s/%s'", dir, BANK_SNAPSHOTS_DIR);
    if (fchown(fd, as->st_uid, as->st_gid) < 0)
        return err_sys(errno, "cannot give '%s/%s' to its owner", dir, BANK_SNAPSHOTS_DIR);
    if (fchmod(fd, as->st_mode & 07777) < 0)
        return err_sys(errno, "cannot set the mode of '%s/%s'", dir, BANK_SNAPSHOTS_DIR);
    return NULL;
}

static struct err *look_inner(int dir_fd, const char *dir, struct stat *ret)
{
    if (fstatat(dir_fd, BANK_SNAPSHOTS_DIR, ret, AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(errno, "cannot look at '%s/%s'", dir, BANK_SNAPSHOTS_DIR);
    if (!S_ISDIR(ret->st_mode))
        return err_new(ERR_REFUSED,
                       "'%s/%s' is a link, so the bank snapshots there cannot be put aside in one "
                       "step; move the numbered folders in it elsewhere by hand",
                       dir, BANK_SNAPSHOTS_DIR);
    return NULL;
}

static struct err *put_aside(int dir_fd, const char *dir, const char *aside)
{
    struct stat inner;

    TRY(look_inner(dir_fd, dir, &inner));
    if (renameat2(dir_fd, BANK_SNAPSHOTS_DIR, dir_fd, aside, RENAME_NOREPLACE) < 0) {
        int sys = errno;

        if (sys == EBUSY)
            return err_new(ERR_REFUSED,
                           "'%s/%s' is a mount point, so the bank snapshots there cannot be put "
                           "aside in one step; move the numbered folders in it elsewhere by hand",
                           dir, BANK_SNAPSHOTS_DIR);
        return err_sys(sys, "cannot rename '%s/%s' to '%s'", dir, BANK_SNAPSHOTS_DIR, aside);
    }
    FAULT("state-renamed"); /* Agave makes the folder itself where there is none */
    TRY(make_empty(dir_fd, dir, &inner));
    if (fsync(dir_fd) < 0)
        return err_sys(errno, "cannot write the folder '%s'", dir);
    return NULL;
}

struct err *bank_state_disable(struct ctx *ctx, const char *snapshots, const char *reason,
                               char **ret_text)
{
    AUTO(strlist_clear) struct strlist names = {0};
    AUTO(closep) int fd = -1;
    struct bank_snapshot b = {0};
    uint64_t latest = 0;
    struct stat st;
    bool any = false;

    *ret_text = NULL;
    TRY(highest(ctx, snapshots, &b, &any));
    if (!any)
        return NULL;
    TRY(fsroot_list(ctx->root, snapshots, &names));
    for (size_t i = 0; i < names.n; i++) {
        uint64_t n = aside_number(names.items[i]);

        latest = n > latest ? n : latest;
    }
    AUTO(freep) char *aside = xasprintf(ASIDE "%" PRIu64, ++latest);
    TRY(fsroot_openat(ctx->root, snapshots, O_RDONLY | O_DIRECTORY, 0, &fd));
    if (fstat(fd, &st) < 0)
        return err_sys(errno, "cannot look at '%s'", snapshots);
    TRY(put_aside(fd, snapshots, aside));
    prune(fd, &names, latest, st.st_dev);
    *ret_text = xasprintf("local bank snapshots up to slot %" PRIu64
                          " were put aside as '%s/%s', because %s: the validator starts from its "
                          "archives",
                          b.slot, snapshots, aside, reason);
    return NULL;
}
