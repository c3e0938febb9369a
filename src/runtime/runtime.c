/* The one list of drivers. */
#include "runtime/runtime.h"

#include "base/str.h"

const char *unit_phase_name(enum unit_phase p)
{
    static const char *const names[] = {
        [PH_ABSENT] = "absent",   [PH_STOPPED] = "stopped",   [PH_STARTING] = "starting",
        [PH_RUNNING] = "running", [PH_STOPPING] = "stopping", [PH_FAILED] = "failed",
        [PH_UNKNOWN] = "unknown",
    };

    return names[p];
}

const struct runtime *runtime_by_name(const char *name)
{
    static const struct runtime *const drivers[] = {&runtime_process};

    for (size_t i = 0; i < ARRAY_LEN(drivers); i++)
        if (str_eq(drivers[i]->name, name))
            return drivers[i];
    return NULL;
}
