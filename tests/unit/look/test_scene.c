/* look/scene: what several checks share, on made-up hosts. */
#include "look/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/sysmacros.h>

#include "base/str.h"
#include "config/config.h"
#include "fixture.h"
#include "io/fsroot.h"

#define LEDGER "/srv/solana/ledger"

struct host {
    struct fixture f;
    struct config *cfg;
    struct scene *scene;
};

static struct host host_new(const char *yaml)
{
    struct host h = {0};

    fixture_new(&h.f);
    assert_ok(config_parse(yaml, strlen(yaml), "test", &h.cfg));
    h.f.ctx.cfg = h.cfg;
    h.scene = scene_new();
    fixture_put(&h.f, "/proc/self/stat", "1");
    return h;
}

static void host_clear(struct host *h)
{
    h->scene = scene_free(h->scene);
    h->cfg = config_free(h->cfg);
    fixture_clear(&h->f);
}

/* The kernel's table says that pid holds the ledger's lock. */
static void lock_ledger(struct host *h, int pid)
{
    struct stat st;

    fixture_put(&h->f, LEDGER "/ledger.lock", "%s", "");
    assert_ok(fsroot_stat(h->f.ctx.root, LEDGER "/ledger.lock", &st));
    fixture_put(&h->f, "/proc/locks", "1: FLOCK  ADVISORY  WRITE %d %x:%x:%llu 0 EOF\n", pid,
                major(st.st_dev), minor(st.st_dev), (unsigned long long)st.st_ino);
}

static void the_locks_holder_is_the_validator(void **state)
{
    AUTO(host_clear) struct host h = host_new("");
    const struct pids *v = NULL, *again = NULL;

    fixture_process(&h.f, 70, "agave-validator", "/opt/agave-validator",
                    "agave-validator --ledger " LEDGER, 5);
    fixture_process(&h.f, 71, "renamed", "/opt/renamed", "renamed run", 6);
    lock_ledger(&h, 71);
    assert_ok(scene_validator(&h.f.ctx, h.scene, &v));
    assert_int_equal(v->n, 1);
    assert_int_equal(v->items[0].id.pid, 71);
    fixture_process(&h.f, 72, "late", "/opt/late", "late", 7);
    lock_ledger(&h, 72);
    assert_ok(scene_validator(&h.f.ctx, h.scene, &again)); /* one look, one answer */
    assert_ptr_equal(v, again);
    assert_int_equal(again->items[0].id.pid, 71);
}

static void without_a_lock_the_name_and_its_ledger_count(void **state)
{
    AUTO(host_clear) struct host h = host_new("validator:\n  bin: /opt/lab/stand-in\n");
    const struct pids *v = NULL;

    fixture_process(&h.f, 70, "agave-validator", "/opt/agave-validator",
                    "agave-validator --ledger /other", 5);
    fixture_process(&h.f, 71, "agave-validator", "/opt/agave-validator",
                    "agave-validator --ledger=" LEDGER, 5);
    fixture_process(&h.f, 72, "stand-in", "/opt/lab/stand-in", "stand-in -l " LEDGER, 5);
    fixture_process(&h.f, 74, "agave-validator", "/opt/agave-validator",
                    "agave-validator --ledger " LEDGER " monitor", 5);
    assert_ok(scene_validator(&h.f.ctx, h.scene, &v));
    assert_int_equal(v->n, 1);
    assert_int_equal(v->items[0].id.pid, 71);
}

static void the_configured_program_counts_as_well(void **state)
{
    AUTO(host_clear) struct host h = host_new("validator:\n  bin: /opt/lab/stand-in\n");
    const struct pids *v = NULL;

    fixture_process(&h.f, 72, "stand-in", "/opt/lab/stand-in", "stand-in -l " LEDGER, 5);
    fixture_process(&h.f, 73, "stand-in", "/opt/lab/stand-in", "stand-in -l", 5);
    assert_ok(scene_validator(&h.f.ctx, h.scene, &v));
    assert_int_equal(v->n, 1);
    assert_int_equal(v->items[0].id.pid, 72);
}

static void nobody_is_an_answer_and_blindness_is_an_error(void **state)
{
    AUTO(host_clear) struct host h = host_new("");
    AUTO(host_clear) struct host blind = host_new("");
    const struct pids *v = NULL;

    assert_ok(scene_validator(&h.f.ctx, h.scene, &v));
    assert_int_equal(v->n, 0);
    lock_ledger(&blind, 0); /* held by somebody of another pid namespace */
    assert_err(scene_validator(&blind.f.ctx, blind.scene, &v), ERR_SYS, "cannot be seen");
    assert_err(scene_validator(&blind.f.ctx, blind.scene, &v), ERR_SYS, "cannot be seen");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_locks_holder_is_the_validator),
        cmocka_unit_test(without_a_lock_the_name_and_its_ledger_count),
        cmocka_unit_test(the_configured_program_counts_as_well),
        cmocka_unit_test(nobody_is_an_answer_and_blindness_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
