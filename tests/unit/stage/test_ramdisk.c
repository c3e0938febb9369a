/* The RAM disk's kinds on made-up hosts: what is planned for each, and every case in which nothing
 * may be. Modules are those of a folder: this machine's are never touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/str.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "io/proc.h"
#include "stage/disk.h"
#include "stage/ramdisk.h"
#include "stage/ramdisk_parts.h"
#include "tree.h"

#define CONF "/etc/modprobe.d/agavectl-ramdisk.conf"
#define BRD                                                                                        \
    "storage:\n  volume: {mount: /srv/solana}\n"                                                   \
    "  ramdisk: {kind: brd, device: /dev/ram0, size_gib: 4}\n"
#define ZRAM                                                                                       \
    "storage:\n  volume: {mount: /srv/solana}\n"                                                   \
    "  ramdisk: {kind: zram, device: /dev/zram2, size_gib: 4}\n"
#define TMPFS                                                                                      \
    "storage:\n  volume: {mount: /srv/solana}\n  ramdisk: {kind: tmpfs, size_gib: 4}\n"            \
    "validator: {uid: 1001, gid: 1002}\n"
#define NONE "storage:\n  ramdisk: {kind: none}\n"
#define ROOT "27 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n"
#define RAM0 "\"/dev/ram0\": {\"type\": \"block\", \"rdev\": \"1:0\"}"
#define RAM1 "\"/dev/ram1\": {\"type\": \"block\", \"rdev\": \"1:1\"}"

static void mounts(struct tree *t, const char *more)
{
    fixture_put(&t->f, "/proc/self/mountinfo", ROOT "%s", more);
    fixture_put(&t->f, "/proc/10/mountinfo", ROOT "%s", more);
}

/* 8 GiB of memory, Linux 6.1, brd and zram as loadable modules. */
static void host(struct tree *t, const char *yaml)
{
    tree_new(t, yaml);
    fixture_link(&t->f, "/proc/self/ns/mnt", "mnt:[4026531840]");
    fixture_process(&t->f, 10, "init", "/sbin/init", "init", 1);
    mounts(t, "");
    fixture_put(&t->f, "/proc/swaps", "Filename\n");
    fixture_put(&t->f, "/proc/meminfo", "MemTotal: 8388608 kB\n");
    fixture_put(&t->f, "/proc/sys/kernel/osrelease", "6.1.0\n");
    fixture_put(&t->f, "/lib/modules/6.1.0/modules.dep",
                "kernel/drivers/block/brd.ko:\nkernel/drivers/block/zram/zram.ko:\n");
    fixture_dir(&t->f, "/sys/block");
    fixture_dir(&t->f, "/etc/modprobe.d");
}

static void brd_loaded(struct tree *t, unsigned nr, unsigned long long kib)
{
    fixture_put(&t->f, "/sys/module/brd/initstate", "live\n");
    fixture_put(&t->f, "/sys/module/brd/parameters/rd_nr", "%u\n", nr);
    fixture_put(&t->f, "/sys/module/brd/parameters/rd_size", "%llu\n", kib);
    for (unsigned i = 0; i < nr; i++) {
        AUTO(freep) char *disk = xasprintf("/sys/devices/virtual/block/ram%u", i);
        AUTO(freep) char *dev = xasprintf("%s/dev", disk);
        AUTO(freep) char *holders = xasprintf("%s/holders", disk);
        AUTO(freep) char *size = xasprintf("%s/size", disk);
        AUTO(freep) char *by_name = xasprintf("/sys/block/ram%u", i);
        AUTO(freep) char *by_number = xasprintf("/sys/dev/block/1:%u", i);
        AUTO(freep) char *name_link = xasprintf("../devices/virtual/block/ram%u", i);
        AUTO(freep) char *number_link = xasprintf("../../devices/virtual/block/ram%u", i);

        fixture_put(&t->f, dev, "1:%u\n", i);
        fixture_put(&t->f, size, "%llu\n", kib * 2);
        fixture_dir(&t->f, holders);
        fixture_link(&t->f, by_name, name_link);
        fixture_link(&t->f, by_number, number_link);
    }
}

/* "create /etc/…; run module brd; …", with ! behind what destroys and ~ behind what is live. */
static char *planned(struct tree *t)
{
    AUTO(plan_clear) struct plan p = {0};
    AUTO(strbuf_clear) struct strbuf b = {0};

    tree_check(t, "ramdisk");
    assert_ok(stage_by_name(stage_table, "ramdisk")->plan(&t->f.ctx, &t->found, &p));
    for (size_t i = 0; i < p.n; i++)
        strbuf_printf(&b, "%s%s %s%s%s", i ? "; " : "", change_kind_name(p.items[i].kind),
                      p.items[i].object, p.items[i].destructive ? "!" : "",
                      p.items[i].live ? "~" : "");
    return strbuf_take(&b);
}

