/* Who is to be called by a unit or a script that we write. */
#include "stage/self.h"

#include <errno.h>
#include <stdlib.h>

#include "base/str.h"
#include "config/config.h"
#include "io/fsroot.h"
#include "io/proc.h"

struct err *self_paths(struct ctx *ctx, char **ret_program, char **ret_config)
{
    const char *file = ctx->cfg->file;
    AUTO(freep) char *program = NULL;
    char *config = NULL;

    if (fsroot_captured(ctx->root)) { /* where that host has it, nobody knows */
        *ret_program = xstrdup("/usr/bin/agavectl");
        *ret_config = file ? xstrdup(file) : NULL;
        return NULL;
    }
    TRY(proc_self(&program));
    if (file) {
        config = realpath(file, NULL);
        if (!config)
            return err_sys(errno, "cannot find the config '%s' from the root", file);
    }
    *ret_program = TAKE(program);
    *ret_config = config;
    return NULL;
}
