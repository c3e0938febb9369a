/* Stages "firewall" and "relay": who holds the ports, who drops packets to them, who takes relayed
 * shreds, and whether that survives a reboot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"
#include "checked.h"
#include "io/fsroot.h"
#include "io/proc.h"
#include "stage/table.h"

/* ---- made-up programs: the text that each prints; NULL: it is not there -------------------------
 */

static const char *nft_out, *iptables_out;
static int nft_exit;

static struct err *fake_run(struct ctx *ctx, const struct proc_spec *spec, struct proc_result *ret)
{
    bool nft = str_eq(spec->argv[0], "nft");
    const char *out = nft ? nft_out : iptables_out;

    if (!out)
        return err_new(ERR_ABSENT, "no %s", spec->argv[0]);
    *ret = (struct proc_result){
        .exit = nft ? nft_exit : 0,
        .out = xstrdup(out),
        .err = xstrdup("Operation not permitted\n"),
        .out_n = strlen(out),
    };
    return NULL;
}

static const struct proc_ops fake_proc = {fake_run};

#define ROW(hex, inode) " 1: 00000000:" hex " 00000000:0000 07 0:0 0:0 0 1000 0 " inode " 2 0 0\n"
#define LISTEN(hex, inode)                                                                         \
    " 1: 0100007F:" hex " 00000000:0000 0A 0:0 0:0 0 1000 0 " inode " 2 0 0\n"

#define ELSEWHERE(hex, inode)                                                                      \
    " 1: 0200007F:" hex " 00000000:0000 0A 0:0 0:0 0 1000 0 " inode " 2 0 0\n"

static void tables(struct checked *c, const char *pid, const char *udp, const char *tcp)
{
    AUTO(freep) char *u = xasprintf("/proc/%s/net/udp", pid);
    AUTO(freep) char *t = xasprintf("/proc/%s/net/tcp", pid);

    fixture_put(&c->f, u, "head\n%s", udp);
    fixture_put(&c->f, t, "head\n%s", tcp);
}

/* A captured host, so that programs are looked for nowhere else. */
static void host_new(struct checked *c, const char *yaml)
{
    checked_new(c, yaml);
    c->f.ctx.proc = &fake_proc;
    nft_out = iptables_out = "";
    nft_exit = 0;
    fixture_link(&c->f, "/proc/self/ns/net", "net:[4026531900]");
    tables(c, "self", "", "");
}

static void look(struct checked *c, const struct stage *s)
{
    struct fsroot *plain = c->f.ctx.root;

    fixture_put(&c->f, "/host.json", "{}");
    assert_ok(fsroot_open_captured(c->f.dir, &c->f.ctx.root));
    checked_look(c, s);
    fsroot_close(c->f.ctx.root);
    c->f.ctx.root = plain;
}

/* 8001 is 1F41, 8002 1F42, 8899 22C3, 8900 22C4; socket 700 is process 60's. */
static void other(struct checked *c)
{
    fixture_process(&c->f, 60, "nginx", "/usr/sbin/nginx", "nginx", 1);
    fixture_link(&c->f, "/proc/60/fd/3", "socket:[700]");
}

/* ---- ports --------------------------------------------------------------------------------------
 */

static void ports_are_free_or_the_validators(void **state)
{
    AUTO(checked_clear) struct checked c;

    host_new(&c, NULL);
    look(&c, &stage_firewall);
    checked_has(&c, "firewall.gossip", SEV_OK, "UDP port 8001 is free");
    checked_has(&c, "firewall.gossip", SEV_OK, "TCP port 8001 is free");
    checked_has(&c, "firewall.rpc", SEV_OK, "TCP port 8899 is free");
    checked_has(&c, "firewall.range", SEV_OK, "8002-8040 are free");
    checked_clean(&c);
    checked_validator(&c, "");
    fixture_link(&c.f, "/proc/100/fd/5", "socket:[500]");
    tables(&c, "100", ROW("1F41", "500") ROW("1F42", "500"),
           LISTEN("1F41", "500") LISTEN("22C3", "500") LISTEN("22C4", "500"));
    look(&c, &stage_firewall);
    checked_has(&c, "firewall.gossip", SEV_OK, "UDP port 8001 is the validator's");
    checked_has(&c, "firewall.rpc", SEV_OK, "TCP port 8900 is the validator's");
    checked_has(&c, "firewall.range", SEV_OK, "are the validator's");
    checked_clean(&c);
}

