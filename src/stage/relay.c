/* Layer 5: shreds that others relay to this host. They arrive at a UDP port, where either a program
 * takes them or a rule of the packet filter sends them on to the validator. Programs that were once
 * started by hand do their work until the next reboot; a rule, until somebody flushes it: so both
 * are asked whether they come back. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "config/config.h"
#include "host/pids.h"
#include "host/procfs.h"
#include "host/sockets.h"
#include "look/scene_cluster.h"
#include "look/scene_firewall.h"
#include "stage/service.h"
#include "stage/table.h"
#include "stage/unit_parts.h"

struct look {
    struct ctx *ctx;
    struct scene *scene;
    uint16_t port;
    const struct firewall *now; /* NULL: not known */
    struct firewall boot;
    const struct fw_rule *rule, *boot_rule; /* that send the port on; NULL: none */
    struct findings *ret;
};

static void look_clear(struct look *l)
{
    firewall_clear(&l->boot);
}

static bool relay_enabled(const struct ctx *ctx)
{
    return ctx->cfg && *ctx->cfg->relay.listen;
}

/* "host:port", ":port" or "port" */
static struct err *port_of(const char *listen, uint16_t *ret)
{
    const char *colon = strrchr(listen, ':');
    uint64_t port = 0;

    TRY_CTX(parse_u64(colon ? colon + 1 : listen, 1, UINT16_MAX, &port),
            "the config's relay.listen");
    *ret = (uint16_t)port;
    return NULL;
}

/* A service of systemd comes back after a reboot, a session's program does not. Only when the unit
 * is one of the machine: a user's manager ends with the session. */
static bool is_service(const struct pid_info *p)
{
    AUTO(freep) char *unit = unit_of_cgroup(p->cgroup);

    return unit && str_ends(unit, ".service") && !str_starts(unit, "user@") &&
           !(p->cgroup && strstr(p->cgroup, "/user.slice/"));
}

/* ---- who takes the packets ----------------------------------------------------------------------
 */

static struct err *check_holder(const struct look *l, uint64_t inode)
{
    AUTO(pids_clear) struct pids p = {0};
    AUTO(freep) char *comm = NULL;
    pid_t pid = 0;

    TRY(socket_owner(l->ctx, inode, &pid, &comm));
    if (!pid) {
        findings_add(l->ret, "relay.listener", 5, SEV_UNKNOWN,
                     "somebody who cannot be seen from here takes the relay's packets at UDP port "
                     "%u: run this as root",
                     l->port);
        return NULL;
    }
    struct err *e = pids_get(l->ctx, pid, &p);
    if (procfs_gone(&e))
        return NULL;
    TRY(e);
    bool stays = is_service(&p.items[0]);
    AUTO(freep) char *shown = str_shown(comm, 32);
    finding_compare(findings_add(l->ret, "relay.listener", 5, stays ? SEV_OK : SEV_WARN,
                                 "process %d (%s) takes the relay's packets at UDP port %u%s", pid,
                                 shown, l->port,
                                 stays ? ""
                                       : ", and no service starts it again: it ends with its "
                                         "session or the next reboot; make it a systemd service"),
                    "a service", shown, p.items[0].cgroup);
    return NULL;
}

static struct err *check_listener(const struct look *l)
{
    AUTO(bound_sockets_clear) struct bound_sockets all = {0};

    TRY(sockets_read(l->ctx, 0, PORT_UDP, &all));
    for (size_t i = 0; i < all.n; i++)
        if (all.items[i].port == l->port && all.items[i].inode)
            return check_holder(l, all.items[i].inode);
    if (l->rule)
        return NULL; /* the packets never get that far */
    findings_add(l->ret, "relay.listener", 5, l->now ? SEV_FAIL : SEV_UNKNOWN,
                 "nobody listens at UDP port %u%s: relayed shreds are lost; start the relay's "
                 "receiver or make the DNAT rule",
                 l->port, l->now ? " and no rule sends it on" : ", and the rules cannot be read");
    return NULL;
}

/* ---- the rule -----------------------------------------------------------------------------------
 */

static bool is_pods(const struct look *l, const char *address, bool *ret_known)
{
    const struct kube_pods *pods = NULL;
    struct err *e = NULL;
    bool found = false;

    *ret_known = false;
    if (!*l->ctx->cfg->kubernetes.deployment || !address)
        return false;
    e = scene_pods(l->ctx, l->scene, &pods);
    for (size_t i = 0; !e && i < pods->n; i++) {
        *ret_known |= pods->items[i].pod_ip != NULL;
        found |= str_eq(pods->items[i].pod_ip, address) || str_eq(pods->items[i].host_ip, address);
    }
    err_free(e); /* the cluster's own stage tells it */
    return found;
}

