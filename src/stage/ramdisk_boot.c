/* The RAM disk at boot: made and formatted without a plan, because nothing in it can be lost that
 * the reboot has not lost already. Whoever uses it keeps it as it is. */
#include "base/str.h"
#include "config/config.h"
#include "host/block.h"
#include "host/block_users.h"
#include "host/brd.h"
#include "host/mkfs.h"
#include "host/zram.h"
#include "stage/ramdisk.h"
#include "stage/ramdisk_parts.h"

void ramdisk_fresh_clear(struct ramdisk_fresh *r)
{
    free(r->device);
    free(r->left);
    *r = (struct ramdisk_fresh){0};
}

/* brd was loaded by somebody else, or by an initrd without our options. */
static struct err *reload_brd(struct ctx *ctx, uint64_t number)
{
    AUTO(strlist_clear) struct strlist filled = {0};

    TRY(brd_filled(ctx, &filled));
    for (size_t i = 0; i < filled.n; i++)
        if (!str_eq(filled.items[i], ctx->cfg->storage.ramdisk.device))
            return err_new(ERR_REFUSED,
                           "brd is loaded with another size, and '%s' is not blank: it is not "
                           "loaded anew",
                           filled.items[i]);
    TRY(brd_unload(ctx));
    return brd_load(ctx, number, ramdisk_size_b(ctx->cfg));
}

static struct err *make_brd(struct ctx *ctx, bool *ret_made)
{
    uint64_t number = 0, nr = 0, kib = 0;
    enum kmodule_state state = KMODULE_MISSING;

    TRY(brd_number(ctx->cfg->storage.ramdisk.device, &number));
    TRY(kmodule_look(ctx, BRD_MODULE, &state));
    if (state == KMODULE_LOADED || state == KMODULE_BUILTIN) {
        TRY(kmodule_param_u64(ctx, BRD_MODULE, "rd_nr", &nr));
        TRY(kmodule_param_u64(ctx, BRD_MODULE, "rd_size", &kib));
        if (nr > number && kib == ramdisk_size_b(ctx->cfg) / 1024)
            return NULL;
    }
    *ret_made = true;
    if (state == KMODULE_LOADED)
        return reload_brd(ctx, number);
    return brd_load(ctx, number, ramdisk_size_b(ctx->cfg));
}

static struct err *make_zram(struct ctx *ctx, bool *ret_made)
{
    if (!zram_available(ctx))
        TRY(kmodule_load(ctx, "zram", NULL));
    return zram_make(ctx, ctx->cfg->storage.ramdisk.device, ramdisk_size_b(ctx->cfg), ret_made);
}

static struct err *make(struct ctx *ctx, bool *ret_made)
{
    switch (ramdisk_kind(ctx->cfg)) {
    case RAMDISK_BRD:
        return make_brd(ctx, ret_made);
    case RAMDISK_ZRAM:
        return make_zram(ctx, ret_made);
    case RAMDISK_DEVICE:
    case RAMDISK_TMPFS:
    case RAMDISK_NONE:
        break;
    }
    return NULL;
}

/* Who uses the device, before its driver is touched; NULL: nobody, or it is not there. To be freed.
 */
static struct err *used_by(struct ctx *ctx, const char *dev, char **ret)
{
    AUTO(block_users_clear) struct block_users u = {0};
    uint32_t major = 0, minor = 0;
    struct err *e = block_number(ctx, dev, &major, &minor);

    *ret = NULL;
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    TRY(block_users_of(ctx, major, minor, &u));
    /* udev's short look at a new device is waited out by mkfs_xfs_fresh. */
    bool other = false;
    for (size_t i = 0; i < u.n; i++)
        other = other || u.items[i].kind != BLOCK_USER_OPEN;
    *ret = other ? block_users_text(&u) : NULL;
    return NULL;
}

static struct err *look(struct ctx *ctx, struct ramdisk_fresh *r)
{
    AUTO(block_info_clear) struct block_info b = {0};

    TRY(block_probe(ctx, r->device, &b));
    r->major = b.major;
    r->minor = b.minor;
    r->size_b = b.size_b;
    return NULL;
}

static struct err *make_fresh(struct ctx *ctx, bool formatted, struct ramdisk_fresh *r)
{
    AUTO(freep) char *who = NULL;

    if (!ramdisk_is_device(ctx->cfg)) {
        r->left = xstrdup("the config has no device that is formatted");
        return NULL;
    }
    r->device = xstrdup(ctx->cfg->storage.ramdisk.device);
    TRY(used_by(ctx, r->device, &who));
    if (who)
        r->left = xasprintf("it is in use: %s", who);
    else
        TRY(make(ctx, &r->made));
    /* One that was made just now is as new as a device can be, whatever a proof says. */
    if (!r->left && formatted && !r->made)
        r->left = xstrdup("it was formatted in this boot");
    TRY(look(ctx, r));
    if (r->left)
        return NULL;
    TRY(mkfs_xfs_fresh(ctx, r->device, RAMDISK_LABEL));
    r->formatted = true;
    return NULL;
}

struct err *ramdisk_make_fresh(struct ctx *ctx, bool formatted, struct ramdisk_fresh *ret)
{
    AUTO(ramdisk_fresh_clear) struct ramdisk_fresh r = {0};

    TRY_CTX(make_fresh(ctx, formatted, &r), "cannot make the RAM disk");
    *ret = r;
    r = (struct ramdisk_fresh){0};
    return NULL;
}
