/* The validator that runs: its command line, its folders as the host has them, its user. Its
 * environment is not looked at: it may hold secrets. */
#include <stdlib.h>
#include <string.h>

#include "host/pids.h"
#include "io/fsroot.h"
#include "look/discover_args.h"
#include "look/discover_parts.h"

#define STATUS_B (64 << 10)

/* The real group, from "Gid:" of status (proc(5)). */
static struct err *found_owner(struct asking *a, const struct pid_info *x, const char *who)
{
    AUTO(freep) char *path = xasprintf("/proc/%d/status", (int)x->id.pid);
    AUTO(freep) char *text = NULL;
    uint64_t gid;

    found_number(a->d, "validator.uid", x->uid, who);
    TRY(fsroot_read(a->ctx->root, path, STATUS_B, &text, NULL));
    char *line = strstr(text, "\nGid:");
    if (!line)
        return NULL;
    line += 5 + strspn(line + 5, " \t");
    line[strcspn(line, " \t\n")] = 0;
    TRY(parse_u64(line, 0, UINT32_MAX, &gid));
    found_number(a->d, "validator.gid", gid, who);
    return NULL;
}

static bool in_pod(const struct pid_info *x)
{
    return x->cgroup && strstr(x->cgroup, "kubepods");
}

/* The program as the host would call it: a container's path says nothing to it. */
static void found_bin(struct asking *a, const struct pid_info *x, const char *who)
{
    if (!x->exe || in_pod(x))
        return;
    AUTO(freep)
    char *bin = xstrndup(x->exe, strlen(x->exe) - (str_ends(x->exe, " (deleted)") ? 10 : 0));
    found_text(a->d, "validator.bin", bin, who);
}

static struct err *ask_process(struct asking *a, const struct pid_info *x)
{
    AUTO(mounts_clear) struct mounts own = {0};
    AUTO(freep) char *who = xasprintf("process %d", (int)x->id.pid);
    struct err *e = mounts_read_of(a->ctx, x->id.pid, &own);

    if (e)
        noted(a->d, "the mounts of %s could not be read (%s): its paths are taken as they are", who,
              e->text);
    a->contained = in_pod(x);
    a->cgroup = x->cgroup ? xstrdup(x->cgroup) : NULL;
    found_args(a, who, e ? NULL : &own, x->argv + 1);
    err_free(e);
    found_bin(a, x, who);
    return found_owner(a, x, who);
}

/* The lab's validator counts within the lab alone: for whoever has joined its mounts. */
static bool counts(struct asking *a, const struct pid_info *x, bool is_lab)
{
    AUTO(freep) char *own = NULL;
    AUTO(freep) char *its = NULL;

    if (!x->argv[0] || !discover_args_runs(x->argv + 1))
        return false;
    if (!is_lab)
        return true;
    err_free(fsroot_readlink(a->ctx->root, "/proc/self/ns/mnt", &own)); /* then it counts not */
    its = xasprintf("mnt:[%llu]", (unsigned long long)x->ns_mnt);
    return str_eq(own, its);
}

/* The first that runs the validator itself; the others are named. */
struct err *ask_processes(struct asking *a)
{
    static const struct {
        const char *name;
        bool is_lab;
    } programs[] = {
        {"agavectl-lab-validator", true},
        {"agave-validator", false},
        {"solana-validator", false},
    };

    for (size_t n = 0; n < ARRAY_LEN(programs); n++) {
        AUTO(pids_clear) struct pids all = {0};

        TRY(pids_find(a->ctx, &(struct pids_match){.name = programs[n].name}, &all));
        for (size_t i = 0; i < all.n; i++) {
            const struct pid_info *x = &all.items[i];

            if (!counts(a, x, programs[n].is_lab))
                continue;
            if (a->n_running++)
                noted(a->d, "process %d is a validator as well; its arguments were not looked at",
                      (int)x->id.pid);
            else
                TRY_CTX(ask_process(a, x), "process %d", (int)x->id.pid);
        }
    }
    return NULL;
}
