/* /etc/fstab as it is and as ours must be in it: names of devices that hold over a boot, the lines
 * of our block, and the one write that exchanges others' lines for ours. */
#include "stage/fstab_own.h"

#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "host/block.h"
#include "host/block_id.h"
#include "host/own_block.h"
#include "host/own_file.h"
#include "io/fsroot.h"
#include "stage/boot.h"
#include "stage/ramdisk.h"
#include "stage/units_found.h"
#include "stage/units_own.h"

#define FILE_MAX_B (1U << 20)

void fstab_own_clear(struct fstab_own *o)
{
    for (int i = 0; i < FSTAB_PLACES; i++)
        free(o->lines[i]);
    free(o->data);
    free(o->why);
    free(o->theirs);
    free(o->spec);
    free(o->options);
    strlist_clear(&o->turned_off);
    *o = (struct fstab_own){0};
}

/* A name that leads to the same device after every boot, by what it is. */
static bool holds(const char *name)
{
    static const char *const starts[] = {
        "/dev/disk/by-", "/dev/zvol/", "/dev/mapper/", "/dev/md/",
        "UUID=",         "LABEL=",     "PARTUUID=",    "PARTLABEL=",
    };

    for (size_t i = 0; i < ARRAY_LEN(starts); i++)
        if (str_starts(name, starts[i]))
            return true;
    return false;
}

static bool is_gone_at_boot(const char *device)
{
    return str_starts(device, "/dev/loop") || str_starts(device, "/dev/ram") ||
           str_starts(device, "/dev/zram") || str_starts(device, "/dev/nbd");
}

/* By what udev names it after (a serial number), which holds before it is formatted as well; else
 * by the UUID of the file system on it. *ret stays NULL with *ret_why. */
static void name_by_itself(struct ctx *ctx, const char *device, char **ret, char **ret_why)
{
    AUTO(block_info_clear) struct block_info b = {0};
    AUTO(block_id_clear) struct block_id id = {0};
    AUTO(err_freep) struct err *e = NULL;

    if (is_gone_at_boot(device)) {
        *ret_why = xasprintf("'%s' is not there after a boot", device);
        return;
    }
    err_free(block_id_read(ctx, device, &id)); /* the file system may still name it */
    if (id.stable_name) {
        *ret = xstrdup(id.stable_name);
        return;
    }
    e = block_probe(ctx, device, &b);
    if (!e && b.content == BLOCK_FILESYSTEM && b.uuid)
        *ret = xasprintf("UUID=%s", b.uuid);
    else
        *ret_why = xasprintf("'%s' may be another device after a boot: name it by /dev/disk/by-id "
                             "in the config (%s)",
                             device, e ? e->text : "it has no UUID yet");
}

/* The volume's name for its line: that of the config, of a right line that is there, of its
 * own. */
static struct err *name_volume(struct ctx *ctx, const struct mounts *now, const struct fstab *f,
                               char **ret, char **ret_why)
{
    const struct config *c = ctx->cfg;
    const struct mount_info *on = mounts_at(now, c->storage.volume.mount);
    const struct fstab_entry *there = fstab_at(f, c->storage.volume.mount, NULL);
    const char *device = c->storage.volume.device;
    bool same = true;

    if (!*device && (!on || str_eq(on->fstype, "zfs") || !str_starts(on->source, "/dev/")))
        return NULL; /* the folder as it is, or what ZFS mounts */
    if (holds(device)) {
        *ret = xstrdup(device);
        return NULL;
    }
    device = *device ? device : on->source;
    if (there && holds(there->spec)) {
        AUTO(freep) char *named = fstab_device(there);

        TRY(boot_same_device(ctx, named, device, &same));
        *ret = same ? xstrdup(there->spec) : NULL;
    }
    if (!*ret)
        name_by_itself(ctx, device, ret, ret_why);
    return NULL;
}

static bool lies_on_zfs(const struct config *c, const struct mounts *now)
{
    const struct mount_info *on =
        *c->storage.kind_root ? mounts_over(now, c->storage.kind_root) : NULL;

    return *c->storage.kind_dataset || (on && str_starts(on->fstype, "zfs"));
}

/* The usual names, where a line waits for a unit that is not there: nothing is lost with it. */
static struct err *add_gone(struct ctx *ctx, struct fstab_own *o)
{
    static const char *const usual[] = {"format-ramdisk.service", "ramdisk-accounts.service"};

    for (size_t i = 0; i < ARRAY_LEN(usual); i++) {
        AUTO(unit_file_clear) struct unit_file u = {0};
        struct err *e = unit_file_load(ctx, usual[i], &u);

        if ((e && e->kind == ERR_NOTFOUND) || (!e && u.masked))
            strlist_add(&o->turned_off, usual[i]);
        if (e && e->kind == ERR_NOTFOUND)
            e = err_free(e);
        TRY(e);
    }
    return NULL;
}

