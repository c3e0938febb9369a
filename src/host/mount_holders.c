/* Who keeps a mount: mounts of the same file system in every mount namespace that has a process,
 * as far as they would not go together with it, users of its device, and processes. */
#include "host/mount_holders.h"

#include <fcntl.h>
#include <string.h>

#include "base/str.h"
#include "host/block_users.h"
#include "host/mounts.h"
#include "host/pid_files.h"
#include "host/procfs.h"
#include "io/fsroot.h"

#define SAID_MAX  4  /* of them all, in a message */
#define GROUP_MAX 16 /* a slave's slave's slave */
#define DEPTH_MAX 64 /* of mounts on mounts */

/* One mount namespace's table. */
struct table {
    uint64_t ns;
    pid_t pid;
    char comm[64];
    struct mounts m;
};
struct tables { /* [0]: our own */
    struct table *items;
    size_t n, cap;
};

static void tables_clear(struct tables *t)
{
    for (size_t i = 0; i < t->n; i++)
        mounts_clear(&t->items[i].m);
    free(t->items);
    *t = (struct tables){0};
}

static struct table *tables_add(struct tables *t)
{
    t->items = xgrow(t->items, &t->cap, t->n + 1, sizeof(*t->items));
    t->items[t->n] = (struct table){0};
    return &t->items[t->n++];
}

static bool is_known(const struct tables *t, uint64_t ns)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->items[i].ns == ns)
            return true;
    return false;
}

static struct err *add_process(struct ctx *ctx, struct tables *t, pid_t pid)
{
    AUTO(closep) int fd = -1;
    struct proc_stat s;
    uint64_t ns = 0;

    TRY(procfs_open_live(ctx, pid, &fd));
    TRY(procfs_stat(fd, "stat", &s));
    struct err *e = procfs_ns(fd, "mnt", &ns);
    if (!procfs_hidden(&e)) /* where the number is hidden, the table is not */
        TRY(e);
    if (ns && is_known(t, ns))
        return NULL;
    struct mounts m = {0};
    TRY(mounts_read_of(ctx, pid, &m));
    struct table *x = tables_add(t);
    *x = (struct table){.ns = ns, .pid = pid, .m = m};
    memcpy(x->comm, s.comm, sizeof(x->comm));
    return NULL;
}

static struct err *read_own(struct ctx *ctx, struct tables *t)
{
    AUTO(closep) int self = -1;
    struct table *own = tables_add(t);

    TRY(fsroot_openat(ctx->root, "/proc/self", O_RDONLY | O_DIRECTORY, 0, &self));
    TRY(procfs_ns(self, "mnt", &own->ns));
    return mounts_read(ctx, &own->m);
}

static struct err *read_all(struct ctx *ctx, struct tables *t)
{
    AUTO(freep) pid_t *pids = NULL;
    size_t n = 0;

    TRY(read_own(ctx, t));
    TRY(procfs_pids(ctx, &pids, &n));
    for (size_t i = 0; i < n; i++) {
        struct err *e = add_process(ctx, t, pids[i]);

        if (!procfs_gone(&e))
            TRY_CTX(e, "cannot look at the mounts of process %d", (int)pids[i]);
    }
    return NULL;
}

static bool at_or_below(const char *path, const char *base)
{
    size_t n = strlen(base);

    if (n == 1)
        return path[0] == '/';
    return strncmp(path, base, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static const struct mount_info *parent_of(const struct mounts *m, const struct mount_info *x)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->items[i].id == x->parent_id && &m->items[i] != x)
            return &m->items[i];
    return NULL;
}

static bool same_device(const struct mount_info *a, const struct mount_info *b)
{
    return a->major == b->major && a->minor == b->minor;
}

/* The group that a member of this one receives from; 0: none that can be seen. */
static uint32_t master_of(const struct tables *t, uint32_t group)
{
    for (size_t i = 0; i < t->n; i++)
        for (size_t k = 0; k < t->items[i].m.n; k++)
            if (t->items[i].m.items[k].shared == group && t->items[i].m.items[k].master)
                return t->items[i].m.items[k].master;
    return 0;
}

