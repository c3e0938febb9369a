/* boot finish and boot leave over several boots of a made-up host. */
#include "boot/boot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot/boot_parts.h"
#include "io/fsroot.h"
#include "look/boot_proof.h"
#include "tests/unit/boot/host.h"

#define SENTINEL "/srv/kind/solana/" BOOT_PROOF_SENTINEL

static struct boot_proof proof_of(struct host *h)
{
    struct boot_proof p = {0};

    assert_ok(boot_proof_read(&h->f.ctx, BOOT_PROOF_PATH, &p));
    return p;
}

/* A new boot: /run is empty. */
static void reboot(struct host *h, const char *id)
{
    host_boot(h, id);
    assert_ok(fsroot_unlink(h->f.ctx.root, BOOT_PROOF_PATH));
    assert_ok(fsroot_unlink(h->f.ctx.root, BOOT_OK_PATH));
    strlist_clear(&h->said);
}

static void what_is_right_is_made_ready(void **state)
{
    AUTO(host_clear) struct host h;
    AUTO(boot_proof_clear) struct boot_proof p = {0};
    AUTO(boot_proof_clear) struct boot_proof copy = {0};
    struct stat st;

    host_new(&h, "");
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    p = proof_of(&h);
    assert_string_equal(p.boot_id, BOOT_A);
    assert_true(p.mounted_at && p.owned_at);
    assert_int_equal(p.ramdisk.minor, 51);
    assert_int_equal(p.volume.major, 8);
    assert_null(p.failed);
    assert_int_equal(p.left, BOOT_LEFT_UNKNOWN);
    assert_ok(fsroot_stat(h.f.ctx.root, ACCOUNTS, &st));
    assert_int_equal(st.st_ino, p.accounts_ino);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_ok(boot_proof_read(&h.f.ctx, SENTINEL, &copy));
    assert_string_equal(copy.boot_id, BOOT_A);
    assert_true(host_has(&h, BOOT_OK_PATH));
}

static void all_that_is_wrong_is_told_at_once(void **state)
{
    AUTO(host_clear) struct host h;
    AUTO(boot_proof_clear) struct boot_proof p = {0};

    host_new(&h, "");
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    reboot(&h, BOOT_B);
    fixture_put(&h.f, BOOT_OK_PATH, "old");
    host_mounts(&h, false, false);
    assert_ok(fsroot_rmdir(h.f.ctx.root, ACCOUNTS));
    assert_err(boot_finish(&h.f.ctx, &h.said), ERR_CORRUPT,
               "the RAM disk is not mounted at '/srv/solana/ramdisk'; the bind is not mounted");
    p = proof_of(&h);
    assert_non_null(strstr(p.failed, "the bind is not mounted at '/srv/kind/solana'"));
    assert_int_equal(p.mounted_at, 0);
    assert_false(host_has(&h, BOOT_OK_PATH));
    assert_false(host_has(&h, ACCOUNTS)); /* nothing is made on the disk below */
}

static void a_bind_that_leads_elsewhere_is_told(void **state)
{
    AUTO(host_clear) struct host h;

    host_new(&h, "");
    assert_ok(fsroot_unlink(h.f.ctx.root, "/srv/kind/solana"));
    fixture_dir(&h.f, "/srv/kind/solana/ramdisk");
    assert_err(boot_finish(&h.f.ctx, &h.said), ERR_CORRUPT,
               "'/srv/kind/solana' is another folder than '/srv/solana'");
    assert_false(host_has(&h, BOOT_OK_PATH));
}

static void another_file_system_is_told(void **state)
{
    AUTO(host_clear) struct host h;

    host_new(&h, "");
    fixture_put(&h.f, "/proc/self/mountinfo",
                "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
                "2 1 8:2 / /srv/solana/ramdisk rw - ext4 /dev/sda2 rw\n"
                "3 1 8:1 /srv/solana /srv/kind/solana rw - ext4 /dev/sda1 rw\n");
    assert_err(boot_finish(&h.f.ctx, &h.said), ERR_CORRUPT, "lies ext4, not tmpfs");
}

