#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

/* A command line of agave-validator taken apart (3.0.14, commands/run/args.rs): what has a key of
 * the config, and the rest. */
struct arg_value {
    const char *key;      /* "validator.ledger"; static */
    const char *flag;     /* as it was given, "--ledger"; static */
    bool path;            /* a path as the validator sees it */
    struct strlist items; /* one, or all of a list */
};
struct discovered_args {
    struct arg_value *values; /* by the order of the flags' table, those that were given */
    size_t n;
    bool no_voting;
    struct strlist rest; /* flags without a key, each with its value, in their order */
};
void discovered_args_clear(struct discovered_args *a);

/* argv without the program. A flag that is given twice and takes one value keeps the last, as the
 * validator would refuse it anyway. Never fails. */
void discover_args(char *const *argv, struct discovered_args *ret);
/* Is this the validator itself and not one of its helpers ("agave-validator --ledger X monitor")?
 */
bool discover_args_runs(char *const *argv);
const struct arg_value *discovered_arg(const struct discovered_args *a, const char *key);
