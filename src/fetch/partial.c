/* See partial.h. The name, its folder and the last rename are place.c's, what the record looks like
 * segment_map.c's; here is the order of writes that makes both agree whatever happens between them.
 *
 * A block is written whole, then its byte in the map: a kill between the two costs the block once
 * more. A slot is written after the data of all its blocks was made durable, and a block that is
 * taken back (forget) is taken out of the slots as well before anything else is written over it.
 * The map is written with pwrite, not through mmap: a disk that is full is an error then and not a
 * signal. */
#include "fetch/partial.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include "base/fault.h"
#include "base/log.h"
#include "fetch/map_lock.h"
#include "fetch/place.h"
#include "fetch/provenance.h"
#include "fetch/segment_map.h"
#include "io/clock.h"
#include "io/fsroot.h"

#define FOLDER       STORE_DIR
#define BOOT_ID      "/proc/sys/kernel/random/boot_id"
#define SYNC_EVERY_B ((uint64_t)64 << 20)
#define SYNC_EVERY_S 10
#define OPEN_TRIES   5

struct partial {
    struct place *place;
    char *dir, *name, *map_name;
    int side_fd, map_fd;
    char boot[SEGMENT_BOOT_MAX];
    struct segment_map map; /* n 0: the length is unknown */
    uint64_t have_b, resumed_b, frontier;
    bool opened; /* what has the temporary name is ours */
    bool finished;

    /* The thread that makes durable. lock: of map.blocks and what follows; syncing: one at a time,
     * taken first. */
    pthread_t thread;
    pthread_mutex_t lock, syncing;
    pthread_cond_t wake;
    bool has_thread, leave;
    bool lost; /* the disk did not take some of it */
    uint64_t unsynced_b, epoch;
    struct err *failed; /* of the thread */
};

/* ---- opening ------------------------------------------------------------------------------ */

static struct err *open_map(struct partial *p)
{
    for (int i = 0; p->map_fd < 0; i++) {
        if (i == OPEN_TRIES)
            return err_new(ERR_REFUSED, MAP_BUSY);
        TRY(map_lock(p->side_fd, p->map_name, O_CREAT, &p->map_fd));
    }
    return NULL;
}

static void read_boot(struct ctx *ctx, struct partial *p)
{
    AUTO(freep) char *text = NULL;
    struct err *e = fsroot_read_line(ctx->root, BOOT_ID, &text);

    if (!e && strlen(text) < sizeof(p->boot))
        snprintf(p->boot, sizeof(p->boot), "%s", text);
    err_free(e); /* unknown: only what is durable will count */
}

/* The largest record of any file that could be there: checked against its own head later. */
static struct err *read_map(const struct partial *p, char **ret, size_t *ret_n)
{
    struct stat st;

    if (fstat(p->map_fd, &st) < 0)
        return err_sys(errno, "cannot look at '" FOLDER "/%s'", p->map_name);
    if ((uint64_t)st.st_size > segment_map_size(SEGMENT_FILE_MAX_B))
        return err_new(ERR_CORRUPT, "it is larger than any map");
    return fsroot_read_fd(p->map_fd, p->map_name, (size_t)st.st_size, ret, ret_n);
}

static struct err *load_map(struct partial *p, struct segment_map *ret)
{
    AUTO(freep) char *data = NULL;
    size_t n = 0;

    TRY(read_map(p, &data, &n));
    return segment_map_parse(data, n, p->boot, ret);
}

/* How much of the file the map says is there: up to the end of its last block. */
static uint64_t claimed_b(const struct segment_map *m)
{
    for (size_t i = m->n; i > 0; i--)
        if (m->blocks[i - 1] != SEGMENT_MISSING)
            return (uint64_t)(i - 1) * SEGMENT_BLOCK_B + segment_block_b(m, i - 1);
    return 0;
}

static struct err *pwrite_all(int fd, const void *data, size_t n, uint64_t at, const char *what)
{
    const char *from = data;

