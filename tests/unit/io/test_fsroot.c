/* io/fsroot below a folder full of traps. Everything is done twice: with openat2, and, after a
 * seccomp filter has taken it away from this process, with the links followed by hand. */
#include "io/fsroot.h"

#include "io/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"

/* base/secret is outside of the root base/root, which holds links that point there. */
struct place {
    char base[64];
    struct fsroot *root;
};

static char *inside(const struct place *p, const char *name)
{
    return xasprintf("%s/root/%s", p->base, name);
}

static void put(const struct place *p, const char *name, const char *text)
{
    AUTO(freep) char *path = inside(p, name);
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void put_link(const struct place *p, const char *target, const char *name)
{
    AUTO(freep) char *path = inside(p, name);

    assert_int_equal(symlink(target, path), 0);
}

static int setup(void **state)
{
    struct place *p = xcalloc(1, sizeof(*p));
    AUTO(freep) char *root = NULL;

    snprintf(p->base, sizeof(p->base), "/tmp/agavectl-test-fsroot-XXXXXX");
    if (!mkdtemp(p->base))
        return -1;
    root = xasprintf("%s/root", p->base);
    assert_int_equal(mkdir(root, 0755), 0);
    put(p, "../secret", "outside\n");
    assert_null(fsroot_open(root, &p->root));
    *state = p;
    return 0;
}

static void remove_tree(const char *path)
{
    struct fsroot *r = NULL;
    AUTO(strlist_clear) struct strlist names = {0};

    if (fsroot_open(path, &r) || fsroot_list(r, "/", &names))
        abort();
    for (size_t i = 0; i < names.n; i++) {
        AUTO(freep) char *one = xasprintf("%s/%s", path, names.items[i]);

        if (unlink(one) < 0)
            remove_tree(one);
    }
    fsroot_close(r);
    rmdir(path);
}

static int teardown(void **state)
{
    struct place *p = *state;

    fsroot_close(p->root);
    remove_tree(p->base);
    free(p);
    return 0;
}

static void assert_err(const struct err *e, enum err_kind kind, const char *part)
{
    assert_non_null(e);
    if (e->kind != kind || !strstr(e->text, part))
        fail_msg("want %s '%s', got %s '%s'", err_kind_name(kind), part, err_kind_name(e->kind),
                 e->text);
}

static void assert_text(struct fsroot *r, const char *path, const char *want)
{
    AUTO(freep) char *text = NULL;
    size_t n = 0;
    AUTO(err_freep) struct err *e = fsroot_read(r, path, 100000, &text, &n);

    if (e)
        fail_msg("%s", e->text);
    assert_string_equal(text, want);
    assert_int_equal(n, strlen(want));
}

static void the_root_cannot_be_left(void **state)
{
    static const char *const ways[] = {"/../secret",
                                       "/../../../../../../etc/passwd",
                                       "/sub/../../secret",
                                       "/up/secret",
                                       "/abs",
                                       "/rel",
                                       "/chain",
                                       "/sub/deep",
                                       "/magic/self/cwd"};
    struct place *p = *state;
    AUTO(freep) char *sub = inside(p, "sub");
    AUTO(freep) char *secret = xasprintf("%s/secret", p->base);

    assert_int_equal(mkdir(sub, 0755), 0);
    put_link(p, "..", "up");
    put_link(p, secret, "abs");
    put_link(p, "../secret", "rel");
    put_link(p, "rel", "chain");
    put_link(p, "../../secret", "sub/deep");
    put_link(p, "/proc", "magic");
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        char *text = NULL;
        struct stat st;
        AUTO(err_freep) struct err *e = fsroot_read(p->root, ways[i], 1000, &text, NULL);
        AUTO(err_freep) struct err *no_stat = fsroot_stat(p->root, ways[i], &st);

        assert_err(e, ERR_NOTFOUND, ways[i]);
        assert_err(no_stat, ERR_NOTFOUND, ways[i]);
        assert_null(text);
    }
    /* nor by writing */
    AUTO(err_freep) struct err *e = fsroot_write(p->root, "/rel", "x");
    assert_err(e, ERR_NOTFOUND, "");
    assert_null(fsroot_write_atomic(p->root, "/../secret", "inside\n", 7, 0644));
    assert_text(p->root, "/secret", "inside\n");
    assert_null(fsroot_unlink(p->root, "/../secret"));
    AUTO(fclosep) FILE *f = fopen(secret, "r");
    char line[16] = "";
    assert_non_null(fgets(line, sizeof(line), f));
    assert_string_equal(line, "outside\n");
}

