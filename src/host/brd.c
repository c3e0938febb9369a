/* The kernel's RAM disks: all made at once by loading brd, all gone when it is unloaded. What is
 * asked before an unload is here: does anybody use one, and does one hold anything? */
#include "host/brd.h"

#include <stdlib.h>

#include "base/str.h"
#include "host/block.h"
#include "host/block_users.h"
#include "io/clock.h"
#include "io/fsroot.h"

#define BRD_MAJOR 1 /* linux/major.h: RAMDISK_MAJOR */
#define NODE_MS   5000
#define UNLOAD_MS 1000

struct err *brd_number(const char *dev, uint64_t *ret)
{
    struct err *e = str_starts(dev, "/dev/ram")
                        ? parse_u64(dev + strlen("/dev/ram"), 0, BRD_MAX - 1, ret)
                        : err_new(ERR_BADINPUT, "another name");

    if (!e)
        return NULL;
    err_free(e);
    return err_new(ERR_BADINPUT, "'%s' is none of /dev/ram0 … /dev/ram%d", dev, BRD_MAX - 1);
}

static char *param(const char *key, uint64_t v)
{
    return xasprintf("%s=%llu", key, (unsigned long long)v);
}

char *brd_conf(uint64_t number, uint64_t size_b)
{
    AUTO(freep) char *nr = param("rd_nr", number + 1);
    AUTO(freep) char *size = param("rd_size", size_b / 1024);

    return xasprintf("options brd %s %s max_part=0\n", nr, size);
}

static struct err *has_node(struct ctx *ctx, void *arg, bool *ret_done)
{
    uint32_t major, minor;
    struct err *e = block_number(ctx, arg, &major, &minor);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    *ret_done = true;
    return NULL;
}

struct err *brd_load(struct ctx *ctx, uint64_t number, uint64_t size_b)
{
    AUTO(freep) char *nr = param("rd_nr", number + 1);
    AUTO(freep) char *size = param("rd_size", size_b / 1024);
    AUTO(freep) char *dev = xasprintf("/dev/ram%llu", (unsigned long long)number);
    enum kmodule_state state = KMODULE_MISSING;

    TRY(kmodule_look(ctx, BRD_MODULE, &state));
    if (state == KMODULE_MISSING)
        return err_new(ERR_ABSENT,
                       "this kernel has no module brd; use storage.ramdisk.kind zram or tmpfs, or "
                       "install the package with its other modules");
    if (state == KMODULE_BUILTIN)
        return err_new(ERR_ABSENT,
                       "brd is built into this kernel: its size is set on the kernel's command "
                       "line, 'brd.%s brd.%s'",
                       nr, size);
    TRY(kmodule_load(ctx, BRD_MODULE, (const char *const[]){nr, size, "max_part=0", NULL}));
    return wait_until(ctx, dev, NODE_MS, 50, has_node, dev);
}

/* Paths of the RAM disks that are there. */
static struct err *disks(struct ctx *ctx, struct strlist *ret)
{
    AUTO(strlist_clear) struct strlist names = {0};
    struct err *e = fsroot_list(ctx->root, "/sys/block", &names);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    for (size_t i = 0; i < names.n; i++) {
        AUTO(freep) char *dev = xasprintf("/dev/%s", names.items[i]);
        uint64_t n;
        struct err *not_ours = brd_number(dev, &n);

        if (!not_ours)
            strlist_add(ret, dev);
        err_free(not_ours);
    }
    return NULL;
}

/* With max_part above 1 it is not the number in the name. */
static struct err *minor_of(struct ctx *ctx, const char *dev, uint32_t *ret)
{
    AUTO(freep) char *path = xasprintf("/sys/block/%s/dev", dev + strlen("/dev/"));
    AUTO(freep) char *line = NULL;
    uint64_t n = 0;

    TRY(fsroot_read_line(ctx->root, path, &line));
    const char *colon = strchr(line, ':');
    if (!colon)
        return err_new(ERR_CORRUPT, "%s: '%s' is no device's number", path, line);
    TRY_CTX(parse_u64(colon + 1, 0, UINT32_MAX, &n), "%s", path);
    *ret = (uint32_t)n;
    return NULL;
}

struct err *brd_users(struct ctx *ctx, struct strlist *ret)
{
    AUTO(strlist_clear) struct strlist all = {0};

    TRY(disks(ctx, &all));
    for (size_t i = 0; i < all.n; i++) {
        AUTO(block_users_clear) struct block_users u = {0};
        uint32_t minor = 0;

        TRY(minor_of(ctx, all.items[i], &minor));
        TRY(block_users_of(ctx, BRD_MAJOR, minor, &u));
        AUTO(freep) char *who = block_users_text(&u);
        if (u.n)
            strlist_addf(ret, "%s: %s", all.items[i], who);
    }
    return NULL;
}

struct err *brd_filled(struct ctx *ctx, struct strlist *ret)
{
    AUTO(strlist_clear) struct strlist all = {0};

    TRY(disks(ctx, &all));
    for (size_t i = 0; i < all.n; i++) {
        AUTO(block_info_clear) struct block_info b = {0};

        TRY(block_probe(ctx, all.items[i], &b));
        if (b.content != BLOCK_BLANK)
            strlist_add(ret, all.items[i]);
    }
    return NULL;
}

struct free_look {
    char *who; /* uses one, at the last look */
};

static struct err *nobody_uses_one(struct ctx *ctx, void *arg, bool *ret_done)
{
    AUTO(strlist_clear) struct strlist users = {0};
    struct free_look *l = arg;

    TRY(brd_users(ctx, &users));
    free(l->who);
    l->who = users.n ? xstrdup(users.items[0]) : NULL;
    *ret_done = users.n == 0;
    return NULL;
}

struct err *brd_wait_free(struct ctx *ctx)
{
    struct free_look l = {0};
    struct err *e =
        wait_until(ctx, "the RAM disks to be free", UNLOAD_MS, 100, nobody_uses_one, &l);
    AUTO(freep) char *who = l.who;

    if (!e || e->kind != ERR_TIMEOUT || !who)
        return e;
    err_free(e);
    return err_new(ERR_REFUSED, "cannot unload brd: a RAM disk is in use (%s)", who);
}

static struct err *try_unload(struct ctx *ctx)
{
    AUTO(strlist_clear) struct strlist users = {0};

    TRY(brd_users(ctx, &users));
    if (users.n)
        return err_new(ERR_REFUSED, "cannot unload brd: a RAM disk is in use (%s)", users.items[0]);
    return kmodule_unload(ctx, BRD_MODULE);
}

static struct err *unloaded(struct ctx *ctx, void *arg, bool *ret_done)
{
    struct err **last = arg;

    *last = err_free(*last);
    struct err *e = try_unload(ctx);
    if (!e || e->kind != ERR_REFUSED) {
        *ret_done = !e;
        return e;
    }
    *last = e;
    return NULL;
}

/* udev looks at a disk for some milliseconds after an unmount or a mkfs. */
struct err *brd_unload(struct ctx *ctx)
{
    AUTO(err_freep) struct err *refused = NULL;
    struct err *e = wait_until(ctx, "the RAM disks to be free", UNLOAD_MS, 100, unloaded, &refused);

    if (!e || e->kind != ERR_TIMEOUT)
        return e;
    err_free(e);
    return TAKE(refused);
}
