/* host/block, block_users, mkfs, loop, zram, mounts on real loop devices and real file systems. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/str.h"
#include "fixture.h"
#include "host/block.h"
#include "host/block_id.h"
#include "host/block_users.h"
#include "host/loop.h"
#include "host/mkfs.h"
#include "host/mounts.h"
#include "host/pid_files.h"
#include "host/pids.h"
#include "host/thread_wait.h"
#include "host/zram.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "io/proc.h"
#include "real.h"

#define MIB (1ULL << 20)

static struct real *real;

static enum block_content content_of(const char *dev, const char *want_what)
{
    AUTO(block_info_clear) struct block_info b = {0};

    assert_ok(block_probe(&real->ctx, dev, &b));
    if (!strstr(b.what, want_what))
        print_error("what: %s\n", b.what);
    assert_non_null(strstr(b.what, want_what));
    return b.content;
}

/* mkfs must refuse, and not one byte of the device may differ afterwards. */
static void refuses(const char *dev, const char *why)
{
    unsigned long long before = real_sum(real, dev);

    assert_err(mkfs_xfs(&real->ctx, dev, NULL), ERR_REFUSED, why);
    assert_true(real_sum(real, dev) == before);
}

static void detach(const char *dev)
{
    assert_ok(loop_detach(&real->ctx, dev));
}

static void blank_becomes_xfs(void **state)
{
    AUTO(freep) char *dev = real_loop(real, "blank", 512 * MIB);
    AUTO(freep) char *at = real_dir(real, "mnt");
    AUTO(block_info_clear) struct block_info b = {0};
    AUTO(mounts_clear) struct mounts m = {0};
    struct stat st;

    assert_int_equal(content_of(dev, "nothing"), BLOCK_BLANK);
    assert_ok(mkfs_xfs(&real->ctx, dev, "solana"));
    assert_ok(block_probe(&real->ctx, dev, &b));
    assert_int_equal(b.content, BLOCK_FILESYSTEM);
    assert_string_equal(b.fstype, "xfs");
    assert_string_equal(b.label, "solana");
    assert_int_equal(strlen(b.uuid), 36);
    assert_true(b.size_b == 512 * MIB);
    assert_int_equal(stat(dev, &st), 0);
    refuses(dev, "an xfs file system (label 'solana')");
    assert_ok(mounts_mount(dev, at, "xfs", "noatime"));
    assert_ok(mounts_read(&real->ctx, &m));
    const struct mount_info *x = mounts_at(&m, at);
    assert_non_null(x);
    assert_int_equal(x->minor, b.minor);
    assert_non_null(strstr(x->options, "noatime"));
    assert_err(loop_detach(&real->ctx, dev), ERR_REFUSED, "in use");
    assert_ok(mounts_umount(at));
    assert_err(mounts_umount(at), ERR_NOTFOUND, "nothing is mounted");
    detach(dev);
}

static void other_file_systems_are_not_overwritten(void **state)
{
    AUTO(freep) char *dev = real_loop(real, "ext4", 400 * MIB);
    const char *argv[] = {"mkfs.ext4", "-q", "-L", "precious", dev, NULL};

    real_run(real, argv);
    assert_int_equal(content_of(dev, "an ext4 file system (label 'precious')"), BLOCK_FILESYSTEM);
    refuses(dev, "ext4");
    detach(dev);
}

/* A DOS partition table with one entry (MBR, 16 bytes at 446). */
static void partition_tables_are_not_overwritten(void **state)
{
    static const uint8_t entry[16] = {0, 1, 1, 0, 0x83, 9, 9, 9, 0, 8, 0, 0, 0, 0, 8, 0};
    AUTO(freep) char *dev = real_loop(real, "dos", 400 * MIB);

    real_write(dev, 440, "\x12\x34\x56\x78", 4);
    real_write(dev, 446, entry, sizeof(entry));
    real_write(dev, 510, "\x55\xaa", 2);
    assert_int_equal(content_of(dev, "a partition table (dos)"), BLOCK_PARTITIONS);
    refuses(dev, "partition table");
    detach(dev);
}

