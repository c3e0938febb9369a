/* Asks a real Docker or Kubernetes with our clients and prints what was understood as JSON, for the
 * tests to compare with what the real tools say.
 *
 * usage: driver docker SOCKET [CONTAINER]
 *        driver kube KUBECONFIG CONTEXT NAMESPACE DEPLOYMENT NODE
 * An error is {"kind": …, "text": …}, exit 1. */
#include <stdio.h>

#include "base/json.h"
#include "base/str.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "io/http.h"
#include "runtime/docker.h"
#include "runtime/kube.h"

static void put_i64(struct json *o, const char *key, int64_t v)
{
    if (v < 0)
        json_put(o, key, json_new_str("negative"));
    else
        json_put(o, key, json_new_u64((uint64_t)v));
}

static void put_str(struct json *o, const char *key, const char *v)
{
    json_put(o, key, json_new_str(v));
}

/* ---- Docker ------------------------------------------------------------------------------------
 */

static struct json *container(const struct docker_inspect *c)
{
    struct json *o = json_new_object(), *mounts = json_new_array();

    put_str(o, "id", c->id);
    put_str(o, "name", c->name);
    put_str(o, "image", c->image);
    put_str(o, "kind_cluster", c->kind_cluster);
    put_str(o, "status", c->status);
    json_put(o, "running", json_new_bool(c->running));
    json_put(o, "oom_killed", json_new_bool(c->oom_killed));
    json_put(o, "privileged", json_new_bool(c->privileged));
    put_i64(o, "pid", c->pid);
    put_i64(o, "exit_code", c->exit_code);
    put_i64(o, "started_at", c->started_at);
    put_i64(o, "finished_at", c->finished_at);
    put_str(o, "restart_policy", c->restart_policy);
    json_put(o, "restart_count", json_new_u64(c->restart_count));
    json_put(o, "memory_b", json_new_u64(c->memory_b));
    put_str(o, "ip", c->ip);
    for (size_t i = 0; i < c->n_mounts; i++) {
        struct json *m = json_new_object();

        put_str(m, "source", c->mounts[i].source);
        put_str(m, "destination", c->mounts[i].destination);
        put_str(m, "propagation", c->mounts[i].propagation);
        json_put(m, "rw", json_new_bool(c->mounts[i].rw));
        json_push(mounts, m);
    }
    json_put(o, "mounts", mounts);
    return o;
}

static struct err *ask_docker(struct ctx *ctx, char **argv, struct json *out)
{
    AUTO(docker_info_clear) struct docker_info info = {0};
    AUTO(docker_list_clear) struct docker_list list = {0};
    AUTO(docker_inspect_clear) struct docker_inspect c = {0};
    struct json *names = json_new_array();
    struct docker d;

    json_put(out, "kind_nodes", names);
    TRY(docker_connect(ctx, *argv[0] ? argv[0] : NULL, 0, &d));
    TRY(docker_get_info(ctx, &d, &info));
    TRY(docker_list_containers(ctx, &d, NULL, "", &list));
    put_str(out, "version", d.version);
    put_str(out, "api", d.api);
    put_str(out, "root_dir", info.root_dir);
    put_str(out, "driver", info.driver);
    put_str(out, "cgroup_driver", info.cgroup_driver);
    json_put(out, "cgroup_version", json_new_u64(info.cgroup_version));
    json_put(out, "live_restore", json_new_bool(info.live_restore));
    for (size_t i = 0; i < list.n; i++)
        json_push(names, json_new_str(list.items[i].name));
    if (!argv[1])
        return NULL;
    TRY(docker_inspect(ctx, &d, argv[1], &c));
    json_put(out, "container", container(&c));
    return NULL;
}

/* ---- Kubernetes --------------------------------------------------------------------------------
 */

static struct json *meta(const struct kube_meta *m)
{
    struct json *o = json_new_object();

    put_str(o, "name", m->name);
    put_str(o, "uid", m->uid);
    put_str(o, "resource_version", m->resource_version);
    put_str(o, "owner_kind", m->owner_kind);
    json_put(o, "generation", json_new_u64(m->generation));
    json_put(o, "deleting", json_new_bool(m->deleting));
    put_i64(o, "created_at", m->created_at);
    return o;
}

static struct json *volumes(const struct kube_pod_spec *s, const char *name_space,
                            const struct kube_pvs *pvs, const struct kube_pvcs *pvcs)
{
    struct json *o = json_new_object();

    for (size_t i = 0; i < s->n_volumes; i++)
        put_str(o, s->volumes[i].name, kube_volume_path(&s->volumes[i], name_space, pvs, pvcs));
    return o;
}

static struct json *containers(const struct kube_pod_spec *s)
{
    struct json *list = json_new_array();

    for (size_t i = 0; i < s->n_containers; i++) {
        const struct kube_container *c = &s->containers[i];
        struct json *o = json_new_object();

        put_str(o, "name", c->name);
        json_put(o, "memory_limit_b", json_new_u64(c->memory_limit_b));
        json_put(o, "cpu_limit_m", json_new_u64(c->cpu_limit_m));
        put_str(o, "liveness", c->liveness.set ? c->liveness.how : NULL);
        json_put(o, "liveness_period_s", json_new_u64(c->liveness.period_s));
        json_put(o, "liveness_failures", json_new_u64(c->liveness.failures));
        put_str(o, "readiness", c->readiness.set ? c->readiness.how : NULL);
        json_put(o, "mounts", json_new_u64(c->n_mounts));
        json_push(list, o);
    }
    return list;
}

