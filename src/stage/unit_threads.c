/* Threads in uninterruptible sleep. A disk makes every thread sleep so for a moment; one that has
 * not moved between two looks hangs. Nothing is ever killed because of this: a signal cannot reach
 * such a thread, and killing the others is what makes a hang of ZFS final. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "config/config.h"
#include "host/procfs.h"
#include "io/clock.h"
#include "stage/unit_parts.h"

#define STUCK_MS  60 /* between the two looks */
#define TOP_MAX   4  /* functions of the kernel's stack that are shown */
#define KTHREADD  2
#define VALIDATOR "agave-validator"

/* What known hangs look like in the kernel's stack, and what is still safe then. The functions are
 * those of Linux 5.15 to 6.12 and OpenZFS 2.1 to 2.3. */
static const struct {
    const char *function, *also; /* also: NULL or another one that must be there */
    bool anybody;                /* a hang of the whole container, whoever is in it */
    const char *name, *safe;
} signatures[] = {
    {"dsl_dir_tempreserve_space", NULL, true,
     "io_uring on ZFS waits for a transaction that never comes",
     "only a power cycle ends it: do not stop or restart the container, Docker or the node first"},
    {"zap_pid_ns_processes", NULL, true,
     "a container's first process waits for processes that cannot end",
     "no docker stop, restart or exec on that container and no reboot: find who hangs inside it"},
    {"io_wq_put_and_exit", NULL, true, "an ending process waits for its io_uring workers",
     "wait; do not restart the container, Docker or the node, and wipe nothing"},
    {"dmu_tx_", NULL, false, "a write to ZFS waits for a transaction",
     "look at 'zpool status' and the pool's space; kill nothing, do not restart the container"},
    {"txg_wait_", NULL, false, "ZFS waits for a transaction group",
     "look at 'zpool status' and the pool's space; kill nothing, do not restart the container"},
    {"percpu_rwsem_wait", "write", false, "its file system is frozen",
     "thaw it ('fsfreeze --unfreeze MOUNT'); kill nothing"},
};

static const struct pid_info *next_of(const struct pids *a, const struct pids *b, size_t i)
{
    return i < a->n ? &a->items[i] : i - a->n < b->n ? &b->items[i - a->n] : NULL;
}

static bool among(const struct pids *all, pid_t pid)
{
    for (size_t i = 0; i < all->n; i++)
        if (all->items[i].id.pid == pid)
            return true;
    return false;
}

static bool is_validator(const char *comm)
{
    return strncmp(comm, VALIDATOR, strlen(VALIDATOR)) == 0;
}

/* The first process of a container that cannot end is not in state D (kernel/pid_namespace.c). */
static bool asleep(char state, const char *wchan)
{
    return state == 'D' || (wchan && str_eq(wchan, "zap_pid_ns_processes"));
}

/* Is it one that belongs to the matter? Kernel threads (children of 2) do not. */
static struct err *matters(const struct unit_look *l, pid_t pid, bool *ret)
{
    AUTO(closep) int fd = -1;
    AUTO(freep) char *wchan = NULL;
    struct proc_stat s = {0};

    *ret = false;
    TRY(procfs_open(l->ctx, pid, &fd));
    TRY(procfs_stat(fd, "stat", &s));
    if (s.ppid == KTHREADD || pid == KTHREADD)
        return NULL;
    /* Not readable for this user, or not in this kernel: the state has to do. */
    (void)err_free(procfs_read(fd, "wchan", 256, &wchan, NULL));
    *ret = asleep(s.state, wchan) || is_validator(s.comm);
    return NULL;
}

/* Validators on their way out, which have neither arguments nor mounts any more, and whoever sleeps
 * in the main thread (the first process of a container). */
static struct err *others(const struct unit_look *l, struct pids *ret)
{
    AUTO(freep) pid_t *pids = NULL;
    size_t n = 0;

    TRY(procfs_pids(l->ctx, &pids, &n));
    for (size_t i = 0; i < n; i++) {
        bool yes = false;
        struct err *e = matters(l, pids[i], &yes);

        if (!e && yes && !among(l->pids, pids[i]))
            e = pids_get(l->ctx, pids[i], ret);
        if (!procfs_gone(&e))
            TRY(e);
    }
    return NULL;
}

/* How often a thread gave up its processor: the same number twice, and it has not moved. */
static uint64_t switches_of(const struct unit_look *l, pid_t pid, pid_t tid)
{
    AUTO(closep) int fd = -1;
    AUTO(freep) char *name = xasprintf("task/%d/status", (int)tid);
    AUTO(freep) char *text = NULL;
    struct err *e = procfs_open(l->ctx, pid, &fd);

    e = e ? e : procfs_read(fd, name, 65536, &text, NULL);
    if (e) { /* gone, or a captured host without it: nothing speaks against a hang */
        err_free(e);
        return 0;
    }
    const char *at = strstr(text, "\nvoluntary_ctxt_switches:");
    return at ? strtoull(at + strlen("\nvoluntary_ctxt_switches:"), NULL, 10) : 0;
}

/* "io_wq_put_and_exit ← do_exit ← …" of "[<0>] io_wq_put_and_exit+0x8f/0x2b0 [zfs]" lines. To be
 * freed. */
