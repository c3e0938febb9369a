/* Units of others that make the RAM disk usable at boot, and those that must not start without it.
 * Each rule was broken once in a machine that was really rebooted: without DefaultDependencies=no
 * an ordering cycle drops local-fs.target, RequiresMountsFor= alone means nothing when the line of
 * fstab is gone, a failed mount leaves Docker writing on the plain disk. */
#include "stage/units_found.h"

#include <inttypes.h>

#include "base/str.h"
#include "config/config.h"
#include "host/accounts.h"
#include "stage/disk.h"
#include "stage/ramdisk.h"
#include "stage/service.h"

#define UNIT "Unit"

void units_look_clear(struct units_look *l)
{
    free(l->mount_unit);
    boot_mount_clear(&l->boot);
    strlist_clear(&l->names);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* The unit of that name; *ret_there false: there is none that systemd could start. */
static struct err *load(struct ctx *ctx, const char *name, struct unit_file *ret, bool *ret_there)
{
    struct err *e = unit_file_load(ctx, name, ret);

    *ret_there = !e && !ret->masked;
    return e && e->kind != ERR_SYS ? err_free(e) : e;
}

/* What an mkfs on a command line makes, and on what. */
struct mkfs {
    const char *program; /* "mkfs.xfs"; NULL: there is no mkfs */
    const char *type;    /* "xfs", "ext4", or NULL */
    const char *device;  /* NULL: it names none below /dev */
    bool force;
};

static void find_mkfs(const struct strlist *words, struct mkfs *ret)
{
    *ret = (struct mkfs){0};
    for (size_t i = 0; i < words->n; i++) {
        const char *w = words->items[i];

        if (!ret->program && str_starts(base_name(w), "mkfs")) {
            ret->program = base_name(w);
            ret->type = str_starts(ret->program, "mkfs.") ? ret->program + 5 : NULL;
        } else if (ret->program && str_eq(w, "-t") && i + 1 < words->n) {
            ret->type = words->items[i + 1];
        } else if (ret->program && (str_eq(w, "-f") || str_eq(w, "-F"))) {
            ret->force = true;
        } else if (ret->program && str_starts(w, "/dev/") && !str_eq(w, "/dev/null")) {
            ret->device = ret->device ? ret->device : w;
        } else if (ret->program && (str_eq(w, "&&") || str_eq(w, "||"))) {
            return;
        }
    }
}

/* Does the unit format the RAM disk? A unit that its mount waits for is meant to, whatever it
 * really formats. */
static struct err *formats(const struct units_look *l, const struct unit_file *u, struct mkfs *m,
                           const struct strlist *words, bool *ret)
{
    bool same = false;

    find_mkfs(words, m);
    *ret = false;
    if (!m->program)
        return NULL;
    if (m->device && *l->device)
        TRY(boot_same_device(l->ctx, m->device, l->device, &same));
    *ret = same || strlist_has(&l->boot.requires, u->name) ||
           str_eq(u->name, "format-ramdisk.service");
    return NULL;
}

static void check_mkfs(const struct units_look *l, const struct unit_file *u, const struct mkfs *m,
                       bool same, struct findings *ret)
{
    AUTO(freep) char *want = xasprintf("mkfs.xfs -f %s", l->device);
    AUTO(freep)
    char *got = xasprintf("%s%s %s", m->program, m->force ? " -f" : "", m->device ? m->device : "");
    const char *wrong = NULL;
    enum severity sev = SEV_FAIL;

    if (!m->type || !str_eq(m->type, "xfs"))
        wrong = "it does not make an xfs: the next boot has another file system there, or none";
    else if (!same)
        wrong = "it formats another device than the RAM disk's";
    else if (!m->force)
        wrong = "without -f it refuses a device that still has a signature";
    if (wrong && !m->force && same && m->type && str_eq(m->type, "xfs"))
        sev = SEV_WARN;
    finding_compare(findings_add(ret, "units.format", 4, wrong ? sev : SEV_OK, "%s %s%s%s", u->name,
                                 wrong ? "is wrong: " : "formats the RAM disk at boot",
                                 wrong ? wrong : "",
                                 wrong ? "; correct it before the next boot" : ""),
                    want, got, u->path);
}

static void check_format_order(const struct units_look *l, const struct unit_file *u,
                               struct findings *ret)
{
    const char *wrong = NULL;

    if (unit_file_bool(u, UNIT, "DefaultDependencies", true))
        wrong = "without DefaultDependencies=no it waits for local-fs.target, which waits for the "
                "mount: systemd breaks the cycle by dropping one of them";
    else if (!unit_file_has_word(u, UNIT, "Before", l->mount_unit) &&
             !strlist_has(&l->boot.after, u->name))
        wrong = "nothing makes the mount wait for it: add Before= with the mount's unit";
    findings_add(ret, "units.format.order", 4, wrong ? SEV_WARN : SEV_OK, "%s: %s", u->name,
                 wrong ? wrong : "it is done before the RAM disk is mounted");
}

static struct err *check_pulled(const struct units_look *l, const struct unit_file *u,
                                const char *id, struct findings *ret)
{
    AUTO(strlist_clear) struct strlist by = {0};
    bool pulled = strlist_has(&l->boot.requires, u->name);

    TRY(unit_file_wanted_by(l->ctx, u->name, &by));
    pulled = pulled || by.n;
    findings_add(ret, id, 4, pulled ? SEV_OK : SEV_WARN, "%s %s", u->name,
                 pulled ? "is started at boot"
                        : "is not started at boot: systemctl enable it, or let the mount require "
                          "it");
    return NULL;
}

static void note_faults(const struct unit_file *u, struct findings *ret)
{
    for (size_t i = 0; i < u->faults.n; i++)
        findings_add(ret, "units.syntax", 4, SEV_NOTE, "%s: systemd ignores it",
                     u->faults.items[i]);
}

static struct err *check_formatter(const struct units_look *l, const struct unit_file *u,
                                   const struct mkfs *m, struct findings *ret)
{
    bool same = false;

    if (m->device)
        TRY(boot_same_device(l->ctx, m->device, l->device, &same));
    check_mkfs(l, u, m, same, ret);
    check_format_order(l, u, ret);
    note_faults(u, ret);
    return check_pulled(l, u, "units.format.enabled", ret);
}

/* *ret_words, *ret_m: of its command line, which m's texts point into. */
static struct err *find_formatter(const struct units_look *l, struct unit_file *ret,
                                  struct strlist *ret_words, struct mkfs *ret_m, bool *ret_found)
{
    *ret_found = false;
    for (size_t i = 0; i < l->names.n && !*ret_found; i++) {
        bool there = false;

        unit_file_clear(ret);
        strlist_clear(ret_words);
        TRY(load(l->ctx, l->names.items[i], ret, &there));
        if (!there)
            continue;
        boot_exec_words(ret, ret_words);
        TRY(formats(l, ret, ret_m, ret_words, ret_found));
    }
    return NULL;
}

struct err *units_find_formatter(const struct units_look *l, struct unit_file *ret, bool *ret_found)
{
    AUTO(strlist_clear) struct strlist words = {0};
    struct mkfs m;

    return find_formatter(l, ret, &words, &m, ret_found);
}

/* Only a RAM disk with a device of its own is formatted; a tmpfs is not. */
static struct err *check_format(const struct units_look *l, struct findings *ret)
{
    AUTO(unit_file_clear) struct unit_file u = {0};
    AUTO(strlist_clear) struct strlist words = {0};
    struct mkfs m;
    bool found = false;

    if (!*l->device)
        return NULL;
    TRY(find_formatter(l, &u, &words, &m, &found));
    if (found)
        return check_formatter(l, &u, &m, ret);
    if (l->boot.source && fstab_option(&l->boot.entry, "x-systemd.makefs", NULL))
        return NULL; /* the stage fstab says what to know of it */
    findings_add(ret, "units.format", 4, SEV_WARN,
                 "no unit formats '%s' at boot, where it is blank: the RAM disk is not mounted "
                 "then; add a unit with ExecStart=/usr/sbin/mkfs.xfs -f %s",
                 l->device, l->device)
        ->repair = l->repair;
    return NULL;
}

/* Who the accounts folder is given to on a command line: install's -o and -g, or chown's argument.
 */
struct owner {
    char *user, *group; /* NULL: not told */
};
static void owner_clear(struct owner *o)
{
    free(o->user);
    free(o->group);
}

static void find_owner(const struct strlist *words, struct owner *ret)
{
    bool chown = false;

    for (size_t i = 0; i < words->n; i++) {
        const char *w = words->items[i], *colon = strchr(w, ':');

        if (str_eq(base_name(w), "chown")) {
            chown = true;
        } else if (chown && *w != '-') {
            free(ret->user);
            free(ret->group);
            ret->user = colon ? xstrndup(w, (size_t)(colon - w)) : xstrdup(w);
            ret->group = colon && colon[1] ? xstrdup(colon + 1) : NULL;
            chown = false;
        } else if (!chown && str_eq(w, "-o") && i + 1 < words->n && !ret->user) {
            ret->user = xstrdup(words->items[i + 1]);
        } else if (!chown && str_eq(w, "-g") && i + 1 < words->n && !ret->group) {
            ret->group = xstrdup(words->items[i + 1]);
        }
    }
}

static void check_owner(const struct units_look *l, const struct unit_file *u,
                        const struct strlist *words, struct findings *ret)
{
    const struct config *c = l->ctx->cfg;
    AUTO(owner_clear) struct owner o = {0};
    uint64_t uid = 0, gid = c->validator.gid;

    find_owner(words, &o);
    struct err *e = o.user ? account_uid(l->ctx, o.user, &uid) : NULL;
    e = e || !o.group ? e : account_gid(l->ctx, o.group, &gid);
    AUTO(freep) char *want = xasprintf("%" PRIu64 ":%" PRIu64, c->validator.uid, c->validator.gid);
    AUTO(freep) char *got = xasprintf("%" PRIu64 ":%" PRIu64, uid, gid);
    bool right = uid == c->validator.uid;
    struct finding *f =
        e ? findings_add(ret, "units.accounts", 4, SEV_UNKNOWN,
                         "%s gives the accounts folder to '%s', whose number is not known: %s",
                         u->name, o.user, e->text)
          : findings_add(ret, "units.accounts", 4, right ? SEV_OK : SEV_FAIL,
                         "%s makes the accounts folder and gives it to %s%s%s (%s)%s", u->name,
                         o.user ? o.user : "root", o.group ? ":" : "", o.group ? o.group : "", got,
                         right ? "" : ": the validator could not write there after a boot");
    finding_compare(f, want, e ? NULL : got, u->path);
    err_free(e);
}

static void check_accounts_order(const struct units_look *l, const struct unit_file *u,
                                 struct findings *ret)
{
    bool ok = unit_file_has_word(u, UNIT, "RequiresMountsFor", l->mount) ||
              unit_file_has_word(u, UNIT, "RequiresMountsFor", l->ctx->cfg->validator.accounts) ||
              unit_file_has_word(u, UNIT, "After", l->mount_unit);

    findings_add(ret, "units.accounts.order", 4, ok ? SEV_OK : SEV_WARN, "%s %s%s", u->name,
                 ok ? "waits for the RAM disk"
                    : "does not wait for the RAM disk and may make the folder on the disk below: "
                      "add RequiresMountsFor=",
                 ok ? "" : l->mount);
}

/* What is made on the command line is the accounts folder? */
static bool makes_accounts(const struct units_look *l, const struct strlist *words)
{
    return strlist_has(words, l->ctx->cfg->validator.accounts);
}

static struct err *find_maker(const struct units_look *l, struct unit_file *ret,
                              struct strlist *ret_words, bool *ret_found)
{
    *ret_found = false;
    for (size_t i = 0; i < l->names.n && !*ret_found; i++) {
        struct mkfs m;
        bool there = false;

        unit_file_clear(ret);
        strlist_clear(ret_words);
        TRY(load(l->ctx, l->names.items[i], ret, &there));
        if (!there)
            continue;
        boot_exec_words(ret, ret_words);
        find_mkfs(ret_words, &m);
        *ret_found =
            !m.program && makes_accounts(l, ret_words) && !strlist_has(ret_words, "--accounts");
    }
    return NULL;
}

struct err *units_find_maker(const struct units_look *l, struct unit_file *ret, bool *ret_found)
{
    AUTO(strlist_clear) struct strlist words = {0};

    return find_maker(l, ret, &words, ret_found);
}

static struct err *check_accounts(const struct units_look *l, struct findings *ret)
{
    AUTO(unit_file_clear) struct unit_file u = {0};
    AUTO(strlist_clear) struct strlist words = {0};
    bool found = false;

    TRY(find_maker(l, &u, &words, &found));
    if (found) {
        check_owner(l, &u, &words, ret);
        check_accounts_order(l, &u, ret);
        note_faults(&u, ret);
        return check_pulled(l, &u, "units.accounts.enabled", ret);
    }
    findings_add(ret, "units.accounts", 4, SEV_WARN,
                 "no unit makes '%s' at boot, where the RAM disk is empty: agavectl up makes it, "
                 "but what starts the validator without agavectl finds none",
                 l->ctx->cfg->validator.accounts)
        ->repair = l->repair;
    return NULL;
}

/* Is the path at or below what is needed, or its image below the bind? */
static bool reaches(const struct units_look *l, const char *path)
{
    const struct config *c = l->ctx->cfg;
    const char *volume = c->storage.volume.mount, *bind = c->storage.bind;
    AUTO(freep)
    char *image = *bind && str_starts(l->needed, volume)
                      ? xasprintf("%s%s", bind, l->needed + strlen(volume))
                      : xstrdup(l->needed);

    return str_starts(path, l->needed) || str_starts(path, image);
}

/* What starts the validator at boot must neither run before the RAM disk is mounted nor without it.
 */
static void check_consumer(const struct units_look *l, const struct unit_file *u, bool docker,
                           struct findings *ret)
{
    AUTO(strlist_clear) struct strlist waited = {0};
    AUTO(strlist_clear) struct strlist asserted = {0};
    bool waits = unit_file_has_word(u, UNIT, "Requires", l->mount_unit);
    bool asserts = false;

    unit_file_words(u, UNIT, "RequiresMountsFor", &waited);
    for (size_t i = 0; i < waited.n; i++)
        waits = waits || reaches(l, waited.items[i]);
    unit_file_words(u, UNIT, "AssertPathIsMountPoint", &asserted);
    unit_file_words(u, UNIT, "ConditionPathIsMountPoint", &asserted);
    for (size_t i = 0; i < asserted.n; i++)
        asserts = asserts || reaches(l, asserted.items[i]);
    findings_add(ret, "units.mounts", 4, waits ? SEV_OK : SEV_WARN, "%s %s%s", u->name,
                 waits ? "waits for the validator's storage"
                       : "does not wait for the validator's storage at boot: add "
                         "RequiresMountsFor=",
                 waits ? "" : l->needed)
        ->repair = waits ? NULL : l->repair;
    findings_add(ret, "units.assert", 4,
                 asserts  ? SEV_OK
                 : docker ? SEV_WARN
                          : SEV_NOTE,
                 "%s %s%s", u->name,
                 asserts ? "is not started without the validator's storage"
                         : "is started without the validator's storage when its line of fstab is "
                           "gone, and writes on the disk below: add AssertPathIsMountPoint=",
                 asserts ? "" : l->needed)
        ->repair = asserts ? NULL : l->repair;
    note_faults(u, ret);
}

struct err *units_check_consumers(const struct units_look *l, struct scene *scene,
                                  struct findings *ret)
{
    const struct config *c = l->ctx->cfg;
    AUTO(unit_file_clear) struct unit_file u = {0};
    bool docker = *c->kind.cluster || str_eq(c->validator.runtime, "kubernetes");
    struct err *e =
        docker ? unit_file_load(l->ctx, "docker.service", &u) : service_find(l->ctx, scene, &u);

    if (!e && !u.masked)
        check_consumer(l, &u, docker, ret);
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e); /* nothing starts it at boot */
    return e;
}

