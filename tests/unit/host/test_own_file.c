/* host/own_file and host/own_block: every state of a file and of a block, what is not ours, and
 * that the bytes of others come back. */
#include "host/own_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "fixture.h"
#include "host/own_block.h"
#include "io/fsroot.h"

#define FILE_PATH "/etc/sysctl.d/95-agavectl.conf"
#define FSTAB     "/etc/fstab"
#define TEXT      "a = 1\nb = 2\n"
#define BLOCK     OWN_BLOCK_BEGIN "\n" TEXT OWN_BLOCK_END

static void put(struct fixture *f, const char *path, const void *data, size_t n)
{
    fixture_dir(f, "/etc/sysctl.d");
    assert_ok(fsroot_write_atomic(f->ctx.root, path, data, n, 0644));
}

static void file_is(struct fixture *f, const char *text, enum own_state want, const char *part)
{
    AUTO(freep) char *why = NULL;
    enum own_state got;

    assert_ok(own_file_look(&f->ctx, FILE_PATH, text, &got, &why));
    assert_int_equal(got, want);
    assert_int_equal(why != NULL, part != NULL);
    if (part && !strstr(why, part))
        fail_msg("'%s' is not in '%s'", part, why);
}

static void block_is(struct fixture *f, const char *text, enum own_state want, const char *part)
{
    AUTO(freep) char *why = NULL;
    enum own_state got;

    assert_ok(own_block_look(&f->ctx, FSTAB, text, &got, &why));
    assert_int_equal(got, want);
    assert_int_equal(why != NULL, part != NULL);
    if (part && !strstr(why, part))
        fail_msg("'%s' is not in '%s'", part, why);
}

static void content_is(struct fixture *f, const char *path, const void *want, size_t n)
{
    AUTO(freep) char *got = NULL;
    size_t len;

    assert_ok(fsroot_read(f->ctx.root, path, 1 << 21, &got, &len));
    assert_int_equal(len, n);
    assert_memory_equal(got, want, n);
}

static struct stat stat_of(struct fixture *f, const char *path)
{
    AUTO(freep) char *full = fsroot_path(f->ctx.root, path);
    struct stat st;

    assert_int_equal(lstat(full, &st), 0);
    return st;
}

static void set_mode(struct fixture *f, const char *path, mode_t mode)
{
    AUTO(freep) char *full = fsroot_path(f->ctx.root, path);

    assert_int_equal(chmod(full, mode), 0);
}

static void a_file_from_nothing_and_back(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(freep) char *folders = NULL;
    AUTO(freep) char *none = NULL;

    fixture_new(&f);
    fixture_dir(&f, "/etc");
    file_is(&f, TEXT, OWN_ABSENT, NULL);
    assert_ok(
        own_file_new_folders(&f.ctx, "/etc/systemd/system/x.service.d/50-agavectl.conf", &folders));
    assert_string_equal(folders, "/etc/systemd/system/x.service.d\n/etc/systemd/system\n"
                                 "/etc/systemd\n");
    assert_ok(own_file_write(&f.ctx, FILE_PATH, TEXT));
    content_is(&f, FILE_PATH, OWN_FILE_MARK "\n" TEXT, strlen(OWN_FILE_MARK "\n" TEXT));
    assert_int_equal(stat_of(&f, FILE_PATH).st_mode, S_IFREG | 0644);
    assert_int_equal(stat_of(&f, "/etc/sysctl.d").st_mode, S_IFDIR | 0755);
    assert_ok(own_file_new_folders(&f.ctx, FILE_PATH, &none));
    assert_null(none);
    file_is(&f, TEXT, OWN_SAME, NULL);
    file_is(&f, "a = 1\n", OWN_OTHER, NULL);
    file_is(&f, NULL, OWN_OTHER, NULL);
    assert_ok(own_file_remove(&f.ctx, FILE_PATH, "/etc/sysctl.d\n"));
    assert_false(fixture_has(&f, "/etc/sysctl.d"));
    assert_true(fixture_has(&f, "/etc"));
    assert_ok(own_file_remove(&f.ctx, FILE_PATH, "/etc/sysctl.d\n")); /* again, after a crash */
    assert_err(own_file_remove(&f.ctx, FILE_PATH, "/etc/other\n"), ERR_BUG, "no folder of");
}

static void a_folder_that_others_use_by_now_stays(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    fixture_new(&f);
    fixture_dir(&f, "/etc");
    assert_ok(own_file_write(&f.ctx, FILE_PATH, TEXT));
    fixture_put(&f, "/etc/sysctl.d/10-others.conf", "x\n");
    assert_ok(own_file_remove(&f.ctx, FILE_PATH, "/etc/sysctl.d\n/etc\n"));
    assert_true(fixture_has(&f, "/etc/sysctl.d/10-others.conf"));
    assert_false(fixture_has(&f, FILE_PATH));
}

