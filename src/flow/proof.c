/* The stop proof: three independent looks, each of which can only say "gone" or be an error.
 *   1. the runtime knows no process of the unit (holders of the ledger's lock included);
 *   2. the lock of the ledger can be taken, and is kept;
 *   3. no process of a validator's program is on its way out (memory and descriptors already
 *      released, threads still in the kernel): such a one holds no lock and has no arguments any
 *      more. Looked for with the lock in our hands, so that none can come after the look. */
#include "flow/proof.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/pids.h"
#include "host/thread_wait.h"
#include "io/fsroot.h"
#include "io/lock.h"

struct stop_proof {
    int lock_fd; /* -1: there is no ledger */
};

/* Subcommands of agave-validator that talk to a running one (3.0.14, cli.rs): they hold nothing. */
static bool is_client(const struct pid_info *p)
{
    static const char *const verbs[] = {
        "exit",   "monitor",      "set-identity",     "set-log-filter",   "wait-for-restart-window",
        "plugin", "contact-info", "repair-whitelist", "authorized-voter", "staked-nodes-overrides"};

    for (char **a = p->argv; *a; a++)
        for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
            if (strcmp(*a, verbs[i]) == 0)
                return true;
    return false;
}

/* "DIR", "DIR/", "--ledger=DIR", "-lDIR", "-l=DIR", as clap takes it (agave-validator 3.0.14). */
static bool names(const char *arg, const char *dir)
{
    size_t n = strlen(dir);

    if (strncmp(arg, "--ledger=", 9) == 0)
        arg += 9;
    else if (strncmp(arg, "-l", 2) == 0)
        arg += arg[2] == '=' ? 3 : 2;
    return strncmp(arg, dir, n) == 0 && arg[n + strspn(arg + n, "/")] == '\0';
}

static bool has_ledger(const struct pid_info *p, const char *dir)
{
    for (char **a = p->argv; *a; a++)
        if (names(*a, dir))
            return true;
    return false;
}

/* The same path may be another place for a process in a container: places are compared, as that
 * process sees them. In our own mount namespace it is the same one, also when nothing can be seen
 * at it any more (unmounted lazily, or hidden by another mount). A process whose root is gone is on
 * its way out and may have been ours. */
static struct err *same_ledger(struct ctx *ctx, const struct pid_info *p, const struct unit *u,
                               bool *ret)
{
    AUTO(freep) char *root = xasprintf("/proc/%d/root", p->id.pid);
    AUTO(freep) char *theirs = xasprintf("%s%s", root, u->ledger);
    AUTO(pids_clear) struct pids self = {0};
    struct stat a, b, r;

    TRY(pids_get(ctx, getpid(), &self));
    *ret = p->ns_mnt != 0 && p->ns_mnt == self.items[0].ns_mnt;
    if (*ret)
        return NULL;
    struct err *e = fsroot_stat(ctx->root, u->ledger, &a);
    if (!e)
        e = fsroot_stat(ctx->root, theirs, &b);
    if (!e) {
        *ret = a.st_dev == b.st_dev && a.st_ino == b.st_ino;
        return NULL;
    }
    if (e->kind != ERR_NOTFOUND)
        return e;
    err_free(e);
    e = fsroot_stat(ctx->root, root, &r);
    *ret = e != NULL;
    err_free(e); /* whatever it is, its threads are looked at next */
    return NULL;
}

/* Validators of this ledger, and those that are too far gone to say which ledger they had. */
static struct err *may_be_ours(struct ctx *ctx, const struct pid_info *p, const struct unit *u,
                               bool *ret)
{
    *ret = !p->argv[0]; /* a leader that is a zombie may have threads that are none */
    if (!p->argv[0] || !has_ledger(p, u->ledger) || is_client(p))
        return NULL;
    return same_ledger(ctx, p, u, ret);
}

static const char *state_name(char state)
{
    switch (state) {
    case 'R':
        return "running";
    case 'S':
        return "sleeping";
    case 'D':
        return "in uninterruptible sleep";
    case 'T':
    case 't':
        return "stopped by a signal or a debugger";
    case 'Z':
    case 'X':
        return "ended, but with threads that are left";
    default:
        return "in an unknown state";
    }
}

static void describe(struct ctx *ctx, pid_t pid, struct strbuf *out)
{
    AUTO(strlist_clear) struct strlist stuck = {0};
    AUTO(pids_clear) struct pids p = {0};
    struct err *e = pids_get(ctx, pid, &p);

    strbuf_printf(out, "%sprocess %d", out->len ? "; " : "", pid);
    if (p.n)
        strbuf_printf(out, " (%s, %s)", p.items[0].comm, state_name(p.items[0].state));
    else if (e && e->kind == ERR_NOTFOUND)
        strbuf_puts(out, " (ended meanwhile)");
    if (!e)
        e = stop_stuck(ctx, &pid, 1, &stuck);
    if (e && e->kind != ERR_NOTFOUND)
        strbuf_printf(out, " (its threads cannot be read: %s)", e->text);
    err_free(e);
    for (size_t i = 0; i < stuck.n; i++)
        strbuf_printf(out, ", %s", stuck.items[i]);
}

