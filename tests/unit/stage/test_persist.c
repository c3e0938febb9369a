/* The stages units, fstab and adopt, which write for the next boot: a made-up host is prepared,
 * taken over and put back, and looked at after each single change as a power loss would leave it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runbook.h"
#include "tree.h"

#include "base/str.h"
#include "host/fstab.h"
#include "host/own_block.h"
#include "host/own_file.h"
#include "host/unit_file.h"
#include "look/boot_proof.h"
#include "stage/engine.h"
#include "stage/units_text.h"

#define ETC    RUNBOOK_ETC
#define CONFIG RUNBOOK_CONFIG
#define BY_HAND                                                                                    \
    "# a file with a history\n\nUUID=4d6a /  \text4\terrors=remount-ro 0\t1\n  # indented\n"
#define VOLUME "/dev/zvol/tank/solana\t/srv/solana\txfs\tnoatime,nofail 0 0\n"
#define RAMDISK                                                                                    \
    "/dev/ram0  /srv/solana/ramdisk  xfs  noatime,nofail,"                                         \
    "x-systemd.requires=format-ramdisk.service  0 0\n"
#define BIND "/srv/solana /srv/kind/solana none rbind,rslave,rshared,nofail 0 0"

static const char *const stages[] = {"units", "fstab", "adopt", NULL};

static void bare(struct tree *t, const char *config)
{
    tree_new(t, config);
    runbook_bare(&t->f, BY_HAND);
}

/* As the runbook's playbook leaves it. The last line of fstab has no newline. */
static void runbook(struct tree *t)
{
    bare(t, CONFIG);
    fixture_put(&t->f, "/etc/fstab", "%s", BY_HAND VOLUME "#\n" RAMDISK BIND);
    runbook_units(&t->f);
    runbook_docker(&t->f);
}

/* The same, and what formats is started by itself as well, as `systemctl enable` leaves it. */
static void runbook_enabled(struct tree *t)
{
    runbook(t);
    fixture_dir(&t->f, ETC "local-fs.target.wants");
    fixture_link(&t->f, ETC "local-fs.target.wants/format-ramdisk.service",
                 "/etc/systemd/system/format-ramdisk.service");
}

static void (*const by_others[])(struct tree *) = {runbook, runbook_enabled};

/* ---- everything below /etc as one text: path, content or target */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_tree(const char *dir, size_t skip, struct strlist *ret)
{
    DIR *d = opendir(dir);
    struct dirent *e;

    assert_non_null(d);
    while ((e = readdir(d)) != NULL) {
        AUTO(freep) char *path = xasprintf("%s/%s", dir, e->d_name);
        char data[16384];
        ssize_t n;
        struct stat st;

        if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
            continue;
        assert_int_equal(lstat(path, &st), 0);
        if (S_ISDIR(st.st_mode)) {
            strlist_addf(ret, "%s/", path + skip);
            add_tree(path, skip, ret);
            continue;
        }
        if (S_ISLNK(st.st_mode)) {
            n = readlink(path, data, sizeof(data) - 1);
        } else {
            FILE *f = fopen(path, "re");

            assert_non_null(f);
            n = (ssize_t)fread(data, 1, sizeof(data) - 1, f);
            fclose(f);
        }
        assert_true(n >= 0);
        data[n] = '\0';
        strlist_addf(ret, "%s %o %s", path + skip, st.st_mode, data);
    }
    closedir(d);
}

/* To be freed. */
static char *etc_of(const struct tree *t)
{
    AUTO(freep) char *dir = xasprintf("%s/etc", t->f.dir);
    AUTO(strlist_clear) struct strlist l = {0};
    struct strbuf b = {0};

    add_tree(dir, strlen(t->f.dir), &l);
    qsort(l.items, l.n, sizeof(*l.items), by_text);
    for (size_t i = 0; i < l.n; i++)
        strbuf_printf(&b, "%s\n", l.items[i]);
    return strbuf_take(&b);
}

static char *read_text(const struct tree *t, const char *path)
{
    AUTO(freep) char *full = xasprintf("%s%s", t->f.dir, path);
    char data[16384];
    FILE *f = fopen(full, "re");

    assert_non_null(f);
    size_t n = fread(data, 1, sizeof(data) - 1, f);
    fclose(f);
    data[n] = '\0';
    return xstrdup(data);
}

/* ---- prepare and undo, as the flows do it, but by hand */

struct done {
    const struct stage *stage;
    struct change c;
};
struct work {
    struct done items[64];
    size_t n;
    size_t stop; /* a power loss after so many changes */
    size_t planned;
    void (*after)(struct tree *t);
    struct tree *t;
};
static void work_clear(struct work *w)
{
    for (size_t i = 0; i < w->n; i++)
        change_clear(&w->items[i].c);
}

