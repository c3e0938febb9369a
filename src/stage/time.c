/* Layer 4: the clock. Votes and blocks carry the validator's time, and every TLS connection depends
 * on it; a node that is seconds off is ignored or ignores others. Nobody on the host knows true
 * time: what is asked is whether somebody disciplines the clock, and how sure the kernel is.
 *
 * Nothing is put right here. A time service sets the clock with a jump when it is first started,
 * which a running validator would vote through, and which of several installed ones is meant is the
 * operator's to say; enabled without being started it would not help before the next boot. The
 * finding names the one command that does both. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/str.h"
#include "config/config.h"
#include "host/pids.h"
#include "host/timesync.h"
#include "host/unit_file.h"
#include "stage/table.h"

/* Seconds count for gossip and TLS, a fraction of one only for the vote's timestamp. */
#define FAIL_TIMES 4

static const struct {
    const char *program, *unit;
} services[] = {
    {"chronyd", "chrony"},    {"chronyd", "chronyd"}, {"systemd-timesyn", "systemd-timesyncd"},
    {"ntpd", "ntp"},          {"ntpd", "ntpsec"},     {"ntpd", "ntpd"},
    {"openntpd", "openntpd"}, {"phc2sys", "phc2sys"},
};

static bool time_enabled(const struct ctx *ctx)
{
    return ctx->cfg && *ctx->cfg->validator.ledger;
}

/* comm, which the kernel cuts at 15 bytes. */
static const char *running(const struct pids *p)
{
    for (size_t i = 0; i < p->n; i++)
        for (size_t k = 0; k < ARRAY_LEN(services); k++)
            if (str_eq(p->items[i].comm, services[k].program))
                return services[k].program;
    return NULL;
}

/* Time services of the host by their units, the best one of each kind. */
struct service_units {
    char *enabled, *installed, *masked;
};
static void service_units_clear(struct service_units *u)
{
    free(u->enabled);
    free(u->installed);
    free(u->masked);
}

static void keep_first(char **at, const char *name)
{
    if (!*at)
        *at = xstrdup(name);
}

static struct err *find_units(struct ctx *ctx, struct service_units *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(services) && !ret->enabled; i++) {
        AUTO(freep) char *name = xasprintf("%s.service", services[i].unit);
        AUTO(strlist_clear) struct strlist by = {0};
        AUTO(unit_file_clear) struct unit_file u = {0};
        struct err *e = unit_file_load(ctx, name, &u);

        if (e && e->kind != ERR_SYS) {
            err_free(e);
            continue;
        }
        TRY(e);
        TRY(unit_file_wanted_by(ctx, name, &by));
        keep_first(u.masked ? &ret->masked : by.n ? &ret->enabled : &ret->installed, name);
    }
    return NULL;
}

static char *what_to_do(const struct service_units *u)
{
    if (u->enabled)
        return xasprintf("start '%s', which is enabled", u->enabled);
    if (u->installed)
        return xasprintf("'%s' is installed: systemctl enable --now %s", u->installed,
                         u->installed);
    if (u->masked)
        return xasprintf("'%s' is masked: systemctl unmask it, then enable --now", u->masked);
    return xstrdup("install one (chrony, systemd-timesyncd, ntpd)");
}

static struct err *check_service(struct ctx *ctx, struct findings *ret)
{
    AUTO(pids_clear) struct pids all = {0};
    AUTO(service_units_clear) struct service_units units = {0};

    TRY(pids_find(ctx, &(struct pids_match){0}, &all));
    TRY(find_units(ctx, &units));
    AUTO(freep) char *todo = what_to_do(&units);
    const char *program = running(&all);
    if (program && units.enabled)
        findings_add(ret, "time.daemon", 4, SEV_OK, "%s runs and is started at boot (%s)", program,
                     units.enabled);
    else if (program)
        findings_add(ret, "time.daemon", 4, SEV_WARN,
                     "%s runs, but nothing starts it at boot: enable its unit", program);
    else
        findings_add(ret, "time.daemon", 4, SEV_WARN, "no program disciplines the clock: %s", todo);
    return NULL;
}

static void check_offset(const struct ctx *ctx, const struct kernel_clock *c, struct findings *ret)
{
    uint64_t limit = ctx->cfg->check.clock_ms, off = (uint64_t)llabs(c->offset_ms);
    uint64_t worst = off + c->max_error_ms;
    AUTO(freep) char *want = xasprintf("at most %" PRIu64 " ms", limit);
    AUTO(freep) char *got = xasprintf("%" PRIu64 " ms", worst);
    enum severity sev = worst <= limit ? SEV_OK : worst <= limit * FAIL_TIMES ? SEV_WARN : SEV_FAIL;

    finding_compare(findings_add(ret, "time.offset", 4, sev,
                                 "the clock may be off by %" PRIu64 " ms (offset %" PRId64
                                 " ms, maximum error %" PRIu64 " ms)%s",
                                 worst, c->offset_ms, c->max_error_ms,
                                 sev == SEV_OK ? "" : ": look at its sources (chronyc sources)"),
                    want, got, "adjtimex");
}

static struct err *time_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    struct kernel_clock c = {0};
    AUTO(err_freep) struct err *e = kernel_clock(ctx, &c);

    if (e) {
        findings_add(ret, "time.sync", 4, SEV_UNKNOWN, "%s", e->text);
    } else {
        finding_compare(
            findings_add(ret, "time.sync", 4, c.synchronized ? SEV_OK : SEV_WARN,
                         c.synchronized ? "the kernel's clock is synchronized"
                                        : "the kernel's clock is not synchronized: how far it is "
                                          "off is not known; look at the time service"),
            "synchronized", c.synchronized ? "synchronized" : "not synchronized", "adjtimex");
        if (c.synchronized)
            check_offset(ctx, &c, ret);
    }
    struct err *blind = check_service(ctx, ret);
    if (blind)
        findings_add(ret, "time.daemon", 4, SEV_UNKNOWN, "could not look: %s", blind->text);
    err_free(blind);
    return NULL;
}

const struct stage stage_time = {
    .name = "time",
    .summary = "the clock: who disciplines it, and how far it may be off",
    .layer = 4,
    .order_reason = "needs nothing of the others",
    .enabled = time_enabled,
    .check = time_check,
};
