/* Nothing that the validator writes may lie on ZFS: its io_uring workers can end in uninterruptible
 * sleep there, and then not even a reboot gets through. What it writes is known from three sides:
 * the config, its command line, and what it has open for writing right now. A path is looked up in
 * the mounts of whoever names it; behind an overlay, where its upper folder lies is what counts,
 * and that is named by the one who mounted it: a process further up. */
#include <string.h>

#include "base/str.h"
#include "config/config.h"
#include "host/open_files.h"
#include "host/procfs.h"
#include "io/fsroot.h"
#include "stage/unit_parts.h"

#define VIEWS_MAX    8
#define PARENTS_MAX  64
#define DAEMON_MAX_B (1U << 20)

/* The mount tables on the way from the validator to the host, each one once. */
struct views {
    struct mounts own[VIEWS_MAX]; /* those that are read here */
    const struct mounts *items[VIEWS_MAX];
    size_t n;
};

static void views_clear(struct views *v)
{
    for (size_t i = 0; i < VIEWS_MAX; i++)
        mounts_clear(&v->own[i]);
}

/* File systems on ZFS, with one thing that is written there. */
struct hit {
    char *source, *example;
};
struct hits {
    struct hit *items;
    size_t n, cap;
};

static void hits_clear(struct hits *h)
{
    for (size_t i = 0; i < h->n; i++) {
        free(h->items[i].source);
        free(h->items[i].example);
    }
    free(h->items);
}

static void hits_add(struct hits *h, const char *source, const char *what, const char *path)
{
    for (size_t i = 0; i < h->n; i++)
        if (str_eq(h->items[i].source, source))
            return;
    AUTO(freep) char *shown = str_shown(path, 200);
    h->items = xgrow(h->items, &h->cap, h->n + 1, sizeof(*h->items));
    h->items[h->n++] =
        (struct hit){.source = xstrdup(source), .example = xasprintf("%s '%s'", what, shown)};
}

/* The value of "upperdir=" in the options of an overlay; to be freed; NULL: read-only. */
static char *upper_folder(const struct mount_info *m)
{
    const char *at = strstr(m->fs_options, "upperdir=");

    if (!at)
        return NULL;
    at += strlen("upperdir=");
    return xstrndup(at, strcspn(at, ","));
}

/* The ZFS that a path lies on, as seen in view number i, or NULL. Borrowed from the views. Whoever
 * mounted an overlay stands further out, or is the host itself. */
static const struct mount_info *zfs_below(const struct views *v, size_t i, const char *path)
{
    AUTO(freep) char *at = xstrdup(path);

    for (size_t hops = 0; hops <= VIEWS_MAX && at; hops++) {
        const struct mount_info *m = mounts_over(v->items[i], at);

        if (!m || str_eq(m->fstype, "zfs"))
            return m;
        if (!str_eq(m->fstype, "overlay"))
            return NULL;
        free(at);
        at = upper_folder(m);
        i += i + 1 < v->n;
    }
    return NULL;
}

static void look_at_path(const struct views *v, size_t view, const char *what, const char *path,
                         struct hits *h)
{
    const struct mount_info *m = path[0] == '/' ? zfs_below(v, view, path) : NULL;

    if (m)
        hits_add(h, m->source, what, path);
}

/* Parents until the host: each with a mount namespace that was not seen yet gives a view. */
static struct err *views_of(const struct unit_look *l, struct views *v)
{
    uint64_t seen = l->main->ns_mnt;
    pid_t pid = l->main->ppid;

    v->items[v->n++] = &l->view;
    for (int hops = 0; !l->own_view && hops < PARENTS_MAX && pid > 1 && v->n + 1 < VIEWS_MAX;
         hops++) {
        AUTO(pids_clear) struct pids parent = {0};
        struct err *e = pids_get(l->ctx, pid, &parent);

        if (procfs_gone(&e))
            break;
        TRY(e);
        pid = parent.items[0].ppid;
        if (parent.items[0].ns_mnt == seen)
            continue;
        seen = parent.items[0].ns_mnt;
        e = mounts_read_of(l->ctx, parent.items[0].id.pid, &v->own[v->n]);
        if (procfs_gone(&e))
            break;
        TRY(e);
        v->items[v->n] = &v->own[v->n];
        v->n++;
    }
    v->items[v->n++] = l->host;
    return NULL;
}

static void look_at_config(const struct unit_look *l, const struct views *v, struct hits *h)
{
    const struct config *c = l->ctx->cfg;
    const struct {
        const char *what, *path;
    } all[] = {
        {"ledger", c->validator.ledger},
        {"accounts", c->validator.accounts},
        {"snapshots", c->validator.snapshots},
        {"log", c->validator.log},
    };

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        AUTO(freep) char *real = NULL;
        AUTO(err_freep) struct err *e = fsroot_real(l->ctx->root, all[i].path, &real);

        look_at_path(v, v->n - 1, all[i].what, e ? all[i].path : real, h);
    }
}

static void look_at_flags(const struct unit_look *l, const struct views *v, struct hits *h)
{
    static const struct {
        const char *flag, *short_flag, *what;
    } flags[] = {
        {"--ledger", "-l", "ledger"},
        {"--accounts", NULL, "accounts"},
        {"--accounts-index-path", NULL, "accounts index"},
        {"--accounts-hash-cache-path", NULL, "accounts hash cache"},
        {"--snapshots", NULL, "snapshots"},
        {"--full-snapshot-archive-path", NULL, "full snapshots"},
        {"--incremental-snapshot-archive-path", NULL, "incremental snapshots"},
        {"--log", "-o", "log"},
    };

    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        size_t at = 0;

        for (const char *p = unit_arg_next(l->main, flags[i].flag, flags[i].short_flag, &at); p;
             p = unit_arg_next(l->main, flags[i].flag, flags[i].short_flag, &at))
            look_at_path(v, 0, flags[i].what, p, h);
    }
}