static void swap_is_not_overwritten(void **state)
{
    AUTO(freep) char *dev = real_loop(real, "swap", 400 * MIB);
    const char *argv[] = {"mkswap", dev, NULL};

    real_run(real, argv);
    assert_int_equal(content_of(dev, "swap space"), BLOCK_SWAP);
    refuses(dev, "swap");
    detach(dev);
}

/* LVM2 label: "LABELONE" in sector 1, its type at 24. */
static void members_of_larger_things_are_not_overwritten(void **state)
{
    AUTO(freep) char *dev = real_loop(real, "lvm", 400 * MIB);
    uint8_t label[64] = "LABELONE\1";

    memcpy(label + 24, "LVM2 001", 8);
    label[20] = 32;
    real_write(dev, 512, label, sizeof(label));
    AUTO(block_info_clear) struct block_info b = {0};
    assert_ok(block_probe(&real->ctx, dev, &b));
    /* whether libblkid takes the label or not (its checksum is wrong), it is never blank */
    assert_true(b.content == BLOCK_MEMBER || b.content == BLOCK_UNKNOWN);
    refuses(dev, b.what);
    detach(dev);
}

/* A ZFS label has its uberblocks in a ring of 1 KiB slots from byte 128 KiB of each of four labels
 * (OpenZFS on-disk format, uberblock magic 0x00bab10c). */
static void zfs_is_recognised(void **state)
{
    AUTO(freep) char *dev = real_loop(real, "zfs", 400 * MIB);
    static const uint64_t uber[] = {0x00bab10c, 5000, 4, 0, 0};
    static const uint64_t labels[] = {0, 256 << 10, (400 << 20) - (512 << 10),
                                      (400 << 20) - (256 << 10)};

    for (size_t l = 0; l < ARRAY_LEN(labels); l++)
        for (size_t i = 0; i < 8; i++)
            real_write(dev, labels[l] + (128 << 10) + i * 1024, uber, sizeof(uber));
    assert_int_equal(content_of(dev, "zfs_member"), BLOCK_MEMBER);
    refuses(dev, "zfs_member");
    detach(dev);
}

static void bytes_without_a_signature_are_not_blank(void **state)
{
    static const unsigned long long places[] = {0, 700001, 200 * MIB / 256 * 100 / 4096 * 4096 + 7,
                                                200 * MIB - 1};

    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        AUTO(freep) char *name = xasprintf("bytes%zu", i);
        AUTO(freep) char *dev = real_loop(real, name, 200 * MIB);

        real_write(dev, places[i], "x", 1);
        assert_int_equal(content_of(dev, "without a known signature"), BLOCK_UNKNOWN);
        refuses(dev, "without a known signature");
        detach(dev);
    }
}

static void too_small_and_read_only(void **state)
{
    AUTO(freep) char *small = real_loop(real, "small", 200 * MIB);
    AUTO(freep) char *file = real_image(real, "ro", 400 * MIB);
    AUTO(freep) char *ro = NULL;
    AUTO(block_info_clear) struct block_info b = {0};

    refuses(small, "at least 300 MiB");
    detach(small);
    assert_ok(loop_attach(file, &(struct loop_opts){.read_only = true}, &ro));
    assert_ok(block_probe(&real->ctx, ro, &b));
    assert_true(b.read_only);
    refuses(ro, "read-only");
    detach(ro);
}

static void not_devices(void **state)
{
    AUTO(freep) char *file = real_image(real, "file", 400 * MIB);
    AUTO(block_info_clear) struct block_info b = {0};
    AUTO(block_users_clear) struct block_users u = {0};

    assert_err(block_probe(&real->ctx, file, &b), ERR_BADINPUT, "not a block device");
    assert_err(block_users(&real->ctx, file, &u), ERR_BADINPUT, "not a block device");
    assert_err(block_probe(&real->ctx, "/dev/no-such", &b), ERR_NOTFOUND, "/dev/no-such");
    assert_err(block_probe(&real->ctx, "/dev/null", &b), ERR_BADINPUT, "not a block device");
    assert_err(mkfs_xfs(&real->ctx, "/dev/no-such", NULL), ERR_NOTFOUND, NULL);
    assert_err(mkfs_xfs(&real->ctx, file, "longer-than-12-bytes"), ERR_BADINPUT, "label");
}

