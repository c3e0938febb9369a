/* boot seen: node and pod with the same folder, with another one, without one. boot leave on a host
 * that systemd runs, and what systemd-analyze says. */
#include "boot/boot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "boot/boot_parts.h"
#include "boot/boot_verify.h"
#include "io/fsroot.h"
#include "io/proc.h"
#include "look/boot_proof.h"
#include "tests/unit/boot/host.h"

#define VALIDATOR_PID 70
#define AS_POD        ", runtime: kubernetes}\n"

static struct boot_proof proof_of(struct host *h)
{
    struct boot_proof p = {0};

    assert_ok(boot_proof_read(&h->f.ctx, BOOT_PROOF_PATH, &p));
    return p;
}

/* A validator in a pod whose /data/accounts is the host's folder "to". mount: how its table of
 * mounts tells it. */
static void validator_in_pod(struct host *h, const char *to, const char *mount)
{
    AUTO(freep) char *root = xasprintf("/proc/%d/root", VALIDATOR_PID);
    AUTO(freep) char *table = xasprintf("/proc/%d/mountinfo", VALIDATOR_PID);

    fixture_process(&h->f, VALIDATOR_PID, "agave-validator", "/opt/agave-validator",
                    "agave-validator --ledger /srv/solana/ledger --accounts /data/accounts run", 5);
    fixture_link(&h->f, root, "../..");
    fixture_link(&h->f, "/data/accounts", to);
    fixture_put(&h->f, table, "1 0 0:90 / / rw - overlay overlay rw\n9 1 %s\n", mount);
}

static void a_pod_with_the_same_folder_is_seen(void **state)
{
    AUTO(host_clear) struct host h;
    AUTO(boot_proof_clear) struct boot_proof p = {0};

    host_new(&h, AS_POD);
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    validator_in_pod(&h, ACCOUNTS, "0:51 /accounts /data/accounts rw - tmpfs tmpfs rw");
    assert_ok(boot_seen(&h.f.ctx, false, &h.said));
    p = proof_of(&h);
    assert_true(p.pod_seen_at);
    assert_int_equal(p.node_seen_at, 0); /* the config names no node */
    assert_true(host_said(&h, "nothing is left to wait for"));
}

static void a_pod_with_another_folder_is_not(void **state)
{
    AUTO(host_clear) struct host h;
    AUTO(boot_proof_clear) struct boot_proof p = {0};

    host_new(&h, AS_POD);
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    fixture_dir(&h.f, "/below");
    validator_in_pod(&h, "/below", "8:1 /below /data/accounts rw - ext4 /dev/sda1 rw");
    assert_err(boot_seen(&h.f.ctx, false, &h.said), ERR_NOTFOUND, "another folder");
    p = proof_of(&h);
    assert_int_equal(p.pod_seen_at, 0);
    assert_null(p.unseen); /* there is still time */
}

static void after_the_deadline_it_says_what_is_missing(void **state)
{
    AUTO(host_clear) struct host h;
    AUTO(boot_proof_clear) struct boot_proof p = {0};
    AUTO(boot_proof_clear) struct boot_proof q = {0};

    host_new(&h, AS_POD);
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    fixture_put(&h.f, "/proc/uptime", "1801.00 1.0\n");
    assert_err(boot_seen(&h.f.ctx, true, &h.said), ERR_TIMEOUT,
               "the validator's pod: no validator");
    p = proof_of(&h);
    assert_non_null(strstr(p.unseen, "the validator's pod"));
    assert_null(p.failed);
    validator_in_pod(&h, ACCOUNTS, "0:51 /accounts /data/accounts rw - tmpfs tmpfs rw");
    assert_ok(boot_seen(&h.f.ctx, true, &h.said)); /* late is seen as well */
    q = proof_of(&h);
    assert_null(q.unseen);
    assert_true(q.pod_seen_at);
}

static void without_kind_there_is_nothing_to_wait_for(void **state)
{
    AUTO(host_clear) struct host h;
    AUTO(boot_proof_clear) struct boot_proof p = {0};

    host_new(&h, "");
    assert_err(boot_seen(&h.f.ctx, true, &h.said), ERR_NOTFOUND, "boot finish");
    assert_ok(boot_finish(&h.f.ctx, &h.said));
    assert_ok(boot_seen(&h.f.ctx, true, &h.said));
    p = proof_of(&h);
    assert_int_equal(p.pod_seen_at + p.node_seen_at, 0);
    assert_null(p.unseen);
}

