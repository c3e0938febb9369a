/* RocksDB as Agave 3.0.14 sets it up (solana-ledger `blockstore_db.rs`, get_cf_options), as far as
 * it shows in the files: no compression, large write buffers, the WAL. No compaction filters: they
 * only concern transactions, of which the lab has none. */
#include "lab/chain/ledger_store.h"

#include "base/bytes.h"
#include "base/str.h"

#define WRITE_BUFFER_B (256ULL << 20)
#define WAL_MAX_B      (4ULL << 30)
#define CF_MAX         64

const char *const ledger_cf_names[CF_N] = {
    [CF_META] = "meta",
    [CF_DEAD_SLOTS] = "dead_slots",
    [CF_DUPLICATE_SLOTS] = "duplicate_slots",
    [CF_ERASURE_META] = "erasure_meta",
    [CF_ORPHANS] = "orphans",
    [CF_BANK_HASHES] = "bank_hashes",
    [CF_ROOT] = "root",
    [CF_INDEX] = "index",
    [CF_DATA_SHRED] = "data_shred",
    [CF_CODE_SHRED] = "code_shred",
    [CF_TRANSACTION_STATUS] = "transaction_status",
    [CF_ADDRESS_SIGNATURES] = "address_signatures",
    [CF_TRANSACTION_MEMOS] = "transaction_memos",
    [CF_TRANSACTION_STATUS_INDEX] = "transaction_status_index",
    [CF_REWARDS] = "rewards",
    [CF_BLOCKTIME] = "blocktime",
    [CF_PERF_SAMPLES] = "perf_samples",
    [CF_BLOCK_HEIGHT] = "block_height",
    [CF_OPTIMISTIC_SLOTS] = "optimistic_slots",
    [CF_MERKLE_ROOT_META] = "merkle_root_meta",
};

struct store {
    struct rocksdb_api *a;
    struct rdb_db *db;
    struct rdb_read *read;
    struct rdb_write *write;
    struct rdb_cf *cfs[CF_MAX]; /* the first CF_N are ours, in order */
    size_t cfs_n;
};

struct store_batch {
    struct store *s;
    struct rdb_batch *b;
};

struct store_iter {
    struct store *s;
    struct rdb_iter *i;
};

struct store_key key_slot(uint64_t slot)
{
    struct store_key k = {.n = 8};

    put_be64(k.bytes, slot);
    return k;
}

struct store_key key_shred(uint64_t slot, uint64_t index)
{
    struct store_key k = {.n = 16};

    put_be64(k.bytes, slot);
    put_be64(k.bytes + 8, index);
    return k;
}

struct store_key key_set(uint64_t slot, uint32_t fec_set_index)
{
    struct store_key k = {.n = 12};

    put_be64(k.bytes, slot);
    put_be32(k.bytes + 8, fec_set_index);
    return k;
}

/* Our names, "default", and whatever else the database has: RocksDB opens all or nothing. */
static void names_of(const struct rocksdb_api *a, const struct rdb_options *o, const char *dir,
                     struct strlist *ret)
{
    char *err = NULL;
    size_t n = 0;
    char **found;

    for (size_t i = 0; i < CF_N; i++)
        strlist_add(ret, ledger_cf_names[i]);
    strlist_add(ret, "default");
    found = a->list_column_families(o, dir, &n, &err);
    if (err)
        /* A new database has none to list; a damaged one fails to open, with its reason. */
        a->free(err);
    for (size_t i = 0; i < n && ret->n < CF_MAX; i++)
        if (!strlist_has(ret, found[i]))
            strlist_add(ret, found[i]);
    a->list_column_families_destroy(found, n);
}

static struct rdb_options *options_new(const struct rocksdb_api *a, uint64_t write_buffer_b)
{
    struct rdb_options *o = a->options_create();

    a->options_set_create_if_missing(o, 1);
    a->options_set_create_missing_column_families(o, 1);
    a->options_set_compression(o, RDB_NO_COMPRESSION);
    a->options_set_write_buffer_size(o, write_buffer_b ? write_buffer_b : WRITE_BUFFER_B);
    a->options_set_level0_file_num_compaction_trigger(o, 4);
    a->options_set_max_total_wal_size(o, WAL_MAX_B);
    a->options_set_max_log_file_size(o, 50 << 20);
    a->options_set_keep_log_file_num(o, 10);
    return o;
}

static struct err *open_db(struct store *s, const char *dir, struct rdb_options *o)
{
    const struct rdb_options *all[CF_MAX];
    AUTO(strlist_clear) struct strlist names = {0};
    char *err = NULL;

    names_of(s->a, o, dir, &names);
    for (size_t i = 0; i < names.n; i++)
        all[i] = o;
    s->db = s->a->open_column_families(o, dir, (int)names.n, (const char *const *)names.items, all,
                                       s->cfs, &err);
    if (err) {
        enum err_kind kind = strstr(err, "lock") ? ERR_REFUSED : ERR_CORRUPT;

        return rocksdb_api_fail(s->a, kind, err, "cannot open '%s'", dir);
    }
    s->cfs_n = names.n;
    return NULL;
}

struct err *store_open(const char *dir, uint64_t write_buffer_b, struct store **ret)
{
    AUTO(store_closep) struct store *s = xcalloc(1, sizeof(*s));
    struct rdb_options *o;
    struct err *e;

