/* Static unit files: search path, masks, aliases, drop-ins and the syntax of lines. Nothing asks a
 * running systemd: a captured host has none, and what is loaded now need not be what the next boot
 * reads. */
#include "host/unit_file.h"

#include <ctype.h>
#include <errno.h>

#include "io/fsroot.h"

#define FILE_MAX_B  (1U << 20)
#define ALIASES_MAX 8

/* systemd.unit(5), "System Unit Search Path", first wins; /lib where /usr is not merged. */
static const char *const search_path[] = {
    "/etc/systemd/system.control",   "/run/systemd/system.control",  "/run/systemd/transient",
    "/run/systemd/generator.early",  "/etc/systemd/system",          "/etc/systemd/system.attached",
    "/run/systemd/system",           "/run/systemd/system.attached", "/run/systemd/generator",
    "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",      "/lib/systemd/system",
    "/run/systemd/generator.late",
};
static const char *const local_path[] = {
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
};
/* Lists that an empty assignment does not reset. */
static const char *const dependencies[] = {
    "Requires",          "Requisite", "Wants", "BindsTo",  "PartOf",     "Upholds",
    "Conflicts",         "Before",    "After", "WantedBy", "RequiredBy", "OnFailure",
    "RequiresMountsFor",
};

void unit_file_clear(struct unit_file *u)
{
    for (size_t i = 0; i < u->n; i++) {
        free(u->items[i].section);
        free(u->items[i].key);
        free(u->items[i].value);
        free(u->items[i].file);
    }
    free(u->items);
    free(u->name);
    free(u->path);
    strlist_clear(&u->faults);
    *u = (struct unit_file){0};
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Cuts blanks at both ends, in place. */
static char *trim(char *s)
{
    size_t n = strlen(s);

    while (n && blank(s[n - 1]))
        s[--n] = '\0';
    while (blank(*s))
        s++;
    return s;
}

/* Takes one line of the text as it is; false at the end. A zero byte ends it as a line's end does.
 */
static bool next_raw(const char **at, const char *end, struct strbuf *line)
{
    const char *p = *at;
    size_t n = 0;

    if (p >= end)
        return false;
    while (p + n < end && p[n] != '\n' && p[n] != '\0')
        n++;
    strbuf_clear(line);
    strbuf_add(line, p, n);
    *at = p + n + 1;
    return true;
}

/* A whole line: continued ones are joined, comments between them are skipped. */
static bool next_line(const char **at, const char *end, struct strbuf *ret, uint32_t *no,
                      uint32_t *first)
{
    AUTO(strbuf_clear) struct strbuf raw = {0};
    bool more = false;

    strbuf_clear(ret);
    while (next_raw(at, end, &raw)) {
        char *s = trim(raw.data ? raw.data : (char[]){""});
        size_t n = strlen(s);

        ++*no;
        if (*s == '#' || *s == ';')
            continue;
        if (!more)
            *first = *no;
        more = n && s[n - 1] == '\\';
        if (more)
            s[n - 1] = ' ';
        strbuf_puts(ret, s);
        if (!more)
            return true;
    }
    return more;
}

static void add_setting(struct unit_file *u, const char *section, const char *key,
                        const char *value, const char *file, uint32_t line)
{
    u->items = xgrow(u->items, &u->cap, u->n + 1, sizeof(*u->items));
    u->items[u->n++] = (struct unit_setting){
        .section = xstrdup(section),
        .key = xstrdup(key),
        .value = xstrdup(value),
        .file = xstrdup(file),
        .line = line,
    };
}

void unit_file_parse(const char *text, size_t n, const char *path, struct unit_file *u)
{
    AUTO(strbuf_clear) struct strbuf line = {0};
    AUTO(freep) char *section = xstrdup("");
    const char *at = text, *end = text + n;
    uint32_t no = 0, first = 0;

    while (next_line(&at, end, &line, &no, &first)) {
        char *s = trim(line.data ? line.data : (char[]){""});
        char *eq = strchr(s, '=');
        size_t len = strlen(s);

        if (!*s)
            continue;
        if (*s == '[' && s[len - 1] == ']') {
            free(section);
            section = xstrndup(s + 1, len - 2);
        } else if (*s == '[' || !eq || eq == s) {
            strlist_addf(&u->faults, "%s:%u: neither a section nor a setting", path, first);
        } else if (!*section) {
            strlist_addf(&u->faults, "%s:%u: a setting before the first section", path, first);
        } else {
            *eq = '\0';
            add_setting(u, section, trim(s), trim(eq + 1), path, first);
        }
    }
}

const char *unit_file_get(const struct unit_file *u, const char *section, const char *key)
{
    for (size_t i = u->n; i-- > 0;)
        if (str_eq(u->items[i].key, key) && str_eq(u->items[i].section, section))
            return u->items[i].value;
    return NULL;
}

static bool is_dependency(const char *key)
{
    for (size_t i = 0; i < ARRAY_LEN(dependencies); i++)
        if (str_eq(dependencies[i], key))
            return true;
    return false;
}

void unit_file_all(const struct unit_file *u, const char *section, const char *key,
                   struct strlist *ret)
{
    bool resets = !is_dependency(key);

    for (size_t i = 0; i < u->n; i++) {
        const struct unit_setting *s = &u->items[i];

        if (!str_eq(s->key, key) || !str_eq(s->section, section))
            continue;
        if (*s->value)
            strlist_add(ret, s->value);
        else if (resets)
            strlist_clear(ret);
    }
}

/* One word off *at into w; false at the end. */
static bool next_word(const char **at, struct strbuf *w)
{
    const char *p = *at;
    char quote = '\0';

    while (blank(*p))
        p++;
    if (!*p)
        return false;
    strbuf_clear(w);
    for (; *p && (quote || !blank(*p)); p++) {
        if (quote && *p == quote)
            quote = '\0';
        else if (!quote && (*p == '"' || *p == '\''))
            quote = *p;
        else if (*p == '\\' && p[1])
            strbuf_add(w, ++p, 1);
        else
            strbuf_add(w, p, 1);
    }
    *at = p;
    return true;
}

void unit_file_split(const char *value, struct strlist *ret)
{
    AUTO(strbuf_clear) struct strbuf w = {0};

    while (next_word(&value, &w))
        strlist_add(ret, strbuf_text(&w));
}

void unit_file_words(const struct unit_file *u, const char *section, const char *key,
                     struct strlist *ret)
{
    AUTO(strlist_clear) struct strlist values = {0};

    unit_file_all(u, section, key, &values);
    for (size_t i = 0; i < values.n; i++)
        unit_file_split(values.items[i], ret);
}

bool unit_file_has_word(const struct unit_file *u, const char *section, const char *key,
                        const char *word)
{
    AUTO(strlist_clear) struct strlist words = {0};

    unit_file_words(u, section, key, &words);
    return strlist_has(&words, word);
}

bool unit_file_bool(const struct unit_file *u, const char *section, const char *key, bool def)
{
    static const char *const yes[] = {"1", "yes", "y", "true", "t", "on"};
    static const char *const no[] = {"0", "no", "n", "false", "f", "off"};
    const char *v = unit_file_get(u, section, key);

    for (size_t i = 0; v && i < ARRAY_LEN(yes); i++) {
        if (strcasecmp(v, yes[i]) == 0)
            return true;
        if (strcasecmp(v, no[i]) == 0)
            return false;
    }
    return def;
}

static bool absent(struct err **e)
{
    if (!*e || (*e)->kind != ERR_NOTFOUND)
        return false;
    *e = err_free(*e);
    return true;
}

/* What the name is in the search path. */
struct place {
    char *path;  /* NULL: nowhere */
    char *alias; /* the link leads to a unit of another name */
    bool masked;
};

static void place_clear(struct place *p)
{
    free(p->path);
    free(p->alias);
    *p = (struct place){0};
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* A link says more by its text than by what it leads to: a mask, an alias. */
static struct err *read_place(struct ctx *ctx, const char *name, char *path, struct place *ret)
{
    AUTO(freep) char *target = NULL;
    struct err *e = fsroot_readlink(ctx->root, path, &target);

    ret->path = path;
    /* A plain file; asked through its descriptor, the kernel says ENOENT. */
    if (e && e->kind == ERR_SYS && (e->sys == EINVAL || e->sys == ENOENT))
        return err_free(e);
    TRY(e);
    ret->masked = str_eq(target, "/dev/null");
    if (!ret->masked && !str_eq(base_name(target), name))
        ret->alias = xstrdup(base_name(target));
    return NULL;
}

static struct err *find_place(struct ctx *ctx, const char *name, struct place *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(search_path); i++) {
        AUTO(strlist_clear) struct strlist names = {0};
        struct err *e = fsroot_list(ctx->root, search_path[i], &names);

        if (absent(&e))
            continue;
        TRY(e);
        /* By its name in the folder: what a dangling link leads to does not matter here. */
        if (strlist_has(&names, name))
            return read_place(ctx, name, xasprintf("%s/%s", search_path[i], name), ret);
    }
    return NULL;
}

/* "foo@inst.service" → "foo@.service"; NULL: no instance. To be freed. */
static char *template_of(const char *name)
{
    const char *at = strchr(name, '@'), *dot = strrchr(name, '.');

    if (!at || !dot || dot <= at + 1)
        return NULL;
    return xasprintf("%.*s%s", (int)(at - name + 1), name, dot);
}

static struct err *read_text(struct ctx *ctx, const char *path, struct unit_file *u, bool *ret_any)
{
    AUTO(freep) char *text = NULL;
    size_t n = 0;

    TRY(fsroot_read(ctx->root, path, FILE_MAX_B, &text, &n));
    unit_file_parse(text, n, path, u);
    *ret_any = n > 0;
    return NULL;
}

/* The folders of drop-ins that count for a name, the most particular first: a-b-c.service.d,
 * a-b-.service.d, a-.service.d, service.d. */
static void dropin_folders(const char *name, struct strlist *ret)
{
    const char *dot = strrchr(name, '.');
    AUTO(freep) char *stem = dot ? xstrndup(name, (size_t)(dot - name)) : NULL;
    AUTO(freep) char *template = template_of(name);

    if (!dot)
        return;
    strlist_addf(ret, "%s.d", name);
    if (template)
        strlist_addf(ret, "%s.d", template);
    for (size_t n = strlen(stem); n > 1; n--)
        if (stem[n - 1] == '-' && stem[n])
            strlist_addf(ret, "%.*s%s.d", (int)n, stem, dot);
    strlist_addf(ret, "%s.d", dot + 1);
}

struct dropin {
    char *name, *path;
};
struct dropins {
    struct dropin *items;
    size_t n, cap;
};

static void dropins_clear(struct dropins *d)
{
    for (size_t i = 0; i < d->n; i++) {
        free(d->items[i].name);
        free(d->items[i].path);
    }
    free(d->items);
    *d = (struct dropins){0};
}

/* The first of a name wins. */
static void dropins_add(struct dropins *d, const char *folder, const char *name)
{
    for (size_t i = 0; i < d->n; i++)
        if (str_eq(d->items[i].name, name))
            return;
    d->items = xgrow(d->items, &d->cap, d->n + 1, sizeof(*d->items));
    d->items[d->n++] =
        (struct dropin){.name = xstrdup(name), .path = xasprintf("%s/%s", folder, name)};
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct dropin *)a)->name, ((const struct dropin *)b)->name);
}

