/* nft's JSON as rules: libnftables-json(5), schema version 1. Statements and matches that are not
 * known make a rule one that may apply. */
#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>

#include "base/str.h"
#include "host/fw.h"

static const char *text_of(const struct json *j, const char *key)
{
    const char *s = NULL;
    struct err *e = json_as_str(json_get(j, key), &s);

    err_free(e); /* not there or no text: the same for us */
    return e ? NULL : s;
}

/* "inet filter"; NULL: it has none. To be freed. */
static char *table_of(const struct json *j)
{
    const char *family = text_of(j, "family"), *table = text_of(j, "table");

    return family && table ? xasprintf("%s %s", family, table) : NULL;
}

/* ---- ports: a number, a range, a set of them, or the name of a set ------------------------------
 */

struct sets {
    const struct json *ruleset; /* the whole array, for named sets */
    char *table;
};

static bool number(const struct json *j, uint64_t *ret)
{
    struct err *e = json_as_u64(j, ret);
    bool ok = !e && *ret <= UINT16_MAX;

    err_free(e); /* a name of a service, a set … */
    return ok;
}

static const struct json *named_set(const struct sets *s, const char *name)
{
    for (size_t i = 0; i < json_len(s->ruleset); i++) {
        const struct json *set = json_get(json_at(s->ruleset, i), "set");
        AUTO(freep) char *table = set ? table_of(set) : NULL;

        if (table && str_eq(table, s->table) && str_eq(text_of(set, "name"), name))
            return json_get(set, "elem");
    }
    return NULL;
}

/* One element; false: it cannot be understood. */
static bool add_port(struct fw_rule *r, const struct json *j)
{
    const struct json *range = json_get(j, "range"), *elem = json_get(j, "elem");
    uint64_t a = 0, b = 0;

    if (json_is_object(elem)) /* with a counter or a time-out around it */
        j = json_get(elem, "val");
    if (range && number(json_at(range, 0), &a) && number(json_at(range, 1), &b)) {
        fw_rule_port(r, (uint32_t)a, (uint32_t)b);
        return true;
    }
    if (!number(j, &a))
        return false;
    fw_rule_port(r, (uint32_t)a, (uint32_t)a);
    return true;
}

static bool add_ports(struct fw_rule *r, const struct sets *s, const struct json *right)
{
    const struct json *list = json_get(right, "set");
    const char *name = NULL;
    bool all = true;
    struct err *e = json_is_string(right) ? json_as_str(right, &name) : NULL;

    err_free(e); /* it is a text */
    if (name)
        list = *name == '@' ? named_set(s, name + 1) : NULL;
    else if (!list)
        return add_port(r, right);
    for (size_t i = 0; i < json_len(list); i++)
        all &= add_port(r, json_at(list, i));
    return all && json_len(list) > 0;
}

/* ---- matches ------------------------------------------------------------------------------------
 */

/* A text, or a list of texts: is it among them? */
static bool names(const struct json *right, const char *what)
{
    const struct json *list = json_get(right, "set") ? json_get(right, "set") : right;
    const char *s = NULL;
    struct err *e = json_is_string(right) ? json_as_str(right, &s) : NULL;

    err_free(e); /* it is a text */
    if (s)
        return str_eq(s, what);
    for (size_t i = 0; i < json_len(list); i++) {
        const char *one = NULL;

        e = json_as_str(json_at(list, i), &one);
        err_free(e); /* a number: no name */
        if (str_eq(one, what))
            return true;
    }
    return false;
}

/* The same for an IP protocol. nft says its number where /etc/protocols has no name for it, as on a
 * host without Debian's netbase. */
static bool has_protocol(const struct json *right, const char *name, uint64_t number_of_it)
{
    const struct json *list = json_get(right, "set");
    uint64_t got;

    if (names(right, name) || (number(right, &got) && got == number_of_it))
        return true;
    for (size_t i = 0; i < json_len(list); i++)
        if (number(json_at(list, i), &got) && got == number_of_it)
            return true;
    return false;
}

static void only_protocols(struct fw_rule *r, const struct json *right)
{
    r->tcp &= has_protocol(right, "tcp", IPPROTO_TCP);
    r->udp &= has_protocol(right, "udp", IPPROTO_UDP);
}

static void match_payload(struct fw_rule *r, const struct sets *s, const struct json *payload,
                          const struct json *right)
{
    const char *proto = text_of(payload, "protocol"), *field = text_of(payload, "field");
    bool th = str_eq(proto, "th");

    if (str_eq(proto, "tcp") || str_eq(proto, "udp") || th) {
        r->tcp &= th || str_eq(proto, "tcp");
        r->udp &= th || str_eq(proto, "udp");
        r->narrowed |= !str_eq(field, "dport") || !add_ports(r, s, right);
    } else if ((str_eq(proto, "ip") && str_eq(field, "protocol")) ||
               (str_eq(proto, "ip6") && str_eq(field, "nexthdr"))) {
        only_protocols(r, right);
    } else if (str_eq(proto, "icmp") || str_eq(proto, "icmpv6") || str_eq(proto, "ip6")) {
        r->never = true; /* not IPv4's TCP or UDP */
    } else {
        r->narrowed = true;
    }
}

/* "ct state": a first packet is new. Written as a text, a list, or a set. */
static void match_state(struct fw_rule *r, const struct json *right)
{
    if (!names(right, "new"))
        r->never = true;
}

