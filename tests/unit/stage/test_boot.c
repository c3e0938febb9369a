/* The stages fstab and units: a host as a real reboot wants it, and each way to get it wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <unistd.h>

#include "runbook.h"
#include "tree.h"

#define ETC    "/etc/systemd/system/"
#define VOLUME "/dev/zvol/tank/solana /srv/solana xfs noatime,nofail 0 0\n"
#define RAMDISK                                                                                    \
    "/dev/ram0 /srv/solana/ramdisk xfs noatime,nofail,x-systemd.requires=format-ramdisk.service "  \
    "0 0\n"
#define BIND                                                                                       \
    "/srv/solana /srv/kind/solana none "                                                           \
    "rbind,rslave,rshared,nofail,x-systemd.requires=zfs-mount.service 0 0\n"
#define FORMAT   RUNBOOK_FORMAT
#define ACCOUNTS RUNBOOK_ACCOUNTS
#define DOCKER                                                                                     \
    "[Unit]\nRequiresMountsFor=/srv/solana/ramdisk /srv/kind/solana\n"                             \
    "AssertPathIsMountPoint=/srv/kind/solana/ramdisk\n"
#define CONFIG RUNBOOK_CONFIG
#define HOST                                                                                       \
    "{\"stat\": {\"/dev/zd0\": {\"type\": \"block\", \"rdev\": \"230:0\"},"                        \
    " \"/dev/zd16\": {\"type\": \"block\", \"rdev\": \"230:16\"},"                                 \
    " \"/dev/ram0\": {\"type\": \"block\", \"rdev\": \"1:0\"}}}"

static void host(struct tree *t, const char *fstab)
{
    tree_new(t, CONFIG);
    fixture_dir(&t->f, "/run/systemd/system");
    fixture_put(&t->f, "/proc/self/mountinfo",
                "27 1 254:0 / / rw - ext4 /dev/vda rw\n28 27 0:50 / /srv/kind rw - zfs tank/k rw\n"
                "29 27 230:0 / /srv/solana rw - xfs /dev/zd0 rw\n"
                "30 29 1:0 / /srv/solana/ramdisk rw - xfs /dev/ram0 rw\n"
                "31 28 230:0 / /srv/kind/solana rw - xfs /dev/zd0 rw\n");
    fixture_link(&t->f, "/dev/zvol/tank/solana", "../../zd0");
    fixture_link(&t->f, "/dev/disk/by-uuid/A-B", "../../zd0");
    fixture_link(&t->f, "/dev/disk/by-uuid/C-D", "../../zd16");
    if (fstab)
        fixture_put(&t->f, "/etc/fstab", "%s", fstab);
    fixture_put(&t->f, ETC "format-ramdisk.service", FORMAT);
    fixture_put(&t->f, ETC "ramdisk-accounts.service", ACCOUNTS);
    fixture_link(&t->f, ETC "multi-user.target.wants/ramdisk-accounts.service",
                 "../ramdisk-accounts.service");
    fixture_put(&t->f, "/usr/lib/systemd/system/docker.service", "[Service]\nExecStart=/d\n");
    fixture_put(&t->f, ETC "docker.service.d/10.conf", DOCKER);
}

static void look(struct tree *t, const char *stage)
{
    tree_capture(t, HOST);
    tree_check(t, stage);
}

static void a_host_in_order(void **state)
{
    AUTO(tree_clear) struct tree t;

    host(&t, VOLUME RAMDISK BIND);
    look(&t, "fstab");
    tree_is(&t, "fstab.volume", SEV_OK, "/etc/fstab:1: the next boot mounts");
    tree_is(&t, "fstab.ramdisk.format", SEV_OK, NULL);
    tree_is(&t, "fstab.bind.propagation", SEV_OK, NULL);
    tree_is(&t, "fstab.bind.zfs", SEV_OK, NULL);
    assert_int_equal(findings_worst(&t.found), SEV_OK);
    tree_check(&t, "units");
    tree_is(&t, "units.format", SEV_OK, NULL);
    tree_is(&t, "units.format.enabled", SEV_OK, NULL);
    tree_is(&t, "units.accounts", SEV_OK, "1000:1000");
    tree_is(&t, "units.mounts", SEV_OK, NULL);
    tree_is(&t, "units.assert", SEV_OK, NULL);
    assert_int_equal(findings_worst(&t.found), SEV_OK);
}

static void nothing_survives(void **state)
{
    AUTO(tree_clear) struct tree t;

    host(&t, NULL);
    look(&t, "fstab");
    tree_is(&t, "fstab.volume", SEV_WARN, "does not survive");
    tree_is(&t, "fstab.ramdisk", SEV_WARN, NULL);
    tree_is(&t, "fstab.bind", SEV_WARN, NULL);
    tree_has_not(&t, "fstab.ramdisk.format");
}

static void wrong_lines(void **state)
{
    AUTO(tree_clear) struct tree t;

    host(&t, "UUID=C-D /srv/solana xfs defaults 0 0\n"
             "/dev/ram0 /srv/solana/ramdisk ext4 defaults,nofail 0 0\n"
             "/srv/other /srv/kind/solana none bind,nofail 0 0\n"
             "/dev/x /srv/my disk xfs defaults 0 0\n");
    look(&t, "fstab");
    tree_is(&t, "fstab.volume", SEV_FAIL, "it names 'UUID=C-D'");
    tree_is(&t, "fstab.volume.nofail", SEV_WARN, "emergency mode");
    tree_is(&t, "fstab.ramdisk", SEV_FAIL, "it says ext4, not xfs");
    tree_is(&t, "fstab.ramdisk.format", SEV_WARN, "does not wait");
    tree_is(&t, "fstab.bind", SEV_FAIL, "it must bind '/srv/solana'");
    tree_is(&t, "fstab.bind.propagation", SEV_WARN, "use rbind");
    tree_is(&t, "fstab.bind.zfs", SEV_WARN, "does not wait for it");
    tree_is(&t, "fstab.syntax", SEV_WARN, "/etc/fstab:4 has more than six fields");
    tree_has_not(&t, "fstab.ramdisk.nofail");
}

static void lines_that_work_but_bite(void **state)
{
    AUTO(tree_clear) struct tree t;

    host(&t, "UUID=A-B /srv/solana xfs nofail,noauto 0 0\n"
             "/dev/ram0 /srv/solana/ramdisk xfs nofail,x-systemd.makefs 0 0\n"
             "/dev/ram0 /srv/solana/ramdisk xfs nofail 0 0\n"
             "/srv/solana /srv/kind/solana none rbind,nofail 0 0\n");
    look(&t, "fstab");
    tree_is(&t, "fstab.volume", SEV_WARN, "does not mount (noauto)");
    tree_is(&t, "fstab.ramdisk", SEV_WARN, "another line");
    tree_is(&t, "fstab.ramdisk.format", SEV_NOTE, "makefs");
    tree_is(&t, "fstab.bind", SEV_OK, NULL);
    tree_is(&t, "fstab.bind.propagation", SEV_WARN, "plain rbind");
}

static void a_mount_unit_counts_and_a_generated_one_does_not(void **state)
{
    AUTO(tree_clear) struct tree t;

    host(&t, RAMDISK BIND);
    fixture_put(&t.f, ETC "srv-solana.mount",
                "[Mount]\nWhat=/dev/disk/by-uuid/A-B\nWhere=/srv/solana\nType=xfs\n");
    fixture_put(&t.f, "/run/systemd/generator/srv-kind-solana.mount",
                "[Unit]\nAfter=x.service\n[Mount]\nWhat=/gone\nWhere=/srv/kind/solana\n");
    look(&t, "fstab");
    tree_is(&t, "fstab.volume", SEV_OK, ETC "srv-solana.mount");
    tree_is(&t, "fstab.bind", SEV_OK, "/etc/fstab:2");
}

/* Replaces one unit, looks with the stage units. */
static void with(struct tree *t, const char *fstab, const char *unit, const char *text)
{
    AUTO(freep) char *path = xasprintf(ETC "%s", unit);

    host(t, fstab);
    fixture_put(&t->f, path, "%s", text);
    look(t, "units");
}

