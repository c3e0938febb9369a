/* runtime/kubeconfig: what a context means, which file is taken, and which is not trusted. */
#include "runtime/kubeconfig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base64.h"
#include "io/fsroot.h"

#define CA   "-----BEGIN CERTIFICATE-----\nCA\n-----END CERTIFICATE-----\n"
#define CA64 "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCkNBCi0tLS0tRU5EIENFUlRJRklDQVRFLS0tLS0K"
#define KEY  "-----BEGIN RSA PRIVATE KEY-----\ns3cret\n-----END RSA PRIVATE KEY-----\n"
#define KEY64                                                                                      \
    "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQpzM2NyZXQKLS0tLS1FTkQgUlNBIFBSSVZBVEUgS0VZLS0tLS0K"

/* %s: lines of the cluster, lines of the user */
#define CONFIG                                                                                     \
    "apiVersion: v1\nkind: Config\ncurrent-context: c1\n"                                          \
    "contexts:\n- name: c1\n  context: {cluster: k1, user: u1, namespace: ns1}\n"                  \
    "clusters:\n- name: k1\n  cluster:\n%s"                                                        \
    "users:\n- name: u1\n  user:\n%s"
#define SERVER "    server: https://127.0.0.1:40405/\n"
#define CERT   "    client-certificate-data: " CA64 "\n    client-key-data: " KEY64 "\n"

static struct err *parse(const char *cluster, const char *user, struct kube_access *ret)
{
    AUTO(freep) char *text = xasprintf(CONFIG, cluster, user);

    return kubeconfig_parse(text, strlen(text), "cfg", NULL, ret);
}

static void assert_err(const struct err *e, enum err_kind kind, const char *part)
{
    assert_non_null(e);
    if (e->kind != kind || !strstr(e->text, part))
        fail_msg("want %s '%s', got %s '%s'", err_kind_name(kind), part, err_kind_name(e->kind),
                 e->text);
    assert_null(strstr(e->text, "s3cret"));
    assert_null(strstr(e->text, KEY64));
}

/* ---- texts --------------------------------------------------------------------------------------
 */

static void what_kind_writes_is_read(void **state)
{
    AUTO(kube_access_clear) struct kube_access a = {0};

    assert_null(parse("    certificate-authority-data: " CA64 "\n" SERVER, CERT, &a));
    assert_string_equal(a.path, "cfg");
    assert_string_equal(a.context, "c1");
    assert_string_equal(a.cluster, "k1");
    assert_string_equal(a.user, "u1");
    assert_string_equal(a.name_space, "ns1");
    assert_string_equal(a.server, "https://127.0.0.1:40405");
    assert_string_equal(a.ca, CA);
    assert_int_equal(a.ca_n, strlen(CA));
    assert_string_equal(a.cert, CA);
    assert_string_equal(secret_bytes(a.key), KEY);
    assert_null(a.token);
    assert_false(a.loose);
}

static void a_token_and_a_proxy_of_this_host(void **state)
{
    static const char *const servers[] = {"http://127.0.0.1:8001", "http://localhost:8001",
                                          "http://[::1]:8001", "https://k8s.example/k8s/c-1"};

    for (size_t i = 0; i < ARRAY_LEN(servers); i++) {
        AUTO(freep) char *cluster = xasprintf("    server: %s\n", servers[i]);
        AUTO(kube_access_clear) struct kube_access a = {0};

        assert_null(parse(cluster, "    token: 's3cret '\n    client-key-data: ''\n", &a));
        assert_string_equal(a.server, servers[i]);
        assert_string_equal(secret_bytes(a.token), "s3cret");
        assert_null(a.key);
        assert_null(a.ca);
    }
}

static void another_context_can_be_asked_for(void **state)
{
    static const char text[] = "contexts:\n- {name: a, context: {cluster: x, user: y}}\n"
                               "clusters: [{name: x, cluster: {server: 'https://h'}}]\n"
                               "users: [{name: y, user: {}}]\n";
    AUTO(kube_access_clear) struct kube_access a = {0}, none = {0};

    assert_null(kubeconfig_parse(text, strlen(text), "cfg", "a", &a));
    assert_string_equal(a.server, "https://h");
    assert_null(a.name_space);
    AUTO(err_freep) struct err *absent = kubeconfig_parse(text, strlen(text), "cfg", "b", &none);
    assert_err(absent, ERR_NOTFOUND, "cfg: there is no context 'b'");
    AUTO(err_freep) struct err *current = kubeconfig_parse(text, strlen(text), "cfg", NULL, &none);
    assert_err(current, ERR_BADINPUT, "cfg: no current-context; set one with 'kubectl config");
}

