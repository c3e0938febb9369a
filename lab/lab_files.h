#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "lab/lab.h"

/* Ports of the world and of the lab's validator, all on loopback in the lab's own network. */
#define LAB_RPC_PORT_1   8899
#define LAB_RPC_PORT_2   8799
#define LAB_RPC_PORT_3   8699 /* the third: one that lies is outvoted */
#define LAB_GOSSIP_PORT  8001
#define LAB_REPAIR_PORT  8013
#define LAB_VAL_RPC_PORT 9899
#define LAB_VAL_GOSSIP   9001
#define LAB_VAL_PORTS    "9002-9040"
#define LAB_VAL_TVU      9002 /* Agave's first port of the range */

#define LAB_BIN     LAB_DATA "/bin"
#define LAB_ROCKSDB LAB_BIN "/librocksdb.so" /* absent when the system's library serves */

/* Programs and the RocksDB library copied to LAB_DATA/bin, where the lab's user can reach them:
 * a checkout below a private home folder is closed to it. ERR_ABSENT. */
struct err *lab_copy_programs(struct ctx *ctx, const struct lab_opts *opts) MUST_CHECK;
/* The validator's keypair, made from the seed, and LAB_CONFIG. */
struct err *lab_write_files(struct ctx *ctx, const struct lab_opts *opts, const struct lab_state *s)
    MUST_CHECK;
/* Removes a folder and everything below it on the same file system; follows no link. Absent: fine.
 */
struct err *lab_remove_tree(struct ctx *ctx, const char *path) MUST_CHECK;
