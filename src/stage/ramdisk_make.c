/* The device of the kinds brd and zram: is its driver there, has it the configured size, may it be
 * made? Nothing here looks at what it holds but before a module is unloaded, which loses it. */
#include "base/fault.h"
#include "base/str.h"
#include "config/config.h"
#include "host/block.h"
#include "host/block_users.h"
#include "host/brd.h"
#include "host/own_file.h"
#include "host/zram.h"
#include "stage/ramdisk.h"
#include "stage/ramdisk_parts.h"

#define ID_MODULE "ramdisk.module"
#define ID_SIZE   "ramdisk.size"

static const char *device(const struct config *cfg)
{
    return cfg->storage.ramdisk.device;
}

static enum ramdev ramdev_of(const struct config *cfg)
{
    return ramdisk_kind(cfg) == RAMDISK_BRD ? RAMDEV_BRD : RAMDEV_ZRAM;
}

/* The options that the module is loaded with, for people and as modprobe takes them. */
static char *module_options(const struct config *cfg)
{
    uint64_t number = 0;

    if (ramdisk_kind(cfg) != RAMDISK_BRD)
        return xstrdup("");
    err_free(brd_number(device(cfg), &number)); /* the config is checked for it */
    AUTO(freep) char *conf = brd_conf(number, ramdisk_size_b(cfg));
    conf[strcspn(conf, "\n")] = '\0';
    return xstrdup(conf + strlen("options brd"));
}

/* *ret: it is loaded or built in. */
static struct err *check_module(struct ctx *ctx, struct disk *d, struct findings *ret,
                                bool *ret_there)
{
    const char *module = ramdisk_module(ctx->cfg);
    bool brd = ramdisk_kind(ctx->cfg) == RAMDISK_BRD;
    AUTO(freep) char *options = module_options(ctx->cfg);
    enum kmodule_state state = KMODULE_MISSING;

    TRY(kmodule_look(ctx, module, &state));
    *ret_there = state == KMODULE_LOADED || state == KMODULE_BUILTIN;
    if (!brd && zram_available(ctx)) /* built in, it need not show anywhere else */
        *ret_there = true;
    if (*ret_there) {
        findings_add(ret, ID_MODULE, RAMDISK_LAYER, SEV_OK, "this kernel has %s", module);
        return NULL;
    }
    if (state == KMODULE_MISSING) {
        d->make_blocked = true;
        findings_add(ret, ID_MODULE, RAMDISK_LAYER, SEV_FAIL,
                     "this kernel has no module %s: set storage.ramdisk.kind to %s or tmpfs, or "
                     "install the package with the other modules of this kernel",
                     module, brd ? "zram" : "brd");
        return NULL;
    }
    d->make_blocked = d->make_blocked || !ctx->cfg->host.persist;
    struct finding *f = findings_add(
        ret, ID_MODULE, RAMDISK_LAYER, SEV_FAIL, "the kernel module %s is not loaded%s%s%s", module,
        ctx->cfg->host.persist ? "" : ": 'modprobe ", ctx->cfg->host.persist ? "" : module,
        ctx->cfg->host.persist ? "" : "' (host.persist is false)");
    finding_compare(f, "loaded", "not loaded", "/sys/module");
    f->repair = d->make_blocked ? NULL : "ramdisk";
    AUTO(freep) char *want = xasprintf("loaded%s%s", *options ? " with" : "", options);
    free(f->want);
    f->want = TAKE(want);
    return NULL;
}

static struct finding *add_size(const struct config *cfg, enum severity sev, uint64_t got_b,
                                const char *why, struct findings *ret)
{
    char want[32], got[32];

    fmt_size(ramdisk_size_b(cfg), want, sizeof(want));
    fmt_size(got_b, got, sizeof(got));
    return finding_compare(findings_add(ret, ID_SIZE, RAMDISK_LAYER, sev, "'%s' has %s%s%s%s",
                                        device(cfg), got, sev == SEV_OK ? "" : ", not ",
                                        sev == SEV_OK ? "" : want, why),
                           want, got, "/sys/block");
}

