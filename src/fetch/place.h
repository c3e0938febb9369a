#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "io/fsroot.h"

/* A file on its way into a folder: written as "tmp-<name>", which Agave ignores and does not delete
 * (it deletes "tmp-snapshot-archive-*" at start), and renamed when it is whole. */
struct place;

/* dir must exist; name has no slash. A plain file at the temporary name is left over from a run
 * that was killed: it is removed and its size is *ret_leftover_b (else 0). ERR_REFUSED when name
 * exists or when anything but a plain file has the temporary name; ERR_SYS. */
struct err *place_begin(struct fsroot *root, const char *dir, const char *name, struct place **ret,
                        uint64_t *ret_leftover_b) MUST_CHECK;
/* ERR_SYS with ENOSPC when less than need_b bytes are free for an ordinary user. */
struct err *place_has_room(const struct place *p, uint64_t need_b) MUST_CHECK;
struct err *place_write(struct place *p, const void *data, size_t n) MUST_CHECK;
/* Owner (UINT32_MAX: as it is) and mode, onto the disk, final name, folder onto the disk. Never
 * replaces: ERR_REFUSED when the name exists by now. */
struct err *place_finish(struct place *p, uint32_t uid, uint32_t gid, mode_t mode) MUST_CHECK;
/* Removes the temporary file unless place_finish succeeded. NULL is fine; returns NULL. */
struct place *place_free(struct place *p);
void place_freep(struct place **p);
