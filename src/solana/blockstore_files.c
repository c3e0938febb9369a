/* Finds losses in a RocksDB folder that a read-only open keeps quiet about. Tested with 10.4.2 on
 * files cut at every length: damage inside tables, and inside logs, is reported by RocksDB itself.
 * Not reported are a MANIFEST that ends early (the last tables are then not known, and their logs
 * are gone), a log that is missing or empty, and a torn end of a log that is not the newest.
 *
 * Formats: RocksDB db/log_format.h (blocks of 32 KiB; a record's pieces have a header of 7 bytes:
 * checksum, length, type), db/version_edit.h (the MANIFEST's records), db/write_batch.cc (a log's
 * record begins with its sequence number and its count). What this does not know (recycled or
 * compressed logs, new kinds of edits) it leaves to RocksDB: it must never call a good ledger bad.
 * Checksums are RocksDB's matter as well. */
#include "solana/blockstore_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"

#define BLOCK_B        32768u
#define HEAD_B         7u
#define BATCH_HEAD_B   12u
#define MAX_RECORD_B   (256u << 20)
#define MAX_MANIFEST_B (1u << 30)

enum piece { PIECE_ZERO, PIECE_FULL, PIECE_FIRST, PIECE_MIDDLE, PIECE_LAST };

/* A log or MANIFEST, record by record. */
struct log_file {
    int fd;
    const char *path;
    uint64_t size_b, at;
    uint64_t keep_b;      /* of each record */
    struct strbuf record; /* its first keep_b bytes */
    uint64_t record_end;  /* where the last whole record ended */
    bool inside;          /* a record has begun and not ended */
    bool torn;            /* the file ends in the middle of a record */
    bool strange;         /* something that only RocksDB can judge */
};

static void log_closep(struct log_file *l)
{
    closep(&l->fd);
    strbuf_clear(&l->record);
}

static struct err *log_open(const char *path, uint64_t keep_b, struct log_file *ret)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return err_new(ERR_CORRUPT, "'%s' is missing", path);
    if (fd < 0 && errno == EACCES)
        return err_new(ERR_REFUSED,
                       "cannot open '%s': permission denied; run as root or as the validator's "
                       "user",
                       path);
    if (fd < 0)
        return err_sys(errno, "cannot open '%s'", path);
    if (fstat(fd, &st) < 0) {
        int errnum = errno;

        closep(&fd);
        return err_sys(errnum, "cannot look at '%s'", path);
    }
    *ret =
        (struct log_file){.fd = fd, .path = path, .size_b = (uint64_t)st.st_size, .keep_b = keep_b};
    return NULL;
}

static struct err *read_at(const struct log_file *l, uint64_t at, void *buf, size_t n)
{
    ssize_t got = pread(l->fd, buf, n, (off_t)at);

    if (got < 0)
        return err_sys(errno, "cannot read '%s'", l->path);
    if ((size_t)got != n)
        return err_new(ERR_CORRUPT, "'%s' became shorter while it was read", l->path);
    return NULL;
}

static struct err *keep(struct log_file *l, uint64_t at, size_t n)
{
    char buf[BLOCK_B];

    if (l->record.len + n > l->keep_b)
        n = l->keep_b - l->record.len;
    TRY(read_at(l, at, buf, n));
    strbuf_add(&l->record, buf, n);
    return NULL;
}

/* The next whole record. *ret false: no more; torn and strange then say how the file ends. Pieces
 * of a record whose beginning lies before the start are passed over. */
static struct err *log_next(struct log_file *l, bool *ret)
{
    for (;;) {
        uint64_t left = BLOCK_B - l->at % BLOCK_B;
        uint8_t head[HEAD_B];
        size_t n;

        *ret = false;
        if (left < HEAD_B) {
            l->at += left;
            continue;
        }
        l->torn = l->at >= l->size_b ? l->inside : l->size_b - l->at < HEAD_B;
        if (l->torn || l->at >= l->size_b)
            return NULL;
        TRY(read_at(l, l->at, head, sizeof(head)));
        n = get_le16(head + 4);
        l->strange = head[6] > PIECE_LAST;
        l->torn = !l->strange && (head[6] == PIECE_ZERO || l->at + HEAD_B + n > l->size_b);
        if (!l->torn && n > left - HEAD_B)
            l->strange = true;
        if (l->strange || l->torn)
            return NULL;
        if (head[6] == PIECE_FULL || head[6] == PIECE_FIRST) {
            l->record.len = 0;
            l->inside = true;
        }
        if (l->inside)
            TRY(keep(l, l->at + HEAD_B, n));
        l->at += HEAD_B + n;
        if (l->inside && (head[6] == PIECE_FULL || head[6] == PIECE_LAST)) {
            l->inside = false;
            l->record_end = l->at;
            *ret = true;
            return NULL;
        }
    }
}

