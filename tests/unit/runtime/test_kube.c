/* runtime/kube: answers of a real Kubernetes 1.34.4, and what a server should not say. */
#include "runtime/kube.h"

#include "fake_api.h"

#define SERVER "https://127.0.0.1:40405"
#define NS     "laconic-laconic-test"

static struct kube_access access_;
static const struct kube kube = {.access = &access_, .timeout_ms = 700};

static int setup_access(void **state)
{
    access_ = (struct kube_access){
        .path = xstrdup("/home/op/.kube/config"),
        .user = xstrdup("kind-laconic-test"),
        .server = xstrdup(SERVER),
        .ca = xstrdup("CA"),
        .ca_n = 2,
        .cert = xstrdup("CERT"),
        .cert_n = 4,
        .key = secret_new("s3cret-key", 10),
        .token = secret_new("s3cret-token", 12),
    };
    return setup(state);
}

static int teardown_access(void **state)
{
    kube_access_clear(&access_);
    return teardown(state);
}

/* ---- what a real server says
 * --------------------------------------------------------------------- */

static void a_real_deployment_is_understood(void **state)
{
    AUTO(freep) char *text = data("kube/deployment");
    const struct row table[] = {
        {SERVER "/apis/apps/v1/namespaces/" NS "/deployments/laconic-test-deployment", 200, text},
        {NULL},
    };
    AUTO(kube_deployment_clear) struct kube_deployment d = {0};

    rows = table;
    assert_ok(kube_get_deployment(&ctx, &kube, NS, "laconic-test-deployment", &d));
    assert_true(asked_tls && asked_bearer && !asked_unix);
    assert_int_equal(asked.timeout_ms, 700);
    assert_string_equal(d.meta.name, "laconic-test-deployment");
    assert_string_equal(d.meta.name_space, NS);
    assert_int_equal(strlen(d.meta.uid), 36);
    assert_true(*d.meta.resource_version >= '0' && *d.meta.resource_version <= '9');
    assert_int_equal(d.meta.generation, 1);
    assert_int_equal(d.observed_generation, 1);
    assert_true(d.meta.created_at > 1700000000 && !d.meta.deleting);
    assert_int_equal(d.meta.deletion_grace_s, -1);
    assert_int_equal(d.replicas, 1);
    assert_int_equal(d.updated, 1);
    assert_string_equal(d.strategy, "Recreate");
    assert_string_equal(d.selector, "app=laconic-test-deployment");
    assert_true(d.selector_whole && !d.paused);
    assert_int_equal(d.spec.grace_s, 5);
    assert_true(d.spec.host_network && !d.spec.host_pid);
    assert_int_equal(d.spec.n_containers, 2);
    const struct kube_container *c = &d.spec.containers[0];
    assert_string_equal(c->name, "agave-validator");
    assert_int_equal(c->memory_limit_b, 64 << 20);
    assert_int_equal(c->cpu_limit_m, 500);
    assert_int_equal(c->command.n, 3);
    assert_string_equal(c->command.items[0], "sh");
    assert_true(c->liveness.set && c->readiness.set && !c->startup.set);
    assert_string_equal(c->liveness.how, "exec");
    assert_int_equal(c->liveness.period_s, 30);
    assert_int_equal(c->liveness.failures, 5);
    assert_int_equal(c->liveness.timeout_s, 1);
    assert_int_equal(c->liveness.grace_s, -1);
    assert_string_equal(c->readiness.how, "httpGet");
    assert_int_equal(c->n_mounts, 3);
    assert_string_equal(c->mounts[0].path, "/ledger");
    assert_null(c->mounts[0].propagation);
    assert_true(str_starts(d.template_text, "{\"metadata\":{"));
}

