/* flow/made: what is noted is read back in order; the first time counts; what this version does not
 * know stays; files that are damaged, newer or not ours alone are refused. */
#include "flow/made.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/str.h"
#include "fixture.h"
#include "io/clock.h"
#include "io/fsroot.h"

#define DIR       "/var/lib/agavectl/op"
#define FILE_NAME DIR "/made.json"

static struct err *no_plan(const struct ctx *ctx, const struct findings *f, struct plan *ret)
{
    return NULL;
}

static enum undo_verdict became; /* of what stage_looks made */
static struct err *looks(struct ctx *ctx, const struct change *c, struct undo_look *ret)
{
    if (became == UNDO_DO && !strcmp(c->object, "/held"))
        return err_new(ERR_REFUSED, "somebody holds it");
    *ret = (struct undo_look){.verdict = became};
    return NULL;
}

static const struct stage stage_looks = {.name = "looks", .plan = no_plan, .undo_look = looks};
static const struct stage stage_a = {.name = "a", .plan = no_plan};
static const struct stage stage_b = {.name = "b", .plan = no_plan};
static const struct stage stage_newer = {.name = "newer", .plan = no_plan};
const struct stage *const stage_table[] = {&stage_a, &stage_b, &stage_looks, NULL};

static void new_host(struct fixture *f)
{
    fixture_new(f);
    f->ctx.clock = &clock_system;
}

/* Borrows its texts. */
static struct change change(char *object, char *before, char *old)
{
    return (struct change){.kind = before ? CHANGE_UPDATE : CHANGE_CREATE,
                           .undoable = true,
                           .live = true,
                           .object = object,
                           .before = before,
                           .verb = 7,
                           .old = old};
}

static void note(struct fixture *f, const struct stage *s, const char *object, const char *before,
                 const char *old, const char *op)
{
    AUTO(freep) char *o = xstrdup(object), *b = before ? xstrdup(before) : NULL;
    AUTO(freep) char *v = old ? xstrdup(old) : NULL;
    struct change c = change(o, b, v);

    assert_ok(made_note(&f->ctx, s, &c, op));
}

static void what_was_noted_is_read(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(made_list_clear) struct made_list l = {0};
    char object[] = "/etc/x", before[] = "1", old[] = "line\n\ttab \"q\"", after[] = "2",
         arg[] = "z";
    struct change c = change(object, before, old);
    struct stat st;

    new_host(&f);
    assert_ok(made_load(&f.ctx, &l));
    assert_int_equal(l.n, 0);
    c.after = after;
    c.arg = arg;
    assert_ok(made_note(&f.ctx, &stage_b, &c, "op-1"));
    note(&f, &stage_a, "/a", NULL, NULL, "op-2");
    assert_ok(made_load(&f.ctx, &l));
    assert_int_equal(l.n, 2);
    assert_ptr_equal(l.items[0].stage, &stage_b);
    assert_string_equal(l.items[0].op, "op-1");
    assert_true(l.items[0].at_s > 1600000000);
    const struct change *got = &l.items[0].change;
    assert_int_equal(got->kind, CHANGE_UPDATE);
    assert_int_equal(got->verb, 7);
    assert_true(got->undoable && got->live && !got->adopt && !got->once && !got->destructive);
    assert_string_equal(got->object, object);
    assert_string_equal(got->before, before);
    assert_string_equal(got->after, "2");
    assert_string_equal(got->arg, "z");
    assert_string_equal(got->old, old);
    assert_ptr_equal(l.items[1].stage, &stage_a);
    assert_null(l.items[1].change.old);
    assert_ok(fsroot_stat(f.ctx.root, FILE_NAME, &st));
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_ok(fsroot_stat(f.ctx.root, DIR, &st));
    assert_int_equal(st.st_mode & 07777, 0700);
}

/* What undo needs is what was there before the first time. */
static void the_first_time_counts(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(made_list_clear) struct made_list l = {0};

    new_host(&f);
    note(&f, &stage_a, "/x", NULL, "was", "op-1");
    note(&f, &stage_a, "/y", NULL, NULL, "op-1");
    note(&f, &stage_a, "/x", "ours", "ours", "op-2");
    assert_ok(made_load(&f.ctx, &l));
    assert_int_equal(l.n, 2);
    assert_string_equal(l.items[1].change.object, "/x");
    assert_int_equal(l.items[1].change.kind, CHANGE_CREATE);
    assert_null(l.items[1].change.before);
    assert_string_equal(l.items[1].change.old, "was");
    assert_string_equal(l.items[1].op, "op-2");
}

