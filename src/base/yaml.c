/* libyaml's events made into a tree that remembers lines. The only file that sees libyaml. Aliases,
 * anchors, tags and further documents are refused: a config that needs them is one that surprises.
 */
#include "base/yaml.h"

#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/str.h"

#define DEPTH_MAX 64
#define NODES_MAX 100000
#define KEYS_MAX  10000 /* of one map: each is compared with all before it */

struct reader {
    yaml_parser_t parser;
    const char *text, *name;
    size_t text_n;
    size_t nodes;
};

static void reader_clear(struct reader *r)
{
    yaml_parser_delete(&r->parser);
}

static struct err *bad(const struct reader *r, size_t line, const char *why)
{
    return err_new(ERR_BADINPUT, "%s:%zu: %s", r->name, line + 1, why);
}

/* Does this line (from 0) begin with a tab among its blanks? The library's own words for it ("found
 * character that cannot start any token") help nobody. */
static bool tab_indents(const struct reader *r, size_t line)
{
    const char *p = r->text, *end = r->text + r->text_n;

    for (; line > 0 && p < end; line--) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));

        if (!newline)
            return false;
        p = newline + 1;
    }
    while (p < end && *p == ' ')
        p++;
    return p < end && *p == '\t';
}

static size_t lines_before(const struct reader *r, size_t offset)
{
    size_t lines = 0;

    for (size_t i = 0; i < offset && i < r->text_n; i++)
        lines += r->text[i] == '\n';
    return lines;
}

static struct err *next(struct reader *r, yaml_event_t *ev)
{
    const yaml_parser_t *p = &r->parser;

    if (yaml_parser_parse(&r->parser, ev))
        return NULL;
    if (p->error != YAML_READER_ERROR && tab_indents(r, p->problem_mark.line))
        return bad(r, p->problem_mark.line, "a tab indents this line; YAML wants blanks");
    if (p->error == YAML_READER_ERROR)
        return bad(r, lines_before(r, p->problem_offset), p->problem);
    if (p->context)
        return err_new(ERR_BADINPUT, "%s:%zu: %s (%s)", r->name, p->problem_mark.line + 1,
                       p->problem, p->context);
    return bad(r, p->problem_mark.line, p->problem ? p->problem : "not YAML");
}

static struct err *node_new(struct reader *r, enum yaml_kind kind, const yaml_event_t *ev,
                            struct yaml_node **ret)
{
    if (++r->nodes > NODES_MAX)
        return bad(r, ev->start_mark.line, "too many values");
    *ret = xcalloc(1, sizeof(**ret));
    (*ret)->kind = kind;
    (*ret)->line = (int)ev->start_mark.line + 1;
    return NULL;
}

static void node_push(struct yaml_node *list, struct yaml_node *item)
{
    list->items = xrealloc(list->items, (list->n + 1) * sizeof(*list->items));
    list->items[list->n++] = item;
}

static struct err *scalar_text(struct reader *r, const yaml_event_t *ev, char **ret)
{
    const char *text = (const char *)ev->data.scalar.value;

    if (ev->data.scalar.anchor)
        return bad(r, ev->start_mark.line, "anchors are not allowed");
    if (ev->data.scalar.tag)
        return bad(r, ev->start_mark.line, "tags are not allowed");
    if (strlen(text) != ev->data.scalar.length)
        return bad(r, ev->start_mark.line, "a zero byte within a text");
    *ret = xstrdup(text);
    return NULL;
}

static struct err *read_value(struct reader *r, yaml_event_t *ev, int depth,
                              struct yaml_node **ret);

/* Keys end in messages: no control characters. */
static struct err *key_text(struct reader *r, const yaml_event_t *ev, char **ret)
{
    AUTO(freep) char *text = NULL;

    if (ev->type != YAML_SCALAR_EVENT)
        return bad(r, ev->start_mark.line, "a key must be a plain text");
    TRY(scalar_text(r, ev, &text));
    if (str_has_control(text))
        return bad(r, ev->start_mark.line, "a key must not contain control characters");
    *ret = TAKE(text);
    return NULL;
}

static struct err *read_list(struct reader *r, struct yaml_node *list, int depth)
{
    for (;;) {
        struct yaml_node *item = NULL;
        yaml_event_t ev;
        struct err *e = next(r, &ev);

        if (e)
            return e;
        if (ev.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&ev);
            return NULL;
        }
        TRY(read_value(r, &ev, depth, &item));
        node_push(list, item);
    }
}

