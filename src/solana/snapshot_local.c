/* Reads a folder of snapshots as it is. It belongs to the validator's user and changes while it is
 * looked at: what goes away meanwhile was not there, and nothing in it is followed or trusted. */
#include "solana/snapshot_local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "io/fsroot.h"
#include "io/lock.h"
#include "solana/bank_snapshots.h"

#define OURS    "tmp-"
#define AGAVES  "tmp-snapshot-archive-"
#define STORE   ".agavectl"
#define REMOTE  "remote"
#define VERSION "1.2.0"
#define BLOCK_B 512 /* of st_blocks */

#define SHOWN_MAX 200 /* of a path */

const char *snaplocal_place_name(enum snaplocal_place p)
{
    static const char *const places[] = {
        [SNAPLOCAL_TOP] = "here", [SNAPLOCAL_REMOTE] = "remote", [SNAPLOCAL_STAGED] = "waiting"};

    return places[p];
}

void snaplocal_clear(struct snaplocal *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->files[i].file);
        free(l->files[i].path);
        free(l->files[i].home);
        free(l->files[i].why);
    }
    for (size_t i = 0; i < l->n_banks; i++) {
        free(l->banks[i].path);
        free(l->banks[i].why);
    }
    free(l->files);
    free(l->banks);
    strlist_clear(&l->odd);
    free(l->dir);
    free(l->full_dir);
    free(l->incr_dir);
    *l = (struct snaplocal){0};
}

static struct err *absent_is_fine(struct err *e)
{
    return e && e->kind == ERR_NOTFOUND ? err_free(e) : e;
}

/* Is it the name of an archive? */
static bool parse_name(const char *text, struct snapshot_name *ret)
{
    struct err *e = snapshot_name_parse(text, ret);

    return e ? err_free(e), false : true;
}

/* ---- files ------------------------------------------------------------------------------------
 */

static bool name_archive(const char *name, struct snaplocal_file *f)
{
    f->kind = SNAPLOCAL_ARCHIVE;
    f->named = parse_name(name, &f->name);
    return f->named;
}

/* Of aria2, wget and others; what the name says beside it is for people. */
static bool is_foreign_half(const char *name)
{
    static const char *const ends[] = {".part", ".partial", ".aria2", ".tmp"};

    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        if (str_ends(name, ends[i]) && (strstr(name, "snapshot-") || strstr(name, "snapshot.")))
            return true;
    return false;
}

static bool name_half(const char *name, struct snaplocal_file *f)
{
    f->kind = SNAPLOCAL_HALF;
    if (f->place == SNAPLOCAL_TOP && str_starts(name, AGAVES)) {
        f->maker = SNAPLOCAL_AGAVE;
        return true;
    }
    if (str_starts(name, OURS) && parse_name(name + strlen(OURS), &f->name)) {
        f->named = true;
        f->maker = f->place == SNAPLOCAL_REMOTE ? SNAPLOCAL_AGAVE : SNAPLOCAL_OURS;
        return true;
    }
    return f->place != SNAPLOCAL_STAGED && is_foreign_half(name);
}

/* <name>.map and <name>.json in .agavectl/. */
static bool name_left(const char *name, struct snaplocal_file *f)
{
    const char *dot = strrchr(name, '.');
    AUTO(freep) char *stem = dot ? xstrndup(name, (size_t)(dot - name)) : NULL;

    f->kind = SNAPLOCAL_LEFT;
    f->maker = SNAPLOCAL_OURS;
    if (f->place != SNAPLOCAL_STAGED || !dot || (!str_eq(dot, ".map") && !str_eq(dot, ".json")))
        return false;
    f->named = parse_name(stem, &f->name);
    return f->named;
}

/* A name that somebody took for an archive's: Agave passes it by without a word. */
static void look_for_slip(const char *path, const char *name, struct snaplocal *l)
{
    AUTO(freep) char *shown = NULL;

    if ((!str_starts(name, "snapshot") && !str_starts(name, "incremental-snapshot")) ||
        !strstr(name, ".tar"))
        return;
    shown = str_shown(path, SHOWN_MAX);
    strlist_addf(&l->odd,
                 "'%s' is not the name of an archive (snapshot-SLOT-HASH.tar.zst): nobody reads it",
                 shown);
}

