/* look/identity: real mounts, and processes in mount namespaces of their own as node and pod. Only
 * Docker's answer is made here: it names the node's process. */
#include "look/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "config/config.h"
#include "fixture.h"
#include "host/mounts.h"
#include "io/fsroot.h"
#include "io/http.h"
#include "look/boot_proof.h"
#include "real.h"

static struct real *real;

/* A process that only holds its mount namespace open. */
struct party {
    pid_t pid;
    int hold; /* it ends when this is closed */
};

static void party_end(struct party *p)
{
    if (p->pid <= 0)
        return;
    close(p->hold);
    assert_int_equal(waitpid(p->pid, NULL, 0), p->pid);
    *p = (struct party){0};
}

/* enter runs in the child, in a new namespace that is a copy of that of like (NULL: ours); argv:
 * what it becomes afterwards, with the pipe as its input. */
static struct party party_new(const struct party *like, void (*enter)(void),
                              const char *const *argv)
{
    int ready[2], hold[2];
    char byte;

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        AUTO(freep) char *ns = like ? xasprintf("/proc/%d/ns/mnt", (int)like->pid) : NULL;
        int fd = ns ? open(ns, O_RDONLY | O_CLOEXEC) : -1;

        close(hold[1]);
        if ((ns && setns(fd, CLONE_NEWNS) < 0) || unshare(CLONE_NEWNS) < 0)
            _exit(2);
        enter();
        dup2(hold[0], 0);
        execv("/bin/sh", (char *const *)(uintptr_t)argv);
        _exit(3);
    }
    close(ready[1]);
    close(hold[0]);
    assert_int_equal(read(ready[0], &byte, 1), 0); /* closed by its exec: it is ready */
    close(ready[0]);
    return (struct party){.pid = pid, .hold = hold[1]};
}

/* ---- the host: all of it below real->dir -------------------------------------------------------
 */

static char *at(const char *name)
{
    return xasprintf("%s%s", real->dir, name);
}

static void make(const char *name)
{
    AUTO(freep) char *path = at(name);

    assert_ok(fsroot_mkdirs(real->ctx.root, path, 0755));
}

static void mount_new(const char *name)
{
    AUTO(freep) char *path = at(name);

    assert_ok(mounts_mount("tmpfs", path, "tmpfs", NULL));
    assert_ok(mounts_make_shared(path, false));
}

static void umount_at(const char *name)
{
    AUTO(freep) char *path = at(name);

    assert_ok(mounts_umount(path));
}

static void mount_ramdisk(void)
{
    mount_new("/solana/ramdisk");
    make("/solana/ramdisk/accounts");
}

static void mount_volume(void)
{
    mount_new("/solana");
    make("/solana/ledger");
    make("/solana/snapshots");
    make("/solana/ramdisk/accounts"); /* below the mount point: what a pod would write into */
}

static void bind_volume(void)
{
    AUTO(freep) char *from = at("/solana");
    AUTO(freep) char *to = at("/kind/solana");

    assert_ok(mounts_rbind(from, to));
}

static void host_new(void)
{
    make("/solana");
    make("/kind");
    make("/mnt");
    make("/data/ledger");
    make("/data/accounts");
    mount_new("/kind");
    make("/kind/solana/ledger");
    make("/kind/solana/snapshots");
    make("/kind/solana/ramdisk/accounts");
}

/* ---- the node ----------------------------------------------------------------------------------
 */

/* For a child: no cmocka there. */
static void must(int result)
{
    if (result < 0)
        _exit(4);
}

