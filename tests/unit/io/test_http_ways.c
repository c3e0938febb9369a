/* io/http by other ways than plain TCP: Unix sockets, certificates and tokens in memory, another
 * network namespace. */
#include "io/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "io/proc.h"

#define SECRET "s3cr3t-token-nobody-may-see"

static const struct ctx plain = {.http = &http_curl, .clock = &clock_system, .proc = &proc_system};

static void assert_err(const struct err *e, enum err_kind kind, const char *part)
{
    assert_non_null(e);
    if (e->kind != kind || !strstr(e->text, part))
        fail_msg("want %s '%s', got %s '%s'", err_kind_name(kind), part, err_kind_name(e->kind),
                 e->text);
    assert_null(strstr(e->text, SECRET));
}

/* Answers one request with its own head as the body. */
static void *echo_one(void *arg)
{
    int fd = accept(*(int *)arg, NULL, NULL);
    char head[8192], answer[128];
    size_t n = 0;
    ssize_t got;

    while (fd >= 0 && n < sizeof(head) - 1 &&
           (got = read(fd, head + n, sizeof(head) - 1 - n)) > 0) {
        n += (size_t)got;
        head[n] = 0;
        if (strstr(head, "\r\n\r\n"))
            break;
    }
    snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", n);
    send(fd, answer, strlen(answer), MSG_NOSIGNAL);
    send(fd, head, n, MSG_NOSIGNAL);
    close(fd);
    return NULL;
}

/* ---- a folder with a Unix socket ------------------------------------------------------------ */

struct place {
    char dir[64];
    char *socket;
    int fd;
    pthread_t thread;
};

static void listen_at(struct place *p, const char *name)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    AUTO(freep) char *cwd = getcwd(NULL, 0);

    *p = (struct place){.dir = "/tmp/agavectl-test-http-XXXXXX"};
    if (!mkdtemp(p->dir) || !cwd)
        abort();
    p->socket = xasprintf("%s/%s", p->dir, name);
    /* relative, so that the whole path may be longer than an address */
    assert_int_equal(chdir(p->dir), 0);
    snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", name);
    p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(p->fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
    assert_int_equal(listen(p->fd, 8), 0);
    assert_int_equal(chdir(cwd), 0);
}

static void place_end(struct place *p)
{
    if (p->fd >= 0)
        close(p->fd);
    unlink(p->socket);
    rmdir(p->dir);
    free(p->socket);
}

static void a_unix_socket_answers(void **state)
{
    static const char *const names[] = {
        "short", "a-name-so-long-that-the-folder-and-the-name-together-are-longer-than-the-108-"
                 "bytes-of-an-address"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO(http_response_clear) struct http_response r = {0};
        struct ctx ctx = plain;
        struct place p;

        listen_at(&p, names[i]);
        struct http_request req = {.method = "GET",
                                   .url = "http://docker/v1.41/info?x=1",
                                   .unix_socket = p.socket,
                                   .timeout_ms = 10000};
        pthread_create(&p.thread, NULL, echo_one, &p.fd);
        assert_null(http_one(&ctx, &req, &r));
        pthread_join(p.thread, NULL);
        place_end(&p);
        assert_int_equal(r.status, 200);
        assert_ptr_equal(strstr(r.body, "GET /v1.41/info?x=1 HTTP/1.1\r\n"), r.body);
        assert_non_null(strstr(r.body, "\r\nHost: docker\r\n"));
        assert_null(strstr(r.body, "Authorization"));
    }
}

static struct err *ask(const char *path)
{
    struct http_request req = {
        .method = "GET", .url = "http://docker/", .unix_socket = path, .timeout_ms = 10000};
    struct http_response r = {0};
    struct ctx ctx = plain;

    return http_one(&ctx, &req, &r);
}

