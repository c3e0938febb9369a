/* io/sock against a thread that answers as told. */
#include "io/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/str.h"
#include "io/clock.h"

#define SLACK_MS 8000

struct peer {
    char dir[64], path[96];
    int fd;
    pthread_t thread;
    const char *pieces[4]; /* sent one after the other; "" at the end: close, else stay open */
    bool stay, cancels;
    char asked[256];
    atomic_int in_flight;
    volatile sig_atomic_t cancel;
};

static const struct ctx plain = {.clock = &clock_system};

static uint64_t now_ms(void)
{
    return clock_system.mono_ns() / 1000000;
}

static void read_request(struct peer *p, int fd)
{
    size_t n = 0;

    while (n < sizeof(p->asked) - 1 && !memchr(p->asked, '\n', n)) {
        ssize_t rc = recv(fd, p->asked + n, sizeof(p->asked) - 1 - n, 0);

        if (rc <= 0)
            break;
        n += (size_t)rc;
    }
    p->asked[n] = 0;
}

static void *serve(void *arg)
{
    struct peer *p = arg;
    AUTO(closep) int fd = accept4(p->fd, NULL, NULL, SOCK_CLOEXEC);
    char c;

    if (fd < 0)
        return NULL;
    read_request(p, fd);
    if (p->cancels)
        p->cancel = 1;
    for (size_t i = 0; i < ARRAY_LEN(p->pieces) && p->pieces[i]; i++)
        if (send(fd, p->pieces[i], strlen(p->pieces[i]), MSG_NOSIGNAL) < 0)
            break;
    while (p->stay && recv(fd, &c, 1, 0) > 0)
        ;
    return NULL;
}

static int setup(void **state)
{
    struct peer *p = xcalloc(1, sizeof(*p));

    p->fd = -1;
    snprintf(p->dir, sizeof(p->dir), "/tmp/agavectl-test-sock-XXXXXX");
    if (!mkdtemp(p->dir))
        return -1;
    snprintf(p->path, sizeof(p->path), "%s/admin.rpc", p->dir);
    *state = p;
    return 0;
}

/* Binds at path by its last component only, so that the folder may be as deep as it likes. */
static int listen_at(const char *folder, const char *name, int backlog)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    AUTO(closep) int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(sun.sun_path, sizeof(sun.sun_path), "/proc/self/fd/%d/%s", dir, name);
    assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

static void start(struct peer *p)
{
    p->fd = listen_at(p->dir, "admin.rpc", 8);
    pthread_create(&p->thread, NULL, serve, p);
}

static int teardown(void **state)
{
    struct peer *p = *state;

    if (p->thread) {
        shutdown(p->fd, SHUT_RDWR);
        pthread_join(p->thread, NULL);
    }
    closep(&p->fd);
    unlink(p->path);
    rmdir(p->dir);
    free(p);
    return 0;
}

static void assert_err(const struct err *e, enum err_kind kind, const char *part)
{
    assert_non_null(e);
    if (e->kind != kind || !strstr(e->text, part))
        fail_msg("want %s '%s', got %s '%s'", err_kind_name(kind), part, err_kind_name(e->kind),
                 e->text);
}

static struct err *ask(struct peer *p, uint32_t timeout_ms, size_t max_b, char **ret)
{
    struct ctx ctx = plain;

    ctx.cancelled = &p->cancel;
    return sock_ask(&ctx, p->path, "{\"q\":1}", timeout_ms, max_b, ret);
}

static void one_line_out_one_line_back(void **state)
{
    struct peer *p = *state;
    AUTO(freep) char *line = NULL;

    p->pieces[0] = "{\"a\"";
    p->pieces[1] = ":2}\n{\"the next";
    p->stay = true; /* the answer ends at its newline, not with the connection */
    start(p);
    assert_null(ask(p, 5000, 100, &line));
    assert_string_equal(line, "{\"a\":2}");
    assert_string_equal(p->asked, "{\"q\":1}\n");
}

static void closed_before_the_newline(void **state)
{
    struct peer *p = *state;
    char *line = NULL;

    p->pieces[0] = "{\"a\":2}";
    start(p);
    AUTO(err_freep) struct err *e = ask(p, 5000, 100, &line);
    assert_err(e, ERR_REMOTE, "admin.rpc' was closed before its answer was whole");
    assert_null(line);
}

static void an_answer_that_is_too_long(void **state)
{
    struct peer *p = *state;
    AUTO(freep) char *line = NULL;

    p->pieces[0] = "0123456789";
    p->pieces[1] = "x\n";
    start(p);
    AUTO(err_freep) struct err *e = ask(p, 5000, 10, &line);
    assert_err(e, ERR_REMOTE, "answered more than 10 bytes");
}

static void an_answer_that_just_fits(void **state)
{
    struct peer *p = *state;
    AUTO(freep) char *line = NULL;

    p->pieces[0] = "0123456789\n";
    start(p);
    assert_null(ask(p, 5000, 10, &line));
    assert_string_equal(line, "0123456789");
}