static void a_file_that_is_right_is_not_written_again(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    fixture_new(&f);
    assert_ok(own_file_write(&f.ctx, FILE_PATH, TEXT));
    ino_t before = stat_of(&f, FILE_PATH).st_ino;
    assert_ok(own_file_write(&f.ctx, FILE_PATH, TEXT));
    assert_int_equal(stat_of(&f, FILE_PATH).st_ino, before);
    set_mode(&f, FILE_PATH, 0600); /* then nobody but root knows what is set */
    file_is(&f, TEXT, OWN_OTHER, NULL);
    assert_ok(own_file_write(&f.ctx, FILE_PATH, TEXT));
    file_is(&f, TEXT, OWN_SAME, NULL);
    put(&f, FILE_PATH, OWN_FILE_MARK "\r\na = 1\r\n", strlen(OWN_FILE_MARK "\r\na = 1\r\n"));
    file_is(&f, "a = 1\r\n", OWN_OTHER, NULL);
    put(&f, FILE_PATH, OWN_FILE_MARK "\n" TEXT "b\0", strlen(OWN_FILE_MARK "\n" TEXT) + 2);
    file_is(&f, TEXT "b", OWN_OTHER, NULL);
}

static void what_is_not_ours_stays(void **state)
{
    static const char *const texts[] = {"", "a\n", OWN_FILE_MARK, OWN_FILE_MARK "x\na\n",
                                        "\n" OWN_FILE_MARK "\n"};
    AUTO(fixture_clear) struct fixture f = {0};

    fixture_new(&f);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        put(&f, FILE_PATH, texts[i], strlen(texts[i]));
        file_is(&f, TEXT, OWN_FOREIGN, "is not agavectl's");
        assert_err(own_file_write(&f.ctx, FILE_PATH, TEXT), ERR_REFUSED, "is not agavectl's");
        assert_err(own_file_remove(&f.ctx, FILE_PATH, NULL), ERR_REFUSED, FILE_PATH);
        content_is(&f, FILE_PATH, texts[i], strlen(texts[i]));
    }
}

static void links_and_folders_are_not_ours(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    fixture_new(&f);
    put(&f, "/etc/secret", OWN_FILE_MARK "\n" TEXT, strlen(OWN_FILE_MARK "\n" TEXT));
    for (int i = 0; i < 3; i++) { /* to a file, to nothing, in a circle */
        static const char *const targets[] = {"../secret", "/etc/none", "95-agavectl.conf"};

        fixture_link(&f, FILE_PATH, targets[i]);
        if (i < 2)
            file_is(&f, TEXT, OWN_FOREIGN, "a symbolic link");
        assert_err(own_file_write(&f.ctx, FILE_PATH, TEXT), i < 2 ? ERR_REFUSED : ERR_SYS, NULL);
        assert_err(own_file_remove(&f.ctx, FILE_PATH, NULL), i < 2 ? ERR_REFUSED : ERR_SYS, NULL);
        assert_true(S_ISLNK(stat_of(&f, FILE_PATH).st_mode));
    }
    content_is(&f, "/etc/secret", OWN_FILE_MARK "\n" TEXT, strlen(OWN_FILE_MARK "\n" TEXT));
    assert_false(fixture_has(&f, "/etc/none"));
    assert_ok(fsroot_unlink(f.ctx.root, FILE_PATH));
    fixture_dir(&f, FILE_PATH);
    file_is(&f, TEXT, OWN_FOREIGN, "a folder");
    assert_ok(fsroot_rmdir(f.ctx.root, FILE_PATH));
    AUTO(freep) char *fifo = fsroot_path(f.ctx.root, FILE_PATH);
    assert_int_equal(mkfifo(fifo, 0644), 0);
    file_is(&f, TEXT, OWN_FOREIGN, "no plain file"); /* and nobody waits for a writer */
}

