/* Stages docker, cluster and propagation on a made-up host: one that is right, and then each fault
 * by itself, made by changing one place of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/str.h"
#include "config/config.h"
#include "fixture.h"
#include "io/captured.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "stage/engine.h"
#include "stage/table.h"

#define API "http://127.0.0.1:6443"
#define SPEC                                                                                       \
    "{\"terminationGracePeriodSeconds\": 660, \"restartPolicy\": \"Always\","                      \
    " \"nodeName\": \"c1-control-plane\","                                                         \
    " \"containers\": [{\"name\": \"agave\", \"image\": \"agave:3.0.14\","                         \
    "   \"volumeMounts\": [{\"name\": \"validator-ledger\", \"mountPath\": \"/ledger\"}],"         \
    "   \"readinessProbe\": {\"exec\": {\"command\": [\"true\"]}}}],"                              \
    " \"volumes\": [{\"name\": \"validator-ledger\","                                              \
    "   \"persistentVolumeClaim\": {\"claimName\": \"validator-ledger\"}}]}"

static const char host_json[] =
    "{\"answers\": ["
    "{\"unix\": \"/var/run/docker.sock\", \"url\": \"http://docker/version\", \"body\": "
    "{\"ApiVersion\": \"1.41\","
    " \"MinAPIVersion\": \"1.12\", \"Version\": \"20.10.24\"}},"
    "{\"unix\": \"/var/run/docker.sock\", \"url\": \"http://docker/v1.41/info\", \"body\": "
    "{\"DockerRootDir\": \"/var/lib/docker\","
    " \"Driver\": \"overlay2\", \"CgroupDriver\": \"systemd\", \"CgroupVersion\": \"2\","
    " \"LiveRestoreEnabled\": true}},"
    "{\"unix\": \"/var/run/docker.sock\", \"url\": "
    "\"http://docker/v1.41/containers/c1-control-plane/json\", \"body\": {"
    " \"Id\": \"0123456789ab\", \"Name\": \"/c1-control-plane\", \"RestartCount\": 0,"
    " \"State\": {\"Status\": \"running\", \"Running\": true, \"Pid\": 500,"
    "   \"Restarting\": false, \"OOMKilled\": false, \"ExitCode\": 0},"
    " \"HostConfig\": {\"Memory\": 0, \"Privileged\": true,"
    "   \"RestartPolicy\": {\"Name\": \"on-failure\", \"MaximumRetryCount\": 1}},"
    " \"Config\": {\"Image\": \"kindest/node:v1.34.0\","
    "   \"Labels\": {\"io.x-k8s.kind.cluster\": \"c1\"}},"
    " \"Mounts\": [{\"Type\": \"bind\", \"Source\": \"/srv/kind\", \"Destination\": \"/mnt\","
    "   \"Mode\": \"\", \"RW\": true, \"Propagation\": \"rslave\"}]}},"
    "{\"url\": \"" API "/apis/apps/v1/namespaces/laconic-c1/deployments/c1-deployment\","
    " \"body\": {\"kind\": \"Deployment\", \"apiVersion\": \"apps/v1\","
    " \"metadata\": {\"name\": \"c1-deployment\", \"namespace\": \"laconic-c1\","
    "   \"uid\": \"u1\", \"generation\": 2},"
    " \"spec\": {\"replicas\": 1, \"strategy\": {\"type\": \"Recreate\"},"
    "   \"selector\": {\"matchLabels\": {\"app\": \"c1-deployment\"}},"
    "   \"template\": {\"metadata\": {}, \"spec\": " SPEC "}},"
    " \"status\": {\"observedGeneration\": 2, \"replicas\": 1, \"updatedReplicas\": 1,"
    "   \"readyReplicas\": 1, \"availableReplicas\": 1}}},"
    "{\"url\": \"" API "/api/v1/namespaces/laconic-c1/pods?labelSelector=app%3Dc1-deployment\","
    " \"body\": {\"kind\": \"PodList\", \"apiVersion\": \"v1\", \"items\": [{"
    " \"metadata\": {\"name\": \"c1-pod\", \"namespace\": \"laconic-c1\", \"uid\": \"u2\"},"
    " \"spec\": " SPEC ", \"status\": {\"phase\": \"Running\","
    "   \"containerStatuses\": [{\"name\": \"agave\", \"ready\": true, \"restartCount\": 0,"
    "     \"state\": {\"running\": {}}, \"lastState\": {}}]}}]}},"
    "{\"url\": \"" API "/api/v1/persistentvolumes\", \"body\": {\"kind\": \"PersistentVolumeList\","
    " \"apiVersion\": \"v1\", \"items\": [{\"metadata\": {\"name\": \"c1-validator-ledger\","
    "   \"uid\": \"u3\"}, \"spec\": {\"hostPath\": {\"path\": \"/mnt/solana/ledger\"},"
    "   \"capacity\": {\"storage\": \"2Ti\"}, \"claimRef\": {\"namespace\": \"laconic-c1\","
    "   \"name\": \"validator-ledger\"}}, \"status\": {\"phase\": \"Bound\"}}]}},"
    "{\"url\": \"" API "/api/v1/namespaces/laconic-c1/persistentvolumeclaims\","
    " \"body\": {\"kind\": \"PersistentVolumeClaimList\", \"apiVersion\": \"v1\", \"items\": [{"
    " \"metadata\": {\"name\": \"validator-ledger\", \"namespace\": \"laconic-c1\"},"
    " \"spec\": {\"volumeName\": \"c1-validator-ledger\"}, \"status\": {\"phase\": \"Bound\"}}]}},"
    "{\"url\": \"" API "/api/v1/nodes/c1-control-plane\", \"body\": {\"kind\": \"Node\","
    " \"apiVersion\": \"v1\", \"metadata\": {\"name\": \"c1-control-plane\"}, \"spec\": {},"
    " \"status\": {\"conditions\": [{\"type\": \"Ready\", \"status\": \"True\"},"
    "   {\"type\": \"DiskPressure\", \"status\": \"False\"}]}}}]}";

static const char mountinfo[] =
    "1 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
    "20 1 230:0 / /srv/solana rw shared:2 - xfs /dev/zd0 rw\n"
    "21 20 1:0 / /srv/solana/ramdisk rw shared:3 - xfs /dev/ram0 rw\n"
    "22 1 230:0 / /srv/kind/solana rw shared:4 master:2 - xfs /dev/zd0 rw\n"
    "23 22 1:0 / /srv/kind/solana/ramdisk rw shared:5 master:3 - xfs /dev/ram0 rw\n";
static const char node_mountinfo[] =
    "90 0 0:99 / / rw - overlay overlay rw\n"
    "91 90 8:1 /srv/kind /mnt rw master:1 - ext4 /dev/sda1 rw\n"
    "92 91 230:0 / /mnt/solana rw master:4 - xfs /dev/zd0 rw\n"
    "93 92 1:0 / /mnt/solana/ramdisk rw master:5 - xfs /dev/ram0 rw\n";
static const char pod_mountinfo[] = "70 0 0:98 / / rw - overlay overlay rw\n"
                                    "71 70 230:0 /ledger /srv/solana/ledger rw - xfs /dev/zd0 rw\n"
                                    "72 70 1:0 /accounts /accounts rw - xfs /dev/ram0 rw\n";
static const char kubelet[] = "kind: KubeletConfiguration\n"
                              "evictionHard:\n  nodefs.available: \"0%\"\n"
                              "  imagefs.available: \"0%\"\n";
static const char kubeconfig[] =
    "apiVersion: v1\nkind: Config\ncurrent-context: kind-c1\n"
    "clusters:\n- name: kind-c1\n  cluster:\n    server: " API "\n"
    "users:\n- name: kind-c1\n  user: {}\n"
    "contexts:\n- name: kind-c1\n  context: {cluster: kind-c1, user: kind-c1}\n";
static const char config[] =
    "kind: {cluster: c1}\n"
    "kubernetes:\n  kubeconfig: /etc/kubeconfig\n  namespace: laconic-c1\n"
    "  deployment: c1-deployment\n  volumes: [validator-ledger=/mnt/solana/ledger]\n";

static const char pod_argv[] = "agave-validator --ledger /srv/solana/ledger --accounts /accounts";

enum part { HOST, MOUNTS, NODE_MOUNTS, POD_MOUNTS, KUBELET, KUBECONFIG, CONFIG, POD, PARTS };

/* text with its first `from` replaced; the test fails when it has none. */
static char *changed(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);

    if (!at)
        fail_msg("'%s' does not occur", from);
    return xasprintf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

