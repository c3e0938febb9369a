#pragma once

#include "base/blake3.h"
#include "fetch/archive.h"
#include "fetch/deadline.h"
#include "fetch/meter.h"
#include "fetch/partial.h"
#include "fetch/segment_map.h"
#include "fetch/verifier.h"
#include "io/http_loop.h"

/* What archive.c, sources.c, streams.c, dispute.c, witness.c and blame.c share; nobody else
 * includes this. All of it is touched by one thread. */

#define SOURCES_MAX 64
#define STREAMS_MAX 64

/* The fingerprint of a file: its first 2 MiB, its last 1 MiB and a window of 256 KiB that this run
 * has drawn, as one hash a block. */
#define PRINT_PARTS  3
#define PRINT_BLOCKS (32 + 17 + 4)
#define PRINT_HASH_B 16

struct print_part {
    size_t from, to; /* blocks */
    size_t at;       /* of its first hash in the print */
};

enum source_state {
    SOURCE_ASKED, /* not proven to have the same file as the others yet */
    SOURCE_READY, /* its bytes are kept */
    SOURCE_ASIDE, /* has another file of that name, or said something that nobody could decide */
    SOURCE_DROPPED,
};

struct source {
    const struct fetch_source *spec;
    char *label;
    uint8_t id;     /* in the map */
    uint64_t token; /* in the map too, for a run after this one */
    enum source_state state;
    bool answered, ranges;
    uint64_t total_b; /* as it says */
    uint8_t print[PRINT_BLOCKS][PRINT_HASH_B];
    bool printed[PRINT_BLOCKS];
    bool asking[PRINT_PARTS]; /* a stream is on its way for that part */

    unsigned n_streams;
    bool tried;         /* without ranges: had a stream */
    struct meter meter; /* all its streams together, since it is at work */
    double best_b_s;    /* over 5 s */
    double last_b_s;    /* when it was last at work */
    uint64_t kept_b;
    unsigned strikes;
    unsigned unranged; /* answers with all of the file to a range, since the last good one */
    uint64_t not_before_ns, struck_ns, good_ns; /* good: its last byte that counted */
    bool revived;
    unsigned overlaps; /* blocks that it read only to compare them where another one had ended */
    bool probed;       /* some of its first bytes are or were to be compared */
    bool doubted; /* aside for bytes beyond the fingerprint: it is not put together with others */
    bool blamed;  /* proven to have sent wrong bytes */
    bool again;   /* was asked once more for what the check tripped over */
    unsigned suspected;
    uint64_t read_to_b; /* it has sent all before this, as it is in the file */
    struct err *why;    /* of the last strike or of the drop */
    bool proxy_fault;   /* the last failure was the proxy's: "proxy 'http://host:port': why" */
};

enum stream_kind { STREAM_ASK, STREAM_PRINT, STREAM_FILL, STREAM_SINGLE, STREAM_CHECK };

struct archive;
struct stream {
    struct archive *a;
    struct source *source;
    enum stream_kind kind;
    struct http_transfer *transfer;
    char *range; /* the request's header */
    const char *headers[2];
    uint64_t pos_b, end_b; /* pos: of the block that is being gathered */
    uint64_t begun_b;
    uint64_t asked_b; /* end of what was asked for */
    size_t part;      /* STREAM_PRINT */
    bool hedge, hedged, enough;
    bool refused;  /* the head of its answer is nonsense: no second try */
    bool unranged; /* it answers a range with all of the file */
    struct meter meter;
    uint8_t *buf; /* one block */
    size_t buf_n;
};

/* Sources gave other bytes for one block than what is in the file; further ones are asked. */
#define VERSIONS_MAX 8
struct version {
    struct source *source;
    uint8_t *bytes;
};
struct dispute {
    bool on;
    size_t block, n;                       /* n: its bytes */
    struct source *writer;                 /* whose block is in the file */
    struct version versions[VERSIONS_MAX]; /* all different, also from the file */
    size_t n_versions;
    struct source *judge;
};

/* The archive's own check has tripped: what it read last is compared with other sources. */
struct inquiry {
    bool on, far;
    size_t from, to; /* blocks */
    unsigned n_forgotten;
    struct err *why; /* what the check says */
};

