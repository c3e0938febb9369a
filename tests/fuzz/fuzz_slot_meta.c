/* Any bytes are a slot meta or an error; what is decoded agrees with itself. */
#include <stdlib.h>

#include "solana/slot_meta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slot_meta m;
    AUTO(err_freep) struct err *e = slot_meta_decode(data, n, &m);

    if (e) {
        if (e->kind != ERR_CORRUPT)
            abort();
        return 0;
    }
    if (m.full != (m.last_index != SLOT_UNKNOWN && m.consumed == m.last_index + 1))
        abort();
    if (n < 57)
        abort();
    return 0;
}
