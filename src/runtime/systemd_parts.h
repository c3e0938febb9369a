#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "host/pids.h"
#include "host/systemd_bus.h"
#include "runtime/runtime.h"
#include "runtime/systemd_unit.h"

/* What the two halves of the systemd driver share. */

/* The manager, and the unit as it has it now. ERR_ABSENT: this host was not booted by systemd; else
 * as systemd_bus.h. Both are to be cleared by the caller, whatever is returned. */
struct err *systemd_connect(struct ctx *ctx, const struct unit *u, struct sysbus **ret_bus,
                            struct systemd_unit *ret) MUST_CHECK;
/* Every process of the unit: holders of the ledger's lock, whoever started them, then the service's
 * main process, then the others of its control group; and the one that an unfinished stop asked.
 * Not this agavectl and those that started it, should it be one of the unit's own commands. */
struct err *systemd_find(struct ctx *ctx, const struct unit *u, const struct systemd_unit *s,
                         struct pids *ret) MUST_CHECK;

/* Our drop-ins of this boot. STOP: a stop is under way. HOLD: it is over, and something else would
 * start the unit at once. Either makes every start fail. LEAVE: of a stop that was the unit's own
 * ExecStop; no limit of time. */
enum systemd_dropin { DROPIN_STOP, DROPIN_HOLD, DROPIN_LEAVE, DROPIN_N };
/* To be freed. */
char *systemd_dropin_path(const char *id, enum systemd_dropin which);
struct err *systemd_dropin_there(struct ctx *ctx, const char *id, enum systemd_dropin which,
                                 bool *ret) MUST_CHECK;
/* Writes what is missing of those in keep (a bit each, 1 << DROPIN_HOLD), removes the others, and
 * makes systemd read its files again where that is not what it has. */
struct err *systemd_dropins_keep(struct ctx *ctx, struct sysbus *bus, const char *id, unsigned keep)
    MUST_CHECK;
/* Puts off what would start or kill it: the STOP drop-in, read by systemd and proven, and a restart
 * that systemd waits for is called off. When it fails it leaves behind what was there before. */
struct err *systemd_hold(struct ctx *ctx, struct sysbus *bus, const char *id) MUST_CHECK;
/* Manager.Reload; at most 90 s. */
struct err *systemd_read_again(struct sysbus *bus) MUST_CHECK;

struct err *systemd_stop_look(struct ctx *ctx, const struct unit *u, uint32_t grace_s,
                              struct json **ret_way) MUST_CHECK;
struct err *systemd_stop_begin(struct ctx *ctx, const struct unit *u, uint32_t grace_s,
                               const struct json *way, struct json **ret_undo) MUST_CHECK;
struct err *systemd_stop_over(struct ctx *ctx, const struct unit *u, bool *ret, char **ret_what)
    MUST_CHECK;
struct err *systemd_stop_end(struct ctx *ctx, const struct unit *u, const struct json *undo)
    MUST_CHECK;
