/* Watches. What is known of each object is kept, so that a gap (a connection that broke, a history
 * that is gone) can be closed by a new list without telling anything twice or leaving out an end.
 * A connection is closed by the server every few seconds and taken up again from the last
 * resourceVersion: one that died without a word is then noticed as soon. */
#include "runtime/kube_watch.h"

#include "base/log.h"
#include "io/clock.h"
#include "io/http_loop.h"
#include "runtime/kube_parts.h"
#include "runtime/kube_wire.h"

#define STREAM_S  10 /* what the server is asked to hold a connection for */
#define SLACK_MS  3000
#define TICK_MS   500
#define KNOWN_MAX 10000
#define AWAY_MS   800 /* between tries: an end is to be seen within a second of its telling */
#define GONE_MS   500
#define NS_PER_MS 1000000ULL

const char *kube_seen_name(enum kube_seen what)
{
    static const char *const names[] = {"ADDED", "MODIFIED", "DELETED"};

    return names[what];
}

/* ---- lines and events --------------------------------------------------------------------------
 */

struct err *kube_lines_feed(struct strbuf *buf, const void *data, size_t n,
                            struct err *(*line)(void *arg, const char *text, size_t n), void *arg)
{
    const char *at = data, *end = at + n;

    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t piece = (size_t)((newline ? newline : end) - at);
        struct err *e = NULL;

        if (piece > KUBE_LINE_MAX_B - buf->len)
            return err_remote(0, "a line of more than %u bytes", KUBE_LINE_MAX_B);
        strbuf_add(buf, at, piece);
        at += piece + (newline != NULL);
        if (!newline)
            return NULL;
        if (buf->len)
            e = line(arg, buf->data, buf->len);
        buf->len = 0;
        TRY(e);
    }
    return NULL;
}

void kube_watch_event_clear(struct kube_watch_event *v)
{
    json_free(v->object);
    free(v->uid);
    free(v->version);
    *v = (struct kube_watch_event){0};
}

static struct err *event_type(const struct json *j, enum kube_event_type *ret)
{
    static const char *const names[] = {"ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"};
    const char *text;

    TRY_CTX(json_as_str(json_get(j, "type"), &text), "type");
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(text, names[i])) {
            *ret = (enum kube_event_type)i;
            return NULL;
        }
    AUTO(freep) char *shown = str_shown(text, 40);
    return err_remote(0, "type: '%s' is unknown", shown);
}

static struct err *text_of(const struct json *meta, const char *key, char **ret)
{
    const char *text;

    if (!json_get(meta, key))
        return NULL;
    TRY_CTX(json_as_str(json_get(meta, key), &text), "metadata/%s", key);
    *ret = *text ? xstrdup(text) : NULL;
    return NULL;
}

struct err *kube_watch_event_parse(const char *text, size_t n, struct kube_watch_event *ret)
{
    AUTO(kube_watch_event_clear) struct kube_watch_event v = {0};
    AUTO(kube_status_clear) struct kube_status status = {0};
    AUTO(json_freep) struct json *j = NULL;
    const struct json *meta;

    TRY(json_parse(text, n, &j));
    TRY(event_type(j, &v.type));
    if (!json_is_object(json_get(j, "object")))
        return err_remote(0, "no object");
    v.object = json_ref(json_get(j, "object"));
    if (v.type == KUBE_EV_ERROR) {
        TRY(kube_read_status(v.object, &status));
        v.code = status.code;
    } else {
        meta = json_get(v.object, "metadata");
        TRY(text_of(meta, "uid", &v.uid));
        TRY(text_of(meta, "resourceVersion", &v.version));
        if (!v.version || (!v.uid && v.type != KUBE_EV_BOOKMARK))
            return err_remote(0, "an object without uid or resourceVersion");
    }
    *ret = v;
    v = (struct kube_watch_event){0};
    return NULL;
}

/* ---- what is known -----------------------------------------------------------------------------
 */

struct known {
    char *uid, *version;
    struct json *object;
    bool listed; /* by the list that is being read */
};

