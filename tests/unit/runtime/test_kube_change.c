/* runtime/kube_change: what is asked for, bound to what was seen, and what is done after an answer
 * that did not come. */
#include "runtime/kube_change.h"

#include "fake_steps.h"

#define D        "/apis/apps/v1/namespaces/ns/deployments/d"
#define P        "/api/v1/namespaces/ns/pods/p"
#define N        "/api/v1/nodes/n"
#define BY       "?fieldManager=agavectl"
#define CONFLICT "{\"kind\":\"Status\",\"code\":409,\"message\":\"the object has been modified\"}"

#define DEPLOYMENT(uid, version, generation, replicas, now)                                        \
    "{\"kind\":\"Deployment\",\"metadata\":{\"name\":\"d\",\"namespace\":\"ns\",\"uid\":\"" uid    \
    "\",\"resourceVersion\":\"" version "\",\"generation\":" generation                            \
    "},\"spec\":{\"replicas\":" replicas                                                           \
    ",\"selector\":{\"matchLabels\":{\"a\":\"b\"}},\"template\":{\"spec\":{}}},"                   \
    "\"status\":{\"replicas\":" now ",\"observedGeneration\":" generation "}}"
#define POD(uid, more)                                                                             \
    "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"namespace\":\"ns\",\"uid\":\"" uid           \
    "\"," more "\"resourceVersion\":\"5\"}}"
#define NODE(version, more, spec)                                                                  \
    "{\"kind\":\"Node\",\"metadata\":{\"name\":\"n\",\"uid\":\"u\",\"resourceVersion\":\"" version \
    "\"" more "},\"spec\":{" spec "}}"
#define MARKED ",\"annotations\":{\"agavectl/operation\":\"op-1\"}"

static const struct kube_meta deployment = {.name = (char *)(uintptr_t) "d",
                                            .name_space = (char *)(uintptr_t) "ns",
                                            .uid = (char *)(uintptr_t) "u",
                                            .generation = 4};
static const struct kube_meta pod = {.name = (char *)(uintptr_t) "p",
                                     .name_space = (char *)(uintptr_t) "ns",
                                     .uid = (char *)(uintptr_t) "u"};
static const struct kube_meta node = {.name = (char *)(uintptr_t) "n",
                                      .uid = (char *)(uintptr_t) "u"};

/* ---- replicas -------------------------------------------------------------------------------- */

static void a_scale_is_bound_to_the_last_look(void **state)
{
    const struct step script[] = {
        {"GET " D, NULL, 200, DEPLOYMENT("u", "7", "4", "1", "1")},
        {"PUT " D "/scale" BY,
         "{\"metadata\":{\"uid\":\"u\",\"resourceVersion\":\"7\",\"name\":\"d\",\"namespace\":"
         "\"ns\"},\"kind\":\"Scale\",\"apiVersion\":\"autoscaling/v1\",\"spec\":{\"replicas\":0}}",
         200, "{}"},
        {NULL},
    };

    play(script);
    assert_ok(kube_scale(&ctx, &kube, &deployment, 0));
    assert_played();
}

static void a_status_that_moves_does_no_harm_and_a_wish_does(void **state)
{
    const struct step script[] = {
        {"GET " D, NULL, 200, DEPLOYMENT("u", "7", "4", "1", "1")},
        {"PUT " D "/scale" BY, "\"7\"", 409, CONFLICT},
        {"GET " D, NULL, 200, DEPLOYMENT("u", "8", "4", "1", "1")},
        {"PUT " D "/scale" BY, "\"8\"", 409, CONFLICT},
        {"GET " D, NULL, 200, DEPLOYMENT("u", "9", "5", "1", "1")},
        {NULL},
    };

    play(script);
    struct err *e = kube_scale(&ctx, &kube, &deployment, 0);
    assert_true(kube_is_conflict(e));
    assert_err(e, ERR_REFUSED, "somebody else has changed it since it was looked at");
    assert_played();
}

static void the_same_conflict_twice_is_told(void **state)
{
    const struct step script[] = {
        {"GET " D, NULL, 200, DEPLOYMENT("u", "7", "4", "1", "1")},
        {"PUT " D "/scale" BY, NULL, 409, CONFLICT},
        {"GET " D, NULL, 200, DEPLOYMENT("u", "7", "4", "1", "1")},
        {NULL},
    };

    play(script);
    assert_err(kube_scale(&ctx, &kube, &deployment, 0), ERR_REFUSED, "has been modified");
    assert_played();
}

