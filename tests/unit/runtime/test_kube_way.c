/* runtime/kube_way: which way a stop of a pod takes, row by row. */
#include "runtime/kube_way.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <string.h>

#include "base/str.h"
#include "fixture.h"

#define NEED    900
#define TERM    (1ULL << (SIGTERM - 1))
#define GARBAGE "garbage-collector/wait"

/* PID 1 of the container. */
enum p1 {
    P_NONE,
    P_BARE,
    P_TINI,
    P_TINI_IGNORED,
    P_SHELL,
    P_TRAP,
    P_AGAVECTL,
    P_SHARED,
    P_CATCHES
};
static const struct kube_pid1 pid1s[] = {
    [P_NONE] = {.kind = KUBE_PID1_NONE},
    [P_BARE] = {.kind = KUBE_PID1_VALIDATOR,
                .name = (char[]){"agave-validator"},
                .id = {4711, 9},
                .signals = {.ns_pid = 1},
                .validator = {4711, 9},
                .validator_signals = {.ns_pid = 1}},
    [P_TINI] = {.kind = KUBE_PID1_INIT,
                .name = (char[]){"tini"},
                .id = {4711, 9},
                .signals = {.ns_pid = 1, .blocked = TERM},
                .validator = {4712, 10},
                .validator_signals = {.ns_pid = 7}},
    [P_TINI_IGNORED] = {.kind = KUBE_PID1_INIT,
                        .name = (char[]){"tini"},
                        .id = {4711, 9},
                        .signals = {.ns_pid = 1, .blocked = TERM},
                        .validator = {4712, 10},
                        .validator_signals = {.ns_pid = 7, .ignored = TERM}},
    [P_SHELL] = {.kind = KUBE_PID1_SHELL,
                 .name = (char[]){"bash"},
                 .id = {4711, 9},
                 .signals = {.ns_pid = 1, .caught = 1 << (SIGCHLD - 1)}},
    [P_TRAP] = {.kind = KUBE_PID1_SHELL,
                .name = (char[]){"bash"},
                .id = {4711, 9},
                .signals = {.ns_pid = 1, .caught = TERM}},
    [P_AGAVECTL] = {.kind = KUBE_PID1_AGAVECTL,
                    .name = (char[]){"agavectl"},
                    .id = {4711, 9},
                    .signals = {.ns_pid = 1, .blocked = TERM}},
    [P_SHARED] = {.kind = KUBE_PID1_VALIDATOR,
                  .name = (char[]){"agave-validator"},
                  .id = {4711, 9},
                  .signals = {.ns_pid = 8}},
    [P_CATCHES] = {.kind = KUBE_PID1_VALIDATOR,
                   .name = (char[]){"agave-validator"},
                   .id = {4711, 9},
                   .signals = {.ns_pid = 1, .caught = TERM}},
};

enum hook { H_NONE, H_EXIT, H_LEAVES, H_SHELL, H_SLEEP_SHORT, H_SLEEP_LONG, H_HTTP };

struct row {
    const char *what;
    /* what is read */
    int64_t grace_s, template_grace_s;
    enum p1 pid1;
    enum hook hook;
    const char *signal;
    bool no_pod, waiting, deleting, scaled, cordoned, finalizer, keepers_act, strange_container;
    int64_t left_s;
    size_t others, nodes;
    const char *owner_kind, *owner, *rivals, *keepers, *api, *kubelet;
    const char *no_scale, *no_delete, *no_cordon;
    /* what comes of it */
    const char *refused; /* part of the refusal */
    enum kube_way_kind kind;
    const char *changes;    /* in this order: c(ordon) r(emove) s(cale) k(ubelet) e(arly) */
    const char *text, *fix; /* parts; fix NULL: none */
};