struct watcher {
    struct ctx *ctx;
    struct kube k; /* asks once: what fails is tried again here */
    const struct kube_watch *w;
    uint64_t deadline, away_since_ns, ticked_ns;
    char *version; /* from where on the stream goes; NULL: a list is needed */
    struct known *known;
    size_t n_known, cap_known;
    bool stop, told_all;
    bool refused; /* since a stream was last taken up */
    struct err
        *said; /* what a function of the caller's failed with: never taken for the server's */
    struct err *away; /* why the server is not heard; NULL: it is */
    /* of one connection: */
    struct strbuf line;
    struct err *ended; /* how it ended; NULL: by the server, in order */
    int status;
    bool over;
};

static void known_clear(struct known *o)
{
    free(o->uid);
    free(o->version);
    json_free(o->object);
}

static void watcher_clear(struct watcher *s)
{
    for (size_t i = 0; i < s->n_known; i++)
        known_clear(&s->known[i]);
    free(s->known);
    free(s->version);
    strbuf_clear(&s->line);
    err_free(s->said);
    err_free(s->away);
    err_free(s->ended);
}

/* An answer of the caller's, or of ours in its place: the watch is over when it is an error. */
static void heard(struct watcher *s, struct err *e)
{
    if (!e)
        return;
    err_free(s->said);
    s->said = e;
    s->stop = true;
}

static struct known *find(struct watcher *s, const char *uid)
{
    for (size_t i = 0; i < s->n_known; i++)
        if (str_eq(s->known[i].uid, uid))
            return &s->known[i];
    return NULL;
}

static void tell(struct watcher *s, enum kube_seen what, const struct json *object)
{
    if (!s->stop)
        heard(s, s->w->seen(s->w->arg, what, object, &s->stop));
}

/* An object as the server says that it is now. */
static struct err *put(struct watcher *s, const char *uid, const char *version,
                       const struct json *object)
{
    struct known *o = find(s, uid);
    bool is_new = !o;

    if (o && str_eq(o->version, version)) {
        o->listed = true;
        return NULL;
    }
    if (is_new) {
        if (s->n_known == KNOWN_MAX)
            return err_remote(0, "more than %d objects", KNOWN_MAX);
        s->known = xgrow(s->known, &s->cap_known, s->n_known + 1, sizeof(*s->known));
        o = &s->known[s->n_known++];
        *o = (struct known){.uid = xstrdup(uid)};
    }
    free(o->version);
    json_free(o->object);
    o->version = xstrdup(version);
    o->object = json_ref(object);
    o->listed = true;
    tell(s, is_new ? KUBE_ADDED : KUBE_MODIFIED, object);
    return NULL;
}

/* object NULL: as it was seen last. */
static void drop(struct watcher *s, size_t i, const struct json *object)
{
    struct known o = s->known[i];

    s->known[i] = s->known[--s->n_known];
    tell(s, KUBE_DELETED, object ? object : o.object);
    known_clear(&o);
}

static void take_version(struct watcher *s, const char *version)
{
    free(s->version);
    s->version = version ? xstrdup(version) : NULL;
}

/* ---- time --------------------------------------------------------------------------------------
 */

static void set_away(struct watcher *s, struct err *why)
{
    if (!s->away)
        s->away_since_ns = clock_mono_ns(s->ctx);
    err_free(s->away);
    s->away = why;
}

static void tick(struct watcher *s)
{
    uint64_t now = clock_mono_ns(s->ctx);
    struct err *e;

    s->ticked_ns = now;
    if (s->w->tick && !s->stop)
        heard(s, s->w->tick(s->w->arg, s->away, s->away ? (now - s->away_since_ns) / NS_PER_MS : 0,
                            &s->stop));
    if (s->stop || !deadline_passed(s->ctx, s->deadline))
        return;
    e = err_new(ERR_TIMEOUT, "kubernetes at '%s': not within %u s", s->k.access->server,
                s->w->within_ms / 1000);
    heard(s, s->away ? err_hint(e, "it does not answer: %s", s->away->text) : e);
}

static struct err *pause_for(struct watcher *s, uint64_t ms)
{
    uint64_t until = deadline_in_ms(s->ctx, ms);

