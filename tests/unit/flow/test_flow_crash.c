/* usage: test_flow_crash [--every-byte]
 *
 * The crash matrix: each flow is killed at each point of each step, its journal torn at every byte
 * of the record that was being written, and gone on with until it ends. Then the host must be as
 * after a run that nobody disturbed, and what may be done once was done once. At the same points
 * the operator wants to leave instead: it must leave there, and go on to the same end. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/str.h"
#include "fixture.h"
#include "flow/journal.h"
#include "flow/made.h"
#include "flow/op.h"
#include "flow/prepare.h"
#include "flow/restart.h"
#include "flow/start.h"
#include "flow/stop.h"
#include "flow/undo.h"
#include "flow/up.h"
#include "world.h"

#define RESUMES_MAX 6 /* more than any interrupted operation can need */

static struct world w;
static unsigned crashes, torn;
static volatile sig_atomic_t cancelled; /* in children only */
static bool every_byte;                 /* of every flow, not of up alone */

/* --- the flows, each with the world that it begins with --- */

static struct err *run_prepare(void)
{
    static const char *const destroy[] = {"wipe", NULL};
    struct prepare_opts opts = {.destroy = destroy};
    struct flow_result r;

    return flow_prepare(&w.ctx, &opts, NULL, &r);
}

static struct err *run_up(void)
{
    struct up_opts opts = {0};
    struct flow_result r;

    return flow_up(&w.ctx, &opts, NULL, &r);
}

static struct err *run_start(void)
{
    struct start_opts opts = {.wait_tip = true};
    struct flow_result r;

    return flow_start(&w.ctx, &opts, NULL, &r);
}

static struct err *run_stop(void)
{
    bool changed;

    return flow_stop(&w.ctx, &runtime_fake, &world_unit, NULL, &changed, NULL);
}

static struct err *run_restart(void)
{
    struct start_opts opts = {.wait_tip = true};
    struct flow_result r;

    return flow_restart(&w.ctx, &opts, NULL, &r);
}

static struct err *run_undo(void)
{
    struct flow_result r;

    return flow_undo(&w.ctx, NULL, NULL, &r, NULL);
}

static struct err *resume(void)
{
    struct flow_result r;

    return flow_resume(&w.ctx, NULL, FLOW_ASK, NULL, &r);
}