static void real_pods_are_understood(void **state)
{
    AUTO(freep) char *text = data("kube/pods");
    const struct row table[] = {
        {SERVER "/api/v1/namespaces/" NS "/pods?labelSelector=app%3Dlaconic-test-deployment", 200,
         text},
        {SERVER "/api/v1/namespaces/" NS "/pods", 200, text},
        {NULL},
    };
    AUTO(kube_pods_clear) struct kube_pods l = {0}, all = {0};

    rows = table;
    assert_ok(kube_list_pods(&ctx, &kube, NS, "app=laconic-test-deployment", &l));
    assert_ok(kube_list_pods(&ctx, &kube, NS, NULL, &all));
    assert_int_equal(l.n, 1);
    const struct kube_pod *p = &l.items[0];
    assert_string_equal(p->meta.owner_kind, "ReplicaSet");
    assert_int_equal(strlen(p->meta.owner_uid), 36);
    assert_string_equal(p->phase, "Running");
    assert_string_equal(p->qos, "Burstable");
    assert_string_equal(p->pod_ip, "172.18.0.2");
    assert_string_equal(p->spec.node, "laconic-test-control-plane");
    assert_true(p->ready && p->started_at > 1700000000);
    assert_int_equal(p->n_statuses, 2);
    const struct kube_container_status *eater = &p->statuses[1];
    assert_string_equal(eater->name, "eater");
    assert_int_equal(eater->restarts, 1);
    assert_true(eater->ready && eater->started && !eater->init);
    assert_int_equal(eater->state.kind, KUBE_RUN_RUNNING);
    assert_int_equal(eater->last.kind, KUBE_RUN_TERMINATED);
    assert_string_equal(eater->last.reason, "OOMKilled");
    assert_int_equal(eater->last.exit_code, 137);
    assert_true(eater->last.finished_at >= eater->last.started_at);
    assert_int_equal(p->statuses[0].last.kind, KUBE_RUN_NONE);
    assert_true(str_starts(eater->container_id, "containerd://"));
}

static void where_volumes_lie(void **state)
{
    AUTO(freep) char *pods_text = data("kube/pods"), *pv_text = data("kube/pvs");
    AUTO(freep) char *pvc_text = data("kube/pvcs");
    const struct row table[] = {
        {SERVER "/api/v1/namespaces/" NS "/pods", 200, pods_text},
        {SERVER "/api/v1/persistentvolumes", 200, pv_text},
        {SERVER "/api/v1/namespaces/" NS "/persistentvolumeclaims", 200, pvc_text},
        {NULL},
    };
    AUTO(kube_pods_clear) struct kube_pods pods = {0};
    AUTO(kube_pvs_clear) struct kube_pvs pvs = {0};
    AUTO(kube_pvcs_clear) struct kube_pvcs pvcs = {0};

    rows = table;
    assert_ok(kube_list_pods(&ctx, &kube, NS, NULL, &pods));
    assert_ok(kube_list_pvs(&ctx, &kube, &pvs));
    assert_ok(kube_list_pvcs(&ctx, &kube, NS, &pvcs));
    assert_int_equal(pvs.n, 2);
    assert_int_equal(pvcs.n, 2);
    assert_string_equal(pvs.items[1].meta.name, "laconic-test-validator-ledger");
    assert_string_equal(pvs.items[1].meta.name_space, "");
    assert_string_equal(pvs.items[1].phase, "Bound");
    assert_string_equal(pvs.items[1].claim, "validator-ledger");
    assert_string_equal(pvs.items[1].claim_namespace, NS);
    assert_true(pvs.items[1].capacity_b == 200ULL << 30);
    assert_true(pvs.items[0].capacity_b == 3ULL << 39); /* "1.5Ti" was given */
    const struct kube_pod_spec *s = &pods.items[0].spec;
    assert_int_equal(s->n_volumes, 4);
    assert_string_equal(kube_volume_path(&s->volumes[0], NS, &pvs, &pvcs), "/mnt/solana/ledger");
    assert_string_equal(kube_volume_path(&s->volumes[1], NS, &pvs, &pvcs),
                        "/mnt/solana/ramdisk/accounts");
    assert_null(kube_volume_path(&s->volumes[0], "other", &pvs, &pvcs));
    assert_int_equal(s->volumes[2].kind, KUBE_VOL_EMPTY_DIR);
    assert_false(s->volumes[2].in_memory);
    assert_null(kube_volume_path(&s->volumes[2], NS, &pvs, &pvcs));
    assert_int_equal(s->volumes[3].kind, KUBE_VOL_OTHER); /* the projected token */
}