static bool is_ours(const void *arg, const struct stage *s)
{
    return s == &stage_docker || s == &stage_cluster || s == &stage_propagation;
}

static void look_twice(enum part part, const char *from, const char *to, enum part other,
                       const char *other_from, const char *other_to, struct check_report *ret)
{
    static const char *const texts[PARTS] = {host_json, mountinfo,  node_mountinfo, pod_mountinfo,
                                             kubelet,   kubeconfig, config,         pod_argv};
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(config_freep) struct config *cfg = NULL;
    char *t[PARTS];

    for (size_t i = 0; i < PARTS; i++)
        t[i] = from && i == part          ? changed(texts[i], from, to)
               : other_from && i == other ? changed(texts[i], other_from, other_to)
                                          : xstrdup(texts[i]);
    fixture_new(&f);
    fixture_put(&f, "/host.json", "%s", t[HOST]);
    fixture_put(&f, "/proc/self/mountinfo", "%s", t[MOUNTS]);
    fixture_put(&f, "/proc/self/stat", "1 (test) S 0\n");
    fixture_process(&f, 600, "agave-validator", "/opt/agave/bin/agave-validator", t[POD], 99);
    fixture_put(&f, "/proc/600/cgroup", "0::/docker/0123456789ab/kubelet.slice/kubepods.slice/x\n");
    fixture_put(&f, "/proc/600/mountinfo", "%s", t[POD_MOUNTS]);
    fixture_process(&f, 500, "systemd", "/sbin/init", "/sbin/init", 77);
    fixture_put(&f, "/proc/500/mountinfo", "%s", t[NODE_MOUNTS]);
    fixture_put(&f, "/proc/500/root/var/lib/kubelet/config.yaml", "%s", t[KUBELET]);
    fixture_put(&f, "/etc/kubeconfig", "%s", t[KUBECONFIG]);
    fixture_dir(&f, "/var/lib/docker");
    f.ctx.root = fsroot_close(f.ctx.root);
    assert_ok(fsroot_open_captured(f.dir, &f.ctx.root));
    assert_ok(config_parse(t[CONFIG], strlen(t[CONFIG]), "test", &cfg));
    f.ctx.cfg = cfg;
    f.ctx.http = &http_captured;
    f.ctx.proc = &proc_captured;
    f.ctx.clock = &clock_system;
    stages_check(&f.ctx, &(struct check_opts){.wanted = is_ours}, ret);
    for (size_t i = 0; i < PARTS; i++)
        free(t[i]);
}

