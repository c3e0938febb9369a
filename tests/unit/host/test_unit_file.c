/* host/unit_file: lines, the search path, masks, aliases, drop-ins, links that enable. */
#include "host/unit_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "fixture.h"

#define ETC "/etc/systemd/system/"
#define LIB "/usr/lib/systemd/system/"

static void lines(void **state)
{
    static const char text[] = "# comment\n"
                               "; another\n"
                               "early=1\n"
                               "[Unit]\n"
                               "  Before = a.service \\\n"
                               "# between\n"
                               "   b.service\n"
                               "After=\"with blank\" c\\ d\n"
                               "no setting\n"
                               "Before=\n"
                               "Before=z.service\n"
                               "[Service]\n"
                               "ExecStart=/bin/a\n"
                               "ExecStart=\n"
                               "ExecStart=/bin/b 'x y'\n"
                               "Restart=always\n"
                               "Restart=no\\";
    AUTO(unit_file_clear) struct unit_file u = {0};
    AUTO(strlist_clear) struct strlist before = {0};
    AUTO(strlist_clear) struct strlist after = {0};
    AUTO(strlist_clear) struct strlist exec = {0};
    AUTO(strlist_clear) struct strlist words = {0};

    unit_file_parse(text, strlen(text), "/f", &u);
    unit_file_words(&u, "Unit", "Before", &before);
    assert_int_equal(before.n, 3); /* a dependency is never forgotten */
    assert_string_equal(before.items[1], "b.service");
    unit_file_words(&u, "Unit", "After", &after);
    assert_int_equal(after.n, 2);
    assert_string_equal(after.items[0], "with blank");
    assert_string_equal(after.items[1], "c d");
    unit_file_all(&u, "Service", "ExecStart", &exec);
    assert_int_equal(exec.n, 1);
    unit_file_split(exec.items[0], &words);
    assert_string_equal(words.items[1], "x y");
    assert_string_equal(unit_file_get(&u, "Service", "Restart"), "no");
    assert_null(unit_file_get(&u, "Unit", "Restart"));
    assert_int_equal(u.faults.n, 2);
    assert_string_equal(u.faults.items[0], "/f:3: a setting before the first section");
    assert_string_equal(u.faults.items[1], "/f:9: neither a section nor a setting");
}

static void booleans(void **state)
{
    AUTO(unit_file_clear) struct unit_file u = {0};
    static const char text[] = "[Unit]\nA=No\nB=on\nC=perhaps\n";

    unit_file_parse(text, strlen(text), "/f", &u);
    assert_false(unit_file_bool(&u, "Unit", "A", true));
    assert_true(unit_file_bool(&u, "Unit", "B", false));
    assert_true(unit_file_bool(&u, "Unit", "C", true));
    assert_false(unit_file_bool(&u, "Unit", "D", false));
}

static void the_administrator_wins_and_dropins_are_merged(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(unit_file_clear) struct unit_file u = {0};

    fixture_new(&f);
    fixture_put(&f, LIB "a-b.service", "[Service]\nX=lib\n");
    fixture_put(&f, ETC "a-b.service", "[Service]\nX=etc\nY=etc\nZ=etc\n");
    fixture_put(&f, LIB "a-b.service.d/10.conf", "[Service]\nX=ten\n");
    fixture_put(&f, ETC "a-b.service.d/20.conf", "[Service]\nX=twenty\n");
    fixture_put(&f, LIB "a-b.service.d/30.conf", "[Service]\nX=hidden\n");
    fixture_link(&f, ETC "a-b.service.d/30.conf", "/dev/null");
    fixture_put(&f, "/dev/null", "%s", "");
    fixture_put(&f, ETC "a-.service.d/15.conf", "[Service]\nX=prefix\nY=prefix\n");
    fixture_put(&f, ETC "service.d/90.conf", "[Service]\nZ=all\n");
    fixture_put(&f, ETC "a-b.service.d/99.txt", "[Service]\nZ=no\n");
    assert_ok(unit_file_load(&f.ctx, "a-b.service", &u));
    assert_string_equal(u.path, ETC "a-b.service");
    assert_string_equal(unit_file_get(&u, "Service", "X"), "twenty");
    assert_string_equal(unit_file_get(&u, "Service", "Y"), "prefix");
    assert_string_equal(unit_file_get(&u, "Service", "Z"), "all");
    assert_true(u.dropins);
    assert_int_equal(u.faults.n, 0);
}

