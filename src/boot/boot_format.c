/* agavectl boot format: the RAM disk is fresh before it is mounted. How it is made, and when it is
 * left alone, is the stage ramdisk's; here it is noted that this boot has done it, so that a second
 * call (systemd pulls the unit in whenever Docker is started) does not do it again. */
#include "boot/boot.h"

#include <fcntl.h>

#include "boot/boot_parts.h"
#include "io/fsroot.h"
#include "stage/ramdisk.h"

/* Before anything else, and also when it fails: a second formatter would not make it better. */
static struct err *claim(struct ctx *ctx)
{
    AUTO(closep) int fd = -1;

    return fsroot_openat(ctx->root, BOOT_FORMATS_PATH, O_WRONLY | O_CREAT | O_NOFOLLOW, 0644, &fd);
}

static struct err *format(struct ctx *ctx, struct boot_proof *p, struct strlist *ret_said)
{
    AUTO(ramdisk_fresh_clear) struct ramdisk_fresh fresh = {0};

    TRY(claim(ctx));
    TRY(ramdisk_make_fresh(ctx, p->formatted_at != 0, &fresh));
    if (!fresh.formatted) {
        strlist_addf(ret_said, "nothing is formatted: %s",
                     fresh.left ? fresh.left : "there is nothing to format");
        return NULL;
    }
    p->formatted_at = boot_clock_s(ctx);
    free(p->ramdisk.path);
    p->ramdisk = (struct boot_device){.path = TAKE(fresh.device),
                                      .major = fresh.major,
                                      .minor = fresh.minor,
                                      .size_b = fresh.size_b};
    strlist_addf(ret_said, "a new file system is on the RAM disk '%s'", p->ramdisk.path);
    return boot_proof_write(ctx, BOOT_PROOF_PATH, p);
}

struct err *boot_format(struct ctx *ctx, struct strlist *ret_said)
{
    AUTO(boot_proof_clear) struct boot_proof p = {0};
    AUTO(freep) char *damaged = NULL;
    AUTO(closep) int lock = -1;

    TRY(boot_lock(ctx, &lock));
    TRY(boot_proof_now(ctx, &p, &damaged));
    struct err *e = format(ctx, &p, ret_said);
    if (!e)
        return NULL;
    /* For whoever looks later; the error itself is what stops the mount. */
    free(p.failed);
    p.failed = xasprintf("the RAM disk was not formatted: %s", e->text);
    err_free(boot_proof_write(ctx, BOOT_PROOF_PATH, &p));
    return e;
}
