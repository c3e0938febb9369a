/* host/kmsg: OOM kills from text, and a real one: a child in a memory cgroup of the test's own. */
#include "host/kmsg.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "fixture.h"
#include "host/cgroup.h"
#include "io/clock.h"
#include "io/fsroot.h"

#define BOOT 1700000000000

/* Linux 6.x, a pod's limit; what dmesg of a real one shows, shortened. */
static const char LIMIT[] =
    "4,901,81234567890,-;agave-validator invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0\n"
    "6,902,81234567891,-;Tasks state (memory values in pages):\n"
    "6,903,81234567895,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=ctr,"
    "mems_allowed=0,oom_memcg=/kubepods/podx,task_memcg=/kubepods/podx/ctr,task=agave-validator,"
    "pid=4321,uid=1000\n"
    " SUBSYSTEM=x\n"
    "3,904,81234567899,-;Memory cgroup out of memory: Killed process 4321 (agave-validator) "
    "total-vm:8836kB, anon-rss:7652kB, file-rss:1360kB, shmem-rss:0kB, UID:1000 pgtables:60kB "
    "oom_score_adj:0\n";

static void by_limit(void **state)
{
    AUTO(oom_kills_clear) struct oom_kills k = {0};

    kmsg_parse(LIMIT, BOOT, &k);
    assert_int_equal(k.n, 1);
    assert_int_equal(k.items[0].at_ms, BOOT + 81234567);
    assert_int_equal(k.items[0].pid, 4321);
    assert_string_equal(k.items[0].name, "agave-validator");
    assert_string_equal(k.items[0].cgroup, "/kubepods/podx/ctr");
    assert_true(k.items[0].by_limit);
    assert_false(k.older);
}