static struct err *make(void *arg, struct ctx *ctx, const struct stage *s, const struct change *c)
{
    struct work *w = arg;

    if (w->n == w->stop)
        return err_new(ERR_CANCELLED, "power loss");
    TRY(s->apply(ctx, c));
    assert_true(w->n < ARRAY_LEN(w->items));
    assert_true(c->live);
    w->items[w->n++] = (struct done){
        .stage = s,
        .c = {.kind = c->kind,
              .verb = c->verb,
              .undoable = c->undoable,
              .object = xstrdup(c->object),
              .arg = c->arg ? xstrdup(c->arg) : NULL,
              .old = c->old ? xstrdup(c->old) : NULL},
    };
    if (w->after)
        w->after(w->t);
    return NULL;
}

static void on_change(void *arg, const struct stage *s, const struct change *c,
                      enum stage_moment when)
{
    struct work *w = arg;

    w->planned += when == STAGE_PLANNED;
}

static struct err *prepare(struct tree *t, struct work *w, bool adopt, bool dry)
{
    struct stage_run_opts o = {.only = stages,
                               .adopt = adopt,
                               .dry_run = dry,
                               .make = make,
                               .on_change = on_change,
                               .arg = w};
    struct stage_report r = {0};

    w->t = t;
    struct err *e = stages_apply(&t->f.ctx, &o, &r);
    stage_report_clear(&r);
    return e;
}

static size_t planned(struct tree *t, bool adopt)
{
    struct work w = {.stop = SIZE_MAX};

    err_free(prepare(t, &w, adopt, true)); /* a refusal plans nothing */
    work_clear(&w);
    return w.planned;
}

/* The last one first; how many are kept. */
static size_t undo(struct tree *t, const struct work *w)
{
    size_t kept = 0;

    for (size_t i = w->n; i-- > 0;) {
        const struct done *d = &w->items[i];
        struct undo_look l = {0};

        if (!d->c.undoable)
            continue;
        assert_ok(d->stage->undo_look(&t->f.ctx, &d->c, &l));
        assert_true((l.verdict == UNDO_GONE) == (l.what == NULL));
        if (l.verdict == UNDO_DO) {
            assert_ok(d->stage->undo(&t->f.ctx, &d->c));
            free(l.what);
            l.what = NULL;
            assert_ok(d->stage->undo_look(&t->f.ctx, &d->c, &l));
            assert_int_equal(l.verdict, UNDO_GONE);
            if (w->after)
                w->after(t);
        }
        kept += l.verdict == UNDO_KEEP;
        free(l.what);
    }
    return kept;
}

/* Nothing that is wrong, of the three. */
static void clean(struct tree *t)
{
    for (size_t i = 0; stages[i]; i++) {
        tree_check(t, stages[i]);
        for (size_t k = 0; k < t->found.n; k++)
            if (t->found.items[k].sev > SEV_NOTE)
                fail_msg("%s: %s", t->found.items[k].id, t->found.items[k].what);
    }
}

/* ---- a bare host */

static void prepared_and_undone(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(work_clear) struct work w = {.stop = SIZE_MAX};

    bare(&t, CONFIG);
    AUTO(freep) char *before = etc_of(&t);
    assert_ok(prepare(&t, &w, false, false));
    clean(&t);
    assert_int_equal(planned(&t, false), 0);
    assert_int_equal(planned(&t, true), 0);
    AUTO(freep) char *fstab = read_text(&t, "/etc/fstab");
    assert_true(str_starts(fstab, BY_HAND OWN_BLOCK_BEGIN "\n/dev/zvol/tank/solana /srv/solana "));
    assert_true(fixture_has(&t.f, ETC "docker.service.d/50-agavectl.conf"));
    assert_false(fixture_has(&t.f, ETC "kubelet.service.d"));
    assert_int_equal(undo(&t, &w), 0);
    AUTO(freep) char *after = etc_of(&t);
    assert_string_equal(after, before);
}

/* agavectl died between a folder and the file or link in it, or between the two of them at an undo.
 */