static void where_others_can_write_nothing_is_ours(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    fixture_new(&f);
    assert_ok(own_file_write(&f.ctx, FILE_PATH, TEXT));
    set_mode(&f, "/etc/sysctl.d", 0775);
    file_is(&f, TEXT, OWN_FOREIGN, "others can write the folder '/etc/sysctl.d'");
    set_mode(&f, "/etc/sysctl.d", 0755);
    set_mode(&f, "/etc", 01777);
    file_is(&f, TEXT, OWN_FOREIGN, "others can write the folder '/etc'");
    set_mode(&f, "/etc", 0755);
    fixture_dir(&f, "/open/real");
    set_mode(&f, "/open", 0777);
    assert_err(own_file_write(&f.ctx, "/open/new/x.conf", TEXT), ERR_REFUSED, "'/open'");
    fixture_link(&f, "/etc/by-link", "/open/real");
    assert_err(own_file_write(&f.ctx, "/etc/by-link/x.conf", TEXT), ERR_REFUSED, "'/open'");
    set_mode(&f, FILE_PATH, 0666);
    file_is(&f, TEXT, OWN_FOREIGN, "everybody can write");
    set_mode(&f, FILE_PATH, 0644);
    file_is(&f, TEXT, OWN_SAME, NULL);
    if (geteuid() == 0) {
        AUTO(freep) char *full = fsroot_path(f.ctx.root, FILE_PATH);

        assert_int_equal(chown(full, 1234, 0), 0);
        file_is(&f, TEXT, OWN_FOREIGN, "belongs to user 1234");
        assert_err(own_file_remove(&f.ctx, FILE_PATH, NULL), ERR_REFUSED, "1234");
    }
}

static void half_files_of_the_killed_are_swept(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    fixture_new(&f);
    fixture_put(&f, "/etc/sysctl.d/.95-agavectl.conf.tmp-0123456789abcdef", "half");
    fixture_put(&f, "/etc/sysctl.d/.95-agavectl.conf.tmp-notours", "x");
    fixture_put(&f, "/etc/sysctl.d/.other.conf.tmp-0123456789abcdef", "x");
    assert_ok(own_file_write(&f.ctx, FILE_PATH, TEXT));
    assert_false(fixture_has(&f, "/etc/sysctl.d/.95-agavectl.conf.tmp-0123456789abcdef"));
    assert_true(fixture_has(&f, "/etc/sysctl.d/.95-agavectl.conf.tmp-notours"));
    assert_true(fixture_has(&f, "/etc/sysctl.d/.other.conf.tmp-0123456789abcdef"));
    fixture_put(&f, "/etc/sysctl.d/.95-agavectl.conf.tmp-0123456789abcdef", "half");
    assert_ok(own_file_remove(&f.ctx, FILE_PATH, NULL));
    assert_false(fixture_has(&f, "/etc/sysctl.d/.95-agavectl.conf.tmp-0123456789abcdef"));
}

static void too_large_or_no_folder_is_said(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(freep) char *big = xcalloc(1, (1 << 20) + 1);
    enum own_state got;

    fixture_new(&f);
    put(&f, FILE_PATH, big, (1 << 20) + 1);
    put(&f, FSTAB, big, (1 << 20) + 1);
    assert_err(own_file_look(&f.ctx, FILE_PATH, TEXT, &got, NULL), ERR_BADINPUT, "larger");
    assert_err(own_block_write(&f.ctx, FSTAB, TEXT), ERR_BADINPUT, "larger");
    put(&f, "/etc/file", "x", 1);
    assert_err(own_file_write(&f.ctx, "/etc/file/x.conf", TEXT), ERR_SYS, "/etc/file");
}

/* Written and taken out again; what is between must be there once, as it was meant. */
static void round_trip(struct fixture *f, const void *data, size_t n, const char *with)
{
    put(f, FSTAB, data, n);
    block_is(f, TEXT, OWN_ABSENT, NULL);
    assert_ok(own_block_write(&f->ctx, FSTAB, TEXT));
    block_is(f, TEXT, OWN_SAME, NULL);
    block_is(f, "a = 1\n", OWN_OTHER, NULL);
    if (with)
        content_is(f, FSTAB, with, strlen(with));
    assert_ok(own_block_write(&f->ctx, FSTAB, "c\n"));
    block_is(f, "c\n", OWN_SAME, NULL);
    assert_ok(own_block_remove(&f->ctx, FSTAB));
    content_is(f, FSTAB, data, n);
    assert_ok(own_block_remove(&f->ctx, FSTAB));
}

static void the_bytes_of_others_come_back(void **state)
{
    static const char hand[] = "# made by hand\n\nUUID=1\t/\text4  defaults\t0 1   # root\n"
                               "\t /dev/sdb1\t/mnt/a\\040b\tauto\tnoauto,user\n   \n";
    AUTO(fixture_clear) struct fixture f = {0};

    fixture_new(&f);
    round_trip(&f, hand, strlen(hand), NULL);
    round_trip(&f, "", 0, BLOCK "\n");
    round_trip(&f, "x\n", 2, "x\n" BLOCK "\n");
    round_trip(&f, "x", 1, "x\n" BLOCK OWN_BLOCK_NOTE_NEWLINE "\n");
    round_trip(&f, "\n", 1, NULL);
    round_trip(&f, "x\r\ny\r\n", 6, "x\r\ny\r\n" BLOCK "\n");
    round_trip(&f, "x\r", 2, NULL);
    round_trip(&f, "a\0b\n\0", 5, NULL);
    round_trip(&f, "\xff\xfe\x80", 3, NULL);
}

