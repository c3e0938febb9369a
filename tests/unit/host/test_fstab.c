/* host/fstab: fields, escapes, faults with their lines, options and links. */
#include "host/fstab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "fixture.h"

static void parse(const char *text, struct fstab *f)
{
    fstab_parse(text, strlen(text), f);
}

static void fields_and_escapes(void **state)
{
    AUTO(fstab_clear) struct fstab f = {0};
    size_t n = 0;

    parse("# a comment\n"
          "\t\n"
          "UUID=1-2  /\text4\tdefaults  0 1\n"
          "/dev/ram0 /srv/a\\040b/ xfs noatime,nofail,x-systemd.requires=format.service\n"
          "LABEL=a/b\\040c none swap sw 0 0 # swap\n"
          "/dev/ram1 /x xfs\n"
          "/dev/ram2 /x xfs ro 0 0",
          &f);
    assert_int_equal(f.n_faults, 0);
    assert_int_equal(f.n, 5);
    assert_int_equal(f.items[0].line, 3);
    assert_string_equal(f.items[1].target, "/srv/a b");
    assert_string_equal(f.items[2].type, "swap");
    assert_string_equal(f.items[3].options, "defaults");
    assert_ptr_equal(fstab_at(&f, "/x", &n), &f.items[3]);
    assert_int_equal(n, 2);
    assert_null(fstab_at(&f, "/y", &n));
    assert_int_equal(n, 0);
}

static void options_are_whole_words(void **state)
{
    struct fstab_entry e = {.options = (char[]){"noauto,rbind,a=1=2,x=,x=3,a=4"}};
    AUTO(freep) char *value = NULL;
    AUTO(freep) char *empty = NULL;
    AUTO(strlist_clear) struct strlist all = {0};

    assert_false(fstab_option(&e, "auto", NULL));
    assert_false(fstab_option(&e, "bind", NULL));
    assert_false(fstab_option(&e, "rbin", NULL));
    assert_true(fstab_option(&e, "rbind", &value));
    assert_null(value);
    assert_true(fstab_option(&e, "a", &value));
    assert_string_equal(value, "1=2");
    assert_true(fstab_option(&e, "x", &empty));
    assert_string_equal(empty, "");
    fstab_option_all(&e, "a", &all);
    assert_int_equal(all.n, 2);
    assert_string_equal(all.items[1], "4");
}

static void faults_have_their_lines(void **state)
{
    static const char *const parts[] = {
        "fields device", "more than six", "backslash", "numbers",
        "absolute path", "zero byte",     "longer",
    };
    AUTO(fstab_clear) struct fstab f = {0};
    AUTO(strbuf_clear) struct strbuf b = {0};

    strbuf_puts(&b, "/dev/a /a\n"
                    "/dev/a /srv/my disk xfs defaults 0 0\n"
                    "/dev/a /a\\b xfs defaults 0 0\n"
                    "/dev/a /a xfs defaults 0 yes\n"
                    "/dev/a a xfs defaults 0 0\n"
                    "/dev/a ");
    strbuf_add(&b, "\0", 1);
    strbuf_puts(&b, " xfs\n/dev/a /");
    for (int i = 0; i < 70000; i++)
        strbuf_puts(&b, "x");
    strbuf_puts(&b, " xfs\n/dev/good /good xfs\n");
    fstab_parse(b.data, b.len, &f);
    assert_int_equal(f.n_faults, ARRAY_LEN(parts));
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        assert_int_equal(f.faults[i].line, i + 1);
        assert_non_null(strstr(f.faults[i].text, parts[i]));
    }
    assert_int_equal(f.n, 1);
    assert_int_equal(f.items[0].line, 8);
}

static void tags_become_links(void **state)
{
    static const struct {
        const char *spec, *link;
    } cases[] = {
        {"UUID=AB-cd", "/dev/disk/by-uuid/AB-cd"},
        {"UUID=\"AB\"", "/dev/disk/by-uuid/AB"},
        {"LABEL=my disk/1", "/dev/disk/by-label/my\\x20disk\\x2f1"},
        {"PARTUUID=AB-1", "/dev/disk/by-partuuid/ab-1"},
        {"PARTLABEL=x", "/dev/disk/by-partlabel/x"},
        {"/dev/zvol/tank/solana", "/dev/zvol/tank/solana"},
        {"tank/srv", "tank/srv"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(freep) char *spec = xstrdup(cases[i].spec);
        struct fstab_entry e = {.spec = spec};
        AUTO(freep) char *link = fstab_device(&e);

        assert_string_equal(link, cases[i].link);
    }
}

static void a_missing_file_is_said(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(fstab_clear) struct fstab t = {0};

    fixture_new(&f);
    assert_err(fstab_read(&f.ctx, &t), ERR_NOTFOUND, "fstab");
    fixture_put(&f, "/etc/fstab", "/dev/a /a xfs\n");
    assert_ok(fstab_read(&f.ctx, &t));
    assert_int_equal(t.n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_and_escapes),      cmocka_unit_test(options_are_whole_words),
        cmocka_unit_test(faults_have_their_lines), cmocka_unit_test(tags_become_links),
        cmocka_unit_test(a_missing_file_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