static void formatters(void **state)
{
    static const struct {
        const char *exec;
        enum severity sev;
        const char *part;
    } cases[] = {
        {"/sbin/mkfs.xfs -f /dev/ram0", SEV_OK, "formats the RAM disk"},
        {"-/bin/sh -c \"modprobe brd && mkfs.xfs -f /dev/ram0; true\"", SEV_OK, NULL},
        {"/sbin/mkfs.xfs /dev/ram0", SEV_WARN, "without -f"},
        {"/sbin/mkfs.ext4 -F /dev/ram0", SEV_FAIL, "does not make an xfs"},
        {"/sbin/mkfs -t ext4 -F /dev/ram0", SEV_FAIL, "does not make an xfs"},
        {"/sbin/mkfs.xfs -f /dev/zd0", SEV_FAIL, "another device"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(tree_clear) struct tree t;
        AUTO(freep)
        char *text = xasprintf("[Unit]\nDefaultDependencies=no\nBefore=srv-solana-ramdisk.mount\n"
                               "[Service]\nExecStart=%s\n",
                               cases[i].exec);

        with(&t, RAMDISK, "format-ramdisk.service", text);
        tree_is(&t, "units.format", cases[i].sev, cases[i].part);
        tree_is(&t, "units.format.order", SEV_OK, NULL);
    }
}

static void a_formatter_in_the_wrong_order(void **state)
{
    AUTO(tree_clear) struct tree cycle, late, off, masked;

    with(&cycle, RAMDISK, "format-ramdisk.service",
         "[Unit]\nBefore=srv-solana-ramdisk.mount\n[Service]\nExecStart=mkfs.xfs -f /dev/ram0\n"
         "nonsense\n");
    tree_is(&cycle, "units.format.order", SEV_WARN, "cycle");
    tree_is(&cycle, "units.syntax", SEV_NOTE, "format-ramdisk.service:5");
    with(&late, "/dev/ram0 /srv/solana/ramdisk xfs nofail 0 0\n", "format-ramdisk.service",
         "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=mkfs.xfs -f /dev/ram0\n");
    tree_is(&late, "units.format.order", SEV_WARN, "nothing makes the mount wait");
    tree_is(&late, "units.format.enabled", SEV_WARN, "not started at boot");
    host(&off, RAMDISK);
    fixture_link(&off.f, ETC "format-ramdisk.service", "/dev/null");
    look(&off, "units");
    tree_is(&off, "units.format", SEV_WARN, "no unit formats '/dev/ram0'");
    with(&masked, "/dev/ram0 /srv/solana/ramdisk xfs nofail,x-systemd.requires=ram.service 0 0\n",
         "ram.service", FORMAT);
    tree_is(&masked, "units.format", SEV_OK, "ram.service");
}

static void accounts_of_the_old_playbook(void **state)
{
    static const char text[] =
        "[Unit]\nAfter=srv-solana-ramdisk.mount\n[Service]\nExecStart=/bin/bash -c \"mkdir -p "
        "/srv/solana/ramdisk/accounts && chown solana:solana /srv/solana/ramdisk/accounts\"\n";
    AUTO(tree_clear) struct tree t, stranger;

    host(&t, RAMDISK);
    fixture_put(&t.f, ETC "ramdisk-accounts.service", "%s", text);
    fixture_put(&t.f, "/etc/passwd", "root:x:0:0::/:\nsolana:x:998:997::/:\n");
    fixture_put(&t.f, "/etc/group", "solana:x:997:\n");
    look(&t, "units");
    tree_is(&t, "units.accounts", SEV_FAIL, "solana:solana (998:997)");
    assert_string_equal(findings_find(&t.found, "units.accounts")->want, "1000:1000");
    tree_is(&t, "units.accounts.order", SEV_OK, NULL);
    tree_is(&t, "units.accounts.enabled", SEV_OK, NULL);
    with(&stranger, RAMDISK, "ramdisk-accounts.service", text);
    tree_is(&stranger, "units.accounts", SEV_UNKNOWN, "'solana', whose number is not known");
}

static void nothing_waits(void **state)
{
    AUTO(tree_clear) struct tree t, none;

    with(&t, RAMDISK, "docker.service.d/10.conf", "[Unit]\nAfter=network.target\n");
    tree_is(&t, "units.mounts", SEV_WARN, "docker.service does not wait");
    tree_is(&t, "units.assert", SEV_WARN, "is started without the validator's storage");
    with(&none, RAMDISK, "ramdisk-accounts.service",
         "[Service]\nExecStart=/bin/mkdir /srv/solana/ramdisk/accounts\n");
    tree_is(&none, "units.accounts", SEV_FAIL, "gives it to root");
    tree_is(&none, "units.accounts.order", SEV_WARN, NULL);
}

static void another_init_is_a_note(void **state)
{
    AUTO(tree_clear) struct tree t;

    host(&t, RAMDISK);
    AUTO(freep) char *systemds = xasprintf("%s/run/systemd/system", t.f.dir);
    assert_int_equal(rmdir(systemds), 0);
    look(&t, "units");
    tree_is(&t, "units.systemd", SEV_NOTE, NULL);
    assert_int_equal(t.found.n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_in_order),
        cmocka_unit_test(nothing_survives),
        cmocka_unit_test(wrong_lines),
        cmocka_unit_test(lines_that_work_but_bite),
        cmocka_unit_test(a_mount_unit_counts_and_a_generated_one_does_not),
        cmocka_unit_test(formatters),
        cmocka_unit_test(a_formatter_in_the_wrong_order),
        cmocka_unit_test(accounts_of_the_old_playbook),
        cmocka_unit_test(nothing_waits),
        cmocka_unit_test(another_init_is_a_note),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
