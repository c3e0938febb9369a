/* Pods and Deployments from JSON: the few members that agavectl needs of each; what stands around
 * them is in kube_around.c. Defaults are those of the API (k8s.io/api 0.34, apps/v1 and core/v1),
 * which an API server has filled in.
 */
#include "base/json.h"
#include "base/str.h"
#include "runtime/fields.h"
#include "runtime/kube.h"
#include "runtime/kube_parts.h"

#define ITEMS_MAX              10000
#define GRACE_S                30 /* of a pod that does not say */
#define AT(type, member)       offsetof(struct type, member)
#define READ(json, table, ret) fields_read(json, table, ARRAY_LEN(table), ret)

/* ---- quantities (apimachinery/pkg/api/resource) ------------------------------------------------
 */

static const struct {
    const char *suffix;
    unsigned base, power;
} scales[] = {
    {"", 10, 0},   {"k", 10, 3},  {"M", 10, 6},  {"G", 10, 9},  {"T", 10, 12},
    {"P", 10, 15}, {"E", 10, 18}, {"Ki", 2, 10}, {"Mi", 2, 20}, {"Gi", 2, 30},
    {"Ti", 2, 40}, {"Pi", 2, 50}, {"Ei", 2, 60},
};

static struct err *bad_quantity(const char *text)
{
    AUTO(freep) char *shown = str_shown(text, 40);

    return err_remote(0, "expected a quantity, got '%s'", shown);
}

typedef unsigned __int128 wide;

/* v × base^power; false: more than 64 bits, with room for the fraction's thousandths. */
static bool scale_up(wide *v, unsigned base, unsigned power)
{
    while (power--) {
        *v *= base;
        if (*v >> 96)
            return false;
    }
    return true;
}

/* Digits with at most one point, as v / 10^ret_scale. */
static bool mantissa(const char **p, wide *ret, unsigned *ret_scale)
{
    bool point = false, any = false;

    *ret = 0;
    *ret_scale = 0;
    for (;; (*p)++) {
        if (**p == '.' && !point) {
            point = true;
            continue;
        }
        if (**p < '0' || **p > '9')
            return any;
        any = true;
        if (*ret >> 60)
            return false;
        *ret = *ret * 10 + (unsigned)(**p - '0');
        *ret_scale += point;
    }
}

/* "", "Gi", "m", "e9", "E-3": as base^power, below by 10^ret_down. */
static bool suffix(const char *p, unsigned *ret_base, unsigned *ret_up, unsigned *ret_down)
{
    static const struct {
        char c;
        unsigned down;
    } small[] = {{'m', 3}, {'u', 6}, {'n', 9}};

    *ret_base = 10;
    *ret_up = *ret_down = 0;
    for (size_t i = 0; i < ARRAY_LEN(small); i++)
        if (p[0] == small[i].c && !p[1]) {
            *ret_down = small[i].down;
            return true;
        }
    for (size_t i = 0; i < ARRAY_LEN(scales); i++)
        if (str_eq(p, scales[i].suffix)) {
            *ret_base = scales[i].base;
            *ret_up = scales[i].power;
            return true;
        }
    if (*p != 'e' && *p != 'E')
        return false;
    p++;
    unsigned *to = *p == '-' ? ret_down : ret_up;
    uint64_t v;
    struct err *e = parse_u64(p + (*p == '-' || *p == '+'), 0, 18, &v);

    if (e) {
        err_free(e);
        return false;
    }
    *to = (unsigned)v;
    return true;
}

struct err *kube_parse_quantity(const char *text, uint32_t scale, uint64_t *ret)
{
    unsigned fraction, base, up, down;
    const char *p = text;
    wide v, div = 1;

    if (!mantissa(&p, &v, &fraction) || !suffix(p, &base, &up, &down))
        return bad_quantity(text);
    if (!scale_up(&v, base, up) || !scale_up(&div, 10, fraction + down))
        return bad_quantity(text);
    v = (v * scale + div - 1) / div;
    if (v > UINT64_MAX)
        return bad_quantity(text);
    *ret = (uint64_t)v;
    return NULL;
}

struct err *kube_read_quantity(const struct json *j, const char *path, uint32_t scale,
                               uint64_t *ret)
{
    const struct json *member = fields_at(j, path);
    const char *text;

    if (!member)
        return NULL;
    TRY_CTX(json_as_str(member, &text), "%s", path);
    return err_wrap(kube_parse_quantity(text, scale, ret), "%s", path);
}

