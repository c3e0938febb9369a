#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ctx.h"
#include "base/err.h"
#include "config/config.h"
#include "flow/op.h"
#include "runtime/runtime.h"

/* A made-up host for the flows: its storage, its unit and its cluster are files in a folder, so
 * that they outlive a process that is killed. What the flows call below themselves (runtime, admin
 * socket, references, snapshots, the proof) is replaced at link time (-Wl,--wrap); stages' engine,
 * flows and journals are the real ones. The wall clock jumps by years at every look. */
struct world {
    char *dir; /* in memory where the machine has that */
    struct ctx ctx;
    struct config *cfg;
};
void world_new(struct world *w);
void world_clear(struct world *w);
/* Nothing done yet, no journals, and the log of effects empty. */
void world_reset(struct world *w);
/* Everything that prepare would do is done; the unit as said. */
void world_prepared(struct world *w, bool running);
/* A destructive change is wanted: of the object "/dev/old". */
void world_wants_wipe(struct world *w);
void world_unwants_wipe(struct world *w);
/* A kind node belongs to it. */
void world_has_node(struct world *w, bool on);
/* What was done there is not so any more. */
void world_loses(struct world *w, const char *name);
/* Whoever lists the journals' folder does not come back. */
void world_hangs(struct world *w, bool on);
/* Another boot: the process is gone, so are the mounts. */
void world_reboot(struct world *w);

/* A file below the folder, with its path there. */
void world_write(struct world *w, const char *path, const void *data, size_t n);
bool world_has(const struct world *w, const char *path);
/* What is true of the host, as one text; to be freed. */
char *world_text(const struct world *w);
/* The unfinished operation, if there is one: *ret is the caller's to clear. */
bool world_unfinished(struct world *w, struct op *ret);
/* How often effects began whose names begin so. */
unsigned world_effects(const struct world *w, const char *name);

/* Every file below the folder, in memory. */
struct image;
struct image *world_save(const struct world *w);
void world_restore(struct world *w, const struct image *i);
struct image *image_free(struct image *i);
void image_freep(struct image **i);
/* The i-th file; NULL behind the last. Borrowed. */
const char *image_at(const struct image *i, size_t at, const char **ret_data, size_t *ret_n);

extern const struct runtime runtime_fake;
extern const struct unit world_unit;
