/* The storage stages on real devices and mounts: from a blank disk to a host that is in place, and
 * every case in which they must leave things alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "config/config.h"
#include "fixture.h"
#include "host/block_users.h"
#include "host/loop.h"
#include "host/mkfs.h"
#include "host/mounts.h"
#include "io/fsroot.h"
#include "real.h"
#include "stage/engine.h"
#include "stage/unmount.h"

#define MIB (1ULL << 20)

static struct real *real;

/* One made-up host: devices, a config, and places for everything below one folder. */
struct host {
    struct config *cfg;
    char *dir, *volume, *ram; /* volume, ram: devices, or "" */
    bool zram;
    struct strbuf told;
    struct { /* what was made, in order */
        const struct stage *stage;
        struct change change;
    } made[64];
    size_t n_made;
};

static char *below(const struct host *h, const char *path)
{
    return xasprintf("%s%s", h->dir, path);
}

static void configure(struct host *h, const char *volume, const char *ram)
{
    AUTO(freep)
    char *yaml =
        xasprintf("storage:\n"
                  "  volume: { device: \"%s\", mount: %s/solana }\n"
                  "  ramdisk: { device: \"%s\", mount: %s/solana/ramdisk }\n"
                  "  kind_root: %s/kind\n"
                  "  bind: %s/kind/solana\n"
                  "validator:\n"
                  "  uid: 1234\n"
                  "  gid: 4321\n"
                  "  ledger: %s/solana/ledger\n"
                  "  snapshots: %s/solana/snapshots\n"
                  "  accounts: %s/solana/ramdisk/accounts\n"
                  "  log: %s/solana/log/validator.log\n",
                  volume, h->dir, ram, h->dir, h->dir, h->dir, h->dir, h->dir, h->dir, h->dir);

    h->cfg = config_free(h->cfg);
    assert_ok(config_parse(yaml, strlen(yaml), "test", &h->cfg));
    real->ctx.cfg = h->cfg;
}

static struct host host_new(const char *name)
{
    struct host h = {.dir = real_dir(real, name)};
    AUTO(freep) char *volume = xasprintf("%s.volume", name);
    AUTO(freep) char *ram = xasprintf("%s.ram", name);

    h.volume = real_loop(real, volume, 400 * MIB);
    h.ram = real_zram(real, 320 * MIB);
    h.zram = h.ram != NULL;
    if (!h.zram)
        h.ram = real_loop(real, ram, 320 * MIB);
    configure(&h, h.volume, h.ram);
    return h;
}

static void host_clear(struct host *h)
{
    real_umount_all(real);
    assert_ok(loop_detach(&real->ctx, h->volume));
    if (h->zram)
        real_zram_remove(real, h->ram);
    else
        assert_ok(loop_detach(&real->ctx, h->ram));
    real->ctx.cfg = NULL;
    config_free(h->cfg);
    free(h->dir);
    free(h->volume);
    free(h->ram);
    strbuf_clear(&h->told);
    for (size_t i = 0; i < h->n_made; i++)
        change_clear(&h->made[i].change);
}

static void told(void *arg, const struct stage *s, const struct change *c, enum stage_moment when)
{
    struct host *h = arg;

    if (when == STAGE_DONE)
        strbuf_printf(&h->told, "%s: %s %s\n", s->name, change_kind_name(c->kind), c->object);
    if (when != STAGE_BEGIN || !c->undoable)
        return;
    assert_true(h->n_made < ARRAY_LEN(h->made));
    h->made[h->n_made].stage = s;
    struct change *to = &h->made[h->n_made++].change;
    *to = *c;
    to->object = xstrdup(c->object);
    to->before = c->before ? xstrdup(c->before) : NULL;
    to->after = c->after ? xstrdup(c->after) : NULL;
    to->arg = c->arg ? xstrdup(c->arg) : NULL;
    to->old = c->old ? xstrdup(c->old) : NULL;
}

static struct err *apply(struct host *h, bool dry, struct stage_report *ret)
{
    struct stage_run_opts opts = {.dry_run = dry, .on_change = told, .arg = h};

    return stages_apply(&real->ctx, &opts, ret);
}

static void in_place(struct host *h)
{
    AUTO(stage_report_clear) struct stage_report r = {0};

    assert_ok(apply(h, false, &r));
    assert_int_equal(r.planned, 0);
    assert_int_equal(r.changed, 0);
    assert_int_equal(r.in_place, 5);
    assert_true(findings_worst(&r.findings) <= SEV_WARN);
}