static void an_empty_folder_of_ours_is_not_nothing(void **state)
{
    static const char *const in[] = {ETC "docker.service.d/50-agavectl.conf",
                                     ETC "timers.target.wants/agavectl-boot-seen.timer"};
    AUTO(tree_clear) struct tree t;
    AUTO(work_clear) struct work w = {.stop = SIZE_MAX};

    bare(&t, CONFIG);
    AUTO(freep) char *before = etc_of(&t);
    assert_ok(prepare(&t, &w, false, false));
    for (size_t i = 0; i < ARRAY_LEN(in); i++) {
        AUTO(freep) char *path = xasprintf("%s%s", t.f.dir, in[i]);

        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(undo(&t, &w), 0);
    AUTO(freep) char *after = etc_of(&t);
    assert_string_equal(after, before);
}

static void without_a_file(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(work_clear) struct work w = {.stop = SIZE_MAX};

    bare(&t, CONFIG);
    AUTO(freep) char *fstab = xasprintf("%s/etc/fstab", t.f.dir);
    assert_int_equal(unlink(fstab), 0);
    AUTO(freep) char *before = etc_of(&t);
    assert_ok(prepare(&t, &w, false, false));
    clean(&t);
    assert_int_equal(undo(&t, &w), 0);
    AUTO(freep) char *after = etc_of(&t);
    assert_string_equal(after, before);
}

static void what_changes_is_written_anew(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(work_clear) struct work w = {.stop = SIZE_MAX};
    AUTO(work_clear) struct work again = {.stop = SIZE_MAX};

    bare(&t, CONFIG);
    assert_ok(prepare(&t, &w, false, false));
    fixture_put(&t.f, ETC "agavectl-boot.service", OWN_FILE_MARK "\nolder\n");
    AUTO(freep) char *fstab = read_text(&t, "/etc/fstab");
    *strstr(fstab, "nofail") = 'x';
    fixture_put(&t.f, "/etc/fstab", "%s", fstab);
    tree_check(&t, "units");
    tree_is(&t, "units.files", SEV_WARN, "1 have another text");
    tree_check(&t, "fstab");
    assert_int_equal(findings_find(&t.found, "fstab.volume")->sev, SEV_WARN);
    assert_ok(prepare(&t, &again, false, false));
    assert_int_equal(again.n, 2 + 2); /* and the two times that systemd reads them */
    clean(&t);
}

static void lines_that_the_config_has_no_more_go(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(work_clear) struct work w = {.stop = SIZE_MAX};
    AUTO(work_clear) struct work again = {.stop = SIZE_MAX};

    bare(&t, CONFIG);
    assert_ok(prepare(&t, &w, false, false));
    t.cfg = config_free(t.cfg);
    static const char none[] = "storage: {volume: {device: /dev/zvol/tank/solana}, bind: '', "
                               "kind_root: '', ramdisk: {kind: none}}\n"
                               "validator: {accounts: /srv/solana/accounts}\n";
    assert_ok(config_parse(none, strlen(none), "test", &t.cfg));
    t.f.ctx.cfg = t.cfg;
    tree_check(&t, "fstab");
    tree_is(&t, "fstab.block", SEV_WARN, NULL);
    assert_ok(prepare(&t, &again, false, false));
    AUTO(freep) char *fstab = read_text(&t, "/etc/fstab");
    assert_null(strstr(fstab, "/srv/kind/solana"));
    assert_non_null(strstr(fstab, "/srv/solana "));
}

static void not_where_etc_is_left_alone(void **state)
{
    AUTO(tree_clear) struct tree t;

    bare(&t, CONFIG "host: {persist: false}\n");
    assert_int_equal(planned(&t, false), 0);
    assert_int_equal(planned(&t, true), 0);
    tree_check(&t, "fstab");
    assert_null(findings_find(&t.found, "fstab.bind")->repair);
    tree_check(&t, "units");
    assert_null(findings_find(&t.found, "units.files")->repair);
}

/* ---- others' work */

static void right_ones_are_left_alone(void **state)
{
    AUTO(tree_clear) struct tree t;

    runbook(&t);
    clean(&t);
    assert_int_equal(planned(&t, false), 0);
    tree_check(&t, "adopt");
    tree_is(&t, "adopt.host", SEV_NOTE, "3 lines of /etc/fstab");
    assert_string_equal(findings_find(&t.found, "adopt.host")->fix, "agavectl prepare --adopt");
}

#define THEIR_FORMATTER "format-ramdisk.service"

/* As systemd decides it: ours is pulled in by the line of fstab alone. */
static void formatted_once(struct tree *t, const struct strlist *needed)
{
    AUTO(unit_file_clear) struct unit_file u = {0};
    AUTO(strlist_clear) struct strlist by = {0};
    bool ours = strlist_has(needed, UNITS_RAMDISK), theirs = strlist_has(needed, THEIR_FORMATTER);
    struct err *e = unit_file_load(&t->f.ctx, THEIR_FORMATTER, &u);

    if (e && e->kind == ERR_NOTFOUND) {
        err_free(e);
        assert_true(ours && !theirs);
        return;
    }
    assert_ok(e);
    assert_ok(unit_file_wanted_by(&t->f.ctx, THEIR_FORMATTER, &by));
    theirs = theirs || by.n;
    /* after ours it finds the mark of this boot, and is not run */
    if (ours && unit_file_has_word(&u, "Unit", "After", UNITS_RAMDISK) &&
        unit_file_has_word(&u, "Unit", "ConditionPathExists", "!" BOOT_FORMATS_PATH))
        theirs = false;
    if (ours + theirs != 1)
        fail_msg("%s%s: would format the RAM disk", ours ? "ours " : "", theirs ? "theirs" : "");
}

static const char *const places[] = {"/srv/solana", "/srv/solana/ramdisk", "/srv/kind/solana"};

/* Would a boot that began now find everything? One line for each place, and no unit that somebody
 * requires and that is not there. */
static void boots(struct tree *t)
{
    AUTO(fstab_clear) struct fstab f = {0};
    AUTO(unit_file_clear) struct unit_file docker = {0};
    AUTO(strlist_clear) struct strlist needed = {0};

    assert_ok(fstab_read(&t->f.ctx, &f));
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        size_t n = 0;

        assert_non_null(fstab_at(&f, places[i], &n));
        assert_int_equal(n, 1);
    }
    for (size_t i = 0; i < f.n; i++)
        fstab_option_all(&f.items[i], "x-systemd.requires", &needed);
    assert_ok(unit_file_load(&t->f.ctx, "docker.service", &docker));
    unit_file_words(&docker, "Unit", "Requires", &needed);
    assert_true(unit_file_has_word(&docker, "Unit", "RequiresMountsFor", "/srv/solana/ramdisk"));
    for (size_t i = 0; i < needed.n; i++) {
        AUTO(unit_file_clear) struct unit_file u = {0};

        assert_ok(unit_file_load(&t->f.ctx, needed.items[i], &u));
    }
    /* who waits for the proof has somebody who makes it, and before the mount somebody formats */
    if (unit_file_has_word(&docker, "Unit", "AssertPathExists", BOOT_OK_PATH)) {
        assert_true(fixture_has(&t->f, ETC UNITS_BOOT));
        assert_true(unit_file_has_word(&docker, "Unit", "Wants", UNITS_BOOT));
    }
    assert_true(needed.n > 0);
    formatted_once(t, &needed);
}

