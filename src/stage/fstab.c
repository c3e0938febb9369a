/* Layer 4: does the storage come back after a reboot as it is now? From /etc/fstab (or mount
 * units); what must be formatted before is the stage units'. A line that is missing becomes one of
 * our block; a right one of somebody else's is left alone, and taken over when that is asked for; a
 * wrong one is found here today instead of on a console at the next boot, and is the operator's. */
#include "host/fstab.h"

#include <string.h>

#include "base/str.h"
#include "config/config.h"
#include "host/own_file.h"
#include "host/unit_file.h"
#include "stage/adopt_found.h"
#include "stage/boot.h"
#include "stage/etc.h"
#include "stage/fstab_own.h"
#include "stage/ramdisk.h"
#include "stage/reload.h"
#include "stage/table.h"
#include "stage/units_own.h"

/* Ends the source of a finding about a line of our block; the plan looks there. */
#define OURS " (agavectl's)"

enum { VERB_BLOCK = 1, VERB_ADOPT, VERB_RELOAD };

/* One mount of the config and what the next boot does about it. */
struct place {
    enum fstab_place place;
    const char *id, *id_nofail;
    const char *device; /* that it must be; "": whatever is there */
    const char *where;
    const char *name; /* for people */
};

static bool fstab_enabled(const struct ctx *ctx)
{
    return ctx->cfg && *ctx->cfg->storage.volume.mount;
}

static bool has(const struct boot_mount *m, const char *option)
{
    return fstab_option(&m->entry, option, NULL);
}

/* Of a place without a device in the config it counts what is mounted there now; ZFS mounts its
 * datasets without fstab. */
static bool is_asked(const struct mounts *now, const struct place *p)
{
    const struct mount_info *on = mounts_at(now, p->where);

    return *p->where && (*p->device || (on && !str_eq(on->fstype, "zfs")));
}

struct look {
    struct ctx *ctx;
    const struct mounts *now;
    struct fstab f;
    struct fstab_own own;
    const char *repair; /* NULL: /etc is not written on this host */
    bool blocked;       /* others' units stay, so that their lines do */
};
static void look_clear(struct look *l)
{
    fstab_clear(&l->f);
    fstab_own_clear(&l->own);
}

/* Our line at a place of ours: while another unit formats the RAM disk, and ours is not there, it
 * waits for that one. */
static const char *line_now(const struct look *l, const struct place *p)
{
    const struct fstab_own *o = &l->own;

    return p->place == FSTAB_RAMDISK && o->theirs ? o->theirs : o->lines[p->place];
}

/* want: our line; the plan makes the block of those that are to be repaired and of those that are
 * as wanted. */
static void add_missing(const struct look *l, const struct place *p, struct findings *ret)
{
    const char *line = line_now(l, p), *why = p->place == FSTAB_VOLUME ? l->own.why : NULL;

    struct finding *f =
        findings_add(ret, p->id, 4, SEV_WARN,
                     "%s at '%s' does not survive a reboot: neither /etc/fstab nor a mount unit "
                     "has it%s%s",
                     p->name, p->where, why ? "; " : "", why ? why : "");
    finding_compare(f, line, NULL, FSTAB_PATH);
    f->repair = line ? l->repair : NULL;
}

/* A right line of somebody else's: want says what agavectl would have in its place, unless that
 * would not be the same. */
static void compare_foreign(const struct look *l, const struct place *p, const struct boot_mount *m,
                            const char *raw, struct finding *f, struct findings *ret)
{
    AUTO(fstab_clear) struct fstab mine = {0};
    const char *line = l->own.lines[p->place];
    AUTO(freep) char *differs = NULL;

    if (!line || l->blocked || f->sev > SEV_WARN || m->n != 1)
        return;
    fstab_parse(line, strlen(line), &mine);
    if (mine.n)
        differs = fstab_differs(&m->entry, &mine.items[0], &l->own.turned_off);
    if (!differs && !f->want)
        finding_compare(f, line, raw, m->source);
    else if (differs)
        findings_add(ret, "fstab.adopt", 4, SEV_NOTE, "%s cannot be taken over: %s", m->source,
                     differs);
}