static bool mounted(const struct host *h, const char *path)
{
    AUTO(freep) char *full = below(h, path);

    return real_mounted(real, full);
}

static void from_blank_to_in_place(void **state)
{
    AUTO(host_clear) struct host h = host_new("fresh");
    AUTO(stage_report_clear) struct stage_report r = {0};
    AUTO(freep) char *accounts = below(&h, "/kind/solana/ramdisk/accounts");
    struct stat st;

    assert_ok(apply(&h, false, &r));
    assert_true(r.changed >= 11);
    assert_int_equal(r.planned, r.changed);
    assert_int_equal(r.failed, 0);
    assert_true(findings_worst(&r.findings) <= (h.zram ? SEV_NOTE : SEV_WARN));
    assert_true(mounted(&h, "/solana") && mounted(&h, "/solana/ramdisk"));
    assert_true(mounted(&h, "/kind/solana") && mounted(&h, "/kind/solana/ramdisk"));
    assert_int_equal(stat(accounts, &st), 0); /* seen through the bind */
    assert_int_equal(st.st_uid, 1234);
    assert_int_equal(st.st_gid, 4321);
    assert_int_equal(st.st_mode & 07777, 0755);
    in_place(&h);
}

/* A reboot takes the RAM disk's content; the bind and the volume are as before. */
static void a_lost_ram_disk_comes_back_through_the_bind(void **state)
{
    AUTO(host_clear) struct host h = host_new("lost");
    AUTO(stage_report_clear) struct stage_report r = {0};
    AUTO(stage_report_clear) struct stage_report r2 = {0};
    AUTO(freep) char *ramdisk = below(&h, "/solana/ramdisk");

    if (!h.zram)
        return; /* said so */
    assert_ok(apply(&h, false, &r));
    assert_ok(mounts_umount(ramdisk));
    assert_false(mounted(&h, "/kind/solana/ramdisk")); /* went with it */
    real_zram_remove(real, h.ram);
    freep(&h.ram);
    h.ram = real_zram(real, 320 * MIB);
    configure(&h, h.volume, h.ram);
    strbuf_clear(&h.told);
    assert_ok(apply(&h, false, &r2));
    AUTO(freep)
    char *want = xasprintf("ramdisk: create %s\nramdisk: create %s\n"
                           "dirs: create %s/accounts\n",
                           h.ram, ramdisk, ramdisk);
    assert_string_equal(strbuf_text(&h.told), want);
    assert_true(mounted(&h, "/kind/solana/ramdisk"));
    in_place(&h);
}

static void dry_run_writes_nothing(void **state)
{
    AUTO(host_clear) struct host h = host_new("dry");
    AUTO(stage_report_clear) struct stage_report r = {0};
    AUTO(strlist_clear) struct strlist names = {0};
    unsigned long long before = real_sum(real, h.volume);

    assert_ok(apply(&h, true, &r));
    assert_true(r.planned >= 9);
    assert_int_equal(r.changed, 0);
    assert_ok(fsroot_list(real->ctx.root, h.dir, &names));
    assert_int_equal(names.n, 0);
    assert_true(real_sum(real, h.volume) == before);
    assert_false(mounted(&h, "/solana"));
}

/* The device is refused for this reason; nothing is written, nothing after it is changed. */
static void refused(struct host *h, const char *why)
{
    AUTO(stage_report_clear) struct stage_report r = {0};
    AUTO(strlist_clear) struct strlist names = {0};
    AUTO(freep) char *kind = below(h, "/kind");
    unsigned long long before = real_sum(real, h->volume);

    assert_err(apply(h, false, &r), ERR_REFUSED, why);
    assert_int_equal(r.blocked, 3);
    assert_true(real_sum(real, h->volume) == before);
    assert_null(strstr(strbuf_text(&h->told), "volume:"));
    /* The kind root does not depend on the volume; below it nothing was made. */
    assert_ok(fsroot_list(real->ctx.root, kind, &names));
    assert_int_equal(names.n, 0);
}

static void a_device_with_content_is_left_alone(void **state)
{
    AUTO(host_clear) struct host h = host_new("content");
    const char *ext4[] = {"mkfs.ext4", "-q", "-F", h.volume, NULL};

    real_write(h.volume, 0, "\xde\xad\xbe\xef", 4);
    refused(&h, "content without a known signature");
    real_run(real, ext4);
    refused(&h, "an ext4 file system");
}

