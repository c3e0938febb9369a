/* What was found, by key: who said it first, who says something else, what nobody says; and all of
 * it as a config file or JSON. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "look/discover_parts.h"

struct discovery *discovery_free(struct discovery *d)
{
    if (!d)
        return NULL;
    for (size_t i = 0; i < config_keys_n(); i++)
        free(d->origins[i]);
    for (size_t i = 0; i < d->n_contradictions; i++) {
        free(d->contradictions[i].kept);
        free(d->contradictions[i].kept_from);
        free(d->contradictions[i].other);
        free(d->contradictions[i].other_from);
    }
    for (size_t i = 0; i < d->n_missing; i++)
        free(d->missing[i].why);
    free(d->origins);
    free(d->contradictions);
    free(d->missing);
    config_free(d->cfg);
    strlist_clear(&d->notes);
    strlist_clear(&d->remarks);
    free(d);
    return NULL;
}

void discovery_freep(struct discovery **d)
{
    *d = discovery_free(*d);
}

const struct strlist *discovery_remarks(const struct discovery *d)
{
    return &d->remarks;
}

static size_t index_of(const struct config_key *k)
{
    return (size_t)(k - config_keys);
}

bool is_found(const struct discovery *d, const char *key)
{
    return d->origins[index_of(config_find_key(key))];
}

void noted(struct discovery *d, const char *fmt, ...)
{
    AUTO(freep) char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = xvasprintf(fmt, ap);
    va_end(ap);
    strlist_add(&d->notes, text);
    strlist_add(&d->remarks, text);
}

void not_found(struct discovery *d, const char *key, const char *fmt, ...)
{
    va_list ap;

    d->missing = xgrow(d->missing, &d->cap_missing, d->n_missing + 1, sizeof(*d->missing));
    va_start(ap, fmt);
    d->missing[d->n_missing++] =
        (struct missing){.key = config_find_key(key)->name, .why = xvasprintf(fmt, ap)};
    va_end(ap);
}

static void contradict(struct discovery *d, const struct config_key *k, char *kept, char *other,
                       const char *origin)
{
    struct contradiction c = {
        .key = k->name,
        .kept = kept,
        .kept_from = xstrdup(d->origins[index_of(k)]),
        .other = other,
        .other_from = xstrdup(origin),
    };

    d->contradictions = xgrow(d->contradictions, &d->cap_contradictions, d->n_contradictions + 1,
                              sizeof(*d->contradictions));
    d->contradictions[d->n_contradictions++] = c;
    strlist_addf(&d->remarks, "%s: %s (%s) contradicts %s (%s), which is kept", k->name, c.other,
                 c.other_from, c.kept, c.kept_from);
}

void found(struct discovery *d, const char *key, const struct strlist *values, const char *origin)
{
    const struct config_key *k = config_find_key(key);
    AUTO(config_freep) struct config *tried = config_defaults();
    struct err *e = config_set(tried, k, values);

    if (e) {
        not_found(d, key, "%s: %s", origin, e->text);
        err_free(e);
        return;
    }
    AUTO(freep) char *is = config_value(d->cfg, k);
    AUTO(freep) char *other = config_value(tried, k);
    if (!is_found(d, key)) {
        err_free(config_set(d->cfg, k, values)); /* it was tried above */
        d->origins[index_of(k)] = xstrdup(origin);
    } else if (!str_eq(is, other)) {
        contradict(d, k, TAKE(is), TAKE(other), origin);
    }
}

void found_text(struct discovery *d, const char *key, const char *value, const char *origin)
{
    AUTO(strlist_clear) struct strlist one = {0};

    strlist_add(&one, value);
    found(d, key, &one, origin);
}

void found_number(struct discovery *d, const char *key, uint64_t value, const char *origin)
{
    AUTO(freep) char *text = xasprintf("%" PRIu64, value);

    found_text(d, key, text, origin);
}

struct text_arg {
    const struct discovery *d;
    const struct config *defaults;
};