    while (!s->stop && !deadline_passed(s->ctx, until)) {
        uint64_t left = deadline_left_ms(s->ctx, until);

        s->ctx->clock->wait((left < TICK_MS ? left : TICK_MS) * NS_PER_MS, s->ctx->cancelled);
        if (ctx_cancelled(s->ctx))
            return err_new(ERR_CANCELLED, "kubernetes: interrupted");
        tick(s);
    }
    return NULL;
}

/* ---- a list ------------------------------------------------------------------------------------
 */

/* The path of the list, with the query that both it and the stream have. */
static struct err *path_of(const struct kube_watch *w, char **ret)
{
    AUTO(freep) char *path = NULL;
    AUTO(freep) char *name_path = NULL;
    AUTO(freep) char *selector = w->selector ? kube_escaped(w->selector) : NULL;

    TRY(kube_path(w->kind, w->name_space, NULL, &path));
    if (w->name)
        TRY(kube_path(w->kind, w->name_space, w->name, &name_path)); /* can it be one */
    *ret = xasprintf("%s?%s%s%s%s", path, w->name ? "fieldSelector=metadata.name%3D" : "",
                     w->name ? w->name : "", selector ? "&labelSelector=" : "",
                     selector ? selector : "");
    return NULL;
}

static struct err *take_item(struct watcher *s, const struct json *object)
{
    AUTO(freep) char *uid = NULL;
    AUTO(freep) char *version = NULL;
    const struct json *meta = json_get(object, "metadata");

    TRY(text_of(meta, "uid", &uid));
    TRY(text_of(meta, "resourceVersion", &version));
    if (!uid || !version)
        return err_remote(0, "an object without uid or resourceVersion");
    return put(s, uid, version, object);
}

static struct err *take_list(struct watcher *s, const char *body, size_t n)
{
    AUTO(freep) char *kind = xasprintf("%sList", kube_kind_info(s->w->kind)->kind);
    AUTO(freep) char *version = NULL;
    AUTO(json_freep) struct json *j = NULL;
    const struct json *items;

    TRY(json_parse(body, n, &j));
    TRY(kube_need_list(j, kind));
    TRY(text_of(json_get(j, "metadata"), "resourceVersion", &version));
    if (!version)
        return err_remote(0, "a list without resourceVersion");
    for (size_t i = 0; i < s->n_known; i++)
        s->known[i].listed = false;
    items = json_get(j, "items");
    for (size_t i = 0; i < json_len(items); i++)
        TRY(take_item(s, json_at(items, i)));
    for (size_t i = s->n_known; i-- > 0;)
        if (!s->known[i].listed)
            drop(s, i, NULL);
    take_version(s, version);
    if (s->told_all || !s->w->listed || s->stop)
        return NULL;
    s->told_all = true;
    heard(s, s->w->listed(s->w->arg, &s->stop));
    return NULL;
}

static struct err *list(struct watcher *s, const char *path)
{
    AUTO(http_response_clear) struct http_response r = {0};

    TRY(kube_ask(s->ctx, &s->k, path, &r));
    s->away = err_free(s->away);
    return take_list(s, r.body, r.body_n);
}

/* ---- a stream ----------------------------------------------------------------------------------
 */

static struct err *on_line(void *arg, const char *text, size_t n)
{
    struct watcher *s = arg;
    AUTO(kube_watch_event_clear) struct kube_watch_event v = {0};
    struct known *o;

    if (s->stop)
        return NULL;
    TRY(kube_watch_event_parse(text, n, &v));
    if (v.type == KUBE_EV_ERROR && v.code == 410) { /* too old: from a new list on */
        take_version(s, NULL);
        s->over = true;
        return NULL;
    }
    if (v.type == KUBE_EV_ERROR) {
        AUTO(freep) char *said = json_text(v.object, false);

        return kube_refusal(&s->k, (int)v.code, said, strlen(said));
    }
    take_version(s, v.version);
    if (v.type == KUBE_EV_BOOKMARK)
        return NULL;
    if (v.type != KUBE_EV_DELETED)
        return put(s, v.uid, v.version, v.object);
    o = find(s, v.uid);
    if (o)
        drop(s, (size_t)(o - s->known), v.object);
    return NULL;
}

static struct err *on_data(void *arg, const void *data, size_t n)
{
    struct watcher *s = arg;