    while (n) {
        ssize_t done = pwrite(fd, from, n, (off_t)at);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return err_sys(errno, "cannot write '%s'", what);
        from += done;
        at += (uint64_t)done;
        n -= (size_t)done;
    }
    return NULL;
}

/* The head last: whoever finds the old head uses the slots or nothing. with_slots: they are empty
 * from now on, else as they were. */
static struct err *write_map(struct partial *p, bool with_slots)
{
    AUTO(freep) uint8_t *data = NULL;
    size_t n, head_n = segment_block_at(0);

    memcpy(p->map.boot, p->boot, sizeof(p->boot));
    data = segment_map_format(&p->map, &n);
    if (with_slots && ftruncate(p->map_fd, 0) < 0)
        return err_sys(errno, "cannot write '%s'", p->map_name);
    if (!with_slots)
        n = head_n + p->map.n;
    TRY(pwrite_all(p->map_fd, data + head_n, n - head_n, head_n, p->map_name));
    return pwrite_all(p->map_fd, data, head_n, 0, p->map_name);
}

/* Nothing is missing from that block to the frontier. Stored once: the verifier's thread may look
 * at any moment, and must not see one that goes back and comes again. */
static void move_frontier(struct partial *p, uint64_t at)
{
    while (at < p->map.n && p->map.blocks[at] != SEGMENT_MISSING)
        at++;
    __atomic_store_n(&p->frontier, at, __ATOMIC_RELEASE);
}

static void count(struct partial *p)
{
    p->have_b = 0;
    for (size_t i = 0; i < p->map.n; i++)
        if (p->map.blocks[i] != SEGMENT_MISSING)
            p->have_b += segment_block_b(&p->map, i);
    move_frontier(p, 0);
}

/* *ret_found: the files of a run before this one belong together. */
static struct err *resume(struct partial *p, bool *ret_found)
{
    AUTO(segment_map_clear) struct segment_map m = {0};
    struct err *e = load_map(p, &m);

    *ret_found = false;
    if (e && e->kind != ERR_CORRUPT)
        return e;
    if (e || !str_eq(m.name, p->name)) {
        err_free(e); /* as good as none */
        return NULL;
    }
    TRY(place_reopen(p->place, m.inode, claimed_b(&m), ret_found));
    if (!*ret_found)
        return NULL;
    p->map = m;
    m = (struct segment_map){0};
    count(p);
    p->resumed_b = p->have_b;
    return str_eq(p->map.boot, p->boot) && *p->boot ? NULL : write_map(p, false);
}

static struct err *begin(struct partial *p)
{
    uint64_t leftover_b = 0;
    struct stat st;

    TRY(place_create(p->place, &leftover_b));
    if (leftover_b)
        log_debug("removed %llu bytes of an earlier download of '%s'",
                  (unsigned long long)leftover_b, p->name);
    if (fstat(place_fd(p->place), &st) < 0)
        return err_sys(errno, "cannot look at '%s/tmp-%s'", p->dir, p->name);
    p->map.inode = (uint64_t)st.st_ino;
    snprintf(p->map.name, sizeof(p->map.name), "%s", p->name);
    return NULL;
}

struct err *partial_open(struct ctx *ctx, const char *dir, const char *name, struct partial **ret)
{
    AUTO(partial_freep) struct partial *p = xcalloc(1, sizeof(*p));
    bool found = false;

