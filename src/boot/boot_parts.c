/* Lock, marks over reboots, and the question whether a validator is there: what every command of
 * the boot needs. */
#include "boot/boot_parts.h"

#include <inttypes.h>
#include <fcntl.h>
#include <string.h>

#include "base/str.h"
#include "config/config.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "io/lock.h"
#include "look/scene.h"

#define LOCK_FOLDER "/run/agavectl"
#define LOCK_PATH   LOCK_FOLDER "/boot.lock"
#define LOCK_MS     240000 /* an mkfs of a slow machine; a unit may start for 300 s */
#define POLL_MS     100
#define MARK_MAX_B  64

uint64_t boot_clock_s(const struct ctx *ctx)
{
    return clock_wall_ms(ctx) / 1000;
}

struct wanted_lock {
    const char *path;
    int fd;
};

static struct err *try_lock(struct ctx *ctx, void *arg, bool *ret_done)
{
    struct wanted_lock *w = arg;
    struct err *e = flock_take(w->path, &w->fd);

    *ret_done = !e;
    return e && e->kind == ERR_REFUSED ? err_free(e) : e;
}

struct err *boot_lock(struct ctx *ctx, int *ret_fd)
{
    AUTO(freep) char *path = fsroot_path(ctx->root, LOCK_PATH);
    AUTO(closep) int made = -1;
    struct wanted_lock w = {.path = path, .fd = -1};

    TRY(fsroot_mkdirs(ctx->root, LOCK_FOLDER, 0755));
    TRY(fsroot_openat(ctx->root, LOCK_PATH, O_RDWR | O_CREAT | O_NOFOLLOW, 0600, &made));
    TRY(wait_until(ctx, "another agavectl boot", LOCK_MS, POLL_MS, try_lock, &w));
    *ret_fd = w.fd;
    return NULL;
}

static char *mark_path(const struct ctx *ctx, const char *name)
{
    return xasprintf("%s/%s", ctx->cfg->journal_dir, name);
}

/* "" when there is none. What is no boot id is never this boot's. */
static struct err *mark_read(struct ctx *ctx, const char *name, char **ret)
{
    AUTO(freep) char *path = mark_path(ctx, name);
    struct err *e = fsroot_read(ctx->root, path, MARK_MAX_B, ret, NULL);

    if (e && e->kind == ERR_NOTFOUND) {
        *ret = xstrdup("");
        return err_free(e);
    }
    TRY(e);
    (*ret)[strcspn(*ret, "\n")] = '\0';
    return NULL;
}

static struct err *mark_write(struct ctx *ctx, const char *name)
{
    AUTO(freep) char *path = mark_path(ctx, name);
    char id[40];

    TRY(boot_id_read(ctx, id));
    AUTO(freep) char *text = xasprintf("%s\n", id);
    TRY(fsroot_mkdirs(ctx->root, ctx->cfg->journal_dir, 0700));
    return fsroot_write_atomic(ctx->root, path, text, strlen(text), 0600);
}

struct err *boot_left_read(struct ctx *ctx, enum boot_left *ret, bool *ret_now)
{
    AUTO(freep) char *seen = NULL, *left = NULL;
    char id[40];

    TRY(boot_id_read(ctx, id));
    TRY(mark_read(ctx, BOOT_MARK_SEEN, &seen));
    TRY(mark_read(ctx, BOOT_MARK_LEFT, &left));
    *ret_now = str_eq(seen, id);
    *ret = !*seen ? BOOT_LEFT_UNKNOWN : str_eq(seen, left) ? BOOT_LEFT_CLEAN : BOOT_LEFT_UNCLEAN;
    return NULL;
}

/* The new boot is noted first: after a crash between the two the old mark is another boot's. */
struct err *boot_left_begin(struct ctx *ctx)
{
    AUTO(freep) char *left = mark_path(ctx, BOOT_MARK_LEFT);

    TRY(mark_write(ctx, BOOT_MARK_SEEN));
    return fsroot_unlink(ctx->root, left);
}

struct err *boot_left_end(struct ctx *ctx)
{
    return mark_write(ctx, BOOT_MARK_LEFT);
}

struct err *boot_proof_save(struct ctx *ctx, const struct boot_proof *p)
{
    const struct config *c = ctx->cfg;
    const char *dir = *c->storage.bind ? c->storage.bind : c->storage.volume.mount;

    if (*dir) {
        AUTO(freep) char *copy = xasprintf("%s/%s", dir, BOOT_PROOF_SENTINEL);

        TRY_CTX(boot_proof_write(ctx, copy, p), "the copy for node and pod");
    }
    return boot_proof_write(ctx, BOOT_PROOF_PATH, p);
}

struct err *boot_validator(struct ctx *ctx, char **ret_who)
{
    AUTO(scene_freep) struct scene *scene = scene_new();
    const struct pids *v = NULL;

    *ret_who = NULL;
    TRY(scene_validator(ctx, scene, &v));
    if (v->n)
        *ret_who = xasprintf("process %d (%s)", (int)v->items[0].id.pid, v->items[0].comm);
    return NULL;
}