static void put_right_it_is_made_ready(void **state)
{
    AUTO(host_clear) struct host h;
    AUTO(boot_proof_clear) struct boot_proof p = {0};

    host_new(&h, "");
    host_mounts(&h, true, false);
    assert_err(boot_finish(&h.f.ctx, &h.said), ERR_CORRUPT, "the bind");
    host_mounts(&h, true, true);
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    p = proof_of(&h);
    assert_null(p.failed);
    assert_true(host_has(&h, BOOT_OK_PATH));
}

static void lost_accounts_disable_local_state(void **state)
{
    AUTO(host_clear) struct host h;
    AUTO(boot_proof_clear) struct boot_proof p = {0};

    host_new(&h, "");
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    assert_ok(boot_leave(&h.f.ctx, &h.said));
    host_bank_snapshot(&h, 801, false);
    reboot(&h, BOOT_B);
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    p = proof_of(&h);
    assert_int_equal(p.left, BOOT_LEFT_CLEAN);
    assert_non_null(p.disabled);
    assert_non_null(strstr(p.disabled, "slot 801"));
    assert_true(host_has(&h, SNAPS "/snapshots.aside-1/801/storages_flushed"));
}

/* The whole round: only what a boot that ended in order has left is trusted. */
static void local_state_is_kept_after_an_orderly_end_alone(void **state)
{
    AUTO(host_clear) struct host h;
    AUTO(boot_proof_clear) struct boot_proof p = {0};
    AUTO(boot_proof_clear) struct boot_proof q = {0};

    host_new(&h, "");
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    host_bank_snapshot(&h, 801, true);
    assert_ok(boot_leave(&h.f.ctx, &h.said));
    reboot(&h, BOOT_B);
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    p = proof_of(&h);
    assert_int_equal(p.left, BOOT_LEFT_CLEAN);
    assert_null(p.disabled);
    assert_true(host_has(&h, SNAPS "/snapshots/801"));
    reboot(&h, BOOT_A); /* without a mark: the power was cut */
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    q = proof_of(&h);
    assert_int_equal(q.left, BOOT_LEFT_UNCLEAN);
    assert_non_null(strstr(q.disabled, "did not end in order"));
    assert_false(host_has(&h, SNAPS "/snapshots/801"));
}

static void the_first_boot_trusts_nothing(void **state)
{
    AUTO(host_clear) struct host h;
    AUTO(boot_proof_clear) struct boot_proof p = {0};

    host_new(&h, "");
    host_bank_snapshot(&h, 801, true);
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    p = proof_of(&h);
    assert_int_equal(p.left, BOOT_LEFT_UNKNOWN);
    assert_non_null(strstr(p.disabled, "nobody knows"));
}

/* Taken over under a running validator, which was then stopped in order: its state is good. */
static void what_was_made_in_this_boot_is_kept(void **state)
{
    AUTO(host_clear) struct host h;
    AUTO(boot_proof_clear) struct boot_proof p = {0};

    host_new(&h, "");
    host_bank_snapshot(&h, 801, true);
    host_booted_at(&h, 1000000000);
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    p = proof_of(&h);
    assert_int_equal(p.left, BOOT_LEFT_UNKNOWN);
    assert_null(p.disabled);
    assert_true(host_has(&h, SNAPS "/snapshots/801"));
}

static void a_second_time_changes_nothing(void **state)
{
    AUTO(host_clear) struct host h;
    AUTO(boot_proof_clear) struct boot_proof p = {0};
    AUTO(boot_proof_clear) struct boot_proof q = {0};

    host_new(&h, "");
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    p = proof_of(&h);
    host_bank_snapshot(&h, 901, true); /* the validator of this boot made it */
    strlist_clear(&h.said);
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    q = proof_of(&h);
    assert_true(host_has(&h, SNAPS "/snapshots/901"));
    assert_null(q.disabled);
    assert_int_equal(q.left, p.left);
    assert_int_equal(q.mounted_at, p.mounted_at);
    assert_int_equal(q.accounts_ino, p.accounts_ino);
    assert_int_equal(h.said.n, 1);
}