/* The line that the finding is about, against the one that we would write. */
static void compare_line(const struct look *l, const struct place *p, const struct boot_mount *m,
                         size_t at, struct findings *ret)
{
    struct finding *f = &ret->items[at];
    const char *line = line_now(l, p);
    bool ours = m->n && fstab_own_has(&l->own, &m->entry);
    AUTO(freep) char *raw = m->n ? fstab_own_raw(&l->own, m->entry.line) : NULL;

    if (!m->n)
        return; /* a mount unit: its owner's */
    if (!ours) {
        compare_foreign(l, p, m, raw, f, ret);
        return;
    }
    free(f->want);
    free(f->got);
    free(f->source);
    f->want = f->got = f->source = NULL;
    AUTO(freep) char *source = xasprintf("%s" OURS, m->source);
    finding_compare(f, line, raw, source);
    if (str_eq(line, raw))
        return;
    f->repair = l->repair;
    f->sev = f->sev < SEV_WARN ? SEV_WARN : f->sev;
}

/* Will what is mounted be the configured device, as xfs, for writing? What is wrong, or NULL. */
static struct err *wrong_device(struct ctx *ctx, const struct place *p, const struct boot_mount *m,
                                char **ret)
{
    AUTO(freep) char *device = fstab_device(&m->entry);
    bool same = true;

    *ret = NULL;
    if (*p->device)
        TRY(boot_same_device(ctx, device, p->device, &same));
    if (!same)
        *ret = xasprintf("it names '%s', not '%s'", m->entry.spec, p->device);
    else if (!str_eq(m->entry.type, "xfs") && !str_eq(m->entry.type, "auto"))
        *ret = xasprintf("it says %s, not xfs", m->entry.type);
    else if (has(m, "ro"))
        *ret = xstrdup("it would be read-only");
    return NULL;
}

static void check_nofail(const struct place *p, const struct boot_mount *m, struct findings *ret)
{
    if (!has(m, "nofail") && m->n)
        findings_add(ret, p->id_nofail, 4, SEV_WARN,
                     "%s: without nofail, a boot that cannot mount '%s' ends in emergency mode, "
                     "where no SSH is: add it",
                     m->source, p->where);
}

static void add_comes_back(const struct place *p, const struct boot_mount *m, struct findings *ret)
{
    bool off = has(m, "noauto");
    enum severity sev = off || m->n > 1 ? SEV_WARN : SEV_OK;

    findings_add(ret, p->id, 4, sev, "%s: the next boot %s '%s' at '%s'%s", m->source,
                 off ? "does not mount (noauto)" : "mounts", m->entry.spec, p->where,
                 m->n > 1 ? "; another line is for the same place: remove one" : "");
}

/* *ret_found false: nothing mounts it, which was said. */
static struct err *find_place(const struct look *l, const struct place *p, struct boot_mount *m,
                              struct findings *ret, bool *ret_found)
{
    struct err *e = boot_mount_find(l->ctx, &l->f, p->where, m);

    *ret_found = !e;
    if (!e || e->kind != ERR_NOTFOUND)
        return e;
    add_missing(l, p, ret);
    return err_free(e);
}

static struct err *check_disk(const struct look *l, const struct place *p, struct boot_mount *m,
                              struct findings *ret)
{
    AUTO(freep) char *wrong = NULL;
    size_t at = ret->n;
    bool found = false;

    TRY(find_place(l, p, m, ret, &found));
    if (!found)
        return NULL;
    TRY(wrong_device(l->ctx, p, m, &wrong));
    AUTO(freep)
    char *want = xasprintf("xfs%s%s", *p->device ? " of " : "", p->device);
    AUTO(freep) char *got = xasprintf("%s of %s", m->entry.type, m->entry.spec);
    if (wrong)
        finding_compare(findings_add(ret, p->id, 4, SEV_FAIL,
                                     "%s is wrong for %s at '%s': %s; correct it before the next "
                                     "boot",
                                     m->source, p->name, p->where, wrong),
                        want, got, m->source);
    else
        add_comes_back(p, m, ret);
    compare_line(l, p, m, at, ret);
    check_nofail(p, m, ret);
    return NULL;
}

