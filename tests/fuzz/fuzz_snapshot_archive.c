/* The archive verifier under one fixed name: the first byte chooses how the input is packed, and
 * whether another hash is damage. */
#include "solana/snapshot_archive.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define STEM "snapshot-7-11111111111111111111111111111111"

/* hash_must: is a hash that differs damage? */
static struct err *check(const char *name, bool hash_must, const uint8_t *data, size_t n,
                         size_t piece)
{
    const struct snapcheck_limits limits = {
        .hash_must = hash_must, .unpacked_b = 1 << 20, .entries = 100};
    AUTO(snapcheck_freep) struct snapcheck *c = NULL;
    struct snapcheck_report report;

    TRY(snapcheck_new(name, &limits, &c));
    for (size_t at = 0; at < n; at += piece)
        TRY(snapcheck_feed(c, data + at, n - at < piece ? n - at : piece));
    return snapcheck_finish(c, &report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *name = n && data[0] & 1 ? STEM ".tar.lz4" : STEM ".tar.zst";
    bool hash_must = n && !(data[0] & 2);

    if (n < 2)
        return 0;
    AUTO(err_freep) struct err *whole = check(name, hash_must, data + 1, n - 1, n);
    AUTO(err_freep) struct err *pieces = check(name, hash_must, data + 1, n - 1, 29);
    assert(!whole == !pieces);
    assert(!whole || (whole->kind == ERR_CORRUPT && pieces->kind == ERR_CORRUPT));
    return 0;
}
