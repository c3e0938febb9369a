/* Where a process's memory is counted and what bounds it, and who is in a group. Only reads. The
 * limit that matters is the lowest one between the process's cgroup and the root: a pod's below a
 * slice's below the host's. Knows nothing of swap limits, and nothing of the host's own memory
 * (host/memory). */
#include "host/cgroup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "host/mounts.h"
#include "io/fsroot.h"

#define FILE_MAX_B 65536
#define DEPTH_MAX  64
/* v1 says "no limit" with the largest multiple of a page in a signed long. */
#define V1_NO_LIMIT ((uint64_t)1 << 62)

struct files {
    const char *usage, *limit, *high, *events, *kills_key;
    const char *anon, *cache, *shmem; /* keys of memory.stat, the cgroups below included */
};
static const struct files v1_files = {
    .usage = "memory.usage_in_bytes",
    .limit = "memory.limit_in_bytes",
    .events = "memory.oom_control",
    .kills_key = "oom_kill",
    .anon = "total_rss",
    .cache = "total_cache",
    .shmem = "total_shmem",
};
static const struct files v2_files = {
    .usage = "memory.current",
    .limit = "memory.max",
    .high = "memory.high",
    .events = "memory.events",
    .kills_key = "oom_kill",
    .anon = "anon",
    .cache = "file",
    .shmem = "shmem",
};

/* A cgroup hierarchy as it is mounted here. */
struct hierarchy {
    const struct files *files;
    char *mount; /* where */
    char *root;  /* which of its cgroups is mounted there; "/": all */
};

static void hierarchy_clear(struct hierarchy *h)
{
    free(h->mount);
    free(h->root);
    *h = (struct hierarchy){0};
}

void cgroup_memory_clear(struct cgroup_memory *m)
{
    free(m->path);
    free(m->limit_path);
    *m = (struct cgroup_memory){0};
}

struct known_u64 cgroup_held_b(const struct cgroup_usage *u)
{
    if (!u->usage_b.known || !u->file_b.known)
        return (struct known_u64){0};
    return (struct known_u64){true, u->usage_b.v > u->file_b.v ? u->usage_b.v - u->file_b.v : 0};
}

/* Is word one of the comma-separated words of list? */
static bool in_list(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (strncmp(p, word, n) == 0 && (p[n] == ',' || p[n] == '\0'))
            return true;
    return false;
}

/* The memory controller of version 1 where it is mounted (it is in one place only), else version 2.
 * *ret stays {0} when there is neither. */
static struct err *find_hierarchy(struct ctx *ctx, struct hierarchy *ret)
{
    AUTO(mounts_clear) struct mounts m = {0};
    const struct mount_info *found = NULL;
    const struct files *files = NULL;

    TRY(mounts_read(ctx, &m));
    for (size_t i = 0; i < m.n && files != &v1_files; i++) {
        const struct mount_info *x = &m.items[i];
        bool v1 = str_eq(x->fstype, "cgroup") && in_list(x->fs_options, "memory");

        if (!v1 && !(str_eq(x->fstype, "cgroup2") && !found))
            continue;
        found = x;
        files = v1 ? &v1_files : &v2_files;
    }
    if (found)
        *ret = (struct hierarchy){
            .files = files, .mount = xstrdup(found->target), .root = xstrdup(found->root)};
    return NULL;
}

/* /proc/<pid>/cgroup: "4:memory:/a/b" (v1), "0::/a/b" (v2). NULL: it has no such line. */
static char *path_in(char *text, const struct files *files)
{
    char *save = NULL;

    for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        char *controllers = strchr(l, ':'), *path = controllers ? strchr(controllers + 1, ':') : 0;

        if (!path)
            continue;
        controllers++;
        *path++ = '\0';
        if (path[0] == '/' &&
            (files == &v1_files ? in_list(controllers, "memory") : controllers[0] == '\0'))
            return xstrdup(path);
    }
    return NULL;
}