static void taken_over(void (*host)(struct tree *))
{
    AUTO(tree_clear) struct tree t;
    AUTO(work_clear) struct work w = {.stop = SIZE_MAX, .after = boots};

    host(&t);
    AUTO(freep) char *before = etc_of(&t);
    assert_ok(prepare(&t, &w, true, false));
    clean(&t);
    assert_int_equal(planned(&t, true), 0);
    assert_int_equal(planned(&t, false), 0);
    tree_check(&t, "adopt");
    assert_int_equal(t.found.n, 0);
    assert_false(fixture_has(&t.f, ETC "format-ramdisk.service"));
    assert_false(fixture_has(&t.f, ETC "multi-user.target.wants/ramdisk-accounts.service"));
    AUTO(freep) char *fstab = read_text(&t, "/etc/fstab");
    assert_non_null(strstr(fstab, "\n#agavectl-adopted# " BIND "\n" OWN_BLOCK_BEGIN));
    assert_int_equal(undo(&t, &w), 0);
    AUTO(freep) char *after = etc_of(&t);
    assert_string_equal(after, before);
}

static void taken_over_and_given_back(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(by_others); i++)
        taken_over(by_others[i]);
}

/* Whenever the power goes: it boots, the next try ends as an undisturbed one, and all of it can be
 * taken back. */
static void power_loss_at_any_point(void (*host)(struct tree *))
{
    AUTO(freep) char *want = NULL;

    for (size_t stop = SIZE_MAX; stop == SIZE_MAX || stop < 64; stop++) {
        AUTO(tree_clear) struct tree t;
        AUTO(work_clear) struct work w = {.stop = stop, .after = boots};
        struct err *e;

        host(&t);
        AUTO(freep) char *before = etc_of(&t);
        e = prepare(&t, &w, true, false);
        boots(&t);
        bool whole = e == NULL;
        err_free(e);
        w.stop = SIZE_MAX;
        assert_ok(prepare(&t, &w, true, false));
        AUTO(freep) char *got = etc_of(&t);
        if (!want)
            want = xstrdup(got);
        assert_string_equal(got, want);
        undo(&t, &w);
        AUTO(freep) char *after = etc_of(&t);
        assert_string_equal(after, before);
        if (whole && stop != SIZE_MAX)
            return;
    }
    fail_msg("it never ends");
}

