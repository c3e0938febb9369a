/* agavectl lab: a validator host and a small world on this machine, for first steps and drills. */
#include "cmd/cmd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "cmd/commands.h"
#include "io/lock.h"
#include "io/proc.h"
#include "lab/lab.h"
#include "lab/lab_faults.h"

#define STOP_S 700 /* the lab's ladder and a little */

struct lab_cmd_opts {
    uint64_t volume_b, ramdisk_b, seed, time_scale, nodes, members;
};

static const struct opt up_opts[] = {
    {.type = OPT_SIZE,
     .lng = "volume",
     .arg = "SIZE",
     .help = "size of the volume's disk (sparse; default 4GiB)",
     .offset = offsetof(struct lab_cmd_opts, volume_b)},
    {.type = OPT_SIZE,
     .lng = "ramdisk",
     .arg = "SIZE",
     .help = "size of the disk in memory (default 1GiB)",
     .offset = offsetof(struct lab_cmd_opts, ramdisk_b)},
    {.type = OPT_U64,
     .lng = "seed",
     .arg = "N",
     .help = "keys, blocks and faults of the world follow from it",
     .offset = offsetof(struct lab_cmd_opts, seed),
     .min = 0,
     .max = UINT64_MAX,
     .def = 1},
    {.type = OPT_U64,
     .lng = "time-scale",
     .arg = "N",
     .help = "the world's clock runs N times faster",
     .offset = offsetof(struct lab_cmd_opts, time_scale),
     .min = 1,
     .max = 20,
     .def = 1},
    {.type = OPT_U64,
     .lng = "nodes",
     .arg = "N",
     .help = "RPC nodes beside the three references; more can be added later",
     .offset = offsetof(struct lab_cmd_opts, nodes),
     .min = 0,
     .max = 2500},
    {.type = OPT_U64,
     .lng = "members",
     .arg = "N",
     .help = "members of the cluster that have no RPC",
     .offset = offsetof(struct lab_cmd_opts, members),
     .min = 0,
     .max = 100000},
    {0},
};

static void print_step(void *arg, bool changed, const char *step, const char *text)
{
    log_note("  %s  %-10s %s", changed ? "done" : "  ok", step, text);
}

static const struct lab_report print_report = {.step = print_step};

static struct err *cmd_lab_up(struct ctx *ctx, const void *opts, int argc, char **argv,
                              struct out *out)
{
    const struct lab_cmd_opts *o = opts;
    struct lab_opts lab = {.volume_b = o->volume_b,
                           .ramdisk_b = o->ramdisk_b,
                           .seed = o->seed,
                           .time_scale = o->time_scale,
                           .nodes = o->nodes,
                           .members = o->members};
    bool changed;

    log_note("lab:");
    TRY(lab_up(ctx, &lab, &print_report, &changed));
    out_changed(out, changed, "the lab is up; 'agavectl up' takes its host to the tip",
                "the lab was up already; nothing was changed");
    return NULL;
}

/* The lab's validator lives in the lab's namespaces, and so must the stop: this program once more,
 * which joins them and takes the host lock for itself. */
static struct err *stop_validator(struct ctx *ctx)
{
    AUTO(lab_state_clear) struct lab_state s = {0};
    AUTO(proc_result_clear) struct proc_result r = {0};
    AUTO(freep) char *self = NULL;
    struct err *e = lab_read(ctx, &s);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e); /* no lab, or half of one: no validator of ours can be in it */
    if (e)
        return e;
    TRY(proc_self(&self));
    const char *argv[] = {self, "--lab", "--quiet", "stop", NULL};
    struct proc_spec spec = {.path = self, .argv = argv, .timeout_s = STOP_S};
    TRY_CTX(ctx->proc->run(ctx, &spec, &r), "stop the lab's validator");
    if (r.exit != 0) {
        static const char prefix[] = "agavectl: ";

        r.err[strcspn(r.err, "\n")] = 0;
        return err_new(r.exit == 4   ? ERR_REFUSED
                       : r.exit == 5 ? ERR_TIMEOUT
                                     : ERR_REMOTE,
                       "stop the lab's validator: %s",
                       r.err + (str_starts(r.err, prefix) ? sizeof(prefix) - 1 : 0));
    }
    print_step(NULL, false, "validator", "stopped, with proof");
    return NULL;
}

