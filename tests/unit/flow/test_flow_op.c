/* Operations over the made-up host: who is refused while one is unfinished, who goes on with it,
 * what a stop does to it, and what is never done without being asked. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/str.h"
#include "fixture.h"
#include "flow/journal.h"
#include "flow/op.h"
#include "flow/prepare.h"
#include "flow/start.h"
#include "flow/stop.h"
#include "flow/undo.h"
#include "flow/up.h"
#include "io/fsroot.h"
#include "world.h"

static struct world w;
static struct flow_result done;

static struct err *up(bool no_wait)
{
    struct up_opts opts = {.no_wait = no_wait};

    return flow_up(&w.ctx, &opts, NULL, &done);
}

static struct err *start(void)
{
    struct start_opts opts = {0};

    return flow_start(&w.ctx, &opts, NULL, &done);
}

static struct err *stop(void)
{
    bool changed;

    return flow_stop(&w.ctx, &runtime_fake, &world_unit, NULL, &changed, NULL);
}

static struct err *resume(enum flow_answer answer)
{
    return flow_resume(&w.ctx, NULL, answer, NULL, &done);
}

/* An up that is killed there. */
static void up_killed_at(const char *point)
{
    int status = 0;

    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        setenv("AGAVECTL_FAULT", point, 1);
        err_free(up(false));
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

static void nothing_is_unfinished(void)
{
    AUTO(op_clear) struct op op = {0};

    assert_false(world_unfinished(&w, &op));
}

/* The operation at that place from the end of the list. */
static void latest(size_t back, struct op *ret)
{
    AUTO(op_dirs_clear) struct op_dirs dirs = {0};
    AUTO(ops_clear) struct ops all = {0};

    op_dirs_get(&w.ctx, &dirs);
    assert_ok(op_list(&w.ctx, &dirs, &all));
    assert_true(all.n > back);
    *ret = all.items[all.n - 1 - back];
    all.items[all.n - 1 - back] = (struct op){0};
}

static void state_is(size_t back, const char *flow, enum op_state state)
{
    AUTO(op_clear) struct op op = {0};

    latest(back, &op);
    assert_string_equal(op.flow, flow);
    assert_string_equal(op_state_name(op.state), op_state_name(state));
}

static void other_flows_are_refused_with_the_way_out(void **state)
{
    AUTO(op_clear) struct op op = {0};

    world_reset(&w);
    up_killed_at("entered@snapshot");
    assert_true(world_unfinished(&w, &op));
    AUTO(freep) char *go_on = xasprintf("go on with 'agavectl op resume %s'", op.id);
    AUTO(freep) char *give_up = xasprintf("'agavectl op abandon %s'", op.id);
    struct prepare_opts all = {0};
    assert_err(start(), ERR_REFUSED, go_on);
    assert_err(start(), ERR_REFUSED, give_up);
    assert_err(flow_prepare(&w.ctx, &all, NULL, &done), ERR_REFUSED, go_on);
    assert_false(world_has(&w, "/world/process"));
    assert_ok(flow_abandon(&w.ctx, op.id));
    state_is(0, "up", OP_ABANDONED);
    assert_ok(start());
    assert_err(flow_abandon(&w.ctx, op.id), ERR_NOTFOUND, "has ended: abandoned");
}

static void the_same_command_goes_on(void **state)
{
    AUTO(op_clear) struct op op = {0};

    world_reset(&w);
    up_killed_at("acted@start");
    assert_true(world_unfinished(&w, &op));
    assert_ok(up(false));
    assert_true(done.resumed);
    assert_string_equal(done.id, op.id);
    nothing_is_unfinished();
    assert_int_equal(world_effects(&w, "process"), 1);
    assert_int_equal(done.changed, 6); /* what the first run did counts: format to start */
}

static void with_another_wish_it_is_given_up(void **state)
{
    AUTO(op_clear) struct op op = {0};

    world_reset(&w);
    up_killed_at("acted@start");
    assert_true(world_unfinished(&w, &op));
    assert_ok(up(true));
    assert_false(done.resumed);
    state_is(1, "up", OP_ABANDONED);
    state_is(0, "up", OP_DONE);
    /* but not while a step may be half done that may be done once */
    world_reset(&w);
    up_killed_at("acting@format");
    assert_err(up(true), ERR_REFUSED, "may be half done");
    assert_int_equal(world_effects(&w, "format"), 1);
}

static void once_means_once(void **state)
{
    world_reset(&w);
    up_killed_at("acting@format");
    assert_err(resume(FLOW_ASK), ERR_REFUSED, "'agavectl op resume --done'");
    assert_err(up(false), ERR_REFUSED, "'agavectl op resume --again'");
    assert_int_equal(world_effects(&w, "format"), 1);
    assert_err(resume(FLOW_IS_DONE), ERR_REFUSED, "has not been done");
    assert_int_equal(world_effects(&w, "format"), 1);
    assert_ok(resume(FLOW_AGAIN));
    assert_int_equal(world_effects(&w, "format"), 2);
    world_reset(&w);
    up_killed_at("acted@change-once");
    assert_err(resume(FLOW_ASK), ERR_REFUSED, "look yourself");
    assert_ok(resume(FLOW_IS_DONE));
    assert_int_equal(world_effects(&w, "format"), 1);
    /* an answer that nobody asked for */
    world_prepared(&w, false);
    up_killed_at("begun");
    assert_err(resume(FLOW_IS_DONE), ERR_BADINPUT, "waits for an answer");
}

/* What is there can only be the middle of it: nobody has to be asked. */
static void a_once_step_goes_on_from_its_middle(void **state)
{
    static const char *const torn = "/torn";

    world_reset(&w);
    up_killed_at("acting@format");
    assert_err(resume(FLOW_ASK), ERR_REFUSED, "look yourself");
    world_write(&w, torn, "", 0);
    struct err *e = resume(FLOW_ASK);
    AUTO(freep) char *path = fsroot_path(w.ctx.root, torn);
    assert_int_equal(unlink(path), 0);
    assert_ok(e);
    assert_int_equal(world_effects(&w, "format"), 2);
    nothing_is_unfinished();
}

/* Two may be asked about: an answer is for the one that was. */
static void an_answer_is_for_one_step(void **state)
{
    static const char *const wipe[] = {"wipe", NULL};
    struct up_opts opts = {.destroy = wipe};
    int status = 0;

    world_reset(&w);
    world_wants_wipe(&w);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        setenv("AGAVECTL_FAULT", "acting@wipe", 1);
        err_free(flow_up(&w.ctx, &opts, NULL, &done));
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    world_loses(&w, "format");
    assert_err(resume(FLOW_AGAIN), ERR_REFUSED, "(create format: made) was done and is so no more");
    assert_int_equal(world_effects(&w, "format"), 1);
    assert_int_equal(world_effects(&w, "wipe"), 1);
    assert_err(resume(FLOW_AGAIN), ERR_REFUSED, "(create wipe: made) was begun");
    assert_int_equal(world_effects(&w, "format"), 2);
    assert_int_equal(world_effects(&w, "wipe"), 1);
    struct err *e = resume(FLOW_AGAIN);
    world_unwants_wipe(&w);
    assert_ok(e);
    assert_int_equal(world_effects(&w, "format"), 2);
    assert_int_equal(world_effects(&w, "wipe"), 2);
    nothing_is_unfinished();
}

static void a_changed_config_is_not_gone_on_with(void **state)
{
    static const char text[] = "state_dir: /run/agavectl\n"
                               "journal_dir: /var/lib/agavectl/op\n"
                               "cluster: {references: [\"http://127.0.0.1:2\"]}\n"
                               "validator: {ledger: /ledger}\n";
    AUTO(config_freep) struct config *other = NULL;

    world_reset(&w);
    up_killed_at("entered@snapshot");
    assert_ok(config_parse(text, strlen(text), "other.yaml", &other));
    w.ctx.cfg = other;
    struct err *e = resume(FLOW_ASK);
    w.ctx.cfg = w.cfg;
    assert_err(e, ERR_REFUSED, "the config has changed");
    assert_ok(resume(FLOW_ASK));
}

static void a_stop_suspends_and_the_rest_goes_on_after_it(void **state)
{
    AUTO(op_clear) struct op op = {0}, stopped = {0};
    const char *id;

    world_reset(&w);
    up_killed_at("acted@start");
    assert_true(world_has(&w, "/world/process"));
    assert_ok(stop());
    assert_false(world_has(&w, "/world/process"));
    assert_true(world_unfinished(&w, &op));
    assert_string_equal(op.flow, "up");
    assert_int_equal(op.state, OP_SUSPENDED);
    latest(0, &stopped);
    assert_string_equal(op.suspended_by, stopped.id);
    assert_ok(json_as_str(json_get(json_get(stopped.inputs, "unfinished"), "id"), &id));
    assert_string_equal(id, op.id);
    assert_string_equal(stopped.dir, "/run/agavectl/op");
    assert_err(start(), ERR_REFUSED, "is suspended by");
    assert_ok(resume(FLOW_ASK));
    assert_true(world_has(&w, "/world/process"));
    nothing_is_unfinished();
    assert_int_equal(world_effects(&w, "VIOLATION"), 0);
}

/* Its proof would be about another ledger. */
static void a_stop_goes_on_with_its_own_ledger_only(void **state)
{
    static const char other[] = "state_dir: /run/agavectl\n"
                                "journal_dir: /var/lib/agavectl/op\n"
                                "cluster: {references: [\"http://127.0.0.1:1\"]}\n"
                                "validator: {ledger: /elsewhere}\n";
    AUTO(config_freep) struct config *cfg = NULL;
    struct stop_opts opts = {.rt = &runtime_fake, .u = &world_unit};
    int status = 0;

    world_reset(&w);
    world_prepared(&w, true);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        setenv("AGAVECTL_FAULT", "entered@ask", 1);
        err_free(flow_run(&w.ctx, &stop_flow, &opts, NULL, &done));
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_ok(config_parse(other, strlen(other), "other.yaml", &cfg));
    w.ctx.cfg = cfg;
    struct err *e = resume(FLOW_ASK);
    w.ctx.cfg = w.cfg;
    assert_err(e, ERR_REFUSED, "the config names '/elsewhere' now");
    assert_true(world_has(&w, "/world/process"));
    assert_ok(resume(FLOW_ASK));
    assert_false(world_has(&w, "/world/process"));
}

/* Its record is worth less than the stop. */
static void a_stop_goes_on_without_a_journal(void **state)
{
    AUTO(freep) char *dir = fsroot_path(w.ctx.root, "/run/agavectl/op");
    AUTO(op_clear) struct op op = {0};

    world_reset(&w);
    up_killed_at("acted@start");
    assert_int_equal(chmod(dir, 0777), 0);
    struct err *e = stop();
    assert_int_equal(chmod(dir, 0700), 0);
    assert_ok(e);
    assert_false(world_has(&w, "/world/process"));
    assert_true(world_unfinished(&w, &op));
    assert_int_equal(op.state, OP_SUSPENDED);
    assert_int_equal(world_effects(&w, "VIOLATION"), 0);
}

/* A disk that does not answer holds whoever looks at it for ever. */
static void a_stop_does_not_wait_for_var(void **state)
{
    AUTO(op_clear) struct op first = {0}, second = {0};
    const char *why;

    world_reset(&w);
    up_killed_at("acted@start");
    world_hangs(&w, true);
    alarm(30);
    struct err *e = stop();
    alarm(0);
    world_hangs(&w, false);
    assert_ok(e);
    assert_false(world_has(&w, "/world/process"));
    latest(0, &first);
    latest(1, &second);
    const struct op *stopped = str_eq(first.flow, "stop") ? &first : &second;
    assert_string_equal(stopped->flow, "stop");
    assert_ok(json_as_str(json_get(stopped->inputs, "unfinished_unknown"), &why));
    assert_non_null(strstr(why, "does not answer"));
    assert_int_equal(world_effects(&w, "VIOLATION"), 0);
}

static void what_never_began_to_act_is_no_operation(void **state)
{
    world_reset(&w);
    assert_err(start(), ERR_REFUSED, "'agavectl up' prepares the host");
    state_is(0, "start", OP_FAILED);
    nothing_is_unfinished();
    assert_ok(up(false));
}

static void an_unreadable_journal_is_in_the_way_until_it_is_put_aside(void **state)
{
    AUTO(op_clear) struct op op = {0};
    char head[64] = "agvctl-j\002";

    world_reset(&w);
    world_prepared(&w, true);
    world_write(&w, "/var/lib/agavectl/op/20261123T044422Z-up.j", head, sizeof(head));
    assert_true(world_unfinished(&w, &op));
    assert_int_equal(op.state, OP_UNREADABLE);
    assert_err(up(false), ERR_REFUSED, "is a journal of version 2");
    assert_err(resume(FLOW_ASK), ERR_REFUSED, "is a journal of version 2");
    assert_ok(stop()); /* which nothing stops */
    assert_ok(flow_abandon(&w.ctx, op.id));
    nothing_is_unfinished();
    assert_ok(up(false));
}

static void steps_of_another_version_are_not_gone_on_with(void **state)
{
    AUTO(image_freep) struct image *i = NULL;
    AUTO(freep) char *path = NULL;
    AUTO(journal_records_clear) struct journal_records r = {0};
    AUTO(journal_closep) struct journal *j = NULL;
    const char *data, *at;
    size_t n;

    world_reset(&w);
    up_killed_at("entered@snapshot");
    i = world_save(&w);
    for (size_t f = 0; !path && (at = image_at(i, f, &data, &n)); f++)
        if (str_ends(at, ".j"))
            path = xstrdup(at);
    assert_non_null(path);
    assert_ok(journal_parse(data, n, "test", &r));
    json_put(r.items[0].data, "flow_version", json_new_u64(99));
    AUTO(freep) char *full = fsroot_path(w.ctx.root, path);
    assert_int_equal(unlink(full), 0);
    assert_ok(journal_new(&w.ctx, "/var/lib/agavectl/op", "later-up", r.items[0].data, &j));
    j = journal_close(j);
    assert_err(resume(FLOW_ASK), ERR_REFUSED, "whose steps this one does not know");
    assert_err(up(false), ERR_REFUSED, "whose steps this one does not know");
    assert_ok(flow_abandon(&w.ctx, "later-up"));
    assert_ok(up(false));
}

static void data_is_lost_only_by_name(void **state)
{
    static const char *const wrong[] = {"wip", "wipe ", "/dev/old", NULL};
    static const char *const right[] = {"wipe", NULL};
    struct prepare_opts opts = {.destroy = wrong};
    AUTO(flow_plan_clear) struct flow_plan p = {0};
    size_t destroys = 0;

    world_reset(&w);
    world_wants_wipe(&w);
    assert_err(flow_prepare(&w.ctx, &opts, NULL, &done), ERR_REFUSED, "'wipe' loses data");
    assert_int_equal(world_effects(&w, ""), 0);
    assert_ok(flow_plan_make(&w.ctx, &prepare_flow, &opts, &p));
    assert_string_equal(p.not_allowed, "wipe");
    for (size_t i = 0; i < p.n; i++)
        destroys += p.items[i].destroys != NULL;
    assert_int_equal(destroys, 1);
    assert_int_equal(world_effects(&w, ""), 0);
    opts.destroy = right;
    assert_ok(flow_prepare(&w.ctx, &opts, NULL, &done));
    assert_int_equal(world_effects(&w, "wipe"), 1);
    assert_int_equal(done.changed, 5);
}

static struct err *say_no(void *arg, const struct flow_plan *plan, size_t from)
{
    size_t *left = arg;

    *left = plan->n - from;
    return err_new(ERR_REFUSED, "not confirmed");
}

static void nothing_is_written_before_it_is_confirmed(void **state)
{
    AUTO(strlist_clear) struct strlist names = {0};
    struct up_opts opts = {0};
    size_t left = 0;
    struct flow_how how = {.confirm = say_no, .arg = &left};

    world_reset(&w);
    assert_err(flow_up(&w.ctx, &opts, &how, &done), ERR_REFUSED, "not confirmed");
    assert_int_equal(left, 7);
    assert_int_equal(world_effects(&w, ""), 0);
    assert_ok(journal_list(&w.ctx, "/var/lib/agavectl/op", &names));
    assert_int_equal(names.n, 0);
    up_killed_at("entered@snapshot");
    assert_err(flow_up(&w.ctx, &opts, &how, &done), ERR_REFUSED, "not confirmed");
    assert_int_equal(left, 3);
    assert_ok(flow_up(&w.ctx, &opts, NULL, &done));
}

static void a_failed_step_is_told_and_tried_again(void **state)
{
    AUTO(op_clear) struct op op = {0};
    volatile sig_atomic_t cancelled = 0;
    struct ctx was = w.ctx;

    world_reset(&w);
    up_killed_at("done@change");
    cancelled = 1;
    w.ctx.cancelled = &cancelled;
    struct err *e = resume(FLOW_ASK);
    w.ctx = was;
    assert_err(e, ERR_CANCELLED, "go on with 'agavectl op resume'");
    assert_true(world_unfinished(&w, &op));
    assert_non_null(strstr(op.error, "interrupted"));
    assert_ok(resume(FLOW_ASK));
}

/* Who listens, as cmd/progress.c does: what is still open at the end is printed as failed. */
struct heard {
    char *open;
};

static void heard_begin(void *arg, const char *step)
{
    struct heard *h = arg;

    if (h->open)
        fail_msg("'%s' is begun, and '%s' has no end", step, h->open);
    h->open = xstrdup(step);
}

static void heard_progress(void *arg, const char *text)
{
    (void)arg;
    (void)text;
}

static void heard_end(void *arg, bool changed, const char *text)
{
    struct heard *h = arg;

    (void)changed;
    assert_true(*text);
    free(h->open);
    h->open = NULL;
}

/* After the decision; taken back as the last one, so that no other step is begun after it. */
static struct err *lose_the_first(void *arg, const struct flow_plan *plan, size_t from)
{
    (void)arg;
    (void)plan;
    (void)from;
    world_loses(&w, "format");
    return NULL;
}

static struct err *make_it_by_hand(void *arg, const struct flow_plan *plan, size_t from)
{
    (void)arg;
    (void)plan;
    (void)from;
    world_write(&w, "/world/make", "done", 4);
    return NULL;
}

static void what_went_by_itself_is_not_told_as_failed(void **state)
{
    struct heard h = {0};
    struct flow_report report = {
        .begin = heard_begin, .progress = heard_progress, .end = heard_end, .arg = &h};
    struct flow_how how = {.report = &report, .confirm = lose_the_first};
    struct prepare_opts all = {0};

    world_reset(&w);
    assert_ok(flow_prepare(&w.ctx, &all, NULL, &done));
    assert_ok(flow_undo(&w.ctx, NULL, &how, &done, NULL));
    bool told = !h.open;
    free(h.open);
    assert_true(told);
    h.open = NULL;
    world_reset(&w);
    up_killed_at("entered@snapshot");
    assert_ok(flow_abandon(&w.ctx, NULL));
    world_loses(&w, "mount");
    world_loses(&w, "make");
    how.confirm = make_it_by_hand;
    assert_ok(flow_prepare(&w.ctx, &all, &how, &done));
    told = !h.open;
    free(h.open);
    assert_true(told);
}

/* Also when there is nothing to do: one that is not told is taken for a failed one. */
static void each_step_of_a_stop_has_an_end(void **state)
{
    for (int running = 0; running < 2; running++) {
        struct heard h = {0};
        struct flow_report report = {
            .begin = heard_begin, .progress = heard_progress, .end = heard_end, .arg = &h};
        bool changed = false;

        world_reset(&w);
        world_prepared(&w, running);
        assert_ok(flow_stop(&w.ctx, &runtime_fake, &world_unit, &report, &changed, NULL));
        assert_int_equal(changed, running);
        assert_null(h.open);
    }
}

static void the_order_is_not_the_clocks(void **state)
{
    AUTO(op_dirs_clear) struct op_dirs dirs = {0};
    AUTO(ops_clear) struct ops all = {0};

    world_reset(&w);
    for (int i = 0; i < 12; i++)
        assert_ok(i % 2 ? stop() : up(true));
    op_dirs_get(&w.ctx, &dirs);
    assert_ok(op_list(&w.ctx, &dirs, &all));
    assert_int_equal(all.n, 12);
    for (size_t i = 0; i < all.n; i++) {
        assert_string_equal(all.items[i].flow, i % 2 ? "stop" : "up");
        assert_int_equal(all.items[i].number, i + 1);
    }
}

/* A stop with /var full, then read-only; in a mount namespace that a child has for itself. */
static int stop_without_var(void)
{
    struct world mine = w;
    AUTO(op_clear) struct op op = {0};

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return 77;
    mine.ctx.root = NULL;
    AUTO(freep) char *var = xasprintf("%s/var/lib/agavectl/op", w.dir);
    if (mount("tmpfs", var, "tmpfs", 0, "size=1m,mode=0700") < 0)
        return 77;
    assert_ok(fsroot_open(w.dir, &mine.ctx.root)); /* sees what was mounted */
    w = mine;
    up_killed_at("acted@start");
    fill_disk(var);
    assert_ok(stop());
    assert_true(world_unfinished(&w, &op));
    assert_int_equal(op.state, OP_SUSPENDED);
    assert_ok(resume(FLOW_ASK)); /* its room was taken when it began */
    assert_true(world_has(&w, "/world/process"));
    struct err *e = start();
    assert_non_null(e);
    assert_int_equal(e->sys, ENOSPC);
    err_free(e);
    assert_int_equal(mount(NULL, var, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    assert_ok(stop());
    assert_false(world_has(&w, "/world/process"));
    assert_int_equal(world_effects(&w, "VIOLATION"), 0);
    w.ctx.root = fsroot_close(w.ctx.root);
    return 0;
}

static void stop_works_with_var_full_or_read_only(void **state)
{
    int status = 0;

    world_reset(&w);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int code = stop_without_var();

        _exit(code);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        print_message("# not real: mounts: no namespaces here\n");
    else
        print_message("# real: mounts: /var on a full and a read-only tmpfs\n");
    assert_true(WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 0);
}

/* The tables: nothing without a name, steps of a flow unique, those that a crash stops say why. */
static void the_tables_are_complete(void **state)
{
    for (size_t i = 0; flow_table[i]; i++) {
        const struct flow *f = flow_table[i];

        assert_true(f->name[0] && f->summary[0] && f->version > 0 && f->decide && f->open);
        assert_ptr_equal(flow_by_name(f->name), f);
        for (size_t k = 0; f->steps[k]; k++) {
            const struct step *s = f->steps[k];

            assert_true(s->name[0] && (s->ready || s->act || s->verify));
            assert_true(!s->waits_for || (s->verify && s->poll_ms));
            assert_true(s->cls != STEP_PROBE_FIRST || s->verify);
            for (size_t j = 0; j < k; j++)
                assert_string_not_equal(f->steps[j]->name, s->name);
        }
    }
    assert_null(flow_by_name("no-such"));
}

static int setup(void **state)
{
    world_new(&w);
    return 0;
}

static int teardown(void **state)
{
    world_clear(&w);
    return 0;
}

/* What the world does in the moment when the step has looked and not acted yet. */
static void (*meanwhile)(void);

static void on_term(int sig)
{
    meanwhile();
}

static void the_format_is_lost(void)
{
    world_loses(&w, "format");
}

static void a_validator_is_started(void)
{
    world_write(&w, "/world/unit", "wanted", 6);
    world_write(&w, "/world/process", "done", 4);
}

static void late_changes_are_asked_about_again(void **state)
{
    static const struct {
        void (*meanwhile)(void);
        const char *says;
    } cases[] = {
        {the_format_is_lost, "create format is needed as well"},
        {a_validator_is_started, "while the validator runs"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int status = 0;

        world_reset(&w);
        meanwhile = cases[i].meanwhile;
        fflush(NULL);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            signal(SIGTERM, on_term);
            setenv("AGAVECTL_INTERRUPT", "entered@storage", 1);
            struct err *e = flow_prepare(&w.ctx, NULL, NULL, &done);
            fprintf(stderr, "# %s\n", e ? e->text : "done");
            _exit(!(e && e->kind == ERR_REFUSED && strstr(e->text, cases[i].says)));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        assert_int_equal(world_effects(&w, "format"), 1);
        assert_int_equal(world_effects(&w, "chown"), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_flows_are_refused_with_the_way_out),
        cmocka_unit_test(the_same_command_goes_on),
        cmocka_unit_test(with_another_wish_it_is_given_up),
        cmocka_unit_test(once_means_once),
        cmocka_unit_test(a_once_step_goes_on_from_its_middle),
        cmocka_unit_test(an_answer_is_for_one_step),
        cmocka_unit_test(a_changed_config_is_not_gone_on_with),
        cmocka_unit_test(a_stop_suspends_and_the_rest_goes_on_after_it),
        cmocka_unit_test(a_stop_goes_on_with_its_own_ledger_only),
        cmocka_unit_test(a_stop_goes_on_without_a_journal),
        cmocka_unit_test(a_stop_does_not_wait_for_var),
        cmocka_unit_test(what_never_began_to_act_is_no_operation),
        cmocka_unit_test(an_unreadable_journal_is_in_the_way_until_it_is_put_aside),
        cmocka_unit_test(steps_of_another_version_are_not_gone_on_with),
        cmocka_unit_test(data_is_lost_only_by_name),
        cmocka_unit_test(nothing_is_written_before_it_is_confirmed),
        cmocka_unit_test(a_failed_step_is_told_and_tried_again),
        cmocka_unit_test(what_went_by_itself_is_not_told_as_failed),
        cmocka_unit_test(each_step_of_a_stop_has_an_end),
        cmocka_unit_test(the_order_is_not_the_clocks),
        cmocka_unit_test(stop_works_with_var_full_or_read_only),
        cmocka_unit_test(the_tables_are_complete),
        cmocka_unit_test(late_changes_are_asked_about_again),
    };

#ifndef AGAVECTL_FAULTS
    printf("1..0 # SKIP built without fault points\n");
    return 0;
#endif
    return cmocka_run_group_tests(tests, setup, teardown);
}