struct child {
    pid_t pid;
    int go;
};

/* A child in a mount namespace of its own that mounts dev (or opens it) and waits. */
static struct child other_process_in(const char *dev, const char *at, const char *cwd)
{
    int ready[2], go[2];
    char c = 1;

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(go[1]);
        if (at)
            c = unshare(CLONE_NEWNS) < 0 || mount(dev, at, "xfs", 0, NULL) < 0 ||
                (cwd && (chdir(at) < 0 || chdir(cwd) < 0));
        else
            c = open(dev, O_RDONLY | O_CLOEXEC) < 0;
        if (write(ready[1], &c, 1) == 1)
            while (read(go[0], &c, 1) < 0)
                ;
        _exit(0);
    }
    close(ready[1]);
    close(go[0]);
    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_int_equal(c, 0);
    close(ready[0]);
    return (struct child){.pid = pid, .go = go[1]};
}

static struct child other_process(const char *dev, const char *at)
{
    return other_process_in(dev, at, NULL);
}

static void end(struct child c)
{
    close(c.go);
    waitpid(c.pid, NULL, 0);
}

static char *users_of(const char *dev, enum block_user_kind want)
{
    AUTO(block_users_clear) struct block_users u = {0};
    bool found = false;

    assert_ok(block_users(&real->ctx, dev, &u));
    for (size_t i = 0; i < u.n; i++)
        found |= u.items[i].kind == want;
    assert_true(found);
    return block_users_text(&u);
}

static void users_are_named(void **state)
{
    AUTO(freep) char *dev = real_loop(real, "users", 400 * MIB);
    AUTO(freep) char *at = real_dir(real, "at");
    AUTO(block_users_clear) struct block_users none = {0};

    assert_ok(block_users(&real->ctx, dev, &none));
    AUTO(freep) char *nobody = block_users_text(&none);
    assert_string_equal(nobody, "nobody");

    struct child opener = other_process(dev, NULL);
    AUTO(freep) char *open_text = users_of(dev, BLOCK_USER_OPEN);
    AUTO(freep) char *pid_text = xasprintf("open in process %d (", (int)opener.pid);
    assert_non_null(strstr(open_text, pid_text));
    refuses(dev, pid_text);
    end(opener);

    assert_ok(mkfs_xfs(&real->ctx, dev, NULL));
    assert_ok(mounts_mount(dev, at, "xfs", NULL));
    AUTO(freep) char *here = users_of(dev, BLOCK_USER_MOUNT);
    AUTO(freep) char *here_want = xasprintf("mounted at '%s'", at);
    assert_string_equal(here, here_want);
    assert_ok(mounts_umount(at));

    struct child mounter = other_process(dev, at);
    AUTO(freep) char *there = users_of(dev, BLOCK_USER_MOUNT);
    AUTO(freep)
    char *there_want =
        xasprintf("mounted at '%s' in the mount namespace of process %d", at, (int)mounter.pid);
    assert_non_null(strstr(there, there_want));
    end(mounter);
    detach(dev);
}

static void swap_and_loops_on_top_are_users(void **state)
{
    AUTO(freep) char *dev = real_loop(real, "below", 400 * MIB);
    AUTO(freep) char *top = NULL;

    assert_ok(loop_attach(dev, NULL, &top));
    AUTO(freep) char *text = users_of(dev, BLOCK_USER_LOOP);
    assert_non_null(strstr(text, top));
    detach(top);
    detach(dev);
}

