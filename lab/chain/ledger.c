/* The ledger's life, its marks (roots, dead slots, the anchor), and what others ask it. Insertion
 * is in ledger_insert.c. */
#include "lab/chain/ledger.h"

#include "base/bytes.h"
#include "lab/chain/ledger_internal.h"

pthread_mutex_t *ledger_lock(struct ledger *l)
{
    pthread_mutex_lock(&l->lock);
    return &l->lock;
}

void ledger_unlockp(pthread_mutex_t **lock)
{
    pthread_mutex_unlock(*lock);
}

static const char TRUE_VALUE[] = "\x01";

static struct err *read_max_root(struct ledger *l)
{
    AUTO(store_iter_freep) struct store_iter *i = store_iter_new(l->store, CF_ROOT);
    uint64_t slot;

    iter_last(i);
    if (iter_at(i, &slot))
        l->max_root = slot;
    return iter_error(i);
}

struct err *ledger_open(const char *dir, const struct ledger_opts *opts, struct ledger **ret)
{
    AUTO(ledger_freep) struct ledger *l = xcalloc(1, sizeof(*l));
    AUTO(freep) char *path = xasprintf("%s/rocksdb", dir);

    pthread_mutex_init(&l->lock, NULL);
    l->wall_ms = opts->wall_ms;
    TRY(reed_solomon_new(SHRED_SET_DATA, SHRED_SET_CODE, &l->codec));
    TRY(store_open(path, opts->write_buffer_b, &l->store));
    TRY(read_max_root(l));
    *ret = TAKE(l);
    return NULL;
}

void ledger_freep(struct ledger **l)
{
    if (*l) {
        store_close((*l)->store);
        reed_solomon_free((*l)->codec);
        pthread_mutex_destroy(&(*l)->lock);
    }
    free(*l);
    *l = NULL;
}

struct err *ledger_close(struct ledger *l)
{
    struct err *e = l ? store_sync(l->store) : NULL;

    ledger_freep(&l);
    return e;
}

struct err *ledger_sync(struct ledger *l)
{
    return store_sync(l->store);
}

struct err *ledger_flush(struct ledger *l)
{
    return store_flush(l->store);
}

struct err *ledger_read_slot(struct ledger *l, uint64_t slot, struct slot_record *ret,
                             bool *ret_found)
{
    AUTO(freep) uint8_t *value = NULL;
    size_t n;

    TRY(store_get(l->store, CF_META, key_slot(slot), &value, &n));
    *ret_found = value;
    if (value)
        TRY_CTX(slot_record_decode(value, n, ret), "slot %llu", (unsigned long long)slot);
    return NULL;
}

void ledger_put_slot(struct store_batch *b, const struct slot_record *r)
{
    AUTO(strbuf_clear) struct strbuf value = {0};

    slot_record_encode(r, &value);
    batch_put(b, CF_META, key_slot(r->slot), value.data, value.len);
}

/* ERR_NOTFOUND for a slot without meta. */
static struct err *need_slot(struct ledger *l, uint64_t slot, struct slot_record *ret)
{
    bool found;

    TRY(ledger_read_slot(l, slot, ret, &found));
    if (!found)
        return err_new(ERR_NOTFOUND, "the ledger has nothing of slot %llu",
                       (unsigned long long)slot);
    return NULL;
}

struct err *ledger_meta(struct ledger *l, uint64_t slot, struct ledger_meta *ret)
{
    AUTO(slot_record_clear) struct slot_record r = {0};
    struct ledger_meta m;

    TRY(need_slot(l, slot, &r));
    m = (struct ledger_meta){
        .slot = slot,
        .consumed = r.consumed,
        .received = r.received,
        .first_ms = r.first_ms,
        .last_index = r.last_index,
        .parent = r.parent,
        .children = r.next_n,
        .full = slot_record_full(&r),
        .connected = r.flags & SLOT_CONNECTED,
    };
    TRY(store_has(l->store, CF_DEAD_SLOTS, key_slot(slot), &m.dead));
    TRY(store_has(l->store, CF_ROOT, key_slot(slot), &m.root));
    *ret = m;
    return NULL;
}

struct err *ledger_children(struct ledger *l, uint64_t slot, uint64_t *ret, size_t max,
                            size_t *ret_n)
{
    AUTO(slot_record_clear) struct slot_record r = {0};
    bool found;

    TRY(ledger_read_slot(l, slot, &r, &found));
    for (size_t i = 0; i < r.next_n && i < max; i++)
        ret[i] = r.next[i];
    *ret_n = r.next_n;
    return NULL;
}