static const struct row rows[] = {
    /* grace and the number of nodes */
    {"enough grace", 900, 900, P_BARE, .kind = KUBE_WAY_SCALE, .changes = "s",
     .text = "'agave-validator' (process 4711), which takes no notice"},
    {"a grace one second too short", 899, 899, P_BARE, .kind = KUBE_WAY_DELETE, .changes = "crs",
     .text = "with a grace of 1020 s", .fix = "terminationGracePeriodSeconds of at least 900"},
    {"the template is right, the pod is old", 30, 900, P_BARE, .kind = KUBE_WAY_DELETE,
     .changes = "crs", .text = "has a grace of 30 s (a stop may need 900 s), no preStop"},
    {"cordoned by others", 30, 30, P_BARE, .cordoned = true, .kind = KUBE_WAY_DELETE,
     .changes = "rs", .text = "others have cordoned node 'kind-node'", .fix = "Grace"},
    {"short grace, and it could go elsewhere", 30, 900, P_BARE, .nodes = 2,
     .kind = KUBE_WAY_KUBELET, .changes = "ske", .text = "as soon as the kubelet is stopped"},
    {"enough grace, several nodes", 900, 900, P_BARE, .nodes = 2, .kind = KUBE_WAY_SCALE,
     .changes = "s"},
    {"replicas are 0 already", 900, 900, P_BARE, .scaled = true, .kind = KUBE_WAY_SCALE,
     .changes = ""},
    /* the signal */
    {"an init passes it on", 900, 900, P_TINI, .kind = KUBE_WAY_KUBELET, .changes = "sk",
     .text = "passes it on: the validator would die in mid-write; the node's kubelet is stopped",
     .fix = "a preStop hook"},
    {"an init, and the grace is short", 30, 30, P_TINI, .kind = KUBE_WAY_KUBELET, .changes = "sk",
     .fix = "at least 900; and a preStop hook"},
    {"an init, several nodes", 900, 900, P_TINI, .nodes = 3, .kind = KUBE_WAY_KUBELET,
     .changes = "ske", .fix = "agavectl as the container's command"},
    {"an init, and the validator ignores it", 900, 900, P_TINI_IGNORED, .kind = KUBE_WAY_SCALE,
     .changes = "s", .text = "which the validator ignores"},
    {"a shell without a trap", 900, 900, P_SHELL, .kind = KUBE_WAY_SCALE, .changes = "s"},
    {"a shell with a trap", 900, 900, P_TRAP, .kind = KUBE_WAY_KUBELET, .changes = "sk",
     .text = "nobody knows whether the validator would live", .fix = "a preStop hook"},
    {"agavectl asks it", 900, 900, P_AGAVECTL, .kind = KUBE_WAY_SCALE, .changes = "s",
     .text = "which asks the validator to exit"},
    {"agavectl asks it, short grace", 30, 30, P_AGAVECTL, .kind = KUBE_WAY_DELETE, .changes = "crs",
     .fix = "Grace"},
    {"the validator is not PID 1", 900, 900, P_SHARED, .kind = KUBE_WAY_KUBELET, .changes = "sk",
     .text = "which would die of it", .fix = "a preStop hook"},
    {"a handler of its own", 900, 900, P_CATCHES, .kind = KUBE_WAY_KUBELET, .changes = "sk",
     .fix = "a preStop hook"},
    {"another signal that nobody takes", 900, 900, P_TRAP, .signal = "SIGINT",
     .kind = KUBE_WAY_SCALE, .changes = "s", .text = "the kubelet's SIGINT goes to"},
    {"SIGKILL at once", 900, 900, P_BARE, .signal = "SIGKILL", .kind = KUBE_WAY_KUBELET,
     .changes = "sk", .fix = "a preStop hook"},
    {"a signal without a name", 900, 900, P_BARE, .signal = "SIGRTMIN+3", .kind = KUBE_WAY_KUBELET,
     .changes = "sk", .text = "the kubelet's signal goes to", .fix = "a preStop hook"},
    /* the hook */
    {"the hook is the exit", 900, 900, P_TINI, H_EXIT, .kind = KUBE_WAY_SCALE, .changes = "s",
     .text = "a preStop hook that asks it to exit and waits"},
    {"the hook does not wait", 900, 900, P_TINI, H_LEAVES, .kind = KUBE_WAY_KUBELET,
     .changes = "sk", .text = "may do anything", .fix = "a preStop hook"},
    {"the hook is a script", 900, 900, P_BARE, H_SHELL, .kind = KUBE_WAY_KUBELET, .changes = "sk",
     .text = "a preStop hook (exec) that may do anything", .fix = "a preStop hook"},
    {"the hook asks somebody", 900, 900, P_BARE, H_HTTP, .kind = KUBE_WAY_KUBELET, .changes = "sk",
     .text = "(httpGet)", .fix = "a preStop hook"},
    {"the hook sleeps long enough", 900, 900, P_TINI, H_SLEEP_LONG, .kind = KUBE_WAY_SCALE,
     .changes = "s", .text = "waits for 900 s", .fix = "a preStop hook"},
    {"the hook sleeps too short", 900, 900, P_TINI, H_SLEEP_SHORT, .kind = KUBE_WAY_KUBELET,
     .changes = "sk", .text = "over too soon", .fix = "a preStop hook"},
    /* it does not run */
    {"no process yet, short grace", 30, 900, P_NONE, .waiting = true, .kind = KUBE_WAY_DELETE,
     .changes = "crs", .text = "no process of the container"},
    {"no process yet", 900, 900, P_NONE, .waiting = true, .kind = KUBE_WAY_SCALE, .changes = "s"},
    {"no pod", .no_pod = true, .kind = KUBE_WAY_NO_POD, .changes = "s",
     .text = "no pod of Deployment 'sol' lives; the Deployment is scaled to 0"},
    {"no pod, 0 replicas", .no_pod = true, .scaled = true, .kind = KUBE_WAY_NO_POD, .changes = ""},
    /* it is being deleted */
    {"deleted with enough grace", 30, 900, P_BARE, .deleting = true, .left_s = 900,
     .kind = KUBE_WAY_ENDING, .changes = "s", .text = "with 900 s left"},
    {"deleted with too little", 900, 900, P_BARE, .deleting = true, .left_s = 899,
     .kind = KUBE_WAY_LATE, .changes = "ske", .text = "kubelet is stopped first"},
    {"deleted, grace is over", 900, 900, P_BARE, .deleting = true, .left_s = -3,
     .kind = KUBE_WAY_LATE, .changes = "ske"},
    {"deleted, and the signal may yet come", 900, 900, P_TINI, .deleting = true, .left_s = 1000,
     .kind = KUBE_WAY_LATE, .changes = "ske", .fix = "a preStop hook"},
    {"deleted, no kubelet: never refused", 900, 900, P_BARE, .deleting = true, .left_s = 20,
     .kubelet = "it is not of this host", .kind = KUBE_WAY_LATE, .changes = "s",
     .text = "may be killed before it has ended"},
    {"deleted by hand, and replaced", 900, 900, P_BARE, .deleting = true, .left_s = 900,
     .others = 1, .kind = KUBE_WAY_ENDING, .changes = "s", .text = "1 pods that were to replace"},
    /* the API server is dead */
    {"no API", .no_pod = true, .api = "connection refused", .kind = KUBE_WAY_KUBELET,
     .changes = "sk", .text = "is owed"},
    {"no API, no kubelet", .no_pod = true, .api = "connection refused", .kubelet = "no Docker",
     .refused = "kubelet cannot be stopped: no Docker"},
    /* told, not refused */
    {"somebody must let the object go", 900, 900, P_BARE, .finalizer = true, .kind = KUBE_WAY_SCALE,
     .changes = "s", .text = "stays until '" GARBAGE "'"},
    {"a keeper that does nothing by itself", 900, 900, P_BARE, .keepers = "Helm (Helm)",
     .kind = KUBE_WAY_SCALE, .changes = "s", .text = "replicas again by Helm"},
    /* refused */
    {"somebody keeps it", 900, 900, P_BARE, .keepers = "KEDA (x)", .keepers_act = true,
     .refused = "given replicas again by KEDA (x)"},
    {"two pods", 900, 900, P_BARE, .others = 1, .refused = "2 pods of Deployment 'sol'"},
    {"two Deployments", 900, 900, P_BARE, .rivals = "sol-2", .refused = "others as well (sol-2)"},
    {"a StatefulSet's", 900, 900, P_BARE, .owner_kind = "StatefulSet", .owner = "sol-x",
     .refused = "belongs to StatefulSet 'sol-x'"},
    {"another Deployment's", 900, 900, P_BARE, .owner = "solana-x",
     .refused = "belongs to ReplicaSet 'solana-x'"},
    {"nobody's", 900, 900, P_BARE, .owner_kind = "", .refused = "belongs to nobody ''"},
    {"it runs elsewhere", 900, 900, P_NONE, .refused = "run agavectl on the host of node 'node1'"},
    {"no such container", 900, 900, P_BARE, .strange_container = true,
     .refused = "has no container 'other'"},
    {"an init, and no kubelet", 900, 900, P_TINI, .kubelet = "it is not of this host",
     .refused = "cannot be stopped: it is not of this host; for the next time: a preStop"},
    {"no right to scale", 900, 900, P_BARE, .no_scale = "user x may not patch",
     .refused = "cannot be scaled to 0: user x may not patch"},
    {"no right to delete", 30, 900, P_BARE, .no_delete = "may not", .refused = "deleted (the pod)"},
    {"no right to cordon", 30, 900, P_BARE, .no_cordon = "may not", .refused = "cordoned (its"},
    /* a right that is not needed is not missed */
    {"no right that it needs is missing", 900, 900, P_BARE, .no_delete = "x", .no_cordon = "x",
     .kind = KUBE_WAY_SCALE, .changes = "s"},
};