static void bind_mnt(unsigned long how, unsigned long type)
{
    AUTO(freep) char *from = at("/kind");
    AUTO(freep) char *to = at("/mnt");

    /* as runc: everything is a slave first, then the bind is given what was asked for */
    must(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL));
    must(mount(from, to, NULL, MS_BIND | how, NULL));
    must(mount(NULL, to, NULL, how | type, NULL));
}
static void host_to_container(void)
{
    bind_mnt(MS_REC, MS_SLAVE);
}
static void bidirectional(void)
{
    bind_mnt(MS_REC, MS_SHARED);
}
static void none(void)
{
    bind_mnt(MS_REC, MS_PRIVATE);
}
static void one_mount_only(void)
{
    bind_mnt(0, MS_SLAVE);
}
/* The volume gets through, but not what is mounted on it. */
static void without_the_ramdisk(void)
{
    AUTO(freep) char *from = at("/solana");
    AUTO(freep) char *to = at("/mnt/solana");

    bind_mnt(0, MS_SLAVE);
    must(mount(from, to, NULL, MS_BIND, NULL));
    must(mount(NULL, to, NULL, MS_SLAVE, NULL));
}

static struct party node_new(void (*enter)(void))
{
    return party_new(NULL, enter, (const char *const[]){"sh", "-c", "read x", NULL});
}

/* ---- the pod: its folders are binds of the node's, private as the kubelet's are
 * ------------------ */

static void pod_binds(void)
{
    static const char *const all[][2] = {{"/mnt/solana/ledger", "/data/ledger"},
                                         {"/mnt/solana/ramdisk/accounts", "/data/accounts"}};

    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        AUTO(freep) char *from = at(all[i][0]);
        AUTO(freep) char *to = at(all[i][1]);

        must(mount(from, to, NULL, MS_BIND, NULL));
    }
    AUTO(freep) char *lock = at("/data/ledger/ledger.lock");
    int fd = open(lock, O_RDWR | O_CREAT, 0644); /* held by what it becomes */
    must(fd);
    must(flock(fd, LOCK_EX | LOCK_NB));
}

static struct party validator_new(const struct party *node, void (*enter)(void))
{
    AUTO(freep) char *ledger = at("/data/ledger");
    AUTO(freep) char *accounts = at("/data/accounts");
    const char *const argv[] = {"agave-validator", "-c",       "read x",
                                "agave-validator", "--ledger", ledger,
                                "--accounts",      accounts,   NULL};

    return party_new(node, enter, argv);
}

/* ---- looking -----------------------------------------------------------------------------------
 */

struct world {
    struct party node, pod;
    bool docker_is_down;
};
static struct world world;

static struct err *docker(struct ctx *ctx, const struct http_request *reqs, size_t n,
                          struct http_response *ret)
{
    for (size_t i = 0; i < n; i++) {
        const char *url = reqs[i].url;

        ret[i] = (struct http_response){.status = 200};
        if (world.docker_is_down)
            ret[i].err = err_new(ERR_ABSENT, "nobody listens on the socket");
        else if (strstr(url, "/version"))
            ret[i].body = xstrdup("{\"ApiVersion\": \"1.41\", \"MinAPIVersion\": \"1.12\","
                                  " \"Version\": \"20.10.24\"}");
        else if (strstr(url, "/info"))
            ret[i].body = xstrdup("{}");
        else
            ret[i].body = xasprintf("{\"Id\": \"0123456789ab\", \"Name\": \"/n1\","
                                    " \"State\": {\"Status\": \"running\", \"Running\": %s,"
                                    " \"Pid\": %d}, \"Config\": {}, \"HostConfig\": {}}",
                                    world.node.pid ? "true" : "false", (int)world.node.pid);
        ret[i].body_n = ret[i].body ? strlen(ret[i].body) : 0;
    }
    return NULL;
}

#define CONFIG                                                                                     \
    "storage:\n  volume: {mount: %s/solana}\n  ramdisk: {kind: tmpfs, size_gib: 1, mount: "        \
    "%s/solana/ramdisk}\n"                                                                         \
    "  kind_root: %s/kind\n  bind: %s/kind/solana\n"                                               \
    "validator:\n  runtime: kubernetes\n  ledger: %s/solana/ledger\n"                              \
    "  accounts: %s/solana/ramdisk/accounts\n  snapshots: %s/solana/snapshots\n"                   \
    "kind: {node: n1, mount: %s/mnt}\ndocker: {socket: /run/docker.sock}\n"

