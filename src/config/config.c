/* From YAML to struct config by the table in keys.c. Every fault of a file is collected, so that
 * one run shows them all. */
#include "config/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base58.h"
#include "base/yaml.h"

#define FILE_MAX_B (1 << 20)
#define PORTS_MIN  25 /* agave-validator 3.0.14 and later want as many */

struct faults {
    const char *name;
    struct strlist lines;
};

static void *member(const struct config *c, const struct config_key *k)
{
    return (char *)(uintptr_t)c + k->offset;
}

/* Each returns NULL, or what is wrong with the text. */
static const char *check_path(const struct config_key *k, const char *text)
{
    if (!*text)
        return k->may_be_empty ? NULL : "must not be empty";
    if (*text != '/')
        return "is not an absolute path";
    if (strstr(text, "/../") || str_ends(text, "/.."))
        return "must not contain '..'";
    return strlen(text) > 1 && str_ends(text, "/") ? "must not end in '/'" : NULL;
}

static const char *check_ports(const char *text)
{
    const char *dash = strchr(text, '-');
    AUTO(freep) char *first = dash ? xstrndup(text, (size_t)(dash - text)) : NULL;
    uint64_t a = 0, b = 0;
    struct err *e = dash ? parse_u64(first, 1, 65535, &a) : NULL;

    if (dash && !e)
        e = parse_u64(dash + 1, 1, 65535, &b);
    if (!dash || e) {
        err_free(e);
        return "is not a port range such as 8002-8040";
    }
    return b < a + PORTS_MIN ? "is too narrow: at least 25 ports are needed" : NULL;
}

static const char *check_url(const char *text)
{
    const char *host = str_starts(text, "http://")    ? text + 7
                       : str_starts(text, "https://") ? text + 8
                                                      : NULL;

    return !host || !*host || *host == '/' || strpbrk(text, " \t\"") ? "is not an http or https URL"
                                                                     : NULL;
}

static const char *check_hostport(const char *text)
{
    const char *colon = strrchr(text, ':');
    uint64_t port;
    struct err *e = colon && colon > text ? parse_u64(colon + 1, 1, 65535, &port) : NULL;
    bool bad = !colon || colon == text || e;

    err_free(e);
    return bad ? "is not of the form host:port" : NULL;
}

static const char *check_hash(const struct config_key *k, const char *text)
{
    uint8_t hash[32];
    struct err *e = *text || !k->may_be_empty ? base58_decode32(text, strlen(text), hash) : NULL;
    bool bad = e;

    err_free(e);
    return bad ? "is not 32 bytes in base58" : NULL;
}

static const char *check_env(const char *text)
{
    const char *equals = strchr(text, '=');

    return !equals || equals == text ? "is not of the form NAME=value" : NULL;
}

/* Values end in argument lists, messages and logs: a newline or an escape sequence has no place
 * there. */
static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

static const char *check_text(const struct config_key *k, const char *text)
{
    struct in_addr ip;

    switch (k->type) {
    case CONFIG_PATH:
        return check_path(k, text);
    case CONFIG_ADDRESS:
        return inet_pton(AF_INET, text, &ip) == 1 ? NULL : "is not an IPv4 address";
    case CONFIG_PORTS:
        return check_ports(text);
    case CONFIG_URLS:
        return check_url(text);
    case CONFIG_HOSTPORTS:
        return check_hostport(text);
    case CONFIG_HASH:
    case CONFIG_HASHES:
        return check_hash(k, text);
    case CONFIG_ENV:
        return check_env(text);
    case CONFIG_STR:
    case CONFIG_STRS:
        return *text || k->may_be_empty ? NULL : "must not be empty";
    case CONFIG_NUMBER:
    case CONFIG_BOOL:
    case CONFIG_CHOICE:
        break; /* set_scalar knows them */
    }
    return NULL;
}

static bool is_list(const struct config_key *k)
{
    return k->type == CONFIG_STRS || k->type == CONFIG_URLS || k->type == CONFIG_HOSTPORTS ||
           k->type == CONFIG_HASHES || k->type == CONFIG_ENV;
}

/* The value into its member; an error's text has no place yet. */
static struct err *set_scalar(struct config *c, const struct config_key *k, const char *text)
{
    const char *why;