/* *ret_killed: by the armed fault; else it came to its end, as it must. */
static void in_child(const char *armed, struct err *(*run)(void), bool *ret_killed)
{
    int status = 0;

    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        setenv("AGAVECTL_FAULT", armed, 1);
        struct err *e = run();
        if (e)
            fprintf(stderr, "# %s: %s\n", armed, e->text);
        _exit(e ? 1 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    *ret_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (!*ret_killed && !(WIFEXITED(status) && WEXITSTATUS(status) == 0))
        fail_msg("%s: it neither ended well nor was killed: status %d", armed, status);
}

static void bare(void)
{
    world_reset(&w);
}

static void bare_with_old_data(void)
{
    world_reset(&w);
    world_wants_wipe(&w);
}

static void prepared(void)
{
    world_reset(&w);
    world_prepared(&w, false);
}

static void with_a_snapshot(void)
{
    world_reset(&w);
    world_prepared(&w, false);
    world_write(&w, "/world/snapshot", "done", 4);
}

static void running(void)
{
    world_reset(&w);
    world_prepared(&w, true);
}

static void up_cut_off(void)
{
    bool killed = false;

    world_reset(&w);
    in_child("acted@start", run_up, &killed);
    assert_true(killed);
}

static void bare_with_a_node(void)
{
    world_reset(&w);
    world_has_node(&w, true);
}

static void made(void)
{
    struct flow_result r;

    world_reset(&w);
    assert_ok(flow_prepare(&w.ctx, NULL, NULL, &r));
}

static void prepare_cut_off(void)
{
    bool killed = false;

    world_reset(&w);
    in_child("acting@mount", run_prepare, &killed);
    assert_true(killed);
}

struct scenario {
    const char *name, *flow;
    void (*setup)(void);
    struct err *(*run)(void);
    bool noted; /* what is there was made by agavectl */
};
static const struct scenario scenarios[] = {
    {"prepare", "prepare", bare_with_old_data, run_prepare, true},
    {"up", "up", bare, run_up, true},
    {"start", "start", prepared, run_start},
    {"stop", "stop", running, run_stop},
    {"stop of an up", "stop", up_cut_off, run_stop},
    {"an up that goes on", "up", up_cut_off, resume},
    {"restart", "restart", running, run_restart},
    {"up with a snapshot", "up", with_a_snapshot, run_up},
    {"undo", "undo", made, run_undo, true},
    {"undo of a prepare", "undo", prepare_cut_off, run_undo, true},
    {"up with a node", "up", bare_with_a_node, run_up, true},
};

/* --- going on, as an operator would --- */

/* How many operations of that flow have come to their end; *ret_open: is one unfinished? */
static unsigned count_done(const char *flow, bool *ret_open)
{
    AUTO(op_dirs_clear) struct op_dirs dirs = {0};
    AUTO(ops_clear) struct ops all = {0};
    unsigned n = 0;

    op_dirs_get(&w.ctx, &dirs);
    assert_ok(op_list(&w.ctx, &dirs, &all));
    *ret_open = false;
    for (size_t i = 0; i < all.n; i++) {
        bool same = str_eq(all.items[i].flow, flow);

        n += same && all.items[i].state == OP_DONE;
        *ret_open |= same && op_is_unfinished(&all.items[i]);
    }
    return n;
}

/* Asked about a step that may be half done, the operator looks at the world. */
static struct err *answer(const struct op *op, unsigned *again)
{
    const char *effect = NULL;
    struct flow_result r;

    for (size_t i = 0; i < op->n_steps && !effect; i++)
        if (op->steps[i].state == OP_STEP_ENTERED)
            effect = strstr(op->steps[i].what, "format") ? "/world/format" : "/world/wipe";
    assert_non_null(effect);
    bool done = world_has(&w, effect);
    *again += !done;
    return flow_resume(&w.ctx, op->id, done ? FLOW_IS_DONE : FLOW_AGAIN, NULL, &r);
}

/* Until nothing is unfinished. *again: how often a step that may run once was let run again. */
static void finish(const struct scenario *s, unsigned done_before, unsigned *again)
{
    bool open = false;

    *again = 0;
    if (count_done(s->flow, &open) == done_before && !open)
        assert_ok(s->run()); /* it never began */
    for (int i = 0; i < RESUMES_MAX; i++) {
        AUTO(op_clear) struct op op = {0};

        if (!world_unfinished(&w, &op))
            return;
        AUTO(freep) char *line = op_line(&op);
        assert_non_null(strstr(line, op.id));
        struct err *e = resume();
        if (e && e->kind == ERR_REFUSED && strstr(e->text, "--done")) {
            err_free(e);
            e = answer(&op, again);
        }
        if (e)
            print_error("%s: %s\n", s->name, line);
        assert_ok(e);
    }
    fail_msg("%s: it does not come to its end", s->name);
}

/* A note too many is found to be nothing; one too few would never be taken back. */
static void all_noted(const struct scenario *s, const char *where)
{
    static const char *const objects[] = {"format", "mount", "make", "chown"};
    AUTO(made_list_clear) struct made_list made = {0};
    size_t left = 0;

    assert_ok(made_load(&w.ctx, &made));
    for (size_t i = 0; s->noted && i < ARRAY_LEN(objects); i++) {
        AUTO(freep) char *path = xasprintf("/world/%s", objects[i]);
        bool found = false;

        for (size_t k = 0; k < made.n; k++)
            found = found || str_eq(made.items[k].change.object, objects[i]);
        if (world_has(&w, path) && !found)
            fail_msg("%s, %s: '%s' was made and is not noted", s->name, where, objects[i]);
        left += world_has(&w, path);
    }
    if (s->run == run_undo && str_eq(where, "its end") && made.n != left)
        fail_msg("%s: %zu notes of %zu things", s->name, made.n, left);
}

static void same_as(const struct scenario *s, const char *where, const char *want, unsigned again)
{
    AUTO(freep) char *got = world_text(&w);

    all_noted(s, "its end");
    if (!str_eq(got, want))
        fail_msg("%s, %s: the host is\n%snot\n%s", s->name, where, got, want);
    if (world_effects(&w, "VIOLATION"))
        fail_msg("%s, %s: a rule was broken", s->name, where);
    if (world_effects(&w, "format") > 1 + again || world_effects(&w, "wipe") > 1 + again)
        fail_msg("%s, %s: what may be done once was done twice", s->name, where);
    /* one that was killed in the middle of it is written down, but did not happen */
    unsigned once = 1 + str_starts(where, "acting");
    if (s->run == run_restart &&
        (world_effects(&w, "exit") > once || world_effects(&w, "process") > once))
        fail_msg("%s, %s: stopped %u times and started %u times", s->name, where,
                 world_effects(&w, "exit"), world_effects(&w, "process"));
}

static char *undisturbed(const struct scenario *s)
{
    unsigned again;
    bool open = false;

    s->setup();
    unsigned done = count_done(s->flow, &open);
    assert_ok(s->run());
    finish(s, done, &again);
    char *text = world_text(&w);
    same_as(s, "undisturbed", text, 0);
    return text;
}

/* --- torn tails --- */

static uint32_t le32(const char *p)
{
    uint8_t b[4];

    memcpy(b, p, 4);
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* Where the last record begins and ends, if it is of this kind. */
static bool last_record(const char *data, size_t n, const char *kind, size_t *ret_from,
                        size_t *ret_to)
{
    AUTO(journal_records_clear) struct journal_records r = {0};

    assert_ok(journal_parse(data, n, "test", &r));
    if (r.n == 0 || !str_eq(rec_name(r.items[r.n - 1].kind), kind))
        return false;
    *ret_from = 16;
    for (size_t i = 0; i + 1 < r.n; i++)
        *ret_from += 16 + le32(data + *ret_from);
    *ret_to = r.end_b;
    return true;
}

/* cut: how much of the file was written when it tore; the room behind it is gone, or zeros. */
static void tear(const struct scenario *s, const struct image *image, unsigned done_before,
                 const char *path, const char *data, size_t n, size_t cut, bool zeros,
                 const char *want)
{
    AUTO(freep) char *half = xcalloc(1, n);
    AUTO(freep) char *where = xasprintf("%s torn at %zu%s", path, cut, zeros ? ", zeros" : "");
    unsigned again;

    memcpy(half, data, cut);
    world_restore(&w, image);
    world_write(&w, path, half, zeros ? n : cut);
    finish(s, done_before, &again);
    same_as(s, where, want, again);
    torn++;
}

/* A journal was whole before one that came after it was begun. */
static bool has_later(const struct scenario *s, const struct image *image, const char *path)
{
    const char *other, *data;
    size_t n;

    if (s->run != run_undo || !strstr(path, "-prepare"))
        return false;
    for (size_t f = 0; (other = image_at(image, f, &data, &n)); f++)
        if (strstr(other, "-undo"))
            return true;
    return false;
}

static void tear_everywhere(const struct scenario *s, unsigned done_before, const char *kind,
                            const char *want)
{
    AUTO(image_freep) struct image *image = world_save(&w);
    const char *path, *data;
    size_t n, from, to, found = 0;

    for (size_t f = 0; (path = image_at(image, f, &data, &n)); f++) {
        if (!str_ends(path, ".j") || has_later(s, image, path) ||
            !last_record(data, n, kind, &from, &to))
            continue;
        found++;
        /* BEGIN is long, and torn it is no BEGIN: test_journal.c has each of its bytes. */
        size_t stride = str_eq(kind, "BEGIN") ? 31 : every_byte || s == &scenarios[1] ? 1 : 9;
        for (size_t cut = from; cut < to; cut += stride) {
            tear(s, image, done_before, path, data, n, cut, true, want);
            if (cut % 8 == 0)
                tear(s, image, done_before, path, data, n, cut, false, want);
        }
    }
    assert_true(found > 0);
    world_restore(&w, image);
}

/* --- the matrix --- */

static const char *const points[] = {"unbegun",
                                     "unsynced@BEGIN",
                                     "begun",
                                     "unsynced@SUSPEND",
                                     "unsynced@RESUME",
                                     "resumed",
                                     "unsynced@ENTER",
                                     "entered",
                                     "noted",
                                     "acting",
                                     "acted",
                                     "unsynced@DONE",
                                     "done",
                                     "unsynced@FAIL",
                                     "unended",
                                     "unsynced@END"};

/* What must be to see after a kill there, before anybody goes on. */
static void named(const struct scenario *s, const char *point)
{
    AUTO(op_clear) struct op op = {0};
    bool found = world_unfinished(&w, &op);

    if (str_eq(point, "unbegun") || str_eq(point, "unsynced@END"))
        return;
    if (str_eq(point, "unsynced@SUSPEND")) /* the stop has ended, and tells the other so */
        return;
    if (!found)
        fail_msg("%s, %s: no operation is unfinished", s->name, point);
    assert_string_equal(op.flow, s->flow);
}

/* False: there is no n-th pass of that point. */
static bool crash_at(const struct scenario *s, const char *point, int n, const char *want)
{
    AUTO(freep) char *armed = xasprintf("%s:%d", point, n);
    bool killed = false;
    unsigned again;
    bool open = false;

    s->setup();
    unsigned done = count_done(s->flow, &open);
    in_child(armed, s->run, &killed);
    if (!killed)
        return false;
    crashes++;
    all_noted(s, armed);
    named(s, point);
    if (str_starts(point, "unsynced@"))
        tear_everywhere(s, done, strchr(point, '@') + 1, want);
    finish(s, done, &again);
    same_as(s, armed, want, again);
    return true;
}

static void matrix(const struct scenario *s)
{
    AUTO(freep) char *want = undisturbed(s);
    unsigned before = crashes, before_torn = torn;

    for (size_t p = 0; p < ARRAY_LEN(points); p++)
        for (int n = 1; crash_at(s, points[p], n, want); n++)
            ;
    assert_true(crashes - before >= 10);
    assert_true(torn - before_torn >= 50);
    print_message("# %s: killed at %u points, its journal torn at %u\n", s->name, crashes - before,
                  torn - before_torn);
}

static void prepare_survives(void **state)
{
    matrix(&scenarios[0]);
}

static void up_survives(void **state)
{
    matrix(&scenarios[1]);
}

static void start_survives(void **state)
{
    matrix(&scenarios[2]);
}

static void stop_survives(void **state)
{
    matrix(&scenarios[3]);
}

static void a_stop_of_an_unfinished_up_survives(void **state)
{
    matrix(&scenarios[4]);
}

static void going_on_survives(void **state)
{
    matrix(&scenarios[5]);
}

/* What was started again is not stopped again, wherever it was cut off. */
static void restart_survives(void **state)
{
    matrix(&scenarios[6]);
}

static void up_with_a_snapshot_survives(void **state)
{
    matrix(&scenarios[7]);
}

static void undo_survives(void **state)
{
    matrix(&scenarios[8]);
    assert_false(world_has(&w, "/world/mount"));
    assert_true(world_has(&w, "/world/format"));
}

static void undo_of_a_cut_off_prepare_survives(void **state)
{
    matrix(&scenarios[9]);
}

static void up_with_a_node_survives(void **state)
{
    matrix(&scenarios[10]);
}

/* The machine goes down with it: mounts and process are gone, what is on disk is not. */
static void another_boot_is_survived(void **state)
{
    static const char *const where[] = {"begun", "entered", "acting", "acted", "done", "unended"};

    static const size_t of[] = {0, 1, 8}; /* prepare, up, undo */

    for (size_t i = 0; i < ARRAY_LEN(of); i++) {
        const struct scenario *s = &scenarios[of[i]];
        AUTO(freep) char *want = undisturbed(s);

        for (size_t p = 0; p < ARRAY_LEN(where); p++)
            for (int n = 1;; n++) {
                AUTO(freep) char *armed = xasprintf("%s:%d", where[p], n);
                bool killed = false;
                unsigned again;

                s->setup();
                in_child(armed, s->run, &killed);
                if (!killed)
                    break;
                world_reboot(&w);
                finish(s, 0, &again);
                same_as(s, armed, want, again);
            }
    }
}

/* --- the operator wants to leave --- */

/* From then on no step may be begun: it would not survive that. */
static void on_term(int sig)
{
    cancelled = 1;
    setenv("AGAVECTL_FAULT", getenv("AFTERWARDS"), 1);
}

enum outcome { NOT_THERE, ENDED, LEFT };

/* Interrupted at an armed point, by the operator. NOT_THERE: that was never passed. */
static enum outcome interrupted_child(const char *armed, struct err *(*run)(void))
{
    int status = 0;

    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGTERM, on_term);
        setenv("AGAVECTL_INTERRUPT", armed, 1);
        /* of the step whose entry is being written just then that entry is no other's */
        setenv("AFTERWARDS", str_starts(armed, "unsynced@ENTER") ? "entered:2" : "entered", 1);
        struct err *e = run();
        if (e && e->kind != ERR_CANCELLED)
            fprintf(stderr, "# %s: %s (%s)\n", armed, e->text, err_kind_name(e->kind));
        if (e ? e->kind != ERR_CANCELLED || !cancelled : false)
            _exit(9);
        _exit(e ? LEFT : cancelled ? ENDED : NOT_THERE);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status))
        fail_msg("interrupted at %s, it began another step", armed);
    if (WEXITSTATUS(status) > LEFT)
        fail_msg("interrupted at %s, it did not end as one that was", armed);
    return (enum outcome)WEXITSTATUS(status);
}

