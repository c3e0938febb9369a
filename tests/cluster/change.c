/* Changes, watches and leases of a real Kubernetes through our client, for the tests to compare
 * with what kubectl says. Prints one line of JSON for each thing that is told, and one at the end:
 * {} or
 * {"kind": …, "text": …, "conflict": …} and exit 1.
 *
 * usage: cluster_change KUBECONFIG [--dry] VERB ARGUMENTS (see the table) */
#include <stdio.h>

#include "base/json.h"
#include "base/str.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "io/http.h"
#include "io/proc.h"
#include "runtime/kube_change.h"
#include "runtime/kube_lease.h"
#include "runtime/kube_watch.h"

struct verb {
    const char *name;
    int argc;
    struct err *(*run)(struct ctx *ctx, const struct kube *k, char **argv, struct json *out);
};

static void say(struct json *line)
{
    AUTO(freep) char *text = json_text(line, false);

    puts(text);
    fflush(stdout);
    json_free(line);
}

static struct json *pair(const char *key, const char *value)
{
    struct json *o = json_new_object();

    json_put(o, key, json_new_str(value));
    return o;
}

/* NAMESPACE NAME UID GENERATION */
static struct err *seen(char **argv, struct kube_meta *ret)
{
    *ret = (struct kube_meta){.name_space = argv[0], .name = argv[1], .uid = argv[2]};
    return parse_u64(argv[3], 0, UINT64_MAX, &ret->generation);
}

static struct err *run_scale(struct ctx *ctx, const struct kube *k, char **argv, struct json *out)
{
    struct kube_meta m;
    uint64_t to;

    TRY(seen(argv, &m));
    TRY(parse_u64(argv[4], 0, 100, &to));
    return kube_scale(ctx, k, &m, to);
}

static struct err *run_delete_pod(struct ctx *ctx, const struct kube *k, char **argv,
                                  struct json *out)
{
    struct kube_meta m;
    uint64_t grace;
    int64_t got;

    TRY(seen(argv, &m));
    TRY(parse_u64(argv[4], 1, 100000, &grace));
    TRY(kube_delete_pod(ctx, k, &m, (int64_t)grace, &got));
    json_put(out, "grace_s", json_new_u64((uint64_t)got));
    return NULL;
}

static struct err *run_cordon(struct ctx *ctx, const struct kube *k, char **argv, struct json *out)
{
    const struct kube_meta m = {.name = argv[0], .uid = argv[1]};

    return kube_cordon(ctx, k, &m, argv[2]);
}

static struct err *run_uncordon(struct ctx *ctx, const struct kube *k, char **argv,
                                struct json *out)
{
    const struct kube_meta m = {.name = argv[0], .uid = argv[1]};

    return kube_uncordon(ctx, k, &m, argv[2]);
}

static struct err *run_annotate(struct ctx *ctx, const struct kube *k, char **argv,
                                struct json *out)
{
    struct kube_meta m;

    TRY(seen(argv, &m));
    return kube_annotate(ctx, k, KUBE_DEPLOYMENT, &m, argv[4], *argv[5] ? argv[5] : NULL);
}

static struct err *run_template(struct ctx *ctx, const struct kube *k, char **argv,
                                struct json *out)
{
    AUTO(json_freep) struct json *patch = NULL;
    struct kube_meta m;

    TRY(seen(argv, &m));
    TRY(json_parse(argv[4], strlen(argv[4]), &patch));
    return kube_write_template(ctx, k, &m, patch);
}

static struct err *run_apply(struct ctx *ctx, const struct kube *k, char **argv, struct json *out)
{
    AUTO(json_freep) struct json *manifest = NULL;

    TRY(json_parse(argv[0], strlen(argv[0]), &manifest));
    return kube_apply(ctx, k, manifest, str_eq(argv[1], "force"));
}

static struct err *run_create_namespace(struct ctx *ctx, const struct kube *k, char **argv,
                                        struct json *out)
{
    return kube_create_namespace(ctx, k, argv[0]);
}

static struct err *say_tick(void *arg, const struct err *why, uint64_t away_ms, bool *ret_stop)
{
    if (why)
        say(pair("away", why->text));
    return NULL;
}

struct held {
    struct ctx *ctx;
    const struct kube *k;
    const char *name;
};

