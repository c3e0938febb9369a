/* A Range header never leads outside the file. */
#include "io/http_range.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint64_t size_b, first = 7, last = 3;

    if (n < sizeof(size_b))
        return 0;
    memcpy(&size_b, data, sizeof(size_b));
    AUTO(freep) char *header = xstrndup((const char *)data + sizeof(size_b), n - sizeof(size_b));
    if (http_range_parse(header, size_b, &first, &last) == HTTP_RANGE_SOME)
        assert(first <= last && last < size_b);
    else
        assert(first == 7 && last == 3);
    return 0;
}
