/* Shreds: where the fields of a packet are and whether they can be true together. Follows the
 * layout of solana-ledger 3.0.14 `shred/wire.rs` and the checks of its `shred_data.rs`,
 * `shred_code.rs` (sanitize). No hashes and no signatures (merkle.h), no state, no allocation: this
 * looks at every packet that comes in. */
#include "solana/shred.h"

#include "base/bytes.h"

#define VARIANT_AT 64

struct variant {
    enum shred_type type;
    bool chained, resigned;
};

static bool variant_of(uint8_t byte, struct variant *ret)
{
    switch (byte & 0xf0) {
    case 0x40:
        *ret = (struct variant){.type = SHRED_CODE};
        return true;
    case 0x60:
        *ret = (struct variant){.type = SHRED_CODE, .chained = true};
        return true;
    case 0x70:
        *ret = (struct variant){.type = SHRED_CODE, .chained = true, .resigned = true};
        return true;
    case 0x80:
        *ret = (struct variant){.type = SHRED_DATA};
        return true;
    case 0x90:
        *ret = (struct variant){.type = SHRED_DATA, .chained = true};
        return true;
    case 0xb0:
        *ret = (struct variant){.type = SHRED_DATA, .chained = true, .resigned = true};
        return true;
    default:
        return false;
    }
}

enum shred_fault shred_layout_of(uint8_t byte, struct shred_layout *ret)
{
    struct variant v;
    size_t header, start, trailer = (size_t)(byte & 0x0f) * SHRED_PROOF_ENTRY_B;

    if (!variant_of(byte, &v))
        return SHRED_BAD_VARIANT;
    trailer += (v.chained ? SHRED_ROOT_B : 0) + (v.resigned ? SHRED_SIGNATURE_B : 0);
    ret->bytes_b = v.type == SHRED_DATA ? SHRED_DATA_B : SHRED_CODE_B;
    header = v.type == SHRED_DATA ? SHRED_DATA_HEADER_B : SHRED_CODE_HEADER_B;
    start = v.type == SHRED_DATA ? SHRED_SIGNATURE_B : SHRED_CODE_HEADER_B;
    if (header + trailer > ret->bytes_b)
        return SHRED_BAD_PROOF;
    ret->root = ret->bytes_b - trailer;
    ret->proof = ret->root + (v.chained ? SHRED_ROOT_B : 0);
    ret->retransmitter = ret->bytes_b - (v.resigned ? SHRED_SIGNATURE_B : 0);
    ret->erasure = start;
    ret->erasure_b = ret->root - start;
    return SHRED_OK;
}

static enum shred_fault parse_data(const uint8_t *p, const struct shred_layout *at, struct shred *s)
{
    size_t size = get_le16(p + 86);

    s->parent_offset = get_le16(p + 83);
    s->flags = p[85];
    s->reference_tick = s->flags & SHRED_FLAG_TICK_MASK;
    s->data_complete = s->flags & SHRED_FLAG_COMPLETE;
    s->last_in_slot = (s->flags & SHRED_FLAG_LAST) == SHRED_FLAG_LAST;
    if ((s->flags & SHRED_FLAG_LAST) == 0x80)
        return SHRED_BAD_FLAGS;
    if (s->parent_offset > s->slot)
        return SHRED_BAD_PARENT;
    s->parent = s->slot - s->parent_offset;
    if (size < SHRED_DATA_HEADER_B || size > at->root)
        return SHRED_BAD_SIZE;
    s->payload = p + SHRED_DATA_HEADER_B;
    s->payload_b = size - SHRED_DATA_HEADER_B;
    if (s->index < s->fec_set_index || s->index - s->fec_set_index >= SHRED_SET_SHARDS_MAX)
        return SHRED_BAD_INDEX;
    s->shard = s->index - s->fec_set_index;
    return SHRED_OK;
}

static enum shred_fault parse_code(const uint8_t *p, struct shred *s)
{
    s->num_data = get_le16(p + 83);
    s->num_code = get_le16(p + 85);
    s->position = get_le16(p + 87);
    if (s->num_data == 0 || s->num_code == 0 ||
        (size_t)s->num_data + s->num_code > SHRED_SET_SHARDS_MAX || s->position >= s->num_code)
        return SHRED_BAD_SET;
    if (s->index < s->position)
        return SHRED_BAD_INDEX;
    s->first_code_index = s->index - s->position;
    if (s->first_code_index + s->num_code > SHRED_INDEX_MAX ||
        (uint64_t)s->fec_set_index + s->num_data > SHRED_INDEX_MAX)
        return SHRED_BAD_INDEX;
    s->shard = (size_t)s->num_data + s->position;
    return SHRED_OK;
}

enum shred_fault shred_parse(const uint8_t *packet, size_t n, struct shred *ret)
{
    struct shred s = {.bytes = packet, .signature = packet};
    struct shred_layout at;
    struct variant v = {0};
    enum shred_fault fault;

    if (n < SHRED_DATA_B || n > SHRED_PACKET_B)
        return SHRED_BAD_LENGTH;
    fault = shred_layout_of(packet[VARIANT_AT], &at);
    if (fault != SHRED_OK)
        return fault;
    if (n < at.bytes_b)
        return SHRED_BAD_LENGTH;
    (void)variant_of(packet[VARIANT_AT], &v); /* known: it has a layout */
    s.variant = packet[VARIANT_AT];
    s.type = v.type;
    s.chained = v.chained;
    s.resigned = v.resigned;
    s.proof_n = s.variant & 0x0f;
    s.slot = get_le64(packet + 65);
    s.index = get_le32(packet + 73);
    s.version = get_le16(packet + 77);
    s.fec_set_index = get_le32(packet + 79);
    s.bytes_b = at.bytes_b;
    s.chained_root = s.chained ? packet + at.root : NULL;
    s.proof = packet + at.proof;
    s.retransmitter = s.resigned ? packet + at.retransmitter : NULL;
    s.erasure = packet + at.erasure;
    s.erasure_b = at.erasure_b;
    if (s.index >= SHRED_INDEX_MAX)
        return SHRED_BAD_INDEX;
    fault = s.type == SHRED_DATA ? parse_data(packet, &at, &s) : parse_code(packet, &s);
    if (fault == SHRED_OK)
        *ret = s;
    return fault;
}

bool shred_nonce(const struct shred *s, size_t packet_n, uint32_t *ret)
{
    if (packet_n < s->bytes_b + SHRED_NONCE_B)
        return false;
    *ret = get_le32(s->bytes + packet_n - SHRED_NONCE_B);
    return true;
}

bool shred_slots_ok(uint64_t slot, uint64_t parent, uint64_t root)
{
    if (slot == 0 && parent == 0 && root == 0)
        return true;
    return root <= parent && parent < slot;
}
