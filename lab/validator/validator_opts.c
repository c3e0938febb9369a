/* agave-validator's command line for the stand-in. */
#include "lab/validator/validator_opts.h"

#include <stdio.h>

#include "lab/node/args.h"

#define DEFAULT_LIMIT_SHREDS 200000000 /* --limit-ledger-size without a number */
#define MIN_LIMIT_SHREDS     50000000
#define PORT_RANGE_MIN       25

/* Every option of agave-validator 3.0.14 (its --help, and the hidden ones that operators use). */
static const struct arg_spec specs[] = {
    {"account-index", 0, ARG_VALUE, "INDEX"},
    {"account-index-exclude-key", 0, ARG_VALUE, "KEY"},
    {"account-index-include-key", 0, ARG_VALUE, "KEY"},
    {"account-shrink-path", 0, ARG_VALUE, "PATH"},
    {"accounts", 0, ARG_VALUE, "PATHS"},
    {"accounts-db-access-storages-method", 0, ARG_VALUE, "METHOD"},
    {"accounts-db-background-threads", 0, ARG_VALUE, "VALUE"},
    {"accounts-db-cache-limit-mb", 0, ARG_VALUE, "MEGABYTES"},
    {"accounts-db-clean-threads", 0, ARG_VALUE, "VALUE"},
    {"accounts-db-foreground-threads", 0, ARG_VALUE, "VALUE"},
    {"accounts-db-mark-obsolete-accounts", 0, ARG_FLAG, NULL},
    {"accounts-hash-cache-path", 0, ARG_VALUE, "VALUE"},
    {"accounts-index-bins", 0, ARG_VALUE, "BINS"},
    {"accounts-index-path", 0, ARG_VALUE, "PATH"},
    {"accounts-index-scan-results-limit-mb", 0, ARG_VALUE, "MEGABYTES"},
    {"accounts-shrink-optimize-total-space", 0, ARG_VALUE, "BOOLEAN"},
    {"accounts-shrink-ratio", 0, ARG_VALUE, "RATIO"},
    {"allow-private-addr", 0, ARG_FLAG, NULL},
    {"authorized-voter", 0, ARG_VALUE, "KEYPAIR"},
    {"bind-address", 0, ARG_VALUE, "HOST"},
    {"block-production-method", 0, ARG_VALUE, "METHOD"},
    {"block-verification-method", 0, ARG_VALUE, "METHOD"},
    {"check-vote-account", 0, ARG_VALUE, "RPC_URL"},
    {"contact-debug-interval", 0, ARG_VALUE, "CONTACT_DEBUG_INTERVAL"},
    {"cuda", 0, ARG_FLAG, NULL},
    {"debug-key", 0, ARG_VALUE, "ADDRESS"},
    {"dev-halt-at-slot", 0, ARG_VALUE, "SLOT"},
    {"disable-accounts-disk-index", 0, ARG_FLAG, NULL},
    {"disable-banking-trace", 0, ARG_FLAG, NULL},
    {"dynamic-port-range", 0, ARG_VALUE, "MIN_PORT-MAX_PORT"},
    {"enable-banking-trace", 0, ARG_VALUE, "BYTES"},
    {"enable-bigtable-ledger-upload", 0, ARG_FLAG, NULL},
    {"enable-extended-tx-metadata-storage", 0, ARG_FLAG, NULL},
    {"enable-rpc-bigtable-ledger-storage", 0, ARG_FLAG, NULL},
    {"enable-rpc-transaction-history", 0, ARG_FLAG, NULL},
    {"entrypoint", 'n', ARG_VALUE, "HOST:PORT"},
    {"expected-bank-hash", 0, ARG_VALUE, "HASH"},
    {"expected-genesis-hash", 0, ARG_VALUE, "HASH"},
    {"expected-shred-version", 0, ARG_VALUE, "VERSION"},
    {"experimental-poh-pinned-cpu-core", 0, ARG_VALUE, "VALUE"},
    {"experimental-retransmit-xdp-cpu-cores", 0, ARG_VALUE, "VALUE"},
    {"experimental-retransmit-xdp-interface", 0, ARG_VALUE, "VALUE"},
    {"experimental-retransmit-xdp-zero-copy", 0, ARG_FLAG, NULL},
    {"full-rpc-api", 0, ARG_FLAG, NULL},
    {"full-snapshot-archive-path", 0, ARG_VALUE, "DIR"},
    {"full-snapshot-interval-slots", 0, ARG_VALUE, "NUMBER"},
    {"geyser-plugin-always-enabled", 0, ARG_FLAG, NULL},
    {"geyser-plugin-config", 0, ARG_VALUE, "FILE"},
    {"gossip-host", 0, ARG_VALUE, "VALUE"},
    {"gossip-port", 0, ARG_VALUE, "PORT"},
    {"gossip-validator", 0, ARG_VALUE, "VALIDATOR IDENTITY"},
    {"hard-fork", 0, ARG_VALUE, "SLOT"},
    {"health-check-slot-distance", 0, ARG_VALUE, "SLOT_DISTANCE"},
    {"help", 'h', ARG_FLAG, NULL},
    {"identity", 'i', ARG_VALUE, "KEYPAIR"},
    {"incremental-snapshot-archive-path", 0, ARG_VALUE, "DIR"},
    {"incremental-snapshot-interval-slots", 0, ARG_VALUE, "VALUE"},
    {"init-complete-file", 0, ARG_VALUE, "FILE"},
    {"known-validator", 0, ARG_VALUE, "VALIDATOR IDENTITY"},
    {"ledger", 'l', ARG_VALUE, "DIR"},
    {"limit-ledger-size", 0, ARG_MAYBE, "SHRED_COUNT"},
    {"log", 'o', ARG_VALUE, "FILE"},
    {"log-messages-bytes-limit", 0, ARG_VALUE, "BYTES"},
    {"max-genesis-archive-unpacked-size", 0, ARG_VALUE, "NUMBER"},
    {"maximum-full-snapshots-to-retain", 0, ARG_VALUE, "NUMBER"},
    {"maximum-incremental-snapshots-to-retain", 0, ARG_VALUE, "NUMBER"},
    {"maximum-local-snapshot-age", 0, ARG_VALUE, "NUMBER_OF_SLOTS"},
    {"maximum-snapshot-download-abort", 0, ARG_VALUE, "MAXIMUM_SNAPSHOT_DOWNLOAD_ABORT"},
    {"minimal-snapshot-download-speed", 0, ARG_VALUE, "MINIMAL_SNAPSHOT_DOWNLOAD_SPEED"},
    {"no-genesis-fetch", 0, ARG_FLAG, NULL},
    {"no-incremental-snapshots", 0, ARG_FLAG, NULL},
    {"no-os-cpu-stats-reporting", 0, ARG_FLAG, NULL},
    {"no-os-disk-stats-reporting", 0, ARG_FLAG, NULL},
    {"no-os-memory-stats-reporting", 0, ARG_FLAG, NULL},
    {"no-os-network-limits-test", 0, ARG_FLAG, NULL},
    {"no-os-network-stats-reporting", 0, ARG_FLAG, NULL},
    {"no-poh-speed-test", 0, ARG_FLAG, NULL},
    {"no-port-check", 0, ARG_FLAG, NULL},
    {"no-snapshot-fetch", 0, ARG_FLAG, NULL},
    {"no-snapshots", 0, ARG_FLAG, NULL},
    {"no-voting", 0, ARG_FLAG, NULL},
    {"no-wait-for-vote-to-start-leader", 0, ARG_FLAG, NULL},
    {"only-known-rpc", 0, ARG_FLAG, NULL},
    {"poh-hashes-per-batch", 0, ARG_VALUE, "VALUE"},
    {"private-rpc", 0, ARG_FLAG, NULL},
    {"process-ledger-before-services", 0, ARG_FLAG, NULL},
    {"public-rpc-address", 0, ARG_VALUE, "HOST:PORT"},
    {"public-tpu-address", 0, ARG_VALUE, "HOST:PORT"},
    {"public-tpu-forwards-address", 0, ARG_VALUE, "HOST:PORT"},
    {"repair-validator", 0, ARG_VALUE, "VALIDATOR IDENTITY"},
    {"replay-forks-threads", 0, ARG_VALUE, "VALUE"},
    {"replay-transactions-threads", 0, ARG_VALUE, "VALUE"},
    {"require-tower", 0, ARG_FLAG, NULL},
    {"restricted-repair-only-mode", 0, ARG_FLAG, NULL},
    {"rocksdb-compaction-threads", 0, ARG_VALUE, "VALUE"},
    {"rocksdb-flush-threads", 0, ARG_VALUE, "VALUE"},
    {"rocksdb-ledger-compression", 0, ARG_VALUE, "VALUE"},
    {"rocksdb-perf-sample-interval", 0, ARG_VALUE, "VALUE"},
    {"rocksdb-shred-compaction", 0, ARG_VALUE, "ROCKSDB_COMPACTION_STYLE"},
    {"rpc-bigtable-app-profile-id", 0, ARG_VALUE, "APP_PROFILE_ID"},
    {"rpc-bigtable-instance-name", 0, ARG_VALUE, "INSTANCE_NAME"},
    {"rpc-bigtable-max-message-size", 0, ARG_VALUE, "BYTES"},
    {"rpc-bigtable-timeout", 0, ARG_VALUE, "SECONDS"},
    {"rpc-bind-address", 0, ARG_VALUE, "HOST"},
    {"rpc-blocking-threads", 0, ARG_VALUE, "NUMBER"},
    {"rpc-faucet-address", 0, ARG_VALUE, "HOST:PORT"},
    {"rpc-max-multiple-accounts", 0, ARG_VALUE, "MAX ACCOUNTS"},
    {"rpc-max-request-body-size", 0, ARG_VALUE, "BYTES"},
    {"rpc-niceness-adjustment", 0, ARG_VALUE, "ADJUSTMENT"},
    {"rpc-port", 0, ARG_VALUE, "PORT"},
    {"rpc-pubsub-enable-block-subscription", 0, ARG_FLAG, NULL},
    {"rpc-pubsub-enable-vote-subscription", 0, ARG_FLAG, NULL},
    {"rpc-pubsub-max-active-subscriptions", 0, ARG_VALUE, "NUMBER"},
    {"rpc-pubsub-notification-threads", 0, ARG_VALUE, "NUM_THREADS"},
    {"rpc-pubsub-queue-capacity-bytes", 0, ARG_VALUE, "BYTES"},
    {"rpc-pubsub-queue-capacity-items", 0, ARG_VALUE, "NUMBER"},
    {"rpc-pubsub-worker-threads", 0, ARG_VALUE, "NUMBER"},
    {"rpc-scan-and-fix-roots", 0, ARG_FLAG, NULL},
    {"rpc-send-default-max-retries", 0, ARG_VALUE, "NUMBER"},
    {"rpc-send-leader-count", 0, ARG_VALUE, "NUMBER"},
    {"rpc-send-retry-ms", 0, ARG_VALUE, "MILLISECS"},
    {"rpc-send-service-max-retries", 0, ARG_VALUE, "NUMBER"},
    {"rpc-send-transaction-also-leader", 0, ARG_FLAG, NULL},
    {"rpc-send-transaction-retry-pool-max-size", 0, ARG_VALUE, "NUMBER"},
    {"rpc-send-transaction-tpu-peer", 0, ARG_VALUE, "HOST:PORT"},
    {"rpc-threads", 0, ARG_VALUE, "NUMBER"},
    {"skip-preflight-health-check", 0, ARG_FLAG, NULL},
    {"skip-seed-phrase-validation", 0, ARG_FLAG, NULL},
    {"skip-startup-ledger-verification", 0, ARG_FLAG, NULL},
    {"snapshot-archive-format", 0, ARG_VALUE, "ARCHIVE_TYPE"},
    {"snapshot-interval-slots", 0, ARG_VALUE, "NUMBER"},
    {"snapshot-packager-niceness-adjustment", 0, ARG_VALUE, "ADJUSTMENT"},
    {"snapshot-version", 0, ARG_VALUE, "SNAPSHOT_VERSION"},
    {"snapshot-zstd-compression-level", 0, ARG_VALUE, "LEVEL"},
    {"snapshots", 0, ARG_VALUE, "DIR"},
    {"staked-nodes-overrides", 0, ARG_VALUE, "PATH"},
    {"tower", 0, ARG_VALUE, "DIR"},
    {"tpu-coalesce-ms", 0, ARG_VALUE, "MILLISECS"},
    {"tpu-connection-pool-size", 0, ARG_VALUE, "tpu_connection_pool_size"},
    {"tpu-disable-quic", 0, ARG_FLAG, NULL},
    {"tpu-enable-udp", 0, ARG_FLAG, NULL},
    {"tpu-max-connections-per-peer", 0, ARG_VALUE, "VALUE"},
    {"tpu-vortexor-receiver-address", 0, ARG_VALUE, "VALUE"},
    {"transaction-structure", 0, ARG_VALUE, "STRUCT"},
    {"tvu-receive-threads", 0, ARG_VALUE, "VALUE"},
    {"unified-scheduler-handler-threads", 0, ARG_VALUE, "COUNT"},
    {"use-connection-cache", 0, ARG_FLAG, NULL},
    {"use-snapshot-archives-at-startup", 0, ARG_VALUE, "use_snapshot_archives_at_startup"},
    {"version", 'V', ARG_FLAG, NULL},
    {"vote-account", 0, ARG_VALUE, "ADDRESS"},
    {"vote-use-quic", 0, ARG_VALUE, "VALUE"},
    {"wait-for-supermajority", 0, ARG_VALUE, "SLOT"},
    {"wal-recovery-mode", 0, ARG_VALUE, "MODE"},
};

