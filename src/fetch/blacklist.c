/* The list of what is not tried again, and its file. Who gets onto it is decided elsewhere. */
#include "fetch/blacklist.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "base/json.h"
#include "base/str.h"
#include "io/clock.h"
#include "io/fsroot.h"

#define FILE_MAX_B   ((size_t)4 << 20)
#define VALUE_MAX    256
#define WHY_MAX      512
#define LOCK_MS      5000
#define LOCK_POLL_MS 20

static const char *const kinds[BLACKLIST_KINDS] = {
    [BLACKLIST_PEER] = "peer", [BLACKLIST_HASH] = "hash", [BLACKLIST_VERSION] = "version"};

const char *blacklist_kind_name(enum blacklist_kind k)
{
    return kinds[k];
}

static void entry_clear(struct blacklist_entry *e)
{
    free(e->value);
    free(e->addr);
    free(e->why);
    *e = (struct blacklist_entry){0};
}

void blacklist_clear(struct blacklist *b)
{
    for (size_t i = 0; i < b->n; i++)
        entry_clear(&b->items[i]);
    free(b->items);
    strlist_clear(&b->forgotten);
    *b = (struct blacklist){0};
}

static void remove_at(struct blacklist *b, size_t i)
{
    entry_clear(&b->items[i]);
    memmove(b->items + i, b->items + i + 1, (b->n - i - 1) * sizeof(*b->items));
    b->n--;
    b->changed = true;
}

static bool is_over(const struct blacklist_entry *e, uint64_t now_ms)
{
    return e->until_ms && e->until_ms <= now_ms;
}

static struct blacklist_entry *entry_of(const struct blacklist *b, enum blacklist_kind k,
                                        const char *value)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->items[i].kind == k && str_eq(b->items[i].value, value))
            return &b->items[i];
    return NULL;
}

/* What a full list can do without best: nodes come back by themselves anyway. */
static bool make_room(struct blacklist *b)
{
    size_t first = SIZE_MAX;

    if (b->n < BLACKLIST_MAX)
        return true;
    for (size_t i = 0; i < b->n; i++)
        if (b->items[i].kind == BLACKLIST_PEER && b->items[i].until_ms &&
            (first == SIZE_MAX || b->items[i].until_ms < b->items[first].until_ms))
            first = i;
    if (first == SIZE_MAX)
        return false;
    remove_at(b, first);
    return true;
}

static bool is_value(const char *text)
{
    return *text && strlen(text) <= VALUE_MAX && !str_has_control(text);
}

static void add(struct blacklist *b, enum blacklist_kind k, const char *value, const char *addr,
                const char *why, uint64_t until_ms)
{
    struct blacklist_entry *e = entry_of(b, k, value);

    if (!is_value(value))
        return;
    if (!e) {
        if (!make_room(b))
            return;
        b->items = xgrow(b->items, &b->cap, b->n + 1, sizeof(*b->items));
        e = &b->items[b->n++];
        *e = (struct blacklist_entry){.kind = k, .value = xstrdup(value), .until_ms = until_ms};
    }
    if (until_ms == 0 || (e->until_ms && until_ms > e->until_ms))
        e->until_ms = until_ms;
    if (addr && is_value(addr)) {
        free(e->addr);
        e->addr = xstrdup(addr);
    }
    free(e->why);
    e->why = str_shown(why, WHY_MAX);
    e->ours = b->changed = true;
}

void blacklist_add(struct blacklist *b, enum blacklist_kind k, const char *value, const char *why,
                   uint64_t until_ms)
{
    add(b, k, value, NULL, why, until_ms);
}

void blacklist_add_peer(struct blacklist *b, const char *id, const char *origin, const char *why,
                        uint64_t until_ms)
{
    add(b, BLACKLIST_PEER, id ? id : origin, id ? origin : NULL, why, until_ms);
}

static void unchanged(struct blacklist *b)
{
    for (size_t i = 0; i < b->n; i++)
        b->items[i].ours = false;
    strlist_clear(&b->forgotten);
    b->changed = false;
}

/* ---- the file ------------------------------------------------------------------------------ */

