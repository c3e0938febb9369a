/* flow/journal: what is read back, and what becomes of torn, damaged, foreign and newer files, of a
 * full disk and of folders that others may write in. */
#include "flow/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "fixture.h"
#include "io/fsroot.h"

#define DIR "/op"
#define ID  "20261123T044422Z-up"

static struct json *object(const char *key, const char *value)
{
    struct json *j = json_new_object();

    json_put(j, key, json_new_str(value));
    return j;
}

static struct err *append(struct journal *j, enum rec kind, const char *value)
{
    AUTO(json_freep) struct json *data = object("v", value);

    return journal_append(j, kind, data);
}

static struct err *begin(struct fixture *f, const char *id, struct journal **ret)
{
    AUTO(json_freep) struct json *data = object("v", "begin");

    return journal_new(&f->ctx, DIR, id, data, ret);
}

/* Three records; the file is closed. */
static void three(struct fixture *f)
{
    AUTO(journal_closep) struct journal *j = NULL;

    assert_ok(begin(f, ID, &j));
    assert_ok(append(j, REC_ENTER, "enter"));
    assert_ok(append(j, REC_DONE, "done"));
}

static char *read_all(struct fixture *f, size_t *ret_n)
{
    char *data;

    assert_ok(fsroot_read(f->ctx.root, DIR "/" ID ".j", 2 << 20, &data, ret_n));
    return data;
}

static void write_all(struct fixture *f, const void *data, size_t n)
{
    assert_ok(fsroot_write_atomic(f->ctx.root, DIR "/" ID ".j", data, n, 0600));
}

static void is(const struct journal_record *r, enum rec kind, const char *value)
{
    const char *got;

    assert_int_equal(r->kind, kind);
    assert_ok(json_as_str(json_get(r->data, "v"), &got));
    assert_string_equal(got, value);
}

static void what_was_written_is_read(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(journal_records_clear) struct journal_records r = {0};
    AUTO(strlist_clear) struct strlist ids = {0};
    bool busy = true;
    struct stat st;

    fixture_new(&f);
    three(&f);
    assert_ok(journal_read(&f.ctx, DIR, ID, &r, &busy));
    assert_false(busy);
    assert_int_equal(r.n, 3);
    is(&r.items[0], REC_BEGIN, "begin");
    is(&r.items[2], REC_DONE, "done");
    assert_false(r.torn);
    assert_ok(journal_list(&f.ctx, DIR, &ids));
    assert_int_equal(ids.n, 1);
    assert_string_equal(ids.items[0], ID);
    assert_ok(fsroot_stat(f.ctx.root, DIR "/" ID ".j", &st));
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, JOURNAL_ROOM_B);
    assert_ok(fsroot_stat(f.ctx.root, DIR, &st));
    assert_int_equal(st.st_mode & 07777, 0700);
}

static void an_open_one_is_busy(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(journal_closep) struct journal *j = NULL, *second = NULL;
    AUTO(journal_records_clear) struct journal_records r = {0};
    AUTO(journal_records_clear) struct journal_records r2 = {0};
    bool busy = false;

    fixture_new(&f);
    assert_ok(begin(&f, ID, &j));
    assert_ok(journal_read(&f.ctx, DIR, ID, &r, &busy));
    assert_true(busy);
    assert_err(journal_open(&f.ctx, DIR, ID, &second, &r2), ERR_REFUSED, "under way");
    struct err *e = begin(&f, ID, &second);
    assert_non_null(e);
    assert_int_equal(e->sys, EEXIST);
    err_free(e);
}

static void an_end_gives_the_room_back(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(journal_closep) struct journal *j = NULL;
    AUTO(journal_records_clear) struct journal_records r = {0};
    struct stat st;

    fixture_new(&f);
    assert_ok(begin(&f, ID, &j));
    assert_ok(append(j, REC_END, "end"));
    assert_ok(fsroot_stat(f.ctx.root, DIR "/" ID ".j", &st));
    assert_true(st.st_size < 200);
    assert_ok(journal_read(&f.ctx, DIR, ID, &r, NULL));
    assert_int_equal(r.n, 2);
}

/* Cut at every byte: whole records before the cut are there, the torn one is not, and what is
 * written next stands in its place. */
