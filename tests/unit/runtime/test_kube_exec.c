/* runtime/kube_exec with real programs, and what a request does with what they give. */
#include "runtime/kube_exec.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "io/clock.h"
#include "io/fsroot.h"
#include "io/http.h"
#include "io/proc.h"
#include "runtime/kube.h"
#include "runtime/kube_cert.h"

#define V1      "client.authentication.k8s.io/v1"
#define NOW_S   1790000000
#define SOMEONE 12345

/* ---- what it prints -------------------------------------------------------------------------- */

static struct err *parse(const char *status, struct kube_credentials *ret)
{
    AUTO(freep)
    char *text =
        xasprintf("{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\",\"status\":%s}", status);

    return kube_exec_parse(text, strlen(text), V1, ret);
}

static void a_token_or_a_certificate_is_understood(void **state)
{
    AUTO(kube_credentials_clear) struct kube_credentials token = {0}, cert = {0};

    assert_null(
        parse("{\"token\":\"s3cret\",\"expirationTimestamp\":\"2026-09-21T14:13:20Z\"}", &token));
    assert_string_equal(secret_bytes(token.token), "s3cret");
    assert_int_equal(token.expires_at, NOW_S);
    assert_null(token.cert);
    assert_null(parse("{\"clientCertificateData\":\"-----BEGIN CERTIFICATE-----\\nx\","
                      "\"clientKeyData\":\"-----BEGIN KEY-----\\ns3cret\",\"token\":null}",
                      &cert));
    assert_string_equal(cert.cert, "-----BEGIN CERTIFICATE-----\nx");
    assert_int_equal(cert.cert_n, strlen(cert.cert));
    assert_string_equal(secret_bytes(cert.key), "-----BEGIN KEY-----\ns3cret");
    assert_true(!cert.token && !cert.expires_at);
}

static void what_is_no_credential_is_not_shown(void **state)
{
    static const char *const bad[] = {
        "null",
        "{}",
        "{\"token\":\"\"}",
        "{\"token\":7}",
        "{\"token\":[\"s3cret\"]}",
        "{\"token\":\"s3cret\\r\\nX: y\"}",
        "{\"clientKeyData\":\"-----BEGIN s3cret\"}",
        "{\"clientCertificateData\":\"-----BEGIN x\"}",
        "{\"clientCertificateData\":\"-----BEGIN x\",\"clientKeyData\":\"s3cret\"}",
        "{\"token\":\"s3cret\",\"expirationTimestamp\":\"soon\"}",
    };
    static const char other[] = "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1
                                "beta1\",\"status\":{\"token\":\"s3cret\"}}";
    struct kube_credentials c = {0};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(err_freep) struct err *e = parse(bad[i], &c);

        if (!e)
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(e->kind, ERR_REMOTE);
        assert_null(strstr(e->text, "s3cret"));
        assert_true(!c.token && !c.key);
    }
    AUTO(err_freep) struct err *e = kube_exec_parse(other, strlen(other), V1, &c);
    assert_non_null(e);
    assert_non_null(strstr(e->text, "expected apiVersion '" V1 "'"));
}

/* ---- running it ------------------------------------------------------------------------------ */

struct host {
    char dir[64];
    struct fsroot *root;
    struct ctx ctx;
    struct kube_exec *x;
};

static uint64_t fake_wall(void)
{
    return NOW_S * 1000ULL;
}

static uint64_t fake_mono(void)
{
    return 1;
}

static const struct clock_ops fake_clock = {.mono_ns = fake_mono, .wall_ms = fake_wall};