static void a_power_loss_at_any_point(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(by_others); i++)
        power_loss_at_any_point(by_others[i]);
}

/* A undo that is interrupted after any of its changes is gone on with. */
static void some_of_theirs(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(work_clear) struct work w = {.stop = SIZE_MAX};
    AUTO(work_clear) struct work more = {.stop = SIZE_MAX, .after = boots};

    runbook(&t);
    fixture_put(&t.f, "/etc/fstab", "%s", BY_HAND VOLUME RAMDISK);
    AUTO(freep) char *before = etc_of(&t);
    assert_ok(prepare(&t, &w, false, false)); /* the bind's line alone is ours */
    assert_int_equal(w.n, 2);
    boots(&t);
    AUTO(freep) char *mixed = etc_of(&t);
    assert_ok(prepare(&t, &more, true, false));
    clean(&t);
    assert_int_equal(undo(&t, &more), 0);
    AUTO(freep) char *back = etc_of(&t);
    assert_string_equal(back, mixed);
    assert_int_equal(undo(&t, &w), 0);
    AUTO(freep) char *after = etc_of(&t);
    assert_string_equal(after, before);
}

/* The RAM disk's line is ours, and waits for their unit until ours is there. */
static void our_line_and_their_unit(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(work_clear) struct work w = {.stop = SIZE_MAX};
    AUTO(work_clear) struct work more = {.stop = SIZE_MAX, .after = boots};

    runbook(&t);
    fixture_put(&t.f, "/etc/fstab", "%s", VOLUME BIND);
    assert_ok(prepare(&t, &w, false, false));
    AUTO(freep) char *fstab = read_text(&t, "/etc/fstab");
    assert_non_null(strstr(fstab, "x-systemd.requires=format-ramdisk.service"));
    clean(&t);
    boots(&t);
    assert_ok(prepare(&t, &more, true, false));
    clean(&t);
    AUTO(freep) char *then = read_text(&t, "/etc/fstab");
    assert_null(strstr(then, "format-ramdisk"));
}

/* A line of theirs, byte for byte as ours would be, and one that is missing. */
static void their_line_is_as_ours(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(work_clear) struct work w = {.stop = SIZE_MAX};
    AUTO(work_clear) struct work more = {.stop = SIZE_MAX, .after = boots};

    runbook(&t);
    fixture_put(&t.f, "/etc/fstab", "%s",
                "/dev/zvol/tank/solana /srv/solana xfs noatime,nofail,x-systemd.device-timeout="
                "300s,x-systemd.after=zfs-volume-wait.service 0 0\n" RAMDISK);
    assert_ok(prepare(&t, &w, false, false));
    boots(&t);
    clean(&t);
    assert_ok(prepare(&t, &more, true, false));
    boots(&t);
    clean(&t);
    AUTO(freep) char *fstab = read_text(&t, "/etc/fstab");
    assert_true(str_starts(fstab, "#agavectl-adopted# /dev/zvol/tank/solana "));
}

static void theirs_are_not_turned_off_before_ours_are_there(void **state)
{
    static const char *const only[] = {"adopt", NULL};
    struct stage_run_opts o = {.only = only, .adopt = true};
    struct stage_report r = {0};
    AUTO(tree_clear) struct tree t;

    runbook(&t);
    AUTO(freep) char *before = etc_of(&t);
    assert_err(stages_apply(&t.f.ctx, &o, &r), ERR_REFUSED, "is not there yet");
    stage_report_clear(&r);
    AUTO(freep) char *after = etc_of(&t);
    assert_string_equal(after, before);
}

static void refused(struct tree *t, const char *stage, const char *id, enum severity sev,
                    const char *part)
{
    AUTO(work_clear) struct work w = {.stop = SIZE_MAX};
    AUTO(freep) char *before = etc_of(t);

    err_free(prepare(t, &w, true, false));
    AUTO(freep) char *after = etc_of(t);
    assert_string_equal(after, before);
    tree_check(t, stage);
    tree_is(t, id, sev, part);
}

