/* Insertion, after solana-ledger 3.0.14 `blockstore.rs` (do_insert_shreds): everything that one
 * call changes is gathered in working copies, and goes into the database as one write. The order of
 * the checks is Agave's, because it decides which values a ledger ends up with. Left out: duplicate
 * proofs for chained roots that do not fit together. */
#include "base/bytes.h"
#include "lab/chain/ledger_internal.h"

struct work_slot {
    struct slot_record now, before;
    bool existed, inserted;
};

struct work_index {
    struct shred_index index;
    bool inserted;
};

enum presence { NOT_LOADED, ABSENT, CLEAN, DIRTY };

struct work_set {
    uint64_t slot;
    uint32_t fec_set_index;
    enum presence root_is, erasure_is;
    struct root_record root;
    struct erasure_record erasure;
};

struct work {
    struct ledger *l;
    struct store_batch *batch;
    struct ledger_result *result;
    struct work_slot **slots;
    struct work_slot **chained; /* slots that only chaining touches */
    struct work_index **indexes;
    struct work_set **sets;
    size_t slots_n, slots_cap, chained_n, chained_cap, indexes_n, indexes_cap, sets_n, sets_cap;
    struct shred *just; /* inserted by this call: not in the database yet */
    size_t just_n, just_cap;
    uint8_t **recovered; /* bytes that just points into */
    size_t recovered_n, recovered_cap;
};

static void free_slots(struct work_slot **slots, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        slot_record_clear(&slots[i]->now);
        slot_record_clear(&slots[i]->before);
        free(slots[i]);
    }
    free(slots);
}

static void work_clear(struct work *w)
{
    store_batch_freep(&w->batch);
    free_slots(w->slots, w->slots_n);
    free_slots(w->chained, w->chained_n);
    for (size_t i = 0; i < w->indexes_n; i++)
        free(w->indexes[i]);
    for (size_t i = 0; i < w->sets_n; i++)
        free(w->sets[i]);
    for (size_t i = 0; i < w->recovered_n; i++)
        free(w->recovered[i]);
    free(w->indexes);
    free(w->sets);
    free(w->just);
    free(w->recovered);
}

static struct err *index_of(struct work *w, uint64_t slot, struct work_index **ret)
{
    AUTO(freep) struct work_index *x = NULL;
    AUTO(freep) uint8_t *value = NULL;
    size_t n;

    for (size_t i = w->indexes_n; i-- > 0;) {
        if (w->indexes[i]->index.slot == slot) {
            *ret = w->indexes[i];
            return NULL;
        }
    }
    x = xcalloc(1, sizeof(*x));
    x->index.slot = slot;
    TRY(store_get(w->l->store, CF_INDEX, key_slot(slot), &value, &n));
    if (value)
        TRY(shred_index_decode(value, n, &x->index));
    w->indexes = xgrow(w->indexes, &w->indexes_cap, w->indexes_n + 1, sizeof(*w->indexes));
    *ret = w->indexes[w->indexes_n++] = TAKE(x);
    return NULL;
}

/* The working copy of a set, with its Merkle root meta. */
static struct err *set_of(struct work *w, const struct shred *s, struct work_set **ret)
{
    AUTO(freep) struct work_set *x = NULL;
    AUTO(freep) uint8_t *value = NULL;
    size_t n;

    for (size_t i = w->sets_n; i-- > 0;) {
        if (w->sets[i]->slot == s->slot && w->sets[i]->fec_set_index == s->fec_set_index) {
            *ret = w->sets[i];
            return NULL;
        }
    }
    x = xcalloc(1, sizeof(*x));
    *x = (struct work_set){.slot = s->slot, .fec_set_index = s->fec_set_index, .root_is = ABSENT};
    TRY(store_get(w->l->store, CF_MERKLE_ROOT_META, key_set(x->slot, x->fec_set_index), &value,
                  &n));
    if (value) {
        TRY(root_record_decode(value, n, &x->root));
        x->root_is = CLEAN;
    }
    w->sets = xgrow(w->sets, &w->sets_cap, w->sets_n + 1, sizeof(*w->sets));
    *ret = w->sets[w->sets_n++] = TAKE(x);
    return NULL;
}

static struct err *load_erasure(struct work *w, struct work_set *x)
{
    AUTO(freep) uint8_t *value = NULL;
    size_t n;

