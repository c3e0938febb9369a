/* The texts that are written for the next boot, whole: units, drop-ins, lines of fstab. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "tree.h"

#include "base/str.h"
#include "host/own_block.h"
#include "host/own_file.h"
#include "host/unit_file.h"
#include "stage/fstab_lines.h"
#include "stage/ramdisk.h"
#include "stage/units_text.h"

#define BRD                                                                                        \
    "storage:\n  volume: {device: /dev/zvol/tank/solana}\n  kind_dataset: tank/kind\n"             \
    "  ramdisk: {kind: brd, device: /dev/ram0, size_gib: 600}\n"

static struct config *config_of(const char *yaml)
{
    struct config *cfg = NULL;

    assert_ok(config_parse(yaml, strlen(yaml), "test", &cfg));
    return cfg;
}

static void make(const char *yaml, const struct units_facts *facts, struct units_files *ret)
{
    AUTO(config_freep) struct config *cfg = config_of(yaml);

    units_files_make(cfg, facts, ret);
}

static void is_text(const struct units_files *f, const char *name, const char *want)
{
    AUTO(freep) char *path = xasprintf(UNITS_ETC "/%s", name);
    const struct units_file *file = units_files_find(f, path);

    assert_non_null(file);
    assert_string_equal(file->text ? file->text : file->link, want);
}

static const struct units_facts all = {
    .program = "/usr/bin/agavectl",
    .config = "/etc/agavectl/agavectl.yaml",
    .docker = true,
    .kubelet = true,
    .validator = "sol.service",
};

static void the_units_of_a_ram_disk(void **state)
{
    AUTO(units_files_clear) struct units_files f = {0};

    make(BRD, &all, &f);
    is_text(&f, "agavectl-ramdisk.service",
            "[Unit]\n"
            "Description=A blank RAM disk for the validator's accounts\n"
            "Documentation=man:agavectl(1)\n"
            "DefaultDependencies=no\n"
            "RequiresMountsFor=/usr/bin/agavectl /etc/agavectl/agavectl.yaml\n"
            "After=systemd-modules-load.service\n"
            "Wants=modprobe@brd.service\n"
            "After=modprobe@brd.service\n"
            "Before=srv-solana-ramdisk.mount shutdown.target\n"
            "Conflicts=shutdown.target\n"
            "RefuseManualStop=yes\n"
            "\n"
            "[Service]\n"
            "Type=oneshot\n"
            "RemainAfterExit=yes\n"
            "ExecStart=/usr/bin/agavectl --config /etc/agavectl/agavectl.yaml boot format\n"
            "TimeoutStartSec=300\n");
    is_text(&f, "agavectl-boot.service",
            "[Unit]\n"
            "Description=Is the validator's storage that of this boot\n"
            "Documentation=man:agavectl(1)\n"
            "Wants=srv-solana.mount srv-solana-ramdisk.mount srv-kind-solana.mount\n"
            "After=srv-solana.mount srv-solana-ramdisk.mount srv-kind-solana.mount\n"
            "Before=docker.service kubelet.service sol.service\n"
            "RefuseManualStop=yes\n"
            "\n"
            "[Service]\n"
            "Type=oneshot\n"
            "RemainAfterExit=yes\n"
            "ExecStart=/usr/bin/agavectl --config /etc/agavectl/agavectl.yaml boot finish\n"
            "ExecStop=/usr/bin/agavectl --config /etc/agavectl/agavectl.yaml boot leave\n"
            "TimeoutStartSec=600\n"
            "TimeoutStopSec=60\n"
            "\n"
            "[Install]\n"
            "WantedBy=multi-user.target\n");
    is_text(&f, "agavectl-boot-seen.service",
            "[Unit]\n"
            "Description=Do node and pod see the validator's storage\n"
            "Documentation=man:agavectl(1)\n"
            "After=agavectl-boot.service\n"
            "\n"
            "[Service]\n"
            "Type=oneshot\n"
            "ExecStart=/usr/bin/agavectl --config /etc/agavectl/agavectl.yaml boot seen\n"
            "TimeoutStartSec=1860\n");
    is_text(&f, "agavectl-boot-seen.timer",
            "[Unit]\n"
            "Description=Looks when node and pod see the validator's storage\n"
            "Documentation=man:agavectl(1)\n"
            "\n"
            "[Timer]\n"
            "OnActiveSec=20\n"
            "AccuracySec=1\n"
            "\n"
            "[Install]\n"
            "WantedBy=timers.target\n");
    assert_int_equal(f.n, 9);
}

static void links_and_who_waits(void **state)
{
    static const char *const waiting[] = {"docker.service.d/50-agavectl.conf",
                                          "kubelet.service.d/50-agavectl.conf",
                                          "sol.service.d/50-agavectl.conf"};
    AUTO(units_files_clear) struct units_files f = {0};

    make(BRD, &all, &f);
    is_text(&f, "multi-user.target.wants/agavectl-boot.service", "../agavectl-boot.service");
    is_text(&f, "timers.target.wants/agavectl-boot-seen.timer", "../agavectl-boot-seen.timer");
    for (size_t i = 0; i < ARRAY_LEN(waiting); i++)
        is_text(&f, waiting[i],
                "[Unit]\n"
                "RequiresMountsFor=/srv/solana /srv/solana/ramdisk /srv/kind/solana\n"
                "Wants=agavectl-boot.service\n"
                "After=agavectl-boot.service\n"
                "AssertPathIsMountPoint=/srv/kind\n"
                "AssertPathIsMountPoint=/srv/solana\n"
                "AssertPathIsMountPoint=/srv/solana/ramdisk\n"
                "AssertPathIsMountPoint=/srv/kind/solana\n"
                "AssertPathIsMountPoint=/srv/kind/solana/ramdisk\n"
                "AssertPathExists=/run/agavectl/boot-ok\n");
}

/* A stop of one of ours must not become a stop of the validator. */
static void nobody_depends_on_our_units_for_life(void **state)
{
    static const char *const keys[] = {"Requires", "BindsTo", "Requisite", "PartOf", "Upholds"};
    AUTO(units_files_clear) struct units_files f = {0};

    make(BRD, &all, &f);
    for (size_t i = 0; i < f.n; i++) {
        AUTO(unit_file_clear) struct unit_file u = {0};
        AUTO(strlist_clear) struct strlist words = {0};

        if (!f.items[i].text)
            continue;
        unit_file_parse(f.items[i].text, strlen(f.items[i].text), "x", &u);
        assert_int_equal(u.faults.n, 0);
        for (size_t k = 0; k < ARRAY_LEN(keys); k++)
            unit_file_words(&u, "Unit", keys[k], &words);
        assert_int_equal(words.n, 0);
    }
}

