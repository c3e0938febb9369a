/* Notes about archives: whoever can write into the folder can write one. What is read is written
 * and read back as the same. */
#include "fetch/provenance.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(provenance_clear) struct provenance p = {0}, again = {0};
    AUTO(err_freep) struct err *e = provenance_parse((const char *)data, n, &p);
    AUTO(json_freep) struct json *j = NULL;

    if (e) {
        assert(e->kind == ERR_CORRUPT);
        return 0;
    }
    j = provenance_json(&p);
    AUTO(freep) char *text = json_text(j, false);
    AUTO(err_freep) struct err *e2 = provenance_parse(text, strlen(text), &again);
    assert(!e2);
    assert(again.size_b == p.size_b && again.at_ms == p.at_ms && again.sources.n == p.sources.n);
    assert(!p.trust == !again.trust && (!p.trust || strcmp(p.trust, again.trust) == 0));
    return 0;
}