static void sockets_that_do_not_answer_are_told_apart(void **state)
{
    struct place p;

    listen_at(&p, "s");
    AUTO(freep) char *none = xasprintf("%s/none", p.dir);
    AUTO(freep) char *below = xasprintf("%s/s/x", p.dir);
    AUTO(err_freep) struct err *absent = ask(none);
    AUTO(err_freep) struct err *no_folder = ask(below);
    AUTO(err_freep) struct err *folder = ask(p.dir);
    AUTO(err_freep) struct err *file = ask("/dev/null");
    close(TAKE_FD(p.fd)); /* the file stays, as after a daemon that died */
    AUTO(err_freep) struct err *dead = ask(p.socket);
    AUTO(freep) char *path = xstrdup(p.socket);
    place_end(&p);
    assert_err(absent, ERR_NOTFOUND, none);
    assert_err(no_folder, ERR_NOTFOUND, below);
    assert_err(folder, ERR_BADINPUT, "is not a socket");
    assert_err(file, ERR_BADINPUT, "'/dev/null' is not a socket");
    assert_err(dead, ERR_ABSENT, path);
    assert_int_equal(dead->sys, ECONNREFUSED);
}

/* Root may do everything, so another user asks. */
static void a_forbidden_socket_is_refused(void **state)
{
    static const mode_t modes[][2] = {{0755, 0600}, {0700, 0666}}; /* folder, socket */

    if (geteuid() != 0) {
        puts("# not real: users: needs root, to ask as another user");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        struct place p;
        int status = 0;

        listen_at(&p, "s");
        assert_int_equal(chmod(p.dir, modes[i][0]), 0);
        assert_int_equal(chmod(p.socket, modes[i][1]), 0);
        pid_t pid = fork();
        if (pid == 0) {
            if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
                _exit(99);
            struct err *e = ask(p.socket);
            _exit(e && e->kind == ERR_REFUSED && e->sys == EACCES ? 7 : 8);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        place_end(&p);
        assert_int_equal(status, 7 << 8);
    }
}

static void a_token_goes_out_and_is_not_shown(void **state)
{
    AUTO(secret_freep) struct secret *token = secret_new(SECRET, strlen(SECRET));
    AUTO(http_response_clear) struct http_response r = {0};
    struct ctx ctx = plain;
    struct place p;

    listen_at(&p, "s");
    struct http_request req = {.method = "GET",
                               .url = "http://x/",
                               .unix_socket = p.socket,
                               .bearer = token,
                               .timeout_ms = 10000};
    pthread_create(&p.thread, NULL, echo_one, &p.fd);
    assert_null(http_one(&ctx, &req, &r));
    pthread_join(p.thread, NULL);
    place_end(&p);
    assert_non_null(strstr(r.body, "\r\nAuthorization: Bearer " SECRET "\r\n"));

    struct http_response none = {0};
    req.unix_socket = NULL;
    req.url = "http://127.0.0.1:1/";
    AUTO(err_freep) struct err *clear = http_one(&ctx, &req, &none);
    assert_err(clear, ERR_BADINPUT, "over https only");
    req.url = "https://127.0.0.1:1/";
    AUTO(err_freep) struct err *refused = http_one(&ctx, &req, &none);
    assert_err(refused, ERR_REMOTE, "connection refused");
}

static void a_token_cannot_forge_headers(void **state)
{
    static const struct {
        const char *text;
        size_t n;
    } bad[] = {{SECRET "\r\nX-A: 1", sizeof(SECRET) + 7}, {"a b", 3}, {"a\0b", 3}, {"\303\244", 2}};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(secret_freep) struct secret *token = secret_new(bad[i].text, bad[i].n);
        struct http_request req = {
            .method = "GET", .url = "https://127.0.0.1:1/", .bearer = token, .timeout_ms = 1000};
        struct http_response none = {0};
        struct ctx ctx = plain;
        AUTO(err_freep) struct err *e = http_one(&ctx, &req, &none);

        assert_err(e, ERR_BADINPUT, "not one line of plain text");
    }
}

/* ---- certificates ---------------------------------------------------------------------------- */

struct pki {
    char dir[64], *openssl;
    char *ca, *cert;    /* PEM text; the server's and the client's are one */
    struct secret *key; /* of cert */
    char *other;        /* an authority that signed nothing here */
    pid_t server;
    int port;
};

