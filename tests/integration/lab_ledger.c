/* For test_lab_ledger.py: makes a ledger of the lab, or puts a real ledger's shreds into one and
 * compares what comes of them.
 * usage: lab_ledger make DIR GENESIS_HASH (64 hex digits: proof of history begins with it)
 *        lab_ledger copy REAL_DIR NEW_DIR (a copy of a real ledger: it is opened for writing) */
#include "base/bytes.h"
#include "base/str.h"
#include "io/clock.h"
#include "lab/chain/ledger.h"
#include "lab/chain/ledger_store.h"
#include "lab/chain/ledger_values.h"
#include "lab/chain/shredder.h"

#define LAST_SLOT 40

/* Slots 0 to 40 with what a live ledger has: 5 skipped, 12 a fork off 10, 30 broken, 35 dead. */
static uint64_t parent_of(uint64_t slot)
{
    if (slot == 6)
        return 4;
    if (slot == 12 || slot == 13)
        return slot == 12 ? 10 : 11;
    return slot ? slot - 1 : 0;
}

static struct err *put_block(struct ledger *l, const struct block *b, uint32_t n_data,
                             uint32_t n_code)
{
    AUTO(freep) struct shred *shreds = xcalloc(n_data + n_code, sizeof(*shreds));
    struct ledger_result r;

    for (uint32_t i = 0; i < n_data + n_code; i++) {
        enum shred_type type = i < n_data ? SHRED_DATA : SHRED_CODE;
        const uint8_t *p = block_shred(b, type, i < n_data ? i : i - n_data);

        if (shred_parse(p, type == SHRED_DATA ? SHRED_DATA_B : SHRED_CODE_B, &shreds[i]) !=
            SHRED_OK)
            return err_new(ERR_BUG, "the shredder made no shred");
    }
    return ledger_insert(l, shreds, n_data + n_code, &r);
}

static struct err *mark(struct ledger *l)
{
    uint64_t roots[16];
    size_t n = 0;

    for (uint64_t slot = 0; slot <= 11; slot++)
        if (slot != 5)
            roots[n++] = slot;
    TRY(ledger_set_roots(l, roots, n));
    for (size_t i = 0; i < n; i++)
        TRY(ledger_set_bank_hash(l, roots[i], (const uint8_t[32]){(uint8_t)roots[i], 1}));
    return ledger_set_dead(l, 35, true);
}

static struct err *parse_hash(const char *text, uint8_t ret[static 32])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < 64; i++) {
        const char *at = text[i] ? strchr(digits, text[i]) : NULL;

        if (!at)
            return err_new(ERR_BADINPUT, "'%s' is not a hash of 64 hex digits", text);
        ret[i / 2] = (uint8_t)(ret[i / 2] << 4 | (at - digits));
    }
    return NULL;
}

static struct err *make(const char *dir, const char *genesis_hash)
{
    AUTO(ledger_freep) struct ledger *l = NULL;
    const struct ledger_opts opts = {.wall_ms = clock_system.wall_ms};
    struct shredder_opts shredder = {.version = 34608};
    struct block_link links[LAST_SLOT + 1];

    shredder_leader_from_seed(1, &shredder.leader);
    links[0] = (struct block_link){0};
    TRY(parse_hash(genesis_hash, links[0].hash));
    TRY(ledger_open(dir, &opts, &l));
    for (uint64_t slot = 0; slot <= LAST_SLOT; slot++) {
        AUTO(block_clear) struct block b = {0};

        if (slot == 5)
            continue;
        shredder.sets = slot % 3 + 1;
        TRY(block_make(&shredder, slot, parent_of(slot), &links[parent_of(slot)], &b));
        links[slot] = b.link;
        /* Even slots as a leader sent them, odd ones half lost and recovered. */
        if (slot == 30)
            TRY(put_block(l, &b, 20, 5));
        else
            TRY(put_block(l, &b, slot % 2 ? 32 * (uint32_t)b.n - 7 : 32 * (uint32_t)b.n,
                          32 * (uint32_t)b.n));
    }
    TRY(mark(l));
    TRY(ledger_flush(l));
    return ledger_close(TAKE(l));
}

#define AT_ONCE 64

struct pending {
    uint8_t bytes[AT_ONCE][SHRED_PACKET_B];
    struct shred shreds[AT_ONCE];
    size_t n;
    uint64_t refused;
};

static struct err *put_pending(struct ledger *l, struct pending *p)
{
    struct ledger_result r;

    TRY(ledger_insert(l, p->shreds, p->n, &r));
    p->refused += r.refused;
    p->n = 0;
    return NULL;
}

