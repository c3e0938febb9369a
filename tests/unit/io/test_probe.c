/* io/probe against children that come back and that do not. */
#include "io/probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "io/fsroot.h"

static void looks(struct ctx *ctx, const void *arg)
{
    struct stat st;

    if (fsroot_stat(ctx->root, arg, &st) || fcntl(1, F_GETFD) >= 0)
        pause(); /* neither the root nor what it must not hold */
}

static void hangs(struct ctx *ctx, const void *arg)
{
    for (;;)
        pause();
}

static void who_comes_back_is_known(void **state)
{
    struct ctx ctx = {0};
    bool back = false;

    assert_null(fsroot_open("/tmp", &ctx.root));
    assert_null(probe_comes_back(&ctx, 30000, looks, "/", &back));
    assert_true(back);
    assert_null(probe_comes_back(&ctx, 50, hangs, NULL, &back));
    assert_false(back);
    fsroot_close(ctx.root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_comes_back_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
