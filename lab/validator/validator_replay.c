/* Replay: complete slots whose parent is replayed, at most five times as fast as the cluster makes
 * them; roots 32 blocks below the tip, snapshots at the intervals, cleanup by the limit. Ticks are
 * checked (proof of history), transactions there are none. */
#include "lab/validator/validator.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "io/clock.h"
#include "lab/chain/entries.h"
#include "lab/node/snapshot_maker.h"

#define SPEED         5
#define CHILDREN_MAX  8
#define ROOTS_MAX     512
#define PURGE_EVERY   512 /* roots between two looks at the ledger's size */
#define SHREDS_A_SLOT 64

/* Checks the entries of a block on its parent's hash; *hash becomes the block's. */
static struct err *check_block(struct validator *v, uint64_t slot, const struct bank *parent,
                               uint8_t hash[32])
{
    AUTO(freep) uint8_t *data = NULL;
    AUTO(freep) size_t *lens = NULL;
    size_t n = 0, at = 0;
    uint64_t ticks = 0;
    bool known = parent->hash_known;

    memcpy(hash, parent->hash, 32);
    TRY(ledger_entries(v->ledger, slot, &data, &lens, &n));
    for (size_t i = 0; i < n; at += lens[i++]) {
        if (known)
            TRY(entries_check(data + at, lens[i], hash, &ticks));
        /* After a snapshot nobody knows where the first block begins: take its word. */
        if (!known && lens[i] >= ENTRIES_TICK_B)
            memcpy(hash, data + at + lens[i] - 40, 32);
        known = true;
    }
    return NULL;
}

static void log_frozen(struct validator *v, const struct bank *b, uint64_t took_us)
{
    uint8_t bank_hash[32], slot[8];
    struct sha256_part parts[] = {{slot, 8}, {b->hash, 32}};
    char hash[BASE58_32_MAX], last[BASE58_32_MAX];
    unsigned long long s = b->slot;

    put_le64(slot, b->slot);
    sha256(parts, ARRAY_LEN(parts), bank_hash);
    base58_encode32(bank_hash, hash);
    base58_encode32(b->hash, last);
    agave_log_info(v->log, "solana_runtime::bank",
                   "bank frozen: %llu hash: %s signature_count: 1 last_blockhash: %s "
                   "capitalization: 503000512301814213, accounts_lt_hash checksum: %s",
                   s, hash, last, hash);
    agave_log_point(v->log, "bank_frozen slot=%llui hash=\"%s\"", s, hash);
    agave_log_point(v->log,
                    "replay-slot-stats slot=%llui replay_total_elapsed=%llui total_transactions=1i "
                    "total_entries=64i total_shreds=%di",
                    s, (unsigned long long)took_us, SHREDS_A_SLOT);
    pthread_mutex_lock(&v->write_lock);
    err_free(
        ledger_set_bank_hash(v->ledger, b->slot, bank_hash)); /* insert reports a sick ledger */
    pthread_mutex_unlock(&v->write_lock);
}

static void mark_dead(struct validator *v, uint64_t slot, const char *why)
{
    agave_log_error(v->log, "solana_core::replay_stage", "Slot %llu dead: %s",
                    (unsigned long long)slot, why);
    pthread_mutex_lock(&v->write_lock);
    err_free(ledger_set_dead(v->ledger, slot, true)); /* as above */
    pthread_mutex_unlock(&v->write_lock);
}

static void replay(struct validator *v, uint64_t slot, const struct bank *parent)
{
    struct bank child = {.slot = slot, .parent = parent->slot, .hash_known = true};
    uint64_t start = clock_system.mono_ns();
    AUTO(err_freep) struct err *e = check_block(v, slot, parent, child.hash);

    if (e) {
        mark_dead(v, slot, e->text);
        return;
    }
    pthread_mutex_lock(&v->lock);
    if (banks_add(v->banks, &child))
        v->tx_count++;
    pthread_mutex_unlock(&v->lock);
    log_frozen(v, &child, (clock_system.mono_ns() - start) / 1000);
}

/* The lowest full child of a replayed bank that is not replayed; *parent is a copy. */
static bool find_next(struct validator *v, struct bank *parent, uint64_t *ret)
{
    /* Only this thread changes the forest: reading it needs no lock here. */
    bool some = false;

    for (size_t i = 0; i < banks_n(v->banks); i++) {
        const struct bank *b = banks_at(v->banks, i);
        uint64_t children[CHILDREN_MAX];
        size_t n = 0;
        AUTO(err_freep)
        struct err *e = ledger_children(v->ledger, b->slot, children, CHILDREN_MAX, &n);

        for (size_t k = 0; !e && k < n && k < CHILDREN_MAX; k++) {
            struct ledger_meta meta;
            AUTO(err_freep) struct err *e2 = NULL;

            if (banks_find(v->banks, children[k]) || (some && children[k] >= *ret))
                continue;
            e2 = ledger_meta(v->ledger, children[k], &meta);
            if (e2 || !meta.full || meta.dead)
                continue;
            some = true;
            *ret = children[k];
            *parent = *b;
        }
    }
    return some;
}

bool validator_replay_one(struct validator *v)
{
    struct bank parent;
    uint64_t slot;

    if (!find_next(v, &parent, &slot))
        return false;
    replay(v, slot, &parent);
    return true;
}

static void put_file(const char *dir, const char *name, const void *data, size_t n)
{
    AUTO(freep) char *path = xasprintf("%s/%s", dir, name);
    AUTO(closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd >= 0)
        (void)!write(fd, data, n); /* only the archives are loaded again */
}

