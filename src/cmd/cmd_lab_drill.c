/* agavectl lab drill: let something fail on purpose and see the way back. */
#include "cmd/cmd.h"

#include <inttypes.h>

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "cmd/commands.h"
#include "lab/drill.h"

struct cmd_drill_opts {
    bool list;
    uint64_t seed, rounds;
};

static const struct opt opts[] = {
    {.type = OPT_FLAG,
     .lng = "list",
     .help = "name the drills, and what those need that cannot be run",
     .offset = offsetof(struct cmd_drill_opts, list)},
    {.type = OPT_U64,
     .lng = "seed",
     .arg = "N",
     .help = "what is random in a drill follows from it",
     .offset = offsetof(struct cmd_drill_opts, seed),
     .max = UINT32_MAX,
     .def = 1},
    {.type = OPT_U64,
     .lng = "rounds",
     .arg = "N",
     .help = "how often kill-anywhere kills",
     .offset = offsetof(struct cmd_drill_opts, rounds),
     .min = 1,
     .max = 10000,
     .def = 3},
    {0},
};

static void list_json(struct out *out)
{
    struct json *doc = answer_new(), *list = json_new_array();

    for (size_t i = 0; lab_drills[i]; i++) {
        struct json *j = json_new_object();

        json_put(j, "name", json_new_str(lab_drills[i]->name));
        json_put(j, "summary", json_new_str(lab_drills[i]->summary));
        json_put(j, "needs", json_new_str(lab_drills[i]->needs));
        json_push(list, j);
    }
    json_put(doc, "drills", list);
    out_json(out, doc);
}

static void list(struct out *out)
{
    AUTO(table_freep)
    struct table *t = table_new((const char *const[]){"DRILL", "WHAT FAILS", "", NULL});

    if (out->json) {
        list_json(out);
        return;
    }
    for (size_t i = 0; lab_drills[i]; i++) {
        AUTO(freep)
        char *note = lab_drills[i]->needs ? xasprintf("not yet: needs %s", lab_drills[i]->needs)
                                          : xstrdup("");

        table_row(t, (const char *const[]){lab_drills[i]->name, lab_drills[i]->summary, note});
    }
    table_print(t, out);
}

struct watch {
    struct json *steps;
    double last_s;
};

static void on_step(void *arg, double seconds, const char *text)
{
    struct watch *w = arg;
    struct json *j = json_new_object();

    log_note("  %6.1f s  %s", seconds, text);
    json_put(j, "seconds", json_new_f64(seconds));
    json_put(j, "text", json_new_str(text));
    json_push(w->steps, j);
    w->last_s = seconds;
}

static struct err *unknown(const char *name)
{
    const char *names[32] = {0};
    const char *near;

    for (size_t i = 0; lab_drills[i] && i + 1 < ARRAY_LEN(names); i++)
        names[i] = lab_drills[i]->name;
    near = str_nearest(name, names);
    return near ? err_new(ERR_BADINPUT, "no drill '%s'; did you mean '%s'?", name, near)
                : err_new(ERR_BADINPUT, "no drill '%s'; 'agavectl lab drill --list' names them",
                          name);
}

static struct err *cmd_drill(struct ctx *ctx, const void *o, int argc, char **argv, struct out *out)
{
    const struct cmd_drill_opts *co = o;
    AUTO(json_freep) struct json *steps = json_new_array();
    struct drill_opts dopts = {.seed = co->seed, .rounds = co->rounds};
    struct watch w = {.steps = steps};
    struct drill_report report = {.step = on_step, .arg = &w};
    const struct drill *drill;
    char took[32];

    if (co->list) {
        list(out);
        return NULL;
    }
    if (argc == 0)
        return err_new(ERR_BADINPUT, "which drill? 'agavectl lab drill --list' names them");
    drill = lab_drill_find(argv[0]);
    if (!drill)
        return unknown(argv[0]);
    log_note("drill %s:", drill->name);
    TRY_CTX(lab_drill(ctx, drill, &dopts, &report), "drill %s", drill->name);
    if (out->json) {
        struct json *doc = answer_new();

        json_put(doc, "drill", json_new_str(drill->name));
        json_put(doc, "seen", json_new_bool(true));
        json_put(doc, "seconds", json_new_f64(w.last_s));
        json_put(doc, "steps", json_ref(steps));
        out_json(out, doc);
        return NULL;
    }
    out_printf(out, "drill %s: its end was seen after %s; what it injected is healed\n",
               drill->name, fmt_duration(w.last_s, took, sizeof(took)));
    return NULL;
}

const struct cmd cmd_lab_drill = {
    .name = "drill",
    .summary = "let something fail in the lab and see the way back",
    .usage = "[NAME]",
    .detail =
        "Brings the lab's validator to the tip, lets one thing fail, runs the commands that an "
        "operator would run, and looks whether each does what it should. Exit 0 only when the end "
        "was really seen; 5 when it did not come in time, 1 when something was otherwise than it "
        "should be, 6 when the drill needs what this release does not have. Whatever was injected "
        "is healed at the end, also after an interrupt; after a kill 'agavectl lab heal' does it.",
    .example = "agavectl lab drill frozen-fs",
    .flags = CMD_ROOT | CMD_JSON,
    .max_args = 1,
    .opts = opts,
    .opts_size = sizeof(struct cmd_drill_opts),
    .run = cmd_drill,
};
