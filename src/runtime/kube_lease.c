/* Leases: each write is bound to the version that was read, so that of two who want it one gets it.
 * Only what this process has seen itself, by its own clock, decides that a lease has run out. */
#include "runtime/kube_lease.h"

#include <time.h>

#include "base/str.h"
#include "io/clock.h"
#include "runtime/fields.h"
#include "runtime/kube_change.h"
#include "runtime/kube_parts.h"
#include "runtime/kube_wire.h"

#define AT(member)   offsetof(struct kube_lease, member)
#define DURATION_MAX 86400
#define RELEASED_S   1 /* as client-go leaves one behind */
#define NS_PER_S     1000000000ULL
#define NS_PER_MS    1000000ULL

void kube_lease_clear(struct kube_lease *l)
{
    kube_meta_clear(&l->meta);
    free(l->holder);
    *l = (struct kube_lease){0};
}

void kube_lease_seen_clear(struct kube_lease_seen *s)
{
    free(s->version);
    *s = (struct kube_lease_seen){0};
}

/* ---- reading -----------------------------------------------------------------------------------
 */

static struct err *read_lease(const struct json *j, struct kube_lease *l)
{
    static const struct field fields[] = {
        {"spec/holderIdentity", FIELD_STR, AT(holder)},
        {"spec/leaseDurationSeconds", FIELD_U32, AT(duration_s)},
        {"spec/leaseTransitions", FIELD_U64, AT(transitions)},
        {"spec/renewTime", FIELD_TIME, AT(renewed_at)},
    };

    TRY(kube_need_kind(j, "Lease"));
    TRY(kube_read_meta(j, &l->meta));
    TRY(fields_read(j, fields, ARRAY_LEN(fields), l));
    if (!l->meta.uid || !l->meta.resource_version)
        return err_remote(0, "metadata: no uid or no resourceVersion");
    if (l->holder && !*l->holder)
        free(TAKE(l->holder));
    if (l->duration_s > DURATION_MAX) /* who writes that may keep it for a day */
        l->duration_s = DURATION_MAX;
    return NULL;
}

struct err *kube_parse_lease(const char *body, size_t n, struct kube_lease *ret)
{
    AUTO(kube_lease_clear) struct kube_lease l = {0};
    AUTO(json_freep) struct json *j = NULL;

    TRY(json_parse(body, n, &j));
    TRY(read_lease(j, &l));
    *ret = l;
    l = (struct kube_lease){0};
    return NULL;
}

struct err *kube_get_lease(struct ctx *ctx, const struct kube *k, const char *name_space,
                           const char *name, struct kube_lease *ret)
{
    AUTO(http_response_clear) struct http_response r = {0};
    AUTO(freep) char *path = NULL;

    TRY(kube_path(KUBE_LEASE, name_space, name, &path));
    TRY(kube_ask(ctx, k, path, &r));
    return kube_from(kube_parse_lease(r.body, r.body_n, ret), k, path);
}

/* ---- writing -----------------------------------------------------------------------------------
 */

/* What is written into the lease. */
struct entry {
    const char *name_space, *name, *holder;
    uint32_t duration_s;
    uint64_t transitions;
    const struct kube_lease *old; /* what is replaced, exactly this version; NULL: it is made */
    bool taken;                   /* by another than before */
};

/* metav1.MicroTime. */
static char *now_text(struct ctx *ctx)
{
    uint64_t ms = clock_wall_ms(ctx);
    time_t s = (time_t)(ms / 1000);
    char day[32];
    struct tm tm;

    gmtime_r(&s, &tm);
    strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
    return xasprintf("%s.%03u000Z", day, (unsigned)(ms % 1000));
}

static struct json *lease_body(struct ctx *ctx, const struct entry *n)
{
    struct json *body = json_new_object(), *meta = json_new_object(), *spec = json_new_object();
    AUTO(freep) char *now = now_text(ctx);