/* Every shred of the real ledger's family, in the order of its keys. */
static struct err *copy_shreds(struct store *real, enum ledger_cf cf, struct ledger *l)
{
    AUTO(store_iter_freep) struct store_iter *i = store_iter_new(real, cf);
    AUTO(freep) struct pending *p = xcalloc(1, sizeof(*p));
    uint64_t slot;

    for (iter_seek(i, key_slot(0)); iter_at(i, &slot); iter_next(i)) {
        size_t n;
        const uint8_t *value = iter_value(i, &n);

        if (n > SHRED_PACKET_B)
            return err_new(ERR_CORRUPT, "a shred of %zu bytes", n);
        memcpy(p->bytes[p->n], value, n);
        if (shred_parse(p->bytes[p->n], n, &p->shreds[p->n]) != SHRED_OK)
            return err_new(ERR_CORRUPT, "slot %llu has a shred that is none",
                           (unsigned long long)slot);
        if (++p->n == AT_ONCE)
            TRY(put_pending(l, p));
    }
    TRY(put_pending(l, p));
    TRY(iter_error(i));
    printf("%s refused %llu\n", ledger_cf_names[cf], (unsigned long long)p->refused);
    return NULL;
}

/* What the order in which shreds came decides is no part of the comparison: the time of the first
 * one, the order of children, which code shred of a set was first. */
static void forget_order(enum ledger_cf cf, uint8_t *value, size_t n)
{
    if (cf == CF_META && n >= 57) {
        memset(value + 24, 0, 8);
        value[56 + 8 * get_le64(value + 48)] = 0;
    }
    if (cf == CF_ERASURE_META && n == ERASURE_RECORD_B)
        memset(value + 16, 0, 8);
    if (cf == CF_MERKLE_ROOT_META && n == ROOT_RECORD_B)
        memset(value + 33, 0, 5);
}

static struct err *compare(struct store *real, struct store *copy, enum ledger_cf cf)
{
    AUTO(store_iter_freep) struct store_iter *i = store_iter_new(real, cf);
    uint64_t slot, same = 0, other = 0;

    for (iter_seek(i, key_slot(0)); iter_at(i, &slot); iter_next(i)) {
        size_t n, key_n, copy_n;
        AUTO(freep) uint8_t *got = NULL, *want = NULL;
        struct store_key key;
        const uint8_t *value = iter_value(i, &n), *raw = iter_key(i, &key_n);

        key.n = key_n < sizeof(key.bytes) ? key_n : sizeof(key.bytes);
        memcpy(key.bytes, raw, key.n);
        want = xmemdup(value, n);
        TRY(store_get(copy, cf, key, &got, &copy_n));
        forget_order(cf, want, n);
        if (got)
            forget_order(cf, got, copy_n);
        if (got && copy_n == n && memcmp(got, want, n) == 0)
            same++;
        else if (other++ < 3)
            printf("# %s of slot %llu differs\n", ledger_cf_names[cf], (unsigned long long)slot);
    }
    printf("%s same %llu other %llu\n", ledger_cf_names[cf], (unsigned long long)same,
           (unsigned long long)other);
    return iter_error(i);
}

static struct err *copy(const char *real_dir, const char *dir)
{
    static const enum ledger_cf families[] = {CF_META,       CF_INDEX,        CF_DATA_SHRED,
                                              CF_CODE_SHRED, CF_ERASURE_META, CF_MERKLE_ROOT_META};
    AUTO(freep) char *real_path = xasprintf("%s/rocksdb", real_dir);
    AUTO(freep) char *path = xasprintf("%s/rocksdb", dir);
    AUTO(store_closep) struct store *real = NULL, *made = NULL;
    AUTO(ledger_freep) struct ledger *l = NULL;
    const struct ledger_opts opts = {.wall_ms = clock_system.wall_ms};

    TRY(store_open(real_path, 0, &real));
    TRY(ledger_open(dir, &opts, &l));
    TRY(copy_shreds(real, CF_DATA_SHRED, l));
    TRY(copy_shreds(real, CF_CODE_SHRED, l));
    TRY(ledger_close(TAKE(l)));
    TRY(store_open(path, 0, &made));
    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        TRY(compare(real, made, families[i]));
    return NULL;
}

int main(int argc, char **argv)
{
    AUTO(err_freep) struct err *e = NULL;

    if (argc == 4 && str_eq(argv[1], "make"))
        e = make(argv[2], argv[3]);
    else if (argc == 4 && str_eq(argv[1], "copy"))
        e = copy(argv[2], argv[3]);
    else
        e = err_new(ERR_BADINPUT, "usage: lab_ledger make DIR HASH | lab_ledger copy REAL NEW");
    if (e)
        fprintf(stderr, "lab_ledger: %s\n", e->text);
    return err_exit_code(e);
}
