/* The start, in Agave's order and with its log lines: lock, admin socket, sockets, genesis,
 * snapshots, accounts, blockstore, bank. A wrong archive ends it; there is no fall-back. */
#include "lab/validator/validator.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "io/clock.h"
#include "io/fsroot.h"
#include "io/lock.h"
#include "solana/keypair.h"
#include "solana/snapshot_archive.h"

#define UNPACK_B_PER_S (1000ull << 20) /* of a fast machine; the time that loading takes */

static struct err *make_dir(const char *path)
{
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return err_sys(errno, "cannot make '%s'", path);
    return NULL;
}

static void empty_dir(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *entry;

    while (d && (entry = readdir(d)))
        unlinkat(dirfd(d), entry->d_name, 0); /* "." and folders refuse */
    if (d)
        closedir(d);
}

/* run/ starts empty; unlike Agave nothing else in the folder is deleted. */
static struct err *clean_accounts(struct validator *v)
{
    agave_log_info(v->log, "solana_core::validator", "Cleaning accounts paths..");
    for (size_t i = 0; i < v->o.accounts.n; i++) {
        AUTO(freep) char *run = xasprintf("%s/run", v->o.accounts.items[i]);
        AUTO(freep) char *snapshot = xasprintf("%s/snapshot", v->o.accounts.items[i]);

        TRY(make_dir(v->o.accounts.items[i]));
        TRY(make_dir(run));
        TRY(make_dir(snapshot));
        empty_dir(run);
    }
    agave_log_info(v->log, "solana_core::validator", "Cleaning accounts paths done.");
    return NULL;
}

/* The accounts take their room: a RAM disk that is too small is found here, as with Agave. */
static struct err *unpack_accounts(struct validator *v, const struct snapcheck_report *r)
{
    AUTO(freep)
    char *path = xasprintf("%s/run/%llu.0", v->o.accounts.items[0], (unsigned long long)r->slot);
    AUTO(closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int error;

    if (fd < 0)
        return err_sys(errno, "failed to unpack \"accounts\": '%s'", path);
    error = r->accounts_b ? posix_fallocate(fd, 0, (off_t)r->accounts_b) : 0;
    if (error)
        return err_sys(error, "Unpack error: Archive error: failed to unpack \"accounts\": '%s'",
                       path);
    validator_rest(v, r->unpacked_b * 1000 / UNPACK_B_PER_S);
    return NULL;
}

static struct err *load_archive(struct validator *v, const struct archive *a)
{
    AUTO(freep) char *path = xasprintf("%s/%s", v->o.snapshots, a->name);
    AUTO(freep) char *full_path = path[0] == '/' ? xstrdup(path) : realpath(path, NULL);
    static const struct snapcheck_limits limits = {.hash_must = true}; /* as the real one */
    struct snapcheck_report report;

    if (!full_path)
        return err_sys(errno, "cannot find '%s'", path);
    TRY(snapshot_archive_verify_file(&v->ctx, full_path, &limits, NULL, NULL, &report));
    return unpack_accounts(v, &report);
}

/* Loads the highest archives and gives the slot to start from; *ret_some false: there are none. */
static struct err *load_snapshots(struct validator *v, uint64_t *ret_slot, bool *ret_some)
{
    AUTO(freep) char *banks = xasprintf("%s/snapshots", v->o.snapshots);
    struct archive full, incremental;
    struct err *e = archives_highest(v->o.snapshots, &full, &incremental);

    *ret_some = false;
    if (e && e->kind == ERR_NOTFOUND) {
        agave_log_warn(v->log, "solana_ledger::bank_forks_utils",
                       "No snapshot package found in directory: %s; will load from genesis",
                       v->o.snapshots);
        return err_free(e);
    }
    TRY(e);
    agave_log_info(v->log, "solana_ledger::bank_forks_utils", "Initializing bank snapshots dir: %s",
                   banks);
    TRY(make_dir(banks));
    agave_log_info(v->log, "solana_runtime::snapshot_bank_utils",
                   "Loading bank from full snapshot archive: %s/%s, and incremental snapshot "
                   "archive: %s%s%s",
                   v->o.snapshots, full.name, incremental.slot ? "Some(\"" : "None",
                   incremental.slot ? incremental.name : "", incremental.slot ? "\")" : "");
    e = load_archive(v, &full);
    if (!e && incremental.slot)
        e = load_archive(v, &incremental);
    e = err_wrap(e, "failed to load bank");
    TRY(err_hint(e, "full snapshot archive: %s/%s, incremental snapshot archive: %s",
                 v->o.snapshots, full.name, incremental.slot ? incremental.name : "none"));
    v->full_slot = full.slot;
    *ret_slot = incremental.slot ? incremental.slot : full.slot;
    *ret_some = true;
    return NULL;
}

static struct err *check_genesis(struct validator *v)
{
    struct err *e = genesis_load(v->o.ledger, &v->genesis);
    char hash[BASE58_32_MAX];