/* Files that the node puts into a container and the validator does not write. */
static bool is_nodes_own(const char *target)
{
    static const char *const files[] = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf",
                                        "/dev/termination-log"};

    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        if (str_eq(files[i], target))
            return true;
    return false;
}

/* What a container may write is what is mounted for it: its root, emptyDir and other volumes. On
 * the host itself that would be everything. */
static void look_at_mounts(const struct unit_look *l, const struct views *v, struct hits *h)
{
    for (size_t i = 0; !l->own_view && i < l->view.n; i++) {
        const struct mount_info *m = &l->view.items[i];
        bool read_only = str_starts(m->options, "ro") && (!m->options[2] || m->options[2] == ',');

        if (read_only || is_nodes_own(m->target))
            continue;
        const char *what = strstr(m->root, "kubernetes.io~empty-dir") ? "emptyDir"
                           : str_eq(m->target, "/")                   ? "the container's root"
                                                                      : "volume";
        look_at_path(v, 0, what, m->target, h);
    }
}

static struct err *look_at_files(const struct unit_look *l, const struct views *v,
                                 const struct pid_info *p, struct hits *h, size_t *ret_written,
                                 size_t *ret_unseen)
{
    AUTO(open_files_clear) struct open_files f = {0};
    struct err *e = open_files_read(l->ctx, p->id.pid, &f);

    if (procfs_gone(&e))
        return NULL;
    TRY(e);
    for (size_t i = 0; i < f.n; i++) {
        if (!f.items[i].writing)
            continue;
        ++*ret_written;
        look_at_path(v, 0, "open file", f.items[i].path, h);
    }
    *ret_unseen += f.unseen;
    return NULL;
}

/* Docker's data root holds what containers write outside their volumes: only asked where the
 * validator is to run in one. */
static struct err *look_at_docker(const struct unit_look *l, const struct views *v, struct hits *h)
{
    AUTO(freep) char *text = NULL;
    AUTO(json_freep) struct json *j = NULL;
    const char *root = "/var/lib/docker";
    size_t n = 0;

    if (!*l->ctx->cfg->kind.cluster)
        return NULL;
    struct err *e = fsroot_read(l->ctx->root, "/etc/docker/daemon.json", DAEMON_MAX_B, &text, &n);
    if (!e)
        e = json_parse(text, n, &j);
    if (e && e->kind == ERR_NOTFOUND)
        e = err_free(e); /* Docker's defaults */
    TRY_CTX(e, "/etc/docker/daemon.json");
    if (json_get(j, "data-root"))
        TRY_CTX(json_as_str(json_get(j, "data-root"), &root), "/etc/docker/daemon.json");
    AUTO(freep) char *real = NULL;
    TRY(fsroot_real(l->ctx->root, root, &real));
    look_at_path(v, v->n - 1, "Docker's data root", real, h);
    return NULL;
}

static void tell(const struct hits *h, const struct unit_look *l, size_t written,
                 struct findings *ret)
{
    for (size_t i = 0; i < h->n; i++) {
        AUTO(freep) char *source = str_shown(h->items[i].source, 200);

        finding_compare(findings_add(ret, "unit.zfs", 5, SEV_FAIL,
                                     "the validator writes to ZFS '%s': %s; io_uring on ZFS can "
                                     "hang the machine: move that to an XFS while it is stopped",
                                     source, h->items[i].example),
                        "XFS on a block device", "zfs",
                        l->main ? "/proc/PID/mountinfo" : "/proc/self/mountinfo");
    }
    if (h->n)
        return;
    if (l->main)
        findings_add(ret, "unit.zfs", 5, SEV_OK,
                     "nothing that the validator writes is on ZFS (%zu files open for writing)",
                     written);
    else
        findings_add(ret, "unit.zfs", 5, SEV_OK, "nothing that it would write is on ZFS");
}

/* In its own view: what it is told to write, what is mounted for it, what it has open. */
static struct err *look_at_running(const struct unit_look *l, const struct views *v, struct hits *h,
                                   size_t *ret_written, size_t *ret_unseen)
{
    look_at_flags(l, v, h);
    look_at_mounts(l, v, h);
    for (size_t i = 0; i < l->pids->n; i++)
        if (l->pids->items[i].ns_mnt == l->main->ns_mnt)
            TRY(look_at_files(l, v, &l->pids->items[i], h, ret_written, ret_unseen));
    return NULL;
}

struct err *unit_check_zfs(const struct unit_look *l, struct findings *ret)
{
    AUTO(views_clear) struct views v = {0};
    AUTO(hits_clear) struct hits h = {0};
    size_t written = 0, unseen = 0;
    bool looked = l->main && l->view.n;

    TRY(err_copy(l->blind));
    if (looked)
        TRY(views_of(l, &v));
    else
        v.items[v.n++] = l->host;
    look_at_config(l, &v, &h);
    if (looked)
        TRY(look_at_running(l, &v, &h, &written, &unseen));
    TRY(look_at_docker(l, &v, &h));
    tell(&h, l, written, ret);
    if (unseen)
        findings_add(ret, "unit.files", 5, SEV_UNKNOWN,
                     "%zu descriptors of the validator could not be looked at: run this as root",
                     unseen);
    if (l->main && !looked)
        findings_add(ret, "unit.files", 5, SEV_UNKNOWN,
                     "process %d has no mounts any more (it is on its way out): what it writes "
                     "cannot be seen",
                     l->main->id.pid);
    return NULL;
}