#define EXEC "    exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, "

static void a_program_gives_the_credentials(void **state)
{
    static const char user[] =
        "    exec:\n      apiVersion: client.authentication.k8s.io/v1beta1\n"
        "      command: bin/give\n      args: [eks, '', \"a b\"]\n"
        "      env: [{name: PROFILE, value: x=y}, {name: EMPTY, value: ''}]\n"
        "      installHint: get it\n      interactiveMode: IfAvailable\n"
        "      provideClusterInfo: true\n";
    AUTO(freep)
    char *text = xasprintf(CONFIG, SERVER "    certificate-authority-data: " CA64 "\n", user);
    AUTO(kube_access_clear) struct kube_access a = {0}, none = {0};
    AUTO(freep)
    char *info = xasprintf("{\"server\":\"https://127.0.0.1:40405\","
                           "\"certificate-authority-data\":\"%s\"}",
                           CA64);

    assert_null(kubeconfig_parse(text, strlen(text), "/home/a/.kube/config", NULL, &a));
    assert_non_null(a.exec);
    assert_string_equal(a.exec->command, "/home/a/.kube/bin/give");
    assert_string_equal(a.exec->api_version, "client.authentication.k8s.io/v1beta1");
    assert_string_equal(a.exec->hint, "get it");
    assert_int_equal(a.exec->args.n, 3);
    assert_string_equal(a.exec->args.items[2], "a b");
    assert_int_equal(a.exec->env.n, 2);
    assert_string_equal(a.exec->env.items[0], "PROFILE=x=y");
    assert_string_equal(a.exec->cluster, info);
    assert_true(!a.exec->now.token && !a.token && !a.cert); /* nothing was run */
    assert_null(parse(SERVER, "    exec: null\n    token: x\n", &none));
    assert_null(none.exec);
}

