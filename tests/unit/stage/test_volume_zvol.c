/* stage volume on a zvol: what is planned for a missing one, what is refused, what stays. What zfs
 * answers is captured; the kernel's ZFS is in no test of this machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/str.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "tree.h"

#define GET                                                                                        \
    "{\"argv\": [\"/usr/sbin/zfs\",\"get\",\"-H\",\"-p\",\"-o\",\"property,value\","               \
    "\"type,mounted,mountpoint,canmount,available,volsize,refreservation\",\"%s\"], "
#define NONE       GET "\"exit\": 1, \"err\": \"cannot open '%s': dataset does not exist\\n\"}"
#define FILESYSTEM GET "\"out\": \"type\\tfilesystem\\navailable\\t%llu\\n\"}"
#define VOLUME     GET "\"out\": \"type\\tvolume\\nvolsize\\t%llu\\n\"}"
#define PROGRAM    "\"/usr/sbin/zfs\": {\"type\": \"file\", \"mode\": \"0755\"}"
#define ZD         "\"/dev/zd0\": {\"type\": \"block\", \"rdev\": \"230:0\"}"
#define TIB        (1ULL << 40)

static const struct stage *volume(void)
{
    return stage_by_name(stage_table, "volume");
}

static void host(struct tree *t, const char *size_gib)
{
    AUTO(freep)
    char *yaml =
        xasprintf("storage:\n  volume: {device: /dev/zvol/tank/solana, size_gib: %s}\n", size_gib);

    tree_new(t, yaml);
    fixture_put(&t->f, "/proc/self/mountinfo", "27 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n");
}

/* programs: of host.json. */
static void look(struct tree *t, const char *stat, const char *programs)
{
    AUTO(freep)
    char *json = xasprintf("{\"stat\": {%s}, \"programs\": [%s], \"block\": {\"/dev/zd0\": "
                           "{\"content\": \"blank\", \"size_b\": 1649267441664}}}",
                           stat, programs);

    tree_capture(t, json);
    tree_check(t, "volume");
}

static void plan(struct tree *t, struct plan *p)
{
    assert_ok(volume()->plan(&t->f.ctx, &t->found, p));
}

/* A host without the zvol; programs as above. Nothing is planned, and one finding says why. */
static void refused(const char *programs, enum severity sev, const char *why)
{
    AUTO(tree_clear) struct tree t;
    AUTO(plan_clear) struct plan p = {0};

    host(&t, "1536");
    look(&t, PROGRAM, programs);
    tree_is(&t, "volume.zvol", sev, why);
    assert_null(findings_find(&t.found, "volume.zvol")->repair);
    plan(&t, &p);
    assert_int_equal(p.n, 0);
}

static void a_missing_one_is_made_formatted_and_mounted(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(plan_clear) struct plan p = {0};
    AUTO(freep)
    char *programs = xasprintf(NONE "," FILESYSTEM, "tank/solana", "tank/solana", "tank", 2 * TIB);

    host(&t, "1536");
    look(&t, PROGRAM, programs);
    tree_is(&t, "volume.zvol", SEV_FAIL, "zvol 'tank/solana' of 1.5 TiB does not exist");
    tree_has_not(&t, "zfs.zvol");
    plan(&t, &p);
    assert_int_equal(p.n, 3);
    assert_string_equal(p.items[0].object, "zvol tank/solana");
    assert_string_equal(p.items[0].after, "1.5 TiB in blocks of 16 KiB, room kept for all of it");
    assert_string_equal(p.items[0].arg, "1649267441664 tank/solana");
    assert_true(p.items[0].undoable && !p.items[0].destructive);
    assert_string_equal(p.items[1].object, "/dev/zvol/tank/solana");
    assert_string_equal(p.items[1].after, "xfs on zvol tank/solana");
    assert_string_equal(p.items[1].arg, "zvol tank/solana");
    assert_string_equal(p.items[2].object, "/srv/solana");
    assert_string_equal(p.items[2].arg, "zvol tank/solana");
}

