/* What a process would do with a signal, before it is sent. */
#include "host/signals.h"

#include <stdio.h>
#include <string.h>

#include "io/fsroot.h"

#define STATUS_MAX_B 65536

static bool in_mask(const char *status, const char *name, int sig, bool *ret_known)
{
    const char *line = strstr(status, name);
    unsigned long long mask = 0;

    *ret_known = *ret_known && line && sscanf(line + strlen(name), " %llx", &mask) == 1;
    return mask >> (sig - 1) & 1;
}

struct err *pid_survives_signal(struct ctx *ctx, struct pid_id id, int sig, bool *ret)
{
    AUTO(freep) char *path = xasprintf("/proc/%d/status", (int)id.pid);
    AUTO(freep) char *text = NULL;
    uint64_t start = 0;
    bool known = true;

    TRY(fsroot_read(ctx->root, path, STATUS_MAX_B, &text, NULL));
    TRY(pid_start(ctx, id.pid, &start)); /* after the look: it was this process all the time */
    if (start != id.start)
        return err_new(ERR_NOTFOUND, "process %d has ended", (int)id.pid);
    bool lives = in_mask(text, "\nSigCgt:", sig, &known);
    lives = in_mask(text, "\nSigIgn:", sig, &known) || lives;
    if (!known)
        return err_new(ERR_CORRUPT, "'%s' does not say what it does with signals", path);
    *ret = lives;
    return NULL;
}
