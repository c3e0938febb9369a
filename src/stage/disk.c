/* A device with an XFS at its place. A file system is made on a device that is blank and free; an
 * XFS that is there is mounted as it is. Everything else is refused with the reason: clearing a
 * device is the operator's own work. The one exception is a device in memory with other content,
 * which a boot would lose anyway: it is formatted when the operator names it as one to destroy. */
#include "stage/disk.h"

#include "base/str.h"
#include "host/block.h"
#include "host/block_id.h"
#include "host/block_users.h"
#include "host/mkfs.h"
#include "host/mounts.h"
#include "host/zram.h"
#include "io/fsroot.h"
#include "stage/disk_undo.h"
#include "stage/folders.h"

_Static_assert(VERB_REFORMAT < DISK_VERB_END, "a stage's own verbs begin behind these");
#define BLANK     "blank" /* got of a content finding, from which the plan knows */
#define LAYER     4
#define SETTLE_MS 1000
/* Accounts and ledger are written all the time; access times would be more writes for nothing. */
#define MOUNT_OPTIONS "noatime"

static bool is_zfs(const char *fstype)
{
    return str_eq(fstype, "zfs") || str_starts(fstype, "fuse.zfs");
}

static bool is_memory_fs(const char *fstype)
{
    return str_eq(fstype, "tmpfs") || str_eq(fstype, "ramfs");
}

static void note_want(struct finding *f, const char *want, const char *got, const char *source)
{
    f->want = want ? xstrdup(want) : NULL;
    f->got = got ? xstrdup(got) : NULL;
    f->source = source ? xstrdup(source) : NULL;
}

struct err *disk_in_memory(struct ctx *ctx, const struct mount_info *on, bool *ret)
{
    enum ramdev kind = RAMDEV_NONE;
    struct err *e = NULL;

    *ret = is_memory_fs(on->fstype);
    if (*ret || !on->major)
        return NULL;
    e = ramdev_kind(ctx, on->major, on->minor, &kind);
    *ret = !e && kind != RAMDEV_NONE;
    return e;
}

/* Without a device: say what the folder lies on. */
static struct err *check_folder(struct ctx *ctx, const struct disk *d, const struct mounts *m,
                                struct findings *ret)
{
    const struct mount_info *on = mounts_over(m, d->mount);
    enum severity sev = SEV_OK;
    bool exists = false;

    if (!on)
        return err_new(ERR_CORRUPT, "the table of mounts has no root");
    TRY(fsroot_is_folder(ctx->root, d->mount, &exists));
    if (!exists) {
        struct finding *f = findings_add(ret, d->id_folder, LAYER, SEV_FAIL,
                                         "folder '%s' does not exist", d->mount);
        f->repair = d->stage;
        return folders_missing(ctx, d->mount, &f->old);
    }
    bool memory = false;
    struct err *blind = disk_in_memory(ctx, on, &memory);
    if (blind)
        sev = SEV_UNKNOWN;
    else if (is_zfs(on->fstype))
        sev = SEV_FAIL;
    else if (memory != d->in_memory || (!memory && !str_eq(on->fstype, "xfs")))
        sev = SEV_NOTE;
    struct finding *f = findings_add(
        ret, d->id_folder, LAYER, sev, "'%s' is used as it is: a folder on %s at '%s'%s", d->mount,
        on->fstype, on->target,
        sev == SEV_FAIL ? "; io_uring on ZFS can hang the machine: use an XFS on a device"
        : blind         ? ": whether that is in memory could not be seen"
                        : "");
    err_free(blind);
    note_want(f, d->in_memory ? "a device in memory" : "xfs", on->fstype, "/proc/self/mountinfo");
    return NULL;
}