    json_put(body, "apiVersion", json_new_str("coordination.k8s.io/v1"));
    json_put(body, "kind", json_new_str("Lease"));
    json_put(body, "metadata", meta);
    json_put(body, "spec", spec);
    json_put(meta, "name", json_new_str(n->name));
    json_put(meta, "namespace", json_new_str(n->name_space));
    if (n->old) {
        json_put(meta, "uid", json_new_str(n->old->meta.uid));
        json_put(meta, "resourceVersion", json_new_str(n->old->meta.resource_version));
    }
    json_put(spec, "holderIdentity", json_new_str(n->holder));
    json_put(spec, "leaseDurationSeconds", json_new_u64(n->duration_s));
    json_put(spec, "leaseTransitions", json_new_u64(n->transitions));
    json_put(spec, "renewTime", json_new_str(now));
    if (n->taken)
        json_put(spec, "acquireTime", json_new_str(now));
    return body;
}

/* One request; *ret is what the lease is then. */
static struct err *write_lease(struct ctx *ctx, const struct kube *k, const struct entry *n,
                               struct kube_lease *ret)
{
    AUTO(http_response_clear) struct http_response r = {0};
    AUTO(json_freep) struct json *body = lease_body(ctx, n);
    uint64_t begun_ns = clock_mono_ns(ctx); /* others count from later on */
    AUTO(freep) char *path = NULL;

    TRY(kube_path(KUBE_LEASE, n->name_space, n->old ? n->name : NULL, &path));
    AUTO(freep)
    char *full =
        xasprintf("%s?fieldManager=" KUBE_MANAGER "%s", path, k->dry_run ? "&dryRun=All" : "");
    const struct kube_call call = {.method = n->old ? "PUT" : "POST", .path = full, .body = body};
    TRY(kube_call(ctx, k, &call, &r));
    TRY(kube_from(kube_parse_lease(r.body, r.body_n, ret), k, path));
    ret->ours_until_ns = begun_ns + n->duration_s * NS_PER_S;
    return NULL;
}

/* ---- taking ------------------------------------------------------------------------------------
 */

/* How long it still holds for who has it, as far as was seen here; 0: it has run out. */
static uint32_t held_ms(struct ctx *ctx, const struct kube_lease *l, struct kube_lease_seen *seen)
{
    uint64_t now = clock_mono_ns(ctx), until;

    if (!seen->version || !str_eq(seen->version, l->meta.resource_version)) {
        free(seen->version);
        seen->version = xstrdup(l->meta.resource_version);
        seen->since_ns = now;
    }
    until = seen->since_ns + l->duration_s * NS_PER_S;
    return now >= until ? 0 : (uint32_t)((until - now + NS_PER_MS - 1) / NS_PER_MS);
}

static struct err *take_once(struct ctx *ctx, const struct kube *k, const struct kube_lease_want *w,
                             struct kube_lease_seen *seen, struct kube_lease *ret,
                             uint32_t *ret_wait_ms)
{
    AUTO(kube_lease_clear) struct kube_lease now = {0};
    struct entry n = {.name_space = w->name_space,
                      .name = w->name,
                      .holder = w->holder,
                      .duration_s = w->duration_s,
                      .taken = true};
    struct err *e = kube_get_lease(ctx, k, w->name_space, w->name, &now);
    bool absent = e && e->kind == ERR_NOTFOUND;

    if (absent)
        e = err_free(e);
    TRY(e);
    *ret_wait_ms = 0;
    if (!absent) {
        n.old = &now;
        n.taken = !now.holder || !str_eq(now.holder, w->holder);
        n.transitions = now.transitions + n.taken;
        if (n.taken && now.holder)
            *ret_wait_ms = held_ms(ctx, &now, seen);
    }
    if (*ret_wait_ms == 0)
        return write_lease(ctx, k, &n, ret);
    *ret = now;
    now = (struct kube_lease){0};
    return NULL;
}

