/* Layer 5: the running validator. Is it the one that the config means, does it write only where it
 * may, does it hang, and who could end it without us. The parts are in unit_*.c; here is what they
 * share and the question whether it runs at all. A validator that does not run is no fault of this
 * stage: whether it should is the health's question. */
#include <string.h>

#include "base/str.h"
#include "config/config.h"
#include "stage/service.h"
#include "stage/table.h"
#include "stage/unit_parts.h"

static const struct {
    const char *id; /* of the finding that says that this part could not be looked at */
    struct err *(*check)(const struct unit_look *l, struct findings *ret);
} parts[] = {
    {"unit.flags", unit_check_args},      {"unit.zfs", unit_check_zfs},
    {"unit.threads", unit_check_threads}, {"unit.systemd", unit_check_service},
    {"unit.memory", unit_check_memory},   {"unit.cron", unit_check_cron},
    {"unit.timers", unit_check_timers},   {"unit.upgrades", unit_check_upgrades},
    {"unit.monitor", unit_check_rivals},  {"unit.logrotate", unit_check_logrotate},
};

const char *unit_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

const char *unit_arg_next(const struct pid_info *p, const char *flag, const char *short_flag,
                          size_t *at)
{
    size_t n = strlen(flag);

    for (size_t i = *at; p->argv[0] && p->argv[i]; i++) {
        const char *a = p->argv[i];
        const char *value = strncmp(a, flag, n) == 0 && a[n] == '=' ? a + n + 1 : NULL;

        if (!value && (str_eq(a, flag) || (short_flag && str_eq(a, short_flag))))
            value = p->argv[++i];
        if (!p->argv[i])
            break;
        *at = i + 1;
        if (value)
            return value;
    }
    return NULL;
}

/* "systemd's agave.service", "Kubernetes (/kubepods/…)", "nobody that is known". To be freed. */
static char *started_by(const struct pid_info *p)
{
    AUTO(freep) char *unit = unit_of_cgroup(p->cgroup);

    if (p->cgroup && strstr(p->cgroup, "kubepods"))
        return xstrdup("Kubernetes");
    if (p->cgroup && (strstr(p->cgroup, "/docker") || strstr(p->cgroup, "docker-")))
        return xstrdup("Docker");
    if (unit && str_ends(unit, ".service") && !str_starts(unit, "user@"))
        return xasprintf("systemd's %s", unit);
    if (unit)
        return xasprintf("hand, in the session '%s'", unit);
    return xstrdup("no service manager");
}

static struct err *check_runs(const struct unit_look *l, struct findings *ret)
{
    const struct pid_info *p = l->main;

    if (!p) {
        findings_add(ret, "unit.runs", 5, SEV_NOTE, "no validator runs on ledger '%s'",
                     l->ctx->cfg->validator.ledger);
        return NULL;
    }
    AUTO(freep) char *by = started_by(p);
    AUTO(freep) char *comm = str_shown(p->comm, 64);
    AUTO(freep) char *more = l->pids->n > 1 ? xasprintf(" and %zu more", l->pids->n - 1) : NULL;
    finding_compare(findings_add(ret, "unit.runs", 5, SEV_OK,
                                 "the validator runs as process %d (%s)%s, started by %s",
                                 p->id.pid, comm, more ? more : "", by),
                    NULL, by, p->cgroup);
    return NULL;
}

/* A table that cannot be read is the trouble of those parts that need it. */
static void keep_blind(struct unit_look *l, struct err *e)
{
    if (!l->blind && e && e->kind != ERR_NOTFOUND) /* gone: on its way out, without mounts */
        l->blind = TAKE(e);
    err_free(e);
}

/* Ids of mounts are unique in the kernel: the same ids are the same namespace. */
static bool same_view(const struct mounts *a, const struct mounts *b)
{
    bool same = a->n && a->n == b->n;

    for (size_t i = 0; i < a->n && same; i++)
        same = a->items[i].id == b->items[i].id;
    return same;
}

static struct err *look_new(struct ctx *ctx, struct scene *scene, struct unit_look *ret)
{
    static const struct mounts none = {0};

    ret->ctx = ctx;
    ret->scene = scene;
    ret->host = &none;
    keep_blind(ret, scene_mounts(ctx, scene, &ret->host));
    TRY(scene_validator(ctx, scene, &ret->pids));
    ret->main = ret->pids->n ? &ret->pids->items[0] : NULL;
    if (ret->main)
        keep_blind(ret, mounts_read_of(ctx, ret->main->id.pid, &ret->view));
    ret->own_view = same_view(&ret->view, ret->host);
    return NULL;
}

static void look_clear(struct unit_look *l)
{
    mounts_clear(&l->view);
    err_free(l->blind);
}

static bool unit_enabled(const struct ctx *ctx)
{
    return ctx->cfg && *ctx->cfg->validator.ledger;
}

static struct err *unit_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    AUTO(look_clear) struct unit_look l = {0};

    TRY(look_new(ctx, scene, &l));
    TRY(check_runs(&l, ret));
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct err *e = parts[i].check(&l, ret);

        if (e)
            findings_add(ret, parts[i].id, 5, SEV_UNKNOWN, "could not look: %s", e->text);
        err_free(e); /* a finding now; the other parts are still worth knowing */
    }
    return NULL;
}

static const char *const unit_after[] = {"dirs", NULL};

const struct stage stage_unit = {
    .name = "unit",
    .summary = "the running validator, and who could end it",
    .layer = 5,
    .after = unit_after,
    .order_reason = "a validator that runs needs its folders",
    .enabled = unit_enabled,
    .check = unit_check,
};
