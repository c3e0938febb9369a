/* Kernel modules: which this kernel has, which are loaded, what modprobe.d says for them. Loading
 * is modprobe's work: it knows dependencies, compression and signatures. Nothing is kept: each look
 * reads anew. */
#include "host/kmodule.h"

#include "io/fsroot.h"
#include "io/proc.h"

#define LIST_MAX_B     (16U << 20)
#define CONF_MAX_B     (1U << 20)
#define MODPROBE_S     60
#define CONF_FILES_MAX 1024

/* Module files have dashes or underscores where the kernel has underscores only. */
static bool same_name(const char *file, size_t n, const char *name)
{
    if (strlen(name) != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((file[i] == '-' ? '_' : file[i]) != name[i])
            return false;
    return true;
}

/* A line of the lists begins with "kernel/drivers/block/brd.ko.xz". */
static bool line_is(const char *line, size_t n, const char *name)
{
    const char *base = line;
    size_t len = 0;

    for (size_t i = 0; i < n && line[i] != ':'; i++)
        if (line[i] == '/')
            base = line + i + 1;
    while (base + len < line + n && base[len] != '.' && base[len] != ':')
        len++;
    return n - (size_t)(base - line) > len + 2 && strncmp(base + len, ".ko", 3) == 0 &&
           same_name(base, len, name);
}

static struct err *in_list(struct ctx *ctx, const char *release, const char *list, const char *name,
                           bool *ret)
{
    AUTO(freep) char *path = xasprintf("/lib/modules/%s/%s", release, list);
    AUTO(freep) char *text = NULL;
    struct err *e = fsroot_read(ctx->root, path, LIST_MAX_B, &text, NULL);

    *ret = false;
    if (e && e->kind == ERR_NOTFOUND) /* modprobe would not find it either */
        return err_free(e);
    TRY(e);
    for (const char *line = text; *line && !*ret;) {
        size_t n = strcspn(line, "\n");

        *ret = line_is(line, n, name);
        line += n + (line[n] == '\n');
    }
    return NULL;
}

/* *ret: KMODULE_MISSING when /sys does not show it. A built-in one shows only with parameters. */
static struct err *in_sys(struct ctx *ctx, const char *name, enum kmodule_state *ret)
{
    AUTO(freep) char *dir = xasprintf("/sys/module/%s", name);
    AUTO(freep) char *state = xasprintf("%s/initstate", dir);
    struct stat st;
    struct err *e = fsroot_stat(ctx->root, dir, &st);

    *ret = KMODULE_MISSING;
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    e = fsroot_stat(ctx->root, state, &st);
    if (e && e->kind != ERR_NOTFOUND)
        return e;
    *ret = e ? KMODULE_BUILTIN : KMODULE_LOADED;
    err_free(e);
    return NULL;
}

struct err *kmodule_look(struct ctx *ctx, const char *name, enum kmodule_state *ret)
{
    AUTO(freep) char *release = NULL;
    bool there = false;

    TRY(in_sys(ctx, name, ret));
    if (*ret != KMODULE_MISSING)
        return NULL;
    TRY(fsroot_read_line(ctx->root, "/proc/sys/kernel/osrelease", &release));
    TRY(in_list(ctx, release, "modules.builtin", name, &there));
    if (there) {
        *ret = KMODULE_BUILTIN;
        return NULL;
    }
    TRY(in_list(ctx, release, "modules.dep", name, &there));
    *ret = there ? KMODULE_LOADABLE : KMODULE_MISSING;
    return NULL;
}

struct err *kmodule_param_u64(struct ctx *ctx, const char *name, const char *param, uint64_t *ret)
{
    AUTO(freep) char *path = xasprintf("/sys/module/%s/parameters/%s", name, param);

    return fsroot_read_u64(ctx->root, path, ret);
}

static void option_clear(struct kmodule_option *o)
{
    free(o->key);
    free(o->value);
    free(o->source);
}

void kmodule_options_clear(struct kmodule_options *o)
{
    for (size_t i = 0; i < o->n; i++)
        option_clear(&o->items[i]);
    free(o->items);
    *o = (struct kmodule_options){0};
}

const struct kmodule_option *kmodule_options_find(const struct kmodule_options *o, const char *key)
{
    for (size_t i = 0; i < o->n; i++)
        if (str_eq(o->items[i].key, key))
            return &o->items[i];
    return NULL;
}

/* The kernel takes the last one that it is given. */
static void set(struct kmodule_options *o, const char *word, size_t n, const char *source)
{
    const char *equals = memchr(word, '=', n);
    size_t key_n = equals ? (size_t)(equals - word) : n;
    struct kmodule_option new = {
        .key = xstrndup(word, key_n),
        .value = equals ? xstrndup(equals + 1, n - key_n - 1) : xstrdup(""),
        .source = xstrdup(source),
    };

    for (size_t i = 0; i < o->n; i++) {
        if (!str_eq(o->items[i].key, new.key))
            continue;
        option_clear(&o->items[i]);
        o->items[i] = new;
        return;
    }
    o->items = xgrow(o->items, &o->cap, o->n + 1, sizeof(*o->items));
    o->items[o->n++] = new;
}

/* The next word of a line; NULL at its end. */
static const char *word(const char **at, size_t *ret_n)
{
    const char *w = *at + strspn(*at, " \t\n");

    *ret_n = strcspn(w, " \t\n");
    *at = w + *ret_n;
    return *ret_n ? w : NULL;
}

static void parse_line(const char *line, const char *name, const char *source,
                       struct kmodule_options *ret)
{
    const char *at = line, *w;
    size_t n = 0;

    w = word(&at, &n);
    if (!w || n != strlen("options") || strncmp(w, "options", n) != 0)
        return;
    w = word(&at, &n);
    if (!w || !same_name(w, n, name))
        return;
    while ((w = word(&at, &n)))
        set(ret, w, n, source);
}

/* A backslash at the end of a line joins the next one to it. */
void kmodule_options_parse(const char *text, const char *path, const char *name,
                           struct kmodule_options *o)
{
    AUTO(strbuf_clear) struct strbuf joined = {0};
    unsigned first = 1;

    for (unsigned no = 1; *text; no++) {
        size_t n = strcspn(text, "\n");
        bool more = n && text[n - 1] == '\\';

        strbuf_add(&joined, text, more ? n - 1 : n);
        text += n + (text[n] == '\n');
        if (more && *text)
            continue;
        AUTO(freep) char *source = xasprintf("%s:%u", path, first);
        parse_line(strbuf_text(&joined), name, source, o);
        strbuf_clear(&joined);
        first = no + 1;
    }
}

/* modprobe.d(5): files are read in the order of their names; one in an earlier folder hides one of
 * its name in a later one. */
static const char *const conf_dirs[] = {
    "/etc/modprobe.d",     "/run/modprobe.d", "/usr/local/lib/modprobe.d",
    "/usr/lib/modprobe.d", "/lib/modprobe.d",
};

struct conf_file {
    char *name;
    const char *dir;
};
struct conf_files {
    struct conf_file *items;
    size_t n, cap;
};

static void conf_files_clear(struct conf_files *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->items[i].name);
    free(f->items);
}