/* A RAM disk is blank at every boot: the mount must pull in what formats it. */
static void check_format(const struct look *l, const struct boot_mount *m, struct findings *ret)
{
    bool pulls = false;

    if (!m->source)
        return;
    bool makes = has(m, "x-systemd.makefs");
    for (size_t i = 0; i < m->requires.n; i++)
        pulls = pulls || (str_ends(m->requires.items[i], ".service") &&
                          !str_starts(m->requires.items[i], "modprobe@"));
    if (pulls)
        findings_add(ret, "fstab.ramdisk.format", 4, SEV_OK, "%s waits for what formats it",
                     m->source);
    else if (makes)
        findings_add(ret, "fstab.ramdisk.format", 4, SEV_NOTE,
                     "%s: x-systemd.makefs leaves a device with any signature as it is, and takes "
                     "no options of mkfs: a unit that runs mkfs.xfs -f is surer",
                     m->source);
    else {
        struct finding *f = findings_add(
            ret, "fstab.ramdisk.format", 4, SEV_WARN,
            "%s: the RAM disk is blank after a boot, and this line does not wait for a "
            "unit that formats it: add x-systemd.requires=format-ramdisk.service",
            m->source);
        if (l->repair && m->n == 1)
            finding_fix(f, "agavectl prepare --adopt --apply");
    }
}

/* It needs no device and no mkfs. */
static struct err *check_tmpfs(const struct look *l, const struct place *p, struct findings *ret)
{
    AUTO(boot_mount_clear) struct boot_mount m = {0};
    size_t at = ret->n;
    bool found = false;

    TRY(find_place(l, p, &m, ret, &found));
    if (!found)
        return NULL;
    if (!str_eq(m.entry.type, "tmpfs"))
        findings_add(ret, p->id, 4, SEV_FAIL,
                     "%s is wrong for %s at '%s': it says %s, not tmpfs; correct it before the "
                     "next boot",
                     m.source, p->name, p->where, m.entry.type);
    else
        add_comes_back(p, &m, ret);
    compare_line(l, p, &m, at, ret);
    check_nofail(p, &m, ret);
    return NULL;
}

static struct err *check_ramdisk(const struct look *l, struct findings *ret)
{
    const struct config *c = l->ctx->cfg;
    const struct place p = {FSTAB_RAMDISK,
                            "fstab.ramdisk",
                            "fstab.ramdisk.nofail",
                            ramdisk_is_device(c) ? ramdisk_source(c) : "",
                            c->storage.ramdisk.mount,
                            "the RAM disk"};
    AUTO(boot_mount_clear) struct boot_mount m = {0};
    const struct mount_info *on = mounts_at(l->now, p.where);

    if (ramdisk_kind(c) == RAMDISK_NONE || (!ramdisk_is_mount(c) && !is_asked(l->now, &p)))
        return NULL;
    if (ramdisk_kind(c) == RAMDISK_TMPFS || (on && !on->major && !*p.device))
        return check_tmpfs(l, &p, ret);
    TRY(check_disk(l, &p, &m, ret));
    check_format(l, &m, ret);
    return NULL;
}

/* zfs-mount.service mounts the datasets of a pool; what fstab mounts below one before that would be
 * hidden, or keeps the dataset from being mounted. */
static void check_bind_zfs(const struct ctx *ctx, const struct mounts *now,
                           const struct boot_mount *m, struct findings *ret)
{
    const struct mount_info *root = mounts_over(now, ctx->cfg->storage.kind_root);
    bool waits = false;

    if (!*ctx->cfg->storage.kind_root || !root || !str_eq(root->fstype, "zfs"))
        return;
    for (size_t i = 0; i < m->after.n; i++)
        waits = waits || str_starts(m->after.items[i], "zfs");
    findings_add(ret, "fstab.bind.zfs", 4, waits ? SEV_OK : SEV_WARN,
                 waits ? "%s waits for ZFS"
                       : "%s: '%s' is a dataset that ZFS mounts itself, and "
                         "this line does not wait for it: add "
                         "x-systemd.requires=zfs-mount.service",
                 m->source, root->target);
}