static struct err *kind_of(const struct json *j, enum blacklist_kind *ret)
{
    const char *text;

    TRY(json_as_str(j, &text));
    for (int k = 0; k < BLACKLIST_KINDS; k++)
        if (str_eq(kinds[k], text)) {
            *ret = (enum blacklist_kind)k;
            return NULL;
        }
    AUTO(freep) char *shown = str_shown(text, 40);
    return err_new(ERR_BADINPUT, "'%s' is no kind of entry", shown);
}

static struct err *text_of(const struct json *j, size_t max, const char **ret)
{
    TRY(json_as_str(j, ret));
    if (strlen(*ret) > max || str_has_control(*ret))
        return err_new(ERR_BADINPUT, "it is too long or has control characters");
    return NULL;
}

static struct err *parse_entry(const struct json *j, uint64_t now_ms, struct blacklist *b)
{
    struct blacklist_entry e = {0};
    const char *value, *why, *addr = NULL;
    const struct json *until = json_get(j, "until_ms");

    TRY_CTX(kind_of(json_get(j, "kind"), &e.kind), "kind");
    TRY_CTX(text_of(json_get(j, "value"), VALUE_MAX, &value), "value");
    if (!*value)
        return err_new(ERR_BADINPUT, "value: it is empty");
    TRY_CTX(text_of(json_get(j, "why"), WHY_MAX, &why), "why");
    if (json_get(j, "addr"))
        TRY_CTX(text_of(json_get(j, "addr"), VALUE_MAX, &addr), "addr");
    if (until)
        TRY_CTX(json_as_u64(until, &e.until_ms), "until_ms");
    if (!is_over(&e, now_ms))
        add(b, e.kind, value, addr, why, e.until_ms);
    return NULL;
}

static struct err *parse(const struct json *doc, uint64_t now_ms, struct blacklist *ret)
{
    const struct json *entries = json_get(doc, "entries");
    uint64_t version;

    TRY_CTX(json_as_u64(json_get(doc, "schema_version"), &version), "schema_version");
    if (version != 1)
        return err_new(ERR_BADINPUT, "schema_version: it is one of a later agavectl");
    if (!json_is_array(entries) || json_len(entries) > BLACKLIST_MAX)
        return err_new(ERR_BADINPUT, "entries: not a list of at most %d", BLACKLIST_MAX);
    for (size_t i = 0; i < json_len(entries); i++)
        TRY_CTX(parse_entry(json_at(entries, i), now_ms, ret), "entry %zu", i + 1);
    return NULL;
}

struct err *blacklist_parse(const char *text, size_t n, uint64_t now_ms, struct blacklist *ret)
{
    AUTO(json_freep) struct json *doc = NULL;
    AUTO(blacklist_clear) struct blacklist b = {0};
    struct err *e = json_parse(text, n, &doc);

    if (!e)
        e = parse(doc, now_ms, &b);
    if (e) {
        struct err *bad = err_new(ERR_BADINPUT, "%s", e->text);

        err_free(e);
        return bad;
    }
    unchanged(&b);
    *ret = b;
    b = (struct blacklist){0};
    return NULL;
}

char *blacklist_text(const struct blacklist *b)
{
    AUTO(json_freep) struct json *doc = json_new_object();
    struct json *entries = json_new_array();

    json_put(doc, "schema_version", json_new_u64(1));
    for (size_t i = 0; i < b->n; i++) {
        const struct blacklist_entry *e = &b->items[i];
        struct json *j = json_new_object();

        json_put(j, "kind", json_new_str(kinds[e->kind]));
        json_put(j, "value", json_new_str(e->value));
        if (e->addr)
            json_put(j, "addr", json_new_str(e->addr));
        json_put(j, "why", json_new_str(e->why));
        json_put(j, "until_ms", e->until_ms ? json_new_u64(e->until_ms) : NULL);
        json_push(entries, j);
    }
    json_put(doc, "entries", entries);
    return json_text(doc, true);
}

struct err *blacklist_load(struct ctx *ctx, const char *path, struct blacklist *ret)
{
    AUTO(freep) char *text = NULL;
    size_t n = 0;
    struct err *e = fsroot_read(ctx->root, path, FILE_MAX_B, &text, &n);