static void a_real_node_is_understood(void **state)
{
    AUTO(freep) char *text = data("kube/node");
    const struct row table[] = {{SERVER "/api/v1/nodes/laconic-test-control-plane", 200, text},
                                {NULL}};
    AUTO(kube_node_clear) struct kube_node n = {0};

    rows = table;
    assert_ok(kube_get_node(&ctx, &kube, "laconic-test-control-plane", &n));
    assert_string_equal(n.internal_ip, "172.18.0.2");
    assert_string_equal(n.hostname, "laconic-test-control-plane");
    assert_string_equal(n.kubelet_version, "v1.34.4");
    assert_true(n.memory_b > 1 << 20 && n.memory_allocatable_b <= n.memory_b);
    assert_false(n.cordoned);
    assert_string_equal(kube_node_condition(&n, "Ready")->status, "True");
    assert_string_equal(kube_node_condition(&n, "DiskPressure")->status, "False");
    assert_null(kube_node_condition(&n, "None"));
    assert_int_equal(n.taints.n, 0);
}

/* ---- more than that cluster had
 * ------------------------------------------------------------------ */

#define POD(spec, more)                                                                            \
    "{\"kind\":\"PodList\",\"items\":[{\"metadata\":{\"name\":\"p\"},\"spec\":{" spec "}" more "}" \
    "]"                                                                                            \
    "}"

static struct err *pods(const char *text, struct kube_pods *ret)
{
    return kube_parse_pods(text, strlen(text), ret);
}

static void the_api_s_defaults_hold(void **state)
{
    AUTO(kube_pods_clear) struct kube_pods l = {0};

    assert_ok(pods(
        POD("\"containers\":[{\"name\":\"c\",\"livenessProbe\":{\"tcpSocket\":{}}}]", ""), &l));
    const struct kube_pod_spec *s = &l.items[0].spec;
    assert_int_equal(s->grace_s, 30);
    assert_int_equal(s->containers[0].liveness.period_s, 10);
    assert_int_equal(s->containers[0].liveness.failures, 3);
    assert_string_equal(s->containers[0].liveness.how, "tcpSocket");
    assert_int_equal(s->containers[0].memory_limit_b, 0);
    assert_false(l.items[0].ready || l.items[0].meta.deleting);
}

static void who_wrote_the_replicas(void **state)
{
    static const char text[] =
        "{\"kind\":\"Deployment\",\"metadata\":{\"name\":\"d\",\"managedFields\":["
        "{\"manager\":\"kubectl\",\"time\":\"2026-11-23T00:00:02Z\",\"subresource\":\"scale\","
        "\"fieldsV1\":{\"f:spec\":{\"f:replicas\":{}}}},"
        "{\"manager\":\"agavectl\",\"time\":\"2026-11-23T00:00:01Z\","
        "\"fieldsV1\":{\"f:spec\":{\"f:replicas\":{}}}},"
        "{\"manager\":\"kube-controller-manager\",\"time\":\"2026-11-23T00:00:03Z\","
        "\"fieldsV1\":{\"f:status\":{}}},{}]},"
        "\"spec\":{\"template\":{\"spec\":{}},\"selector\":{\"matchLabels\":{\"a\":\"b\"}}}}";
    AUTO(kube_deployment_clear) struct kube_deployment d = {0};

    assert_ok(kube_parse_deployment(text, strlen(text), &d));
    assert_int_equal(d.managers.n, 3);
    assert_non_null(d.replicas_by);
    assert_string_equal(d.replicas_by, "kubectl");
    assert_int_equal(d.replicas_at, 1795392002);
}

/* ---- what stands around it ------------------------------------------------------------------- */

#define PARSE(fn, text, ret) assert_ok(fn(text, strlen(text), ret))

static void events_are_told_in_the_order_of_time(void **state)
{
    static const char text[] =
        "{\"kind\":\"EventList\",\"metadata\":{},\"items\":["
        "{\"reason\":\"Third\",\"metadata\":{\"creationTimestamp\":\"2026-11-23T00:00:03Z\"},"
        "\"lastTimestamp\":null,\"source\":{},\"reportingComponent\":\"kubelet\"},"
        "{\"reason\":\"First\",\"type\":\"Warning\",\"message\":\"m\",\"count\":4,"
        "\"lastTimestamp\":\"2026-11-23T00:00:01Z\",\"source\":{\"component\":\"scheduler\"}},"
        "{\"reason\":\"Second\",\"eventTime\":\"2026-11-23T00:00:00.000000Z\",\"series\":"
        "{\"count\":2,\"lastObservedTime\":\"2026-11-23T00:00:02.000000Z\"}}]}";
    AUTO(kube_events_clear) struct kube_events l = {0};

    PARSE(kube_parse_events, text, &l);
    assert_int_equal(l.n, 3);
    assert_string_equal(l.items[0].reason, "First");
    assert_string_equal(l.items[0].type, "Warning");
    assert_string_equal(l.items[0].by, "scheduler");
    assert_int_equal(l.items[0].count, 4);
    assert_string_equal(l.items[1].reason, "Second");
    assert_int_equal(l.items[1].count, 2);
    assert_string_equal(l.items[2].by, "kubelet");
    assert_int_equal(l.items[2].count, 1);
    assert_true(l.items[2].last_at == l.items[0].last_at + 2);
}