static void check_bind_options(const struct boot_mount *m, struct findings *ret)
{
    const char *wrong = NULL;

    if (!has(m, "rbind"))
        wrong = "what is mounted below the volume does not appear there: use rbind";
    else if (!has(m, "rslave") || !has(m, "rshared"))
        wrong = "an unmount below a plain rbind unmounts the volume's own mounts as well: use "
                "rbind,rslave,rshared";
    findings_add(ret, "fstab.bind.propagation", 4, wrong ? SEV_WARN : SEV_OK, "%s%s%s", m->source,
                 wrong ? ": " : " makes it rslave,rshared", wrong ? wrong : "");
}

static struct err *check_bind(const struct look *l, struct findings *ret)
{
    const struct config *c = l->ctx->cfg;
    const struct place p = {FSTAB_BIND,          "fstab.bind",
                            "fstab.bind.nofail", c->storage.volume.mount,
                            c->storage.bind,     "the bind"};
    AUTO(boot_mount_clear) struct boot_mount m = {0};
    size_t at = ret->n;
    bool found = false;

    if (!*p.where)
        return NULL;
    TRY(find_place(l, &p, &m, ret, &found));
    if (!found)
        return NULL;
    if (!str_eq(m.entry.spec, p.device) || (!has(&m, "bind") && !has(&m, "rbind")))
        finding_compare(findings_add(ret, p.id, 4, SEV_FAIL,
                                     "%s is wrong for '%s': it must bind '%s'; correct it before "
                                     "the next boot",
                                     m.source, p.where, p.device),
                        p.device, m.entry.spec, m.source);
    else
        add_comes_back(&p, &m, ret);
    compare_line(l, &p, &m, at, ret);
    check_nofail(&p, &m, ret);
    check_bind_options(&m, ret);
    check_bind_zfs(l->ctx, l->now, &m, ret);
    return NULL;
}

/* The unit of a mount point that is masked is not mounted, whatever fstab says. */
static struct err *check_masked(const struct look *l, struct findings *ret)
{
    const struct config *c = l->ctx->cfg;
    const char *const places[] = {c->storage.volume.mount, c->storage.ramdisk.mount,
                                  c->storage.bind};

    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        AUTO(unit_file_clear) struct unit_file u = {0};
        AUTO(freep) char *name = *places[i] ? units_mount_unit(places[i]) : NULL;
        struct err *e = name ? unit_file_load(l->ctx, name, &u) : NULL;

        if (name && !e && u.masked)
            findings_add(ret, "fstab.masked", 4, SEV_FAIL,
                         "%s is masked: the next boot does not mount '%s', whatever /etc/fstab "
                         "says; systemctl unmask %s",
                         name, places[i], name);
        if (e && e->kind == ERR_NOTFOUND)
            e = err_free(e);
        TRY(e);
    }
    return NULL;
}

/* Our block's text: what is to be repaired, and what is there and as wanted. adopt: and what would
 * take the place of others' lines. */
static char *block_of(const struct findings *f, bool adopt)
{
    static const char *const ids[] = {"fstab.volume", "fstab.ramdisk", "fstab.bind"};
    struct strbuf b = {0};

    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        const struct finding *x = findings_find(f, ids[i]);
        bool missing = x && !x->got && x->repair, ours = x && x->got && str_ends(x->source, OURS);
        bool theirs = x && x->got && !ours;

        if (x && x->want && (missing || ours || (theirs && adopt && x->sev < SEV_FAIL)))
            strbuf_printf(&b, "%s\n", x->want);
    }
    return strbuf_take(&b);
}

/* What no line's finding tells: damaged marks, lines for places that the config has no more. */
static struct err *check_block(const struct look *l, struct findings *ret)
{
    AUTO(freep) char *text = block_of(ret, false);
    AUTO(freep) char *why = NULL;
    enum own_state state;
    bool repaired = false;