/* Who of others formats the RAM disk and makes the accounts folder. */
static struct err *find_services(struct ctx *ctx, struct scene *scene, struct fstab_own *o,
                                 char **ret_formatter)
{
    AUTO(units_look_clear) struct units_look l = {0};
    AUTO(unit_file_clear) struct unit_file formatter = {0};
    AUTO(unit_file_clear) struct unit_file maker = {0};
    bool formats = false, makes = false;

    TRY(units_look_open(ctx, scene, &l));
    TRY(units_find_formatter(&l, &formatter, &formats));
    TRY(units_find_maker(&l, &maker, &makes));
    if (formats) {
        strlist_add(&o->turned_off, formatter.name);
        *ret_formatter = xstrdup(formatter.name);
    }
    if (makes)
        strlist_add(&o->turned_off, maker.name);
    return add_gone(ctx, o);
}

static struct err *make_lines(struct ctx *ctx, struct scene *scene, const struct mounts *now,
                              struct fstab_own *o)
{
    const struct config *c = ctx->cfg;
    struct fstab_facts facts = {.volume = o->spec, .formatter = UNITS_RAMDISK};
    AUTO(freep) char *formatter = NULL;
    bool ours = false;

    if (ramdisk_is_mount(c))
        TRY(ramdisk_options(ctx, &o->options));
    facts.ramdisk_options = o->options;
    facts.zfs = lies_on_zfs(c, now);
    for (int p = 0; p < FSTAB_PLACES; p++)
        o->lines[p] = fstab_line(c, &facts, (enum fstab_place)p);
    TRY(find_services(ctx, scene, o, &formatter));
    TRY(units_own_formats(ctx, &ours));
    facts.formatter = formatter;
    if (formatter && !ours)
        o->theirs = fstab_line(c, &facts, FSTAB_RAMDISK);
    return NULL;
}

/* Numbers of the block's lines. Damaged marks are another finding's: no block then. */
static void find_block(struct fstab_own *o)
{
    struct own_block b = {0};
    struct err *e = own_block_find(o->data, o->n, &b);

    if (!e && b.there) {
        o->begin = 1;
        for (size_t i = 0; i < b.begin; i++)
            o->begin += o->data[i] == '\n';
        o->end = o->begin - 1;
        for (size_t i = b.begin; i < b.end; i++)
            o->end += o->data[i] == '\n' || i + 1 == o->n;
    }
    err_free(e);
}

struct err *fstab_own_block(struct ctx *ctx, struct fstab_own *ret)
{
    struct err *e = fsroot_read(ctx->root, FSTAB_PATH, FILE_MAX_B, &ret->data, &ret->n);

    if (e && e->kind == ERR_NOTFOUND)
        e = err_free(e);
    TRY(e);
    ret->data = ret->data ? ret->data : xstrdup("");
    find_block(ret);
    return NULL;
}

struct err *fstab_own_look(struct ctx *ctx, struct scene *scene, const struct mounts *now,
                           const struct fstab *f, struct fstab_own *ret)
{
    TRY(fstab_own_block(ctx, ret));
    TRY(name_volume(ctx, now, f, &ret->spec, &ret->why));
    return make_lines(ctx, scene, now, ret);
}

bool fstab_own_has(const struct fstab_own *o, const struct fstab_entry *e)
{
    return o->begin && e->line >= o->begin && e->line <= o->end;
}

char *fstab_own_raw(const struct fstab_own *o, uint32_t line)
{
    const char *at = o->data, *end = o->data + o->n;

    for (uint32_t i = 1; i < line && at < end; i++) {
        const char *nl = memchr(at, '\n', (size_t)(end - at));

        at = nl ? nl + 1 : end;
    }
    const char *nl = memchr(at, '\n', (size_t)(end - at));
    return xstrndup(at, (size_t)((nl ? nl : end) - at));
}

/* Entries outside our block. */
static bool is_foreign(const struct own_block *b, const char *data, uint32_t line)
{
    uint32_t at = 1;

    for (size_t i = 0; b->there && i < b->end; i++) {
        if (at == line && i >= b->begin)
            return false;
        at += data[i] == '\n';
    }
    return true;
}

static struct err *edit_adopt(void *arg, const char *data, size_t n, struct strbuf *ret)
{
    const char *block = arg;
    AUTO(fstab_clear) struct fstab all = {0};
    AUTO(fstab_clear) struct fstab ours = {0};
    AUTO(strbuf_clear) struct strbuf taken = {0};
    AUTO(freep) uint32_t *lines = NULL;
    struct own_block b = {0};
    size_t n_lines = 0;

    TRY(own_block_find(data, n, &b));
    fstab_parse(data, n, &all);
    fstab_parse(block, strlen(block), &ours);
    lines = xcalloc(all.n + 1, sizeof(*lines));
    for (size_t i = 0; i < all.n; i++)
        if (is_foreign(&b, data, all.items[i].line) && fstab_at(&ours, all.items[i].target, NULL))
            lines[n_lines++] = all.items[i].line;
    fstab_adopt(data, n, lines, n_lines, &taken);
    return own_block_put(strbuf_text(&taken), taken.len, false, block, ret);
}

