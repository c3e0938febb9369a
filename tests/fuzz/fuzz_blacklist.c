/* The file of what is not tried: one that parses is written as a text that parses to the same. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"
#include "fetch/blacklist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(blacklist_clear) struct blacklist b = {0};
    AUTO(blacklist_clear) struct blacklist again = {0};
    AUTO(freep) char *text = NULL;
    struct err *e = blacklist_parse((const char *)data, n, 1000, &b);

    if (e) {
        assert(e->kind == ERR_BADINPUT && b.n == 0);
        err_free(e);
        return 0;
    }
    assert(b.n <= BLACKLIST_MAX);
    text = blacklist_text(&b);
    e = blacklist_parse(text, strlen(text), 1000, &again);
    assert(!e && again.n == b.n);
    for (size_t i = 0; i < b.n; i++) {
        assert(again.items[i].kind == b.items[i].kind);
        assert(again.items[i].until_ms == b.items[i].until_ms);
        assert(str_eq(again.items[i].value, b.items[i].value));
        assert(str_eq(again.items[i].why, b.items[i].why));
    }
    err_free(e);
    return 0;
}