    p->side_fd = p->map_fd = -1;
    p->dir = xstrdup(dir);
    p->name = xstrdup(name);
    p->map_name = xasprintf("%s.map", name);
    pthread_mutex_init(&p->lock, NULL);
    pthread_mutex_init(&p->syncing, NULL);
    pthread_cond_init(&p->wake, NULL);
    if (strlen(name) >= sizeof(p->map.name))
        return err_new(ERR_BADINPUT, "the name is too long");
    TRY(place_prepare(ctx->root, dir, name, &p->place));
    TRY(store_dir_open(ctx, dir, true, &p->side_fd));
    TRY_CTX(open_map(p), "'%s/%s'", dir, name);
    /* who had the lock may have ended well just now */
    if (faccessat(place_dir_fd(p->place), name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return err_new(ERR_REFUSED, "'%s/%s' exists already; move it away to fetch it again", dir,
                       name);
    read_boot(ctx, p);
    TRY(resume(p, &found));
    if (!found)
        TRY(begin(p));
    p->opened = true;
    *ret = TAKE(p);
    return NULL;
}

/* ---- making durable ----------------------------------------------------------------------- */

/* The blocks are those of a moment before the data was made durable; when some were taken back
 * meanwhile, the next round writes the slot. */
static struct err *write_slot(struct partial *p, const struct segment_map *m, uint64_t epoch)
{
    AUTO(freep) uint8_t *slot = NULL;
    uint64_t generation = p->map.generation + 1;
    size_t at, n;

    slot = segment_slot_format(m, generation, &at, &n);
    if (__atomic_load_n(&p->epoch, __ATOMIC_ACQUIRE) != epoch)
        return NULL;
    TRY(pwrite_all(p->map_fd, slot, n, at, p->map_name));
    if (fdatasync(p->map_fd) < 0)
        return err_sys(errno, "cannot write '%s'", p->map_name);
    p->map.generation = generation;
    return NULL;
}

/* The kernel tells once that it could not write and may forget the bytes, which look well as long
 * as they are in memory: only what was durable before counts from now on, for the next run too.
 * With p->syncing held. */
static struct err *lose(struct partial *p, int sys)
{
    uint8_t head[SEGMENT_HEAD_B];
    struct err *e;

    pthread_mutex_lock(&p->lock);
    p->lost = true;
    memset(p->boot, 0, sizeof(p->boot));
    memset(p->map.boot, 0, sizeof(p->map.boot));
    segment_head_format(&p->map, head);
    e = pwrite_all(p->map_fd, head, sizeof(head), 0, p->map_name);
    pthread_mutex_unlock(&p->lock);
    if (e)
        (void)unlinkat(p->side_fd, p->map_name, 0); /* then nothing counts */
    err_free(e);
    return err_sys(sys, "cannot write '%s/tmp-%s'", p->dir, p->name);
}

/* With p->syncing held. */
static struct err *sync_now(struct partial *p)
{
    AUTO(segment_map_clear) struct segment_map m = {0};
    uint64_t epoch;

    if (p->lost)
        return err_sys(EIO, "the disk did not take all of '%s/tmp-%s'", p->dir, p->name);
    pthread_mutex_lock(&p->lock);
    m.total_b = p->map.total_b;
    m.n = p->map.n;
    m.blocks = xmemdup(p->map.blocks, p->map.n);
    epoch = __atomic_load_n(&p->epoch, __ATOMIC_ACQUIRE);
    p->unsynced_b = 0;
    pthread_mutex_unlock(&p->lock);
    if (fdatasync(place_fd(p->place)) < 0)
        return lose(p, errno);
    FAULT("partial-synced");
    return write_slot(p, &m, epoch);
}

struct err *partial_sync(struct partial *p)
{
    struct err *e = NULL;

    pthread_mutex_lock(&p->syncing);
    if (p->map.n)
        e = sync_now(p);
    pthread_mutex_unlock(&p->syncing);
    return e;
}

/* Returns whether there is something to make durable; false: leave. */
static bool wait_for_work(struct partial *p)
{
    struct timespec until;
    bool leave;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += SYNC_EVERY_S;
    pthread_mutex_lock(&p->lock);
    while (!p->leave && p->unsynced_b < SYNC_EVERY_B)
        if (pthread_cond_timedwait(&p->wake, &p->lock, &until) == ETIMEDOUT && p->unsynced_b)
            break;
        else if (!p->unsynced_b)
            until.tv_sec += SYNC_EVERY_S;
    leave = p->leave;
    pthread_mutex_unlock(&p->lock);
    return !leave;
}

static void *keeper(void *arg)
{
    struct partial *p = arg;

    while (wait_for_work(p)) {
        struct err *e = partial_sync(p);

        if (!e)
            continue;
        pthread_mutex_lock(&p->lock);
        err_free(p->failed);
        p->failed = e;
        pthread_mutex_unlock(&p->lock);
        return NULL;
    }
    return NULL;
}

static struct err *start_keeper(struct partial *p)
{
    int e = p->has_thread ? 0 : pthread_create(&p->thread, NULL, keeper, p);

    if (e)
        return err_sys(e, "cannot start a thread");
    p->has_thread = true;
    return NULL;
}

static void stop_keeper(struct partial *p)
{
    if (!p->has_thread)
        return;
    pthread_mutex_lock(&p->lock);
    p->leave = true;
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    p->has_thread = p->leave = false;
}

/* ---- length and room ---------------------------------------------------------------------- */

/* Room for the whole of it, so that others cannot take it meanwhile. A file system that cannot
 * promise (ZFS) says so, and the looks at the free room on the way do it then. */
static struct err *allocate(const struct partial *p)
{
    int fd = place_fd(p->place);
    struct statfs fs;

    if (fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC)
        return NULL; /* it would clear every page */
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)p->map.total_b) == 0 || errno != ENOSPC)
        return NULL;
    return err_sys(ENOSPC, "'%s' has no room for '%s'", p->dir, p->name);
}