/* key is consumed. */
static struct err *read_member(struct reader *r, struct yaml_node *map, char *key, size_t line,
                               int depth)
{
    AUTO(freep) char *own = key;
    AUTO(yaml_tree_freep) struct yaml_node *value = NULL;
    yaml_event_t ev;

    if (yaml_get(map, key)) {
        AUTO(freep) char *why = xasprintf("duplicate key '%.60s'", key);
        return bad(r, line, why);
    }
    TRY(next(r, &ev));
    TRY(read_value(r, &ev, depth, &value));
    value->key = TAKE(own);
    value->key_line = (int)line + 1;
    node_push(map, TAKE(value));
    return NULL;
}

static struct err *read_map(struct reader *r, struct yaml_node *map, int depth)
{
    for (;;) {
        char *key = NULL;
        yaml_event_t ev;
        struct err *e = next(r, &ev);
        size_t line;

        if (e)
            return e;
        line = ev.start_mark.line;
        if (ev.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&ev);
            return NULL;
        }
        e = map->n < KEYS_MAX ? key_text(r, &ev, &key) : bad(r, line, "too many keys in one map");
        yaml_event_delete(&ev);
        if (e)
            return e;
        TRY(read_member(r, map, key, line, depth));
    }
}

/* Consumes the event. */
static struct err *read_value(struct reader *r, yaml_event_t *ev, int depth, struct yaml_node **ret)
{
    AUTO(yaml_tree_freep) struct yaml_node *node = NULL;
    yaml_event_type_t type = ev->type;
    size_t line = ev->start_mark.line;
    bool marked = (type == YAML_SEQUENCE_START_EVENT &&
                   (ev->data.sequence_start.anchor || ev->data.sequence_start.tag)) ||
                  (type == YAML_MAPPING_START_EVENT &&
                   (ev->data.mapping_start.anchor || ev->data.mapping_start.tag));
    struct err *e = NULL;

    if (type == YAML_SCALAR_EVENT) {
        e = node_new(r, YAML_SCALAR, ev, &node);
        if (!e)
            e = scalar_text(r, ev, &node->text);
        if (!e)
            node->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    } else if (type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT) {
        e = node_new(r, type == YAML_MAPPING_START_EVENT ? YAML_MAP : YAML_LIST, ev, &node);
    } else {
        e = bad(r, line, type == YAML_ALIAS_EVENT ? "aliases are not allowed" : "not a value");
    }
    yaml_event_delete(ev);
    if (e)
        return e;
    if (marked)
        return bad(r, line, "anchors and tags are not allowed");
    if (node->kind != YAML_SCALAR && depth >= DEPTH_MAX)
        return bad(r, line, "nested too deeply");
    if (node->kind == YAML_LIST)
        TRY(read_list(r, node, depth + 1));
    if (node->kind == YAML_MAP)
        TRY(read_map(r, node, depth + 1));
    *ret = TAKE(node);
    return NULL;
}

/* Stream start, document start, a value, document end, stream end; an empty stream is an empty map.
 */
static struct err *read_stream(struct reader *r, struct yaml_node **ret)
{
    AUTO(yaml_tree_freep) struct yaml_node *root = NULL;
    yaml_event_t ev;

    for (;;) {
        struct err *e = next(r, &ev);
        yaml_event_type_t type;

        if (e)
            return e;
        type = ev.type;
        if (type == YAML_STREAM_END_EVENT) {
            yaml_event_delete(&ev);
            break;
        }
        if (type == YAML_DOCUMENT_START_EVENT && root)
            e = bad(r, ev.start_mark.line, "only one document is allowed");
        if (type == YAML_STREAM_START_EVENT || type == YAML_DOCUMENT_START_EVENT ||
            type == YAML_DOCUMENT_END_EVENT) {
            yaml_event_delete(&ev);
            if (e)
                return e;
            continue;
        }
        TRY(read_value(r, &ev, 0, &root));
    }
    if (!root) {
        root = xcalloc(1, sizeof(*root));
        root->kind = YAML_MAP;
        root->line = 1;
    }
    *ret = TAKE(root);
    return NULL;
}

struct err *yaml_parse(const char *text, size_t n, const char *name, struct yaml_node **ret)
{
    AUTO(reader_clear) struct reader r = {.text = text, .text_n = n, .name = name};

    if (!yaml_parser_initialize(&r.parser))
        return err_new(ERR_BUG, "no YAML parser");
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, n);
    return read_stream(&r, ret);
}

struct yaml_node *yaml_tree_free(struct yaml_node *node)
{
    if (!node)
        return NULL;
    for (size_t i = 0; i < node->n; i++)
        yaml_tree_free(node->items[i]);
    free(node->items);
    free(node->text);
    free(node->key);
    free(node);
    return NULL;
}

void yaml_tree_freep(struct yaml_node **node)
{
    *node = yaml_tree_free(*node);
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    if (!map || map->kind != YAML_MAP)
        return NULL;
    for (size_t i = 0; i < map->n; i++)
        if (strcmp(map->items[i]->key, key) == 0)
            return map->items[i];
    return NULL;
}
