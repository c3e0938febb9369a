/* Docker, the API server, the node and all references at once do not answer: the waits overlap, so
 * that a check takes as long as one of them, and nothing that was not seen is ok. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"
#include "checked.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "io/http.h"
#include "io/proc.h"
#include "look/scene_cluster.h"
#include "look/scene_status.h"
#include "stage/table.h"

#define API        "http://127.0.0.1:6443"
#define TIMEOUT_MS 700

static const char config[] = "kind: {cluster: c1}\n"
                             "cluster:\n  references: [\"http://a:8899\", \"http://b:8899\"]\n"
                             "kubernetes:\n  kubeconfig: /etc/kubeconfig\n"
                             "  namespace: laconic-c1\n  deployment: c1-deployment\n"
                             "  volumes: [validator-ledger=/mnt/solana/ledger]\n"
                             "relay:\n  listen: 0.0.0.0:9100\n"
                             "validator:\n  identity: /etc/agave/id.json\n";
static const char kubeconfig[] =
    "apiVersion: v1\nkind: Config\ncurrent-context: kind-c1\n"
    "clusters:\n- name: kind-c1\n  cluster:\n    server: " API "\n"
    "users:\n- name: kind-c1\n  user: {}\n"
    "contexts:\n- name: kind-c1\n  context: {cluster: kind-c1, user: kind-c1}\n";

/* ---- the world: counts the waits, and its clock goes on by them ---------------------------------
 */

static struct {
    struct strlist urls;     /* of all questions */
    size_t waits;            /* http_many's with somebody silent among those that were asked */
    const char *const *rows; /* the parts of URLs that are answered, each with its body */
    bool cancel;             /* the operator leaves during the first */
    uint64_t now_ns;
} world;

static const char *body_for(const char *url)
{
    for (const char *const *r = world.rows; r && *r; r += 2)
        if (strstr(url, r[0]))
            return r[1];
    return NULL;
}

static struct err *many(struct ctx *ctx, const struct http_request *reqs, size_t n,
                        struct http_response *ret)
{
    uint32_t waited_ms = 0;

    for (size_t i = 0; i < n; i++) {
        const char *body = body_for(reqs[i].url);

        strlist_add(&world.urls, reqs[i].url);
        ret[i] = (struct http_response){.status = 200, .length_b = UINT64_MAX};
        if (body) {
            ret[i].body = xstrdup(body);
            ret[i].body_n = strlen(body);
            continue;
        }
        assert_in_range(reqs[i].timeout_ms, 1, TIMEOUT_MS);
        ret[i].err =
            err_new(ERR_TIMEOUT, "%s: no answer within %u ms", reqs[i].url, reqs[i].timeout_ms);
        waited_ms = reqs[i].timeout_ms > waited_ms ? reqs[i].timeout_ms : waited_ms;
    }
    world.waits += waited_ms > 0;
    world.now_ns += waited_ms * UINT64_C(1000000);
    for (size_t i = 0; world.cancel && i < n; i++)
        http_response_clear(&ret[i]);
    return world.cancel ? err_new(ERR_CANCELLED, "interrupted") : NULL;
}

static const struct http_ops silent_http = {.many = many};

static uint64_t mono(void)
{
    return world.now_ns;
}

static uint64_t wall(void)
{
    return 1700000000000 + world.now_ns / 1000000;
}

static void wait_for(uint64_t ns, const volatile sig_atomic_t *cancelled)
{
    world.now_ns += ns;
}

static const struct clock_ops world_clock = {mono, wall, wait_for};

/* iptables-save shows the relay's rule: its target is looked for among the pods. */
static struct err *run(struct ctx *ctx, const struct proc_spec *spec, struct proc_result *ret)
{
    static const char rule[] =
        "*nat\n:PREROUTING ACCEPT [0:0]\n"
        "-A PREROUTING -p udp --dport 9100 -j DNAT --to-destination 10.0.0.9:8002\nCOMMIT\n";

    if (!str_eq(spec->argv[0], "iptables-save"))
        return err_new(ERR_ABSENT, "no %s", spec->argv[0]);
    *ret = (struct proc_result){.out = xstrdup(rule), .err = xstrdup(""), .out_n = strlen(rule)};
    return NULL;
}

static const struct proc_ops world_proc = {run};