static struct err *find_dropins(struct ctx *ctx, const char *name, struct dropins *ret)
{
    AUTO(strlist_clear) struct strlist folders = {0};

    dropin_folders(name, &folders);
    for (size_t f = 0; f < folders.n; f++) {
        for (size_t i = 0; i < ARRAY_LEN(search_path); i++) {
            AUTO(freep) char *folder = xasprintf("%s/%s", search_path[i], folders.items[f]);
            AUTO(strlist_clear) struct strlist names = {0};
            struct err *e = fsroot_list(ctx->root, folder, &names);

            if (absent(&e))
                continue;
            TRY(e);
            for (size_t k = 0; k < names.n; k++)
                if (str_ends(names.items[k], ".conf"))
                    dropins_add(ret, folder, names.items[k]);
        }
    }
    return NULL;
}

static struct err *read_dropins(struct ctx *ctx, const char *asked, struct unit_file *u)
{
    AUTO(dropins_clear) struct dropins d = {0};

    TRY(find_dropins(ctx, u->name, &d));
    if (!str_eq(asked, u->name))
        TRY(find_dropins(ctx, asked, &d));
    if (d.n)
        qsort(d.items, d.n, sizeof(*d.items), by_name);
    for (size_t i = 0; i < d.n; i++) {
        bool any = false;
        struct err *e = read_text(ctx, d.items[i].path, u, &any);

        if (e) { /* systemd goes on without it */
            strlist_add(&u->faults, e->text);
            err_free(e);
        }
        u->dropins = u->dropins || any; /* an empty one, or a link to /dev/null: masked */
    }
    return NULL;
}

