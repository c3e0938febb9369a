/* Where a folder really is: from a container's path to the host's, and from a mount to a device
 * with a name that stays. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/fsroot.h"
#include "look/discover_parts.h"

#define ZVOL_DEPTH 8 /* pool/a/b/…: datasets nest */
#define LINKS_MAX  10000

/* What follows dir in path: "" for dir itself, NULL when it is not below. */
static const char *rest_of(const char *path, const char *dir)
{
    size_t n = str_eq(dir, "/") ? 0 : strlen(dir);

    return strncmp(path, dir, n) == 0 && (path[n] == '/' || !path[n]) ? path + n : NULL;
}

static char *joined(const char *dir, const char *rest)
{
    const char *d = str_eq(dir, "/") ? "" : dir, *r = str_eq(rest, "/") ? "" : rest;

    return *d || *r ? xasprintf("%s%s", d, r) : xstrdup("/");
}

/* Is a the better of two places? Not below avoid first, then the shorter one. */
static bool better(const char *a, const char *b, const char *avoid)
{
    bool a_in = avoid && rest_of(a, avoid), b_in = avoid && rest_of(b, avoid);

    return a_in != b_in ? b_in : strlen(a) < strlen(b);
}

char *place_on_host(const struct mounts *own, const struct mounts *host, const char *path,
                    const char *avoid)
{
    const struct mount_info *m = mounts_over(own, path);
    char *best = NULL;

    if (!m)
        return NULL;
    const char *rest = rest_of(path, m->target);
    AUTO(freep) char *inner = joined(m->root, rest ? rest : "");
    for (size_t i = 0; i < host->n; i++) {
        const struct mount_info *h = &host->items[i];
        const char *in = rest_of(inner, h->root);

        if (h->major != m->major || h->minor != m->minor || !in)
            continue;
        AUTO(freep) char *place = joined(h->target, in);
        if (mounts_over(host, place) != h)
            continue; /* something else is mounted over it */
        /* Where both see the same path, that is the one that the operator knows it by. */
        if (str_eq(place, path) && !(avoid && rest_of(place, avoid))) {
            free(best);
            return TAKE(place);
        }
        if (best && !better(place, best, avoid))
            continue;
        free(best);
        best = TAKE(place);
    }
    return best;
}

/* "../../zd0" in /dev/disk/by-id is /dev/zd0. */
static bool leads_to(const char *dir, const char *target, const char *device)
{
    AUTO(freep) char *base = xstrdup(dir);
    const char *t = target;

    if (*t == '/')
        return str_eq(t, device);
    while (str_starts(t, "../")) {
        char *slash = strrchr(base, '/');

        if (!slash)
            return false;
        *slash = 0;
        t += 3;
    }
    AUTO(freep) char *path = xasprintf("%s/%s", base, t);
    return str_eq(path, device);
}

struct search {
    struct ctx *ctx;
    const char *device;
    size_t left; /* links that may still be looked at */
    char *best;
};

static bool absent(const struct err *e)
{
    return e && (e->kind == ERR_NOTFOUND ||
                 (e->kind == ERR_SYS && (e->sys == ENOTDIR || e->sys == EINVAL)));
}

/* A drive has several names by id: the one with the model in it says most to people, "wwn-…" least.
 */
static bool says_more(const char *a, const char *b)
{
    const char *x = strrchr(a, '/'), *y = strrchr(b, '/');
    bool a_number = str_starts(x + 1, "wwn-") || str_starts(x + 1, "nvme-eui.");
    bool b_number = str_starts(y + 1, "wwn-") || str_starts(y + 1, "nvme-eui.");

    return a_number != b_number ? b_number : strcmp(a, b) < 0;
}

static struct err *search_names(struct search *s, const char *dir, unsigned depth);

static struct err *look_at_name(struct search *s, const char *dir, const char *name, unsigned depth)
{
    AUTO(freep) char *path = xasprintf("%s/%s", dir, name);
    AUTO(freep) char *target = NULL;
    struct err *e = fsroot_readlink(s->ctx->root, path, &target);

    if (absent(e)) {
        err_free(e);
        return depth ? search_names(s, path, depth - 1) : NULL;
    }
    TRY(e);
    if (!leads_to(dir, target, s->device) || (s->best && !says_more(path, s->best)))
        return NULL;
    free(s->best);
    s->best = TAKE(path);
    return NULL;
}

/* A folder that is not there has no names. */
static struct err *search_names(struct search *s, const char *dir, unsigned depth)
{
    AUTO(strlist_clear) struct strlist names = {0};
    struct err *e = fsroot_list(s->ctx->root, dir, &names);

    if (absent(e))
        return err_free(e);
    TRY(e);
    for (size_t i = 0; i < names.n && s->left; i++, s->left--)
        TRY(look_at_name(s, dir, names.items[i], depth));
    return NULL;
}

struct err *stable_device(struct ctx *ctx, const char *device, char **ret, bool *ret_stable)
{
    const char *name = strrchr(device, '/') + 1;
    struct search s = {.ctx = ctx, .device = device, .left = LINKS_MAX};

    *ret_stable = true;
    if (str_starts(name, "ram") || str_starts(name, "zram") || str_starts(device, "/dev/mapper/") ||
        str_starts(device, "/dev/disk/") || str_starts(device, "/dev/zvol/")) {
        *ret = xstrdup(device);
        return NULL;
    }
    struct err *e = search_names(&s, "/dev/zvol", ZVOL_DEPTH);
    if (!e && !s.best)
        e = search_names(&s, "/dev/disk/by-id", 0);
    if (e) {
        free(s.best);
        return e;
    }
    *ret_stable = s.best != NULL;
    *ret = s.best ? s.best : xstrdup(device);
    return NULL;
}