static void check_target(const struct look *l)
{
    unsigned first = 0, last = 0;
    uint32_t port = l->rule->to_port ? l->rule->to_port : l->port;
    bool known = false;
    bool pods = is_pods(l, l->rule->target, &known);
    AUTO(freep) char *to = str_shown(l->rule->target ? l->rule->target : "this host", 64);
    AUTO(freep) char *got = xasprintf("%s:%u", to, port);

    if (sscanf(l->ctx->cfg->validator.dynamic_port_range, "%5u-%5u", &first, &last) != 2)
        last = 0; /* the config's check refuses that */
    if (port < first || port > last)
        finding_compare(findings_add(l->ret, "relay.destination", 5, SEV_WARN,
                                     "the rule sends relayed shreds to %s, which is none of the "
                                     "validator's ports: send them to its TVU port",
                                     got),
                        l->ctx->cfg->validator.dynamic_port_range, got, l->now->source);
    if (known && !pods)
        finding_compare(findings_add(l->ret, "relay.destination", 5, SEV_FAIL,
                                     "the rule sends relayed shreds to %s, and no pod of the "
                                     "deployment has that address (a new pod has a new one): "
                                     "change the rule",
                                     got),
                        "the pod's address", got, l->now->source);
}

static void check_dnat(const struct look *l)
{
    if (l->rule) {
        findings_add(l->ret, "relay.dnat", 5, SEV_OK,
                     "a rule sends UDP port %u on before it is delivered", l->port);
        check_target(l);
        if (!l->boot_rule)
            findings_add(l->ret, "relay.persistent", 5, l->boot.unknown ? SEV_UNKNOWN : SEV_WARN,
                         "the rule is in the kernel%s: save it (netfilter-persistent save)",
                         l->boot.unknown
                             ? ", and whether it comes back after a reboot cannot be read"
                             : " and in no file, so it is gone after a reboot");
        else
            findings_add(l->ret, "relay.persistent", 5, SEV_OK, "and it comes back from '%s'",
                         l->boot.source);
        return;
    }
    if (l->boot_rule)
        findings_add(l->ret, "relay.dnat", 5, l->now ? SEV_FAIL : SEV_UNKNOWN,
                     "'%s' has a rule for UDP port %u that the kernel %s: load it "
                     "(netfilter-persistent reload)",
                     l->boot.source, l->port, l->now ? "does not have" : "may not have");
}

/* ---- the old pipeline ---------------------------------------------------------------------------
 */

/* "python3 /tmp/shred-unwrap.py 9100 127.0.0.1 9000", "socat -u UDP-RECV:… UDP-SENDTO:…" */
static const char *old_part(const struct pid_info *p)
{
    bool udp = false;

    if (!p->argv[0])
        return NULL;
    for (char **a = p->argv; *a; a++) {
        if (str_eq(unit_base_name(*a), "shred-unwrap.py"))
            return "shred-unwrap.py";
        udp |= strncasecmp(*a, "udp", 3) == 0 || strncasecmp(*a, "interface:", 10) == 0;
    }
    return udp && str_eq(unit_base_name(p->argv[0]), "socat") ? "socat" : NULL;
}

static struct err *check_old(const struct look *l)
{
    static const struct pids_match any = {0};
    AUTO(pids_clear) struct pids all = {0};

    TRY(pids_find(l->ctx, &any, &all));
    for (size_t i = 0; i < all.n; i++) {
        const char *part = old_part(&all.items[i]);

        if (!part)
            continue;
        bool stays = is_service(&all.items[i]);
        finding_compare(findings_add(l->ret, "relay.old", 5, stays ? SEV_NOTE : SEV_WARN,
                                     "process %d (%s) is part of the old pipeline%s",
                                     all.items[i].id.pid, part,
                                     stays ? ""
                                           : " and was started by hand: it is gone after a reboot, "
                                             "as is the switch's monitor session behind it if that "
                                             "was not saved"),
                        "a DNAT rule that is saved", part, all.items[i].cgroup);
    }
    return NULL;
}

static struct err *relay_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    AUTO(look_clear) struct look l = {.ctx = ctx, .scene = scene, .ret = ret};

    TRY(port_of(ctx->cfg->relay.listen, &l.port));
    TRY(scene_firewall(ctx, scene, &l.now));
    TRY(firewall_persistent(ctx, &l.boot));
    l.rule = l.now->live ? fw_dnat(&l.now->fw, PORT_UDP, l.port) : NULL;
    l.boot_rule = fw_dnat(&l.boot.fw, PORT_UDP, l.port);
    if (!l.now->live || l.now->unknown)
        l.now = l.rule ? l.now : NULL;
    TRY(check_listener(&l));
    check_dnat(&l);
    return check_old(&l);
}

static const char *const relay_after[] = {"firewall", NULL};

const struct stage stage_relay = {
    .name = "relay",
    .summary = "relayed shreds arrive, also after a reboot",
    .layer = 5,
    .after = relay_after,
    .order_reason = "packets that are dropped are not relayed",
    .enabled = relay_enabled,
    .asks = PARTY_KUBE,
    .check = relay_check,
};