/* Follows aliases to the file. */
static struct err *load_fragment(struct ctx *ctx, struct unit_file *u)
{
    for (int i = 0; i < ALIASES_MAX; i++) {
        AUTO(place_clear) struct place p = {0};
        AUTO(freep) char *template = template_of(u->name);
        bool any = false;

        TRY(find_place(ctx, u->name, &p));
        if (!p.path && template)
            TRY(find_place(ctx, template, &p));
        if (!p.path)
            return err_new(ERR_NOTFOUND, "there is no unit '%s'", u->name);
        if (p.alias) {
            free(u->name);
            u->name = TAKE(p.alias);
            continue;
        }
        u->masked = p.masked;
        u->path = TAKE(p.path);
        if (u->masked)
            return NULL;
        TRY_CTX(read_text(ctx, u->path, u, &any), "unit '%s'", u->name);
        u->masked = !any;
        return NULL;
    }
    return err_new(ERR_CORRUPT, "unit '%s' is an alias of itself", u->name);
}

struct err *unit_file_load(struct ctx *ctx, const char *name, struct unit_file *ret)
{
    AUTO(unit_file_clear) struct unit_file u = {.name = xstrdup(name)};

    TRY(load_fragment(ctx, &u));
    if (!u.masked)
        TRY(read_dropins(ctx, name, &u));
    *ret = u;
    u = (struct unit_file){0};
    return NULL;
}