static void a_torn_tail_is_cut(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(freep) char *data = NULL;
    AUTO(journal_records_clear) struct journal_records whole = {0};
    size_t n = 0;

    fixture_new(&f);
    three(&f);
    data = read_all(&f, &n);
    assert_ok(journal_parse(data, n, "test", &whole));
    for (size_t cut = 0; cut <= whole.end_b; cut++)
        for (int zeros = 0; zeros < 2; zeros++) {
            AUTO(freep) char *half = xcalloc(1, n);
            AUTO(journal_records_clear) struct journal_records r = {0};
            AUTO(journal_records_clear) struct journal_records again = {0};
            AUTO(journal_closep) struct journal *j = NULL;

            memcpy(half, data, cut);
            write_all(&f, half, zeros ? n : cut);
            struct err *e = journal_open(&f.ctx, DIR, ID, &j, &r);
            if (e) {
                assert_err(e, ERR_NOTFOUND, "never began");
                continue;
            }
            assert_true(r.n >= 1 && r.n <= 3);
            assert_true(r.end_b <= cut && (r.n == 3) == (cut == whole.end_b));
            assert_ok(append(j, REC_FAIL, "next"));
            assert_ok(journal_read(&f.ctx, DIR, ID, &again, NULL));
            assert_false(again.torn);
            assert_int_equal(again.n, r.n + 1);
            is(&again.items[r.n], REC_FAIL, "next");
        }
}

/* One flipped bit: in the last record it is as good as torn, before it it is damage. */
static void damage_in_the_middle_is_named(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(freep) char *data = NULL;
    AUTO(journal_records_clear) struct journal_records whole = {0};
    size_t n = 0;

    fixture_new(&f);
    three(&f);
    data = read_all(&f, &n);
    assert_ok(journal_parse(data, n, "test", &whole));
    for (size_t at = 16; at < whole.end_b; at++) {
        AUTO(journal_records_clear) struct journal_records r = {0};

        data[at] ^= 4;
        struct err *e = journal_parse(data, n, "test", &r);
        data[at] ^= 4;
        if (e)
            assert_err(e, ERR_CORRUPT, "damaged in the middle");
        else
            assert_true(r.n == 2 && r.torn);
    }
}

static void foreign_and_newer_files_are_refused(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(freep) char *data = NULL;
    AUTO(journal_records_clear) struct journal_records r = {0};
    AUTO(journal_closep) struct journal *j = NULL;
    size_t n = 0;

    fixture_new(&f);
    three(&f);
    data = read_all(&f, &n);
    data[8] = 2;
    write_all(&f, data, n);
    assert_err(journal_open(&f.ctx, DIR, ID, &j, &r), ERR_REFUSED, "is a journal of version 2");
    data[0] = 'x';
    write_all(&f, data, n);
    assert_err(journal_read(&f.ctx, DIR, ID, &r, NULL), ERR_CORRUPT, "is no journal of agavectl");
    write_all(&f, "#!/bin/sh\n", 10);
    assert_err(journal_read(&f.ctx, DIR, ID, &r, NULL), ERR_CORRUPT, "is no journal of agavectl");
    AUTO(freep) char *large = xcalloc(1, JOURNAL_MAX_B + 1);
    write_all(&f, large, JOURNAL_MAX_B + 1);
    assert_err(journal_read(&f.ctx, DIR, ID, &r, NULL), ERR_CORRUPT, "is no journal of agavectl");
    write_all(&f, large, 4096); /* cut off before its header */
    assert_ok(journal_read(&f.ctx, DIR, ID, &r, NULL));
    assert_int_equal(r.n, 0);
    assert_ok(journal_put_aside(&f.ctx, DIR, ID));
    assert_err(journal_read(&f.ctx, DIR, ID, &r, NULL), ERR_NOTFOUND, "no operation");
}

static void links_and_names_lead_nowhere(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(journal_closep) struct journal *j = NULL;
    AUTO(journal_records_clear) struct journal_records r = {0};

    fixture_new(&f);
    three(&f);
    fixture_link(&f, DIR "/linked.j", ID ".j");
    struct err *e = journal_open(&f.ctx, DIR, "linked", &j, &r);
    assert_non_null(e);
    assert_int_equal(e->sys, ELOOP);
    err_free(e);
    assert_err(journal_read(&f.ctx, DIR, "../op/" ID, &r, NULL), ERR_BADINPUT, "no operation");
    assert_err(journal_read(&f.ctx, DIR, "", &r, NULL), ERR_BADINPUT, "no operation");
    assert_err(begin(&f, "a/b", &j), ERR_BADINPUT, "no operation");
}

static void a_folder_of_others_is_refused(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(journal_closep) struct journal *j = NULL;

    fixture_new(&f);
    AUTO(freep) char *path = fsroot_path(f.ctx.root, DIR);
    fixture_dir(&f, DIR);
    assert_int_equal(chmod(path, 0770), 0);
    assert_err(begin(&f, ID, &j), ERR_REFUSED, "only the user that agavectl runs as may write");
    assert_int_equal(chmod(path, 0755), 0);
    assert_ok(begin(&f, ID, &j));
}