static void links_inside_are_followed(void **state)
{
    struct place *p = *state;
    AUTO(freep) char *sub = inside(p, "sub");
    struct stat st;

    assert_int_equal(mkdir(sub, 0755), 0);
    put(p, "sub/file", "text\n");
    put_link(p, "/sub/file", "absolute");     /* from the root, not from "/" */
    put_link(p, "/sub/file", "sub/absolute"); /* from the root, not from its own folder */
    put_link(p, "sub", "folder");
    put_link(p, "../absolute", "sub/back");
    put_link(p, "loop", "loop");
    assert_text(p->root, "/absolute", "text\n");
    assert_text(p->root, "/sub/absolute", "text\n");
    assert_text(p->root, "/folder/file", "text\n");
    assert_text(p->root, "/folder/back", "text\n");
    assert_text(p->root, "//sub/./../sub//file", "text\n");
    assert_null(fsroot_stat(p->root, "/absolute", &st));
    assert_true(S_ISREG(st.st_mode));
    AUTO(err_freep) struct err *e = fsroot_stat(p->root, "/loop", &st);
    assert_err(e, ERR_SYS, "/loop");
    assert_int_equal(e->sys, ELOOP);
}

static void reading_is_bounded(void **state)
{
    struct place *p = *state;
    AUTO(freep) char *text = NULL;

    put(p, "file", "0123456789");
    assert_null(fsroot_read(p->root, "/file", 10, &text, NULL));
    assert_string_equal(text, "0123456789");
    char *more = NULL;
    AUTO(err_freep) struct err *e = fsroot_read(p->root, "/file", 9, &more, NULL);
    assert_err(e, ERR_BADINPUT, "'/file' is larger than 9 bytes");
    assert_null(more);
    AUTO(err_freep) struct err *folder = fsroot_read(p->root, "/", 9, &more, NULL);
    assert_err(folder, ERR_SYS, "");
}

static void a_pipe_in_the_place_of_a_file_does_not_hang(void **state)
{
    struct place *p = *state;
    AUTO(freep) char *path = inside(p, "pipe");
    AUTO(freep) char *text = NULL;

    assert_int_equal(mkfifo(path, 0600), 0);
    assert_null(fsroot_read(p->root, "/pipe", 10, &text, NULL));
    assert_string_equal(text, "");
}

static void lines_and_figures(void **state)
{
    static const char *const bad[] = {"", "\n", "x\n", "-1\n", "1 2\n", "18446744073709551616\n"};
    struct place *p = *state;
    AUTO(freep) char *line = NULL;
    uint64_t v = 0;

    put(p, "line", "first\nsecond\n");
    assert_null(fsroot_read_line(p->root, "/line", &line));
    assert_string_equal(line, "first");
    put(p, "n", " 18446744073709551615 \n");
    assert_null(fsroot_read_u64(p->root, "/n", &v));
    assert_true(v == UINT64_MAX);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        put(p, "n", bad[i]);
        AUTO(err_freep) struct err *e = fsroot_read_u64(p->root, "/n", &v);
        assert_err(e, ERR_BADINPUT, "'/n': ");
    }
    assert_true(v == UINT64_MAX);
}