/* What it leads to when it is a link; the blocks are its own. A link to nothing is itself. */
static struct err *look_at(struct ctx *ctx, const char *path, struct stat *ret, bool *ret_link)
{
    AUTO(closep) int fd = -1;
    struct stat own;
    struct err *e;

    TRY(fsroot_openat(ctx->root, path, O_PATH | O_NOFOLLOW, 0, &fd));
    if (fstat(fd, &own) < 0)
        return err_sys(errno, "cannot look at '%s'", path);
    *ret_link = S_ISLNK(own.st_mode);
    e = fsroot_stat(ctx->root, path, ret);
    if (e && *ret_link && (e->kind == ERR_NOTFOUND || e->sys == ELOOP)) {
        *ret = own;
        return err_free(e);
    }
    TRY(e);
    if (*ret_link)
        ret->st_blocks = own.st_blocks;
    return NULL;
}

static struct err *add_file(struct ctx *ctx, const char *dir, const char *name,
                            enum snaplocal_place place, struct snaplocal *l)
{
    struct snaplocal_file f = {.place = place};
    AUTO(freep) char *path = xasprintf("%s/%s", dir, name);
    struct stat st;

    if (!name_archive(name, &f) && !name_half(name, &f) && !name_left(name, &f)) {
        look_for_slip(path, name, l);
        return NULL;
    }
    struct err *e = look_at(ctx, path, &st, &f.link);
    if (e && e->kind == ERR_NOTFOUND && f.kind == SNAPLOCAL_HALF && f.named) {
        err_free(e); /* it has got its final name, which may not have been in the list */
        return add_file(ctx, dir, name + strlen(OURS), place, l);
    }
    if (e)
        return absent_is_fine(e);
    /* Agave stages in folders as well; whatever else is no plain file is none of it, but for its
     * name. */
    f.no_file = f.kind == SNAPLOCAL_ARCHIVE && !S_ISREG(st.st_mode);
    if (!S_ISREG(st.st_mode) && !f.no_file && !(S_ISDIR(st.st_mode) && f.maker == SNAPLOCAL_AGAVE))
        return NULL;
    f.file = xstrdup(name);
    f.path = TAKE(path);
    f.size_b = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    f.disk_b = (uint64_t)st.st_blocks * BLOCK_B;
    f.mtime_s = st.st_mtim.tv_sec > 0 ? (uint64_t)st.st_mtim.tv_sec : 0;
    f.uid = st.st_uid;
    f.gid = st.st_gid;
    f.mode = st.st_mode & 07777;
    l->files = xgrow(l->files, &l->cap, l->n + 1, sizeof(*l->files));
    l->files[l->n++] = f;
    return NULL;
}

/* Of this folder, whose files begin at from. */
static bool is_listed(const struct snaplocal *l, size_t from, const char *name)
{
    for (size_t i = from; i < l->n; i++)
        if (str_eq(l->files[i].file, name))
            return true;
    return false;
}

static struct err *add_folder(struct ctx *ctx, const char *dir, enum snaplocal_place place,
                              struct snaplocal *l)
{
    AUTO(strlist_clear) struct strlist names = {0};
    size_t from = l->n;

    TRY(fsroot_list(ctx->root, dir, &names));
    for (size_t i = 0; i < names.n; i++)
        if (!is_listed(l, from, names.items[i]))
            TRY(add_file(ctx, dir, names.items[i], place, l));
    return NULL;
}

/* Does somebody fetch it? The map of a half lies in the .agavectl of its own folder. A map that
 * cannot be asked is root's, and may be locked. */
static void look_who_fetches(struct ctx *ctx, struct snaplocal_file *f)
{
    AUTO(freep) char *dir = xstrndup(f->path, strlen(f->path) - strlen(f->file) - 1);
    AUTO(freep) char *map = xasprintf("%s/" STORE "/%s.map", dir, f->file + strlen(OURS));
    AUTO(freep) char *path = NULL;

    if (f->kind != SNAPLOCAL_HALF || f->maker != SNAPLOCAL_OURS || fsroot_captured(ctx->root))
        return;
    path = fsroot_path(ctx->root, map);
    struct err *e = flock_held(path, &f->busy);
    f->busy |= e && e->kind != ERR_NOTFOUND;
    err_free(e);
}

