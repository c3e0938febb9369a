#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "stage/finding.h"
#include "stage/stage.h"

/* systemd works with what it read last: after unit files or fstab were changed it must read them
 * again, also when agavectl died in between. So a note in the state folder, which lasts as long as
 * what systemd has read (this boot), is made before the first file is touched, and goes when
 * systemd has read them. */
#define RELOAD_OBJECT "systemd"

/* Before a change. Nothing where systemd has not booted the host. */
struct err *reload_note(struct ctx *ctx) MUST_CHECK;
/* Is there a note? Then a warning with this id that the stage repairs (unless host.persist is
 * false). */
struct err *reload_check(struct ctx *ctx, const char *id, const char *stage, struct findings *ret)
    MUST_CHECK;
/* The last change of a plan that has others, or of one without when there is a note. */
void reload_plan(const struct findings *f, const char *id, int verb, struct plan *ret);
/* systemd reads its files again; the note goes. */
struct err *reload_do(struct ctx *ctx) MUST_CHECK;