    for (size_t i = 0; i < ret->n; i++)
        repaired = repaired || ret->items[i].repair;
    TRY(own_block_look(l->ctx, FSTAB_PATH, text, &state, &why));
    if (state == OWN_FOREIGN && (l->own.begin || repaired))
        findings_add(ret, "fstab.block", 4, SEV_FAIL,
                     "%s: nothing is written there; look at it, and put it right", why);
    else if (state == OWN_FOREIGN && strstr(l->own.data, "# agavectl: "))
        findings_add(ret, "fstab.block", 4, SEV_FAIL, "%s; remove what is left of it", why);
    else if (state == OWN_OTHER && !repaired)
        findings_add(ret, "fstab.block", 4, SEV_WARN,
                     "agavectl's lines in /etc/fstab are not those that it would write")
            ->repair = l->repair;
    return NULL;
}

static struct err *fstab_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    const struct place volume = {FSTAB_VOLUME,
                                 "fstab.volume",
                                 "fstab.volume.nofail",
                                 ctx->cfg->storage.volume.device,
                                 ctx->cfg->storage.volume.mount,
                                 "the volume"};
    AUTO(boot_mount_clear) struct boot_mount m = {0};
    AUTO(look_clear)
    struct look l = {.ctx = ctx, .repair = ctx->cfg->host.persist ? "fstab" : NULL};
    struct err *e = fstab_read(ctx, &l.f);

    if (e && e->kind == ERR_NOTFOUND) /* all may be in mount units */
        e = err_free(e);
    TRY(e);
    TRY(scene_mounts(ctx, scene, &l.now));
    TRY(fstab_own_look(ctx, scene, l.now, &l.f, &l.own));
    if (*ctx->cfg->storage.ramdisk.mount)
        TRY(adopt_is_blocked(ctx, scene, &l.blocked));
    for (size_t i = 0; i < l.f.n_faults; i++)
        findings_add(ret, "fstab.syntax", 4, SEV_WARN,
                     "/etc/fstab:%u %s: the next boot skips it or reads it otherwise",
                     l.f.faults[i].line, l.f.faults[i].text);
    if (is_asked(l.now, &volume))
        TRY(check_disk(&l, &volume, &m, ret));
    TRY(check_ramdisk(&l, ret));
    TRY(check_bind(&l, ret));
    TRY(check_masked(&l, ret));
    TRY(check_block(&l, ret));
    return reload_check(ctx, "fstab.reload", "fstab", ret);
}

