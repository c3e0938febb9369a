/* json-c behind our own small face. The only file that sees json-c (jansson refuses u64::MAX, cJSON
 * rounds above 2^53; both values occur in RPC answers). struct json is json-c's object by another
 * name; json-c represents null as a C NULL, which fits "absent or null" as one case. */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "base/str.h"

#define JSON_DEPTH_MAX 64

static struct json_object *in(const struct json *j)
{
    return (struct json_object *)(uintptr_t)j;
}

static struct json *out(struct json_object *o)
{
    return (struct json *)o;
}

/* Digits after a point or an exponent belong to a floating number and may be as long as they like.
 */
static bool fraction_before(const char *text, size_t start)
{
    if (start > 0 && (text[start - 1] == '+' || text[start - 1] == '-'))
        start--;
    return start > 0 && strchr(".eE", text[start - 1]);
}

/* json-c clamps an integer of more than 64 bits without a word: find one before it does.
 * Returns its offset, or n when there is none. Strings are skipped, escapes in them too. */
static size_t find_oversized(const char *text, size_t n)
{
    bool quoted = false;

    for (size_t i = 0; i < n; i++) {
        size_t start = i;
        uint64_t v = 0;
        bool over = false;

        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && text[i] >= '0' && text[i] <= '9') {
            for (; i < n && text[i] >= '0' && text[i] <= '9'; i++)
                over |= __builtin_mul_overflow(v, 10, &v) ||
                        __builtin_add_overflow(v, (uint64_t)(text[i] - '0'), &v);
            if (start > 0 && text[start - 1] == '-')
                over |= v > (uint64_t)INT64_MAX + 1;
            if (over && (i == n || !strchr(".eE", text[i])) && !fraction_before(text, start))
                return start;
            i--;
        }
    }
    return n;
}

static void tokener_freep(struct json_tokener **tok)
{
    if (*tok)
        json_tokener_free(*tok);
}

struct err *json_parse(const char *text, size_t n, struct json **ret)
{
    AUTO(tokener_freep) struct json_tokener *tok = json_tokener_new_ex(JSON_DEPTH_MAX);
    AUTO(json_freep) struct json *value = NULL;
    enum json_tokener_error state;
    size_t at;

    if (!tok)
        return err_new(ERR_BUG, "no JSON parser");
    if (n > INT32_MAX - 1)
        return err_new(ERR_REMOTE, "not JSON: %zu bytes are too many", n);
    /* A NUL inside ends json-c's scan early and would pass for the end of the document. */
    if (memchr(text, 0, n))
        return err_new(ERR_REMOTE, "not JSON: a zero byte");
    at = find_oversized(text, n);
    if (at < n)
        return err_new(ERR_REMOTE, "not JSON for us: a number of more than 64 bits at byte %zu",
                       at);
    json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
    value = out(json_tokener_parse_ex(tok, text, (int)n));
    state = json_tokener_get_error(tok);
    at = json_tokener_get_parse_end(tok);
    if (state == json_tokener_continue) { /* a bare number ends only with the input */
        value = out(json_tokener_parse_ex(tok, "", -1));
        state = json_tokener_get_error(tok);
    }
    if (state != json_tokener_success)
        return err_new(ERR_REMOTE, "not JSON: %s at byte %zu", json_tokener_error_desc(state), at);
    *ret = TAKE(value);
    return NULL;
}

struct json *json_free(struct json *j)
{
    if (j)
        json_object_put(in(j));
    return NULL;
}

void json_freep(struct json **j)
{
    *j = json_free(*j);
}

struct json *json_ref(const struct json *j)
{
    return out(json_object_get(in(j)));
}

bool json_is_null(const struct json *j)
{
    return !j;
}

bool json_is_object(const struct json *j)
{
    return j && json_object_is_type(in(j), json_type_object);
}

bool json_is_array(const struct json *j)
{
    return j && json_object_is_type(in(j), json_type_array);
}