/* ---- lists -------------------------------------------------------------------------------------
 */

struct err *kube_read_list(const struct json *j, const char *path, kube_read_fn *read,
                           size_t size_b, void *ret_items, size_t *ret_n)
{
    const struct json *list;
    size_t old = *ret_n, more;
    char *items;

    TRY(fields_list(j, path, &list));
    more = json_len(list);
    if (more > ITEMS_MAX)
        return err_remote(0, "%s: more than %d of them", path, ITEMS_MAX);
    if (!more)
        return NULL;
    memcpy(&items, ret_items, sizeof(items));
    items = xrealloc(items, (old + more) * size_b);
    memset(items + old * size_b, 0, more * size_b);
    memcpy(ret_items, &items, sizeof(items));
    for (size_t i = 0; i < more; i++) {
        (*ret_n)++;
        TRY_CTX(read(json_at(list, i), items + (old + i) * size_b), "%s[%zu]", path, i);
    }
    return NULL;
}

static struct err *read_texts(const struct json *j, const char *path, struct strlist *ret)
{
    const struct json *list;

    TRY(fields_list(j, path, &list));
    for (size_t i = 0; i < json_len(list); i++) {
        const char *text;

        TRY_CTX(json_as_str(json_at(list, i), &text), "%s[%zu]", path, i);
        strlist_add(ret, text);
    }
    return NULL;
}

/* ---- metadata ----------------------------------------------------------------------------------
 */

static const struct field meta_fields[] = {
    {"name", FIELD_STR, AT(kube_meta, name)},
    {"namespace", FIELD_STR, AT(kube_meta, name_space)},
    {"uid", FIELD_STR, AT(kube_meta, uid)},
    {"resourceVersion", FIELD_STR, AT(kube_meta, resource_version)},
    {"generation", FIELD_U64, AT(kube_meta, generation)},
    {"creationTimestamp", FIELD_TIME, AT(kube_meta, created_at)},
    {"deletionTimestamp", FIELD_TIME, AT(kube_meta, deletion_at)},
    {"deletionGracePeriodSeconds", FIELD_I64, AT(kube_meta, deletion_grace_s)},
};

static const struct field owner_fields[] = {
    {"kind", FIELD_STR, AT(kube_meta, owner_kind)},
    {"name", FIELD_STR, AT(kube_meta, owner_name)},
    {"uid", FIELD_STR, AT(kube_meta, owner_uid)},
};

/* A map of texts as "key=value"; what is no text is left out: nothing of ours is. */
static void read_pairs(const struct json *j, const char *path, struct strlist *ret)
{
    const struct json *map = fields_at(j, path);
    AUTO(strlist_clear) struct strlist keys = {0};

    json_keys(map, &keys);
    for (size_t i = 0; i < keys.n; i++) {
        const char *value;
        struct err *e = json_as_str(json_get(map, keys.items[i]), &value);

        if (!e)
            strlist_addf(ret, "%s=%s", keys.items[i], value);
        err_free(e);
    }
}

struct err *kube_read_meta(const struct json *j, struct kube_meta *m)
{
    const struct json *meta = json_get(j, "metadata"), *owners;

    m->deletion_grace_s = -1;
    TRY_CTX(READ(meta, meta_fields, m), "metadata");
    if (!m->name || !*m->name)
        return err_remote(0, "metadata: no name");
    if (!m->name_space)
        m->name_space = xstrdup("");
    m->deleting = json_get(meta, "deletionTimestamp");
    read_pairs(meta, "labels", &m->labels);
    read_pairs(meta, "annotations", &m->annotations);
    TRY(read_texts(meta, "finalizers", &m->finalizers));
    TRY(fields_list(meta, "ownerReferences", &owners));
    for (size_t i = 0; i < json_len(owners); i++) {
        const struct json *owner = json_at(owners, i);
        bool controls = false;

        if (json_get(owner, "controller"))
            TRY_CTX(json_as_bool(json_get(owner, "controller"), &controls), "controller");
        if (controls)
            return err_wrap(READ(owner, owner_fields, m), "metadata: ownerReferences");
    }
    return NULL;
}

/* ---- pods: what is wanted ----------------------------------------------------------------------
 */

static const struct field probe_fields[] = {
    {"initialDelaySeconds", FIELD_U32, AT(kube_probe, initial_delay_s)},
    {"periodSeconds", FIELD_U32, AT(kube_probe, period_s)},
    {"timeoutSeconds", FIELD_U32, AT(kube_probe, timeout_s)},
    {"failureThreshold", FIELD_U32, AT(kube_probe, failures)},
    {"successThreshold", FIELD_U32, AT(kube_probe, successes)},
    {"terminationGracePeriodSeconds", FIELD_I64, AT(kube_probe, grace_s)},
};