static void an_answer_that_did_not_come_is_looked_for(void **state)
{
    const struct step done[] = {
        {"GET " D, NULL, 200, DEPLOYMENT("u", "7", "4", "1", "1")},
        {"PUT " D "/scale" BY, NULL, 0, "x: reset", ERR_REMOTE},
        {"GET " D, NULL, 0, "x: refused", ERR_REMOTE},
        {"GET " D, NULL, 503, "busy"},
        {"GET " D, NULL, 200, DEPLOYMENT("u", "8", "5", "0", "0")},
        {NULL},
    };
    const struct step not_done[] = {
        {"GET " D, NULL, 200, DEPLOYMENT("u", "7", "4", "1", "1")},
        {"PUT " D "/scale" BY, NULL, 0, "x: not done within 1 s", ERR_TIMEOUT},
        {"GET " D, NULL, 200, DEPLOYMENT("u", "7", "4", "1", "1")},
        {"PUT " D "/scale" BY, NULL, 200, "{}"},
        {NULL},
    };

    play(done);
    assert_ok(kube_scale(&ctx, &kube, &deployment, 0));
    assert_played();
    play(not_done);
    assert_ok(kube_scale(&ctx, &kube, &deployment, 0));
    assert_played();
}

static void trying_again_has_an_end(void **state)
{
    const struct step script[] = {
        {"GET " D, NULL, 0, "x: refused", ERR_REMOTE},
        {"GET " D, NULL, 0, "x: refused", ERR_REMOTE},
        {"GET " D, NULL, 0, "x: refused", ERR_REMOTE},
        {NULL},
    };

    kube.retry_ms = 500;
    play(script);
    assert_err(kube_scale(&ctx, &kube, &deployment, 0), ERR_REMOTE, "refused");
    assert_played();
    assert_true(now_ns >= 1500000000 && now_ns < 1600000000);
}

static void a_server_that_has_just_started_is_waited_for(void **state)
{
    const struct step script[] = {
        {"GET " D, NULL, 403, "{}"},
        {"GET /readyz", NULL, 0, "x: reset", ERR_REMOTE},
        {"GET " D, NULL, 403, "{}"},
        {"GET /readyz", NULL, 403, "{}"},
        {"GET " D, NULL, 403, "{}"},
        {"GET /readyz", NULL, 200, "ok"},
        {"GET " D, NULL, 200, DEPLOYMENT("u", "7", "4", "0", "0")},
        {NULL},
    };

    play(script);
    assert_ok(kube_scale(&ctx, &kube, &deployment, 0));
    assert_played();
}

static void another_object_of_that_name_is_left_alone(void **state)
{
    const struct step script[] = {
        {"GET " D, NULL, 200, DEPLOYMENT("other", "7", "4", "0", "0")},
        {NULL},
    };

    play(script);
    assert_err(kube_scale(&ctx, &kube, &deployment, 0), ERR_REFUSED, "another object has its name");
    assert_played();
}

static void what_is_as_it_should_be_is_done(void **state)
{
    const struct step script[] = {
        {"GET " D, NULL, 200, DEPLOYMENT("u", "9", "6", "0", "0")},
        {NULL},
    };
    const struct step dry[] = {
        {"GET " D, NULL, 200, DEPLOYMENT("u", "9", "6", "0", "0")},
        {"PUT " D "/scale" BY "&dryRun=All", NULL, 403, "{}"},
        {"GET /readyz", NULL, 200, "ok"},
        {"PUT " D "/scale" BY "&dryRun=All", NULL, 403,
         "{\"kind\":\"Status\",\"message\":\"you may not\"}"},
        {NULL},
    };

    play(script);
    assert_ok(kube_scale(&ctx, &kube, &deployment, 0));
    assert_played();
    kube.dry_run = true; /* the rights are asked for even so */
    play(dry);
    assert_err(kube_scale(&ctx, &kube, &deployment, 0), ERR_REFUSED,
               "HTTP 403: you may not; see the user 'kind-x' in '/home/op/.kube/config'");
    assert_played();
}

/* ---- pods ------------------------------------------------------------------------------------ */