    if (k->type == CONFIG_NUMBER)
        return parse_u64(text, k->min, k->max, member(c, k));
    if (k->type == CONFIG_BOOL) {
        if (!str_eq(text, "true") && !str_eq(text, "false"))
            return err_new(ERR_BADINPUT, "'%s' is not true or false", text);
        *(bool *)member(c, k) = str_eq(text, "true");
        return NULL;
    }
    if (k->type == CONFIG_CHOICE) {
        AUTO(strbuf_clear) struct strbuf all = {0};

        for (const char *const *w = k->choices; *w; w++) {
            if (str_eq(*w, text))
                break;
            strbuf_printf(&all, "%s%s", w == k->choices ? "" : ", ", *w);
            if (!w[1])
                return err_new(ERR_BADINPUT, "'%s' is not one of: %s", text, strbuf_text(&all));
        }
    }
    why = check_text(k, text);
    if (why)
        return err_new(ERR_BADINPUT, "'%s' %s", text, why);
    char **to = member(c, k);
    free(*to);
    *to = xstrdup(text);
    return NULL;
}

static void fault(struct faults *f, int line, const char *key, struct err *e)
{
    strlist_addf(&f->lines, "%s:%d: %s: %s", f->name, line, key, e->text);
    err_free(e);
}

/* What no value may be, whatever its type; NULL: fine. "key:" and "key: null" are refused because a
 * forgotten value would otherwise pass for a chosen default. */
static struct err *check_scalar(const struct yaml_node *n)
{
    if (n->kind != YAML_SCALAR)
        return err_new(ERR_BADINPUT, "must be a list of texts");
    if (!n->quoted && (!*n->text || str_eq(n->text, "~") || str_eq(n->text, "null")))
        return err_new(ERR_BADINPUT, "has no value; write \"\" for an empty one, or leave the line "
                                     "out for the default");
    if (has_control(n->text))
        return err_new(ERR_BADINPUT, "must not contain control characters");
    return NULL;
}

static void set_list(struct config *c, const struct config_key *k, const struct yaml_node *n,
                     struct faults *f)
{
    struct strlist *to = member(c, k);

    for (size_t i = 0; i < n->n; i++) {
        const struct yaml_node *item = n->items[i];
        struct err *e = check_scalar(item);
        const char *why = e ? NULL : check_text(k, item->text);

        if (why)
            e = err_new(ERR_BADINPUT, "'%s' %s", item->text, why);
        if (e)
            fault(f, item->line, k->name, e);
        else
            strlist_add(to, item->text);
    }
}

static void set_key(struct config *c, size_t i, const struct yaml_node *n, struct faults *f)
{
    const struct config_key *k = &config_keys[i];

    c->lines[i] = (uint32_t)n->key_line;
    if (is_list(k) != (n->kind == YAML_LIST) || n->kind == YAML_MAP) {
        fault(f, n->line, k->name,
              err_new(ERR_BADINPUT, is_list(k) ? "must be a list" : "must be one value"));
        return;
    }
    if (is_list(k)) {
        set_list(c, k, n, f);
        return;
    }
    struct err *e = check_scalar(n);
    if (!e)
        e = set_scalar(c, k, n->text);
    if (e)
        fault(f, n->line, k->name, e);
}

static void dotted_key(const char *name, int line, struct faults *f)
{
    strlist_addf(&f->lines,
                 "%s:%d: key '%.100s' has a dot; write what follows it below what precedes it",
                 f->name, line, name);
}

static void unknown_key(const char *name, int line, struct faults *f)
{
    const char **names = xcalloc(config_keys_n() + 1, sizeof(*names));
    AUTO(freep) void *own = names;
    const char *near;

    for (size_t i = 0; i < config_keys_n(); i++)
        names[i] = config_keys[i].name;
    near = str_nearest(name, names);
    strlist_addf(&f->lines, "%s:%d: unknown key '%.100s'%s%s%s", f->name, line, name,
                 near ? "; did you mean '" : "; 'agavectl config example' shows all keys",
                 near ? near : "", near ? "'?" : "");
}

static const struct config_key *find_key(const char *name)
{
    for (const struct config_key *k = config_keys; k->name; k++)
        if (str_eq(k->name, name))
            return k;
    return NULL;
}

/* Is there a key below this name? */
static bool is_section(const char *name)
{
    size_t n = strlen(name);

    for (const struct config_key *k = config_keys; k->name; k++)
        if (str_starts(k->name, name) && k->name[n] == '.')
            return true;
    return false;
}

/* A section with all its keys commented out. */
static bool is_nothing(const struct yaml_node *n)
{
    return n->kind == YAML_SCALAR && !*n->text && !n->quoted;
}

