/* Reads a genesis archive in memory and hashes its genesis.bin. It does not look into genesis.bin:
 * the hash is all that a cluster is known by. */
#include "solana/genesis_archive.h"

#include "base/str.h"
#include "solana/decompress.h"
#include "solana/ed25519.h"
#include "solana/tar.h"

struct reader {
    struct tar *tar;
    struct strbuf bin;
    uint64_t total_b;
    bool in_bin, have_bin;
};

static struct err *reader_entry(void *arg, const struct tar_entry *e)
{
    struct reader *r = arg;

    if (__builtin_add_overflow(r->total_b, e->size_b, &r->total_b) ||
        r->total_b > GENESIS_ARCHIVE_MAX_B)
        return err_new(ERR_CORRUPT, "it unpacks to more than %zu bytes", GENESIS_ARCHIVE_MAX_B);
    r->in_bin = e->type == TAR_FILE && str_eq(e->path, "genesis.bin");
    if (r->in_bin && r->have_bin)
        return err_new(ERR_CORRUPT, "it holds genesis.bin twice");
    r->have_bin = r->have_bin || r->in_bin;
    return NULL;
}

static struct err *reader_data(void *arg, const void *data, size_t n)
{
    struct reader *r = arg;

    if (r->in_bin)
        strbuf_add(&r->bin, data, n);
    return NULL;
}

static struct err *reader_end(void *arg)
{
    return NULL;
}

static struct err *to_tar(void *arg, const void *data, size_t n)
{
    return tar_feed(arg, data, n);
}

static void reader_clear(struct reader *r)
{
    tar_free(r->tar);
    strbuf_clear(&r->bin);
}

void genesis_hash(const void *genesis_bin, size_t n, char ret[static BASE58_32_MAX])
{
    struct sha256_part part = {genesis_bin, n};
    uint8_t hash[32];

    sha256(&part, 1, hash);
    base58_encode32(hash, ret);
}

struct err *genesis_archive_hash(const void *archive, size_t n, char ret[static BASE58_32_MAX])
{
    static const struct tar_sink sink = {
        .entry = reader_entry, .data = reader_data, .end = reader_end};
    AUTO(reader_clear) struct reader r = {0};
    AUTO(decompress_freep) struct decompress *d = NULL;

    r.tar = tar_new(&sink, &r);
    TRY(decompress_new(COMPRESSION_BZIP2, to_tar, r.tar, &d));
    TRY(decompress_feed(d, archive, n));
    TRY(decompress_finish(d));
    TRY(tar_finish(r.tar));
    if (!r.have_bin)
        return err_new(ERR_CORRUPT, "it holds no genesis.bin");
    genesis_hash(r.bin.data, r.bin.len, ret);
    return NULL;
}