static void write_file(const struct host *h, const char *name, const char *text, mode_t mode)
{
    AUTO(freep) char *path = xasprintf("%s/%s", h->dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static char *read_back(const struct host *h, const char *name)
{
    AUTO(freep) char *path = xasprintf("/%s", name);
    char *text = NULL;

    assert_null(fsroot_read(h->root, path, 65536, &text, NULL));
    return text;
}

/* The program's last word is its folder: it writes there. */
static void program(struct host *h, const char *script)
{
    AUTO(freep) char *text = xasprintf("#!/bin/sh\ncd %s\n%s\n", h->dir, script);

    write_file(h, "give", text, 0755);
}

#define GIVE(status)                                                                               \
    "echo x >>runs; echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1                       \
    "\",\"status\":" status "}'"

static int setup(void **state)
{
    struct host *h = xcalloc(1, sizeof(*h));
    AUTO(freep)
    char *passwd = xasprintf("root:x:0:0:root:/root:/bin/sh\nop:x:%d:%d::/home/op:/bin/sh\n"
                             "me:x:%u:%u::/home/me:/bin/sh\n",
                             SOMEONE, SOMEONE, geteuid(), getegid());

    strncpy(h->dir, "/tmp/agavectl-test-exec-XXXXXX", sizeof(h->dir) - 1);
    assert_non_null(mkdtemp(h->dir));
    assert_int_equal(chmod(h->dir, 0777), 0);
    assert_null(fsroot_open(h->dir, &h->root));
    assert_null(fsroot_mkdirs(h->root, "/etc", 0755));
    assert_null(fsroot_write_atomic(h->root, "/etc/passwd", passwd, strlen(passwd), 0644));
    h->ctx = (struct ctx){.root = h->root, .proc = &proc_system, .clock = &fake_clock};
    h->x = xcalloc(1, sizeof(*h->x));
    h->x->config = xstrdup("/home/op/.kube/config");
    h->x->user = xstrdup("op@k");
    h->x->api_version = xstrdup(V1);
    h->x->command = xasprintf("%s/give", h->dir);
    h->x->owner = geteuid();
    write_file(h, "runs", "", 0666);
    write_file(h, "env", "", 0666);
    *state = h;
    return 0;
}

static int teardown(void **state)
{
    static const char *const names[] = {"/give", "/runs", "/env", "/etc/passwd"};
    struct host *h = *state;

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        err_free(fsroot_unlink(h->root, names[i]));
    err_free(fsroot_rmdir(h->root, "/etc"));
    rmdir(h->dir);
    fsroot_close(h->root);
    kube_exec_free(h->x);
    free(h);
    return 0;
}

static void assert_fresh(struct host *h, bool anew, const char *token, const char *runs)
{
    struct err *e = kube_exec_fresh(&h->ctx, h->x, anew);
    AUTO(freep) char *ran = read_back(h, "runs");

    if (e)
        fail_msg("%s", e->text);
    assert_string_equal(secret_bytes(h->x->now.token), token);
    assert_string_equal(ran, runs);
}

static void it_is_run_when_it_has_to_be(void **state)
{
    struct host *h = *state;

    program(h, GIVE("{\"token\":\"for-ever\"}"));
    assert_fresh(h, false, "for-ever", "x\n");
    assert_fresh(h, false, "for-ever", "x\n");
    program(h, GIVE("{\"token\":\"short\",\"expirationTimestamp\":\"2026-09-21T14:13:25Z\"}"));
    assert_fresh(h, true, "short", "x\nx\n");
    program(h, GIVE("{\"token\":\"long\",\"expirationTimestamp\":\"2026-09-21T14:28:20Z\"}"));
    assert_fresh(h, false, "long", "x\nx\nx\n"); /* 5 s are too few to rely on */
    assert_fresh(h, false, "long", "x\nx\nx\n");
}

static void it_sees_what_it_needs_and_nothing_else(void **state)
{
    struct host *h = *state;
    AUTO(freep) char *text = NULL;

    setenv("S3CRET_OF_OURS", "1", 1);
    strlist_add(&h->x->args, "first one");
    strlist_add(&h->x->env, "LC_ALL=de_DE");
    h->x->cluster = xstrdup("{\"server\":\"https://h\"}");
    program(h, "(echo \"$# $1\"; env) >env; [ -t 0 ] && exit 1; " GIVE("{\"token\":\"x\"}"));
    assert_fresh(h, false, "x", "x\n");
    text = read_back(h, "env");
    unsetenv("S3CRET_OF_OURS");
    assert_true(str_starts(text, "1 first one\n"));
    assert_non_null(strstr(text, "\nLC_ALL=de_DE\n"));
    assert_null(strstr(text, "LC_ALL=C\n"));
    assert_non_null(strstr(text, "HOME=/"));
    assert_non_null(strstr(text, "/.local/bin:"));
    assert_non_null(strstr(text, "KUBERNETES_EXEC_INFO={\"kind\":\"ExecCredential\","
                                 "\"apiVersion\":\"" V1 "\",\"spec\":{\"interactive\":false,"
                                 "\"cluster\":{\"server\":\"https://h\"}}}\n"));
    assert_null(strstr(text, "S3CRET_OF_OURS"));
}

static void assert_fails(struct host *h, enum err_kind kind, const char *part)
{
    AUTO(err_freep) struct err *e = kube_exec_fresh(&h->ctx, h->x, true);

    assert_non_null(e);
    if (e->kind != kind || !strstr(e->text, part) || strstr(e->text, "s3cret"))
        fail_msg("want %s '%s', got %s '%s'", err_kind_name(kind), part, err_kind_name(e->kind),
                 e->text);
}

static void its_failure_is_told_and_its_output_is_not(void **state)
{
    struct host *h = *state;

    program(h, "echo s3cret; echo first >&2; printf 'log in \\033[2J first\\n' >&2; exit 3");
    assert_fails(h, ERR_REMOTE, "of user 'op@k' gave no credentials: exit 3: log in ?[2J first");
    program(h, "echo '{\"token\":\"s3cret\"'");
    assert_fails(h, ERR_REMOTE, "printed: not JSON");
    program(h, "head -c 300000 /dev/zero");
    assert_fails(h, ERR_REMOTE, "more than 262144 bytes");
    program(h, "kill -9 $$");
    assert_fails(h, ERR_REMOTE, "killed by signal 9");
    assert_null(h->x->now.token);
}

static void what_it_said_before_outlives_its_failure(void **state)
{
    struct host *h = *state;

    program(h, GIVE("{\"token\":\"old\"}"));
    assert_fresh(h, false, "old", "x\n");
    program(h, "exit 1");
    assert_fails(h, ERR_REMOTE, "exit 1");
    assert_fresh(h, false, "old", "x\n");
}

static void a_program_that_is_not_there(void **state)
{
    struct host *h = *state;

    free(h->x->command);
    h->x->command = xstrdup("agavectl-no-such-program");
    h->x->hint = xstrdup("get it from\nsomewhere");
    assert_fails(h, ERR_ABSENT,
                 "needs the program 'agavectl-no-such-program', which is not there; "
                 "get it from?somewhere");
}

static void root_takes_the_place_of_the_owner(void **state)
{
    struct host *h = *state;
    AUTO(freep) char *who = NULL;

    h->x->owner = SOMEONE;
    program(h, "id -u >env; id -g >>env; " GIVE("{\"token\":\"x\"}"));
    if (geteuid() != 0) {
        assert_fails(h, ERR_REFUSED, "is not run: the file belongs to user 12345");
        return;
    }
    assert_fresh(h, false, "x", "x\n");
    who = read_back(h, "env");
    assert_string_equal(who, "12345\n12345\n");
    h->x->owner = SOMEONE + 1;
    assert_fails(h, ERR_NOTFOUND, "user 12346 is not known here");
    assert_int_equal(seteuid(SOMEONE), 0);
    AUTO(err_freep) struct err *e = kube_exec_fresh(&h->ctx, h->x, true);
    assert_int_equal(seteuid(0), 0);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_REFUSED);
}

/* ---- what a request does with it ------------------------------------------------------------- */

static const char *wanted; /* the only token that is let in */
static unsigned requests;

static struct err *answer(struct ctx *ctx, const struct http_request *reqs, size_t n,
                          struct http_response *ret)
{
    bool good = str_eq(secret_bytes(reqs->bearer), wanted);

    requests++;
    *ret = (struct http_response){.status = good ? 200 : 401};
    ret->body = xstrdup(good ? "{\"gitVersion\":\"v1\"}" : "{\"message\":\"Unauthorized\"}");
    ret->body_n = strlen(ret->body);
    return NULL;
}

static void a_refused_token_is_asked_for_anew_once(void **state)
{
    static const struct http_ops fake = {.many = answer};
    struct host *h = *state;
    struct kube_access a = {.path = h->x->config,
                            .user = h->x->user,
                            .server = (char *)(uintptr_t) "https://h",
                            .exec = h->x};
    const struct kube k = {.access = &a};
    AUTO(freep) char *version = NULL;
    AUTO(freep) char *none = NULL;

    h->ctx.http = &fake;
    wanted = "new";
    requests = 0;
    program(h, GIVE("{\"token\":\"old\"}"));
    assert_fresh(h, false, "old", "x\n");
    program(h, GIVE("{\"token\":\"new\"}"));
    assert_null(kube_get_version(&h->ctx, &k, &version));
    assert_string_equal(version, "v1");
    assert_int_equal(requests, 2);
    wanted = "other";
    AUTO(err_freep) struct err *e = kube_get_version(&h->ctx, &k, &none);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_REFUSED);
    assert_int_equal(requests, 4);
}