/* Something is mounted at the place: is it this device, whole, as XFS, writable? */
static void check_mounted(const struct disk *d, uint32_t major, uint32_t minor,
                          const struct mount_info *m, struct findings *ret)
{
    AUTO(freep) char *got = xasprintf("%s of '%s'", m->fstype, m->source);
    AUTO(freep) char *want = xasprintf("xfs of '%s'", d->device);
    const char *wrong = NULL;

    if (is_zfs(m->fstype))
        wrong = "it is ZFS, on which io_uring can hang the machine";
    else if (m->major != major || m->minor != minor)
        wrong = "another file system is mounted there";
    else if (!str_eq(m->fstype, "xfs"))
        wrong = d->in_memory
                    ? "its file system is not xfs: when the validator is stopped, unmount it, and "
                      "'agavectl prepare --apply ramdisk --destroy=' with this device's name makes "
                      "one; what formats it at boot must make an xfs as well"
                    : "its file system is not xfs: when the validator is stopped, unmount it, "
                      "clear it and make an xfs";
    else if (!str_eq(m->root, "/"))
        wrong = "only a folder of it is mounted there";
    else if (mount_is_read_only(m))
        wrong = "it is mounted read-only";
    struct finding *f = findings_add(
        ret, d->id_mount, LAYER, wrong ? SEV_FAIL : SEV_OK, "'%s' is %smounted at '%s'%s%s",
        d->device, wrong ? "not rightly " : "", d->mount, wrong ? ": " : "", wrong ? wrong : "");
    note_want(f, want, got, "/proc/self/mountinfo");
}

/* Content that is neither blank nor an xfs. */
static void add_foreign(const struct disk *d, const struct block_info *b, bool memory, bool idle,
                        struct findings *ret)
{
    struct finding *f;

    if (!memory || !idle) {
        f = findings_add(ret, d->id_content, LAYER, SEV_FAIL,
                         "'%s' holds %s: it is left alone; clear it yourself when nothing on it is "
                         "needed",
                         d->device, b->what);
    } else {
        f = findings_add(ret, d->id_content, LAYER, SEV_FAIL,
                         "'%s' holds %s: it is formatted only when it is named as one to destroy",
                         d->device, b->what);
        f->repair = d->stage;
        finding_fix(f, "agavectl prepare --apply --destroy=%s %s", d->device, d->stage);
    }
    note_want(f, "xfs, or a blank device", b->fstype ? b->fstype : b->what, d->device);
}

static void add_content(const struct disk *d, const struct block_info *b, enum severity sev,
                        const char *got, struct findings *ret, const char *what)
{
    struct finding *f = findings_add(ret, d->id_content, LAYER, sev, "'%s' %s", d->device, what);

    note_want(f, "xfs, or a blank device", got ? got : b->what, d->device);
    f->repair = got && str_eq(got, BLANK) ? d->stage : NULL;
}

/* The content of a device that is not mounted at its place. memory: a boot loses it anyway; idle:
 * nobody uses it. *ret_usable: it can be used, now (an xfs) or after mkfs. */
static void check_content(const struct disk *d, const struct block_info *b, bool memory, bool idle,
                          struct findings *ret, bool *ret_usable)
{
    bool xfs = b->content == BLOCK_FILESYSTEM && str_eq(b->fstype, "xfs");
    bool blank = b->content == BLOCK_BLANK;
    bool small = !xfs && b->size_b < MKFS_XFS_MIN_B && (blank || memory);
    char size[32];
    AUTO(freep)
    char *has =
        xasprintf("has %s; an xfs needs at least 300 MiB", fmt_size(b->size_b, size, sizeof(size)));
    AUTO(freep) char *holds = xasprintf("holds %s", b->what);

    *ret_usable = !b->read_only && !small && (xfs || blank || (memory && idle));
    if (b->read_only)
        add_content(d, b, SEV_FAIL, b->fstype, ret, "is read-only");
    else if (small)
        add_content(d, b, SEV_FAIL, b->fstype, ret, has);
    else if (blank)
        add_content(d, b, SEV_FAIL, BLANK, ret, "is blank: it has no xfs yet");
    else if (xfs)
        add_content(d, b, SEV_OK, b->fstype, ret, holds);
    else
        add_foreign(d, b, memory, idle, ret);
}

static struct err *check_users(struct ctx *ctx, const struct disk *d, struct findings *ret,
                               bool *ret_free)
{
    AUTO(block_users_clear) struct block_users u = {0};

    /* A device that was made just now is still being looked at by udev. */
    TRY(block_users_settled(ctx, d->device, SETTLE_MS, &u));
    AUTO(freep) char *who = block_users_text(&u);
    *ret_free = u.n == 0;
    struct finding *f =
        findings_add(ret, d->id_users, LAYER, u.n ? SEV_FAIL : SEV_OK,
                     u.n ? "'%s' is in use: %s" : "'%s' is used by %s", d->device, who);
    note_want(f, "nobody", who, "/proc, /sys, exclusive open");
    return NULL;
}