static void the_grace_is_what_the_answer_says(void **state)
{
    int64_t got = 0;
    const struct step script[] = {
        {"GET " P, NULL, 200, POD("u", "")},
        {"DELETE " P,
         "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"preconditions\":{\"uid\":\"u\"},"
         "\"gracePeriodSeconds\":600}",
         200,
         POD("u",
             "\"deletionGracePeriodSeconds\":600,\"deletionTimestamp\":\"2026-11-23T00:00:00Z\",")},
        {NULL},
    };

    play(script);
    assert_ok(kube_delete_pod(&ctx, &kube, &pod, 600, &got));
    assert_played();
    assert_int_equal(got, 600);
}

static void a_running_grace_is_never_made_shorter(void **state)
{
    int64_t got = 0;
    const struct step script[] = {
        {"GET " P, NULL, 200,
         POD("u",
             "\"deletionGracePeriodSeconds\":30,\"deletionTimestamp\":\"2026-11-23T00:00:00Z\",")},
        {NULL},
    };

    play(script);
    assert_ok(kube_delete_pod(&ctx, &kube, &pod, 600, &got));
    assert_int_equal(got, 30);
    play(script);
    assert_ok(kube_delete_pod(&ctx, &kube, &pod, 5, &got));
    assert_int_equal(got, 30);
    assert_err(kube_delete_pod(&ctx, &kube, &pod, 0, &got), ERR_BUG, "at least 1 s");
}

static void a_pod_that_is_gone(void **state)
{
    int64_t got = -7;
    const struct step gone[] = {{"GET " P, NULL, 404, "{\"message\":\"not found\"}"}, {NULL}};
    const struct step another[] = {{"GET " P, NULL, 200, POD("v", "")}, {NULL}};

    play(gone);
    assert_err(kube_delete_pod(&ctx, &kube, &pod, 600, &got), ERR_NOTFOUND, "not found");
    play(another);
    assert_err(kube_delete_pod(&ctx, &kube, &pod, 600, &got), ERR_NOTFOUND, "another object");
    assert_int_equal(got, -7);
}

static void a_dry_delete_says_so_in_its_body(void **state)
{
    int64_t got = 0;
    const struct step script[] = {
        {"GET " P, NULL, 200, POD("u", "")},
        {"DELETE " P, "\"dryRun\":[\"All\"]", 200, POD("u", "\"deletionGracePeriodSeconds\":600,")},
        {NULL},
    };

    kube.dry_run = true;
    play(script);
    assert_ok(kube_delete_pod(&ctx, &kube, &pod, 600, &got));
    assert_played();
}

/* ---- cordon ---------------------------------------------------------------------------------- */

static void a_cordon_is_ours_by_its_mark(void **state)
{
    const struct step on[] = {
        {"GET " N, NULL, 200, NODE("3", "", "")},
        {"PATCH " N BY,
         "{\"metadata\":{\"uid\":\"u\",\"resourceVersion\":\"3\",\"annotations\":{\"agavectl/"
         "operation\":\"op-1\"}},\"spec\":{\"unschedulable\":true}}",
         200, "{}"},
        {NULL},
    };
    const struct step again[] = {
        {"GET " N, NULL, 200, NODE("4", MARKED, "\"unschedulable\":true")},
        {NULL},
    };
    const struct step off[] = {
        {"GET " N, NULL, 200, NODE("4", MARKED, "\"unschedulable\":true")},
        {"PATCH " N BY,
         "\"annotations\":{\"agavectl/operation\":null}},\"spec\":{\"unschedulable\":null}}", 200,
         "{}"},
        {NULL},
    };

    play(on);
    assert_ok(kube_cordon(&ctx, &kube, &node, "op-1"));
    assert_played();
    play(again);
    assert_ok(kube_cordon(&ctx, &kube, &node, "op-1"));
    play(off);
    assert_ok(kube_uncordon(&ctx, &kube, &node, "op-1"));
    assert_played();
}

static void what_others_cordoned_stays(void **state)
{
    const struct step others[] = {{"GET " N, NULL, 200, NODE("4", "", "\"unschedulable\":true")},
                                  {NULL}};
    const struct step another[] = {
        {"GET " N, NULL, 200, NODE("4", MARKED, "\"unschedulable\":true")}, {NULL}};
    const struct step none[] = {{"GET " N, NULL, 200, NODE("4", "", "")}, {NULL}};

    play(others);
    assert_err(kube_uncordon(&ctx, &kube, &node, "op-1"), ERR_REFUSED,
               "somebody else has cordoned");
    play(others);
    assert_err(kube_cordon(&ctx, &kube, &node, "op-1"), ERR_REFUSED, "somebody else has cordoned");
    play(another);
    assert_err(kube_uncordon(&ctx, &kube, &node, "op-2"), ERR_REFUSED, "another operation");
    play(none);
    assert_ok(kube_uncordon(&ctx, &kube, &node, "op-1"));
}

