/* Words of an operator to the world's control socket and back. What each fault does is the world's
 * business; here are only its name and its value. */
#include "lab/lab_faults.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "io/sock.h"
#include "lab/lab.h"

#define CONTROL      LAB_DATA "/world/control.sock"
#define ASK_MS       10000
#define ANSWER_MAX_B (4u << 20)

/* The answer's result, or its error in the world's own words. */
static struct err *take_answer(const char *text, struct json **ret)
{
    AUTO(json_freep) struct json *doc = NULL;
    const struct json *e;
    const char *message = "an error without a word";

    TRY_CTX(json_parse(text, strlen(text), &doc), "the lab's world");
    e = json_get(doc, "error");
    if (e) {
        TRY_CTX(json_as_str(json_get(e, "message"), &message), "the lab's world");
        return err_new(ERR_BADINPUT, "the lab's world refuses: %s", message);
    }
    *ret = json_ref(json_get(doc, "result"));
    return NULL;
}

struct err *lab_world_ask(struct ctx *ctx, const char *method, const char *params,
                          struct json **ret)
{
    AUTO(lab_state_clear) struct lab_state s = {0};
    AUTO(freep) char *answer = NULL;
    AUTO(freep)
    char *request =
        xasprintf("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":%s}", method, params);

    TRY(lab_read(ctx, &s));
    TRY_CTX(sock_ask(ctx, CONTROL, request, ASK_MS, ANSWER_MAX_B, &answer),
            "the lab's world does not answer");
    return take_answer(answer, ret);
}

static struct err *tell(struct ctx *ctx, const char *method, const char *params)
{
    AUTO(json_freep) struct json *ignored = NULL;

    return lab_world_ask(ctx, method, params, &ignored);
}

static struct err *parse_number(const struct fault_def *f, const char *value, uint64_t *ret)
{
    AUTO(freep) char *digits = xstrdup(value);
    size_t n = strlen(digits);

    if (f->unit == FAULT_RATE || f->unit == FAULT_SIZE) {
        TRY(parse_size(value, ret));
        return *ret <= f->max ? NULL : err_new(ERR_BADINPUT, "'%s' is too much", value);
    }
    if (f->unit == FAULT_PERCENT && n && digits[n - 1] == '%')
        digits[n - 1] = 0;
    if (f->unit == FAULT_MS && str_ends(digits, "ms"))
        digits[n - 2] = 0;
    return parse_u64(digits, 0, f->max, ret);
}

struct err *fault_parse(const struct fault_def *f, const char *value, uint64_t *ret)
{
    bool is_switch = f->unit == FAULT_SWITCH;

    if (!value)
        *ret = f->on;
    else if (str_eq(value, "off"))
        *ret = is_switch ? 0 : f->normal;
    else if (str_eq(value, "on"))
        *ret = is_switch ? 1 : f->on;
    else
        TRY_CTX(parse_number(f, value, ret), "%s", f->name);
    return NULL;
}

const char *fault_text(const struct fault_def *f, uint64_t value, char *buf, size_t n)
{
    char size[32];

    switch (f->unit) {
    case FAULT_SWITCH:
        snprintf(buf, n, "%s", value ? "on" : "off");
        break;
    case FAULT_PERCENT:
        snprintf(buf, n, "%" PRIu64 " %%", value);
        break;
    case FAULT_SLOTS:
        snprintf(buf, n, "%" PRIu64 " slot%s", value, value == 1 ? "" : "s");
        break;
    case FAULT_MS:
        snprintf(buf, n, "%" PRIu64 " ms", value);
        break;
    case FAULT_RATE:
        snprintf(buf, n, "%s/s", fmt_size(value, size, sizeof(size)));
        break;
    case FAULT_SIZE:
        snprintf(buf, n, "%s", fmt_size(value, size, sizeof(size)));
        break;
    case FAULT_COUNT:
        snprintf(buf, n, "%" PRIu64, value);
        break;
    }
    return buf;
}

/* "3", "0-9", "all" to the ends of a range. */
static struct err *parse_nodes(struct ctx *ctx, const char *text, uint64_t *ret_first,
                               uint64_t *ret_last)
{
    AUTO(freep) char *first = xstrdup(text);
    char *dash = strchr(first, '-');

    if (str_eq(text, "all")) {
        AUTO(json_freep) struct json *state = NULL;

        TRY(lab_world_ask(ctx, "state", "[]", &state));
        TRY_CTX(json_as_u64(json_get(state, "nodes"), ret_last), "the lab's world");
        *ret_first = 0;
        *ret_last -= *ret_last > 0;
        return NULL;
    }
    if (dash)
        *dash++ = 0;
    TRY_CTX(parse_u64(first, 0, UINT32_MAX, ret_first), "nodes '%s'", text);
    *ret_last = *ret_first;
    if (dash)
        TRY_CTX(parse_u64(dash, *ret_first, UINT32_MAX, ret_last), "nodes '%s'", text);
    return NULL;
}

/* All names, for "did you mean". */
static struct err *unknown_fault(const char *name)
{
    const char *names[WORLD_FAULTS_N + NODE_FAULTS_N + 1] = {0};
    const char *near;