static void a_device_in_use_is_left_alone(void **state)
{
    AUTO(host_clear) struct host h = host_new("used");
    AUTO(freep) char *other = real_dir(real, "other");
    AUTO(freep) char *want = xasprintf("mounted at '%s'", other);

    assert_ok(mkfs_xfs(&real->ctx, h.volume, NULL));
    assert_ok(mounts_mount(h.volume, other, "xfs", NULL));
    refused(&h, want);
    assert_ok(mounts_umount(other));
    AUTO(stage_report_clear) struct stage_report r = {0};
    assert_ok(apply(&h, false, &r)); /* an xfs that is there is mounted as it is */
    assert_null(strstr(strbuf_text(&h.told), "volume: create /dev/"));
    in_place(&h);
}

static void a_name_that_is_wrong_is_said(void **state)
{
    AUTO(host_clear) struct host h = host_new("name");

    configure(&h, "/dev/no-such-device", h.ram);
    refused(&h, "no-such-device");
    configure(&h, "/dev/null", h.ram);
    refused(&h, "not a block device");
}

static void something_else_at_the_place(void **state)
{
    AUTO(host_clear) struct host h = host_new("else");
    AUTO(freep) char *place = real_dir(real, "else/solana");
    AUTO(stage_report_clear) struct stage_report r = {0};

    assert_ok(mounts_mount("tmpfs", place, "tmpfs", NULL));
    assert_err(apply(&h, false, &r), ERR_REFUSED, "another file system is mounted there");
    assert_null(strstr(strbuf_text(&h.told), "volume:"));
}

static void without_a_device_the_folder_is_used(void **state)
{
    AUTO(host_clear) struct host h = host_new("folder");
    AUTO(stage_report_clear) struct stage_report r = {0};

    configure(&h, "", "");
    assert_ok(apply(&h, false, &r));
    assert_int_equal(findings_find(&r.findings, "ramdisk.folder")->sev, SEV_NOTE);
    assert_true(mounted(&h, "/kind/solana"));
    AUTO(freep) char *ledger = below(&h, "/kind/solana/ledger");
    assert_int_equal(access(ledger, F_OK), 0);
    in_place(&h);
}

static const struct finding *finding_of(struct findings *f, const char *id)
{
    AUTO(check_report_clear) struct check_report r = {0};

    findings_clear(f);
    stages_check(&real->ctx, &(struct check_opts){.gates_only = true}, &r);
    *f = r.findings;
    r.findings = (struct findings){0};
    assert_non_null(findings_find(f, id));
    return findings_find(f, id);
}

static void a_plain_rbind_is_called_dangerous(void **state)
{
    AUTO(host_clear) struct host h = host_new("plain");
    AUTO(stage_report_clear) struct stage_report r = {0};
    AUTO(findings_clear) struct findings f = {0};
    AUTO(freep) char *source = below(&h, "/solana");
    AUTO(freep) char *bind = below(&h, "/kind/solana");
    AUTO(freep) char *sub = below(&h, "/kind/solana/ramdisk");

    assert_ok(apply(&h, false, &r));
    assert_int_equal(finding_of(&f, "bind.propagation")->sev, SEV_OK);
    assert_ok(mounts_umount(sub));
    assert_true(mounted(&h, "/solana/ramdisk"));
    assert_ok(mounts_umount(bind));
    assert_int_equal(mount(source, bind, NULL, MS_BIND | MS_REC, NULL), 0);
    assert_int_equal(finding_of(&f, "bind.propagation")->sev, SEV_WARN);
    assert_non_null(strstr(finding_of(&f, "bind.propagation")->what, "unmounts the volume's own"));
}

static void a_mount_that_did_not_arrive_is_brought(void **state)
{
    AUTO(host_clear) struct host h = host_new("late");
    AUTO(stage_report_clear) struct stage_report r = {0};
    AUTO(stage_report_clear) struct stage_report r2 = {0};
    AUTO(findings_clear) struct findings f = {0};
    AUTO(freep) char *sub = below(&h, "/kind/solana/ramdisk");

    assert_ok(apply(&h, false, &r));
    assert_ok(mounts_umount(sub));
    assert_int_equal(finding_of(&f, "bind.submount")->sev, SEV_FAIL);
    strbuf_clear(&h.told);
    assert_ok(apply(&h, false, &r2));
    AUTO(freep) char *want = xasprintf("bind: create %s\n", sub);
    assert_string_equal(strbuf_text(&h.told), want);
    in_place(&h);
}

