/* A slot's content: ticks with a true proof of history, in Agave's serialization. Transactions are
 * left out: nothing in the lab executes any. */
#include "lab/chain/entries.h"

#include "base/bytes.h"
#include "solana/ed25519.h"

#define COUNT_B 8

static void hash_on(uint8_t hash[static 32], uint64_t times)
{
    for (uint64_t i = 0; i < times; i++)
        sha256(&(struct sha256_part){hash, 32}, 1, hash);
}

void entries_ticks(struct strbuf *out, size_t n, uint64_t hashes_per_tick, uint8_t hash[static 32])
{
    uint8_t head[COUNT_B], tick[ENTRIES_TICK_B] = {0};
    uint64_t hashes = hashes_per_tick ? hashes_per_tick : 1;

    put_le64(head, n);
    strbuf_add(out, head, sizeof(head));
    for (size_t i = 0; i < n; i++) {
        hash_on(hash, hashes);
        put_le64(tick, hashes);
        memcpy(tick + 8, hash, 32);
        strbuf_add(out, tick, sizeof(tick));
    }
}

struct err *entries_check(const uint8_t *data, size_t n, uint8_t hash[static 32],
                          uint64_t *ret_ticks)
{
    uint8_t state[32];
    uint64_t count;

    if (n < COUNT_B)
        return err_new(ERR_CORRUPT, "entries are cut short at byte %zu", n);
    count = get_le64(data);
    if (count > (n - COUNT_B) / ENTRIES_TICK_B)
        return err_new(ERR_CORRUPT, "%zu bytes cannot hold %llu entries", n,
                       (unsigned long long)count);
    memcpy(state, hash, sizeof(state));
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *tick = data + COUNT_B + i * ENTRIES_TICK_B;

        if (get_le64(tick + 40) != 0)
            return err_new(ERR_CORRUPT, "entry %llu has transactions", (unsigned long long)i);
        if (get_le64(tick) > ENTRIES_HASHES_MAX)
            return err_new(ERR_CORRUPT, "entry %llu claims too many hashes", (unsigned long long)i);
        hash_on(state, get_le64(tick));
        if (memcmp(state, tick + 8, sizeof(state)) != 0)
            return err_new(ERR_CORRUPT,
                           "the hash of entry %llu does not follow from the one before",
                           (unsigned long long)i);
    }
    memcpy(hash, state, sizeof(state));
    *ret_ticks = count;
    return NULL;
}