/* Without an assertion: also for a child. */
static struct err *ask(const char *yaml, struct identity *ret)
{
    static const struct http_ops ops = {.many = docker};
    AUTO(config_freep) struct config *cfg = NULL;
    AUTO(scene_freep) struct scene *scene = scene_new();
    struct ctx ctx = real->ctx;

    TRY(config_parse(yaml, strlen(yaml), "test", &cfg));
    ctx.cfg = cfg;
    ctx.http = &ops;
    return identity_look(&ctx, scene, ret);
}

static char *usual(void)
{
    const char *d = real->dir;

    return xasprintf(CONFIG, d, d, d, d, d, d, d, d);
}

static void look(struct identity *ret)
{
    AUTO(freep) char *yaml = usual();

    assert_ok(ask(yaml, ret));
}

static void assert_view(const struct identity *i, const char *place, enum identity_space space,
                        enum identity_answer answer, enum identity_wrong wrong)
{
    const struct identity_place *p = identity_find(i, place);

    if (!p)
        fail_msg("there is no place '%s'", place);
    const struct identity_view *v = &p->views[space];
    if (v->answer != answer || v->wrong != wrong)
        fail_msg("'%s' of %s at '%s': answer %d wrong %d, expected %d %d (is %s, why %s)", place,
                 i->spaces[space].who, v->path ? v->path : "-", v->answer, v->wrong, answer, wrong,
                 v->is ? v->is : "-", v->why ? v->why : "-");
    assert_int_equal(v->why != NULL, answer != IDENTITY_SAME && answer != IDENTITY_NOT_APPLICABLE);
}
#define SAME(i, place, space)         assert_view(i, place, space, IDENTITY_SAME, IDENTITY_WRONG_NONE)
#define WRONG(i, place, space, wrong) assert_view(i, place, space, IDENTITY_DIFFERENT, wrong)

static void assert_receives(const struct identity *i, bool ok)
{
    assert_true(i->n_receives >= 1);
    for (size_t k = 0; k < i->n_receives; k++)
        assert_int_equal(i->receives[k].ok, ok);
}

static int begin(void **state)
{
    host_new();
    return 0;
}

static int end(void **state)
{
    party_end(&world.pod);
    party_end(&world.node);
    world.docker_is_down = false;
    real_umount_all(real);
    return 0;
}

/* ---- the tests ---------------------------------------------------------------------------------
 */

static void later_mounts_arrive_in(void (*enter)(void))
{
    AUTO(identity_clear) struct identity i = {0};
    AUTO(freep) char *why = NULL;

    world.node = node_new(enter);
    mount_volume();
    bind_volume();
    mount_ramdisk();
    world.pod = validator_new(&world.node, pod_binds);
    look(&i);
    SAME(&i, "ledger", IDENTITY_NODE);
    SAME(&i, "accounts", IDENTITY_NODE);
    SAME(&i, "snapshots", IDENTITY_NODE);
    SAME(&i, "volume", IDENTITY_NODE);
    SAME(&i, "ramdisk", IDENTITY_NODE);
    SAME(&i, "ledger", IDENTITY_POD);
    SAME(&i, "accounts", IDENTITY_POD);
    assert_receives(&i, true);
    assert_int_equal(identity_sum(&i, IDENTITY_NODE, &why), IDENTITY_SAME);
    assert_null(why);
}

static void a_slave_and_a_peer_have_what_is_mounted_later(void **state)
{
    later_mounts_arrive_in(host_to_container);
    end(state);
    begin(state);
    later_mounts_arrive_in(bidirectional);
}

