/* The next boot's mounts, from what lies on the disk. */
#include "stage/boot.h"

#include "host/block.h"
#include "host/unit_file.h"

void boot_mount_clear(struct boot_mount *m)
{
    free(m->entry.spec);
    free(m->entry.target);
    free(m->entry.type);
    free(m->entry.options);
    free(m->source);
    strlist_clear(&m->requires);
    strlist_clear(&m->after);
    *m = (struct boot_mount){0};
}

static void add_all(struct strlist *to, const struct strlist *from)
{
    for (size_t i = 0; i < from->n; i++)
        strlist_add(to, from->items[i]);
}

/* x-systemd.requires= is Requires= and After=, systemd.mount(5) 252. */
static void from_fstab(const struct fstab_entry *e, struct boot_mount *ret)
{
    ret->entry = (struct fstab_entry){
        .line = e->line,
        .spec = xstrdup(e->spec),
        .target = xstrdup(e->target),
        .type = xstrdup(e->type),
        .options = xstrdup(e->options),
    };
    ret->source = xasprintf("/etc/fstab:%u", e->line);
    fstab_option_all(e, "x-systemd.requires", &ret->requires);
    fstab_option_all(e, "x-systemd.after", &ret->after);
}

static char *value_of(const struct unit_file *u, const char *key, const char *def)
{
    const char *v = unit_file_get(u, "Mount", key);

    return xstrdup(v && *v ? v : def);
}

static void from_unit(const struct unit_file *u, const char *where, struct boot_mount *ret)
{
    ret->entry = (struct fstab_entry){
        .spec = value_of(u, "What", ""),
        .target = xstrdup(where),
        .type = value_of(u, "Type", "auto"),
        .options = value_of(u, "Options", "defaults"),
    };
    ret->source = xstrdup(u->path);
}

/* Drop-ins of the mount's unit count in both cases. Made from fstab at the last boot, its own file
 * says what fstab said then: that is not read. */
static struct err *add_unit(struct ctx *ctx, const char *where, struct boot_mount *m)
{
    AUTO(freep) char *stem = unit_path_escape(where);
    AUTO(freep) char *name = xasprintf("%s.mount", stem);
    AUTO(unit_file_clear) struct unit_file u = {0};
    struct err *e = unit_file_load(ctx, name, &u);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    bool generated = strstr(u.path, "/generator") != NULL;
    if (!m->source && !generated && !u.masked)
        from_unit(&u, where, m);
    if (!m->source)
        return NULL;
    for (size_t i = 0; i < u.n && generated; i++)
        if (str_eq(u.items[i].file, u.path))
            u.items[i].value[0] = '\0';
    unit_file_words(&u, "Unit", "Requires", &m->requires);
    unit_file_words(&u, "Unit", "BindsTo", &m->requires);
    unit_file_words(&u, "Unit", "After", &m->after);
    return NULL;
}

struct err *boot_mount_find(struct ctx *ctx, const struct fstab *f, const char *where,
                            struct boot_mount *ret)
{
    AUTO(boot_mount_clear) struct boot_mount m = {0};
    const struct fstab_entry *e = fstab_at(f, where, &m.n);

    if (e)
        from_fstab(e, &m);
    TRY(add_unit(ctx, where, &m));
    if (!m.source)
        return err_new(ERR_NOTFOUND, "nothing is mounted at '%s' at boot", where);
    add_all(&m.after, &m.requires);
    *ret = m;
    m = (struct boot_mount){0};
    return NULL;
}

/* One word of a command line: a prefix of systemd's, quotes and separators of a shell go. */
static void add_word(const char *word, bool first, struct strlist *ret)
{
    if (first)
        word += strspn(word, "-@:+!");
    word += strspn(word, "\"'();");
    size_t n = strlen(word);
    while (n && strchr("\"'();&", word[n - 1]))
        n--;
    if (n)
        strlist_addf(ret, "%.*s", (int)n, word);
}

void boot_exec_words(const struct unit_file *u, struct strlist *ret)
{
    AUTO(strlist_clear) struct strlist lines = {0};

    unit_file_all(u, "Service", "ExecStartPre", &lines);
    unit_file_all(u, "Service", "ExecStart", &lines);
    unit_file_all(u, "Service", "ExecStartPost", &lines);
    for (size_t i = 0; i < lines.n; i++) {
        AUTO(strlist_clear) struct strlist words = {0};

        unit_file_split(lines.items[i], &words);
        for (size_t k = 0; k < words.n; k++) {
            AUTO(strlist_clear) struct strlist inner = {0};

            unit_file_split(words.items[k], &inner);
            for (size_t j = 0; j < inner.n; j++)
                add_word(inner.items[j], k == 0, ret);
        }
    }
}

/* *ret_there false: there is no such device. */
static struct err *number_of(struct ctx *ctx, const char *dev, uint64_t *ret, bool *ret_there)
{
    uint32_t major = 0, minor = 0;
    struct err *e = block_number(ctx, dev, &major, &minor);

    *ret_there = !e;
    *ret = (uint64_t)major << 32 | minor;
    if (e && (e->kind == ERR_NOTFOUND || e->kind == ERR_BADINPUT))
        return err_free(e);
    return e;
}

struct err *boot_same_device(struct ctx *ctx, const char *a, const char *b, bool *ret)
{
    uint64_t x = 0, y = 0;
    bool a_there = false, b_there = false;

    TRY(number_of(ctx, a, &x, &a_there));
    TRY(number_of(ctx, b, &y, &b_there));
    *ret = a_there && b_there ? x == y : str_eq(a, b);
    return NULL;
}