static void writing_wants_an_existing_file(void **state)
{
    struct place *p = *state;

    AUTO(err_freep) struct err *e = fsroot_write(p->root, "/setting", "1");
    assert_err(e, ERR_NOTFOUND, "cannot open '/setting'");
    put(p, "setting", "a longer text");
    assert_null(fsroot_write(p->root, "/setting", "1"));
    assert_text(p->root, "/setting", "1");
}

static void only_the_file_is_there(struct place *p, const char *name)
{
    AUTO(strlist_clear) struct strlist names = {0};

    assert_null(fsroot_list(p->root, "/", &names));
    assert_int_equal(names.n, 1); /* no temporary file is left */
    assert_string_equal(names.items[0], name);
}

static void atomic_writing_replaces_with_the_exact_mode(void **state)
{
    struct place *p = *state;
    mode_t old = umask(0077);
    struct stat st;

    assert_null(fsroot_write_atomic(p->root, "/file", "one\n", 4, 0644));
    umask(old);
    assert_null(fsroot_stat(p->root, "/file", &st));
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_null(fsroot_write_atomic(p->root, "/file", "2\n", 2, 0600));
    assert_text(p->root, "/file", "2\n");
    assert_null(fsroot_stat(p->root, "/file", &st));
    assert_int_equal(st.st_mode & 07777, 0600);
    only_the_file_is_there(p, "file");
}

static void atomic_writing_replaces_a_link_itself(void **state)
{
    struct place *p = *state;

    put_link(p, "../secret", "file");
    assert_null(fsroot_write_atomic(p->root, "/file", "new\n", 4, 0600));
    assert_text(p->root, "/file", "new\n");
    only_the_file_is_there(p, "file");
}

/* The disk is full in the middle: a limit on the size of files does the same. */
static void a_failed_atomic_write_keeps_the_old_text(void **state)
{
    struct rlimit old, small;
    struct place *p = *state;
    AUTO(freep) char *big = xcalloc(1, 100000);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);

    assert_null(fsroot_write_atomic(p->root, "/file", "old\n", 4, 0600));
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){.rlim_cur = 50000, .rlim_max = old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    AUTO(err_freep) struct err *e = fsroot_write_atomic(p->root, "/file", big, 100000, 0600);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, handler);
    assert_err(e, ERR_SYS, "cannot write '/file'");
    assert_text(p->root, "/file", "old\n");
    only_the_file_is_there(p, "file");
}

static void a_folder_is_not_replaced(void **state)
{
    struct place *p = *state;

    assert_null(fsroot_mkdirs(p->root, "/dir/sub", 0755));
    AUTO(err_freep) struct err *e = fsroot_write_atomic(p->root, "/dir", "x", 1, 0600);
    assert_err(e, ERR_SYS, "cannot replace '/dir'");
    AUTO(err_freep) struct err *none = fsroot_write_atomic(p->root, "/no/file", "x", 1, 0600);
    assert_err(none, ERR_NOTFOUND, "/no");
    AUTO(err_freep) struct err *dots = fsroot_write_atomic(p->root, "/dir/..", "x", 1, 0600);
    assert_err(dots, ERR_BADINPUT, "");
    only_the_file_is_there(p, "dir");
}

static void folders_are_made_with_their_parents(void **state)
{
    struct place *p = *state;
    struct stat st;

    assert_null(fsroot_mkdirs(p->root, "/a", 0700));
    assert_null(fsroot_mkdirs(p->root, "/a/b/c/", 0751));
    assert_null(fsroot_stat(p->root, "/a", &st));
    assert_int_equal(st.st_mode & 07777, 0700); /* left alone */
    assert_null(fsroot_stat(p->root, "/a/b/c", &st));
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0751);
    assert_null(fsroot_mkdirs(p->root, "/a/b/c", 0700));
    assert_null(fsroot_mkdirs(p->root, "/", 0700));
    put(p, "file", "");
    AUTO(err_freep) struct err *e = fsroot_mkdirs(p->root, "/file/x", 0700);
    assert_err(e, ERR_SYS, "cannot make the folder '/file'");
    put_link(p, "../outside", "out");
    AUTO(err_freep) struct err *out = fsroot_mkdirs(p->root, "/out/x", 0700);
    assert_non_null(out);
    AUTO(freep) char *leaked = xasprintf("%s/outside", p->base);
    assert_int_equal(access(leaked, F_OK), -1);
}