static void lines_around_the_block_stay_where_they_are(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    static const char around[] = "x\n" BLOCK "\n\ny\n";
    static const char glued[] = "x\n" BLOCK OWN_BLOCK_NOTE_NEWLINE "\ny\n";

    fixture_new(&f);
    put(&f, FSTAB, around, strlen(around));
    block_is(&f, TEXT, OWN_SAME, NULL);
    assert_ok(own_block_write(&f.ctx, FSTAB, "c\n"));
    content_is(&f, FSTAB, "x\n" OWN_BLOCK_BEGIN "\nc\n" OWN_BLOCK_END "\n\ny\n",
               strlen("x\n" OWN_BLOCK_BEGIN "\nc\n" OWN_BLOCK_END "\n\ny\n"));
    assert_ok(own_block_remove(&f.ctx, FSTAB));
    content_is(&f, FSTAB, "x\n\ny\n", 5);
    put(&f, FSTAB, glued, strlen(glued)); /* somebody's line needs that newline by now */
    assert_ok(own_block_remove(&f.ctx, FSTAB));
    content_is(&f, FSTAB, "x\ny\n", 4);
    put(&f, FSTAB, " " OWN_BLOCK_BEGIN "\r\na = 1\r\n" OWN_BLOCK_END "\t\r\nx",
        strlen(" " OWN_BLOCK_BEGIN "\r\na = 1\r\n" OWN_BLOCK_END "\t\r\nx"));
    block_is(&f, "a = 1\r\n", OWN_OTHER, NULL); /* found, and written anew */
    assert_ok(own_block_remove(&f.ctx, FSTAB));
    content_is(&f, FSTAB, "x", 1);
}

static void damaged_marks_are_left_alone(void **state)
{
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"x\n" OWN_BLOCK_BEGIN "\n" TEXT, "line 2: a block of agavectl's begins that has no end"},
        {TEXT OWN_BLOCK_END "\n", "line 3: a block of agavectl's ends that has no beginning"},
        {BLOCK "\nx\n" BLOCK "\n", "line 6: a second block"},
        {OWN_BLOCK_BEGIN "\n" BLOCK "\n", "line 2: a block of agavectl's begins within another"},
        {BLOCK "\n" OWN_BLOCK_END "\n", "line 5: a block of agavectl's ends"},
        {BLOCK "x\n", "line 4: a mark of agavectl's that was edited"},
        {"# agavectl: begin\n" TEXT OWN_BLOCK_END "\n", "line 1: a mark of agavectl's that was"},
        {OWN_BLOCK_BEGIN, "line 1"},
    };
    AUTO(fixture_clear) struct fixture f = {0};

    fixture_new(&f);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        put(&f, FSTAB, bad[i].text, strlen(bad[i].text));
        block_is(&f, TEXT, OWN_FOREIGN, bad[i].why);
        assert_err(own_block_write(&f.ctx, FSTAB, TEXT), ERR_REFUSED, bad[i].why);
        assert_err(own_block_remove(&f.ctx, FSTAB), ERR_REFUSED, bad[i].why);
        content_is(&f, FSTAB, bad[i].text, strlen(bad[i].text));
    }
}

static void a_file_made_for_the_block_goes_with_it(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    fixture_new(&f);
    fixture_dir(&f, "/etc");
    block_is(&f, TEXT, OWN_ABSENT, NULL);
    assert_ok(own_block_remove(&f.ctx, FSTAB));
    assert_ok(own_block_write(&f.ctx, FSTAB, TEXT));
    content_is(&f, FSTAB, BLOCK OWN_BLOCK_NOTE_FILE "\n", strlen(BLOCK OWN_BLOCK_NOTE_FILE "\n"));
    block_is(&f, TEXT, OWN_SAME, NULL);
    assert_ok(own_block_write(&f.ctx, FSTAB, "c\n"));
    assert_ok(own_block_remove(&f.ctx, FSTAB));
    assert_false(fixture_has(&f, FSTAB));
    assert_ok(own_block_write(&f.ctx, FSTAB, ""));
    AUTO(freep) char *text = NULL;
    assert_ok(fsroot_read(f.ctx.root, FSTAB, 4096, &text, NULL));
    AUTO(freep) char *more = xasprintf("%sx\n", text);
    put(&f, FSTAB, more, strlen(more)); /* somebody uses it by now */
    assert_ok(own_block_remove(&f.ctx, FSTAB));
    content_is(&f, FSTAB, "x\n", 2);
}