/* access: the kubeconfig's text. */
static void host_new(struct checked *c, const char *access, const char *const *rows)
{
    checked_new(c, config);
    strlist_clear(&world.urls);
    world.waits = 0;
    world.rows = rows;
    world.cancel = false;
    world.now_ns = 1000000000;
    fixture_put(&c->f, "/etc/kubeconfig", "%s", access);
    fixture_put(&c->f, "/host.json", "{}");
    fixture_put(&c->f, "/proc/self/net/udp", "head\n");
    fixture_put(&c->f, "/proc/self/net/tcp", "head\n");
    fixture_link(&c->f, "/proc/self/ns/net", "net:[4026531900]");
    fsroot_close(c->f.ctx.root);
    assert_ok(fsroot_open_captured(c->f.dir, &c->f.ctx.root));
    c->f.ctx.http = &silent_http;
    c->f.ctx.clock = &world_clock;
    c->f.ctx.proc = &world_proc;
}

static void look(struct checked *c, bool (*wanted)(const void *arg, const struct stage *s),
                 const void *arg)
{
    check_report_clear(&c->r);
    stages_check(&c->f.ctx, &(struct check_opts){.wanted = wanted, .arg = arg}, &c->r);
}

static size_t asked(const char *part)
{
    size_t n = 0;

    for (size_t i = 0; i < world.urls.n; i++)
        n += strstr(world.urls.items[i], part) != NULL;
    return n;
}

static bool is(const void *arg, const struct stage *s)
{
    return s == arg;
}

static bool none_of(const struct checked *c, const char *prefix, enum severity sev)
{
    for (size_t i = 0; i < c->r.findings.n; i++)
        if (str_starts(c->r.findings.items[i].id, prefix) && c->r.findings.items[i].sev == sev)
            return false;
    return true;
}

/* ---- all of them ------------------------------------------------------------------------------
 */

static void all_are_waited_for_at_once(void **state)
{
    AUTO(checked_clear) struct checked c;

    host_new(&c, kubeconfig, NULL);
    look(&c, NULL, NULL);
    assert_int_equal(world.waits, 1);
    assert_in_range(world.now_ns / 1000000 - 1000, 1, TIMEOUT_MS);
    assert_int_equal(asked("http://docker/version"), 1);
    assert_int_equal(asked(API "/"), 1);
    assert_int_equal(asked("http://a:8899"), 1);
    assert_int_equal(asked("http://b:8899"), 1);
    checked_has(&c, "docker.reach", SEV_UNKNOWN, "no answer within");
    checked_has(&c, "cluster.node", SEV_UNKNOWN, "no answer within");
    checked_has(&c, "cluster.api", SEV_UNKNOWN, "no answer within");
    checked_has(&c, "health.references", SEV_UNKNOWN, "0 of 2");
    checked_has(&c, "relay.dnat", SEV_OK, NULL); /* it came as far as to ask for the pods */
    assert_true(none_of(&c, "docker.", SEV_OK));
    assert_true(none_of(&c, "cluster.", SEV_OK));
    assert_true(none_of(&c, "propagation.", SEV_OK));
    assert_true(none_of(&c, "health.", SEV_OK));
}

/* Nobody is asked who is not needed, and two that are needed are asked together. */
static void a_stage_alone_asks_whom_it_needs(void **state)
{
    for (size_t i = 0; stage_table[i]; i++) {
        const struct stage *s = stage_table[i];
        AUTO(checked_clear) struct checked c;

        host_new(&c, kubeconfig, NULL);
        look(&c, is, s);
        if (world.waits > 1 || world.now_ns / 1000000 - 1000 > TIMEOUT_MS)
            fail_msg("stage '%s' waits %zu times", s->name, world.waits);
        if (asked("docker") > !!(s->asks & PARTY_DOCKER) || asked(API) > !!(s->asks & PARTY_KUBE) ||
            asked("http://a") > !!(s->asks & PARTY_STATUS))
            fail_msg("stage '%s' asks others than it says", s->name);
    }
}

static void a_stage_alone_waits_once(void **state)
{
    AUTO(checked_clear) struct checked c;

    host_new(&c, kubeconfig, NULL);
    look(&c, is, &stage_cluster);
    assert_int_equal(asked("http://docker/version"), 1);
    assert_int_equal(asked(API), 1);
    assert_int_equal(world.urls.n, 2);
    assert_int_equal(world.waits, 1);
}

/* ---- one of them ------------------------------------------------------------------------------
 */