static char *file_of(const struct pki *k, const char *name)
{
    return xasprintf("%s/%s", k->dir, name);
}

static char *text_of(const struct pki *k, const char *name)
{
    AUTO(freep) char *path = file_of(k, name);
    AUTO(fsroot_closep) struct fsroot *root = NULL;
    char *text = NULL;

    assert_null(fsroot_open("/", &root));
    assert_null(fsroot_read(root, path, 65536, &text, NULL));
    return text;
}

static void make_authority(const struct pki *k, const char *name)
{
    AUTO(freep) char *key = xasprintf("%s/%s.key", k->dir, name);
    AUTO(freep) char *cert = xasprintf("%s/%s.crt", k->dir, name);
    const char *const argv[] = {k->openssl,
                                "req",
                                "-x509",
                                "-newkey",
                                "ec",
                                "-pkeyopt",
                                "ec_paramgen_curve:P-256",
                                "-nodes",
                                "-subj",
                                "/CN=authority",
                                "-keyout",
                                key,
                                "-out",
                                cert,
                                NULL};
    struct ctx ctx = plain;

    assert_null(proc_run(&ctx, argv, 30, NULL));
}

static void make_pki(struct pki *k)
{
    struct ctx ctx = plain;

    make_authority(k, "ca");
    make_authority(k, "other");
    AUTO(freep) char *ca = file_of(k, "ca.crt"), *ca_key = file_of(k, "ca.key");
    AUTO(freep) char *key = file_of(k, "us.key"), *csr = file_of(k, "us.csr");
    AUTO(freep) char *cert = file_of(k, "us.crt"), *ext = file_of(k, "ext");
    AUTO(fclosep) FILE *f = fopen(ext, "we");
    fputs("subjectAltName=IP:127.0.0.1\n", f);
    fclose(TAKE(f));
    const char *const ask_for[] = {
        k->openssl, "req",   "-newkey", "ec",      "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes",   "-subj", "/CN=us",  "-keyout", key,        "-out",
        csr,        NULL};
    const char *const sign[] = {k->openssl, "x509", "-req",   "-in",  csr,
                                "-CA",      ca,     "-CAkey", ca_key, "-CAcreateserial",
                                "-extfile", ext,    "-out",   cert,   NULL};
    assert_null(proc_run(&ctx, ask_for, 30, NULL));
    assert_null(proc_run(&ctx, sign, 30, NULL));
    k->ca = text_of(k, "ca.crt");
    k->other = text_of(k, "other.crt");
    k->cert = text_of(k, "us.crt");
    AUTO(secret_textp) char *key_text = text_of(k, "us.key");
    k->key = secret_new(key_text, strlen(key_text));
}

/* A server that wants a client certificate of the same authority. */
static void serve_tls(struct pki *k)
{
    AUTO(freep) char *ca = file_of(k, "ca.crt"), *key = file_of(k, "us.key");
    AUTO(freep) char *cert = file_of(k, "us.crt"), *log = file_of(k, "log");
    const char *const argv[] = {k->openssl, "s_server",
                                "-accept",  "127.0.0.1:0",
                                "-www",     "-cert",
                                cert,       "-key",
                                key,        "-CAfile",
                                ca,         "-Verify",
                                "1",        "-verify_return_error",
                                NULL};
    const struct proc_daemon_spec spec = {
        .path = k->openssl, .argv = argv, .log = log, .uid = UINT32_MAX, .gid = UINT32_MAX};
    uint64_t until = clock_system.mono_ns() + 10000000000ULL;

    assert_null(proc_spawn_daemon(&spec, &k->server));
    while (k->port == 0 && clock_system.mono_ns() < until) {
        AUTO(freep) char *text = text_of(k, "log");
        const char *at = strstr(text, "ACCEPT 127.0.0.1:");

        if (!at || !strchr(at, '\n') || sscanf(at, "ACCEPT 127.0.0.1:%d", &k->port) != 1)
            clock_system.wait(20000000, NULL);
    }
    assert_true(k->port > 0);
}

