/* Layer 4: the validator's ports. Does it hold them, or can it have them, and does the packet
 * filter let packets through? Nothing is sent: whether the world outside reaches this host is
 * another question (routers, providers), so the finding says what this host does and no more. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/str.h"
#include "config/config.h"
#include "host/netstat.h"
#include "host/procfs.h"
#include "host/sockets.h"
#include "io/fsroot.h"
#include "look/scene_cluster.h"
#include "look/scene_firewall.h"
#include "stage/table.h"

#define PORTS_NEEDED      25 /* agave-validator 3.0.14, MINIMUM_VALIDATOR_PORT_RANGE_WIDTH */
#define FOREIGN_SHOWN     3
#define CONNTRACK_PERCENT 80

struct look {
    struct ctx *ctx;
    const struct config *cfg;
    const struct pids *pids;
    bool own_netns; /* the validator's network namespace is not ours */
    struct bound_sockets sockets;
    struct inodes ours;   /* the validator's sockets */
    uint16_t first, last; /* dynamic range */
    struct findings *ret;
};

static void look_clear(struct look *l)
{
    bound_sockets_clear(&l->sockets);
    inodes_clear(&l->ours);
}

static bool firewall_enabled(const struct ctx *ctx)
{
    return ctx->cfg && *ctx->cfg->validator.ledger;
}

/* ---- who holds the ports ------------------------------------------------------------------------
 */

/* The socket that has, or would stand in the way of, this port at this address; NULL: none. */
static const struct bound_socket *holder_of(const struct look *l, enum port_proto proto,
                                            uint16_t port, const char *address)
{
    struct in_addr a = {0};

    if (inet_pton(AF_INET, address, &a) != 1)
        a.s_addr = 0; /* the config's check refuses such an address */
    for (size_t i = 0; i < l->sockets.n; i++) {
        const struct bound_socket *s = &l->sockets.items[i];

        if (s->proto == proto && s->port == port && s->listens && s->v4_meets &&
            (!s->v4 || !a.s_addr || s->v4 == a.s_addr))
            return s;
    }
    return NULL;
}

/* "process 12 (nginx)"; to be freed. */
static struct err *name_of(const struct look *l, uint64_t inode, char **ret)
{
    AUTO(freep) char *comm = NULL;
    pid_t pid = 0;

    TRY(socket_owner(l->ctx, inode, &pid, &comm));
    AUTO(freep) char *shown = str_shown(comm ? comm : "", 32);
    *ret = comm ? xasprintf("process %d (%s)", (int)pid, shown)
                : xstrdup("somebody who cannot be seen from here");
    return NULL;
}

/* When a running validator has the port: from its start, when that is complete, or perhaps never.
 */
enum opens { OPENS_FIRST, OPENS_LATE, OPENS_MAYBE };

static void check_unheld(const struct look *l, const char *id, const char *name, uint64_t port,
                         enum opens when)
{
    if (!l->pids->n)
        findings_add(l->ret, id, 4, SEV_OK, "%s port %" PRIu64 " is free", name, port);
    else if (when != OPENS_MAYBE)
        findings_add(l->ret, id, 4, when == OPENS_LATE ? SEV_NOTE : SEV_WARN,
                     "the validator runs and does not hold %s port %" PRIu64 "%s", name, port,
                     when == OPENS_LATE ? " (yet)" : ": it may still start; else read its log");
}

static struct err *check_port(const struct look *l, const char *id, enum port_proto proto,
                              uint64_t port, const char *address, enum opens when)
{
    const struct bound_socket *s = holder_of(l, proto, (uint16_t)port, address);
    const char *name = port_proto_name(proto);
    AUTO(freep) char *who = NULL;

    if (!s) {
        check_unheld(l, id, name, port, when);
        return NULL;
    }
    if (inodes_has(&l->ours, s->inode)) {
        findings_add(l->ret, id, 4, SEV_OK, "%s port %" PRIu64 " is the validator's", name, port);
        return NULL;
    }
    TRY(name_of(l, s->inode, &who));
    finding_compare(findings_add(l->ret, id, 4, SEV_FAIL,
                                 "%s port %" PRIu64 " is held by %s: end it, or give one of them "
                                 "another port",
                                 name, port, who),
                    l->pids->n ? "the validator" : "free", who, "/proc/PID/net");
    return NULL;
}

static struct err *check_range(const struct look *l)
{
    size_t ours = 0, foreign = 0, free_ports = (size_t)(l->last - l->first) + 1;
    AUTO(strbuf_clear) struct strbuf names = {0};