static void what_a_config_must_not_say(void **state)
{
    static const struct {
        const char *cluster, *user;
        enum err_kind kind;
        const char *part;
    } cases[] = {
        {"    x: 1\n", CERT, ERR_BADINPUT, "the cluster has no server"},
        {"    server: http://10.0.0.1:6443\n", CERT, ERR_BADINPUT, "must begin with https://"},
        {"    server: http://127.0.0.1.evil.example\n", CERT, ERR_BADINPUT, "https://"},
        {"    server: http://localhost.evil.example\n", CERT, ERR_BADINPUT, "https://"},
        {"    server: https://me:pw@h\n", CERT, ERR_BADINPUT, "not a plain URL"},
        {"    server: https://h?x=1\n", CERT, ERR_BADINPUT, "not a plain URL"},
        {"    server: [1]\n", CERT, ERR_BADINPUT, "server: expected a text"},
        {SERVER "    insecure-skip-tls-verify: true\n", CERT, ERR_REFUSED,
         "certificate-authority-data in its place"},
        {SERVER "    proxy-url: http://p\n", CERT, ERR_ABSENT, "'proxy-url' is not supported"},
        {SERVER "    tls-server-name: x\n", CERT, ERR_ABSENT, "'tls-server-name' is not"},
        {SERVER "    certificate-authority-data: '%'\n", CERT, ERR_BADINPUT, "not base64"},
        {SERVER "    certificate-authority-data: aGVsbG8=\n", CERT, ERR_BADINPUT, "not in PEM"},
        {SERVER, "    exec: {command: aws}\n", ERR_ABSENT, "exec: its apiVersion"},
        {SERVER, "    exec: {command: aws, apiVersion: client.authentication.k8s.io/v1alpha1}\n",
         ERR_ABSENT, "use client.authentication.k8s.io/v1"},
        {SERVER, EXEC "interactiveMode: Always}\n", ERR_ABSENT, "needs a terminal"},
        {SERVER, "    exec: {apiVersion: client.authentication.k8s.io/v1}\n", ERR_BADINPUT,
         "exec: no command"},
        {SERVER, "    exec: [x]\n", ERR_BADINPUT, "exec: expected a map"},
        {SERVER, EXEC "args: x}\n", ERR_BADINPUT, "args: expected a list"},
        {SERVER, EXEC "args: [[x]]}\n", ERR_BADINPUT, "args: expected texts"},
        {SERVER, EXEC "env: {A: b}}\n", ERR_BADINPUT, "env: expected a list"},
        {SERVER, EXEC "env: [{name: A=B, value: c}]}\n", ERR_BADINPUT, "env: expected a name"},
        {SERVER, EXEC "args: [x]}\n    token: x\n", ERR_BADINPUT, "only one counts"},
        {SERVER, "    auth-provider: {name: gcp}\n", ERR_ABSENT, "'auth-provider' is not"},
        {SERVER, "    username: me\n    password: s3cret\n", ERR_ABSENT, "'username' is not"},
        {SERVER, "    token: x\n    as: root\n", ERR_ABSENT, "'as' is not supported"},
        {SERVER, "    client-key-data: " KEY64 "\n", ERR_BADINPUT, "need each other"},
        {SERVER, "    client-certificate-data: " CA64 "\n", ERR_BADINPUT, "need each other"},
        {SERVER, "    token: \"s3cret\\r\\nX-A: 1\"\n", ERR_BADINPUT, "the token is not one line"},
        {SERVER, "    token: ' '\n", ERR_BADINPUT, "the token is empty"},
        {SERVER, "    tokenFile: /etc/shadow\n", ERR_NOTFOUND, "tokenFile: no files here"},
        /* -----BEGIN ENCRYPTED PRIVATE KEY----- */
        {SERVER,
         "    client-certificate-data: " CA64
         "\n    client-key-data: LS0tLS1CRUdJTiBFTkNSWVBURUQgUFJJVkFURSBLRVktLS0tLQo=\n",
         ERR_ABSENT, "encrypted keys are not supported"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct kube_access a = {0};
        AUTO(err_freep) struct err *e = parse(cases[i].cluster, cases[i].user, &a);

        assert_err(e, cases[i].kind, cases[i].part);
        assert_null(a.server);
    }
}

static void what_is_no_kubeconfig(void **state)
{
    static const char *const texts[] = {
        "kind: Pod\n",
        "- a\n",
        "a: &a [x, x]\nb: &b [*a, *a]\ncurrent-context: *b\n",
        "current-context: [x]\n",
        "current-context: x\ncontexts: [{name: x, context: text}]\n",
        "current-context: x\ncontexts: [{name: x}]\n",
        "current-context: x\ncontexts: [{name: x, context: {}}, {name: x, context: {}}]\n",
        "current-context: x\ncontexts: [{name: x, context: {user: u}}]\n",
        "current-context: x\ncontexts: [{name: x, context: {cluster: k, user: u}}]\n",
        "",
        "{",
    };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct kube_access a = {0};
        AUTO(err_freep)
        struct err *e = kubeconfig_parse(texts[i], strlen(texts[i]), "cfg", NULL, &a);

        assert_err(e, ERR_BADINPUT, "cfg");
    }
}

/* kubectl refuses it too: which of them is meant? */
static void a_name_stands_once(void **state)
{
    static const char text[] =
        "current-context: a\n"
        "contexts: [{name: a, context: {cluster: x, user: y}}]\n"
        "clusters: [{name: x, cluster: {server: 'https://h'}}, {name: x, cluster: {server: "
        "'https://evil'}}]\n"
        "users: [{name: y, user: {}}]\n";
    struct kube_access a = {0};
    AUTO(err_freep) struct err *e = kubeconfig_parse(text, strlen(text), "cfg", NULL, &a);

    assert_err(e, ERR_BADINPUT, "cfg:3: a second entry of the same name");
}