static const struct arg_spec exit_specs[] = {
    {"force", 'f', ARG_FLAG, NULL},
    {"monitor", 'm', ARG_FLAG, NULL},
    {"no-wait-for-exit", 0, ARG_FLAG, NULL},
    {"wait-for-exit", 0, ARG_FLAG, NULL},
    {"skip-health-check", 0, ARG_FLAG, NULL},
    {"skip-new-snapshot-check", 0, ARG_FLAG, NULL},
    {"max-delinquent-stake", 0, ARG_VALUE, "PERCENT"},
    {"min-idle-time", 0, ARG_VALUE, "MINUTES"},
};

void validator_opts_usage(void)
{
    puts("USAGE:\n    agave-validator [OPTIONS] --ledger <DIR> [SUBCOMMAND]\n\nOPTIONS:");
    for (size_t i = 0; i < ARRAY_LEN(specs); i++)
        printf("        --%s%s%s%s\n", specs[i].name, specs[i].value ? " <" : "",
               specs[i].value ? specs[i].value : "", specs[i].value ? ">" : "");
    puts("\nSUBCOMMANDS:\n    exit    Send an exit request to the validator");
}

void validator_opts_clear(struct validator_opts *o)
{
    free(o->identity);
    free(o->vote_account);
    free(o->ledger);
    free(o->snapshots);
    free(o->log);
    free(o->init_complete_file);
    free(o->bind);
    free(o->rpc_bind);
    free(o->expected_genesis_hash);
    free(o->from_archives);
    strlist_clear(&o->accounts);
    strlist_clear(&o->entrypoints);
    *o = (struct validator_opts){0};
}

