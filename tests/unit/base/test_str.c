/* base/str: buffers, numbers from text, sizes, nearest word. */
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static void buffers_grow_and_terminate(void **state)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    assert_string_equal(strbuf_text(&b), "");
    for (int i = 0; i < 1000; i++)
        strbuf_printf(&b, "%d,", i);
    assert_int_equal(b.len, 3890);
    assert_int_equal(b.data[b.len], 0);
    AUTO(freep) char *text = strbuf_take(&b);
    assert_true(str_ends(text, "998,999,"));
    assert_null(b.data);
}

static void lists_are_argv(void **state)
{
    AUTO(strlist_clear) struct strlist l = {0};

    for (int i = 0; i < 20; i++)
        strlist_addf(&l, "a%d", i);
    assert_true(strlist_has(&l, "a19"));
    assert_false(strlist_has(&l, "a20"));
    assert_null(l.items[l.n]);
}

static void numbers_are_whole_and_in_range(void **state)
{
    static const char *const bad[] = {
        "", "-1", "+1", " 1", "1 ", "0x10", "1e3", "18446744073709551616", "99999999999999999999"};
    uint64_t v = 0;

    assert_null(parse_u64("18446744073709551615", 0, UINT64_MAX, &v));
    assert_true(v == UINT64_MAX);
    assert_null(parse_u64("007", 0, 9, &v));
    assert_int_equal(v, 7);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(err_freep) struct err *e = parse_u64(bad[i], 0, UINT64_MAX, &v);

        assert_non_null(e);
        assert_int_equal(e->kind, ERR_BADINPUT);
    }
    AUTO(err_freep) struct err *e = parse_u64("11", 1, 10, &v);
    assert_string_equal(e->text, "'11' is not a number from 1 to 10");
    assert_int_equal(v, 7);
}

static void sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t size_b;
    } good[] = {{"0", 0},
                {"512", 512},
                {"64K", 65536},
                {"1.5G", 1610612736},
                {"600GiB", 644245094400},
                {"2MiB", 2097152},
                {"10B", 10}};
    static const char *const bad[] = {"",          "K",    "1X",  "-1",    "1GiBs", "1e30",  "nan",
                                      "99999999E", "0x10", "1e3", "1.5.5", "1KiBB", "1KBiB", "1."};
    uint64_t v;

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_null(parse_size(good[i].text, &v));
        assert_true(v == good[i].size_b);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(err_freep) struct err *e = parse_size(bad[i], &v);

        assert_non_null(e);
    }
}

static void control_characters(void **state)
{
    static const char *const good[] = {"", "a b", "\xc3\xa4", "\xe2\x80\xa7", "\xc2\xa0", "\xe2"};
    static const char *const bad[] = {"a\n",          "\x1b[m",       "\x7f",
                                      "\xc2\x80",     "\xc2\x9b",     "\xe2\x80\xa8",
                                      "\xe2\x80\xa9", "\xef\xbf\xbe", "\xef\xbf\xbf"};

    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_false(str_has_control(good[i]));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_true(str_has_control(bad[i]));
}

static void foreign_text_is_shown_plain(void **state)
{
    AUTO(freep) char *shown = str_shown("ab\x1b[1m\xc3\xa4\n~ long", 10);

    assert_string_equal(shown, "ab?[1m???~");
}

static void nearest_word(void **state)
{
    static const char *const names[] = {"status", "start", "stop", "shreds", NULL};

    assert_string_equal(str_nearest("statsu", names), "status");
    assert_string_equal(str_nearest("stpo", names), "stop");
    assert_null(str_nearest("explode", names));
}

static void figures_for_people(void **state)
{
    char buf[32];

    assert_string_equal(fmt_size(512, buf, sizeof(buf)), "512 B");
    assert_string_equal(fmt_size(1610612736, buf, sizeof(buf)), "1.5 GiB");
    assert_string_equal(fmt_duration(0.35, buf, sizeof(buf)), "350 ms");
    assert_string_equal(fmt_duration(11520, buf, sizeof(buf)), "3 h 12 min");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers_grow_and_terminate),
        cmocka_unit_test(lists_are_argv),
        cmocka_unit_test(numbers_are_whole_and_in_range),
        cmocka_unit_test(sizes),
        cmocka_unit_test(control_characters),
        cmocka_unit_test(foreign_text_is_shown_plain),
        cmocka_unit_test(nearest_word),
        cmocka_unit_test(figures_for_people),
    };

    return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}