static char *top_of(const char *stack)
{
    AUTO(strbuf_clear) struct strbuf b = {0};
    size_t n = 0;

    for (const char *l = stack; *l && n < TOP_MAX; l += strcspn(l, "\n"), l += *l == '\n') {
        const char *f = l, *bracket = strstr(l, "] ");

        if (bracket && (size_t)(bracket - l) < strcspn(l, "\n"))
            f = bracket + 2;
        size_t len = strcspn(f, "+ \n");
        if (len)
            strbuf_printf(&b, "%s%.*s", n++ ? " < " : "", (int)len, f);
    }
    return str_shown(strbuf_text(&b), 200);
}

/* The signature's number, or one too many. */
static size_t signature_of(const struct thread_info *t)
{
    const char *hay = t->stack ? t->stack : t->wchan ? t->wchan : "";
    size_t i = 0;

    while (i < ARRAY_LEN(signatures) && !(strstr(hay, signatures[i].function) &&
                                          (!signatures[i].also || strstr(hay, signatures[i].also))))
        i++;
    return i;
}

/* ours: a thread of the validator, which is told in any case. */
static bool tell(const struct pid_info *p, const struct thread_info *t, bool ours,
                 struct findings *ret)
{
    AUTO(freep) char *comm = str_shown(t->comm, 64);
    AUTO(freep) char *wchan = str_shown(t->wchan ? t->wchan : "?", 64);
    AUTO(freep) char *top = t->stack ? top_of(t->stack) : xstrdup(wchan);
    size_t s = signature_of(t);
    bool known = s < ARRAY_LEN(signatures);

    if (!ours && (!known || !signatures[s].anybody))
        return false;
    struct finding *f =
        known ? findings_add(ret, "unit.hang", 5, SEV_FAIL,
                             "thread %d (%s) of process %d hangs in the kernel: %s; %s", t->tid,
                             comm, p->id.pid, signatures[s].name, signatures[s].safe)
              : findings_add(ret, "unit.threads", 5, SEV_WARN,
                             "thread %d (%s) of process %d waits in the kernel (%s) and does not "
                             "move: look again; if it stays, look at the disk and kill nothing",
                             t->tid, comm, p->id.pid, wchan);
    finding_compare(f, NULL, top, "/proc/PID/task/TID/stack");
    return true;
}

/* One process at the first look: its threads that sleep, and how often each had moved by then. */
struct first_look {
    const struct pid_info *process;
    struct threads threads;
    uint64_t *switches;
};
struct first_looks {
    struct first_look *items;
    size_t n;
};

static void first_looks_clear(struct first_looks *f)
{
    for (size_t i = 0; i < f->n; i++) {
        threads_clear(&f->items[i].threads);
        free(f->items[i].switches);
    }
    free(f->items);
}

static struct err *look_first(const struct unit_look *l, struct first_look *ret, size_t *ret_asleep)
{
    TRY(pid_threads(l->ctx, ret->process->id, &ret->threads));
    ret->switches = xcalloc(ret->threads.n, sizeof(*ret->switches));
    for (size_t i = 0; i < ret->threads.n; i++) {
        const struct thread_info *t = &ret->threads.items[i];

        if (!asleep(t->state, t->wchan))
            continue;
        ret->switches[i] = switches_of(l, ret->process->id.pid, t->tid);
        ++*ret_asleep;
    }
    return NULL;
}

static bool still_asleep(const struct threads *t, pid_t tid)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->items[i].tid == tid)
            return asleep(t->items[i].state, t->items[i].wchan);
    return false;
}

/* Those of the first look that sleep still and have not moved meanwhile. */
static struct err *look_again(const struct unit_look *l, const struct first_look *f, size_t *ret_n,
                              struct findings *ret)
{
    const struct pid_info *p = f->process;
    bool ours = among(l->pids, p->id.pid) || is_validator(p->comm);
    AUTO(threads_clear) struct threads again = {0};

    TRY(pid_threads(l->ctx, p->id, &again));
    for (size_t i = 0; i < f->threads.n; i++) {
        const struct thread_info *t = &f->threads.items[i];

        if (asleep(t->state, t->wchan) && still_asleep(&again, t->tid) &&
            switches_of(l, p->id.pid, t->tid) == f->switches[i])
            *ret_n += tell(p, t, ours, ret);
    }
    return NULL;
}

struct err *unit_check_threads(const struct unit_look *l, struct findings *ret)
{
    AUTO(pids_clear) struct pids more = {0};
    AUTO(first_looks_clear) struct first_looks first = {0};
    size_t asleep_n = 0, stuck = 0;

    TRY(others(l, &more));
    first.items = xcalloc(l->pids->n + more.n, sizeof(*first.items));
    for (size_t i = 0; i < l->pids->n + more.n; i++) {
        first.items[i].process = next_of(l->pids, &more, i);
        first.n++;
        TRY(look_first(l, &first.items[i], &asleep_n));
    }
    if (asleep_n)
        l->ctx->clock->wait((uint64_t)STUCK_MS * 1000000, l->ctx->cancelled);
    for (size_t i = 0; i < first.n && asleep_n; i++)
        TRY(look_again(l, &first.items[i], &stuck, ret));
    if (!stuck && l->main)
        findings_add(ret, "unit.threads", 5, SEV_OK, "no thread of it hangs in the kernel");
    return NULL;
}
