/* What there is of systemd on this host as a whole. Its unit files are host/unit_file's, a service
 * that runs is runtime/systemd's; nothing here starts or stops a unit. */
#include "host/systemd.h"

#include "base/str.h"
#include "host/systemd_bus.h"
#include "io/fsroot.h"

#define RELOAD_TIMEOUT_MS (90U * 1000)

/* A capture holds files: an empty folder is not in it. */
static struct err *first_is_systemd(struct ctx *ctx, bool *ret)
{
    AUTO(freep) char *comm = NULL;
    struct err *e = fsroot_read_line(ctx->root, "/proc/1/comm", &comm);

    *ret = !e && str_eq(comm, "systemd");
    return e && e->kind == ERR_NOTFOUND ? err_free(e) : e;
}

struct err *systemd_booted(struct ctx *ctx, bool *ret)
{
    struct stat st;
    struct err *e = fsroot_stat(ctx->root, "/run/systemd/system", &st);

    if (e && e->kind == ERR_NOTFOUND) {
        *ret = false;
        e = err_free(e);
        return fsroot_captured(ctx->root) ? first_is_systemd(ctx, ret) : NULL;
    }
    TRY(e);
    *ret = S_ISDIR(st.st_mode);
    return NULL;
}

struct err *systemd_reload(struct ctx *ctx)
{
    AUTO(sysbus_closep) struct sysbus *bus = NULL;
    bool booted = false;

    TRY(systemd_booted(ctx, &booted));
    if (!booted)
        return NULL;
    TRY(sysbus_open(ctx, &bus));
    return sysbus_call(bus, "Reload", NULL, RELOAD_TIMEOUT_MS, "read its files again", NULL);
}