/* Each mount that did not get through is named by its mount point. */
static void a_private_node_has_the_folders_below(void **state)
{
    AUTO(identity_clear) struct identity i = {0}, later = {0};
    AUTO(freep) char *why = NULL;

    world.node = node_new(none);
    mount_volume();
    bind_volume();
    look(&i);
    WRONG(&i, "ledger", IDENTITY_NODE, IDENTITY_WRONG_BELOW);
    WRONG(&i, "volume", IDENTITY_NODE, IDENTITY_WRONG_BELOW);
    assert_non_null(strstr(identity_find(&i, "ledger")->views[IDENTITY_NODE].why, "/kind/solana'"));
    assert_null(identity_find(&i, "ramdisk")); /* the host has none either */
    assert_receives(&i, false);
    party_end(&world.node);
    world.node = node_new(none); /* made again, before the RAM disk is there */
    mount_ramdisk();
    look(&later);
    SAME(&later, "ledger", IDENTITY_NODE);
    SAME(&later, "volume", IDENTITY_NODE);
    WRONG(&later, "accounts", IDENTITY_NODE, IDENTITY_WRONG_BELOW);
    WRONG(&later, "ramdisk", IDENTITY_NODE, IDENTITY_WRONG_BELOW);
    assert_int_equal(identity_sum(&later, IDENTITY_NODE, &why), IDENTITY_DIFFERENT);
    assert_non_null(strstr(why, "/kind/solana/ramdisk'"));
}

static void a_bind_of_one_mount_lacks_the_others(void **state)
{
    AUTO(identity_clear) struct identity i = {0}, volume = {0};

    mount_volume();
    mount_ramdisk();
    bind_volume();
    world.node = node_new(one_mount_only);
    look(&i);
    WRONG(&i, "ledger", IDENTITY_NODE, IDENTITY_WRONG_BELOW);
    party_end(&world.node);
    world.node = node_new(without_the_ramdisk);
    look(&volume);
    SAME(&volume, "ledger", IDENTITY_NODE);
    WRONG(&volume, "accounts", IDENTITY_NODE, IDENTITY_WRONG_BELOW);
    assert_receives(&volume, true);
}

/* The RAM disk was mounted anew: a private node keeps the old one, with everything in it. */
static void a_bind_from_before_a_remount_is_stale(void **state)
{
    AUTO(identity_clear) struct identity i = {0};

    mount_volume();
    mount_ramdisk();
    bind_volume();
    world.node = node_new(none);
    world.pod = validator_new(&world.node, pod_binds);
    umount_at("/solana/ramdisk");
    mount_ramdisk();
    look(&i);
    SAME(&i, "ledger", IDENTITY_NODE);
    WRONG(&i, "accounts", IDENTITY_NODE, IDENTITY_WRONG_STALE);
    WRONG(&i, "ramdisk", IDENTITY_NODE, IDENTITY_WRONG_STALE);
    SAME(&i, "ledger", IDENTITY_POD);
    WRONG(&i, "accounts", IDENTITY_POD, IDENTITY_WRONG_STALE);
}

/* The pod came before the RAM disk: the node has it by now, and the pod writes below it. */
static void a_pod_keeps_what_was_there_when_it_was_made(void **state)
{
    AUTO(identity_clear) struct identity i = {0}, again = {0};

    mount_volume();
    bind_volume();
    world.node = node_new(host_to_container);
    world.pod = validator_new(&world.node, pod_binds);
    mount_ramdisk();
    look(&i);
    SAME(&i, "accounts", IDENTITY_NODE);
    SAME(&i, "ledger", IDENTITY_POD);
    WRONG(&i, "accounts", IDENTITY_POD, IDENTITY_WRONG_BELOW);
    assert_view(&i, "snapshots", IDENTITY_POD, IDENTITY_NOT_APPLICABLE, IDENTITY_WRONG_NONE);
    party_end(&world.pod);
    world.pod = validator_new(&world.node, pod_binds);
    look(&again);
    SAME(&again, "accounts", IDENTITY_POD);
}

static void no_binds(void)
{
    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
}

