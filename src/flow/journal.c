/* The file of one operation: written so that a kill at any point leaves either the record or a torn
 * tail, never a doubt. What the records mean for an operation is op.c's. Nothing here trusts the
 * file: it may be of another version, foreign, torn or damaged. */
#include "flow/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/fault.h"
#include "io/fsroot.h"

#define MAGIC     "agvctl-j"
#define HEAD_B    16u
#define RECORD_B  16u /* before the payload */
#define SUFFIX    ".j"
#define ID_MAX_B  64
#define MORE_B    (64u << 10) /* by which the room grows */
#define SCANS_MAX 64          /* checksums worth computing when looking behind a torn record */

struct journal {
    int fd;
    char *path;
    size_t end_b, room_b;
    uint32_t n; /* number of the next record */
};

const char *rec_name(enum rec kind)
{
    static const char *const names[] = {
        [REC_BEGIN] = "BEGIN", [REC_ENTER] = "ENTER",     [REC_DONE] = "DONE",
        [REC_FAIL] = "FAIL",   [REC_SUSPEND] = "SUSPEND", [REC_RESUME] = "RESUME",
        [REC_END] = "END",
    };

    return names[kind];
}

void journal_records_clear(struct journal_records *r)
{
    for (size_t i = 0; i < r->n; i++)
        json_free(r->items[i].data);
    free(r->items);
    *r = (struct journal_records){0};
}

