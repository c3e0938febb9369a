/* host/fw: what rules do with a port, from nft's JSON and from iptables-save, made up and made by
 * the real programs in a network namespace of the test's own. */
#include "host/fw.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/str.h"
#include "fixture.h"
#include "io/proc.h"

static enum fw_verdict udp(const struct fw *f, uint16_t port)
{
    return fw_input(f, PORT_UDP, port, NULL);
}

#define DROP_BASE                                                                                  \
    "*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"                    \
    "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A INPUT -i lo -j ACCEPT\n"    \
    "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n"

static void what_saved_rules_do(void **state)
{
    static const struct {
        const char *rules;
        enum fw_verdict want; /* UDP 8001 */
    } rows[] = {
        {"", FW_PASSES},
        {"*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n", FW_PASSES},
        {DROP_BASE "COMMIT\n", FW_DROPPED},
        {DROP_BASE "-A INPUT -p udp -m udp --dport 8001 -j ACCEPT\n", FW_PASSES},
        {DROP_BASE "[1:2] -A INPUT -p udp -m udp --dport 8000:8040 -j ACCEPT\n", FW_PASSES},
        {DROP_BASE "-A INPUT -p udp -m multiport --dports 53,8000:8040 -j ACCEPT\n", FW_PASSES},
        {DROP_BASE "-A INPUT -p tcp -m tcp --dport 8001 -j ACCEPT\n", FW_DROPPED},
        {DROP_BASE "-A INPUT -p udp -m udp --dport 8002:8040 -j ACCEPT\n", FW_DROPPED},
        {DROP_BASE "-A INPUT -s 10.0.0.0/8 -p udp -m udp --dport 8001 -j ACCEPT\n", FW_UNKNOWN},
        {DROP_BASE "-A INPUT ! -i eth1 -p udp -j ACCEPT\n", FW_UNKNOWN},
        {DROP_BASE "-A INPUT -m comment --comment \"a -j DROP b\" -p udp -j ACCEPT\n", FW_PASSES},
        {DROP_BASE "-A INPUT -j mine\n:mine - [0:0]\n-A mine -p udp -j ACCEPT\n", FW_PASSES},
        {DROP_BASE "-A INPUT -j mine\n:mine - [0:0]\n-A mine -p udp -j RETURN\n-A mine -j ACCEPT\n",
         FW_DROPPED},
        {DROP_BASE "-A INPUT -j SYNPROXY\n", FW_UNKNOWN},
        {"*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p udp -j DROP\n", FW_DROPPED},
        {"*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -s 192.0.2.1/32 -j DROP\n", FW_PASSES},
        {"*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m conntrack --ctstate INVALID -j DROP\n",
         FW_PASSES},
        {"*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p udp -j REJECT --reject-with x\n", FW_DROPPED},
        {"*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p udp -m udp --dport 8001 -j DROP\n",
         FW_DROPPED},
        {"*nat\n:PREROUTING DROP [0:0]\n", FW_PASSES},
        {"*filter\n:INPUT DROP [0:0]\n-A INPUT -j a\n:a - [0:0]\n-A a -j a\n", FW_UNKNOWN},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(fw_clear) struct fw f = {0};

        fw_parse_save(rows[i].rules, &f);
        if (udp(&f, 8001) != rows[i].want)
            fail_msg("%s: %d", rows[i].rules, udp(&f, 8001));
    }
}

static void a_port_that_is_sent_elsewhere_is_found(void **state)
{
    AUTO(fw_clear) struct fw f = {0};

    fw_parse_save(
        "*nat\n:PREROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n-A PREROUTING -j DOCKER\n"
        "-A DOCKER -p udp -m udp --dport 20000 -j DNAT --to-destination 10.244.0.5:9000\n",
        &f);
    const struct fw_rule *r = fw_dnat(&f, PORT_UDP, 20000);
    assert_non_null(r);
    assert_string_equal(r->target, "10.244.0.5");
    assert_int_equal(r->to_port, 9000);
    assert_null(fw_dnat(&f, PORT_UDP, 20001));
    assert_null(fw_dnat(&f, PORT_TCP, 20000));
}

