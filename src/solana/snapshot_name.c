/* Names of snapshot archives and the pair that a validator would start from. Opens no archive:
 * whether one is whole is snapshot_check's business. */
#include "solana/snapshot_name.h"

#include "base/str.h"

static const char *const ext_names[] = {
    [SNAPSHOT_TAR_ZST] = "tar.zst", [SNAPSHOT_TAR_LZ4] = "tar.lz4", [SNAPSHOT_TAR_BZ2] = "tar.bz2",
    [SNAPSHOT_TAR_GZ] = "tar.gz",   [SNAPSHOT_TAR] = "tar",
};

/* The number up to the next '-', which is skipped. */
static struct err *take_slot(const char **at, uint64_t *ret)
{
    size_t n = strcspn(*at, "-");
    AUTO(freep) char *text = xstrndup(*at, n);

    if ((*at)[n] != '-')
        return err_new(ERR_BADINPUT, "a part is missing");
    TRY(parse_u64(text, 0, UINT64_MAX - 1, ret));
    *at += n + 1;
    return NULL;
}

static struct err *take_hash_and_ext(const char *at, struct snapshot_name *ret)
{
    size_t n = strcspn(at, ".");
    uint8_t hash[32];

    TRY_CTX(base58_decode32(at, n, hash), "its hash");
    base58_encode32(hash, ret->hash);
    for (size_t i = 0; i < ARRAY_LEN(ext_names); i++)
        if (at[n] == '.' && str_eq(at + n + 1, ext_names[i])) {
            ret->ext = (enum snapshot_ext)i;
            ret->legacy = i > SNAPSHOT_TAR_LZ4;
            return NULL;
        }
    return err_new(ERR_BADINPUT, "its extension is none of a snapshot archive");
}

static struct err *parse(const char *name, struct snapshot_name *ret)
{
    static const char full[] = "snapshot-", incremental[] = "incremental-snapshot-";
    const char *at = name;

    if (str_starts(at, incremental)) {
        at += sizeof(incremental) - 1;
        ret->incremental = true;
        TRY(take_slot(&at, &ret->base));
    } else if (str_starts(at, full)) {
        at += sizeof(full) - 1;
    } else {
        return err_new(ERR_BADINPUT, "it starts with neither '%s' nor '%s'", full, incremental);
    }
    TRY(take_slot(&at, &ret->slot));
    if (ret->incremental && ret->slot <= ret->base)
        return err_new(ERR_BADINPUT, "its slot is not after its base");
    return take_hash_and_ext(at, ret);
}

struct err *snapshot_name_parse(const char *name, struct snapshot_name *ret)
{
    struct snapshot_name n = {0};

    TRY_CTX(parse(name, &n), "'%.160s' is not the name of a snapshot archive", name);
    *ret = n;
    return NULL;
}

const char *snapshot_name_format(const struct snapshot_name *n, char buf[static SNAPSHOT_NAME_MAX])
{
    char base[32] = "";

    if (n->incremental)
        snprintf(base, sizeof(base), "%llu-", (unsigned long long)n->base);
    snprintf(buf, SNAPSHOT_NAME_MAX, "%ssnapshot-%s%llu-%s.%s",
             n->incremental ? "incremental-" : "", base, (unsigned long long)n->slot, n->hash,
             ext_names[n->ext]);
    return buf;
}

static void file_clear(struct snapshot_file *f)
{
    free(f->path);
    *f = (struct snapshot_file){0};
}

void snapshot_dir_clear(struct snapshot_dir *d)
{
    file_clear(&d->full);
    file_clear(&d->incremental);
    *d = (struct snapshot_dir){0};
}

/* Takes dir/name for *best when it is a higher one; a file that goes away meanwhile is none. */
static struct err *offer(struct fsroot *r, const char *dir, const char *text,
                         const struct snapshot_name *name, bool *has, struct snapshot_file *best)
{
    AUTO(freep) char *path = xasprintf("%s/%s", dir, text);
    AUTO(err_freep) struct err *e = NULL;
    struct stat st;

    if (*has && name->slot < best->name.slot)
        return NULL;
    e = fsroot_stat(r, path, &st);
    if (e)
        return e->kind == ERR_NOTFOUND ? NULL : TAKE(e);
    if (!S_ISREG(st.st_mode))
        return NULL;
    file_clear(best);
    *best =
        (struct snapshot_file){.name = *name, .path = TAKE(path), .size_b = (uint64_t)st.st_size};
    *has = true;
    return NULL;
}

/* One pass over a folder: full archives, or the incrementals of the full one that was found. */
static struct err *scan_names(struct fsroot *r, const char *dir, const struct strlist *names,
                              bool incremental, struct snapshot_dir *d)
{
    for (size_t i = 0; i < names->n; i++) {
        struct snapshot_name name;
        struct err *e = snapshot_name_parse(names->items[i], &name);

        if (e) { /* anything may lie in the folder */
            (void)err_free(e);
            continue;
        }
        if (name.incremental != incremental)
            continue;
        if (name.legacy)
            d->n_legacy++;
        else if (!incremental)
            TRY(offer(r, dir, names->items[i], &name, &d->has_full, &d->full));
        else if (d->has_full && name.base == d->full.name.slot)
            TRY(offer(r, dir, names->items[i], &name, &d->has_incremental, &d->incremental));
    }
    return NULL;
}

/* A folder and its remote/. */
static struct err *scan(struct fsroot *r, const char *dir, bool incremental, struct snapshot_dir *d)
{
    AUTO(freep) char *remote = xasprintf("%s/remote", dir);
    AUTO(strlist_clear) struct strlist here = {0}, there = {0};
    struct err *e;

    TRY_CTX(fsroot_list(r, dir, &here), "snapshots");
    e = fsroot_list(r, remote, &there);
    if (e && e->kind != ERR_NOTFOUND)
        return err_wrap(e, "snapshots");
    (void)err_free(e); /* nothing was ever downloaded */
    TRY(scan_names(r, dir, &here, incremental, d));
    return scan_names(r, remote, &there, incremental, d);
}

struct err *snapshot_dirs_scan(struct fsroot *r, const char *full_dir, const char *incremental_dir,
                               struct snapshot_dir *ret)
{
    AUTO(snapshot_dir_clear) struct snapshot_dir d = {0};

    TRY(scan(r, full_dir, false, &d));
    TRY(scan(r, incremental_dir, true, &d));
    *ret = d;
    d = (struct snapshot_dir){0};
    return NULL;
}

struct err *snapshot_dir_scan(struct fsroot *r, const char *dir, struct snapshot_dir *ret)
{
    return snapshot_dirs_scan(r, dir, dir, ret);
}
