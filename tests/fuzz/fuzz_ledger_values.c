/* Values of the lab's blockstore: the first byte chooses the kind. What is decoded and is of the
 * layout that 3.0.14 writes must encode to the same bytes. */
#include <stdlib.h>

#include "lab/chain/ledger_values.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void slot(const uint8_t *p, size_t n)
{
    AUTO(slot_record_clear) struct slot_record r = {0};
    AUTO(strbuf_clear) struct strbuf b = {0};
    AUTO(err_freep) struct err *e = slot_record_decode(p, n, &r);

    if (e)
        return;
    slot_record_encode(&r, &b);
    /* Completed indexes come back sorted and once; everything before them as it was. */
    if (b.len > n || memcmp(b.data, p, 57 + 8 * r.next_n) != 0)
        abort();
}

static void others(uint8_t kind, const uint8_t *p, size_t n)
{
    AUTO(freep) struct shred_index *x = xcalloc(1, sizeof(*x));
    AUTO(strbuf_clear) struct strbuf b = {0};
    AUTO(err_freep) struct err *e = NULL;
    struct erasure_record er;
    struct root_record rr;
    uint8_t value[ERASURE_RECORD_B];

    if (kind == 1) {
        e = shred_index_decode(p, n, x);
        shred_index_encode(x, &b);
        if (!e && (b.len != n || memcmp(b.data, p, n) != 0))
            abort();
    } else if (kind == 2) {
        e = erasure_record_decode(p, n, &er);
        if (!e) {
            erasure_record_encode(&er, value);
            if (memcmp(value, p, n) != 0)
                abort();
        }
    } else {
        e = root_record_decode(p, n, &rr);
        if (!e && (root_record_encode(&rr, value) != n || memcmp(value, p, n) != 0))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    if (data[0] == 0)
        slot(data + 1, n - 1);
    else
        others(data[0], data + 1, n - 1);
    return 0;
}
