/* Missing data shreds from code shreds (solana-ledger 3.0.14 `shred/merkle.rs` recover): erasure
 * decoding gives all of a shred but its signature, chained root, proof and retransmitter's
 * signature; those come from the set's other shreds and from its Merkle tree, computed anew. If the
 * tree's root is not the one that was signed, the set is not what it says. */
#include "base/bytes.h"
#include "lab/chain/ledger_internal.h"
#include "solana/merkle.h"

struct set {
    size_t n, n_data;
    const struct shred *like; /* a code shred of the set */
    uint8_t root[MERKLE_ROOT_B];
    struct shred_layout layouts[2]; /* data, code */
    bool present[SHRED_SET_SHARDS_MAX];
    uint8_t (*bytes)[SHRED_CODE_B]; /* working copies, n of them */
};

static const struct shred_layout *layout_at(const struct set *s, size_t i)
{
    return &s->layouts[i >= s->n_data];
}

/* Copies what is there. Headers of missing code shreds are written, of missing data decoded. */
static struct err *fill(struct set *s, const struct shred *const *shards)
{
    uint8_t data_variant = (uint8_t)(SHRED_VARIANT_DATA | (s->like->chained ? 0x10 : 0) |
                                     (s->like->resigned ? 0x20 : 0) | s->like->proof_n);

    if (shred_layout_of(data_variant, &s->layouts[0]) != SHRED_OK ||
        shred_layout_of(s->like->variant, &s->layouts[1]) != SHRED_OK ||
        s->layouts[0].erasure_b != s->layouts[1].erasure_b)
        return err_new(ERR_CORRUPT, "no data shreds fit to these code shreds");
    for (size_t i = 0; i < s->n; i++) {
        const struct shred *shred = shards[i];

        s->present[i] = shred;
        if (!shred)
            continue;
        if (shred->variant != (i < s->n_data ? data_variant : s->like->variant) ||
            memcmp(shred->signature, s->like->signature, SHRED_SIGNATURE_B) != 0)
            return err_new(ERR_CORRUPT, "shreds of two erasure sets in one");
        memcpy(s->bytes[i], shred->bytes, shred->bytes_b);
    }
    return NULL;
}

static void finish_headers(struct set *s, size_t i)
{
    const struct shred_layout *at = layout_at(s, i);
    uint8_t *p = s->bytes[i];

    memcpy(p, s->like->signature, SHRED_SIGNATURE_B);
    if (i >= s->n_data) {
        uint32_t position = (uint32_t)(i - s->n_data);

        memcpy(p + SHRED_SIGNATURE_B, s->like->bytes + SHRED_SIGNATURE_B,
               SHRED_CODE_HEADER_B - SHRED_SIGNATURE_B);
        put_le32(p + 73, s->like->first_code_index + position);
        put_le16(p + 87, (uint16_t)position);
    }
    if (s->like->chained)
        memcpy(p + at->root, s->like->chained_root, SHRED_ROOT_B);
    if (s->like->resigned)
        memcpy(p + at->retransmitter, s->like->retransmitter, SHRED_SIGNATURE_B);
}

/* Is what came out of the decoder the data shred that belongs here? */
static bool belongs(const struct set *s, size_t i)
{
    struct shred shred;

    return shred_parse(s->bytes[i], SHRED_DATA_B, &shred) == SHRED_OK && shred.type == SHRED_DATA &&
           shred.slot == s->like->slot && shred.version == s->like->version &&
           shred.fec_set_index == s->like->fec_set_index &&
           shred.index == s->like->fec_set_index + i && shred.proof_n == s->like->proof_n &&
           shred.chained == s->like->chained && shred.resigned == s->like->resigned;
}

static struct err *rebuild_tree(struct set *s)
{
    AUTO(freep) uint8_t(*nodes)[MERKLE_ROOT_B] = xmalloc(merkle_tree_n(s->n) * sizeof(*nodes));
    uint8_t proof[8 * SHRED_PROOF_ENTRY_B];

    for (size_t i = 0; i < s->n; i++)
        merkle_leaf(
            &(struct shred){.bytes = s->bytes[i], .proof = s->bytes[i] + layout_at(s, i)->proof},
            nodes[i]);
    merkle_tree_fill(nodes, s->n);
    if (memcmp(nodes[merkle_tree_n(s->n) - 1], s->root, MERKLE_ROOT_B) != 0)
        return err_new(ERR_CORRUPT, "the recovered shreds do not give the signed root");
    for (size_t i = 0; i < s->n_data; i++) {
        size_t n = merkle_proof((const uint8_t(*)[MERKLE_ROOT_B])nodes, s->n, i, proof);

        if (n != s->like->proof_n)
            return err_new(ERR_CORRUPT, "the set needs %zu proof entries, not %u", n,
                           s->like->proof_n);
        if (!s->present[i])
            memcpy(s->bytes[i] + s->layouts[0].proof, proof, n * SHRED_PROOF_ENTRY_B);
    }
    return NULL;
}

static struct err *decode(struct ledger *l, struct set *s)
{
    AUTO(reed_solomon_freep) struct reed_solomon *other = NULL;
    const struct reed_solomon *codec = l->codec;
    uint8_t *shards[SHRED_SET_SHARDS_MAX];

    if (s->n_data != SHRED_SET_DATA || s->n != SHRED_SET_DATA + SHRED_SET_CODE) {
        TRY(reed_solomon_new(s->n_data, s->n - s->n_data, &other));
        codec = other;
    }
    for (size_t i = 0; i < s->n; i++)
        shards[i] = s->bytes[i] + layout_at(s, i)->erasure;
    TRY(reed_solomon_recover(codec, s->layouts[0].erasure_b, shards, s->present));
    for (size_t i = 0; i < s->n; i++) {
        if (s->present[i])
            continue;
        finish_headers(s, i);
        if (i < s->n_data && !belongs(s, i))
            return err_new(ERR_CORRUPT, "a recovered shred is not of this set");
    }
    return rebuild_tree(s);
}

struct err *ledger_recover_set(struct ledger *l, const struct shred *const *shards, size_t n_data,
                               size_t n_code, uint8_t (*out)[SHRED_DATA_B], size_t *missing,
                               size_t *ret_n)
{
    struct set s = {.n = n_data + n_code, .n_data = n_data};
    AUTO(freep) uint8_t(*bytes)[SHRED_CODE_B] = NULL;
    size_t n = 0;

    for (size_t i = n_data; i < s.n; i++)
        if (shards[i])
            s.like = shards[i];
    if (!s.like || !merkle_root(s.like, s.root))
        return err_new(ERR_CORRUPT, "an erasure set without a code shred cannot be recovered");
    bytes = xcalloc(s.n, sizeof(*bytes));
    s.bytes = bytes;
    TRY(fill(&s, shards));
    TRY(decode(l, &s));
    for (size_t i = 0; i < n_data; i++) {
        if (!s.present[i]) {
            memcpy(out[n], s.bytes[i], SHRED_DATA_B);
            missing[n++] = i;
        }
    }
    *ret_n = n;
    return NULL;
}