/* What holds it up, while it is waited for. */
static struct err *say_stuck(void *arg, const struct err *why, uint64_t away_ms, bool *ret_stop)
{
    const struct held *h = arg;
    AUTO(kube_namespace_clear) struct kube_namespace n = {0};
    AUTO(freep) char *stuck = NULL;
    struct err *e = kube_get_namespace(h->ctx, h->k, h->name, &n);

    if (e)
        return e->kind == ERR_NOTFOUND ? err_free(e) : e;
    stuck = kube_namespace_stuck(&n);
    if (stuck)
        say(pair("stuck", stuck));
    return NULL;
}

static struct err *run_delete_namespace(struct ctx *ctx, const struct kube *k, char **argv,
                                        struct json *out)
{
    AUTO(kube_namespace_clear) struct kube_namespace n = {0};
    struct held held = {ctx, k, argv[0]};

    TRY(kube_get_namespace(ctx, k, argv[0], &n));
    TRY(kube_delete_namespace(ctx, k, &n.meta));
    return kube_wait_gone(ctx, k, KUBE_NAMESPACE, &n.meta, 60000, say_stuck, &held);
}

static struct err *run_gone(struct ctx *ctx, const struct kube *k, char **argv, struct json *out)
{
    struct kube_meta m;
    uint64_t s;

    TRY(seen(argv, &m));
    TRY(parse_u64(argv[4], 1, 1000, &s));
    return kube_wait_gone(ctx, k, KUBE_POD, &m, (uint32_t)s * 1000, say_tick, NULL);
}

static struct err *run_who(struct ctx *ctx, const struct kube *k, char **argv, struct json *out)
{
    AUTO(kube_deployment_clear) struct kube_deployment d = {0};
    AUTO(kube_hpas_clear) struct kube_hpas hpas = {0};

    TRY(kube_get_deployment(ctx, k, argv[0], argv[1], &d));
    TRY(kube_list_hpas(ctx, k, argv[0], &hpas));
    AUTO(freep) char *who = kube_keepers(&d, &hpas);
    json_put(out, "who", json_new_str(who));
    json_put(out, "replicas_by", json_new_str(d.replicas_by));
    json_put(out, "replicas", json_new_u64(d.replicas));
    return NULL;
}

static struct err *run_events(struct ctx *ctx, const struct kube *k, char **argv, struct json *out)
{
    AUTO(kube_events_clear) struct kube_events l = {0};

    TRY(kube_list_events(ctx, k, argv[0], argv[1], &l));
    for (size_t i = 0; i < l.n; i++) {
        struct json *o = pair("reason", l.items[i].reason);

        json_put(o, "message", json_new_str(l.items[i].message));
        json_put(o, "by", json_new_str(l.items[i].by));
        json_put(o, "count", json_new_u64(l.items[i].count));
        json_put(o, "last_at", json_new_u64((uint64_t)l.items[i].last_at));
        say(o);
    }
    return NULL;
}

/* ---- watches ------------------------------------------------------------------------------- */

static struct err *say_seen(void *arg, enum kube_seen what, const struct json *object,
                            bool *ret_stop)
{
    const char *last = arg;
    const struct json *name = json_get(json_get(object, "metadata"), "name");
    struct json *o = pair("seen", kube_seen_name(what));
    const char *text;

    json_put(o, "name", json_ref(name));
    say(o);
    TRY(json_as_str(name, &text));
    *ret_stop = what == KUBE_DELETED && str_eq(text, last);
    return NULL;
}

static struct err *say_listed(void *arg, bool *ret_stop)
{
    say(pair("listed", "yes"));
    return NULL;
}

/* Ends when the config map of that name is deleted. */
static struct err *run_watch(struct ctx *ctx, const struct kube *k, char **argv, struct json *out)
{
    const struct kube_watch w = {
        .kind = KUBE_CONFIG_MAP,
        .name_space = argv[0],
        .within_ms = 90000,
        .seen = say_seen,
        .listed = say_listed,
        .tick = say_tick,
        .arg = argv[1],
    };

    return kube_watch(ctx, k, &w);
}

/* ---- leases -------------------------------------------------------------------------------- */

static void say_lease(const struct kube_lease *l, bool ours, uint32_t wait_ms)
{
    struct json *o = pair("holder", l->holder);

    json_put(o, "ours", json_new_bool(ours));
    json_put(o, "wait_ms", json_new_u64(wait_ms));
    json_put(o, "transitions", json_new_u64(l->transitions));
    say(o);
}