/* Of the host it has only what its shell runs from. */
static void into_a_jail(void)
{
    static const char *const shells[] = {"/bin", "/lib", "/lib64", "/usr"};
    AUTO(freep) char *jail = at("/jail");

    no_binds();
    for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
        AUTO(freep) char *to = xasprintf("%s%s", jail, shells[i]);

        if (access(shells[i], F_OK) < 0)
            continue;
        must(mkdir(to, 0755));
        must(mount(shells[i], to, NULL, MS_BIND, NULL));
    }
    must(chroot(jail));
    must(chdir("/"));
}

/* An absolute link in a container leads where it leads there, never to the host's folder. */
static void links_do_not_lead_out(void **state)
{
    AUTO(identity_clear) struct identity i = {0}, there = {0};
    AUTO(freep) char *folder = xasprintf("/jail%s/mnt", real->dir);
    AUTO(freep) char *name = xasprintf("/jail%s/mnt/solana", real->dir);
    AUTO(freep) char *target = at("/solana");
    AUTO(freep) char *inside = xasprintf("/jail%s/solana/ledger", real->dir);

    mount_volume();
    bind_volume();
    make("/jail");
    mount_new("/jail");
    make(folder);
    AUTO(freep) char *link = at(name);
    assert_int_equal(symlink(target, link), 0); /* the host has that folder, the jail does not */
    world.node = node_new(into_a_jail);
    look(&i);
    assert_view(&i, "ledger", IDENTITY_NODE, IDENTITY_ABSENT, IDENTITY_WRONG_NONE);
    make(inside);
    look(&there);
    WRONG(&there, "ledger", IDENTITY_NODE, IDENTITY_WRONG_OTHER);
}

static void put_sentinel(const char *name, const char *boot_id)
{
    AUTO(boot_proof_clear) struct boot_proof p = {0};
    AUTO(freep) char *path = at(name);

    assert_ok(boot_proof_new(&real->ctx, &p));
    if (boot_id)
        snprintf(p.boot_id, sizeof(p.boot_id), "%s", boot_id);
    assert_ok(boot_proof_write(&real->ctx, path, &p));
}

#define OLD_BOOT "00000000-0000-4000-8000-000000000001"

static void the_sentinel_is_this_boots(void **state)
{
    AUTO(identity_clear) struct identity i = {0}, old = {0}, other = {0}, none_yet = {0};

    mount_volume();
    bind_volume();
    world.node = node_new(host_to_container);
    look(&none_yet);
    assert_view(&none_yet, "sentinel", IDENTITY_NODE, IDENTITY_NOT_APPLICABLE, IDENTITY_WRONG_NONE);
    put_sentinel("/solana/" BOOT_PROOF_SENTINEL, NULL);
    look(&i);
    SAME(&i, "sentinel", IDENTITY_HOST);
    SAME(&i, "sentinel", IDENTITY_NODE);
    put_sentinel("/solana/" BOOT_PROOF_SENTINEL, OLD_BOOT);
    look(&old);
    WRONG(&old, "sentinel", IDENTITY_HOST, IDENTITY_WRONG_OLD_BOOT);
    /* a node that was left with the folder below, and a copy of another boot in it */
    party_end(&world.node);
    umount_at("/kind/solana");
    put_sentinel("/kind/solana/" BOOT_PROOF_SENTINEL, OLD_BOOT);
    world.node = node_new(none);
    bind_volume();
    put_sentinel("/solana/" BOOT_PROOF_SENTINEL, NULL);
    look(&other);
    SAME(&other, "sentinel", IDENTITY_HOST);
    WRONG(&other, "sentinel", IDENTITY_NODE, IDENTITY_WRONG_OLD_BOOT);
}

