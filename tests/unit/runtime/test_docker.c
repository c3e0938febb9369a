/* runtime/docker: answers of a real Docker 20.10.24, and what a daemon should not say. */
#include "runtime/docker.h"

#include "fake_api.h"
#include "runtime/fields.h"

/* ---- what a real daemon says
 * --------------------------------------------------------------------- */

static void a_real_daemon_is_understood(void **state)
{
    AUTO(freep)
    char *version = data("docker/version"), *info = data("docker/info"),
         *list = data("docker/list");
    AUTO(freep) char *inspect = data("docker/inspect");
    const struct row table[] = {
        {"http://docker/version", 200, version},
        {"http://docker/v1.41/info", 200, info},
        {"http://docker/v1.41/containers/json?all=1", 200, list},
        {"http://docker/v1.41/containers/test-control-plane/json", 200, inspect},
        {NULL},
    };
    AUTO(docker_info_clear) struct docker_info i = {0};
    AUTO(docker_list_clear) struct docker_list all = {0}, kind = {0}, one = {0}, none = {0};
    AUTO(docker_inspect_clear) struct docker_inspect c = {0};
    struct docker d = {0};

    rows = table;
    assert_null(docker_connect(&ctx, NULL, 0, &d));
    assert_true(asked_unix);
    assert_string_equal(d.socket, "/var/run/docker.sock");
    assert_int_equal(asked.timeout_ms, 500);
    assert_string_equal(d.api, "v1.41");
    assert_string_equal(d.version, "20.10.24+dfsg1");

    assert_null(docker_get_info(&ctx, &d, &i));
    assert_string_equal(i.root_dir, "/var/lib/docker");
    assert_string_equal(i.driver, "overlay2");
    assert_string_equal(i.cgroup_driver, "cgroupfs");
    assert_int_equal(i.cgroup_version, 1);
    assert_true(i.live_restore);

    assert_null(docker_list_containers(&ctx, &d, NULL, "", &all));
    assert_int_equal(all.n, 3);
    assert_null(docker_list_containers(&ctx, &d, NULL, "test-rshared", &kind));
    assert_int_equal(kind.n, 1);
    assert_string_equal(kind.items[0].name, "test-rshared-control-plane");
    assert_string_equal(kind.items[0].state, "running");
    assert_string_equal(kind.items[0].kind_role, "control-plane");
    assert_null(docker_list_containers(&ctx, &d, "test-control-plane", NULL, &one));
    assert_int_equal(one.n, 1);
    assert_string_equal(one.items[0].kind_cluster, "test");
    assert_null(docker_list_containers(&ctx, &d, "control-plane", NULL, &none)); /* a part only */
    assert_int_equal(none.n, 0);

    assert_null(docker_inspect(&ctx, &d, "test-control-plane", &c));
    assert_string_equal(c.name, "test-control-plane");
    assert_string_equal(c.image, "localhost/busybox:1");
    assert_string_equal(c.kind_cluster, "test");
    assert_string_equal(c.status, "running");
    assert_true(c.running && !c.restarting && !c.oom_killed && !c.privileged);
    assert_int_equal(c.pid, 249);
    assert_int_equal(c.started_at, 1795409931); /* 2026-11-23T04:58:51Z */
    assert_int_equal(c.finished_at, 0);
    assert_string_equal(c.restart_policy, "on-failure");
    assert_int_equal(c.restart_max, 1);
    assert_int_equal(c.memory_b, 64 << 20);
    assert_string_equal(c.pid_mode, "");
    assert_string_equal(c.cgroupns_mode, "host");
    assert_string_equal(c.ip, "172.17.0.3");
    assert_int_equal(c.n_mounts, 1);
    assert_string_equal(c.mounts[0].type, "bind");
    assert_string_equal(c.mounts[0].source, "/srv/kind");
    assert_string_equal(c.mounts[0].destination, "/mnt");
    assert_string_equal(c.mounts[0].propagation, "rslave");
    assert_true(c.mounts[0].rw);
}

/* What kind 0.33 itself made, by its own program. */
static void a_node_of_kind_is_understood(void **state)
{
    AUTO(freep) char *text = data("docker/kind-node");
    AUTO(docker_inspect_clear) struct docker_inspect c = {0};

    assert_ok(docker_parse_inspect(text, strlen(text), &c));
    assert_string_equal(c.name, "laconic-test-control-plane");
    assert_string_equal(c.kind_cluster, "laconic-test");
    assert_string_equal(c.kind_role, "control-plane");
    assert_string_equal(c.network_mode, "kind");
    assert_string_equal(c.ip, "172.18.0.2");
    assert_string_equal(c.cgroupns_mode, "private");
    assert_true(c.privileged && c.running && !c.oom_kill_disabled);
    assert_int_equal(c.memory_b, 0);
    assert_int_equal(c.n_mounts, 3);
    assert_string_equal(docker_mount_over(&c, "/mnt/solana/ledger")->propagation, "rslave");
    assert_string_equal(docker_mount_over(&c, "/var/lib/kubelet")->type, "volume");
    assert_string_equal(docker_mount_over(&c, "/var/lib/kubelet")->propagation, "");
}