/* Of members that are freed where they are really read. */
static char *plain(const char *text)
{
    union {
        const char *text;
        char *plain;
    } u = {.text = text};

    return u.plain;
}

static void put_hook(enum hook hook, struct kube_container *c)
{
    static const char *const how[] = {"none", "exec", "exec", "exec", "sleep", "sleep", "httpGet"};
    static const char *const words[][5] = {
        [H_EXIT] = {"/bin/agave-validator", "--ledger", "/l", "exit", "--force"},
        [H_LEAVES] = {"/bin/agave-validator", "exit", "-f", "--no-wait-for-exit"},
        [H_SHELL] = {"/bin/sh", "-c", "agave-validator exit -f"},
        [H_HTTP] = {NULL},
    };

    c->has_pre_stop = hook != H_NONE;
    c->pre_stop_how = how[hook];
    c->pre_stop_sleep_s = hook == H_SLEEP_LONG ? NEED : hook == H_SLEEP_SHORT ? NEED - 1 : 0;
    for (size_t i = 0; i < 5 && words[hook][i]; i++)
        strlist_add(&c->pre_stop, words[hook][i]);
}

/* Everything that a row says, as the API would. containers: the pod's and the template's. */
struct world {
    struct kube_container containers[2];
    struct kube_container_status status;
    struct kube_deployment d;
    struct kube_pod pod;
    struct kube_node node;
    struct kube_way_facts f;
};

