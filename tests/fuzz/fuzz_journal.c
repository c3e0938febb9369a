/* A journal: any bytes are refused, or become records of which the first is a BEGIN, and then an
 * operation in which every step and every text is complete, or a refusal again. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/json.h"
#include "flow/op.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void look_at(const struct op *op)
{
    AUTO(freep) char *line = op_line(op);
    AUTO(json_freep) struct json *doc = op_json(op, true);
    AUTO(freep) char *text = json_text(doc, false);

    assert(line[0] && text[0] == '{' && op->flow && op->program && op->boot_id);
    assert(op->at <= op->n_steps);
    for (size_t i = 0; i < op->n_steps; i++)
        assert(op->steps[i].name && op->steps[i].what);
    assert(op->at == op->n_steps || op->steps[op->at].state != OP_STEP_DONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(journal_records_clear) struct journal_records r = {0};
    AUTO(op_clear) struct op op = {0};
    struct err *e = journal_parse(data, n, "fuzz", &r);

    if (!e) {
        assert(r.end_b <= n && (r.n == 0 || r.items[0].kind == REC_BEGIN));
        for (size_t i = 1; i < r.n; i++)
            assert(r.items[i].kind != REC_BEGIN && json_is_object(r.items[i].data));
        e = op_from_records("/dir", "20261123T044422Z-up", &r, &op);
    }
    if (e)
        assert(e->text[0]);
    else
        look_at(&op);
    err_free(e);
    return 0;
}