static void look(enum part part, const char *from, const char *to, struct check_report *ret)
{
    look_twice(part, from, to, part, NULL, NULL, ret);
}

static void the_right_host_has_no_fault(void **state)
{
    AUTO(check_report_clear) struct check_report r = {0};

    look(HOST, NULL, NULL, &r);
    for (size_t i = 0; i < r.findings.n; i++)
        if (r.findings.items[i].sev > SEV_NOTE)
            fail_msg("%s: %s", r.findings.items[i].id, r.findings.items[i].what);
    assert_non_null(findings_find(&r.findings, "propagation.node"));
    assert_non_null(findings_find(&r.findings, "propagation.pod"));
    assert_non_null(findings_find(&r.findings, "cluster.volumes"));
    assert_non_null(findings_find(&r.findings, "cluster.eviction"));
    assert_non_null(findings_find(&r.findings, "cluster.grace.live"));
    assert_int_equal(r.n_stages, 3);
}

struct fault {
    enum part part;
    const char *from, *to;
    const char *id;
    enum severity sev;
    const char *says; /* part of what or got */
};

static bool says(const struct finding *f, const char *text)
{
    return strstr(f->what, text) || (f->got && strstr(f->got, text));
}

static void assert_fault(const struct fault *x)
{
    AUTO(check_report_clear) struct check_report r = {0};
    const struct finding *f = NULL;

    look(x->part, x->from, x->to, &r);
    for (size_t i = 0; i < r.findings.n && !(f && says(f, x->says)); i++)
        if (str_eq(r.findings.items[i].id, x->id) && r.findings.items[i].sev == x->sev)
            f = &r.findings.items[i];
    if (!f)
        fail_msg("'%s' for '%s': no %s of severity %s", x->to, x->from, x->id,
                 severity_name(x->sev));
    if (!says(f, x->says))
        fail_msg("%s says '%s', not '%s'", x->id, f->what, x->says);
}