    TRY(rocksdb_api_open(&s->a));
    s->read = s->a->readoptions_create();
    s->write = s->a->writeoptions_create();
    o = options_new(s->a, write_buffer_b);
    e = open_db(s, dir, o);
    s->a->options_destroy(o);
    TRY(e);
    *ret = TAKE(s);
    return NULL;
}

struct store *store_close(struct store *s)
{
    if (!s)
        return NULL;
    for (size_t i = 0; i < s->cfs_n; i++)
        s->a->column_family_handle_destroy(s->cfs[i]);
    if (s->db)
        s->a->close(s->db);
    if (s->read)
        s->a->readoptions_destroy(s->read);
    if (s->write)
        s->a->writeoptions_destroy(s->write);
    rocksdb_api_close(s->a);
    free(s);
    return NULL;
}

void store_closep(struct store **s)
{
    *s = store_close(*s);
}

struct err *store_sync(struct store *s)
{
    char *err = NULL;

    s->a->flush_wal(s->db, 1, &err);
    return rocksdb_api_fail(s->a, ERR_SYS, err, "cannot sync the ledger's WAL");
}

struct err *store_flush(struct store *s)
{
    struct rdb_flush *f = s->a->flushoptions_create();
    char *err = NULL;

    s->a->flushoptions_set_wait(f, 1);
    for (size_t i = 0; i < s->cfs_n && !err; i++)
        s->a->flush_cf(s->db, f, s->cfs[i], &err);
    s->a->flushoptions_destroy(f);
    return rocksdb_api_fail(s->a, ERR_SYS, err, "cannot flush the ledger");
}

struct err *store_get(struct store *s, enum ledger_cf cf, struct store_key key, uint8_t **ret,
                      size_t *ret_n)
{
    char *err = NULL;
    size_t n = 0;
    char *v = s->a->get_cf(s->db, s->read, s->cfs[cf], key.bytes, key.n, &n, &err);

    TRY(rocksdb_api_fail(s->a, ERR_CORRUPT, err, "cannot read '%s'", ledger_cf_names[cf]));
    *ret = v ? xmemdup(v, n) : NULL;
    *ret_n = n;
    if (v)
        s->a->free(v);
    return NULL;
}

struct err *store_has(struct store *s, enum ledger_cf cf, struct store_key key, bool *ret)
{
    AUTO(freep) uint8_t *v = NULL;
    size_t n;

    TRY(store_get(s, cf, key, &v, &n));
    *ret = v;
    return NULL;
}

struct store_batch *store_batch_new(struct store *s)
{
    struct store_batch *b = xmalloc(sizeof(*b));

    *b = (struct store_batch){.s = s, .b = s->a->writebatch_create()};
    return b;
}

void store_batch_freep(struct store_batch **b)
{
    if (*b)
        (*b)->s->a->writebatch_destroy((*b)->b);
    free(*b);
    *b = NULL;
}

void batch_put(struct store_batch *b, enum ledger_cf cf, struct store_key key, const void *value,
               size_t n)
{
    b->s->a->writebatch_put_cf(b->b, b->s->cfs[cf], key.bytes, key.n, value, n);
}

void batch_delete(struct store_batch *b, enum ledger_cf cf, struct store_key key)
{
    b->s->a->writebatch_delete_cf(b->b, b->s->cfs[cf], key.bytes, key.n);
}

void batch_delete_range(struct store_batch *b, enum ledger_cf cf, struct store_key from,
                        struct store_key to)
{
    b->s->a->writebatch_delete_range_cf(b->b, b->s->cfs[cf], from.bytes, from.n, to.bytes, to.n);
}

struct err *batch_write(struct store_batch *b)
{
    char *err = NULL;

    b->s->a->write(b->s->db, b->s->write, b->b, &err);
    return rocksdb_api_fail(b->s->a, ERR_SYS, err, "cannot write to the ledger");
}

struct store_iter *store_iter_new(struct store *s, enum ledger_cf cf)
{
    struct store_iter *i = xmalloc(sizeof(*i));

    *i = (struct store_iter){.s = s, .i = s->a->create_iterator_cf(s->db, s->read, s->cfs[cf])};
    return i;
}

void store_iter_freep(struct store_iter **i)
{
    if (*i)
        (*i)->s->a->iter_destroy((*i)->i);
    free(*i);
    *i = NULL;
}

void iter_seek(struct store_iter *i, struct store_key key)
{
    i->s->a->iter_seek(i->i, key.bytes, key.n);
}

void iter_last(struct store_iter *i)
{
    i->s->a->iter_seek_to_last(i->i);
}

void iter_next(struct store_iter *i)
{
    i->s->a->iter_next(i->i);
}

void iter_prev(struct store_iter *i)
{
    i->s->a->iter_prev(i->i);
}

bool iter_at(struct store_iter *i, uint64_t *ret_slot)
{
    size_t n;
    const uint8_t *key;

    if (!i->s->a->iter_valid(i->i))
        return false;
    key = iter_key(i, &n);
    *ret_slot = n >= 8 ? get_be64(key) : 0;
    return true;
}

const uint8_t *iter_key(struct store_iter *i, size_t *ret_n)
{
    return (const uint8_t *)i->s->a->iter_key(i->i, ret_n);
}

const uint8_t *iter_value(struct store_iter *i, size_t *ret_n)
{
    return (const uint8_t *)i->s->a->iter_value(i->i, ret_n);
}

struct err *iter_error(struct store_iter *i)
{
    char *err = NULL;

    i->s->a->iter_get_error(i->i, &err);
    return rocksdb_api_fail(i->s->a, ERR_CORRUPT, err, "cannot read the ledger");
}