static void ports_of_others_are_named(void **state)
{
    AUTO(checked_clear) struct checked c;

    host_new(&c, NULL);
    other(&c);
    tables(&c, "self", ROW("1F41", "700") ROW("1F43", "700"), LISTEN("22C4", "700"));
    look(&c, &stage_firewall);
    checked_has(&c, "firewall.gossip", SEV_FAIL, "UDP port 8001 is held by process 60 (nginx)");
    checked_has(&c, "firewall.rpc", SEV_FAIL, "TCP port 8900 is held by process 60 (nginx)");
    checked_has(&c, "firewall.range", SEV_WARN, "8003: process 60 (nginx)");
    tables(&c, "self", "", LISTEN("1F41", "700") ELSEWHERE("22C3", "700"));
    look(&c, &stage_firewall);
    checked_has(&c, "firewall.gossip", SEV_OK, "UDP port 8001 is free"); /* TCP is another port */
    checked_has(&c, "firewall.gossip", SEV_FAIL, "TCP port 8001");
    checked_has(&c, "firewall.rpc", SEV_OK, "TCP port 8899 is free"); /* another address */
    checked_validator(&c, ""); /* it runs, and the others have its ports */
    tables(&c, "100", ROW("1F41", "700"), LISTEN("22C3", "701"));
    look(&c, &stage_firewall);
    checked_has(&c, "firewall.gossip", SEV_FAIL, "process 60 (nginx)");
    checked_has(&c, "firewall.rpc", SEV_FAIL, "cannot be seen from here");
    checked_has(&c, "firewall.range", SEV_WARN, "has no UDP socket in 8002-8040");
    tables(&c, "100", "", "");
    look(&c, &stage_firewall);
    checked_has(&c, "firewall.gossip", SEV_WARN, "does not hold UDP port 8001");
    checked_has(&c, "firewall.rpc", SEV_NOTE, "does not hold TCP port 8899 (yet)");
}

static void too_few_ports_that_are_left_fail(void **state)
{
    AUTO(checked_clear) struct checked c;

    host_new(&c, "validator:\n  dynamic_port_range: 8002-8027\n");
    other(&c);
    tables(&c, "self", ROW("1F43", "700"), "");
    look(&c, &stage_firewall);
    checked_has(&c, "firewall.range", SEV_FAIL, "needs 25");
}

static void sockets_that_cannot_be_read_are_not_free_ports(void **state)
{
    AUTO(checked_clear) struct checked c;

    host_new(&c, NULL);
    assert_ok(fsroot_unlink(c.f.ctx.root, "/proc/self/net/udp"));
    look(&c, &stage_firewall);
    checked_has(&c, "firewall", SEV_UNKNOWN, "net/udp");
}

/* ---- rules --------------------------------------------------------------------------------------
 */

#define SAVED_DROP                                                                                 \
    "*filter\n:INPUT DROP [0:0]\n-A INPUT -p udp -m udp --dport 8001 -j ACCEPT\n"                  \
    "-A INPUT -s 10.0.0.0/8 -p tcp -j ACCEPT\n-A INPUT -p udp -m udp --dport 8002:8010 -j "        \
    "ACCEPT\n"

static void dropped_ports_are_found(void **state)
{
    AUTO(checked_clear) struct checked c;

    host_new(&c, NULL);
    iptables_out = SAVED_DROP;
    look(&c, &stage_firewall);
    checked_has(&c, "firewall.rules", SEV_OK, "gossip's UDP 8001 packets pass");
    checked_has(&c, "firewall.rules", SEV_UNKNOWN, "gossip's TCP 8001");
    checked_has(&c, "firewall.rules", SEV_FAIL,
                "dropped by 'iptables filter INPUT' (29 ports, 8011 first)");
}

