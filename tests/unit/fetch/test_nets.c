/* fetch/nets: who is in a network, and what is none. */
#include "fetch/nets.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static bool in(const char *net, const char *address)
{
    AUTO(strlist_clear) struct strlist texts = {0};
    AUTO(nets_clear) struct nets n = {0};
    AUTO(freep)
    char *listen = xasprintf(strchr(address, ':') ? "[%s]:80" : "%s:80", address);
    struct sockaddr_storage addr;
    socklen_t len;

    strlist_add(&texts, "192.0.2.7");
    strlist_add(&texts, net);
    assert_null(nets_parse(&texts, &n));
    assert_null(listen_parse(listen, &addr, &len));
    return nets_match(&n, (struct sockaddr *)&addr);
}

static void networks(void **state)
{
    assert_true(in("10.1.0.0/16", "10.1.255.255"));
    assert_false(in("10.1.0.0/16", "10.2.0.0"));
    assert_true(in("10.1.2.128/25", "10.1.2.200"));
    assert_false(in("10.1.2.128/25", "10.1.2.127"));
    assert_true(in("10.1.2.3", "10.1.2.3"));
    assert_false(in("10.1.2.3", "10.1.2.4"));
    assert_true(in("10.1.2.3", "192.0.2.7"));
    assert_true(in("0.0.0.0/0", "255.1.2.3"));
    assert_false(in("0.0.0.0/0", "fd00::1"));
    assert_true(in("0.0.0.0/0", "::ffff:10.1.2.3"));
    assert_true(in("10.0.0.0/8", "::ffff:10.1.2.3"));
    assert_true(in("fd00::/8", "fdff::1"));
    assert_false(in("fd00::/8", "fc00::1"));
    assert_true(in("::/0", "10.1.2.3"));
    assert_true(in("fe80::/10", "febf::1"));
    assert_false(in("fe80::/10", "fec0::1"));
}

static void no_networks(void **state)
{
    static const char *const texts[] = {"",         "10.1",        "10.1.2.3/33", "10.1.2.3/",
                                        "10.1.2/8", "host",        "10.1.2.3/16", "fd00::1/8",
                                        "::/129",   "10.0.0.0/8 ", "10.0.0.0/-1"};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        AUTO(strlist_clear) struct strlist one = {0};
        AUTO(nets_clear) struct nets n = {0};
        AUTO(err_freep) struct err *e = NULL;

        strlist_add(&one, texts[i]);
        e = nets_parse(&one, &n);
        assert_non_null(e);
        assert_int_equal(e->kind, ERR_BADINPUT);
    }
}

static void addresses(void **state)
{
    static const struct {
        const char *text, *back; /* back NULL: refused */
    } rows[] = {{"127.0.0.1:8890", "127.0.0.1:8890"},
                {"[fd00::5]:0", "[fd00::5]:0"},
                {"[::ffff:10.0.0.1]:80", "10.0.0.1:80"},
                {"0.0.0.0:65535", "0.0.0.0:65535"},
                {"127.0.0.1", NULL},
                {"127.0.0.1:65536", NULL},
                {"fd00::5:80", NULL},
                {"[127.0.0.1]:80", NULL},
                {"localhost:80", NULL},
                {":80", NULL},
                {"]:80", NULL},
                {"[:80", NULL},
                {"", NULL}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sockaddr_storage addr;
        socklen_t n;
        AUTO(err_freep) struct err *e = listen_parse(rows[i].text, &addr, &n);
        char text[LISTEN_TEXT_MAX];

        assert_int_equal(!e, rows[i].back != NULL);
        if (!e)
            assert_string_equal(listen_text((struct sockaddr *)&addr, text), rows[i].back);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks),
        cmocka_unit_test(no_networks),
        cmocka_unit_test(addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
