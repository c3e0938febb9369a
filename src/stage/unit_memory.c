/* Who ends it for memory: the kernel, at the limit of its control group or when the host has none
 * left, and programs in user space that do so earlier. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "host/cgroup.h"
#include "host/kmsg.h"
#include "host/procfs.h"
#include "stage/unit_parts.h"

#define NEAR_PERCENT 90
#define COMM_MAX     15

static struct err *check_score(const struct unit_look *l, struct findings *ret)
{
    AUTO(closep) int fd = -1;
    AUTO(freep) char *text = NULL;
    int64_t score;
    struct err *e = procfs_open_live(l->ctx, l->main->id.pid, &fd);

    e = e ? e : procfs_read(fd, "oom_score_adj", 64, &text, NULL);
    if (procfs_gone(&e))
        return NULL;
    TRY(e);
    score = strtol(text, NULL, 10);
    text[strcspn(text, "\n")] = '\0';
    AUTO(freep) char *got = str_shown(text, 16);
    finding_compare(findings_add(ret, "unit.oomscore", 5, score > 0 ? SEV_WARN : SEV_OK,
                                 "when memory is short the kernel %s (oom_score_adj %s)%s",
                                 score > 0   ? "kills the validator before others"
                                 : score < 0 ? "spares the validator"
                                             : "treats the validator as all others",
                                 got,
                                 score > 0 ? ": when it is stopped, give its pod requests equal "
                                             "to its limits, or its unit OOMScoreAdjust=-500"
                                           : ""),
                    "0 or less", got, "/proc/PID/oom_score_adj");
    return NULL;
}

static void check_limit(const struct cgroup_memory *m, struct findings *ret)
{
    struct known_u64 held = cgroup_held_b(&m->at_limit);
    char limit[32], now[32];

    if (!m->limit_b.known) {
        findings_add(ret, "unit.memory", 5, SEV_OK, "no control group limits its memory");
        return;
    }
    fmt_size(m->limit_b.v, limit, sizeof(limit));
    if (!held.known) {
        findings_add(ret, "unit.memory", 5, SEV_UNKNOWN,
                     "its memory limit is %s, and how much counts against it cannot be read",
                     limit);
        return;
    }
    fmt_size(held.v, now, sizeof(now));
    bool near = held.v / 100 >= m->limit_b.v / 100 * NEAR_PERCENT / 100;
    finding_compare(findings_add(ret, "unit.memory", 5, near ? SEV_WARN : SEV_OK,
                                 "%s of its memory limit of %s are held%s", now, limit,
                                 near ? ": the kernel kills it there; raise the limit when it "
                                        "is stopped (a changed template replaces a running pod)"
                                      : ""),
                    "below 90 % of the limit", now, m->limit_path);
}

/* "2026-11-23 04:55:53 UTC"; to be freed. */
static char *when(uint64_t ms)
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    char text[32] = "";

    if (!gmtime_r(&s, &tm) || !strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm))
        return xstrdup("an unknown time");
    return xstrdup(text);
}

/* The kernel's log names the killed; what has left its ring is only in the group's count. */
static struct err *check_kills(const struct unit_look *l, const struct cgroup_memory *m,
                               struct findings *ret)
{
    AUTO(oom_kills_clear) struct oom_kills k = {0};
    struct err *e = kmsg_oom_kills(l->ctx, &k);
    bool blind = e;
    size_t n = 0, last = 0;

    err_free(e); /* not readable here: the group's count is told in any case */
    for (size_t i = 0; i < k.n; i++) {
        if (strncmp(k.items[i].name, "agave-validator", COMM_MAX) != 0)
            continue;
        n++;
        last = i;
    }
    if (n) {
        AUTO(freep) char *at = when(k.items[last].at_ms);
        findings_add(ret, "unit.oomkills", 5, SEV_WARN,
                     "the kernel killed a validator for memory %zu times since boot, last at %s "
                     "(%s): see 'agavectl status'",
                     n, at, k.items[last].by_limit ? "at a limit" : "the host had none left");
    } else if (m->oom_kills.known && m->oom_kills.v) {
        findings_add(ret, "unit.oomkills", 5, SEV_WARN,
                     "the kernel killed %" PRIu64
                     " processes in the validator's control group for memory",
                     m->oom_kills.v);
    } else if (blind && !m->oom_kills.known) {
        findings_add(ret, "unit.oomkills", 5, SEV_UNKNOWN,
                     "neither the kernel's log nor a control group tells of kills for memory");
    } else {
        findings_add(ret, "unit.oomkills", 5, SEV_OK, "no validator was killed for memory");
    }
    return NULL;
}

/* A program that kills for memory before the kernel does. */
static struct err *check_killer(const struct unit_look *l, const char *name, const char *id,
                                const char *what, struct findings *ret)
{
    AUTO(pids_clear) struct pids found = {0};
    struct pids_match m = {.name = name};

    TRY(pids_find(l->ctx, &m, &found));
    for (size_t i = 0; i < found.n; i++) {
        bool spared = false;

        for (char **a = found.items[i].argv; *a; a++)
            spared |= strstr(*a, "agave") != NULL; /* --avoid '(agave-validator)' */
        if (!spared)
            findings_add(ret, id, 5, SEV_WARN, "%s (process %d) %s", name, found.items[i].id.pid,
                         what);
    }
    return NULL;
}

struct err *unit_check_memory(const struct unit_look *l, struct findings *ret)
{
    AUTO(cgroup_memory_clear) struct cgroup_memory m = {0};

    TRY(check_killer(l, "systemd-oomd", "unit.oomd",
                     "kills whole control groups when memory is short: disable it, or set "
                     "ManagedOOMPreference=omit for the validator's group",
                     ret));
    TRY(check_killer(l, "earlyoom", "unit.earlyoom",
                     "kills the largest process when memory is short, which is the validator: give "
                     "it --avoid '^agave-validator$', or remove it",
                     ret));
    if (!l->main)
        return NULL;
    TRY(check_score(l, ret));
    struct err *e = cgroup_memory(l->ctx, l->main->id.pid, &m);
    if (procfs_gone(&e))
        return NULL;
    if (e)
        findings_add(ret, "unit.memory", 5, SEV_UNKNOWN, "could not look at its memory limit: %s",
                     e->text);
    else
        check_limit(&m, ret);
    err_free(e);
    return check_kills(l, &m, ret);
}