/* ---- templates and manifests ----------------------------------------------------------------- */

static void no_template_is_written_over_a_pod(void **state)
{
    AUTO(json_freep) struct json *patch = json_new_object();
    const char *const with_replicas[] = {
        DEPLOYMENT("u", "7", "4", "1", "1"),
        DEPLOYMENT("u", "7", "4", "0", "1"),
        DEPLOYMENT("u", "7", "4", "1", "0"),
    };
    const struct step none[] = {
        {"GET " D, NULL, 200, DEPLOYMENT("u", "7", "4", "0", "0")},
        {"PATCH " D BY, "\"resourceVersion\":\"7\"},\"spec\":{\"template\":{}}}", 200, "{}"},
        {NULL},
    };

    for (size_t i = 0; i < ARRAY_LEN(with_replicas); i++) {
        const struct step some[] = {{"GET " D, NULL, 200, with_replicas[i]}, {NULL}};

        play(some);
        assert_err(kube_write_template(&ctx, &kube, &deployment, patch), ERR_REFUSED,
                   "has replicas");
    }
    play(none);
    assert_ok(kube_write_template(&ctx, &kube, &deployment, patch));
    assert_played();
}

static struct err *apply(const char *text, bool force)
{
    AUTO(json_freep) struct json *j = NULL;

    assert_ok(json_parse(text, strlen(text), &j));
    return kube_apply(&ctx, &kube, j, force);
}

#define CONFIG_MAP                                                                                 \
    "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c\",\"namespace\":"    \
    "\"ns\"}}"
#define MANIFEST                                                                                   \
    "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"d\","            \
    "\"namespace\":\"ns\"}}"

static void manifests_go_where_their_kind_lives(void **state)
{
    const struct step both[] = {
        {"PATCH /api/v1/namespaces/ns/configmaps/c" BY "&force=true", "\"kind\":\"ConfigMap\"", 201,
         "{}"},
        {"GET " D, NULL, 404, "{}"},
        {"PATCH " D BY "&force=true", "\"namespace\":\"ns\"}}", 201, "{}"},
        {NULL},
    };
    const struct step over[] = {
        {"GET " D, NULL, 200, DEPLOYMENT("u", "7", "4", "0", "0")},
        {"PATCH " D BY, "\"resourceVersion\":\"7\"}", 200, "{}"},
        {NULL},
    };
    const struct step runs[] = {{"GET " D, NULL, 200, DEPLOYMENT("u", "7", "4", "1", "1")}, {NULL}};

    play(both);
    assert_ok(apply("{\"kind\":\"List\",\"items\":[" CONFIG_MAP "," MANIFEST "]}", true));
    assert_played();
    play(over);
    assert_ok(apply(MANIFEST, false));
    assert_played();
    play(runs);
    assert_err(apply(MANIFEST, true), ERR_REFUSED, "Deployment 'd': kubernetes at");
}

static void what_is_no_manifest(void **state)
{
    const struct step none[] = {{NULL}};

    play(none);
    assert_err(apply("{}", false), ERR_BADINPUT, "manifest: ");
    assert_err(
        apply("{\"apiVersion\":\"v1\",\"kind\":\"Teapot\",\"metadata\":{\"name\":\"x\"}}", false),
        ERR_BADINPUT, "'Teapot' is no kind");
    assert_err(
        apply("{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"../x\"}}", false),
        ERR_BADINPUT, "cannot be the name of a Pod");
}

static void a_conflict_of_managers_is_not_tried_again(void **state)
{
    const struct step script[] = {
        {"PATCH /api/v1/namespaces/ns/configmaps/c" BY, NULL, 409,
         "{\"message\":\"Apply failed with 1 conflict: conflict with \\\"gitops\\\": .data.a\"}"},
        {NULL},
    };

    play(script);
    struct err *e = apply(CONFIG_MAP, false);
    assert_true(kube_is_conflict(e));
    assert_err(e, ERR_REFUSED, "conflict with \"gitops\": .data.a");
    assert_played();
}

/* ---- namespaces ------------------------------------------------------------------------------ */