static void folders_of_others_are_not_taken(void **state)
{
    AUTO(host_clear) struct host h = host_new("owner");
    AUTO(stage_report_clear) struct stage_report r = {0};
    AUTO(stage_report_clear) struct stage_report r2 = {0};
    AUTO(stage_report_clear) struct stage_report r3 = {0};
    AUTO(freep) char *ledger = below(&h, "/solana/ledger");
    AUTO(freep) char *file = below(&h, "/solana/ledger/genesis.bin");
    struct stat st;

    assert_ok(apply(&h, false, &r));
    assert_int_equal(chown(ledger, 0, 0), 0);
    assert_int_equal(chmod(ledger, 0777), 0);
    assert_ok(apply(&h, false, &r2)); /* empty: it is taken */
    assert_int_equal(r2.changed, 2);
    assert_int_equal(stat(ledger, &st), 0);
    assert_int_equal(st.st_uid, 1234);
    assert_int_equal(st.st_mode & 07777, 0755);
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(chown(ledger, 0, 0), 0);
    assert_err(apply(&h, false, &r3), ERR_REFUSED, "genesis.bin");
    assert_int_equal(stat(ledger, &st), 0);
    assert_int_equal(st.st_uid, 0);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_uid, 0);
}

/* root must not hand over what a link points to */
static void links_are_not_followed(void **state)
{
    AUTO(host_clear) struct host h = host_new("link");
    AUTO(stage_report_clear) struct stage_report r = {0};
    AUTO(stage_report_clear) struct stage_report r2 = {0};
    AUTO(freep) char *ledger = below(&h, "/solana/ledger");
    AUTO(freep) char *victim = real_dir(real, "victim");
    struct stat st;

    assert_ok(apply(&h, false, &r));
    assert_int_equal(rmdir(ledger), 0);
    assert_int_equal(symlink(victim, ledger), 0);
    assert_err(apply(&h, false, &r2), ERR_REFUSED, "symbolic link");
    assert_int_equal(stat(victim, &st), 0);
    assert_int_equal(st.st_uid, 0);
}

/* The table of mounts would not know it by that name: made and mounted once, it would be "not
 * mounted" for ever. */
static void a_place_behind_a_link_is_told_before_anything_is_made(void **state)
{
    AUTO(host_clear) struct host h = host_new("place");
    AUTO(stage_report_clear) struct stage_report r = {0};
    AUTO(freep) char *data = below(&h, "/data");
    AUTO(freep) char *solana = below(&h, "/solana");
    unsigned long long before = real_sum(real, h.volume);

    assert_ok(fsroot_mkdirs(real->ctx.root, data, 0755));
    assert_int_equal(symlink(data, solana), 0);
    assert_err(apply(&h, false, &r), ERR_REFUSED, data);
    assert_null(strstr(strbuf_text(&h.told), "volume:"));
    assert_true(real_sum(real, h.volume) == before);
}

static void a_kind_root_behind_a_link_is_left_alone(void **state)
{
    AUTO(host_clear) struct host h = host_new("kindlink");
    AUTO(stage_report_clear) struct stage_report r = {0};
    AUTO(freep) char *data = below(&h, "/data");
    AUTO(freep) char *kind = below(&h, "/kind");

    assert_ok(fsroot_mkdirs(real->ctx.root, data, 0755));
    assert_int_equal(symlink(data, kind), 0);
    assert_err(apply(&h, false, &r), ERR_REFUSED, data);
    assert_false(real_mounted(real, data));
    assert_null(strstr(strbuf_text(&h.told), "bind:"));
}

/* A ledger that is a link to a pool: the folder of that name lies on an xfs, the ledger does not.
 */