static bool pulls(const char *folder)
{
    return str_ends(folder, ".wants") || str_ends(folder, ".requires");
}

static struct err *wanted_in(struct ctx *ctx, const char *base, const char *name,
                             struct strlist *ret)
{
    AUTO(strlist_clear) struct strlist folders = {0};
    struct err *e = fsroot_list(ctx->root, base, &folders);

    if (absent(&e))
        return NULL;
    TRY(e);
    for (size_t i = 0; i < folders.n; i++) {
        AUTO(freep) char *path = xasprintf("%s/%s", base, folders.items[i]);
        AUTO(strlist_clear) struct strlist names = {0};
        AUTO(freep) char *by = xstrdup(folders.items[i]);

        if (!pulls(folders.items[i]))
            continue;
        e = fsroot_list(ctx->root, path, &names);
        if (absent(&e))
            continue;
        TRY(e);
        *strrchr(by, '.') = '\0';
        if (strlist_has(&names, name) && !strlist_has(ret, by))
            strlist_add(ret, by);
    }
    return NULL;
}

struct err *unit_file_wanted_by(struct ctx *ctx, const char *name, struct strlist *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(search_path); i++)
        TRY(wanted_in(ctx, search_path[i], name, ret));
    return NULL;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct err *unit_files_local(struct ctx *ctx, struct strlist *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(local_path); i++) {
        AUTO(strlist_clear) struct strlist names = {0};
        struct err *e = fsroot_list(ctx->root, local_path[i], &names);

        if (absent(&e))
            continue;
        TRY(e);
        for (size_t k = 0; k < names.n; k++)
            if (str_ends(names.items[k], ".service") && !strlist_has(ret, names.items[k]))
                strlist_add(ret, names.items[k]);
    }
    if (ret->n)
        qsort(ret->items, ret->n, sizeof(*ret->items), by_text);
    return NULL;
}

/* unit_name_path_escape of systemd 252: a leading dot is escaped as well. */
char *unit_path_escape(const char *path)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    for (const char *p = path + strspn(path, "/"); *p; p++) {
        if (*p == '/') {
            if (p[1] && p[1] != '/')
                strbuf_puts(&b, "-");
        } else if (isalnum((unsigned char)*p) || strchr(":_", *p) || (*p == '.' && b.len)) {
            strbuf_add(&b, p, 1);
        } else {
            strbuf_printf(&b, "\\x%02x", (unsigned)(unsigned char)*p);
        }
    }
    if (!b.len)
        strbuf_puts(&b, "-");
    return strbuf_take(&b);
}