    if (e && e->kind == ERR_NOTFOUND && v->o.entrypoints.n && !v->o.no_genesis_fetch) {
        err_free(e);
        TRY(validator_fetch_genesis(v));
        e = genesis_load(v->o.ledger, &v->genesis);
    }
    TRY_CTX(e, "failed to open genesis");
    base58_encode32(v->genesis.hash, hash);
    agave_log_info(v->log, "solana_core::validator", "genesis hash: %s", hash);
    if (v->o.expected_genesis_hash && !str_eq(hash, v->o.expected_genesis_hash))
        return err_new(ERR_CORRUPT, "genesis hash mismatch: actual=%s, expected=%s", hash,
                       v->o.expected_genesis_hash);
    return NULL;
}

static struct err *open_ledger(struct validator *v)
{
    struct ledger_opts opts = {.wall_ms = clock_system.wall_ms, .write_buffer_b = 16 << 20};
    uint64_t start = clock_system.mono_ns();

    agave_log_info(v->log, "solana_core::validator", "loading ledger from \"%s\"...", v->o.ledger);
    agave_log_info(v->log, "solana_ledger::blockstore", "Opening blockstore at \"%s/rocksdb\"",
                   v->o.ledger);
    TRY_CTX(ledger_open(v->o.ledger, &opts, &v->ledger), "Failed to open ledger database");
    agave_log_info(v->log, "solana_ledger::blockstore",
                   "Opening blockstore done; blockstore open took %llums",
                   (unsigned long long)(clock_system.mono_ns() - start) / 1000000);
    return NULL;
}

/* Replays what the ledger has above the snapshot at once, as a start does. */
static struct err *process_ledger(struct validator *v, uint64_t slot)
{
    uint64_t highest = slot;
    AUTO(err_freep) struct err *e = ledger_highest(v->ledger, &highest);

    agave_log_info(v->log, "solana_ledger::blockstore_processor",
                   "Processing ledger from slot %llu...", (unsigned long long)slot);
    agave_log_info(v->log, "solana_ledger::blockstore_processor",
                   "ledger holds data through slot %llu", (unsigned long long)highest);
    v->highest = highest;
    validator_phase(v, PHASE_PROCESSING, slot, highest);
    TRY(ledger_connect(v->ledger, slot));
    if (slot > ledger_max_root(v->ledger))
        TRY(ledger_set_roots(v->ledger, &slot, 1));
    while (!validator_exiting(v) && validator_replay_one(v))
        validator_phase(v, PHASE_PROCESSING, banks_tip(v->banks)->slot, highest);
    return NULL;
}

static struct err *lock_ledger(struct validator *v)
{
    AUTO(freep) char *path = xasprintf("%s/ledger.lock", v->o.ledger);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    AUTO(err_freep) struct err *e = NULL;

    if (fd < 0)
        return err_sys(errno, "Unable to open '%s'", path);
    close(fd);
    e = flock_take(path, &v->lock_fd);
    if (e)
        return err_new(ERR_REFUSED,
                       "Unable to lock %s directory. Check if another validator is running",
                       v->o.ledger);
    return NULL;
}

static struct err *load_key(struct validator *v)
{
    AUTO(freep) char *path = realpath(v->o.identity, NULL);

    TRY_CTX(keypair_read(v->ctx.root, path ? path : v->o.identity, &v->key, NULL),
            "Invalid value for '--identity <KEYPAIR>'");
    base58_encode32(v->key.public, v->id);
    return NULL;
}

static struct err *start_gossip(struct validator *v)
{
    int error = pthread_create(&v->gossip, NULL, validator_gossip, v);

    if (error)
        return err_sys(error, "cannot start a thread");
    v->gossip_on = true;
    pthread_setname_np(v->gossip, "solGossipListen");
    return NULL;
}

struct err *validator_boot(struct validator *v)
{
    struct bank root = {0};
    bool some = false;

    TRY(make_dir(v->o.ledger));
    TRY(lock_ledger(v));
    TRY(load_key(v));
    TRY(validator_open_admin(v));
    TRY(make_dir(v->o.snapshots));
    TRY(validator_bind(v));
    TRY(start_gossip(v));
    agave_log_info(v->log, "solana_core::validator", "identity pubkey: %s", v->id);
    TRY(check_genesis(v));
    if (v->o.entrypoints.n && !v->o.no_snapshot_fetch)
        TRY(validator_fetch_snapshots(v));
    archives_clean_tmp(v->o.snapshots);
    validator_phase(v, PHASE_CLEANING_ACCOUNTS, 0, 0);
    TRY(clean_accounts(v));
    validator_phase(v, PHASE_LOADING, 0, 0);
    TRY(open_ledger(v));
    if (str_eq(v->o.from_archives, "never"))
        return err_new(ERR_NOTFOUND,
                       "failed to load bank: there is no local state to load from, bank snapshots "
                       "dir: %s/snapshots",
                       v->o.snapshots);
    TRY(load_snapshots(v, &root.slot, &some));
    root.parent = root.slot ? root.slot - 1 : 0;
    root.height = root.slot;
    v->last_snapshot = root.slot;
    v->banks = banks_new(&root);
    agave_log_info(v->log, "solana_core::validator",
                   "shred version: %u, hard forks: HardForks { "
                   "hard_forks: [] }",
                   validator_shred_version(v));
    TRY(validator_open_rpc(v));
    return process_ledger(v, root.slot);
}
