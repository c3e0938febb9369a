/* What a set of rules does with a packet. Not a simulator of netfilter: it answers only where every
 * rule on the way can be understood, and says unknown else. */
#include "host/fw.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define DEPTH_MAX 16
/* Of one look: chains that jump to the next one more than once double the way with each of them. */
#define WALKS_MAX 100000

static void rule_clear(struct fw_rule *r)
{
    free(r->ports);
    free(r->target);
}

static void chain_clear(struct fw_chain *c)
{
    for (size_t i = 0; i < c->n; i++)
        rule_clear(&c->rules[i]);
    free(c->rules);
    free(c->table);
    free(c->name);
    free(c->hook);
}

void fw_clear(struct fw *f)
{
    for (size_t i = 0; i < f->n; i++)
        chain_clear(&f->chains[i]);
    free(f->chains);
    *f = (struct fw){0};
}

static const struct fw_chain *find(const struct fw *f, const char *table, const char *name)
{
    for (size_t i = 0; i < f->n; i++)
        if (str_eq(f->chains[i].table, table) && str_eq(f->chains[i].name, name))
            return &f->chains[i];
    return NULL;
}

struct fw_chain *fw_chain_get(struct fw *f, const char *table, const char *name)
{
    for (size_t i = 0; i < f->n; i++)
        if (str_eq(f->chains[i].table, table) && str_eq(f->chains[i].name, name))
            return &f->chains[i];
    f->chains = xgrow(f->chains, &f->cap, f->n + 1, sizeof(*f->chains));
    f->chains[f->n] = (struct fw_chain){.table = xstrdup(table), .name = xstrdup(name)};
    return &f->chains[f->n++];
}

bool fw_has_table(const struct fw *f, const char *table)
{
    for (size_t i = 0; i < f->n; i++)
        if (str_eq(f->chains[i].table, table))
            return true;
    return false;
}

void fw_forget(struct fw *f, const char *table)
{
    size_t kept = 0;

    for (size_t i = 0; i < f->n; i++) {
        if (str_eq(f->chains[i].table, table))
            chain_clear(&f->chains[i]);
        else
            f->chains[kept++] = f->chains[i];
    }
    f->n = kept;
}

struct fw_rule *fw_rule_add(struct fw_chain *c)
{
    c->rules = xgrow(c->rules, &c->cap, c->n + 1, sizeof(*c->rules));
    c->rules[c->n] = (struct fw_rule){.tcp = true, .udp = true};
    return &c->rules[c->n++];
}

void fw_rule_port(struct fw_rule *r, uint32_t first, uint32_t last)
{
    r->ports = xgrow(r->ports, &r->cap_ports, r->n_ports + 1, sizeof(*r->ports));
    r->ports[r->n_ports++] = (struct fw_range){first, last};
}

static bool is_for(const struct fw_rule *r, enum port_proto proto, uint16_t port)
{
    if (r->never || !(proto == PORT_TCP ? r->tcp : r->udp))
        return false;
    for (size_t i = 0; i < r->n_ports; i++)
        if (port >= r->ports[i].first && port <= r->ports[i].last)
            return true;
    return r->n_ports == 0;
}

/* How a walk through a chain ended. */
enum walk { WALK_ON, WALK_ACCEPT, WALK_DROP, WALK_UNKNOWN };
struct packet {
    const struct fw *f;
    enum port_proto proto;
    uint16_t port;
    bool maybe_accepted; /* a rule that may apply would have accepted it */
    unsigned walks;      /* chains that it went through so far */
};

static enum walk walk(struct packet *p, const struct fw_chain *c, int depth);

static enum walk take_rule(struct packet *p, const struct fw_chain *c, const struct fw_rule *r,
                           int depth)
{
    switch (r->action) {
    case FW_ACCEPT:
        return WALK_ACCEPT;
    case FW_DROP:
        return WALK_DROP;
    case FW_JUMP: {
        const struct fw_chain *to = find(p->f, c->table, r->target);
        return to ? walk(p, to, depth + 1) : WALK_UNKNOWN;
    }
    case FW_RETURN:
    case FW_DNAT:
    case FW_NOTHING:
        break;
    }
    return WALK_ON;
}

static enum walk walk(struct packet *p, const struct fw_chain *c, int depth)
{
    if (depth > DEPTH_MAX || ++p->walks > WALKS_MAX)
        return WALK_UNKNOWN;
    for (size_t i = 0; i < c->n; i++) {
        const struct fw_rule *r = &c->rules[i];

        if (!is_for(r, p->proto, p->port))
            continue;
        if (r->action == FW_RETURN && !r->narrowed)
            return WALK_ON;
        enum walk w = take_rule(p, c, r, depth);
        if (r->narrowed) {
            /* Some packets end here. That some are dropped says nothing of the others. */
            p->maybe_accepted |= w == WALK_ACCEPT || w == WALK_UNKNOWN || r->action == FW_RETURN;
            continue;
        }
        if (w != WALK_ON)
            return w;
    }
    return WALK_ON;
}

static enum fw_verdict through(const struct fw *f, const struct fw_chain *base,
                               enum port_proto proto, uint16_t port)
{
    struct packet p = {.f = f, .proto = proto, .port = port};
    enum walk w = walk(&p, base, 0);

    if (w == WALK_ON)
        w = base->drops ? WALK_DROP : WALK_ACCEPT;
    if (w == WALK_UNKNOWN || (w == WALK_DROP && p.maybe_accepted))
        return FW_UNKNOWN;
    return w == WALK_DROP ? FW_DROPPED : FW_PASSES;
}

/* A packet goes through all base chains of a hook; one that drops it is enough. */
enum fw_verdict fw_input(const struct fw *f, enum port_proto proto, uint16_t port, char **ret_where)
{
    enum fw_verdict worst = FW_PASSES;
    char *where = NULL;

    for (size_t i = 0; i < f->n && worst != FW_DROPPED; i++) {
        const struct fw_chain *c = &f->chains[i];
        bool asked = c->filters && (str_eq(c->hook, "input") || str_eq(c->hook, "prerouting"));
        enum fw_verdict v = asked ? through(f, c, proto, port) : FW_PASSES;

        if (v == FW_PASSES)
            continue;
        free(where);
        where = xasprintf("%s %s", c->table, c->name);
        worst = v;
    }
    if (ret_where)
        *ret_where = where;
    else
        free(where);
    return worst;
}

static const struct fw_rule *dnat_in(struct packet *p, const struct fw_chain *c, int depth)
{
    const struct fw_rule *found = NULL;

    if (depth > DEPTH_MAX || ++p->walks > WALKS_MAX)
        return NULL;
    for (size_t i = 0; i < c->n && !found; i++) {
        const struct fw_rule *r = &c->rules[i];

        if (!is_for(r, p->proto, p->port))
            continue;
        if (r->action == FW_DNAT)
            found = r;
        const struct fw_chain *to = r->action == FW_JUMP ? find(p->f, c->table, r->target) : NULL;
        if (to)
            found = dnat_in(p, to, depth + 1);
    }
    return found;
}

const struct fw_rule *fw_dnat(const struct fw *f, enum port_proto proto, uint16_t port)
{
    struct packet p = {.f = f, .proto = proto, .port = port};
    const struct fw_rule *found = NULL;

    for (size_t i = 0; i < f->n && !found; i++)
        if (str_eq(f->chains[i].hook, "prerouting"))
            found = dnat_in(&p, &f->chains[i], 0);
    return found;
}
