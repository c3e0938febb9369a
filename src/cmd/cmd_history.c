/* agavectl history: what was done on this host, from the journals. */
#include "cmd/cmd.h"

#include "cmd/commands.h"
#include "cmd/op_table.h"

struct history_opts {
    uint64_t n;
};
static const struct opt opts[] = {
    {.type = OPT_U64,
     .shrt = 'n',
     .lng = "number",
     .arg = "N",
     .help = "so many of the latest",
     .offset = offsetof(struct history_opts, n),
     .min = 1,
     .max = 1000,
     .def = 20},
    {0},
};

static struct err *history_run(struct ctx *ctx, const void *o, int argc, char **argv,
                               struct out *out)
{
    const struct history_opts *h = o;
    AUTO(op_dirs_clear) struct op_dirs dirs = {0};
    AUTO(ops_clear) struct ops all = {0};

    op_dirs_get(ctx, &dirs);
    TRY(op_list(ctx, &dirs, &all));
    if (all.n == 0)
        out_printf(out, "there has been no operation yet\n");
    op_table_print(&all, h->n, out);
    return NULL;
}

const struct cmd cmd_history = {
    .name = "history",
    .summary = "operations of this host, the latest last",
    .usage = "",
    .detail =
        "Lists the operations that were begun on this host, finished or not; the steps of one "
        "are shown by 'agavectl op show ID'. The last 200 are kept. Stops are kept until the "
        "machine is started again: they must work without any disk.",
    .example = "agavectl history -n 5",
    .flags = CMD_ROOT | CMD_CONFIG | CMD_JSON,
    .opts = opts,
    .opts_size = sizeof(struct history_opts),
    .run = history_run,
};
