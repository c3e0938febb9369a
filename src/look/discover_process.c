/* The validator that runs: its command line, its folders as the host has them, its user. Its
 * environment is not looked at: it may hold secrets. */
#include <stdlib.h>
#include <string.h>

#include "host/pids.h"
#include "io/fsroot.h"
#include "look/discover_args.h"
#include "look/discover_parts.h"

#define STATUS_B (64 << 10)

struct process {
    struct asking *a;
    const struct pid_info *info;
    struct mounts mounts; /* its own */
    bool see;             /* mounts could be read */
    char *who;            /* "process 4242" */
};

/* A path of the process as one of the host, under a key; relative ones have no meaning here. */
static void found_path(struct process *p, const struct arg_value *v)
{
    struct asking *a = p->a;
    const char *path = v->items.items[0];
    AUTO(freep) char *origin = xasprintf("%s (%s %s)", p->who, v->flag, path);
    AUTO(freep) char *place = NULL;

    if (*path != '/') {
        not_found(a->d, v->key, "%s is no absolute path", origin);
        return;
    }
    place = p->see ? place_on_host(&p->mounts, &a->host, path, asking_kind_root(a)) : xstrdup(path);
    if (!place)
        not_found(a->d, v->key, "%s is on a file system that the host has not mounted", origin);
    else
        found_text(a->d, v->key, place, origin);
}

static void found_args(struct process *p, const struct discovered_args *args)
{
    struct discovery *d = p->a->d;

    for (size_t i = 0; i < args->n; i++) {
        const struct arg_value *v = &args->values[i];
        AUTO(freep) char *origin = xasprintf("%s (%s)", p->who, v->flag);

        if (str_eq(v->key, "validator.log") && str_eq(v->items.items[0], "-"))
            not_found(d, v->key, "%s writes its log to stdout", p->who);
        else if (v->path && str_eq(v->key, "validator.vote_account") && *v->items.items[0] != '/')
            found(d, v->key, &v->items, origin); /* an address */
        else if (v->path)
            found_path(p, v);
        else
            found(d, v->key, &v->items, origin);
        if (v->path && v->items.n > 1)
            noted(d, "%s: %s is given %zu times; the first is used", v->key, v->flag, v->items.n);
    }
    if (args->rest.n)
        found(d, "validator.args", &args->rest, p->who);
}

/* What the command line leaves out, Agave decides: not what our defaults say. */
static void found_voting(struct process *p, const struct discovered_args *args)
{
    struct discovery *d = p->a->d;
    bool votes = discovered_arg(args, "validator.vote_account") && !args->no_voting;

    if (votes && (!is_found(d, "validator.identity") || !is_found(d, "validator.vote_account")))
        not_found(d, "validator.voting",
                  "it votes, but its identity or vote account could not be found on the host");
    else
        found_text(d, "validator.voting", votes ? "true" : "false", p->who);
    /* Without --snapshots the archives are in the ledger folder (3.0.14). */
    if (!discovered_arg(args, "validator.snapshots"))
        not_found(d, "validator.snapshots",
                  "%s keeps its snapshots in the ledger folder; agavectl wants a folder for them "
                  "(--snapshots)",
                  p->who);
    if (!discovered_arg(args, "validator.rpc_port"))
        not_found(d, "validator.rpc_port", "%s has no --rpc-port, so it serves no RPC", p->who);
}

/* The real group, from "Gid:" of status (proc(5)). */
static struct err *found_owner(struct process *p)
{
    AUTO(freep) char *path = xasprintf("/proc/%d/status", (int)p->info->id.pid);
    AUTO(freep) char *text = NULL;
    uint64_t gid;

    found_number(p->a->d, "validator.uid", p->info->uid, p->who);
    TRY(fsroot_read(p->a->ctx->root, path, STATUS_B, &text, NULL));
    char *line = strstr(text, "\nGid:");
    if (!line)
        return NULL;
    line += 5 + strspn(line + 5, " \t");
    line[strcspn(line, " \t\n")] = 0;
    TRY(parse_u64(line, 0, UINT32_MAX, &gid));
    found_number(p->a->d, "validator.gid", gid, p->who);
    return NULL;
}

static bool in_pod(const struct pid_info *x)
{
    return x->cgroup && strstr(x->cgroup, "kubepods");
}

/* The program as the host would call it: a container's path says nothing to it. */
static void found_bin(struct process *p)
{
    const char *exe = p->info->exe;

    if (!exe || in_pod(p->info))
        return;
    AUTO(freep) char *bin = xstrndup(exe, strlen(exe) - (str_ends(exe, " (deleted)") ? 10 : 0));
    found_text(p->a->d, "validator.bin", bin, p->who);
}

static struct err *ask_process(struct asking *a, const struct pid_info *x)
{
    struct process p = {.a = a, .info = x};
    AUTO(discovered_args_clear) struct discovered_args args = {0};
    AUTO(freep) char *who = p.who = xasprintf("process %d", (int)x->id.pid);
    struct err *e = mounts_read_of(a->ctx, x->id.pid, &p.mounts);

    p.see = !e;
    if (e)
        noted(a->d, "the mounts of %s could not be read (%s): its paths are taken as they are", who,
              e->text);
    err_free(e);
    a->contained = in_pod(x);
    discover_args(x->argv + 1, &args);
    found_args(&p, &args);
    found_voting(&p, &args);
    found_bin(&p);
    e = found_owner(&p);
    mounts_clear(&p.mounts);
    return e;
}

/* The first that runs the validator itself; the others are named. */
struct err *ask_processes(struct asking *a)
{
    static const char *const names[] = {"agave-validator", "solana-validator"};

    for (size_t n = 0; n < ARRAY_LEN(names); n++) {
        AUTO(pids_clear) struct pids all = {0};

        TRY(pids_find(a->ctx, &(struct pids_match){.name = names[n]}, &all));
        for (size_t i = 0; i < all.n; i++) {
            const struct pid_info *x = &all.items[i];

            if (!x->argv[0] || !discover_args_runs(x->argv + 1))
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
