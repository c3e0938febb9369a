/* The one list of drivers, and what they share. */
#include "runtime/runtime.h"

#include <stdio.h>

#include "base/str.h"
#include "solana/admin.h"

#define ADMIN_MS 400

const char *unit_phase_name(enum unit_phase p)
{
    static const char *const names[] = {
        [PH_ABSENT] = "absent",   [PH_STOPPED] = "stopped",   [PH_STARTING] = "starting",
        [PH_RUNNING] = "running", [PH_STOPPING] = "stopping", [PH_FAILED] = "failed",
        [PH_UNKNOWN] = "unknown",
    };

    return names[p];
}

enum unit_phase unit_phase_by_admin(struct ctx *ctx, const struct unit *u, struct unit_status *st)
{
    struct admin_progress progress = {0};
    AUTO(err_freep) struct err *e = admin_start_progress(ctx, u->ledger, ADMIN_MS, &progress);

    if (e) {
        snprintf(st->detail, sizeof(st->detail), "%s", e->text);
        return PH_STARTING;
    }
    return progress.phase == ADMIN_RUNNING ? PH_RUNNING : PH_STARTING;
}

const struct runtime *runtime_by_name(const char *name)
{
    static const struct runtime *const drivers[] = {&runtime_process, &runtime_systemd};

    for (size_t i = 0; i < ARRAY_LEN(drivers); i++)
        if (str_eq(drivers[i]->name, name))
            return drivers[i];
    return NULL;
}