static struct err *path_of(struct ctx *ctx, pid_t pid, const struct files *files, char **ret)
{
    AUTO(freep) char *name = xasprintf("/proc/%d/cgroup", (int)pid);
    AUTO(freep) char *text = NULL;

    TRY(fsroot_read(ctx->root, name, FILE_MAX_B, &text, NULL));
    *ret = path_in(text, files);
    if (!*ret)
        return err_new(ERR_ABSENT, "'%s' names no cgroup that counts memory", name);
    if (strstr(*ret, "/.."))
        return err_new(ERR_ABSENT, "the cgroup of process %d is outside of what is mounted here",
                       (int)pid);
    return NULL;
}

/* Folder of a cgroup below the mount; NULL: it is not below the part that is mounted. */
static char *folder_of(const struct hierarchy *h, const char *path)
{
    size_t n = str_eq(h->root, "/") ? 0 : strlen(h->root);

    if (strncmp(path, h->root, n) != 0 || (path[n] != '/' && path[n] != '\0'))
        return NULL;
    return xasprintf("%s%s", h->mount, str_eq(path + n, "/") ? "" : path + n);
}

/* One number, "max" for none. A file that is not there: not known. */
static struct err *read_number(struct ctx *ctx, const char *folder, const char *name,
                               struct known_u64 *ret)
{
    AUTO(freep) char *path = xasprintf("%s/%s", folder, name);
    AUTO(freep) char *line = NULL;
    struct err *e = fsroot_read_line(ctx->root, path, &line);

    *ret = (struct known_u64){0};
    if (e && e->kind == ERR_NOTFOUND) {
        (void)err_free(e); /* v2's root has none of them, nor one without the controller */
        return NULL;
    }
    TRY(e);
    if (str_eq(line, "max"))
        return NULL;
    e = parse_u64(line, 0, UINT64_MAX, &ret->v);
    if (e) {
        (void)err_free(e); /* the kernel wrote it: not an operator's mistake */
        return err_new(ERR_CORRUPT, "'%s' is not a number", path);
    }
    ret->known = true;
    return NULL;
}

/* "key 123" lines. */
static struct known_u64 value_of(const char *text, const char *key)
{
    size_t n = strlen(key);

    for (const char *l = text; l && *l; l = strchr(l, '\n') ? strchr(l, '\n') + 1 : NULL) {
        uint64_t v;

        if (strncmp(l, key, n) == 0 && l[n] == ' ' && sscanf(l + n + 1, "%" SCNu64, &v) == 1)
            return (struct known_u64){true, v};
    }
    return (struct known_u64){0};
}

static struct err *read_text(struct ctx *ctx, const char *folder, const char *name, char **ret)
{
    AUTO(freep) char *path = xasprintf("%s/%s", folder, name);
    struct err *e = fsroot_read(ctx->root, path, FILE_MAX_B, ret, NULL);

    if (e && e->kind == ERR_NOTFOUND) {
        *ret = xstrdup("");
        e = err_free(e);
    }
    return e;
}

static struct err *read_usage(struct ctx *ctx, const struct files *f, const char *folder,
                              struct cgroup_usage *ret)
{
    AUTO(freep) char *stat = NULL;
    struct known_u64 cache;

    TRY(read_number(ctx, folder, f->usage, &ret->usage_b));
    TRY(read_text(ctx, folder, "memory.stat", &stat));
    ret->anon_b = value_of(stat, f->anon);
    ret->shmem_b = value_of(stat, f->shmem);
    cache = value_of(stat, f->cache);
    if (cache.known && ret->shmem_b.known && cache.v >= ret->shmem_b.v)
        ret->file_b = (struct known_u64){true, cache.v - ret->shmem_b.v};
    return NULL;
}

