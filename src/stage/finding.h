#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

/* One observed fact against one expectation. */
enum severity { SEV_OK, SEV_NOTE, SEV_WARN, SEV_FAIL, SEV_UNKNOWN /* could not look: never ok */ };
const char *severity_name(enum severity s);

struct finding {
    const char *id; /* stable, dotted: "host.volume.fstype"; static text */
    uint8_t layer;  /* 1..5 */
    bool ignored;   /* by the config */
    enum severity sev;
    char *what;       /* one line */
    char *want, *got; /* NULL: nothing to compare */
    char *source;     /* where got came from: path, URL, column family */
    const char *fix;  /* stage or flow that repairs it, or NULL; static text */
};
struct findings {
    struct finding *items;
    size_t n, cap;
};
/* The texts are owned by the list from then on; the returned pointer is valid until the next add.
 */
struct finding *findings_add(struct findings *f, const char *id, uint8_t layer, enum severity sev,
                             const char *what_fmt, ...) PRINTF(5, 6);
void findings_clear(struct findings *f);
enum severity findings_worst(const struct findings *f); /* UNKNOWN > FAIL > WARN > NOTE > OK */
const struct finding *findings_find(const struct findings *f, const char *id); /* or NULL */