static size_t count_lines(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void plan_block(const char *text, struct plan *ret)
{
    AUTO(freep) char *after = xasprintf("%zu lines of agavectl's", count_lines(text));
    struct change *c = plan_add(ret, *text ? CHANGE_UPDATE : CHANGE_DELETE, VERB_BLOCK, FSTAB_PATH,
                                NULL, *text ? after : "no line of agavectl's");

    c->arg = xstrdup(text);
    c->writes = WRITES_BLOCK;
    c->live = true;
    c->undoable = true;
}

/* Others' lines stay as comments; one write takes them out and puts ours in. */
static void plan_adopt(const struct findings *f, const char *mine, struct plan *ret)
{
    AUTO(freep) char *text = block_of(f, true);
    AUTO(freep)
    char *after =
        xasprintf("%zu lines of agavectl's in their place", count_lines(text) - count_lines(mine));

    if (str_eq(text, mine))
        return;
    struct change *c =
        plan_add(ret, CHANGE_UPDATE, VERB_ADOPT, FSTAB_PATH, "lines of others", after);
    c->arg = xstrdup(text);
    c->writes = WRITES_BLOCK;
    c->live = true;
    c->undoable = true;
    c->adopt = true;
}

static struct err *fstab_plan(const struct ctx *ctx, const struct findings *f, struct plan *ret)
{
    AUTO(freep) char *text = block_of(f, false);
    bool due = false;

    for (size_t i = 0; i < f->n; i++) {
        const struct finding *x = &f->items[i];

        if (x->sev >= SEV_FAIL && !x->repair)
            return NULL; /* one line is wrong and not ours: nothing is mixed into that */
        due = due || (x->repair && !str_eq(x->id, "fstab.reload"));
    }
    if (due)
        plan_block(text, ret);
    if (ctx->cfg->host.persist)
        plan_adopt(f, text, ret);
    reload_plan(f, "fstab.reload", VERB_RELOAD, ret);
    return NULL;
}

/* A line that waits for a unit that is not there mounts nothing, and Docker, which waits for
 * nothing then, starts on the bare folder. Asked when it is written: by then a plan of all has made
 * it. */
static struct err *must_be_awaited(struct ctx *ctx, const char *block)
{
    bool there = false;

    if (!strstr(block, "x-systemd.requires=" UNITS_RAMDISK))
        return NULL;
    TRY(units_own_formats(ctx, &there));
    if (there)
        return NULL;
    return err_new(ERR_REFUSED,
                   "a line of '" FSTAB_PATH "' would wait for " UNITS_RAMDISK ", which is not "
                   "there: nothing would be mounted at the next boot; write it first (agavectl "
                   "prepare, with the stages units and fstab or without any)");
}

static struct err *fstab_apply(struct ctx *ctx, const struct change *c)
{
    if (c->verb == VERB_RELOAD)
        return reload_do(ctx);
    if (!c->arg || (c->verb != VERB_BLOCK && c->verb != VERB_ADOPT))
        return err_new(ERR_BUG, "stage 'fstab' has no change %d", c->verb);
    TRY(must_be_awaited(ctx, c->arg));
    TRY(reload_note(ctx));
    if (c->verb == VERB_ADOPT)
        return fstab_own_adopt(ctx, c->arg);
    return *c->arg ? own_block_write(ctx, FSTAB_PATH, c->arg) : own_block_remove(ctx, FSTAB_PATH);
}

static struct err *look_adopted(struct ctx *ctx, struct undo_look *ret)
{
    size_t n = 0;

    TRY(fstab_own_adopted(ctx, &n));
    ret->verdict = n ? UNDO_DO : UNDO_GONE;
    ret->what = n ? xasprintf("put %zu lines of /etc/fstab back as they were", n) : NULL;
    return NULL;
}

static struct err *fstab_undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
{
    AUTO(freep) char *why = NULL;
    enum own_state state;

    if (c->verb == VERB_ADOPT)
        return look_adopted(ctx, ret);
    TRY(own_block_look(ctx, FSTAB_PATH, NULL, &state, &why));
    ret->verdict = state == OWN_ABSENT ? UNDO_GONE : state == OWN_FOREIGN ? UNDO_KEEP : UNDO_DO;
    if (state != OWN_ABSENT)
        ret->what =
            state == OWN_FOREIGN ? TAKE(why) : xstrdup("take agavectl's lines out of /etc/fstab");
    return NULL;
}

/* Lines of others are of no use without the units that they wait for. */
static struct err *may_go_back(struct ctx *ctx)
{
    AUTO(freep) char *lacks = NULL;

    TRY(fstab_own_lacks(ctx, &lacks));
    if (!lacks)
        return NULL;
    return err_new(ERR_REFUSED,
                   "a line of '" FSTAB_PATH "' would wait for %s, which is turned off: nothing "
                   "would be mounted at the next boot; take all of it back (agavectl prepare "
                   "--undo)",
                   lacks);
}

/* What is mounted stays so: fstab is for the next boot. */
static struct err *fstab_undo(struct ctx *ctx, const struct change *c)
{
    if (c->verb == VERB_ADOPT)
        TRY(may_go_back(ctx));
    TRY(reload_note(ctx));
    TRY(c->verb == VERB_ADOPT ? fstab_own_unadopt(ctx) : own_block_remove(ctx, FSTAB_PATH));
    return reload_do(ctx);
}

/* The drop-ins would keep Docker from starting: they wait for mounts that nothing makes any more.
 */
static const char *const fstab_undo_with[] = {"units", NULL};
static const char *const fstab_after[] = {"volume", "ramdisk", "bind", "units", NULL};

const struct stage stage_fstab = {
    .name = "fstab",
    .summary = "what of the storage comes back after a reboot",
    .layer = 4,
    .after = fstab_after,
    .order_reason = "a line that waits for a unit that is not there mounts nothing",
    .enabled = fstab_enabled,
    .readonly = "fstab.readonly",
    .check = fstab_check,
    .plan = fstab_plan,
    .apply = fstab_apply,
    .undo_look = fstab_undo_look,
    .undo = fstab_undo,
    .undo_with = fstab_undo_with,
};