static void what_holds_a_namespace_up(void **state)
{
    static const char text[] =
        "{\"kind\":\"Namespace\",\"metadata\":{\"name\":\"n\"},\"status\":{\"phase\":"
        "\"Terminating\",\"conditions\":[{\"type\":\"A\",\"status\":\"False\",\"message\":\"no\"},"
        "{\"type\":\"B\",\"status\":\"True\",\"message\":\"pods. has 1\"},"
        "{\"type\":\"C\",\"status\":\"True\",\"message\":\"x/y in 1\"}]}}";
    static const char plain[] = "{\"kind\":\"Namespace\",\"metadata\":{\"name\":\"n\"}}";
    AUTO(kube_namespace_clear) struct kube_namespace n = {0}, none = {0};

    PARSE(kube_parse_namespace, text, &n);
    AUTO(freep) char *stuck = kube_namespace_stuck(&n);
    assert_string_equal(stuck, "pods. has 1; x/y in 1");
    PARSE(kube_parse_namespace, plain, &none);
    assert_null(kube_namespace_stuck(&none));
}

static void how_a_container_is_asked_to_end(void **state)
{
    AUTO(kube_pods_clear) struct kube_pods l = {0};

    assert_ok(pods(POD("\"containers\":[{\"name\":\"a\"},{\"name\":\"b\",\"lifecycle\":{"
                       "\"stopSignal\":\"SIGUSR1\",\"preStop\":{\"exec\":{\"command\":[\"sh\","
                       "\"-c\"]}}}},{\"name\":\"c\",\"lifecycle\":{\"preStop\":{\"sleep\":{"
                       "\"seconds\":7}}}}]",
                       ""),
                   &l));
    const struct kube_container *c = l.items[0].spec.containers;
    assert_true(!c[0].has_pre_stop && !c[0].stop_signal);
    assert_string_equal(c[0].pre_stop_how, "none");
    assert_string_equal(c[1].pre_stop_how, "exec");
    assert_string_equal(c[1].stop_signal, "SIGUSR1");
    assert_int_equal(c[1].pre_stop.n, 2);
    assert_string_equal(c[2].pre_stop_how, "sleep");
    assert_int_equal(c[2].pre_stop_sleep_s, 7);
}

static void two_deployments_that_match(void **state)
{
    static const char one[] =
        "{\"metadata\":{\"name\":\"d\",\"namespace\":\"x\"},\"spec\":{"
        "\"template\":{\"spec\":{}},\"selector\":{\"matchLabels\":{\"a\":\"b\""
        "}}}}";
    AUTO(freep)
    char *text = xasprintf("{\"kind\":\"DeploymentList\",\"items\":[%s,%s]}", one, one);
    const struct row table[] = {{SERVER "/apis/apps/v1/deployments?labelSelector=a%3Db", 200, text},
                                {NULL}};
    AUTO(kube_deployments_clear) struct kube_deployments l = {0};

    rows = table;
    assert_ok(kube_list_deployments(&ctx, &kube, NULL, "a=b", &l));
    assert_int_equal(l.n, 2);
    assert_string_equal(l.items[1].meta.name_space, "x");
}

#define KEPT(meta)                                                                                 \
    "{\"kind\":\"Deployment\",\"metadata\":{\"name\":\"d\"" meta                                   \
    "},\"spec\":{\"template\":{\"spec\":"                                                          \
    "{}},\"selector\":{\"matchLabels\":{\"a\":\"b\"}}}}"

