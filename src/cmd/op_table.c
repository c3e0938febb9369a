/* The table of operations that `op list` and `history` share. */
#include "cmd/op_table.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"
#include "base/str.h"

static void print_row(struct table *t, const struct op *op)
{
    char begun[40] = "-", took[40] = "-", steps[48] = "-";
    const char *cells[] = {op->id, op->flow, begun, took, steps, op_state_name(op->state)};

    if (op->begun_ms)
        fmt_utc(op->begun_ms, begun, sizeof(begun));
    if (op->ended_ms >= op->begun_ms && op->ended_ms) /* not so: the clock was set back */
        fmt_duration((double)(op->ended_ms - op->begun_ms) / 1000, took, sizeof(took));
    if (op->state != OP_UNREADABLE)
        snprintf(steps, sizeof(steps), "%zu of %zu", op->at, op->n_steps);
    table_row(t, cells);
}

void op_table_print(const struct ops *ops, size_t last, struct out *out)
{
    static const char *const headers[] = {"id", "flow", "begun", "took", "steps", "state", NULL};
    size_t from = last && ops->n > last ? ops->n - last : 0;
    AUTO(table_freep) struct table *t = table_new(headers);

    if (out->json) {
        struct json *doc = answer_new(), *list = json_new_array();

        for (size_t i = from; i < ops->n; i++)
            json_push(list, op_json(&ops->items[i], false));
        json_put(doc, "operations", list);
        out_json(out, doc);
        return;
    }
    for (size_t i = from; i < ops->n; i++)
        print_row(t, &ops->items[i]);
    if (from < ops->n)
        table_print(t, out);
}
