/* fetch/place: names appear whole or not at all, and never over another file. */
#include "fetch/place.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct folder {
    char dir[32];
    struct fsroot *root;
};

static int setup(void **state)
{
    struct folder *f = xcalloc(1, sizeof(*f));

    snprintf(f->dir, sizeof(f->dir), "/tmp/agavectl-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_null(fsroot_open(f->dir, &f->root));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct folder *f = *state;

    (void)err_free(fsroot_unlink(f->root, "/a"));
    (void)err_free(fsroot_unlink(f->root, "/tmp-a"));
    rmdir(f->dir);
    fsroot_close(f->root);
    free(f);
    return 0;
}

static bool there(const struct folder *f, const char *path)
{
    struct stat st;
    AUTO(err_freep) struct err *e = fsroot_stat(f->root, path, &st);

    return !e;
}

static void begin(const struct folder *f, struct place **ret)
{
    uint64_t leftover_b;

    assert_null(place_begin(f->root, "/", "a", ret, &leftover_b));
    assert_null(place_write(*ret, "text", 4));
    assert_true(there(f, "/tmp-a"));
}

static void finished(void **state)
{
    const struct folder *f = *state;
    AUTO(place_freep) struct place *p = NULL;
    AUTO(freep) char *text = NULL;

    begin(f, &p);
    assert_false(there(f, "/a"));
    assert_null(place_has_room(p, 1));
    assert_null(place_finish(p, UINT32_MAX, UINT32_MAX, 0640));
    p = place_free(p);
    assert_null(fsroot_read(f->root, "/a", 10, &text, NULL));
    assert_string_equal(text, "text");
    assert_false(there(f, "/tmp-a"));
}

/* The folder above is another user's, who may put something else there at any time. */
static void what_waits_is_written_into_no_other_folder(void **state)
{
    const struct folder *f = *state;
    AUTO(freep) char *elsewhere = xasprintf("%s/elsewhere", f->dir);
    AUTO(freep) char *own = xasprintf("%s/.agavectl", f->dir);
    struct place *p = NULL;
    uint64_t leftover_b;

    assert_int_equal(mkdir(elsewhere, 0755), 0);
    assert_int_equal(symlink("elsewhere", own), 0);
    AUTO(err_freep) struct err *e = place_begin(f->root, "/.agavectl", "a", &p, &leftover_b);
    assert_non_null(e);
    assert_int_equal(unlink(own), 0);
    assert_int_equal(rename(elsewhere, own), 0);
    assert_int_equal(chmod(own, 0777), 0);
    AUTO(err_freep) struct err *e2 = place_begin(f->root, "/.agavectl", "a", &p, &leftover_b);
    assert_non_null(e2);
    assert_int_equal(e2->kind, ERR_REFUSED);
    assert_int_equal(chmod(own, 0755), 0);
    assert_null(place_begin(f->root, "/.agavectl", "a", &p, &leftover_b));
    place_free(p);
    assert_int_equal(rmdir(own), 0);
}

static void given_up(void **state)
{
    const struct folder *f = *state;
    struct place *p = NULL;

    begin(f, &p);
    place_free(p);
    assert_false(there(f, "/tmp-a"));
    assert_false(there(f, "/a"));
}

/* The final name appears while the file is on its way: the rename must not overwrite it. */
static void overtaken(void **state)
{
    const struct folder *f = *state;
    AUTO(place_freep) struct place *p = NULL;
    AUTO(freep) char *text = NULL;

    begin(f, &p);
    assert_null(fsroot_write_atomic(f->root, "/a", "mine", 4, 0600));
    AUTO(err_freep) struct err *e = place_finish(p, UINT32_MAX, UINT32_MAX, 0644);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_REFUSED);
    p = place_free(p);
    assert_null(fsroot_read(f->root, "/a", 10, &text, NULL));
    assert_string_equal(text, "mine");
    assert_false(there(f, "/tmp-a"));
}

static void no_room(void **state)
{
    const struct folder *f = *state;
    AUTO(place_freep) struct place *p = NULL;

    begin(f, &p);
    AUTO(err_freep) struct err *e = place_has_room(p, UINT64_MAX - 1);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_SYS);
    assert_int_equal(e->sys, ENOSPC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finished, setup, teardown),
        cmocka_unit_test_setup_teardown(what_waits_is_written_into_no_other_folder, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(given_up, setup, teardown),
        cmocka_unit_test_setup_teardown(overtaken, setup, teardown),
        cmocka_unit_test_setup_teardown(no_room, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