static void who_keeps_a_deployment(void **state)
{
    static const struct {
        const char *meta, *want;
    } cases[] = {
        {"", NULL},
        {",\"annotations\":{\"argocd.argoproj.io/tracking-id\":\"app:x\"},\"managedFields\":["
         "{\"manager\":\"argocd-controller\"}]",
         "Argo CD (app:x: turn the automated sync of that application off)"},
        {",\"managedFields\":[{\"manager\":\"kustomize-controller\"}]",
         "Flux (kustomize-controller)"},
        {",\"labels\":{\"app.kubernetes.io/managed-by\":\"Helm\"}",
         "Helm (Helm: an upgrade sets the replicas again)"},
        {",\"labels\":{\"app.kubernetes.io/managed-by\":\"us\"}", NULL},
        {",\"ownerReferences\":[{\"kind\":\"Rollout\",\"name\":\"r\",\"uid\":\"u\","
         "\"controller\":true}]",
         "its owner (Rollout 'r': it may set the replicas again)"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(freep) char *text = xasprintf(KEPT("%s"), cases[i].meta);
        AUTO(kube_deployment_clear) struct kube_deployment d = {0};

        PARSE(kube_parse_deployment, text, &d);
        AUTO(freep) char *who = kube_keepers(&d, NULL);
        if (!str_eq(who, cases[i].want))
            fail_msg("want '%s', got '%s'", cases[i].want, who);
    }
}

static void an_autoscaler_is_seen_by_its_target(void **state)
{
    static const char text[] =
        "{\"kind\":\"HorizontalPodAutoscalerList\",\"metadata\":{},\"items\":["
        "{\"metadata\":{\"name\":\"other\"},\"spec\":{\"scaleTargetRef\":{\"kind\":\"Deployment\","
        "\"name\":\"e\"}}},{\"metadata\":{\"name\":\"h\"},\"spec\":{\"scaleTargetRef\":{\"kind\":"
        "\"Deployment\",\"name\":\"d\"},\"minReplicas\":2,\"maxReplicas\":3}}]}";
    AUTO(kube_hpas_clear) struct kube_hpas l = {0};
    AUTO(kube_deployment_clear) struct kube_deployment d = {0};

    PARSE(kube_parse_hpas, text, &l);
    assert_int_equal(l.n, 2);
    assert_int_equal(l.items[0].min, 1);
    assert_int_equal(l.items[1].max, 3);
    PARSE(kube_parse_deployment, KEPT(""), &d);
    AUTO(freep) char *who = kube_keepers(&d, &l);
    assert_string_equal(
        who, "a HorizontalPodAutoscaler (h: it leaves a Deployment with 0 replicas alone)");
}

static void a_pod_on_its_way_out(void **state)
{
    static const char text[] =
        "{\"kind\":\"PodList\",\"items\":[{\"metadata\":{\"name\":\"p\","
        "\"deletionTimestamp\":\"2026-11-23T00:00:00Z\",\"deletionGracePeriodSeconds\":600,"
        "\"finalizers\":[\"x/y\"],\"labels\":{\"k\":\"v=w\"},"
        "\"ownerReferences\":[{\"kind\":\"A\"},{\"kind\":\"B\",\"controller\":true}]},"
        "\"spec\":{\"initContainers\":[{\"name\":\"i\"}],\"containers\":[{\"name\":\"c\","
        "\"lifecycle\":{\"preStop\":{\"sleep\":{}}},\"securityContext\":{\"privileged\":true},"
        "\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/"
        "x\",\"mountPropagation\":\"Bidirectional\","
        "\"readOnly\":true}]}],\"volumes\":[{\"name\":\"v\",\"emptyDir\":{\"medium\":\"Memory\","
        "\"sizeLimit\":\"1Gi\"}},{\"name\":\"h\",\"hostPath\":{\"path\":\"/srv\",\"type\":\"\"}}]},"
        "\"status\":{\"reason\":\"Evicted\",\"initContainerStatuses\":[{\"name\":\"i\"}],"
        "\"containerStatuses\":[{\"name\":\"c\",\"state\":{\"waiting\":"
        "{\"reason\":\"CrashLoopBackOff\"}}}]}}]}";
    AUTO(kube_pods_clear) struct kube_pods l = {0};

    assert_ok(pods(text, &l));
    const struct kube_pod *p = &l.items[0];
    assert_true(p->meta.deleting);
    assert_true(strlist_has(&p->meta.finalizers, "x/y"));
    assert_string_equal(kube_value(&p->meta.labels, "k"), "v=w");
    assert_null(kube_value(&p->meta.labels, "v"));
    assert_int_equal(p->meta.deletion_grace_s, 600);
    assert_string_equal(p->meta.owner_kind, "B");
    assert_string_equal(p->reason, "Evicted");
    assert_true(p->spec.containers[0].init && !p->spec.containers[1].init);
    assert_true(p->spec.containers[1].has_pre_stop && p->spec.containers[1].privileged);
    assert_string_equal(p->spec.containers[1].mounts[0].propagation, "Bidirectional");
    assert_true(p->spec.containers[1].mounts[0].read_only);
    assert_true(p->spec.volumes[0].in_memory);
    assert_int_equal(p->spec.volumes[0].size_limit_b, 1 << 30);
    assert_string_equal(p->spec.volumes[1].source, "/srv");
    assert_true(p->statuses[0].init && !p->statuses[1].init);
    assert_int_equal(p->statuses[1].state.kind, KUBE_RUN_WAITING);
    assert_string_equal(p->statuses[1].state.reason, "CrashLoopBackOff");
}

static void a_node_that_is_set_aside(void **state)
{
    static const char text[] =
        "{\"kind\":\"Node\",\"metadata\":{\"name\":\"n\"},\"spec\":{\"unschedulable\":true,"
        "\"taints\":["
        "{\"key\":\"a\",\"effect\":\"NoSchedule\"},{\"key\":\"b\",\"value\":\"c\",\"effect\":"
        "\"NoExecute\"}]}}";
    AUTO(kube_node_clear) struct kube_node n = {0};

    assert_ok(kube_parse_node(text, strlen(text), &n));
    assert_true(n.cordoned);
    assert_int_equal(n.taints.n, 2);
    assert_string_equal(n.taints.items[0], "a:NoSchedule");
    assert_string_equal(n.taints.items[1], "b=c:NoExecute");
}

static void quantities(void **state)
{
    static const struct {
        const char *text;
        uint64_t whole, milli; /* UINT64_MAX: refused */
    } cases[] = {
        {"0", 0, 0},
        {"1", 1, 1000},
        {"500m", 1, 500},
        {"1.5", 2, 1500},
        {"64Mi", 64 << 20, 64000ULL << 20},
        {"1.5Gi", 3 << 29, 3000ULL << 29},
        {"512G", 512000000000, 512000000000000},
        {"1e3", 1000, 1000000},
        {"12E-2", 1, 120},
        {"100n", 1, 1},
        {".5Ki", 512, 512000},
        {"15Ei", 15ULL << 60, UINT64_MAX},
        {"16Ei", UINT64_MAX, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, UINT64_MAX},
        {"99999999999999999999999999999999999999999", UINT64_MAX, UINT64_MAX},
        {"0.00000000000000000000000000000000000000001", UINT64_MAX, UINT64_MAX},
        {"-1", UINT64_MAX, UINT64_MAX},
        {"1.2.3", UINT64_MAX, UINT64_MAX},
        {"1 Gi", UINT64_MAX, UINT64_MAX},
        {"1gi", UINT64_MAX, UINT64_MAX},
        {"1e99", UINT64_MAX, UINT64_MAX},
        {"Gi", UINT64_MAX, UINT64_MAX},
        {"", UINT64_MAX, UINT64_MAX},
        {".", UINT64_MAX, UINT64_MAX},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t whole = UINT64_MAX, milli = UINT64_MAX;
        AUTO(err_freep) struct err *e = kube_parse_quantity(cases[i].text, 1, &whole);
        AUTO(err_freep) struct err *m = kube_parse_quantity(cases[i].text, 1000, &milli);

        if (whole != cases[i].whole || milli != cases[i].milli)
            fail_msg("'%s': got %llu, %llu", cases[i].text, (unsigned long long)whole,
                     (unsigned long long)milli);
        assert_int_equal(!e, whole != UINT64_MAX);
        assert_int_equal(!m, milli != UINT64_MAX);
    }
}

/* ---- what goes wrong ----------------------------------------------------------------------------
 */

static void a_server_that_says_no(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum err_kind kind;
        const char *part;
    } cases[] = {
        {401, "{\"kind\":\"Status\",\"message\":\"Unauthorized\"}", ERR_REFUSED,
         "HTTP 401: Unauthorized; see the user 'kind-laconic-test' in '/home/op/.kube/config'"},
        {403, "{\"message\":\"nodes \\\"x\\\" is forbidden\"}", ERR_REFUSED, "is forbidden; see"},
        {404, "{\"message\":\"nodes \\\"x\\\" not found\"}", ERR_NOTFOUND, "nodes \"x\" not found"},
        {503, "<html>", ERR_REMOTE, "HTTP 503: no reason given"},
        {500, "{\"message\":\"a\\u001b[2J\"}", ERR_REMOTE, "HTTP 500: a?[2J"},
        {302, "", ERR_REMOTE, "HTTP 302"},
        {200, "", ERR_REMOTE, "/api/v1/nodes/x: not JSON"},
        {200, "{\"kind\":\"Pod\"}", ERR_REMOTE, "expected a Node, got 'Pod'"},
        {200, "{\"kind\":\"Node\"}", ERR_REMOTE, "metadata: expected an object"},
        {200, "{\"kind\":\"Node\",\"metadata\":{}}", ERR_REMOTE, "metadata: no name"},
        {0, SERVER "/api/v1/nodes/x: connection refused", ERR_REMOTE,
         "kubernetes at '" SERVER "': connection refused"},
        {0, SERVER "/api/v1/nodes/x: not done within 0.7 s", ERR_TIMEOUT, "not done within"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct row table[] = {
            {SERVER "/api/v1/nodes/x", cases[i].status, cases[i].body, cases[i].kind},
            {SERVER "/readyz", 200, "ok"},
            {NULL},
        };
        struct kube_node n = {0};

        rows = table;
        AUTO(err_freep) struct err *e = kube_get_node(&ctx, &kube, "x", &n);
        assert_err(e, cases[i].kind, cases[i].part);
        assert_true(str_starts(e->text, "kubernetes at '" SERVER "': "));
        assert_null(strstr(e->text, "s3cret"));
        assert_null(n.meta.name);
    }
}

static void answers_that_make_no_sense(void **state)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"{\"kind\":\"PodList\",\"metadata\":{\"continue\":\"x\"},\"items\":[]}",
         "a part of the list"},
        {"{\"kind\":\"PodList\",\"items\":{}}", "items: expected a list"},
        {"{\"kind\":\"PodList\",\"items\":[7]}", "items[0]: metadata: expected an object"},
        {POD("\"containers\":[{}]", ""), "items[0]: spec: containers[0]: no name"},
        {POD("\"containers\":[{\"name\":7}]", ""), "containers[0]: name: expected a text"},
        {POD("\"containers\":[{\"name\":\"c\",\"command\":[7]}]", ""), "command[0]: expected"},
        {POD("\"containers\":[{\"name\":\"c\",\"resources\":{\"limits\":{\"memory\":\"x\"}}}]", ""),
         "resources/limits/memory: expected a quantity, got 'x'"},
        {POD("\"containers\":[{\"name\":\"c\",\"livenessProbe\":{\"periodSeconds\":-1}}]", ""),
         "livenessProbe: periodSeconds: "},
        {POD("\"volumes\":[{\"name\":\"v\",\"hostPath\":{}}]", ""), "volumes[0]: no source"},
        {POD("\"terminationGracePeriodSeconds\":\"30\"", ""), "terminationGracePeriodSeconds: "},
        {POD("", ",\"status\":{\"startTime\":\"now\"}"), "status/startTime: expected a time"},
        {POD("", ",\"status\":{\"containerStatuses\":[{\"name\":\"c\",\"restartCount\":-1}]}"),
         "status/containerStatuses[0]: restartCount: "},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct kube_pods l = {0};
        AUTO(err_freep) struct err *e = pods(cases[i].text, &l);

        assert_err(e, ERR_REMOTE, cases[i].part);
        assert_null(l.items);
    }
}

