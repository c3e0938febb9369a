/* Two looks make a rate. Two are kept, the newer one at least RATES_MIN_MS after the older, so that
 * asking every second still finds one that is old enough. Time is the monotonic clock's: a step of
 * the wall clock makes no slots. The wall clock only shows that both looks are of one boot. */
#include "look/rates.h"

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "io/fsroot.h"
#include "solana/rpc.h"

#define FILE_MAX_B    4096
#define SCHEMA        1
#define CLOCK_SKEW_MS 30000 /* by how much the two clocks may differ over an interval */

struct looks {
    struct rate_look items[2]; /* older first */
    size_t n;
};

static uint64_t ms_between(const struct rate_look *a, const struct rate_look *b)
{
    return (b->mono_ns - a->mono_ns) / 1000000;
}

/* May old be compared with now at all? */
static bool comparable(const struct rate_look *old, const struct rate_look *now)
{
    uint64_t mono_ms, wall_ms;

    if (old->start_ms != now->start_ms || old->mono_ns > now->mono_ns ||
        old->wall_ms > now->wall_ms || old->slot > now->slot || old->tip > now->tip)
        return false;
    mono_ms = ms_between(old, now);
    wall_ms = now->wall_ms - old->wall_ms;
    return mono_ms <= RATES_MAX_MS && wall_ms <= mono_ms + CLOCK_SKEW_MS &&
           mono_ms <= wall_ms + CLOCK_SKEW_MS;
}

static struct err *look_from(const struct json *j, struct rate_look *ret)
{
    struct rate_look l = {0};

    TRY(json_as_u64(json_get(j, "start_ms"), &l.start_ms));
    TRY(json_as_u64(json_get(j, "slot"), &l.slot));
    TRY(json_as_u64(json_get(j, "tip"), &l.tip));
    TRY(json_as_u64(json_get(j, "wall_ms"), &l.wall_ms));
    TRY(json_as_u64(json_get(j, "mono_ns"), &l.mono_ns));
    if (l.slot > RPC_SLOT_MAX || l.tip > RPC_SLOT_MAX)
        return err_new(ERR_CORRUPT, "a slot is not plausible");
    *ret = l;
    return NULL;
}

/* The kept looks that may be compared with now. */
static struct err *load(struct ctx *ctx, const char *path, const struct rate_look *now,
                        struct looks *ret)
{
    AUTO(json_freep) struct json *doc = NULL;
    AUTO(freep) char *text = NULL;
    const struct json *list;
    uint64_t schema = 0;
    size_t n = 0;

    TRY(fsroot_read(ctx->root, path, FILE_MAX_B, &text, &n));
    TRY_CTX(json_parse(text, n, &doc), "'%s'", path);
    TRY_CTX(json_as_u64(json_get(doc, "schema_version"), &schema), "'%s'", path);
    list = json_get(doc, "looks");
    if (schema != SCHEMA || json_len(list) > ARRAY_LEN(ret->items))
        return err_new(ERR_CORRUPT, "'%s' is of another version", path);
    for (size_t i = 0; i < json_len(list); i++) {
        struct rate_look l;

        TRY_CTX(look_from(json_at(list, i), &l), "'%s'", path);
        if (comparable(&l, now))
            ret->items[ret->n++] = l;
    }
    return NULL;
}

static struct err *save(struct ctx *ctx, const char *dir, const char *path,
                        const struct looks *looks)
{
    AUTO(json_freep) struct json *doc = json_new_object();
    struct json *list = json_new_array();
    AUTO(freep) char *text = NULL;

    json_put(doc, "schema_version", json_new_u64(SCHEMA));
    json_put(doc, "looks", list);
    for (size_t i = 0; i < looks->n; i++) {
        const struct rate_look *l = &looks->items[i];
        struct json *j = json_new_object();

        json_put(j, "start_ms", json_new_u64(l->start_ms));
        json_put(j, "slot", json_new_u64(l->slot));
        json_put(j, "tip", json_new_u64(l->tip));
        json_put(j, "wall_ms", json_new_u64(l->wall_ms));
        json_put(j, "mono_ns", json_new_u64(l->mono_ns));
        json_push(list, j);
    }
    text = json_text(doc, false);
    TRY(fsroot_mkdirs(ctx->root, dir, 0755));
    return fsroot_write_atomic(ctx->root, path, text, strlen(text), 0600);
}

struct rates rates_update(struct ctx *ctx, const char *state_dir, const struct rate_look *now)
{
    AUTO(freep) char *path = xasprintf("%s/status-sample.json", state_dir);
    struct rates r = {0};
    struct looks looks = {0};
    struct err *e = load(ctx, path, now, &looks);

    if (e) { /* no figure is better than a wrong one; the next run has a base again */
        log_debug("rates: %s", e->text);
        e = err_free(e);
        looks = (struct looks){0};
    }
    for (size_t i = looks.n; i-- > 0 && !r.known;) {
        uint64_t ms = ms_between(&looks.items[i], now);

        if (ms >= RATES_MIN_MS)
            r = (struct rates){
                .known = true,
                .replay = (double)(now->slot - looks.items[i].slot) * 1000 / (double)ms,
                .chain = (double)(now->tip - looks.items[i].tip) * 1000 / (double)ms,
            };
    }
    if (looks.n > 0 && ms_between(&looks.items[looks.n - 1], now) < RATES_MIN_MS)
        return r;
    if (looks.n == ARRAY_LEN(looks.items))
        looks.items[0] = looks.items[--looks.n];
    looks.items[looks.n++] = *now;
    e = save(ctx, state_dir, path, &looks);
    if (e)
        log_debug("rates: %s", e->text);
    (void)err_free(e); /* rates are a comfort; without the right to write there are none */
    return r;
}
