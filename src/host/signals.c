/* What a process would do with a signal, before it is sent. */
#include "host/signals.h"

#include <stdio.h>
#include <string.h>

#include "io/fsroot.h"

#define STATUS_MAX_B 65536
#define WCHAN_MAX_B  256

static bool read_mask(const char *status, const char *name, uint64_t *ret)
{
    const char *line = strstr(status, name);
    unsigned long long mask = 0;

    if (!line || sscanf(line + strlen(name), " %llx", &mask) != 1)
        return false;
    *ret = mask;
    return true;
}

/* "NSpid:\t4711\t812\t1": from the reader's namespace inwards. */
static bool read_ns_pid(const char *status, pid_t *ret)
{
    static const char name[] = "\nNSpid:";
    const char *p = strstr(status, name);
    int pid = 0, used = 0;

    p = p ? p + strlen(name) : "";
    while (sscanf(p, "%*[ \t]%d%n", &pid, &used) == 1)
        p += used;
    *ret = pid;
    return pid > 0;
}

static struct err *read_status(struct ctx *ctx, struct pid_id id, char **ret)
{
    AUTO(freep) char *path = xasprintf("/proc/%d/status", (int)id.pid);
    AUTO(freep) char *text = NULL;
    uint64_t start = 0;

    TRY(fsroot_read(ctx->root, path, STATUS_MAX_B, &text, NULL));
    TRY(pid_start(ctx, id.pid, &start)); /* after the look: it was this process all the time */
    if (start != id.start)
        return err_new(ERR_NOTFOUND, "process %d has ended", (int)id.pid);
    *ret = TAKE(text);
    return NULL;
}

bool pid_signals_has(uint64_t mask, int sig)
{
    return sig > 0 && sig <= 64 && mask >> (sig - 1) & 1;
}

struct err *pid_survives_signal(struct ctx *ctx, struct pid_id id, int sig, bool *ret)
{
    AUTO(freep) char *text = NULL;
    uint64_t caught = 0, ignored = 0;

    TRY(read_status(ctx, id, &text));
    if (!read_mask(text, "\nSigCgt:", &caught) || !read_mask(text, "\nSigIgn:", &ignored))
        return err_new(ERR_CORRUPT, "'/proc/%d/status' does not say what it does with signals",
                       (int)id.pid);
    *ret = pid_signals_has(caught | ignored, sig);
    return NULL;
}

/* The kernel's function in which its main thread sleeps: one that runs is in none. */
static enum signal_wait read_wait(struct ctx *ctx, pid_t pid)
{
    AUTO(freep) char *path = xasprintf("/proc/%d/task/%d/wchan", (int)pid, (int)pid);
    AUTO(freep) char *text = NULL;
    struct err *e = fsroot_read(ctx->root, path, WCHAN_MAX_B, &text, NULL);

    if (e || !*text || *text == '0') {
        err_free(e); /* refused, or gone: the status that is read next says which */
        return SIGNAL_WAIT_UNKNOWN;
    }
    return strstr(text, "sigtimedwait") ? SIGNAL_WAIT_YES : SIGNAL_WAIT_NO;
}

static struct err *read_masks(struct ctx *ctx, struct pid_id id, struct pid_signals *ret)
{
    AUTO(freep) char *text = NULL;

    TRY(read_status(ctx, id, &text));
    if (!read_mask(text, "\nSigBlk:", &ret->blocked) ||
        !read_mask(text, "\nSigIgn:", &ret->ignored) || !read_mask(text, "\nSigCgt:", &ret->caught))
        return err_new(ERR_CORRUPT, "'/proc/%d/status' does not say what it does with signals",
                       (int)id.pid);
    if (!read_ns_pid(text, &ret->ns_pid))
        return err_new(ERR_CORRUPT, "'/proc/%d/status' has no NSpid", (int)id.pid);
    return NULL;
}

/* The masks before and after the look at what it sleeps in: it may go in or out between them. */
struct err *pid_signals_read(struct ctx *ctx, struct pid_id id, struct pid_signals *ret)
{
    struct pid_signals before = {0}, s = {0};

    TRY(read_masks(ctx, id, &before));
    enum signal_wait waits = read_wait(ctx, id.pid);
    TRY(read_masks(ctx, id, &s));
    s.blocked |= before.blocked;
    s.waits = waits;
    *ret = s;
    return NULL;
}