static void loops_are_found_by_their_file(void **state)
{
    AUTO(freep) char *file = real_image(real, "find", 8 * MIB);
    AUTO(freep) char *alias = real_path(real, "alias");
    AUTO(freep) char *dev = NULL;
    AUTO(freep) char *backing = NULL;
    AUTO(strlist_clear) struct strlist none = {0};
    AUTO(strlist_clear) struct strlist found = {0};

    assert_int_equal(link(file, alias), 0);
    assert_ok(loop_find(&real->ctx, file, &none));
    assert_int_equal(none.n, 0);
    assert_ok(loop_attach(file, &(struct loop_opts){.direct_io = true, .sector_b = 4096}, &dev));
    assert_ok(loop_find(&real->ctx, alias, &found));
    assert_int_equal(found.n, 1);
    assert_string_equal(found.items[0], dev);
    assert_ok(loop_backing(&real->ctx, dev, &backing));
    assert_string_equal(backing, file);
    AUTO(block_info_clear) struct block_info b = {0};
    assert_ok(block_probe(&real->ctx, dev, &b));
    assert_int_equal(b.sector_b, 4096);
    AUTO(freep) char *what = xasprintf("loop device on '%s', 8.0 MiB", file);
    assert_ok(block_id_expect(&real->ctx, dev, what));
    detach(dev);
    assert_err(block_id_expect(&real->ctx, dev, what), ERR_REFUSED, "without a file");
    assert_ok(loop_detach(&real->ctx, dev)); /* again is fine */
    assert_err(loop_attach("/no/such", NULL, &dev), ERR_NOTFOUND, "/no/such");
}

static volatile sig_atomic_t cancelled;

/* The operator interrupts as soon as the program runs. */
static struct err *interrupted_run(struct ctx *ctx, const struct proc_spec *spec,
                                   struct proc_result *ret)
{
    cancelled = 1;
    return proc_system.run(ctx, spec, ret);
}

static void an_interrupt_leaves_no_half_file_system(void **state)
{
    static const struct proc_ops ops = {.run = interrupted_run};
    AUTO(freep) char *dev = real_loop(real, "interrupted", 400 * MIB);
    struct ctx ctx = real->ctx;

    ctx.proc = &ops;
    ctx.cancelled = &cancelled;
    cancelled = 0;
    assert_ok(mkfs_xfs(&ctx, dev, NULL));
    assert_int_equal(content_of(dev, "an xfs file system"), BLOCK_FILESYSTEM);
    detach(dev);
}

static void zram_comes_and_goes(void **state)
{
    AUTO(freep) char *dev = real_zram(real, 600 * MIB);
    AUTO(freep) char *at = real_dir(real, "zram");
    AUTO(block_info_clear) struct block_info b = {0};
    enum ramdev kind = RAMDEV_NONE;

    if (!dev)
        return; /* said so */
    assert_ok(block_probe(&real->ctx, dev, &b));
    assert_int_equal(b.content, BLOCK_BLANK);
    assert_true(b.size_b == 600 * MIB);
    assert_ok(ramdev_kind(&real->ctx, b.major, b.minor, &kind));
    assert_int_equal(kind, RAMDEV_ZRAM);
    AUTO(block_id_clear) struct block_id id = {0};
    assert_ok(block_id_read(&real->ctx, dev, &id));
    assert_int_equal(id.kind, BLOCK_ID_ZRAM);
    assert_true(id.size_b == 600 * MIB);
    assert_ok(mkfs_xfs(&real->ctx, dev, NULL));
    assert_ok(block_id_expect(&real->ctx, dev, id.text)); /* content is no part of it */
    assert_ok(mounts_mount(dev, at, "xfs", NULL));
    assert_err(zram_remove(&real->ctx, dev), ERR_REFUSED, "in use");
    assert_ok(mounts_umount(at));
    real_zram_remove(real, dev);
    assert_err(zram_remove(&real->ctx, "/dev/zram987654"), ERR_NOTFOUND, "zram987654");
    assert_err(zram_remove(&real->ctx, "/dev/loop0"), ERR_BADINPUT, NULL);
}