static void each_fault_is_found(void **state)
{
    static const struct fault faults[] = {
        {HOST, "\"LiveRestoreEnabled\": true", "\"LiveRestoreEnabled\": false",
         "docker.liverestore", SEV_WARN, "live-restore"},
        {HOST, "\"Driver\": \"overlay2\"", "\"Driver\": \"zfs\"", "docker.root", SEV_FAIL, "ZFS"},
        {MOUNTS, "21 20", "25 1 0:50 / /var/lib/docker rw - zfs tank/docker rw\n21 20",
         "docker.root", SEV_FAIL, "zfs"},
        {HOST, "\"body\": {\"ApiVersion\"",
         "\"fail\": \"connection refused\", \"kind\": \"absent\", \"x\": {\"ApiVersion\"",
         "docker.reach", SEV_FAIL, "connection refused"},
        {HOST, "\"body\": {\"ApiVersion\"",
         "\"fail\": \"forbidden\", \"kind\": \"refused\", \"x\": {\"ApiVersion\"", "docker.reach",
         SEV_UNKNOWN, "forbidden"},
        {HOST, "\"Running\": true", "\"Running\": false", "cluster.node", SEV_FAIL, "is"},
        {HOST, "c1-control-plane/json\",", "c1-control-plane/json\", \"status\": 404,",
         "cluster.node", SEV_FAIL, "there is no kind node"},
        {HOST, "\"Source\": \"/srv/kind\"", "\"Source\": \"/srv/other\"", "cluster.mount", SEV_FAIL,
         "/srv/other"},
        {HOST, "\"Propagation\": \"rslave\"", "\"Propagation\": \"rprivate\"",
         "cluster.propagation", SEV_FAIL, "HostToContainer"},
        {HOST, "\"Memory\": 0", "\"Memory\": 1073741824", "cluster.node.memory", SEV_WARN,
         "1.0 GiB"},
        {NODE_MOUNTS, "rw master:1 -", "rw -", "propagation.receives", SEV_FAIL, "private"},
        {NODE_MOUNTS, "93 92 1:0 / /mnt/solana/ramdisk rw master:5 - xfs /dev/ram0 rw\n", "",
         "propagation.node", SEV_FAIL, "below the mount point '/srv/kind/solana/ramdisk'"},
        {NODE_MOUNTS, "92 91 230:0 /", "92 91 230:0 /other", "propagation.node", SEV_FAIL,
         "/other"},
        /* the tables agree, the kernel's numbers do not */
        {HOST, "{\"answers\": [",
         "{\"stat\": {\"/srv/solana/ledger\": {\"dev\": \"230:0\", \"ino\": 131},"
         " \"/proc/500/root/mnt/solana/ledger\": {\"dev\": \"230:0\", \"ino\": 999}}, \"answers\": "
         "[",
         "propagation.node", SEV_FAIL, "inode 999"},
        {NODE_MOUNTS, "93 92 1:0 / /mnt/solana/ramdisk", "93 92 1:9 / /mnt/solana/ramdisk",
         "propagation.node", SEV_FAIL, "does not have any more"},
        {NODE_MOUNTS, "rw master:4 -", "rw -", "propagation.receives", SEV_FAIL, "private"},
        {NODE_MOUNTS, "91 90 8:1 /srv/kind /mnt rw master:1 - ext4 /dev/sda1 rw\n92 91", "92 90",
         "propagation.mount", SEV_FAIL, "nothing mounted at '/mnt'"},
        {HOST, "\"Running\": true", "\"Running\": false", "propagation.node", SEV_UNKNOWN,
         "does not run"},
        {CONFIG, "volumes: [validator-ledger=", "volumes: [validator-log=/mnt/solana/log, x=",
         "propagation.node", SEV_OK, "'/srv/kind/solana/log' as '/mnt/solana/log'"},
        {POD_MOUNTS, "71 70 230:0 /ledger", "71 70 8:1 /mnt/solana/ledger", "propagation.pod",
         SEV_FAIL, "8:1"},
        {POD_MOUNTS, "72 70 1:0 /accounts /accounts rw - xfs /dev/ram0 rw\n", "", "propagation.pod",
         SEV_FAIL, "nothing is mounted there"},
        {POD, "--accounts /accounts", "--accounts /other", "propagation.pod", SEV_FAIL,
         "nothing is mounted there"},
        {POD_MOUNTS, "71 70 230:0 /ledger", "71 70 230:0 /ledger//deleted", "propagation.pod",
         SEV_FAIL, "does not have any more"},
        {POD_MOUNTS, "72 70 1:0 /accounts", "72 70 230:0 /ramdisk/accounts", "propagation.pod",
         SEV_FAIL, "below the mount point '/srv/kind/solana/ramdisk'"},
        {POD_MOUNTS, "1:0 /accounts /accounts", "1:0 /old /accounts", "propagation.pod", SEV_FAIL,
         "/old"},
        {KUBELET, "evictionHard:\n  nodefs.available: \"0%\"\n",
         "evictionHard:\n  nodefs.available: \"10%\"\n", "cluster.eviction", SEV_WARN,
         "nodefs.available<10%"},
        {KUBELET, "evictionHard:\n  nodefs.available: \"0%\"\n  imagefs.available: \"0%\"\n", "",
         "cluster.eviction", SEV_WARN, "its defaults"},
        {KUBELET, "kind:", "mergeDefaultEvictionSettings: true\nkind:", "cluster.eviction",
         SEV_WARN, "memory.available<100Mi"},
        {KUBECONFIG, "current-context: kind-c1\n", "", "cluster.kubeconfig", SEV_UNKNOWN,
         "current-context"},
        {HOST, "/api/v1/persistentvolumes\", \"body\"",
         "/api/v1/persistentvolumes\", \"fail\": \"connection refused\", \"x\"", "cluster.api",
         SEV_UNKNOWN, "connection refused"},
        {HOST,
         "\"template\": {\"metadata\": {}, \"spec\": {\"terminationGracePeriodSeconds\": 660,",
         "\"template\": {\"metadata\": {}, \"spec\": {", "cluster.grace", SEV_FAIL, "30 s"},
        {HOST, "\"uid\": \"u2\"}, \"spec\": {\"terminationGracePeriodSeconds\": 660,",
         "\"uid\": \"u2\"}, \"spec\": {\"terminationGracePeriodSeconds\": 30,",
         "cluster.grace.live", SEV_FAIL, "30 s"},
        {HOST, "\"readinessProbe\"", "\"livenessProbe\"", "cluster.liveness", SEV_FAIL, "liveness"},
        {HOST, "\"readinessProbe\"", "\"startupProbe\"", "cluster.startup", SEV_FAIL, "startup"},
        {HOST, "\"Recreate\"", "\"RollingUpdate\"", "cluster.strategy", SEV_FAIL, "second"},
        {HOST, "\"observedGeneration\": 2", "\"observedGeneration\": 1", "cluster.rollout",
         SEV_WARN, "rolled out"},
        {HOST, "\"replicas\": 1, \"strategy\"", "\"replicas\": 2, \"strategy\"", "cluster.replicas",
         SEV_FAIL, "2 pods"},
        {HOST, "\"lastState\": {}",
         "\"lastState\": {\"terminated\": {\"reason\": \"OOMKilled\", \"exitCode\": 137}}",
         "cluster.oom", SEV_WARN, "memory limit"},
        {HOST, "\"state\": {\"running\": {}}",
         "\"state\": {\"waiting\": {\"reason\": \"CrashLoopBackOff\"}}", "cluster.restarts",
         SEV_FAIL, "again and again"},
        {HOST, "\"path\": \"/mnt/solana/ledger\"", "\"path\": \"/mnt/data/ledger\"",
         "cluster.volumes", SEV_FAIL, "/mnt/data/ledger"},
        {HOST, "\"name\": \"c1-validator-ledger\"", "\"name\": \"c1-ledger\"", "cluster.volumes",
         SEV_FAIL, "there is no persistent volume"},
        {HOST, "\"status\": {\"phase\": \"Bound\"}}]}},{\"url\": \"" API "/api/v1/namespaces",
         "\"status\": {\"phase\": \"Released\"}}]}},{\"url\": \"" API "/api/v1/namespaces",
         "cluster.claims", SEV_FAIL, "Released"},
        {HOST, "\"type\": \"Ready\", \"status\": \"True\"",
         "\"type\": \"Ready\", \"status\": \"Unknown\"", "cluster.ready", SEV_FAIL, "not ready"},
        {HOST, "\"type\": \"DiskPressure\", \"status\": \"False\"",
         "\"type\": \"DiskPressure\", \"status\": \"True\"", "cluster.pressure", SEV_FAIL, "evict"},
        {HOST, "\"metadata\": {\"name\": \"c1-control-plane\"}, \"spec\": {}",
         "\"metadata\": {\"name\": \"c1-control-plane\"}, \"spec\": {\"unschedulable\": true}",
         "cluster.cordoned", SEV_WARN, "cordoned"},
        {HOST, "deployments/c1-deployment\",", "deployments/c1-deployment\", \"status\": 404,",
         "cluster.deployment", SEV_FAIL, "not deployed"},
    };

    for (size_t i = 0; i < ARRAY_LEN(faults); i++)
        assert_fault(&faults[i]);
}

