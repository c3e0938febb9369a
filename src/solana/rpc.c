/* JSON-RPC client over io/http: asks one or many nodes at once and checks every byte of the
 * answers. Agave 3.0.14 answers 200 with an error object to everything that reaches its handler, so
 * any other status comes from something in between. Does not retry and keeps no connection. */
#include "solana/rpc.h"

#include "base/str.h"
#include "io/http.h"

static const char *const json_headers[] = {"Content-Type: application/json", NULL};

const char *rpc_commitment_name(enum rpc_commitment c)
{
    static const char *const names[] = {"processed", "confirmed", "finalized"};

    return names[c];
}

const char *rpc_commitment_params(enum rpc_commitment c)
{
    static const char *const params[] = {
        "[{\"commitment\":\"processed\"}]",
        "[{\"commitment\":\"confirmed\"}]",
        "[{\"commitment\":\"finalized\"}]",
    };

    return params[c];
}

char *rpc_url_label(const char *url)
{
    const char *scheme_end = strstr(url, "://");
    const char *host = scheme_end ? scheme_end + 3 : url;
    size_t n = strcspn(host, "/?#");
    const char *at;

    /* What stands before the last @ is a user and a password. */
    at = memrchr(host, '@', n);
    if (at) {
        n -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    return xasprintf("%.*s%.*s%s", scheme_end ? (int)(scheme_end + 3 - url) : 0, url, (int)n, host,
                     host[n] == 0 || str_eq(host + n, "/") ? host + n : "/...");
}

void rpc_calls_clear(struct rpc_call *calls, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        calls[i].result = json_free(calls[i].result);
        calls[i].error = json_free(calls[i].error);
        calls[i].err = err_free(calls[i].err);
    }
}

static void call_clear(struct rpc_call *c)
{
    rpc_calls_clear(c, 1);
}

static struct err *named(struct err *e, const struct rpc_call *c)
{
    AUTO(freep) char *label = rpc_url_label(c->url);

    return err_wrap(e, "%s at '%s'", c->method, label);
}

static struct err *not_json(const char *body, size_t n)
{
    size_t at = 0;

    while (at < n && strchr(" \t\r\n", body[at]))
        at++;
    if (at == n)
        return err_new(ERR_REMOTE, "an empty answer");
    if (body[at] == '<')
        return err_new(ERR_REMOTE,
                       "a web page instead of JSON-RPC; is this the URL of an RPC server?");
    return NULL;
}

struct err *rpc_parse_reply(const char *body, size_t n, uint64_t id, struct json **ret_result,
                            struct json **ret_error)
{
    AUTO(json_freep) struct json *doc = NULL;
    const struct json *error;
    uint64_t got = 0;

    TRY(not_json(body, n));
    TRY(json_parse(body, n, &doc));
    if (!json_is_object(doc))
        return err_new(ERR_REMOTE, "not a JSON-RPC reply: no object");
    error = json_get(doc, "error");
    /* A server that could not read the request answers with id null. */
    if (!(error && json_has(doc, "id") && !json_get(doc, "id"))) {
        TRY_CTX(json_as_u64(json_get(doc, "id"), &got), "id of the reply");
        if (got != id)
            return err_new(ERR_REMOTE, "the reply has the id %llu instead of %llu",
                           (unsigned long long)got, (unsigned long long)id);
    }
    if (error && !json_is_object(error))
        return err_new(ERR_REMOTE, "not a JSON-RPC reply: the error is no object");
    if (!error && !json_has(doc, "result"))
        return err_new(ERR_REMOTE, "not a JSON-RPC reply: neither result nor error");
    *ret_error = json_ref(error);
    *ret_result = error ? NULL : json_ref(json_get(doc, "result"));
    return NULL;
}

struct err *rpc_error_of(const struct json *error)
{
    AUTO(freep) char *plain = NULL;
    const char *message = NULL;
    enum err_kind kind = ERR_REMOTE;
    int64_t code = 0;

    TRY_CTX(json_as_i64(json_get(error, "code"), &code), "code of the error");
    TRY_CTX(json_as_str(json_get(error, "message"), &message), "message of the error");
    if (code < INT32_MIN || code > INT32_MAX)
        return err_new(ERR_REMOTE, "the error code %lld is none of JSON-RPC", (long long)code);
    if (code == RPC_NO_METHOD || code == RPC_NO_SNAPSHOT)
        kind = ERR_NOTFOUND;
    plain = str_shown(message, 200);
    return err_new_(__FILE__, __LINE__, kind, 0, (int)code, "error %d: %s", (int)code, plain);
}

/* Our messages name the URL without its path. */
static struct err *without_url(struct err *e, const char *url)
{
    const char *why = http_reason(e, url);

    memmove(e->text, why, strlen(why) + 1);
    return e;
}

static void take_answer(struct rpc_call *c, uint64_t id, struct http_response *r)
{
    struct err *e = r->err ? without_url(TAKE(r->err), c->url) : NULL;

    c->seconds = r->seconds;
    if (!e && r->status != 200)
        e = err_remote(r->status, "HTTP status %d", r->status);
    if (!e)
        e = rpc_parse_reply(r->body ? r->body : "", r->body ? r->body_n : 0, id, &c->result,
                            &c->error);
    if (!e && c->error)
        e = rpc_error_of(c->error);
    c->err = named(e, c);
}