/* A map belongs to a half, a note to an archive or a half; with that it is nothing of its own. */
static bool belongs(const struct snaplocal *l, const struct snaplocal_file *left)
{
    const char *dot = strrchr(left->file, '.');
    size_t n = (size_t)(dot - left->file);

    for (size_t i = 0; i < l->n; i++) {
        const struct snaplocal_file *f = &l->files[i];
        const char *of = f->kind == SNAPLOCAL_HALF ? f->file + strlen(OURS) : f->file;

        if (f->kind == SNAPLOCAL_LEFT || !f->named || !str_eq(f->home, left->home))
            continue;
        if (f->kind == SNAPLOCAL_ARCHIVE && str_eq(dot, ".map"))
            continue;
        if (strlen(of) == n && memcmp(of, left->file, n) == 0)
            return true;
    }
    return false;
}

static void drop_what_belongs(struct snaplocal *l)
{
    size_t kept = 0;

    for (size_t i = 0; i < l->n; i++)
        l->files[i].busy |= l->files[i].kind == SNAPLOCAL_LEFT && belongs(l, &l->files[i]);
    for (size_t i = 0; i < l->n; i++) {
        struct snaplocal_file *f = &l->files[i];

        if (f->kind == SNAPLOCAL_LEFT && f->busy) {
            free(f->file);
            free(f->path);
            free(f->home);
            continue;
        }
        l->files[kept++] = *f;
    }
    l->n = kept;
}

/* aria2 writes into the final name from the beginning. */
static void look_who_has_not_ended(struct snaplocal *l, struct snaplocal_file *f)
{
    AUTO(freep)
    char *control = f->kind == SNAPLOCAL_ARCHIVE ? xasprintf("%s.aria2", f->path) : NULL;

    for (size_t i = 0; control && i < l->n && !f->unfinished; i++)
        f->unfinished = str_eq(l->files[i].path, control);
}

static int by_place_in_list(const void *a, const void *b)
{
    const struct snaplocal_file *x = a, *y = b;

    if (x->kind != y->kind)
        return (int)x->kind - (int)y->kind;
    if (x->named && y->named && x->name.slot != y->name.slot)
        return x->name.slot > y->name.slot ? -1 : 1;
    if (x->named != y->named)
        return x->named ? -1 : 1;
    if (x->apart != y->apart)
        return x->apart ? 1 : -1;
    if (x->place != y->place)
        return (int)x->place - (int)y->place;
    return strcmp(x->file, y->file);
}

/* ---- bank snapshots ---------------------------------------------------------------------------
 */

/* A plain file, which is what Agave asks for. */
static struct err *has(struct ctx *ctx, const char *dir, const char *name, bool *ret)
{
    AUTO(freep) char *path = xasprintf("%s/%s", dir, name);
    struct stat st;
    struct err *e = fsroot_stat(ctx->root, path, &st);

    *ret = !e && S_ISREG(st.st_mode);
    return absent_is_fine(e);
}

/* At most max_b bytes; n 0 when there is none, or more. A FIFO is not waited for. */
static struct err *read_small(struct ctx *ctx, const char *dir, const char *name, size_t max_b,
                              char *buf, size_t *ret_n)
{
    AUTO(freep) char *path = xasprintf("%s/%s", dir, name);
    AUTO(closep) int fd = -1;
    struct err *e = fsroot_openat(ctx->root, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0, &fd);

    *ret_n = 0;
    if (e)
        return e->sys == ELOOP ? err_free(e) : absent_is_fine(e);
    ssize_t n = pread(fd, buf, max_b, 0);
    if (n < 0)
        return errno == EISDIR ? NULL : err_sys(errno, "cannot read '%s'", path);
    *ret_n = (size_t)n < max_b ? (size_t)n : 0;
    return NULL;
}

static void trim(char *text, size_t *n)
{
    static const char blanks[] = " \t\r\n";

    while (*n && strchr(blanks, text[*n - 1]))
        --*n;
    text[*n] = 0;
}

/* "2.0.0": three numbers, maybe with more behind. */
static bool fastboot_major(const char *text, uint64_t *ret)
{
    size_t major = strspn(text, "0123456789");
    AUTO(freep) char *number = xstrndup(text, major);
    const char *at = text + major;

    for (int i = 0; i < 2; i++) {
        size_t n = *at == '.' ? strspn(at + 1, "0123456789") : 0;

        if (!n)
            return false;
        at += 1 + n;
    }
    if (*at && *at != '-' && *at != '+')
        return false;
    struct err *e = parse_u64(number, 0, UINT64_MAX, ret);
    return e ? err_free(e), false : true;
}

