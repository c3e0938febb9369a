/* Which snapshot archives a folder holds, with Agave's rules for names and order; used by the RPC
 * server's redirects, by the stand-in's start and by both writers. Reads no archive. */
#include "lab/node/archives.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "solana/snapshot_name.h"

bool archive_parse(const char *name, struct archive *ret)
{
    struct archive a = {0};
    struct snapshot_name n;
    AUTO(err_freep) struct err *e = snapshot_name_parse(name, &n);

    if (e || n.legacy || strlen(name) >= sizeof(a.name) - strlen("remote/"))
        return false;
    a.base = n.incremental ? n.base : 0;
    a.slot = n.slot;
    snprintf(a.hash, sizeof(a.hash), "%s", n.hash);
    snprintf(a.name, sizeof(a.name), "%s", name);
    *ret = a;
    return true;
}

static void closedirp(DIR **d)
{
    if (*d)
        closedir(*d);
}

/* Calls visit for each archive in dir (prefix "" or "remote/"). A folder that is not there holds
 * none. */
static struct err *each(const char *dir, const char *prefix,
                        void (*visit)(void *arg, const struct archive *a), void *arg)
{
    AUTO(freep) char *path = xasprintf("%s/%s", dir, prefix);
    AUTO(closedirp) DIR *d = opendir(path);
    int error = errno;
    struct dirent *entry;

    if (!d)
        return error == ENOENT ? NULL : err_sys(error, "cannot read '%s'", path);
    while ((entry = readdir(d))) {
        struct archive a;

        if (!archive_parse(entry->d_name, &a))
            continue;
        snprintf(a.name, sizeof(a.name), "%s%.*s", prefix, (int)sizeof(a.name) - 8, entry->d_name);
        visit(arg, &a);
    }
    return NULL;
}

struct best {
    struct archive full, incremental;
    uint64_t base; /* wanted base of an incremental */
    bool some;
};

static void pick_full(void *arg, const struct archive *a)
{
    struct best *b = arg;

    if (!a->base && (!b->some || a->slot > b->full.slot)) {
        b->full = *a;
        b->some = true;
    }
}

static void pick_incremental(void *arg, const struct archive *a)
{
    struct best *b = arg;

    if (a->base && a->base == b->full.slot && a->slot > b->incremental.slot)
        b->incremental = *a;
}

struct err *archives_highest(const char *dir, struct archive *ret_full,
                             struct archive *ret_incremental)
{
    struct best best = {0};

    TRY(each(dir, "", pick_full, &best));
    TRY(each(dir, "remote/", pick_full, &best));
    if (!best.some)
        return err_new(ERR_NOTFOUND, "no full snapshot archive in '%s'", dir);
    TRY(each(dir, "", pick_incremental, &best));
    TRY(each(dir, "remote/", pick_incremental, &best));
    *ret_full = best.full;
    *ret_incremental = best.incremental;
    return NULL;
}

#define PURGE_MAX 256
struct found {
    struct archive items[PURGE_MAX];
    size_t n;
};

static void remember(void *arg, const struct archive *a)
{
    struct found *f = arg;

    if (f->n < PURGE_MAX)
        f->items[f->n++] = *a;
}

/* How many archives of a's kind are newer. */
static unsigned newer(const struct found *f, const struct archive *a)
{
    unsigned n = 0;

    for (size_t i = 0; i < f->n; i++)
        n += (f->items[i].base != 0) == (a->base != 0) && f->items[i].slot > a->slot;
    return n;
}

void archives_purge(const char *dir, unsigned keep_full, unsigned keep_incremental)
{
    AUTO(freep) struct found *f = xcalloc(1, sizeof(*f));
    AUTO(err_freep) struct err *e = each(dir, "", remember, f);

    for (size_t i = 0; !e && i < f->n; i++) {
        const struct archive *a = &f->items[i];
        AUTO(freep) char *path = xasprintf("%s/%s", dir, a->name);

        if (newer(f, a) >= (a->base ? keep_incremental : keep_full))
            (void)unlink(path); /* the next round tries again */
    }
}

void archives_clean_tmp(const char *dir)
{
    AUTO(closedirp) DIR *d = opendir(dir);
    struct dirent *entry;

    while (d && (entry = readdir(d)))
        if (str_starts(entry->d_name, "tmp-snapshot-archive-"))
            (void)unlinkat(dirfd(d), entry->d_name, 0); /* a folder of that name stays */
}