/* Does an unmount on `from` go on to `to`? */
static bool passes_on(const struct tables *t, const struct mount_info *from,
                      const struct mount_info *to)
{
    if (!from->shared)
        return false;
    if (to->shared == from->shared)
        return true;
    uint32_t group = to->master;
    for (int i = 0; group && i < GROUP_MAX; i++) {
        if (group == from->shared)
            return true;
        group = master_of(t, group);
    }
    return false;
}

/* Is x (of table xt) what an unmount of y (of table yt) also takes away there, but for what may be
 * mounted on it? */
static bool is_copy(const struct tables *t, const struct mounts *yt, const struct mount_info *y,
                    const struct mounts *xt, const struct mount_info *x)
{
    const struct mount_info *yp = parent_of(yt, y), *xp = parent_of(xt, x);

    if (!yp || !xp || !same_device(x, y) || !same_device(xp, yp) || !str_eq(x->root, y->root) ||
        !passes_on(t, yp, xp))
        return false;
    AUTO(freep) char *a = mount_inner_path(yp, y->target);
    AUTO(freep) char *b = mount_inner_path(xp, x->target);
    return str_eq(a, b);
}

struct search {
    const struct mount_gone *gone;
    struct tables tables;
    const struct mount_info *it; /* that is to be taken away */
    struct strlist said;
};

static void search_clear(struct search *s)
{
    tables_clear(&s->tables);
    strlist_clear(&s->said);
}

/* Ours, and taken away before it or with it. */
static bool goes_itself(const struct search *s, const struct mount_info *own)
{
    if (own == s->it)
        return true;
    for (size_t i = 0; s->gone->before && s->gone->before[i]; i++)
        if (at_or_below(own->target, s->gone->before[i]))
            return true;
    return false;
}

/* Would x be gone as well, with what is mounted on it? */
static bool goes_too(const struct search *s, const struct mounts *xt, const struct mount_info *x,
                     int depth)
{
    const struct mounts *own = &s->tables.items[0].m;
    bool goes = xt == own && goes_itself(s, x);

    for (size_t i = 0; i < own->n && !goes; i++)
        goes = goes_itself(s, &own->items[i]) && is_copy(&s->tables, own, &own->items[i], xt, x);
    if (!goes || depth == 0)
        return false;
    for (size_t i = 0; i < xt->n; i++)
        if (xt->items[i].parent_id == x->id && &xt->items[i] != x &&
            !goes_too(s, xt, &xt->items[i], depth - 1))
            return false;
    return true;
}

/* Of a bind: a mount of another namespace that belongs to one of ours which stays. */
static bool is_of_another(const struct search *s, const struct mounts *xt,
                          const struct mount_info *x)
{
    const struct mounts *own = &s->tables.items[0].m;

    for (size_t i = 0; i < own->n; i++)
        if (&own->items[i] != s->it && is_copy(&s->tables, own, &own->items[i], xt, x))
            return true;
    return false;
}

static bool holds(const struct search *s, size_t at, const struct mount_info *x)
{
    const struct mounts *xt = &s->tables.items[at].m;

    if (!same_device(x, s->it) || x == s->it)
        return false;
    if (s->gone->bind && (at == 0 || !at_or_below(x->root, s->it->root)))
        return false;
    if (goes_too(s, xt, x, DEPTH_MAX))
        return false;
    return !s->gone->bind || !is_of_another(s, xt, x);
}

static void look_at_mounts(struct search *s)
{
    for (size_t i = 0; i < s->tables.n; i++) {
        const struct table *t = &s->tables.items[i];

        for (size_t k = 0; k < t->m.n; k++) {
            if (!holds(s, i, &t->m.items[k]))
                continue;
            if (i == 0)
                strlist_addf(&s->said, "mounted at '%s'", t->m.items[k].target);
            else
                strlist_addf(&s->said, "mounted at '%s' in the mount namespace of process %d (%s)",
                             t->m.items[k].target, (int)t->pid, t->comm);
        }
    }
}