/* 8^12 ways through 12 chains, none of which decides anything. */
static void ways(struct strbuf *b, const char *head, const char *base)
{
    strbuf_printf(b, "%s-A %s -j c0\n", head, base);
    for (int i = 0; i < 12; i++) {
        strbuf_printf(b, ":c%d - [0:0]\n", i);
        for (int k = 0; k < 8; k++)
            strbuf_printf(b, "-A c%d -j c%d\n", i, i + 1);
    }
    strbuf_printf(b, ":c12 - [0:0]\n");
}

static void a_way_without_an_end_is_given_up(void **state)
{
    AUTO(strbuf_clear) struct strbuf b = {0};
    AUTO(fw_clear) struct fw f = {0};

    ways(&b, "*filter\n:INPUT ACCEPT [0:0]\n", "INPUT");
    ways(&b, "*nat\n:PREROUTING ACCEPT [0:0]\n", "PREROUTING");
    fw_parse_save(strbuf_text(&b), &f);
    assert_int_equal(udp(&f, 8001), FW_UNKNOWN);
    assert_null(fw_dnat(&f, PORT_UDP, 8001));
}

static void what_cannot_be_read_is_refused(void **state)
{
    AUTO(fw_clear) struct fw f = {0};

    assert_err(fw_parse_nft("{", 1, &f), ERR_REMOTE, NULL);
    assert_err(fw_parse_nft("{}", 2, &f), ERR_CORRUPT, "nftables");
}

/* ---- the real programs --------------------------------------------------------------------------
 */

static struct ctx real;

/* Its exit code, and what it said in *ret_why, to be freed. */
static int nft_takes(const char *rules, char **ret_why)
{
    struct proc_spec spec = {.path = "/usr/sbin/nft",
                             .argv = (const char *const[]){"nft", "-f", "-", NULL},
                             .in = rules,
                             .in_n = strlen(rules)};
    AUTO(proc_result_clear) struct proc_result r = {0};

    assert_ok(proc_system.run(&real, &spec, &r));
    *ret_why = xstrdup(r.err);
    return r.exit;
}

static void nft(const char *rules)
{
    AUTO(freep) char *why = NULL;

    if (nft_takes(rules, &why))
        fail_msg("nft: %s", why);
}

static void listed(struct fw *f)
{
    struct proc_spec spec = {.path = "/usr/sbin/nft",
                             .argv = (const char *const[]){"nft", "-j", "list", "ruleset", NULL}};
    AUTO(proc_result_clear) struct proc_result r = {0};

    assert_ok(proc_system.run(&real, &spec, &r));
    assert_ok(fw_parse_nft(r.out, r.out_n, f));
}

#define NFT_BASE                                                                                   \
    "flush ruleset\ntable inet filter {\n set good { type inet_service; flags interval; elements " \
    "= "                                                                                           \
    "{ 8001, 8002-8040 }; }\n chain open { udp dport @good accept; }\n chain input { type filter " \
    "hook input priority 0; policy drop; ct state established,related accept; iif lo accept; tcp " \
    "dport 22 accept; ip protocol 1 accept;\n"

