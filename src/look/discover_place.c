/* Where a folder really is: from a container's path to the host's, and from a mount to a device
 * with a name that stays. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/block_id.h"
#include "io/fsroot.h"
#include "look/discover_parts.h"

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

struct err *stable_device(struct ctx *ctx, const char *device, char **ret, bool *ret_stable)
{
    const char *name = strrchr(device, '/') + 1;
    AUTO(block_id_clear) struct block_id id = {0};

    *ret_stable = true;
    if (str_starts(name, "ram") || str_starts(name, "zram") || str_starts(device, "/dev/mapper/") ||
        str_starts(device, "/dev/disk/") || str_starts(device, "/dev/zvol/")) {
        *ret = xstrdup(device);
        return NULL;
    }
    struct err *e = block_id_read(ctx, device, &id);
    if (e && (e->kind == ERR_NOTFOUND || e->kind == ERR_BADINPUT)) /* of fstab, and not there now */
        e = err_free(e);
    TRY(e);
    *ret_stable = id.stable_name != NULL;
    *ret = xstrdup(id.stable_name ? id.stable_name : device);
    return NULL;
}
