/* agavectl boot: what the units of agavectl run at every boot, and the look at it. The work is in
 * src/boot; here it is called and told. */
#include "cmd/commands.h"

#include "base/str.h"
#include "boot/boot.h"

/* Lines for the journal, or one document. */
static void tell(const struct strlist *said, struct out *out)
{
    struct json *lines = json_new_array(), *doc = answer_new();

    for (size_t i = 0; i < said->n; i++) {
        out_printf(out, "%s\n", said->items[i]);
        json_push(lines, json_new_str(said->items[i]));
    }
    json_put(doc, "said", lines);
    if (out->json)
        out_json(out, doc);
    else
        json_free(doc);
}

static struct err *run_one(struct ctx *ctx, struct out *out,
                           struct err *(*work)(struct ctx *ctx, struct strlist *said))
{
    AUTO(strlist_clear) struct strlist said = {0};
    struct err *e = work(ctx, &said);

    tell(&said, out); /* what was done before a failure as well */
    return e;
}

static struct err *boot_format_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                                   struct out *out)
{
    return run_one(ctx, out, boot_format);
}

static struct err *boot_finish_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                                   struct out *out)
{
    return run_one(ctx, out, boot_finish);
}

static struct err *boot_leave_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                                  struct out *out)
{
    return run_one(ctx, out, boot_leave);
}

struct seen_opts {
    bool once;
};
static const struct opt seen_options[] = {
    {.type = OPT_FLAG,
     .lng = "once",
     .help = "look once; do not wait",
     .offset = offsetof(struct seen_opts, once)},
    {0},
};

static struct err *boot_seen_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                                 struct out *out)
{
    const struct seen_opts *o = opts;
    AUTO(strlist_clear) struct strlist said = {0};
    struct err *e = boot_seen(ctx, !o->once, &said);

    tell(&said, out);
    return e;
}

static const struct cmd format_cmd = {
    .name = "format",
    .summary = "put a fresh file system on the RAM disk",
    .usage = "",
    .detail =
        "Called by agavectl-ramdisk.service before the RAM disk is mounted. Makes the device where "
        "it is made (brd, zram) and an XFS on it, whatever it held. Leaves it alone, which is no "
        "failure, when it is mounted or used by anybody, when this boot has done it already, and "
        "when the config names no device in memory. A device that is not in memory is never "
        "formatted.",
    .example = "agavectl boot format",
    .flags = CMD_ROOT | CMD_CONFIG | CMD_JSON,
    .run = boot_format_run,
};
static const struct cmd finish_cmd = {
    .name = "finish",
    .summary = "make the storage ready, or say why it is not",
    .usage = "",
    .detail =
        "Called by agavectl-boot.service after the mounts and before Docker, kubelet and the "
        "validator's service. Looks whether the configured devices are mounted and the bind leads "
        "to the volume, makes the accounts folder and gives it to its owner, and puts local bank "
        "snapshots aside whose accounts are lost: after the RAM disk was formatted, or when the "
        "boot before did not end in order. (Agave 3.0.14 exits at every start otherwise, with "
        "good archives beside them.) Then /run/agavectl/boot.json tells what was done, and "
        "/run/agavectl/boot-ok, without which those services do not start, is written.\n"
        "When anything is wrong, all of it is told, and boot-ok is taken away. Once it is put "
        "right, the same command makes the storage ready. Under a running validator nothing is "
        "changed.",
    .example = "agavectl boot finish",
    .flags = CMD_ROOT | CMD_CONFIG | CMD_JSON,
    .run = boot_finish_run,
};
static const struct cmd leave_cmd = {
    .name = "leave",
    .summary = "note that this boot ends in order",
    .usage = "",
    .detail = "Called by agavectl-boot.service when the host goes down, after everything that may "
              "run the validator has ended. Without this mark the next boot does not trust the "
              "validator's local state. No mark is made while a validator is left, or while the "
              "host does not go down.",
    .example = "agavectl boot leave",
    .flags = CMD_ROOT | CMD_CONFIG | CMD_JSON,
    .run = boot_leave_run,
};
static const struct cmd seen_cmd = {
    .name = "seen",
    .summary = "look whether kind node and pod see the storage",
    .usage = "",
    .detail = "Started by a timer; waits until it is so or boot.seen_timeout_s after the boot has "
              "passed. Compares the validator's folders of the host with what the kind node and "
              "the validator in its pod have in their place, through the root of a process in "
              "each: same device and inode, same line in the tables of mounts, the record of this "
              "boot. A host without kind has nothing to wait for.",
    .example = "agavectl boot seen",
    .flags = CMD_ROOT | CMD_CONFIG | CMD_JSON,
    .opts = seen_options,
    .opts_size = sizeof(struct seen_opts),
    .run = boot_seen_run,
};
static const struct cmd *const boot_subs[] = {&cmd_boot_check, &finish_cmd, &format_cmd,
                                              &leave_cmd,      &seen_cmd,   NULL};

const struct cmd cmd_boot = {
    .name = "boot",
    .summary = "what is done at every boot, and its proof",
    .usage = "",
    .detail = "The units that 'agavectl prepare' writes run these: a fresh RAM disk before it is "
              "mounted, the validator's storage made ready before anything uses it, a look at "
              "what node and pod see of it, and a mark at an orderly end. 'agavectl boot check' "
              "tells whether the next boot will be right and this one was.",
    .subs = boot_subs,
};