static void other_kernels_and_names(void **state)
{
    static const struct {
        const char *line, *name; /* NULL: no kill */
        int pid;
    } rows[] = {
        /* 4.19 */
        {"3,1,1000,-;Killed process 12 (bash) total-vm:1kB, anon-rss:2kB", "bash", 12},
        /* 5.4 */
        {"3,1,1000,-;Out of memory: Killed process 12 (a (b) c) total-vm:1kB, UID:0", "a (b) c",
         12},
        /* 3.10 */
        {"3,1,1000,-;Killed process 12 (java), UID 48, total-vm:1kB", "java", 12},
        {"3,1,1000,-;Killed process 12 () total-vm:1kB", "", 12},
        /* a name with an escape sequence, as the kernel and somebody else would print it */
        {"3,1,1000,-;Killed process 12 (\\x1b[2J) total-vm:1kB", "\\x1b[2J", 12},
        {"3,1,1000,-;Killed process 12 (\x1b[2J) total-vm:1kB", "?[2J", 12},
        /* written by a program: its facility is not the kernel's */
        {"12,1,1000,-;Out of memory: Killed process 12 (x) total-vm:1kB", NULL, 0},
        {"11,1,1000,-;Killed process 12 (x) total-vm:1kB", NULL, 0},
        /* nonsense */
        {"3,1,1000,-;Killed process x (x) total-vm:1kB", NULL, 0},
        {"3,1,1000,-;Killed process 0 (x) total-vm:1kB", NULL, 0},
        {"3,1,1000,-;Killed process 99999999999 (x) total-vm:1kB", NULL, 0},
        {"3,1,1000,-;Killed process 12", NULL, 0},
        {"3,1,1000,-;) total-vm: Killed process 12 (x", NULL, 0},
        {"3,1,1000", NULL, 0},
        {"Killed process 12 (x) total-vm:1kB", NULL, 0},
        {"3,1,x,-;Killed process 12 (x) total-vm:1kB", NULL, 0},
        {" 3,1,1000,-;Killed process 12 (x) total-vm:1kB", NULL, 0},
        {"", NULL, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(oom_kills_clear) struct oom_kills k = {0};

        kmsg_parse(rows[i].line, BOOT, &k);
        if (k.n != (rows[i].name != NULL) ||
            (k.n && (strcmp(k.items[0].name, rows[i].name) != 0 || k.items[0].pid != rows[i].pid ||
                     k.items[0].at_ms != BOOT + 1 || k.items[0].cgroup)))
            fail_msg("%s: %zu kills, '%s'", rows[i].line, k.n, k.n ? k.items[0].name : "");
    }
}

/* The cgroup belongs to the kill of the same pid only. */
static void another_pid(void **state)
{
    AUTO(oom_kills_clear) struct oom_kills k = {0};

    kmsg_parse(
        "6,1,1,-;oom-kill:constraint=CONSTRAINT_NONE,task_memcg=/a,task=x,pid=7,uid=0\n"
        "3,2,1,-;Out of memory: Killed process 8 (y) total-vm:1kB\n"
        "6,3,1,-;oom-kill:constraint=CONSTRAINT_NONE,task_memcg=/b,task=x,pid=1,pid=9,uid=0\n"
        "3,4,1,-;Out of memory: Killed process 9 (x,pid=1) total-vm:1kB\n",
        BOOT, &k);
    assert_int_equal(k.n, 2);
    assert_null(k.items[0].cgroup);
    assert_string_equal(k.items[1].cgroup, "/b");
    assert_false(k.items[1].by_limit);
}

static void the_newest_are_kept(void **state)
{
    AUTO(oom_kills_clear) struct oom_kills k = {0};
    AUTO(strbuf_clear) struct strbuf b = {0};

    for (int i = 1; i <= KMSG_KILLS_MAX + 3; i++)
        strbuf_printf(&b,
                      "6,1,1,-;oom-kill:task_memcg=/c%d,task=x,pid=%d,uid=0\n"
                      "3,1,%d000,-;Killed process %d (x) total-vm:1kB\n",
                      i, i, i, i);
    kmsg_parse(strbuf_text(&b), BOOT, &k);
    assert_int_equal(k.n, KMSG_KILLS_MAX);
    assert_true(k.older);
    assert_int_equal(k.items[0].pid, 4);
    assert_int_equal(k.items[KMSG_KILLS_MAX - 1].pid, KMSG_KILLS_MAX + 3);
}

/* A log that was captured as a plain file. */
static void a_captured_log(void **state)
{
    AUTO(oom_kills_clear) struct oom_kills k = {0};
    struct fixture f;

    fixture_new(&f);
    assert_err(kmsg_oom_kills(&f.ctx, &k), ERR_NOTFOUND, "/dev/kmsg");
    fixture_put(&f, "/dev/kmsg", "%s", LIMIT);
    assert_ok(kmsg_oom_kills(&f.ctx, &k));
    assert_int_equal(k.n, 1);
    assert_int_equal(k.items[0].pid, 4321);
    fixture_clear(&f);
}

/* ---- a real one ------------------------------------------------------------------------------ */

static bool put(const char *dir, const char *name, const char *text)
{
    AUTO(freep) char *path = xasprintf("%s/%s", dir, name);
    AUTO(closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* A memory cgroup with a limit of 16 MiB: below the one that the test runs in, or beside it, since
 * version 2 lets no cgroup but the root hold processes and share out memory. 0: not here. */
static int make_group(struct ctx *ctx, char *dir, size_t n)
{
    AUTO(cgroup_memory_clear) struct cgroup_memory own = {0};
    struct err *e = cgroup_memory(ctx, getpid(), &own);
    bool v1 = !e && own.version == 1;

    if (e) {
        err_free(e);
        return 0;
    }
    if (!v1)
        *strrchr(own.path, '/') = '\0';
    snprintf(dir, n, "/sys/fs/cgroup%s%s/agavectl-test-%d", v1 ? "/memory" : "", own.path,
             (int)getpid());
    if (mkdir(dir, 0755) < 0)
        return 0;
    if (put(dir, v1 ? "memory.limit_in_bytes" : "memory.max", "16777216"))
        return own.version;
    rmdir(dir);
    return 0;
}

static void die_of_memory(const char *dir)
{
    char *p;

    prctl(PR_SET_NAME, "oom (test)");
    if (!put(dir, "cgroup.procs", "0"))
        _exit(3);
    p = mmap(NULL, 64U << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        _exit(4);
    memset(p, 1, 64U << 20);
    _exit(p[12345]);
}

static void a_real_kill(void **state)
{
    AUTO(oom_kills_clear) struct oom_kills k = {0};
    AUTO(fsroot_closep) struct fsroot *root = NULL;
    struct ctx ctx = {.clock = &clock_system};
    uint64_t before_ms, after_ms;
    char dir[512];
    int status = 0, version = 0;
    pid_t pid;

    assert_ok(fsroot_open("/", &root));
    ctx.root = root;
    if (geteuid() == 0 && access("/dev/kmsg", R_OK) == 0)
        version = make_group(&ctx, dir, sizeof(dir));
    if (!version) {
        print_message("# not real: cgroups: needs root, /dev/kmsg and a memory cgroup\n");
        return;
    }
    before_ms = clock_wall_ms(&ctx);
    pid = fork();
    if (pid == 0)
        die_of_memory(dir);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    after_ms = clock_wall_ms(&ctx);
    for (int i = 0; rmdir(dir) < 0 && errno == EBUSY && i < 200; i++)
        usleep(10000); /* the dead child is taken out of it a moment later */
    assert_int_equal(access(dir, F_OK), -1);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

    assert_ok(kmsg_oom_kills(&ctx, &k));
    assert_true(k.n > 0);
    const struct oom_kill *last = &k.items[k.n - 1];
    assert_int_equal(last->pid, pid);
    assert_string_equal(last->name, "oom (test)");
    assert_true(last->by_limit);
    assert_true(last->at_ms + 5000 > before_ms && last->at_ms < after_ms + 5000);
    assert_non_null(last->cgroup);
    assert_non_null(strstr(last->cgroup, strrchr(dir, '/')));
    print_message(
        "# real: cgroups: version %d, a child killed for its memory, found in the kernel's "
        "log\n",
        version);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_limit),       cmocka_unit_test(other_kernels_and_names),
        cmocka_unit_test(another_pid),    cmocka_unit_test(the_newest_are_kept),
        cmocka_unit_test(a_captured_log), cmocka_unit_test(a_real_kill),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