static void base64_is_strict(void **state)
{
    static const struct {
        const char *text, *bytes; /* NULL: refused */
        size_t n;
    } cases[] = {{"", "", 0},
                 {"QQ==", "A", 1},
                 {"QUI=", "AB", 2},
                 {"QUJD", "ABC", 3},
                 {"QU\nJD\r\n ", "ABC", 3},
                 {"AAEC/+8=", "\0\1\2\xff\xef", 5},
                 {"QQ", NULL, 0},
                 {"QQ=", NULL, 0},
                 {"QR==", NULL, 0},
                 {"QUJ=", NULL, 0},
                 {"=", NULL, 0},
                 {"Q===", NULL, 0},
                 {"QQ==QQ==", NULL, 0},
                 {"QQ=Q", NULL, 0},
                 {"QU*D", NULL, 0},
                 {"QQ=====", NULL, 0}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(secret_freep) struct secret *s = NULL;
        AUTO(err_freep) struct err *e = base64_decode(cases[i].text, strlen(cases[i].text), &s);

        if (!cases[i].bytes) {
            assert_err(e, ERR_BADINPUT, "not base64");
            continue;
        }
        assert_null(e);
        assert_int_equal(secret_n(s), cases[i].n);
        assert_memory_equal(secret_bytes(s), cases[i].bytes, cases[i].n);
    }
}

/* ---- files --------------------------------------------------------------------------------------
 */

struct host {
    char dir[64];
    struct fsroot *root;
    struct ctx ctx;
};

static int setup(void **state)
{
    struct host *h = xcalloc(1, sizeof(*h));

    strncpy(h->dir, "/tmp/agavectl-test-kube-XXXXXX", sizeof(h->dir) - 1);
    assert_non_null(mkdtemp(h->dir));
    assert_int_equal(chmod(h->dir, 0755), 0);
    assert_null(fsroot_open(h->dir, &h->root));
    h->ctx.root = h->root;
    *state = h;
    return 0;
}

static void remove_below(struct fsroot *r, const char *dir)
{
    AUTO(strlist_clear) struct strlist names = {0};
    struct stat st;

    err_free(fsroot_list(r, dir, &names));
    for (size_t i = 0; i < names.n; i++) {
        AUTO(freep) char *path = xasprintf("%s/%s", str_eq(dir, "/") ? "" : dir, names.items[i]);

        if (!fsroot_stat(r, path, &st) && S_ISDIR(st.st_mode))
            remove_below(r, path), err_free(fsroot_rmdir(r, path));
        else
            err_free(fsroot_unlink(r, path));
    }
}

static int teardown(void **state)
{
    struct host *h = *state;

    remove_below(h->root, "/");
    rmdir(h->dir);
    fsroot_close(h->root);
    free(h);
    return 0;
}

/* A file with its folders, of a user. */
static void put(struct host *h, const char *path, const char *text, mode_t mode, uid_t uid)
{
    AUTO(freep) char *folder = xstrndup(path, (size_t)(strrchr(path, '/') - path));
    AUTO(freep) char *real = fsroot_path(h->root, path);
    AUTO(freep) char *real_folder = fsroot_path(h->root, *folder ? folder : "/");

    if (*folder)
        assert_null(fsroot_mkdirs(h->root, folder, 0755));
    assert_null(fsroot_write_atomic(h->root, path, text, strlen(text), mode));
    assert_int_equal(chmod(real, mode), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(real, uid, (gid_t)-1), 0);
        if (*folder)
            assert_int_equal(chown(real_folder, uid, (gid_t)-1), 0);
    }
}

static struct err *load(struct host *h, const char *path, struct kube_access *ret)
{
    AUTO(kubeconfig_paths_clear) struct kubeconfig_paths p = {.from = "a test"};

    strlist_add(&p.files, path);
    return kubeconfig_load(&h->ctx, &p, NULL, ret);
}

