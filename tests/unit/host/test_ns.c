/* host/ns: real named namespaces. */
#include "host/ns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "fixture.h"
#include "host/mounts.h"
#include "real.h"

static struct real *real;

/* Runs body in a child inside the namespace; its return value is what the child exits with. */
static int inside(const char *path, enum ns_kind kind, int (*body)(void *), void *arg)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        struct err *e = ns_enter(path, kind);

        _exit(e ? 99 : body(arg));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int mount_there(void *arg)
{
    return mount("tmpfs", arg, "tmpfs", 0, NULL) < 0;
}

static int is_mounted(void *arg)
{
    struct stat st, up;

    return stat(arg, &st) == 0 && stat("/", &up) == 0 && st.st_dev != up.st_dev ? 7 : 8;
}

static int speak_over_lo(void *arg)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int in = socket(AF_INET, SOCK_DGRAM, 0), out = socket(AF_INET, SOCK_DGRAM, 0);
    char c = 0;

    if (bind(in, (struct sockaddr *)&a, n) < 0 || getsockname(in, (struct sockaddr *)&a, &n) < 0 ||
        sendto(out, "x", 1, 0, (struct sockaddr *)&a, n) != 1 || recv(in, &c, 1, 0) != 1)
        return 1;
    return c == 'x' ? 0 : 2;
}

static void a_mount_namespace_lives_by_its_file(void **state)
{
    AUTO(freep) char *path = real_path(real, "mnt-ns");
    AUTO(freep) char *dir = real_dir(real, "only-there");

    assert_ok(ns_create(&real->ctx, path, NS_MNT));
    assert_int_equal(inside(path, NS_MNT, mount_there, dir), 0);
    assert_int_equal(inside(path, NS_MNT, is_mounted, dir), 7); /* no process kept it */
    assert_int_equal(is_mounted(dir), 8);                       /* and it did not leak out */
    assert_err(ns_create(&real->ctx, path, NS_MNT), ERR_REFUSED, "exists");
    assert_ok(ns_delete(&real->ctx, path));
    assert_int_equal(access(path, F_OK), -1);
    assert_ok(ns_delete(&real->ctx, path));
    assert_err(ns_enter(path, NS_MNT), ERR_NOTFOUND, path);
}

static void a_network_namespace_has_lo(void **state)
{
    AUTO(freep) char *path = real_path(real, "net-ns");

    assert_ok(ns_create(&real->ctx, path, NS_NET));
    assert_int_equal(inside(path, NS_NET, speak_over_lo, NULL), 0);
    assert_ok(ns_delete(&real->ctx, path));
    assert_err(ns_enter(path, NS_NET), ERR_NOTFOUND, path);
}

static void a_shared_mount_needs_a_folder_of_its_own(void **state)
{
    AUTO(freep) char *shared = real_dir(real, "shared");
    AUTO(freep) char *peer = real_dir(real, "peer");
    AUTO(freep) char *bad = real_path(real, "shared/ns");
    AUTO(freep) char *dir = real_path(real, "shared/deep/private");
    AUTO(freep) char *good = real_path(real, "shared/deep/private/ns");

    assert_ok(mounts_mount("tmpfs", shared, "tmpfs", NULL));
    assert_ok(mounts_make_shared(shared, false));
    assert_int_equal(mount(shared, peer, NULL, MS_BIND, NULL), 0);
    assert_err(ns_create(&real->ctx, bad, NS_MNT), ERR_REFUSED, "shared with others");
    assert_int_equal(access(bad, F_OK), -1); /* nothing is left behind */
    assert_ok(ns_dir_make(&real->ctx, dir));
    assert_ok(ns_dir_make(&real->ctx, dir));
    assert_ok(ns_create(&real->ctx, good, NS_MNT));
    assert_err(ns_dir_remove(&real->ctx, dir), ERR_REFUSED, NULL);
    assert_ok(ns_delete(&real->ctx, good));
    assert_ok(ns_dir_remove(&real->ctx, dir));
    assert_ok(ns_dir_remove(&real->ctx, dir));
    assert_int_equal(access(dir, F_OK), -1);
    assert_ok(mounts_umount(peer));
    assert_ok(mounts_umount(shared));
}

static void on_alarm(int sig)
{
}

/* The operator leans on Ctrl-C: whatever a flow does about that, a namespace is made whole. */
static void signals_do_not_disturb(void **state)
{
    const struct sigaction act = {.sa_handler = on_alarm};
    const struct itimerval storm = {{0, 2000}, {0, 2000}}, calm = {{0, 0}, {0, 0}};
    AUTO(freep) char *dir = real_dir(real, "storm");
    AUTO(freep) char *path = real_path(real, "storm/net");
    struct err *e = NULL;

    assert_ok(ns_dir_make(&real->ctx, dir));
    assert_int_equal(sigaction(SIGALRM, &act, NULL), 0);
    setitimer(ITIMER_REAL, &storm, NULL);
    for (int i = 0; i < 30 && !e; i++) {
        e = ns_create(&real->ctx, path, NS_NET);
        e = e ? e : ns_delete(&real->ctx, path);
    }
    setitimer(ITIMER_REAL, &calm, NULL);
    assert_ok(e);
    assert_ok(ns_dir_remove(&real->ctx, dir));
}

int main(void)
{
    static const char *const parts[] = {"namespaces", NULL};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mount_namespace_lives_by_its_file),
        cmocka_unit_test(a_network_namespace_has_lo),
        cmocka_unit_test(a_shared_mount_needs_a_folder_of_its_own),
        cmocka_unit_test(signals_do_not_disturb),
    };

    return real_main(real, parts, tests);
}