/* Comments hold what others wrote: one line each, whatever is in it. */
static void add_line(struct strbuf *b, const char *fmt, ...) PRINTF(2, 3);
static void add_line(struct strbuf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    AUTO(freep) char *text = xvasprintf(fmt, ap);
    va_end(ap);
    AUTO(freep) char *shown = str_shown(text, 500);
    strbuf_printf(b, "%s%s", b->len ? "\n" : "", shown);
}

static struct config_remark remark(void *arg, const struct config_key *k)
{
    const struct text_arg *a = arg;
    const struct discovery *d = a->d;
    const char *origin = d->origins[index_of(k)];
    AUTO(freep) char *value = config_value(d->cfg, k);
    AUTO(freep) char *def = config_value(a->defaults, k);
    AUTO(strbuf_clear) struct strbuf b = {0};
    bool write = origin && !str_eq(value, def);

    if (write)
        add_line(&b, "%s%s", str_starts(origin, "no ") ? "" : "from ", origin);
    for (size_t i = 0; i < d->n_contradictions; i++)
        if (d->contradictions[i].key == k->name)
            add_line(&b, "contradiction: %s says %s%s%s", d->contradictions[i].other_from,
                     d->contradictions[i].other,
                     write ? "" : "; kept: ", write ? "" : d->contradictions[i].kept);
    for (size_t i = 0; i < d->n_missing && !origin; i++)
        if (d->missing[i].key == k->name)
            add_line(&b, "%s: not found: %s", strrchr(k->name, '.') + 1, d->missing[i].why);
    return (struct config_remark){.comment = b.len ? strbuf_take(&b) : NULL, .write = write};
}

char *discovery_yaml(const struct discovery *d)
{
    AUTO(config_freep) struct config *defaults = config_defaults();
    AUTO(strbuf_clear) struct strbuf top = {0};
    struct text_arg a = {.d = d, .defaults = defaults};

    add_line(&top, "Found on this host by 'agavectl config init'; only what differs from the "
                   "defaults is written.");
    add_line(&top, "Look through it, then: agavectl config check, agavectl check");
    for (size_t i = 0; i < d->notes.n; i++)
        add_line(&top, "note: %s", d->notes.items[i]);
    return config_print(d->cfg, strbuf_text(&top), remark, &a);
}

static struct json *keys_json(const struct discovery *d)
{
    struct json *keys = json_new_object();

    for (size_t i = 0; i < config_keys_n(); i++) {
        if (!d->origins[i])
            continue;
        struct json *key = json_new_object();

        json_put(key, "value", config_json(d->cfg, &config_keys[i]));
        json_put(key, "origin", json_new_str(d->origins[i]));
        json_put(keys, config_keys[i].name, key);
    }
    return keys;
}

static struct json *contradictions_json(const struct discovery *d)
{
    struct json *list = json_new_array();

    for (size_t i = 0; i < d->n_contradictions; i++) {
        const struct contradiction *c = &d->contradictions[i];
        struct json *one = json_new_object();

        json_put(one, "key", json_new_str(c->key));
        json_put(one, "kept", json_new_str(c->kept));
        json_put(one, "kept_from", json_new_str(c->kept_from));
        json_put(one, "other", json_new_str(c->other));
        json_put(one, "other_from", json_new_str(c->other_from));
        json_push(list, one);
    }
    return list;
}

void discovery_json(const struct discovery *d, struct json *to)
{
    struct json *missing = json_new_array(), *notes = json_new_array();
    AUTO(freep) char *yaml = discovery_yaml(d);

    for (size_t i = 0; i < d->n_missing; i++) {
        struct json *one = json_new_object();

        if (is_found(d, d->missing[i].key)) {
            json_free(one);
            continue;
        }
        json_put(one, "key", json_new_str(d->missing[i].key));
        json_put(one, "why", json_new_str(d->missing[i].why));
        json_push(missing, one);
    }
    for (size_t i = 0; i < d->notes.n; i++)
        json_push(notes, json_new_str(d->notes.items[i]));
    json_put(to, "keys", keys_json(d));
    json_put(to, "contradictions", contradictions_json(d));
    json_put(to, "missing", missing);
    json_put(to, "notes", notes);
    json_put(to, "yaml", json_new_str(yaml));
}