struct err *rpc_many(struct ctx *ctx, struct rpc_call *calls, size_t n, uint32_t timeout_ms,
                     const struct http_beside *beside)
{
    size_t n_beside = beside ? beside->n : 0;
    AUTO(freep) struct http_request *reqs = xcalloc(n + n_beside, sizeof(*reqs));
    AUTO(freep) struct http_response *answers = xcalloc(n + n_beside, sizeof(*answers));
    AUTO(strlist_clear) struct strlist bodies = {0};
    struct err *e;

    for (size_t i = 0; i < n; i++) {
        rpc_calls_clear(&calls[i], 1);
        strlist_addf(&bodies, "{\"jsonrpc\":\"2.0\",\"id\":%zu,\"method\":\"%s\",\"params\":%s}",
                     i + 1, calls[i].method, calls[i].params ? calls[i].params : "[]");
        reqs[i] = (struct http_request){
            .method = "POST",
            .url = calls[i].url,
            .body = bodies.items[i],
            .body_n = strlen(bodies.items[i]),
            .headers = json_headers,
            .netns_fd = calls[i].netns_fd,
            .timeout_ms = timeout_ms,
            .connect_ms = timeout_ms,
            .max_body_b = RPC_BODY_MAX,
        };
    }
    for (size_t i = 0; i < n_beside; i++)
        reqs[n + i] = beside->reqs[i];
    e = ctx->http->many(ctx, reqs, n + n_beside, answers);
    for (size_t i = 0; i < n; i++) {
        if (!e)
            take_answer(&calls[i], i + 1, &answers[i]);
        http_response_clear(&answers[i]);
    }
    for (size_t i = 0; i < n_beside; i++) {
        beside->ret[i] = answers[n + i];
        if (e)
            beside->ret[i] = (struct http_response){.err = err_copy(e)};
    }
    return e;
}

static struct err *as_slot(const struct json *j, uint64_t *ret)
{
    uint64_t v = 0;

    TRY(json_as_u64(j, &v));
    if (v > RPC_SLOT_MAX)
        return err_new(ERR_REMOTE, "%llu is not a plausible slot", (unsigned long long)v);
    *ret = v;
    return NULL;
}

static struct err *member_slot(const struct json *j, const char *key, uint64_t *ret)
{
    TRY_CTX(as_slot(json_get(j, key), ret), "%s", key);
    return NULL;
}

/* 32 bytes in base58, checked by decoding and written back in canonical form. */
struct err *rpc_as_key(const struct json *j, char ret[static BASE58_32_MAX])
{
    const char *text = NULL;
    struct err *e;
    uint8_t raw[32];

    TRY(json_as_str(j, &text));
    e = base58_decode32(text, strlen(text), raw);
    if (e) { /* whatever is wrong with it, the other side said it */
        (void)err_free(e);
        return err_new(ERR_REMOTE, "expected 32 bytes in base58");
    }
    base58_encode32(raw, ret);
    return NULL;
}

static struct err *snapshots_of(const struct json *j, struct rpc_snapshots *ret)
{
    struct rpc_snapshots s = {.has_incremental = json_get(j, "incremental") != NULL};

    TRY(member_slot(j, "full", &s.full));
    if (s.has_incremental)
        TRY(member_slot(j, "incremental", &s.incremental));
    if (s.has_incremental && s.incremental <= s.full)
        return err_new(ERR_REMOTE, "the incremental snapshot %llu is not after the full one %llu",
                       (unsigned long long)s.incremental, (unsigned long long)s.full);
    *ret = s;
    return NULL;
}

static struct err *health_of(const struct json *j, struct rpc_health *ret)
{
    const char *text = NULL;

    TRY(json_as_str(j, &text));
    if (!str_eq(text, "ok")) {
        AUTO(freep) char *got = str_shown(text, 40);

        return err_new(ERR_REMOTE, "expected 'ok', got '%s'", got);
    }
    *ret = (struct rpc_health){.state = RPC_HEALTH_OK};
    return NULL;
}

struct err *rpc_take_health(struct rpc_call *c, struct rpc_health *ret)
{
    const struct json *behind = json_get(json_get(c->error, "data"), "numSlotsBehind");
    struct rpc_health h = {.state = behind ? RPC_HEALTH_BEHIND : RPC_HEALTH_UNHEALTHY};

    if (!c->err)
        return named(health_of(c->result, ret), c);
    if (c->err->kind != ERR_REMOTE || c->err->remote != RPC_NODE_BEHIND)
        return TAKE(c->err);
    /* Being behind is an answer. */
    err_freep(&c->err);
    if (behind)
        TRY(named(as_slot(behind, &h.behind), c));
    *ret = h;
    return NULL;
}

struct err *rpc_take_slot(struct rpc_call *c, uint64_t *ret)
{
    return c->err ? TAKE(c->err) : named(as_slot(c->result, ret), c);
}

struct err *rpc_take_snapshots(struct rpc_call *c, struct rpc_snapshots *ret)
{
    return c->err ? TAKE(c->err) : named(snapshots_of(c->result, ret), c);
}

struct err *rpc_get_snapshots(struct ctx *ctx, const char *url, uint32_t timeout_ms,
                              struct rpc_snapshots *ret)
{
    AUTO(call_clear) struct rpc_call c = {.url = url, .method = "getHighestSnapshotSlot"};

    TRY(rpc_many(ctx, &c, 1, timeout_ms, NULL));
    return rpc_take_snapshots(&c, ret);
}