    if (x->erasure_is != NOT_LOADED)
        return NULL;
    TRY(store_get(w->l->store, CF_ERASURE_META, key_shred(x->slot, x->fec_set_index), &value, &n));
    x->erasure_is = value ? CLEAN : ABSENT;
    return value ? erasure_record_decode(value, n, &x->erasure) : NULL;
}

/* A parent that a child's placeholder did not know is filled in. */
static struct err *slot_of(struct work *w, const struct shred *s, struct work_slot **ret)
{
    struct work_slot *x;

    for (size_t i = w->slots_n; i-- > 0;) {
        if (w->slots[i]->now.slot == s->slot) {
            *ret = w->slots[i];
            return NULL;
        }
    }
    x = xcalloc(1, sizeof(*x));
    w->slots = xgrow(w->slots, &w->slots_cap, w->slots_n + 1, sizeof(*w->slots));
    w->slots[w->slots_n++] = x; /* owned from here on, also when reading fails */
    slot_record_init(&x->now, s->slot, s->parent);
    TRY(ledger_read_slot(w->l, s->slot, &x->before, &x->existed));
    if (x->existed) {
        slot_record_copy(&x->before, &x->now);
        if (x->now.parent == LEDGER_UNKNOWN)
            x->now.parent = s->parent;
    }
    *ret = x;
    return NULL;
}

static const struct shred *just_find(const struct work *w, enum shred_type type, uint64_t slot,
                                     uint64_t index)
{
    for (size_t i = w->just_n; i-- > 0;)
        if (w->just[i].index == index && w->just[i].slot == slot && w->just[i].type == type)
            return &w->just[i];
    return NULL;
}

static void just_add(struct work *w, const struct shred *s)
{
    w->just = xgrow(w->just, &w->just_cap, w->just_n + 1, sizeof(*w->just));
    w->just[w->just_n++] = *s;
}

/* A shred of this call or of the database; *ret NULL when neither has it. */
static struct err *shred_bytes(struct work *w, enum shred_type type, uint64_t slot, uint64_t index,
                               uint8_t **ret, size_t *ret_n)
{
    const struct shred *s = just_find(w, type, slot, index);

    if (s) {
        *ret = xmemdup(s->bytes, s->bytes_b);
        *ret_n = s->bytes_b;
        return NULL;
    }
    return store_get(w->l->store, type == SHRED_DATA ? CF_DATA_SHRED : CF_CODE_SHRED,
                     key_shred(slot, index), ret, ret_n);
}

/* Two shreds of one leader that cannot both be: kept as a proof, the first one of a slot counts. */
static struct err *keep_proof(struct work *w, enum shred_type type, uint64_t index,
                              const struct shred *s)
{
    AUTO(strbuf_clear) struct strbuf value = {0};
    AUTO(freep) uint8_t *other = NULL;
    uint8_t len[8];
    size_t n = 0;
    bool known;

    TRY(store_has(w->l->store, CF_DUPLICATE_SLOTS, key_slot(s->slot), &known));
    if (known)
        return NULL;
    TRY(shred_bytes(w, type, s->slot, index, &other, &n));
    if (!other)
        return NULL;
    put_le64(len, n);
    strbuf_add(&value, len, sizeof(len));
    strbuf_add(&value, other, n);
    put_le64(len, s->bytes_b);
    strbuf_add(&value, len, sizeof(len));
    strbuf_add(&value, s->bytes, s->bytes_b);
    batch_put(w->batch, CF_DUPLICATE_SLOTS, key_slot(s->slot), value.data, value.len);
    return NULL;
}

static void root_record_of(const struct shred *s, struct root_record *ret)
{
    *ret = (struct root_record){.first_index = s->index, .first_type = s->type};
    ret->has_root = merkle_root(s, ret->root);
}

/* Does s belong to the version of its set that came first? */
static struct err *check_root(struct work *w, struct work_set *x, const struct shred *s, bool *ret)
{
    struct root_record r;

    *ret = true;
    if (x->root_is == ABSENT)
        return NULL;
    root_record_of(s, &r);
    *ret = r.has_root == x->root.has_root &&
           (!r.has_root || memcmp(r.root, x->root.root, MERKLE_ROOT_B) == 0);
    return *ret ? NULL : keep_proof(w, x->root.first_type, x->root.first_index, s);
}

static void set_root(struct work_set *x, const struct shred *s)
{
    if (x->root_is == ABSENT) {
        root_record_of(s, &x->root);
        x->root_is = DIRTY;
    }
}

