/* Kernel modules, brd and what decides about tmpfs, on made-up hosts: this machine's modules are
 * never touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/str.h"
#include "fixture.h"
#include "host/brd.h"
#include "host/kmodule.h"
#include "host/tmpfs.h"
#include "io/fsroot.h"
#include "io/proc.h"

#define GIB (1ULL << 30)

static enum kmodule_state state_of(struct fixture *f, const char *name)
{
    enum kmodule_state s = KMODULE_MISSING;

    assert_ok(kmodule_look(&f->ctx, name, &s));
    return s;
}

static void modules_are_seen_where_they_are(void **state)
{
    AUTO(fixture_clear) struct fixture f;

    fixture_new(&f);
    fixture_put(&f, "/proc/sys/kernel/osrelease", "6.1.0-40-amd64\n");
    assert_int_equal(state_of(&f, "brd"), KMODULE_MISSING); /* no lists at all */
    fixture_put(&f, "/lib/modules/6.1.0-40-amd64/modules.builtin",
                "kernel/drivers/block/loop.ko\nkernel/fs/ext4/ext4.ko\n");
    fixture_put(&f, "/lib/modules/6.1.0-40-amd64/modules.dep",
                "kernel/drivers/block/my-brd.ko.xz:\n"
                "kernel/drivers/block/brd.ko.zst: kernel/lib/brdlib.ko\n"
                "kernel/net/ip-set.ko.gz: kernel/drivers/block/zram.ko\n");
    assert_int_equal(state_of(&f, "brd"), KMODULE_LOADABLE);
    assert_int_equal(state_of(&f, "loop"), KMODULE_BUILTIN);
    assert_int_equal(state_of(&f, "ip_set"), KMODULE_LOADABLE);
    assert_int_equal(state_of(&f, "zram"), KMODULE_MISSING); /* needed by another is not there */
    assert_int_equal(state_of(&f, "br"), KMODULE_MISSING);
    fixture_put(&f, "/sys/module/brd/initstate", "live\n");
    assert_int_equal(state_of(&f, "brd"), KMODULE_LOADED);
    fixture_put(&f, "/sys/module/fuse/parameters/max", "1\n");
    assert_int_equal(state_of(&f, "fuse"), KMODULE_BUILTIN);
}

static const char *option(const struct kmodule_options *o, const char *key)
{
    const struct kmodule_option *x = kmodule_options_find(o, key);

    return x ? x->value : NULL;
}

static void options_count_as_modprobe_counts_them(void **state)
{
    AUTO(kmodule_options_clear) struct kmodule_options o = {0};
    AUTO(kmodule_options_clear) struct kmodule_options none = {0};
    AUTO(fixture_clear) struct fixture f;

    fixture_new(&f);
    assert_ok(kmodule_options_read(&f.ctx, "brd", &none));
    assert_int_equal(none.n, 0);
    fixture_put(&f, "/etc/modprobe.d/a.conf",
                "# options brd rd_nr=9\n\toptions  brd rd_nr=1 \\\n  rd_size=1024\noptions brdx "
                "rd_nr=5\nalias brd x\n");
    fixture_put(&f, "/lib/modprobe.d/z.conf", "options brd rd_size=4096 quiet");
    fixture_put(&f, "/lib/modprobe.d/a.conf", "options brd max_part=7\n"); /* hidden by its name */
    fixture_put(&f, "/etc/modprobe.d/b.conf.bak", "options brd rd_nr=8\n");
    fixture_link(&f, "/etc/modprobe.d/c.conf", "/nowhere");
    assert_ok(kmodule_options_read(&f.ctx, "brd", &o));
    assert_string_equal(option(&o, "rd_nr"), "1");
    assert_string_equal(option(&o, "rd_size"), "4096");
    assert_string_equal(option(&o, "quiet"), "");
    assert_null(option(&o, "max_part"));
    assert_string_equal(kmodule_options_find(&o, "rd_nr")->source, "/etc/modprobe.d/a.conf:2");
    assert_string_equal(kmodule_options_find(&o, "rd_size")->source, "/lib/modprobe.d/z.conf:1");
    kmodule_options_clear(&o);
    fixture_put(&f, "/proc/cmdline", "quiet brd.rd_size=77 brd root=/dev/sda1 my-brd.rd_nr=3\n");
    assert_ok(kmodule_options_read(&f.ctx, "brd", &o));
    assert_string_equal(option(&o, "rd_size"), "77");
    assert_string_equal(kmodule_options_find(&o, "rd_size")->source, "/proc/cmdline");
    assert_string_equal(option(&o, "rd_nr"), "1");
}