static void files_are_relative_to_the_config(void **state)
{
    struct host *h = *state;
    AUTO(freep)
    char *text = xasprintf(CONFIG, SERVER "    certificate-authority: ../ca.crt\n",
                           "    client-certificate: me.crt\n    client-key: me.key\n"
                           "    token: old\n    tokenFile: token\n");
    AUTO(kube_access_clear) struct kube_access a = {0};

    put(h, "/home/a/ca.crt", CA, 0644, geteuid());
    put(h, "/home/a/.kube/me.crt", CA, 0644, geteuid());
    put(h, "/home/a/.kube/me.key", KEY, 0600, geteuid());
    put(h, "/home/a/.kube/token", "s3cret\n", 0644, geteuid());
    put(h, "/home/a/.kube/config", text, 0600, geteuid());
    assert_null(load(h, "/home/a/.kube/config", &a));
    assert_string_equal(a.ca, CA);
    assert_string_equal(a.cert, CA);
    assert_string_equal(secret_bytes(a.key), KEY);
    assert_string_equal(secret_bytes(a.token), "s3cret");
    assert_true(a.loose); /* the token's file */
}

static void what_is_missing_is_named(void **state)
{
    struct host *h = *state;
    AUTO(freep) char *text = xasprintf(CONFIG, SERVER, "    tokenFile: none\n");
    struct kube_access a = {0};

    put(h, "/home/a/.kube/config", text, 0600, geteuid());
    AUTO(err_freep) struct err *token = load(h, "/home/a/.kube/config", &a);
    assert_err(token, ERR_NOTFOUND, "/home/a/.kube/config: tokenFile: ");
    AUTO(err_freep) struct err *absent = load(h, "/home/b/.kube/config", &a);
    assert_err(absent, ERR_ABSENT, "no kubeconfig: '/home/b/.kube/config', given by a test,");
    AUTO(err_freep) struct err *folder = load(h, "/home/a", &a);
    assert_err(folder, ERR_BADINPUT, "not a regular file");
}

static void a_list_is_merged(void **state)
{
    struct host *h = *state;
    AUTO(kubeconfig_paths_clear) struct kubeconfig_paths p = {0};
    AUTO(kube_access_clear) struct kube_access a = {0};
    const struct kubeconfig_places where = {.env = ":/a/none::/a/first:/a/second",
                                            .config = "/a/third"};

    put(h, "/a/first", "current-context: c\nusers: [{name: u, user: {token: one}}]\n", 0600,
        geteuid());
    put(h, "/a/second",
        "current-context: other\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n"
        "clusters: [{name: k, cluster: {server: 'https://h'}}]\n"
        "users: [{name: u, user: {token: two}}]\n",
        0600, geteuid());
    assert_null(kubeconfig_find(&h->ctx, &where, &p));
    assert_int_equal(p.files.n, 3);
    assert_string_equal(p.from, "KUBECONFIG");
    assert_null(kubeconfig_load(&h->ctx, &p, NULL, &a));
    assert_string_equal(a.context, "c");
    assert_string_equal(a.path, "/a/second");
    assert_string_equal(secret_bytes(a.token), "one");
}

static void only_trusted_files_are_read(void **state)
{
    struct host *h = *state;
    AUTO(freep) char *good = xasprintf(CONFIG, SERVER, "    token: x\n");
    AUTO(freep) char *thief = xasprintf(CONFIG, SERVER, "    tokenFile: /root/token\n");
    AUTO(freep)
    char *ca =
        xasprintf(CONFIG, SERVER "    certificate-authority: /root/ca.crt\n", "    token: x\n");
    AUTO(kube_access_clear) struct kube_access a = {0}, b = {0}, c = {0}, none = {0};

    put(h, "/home/open/config", good, 0666, geteuid());
    AUTO(err_freep) struct err *open_file = load(h, "/home/open/config", &none);
    assert_err(open_file, ERR_REFUSED, "can be written by everyone");
    put(h, "/home/wide/config", good, 0600, geteuid());
    AUTO(freep) char *wide = fsroot_path(h->root, "/home/wide");
    assert_int_equal(chmod(wide, 0777), 0);
    AUTO(err_freep) struct err *open_folder = load(h, "/home/wide/config", &none);
    assert_err(open_folder, ERR_REFUSED, "the folder of '/home/wide/config' can be written");
    if (geteuid() != 0) {
        puts("# not real: users: needs root, to make files of other users");
        return;
    }
    put(h, "/home/user/config", good, 0600, 1000);
    assert_null(load(h, "/home/user/config", &a)); /* its folder's owner */
    put(h, "/home/roots/config", good, 0600, 0);
    AUTO(freep) char *planted = fsroot_path(h->root, "/home/roots/config");
    assert_int_equal(chown(planted, 1000, 1000), 0);
    AUTO(err_freep) struct err *foreign = load(h, "/home/roots/config", &none);
    assert_err(foreign, ERR_REFUSED, "belongs to user 1000");
    put(h, "/root/token", "s3cret", 0600, 0);
    put(h, "/root/ca.crt", CA, 0600, 0);
    put(h, "/home/thief/config", thief, 0600, 1000);
    AUTO(err_freep) struct err *stolen = load(h, "/home/thief/config", &none);
    assert_err(stolen, ERR_REFUSED, "a kubeconfig of user 1000 names it");
    put(h, "/home/own/config", thief, 0600, 0);
    assert_null(load(h, "/home/own/config", &b));
    put(h, "/home/ca/config", ca, 0600, 1000); /* an authority is not sent anywhere */
    assert_null(load(h, "/home/ca/config", &c));
    assert_string_equal(c.ca, CA);
}

