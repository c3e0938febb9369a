/* base/err: wrapping, hints, exit codes. */
#include "base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct err *inner(void)
{
    return err_sys(EACCES, "cannot open '%s'", "/dev/x");
}

static struct err *outer(void)
{
    TRY_CTX(inner(), "read '%s'", "disk");
    return NULL;
}

static void wraps_outside_in(void **state)
{
    AUTO(err_freep) struct err *e = err_hint(outer(), "run it as root");

    assert_string_equal(e->text,
                        "read 'disk': cannot open '/dev/x': Permission denied; run it as root");
    assert_int_equal(e->kind, ERR_SYS);
    assert_int_equal(e->sys, EACCES);
}

static void null_stays_null(void **state)
{
    assert_null(err_wrap(NULL, "x"));
    assert_null(err_hint(NULL, "x"));
    assert_null(err_free(NULL));
    assert_int_equal(err_exit_code(NULL), 0);
}

static void exit_codes(void **state)
{
    static const struct {
        enum err_kind kind;
        int code;
    } want[] = {{ERR_SYS, 1},    {ERR_NOTFOUND, 1}, {ERR_REFUSED, 4},   {ERR_BADINPUT, 2},
                {ERR_REMOTE, 1}, {ERR_TIMEOUT, 5},  {ERR_CANCELLED, 5}, {ERR_CORRUPT, 1},
                {ERR_ABSENT, 6}, {ERR_BUG, 1}};

    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        AUTO(err_freep) struct err *e = err_new(want[i].kind, "x");

        assert_int_equal(err_exit_code(e), want[i].code);
        assert_non_null(err_kind_name(want[i].kind));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wraps_outside_in),
        cmocka_unit_test(null_stays_null),
        cmocka_unit_test(exit_codes),
    };

    return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
