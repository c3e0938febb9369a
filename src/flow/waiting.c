/* What waits is asked for by every start, and is mostly nothing: then no program is run. */
#include "flow/waiting.h"

#include <stdlib.h>

#include "config/config.h"
#include "fetch/store.h"
#include "flow/agave_of.h"
#include "look/snapshot_rules.h"

static struct err *anything_waits(struct ctx *ctx, bool *ret)
{
    AUTO(snaplocal_clear) struct snaplocal l = {0};
    const struct snapdirs dirs = snapshot_dirs(ctx->cfg);

    *ret = false;
    TRY(snaplocal_read_dirs(ctx, &dirs, NULL, &l));
    for (size_t i = 0; i < l.n; i++)
        *ret |= l.files[i].kind == SNAPLOCAL_ARCHIVE && l.files[i].place == SNAPLOCAL_STAGED;
    return NULL;
}

static struct err *take(struct ctx *ctx, const char *bin, char **ret_text)
{
    AUTO(strlist_clear) struct strlist moved = {0};
    AUTO(freep) char *why = NULL;
    struct agave_version version;
    bool any = false;

    TRY(anything_waits(ctx, &any));
    if (!any)
        return NULL;
    TRY(agave_of(ctx, NULL, bin, &version, &why));
    struct snapload_rules rules = snapshot_rules(ctx->cfg, &version);
    const struct snapdirs dirs = snapshot_dirs(ctx->cfg);
    return store_unstage(ctx, &dirs, &rules, ctx->cfg->snapshot.leapfrog_slots, &moved, ret_text);
}

struct err *waiting_take(struct ctx *ctx, const char *bin, char **text)
{
    char *told = NULL;
    struct err *e = take(ctx, bin, &told);

    if (e && e->kind == ERR_CANCELLED)
        return e;
    if (e && e->kind != ERR_NOTFOUND)
        told = xasprintf("a snapshot that waits stays where it is: %s", e->text);
    err_free(e);
    if (told) {
        free(*text);
        *text = told;
    }
    return NULL;
}
