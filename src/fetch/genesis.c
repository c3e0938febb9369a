/* The genesis archive of a cluster, checked against the hash that the operator knows before it gets
 * its name. Unpacking is left to Agave, which does it at start. */
#include "fetch/genesis.h"

#include "base/str.h"
#include "fetch/place.h"
#include "io/fsroot.h"
#include "io/http.h"
#include "solana/genesis_archive.h"

#define ARCHIVE    "genesis.tar.bz2"
#define TIMEOUT_MS 60000

/* What the ledger has: *ret_have false when it has nothing. genesis.bin counts before the archive,
 * as it does for Agave. */
static struct err *local_hash(struct ctx *ctx, const char *dir, char ret[static BASE58_32_MAX],
                              bool *ret_have)
{
    AUTO(freep) char *bin = xasprintf("%s/genesis.bin", dir);
    AUTO(freep) char *archive = xasprintf("%s/" ARCHIVE, dir);
    AUTO(freep) char *data = NULL;
    size_t n;
    struct err *e = fsroot_read(ctx->root, bin, GENESIS_ARCHIVE_MAX_B, &data, &n);

    *ret_have = true;
    if (!e) {
        genesis_hash(data, n, ret);
        return NULL;
    }
    if (e->kind != ERR_NOTFOUND)
        return e;
    err_free(e);
    e = fsroot_read(ctx->root, archive, GENESIS_ARCHIVE_MAX_B, &data, &n);
    if (!e)
        return err_hint(err_wrap(genesis_archive_hash(data, n, ret), "'%s'", archive),
                        "move it away and run this again");
    *ret_have = false;
    return e->kind == ERR_NOTFOUND ? err_free(e) : e;
}

static struct err *download(struct ctx *ctx, const char *url, struct http_response *ret)
{
    struct http_request req = {
        .method = "GET",
        .url = url,
        .timeout_ms = TIMEOUT_MS,
        .max_body_b = GENESIS_ARCHIVE_MAX_B,
        .follow = true,
    };

    TRY(http_one(ctx, &req, ret));
    if (ret->status == 404)
        return err_new(ERR_NOTFOUND, "%s: status 404", url);
    if (ret->status / 100 != 2)
        return err_remote(ret->status, "%s: status %d", url, ret->status);
    return NULL;
}

static struct err *store(struct ctx *ctx, const struct genesis_job *job,
                         const struct http_response *r)
{
    AUTO(place_freep) struct place *place = NULL;
    uint64_t leftover_b;

    TRY(place_begin(ctx->root, job->dir, ARCHIVE, &place, &leftover_b));
    TRY(place_write(place, r->body, r->body_n));
    return place_finish(place, job->uid, job->gid, 0644);
}

struct err *fetch_genesis(struct ctx *ctx, const struct genesis_job *job,
                          char ret_hash[static BASE58_32_MAX], bool *ret_fetched)
{
    AUTO(http_response_clear) struct http_response got = {0};
    char hash[BASE58_32_MAX];
    bool have;

    TRY(local_hash(ctx, job->dir, hash, &have));
    if (have && job->expected && !str_eq(hash, job->expected))
        return err_new(ERR_REFUSED,
                       "the ledger '%s' is of another cluster: its genesis hash is %s, not %s",
                       job->dir, hash, job->expected);
    if (!have) {
        AUTO(freep) char *url = http_join(job->source, "/" ARCHIVE);
        TRY(download(ctx, url, &got));
        TRY_CTX(genesis_archive_hash(got.body, got.body_n, hash), "%s", url);
        if (job->expected && !str_eq(hash, job->expected))
            return err_new(ERR_CORRUPT, "%s: its genesis hash is %s, not %s", url, hash,
                           job->expected);
        TRY(store(ctx, job, &got));
    }
    memcpy(ret_hash, hash, sizeof(hash));
    *ret_fetched = !have;
    return NULL;
}