static char *text_or(const struct args *a, const char *name, const char *fallback)
{
    const char *text = args_get(a, name, fallback);

    return text ? xstrdup(text) : NULL;
}

static struct err *parse_range(const struct args *a, struct validator_opts *o)
{
    const char *text = args_get(a, "dynamic-port-range", "8000-10000"), *dash = strchr(text, '-');
    AUTO(freep) char *first = dash ? xstrndup(text, (size_t)(dash - text)) : NULL;
    uint64_t low, high;

    if (!dash)
        return err_new(ERR_BADINPUT,
                       "Invalid value for '--dynamic-port-range <MIN_PORT-MAX_PORT>': '%s'", text);
    TRY_CTX(parse_u64(first, 1, UINT16_MAX, &low), "Invalid value for '--dynamic-port-range'");
    TRY_CTX(parse_u64(dash + 1, 1, UINT16_MAX, &high), "Invalid value for '--dynamic-port-range'");
    if (high < low + PORT_RANGE_MIN)
        return err_new(
            ERR_BADINPUT,
            "Invalid value for '--dynamic-port-range <MIN_PORT-MAX_PORT>': Port range is "
            "too small.  Try --dynamic-port-range %llu-%llu",
            (unsigned long long)low, (unsigned long long)low + PORT_RANGE_MIN);
    o->port_first = (uint16_t)low;
    o->port_last = (uint16_t)high;
    return NULL;
}

