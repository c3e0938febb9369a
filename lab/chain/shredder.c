/* Leaders' shreds. Headers, code shreds, Merkle tree and signature in the order that Agave's
 * finish_erasure_batch has: each step covers what the one before wrote. */
#include "lab/chain/shredder.h"

#include "base/bytes.h"
#include "base/str.h"
#include "lab/chain/entries.h"
#include "lab/chain/reed_solomon.h"
#include "solana/merkle.h"

#define SETS_DEFAULT 5
#define SETS_MAX     64
#define SHARDS       (SHRED_SET_DATA + SHRED_SET_CODE)

void block_link_from_seed(uint64_t seed, struct block_link *ret)
{
    uint8_t text[8];

    put_le64(text, seed);
    sha256((struct sha256_part[]){{"root", 4}, {text, 8}}, 2, ret->root);
    sha256((struct sha256_part[]){{"hash", 4}, {text, 8}}, 2, ret->hash);
}

void shredder_leader_from_seed(uint64_t seed, struct ed25519_key *ret)
{
    uint8_t text[8], secret[ED25519_SEED_B];

    put_le64(text, seed);
    sha256((struct sha256_part[]){{"leader", 6}, {text, 8}}, 2, secret);
    ed25519_from_seed(secret, ret);
}

static void put_common(uint8_t *p, uint8_t variant, const struct shred_set_opts *set,
                       uint32_t index, uint16_t version)
{
    p[64] = variant;
    put_le64(p + 65, set->slot);
    put_le32(p + 73, index);
    put_le16(p + 77, version);
    put_le32(p + 79, set->first_index);
}

static uint8_t flags_of(const struct shred_set_opts *set, size_t i)
{
    uint8_t tick =
        set->reference_tick < SHRED_FLAG_TICK_MASK ? set->reference_tick : SHRED_FLAG_TICK_MASK;

    if (i + 1 < SHRED_SET_DATA)
        return tick;
    if (set->last_in_slot)
        return tick | SHRED_FLAG_LAST;
    return set->data_complete ? tick | SHRED_FLAG_COMPLETE : tick;
}

static void put_headers(const struct shredder_opts *opts, const struct shred_set_opts *set,
                        const uint8_t *entries, size_t n, struct shred_set *ret)
{
    uint8_t data = SHRED_VARIANT_DATA | 0x10 | SHRED_SET_PROOF | (set->last_in_slot ? 0x20 : 0);
    uint8_t code = SHRED_VARIANT_CODE | 0x20 | SHRED_SET_PROOF | (set->last_in_slot ? 0x10 : 0);
    size_t room = (set->last_in_slot ? SHRED_SET_PAYLOAD_LAST_B : SHRED_SET_PAYLOAD_B) / 32;

    for (uint32_t i = 0; i < SHRED_SET_DATA; i++) {
        uint8_t *p = ret->data[i];
        size_t part = n < room ? n : room;

        put_common(p, data, set, set->first_index + i, opts->version);
        put_le16(p + 83, (uint16_t)(set->slot - set->parent));
        p[85] = flags_of(set, i);
        put_le16(p + 86, (uint16_t)(SHRED_DATA_HEADER_B + part));
        if (part)
            memcpy(p + SHRED_DATA_HEADER_B, entries, part);
        entries += part;
        n -= part;
    }
    for (uint32_t i = 0; i < SHRED_SET_CODE; i++) {
        uint8_t *p = ret->code[i];

        put_common(p, code, set, set->first_index + i, opts->version);
        put_le16(p + 83, SHRED_SET_DATA);
        put_le16(p + 85, SHRED_SET_CODE);
        put_le16(p + 87, (uint16_t)i);
    }
}

static uint8_t *shard_of(struct shred_set *set, size_t i)
{
    return i < SHRED_SET_DATA ? set->data[i] : set->code[i - SHRED_SET_DATA];
}

/* layouts[0] of the data shreds, [1] of the code shreds. */
static void put_code(const struct reed_solomon *rs, struct shred_set *set,
                     const struct shred_layout layouts[2])
{
    const uint8_t *data[SHRED_SET_DATA];
    uint8_t *code[SHRED_SET_CODE];

    for (size_t i = 0; i < SHRED_SET_DATA; i++)
        data[i] = set->data[i] + layouts[0].erasure;
    for (size_t i = 0; i < SHRED_SET_CODE; i++)
        code[i] = set->code[i] + layouts[1].erasure;
    reed_solomon_encode(rs, layouts[0].erasure_b, data, code);
}

static void put_tree(const struct shredder_opts *opts, const uint8_t chained_root[static 32],
                     struct shred_set *set, const struct shred_layout layouts[2])
{
    uint8_t nodes[2 * SHARDS][MERKLE_ROOT_B], signature[ED25519_SIGNATURE_B];

    for (size_t i = 0; i < SHARDS; i++) {
        uint8_t *p = shard_of(set, i);
        const struct shred_layout *at = &layouts[i >= SHRED_SET_DATA];

        memcpy(p + at->root, chained_root, SHRED_ROOT_B);
        merkle_leaf(&(struct shred){.bytes = p, .proof = p + at->proof}, nodes[i]);
    }
    merkle_tree_fill(nodes, SHARDS);
    memcpy(set->root, nodes[merkle_tree_n(SHARDS) - 1], sizeof(set->root));
    ed25519_sign(&opts->leader, set->root, sizeof(set->root), signature);
    for (size_t i = 0; i < SHARDS; i++) {
        uint8_t *p = shard_of(set, i);

        merkle_proof((const uint8_t(*)[MERKLE_ROOT_B])nodes, SHARDS, i,
                     p + layouts[i >= SHRED_SET_DATA].proof);
        memcpy(p, signature, sizeof(signature));
    }
}