/* A conflict and an answer that did not come are looked at again: it may be ours by now. */
struct err *kube_lease_take(struct ctx *ctx, const struct kube *k, const struct kube_lease_want *w,
                            struct kube_lease_seen *seen, struct kube_lease *ret, bool *ret_ours,
                            uint32_t *ret_wait_ms)
{
    uint64_t deadline = deadline_in_ms(ctx, k->retry_ms ? k->retry_ms : KUBE_CHANGE_MS);
    struct kube once = *k;

    if (w->duration_s < 1 || w->duration_s > DURATION_MAX || !*w->holder)
        return err_new(ERR_BUG, "a lease needs a holder and a duration");
    once.retry_ms = 0;
    kube_lease_clear(ret);
    for (unsigned i = 1;; i++) {
        struct err *e = take_once(ctx, &once, w, seen, ret, ret_wait_ms);

        *ret_ours = !e && *ret_wait_ms == 0;
        if (!e || !(kube_is_conflict(e) || kube_may_pass(e)) || deadline_passed(ctx, deadline))
            return e;
        err_free(e);
        TRY(kube_wait_to_retry(ctx, i, deadline));
    }
}

/* ---- keeping and giving back -------------------------------------------------------------------
 */

static struct err *lost(const struct kube *k, const struct kube_lease *mine, const char *to)
{
    AUTO(freep) char *shown = str_shown(to ? to : "nobody", 120);

    return err_new_(__FILE__, __LINE__, ERR_REFUSED, 0, 409,
                    "kubernetes at '%s': the lease '%s' is lost: '%s' has it now",
                    k->access->server, mine->meta.name, shown);
}

/* The lease as it is, when it is still the holder's; *ret_lost says that it is not. */
static struct err *look_again(struct ctx *ctx, const struct kube *k, const struct kube_lease *mine,
                              struct kube_lease *ret, struct err **ret_lost)
{
    struct err *e = kube_get_lease(ctx, k, mine->meta.name_space, mine->meta.name, ret);

    if (e && e->kind == ERR_NOTFOUND) {
        err_free(e);
        *ret_lost = lost(k, mine, NULL);
        return NULL;
    }
    TRY(e);
    if (!ret->holder || !str_eq(ret->holder, mine->holder))
        *ret_lost = lost(k, mine, ret->holder);
    return NULL;
}

/* Writes n over the newest version of a lease that is ours. */
static struct err *write_mine(struct ctx *ctx, const struct kube *k, const struct kube_lease *mine,
                              struct entry n, struct kube_lease *ret)
{
    uint64_t deadline = deadline_in_ms(ctx, k->retry_ms ? k->retry_ms : KUBE_CHANGE_MS);
    AUTO(kube_lease_clear) struct kube_lease now = {0};
    struct kube once = *k;

    once.retry_ms = 0;
    n.name_space = mine->meta.name_space;
    n.name = mine->meta.name;
    n.transitions = mine->transitions;
    n.old = mine;
    for (unsigned i = 1;; i++) {
        struct err *e = write_lease(ctx, &once, &n, ret), *is_lost = NULL;

        if (!e || !(kube_is_conflict(e) || kube_may_pass(e) || e->kind == ERR_NOTFOUND) ||
            deadline_passed(ctx, deadline))
            return e;
        err_free(e);
        TRY(kube_wait_to_retry(ctx, i, deadline));
        kube_lease_clear(&now);
        e = look_again(ctx, &once, mine, &now, &is_lost);
        if (is_lost)
            return is_lost;
        if (!e)
            n.old = &now;
        else if (!kube_may_pass(e) || deadline_passed(ctx, deadline))
            return e;
        err_free(e);
    }
}

struct err *kube_lease_renew(struct ctx *ctx, const struct kube *k, struct kube_lease *mine)
{
    const struct entry n = {.holder = mine->holder, .duration_s = mine->duration_s};
    AUTO(kube_lease_clear) struct kube_lease renewed = {0};
    struct kube_lease old = *mine;

    TRY(write_mine(ctx, k, mine, n, &renewed));
    *mine = renewed;
    renewed = old;
    return NULL;
}

struct err *kube_lease_release(struct ctx *ctx, const struct kube *k, const struct kube_lease *mine)
{
    const struct entry n = {.holder = "", .duration_s = RELEASED_S};
    AUTO(kube_lease_clear) struct kube_lease released = {0};
    struct err *e = write_mine(ctx, k, mine, n, &released);

    return kube_is_conflict(e) ? err_free(e) : e;
}