static void what_is_wrong_is_not_touched(void **state)
{
    AUTO(tree_clear) struct tree t, other, twice, marks;

    runbook(&t);
    fixture_put(&t.f, "/etc/fstab", "%s", BY_HAND VOLUME "/dev/ram0 /srv/solana/ramdisk ext4 x\n");
    fixture_put(&t.f, ETC "format-ramdisk.service", "[Service]\nExecStart=mkfs.ext4 /dev/ram0\n");
    refused(&t, "fstab", "fstab.ramdisk", SEV_FAIL, "it says ext4");
    bare(&other, CONFIG);
    fixture_put(&other.f, "/etc/fstab", "/dev/sdz /srv/solana xfs nofail 0 0\n");
    fixture_put(&other.f, ETC UNITS_BOOT, "[Service]\nExecStart=/x\n");
    refused(&other, "fstab", "fstab.volume", SEV_FAIL, "it names '/dev/sdz'");
    tree_check(&other, "units");
    tree_is(&other, "units.foreign", SEV_FAIL, "is not agavectl's");
    runbook(&twice);
    fixture_put(&twice.f, "/etc/fstab", "%s", VOLUME RAMDISK RAMDISK BIND);
    tree_check(&twice, "fstab");
    tree_is(&twice, "fstab.ramdisk", SEV_WARN, "another line is for the same place");
    bare(&marks, CONFIG);
    fixture_put(&marks.f, ETC UNITS_BOOT, "[Service]\nExecStart=/x\n");
    fixture_put(&marks.f, "/etc/fstab", OWN_BLOCK_BEGIN "\n/dev/x /y xfs defaults 0 0\n");
    refused(&marks, "fstab", "fstab.block", SEV_FAIL, "no end");
}

static void masked(void **state)
{
    AUTO(tree_clear) struct tree t, mount, docker;

    bare(&t, CONFIG);
    fixture_link(&t.f, ETC UNITS_BOOT, "/dev/null");
    refused(&t, "units", "units.foreign", SEV_FAIL, "is masked");
    bare(&mount, CONFIG);
    fixture_link(&mount.f, ETC UNITS_RAMDISK, "/dev/null");
    fixture_link(&mount.f, ETC "srv-solana-ramdisk.mount", "/dev/null");
    refused(&mount, "fstab", "fstab.masked", SEV_FAIL, "systemctl unmask");
    bare(&docker, CONFIG);
    fixture_link(&docker.f, ETC "docker.service", "/dev/null");
    tree_check(&docker, "units");
    tree_is(&docker, "units.masked", SEV_WARN, "docker.service is masked");
    assert_null(strstr(findings_find(&docker.found, "units.files")->want, "docker"));
}

static void who_needs_theirs_keeps_it(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(work_clear) struct work w = {.stop = SIZE_MAX, .after = boots};

    runbook(&t);
    runbook_docker_with_more(&t.f);
    assert_ok(prepare(&t, &w, true, false));
    tree_check(&t, "adopt");
    tree_is(&t, "adopt.blocked", SEV_NOTE, "sets LimitNOFILE= as well");
    assert_true(fixture_has(&t.f, ETC "ramdisk-accounts.service"));
    boots(&t);
}

static void an_option_that_would_be_lost(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(work_clear) struct work w = {.stop = SIZE_MAX, .after = boots};

    runbook(&t);
    fixture_put(&t.f, "/etc/fstab", "%s",
                "/dev/zvol/tank/solana /srv/solana xfs noatime,nofail,logbufs=8 0 0\n" RAMDISK BIND
                "\n");
    assert_ok(prepare(&t, &w, true, false));
    AUTO(freep) char *fstab = read_text(&t, "/etc/fstab");
    assert_true(str_starts(fstab, "/dev/zvol/tank/solana /srv/solana xfs noatime,nofail,logbufs"));
    tree_check(&t, "fstab");
    tree_is(&t, "fstab.adopt", SEV_NOTE, "'logbufs=8'");
    assert_int_equal(planned(&t, true), 0);
}

/* ---- names, systemd, undo of what others changed */

static void a_name_that_does_not_hold(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(work_clear) struct work w = {.stop = SIZE_MAX};

    bare(&t, "storage: {volume: {device: /dev/sdb}, ramdisk: {device: /dev/ram0}}\n");
    tree_check(&t, "fstab");
    tree_is(&t, "fstab.volume", SEV_WARN, "name it by /dev/disk/by-id in the config");
    assert_null(findings_find(&t.found, "fstab.volume")->repair);
    assert_ok(prepare(&t, &w, false, false));
    AUTO(freep) char *fstab = read_text(&t, "/etc/fstab");
    assert_null(strstr(fstab, "/dev/sdb"));
    assert_non_null(strstr(fstab, "/dev/ram0"));
}

