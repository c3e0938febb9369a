/* Layer 4: open files and locked memory of the validator: of its process where it runs, else of
 * what would start it. Agave 3.0.14 raises its own soft limit to 1,000,000 open files and cannot
 * open its blockstore when the hard limit forbids that; io_uring's buffers need 2,000,000,000 bytes
 * of locked memory, without which unpacking a snapshot fails (accounts-db/src/io_uring/memory.rs).
 */
#include <inttypes.h>

#include "base/str.h"
#include "config/config.h"
#include "host/limits.h"
#include "io/fsroot.h"
#include "stage/service.h"
#include "stage/table.h"

#define NOFILE     1000000U
#define MEMLOCK    2000000000U
#define FILE_MAX_B (1U << 20)

/* One answer and where it is from. */
struct answer {
    struct limit nofile, memlock;
    bool free_to_raise; /* CAP_SYS_RESOURCE */
    bool indirect;      /* a container between it and the validator may get more */
    char *who, *source; /* for people */
};

static void answer_clear(struct answer *a)
{
    free(a->who);
    free(a->source);
    *a = (struct answer){0};
}

static bool limits_enabled(const struct ctx *ctx)
{
    return ctx->cfg && *ctx->cfg->validator.ledger;
}

static struct err *of_process(struct ctx *ctx, pid_t pid, const char *who, struct answer *ret)
{
    struct process_limits l;

    TRY(limits_of(ctx, pid, &l));
    ret->nofile = l.nofile;
    ret->memlock = l.memlock;
    ret->free_to_raise = l.sys_resource;
    ret->who = xstrdup(who);
    ret->source = pid ? xasprintf("/proc/%d/limits", (int)pid) : xstrdup("/proc/self/limits");
    return NULL;
}

/* A setting of a unit, or systemd's default where it has none. */
static struct err *of_setting(const struct unit_file *u, const char *key, bool in_bytes,
                              struct limit def, struct limit *ret)
{
    const char *v = unit_file_get(u, "Service", key);

    *ret = def;
    if (!v || !*v)
        return NULL;
    return err_wrap(limit_parse_systemd(v, in_bytes, ret), "%s of '%s'", key, u->name);
}

/* DefaultLimitNOFILE= and DefaultLimitMEMLOCK= of systemd-system.conf(5), 252, without changes of
 * the administrator's. */
static struct err *of_unit(const struct unit_file *u, struct answer *ret)
{
    TRY(of_setting(u, "LimitNOFILE", false, (struct limit){1024, 524288}, &ret->nofile));
    TRY(of_setting(u, "LimitMEMLOCK", true, (struct limit){8U << 20, 8U << 20}, &ret->memlock));
    ret->who = xasprintf("'%s'", u->name);
    ret->source = xasprintf("%s%s", u->path, u->dropins ? " and its drop-ins" : "");
    return NULL;
}

static struct err *of_service(struct ctx *ctx, struct scene *scene, struct answer *ret)
{
    AUTO(unit_file_clear) struct unit_file u = {0};

    TRY(service_find(ctx, scene, &u));
    return of_unit(&u, ret);
}

/* "default-ulimits": {"nofile": {"Name": "nofile", "Hard": 1, "Soft": 1}} of Docker's daemon.json,
 * dockerd(8) 20.10; -1 is no limit. */
static struct err *of_daemon_json(const struct json *all, const char *name, struct limit *ret)
{
    const struct json *x = json_get(all, name);
    int64_t hard = 0, soft = 0;

    if (!x)
        return NULL;
    TRY_CTX(json_as_i64(json_get(x, "Hard"), &hard), "daemon.json: default-ulimits");
    TRY_CTX(json_as_i64(json_get(x, "Soft"), &soft), "daemon.json: default-ulimits");
    *ret = (struct limit){.soft = soft < 0 ? UINT64_MAX : (uint64_t)soft,
                          .hard = hard < 0 ? UINT64_MAX : (uint64_t)hard};
    return NULL;
}

/* Containers get what containerd has, unless Docker's daemon is told otherwise; what runs in the
 * kind node gets the node's. */