/* A RAM disk of another kind: what is mounted now is the newer device, which can be taken back only
 * after the mount. Of a stage that did nothing since, the place among the others stays. */
static void one_made_again_is_taken_back_before_what_it_needs(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(made_list_clear) struct made_list l = {0};
    static const char *const order[] = {"brd", "volume", "folder", "zram", "mount"};

    new_host(&f);
    note(&f, &stage_a, "brd", NULL, NULL, "op-1");
    note(&f, &stage_a, "mount", NULL, "folder made", "op-1");
    note(&f, &stage_b, "volume", NULL, NULL, "op-1");
    note(&f, &stage_looks, "folder", NULL, NULL, "op-1");
    note(&f, &stage_b, "volume", NULL, NULL, "op-2");
    note(&f, &stage_a, "zram", NULL, NULL, "op-2");
    note(&f, &stage_a, "mount", NULL, NULL, "op-2");
    assert_ok(made_load(&f.ctx, &l));
    assert_int_equal(l.n, ARRAY_LEN(order));
    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        assert_string_equal(l.items[i].change.object, order[i]);
    assert_string_equal(l.items[4].change.old, "folder made");
}

/* A boot took it away: what is there now is what undo must bring back. */
static void of_one_that_is_gone_the_new_time_counts(void **state)
{
    static const enum undo_verdict all[] = {UNDO_GONE, UNDO_DO, UNDO_KEEP};

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        AUTO(fixture_clear) struct fixture f = {0};
        AUTO(made_list_clear) struct made_list l = {0};
        bool gone = all[i] == UNDO_GONE;

        new_host(&f);
        became = all[i];
        note(&f, &stage_looks, "/x", "private", "private /x", "op-1");
        note(&f, &stage_a, "/y", NULL, NULL, "op-1");
        note(&f, &stage_looks, "/x", NULL, "bound on itself", "op-2");
        assert_ok(made_load(&f.ctx, &l));
        assert_int_equal(l.n, 2);
        const struct made *m = &l.items[gone ? 1 : 0]; /* made after the other one, then */
        assert_string_equal(m->change.object, "/x");
        assert_string_equal(m->op, "op-2");
        assert_string_equal(m->change.old, gone ? "bound on itself" : "private /x");
        assert_int_equal(m->change.kind, gone ? CHANGE_CREATE : CHANGE_UPDATE);
    }
}

/* Could not look, or it is in use: something of it may be left. */
static void one_that_is_held_is_not_gone(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(made_list_clear) struct made_list l = {0};

    new_host(&f);
    became = UNDO_DO;
    note(&f, &stage_looks, "/held", NULL, "was", "op-1");
    note(&f, &stage_looks, "/held", NULL, "is", "op-2");
    assert_ok(made_load(&f.ctx, &l));
    assert_int_equal(l.n, 1);
    assert_string_equal(l.items[0].change.old, "was");
}

static void forgotten_is_gone(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(made_list_clear) struct made_list l = {0};
    char x[] = "/x", y[] = "/y";
    struct change cx = change(x, NULL, NULL), cy = change(y, NULL, NULL);
    struct stat st;

    new_host(&f);
    assert_ok(made_forget(&f.ctx, &stage_a, &cx)); /* no folder at all */
    assert_ok(made_note(&f.ctx, &stage_a, &cx, "op"));
    assert_ok(made_note(&f.ctx, &stage_b, &cx, "op"));
    assert_ok(made_forget(&f.ctx, &stage_a, &cy)); /* not noted */
    cx.verb = 8;
    assert_ok(made_forget(&f.ctx, &stage_a, &cx)); /* another change of the same object */
    cx.verb = 7;
    assert_ok(made_forget(&f.ctx, &stage_a, &cx));
    assert_ok(made_load(&f.ctx, &l));
    assert_int_equal(l.n, 1);
    assert_ptr_equal(l.items[0].stage, &stage_b);
    assert_ok(made_forget(&f.ctx, &stage_b, &cx));
    assert_err(fsroot_stat(f.ctx.root, FILE_NAME, &st), ERR_NOTFOUND, "made.json");
}

/* An older agavectl after a newer one must not lose what that one made. */
static void what_is_not_known_stays(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(made_list_clear) struct made_list l = {0};
    AUTO(freep) char *text = NULL;
    char x[] = "/x";
    struct change cx = change(x, NULL, NULL);

    new_host(&f);
    note(&f, &stage_newer, "/n", NULL, NULL, "op");
    note(&f, &stage_a, "/x", NULL, NULL, "op");
    assert_ok(made_load(&f.ctx, &l));
    assert_int_equal(l.n, 1);
    assert_ok(made_forget(&f.ctx, &stage_a, &cx));
    assert_ok(fsroot_read(f.ctx.root, FILE_NAME, 1 << 20, &text, NULL));
    assert_non_null(strstr(text, "newer"));
    assert_null(strstr(text, "/x"));
}

