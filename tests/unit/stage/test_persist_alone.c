/* What is written for the next boot when not everything can be, or is asked for: nothing then that
 * keeps the host from coming back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runbook.h"
#include "tree.h"

#include "base/str.h"
#include "io/fsroot.h"
#include "stage/engine.h"
#include "stage/units_text.h"

#define ETC   RUNBOOK_ETC
#define FSTAB "UUID=4d6a / ext4 errors=remount-ro 0 1\n"

/* This program, as the kernel says. */
static const char *program = "/usr/bin/agavectl";

struct err *__wrap_proc_self(char **ret);
struct err *__wrap_proc_self(char **ret)
{
    *ret = xstrdup(program);
    return NULL;
}

static void bare(struct tree *t)
{
    tree_new(t, RUNBOOK_CONFIG);
    runbook_bare(&t->f, FSTAB);
}

/* Others' units do it, and the one that formats is enabled. */
static void others(struct tree *t)
{
    bare(t);
    fixture_put(&t->f, "/etc/fstab", "%s",
                FSTAB "/dev/zvol/tank/solana /srv/solana xfs noatime,nofail 0 0\n"
                      "/dev/ram0 /srv/solana/ramdisk xfs noatime,nofail,"
                      "x-systemd.requires=format-ramdisk.service 0 0\n"
                      "/srv/solana /srv/kind/solana none rbind,rslave,rshared,nofail 0 0\n");
    runbook_units(&t->f);
    runbook_docker(&t->f);
    fixture_put(&t->f, ETC "format-ramdisk.service",
                RUNBOOK_FORMAT "[Install]\nWantedBy=local-fs.target\n");
    fixture_dir(&t->f, ETC "local-fs.target.wants");
    fixture_link(&t->f, ETC "local-fs.target.wants/format-ramdisk.service",
                 "/etc/systemd/system/format-ramdisk.service");
}

static bool fstab_says(struct tree *t, const char *word)
{
    AUTO(freep) char *text = NULL;

    assert_ok(fsroot_read(t->f.ctx.root, "/etc/fstab", 1U << 20, &text, NULL));
    return strstr(text, word) != NULL;
}

static struct err *prepare(struct tree *t, const char *const *only, bool adopt)
{
    struct stage_run_opts o = {.only = only, .adopt = adopt};
    struct stage_report r = {0};
    struct err *e = stages_apply(&t->f.ctx, &o, &r);

    stage_report_clear(&r);
    return e;
}

static const char *const fstab_alone[] = {"fstab", NULL};
static const char *const all[] = {"units", "fstab", "adopt", NULL};

static void a_line_waits_for_a_unit_that_is_there(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(tree_clear) struct tree theirs;

    (void)state;
    bare(&t);
    assert_err(prepare(&t, fstab_alone, false), ERR_REFUSED, "which is not there");
    assert_false(fstab_says(&t, UNITS_RAMDISK));
    assert_ok(prepare(&t, all, false));
    assert_true(fstab_says(&t, UNITS_RAMDISK));

    others(&theirs);
    assert_err(prepare(&theirs, fstab_alone, true), ERR_REFUSED, "which is not there");
    assert_false(fstab_says(&theirs, UNITS_RAMDISK));
    assert_ok(prepare(&theirs, all, true));
    assert_true(fstab_says(&theirs, UNITS_RAMDISK));
    assert_false(fixture_has(&theirs.f, ETC "format-ramdisk.service"));
}

static void config_at(struct tree *t, const char *path)
{
    free(t->cfg->file);
    t->cfg->file = xstrdup(path);
}

static void what_comes_late_is_not_waited_for(void **state)
{
    static const char *const late[] = {"/srv/solana/ramdisk/c.yml", "/srv/kind/solana/etc/c.yml",
                                       "/run/c.yml"};
    AUTO(tree_clear) struct tree t;
    AUTO(tree_clear) struct tree theirs;

    (void)state;
    bare(&t);
    others(&theirs);
    for (size_t i = 0; i < ARRAY_LEN(late); i++) {
        config_at(&t, late[i]);
        tree_check(&t, "units");
        tree_is(&t, "units.late", SEV_FAIL, late[i]);
        assert_err(prepare(&t, all, false), ERR_REFUSED, "no use at boot");
        assert_false(fixture_has(&t.f, ETC UNITS_RAMDISK));
        assert_false(fixture_has(&t.f, ETC UNITS_BOOT));
        assert_false(fstab_says(&t, UNITS_RAMDISK));
        config_at(&theirs, late[i]);
        tree_check(&theirs, "units");
        tree_is(&theirs, "units.late", SEV_NOTE, late[i]);
        err_free(prepare(&theirs, all, true));
        assert_false(fixture_has(&theirs.f, ETC UNITS_RAMDISK));
        assert_false(fstab_says(&theirs, UNITS_RAMDISK));
        assert_true(fixture_has(&theirs.f, ETC "format-ramdisk.service"));
    }
    config_at(&t, "/srv/solana/c.yml"); /* the volume comes first */
    assert_ok(prepare(&t, all, false));
    assert_true(fstab_says(&t, UNITS_RAMDISK));
}

/* A folder of the host with what others may do there. */
static void folder(struct tree *t, const char *path, mode_t mode, uid_t uid, gid_t gid)
{
    AUTO(freep) char *full = xasprintf("%s%s", t->f.dir, path);

    fixture_dir(&t->f, path);
    assert_int_equal(chown(full, uid, gid), 0);
    assert_int_equal(chmod(full, mode), 0);
}