/* systemctl as it answers. */
static struct err *stopping(struct ctx *ctx, const struct proc_spec *spec, struct proc_result *ret)
{
    *ret = (struct proc_result){.exit = 1, .out = xstrdup("stopping\n"), .err = xstrdup("")};
    return NULL;
}
static struct err *running(struct ctx *ctx, const struct proc_spec *spec, struct proc_result *ret)
{
    *ret = (struct proc_result){.out = xstrdup("running\n"), .err = xstrdup("")};
    return NULL;
}
static struct err *broken(struct ctx *ctx, const struct proc_spec *spec, struct proc_result *ret)
{
    return err_new(ERR_TIMEOUT, "systemctl did not answer");
}

static void the_mark_is_for_a_host_that_goes_down(void **state)
{
    static const struct proc_ops is_stopping = {stopping}, is_running = {running},
                                 is_broken = {broken};
    AUTO(host_clear) struct host h;

    host_new(&h, "");
    fixture_dir(&h.f, "/run/systemd/system");
    h.f.ctx.proc = &is_running;
    assert_ok(boot_leave(&h.f.ctx, &h.said));
    assert_true(host_said(&h, "not going down (running)"));
    h.f.ctx.proc = &is_broken;
    assert_ok(boot_leave(&h.f.ctx, &h.said));
    assert_true(host_said(&h, "could not look"));
    assert_false(host_has(&h, MARKS "/" BOOT_MARK_LEFT));
    h.f.ctx.proc = &is_stopping;
    assert_ok(boot_leave(&h.f.ctx, &h.said));
    assert_true(host_has(&h, MARKS "/" BOOT_MARK_LEFT));
}

static void what_the_verifier_prints_is_read(void **state)
{
    AUTO(findings_clear) struct findings f = {0};

    assert_false(boot_verify_read("", &f));
    assert_false(boot_verify_read("foo.service: Command /x is not executable\n", &f));
    assert_int_equal(f.n, 0);
    assert_true(
        boot_verify_read("local-fs.target: Found ordering cycle on srv-solana-ramdisk.mount/start\n"
                         "local-fs.target: Found dependency on format.service/start\n"
                         "/etc/systemd/system/agavectl-boot.service:3: Unknown key name 'X'\n",
                         &f));
    assert_int_equal(f.n, 2);
    assert_string_equal(f.items[0].id, "boot.verify");
    assert_int_equal(f.items[0].sev, SEV_FAIL);
    assert_int_equal(f.items[1].sev, SEV_WARN);
}

static struct err *analyze_says(struct ctx *ctx, const struct proc_spec *spec,
                                struct proc_result *ret)
{
    static const char *const texts[] = {
        "Failed to create directory '/run/systemd/': Read-only file system\n",
        "foo.service: Command /x is not executable: No such file\n",
        "Unit srv-solana.mount not found.\n",
    };
    static size_t n;

    (void)ctx;
    assert_string_equal(spec->path, "/usr/bin/systemd-analyze");
    const char *text = texts[n++];
    *ret = (struct proc_result){
        .exit = 1, .out = xstrdup(""), .err = xstrdup(text), .err_n = strlen(text)};
    return NULL;
}

static void a_verifier_that_failed_is_not_ok(void **state)
{
    static const struct proc_ops analyze = {.run = analyze_says};
    AUTO(host_clear) struct host h;
    AUTO(findings_clear) struct findings failed = {0}, others = {0}, gone = {0};

    host_new(&h, "");
    h.f.ctx.proc = &analyze;
    boot_verify(&h.f.ctx, &failed);
    assert_int_equal(failed.n, 1);
    assert_int_equal(failed.items[0].sev, SEV_UNKNOWN);
    boot_verify(&h.f.ctx, &others); /* somebody else's unit is no fault of the boot's order */
    assert_int_equal(others.n, 1);
    assert_int_equal(others.items[0].sev, SEV_OK);
    boot_verify(&h.f.ctx, &gone); /* before prepare, or after undo */
    assert_int_equal(gone.items[0].sev, SEV_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pod_with_the_same_folder_is_seen),
        cmocka_unit_test(a_pod_with_another_folder_is_not),
        cmocka_unit_test(after_the_deadline_it_says_what_is_missing),
        cmocka_unit_test(without_kind_there_is_nothing_to_wait_for),
        cmocka_unit_test(the_mark_is_for_a_host_that_goes_down),
        cmocka_unit_test(what_the_verifier_prints_is_read),
        cmocka_unit_test(a_verifier_that_failed_is_not_ok),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