/* ---- dates of certificates ------------------------------------------------------------------- */

/* openssl req -x509 -newkey ed25519 -days 30 -subj /CN=x; the second with an end in 2052 */
static const char cert_utc[] = "-----BEGIN CERTIFICATE-----\n"
                               "MIIBLDCB36ADAgECAhQKLocpMgPqGLGDfGXR9+/QxjPu0jAFBgMrZXAwDDEKMAgG\n"
                               "A1UEAwwBeDAeFw0yNjExMjMxNTM1MjdaFw0yNjEyMjMxNTM1MjdaMAwxCjAIBgNV\n"
                               "BAMMAXgwKjAFBgMrZXADIQB30GDYJI+IJA/HkMC7gvt/O7TF6rwg9ISR4d/Yx5Ex\n"
                               "4aNTMFEwHQYDVR0OBBYEFAO3CHTkeF7xYK3g85ucdsnOZrwDMB8GA1UdIwQYMBaA\n"
                               "FAO3CHTkeF7xYK3g85ucdsnOZrwDMA8GA1UdEwEB/wQFMAMBAf8wBQYDK2VwA0EA\n"
                               "I0CVY9fHBvztZN/L8nEgf7s++pn/oWpz2gf2wX8Pl+wMITIkDpgb/QLciZugnovF\n"
                               "y2U7T4kG2p0g08t27bXpCA==\n"
                               "-----END CERTIFICATE-----\n";