static struct err *check_erasure(struct work *w, struct work_set *x, const struct shred *s,
                                 bool *ret)
{
    struct erasure_record r;

    TRY(load_erasure(w, x));
    erasure_record_of(s, &r);
    if (x->erasure_is == ABSENT) {
        x->erasure = r;
        x->erasure_is = DIRTY;
    }
    r.first_received_code = x->erasure.first_received_code;
    *ret = memcmp(&r, &x->erasure, sizeof(r)) == 0;
    return *ret ? NULL : keep_proof(w, SHRED_CODE, x->erasure.first_received_code, s);
}

static struct err *insert_code(struct work *w, const struct shred *s, size_t *count)
{
    struct work_index *index;
    struct work_set *x;
    bool fits;

    TRY(index_of(w, s->slot, &index));
    TRY(set_of(w, s, &x));
    if (shred_bits_has(&index->index.code, s->index)) {
        w->result->exists++;
        return NULL;
    }
    if (s->slot <= w->l->max_root) {
        w->result->refused++;
        return NULL;
    }
    TRY(check_root(w, x, s, &fits));
    if (fits)
        TRY(check_erasure(w, x, s, &fits));
    if (!fits) {
        w->result->refused++;
        return NULL;
    }
    batch_put(w->batch, CF_CODE_SHRED, key_shred(s->slot, s->index), s->bytes, s->bytes_b);
    shred_bits_add(&index->index.code, s->index);
    index->inserted = true;
    set_root(x, s);
    just_add(w, s);
    ++*count;
    return NULL;
}

/* Would s contradict the slot's end as it is known, or lead below the root? */
static struct err *check_place(struct work *w, const struct slot_record *r, const struct shred *s,
                               bool *ret)
{
    uint64_t proof = LEDGER_UNKNOWN;

    if (s->last_in_slot && s->index < r->received && !slot_record_full(r))
        batch_put(w->batch, CF_DEAD_SLOTS, key_slot(s->slot), "\x01", 1);
    if (r->last_index != LEDGER_UNKNOWN && s->index >= r->last_index)
        proof = r->last_index;
    else if (s->last_in_slot && s->index < r->received)
        proof = r->received - 1;
    *ret = proof == LEDGER_UNKNOWN && shred_slots_ok(s->slot, r->parent, w->l->max_root);
    return proof == LEDGER_UNKNOWN ? NULL : keep_proof(w, SHRED_DATA, proof, s);
}

static void update_slot(struct work *w, struct slot_record *r, const struct shred_bits *data,
                        const struct shred *s)
{
    uint64_t end = (uint64_t)s->index + 1;

    if (r->received == 0)
        /* When the slot's first shred would have come: 160 ticks a second. */
        r->first_ms = w->l->wall_ms() - (uint64_t)s->reference_tick * 1000 / 160;
    if (end > r->received)
        r->received = end;
    if (r->consumed == s->index)
        for (r->consumed = end; shred_bits_has(data, r->consumed);)
            r->consumed++;
    if (s->last_in_slot && r->last_index == LEDGER_UNKNOWN)
        r->last_index = s->index;
    if (s->data_complete)
        slot_record_add_completed(r, s->index);
}

static struct err *insert_data(struct work *w, const struct shred *s, size_t *count)
{
    struct work_index *index;
    struct work_slot *slot;
    struct work_set *x;
    bool fits;

    TRY(index_of(w, s->slot, &index));
    TRY(slot_of(w, s, &slot));
    TRY(set_of(w, s, &x));
    if (s->index < slot->now.consumed || shred_bits_has(&index->index.data, s->index)) {
        w->result->exists++;
        return NULL;
    }
    TRY(check_place(w, &slot->now, s, &fits));
    if (fits) {
        TRY(check_root(w, x, s, &fits));
        if (!fits) /* another version of the block: no telling which one will become whole */
            batch_put(w->batch, CF_DEAD_SLOTS, key_slot(s->slot), "\x01", 1);
    }
    if (!fits) {
        w->result->refused++;
        return NULL;
    }
    batch_put(w->batch, CF_DATA_SHRED, key_shred(s->slot, s->index), s->bytes, s->bytes_b);
    shred_bits_add(&index->index.data, s->index);
    update_slot(w, &slot->now, &index->index.data, s);
    index->inserted = slot->inserted = true;
    set_root(x, s);
    just_add(w, s);
    ++*count;
    return load_erasure(w, x);
}

/* Parses every shred of a set that is there; bytes keeps those that came from the database. */
static struct err *gather(struct work *w, const struct work_set *x, const struct shred_index *index,
                          struct shred *shreds, const struct shred **ret, struct strlist *bytes)
{
    const struct erasure_record *e = &x->erasure;