static struct err *is_stuck(struct ctx *ctx, void *arg, bool *ret)
{
    AUTO(threads_clear) struct threads t = {0};
    struct pid_id *id = arg;

    TRY(pid_start(ctx, id->pid, &id->start));
    TRY(pid_threads_stuck(ctx, *id, &t));
    *ret = t.n == 1;
    return NULL;
}

/* A D state without a broken disk: the file system is frozen under a writer. */
static void a_writer_on_a_frozen_file_system_is_stuck(void **state)
{
    AUTO(freep) char *dev = real_loop(real, "frozen", 400 * MIB);
    AUTO(freep) char *at = real_dir(real, "frozen.mnt");
    AUTO(freep) char *file = xasprintf("%s/file", at);
    AUTO(threads_clear) struct threads t = {0};
    AUTO(thread_wait_clear) struct thread_wait w = {0};
    struct pid_id id = {0};
    uint32_t left = 0;

    assert_ok(mkfs_xfs(&real->ctx, dev, NULL));
    assert_ok(mounts_mount(dev, at, "xfs", NULL));
    int fd = open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int out = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(out >= 0);
    assert_int_equal(ioctl(fd, FIFREEZE, 0), 0);
    id.pid = fork();
    if (id.pid == 0)
        _exit(write(out, "x", 1) != 1);
    close(out);
    /* nothing is asserted while it is frozen: a failed test must not leave it so */
    struct err *e = wait_until(&real->ctx, "the writer to hang", 5000, 10, is_stuck, &id);
    e = e ? e : pid_signal(&real->ctx, id, SIGKILL); /* of no use in this state */
    e = e ? e : pid_threads_stuck(&real->ctx, id, &t);
    e = e ? e : pids_threads_left(&real->ctx, id.pid, id.start, &left);
    e = e ? e : thread_wait_find(&real->ctx, id.pid, id.pid, &w);
    int thawed = ioctl(fd, FITHAW, 0);
    close(fd);
    waitpid(id.pid, NULL, 0);
    assert_int_equal(thawed, 0);
    assert_ok(e);
    assert_int_equal(left, 1);
    assert_int_equal(t.n, 1);
    assert_int_equal(t.items[0].state, 'D');
    assert_true(t.items[0].wchan || t.items[0].stack);
    if (access("/proc/self/syscall", R_OK) == 0) {
        assert_string_equal(w.file, file);
        assert_string_equal(w.mount, at);
        assert_string_equal(w.fstype, "xfs");
    }
    printf("# stuck in %s: %s\n", t.items[0].wchan ? t.items[0].wchan : "?",
           t.items[0].stack ? "with its kernel stack" : "no kernel stack");
    assert_ok(pids_threads_left(&real->ctx, id.pid, id.start, &left));
    assert_int_equal(left, 0);
    assert_ok(mounts_umount(at));
    detach(dev);
}

/* A container's process: the same file system under another name. */
static void a_user_in_another_namespace_is_found(void **state)
{
    AUTO(freep) char *dev = real_loop(real, "container", 400 * MIB);
    AUTO(freep) char *at = real_dir(real, "here");
    AUTO(freep) char *ledger = real_path(real, "here/ledger");
    AUTO(freep) char *there = real_dir(real, "there");
    AUTO(pids_clear) struct pids none = {0};
    AUTO(pids_clear) struct pids p = {0};

    assert_ok(mkfs_xfs(&real->ctx, dev, NULL));
    assert_ok(mounts_mount(dev, at, "xfs", NULL));
    assert_ok(fsroot_mkdirs(real->ctx.root, ledger, 0755));
    struct child c = other_process(dev, there);
    assert_ok(pids_using(&real->ctx, at, &none));
    assert_int_equal(none.n, 0); /* it is mounted there, but nobody is in it */
    end(c);
    c = other_process_in(dev, there, "ledger");
    assert_ok(pids_using(&real->ctx, ledger, &p));
    assert_int_equal(p.n, 1);
    assert_int_equal(p.items[0].id.pid, c.pid);
    end(c);
    assert_ok(mounts_umount(at));
    detach(dev);
}

