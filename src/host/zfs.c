/* Reading and making datasets with the program zfs. Pools are made by nobody here, and nothing is
 * destroyed with what lies below it. */
#include "host/zfs.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "host/packages.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "io/proc.h"

#define KSTAT      "/proc/spl/kstat/zfs"
#define NAME_MAX_B 255U
#define LOOK_S     30U
#define CHANGE_S   300U /* a pool under load answers late, and a change is not asked for twice */
#define BUSY_MS    5000
#define OUT_MAX_B  (256U << 10)
#define BLOCK_B    16384U
#define SAID_MAX   300
#define PROPERTIES "type,mounted,mountpoint,canmount,available,volsize,refreservation"

void zfs_dataset_clear(struct zfs_dataset *d)
{
    free(d->mountpoint);
    free(d->canmount);
    *d = (struct zfs_dataset){0};
}

static bool name_char(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("-_.: ", c));
}

struct err *zfs_name_check(const char *name)
{
    size_t n = strlen(name), part = 0;
    AUTO(freep) char *shown = str_shown(name, 80);

    if (n > NAME_MAX_B)
        return err_new(ERR_BADINPUT, "dataset '%s…' has a name of %zu bytes; ZFS takes 255", shown,
                       n);
    if (!isalpha((unsigned char)*name))
        return err_new(ERR_BADINPUT, "dataset '%s': the name of a pool begins with a letter",
                       shown);
    for (size_t i = 0; i <= n; i++) {
        if (name[i] == '/' || name[i] == '\0') {
            if (i == part || str_starts(name + part, "./") || str_starts(name + part, "../") ||
                str_eq(name + part, ".") || str_eq(name + part, ".."))
                return err_new(ERR_BADINPUT, "dataset '%s': a part of its name is empty or dots",
                               shown);
            part = i + 1;
        } else if (!name_char(name[i])) {
            return err_new(ERR_BADINPUT,
                           "dataset '%s': ZFS takes letters, digits and -_.: in a name", shown);
        }
    }
    return NULL;
}

char *zfs_parent(const char *name)
{
    const char *slash = strrchr(name, '/');

    return slash ? xstrndup(name, (size_t)(slash - name)) : NULL;
}

/* What zfs would wait for, without asking it. */
static struct err *pool_answers(struct ctx *ctx, const char *name)
{
    AUTO(freep) char *pool = xstrndup(name, strcspn(name, "/"));
    AUTO(freep) char *path = xasprintf(KSTAT "/%s/state", pool);
    AUTO(freep) char *state = NULL;
    struct err *e = fsroot_read_line(ctx->root, path, &state);

    if (e && e->kind == ERR_NOTFOUND) /* not imported, or no kernel's ZFS: zfs says which */
        return err_free(e);
    TRY(e);
    if (str_eq(state, "SUSPENDED"))
        return err_new(
            ERR_REFUSED,
            "pool '%s' is suspended: whoever asks it would hang; look at its disks (zpool "
            "status %s), then 'zpool clear %s'",
            pool, pool, pool);
    return NULL;
}

/* The last line that it said, or the first where it goes on with a usage text. To be freed. */
static char *what_it_says(const struct proc_result *r)
{
    AUTO(freep) char *line = xstrndup(r->err, strcspn(r->err, "\n"));

    return *line ? str_shown(line, SAID_MAX) : xasprintf("exit %d", r->exit);
}

static struct err *run(struct ctx *ctx, const char *name, const char **argv, uint32_t timeout_s,
                       struct proc_result *ret)
{
    AUTO(freep) char *path = NULL;
    struct err *e;

    TRY(zfs_name_check(name));
    TRY(pool_answers(ctx, name));
    e = program_find(ctx, "zfs", &path);
    if (e && e->kind == ERR_NOTFOUND) {
        err_free(e);
        return err_new(ERR_ABSENT,
                       "no program 'zfs' on this machine: install it (package zfsutils-linux)");
    }
    TRY(e);
    argv[0] = path;
    struct proc_spec spec = {
        .path = path, .argv = argv, .timeout_s = timeout_s, .out_max_b = OUT_MAX_B};
    e = ctx->proc->run(ctx, &spec, ret);
    if (e && e->kind == ERR_ABSENT) { /* it is there: a captured host without this answer */
        struct err *blind = err_new(ERR_REMOTE, "%s", e->text);

        err_free(e);
        return blind;
    }
    TRY_CTX(e, "zfs %s '%s'", argv[1], name);
    if (ret->exit == 0)
        return NULL;
    AUTO(freep) char *said = what_it_says(ret);
    bool none = strstr(said, "does not exist") || strstr(said, "no such pool");
    enum err_kind kind = none ? ERR_NOTFOUND : strstr(said, "busy") ? ERR_REFUSED : ERR_REMOTE;
    proc_result_clear(ret);
    return err_new(kind, "zfs %s: %s", argv[1], said);
}

static struct err *set_size(const char *value, uint64_t *ret)
{
    *ret = 0;
    return str_eq(value, "-") || str_eq(value, "none") ? NULL
                                                       : parse_u64(value, 0, UINT64_MAX, ret);
}

static void set_text(const char *value, char **ret)
{
    free(*ret);
    *ret = str_eq(value, "-") ? NULL : xstrdup(value);
}