/* Of that many sectors; 1.5 TiB are asked for. */
static void host_with_zvol(struct tree *t, const char *sectors)
{
    host(t, "1536");
    fixture_link(&t->f, "/dev/zvol/tank/solana", "../../zd0");
    fixture_link(&t->f, "/sys/dev/block/230:0", "../../block/zd0");
    fixture_put(&t->f, "/sys/block/zd0/size", "%s\n", sectors);
    fixture_dir(&t->f, "/sys/block/zd0/holders");
    look(t, PROGRAM "," ZD, "");
}

/* What was decided before it was there is what is decided when it is. */
static void one_that_was_made_is_the_one_that_was_planned(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(plan_clear) struct plan p = {0};

    host_with_zvol(&t, "3221225472");
    tree_has_not(&t, "volume.zvol");
    tree_has_not(&t, "volume.size");
    plan(&t, &p);
    assert_int_equal(p.n, 2);
    assert_string_equal(p.items[0].after, "xfs on zvol tank/solana");
    assert_string_equal(p.items[0].arg, "zvol tank/solana");
    assert_string_equal(p.items[1].arg, "zvol tank/solana");
}

static void one_of_another_size_is_not_formatted(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(plan_clear) struct plan p = {0};

    host_with_zvol(&t, "3221225470");
    tree_is(&t, "volume.size", SEV_FAIL, "has 1.5 TiB (1649267440640 bytes), and storage.volume");
    plan(&t, &p);
    assert_int_equal(p.n, 0);
}

static void refusals_have_one_reason_each(void **state)
{
    AUTO(freep)
    char *no_pool = xasprintf(NONE "," NONE, "tank/solana", "tank/solana", "tank", "tank");
    AUTO(freep)
    char *no_room = xasprintf(NONE "," FILESYSTEM, "tank/solana", "tank/solana", "tank", TIB);
    AUTO(freep) char *dataset = xasprintf(FILESYSTEM, "tank/solana", 9 * TIB);
    AUTO(freep) char *no_node = xasprintf(VOLUME, "tank/solana", TIB);
    AUTO(freep)
    char *sick =
        xasprintf(GET "\"exit\": 1, \"err\": \"internal error: out of memory\\n\"}", "tank/solana");

    refused(no_pool, SEV_FAIL, "pool 'tank' is not there: import it");
    refused(no_room, SEV_FAIL, "of 1.5 TiB is not made: 'tank' has room for 1.0 TiB");
    refused(dataset, SEV_FAIL, "is no volume, and io_uring on a file system of ZFS can hang");
    refused(no_node, SEV_FAIL, "zvol 'tank/solana' is there, and its device");
    refused(sick, SEV_UNKNOWN, "could not look: zfs get: internal error: out of memory");
}

static void no_program_and_no_name(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(tree_clear) struct tree u;
    AUTO(freep) char *yaml = NULL;
    char name[300];

    host(&t, "1536");
    look(&t, "\"/x\": {}", "");
    tree_is(&t, "volume.zvol", SEV_FAIL, "no program 'zfs' on this machine: install it");
    memset(name, 'n', sizeof(name));
    name[251] = '\0'; /* with "tank/" 256 */
    yaml = xasprintf("storage:\n  volume: {device: /dev/zvol/tank/%s, size_gib: 1}\n", name);
    tree_new(&u, yaml);
    fixture_put(&u.f, "/proc/self/mountinfo", "27 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n");
    look(&u, PROGRAM, "");
    tree_is(&u, "volume.zvol", SEV_FAIL, "256 bytes; ZFS takes 255");
}

static void without_a_size_none_is_made(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(plan_clear) struct plan p = {0};

    host(&t, "0");
    look(&t, PROGRAM, "");
    tree_is(&t, "volume.zvol", SEV_FAIL, "set storage.volume.size_gib to have it made");
    plan(&t, &p);
    assert_int_equal(p.n, 0);
}

