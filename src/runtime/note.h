#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "host/pids.h"
#include "runtime/runtime.h"

/* What a driver knows of its unit that the kernel cannot know; in <state_dir>/<unit>.json. */
struct note {
    bool known;     /* there is a note of this boot or an older one */
    bool wanted;    /* it is meant to run */
    bool this_boot; /* pid and start mean something */
    struct pid_id id;
    uint64_t started_ms; /* wall clock */
    uint64_t restarts;   /* starts after the first */
    char *bin;           /* the program, or NULL */
    char *stopped;       /* instance that the last stop ended, or NULL */
};
void note_clear(struct note *n);
/* ret: {0}, to be cleared. No note: known is false. ERR_SYS, ERR_REMOTE (it cannot be read). */
struct err *note_read(struct ctx *ctx, const struct unit *u, struct note *ret) MUST_CHECK;
struct err *note_write(struct ctx *ctx, const struct unit *u, const struct note *n) MUST_CHECK;
/* For a stop. A note that cannot be written (/run is full) does not keep a validator from being
 * stopped: nothing here starts one by its note. */
struct err *note_write_stop(struct ctx *ctx, const struct unit *u, const struct note *n) MUST_CHECK;
/* Before a stop: one that somebody else started is adopted. The next stop then knows that it has
 * been asked, also when it closed its admin socket long before it ended. */
void note_adopt(struct note *note, const struct pid_info *p);