    for (size_t i = 0; i < l->sockets.n; i++) {
        const struct bound_socket *s = &l->sockets.items[i];
        AUTO(freep) char *who = NULL;
        bool is = inodes_has(&l->ours, s->inode);

        if (s->proto != PORT_UDP || s->port < l->first || s->port > l->last)
            continue;
        ours += is;
        if (is || foreign++ >= FOREIGN_SHOWN)
            continue;
        TRY(name_of(l, s->inode, &who));
        strbuf_printf(&names, "%s%u: %s", names.len ? ", " : "", s->port, who);
    }
    free_ports -= foreign < free_ports ? foreign : free_ports;
    const char *range = l->cfg->validator.dynamic_port_range;
    if (foreign)
        finding_compare(findings_add(l->ret, "firewall.range", 4,
                                     free_ports < PORTS_NEEDED ? SEV_FAIL : SEV_WARN,
                                     "%zu UDP ports of %s are held by others (%s): the validator "
                                     "needs %d; end them or move the range",
                                     foreign, range, strbuf_text(&names), PORTS_NEEDED),
                        range, strbuf_text(&names), "/proc/PID/net");
    else if (l->pids->n && !ours)
        findings_add(l->ret, "firewall.range", 4, SEV_WARN,
                     "the validator runs and has no UDP socket in %s: it may still start; else "
                     "read its log",
                     range);
    else
        findings_add(l->ret, "firewall.range", 4, SEV_OK, "UDP ports %s are %s", range,
                     l->pids->n ? "the validator's" : "free");
    return NULL;
}

/* ---- the packet filter --------------------------------------------------------------------------
 */

struct ports_seen {
    size_t dropped, unknown;
    uint16_t first_dropped;
    char *where; /* of the first that does not pass */
};

static void ports_seen_clear(struct ports_seen *p)
{
    free(p->where);
}

static void ask(const struct fw *f, enum port_proto proto, uint16_t port, struct ports_seen *p)
{
    AUTO(freep) char *where = NULL;
    enum fw_verdict v = fw_input(f, proto, port, &where);

    if (v == FW_PASSES)
        return;
    if (v == FW_DROPPED && !p->dropped++)
        p->first_dropped = port;
    p->unknown += v == FW_UNKNOWN;
    if (!p->where)
        p->where = TAKE(where);
}

static void tell(const struct look *l, const struct firewall *f, const char *what,
                 const struct ports_seen *p)
{
    struct finding *x;

    if (p->dropped)
        x = findings_add(l->ret, "firewall.rules", 4, f->live ? SEV_FAIL : SEV_WARN,
                         "%s packets are dropped by '%s' (%zu ports, %u first): let them in", what,
                         p->where, p->dropped, p->first_dropped);
    else if (p->unknown)
        x = findings_add(l->ret, "firewall.rules", 4, SEV_UNKNOWN,
                         "whether %s packets pass '%s' depends on where they come from or on rules "
                         "that are not understood: look at them",
                         what, p->where);
    else
        x = findings_add(l->ret, "firewall.rules", 4, SEV_OK, "%s packets pass the packet filter",
                         what);
    finding_compare(x, "accept",
                    p->dropped   ? "drop"
                    : p->unknown ? "unknown"
                                 : "accept",
                    f->source);
}

static struct err *check_rules(const struct look *l, struct scene *scene)
{
    AUTO(ports_seen_clear) struct ports_seen gossip = {0}, echo = {0}, range = {0};
    const struct firewall *f = NULL;
    uint16_t port = (uint16_t)l->cfg->validator.gossip_port;

    if (l->own_netns) {
        findings_add(l->ret, "firewall.rules", 4, SEV_NOTE,
                     "the validator has a network namespace of its own: what reaches it is decided "
                     "by the rules of its node, which are not looked at");
        return NULL;
    }
    TRY(scene_firewall(l->ctx, scene, &f));
    if (f->unknown) {
        findings_add(l->ret, "firewall.rules", 4, SEV_UNKNOWN,
                     "the packet filter cannot be read: %s", f->unknown);
        return NULL;
    }
    ask(&f->fw, PORT_UDP, port, &gossip);
    ask(&f->fw, PORT_TCP, port, &echo);
    for (uint32_t p = l->first; p <= l->last; p++)
        ask(&f->fw, PORT_UDP, (uint16_t)p, &range);
    AUTO(freep) char *a = xasprintf("gossip's UDP %u", port);
    AUTO(freep) char *b = xasprintf("gossip's TCP %u", port);
    AUTO(freep) char *c = xasprintf("TVU's, repair's and TPU's UDP %u-%u", l->first, l->last);
    tell(l, f, a, &gossip);
    tell(l, f, b, &echo);
    tell(l, f, c, &range);
    return NULL;
}