static struct err *read_probe(const struct json *container, const char *name, struct kube_probe *p)
{
    static const char *const ways[] = {"exec", "httpGet", "tcpSocket", "grpc"};
    const struct json *j = json_get(container, name);

    *p = (struct kube_probe){.how = "other",
                             .period_s = 10,
                             .timeout_s = 1,
                             .failures = 3,
                             .successes = 1,
                             .grace_s = -1};
    if (!j)
        return NULL;
    p->set = true;
    for (size_t i = 0; i < ARRAY_LEN(ways); i++)
        if (json_get(j, ways[i]))
            p->how = ways[i];
    return err_wrap(READ(j, probe_fields, p), "%s", name);
}

static const struct field volume_mount_fields[] = {
    {"name", FIELD_STR, AT(kube_volume_mount, volume)},
    {"mountPath", FIELD_STR, AT(kube_volume_mount, path)},
    {"subPath", FIELD_STR, AT(kube_volume_mount, sub_path)},
    {"mountPropagation", FIELD_STR, AT(kube_volume_mount, propagation)},
    {"readOnly", FIELD_BOOL, AT(kube_volume_mount, read_only)},
};

static struct err *read_volume_mount(const struct json *j, void *ret)
{
    struct kube_volume_mount *m = ret;

    TRY(READ(j, volume_mount_fields, m));
    return m->volume && m->path ? NULL : err_remote(0, "no name or no mountPath");
}

static const struct field container_fields[] = {
    {"name", FIELD_STR, AT(kube_container, name)},
    {"image", FIELD_STR, AT(kube_container, image)},
    {"securityContext/privileged", FIELD_BOOL, AT(kube_container, privileged)},
    {"lifecycle/stopSignal", FIELD_STR, AT(kube_container, stop_signal)},
    {"lifecycle/preStop/sleep/seconds", FIELD_U64, AT(kube_container, pre_stop_sleep_s)},
};

static struct err *read_pre_stop(const struct json *j, struct kube_container *c)
{
    static const char *const ways[] = {"exec", "httpGet", "sleep", "tcpSocket"};
    const struct json *hook = fields_at(j, "lifecycle/preStop");

    c->has_pre_stop = hook;
    c->pre_stop_how = hook ? "other" : "none";
    for (size_t i = 0; i < ARRAY_LEN(ways); i++)
        if (json_get(hook, ways[i]))
            c->pre_stop_how = ways[i];
    return read_texts(j, "lifecycle/preStop/exec/command", &c->pre_stop);
}

static struct err *read_container(const struct json *j, void *ret)
{
    struct kube_container *c = ret;

    TRY(READ(j, container_fields, c));
    if (!c->name)
        return err_remote(0, "no name");
    TRY(read_texts(j, "command", &c->command));
    TRY(read_texts(j, "args", &c->args));
    TRY(read_probe(j, "livenessProbe", &c->liveness));
    TRY(read_probe(j, "readinessProbe", &c->readiness));
    TRY(read_probe(j, "startupProbe", &c->startup));
    TRY(kube_read_quantity(j, "resources/limits/memory", 1, &c->memory_limit_b));
    TRY(kube_read_quantity(j, "resources/requests/memory", 1, &c->memory_request_b));
    TRY(kube_read_quantity(j, "resources/limits/cpu", 1000, &c->cpu_limit_m));
    TRY(read_pre_stop(j, c));
    return kube_read_list(j, "volumeMounts", read_volume_mount, sizeof(*c->mounts), &c->mounts,
                          &c->n_mounts);
}

static const struct {
    const char *member;
    enum kube_volume_kind kind;
    const char *source, *type;
} volume_kinds[] = {
    {"hostPath", KUBE_VOL_HOST_PATH, "hostPath/path", "hostPath/type"},
    {"persistentVolumeClaim", KUBE_VOL_CLAIM, "persistentVolumeClaim/claimName", "-"},
    {"emptyDir", KUBE_VOL_EMPTY_DIR, "-", "-"},
};

static struct err *read_volume(const struct json *j, void *ret)
{
    struct kube_volume *v = ret;
    const struct field name[] = {{"name", FIELD_STR, AT(kube_volume, name)}};