/* Maps nest at the dots of the names; a map that leads to no key is unknown itself. */
static void walk(struct config *c, const struct yaml_node *map, const char *prefix,
                 struct faults *f)
{
    for (size_t i = 0; i < map->n; i++) {
        const struct yaml_node *n = map->items[i];
        AUTO(freep) char *name = xasprintf("%s%s%s", prefix, *prefix ? "." : "", n->key);
        const struct config_key *k = find_key(name);

        if (strchr(n->key, '.'))
            dotted_key(n->key, n->key_line, f);
        else if (k)
            set_key(c, (size_t)(k - config_keys), n, f);
        else if (!is_section(name))
            unknown_key(name, n->key_line, f);
        else if (n->kind == YAML_MAP)
            walk(c, n, name, f);
        else if (!is_nothing(n))
            strlist_addf(&f->lines, "%s:%d: %s: must be a map of keys", f->name, n->line, name);
    }
}

static bool below(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    return strncmp(path, dir, n) == 0 && path[n] == '/';
}

/* What no single key can know. */
static void check_together(const struct config *c, struct faults *f)
{
    struct strlist *l = &f->lines;

    if (str_eq(c->validator.ledger, c->validator.snapshots) ||
        str_eq(c->validator.ledger, c->validator.accounts) ||
        str_eq(c->validator.snapshots, c->validator.accounts))
        strlist_addf(l, "%s: validator.ledger, snapshots and accounts must be different folders",
                     f->name);
    if (c->validator.voting && (!*c->validator.identity || !*c->validator.vote_account))
        strlist_addf(l, "%s: validator.voting needs validator.identity and validator.vote_account",
                     f->name);
    if (*c->storage.bind && !*c->storage.kind_root)
        strlist_addf(l, "%s: storage.bind needs storage.kind_root", f->name);
    if (*c->storage.bind && *c->storage.kind_root && !below(c->storage.bind, c->storage.kind_root))
        strlist_addf(l, "%s: storage.bind '%s' is not below storage.kind_root '%s'", f->name,
                     c->storage.bind, c->storage.kind_root);
    if (*c->storage.volume.device && str_eq(c->storage.volume.device, c->storage.ramdisk.device))
        strlist_addf(l, "%s: storage.volume.device and storage.ramdisk.device are the same",
                     f->name);
}

static struct config *with_defaults(void)
{
    struct config *c = xcalloc(1, sizeof(*c));

    c->lines = xcalloc(config_keys_n(), sizeof(*c->lines));
    for (const struct config_key *k = config_keys; k->name; k++) {
        struct err *e = NULL;

        if (!is_list(k) && !*k->def && k->may_be_empty)
            *(char **)member(c, k) = xstrdup("");
        else if (!is_list(k))
            e = set_scalar(c, k, k->def);
        if (e)
            abort(); /* a default that its own key refuses: a unit test would have found it */
    }
    return c;
}

struct err *config_parse(const char *text, size_t n, const char *name, struct config **ret)
{
    AUTO(config_freep) struct config *c = with_defaults();
    AUTO(yaml_tree_freep) struct yaml_node *root = NULL;
    struct faults f = {.name = name};
    struct err *e = NULL;

    TRY(yaml_parse(text, n, name, &root));
    if (root->kind != YAML_MAP)
        return err_new(ERR_BADINPUT, "%s:%d: the config must be a map of keys", name, root->line);
    c->file = xstrdup(name);
    walk(c, root, "", &f);
    if (f.lines.n == 0)
        check_together(c, &f);
    if (f.lines.n == 0) {
        *ret = TAKE(c);
        return NULL;
    }
    AUTO(strbuf_clear) struct strbuf all = {0};
    for (size_t i = 0; i < f.lines.n; i++)
        strbuf_printf(&all, "%s%s", i ? "\n" : "", f.lines.items[i]);
    e = err_new(ERR_BADINPUT, "%s", strbuf_text(&all));
    strlist_clear(&f.lines);
    return e;
}

static struct err *check_file(int fd, const char *path)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_sys(errno, "cannot stat '%s'", path);
    if (!S_ISREG(st.st_mode))
        return err_new(ERR_BADINPUT, "'%s' is not a regular file", path);
    if (st.st_size > FILE_MAX_B)
        return err_new(ERR_BADINPUT, "'%s' is larger than 1 MiB", path);
    /* It names programs that we start: whoever may write it is root. */
    if (geteuid() == 0 && (st.st_mode & S_IWOTH))
        return err_new(ERR_REFUSED, "'%s' can be written by everybody; run 'chmod o-w %s' first",
                       path, path);
    return NULL;
}

