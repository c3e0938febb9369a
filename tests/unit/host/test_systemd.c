/* What is asked of systemd, against a manager of the test's own: a thread that speaks D-Bus on the
 * fixture's private socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "base/str.h"
#include "fixture.h"
#include "host/systemd.h"

#define WAIT_US (20U * 1000 * 1000)

struct manager {
    pthread_t thread;
    int listening;
    const char *error; /* name of the error that it answers with; NULL: done */
    char *asked;       /* "destination path interface member" */
};

static void answer(struct manager *m, sd_bus_message *q)
{
    m->asked =
        xasprintf("%s %s %s %s", sd_bus_message_get_destination(q), sd_bus_message_get_path(q),
                  sd_bus_message_get_interface(q), sd_bus_message_get_member(q));
    if (m->error)
        sd_bus_reply_method_errorf(q, m->error, "told to fail");
    else
        sd_bus_reply_method_return(q, "");
}

static void serve(struct manager *m, sd_bus *b)
{
    while (!m->asked) {
        sd_bus_message *q = NULL;
        int rc = sd_bus_process(b, &q);
        uint8_t type = 0;

        if (rc < 0)
            return;
        if (q && sd_bus_message_get_type(q, &type) >= 0 && type == SD_BUS_MESSAGE_METHOD_CALL)
            answer(m, q);
        sd_bus_message_unref(q);
        if (rc == 0 && sd_bus_wait(b, WAIT_US) <= 0)
            return;
    }
    sd_bus_flush(b);
}

static void *run(void *arg)
{
    struct manager *m = arg;
    struct pollfd p = {.fd = m->listening, .events = POLLIN};
    sd_id128_t id = SD_ID128_MAKE(8b, 2c, 21, 5d, 9c, 7b, 4c, 0e, 9a, 74, 3d, 4c, 7a, 22, 51, 10);
    sd_bus *b = NULL;

    if (poll(&p, 1, WAIT_US / 1000) != 1)
        return NULL;
    int fd = accept4(m->listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 || sd_bus_new(&b) < 0 || sd_bus_set_fd(b, fd, fd) < 0 ||
        sd_bus_set_server(b, 1, id) < 0 || sd_bus_start(b) < 0)
        return NULL;
    serve(m, b);
    sd_bus_flush_close_unref(b);
    return NULL;
}

static void manager_start(struct manager *m, struct fixture *f, const char *error)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    *m = (struct manager){.error = error};
    fixture_dir(f, "/run/systemd/system");
    snprintf(at.sun_path, sizeof(at.sun_path), "%s/run/systemd/private", f->dir);
    unlink(at.sun_path);
    m->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(m->listening, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(m->listening, 1), 0);
    assert_int_equal(pthread_create(&m->thread, NULL, run, m), 0);
}

static void manager_end(struct manager *m)
{
    pthread_join(m->thread, NULL);
    close(m->listening);
}

static void a_host_without_systemd_is_left_alone(void **state)
{
    struct fixture f;
    bool booted = true;

    fixture_new(&f);
    assert_ok(systemd_booted(&f.ctx, &booted));
    assert_false(booted);
    assert_ok(systemd_reload(&f.ctx));
    fixture_put(&f, "/run/systemd/system", "a file\n");
    assert_ok(systemd_booted(&f.ctx, &booted));
    assert_false(booted);
    fixture_clear(&f);
}

static void it_reads_its_files_again(void **state)
{
    struct fixture f;
    struct manager m;
    bool booted = false;

    fixture_new(&f);
    manager_start(&m, &f, NULL);
    assert_ok(systemd_booted(&f.ctx, &booted));
    assert_true(booted);
    assert_ok(systemd_reload(&f.ctx));
    manager_end(&m);
    assert_string_equal(m.asked, "org.freedesktop.systemd1 /org/freedesktop/systemd1 "
                                 "org.freedesktop.systemd1.Manager Reload");
    free(m.asked);
    fixture_clear(&f);
}

static void what_it_refuses(void **state)
{
    static const struct {
        const char *error;
        enum err_kind kind;
    } cases[] = {
        {SD_BUS_ERROR_ACCESS_DENIED, ERR_REFUSED},
        {SD_BUS_ERROR_NO_REPLY, ERR_TIMEOUT},
        {SD_BUS_ERROR_FAILED, ERR_REMOTE},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        struct manager m;

        fixture_new(&f);
        manager_start(&m, &f, cases[i].error);
        assert_err(systemd_reload(&f.ctx), cases[i].kind, "told to fail");
        manager_end(&m);
        free(m.asked);
        fixture_clear(&f);
    }
}

static void nobody_answers(void **state)
{
    struct fixture f;

    fixture_new(&f);
    fixture_dir(&f, "/run/systemd/system");
    assert_err(systemd_reload(&f.ctx), ERR_ABSENT, "/run/systemd/private");
    fixture_clear(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_without_systemd_is_left_alone),
        cmocka_unit_test(it_reads_its_files_again),
        cmocka_unit_test(what_it_refuses),
        cmocka_unit_test(nobody_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