static struct err *set_make(const struct reed_solomon *rs, const struct shredder_opts *opts,
                            const struct shred_set_opts *set, const uint8_t *entries, size_t n,
                            struct shred_set *ret)
{
    struct shred_layout layouts[2];

    if (n > (set->last_in_slot ? SHRED_SET_PAYLOAD_LAST_B : SHRED_SET_PAYLOAD_B))
        return err_new(ERR_BADINPUT, "%zu bytes of entries do not fit into one erasure set", n);
    if (set->parent > set->slot || set->slot - set->parent > UINT16_MAX)
        return err_new(ERR_BADINPUT, "slot %llu cannot have the parent %llu",
                       (unsigned long long)set->slot, (unsigned long long)set->parent);
    if (set->first_index > SHRED_INDEX_MAX - SHRED_SET_DATA)
        return err_new(ERR_BADINPUT, "a slot has no shred %u", set->first_index);
    memset(ret, 0, sizeof(*ret));
    put_headers(opts, set, entries, n, ret);
    if (shred_layout_of(ret->data[0][64], &layouts[0]) != SHRED_OK ||
        shred_layout_of(ret->code[0][64], &layouts[1]) != SHRED_OK)
        return err_new(ERR_BUG, "the shredder made an unknown variant");
    put_code(rs, ret, layouts);
    put_tree(opts, set->chained_root, ret, layouts);
    return NULL;
}

struct err *shred_set_make(const struct shredder_opts *opts, const struct shred_set_opts *set,
                           const uint8_t *entries, size_t n, struct shred_set *ret)
{
    AUTO(reed_solomon_freep) struct reed_solomon *rs = NULL;

    TRY(reed_solomon_new(SHRED_SET_DATA, SHRED_SET_CODE, &rs));
    return set_make(rs, opts, set, entries, n, ret);
}

/* A block also carries the ticks of the slots that it skips: without them Agave finds too few. */
static size_t ticks_of(uint64_t slot, uint64_t parent)
{
    return ENTRIES_TICKS_PER_SLOT * (slot > parent ? slot - parent : 1);
}

/* As many sets as wished, or as the ticks need. */
static struct err *sets_of(const struct shredder_opts *opts, size_t ticks, size_t *ret)
{
    const size_t ticks_a_set = SHRED_SET_PAYLOAD_LAST_B / ENTRIES_TICK_B - 1;
    size_t wish = opts->sets ? opts->sets : SETS_DEFAULT;
    size_t need = (ticks + ticks_a_set - 1) / ticks_a_set;

    if (wish > SETS_MAX)
        return err_new(ERR_BADINPUT, "a slot has 1 to %d erasure sets here, not %zu", SETS_MAX,
                       wish);
    if (need > SHRED_INDEX_MAX / SHRED_SET_DATA)
        return err_new(ERR_BADINPUT, "%zu ticks do not fit into one slot", ticks);
    *ret = wish > need ? wish : need;
    return NULL;
}

struct err *block_make(const struct shredder_opts *opts, uint64_t slot, uint64_t parent,
                       const struct block_link *parent_link, struct block *ret)
{
    size_t n, ticks = ticks_of(slot, parent), done = 0;
    AUTO(reed_solomon_freep) struct reed_solomon *rs = NULL;
    AUTO(block_clear) struct block b = {.slot = slot, .parent = parent, .link = *parent_link};

    if ((parent >= slot && slot != 0) || slot - parent > UINT16_MAX)
        return err_new(ERR_BADINPUT, "slot %llu cannot have the parent %llu",
                       (unsigned long long)slot, (unsigned long long)parent);
    TRY(sets_of(opts, ticks, &n));
    TRY(reed_solomon_new(SHRED_SET_DATA, SHRED_SET_CODE, &rs));
    b.sets = xcalloc(n, sizeof(*b.sets));
    for (b.n = 0; b.n < n; b.n++) {
        AUTO(strbuf_clear) struct strbuf entries = {0};
        size_t until = (b.n + 1) * ticks / n, before = ticks - ENTRIES_TICKS_PER_SLOT;
        struct shred_set_opts set = {
            .slot = slot,
            .parent = parent,
            .first_index = (uint32_t)b.n * SHRED_SET_DATA,
            .reference_tick = until > before ? (uint8_t)(until - before) : 0,
            .data_complete = true,
            .last_in_slot = b.n + 1 == n,
            .chained_root = b.link.root,
        };

        entries_ticks(&entries, until - done, opts->hashes_per_tick, b.link.hash);
        TRY(set_make(rs, opts, &set, (const uint8_t *)entries.data, entries.len, &b.sets[b.n]));
        memcpy(b.link.root, b.sets[b.n].root, sizeof(b.link.root));
        done = until;
    }
    *ret = b;
    b = (struct block){0};
    return NULL;
}

void block_clear(struct block *b)
{
    free(b->sets);
    *b = (struct block){0};
}

const uint8_t *block_shred(const struct block *b, enum shred_type type, uint32_t index)
{
    if (index / SHRED_SET_DATA >= b->n)
        return NULL;
    if (type == SHRED_DATA)
        return b->sets[index / SHRED_SET_DATA].data[index % SHRED_SET_DATA];
    return b->sets[index / SHRED_SET_CODE].code[index % SHRED_SET_CODE];
}
