/* fetch/provenance: a note comes back as it was written, and a folder of others is not written to.
 */
#include "fetch/provenance.h"

#include "base/str.h"
#include "io/fsroot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define FULL "snapshot-100-GupLekLKvChSdAVpYZvMdESWrG1UFBr7rgcGPq5exWnR.tar.zst"

struct world {
    char dir[64];
    struct fsroot *root;
    struct ctx ctx;
};

static int setup(void **state)
{
    struct world *w = xcalloc(1, sizeof(*w));

    snprintf(w->dir, sizeof(w->dir), "/tmp/agavectl-test-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    assert_null(fsroot_open(w->dir, &w->root));
    assert_null(fsroot_mkdirs(w->root, "/snapshots", 0755));
    w->ctx = (struct ctx){.root = w->root};
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    static const char *const files[] = {"/snapshots/.agavectl/" FULL ".json",
                                        "/snapshots/.agavectl", "/elsewhere/" FULL ".json"};

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        AUTO(freep) char *path = xasprintf("%s%s", w->dir, files[i]);

        if (unlink(path) < 0)
            (void)rmdir(path);
    }
    AUTO(freep) char *snapshots = xasprintf("%s/snapshots", w->dir);
    AUTO(freep) char *elsewhere = xasprintf("%s/elsewhere", w->dir);
    (void)rmdir(elsewhere);
    assert_int_equal(rmdir(snapshots), 0);
    assert_int_equal(rmdir(w->dir), 0);
    fsroot_close(w->root);
    free(w);
    return 0;
}

static struct provenance example(void)
{
    struct provenance p = {
        .name = xstrdup(FULL),
        .size_b = 327632,
        .at_ms = 1780000000123,
        .verify = xstrdup("structure"),
        .hash = xstrdup("proven"),
        .trust = xstrdup("peers:5"),
    };

    strlist_add(&p.sources, "203.0.113.1:8899");
    strlist_add(&p.sources, "[2001:db8::1]:8899");
    return p;
}

static void a_note_comes_back(void **state)
{
    struct world *w = *state;
    AUTO(provenance_clear) struct provenance p = example(), got = {0};
    AUTO(freep) char *path = xasprintf("%s/snapshots/" STORE_DIR "/" FULL ".json", w->dir);
    struct stat st;

    for (int i = 0; i < 2; i++) /* and over an older one */
        assert_null(provenance_write(&w->ctx, "/snapshots", &p));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_null(provenance_read(&w->ctx, "/snapshots", FULL, &got));
    assert_string_equal(got.name, p.name);
    assert_int_equal(got.size_b, p.size_b);
    assert_int_equal(got.at_ms, p.at_ms);
    assert_int_equal(got.sources.n, 2);
    assert_string_equal(got.sources.items[1], "[2001:db8::1]:8899");
    assert_string_equal(got.verify, "structure");
    assert_string_equal(got.hash, "proven");
    assert_string_equal(got.trust, "peers:5");
    assert_null(provenance_remove(&w->ctx, "/snapshots", FULL));
    assert_null(provenance_remove(&w->ctx, "/snapshots", FULL));
    AUTO(err_freep) struct err *e = provenance_read(&w->ctx, "/snapshots", FULL, &got);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_NOTFOUND);
}

static void expect(struct err *e, enum err_kind kind, const char *text)
{
    AUTO(err_freep) struct err *owned = e;

    assert_non_null(e);
    if (e->kind != kind || !strstr(e->text, text))
        fail_msg("wanted %s '%s', got %s: %s", err_kind_name(kind), text, err_kind_name(e->kind),
                 e->text);
}

static void a_folder_of_others_is_not_written_to(void **state)
{
    struct world *w = *state;
    AUTO(provenance_clear) struct provenance p = example();
    AUTO(freep) char *store = xasprintf("%s/snapshots/" STORE_DIR, w->dir);
    AUTO(freep) char *elsewhere = xasprintf("%s/elsewhere", w->dir);
    AUTO(freep) char *note = xasprintf("%s/" FULL ".json", elsewhere);
    int fd;

    expect(store_dir_open(&w->ctx, "/snapshots", false, &fd), ERR_NOTFOUND, "there is no");
    assert_int_equal(mkdir(elsewhere, 0755), 0);
    assert_int_equal(symlink("../elsewhere", store), 0);
    expect(provenance_write(&w->ctx, "/snapshots", &p), ERR_REFUSED, "is no folder, or a link");
    assert_int_not_equal(access(note, F_OK), 0);
    unlink(store);
    assert_int_equal(mkdir(store, 0755), 0);
    assert_int_equal(chmod(store, 0777), 0);
    expect(provenance_write(&w->ctx, "/snapshots", &p), ERR_REFUSED, "others could plant");
    if (geteuid() == 0) {
        assert_int_equal(chmod(store, 0755), 0);
        assert_int_equal(chown(store, 1000, 1000), 0);
        expect(provenance_write(&w->ctx, "/snapshots", &p), ERR_REFUSED, "belongs to user 1000");
    }
    rmdir(store);
}

static void names_and_notes_that_are_none(void **state)
{
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"", "not JSON"},
        {"[]", "no object"},
        {"{}", "schema_version"},
        {"{\"schema_version\": 2}", "of another version of agavectl (schema 2)"},
        {"{\"schema_version\": 1, \"size_b\": -1, \"at_ms\": 0}", "size_b"},
        {"{\"schema_version\": 1, \"size_b\": 1, \"at_ms\": 0, \"sources\": [1]}", "sources"},
        {"{\"schema_version\": 1, \"size_b\": 1, \"at_ms\": 0, \"trust\": {}}", "trust"},
    };
    struct world *w = *state;
    AUTO(provenance_clear) struct provenance p = {0};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect(provenance_parse(bad[i].text, strlen(bad[i].text), &p), ERR_CORRUPT, bad[i].why);
    expect(provenance_read(&w->ctx, "/snapshots", "../../etc/passwd", &p), ERR_BADINPUT,
           "is not the name of a snapshot archive");
    p.name = xstrdup("../x");
    expect(provenance_write(&w->ctx, "/snapshots", &p), ERR_BADINPUT, "is not the name");
}

/* A note is shown on terminals: it brings no control sequences. */
static void foreign_text_is_harmless(void **state)
{
    static const char text[] = "{\"schema_version\": 1, \"name\": \"\\u001b[31m\", \"size_b\": 1, "
                               "\"at_ms\": 2, \"sources\": [\"a\\nb\"], \"trust\": null}";
    AUTO(provenance_clear) struct provenance p = {0};

    assert_null(provenance_parse(text, strlen(text), &p));
    assert_string_equal(p.name, "?[31m");
    assert_string_equal(p.sources.items[0], "a?b");
    assert_null(p.trust);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_note_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_folder_of_others_is_not_written_to, setup, teardown),
        cmocka_unit_test_setup_teardown(names_and_notes_that_are_none, setup, teardown),
        cmocka_unit_test_setup_teardown(foreign_text_is_harmless, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
