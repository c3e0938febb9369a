/* look/laconic, discover_args, discover_place: what files and a command line say, and where a path
 * of a container is on the host. Whole hosts are in the integration test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "fixture.h"
#include "look/discover_args.h"
#include "look/discover_parts.h"
#include "look/laconic.h"

#define TEXT(s) ((struct laconic_text){.text = (s), .n = sizeof(s) - 1})

static const char deployment[] = "cluster-id: laconic-1\n";
static const char kind[] = "kind: Cluster\n"
                           "nodes:\n"
                           "- role: control-plane\n"
                           "  extraMounts:\n"
                           "  - {hostPath: /srv/kind, containerPath: /mnt}\n"
                           "  - {hostPath: /data/x, containerPath: /mnt/x}\n";

static void volumes_and_where_the_node_has_them(void **state)
{
    static const char spec[] = "kind-mount-root: /srv/kind/\n"
                               "volumes:\n"
                               "  a: /srv/kind/solana//a/\n"
                               "  x: /data/x\n"
                               "  outside: /srv/kindly\n"
                               "  none:\n"
                               "config: {ARGS: --one --two 3, OTHER: \"--a 'b c'\", N: 5}\n"
                               "env: {B: --four}\n";
    struct laconic_text k = TEXT(kind);
    AUTO(laconic_clear) struct laconic l = {0};

    assert_ok(laconic_parse(TEXT(spec), TEXT(deployment), &k, &l));
    assert_string_equal(l.cluster, "laconic-1");
    assert_string_equal(l.kind_root, "/srv/kind");
    assert_int_equal(l.n_volumes, 4);
    assert_string_equal(laconic_volume(&l, "a")->host, "/srv/kind/solana/a");
    assert_string_equal(laconic_volume(&l, "a")->node, "/mnt/solana/a");
    assert_string_equal(laconic_volume(&l, "x")->node, "/mnt/x");
    assert_string_equal(laconic_volume(&l, "outside")->node, "/mnt/outside");
    assert_null(laconic_volume(&l, "none")->host);
    assert_null(laconic_volume(&l, "none")->node);
    assert_null(laconic_volume(&l, "nobody"));
    assert_int_equal(l.n_mounts, 2);
    /* quotes are a shell's business: such a value is left alone */
    assert_int_equal(l.flags.n, 4);
    assert_string_equal(l.flags.items[2], "3");
    assert_string_equal(l.flags.items[3], "--four");
    assert_int_equal(l.notes.n, 1);
    assert_non_null(strstr(l.notes.items[0], "'outside' is at '/srv/kindly', which no extraMount"));
    AUTO(freep) char *ns = laconic_namespace(&l);
    AUTO(freep) char *name = laconic_deployment(&l);
    AUTO(freep) char *node = laconic_node(&l);
    assert_string_equal(ns, "laconic-laconic-1");
    assert_string_equal(name, "laconic-1-deployment");
    assert_string_equal(node, "laconic-1-control-plane");
}

static void what_cannot_be_true_is_refused(void **state)
{
    static const struct {
        const char *spec, *deployment, *part;
    } bad[] = {
        {"volumes: {a: ../x}\n", deployment, "spec.yml:1: '../x' is not an absolute path"},
        {"volumes: {a: /x/../y}\n", deployment, "must not contain '..'"},
        {"volumes: {A: /x}\n", deployment, "'A' is not a name"},
        {"volumes: {-a: /x}\n", deployment, "'-a' is not a name"},
        {"volumes: {a: *b}\n", deployment, "aliases are not allowed"},
        {"volume: {a: /x}\n", deployment, "unknown key 'volume'; did you mean 'volumes'?"},
        {"{}\n", "cluster-id:\n", "deployment.yml:1: no cluster-id"},
        {"{}\n", "cluster-id: [a]\n", "'cluster-id' must be one value"},
        {"{}\n", "cluster-id: \"a\\e[31m\"\n", "has control characters"},
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct laconic l = {0};
        struct laconic_text s = {.text = bad[i].spec, .n = strlen(bad[i].spec)};
        struct laconic_text d = {.text = bad[i].deployment, .n = strlen(bad[i].deployment)};

        assert_err(laconic_parse(s, d, NULL, &l), ERR_BADINPUT, bad[i].part);
        assert_null(l.cluster); /* written on success only */
    }
}

/* At single blanks. */
static struct strlist words(const char *text)
{
    struct strlist l = {0};

    AUTO(freep) char *copy = xstrdup(text);
    char *save = NULL;