static void put_u32(uint8_t *at, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

static uint32_t get_u32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static bool is_zero(const uint8_t *p, size_t n)
{
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* Could a record begin here, before its checksum is looked at? */
static bool plausible(const uint8_t *p, size_t left)
{
    if (left < RECORD_B + 2)
        return false;
    uint32_t len = get_u32(p), kind = get_u32(p + 12);
    return len >= 2 && len <= JOURNAL_RECORD_MAX_B && len <= left - RECORD_B && kind >= REC_BEGIN &&
           kind <= REC_END && p[RECORD_B] == '{' && p[RECORD_B + len - 1] == '}';
}

static bool whole(const uint8_t *p)
{
    return get_u32(p + 4) == crc32c(0, p + 8, get_u32(p) + 8);
}

/* A tail is torn when nothing whole follows it: a record is durable before the next is written. */
static bool whole_one_after(const uint8_t *data, size_t n, size_t at)
{
    int scans = 0;

    for (size_t i = at + 1; i < n && scans < SCANS_MAX; i++) {
        if (!plausible(data + i, n - i))
            continue;
        if (whole(data + i))
            return true;
        scans++;
    }
    return false;
}

static void make_head(uint8_t ret[static HEAD_B])
{
    memcpy(ret, MAGIC, 8);
    put_u32(ret + 8, JOURNAL_VERSION);
    put_u32(ret + 12, 0);
}

static struct err *parse_head(const uint8_t *p, size_t n, const char *name, bool *ret_there)
{
    uint8_t head[HEAD_B];
    size_t same = 0;

    make_head(head);
    while (same < n && same < HEAD_B && p[same] == head[same])
        same++;
    *ret_there = same == HEAD_B;
    if (*ret_there || is_zero(p + same, n - same))
        return NULL; /* else: cut off before the operation began */
    if (same < 8)
        return err_new(ERR_CORRUPT, "'%s' is no journal of agavectl", name);
    return err_new(ERR_REFUSED,
                   "'%s' is a journal of version %" PRIu32 ", and this agavectl knows version %d: "
                   "go on with the agavectl that began it",
                   name, n >= HEAD_B ? get_u32(p + 8) : 0, JOURNAL_VERSION);
}

static struct err *senseless(const char *name, size_t at, const char *why)
{
    return err_new(ERR_CORRUPT, "'%s' makes no sense at byte %zu: %s", name, at, why);
}

static struct err *add_record(const uint8_t *p, const char *name, struct journal_records *r)
{
    AUTO(json_freep) struct json *data = NULL;
    enum rec kind = (enum rec)get_u32(p + 12);

    if (get_u32(p + 8) != r->n)
        return senseless(name, r->end_b, "a record is missing or there twice");
    if ((kind == REC_BEGIN) != (r->n == 0))
        return senseless(name, r->end_b, "BEGIN is the first record and no other");
    if (r->n && r->items[r->n - 1].kind == REC_END)
        return senseless(name, r->end_b, "something follows the END");
    struct err *e = json_parse((const char *)p + RECORD_B, get_u32(p), &data);
    if (!e && !json_is_object(data))
        e = err_new(ERR_CORRUPT, "no object");
    if (e) {
        struct err *wrong = senseless(name, r->end_b, e->text);
        err_free(e);
        return wrong;
    }
    r->items = xgrow(r->items, &r->cap, r->n + 1, sizeof(*r->items));
    r->items[r->n++] = (struct journal_record){.kind = kind, .data = TAKE(data)};
    return NULL;
}

static struct err *parse(const uint8_t *p, size_t n, const char *name, struct journal_records *r)
{
    TRY(parse_head(p, n, name, &r->has_head));
    if (!r->has_head)
        return NULL;
    r->end_b = HEAD_B;
    while (plausible(p + r->end_b, n - r->end_b) && whole(p + r->end_b)) {
        TRY(add_record(p + r->end_b, name, r));
        r->end_b += RECORD_B + get_u32(p + r->end_b);
    }
    r->torn = !is_zero(p + r->end_b, n - r->end_b);
    if (r->torn && whole_one_after(p, n, r->end_b))
        return err_new(ERR_CORRUPT, "'%s' is damaged in the middle, at byte %zu", name, r->end_b);
    return NULL;
}

struct err *journal_parse(const void *data, size_t n, const char *name, struct journal_records *ret)
{
    struct journal_records r = {0};
    struct err *e;

    if (n > JOURNAL_MAX_B)
        return err_new(ERR_CORRUPT, "'%s' is larger than any journal", name);
    e = parse(data, n, name, &r);
    if (e)
        journal_records_clear(&r);
    else
        *ret = r;
    return e;
}

/* Ids come from the command line too. */
static struct err *check_id(const char *id)
{
    size_t n = strspn(id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-");

    if (n == 0 || n > ID_MAX_B || id[n])
        return err_new(ERR_BADINPUT, "'%s' is no operation; 'agavectl history' lists them", id);
    return NULL;
}

/* Whoever else may write in it may take a record back. */
struct err *journal_open_dir(struct ctx *ctx, const char *dir, bool make, int *ret_fd)
{
    AUTO(closep) int fd = -1;
    AUTO(freep) char *parent = xstrndup(dir, (size_t)(strrchr(dir, '/') - dir));
    struct stat st;

    if (make && *parent)
        TRY(fsroot_mkdirs(ctx->root, parent, 0755));
    if (make)
        TRY(fsroot_mkdirs(ctx->root, dir, 0700));
    TRY(fsroot_openat(ctx->root, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &fd));
    if (fstat(fd, &st) < 0)
        return err_sys(errno, "cannot look at '%s'", dir);
    if (st.st_uid != geteuid() || st.st_mode & 0022)
        return err_new(ERR_REFUSED,
                       "'%s' belongs to user %u with mode %04o: only the user that agavectl runs "
                       "as may write there; chown and chmod it",
                       dir, st.st_uid, st.st_mode & 07777);
    *ret_fd = TAKE_FD(fd);
    return NULL;
}

/* An open file description's lock: it can be asked for without being taken, and dies with us. */
static struct err *lock_file(int fd, const char *path, bool *ret_busy)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    *ret_busy = false;
    if (fcntl(fd, F_OFD_SETLK, &l) == 0)
        return NULL;
    *ret_busy = errno == EAGAIN || errno == EACCES;
    return *ret_busy ? NULL : err_sys(errno, "cannot lock '%s'", path);
}

static bool is_locked(int fd)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    return fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

static struct err *write_all(int fd, const char *path, const void *data, size_t n, size_t at)
{
    const uint8_t *p = data;

    for (size_t done = 0; done < n;) {
        ssize_t w = pwrite(fd, p + done, n - done, (off_t)(at + done));

        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return err_sys(errno, "cannot write '%s'", path);
        done += (size_t)w;
    }
    return NULL;
}

static struct err *sync_file(int fd, const char *path)
{
    return fdatasync(fd) < 0 ? err_sys(errno, "cannot write '%s' to disk", path) : NULL;
}

static struct err *write_zeros(int fd, const char *path, size_t from, size_t to)
{
    static const uint8_t zeros[4096];

    for (size_t at = from; at < to; at += sizeof(zeros))
        TRY(write_all(fd, path, zeros, to - at < sizeof(zeros) ? to - at : sizeof(zeros), at));
    return NULL;
}

/* File systems that cannot promise room get zeros. */
static struct err *make_room(struct journal *j, size_t want_b)
{
    if (want_b <= j->room_b)
        return NULL;
    if (want_b > JOURNAL_MAX_B)
        return err_new(ERR_REFUSED,
                       "the journal '%s' is full; give the operation up with "
                       "'agavectl op abandon'",
                       j->path);
    int rc, sys;
    do {
        rc = fallocate(j->fd, 0, 0, (off_t)want_b);
        sys = errno;
    } while (rc < 0 && sys == EINTR);
    if (rc < 0 && sys == EOPNOTSUPP)
        TRY(write_zeros(j->fd, j->path, j->room_b, want_b));
    else if (rc < 0)
        return err_sys(sys, "cannot take room for '%s'", j->path);
    j->room_b = want_b;
    return NULL;
}

static struct err *grow_for(struct journal *j, enum rec kind, size_t need_b)
{
    bool last_words = kind == REC_SUSPEND || kind == REC_END;
    size_t want = j->end_b + need_b + (last_words ? 0 : JOURNAL_RESERVE_B);

    if (want <= j->room_b)
        return NULL;
    return make_room(j, last_words ? want : want + MORE_B > JOURNAL_MAX_B ? want : want + MORE_B);
}

/* Its bytes with room for what stands before it. */
static struct err *encode(const struct journal *j, enum rec kind, const struct json *data,
                          struct strbuf *ret)
{
    AUTO(freep) char *text = json_text(data, false);
    uint8_t head[RECORD_B];
    size_t len = strlen(text);

    if (len > JOURNAL_RECORD_MAX_B)
        return err_new(ERR_REFUSED, "a record of %zu bytes is too long for '%s'", len, j->path);
    put_u32(head, (uint32_t)len);
    put_u32(head + 8, j->n);
    put_u32(head + 12, kind);
    put_u32(head + 4, crc32c(crc32c(0, head + 8, 8), text, len));
    strbuf_add(ret, head, sizeof(head));
    strbuf_add(ret, text, len);
    return NULL;
}

static struct err *write_record(struct journal *j, enum rec kind, const struct json *data)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    TRY(encode(j, kind, data, &b));
    TRY(grow_for(j, kind, b.len));
    TRY(write_all(j->fd, j->path, b.data, b.len, j->end_b));
    FAULT_AT("unsynced", rec_name(kind));
    TRY(sync_file(j->fd, j->path));
    j->end_b += b.len;
    j->n++;
    return NULL;
}

struct err *journal_append(struct journal *j, enum rec kind, const struct json *data)
{
    TRY(write_record(j, kind, data));
    if (kind == REC_END && ftruncate(j->fd, (off_t)j->end_b) == 0)
        j->room_b = j->end_b; /* room that stays taken is no harm */
    return NULL;
}

static struct err *write_head(struct journal *j)
{
    uint8_t head[HEAD_B];

    make_head(head);
    j->end_b = HEAD_B;
    return write_all(j->fd, j->path, head, HEAD_B, 0);
}

static struct journal *new_handle(const char *dir, const char *id, int fd)
{
    struct journal *j = xcalloc(1, sizeof(*j));

    j->fd = fd;
    j->path = xasprintf("%s/%s" SUFFIX, dir, id);
    return j;
}

struct err *journal_new(struct ctx *ctx, const char *dir, const char *id, const struct json *begin,
                        struct journal **ret)
{
    AUTO(journal_closep) struct journal *j = new_handle(dir, id, -1);
    const char *name = strrchr(j->path, '/') + 1;
    AUTO(closep) int dir_fd = -1;
    bool busy = false;

    TRY(check_id(id));
    TRY(journal_open_dir(ctx, dir, true, &dir_fd));
    j->fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (j->fd < 0)
        return err_sys(errno, "cannot make '%s'", j->path);
    struct err *e = lock_file(j->fd, j->path, &busy);
    FAULT("unbegun");
    if (!e)
        e = make_room(j, JOURNAL_ROOM_B);
    if (!e)
        e = write_head(j);
    if (!e)
        e = write_record(j, REC_BEGIN, begin);
    if (!e && fsync(dir_fd) < 0)
        e = err_sys(errno, "cannot write '%s' to disk", dir);
    if (e) {
        (void)unlinkat(dir_fd, name, 0); /* without a BEGIN it counts for nothing anyway */
        return e;
    }
    *ret = TAKE(j);
    return NULL;
}

static struct err *read_file(int fd, const char *path, struct strbuf *ret, size_t *ret_size)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_sys(errno, "cannot look at '%s'", path);
    if (!S_ISREG(st.st_mode) || st.st_size > (off_t)JOURNAL_MAX_B)
        return err_new(ERR_CORRUPT, "'%s' is no journal of agavectl", path);
    *ret_size = (size_t)st.st_size;
    while (ret->len < *ret_size) {
        uint8_t part[16384];
        size_t want = *ret_size - ret->len;
        ssize_t n = pread(fd, part, want < sizeof(part) ? want : sizeof(part), (off_t)ret->len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(errno, "cannot read '%s'", path);
        if (n == 0)
            break;
        strbuf_add(ret, part, (size_t)n);
    }
    return NULL;
}

static struct err *open_file(struct ctx *ctx, const char *dir, const char *id, int flags,
                             struct journal **ret)
{
    AUTO(journal_closep) struct journal *j = new_handle(dir, id, -1);
    AUTO(closep) int dir_fd = -1;

    TRY(check_id(id));
    TRY(journal_open_dir(ctx, dir, false, &dir_fd));
    j->fd = openat(dir_fd, strrchr(j->path, '/') + 1,
                   flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (j->fd < 0 && errno == ENOENT)
        return err_new(ERR_NOTFOUND, "there is no operation '%s'; 'agavectl history' lists them",
                       id);
    if (j->fd < 0)
        return err_sys(errno, "cannot open '%s'", j->path);
    *ret = TAKE(j);
    return NULL;
}

/* What stands behind the last whole record must not be taken for a record later. */
static struct err *cut(struct journal *j, size_t size_b)
{
    size_t from = j->end_b < size_b ? j->end_b : size_b;

    TRY(write_zeros(j->fd, j->path, from, size_b));
    return sync_file(j->fd, j->path);
}

struct err *journal_open(struct ctx *ctx, const char *dir, const char *id, struct journal **ret,
                         struct journal_records *ret_records)
{
    AUTO(journal_closep) struct journal *j = NULL;
    AUTO(journal_records_clear) struct journal_records r = {0};
    AUTO(strbuf_clear) struct strbuf b = {0};
    bool busy = false;

    TRY(open_file(ctx, dir, id, O_RDWR, &j));
    TRY(lock_file(j->fd, j->path, &busy));
    if (busy)
        return err_new(ERR_REFUSED, "operation '%s' is under way in another agavectl", id);
    TRY(read_file(j->fd, j->path, &b, &j->room_b));
    TRY(journal_parse(strbuf_text(&b), b.len, j->path, &r));
    if (r.n == 0)
        return err_new(ERR_NOTFOUND, "operation '%s' never began", id);
    j->end_b = r.end_b;
    j->n = (uint32_t)r.n;
    if (r.torn)
        TRY(cut(j, j->room_b));
    *ret = TAKE(j);
    *ret_records = r;
    r = (struct journal_records){0};
    return NULL;
}

struct err *journal_read(struct ctx *ctx, const char *dir, const char *id,
                         struct journal_records *ret, bool *ret_busy)
{
    AUTO(journal_closep) struct journal *j = NULL;
    AUTO(strbuf_clear) struct strbuf b = {0};
    size_t size = 0;

    TRY(open_file(ctx, dir, id, O_RDONLY, &j));
    bool busy = is_locked(j->fd); /* before the content: it may end meanwhile, not begin */
    TRY(read_file(j->fd, j->path, &b, &size));
    TRY(journal_parse(strbuf_text(&b), b.len, j->path, ret));
    if (ret_busy)
        *ret_busy = busy;
    return NULL;
}

struct journal *journal_close(struct journal *j)
{
    if (j) {
        closep(&j->fd); /* every record was synced when it was written */
        free(j->path);
        free(j);
    }
    return NULL;
}

void journal_closep(struct journal **j)
{
    *j = journal_close(*j);
}

struct err *journal_list(struct ctx *ctx, const char *dir, struct strlist *ret)
{
    AUTO(strlist_clear) struct strlist names = {0};
    AUTO(closep) int dir_fd = -1;
    struct err *e = journal_open_dir(ctx, dir, false, &dir_fd);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    TRY(fsroot_list(ctx->root, dir, &names));
    for (size_t i = 0; i < names.n; i++) {
        size_t n = strlen(names.items[i]);

        if (!str_ends(names.items[i], SUFFIX) || n <= strlen(SUFFIX))
            continue;
        names.items[i][n - strlen(SUFFIX)] = 0;
        struct err *bad = check_id(names.items[i]);
        if (!bad)
            strlist_add(ret, names.items[i]);
        err_free(bad); /* not a name of ours */
    }
    return NULL;
}

struct err *journal_put_aside(struct ctx *ctx, const char *dir, const char *id)
{
    AUTO(freep) char *from = xasprintf("%s" SUFFIX, id), *to = xasprintf("%s.aside", from);
    AUTO(closep) int dir_fd = -1;

    TRY(check_id(id));
    TRY(journal_open_dir(ctx, dir, false, &dir_fd));
    if (renameat(dir_fd, from, dir_fd, to) < 0 || fsync(dir_fd) < 0)
        return err_sys(errno, "cannot put '%s/%s' aside", dir, from);
    return NULL;
}

/* May it go? An operation that has ended counts in *ended. */
static bool is_litter(struct ctx *ctx, const char *dir, const char *id, size_t keep, size_t *ended)
{
    AUTO(journal_records_clear) struct journal_records r = {0};
    bool busy = false;
    struct err *e = journal_read(ctx, dir, id, &r, &busy);

    if (e || busy) {
        err_free(e); /* what cannot be read is for the operator to look at */
        return false;
    }
    if (r.n == 0)
        return true;
    return r.items[r.n - 1].kind == REC_END && ++*ended > keep;
}

struct err *journal_prune(struct ctx *ctx, const char *dir, size_t keep)
{
    AUTO(strlist_clear) struct strlist ids = {0};
    size_t ended = 0;

    TRY(journal_list(ctx, dir, &ids));
    for (size_t i = ids.n; ids.n > keep && i-- > 0;) {
        AUTO(freep) char *path = xasprintf("%s/%s" SUFFIX, dir, ids.items[i]);

        if (is_litter(ctx, dir, ids.items[i], keep, &ended))
            TRY(fsroot_unlink(ctx->root, path));
    }
    return NULL;
}