/* Before Linux 5.11 a v1 cgroup could be told not to count what is below it. */
static struct err *counts_below(struct ctx *ctx, const struct files *f, const char *folder,
                                bool *ret)
{
    struct known_u64 hierarchical = {0};

    if (f == &v1_files)
        TRY(read_number(ctx, folder, "memory.use_hierarchy", &hierarchical));
    *ret = !hierarchical.known || hierarchical.v != 0;
    return NULL;
}

static struct err *look_at_limit(struct ctx *ctx, const struct hierarchy *h, const char *path,
                                 const char *folder, struct cgroup_memory *m)
{
    struct known_u64 limit, high = {0};

    TRY(read_number(ctx, folder, h->files->limit, &limit));
    if (h->files->high)
        TRY(read_number(ctx, folder, h->files->high, &high));
    if (high.known && (!m->high_b.known || high.v < m->high_b.v))
        m->high_b = high;
    if (h->files == &v1_files && limit.v >= V1_NO_LIMIT)
        return NULL;
    if (!limit.known || (m->limit_b.known && limit.v >= m->limit_b.v))
        return NULL;
    m->limit_b = limit;
    free(m->limit_path);
    m->limit_path = xstrdup(path);
    return read_usage(ctx, h->files, folder, &m->at_limit);
}

/* From the process's cgroup up to the root, or to where the mount ends. */
static struct err *walk_up(struct ctx *ctx, const struct hierarchy *h, struct cgroup_memory *m)
{
    AUTO(freep) char *path = xstrdup(m->path);

    for (unsigned depth = 0; depth < DEPTH_MAX; depth++) {
        AUTO(freep) char *folder = folder_of(h, path);
        char *slash = strrchr(path, '/');
        bool counts = true;

        if (!folder)
            return NULL;
        if (depth > 0)
            TRY(counts_below(ctx, h->files, folder, &counts));
        if (!counts)
            return NULL;
        TRY(look_at_limit(ctx, h, path, folder, m));
        if (str_eq(path, "/"))
            return NULL;
        slash[slash == path ? 1 : 0] = '\0';
    }
    return err_new(ERR_CORRUPT, "the cgroup '%s' is nested too deeply", m->path);
}

struct err *cgroup_memory(struct ctx *ctx, pid_t pid, struct cgroup_memory *ret)
{
    AUTO(cgroup_memory_clear) struct cgroup_memory m = {0};
    AUTO(hierarchy_clear) struct hierarchy h = {0};
    AUTO(freep) char *folder = NULL, *events = NULL;
    struct stat st;

    TRY(find_hierarchy(ctx, &h));
    if (!h.files)
        return err_new(ERR_ABSENT, "no cgroup file system is mounted here");
    TRY(path_of(ctx, pid, h.files, &m.path));
    folder = folder_of(&h, m.path);
    if (!folder)
        return err_new(ERR_ABSENT, "the cgroup '%s' is not below what is mounted at '%s'", m.path,
                       h.mount);
    TRY(fsroot_stat(ctx->root, folder, &st));
    m.version = h.files == &v1_files ? 1 : 2;
    TRY(read_usage(ctx, h.files, folder, &m.own));
    TRY(walk_up(ctx, &h, &m));
    TRY(read_text(ctx, folder, h.files->events, &events));
    m.oom_kills = value_of(events, h.files->kills_key);
    *ret = m;
    m = (struct cgroup_memory){0};
    return NULL;
}

/* systemd's own hierarchy: of its name in version 1 and on hybrid hosts, else version 2. */
static struct err *find_systemds(struct ctx *ctx, struct hierarchy *ret)
{
    AUTO(mounts_clear) struct mounts m = {0};
    const struct mount_info *found = NULL;

    TRY(mounts_read(ctx, &m));
    for (size_t i = 0; i < m.n; i++) {
        const struct mount_info *x = &m.items[i];

        if (str_eq(x->fstype, "cgroup") && in_list(x->fs_options, "name=systemd"))
            found = x;
        else if (!found && str_eq(x->fstype, "cgroup2"))
            found = x;
    }
    if (!found)
        return err_new(ERR_ABSENT, "the control groups of systemd are not mounted here");
    *ret = (struct hierarchy){.mount = xstrdup(found->target), .root = xstrdup(found->root)};
    return NULL;
}

