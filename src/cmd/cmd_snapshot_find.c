/* agavectl snapshot find: who has which snapshots. Looks only; nothing is fetched. */
#include "cmd/commands.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/str.h"
#include "config/config.h"
#include "fetch/find.h"
#include "solana/rpc.h"

struct find_opts {
    struct strlist rpcs;
};

static const struct opt find_options[] = {
    {.type = OPT_LIST,
     .lng = "rpc",
     .arg = "URL",
     .help = "an RPC node to ask; once for each; none: those of the config",
     .offset = offsetof(struct find_opts, rpcs)},
    {0},
};

static struct json *json_file(const struct fetch_file *f, bool incremental)
{
    struct json *j;

    if (!f->name)
        return NULL;
    j = json_new_object();
    json_put(j, "name", json_new_str(f->name));
    json_put(j, "slot", json_new_u64(f->slot));
    if (incremental)
        json_put(j, "base", json_new_u64(f->base));
    json_put(j, "size_b", f->size_b == UINT64_MAX ? NULL : json_new_u64(f->size_b));
    return j;
}

static void print_json(const struct fetch_found *f, struct out *out)
{
    struct json *doc = answer_new(), *sources = json_new_array();

    for (size_t i = 0; i < f->n; i++) {
        const struct fetch_offer *o = &f->offers[i];
        AUTO(freep) char *label = rpc_url_label(o->peer.url);
        struct json *j = json_new_object();

        json_put(j, "addr", json_new_str(label));
        json_put(j, "full", json_file(&o->full, false));
        json_put(j, "incremental", json_file(&o->incr, true));
        json_put(j, "error", json_new_str(o->why));
        json_push(sources, j);
    }
    json_put(doc, "sources", sources);
    out_json(out, doc);
}

static void print_table(const struct fetch_found *f, struct out *out)
{
    static const char *const headers[] = {"NODE",  ">FULL",   ">INCREMENTAL",
                                          ">SIZE", "WHY NOT", NULL};
    AUTO(table_freep) struct table *t = table_new(headers);

    for (size_t i = 0; i < f->n; i++) {
        const struct fetch_offer *o = &f->offers[i];
        AUTO(freep) char *label = rpc_url_label(o->peer.url);
        char full[24], incr[24], size[32];
        const char *const cells[] = {label, o->full.name ? full : NULL, o->incr.name ? incr : NULL,
                                     o->full.size_b == UINT64_MAX ? NULL : size,
                                     o->why ? o->why : ""};

        snprintf(full, sizeof(full), "%" PRIu64, o->full.slot);
        snprintf(incr, sizeof(incr), "%" PRIu64, o->incr.slot);
        fmt_size(o->full.size_b, size, sizeof(size));
        table_row(t, cells);
    }
    table_print(t, out);
}

static struct err *snapshot_find_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                                     struct out *out)
{
    AUTO(fetch_found_clear) struct fetch_found found = {0};
    const struct find_opts *o = opts;
    const struct strlist *rpcs = &o->rpcs;

    if (!rpcs->n && ctx->cfg)
        rpcs = ctx->cfg->snapshot.sources.n ? &ctx->cfg->snapshot.sources
                                            : &ctx->cfg->cluster.references;
    if (!rpcs->n)
        return err_new(ERR_BADINPUT, "nobody to ask is known; give --rpc URL or --config FILE");
    TRY(fetch_find(ctx, &(struct fetch_scope){.rpcs = rpcs}, &found));
    if (out->json)
        print_json(&found, out);
    else
        print_table(&found, out);
    return NULL;
}

const struct cmd cmd_snapshot_find = {
    .name = "find",
    .summary = "show who has which snapshots",
    .usage = "",
    .detail = "Asks every node for its full and its incremental snapshot, all at once.",
    .example = "agavectl snapshot find --rpc https://api.mainnet-beta.solana.com",
    .flags = CMD_CONFIG_MAYBE | CMD_JSON,
    .opts = find_options,
    .opts_size = sizeof(struct find_opts),
    .run = snapshot_find_run,
};