/* An empty selector would be one for every pod of the namespace. */
static void a_selector_is_never_everything(void **state)
{
#define DEPLOYMENT(selector)                                                                       \
    "{\"kind\":\"Deployment\",\"metadata\":{\"name\":\"d\"},\"spec\":{\"selector\":" selector      \
    ",\"template\":{\"spec\":{}}}}"
    static const char none[] = DEPLOYMENT("{}"), odd[] = DEPLOYMENT("{\"matchLabels\":{\"a\":1}}");
    static const char both[] =
        DEPLOYMENT("{\"matchLabels\":{\"b\":\"1\",\"a\":\"2\"},\"matchExpressions\":[{}]}");
    AUTO(kube_deployment_clear) struct kube_deployment d = {0}, nothing = {0};

    AUTO(err_freep) struct err *empty = kube_parse_deployment(none, strlen(none), &nothing);
    assert_err(empty, ERR_REMOTE, "selects nothing");
    AUTO(err_freep) struct err *number = kube_parse_deployment(odd, strlen(odd), &nothing);
    assert_err(number, ERR_REMOTE, "matchLabels: expected a text");
    assert_ok(kube_parse_deployment(both, strlen(both), &d));
    assert_string_equal(d.selector, "b=1,a=2");
    assert_false(d.selector_whole);
    assert_int_equal(d.replicas, 1); /* the API's default */
}

