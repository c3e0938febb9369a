/* host/ports on real sockets of a network namespace of the test's own, and on made-up tables. */
#include "host/ports.h"

#include <arpa/inet.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "fixture.h"
#include "host/ns.h"
#include "io/fsroot.h"

static struct ctx ctx;

/* A bound socket; TCP listens, with SO_REUSEADDR as Rust's listeners do. */
static int hold(int family, int type, const char *address, uint16_t port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    int fd = socket(family, type | SOCK_CLOEXEC, 0), on = 1;
    int rc;

    if (fd < 0 && family == AF_INET6)
        return -1; /* no IPv6 here */
    assert_true(fd >= 0);
    if (type == SOCK_STREAM)
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    if (family == AF_INET6) {
        rc = bind(fd, (struct sockaddr *)&v6, sizeof(v6));
    } else {
        assert_int_equal(inet_pton(AF_INET, address, &v4.sin_addr), 1);
        rc = bind(fd, (struct sockaddr *)&v4, sizeof(v4));
    }
    assert_int_equal(rc, 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static bool is_free(const char *address, uint16_t port, enum port_proto proto)
{
    bool ret = false;

    assert_ok(port_is_free(address, port, proto, &ret));
    return ret;
}

static void held_by_us(const char *address, uint16_t port, enum port_proto proto)
{
    AUTO(freep) char *me = xasprintf("process %d (", (int)getpid());
    AUTO(freep) char *who = NULL;

    assert_ok(port_holder(&ctx, address, port, proto, &who));
    if (strncmp(who, me, strlen(me)) != 0)
        fail_msg("%s", who);
}

static void a_listener_is_found_and_named(void **state)
{
    assert_true(is_free("127.0.0.1", 9899, PORT_TCP));
    AUTO(closep) int fd = hold(AF_INET, SOCK_STREAM, "127.0.0.1", 9899);
    assert_false(is_free("127.0.0.1", 9899, PORT_TCP));
    assert_false(is_free("0.0.0.0", 9899, PORT_TCP));
    assert_true(is_free("127.0.0.1", 9899, PORT_UDP)); /* another protocol */
    assert_true(is_free("127.0.0.2", 9899, PORT_TCP)); /* another address */
    held_by_us("127.0.0.1", 9899, PORT_TCP);
    held_by_us("0.0.0.0", 9899, PORT_TCP);
}

static void a_udp_socket_is_found_and_named(void **state)
{
    AUTO(closep) int fd = hold(AF_INET, SOCK_DGRAM, "0.0.0.0", 8001);

    assert_false(is_free("127.0.0.1", 8001, PORT_UDP));
    assert_true(is_free("127.0.0.1", 8001, PORT_TCP));
    held_by_us("127.0.0.1", 8001, PORT_UDP);
}

static void a_listener_on_all_of_ipv6_counts(void **state)
{
    AUTO(closep) int fd = hold(AF_INET6, SOCK_STREAM, NULL, 9900);

    if (fd < 0)
        return;
    assert_false(is_free("127.0.0.1", 9900, PORT_TCP));
    held_by_us("127.0.0.1", 9900, PORT_TCP);
}

/* What a validator leaves for a minute when it ends with connections open. */
static void connections_that_linger_do_not_count(void **state)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9901)};
    int server = hold(AF_INET, SOCK_STREAM, "127.0.0.1", 9901);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char byte;

    assert_int_equal(inet_pton(AF_INET, "127.0.0.1", &to.sin_addr), 1);
    assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
    int peer = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    assert_true(peer >= 0);
    close(peer); /* first: its side is the one that waits */
    assert_int_equal(read(client, &byte, 1), 0);
    close(client);
    close(server);
    AUTO(freep) char *table = NULL;
    assert_ok(fsroot_read(ctx.root, "/proc/self/net/tcp", 1 << 20, &table, NULL));
    assert_non_null(strstr(table, ":26AD 0100007F")); /* 9901: it is there */
    assert_true(is_free("127.0.0.1", 9901, PORT_TCP));
}

static void an_address_of_another_host_is_an_error(void **state)
{
    bool ret = true;

    assert_err(port_is_free("192.0.2.1", 9899, PORT_TCP, &ret), ERR_BADINPUT, "192.0.2.1");
    assert_err(port_is_free("localhost", 9899, PORT_TCP, &ret), ERR_BADINPUT, "localhost");
}

#define HEAD                                                                                       \
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "  \
    "inode\n"
#define LINE(address, port, state, inode)                                                          \
    "   0: " address ":" port " 00000000:0000 " state                                              \
    " 00000000:00000000 00:00000000 00000000  1000        0 " inode " 1 0 100 0 0 10 0\n"

static char *who(struct fixture *f, const char *address, uint16_t port)
{
    char *ret = NULL;

    assert_ok(port_holder(&f->ctx, address, port, PORT_TCP, &ret));
    return ret;
}

static void the_holder_is_the_one_that_collides(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    fixture_new(&f);
    fixture_put(&f, "/proc/self/stat", "1 (test) S 0\n");
    fixture_process(&f, 20, "nginx", "/usr/sbin/nginx", "nginx", 1);
    fixture_link(&f, "/proc/20/fd/7", "socket:[700]");
    fixture_process(&f, 21, "other", "/usr/bin/other", "other", 1);
    fixture_link(&f, "/proc/21/fd/3", "socket:[300]");
    /* 8899 is 22C3: on another address, lingering, on another port, on an IPv6 address */
    fixture_put(&f, "/proc/self/net/tcp",
                HEAD LINE("0200007F", "22C3", "0A", "300") LINE("0100007F", "22C3", "06", "300")
                    LINE("0100007F", "22C4", "0A", "300"));
    fixture_put(&f, "/proc/self/net/tcp6",
                HEAD LINE("00000000000000000000000001000000", "22C3", "0A", "300")
                    LINE("0000000000000000FFFF00000100007F", "22C3", "0A", "700"));
    AUTO(freep) char *mapped = who(&f, "127.0.0.1", 8899);
    assert_string_equal(mapped, "process 20 (nginx)");
    AUTO(freep) char *all = who(&f, "0.0.0.0", 8899);
    assert_string_equal(all, "process 21 (other)");
    AUTO(freep) char *none = who(&f, "127.0.0.1", 8898);
    assert_string_equal(none, "somebody who cannot be seen from here");
}

int main(void)
{
    const struct CMUnitTest real[] = {
        cmocka_unit_test(a_listener_is_found_and_named),
        cmocka_unit_test(a_udp_socket_is_found_and_named),
        cmocka_unit_test(a_listener_on_all_of_ipv6_counts),
        cmocka_unit_test(connections_that_linger_do_not_count),
        cmocka_unit_test(an_address_of_another_host_is_an_error),
        cmocka_unit_test(the_holder_is_the_one_that_collides),
    };
    const struct CMUnitTest made_up[] = {cmocka_unit_test(the_holder_is_the_one_that_collides)};

    if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
        printf("# not real: namespaces: no network namespace of our own\n");
        fflush(stdout);
        return cmocka_run_group_tests_name("ports", made_up, NULL, NULL);
    }
    printf("# real: namespaces: sockets in a network namespace of the test's own\n");
    fflush(stdout);
    err_free(ns_lo_up());
    err_free(fsroot_open("/", &ctx.root));
    int failed = cmocka_run_group_tests_name("ports", real, NULL, NULL);
    ctx.root = fsroot_close(ctx.root);
    return failed;
}
