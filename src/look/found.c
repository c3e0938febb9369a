/* Finds validators by what they hold, not by their names: the lock on a ledger. Who only talks to a
 * validator (agave-validator exit, monitor) holds none. The command line then adds what status
 * needs. */
#include "look/found.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"
#include "host/open_files.h"
#include "host/pids.h"
#include "io/fsroot.h"
#include "look/discover_args.h"
#include "look/snapshot_rules.h"

#define LOCKS_MAX_B (8U << 20)
#define LOCK_NAME   "/ledger.lock"
#define STATE_DIR   "/run/agavectl"
#define TIP_SLOTS   32
#define TIMEOUT_MS  700

struct holders {
    pid_t *items;
    size_t n, cap;
};

static void holders_clear(struct holders *h)
{
    free(h->items);
    *h = (struct holders){0};
}

static void found_clear(struct found *f)
{
    free(f->name);
    free(f->ledger);
    free(f->rpc_url);
    free(f->reach);
    free(f->snapshots);
    free(f->full_snapshots);
    free(f->incremental_snapshots);
    free(f->port_range);
    *f = (struct found){0};
}

void founds_clear(struct founds *f)
{
    for (size_t i = 0; i < f->n; i++)
        found_clear(&f->items[i]);
    free(f->items);
    *f = (struct founds){0};
}

static int by_pid(const void *a, const void *b)
{
    pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

    return (x > y) - (x < y);
}

/* Who holds an flock for writing (proc_locks(5)): "1: FLOCK  ADVISORY  WRITE 123 fe:00:9 0 EOF". */
static struct err *lock_holders(struct ctx *ctx, struct holders *ret)
{
    AUTO(freep) char *text = NULL;
    char *save = NULL;
    size_t kept = 0;

    TRY(fsroot_read(ctx->root, "/proc/locks", LOCKS_MAX_B, &text, NULL));
    for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        int64_t pid = 0;

        if (sscanf(l, "%*u: FLOCK ADVISORY WRITE %" SCNd64 " ", &pid) != 1 || pid <= 0 ||
            pid > INT_MAX)
            continue;
        ret->items = xgrow(ret->items, &ret->cap, ret->n + 1, sizeof(*ret->items));
        ret->items[ret->n++] = (pid_t)pid;
    }
    if (ret->n)
        qsort(ret->items, ret->n, sizeof(*ret->items), by_pid);
    for (size_t i = 0; i < ret->n; i++)
        if (i == 0 || ret->items[i] != ret->items[kept - 1])
            ret->items[kept++] = ret->items[i];
    ret->n = kept;
    return NULL;
}

/* What the command line gives for a key of the config; NULL: nothing. */
static const char *given(const struct discovered_args *a, const char *key)
{
    const struct arg_value *v = discovered_arg(a, key);

    return v && v->items.n ? v->items.items[0] : NULL;
}

static char *rpc_url(const struct discovered_args *a)
{
    const char *port = given(a, "validator.rpc_port");
    const char *address = given(a, "validator.rpc_bind_address");
    struct err *e;
    uint64_t v = 0;

    if (!address)
        address = given(a, "validator.bind_address");
    if (!address || str_eq(address, "0.0.0.0"))
        address = "127.0.0.1";
    e = port ? parse_u64(port, 1, UINT16_MAX, &v) : NULL;
    if (!port || e) {
        (void)err_free(e); /* it would not have started with that */
        return NULL;
    }
    return xasprintf("http://%s:%u", address, (unsigned)v);
}

/* A path of the process as we reach it. Paths that are not absolute would need its folder. */
static char *reachable(const struct pid_info *p, uint64_t own_mnt, const char *path)
{
    if (!path || path[0] != '/')
        return NULL;
    if (p->ns_mnt == 0 || p->ns_mnt == own_mnt)
        return xstrdup(path);
    return xasprintf("/proc/%d/root%s", (int)p->id.pid, path);
}

static void fill(const struct pid_info *p, uint64_t own_mnt, const char *ledger, struct found *f)
{
    AUTO(discovered_args_clear) struct discovered_args args = {0};
    const char *program = p->argv[0] ? p->argv[0] : p->comm, *slash = strrchr(program, '/');
    const char *snapshots, *range;
    struct snapdirs dirs;

    if (p->argv[0])
        discover_args(p->argv + 1, &args);
    snapshots = given(&args, "validator.snapshots");
    range = given(&args, "validator.dynamic_port_range");
    f->pid = p->id.pid;
    f->name = str_shown(slash ? slash + 1 : program, 64);
    f->ledger = str_shown(ledger, PATH_MAX);
    f->rpc_url = rpc_url(&args);
    f->reach = reachable(p, own_mnt, ledger);
    f->snapshots = reachable(p, own_mnt, snapshots ? snapshots : ledger);
    dirs = snapshot_dirs_of(&args.rest, NULL);
    f->full_snapshots = reachable(p, own_mnt, dirs.full);
    f->incremental_snapshots = reachable(p, own_mnt, dirs.incremental);
    f->port_range = range ? xstrdup(range) : NULL;
}

/* The folder of the ledger.lock that it has open; NULL: none. */
static struct err *locked_ledger(struct ctx *ctx, pid_t pid, char **ret)
{
    AUTO(open_files_clear) struct open_files files = {0};

    TRY(open_files_read(ctx, pid, &files));
    for (size_t i = 0; i < files.n && !*ret; i++) {
        const char *path = files.items[i].path;

        if (str_ends(path, LOCK_NAME))
            *ret = xstrndup(path, strlen(path) - strlen(LOCK_NAME));
    }
    return NULL;
}

/* Appends the process when it is one. */
static struct err *take(struct ctx *ctx, pid_t pid, uint64_t own_mnt, struct founds *ret)
{
    AUTO(pids_clear) struct pids list = {0};
    AUTO(freep) char *ledger = NULL;

    TRY(locked_ledger(ctx, pid, &ledger));
    if (!ledger)
        return NULL;
    TRY(pids_get(ctx, pid, &list));
    ret->items = xgrow(ret->items, &ret->cap, ret->n + 1, sizeof(*ret->items));
    ret->items[ret->n] = (struct found){0};
    fill(&list.items[0], own_mnt, ledger, &ret->items[ret->n++]);
    return NULL;
}

struct err *found_validators(struct ctx *ctx, struct founds *ret, size_t *ret_unseen)
{
    AUTO(holders_clear) struct holders h = {0};
    AUTO(pids_clear) struct pids self = {0};

    *ret_unseen = 0;
    TRY(lock_holders(ctx, &h));
    TRY(pids_get(ctx, getpid(), &self));
    for (size_t i = 0; i < h.n; i++) {
        struct err *e = take(ctx, h.items[i], self.items[0].ns_mnt, ret);

        if (e && e->kind != ERR_NOTFOUND)
            ++*ret_unseen; /* another user's: it may be one */
        (void)err_free(e);
    }
    return NULL;
}

struct status_params found_status(const struct found *f)
{
    return (struct status_params){
        .rpc_url = f->rpc_url,
        .ledger = f->reach,
        .snapshots_dir = f->snapshots,
        .full_dir = f->full_snapshots,
        .incremental_dir = f->incremental_snapshots,
        .pid = f->pid,
        .port_range = f->port_range,
        .state_dir = STATE_DIR,
        .tip_slots = TIP_SLOTS,
        .timeout_ms = TIMEOUT_MS,
    };
}