char *stop_who(struct ctx *ctx, const pid_t *pids, size_t n)
{
    AUTO(strbuf_clear) struct strbuf who = {0};

    for (size_t i = 0; i < n; i++)
        describe(ctx, pids[i], &who);
    return strbuf_take(&who);
}

static struct err *nobody_known(struct ctx *ctx, const struct runtime *rt, const struct unit *u)
{
    AUTO(freep) pid_t *pids = NULL;
    size_t n = 0;

    TRY(rt->pids(ctx, u, &pids, &n));
    if (n == 0)
        return NULL;
    AUTO(freep) char *who = stop_who(ctx, pids, n);
    return err_new(ERR_REFUSED, "the validator is still there: %s", who);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static void add_once(struct strlist *l, const char *name)
{
    if (!strlist_has(l, name))
        strlist_add(l, name);
}

/* Under which names a process of the unit may be found: the config's program, the one that was
 * really started (up --agave-bin), and Agave's own. */
static struct err *program_names(struct ctx *ctx, const struct runtime *rt, const struct unit *u,
                                 struct strlist *ret)
{
    AUTO(freep) char *started = NULL;

    TRY(rt->program(ctx, u, &started));
    add_once(ret, base_name(u->bin));
    if (started)
        add_once(ret, base_name(started));
    add_once(ret, "agave-validator");
    return NULL;
}

static struct err *look_for_leaving(struct ctx *ctx, const struct unit *u, const char *name,
                                    struct strbuf *who)
{
    struct pids_match match = {.name = name};
    AUTO(pids_clear) struct pids found = {0};

    TRY(pids_find(ctx, &match, &found));
    for (size_t i = 0; i < found.n; i++) {
        const struct pid_info *p = &found.items[i];
        uint32_t left = 0;
        bool ours = false;

        TRY(may_be_ours(ctx, p, u, &ours));
        if (!ours)
            continue;
        TRY(pids_threads_left(ctx, p->id.pid, p->id.start, &left));
        if (left)
            describe(ctx, p->id.pid, who);
    }
    return NULL;
}

static struct err *nobody_leaving(struct ctx *ctx, const struct runtime *rt, const struct unit *u)
{
    AUTO(strlist_clear) struct strlist names = {0};

    TRY(program_names(ctx, rt, u, &names));
    for (size_t i = 0; i < names.n; i++) {
        AUTO(strbuf_clear) struct strbuf who = {0};

        TRY(look_for_leaving(ctx, u, names.items[i], &who));
        if (who.len)
            return err_new(ERR_REFUSED, "something of '%s' is still there: %s", names.items[i],
                           strbuf_text(&who));
    }
    return NULL;
}

struct err *stop_prove(struct ctx *ctx, const struct runtime *rt, const struct unit *u,
                       struct stop_proof **ret)
{
    AUTO(freep) char *lock = xasprintf("%s/ledger.lock", u->ledger);
    AUTO(closep) int fd = -1;
    struct err *e;

    TRY(nobody_known(ctx, rt, u));
    e = flock_take(lock, &fd);
    if (e && e->kind != ERR_NOTFOUND)
        return err_wrap(e, "the ledger's lock");
    err_free(e); /* no lock file: no validator ever ran on this ledger */
    TRY(nobody_leaving(ctx, rt, u));
    *ret = xcalloc(1, sizeof(**ret));
    (*ret)->lock_fd = TAKE_FD(fd);
    return NULL;
}

struct stop_proof *stop_proof_release(struct stop_proof *p)
{
    if (p) {
        closep(&p->lock_fd);
        free(p);
    }
    return NULL;
}

void stop_proof_releasep(struct stop_proof **p)
{
    *p = stop_proof_release(*p);
}

/* Where it sleeps, and on which file and mount when the kernel tells. */
static struct err *tell_stuck(struct ctx *ctx, pid_t pid, const struct thread_info *t,
                              struct strlist *ret)
{
    AUTO(thread_wait_clear) struct thread_wait w = {0};
    AUTO(strbuf_clear) struct strbuf text = {0};

    TRY(thread_wait_find(ctx, pid, t->tid, &w));
    strbuf_printf(&text, "thread %d (%s) in uninterruptible sleep in %s", t->tid, t->comm,
                  t->wchan ? t->wchan : "an unknown place");
    if (w.file)
        strbuf_printf(&text, " at '%s'", w.file);
    if (w.mount)
        strbuf_printf(&text, " on the mount '%s' (%s)", w.mount, w.fstype);
    strlist_add(ret, strbuf_text(&text));
    return NULL;
}

struct err *stop_stuck(struct ctx *ctx, const pid_t *pids, size_t n, struct strlist *ret)
{
    for (size_t i = 0; i < n; i++) {
        AUTO(threads_clear) struct threads t = {0};
        struct pid_id id = {.pid = pids[i]};
        struct err *e = pid_start(ctx, pids[i], &id.start);

        if (e && e->kind == ERR_NOTFOUND) {
            err_free(e);
            continue;
        }
        if (e)
            return e;
        TRY(pid_threads_stuck(ctx, id, &t));
        for (size_t k = 0; k < t.n; k++)
            TRY(tell_stuck(ctx, pids[i], &t.items[k], ret));
    }
    return NULL;
}