/* A modprobe that is none: what it was asked, and the complaint that it was told to make. */
static struct strbuf asked;
static const char *complaint;

static struct err *fake_run(struct ctx *ctx, const struct proc_spec *spec, struct proc_result *ret)
{
    for (size_t i = 1; spec->argv[i]; i++)
        strbuf_printf(&asked, "%s%s", i > 1 ? " " : "", spec->argv[i]);
    strbuf_puts(&asked, "\n");
    assert_true(spec->path[0] == '/' && str_ends(spec->path, "/modprobe"));
    *ret = (struct proc_result){
        .exit = complaint ? 1 : 0, .out = xstrdup(""), .err = xstrdup(complaint ? complaint : "")};
    ret->err_n = strlen(ret->err);
    return NULL;
}

static const struct proc_ops fake_proc = {fake_run};

static void mounts(struct fixture *f, const char *more)
{
    static const char *const places[] = {"/proc/self/mountinfo", "/proc/10/mountinfo"};

    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        fixture_put(f, places[i], "27 1 254:0 / / rw - ext4 /dev/vda rw\n%s", more);
}

/* A host with brd as a loadable module; nothing of this machine is run. */
static void brd_host(struct fixture *f)
{
    fixture_new(f);
    f->ctx.proc = &fake_proc;
    fixture_put(f, "/bin/modprobe", "#!/bin/false\n");
    AUTO(freep) char *prog = xasprintf("%s/bin/modprobe", f->dir);
    AUTO(freep) char *dir = xasprintf("%s/bin", f->dir);
    assert_int_equal(chmod(prog, 0755), 0);
    assert_int_equal(setenv("PATH", dir, 1), 0);
    strbuf_clear(&asked);
    complaint = NULL;
    fixture_put(f, "/proc/self/stat", "1 (test) S 0\n");
    fixture_link(f, "/proc/self/ns/mnt", "mnt:[4026531840]");
    fixture_process(f, 10, "init", "/sbin/init", "init", 1);
    mounts(f, "");
    fixture_put(f, "/proc/swaps", "Filename\n");
    fixture_put(f, "/proc/sys/kernel/osrelease", "6.1.0\n");
    fixture_put(f, "/lib/modules/6.1.0/modules.dep", "kernel/drivers/block/brd.ko:\n");
}

static void loaded(struct fixture *f, unsigned nr)
{
    fixture_put(f, "/sys/module/brd/initstate", "live\n");
    for (unsigned i = 0; i < nr; i++) {
        AUTO(freep) char *dev = xasprintf("/sys/block/ram%u/dev", i);
        AUTO(freep) char *holders = xasprintf("/sys/dev/block/1:%u/holders", 2 * i);

        fixture_put(f, dev, "1:%u\n", 2 * i); /* as with max_part=2 */
        fixture_dir(f, holders);
    }
}

static void capture(struct fixture *f, const char *json)
{
    fixture_put(f, "/host.json", "%s", json);
    f->ctx.root = fsroot_close(f->ctx.root);
    assert_ok(fsroot_open_captured(f->dir, &f->ctx.root));
}

static void brd_is_loaded_with_its_size(void **state)
{
    AUTO(fixture_clear) struct fixture f;
    AUTO(freep) char *conf = brd_conf(0, 600 * GIB);
    uint64_t n = 9;

    assert_string_equal(conf, "options brd rd_nr=1 rd_size=629145600 max_part=0\n");
    assert_ok(brd_number("/dev/ram12", &n));
    assert_int_equal(n, 12);
    assert_err(brd_number("/dev/ram", &n), ERR_BADINPUT, "none of /dev/ram0");
    assert_err(brd_number("/dev/ram99", &n), ERR_BADINPUT, NULL);
    assert_err(brd_number("/dev/zram0", &n), ERR_BADINPUT, NULL);
    brd_host(&f);
    capture(&f, "{\"stat\": {\"/dev/ram3\": {\"type\": \"block\", \"rdev\": \"1:3\"}}}");
    assert_ok(brd_load(&f.ctx, 3, 2 * GIB));
    assert_string_equal(strbuf_text(&asked), "brd rd_nr=4 rd_size=2097152 max_part=0\n");
    complaint = "modprobe: FATAL: Module brd not found\n";
    assert_err(brd_load(&f.ctx, 3, 2 * GIB), ERR_REMOTE, "Module brd not found");
}