static void match(struct fw_rule *r, const struct sets *s, const struct json *m)
{
    const struct json *left = json_get(m, "left"), *right = json_get(m, "right");
    const struct json *meta = json_get(left, "meta"), *ct = json_get(left, "ct");
    const char *op = text_of(m, "op");
    const char *key = text_of(meta, "key");

    if (!str_eq(op, "==") && !str_eq(op, "in"))
        r->narrowed = true;
    else if (json_get(left, "payload"))
        match_payload(r, s, json_get(left, "payload"), right);
    else if (str_eq(key, "l4proto"))
        only_protocols(r, right);
    else if (str_eq(key, "iif") || str_eq(key, "iifname"))
        *(names(right, "lo") ? &r->never : &r->narrowed) = true;
    else if (str_eq(key, "nfproto"))
        r->never |= !names(right, "ipv4");
    else if (str_eq(text_of(ct, "key"), "state"))
        match_state(r, right);
    else
        r->narrowed = true;
}

/* ---- statements ---------------------------------------------------------------------------------
 */

static void set_dnat(struct fw_rule *r, const struct json *d)
{
    const char *addr = text_of(d, "addr");
    uint64_t port = 0;

    r->action = FW_DNAT;
    r->target = addr ? xstrdup(addr) : NULL;
    if (number(json_get(d, "port"), &port))
        r->to_port = (uint32_t)port;
}

/* A map of verdicts is understood for the state of a flow only: a first packet is new. */
static void set_vmap(struct fw_rule *r, const struct json *v)
{
    const struct json *key = json_get(v, "key");
    const struct json *list = json_get(json_get(v, "data"), "set");
    bool state = str_eq(text_of(json_get(key, "ct"), "key"), "state");

    for (size_t i = 0; i < json_len(list) && state; i++)
        if (names(json_at(json_at(list, i), 0), "new"))
            state = false;
    if (state && json_len(list)) {
        r->never = true;
        return;
    }
    r->narrowed = true;
    r->action = FW_ACCEPT; /* perhaps */
}

static void statement(struct fw_rule *r, const struct sets *s, const struct json *e)
{
    static const char *const quiet[] = {"counter", "log", "comment", "mangle", "notrack"};
    const char *to;

    if (json_has(e, "match"))
        match(r, s, json_get(e, "match"));
    else if (json_has(e, "accept"))
        r->action = FW_ACCEPT;
    else if (json_has(e, "drop") || json_has(e, "reject"))
        r->action = FW_DROP;
    else if (json_has(e, "return"))
        r->action = FW_RETURN;
    else if (json_has(e, "dnat"))
        set_dnat(r, json_get(e, "dnat"));
    else if (json_has(e, "redirect"))
        set_dnat(r, json_get(e, "redirect"));
    else if (json_has(e, "vmap"))
        set_vmap(r, json_get(e, "vmap"));
    else if ((to = text_of(json_get(e, "jump"), "target")) ||
             (to = text_of(json_get(e, "goto"), "target"))) {
        r->action = FW_JUMP;
        free(r->target);
        r->target = xstrdup(to);
    } else {
        for (size_t i = 0; i < ARRAY_LEN(quiet); i++)
            if (json_has(e, quiet[i]))
                return;
        r->narrowed = true; /* xt of iptables, limits, and what is to come */
        if (r->action == FW_NOTHING && json_has(e, "xt"))
            r->action = FW_ACCEPT; /* its target may be in there: perhaps */
    }
}

static void add_rule(struct fw *f, const struct json *ruleset, const struct json *rule)
{
    AUTO(freep) char *table = table_of(rule);
    const char *chain = text_of(rule, "chain");
    const struct json *expr = json_get(rule, "expr");

    if (!table || !chain)
        return;
    struct fw_rule *r = fw_rule_add(fw_chain_get(f, table, chain));
    struct sets s = {.ruleset = ruleset, .table = table};
    for (size_t i = 0; i < json_len(expr); i++)
        statement(r, &s, json_at(expr, i));
}

static void add_chain(struct fw *f, const struct json *chain)
{
    AUTO(freep) char *table = table_of(chain);
    const char *name = text_of(chain, "name"), *hook = text_of(chain, "hook");

    if (!table || !name || str_starts(table, "ip6 ") || str_starts(table, "bridge ") ||
        str_starts(table, "arp "))
        return; /* not on the way of an IPv4 packet */
    struct fw_chain *c = fw_chain_get(f, table, name);
    if (!hook || c->hook)
        return;
    c->hook = xstrdup(hook);
    c->filters = str_eq(text_of(chain, "type"), "filter");
    c->drops = str_eq(text_of(chain, "policy"), "drop");
}

struct err *fw_parse_nft(const char *text, size_t n, struct fw *ret)
{
    AUTO(json_freep) struct json *j = NULL;

    TRY(json_parse(text, n, &j));
    const struct json *all = json_get(j, "nftables");
    if (!json_is_array(all))
        return err_new(ERR_CORRUPT, "nft's answer has no 'nftables'");
    for (size_t i = 0; i < json_len(all); i++) {
        const struct json *one = json_at(all, i);

        if (json_get(one, "chain"))
            add_chain(ret, json_get(one, "chain"));
        else if (json_get(one, "rule"))
            add_rule(ret, all, json_get(one, "rule"));
    }
    return NULL;
}
