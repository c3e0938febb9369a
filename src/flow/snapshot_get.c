/* The snapshot step of `up`: keep what is good, fetch what is missing, never give the validator a
 * file that was not proven. Choosing between sources is fetch/'s work, proving solana/'s. */
#include "flow/snapshot_get.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "fetch/archive.h"
#include "fetch/find.h"
#include "fetch/pick.h"
#include "fetch/partial.h"
#include "io/http.h"
#include "solana/rpc.h"
#include "solana/snapshot_archive.h"
#include "solana/snapshot_name.h"

#define FIND_MS      5000
#define TRIES        4         /* archives that nobody could deliver, of a kind */
#define REJECTED_MAX 8         /* named in the summary */
#define MIN_RATE_B_S (1 << 20) /* a peer below 1 MiB/s for half a minute will not make it */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static uint64_t age_of(const struct snapshot_want *want, uint64_t slot)
{
    return want->tip > slot ? want->tip - slot : 0;
}

static struct err *verify(struct ctx *ctx, const char *path, const struct flow_report *report)
{
    static const struct snapcheck_limits limits = {.hash_must = true};
    struct snapcheck_report check;

    report_progress(report, "verifying '%s'", base_name(path));
    return snapshot_archive_verify_file(ctx, path, &limits, NULL, NULL, &check);
}

/* The archives of the folder that are proven: names into have. A broken one is reported, not used
 * and not removed: it is the operator's file. */
static struct err *verified_local(struct ctx *ctx, const struct snapshot_want *want,
                                  const struct flow_report *report, struct strlist *have,
                                  uint64_t *ret_slot)
{
    AUTO(snapshot_dir_clear) struct snapshot_dir dir = {0};
    struct err *e = snapshot_dir_scan(ctx->root, want->dir, &dir);

    *ret_slot = 0;
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e); /* the stages make the folder; nothing in it yet */
    if (e)
        return e;
    if (!dir.has_full)
        return NULL;
    TRY(err_hint(verify(ctx, dir.full.path, report), "move it away and run this again"));
    strlist_add(have, base_name(dir.full.path));
    *ret_slot = dir.full.name.slot;
    if (!dir.has_incremental)
        return NULL;
    TRY(err_hint(verify(ctx, dir.incremental.path, report), "move it away and run this again"));
    strlist_add(have, base_name(dir.incremental.path));
    *ret_slot = dir.incremental.name.slot;
    return NULL;
}

/* Who listens, and which sources were of no use: an operator wants to strike them off the list. */
struct fetching {
    const struct flow_report *report;
    struct strlist rejected;
    struct strlist bad; /* names that no source could deliver */
};

static void reject(struct fetching *f, const char *source, const char *why)
{
    AUTO(freep) char *begin = xasprintf("%s (", source);
    const char *from = strstr(why, source);

    for (size_t i = 0; i < f->rejected.n; i++)
        if (str_starts(f->rejected.items[i], begin))
            return;                                      /* its first fault is enough */
    if (from && str_starts(from + strlen(source), ": ")) /* the source is named already */
        why = from + strlen(source) + 2;
    strlist_addf(&f->rejected, "%s%s)", begin, why);
}

static void reject_offers(struct fetching *f, const struct fetch_found *found)
{
    for (size_t i = 0; i < found->n; i++) {
        AUTO(freep) char *label = rpc_url_label(found->offers[i].peer.url);

        if (found->offers[i].why)
            reject(f, label, found->offers[i].why);
    }
}

static void on_progress(void *arg, const struct fetch_progress *p)
{
    const struct fetching *f = arg;
    char done[32], total[32], rate[32], eta[32];

    report_progress(f->report, "%s of %s at %s/s, %s left: %s",
                    fmt_size(p->done_b, done, sizeof(done)),
                    p->total_b == UINT64_MAX ? "?" : fmt_size(p->total_b, total, sizeof(total)),
                    fmt_size((uint64_t)p->rate_b_s, rate, sizeof(rate)),
                    p->eta_s < 0 ? "?" : fmt_duration(p->eta_s, eta, sizeof(eta)), p->file);
}

static void on_dropped(void *arg, const char *source, const struct err *e)
{
    struct fetching *f = arg;

    report_progress(f->report, "%s failed (%s); trying another", source, e->text);
    reject(f, source, e->text);
}

/* What an interrupted night left of other archives: each may be as large as a snapshot. */
static struct err *remove_leftovers(struct ctx *ctx, const char *dir, const char *name)
{
    AUTO(strlist_clear) struct strlist keep = {0};
    uint64_t freed_b;

    strlist_add(&keep, name);
    return partial_sweep(ctx, dir, &keep, &freed_b);
}

static struct err *fetch_one(struct ctx *ctx, const struct snapshot_want *want, const char *name,
                             const struct strlist *urls, struct fetching *f, struct strlist *have)
{
    AUTO(fetch_report_clear) struct fetch_report done = {0};
    AUTO(freep) struct fetch_source *sources = xcalloc(urls->n, sizeof(*sources));
    struct fetch_job job = {
        .name = name,
        .dir = want->dir,
        .sources = sources,
        .n_sources = urls->n,
        .uid = want->uid,
        .gid = want->gid,
        .verify = FETCH_VERIFY_FULL,
        .hash_must = true,
        .min_rate_b_s = MIN_RATE_B_S,
        .progress = on_progress,
        .dropped = on_dropped,
        .arg = f,
    };

    for (size_t i = 0; i < urls->n; i++)
        sources[i].url = urls->items[i];
    TRY(remove_leftovers(ctx, want->dir, name));
    TRY(fetch_archive(ctx, &job, &done));
    strlist_add(have, name);
    return NULL;
}