/* What the MANIFEST says that bears on logs. */
struct manifest {
    uint64_t keep_from; /* logs from this number on are never deleted */
    uint64_t newest;    /* the highest log number that any family names */
    /* Numbers that were files: the log that was open when a family was made or flushed. What a
     * family is told at the end of a recovery is "after the last log", which may be no file. */
    uint64_t *logs;
    size_t logs_n, logs_cap;
    bool strange;
};

static void manifest_clear(struct manifest *m)
{
    free(m->logs);
}

struct cursor {
    const uint8_t *p, *end;
    bool bad;
};

static uint64_t varint(struct cursor *c)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64 && c->p < c->end; shift += 7) {
        uint8_t byte = *c->p++;

        v |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return v;
    }
    c->bad = true;
    return 0;
}

static void skip_text(struct cursor *c)
{
    uint64_t n = varint(c);

    if (c->bad || n > (uint64_t)(c->end - c->p))
        c->bad = true;
    else
        c->p += n;
}

static void skip_varints(struct cursor *c, unsigned n)
{
    while (n-- > 0)
        (void)varint(c);
}

/* level, number, size, [path,] smallest key, largest key, smallest and largest sequence number, and
 * in the current form (103) tagged texts up to tag 1. */
static void skip_table(struct cursor *c, uint64_t tag)
{
    skip_varints(c, tag == 102 ? 4 : 3);
    skip_text(c);
    skip_text(c);
    skip_varints(c, 2);
    while (tag == 103 && !c->bad && varint(c) != 1)
        skip_text(c);
}

struct edit {
    uint64_t family, log, keep_from;
    bool has_log, has_keep, adds_family, adds_table;
};

/* Tags of db/version_edit.h. */
static void edit_item(struct cursor *c, struct edit *e)
{
    uint64_t tag = varint(c);

    switch (tag) {
    case 2:
        e->log = varint(c);
        e->has_log = true;
        return;
    case 10:
        e->keep_from = varint(c);
        e->has_keep = true;
        return;
    case 200:
        e->family = varint(c);
        return;
    case 201:
        e->adds_family = true;
        skip_text(c);
        return;
    case 202: /* family dropped */
        return;
    case 1: /* comparator */
        skip_text(c);
        return;
    case 3:   /* next file number */
    case 4:   /* last sequence */
    case 9:   /* previous log number */
    case 203: /* highest family */
    case 300: /* edits left in an atomic group */
        skip_varints(c, 1);
        return;
    case 5: /* compaction cursor */
        skip_varints(c, 1);
        skip_text(c);
        return;
    case 6: /* deleted table */
        skip_varints(c, 2);
        return;
    case 100:
    case 102:
    case 103:
        e->adds_table = true;
        skip_table(c, tag);
        return;
    default:
        if (tag & 8192) /* may be passed over by those who do not know it */
            skip_text(c);
        else
            c->bad = true;
    }
}

static void manifest_edit(struct manifest *m, const void *data, size_t n)
{
    struct cursor c = {data, (const uint8_t *)data + n, false};
    struct edit e = {0};

    while (c.p < c.end && !c.bad)
        edit_item(&c, &e);
    if (c.bad) {
        m->strange = true;
        return;
    }
    if (e.has_keep && e.keep_from > m->keep_from)
        m->keep_from = e.keep_from;
    if (e.has_log && e.log > m->newest)
        m->newest = e.log;
    /* A recovery tells the default family first, then what to keep, then the other families: their
     * log number is then not above what is kept. */
    if (e.has_log && e.family != 0 && e.log > m->keep_from && (e.adds_family || e.adds_table)) {
        m->logs = xgrow(m->logs, &m->logs_cap, m->logs_n + 1, sizeof(*m->logs));
        m->logs[m->logs_n++] = e.log;
    }
}

