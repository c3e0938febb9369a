/* agavectl check: one look at everything that must be true of this host, or of a captured one.
 * Changes nothing. Decides nothing: what is wrong is the stages' business. */
#include "cmd/check_out.h"
#include "cmd/commands.h"
#include "io/clock.h"

struct check_cmd_opts {
    bool all;
    const char *root;
};

static const char *check_captured(const void *opts)
{
    const struct check_cmd_opts *o = opts;

    return o->root;
}

static void print(struct ctx *ctx, const struct check_view *v, bool all, struct out *out)
{
    out->exit = check_counts_bad(&v->counts) ? 3 : 0;
    if (out->json)
        check_out_json(v, out);
    else if (str_eq(out->format, "nagios"))
        out->exit = check_out_nagios(v, out);
    else if (str_eq(out->format, "junit"))
        check_out_junit(v, out);
    else if (str_eq(out->format, "prometheus"))
        check_out_prometheus(v, clock_wall_ms(ctx), out);
    else
        check_out_text(v, all, out);
}

static struct err *check_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                             struct out *out)
{
    const struct check_cmd_opts *o = opts;
    AUTO(check_selection_clear) struct check_selection sel = {0};
    AUTO(check_report_clear) struct check_report report = {0};
    AUTO(check_view_clear) struct check_view view = {0};

    TRY(check_select(stage_table, argv, argc, &sel));
    stages_check(ctx, &(struct check_opts){.wanted = check_wants, .arg = &sel}, &report);
    if (ctx_cancelled(ctx))
        return err_new(ERR_CANCELLED, "interrupted; nothing was changed");
    check_view_init(&view, &report, &sel);
    print(ctx, &view, o->all, out);
    return NULL;
}

static const struct opt options[] = {
    {.type = OPT_FLAG,
     .shrt = 'a',
     .lng = "all",
     .help = "show what is ok and what is absent as well",
     .offset = offsetof(struct check_cmd_opts, all)},
    {.type = OPT_STR,
     .lng = "root",
     .arg = "DIR",
     .help = "look at the captured host in this folder, not at this machine",
     .offset = offsetof(struct check_cmd_opts, root)},
    {0},
};

static const char *const formats[] = {"text", "json", "nagios", "junit", "prometheus", NULL};

const struct cmd cmd_check = {
    .name = "check",
    .summary = "show everything on this host that is not as it must be",
    .usage = "[LAYER|STAGE|ID]...",
    .detail =
        "Looks at every layer and changes nothing: 1 base system, 2 kind storage, 3 cluster, 4 "
        "validator storage, 5 validator. 4 needs 1 and 2; 3 and 5 are started only when 4 holds. "
        "All faults are shown at once, each with the command that repairs it where there is one. "
        "With arguments only these layers (a number), stages (kernel) or findings (volume.mount) "
        "are looked at.\n"
        "\n"
        "  fail     must be put right first\n"
        "  unknown  could not be looked at, which is never ok; root sees most\n"
        "  warn     works today, will hurt one day\n"
        "  note     as it should be, with something to know\n"
        "  absent   the config does not ask for it\n"
        "A finding that has to be so is ignored by its id in check.ignore of the config; it is "
        "then shown as ignored, with the reason.\n"
        "\n"
        "Exits 3 when there is a fail or an unknown, else 0. With -o nagios the exit code is the "
        "monitor's: 2 with a fail, else 3 with an unknown (or when agavectl itself fails), else 1 "
        "with a warn, else 0.\n"
        "\n"
        "A captured host (--root) is a folder that tools/capture-host made; its config is its own "
        "/etc/agavectl/agavectl.yaml unless --config is given.",
    .example = "agavectl check 4 docker.liverestore",
    .flags = CMD_CONFIG | CMD_JSON,
    .max_args = 64,
    .opts = options,
    .opts_size = sizeof(struct check_cmd_opts),
    .formats = formats,
    .captured = check_captured,
    .run = check_run,
};
