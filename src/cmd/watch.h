#pragma once

#include <stddef.h>

#include "base/ctx.h"
#include "base/err.h"
#include "cmd/out.h"

/* The same answer again and again, every interval_ms, until the operator interrupts, which is no
 * error. On a terminal each frame replaces the one before it in place, cut to the window, in one
 * write: nothing flickers, and the last frame stays. Elsewhere the frames are blocks with a blank
 * line between them; in JSON each is one line. frame prints to the out that it is given; its error
 * ends the watch and is returned. ERR_SYS: nobody reads any more. */
struct err *watch_run(struct ctx *ctx, struct out *out, uint64_t interval_ms,
                      struct err *(*frame)(struct ctx *ctx, void *arg, struct out *out), void *arg)
    MUST_CHECK;

/* The part that thinks: the bytes that draw text on a terminal of this size, in place of the frame
 * before it. To be freed. */
char *watch_screen(const char *text, unsigned columns, unsigned rows);
/* How many bytes of a line's text fit on the terminal fd (80 columns where it does not tell),
 * behind used columns and without the last one. */
size_t watch_fits(int fd, const char *text, size_t used);
