/* The options of a search for snapshots, laid over the config's. */
#include "cmd/snapshot_who.h"

#include <stdlib.h>
#include <string.h>

#include "base/base58.h"
#include "base/log.h"
#include "cmd/path_arg.h"
#include "config/config.h"
#include "solana/rpc.h"

static void add_all(struct strlist *to, const struct strlist *from)
{
    for (size_t i = 0; i < from->n; i++)
        if (!strlist_has(to, from->items[i]))
            strlist_add(to, from->items[i]);
}

static struct err *check_urls(const struct strlist *l, const char *option)
{
    for (size_t i = 0; i < l->n; i++) {
        const char *u = l->items[i], *host = strstr(u, "://");
        bool http = str_starts(u, "http://") || str_starts(u, "https://");

        if (!http || !host[3] || host[3] == '/' || strpbrk(u, " \t\"") || str_has_control(u)) {
            AUTO(freep) char *label = rpc_url_label(u); /* there may be a key in it */
            AUTO(freep) char *shown = str_shown(label, 100);

            return err_new(ERR_BADINPUT, "option '--%s': '%s' is not an http or https URL", option,
                           shown);
        }
    }
    return NULL;
}

static struct err *check_ids(const struct strlist *l)
{
    for (size_t i = 0; i < l->n; i++) {
        uint8_t key[32];

        TRY_CTX(base58_decode32(l->items[i], strlen(l->items[i]), key), "option '--known'");
    }
    return NULL;
}

static struct err *check_proxy(const char *proxy)
{
    AUTO(config_freep) struct config *c = NULL;
    AUTO(strlist_clear) struct strlist value = {0};

    if (!proxy)
        return NULL;
    c = config_defaults();
    strlist_add(&value, proxy);
    struct err *e = config_set(c, config_find_key("snapshot.proxy"), &value);
    if (!e)
        return NULL;
    err_free(e);
    AUTO(freep) char *label = rpc_url_label(proxy);
    AUTO(freep) char *shown = str_shown(label, 100);
    return err_new(ERR_BADINPUT,
                   "option '--proxy': '%s' is not of the form http://host:port or "
                   "socks5h://host:port",
                   shown);
}

static struct err *parse_rate(const char *text, double *ret)
{
    char *end = NULL;
    double v;

    if (!text)
        return NULL;
    v = strspn(text, "0123456789.") == strlen(text) ? strtod(text, &end) : 0;
    if (!end || *end || !(v > 0) || v > 1000)
        return err_new(ERR_BADINPUT,
                       "option '--replay-rate': '%s' is not a number of slots a second", text);
    *ret = v;
    return NULL;
}

static struct err *check(const struct snapshot_who_opts *o)
{
    TRY(check_urls(&o->rpcs, "rpc"));
    TRY(check_urls(&o->sources, "source"));
    TRY(check_urls(&o->trusted, "trust"));
    TRY(check_ids(&o->known));
    return check_proxy(o->proxy);
}

/* Nodes that are named stand in place of the config's, not beside them: who asks another cluster
 * must not get this one's into the answer. */
static void overlay_nodes(const struct snapshot_who_opts *o, struct snapshot_scope *s)
{
    if (o->rpcs.n || o->sources.n || o->trusted.n) {
        strlist_clear(&s->rpcs);
        strlist_clear(&s->sources);
        add_all(&s->rpcs, &o->rpcs);
        add_all(&s->sources, &o->sources);
        add_all(&s->sources, &o->trusted);
        s->find.only_given = false;
        s->limits.shred_version = (struct known_u64){0};
    }
    add_all(&s->trusted, &o->trusted);
    add_all(&s->known, &o->known);
    add_all(&s->exclude_versions, &o->exclude_versions);
    s->find.only_given |= o->no_discover;
    if (o->proxy)
        s->find.way.proxy = o->proxy;
}

static void overlay_limits(const struct snapshot_who_opts *o, struct snapshot_scope *s)
{
    struct reasons_limits *l = &s->limits;

    if (o->max_age)
        l->max_age = s->max_age_end = o->max_age;
    if (o->max_latency_ms)
        l->max_latency_us = o->max_latency_ms * 1000;
    if (o->min_rate_b_s)
        l->min_rate_b_s = (double)o->min_rate_b_s;
    if (o->min_peers)
        l->trust.min_peers = o->min_peers;
    l->trust_any = o->trust_any;
}

struct err *snapshot_who_choose(struct ctx *ctx, const struct snapshot_who_opts *o,
                                struct snapshot_scope *ret)
{
    AUTO(freep) char *ca_file = NULL;

    TRY(check(o));
    if (o->ca_file)
        TRY(path_arg(o->ca_file, &ca_file));
    TRY(snapshot_scope_init(ctx, ca_file, ret));
    overlay_nodes(o, ret);
    overlay_limits(o, ret);
    TRY(parse_rate(o->replay_rate, &ret->limits.rates.replay_slots_s));
    if (o->replay_rate)
        ret->replay_from = "given";
    if (!ret->rpcs.n && !ret->sources.n)
        return err_new(ERR_BADINPUT, "nobody to ask is known; give --rpc URL, or a config with "
                                     "cluster.references");
    ret->find.tip_from = ret->rpcs.n ? &ret->rpcs : &ret->sources;
    if (ret->blacklist_fault)
        log_note("warning: what has failed before is not known: %s", ret->blacklist_fault);
    return NULL;
}