static void only_what_there_is(void **state)
{
    const struct units_facts bare = {.program = "/opt/a dir/agavectl$5%"};
    AUTO(units_files_clear) struct units_files f = {0};

    make("storage: {ramdisk: {kind: none}, kind_root: '', bind: ''}\n"
         "validator: {accounts: /srv/solana/accounts}\n",
         &bare, &f);
    assert_int_equal(f.n, 5);
    assert_null(units_files_find(&f, UNITS_ETC "/agavectl-ramdisk.service"));
    const struct units_file *boot = units_files_find(&f, UNITS_ETC "/agavectl-boot.service");
    assert_null(strstr(boot->text, "Before="));
    assert_null(strstr(boot->text, "Wants="));
    assert_non_null(strstr(boot->text, "\nExecStart=\"/opt/a dir/agavectl$$5%%\" boot finish\n"));
}

static void a_device_that_is_only_named_is_loaded_as_well(void **state)
{
    AUTO(units_files_clear) struct units_files f = {0};

    make("storage: {ramdisk: {device: /dev/ram0}}\n", &all, &f);
    assert_non_null(strstr(f.items[0].text, "Wants=modprobe@brd.service\n"));
}

static void line_is(const char *yaml, const struct fstab_facts *facts, enum fstab_place p,
                    const char *want)
{
    AUTO(config_freep) struct config *cfg = config_of(yaml);
    AUTO(freep) char *line = fstab_line(cfg, facts, p);
    AUTO(fstab_clear) struct fstab f = {0};

    assert_string_equal(line ? line : "none", want);
    fstab_parse(line, strlen(line), &f);
    assert_int_equal(f.n, 1);
    assert_int_equal(f.n_faults, 0);
}