/* Links inside are followed by all others; here not even one in the middle. */
static void folders_by_their_names_alone(void **state)
{
    struct place *p = *state;
    struct stat st;
    AUTO(closep) int fd = -1, again = -1;

    assert_null(folder_open(p->root, "/plain/b//c/", 0751, &fd));
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0751);
    assert_null(folder_open(p->root, "plain/./b", 0, &again));
    put_link(p, "b", "plain/link");
    static const struct {
        const char *path;
        mode_t make;
        enum err_kind kind;
        const char *part;
    } bad[] = {
        {"/plain/link", 0, ERR_REFUSED, "'/plain/link'"},
        {"/plain/link/c", 0755, ERR_REFUSED, "'/plain/link'"},
        {"/plain/link/new", 0755, ERR_REFUSED, "'/plain/link'"},
        {"/plain/none", 0, ERR_NOTFOUND, "/plain/none"},
        {"/plain/../plain", 0, ERR_BADINPUT, "plain path"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(closep) int none = -1;
        AUTO(err_freep)
        struct err *e = folder_open(p->root, bad[i].path, bad[i].make, &none);

        assert_err(e, bad[i].kind, bad[i].part);
        assert_int_equal(none, -1);
    }
    AUTO(err_freep) struct err *link = folder_remove(p->root, "/plain/link/c");
    assert_err(link, ERR_REFUSED, "'/plain/link'");
    assert_null(fsroot_stat(p->root, "/plain/b/c", &st));
    assert_null(folder_remove(p->root, "/plain/b/c"));
    assert_null(folder_remove(p->root, "/plain/b/c"));
    AUTO(err_freep) struct err *gone = fsroot_stat(p->root, "/plain/b/c", &st);
    assert_err(gone, ERR_NOTFOUND, "/plain/b/c");
}

static void real_is(struct place *p, const char *path, const char *want)
{
    AUTO(freep) char *got = NULL;
    struct err *e = fsroot_real(p->root, path, &got);

    if (e)
        fail_msg("%s", e->text);
    assert_string_equal(got, want);
}

static void paths_are_named_as_the_kernel_names_them(void **state)
{
    struct place *p = *state;

    assert_null(fsroot_mkdirs(p->root, "/data/srv", 0755));
    put_link(p, "data/srv", "srv2");
    put_link(p, "/data", "abs");
    real_is(p, "/data/srv", "/data/srv");
    real_is(p, "/srv2/solana/ledger", "/data/srv/solana/ledger");
    real_is(p, "/abs/srv//x", "/data/srv/x");
    real_is(p, "/nothing/here", "/nothing/here");
    real_is(p, "/", "/");
}

static void deleting_what_is_absent_is_fine(void **state)
{
    struct place *p = *state;
    AUTO(strlist_clear) struct strlist names = {0};

    assert_null(fsroot_unlink(p->root, "/no"));
    assert_null(fsroot_unlink(p->root, "/no/such/file"));
    assert_null(fsroot_rmdir(p->root, "/no"));
    put(p, "file", "");
    assert_null(fsroot_mkdirs(p->root, "/dir/sub", 0700));
    AUTO(err_freep) struct err *full = fsroot_rmdir(p->root, "/dir");
    assert_err(full, ERR_SYS, "cannot delete '/dir'");
    AUTO(err_freep) struct err *dir = fsroot_unlink(p->root, "/dir");
    assert_err(dir, ERR_SYS, "cannot delete '/dir'");
    assert_null(fsroot_rmdir(p->root, "/dir/sub/"));
    assert_null(fsroot_rmdir(p->root, "/dir"));
    assert_null(fsroot_unlink(p->root, "/file"));
    assert_null(fsroot_list(p->root, "/", &names));
    assert_int_equal(names.n, 0);
}