static void remove_dir(const char *dir)
{
    static const char *const names[] = {"status_cache", "version", "state_complete",
                                        "full_snapshot_slot"};
    const char *slot = strrchr(dir, '/') + 1;

    for (size_t i = 0; i <= ARRAY_LEN(names); i++) {
        AUTO(freep) char *path = xasprintf("%s/%s", dir, i < ARRAY_LEN(names) ? names[i] : slot);

        unlink(path);
    }
    rmdir(dir);
}

/* DIR/snapshots/<slot>/ of the newest snapshot only, as Agave keeps it. */
static void write_bank_dir(struct validator *v, uint64_t slot)
{
    AUTO(freep)
    char *old =
        xasprintf("%s/snapshots/%llu", v->o.snapshots, (unsigned long long)v->last_snapshot);
    AUTO(freep)
    char *dir = xasprintf("%s/snapshots/%llu", v->o.snapshots, (unsigned long long)slot);
    AUTO(freep) char *name = xasprintf("%llu", (unsigned long long)slot);
    uint8_t full[8];

    remove_dir(old);
    if (mkdir(dir, 0755) < 0)
        return;
    put_le64(full, v->full_slot);
    put_file(dir, name, full, sizeof(full));
    put_file(dir, "status_cache", "", 0);
    put_file(dir, "version", "1.2.0", 5);
    put_file(dir, "full_snapshot_slot", full, sizeof(full));
    put_file(dir, "state_complete", "", 0);
}

static void write_snapshot(struct validator *v, uint64_t slot, bool full)
{
    struct snapshot_maker_spec spec = {.seed = 1, .slot = slot, .base = full ? 0 : v->full_slot};
    AUTO(freep) char *name = NULL;
    uint64_t start = clock_system.mono_ns();
    AUTO(err_freep) struct err *e = snapshot_maker_write(v->o.snapshots, &spec, &name);

    if (e) {
        agave_log_error(v->log, "solana_core::snapshot_packager_service",
                        "failed to archive snapshot package: %s", e->text);
        return;
    }
    if (full)
        v->full_slot = slot;
    write_bank_dir(v, slot);
    v->last_snapshot = slot;
    agave_log_point(v->log,
                    "archive-snapshot-package slot=%llui archive_format=\"TarZstd\" "
                    "duration_ms=%llui",
                    (unsigned long long)slot,
                    (unsigned long long)(clock_system.mono_ns() - start) / 1000000);
    archives_purge(v->o.snapshots, (unsigned)v->o.keep_full, (unsigned)v->o.keep_incremental);
}

static void snapshot_if_due(struct validator *v, uint64_t root)
{
    bool full = root / v->o.full_interval > v->full_slot / v->o.full_interval;

    if (v->o.no_snapshots || !v->o.interval ||
        root / v->o.interval <= v->last_snapshot / v->o.interval ||
        (!full && (v->o.no_incremental || !v->full_slot)))
        return;
    write_snapshot(v, root, full);
}

/* Roughly what Agave's cleanup does: above the limit the oldest tenth goes. */
static void purge_if_due(struct validator *v, uint64_t root)
{
    uint64_t shreds = 0, lowest = 0;
    AUTO(err_freep) struct err *e = NULL;

    if (!v->o.limit_shreds || root % PURGE_EVERY)
        return;
    e = ledger_data_shreds(v->ledger, &shreds);
    if (e || shreds <= v->o.limit_shreds)
        return;
    e = ledger_lowest(v->ledger, &lowest);
    if (e || lowest >= root)
        return;
    pthread_mutex_lock(&v->write_lock);
    e = ledger_purge_below(v->ledger, lowest + (root - lowest) / 10 + 1);
    pthread_mutex_unlock(&v->write_lock);
}

static void advance_root(struct validator *v)
{
    uint64_t roots[ROOTS_MAX], root;
    AUTO(err_freep) struct err *e = NULL;
    size_t n;

    pthread_mutex_lock(&v->lock);
    n = banks_advance_root(v->banks, roots, ROOTS_MAX);
    root = banks_root(v->banks)->slot;
    pthread_mutex_unlock(&v->lock);
    if (!n)
        return;
    pthread_mutex_lock(&v->write_lock);
    e = ledger_set_roots(v->ledger, roots, n);
    pthread_mutex_unlock(&v->write_lock);
    if (e)
        agave_log_error(v->log, "solana_core::replay_stage", "cannot set roots: %s", e->text);
    for (size_t i = 0; i < n; i++)
        agave_log_point(v->log,
                        "slot_stats_tracking_complete slot=%llui is_full=true is_rooted=true "
                        "is_dead=false",
                        (unsigned long long)roots[i]);
    agave_log_point(v->log, "bank-forks_set_root elapsed_ms=0i slot=%llui total_banks=%zui",
                    (unsigned long long)root, banks_n(v->banks));
    agave_log_point(v->log, "optimistic_slot slot=%llui",
                    (unsigned long long)banks_confirmed(v->banks)->slot);
    snapshot_if_due(v, root);
    purge_if_due(v, root);
}

void *validator_replay(void *arg)
{
    struct validator *v = arg;
    uint64_t next_ns = 0;
    unsigned long seen = 0;
    bool idle = false; /* nothing was left to replay when seen was read */

    for (;;) {
        uint64_t slot_ns = validator_slot_ns(v), now = clock_system.mono_ns();
        unsigned long completed = atomic_load(&v->completed);

        if (now >= next_ns && (!idle || completed != seen)) {
            seen = completed;
            idle = !validator_replay_one(v);
            next_ns = idle ? 0 : now + slot_ns / SPEED;
            if (!idle)
                advance_root(v);
        }
        if (validator_rest(v, slot_ns / SPEED / 2000000 + 1))
            return NULL;
    }
}
