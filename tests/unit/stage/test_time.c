/* stage/time_boot: which time service the next boot starts, and the one link that enables it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/str.h"
#include "io/fsroot.h"
#include "stage/table.h"
#include "tree.h"

#define ETC     "/etc/systemd/system"
#define LIB     "/usr/lib/systemd/system"
#define WANTS   ETC "/multi-user.target.wants"
#define INSTALL "[Install]\nWantedBy=multi-user.target\n"

static void host(struct tree *t, const char *yaml)
{
    tree_new(t, yaml);
    fixture_process(&t->f, 1, "systemd", "/lib/systemd/systemd", "init", 1);
    fixture_dir(&t->f, "/run/systemd/system");
    fixture_dir(&t->f, ETC);
}

static void unit(struct tree *t, const char *name, const char *install)
{
    AUTO(freep) char *path = xasprintf(LIB "/%s.service", name);

    fixture_put(&t->f, path, "[Service]\nType=forking\n%s", install);
}

/* *ret_n changes; the first one, or an empty one. */
static struct change planned(struct tree *t, size_t *ret_n)
{
    AUTO(plan_clear) struct plan p = {.stage = &stage_time};
    struct change c = {0};

    tree_check(t, "time");
    assert_ok(stage_time.plan(&t->f.ctx, &t->found, &p));
    *ret_n = p.n;
    if (p.n) {
        c = p.items[0];
        p.items[0] = (struct change){0};
    }
    return c;
}

static void nothing_is_planned(struct tree *t)
{
    size_t n = 0;
    AUTO(change_clear) struct change c = planned(t, &n);

    assert_int_equal(n, 0);
}

static void plans_in(struct tree *t, const char *folder, const char *name)
{
    AUTO(freep) char *link = xasprintf("%s/%s", folder, name);
    size_t n = 0;
    AUTO(change_clear) struct change c = planned(t, &n);

    assert_int_equal(n, 1);
    assert_string_equal(c.object, link);
    assert_non_null(strstr(c.after, "not started now"));
    assert_true(c.live && c.undoable && !c.destructive);
}

static void plans(struct tree *t, const char *name)
{
    plans_in(t, WANTS, name);
}

static void none_is_installed(void **state)
{
    AUTO(tree_clear) struct tree t;

    host(&t, "");
    nothing_is_planned(&t);
    tree_is(&t, "time.daemon", SEV_WARN, "install one");
    tree_has_not(&t, "time.boot");
}

static void a_masked_one_is_left_to_the_operator(void **state)
{
    AUTO(tree_clear) struct tree t;

    host(&t, "");
    unit(&t, "systemd-timesyncd", INSTALL);
    fixture_link(&t.f, ETC "/systemd-timesyncd.service", "/dev/null");
    nothing_is_planned(&t);
    tree_is(&t, "time.boot", SEV_WARN, "'systemd-timesyncd.service' is masked");
    tree_is(&t, "time.daemon", SEV_WARN, "is masked");
}

static void one_of_two_is_enabled(void **state)
{
    AUTO(tree_clear) struct tree t;

    host(&t, "");
    unit(&t, "ntpsec", INSTALL);
    plans(&t, "ntpsec.service");
    unit(&t, "chrony", INSTALL);
    plans(&t, "chrony.service");
    tree_is(&t, "time.boot", SEV_WARN, "not started now");
    tree_is(&t, "time.daemon", SEV_WARN, "with the validator stopped");
    fixture_link(&t.f, WANTS "/ntpsec.service", LIB "/ntpsec.service");
    nothing_is_planned(&t);
    tree_is(&t, "time.boot", SEV_OK, "ntpsec.service");
}

/* Not the one that is preferred: two would set one clock after the next boot. */
static void the_one_that_runs_is_enabled(void **state)
{
    AUTO(tree_clear) struct tree t, own;

    host(&t, "");
    unit(&t, "chrony", INSTALL);
    unit(&t, "ntpsec", INSTALL);
    fixture_process(&t.f, 50, "ntpd", "/usr/sbin/ntpd", "ntpd", 5);
    plans(&t, "ntpsec.service");
    tree_is(&t, "time.daemon", SEV_OK, "ntpd runs");
    host(&own, "");
    unit(&own, "systemd-timesyncd", INSTALL);
    fixture_process(&own.f, 50, "chronyd", "/opt/chronyd", "chronyd", 5); /* by a unit of its own */
    nothing_is_planned(&own);
    tree_is(&own, "time.boot", SEV_WARN, "see that the next boot starts it");
}

static void the_unit_says_which_target_wants_it(void **state)
{
    AUTO(tree_clear) struct tree t;

    host(&t, "");
    unit(&t, "systemd-timesyncd", "[Install]\nWantedBy=sysinit.target\n");
    plans_in(&t, ETC "/sysinit.target.wants", "systemd-timesyncd.service");
    fixture_link(&t.f, ETC "/sysinit.target.wants/systemd-timesyncd.service",
                 LIB "/systemd-timesyncd.service");
    nothing_is_planned(&t);
    tree_is(&t, "time.boot", SEV_OK, NULL);
}

