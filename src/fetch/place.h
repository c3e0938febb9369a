#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "io/fsroot.h"

/* A file on its way into a folder: written as "tmp-<name>", which Agave ignores and does not delete
 * (it deletes "tmp-snapshot-archive-*" at start), and renamed when it is whole. */
struct place;

/* dir must exist; name has no slash. Nothing is written yet. ERR_REFUSED when name exists; ERR_SYS.
 */
struct err *place_prepare(struct fsroot *root, const char *dir, const char *name,
                          struct place **ret) MUST_CHECK;
/* An empty temporary file. A plain file with that name is left over from a run that was killed: it
 * is removed and its size is *ret_leftover_b (else 0). ERR_REFUSED when anything but a plain file
 * has the name; ERR_SYS. */
struct err *place_create(struct place *p, uint64_t *ret_leftover_b) MUST_CHECK;
/* Instead of it: the temporary file of a run before this one, as it is. *ret_found: there is one,
 * with this inode and at least min_b bytes, and it is ours again. ERR_SYS. */
struct err *place_reopen(struct place *p, uint64_t inode, uint64_t min_b, bool *ret_found)
    MUST_CHECK;
/* place_prepare and place_create. */
struct err *place_begin(struct fsroot *root, const char *dir, const char *name, struct place **ret,
                        uint64_t *ret_leftover_b) MUST_CHECK;
/* Both borrowed; -1: not created yet. */
int place_fd(const struct place *p);
int place_dir_fd(const struct place *p);
/* Whether the temporary file outlives place_free without place_finish; a new one does not, one that
 * was reopened does. */
void place_keep(struct place *p, bool keep);
/* ERR_SYS with ENOSPC when less than need_b bytes are free for an ordinary user. */
struct err *place_has_room(const struct place *p, uint64_t need_b) MUST_CHECK;
struct err *place_write(struct place *p, const void *data, size_t n) MUST_CHECK;
/* Owner (UINT32_MAX: as it is) and mode, onto the disk, final name, folder onto the disk. Never
 * replaces: ERR_REFUSED when the name exists by now. */
struct err *place_finish(struct place *p, uint32_t uid, uint32_t gid, mode_t mode) MUST_CHECK;
/* Removes the temporary file unless place_finish succeeded or it is kept. NULL is fine; returns
 * NULL. */
struct place *place_free(struct place *p);
void place_freep(struct place **p);