struct err *ledger_full_child(struct ledger *l, uint64_t slot, uint64_t *ret)
{
    AUTO(slot_record_clear) struct slot_record r = {0};
    uint64_t best = LEDGER_UNKNOWN;
    bool found;

    TRY(ledger_read_slot(l, slot, &r, &found));
    for (size_t i = 0; i < r.next_n; i++) {
        struct ledger_meta m;

        TRY(ledger_meta(l, r.next[i], &m));
        if (m.full && !m.dead && r.next[i] < best)
            best = r.next[i];
    }
    if (best == LEDGER_UNKNOWN)
        return err_new(ERR_NOTFOUND, "no child of slot %llu is complete", (unsigned long long)slot);
    *ret = best;
    return NULL;
}

struct err *ledger_missing(struct ledger *l, uint64_t slot, uint64_t *ret, size_t max,
                           size_t *ret_n)
{
    AUTO(slot_record_clear) struct slot_record r = {0};
    AUTO(freep) struct shred_index *index = xcalloc(1, sizeof(*index));
    AUTO(freep) uint8_t *value = NULL;
    size_t value_n, n = 0;
    uint64_t end;
    bool found;

    *ret_n = 0;
    TRY(ledger_read_slot(l, slot, &r, &found));
    if (!found)
        return NULL;
    TRY(store_get(l->store, CF_INDEX, key_slot(slot), &value, &value_n));
    if (value)
        TRY(shred_index_decode(value, value_n, index));
    end = r.last_index != LEDGER_UNKNOWN ? r.last_index + 1 : r.received;
    for (uint64_t i = r.consumed; i < end && n < max; i++)
        if (!shred_bits_has(&index->data, i))
            ret[n++] = i;
    *ret_n = n;
    return NULL;
}

struct err *ledger_orphans(struct ledger *l, uint64_t *ret, size_t max, size_t *ret_n)
{
    AUTO(store_iter_freep) struct store_iter *i = store_iter_new(l->store, CF_ORPHANS);
    uint64_t slot;
    size_t n = 0;

    for (iter_seek(i, key_slot(0)); n < max && iter_at(i, &slot); iter_next(i))
        ret[n++] = slot;
    TRY(iter_error(i));
    *ret_n = n;
    return NULL;
}

struct err *ledger_incomplete(struct ledger *l, uint64_t first, uint64_t last, uint64_t *ret,
                              size_t max, size_t *ret_n)
{
    AUTO(store_iter_freep) struct store_iter *i = store_iter_new(l->store, CF_META);
    uint64_t slot;
    size_t n = 0;

    for (iter_seek(i, key_slot(first)); n < max && iter_at(i, &slot) && slot <= last;
         iter_next(i)) {
        AUTO(slot_record_clear) struct slot_record r = {0};
        size_t value_n;
        const uint8_t *value = iter_value(i, &value_n);

        TRY_CTX(slot_record_decode(value, value_n, &r), "slot %llu", (unsigned long long)slot);
        if (r.received && !slot_record_full(&r))
            ret[n++] = slot;
    }
    TRY(iter_error(i));
    *ret_n = n;
    return NULL;
}

/* The first slot with a data shred, from where i stands, in the direction of move. */
static struct err *find_received(struct store_iter *i, void (*move)(struct store_iter *i),
                                 uint64_t *ret)
{
    uint64_t slot;

    for (; iter_at(i, &slot); move(i)) {
        size_t n;
        const uint8_t *value = iter_value(i, &n);

        if (slot != 0 && n >= 24 && get_le64(value + 16) != 0) {
            *ret = slot;
            return NULL;
        }
    }
    TRY(iter_error(i));
    return err_new(ERR_NOTFOUND, "the ledger is empty");
}

struct err *ledger_highest(struct ledger *l, uint64_t *ret)
{
    AUTO(store_iter_freep) struct store_iter *i = store_iter_new(l->store, CF_META);

    iter_last(i);
    return find_received(i, iter_prev, ret);
}

struct err *ledger_lowest(struct ledger *l, uint64_t *ret)
{
    AUTO(store_iter_freep) struct store_iter *i = store_iter_new(l->store, CF_META);

    iter_seek(i, key_slot(1));
    return find_received(i, iter_next, ret);
}

