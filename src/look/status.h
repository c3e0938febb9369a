#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/json.h"
#include "base/known.h"
#include "look/rates.h"
#include "look/unit_host.h"
#include "runtime/runtime.h"
#include "solana/admin.h"
#include "solana/rpc.h"

/* One look at everything that tells how a validator is: the unit, its admin socket, its RPC, the
 * references, the snapshots on disk. What cannot be looked at is unknown (null in JSON), never a
 * made-up number.
 *
 * health is decided in this order; the first that holds:
 *   stopped    the runtime says that nothing runs (stopped, absent, failed, stopping) and neither
 *              admin socket nor RPC answers
 *   unhealthy  start-up ended in "Halted", or getHealth says so without a number
 *   starting   the admin socket tells any other phase than "Running", or the runtime says so and
 *              RPC does not answer yet
 *   behind     getHealth says so, or the gap is known and above tip_slots
 *   unknown    anything that "ok" needs is missing: getHealth, the own finalized slot, a tip; or
 *              the references contradict each other; or they are all far behind this node; or
 *              something answers on the RPC port although the unit does not run
 *   ok         getHealth says ok and the gap to a trusted tip is at most tip_slots
 * getHealth alone is not believed: a node that hears nothing of the cluster stays "ok" for ever.
 *
 * The tip is the lower median of the references' finalized slots: with two answers the lower one,
 * with three the middle one. Before that, answers more than STATUS_AGREE_SLOTS below the node's own
 * finalized slot are set aside, as long as any is left (the node itself proves them stale). So one
 * reference that is down, stuck or far ahead changes nothing where there are two honest ones. Two
 * answers that contradict each other still give a tip, but not "ok". A reference with the node's
 * own URL is none. */
#define STATUS_SCHEMA      1
#define STATUS_AGREE_SLOTS 128 /* Agave's own --health-check-slot-distance */
#define STATUS_REFS_MAX    64

enum status_health {
    HEALTH_OK,
    HEALTH_BEHIND,
    HEALTH_STARTING,
    HEALTH_STOPPED,
    HEALTH_UNHEALTHY,
    HEALTH_UNKNOWN,
};
const char *status_health_name(enum status_health h);

/* Borrowed for the call. */
struct status_params {
    const char *rpc_url;     /* of the node itself; NULL: its RPC is off */
    const char *const *refs; /* URLs; more than STATUS_REFS_MAX are left out */
    size_t n_refs;
    const char *ledger, *snapshots_dir;     /* NULL: not looked at */
    const char *full_dir, *incremental_dir; /* of archives; NULL: snapshots_dir */
    const struct runtime *runtime;          /* NULL: not looked at */
    const struct unit *unit;
    pid_t pid;               /* without a runtime: the process that was found; 0: none */
    const char *port_range;  /* "8002-8040", where TVU is looked for until it is told; or NULL */
    bool host;               /* look at memory, OOM kills and UDP as well */
    const char *state_dir;   /* NULL: no rates, unless there is a book */
    struct rates_book *book; /* of looks before this one; NULL: the one in state_dir */
    uint64_t tip_slots;      /* a gap of at most this counts as being at the tip */
    uint32_t timeout_ms;     /* for the whole look */
    const struct http_beside
        *beside; /* asked at the same time, with time-outs of their own; or NULL */
};

struct status_reference {
    char *url; /* without user, path and query */
    struct known_u64 slot;
    uint64_t age_ms; /* since the answer or the failure came in */
    char *error;     /* NULL: it answered */
    bool agrees;     /* within STATUS_AGREE_SLOTS of the tip */
};
struct status {
    enum status_health health;
    char *reason; /* one line: why health is not ok, or what is doubtful; NULL: nothing to say */

    struct known_u64 slots[3]; /* by enum rpc_commitment */
    char *rpc_error;           /* of the node's own RPC, the first one; NULL: none */
    pid_t via_pid;             /* it was asked in this process's network namespace; 0: in ours */
    bool health_known;         /* getHealth answered */
    struct rpc_health node_health;

    struct known_u64 tip, gap;
    size_t n_answered, n_agree; /* references */
    struct status_reference *refs;
    size_t n_refs;

    struct {
        bool known;
        double replay, chain; /* slots/s */
    } rates;
    struct known_u64 eta_s;
    bool never; /* both rates are known and the gap does not shrink */

    bool phase_known;
    struct admin_progress phase;
    char *phase_error;
    struct rate start_rate; /* of its slot */
    struct known_u64 start_eta_s;

    const char *runtime; /* NULL: none */
    struct unit_status unit;
    struct known_u64 age_s;
    pid_t *pids;
    size_t n_pids;
    bool pids_known;
    char *unit_error;

    struct known_u64 full_slot, incremental_slot;
    char *full_trust, *incremental_trust; /* look/snapshot_trust.h; NULL: not known */
    char *snapshot_error;

    struct unit_host host;
};

/* Looks at all of it, in parallel where it waits; takes at most timeout_ms and a little. Never
 * fails because something cannot be looked at. ERR_CANCELLED only. The node's RPC is asked in its
 * own network namespace as well where that is another one; what answers there is the node. */
struct err *status_gather(struct ctx *ctx, const struct status_params *p, struct status *ret)
    MUST_CHECK;
void status_clear(struct status *s);
/* The document of `agavectl status -o json` but for its member "operation"; owned by the caller. */
struct json *status_json(const struct status *s);

/* The parts that only think; status_gather calls them in this order. They read and write the fields
 * named above. */
void status_decide_tip(struct status *s);
void status_decide_eta(struct status *s, uint64_t tip_slots);
void status_decide_health(struct status *s, uint64_t tip_slots);