/* The config asks for none of it: the stages are absent, which is not failing. What is left is the
 * validator's own view. */
static void without_kind_host_and_validator_are_compared(void **state)
{
    AUTO(check_report_clear) struct check_report r = {0};

    look(CONFIG, config, "state_dir: /run/agavectl\n", &r);
    assert_int_equal(r.n_stages, 3);
    for (size_t i = 0; i < r.n_stages; i++)
        assert_int_equal(r.stages[i].absent, r.stages[i].stage != &stage_propagation);
    assert_int_equal(r.findings.n, 1); /* the ledger; its accounts have another name by intent */
    for (size_t i = 0; i < r.findings.n; i++) {
        assert_string_equal(r.findings.items[i].id, "propagation.pod");
        assert_int_equal(r.findings.items[i].sev, SEV_OK);
    }
}

/* In the wrong ledger it holds no lock of the right one, and its folder has another name there. */
static void a_pod_with_another_ledger_is_found(void **state)
{
    static const char kubernetes[] = "validator: {runtime: kubernetes}\nkind: {cluster: c1}\n";
    AUTO(check_report_clear) struct check_report r = {0};
    const struct finding *f = NULL;

    look_twice(CONFIG, "kind: {cluster: c1}\n", kubernetes, POD, "/srv/solana/ledger",
               "/data/ledger", &r);
    for (size_t i = 0; i < r.findings.n && !f; i++)
        if (str_eq(r.findings.items[i].id, "propagation.pod"))
            f = &r.findings.items[i];
    assert_non_null(f);
    assert_int_equal(f->sev, SEV_FAIL);
    assert_non_null(strstr(f->what, "'/data/ledger' but a folder of its own root"));
}