static void the_time_out_holds(void **state)
{
    struct peer *p = *state;
    uint64_t begun = now_ms();
    char *line = NULL;

    p->pieces[0] = "half";
    p->stay = true;
    start(p);
    AUTO(err_freep) struct err *e = ask(p, 300, 100, &line);
    assert_err(e, ERR_TIMEOUT, "admin.rpc': no answer within 0.3 s");
    assert_in_range(now_ms() - begun, 295, 300 + SLACK_MS);
}

static void the_operator_can_leave(void **state)
{
    struct peer *p = *state;
    uint64_t begun = now_ms();
    char *line = NULL;

    p->stay = true;
    p->cancels = true;
    start(p);
    AUTO(err_freep) struct err *e = ask(p, 60000, 100, &line);
    assert_err(e, ERR_CANCELLED, "interrupted");
    assert_true(now_ms() - begun < 100 + SLACK_MS);
}

static void no_socket_is_not_found_and_a_stale_one_is_nobody(void **state)
{
    struct peer *p = *state;
    char *line = NULL;

    AUTO(err_freep) struct err *none = ask(p, 1000, 100, &line);
    assert_err(none, ERR_NOTFOUND, "cannot connect to '");
    close(listen_at(p->dir, "admin.rpc", 1)); /* what a killed validator leaves */
    AUTO(err_freep) struct err *stale = ask(p, 1000, 100, &line);
    assert_err(stale, ERR_ABSENT, "nobody listens on '");
}

static void a_file_in_its_place_is_nobody(void **state)
{
    struct peer *p = *state;
    char *line = NULL;

    close(open(p->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    AUTO(err_freep) struct err *e = ask(p, 1000, 100, &line);
    assert_err(e, ERR_ABSENT, "nobody listens on '");
}

/* A validator that hangs accepts nobody: connecting itself must end. */
static void a_full_queue_ends_at_the_time_out(void **state)
{
    struct peer *p = *state;
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int waiting[3];
    uint64_t begun;
    char *line = NULL;

    p->fd = listen_at(p->dir, "admin.rpc", 0);
    snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", p->path);
    for (size_t i = 0; i < ARRAY_LEN(waiting); i++) {
        waiting[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)!connect(waiting[i], (struct sockaddr *)&sun, sizeof(sun));
    }
    begun = now_ms();
    AUTO(err_freep) struct err *e = ask(p, 300, 100, &line);
    assert_err(e, ERR_TIMEOUT, "");
    assert_in_range(now_ms() - begun, 295, 300 + SLACK_MS);
    for (size_t i = 0; i < ARRAY_LEN(waiting); i++)
        close(waiting[i]);
}

static void a_long_path_is_reached_all_the_same(void **state)
{
    struct peer *p = *state;
    AUTO(freep) char *deep = xasprintf("%s/%0100d", p->dir, 7);
    AUTO(freep) char *path = xasprintf("%s/admin.rpc", deep);
    AUTO(freep) char *line = NULL;
    struct ctx ctx = plain;

    assert_true(strlen(path) > sizeof(((struct sockaddr_un *)0)->sun_path));
    assert_int_equal(mkdir(deep, 0700), 0);
    AUTO(err_freep) struct err *none = sock_ask(&ctx, path, "{}", 1000, 100, &line);
    assert_err(none, ERR_NOTFOUND, "");
    p->pieces[0] = "fine\n";
    p->fd = listen_at(deep, "admin.rpc", 8);
    pthread_create(&p->thread, NULL, serve, p);
    assert_null(sock_ask(&ctx, path, "{}", 5000, 100, &line));
    assert_string_equal(line, "fine");
    unlink(path);
    rmdir(deep);
}

static void a_name_that_no_socket_can_have(void **state)
{
    struct peer *p = *state;
    AUTO(freep) char *path = xasprintf("%s/%0150d", p->dir, 7);
    struct ctx ctx = plain;
    char *line = NULL;
    AUTO(err_freep) struct err *e = sock_ask(&ctx, path, "{}", 1000, 100, &line);

    assert_err(e, ERR_BADINPUT, "more than 107 bytes");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_line_out_one_line_back),
        TEST(closed_before_the_newline),
        TEST(an_answer_that_is_too_long),
        TEST(an_answer_that_just_fits),
        TEST(the_time_out_holds),
        TEST(the_operator_can_leave),
        TEST(no_socket_is_not_found_and_a_stale_one_is_nobody),
        TEST(a_file_in_its_place_is_nobody),
        TEST(a_full_queue_ends_at_the_time_out),
        TEST(a_long_path_is_reached_all_the_same),
        TEST(a_name_that_no_socket_can_have),
    };

    return cmocka_run_group_tests_name("sock", tests, NULL, NULL);
}