static void it_grows_and_has_an_end(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(journal_closep) struct journal *j = NULL;
    AUTO(freep) char *text = xcalloc(1, 30001);
    AUTO(journal_records_clear) struct journal_records r = {0};
    struct err *e = NULL;
    int n = 0;

    fixture_new(&f);
    memset(text, 'x', 30000);
    assert_ok(begin(&f, ID, &j));
    while (!e && n < 100) {
        e = append(j, REC_FAIL, text);
        n += !e;
    }
    assert_err(e, ERR_REFUSED, "'agavectl op abandon'");
    assert_true(n > 30);
    assert_ok(append(j, REC_SUSPEND, "stop")); /* always has its room */
    assert_ok(append(j, REC_END, "end"));
    assert_ok(journal_read(&f.ctx, DIR, ID, &r, NULL));
    assert_int_equal(r.n, (size_t)n + 3);
}

static void old_ones_are_removed(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(strlist_clear) struct strlist ids = {0};

    fixture_new(&f);
    for (int i = 0; i < 7; i++) {
        AUTO(journal_closep) struct journal *j = NULL;
        AUTO(freep) char *id = xasprintf("2026112%dT000000Z-up", i);

        assert_ok(begin(&f, id, &j));
        if (i != 1) /* unfinished: it stays */
            assert_ok(append(j, REC_END, "end"));
    }
    fixture_put(&f, DIR "/20261129T000000Z-up.j", "%s", "");
    fixture_put(&f, DIR "/notes.txt", "%s", "mine");
    assert_ok(journal_prune(&f.ctx, DIR, 3));
    assert_ok(fsroot_list(f.ctx.root, DIR, &ids));
    assert_int_equal(ids.n, 5);
    assert_true(strlist_has(&ids, "20261121T000000Z-up.j"));
    assert_true(strlist_has(&ids, "20261124T000000Z-up.j"));
    assert_true(strlist_has(&ids, "20261126T000000Z-up.j"));
    assert_true(strlist_has(&ids, "notes.txt"));
}

/* A disk of its own, in memory, in a namespace of its own; false: not without root. The namespace
 * comes before the fixture: a descriptor from before does not see what is mounted in it. */
static bool own_disk(struct fixture *f)
{
    bool root = unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    int sys = errno;

    fixture_new(f);
    fixture_dir(f, DIR);
    AUTO(freep) char *at = fsroot_path(f->ctx.root, DIR);
    if (!root || mount("tmpfs", at, "tmpfs", 0, "size=1m,mode=0700") < 0) {
        print_message("# not real: mounts: %s\n", strerror(root ? errno : sys));
        return false;
    }
    print_message("# real: mounts: a full and a read-only tmpfs\n");
    return true;
}

static void a_full_disk_stops_no_record(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(journal_closep) struct journal *j = NULL, *other = NULL;
    AUTO(journal_records_clear) struct journal_records r = {0};
    AUTO(journal_records_clear) struct journal_records again = {0};

    if (!own_disk(&f))
        return;
    AUTO(freep) char *at = fsroot_path(f.ctx.root, DIR);
    assert_ok(begin(&f, ID, &j));
    fill_disk(at);
    struct err *e = begin(&f, "another", &other);
    assert_non_null(e);
    assert_int_equal(e->sys, ENOSPC);
    err_free(e);
    assert_ok(append(j, REC_ENTER, "enter"));
    assert_ok(append(j, REC_DONE, "done"));
    size_t n = 3;
    for (e = NULL; !e && n < 10000; n += !e) /* until its room is used up */
        e = append(j, REC_FAIL, "and again");
    assert_non_null(e);
    assert_int_equal(e->sys, ENOSPC);
    err_free(e);
    j = journal_close(j);
    assert_ok(journal_open(&f.ctx, DIR, ID, &j, &r));
    assert_ok(append(j, REC_SUSPEND, "stop")); /* has room of its own */
    assert_ok(append(j, REC_END, "end"));
    assert_ok(journal_read(&f.ctx, DIR, ID, &again, NULL));
    assert_int_equal(again.n, n + 2);
    j = journal_close(j);
    /* Read-only: it can be read, and an attempt to write says why not. */
    assert_int_equal(mount(NULL, at, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    journal_records_clear(&again);
    assert_ok(journal_read(&f.ctx, DIR, ID, &again, NULL));
    e = begin(&f, "another", &other);
    assert_non_null(e);
    assert_int_equal(e->sys, EROFS);
    err_free(e);
    assert_int_equal(umount2(at, MNT_DETACH), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(an_open_one_is_busy),
        cmocka_unit_test(an_end_gives_the_room_back),
        cmocka_unit_test(a_torn_tail_is_cut),
        cmocka_unit_test(damage_in_the_middle_is_named),
        cmocka_unit_test(foreign_and_newer_files_are_refused),
        cmocka_unit_test(links_and_names_lead_nowhere),
        cmocka_unit_test(a_folder_of_others_is_refused),
        cmocka_unit_test(it_grows_and_has_an_end),
        cmocka_unit_test(old_ones_are_removed),
        cmocka_unit_test(a_full_disk_stops_no_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