/* Lines of the block for places that others have no line for. */
static void rest_of_block(const char *data, size_t n, const struct own_block *b, struct strbuf *ret)
{
    AUTO(fstab_clear) struct fstab others = {0};
    AUTO(strbuf_clear) struct strbuf outside = {0};

    strbuf_add(&outside, data, b->begin);
    strbuf_add(&outside, data + b->end, n - b->end);
    fstab_parse(strbuf_text(&outside), outside.len, &others);
    for (size_t at = b->text_begin, len; at < b->text_end; at += len) {
        AUTO(fstab_clear) struct fstab one = {0};
        const char *nl = memchr(data + at, '\n', b->text_end - at);

        len = nl ? (size_t)(nl - (data + at)) + 1 : b->text_end - at;
        fstab_parse(data + at, len, &one);
        if (!one.n || !fstab_at(&others, one.items[0].target, NULL))
            strbuf_add(ret, data + at, len);
    }
}

static struct err *edit_unadopt(void *arg, const char *data, size_t n, struct strbuf *ret)
{
    AUTO(strbuf_clear) struct strbuf back = {0};
    AUTO(strbuf_clear) struct strbuf rest = {0};
    struct own_block b = {0};
    bool file = false;

    (void)arg;
    fstab_unadopt(data, n, &back);
    TRY(own_block_find(strbuf_text(&back), back.len, &b));
    rest_of_block(strbuf_text(&back), back.len, &b, &rest);
    if (!rest.len)
        return own_block_take(strbuf_text(&back), back.len, ret, &file);
    return own_block_put(strbuf_text(&back), back.len, false, strbuf_text(&rest), ret);
}

struct err *fstab_own_adopt(struct ctx *ctx, const char *block)
{
    AUTO(freep) char *copy = xstrdup(block);

    return own_shared_edit(ctx, FSTAB_PATH, edit_adopt, copy);
}

struct err *fstab_own_unadopt(struct ctx *ctx)
{
    return own_shared_edit(ctx, FSTAB_PATH, edit_unadopt, NULL);
}

struct err *fstab_own_adopted(struct ctx *ctx, size_t *ret)
{
    AUTO(freep) char *data = NULL;
    size_t n = 0;
    struct err *e = fsroot_read(ctx->root, FSTAB_PATH, FILE_MAX_B, &data, &n);

    *ret = 0;
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    for (char *at = strstr(data, FSTAB_ADOPTED); at; at = strstr(at + 1, FSTAB_ADOPTED))
        *ret += at == data || at[-1] == '\n';
    return NULL;
}

/* No file: none. */
static struct err *read_all(struct ctx *ctx, struct fstab *ret)
{
    struct err *e = fstab_read(ctx, ret);

    return e && e->kind == ERR_NOTFOUND ? err_free(e) : e;
}

struct err *fstab_own_needs(struct ctx *ctx, const char *unit, char **ret)
{
    AUTO(fstab_clear) struct fstab f = {0};

    *ret = NULL;
    TRY(read_all(ctx, &f));
    for (size_t i = 0; i < f.n && !*ret; i++) {
        AUTO(strlist_clear) struct strlist units = {0};

        fstab_option_all(&f.items[i], "x-systemd.requires", &units);
        if (strlist_has(&units, unit))
            *ret = xasprintf(FSTAB_PATH ":%u", f.items[i].line);
    }
    return NULL;
}

struct err *fstab_own_lacks(struct ctx *ctx, char **ret)
{
    AUTO(fstab_own_clear) struct fstab_own o = {0};
    AUTO(strbuf_clear) struct strbuf back = {0};
    AUTO(strlist_clear) struct strlist units = {0};
    AUTO(fstab_clear) struct fstab f = {0};

    *ret = NULL;
    TRY(fstab_own_block(ctx, &o));
    fstab_unadopt(o.data, o.n, &back);
    fstab_parse(strbuf_text(&back), back.len, &f);
    for (size_t i = 0; i < f.n; i++) {
        AUTO(freep) char *now = fstab_own_raw(&o, f.items[i].line);

        if (str_starts(now, FSTAB_ADOPTED))
            fstab_option_all(&f.items[i], "x-systemd.requires", &units);
    }
    for (size_t i = 0; i < units.n && !*ret; i++) {
        AUTO(freep) char *aside = xasprintf(UNITS_ETC "/%s" UNITS_ASIDE, units.items[i]);
        struct stat st;
        struct err *e = fsroot_stat(ctx->root, aside, &st);

        if (e && e->kind != ERR_NOTFOUND)
            return e;
        if (!e)
            *ret = xstrdup(units.items[i]);
        err_free(e);
    }
    return NULL;
}
