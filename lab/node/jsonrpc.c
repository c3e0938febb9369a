/* JSON-RPC 2.0 with the manners of the crate behind Agave's servers (jsonrpc-core 18). The order of
 * the checks follows what a real 3.0.14 answers to broken requests; it is no general library. */
#include "lab/node/jsonrpc.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define PARSE_ERROR                                                                                \
    "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32700,\"message\":\"Parse error\"},\"id\":null}"

void jsonrpc_error_clear(struct jsonrpc_error *e)
{
    free(e->message);
    free(e->data);
    *e = (struct jsonrpc_error){0};
}

void jsonrpc_fail(struct jsonrpc_error *e, int code, const char *fmt, ...)
{
    va_list ap;

    jsonrpc_error_clear(e);
    e->code = code;
    va_start(ap, fmt);
    e->message = xvasprintf(fmt, ap);
    va_end(ap);
}

static char *quoted(const char *text)
{
    AUTO(json_freep) struct json *j = json_new_str(text);

    return json_text(j, false);
}

/* Rust's debug form of a JSON value, which Agave puts into "data". */
static void debug_value(const struct json *v, struct strbuf *to)
{
    AUTO(freep) char *text = json_text(v, false);

    if (json_is_null(v)) {
        strbuf_puts(to, "Null");
    } else if (json_is_string(v)) {
        strbuf_printf(to, "String(%s)", text);
    } else if (json_is_array(v)) {
        strbuf_puts(to, "Array [");
        for (size_t i = 0; i < json_len(v); i++) {
            strbuf_puts(to, i ? ", " : "");
            debug_value(json_at(v, i), to);
        }
        strbuf_puts(to, "]");
    } else if (json_is_object(v)) {
        strbuf_printf(to, "Object %s", text);
    } else {
        bool truth = str_eq(text, "true") || str_eq(text, "false");

        strbuf_printf(to, "%s(%s)", truth ? "Bool" : "Number", text);
    }
}

bool jsonrpc_count(const struct json *params, size_t max, struct jsonrpc_error *e)
{
    AUTO(strbuf_clear) struct strbuf got = {0};
    size_t n = json_len(params);

    if (n <= max)
        return true;
    if (max == 0) {
        jsonrpc_fail(e, JSONRPC_INVALID_PARAMS, "Invalid parameters: No parameters were expected");
        strbuf_puts(&got, "Array([");
        for (size_t i = 0; i < n; i++) {
            strbuf_puts(&got, i ? ", " : "");
            debug_value(json_at(params, i), &got);
        }
        strbuf_puts(&got, "])");
    } else {
        jsonrpc_fail(e, JSONRPC_INVALID_PARAMS,
                     "Invalid parameters: Expected from 0 to %zu parameters.", max);
        strbuf_printf(&got, "\"Got: %zu\"", n);
    }
    e->data = quoted(strbuf_text(&got));
    return false;
}

bool jsonrpc_u64(const struct json *j, uint64_t *ret)
{
    AUTO(err_freep) struct err *e = json_as_u64(j, ret);

    return !e;
}

static void put_error(struct strbuf *to, const struct jsonrpc_error *e)
{
    AUTO(freep) char *message = quoted(e->message);

    strbuf_printf(to, "\"error\":{\"code\":%d,\"message\":%s", e->code, message);
    if (e->data)
        strbuf_printf(to, ",\"data\":%s", e->data);
    strbuf_puts(to, "}");
}

/* Can the id be one? A number without sign, a text or null. */
static bool id_is_fine(const struct json *request)
{
    const struct json *id = json_get(request, "id");
    uint64_t v;

    return !id || json_is_string(id) || jsonrpc_u64(id, &v);
}

/* Everything that must hold before a method is looked up; false: an error is set. *ret_bare: an
 * answer without "jsonrpc", which is what a request without it gets. */