    TRY(READ(j, name, v));
    if (!v->name)
        return err_remote(0, "no name");
    for (size_t i = 0; i < ARRAY_LEN(volume_kinds); i++) {
        const struct field more[] = {
            {volume_kinds[i].source, FIELD_STR, AT(kube_volume, source)},
            {volume_kinds[i].type, FIELD_STR, AT(kube_volume, type)},
        };

        if (!json_is_object(json_get(j, volume_kinds[i].member)))
            continue;
        v->kind = volume_kinds[i].kind;
        TRY(READ(j, more, v));
    }
    if (v->kind == KUBE_VOL_EMPTY_DIR) {
        const struct json *medium = fields_at(j, "emptyDir/medium");
        const char *text = "";

        if (medium)
            TRY_CTX(json_as_str(medium, &text), "medium");
        v->in_memory = str_eq(text, "Memory");
        return kube_read_quantity(j, "emptyDir/sizeLimit", 1, &v->size_limit_b);
    }
    if (v->kind != KUBE_VOL_OTHER && !v->source)
        return err_remote(0, "no source");
    return NULL;
}

static const struct field spec_fields[] = {
    {"terminationGracePeriodSeconds", FIELD_I64, AT(kube_pod_spec, grace_s)},
    {"restartPolicy", FIELD_STR, AT(kube_pod_spec, restart_policy)},
    {"nodeName", FIELD_STR, AT(kube_pod_spec, node)},
    {"priorityClassName", FIELD_STR, AT(kube_pod_spec, priority_class)},
    {"hostNetwork", FIELD_BOOL, AT(kube_pod_spec, host_network)},
    {"hostPID", FIELD_BOOL, AT(kube_pod_spec, host_pid)},
    {"shareProcessNamespace", FIELD_BOOL, AT(kube_pod_spec, share_process_namespace)},
};

static struct err *read_spec(const struct json *j, struct kube_pod_spec *s)
{
    s->grace_s = GRACE_S;
    TRY(READ(j, spec_fields, s));
    TRY(kube_read_list(j, "initContainers", read_container, sizeof(*s->containers), &s->containers,
                       &s->n_containers));
    for (size_t i = 0; i < s->n_containers; i++)
        s->containers[i].init = true;
    TRY(kube_read_list(j, "containers", read_container, sizeof(*s->containers), &s->containers,
                       &s->n_containers));
    return kube_read_list(j, "volumes", read_volume, sizeof(*s->volumes), &s->volumes,
                          &s->n_volumes);
}

/* ---- pods: what is -----------------------------------------------------------------------------
 */

static const struct field run_fields[] = {
    {"reason", FIELD_STR, AT(kube_run_state, reason)},
    {"exitCode", FIELD_I64, AT(kube_run_state, exit_code)},
    {"signal", FIELD_I64, AT(kube_run_state, signal)},
    {"startedAt", FIELD_TIME, AT(kube_run_state, started_at)},
    {"finishedAt", FIELD_TIME, AT(kube_run_state, finished_at)},
};

static struct err *read_run(const struct json *j, const char *path, struct kube_run_state *r)
{
    static const struct {
        const char *member;
        enum kube_run kind;
    } kinds[] = {{"waiting", KUBE_RUN_WAITING},
                 {"running", KUBE_RUN_RUNNING},
                 {"terminated", KUBE_RUN_TERMINATED}};
    const struct json *state = json_get(j, path);

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct json *one = json_get(state, kinds[i].member);

        if (!one)
            continue;
        r->kind = kinds[i].kind;
        return err_wrap(READ(one, run_fields, r), "%s: %s", path, kinds[i].member);
    }
    return NULL;
}

static const struct field status_fields[] = {
    {"name", FIELD_STR, AT(kube_container_status, name)},
    {"image", FIELD_STR, AT(kube_container_status, image)},
    {"containerID", FIELD_STR, AT(kube_container_status, container_id)},
    {"ready", FIELD_BOOL, AT(kube_container_status, ready)},
    {"started", FIELD_BOOL, AT(kube_container_status, started)},
    {"restartCount", FIELD_U64, AT(kube_container_status, restarts)},
};

static struct err *read_status(const struct json *j, void *ret)
{
    struct kube_container_status *s = ret;

    TRY(READ(j, status_fields, s));
    if (!s->name)
        return err_remote(0, "no name");
    TRY(read_run(j, "state", &s->state));
    return read_run(j, "lastState", &s->last);
}