static bool mounted(const char *path)
{
    return real_mounted(real, path);
}

/* What a plain rbind does wrong: it unmounts its source (see mounts_rbind). */
static void rbind_passes_mounts_on_and_protects_its_source(void **state)
{
    AUTO(freep) char *source = real_dir(real, "source");
    AUTO(freep) char *target = real_dir(real, "target");
    AUTO(freep) char *early = xasprintf("%s/early", source);
    AUTO(freep) char *late = xasprintf("%s/late", source);
    AUTO(freep) char *early_there = xasprintf("%s/early", target);
    AUTO(freep) char *late_there = xasprintf("%s/late", target);
    AUTO(mounts_clear) struct mounts m = {0};

    assert_ok(mounts_mount("tmpfs", source, "tmpfs", NULL));
    assert_ok(mounts_make_shared(source, false));
    assert_ok(fsroot_mkdirs(real->ctx.root, early, 0755));
    assert_ok(fsroot_mkdirs(real->ctx.root, late, 0755));
    assert_ok(mounts_mount("tmpfs", early, "tmpfs", NULL));
    assert_ok(mounts_rbind(source, target));
    assert_true(mounted(early_there));
    assert_ok(mounts_mount("tmpfs", late, "tmpfs", NULL));
    assert_true(mounted(late_there)); /* a later mount arrives */
    assert_ok(mounts_read(&real->ctx, &m));
    assert_string_equal(mount_propagation(mounts_at(&m, target)), "shared and slave");
    assert_int_equal(mounts_at(&m, target)->master, mounts_at(&m, source)->shared);
    assert_ok(mounts_umount(early_there));
    assert_true(mounted(early)); /* the source keeps it */
    assert_ok(mounts_umount(late));
    assert_false(mounted(late_there)); /* an unmount in the source arrives */
    assert_ok(mounts_umount(target));
    assert_true(mounted(source));
    assert_ok(mounts_umount(early));
    assert_ok(mounts_umount(source));
}

static void a_failed_rbind_leaves_nothing(void **state)
{
    AUTO(freep) char *source = real_dir(real, "src2");
    AUTO(freep) char *missing = real_path(real, "missing");

    assert_ok(mounts_mount("tmpfs", source, "tmpfs", NULL));
    assert_err(mounts_rbind(source, missing), ERR_SYS, missing);
    assert_true(mounted(source));
    assert_ok(mounts_umount(source));
    assert_err(mounts_rbind(missing, source), ERR_SYS, missing);
    assert_err(mounts_mount("/dev/no-such", source, "xfs", NULL), ERR_SYS, "/dev/no-such");
    assert_false(mounted(source));
}

int main(void)
{
    static const char *const parts[] = {"block devices", "mounts", NULL};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blank_becomes_xfs),
        cmocka_unit_test(other_file_systems_are_not_overwritten),
        cmocka_unit_test(partition_tables_are_not_overwritten),
        cmocka_unit_test(swap_is_not_overwritten),
        cmocka_unit_test(members_of_larger_things_are_not_overwritten),
        cmocka_unit_test(zfs_is_recognised),
        cmocka_unit_test(bytes_without_a_signature_are_not_blank),
        cmocka_unit_test(too_small_and_read_only),
        cmocka_unit_test(not_devices),
        cmocka_unit_test(users_are_named),
        cmocka_unit_test(a_writer_on_a_frozen_file_system_is_stuck),
        cmocka_unit_test(a_user_in_another_namespace_is_found),
        cmocka_unit_test(swap_and_loops_on_top_are_users),
        cmocka_unit_test(loops_are_found_by_their_file),
        cmocka_unit_test(an_interrupt_leaves_no_half_file_system),
        cmocka_unit_test(zram_comes_and_goes),
        cmocka_unit_test(rbind_passes_mounts_on_and_protects_its_source),
        cmocka_unit_test(a_failed_rbind_leaves_nothing),
    };

    return real_main(real, parts, tests);
}
