/* cmd/opts: the command line taken apart, with a table of its own. */
#include "cmd/opts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

struct opts {
    bool flag, other;
    const char *text;
    uint64_t number, size_b, every;
    struct strlist list;
};
static const char *const colours[] = {"red", "green", NULL};
static const struct opt walk_opts[] = {
    {.type = OPT_FLAG,
     .shrt = 'f',
     .lng = "flag",
     .help = "x",
     .offset = offsetof(struct opts, flag)},
    {.type = OPT_FLAG,
     .shrt = 'x',
     .lng = "other",
     .help = "x",
     .offset = offsetof(struct opts, other)},
    {.type = OPT_STR,
     .shrt = 't',
     .lng = "text",
     .arg = "WORD",
     .help = "x",
     .offset = offsetof(struct opts, text),
     .choices = colours},
    {.type = OPT_U64,
     .shrt = 'n',
     .lng = "number",
     .arg = "N",
     .help = "x",
     .offset = offsetof(struct opts, number),
     .min = 2,
     .max = 9,
     .def = 7},
    {.type = OPT_SIZE,
     .lng = "size",
     .arg = "SIZE",
     .help = "x",
     .offset = offsetof(struct opts, size_b)},
    {.type = OPT_U64,
     .shrt = 'e',
     .lng = "every",
     .arg = "S",
     .help = "x",
     .offset = offsetof(struct opts, every),
     .min = 1,
     .max = 60,
     .bare = "2"},
    {.type = OPT_LIST,
     .lng = "item",
     .arg = "X",
     .help = "x",
     .offset = offsetof(struct opts, list)},
    {0},
};
static const struct cmd walk = {.name = "walk",
                                .usage = "[A [B]]",
                                .max_args = 2,
                                .opts = walk_opts,
                                .opts_size = sizeof(struct opts)};
static const struct cmd show = {.name = "show", .usage = "THING", .min_args = 1, .max_args = 1};
static const struct cmd hidden = {.name = "shoe", .usage = "", .flags = CMD_HIDDEN};
static const struct cmd *const things_subs[] = {&hidden, &show, NULL};
static const struct cmd things = {.name = "things", .usage = "", .subs = things_subs};
static const struct cmd *const table[] = {&things, &walk, NULL};

/* Splits at blanks; "_" stands for an empty word. */
static struct err *parse(const char *text, struct cmdline *ret, char *store)
{
    char *argv[32] = {NULL};
    int argc = 0;

    snprintf(store, 256, "%s", text);
    for (char *p = store; p && argc < 31; argc++) {
        argv[argc] = p;
        p = strchr(p, ' ');
        if (p)
            *p++ = 0;
        if (strcmp(argv[argc], "_") == 0)
            argv[argc] += 1;
    }
    return cmdline_parse(table, argc, argv, ret);
}

static void options_land_in_the_struct(void **state)
{
    static const char *const lines[] = {
        "agavectl walk -f --text red -n3 --size=2KiB --item a --item b one -- -two",
        "agavectl -q walk one -fn 3 -tred --item=a --item b --size 2048 -- -two",
        "agavectl walk --flag --number=3 -t red --size 2K --item a one --item b -q -- -two",
    };

    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        AUTO(cmdline_clear) struct cmdline c = {0};
        char store[256];
        struct err *e = parse(lines[i], &c, store);
        const struct opts *o = c.opts;

        if (e)
            fail_msg("%s: %s", lines[i], e->text);
        assert_ptr_equal(c.cmd, &walk);
        assert_true(o->flag);
        assert_false(o->other);
        assert_string_equal(o->text, "red");
        assert_int_equal(o->number, 3);
        assert_int_equal(o->size_b, 2048);
        assert_int_equal(o->list.n, 2);
        assert_string_equal(o->list.items[1], "b");
        assert_int_equal(c.argc, 2);
        assert_string_equal(c.argv[0], "one");
        assert_string_equal(c.argv[1], "-two");
        assert_null(c.argv[2]);
        assert_int_equal(c.globals.quiet, i > 0);
    }
}

static void defaults_and_globals(void **state)
{
    AUTO(cmdline_clear) struct cmdline c = {0};
    char store[256];

    assert_null(parse("agavectl --config a -ojson things -c b show -v _", &c, store));
    assert_ptr_equal(c.cmd, &show);
    assert_ptr_equal(c.parent, &things);
    assert_string_equal(c.name, "things show");
    assert_string_equal(c.globals.config, "b");
    assert_string_equal(c.globals.output, "json");
    assert_true(c.globals.verbose);
    assert_string_equal(c.argv[0], "");

    AUTO(cmdline_clear) struct cmdline d = {0};
    assert_null(parse("agavectl walk", &d, store));
    assert_int_equal(((const struct opts *)d.opts)->number, 7);
    assert_null(((const struct opts *)d.opts)->text);
}