    return kube_lines_feed(&s->line, data, n, on_line, s);
}

static struct err *on_answer(void *arg, const struct http_answer *a)
{
    struct watcher *s = arg;

    s->away = err_free(s->away); /* it is there, and has taken up the watch */
    s->refused = false;
    return NULL;
}

static void on_done(void *arg, struct http_transfer *t, struct http_response *r)
{
    struct watcher *s = arg;

    s->over = true;
    s->status = r->status;
    s->ended = TAKE(r->err);
    if (!s->ended && (r->status < 200 || r->status > 299))
        s->ended = kube_refusal(&s->k, r->status, r->body, r->body_n);
}

static struct err *on_round(void *arg, bool *ret_stop)
{
    struct watcher *s = arg;
    uint64_t now = clock_mono_ns(s->ctx);

    if (now - s->ticked_ns >= TICK_MS * NS_PER_MS)
        tick(s);
    *ret_stop = s->stop || s->over;
    return NULL;
}

/* One connection, to its end. */
static struct err *stream(struct watcher *s, const char *list_path)
{
    AUTO(http_question_clear) struct http_question q = {0};
    AUTO(http_loop_freep) struct http_loop *l = NULL;
    AUTO(freep)
    char *path = xasprintf("%s&watch=true&allowWatchBookmarks=true&timeoutSeconds=%d"
                           "&resourceVersion=%s",
                           list_path, STREAM_S, s->version);

    if (s->k.access->exec)
        TRY(kube_exec_fresh(s->ctx, s->k.access->exec, false));
    kube_question(&s->k, path, &q);
    q.req.timeout_ms = STREAM_S * 1000 + SLACK_MS;
    q.req.max_body_b = UINT64_MAX / 2;
    q.req.on_data = on_data;
    q.req.on_answer = on_answer;
    q.req.arg = s;
    s->line.len = 0;
    s->over = false;
    s->status = 0;
    TRY(http_loop_new(s->ctx, &(struct http_loop_opts){0}, &l));
    http_begin(l, &q.req, on_done, s);
    return http_loop_run(l, 100, on_round, s);
}

/* ---- the whole ---------------------------------------------------------------------------------
 */

/* A list is asked with more care (kube_call) and tells whether a refusal is meant: a plugin's
 * credentials that ran out, a server that has just started. And it mends a version that the server
 * no longer has (410), or not yet, since its store was put back to an older state (504). */
static bool needs_list(struct watcher *s, const struct err *e)
{
    bool refused = e->remote == 401 || e->remote == 403;

    if (e->remote != 410 && e->remote != 504 && (!refused || !s->version || s->refused))
        return false;
    s->refused |= refused;
    return true;
}

/* Goes on after a failure that may pass; *n counts them in a row. */
static struct err *ride_out(struct watcher *s, struct err *e, unsigned *n)
{
    bool stale = needs_list(s, e);

    if (!stale && !kube_may_pass(e))
        return e;
    if (stale)
        take_version(s, NULL);
    log_debug("kubernetes: the watch broke: %s", e->text);
    set_away(s, e);
    (*n)++;
    return pause_for(s, *n < 4 ? 100u << *n : AWAY_MS);
}

static struct err *follow(struct watcher *s, const char *path)
{
    unsigned failures = 0;

    while (!s->stop) {
        struct err *e = s->version ? NULL : list(s, path);

        if (!e && !s->stop)
            e = stream(s, path);
        if (!e)
            e = TAKE(s->ended);
        if (s->stop)
            return err_free(e);
        tick(s); /* a list takes its time, and a server may end each stream at once */
        if (!e)
            failures = 0;
        else
            TRY(ride_out(s, e, &failures));
    }
    return NULL;
}

struct err *kube_watch(struct ctx *ctx, const struct kube *k, const struct kube_watch *w)
{
    AUTO(watcher_clear) struct watcher s = {.ctx = ctx, .k = *k, .w = w};
    AUTO(freep) char *path = NULL;

    s.k.retry_ms = 0;
    s.deadline = w->within_ms ? deadline_in_ms(ctx, w->within_ms) : 0;
    TRY(path_of(w, &path));
    TRY(follow(&s, path));
    return TAKE(s.said);
}

