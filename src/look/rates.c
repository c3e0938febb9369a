/* Two looks make a rate. More than two are kept, each at least the series's interval after the one
 * before it, so that asking every second still finds one that is old enough. The wall clock only
 * shows that looks are of one boot: the monotonic one starts again with each. */
#include "look/rates.h"

#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "io/fsroot.h"

#define FILE_MAX_B    65536
#define SCHEMA        2
#define REPLAY_GAP    150 /* a minute of slots: nearer, the cluster's own rate is what is seen */
#define REPLAY_MAX    1000.0
#define REPLAY_WEIGHT 0.2
#define UNPACK_S      5.0
#define UNPACK_MAX    1e11
#define UNPACK_WEIGHT 0.5 /* a look is a whole start */
#define REPLAY_UNIT   "milli_slots_s"
#define UNPACK_UNIT   "milli_b_s"
#define CLOCK_SKEW_MS 30000 /* by how much the two clocks may differ over an interval */

static const struct {
    const char *name;
    size_t n_values;
    bool falls;       /* may a value be smaller than before? */
    bool longest;     /* a trend over as long as possible; else what is going on now */
    uint64_t step_ms; /* between looks that are kept, and the shortest interval that counts */
    size_t n_looks;
} rules[RATES_N] = {
    [RATES_SLOTS] = {"slots", 2, false, false, RATES_MIN_MS, 2},
    [RATES_START] = {"start", 1, false, false, RATES_MIN_MS, 2},
    [RATES_MEMORY] = {"memory", 1, true, true, RATES_TREND_MS, RATES_LOOKS},
    [RATES_UDP] = {"udp", 3, false, false, RATES_MIN_MS, 2},
    [RATES_TVU] = {"tvu", 1, false, false, RATES_MIN_MS, 2},
};

static uint64_t ms_between(const struct rate_look *a, const struct rate_look *b)
{
    return (b->mono_ns - a->mono_ns) / 1000000;
}

/* May old be compared with now at all? */
static bool comparable(enum rates_series s, const struct rate_look *old,
                       const struct rate_look *now)
{
    uint64_t mono_ms, wall_ms;

    if (old->id != now->id || old->mono_ns > now->mono_ns || old->wall_ms > now->wall_ms)
        return false;
    for (size_t i = 0; i < rules[s].n_values; i++)
        if (!rules[s].falls && old->v[i] > now->v[i])
            return false;
    mono_ms = ms_between(old, now);
    wall_ms = now->wall_ms - old->wall_ms;
    return mono_ms <= RATES_MAX_MS && wall_ms <= mono_ms + CLOCK_SKEW_MS &&
           mono_ms <= wall_ms + CLOCK_SKEW_MS;
}

static struct rate rate_of(enum rates_series s, const struct rate_look *old,
                           const struct rate_look *now)
{
    uint64_t ms = ms_between(old, now);
    struct rate r = {.known = true, .over_ms = ms};

    for (size_t i = 0; i < rules[s].n_values; i++)
        r.per_s[i] = ((double)now->v[i] - (double)old->v[i]) * 1000 / (double)ms;
    return r;
}

/* Only what may be compared with now is of use later. */
static void forget(struct rates_book *b, enum rates_series s, const struct rate_look *now)
{
    size_t kept = 0;

    for (size_t i = 0; i < b->series[s].n; i++)
        if (comparable(s, &b->series[s].items[i], now))
            b->series[s].items[kept++] = b->series[s].items[i];
    b->series[s].n = kept;
}

static void keep(struct rates_book *b, enum rates_series s, const struct rate_look *now)
{
    struct rate_look *items = b->series[s].items;
    size_t *n = &b->series[s].n;

    if (*n > 0 && ms_between(&items[*n - 1], now) < rules[s].step_ms)
        return;
    if (*n == rules[s].n_looks)
        memmove(&items[0], &items[1], --*n * sizeof(items[0]));
    items[(*n)++] = *now;
    b->changed = true;
}

struct rate rates_add(struct rates_book *b, enum rates_series s, const struct rate_look *now)
{
    const struct rate_look *items = b->series[s].items;
    struct rate r = {0};

    forget(b, s, now);
    for (size_t i = b->series[s].n; i-- > 0;) {
        if (ms_between(&items[i], now) < rules[s].step_ms)
            continue;
        r = rate_of(s, &items[i], now);
        if (!rules[s].longest)
            break;
    }
    keep(b, s, now);
    return r;
}

static void learn(struct rates_book *b, struct rates_seen *s, double now, double weight,
                  uint64_t wall_ms)
{
    s->per_s = s->known ? s->per_s + (now - s->per_s) * weight : now;
    s->wall_ms = wall_ms;
    s->known = true;
    b->changed = true;
}

void rates_note_replay(struct rates_book *b, const struct rate *slots, uint64_t gap,
                       uint64_t wall_ms)
{
    double now = slots->per_s[0];

    if (!slots->known || gap < REPLAY_GAP || now <= slots->per_s[1] || now > REPLAY_MAX)
        return;
    learn(b, &b->replay, now, REPLAY_WEIGHT, wall_ms);
}

void rates_note_unpack(struct rates_book *b, uint64_t archives_b, double seconds, uint64_t wall_ms)
{
    if (!archives_b || seconds < UNPACK_S || (double)archives_b / seconds > UNPACK_MAX)
        return;
    learn(b, &b->unpack, (double)archives_b / seconds, UNPACK_WEIGHT, wall_ms);
}

/* ---- the file -------------------------------------------------------------------------------- */

static struct err *look_from(const struct json *j, enum rates_series s, struct rate_look *ret)
{
    const struct json *values = json_get(j, "v");
    struct rate_look l = {0};

