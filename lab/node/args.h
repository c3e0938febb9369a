#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* Command lines in the manner of clap 2, which Agave uses: --name value, --name=value, one-letter
 * aliases, at most one subcommand word; what is not in the table is an error. */
enum arg_kind { ARG_FLAG, ARG_VALUE, ARG_MAYBE }; /* ARG_MAYBE: a value may follow */

struct arg_spec {
    const char *name; /* without "--" */
    char alias;       /* or 0 */
    enum arg_kind kind;
    const char *value; /* its name in messages, e.g. "DIR" */
};

struct args {
    struct strlist names, values; /* in parallel, in the order given; value "" for a flag */
    struct strlist rest;          /* from the first word that is no option on */
};
void args_clear(struct args *a);
/* ERR_BADINPUT with clap's words. Parsing stops at the first bare word; it and what follows land in
 * ret->rest. */
struct err *args_parse(const struct arg_spec *specs, size_t n, char *const *argv, struct args *ret)
    MUST_CHECK;
bool args_has(const struct args *a, const char *name);
/* The last value given, or fallback. */
const char *args_get(const struct args *a, const char *name, const char *fallback);
/* All values of a repeatable one. */
void args_all(const struct args *a, const char *name, struct strlist *ret);
/* A number or ERR_BADINPUT in clap's words; fallback when it was not given. */
struct err *args_u64(const struct args *a, const char *name, uint64_t min, uint64_t max,
                     uint64_t fallback, uint64_t *ret) MUST_CHECK;