static void pki_end(struct pki *k)
{
    static const char *const names[] = {"ca.crt", "ca.key", "ca.srl", "other.crt", "other.key",
                                        "us.crt", "us.key", "us.csr", "ext",       "log"};

    if (k->server > 0)
        kill(k->server, SIGKILL);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO(freep) char *path = file_of(k, names[i]);

        unlink(path);
    }
    rmdir(k->dir);
    secret_free(k->key);
    free(k->ca);
    free(k->other);
    free(k->cert);
    free(k->openssl);
}

static struct err *ask_tls(const struct pki *k, const struct http_tls *tls, int *ret_status)
{
    AUTO(freep) char *url = xasprintf("https://127.0.0.1:%d/", k->port);
    AUTO(http_response_clear) struct http_response r = {0};
    const struct http_request req = {.method = "GET", .url = url, .tls = tls, .timeout_ms = 10000};
    struct ctx ctx = plain;

    TRY(http_one(&ctx, &req, &r));
    *ret_status = r.status;
    return NULL;
}

static void certificates_come_from_memory(void **state)
{
    struct pki k = {.dir = "/tmp/agavectl-test-pki-XXXXXX"};
    struct ctx ctx = plain;
    int status = 0, other = 0;
    AUTO(err_freep) struct err *absent = proc_find(&ctx, "openssl", &k.openssl);

    if (absent) {
        puts("# not real: tls: no openssl program to make certificates with");
        return;
    }
    assert_non_null(mkdtemp(k.dir));
    make_pki(&k);
    serve_tls(&k);
    struct http_tls tls = {
        .ca = k.ca, .ca_n = strlen(k.ca), .cert = k.cert, .cert_n = strlen(k.cert), .key = k.key};
    AUTO(err_freep) struct err *good = ask_tls(&k, &tls, &status);
    tls.ca = k.other, tls.ca_n = strlen(k.other);
    AUTO(err_freep) struct err *wrong_ca = ask_tls(&k, &tls, &other);
    tls.ca = NULL;
    AUTO(err_freep) struct err *system_ca = ask_tls(&k, &tls, &other);
    tls = (struct http_tls){.ca = k.ca, .ca_n = strlen(k.ca)};
    AUTO(err_freep) struct err *nobody = ask_tls(&k, &tls, &other);
    tls.cert = k.cert, tls.cert_n = strlen(k.cert);
    AUTO(err_freep) struct err *no_key = ask_tls(&k, &tls, &other);
    AUTO(secret_freep) struct secret *rubbish = secret_new(SECRET, strlen(SECRET));
    tls.key = rubbish;
    AUTO(err_freep) struct err *bad_key = ask_tls(&k, &tls, &other);
    pki_end(&k);
    if (good)
        fail_msg("%s", good->text);
    assert_int_equal(status, 200);
    assert_err(wrong_ca, ERR_REMOTE, "certificate");
    assert_err(system_ca, ERR_REMOTE, "certificate");
    assert_err(nobody, ERR_REMOTE, "");
    assert_err(no_key, ERR_BUG, "needs its key");
    assert_err(bad_key, ERR_REMOTE, "key");
    assert_int_equal(other, 0);
}

/* ---- another network namespace -------------------------------------------------------------- */

/* Child: a namespace of its own with a server on 127.0.0.1; tells its port, answers once. */
static void serve_elsewhere(int tell)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    socklen_t n = sizeof(a);
    int fd, port;

    if (unshare(CLONE_NEWNET) < 0)
        _exit(1);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (ioctl(fd, SIOCSIFFLAGS, &ifr) < 0 || bind(fd, (struct sockaddr *)&a, n) < 0 ||
        listen(fd, 8) < 0 || getsockname(fd, (struct sockaddr *)&a, &n) < 0)
        _exit(2);
    port = ntohs(a.sin_port);
    if (write(tell, &port, sizeof(port)) != sizeof(port))
        _exit(3);
    echo_one(&fd);
    _exit(0);
}