/* agavectl died between the files and the word to systemd; there is no bus to say it on. */
static void systemd_is_told_later(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(work_clear) struct work w = {.stop = SIZE_MAX};

    bare(&t, CONFIG);
    fixture_put(&t.f, "/run/systemd/mute", "%s", "");
    assert_err(prepare(&t, &w, false, false), ERR_ABSENT, "systemd does not answer");
    tree_check(&t, "units");
    tree_is(&t, "units.reload", SEV_WARN, "has not read its files again");
    tree_is(&t, "units.files", SEV_OK, NULL);
    tree_check(&t, "fstab");
    tree_is(&t, "fstab.reload", SEV_WARN, NULL);
    tree_check(&t, "adopt");
    tree_is(&t, "adopt.reload", SEV_WARN, NULL);
    assert_true(planned(&t, false) > 0);
    AUTO(freep) char *note = xasprintf("%s/run/agavectl/systemd-reload", t.f.dir);
    assert_int_equal(unlink(note), 0);
    tree_check(&t, "units");
    tree_has_not(&t, "units.reload");
}

/* Not wanted by itself, or an operation that left the block out would never see the end of it. */
static void a_reload_follows_what_is_written(void **state)
{
    AUTO(tree_clear) struct tree t;
    const struct stage *s = stage_by_name(stage_table, "fstab");
    AUTO(findings_clear) struct findings f = {0};
    AUTO(scene_freep) struct scene *scene = scene_new();
    AUTO(plan_clear) struct plan p = {.stage = s};
    bool wanted = true;

    bare(&t, CONFIG);
    assert_ok(s->check(&t.f.ctx, scene, &f));
    assert_ok(s->plan(&t.f.ctx, &f, &p));
    assert_int_equal(p.n, 2);
    assert_int_equal(p.items[1].kind, CHANGE_RUN);
    assert_ok(stage_wants(&t.f.ctx, s, &p.items[1], &wanted));
    assert_false(wanted);
    fixture_put(&t.f, ETC UNITS_RAMDISK, OWN_FILE_MARK "\n"); /* of the stage before it */
    assert_ok(s->apply(&t.f.ctx, &p.items[0]));
    assert_ok(stage_wants(&t.f.ctx, s, &p.items[1], &wanted));
    assert_true(wanted);
}

/* Only the changes of one stage. */
static struct err *undo_alone(struct tree *t, const struct work *w, const char *stage)
{
    for (size_t i = w->n; i-- > 0;)
        if (w->items[i].c.undoable && str_eq(w->items[i].stage->name, stage))
            TRY(w->items[i].stage->undo(&t->f.ctx, &w->items[i].c));
    return NULL;
}

static void what_others_wait_for_is_not_taken_back_alone(void **state)
{
    AUTO(tree_clear) struct tree t, theirs;
    AUTO(work_clear) struct work w = {.stop = SIZE_MAX};
    AUTO(work_clear) struct work adopted = {.stop = SIZE_MAX};

    bare(&t, CONFIG);
    assert_ok(prepare(&t, &w, false, false));
    AUTO(freep) char *before = etc_of(&t);
    assert_err(undo_alone(&t, &w, "units"), ERR_REFUSED, "waits for agavectl-ramdisk.service");
    AUTO(freep) char *after = etc_of(&t);
    assert_string_equal(after, before);
    runbook(&theirs);
    assert_ok(prepare(&theirs, &adopted, true, false));
    AUTO(freep) char *taken = etc_of(&theirs);
    assert_err(undo_alone(&theirs, &adopted, "fstab"), ERR_REFUSED, "format-ramdisk.service");
    AUTO(freep) char *same = etc_of(&theirs);
    assert_string_equal(same, taken);
}

static void nothing_is_begun_on_a_read_only_etc(void **state)
{
    static const char *const ids[] = {"units.readonly", "fstab.readonly"};
    AUTO(tree_clear) struct tree t, theirs;

    bare(&t, CONFIG);
    tree_capture(&t, "{\"statvfs\": {\"/etc\": {\"read_only\": true}}}");
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        tree_check(&t, stages[i]);
        tree_is(&t, ids[i], SEV_FAIL, "mount -o remount,rw");
    }
    assert_int_equal(planned(&t, true), 0);
    runbook(&theirs);
    tree_capture(&theirs, "{\"statvfs\": {\"/etc\": {\"read_only\": true}}}");
    tree_check(&theirs, "adopt");
    tree_is(&theirs, "adopt.readonly", SEV_NOTE, NULL);
    struct work w = {.stop = SIZE_MAX};
    assert_err(prepare(&theirs, &w, true, true), ERR_REFUSED, "'/etc' is read-only");
    assert_int_equal(w.planned, 0);
    work_clear(&w);
    assert_int_equal(planned(&theirs, false), 0);
    clean(&theirs); /* all of theirs is right, and nothing has to be written */
}