/* Services of the administrator, those that the mount waits for, and the usual names. */
static struct err *find_names(struct units_look *l)
{
    static const char *const usual[] = {"format-ramdisk.service", "ramdisk-accounts.service"};

    for (size_t i = 0; i < l->boot.requires.n; i++)
        if (str_ends(l->boot.requires.items[i], ".service"))
            strlist_add(&l->names, l->boot.requires.items[i]);
    for (size_t i = 0; i < ARRAY_LEN(usual); i++)
        strlist_add(&l->names, usual[i]);
    AUTO(strlist_clear) struct strlist local = {0};
    TRY(unit_files_local(l->ctx, &local));
    for (size_t i = 0; i < local.n; i++)
        if (!strlist_has(&l->names, local.items[i]))
            strlist_add(&l->names, local.items[i]);
    return NULL;
}

static struct err *find_boot(struct units_look *l)
{
    AUTO(fstab_clear) struct fstab f = {0};
    struct err *e = fstab_read(l->ctx, &f);

    if (e && e->kind == ERR_NOTFOUND)
        e = err_free(e);
    TRY(e);
    e = boot_mount_find(l->ctx, &f, l->mount, &l->boot);
    return e && e->kind == ERR_NOTFOUND ? err_free(e) : e;
}

/* Without a RAM disk the bind, or the volume, is what must be there. */
static struct err *find_needed(struct units_look *l, struct scene *scene)
{
    const struct config *c = l->ctx->cfg;
    const struct mounts *m = NULL;
    const struct mount_info *on;

    TRY(scene_mounts(l->ctx, scene, &m));
    on = mounts_at(m, l->mount);
    l->memory = ramdisk_is_mount(c);
    if (on && !l->memory)
        TRY(disk_in_memory(l->ctx, on, &l->memory));
    l->needed = l->memory ? l->mount : *c->storage.bind ? c->storage.bind : c->storage.volume.mount;
    return NULL;
}

struct err *units_look_open(struct ctx *ctx, struct scene *scene, struct units_look *ret)
{
    const struct config *c = ctx->cfg;
    AUTO(freep) char *stem = unit_path_escape(c->storage.ramdisk.mount);

    ret->ctx = ctx;
    ret->mount = c->storage.ramdisk.mount;
    ret->device = ramdisk_is_device(c) ? ramdisk_source(c) : "";
    TRY(find_needed(ret, scene));
    ret->mount_unit = xasprintf("%s.mount", stem);
    TRY(find_boot(ret));
    return find_names(ret);
}

struct err *units_check_found(const struct units_look *l, struct scene *scene, struct findings *ret)
{
    if (l->memory) {
        TRY(check_format(l, ret));
        TRY(check_accounts(l, ret));
    }
    return units_check_consumers(l, scene, ret);
}
