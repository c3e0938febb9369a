/* The version of the validator that a command is about. Where it cannot be had it is unknown, and
 * the command says what depends on it. */
#include "flow/agave_of.h"

#include <unistd.h>

#include "base/str.h"
#include "config/config.h"
#include "io/fsroot.h"
#include "io/proc.h"
#include "stage/self.h"

#define VERSION_S 5

static struct err *ask(struct ctx *ctx, const char *bin, struct agave_version *ret)
{
    AUTO(proc_result_clear) struct proc_result r = {0};
    const char *const argv[] = {bin, "--version", NULL};

    TRY(proc_run(ctx, argv, VERSION_S, &r));
    return agave_version_parse(r.out, ret);
}

/* *ret_why: why the program is not asked. */
static struct err *program_of(struct ctx *ctx, const char *name, char **ret_bin, char **ret_why)
{
    AUTO(freep) char *bin = NULL;
    struct err *e = proc_find(ctx, name ? name : ctx->cfg->validator.bin, &bin);

    if (e) {
        *ret_why = xstrdup(e->text);
        return err_free(e);
    }
    if (geteuid() == 0)
        TRY(self_unsafe(ctx, bin, ret_why));
    *ret_bin = TAKE(bin);
    return NULL;
}

struct err *agave_of(struct ctx *ctx, const char *given, const char *bin, struct agave_version *ret,
                     char **ret_why)
{
    AUTO(freep) char *path = NULL, *why = NULL;

    *ret = (struct agave_version){0};
    *ret_why = NULL;
    if (given)
        return agave_version_parse(given, ret);
    if (!ctx->cfg || fsroot_captured(ctx->root)) {
        *ret_why = xstrdup("no config names the program");
        return NULL;
    }
    TRY(program_of(ctx, bin, &path, &why));
    struct err *e = why ? NULL : ask(ctx, path, ret);
    if (e && e->kind == ERR_CANCELLED)
        return e;
    if (e || why)
        *ret_why = why ? xasprintf("the program is not run: %s", why) : xstrdup(e->text);
    err_free(e);
    return NULL;
}
