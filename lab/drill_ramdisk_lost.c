/* ramdisk-lost: what a restart of the machine leaves. The RAM disk is blank, nothing is mounted;
 * the volume with the ledger must be found again as it was and not made anew. */
#include "lab/drill_run.h"

#include "host/block.h"
#include "lab/lab.h"

static struct err *uuid_of(struct ctx *ctx, const char *dev, char **ret)
{
    AUTO(block_info_clear) struct block_info info = {0};

    TRY(block_probe(ctx, dev, &info));
    if (!info.fstype || !str_eq(info.fstype, "xfs") || !info.uuid)
        return err_new(ERR_REMOTE, "'%s' should hold XFS, but it holds %s", dev,
                       info.what ? info.what : "nothing");
    *ret = xstrdup(info.uuid);
    return NULL;
}

static struct err *run(struct drill_run *d)
{
    AUTO(lab_state_clear) struct lab_state s = {0};
    AUTO(freep) char *volume = NULL;
    AUTO(freep) char *volume_after = NULL;
    AUTO(freep) char *ram = NULL;
    AUTO(freep) char *ram_after = NULL;

    TRY(lab_read(d->ctx, &s));
    TRY(drill_stop(d));
    drill_say(d, "the validator was stopped with proof");
    TRY(uuid_of(d->ctx, s.volume, &volume));
    TRY(uuid_of(d->ctx, s.ramdisk, &ram));
    TRY(drill_lose_ramdisk(d));
    drill_say(d, "lost: the RAM disk %s is blank, and nothing is mounted below /srv", s.ramdisk);
    TRY(drill_up(d));
    TRY(uuid_of(d->ctx, s.volume, &volume_after));
    TRY(uuid_of(d->ctx, s.ramdisk, &ram_after));
    if (!str_eq(volume, volume_after))
        return err_new(ERR_REMOTE, "the volume was made anew: %s became %s", volume, volume_after);
    if (str_eq(ram, ram_after))
        return err_new(ERR_REMOTE, "the RAM disk still has the file system %s", ram);
    drill_say(d, "at the tip: a new file system on the RAM disk, the volume's is the same");
    return NULL;
}

const struct drill drill_ramdisk_lost = {
    .name = "ramdisk-lost",
    .summary = "the machine was restarted: RAM disk blank, nothing mounted",
    .run = run,
};