static uint64_t allocated_b(const struct partial *p)
{
    struct stat st;

    return fstat(place_fd(p->place), &st) < 0 ? 0 : (uint64_t)st.st_blocks * 512;
}

struct err *partial_has_room(struct partial *p, uint64_t spare_b)
{
    uint64_t need_b = p->map.total_b, have_b = allocated_b(p);
    struct err *e;

    need_b = need_b > have_b ? need_b - have_b : 0;
    if (__builtin_add_overflow(need_b, spare_b, &need_b))
        need_b = UINT64_MAX;
    pthread_mutex_lock(&p->lock);
    e = TAKE(p->failed);
    pthread_mutex_unlock(&p->lock);
    return e ? e : place_has_room(p->place, need_b);
}

struct err *partial_size(struct partial *p, uint64_t total_b, uint64_t spare_b)
{
    struct err *e;

    if (total_b == 0)
        return err_remote(0, "it is empty");
    if (total_b > SEGMENT_FILE_MAX_B)
        return err_remote(0, "it announces %llu bytes, which no archive has",
                          (unsigned long long)total_b);
    if (p->map.n && p->map.total_b == total_b) {
        TRY(partial_has_room(p, spare_b));
        return start_keeper(p);
    }
    stop_keeper(p);
    if (ftruncate(place_fd(p->place), 0) < 0)
        return err_sys(errno, "cannot write '%s/tmp-%s'", p->dir, p->name);
    free(p->map.blocks);
    p->map.total_b = total_b;
    p->map.n = 0;
    p->map.blocks = NULL;
    p->map.generation = 0;
    memset(p->map.proven, 0, sizeof(p->map.proven));
    p->resumed_b = 0;
    TRY(partial_has_room(p, spare_b));
    p->map.n = segment_blocks(total_b);
    p->map.blocks = xcalloc(p->map.n, 1);
    p->epoch++;
    count(p);
    e = allocate(p);
    if (!e)
        e = write_map(p, true);
    if (e) { /* no length is known, so that the next one begins with all of this again */
        free(TAKE(p->map.blocks));
        p->map.n = 0;
        return e;
    }
    return start_keeper(p);
}

uint64_t partial_total_b(const struct partial *p)
{
    return p->map.n ? p->map.total_b : UINT64_MAX;
}

uint64_t partial_have_b(const struct partial *p)
{
    return p->have_b;
}

uint64_t partial_resumed_b(const struct partial *p)
{
    return p->resumed_b;
}

bool partial_whole(const struct partial *p)
{
    return p->map.n && p->have_b == p->map.total_b;
}

