/* A journal: any bytes are refused, or become records of which the first is a BEGIN, and then an
 * operation in which every step and every text is complete, or a refusal again. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "flow/op.h"

#define LINES "records\n"

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

/* "records" and then lines of a kind's digit and JSON: what checksums keep a fuzzer from. */
static void lines_as_records(const char *p, size_t n, struct journal_records *r)
{
    for (size_t len; n > 1; p += len, n -= len) {
        const char *nl = memchr(p, '\n', n);
        struct json *data = NULL;

        len = nl ? (size_t)(nl - p) + 1 : n;
        if (p[0] < '0' + REC_BEGIN || p[0] > '0' + REC_END || (p[0] == '0' + REC_BEGIN) != !r->n)
            continue;
        struct err *e = json_parse(p + 1, len - 1, &data);
        err_free(e);
        if (e || !json_is_object(data)) {
            json_free(data);
            continue;
        }
        r->items = xgrow(r->items, &r->cap, r->n + 1, sizeof(*r->items));
        r->items[r->n++] = (struct journal_record){(enum rec)(p[0] - '0'), data};
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(journal_records_clear) struct journal_records r = {0};
    AUTO(op_clear) struct op op = {0};
    bool lines = n > sizeof(LINES) && memcmp(data, LINES, sizeof(LINES) - 1) == 0;
    struct err *e = NULL;

    if (lines)
        lines_as_records((const char *)data + sizeof(LINES) - 1, n - sizeof(LINES) + 1, &r);
    else
        e = journal_parse(data, n, "fuzz", &r);
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
