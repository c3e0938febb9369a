/* In place of the manager's Reload: it does what it is told, unless the tree has this file. */
#include "host/systemd.h"
#include "io/fsroot.h"

#define MUTE "/run/systemd/mute"

struct err *__wrap_systemd_reload(struct ctx *ctx);
struct err *__wrap_systemd_reload(struct ctx *ctx)
{
    struct stat st;
    struct err *e = fsroot_stat(ctx->root, MUTE, &st);

    if (!e)
        return err_new(ERR_ABSENT, "systemd does not answer");
    return e->kind == ERR_NOTFOUND ? err_free(e) : e;
}
