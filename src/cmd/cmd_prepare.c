/* agavectl prepare: the host's storage as the config says. Plans, and carries out only what it is
 * told to. */
#include "cmd/cmd.h"

#include <stdlib.h>

#include "base/log.h"
#include "cmd/commands.h"
#include "cmd/confirm.h"
#include "cmd/progress.h"
#include "flow/prepare.h"
#include "stage/stage.h"

struct prepare_cmd_opts {
    bool apply;
    struct confirm_opts confirm; /* yes and plan have no option here: --apply is both */
};

static const struct opt opts[] = {
    {.type = OPT_FLAG,
     .lng = "apply",
     .help = "carry out the plan",
     .offset = offsetof(struct prepare_cmd_opts, apply)},
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

static struct err *cmd_prepare_run(struct ctx *ctx, const void *opts_, int argc, char **argv,
                                   struct out *out)
{
    const struct prepare_cmd_opts *o = opts_;
    AUTO(strlist_clear) struct strlist stages = {0};
    AUTO(strlist_clear) struct strlist destroy = {0};

    for (int i = 0; i < argc; i++)
        TRY(add_stages(argv[i], &stages));
    confirm_destroys(ctx, &o->confirm, &destroy);
    const struct prepare_opts want = {.stages = (const char *const *)stages.items,
                                      .destroy = (const char *const *)destroy.items};
    return o->apply ? apply(ctx, &want, o, out)
                    : confirm_print_plan(ctx, &prepare_flow, &want, out);
}

const struct cmd cmd_prepare = {
    .name = "prepare",
    .summary = "make the host's storage as the config says",
    .usage = "[STAGE|LAYER]...",
    .detail =
        "Prints what is to be changed on this host, stage by stage, and changes nothing; with "
        "--apply the same plan is carried out, as one operation with a journal. What is not "
        "needed any more when its turn comes is left out. When all is in place the plan is "
        "empty. Without an argument: all stages that a validator cannot do without.\n\n"
        "Refused while the validator runs. A change that loses data is made only when its object "
        "is named with --destroy.",
    .example = "agavectl prepare --apply volume",
    .flags = CMD_ROOT | CMD_LOCK | CMD_CONFIG | CMD_JSON,
    .max_args = 64,
    .opts = opts,
    .opts_size = sizeof(struct prepare_cmd_opts),
    .run = cmd_prepare_run,
};