static const struct field condition_fields[] = {
    {"type", FIELD_STR, AT(kube_condition, type)},
    {"status", FIELD_STR, AT(kube_condition, status)},
    {"reason", FIELD_STR, AT(kube_condition, reason)},
    {"message", FIELD_STR, AT(kube_condition, message)},
    {"lastHeartbeatTime", FIELD_TIME, AT(kube_condition, beat_at)},
};

struct err *kube_read_condition(const struct json *j, void *ret)
{
    struct kube_condition *c = ret;

    TRY(READ(j, condition_fields, c));
    return c->type && c->status ? NULL : err_remote(0, "no type or no status");
}

static const struct field pod_fields[] = {
    {"status/phase", FIELD_STR, AT(kube_pod, phase)},
    {"status/reason", FIELD_STR, AT(kube_pod, reason)},
    {"status/podIP", FIELD_STR, AT(kube_pod, pod_ip)},
    {"status/hostIP", FIELD_STR, AT(kube_pod, host_ip)},
    {"status/qosClass", FIELD_STR, AT(kube_pod, qos)},
    {"status/startTime", FIELD_TIME, AT(kube_pod, started_at)},
};

struct conditions {
    struct kube_condition *items;
    size_t n;
};

static void conditions_clear(struct conditions *c)
{
    kube_conditions_free(c->items, c->n);
}

static struct err *read_pod(const struct json *j, void *ret)
{
    AUTO(conditions_clear) struct conditions conditions = {0};
    struct kube_pod *p = ret;

    TRY(kube_read_meta(j, &p->meta));
    TRY(READ(j, pod_fields, p));
    TRY_CTX(read_spec(json_get(j, "spec"), &p->spec), "spec");
    TRY(kube_read_list(j, "status/conditions", kube_read_condition, sizeof(*conditions.items),
                       &conditions.items, &conditions.n));
    for (size_t i = 0; i < conditions.n; i++)
        if (str_eq(conditions.items[i].type, "Ready"))
            p->ready = str_eq(conditions.items[i].status, "True");
    TRY(kube_read_list(j, "status/initContainerStatuses", read_status, sizeof(*p->statuses),
                       &p->statuses, &p->n_statuses));
    for (size_t i = 0; i < p->n_statuses; i++)
        p->statuses[i].init = true;
    return kube_read_list(j, "status/containerStatuses", read_status, sizeof(*p->statuses),
                          &p->statuses, &p->n_statuses);
}

/* ---- whole answers -----------------------------------------------------------------------------
 */

struct err *kube_need_kind(const struct json *j, const char *kind)
{
    const char *got = "nothing";

    if (json_get(j, "kind"))
        TRY_CTX(json_as_str(json_get(j, "kind"), &got), "kind");
    if (str_eq(got, kind))
        return NULL;
    AUTO(freep) char *shown = str_shown(got, 40);
    return err_remote(0, "expected a %s, got '%s'", kind, shown);
}

struct err *kube_need_list(const struct json *j, const char *kind)
{
    const struct json *more = fields_at(j, "metadata/continue");
    const char *text = "";

    TRY(kube_need_kind(j, kind));
    if (more)
        TRY_CTX(json_as_str(more, &text), "continue");
    return *text ? err_remote(0, "a part of the list only") : NULL;
}

struct err *kube_parse_pods(const char *body, size_t n, struct kube_pods *ret)
{
    AUTO(json_freep) struct json *j = NULL;
    AUTO(kube_pods_clear) struct kube_pods l = {0};

    TRY(json_parse(body, n, &j));
    TRY(kube_need_list(j, "PodList"));
    TRY(kube_read_list(j, "items", read_pod, sizeof(*l.items), &l.items, &l.n));
    *ret = l;
    l = (struct kube_pods){0};
    return NULL;
}

struct err *kube_read_pod(const struct json *j, struct kube_pod *ret)
{
    AUTO(kube_pod_clear) struct kube_pod p = {0};

    TRY(read_pod(j, &p));
    *ret = p;
    p = (struct kube_pod){0};
    return NULL;
}

struct err *kube_parse_pod(const char *body, size_t n, struct kube_pod *ret)
{
    AUTO(json_freep) struct json *j = NULL;

    TRY(json_parse(body, n, &j));
    TRY(kube_need_kind(j, "Pod"));
    return kube_read_pod(j, ret);
}