static void the_mount_over_a_path(void **state)
{
    static const char text[] = "{\"Id\":\"ab\",\"Mounts\":["
                               "{\"Destination\":\"/mnt\",\"Source\":\"1\"},"
                               "{\"Destination\":\"/mnt/solana/\",\"Source\":\"2\"},"
                               "{\"Destination\":\"/mnt/sol\",\"Source\":\"3\"}]}";
    static const struct {
        const char *path, *source;
    } cases[] = {{"/mnt", "1"},         {"/mnt/x", "1"},
                 {"/mnt/solana", "2"},  {"/mnt/solana/ledger", "2"},
                 {"/mnt/solanas", "1"}, {"/mnt/sol/x", "3"},
                 {"/mntx", NULL},       {"/", NULL}};
    AUTO(docker_inspect_clear) struct docker_inspect c = {0};

    assert_null(docker_parse_inspect(text, sizeof(text) - 1, &c));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct docker_mount *m = docker_mount_over(&c, cases[i].path);

        assert_true(str_eq(m ? m->source : NULL, cases[i].source));
    }
}

static void the_oldest_version_that_both_speak(void **state)
{
    static const struct {
        const char *text, *api, *part; /* part: of the error */
    } cases[] = {
        {"{\"Version\":\"29.0.0\",\"ApiVersion\":\"1.52\",\"MinAPIVersion\":\"1.44\"}", "v1.44"},
        {"{\"ApiVersion\":\"1.41\"}", "v1.41"},
        {"{\"ApiVersion\":\"1.40\"}", NULL, "older than 1.41"},
        {"{\"ApiVersion\":\"2.0\"}", NULL, "ApiVersion: not a version"},
        {"{\"ApiVersion\":\"1.x/..\"}", NULL, "ApiVersion: "},
        {"{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":7}", NULL, "MinAPIVersion: "},
        {"{}", NULL, "ApiVersion: "},
        {"<html>", NULL, "not JSON"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct docker d = {0};
        AUTO(err_freep)
        struct err *e = docker_parse_version(cases[i].text, strlen(cases[i].text), &d);

        if (cases[i].part)
            assert_err(e, ERR_REMOTE, cases[i].part);
        else
            assert_null(e);
        assert_string_equal(d.api, cases[i].api ? cases[i].api : "");
    }
}

/* ---- what goes wrong ----------------------------------------------------------------------------
 */

static void a_daemon_that_cannot_be_asked(void **state)
{
    static const struct {
        enum err_kind from, to;
        const char *text, *part;
    } cases[] = {
        {ERR_NOTFOUND, ERR_ABSENT, "cannot connect to '/x': no such file", "systemctl start"},
        {ERR_ABSENT, ERR_ABSENT, "cannot connect to '/x': connection refused", "does not run"},
        {ERR_REFUSED, ERR_REFUSED, "cannot connect to '/x': permission denied", "as root"},
        {ERR_BADINPUT, ERR_BADINPUT, "'/x' is not a socket", "docker at '/x': '/x' is not"},
        {ERR_TIMEOUT, ERR_TIMEOUT, "http://docker/version: not done within 0.2 s",
         "docker at '/x': not done within 0.2 s"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct row table[] = {{"http://docker/version", 0, cases[i].text, cases[i].from},
                                    {NULL}};
        struct docker d = {0};

        rows = table;
        AUTO(err_freep) struct err *e = docker_connect(&ctx, "/x", 200, &d);
        assert_err(e, cases[i].to, cases[i].part);
        assert_null(strstr(e->text, "http://"));
        assert_int_equal(asked.timeout_ms, 200);
        assert_null(d.socket);
    }
}

static void a_daemon_that_says_no(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum err_kind kind;
        const char *part;
    } cases[] = {
        {404, "{\"message\":\"No such container: x\"}", ERR_NOTFOUND, "No such container: x"},
        {500, "{\"message\":\"a\\u001b[2Jb\"}", ERR_REMOTE, "HTTP 500: a?[2Jb"},
        {500, "<html>", ERR_REMOTE, "HTTP 500: no reason given"},
        {400, "{\"message\":7}", ERR_REMOTE, "HTTP 400: no reason given"},
        {200, "{\"Id\":\"ab\",\"State\":{\"Pid\":\"1\"}}", ERR_REMOTE, "State/Pid: expected"},
        {200, "{\"Id\":\"ab\",\"State\":{\"Pid\":4294967296}}", ERR_REMOTE, "State/Pid: "},
        {200, "{\"Id\":\"ab\",\"State\":{\"Running\":1}}", ERR_REMOTE, "State/Running: "},
        {200, "{\"Id\":\"ab\",\"Mounts\":{}}", ERR_REMOTE, "Mounts: expected a list"},
        {200, "{\"Id\":\"ab\",\"Mounts\":[{\"Destination\":\"mnt\"}]}", ERR_REMOTE, "absolute"},
        {200, "{\"Id\":\"../x\"}", ERR_REMOTE, "Id: "},
        {200, "{\"Id\":\"ab\",\"State\":{\"StartedAt\":\"yesterday\"}}", ERR_REMOTE, "a time"},
        {200, "[]", ERR_REMOTE, "expected an object"},
    };
    struct docker d = {.socket = "/x", .timeout_ms = 1, .api = "v1.41"};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct row table[] = {
            {"http://docker/v1.41/containers/x/json", cases[i].status, cases[i].body}, {NULL}};
        struct docker_inspect c = {0};

        rows = table;
        AUTO(err_freep) struct err *e = docker_inspect(&ctx, &d, "x", &c);
        assert_err(e, cases[i].kind, cases[i].part);
        assert_null(c.id);
    }
}