static void root_runs_no_program_of_others(void **state)
{
    static const struct {
        const char *program, *says; /* NULL: it may be run */
        mode_t mode;
        uid_t uid;
        gid_t gid;
    } cases[] = {
        {"/opt/a/agavectl", NULL, 0755, 0, 0},
        {"/opt/a/agavectl", NULL, 0775, 0, 0},  /* of root's own group */
        {"/opt/a/agavectl", NULL, 01777, 0, 0}, /* nobody but root takes root's file away there */
        {"/opt/a/agavectl", "folder '/opt/a' (owner 1000, mode 0755)", 0755, 1000, 0},
        {"/opt/a/agavectl", "folder '/opt/a' (owner 0, mode 0777)", 0777, 0, 0},
        {"/opt/a/agavectl", "folder '/opt/a' (owner 0, mode 0775)", 0775, 0, 50},
        {"/opt/a/b/agavectl", "folder '/opt/a'", 0755, 1000, 0}, /* also further up */
        {"/opt/a/agavectl (deleted)", "its file was removed", 0755, 0, 0},
        {"/tmp/x/agavectl", "below '/tmp'", 0755, 0, 0},
        {"/var/tmp/agavectl", "below '/var/tmp'", 0755, 0, 0},
    };

    (void)state;
    if (geteuid() != 0)
        return; /* folders of others cannot be made */
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(tree_clear) struct tree t;

        bare(&t);
        folder(&t, "/opt", 0755, 0, 0);
        folder(&t, "/opt/a", cases[i].mode, cases[i].uid, cases[i].gid);
        if (!str_ends(cases[i].program, ")"))
            fixture_put(&t.f, cases[i].program, "x");
        program = cases[i].program;
        tree_check(&t, "units");
        if (!cases[i].says) {
            tree_has_not(&t, "units.program");
            assert_ok(prepare(&t, all, false));
            continue;
        }
        tree_is(&t, "units.program", SEV_FAIL, cases[i].says);
        tree_is(&t, "units.program", SEV_FAIL, "make install");
        assert_err(prepare(&t, all, false), ERR_REFUSED, cases[i].says);
        assert_false(fixture_has(&t.f, ETC UNITS_BOOT));
        assert_false(fstab_says(&t, UNITS_RAMDISK));
    }
    program = "/usr/bin/agavectl";
}

/* The file itself. */
static void root_runs_no_file_of_others(void **state)
{
    AUTO(tree_clear) struct tree t;

    (void)state;
    bare(&t);
    fixture_put(&t.f, "/usr/bin/agavectl", "x");
    AUTO(freep) char *full = xasprintf("%s/usr/bin/agavectl", t.f.dir);
    assert_int_equal(chmod(full, 0757), 0);
    tree_check(&t, "units");
    tree_is(&t, "units.program", SEV_FAIL, "the file '/usr/bin/agavectl'");
    assert_int_equal(chmod(full, 0755), 0);
    tree_check(&t, "units");
    tree_has_not(&t, "units.program");
}

/* Their formatter is started at boot by itself, and must not run beside ours. */
static void what_is_blocked_is_not_taken_over_in_part(void **state)
{
    AUTO(tree_clear) struct tree t;

    (void)state;
    others(&t);
    runbook_docker_with_more(&t.f);
    assert_ok(prepare(&t, all, true));
    tree_check(&t, "adopt");
    tree_is(&t, "adopt.blocked", SEV_NOTE, "sets LimitNOFILE= as well");
    assert_true(fixture_has(&t.f, ETC "local-fs.target.wants/format-ramdisk.service"));
    assert_false(fstab_says(&t, UNITS_RAMDISK));
    assert_false(fixture_has(&t.f, ETC UNITS_RAMDISK));
}

/* A link in X.requires/ is as good as a line in X: only those who have our drop-ins lose it. */
static void who_requires_theirs_by_a_link_keeps_it(void **state)
{
    static const struct {
        const char *folder;
        bool blocked;
    } cases[] = {
        {"local-fs.target.requires", false},
        {"docker.service.requires", false},
        {"ramdisk-accounts.service.requires", false}, /* goes as well */
        {"backup.service.requires", true},
        {"other.mount.requires", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(tree_clear) struct tree t;
        AUTO(freep) char *folder = xasprintf(ETC "%s", cases[i].folder);
        AUTO(freep) char *link = xasprintf("%s/format-ramdisk.service", folder);

        others(&t);
        fixture_dir(&t.f, folder);
        fixture_link(&t.f, link, "/etc/systemd/system/format-ramdisk.service");
        assert_ok(prepare(&t, all, true));
        assert_int_equal(fixture_has(&t.f, link), cases[i].blocked);
        assert_int_equal(fixture_has(&t.f, ETC "format-ramdisk.service"), cases[i].blocked);
        assert_int_equal(fstab_says(&t, UNITS_RAMDISK), !cases[i].blocked);
        tree_check(&t, "adopt");
        if (cases[i].blocked)
            tree_is(&t, "adopt.blocked", SEV_NOTE, link);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_waits_for_a_unit_that_is_there),
        cmocka_unit_test(what_comes_late_is_not_waited_for),
        cmocka_unit_test(root_runs_no_program_of_others),
        cmocka_unit_test(root_runs_no_file_of_others),
        cmocka_unit_test(who_requires_theirs_by_a_link_keeps_it),
        cmocka_unit_test(what_is_blocked_is_not_taken_over_in_part),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
