#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "lab/faults.h"

/* The operator's side of the world's control socket. Every call blocks at most a few seconds.
 * ERR_NOTFOUND: no lab is up; ERR_REMOTE, ERR_TIMEOUT: its world does not answer as it should. */

/* One question (lab/world/world_control.c); params: text of a JSON array. *ret: the result, or NULL
 * for null; to be freed. ERR_BADINPUT: the world refuses the parameters. */
struct err *lab_world_ask(struct ctx *ctx, const char *method, const char *params,
                          struct json **ret) MUST_CHECK;
/* Lets something fail. word: "NAME" or "NAME=VALUE"; nodes: "3", "0-9" or "all", empty for a fault
 * of the world. ERR_BADINPUT. */
struct err *lab_fault_set(struct ctx *ctx, const char *word, const struct strlist *nodes)
    MUST_CHECK;
/* Ends one fault (NULL: every one), of these nodes (empty: of the world and of all nodes). */
struct err *lab_fault_heal(struct ctx *ctx, const char *name, const struct strlist *nodes)
    MUST_CHECK;
/* "turbine off, slot-loss 20 %, faults of 3 nodes", or "none"; to be freed. */
struct err *lab_fault_summary(struct ctx *ctx, char **ret) MUST_CHECK;
/* At least n RPC nodes beside the first ones. */
struct err *lab_world_grow(struct ctx *ctx, uint64_t n, bool *ret_changed) MUST_CHECK;

/* "NAME", "NAME=44%", "NAME=64KiB", "NAME=off" … to its value. ERR_BADINPUT. */
struct err *fault_parse(const struct fault_def *f, const char *value, uint64_t *ret) MUST_CHECK;
/* "off", "44 %", "64 KiB/s" … into buf, which is returned. */
const char *fault_text(const struct fault_def *f, uint64_t value, char *buf, size_t n);