    if (e && e->kind == ERR_NOTFOUND) {
        *ret = (struct blacklist){0};
        return err_free(e);
    }
    if (!e)
        e = err_wrap(blacklist_parse(text, n, clock_wall_ms(ctx), ret), "'%s'", path);
    return e && e->kind == ERR_BADINPUT
               ? err_hint(e, "remove it to begin with an empty list of what is not tried")
               : e;
}

/* The file itself is replaced by every save, so that a lock on it would be of another one. */
static struct err *try_lock(struct ctx *ctx, void *arg, bool *ret_done)
{
    const int *fd = arg;

    *ret_done = flock(*fd, LOCK_EX | LOCK_NB) == 0;
    return *ret_done || errno == EWOULDBLOCK || errno == EINTR ? NULL
                                                               : err_sys(errno, "cannot lock it");
}

static struct err *lock(struct ctx *ctx, const char *path, int *ret_fd)
{
    AUTO(freep) char *name = xasprintf("%s.lock", path);
    AUTO(closep) int fd = -1;

    TRY(fsroot_openat(ctx->root, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600, &fd));
    TRY_CTX(wait_until(ctx, "the lock of another agavectl", LOCK_MS, LOCK_POLL_MS, try_lock, &fd),
            "'%s'", name);
    *ret_fd = TAKE_FD(fd);
    return NULL;
}

/* Ours into what the file says by now. */
static void merge(const struct blacklist *ours, struct blacklist *into)
{
    for (size_t i = 0; i < ours->forgotten.n; i++)
        (void)blacklist_forget(into, ours->forgotten.items[i]);
    for (size_t i = 0; i < ours->n; i++) {
        const struct blacklist_entry *e = &ours->items[i];

        if (e->ours)
            add(into, e->kind, e->value, e->addr, e->why, e->until_ms);
    }
}

struct err *blacklist_save(struct ctx *ctx, const char *path, struct blacklist *b)
{
    const char *slash = strrchr(path, '/');
    AUTO(freep) char *dir = xstrndup(path, slash ? (size_t)(slash - path) : 0);
    AUTO(blacklist_clear) struct blacklist now = {0};
    AUTO(freep) char *text = NULL;
    AUTO(closep) int lock_fd = -1;

    if (!b->changed)
        return NULL;
    if (*dir)
        TRY(fsroot_mkdirs(ctx->root, dir, 0755));
    TRY(lock(ctx, path, &lock_fd));
    TRY(blacklist_load(ctx, path, &now));
    merge(b, &now);
    text = blacklist_text(&now);
    TRY(fsroot_write_atomic(ctx->root, path, text, strlen(text), 0644));
    unchanged(&now);
    blacklist_clear(b);
    *b = now;
    now = (struct blacklist){0};
    return NULL;
}

bool blacklist_forget(struct blacklist *b, const char *value)
{
    size_t before = b->n;

    for (size_t i = b->n; i-- > 0;)
        if (str_eq(b->items[i].value, value) ||
            (b->items[i].addr && str_eq(b->items[i].addr, value)))
            remove_at(b, i);
    if (b->n != before)
        strlist_add(&b->forgotten, value);
    return b->n != before;
}

const struct blacklist_entry *blacklist_find(const struct blacklist *b, enum blacklist_kind k,
                                             const char *value, uint64_t now_ms)
{
    const struct blacklist_entry *e = value ? entry_of(b, k, value) : NULL;

    return e && !is_over(e, now_ms) ? e : NULL;
}

const struct blacklist_entry *blacklist_find_peer(const struct blacklist *b, const char *id,
                                                  const char *origin, uint64_t now_ms)
{
    const struct blacklist_entry *e = blacklist_find(b, BLACKLIST_PEER, id, now_ms);

    e = e ? e : blacklist_find(b, BLACKLIST_PEER, origin, now_ms);
    for (size_t i = 0; !e && !id && i < b->n; i++)
        if (b->items[i].addr && str_eq(b->items[i].addr, origin) && !is_over(&b->items[i], now_ms))
            e = &b->items[i];
    return e;
}