/* Blocks to be compared with another source. */
struct check {
    size_t from, to;
};
#define CHECKS_MAX 64
struct archive {
    struct ctx *ctx;
    const struct fetch_job *job;
    struct partial *partial;
    struct verifier *verifier;
    struct http_loop *loop;
    struct source *sources;
    size_t n_sources;
    struct stream *streams[STREAMS_MAX];
    size_t n_streams;
    struct stream *current; /* whose bytes are being taken: it is ended by its own callback */
    unsigned max_streams;
    uint64_t spare_b;
    double limit_s; /* Agave cuts a transfer after that */
    struct deadline deadline;

    struct print_part parts[PRINT_PARTS];
    uint64_t parts_of_b, draw; /* the length that they are of */
    bool known; /* all sources were proven by a run before this one: a smaller fingerprint is enough
                 */
    struct check checks[CHECKS_MAX];
    size_t n_checks;
    struct dispute dispute;
    struct inquiry inquiry;
    struct source *suspect; /* alone taken out when the check tripped last; NULL: none, or more */
    uint8_t *seconds;       /* witness.c: who has sent the same block since it was written, or 0 */
    size_t n_seconds;
    unsigned n_forgotten; /* how often something was */

    uint64_t begun_ns, tick_ns, told_ns, room_ns, first_ns;
    uint64_t done_ns, whole_ns; /* all was there; and then something came for the last time */
    struct meter kept;          /* of all */
    struct meter wire;          /* the same, with what was compared */
    uint64_t whole_wire_b;      /* received when the last comparisons were looked at */
    uint64_t wire_b, again_b;
    uint64_t front_b; /* there without a gap while more than 1/32 of the file was missing */
    struct strlist dropped, bad;
    struct err *fatal; /* ours: ends the job */
    bool earlier_doubted;
};

/* ---- sources.c: who may give what ---- */
struct err *sources_open(struct archive *a) MUST_CHECK;
void sources_close(struct archive *a);
/* So much is asked of each first. */
uint64_t sources_head_b(const struct archive *a);
/* The head of its first answer said how long the file is. */
struct err *source_answered(struct archive *a, struct source *s, uint64_t total_b, bool ranges)
    MUST_CHECK;
/* A block of it, whole: noted if it belongs to the fingerprint. */
void source_print(struct archive *a, struct source *s, size_t block, const void *data, size_t n);
/* Sources are put together by what is known of them now. */
struct err *sources_group(struct archive *a) MUST_CHECK;
/* It failed in some way; takes e. Other failures of the same moment are one. */
void source_strike(struct archive *a, struct source *s, struct err *e);
/* It was asked for a range and sends all of the file; takes e. A cache that does not have it yet
 * does so for a moment: only when it goes on like that is it one without ranges. */
void source_unranged(struct archive *a, struct source *s, struct err *e);
/* It is not asked again; takes e. */
void source_drop(struct archive *a, struct source *s, struct err *e);
/* It is proven to have sent wrong bytes: dropped, and what it alone gave is forgotten; takes e.
 * whole: as in fetch_job.blamed. */
struct err *source_blame(struct archive *a, struct source *s, struct err *e, bool whole) MUST_CHECK;
/* The same of one whose bytes are gone already. */
void source_convict(struct archive *a, struct source *s, struct err *e, bool whole);
struct err *source_put_aside(struct archive *a, struct source *s) MUST_CHECK;
/* The same for bytes that nobody could decide about: until nobody else is left. */
struct err *source_doubt(struct archive *a, struct source *s) MUST_CHECK;
struct source *source_of_id(struct archive *a, uint8_t id); /* NULL: a run before this one */
bool source_may_work(const struct archive *a, const struct source *s, uint64_t now_ns);
/* Nobody is left who could go on, not even of those that were put aside. */
struct err *sources_none_left(struct archive *a, bool *ret) MUST_CHECK;
/* As far as both are known. */
bool source_is_same(const struct source *a, const struct source *b);
/* Its first 2 MiB were read: what others differ in there is decided by all (sources_group). */
bool source_has_print(const struct archive *a, const struct source *s);
bool source_has_head(const struct archive *a, const struct source *s);
/* Both have sent this block for their fingerprints, and the same one; b may be NULL. */
bool source_prints_alike(const struct archive *a, const struct source *s, const struct source *b,
                         size_t block);