static void the_first_place_decides(void **state)
{
    struct host *h = *state;
    AUTO(freep) char *deployment = xstrdup("/srv/deployments/agave");
    const uid_t other = geteuid() == 0 ? 1001 : geteuid();
    AUTO(freep)
    char *passwd = xasprintf("root:x:0:0::/root:/bin/sh\nops:x:1000:1000::/home/ops:/bin/sh\n"
                             "broken\n:::::\ndep:x:%u:1:a,b:/home/dep:/bin/sh\n",
                             other);
    AUTO(freep) char *text = xasprintf(CONFIG, SERVER, "    token: x\n");
    const struct {
        struct kubeconfig_places where;
        const char *file, *from;
    } cases[] = {
        {{"/f", "/e", "/c", "1000", deployment}, "/f", "--kubeconfig"},
        {{NULL, "/e", "/c", "1000", deployment}, "/e", "KUBECONFIG"},
        {{NULL, "", "/c", "1000", deployment}, "/c", "the config"},
        {{NULL, ":", NULL, "1000", deployment}, "/home/ops/.kube/config", "the caller's home"},
        {{NULL, NULL, NULL, "1234", deployment},
         "/home/dep/.kube/config",
         "the home of the deployment's owner"},
    };

    put(h, "/etc/passwd", passwd, 0644, geteuid());
    put(h, "/home/ops/.kube/config", text, 0600, 1000);
    put(h, "/home/dep/.kube/config", text, 0600, other);
    put(h, "/srv/deployments/agave/spec.yml", "", 0644, other);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(kubeconfig_paths_clear) struct kubeconfig_paths p = {0};

        assert_null(kubeconfig_find(&h->ctx, &cases[i].where, &p));
        assert_int_equal(p.files.n, 1);
        assert_string_equal(p.files.items[0], cases[i].file);
        assert_string_equal(p.from, cases[i].from);
    }
    const struct kubeconfig_places nowhere = {.sudo_uid = "1234"}, odd = {.sudo_uid = "-1"};
    AUTO(kubeconfig_paths_clear) struct kubeconfig_paths none = {0};
    AUTO(err_freep) struct err *absent = kubeconfig_find(&h->ctx, &nowhere, &none);
    assert_err(absent, ERR_ABSENT, "no kubeconfig: looked at user 1234 has no home; name one");
    AUTO(err_freep) struct err *bad = kubeconfig_find(&h->ctx, &odd, &none);
    assert_err(bad, ERR_BADINPUT, "SUDO_UID: '-1'");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_kind_writes_is_read),
        cmocka_unit_test(a_token_and_a_proxy_of_this_host),
        cmocka_unit_test(another_context_can_be_asked_for),
        cmocka_unit_test(a_program_gives_the_credentials),
        cmocka_unit_test(what_a_config_must_not_say),
        cmocka_unit_test(what_is_no_kubeconfig),
        cmocka_unit_test(a_name_stands_once),
        cmocka_unit_test(base64_is_strict),
        TEST(files_are_relative_to_the_config),
        TEST(what_is_missing_is_named),
        TEST(a_list_is_merged),
        TEST(only_trusted_files_are_read),
        TEST(the_first_place_decides),
    };

    return cmocka_run_group_tests_name("kubeconfig", tests, NULL, NULL);
}