bool json_is_string(const struct json *j)
{
    return j && json_object_is_type(in(j), json_type_string);
}

const struct json *json_get(const struct json *j, const char *key)
{
    struct json_object *member = NULL;

    if (json_is_object(j))
        json_object_object_get_ex(in(j), key, &member);
    return out(member);
}

bool json_has(const struct json *j, const char *key)
{
    return json_is_object(j) && json_object_object_get_ex(in(j), key, NULL);
}

size_t json_len(const struct json *j)
{
    return json_is_array(j) ? json_object_array_length(in(j)) : 0;
}

const struct json *json_at(const struct json *j, size_t i)
{
    return i < json_len(j) ? out(json_object_array_get_idx(in(j), i)) : NULL;
}

void json_keys(const struct json *j, struct strlist *ret)
{
    if (!json_is_object(j))
        return;
    json_object_object_foreach (in(j), key, value) {
        (void)value;
        strlist_add(ret, key);
    }
}

static struct err *unexpected(const char *want, const struct json *j)
{
    const char *text = j ? json_object_to_json_string_ext(in(j), JSON_C_TO_STRING_PLAIN) : "null";
    AUTO(freep) char *got = str_shown(text, 40);

    return err_new(ERR_REMOTE, "expected %s, got '%s'", want, got);
}

struct err *json_as_u64(const struct json *j, uint64_t *ret)
{
    /* A strict tokener has refused what does not fit 64 bits, so only the sign is left to look at.
     */
    if (!j || !json_object_is_type(in(j), json_type_int) || json_object_get_int64(in(j)) < 0)
        return unexpected("a number without sign", j);
    *ret = json_object_get_uint64(in(j));
    return NULL;
}

struct err *json_as_i64(const struct json *j, int64_t *ret)
{
    if (!j || !json_object_is_type(in(j), json_type_int) ||
        json_object_get_uint64(in(j)) > INT64_MAX)
        return unexpected("a number", j);
    *ret = json_object_get_int64(in(j));
    return NULL;
}

struct err *json_as_bool(const struct json *j, bool *ret)
{
    if (!j || !json_object_is_type(in(j), json_type_boolean))
        return unexpected("true or false", j);
    *ret = json_object_get_boolean(in(j));
    return NULL;
}

struct err *json_as_str(const struct json *j, const char **ret)
{
    if (!json_is_string(j))
        return unexpected("a text", j);
    *ret = json_object_get_string(in(j));
    return NULL;
}

static struct json *made(struct json_object *o)
{
    if (!o)
        abort();
    return out(o);
}

struct json *json_new_object(void)
{
    return made(json_object_new_object());
}

struct json *json_new_array(void)
{
    return made(json_object_new_array());
}

struct json *json_new_u64(uint64_t v)
{
    return made(json_object_new_uint64(v));
}

struct json *json_new_f64(double v)
{
    AUTO(freep) char *text = xasprintf("%.3f", v);
    size_t n = strlen(text);

    while (text[n - 1] == '0' && text[n - 2] != '.')
        text[--n] = 0;
    return made(json_object_new_double_s(v, text));
}

struct json *json_new_bool(bool v)
{
    return made(json_object_new_boolean(v));
}

struct json *json_new_str(const char *s)
{
    return s ? made(json_object_new_string(s)) : NULL;
}

void json_put(struct json *object, const char *key, struct json *v)
{
    if (json_object_object_add(in(object), key, in(v)) < 0)
        abort();
}

void json_push(struct json *array, struct json *v)
{
    if (json_object_array_add(in(array), in(v)) < 0)
        abort();
}

char *json_text(const struct json *j, bool pretty)
{
    int flags =
        JSON_C_TO_STRING_NOSLASHESCAPE |
        (pretty ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED : JSON_C_TO_STRING_PLAIN);

    return xstrdup(j ? json_object_to_json_string_ext(in(j), flags) : "null");
}