/* A pod's own fault goes with the pod; a node that could not be asked matters to who runs in it. */
static void what_bars_a_start(void **state)
{
    char on_host[] = "process", in_pod[] = "kubernetes";
    struct config process = {.validator = {.runtime = on_host}};
    struct config kubernetes = {.validator = {.runtime = in_pod}};
    const struct ctx here = {.cfg = &process}, there = {.cfg = &kubernetes};
    const struct finding node = {.id = "propagation.node", .sev = SEV_FAIL};
    const struct finding blind = {.id = "propagation.node", .sev = SEV_UNKNOWN};
    const struct finding pod = {.id = "propagation.pod", .sev = SEV_FAIL};
    bool (*bars)(const struct ctx *, const struct finding *, bool) = stage_propagation.bars_start;

    assert_false(stage_propagation.gate); /* prepare comes before there is a node */
    assert_true(bars(&here, &node, false) && bars(&here, &node, true));
    assert_true(bars(&there, &blind, false) && bars(&there, &blind, true));
    assert_false(bars(&here, &blind, false) || bars(&here, &blind, true));
    assert_true(bars(&here, &pod, false) && bars(&there, &pod, false));
    assert_false(bars(&here, &pod, true) || bars(&there, &pod, true));
}

/* Ignored by id: it is still shown, with the reason, and counts for nothing. */
static void what_the_config_ignores_is_shown(void **state)
{
    AUTO(check_report_clear) struct check_report r = {0};

    look(CONFIG, "kind: {cluster: c1}\n",
         "kind: {cluster: c2}\ncheck: {ignore: [\"cluster.node: made tomorrow\"]}\n", &r);
    const struct finding *f = findings_find(&r.findings, "cluster.node");
    assert_non_null(f);
    assert_true(f->ignored);
    assert_string_equal(f->reason, "made tomorrow");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_right_host_has_no_fault),
        cmocka_unit_test(each_fault_is_found),
        cmocka_unit_test(without_kind_host_and_validator_are_compared),
        cmocka_unit_test(a_pod_with_another_ledger_is_found),
        cmocka_unit_test(what_bars_a_start),
        cmocka_unit_test(what_the_config_ignores_is_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
