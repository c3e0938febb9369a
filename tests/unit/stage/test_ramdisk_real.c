/* The RAM disk's kinds zram and tmpfs for real: from nothing to mounted, at boot, over other
 * content, and taken back. Nothing below /etc is written: host.persist is false. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/str.h"
#include "config/config.h"
#include "fixture.h"
#include "host/block.h"
#include "host/loop.h"
#include "host/mkfs.h"
#include "host/mounts.h"
#include "host/zram.h"
#include "io/fsroot.h"
#include "real.h"
#include "stage/engine.h"
#include "stage/ramdisk.h"

#define MIB (1ULL << 20)
#define GIB (1ULL << 30)

static struct real *real;

struct host {
    struct config *cfg;
    char *dir, *place, *snapshots, *device; /* device: "" for a tmpfs */
};

static void configure(struct host *h, const char *kind)
{
    AUTO(freep)
    char *yaml = xasprintf("storage:\n  volume: { mount: %s }\n"
                           "  ramdisk: { kind: %s, device: \"%s\", size_gib: 1, mount: %s }\n"
                           "  kind_root: \"\"\n  bind: \"\"\n"
                           "host: { persist: false }\n"
                           "validator:\n  uid: 1234\n  gid: 4321\n  ledger: %s/ledger\n"
                           "  snapshots: %s\n  accounts: %s/accounts\n",
                           h->dir, kind, h->device, h->place, h->dir, h->snapshots, h->place);

    h->cfg = config_free(h->cfg);
    assert_ok(config_parse(yaml, strlen(yaml), "test", &h->cfg));
    real->ctx.cfg = h->cfg;
}

static struct host host_new(const char *name, const char *kind)
{
    struct host h = {.dir = real_dir(real, name)};

    h.place = xasprintf("%s/ramdisk", h.dir);
    h.snapshots = xasprintf("%s/snapshots", h.dir);
    h.device = str_eq(kind, "zram") ? real_zram_free(real) : xstrdup("");
    configure(&h, kind);
    return h;
}

static void host_clear(struct host *h)
{
    uint64_t size_b = 0;

    real_umount_all(real);
    struct err *e = *h->device ? zram_size(&real->ctx, h->device, &size_b) : NULL;
    if (!e && size_b)
        assert_ok(zram_remove(&real->ctx, h->device));
    err_free(e);
    strlist_clear(&real->zrams);
    real->ctx.cfg = NULL;
    config_free(h->cfg);
    free(h->dir);
    free(h->place);
    free(h->snapshots);
    free(h->device);
}

static struct err *apply(const char *destroy, struct stage_report *ret)
{
    static const char *const only[] = {"ramdisk", NULL};
    const char *const named[] = {destroy, NULL};
    struct stage_run_opts opts = {.only = only, .destroy = destroy ? named : NULL};

    return stages_apply(&real->ctx, &opts, ret);
}

static void changed(const char *destroy, size_t want)
{
    AUTO(stage_report_clear) struct stage_report r = {0};

    assert_ok(apply(destroy, &r));
    assert_int_equal(r.changed, want);
}

static void content_is(const char *dev, const char *fstype, const char *label)
{
    AUTO(block_info_clear) struct block_info b = {0};

    assert_ok(block_probe(&real->ctx, dev, &b));
    assert_string_equal(b.fstype, fstype);
    assert_true(str_eq(b.label, label));
}