/* Protocols as numbers: nft reads these everywhere, and lists them as names where it can. */
static void what_nfts_rules_do(void **state)
{
    static const struct {
        const char *rules;
        enum fw_verdict want;
    } rows[] = {
        {"flush ruleset\n", FW_PASSES},
        {NFT_BASE "}\n}\n", FW_DROPPED},
        {NFT_BASE "udp dport 8001 accept; }\n}\n", FW_PASSES},
        {NFT_BASE "udp dport { 53, 8000-8040 } counter accept; }\n}\n", FW_PASSES},
        {NFT_BASE "udp dport @good accept; }\n}\n", FW_PASSES},
        {NFT_BASE "jump open; }\n}\n", FW_PASSES},
        {NFT_BASE "meta l4proto { 6, 17 } th dport 8001 accept; }\n}\n", FW_PASSES},
        {NFT_BASE "ip protocol 17 accept; }\n}\n", FW_PASSES},
        {NFT_BASE "ip protocol { 6, 58 } accept; }\n}\n", FW_DROPPED},
        {NFT_BASE "udp dport 8002-8040 accept; }\n}\n", FW_DROPPED},
        {NFT_BASE "ip saddr 10.0.0.0/8 udp dport 8001 accept; }\n}\n", FW_UNKNOWN},
        {NFT_BASE "udp dport 8001 limit rate 10/second accept; }\n}\n", FW_UNKNOWN},
        {NFT_BASE "ct state vmap { established : accept, invalid : drop }; }\n}\n", FW_DROPPED},
        {NFT_BASE "udp dport vmap { 8001 : accept }; }\n}\n", FW_UNKNOWN},
        {NFT_BASE "udp dport != 53 accept; }\n}\n", FW_UNKNOWN},
        {"flush ruleset\ntable ip t { chain c { type filter hook input priority 0; policy accept; "
         "udp dport 8001 reject; }\n}\n",
         FW_DROPPED},
        {"flush ruleset\ntable ip6 t { chain c { type filter hook input priority 0; policy drop; "
         "}\n}\n",
         FW_PASSES},
        {"flush ruleset\ntable ip t { chain c { type filter hook forward priority 0; policy drop; "
         "}\n}\n",
         FW_PASSES},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(fw_clear) struct fw f = {0};

        nft(rows[i].rules);
        listed(&f);
        if (udp(&f, 8001) != rows[i].want)
            fail_msg("%s: %d", rows[i].rules, udp(&f, 8001));
    }
}

static void nfts_dnat_is_found(void **state)
{
    AUTO(fw_clear) struct fw f = {0};

    nft("flush ruleset\ntable ip nat { chain pre { type nat hook prerouting priority -100; udp "
        "dport "
        "20000 dnat to 10.244.0.5:9000; }\n}\n");
    listed(&f);
    const struct fw_rule *r = fw_dnat(&f, PORT_UDP, 20000);
    assert_non_null(r);
    assert_string_equal(r->target, "10.244.0.5");
    assert_int_equal(r->to_port, 9000);
    nft("flush ruleset\n");
}

/* As on a host without Debian's netbase: nft lists the numbers then. */
static void the_same_where_protocols_have_no_names(void **state)
{
    assert_int_equal(unshare(CLONE_NEWNS), 0);
    assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    if (access("/etc/protocols", F_OK) == 0)
        assert_int_equal(mount("/dev/null", "/etc/protocols", NULL, MS_BIND, NULL), 0);
    what_nfts_rules_do(state);
}

/* NULL: the real program can be used; else why not, to be freed. */
static char *not_here(void)
{
    AUTO(freep) char *why = NULL;

    if (access("/usr/sbin/nft", X_OK) < 0)
        return xstrdup("no nft");
    if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
        return xstrdup("no network namespace of our own");
    if (nft_takes("table inet t { chain c { type filter hook input priority 0\n}\n}\n", &why)) {
        why[strcspn(why, "\n")] = '\0';
        return xasprintf("this kernel takes no rules: %s", why);
    }
    return NULL;
}

int main(void)
{
    const struct CMUnitTest made_up[] = {
        cmocka_unit_test(what_saved_rules_do),
        cmocka_unit_test(a_port_that_is_sent_elsewhere_is_found),
        cmocka_unit_test(a_way_without_an_end_is_given_up),
        cmocka_unit_test(what_cannot_be_read_is_refused),
        cmocka_unit_test(what_nfts_rules_do), /* real from here on */
        cmocka_unit_test(nfts_dnat_is_found),
        cmocka_unit_test(the_same_where_protocols_have_no_names),
    };
    AUTO(freep) char *why = not_here();

    if (why)
        printf("# not real: nftables: %s\n", why);
    else
        puts("# real: nftables: rules made and listed in a network namespace of the test's own");
    fflush(stdout);
    return _cmocka_run_group_tests("fw", made_up, ARRAY_LEN(made_up) - (why ? 3 : 0), NULL, NULL);
}
