/* cmd/out: tables, and nothing but JSON in JSON mode; cmd/help: wrapping. */
#include "cmd/out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cmd/help.h"

struct sink {
    struct out out;
    char *text;
    size_t n;
};

static void sink_open(struct sink *s, bool json)
{
    *s = (struct sink){.out = {.json = json}};
    s->out.f = open_memstream(&s->text, &s->n);
    assert_non_null(s->out.f);
}

static void assert_printed(struct sink *s, const char *want)
{
    fclose(s->out.f);
    assert_string_equal(s->text, want);
    free(s->text);
}

static void print_table(struct out *o)
{
    static const char *const headers[] = {"slot", ">size", "what", NULL};
    static const char *const rows[][3] = {{"1", "10", "a"},
                                          {"123456", NULL,
                                           "pr\xc3\xa4"
                                           "fix"},
                                          {"7", "1000000", ""}};
    AUTO(table_freep) struct table *t = table_new(headers);

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        table_row(t, rows[i]);
    table_print(t, o);
}

static void columns_fit_their_cells(void **state)
{
    struct sink s;

    sink_open(&s, false);
    print_table(&s.out);
    assert_printed(&s, "slot       size  what\n"
                       "1            10  a\n"
                       "123456        -  pr\xc3\xa4"
                       "fix\n"
                       "7       1000000\n");
}

/* A wide character is one column, however many bytes it has. */
static void columns_are_characters(void **state)
{
    static const char *const headers[] = {"a", "b", NULL};
    static const char *const wide[] = {"\xc3\xa4\xc3\xb6", "1"}, *const plain[] = {"xy", "2"};
    AUTO(table_freep) struct table *t = table_new(headers);
    struct sink s;

    sink_open(&s, false);
    table_row(t, wide);
    table_row(t, plain);
    table_print(t, &s.out);
    assert_printed(&s, "a   b\n\xc3\xa4\xc3\xb6  1\nxy  2\n");
}

static void json_mode_prints_json_alone(void **state)
{
    struct json *doc = json_new_object();
    struct sink s;

    sink_open(&s, true);
    print_table(&s.out);
    out_printf(&s.out, "words\n");
    json_put(doc, "max", json_new_u64(UINT64_MAX));
    out_json(&s.out, doc);
    assert_printed(&s, "{\"max\":18446744073709551615}\n");
}

static void changed_or_not(void **state)
{
    struct sink s;

    sink_open(&s, false);
    out_changed(&s.out, true, "yes", "no");
    out_changed(&s.out, false, "yes", "no");
    assert_printed(&s, "yes\nno\n");
    sink_open(&s, true);
    out_changed(&s.out, false, "yes", "no");
    assert_printed(&s, "{\"schema_version\":1,\"changed\":false}\n");
}

static void texts_are_wrapped(void **state)
{
    static const char text[] = "one two three four five six seven eight nine ten eleven twelve\n"
                               "thirteen fourteen fifteen\n\n"
                               "  kept   as it is\n"
                               "end";
    AUTO(strbuf_clear) struct strbuf b = {0};

    help_wrap(&b, text, 4, 0);
    assert_string_equal(
        strbuf_text(&b),
        "    one two three four five six seven eight nine ten eleven twelve thirteen\n"
        "    fourteen fifteen\n\n"
        "      kept   as it is\n"
        "    end\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_fit_their_cells),     cmocka_unit_test(columns_are_characters),
        cmocka_unit_test(json_mode_prints_json_alone), cmocka_unit_test(changed_or_not),
        cmocka_unit_test(texts_are_wrapped),
    };

    return cmocka_run_group_tests_name("cmd_out", tests, NULL, NULL);
}