static void names_cannot_change_the_question(void **state)
{
    static const char *const bad[] = {"", "..", "a/b", "a?x", "A", "a b", "-a", "a%2f"};
    const struct row none[] = {{NULL}};

    rows = none;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct kube_deployment d = {0};
        struct kube_pods l = {0};
        AUTO(err_freep) struct err *name = kube_get_deployment(&ctx, &kube, "ns", bad[i], &d);
        AUTO(err_freep) struct err *space = kube_list_pods(&ctx, &kube, bad[i], NULL, &l);

        assert_err(name, ERR_BADINPUT, "cannot be the name of a Deployment");
        assert_err(space, ERR_BADINPUT, "cannot be the name of a namespace");
    }
}

static void a_selector_cannot_leave_its_place(void **state)
{
    static const char empty[] = "{\"kind\":\"PodList\",\"items\":[]}";
    const struct row table[] = {
        {SERVER "/api/v1/namespaces/ns/pods?labelSelector=a%3Db%26limit%3D1%2C%C3%A4%23", 200,
         empty},
        {NULL}};
    AUTO(kube_pods_clear) struct kube_pods l = {0};

    rows = table;
    assert_ok(kube_list_pods(&ctx, &kube, "ns", "a=b&limit=1,\303\244#", &l));
    assert_int_equal(l.n, 0);
}

