/* Fault points: which one is armed comes from the environment, how often it was passed is counted
 * here. A kill and an interrupt are the only faults: what the code does about errors is tested with
 * real ones. */
#include "base/fault.h"

#ifdef AGAVECTL_FAULTS
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KILL, INTERRUPT, N_FAULTS };
static const char *const armed_by[N_FAULTS] = {"AGAVECTL_FAULT", "AGAVECTL_INTERRUPT"};
static unsigned long passed[N_FAULTS]; /* of the armed points; one process has one of each */

/* "name" or "name@part", up to the n characters of the armed name. */
static int is_armed(const char *armed, size_t n, const char *name, const char *part)
{
    size_t k = strlen(name);

    if (n < k || strncmp(armed, name, k) != 0)
        return 0;
    if (n == k)
        return 1;
    return part && armed[k] == '@' && strlen(part) == n - k - 1 &&
           strncmp(armed + k + 1, part, n - k - 1) == 0;
}

/* Is this the armed pass? */
static int is_due(int fault, const char *name, const char *part)
{
    const char *armed = getenv(armed_by[fault]);
    const char *colon = armed ? strrchr(armed, ':') : NULL;
    size_t n = !armed ? 0 : colon ? (size_t)(colon - armed) : strlen(armed);

    if (!armed || !is_armed(armed, n, name, part))
        return 0;
    return ++passed[fault] == (colon ? strtoul(colon + 1, NULL, 10) : 1);
}

void fault_pass(const char *name, const char *part)
{
    if (is_due(KILL, name, part)) {
        kill(getpid(), SIGKILL);
        _exit(137); /* the first process of a pid namespace does not die of its own SIGKILL */
    }
    if (is_due(INTERRUPT, name, part))
        raise(SIGTERM); /* the handler has run when this returns */
}
#endif