static void add_conf(struct conf_files *f, const char *name, const char *dir)
{
    size_t at = 0;

    while (at < f->n && strcmp(f->items[at].name, name) < 0)
        at++;
    if (f->n == CONF_FILES_MAX || (at < f->n && str_eq(f->items[at].name, name)))
        return;
    f->items = xgrow(f->items, &f->cap, f->n + 1, sizeof(*f->items));
    memmove(f->items + at + 1, f->items + at, (f->n - at) * sizeof(*f->items));
    f->items[at] = (struct conf_file){.name = xstrdup(name), .dir = dir};
    f->n++;
}

static struct err *list_confs(struct ctx *ctx, struct conf_files *ret)
{
    for (size_t d = 0; d < ARRAY_LEN(conf_dirs); d++) {
        AUTO(strlist_clear) struct strlist names = {0};
        struct err *e = fsroot_list(ctx->root, conf_dirs[d], &names);

        if (e && e->kind == ERR_NOTFOUND) {
            err_free(e);
            continue;
        }
        TRY(e);
        for (size_t i = 0; i < names.n; i++)
            if (str_ends(names.items[i], ".conf"))
                add_conf(ret, names.items[i], conf_dirs[d]);
    }
    return NULL;
}

/* "brd.rd_size=…" on the kernel's command line comes after the files (kmod 30, libkmod-config.c).
 */
