/* base/yaml: the tree, its lines, and what is refused. */
#include "base/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void a_tree_with_lines(void **state)
{
    static const char text[] = "a: 1\nb:\n  - x\n  - {c: 'null'}\n";
    AUTO(yaml_tree_freep) struct yaml_node *root = NULL;

    assert_null(yaml_parse(text, strlen(text), "f", &root));
    const struct yaml_node *b = yaml_get(root, "b");
    assert_int_equal(b->kind, YAML_LIST);
    assert_int_equal(b->key_line, 2);
    assert_int_equal(b->items[1]->line, 4);
    assert_true(yaml_get(b->items[1], "c")->quoted);
    assert_false(yaml_get(root, "a")->quoted);
    assert_null(yaml_get(root, "z"));
}

static void empty_is_an_empty_map(void **state)
{
    AUTO(yaml_tree_freep) struct yaml_node *root = NULL;

    assert_null(yaml_parse("# nothing\n", 10, "f", &root));
    assert_int_equal(root->kind, YAML_MAP);
    assert_int_equal(root->n, 0);
}

static void refused(void **state)
{
    static const char *const bad[] = {
        "a: [",       "a: 1\na: 2", "a: &x 1\nb: *x", "a: !!str 1", "a: 1\n---\nb: 2",
        "? [k]\n: 1", "\ta: 1",     "a: \"\\0\"",     "a: \xff",    "{a: 1}}",
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct yaml_node *root = NULL;
        AUTO(err_freep) struct err *e = yaml_parse(bad[i], strlen(bad[i]), "f", &root);

        assert_null(root);
        assert_non_null(e);
        assert_int_equal(e->kind, ERR_BADINPUT);
        assert_non_null(strstr(e->text, "f:"));
    }
}

static void depth_is_bounded(void **state)
{
    char deep[201] = {0};
    struct yaml_node *root = NULL;

    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    AUTO(err_freep) struct err *e = yaml_parse(deep, 200, "f", &root);
    assert_non_null(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_with_lines),
        cmocka_unit_test(empty_is_an_empty_map),
        cmocka_unit_test(refused),
        cmocka_unit_test(depth_is_bounded),
    };

    return cmocka_run_group_tests_name("yaml", tests, NULL, NULL);
}