static void plans(struct tree *t, const char *want)
{
    AUTO(freep) char *got = planned(t);

    assert_string_equal(got, want);
}

static void brd_from_nothing(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(plan_clear) struct plan p = {0};

    host(&t, BRD);
    plans(&t, "create " CONF "~; run module brd; create /dev/ram0; create /srv/solana/ramdisk");
    tree_is(&t, "ramdisk.module", SEV_FAIL, "brd is not loaded");
    tree_is(&t, "ramdisk.device", SEV_FAIL, "not there yet");
    assert_string_equal(findings_find(&t.found, "ramdisk.device")->got, "nothing");
    tree_is(&t, "ramdisk.kind", SEV_OK, "stays taken until brd is unloaded");
    assert_ok(stage_by_name(stage_table, "ramdisk")->plan(&t.f.ctx, &t.found, &p));
    assert_string_equal(p.items[0].after, "options brd rd_nr=1 rd_size=4194304 max_part=0");
    assert_string_equal(p.items[1].after, "loaded with rd_nr=1 rd_size=4194304 max_part=0");
    /* Bound to what it will be, in the words that it will be looked at with. */
    assert_string_equal(p.items[2].arg, "RAM disk (brd), 4.0 GiB");
    assert_string_equal(p.items[3].arg, "RAM disk (brd), 4.0 GiB");
    for (size_t i = 0; i < p.n; i++) /* the file system goes with the module */
        assert_int_equal(p.items[i].undoable, !disk_is_format(&p.items[i]));
}

static void what_brd_is_bound_to_is_what_it_is_then(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(freep) char *identity = NULL;

    host(&t, BRD);
    brd_loaded(&t, 1, 4 << 20);
    fixture_put(&t.f, CONF, "options brd rd_nr=1 rd_size=4194304\n"); /* not with our mark */
    tree_capture(&t, "{\"stat\": {" RAM0 "}, \"block\": {\"/dev/ram0\": {\"content\": \"blank\", "
                     "\"size_b\": 4294967296}}}");
    assert_ok(disk_identity(&t.f.ctx, "/dev/ram0", &identity));
    assert_string_equal(identity, "RAM disk (brd), 4.0 GiB");
    plans(&t, "create /dev/ram0; create /srv/solana/ramdisk");
    tree_is(&t, "ramdisk.size", SEV_OK, "4.0 GiB");
    tree_is(&t, "ramdisk.conf", SEV_OK, CONF ":1");
}

static void nothing_is_written_where_nothing_may_persist(void **state)
{
    AUTO(tree_clear) struct tree t;

    host(&t, BRD "host: {persist: false}\n");
    plans(&t, "");
    tree_is(&t, "ramdisk.module", SEV_FAIL, "modprobe brd");
    tree_has_not(&t, "ramdisk.conf");
}

static void a_kernel_without_brd(void **state)
{
    AUTO(tree_clear) struct tree t;

    host(&t, BRD);
    fixture_put(&t.f, "/lib/modules/6.1.0/modules.dep", "kernel/drivers/block/nbd.ko:\n");
    plans(&t, "create " CONF "~");
    tree_is(&t, "ramdisk.module", SEV_FAIL, "zram or tmpfs");
}

static void brd_in_the_kernel_itself(void **state)
{
    AUTO(tree_clear) struct tree t;

    host(&t, BRD "host: {persist: false}\n");
    fixture_put(&t.f, "/sys/module/brd/parameters/rd_nr", "16\n");
    fixture_put(&t.f, "/sys/module/brd/parameters/rd_size", "65536\n");
    plans(&t, "");
    tree_is(&t, "ramdisk.size", SEV_FAIL, "built into this kernel");
}

static void too_large_for_the_memory(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(tree_clear) struct tree z;
    AUTO(tree_clear) struct tree m;

    host(&t, BRD);
    fixture_put(&t.f, "/proc/meminfo", "MemTotal: 4194304 kB\n");
    plans(&t, "create " CONF "~");
    tree_is(&t, "ramdisk.fits", SEV_FAIL, "does not fit into 4.0 GiB");
    host(&m, TMPFS);
    fixture_put(&m.f, "/proc/meminfo", "MemTotal: 4194304 kB\n");
    plans(&m, "");
    tree_is(&m, "ramdisk.fits", SEV_FAIL, NULL);
    host(&z, ZRAM);
    fixture_put(&z.f, "/proc/meminfo", "MemTotal: 4194304 kB\n");
    plans(&z, "run module zram; create /dev/zram2; create /dev/zram2; create /srv/solana/ramdisk");
    tree_is(&z, "ramdisk.fits", SEV_WARN, "compresses well");
}