struct err *sources_error(const struct archive *a) MUST_CHECK;
/* ERR_TIMEOUT: it will be too late, and nobody could change that. */
struct err *sources_in_time(struct archive *a, uint64_t now) MUST_CHECK;
double source_rate(const struct source *s, uint64_t now_ns);
/* What it is trusted with: the same, but little as long as it gave nothing since it failed. */
double source_prospect(const struct source *s, uint64_t now_ns);
size_t sources_ready(const struct archive *a);
/* What those have said that give or may yet, as far as can be said without reading the file. Who
 * disagrees is put aside by sources_group, as soon as it is clear who the more are. */
enum sources_word { SOURCES_ALONE, SOURCES_AGREE, SOURCES_DISAGREE };
enum sources_word sources_word(const struct archive *a);

/* ---- streams.c: one transfer each ---- */
struct stream *stream_begin(struct archive *a, struct source *s, enum stream_kind kind,
                            uint64_t from_b, uint64_t to_b);
void stream_end(struct stream *s);
void streams_end_of(struct archive *a, const struct source *s); /* NULL: all */
double stream_rate(const struct stream *s, uint64_t now_ns);

/* ---- dispute.c: bytes that differ ---- */
struct err *dispute_block(struct archive *a, struct source *s, uint8_t writer, size_t block,
                          const void *data, size_t n) MUST_CHECK;
struct err *dispute_judged(struct archive *a, struct source *judge, size_t block, bool as_file,
                           const void *data, size_t n) MUST_CHECK;
void dispute_end(struct archive *a);
/* It has given one of the versions that differ. */
bool dispute_has_version(const struct archive *a, const struct source *s);
/* Is it asked for that block, with a transfer of its own or on its way through the file? */
bool dispute_is_judge(const struct archive *a, const struct source *s, size_t block);
/* The judge may be gone: another one is asked. */
struct err *dispute_tick(struct archive *a) MUST_CHECK;

/* ---- witness.c: who stands for which bytes ---- */
/* It sent a block that is in the file: wrote it, or the same. */
void witness_block(struct archive *a, struct source *s, size_t block, size_t n, bool wrote);
/* Who has sent the same as its writer; NULL: nobody. */
struct source *witness_second(struct archive *a, size_t block);
/* It has sent every block before that one, as it is in the file. */
bool witness_of_all(struct archive *a, const struct source *s, size_t to);
void witness_clear(struct archive *a); /* the length is another one */
/* What that source alone gave (SEGMENT_MISSING: all) is missing again; the check begins anew when
 * it had seen some of it. */
struct err *archive_forget(struct archive *a, uint8_t id) MUST_CHECK;
struct err *archive_forget_range(struct archive *a, size_t from, size_t to) MUST_CHECK;

/* ---- blame.c: the archive's own check, and who is to blame when it says no ---- */
/* From the beginning, if it is to be checked at all. */
struct err *archive_verify_again(struct archive *a) MUST_CHECK;
/* *ret_good: all of it is here and the check says yes, with its report. */
struct err *blame_hear(struct archive *a, struct snapcheck_report *ret, bool *ret_good) MUST_CHECK;
struct err *blame_tick(struct archive *a) MUST_CHECK;
bool blame_is_asking(const struct archive *a);
/* The check has tripped over something that may be this block. */
bool blame_is_near(const struct archive *a, size_t block);
/* The check tripped over what this one wrote, others may take its place: aside, or dropped when it
 * was before. */
struct err *blame_suspect(struct archive *a, struct source *s) MUST_CHECK;
/* It is whole and proven: what does that say about who was taken out? */
void blame_passed(struct archive *a);
void blame_end(struct archive *a);

/* ---- archive.c ---- */
void archive_plan(struct archive *a);
void archive_fail(struct archive *a, struct err *e); /* ours; takes e */
