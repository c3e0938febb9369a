/* What every runtime driver must do with a real validator program, the real one or the stand-in.
 * The same claims for each: tests/integration/test_driver.py chooses the program by environment.
 *   DRIVER          name of the driver ("process")
 *   DRIVER_UNIT     of systemd: the service
 *   DRIVER_SET_UP   program that sets the unit up, where others do that than the driver
 *   DRIVER_DIR      an empty folder for state and log
 *   DRIVER_LEDGER   the ledger that the program is started on
 *   DRIVER_ARGV     the whole command line, one argument a line
 *   DRIVER_ENV      environment, one NAME=value a line (may be empty) */
#include "runtime/runtime.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "flow/stop.h"
#include "host/pids.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "io/http.h"
#include "io/proc.h"

#define UP_MS 120000

static const volatile sig_atomic_t never;

struct world {
    struct ctx ctx;
    const struct runtime *rt;
    struct unit u;
    struct unit_systemd systemd;
    struct strlist argv, env;
    char *log;
};

static void split_lines(const char *text, struct strlist *ret)
{
    while (text && *text) {
        const char *end = strchrnul(text, '\n');
        AUTO(freep) char *line = xstrndup(text, (size_t)(end - text));

        strlist_add(ret, line);
        text = *end ? end + 1 : end;
    }
}

