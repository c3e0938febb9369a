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
#include "host/systemd_bus.h"

#define WAIT_US (20U * 1000 * 1000)

struct manager {
    pthread_t thread;
    int listening;
    const char *error; /* name of the error that it answers with; NULL: done */
    char *asked;       /* "destination path interface member" */
    bool deep;         /* its properties are nested more deeply than any of systemd's */
};

/* One property of each shape that systemd has. */
static void tell_all(sd_bus_message *q, bool deep)
{
    const uint8_t id[] = {0x0a, 0xff};
    sd_bus_message *r = NULL;

    sd_bus_message_new_method_return(q, &r);
    sd_bus_message_open_container(r, 'a', "{sv}");
    sd_bus_message_append(r, "{sv}", "Text", "s", "sol.service");
    sd_bus_message_append(r, "{sv}", "Flag", "b", 1);
    sd_bus_message_append(r, "{sv}", "Big", "t", UINT64_MAX);
    sd_bus_message_append(r, "{sv}", "Below", "i", -5);
    sd_bus_message_append(r, "{sv}", "Signal", "i", 15);
    sd_bus_message_append(r, "{sv}", "List", "as", 2, "a", "b");
    sd_bus_message_append(r, "{sv}", "None", "as", 0);
    sd_bus_message_append(r, "{sv}", "Job", "(uo)", 7, "/org/job/7");
    sd_bus_message_append(r, "{sv}", "Exec", "a(sasb)", 1, "/x", 2, "/x", "-f", 0);
    if (deep)
        sd_bus_message_append(r, "{sv}", "Deep", "aaaaaaaaas", 1, 1, 1, 1, 1, 1, 1, 1, 1, "x");
    sd_bus_message_open_container(r, 'e', "sv");
    sd_bus_message_append(r, "s", "Id");
    sd_bus_message_open_container(r, 'v', "ay");
    sd_bus_message_append_array(r, 'y', id, sizeof(id));
    sd_bus_message_close_container(r);
    sd_bus_message_close_container(r);
    sd_bus_message_close_container(r);
    sd_bus_send(NULL, r, NULL);
    sd_bus_message_unref(r);
}

static void answer(struct manager *m, sd_bus_message *q)
{
    m->asked =
        xasprintf("%s %s %s %s", sd_bus_message_get_destination(q), sd_bus_message_get_path(q),
                  sd_bus_message_get_interface(q), sd_bus_message_get_member(q));
    if (m->error)
        sd_bus_reply_method_errorf(q, m->error, "told to fail");
    else if (str_eq(sd_bus_message_get_member(q), "GetAll"))
        tell_all(q, m->deep);
    else if (str_eq(sd_bus_message_get_member(q), "LoadUnit"))
        sd_bus_reply_method_return(q, "o", "/org/x");
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

static void properties_become_json(void **state)
{
    for (int deep = 0; deep < 2; deep++) {
        AUTO(json_freep) struct json *j = NULL;
        AUTO(freep) char *text = NULL;
        struct sysbus *b = NULL;
        struct fixture f;
        struct manager m;

        fixture_new(&f);
        manager_start(&m, &f, NULL);
        m.deep = deep;
        assert_ok(sysbus_open(&f.ctx, &b));
        struct err *e = sysbus_properties(b, "/org/x", "org.x.Unit", &j);
        sysbus_close(b);
        manager_end(&m);
        assert_string_equal(m.asked, "org.freedesktop.systemd1 /org/x "
                                     "org.freedesktop.DBus.Properties GetAll");
        free(m.asked);
        fixture_clear(&f);
        if (deep) {
            assert_err(e, ERR_REMOTE, "cannot be read");
            continue;
        }
        assert_ok(e);
        text = json_text(j, false);
        assert_string_equal(text, "{\"Text\":\"sol.service\",\"Flag\":true,"
                                  "\"Big\":18446744073709551615,\"Below\":-5.0,\"Signal\":15,"
                                  "\"List\":[\"a\",\"b\"],\"None\":[],\"Job\":[7,\"/org/job/7\"],"
                                  "\"Exec\":[[\"/x\",[\"/x\",\"-f\"],false]],\"Id\":\"0aff\"}");
    }
}

static void a_method_and_its_answer(void **state)
{
    static const struct {
        const char *method, *error;
        enum err_kind kind;
    } cases[] = {
        {"LoadUnit", NULL, 0},
        {"Reload", NULL, ERR_REMOTE}, /* answers with nothing */
        {"StopUnit", "org.freedesktop.systemd1.NoSuchUnit", ERR_NOTFOUND},
        {"StartUnit", "org.freedesktop.systemd1.UnitMasked", ERR_REFUSED},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *const args[] = {"sol.service", NULL};
        AUTO(freep) char *text = NULL;
        struct sysbus *b = NULL;
        struct fixture f;
        struct manager m;

        fixture_new(&f);
        manager_start(&m, &f, cases[i].error);
        assert_ok(sysbus_open(&f.ctx, &b));
        struct err *e = sysbus_call(b, cases[i].method, args, 20000, "do it", &text);
        sysbus_close(b);
        manager_end(&m);
        free(m.asked);
        fixture_clear(&f);
        if (cases[i].kind) {
            assert_err(e, cases[i].kind, NULL);
            continue;
        }
        assert_ok(e);
        assert_string_equal(text, "/org/x");
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
        cmocka_unit_test(properties_become_json),
        cmocka_unit_test(a_method_and_its_answer),
        cmocka_unit_test(nobody_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
