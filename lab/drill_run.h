#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/json.h"
#include "base/str.h"
#include "host/pids.h"
#include "lab/drill.h"

/* What the drills share. A drill reads from top to bottom: do, look, say. */
#define DRILL_DIR    "/run/agavectl/lab/drill"
#define DRILL_LINGER "/run/agavectl/lab/linger"   /* while it is there, the stand-in does not end */
#define DRILL_FILL   "/srv/solana/lab-drill-fill" /* in the lab: what fills the volume */
#define DRILL_VOLUME "/srv/solana"
#define DRILL_SNAPS  "/srv/solana/snapshots"
#define DRILL_TIP_S  120

struct drill_run {
    struct ctx *ctx;
    struct drill_opts opts;
    const struct drill_report *report;
    uint64_t begun_ns, random;
    char *self;   /* path of agavectl */
    char *config; /* the lab's config, with what the drill adds */
};

void drill_say(struct drill_run *d, const char *fmt, ...) PRINTF(2, 3);
/* A number below n that follows from the seed. */
uint64_t drill_random(struct drill_run *d, uint64_t n);

/* The drill's config is the lab's, followed by this text. */
struct err *drill_config(struct drill_run *d, const char *more) MUST_CHECK;

/* agavectl in the lab's namespaces. A child ends with drill_end at the latest. */
struct drill_child {
    pid_t pid;       /* 0: none, or reaped */
    int exit;        /* exit code, or 128 + signal */
    char *out, *err; /* what it said, once it has ended */
};
void drill_child_clear(struct drill_child *c); /* kills it if it is still there */
struct err *drill_spawn(struct drill_run *d, const char *const *args, struct drill_child *ret)
    MUST_CHECK;
/* Has it ended? Then exit, out and err are set. */
struct err *drill_ended(struct drill_run *d, struct drill_child *c, bool *ret) MUST_CHECK;
/* ERR_TIMEOUT, ERR_CANCELLED: it is still there. */
struct err *drill_wait(struct drill_run *d, struct drill_child *c, uint32_t timeout_s) MUST_CHECK;
void drill_kill(struct drill_child *c);

/* One command to its end, which must be this exit code (else ERR_REMOTE with what it said). ret may
 * be NULL. args: NULL-terminated, without agavectl itself. */
struct err *drill_agavectl(struct drill_run *d, int want_exit, const char *const *args,
                           struct drill_child *ret) MUST_CHECK;
#define DRILL_ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* The same after a run of it that was killed, until it is done: what that one had started may hold
 * the host lock or the device for a moment longer, and an operation that was cut off is resumed. */
struct err *drill_go_on(struct drill_run *d, const char *const *args) MUST_CHECK;
/* up, and the health that follows from it. */
struct err *drill_up(struct drill_run *d) MUST_CHECK;
/* Stop with its proof; fine when nothing runs. */
struct err *drill_stop(struct drill_run *d) MUST_CHECK;
/* Waits until status says ok. */
struct err *drill_tip(struct drill_run *d) MUST_CHECK;
struct err *drill_status(struct drill_run *d, struct json **ret) MUST_CHECK;
/* The validator's process; ERR_NOTFOUND. */
struct err *drill_validator(struct drill_run *d, struct pid_id *ret) MUST_CHECK;
/* ERR_REMOTE unless text holds word. what: who said it. */
struct err *drill_must_say(const char *what, const char *text, const char *word) MUST_CHECK;

/* drill_inject.c: things that need the lab's namespaces. */
struct err *drill_freeze(struct drill_run *d) MUST_CHECK;
struct err *drill_thaw(struct ctx *ctx) MUST_CHECK; /* not frozen: fine */
/* Fills the volume to the last block. */
struct err *drill_fill(struct drill_run *d) MUST_CHECK;
struct err *drill_unfill(struct ctx *ctx) MUST_CHECK; /* not there: fine */
struct err *drill_linger(struct drill_run *d) MUST_CHECK;
struct err *drill_unlinger(struct ctx *ctx) MUST_CHECK; /* not there: fine */
/* Files of the lab's snapshot folder: removes them, or names them. */
struct err *drill_remove_snapshots(struct drill_run *d) MUST_CHECK;
struct err *drill_snapshots(struct drill_run *d, char **ret_names) MUST_CHECK;
/* As after a restart of the machine: no mount below /srv, and zeros on the RAM disk. */
struct err *drill_lose_ramdisk(struct drill_run *d) MUST_CHECK;

extern const struct drill drill_disk_full, drill_frozen_fs, drill_kill_anywhere, drill_mirrors_die,
    drill_ramdisk_lost, drill_wont_stop;