    for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
        strlist_add(&l, w);
    return l;
}

static void a_command_line_is_taken_apart(void **state)
{
    AUTO(strlist_clear)
    struct strlist argv = words("--ledger=/l -l /m --accounts /a --accounts /b --odd 7 --no-voting "
                                "-n e:1 --entrypoint f:2 --identity exit run --no-snapshot-fetch "
                                "--log");
    AUTO(discovered_args_clear) struct discovered_args a = {0};

    discover_args(argv.items, &a);
    assert_string_equal(discovered_arg(&a, "validator.ledger")->items.items[0], "/m");
    assert_int_equal(discovered_arg(&a, "validator.ledger")->items.n, 1);
    assert_int_equal(discovered_arg(&a, "validator.accounts")->items.n, 2);
    assert_int_equal(discovered_arg(&a, "validator.entrypoints")->items.n, 2);
    assert_string_equal(discovered_arg(&a, "validator.identity")->items.items[0], "exit");
    assert_null(discovered_arg(&a, "validator.rpc_port"));
    assert_true(a.no_voting);
    assert_int_equal(a.rest.n, 3); /* --odd 7, and --log without its value */
    assert_string_equal(a.rest.items[2], "--log");
    assert_true(discover_args_runs(argv.items)); /* "exit" is a file here */
    AUTO(strlist_clear) struct strlist monitor = words("--ledger /l monitor");
    AUTO(strlist_clear) struct strlist help = words("--help");
    assert_false(discover_args_runs(monitor.items));
    assert_false(discover_args_runs(help.items));
}

static void assert_place(const struct mounts *own, const struct mounts *host, const char *path,
                         const char *want)
{
    AUTO(freep) char *got = place_on_host(own, host, path, "/srv/kind");

    if (!str_eq(got, want))
        fail_msg("'%s' is at '%s', not at '%s'", path, got ? got : "(nowhere)",
                 want ? want : "(nowhere)");
}

static void paths_of_a_container_are_found_on_the_host(void **state)
{
    static const char on_host[] = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
                                  "30 20 9:1 / /srv/solana rw - xfs /dev/a rw\n"
                                  "31 20 9:1 / /srv/kind/solana rw - xfs /dev/a rw\n"
                                  "32 20 9:2 / /srv/hidden rw - xfs /dev/b rw\n"
                                  "33 32 9:3 / /srv/hidden rw - xfs /dev/c rw\n"
                                  "34 20 9:4 /sub /part rw - xfs /dev/d rw\n";
    static const char in_pod[] = "90 80 0:7 / / rw - overlay overlay rw\n"
                                 "91 90 9:1 /ledger /data/ledger rw - xfs /dev/a rw\n"
                                 "92 90 9:2 / /lost rw - xfs /dev/b rw\n"
                                 "93 90 9:4 /sub/x /x rw - xfs /dev/d rw\n"
                                 "94 90 9:4 /other /y rw - xfs /dev/d rw\n"
                                 "95 90 8:1 /etc/keys /keys rw - ext4 /dev/sda1 rw\n";
    AUTO(mounts_clear) struct mounts host = {0};
    AUTO(mounts_clear) struct mounts pod = {0};

    assert_ok(mounts_parse(on_host, sizeof(on_host) - 1, &host));
    assert_ok(mounts_parse(in_pod, sizeof(in_pod) - 1, &pod));
    assert_place(&pod, &host, "/data/ledger", "/srv/solana/ledger");
    assert_place(&pod, &host, "/data/ledger/rocksdb", "/srv/solana/ledger/rocksdb");
    assert_place(&pod, &host, "/keys/id.json", "/etc/keys/id.json");
    assert_place(&pod, &host, "/x/1", "/part/x/1");
    assert_place(&pod, &host, "/y", NULL);    /* a part that the host has not mounted */
    assert_place(&pod, &host, "/lost", NULL); /* mounted over */
    assert_place(&pod, &host, "/tmp", NULL);  /* the container's own */
    assert_place(&host, &host, "/srv/kind/solana/a", "/srv/solana/a");
    assert_place(&host, &host, "/srv/solana", "/srv/solana");
    assert_place(&host, &host, "/home/x", "/home/x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(volumes_and_where_the_node_has_them),
        cmocka_unit_test(what_cannot_be_true_is_refused),
        cmocka_unit_test(a_command_line_is_taken_apart),
        cmocka_unit_test(paths_of_a_container_are_found_on_the_host),
    };

    return cmocka_run_group_tests_name("discover", tests, NULL, NULL);
}