static void put(const char *dir, const char *name)
{
    AUTO(freep) char *path = xasprintf("%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static bool there(const char *dir, const char *name)
{
    AUTO(freep) char *path = xasprintf("%s/%s", dir, name);
    struct stat st;

    return stat(path, &st) == 0;
}

/* A bank snapshot that refers to accounts; its path, to be freed. */
static char *bank_snapshot(const struct host *h)
{
    char *banks = xasprintf("%s/snapshots/100/accounts_hardlinks", h->snapshots);

    assert_ok(fsroot_mkdirs(real->ctx.root, banks, 0755));
    put(banks, "account_path_0");
    return banks;
}

static void zram_from_nothing(void **state)
{
    AUTO(host_clear) struct host h = host_new("zram", "zram");
    AUTO(stage_report_clear) struct stage_report r = {0};
    AUTO(freep) char *banks = bank_snapshot(&h); /* of before a reboot */
    uint64_t size_b = 0;

    if (!zram_available(&real->ctx))
        return;
    assert_ok(apply(NULL, &r));
    assert_false(there(banks, "account_path_0"));
    assert_int_equal(r.changed, 3); /* the device, its file system, the mount */
    assert_true(findings_worst(&r.findings) <= SEV_NOTE);
    assert_non_null(findings_find(&r.findings, "ramdisk.odirect"));
    assert_ok(zram_size(&real->ctx, h.device, &size_b));
    assert_true(size_b == GIB);
    content_is(h.device, "xfs", "accounts");
    assert_true(real_mounted(real, h.place));
    changed(NULL, 0);
}

/* As the module makes its first one, or whoever reset one. */
static void a_zram_without_a_size_is_taken(void **state)
{
    AUTO(host_clear) struct host h = host_new("unsized", "zram");
    bool made = false;

    if (!zram_available(&real->ctx))
        return;
    AUTO(freep) char *reset = xasprintf("/sys/block/%s/reset", h.device + strlen("/dev/"));
    assert_ok(zram_make(&real->ctx, h.device, 64 * MIB, &made));
    assert_ok(fsroot_write(real->ctx.root, reset, "1"));
    changed(NULL, 3);
    assert_true(real_mounted(real, h.place));
    changed(NULL, 0);
}

static void fresh(bool formatted, bool want_formatted, const char *left)
{
    AUTO(ramdisk_fresh_clear) struct ramdisk_fresh f = {0};

    assert_ok(ramdisk_make_fresh(&real->ctx, formatted, &f));
    assert_int_equal(f.formatted, want_formatted);
    if (left && !strstr(f.left ? f.left : "", left))
        fail_msg("left: %s", f.left ? f.left : "(not)");
    assert_true(left || !f.left);
}

static void at_boot_it_is_new_unless_it_is_used(void **state)
{
    AUTO(host_clear) struct host h = host_new("boot", "zram");
    AUTO(ramdisk_fresh_clear) struct ramdisk_fresh f = {0};
    AUTO(freep) char *at = xasprintf("%s/elsewhere", h.dir);

    if (!zram_available(&real->ctx))
        return;
    assert_ok(ramdisk_make_fresh(&real->ctx, true, &f)); /* a proof of what is not there */
    assert_true(f.made && f.formatted && !f.left);
    assert_string_equal(f.device, h.device);
    assert_true(f.size_b == GIB && f.major);
    content_is(h.device, "xfs", "accounts");
    assert_ok(fsroot_mkdirs(real->ctx.root, at, 0755));
    assert_ok(mounts_mount(h.device, at, "xfs", NULL));
    put(at, "stale");
    fresh(false, false, "mounted at");
    assert_true(there(at, "stale"));
    assert_ok(mounts_umount(at));
    fresh(true, false, "in this boot");
    assert_ok(mounts_mount(h.device, at, "xfs", NULL));
    assert_true(there(at, "stale"));
    assert_ok(mounts_umount(at));
    fresh(false, true, NULL); /* a soft reboot keeps the content */
    assert_ok(mounts_mount(h.device, at, "xfs", NULL));
    assert_false(there(at, "stale"));
    assert_ok(mounts_umount(at));
}

static void at_boot_another_size_and_a_disk_are_refused(void **state)
{
    AUTO(host_clear) struct host h = host_new("refused", "zram");
    AUTO(ramdisk_fresh_clear) struct ramdisk_fresh f = {0};
    AUTO(freep) char *disk = real_loop(real, "no-ram", 400 * MIB);
    bool made = false;

    if (zram_available(&real->ctx)) {
        assert_ok(zram_make(&real->ctx, h.device, 64 * MIB, &made));
        assert_err(ramdisk_make_fresh(&real->ctx, false, &f), ERR_REFUSED, "64.0 MiB");
        assert_ok(zram_remove(&real->ctx, h.device));
    }
    freep(&h.device);
    h.device = xstrdup(disk);
    configure(&h, "device");
    real_run(real, (const char *const[]){"mkfs.ext4", "-q", disk, NULL});
    assert_err(ramdisk_make_fresh(&real->ctx, false, &f), ERR_REFUSED, "not in memory");
    content_is(disk, "ext4", NULL);
    assert_ok(loop_detach(&real->ctx, disk));
    freep(&h.device);
    h.device = xstrdup("");
    configure(&h, "tmpfs");
    fresh(false, false, "no device that is formatted");
    configure(&h, "none");
    fresh(false, false, "no device that is formatted");
}

/* As the old playbook leaves it: ext4, and bank snapshots that refer to what was on it. */
static void other_content_goes_by_its_name_with_the_state_that_needs_it(void **state)
{
    AUTO(host_clear) struct host h = host_new("ext4", "zram");
    AUTO(stage_report_clear) struct stage_report r = {0};
    AUTO(freep) char *banks = bank_snapshot(&h);
    bool made = false;

    if (!zram_available(&real->ctx))
        return;
    assert_ok(zram_make(&real->ctx, h.device, GIB, &made));
    real_run(real, (const char *const[]){"mkfs.ext4", "-q", h.device, NULL});
    assert_err(apply(NULL, &r), ERR_REFUSED, "named as one to destroy");
    content_is(h.device, "ext4", NULL);
    assert_true(there(banks, "account_path_0"));
    changed(h.device, 2);
    content_is(h.device, "xfs", "accounts");
    assert_true(real_mounted(real, h.place));
    assert_false(there(banks, "account_path_0")); /* under another name */
    changed(h.device, 0);
}

static void a_tmpfs_with_its_size_and_owner(void **state)
{
    AUTO(host_clear) struct host h = host_new("tmpfs", "tmpfs");
    AUTO(stage_report_clear) struct stage_report r = {0};
    struct statvfs v;
    struct stat st;

    assert_ok(apply(NULL, &r));
    assert_int_equal(r.changed, 1);
    assert_true(findings_worst(&r.findings) <= SEV_NOTE);
    assert_true(real_mounted(real, h.place));
    assert_int_equal(statvfs(h.place, &v), 0);
    assert_true((uint64_t)v.f_blocks * v.f_frsize == GIB);
    assert_int_equal(stat(h.place, &st), 0);
    assert_int_equal(st.st_uid, 1234);
    assert_int_equal(st.st_gid, 4321);
    assert_int_equal(st.st_mode & 07777, 0755);
    changed(NULL, 0);
    h.cfg->storage.ramdisk.size_gib = 2;
    changed(NULL, 0); /* said, and left to the operator */
}

static void accounts_on_the_volume(void **state)
{
    AUTO(host_clear) struct host h = host_new("none", "none");

    changed(NULL, 0);
    assert_false(real_mounted(real, h.place));
    assert_false(there(h.dir, "ramdisk"));
}

/* What a stage would do for the host as it is; the caller clears it. */
static void plan(struct plan *ret)
{
    AUTO(scene_freep) struct scene *scene = scene_new();
    AUTO(findings_clear) struct findings f = {0};
    const struct stage *s = stage_by_name(stage_table, "ramdisk");

    assert_ok(s->check(&real->ctx, scene, &f));
    assert_ok(s->plan(&real->ctx, &f, ret));
}

static void looks(const struct change *c, enum undo_verdict want, enum undo_mount unmounts)
{
    AUTO(undo_look_clear) struct undo_look l = {0};

    assert_ok(stage_by_name(stage_table, "ramdisk")->undo_look(&real->ctx, c, &l));
    assert_int_equal(l.verdict, want);
    assert_int_equal(l.unmounts, unmounts);
    assert_int_equal(l.what == NULL, want == UNDO_GONE);
}

static struct err *undo(const struct change *c)
{
    return stage_by_name(stage_table, "ramdisk")->undo(&real->ctx, c);
}

/* Somebody else's module made it, and it was there before. */
static void one_that_was_there_without_a_size_is_so_again(void **state)
{
    AUTO(host_clear) struct host h = host_new("again", "zram");
    AUTO(plan_clear) struct plan p = {0};
    bool made = false;
    uint64_t size_b = 1;

    if (!zram_available(&real->ctx))
        return;
    assert_ok(zram_make(&real->ctx, h.device, 64 * MIB, &made));
    assert_ok(zram_reset(&real->ctx, h.device));
    plan(&p);
    changed(NULL, 3);
    assert_ok(undo(&p.items[2]));
    looks(&p.items[0], UNDO_DO, UNDO_NO_MOUNT);
    assert_ok(undo(&p.items[0]));
    assert_ok(zram_size(&real->ctx, h.device, &size_b));
    assert_int_equal(size_b, 0);
    looks(&p.items[0], UNDO_GONE, UNDO_NO_MOUNT);
    assert_ok(zram_remove(&real->ctx, h.device));
}

static void zram_there_and_back(void **state)
{
    AUTO(host_clear) struct host h = host_new("back", "zram");
    AUTO(plan_clear) struct plan p = {0};
    uint64_t size_b = 0;

    if (!zram_available(&real->ctx))
        return;
    plan(&p);
    assert_int_equal(p.n, 3);
    const struct change *add = &p.items[0], *mount = &p.items[2];
    assert_true(add->undoable && !p.items[1].undoable && mount->undoable);
    looks(add, UNDO_GONE, UNDO_NO_MOUNT); /* noted, and never made */
    looks(mount, UNDO_GONE, UNDO_NO_MOUNT);
    changed(NULL, 3);
    AUTO(freep) char *banks = bank_snapshot(&h);
    looks(mount, UNDO_DO, UNDO_MOUNT);
    looks(add, UNDO_DO, UNDO_NO_MOUNT); /* its mount is taken back before it */
    assert_err(undo(add), ERR_REFUSED, "mounted at");
    assert_ok(undo(mount));
    assert_false(real_mounted(real, h.place));
    assert_false(there(h.dir, "ramdisk"));       /* was made for the mount */
    assert_true(there(banks, "account_path_0")); /* the accounts are still there */
    looks(mount, UNDO_GONE, UNDO_NO_MOUNT);
    real_run(real, (const char *const[]){"mkfs.ext4", "-qF", h.device, NULL});
    looks(add, UNDO_KEEP, UNDO_NO_MOUNT); /* somebody else's by now */
    assert_ok(mkfs_xfs_fresh(&real->ctx, h.device, "accounts"));
    assert_ok(undo(add));
    assert_err(zram_size(&real->ctx, h.device, &size_b), ERR_NOTFOUND, NULL);
    assert_false(there(banks, "account_path_0"));
    looks(add, UNDO_GONE, UNDO_NO_MOUNT);
    assert_ok(undo(add)); /* as after a crash in its middle */
}

static void a_zram_that_is_open_or_another_stays(void **state)
{
    AUTO(host_clear) struct host h = host_new("stays", "zram");
    AUTO(plan_clear) struct plan p = {0};
    AUTO(undo_look_clear) struct undo_look l = {0};
    bool made = false;

    if (!zram_available(&real->ctx))
        return;
    plan(&p);
    changed(NULL, 3);
    assert_ok(undo(&p.items[2]));
    AUTO(closep) int fd = open(h.device, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_err(stage_by_name(stage_table, "ramdisk")->undo_look(&real->ctx, &p.items[0], &l),
               ERR_REFUSED, "open in process");
    assert_err(undo(&p.items[0]), ERR_REFUSED, "open in process");
    assert_int_equal(close(TAKE_FD(fd)), 0);
    assert_ok(zram_remove(&real->ctx, h.device));
    assert_ok(zram_make(&real->ctx, h.device, 64 * MIB, &made)); /* of the same name */
    looks(&p.items[0], UNDO_KEEP, UNDO_NO_MOUNT);
}

static void a_tmpfs_there_and_back(void **state)
{
    AUTO(host_clear) struct host h = host_new("tmpback", "tmpfs");
    AUTO(plan_clear) struct plan p = {0};

    plan(&p);
    assert_int_equal(p.n, 1);
    looks(&p.items[0], UNDO_GONE, UNDO_NO_MOUNT);
    changed(NULL, 1);
    AUTO(freep) char *banks = bank_snapshot(&h);
    AUTO(freep) char *file = xasprintf("%s/held", h.place);
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    looks(&p.items[0], UNDO_DO, UNDO_MOUNT);
    assert_err(undo(&p.items[0]), ERR_REFUSED, NULL);
    assert_true(there(banks, "account_path_0"));
    assert_int_equal(close(fd), 0);
    assert_ok(undo(&p.items[0]));
    assert_false(real_mounted(real, h.place) || there(h.dir, "ramdisk"));
    assert_false(there(banks, "account_path_0"));
    looks(&p.items[0], UNDO_GONE, UNDO_NO_MOUNT);
}

int main(void)
{
    static const char *const parts[] = {"block devices", "mounts", NULL};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zram_from_nothing),
        cmocka_unit_test(a_zram_without_a_size_is_taken),
        cmocka_unit_test(at_boot_it_is_new_unless_it_is_used),
        cmocka_unit_test(at_boot_another_size_and_a_disk_are_refused),
        cmocka_unit_test(other_content_goes_by_its_name_with_the_state_that_needs_it),
        cmocka_unit_test(a_tmpfs_with_its_size_and_owner),
        cmocka_unit_test(accounts_on_the_volume),
        cmocka_unit_test(one_that_was_there_without_a_size_is_so_again),
        cmocka_unit_test(zram_there_and_back),
        cmocka_unit_test(a_zram_that_is_open_or_another_stays),
        cmocka_unit_test(a_tmpfs_there_and_back),
    };

    return real_main(real, parts, tests);
}
