/* Layer 4: the clock. Votes and blocks carry the validator's time, and every TLS connection depends
 * on it; a node that is seconds off is ignored or ignores others. Nobody on the host knows true
 * time: what is asked is whether somebody disciplines the clock, and how sure the kernel is.
 *
 * The clock itself is not touched, and no service is started: one sets the clock with a jump when
 * it is first started. Only the next boot is put right (time_boot.c).
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/str.h"
#include "config/config.h"
#include "host/timesync.h"
#include "stage/table.h"
#include "stage/time_boot.h"

/* Seconds count for gossip and TLS, a fraction of one only for the vote's timestamp. */
#define FAIL_TIMES 4

static bool time_enabled(const struct ctx *ctx)
{
    return ctx->cfg && *ctx->cfg->validator.ledger;
}

static char *what_to_do(const struct time_services *s)
{
    const char *waits = s->enabled ? s->enabled : s->unit;

    if (waits)
        return xasprintf("'%s' is %s; with the validator stopped, since the clock may jump: "
                         "systemctl start %s",
                         waits, s->enabled ? "enabled" : "installed", waits);
    if (s->unset)
        return xasprintf("'%s' is installed: set it up", s->unset);
    if (s->masked)
        return xasprintf("'%s' is masked: systemctl unmask it", s->masked);
    return xstrdup("install one (chrony, systemd-timesyncd, ntpd)");
}

static struct err *check_service(struct ctx *ctx, struct findings *ret)
{
    AUTO(time_services_clear) struct time_services s = {0};

    TRY(time_services_find(ctx, &s));
    AUTO(freep) char *todo = what_to_do(&s);
    if (s.runs)
        findings_add(ret, "time.daemon", 4, SEV_OK, "%s runs", s.runs);
    else
        findings_add(ret, "time.daemon", 4, SEV_WARN, "no program disciplines the clock: %s", todo);
    return time_boot_check(ctx, &s, ret);
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
    .summary = "the clock: who disciplines it, now and after a boot, and how far it may be off",
    .layer = 4,
    .order_reason = "needs nothing of the others",
    .enabled = time_enabled,
    .readonly = "time.readonly",
    .check = time_check,
    .plan = time_boot_plan,
    .apply = time_boot_apply,
    .undo_look = time_boot_undo_look,
    .undo = time_boot_undo,
};