static void world_of(const struct row *r, struct world *w)
{
    char *name = plain("sol");

    for (size_t i = 0; i < 2; i++) {
        w->containers[i] = (struct kube_container){.name = name, .stop_signal = plain(r->signal)};
        put_hook(i && r->hook == H_SLEEP_LONG ? H_NONE : r->hook, &w->containers[i]);
    }
    w->status = (struct kube_container_status){
        .name = name, .state.kind = r->waiting ? KUBE_RUN_WAITING : KUBE_RUN_RUNNING};
    w->d = (struct kube_deployment){
        .meta = {.name = name, .name_space = name, .uid = plain("d-uid"), .generation = 4},
        .replicas = !r->scaled,
        .spec = {
            .grace_s = r->template_grace_s, .containers = &w->containers[1], .n_containers = 1}};
    w->pod = (struct kube_pod){
        .meta = {.name = plain("sol-x-y"),
                 .name_space = name,
                 .uid = plain("p-uid"),
                 .deleting = r->deleting,
                 .deletion_grace_s = r->deleting ? 900 : -1,
                 .owner_kind = plain((r->owner_kind ? r->owner_kind : "ReplicaSet")),
                 .owner_name = plain((r->owner ? r->owner : "sol-x"))},
        .spec = {.grace_s = r->grace_s,
                 .node = plain("node1"),
                 .containers = w->containers,
                 .n_containers = 1},
        .statuses = &w->status,
        .n_statuses = 1};
    if (r->owner_kind && !*r->owner_kind)
        w->pod.meta.owner_kind = w->pod.meta.owner_name = NULL;
    if (r->finalizer)
        strlist_add(&w->pod.meta.finalizers, GARBAGE);
    w->node = (struct kube_node){.meta = {.name = plain("kind-node"), .uid = plain("n-uid")},
                                 .cordoned = r->cordoned};
    w->f = (struct kube_way_facts){.need_s = NEED,
                                   .api = r->api,
                                   .deployment = r->api ? NULL : &w->d,
                                   .pod = r->no_pod ? NULL : &w->pod,
                                   .container = r->strange_container ? "other" : NULL,
                                   .others = r->others,
                                   .rivals = r->rivals,
                                   .keepers = r->keepers,
                                   .keepers_act = r->keepers_act,
                                   .node = r->api ? NULL : &w->node,
                                   .nodes = r->nodes ? r->nodes : 1,
                                   .pid1 = &pid1s[r->pid1],
                                   .kubelet = r->kubelet,
                                   .left_s = r->left_s,
                                   .no_scale = r->no_scale,
                                   .no_delete = r->no_delete,
                                   .no_cordon = r->no_cordon};
}

static void world_clear(struct world *w)
{
    strlist_clear(&w->containers[0].pre_stop);
    strlist_clear(&w->containers[1].pre_stop);
    strlist_clear(&w->pod.meta.finalizers);
}

