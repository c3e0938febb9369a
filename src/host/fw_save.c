/* The text of iptables-save(8) as rules (iptables 1.8): one rule a line, what is not known makes it
 * one that may apply. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "host/fw.h"

/* Words of a line; a text in double quotes is one. */
static void words_of(const char *line, struct strlist *ret)
{
    for (const char *c = line + strspn(line, " \t"); *c; c += strspn(c, " \t")) {
        bool quoted = *c == '"';
        size_t n = quoted ? strcspn(c + 1, "\"") : strcspn(c, " \t");
        AUTO(freep) char *word = xstrndup(c + quoted, n);

        strlist_add(ret, word);
        c += n + quoted;
        c += quoted && *c == '"';
    }
}

/* "53", "8000:8010", "1,2,5:7" */
static bool add_ports(struct fw_rule *r, const char *text)
{
    for (const char *c = text; *c; c += *c == ',') {
        unsigned first = 0, last = 0;
        int n = 0;

        if (sscanf(c, "%5u:%5u%n", &first, &last, &n) < 2 || !n) {
            n = 0;
            if (sscanf(c, "%5u%n", &first, &n) < 1)
                return false;
            last = first;
        }
        c += n;
        if (*c && *c != ',')
            return false;
        fw_rule_port(r, first, last);
    }
    return *text != '\0';
}

static void only_protocol(struct fw_rule *r, const char *proto)
{
    if (str_eq(proto, "all"))
        return;
    r->tcp &= str_eq(proto, "tcp");
    r->udp &= str_eq(proto, "udp");
}

static void set_dnat(struct fw_rule *r, const char *to)
{
    const char *colon = strrchr(to, ':');

    free(r->target);
    r->target = xstrndup(to, colon ? (size_t)(colon - to) : strlen(to));
    r->to_port = colon ? (uint32_t)(strtoul(colon + 1, NULL, 10) & UINT16_MAX) : 0;
}

static void set_target(struct fw_rule *r, const char *target)
{
    static const struct {
        const char *name;
        enum fw_action action;
    } known[] = {
        {"ACCEPT", FW_ACCEPT},    {"DROP", FW_DROP},       {"REJECT", FW_DROP},
        {"RETURN", FW_RETURN},    {"DNAT", FW_DNAT},       {"REDIRECT", FW_DNAT},
        {"LOG", FW_NOTHING},      {"NFLOG", FW_NOTHING},   {"MARK", FW_NOTHING},
        {"CT", FW_NOTHING},       {"NOTRACK", FW_NOTHING}, {"TCPMSS", FW_NOTHING},
        {"CONNMARK", FW_NOTHING},
    };

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(known[i].name, target)) {
            r->action = known[i].action;
            return;
        }
    r->action = FW_JUMP;
    free(r->target);
    r->target = xstrdup(target);
}

static bool has_state_new(const char *states)
{
    return strstr(states, "NEW") != NULL;
}

/* One option with its value; *at stands on the option and is moved to its last word. */
static void option(struct fw_rule *r, const struct strlist *w, size_t *at)
{
    static const char *const quiet[] = {
        "-m",          "--match",    "--comment",   "--reject-with", "--log-prefix",
        "--log-level", "--set-mark", "--set-xmark", "--nflog-group"};
    const char *o = w->items[*at], *v = *at + 1 < w->n ? w->items[*at + 1] : "";

    ++*at;
    for (size_t i = 0; i < ARRAY_LEN(quiet); i++)
        if (str_eq(o, quiet[i]))
            return;
    if (str_eq(o, "-p") || str_eq(o, "--protocol"))
        only_protocol(r, v);
    else if (str_eq(o, "--dport") || str_eq(o, "--dports") || str_eq(o, "--destination-port"))
        r->narrowed |= !add_ports(r, v);
    else if (str_eq(o, "-j") || str_eq(o, "-g"))
        set_target(r, v);
    else if (str_eq(o, "--to-destination"))
        set_dnat(r, v);
    else if (str_eq(o, "--to-ports"))
        r->to_port = (uint32_t)(strtoul(v, NULL, 10) & UINT16_MAX);
    else if (str_eq(o, "-i"))
        *(str_eq(v, "lo") ? &r->never : &r->narrowed) = true;
    else if (str_eq(o, "--ctstate") || str_eq(o, "--state"))
        r->never |= !has_state_new(v);
    else {
        r->narrowed = true;
        *at -= str_starts(v, "-"); /* an option without a value */
    }
}

/* "-A INPUT -p udp -m udp --dport 8001 -j ACCEPT", its words. */
static void add_rule(struct fw *f, const char *table, const struct strlist *w)
{
    struct fw_rule *r = fw_rule_add(fw_chain_get(f, table, w->items[1]));

    for (size_t i = 2; i < w->n; i++) {
        if (str_eq(w->items[i], "!")) {
            size_t skipped = i + 1;

            r->narrowed = true; /* "all but": may apply */
            i = skipped + 1;
            continue;
        }
        option(r, w, &i);
    }
}

/* ":INPUT DROP [0:0]" */
static void add_chain(struct fw *f, const char *table, const char *line)
{
    static const struct {
        const char *table, *chain, *hook;
        bool filters;
    } built_in[] = {
        {"iptables filter", "INPUT", "input", true},
        {"iptables raw", "PREROUTING", "prerouting", true},
        {"iptables mangle", "PREROUTING", "prerouting", true},
        {"iptables mangle", "INPUT", "input", true},
        {"iptables nat", "PREROUTING", "prerouting", false},
    };
    AUTO(strlist_clear) struct strlist w = {0};

    words_of(line + 1, &w);
    if (w.n < 2)
        return;
    struct fw_chain *c = fw_chain_get(f, table, w.items[0]);
    for (size_t i = 0; i < ARRAY_LEN(built_in); i++)
        if (str_eq(built_in[i].table, table) && str_eq(built_in[i].chain, w.items[0]) && !c->hook) {
            c->hook = xstrdup(built_in[i].hook);
            c->filters = built_in[i].filters;
            c->drops = str_eq(w.items[1], "DROP");
        }
}

void fw_parse_save(const char *text, struct fw *ret)
{
    AUTO(freep) char *table = xstrdup("iptables filter");

    for (const char *l = text; *l; l += strcspn(l, "\n"), l += *l == '\n') {
        AUTO(freep) char *line = xstrndup(l, strcspn(l, "\r\n"));
        AUTO(strlist_clear) struct strlist w = {0};
        const char *c = *line == '[' ? line + strcspn(line, " ") : line; /* counters */

        if (*c == '*') {
            free(table);
            table = xasprintf("iptables %s", c + 1);
        } else if (*c == ':') {
            add_chain(ret, table, c);
        }
        words_of(c, &w);
        if (w.n >= 2 && str_eq(w.items[0], "-A"))
            add_rule(ret, table, &w);
    }
}