struct err *disk_check_hidden(struct ctx *ctx, const struct disk *d, struct findings *ret)
{
    AUTO(strlist_clear) struct strlist names = {0};
    struct err *e = fsroot_list(ctx->root, d->mount, &names);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    if (names.n)
        findings_add(
            ret, d->id_hidden, LAYER, SEV_WARN,
            "'%s' has content of its own (%zu entries, e.g. '%s') that the mount will hide",
            d->mount, names.n, names.items[0]);
    return NULL;
}

/* *ret: it is one in memory. */
static void check_memory(struct ctx *ctx, const struct disk *d, uint32_t major, uint32_t minor,
                         struct findings *ret, bool *ret_memory)
{
    enum ramdev kind = RAMDEV_NONE;

    *ret_memory = false;
    if (!d->in_memory)
        return;
    struct err *e = ramdev_kind(ctx, major, minor, &kind);
    if (e) {
        findings_add(ret, d->id_memory, LAYER, SEV_UNKNOWN,
                     "whether '%s' is in memory could not be seen: %s", d->device, e->text);
        err_free(e);
        return;
    }
    *ret_memory = kind != RAMDEV_NONE;
    struct finding *f =
        findings_add(ret, d->id_memory, LAYER, kind == RAMDEV_NONE ? SEV_WARN : SEV_OK,
                     "'%s' is %s%s", d->device, kind == RAMDEV_NONE ? "" : "a ", ramdev_name(kind));
    note_want(f, "a device in memory", ramdev_name(kind), "/sys/dev/block");
}

static bool has_no_name(const struct block_id *id)
{
    return id->kind == BLOCK_ID_BRD || id->kind == BLOCK_ID_ZRAM;
}

/* In the words of disk_identity. To be freed. */
static char *identity_text(const struct block_id *id)
{
    if (!has_no_name(id))
        return xstrdup(id->text);
    return disk_memory_identity(id->kind == BLOCK_ID_BRD ? RAMDEV_BRD : RAMDEV_ZRAM, id->size_b);
}

/* What the device is, whatever its name: the plan's changes are bound to that. */
static struct err *check_identity(struct ctx *ctx, const struct disk *d, struct findings *ret)
{
    AUTO(block_id_clear) struct block_id id = {0};

    TRY(block_id_read(ctx, d->device, &id));
    AUTO(freep) char *text = identity_text(&id);
    note_want(findings_add(ret, d->id_device, LAYER, SEV_OK, "'%s' is a block device: %s",
                           d->device, text),
              NULL, text, "/sys/dev/block");
    if (d->id_name && id.stable_name && block_id_passing_name(d->device))
        note_want(findings_add(ret, d->id_name, LAYER, SEV_WARN,
                               "'%s' may be another disk's name after a reboot: put '%s' into the "
                               "config in its place",
                               d->device, id.stable_name),
                  id.stable_name, d->device, "the config");
    return NULL;
}

/* Who uses it comes first, and is told first: what somebody is writing looks like content that
 * nobody knows, and "clear it yourself" would be bad advice. */
static struct err *check_unmounted(struct ctx *ctx, const struct disk *d, bool memory,
                                   struct findings *ret)
{
    AUTO(block_info_clear) struct block_info b = {0};
    bool usable = false, idle = false;

    TRY(check_users(ctx, d, ret, &idle));
    TRY(block_probe(ctx, d->device, &b));
    check_content(d, &b, memory, idle, ret, &usable);
    TRY(disk_check_hidden(ctx, d, ret));
    struct finding *f = findings_add(ret, d->id_mount, LAYER, SEV_FAIL,
                                     "'%s' is not mounted at '%s'", d->device, d->mount);
    f->repair = usable && idle ? d->stage : NULL;
    return folders_missing(ctx, d->mount, &f->old);
}

/* What is on the way out, together with the device that it is on. */
static struct err *check_old_content(struct ctx *ctx, const struct disk *d, struct findings *ret)
{
    AUTO(block_info_clear) struct block_info b = {0};
    struct err *e = d->remake ? block_probe(ctx, d->device, &b) : NULL;
    bool there = d->remake && !e && b.content != BLOCK_BLANK;