static void nothing_is_changed_under_a_validator(void **state)
{
    AUTO(host_clear) struct host h;

    host_new(&h, "");
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    host_bank_snapshot(&h, 801, false);
    fixture_process(&h.f, 70, "agave-validator", "/opt/agave-validator",
                    "agave-validator --ledger /srv/solana/ledger run", 5);
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    assert_true(host_has(&h, SNAPS "/snapshots/801"));
    AUTO(freep) char *accounts = fsroot_path(h.f.ctx.root, ACCOUNTS);
    assert_int_equal(chmod(accounts, 0777), 0);
    assert_err(boot_finish(&h.f.ctx, &h.said), ERR_CORRUPT, "agave-validator) runs");
    struct stat st;
    assert_int_equal(stat(accounts, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0777);
}

/* Nobody's fault, and the next boot puts it right. */
static void another_group_is_no_fault_under_a_validator(void **state)
{
    AUTO(host_clear) struct host h;

    host_new(&h, "");
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    fixture_process(&h.f, 70, "agave-validator", "/opt/agave-validator",
                    "agave-validator --ledger /srv/solana/ledger run", 5);
    h.cfg->validator.gid++;
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    assert_true(host_has(&h, BOOT_OK_PATH));
    h.cfg->validator.uid++;
    assert_err(boot_finish(&h.f.ctx, &h.said), ERR_CORRUPT, "agave-validator) runs");
}

static void a_damaged_proof_is_made_anew(void **state)
{
    AUTO(host_clear) struct host h;
    AUTO(boot_proof_clear) struct boot_proof p = {0};

    host_new(&h, "");
    fixture_put(&h.f, BOOT_PROOF_PATH, "%s", "{torn");
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    p = proof_of(&h);
    assert_true(p.owned_at);
    assert_true(host_said(&h, "no proof of a boot"));
}

static void a_link_in_place_of_the_accounts_is_not_followed(void **state)
{
    AUTO(host_clear) struct host h;
    struct stat st;

    host_new(&h, "");
    fixture_dir(&h.f, "/etc/precious");
    AUTO(freep) char *precious = fsroot_path(h.f.ctx.root, "/etc/precious");
    assert_int_equal(chmod(precious, 0777), 0);
    fixture_link(&h.f, ACCOUNTS, "../../../etc/precious");
    assert_err(boot_finish(&h.f.ctx, &h.said), ERR_CORRUPT, "will not follow the symbolic link");
    assert_int_equal(stat(precious, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0777);
}

/* Of a folder above it, which the pod can write. */
static void a_link_above_the_accounts_is_not_followed(void **state)
{
    AUTO(host_clear) struct host h;
    struct stat st;

    host_new(&h, "");
    free(TAKE(h.cfg->validator.accounts));
    h.cfg->validator.accounts = xstrdup("/srv/solana/ramdisk/pod/deep/accounts");
    fixture_dir(&h.f, "/etc/precious/deep/accounts");
    AUTO(freep) char *precious = fsroot_path(h.f.ctx.root, "/etc/precious/deep/accounts");
    AUTO(freep) char *made = fsroot_path(h.f.ctx.root, "/etc/precious/deep");
    assert_int_equal(chmod(precious, 0777), 0);
    fixture_link(&h.f, "/srv/solana/ramdisk/pod", "../../../etc/precious");
    assert_err(boot_finish(&h.f.ctx, &h.said), ERR_CORRUPT,
               "will not follow the symbolic link '/srv/solana/ramdisk/pod'");
    assert_int_equal(stat(precious, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0777);
    assert_int_equal(rmdir(precious), 0);
    assert_err(boot_finish(&h.f.ctx, &h.said), ERR_CORRUPT, NULL);
    assert_int_equal(rmdir(made), 0); /* nothing was made in it */
    free(TAKE(h.cfg->validator.accounts));
    h.cfg->validator.accounts = xstrdup("/srv/solana/ramdisk/own/deep/accounts");
    assert_ok(boot_finish(&h.f.ctx, &h.said)); /* plain ones are made */
}

static void no_mark_while_a_validator_is_left(void **state)
{
    AUTO(host_clear) struct host h;

    host_new(&h, "");
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    fixture_process(&h.f, 70, "agave-validator", "/opt/agave-validator",
                    "agave-validator --ledger /srv/solana/ledger run", 5);
    assert_ok(boot_leave(&h.f.ctx, &h.said));
    assert_true(host_said(&h, "process 70 (agave-validator) is still there"));
    assert_false(host_has(&h, MARKS "/" BOOT_MARK_LEFT));
}

/* A mark that is made and then not true any more would trust a torn ledger. */
static void a_mark_of_this_boot_goes_with_the_next_finish(void **state)
{
    AUTO(host_clear) struct host h;
    AUTO(boot_proof_clear) struct boot_proof p = {0};

    host_new(&h, "");
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    assert_ok(boot_leave(&h.f.ctx, &h.said));
    assert_true(host_has(&h, MARKS "/" BOOT_MARK_LEFT));
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    assert_false(host_has(&h, MARKS "/" BOOT_MARK_LEFT));
    reboot(&h, BOOT_B);
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    p = proof_of(&h);
    assert_int_equal(p.left, BOOT_LEFT_UNCLEAN);
}

/* What cannot be noted would make the next boot trust too much. */
static void a_boot_that_cannot_be_noted_is_not_ready(void **state)
{
    AUTO(host_clear) struct host h;

    host_new(&h, "");
    fixture_put(&h.f, MARKS, "a file in its place");
    assert_err(boot_finish(&h.f.ctx, &h.said), ERR_CORRUPT, "op");
    assert_false(host_has(&h, BOOT_OK_PATH));
    assert_ok(fsroot_unlink(h.f.ctx.root, MARKS));
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    assert_true(host_has(&h, BOOT_OK_PATH));
}

/* The copy is for others to read; nobody else may decide where it goes. */
static void a_link_in_place_of_the_copy_is_replaced(void **state)
{
    AUTO(host_clear) struct host h;
    AUTO(boot_proof_clear) struct boot_proof copy = {0};
    AUTO(freep) char *text = NULL;

    host_new(&h, "");
    fixture_put(&h.f, "/etc/precious", "mine");
    fixture_link(&h.f, "/srv/solana/" BOOT_PROOF_SENTINEL, "/etc/precious");
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    assert_ok(fsroot_read(h.f.ctx.root, "/etc/precious", 100, &text, NULL));
    assert_string_equal(text, "mine");
    assert_ok(boot_proof_read(&h.f.ctx, SENTINEL, &copy));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_right_is_made_ready),
        cmocka_unit_test(all_that_is_wrong_is_told_at_once),
        cmocka_unit_test(a_bind_that_leads_elsewhere_is_told),
        cmocka_unit_test(another_file_system_is_told),
        cmocka_unit_test(put_right_it_is_made_ready),
        cmocka_unit_test(lost_accounts_disable_local_state),
        cmocka_unit_test(local_state_is_kept_after_an_orderly_end_alone),
        cmocka_unit_test(the_first_boot_trusts_nothing),
        cmocka_unit_test(what_was_made_in_this_boot_is_kept),
        cmocka_unit_test(a_second_time_changes_nothing),
        cmocka_unit_test(nothing_is_changed_under_a_validator),
        cmocka_unit_test(another_group_is_no_fault_under_a_validator),
        cmocka_unit_test(a_damaged_proof_is_made_anew),
        cmocka_unit_test(a_link_in_place_of_the_accounts_is_not_followed),
        cmocka_unit_test(a_link_above_the_accounts_is_not_followed),
        cmocka_unit_test(no_mark_while_a_validator_is_left),
        cmocka_unit_test(a_mark_of_this_boot_goes_with_the_next_finish),
        cmocka_unit_test(a_boot_that_cannot_be_noted_is_not_ready),
        cmocka_unit_test(a_link_in_place_of_the_copy_is_replaced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