/* "--every" has a value of its own, and takes none that stands apart. */
static void an_option_that_may_stand_bare(void **state)
{
    static const struct {
        const char *line;
        uint64_t want;
        int argc;
    } rows[] = {
        {"agavectl walk", 0, 0},           {"agavectl walk --every", 2, 0},
        {"agavectl walk --every=5", 5, 0}, {"agavectl walk --every 5", 2, 1},
        {"agavectl walk -e", 2, 0},        {"agavectl walk -e5", 5, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(cmdline_clear) struct cmdline c = {0};
        char store[256];

        assert_null(parse(rows[i].line, &c, store));
        assert_int_equal(((const struct opts *)c.opts)->every, rows[i].want);
        assert_int_equal(c.argc, rows[i].argc);
    }
}

/* Help is answered even where arguments are missing. */
static void help_needs_no_arguments(void **state)
{
    static const char *const lines[] = {"agavectl -h", "agavectl things --help",
                                        "agavectl things show -h", "agavectl -V"};

    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        AUTO(cmdline_clear) struct cmdline c = {0};
        char store[256];

        assert_null(parse(lines[i], &c, store));
        assert_true(c.globals.help || c.globals.version);
    }
}

static void each_fault_has_its_words(void **state)
{
    static const struct {
        const char *line, *want;
    } cases[] = {
        {"agavectl", "no command given; see 'agavectl --help'"},
        {"agavectl wlak", "unknown command 'wlak'; did you mean 'walk'?"},
        {"agavectl zzzzzz", "unknown command 'zzzzzz'; see 'agavectl --help'"},
        {"agavectl things", "'things' needs a command; see 'agavectl things --help'"},
        {"agavectl things shw", "unknown command 'things shw'; did you mean 'things show'?"},
        {"agavectl things qqqqq", "unknown command 'things qqqqq'; see 'agavectl things --help'"},
        {"agavectl things show", "'things show' needs an argument: agavectl things show THING"},
        {"agavectl walk a b c",
         "'walk' does not take the argument 'c'; see 'agavectl walk --help'"},
        {"agavectl walk --falg", "unknown option '--falg'; did you mean '--flag'?"},
        {"agavectl walk --fla", "unknown option '--fla'; did you mean '--flag'?"},
        {"agavectl walk --qqqqqqqq=1", "unknown option '--qqqqqqqq'; see 'agavectl walk --help'"},
        {"agavectl walk -fz", "unknown option '-z'; see 'agavectl walk --help'"},
        {"agavectl --number walk",
         "unknown option '--number'; a command's own options stand after its name"},
        {"agavectl walk --flag=1", "option '--flag' takes no value"},
        {"agavectl walk --text", "option '--text' needs a value: --text WORD"},
        {"agavectl walk -t", "option '--text' needs a value: --text WORD"},
        {"agavectl walk -t blue", "option '--text': 'blue' is not one of red, green"},
        {"agavectl walk -n 1", "option '--number': '1' is not a number from 2 to 9"},
        {"agavectl walk -n10", "option '--number': '10' is not a number from 2 to 9"},
        {"agavectl walk --size 5X",
         "option '--size': '5X' is not a size such as 512M, 4GiB or 1.5T"},
        {"agavectl walk -o yaml",
         "option '--output': 'yaml' is not one of text, json, nagios, junit, prometheus"},
        {"agavectl --lab walk --no-lab", "'--lab' and '--no-lab' exclude each other"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(cmdline_clear) struct cmdline c = {0};
        char store[256];
        AUTO(err_freep) struct err *e = parse(cases[i].line, &c, store);

        assert_non_null(e);
        assert_int_equal(e->kind, ERR_BADINPUT);
        assert_string_equal(e->text, cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_land_in_the_struct),    cmocka_unit_test(defaults_and_globals),
        cmocka_unit_test(an_option_that_may_stand_bare), cmocka_unit_test(help_needs_no_arguments),
        cmocka_unit_test(each_fault_has_its_words),
    };

    return cmocka_run_group_tests_name("cmd_opts", tests, NULL, NULL);
}
