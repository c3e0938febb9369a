#pragma once

#include <stdio.h>

#include "base/ctx.h"
#include "cmd/cmd.h"

/* Runs one command line to its end and returns the exit code. Prints the answer on answer and
 * errors on stderr; ctx->cfg is set while the command runs and NULL again afterwards. */
int dispatch(struct ctx *ctx, const struct cmd *const *table, int argc, char **argv, FILE *answer);
