/* Layer 4: settings of the kernel that Agave asks for, now and at the next boot. Agave 3.0.14 looks
 * itself (core/src/system_monitor_service.rs) and refuses to start when one of the first three is
 * too low, unless it is told not to look. */
#include <inttypes.h>

#include "base/str.h"
#include "config/config.h"
#include "host/sysctl_conf.h"
#include "io/fsroot.h"
#include "stage/table.h"

#define NO_TEST "--no-os-network-limits-test"

struct setting {
    const char *id, *id_boot; /* id_boot NULL: its default is enough, nothing must be kept */
    const char *key;          /* a path below /proc/sys */
    uint64_t least;
    enum severity sev; /* below it */
    const char *why;
};
static const struct setting settings[] = {
    {"sysctl.rmem", "sysctl.rmem.boot", "net/core/rmem_max", 134217728, SEV_FAIL,
     "the validator refuses to start"},
    {"sysctl.wmem", "sysctl.wmem.boot", "net/core/wmem_max", 134217728, SEV_FAIL,
     "the validator refuses to start"},
    {"sysctl.maps", "sysctl.maps.boot", "vm/max_map_count", 1000000, SEV_FAIL,
     "the validator refuses to start"},
    {"sysctl.files", NULL, "fs/nr_open", 1000000, SEV_FAIL,
     "no process can be allowed the 1000000 open files that the validator wants"},
};
/* Reported by Agave, with no value that it wants. */
static const struct {
    const char *id, *key;
} reported[] = {
    {"sysctl.optmem", "net/core/optmem_max"},
    {"sysctl.backlog", "net/core/netdev_max_backlog"},
};

static bool sysctl_enabled(const struct ctx *ctx)
{
    return ctx->cfg && *ctx->cfg->validator.ledger;
}

/* "net/core/rmem_max" → "net.core.rmem_max"; to be freed. */
static char *dotted(const char *key)
{
    char *s = xstrdup(key);

    for (char *p = s; *p; p++)
        *p = *p == '/' ? '.' : *p;
    return s;
}

static enum severity severity_of(const struct ctx *ctx, const struct setting *s)
{
    bool untested = strlist_has(&ctx->cfg->validator.args, NO_TEST) && s->id_boot;

    return untested ? SEV_WARN : s->sev;
}

static void check_boot(const struct ctx *ctx, const struct sysctl_conf *conf,
                       const struct setting *s, bool live_ok, struct findings *ret)
{
    const struct sysctl_setting *kept = sysctl_conf_get(conf, s->key);
    AUTO(freep) char *name = dotted(s->key);
    AUTO(freep) char *want = xasprintf("at least %" PRIu64, s->least);
    uint64_t v = 0;
    AUTO(err_freep) struct err *bad = kept ? parse_u64(kept->value, 0, UINT64_MAX, &v) : NULL;
    bool ok = kept && !bad && v >= s->least;
    enum severity sev = ok ? SEV_OK : live_ok ? SEV_WARN : severity_of(ctx, s);
    AUTO(freep) char *source = kept ? xasprintf("%s:%u", kept->file, kept->line) : NULL;
    struct finding *f;

    if (!kept)
        f = findings_add(ret, s->id_boot, 4, sev,
                         "no file of sysctl.d sets %s: it is lost at the next boot; put '%s = "
                         "%" PRIu64 "' into /etc/sysctl.d/21-agave-validator.conf",
                         name, name, s->least);
    else if (ok && !live_ok)
        f = findings_add(ret, s->id_boot, 4, sev,
                         "%s is set at boot, but is not in force now: sysctl --system", name);
    else
        f = findings_add(ret, s->id_boot, 4, sev, "the next boot sets %s to %s%s", name,
                         kept->value, ok ? "" : ": raise it there");
    finding_compare(f, want, kept ? kept->value : NULL, source);
}

/* Not to be seen in another network namespace, before Linux 6.9. */
static void check_live(struct ctx *ctx, const struct setting *s, bool *ret_ok, struct findings *ret)
{
    AUTO(freep) char *path = xasprintf("/proc/sys/%s", s->key);
    AUTO(freep) char *name = dotted(s->key);
    AUTO(freep) char *want = xasprintf("at least %" PRIu64, s->least);
    AUTO(freep) char *got = NULL;
    uint64_t v = 0;
    AUTO(err_freep) struct err *e = fsroot_read_u64(ctx->root, path, &v);

    *ret_ok = !e && v >= s->least;
    got = e ? NULL : xasprintf("%" PRIu64, v);
    struct finding *f =
        e ? findings_add(ret, s->id, 4, SEV_UNKNOWN, "%s could not be looked at: %s", name, e->text)
        : *ret_ok ? findings_add(ret, s->id, 4, SEV_OK, "%s is %" PRIu64, name, v)
                  : findings_add(ret, s->id, 4, severity_of(ctx, s),
                                 "%s is %" PRIu64 ": %s; sysctl -w %s=%" PRIu64, name, v, s->why,
                                 name, s->least);
    finding_compare(f, want, got, path);
}

static struct err *sysctl_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    AUTO(sysctl_conf_clear) struct sysctl_conf conf = {0};
    AUTO(err_freep) struct err *blind = sysctl_conf_read(ctx, &conf);

    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        bool ok = false;

        check_live(ctx, &settings[i], &ok, ret);
        if (settings[i].id_boot && !blind)
            check_boot(ctx, &conf, &settings[i], ok, ret);
    }
    for (size_t i = 0; i < ARRAY_LEN(reported); i++) {
        AUTO(freep) char *path = xasprintf("/proc/sys/%s", reported[i].key);
        uint64_t v = 0;
        struct err *e = fsroot_read_u64(ctx->root, path, &v);

        if (!e)
            findings_add(ret, reported[i].id, 4, SEV_OK, "%s is %" PRIu64, path, v);
        err_free(e); /* nobody wants a value of it */
    }
    for (size_t i = 0; i < conf.faults.n; i++)
        findings_add(ret, "sysctl.syntax", 4, SEV_NOTE, "%s: nothing is set by it",
                     conf.faults.items[i]);
    if (blind)
        findings_add(ret, "sysctl.syntax", 4, SEV_UNKNOWN,
                     "what the next boot sets could not be looked at: %s", blind->text);
    return NULL;
}

const struct stage stage_sysctl = {
    .name = "sysctl",
    .summary = "the kernel's settings that Agave asks for, now and at the next boot",
    .layer = 4,
    .order_reason = "needs nothing of the others",
    .enabled = sysctl_enabled,
    .check = sysctl_check,
};