struct err *ledger_shred(struct ledger *l, enum shred_type type, uint64_t slot, uint32_t index,
                         uint8_t *buf, size_t *ret_n)
{
    AUTO(freep) uint8_t *value = NULL;
    size_t n;

    TRY(store_get(l->store, type == SHRED_DATA ? CF_DATA_SHRED : CF_CODE_SHRED,
                  key_shred(slot, index), &value, &n));
    if (!value)
        return err_new(ERR_NOTFOUND, "the ledger has no shred %u of slot %llu", index,
                       (unsigned long long)slot);
    if (n > SHRED_PACKET_B)
        return err_new(ERR_CORRUPT, "shred %u of slot %llu has %zu bytes", index,
                       (unsigned long long)slot, n);
    memcpy(buf, value, n);
    *ret_n = n;
    return NULL;
}

struct err *ledger_highest_shred(struct ledger *l, uint64_t slot, uint32_t index, uint8_t *buf,
                                 size_t *ret_n)
{
    AUTO(slot_record_clear) struct slot_record r = {0};

    TRY(need_slot(l, slot, &r));
    if (r.received == 0 || r.received > SHRED_INDEX_MAX || r.received - 1 < index)
        return err_new(ERR_NOTFOUND, "the ledger has no shred of slot %llu from %u on",
                       (unsigned long long)slot, index);
    return ledger_shred(l, SHRED_DATA, slot, (uint32_t)(r.received - 1), buf, ret_n);
}

struct err *ledger_entries(struct ledger *l, uint64_t slot, uint8_t **ret, size_t **ret_lens,
                           size_t *ret_n)
{
    AUTO(slot_record_clear) struct slot_record r = {0};
    AUTO(strbuf_clear) struct strbuf all = {0};
    AUTO(freep) size_t *lens = NULL;
    size_t n = 0, cap = 0, start = 0;

    TRY(need_slot(l, slot, &r));
    if (!slot_record_full(&r))
        return err_new(ERR_NOTFOUND, "slot %llu is not complete", (unsigned long long)slot);
    for (uint32_t i = 0; i <= r.last_index; i++) {
        uint8_t buf[SHRED_PACKET_B];
        struct shred s;
        size_t len;

        TRY(ledger_shred(l, SHRED_DATA, slot, i, buf, &len));
        if (shred_parse(buf, len, &s) != SHRED_OK || s.type != SHRED_DATA)
            return err_new(ERR_CORRUPT, "shred %u of slot %llu is none", i,
                           (unsigned long long)slot);
        strbuf_add(&all, s.payload, s.payload_b);
        if (!s.data_complete)
            continue;
        lens = xgrow(lens, &cap, n + 1, sizeof(*lens));
        lens[n++] = all.len - start;
        start = all.len;
    }
    *ret = (uint8_t *)strbuf_take(&all);
    *ret_lens = TAKE(lens);
    *ret_n = n;
    return NULL;
}

struct err *ledger_set_roots(struct ledger *l, const uint64_t *slots, size_t n)
{
    AUTO(store_batch_freep) struct store_batch *b = store_batch_new(l->store);
    uint64_t max = 0;
    LEDGER_LOCK(l);

    for (size_t i = 0; i < n; i++) {
        batch_put(b, CF_ROOT, key_slot(slots[i]), TRUE_VALUE, 1);
        if (slots[i] > max)
            max = slots[i];
    }
    TRY(batch_write(b));
    if (max > l->max_root)
        l->max_root = max;
    return NULL;
}

uint64_t ledger_max_root(const struct ledger *l)
{
    return l->max_root;
}

/* Breadth first over full descendants; each slot has one parent, so none is met twice. */
static struct err *connect_from(struct ledger *l, struct store_batch *b,
                                const struct slot_record *anchor)
{
    size_t n = anchor->next_n, cap = n, at = 0;
    AUTO(freep) uint64_t *queue = xmemdup(anchor->next, n * sizeof(*queue));

    while (at < n) {
        AUTO(slot_record_clear) struct slot_record r = {0};
        bool connected;

        TRY_CTX(need_slot(l, queue[at], &r), "child of slot %llu",
                (unsigned long long)anchor->slot);
        at++;
        connected = slot_record_parent_connected(&r);
        ledger_put_slot(b, &r);
        if (!connected)
            continue;
        queue = xgrow(queue, &cap, n + r.next_n, sizeof(*queue));
        for (size_t i = 0; i < r.next_n; i++)
            queue[n++] = r.next[i];
    }
    return NULL;
}

struct err *ledger_connect(struct ledger *l, uint64_t slot)
{
    AUTO(slot_record_clear) struct slot_record r = {0};
    AUTO(store_batch_freep) struct store_batch *b = store_batch_new(l->store);
    bool found;
    LEDGER_LOCK(l);