/* ---- one object's end --------------------------------------------------------------------------
 */

struct wait {
    const char *uid;
    bool there;
    kube_tick_fn *tick;
    void *arg;
};

static struct err *wait_seen(void *arg, enum kube_seen what, const struct json *object,
                             bool *ret_stop)
{
    struct wait *w = arg;
    const struct json *uid = json_get(json_get(object, "metadata"), "uid");
    const char *text;

    TRY(json_as_str(uid, &text));
    if (!str_eq(text, w->uid))
        return NULL;
    w->there = what != KUBE_DELETED;
    *ret_stop = !w->there;
    return NULL;
}

static struct err *wait_listed(void *arg, bool *ret_stop)
{
    const struct wait *w = arg;

    *ret_stop = !w->there;
    return NULL;
}

static struct err *wait_tick(void *arg, const struct err *why, uint64_t away_ms, bool *ret_stop)
{
    const struct wait *w = arg;

    return w->tick ? w->tick(w->arg, why, away_ms, ret_stop) : NULL;
}

/* *ret_gone; whether the server answered is *ret_why. */
static struct err *look_for(struct ctx *ctx, const struct kube *k, const char *path,
                            const char *uid, bool *ret_gone, struct err **ret_why)
{
    AUTO(http_response_clear) struct http_response r = {0};
    AUTO(kube_meta_clear) struct kube_meta live = {0};
    AUTO(json_freep) struct json *j = NULL;
    struct err *e = kube_ask(ctx, k, path, &r);

    *ret_gone = e && e->kind == ERR_NOTFOUND;
    if (*ret_gone)
        return err_free(e);
    if (e && kube_may_pass(e)) {
        *ret_why = e;
        return NULL;
    }
    TRY(e);
    TRY(json_parse(r.body, r.body_n, &j));
    TRY(kube_read_meta(j, &live));
    *ret_gone = !live.uid || !str_eq(live.uid, uid);
    return NULL;
}

static struct err *poll_gone(struct ctx *ctx, const struct kube *k, const char *path,
                             struct wait *w, uint32_t within_ms)
{
    uint64_t deadline = within_ms ? deadline_in_ms(ctx, within_ms) : 0, away_ns = 0;

    for (;;) {
        AUTO(err_freep) struct err *why = NULL;
        bool gone = false, stop = false;

        TRY(look_for(ctx, k, path, w->uid, &gone, &why));
        if (gone)
            return NULL;
        if (!why)
            away_ns = 0;
        else if (!away_ns)
            away_ns = clock_mono_ns(ctx);
        TRY(wait_tick(w, why, away_ns ? (clock_mono_ns(ctx) - away_ns) / NS_PER_MS : 0, &stop));
        if (stop)
            return NULL;
        if (deadline_passed(ctx, deadline))
            return err_new(ERR_TIMEOUT, "kubernetes at '%s': not within %u s", k->access->server,
                           within_ms / 1000);
        ctx->clock->wait(GONE_MS * NS_PER_MS, ctx->cancelled);
        if (ctx_cancelled(ctx))
            return err_new(ERR_CANCELLED, "kubernetes: interrupted");
    }
}

struct err *kube_wait_gone(struct ctx *ctx, const struct kube *k, enum kube_kind kind,
                           const struct kube_meta *seen, uint32_t within_ms, kube_tick_fn *on_tick,
                           void *arg)
{
    struct wait wait = {.uid = seen->uid, .tick = on_tick, .arg = arg};
    const struct kube_watch w = {.kind = kind,
                                 .name_space = seen->name_space,
                                 .name = seen->name,
                                 .within_ms = within_ms,
                                 .seen = wait_seen,
                                 .listed = wait_listed,
                                 .tick = wait_tick,
                                 .arg = &wait};
    AUTO(freep) char *path = NULL;
    struct kube once = *k;

    TRY(kube_path(kind, seen->name_space, seen->name, &path));
    struct err *e = kube_watch(ctx, k, &w);
    if (!e || e->kind != ERR_REFUSED || e->remote != 403)
        return e;
    err_free(e);
    once.retry_ms = 0;
    return poll_gone(ctx, &once, path, &wait, within_ms);
}
