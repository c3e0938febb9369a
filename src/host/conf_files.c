/* Which drop-in files count, and in which order. */
#include "host/conf_files.h"

#include <stdlib.h>
#include <string.h>

#include "io/fsroot.h"

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(base_name(*(char *const *)a), base_name(*(char *const *)b));
}

static bool has_name(const struct strlist *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++)
        if (str_eq(base_name(l->items[i]), name))
            return true;
    return false;
}

static struct err *add_folder(struct ctx *ctx, const char *folder, const char *suffix,
                              struct strlist *ret)
{
    AUTO(strlist_clear) struct strlist names = {0};
    struct err *e = fsroot_list(ctx->root, folder, &names);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    for (size_t i = 0; i < names.n; i++)
        if (str_ends(names.items[i], suffix) && !has_name(ret, names.items[i]))
            strlist_addf(ret, "%s/%s", folder, names.items[i]);
    return NULL;
}

struct err *conf_files_find(struct ctx *ctx, const char *const *folders, size_t n,
                            const char *suffix, struct strlist *ret)
{
    AUTO(strlist_clear) struct strlist found = {0};

    for (size_t i = 0; i < n; i++)
        TRY(add_folder(ctx, folders[i], suffix, &found));
    if (found.n)
        qsort(found.items, found.n, sizeof(*found.items), by_name);
    *ret = found;
    found = (struct strlist){0};
    return NULL;
}