    if (e && e->kind == ERR_NOTFOUND)
        e = err_free(e);
    TRY(e);
    struct finding *f = findings_add(
        ret, d->id_content, LAYER, SEV_FAIL, "'%s' %s%s", d->device,
        there ? "is made anew, and loses what it holds: " : "has no xfs yet", there ? b.what : "");
    note_want(f, "xfs", there ? b.what : BLANK, d->device);
    f->repair = d->make_blocked ? NULL : d->stage;
    if (there && f->repair)
        finding_fix(f, "agavectl prepare --apply --destroy=%s %s", d->device, d->stage);
    return NULL;
}

/* The device is still to be made: all that follows is planned for the one that it will be. */
static struct err *check_to_be_made(struct ctx *ctx, const struct disk *d, const struct mounts *m,
                                    struct findings *ret)
{
    const struct mount_info *at = mounts_at(m, d->mount);
    const char *repair = at || d->make_blocked ? NULL : d->stage;
    struct finding *f;

    f = findings_add(ret, d->id_device, LAYER, SEV_FAIL, "'%s' is %s", d->device,
                     d->remake ? "not yet as the config asks for" : "not there yet");
    note_want(f, d->made_as, d->remake ? DISK_ANOTHER : "nothing", d->device);
    f->repair = repair;
    if (at) {
        findings_add(ret, d->id_mount, LAYER, SEV_FAIL,
                     "'%s' of '%s' is mounted at '%s', where '%s' belongs: unmount it when nothing "
                     "uses it",
                     at->fstype, at->source, d->mount, d->device);
        return NULL;
    }
    TRY(check_old_content(ctx, d, ret));
    TRY(disk_check_hidden(ctx, d, ret));
    f = findings_add(ret, d->id_mount, LAYER, SEV_FAIL, "'%s' is not mounted at '%s'", d->device,
                     d->mount);
    f->repair = repair;
    return folders_missing(ctx, d->mount, &f->old);
}

/* The table of mounts knows real paths only: behind a link nothing would be found in it. */
static struct err *check_path(struct ctx *ctx, const struct disk *d, struct findings *ret,
                              bool *ret_ok)
{
    AUTO(freep) char *real = NULL;

    TRY(fsroot_real(ctx->root, d->mount, &real));
    *ret_ok = str_eq(real, d->mount);
    if (!*ret_ok)
        findings_add(ret, d->id_mount, LAYER, SEV_FAIL,
                     "'%s' leads to '%s' (a symbolic link?): name that in the config", d->mount,
                     real);
    return NULL;
}

static struct err *check_there(struct ctx *ctx, const struct disk *d, const struct mounts *m,
                               uint32_t major, uint32_t minor, struct findings *ret)
{
    const struct mount_info *at = mounts_at(m, d->mount);
    bool memory = false;

    TRY(check_identity(ctx, d, ret));
    check_memory(ctx, d, major, minor, ret, &memory);
    if (!at)
        return check_unmounted(ctx, d, memory, ret);
    check_mounted(d, major, minor, at, ret);
    return NULL;
}

struct err *disk_check(struct ctx *ctx, struct scene *scene, const struct disk *d,
                       struct findings *ret)
{
    const struct mounts *m = NULL;
    uint32_t major = 0, minor = 0;
    bool plain = false;

    TRY(check_path(ctx, d, ret, &plain));
    if (!plain)
        return NULL;
    TRY(scene_mounts(ctx, scene, &m));
    if (!*d->device)
        return check_folder(ctx, d, m, ret);
    struct err *e = block_number(ctx, d->device, &major, &minor);
    if (d->made_as && (d->remake || (e && e->kind == ERR_NOTFOUND))) {
        err_free(e);
        return check_to_be_made(ctx, d, m, ret);
    }
    if (e && (e->kind == ERR_NOTFOUND || e->kind == ERR_BADINPUT)) {
        findings_add(ret, d->id_device, LAYER, SEV_FAIL, "%s; is the name in the config right?",
                     e->text);
        err_free(e);
        return NULL;
    }
    TRY(e);
    return check_there(ctx, d, m, major, minor, ret);
}

static bool fixable(const struct disk *d, const struct findings *f, const char *id)
{
    const struct finding *x = findings_find(f, id);

    return x && x->sev == SEV_FAIL && x->repair && str_eq(x->repair, d->stage);
}

