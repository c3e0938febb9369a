/* Layer 4: the boots. What the next one does with the storage is told by fstab and units, and here
 * by one more question, whether its order has a circle. What this one did is told by its proof, and
 * whether that is still so. A host whose boot is not agavectl's has no proof, which is no fault. */
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/str.h"
#include "config/config.h"
#include "host/own_file.h"
#include "host/systemd.h"
#include "host/unit_file.h"
#include "io/fsroot.h"
#include "look/boot_proof.h"
#include "stage/boot_order.h"
#include "stage/etc.h"
#include "stage/service.h"
#include "stage/storage_now.h"
#include "stage/table.h"

#define LAYER      4
#define BOOT_UNIT  "agavectl-boot.service"
#define UNIT_MAX_B (64u << 10)
#define FINISH     "agavectl boot finish"

static bool boot_enabled(const struct ctx *ctx)
{
    return ctx->cfg && ctx->cfg->host.persist && *ctx->cfg->storage.volume.mount;
}

/* ---- the next boot -----------------------------------------------------------------------------
 */

static void add_mount(const char *path, struct strlist *ret)
{
    AUTO(freep) char *stem = unit_path_escape(path);

    if (*path)
        strlist_addf(ret, "%s.mount", stem);
}

static struct err *check_order(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    static const char *const usual[] = {"agavectl-ramdisk.service", BOOT_UNIT, "docker.service",
                                        "kubelet.service"};
    const struct config *c = ctx->cfg;
    AUTO(strlist_clear) struct strlist units = {0};
    AUTO(unit_file_clear) struct unit_file own = {0};
    AUTO(freep) char *circle = NULL;

    for (size_t i = 0; i < ARRAY_LEN(usual); i++)
        strlist_add(&units, usual[i]);
    add_mount(c->storage.volume.mount, &units);
    add_mount(c->storage.ramdisk.mount, &units);
    add_mount(c->storage.bind, &units);
    struct err *e = service_find(ctx, scene, &own);
    if (!e)
        strlist_add(&units, own.name);
    if (e && e->kind != ERR_NOTFOUND)
        return e;
    err_free(e);
    TRY(boot_order_circle(ctx, &units, &circle));
    findings_add(ret, "boot.order", LAYER, circle ? SEV_FAIL : SEV_OK, "%s%s",
                 circle ? "the next boot's order has a circle, which systemd breaks by leaving one "
                          "of them out: "
                        : "the order of the next boot has no circle",
                 circle ? circle : "");
    return NULL;
}

/* ---- this boot ---------------------------------------------------------------------------------
 */

/* Is the unit that makes the proof on this host, and was it when the host booted? */
struct ours {
    bool there, at_boot;
};

static struct err *look_ours(struct ctx *ctx, struct ours *ret)
{
    AUTO(unit_file_clear) struct unit_file u = {0};
    AUTO(freep) char *text = NULL;
    uint64_t booted = 0;
    struct stat st;
    struct err *e = unit_file_load(ctx, BOOT_UNIT, &u);

    *ret = (struct ours){0};
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    if (u.masked || !*u.path)
        return NULL;
    TRY(fsroot_read(ctx->root, u.path, UNIT_MAX_B, &text, NULL));
    ret->there = str_starts(text, OWN_FILE_MARK);
    if (!ret->there)
        return NULL;
    TRY(boot_time_read(ctx, &booted));
    TRY(fsroot_stat(ctx->root, u.path, &st));
    ret->at_boot = (uint64_t)st.st_mtime <= booted;
    return NULL;
}

static void no_proof(const struct ours *ours, struct findings *ret)
{
    if (!ours->there)
        findings_add(ret, "boot.proof", LAYER, SEV_NOTE,
                     "what this boot did is not recorded: its units are not agavectl's");
    else if (!ours->at_boot)
        findings_add(ret, "boot.proof", LAYER, SEV_NOTE,
                     "what this boot did is not recorded: agavectl's units are younger; the next "
                     "boot is their first");
    else
        finding_fix(findings_add(ret, "boot.proof", LAYER, SEV_FAIL,
                                 "nothing proves that the storage is that of this boot: %s did "
                                 "not come to its end; see journalctl -b -u %s",
                                 BOOT_UNIT, BOOT_UNIT),
                    FINISH);
}

static bool same_device(const struct boot_device *a, const struct boot_device *b)
{
    return a->major == b->major && a->minor == b->minor;
}

/* What the proof says, and the kernel now. */
static struct err *check_still(struct ctx *ctx, struct scene *scene, const struct boot_proof *p,
                               struct findings *ret)
{
    AUTO(storage_now_clear) struct storage_now now = {0};
    const struct mounts *m = NULL;
    const char *wrong = NULL;