#define PVS     "{\"kind\": \"PersistentVolumeList\", \"apiVersion\": \"v1\", \"items\": []}"
#define VERSION "{\"ApiVersion\": \"1.41\", \"Version\": \"20.10.24\"}"

/* Answers to the first question and to nothing after it: the next silence is the last. */
static void one_that_falls_silent_later_is_not_asked_again(void **state)
{
    static const char *const rows[] = {"/version", VERSION, "/persistentvolumes", PVS, NULL};
    AUTO(checked_clear) struct checked c;

    host_new(&c, kubeconfig, rows);
    look(&c, is, &stage_cluster);
    assert_int_equal(asked("/info"), 1);
    assert_int_equal(asked("http://docker"), 2);
    assert_int_equal(asked("/deployments/"), 1);
    assert_int_equal(asked(API), 2);
    checked_has(&c, "cluster.api", SEV_OK, NULL);
    checked_has(&c, "cluster.deployment", SEV_UNKNOWN, "no answer within");
    checked_has(&c, "cluster.volumes", SEV_UNKNOWN, "no answer within");
}

/* The others are there as if nothing were wrong. */
static void one_that_is_silent_costs_the_others_nothing(void **state)
{
    static const char *const rows[] = {"/version", VERSION, "/info",
                                       "{\"DockerRootDir\": \"/var/lib/docker\", \"Driver\": "
                                       "\"overlay2\", \"LiveRestoreEnabled\": true}",
                                       NULL};
    AUTO(checked_clear) struct checked c;

    host_new(&c, kubeconfig, rows);
    look(&c, is, &stage_docker);
    checked_has(&c, "docker.reach", SEV_OK, "20.10.24");
    checked_has(&c, "docker.liverestore", SEV_OK, NULL);
    assert_int_equal(world.waits, 0);
}

/* Even where it is told late who else will be asked. */
static void nobody_is_asked_the_first_question_twice(void **state)
{
    AUTO(scene_freep) struct scene *scene = scene_new();
    const struct docker_info *info = NULL;
    const struct status *status = NULL;
    AUTO(checked_clear) struct checked c;
    const char *version = NULL;

    host_new(&c, kubeconfig, NULL);
    assert_err(scene_docker(&c.f.ctx, scene, &info, &version), ERR_TIMEOUT, "no answer within");
    assert_int_equal(world.urls.n, 1);
    scene_expect(scene, PARTY_DOCKER | PARTY_KUBE | PARTY_STATUS);
    assert_ok(scene_status(&c.f.ctx, scene, &status));
    assert_int_equal(asked("http://docker"), 1);
    assert_int_equal(asked(API), 1);
}

static void one_that_leaves_learns_nothing(void **state)
{
    AUTO(checked_clear) struct checked c;

    host_new(&c, kubeconfig, NULL);
    world.cancel = true;
    look(&c, NULL, NULL);
    checked_has(&c, "docker.reach", SEV_UNKNOWN, "interrupted");
    checked_has(&c, "cluster.api", SEV_UNKNOWN, "interrupted");
    checked_has(&c, "health", SEV_UNKNOWN, "interrupted");
    look(&c, is, &stage_docker);
    checked_has(&c, "docker.reach", SEV_UNKNOWN, "interrupted");
}

/* Docker is waited for although status cannot be looked at. */
static void a_broken_config_of_one_does_not_silence_the_others(void **state)
{
    AUTO(checked_clear) struct checked c;

    host_new(&c, "nonsense\n", NULL);
    look(&c, NULL, NULL);
    assert_int_equal(world.waits, 1);
    assert_int_equal(asked(API), 0);
    checked_has(&c, "docker.reach", SEV_UNKNOWN, "no answer within");
    checked_has(&c, "cluster.kubeconfig", SEV_UNKNOWN, "kubeconfig");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_waited_for_at_once),
        cmocka_unit_test(a_stage_alone_asks_whom_it_needs),
        cmocka_unit_test(a_stage_alone_waits_once),
        cmocka_unit_test(one_that_falls_silent_later_is_not_asked_again),
        cmocka_unit_test(one_that_is_silent_costs_the_others_nothing),
        cmocka_unit_test(nobody_is_asked_the_first_question_twice),
        cmocka_unit_test(one_that_leaves_learns_nothing),
        cmocka_unit_test(a_broken_config_of_one_does_not_silence_the_others),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    strlist_clear(&world.urls);
    return failed;
}