static void owner_mode_and_links_are_kept(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    fixture_new(&f);
    put(&f, "/etc/real-fstab", "x\n", 2);
    set_mode(&f, "/etc/real-fstab", 0640);
    AUTO(freep) char *full = fsroot_path(f.ctx.root, "/etc/real-fstab");
    if (geteuid() == 0)
        assert_int_equal(chown(full, 0, 4), 0);
    gid_t gid = stat_of(&f, "/etc/real-fstab").st_gid;
    fixture_link(&f, FSTAB, "real-fstab");
    assert_ok(own_block_write(&f.ctx, FSTAB, TEXT));
    assert_true(S_ISLNK(stat_of(&f, FSTAB).st_mode));
    assert_int_equal(stat_of(&f, "/etc/real-fstab").st_mode, S_IFREG | 0640);
    assert_int_equal(stat_of(&f, "/etc/real-fstab").st_gid, gid);
    assert_ok(own_block_remove(&f.ctx, FSTAB));
    assert_true(S_ISLNK(stat_of(&f, FSTAB).st_mode));
    content_is(&f, "/etc/real-fstab", "x\n", 2);
    assert_int_equal(stat_of(&f, "/etc/real-fstab").st_mode, S_IFREG | 0640);
}

static void a_link_to_what_others_write_is_not_followed(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    fixture_new(&f);
    put(&f, "/etc/real-fstab", "x\n", 2);
    fixture_link(&f, FSTAB, "real-fstab");
    set_mode(&f, "/etc/real-fstab", 0646);
    block_is(&f, TEXT, OWN_FOREIGN, "everybody can write");
    fixture_put(&f, "/open/fstab", "x\n");
    set_mode(&f, "/open", 0777);
    fixture_link(&f, FSTAB, "/open/fstab");
    block_is(&f, TEXT, OWN_FOREIGN, "'/open'");
    assert_err(own_block_write(&f.ctx, FSTAB, TEXT), ERR_REFUSED, "'/open'");
    fixture_link(&f, FSTAB, "gone");
    block_is(&f, TEXT, OWN_FOREIGN, "a symbolic link");
    fixture_link(&f, FSTAB, "/etc");
    block_is(&f, TEXT, OWN_FOREIGN, "a folder");
    if (geteuid() == 0) {
        AUTO(freep) char *full = fsroot_path(f.ctx.root, "/etc/real-fstab");

        set_mode(&f, "/etc/real-fstab", 0644);
        assert_int_equal(chown(full, 1234, 0), 0);
        fixture_link(&f, FSTAB, "real-fstab");
        block_is(&f, TEXT, OWN_FOREIGN, "belongs to user 1234");
        assert_err(own_block_write(&f.ctx, FSTAB, TEXT), ERR_REFUSED, "1234");
    }
}

static void a_text_with_a_mark_is_a_bug(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    fixture_new(&f);
    fixture_dir(&f, "/etc");
    assert_err(own_block_write(&f.ctx, FSTAB, "x"), ERR_BUG, NULL);
    assert_err(own_block_write(&f.ctx, FSTAB, OWN_BLOCK_END "\n"), ERR_BUG, NULL);
    assert_err(own_block_write(&f.ctx, FSTAB, BLOCK "\n"), ERR_BUG, NULL);
    assert_false(fixture_has(&f, FSTAB));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_from_nothing_and_back),
        cmocka_unit_test(a_folder_that_others_use_by_now_stays),
        cmocka_unit_test(a_file_that_is_right_is_not_written_again),
        cmocka_unit_test(what_is_not_ours_stays),
        cmocka_unit_test(links_and_folders_are_not_ours),
        cmocka_unit_test(where_others_can_write_nothing_is_ours),
        cmocka_unit_test(half_files_of_the_killed_are_swept),
        cmocka_unit_test(too_large_or_no_folder_is_said),
        cmocka_unit_test(the_bytes_of_others_come_back),
        cmocka_unit_test(lines_around_the_block_stay_where_they_are),
        cmocka_unit_test(damaged_marks_are_left_alone),
        cmocka_unit_test(a_file_made_for_the_block_goes_with_it),
        cmocka_unit_test(owner_mode_and_links_are_kept),
        cmocka_unit_test(a_link_to_what_others_write_is_not_followed),
        cmocka_unit_test(a_text_with_a_mark_is_a_bug),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