static struct err *manifest_read(const char *path, struct manifest *m)
{
    AUTO(log_closep) struct log_file l = {.fd = -1};
    bool more = true;

    TRY(log_open(path, MAX_RECORD_B, &l));
    if (l.size_b > MAX_MANIFEST_B) {
        m->strange = true;
        return NULL;
    }
    while (!m->strange) {
        TRY(log_next(&l, &more));
        if (!more)
            break;
        manifest_edit(m, l.record.data, l.record.len);
    }
    m->strange = m->strange || l.strange;
    if (l.torn)
        return err_new(ERR_CORRUPT,
                       "'%s' is cut short at %llu bytes, in the middle of a record; what was "
                       "flushed since then cannot be seen",
                       path, (unsigned long long)l.size_b);
    return NULL;
}

struct wal {
    uint64_t number, size_b;
    uint64_t first_sequence, end_sequence; /* of the first record; after the last whole one */
    uint64_t whole_b;                      /* up to the tear */
    bool empty, torn, strange;
};

struct wals {
    struct wal *items;
    size_t n, cap;
};

static void wals_clear(struct wals *w)
{
    free(w->items);
}

static int by_number(const void *a, const void *b)
{
    const struct wal *x = a, *y = b;

    return x->number < y->number ? -1 : x->number > y->number;
}

static bool is_number(const char *text, uint64_t *ret)
{
    struct err *e = parse_u64(text, 0, UINT64_MAX, ret);
    bool ok = !e;

    err_free(e);
    return ok;
}

static struct err *wals_list(const char *dir, uint64_t keep_from, struct wals *ret)
{
    DIR *d = opendir(dir);

    if (!d)
        return err_sys(errno, "cannot list '%s'", dir);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        const char *dot = strchr(e->d_name, '.');
        AUTO(freep) char *digits = dot ? xstrndup(e->d_name, (size_t)(dot - e->d_name)) : NULL;
        uint64_t number;

        if (!dot || !str_eq(dot, ".log") || !is_number(digits, &number) || number < keep_from)
            continue;
        ret->items = xgrow(ret->items, &ret->cap, ret->n + 1, sizeof(*ret->items));
        ret->items[ret->n++] = (struct wal){.number = number};
    }
    closedir(d);
    if (ret->n)
        qsort(ret->items, ret->n, sizeof(*ret->items), by_number);
    return NULL;
}

/* The last whole record and how the file ends: read from ever further back until a record begins
 * and ends in what was read. */
static struct err *wal_end(struct log_file *l, struct wal *w)
{
    for (uint64_t blocks = 1;; blocks *= 8) {
        uint64_t all = l->size_b / BLOCK_B + 1, back = blocks < all ? blocks : all;
        bool more = true, found = false;

        l->at = (all - back) * BLOCK_B;
        l->inside = false;
        l->record_end = 0;
        for (;;) {
            TRY(log_next(l, &more));
            if (!more)
                break;
            if (l->record.len < BATCH_HEAD_B) {
                l->strange = true;
                break;
            }
            found = true;
            w->end_sequence =
                get_le64(l->record.data) + get_le32((const uint8_t *)l->record.data + 8);
        }
        w->torn = l->torn;
        w->strange = w->strange || l->strange;
        w->whole_b = l->record_end;
        if (found || w->strange || back == all)
            return NULL;
    }
}

static struct err *wal_look(const char *dir, struct wal *w)
{
    AUTO(freep) char *path = xasprintf("%s/%06llu.log", dir, (unsigned long long)w->number);
    AUTO(log_closep) struct log_file l = {.fd = -1};
    bool more;

    TRY(log_open(path, BATCH_HEAD_B, &l));
    w->size_b = l.size_b;
    TRY(log_next(&l, &more));
    w->strange = l.strange;
    w->torn = l.torn;
    w->empty = !more;
    if (!more || w->strange)
        return NULL;
    if (l.record.len < BATCH_HEAD_B) {
        w->strange = true;
        return NULL;
    }
    w->first_sequence = get_le64(l.record.data);
    return wal_end(&l, w);
}