    TRY(scene_mounts(ctx, scene, &m));
    TRY(storage_now_look(ctx, m, &now));
    for (size_t i = 0; i < now.faults.n; i++)
        findings_add(ret, "boot.storage", LAYER, SEV_FAIL, "since the boot: %s",
                     now.faults.items[i]);
    if (now.faults.n)
        return NULL;
    if (!same_device(&p->volume, &now.volume))
        wrong = "the volume is another device";
    else if (!same_device(&p->ramdisk, &now.ramdisk))
        wrong = "the RAM disk is another device";
    else if (!now.accounts_there)
        wrong = "the accounts folder is gone";
    else if (p->accounts_dev != now.accounts_dev || p->accounts_ino != now.accounts_ino)
        wrong = "the accounts folder is another one";
    AUTO(freep)
    char *want = xasprintf("%u:%u, device %" PRIu64 " inode %" PRIu64, p->ramdisk.major,
                           p->ramdisk.minor, p->accounts_dev, p->accounts_ino);
    AUTO(freep)
    char *got = xasprintf("%u:%u, device %" PRIu64 " inode %" PRIu64, now.ramdisk.major,
                          now.ramdisk.minor, now.accounts_dev, now.accounts_ino);
    finding_compare(findings_add(ret, "boot.storage", LAYER, wrong ? SEV_FAIL : SEV_OK, "%s%s",
                                 wrong ? "not what this boot made ready: "
                                       : "the storage is what this boot made ready",
                                 wrong ? wrong : ""),
                    want, got, BOOT_PROOF_PATH);
    return NULL;
}

static void check_seen(const struct boot_proof *p, struct findings *ret)
{
    if (p->unseen)
        finding_fix(findings_add(ret, "boot.seen", LAYER, SEV_WARN,
                                 "not everybody sees the storage of this boot: %s", p->unseen),
                    "agavectl boot seen --once");
    else if (p->node_seen_at || p->pod_seen_at)
        findings_add(ret, "boot.seen", LAYER, SEV_OK, "%s%s%s have the host's folders",
                     p->node_seen_at ? "kind node" : "",
                     p->node_seen_at && p->pod_seen_at ? " and " : "",
                     p->pod_seen_at ? "validator" : "");
}

static void check_before(const struct boot_proof *p, struct findings *ret)
{
    if (p->left == BOOT_LEFT_UNCLEAN)
        findings_add(ret, "boot.left", LAYER, SEV_NOTE,
                     "the boot before this one did not end in order: power, a crash, or a "
                     "validator that was still running");
    if (p->disabled)
        findings_add(ret, "boot.state", LAYER, SEV_NOTE, "%s", p->disabled);
}

static struct err *check_proof(struct ctx *ctx, struct scene *scene, const struct boot_proof *p,
                               struct findings *ret)
{
    bool whole = p->mounted_at && p->owned_at && !p->failed;
    char at[32];

    if (!whole) {
        finding_fix(findings_add(ret, "boot.proof", LAYER, SEV_FAIL,
                                 "the storage of this boot was not made ready: %s",
                                 p->failed ? p->failed : "the boot did not come to its end"),
                    FINISH);
        return NULL;
    }
    findings_add(ret, "boot.proof", LAYER, SEV_OK, "this boot made the storage ready at %s%s",
                 fmt_utc(p->owned_at * 1000, at, sizeof(at)),
                 p->formatted_at ? ", with a fresh RAM disk" : "");
    check_before(p, ret);
    check_seen(p, ret);
    return check_still(ctx, scene, p, ret);
}

static struct err *look_proof(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    AUTO(boot_proof_clear) struct boot_proof p = {0};
    struct ours ours;
    char id[40];

    TRY(look_ours(ctx, &ours));
    struct err *e = boot_proof_read(ctx, BOOT_PROOF_PATH, &p);
    if (e && e->kind == ERR_CORRUPT) {
        finding_fix(findings_add(ret, "boot.proof", LAYER, SEV_FAIL, "%s", e->text), FINISH);
        return err_free(e);
    }
    if (e && e->kind == ERR_NOTFOUND) {
        no_proof(&ours, ret);
        return err_free(e);
    }
    TRY(e);
    TRY(boot_id_read(ctx, id));
    if (!str_eq(id, p.boot_id)) {
        finding_fix(findings_add(ret, "boot.proof", LAYER, SEV_FAIL,
                                 "'%s' is the proof of another boot", BOOT_PROOF_PATH),
                    FINISH);
        return NULL;
    }
    return check_proof(ctx, scene, &p, ret);
}

static struct err *boot_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    bool systemd = false;

    TRY(systemd_booted(ctx, &systemd));
    if (systemd)
        TRY(check_order(ctx, scene, ret));
    return look_proof(ctx, scene, ret);
}

static const char *const boot_after[] = {"fstab", "units", NULL};

const struct stage stage_boot = {
    .name = "boot",
    .summary = "the next boot's order, and the proof of this one",
    .layer = 4,
    .after = boot_after,
    .order_reason = "it asks what the lines and units written before it do",
    .enabled = boot_enabled,
    .check = boot_check,
};