static int setup(void **state)
{
    struct world *w = xcalloc(1, sizeof(*w));
    const char *dir = getenv("DRIVER_DIR");

    assert_null(fsroot_open("/", &w->ctx.root));
    w->ctx.proc = &proc_system;
    w->ctx.clock = &clock_system;
    w->ctx.cancelled = &never;
    w->rt = runtime_by_name(getenv("DRIVER"));
    assert_non_null(w->rt);
    split_lines(getenv("DRIVER_ARGV"), &w->argv);
    split_lines(getenv("DRIVER_ENV"), &w->env);
    strlist_add(&w->env, "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
    w->log = xasprintf("%s/out", dir);
    w->u = (struct unit){.name = "conformance",
                         .bin = w->argv.items[0],
                         .argv = (const char *const *)w->argv.items,
                         .env = (const char *const *)w->env.items,
                         .uid = UINT32_MAX,
                         .gid = UINT32_MAX,
                         .ledger = getenv("DRIVER_LEDGER"),
                         .log = w->log,
                         .state_dir = dir,
                         .ladder_s = 120};
    w->systemd.unit = getenv("DRIVER_UNIT");
    w->u.systemd = w->systemd.unit ? &w->systemd : NULL;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    bool changed;
    struct err *e = flow_stop(&w->ctx, w->rt, &w->u, NULL, &changed, NULL);

    if (e)
        print_message("# left over: %s\n", e->text);
    err_free(e);
    fsroot_close(w->ctx.root);
    strlist_clear(&w->argv);
    strlist_clear(&w->env);
    free(w->log);
    free(w);
    return 0;
}

static void ok(struct err *e)
{
    if (e)
        fail_msg("%s", e->text);
}

static void fails_with(struct err *e, enum err_kind kind)
{
    assert_non_null(e);
    if (e->kind != kind)
        fail_msg("%s: %s", err_kind_name(e->kind), e->text);
    err_free(e);
}

static enum unit_phase phase(struct world *w)
{
    struct unit_status st = {0};

    ok(w->rt->status(&w->ctx, &w->u, &st));
    return st.phase;
}

static pid_t main_pid(struct world *w)
{
    AUTO(freep) pid_t *pids = NULL;
    size_t n = 0;

    ok(w->rt->pids(&w->ctx, &w->u, &pids, &n));
    return n ? pids[0] : 0;
}

struct want {
    struct world *w;
    enum unit_phase phase;
};

static struct err *has_phase(struct ctx *ctx, void *arg, bool *ret_done)
{
    struct want *want = arg;
    struct unit_status st = {0};

    TRY(want->w->rt->status(ctx, &want->w->u, &st));
    if (want->phase != PH_FAILED && st.phase == PH_FAILED)
        return err_new(ERR_REMOTE, "it ended: %s", st.detail);
    *ret_done = st.phase == want->phase;
    return NULL;
}

static void until_phase(struct world *w, enum unit_phase p)
{
    struct want want = {w, p};

    ok(wait_until(&w->ctx, unit_phase_name(p), UP_MS, 50, has_phase, &want));
}

static void start_and_wait(struct world *w)
{
    ok(w->rt->start(&w->ctx, &w->u));
    until_phase(w, PH_RUNNING);
}

static void stop(struct world *w, bool want_changed)
{
    bool changed = !want_changed;

    ok(flow_stop(&w->ctx, w->rt, &w->u, NULL, &changed, NULL));
    assert_int_equal(changed, want_changed);
}

/* From here on the unit is there, and all other claims are about it. */
static void set_up(struct world *w)
{
    const char *const argv[] = {getenv("DRIVER_SET_UP"), NULL};

    if (!argv[0])
        return;
    ok(proc_run(&w->ctx, argv, UP_MS / 1000, NULL));
    assert_int_equal(phase(w), PH_STOPPED);
}

static void absent_before_the_first_start(void **state)
{
    struct world *w = *state;

    assert_int_equal(phase(w), PH_ABSENT);
    assert_int_equal(main_pid(w), 0);
    stop(w, false);
    assert_int_equal(phase(w), PH_ABSENT);
    set_up(w);
}

static void starts_once_and_tells_its_phase(void **state)
{
    struct world *w = *state;
    struct unit_status st = {0};

    start_and_wait(w);
    ok(w->rt->status(&w->ctx, &w->u, &st));
    assert_true(main_pid(w) > 1);
    assert_true(st.age_s <= UP_MS / 1000);
    pid_t before = main_pid(w);
    fails_with(w->rt->start(&w->ctx, &w->u), ERR_REFUSED);
    assert_int_equal(main_pid(w), before);
}

static void no_proof_while_it_runs(void **state)
{
    struct world *w = *state;
    struct stop_proof *proof = NULL;

    start_and_wait(w);
    fails_with(stop_prove(&w->ctx, w->rt, &w->u, &proof), ERR_REFUSED);
    assert_null(proof);
    assert_int_equal(phase(w), PH_RUNNING);
}

static void stops_with_proof_and_holds_the_gate(void **state)
{
    struct world *w = *state;
    AUTO(stop_proof_releasep) struct stop_proof *proof = NULL;
    bool changed = false;

    start_and_wait(w);
    ok(flow_stop(&w->ctx, w->rt, &w->u, NULL, &changed, &proof));
    assert_true(changed);
    assert_non_null(proof);
    /* While the proof is held nobody starts it, not even we. */
    fails_with(w->rt->start(&w->ctx, &w->u), ERR_REFUSED);
    proof = stop_proof_release(proof);
    assert_int_equal(phase(w), PH_STOPPED);
    assert_int_equal(main_pid(w), 0);
    stop(w, false);
}

static void a_death_is_a_failure_and_a_restart_counts(void **state)
{
    struct world *w = *state;
    struct unit_status st = {0};

    start_and_wait(w);
    ok(w->rt->status(&w->ctx, &w->u, &st));
    assert_int_equal(kill(main_pid(w), SIGKILL), 0); /* ours, and nothing of it is kept */
    until_phase(w, PH_FAILED);
    start_and_wait(w);
    uint32_t before = st.restarts;
    ok(w->rt->status(&w->ctx, &w->u, &st));
    assert_int_equal(st.restarts, before + 1);
}

static void one_that_somebody_else_started_is_seen_and_stopped(void **state)
{
    struct world *w = *state;
    struct proc_daemon_spec spec = {.path = w->u.bin,
                                    .argv = w->u.argv,
                                    .env = w->u.env,
                                    .log = w->u.log,
                                    .uid = UINT32_MAX,
                                    .gid = UINT32_MAX};
    pid_t pid;

    ok(proc_spawn_daemon(&spec, &pid));
    until_phase(w, PH_RUNNING);
    assert_int_equal(main_pid(w), pid);
    fails_with(w->rt->start(&w->ctx, &w->u), ERR_REFUSED);
    stop(w, true);
    assert_int_equal(phase(w), PH_STOPPED); /* the cases share one folder: our note is older */
}

/* A signal reaches the other threads of a process a little later: until then one may still answer.
 */
static struct err *is_frozen(struct ctx *ctx, void *arg, bool *ret_done)
{
    struct pid_id id = {.pid = *(pid_t *)arg};
    AUTO(threads_clear) struct threads t = {0};

    TRY(pid_start(ctx, id.pid, &id.start));
    TRY(pid_threads(ctx, id, &t));
    *ret_done = true;
    for (size_t i = 0; i < t.n; i++)
        *ret_done &= t.items[i].state == 'T';
    return NULL;
}

static void one_that_does_not_answer_is_left_alone(void **state)
{
    struct world *w = *state;
    bool changed;

    start_and_wait(w);
    pid_t pid = main_pid(w);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    ok(wait_until(&w->ctx, "a frozen process", 10000, 5, is_frozen, &pid));
    struct err *e = flow_stop(&w->ctx, w->rt, &w->u, NULL, &changed, NULL);
    assert_int_equal(kill(pid, SIGCONT), 0);
    fails_with(e, ERR_REFUSED);
    assert_int_equal(main_pid(w), pid);
    until_phase(w, PH_RUNNING); /* a stop that could not ask changed nothing */
    stop(w, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(absent_before_the_first_start, setup, teardown),
        cmocka_unit_test_setup_teardown(starts_once_and_tells_its_phase, setup, teardown),
        cmocka_unit_test_setup_teardown(no_proof_while_it_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(stops_with_proof_and_holds_the_gate, setup, teardown),
        cmocka_unit_test_setup_teardown(a_death_is_a_failure_and_a_restart_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_somebody_else_started_is_seen_and_stopped, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(one_that_does_not_answer_is_left_alone, setup, teardown),
    };

    return cmocka_run_group_tests_name(getenv("DRIVER") ? getenv("DRIVER") : "driver", tests, NULL,
                                       NULL);
}