static const char cert_long[] = "-----BEGIN CERTIFICATE-----\n"
                                "MIIBLjCB4aADAgECAhRplEm4hS+BiBPt4UmybI0U1C+gwDAFBgMrZXAwDDEKMAgG\n"
                                "A1UEAwwBeDAgFw0yNjExMjMxNTM1MjdaGA8yMDUyMTEyNjE1MzUyN1owDDEKMAgG\n"
                                "A1UEAwwBeDAqMAUGAytlcAMhAN/TabdqkqJgGAy2vuR3ISwG+MFfEeXnATeLmoXV\n"
                                "i8/3o1MwUTAdBgNVHQ4EFgQUmtANhUjMc/EGu2IuC0HBhMv97mswHwYDVR0jBBgw\n"
                                "FoAUmtANhUjMc/EGu2IuC0HBhMv97mswDwYDVR0TAQH/BAUwAwEB/zAFBgMrZXAD\n"
                                "QQDKffdKEldO5nTDDhfspksVlWNJ9+4Mboh/w05EyKVaWjSjPVqEenJ7QcOaQ2P7\n"
                                "tp+1h2AmF+mP0XqI81ZDrScM\n"
                                "-----END CERTIFICATE-----\n";

static void the_dates_of_a_certificate(void **state)
{
    int64_t from = 0, until = 0;

    assert_null(kube_cert_times(cert_utc, strlen(cert_utc), &from, &until));
    assert_int_equal(from, 1795448127);
    assert_int_equal(until, 1798040127);
    assert_null(kube_cert_times(cert_long, strlen(cert_long), &from, &until));
    assert_int_equal(from, 1795448127);
    assert_int_equal(until, 2616248127);
}

static void what_is_no_certificate(void **state)
{
    int64_t from = 7, until = 7;

    /* cut anywhere it is none, and nothing is read beyond its end */
    for (size_t n = 0; n < strlen(cert_utc) - 1; n++) {
        AUTO(freep) char *cut = xmemdup(cert_utc, n + 1);
        AUTO(err_freep) struct err *e = kube_cert_times(cut, n, &from, &until);

        if (n < strlen(cert_utc) - 2)
            assert_non_null(e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_or_a_certificate_is_understood),
        cmocka_unit_test(what_is_no_credential_is_not_shown),
        cmocka_unit_test_setup_teardown(it_is_run_when_it_has_to_be, setup, teardown),
        cmocka_unit_test_setup_teardown(it_sees_what_it_needs_and_nothing_else, setup, teardown),
        cmocka_unit_test_setup_teardown(its_failure_is_told_and_its_output_is_not, setup, teardown),
        cmocka_unit_test_setup_teardown(what_it_said_before_outlives_its_failure, setup, teardown),
        cmocka_unit_test_setup_teardown(a_program_that_is_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(root_takes_the_place_of_the_owner, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_token_is_asked_for_anew_once, setup, teardown),
        cmocka_unit_test(the_dates_of_a_certificate),
        cmocka_unit_test(what_is_no_certificate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
