/* The kernel's own opinion of its clock. Whether that is true time, nobody on the host can say. */
#include "host/timesync.h"

#include <errno.h>
#include <sys/timex.h>

#include "base/json.h"
#include "io/fsroot.h"

static struct err *captured(const struct json *entry, struct kernel_clock *ret)
{
    struct kernel_clock c = {0};

    if (!entry)
        return err_new(ERR_ABSENT, "this captured host does not say what its kernel's clock says");
    TRY_CTX(json_as_bool(json_get(entry, "synchronized"), &c.synchronized), "host.json: clock");
    if (json_get(entry, "offset_ms"))
        TRY_CTX(json_as_i64(json_get(entry, "offset_ms"), &c.offset_ms), "host.json: clock");
    if (json_get(entry, "max_error_ms"))
        TRY_CTX(json_as_u64(json_get(entry, "max_error_ms"), &c.max_error_ms), "host.json: clock");
    *ret = c;
    return NULL;
}

struct err *kernel_clock(struct ctx *ctx, struct kernel_clock *ret)
{
    const struct json *host = fsroot_captured(ctx->root);
    struct timex t = {.modes = 0};
    int state;

    if (host)
        return captured(json_get(host, "kernel_clock"), ret);
    state = adjtimex(&t);
    if (state < 0)
        return err_sys(errno, "cannot ask the kernel about its clock");
    *ret = (struct kernel_clock){
        .synchronized = state != TIME_ERROR && !(t.status & STA_UNSYNC),
        .offset_ms = t.offset / (t.status & STA_NANO ? 1000000 : 1000),
        .max_error_ms = t.maxerror > 0 ? (uint64_t)t.maxerror / 1000 : 0,
    };
    return NULL;
}
