#pragma once

#include "base/ctx.h"
#include "base/err.h"

/* Does a command that others wrote end the validator, its container or the machine? It is read, by
 * its words and line by line, never run: "restart … laconic-so", "reboot". */

/* The words, with nothing else of the text, which may hold secrets; NULL: none. To be freed. */
char *danger_in(const char *text);
/* The same for a command line and for the scripts that it calls by their absolute paths (one level,
 * text files of at most 256 KiB; one that cannot be read is left out). */
char *danger_of(struct ctx *ctx, const char *command);