static struct err *set_property(struct zfs_dataset *d, const char *name, const char *value)
{
    if (str_eq(name, "type"))
        d->type = str_eq(value, "filesystem") ? ZFS_FILESYSTEM
                  : str_eq(value, "volume")   ? ZFS_VOLUME
                                              : ZFS_OTHER;
    else if (str_eq(name, "mounted"))
        d->mounted = str_eq(value, "yes");
    else if (str_eq(name, "mountpoint"))
        set_text(value, &d->mountpoint);
    else if (str_eq(name, "canmount"))
        set_text(value, &d->canmount);
    else if (str_eq(name, "available"))
        return set_size(value, &d->available_b);
    else if (str_eq(name, "volsize"))
        return set_size(value, &d->volsize_b);
    else if (str_eq(name, "refreservation"))
        return set_size(value, &d->refreservation_b);
    return NULL;
}

struct err *zfs_get_parse(const char *text, size_t n, struct zfs_dataset *ret)
{
    AUTO(zfs_dataset_clear) struct zfs_dataset d = {0};
    const char *end = text + n;
    bool typed = false;

    for (const char *at = text; at < end;) {
        const char *nl = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((nl ? nl : end) - at);
        AUTO(freep) char *line = xstrndup(at, len);
        char *tab = strchr(line, '\t');

        if (!nl || !tab || strlen(line) != len || str_has_control(tab + 1))
            return err_new(ERR_CORRUPT, "the answer of zfs cannot be read");
        *tab = '\0';
        typed |= str_eq(line, "type");
        TRY_CTX(set_property(&d, line, tab + 1), "the answer of zfs: %s", line);
        at = nl + 1;
    }
    if (!typed)
        return err_new(ERR_CORRUPT, "the answer of zfs does not say what the dataset is");
    *ret = d;
    d = (struct zfs_dataset){0};
    return NULL;
}

struct err *zfs_get(struct ctx *ctx, const char *name, struct zfs_dataset *ret)
{
    const char *argv[] = {NULL, "get", "-H", "-p", "-o", "property,value", PROPERTIES, name, NULL};
    AUTO(proc_result_clear) struct proc_result r = {0};

    TRY(run(ctx, name, argv, LOOK_S, &r));
    return err_wrap(zfs_get_parse(r.out, r.out_n, ret), "dataset '%s'", name);
}

struct err *zfs_is_gone(struct ctx *ctx, const char *name, bool *ret)
{
    AUTO(zfs_dataset_clear) struct zfs_dataset d = {0};
    AUTO(zfs_dataset_clear) struct zfs_dataset above = {0};
    AUTO(freep) char *pool = xstrndup(name, strcspn(name, "/"));
    struct err *e = zfs_get(ctx, name, &d);

    *ret = false;
    if (!e || e->kind != ERR_NOTFOUND)
        return e;
    err_free(e);
    TRY_CTX(zfs_get(ctx, pool, &above), "pool '%s'", pool);
    *ret = true;
    return NULL;
}

struct err *zfs_below(struct ctx *ctx, const char *name, struct strlist *ret)
{
    const char *argv[] = {NULL, "list", "-H",   "-r", "-d",
                          "1",  "-o",   "name", "-t", "filesystem,volume,snapshot",
                          name, NULL};
    AUTO(proc_result_clear) struct proc_result r = {0};

    TRY(run(ctx, name, argv, LOOK_S, &r));
    for (const char *at = r.out; *at;) {
        size_t len = strcspn(at, "\n");
        AUTO(freep) char *line = xstrndup(at, len);

        if (*line && !str_eq(line, name))
            strlist_add(ret, line);
        at += len + (at[len] == '\n');
    }
    return NULL;
}

struct err *zfs_create_volume(struct ctx *ctx, const char *name, uint64_t size_b)
{
    AUTO(freep) char *size = xasprintf("%llu", (unsigned long long)size_b);
    AUTO(freep) char *block = xasprintf("%u", BLOCK_B);
    const char *argv[] = {NULL, "create", "-b", block, "-V", size, name, NULL};
    AUTO(proc_result_clear) struct proc_result r = {0};

    if (!size_b || size_b % BLOCK_B)
        return err_new(ERR_BUG, "a volume of %s bytes is none of whole blocks", size);
    return run(ctx, name, argv, CHANGE_S, &r);
}

struct err *zfs_create_filesystem(struct ctx *ctx, const char *name, const char *mountpoint)
{
    AUTO(freep) char *at = xasprintf("mountpoint=%s", mountpoint);
    const char *argv[] = {NULL, "create", "-o", at, name, NULL};
    AUTO(proc_result_clear) struct proc_result r = {0};

    return run(ctx, name, argv, CHANGE_S, &r);
}

struct destroy {
    const char *name;
    struct err *(*may)(struct ctx *ctx, void *arg);
    void *arg;
    struct err *last;
};

static struct err *try_destroy(struct ctx *ctx, void *arg, bool *ret_done)
{
    struct destroy *d = arg;
    const char *argv[] = {NULL, "destroy", d->name, NULL};
    AUTO(proc_result_clear) struct proc_result r = {0};

    TRY(d->may(ctx, d->arg));
    struct err *e = run(ctx, d->name, argv, CHANGE_S, &r);
    *ret_done = !e;
    if (!e || e->kind != ERR_REFUSED)
        return e;
    err_free(d->last);
    d->last = e;
    return NULL;
}

/* It unmounts first, and what it unmounted may be busy for a moment. */
struct err *zfs_destroy(struct ctx *ctx, const char *name,
                        struct err *(*may)(struct ctx *ctx, void *arg), void *arg)
{
    struct destroy d = {.name = name, .may = may, .arg = arg};
    struct err *e = wait_until(ctx, "zfs destroy", BUSY_MS, 200, try_destroy, &d);
    bool busy = e && e->kind == ERR_TIMEOUT && d.last;

    if (!busy) {
        err_free(d.last);
        return e;
    }
    err_free(e);
    return d.last;
}