static const struct field deployment_fields[] = {
    {"spec/replicas", FIELD_U64, AT(kube_deployment, replicas)},
    {"spec/paused", FIELD_BOOL, AT(kube_deployment, paused)},
    {"spec/strategy/type", FIELD_STR, AT(kube_deployment, strategy)},
    {"status/replicas", FIELD_U64, AT(kube_deployment, now)},
    {"status/readyReplicas", FIELD_U64, AT(kube_deployment, ready)},
    {"status/availableReplicas", FIELD_U64, AT(kube_deployment, available)},
    {"status/updatedReplicas", FIELD_U64, AT(kube_deployment, updated)},
    {"status/observedGeneration", FIELD_U64, AT(kube_deployment, observed_generation)},
};

/* matchLabels as text; an empty one would select every pod. */
static struct err *read_selector(const struct json *j, struct kube_deployment *d)
{
    const struct json *labels = fields_at(j, "spec/selector/matchLabels"), *more;
    AUTO(strlist_clear) struct strlist names = {0};
    struct strbuf text = {0};

    json_keys(labels, &names);
    for (size_t i = 0; i < names.n; i++) {
        const char *value;
        struct err *e = json_as_str(json_get(labels, names.items[i]), &value);

        if (e) {
            strbuf_clear(&text);
            return err_wrap(e, "matchLabels");
        }
        strbuf_printf(&text, "%s%s=%s", i ? "," : "", names.items[i], value);
    }
    d->selector = strbuf_take(&text);
    TRY(fields_list(j, "spec/selector/matchExpressions", &more));
    d->selector_whole = json_len(more) == 0;
    if (names.n == 0 && d->selector_whole)
        return err_remote(0, "spec/selector: selects nothing");
    return NULL;
}

struct manager {
    char *name;
    int64_t at;
};

static const struct field manager_fields[] = {
    {"manager", FIELD_STR, AT(manager, name)},
    {"time", FIELD_TIME, AT(manager, at)},
};

static void manager_clear(struct manager *m)
{
    free(m->name);
}

/* Who writes which members (meta/v1 ManagedFieldsEntry). Of two that hold spec.replicas, which both
 * have given the same value, the later one. */
static struct err *read_managers(const struct json *j, struct kube_deployment *d)
{
    const struct json *list;

    TRY(fields_list(j, "metadata/managedFields", &list));
    for (size_t i = 0; i < json_len(list); i++) {
        const struct json *one = json_at(list, i);
        AUTO(manager_clear) struct manager m = {0};

        TRY_CTX(READ(one, manager_fields, &m), "metadata/managedFields[%zu]", i);
        if (!m.name)
            continue;
        if (!strlist_has(&d->managers, m.name))
            strlist_add(&d->managers, m.name);
        if (!fields_at(one, "fieldsV1/f:spec/f:replicas") ||
            (d->replicas_by && d->replicas_at > m.at))
            continue;
        free(d->replicas_by);
        d->replicas_by = TAKE(m.name);
        d->replicas_at = m.at;
    }
    return NULL;
}

struct err *kube_read_deployment(const struct json *j, struct kube_deployment *ret)
{
    AUTO(kube_deployment_clear) struct kube_deployment d = {.replicas = 1};

    TRY(kube_read_meta(j, &d.meta));
    TRY(READ(j, deployment_fields, &d));
    TRY(read_selector(j, &d));
    TRY(read_managers(j, &d));
    TRY_CTX(read_spec(fields_at(j, "spec/template/spec"), &d.spec), "spec/template/spec");
    d.template_text = json_text(fields_at(j, "spec/template"), false);
    *ret = d;
    d = (struct kube_deployment){0};
    return NULL;
}

static struct err *read_deployment_item(const struct json *j, void *ret)
{
    return kube_read_deployment(j, ret);
}

struct err *kube_parse_deployments(const char *body, size_t n, struct kube_deployments *ret)
{
    AUTO(json_freep) struct json *j = NULL;
    AUTO(kube_deployments_clear) struct kube_deployments l = {0};

    TRY(json_parse(body, n, &j));
    TRY(kube_need_list(j, "DeploymentList"));
    TRY(kube_read_list(j, "items", read_deployment_item, sizeof(*l.items), &l.items, &l.n));
    *ret = l;
    l = (struct kube_deployments){0};
    return NULL;
}

struct err *kube_parse_deployment(const char *body, size_t n, struct kube_deployment *ret)
{
    AUTO(json_freep) struct json *j = NULL;

    TRY(json_parse(body, n, &j));
    TRY(kube_need_kind(j, "Deployment"));
    return kube_read_deployment(j, ret);
}