    for (size_t i = 0; i < WORLD_FAULTS_N; i++)
        names[i] = world_faults[i].name;
    for (size_t i = 0; i < NODE_FAULTS_N; i++)
        names[WORLD_FAULTS_N + i] = node_faults[i].name;
    near = str_nearest(name, names);
    if (near)
        return err_new(ERR_BADINPUT, "no fault '%s'; did you mean '%s'?", name, near);
    return err_new(ERR_BADINPUT, "no fault '%s'; 'agavectl lab fault' lists them", name);
}

struct err *lab_fault_set(struct ctx *ctx, const char *word, const struct strlist *nodes)
{
    const char *equals = strchr(word, '=');
    AUTO(freep) char *name = equals ? xstrndup(word, (size_t)(equals - word)) : xstrdup(word);
    int of_world = fault_find(world_faults, WORLD_FAULTS_N, name);
    int of_node = fault_find(node_faults, NODE_FAULTS_N, name);
    uint64_t value;

    if (of_world < 0 && of_node < 0)
        return unknown_fault(name);
    if (of_world >= 0 && nodes->n)
        return err_new(ERR_BADINPUT, "'%s' is of the whole world; leave '--node' out", name);
    if (of_node >= 0 && !nodes->n)
        return err_new(ERR_BADINPUT, "'%s' is a fault of a node; say which with '--node'", name);
    TRY(fault_parse(of_world >= 0 ? &world_faults[of_world] : &node_faults[of_node],
                    equals ? equals + 1 : NULL, &value));
    for (size_t i = 0; i < nodes->n; i++) {
        AUTO(freep) char *params = NULL;
        uint64_t first, last;

        TRY(parse_nodes(ctx, nodes->items[i], &first, &last));
        params =
            xasprintf("[\"%s\",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "]", name, value, first, last);
        TRY(tell(ctx, "fault", params));
    }
    if (nodes->n)
        return NULL;
    AUTO(freep) char *params = xasprintf("[\"%s\",%" PRIu64 "]", name, value);
    return tell(ctx, "fault", params);
}

struct err *lab_fault_heal(struct ctx *ctx, const char *name, const struct strlist *nodes)
{
    AUTO(freep) char *what = name ? xasprintf("\"%s\"", name) : xstrdup("null");

    if (name && fault_find(world_faults, WORLD_FAULTS_N, name) < 0 &&
        fault_find(node_faults, NODE_FAULTS_N, name) < 0)
        return unknown_fault(name);
    for (size_t i = 0; i < nodes->n; i++) {
        AUTO(freep) char *params = NULL;
        uint64_t first, last;

        TRY(parse_nodes(ctx, nodes->items[i], &first, &last));
        params = xasprintf("[%s,%" PRIu64 ",%" PRIu64 "]", what, first, last);
        TRY(tell(ctx, "heal", params));
    }
    if (nodes->n)
        return NULL;
    AUTO(freep) char *params = xasprintf("[%s]", what);
    return tell(ctx, "heal", params);
}

static bool has_fault(const struct json *node)
{
    for (size_t i = 0; i < NODE_FAULTS_N; i++)
        if (json_has(json_get(node, "faults"), node_faults[i].name))
            return true;
    return false;
}

struct err *lab_fault_summary(struct ctx *ctx, char **ret)
{
    AUTO(json_freep) struct json *state = NULL;
    AUTO(json_freep) struct json *nodes = NULL;
    AUTO(strbuf_clear) struct strbuf text = {0};
    size_t faulty = 0;

    TRY(lab_world_ask(ctx, "state", "[]", &state));
    TRY(lab_world_ask(ctx, "nodes", "[]", &nodes));
    for (size_t i = 0; i < WORLD_FAULTS_N; i++) {
        const struct fault_def *f = &world_faults[i];
        uint64_t value;
        char shown[48];

        TRY(json_as_u64(json_get(json_get(state, "faults"), f->name), &value));
        if (value != f->normal)
            strbuf_printf(&text, "%s%s %s", text.len ? ", " : "", f->name,
                          fault_text(f, value, shown, sizeof(shown)));
    }
    for (size_t i = 0; i < json_len(nodes); i++)
        faulty += has_fault(json_at(nodes, i));
    if (faulty)
        strbuf_printf(&text, "%sfaults of %zu node%s", text.len ? ", " : "", faulty,
                      faulty == 1 ? "" : "s");
    *ret = text.len ? strbuf_take(&text) : xstrdup("none");
    return NULL;
}

struct err *lab_world_grow(struct ctx *ctx, uint64_t n, bool *ret_changed)
{
    AUTO(json_freep) struct json *before = NULL;
    AUTO(json_freep) struct json *after = NULL;
    AUTO(freep) char *params = xasprintf("[%" PRIu64 "]", n);
    uint64_t was = 0, is = 0;

    TRY(lab_world_ask(ctx, "state", "[]", &before));
    TRY(tell(ctx, "grow", params));
    TRY(lab_world_ask(ctx, "state", "[]", &after));
    TRY(json_as_u64(json_get(before, "nodes"), &was));
    TRY(json_as_u64(json_get(after, "nodes"), &is));
    *ret_changed = is > was;
    return NULL;
}