static void names_are_sorted_bytewise(void **state)
{
    static const char *const made[] = {"b", "B", "a10", "a2", ".hidden", "\303\244"};
    static const char *const want[] = {".hidden", "B", "a10", "a2", "b", "\303\244"};
    struct place *p = *state;
    AUTO(strlist_clear) struct strlist names = {0};
    struct strlist none = {0};

    for (size_t i = 0; i < ARRAY_LEN(made); i++)
        put(p, made[i], "");
    assert_null(fsroot_list(p->root, "/", &names));
    assert_int_equal(names.n, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        assert_string_equal(names.items[i], want[i]);
    AUTO(err_freep) struct err *e = fsroot_list(p->root, "/no", &none);
    assert_err(e, ERR_NOTFOUND, "/no");
    AUTO(err_freep) struct err *file = fsroot_list(p->root, "/b", &none);
    assert_err(file, ERR_NOTFOUND, "/b");
    assert_null(none.items);
}

static void descriptors_are_closed_at_exec(void **state)
{
    struct place *p = *state;
    AUTO(closep) int fd = -1;

    assert_null(fsroot_openat(p->root, "/new", O_RDWR | O_CREAT | O_EXCL, 0640, &fd));
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    AUTO(err_freep)
    struct err *e = fsroot_openat(p->root, "/new", O_RDWR | O_CREAT | O_EXCL, 0640, &(int){-1});
    assert_err(e, ERR_SYS, "cannot open '/new'");
    assert_int_equal(e->sys, EEXIST);
}

static void a_link_at_the_end_is_not_followed_when_told_so(void **state)
{
    struct place *p = *state;
    int fd = -1;

    put(p, "file", "");
    put_link(p, "file", "link");
    AUTO(err_freep) struct err *e = fsroot_openat(p->root, "/link", O_RDONLY | O_NOFOLLOW, 0, &fd);
    assert_err(e, ERR_SYS, "/link");
    assert_int_equal(e->sys, ELOOP);
}

static void the_names_for_others(void **state)
{
    struct place *p = *state;
    AUTO(freep) char *with_slash = xasprintf("%s/root/", p->base);
    AUTO(freep) char *want = inside(p, "a/b");
    AUTO(fsroot_closep) struct fsroot *r = NULL;

    assert_null(fsroot_open(with_slash, &r));
    AUTO(freep) char *path = fsroot_path(r, "/a/b");
    AUTO(freep) char *relative = fsroot_path(r, "a/b");
    assert_string_equal(path, want);
    assert_string_equal(relative, want);
    assert_int_equal(strlen(fsroot_dir(r)), strlen(with_slash) - 1);
    struct fsroot *none = NULL;
    AUTO(err_freep) struct err *e = fsroot_open("/no/such/root", &none);
    assert_err(e, ERR_NOTFOUND, "/no/such/root");
    assert_null(none);
    assert_null(fsroot_close(NULL));
}

static void the_whole_machine_is_a_root_too(void **state)
{
    AUTO(fsroot_closep) struct fsroot *r = NULL;
    AUTO(freep) char *status = NULL;
    struct stat st, self;
    size_t n = 0;

    assert_null(fsroot_open("/", &r));
    AUTO(freep) char *path = fsroot_path(r, "/proc/mounts");
    assert_string_equal(path, "/proc/mounts");
    assert_null(fsroot_read(r, "/proc/self/status", 1000000, &status, &n)); /* st_size is 0 */
    assert_true(n > 100);
    assert_null(fsroot_stat(r, "/proc/self/exe", &st)); /* a magic link */
    assert_int_equal(stat("/proc/self/exe", &self), 0);
    assert_true(st.st_ino == self.st_ino && st.st_dev == self.st_dev);
    char *text = NULL;
    AUTO(err_freep) struct err *e = fsroot_read(r, "/proc/999999999/status", 1000, &text, NULL);
    assert_err(e, ERR_NOTFOUND, "");
}

static void take_openat2_away(void **state)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {.len = ARRAY_LEN(code), .filter = code};
    struct open_how how = {.flags = O_RDONLY};

    assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), 0);
    assert_int_equal(syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how)), -1);
    assert_int_equal(errno, ENOSYS);
}