static void bad_files_are_refused(void **state)
{
    static const struct {
        const char *text;
        enum err_kind kind;
        const char *part;
    } bad[] = {
        {"", ERR_CORRUPT, "made.json"},
        {"{", ERR_CORRUPT, "made.json"},
        {"[]", ERR_CORRUPT, "made.json"},
        {"{\"schema_version\":2,\"made\":[]}", ERR_REFUSED, "version 2"},
        {"{\"schema_version\":1}", ERR_CORRUPT, "no list"},
        {"{\"schema_version\":1,\"made\":[3]}", ERR_CORRUPT, "note 1"},
        {"{\"schema_version\":1,\"made\":[{\"stage\":\"a\",\"object\":\"/x\",\"verb\":-1}]}",
         ERR_CORRUPT, "verb"},
        {"{\"schema_version\":1,\"made\":[{\"stage\":\"a\",\"object\":\"/x\",\"verb\":1}]}",
         ERR_CORRUPT, "kind"},
        {"{\"schema_version\":1,\"made\":[{\"stage\":\"a\",\"object\":\"/x\",\"verb\":1,"
         "\"kind\":\"eat\"}]}",
         ERR_CORRUPT, "eat"},
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(fixture_clear) struct fixture f = {0};
        AUTO(made_list_clear) struct made_list l = {0};

        new_host(&f);
        note(&f, &stage_a, "/x", NULL, NULL, "op");
        assert_ok(
            fsroot_write_atomic(f.ctx.root, FILE_NAME, bad[i].text, strlen(bad[i].text), 0600));
        assert_err(made_load(&f.ctx, &l), (int)bad[i].kind, bad[i].part);
    }
}

static void a_damaged_one_is_not_written_over(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(freep) char *text = NULL;
    char x[] = "/x";
    struct change cx = change(x, NULL, NULL);

    new_host(&f);
    note(&f, &stage_a, "/x", NULL, NULL, "op");
    assert_ok(fsroot_write_atomic(f.ctx.root, FILE_NAME, "{torn", 5, 0600));
    assert_err(made_note(&f.ctx, &stage_a, &cx, "op"), ERR_CORRUPT, "made.json");
    assert_err(made_forget(&f.ctx, &stage_a, &cx), ERR_CORRUPT, "made.json");
    assert_ok(fsroot_read(f.ctx.root, FILE_NAME, 1 << 20, &text, NULL));
    assert_string_equal(text, "{torn");
}

static void only_ours_alone(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(made_list_clear) struct made_list l = {0};

    new_host(&f);
    note(&f, &stage_a, "/x", NULL, NULL, "op");
    AUTO(freep) char *file = fsroot_path(f.ctx.root, FILE_NAME);
    AUTO(freep) char *dir = fsroot_path(f.ctx.root, DIR);
    AUTO(freep) char *aside = xasprintf("%s.aside", file);
    assert_int_equal(chmod(file, 0660), 0);
    assert_err(made_load(&f.ctx, &l), ERR_REFUSED, "mode 0660");
    assert_int_equal(chmod(file, 0600), 0);
    assert_int_equal(chmod(dir, 0770), 0);
    assert_err(made_load(&f.ctx, &l), ERR_REFUSED, "mode 0770");
    assert_int_equal(chmod(dir, 0700), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(file, 65534, 65534), 0);
        assert_err(made_load(&f.ctx, &l), ERR_REFUSED, "belongs to user 65534");
        assert_int_equal(chown(file, 0, 0), 0);
    }
    assert_int_equal(rename(file, aside), 0);
    assert_int_equal(symlink("made.json.aside", file), 0);
    assert_err(made_load(&f.ctx, &l), ERR_REFUSED, "no file");
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rename(aside, file), 0);
    assert_ok(made_load(&f.ctx, &l));
    assert_int_equal(l.n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_noted_is_read),
        cmocka_unit_test(the_first_time_counts),
        cmocka_unit_test(one_made_again_is_taken_back_before_what_it_needs),
        cmocka_unit_test(of_one_that_is_gone_the_new_time_counts),
        cmocka_unit_test(one_that_is_held_is_not_gone),
        cmocka_unit_test(forgotten_is_gone),
        cmocka_unit_test(what_is_not_known_stays),
        cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(a_damaged_one_is_not_written_over),
        cmocka_unit_test(only_ours_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