static void lines_of_fstab(void **state)
{
    const struct fstab_facts facts = {.volume = "/dev/zvol/tank/solana",
                                      .ramdisk_options = "noatime",
                                      .formatter = "agavectl-ramdisk.service",
                                      .zfs = true};
    const struct fstab_facts disk = {.volume = "UUID=A-B", .ramdisk_options = "size=1k"};

    line_is(BRD, &facts, FSTAB_VOLUME,
            "/dev/zvol/tank/solana /srv/solana xfs noatime,nofail,x-systemd.device-timeout=300s,"
            "x-systemd.after=zfs-volume-wait.service 0 0");
    line_is(BRD, &facts, FSTAB_RAMDISK,
            "/dev/ram0 /srv/solana/ramdisk xfs noatime,nofail,"
            "x-systemd.requires=agavectl-ramdisk.service,x-systemd.device-timeout=300s 0 0");
    line_is(BRD, &facts, FSTAB_BIND,
            "/srv/solana /srv/kind/solana none rbind,rslave,rshared,nofail,"
            "x-systemd.requires-mounts-for=/srv/solana/ramdisk,x-systemd.after=zfs-mount.service "
            "0 0");
    line_is("storage: {volume: {mount: '/srv/my disk'}}\n", &disk, FSTAB_VOLUME,
            "UUID=A-B /srv/my\\040disk xfs noatime,nofail,x-systemd.device-timeout=300s 0 0");
    line_is("storage: {ramdisk: {kind: tmpfs, size_gib: 1}}\n", &disk, FSTAB_RAMDISK,
            "tmpfs /srv/solana/ramdisk tmpfs size=1k,nofail 0 0");
    line_is("storage: {ramdisk: {kind: none}}\nvalidator: {accounts: /srv/solana/accounts}\n",
            &disk, FSTAB_BIND,
            "/srv/solana /srv/kind/solana none rbind,rslave,rshared,nofail,"
            "x-systemd.requires-mounts-for=/srv/solana 0 0");
}

static void no_line_without_a_name_that_holds(void **state)
{
    AUTO(config_freep) struct config *cfg = config_of(BRD);
    AUTO(config_freep) struct config *none = config_of("storage: {ramdisk: {kind: none}}\n");
    const struct fstab_facts facts = {.ramdisk_options = "noatime"};

    assert_null(fstab_line(cfg, &facts, FSTAB_VOLUME));
    assert_null(fstab_line(none, &facts, FSTAB_RAMDISK));
}

static void what_would_be_lost(void **state)
{
    static const struct {
        const char *options, *differs; /* NULL: nothing */
    } cases[] = {
        {"noatime,nofail,x-systemd.requires=format-ramdisk.service", NULL},
        {"defaults,x-systemd.after=modprobe@brd.service,x-systemd.device-timeout=9s", NULL},
        {"noatime,logbufs=8", "logbufs=8"},
        {"discard", "discard"},
        {"x-systemd.requires=unlock.service", "unlock.service"},
        {"x-systemd.automount", "x-systemd.automount"},
    };
    AUTO(strlist_clear) struct strlist off = {0};
    AUTO(fstab_clear) struct fstab ours = {0};
    static const char mine[] = "/dev/ram0 /r xfs noatime,nofail,x-systemd.requires=a.service 0 0";

    strlist_add(&off, "format-ramdisk.service");
    fstab_parse(mine, strlen(mine), &ours);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(freep) char *line = xasprintf("/dev/ram0 /r xfs %s 0 0", cases[i].options);
        AUTO(fstab_clear) struct fstab theirs = {0};

        fstab_parse(line, strlen(line), &theirs);
        AUTO(freep) char *got = fstab_differs(&theirs.items[0], &ours.items[0], &off);
        if (cases[i].differs ? !got || !strstr(got, cases[i].differs) : got != NULL)
            fail_msg("'%s': %s", cases[i].options, got ? got : "nothing");
    }
}

static void taken_over_and_back_by_every_byte(void **state)
{
    static const char *const files[] = {
        "a\n\tb\t/x  y z\r\n#c\n/dev/x /y", "one\ntwo\n", "\n\n", "", "no newline",
    };
    const uint32_t lines[] = {2, 4};

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        AUTO(strbuf_clear) struct strbuf off = {0};
        AUTO(strbuf_clear) struct strbuf back = {0};
        AUTO(fstab_clear) struct fstab f = {0};

        fstab_adopt(files[i], strlen(files[i]), lines, 2, &off);
        fstab_parse(strbuf_text(&off), off.len, &f);
        assert_null(fstab_at(&f, "/y", NULL));
        fstab_unadopt(strbuf_text(&off), off.len, &back);
        assert_string_equal(strbuf_text(&back), files[i]);
    }
    /* the mark is no mark of a block */
    assert_null(strstr(FSTAB_ADOPTED, "# agavectl"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_units_of_a_ram_disk),
        cmocka_unit_test(links_and_who_waits),
        cmocka_unit_test(nobody_depends_on_our_units_for_life),
        cmocka_unit_test(only_what_there_is),
        cmocka_unit_test(a_device_that_is_only_named_is_loaded_as_well),
        cmocka_unit_test(lines_of_fstab),
        cmocka_unit_test(no_line_without_a_name_that_holds),
        cmocka_unit_test(what_would_be_lost),
        cmocka_unit_test(taken_over_and_back_by_every_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
