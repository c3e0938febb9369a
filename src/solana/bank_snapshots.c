/* Which local bank snapshots there are, and whether their accounts are. Names and marks alone are
 * looked at; what the files hold is Agave's. */
#include "solana/bank_snapshots.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/str.h"

void bank_snapshots_clear(struct bank_snapshots *b)
{
    free(b->items);
    *b = (struct bank_snapshots){0};
}

static struct err *is_there(struct fsroot *r, const char *dir, const char *name, bool *ret)
{
    AUTO(freep) char *path = xasprintf("%s/%s", dir, name);
    struct stat st;
    struct err *e = fsroot_stat(r, path, &st);

    *ret = !e;
    return e && e->kind == ERR_NOTFOUND ? err_free(e) : e;
}

static struct err *look_at(struct fsroot *r, const char *dir, const char *name,
                           struct bank_snapshot *ret, bool *ret_one)
{
    static const char *const marks[] = {"accounts_hardlinks", "storages_flushed",
                                        "fastboot_version"};
    AUTO(freep) char *path = xasprintf("%s/%s", dir, name);
    struct stat st;
    struct err *e = parse_u64(name, 0, UINT64_MAX, &ret->slot);

    *ret_one = false;
    if (e)
        return err_free(e); /* not a slot */
    e = fsroot_stat(r, path, &st);
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e); /* gone meanwhile, or a link to nothing */
    TRY(e);
    if (!S_ISDIR(st.st_mode))
        return NULL;
    ret->loadable = false;
    for (size_t i = 0; i < ARRAY_LEN(marks) && !ret->loadable; i++)
        TRY(is_there(r, path, marks[i], &ret->loadable));
    *ret_one = true;
    return NULL;
}

static int highest_first(const void *a, const void *b)
{
    const struct bank_snapshot *x = a, *y = b;

    return (x->slot < y->slot) - (x->slot > y->slot);
}

struct err *bank_snapshots_read(struct fsroot *r, const char *dir, struct bank_snapshots *ret)
{
    AUTO(bank_snapshots_clear) struct bank_snapshots b = {0};
    AUTO(freep) char *inner = xasprintf("%s/%s", dir, BANK_SNAPSHOTS_DIR);
    AUTO(strlist_clear) struct strlist names = {0};
    struct err *e = fsroot_list(r, inner, &names);

    if (e && e->kind == ERR_NOTFOUND)
        e = err_free(e);
    TRY(e);
    for (size_t i = 0; i < names.n; i++) {
        struct bank_snapshot one;
        bool is_one = false;

        TRY(look_at(r, inner, names.items[i], &one, &is_one));
        if (!is_one)
            continue;
        b.items = xgrow(b.items, &b.cap, b.n + 1, sizeof(*b.items));
        b.items[b.n++] = one;
    }
    if (b.n)
        qsort(b.items, b.n, sizeof(*b.items), highest_first);
    *ret = b;
    b = (struct bank_snapshots){0};
    return NULL;
}

struct err *bank_snapshot_has_accounts(struct fsroot *r, const struct bank_snapshot *b,
                                       const char *accounts, bool *ret)
{
    AUTO(freep) char *dir = xasprintf("%s/snapshot/%" PRIu64, accounts, b->slot);
    AUTO(strlist_clear) struct strlist names = {0};
    struct err *e = fsroot_list(r, dir, &names);

    *ret = !e && names.n; /* there is no bank without accounts */
    return e && e->kind == ERR_NOTFOUND ? err_free(e) : e;
}
