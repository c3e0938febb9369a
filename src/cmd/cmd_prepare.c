/* agavectl prepare: the host as the config says, and back. Plans, and carries out only what it is
 * told to. */
#include "cmd/cmd.h"

#include <stdlib.h>

#include "base/log.h"
#include "cmd/commands.h"
#include "cmd/confirm.h"
#include "cmd/progress.h"
#include "flow/prepare.h"
#include "flow/undo.h"
#include "stage/stage.h"

struct prepare_cmd_opts {
    bool apply, undo, adopt;
    const char *root;
    struct confirm_opts confirm;
};

static const char *prepare_captured(const void *opts)
{
    const struct prepare_cmd_opts *o = opts;

    return o->root;
}

static const struct opt opts[] = {
    {.type = OPT_FLAG,
     .lng = "apply",
     .help = "carry out the plan",
     .offset = offsetof(struct prepare_cmd_opts, apply)},
    {.type = OPT_FLAG,
     .lng = "undo",
     .help = "take back what was made, the last one first",
     .offset = offsetof(struct prepare_cmd_opts, undo)},
    {.type = OPT_FLAG,
     .lng = "adopt",
     .help = "take over what others made for the same end",
     .offset = offsetof(struct prepare_cmd_opts, adopt)},
    {.type = OPT_STR,
     .lng = "root",
     .arg = "DIR",
     .help = "plan for the captured host in this folder, not for this machine",
     .offset = offsetof(struct prepare_cmd_opts, root)},
    CONFIRM_DESTROY(struct prepare_cmd_opts, confirm),
    {0},
};

static struct err *unknown(const char *word)
{
    AUTO(strlist_clear) struct strlist names = {0};

    for (size_t i = 0; stage_table[i]; i++)
        if (stage_table[i]->plan)
            strlist_add(&names, stage_table[i]->name);
    const char *near = str_nearest(word, (const char *const *)names.items);
    if (near)
        return err_new(ERR_BADINPUT, "no stage or layer '%s'; did you mean '%s'?", word, near);
    AUTO(strbuf_clear) struct strbuf all = {0};
    for (size_t i = 0; i < names.n; i++)
        strbuf_printf(&all, "%s%s", i ? ", " : "", names.items[i]);
    return err_new(ERR_BADINPUT, "no stage or layer '%s'; these can be prepared: %s", word,
                   strbuf_text(&all));
}

/* Layer "4", or a stage's name; a stage that is only looked at cannot be prepared. */
static struct err *add_stages(const char *word, struct strlist *ret)
{
    bool layer = word[0] >= '1' && word[0] <= '5' && !word[1], found = false, planned = false;

    for (size_t i = 0; stage_table[i]; i++) {
        const struct stage *s = stage_table[i];

        if (layer ? s->layer != word[0] - '0' : !str_eq(s->name, word))
            continue;
        found = true;
        planned |= s->plan != NULL;
        if (s->plan && !strlist_has(ret, s->name))
            strlist_add(ret, s->name);
    }
    if (planned)
        return NULL;
    if (!found && !layer)
        return unknown(word);
    return err_new(ERR_BADINPUT,
                   "%s '%s' is only looked at (agavectl check %s): there is nothing "
                   "that prepares it",
                   layer ? "layer" : "stage", word, word);
}

/* yes and plan have no option here: --apply is both. */
static struct err *apply(struct ctx *ctx, const struct prepare_opts *want,
                         const struct prepare_cmd_opts *o, struct out *out)
{
    const struct confirm_opts agreed = {.yes = true, .destroy = o->confirm.destroy};
    struct confirm confirm = {.ctx = ctx, .opts = &agreed};
    struct flow_result result = {0};
    struct progress p;

    progress_init(&p);
    log_note("prepare:");
    struct flow_how how = {.report = &p.report, .confirm = confirm_ask, .arg = &confirm};
    struct err *e = flow_prepare(ctx, want, &how, &result);
    progress_close(&p);
    if (e)
        return e;
    out_changed(out, result.changed > 0, "prepared",
                "everything was in place; nothing was changed");
    return NULL;
}

static void print_undone(struct out *out, bool changed, const struct strlist *kept)
{
    struct json *doc, *all;

    for (size_t i = 0; i < kept->n; i++)
        out_printf(out, "kept: %s\n", kept->items[i]);
    out_printf(out, "%s\n",
               changed ? "taken back" : "there was nothing to take back; nothing was changed");
    if (!out->json)
        return;
    doc = answer_new();
    all = json_new_array();
    for (size_t i = 0; i < kept->n; i++)
        json_push(all, json_new_str(kept->items[i]));
    json_put(doc, "changed", json_new_bool(changed));
    json_put(doc, "kept", all);
    out_json(out, doc);
}

static struct err *undo(struct ctx *ctx, const struct undo_opts *want, struct out *out)
{
    AUTO(strlist_clear) struct strlist kept = {0};
    struct flow_result result = {0};
    struct progress p;

