/* agavectl boot finish: the storage is whole before anybody may use it. The order matters: nothing
 * is made below a place where the wrong thing is mounted (it would lie on the disk under it); local
 * state is put aside only while no validator runs; BOOT_OK_PATH, which Docker and the others
 * assert, is the last. A second call finds all of it done. */
#include "boot/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "boot/boot_parts.h"
#include "config/config.h"
#include "io/folder.h"
#include "io/fsroot.h"
#include "stage/bank_state.h"
#include "stage/storage_now.h"

#define DIR_MODE 0755 /* of the accounts folder; others may look */

struct finish {
    struct ctx *ctx;
    struct boot_proof p;
    struct storage_now now;
    struct strlist faults;
    struct strlist *said;
    char *validator; /* who runs, or NULL */
};
static void finish_clear(struct finish *f)
{
    boot_proof_clear(&f->p);
    storage_now_clear(&f->now);
    strlist_clear(&f->faults);
    free(f->validator);
}

/* What could not be done or looked at is a fault like any other: all of them are told at once. */
static void fault(struct finish *f, const char *what, struct err *e)
{
    if (e)
        strlist_addf(&f->faults, "%s: %s", what, e->text);
    err_free(e);
}

static char *joined(const struct strlist *l)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    for (size_t i = 0; i < l->n; i++)
        strbuf_printf(&b, "%s%s", i ? "; " : "", l->items[i]);
    return str_shown(strbuf_text(&b), 4000);
}

static void take_device(struct boot_device *to, struct boot_device *from)
{
    free(to->path);
    *to = *from;
    from->path = NULL;
}

static struct err *look_mounts(struct finish *f)
{
    AUTO(mounts_clear) struct mounts m = {0};

    TRY(mounts_read(f->ctx, &m));
    TRY(storage_now_look(f->ctx, &m, &f->now));
    take_device(&f->p.volume, &f->now.volume);
    take_device(&f->p.ramdisk, &f->now.ramdisk);
    for (size_t i = 0; i < f->now.faults.n; i++)
        strlist_add(&f->faults, f->now.faults.items[i]);
    if (!f->now.faults.n && !f->p.mounted_at)
        f->p.mounted_at = boot_clock_s(f->ctx);
    return NULL;
}

static unsigned fit_mode(unsigned mode)
{
    return (mode | 0700) & ~0022U;
}

/* Under a running validator, which was not started by this boot's order then, another group is as
 * good (stage dirs says the same): refused, Docker could not be started again beside it. */
static bool is_owned(const struct finish *f)
{
    const struct config *c = f->ctx->cfg;

    return f->now.accounts_there && f->now.uid == c->validator.uid &&
           (f->now.gid == c->validator.gid || f->validator) && f->now.mode == fit_mode(f->now.mode);
}

/* The folder itself, never what is in it. Its place may be planted by whoever may write above it,
 * as node and pod can: made and changed through descriptors that follow no link, of no folder above
 * it. */
static struct err *make_owned(struct finish *f)
{
    const struct config *c = f->ctx->cfg;
    const char *dir = c->validator.accounts;
    AUTO(closep) int fd = -1;
    struct stat st;

    TRY(folder_open(f->ctx->root, dir, DIR_MODE, &fd));
    if (fstat(fd, &st) < 0)
        return err_sys(errno, "cannot look at '%s'", dir);
    if (fchown(fd, (uid_t)c->validator.uid, (gid_t)c->validator.gid) < 0)
        return err_sys(errno, "cannot give '%s' to %" PRIu64 ":%" PRIu64, dir, c->validator.uid,
                       c->validator.gid);
    if (fchmod(fd, fit_mode(st.st_mode & 07777)) < 0)
        return err_sys(errno, "cannot set the mode of '%s'", dir);
    return NULL;
}

/* Under a running validator the folder is its own: looked at, not changed. */
static struct err *own_accounts(struct finish *f)
{
    AUTO(mounts_clear) struct mounts m = {0};
    const char *dir = f->ctx->cfg->validator.accounts;

    if (!is_owned(f) && f->validator)
        return err_new(ERR_REFUSED, "'%s' is not the validator's, and %s runs", dir, f->validator);
    if (!is_owned(f)) {
        TRY(make_owned(f));
        strlist_addf(f->said, "'%s' is made and given to its owner", dir);
        FAULT("boot-owned");
    }
    TRY(mounts_read(f->ctx, &m));
    storage_now_clear(&f->now);
    TRY(storage_now_look(f->ctx, &m, &f->now));
    if (!is_owned(f))
        return err_new(ERR_CORRUPT, "'%s' is still not the validator's", dir);
    AUTO(freep) char *seen = storage_through_bind(f->ctx->cfg, dir);
    struct stat st;
    if (seen)
        TRY(fsroot_stat(f->ctx->root, seen, &st));
    if (seen && (st.st_dev != f->now.accounts_dev || st.st_ino != f->now.accounts_ino))
        return err_new(ERR_CORRUPT, "'%s' is another folder than '%s'", seen, dir);
    f->p.accounts_dev = f->now.accounts_dev;
    f->p.accounts_ino = f->now.accounts_ino;
    if (!f->p.owned_at)
        f->p.owned_at = boot_clock_s(f->ctx);
    return NULL;
}

