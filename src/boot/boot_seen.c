/* agavectl boot seen: the host's accounts folder is what kind node and pod have before them. A
 * mount that did not get through fails silently: the pod writes into the empty folder below it, on
 * the wrong disk. Compared as the kernel knows a folder (st_dev, st_ino), and as the tables of
 * mounts do (device, and folder within its file system), through the root of a process in each. */
#include "boot/boot.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "boot/boot_parts.h"
#include "config/config.h"
#include "host/mounts.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "look/discover_args.h"
#include "look/scene_cluster.h"
#include "stage/storage_now.h"

#define COLUMNS 2
#define POLL_MS 5000
#define MORE_S  60 /* the deadline is that of the boot; this one holds when its clock stands */

/* One of the proof's two columns. */
struct column {
    const char *name; /* "the kind node" */
    bool asked;       /* false: this host has none */
    uint64_t *at;     /* in the proof */
    char *path;       /* of the accounts there; NULL: it cannot have them */
    pid_t pid;
    char *why; /* why it is not seen yet, or NULL */
};
struct seen {
    struct ctx *ctx;
    struct scene *scene;
    struct boot_proof p;
    struct column columns[COLUMNS];
};
static void seen_clear(struct seen *s)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        free(s->columns[i].path);
        free(s->columns[i].why);
    }
    s->scene = scene_free(s->scene);
    boot_proof_clear(&s->p);
}

/* A folder of the host as the node has it, or NULL when it is not below kind_root there. */
static char *in_node(const struct config *c, const char *path)
{
    AUTO(freep) char *bound = storage_through_bind(c, path);
    const char *host = bound ? bound : path, *root = c->storage.kind_root;
    size_t n = strlen(root);

    if (strncmp(host, root, n) != 0 || (host[n] && host[n] != '/'))
        return NULL;
    return xasprintf("%s%s", c->kind.mount, host + n);
}

static struct err *find_node(struct seen *s, struct column *c)
{
    const struct docker_inspect *node = NULL;

    TRY(scene_node(s->ctx, s->scene, &node));
    if (!node->running || node->pid <= 0)
        return err_new(ERR_NOTFOUND, "the container '%s' does not run", node->name);
    c->pid = node->pid;
    c->path = in_node(s->ctx->cfg, s->ctx->cfg->validator.accounts);
    if (!c->path)
        return err_new(ERR_NOTFOUND, "'%s' is not below '%s', which is all that it has",
                       s->ctx->cfg->validator.accounts, s->ctx->cfg->storage.kind_root);
    return NULL;
}

/* The validator's process stands for the pod; its own flag says where its accounts are. A pod that
 * nobody wants (0 replicas) is not waited for. */
static struct err *find_pod(struct seen *s, struct column *c)
{
    const struct kube_deployment *d = NULL;
    const struct pids *v = NULL;

    TRY(scene_validator(s->ctx, s->scene, &v));
    if (!v->n) {
        struct err *e = scene_deployment(s->ctx, s->scene, &d);

        c->asked = e || d->replicas;
        err_free(e); /* that there is no process is the answer */
        return err_new(ERR_NOTFOUND, "no validator runs");
    }
    AUTO(discovered_args_clear) struct discovered_args args = {0};
    if (v->items[0].argv[0])
        discover_args(v->items[0].argv + 1, &args);
    const struct arg_value *a = discovered_arg(&args, "validator.accounts");
    if (!a || !a->items.n)
        return err_new(ERR_NOTFOUND, "process %d names no accounts", (int)v->items[0].id.pid);
    c->pid = v->items[0].id.pid;
    c->path = xstrdup(a->items.items[0]);
    return NULL;
}

/* The two tables of mounts lead to the same folder of the same file system? */
static struct err *same_mount(struct ctx *ctx, const struct column *c, bool *ret)
{
    const char *accounts = ctx->cfg->validator.accounts;
    AUTO(mounts_clear) struct mounts here = {0};
    AUTO(mounts_clear) struct mounts there = {0};

    TRY(mounts_read(ctx, &here));
    TRY(mounts_read_of(ctx, c->pid, &there));
    const struct mount_info *a = mounts_over(&here, accounts), *b = mounts_over(&there, c->path);
    if (!a || !b)
        return err_new(ERR_CORRUPT, "a table of mounts has no root");
    AUTO(freep) char *at = mount_inner_path(a, accounts);
    AUTO(freep) char *bt = mount_inner_path(b, c->path);
    *ret = a->major == b->major && a->minor == b->minor && str_eq(at, bt);
    return NULL;
}

static struct err *compare(struct seen *s, const struct column *c)
{
    AUTO(freep) char *proc = xasprintf("/proc/%d/root", (int)c->pid);
    AUTO(freep) char *dir = fsroot_path(s->ctx->root, proc);
    AUTO(fsroot_closep) struct fsroot *root = NULL;
    struct stat st;
    bool same = false;

    TRY(fsroot_open(dir, &root));
    TRY(fsroot_stat(root, c->path, &st));
    if (st.st_dev == s->p.accounts_dev && st.st_ino == s->p.accounts_ino)
        TRY(same_mount(s->ctx, c, &same));
    if (!same)
        return err_new(ERR_CORRUPT,
                       "it has another folder at '%s' than the host at '%s' (device %" PRIu64
                       " inode %" PRIu64 ", not %" PRIu64 " %" PRIu64
                       "): see 'agavectl check propagation'",
                       c->path, s->ctx->cfg->validator.accounts, (uint64_t)st.st_dev,
                       (uint64_t)st.st_ino, s->p.accounts_dev, s->p.accounts_ino);
    return NULL;
}