static struct err *choose(struct ctx *ctx, const struct snapshot_want *want,
                          const struct strlist *have, struct fetching *f, struct fetch_choice *ret)
{
    AUTO(fetch_found_clear) struct fetch_found found = {0};
    AUTO(strlist_clear) struct strlist sources = {0};
    const struct fetch_scope scope = {.sources = &sources, .peer_ms = FIND_MS};
    struct fetch_want limits = {.have = have, .avoid = &f->bad};

    limits.min_slot = want->tip > want->max_age_slots ? want->tip - want->max_age_slots : 0;
    for (size_t i = 0; i < want->n_sources; i++)
        strlist_add(&sources, want->sources[i]);
    TRY(fetch_find(ctx, &scope, &found));
    reject_offers(f, &found);
    return fetch_pick(&found, &limits, ret);
}

/* Nobody could deliver this name: the next choice is among the others. Returns e when that is not
 * the sources' fault. *ret_failed: what to say when nothing else is left either. */
static struct err *give_up(struct err *e, const char *name, const struct strlist *urls,
                           struct fetching *f, struct err **ret_failed)
{
    const char *last = urls->items[urls->n - 1];
    AUTO(freep) char *origin = xstrndup(last, http_origin_n(last));
    AUTO(freep) char *label = rpc_url_label(origin);

    if (e->kind != ERR_REMOTE && e->kind != ERR_TIMEOUT && e->kind != ERR_NOTFOUND &&
        e->kind != ERR_CORRUPT)
        return e;
    reject(f, label, e->text);
    strlist_add(&f->bad, name);
    err_free(*ret_failed);
    *ret_failed = e;
    return NULL;
}

/* A full archive is here afterwards; ret: the pair that it was chosen for. */
static struct err *fetch_full(struct ctx *ctx, const struct snapshot_want *want, struct fetching *f,
                              struct strlist *have, struct fetch_choice *ret)
{
    AUTO(err_freep) struct err *failed = NULL;

    for (int i = 0; i < TRIES; i++) {
        AUTO(fetch_choice_clear) struct fetch_choice c = {0};
        struct err *e = choose(ctx, want, have, f, &c);

        if (e && failed && e->kind == ERR_NOTFOUND) {
            err_free(e);
            break;
        }
        TRY(e);
        if (!c.have_full)
            e = fetch_one(ctx, want, c.full, &c.full_urls, f, have);
        if (!e) {
            *ret = c;
            c = (struct fetch_choice){0};
            return NULL;
        }
        TRY(give_up(e, c.full, &c.full_urls, f, &failed));
    }
    return TAKE(failed);
}

/* The newest incremental of the full archive that is here. first: the pair it was chosen for; it
 * ages while the full one is fetched, so that the sources are asked again. */
static struct err *fetch_incremental(struct ctx *ctx, const struct snapshot_want *want,
                                     struct fetching *f, const struct fetch_choice *first,
                                     struct strlist *have, uint64_t *ret_slot)
{
    AUTO(err_freep) struct err *failed = NULL;

    for (int i = 0; i < TRIES; i++) {
        AUTO(fetch_choice_clear) struct fetch_choice c = {0};
        struct err *e = choose(ctx, want, have, f, &c);
        /* A newer full one may have appeared meanwhile: the pair that is nearly here is better. */
        const struct fetch_choice *pair = !e && c.have_full ? &c : first;

        if (e && (e->kind != ERR_NOTFOUND || !failed))
            return e;
        if (e || (pair->incr && strlist_has(&f->bad, pair->incr)))
            return err_free(e), TAKE(failed);
        if (pair->incr && !pair->have_incr)
            e = fetch_one(ctx, want, pair->incr, &pair->incr_urls, f, have);
        if (!e) {
            *ret_slot = pair->slot;
            return NULL;
        }
        TRY(give_up(e, pair->incr, &pair->incr_urls, f, &failed));
    }
    return TAKE(failed);
}

static struct err *fetch_pair(struct ctx *ctx, const struct snapshot_want *want, struct fetching *f,
                              struct strlist *have, uint64_t *ret_slot)
{
    AUTO(fetch_choice_clear) struct fetch_choice first = {0};

    report_progress(f->report, "asking %zu sources", want->n_sources);
    TRY(fetch_full(ctx, want, f, have, &first));
    return fetch_incremental(ctx, want, f, &first, have, ret_slot);
}

struct err *snapshot_get(struct ctx *ctx, const struct snapshot_want *want,
                         const struct flow_report *report, bool *ret_changed, char **ret_summary)
{
    AUTO(strlist_clear) struct strlist have = {0};
    struct fetching f = {.report = report};
    AUTO(strbuf_clear) struct strbuf text = {0};
    struct err *e = NULL;
    uint64_t slot = 0;

    TRY(verified_local(ctx, want, report, &have, &slot));
    *ret_changed = have.n == 0 || age_of(want, slot) > want->max_age_slots;
    if (*ret_changed)
        e = fetch_pair(ctx, want, &f, &have, &slot);
    strbuf_printf(&text, "slot %" PRIu64 ", %" PRIu64 " behind the tip%s%s", slot,
                  age_of(want, slot), have.n ? ": " : "", have.n ? have.items[have.n - 1] : "");
    for (size_t i = 0; i < f.rejected.n && i < REJECTED_MAX; i++)
        strbuf_printf(&text, "%s%s", i ? "; " : "; not used: ", f.rejected.items[i]);
    if (f.rejected.n > REJECTED_MAX)
        strbuf_printf(&text, "; and %zu more", f.rejected.n - REJECTED_MAX);
    strlist_clear(&f.rejected);
    strlist_clear(&f.bad);
    TRY(e);
    *ret_summary = strbuf_take(&text);
    return NULL;
}