#define NS "/api/v1/namespaces"
#define NAMESPACE(more)                                                                            \
    "{\"kind\":\"Namespace\",\"metadata\":{\"name\":\"x\",\"uid\":\"u\"" more "}}"

static void a_namespace_is_made_once(void **state)
{
    const struct step made[] = {
        {"GET " NS "/x", NULL, 404, "{}"},
        {"POST " NS BY, "\"name\":\"x\"", 0, "x: reset", ERR_REMOTE},
        {"GET " NS "/x", NULL, 200, NAMESPACE("")},
        {NULL},
    };
    const struct step there[] = {
        {"GET " NS "/x", NULL, 200, NAMESPACE(",\"deletionTimestamp\":\"2026-11-23T00:00:00Z\"")},
        {NULL}};

    play(made);
    assert_ok(kube_create_namespace(&ctx, &kube, "x"));
    assert_played();
    play(there);
    assert_err(kube_create_namespace(&ctx, &kube, "x"), ERR_REFUSED, "is being deleted");
}

static void a_namespace_goes_by_its_uid(void **state)
{
    const struct kube_meta x = {.name = (char *)(uintptr_t) "x", .uid = (char *)(uintptr_t) "u"};
    const struct kube_meta no_uid = {.name = (char *)(uintptr_t) "x"};
    const struct step goes[] = {
        {"GET " NS "/x", NULL, 200, NAMESPACE("")},
        {"DELETE " NS "/x", "\"preconditions\":{\"uid\":\"u\"}}", 200, "{}"},
        {NULL},
    };
    const struct step any[] = {{"GET " NS "/x", NULL, 200, NAMESPACE("")}, {NULL}};

    play(goes);
    assert_ok(kube_delete_namespace(&ctx, &kube, &x));
    assert_played();
    play(any);
    assert_err(kube_delete_namespace(&ctx, &kube, &no_uid), ERR_BUG, "without its UID");
}

static void an_annotation_is_set_and_taken_away(void **state)
{
    const struct step set[] = {
        {"GET " D, NULL, 200, DEPLOYMENT("u", "7", "4", "1", "1")},
        {"PATCH " D BY, "\"resourceVersion\":\"7\",\"annotations\":{\"k\":\"v\"}}}", 200, "{}"},
        {NULL},
    };
    const struct step away[] = {{"GET " D, NULL, 200, DEPLOYMENT("u", "7", "4", "1", "1")}, {NULL}};

    play(set);
    assert_ok(kube_annotate(&ctx, &kube, KUBE_DEPLOYMENT, &deployment, "k", "v"));
    assert_played();
    play(away); /* it has none */
    assert_ok(kube_annotate(&ctx, &kube, KUBE_DEPLOYMENT, &deployment, "k", NULL));
    assert_played();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_scale_is_bound_to_the_last_look, setup),
        cmocka_unit_test_setup(a_status_that_moves_does_no_harm_and_a_wish_does, setup),
        cmocka_unit_test_setup(the_same_conflict_twice_is_told, setup),
        cmocka_unit_test_setup(an_answer_that_did_not_come_is_looked_for, setup),
        cmocka_unit_test_setup(trying_again_has_an_end, setup),
        cmocka_unit_test_setup(a_server_that_has_just_started_is_waited_for, setup),
        cmocka_unit_test_setup(another_object_of_that_name_is_left_alone, setup),
        cmocka_unit_test_setup(what_is_as_it_should_be_is_done, setup),
        cmocka_unit_test_setup(the_grace_is_what_the_answer_says, setup),
        cmocka_unit_test_setup(a_running_grace_is_never_made_shorter, setup),
        cmocka_unit_test_setup(a_pod_that_is_gone, setup),
        cmocka_unit_test_setup(a_dry_delete_says_so_in_its_body, setup),
        cmocka_unit_test_setup(a_cordon_is_ours_by_its_mark, setup),
        cmocka_unit_test_setup(what_others_cordoned_stays, setup),
        cmocka_unit_test_setup(no_template_is_written_over_a_pod, setup),
        cmocka_unit_test_setup(manifests_go_where_their_kind_lives, setup),
        cmocka_unit_test_setup(what_is_no_manifest, setup),
        cmocka_unit_test_setup(a_conflict_of_managers_is_not_tried_again, setup),
        cmocka_unit_test_setup(a_namespace_is_made_once, setup),
        cmocka_unit_test_setup(a_namespace_goes_by_its_uid, setup),
        cmocka_unit_test_setup(an_annotation_is_set_and_taken_away, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