static struct err *parse_numbers(const struct args *a, struct validator_opts *o)
{
    const char *limit = args_get(a, "limit-ledger-size", NULL);
    uint64_t rpc, gossip, version, interval;

    TRY(args_u64(a, "rpc-port", 1, UINT16_MAX - 1, 0, &rpc));
    TRY(args_u64(a, "gossip-port", 1, UINT16_MAX, 0, &gossip));
    TRY(args_u64(a, "expected-shred-version", 0, UINT16_MAX, 0, &version));
    TRY(args_u64(a, "full-snapshot-interval-slots", 1, UINT64_MAX, 100000, &o->full_interval));
    TRY(args_u64(a, "incremental-snapshot-interval-slots", 0, UINT64_MAX, 100, &interval));
    TRY(args_u64(a, "snapshot-interval-slots", 0, UINT64_MAX, interval, &o->interval));
    TRY(args_u64(a, "maximum-local-snapshot-age", 0, UINT64_MAX, 2500, &o->max_local_age));
    TRY(args_u64(a, "maximum-full-snapshots-to-retain", 1, UINT32_MAX, 2, &o->keep_full));
    TRY(args_u64(a, "maximum-incremental-snapshots-to-retain", 1, UINT32_MAX, 4,
                 &o->keep_incremental));
    o->limit_shreds = 0;
    if (limit)
        TRY(args_u64(a, "limit-ledger-size", 0, UINT64_MAX, DEFAULT_LIMIT_SHREDS,
                     &o->limit_shreds));
    if (limit && o->limit_shreds < MIN_LIMIT_SHREDS)
        return err_new(ERR_BADINPUT,
                       "The provided --limit-ledger-size value was too small, the minimum value is "
                       "%d",
                       MIN_LIMIT_SHREDS);
    o->rpc_port = (uint16_t)rpc;
    o->gossip_port = (uint16_t)gossip;
    o->expected_shred_version = (uint16_t)version;
    return NULL;
}

