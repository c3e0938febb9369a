/* Header lines as they come from a peer: neither terminated nor text. */
#include "io/http_head.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(freep) char *line = xmemdup(n ? (const char *)data : "", n ? n : 1);
    AUTO(freep) char *value = http_header_value(line, n);
    uint64_t first_b, last_b, total_b;

    assert(strlen(value) <= n);
    if (http_header_is(line, n, "content-range"))
        assert(n > strlen("content-range"));
    http_accepts_bytes(value);
    if (!http_content_range(value, &first_b, &last_b, &total_b))
        return 0;
    assert(first_b <= last_b && last_b <= INT64_MAX);
    assert(total_b == UINT64_MAX || (last_b < total_b && total_b <= INT64_MAX));
    return 0;
}