struct err *config_load(const char *path, struct config **ret)
{
    AUTO(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    AUTO(strbuf_clear) struct strbuf text = {0};
    int errnum = errno;

    if (fd < 0 && errnum == ENOENT)
        return err_new(ERR_NOTFOUND, "no config at '%s'", path);
    if (fd < 0)
        return err_sys(errnum, "cannot open '%s'", path);
    TRY(check_file(fd, path));
    for (;;) {
        char buf[16384];
        ssize_t n = read(fd, buf, sizeof(buf));

        if (n < 0)
            return err_sys(errno, "cannot read '%s'", path);
        if (n == 0)
            break;
        strbuf_add(&text, buf, (size_t)n);
        if (text.len > FILE_MAX_B)
            return err_new(ERR_BADINPUT, "'%s' is larger than 1 MiB", path);
    }
    return config_parse(strbuf_text(&text), text.len, path, ret);
}

struct config *config_free(struct config *c)
{
    if (!c)
        return NULL;
    for (const struct config_key *k = config_keys; k->name; k++) {
        if (is_list(k))
            strlist_clear(member(c, k));
        else if (k->type != CONFIG_NUMBER && k->type != CONFIG_BOOL)
            free(*(char **)member(c, k));
    }
    free(c->file);
    free(c->lines);
    free(c);
    return NULL;
}

void config_freep(struct config **c)
{
    *c = config_free(*c);
}

/* In double quotes where YAML could take it for something else. */
static void quote(struct strbuf *b, const char *text, bool always)
{
    if (!always && *text && !strpbrk(text, ":#{}[],&*!|>'\"%@` \t\\") && !strchr("-?", *text)) {
        strbuf_puts(b, text);
        return;
    }
    strbuf_puts(b, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            strbuf_puts(b, "\\");
        if ((unsigned char)*text < 0x20)
            strbuf_printf(b, "\\x%02x", *text);
        else
            strbuf_add(b, text, 1);
    }
    strbuf_puts(b, "\"");
}

char *config_value(const struct config *c, const struct config_key *k)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    if (k->type == CONFIG_NUMBER) {
        strbuf_printf(&b, "%" PRIu64, *(uint64_t *)member(c, k));
    } else if (k->type == CONFIG_BOOL) {
        strbuf_puts(&b, *(bool *)member(c, k) ? "true" : "false");
    } else if (is_list(k)) {
        const struct strlist *l = member(c, k);

        strbuf_puts(&b, "[");
        for (size_t i = 0; i < l->n; i++) {
            strbuf_puts(&b, i ? ", " : "");
            quote(&b, l->items[i], true);
        }
        strbuf_puts(&b, "]");
    } else {
        quote(&b, *(char **)member(c, k), false);
    }
    return strbuf_take(&b);
}

struct json *config_json(const struct config *c, const struct config_key *k)
{
    if (k->type == CONFIG_NUMBER)
        return json_new_u64(*(uint64_t *)member(c, k));
    if (k->type == CONFIG_BOOL)
        return json_new_bool(*(bool *)member(c, k));
    if (!is_list(k))
        return json_new_str(*(char **)member(c, k));
    const struct strlist *l = member(c, k);
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
        [CONFIG_HASH] = "32 bytes in base58",
        [CONFIG_STRS] = "a list of texts",
        [CONFIG_HASHES] = "a list of 32 bytes in base58 each",
        [CONFIG_ENV] = "a list of NAME=value",
        [CONFIG_URLS] = "a list of http or https URLs",
        [CONFIG_HOSTPORTS] = "a list of host:port",
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

char *config_example(void)
{
    AUTO(config_freep) struct config *c = with_defaults();
    AUTO(strbuf_clear) struct strbuf b = {0};
    const char *before = "";

    strbuf_puts(&b, "# Every key of agavectl's config, at its default. Leave out what you do not "
                    "change.\n");
    for (const struct config_key *k = config_keys; k->name; k++) {
        AUTO(freep) char *value = config_value(c, k);
        const char *last = strrchr(k->name, '.');
        int depth = 0;

        for (int level = 0;; level++) {
            AUTO(freep) char *group = group_of(k->name, level);
            AUTO(freep) char *old = group_of(before, level);
            const char *own = group ? strrchr(group, '.') : NULL;

            if (!group)
                break;
            depth = level + 1;
            if (!str_eq(group, old))
                strbuf_printf(&b, "%s%*s%s:\n", level ? "" : "\n", level * 2, "",
                              own ? own + 1 : group);
        }
        strbuf_printf(&b, "%s%*s# %s\n", depth ? "" : "\n", depth * 2, "", k->help);
        strbuf_printf(&b, "%*s%s: %s\n", depth * 2, "", last ? last + 1 : k->name, value);
        before = k->name;
    }
    return strbuf_take(&b);
}