/* One that left can be gone on with, unless nothing was begun; one that ended has nothing left. */
static void must_be_resumable(const struct scenario *s, const char *armed, enum outcome how,
                              unsigned done_before, const char *world_before)
{
    AUTO(freep) char *now = world_text(&w);
    bool open = false;
    unsigned done = count_done(s->flow, &open);

    if (how == ENDED && (open || done != done_before + 1))
        fail_msg("%s, interrupted at %s: it says that it ended", s->name, armed);
    if (how == LEFT && done != done_before)
        fail_msg("%s, interrupted at %s: it left, and its journal says that it ended", s->name,
                 armed);
    if (how == LEFT && !open && !str_eq(now, world_before))
        fail_msg("%s, interrupted at %s: it changed something and cannot be gone on with", s->name,
                 armed);
}

static bool interrupt_at(const struct scenario *s, const char *armed, const char *want)
{
    AUTO(freep) char *where = xasprintf("interrupted at %s", armed);
    bool open = false;
    unsigned again;

    s->setup();
    AUTO(freep) char *before = world_text(&w);
    unsigned done = count_done(s->flow, &open);
    enum outcome how = interrupted_child(armed, s->run);
    if (how == NOT_THERE)
        return false;
    must_be_resumable(s, armed, how, done, before);
    finish(s, done, &again);
    same_as(s, where, want, again);
    if (again)
        fail_msg("%s, %s: what was not killed was done again", s->name, where);
    return true;
}