static bool request_is_fine(const struct json *request, bool *ret_bare, struct jsonrpc_error *e)
{
    const struct json *version = json_get(request, "jsonrpc"),
                      *params = json_get(request, "params");
    const char *text = "2.0";

    if (json_is_string(version))
        (void)err_free(json_as_str(version, &text)); /* a string: cannot fail */
    if ((version && !json_is_string(version)) || !str_eq(text, "2.0") ||
        !json_is_string(json_get(request, "method")) ||
        (params && !json_is_array(params) && !json_is_object(params))) {
        jsonrpc_fail(e, JSONRPC_INVALID_REQUEST, "Invalid request");
        return false;
    }
    *ret_bare = !version;
    if (!version)
        jsonrpc_fail(e, JSONRPC_INVALID_REQUEST, "Unsupported JSON-RPC protocol version");
    else if (json_is_object(params))
        jsonrpc_fail(e, JSONRPC_INVALID_PARAMS, "`params` should be an array");
    return !e->message;
}

/* Appends the answer to one request, or nothing for a notification. */
static void answer_one(const struct json *request, jsonrpc_call *call, void *arg, struct strbuf *to)
{
    AUTO(jsonrpc_error_clear) struct jsonrpc_error e = {0};
    AUTO(strbuf_clear) struct strbuf result = {0};
    AUTO(freep) char *id = json_text(json_get(request, "id"), false);
    const char *method = NULL;
    bool bare = false;

    if (request_is_fine(request, &bare, &e)) {
        (void)err_free(json_as_str(json_get(request, "method"), &method)); /* checked above */
        call(arg, method, json_get(request, "params"), &result, &e);
    }
    if (!json_has(request, "id") && json_is_string(json_get(request, "method")))
        return;
    strbuf_puts(to, bare ? "{" : "{\"jsonrpc\":\"2.0\",");
    if (e.message)
        put_error(to, &e);
    else
        strbuf_printf(to, "\"result\":%s", strbuf_text(&result));
    strbuf_printf(to, ",\"id\":%s}", id);
}

static bool batch_is_fine(const struct json *requests)
{
    for (size_t i = 0; i < json_len(requests); i++)
        if (!json_is_object(json_at(requests, i)) || !id_is_fine(json_at(requests, i)))
            return false;
    return true;
}

char *jsonrpc_answer(const char *text, size_t n, jsonrpc_call *call, void *arg)
{
    AUTO(json_freep) struct json *request = NULL;
    AUTO(strbuf_clear) struct strbuf to = {0};
    AUTO(err_freep) struct err *e = json_parse(text, n, &request);
    size_t before;

    if (!e && json_is_object(request) && id_is_fine(request)) {
        answer_one(request, call, arg, &to);
        strbuf_puts(&to, to.len ? "\n" : "");
    } else if (!e && json_is_array(request) && batch_is_fine(request)) {
        for (size_t i = 0; i < json_len(request); i++) {
            strbuf_puts(&to, to.len ? "," : "[");
            before = to.len;
            answer_one(json_at(request, i), call, arg, &to);
            if (to.len == before) /* a notification: take the comma back */
                to.data[--to.len] = 0;
        }
        strbuf_puts(&to, to.len ? "]\n" : "");
    } else {
        strbuf_puts(&to, PARSE_ERROR "\n");
    }
    return strbuf_take(&to);
}

size_t jsonrpc_frame(const char *buf, size_t n)
{
    size_t start = 0, blanks = 0;
    int depth = 0;
    bool quote = false, escaped = false;

    for (size_t i = 0; i < n; i++) {
        char c = buf[i];

        if (!quote && (c == '{' || c == '[')) {
            start = depth++ == 0 ? i : start;
        } else if (!quote && (c == '}' || c == ']')) {
            depth--;
        } else if (c == '"' && !escaped) {
            quote = !quote;
        } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            blanks++;
        }
        escaped = quote && c == '\\' && !escaped;
        if (depth == 0 && i != start && i - start + 1 > blanks)
            return i + 1;
    }
    return 0;
}