    for (size_t i = 0; i < e->num_data + e->num_code; i++) {
        bool is_data = i < e->num_data;
        enum shred_type type = is_data ? SHRED_DATA : SHRED_CODE;
        uint64_t at = is_data ? e->fec_set_index + i : e->first_code + i - e->num_data;
        AUTO(freep) uint8_t *stored = NULL;
        size_t n;

        ret[i] = NULL;
        if (!shred_bits_has(is_data ? &index->data : &index->code, at))
            continue;
        ret[i] = just_find(w, type, x->slot, at);
        if (ret[i])
            continue;
        TRY(shred_bytes(w, type, x->slot, at, &stored, &n));
        if (!stored || shred_parse(stored, n, &shreds[i]) != SHRED_OK)
            continue; /* as Agave does: it is then one of the missing */
        ret[i] = &shreds[i];
        bytes->items = xgrow(bytes->items, &bytes->cap, bytes->n + 1, sizeof(*bytes->items));
        bytes->items[bytes->n++] = (char *)TAKE(stored);
    }
    return NULL;
}

static struct err *recover(struct work *w, const struct work_set *x)
{
    const struct erasure_record *e = &x->erasure;
    const struct shred *shards[SHRED_SET_SHARDS_MAX];
    size_t missing[SHRED_SET_SHARDS_MAX], n;
    AUTO(strlist_clear) struct strlist bytes = {0};
    AUTO(freep) struct shred *parsed = xcalloc(SHRED_SET_SHARDS_MAX, sizeof(*parsed));
    uint8_t(*out)[SHRED_DATA_B];
    struct work_index *index;
    struct err *err;

    TRY(index_of(w, x->slot, &index));
    n = shred_bits_count(&index->index.data, e->fec_set_index, e->num_data);
    if (n >= e->num_data ||
        n + shred_bits_count(&index->index.code, e->first_code, e->num_code) < e->num_data)
        return NULL;
    TRY(gather(w, x, &index->index, parsed, shards, &bytes));
    out = xcalloc(e->num_data, sizeof(*out));
    w->recovered =
        xgrow(w->recovered, &w->recovered_cap, w->recovered_n + 1, sizeof(*w->recovered));
    w->recovered[w->recovered_n++] = (uint8_t *)out;
    err = ledger_recover_set(w->l, shards, e->num_data, e->num_code, out, missing, &n);
    if (err && err->kind == ERR_CORRUPT) {
        /* A leader that coded nonsense: repair has to find the data shreds. */
        err_free(err);
        return NULL;
    }
    TRY(err);
    for (size_t i = 0; i < n; i++) {
        struct shred s;

        if (shred_parse(out[i], SHRED_DATA_B, &s) == SHRED_OK)
            TRY(insert_data(w, &s, &w->result->recovered));
    }
    return NULL;
}

/* The working copy of any slot: inserted into, chained already, of the database, or a placeholder.
 */
static struct err *find_or_make(struct work *w, uint64_t slot, struct slot_record **ret)
{
    struct work_slot *x;

    for (size_t i = 0; i < w->slots_n; i++) {
        if (w->slots[i]->inserted && w->slots[i]->now.slot == slot) {
            *ret = &w->slots[i]->now;
            return NULL;
        }
    }
    for (size_t i = 0; i < w->chained_n; i++) {
        if (w->chained[i]->now.slot == slot) {
            *ret = &w->chained[i]->now;
            return NULL;
        }
    }
    x = xcalloc(1, sizeof(*x));
    w->chained = xgrow(w->chained, &w->chained_cap, w->chained_n + 1, sizeof(*w->chained));
    w->chained[w->chained_n++] = x;
    slot_record_init(&x->now, slot, LEDGER_UNKNOWN);
    TRY(ledger_read_slot(w->l, slot, &x->now, &x->existed));
    *ret = &x->now;
    return NULL;
}

static struct err *connect_children(struct work *w, const struct slot_record *parent)
{
    size_t n = parent->next_n, cap = n, at = 0;
    AUTO(freep) uint64_t *queue = xmemdup(parent->next, n * sizeof(*queue));

    while (at < n) {
        struct slot_record *r;

        TRY(find_or_make(w, queue[at++], &r));
        if (!slot_record_parent_connected(r))
            continue;
        queue = xgrow(queue, &cap, n + r->next_n, sizeof(*queue));
        for (size_t i = 0; i < r->next_n; i++)
            queue[n++] = r->next[i];
    }
    return NULL;
}

