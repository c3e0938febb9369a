/* What modprobe.d says of brd: at a boot the module may be loaded by anybody, with these options
 * and no others. One file of our own says it where nobody else does; what others have written is
 * told and left to them. */
#include "base/str.h"
#include "config/config.h"
#include "host/brd.h"
#include "host/own_file.h"
#include "stage/ramdisk.h"
#include "stage/ramdisk_parts.h"

#define ID "ramdisk.conf"

static char *conf_text(const struct config *cfg)
{
    uint64_t number = 0;

    err_free(brd_number(cfg->storage.ramdisk.device, &number)); /* the config is checked for it */
    return brd_conf(number, ramdisk_size_b(cfg));
}

static bool is_number(const struct kmodule_option *o, uint64_t min, uint64_t max)
{
    uint64_t v = 0;
    struct err *e = o ? parse_u64(o->value, min, max, &v) : err_new(ERR_NOTFOUND, "not set");
    bool right = !e;

    err_free(e);
    return right;
}

/* The option that makes another disk than the config asks for, or NULL; *ret_set: anything is said
 * at all. */
static const char *wrong_option(const struct config *cfg, const struct kmodule_options *o,
                                bool *ret_set)
{
    uint64_t number = 0, kib = ramdisk_size_b(cfg) / 1024;
    const struct kmodule_option *part = kmodule_options_find(o, "max_part");

    err_free(brd_number(cfg->storage.ramdisk.device, &number));
    *ret_set = o->n != 0;
    if (!is_number(kmodule_options_find(o, "rd_nr"), number + 1, UINT32_MAX))
        return "rd_nr";
    if (!is_number(kmodule_options_find(o, "rd_size"), kib, kib))
        return "rd_size";
    return part && !is_number(part, 0, 1) ? "max_part" : NULL;
}

static char *options_text(const struct kmodule_options *o)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    for (size_t i = 0; i < o->n; i++)
        strbuf_printf(&b, "%s%s=%s", i ? " " : "", o->items[i].key, o->items[i].value);
    return strbuf_take(&b);
}

static void add_wrong(const struct kmodule_options *o, const char *wrong, const char *want,
                      struct findings *ret)
{
    const struct kmodule_option *x = kmodule_options_find(o, wrong);
    AUTO(freep) char *got = options_text(o);

    if (x)
        finding_compare(findings_add(ret, ID, RAMDISK_LAYER, SEV_WARN,
                                     "%s sets %s=%s for brd, which is not what the config asks "
                                     "for: correct it or remove it",
                                     x->source, x->key, x->value),
                        want, got, x->source);
    else
        finding_compare(findings_add(ret, ID, RAMDISK_LAYER, SEV_WARN,
                                     "%s sets options for brd without %s: add it, or remove them",
                                     o->items[0].source, wrong),
                        want, got, o->items[0].source);
}

static struct err *add_ours(struct ctx *ctx, enum own_state state, const char *want,
                            struct findings *ret)
{
    struct finding *f = findings_add(
        ret, ID, RAMDISK_LAYER, SEV_WARN, "'%s' %s: brd may be loaded with another size at boot",
        RAMDISK_CONF, state == OWN_ABSENT ? "is missing" : "is for another RAM disk");

    finding_compare(f, want, state == OWN_ABSENT ? "missing" : "other options", RAMDISK_CONF);
    f->repair = "ramdisk";
    return own_file_new_folders(ctx, RAMDISK_CONF, &f->old);
}

struct err *ramdisk_check_conf(struct ctx *ctx, struct findings *ret)
{
    AUTO(kmodule_options_clear) struct kmodule_options o = {0};
    AUTO(freep) char *want = conf_text(ctx->cfg);
    AUTO(freep) char *why = NULL;
    enum own_state state = OWN_ABSENT;
    bool set = false;

    TRY(own_file_look(ctx, RAMDISK_CONF, want, &state, &why));
    TRY(kmodule_options_read(ctx, BRD_MODULE, &o));
    const char *wrong = wrong_option(ctx->cfg, &o, &set);
    want[strcspn(want, "\n")] = '\0';
    if (!wrong && state != OWN_OTHER)
        findings_add(ret, ID, RAMDISK_LAYER, SEV_OK, "%s sets brd's size",
                     kmodule_options_find(&o, "rd_size")->source);
    else if (state == OWN_OTHER || (state == OWN_ABSENT && !set))
        return add_ours(ctx, state, want, ret);
    else if (wrong && set)
        add_wrong(&o, wrong, want, ret);
    else
        findings_add(ret, ID, RAMDISK_LAYER, SEV_WARN, "'%s' is not agavectl's: %s", RAMDISK_CONF,
                     why ? why : "somebody else wrote it");
    return NULL;
}

void ramdisk_plan_conf(const struct config *cfg, const struct findings *f, struct plan *ret)
{
    const struct finding *x = findings_find(f, ID);

    if (!x || !x->repair)
        return;
    bool update = !str_eq(x->got, "missing");
    struct change *c = plan_add(ret, update ? CHANGE_UPDATE : CHANGE_CREATE, RAMDISK_VERB_CONF,
                                RAMDISK_CONF, update ? x->got : NULL, x->want);
    plan_undoable(c, x->old)->live = true;
    c->arg = conf_text(cfg);
    c->writes = WRITES_FILE;
}