static char *changes_of(const struct kube_way *w)
{
    return xasprintf("%s%s%s%s%s", w->cordon ? "c" : "", w->remove ? "r" : "", w->scale ? "s" : "",
                     w->kubelet ? "k" : "", w->scale_early ? "e" : "");
}

static void same_way(const struct kube_way *a, const struct kube_way *b)
{
    AUTO(freep) char *x = changes_of(a);
    AUTO(freep) char *y = changes_of(b);

    assert_string_equal(x, y);
    assert_string_equal(a->text, b->text);
    assert_true(str_eq(a->fix, b->fix));
    assert_true(a->kind == b->kind && a->grace_s == b->grace_s);
    assert_true(str_eq(a->pod.uid, b->pod.uid) && str_eq(a->pod.name, b->pod.name));
    assert_true(str_eq(a->node.uid, b->node.uid));
    assert_true(str_eq(a->deployment.uid, b->deployment.uid));
    assert_true(str_eq(a->deployment.name_space, b->deployment.name_space));
    assert_true(a->deployment.generation == b->deployment.generation);
}

static void through_the_journal(const struct kube_way *w)
{
    AUTO(kube_way_clear) struct kube_way back = {0};
    AUTO(json_freep) struct json *j = kube_way_json(w);
    AUTO(freep) char *text = json_text(j, false);
    AUTO(json_freep) struct json *read = NULL;
    const char *instance = NULL;

    assert_ok(json_parse(text, strlen(text), &read));
    assert_ok(kube_way_from_json(read, &back));
    same_way(w, &back);
    if (w->pod.uid) {
        assert_ok(json_as_str(json_get(read, "instance"), &instance));
        assert_string_equal(instance, "p-uid");
    }
    assert_true(json_is_object(json_get(read, "read")));
}

static void check_row(const struct row *r)
{
    AUTO(world_clear) struct world world = {0};
    struct world *at = &world;
    AUTO(kube_way_clear) struct kube_way w = {0};

    world_of(r, at);
    if (r->refused) {
        assert_err(kube_way_decide(&at->f, &w), ERR_REFUSED, r->refused);
        assert_null(w.text);
        return;
    }
    assert_ok(kube_way_decide(&at->f, &w));
    AUTO(freep) char *changes = changes_of(&w);
    if (w.kind != r->kind || !str_eq(changes, r->changes) ||
        (r->text && !strstr(w.text, r->text)) || !w.fix != !r->fix ||
        (r->fix && !strstr(w.fix, r->fix)))
        fail_msg("%s: way %s, changes '%s', text '%s', fix '%s'", r->what, kube_way_name(w.kind),
                 changes, w.text, w.fix ? w.fix : "");
    through_the_journal(&w);
}

static void each_row(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        print_message("# %s\n", rows[i].what);
        check_row(&rows[i]);
    }
}

static void what_the_journal_must_say(void **state)
{
    static const char *const bad[] = {
        "{}",
        "{\"way\":\"scale it\"}",
        "{\"way\":\"scale\",\"scale\":1}",
        "{\"way\":\"scale\",\"pod\":[]}",
        "{\"way\":\"scale\",\"pod\":{\"name\":\"x\"}}",
        "{\"way\":\"delete\",\"remove\":true,\"grace_s\":900}",
        "{\"way\":\"delete\",\"remove\":true,\"pod\":{\"name\":\"x\",\"uid\":\"y\"}}",
        "{\"way\":\"delete\",\"cordon\":true}",
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(kube_way_clear) struct kube_way w = {0};
        AUTO(json_freep) struct json *j = NULL;

        assert_ok(json_parse(bad[i], strlen(bad[i]), &j));
        assert_err(kube_way_from_json(j, &w), ERR_CORRUPT, "as the journal has it");
        assert_null(w.pod.name);
    }
}

static void signals_by_name(void **state)
{
    assert_int_equal(kube_stop_signal(NULL), SIGTERM);
    assert_int_equal(kube_stop_signal(&(struct kube_container){0}), SIGTERM);
    assert_int_equal(kube_stop_signal(&(struct kube_container){.stop_signal = plain("SIGUSR1")}),
                     SIGUSR1);
    assert_int_equal(kube_stop_signal(&(struct kube_container){.stop_signal = plain("USR1")}), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row),
        cmocka_unit_test(what_the_journal_must_say),
        cmocka_unit_test(signals_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
