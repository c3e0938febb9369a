#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* The command line of agave-validator 3.0.14, as far as the stand-in acts on it; every other option
 * of that version is accepted and ignored. */
struct validator_opts {
    char *identity, *vote_account, *ledger, *snapshots, *log, *init_complete_file;
    char *bind, *rpc_bind, *expected_genesis_hash, *from_archives;
    struct strlist accounts, entrypoints;
    uint16_t rpc_port, gossip_port; /* 0: none, the first of the range */
    uint16_t port_first, port_last; /* the dynamic range */
    uint16_t expected_shred_version;
    bool full_rpc, private_rpc, no_snapshot_fetch, no_genesis_fetch, no_snapshots;
    bool no_incremental;
    bool no_wait;          /* of the exit command */
    uint64_t limit_shreds; /* 0: no limit */
    uint64_t full_interval, interval, max_local_age, keep_full, keep_incremental;
};
void validator_opts_clear(struct validator_opts *o);

enum validator_command { VALIDATOR_RUN, VALIDATOR_EXIT, VALIDATOR_VERSION, VALIDATOR_HELP };
/* ERR_BADINPUT with Agave's words. */
struct err *validator_opts_parse(char *const *argv, struct validator_opts *ret,
                                 enum validator_command *ret_command) MUST_CHECK;
void validator_opts_usage(void);
