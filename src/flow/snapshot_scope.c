/* From the config to the question and the limits of a search for snapshots. */
#include "flow/snapshot_scope.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "io/fsroot.h"
#include "look/rates.h"
#include "look/snapshot_rules.h"

#define FILE_NAME "snapshot-blacklist.json"
#define CA_MAX_B  ((size_t)4 << 20)

char *snapshot_blacklist_path(const struct ctx *ctx)
{
    const char *journal = ctx->cfg ? ctx->cfg->journal_dir : NULL;
    const char *slash = journal ? strrchr(journal, '/') : NULL;
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

    if (geteuid() == 0 && journal)
        return xasprintf("%.*s/" FILE_NAME, slash ? (int)(slash - journal) : 0, journal);
    if (state && *state == '/')
        return xasprintf("%s/agavectl/" FILE_NAME, state);
    return home && *home == '/' ? xasprintf("%s/.local/state/agavectl/" FILE_NAME, home) : NULL;
}

static void add_all(struct strlist *to, const struct strlist *from)
{
    for (size_t i = 0; i < from->n; i++)
        if (!strlist_has(to, from->items[i]))
            strlist_add(to, from->items[i]);
}

static void choose_nodes(const struct config *c, struct snapshot_scope *s)
{
    add_all(&s->sources, &c->snapshot.sources);
    add_all(&s->trusted, &c->snapshot.trusted_sources);
    add_all(&s->known, &c->validator.known_validators);
    add_all(&s->exclude_versions, &c->snapshot.exclude_versions);
    if (c->snapshot.discover || !s->sources.n)
        add_all(&s->rpcs, &c->cluster.references);
    s->find.only_given = !c->snapshot.discover;
}

static void choose_limits(const struct config *c, struct snapshot_scope *s)
{
    struct reasons_limits *l = &s->limits;
    uint64_t end = c->snapshot.max_age_slots, fresh = c->snapshot.fresh_slots;

    s->max_age_end = end;
    s->convergence_slots = c->snapshot.convergence_slots;
    l->max_age = fresh < end ? fresh : end;
    l->max_latency_us = c->snapshot.max_latency_ms * 1000;
    l->min_rate_b_s = (double)c->snapshot.min_rate_mib_s * 1048576;
    l->trust.min_peers = c->snapshot.min_peers;
    l->trust.sources = &s->trusted;
    l->exclude_versions = &s->exclude_versions;
    l->blacklist = &s->blacklist;
    l->shred_version = snapshot_shred_version(c);
    l->rates = (struct rank_rates){
        .unpack_b_s = (double)c->snapshot.unpack_mib_s * 1048576,
        .replay_slots_s = RANK_REPLAY_SLOTS_S,
        .cluster_slots_s = RANK_CLUSTER_SLOTS_S,
    };
}

/* What was seen of this host counts more than what most hosts do. */
static void choose_rates(struct ctx *ctx, struct snapshot_scope *s)
{
    AUTO(freep) struct rates_book *book = xcalloc(1, sizeof(*book));

    s->replay_from = s->unpack_from = "default";
    if (!ctx->cfg)
        return;
    rates_load(ctx, ctx->cfg->state_dir, book);
    if (book->replay.known) {
        s->limits.rates.replay_slots_s = book->replay.per_s;
        s->replay_from = "measured";
    }
    if (book->unpack.known) {
        s->limits.rates.unpack_b_s = book->unpack.per_s;
        s->unpack_from = "measured";
    }
}

/* A list that cannot be read stays as it is for the operator to see; nothing is listed then. */
static void load_blacklist(struct ctx *ctx, struct snapshot_scope *s)
{
    AUTO(err_freep) struct err *e = NULL;

    s->blacklist_path = snapshot_blacklist_path(ctx);
    if (s->blacklist_path)
        e = blacklist_load(ctx, s->blacklist_path, &s->blacklist);
    if (!e)
        return;
    s->blacklist_fault = xstrdup(e->text);
    free(s->blacklist_path);
    s->blacklist_path = NULL;
}

/* What it holds is read by the TLS library, at each connection: a file without a certificate would
 * be told as the fault of every node. */
static struct err *load_ca(struct ctx *ctx, const char *path, struct snapshot_scope *s)
{
    size_t n = 0;

    if (!*path)
        return NULL;
    TRY_CTX(fsroot_read(ctx->root, path, CA_MAX_B, &s->ca, &n), "authorities for https");
    if (!strstr(s->ca, "-----BEGIN CERTIFICATE-----"))
        return err_new(ERR_BADINPUT, "authorities for https: '%s' holds no certificate (PEM)",
                       path);
    s->tls = (struct http_tls){.ca = s->ca, .ca_n = n};
    s->find.way.tls = &s->tls;
    return NULL;
}

struct err *snapshot_scope_init(struct ctx *ctx, const char *ca_file, struct snapshot_scope *ret)
{
    AUTO(config_freep) struct config *defaults = ctx->cfg ? NULL : config_defaults();
    const struct config *c = ctx->cfg ? ctx->cfg : defaults;

    *ret = (struct snapshot_scope){0};
    choose_nodes(c, ret);
    choose_limits(c, ret);
    choose_rates(ctx, ret);
    load_blacklist(ctx, ret);
    ret->find.rpcs = &ret->rpcs;
    ret->find.sources = &ret->sources;
    ret->find.known = &ret->known;
    ret->find.tip_from = &ret->rpcs;
    ret->find.way.proxy = ctx->cfg && *c->snapshot.proxy ? c->snapshot.proxy : NULL;
    return load_ca(ctx, ca_file ? ca_file : c->snapshot.ca_file, ret);
}

struct err *snapshot_scope_save(struct ctx *ctx, struct snapshot_scope *s)
{
    return s->blacklist_path ? blacklist_save(ctx, s->blacklist_path, &s->blacklist) : NULL;
}

void snapshot_scope_clear(struct snapshot_scope *s)
{
    strlist_clear(&s->rpcs);
    strlist_clear(&s->sources);
    strlist_clear(&s->known);
    strlist_clear(&s->trusted);
    strlist_clear(&s->exclude_versions);
    blacklist_clear(&s->blacklist);
    free(s->blacklist_path);
    free(s->blacklist_fault);
    free(s->ca);
    *s = (struct snapshot_scope){0};
}