/* A full table drops new flows without a word to the sender. Absent: flows are not tracked. */
static struct err *check_conntrack(const struct look *l)
{
    uint64_t count = 0, max = 0;
    struct err *e =
        fsroot_read_u64(l->ctx->root, "/proc/sys/net/netfilter/nf_conntrack_count", &count);

    e = e ? e : fsroot_read_u64(l->ctx->root, "/proc/sys/net/netfilter/nf_conntrack_max", &max);
    if (procfs_gone(&e))
        return NULL;
    TRY(e);
    bool near = max && count >= max / 100 * CONNTRACK_PERCENT;
    AUTO(freep) char *got = xasprintf("%" PRIu64 " of %" PRIu64, count, max);
    finding_compare(findings_add(l->ret, "firewall.conntrack", 4, near ? SEV_WARN : SEV_OK,
                                 "%s flows are tracked%s", got,
                                 near ? ": when the table is full packets are dropped; raise "
                                        "net.netfilter.nf_conntrack_max, or do not track UDP of "
                                        "the validator's ports"
                                      : ""),
                    "below 80 %", got, "/proc/sys/net/netfilter");
    return NULL;
}

/* ---- the stage ----------------------------------------------------------------------------------
 */

/* Whose network it is about: the validator's; of one that does not run, that of the kind node in
 * which it would, since the host's own ports are then Docker's to pass on. 0: this host's. */
static struct err *whose_network(const struct look *l, struct scene *scene, pid_t *ret)
{
    const struct docker_inspect *node = NULL;
    AUTO(freep) char *name = scene_node_name(l->ctx);

    *ret = 0;
    if (l->pids->n) {
        *ret = l->pids->items[0].id.pid;
        return NULL;
    }
    if (!name || !str_eq(l->cfg->validator.runtime, "kubernetes"))
        return NULL;
    TRY(scene_node(l->ctx, scene, &node));
    if (!node->running || node->pid <= 0)
        return err_new(ERR_NOTFOUND, "the kind node '%s' does not run", name);
    *ret = (pid_t)node->pid;
    return NULL;
}

static struct err *look_new(struct ctx *ctx, struct scene *scene, struct look *l)
{
    unsigned first = 0, last = 0;
    uint64_t theirs = 0, ours = 0;
    pid_t pid = 0;

    TRY(scene_validator(ctx, scene, &l->pids));
    if (sscanf(ctx->cfg->validator.dynamic_port_range, "%5u-%5u", &first, &last) != 2 ||
        first >= last || last > UINT16_MAX)
        return err_new(ERR_BUG, "validator.dynamic_port_range was not checked");
    l->first = (uint16_t)first;
    l->last = (uint16_t)(last - 1); /* Agave's range ends before its second number */
    for (size_t i = 0; i < l->pids->n; i++) {
        struct err *e = sockets_of(ctx, l->pids->items[i].id.pid, &l->ours);

        if (!procfs_gone(&e))
            TRY(e);
    }
    TRY(whose_network(l, scene, &pid));
    if (pid) {
        struct err *e = netns_of(ctx, pid, &theirs);

        e = e ? e : netns_of(ctx, 0, &ours);
        l->own_netns = !e && theirs != ours;
        if (!procfs_gone(&e))
            TRY(e);
    }
    TRY(sockets_read(ctx, pid, PORT_UDP, &l->sockets));
    return sockets_read(ctx, pid, PORT_TCP, &l->sockets);
}

static struct err *firewall_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    AUTO(look_clear) struct look l = {.ctx = ctx, .cfg = ctx->cfg, .ret = ret};
    const struct config *c = ctx->cfg;
    const char *bind = c->validator.bind_address, *rpc = c->validator.rpc_bind_address;

    TRY(look_new(ctx, scene, &l));
    TRY(check_port(&l, "firewall.gossip", PORT_UDP, c->validator.gossip_port, bind, OPENS_FIRST));
    TRY(check_port(&l, "firewall.gossip", PORT_TCP, c->validator.gossip_port, bind, OPENS_LATE));
    TRY(check_port(&l, "firewall.rpc", PORT_TCP, c->validator.rpc_port, rpc, OPENS_LATE));
    /* Subscriptions: the port above. */
    TRY(check_port(&l, "firewall.rpc", PORT_TCP, c->validator.rpc_port + 1, rpc, OPENS_MAYBE));
    TRY(check_range(&l));
    TRY(check_rules(&l, scene));
    return check_conntrack(&l);
}

const struct stage stage_firewall = {
    .name = "firewall",
    .summary = "the validator's ports, and who drops packets to them",
    .layer = 4,
    .order_reason = "ports depend on nothing else",
    .enabled = firewall_enabled,
    .asks = PARTY_DOCKER,
    .check = firewall_check,
};