/* Another size is another module: may it be unloaded? What our own disk holds may be thrown away
 * when that is allowed by its name; others' content never. */
static struct err *check_reload(struct ctx *ctx, struct disk *d, uint64_t got_b,
                                struct findings *ret)
{
    AUTO(strlist_clear) struct strlist users = {0};
    AUTO(strlist_clear) struct strlist filled = {0};
    AUTO(freep) char *why = NULL;

    TRY(brd_users(ctx, &users));
    if (!users.n)
        TRY(brd_filled(ctx, &filled));
    bool ours = filled.n == 1 && str_eq(filled.items[0], d->device);
    bool may = !users.n && (!filled.n || ours) && ctx->cfg->host.persist;
    if (users.n)
        why =
            xasprintf(": brd can be loaded anew when nobody uses a RAM disk (%s)", users.items[0]);
    else if (!may && filled.n)
        why = xasprintf(": brd can be loaded anew when '%s' is cleared",
                        ours ? filled.items[0] : filled.items[filled.n - 1]);
    else if (!may)
        why = xstrdup(": load brd anew ('modprobe -r brd'; host.persist is false)");
    else
        why = xasprintf(": brd is loaded anew%s", ours ? ", and what it holds is lost" : "");
    d->remake = may;
    d->make_blocked = d->make_blocked || !may;
    add_size(ctx->cfg, SEV_FAIL, got_b, why, ret)->repair = may ? "ramdisk" : NULL;
    return NULL;
}

static struct err *check_brd(struct ctx *ctx, struct disk *d, struct findings *ret)
{
    enum kmodule_state state = KMODULE_MISSING;
    uint64_t nr = 0, kib = 0, number = 0;

    TRY(brd_number(d->device, &number));
    TRY(kmodule_look(ctx, BRD_MODULE, &state));
    TRY(kmodule_param_u64(ctx, BRD_MODULE, "rd_size", &kib));
    TRY(kmodule_param_u64(ctx, BRD_MODULE, "rd_nr", &nr));
    if (kib == ramdisk_size_b(ctx->cfg) / 1024 && nr > number) {
        add_size(ctx->cfg, SEV_OK, kib * 1024, "", ret);
        return NULL;
    }
    if (state == KMODULE_BUILTIN) {
        AUTO(freep) char *options = module_options(ctx->cfg);
        AUTO(freep)
        char *why = xasprintf(": brd is built into this kernel; boot it with 'brd.rd_nr=' and "
                              "'brd.rd_size=' for%s, or set storage.ramdisk.kind to zram or tmpfs",
                              options);

        d->make_blocked = true;
        add_size(ctx->cfg, SEV_FAIL, nr > number ? kib * 1024 : 0, why, ret);
        return NULL;
    }
    return check_reload(ctx, d, nr > number ? kib * 1024 : 0, ret);
}

static struct err *check_zram(struct ctx *ctx, struct disk *d, struct findings *ret)
{
    uint64_t size_b = 0;
    struct err *e = zram_size(ctx, d->device, &size_b);

    if (e && e->kind == ERR_NOTFOUND) /* added with the right size */
        return err_free(e);
    TRY(e);
    if (!size_b) {
        d->remake = true; /* there without a size, so without content */
        return NULL;
    }
    if (size_b == ramdisk_size_b(ctx->cfg)) {
        add_size(ctx->cfg, SEV_OK, size_b, "", ret);
        return NULL;
    }
    d->make_blocked = true;
    add_size(ctx->cfg, SEV_FAIL, size_b,
             ": when it is somebody else's, name another number; when it is ours, 'agavectl "
             "prepare --undo ramdisk' removes it",
             ret);
    return NULL;
}

