/* fetch/partial and fetch/segment_map: what has arrived is known after every kind of end. */
#include "fetch/partial.h"
#include "fetch/partial_sweep.h"

#include "fetch/segment_map.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "../remove_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define NAME "snapshot-7-AoNd8oJEBQNiREzWyRUXYkwgpteeWNRzDYEY4PYRQ9rM.tar.zst"
#define MAP  "/d/.agavectl/" NAME ".map"
#define TMP  "/d/tmp-" NAME
#define B    SEGMENT_BLOCK_B
#define LAST 1000
#define SIZE (9 * B + LAST)

struct folder {
    char dir[32];
    struct fsroot *root;
    struct ctx ctx;
};

static void boot(const struct folder *f, const char *id)
{
    assert_null(fsroot_mkdirs(f->root, "/proc/sys/kernel/random", 0755));
    assert_null(
        fsroot_write_atomic(f->root, "/proc/sys/kernel/random/boot_id", id, strlen(id), 0644));
}

static int setup(void **state)
{
    struct folder *f = xcalloc(1, sizeof(*f));

    snprintf(f->dir, sizeof(f->dir), "/tmp/agavectl-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_null(fsroot_open(f->dir, &f->root));
    assert_null(fsroot_mkdirs(f->root, "/d", 0755));
    boot(f, "first\n");
    f->ctx = (struct ctx){.root = f->root, .clock = &clock_system};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct folder *f = *state;

    remove_tree(f->dir);
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

static void open_it(struct folder *f, struct partial **ret)
{
    assert_null(partial_open(&f->ctx, "/d", NAME, ret));
}

/* Block i, as its content says; differs: with one wrong byte. */
static enum partial_put put(struct partial *p, uint8_t source, size_t i, bool differs)
{
    static char block[SEGMENT_BLOCK_B];
    enum partial_put ret;
    uint8_t writer;

    memset(block, (int)('a' + i), sizeof(block));
    block[77] = differs ? 'X' : block[77];
    assert_null(partial_put(p, source, i * B, block, i == 9 ? LAST : B, &ret, &writer));
    return ret;
}

static void begin(struct folder *f, struct partial **ret)
{
    open_it(f, ret);
    assert_true(partial_total_b(*ret) == UINT64_MAX);
    assert_null(partial_size(*ret, SIZE, 1));
    assert_int_equal(partial_total_b(*ret), SIZE);
}

/* A disk that fails: the kernel tells it once. */
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
static atomic_bool disk_fails;

int __wrap_fdatasync(int fd)
{
    if (!atomic_exchange(&disk_fails, false))
        return __real_fdatasync(fd);
    errno = EIO;
    return -1;
}

/* What it did not take is not there, neither for a name nor for the next run of this boot. */
static void a_disk_that_fails_once(void **state)
{
    struct folder *f = *state;
    AUTO(partial_freep) struct partial *p = NULL;
    AUTO(err_freep) struct err *first = NULL;
    AUTO(err_freep) struct err *second = NULL;

    begin(f, &p);
    for (size_t i = 0; i < 5; i++)
        put(p, 1, i, false);
    assert_null(partial_sync(p));
    for (size_t i = 5; i < 10; i++)
        put(p, 1, i, false);
    atomic_store(&disk_fails, true);
    first = partial_sync(p);
    assert_true(first && first->kind == ERR_SYS && first->sys == EIO);
    assert_true(partial_whole(p));
    second = partial_finish(p, UINT32_MAX, UINT32_MAX);
    assert_true(second && second->kind == ERR_SYS);
    assert_false(there(f, "/d/" NAME));
    p = partial_free(p);
    open_it(f, &p);
    assert_int_equal(partial_have_b(p), 5 * B);
}

static void in_any_order(void **state)
{
    static const size_t order[] = {9, 0, 1, 5, 3, 2, 4, 8, 7, 6};
    struct folder *f = *state;
    AUTO(partial_freep) struct partial *p = NULL;
    struct stat st;

    begin(f, &p);
    for (size_t i = 0; i < 10; i++) {
        assert_false(partial_whole(p));
        assert_int_equal(put(p, 1, order[i], false), PARTIAL_WRITTEN);
        if (order[i] == 3)
            assert_int_equal(partial_frontier_b(p), 2 * B);
        if (order[i] == 2)
            assert_int_equal(partial_frontier_b(p), 4 * B);
    }
    assert_true(partial_whole(p));
    assert_int_equal(partial_frontier_b(p), SIZE);
    assert_false(there(f, "/d/" NAME));
    assert_null(partial_finish(p, UINT32_MAX, UINT32_MAX));
    p = partial_free(p);
    assert_null(fsroot_stat(f->root, "/d/" NAME, &st));
    assert_int_equal(st.st_size, SIZE);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_false(there(f, TMP));
    assert_false(there(f, "/d/.agavectl"));
}

static void what_is_there_is_compared(void **state)
{
    struct folder *f = *state;
    AUTO(partial_freep) struct partial *p = NULL;
    char byte;

    begin(f, &p);
    assert_int_equal(put(p, 1, 4, false), PARTIAL_WRITTEN);
    assert_int_equal(put(p, 2, 4, false), PARTIAL_SAME);
    assert_int_equal(put(p, 2, 4, true), PARTIAL_DIFFERS);
    assert_null(partial_read(p, 4 * B + 77, &byte, 1));
    assert_int_equal(byte, 'e');
}

static void pieces_that_are_no_blocks(void **state)
{
    struct folder *f = *state;
    AUTO(partial_freep) struct partial *p = NULL;
    char data[10] = "";
    enum partial_put ret;
    uint8_t writer;

    begin(f, &p);
    AUTO(err_freep) struct err *a = partial_put(p, 1, 0, data, 10, &ret, &writer);
    AUTO(err_freep) struct err *b = partial_put(p, 1, 10 * B, data, 10, &ret, &writer);
    AUTO(err_freep) struct err *c = partial_put(p, 0, 9 * B, data, LAST, &ret, &writer);
    AUTO(err_freep) struct err *d = partial_put(p, 1, 1, data, 10, &ret, &writer);
    assert_true(a && b && c && d);
    assert_int_equal(partial_have_b(p), 0);
}

static void a_source_is_forgotten(void **state)
{
    struct folder *f = *state;
    AUTO(partial_freep) struct partial *p = NULL;

    begin(f, &p);
    put(p, 1, 0, false);
    put(p, 2, 1, true);
    put(p, 1, 2, false);
    assert_int_equal(partial_frontier_b(p), 3 * B);
    assert_null(partial_forget(p, 2, NULL));
    assert_int_equal(partial_frontier_b(p), B);
    assert_int_equal(partial_have_b(p), 2 * B);
    assert_int_equal(put(p, 1, 1, false), PARTIAL_WRITTEN);
    assert_null(partial_forget(p, SEGMENT_MISSING, NULL));
    assert_int_equal(partial_have_b(p), 0);
}

/* Runs work in a child that ends by SIGKILL. */
static void killed(struct folder *f, void (*work)(struct folder *f))
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        work(f);
        kill(getpid(), SIGKILL);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void first_half(struct folder *f)
{
    struct partial *p;

    begin(f, &p);
    for (size_t i = 0; i < 5; i++)
        put(p, 3, i, false);
    if (partial_sync(p))
        _exit(1);
    put(p, 3, 7, false); /* written, not made durable */
    if (partial_note_proven(p, 4711))
        _exit(1);
}

static void after_a_kill_all_counts(void **state)
{
    struct folder *f = *state;
    AUTO(partial_freep) struct partial *p = NULL;
    size_t n;

    killed(f, first_half);
    assert_true(there(f, TMP));
    open_it(f, &p);
    assert_int_equal(partial_total_b(p), SIZE);
    assert_int_equal(partial_resumed_b(p), 6 * B);
    assert_true(partial_is_proven(p, 4711));
    assert_false(partial_is_proven(p, 0) || partial_is_proven(p, 4712));
    assert_int_equal(partial_blocks(p, &n)[7], SEGMENT_EARLIER);
    assert_null(partial_size(p, SIZE, 1));
    assert_int_equal(partial_have_b(p), 6 * B);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(put(p, 1, i, false), i < 5 || i == 7 ? PARTIAL_SAME : PARTIAL_WRITTEN);
    assert_null(partial_finish(p, UINT32_MAX, UINT32_MAX));
}

static void after_another_boot_only_what_was_durable(void **state)
{
    struct folder *f = *state;
    AUTO(partial_freep) struct partial *p = NULL;

    killed(f, first_half);
    boot(f, "second\n");
    open_it(f, &p);
    assert_int_equal(partial_resumed_b(p), 5 * B);
    p = partial_free(p);
    /* The map is of this boot now. */
    open_it(f, &p);
    assert_int_equal(partial_resumed_b(p), 5 * B);
}

static void forgotten_is_not_durable_either(void **state)
{
    struct folder *f = *state;
    AUTO(partial_freep) struct partial *p = NULL;

    begin(f, &p);
    put(p, 1, 0, false);
    put(p, 2, 1, false);
    assert_null(partial_sync(p));
    assert_null(partial_forget(p, 2, NULL));
    p = partial_free(p);
    boot(f, "second\n");
    open_it(f, &p);
    assert_int_equal(partial_resumed_b(p), B);
}

static void an_interrupted_one_goes_on(void **state)
{
    struct folder *f = *state;
    AUTO(partial_freep) struct partial *p = NULL;

    begin(f, &p);
    put(p, 1, 2, false);
    p = partial_free(p);
    assert_true(there(f, TMP) && there(f, MAP));
    open_it(f, &p);
    assert_int_equal(partial_have_b(p), B);
    assert_null(partial_size(p, 3 * B, 1)); /* another length: another file */
    assert_int_equal(partial_have_b(p), 0);
    assert_int_equal(partial_resumed_b(p), 0);
    p = partial_free(p);
    assert_false(there(f, TMP) || there(f, MAP)); /* nothing is kept of nothing */
}

/* Whatever is wrong with one of the two files: begun anew, never mixed. */
static void a_damaged_map_is_nothing(void **state)
{
    struct folder *f = *state;

    for (int i = 0; i < 3; i++) {
        AUTO(partial_freep) struct partial *p = NULL;
        AUTO(freep) char *map = NULL;
        size_t n;

        begin(f, &p);
        put(p, 1, 2, false);
        p = partial_free(p);
        assert_null(fsroot_read(f->root, MAP, 1 << 20, &map, &n));
        map[17] = (char)(map[17] ^ (i == 0));
        assert_null(i == 2 ? fsroot_unlink(f->root, MAP)
                           : fsroot_write_atomic(f->root, MAP, map, i == 1 ? n - 1 : n, 0600));
        open_it(f, &p);
        assert_int_equal(partial_have_b(p), 0);
        assert_true(partial_total_b(p) == UINT64_MAX);
    }
}

static void another_file_at_the_name(void **state)
{
    struct folder *f = *state;
    AUTO(partial_freep) struct partial *p = NULL;
    AUTO(freep) char *data = xcalloc(1, SIZE);

    begin(f, &p);
    put(p, 1, 2, false);
    p = partial_free(p);
    assert_null(fsroot_write_atomic(f->root, TMP, data, SIZE, 0600)); /* another inode */
    open_it(f, &p);
    assert_int_equal(partial_have_b(p), 0);
}

static void one_at_a_time(void **state)
{
    struct folder *f = *state;
    AUTO(partial_freep) struct partial *p = NULL;
    struct partial *q = NULL;
    struct strlist none = {0};
    uint64_t freed_b;

    begin(f, &p);
    put(p, 1, 2, false);
    AUTO(err_freep) struct err *e = partial_open(&f->ctx, "/d", NAME, &q);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_REFUSED);
    assert_non_null(strstr(e->text, "another agavectl is getting it"));
    assert_null(partial_sweep(&f->ctx, "/d", &none, &freed_b));
    assert_int_equal(freed_b, 0);
    assert_true(there(f, TMP) && there(f, MAP));
}

static void what_nobody_wants_is_swept(void **state)
{
    struct folder *f = *state;
    struct partial *p;
    AUTO(strlist_clear) struct strlist keep = {0};
    struct strlist none = {0};
    uint64_t freed_b;

    begin(f, &p);
    put(p, 1, 2, false);
    partial_free(p);
    assert_null(fsroot_write_atomic(f->root, "/d/tmp-notes", "mine", 4, 0600));
    strlist_add(&keep, NAME);
    assert_null(partial_sweep(&f->ctx, "/d", &keep, &freed_b));
    assert_true(there(f, TMP) && there(f, MAP));
    assert_null(partial_sweep(&f->ctx, "/d", &none, &freed_b));
    assert_true(freed_b >= B);
    assert_false(there(f, TMP) || there(f, MAP));
    assert_true(there(f, "/d/tmp-notes"));
    assert_null(partial_sweep(&f->ctx, "/none", &none, &freed_b));
}

static void planted_links(void **state)
{
    struct folder *f = *state;
    AUTO(freep) char *link = xasprintf("%s" TMP, f->dir);
    AUTO(freep) char *side = xasprintf("%s/d/.agavectl", f->dir);
    struct partial *p = NULL;

    assert_int_equal(symlink("/etc/passwd", link), 0);
    AUTO(err_freep) struct err *a = partial_open(&f->ctx, "/d", NAME, &p);
    assert_non_null(a);
    assert_int_equal(a->kind, ERR_REFUSED);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(symlink("/tmp", side), 0);
    AUTO(err_freep) struct err *b = partial_open(&f->ctx, "/d", NAME, &p);
    assert_non_null(b);
    assert_int_equal(b->kind, ERR_REFUSED);
}

static void lengths_that_are_none(void **state)
{
    struct folder *f = *state;
    AUTO(partial_freep) struct partial *p = NULL;

    open_it(f, &p);
    AUTO(err_freep) struct err *a = partial_size(p, 0, 1);
    AUTO(err_freep) struct err *b = partial_size(p, (uint64_t)1 << 63, 1);
    AUTO(err_freep) struct err *c = partial_size(p, (uint64_t)1 << 43, 1);
    AUTO(err_freep) struct err *d = partial_size(p, SIZE, (uint64_t)1 << 60);
    assert_int_equal(a->kind, ERR_REMOTE);
    assert_int_equal(b->kind, ERR_REMOTE);
    assert_int_equal(c->sys, ENOSPC);
    assert_int_equal(d->sys, ENOSPC);
    assert_null(partial_size(p, SIZE, 1));
    AUTO(err_freep) struct err *e = partial_has_room(p, (uint64_t)1 << 60);
    assert_int_equal(e->sys, ENOSPC);
}

/* The rename was made, or not: a kill around it costs nothing either way. */
static void whole_but_not_named(struct folder *f)
{
    struct partial *p;

    begin(f, &p);
    for (size_t i = 0; i < 10; i++)
        put(p, 1, i, false);
    setenv("AGAVECTL_FAULT", "place-rename", 1);
    (void)err_free(partial_finish(p, UINT32_MAX, UINT32_MAX));
    _exit(0); /* without fault points the file has its name now */
}

static void killed_before_the_last_rename(void **state)
{
#ifdef AGAVECTL_FAULTS
    struct folder *f = *state;
    AUTO(partial_freep) struct partial *p = NULL;

    killed(f, whole_but_not_named);
    open_it(f, &p);
    assert_true(partial_whole(p));
    assert_null(partial_finish(p, UINT32_MAX, UINT32_MAX));
    assert_true(there(f, "/d/" NAME));
#else
    (void)whole_but_not_named;
#endif
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_disk_that_fails_once),
        CASE(in_any_order),
        CASE(what_is_there_is_compared),
        CASE(pieces_that_are_no_blocks),
        CASE(a_source_is_forgotten),
        CASE(after_a_kill_all_counts),
        CASE(after_another_boot_only_what_was_durable),
        CASE(forgotten_is_not_durable_either),
        CASE(an_interrupted_one_goes_on),
        CASE(a_damaged_map_is_nothing),
        CASE(another_file_at_the_name),
        CASE(one_at_a_time),
        CASE(what_nobody_wants_is_swept),
        CASE(planted_links),
        CASE(lengths_that_are_none),
        CASE(killed_before_the_last_rename),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