/* Exactly what was decided, of this very dataset, and its device is there at the end. */
static void it_is_made_as_it_was_decided(void **state)
{
    AUTO(tree_clear) struct tree t;
    struct change c = {.verb = 16,
                       .object = (char[]){"zvol tank/solana"},
                       .arg = (char[]){"1649267441664 tank/solana"}};
    struct change other = {.verb = 16, .arg = (char[]){"1649267441664 tank/other"}};
    struct change torn = {.verb = 16, .arg = (char[]){"tank/solana"}};

    host(&t, "1536");
    fixture_link(&t.f, "/dev/zvol/tank/solana", "../../zd0");
    look(&t, PROGRAM "," ZD,
         "{\"argv\": [\"/usr/sbin/zfs\",\"create\",\"-b\",\"16384\",\"-V\",\"1649267441664\","
         "\"tank/solana\"]}");
    assert_ok(volume()->apply(&t.f.ctx, &c));
    assert_err(volume()->apply(&t.f.ctx, &other), ERR_REFUSED, "run the command again");
    assert_err(volume()->apply(&t.f.ctx, &torn), ERR_CORRUPT, "which zvol");
}

static uint64_t fake_ns;

static uint64_t fake_mono_ns(void)
{
    return fake_ns;
}

static void fake_wait(uint64_t wait_ns, const volatile sig_atomic_t *cancelled)
{
    fake_ns += wait_ns;
}

static void a_device_that_never_comes_is_not_waited_for_for_ever(void **state)
{
    static const struct clock_ops clock = {.mono_ns = fake_mono_ns, .wait = fake_wait};
    AUTO(tree_clear) struct tree t;
    struct change c = {.verb = 16, .arg = (char[]){"1649267441664 tank/solana"}};

    host(&t, "1536");
    look(&t, PROGRAM,
         "{\"argv\": [\"/usr/sbin/zfs\",\"create\",\"-b\",\"16384\",\"-V\",\"1649267441664\","
         "\"tank/solana\"]}");
    t.f.ctx.clock = &clock;
    assert_err(volume()->apply(&t.f.ctx, &c), ERR_TIMEOUT,
               "zvol 'tank/solana' was made and udev did not name it");
    assert_in_range(fake_ns / 1000000000, 59, 61);
}

static void undo_keeps_it_unless_it_is_gone(void **state)
{
    struct change c = {.verb = 16, .arg = (char[]){"1649267441664 tank/solana"}};
    AUTO(freep) char *there = xasprintf(VOLUME, "tank/solana", TIB);
    AUTO(freep)
    char *gone = xasprintf(NONE "," FILESYSTEM, "tank/solana", "tank/solana", "tank", TIB);
    AUTO(freep) char *away = xasprintf(NONE "," NONE, "tank/solana", "tank/solana", "tank", "tank");
    const struct {
        const char *programs;
        enum undo_verdict verdict;
        const char *what;
    } cases[] = {
        {there, UNDO_KEEP,
         "zvol 'tank/solana' stays with what is on it; 'zfs destroy tank/solana'"},
        {gone, UNDO_GONE, NULL},
        {away, UNDO_KEEP, "pool 'tank': "},
        {"", UNDO_KEEP, "no answer"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(tree_clear) struct tree t;
        AUTO(undo_look_clear) struct undo_look l = {0};

        host(&t, "1536");
        look(&t, PROGRAM, cases[i].programs);
        assert_ok(volume()->undo_look(&t.f.ctx, &c, &l));
        assert_int_equal(l.verdict, cases[i].verdict);
        assert_true(!cases[i].what || strstr(l.what, cases[i].what));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_one_is_made_formatted_and_mounted),
        cmocka_unit_test(one_that_was_made_is_the_one_that_was_planned),
        cmocka_unit_test(one_of_another_size_is_not_formatted),
        cmocka_unit_test(refusals_have_one_reason_each),
        cmocka_unit_test(no_program_and_no_name),
        cmocka_unit_test(without_a_size_none_is_made),
        cmocka_unit_test(it_is_made_as_it_was_decided),
        cmocka_unit_test(a_device_that_never_comes_is_not_waited_for_for_ever),
        cmocka_unit_test(undo_keeps_it_unless_it_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