struct err *ramdisk_check_device(struct ctx *ctx, struct scene *scene, struct disk *d,
                                 char **ret_text, struct findings *ret)
{
    bool there = false, fits = true;
    uint32_t major, minor;

    TRY(check_module(ctx, d, ret, &there));
    if (there && ramdisk_kind(ctx->cfg) == RAMDISK_BRD)
        TRY(check_brd(ctx, d, ret));
    else if (there)
        TRY(check_zram(ctx, d, ret));
    *ret_text = disk_memory_identity(ramdev_of(ctx->cfg), ramdisk_size_b(ctx->cfg));
    d->made_as = *ret_text;
    struct err *e = block_number(ctx, d->device, &major, &minor);
    bool missing = e && e->kind == ERR_NOTFOUND;
    err_free(e); /* anything else is told by disk_check */
    if (missing || d->remake)
        TRY(ramdisk_check_fits(ctx, scene, ret, &fits));
    d->make_blocked = d->make_blocked || !fits;
    return NULL;
}

static bool repairs(const struct findings *f, const char *id)
{
    const struct finding *x = findings_find(f, id);

    return x && x->repair && x->sev == SEV_FAIL;
}

void ramdisk_plan_device(const struct config *cfg, const struct findings *f, struct plan *ret,
                         bool *ret_remake)
{
    const struct finding *size = findings_find(f, ID_SIZE), *module = findings_find(f, ID_MODULE),
                         *dev = findings_find(f, "ramdisk.device"),
                         *content = findings_find(f, "ramdisk.fstype");
    AUTO(freep) char *options = module_options(cfg);
    struct change *c;

    *ret_remake = repairs(f, ID_SIZE);
    if (!repairs(f, "ramdisk.device")) /* not made now: blocked, or there */
        return;
    if (*ret_remake) {
        c = plan_add(ret, CHANGE_UPDATE, RAMDISK_VERB_RELOAD, device(cfg), size->got, size->want);
        c->destructive = content && !str_eq(content->got, "blank");
        c->once = true;
        return;
    }
    if (repairs(f, ID_MODULE)) {
        AUTO(freep) char *object = xasprintf("module %s", ramdisk_module(cfg));

        c = plan_add(ret, CHANGE_RUN, RAMDISK_VERB_LOAD, object, module->got, module->want);
        c->undoable = true;
        if (ramdisk_kind(cfg) == RAMDISK_ZRAM)
            c->arg = xasprintf("%s\n%s", device(cfg), dev->want);
    }
    if (ramdisk_kind(cfg) == RAMDISK_ZRAM)
        plan_undoable(plan_add(ret, CHANGE_CREATE, RAMDISK_VERB_ADD, device(cfg), NULL, dev->want),
                      str_eq(dev->got, DISK_ANOTHER) ? RAMDISK_UNSIZED : NULL);
}

static struct err *load(struct ctx *ctx)
{
    uint64_t number = 0;

    if (ramdisk_kind(ctx->cfg) != RAMDISK_BRD)
        return kmodule_load(ctx, ramdisk_module(ctx->cfg), NULL);
    TRY(brd_number(device(ctx->cfg), &number));
    return brd_load(ctx, number, ramdisk_size_b(ctx->cfg));
}

/* Others' content may have come since this was planned. */
static struct err *reload(struct ctx *ctx, const struct change *c)
{
    AUTO(strlist_clear) struct strlist filled = {0};

    TRY(brd_filled(ctx, &filled));
    for (size_t i = 0; i < filled.n; i++)
        if (!c->destructive || !str_eq(filled.items[i], device(ctx->cfg)))
            return err_new(ERR_REFUSED, "will not load brd anew: '%s' is not blank",
                           filled.items[i]);
    TRY(brd_unload(ctx));
    FAULT("brd-unloaded");
    return load(ctx);
}

struct err *ramdisk_apply_device(struct ctx *ctx, const struct change *c)
{
    bool made = false;

    switch (c->verb) {
    case RAMDISK_VERB_CONF:
        return own_file_write(ctx, RAMDISK_CONF, c->arg);
    case RAMDISK_VERB_LOAD:
        return load(ctx);
    case RAMDISK_VERB_RELOAD:
        return reload(ctx, c);
    case RAMDISK_VERB_ADD:
        return zram_make(ctx, c->object, ramdisk_size_b(ctx->cfg), &made);
    default:
        return err_new(ERR_BUG, "stage 'ramdisk' has no change %d", c->verb);
    }
}
