/* Values of the blockstore: to and from bytes, and the few rules that belong to one value alone. */
#include "lab/chain/ledger_values.h"

#include "base/bytes.h"

#define FIXED_B   57 /* of a slot's meta, up to and with connected_flags, without children */
#define NEXT_MAX  65536
#define TYPE_DATA 0xa5 /* ShredType as a byte */
#define TYPE_CODE 0x5a

void slot_record_init(struct slot_record *r, uint64_t slot, uint64_t parent)
{
    *r = (struct slot_record){
        .slot = slot,
        .last_index = LEDGER_UNKNOWN,
        .parent = parent,
        .flags = slot == 0 ? SLOT_PARENT_CONNECTED : 0,
    };
}

void slot_record_clear(struct slot_record *r)
{
    free(r->next);
    free(r->completed);
    *r = (struct slot_record){0};
}

void slot_record_copy(const struct slot_record *r, struct slot_record *ret)
{
    *ret = *r;
    ret->next = xmemdup(r->next, r->next_n * sizeof(*r->next));
    ret->next_cap = r->next_n;
    ret->completed = xmemdup(r->completed, r->completed_n * sizeof(*r->completed));
    ret->completed_cap = r->completed_n;
}

bool slot_record_equal(const struct slot_record *a, const struct slot_record *b)
{
    return a->slot == b->slot && a->consumed == b->consumed && a->received == b->received &&
           a->first_ms == b->first_ms && a->last_index == b->last_index && a->parent == b->parent &&
           a->flags == b->flags && a->next_n == b->next_n && a->completed_n == b->completed_n &&
           (!a->next_n || memcmp(a->next, b->next, a->next_n * sizeof(*a->next)) == 0) &&
           (!a->completed_n ||
            memcmp(a->completed, b->completed, a->completed_n * sizeof(*a->completed)) == 0);
}

bool slot_record_full(const struct slot_record *r)
{
    return r->last_index != LEDGER_UNKNOWN && r->consumed == r->last_index + 1;
}

void slot_record_add_child(struct slot_record *r, uint64_t slot)
{
    r->next = xgrow(r->next, &r->next_cap, r->next_n + 1, sizeof(*r->next));
    r->next[r->next_n++] = slot;
}

void slot_record_remove_child(struct slot_record *r, uint64_t slot)
{
    size_t kept = 0;

    for (size_t i = 0; i < r->next_n; i++)
        if (r->next[i] != slot)
            r->next[kept++] = r->next[i];
    r->next_n = kept;
}

void slot_record_add_completed(struct slot_record *r, uint32_t index)
{
    size_t at = r->completed_n;

    while (at && r->completed[at - 1] > index)
        at--;
    if (at && r->completed[at - 1] == index)
        return;
    r->completed =
        xgrow(r->completed, &r->completed_cap, r->completed_n + 1, sizeof(*r->completed));
    memmove(r->completed + at + 1, r->completed + at,
            (r->completed_n - at) * sizeof(*r->completed));
    r->completed[at] = index;
    r->completed_n++;
}

bool slot_record_parent_connected(struct slot_record *r)
{
    if (r->flags & SLOT_CONNECTED)
        return false;
    r->flags |= SLOT_PARENT_CONNECTED;
    if (slot_record_full(r))
        r->flags |= SLOT_CONNECTED;
    return r->flags & SLOT_CONNECTED;
}

static void add_u64(struct strbuf *b, uint64_t v)
{
    uint8_t bytes[8];

    put_le64(bytes, v);
    strbuf_add(b, bytes, sizeof(bytes));
}

void slot_record_encode(const struct slot_record *r, struct strbuf *ret)
{
    add_u64(ret, r->slot);
    add_u64(ret, r->consumed);
    add_u64(ret, r->received);
    add_u64(ret, r->first_ms);
    add_u64(ret, r->last_index);
    add_u64(ret, r->parent);
    add_u64(ret, r->next_n);
    for (size_t i = 0; i < r->next_n; i++)
        add_u64(ret, r->next[i]);
    strbuf_add(ret, &r->flags, 1);
    add_u64(ret, r->completed_n);
    for (size_t i = 0; i < r->completed_n; i++) {
        uint8_t bytes[4];

        put_le32(bytes, r->completed[i]);
        strbuf_add(ret, bytes, sizeof(bytes));
    }
}

struct err *slot_record_decode(const void *p, size_t n, struct slot_record *ret)
{
    const uint8_t *b = p;
    AUTO(slot_record_clear) struct slot_record r = {0};
    uint64_t next_n = n >= FIXED_B + 8 ? get_le64(b + 48) : UINT64_MAX, completed_n;

    if (next_n > NEXT_MAX || n < FIXED_B + 8 + 8 * next_n)
        return err_new(ERR_CORRUPT, "a slot's meta of %zu bytes is cut short", n);
    slot_record_init(&r, get_le64(b), get_le64(b + 40));
    r.consumed = get_le64(b + 8);
    r.received = get_le64(b + 16);
    r.first_ms = get_le64(b + 24);
    r.last_index = get_le64(b + 32);
    for (uint64_t i = 0; i < next_n; i++)
        slot_record_add_child(&r, get_le64(b + 56 + 8 * i));
    b += 56 + 8 * next_n;
    r.flags = *b;
    completed_n = get_le64(b + 1);
    if (completed_n > SHRED_INDEX_MAX || n != FIXED_B + 8 + 8 * next_n + 4 * completed_n)
        return err_new(ERR_CORRUPT, "a slot's meta of %zu bytes is not of layout V1", n);
    for (uint64_t i = 0; i < completed_n; i++)
        slot_record_add_completed(&r, get_le32(b + 9 + 4 * i));
    *ret = r;
    r = (struct slot_record){0};
    return NULL;
}