/* Every log that the MANIFEST knows and has not given up must be there. */
static struct err *check_present(const char *dir, const struct manifest *m, const struct wals *wals)
{
    if (wals->n == 0 || wals->items[wals->n - 1].number < m->newest)
        return err_new(ERR_CORRUPT, "'%s' has lost its newest write-ahead log", dir);
    for (size_t i = 0; i < m->logs_n; i++) {
        bool found = m->logs[i] < m->keep_from;

        for (size_t j = 0; j < wals->n && !found; j++)
            found = wals->items[j].number == m->logs[i];
        if (!found)
            return err_new(ERR_CORRUPT,
                           "'%s' has lost the write-ahead log '%06llu.log', or the end of its "
                           "MANIFEST",
                           dir, (unsigned long long)m->logs[i]);
    }
    return NULL;
}

/* Sequence numbers go on from one log to the next. */
static struct err *check_chain(const char *dir, const struct wals *wals)
{
    const struct wal *before = NULL;

    for (size_t i = 0; i < wals->n; i++) {
        const struct wal *w = &wals->items[i];

        if (w->strange)
            return NULL;
        if (w->torn && i + 1 < wals->n)
            return err_new(ERR_CORRUPT,
                           "'%s/%06llu.log' is cut short at %llu bytes, and is not the newest "
                           "write-ahead log",
                           dir, (unsigned long long)w->number, (unsigned long long)w->size_b);
        if (w->empty && i + 1 < wals->n && !wals->items[i + 1].empty)
            return err_new(ERR_CORRUPT,
                           "'%s/%06llu.log' is empty, and is not the newest write-ahead log", dir,
                           (unsigned long long)w->number);
        if (w->empty)
            continue;
        if (before && w->first_sequence != before->end_sequence)
            return err_new(ERR_CORRUPT,
                           "'%s' has lost writes between its write-ahead logs '%06llu.log' and "
                           "'%06llu.log'",
                           dir, (unsigned long long)before->number, (unsigned long long)w->number);
        before = w;
    }
    return NULL;
}

/* CURRENT's only line: the MANIFEST's name. */
static struct err *manifest_path(const char *dir, char **ret)
{
    AUTO(freep) char *path = xasprintf("%s/CURRENT", dir);
    AUTO(log_closep) struct log_file l = {.fd = -1};
    char name[64] = "";
    size_t n;

    TRY(log_open(path, 0, &l));
    n = l.size_b < sizeof(name) ? l.size_b : 0;
    TRY(read_at(&l, 0, name, n));
    if (n == 0 || name[n - 1] != '\n' || !str_starts(name, "MANIFEST-") || strchr(name, '/'))
        return err_new(ERR_CORRUPT, "'%s' does not name a MANIFEST", path);
    name[n - 1] = 0;
    *ret = xasprintf("%s/%s", dir, name);
    return NULL;
}

void blockstore_files_clear(struct blockstore_files *f)
{
    free(f->logs);
    strlist_clear(&f->warnings);
    *f = (struct blockstore_files){0};
}

static void tell(const struct wals *wals, struct blockstore_files *f)
{
    const struct wal *newest = &wals->items[wals->n - 1];

    f->known = true;
    f->logs_n = wals->n;
    f->logs = xcalloc(wals->n, sizeof(*f->logs));
    for (size_t i = 0; i < wals->n; i++) {
        f->logs[i] = wals->items[i].number;
        f->known = f->known && !wals->items[i].strange;
    }
    if (newest->torn && !newest->strange)
        strlist_addf(&f->warnings,
                     "the newest write-ahead log '%06llu.log' is torn at %llu of %llu bytes, as a "
                     "killed validator leaves it: what came after is not shown",
                     (unsigned long long)newest->number, (unsigned long long)newest->whole_b,
                     (unsigned long long)newest->size_b);
}

struct err *blockstore_files_check(const char *dir, struct blockstore_files *ret)
{
    AUTO(manifest_clear) struct manifest m = {0};
    AUTO(wals_clear) struct wals wals = {0};
    AUTO(freep) char *path = NULL;

    *ret = (struct blockstore_files){0};
    TRY(manifest_path(dir, &path));
    TRY(manifest_read(path, &m));
    if (m.strange)
        return NULL;
    TRY(wals_list(dir, m.keep_from, &wals));
    for (size_t i = 0; i < wals.n; i++)
        TRY(wal_look(dir, &wals.items[i]));
    TRY(check_present(dir, &m, &wals));
    TRY(check_chain(dir, &wals));
    tell(&wals, ret);
    return NULL;
}
