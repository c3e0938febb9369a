/* A config as text: one value, what a key takes, and the commented example. */
#include "config/parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Does YAML, or what the config makes of it, take this text for itself without quotes? */
static bool is_plain(const char *text)
{
    return *text && !strpbrk(text, ":#{}[],&*!|>'\"%@` \t\\") && !strchr("-?", *text) &&
           !str_eq(text, "null") && !str_eq(text, "~");
}

/* A value holds no control character: config_parse refuses them. */
static void quote(struct strbuf *b, const char *text, bool always)
{
    if (!always && is_plain(text)) {
        strbuf_puts(b, text);
        return;
    }
    strbuf_puts(b, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            strbuf_puts(b, "\\");
        strbuf_add(b, text, 1);
    }
    strbuf_puts(b, "\"");
}

char *config_value(const struct config *c, const struct config_key *k)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    if (k->type == CONFIG_NUMBER) {
        strbuf_printf(&b, "%" PRIu64, *(uint64_t *)config_member(c, k));
    } else if (k->type == CONFIG_BOOL) {
        strbuf_puts(&b, *(bool *)config_member(c, k) ? "true" : "false");
    } else if (config_is_list(k)) {
        const struct strlist *l = config_member(c, k);

        strbuf_puts(&b, "[");
        for (size_t i = 0; i < l->n; i++) {
            strbuf_puts(&b, i ? ", " : "");
            quote(&b, l->items[i], true);
        }
        strbuf_puts(&b, "]");
    } else {
        quote(&b, *(char **)config_member(c, k), false);
    }
    return strbuf_take(&b);
}

/* "http://user:password@host:1" without what stands before the host; to be freed. */
static char *proxy_shown(const char *text)
{
    const char *host = strstr(text, "://"), *at = strrchr(text, '@');

    return host && at ? xasprintf("%.*s...%s", (int)(host + 3 - text), text, at) : xstrdup(text);
}

char *config_value_shown(const struct config *c, const struct config_key *k)
{
    AUTO(strbuf_clear) struct strbuf b = {0};
    AUTO(freep) char *proxy = NULL;

    if (k->type != CONFIG_PROXY)
        return config_value(c, k);
    proxy = proxy_shown(*(char **)config_member(c, k));
    quote(&b, proxy, false);
    return strbuf_take(&b);
}

struct json *config_json_shown(const struct config *c, const struct config_key *k)
{
    AUTO(freep) char *proxy = NULL;

    if (k->type != CONFIG_PROXY)
        return config_json(c, k);
    proxy = proxy_shown(*(char **)config_member(c, k));
    return json_new_str(proxy);
}

struct json *config_json(const struct config *c, const struct config_key *k)
{
    if (k->type == CONFIG_NUMBER)
        return json_new_u64(*(uint64_t *)config_member(c, k));
    if (k->type == CONFIG_BOOL)
        return json_new_bool(*(bool *)config_member(c, k));
    if (!config_is_list(k))
        return json_new_str(*(char **)config_member(c, k));
    const struct strlist *l = config_member(c, k);
    struct json *list = json_new_array();

    for (size_t i = 0; i < l->n; i++)
        json_push(list, json_new_str(l->items[i]));
    return list;
}

char *config_type_text(const struct config_key *k)
{
    static const char *const names[] = {
        [CONFIG_STR] = "a text",
        [CONFIG_PATH] = "an absolute path",
        [CONFIG_ADDRESS] = "an IPv4 address",
        [CONFIG_PORTS] = "a range of ports",
        [CONFIG_BOOL] = "true or false",
        [CONFIG_CHOICE] = "one of:",
        [CONFIG_SERVICE] = "name of a service unit",
        [CONFIG_PROXY] = "http://host:port or socks5h://host:port",
        [CONFIG_HASH] = "32 bytes in base58",
        [CONFIG_STRS] = "a list of texts",
        [CONFIG_HASHES] = "a list of 32 bytes in base58 each",
        [CONFIG_ENV] = "a list of NAME=value",
        [CONFIG_URLS] = "a list of http or https URLs",
        [CONFIG_HOSTPORTS] = "a list of host:port",
        [CONFIG_VOLUMES] = "a list of name=/path",
        [CONFIG_IGNORES] = "a list of \"id: reason\"",
        [CONFIG_DESTROYS] = "a list of:",
    };
    struct strbuf b = {0};

    if (k->type == CONFIG_NUMBER)
        return xasprintf("a number from %" PRIu64 " to %" PRIu64, k->min, k->max);
    strbuf_puts(&b, names[k->type]);
    for (const char *const *w = k->choices; w && *w; w++)
        strbuf_printf(&b, "%s%s", w == k->choices ? " " : ", ", *w);
    return strbuf_take(&b);
}

/* The part of a name up to and including dot number `level`, or NULL. */
static char *group_of(const char *name, int level)
{
    const char *p = name;

    for (int i = 0; i <= level && p; i++)
        p = strchr(i ? p + 1 : p, '.');
    return p ? xstrndup(name, (size_t)(p - name)) : NULL;
}

/* The groups that open between the key printed before and this one; returns how deep it stands. */
static int open_groups(struct strbuf *b, const char *before, const char *name)
{
    for (int level = 0;; level++) {
        AUTO(freep) char *group = group_of(name, level);
        AUTO(freep) char *old = group_of(before, level);
        const char *own = group ? strrchr(group, '.') : NULL;

        if (!group)
            return level;
        if (!str_eq(group, old))
            strbuf_printf(b, "%s%*s%s:\n", level ? "" : "\n", level * 2, "", own ? own + 1 : group);
    }
}

static void put_comment(struct strbuf *b, int indent, const char *text)
{
    while (text && *text) {
        size_t n = strcspn(text, "\n");

        strbuf_printf(b, "%*s# %.*s\n", indent, "", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

char *config_print(const struct config *c, const char *top,
                   struct config_remark (*remark)(void *arg, const struct config_key *k), void *arg)
{
    AUTO(strbuf_clear) struct strbuf b = {0};
    const char *before = "";

    put_comment(&b, 0, top);
    for (const struct config_key *k = config_keys; k->name; k++) {
        struct config_remark r = remark(arg, k);
        AUTO(freep) char *comment = r.comment;
        AUTO(freep) char *value = config_value(c, k);
        const char *last = strrchr(k->name, '.');

        if (!r.write && !comment)
            continue;
        int depth = open_groups(&b, before, k->name);
        strbuf_puts(&b, depth ? "" : "\n");
        put_comment(&b, depth * 2, comment);
        if (r.write)
            strbuf_printf(&b, "%*s%s: %s\n", depth * 2, "", last ? last + 1 : k->name, value);
        before = k->name;
    }
    return strbuf_take(&b);
}

static struct config_remark help_of(void *arg, const struct config_key *k)
{
    return (struct config_remark){.comment = xstrdup(k->help), .write = true};
}

char *config_example(void)
{
    AUTO(config_freep) struct config *c = config_defaults();

    return config_print(c,
                        "Every key of agavectl's config, at its default. Leave out what you do not "
                        "change.",
                        help_of, NULL);
}