void disk_plan_on(const struct disk *d, const char *what, bool format, struct plan *ret)
{
    struct change *c = NULL;

    /* Not destructive: made only on a device that is blank, which is looked at again just before.
     */
    if (format) {
        AUTO(freep) char *after = xasprintf("xfs%s%s", what ? " on " : "", what ? what : "");

        c = plan_add(ret, CHANGE_CREATE, VERB_FORMAT, d->device, BLANK, after);
        c->once = c->undoable = true;
        c->arg = what ? xstrdup(what) : NULL;
    }
    c = plan_add(ret, CHANGE_CREATE, VERB_MOUNT, d->mount, NULL, d->device);
    c->undoable = true;
    c->arg = what ? xstrdup(what) : NULL;
}

/* What it holds is lost: done when it is named, and by itself. */
static void plan_reformat(const struct disk *d, const char *holds, const char *what,
                          struct plan *ret)
{
    AUTO(freep) char *after = xasprintf("xfs%s%s", what ? " on " : "", what ? what : "");
    struct change *c = plan_add(ret, CHANGE_UPDATE, VERB_REFORMAT, d->device, holds, after);

    c->once = c->undoable = c->destructive = true;
    c->arg = what ? xstrdup(what) : NULL;
}

struct err *disk_plan(const struct disk *d, const struct findings *f, struct plan *ret)
{
    const struct finding *device = findings_find(f, d->id_device);
    /* What it is, or what it will be when the stage has made it. */
    const char *identity = !device ? NULL : device->sev == SEV_OK ? device->got : device->want;

    if (fixable(d, f, d->id_folder))
        plan_undoable(plan_add(ret, CHANGE_CREATE, VERB_FOLDER, d->mount, NULL, "folder"),
                      findings_find(f, d->id_folder)->old);
    /* The mount is marked as ours to repair only when content and users allow it. */
    if (!fixable(d, f, d->id_mount))
        return NULL;
    const struct finding *content = findings_find(f, d->id_content);
    bool format = fixable(d, f, d->id_content);
    bool blank = format && (d->remake || str_eq(content->got, BLANK));
    if (format && !blank)
        plan_reformat(d, content->got, identity, ret);
    disk_plan_on(d, identity, blank, ret);
    /* the mount is the last one */
    plan_undoable(&ret->items[ret->n - 1], findings_find(f, d->id_mount)->old);
    return NULL;
}

char *disk_memory_identity(enum ramdev kind, uint64_t size_b)
{
    char size[32];

    return xasprintf("%s, %s", ramdev_name(kind), fmt_size(size_b, size, sizeof(size)));
}

struct err *disk_identity(struct ctx *ctx, const char *device, char **ret)
{
    AUTO(block_id_clear) struct block_id id = {0};

    TRY(block_id_read(ctx, device, &id));
    *ret = identity_text(&id);
    return NULL;
}

static struct err *expect(struct ctx *ctx, const struct disk *d, const struct change *c)
{
    AUTO(freep) char *now = NULL;

    TRY(disk_identity(ctx, d->device, &now));
    if (!c->arg || str_eq(c->arg, now))
        return NULL;
    return block_id_expect(ctx, d->device, c->arg); /* says what it is now */
}

static struct err *mount_it(struct ctx *ctx, const struct disk *d)
{
    AUTO(freep) char *device = fsroot_path(ctx->root, d->device);
    AUTO(freep) char *target = fsroot_path(ctx->root, d->mount);

    TRY(fsroot_mkdirs(ctx->root, d->mount, 0755));
    return mounts_mount(device, target, "xfs", MOUNT_OPTIONS);
}

struct err *disk_apply(struct ctx *ctx, const struct disk *d, const struct change *c)
{
    switch (c->verb) {
    case VERB_FOLDER:
        return fsroot_mkdirs(ctx->root, d->mount, 0755);
    case VERB_FORMAT:
        TRY(expect(ctx, d, c));
        return mkfs_xfs(ctx, d->device, d->label);
    case VERB_REFORMAT:
        TRY(expect(ctx, d, c));
        return mkfs_xfs_fresh(ctx, d->device, d->label);
    case VERB_MOUNT:
        TRY(expect(ctx, d, c));
        return mount_it(ctx, d);
    default:
        return err_new(ERR_BUG, "stage '%s' has no change %d", d->stage, c->verb);
    }
}

bool disk_is_format(const struct change *c)
{
    return c->verb == VERB_FORMAT || c->verb == VERB_REFORMAT;
}