static struct err *of_containers(struct ctx *ctx, struct answer *ret)
{
    AUTO(unit_file_clear) struct unit_file u = {0};
    AUTO(json_freep) struct json *daemon = NULL;
    AUTO(freep) char *text = NULL;
    size_t n = 0;
    struct err *e = unit_file_load(ctx, "containerd.service", &u);

    if (e && e->kind == ERR_NOTFOUND) {
        err_free(e);
        e = unit_file_load(ctx, "docker.service", &u);
    }
    TRY(e);
    TRY(of_unit(&u, ret));
    ret->indirect = true;
    e = fsroot_read(ctx->root, "/etc/docker/daemon.json", FILE_MAX_B, &text, &n);
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    TRY_CTX(json_parse(text, n, &daemon), "/etc/docker/daemon.json");
    const struct json *ulimits = json_get(daemon, "default-ulimits");
    if (!ulimits)
        return NULL;
    TRY(of_daemon_json(ulimits, "nofile", &ret->nofile));
    TRY(of_daemon_json(ulimits, "memlock", &ret->memlock));
    free(ret->source);
    ret->source = xasprintf("/etc/docker/daemon.json, %s", u.path);
    return NULL;
}

static struct err *ask(struct ctx *ctx, struct scene *scene, struct answer *ret)
{
    const char *runtime = ctx->cfg->validator.runtime;
    const struct pids *pids = NULL;

    TRY(scene_validator(ctx, scene, &pids));
    if (pids->n)
        return of_process(ctx, pids->items[0].id.pid, "the running validator", ret);
    if (str_eq(runtime, "systemd"))
        return of_service(ctx, scene, ret);
    if (str_eq(runtime, "kubernetes"))
        return of_containers(ctx, ret);
    return of_process(ctx, 0, "this process, which would start the validator,", ret);
}

static char *limit_text(uint64_t v)
{
    return v == UINT64_MAX ? xstrdup("unlimited") : xasprintf("%" PRIu64, v);
}

static void judge(const struct answer *a, const char *id, const char *what, const char *raise,
                  const struct limit *l, uint64_t least, struct findings *ret)
{
    bool ok = l->hard >= least || a->free_to_raise;
    AUTO(freep) char *got = limit_text(l->hard);
    AUTO(freep) char *want = xasprintf("at least %" PRIu64, least);
    struct finding *f = findings_add(ret, id, 4,
                                     ok            ? SEV_OK
                                     : a->indirect ? SEV_WARN
                                                   : SEV_FAIL,
                                     "%s may have %s %s%s%s%s", a->who, got, what,
                                     ok && l->hard < least ? ", and may raise that itself" : "",
                                     ok ? "" : ": set ", ok ? "" : raise);

    finding_compare(f, want, got, a->source);
}

static struct err *limits_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    AUTO(answer_clear) struct answer a = {0};
    AUTO(err_freep) struct err *e = ask(ctx, scene, &a);

    if (e) {
        findings_add(ret, "limits.nofile", 4, SEV_UNKNOWN, "could not look: %s", e->text);
        findings_add(ret, "limits.memlock", 4, SEV_UNKNOWN, "could not look: %s", e->text);
        return NULL;
    }
    judge(&a, "limits.nofile", "open files",
          "LimitNOFILE=1000000 in the unit that starts it, or 'nofile 1000000' in "
          "/etc/security/limits.d for a login, and start that again ('agavectl stop' first where a "
          "validator runs)",
          &a.nofile, NOFILE, ret);
    judge(&a, "limits.memlock", "bytes of locked memory",
          "LimitMEMLOCK=2000000000 in the unit that starts it, or 'memlock 2000000' (KiB) in "
          "/etc/security/limits.d for a login, and start that again ('agavectl stop' first where a "
          "validator runs)",
          &a.memlock, MEMLOCK, ret);
    return NULL;
}

const struct stage stage_limits = {
    .name = "limits",
    .summary = "open files and locked memory of the validator, or of what would start it",
    .layer = 4,
    .order_reason = "needs nothing of the others",
    .enabled = limits_enabled,
    .check = limits_check,
};