/* On a host that was prepared or taken over in this boot nothing was noted at its begin. What a
 * validator has made since then is not torn by how the boot before ended. */
static struct err *made_since_boot(struct finish *f, bool *ret)
{
    uint64_t booted = 0;

    TRY(boot_time_read(f->ctx, &booted));
    return bank_state_since(f->ctx, f->ctx->cfg->validator.snapshots, booted, ret);
}

/* Why local state cannot be trusted; *ret NULL: it can. After an unclean end the accounts may be
 * those that were on their way to the disk. */
static struct err *why_disable(struct finish *f, char **ret)
{
    const struct config *c = f->ctx->cfg;
    bool before = false;

    TRY(bank_state_lost(f->ctx, c->validator.snapshots, c->validator.accounts, ret));
    if (*ret)
        return NULL;
    enum boot_left left = BOOT_LEFT_UNKNOWN;
    TRY(boot_left_read(f->ctx, &left, &before));
    if (before)
        return NULL; /* what there is was made in this boot */
    if (left == BOOT_LEFT_UNCLEAN)
        *ret = xstrdup("the boot before this one did not end in order");
    bool since = false;
    if (left == BOOT_LEFT_UNKNOWN)
        TRY(made_since_boot(f, &since));
    if (left == BOOT_LEFT_UNKNOWN && !since)
        *ret = xstrdup("nobody knows whether the boot before this one ended in order");
    return NULL;
}

static struct err *disable_state(struct finish *f)
{
    const char *snapshots = f->ctx->cfg->validator.snapshots;
    AUTO(freep) char *why = NULL, *done = NULL;

    if (!*snapshots || f->validator)
        return NULL;
    TRY(why_disable(f, &why));
    if (why)
        TRY(bank_state_disable(f->ctx, snapshots, why, &done));
    if (!done)
        return NULL;
    strlist_add(f->said, done);
    free(f->p.disabled);
    f->p.disabled = TAKE(done);
    TRY(boot_proof_write(f->ctx, BOOT_PROOF_PATH, &f->p)); /* a second call finds nothing to tell */
    FAULT("boot-aside");
    return NULL;
}

/* Only after the state was put aside: a crash before that must ask again. A validator that runs
 * was started by somebody who did not wait for this; the boot then counts from here. */
static struct err *note_boot(struct finish *f)
{
    enum boot_left left = BOOT_LEFT_UNKNOWN;
    bool before = false;

    TRY(boot_left_read(f->ctx, &left, &before));
    if (!before)
        f->p.left = left;
    return boot_left_begin(f->ctx);
}

static void work(struct finish *f)
{
    struct err *e = boot_validator(f->ctx, &f->validator);

    if (e) { /* nothing may be changed under one that was not seen */
        f->validator = xstrdup("a validator that could not be looked for");
        fault(f, "does a validator run", e);
    }
    fault(f, "the mounts", look_mounts(f));
    if (f->faults.n)
        return;
    if (*f->ctx->cfg->validator.accounts)
        fault(f, "the accounts folder", own_accounts(f));
    if (f->faults.n)
        return;
    fault(f, "local state", disable_state(f));
    if (!f->faults.n)
        fault(f, "the note of this boot", note_boot(f));
    FAULT("boot-noted");
    if (!f->faults.n)
        fault(f, "the proof", boot_proof_save(f->ctx, &f->p));
    FAULT("boot-recorded");
}

static struct err *succeed(struct finish *f)
{
    AUTO(freep) char *ok = xasprintf("%s\n", f->p.boot_id);

    TRY(fsroot_write_atomic(f->ctx->root, BOOT_OK_PATH, ok, strlen(ok), 0644));
    strlist_addf(f->said, "the storage is ready: '%s' is there", BOOT_OK_PATH);
    return NULL;
}

static struct err *fail(struct finish *f)
{
    f->p.failed = joined(&f->faults);
    TRY(fsroot_unlink(f->ctx->root, BOOT_OK_PATH));
    TRY(boot_proof_write(f->ctx, BOOT_PROOF_PATH, &f->p));
    return err_new(ERR_CORRUPT,
                   "the storage is not ready, so nothing is started on it: %s; see 'agavectl "
                   "check', put it right and run 'agavectl boot finish' again",
                   f->p.failed);
}

struct err *boot_finish(struct ctx *ctx, struct strlist *ret_said)
{
    AUTO(finish_clear) struct finish f = {.ctx = ctx, .said = ret_said};
    AUTO(freep) char *damaged = NULL;
    AUTO(closep) int lock = -1;

    TRY(boot_lock(ctx, &lock));
    TRY(boot_proof_now(ctx, &f.p, &damaged));
    if (damaged)
        strlist_addf(ret_said, "%s: a new one is made", damaged);
    freep(&f.p.failed);
    f.p.failed = NULL;
    work(&f);
    return f.faults.n ? fail(&f) : succeed(&f);
}
