/* io/lock against real flocks, held by another process where that matters. */
#include "io/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/str.h"

struct place {
    char dir[64];
    char lock[96];
};

static int setup(void **state)
{
    struct place *p = xcalloc(1, sizeof(*p));

    snprintf(p->dir, sizeof(p->dir), "/tmp/agavectl-test-lock-XXXXXX");
    if (!mkdtemp(p->dir))
        return -1;
    snprintf(p->lock, sizeof(p->lock), "%s/run/lock", p->dir);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;

    unlink(p->lock);
    *strrchr(p->lock, '/') = 0;
    rmdir(p->lock);
    rmdir(p->dir);
    free(p);
    return 0;
}

static void text_of(const char *path, char *buf, size_t n)
{
    AUTO(fclosep) FILE *f = fopen(path, "r");

    assert_non_null(f);
    buf[fread(buf, 1, n - 1, f)] = 0;
}

static void the_file_names_its_holder(void **state)
{
    struct place *p = *state;
    AUTO(hostlock_releasep) struct hostlock *l = NULL;
    char text[64], want[64];
    struct stat st;

    assert_null(hostlock_take(p->lock, "up", &l)); /* its folder is made as well */
    text_of(p->lock, text, sizeof(text));
    snprintf(want, sizeof(want), "%d up\n", (int)getpid());
    assert_string_equal(text, want);
    assert_int_equal(stat(p->lock, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void a_second_one_is_refused_and_told_who(void **state)
{
    struct place *p = *state;
    AUTO(hostlock_releasep) struct hostlock *l = NULL;
    struct hostlock *second = NULL;
    char want[160];

    assert_null(hostlock_take(p->lock, "deploy", &l));
    AUTO(err_freep) struct err *e = hostlock_take(p->lock, "stop", &second);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_REFUSED);
    snprintf(want, sizeof(want), "another agavectl is at work: pid %d (deploy); wait for it to end",
             (int)getpid());
    assert_string_equal(e->text, want);
    assert_null(second);
}

/* /run is full: the lock is the flock, its text is only for people. */
static void a_full_disk_does_not_keep_it(void **state)
{
    struct place *p = *state;
    struct hostlock *l = NULL;
    struct rlimit was, none;
    char text[64];

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = was.rlim_max};
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    struct err *e = hostlock_take(p->lock, "stop", &l);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_null(e);
    text_of(p->lock, text, sizeof(text));
    assert_string_equal(text, "");
    hostlock_release(l);
}

static void it_is_free_again_after_release(void **state)
{
    struct place *p = *state;
    struct hostlock *l = NULL;

    assert_null(hostlock_take(p->lock, "one", &l));
    assert_null(hostlock_release(l));
    assert_null(hostlock_take(p->lock, "two", &l));
    assert_null(hostlock_release(l));
    assert_null(hostlock_release(NULL));
}

/* The holder dies by SIGKILL; what it wrote stays, but does not count. */
static void a_dead_holder_does_not_hold(void **state)
{
    struct place *p = *state;
    AUTO(hostlock_releasep) struct hostlock *l = NULL;
    int ready[2];
    char c = 0;
    pid_t pid;

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        struct err *e = hostlock_take(p->lock, "crash", &l);

        if (e || write(ready[1], "k", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &c, 1), 1);
    close(ready[0]);
    AUTO(err_freep) struct err *e = hostlock_take(p->lock, "next", &l);
    assert_non_null(e);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_null(hostlock_take(p->lock, "next", &l));
}

static void what_stands_in_its_place_is_not_followed(void **state)
{
    struct place *p = *state;
    struct hostlock *l = NULL;
    AUTO(freep) char *folder = xasprintf("%s/run", p->dir);

    assert_int_equal(mkdir(folder, 0755), 0);
    assert_int_equal(symlink("/dev/null", p->lock), 0);
    AUTO(err_freep) struct err *e = hostlock_take(p->lock, "up", &l);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_SYS);
    assert_int_equal(e->sys, ELOOP);
}

static void other_programs_locks_are_seen_and_taken(void **state)
{
    struct place *p = *state;
    AUTO(freep) char *path = xasprintf("%s/ledger.lock", p->dir);
    AUTO(closep) int theirs = -1;
    AUTO(closep) int ours = -1;
    bool held = true;

    AUTO(err_freep) struct err *none = flock_held(path, &held);
    assert_non_null(none);
    assert_int_equal(none->kind, ERR_NOTFOUND);

    theirs = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(theirs >= 0);
    assert_null(flock_held(path, &held));
    assert_false(held);
    assert_int_equal(flock(theirs, LOCK_EX | LOCK_NB), 0); /* the test let go of it */
    assert_null(flock_held(path, &held));
    assert_true(held);
    AUTO(err_freep) struct err *taken = flock_take(path, &ours);
    assert_non_null(taken);
    assert_int_equal(taken->kind, ERR_REFUSED);
    assert_int_equal(ours, -1);

    assert_int_equal(flock(theirs, LOCK_UN), 0);
    assert_null(flock_take(path, &ours));
    assert_true(flock(theirs, LOCK_SH | LOCK_NB) < 0);
    close(TAKE_FD(ours));
    assert_int_equal(flock(theirs, LOCK_EX | LOCK_NB), 0);
    unlink(path);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_file_names_its_holder),
        TEST(a_second_one_is_refused_and_told_who),
        TEST(a_full_disk_does_not_keep_it),
        TEST(it_is_free_again_after_release),
        TEST(a_dead_holder_does_not_hold),
        TEST(what_stands_in_its_place_is_not_followed),
        TEST(other_programs_locks_are_seen_and_taken),
    };

    return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}