static void an_alias_stands_for_its_unit(void **state)
{
    AUTO(tree_clear) struct tree t;

    host(&t, "");
    unit(&t, "ntpsec", INSTALL);
    fixture_link(&t.f, LIB "/ntp.service", "ntpsec.service");
    plans(&t, "ntpsec.service");
    fixture_link(&t.f, WANTS "/ntpsec.service", LIB "/ntpsec.service");
    nothing_is_planned(&t);
    tree_is(&t, "time.boot", SEV_OK, "ntpsec.service");
}

static void what_is_not_ours_to_enable(void **state)
{
    AUTO(tree_clear) struct tree bare, set_up, kept, other, persist;

    host(&bare, "");
    unit(&bare, "chrony", ""); /* without [Install] */
    nothing_is_planned(&bare);
    tree_is(&bare, "time.boot", SEV_WARN, "set it up");
    unit(&bare, "chrony", "[Install]\nWantedBy=../../x.target\n");
    nothing_is_planned(&bare);
    host(&set_up, "");
    unit(&set_up, "phc2sys", INSTALL);
    nothing_is_planned(&set_up);
    tree_is(&set_up, "time.boot", SEV_WARN, "'phc2sys.service'");
    host(&kept, "");
    unit(&kept, "chrony", INSTALL);
    fixture_put(&kept.f, WANTS "/chrony.service.d", "x"); /* beside it: nothing to it */
    plans(&kept, "chrony.service");
    host(&other, "");
    unit(&other, "chrony", INSTALL);
    AUTO(freep) char *systemds = xasprintf("%s/run/systemd/system", other.f.dir);
    assert_int_equal(rmdir(systemds), 0);
    nothing_is_planned(&other);
    tree_has_not(&other, "time.boot");
    host(&persist, "host: {persist: false}\n");
    unit(&persist, "chrony", INSTALL);
    nothing_is_planned(&persist);
    tree_is(&persist, "time.boot", SEV_WARN, "not enabled");
}

static void a_read_only_etc_is_left(void **state)
{
    static const char *const only[] = {"time", NULL};
    struct stage_run_opts opts = {.only = only, .dry_run = true};
    AUTO(stage_report_clear) struct stage_report r = {0};
    AUTO(tree_clear) struct tree t;

    host(&t, "");
    unit(&t, "chrony", INSTALL);
    tree_capture(&t, "{\"statvfs\": {\"/etc\": {\"read_only\": true}}, \"kernel_clock\": null}");
    tree_check(&t, "time");
    tree_is(&t, "time.readonly", SEV_FAIL, "mount -o remount,rw");
    assert_err(stages_apply(&t.f.ctx, &opts, &r), ERR_REFUSED, "time.readonly");
    assert_int_equal(r.planned, 0);
}

static void there_and_back(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(undo_look_clear) struct undo_look look = {0}, after = {0}, theirs = {0};
    AUTO(freep) char *target = NULL;
    size_t n = 0;

    host(&t, "");
    unit(&t, "chrony", INSTALL);
    AUTO(change_clear) struct change c = planned(&t, &n);
    assert_string_equal(c.old, WANTS "\n");
    assert_ok(stage_time.apply(&t.f.ctx, &c));
    assert_ok(fsroot_readlink(t.f.ctx.root, WANTS "/chrony.service", &target));
    assert_string_equal(target, LIB "/chrony.service");
    assert_ok(stage_time.apply(&t.f.ctx, &c)); /* after a crash */
    nothing_is_planned(&t);
    assert_ok(stage_time.undo_look(&t.f.ctx, &c, &look));
    assert_int_equal(look.verdict, UNDO_DO);
    assert_ok(stage_time.undo(&t.f.ctx, &c));
    assert_ok(stage_time.undo_look(&t.f.ctx, &c, &after));
    assert_int_equal(after.verdict, UNDO_GONE);
    fixture_link(&t.f, WANTS "/chrony.service", "/opt/mine.service");
    assert_ok(stage_time.undo_look(&t.f.ctx, &c, &theirs));
    assert_int_equal(theirs.verdict, UNDO_KEEP);
    assert_err(stage_time.apply(&t.f.ctx, &c), ERR_REFUSED, "move it away");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_is_installed),
        cmocka_unit_test(a_masked_one_is_left_to_the_operator),
        cmocka_unit_test(one_of_two_is_enabled),
        cmocka_unit_test(the_one_that_runs_is_enabled),
        cmocka_unit_test(the_unit_says_which_target_wants_it),
        cmocka_unit_test(an_alias_stands_for_its_unit),
        cmocka_unit_test(what_is_not_ours_to_enable),
        cmocka_unit_test(a_read_only_etc_is_left),
        cmocka_unit_test(there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
