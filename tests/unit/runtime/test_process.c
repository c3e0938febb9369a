/* runtime/process without a validator: what its note may and may not hold up. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/str.h"
#include "fixture.h"
#include "io/fsroot.h"
#include "runtime/runtime.h"

/* The process that the note names is not of this boot. */
static const char note[] = "{\"wanted\": true, \"pid\": 1, \"start\": 1, \"boot_id\": \"x\","
                           " \"started_ms\": 1, \"restarts\": 0, \"bin\": \"/bin/x\"}";

static void a_full_disk_does_not_hold_a_stop_up(void **state)
{
    char dir[] = "/tmp/agavectl-unit-XXXXXX";
    struct ctx ctx = {0};
    struct json *undo = NULL;
    struct rlimit was, none;

    assert_non_null(mkdtemp(dir));
    AUTO(freep) char *path = xasprintf("%s/agave.json", dir);
    struct unit u = {.name = "agave", .ledger = dir, .state_dir = dir, .bin = "/bin/x"};
    assert_ok(fsroot_open("/", &ctx.root));
    assert_ok(fsroot_write_atomic(ctx.root, path, note, strlen(note), 0644));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = was.rlim_max};
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    struct err *begun = runtime_process.stop_begin(&ctx, &u, 60, NULL, &undo);
    struct err *ended = runtime_process.stop_end(&ctx, &u, undo);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_ok(begun);
    assert_ok(ended);
    json_free(undo);
    fsroot_close(ctx.root);
    remove_tree(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_does_not_hold_a_stop_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