static void what_a_link_says(void **state)
{
    struct place *p = *state;
    AUTO(freep) char *target = NULL;

    put_link(p, "../elsewhere", "up");
    assert_null(fsroot_readlink(p->root, "/up", &target));
    assert_string_equal(target, "../elsewhere");
    struct err *e = fsroot_readlink(p->root, "/", &target);
    assert_non_null(e);
    assert_int_equal(e->sys, EINVAL); /* no link; not "no such file" */
    err_free(e);
    e = fsroot_readlink(p->root, "/none", &target);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_NOTFOUND);
    err_free(e);
}

/* Links and new names; never over something. */
static void links_and_names(void **state)
{
    struct place *p = *state;
    AUTO(freep) char *to = NULL;

    assert_null(fsroot_mkdirs(p->root, "/names", 0755));
    assert_null(fsroot_symlink(p->root, "../target", "/names/link"));
    assert_null(fsroot_readlink(p->root, "/names/link", &to));
    assert_string_equal(to, "../target");
    struct err *taken = fsroot_symlink(p->root, "x", "/names/link");
    assert_int_equal(taken->sys, EEXIST);
    err_free(taken);
    assert_null(fsroot_rename(p->root, "/names/link", "other"));
    free(TAKE(to));
    assert_null(fsroot_readlink(p->root, "/names/other", &to));
    assert_string_equal(to, "../target");
    assert_null(fsroot_symlink(p->root, "y", "/names/link"));
    taken = fsroot_rename(p->root, "/names/link", "other");
    assert_int_equal(taken->sys, EEXIST);
    err_free(taken);
    struct err *gone = fsroot_rename(p->root, "/names/none", "new");
    assert_int_equal(gone->sys, ENOENT);
    err_free(gone);
    assert_null(fsroot_unlink(p->root, "/names/link"));
    assert_null(fsroot_unlink(p->root, "/names/other"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define ALL                                                                                        \
    TEST(the_root_cannot_be_left), TEST(links_inside_are_followed), TEST(what_a_link_says),        \
        TEST(links_and_names), TEST(reading_is_bounded),                                           \
        TEST(a_pipe_in_the_place_of_a_file_does_not_hang), TEST(lines_and_figures),                \
        TEST(writing_wants_an_existing_file), TEST(atomic_writing_replaces_with_the_exact_mode),   \
        TEST(atomic_writing_replaces_a_link_itself),                                               \
        TEST(a_failed_atomic_write_keeps_the_old_text), TEST(a_folder_is_not_replaced),            \
        TEST(folders_are_made_with_their_parents), TEST(folders_by_their_names_alone),             \
        TEST(paths_are_named_as_the_kernel_names_them), TEST(deleting_what_is_absent_is_fine),     \
        TEST(names_are_sorted_bytewise), TEST(descriptors_are_closed_at_exec),                     \
        TEST(a_link_at_the_end_is_not_followed_when_told_so), TEST(the_names_for_others),          \
        TEST(the_whole_machine_is_a_root_too)

int main(void)
{
    const struct CMUnitTest tests[] = {ALL, cmocka_unit_test(take_openat2_away), ALL};

    return cmocka_run_group_tests_name("fsroot", tests, NULL, NULL);
}
