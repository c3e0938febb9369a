#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/json.h"

/* How the validator runs: the drivers' common face. */
enum unit_phase {
    PH_ABSENT,   /* never set up */
    PH_STOPPED,  /* set up, not running; nothing will start it */
    PH_STARTING, /* running, start-up not complete */
    PH_RUNNING,
    PH_STOPPING,
    PH_FAILED,
    PH_UNKNOWN, /* could not look */
};
const char *unit_phase_name(enum unit_phase p);

/* A service of this host's systemd: "agave-validator.service". */
struct unit_systemd {
    const char *unit;
};

/* What a driver needs to know; filled by look/unit_config from the config, borrowed for the call.
 */
struct unit {
    const char *name;                     /* "agave-validator": names its state file */
    const char *bin;                      /* absolute path of the program */
    const char *const *argv, *const *env; /* complete, NULL-terminated */
    uint32_t uid, gid;
    const char *ledger;                 /* absolute: holds admin.rpc and ledger.lock */
    const char *log;                    /* where stdout and stderr of the program go */
    const char *state_dir;              /* ours: /run/agavectl */
    uint32_t ladder_s;                  /* how long a stop may need */
    const struct unit_systemd *systemd; /* NULL: not of that runtime */
};

struct unit_status {
    enum unit_phase phase;
    uint32_t restarts;
    uint64_t age_s;   /* since start; UINT64_MAX = unknown */
    char detail[128]; /* "" or one line */
};

struct runtime {
    const char *name;
    struct err *(*status)(struct ctx *ctx, const struct unit *u, struct unit_status *ret);
    /* Could it be started, were nothing running? Reads only; NULL: the driver cannot tell. To be
     * asked before anything is changed for a start. ERR_ABSENT, ERR_REFUSED. */
    struct err *(*may_start)(struct ctx *ctx, const struct unit *u);
    /* Refuses (ERR_REFUSED) while a process still holds the ledger's lock. Returns when the program
     * has been executed; whether it comes up is asked with status. */
    struct err *(*start)(struct ctx *ctx, const struct unit *u);
    /* A stop: look, begin; then the stop flow asks, waits and proves; end.
     *
     * look (NULL: there is nothing to be read) reads the live unit and changes nothing. *ret_way
     * (owned by the caller) is data: what was read, what will be changed and has to be undone. It
     * is in the journal before anything is done. ERR_REFUSED: it cannot be stopped safely as it is;
     * nothing was touched. A way has "text" (for people, one line) and, where there is one,
     * "instance": what tells this run of the unit from the next. */
    struct err *(*stop_look)(struct ctx *ctx, const struct unit *u, uint32_t grace_s,
                             struct json **ret_way);
    /* After stop_begin nothing restarts the unit any more, and what kills has been put off. way:
     * what look gave when this operation began; NULL: it is not known any more, or there is no
     * look. Once more after a crash is fine. When it fails it has left nothing behind. *ret_undo
     * (owned by the caller): for stop_end, as the first one of an operation gave it. */
    struct err *(*stop_begin)(struct ctx *ctx, const struct unit *u, uint32_t grace_s,
                              const struct json *way, struct json **ret_undo);
    /* Besides its processes: has the unit itself come to its end? NULL: they are all that there is.
     * *ret_what (when not): "agave-validator.service is deactivating"; to be freed. */
    struct err *(*stop_over)(struct ctx *ctx, const struct unit *u, bool *ret, char **ret_what);
    /* With the proof in hand: takes back what stop_begin did for the stop alone. */
    struct err *(*stop_end)(struct ctx *ctx, const struct unit *u, const struct json *undo);
    /* Processes of the unit as the host sees them, the main one first; *ret is to be freed. */
    struct err *(*pids)(struct ctx *ctx, const struct unit *u, pid_t **ret, size_t *ret_n);
    /* The program that was started last, which need not be u->bin; NULL: not known. To be freed. */
    struct err *(*program)(struct ctx *ctx, const struct unit *u, char **ret);
};
extern const struct runtime runtime_process, runtime_systemd;
const struct runtime *runtime_by_name(const char *name); /* NULL: no such driver */
/* For drivers: of a unit whose process is there and was not asked to go. Start-up is over when the
 * admin socket says "Running"; one that does not answer yet is a start that has not come that far,
 * and why it does not is the detail. */
enum unit_phase unit_phase_by_admin(struct ctx *ctx, const struct unit *u, struct unit_status *st);
