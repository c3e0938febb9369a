#pragma once

#include "base/ctx.h"
#include "base/json.h"
#include "cmd/out.h"

/* The relay's part of a status: what the stage relay finds, in one line. Nothing is configured:
 * text "not configured", JSON null. A look that fails is unknown, never ok. May ask the packet
 * filter. */
struct status_relay {
    const char *listen; /* of the config; NULL: no relay */
    const char *state;  /* static: "ok", "note", "warn", "fail", "unknown" */
    char *what;         /* the finding that decides it */
};
void status_relay_look(struct ctx *ctx, struct status_relay *ret);
void status_relay_clear(struct status_relay *r);
void status_relay_print(const struct status_relay *r, struct out *out);
struct json *status_relay_json(const struct status_relay *r); /* NULL: none */
