/* base/json: the numbers that RPC servers send, and everything that is not JSON. */
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static struct json *parse(const char *text)
{
    struct json *j = NULL;

    assert_null(json_parse(text, strlen(text), &j));
    return j;
}

static void u64_max_survives(void **state)
{
    AUTO(json_freep) struct json *j = parse("{\"a\":18446744073709551615,\"b\":[1,-2,3.5,null]}");
    AUTO(freep) char *text = json_text(j, false);
    uint64_t v = 0;
    int64_t i = 0;

    assert_null(json_as_u64(json_get(j, "a"), &v));
    assert_true(v == UINT64_MAX);
    assert_string_equal(text, "{\"a\":18446744073709551615,\"b\":[1,-2,3.5,null]}");
    assert_int_equal(json_len(json_get(j, "b")), 4);
    assert_null(json_as_i64(json_at(json_get(j, "b"), 1), &i));
    assert_int_equal(i, -2);
    for (size_t n = 1; n < 5; n++) {
        AUTO(err_freep) struct err *e = json_as_u64(json_at(json_get(j, "b"), n), &v);

        assert_non_null(e);
        assert_int_equal(e->kind, ERR_REMOTE);
    }
    assert_true(v == UINT64_MAX);
}

static void what_is_not_json(void **state)
{
    static const char *const bad[] = {"",    "<html>", "{",   "{\"a\":1}x",           "{\"a\":1",
                                      "nul", "[1,",    "1 2", "18446744073709551616", "[1]]"};
    struct json *j = NULL;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(err_freep) struct err *e = json_parse(bad[i], strlen(bad[i]), &j);

        assert_non_null(e);
        assert_int_equal(e->kind, ERR_REMOTE);
        assert_null(j);
    }
    AUTO(err_freep) struct err *e = json_parse("1\0002", 3, &j);
    assert_non_null(e);
}

static void long_digits_that_are_no_integers(void **state)
{
    AUTO(json_freep)
    struct json *j = parse("[\"99999999999999999999\",0.99999999999999999999,1e-5,\"\\\"\",7]");

    assert_int_equal(json_len(j), 5);
}

static void depth_is_bounded(void **state)
{
    char deep[200];
    struct json *j = NULL;

    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    AUTO(err_freep) struct err *e = json_parse(deep, sizeof(deep), &j);
    assert_non_null(e);
}

static void builds_in_order(void **state)
{
    AUTO(json_freep) struct json *j = json_new_object();
    struct json *list = json_new_array();

    json_put(j, "z", json_new_u64(1));
    json_put(j, "a", NULL);
    json_push(list, json_new_f64(2.5));
    json_push(list, json_new_f64(3));
    json_push(list, json_new_str("a/b"));
    json_put(j, "list", list);
    AUTO(freep) char *text = json_text(j, false);
    assert_string_equal(text, "{\"z\":1,\"a\":null,\"list\":[2.5,3.0,\"a/b\"]}");
    assert_null(json_get(j, "a"));
}

/* What a server sent ends up on a terminal: U+009B begins an escape sequence on some. */
static void errors_show_plain_text(void **state)
{
    AUTO(json_freep) struct json *j = NULL;
    uint64_t v;

    assert_null(json_parse("\"\xc2\x9b[J\"", 6, &j));
    AUTO(err_freep) struct err *e = json_as_u64(j, &v);
    assert_string_equal(e->text, "expected a number without sign, got '\"??[J\"'");
}

static void bare_numbers_parse(void **state)
{
    AUTO(json_freep) struct json *j = parse(" 42 ");
    uint64_t v;

    assert_null(json_as_u64(j, &v));
    assert_int_equal(v, 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(u64_max_survives),
        cmocka_unit_test(what_is_not_json),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(builds_in_order),
        cmocka_unit_test(bare_numbers_parse),
        cmocka_unit_test(long_digits_that_are_no_integers),
        cmocka_unit_test(errors_show_plain_text),
    };

    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