const uint8_t *partial_blocks(const struct partial *p, size_t *ret_n)
{
    *ret_n = p->map.n;
    return p->map.blocks;
}

uint64_t partial_frontier_b(const struct partial *p)
{
    uint64_t at = __atomic_load_n(&p->frontier, __ATOMIC_ACQUIRE) * SEGMENT_BLOCK_B;

    return at < p->map.total_b ? at : p->map.total_b;
}

/* ---- bytes -------------------------------------------------------------------------------- */

struct err *partial_read(const struct partial *p, uint64_t at_b, void *data, size_t n)
{
    char *to = data;

    while (n) {
        ssize_t got = pread(place_fd(p->place), to, n, (off_t)at_b);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(errno, "cannot read '%s/tmp-%s'", p->dir, p->name);
        if (got == 0)
            return err_sys(EIO, "'%s/tmp-%s' was made shorter by somebody else", p->dir, p->name);
        to += got;
        at_b += (uint64_t)got;
        n -= (size_t)got;
    }
    return NULL;
}

void partial_drop_cache(const struct partial *p, uint64_t from_b, uint64_t to_b)
{
    (void)posix_fadvise(place_fd(p->place), (off_t)from_b, (off_t)(to_b - from_b),
                        POSIX_FADV_DONTNEED); /* only an advice */
}

static struct err *mark(struct partial *p, size_t i, uint8_t source)
{
    TRY(pwrite_all(p->map_fd, &source, 1, segment_block_at(i), p->map_name));
    pthread_mutex_lock(&p->lock);
    p->map.blocks[i] = source;
    p->unsynced_b += segment_block_b(&p->map, i);
    if (p->unsynced_b >= SYNC_EVERY_B)
        pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
    p->have_b += segment_block_b(&p->map, i);
    if (i == p->frontier)
        move_frontier(p, i);
    return NULL;
}

static struct err *compare(const struct partial *p, uint64_t at_b, const void *data, size_t n,
                           enum partial_put *ret)
{
    char there[SEGMENT_BLOCK_B];

    TRY(partial_read(p, at_b, there, n));
    *ret = memcmp(there, data, n) == 0 ? PARTIAL_SAME : PARTIAL_DIFFERS;
    return NULL;
}

struct err *partial_put(struct partial *p, uint8_t source, uint64_t at_b, const void *data,
                        size_t n, enum partial_put *ret, uint8_t *ret_writer)
{
    size_t i = (size_t)(at_b / SEGMENT_BLOCK_B);

    if (source == SEGMENT_MISSING || source == SEGMENT_EARLIER || at_b % SEGMENT_BLOCK_B ||
        i >= p->map.n || n != segment_block_b(&p->map, i))
        return err_new(ERR_BUG, "a piece that is no block");
    *ret_writer = p->map.blocks[i];
    if (p->map.blocks[i] != SEGMENT_MISSING)
        return compare(p, at_b, data, n, ret);
    TRY(pwrite_all(place_fd(p->place), data, n, at_b, p->name));
    FAULT("partial-block");
    TRY(mark(p, i, source));
    *ret = PARTIAL_WRITTEN;
    return NULL;
}

/* Blocks become their heirs', where they have one, or are missing. */
static struct err *take_back(struct partial *p, size_t from, size_t to, uint8_t source,
                             const uint8_t *heirs)
{
    struct err *e;

    __atomic_add_fetch(&p->epoch, 1, __ATOMIC_RELEASE);
    pthread_mutex_lock(&p->syncing);
    pthread_mutex_lock(&p->lock);
    for (size_t i = from; i < to; i++)
        if (source == SEGMENT_MISSING || p->map.blocks[i] == source)
            p->map.blocks[i] = heirs ? heirs[i] : SEGMENT_MISSING;
    pthread_mutex_unlock(&p->lock);
    count(p);
    e = write_map(p, false);
    if (!e)
        e = sync_now(p);
    pthread_mutex_unlock(&p->syncing);
    return e;
}

