/* The map of a download: whatever a damaged disk gives back, it is refused or read within its
 * bounds, and what is read can be written and read again. */
#include "fetch/segment_map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void again(const struct segment_map *m, const char *boot)
{
    AUTO(segment_map_clear) struct segment_map back = {0};
    size_t size = 0;
    AUTO(freep) uint8_t *bytes = segment_map_format(m, &size);

    assert(size == segment_map_size(m->total_b));
    assert(!segment_map_parse(bytes, size, m->boot, &back));
    assert(back.n == m->n && back.total_b == m->total_b && !strcmp(back.name, m->name));
    if (*boot && !strcmp(m->boot, boot))
        assert(memcmp(back.blocks, m->blocks, m->n) == 0);
}

/* The first byte says under which boot it is read. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *boot = n && data[0] & 1 ? "here" : "";
    AUTO(segment_map_clear) struct segment_map m = {0};
    AUTO(err_freep) struct err *e = n ? segment_map_parse(data + 1, n - 1, boot, &m) : NULL;
    uint64_t sum_b = 0;

    if (n == 0)
        return 0;
    if (e) {
        assert(e->kind == ERR_CORRUPT && !m.blocks);
        return 0;
    }
    assert(m.n > 0 && strlen(m.name) < sizeof(m.name));
    for (size_t i = 0; i < m.n; i++) {
        assert(m.blocks[i] == SEGMENT_MISSING || m.blocks[i] == SEGMENT_EARLIER);
        assert(segment_block_b(&m, i) > 0 && segment_block_b(&m, i) <= SEGMENT_BLOCK_B);
        sum_b += segment_block_b(&m, i);
    }
    assert(sum_b == m.total_b);
    again(&m, boot);
    return 0;
}