    TRY(json_as_u64(json_get(j, "id"), &l.id));
    TRY(json_as_u64(json_get(j, "wall_ms"), &l.wall_ms));
    TRY(json_as_u64(json_get(j, "mono_ns"), &l.mono_ns));
    if (json_len(values) != rules[s].n_values)
        return err_new(ERR_CORRUPT, "a look has %zu values", json_len(values));
    for (size_t i = 0; i < rules[s].n_values; i++)
        TRY(json_as_u64(json_at(values, i), &l.v[i]));
    *ret = l;
    return NULL;
}

static struct err *series_from(const struct json *list, enum rates_series s, struct rates_book *b)
{
    if (json_len(list) > rules[s].n_looks)
        return err_new(ERR_CORRUPT, "too many looks");
    for (size_t i = 0; i < json_len(list); i++)
        TRY(look_from(json_at(list, i), s, &b->series[s].items[b->series[s].n++]));
    return NULL;
}

/* milli: in thousandths, since the book holds whole numbers. */
static struct err *seen_from(const struct json *j, const char *milli, double max,
                             struct rates_seen *ret)
{
    struct rates_seen r = {.known = true};
    uint64_t v = 0;

    if (!j)
        return NULL; /* nothing was measured */
    TRY(json_as_u64(json_get(j, milli), &v));
    TRY(json_as_u64(json_get(j, "wall_ms"), &r.wall_ms));
    r.per_s = (double)v / 1000;
    if (!(r.per_s > 0) || r.per_s > max)
        return err_new(ERR_CORRUPT, "no host does so much in a second");
    *ret = r;
    return NULL;
}

static struct err *load(struct ctx *ctx, const char *path, struct rates_book *ret)
{
    AUTO(json_freep) struct json *doc = NULL;
    AUTO(freep) char *text = NULL;
    uint64_t schema = 0;
    size_t n = 0;

    TRY(fsroot_read(ctx->root, path, FILE_MAX_B, &text, &n));
    TRY_CTX(json_parse(text, n, &doc), "'%s'", path);
    TRY_CTX(json_as_u64(json_get(doc, "schema_version"), &schema), "'%s'", path);
    if (schema != SCHEMA)
        return err_new(ERR_CORRUPT, "'%s' is of another version", path);
    for (enum rates_series s = 0; s < RATES_N; s++)
        TRY_CTX(series_from(json_get(doc, rules[s].name), s, ret), "'%s'", path);
    TRY_CTX(seen_from(json_get(doc, "replay"), REPLAY_UNIT, REPLAY_MAX, &ret->replay), "'%s'",
            path);
    TRY_CTX(seen_from(json_get(doc, "unpack"), UNPACK_UNIT, UNPACK_MAX, &ret->unpack), "'%s'",
            path);
    return NULL;
}

static struct json *series_json(const struct rates_book *b, enum rates_series s)
{
    struct json *list = json_new_array();

    for (size_t i = 0; i < b->series[s].n; i++) {
        const struct rate_look *l = &b->series[s].items[i];
        struct json *j = json_new_object(), *values = json_new_array();

        json_put(j, "id", json_new_u64(l->id));
        json_put(j, "wall_ms", json_new_u64(l->wall_ms));
        json_put(j, "mono_ns", json_new_u64(l->mono_ns));
        for (size_t v = 0; v < rules[s].n_values; v++)
            json_push(values, json_new_u64(l->v[v]));
        json_put(j, "v", values);
        json_push(list, j);
    }
    return list;
}

static void put_seen(struct json *doc, const char *name, const char *milli,
                     const struct rates_seen *s)
{
    struct json *j = s->known ? json_new_object() : NULL;

    if (!j)
        return;
    json_put(j, milli, json_new_u64((uint64_t)(s->per_s * 1000)));
    json_put(j, "wall_ms", json_new_u64(s->wall_ms));
    json_put(doc, name, j);
}

static struct err *save(struct ctx *ctx, const char *dir, const char *path,
                        const struct rates_book *b)
{
    AUTO(json_freep) struct json *doc = json_new_object();
    AUTO(freep) char *text = NULL;

    json_put(doc, "schema_version", json_new_u64(SCHEMA));
    for (enum rates_series s = 0; s < RATES_N; s++)
        json_put(doc, rules[s].name, series_json(b, s));
    put_seen(doc, "replay", REPLAY_UNIT, &b->replay);
    put_seen(doc, "unpack", UNPACK_UNIT, &b->unpack);
    text = json_text(doc, false);
    TRY(fsroot_mkdirs(ctx->root, dir, 0755));
    return fsroot_write_atomic(ctx->root, path, text, strlen(text), 0600);
}

void rates_load(struct ctx *ctx, const char *state_dir, struct rates_book *ret)
{
    AUTO(freep) char *path = xasprintf("%s/status-sample.json", state_dir);
    struct err *e;

    *ret = (struct rates_book){0};
    e = load(ctx, path, ret);
    if (!e)
        return;
    log_debug("rates: %s", e->text);
    (void)err_free(e); /* no figure is better than a wrong one; the next run has a base again */
    *ret = (struct rates_book){0};
}

void rates_save(struct ctx *ctx, const char *state_dir, struct rates_book *b)
{
    AUTO(freep) char *path = xasprintf("%s/status-sample.json", state_dir);
    struct err *e = b->changed ? save(ctx, state_dir, path, b) : NULL;

    b->changed = false;
    if (e)
        log_debug("rates: %s", e->text);
    (void)err_free(e); /* rates are a comfort; without the right to write there are none */
}