static void names_cannot_change_the_question(void **state)
{
    static const char *const bad[] = {"", "a/../b", "x?all=1", "a b", "-a", "a%2fb"};
    struct docker d = {.socket = "/x", .timeout_ms = 1, .api = "v1.41"};
    const struct row none[] = {{NULL}};

    rows = none;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct docker_inspect c = {0};
        AUTO(err_freep) struct err *e = docker_inspect(&ctx, &d, bad[i], &c);

        assert_err(e, ERR_BADINPUT, "cannot be a container's name");
    }
}

static void lists_and_their_faults(void **state)
{
    static const char good[] = "[{\"Id\":\"ab\",\"Names\":[\"/a/b\",\"/c\"],\"Labels\":null}]";
    static const char *const bad[] = {"{}", "[null]", "[{\"Names\":[\"/c\"]}]",
                                      "[{\"Id\":\"ab\",\"Names\":[7]}]",
                                      "[{\"Id\":\"ab\",\"Labels\":{\"io.x-k8s.kind.role\":1}}]"};
    AUTO(docker_list_clear) struct docker_list l = {0};

    assert_null(docker_parse_list(good, sizeof(good) - 1, &l));
    assert_string_equal(l.items[0].name, "c");
    assert_null(l.items[0].kind_cluster);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct docker_list none = {0};
        AUTO(err_freep) struct err *e = docker_parse_list(bad[i], strlen(bad[i]), &none);

        assert_err(e, ERR_REMOTE, "");
        assert_null(none.items);
    }
}

static void times(void **state)
{
    static const struct {
        const char *text;
        int64_t at; /* INT64_MIN: refused */
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-11-23T04:58:51.099502452Z", 1795409931},
        {"2026-11-23T05:58:51+01:00", 1795409931},
        {"2026-11-22t23:28:51-05:30", 1795409931},
        {"0001-01-01T00:00:00Z", -62135596800},
        {"2026-11-23", INT64_MIN},
        {"2026-11-23T04:58:51", INT64_MIN},
        {"2026-13-23T04:58:51Z", INT64_MIN},
        {"2026-11-23T04:58:51.Z", INT64_MIN},
        {"2026-11-23T04:58:51Zx", INT64_MIN},
        {"2026-11-23T04:58:51+1:00", INT64_MIN},
        {"", INT64_MIN},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t at = INT64_MIN;
        AUTO(err_freep) struct err *e = time_parse(cases[i].text, &at);

        assert_true(at == cases[i].at);
        assert_int_equal(!e, at != INT64_MIN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_real_daemon_is_understood),
        cmocka_unit_test(a_node_of_kind_is_understood),
        cmocka_unit_test(the_mount_over_a_path),
        cmocka_unit_test(the_oldest_version_that_both_speak),
        cmocka_unit_test(a_daemon_that_cannot_be_asked),
        cmocka_unit_test(a_daemon_that_says_no),
        cmocka_unit_test(names_cannot_change_the_question),
        cmocka_unit_test(lists_and_their_faults),
        cmocka_unit_test(times),
    };

    return cmocka_run_group_tests_name("docker", tests, setup, teardown);
}
