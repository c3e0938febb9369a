/* Replies of RPC and admin servers, and the file that a key is in: whatever the bytes are, an error
 * or a value within its bounds. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "solana/admin.h"
#include "solana/keypair.h"
#include "solana/rpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void take_all(struct json *result, struct json *error)
{
    struct rpc_call c = {.url = "http://x", .method = "x", .result = result, .error = error};
    char key[BASE58_32_MAX];
    struct rpc_snapshots snapshots;
    struct rpc_health health;
    struct err *e;
    uint64_t slot;

    e = rpc_take_slot(&c, &slot);
    assert(e || slot <= RPC_SLOT_MAX);
    err_free(e);
    e = rpc_take_snapshots(&c, &snapshots);
    assert(e || !snapshots.has_incremental || snapshots.incremental > snapshots.full);
    err_free(e);
    err_free(rpc_as_key(json_get(result, "identity"), key));
    if (error)
        c.err = rpc_error_of(error);
    err_free(rpc_take_health(&c, &health));
    rpc_calls_clear(&c, 1);
}

static void admin_all(const struct json *result)
{
    struct admin_progress progress;
    struct admin_contact contact;
    uint64_t ms;
    struct err *e = admin_parse_progress(result, &progress);

    assert(e || (progress.phase <= ADMIN_OTHER && progress.text[0]));
    err_free(e);
    err_free(admin_parse_contact(result, &contact));
    err_free(admin_parse_start_time(result, &ms));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct json *result = NULL, *error = NULL;
    struct ed25519_key key;
    struct err *e = rpc_parse_reply((const char *)data, n, 1, &result, &error);

    if (!e) {
        admin_all(result);
        take_all(result, error);
    }
    err_free(e);
    err_free(keypair_parse((const char *)data, n, &key));
    return 0;
}
