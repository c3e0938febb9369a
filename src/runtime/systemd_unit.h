#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "host/systemd_bus.h"

/* A service as the manager has it now, which need not be what its files say (need_reload).
 * org.freedesktop.systemd1(5), interfaces Unit and Service of systemd 252. What a manager does not
 * tell is "", 0 or false. */
struct systemd_unit {
    char *id;         /* the real name, behind aliases */
    char *load;       /* "loaded", "not-found", "masked", "bad-setting", "error" */
    char *load_error; /* why, for people */
    char *active; /* "active", "inactive", "failed", "activating", "deactivating", "reloading" */
    char *sub;    /* "running", "dead", "auto-restart", "stop-sigterm" … */
    char *result; /* "success", "exit-code", "signal", "timeout", "start-limit-hit" … */
    char *file;   /* "" when it has none */
    char *invocation; /* of its last start, 32 digits; "": never started, or forgotten */
    char *cgroup;     /* "" when it has none */
    char *type, *restart, *kill_mode;
    struct strlist dropins;
    bool need_reload, remain, send_sigkill;
    uint64_t kill_signal;
    uint64_t stop_us; /* TimeoutStopUSec; UINT64_MAX: no limit */
    uint64_t main_pid, control_pid, restarts;
    uint64_t job;                       /* that waits or runs for it; 0: none */
    uint64_t started_us;                /* the main process, wall clock; 0: never */
    uint64_t main_code, main_status;    /* how it ended: CLD_EXITED and its status, or a signal */
    char *program;                      /* of the first ExecStart, or "" */
    struct strlist stops;               /* ExecStop, each as one line */
    bool stops_by_exit;                 /* one of them is the exit over the admin socket */
    struct strlist triggers, upholders; /* units that may start it by themselves */
    struct strlist bound;               /* units whose end is its end */
};
void systemd_unit_clear(struct systemd_unit *s);
/* A unit that is not there is load "not-found"; of other kinds than services only the state is
 * told. Errors as systemd_bus.h's. Blocks, at most 10 s. */
struct err *systemd_unit_read(struct sysbus *b, const char *name, struct systemd_unit *ret)
    MUST_CHECK;
/* The part that looks at the answers: both interfaces' properties. ERR_REMOTE; *ret is written on
 * success only. */
struct err *systemd_unit_parse(const struct json *unit, const struct json *service,
                               struct systemd_unit *ret) MUST_CHECK;

/* "signal KILL", "status 3", "timeout": how the last run ended, for people. To be freed. */
char *systemd_unit_end(const struct systemd_unit *s);
/* No process of it and none to come, unless somebody starts it. */
bool systemd_unit_is_down(const struct systemd_unit *s);

/* Are these the words of a command that asks the validator to exit over its admin socket and waits
 * for it? ("agave-validator … exit --force", "agavectl stop") */
bool is_admin_exit(const struct strlist *words);
