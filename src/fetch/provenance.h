#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

/* What agavectl knows of an archive that it has fetched: <snapshots>/.agavectl/<file name>.json, a
 * file for people and programs: where the archive came from and what was proven of it. It is shown,
 * and it saves one thing: who wrote it need not read the archive again to build upon it
 * (pair_look.by_notes). Whom to believe is never decided by it. The folder .agavectl is also where
 * archives wait that may not have their place yet (fetch/store.h). */
#define STORE_DIR ".agavectl"

struct provenance {
    char *name; /* final file name, also when it waits */
    uint64_t size_b;
    uint64_t at_ms;         /* when it was whole, ms since 1970 */
    struct strlist sources; /* labels of those that gave bytes */
    char *verify;           /* what was asked for: "none", "structure", "full" */
    char *hash;             /* of the name's hash: "proven", "other", "none", "unread" */
    /* Why its hash is believed: "known-validator", "peers:5", "source", "any" (nobody vouched:
     * --trust-any), "local" (the validator's own). */
    char *trust;
    bool ours; /* by provenance_read: written by the user that we are, and nobody else could have */
};
void provenance_clear(struct provenance *p);

/* dir: the folder of snapshots, never its .agavectl. The folder .agavectl is made where there is
 * none (0755, ours). To be written before the archive takes its final name. ERR_REFUSED:
 * .agavectl is a link or another user's; ERR_SYS; ERR_BADINPUT: name is of no archive. */
struct err *provenance_write(struct ctx *ctx, const char *dir, const struct provenance *p)
    MUST_CHECK;
/* A note of ours, of root's or of the owner of dir, in a folder of such a one, through no link, and
 * that nobody else can write. ERR_NOTFOUND: nothing is known of that archive; ERR_REFUSED: the note
 * is not of such a one, and says nothing; ERR_CORRUPT: it cannot be read, or is about another
 * archive; ERR_SYS; ERR_BADINPUT: name is of no archive. */
struct err *provenance_read(struct ctx *ctx, const char *dir, const char *name,
                            struct provenance *ret) MUST_CHECK;
/* Absent is fine. */
struct err *provenance_remove(struct ctx *ctx, const char *dir, const char *name) MUST_CHECK;
/* The note's text, for tests and `list -o json`: the object as it is in the file. */
struct json *provenance_json(const struct provenance *p);
/* ERR_CORRUPT. */
struct err *provenance_parse(const char *text, size_t n, struct provenance *ret) MUST_CHECK;

/* Opens <dir>/.agavectl for work at descriptors; make: where there is none it is made. Never
 * through a link, and only when it is ours: others could plant in theirs. ERR_NOTFOUND,
 * ERR_REFUSED, ERR_SYS. The caller closes. */
struct err *store_dir_open(struct ctx *ctx, const char *dir, bool make, int *ret_fd) MUST_CHECK;
/* Opens the folder that an archive is written into: <dir>/.agavectl as above, any other as it is,
 * links followed. ERR_NOTFOUND, ERR_REFUSED, ERR_SYS. The caller closes. */
struct err *store_place_open(struct fsroot *root, const char *dir, int *ret_fd) MUST_CHECK;