static void masks_aliases_and_templates(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(unit_file_clear) struct unit_file masked = {0};
    AUTO(unit_file_clear) struct unit_file empty = {0};
    AUTO(unit_file_clear) struct unit_file alias = {0};
    AUTO(unit_file_clear) struct unit_file instance = {0};
    AUTO(unit_file_clear) struct unit_file none = {0};

    fixture_new(&f);
    fixture_put(&f, LIB "m.service", "[Service]\nX=1\n");
    fixture_link(&f, ETC "m.service", "/dev/null");
    fixture_put(&f, ETC "e.service", "%s", "");
    fixture_put(&f, LIB "real.service", "[Service]\nX=1\n");
    fixture_link(&f, ETC "other.service", LIB "real.service");
    fixture_put(&f, ETC "other.service.d/a.conf", "[Service]\nY=2\n");
    fixture_put(&f, LIB "t@.service", "[Service]\nX=1\n");
    fixture_link(&f, ETC "c1.service", "c2.service");
    fixture_link(&f, ETC "c2.service", "c1.service");
    assert_ok(unit_file_load(&f.ctx, "m.service", &masked));
    assert_true(masked.masked);
    assert_ok(unit_file_load(&f.ctx, "e.service", &empty));
    assert_true(empty.masked);
    assert_ok(unit_file_load(&f.ctx, "other.service", &alias));
    assert_string_equal(alias.name, "real.service");
    assert_string_equal(unit_file_get(&alias, "Service", "X"), "1");
    assert_string_equal(unit_file_get(&alias, "Service", "Y"), "2");
    assert_ok(unit_file_load(&f.ctx, "t@brd.service", &instance));
    assert_string_equal(instance.path, LIB "t@.service");
    assert_err(unit_file_load(&f.ctx, "c1.service", &none), ERR_CORRUPT, "alias of itself");
    assert_err(unit_file_load(&f.ctx, "x.service", &none), ERR_NOTFOUND, "x.service");
}

static void enabled_is_a_link(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(strlist_clear) struct strlist by = {0};
    AUTO(strlist_clear) struct strlist names = {0};

    fixture_new(&f);
    fixture_put(&f, ETC "b.service", "[Install]\nWantedBy=multi-user.target\n");
    fixture_put(&f, ETC "a.service", "[Install]\nWantedBy=multi-user.target\n");
    assert_ok(unit_file_wanted_by(&f.ctx, "b.service", &by));
    assert_int_equal(by.n, 0);
    fixture_link(&f, ETC "multi-user.target.wants/b.service", "../b.service");
    fixture_link(&f, LIB "x.target.requires/b.service", "../b.service");
    assert_ok(unit_file_wanted_by(&f.ctx, "b.service", &by));
    assert_int_equal(by.n, 2);
    assert_string_equal(by.items[0], "multi-user.target");
    assert_string_equal(by.items[1], "x.target");
    assert_ok(unit_files_local(&f.ctx, &names));
    assert_int_equal(names.n, 2);
    assert_string_equal(names.items[0], "a.service");
}

static void names_of_mounts(void **state)
{
    static const struct {
        const char *path, *name;
    } cases[] = {
        {"/", "-"},
        {"/srv/solana/ramdisk", "srv-solana-ramdisk"},
        {"/srv//a-b/", "srv-a\\x2db"},
        {"/.x/y.z", "\\x2ex-y.z"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(freep) char *name = unit_path_escape(cases[i].path);

        assert_string_equal(name, cases[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(booleans),
        cmocka_unit_test(the_administrator_wins_and_dropins_are_merged),
        cmocka_unit_test(masks_aliases_and_templates),
        cmocka_unit_test(enabled_is_a_link),
        cmocka_unit_test(names_of_mounts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