static struct err *cmd_lab_down(struct ctx *ctx, const void *opts, int argc, char **argv,
                                struct out *out)
{
    AUTO(hostlock_releasep) struct hostlock *lock = NULL;
    bool changed;

    TRY(stop_validator(ctx));
    TRY(hostlock_take(HOSTLOCK_PATH, "lab down", &lock));
    TRY(lab_down(ctx, &print_report, &changed));
    out_changed(out, changed, "the lab is gone", "there was no lab");
    return NULL;
}

static struct err *cmd_lab_status(struct ctx *ctx, const void *opts, int argc, char **argv,
                                  struct out *out)
{
    AUTO(lab_state_clear) struct lab_state s = {0};
    AUTO(freep) char *faults = NULL; /* NULL: the world did not say, or says it to root only */

    TRY(lab_read(ctx, &s));
    err_free(lab_fault_summary(ctx, &faults));
    if (out->json) {
        struct json *doc = answer_new();

        json_put(doc, "volume", json_new_str(s.volume));
        json_put(doc, "image", json_new_str(s.image));
        json_put(doc, "ramdisk", json_new_str(s.ramdisk));
        json_put(doc, "world_pid", json_new_u64((uint64_t)s.world_pid));
        json_put(doc, "seed", json_new_u64(s.seed));
        json_put(doc, "time_scale", json_new_u64(s.time_scale));
        json_put(doc, "faults", json_new_str(faults));
        json_put(doc, "config", json_new_str(LAB_CONFIG));
        out_json(out, doc);
        return NULL;
    }
    out_printf(out, "volume   %s (%s)\n", s.volume, s.image);
    out_printf(out, "ramdisk  %s\n", s.ramdisk);
    out_printf(out, "world    process %d, seed %" PRIu64 ", time x%" PRIu64 "\n", s.world_pid,
               s.seed, s.time_scale);
    out_printf(out, "faults   %s\n", faults ? faults : "unknown");
    out_printf(out, "config   " LAB_CONFIG "\n");
    out_printf(out, "look in  nsenter --mount=" LAB_DIR "/ns/mnt --net=" LAB_DIR "/ns/net\n");
    return NULL;
}

static const struct cmd lab_up_cmd = {
    .name = "up",
    .summary = "make the lab",
    .usage = "",
    .detail = "Makes a disk on a loop device, a disk in memory (zram), a mount and a network "
              "namespace, and starts the world: a leader that sends turbine, RPC nodes with "
              "snapshots, an entrypoint. The host around it is not touched. Run again, it finds "
              "the lab and changes nothing.",
    .example = "agavectl lab up --time-scale 4",
    .flags = CMD_ROOT | CMD_LOCK | CMD_JSON,
    .opts = up_opts,
    .opts_size = sizeof(struct lab_cmd_opts),
    .run = cmd_lab_up,
};
static const struct cmd lab_down_cmd = {
    .name = "down",
    .summary = "take the lab away",
    .usage = "",
    .detail = "Ends the world and removes the lab's mounts, namespaces, devices and files. A "
              "validator that runs in the lab is stopped first, with proof.",
    .example = "agavectl lab down",
    .flags = CMD_ROOT | CMD_JSON, /* the lock is taken between the stop and the rest */
    .run = cmd_lab_down,
};
static const struct cmd lab_status_cmd = {
    .name = "status",
    .summary = "show the lab's devices and its world",
    .usage = "",
    .detail = "Shows what the lab is made of and how to look into its namespaces.",
    .example = "agavectl lab status",
    .flags = CMD_JSON,
    .run = cmd_lab_status,
};
static const struct cmd *const lab_subs[] = {&lab_down_cmd, &cmd_lab_drill,  &cmd_lab_fault,
                                             &cmd_lab_heal, &lab_status_cmd, &lab_up_cmd,
                                             NULL};

const struct cmd cmd_lab = {
    .name = "lab",
    .summary = "a validator host and a world on this machine",
    .usage = "",
    .detail = "The lab is for first steps, tests and drills: real block devices, real XFS, a "
              "small Solana world and a validator, all on this machine and in namespaces of their "
              "own. While it is up and no config is given, every command works on it.",
    .subs = lab_subs,
};