/* What is mounted on it, in our own table. */
static void look_below(struct search *s)
{
    const struct mounts *own = &s->tables.items[0].m;

    for (size_t i = 0; i < own->n; i++)
        if (own->items[i].parent_id == s->it->id && &own->items[i] != s->it &&
            !goes_too(s, own, &own->items[i], DEPTH_MAX))
            strlist_addf(&s->said, "'%s' is mounted below it", own->items[i].target);
}

static struct err *look_at_device(struct ctx *ctx, struct search *s)
{
    AUTO(block_users_clear) struct block_users u = {0};

    if (s->gone->bind || s->it->major == 0)
        return NULL;
    TRY(block_users_of(ctx, s->it->major, s->it->minor, &u));
    for (size_t i = 0; i < u.n; i++)
        if (u.items[i].kind != BLOCK_USER_MOUNT) /* looked at above, with what goes too */
            strlist_addf(&s->said, "its device is %s", u.items[i].text);
    return NULL;
}

static struct err *look_at_processes(struct ctx *ctx, struct search *s)
{
    AUTO(pids_clear) struct pids p = {0};

    TRY(pids_using(ctx, s->gone->target, &p));
    for (size_t i = 0; i < p.n; i++)
        strlist_addf(&s->said, "in use by process %d (%s)", (int)p.items[i].id.pid,
                     p.items[i].comm);
    return NULL;
}

static char *text_of(const struct strlist *said)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    for (size_t i = 0; i < said->n && i < SAID_MAX; i++)
        strbuf_printf(&b, "%s%s", i ? "; " : "", said->items[i]);
    if (said->n > SAID_MAX)
        strbuf_printf(&b, "; and %zu more", said->n - SAID_MAX);
    return said->n ? strbuf_take(&b) : NULL;
}

struct err *mount_holders(struct ctx *ctx, const struct mount_gone *g, char **ret_who)
{
    AUTO(search_clear) struct search s = {.gone = g};

    TRY(read_all(ctx, &s.tables));
    s.it = mounts_at(&s.tables.items[0].m, g->target);
    if (!s.it)
        return err_new(ERR_NOTFOUND, "nothing is mounted at '%s'", g->target);
    look_below(&s);
    look_at_mounts(&s);
    TRY(look_at_device(ctx, &s));
    TRY(look_at_processes(ctx, &s));
    *ret_who = text_of(&s.said);
    return NULL;
}

/* How many mounts it stands on, up to that one; 0: it does not. */
static int height_above(const struct mounts *m, const struct mount_info *x,
                        const struct mount_info *base)
{
    for (int n = 0; x && n < DEPTH_MAX; n++, x = parent_of(m, x))
        if (x == base)
            return n;
    return 0;
}

/* Is there a mount that this one came from: of the same group, or the one it receives from? Or, of
 * a folder that is bound on itself, the one at its own place, which the bind hides? */
static bool came_with(const struct mounts *m, const struct mount_info *x,
                      const struct mount_info *bind)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct mount_info *y = &m->items[i];

        if (y == bind || height_above(m, y, bind) > 0 || !same_device(x, y) ||
            !str_eq(x->root, y->root))
            continue;
        if (str_eq(x->target, y->target))
            return true;
        if (y->shared && (y->shared == x->shared || y->shared == x->master))
            return true;
    }
    return false;
}

struct err *mount_bound_below(struct ctx *ctx, const char *target, struct strlist *ret)
{
    AUTO(mounts_clear) struct mounts m = {0};

    TRY(mounts_read(ctx, &m));
    const struct mount_info *bind = mounts_at(&m, target);
    for (int height = DEPTH_MAX; bind && height > 0; height--) {
        for (size_t i = 0; i < m.n; i++) {
            const struct mount_info *x = &m.items[i];

            if (height_above(&m, x, bind) != height)
                continue;
            if (!came_with(&m, x, bind))
                return err_new(ERR_REFUSED, "'%s' is mounted below '%s': unmount it first",
                               x->target, target);
            strlist_add(ret, x->target);
        }
    }
    return NULL;
}
