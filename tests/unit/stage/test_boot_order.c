/* stage/boot_order: circles that systemd would break by leaving a mount out, and orders that look
 * like one and are none. */
#include "stage/boot_order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"
#include "fixture.h"

#define ETC "/etc/systemd/system"
#define LIB "/usr/lib/systemd/system"
#define RAM "/dev/ram0 /srv/solana/ramdisk xfs noatime"
#define FORMAT                                                                                     \
    "[Unit]\nBefore=srv-solana-ramdisk.mount\n%s[Service]\nType=oneshot\nExecStart=/bin/true\n"

/* What systemd 252 ships, as far as it matters here. */
static void packages(struct fixture *f)
{
    fixture_new(f);
    fixture_put(f, LIB "/local-fs.target",
                "[Unit]\nDefaultDependencies=no\nConflicts=shutdown.target\n"
                "After=local-fs-pre.target\n");
    fixture_put(f, LIB "/sysinit.target",
                "[Unit]\nConflicts=emergency.service\nWants=local-fs.target swap.target\n"
                "After=local-fs.target swap.target emergency.service\n");
    fixture_put(f, LIB "/basic.target",
                "[Unit]\nRequires=sysinit.target\nWants=sockets.target timers.target\n"
                "After=sysinit.target sockets.target\n");
    fixture_put(f, LIB "/docker.service", "[Unit]\nAfter=network-online.target\n[Service]\n");
}

/* Docker and accounts.service, which lies in dir. more: further lines of Docker's. */
static void after_each_other(struct fixture *f, const char *dir, const char *more)
{
    AUTO(freep) char *path = xasprintf("%s/accounts.service", dir);

    fixture_put(f, ETC "/docker.service.d/a.conf", "[Unit]\nAfter=accounts.service\n%s", more);
    fixture_put(f, path, "[Unit]\nAfter=docker.service\n[Service]\n");
}

static void fstab(struct fixture *f, const char *ramdisk_options)
{
    fixture_put(f, "/etc/fstab",
                "/dev/sda1 / ext4 defaults 0 0\n"
                "/dev/sdb /srv/solana xfs noatime,nofail 0 0\n" RAM
                ",x-systemd.requires=format.service%s 0 0\n"
                "/srv/solana /srv/kind/solana none rbind,rslave,rshared,nofail,"
                "x-systemd.requires-mounts-for=/srv/solana/ramdisk 0 0\n",
                ramdisk_options);
}

static char *circle_of(struct fixture *f)
{
    AUTO(strlist_clear) struct strlist units = {0};
    char *circle = NULL;

    strlist_add(&units, "docker.service");
    assert_ok(boot_order_circle(&f->ctx, &units, &circle));
    return circle;
}

#define assert_no_circle(f)                                                                        \
    do {                                                                                           \
        AUTO(freep) char *c_ = circle_of(f);                                                       \
        if (c_)                                                                                    \
            fail_msg("circle: %s", c_);                                                            \
    } while (0)
#define assert_circle(f, part)                                                                     \
    do {                                                                                           \
        AUTO(freep) char *c_ = circle_of(f);                                                       \
        if (!c_ || !strstr(c_, part))                                                              \
            fail_msg("circle: %s", c_ ? c_ : "none");                                              \
    } while (0)

static void the_right_files_have_none(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    packages(&f);
    fstab(&f, ",nofail");
    fixture_put(&f, ETC "/format.service", FORMAT,
                "DefaultDependencies=no\nBefore=local-fs.target shutdown.target\n"
                "Conflicts=shutdown.target\n");
    fixture_put(&f, ETC "/agavectl-boot.service",
                "[Unit]\nWants=srv-solana.mount srv-solana-ramdisk.mount\nAfter=srv-solana.mount "
                "srv-solana-ramdisk.mount\nBefore=docker.service\n[Service]\n");
    fixture_link(&f, ETC "/multi-user.target.wants/agavectl-boot.service",
                 "../agavectl-boot.service");
    fixture_put(&f, ETC "/docker.service.d/50-agavectl.conf",
                "[Unit]\nRequiresMountsFor=/srv/solana/ramdisk\nAfter=agavectl-boot.service\n"
                "Wants=agavectl-boot.service\n");
    assert_no_circle(&f);
}

/* The one that was seen on a machine: without DefaultDependencies=no the unit waits for
 * sysinit.target, which waits for local-fs.target, which waits for the mount. */
static void a_format_with_default_dependencies_is_one(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    packages(&f);
    fstab(&f, "");
    fixture_put(&f, ETC "/format.service", FORMAT, "");
    assert_circle(&f, "local-fs.target, sysinit.target, ");
    assert_circle(&f, "format.service, srv-solana-ramdisk.mount");
    /* with nofail the mount is not before local-fs.target: late, but no circle */
    fstab(&f, ",nofail");
    assert_no_circle(&f);
    fixture_put(&f, ETC "/format.service", FORMAT, "Before=local-fs.target\n");
    assert_circle(&f, "format.service");
}

static void two_that_wait_for_each_other(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    packages(&f);
    after_each_other(&f, ETC, "Wants=accounts.service\n");
    assert_circle(&f, "docker.service");
    assert_circle(&f, "accounts.service");
}

/* Nobody starts it at boot, so its order counts for nothing. */
static void a_unit_that_is_not_started_makes_none(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    packages(&f);
    after_each_other(&f, ETC, "");
    assert_no_circle(&f);
    fixture_link(&f, ETC "/multi-user.target.wants/accounts.service", "../accounts.service");
    assert_circle(&f, "accounts.service");
}

/* What a unit's file pulls in counts beside the links in its folders. */
static void words_and_links_both_count(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    packages(&f);
    after_each_other(&f, ETC, "Wants=accounts.service\n");
    fixture_put(&f, ETC "/other.service", "[Service]\n");
    fixture_link(&f, ETC "/docker.service.wants/other.service", "../other.service");
    assert_circle(&f, "accounts.service");
}

static void a_masked_unit_makes_none(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    packages(&f);
    after_each_other(&f, LIB, "Wants=accounts.service\n");
    assert_circle(&f, "accounts.service");
    fixture_link(&f, ETC "/accounts.service", "/dev/null");
    assert_no_circle(&f);
}

/* What the generator wrote at the last boot is not what fstab says now. */
static void the_generators_old_file_does_not_count(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    packages(&f);
    fstab(&f, ",nofail");
    fixture_put(&f, ETC "/format.service", FORMAT, "DefaultDependencies=no\n");
    fixture_put(&f, "/run/systemd/generator/srv-solana-ramdisk.mount",
                "[Unit]\nBefore=format.service\n[Mount]\nWhat=/dev/ram0\n");
    assert_no_circle(&f);
    fixture_put(&f, ETC "/srv-solana-ramdisk.mount.d/x.conf", "[Unit]\nBefore=format.service\n");
    assert_circle(&f, "srv-solana-ramdisk.mount");
}

static void no_fstab_is_no_error(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    fixture_new(&f);
    assert_no_circle(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_right_files_have_none),
        cmocka_unit_test(a_format_with_default_dependencies_is_one),
        cmocka_unit_test(two_that_wait_for_each_other),
        cmocka_unit_test(a_unit_that_is_not_started_makes_none),
        cmocka_unit_test(words_and_links_both_count),
        cmocka_unit_test(a_masked_unit_makes_none),
        cmocka_unit_test(the_generators_old_file_does_not_count),
        cmocka_unit_test(no_fstab_is_no_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