static void without_programs_the_files_are_read(void **state)
{
    AUTO(checked_clear) struct checked c;

    host_new(&c, NULL);
    nft_out = iptables_out = NULL;
    look(&c, &stage_firewall);
    checked_clean(&c);
    fixture_put(&c.f, "/etc/iptables/rules.v4", SAVED_DROP);
    look(&c, &stage_firewall);
    checked_has(&c, "firewall.rules", SEV_WARN, "/etc/iptables/rules.v4");
    fixture_put(&c.f, "/etc/ufw/ufw.conf", "# x\nENABLED=yes\n");
    fixture_put(&c.f, "/etc/default/ufw", "DEFAULT_INPUT_POLICY=\"DROP\"\n");
    fixture_put(&c.f, "/etc/ufw/user.rules",
                "*filter\n:ufw-user-input - [0:0]\n-A ufw-user-input -p udp --dport 8001:8040 -j "
                "ACCEPT\n");
    look(&c, &stage_firewall);
    checked_has(&c, "firewall.rules", SEV_OK, "UDP 8002-8039");
    checked_has(&c, "firewall.rules", SEV_WARN, "gossip's TCP 8001 packets are dropped");
    assert_ok(fsroot_unlink(c.f.ctx.root, "/etc/ufw/ufw.conf"));
    assert_ok(fsroot_unlink(c.f.ctx.root, "/etc/iptables/rules.v4"));
    fixture_put(&c.f, "/etc/nftables.conf",
                "table inet f { chain i { type filter hook input priority 0; policy drop; } }\n");
    look(&c, &stage_firewall);
    checked_has(&c, "firewall.rules", SEV_UNKNOWN, "nftables.conf");
}

static void rules_that_cannot_be_read_are_unknown(void **state)
{
    AUTO(checked_clear) struct checked c;

    host_new(&c, NULL);
    nft_exit = 1;
    look(&c, &stage_firewall);
    checked_has(&c, "firewall.rules", SEV_UNKNOWN, "nft: exit 1: Operation not permitted");
    nft_exit = 0;
    nft_out = "nonsense";
    look(&c, &stage_firewall);
    checked_has(&c, "firewall", SEV_UNKNOWN, "nft list ruleset");
}

static void a_pods_rules_are_not_ours_to_judge(void **state)
{
    AUTO(checked_clear) struct checked c;

    host_new(&c, NULL);
    iptables_out = SAVED_DROP;
    checked_validator(&c, "");
    fixture_link(&c.f, "/proc/100/ns/net", "net:[5]");
    tables(&c, "100", "", "");
    look(&c, &stage_firewall);
    checked_has(&c, "firewall.rules", SEV_NOTE, "network namespace of its own");
}

static void a_full_conntrack_table_is_told(void **state)
{
    AUTO(checked_clear) struct checked c;

    host_new(&c, NULL);
    fixture_put(&c.f, "/proc/sys/net/netfilter/nf_conntrack_count", "70000\n");
    fixture_put(&c.f, "/proc/sys/net/netfilter/nf_conntrack_max", "100000\n");
    look(&c, &stage_firewall);
    checked_has(&c, "firewall.conntrack", SEV_OK, NULL);
    fixture_put(&c.f, "/proc/sys/net/netfilter/nf_conntrack_count", "90000\n");
    look(&c, &stage_firewall);
    checked_has(&c, "firewall.conntrack", SEV_WARN, "90000 of 100000");
}

/* ---- relay --------------------------------------------------------------------------------------
 */

#define RELAY "relay:\n  listen: 0.0.0.0:9100\n" /* 238C */
#define DNAT(to)                                                                                   \
    "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p udp -m udp --dport 9100 -j DNAT "            \
    "--to-destination " to "\n"

static void without_a_relay_the_stage_is_absent(void **state)
{
    AUTO(checked_clear) struct checked c;

    host_new(&c, NULL);
    look(&c, &stage_relay);
    assert_true(c.r.stages[0].absent);
}

static void nobody_at_the_relays_port_fails(void **state)
{
    AUTO(checked_clear) struct checked c;

    host_new(&c, RELAY);
    look(&c, &stage_relay);
    checked_has(&c, "relay.listener", SEV_FAIL, "nobody listens at UDP port 9100");
    nft_exit = 1;
    look(&c, &stage_relay);
    checked_has(&c, "relay.listener", SEV_UNKNOWN, "rules cannot be read");
}