static void a_kernel_without_brd_names_what_else_there_is(void **state)
{
    AUTO(fixture_clear) struct fixture f;

    brd_host(&f);
    fixture_put(&f, "/lib/modules/6.1.0/modules.dep", "\n");
    assert_err(brd_load(&f.ctx, 0, GIB), ERR_ABSENT, "zram or tmpfs");
    fixture_put(&f, "/lib/modules/6.1.0/modules.builtin", "kernel/drivers/block/brd.ko\n");
    assert_err(brd_load(&f.ctx, 0, GIB), ERR_ABSENT, "brd.rd_nr=1 brd.rd_size=1048576");
    assert_int_equal(asked.len, 0);
}

static void brd_stays_while_anybody_uses_a_disk(void **state)
{
    AUTO(fixture_clear) struct fixture f;
    AUTO(strlist_clear) struct strlist users = {0};

    brd_host(&f);
    assert_ok(brd_unload(&f.ctx)); /* not loaded */
    loaded(&f, 2);
    assert_ok(brd_users(&f.ctx, &users));
    assert_int_equal(users.n, 0);
    mounts(&f, "30 27 1:2 / /x rw - xfs /dev/ram1 rw\n");
    assert_err(brd_unload(&f.ctx), ERR_REFUSED, "/dev/ram1: mounted at '/x'");
    mounts(&f, "");
    fixture_put(&f, "/sys/module/brd/refcnt", "1\n");
    assert_err(brd_unload(&f.ctx), ERR_REFUSED, "in use");
    fixture_put(&f, "/sys/module/brd/refcnt", "0\n");
    assert_int_equal(asked.len, 0);
    complaint = "modprobe: FATAL: Module brd is in use.\n"; /* somebody came in between */
    assert_err(brd_unload(&f.ctx), ERR_REFUSED, "in use");
    complaint = NULL;
    strbuf_clear(&asked);
    assert_ok(brd_unload(&f.ctx));
    assert_string_equal(strbuf_text(&asked), "-r brd\n");
}

static void what_a_ram_disk_holds_is_known_before_brd_goes(void **state)
{
    AUTO(fixture_clear) struct fixture f;
    AUTO(strlist_clear) struct strlist filled = {0};

    brd_host(&f);
    loaded(&f, 2);
    capture(&f, "{\"stat\": {\"/dev/ram0\": {\"type\": \"block\", \"rdev\": \"1:0\"},"
                "\"/dev/ram1\": {\"type\": \"block\", \"rdev\": \"1:2\"}},"
                "\"block\": {\"/dev/ram0\": {\"content\": \"blank\", \"size_b\": 1},"
                "\"/dev/ram1\": {\"content\": \"filesystem\", \"fstype\": \"ext4\"}}}");
    assert_ok(brd_filled(&f.ctx, &filled));
    assert_int_equal(filled.n, 1);
    assert_string_equal(filled.items[0], "/dev/ram1");
}

static void noswap_by_release_where_it_cannot_be_tried(void **state)
{
    static const struct {
        const char *release;
        bool takes;
    } cases[] = {{"6.1.0-40-amd64", false},
                 {"6.4.0", true},
                 {"6.12.3+", true},
                 {"5.15.0", false},
                 {"7.0", true}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(fixture_clear) struct fixture f;
        bool got = !cases[i].takes;

        fixture_new(&f);
        fixture_put(&f, "/proc/sys/kernel/osrelease", "%s\n", cases[i].release);
        assert_ok(tmpfs_takes_noswap(&f.ctx, &got));
        assert_int_equal(got, cases[i].takes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modules_are_seen_where_they_are),
        cmocka_unit_test(options_count_as_modprobe_counts_them),
        cmocka_unit_test(brd_is_loaded_with_its_size),
        cmocka_unit_test(a_kernel_without_brd_names_what_else_there_is),
        cmocka_unit_test(brd_stays_while_anybody_uses_a_disk),
        cmocka_unit_test(what_a_ram_disk_holds_is_known_before_brd_goes),
        cmocka_unit_test(noswap_by_release_where_it_cannot_be_tried),
    };

    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    strbuf_clear(&asked);
    return failed;
}