static void memory_that_cannot_be_seen_is_not_enough(void **state)
{
    AUTO(tree_clear) struct tree t;

    host(&t, TMPFS);
    fixture_put(&t.f, "/proc/meminfo", "Bogus: 1\n");
    plans(&t, "");
    tree_is(&t, "ramdisk.fits", SEV_UNKNOWN, "MemTotal");
}

#define CONTENT(n, what) "\"/dev/ram" n "\": {\"content\": " what ", \"size_b\": 67108864}"
#define EXT4             "\"filesystem\", \"fstype\": \"ext4\""

static void another_size(struct tree *t, const char *mounted, const char *ram0, const char *ram1)
{
    AUTO(freep)
    char *json = xasprintf("{\"stat\": {" RAM0 ", " RAM1 "}, \"block\": {%s, %s}}", ram0, ram1);

    host(t, BRD);
    fixture_put(&t->f, CONF, "options brd rd_nr=1 rd_size=4194304 max_part=0\n");
    brd_loaded(t, 2, 65536);
    mounts(t, mounted);
    tree_capture(t, json);
}

static void brd_of_another_size(void **state)
{
    static const struct {
        const char *mounted, *ram0, *ram1, *plan, *says;
    } cases[] = {
        {"", CONTENT("0", "\"blank\""), CONTENT("1", "\"blank\""),
         "update /dev/ram0; create /dev/ram0; create /srv/solana/ramdisk", "is loaded anew"},
        {"", CONTENT("0", EXT4), CONTENT("1", "\"blank\""),
         "update /dev/ram0!; create /dev/ram0; create /srv/solana/ramdisk",
         "what it holds is lost"},
        {"", CONTENT("0", "\"blank\""), CONTENT("1", EXT4), "", "'/dev/ram1' is cleared"},
        {"", CONTENT("0", EXT4), CONTENT("1", EXT4), "", "'/dev/ram1' is cleared"},
        {"30 27 1:1 / /x rw - ext4 /dev/ram1 rw\n", CONTENT("0", "\"blank\""), CONTENT("1", EXT4),
         "", "/dev/ram1: mounted at '/x'"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(tree_clear) struct tree t;

        another_size(&t, cases[i].mounted, cases[i].ram0, cases[i].ram1);
        plans(&t, cases[i].plan);
        tree_is(&t, "ramdisk.size", SEV_FAIL, cases[i].says);
    }
}

static void what_modprobe_d_says(void **state)
{
    static const struct {
        const char *file, *text, *plan;
        enum severity sev;
        const char *says;
    } cases[] = {
        {"/etc/modprobe.d/brd.conf", "options brd rd_nr=1 rd_size=4194304\n", "", SEV_OK,
         "/etc/modprobe.d/brd.conf:1"},
        {"/etc/modprobe.d/brd.conf", "options brd rd_nr=16 rd_size=4194304 max_part=1\n", "",
         SEV_OK, NULL},
        {"/etc/modprobe.d/brd.conf", "#\noptions brd rd_nr=1 rd_size=1024\n", "", SEV_WARN,
         "/etc/modprobe.d/brd.conf:2 sets rd_size=1024"},
        {"/etc/modprobe.d/brd.conf", "options brd rd_size=4194304\n", "", SEV_WARN,
         "without rd_nr"},
        {"/etc/modprobe.d/brd.conf", "options brd rd_nr=0 rd_size=4194304\n", "", SEV_WARN,
         "sets rd_nr=0"},
        {"/etc/modprobe.d/loop.conf", "options loop max_loop=9\n", "create " CONF "~", SEV_WARN,
         "is missing"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(tree_clear) struct tree t;

        host(&t, BRD);
        brd_loaded(&t, 1, 4 << 20);
        mounts(&t, "30 27 1:0 / /srv/solana/ramdisk rw - xfs /dev/ram0 rw\n");
        fixture_put(&t.f, cases[i].file, "%s", cases[i].text);
        tree_capture(&t, "{\"stat\": {" RAM0 "}}");
        plans(&t, cases[i].plan);
        tree_is(&t, "ramdisk.conf", cases[i].sev, cases[i].says);
        tree_is(&t, "ramdisk.mount", SEV_OK, NULL);
    }
}

/* Only the next boot lacks it: a validator may be started, and prepare is refused. */
static void its_options_on_a_read_only_etc(void **state)
{
    static const char *const only[] = {"ramdisk", NULL};
    struct stage_run_opts opts = {.only = only, .dry_run = true};
    AUTO(stage_report_clear) struct stage_report r = {0};
    AUTO(tree_clear) struct tree t;

    host(&t, BRD);
    brd_loaded(&t, 1, 4 << 20);
    mounts(&t, "30 27 1:0 / /srv/solana/ramdisk rw - xfs /dev/ram0 rw\n");
    tree_capture(&t, "{\"stat\": {" RAM0 "}, \"statvfs\": {\"/etc\": {\"read_only\": true}}}");
    tree_check(&t, "ramdisk");
    tree_is(&t, "ramdisk.readonly", SEV_WARN, "mount -o remount,rw");
    assert_err(stages_apply(&t.f.ctx, &opts, &r), ERR_REFUSED, "'/etc' is read-only");
}

static void our_own_file_follows_the_config(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(plan_clear) struct plan p = {0};
    const struct stage *s = stage_by_name(stage_table, "ramdisk");

    host(&t, BRD);
    fixture_put(&t.f, "/lib/modules/6.1.0/modules.dep", "\n"); /* so that no more is planned */
    tree_check(&t, "ramdisk");
    assert_ok(s->plan(&t.f.ctx, &t.found, &p));
    assert_int_equal(p.n, 1);
    assert_ok(s->apply(&t.f.ctx, &p.items[0]));
    plans(&t, "");
    tree_is(&t, "ramdisk.conf", SEV_OK, CONF);
    t.cfg->storage.ramdisk.size_gib = 2;
    plans(&t, "update " CONF "~");
    t.cfg->storage.ramdisk.size_gib = 4;
    plans(&t, "");
    fixture_put(&t.f, "/etc/modprobe.d/z.conf", "options brd rd_size=8\n");
    plans(&t, "");
    tree_is(&t, "ramdisk.conf", SEV_WARN, "/etc/modprobe.d/z.conf:1 sets rd_size=8");
}

static void other_content_needs_its_name(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(tree_clear) struct tree used;
    AUTO(tree_clear) struct tree small;

    host(&t, "storage:\n  ramdisk: {device: /dev/ram0}\n");
    brd_loaded(&t, 1, 4 << 20);
    tree_capture(&t, "{\"stat\": {" RAM0 "}, \"block\": {\"/dev/ram0\": {\"content\": " EXT4
                     ", \"size_b\": 4294967296}}}");
    plans(&t, "update /dev/ram0!; create /srv/solana/ramdisk");
    tree_is(&t, "ramdisk.fstype", SEV_FAIL, "named as one to destroy");
    assert_string_equal(findings_find(&t.found, "ramdisk.fstype")->fix,
                        "agavectl prepare --apply --destroy=/dev/ram0 ramdisk");
    host(&used, "storage:\n  ramdisk: {device: /dev/ram0}\n");
    brd_loaded(&used, 1, 4 << 20);
    mounts(&used, "30 27 1:0 / /old rw - ext4 /dev/ram0 rw\n");
    tree_capture(&used, "{\"stat\": {" RAM0 "}, \"block\": {\"/dev/ram0\": {\"content\": " EXT4
                        ", \"size_b\": 4294967296}}}");
    plans(&used, "");
    tree_is(&used, "ramdisk.users", SEV_FAIL, "mounted at '/old'");
    tree_is(&used, "ramdisk.fstype", SEV_FAIL, "left alone");
    host(&small, "storage:\n  ramdisk: {device: /dev/ram0}\n");
    brd_loaded(&small, 1, 65536);
    tree_capture(&small, "{\"stat\": {" RAM0 "}, \"block\": {" CONTENT("0", EXT4) "}}");
    plans(&small, "");
    tree_is(&small, "ramdisk.fstype", SEV_FAIL, "needs at least 300 MiB");
}

/* The config names a disk: that is warned of, and never formatted over. */
static void a_disk_is_no_ram_disk(void **state)
{
    AUTO(tree_clear) struct tree t;

    host(&t, "storage:\n  ramdisk: {device: /dev/sdb}\n");
    fixture_dir(&t.f, "/sys/dev/block/8:16/holders");
    tree_capture(&t, "{\"stat\": {\"/dev/sdb\": {\"type\": \"block\", \"rdev\": \"8:16\"}}, "
                     "\"block\": {\"/dev/sdb\": {\"content\": " EXT4 ", \"size_b\": 4294967296}}}");
    plans(&t, "");
    tree_is(&t, "ramdisk.memory", SEV_WARN, "not in memory");
    tree_is(&t, "ramdisk.fstype", SEV_FAIL, "left alone");
}

static void something_else_is_mounted_there(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(tree_clear) struct tree m;

    host(&t, BRD);
    mounts(&t, "30 27 0:40 / /srv/solana/ramdisk rw - tmpfs tmpfs rw,size=1k\n");
    plans(&t, "create " CONF "~");
    tree_is(&t, "ramdisk.mount", SEV_FAIL, "where '/dev/ram0' belongs");
    host(&m, TMPFS);
    mounts(&m, "30 27 1:0 / /srv/solana/ramdisk rw - xfs /dev/ram0 rw\n");
    plans(&m, "");
    tree_is(&m, "ramdisk.mount", SEV_FAIL, "where a tmpfs belongs");
}

static void zram_by_its_number(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(tree_clear) struct tree other;
    AUTO(tree_clear) struct tree none;

    host(&t, ZRAM);
    fixture_put(&t.f, "/sys/class/zram-control/hot_add", "x");
    plans(&t, "create /dev/zram2; create /dev/zram2; create /srv/solana/ramdisk");
    tree_is(&t, "ramdisk.kind", SEV_OK, "compression");
    fixture_put(&t.f, "/sys/block/zram2/disksize", "0\n"); /* there, without a size */
    plans(&t, "create /dev/zram2; create /dev/zram2; create /srv/solana/ramdisk");
    host(&other, ZRAM);
    fixture_put(&other.f, "/sys/class/zram-control/hot_add", "x");
    fixture_put(&other.f, "/sys/block/zram2/disksize", "1073741824\n");
    plans(&other, "");
    tree_is(&other, "ramdisk.size", SEV_FAIL, "somebody else's");
    host(&none, ZRAM);
    fixture_put(&none.f, "/lib/modules/6.1.0/modules.dep", "\n");
    plans(&none, "");
    tree_is(&none, "ramdisk.module", SEV_FAIL, "brd or tmpfs");
}

static void tmpfs_with_its_options(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(freep) char *options = NULL;

    host(&t, TMPFS);
    assert_ok(ramdisk_options(&t.f.ctx, &options));
    assert_string_equal(options, "noatime,size=4194304k,mode=0755,uid=1001,gid=1002");
    freep(&options);
    fixture_put(&t.f, "/proc/sys/kernel/osrelease", "6.12.1\n");
    assert_ok(ramdisk_options(&t.f.ctx, &options));
    assert_string_equal(options, "noatime,size=4194304k,mode=0755,uid=1001,gid=1002,noswap");
    plans(&t, "create /srv/solana/ramdisk");
    tree_is(&t, "ramdisk.kind", SEV_OK, "memory limit");
    assert_true(ramdisk_is_mount(t.cfg) && !ramdisk_is_device(t.cfg));
    assert_string_equal(ramdisk_source(t.cfg), "tmpfs");
    assert_string_equal(ramdisk_fstype(t.cfg), "tmpfs");
    mounts(&t, "30 27 0:40 / /srv/solana/ramdisk rw - tmpfs tmpfs rw,size=4194304k,mode=755\n");
    tree_capture(&t, "{}");
    plans(&t, "");
    tree_is(&t, "ramdisk.mount", SEV_OK, NULL);
    tree_is(&t, "ramdisk.size", SEV_OK, "4.0 GiB");
}

static void a_tmpfs_of_another_size(void **state)
{
    static const struct {
        const char *options, *says;
    } cases[] = {{"rw,size=1048576k,mode=755", "may hold 1.0 GiB, not 4.0 GiB"},
                 {"rw", "may hold all of the memory"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(tree_clear) struct tree t;
        AUTO(freep)
        char *line =
            xasprintf("30 27 0:40 / /srv/solana/ramdisk rw - tmpfs tmpfs %s\n", cases[i].options);

        host(&t, TMPFS);
        mounts(&t, line);
        tree_capture(&t, "{}");
        plans(&t, "");
        tree_is(&t, "ramdisk.size", SEV_WARN, cases[i].says);
    }
}

static void accounts_on_the_volume(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(tree_clear) struct tree m;

    host(&t, NONE);
    fixture_dir(&t.f, "/sys/dev/block/254:0");
    plans(&t, "");
    tree_is(&t, "ramdisk.kind", SEV_OK, "survive a reboot");
    assert_int_equal(findings_worst(&t.found), SEV_OK);
    assert_false(ramdisk_is_mount(t.cfg));
    host(&m, NONE);
    mounts(&m, "30 27 0:40 / /srv/solana/ramdisk rw - tmpfs tmpfs rw\n");
    plans(&m, "");
    tree_is(&m, "ramdisk.kind", SEV_NOTE, "in memory");
}

static void looks(struct tree *t, const struct change *c, enum undo_verdict want, const char *says)
{
    AUTO(undo_look_clear) struct undo_look l = {0};

    assert_ok(stage_by_name(stage_table, "ramdisk")->undo_look(&t->f.ctx, c, &l));
    assert_int_equal(l.verdict, want);
    if (says && !strstr(l.what ? l.what : "", says))
        fail_msg("it says: %s", l.what ? l.what : "(nothing)");
}

static void our_file_is_taken_back_and_no_other(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(plan_clear) struct plan p = {0};
    const struct stage *s = stage_by_name(stage_table, "ramdisk");
    struct stat st;

    host(&t, BRD);
    fixture_put(&t.f, "/lib/modules/6.1.0/modules.dep", "\n");
    tree_check(&t, "ramdisk");
    assert_ok(s->plan(&t.f.ctx, &t.found, &p));
    looks(&t, &p.items[0], UNDO_GONE, NULL);
    assert_ok(s->apply(&t.f.ctx, &p.items[0]));
    looks(&t, &p.items[0], UNDO_DO, "remove '" CONF "'");
    fixture_put(&t.f, CONF, "options brd rd_nr=7\n");
    looks(&t, &p.items[0], UNDO_KEEP, CONF);
    assert_err(s->undo(&t.f.ctx, &p.items[0]), ERR_REFUSED, NULL);
    assert_ok(fsroot_unlink(t.f.ctx.root, CONF));
    assert_ok(s->apply(&t.f.ctx, &p.items[0]));
    assert_ok(s->undo(&t.f.ctx, &p.items[0]));
    assert_err(fsroot_stat(t.f.ctx.root, CONF, &st), ERR_NOTFOUND, NULL);
    looks(&t, &p.items[0], UNDO_GONE, NULL);
}

static void brd_is_unloaded_only_for_ourselves(void **state)
{
    static const struct {
        const char *ram0, *ram1, *more;
        enum undo_verdict want;
        const char *says;
    } cases[] = {
        {"\"blank\"", "\"blank\"", "", UNDO_DO, "unload brd"},
        {"\"filesystem\", \"fstype\": \"xfs\", \"label\": \"accounts\"", "\"blank\"",
         "30 27 1:0 / /srv/solana/ramdisk rw - xfs /dev/ram0 rw\n", UNDO_DO, "unload brd"},
        {"\"filesystem\", \"fstype\": \"xfs\", \"label\": \"accounts\"", EXT4, "", UNDO_KEEP,
         "'/dev/ram1' holds"},
        {"\"filesystem\", \"fstype\": \"xfs\", \"label\": \"mine\"", "\"blank\"", "", UNDO_KEEP,
         "'/dev/ram0' holds"},
    };
    struct change c = {.verb = RAMDISK_VERB_LOAD, .object = (char[]){"module brd"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(tree_clear) struct tree t;
        AUTO(freep) char *ram0 = xasprintf(CONTENT("0", "%s"), cases[i].ram0);
        AUTO(freep) char *ram1 = xasprintf(CONTENT("1", "%s"), cases[i].ram1);

        another_size(&t, cases[i].more, ram0, ram1);
        looks(&t, &c, cases[i].want, cases[i].says);
    }
    AUTO(tree_clear) struct tree none;
    host(&none, BRD);
    looks(&none, &c, UNDO_GONE, NULL);
}

#define BANK         "/srv/solana/snapshots/snapshots/100/accounts_hardlinks/account_path_0"
#define ZRAM_CHANGES "/dev/zram2\nzram, 4.0 GiB"

static void zram_loaded(struct tree *t, const char *name, const char *disksize)
{
    AUTO(freep) char *size = xasprintf("/sys/block/%s/disksize", name);
    AUTO(freep) char *reset = xasprintf("/sys/block/%s/reset", name);

    fixture_put(&t->f, "/sys/module/zram/initstate", "live\n");
    fixture_put(&t->f, "/sys/block/zram0/disksize", "0\n"); /* made by the module */
    fixture_put(&t->f, size, "%s\n", disksize);
    fixture_put(&t->f, reset, "%s", "");
}

/* The module takes its devices with it. */
static void zram_stays_loaded_for_others(void **state)
{
    static const char yaml[] = ZRAM "validator: {snapshots: /srv/solana/snapshots,"
                                    " accounts: /srv/solana/ramdisk/accounts}\n";
    static const struct {
        const char *name, *disksize, *content;
        enum undo_verdict want;
        const char *says;
    } cases[] = {
        {"zram0", "0", NULL, UNDO_DO, "unload zram"},
        {"zram2", "4294967296", "\"blank\"", UNDO_DO, "unload zram"},
        {"zram2", "2147483648", "\"blank\"", UNDO_KEEP, "'/dev/zram2' is another's"},
        {"zram3", "4294967296", "\"blank\"", UNDO_KEEP, "'/dev/zram3' is another's"},
        {"zram2", "4294967296", EXT4, UNDO_KEEP, "'/dev/zram2' is another's"},
        {"zram5", "0", NULL, UNDO_KEEP, "'/dev/zram5' is another's"}, /* not sized yet */
    };
    struct change c = {.verb = RAMDISK_VERB_LOAD,
                       .object = (char[]){"module zram"},
                       .arg = (char[]){ZRAM_CHANGES}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(tree_clear) struct tree t;
        AUTO(freep)
        char *json = xasprintf(
            "{\"stat\": {\"/dev/%s\": {\"type\": \"block\", \"rdev\": \"252:2\"}}, "
            "\"block\": {\"/dev/%s\": {\"content\": %s, \"size_b\": "
            "4294967296}}}",
            cases[i].name, cases[i].name, cases[i].content ? cases[i].content : "\"blank\"");
        struct stat st;

        host(&t, yaml);
        zram_loaded(&t, cases[i].name, cases[i].disksize);
        fixture_put(&t.f, BANK, "x");
        tree_capture(&t, json);
        looks(&t, &c, cases[i].want, cases[i].says);
        if (cases[i].want == UNDO_KEEP) /* it may have come since that look */
            assert_err(stage_by_name(stage_table, "ramdisk")->undo(&t.f.ctx, &c), ERR_REFUSED,
                       "stays loaded");
        assert_ok(fsroot_stat(t.f.ctx.root, BANK, &st));
    }
}

static void what_the_load_of_zram_is_for_is_noted(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(plan_clear) struct plan p = {0};

    host(&t, ZRAM);
    tree_check(&t, "ramdisk");
    assert_ok(stage_by_name(stage_table, "ramdisk")->plan(&t.f.ctx, &t.found, &p));
    assert_string_equal(p.items[0].object, "module zram");
    assert_string_equal(p.items[0].arg, ZRAM_CHANGES);
}

static struct tree *looked_at; /* by udev, until somebody waits for it */

static void wait_for_udev(uint64_t wait_ns, const volatile sig_atomic_t *cancelled)
{
    if (looked_at)
        mounts(looked_at, "");
    looked_at = NULL;
    clock_system.wait(wait_ns, cancelled);
}

static struct err *no_program(struct ctx *ctx, const struct proc_spec *spec,
                              struct proc_result *ret)
{
    (void)ctx;
    assert_true(str_ends(spec->path, "/modprobe"));
    *ret = (struct proc_result){.out = xstrdup(""), .err = xstrdup("")};
    return NULL;
}

static const struct proc_ops fake_proc = {no_program};

static unsigned loads, unloads; /* that modprobe was asked for */

static struct err *modprobe(struct ctx *ctx, const struct proc_spec *spec, struct proc_result *ret)
{
    bool remove = str_eq(spec->argv[1], "-r");

    (void)ctx;
    loads += !remove;
    unloads += remove;
    *ret = (struct proc_result){.out = xstrdup(""), .err = xstrdup("")};
    return NULL;
}

/* Killed when brd was unloaded and not loaded again: no plan holds the reload any more, and it goes
 * on all the same. While another brd is there, that is for the operator to say. */
static void a_reload_that_was_cut_off(void **state)
{
    static const struct proc_ops procs = {modprobe};
    const struct stage *s = stage_by_name(stage_table, "ramdisk");
    AUTO(freep) char *device = xstrdup("/dev/ram0"), *module = xstrdup("module brd");
    struct change c = {.verb = RAMDISK_VERB_RELOAD, .object = device};
    struct change load = {.verb = RAMDISK_VERB_LOAD, .object = module};
    AUTO(tree_clear) struct tree gone, there;
    bool middle = true, wanted = true;

    (void)state;
    host(&there, BRD);
    brd_loaded(&there, 1, 65536);
    assert_ok(stage_cut_off(&there.f.ctx, s, &c, &middle));
    assert_false(middle);
    host(&gone, BRD);
    assert_ok(stage_wants(&gone.f.ctx, s, &c, &wanted));
    assert_false(wanted);
    assert_ok(stage_cut_off(&gone.f.ctx, s, &load, &middle));
    assert_false(middle);
    assert_ok(stage_cut_off(&gone.f.ctx, s, &c, &middle));
    assert_true(middle);
    fixture_put(&gone.f, "/bin/modprobe", "#!/bin/false\n");
    AUTO(freep) char *prog = xasprintf("%s/bin/modprobe", gone.f.dir);
    AUTO(freep) char *dir = xasprintf("%s/bin", gone.f.dir);
    assert_int_equal(chmod(prog, 0755), 0);
    assert_int_equal(setenv("PATH", dir, 1), 0);
    gone.f.ctx.proc = &procs;
    gone.f.ctx.clock = &clock_system;
    err_free(s->apply(&gone.f.ctx, &c)); /* the device's node never comes here */
    assert_int_equal(loads, 1);
    assert_int_equal(unloads, 0);
}

static void what_needs_the_accounts_goes_with_brd(void **state)
{
    const struct clock_ops clock = {clock_system.mono_ns, clock_system.wall_ms, wait_for_udev};
    AUTO(freep) char *object = xstrdup("module brd");
    struct change c = {.verb = RAMDISK_VERB_LOAD, .object = object};
    AUTO(tree_clear) struct tree t;
    struct stat st;

    host(&t, BRD "validator: {snapshots: /srv/solana/snapshots,"
                 " accounts: /srv/solana/ramdisk/accounts}\n");
    brd_loaded(&t, 1, 4 << 20);
    fixture_put(&t.f, "/bin/modprobe", "#!/bin/false\n");
    AUTO(freep) char *prog = xasprintf("%s/bin/modprobe", t.f.dir);
    AUTO(freep) char *dir = xasprintf("%s/bin", t.f.dir);
    assert_int_equal(chmod(prog, 0755), 0);
    assert_int_equal(setenv("PATH", dir, 1), 0);
    fixture_put(&t.f, BANK, "x");
    t.f.ctx.proc = &fake_proc;
    t.f.ctx.clock = &clock;
    mounts(&t, "30 27 1:0 / /x rw - xfs /dev/ram0 rw\n");
    assert_err(stage_by_name(stage_table, "ramdisk")->undo(&t.f.ctx, &c), ERR_REFUSED,
               "/dev/ram0: mounted at '/x'");
    assert_ok(fsroot_stat(t.f.ctx.root, BANK, &st));
    looked_at = &t;
    assert_ok(stage_by_name(stage_table, "ramdisk")->undo(&t.f.ctx, &c));
    assert_null(looked_at);
    assert_err(fsroot_stat(t.f.ctx.root, BANK, &st), ERR_NOTFOUND, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(brd_from_nothing),
        cmocka_unit_test(what_brd_is_bound_to_is_what_it_is_then),
        cmocka_unit_test(nothing_is_written_where_nothing_may_persist),
        cmocka_unit_test(a_kernel_without_brd),
        cmocka_unit_test(brd_in_the_kernel_itself),
        cmocka_unit_test(too_large_for_the_memory),
        cmocka_unit_test(memory_that_cannot_be_seen_is_not_enough),
        cmocka_unit_test(brd_of_another_size),
        cmocka_unit_test(what_modprobe_d_says),
        cmocka_unit_test(its_options_on_a_read_only_etc),
        cmocka_unit_test(our_own_file_follows_the_config),
        cmocka_unit_test(other_content_needs_its_name),
        cmocka_unit_test(a_disk_is_no_ram_disk),
        cmocka_unit_test(something_else_is_mounted_there),
        cmocka_unit_test(zram_by_its_number),
        cmocka_unit_test(tmpfs_with_its_options),
        cmocka_unit_test(a_tmpfs_of_another_size),
        cmocka_unit_test(accounts_on_the_volume),
        cmocka_unit_test(our_file_is_taken_back_and_no_other),
        cmocka_unit_test(brd_is_unloaded_only_for_ourselves),
        cmocka_unit_test(zram_stays_loaded_for_others),
        cmocka_unit_test(what_the_load_of_zram_is_for_is_noted),
        cmocka_unit_test(a_reload_that_was_cut_off),
        cmocka_unit_test(what_needs_the_accounts_goes_with_brd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
