#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

/* The durable record of one operation: an append-only file. All numbers are little-endian.
 *   header  8 bytes "agvctl-j", u32 version (1), u32 0
 *   record  u32 length of the payload (2..JOURNAL_RECORD_MAX_B), u32 crc32c of all that follows,
 *           u32 number (0, 1, 2, …), u32 kind, payload: one JSON object
 * The rest of the file is zeros: room that is taken when it is made, so that a full disk cannot
 * stop a record later. A record that is not whole and has no whole one after it is a torn tail: it
 * was never acted upon, and is cut. */
#define JOURNAL_VERSION      1
#define JOURNAL_RECORD_MAX_B (128u << 10)
#define JOURNAL_ROOM_B       (64u << 10) /* taken at BEGIN, more when it is used up */
#define JOURNAL_MAX_B        (1u << 20)
#define JOURNAL_RESERVE_B    4096u /* of the room, for SUSPEND and END alone */

enum rec {
    REC_BEGIN = 1, /* everything that was decided */
    REC_ENTER,     /* durable before the step acts */
    REC_DONE,      /* after it was verified, with what was learned */
    REC_FAIL,
    REC_SUSPEND, /* by a stop */
    REC_RESUME,
    REC_END,
};
const char *rec_name(enum rec kind); /* "BEGIN" */

struct journal_record {
    enum rec kind;
    struct json *data;
};
struct journal_records {
    struct journal_record *items;
    size_t n, cap;
    size_t end_b;  /* where the next record belongs */
    bool torn;     /* something that is no record stands there */
    bool has_head; /* there is a header: false for an empty file */
};
void journal_records_clear(struct journal_records *r);
/* The records of a file's content, in memory; the first is a BEGIN and no other is (none at all:
 * the operation never began). ERR_REFUSED: of another version; ERR_CORRUPT: no journal, damaged in
 * the middle, or records that make no sense. name: for the text. */
struct err *journal_parse(const void *data, size_t n, const char *name, struct journal_records *ret)
    MUST_CHECK;

/* An open journal. While it is open its file is locked (flock), which is how others see that the
 * operation is under way. */
struct journal;

/* The journals' folder (0700, with its parents when it is to be made), which must be ours alone:
 * ERR_REFUSED; ERR_NOTFOUND, ERR_SYS. The caller closes. */
struct err *journal_open_dir(struct ctx *ctx, const char *dir, bool make, int *ret_fd) MUST_CHECK;
/* Makes <dir>/<id>.j (0600; the folder 0700 with its parents) with its first record. Durable, file
 * and folder, on return; before that nothing of it counts. ERR_REFUSED: the folder is not ours
 * alone; ERR_SYS: full, read-only; EEXIST is in e->sys when the name is taken. */
struct err *journal_new(struct ctx *ctx, const char *dir, const char *id, const struct json *begin,
                        struct journal **ret) MUST_CHECK;
/* Opens one to go on with it; a torn tail is cut. *ret_records: what is in it. ERR_REFUSED also
 * when its operation is under way; ERR_NOTFOUND. */
struct err *journal_open(struct ctx *ctx, const char *dir, const char *id, struct journal **ret,
                         struct journal_records *ret_records) MUST_CHECK;
/* Reads only. *ret_busy (may be NULL): its operation is under way. */
struct err *journal_read(struct ctx *ctx, const char *dir, const char *id,
                         struct journal_records *ret, bool *ret_busy) MUST_CHECK;
/* Durable on return. An END also gives back the room that is left. */
struct err *journal_append(struct journal *j, enum rec kind, const struct json *data) MUST_CHECK;
struct journal *journal_close(struct journal *j); /* NULL is fine; returns NULL */
void journal_closep(struct journal **j);

/* The ids in a folder, sorted; a folder that does not exist has none. ERR_REFUSED: others may write
 * in it. */
struct err *journal_list(struct ctx *ctx, const char *dir, struct strlist *ret) MUST_CHECK;
/* Takes one out of the way that cannot be read: it is renamed to <id>.j.aside and not looked at any
 * more. */
struct err *journal_put_aside(struct ctx *ctx, const char *dir, const char *id) MUST_CHECK;
/* When there are more than `keep`: removes files of operations that never began, and of those that
 * have ended all but the latest `keep` (by the ids' order). One that is open anywhere stays. */
struct err *journal_prune(struct ctx *ctx, const char *dir, size_t keep) MUST_CHECK;