void kmodule_options_parse_cmdline(const char *text, const char *name, struct kmodule_options *o)
{
    const char *at = text, *w;
    size_t n = 0;

    while ((w = word(&at, &n))) {
        const char *dot = memchr(w, '.', n);

        if (dot && same_name(w, (size_t)(dot - w), name))
            set(o, dot + 1, n - (size_t)(dot + 1 - w), "/proc/cmdline");
    }
}

static struct err *read_cmdline(struct ctx *ctx, const char *name, struct kmodule_options *o)
{
    AUTO(freep) char *text = NULL;
    struct err *e = fsroot_read_line(ctx->root, "/proc/cmdline", &text);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    kmodule_options_parse_cmdline(text, name, o);
    return NULL;
}

struct err *kmodule_options_read(struct ctx *ctx, const char *name, struct kmodule_options *ret)
{
    AUTO(kmodule_options_clear) struct kmodule_options o = {0};
    AUTO(conf_files_clear) struct conf_files files = {0};

    TRY(list_confs(ctx, &files));
    for (size_t i = 0; i < files.n; i++) {
        AUTO(freep) char *path = xasprintf("%s/%s", files.items[i].dir, files.items[i].name);
        AUTO(freep) char *text = NULL;
        struct err *e = fsroot_read(ctx->root, path, CONF_MAX_B, &text, NULL);

        if (e && e->kind == ERR_NOTFOUND) { /* a link to nothing; modprobe skips it as well */
            err_free(e);
            continue;
        }
        TRY(e);
        kmodule_options_parse(text, path, name, &o);
    }
    TRY(read_cmdline(ctx, name, &o));
    *ret = o;
    o = (struct kmodule_options){0};
    return NULL;
}

struct err *kmodule_load(struct ctx *ctx, const char *name, const char *const *params)
{
    AUTO(freep) char *prog = NULL;
    const char *argv[16] = {0};
    size_t n = 0;

    TRY_CTX(proc_find(ctx, "modprobe", &prog),
            "cannot load the kernel module '%s' (modprobe is in the package kmod)", name);
    argv[n++] = prog;
    argv[n++] = name;
    for (; params && *params; params++) {
        if (n + 1 == ARRAY_LEN(argv))
            return err_new(ERR_BUG, "too many parameters for module '%s'", name);
        argv[n++] = *params;
    }
    return err_wrap(proc_run(ctx, argv, MODPROBE_S, NULL), "cannot load the kernel module '%s'",
                    name);
}

struct err *kmodule_unload(struct ctx *ctx, const char *name)
{
    AUTO(freep) char *prog = NULL;
    AUTO(freep) char *path = xasprintf("/sys/module/%s/refcnt", name);
    enum kmodule_state state = KMODULE_MISSING;
    uint64_t users = 0;

    TRY(in_sys(ctx, name, &state));
    if (state == KMODULE_MISSING)
        return NULL;
    if (state == KMODULE_BUILTIN)
        return err_new(ERR_REFUSED, "'%s' is built into this kernel and cannot be unloaded", name);
    struct err *e = fsroot_read_u64(ctx->root, path, &users);
    if (e && e->kind != ERR_NOTFOUND) /* not told: modprobe will say */
        return e;
    err_free(e);
    if (users)
        return err_new(ERR_REFUSED, "the kernel module '%s' is in use", name);
    TRY_CTX(proc_find(ctx, "modprobe", &prog), "cannot unload the kernel module '%s'", name);
    e = proc_run(ctx, (const char *const[]){prog, "-r", name, NULL}, MODPROBE_S, NULL);
    if (e && e->kind == ERR_REMOTE && strstr(e->text, "in use")) {
        err_free(e);
        return err_new(ERR_REFUSED, "the kernel module '%s' is in use", name);
    }
    return err_wrap(e, "cannot unload the kernel module '%s'", name);
}