static void a_request_is_made_in_another_namespace(void **state)
{
    int p[2], port = 0, status = 0;
    struct http_response r[3] = {0};
    struct ctx ctx = plain;
    struct stat before, after;

    if (geteuid() != 0) {
        puts("# not real: namespaces: needs root, to make one of its own");
        return;
    }
    assert_int_equal(pipe(p), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve_elsewhere(p[1]);
    }
    close(p[1]);
    if (read(p[0], &port, sizeof(port)) != sizeof(port))
        fail_msg("the namespace could not be made");
    close(p[0]);
    AUTO(freep) char *ns = xasprintf("/proc/%d/ns/net", pid);
    AUTO(closep) int fd = open(ns, O_RDONLY | O_CLOEXEC);
    AUTO(freep) char *url = xasprintf("http://127.0.0.1:%d/there", port);
    AUTO(freep) char *name = xasprintf("http://localhost:%d/there", port);
    const struct http_request reqs[] = {
        {.method = "GET", .url = url, .timeout_ms = 5000},
        {.method = "GET", .url = url, .timeout_ms = 5000, .netns_fd = fd},
        {.method = "GET", .url = name, .timeout_ms = 5000, .netns_fd = fd},
    };
    assert_int_equal(stat("/proc/thread-self/ns/net", &before), 0);
    assert_null(http_curl.many(&ctx, reqs, 3, r));
    assert_int_equal(stat("/proc/thread-self/ns/net", &after), 0);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    assert_true(before.st_ino == after.st_ino && before.st_dev == after.st_dev);
    assert_err(r[0].err, ERR_REMOTE, "connection refused");
    assert_null(r[1].err);
    assert_ptr_equal(strstr(r[1].body, "GET /there HTTP/1.1\r\n"), r[1].body);
    assert_err(r[2].err, ERR_BADINPUT, "needs an IP address");
    for (size_t i = 0; i < ARRAY_LEN(r); i++)
        http_response_clear(&r[i]);
    puts("# real: namespaces: HTTP in another network namespace");
}

static void what_is_no_namespace_is_an_error(void **state)
{
    AUTO(closep) int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct http_request req = {.method = "GET",
                               .url = "http://127.0.0.1:1/x?k=" SECRET,
                               .timeout_ms = 5000,
                               .netns_fd = fd};
    struct http_response none = {0};
    struct ctx ctx = plain;
    AUTO(err_freep) struct err *e = http_one(&ctx, &req, &none);

    assert_err(e, ERR_SYS, "http://127.0.0.1:1/x: cannot join the network namespace");
}

static void secrets_are_whole_and_end(void **state)
{
    AUTO(secret_freep) struct secret *s = secret_new("a\0b", 3);
    AUTO(secret_freep) struct secret *empty = secret_new(NULL, 0);
    char buf[4] = "abc";

    assert_int_equal(secret_n(s), 3);
    assert_memory_equal(secret_bytes(s), "a\0b", 4); /* and a NUL behind it */
    assert_int_equal(secret_n(empty), 0);
    assert_string_equal(secret_bytes(empty), "");
    assert_null(secret_bytes(NULL));
    assert_int_equal(secret_n(NULL), 0);
    secret_wipe(buf, sizeof(buf));
    assert_memory_equal(buf, "\0\0\0\0", 4);
    assert_null(secret_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unix_socket_answers),
        cmocka_unit_test(sockets_that_do_not_answer_are_told_apart),
        cmocka_unit_test(a_forbidden_socket_is_refused),
        cmocka_unit_test(a_token_goes_out_and_is_not_shown),
        cmocka_unit_test(a_token_cannot_forge_headers),
        cmocka_unit_test(certificates_come_from_memory),
        cmocka_unit_test(a_request_is_made_in_another_namespace),
        cmocka_unit_test(what_is_no_namespace_is_an_error),
        cmocka_unit_test(secrets_are_whole_and_end),
    };

    return cmocka_run_group_tests_name("http_ways", tests, NULL, NULL);
}
