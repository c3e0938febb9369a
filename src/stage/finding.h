#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

/* One observed fact against one expectation. */
enum severity { SEV_OK, SEV_NOTE, SEV_WARN, SEV_FAIL, SEV_UNKNOWN /* could not look: never ok */ };
const char *severity_name(enum severity s);

struct finding {
    const char *id;    /* stable, dotted: "volume.fstype"; static text */
    const char *stage; /* name of the stage that found it: set by the engine; static text */
    uint8_t layer;     /* 1..5 */
    enum severity sev;
    char *what;         /* one line */
    char *want, *got;   /* NULL: nothing to compare */
    char *source;       /* where got came from: path, URL, column family */
    const char *repair; /* stage that repairs it (its plan looks here), or NULL; static text */
    /* A complete command line of agavectl that repairs it ("agavectl prepare --apply volume"), or
     * NULL: only the operator can, and `what` ends in what to do. Left NULL beside a repair, the
     * engine fills it. */
    char *fix;
    /* For the plan alone: what undo will need (struct change's old), or of several files what is to
     * be written; or NULL. */
    char *old;
    bool ignored; /* by the config's check.ignore: counts as nothing, is still shown */
    char *reason; /* why it is ignored, or NULL */
    /* What else the stage looks at could not be looked at for it: whoever asks for another of its
     * findings alone is shown this one. UNKNOWN means so without. */
    bool blinds;
};
struct findings {
    struct finding *items;
    size_t n, cap;
};
/* The texts are owned by the list from then on; the returned pointer is valid until the next add.
 */
struct finding *findings_add(struct findings *f, const char *id, uint8_t layer, enum severity sev,
                             const char *what_fmt, ...) PRINTF(5, 6);
/* What was wanted, what was seen and where; each may be NULL. Copied; returns f. */
struct finding *finding_compare(struct finding *f, const char *want, const char *got,
                                const char *source);
/* The command line that repairs it. Returns f. */
struct finding *finding_fix(struct finding *f, const char *fmt, ...) PRINTF(2, 3);
void findings_clear(struct findings *f);
enum severity findings_worst(const struct findings *f); /* UNKNOWN > FAIL > WARN > NOTE > OK */
const struct finding *findings_find(const struct findings *f, const char *id); /* or NULL */