static void a_link_to_zfs_is_zfs(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(findings_clear) struct findings found = {0};
    AUTO(config_freep) struct config *cfg = NULL;
    AUTO(scene_freep) struct scene *scene = scene_new();

    fixture_new(&f);
    assert_ok(config_parse("", 0, "test", &cfg));
    f.ctx.cfg = cfg;
    fixture_put(
        &f, "/proc/self/mountinfo",
        "27 1 254:0 / / rw - ext4 /dev/vda rw\n28 27 8:0 / /srv/solana rw - xfs /dev/sda rw\n"
        "29 27 0:40 / /tank rw - zfs tank rw\n");
    fixture_dir(&f, "/tank/ledger");
    fixture_dir(&f, "/srv/solana");
    fixture_link(&f, "/srv/solana/ledger", "/tank/ledger");
    err_free(stage_by_name(stage_table, "dirs")->check(&f.ctx, scene, &found));
    assert_non_null(findings_find(&found, "dirs.ledger.zfs"));
    assert_null(findings_find(&found, "dirs.snapshots.zfs"));
}

/* Takes back what was made, the last first. *ret_kept: what stays. */
static struct err *take_back(struct host *h, struct strbuf *kept)
{
    while (h->n_made > 0) {
        const struct stage *s = h->made[h->n_made - 1].stage;
        struct change *c = &h->made[h->n_made - 1].change;
        AUTO(undo_look_clear) struct undo_look l = {0}, after = {0};

        TRY(s->undo_look(&real->ctx, c, &l));
        if (l.verdict == UNDO_DO && l.unmounts)
            TRY(unmount_may(&real->ctx, c->object, l.unmounts, NULL));
        if (l.verdict == UNDO_DO) {
            TRY(s->undo(&real->ctx, c));
            assert_ok(s->undo_look(&real->ctx, c, &after));
            if (after.verdict == UNDO_DO)
                fail_msg("%s %s: still to be undone: %s", s->name, c->object, after.what);
        } else if (l.verdict == UNDO_KEEP) {
            strbuf_printf(kept, "%s\n", l.what);
        }
        change_clear(c);
        h->n_made--;
    }
    return NULL;
}

static void what_was_made_is_taken_back(void **state)
{
    AUTO(host_clear) struct host h = host_new("undo");
    AUTO(stage_report_clear) struct stage_report r = {0};
    AUTO(strbuf_clear) struct strbuf kept = {0};
    AUTO(strlist_clear) struct strlist names = {0};

    assert_ok(apply(&h, false, &r));
    assert_int_equal(h.n_made, r.changed);
    assert_ok(take_back(&h, &kept));
    assert_ok(fsroot_list(real->ctx.root, h.dir, &names));
    if (names.n)
        fail_msg("'%s' is left", names.items[0]);
    assert_false(real_mounted(real, h.dir));
    AUTO(freep)
    char *want = xasprintf("the file system on '%s' stays\nthe file system on '%s' stays\n", h.ram,
                           h.volume);
    assert_string_equal(strbuf_text(&kept), want);
}