static void what_cannot_be_seen_is_not_ok(void **state)
{
    AUTO(identity_clear) struct identity down = {0}, stopped = {0}, gone = {0};
    AUTO(freep) char *why = NULL;
    AUTO(freep) char *why_gone = NULL;

    mount_volume();
    bind_volume();
    world.docker_is_down = true;
    look(&down);
    assert_int_equal(identity_sum(&down, IDENTITY_NODE, &why), IDENTITY_UNSEEN);
    assert_non_null(strstr(why, "nobody listens"));
    assert_view(&down, "ledger", IDENTITY_NODE, IDENTITY_UNSEEN, IDENTITY_WRONG_NONE);
    world.docker_is_down = false;
    look(&stopped);
    assert_view(&stopped, "ledger", IDENTITY_NODE, IDENTITY_UNSEEN, IDENTITY_WRONG_NONE);
    world.node = node_new(host_to_container);
    struct party ended = world.node;
    party_end(&ended);
    look(&gone); /* Docker's answer is a moment old */
    assert_int_equal(identity_sum(&gone, IDENTITY_NODE, &why_gone), IDENTITY_UNSEEN);
    world.node = (struct party){0};
}

/* Whoever may not look is told so. In a child: it gives its rights away. */
static void without_rights_it_is_unseen(void **state)
{
    int status;

    mount_volume();
    bind_volume();
    world.node = node_new(host_to_container);
    pid_t pid = fork();
    if (pid == 0) {
        AUTO(identity_clear) struct identity i = {0};
        AUTO(freep) char *yaml = usual();

        must(chmod(real->dir, 0755));
        must(setgid(65534));
        must(setuid(65534));
        if (ask(yaml, &i))
            _exit(5);
        const struct identity_place *p = identity_find(&i, "ledger");
        const struct identity_view *v = &p->views[IDENTITY_NODE];
        _exit(v->answer == IDENTITY_UNSEEN && v->why ? 0 : 6);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* No kind, no Kubernetes: the validator's own view is compared by the names of the host. */
static void a_validator_on_the_host(void **state)
{
    AUTO(identity_clear) struct identity i = {0}, below = {0}, nobody = {0};
    AUTO(freep) char *why = NULL;
    const char *d = real->dir;
    AUTO(freep)
    char *yaml = xasprintf("storage:\n  volume: {mount: %s/solana}\n"
                           "  ramdisk: {kind: tmpfs, size_gib: 1, mount: %s/solana/ramdisk}\n"
                           "  kind_root: \"\"\n  bind: \"\"\n"
                           "validator:\n  ledger: %s/data/ledger\n  accounts: %s/data/accounts\n",
                           d, d, d, d);

    assert_ok(ask(yaml, &nobody));
    assert_true(nobody.spaces[IDENTITY_NODE].none && nobody.spaces[IDENTITY_POD].none);
    assert_int_equal(identity_sum(&nobody, IDENTITY_NODE, &why), IDENTITY_NOT_APPLICABLE);
    assert_int_equal(identity_sum(&nobody, IDENTITY_POD, &why), IDENTITY_NOT_APPLICABLE);
    world.pod = validator_new(NULL, no_binds);
    assert_ok(ask(yaml, &i));
    SAME(&i, "ledger", IDENTITY_POD);
    SAME(&i, "accounts", IDENTITY_POD);
    mount_new("/data/ledger");
    assert_ok(ask(yaml, &below));
    WRONG(&below, "ledger", IDENTITY_POD, IDENTITY_WRONG_BELOW);
}

int main(void)
{
    static const char *const parts[] = {"mounts", "namespaces", NULL};
#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_slave_and_a_peer_have_what_is_mounted_later),
        TEST(a_private_node_has_the_folders_below),
        TEST(a_bind_of_one_mount_lacks_the_others),
        TEST(a_bind_from_before_a_remount_is_stale),
        TEST(a_pod_keeps_what_was_there_when_it_was_made),
        TEST(links_do_not_lead_out),
        TEST(the_sentinel_is_this_boots),
        TEST(what_cannot_be_seen_is_not_ok),
        TEST(without_rights_it_is_unseen),
        TEST(a_validator_on_the_host),
    };

    return real_main(real, parts, tests);
}