bool shred_bits_has(const struct shred_bits *b, uint64_t i)
{
    return i < SHRED_INDEX_MAX && b->bits[i / 8] & 1 << i % 8;
}

void shred_bits_add(struct shred_bits *b, uint64_t i)
{
    if (!shred_bits_has(b, i)) {
        b->bits[i / 8] |= (uint8_t)(1 << i % 8);
        b->n++;
    }
}

size_t shred_bits_count(const struct shred_bits *b, uint64_t first, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += shred_bits_has(b, first + i);
    return count;
}

void shred_index_encode(const struct shred_index *x, struct strbuf *ret)
{
    const struct shred_bits *both[] = {&x->data, &x->code};

    add_u64(ret, x->slot);
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        add_u64(ret, SHRED_INDEX_B);
        strbuf_add(ret, both[i]->bits, SHRED_INDEX_B);
        add_u64(ret, both[i]->n);
    }
}

struct err *shred_index_decode(const void *p, size_t n, struct shred_index *ret)
{
    const uint8_t *b = p;
    struct shred_bits *both[] = {&ret->data, &ret->code};

    if (n != 8 + 2 * (8 + SHRED_INDEX_B + 8) || get_le64(b + 8) != SHRED_INDEX_B ||
        get_le64(b + 8 + 16 + SHRED_INDEX_B) != SHRED_INDEX_B)
        return err_new(ERR_CORRUPT, "a shred index of %zu bytes is not of layout V2", n);
    ret->slot = get_le64(b);
    b += 8;
    for (size_t i = 0; i < ARRAY_LEN(both); i++, b += 8 + SHRED_INDEX_B + 8) {
        memcpy(both[i]->bits, b + 8, SHRED_INDEX_B);
        both[i]->n = get_le64(b + 8 + SHRED_INDEX_B);
    }
    return NULL;
}

void erasure_record_of(const struct shred *code, struct erasure_record *ret)
{
    *ret = (struct erasure_record){
        .fec_set_index = code->fec_set_index,
        .first_code = code->first_code_index,
        .first_received_code = code->index,
        .num_data = code->num_data,
        .num_code = code->num_code,
    };
}

void erasure_record_encode(const struct erasure_record *r, uint8_t ret[static ERASURE_RECORD_B])
{
    put_le64(ret, r->fec_set_index);
    put_le64(ret + 8, r->first_code);
    put_le64(ret + 16, r->first_received_code);
    put_le64(ret + 24, r->num_data);
    put_le64(ret + 32, r->num_code);
}

struct err *erasure_record_decode(const void *p, size_t n, struct erasure_record *ret)
{
    const uint8_t *b = p;

    if (n != ERASURE_RECORD_B)
        return err_new(ERR_CORRUPT, "an erasure meta has %zu bytes", n);
    *ret = (struct erasure_record){
        .fec_set_index = get_le64(b),
        .first_code = get_le64(b + 8),
        .first_received_code = get_le64(b + 16),
        .num_data = get_le64(b + 24),
        .num_code = get_le64(b + 32),
    };
    if (ret->num_data > SHRED_SET_SHARDS_MAX || ret->num_code > SHRED_SET_SHARDS_MAX ||
        ret->num_data + ret->num_code > SHRED_SET_SHARDS_MAX || !ret->num_data || !ret->num_code ||
        ret->fec_set_index >= SHRED_INDEX_MAX || ret->first_code >= SHRED_INDEX_MAX)
        return err_new(ERR_CORRUPT, "an erasure meta describes an impossible set");
    return NULL;
}

size_t root_record_encode(const struct root_record *r, uint8_t ret[static ROOT_RECORD_B])
{
    uint8_t *p = ret;

    *p++ = r->has_root;
    if (r->has_root) {
        memcpy(p, r->root, MERKLE_ROOT_B);
        p += MERKLE_ROOT_B;
    }
    put_le32(p, r->first_index);
    p[4] = r->first_type == SHRED_DATA ? TYPE_DATA : TYPE_CODE;
    return (size_t)(p + 5 - ret);
}

struct err *root_record_decode(const void *p, size_t n, struct root_record *ret)
{
    const uint8_t *b = p;
    bool has = n && b[0] == 1;

    if (n != (has ? ROOT_RECORD_B : ROOT_RECORD_B - MERKLE_ROOT_B) || b[0] > 1)
        return err_new(ERR_CORRUPT, "a Merkle root meta has %zu bytes", n);
    *ret = (struct root_record){.has_root = has};
    if (has)
        memcpy(ret->root, b + 1, MERKLE_ROOT_B);
    b += n - 5;
    ret->first_index = get_le32(b);
    if (b[4] != TYPE_DATA && b[4] != TYPE_CODE)
        return err_new(ERR_CORRUPT, "a Merkle root meta names no kind of shred");
    ret->first_type = b[4] == TYPE_DATA ? SHRED_DATA : SHRED_CODE;
    return NULL;
}