/* kubectl proxy has credentials of its own; ours would go out in clear. */
static void a_token_is_not_sent_in_clear(void **state)
{
    static const char version[] = "{\"gitVersion\":\"v1.34.4\"}";
    const struct row table[] = {{"http://127.0.0.1:8001/version", 200, version}, {NULL}};
    struct kube_access proxy = access_;
    const struct kube k = {.access = &proxy};
    AUTO(freep) char *text = NULL;

    proxy.server = xstrdup("http://127.0.0.1:8001");
    rows = table;
    struct err *e = kube_get_version(&ctx, &k, &text);
    free(proxy.server);
    assert_ok(e);
    assert_false(asked_bearer);
    assert_int_equal(asked.timeout_ms, KUBE_TIMEOUT_MS);
    assert_string_equal(text, "v1.34.4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_real_deployment_is_understood),
        cmocka_unit_test(real_pods_are_understood),
        cmocka_unit_test(where_volumes_lie),
        cmocka_unit_test(a_real_node_is_understood),
        cmocka_unit_test(the_api_s_defaults_hold),
        cmocka_unit_test(who_wrote_the_replicas),
        cmocka_unit_test(how_a_container_is_asked_to_end),
        cmocka_unit_test(two_deployments_that_match),
        cmocka_unit_test(events_are_told_in_the_order_of_time),
        cmocka_unit_test(what_holds_a_namespace_up),
        cmocka_unit_test(who_keeps_a_deployment),
        cmocka_unit_test(an_autoscaler_is_seen_by_its_target),
        cmocka_unit_test(a_pod_on_its_way_out),
        cmocka_unit_test(a_node_that_is_set_aside),
        cmocka_unit_test(quantities),
        cmocka_unit_test(a_server_that_says_no),
        cmocka_unit_test(answers_that_make_no_sense),
        cmocka_unit_test(a_selector_is_never_everything),
        cmocka_unit_test(names_cannot_change_the_question),
        cmocka_unit_test(a_selector_cannot_leave_its_place),
        cmocka_unit_test(a_token_is_not_sent_in_clear),
    };

    return cmocka_run_group_tests_name("kube", tests, setup_access, teardown_access);
}
