/* Our block in a file of anything: put and taken out again it leaves every byte as it was; putting
 * is idempotent; what has a block already loses the same by taking it out before and after. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "host/own_block.h"

#define TEXT "/dev/ram0 /srv/solana/ramdisk xfs noatime 0 0\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void same(const struct strbuf *b, const char *data, size_t n)
{
    assert(b->len == n && (n == 0 || memcmp(b->data, data, n) == 0));
}

/* made: was the file not there? */
static void put_and_take(const char *data, size_t n, bool made)
{
    AUTO(strbuf_clear) struct strbuf put = {0}, again = {0}, taken = {0}, plain = {0};
    AUTO(err_freep) struct err *e = own_block_put(data, n, made, TEXT, &put);
    struct own_block b;
    bool file = false, had = false;

    if (e) {
        assert(e->kind == ERR_CORRUPT && put.len == 0);
        e = err_free(e);
        e = own_block_take(data, n, &taken, &file);
        assert(e && taken.len == 0);
        return;
    }
    assert(!own_block_find(put.data, put.len, &b) && b.there && b.plain);
    assert(b.text_end - b.text_begin == strlen(TEXT));
    assert(memcmp(put.data + b.text_begin, TEXT, strlen(TEXT)) == 0);
    assert(!own_block_put(put.data, put.len, false, TEXT, &again));
    same(&again, put.data, put.len);
    assert(!own_block_take(put.data, put.len, &taken, &file));
    assert(!own_block_take(data, n, &plain, &had));
    same(&taken, plain.data, plain.len);
    assert(!own_block_find(data, n, &b));
    if (!b.there)
        same(&taken, data, n);
    if (!b.there)
        assert(file == (made && n == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    put_and_take((const char *)data, n, false);
    if (n == 0)
        put_and_take((const char *)data, n, true);
    return 0;
}