static struct err *chain(struct work *w, struct work_slot *x)
{
    bool was_orphan = x->existed && x->before.parent == LEDGER_UNKNOWN;
    struct slot_record *parent;

    if (x->now.slot != 0 && x->now.parent != LEDGER_UNKNOWN && (!x->existed || was_orphan)) {
        TRY(find_or_make(w, x->now.parent, &parent));
        slot_record_add_child(parent, x->now.slot);
        if (parent->flags & SLOT_CONNECTED)
            slot_record_parent_connected(&x->now);
        if (parent->parent == LEDGER_UNKNOWN)
            batch_put(w->batch, CF_ORPHANS, key_slot(parent->slot), "\x01", 1);
    }
    if (was_orphan)
        batch_delete(w->batch, CF_ORPHANS, key_slot(x->now.slot));
    if (!slot_record_full(&x->now) || (x->existed && x->before.consumed == x->now.consumed))
        return NULL;
    w->result->completed++;
    if (x->now.slot > w->result->highest_completed)
        w->result->highest_completed = x->now.slot;
    if (!(x->now.flags & SLOT_PARENT_CONNECTED))
        return NULL;
    x->now.flags |= SLOT_CONNECTED;
    return connect_children(w, &x->now);
}

static void commit_sets(struct work *w)
{
    for (size_t i = 0; i < w->sets_n; i++) {
        const struct work_set *x = w->sets[i];
        uint8_t value[ERASURE_RECORD_B > ROOT_RECORD_B ? ERASURE_RECORD_B : ROOT_RECORD_B];

        if (x->erasure_is == DIRTY) {
            erasure_record_encode(&x->erasure, value);
            batch_put(w->batch, CF_ERASURE_META, key_shred(x->slot, x->fec_set_index), value,
                      ERASURE_RECORD_B);
        }
        if (x->root_is == DIRTY)
            batch_put(w->batch, CF_MERKLE_ROOT_META, key_set(x->slot, x->fec_set_index), value,
                      root_record_encode(&x->root, value));
    }
}

static struct err *commit(struct work *w)
{
    for (size_t i = 0; i < w->slots_n; i++)
        if (w->slots[i]->inserted)
            TRY(chain(w, w->slots[i]));
    for (size_t i = 0; i < w->chained_n; i++)
        ledger_put_slot(w->batch, &w->chained[i]->now);
    for (size_t i = 0; i < w->slots_n; i++)
        if (w->slots[i]->inserted &&
            !(w->slots[i]->existed && slot_record_equal(&w->slots[i]->now, &w->slots[i]->before)))
            ledger_put_slot(w->batch, &w->slots[i]->now);
    commit_sets(w);
    for (size_t i = 0; i < w->indexes_n; i++) {
        AUTO(strbuf_clear) struct strbuf value = {0};

        if (!w->indexes[i]->inserted)
            continue;
        shred_index_encode(&w->indexes[i]->index, &value);
        batch_put(w->batch, CF_INDEX, key_slot(w->indexes[i]->index.slot), value.data, value.len);
    }
    return batch_write(w->batch);
}

struct err *ledger_insert(struct ledger *l, const struct shred *shreds, size_t n,
                          struct ledger_result *ret)
{
    struct ledger_result result = {0};
    AUTO(work_clear)
    struct work w = {.l = l, .result = &result, .batch = store_batch_new(l->store)};
    size_t sets;
    LEDGER_LOCK(l);

    for (size_t i = 0; i < n; i++)
        TRY(shreds[i].type == SHRED_DATA ? insert_data(&w, &shreds[i], &result.inserted)
                                         : insert_code(&w, &shreds[i], &result.inserted));
    sets = w.sets_n;
    for (size_t i = 0; i < sets; i++)
        if (w.sets[i]->erasure_is == CLEAN || w.sets[i]->erasure_is == DIRTY)
            TRY(recover(&w, w.sets[i]));
    TRY(commit(&w));
    *ret = result;
    return NULL;
}

struct err *ledger_insert_packet(struct ledger *l, const uint8_t *packet, size_t n,
                                 struct ledger_result *ret)
{
    struct shred s;

    if (shred_parse(packet, n, &s) != SHRED_OK) {
        *ret = (struct ledger_result){.refused = 1};
        return NULL;
    }
    return ledger_insert(l, &s, 1, ret);
}
