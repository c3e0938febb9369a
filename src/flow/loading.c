/* Agave says that it loads the ledger (admin socket, startProgress) from before it opens the
 * blockstore until its first replay: nearly all of that is unpacking archives and indexing what was
 * in them (validator lib.rs and bank_forks_utils.rs of 3.0.14). A start from local state reads
 * none, and says nothing about them. */
#include "flow/loading.h"

#include <stdlib.h>

#include "base/log.h"
#include "config/config.h"
#include "flow/agave_of.h"
#include "io/clock.h"
#include "look/rates.h"
#include "look/snapshot_rules.h"

static uint64_t size_at(const struct snaplocal *l, size_t i)
{
    return i == SNAPLOAD_NONE ? 0 : l->files[i].size_b;
}

static struct err *read_by_a_start(struct ctx *ctx, const char *bin, uint64_t *ret_b)
{
    AUTO(snaplocal_clear) struct snaplocal local = {0};
    AUTO(snapload_clear) struct snapload d = {0};
    AUTO(freep) char *why = NULL;
    const struct snapdirs dirs = snapshot_dirs(ctx->cfg);
    struct agave_version version;

    TRY(agave_of(ctx, NULL, bin, &version, &why));
    TRY(snaplocal_read_dirs(ctx, &dirs, NULL, &local));
    struct snapload_rules rules = snapshot_rules(ctx->cfg, &version);
    snapload_decide(&local, &rules, &d);
    *ret_b = d.from == SNAPLOAD_ARCHIVES ? size_at(&local, d.full) + size_at(&local, d.incr) : 0;
    return NULL;
}

static void begin(struct ctx *ctx, const char *bin, struct loading *l)
{
    struct err *e;

    l->begun_ns = clock_mono_ns(ctx);
    e = read_by_a_start(ctx, bin, &l->archives_b);
    if (e)
        log_debug("what the start loads: %s", e->text);
    err_free(e);
    l->over = !l->archives_b;
}

static void end(struct ctx *ctx, struct loading *l)
{
    AUTO(freep) struct rates_book *book = xcalloc(1, sizeof(*book));
    double seconds = (double)(clock_mono_ns(ctx) - l->begun_ns) / 1e9;

    l->over = true;
    rates_load(ctx, ctx->cfg->state_dir, book);
    rates_note_unpack(book, l->archives_b, seconds, clock_wall_ms(ctx));
    rates_save(ctx, ctx->cfg->state_dir, book);
}

void loading_look(struct ctx *ctx, const char *bin, const struct status *now, struct loading *l)
{
    if (l->over || !now->phase_known)
        return;
    if (now->phase.phase == ADMIN_LOADING_LEDGER && !l->begun_ns)
        begin(ctx, bin, l);
    else if (l->begun_ns && (now->phase.phase == ADMIN_PROCESSING_LEDGER ||
                             now->phase.phase == ADMIN_STARTING_SERVICES))
        end(ctx, l);
    else if (now->phase.phase != ADMIN_LOADING_LEDGER && l->begun_ns)
        l->over = true; /* what came between was not seen */
}