/* NAMESPACE NAME HOLDER SECONDS WHAT: until it is ours; then WHAT is keep, renew or release. */
static struct err *run_lease(struct ctx *ctx, const struct kube *k, char **argv, struct json *out)
{
    AUTO(kube_lease_seen_clear) struct kube_lease_seen memory = {0};
    AUTO(kube_lease_clear) struct kube_lease l = {0};
    struct kube_lease_want want = {.name_space = argv[0], .name = argv[1], .holder = argv[2]};
    uint32_t wait_ms;
    bool ours = false;
    uint64_t s;

    TRY(parse_u64(argv[3], 1, 1000, &s));
    want.duration_s = (uint32_t)s;
    while (!ours) {
        TRY(kube_lease_take(ctx, k, &want, &memory, &l, &ours, &wait_ms));
        say_lease(&l, ours, wait_ms);
        if (!ours)
            ctx->clock->wait(wait_ms * 1000000ULL, NULL);
    }
    if (str_eq(argv[4], "renew"))
        for (char line[8]; fgets(line, sizeof(line), stdin);) {
            TRY(kube_lease_renew(ctx, k, &l));
            say_lease(&l, true, 0);
        }
    return str_eq(argv[4], "release") ? kube_lease_release(ctx, k, &l) : NULL;
}

/* -------------------------------------------------------------------------------------------- */

static const struct verb verbs[] = {
    {"scale", 5, run_scale},                       /* NAMESPACE NAME UID GENERATION REPLICAS */
    {"delete-pod", 5, run_delete_pod},             /* NAMESPACE NAME UID 0 SECONDS */
    {"cordon", 3, run_cordon},                     /* NODE UID MARK */
    {"uncordon", 3, run_uncordon},                 /* NODE UID MARK */
    {"annotate", 6, run_annotate},                 /* NAMESPACE NAME UID 0 KEY VALUE */
    {"template", 5, run_template},                 /* NAMESPACE NAME UID GENERATION JSON */
    {"apply", 2, run_apply},                       /* JSON force|no */
    {"create-namespace", 1, run_create_namespace}, /* NAME */
    {"delete-namespace", 1, run_delete_namespace}, /* NAME */
    {"gone", 5, run_gone},                         /* NAMESPACE POD UID 0 SECONDS */
    {"who", 2, run_who},                           /* NAMESPACE DEPLOYMENT */
    {"events", 2, run_events},                     /* NAMESPACE UID */
    {"watch", 2, run_watch},                       /* NAMESPACE LAST */
    {"lease", 5, run_lease}, /* NAMESPACE NAME HOLDER SECONDS keep|renew|release */
};

static struct err *run(struct ctx *ctx, char **argv, int argc, struct json *out)
{
    AUTO(kubeconfig_paths_clear) struct kubeconfig_paths paths = {0};
    AUTO(kube_access_clear) struct kube_access access = {0};
    struct kube k = {.access = &access, .timeout_ms = 5000, .retry_ms = 3000};
    const struct kubeconfig_places where = {.flag = argv[0]};

    k.dry_run = argc > 1 && str_eq(argv[1], "--dry");
    argv += 1 + k.dry_run;
    argc -= 1 + k.dry_run;
    TRY(kubeconfig_find(ctx, &where, &paths));
    TRY(kubeconfig_load(ctx, &paths, NULL, &access));
    for (size_t i = 0; argc && i < ARRAY_LEN(verbs); i++)
        if (str_eq(verbs[i].name, argv[0]) && verbs[i].argc == argc - 1)
            return verbs[i].run(ctx, &k, argv + 1, out);
    return err_new(ERR_BADINPUT, "see the usage");
}

int main(int argc, char **argv)
{
    struct ctx ctx = {.http = &http_curl, .clock = &clock_system, .proc = &proc_system};
    AUTO(fsroot_closep) struct fsroot *root = NULL;
    struct json *out = json_new_object();
    AUTO(err_freep) struct err *e = fsroot_open("/", &root);

    ctx.root = root;
    if (!e && argc > 2)
        e = run(&ctx, argv + 1, argc - 1, out);
    if (e) {
        json_put(out, "kind", json_new_str(err_kind_name(e->kind)));
        json_put(out, "text", json_new_str(e->text));
        json_put(out, "conflict", json_new_bool(kube_is_conflict(e)));
    }
    say(out);
    return e ? 1 : 0;
}