static void look_column(struct seen *s, struct column *c,
                        struct err *(*find)(struct seen *s, struct column *c), struct strlist *said)
{
    struct err *e = NULL;

    if (!c->asked || *c->at)
        return;
    e = find(s, c);
    e = e ? e : compare(s, c);
    if (!e) {
        *c->at = boot_clock_s(s->ctx);
        strlist_addf(said, "%s has the host's accounts folder, at '%s'", c->name, c->path);
        return;
    }
    c->why = xstrdup(e->text);
    err_free(e);
}

static bool is_waiting(const struct seen *s)
{
    for (size_t i = 0; i < COLUMNS; i++)
        if (s->columns[i].asked && !*s->columns[i].at)
            return true;
    return false;
}

static char *missing(const struct seen *s)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    for (size_t i = 0; i < COLUMNS; i++) {
        const struct column *c = &s->columns[i];

        if (c->asked && !*c->at)
            strbuf_printf(&b, "%s%s: %s", b.len ? "; " : "", c->name, c->why);
    }
    return str_shown(strbuf_text(&b), 4000);
}

/* "12345.67 …" of /proc/uptime (proc(5)). */
static struct err *uptime(struct ctx *ctx, uint64_t *ret_s)
{
    AUTO(freep) char *line = NULL;

    TRY(fsroot_read_line(ctx->root, "/proc/uptime", &line));
    line[strcspn(line, ". ")] = '\0';
    TRY_CTX(parse_u64(line, 0, UINT32_MAX, ret_s), "/proc/uptime");
    return NULL;
}

static void columns_of(struct seen *s)
{
    const struct config *c = s->ctx->cfg;
    AUTO(freep) char *node = scene_node_name(s->ctx);

    s->columns[0] = (struct column){
        .name = "the kind node", .asked = node && *c->storage.kind_root, .at = &s->p.node_seen_at};
    s->columns[1] = (struct column){.name = "the validator's pod",
                                    .asked = str_eq(c->validator.runtime, "kubernetes") ||
                                             *c->kubernetes.deployment,
                                    .at = &s->p.pod_seen_at};
}

/* One look, with the lock held for it alone: the commands before it in a boot must not wait. */
static struct err *look(struct ctx *ctx, struct strlist *said, char **ret_missing)
{
    AUTO(seen_clear) struct seen s = {.ctx = ctx};
    AUTO(freep) char *damaged = NULL;
    AUTO(closep) int lock = -1;

    TRY(boot_lock(ctx, &lock));
    TRY(boot_proof_now(ctx, &s.p, &damaged));
    if (!s.p.owned_at)
        return err_new(ERR_NOTFOUND, "the storage of this boot is not ready: 'agavectl boot "
                                     "finish' has not come to its end");
    s.scene = scene_new();
    columns_of(&s);
    look_column(&s, &s.columns[0], find_node, said);
    look_column(&s, &s.columns[1], find_pod, said);
    freep(ret_missing);
    *ret_missing = is_waiting(&s) ? missing(&s) : NULL;
    if (!*ret_missing) {
        freep(&s.p.unseen);
        s.p.unseen = NULL;
    }
    return boot_proof_save(ctx, &s.p);
}

static struct err *give_up(struct ctx *ctx, const char *text)
{
    AUTO(boot_proof_clear) struct boot_proof p = {0};
    AUTO(freep) char *damaged = NULL;
    AUTO(closep) int lock = -1;

    TRY(boot_lock(ctx, &lock));
    TRY(boot_proof_now(ctx, &p, &damaged));
    free(p.unseen);
    p.unseen = xstrdup(text);
    TRY(boot_proof_save(ctx, &p));
    return err_new(ERR_TIMEOUT, "not seen within %" PRIu64 " s after the boot: %s",
                   ctx->cfg->boot.seen_timeout_s, text);
}

struct waiting {
    struct strlist *said;
    char *missing;
    bool last; /* the deadline has passed: there is no other look */
};

static struct err *look_again(struct ctx *ctx, void *arg, bool *ret_done)
{
    struct waiting *w = arg;
    uint64_t up = 0;

    TRY(uptime(ctx, &up)); /* before the look: there is always one after the deadline */
    TRY(look(ctx, w->said, &w->missing));
    w->last = up >= ctx->cfg->boot.seen_timeout_s;
    *ret_done = !w->missing || w->last;
    return NULL;
}

struct err *boot_seen(struct ctx *ctx, bool wait, struct strlist *ret_said)
{
    AUTO(freep) char *missing = NULL;
    struct waiting w = {.said = ret_said};
    uint64_t limit_ms = (ctx->cfg->boot.seen_timeout_s + MORE_S) * 1000;
    bool done = false;

    struct err *e = wait ? wait_until(ctx, "kind node and pod", limit_ms, POLL_MS, look_again, &w)
                         : look_again(ctx, &w, &done);
    missing = w.missing;
    TRY(e);
    if (missing && w.last)
        return give_up(ctx, missing);
    if (missing)
        return err_new(ERR_NOTFOUND, "not seen yet: %s", missing);
    strlist_add(ret_said, "nothing is left to wait for");
    return NULL;
}