    progress_init(&p);
    log_note("undo:");
    struct flow_how how = {.report = &p.report};
    struct err *e = flow_undo(ctx, want, &how, &result, &kept);
    progress_close(&p);
    if (e)
        return e;
    print_undone(out, result.changed > 0, &kept);
    return NULL;
}

static struct err *check_opts(const struct prepare_cmd_opts *o)
{
    if (o->root && (o->apply || o->undo))
        return err_new(ERR_BADINPUT, "--root plans alone: nothing is changed on a captured host");
    if (o->undo && (o->adopt || o->confirm.destroy.n))
        return err_new(ERR_BADINPUT, "--undo stands alone: it destroys nothing and takes nothing "
                                     "over");
    return NULL;
}

static struct err *cmd_prepare_run(struct ctx *ctx, const void *opts_, int argc, char **argv,
                                   struct out *out)
{
    const struct prepare_cmd_opts *o = opts_;
    AUTO(strlist_clear) struct strlist stages = {0};
    AUTO(strlist_clear) struct strlist destroy = {0};

    TRY(check_opts(o));
    for (int i = 0; i < argc; i++)
        TRY(add_stages(argv[i], &stages));
    if (o->undo) {
        const struct undo_opts back = {.stages = (const char *const *)stages.items};

        return o->apply ? undo(ctx, &back, out) : confirm_print_plan(ctx, &undo_flow, &back, out);
    }
    confirm_destroys(ctx, &o->confirm, &destroy);
    const struct prepare_opts want = {.stages = (const char *const *)stages.items,
                                      .destroy = (const char *const *)destroy.items,
                                      .adopt = o->adopt};
    return o->apply ? apply(ctx, &want, o, out)
                    : confirm_print_plan(ctx, &prepare_flow, &want, out);
}

const struct cmd cmd_prepare = {
    .name = "prepare",
    .summary = "make the host as the config says, or take that back",
    .usage = "[STAGE|LAYER]...",
    .detail =
        "Prints what is to be changed on this host, stage by stage, and changes nothing; with "
        "--apply the same plan is carried out, as one operation with a journal. What is not "
        "needed any more when its turn comes is left out. When all is in place the plan is "
        "empty. Without an argument: all stages that can prepare something. A stage that a "
        "validator can do without, and that nothing here repairs, stops no other: it is named at "
        "the end ('left').\n\n"
        "-v shows the files, links and lines of /etc/fstab that would be written as well, -o json "
        "always does (files). A plan is carried out with these very texts: where another one would "
        "be written by then, it is refused.\n\n"
        "While the validator runs only such changes are made as it does not notice (files in /etc, "
        "say); a plan that holds another one is refused. A change that loses data is made only "
        "when its object is named with --destroy. What others made for the same end (a line in "
        "fstab, a unit) is left alone when it is right, and taken over with --adopt.\n\n"
        "--undo plans the way back, and with --apply goes it: what prepare and up have made is "
        "taken back, the last one first. Each change was noted before it was made, with what was "
        "there before, in made.json beside the journals. A file system stays, and so does "
        "a folder with content and what others have changed since; that is listed as kept. A "
        "mount is taken away only when nobody holds it: not in any mount namespace, and no "
        "process. Of the stages units and fstab none goes alone: Docker would wait for mounts that "
        "nothing makes any more, or a mount for a unit.\n\n"
        "A captured host (--root) is a folder that tools/capture-host made: what would be planned "
        "on that machine, with its own /etc/agavectl/agavectl.yaml unless --config is given.",
    .example = "agavectl prepare --apply volume",
    .sample = "  $ agavectl prepare volume ramdisk bind\n"
              "  prepare would:\n"
              "  STAGE    KIND    OBJECT                                 CHANGE\n"
              "  volume   create  zvol tank/solana                       8.0 TiB in blocks of 16 "
              "KiB, room kept for all of it\n"
              "  volume   create  /dev/zvol/tank/solana                  blank -> xfs on zvol "
              "tank/solana\n"
              "  volume   create  /srv/solana                            /dev/zvol/tank/solana\n"
              "  ramdisk  create  /etc/modprobe.d/agavectl-ramdisk.conf  options brd rd_nr=1 "
              "rd_size=629145600 max_part=0\n"
              "  ramdisk  run     module brd                             not loaded -> loaded with "
              "rd_nr=1 rd_size=629145600 max_part=0\n"
              "  ramdisk  create  /dev/ram0                              blank -> xfs on RAM disk "
              "(brd), 600 GiB\n"
              "  ramdisk  create  /srv/solana/ramdisk                    /dev/ram0\n"
              "  bind     create  /srv/kind/solana                       rbind of /srv/solana "
              "(rslave, rshared)\n",
    .flags = CMD_ROOT | CMD_LOCK | CMD_CONFIG | CMD_JSON,
    .max_args = 64,
    .opts = opts,
    .opts_size = sizeof(struct prepare_cmd_opts),
    .captured = prepare_captured,
    .run = cmd_prepare_run,
};
