/* Our unit files, links and drop-ins on one host: which it needs, and which are there. */
#include "stage/units_own.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/own_file.h"
#include "host/unit_file.h"
#include "io/fsroot.h"
#include "io/proc.h"
#include "stage/etc.h"
#include "stage/ramdisk.h"
#include "stage/self.h"
#include "stage/service.h"
#include "stage/units_found.h"

void units_own_clear(struct units_own *o)
{
    free(o->program);
    free(o->config);
    free(o->validator);
    free(o->formatter);
    free(o->states);
    free(o->unsafe);
    units_files_clear(&o->files);
    strlist_clear(&o->why);
    strlist_clear(&o->masked);
    strlist_clear(&o->late);
    *o = (struct units_own){0};
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* The config may have been named from the working folder; systemd has another. */
static struct err *find_config(const struct ctx *ctx, char **ret)
{
    const char *file = ctx->cfg->file;
    char dir[PATH_MAX];

    *ret = file && *file != '/' ? realpath(file, NULL) : NULL;
    if (*ret || !file)
        return NULL;
    if (*file != '/' && !getcwd(dir, sizeof(dir)))
        return err_sys(errno, "cannot find the working folder");
    *ret = *file == '/' ? xstrdup(file) : xasprintf("%s/%s", dir, file);
    return NULL;
}

/* On a captured host nobody can tell where its agavectl is but its own units. */
static struct err *find_program(struct ctx *ctx, struct units_own *o)
{
    AUTO(unit_file_clear) struct unit_file u = {0};
    AUTO(strlist_clear) struct strlist words = {0};
    struct err *e;

    if (!fsroot_captured(ctx->root)) {
        TRY(find_config(ctx, &o->config));
        return proc_self(&o->program);
    }
    e = unit_file_load(ctx, UNITS_BOOT, &u);
    if (!e)
        unit_file_words(&u, "Service", "ExecStart", &words);
    o->program = xstrdup(words.n ? words.items[0] : "/usr/bin/agavectl");
    o->config = words.n > 2 && str_eq(words.items[1], "--config") ? xstrdup(words.items[2]) : NULL;
    return e && e->kind != ERR_SYS ? err_free(e) : e;
}

static bool is_at(const char *path, const char *folder)
{
    size_t n = strlen(folder);

    return n && strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* What the unit before the RAM disk's mount needs must not lie on that mount, nor on the bind,
 * which waits for it: systemd would leave one of them out of the boot. */
static void add_late(const struct config *c, const char *what, const char *path,
                     struct units_own *o)
{
    const char *where = NULL, *why = "that is mounted after it is needed";

    if (ramdisk_is_mount(c) && is_at(path, c->storage.ramdisk.mount))
        where = c->storage.ramdisk.mount;
    else if (ramdisk_is_device(c) && is_at(path, c->storage.bind))
        where = c->storage.bind;
    else if (is_at(path, "/run") || is_at(path, "/dev"))
        where = is_at(path, "/run") ? "/run" : "/dev", why = "nothing of that is left after a boot";
    if (where)
        strlist_addf(&o->late,
                     "%s '%s' is no use at boot, since it lies below '%s': %s; move it to "
                     "the root file system",
                     what, path, where, why);
}

static void find_late(const struct config *c, struct units_own *o)
{
    AUTO(freep) char *real = o->config ? realpath(o->config, NULL) : NULL;

    add_late(c, "the program", o->program, o);
    if (o->config)
        add_late(c, "the config", o->config, o);
    if (real && !str_eq(real, o->config))
        add_late(c, "the config", real, o);
}

/* Can systemd start a unit of that name? A masked one is noted. */
static struct err *is_there(struct ctx *ctx, const char *name, struct units_own *o, bool *ret)
{
    AUTO(unit_file_clear) struct unit_file u = {0};
    struct err *e = unit_file_load(ctx, name, &u);

    *ret = !e && !u.masked;
    if (!e && u.masked)
        strlist_add(&o->masked, name);
    return e && e->kind == ERR_NOTFOUND ? err_free(e) : e;
}

/* Do containers of this host see the storage? */
static bool shown_to_containers(const struct config *c)
{
    return *c->kind.cluster || *c->kind.node || str_eq(c->validator.runtime, "kubernetes") ||
           (*c->storage.kind_root && *c->storage.bind);
}

/* A service of its own, by a file that stays: not one that starts programs for others (cron), nor
 * one that lives as long as its process. */
static struct err *find_validator(struct ctx *ctx, struct scene *scene, struct units_own *o)
{
    AUTO(unit_file_clear) struct unit_file u = {0};
    struct err *e = service_find(ctx, scene, &u);

    if (!e && !u.masked && service_starts_it(ctx->cfg, &u) && !str_starts(u.path, "/run/"))
        o->validator = xstrdup(u.name);
    return e && e->kind == ERR_NOTFOUND ? err_free(e) : e;
}

/* Of others. Ours has no mkfs on its command line. */
static struct err *find_formatter(struct ctx *ctx, struct scene *scene, struct units_own *o)
{
    AUTO(units_look_clear) struct units_look l = {0};
    AUTO(unit_file_clear) struct unit_file u = {0};
    bool found = false;

    TRY(units_look_open(ctx, scene, &l));
    TRY(units_find_formatter(&l, &u, &found));
    o->formatter = found ? xstrdup(u.name) : NULL;
    return NULL;
}

struct err *units_own_want(struct ctx *ctx, struct scene *scene, struct units_own *ret)
{
    TRY(find_program(ctx, ret));
    TRY(self_unsafe(ctx, ret->program, &ret->unsafe));
    find_late(ctx->cfg, ret);
    TRY(find_validator(ctx, scene, ret));
    TRY(find_formatter(ctx, scene, ret));
    if (shown_to_containers(ctx->cfg)) {
        TRY(is_there(ctx, "docker.service", ret, &ret->facts.docker));
        TRY(is_there(ctx, "kubelet.service", ret, &ret->facts.kubelet));
    }
    ret->facts.program = ret->program;
    ret->facts.config = ret->config;
    ret->facts.validator = ret->validator;
    ret->facts.formatter = ret->formatter;
    units_files_make(ctx->cfg, &ret->facts, &ret->files);
    return NULL;
}

static char *folder_of(const char *path)
{
    return xstrndup(path, (size_t)(base_name(path) - path) - 1);
}

static struct err *missing_letter(struct ctx *ctx, const char *path, char *ret)
{
    AUTO(freep) char *folder = folder_of(path);
    bool there = false;

    TRY(fsroot_is_folder(ctx->root, folder, &there));
    *ret = there ? '+' : '*';
    return NULL;
}

static char *say_foreign(const char *path, const char *to, const char *why)
{
    if (str_eq(to, "/dev/null"))
        return xasprintf("'%s' is masked (a link to /dev/null): systemctl unmask it", path);
    return xasprintf("%s: look at it, and move it away if nobody needs it", why);
}

static struct err *look_link(struct ctx *ctx, const struct units_file *f, struct units_own *o,
                             char *ret)
{
    bool there = false, ours = false;

    TRY(etc_link_look(ctx, f->path, &there, &ours));
    if (!there)
        return missing_letter(ctx, f->path, ret);
    *ret = ours ? '=' : '!';
    if (!ours)
        strlist_addf(&o->why, "'%s' is there and is no link to '%s': move it away", f->path,
                     f->link);
    return NULL;
}

static struct err *look_file(struct ctx *ctx, const struct units_file *f, struct units_own *o,
                             char *ret)
{
    AUTO(freep) char *why = NULL;
    AUTO(freep) char *to = NULL;
    enum own_state state;

    TRY(own_file_look(ctx, f->path, f->text, &state, &why));
    o->there = o->there || (!f->dropin && (state == OWN_SAME || state == OWN_OTHER));
    if (state == OWN_ABSENT)
        return missing_letter(ctx, f->path, ret);
    *ret = state == OWN_SAME ? '=' : state == OWN_OTHER ? '~' : '!';
    if (state != OWN_FOREIGN)
        return NULL;
    err_free(fsroot_readlink(ctx->root, f->path, &to)); /* not a link: why says what it is */
    AUTO(freep) char *say = say_foreign(f->path, to, why);
    strlist_add(&o->why, say);
    return NULL;
}

struct err *units_own_look(struct ctx *ctx, struct units_own *o)
{
    free(o->states);
    o->states = xcalloc(o->files.n + 1, 1);
    for (size_t i = 0; i < o->files.n; i++) {
        const struct units_file *f = &o->files.items[i];

        TRY(f->text ? look_file(ctx, f, o, &o->states[i]) : look_link(ctx, f, o, &o->states[i]));
    }
    return NULL;
}

struct err *units_own_formats(struct ctx *ctx, bool *ret)
{
    enum own_state state;

    TRY(own_file_look(ctx, UNITS_ETC "/" UNITS_RAMDISK, NULL, &state, NULL));
    *ret = state == OWN_OTHER || state == OWN_SAME;
    return NULL;
}