static struct err *read_marks(struct ctx *ctx, struct snaplocal_bank *b)
{
    char buf[80];
    size_t n;

    TRY(read_small(ctx, b->path, "version", sizeof(buf) - 1, buf, &n));
    trim(buf, &n);
    b->version_ok = str_eq(buf, VERSION);
    TRY(read_small(ctx, b->path, "full_snapshot_slot", 9, buf, &n));
    b->full_slot.known = n == 8;
    if (b->full_slot.known)
        b->full_slot.v = get_le64((const uint8_t *)buf);
    TRY(has(ctx, b->path, "fastboot_version", &b->fastboot.known));
    if (!b->fastboot.known)
        return NULL;
    TRY(read_small(ctx, b->path, "fastboot_version", sizeof(buf) - 1, buf, &n));
    trim(buf, &n);
    b->fastboot.known = fastboot_major(buf, &b->fastboot.v);
    b->fastboot_bad = !b->fastboot.known;
    return NULL;
}

static struct err *read_bank(struct ctx *ctx, const char *accounts, struct snaplocal_bank *b)
{
    AUTO(freep) char *bank = xasprintf("%llu", (unsigned long long)b->slot);
    AUTO(freep) char *pre = xasprintf("%s.pre", bank);
    struct bank_snapshot as = {.slot = b->slot};

    TRY(read_marks(ctx, b));
    TRY(has(ctx, b->path, "status_cache", &b->status_cache));
    TRY(has(ctx, b->path, bank, &b->bank));
    TRY(has(ctx, b->path, pre, &b->pre));
    TRY(has(ctx, b->path, "state_complete", &b->state_complete));
    TRY(has(ctx, b->path, "storages_flushed", &b->flushed));
    if (!accounts)
        return NULL;
    b->accounts_known = true;
    return bank_snapshot_has_accounts(ctx->root, &as, accounts, &b->has_accounts);
}

static struct err *add_bank(struct ctx *ctx, const char *dir, const char *name,
                            const char *accounts, struct snaplocal *l)
{
    AUTO(freep) char *path = xasprintf("%s/%s", dir, name);
    struct snaplocal_bank b = {0};
    struct stat st;
    struct err *e = parse_u64(name, 0, UINT64_MAX, &b.slot);

    if (e)
        return err_free(e); /* not a slot */
    e = fsroot_stat(ctx->root, path, &st);
    if (e)
        return absent_is_fine(e);
    if (!S_ISDIR(st.st_mode))
        return NULL;
    b.path = path;
    TRY(read_bank(ctx, accounts, &b));
    path = NULL;
    l->banks = xgrow(l->banks, &l->cap_banks, l->n_banks + 1, sizeof(*l->banks));
    l->banks[l->n_banks++] = b;
    return NULL;
}

static int by_slot(const void *a, const void *b)
{
    const struct snaplocal_bank *x = a, *y = b;

    return (x->slot < y->slot) - (x->slot > y->slot);
}

static struct err *read_banks(struct ctx *ctx, const char *accounts, struct snaplocal *l)
{
    AUTO(freep) char *dir = xasprintf("%s/" BANK_SNAPSHOTS_DIR, l->dir);
    AUTO(strlist_clear) struct strlist names = {0};

    TRY(absent_is_fine(fsroot_list(ctx->root, dir, &names)));
    for (size_t i = 0; i < names.n; i++)
        TRY(add_bank(ctx, dir, names.items[i], accounts, l));
    if (l->n_banks)
        qsort(l->banks, l->n_banks, sizeof(*l->banks), by_slot);
    return NULL;
}

/* ---- all of it --------------------------------------------------------------------------------
 */

/* One folder by two names, or over a link, is one. */
static struct err *is_same(struct ctx *ctx, const char *a, const char *b, bool *ret)
{
    struct stat x, y;
    struct err *e;

    *ret = str_eq(a, b);
    if (*ret)
        return NULL;
    e = fsroot_stat(ctx->root, a, &x);
    if (!e)
        e = fsroot_stat(ctx->root, b, &y);
    *ret = !e && x.st_dev == y.st_dev && x.st_ino == y.st_ino && x.st_ino;
    return absent_is_fine(e);
}

