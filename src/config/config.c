/* From a file to struct config by the table in keys.c. Every fault of a file is collected, so that
 * one run shows them all. */
#include "config/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/yaml.h"

#define FILE_MAX_B (1 << 20)

/* The value into its member; an error's text has no place yet. */
static struct err *set_scalar(struct config *c, const struct config_key *k, const char *text)
{
    const char *why;

    if (k->type == CONFIG_NUMBER)
        return parse_u64(text, k->min, k->max, config_member(c, k));
    if (k->type == CONFIG_BOOL) {
        if (!str_eq(text, "true") && !str_eq(text, "false"))
            return err_new(ERR_BADINPUT, "'%s' is not true or false", text);
        *(bool *)config_member(c, k) = str_eq(text, "true");
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
    why = config_check_text(k, text);
    if (why && k->type == CONFIG_PROXY) /* there may be a password in it */
        return err_new(ERR_BADINPUT, "it %s", why);
    if (why)
        return err_new(ERR_BADINPUT, "'%s' %s", text, why);
    char **to = config_member(c, k);
    free(*to);
    *to = xstrdup(text);
    return NULL;
}

static void fault(struct faults *f, int line, const char *key, struct err *e)
{
    strlist_addf(&f->lines, "%s:%d: %s: %s", f->name, line, key, e->text);
    err_free(e);
}

/* Values end in argument lists, messages and logs. */
static struct err *no_control(const char *text)
{
    return str_has_control(text) ? err_new(ERR_BADINPUT, "must not contain control characters")
                                 : NULL;
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
    return no_control(n->text);
}

static void set_list(struct config *c, const struct config_key *k, const struct yaml_node *n,
                     struct faults *f)
{
    struct strlist *to = config_member(c, k);

    for (size_t i = 0; i < n->n; i++) {
        const struct yaml_node *item = n->items[i];
        struct err *e = check_scalar(item);
        const char *why = e ? NULL : config_check_text(k, item->text);

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
    if (config_is_list(k) != (n->kind == YAML_LIST) || n->kind == YAML_MAP) {
        fault(f, n->line, k->name,
              err_new(ERR_BADINPUT, config_is_list(k) ? "must be a list" : "must be one value"));
        return;
    }
    if (config_is_list(k)) {
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
        const struct config_key *k = config_find_key(name);

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

struct config *config_defaults(void)
{
    struct config *c = xcalloc(1, sizeof(*c));

    c->lines = xcalloc(config_keys_n(), sizeof(*c->lines));
    for (const struct config_key *k = config_keys; k->name; k++) {
        struct err *e = NULL;

        if (!config_is_list(k) && !*k->def && k->may_be_empty)
            *(char **)config_member(c, k) = xstrdup("");
        else if (!config_is_list(k))
            e = set_scalar(c, k, k->def);
        if (e)
            abort(); /* a default that its own key refuses: a unit test would have found it */
    }
    return c;
}

struct err *config_set(struct config *c, const struct config_key *k, const struct strlist *values)
{
    struct strlist *to = config_member(c, k);

    for (size_t i = 0; i < values->n; i++) {
        const char *text = values->items[i];
        const char *why = config_is_list(k) ? config_check_text(k, text) : NULL;

        TRY_CTX(no_control(text), "%s", k->name);
        if (why)
            return err_new(ERR_BADINPUT, "%s: '%s' %s", k->name, text, why);
    }
    if (!config_is_list(k))
        return values->n == 1 ? err_wrap(set_scalar(c, k, values->items[0]), "%s", k->name)
                              : err_new(ERR_BADINPUT, "%s: must be one value", k->name);
    strlist_clear(to);
    for (size_t i = 0; i < values->n; i++)
        strlist_add(to, values->items[i]);
    return NULL;
}

struct err *config_parse(const char *text, size_t n, const char *name, struct config **ret)
{
    AUTO(config_freep) struct config *c = config_defaults();
    AUTO(yaml_tree_freep) struct yaml_node *root = NULL;
    struct faults f = {.name = name};
    struct err *e = NULL;

    TRY(yaml_parse(text, n, name, &root));
    if (root->kind != YAML_MAP)
        return err_new(ERR_BADINPUT, "%s:%d: the config must be a map of keys", name, root->line);
    c->file = xstrdup(name);
    walk(c, root, "", &f);
    if (f.lines.n == 0)
        config_check_together(c, &f);
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
        if (config_is_list(k))
            strlist_clear(config_member(c, k));
        else if (k->type != CONFIG_NUMBER && k->type != CONFIG_BOOL)
            free(*(char **)config_member(c, k));
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