static void an_interrupt_can_be_gone_on_with(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(scenarios); i++) {
        const struct scenario *s = &scenarios[i];
        AUTO(freep) char *want = undisturbed(s);
        unsigned interrupts = 0;

        for (size_t p = 0; p < ARRAY_LEN(points); p++)
            for (int n = 1;; n++) {
                AUTO(freep) char *armed = xasprintf("%s:%d", points[p], n);

                if (!interrupt_at(s, armed, want))
                    break;
                interrupts++;
            }
        assert_true(interrupts >= 10);
        print_message("# %s: interrupted at %u points\n", s->name, interrupts);
    }
}

/* Is there a scenario in which this step is interrupted when it has been done? */
static bool step_is_interrupted(const struct flow *f, const struct step *step)
{
    AUTO(freep) char *armed = xasprintf("done@%s", step->name);
    bool found = false;

    for (size_t i = 0; i < ARRAY_LEN(scenarios) && !found; i++) {
        const struct scenario *s = &scenarios[i];

        if (!str_eq(s->flow, f->name))
            continue;
        AUTO(freep) char *want = undisturbed(s);
        found = interrupt_at(s, armed, want);
    }
    return found;
}

static void each_step_of_each_flow_is_interrupted(void **state)
{
    for (size_t f = 0; flow_table[f]; f++)
        for (size_t i = 0; flow_table[f]->steps[i]; i++)
            if (!step_is_interrupted(flow_table[f], flow_table[f]->steps[i]))
                fail_msg("%s: no scenario has the step '%s'", flow_table[f]->name,
                         flow_table[f]->steps[i]->name);
}

static int setup(void **state)
{
    world_new(&w);
    w.ctx.cancelled = &cancelled;
    return 0;
}

static int teardown(void **state)
{
    world_clear(&w);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prepare_survives),
        cmocka_unit_test(up_survives),
        cmocka_unit_test(start_survives),
        cmocka_unit_test(stop_survives),
        cmocka_unit_test(a_stop_of_an_unfinished_up_survives),
        cmocka_unit_test(going_on_survives),
        cmocka_unit_test(restart_survives),
        cmocka_unit_test(up_with_a_snapshot_survives),
        cmocka_unit_test(undo_survives),
        cmocka_unit_test(undo_of_a_cut_off_prepare_survives),
        cmocka_unit_test(up_with_a_node_survives),
        cmocka_unit_test(another_boot_is_survived),
        cmocka_unit_test(an_interrupt_can_be_gone_on_with),
        cmocka_unit_test(each_step_of_each_flow_is_interrupted),
    };

    every_byte = argc > 1 && str_eq(argv[1], "--every-byte");
#ifndef AGAVECTL_FAULTS
    printf("1..0 # SKIP built without fault points\n");
    return 0;
#endif
    return cmocka_run_group_tests(tests, setup, teardown);
}