static void the_old_pipeline_is_found_and_does_not_last(void **state)
{
    AUTO(checked_clear) struct checked c;

    host_new(&c, RELAY);
    fixture_process(&c.f, 70, "python3", "/usr/bin/python3",
                    "python3 /tmp/shred-unwrap.py 9100 127.0.0.1 9000", 1);
    fixture_put(&c.f, "/proc/70/cgroup", "0::/user.slice/user-1000.slice/session-4.scope\n");
    fixture_link(&c.f, "/proc/70/fd/3", "socket:[900]");
    fixture_process(&c.f, 71, "socat", "/usr/bin/socat",
                    "socat -u UDP-RECV:9100 UDP-SENDTO:127.0.0.1:9000", 1);
    fixture_process(&c.f, 72, "socat", "/usr/bin/socat", "socat TCP-LISTEN:80 TCP:x:80", 1);
    tables(&c, "self", ROW("238C", "900"), "");
    look(&c, &stage_relay);
    checked_has(&c, "relay.listener", SEV_WARN, "process 70 (python3) takes");
    checked_has(&c, "relay.old", SEV_WARN, "process 70 (shred-unwrap.py)");
    checked_has(&c, "relay.old", SEV_NOTE, "process 71 (socat)"); /* a service, by its cgroup */
    for (size_t i = 0; i < c.r.findings.n; i++)
        assert_null(strstr(c.r.findings.items[i].what, "process 72"));
    fixture_put(&c.f, "/proc/70/cgroup", "0::/system.slice/unwrap.service\n");
    look(&c, &stage_relay);
    checked_has(&c, "relay.listener", SEV_OK, "process 70");
    checked_clean(&c);
}

static void a_rule_must_lead_somewhere_and_last(void **state)
{
    AUTO(checked_clear) struct checked c;

    host_new(&c, RELAY);
    iptables_out = DNAT("10.244.0.5:8002");
    look(&c, &stage_relay);
    checked_has(&c, "relay.dnat", SEV_OK, NULL);
    checked_has(&c, "relay.persistent", SEV_WARN, "gone after a reboot");
    checked_fine(&c, "relay.listener");
    fixture_put(&c.f, "/etc/iptables/rules.v4", DNAT("10.244.0.5:8002"));
    look(&c, &stage_relay);
    checked_has(&c, "relay.persistent", SEV_OK, "/etc/iptables/rules.v4");
    checked_clean(&c);
    iptables_out = DNAT("10.244.0.5:7000");
    look(&c, &stage_relay);
    checked_has(&c, "relay.destination", SEV_WARN, "none of the validator's ports");
    iptables_out = "";
    look(&c, &stage_relay);
    checked_has(&c, "relay.dnat", SEV_FAIL, "that the kernel does not have");
}

static void a_rule_to_a_pod_that_is_gone_fails(void **state)
{
    AUTO(checked_clear) struct checked c;

    host_new(&c, RELAY "kubernetes:\n  namespace: x\n  deployment: y\n");
    iptables_out = DNAT("10.244.0.5:8002");
    look(&c, &stage_relay); /* no API server: the pod's address is not known, and not made up */
    checked_fine(&c, "relay.destination");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ports_are_free_or_the_validators),
        cmocka_unit_test(ports_of_others_are_named),
        cmocka_unit_test(too_few_ports_that_are_left_fail),
        cmocka_unit_test(sockets_that_cannot_be_read_are_not_free_ports),
        cmocka_unit_test(dropped_ports_are_found),
        cmocka_unit_test(without_programs_the_files_are_read),
        cmocka_unit_test(rules_that_cannot_be_read_are_unknown),
        cmocka_unit_test(a_pods_rules_are_not_ours_to_judge),
        cmocka_unit_test(a_full_conntrack_table_is_told),
        cmocka_unit_test(without_a_relay_the_stage_is_absent),
        cmocka_unit_test(nobody_at_the_relays_port_fails),
        cmocka_unit_test(the_old_pipeline_is_found_and_does_not_last),
        cmocka_unit_test(a_rule_must_lead_somewhere_and_last),
        cmocka_unit_test(a_rule_to_a_pod_that_is_gone_fails),
    };

    return cmocka_run_group_tests_name("network", tests, NULL, NULL);
}