struct members {
    pid_t *items;
    size_t n, cap;
};

static struct err *add_members(struct ctx *ctx, const char *folder, struct members *ret)
{
    AUTO(freep) char *path = xasprintf("%s/cgroup.procs", folder);
    AUTO(freep) char *text = NULL;
    char *save = NULL;
    struct err *e = fsroot_read(ctx->root, path, FILE_MAX_B * 16, &text, NULL);

    /* ENODEV: removed after it was opened */
    if (e && (e->kind == ERR_NOTFOUND || e->sys == ENODEV))
        return err_free(e);
    TRY(e);
    for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        uint64_t pid;

        e = parse_u64(l, 0, INT32_MAX, &pid);
        if (e)
            return err_wrap(e, "'%s'", path);
        if (!pid)
            return err_new(ERR_REFUSED, "'%s' has a process of another pid namespace", path);
        ret->items = xgrow(ret->items, &ret->cap, ret->n + 1, sizeof(*ret->items));
        ret->items[ret->n++] = (pid_t)pid;
    }
    return NULL;
}

static struct err *walk_down(struct ctx *ctx, const char *folder, unsigned depth,
                             struct members *ret)
{
    AUTO(strlist_clear) struct strlist names = {0};

    TRY(add_members(ctx, folder, ret));
    struct err *e = fsroot_list(ctx->root, folder, &names);
    if (e && (e->kind == ERR_NOTFOUND || e->sys == ENODEV))
        return err_free(e);
    TRY(e);
    for (size_t i = 0; i < names.n; i++) {
        AUTO(freep) char *below = xasprintf("%s/%s", folder, names.items[i]);
        struct stat st;

        e = fsroot_stat(ctx->root, below, &st);
        bool is_group = !e && S_ISDIR(st.st_mode);
        if (e && e->kind == ERR_NOTFOUND)
            e = err_free(e);
        TRY(e);
        if (is_group && depth == 0)
            return err_new(ERR_CORRUPT, "the cgroup '%s' is nested too deeply", below);
        if (is_group)
            TRY(walk_down(ctx, below, depth - 1, ret));
    }
    return NULL;
}

struct err *cgroup_pids(struct ctx *ctx, const char *path, pid_t **ret, size_t *ret_n)
{
    AUTO(hierarchy_clear) struct hierarchy h = {0};
    struct members m = {0};

    TRY(find_systemds(ctx, &h));
    AUTO(freep) char *folder = folder_of(&h, path);
    if (!folder)
        return err_new(ERR_ABSENT, "the cgroup '%s' is not below what is mounted at '%s'", path,
                       h.mount);
    struct err *e = walk_down(ctx, folder, DEPTH_MAX, &m);
    if (e) {
        free(m.items);
        return e;
    }
    *ret = m.items ? m.items : xcalloc(1, sizeof(**ret));
    *ret_n = m.n;
    return NULL;
}

char *unit_of_cgroup(const char *cgroup)
{
    static const char *const kinds[] = {".service", ".scope"};
    char *found = NULL;

    for (const char *c = cgroup; c && *c; c += strcspn(c, "/"), c += *c == '/') {
        AUTO(freep) char *part = xstrndup(c, strcspn(c, "/"));

        for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
            if (!str_ends(part, kinds[k]))
                continue;
            free(found);
            found = xstrdup(part);
        }
    }
    return found;
}

char *service_of_cgroup(const char *cgroup)
{
    AUTO(freep) char *unit = unit_of_cgroup(cgroup);

    if (!unit || !str_ends(unit, ".service") || str_starts(unit, "user@") ||
        strstr(cgroup, "kubepods") || strstr(cgroup, "docker"))
        return NULL;
    return TAKE(unit);
}
