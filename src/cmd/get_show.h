#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/out.h"
#include "fetch/pair.h"

/* What snapshot get shows: on stderr for people, rewritten in place on a terminal and as a line now
 * and then elsewhere; with -o json as a line of JSON each on stdout, the result last. */
struct get_show {
    struct pair_events events; /* for pair_get */
    struct out *out;
    bool dry_run, tty, open;
    double replay_slots_s;
    double unpack_b_s;
    const char *replay_from, *unpack_from; /* struct snapshot_scope */
    uint64_t last_ms;                      /* of the last line where there is no terminal */
};
void get_show_init(struct get_show *s, struct out *out, bool dry_run);
/* Ends a line that is open. */
void get_show_close(struct get_show *s);
/* The result, the last line. e: why it ended, or NULL. */
void get_show_result(struct get_show *s, const char *dir, const struct pair_report *r,
                     const struct pair_local *local, const struct err *e);