/* A child that holds something and says when it does; ends with kill_holder. */
static pid_t holder(void (*hold)(const char *), const char *path)
{
    int p[2];
    char byte;

    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        hold(path);
        if (write(p[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    close(p[1]);
    if (read(p[0], &byte, 1) != 1)
        fail_msg("the holder did not come up");
    close(p[0]);
    return pid;
}

static void kill_holder(pid_t pid)
{
    int status;

    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void hold_cwd(const char *path)
{
    if (chdir(path) < 0)
        _exit(1);
}

/* Mount namespaces of others: one where nothing of ours arrives any more, one that follows. */
static void hold_private(const char *path)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        _exit(1);
}

static void hold_slave(const char *path)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        _exit(1);
}

static void hold_slave_and_cwd(const char *path)
{
    hold_slave(path);
    hold_cwd(path);
}

static void held_by(struct host *h, void (*hold)(const char *), const char *path, const char *part)
{
    pid_t pid = holder(hold, path);
    AUTO(freep) char *who = xasprintf("process %d (test_stage_stor)", (int)pid);
    AUTO(strbuf_clear) struct strbuf kept = {0};
    size_t before = h->n_made;
    struct err *e = take_back(h, &kept);

    if (!e || !strstr(e->text, who) || !strstr(e->text, part))
        print_error("%s\n", e ? e->text : "it was taken back");
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_REFUSED);
    assert_non_null(strstr(e->text, who));
    assert_non_null(strstr(e->text, part));
    err_free(e);
    assert_int_equal(h->n_made, before);
    kill_holder(pid);
}

static void only(struct host *h, size_t at)
{
    for (size_t i = 0; i < h->n_made; i++)
        if (i != at)
            change_clear(&h->made[i].change);
    if (at)
        h->made[0] = h->made[at];
    h->n_made = 1;
}

/* The RAM disk's mount alone: it appears through the bind and in other namespaces as well. */
static void what_is_held_is_not_unmounted(void **state)
{
    AUTO(host_clear) struct host h = host_new("held");
    AUTO(stage_report_clear) struct stage_report r = {0};
    AUTO(freep) char *ramdisk = below(&h, "/solana/ramdisk");
    AUTO(freep) char *through = below(&h, "/kind/solana/ramdisk");
    AUTO(strbuf_clear) struct strbuf kept = {0};
    size_t at = 0;

    assert_ok(apply(&h, false, &r));
    while (!str_eq(h.made[at].change.object, ramdisk))
        at++;
    only(&h, at);
    held_by(&h, hold_cwd, ramdisk, "in use by");
    held_by(&h, hold_cwd, through, "in use by");
    held_by(&h, hold_private, ramdisk, "mount namespace of");
    held_by(&h, hold_slave_and_cwd, through, "in use by");
    assert_true(mounted(&h, "/solana/ramdisk") && mounted(&h, "/kind/solana/ramdisk"));
    /* One that follows, with nobody on it, goes together with ours. */
    pid_t pid = holder(hold_slave, ramdisk);
    AUTO(block_users_clear) struct block_users users = {0};
    assert_ok(take_back(&h, &kept));
    assert_false(mounted(&h, "/solana/ramdisk") || mounted(&h, "/kind/solana/ramdisk"));
    assert_ok(block_users(&real->ctx, h.ram, &users));
    assert_int_equal(users.n, 0);
    kill_holder(pid);
}

/* The bind and the volume below it: which one comes first is not a matter of taste. */
static void a_volume_that_is_shown_elsewhere_stays(void **state)
{
    AUTO(host_clear) struct host h = host_new("shown");
    AUTO(stage_report_clear) struct stage_report r = {0};
    AUTO(freep) char *solana = below(&h, "/solana"), *bind = below(&h, "/kind/solana");
    AUTO(freep) char *ramdisk = below(&h, "/solana/ramdisk");
    AUTO(freep) char *shown = xasprintf("mounted at '%s'", bind);
    AUTO(freep) char *on_it = xasprintf("'%s' is mounted below it", ramdisk);
    const char *before[] = {bind, ramdisk, NULL};

    assert_ok(apply(&h, false, &r));
    assert_err(unmount_may(&real->ctx, solana, UNDO_MOUNT, NULL), ERR_REFUSED, shown);
    assert_err(unmount_may(&real->ctx, solana, UNDO_MOUNT, NULL), ERR_REFUSED, on_it);
    assert_ok(unmount_may(&real->ctx, solana, UNDO_MOUNT, before));
    assert_ok(unmount_may(&real->ctx, bind, UNDO_RBIND, NULL));
    assert_err(unmount_may(&real->ctx, bind, UNDO_BIND, NULL), ERR_REFUSED, "mounted below it");
}

int main(void)
{
    static const char *const parts[] = {"block devices", "mounts", NULL};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_blank_to_in_place),
        cmocka_unit_test(a_lost_ram_disk_comes_back_through_the_bind),
        cmocka_unit_test(dry_run_writes_nothing),
        cmocka_unit_test(a_device_with_content_is_left_alone),
        cmocka_unit_test(a_device_in_use_is_left_alone),
        cmocka_unit_test(a_name_that_is_wrong_is_said),
        cmocka_unit_test(something_else_at_the_place),
        cmocka_unit_test(without_a_device_the_folder_is_used),
        cmocka_unit_test(a_plain_rbind_is_called_dangerous),
        cmocka_unit_test(a_mount_that_did_not_arrive_is_brought),
        cmocka_unit_test(folders_of_others_are_not_taken),
        cmocka_unit_test(links_are_not_followed),
        cmocka_unit_test(a_place_behind_a_link_is_told_before_anything_is_made),
        cmocka_unit_test(a_kind_root_behind_a_link_is_left_alone),
        cmocka_unit_test(a_link_to_zfs_is_zfs),
        cmocka_unit_test(what_was_made_is_taken_back),
        cmocka_unit_test(what_is_held_is_not_unmounted),
        cmocka_unit_test(a_volume_that_is_shown_elsewhere_stays),
    };

    return real_main(real, parts, tests);
}
