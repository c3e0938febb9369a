/* flow/loading: what a start needs for its archives is kept, and only that. */
#include "flow/loading.h"

#include "../remove_tree.h"
#include "base/str.h"
#include "config/config.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "look/rates.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define HASH "AoNd8oJEBQNiREzWyRUXYkwgpteeWNRzDYEY4PYRQ9rM"
#define GIB  ((off_t)1 << 30)

static uint64_t now_ms;

static uint64_t fake_mono_ns(void)
{
    return now_ms * 1000000;
}

static uint64_t fake_wall_ms(void)
{
    return 1700000000000 + now_ms;
}

static const struct clock_ops fake = {.mono_ns = fake_mono_ns, .wall_ms = fake_wall_ms};

struct world {
    char dir[32];
    struct config *cfg;
    struct ctx ctx;
    struct loading l;
};

static void put(const struct world *w, const char *name, off_t size)
{
    AUTO(freep) char *path = xasprintf("%s%s/%s", w->dir, w->cfg->validator.snapshots, name);
    AUTO(closep) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, size), 0);
}

static int setup(void **state)
{
    struct world *w = xcalloc(1, sizeof(*w));

    snprintf(w->dir, sizeof(w->dir), "/tmp/agavectl-test-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    w->cfg = config_defaults();
    w->ctx = (struct ctx){.clock = &fake, .cfg = w->cfg};
    assert_null(fsroot_open(w->dir, &w->ctx.root));
    assert_null(fsroot_mkdirs(w->ctx.root, w->cfg->validator.snapshots, 0755));
    put(w, "snapshot-100-" HASH ".tar.zst", 30 * GIB);
    put(w, "snapshot-90-" HASH ".tar.zst", 7 * GIB); /* not read */
    put(w, "incremental-snapshot-100-200-" HASH ".tar.zst", 2 * GIB);
    now_ms = 1000;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    fsroot_close(w->ctx.root);
    remove_tree(w->dir);
    config_free(w->cfg);
    free(w);
    return 0;
}

static void see(struct world *w, enum admin_phase phase, uint64_t after_ms)
{
    const struct status s = {.phase_known = true, .phase = {.phase = phase}};

    now_ms += after_ms;
    loading_look(&w->ctx, "/nowhere/agave-validator", &s, &w->l);
}

/* In MiB a second; -1: nothing is known. */
static double seen(struct world *w)
{
    struct rates_book book;

    rates_load(&w->ctx, w->cfg->state_dir, &book);
    return book.unpack.known ? book.unpack.per_s / 1048576 : -1;
}

static void the_archives_over_their_time(void **state)
{
    struct world *w = *state;
    const struct status silent = {.phase_known = false};

    see(w, ADMIN_CLEANING_ACCOUNTS, 0);
    see(w, ADMIN_LOADING_LEDGER, 9000);
    see(w, ADMIN_LOADING_LEDGER, 40000);
    loading_look(&w->ctx, NULL, &silent, &w->l);
    assert_float_equal(seen(w), -1, 1e-9);
    see(w, ADMIN_PROCESSING_LEDGER, 24000);
    assert_float_equal(seen(w), 32 * 1024 / 64.0, 1e-3);
    see(w, ADMIN_LOADING_LEDGER, 1000); /* it was that start's only time */
    see(w, ADMIN_PROCESSING_LEDGER, 9000);
    assert_float_equal(seen(w), 512, 1e-3);
    w->l = (struct loading){0};
    see(w, ADMIN_LOADING_LEDGER, 1000);
    see(w, ADMIN_STARTING_SERVICES, 128000);
    assert_float_equal(seen(w), 384, 1e-3); /* both count */
}

static void what_says_nothing_of_it(void **state)
{
    struct world *w = *state;

    see(w, ADMIN_PROCESSING_LEDGER, 60000); /* its beginning was not seen */
    assert_float_equal(seen(w), -1, 1e-9);
    w->l = (struct loading){0};
    see(w, ADMIN_LOADING_LEDGER, 1000);
    see(w, ADMIN_PROCESSING_LEDGER, 3000); /* too short to tell */
    assert_float_equal(seen(w), -1, 1e-9);
    w->l = (struct loading){0};
    see(w, ADMIN_LOADING_LEDGER, 1000);
    see(w, ADMIN_RUNNING, 90000); /* what came between is in it */
    assert_float_equal(seen(w), -1, 1e-9);
}

static void a_start_without_archives(void **state)
{
    struct world *w = *state;
    AUTO(freep) char *below = xasprintf("%s%s", w->dir, w->cfg->validator.snapshots);

    remove_tree(below);
    see(w, ADMIN_LOADING_LEDGER, 1000);
    see(w, ADMIN_PROCESSING_LEDGER, 60000);
    assert_float_equal(seen(w), -1, 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_archives_over_their_time, setup, teardown),
        cmocka_unit_test_setup_teardown(what_says_nothing_of_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_start_without_archives, setup, teardown),
    };

    return cmocka_run_group_tests_name("loading", tests, NULL, NULL);
}