/* A plan that is older than the host: what was shown is written, or nothing. */
static void another_text_than_was_shown_is_not_written(void **state)
{
    const struct stage *units = stage_by_name(stage_table, "units");
    AUTO(plan_clear) struct plan p = {.stage = units};
    AUTO(tree_clear) struct tree t;
    bool wanted = false;

    bare(&t, CONFIG);
    tree_check(&t, "units");
    assert_ok(units->plan(&t.f.ctx, &t.found, &p));
    assert_true(p.n > 1 && p.items[0].writes == WRITES_FILE);
    assert_non_null(strstr(p.items[0].arg, "boot format"));
    assert_ok(stage_wants(&t.f.ctx, units, &p.items[0], &wanted));
    assert_true(wanted);
    AUTO(freep) char *before = etc_of(&t);
    free(p.items[0].arg);
    p.items[0].arg = xstrdup("[Service]\nExecStart=/usr/bin/older boot format\n");
    assert_err(stage_wants(&t.f.ctx, units, &p.items[0], &wanted), ERR_REFUSED,
               "not what the plan");
    assert_err(units->apply(&t.f.ctx, &p.items[0]), ERR_REFUSED, "not what the plan showed");
    AUTO(freep) char *after = etc_of(&t);
    assert_string_equal(after, before);
}

static void rules_of_the_relay_are_told(void **state)
{
    AUTO(tree_clear) struct tree t;

    runbook(&t);
    fixture_put(&t.f, "/etc/iptables/rules.v4",
                "*nat\n-A PREROUTING -p udp --dport 8001 -j DNAT --to-destination 127.0.0.1\n");
    tree_check(&t, "adopt");
    tree_is(&t, "adopt.rules", SEV_NOTE, "it is left as it is");
    assert_non_null(findings_find(&t.found, "adopt.unit"));
    fixture_put(&t.f, "/etc/iptables/rules.v4", "*filter\n-A INPUT -j ACCEPT\n");
    tree_check(&t, "adopt");
    tree_has_not(&t, "adopt.rules");
}

static void what_others_put_in_our_place_stays(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(work_clear) struct work w = {.stop = SIZE_MAX};

    bare(&t, CONFIG);
    assert_ok(prepare(&t, &w, false, false));
    fixture_put(&t.f, ETC UNITS_BOOT, "mine now\n");
    AUTO(freep) char *link = xasprintf("%s" ETC "multi-user.target.wants/" UNITS_BOOT, t.f.dir);
    assert_int_equal(unlink(link), 0);
    fixture_link(&t.f, ETC "multi-user.target.wants/" UNITS_BOOT, "/opt/other.service");
    assert_int_equal(undo(&t, &w), 2);
    assert_true(fixture_has(&t.f, ETC UNITS_BOOT));
    assert_false(fixture_has(&t.f, ETC UNITS_RAMDISK));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prepared_and_undone),
        cmocka_unit_test(an_empty_folder_of_ours_is_not_nothing),
        cmocka_unit_test(without_a_file),
        cmocka_unit_test(what_changes_is_written_anew),
        cmocka_unit_test(lines_that_the_config_has_no_more_go),
        cmocka_unit_test(not_where_etc_is_left_alone),
        cmocka_unit_test(right_ones_are_left_alone),
        cmocka_unit_test(taken_over_and_given_back),
        cmocka_unit_test(a_power_loss_at_any_point),
        cmocka_unit_test(some_of_theirs),
        cmocka_unit_test(our_line_and_their_unit),
        cmocka_unit_test(their_line_is_as_ours),
        cmocka_unit_test(theirs_are_not_turned_off_before_ours_are_there),
        cmocka_unit_test(what_is_wrong_is_not_touched),
        cmocka_unit_test(masked),
        cmocka_unit_test(who_needs_theirs_keeps_it),
        cmocka_unit_test(an_option_that_would_be_lost),
        cmocka_unit_test(a_name_that_does_not_hold),
        cmocka_unit_test(systemd_is_told_later),
        cmocka_unit_test(a_reload_follows_what_is_written),
        cmocka_unit_test(what_others_wait_for_is_not_taken_back_alone),
        cmocka_unit_test(nothing_is_begun_on_a_read_only_etc),
        cmocka_unit_test(another_text_than_was_shown_is_not_written),
        cmocka_unit_test(rules_of_the_relay_are_told),
        cmocka_unit_test(what_others_put_in_our_place_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