static struct err *from_args(const struct args *a, struct validator_opts *o)
{
    AUTO(freep) char *accounts = NULL;

    if (!args_has(a, "identity"))
        return err_new(ERR_BADINPUT, "The --identity <KEYPAIR> argument is required");
    o->identity = text_or(a, "identity", NULL);
    o->vote_account = text_or(a, "vote-account", NULL);
    o->snapshots = text_or(a, "snapshots", o->ledger);
    o->log = text_or(a, "log", "-");
    o->init_complete_file = text_or(a, "init-complete-file", NULL);
    o->bind = text_or(a, "bind-address", "0.0.0.0");
    o->private_rpc = args_has(a, "private-rpc");
    o->rpc_bind = text_or(a, "rpc-bind-address", o->private_rpc ? "127.0.0.1" : o->bind);
    o->expected_genesis_hash = text_or(a, "expected-genesis-hash", NULL);
    o->from_archives = text_or(a, "use-snapshot-archives-at-startup", "when-newest");
    args_all(a, "accounts", &o->accounts);
    args_all(a, "entrypoint", &o->entrypoints);
    accounts = xasprintf("%s/accounts", o->ledger);
    if (!o->accounts.n)
        strlist_add(&o->accounts, accounts);
    o->full_rpc = args_has(a, "full-rpc-api");
    o->no_snapshot_fetch = args_has(a, "no-snapshot-fetch");
    o->no_genesis_fetch = args_has(a, "no-genesis-fetch");
    o->no_snapshots = args_has(a, "no-snapshots");
    o->no_incremental = args_has(a, "no-incremental-snapshots");
    if (!str_eq(o->from_archives, "always") && !str_eq(o->from_archives, "never") &&
        !str_eq(o->from_archives, "when-newest"))
        return err_new(ERR_BADINPUT,
                       "'%s' isn't a valid value for '--use-snapshot-archives-at-startup "
                       "<use_snapshot_archives_at_startup>'",
                       o->from_archives);
    TRY(parse_range(a, o));
    return parse_numbers(a, o);
}

struct err *validator_opts_parse(char *const *argv, struct validator_opts *ret,
                                 enum validator_command *ret_command)
{
    AUTO(args_clear) struct args a = {0};
    AUTO(args_clear) struct args sub = {0};

    TRY(args_parse(specs, ARRAY_LEN(specs), argv, &a));
    ret->ledger = text_or(&a, "ledger", "ledger");
    *ret_command = VALIDATOR_RUN;
    if (args_has(&a, "version") || args_has(&a, "help")) {
        *ret_command = args_has(&a, "version") ? VALIDATOR_VERSION : VALIDATOR_HELP;
        return NULL;
    }
    if (a.rest.n && str_eq(a.rest.items[0], "exit")) {
        *ret_command = VALIDATOR_EXIT;
        TRY(args_parse(exit_specs, ARRAY_LEN(exit_specs), a.rest.items, &sub));
        ret->no_wait = args_has(&sub, "no-wait-for-exit");
        return NULL;
    }
    if (a.rest.n && !(a.rest.n == 1 && str_eq(a.rest.items[0], "run")))
        return err_new(ERR_BADINPUT,
                       "Found argument '%s' which wasn't expected, or isn't valid in this context",
                       a.rest.items[0]);
    return from_args(&a, ret);
}