    slot_record_init(&r, slot, LEDGER_UNKNOWN);
    TRY(ledger_read_slot(l, slot, &r, &found));
    if (r.flags & SLOT_CONNECTED)
        return NULL;
    r.flags |= SLOT_PARENT_CONNECTED | SLOT_CONNECTED;
    ledger_put_slot(b, &r);
    TRY(connect_from(l, b, &r));
    return batch_write(b);
}

struct err *ledger_set_dead(struct ledger *l, uint64_t slot, bool dead)
{
    AUTO(store_batch_freep) struct store_batch *b = store_batch_new(l->store);

    if (dead)
        batch_put(b, CF_DEAD_SLOTS, key_slot(slot), TRUE_VALUE, 1);
    else
        batch_delete(b, CF_DEAD_SLOTS, key_slot(slot));
    return batch_write(b);
}

struct err *ledger_set_bank_hash(struct ledger *l, uint64_t slot, const uint8_t hash[static 32])
{
    AUTO(store_batch_freep) struct store_batch *b = store_batch_new(l->store);
    uint8_t value[37] = {0}; /* enum tag, hash, not confirmed as a duplicate */

    memcpy(value + 4, hash, 32);
    batch_put(b, CF_BANK_HASHES, key_slot(slot), value, sizeof(value));
    return batch_write(b);
}

/* Every family whose keys begin with a slot, from first to before end, as purge_range does it. */
static void delete_slots(struct store_batch *b, uint64_t first, uint64_t end)
{
    static const enum ledger_cf by_slot[] = {
        CF_META,         CF_BANK_HASHES,     CF_ROOT,    CF_DEAD_SLOTS, CF_DUPLICATE_SLOTS,
        CF_ORPHANS,      CF_INDEX,           CF_REWARDS, CF_BLOCKTIME,  CF_PERF_SAMPLES,
        CF_BLOCK_HEIGHT, CF_OPTIMISTIC_SLOTS};
    static const enum ledger_cf by_shred[] = {CF_DATA_SHRED, CF_CODE_SHRED, CF_ERASURE_META};

    for (size_t i = 0; i < ARRAY_LEN(by_slot); i++)
        batch_delete_range(b, by_slot[i], key_slot(first), key_slot(end));
    for (size_t i = 0; i < ARRAY_LEN(by_shred); i++)
        batch_delete_range(b, by_shred[i], key_shred(first, 0), key_shred(end, 0));
    batch_delete_range(b, CF_MERKLE_ROOT_META, key_set(first, 0), key_set(end, 0));
}

struct err *ledger_purge_below(struct ledger *l, uint64_t first)
{
    AUTO(store_batch_freep) struct store_batch *b = store_batch_new(l->store);
    LEDGER_LOCK(l);

    delete_slots(b, 0, first);
    return batch_write(b);
}

struct err *ledger_clear_slot(struct ledger *l, uint64_t slot)
{
    AUTO(slot_record_clear) struct slot_record r = {0}, parent = {0}, fresh = {0};
    AUTO(store_batch_freep) struct store_batch *b = store_batch_new(l->store);
    bool found = false;
    LEDGER_LOCK(l);

    TRY(need_slot(l, slot, &r));
    delete_slots(b, slot, slot + 1);
    if (r.parent != LEDGER_UNKNOWN)
        TRY(ledger_read_slot(l, r.parent, &parent, &found));
    if (found) {
        slot_record_remove_child(&parent, slot);
        ledger_put_slot(b, &parent);
    }
    slot_record_init(&fresh, slot, LEDGER_UNKNOWN);
    for (size_t i = 0; i < r.next_n; i++)
        slot_record_add_child(&fresh, r.next[i]);
    ledger_put_slot(b, &fresh);
    return batch_write(b);
}

struct err *ledger_data_shreds(struct ledger *l, uint64_t *ret)
{
    AUTO(store_iter_freep) struct store_iter *i = store_iter_new(l->store, CF_INDEX);
    uint64_t slot, total = 0;

    for (iter_seek(i, key_slot(0)); iter_at(i, &slot); iter_next(i)) {
        size_t n;
        const uint8_t *value = iter_value(i, &n);

        if (n >= 8 + 8 + SHRED_INDEX_B + 8)
            total += get_le64(value + 8 + 8 + SHRED_INDEX_B);
    }
    TRY(iter_error(i));
    *ret = total;
    return NULL;
}