struct err *partial_forget(struct partial *p, uint8_t source, const uint8_t *heirs)
{
    if (!p->map.n)
        return NULL;
    if (source == SEGMENT_MISSING || source == SEGMENT_EARLIER) {
        memset(p->map.proven, 0, sizeof(p->map.proven));
        p->resumed_b = 0;
    }
    return take_back(p, 0, p->map.n, source, heirs);
}

struct err *partial_forget_range(struct partial *p, size_t from, size_t to)
{
    to = to < p->map.n ? to : p->map.n;
    return from < to ? take_back(p, from, to, SEGMENT_MISSING, NULL) : NULL;
}

bool partial_is_proven(const struct partial *p, uint64_t source)
{
    for (size_t i = 0; i < SEGMENT_PROVEN_MAX; i++)
        if (source && p->map.proven[i] == source)
            return true;
    return false;
}

static struct err *write_head(struct partial *p)
{
    uint8_t head[SEGMENT_HEAD_B];
    struct err *e;

    pthread_mutex_lock(&p->lock); /* the keeper may write it as well (lose) */
    segment_head_format(&p->map, head);
    e = pwrite_all(p->map_fd, head, sizeof(head), 0, p->map_name);
    pthread_mutex_unlock(&p->lock);
    return e;
}

struct err *partial_note_proven(struct partial *p, uint64_t source)
{
    size_t i = 0;

    if (!p->map.n || partial_is_proven(p, source))
        return NULL;
    while (i < SEGMENT_PROVEN_MAX && p->map.proven[i])
        i++;
    if (i == SEGMENT_PROVEN_MAX)
        return NULL; /* it will have to prove it again */
    p->map.proven[i] = source;
    return write_head(p);
}

struct err *partial_unprove(struct partial *p, uint64_t source)
{
    if (!p->map.n || !partial_is_proven(p, source))
        return NULL;
    for (size_t i = 0; i < SEGMENT_PROVEN_MAX; i++)
        if (p->map.proven[i] == source)
            p->map.proven[i] = 0;
    return write_head(p);
}

/* ---- the end ------------------------------------------------------------------------------ */

static void remove_map(struct partial *p)
{
    (void)unlinkat(p->side_fd, p->map_name, 0); /* a map without its file is nothing */
    (void)unlinkat(place_dir_fd(p->place), FOLDER, AT_REMOVEDIR); /* others may use it */
}

struct err *partial_finish(struct partial *p, uint32_t uid, uint32_t gid)
{
    if (!partial_whole(p))
        return err_new(ERR_BUG, "'%s' is not whole", p->name);
    stop_keeper(p);
    TRY(partial_sync(p)); /* what the keeper was told is not told again to place_finish */
    TRY(err_hint(place_finish(p->place, uid, gid, 0644), "run this again to go on"));
    p->finished = true;
    remove_map(p);
    return NULL;
}

/* While the map is there and locked: without it the name is free for the next one's file. */
static void leave_place(struct partial *p, bool stays)
{
    AUTO(freep) char *tmp = xasprintf("tmp-%s", p->name);

    place_keep(p->place, true);
    if (!stays)
        (void)unlinkat(place_dir_fd(p->place), tmp, 0);
}

struct partial *partial_free(struct partial *p)
{
    bool stays;

    if (!p)
        return NULL;
    stop_keeper(p);
    stays = !p->finished && p->have_b > 0;
    if (stays)
        err_free(partial_sync(p)); /* what was not made durable still counts until the next boot */
    if (p->opened && !p->finished)
        leave_place(p, stays);
    if (p->map_fd >= 0 && !p->finished && !stays)
        remove_map(p);
    place_free(p->place);
    closep(&p->map_fd);
    closep(&p->side_fd);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    pthread_mutex_destroy(&p->syncing);
    segment_map_clear(&p->map);
    err_free(p->failed);
    free(p->dir);
    free(p->name);
    free(p->map_name);
    free(p);
    return NULL;
}

void partial_freep(struct partial **p)
{
    *p = partial_free(*p);
}