static struct json *pods_of(const struct kube_pods *pods)
{
    struct json *list = json_new_array();

    for (size_t i = 0; i < pods->n; i++) {
        const struct kube_pod *p = &pods->items[i];
        struct json *o = json_new_object(), *statuses = json_new_array();

        json_put(o, "meta", meta(&p->meta));
        put_str(o, "phase", p->phase);
        put_str(o, "ip", p->pod_ip);
        put_str(o, "node", p->spec.node);
        json_put(o, "ready", json_new_bool(p->ready));
        put_i64(o, "started_at", p->started_at);
        for (size_t k = 0; k < p->n_statuses; k++) {
            const struct kube_container_status *s = &p->statuses[k];
            struct json *one = json_new_object();

            put_str(one, "name", s->name);
            put_str(one, "container_id", s->container_id);
            json_put(one, "restarts", json_new_u64(s->restarts));
            json_put(one, "running", json_new_bool(s->state.kind == KUBE_RUN_RUNNING));
            put_str(one, "last_reason", s->last.reason);
            put_i64(one, "last_exit", s->last.exit_code);
            json_push(statuses, one);
        }
        json_put(o, "statuses", statuses);
        json_push(list, o);
    }
    return list;
}

static struct json *node_of(const struct kube_node *n)
{
    const struct kube_condition *ready = kube_node_condition(n, "Ready");
    struct json *o = json_new_object();

    json_put(o, "meta", meta(&n->meta));
    put_str(o, "ready", ready ? ready->status : NULL);
    json_put(o, "cordoned", json_new_bool(n->cordoned));
    put_str(o, "internal_ip", n->internal_ip);
    put_str(o, "kubelet", n->kubelet_version);
    json_put(o, "memory_b", json_new_u64(n->memory_b));
    return o;
}

/* argv: NAMESPACE DEPLOYMENT NODE */
static struct err *ask_objects(struct ctx *ctx, const struct kube *k, char **argv, struct json *out)
{
    AUTO(kube_deployment_clear) struct kube_deployment d = {0};
    AUTO(kube_pods_clear) struct kube_pods pods = {0};
    AUTO(kube_pvs_clear) struct kube_pvs pvs = {0};
    AUTO(kube_pvcs_clear) struct kube_pvcs pvcs = {0};
    AUTO(kube_node_clear) struct kube_node node = {0};

    TRY(kube_get_deployment(ctx, k, argv[0], argv[1], &d));
    TRY(kube_list_pods(ctx, k, argv[0], d.selector, &pods));
    TRY(kube_list_pvs(ctx, k, &pvs));
    TRY(kube_list_pvcs(ctx, k, argv[0], &pvcs));
    TRY(kube_get_node(ctx, k, argv[2], &node));
    json_put(out, "meta", meta(&d.meta));
    json_put(out, "replicas", json_new_u64(d.replicas));
    json_put(out, "ready", json_new_u64(d.ready));
    json_put(out, "observed_generation", json_new_u64(d.observed_generation));
    put_str(out, "strategy", d.strategy);
    put_str(out, "selector", d.selector);
    put_i64(out, "grace_s", d.spec.grace_s);
    json_put(out, "host_network", json_new_bool(d.spec.host_network));
    json_put(out, "containers", containers(&d.spec));
    json_put(out, "volumes", volumes(&d.spec, argv[0], &pvs, &pvcs));
    json_put(out, "pods", pods_of(&pods));
    json_put(out, "pvs", json_new_u64(pvs.n));
    json_put(out, "node", node_of(&node));
    return NULL;
}

static struct err *ask_kube(struct ctx *ctx, char **argv, struct json *out)
{
    AUTO(kubeconfig_paths_clear) struct kubeconfig_paths paths = {0};
    AUTO(kube_access_clear) struct kube_access access = {0};
    AUTO(freep) char *version = NULL;
    const struct kubeconfig_places where = {.flag = argv[0]};
    struct kube k = {.access = &access, .timeout_ms = 5000};

    TRY(kubeconfig_find(ctx, &where, &paths));
    TRY(kubeconfig_load(ctx, &paths, *argv[1] ? argv[1] : NULL, &access));
    put_str(out, "server", access.server);
    put_str(out, "context", access.context);
    TRY(kube_get_version(ctx, &k, &version));
    put_str(out, "version", version);
    return argv[2] ? ask_objects(ctx, &k, argv + 2, out) : NULL;
}

int main(int argc, char **argv)
{
    struct ctx ctx = {.http = &http_curl, .clock = &clock_system};
    AUTO(fsroot_closep) struct fsroot *root = NULL;
    AUTO(json_freep) struct json *out = json_new_object();
    AUTO(err_freep) struct err *e = fsroot_open("/", &root);

    ctx.root = root;
    if (!e && argc >= 3 && str_eq(argv[1], "docker"))
        e = ask_docker(&ctx, argv + 2, out);
    else if (!e && (argc == 4 || argc == 7) && str_eq(argv[1], "kube"))
        e = ask_kube(&ctx, argv + 2, out);
    else if (!e)
        return 2;
    if (e) {
        put_str(out, "kind", err_kind_name(e->kind));
        put_str(out, "text", e->text);
    }
    AUTO(freep) char *text = json_text(out, false);
    puts(text);
    return e ? 1 : 0;
}
