/* The kernel's own opinion of its clock. Whether that is true time, nobody on the host can say. */
#include "host/timesync.h"

#include <errno.h>
#include <sys/timex.h>

#include "base/json.h"
#include "base/str.h"
#include "io/fsroot.h"

/* A member as ms, to be cut off to the nearest; it may have a fraction. */
static struct err *milliseconds(const struct json *entry, const char *key, double *ret)
{
    const struct json *v = json_get(entry, key);
    AUTO(freep) char *text = v ? json_text(v, false) : xstrdup("0");
    char *end = NULL;
    double ms = strtod(text, &end);

    if (end == text || *end || !(ms > -1e15 && ms < 1e15))
        return err_new(ERR_BADINPUT, "host.json: kernel_clock: %s: '%s' is no number", key, text);
    *ret = ms < 0 ? ms - 0.5 : ms + 0.5;
    return NULL;
}

static struct err *captured(const struct json *entry, struct kernel_clock *ret)
{
    struct kernel_clock c = {0};
    double offset = 0, error = 0;

    if (!entry)
        return err_new(ERR_ABSENT, "this captured host does not say what its kernel's clock says");
    TRY_CTX(json_as_bool(json_get(entry, "synchronized"), &c.synchronized),
            "host.json: kernel_clock");
    TRY(milliseconds(entry, "offset_ms", &offset));
    TRY(milliseconds(entry, "max_error_ms", &error));
    c.offset_ms = (int64_t)offset;
    c.max_error_ms = error > 0 ? (uint64_t)error : 0;
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
