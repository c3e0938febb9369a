/* agavectl lab fault, agavectl lab heal: what fails in the lab's world. */
#include "cmd/cmd.h"

#include <inttypes.h>

#include "base/json.h"
#include "base/str.h"
#include "cmd/commands.h"
#include "lab/drill.h"
#include "lab/lab_faults.h"

struct fault_opts {
    struct strlist nodes;
};

static const struct opt node_opts[] = {
    {.type = OPT_LIST,
     .lng = "node",
     .arg = "N",
     .help = "of RPC node N, of A-B or of all (0 to 2 are the lab's references)",
     .offset = offsetof(struct fault_opts, nodes)},
    {0},
};

/* A list's numbers by name; absent: 0. */
static uint64_t number(const struct json *j, const char *key)
{
    uint64_t v = 0;

    (void)err_free(json_as_u64(json_get(j, key), &v)); /* the world gives all of them */
    return v;
}

static void print_world(struct out *out, const struct json *state)
{
    AUTO(table_freep)
    struct table *t = table_new((const char *const[]){"OF THE WORLD", "NOW", "WHAT IT IS", NULL});
    const struct json *faults = json_get(state, "faults");

    for (size_t i = 0; i < WORLD_FAULTS_N; i++) {
        const struct fault_def *f = &world_faults[i];
        char text[48];

        table_row(
            t, (const char *const[]){
                   f->name, fault_text(f, number(faults, f->name), text, sizeof(text)), f->help});
    }
    table_print(t, out);
    out_printf(out, "\n%" PRIu64 " of %" PRIu64 " slots that turbine sent can be whole\n",
               number(state, "slotsWhole"), number(state, "slotsSent"));
}

static void print_kinds(struct out *out)
{
    AUTO(table_freep)
    struct table *t =
        table_new((const char *const[]){"OF A NODE", "WHEN NAMED", "WHAT IT DOES", NULL});

    for (size_t i = 0; i < NODE_FAULTS_N; i++) {
        char text[48];

        table_row(t, (const char *const[]){
                         node_faults[i].name,
                         fault_text(&node_faults[i], node_faults[i].on, text, sizeof(text)),
                         node_faults[i].help});
    }
    out_printf(out, "\n");
    table_print(t, out);
}

static bool faulty(const struct json *node, struct strbuf *text)
{
    const struct json *faults = json_get(node, "faults");

    for (size_t i = 0; i < NODE_FAULTS_N; i++) {
        const struct fault_def *f = &node_faults[i];
        char value[48];

        if (json_has(faults, f->name))
            strbuf_printf(text, "%s%s%s%s", text->len ? ", " : "", f->name,
                          f->unit == FAULT_SWITCH ? "" : " ",
                          f->unit == FAULT_SWITCH
                              ? ""
                              : fault_text(f, number(faults, f->name), value, sizeof(value)));
    }
    return text->len > 0;
}

static void print_nodes(struct out *out, const struct json *nodes)
{
    AUTO(table_freep)
    struct table *t = table_new((const char *const[]){">NODE", "ADDRESS", "FAULTS", NULL});
    size_t some = 0;

    for (size_t i = 0; i < json_len(nodes); i++) {
        AUTO(strbuf_clear) struct strbuf text = {0};
        const struct json *node = json_at(nodes, i);
        const char *rpc = "?";
        char index[24];

        if (!faulty(node, &text))
            continue;
        some++;
        (void)err_free(json_as_str(json_get(node, "rpc"), &rpc)); /* the world gives it */
        snprintf(index, sizeof(index), "%" PRIu64, number(node, "index"));
        table_row(t, (const char *const[]){index, rpc, strbuf_text(&text), NULL});
    }
    out_printf(out, "\n%zu RPC nodes, %zu with faults\n", json_len(nodes), some);
    if (some)
        table_print(t, out);
}

static struct err *show(struct ctx *ctx, struct out *out)
{
    AUTO(json_freep) struct json *state = NULL;
    AUTO(json_freep) struct json *nodes = NULL;

    TRY(lab_world_ask(ctx, "state", "[]", &state));
    TRY(lab_world_ask(ctx, "nodes", "[]", &nodes));
    if (out->json) {
        struct json *doc = answer_new();

        json_put(doc, "world", json_ref(state));
        json_put(doc, "nodes", json_ref(nodes));
        out_json(out, doc);
        return NULL;
    }
    print_world(out, state);
    print_kinds(out);
    print_nodes(out, nodes);
    return NULL;
}

static struct err *cmd_fault(struct ctx *ctx, const void *opts, int argc, char **argv,
                             struct out *out)
{
    const struct fault_opts *o = opts;

    for (int i = 0; i < argc; i++)
        TRY(lab_fault_set(ctx, argv[i], &o->nodes));
    if (argc == 0)
        return show(ctx, out);
    out_changed(out, true, "it fails from now on; 'agavectl lab heal' ends it", "");
    return NULL;
}

static struct err *cmd_heal(struct ctx *ctx, const void *opts, int argc, char **argv,
                            struct out *out)
{
    const struct fault_opts *o = opts;

    for (int i = 0; i < argc; i++)
        TRY(lab_fault_heal(ctx, argv[i], &o->nodes));
    if (argc == 0 && o->nodes.n)
        TRY(lab_fault_heal(ctx, NULL, &o->nodes));
    else if (argc == 0)
        TRY(lab_drill_heal(ctx));
    out_changed(out, true, argc ? "healed" : "nothing fails any more", "");
    return NULL;
}

const struct cmd cmd_lab_fault = {
    .name = "fault",
    .summary = "let something fail in the lab's world, or show it",
    .usage = "[NAME[=VALUE]]...",
    .detail =
        "Without a name it shows what can fail, and what does. Faults of the world are losses and "
        "cuts: 'slot-loss=20%', 'turbine=off'. Faults of an RPC node need --node: 'slow=64KiB', "
        "'dead'; 'agavectl lab up --nodes 300' makes more of them. Losses follow from the lab's "
        "seed, so that a run can be repeated.",
    .example = "agavectl lab fault --node 0-1 slow=100KiB drops=70%",
    .flags = CMD_ROOT | CMD_JSON,
    .max_args = 32,
    .opts = node_opts,
    .opts_size = sizeof(struct fault_opts),
    .run = cmd_fault,
};

const struct cmd cmd_lab_heal = {
    .name = "heal",
    .summary = "end the faults of the lab's world",
    .usage = "[NAME]...",
    .detail =
        "Ends the named faults, or all of them; with --node only those of these nodes. Without "
        "any word also what a drill left behind that was killed.",
    .example = "agavectl lab heal",
    .flags = CMD_ROOT | CMD_JSON,
    .max_args = 32,
    .opts = node_opts,
    .opts_size = sizeof(struct fault_opts),
    .run = cmd_heal,
};