/* What waits; a link there leads nobody knows where, and none of our commands would follow it. */
static struct err *read_store(struct ctx *ctx, const char *store, struct snaplocal *l)
{
    AUTO(closep) int fd = -1;
    struct err *e = fsroot_openat(ctx->root, store, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &fd);

    if (!e)
        return absent_is_fine(add_folder(ctx, store, SNAPLOCAL_STAGED, l));
    if (e->sys != ELOOP && e->sys != ENOTDIR)
        return absent_is_fine(e);
    err_free(e);
    strlist_addf(&l->odd,
                 "'%s' is no folder, or a link: what lies there is not looked at; move it away",
                 store);
    return NULL;
}

static struct err *read_home(struct ctx *ctx, const char *dir, struct snaplocal *l)
{
    AUTO(freep) char *remote = xasprintf("%s/" REMOTE, dir);
    AUTO(freep) char *store = xasprintf("%s/" STORE, dir);
    AUTO(closep) int fd = -1;
    size_t from = l->n;

    TRY(fsroot_openat(ctx->root, dir, O_RDONLY | O_DIRECTORY, 0, &fd)); /* its error comes first */
    /* What gets its place meanwhile is seen twice then, and not at all in another order. */
    TRY(read_store(ctx, store, l));
    TRY(add_folder(ctx, dir, SNAPLOCAL_TOP, l));
    TRY(absent_is_fine(add_folder(ctx, remote, SNAPLOCAL_REMOTE, l)));
    for (size_t i = from; i < l->n; i++) {
        struct snaplocal_file *f = &l->files[i];

        f->home = xstrdup(dir);
        f->apart = f->kind == SNAPLOCAL_ARCHIVE &&
                   !str_eq(dir, f->name.incremental ? l->incr_dir : l->full_dir);
    }
    return NULL;
}

static struct err *read_all(struct ctx *ctx, const char *accounts, struct snaplocal *l)
{
    TRY(read_home(ctx, l->dir, l));
    if (!str_eq(l->full_dir, l->dir))
        TRY(absent_is_fine(read_home(ctx, l->full_dir, l)));
    if (!str_eq(l->incr_dir, l->dir) && !str_eq(l->incr_dir, l->full_dir))
        TRY(absent_is_fine(read_home(ctx, l->incr_dir, l)));
    for (size_t i = 0; i < l->n; i++) {
        look_who_fetches(ctx, &l->files[i]);
        look_who_has_not_ended(l, &l->files[i]);
    }
    drop_what_belongs(l);
    if (l->n)
        qsort(l->files, l->n, sizeof(*l->files), by_place_in_list);
    return read_banks(ctx, accounts, l);
}

/* Folders that are one get one name. */
static struct err *name_folders(struct ctx *ctx, const struct snapdirs *dirs, struct snaplocal *l)
{
    const char *full = dirs->full ? dirs->full : dirs->dir;
    const char *incr = dirs->incremental ? dirs->incremental : dirs->dir;
    bool full_here = false, incr_here = false, together = false;

    TRY(is_same(ctx, full, dirs->dir, &full_here));
    TRY(is_same(ctx, incr, dirs->dir, &incr_here));
    TRY(is_same(ctx, incr, full, &together));
    l->dir = xstrdup(dirs->dir);
    l->full_dir = xstrdup(full_here ? dirs->dir : full);
    l->incr_dir = xstrdup(incr_here ? dirs->dir : together ? full : incr);
    return NULL;
}

struct err *snaplocal_read_dirs(struct ctx *ctx, const struct snapdirs *dirs, const char *accounts,
                                struct snaplocal *ret)
{
    AUTO(snaplocal_clear) struct snaplocal l = {0};

    TRY_CTX(name_folders(ctx, dirs, &l), "snapshots");
    TRY_CTX(read_all(ctx, accounts, &l), "snapshots");
    *ret = l;
    l = (struct snaplocal){0};
    return NULL;
}

struct err *snaplocal_read(struct ctx *ctx, const char *dir, const char *accounts,
                           struct snaplocal *ret)
{
    return snaplocal_read_dirs(ctx, &(struct snapdirs){.dir = dir}, accounts, ret);
}

struct snapdirs snaplocal_dirs(const struct snaplocal *l)
{
    return (struct snapdirs){.dir = l->dir, .full = l->full_dir, .incremental = l->incr_dir};
}
