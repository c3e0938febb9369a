#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "io/http.h"
#include "base/str.h"
#include "solana/snapshot_archive.h"

/* Getting one archive from all who have it. Bytes come in pieces from any number of streams: a
 * source that honours Range is given the pieces that are missing, one that does not (every stock
 * Agave: solana-rpc 3.0.14, rpc_service.rs) begins at the first byte, and what is there already is
 * compared instead of written. So a stream can be replaced at any time by another one, and every
 * change of hands proves that both send the same file.
 *
 * The same name means the same state of accounts, not the same bytes. Sources are put together only
 * when they agree on length, first 2 MiB, last 1 MiB and a window drawn at random. Where they do
 * not, the larger group is taken; between two equal ones the archive's own check decides. */
enum fetch_verify {
    FETCH_VERIFY_NONE,      /* lengths and comparison of the sources only */
    FETCH_VERIFY_STRUCTURE, /* decodes to its end, tar, allowed paths, slot */
    FETCH_VERIFY_FULL,      /* and the hash in the name is that of the bank file */
};

struct fetch_source {
    const char *url;   /* of the file */
    const char *label; /* for people; NULL: from the URL */
    double rate_b_s;   /* measured before; <= 0: unknown */
};

/* What one source gave. */
struct fetch_share {
    const char *label;
    uint64_t bytes_b; /* kept */
    double rate_b_s;  /* over the last seconds; 0: it is not at work */
    bool ranges;
    const char *why; /* it was dropped: why; or NULL */
};
struct fetch_progress {
    const char *file;
    uint64_t done_b, total_b; /* total UINT64_MAX: unknown */
    uint64_t verified_b;      /* of the file's beginning */
    uint64_t again_b;         /* read once more only to be compared */
    double rate_b_s, eta_s;   /* eta < 0: unknown */
    const struct fetch_share *shares;
    size_t n_shares;
};

struct fetch_report;
struct fetch_job {
    const char *name; /* final file name */
    const char *dir;  /* below ctx->root; must exist */
    const struct fetch_source *sources;
    size_t n_sources;
    uint32_t uid, gid; /* of the file; UINT32_MAX: ours */
    enum fetch_verify verify;
    bool hash_must;   /* of FETCH_VERIFY_FULL: the cluster is known to be 3.0 or later, another hash
                         is ERR_CORRUPT; else it is reported as not checkable */
    uint64_t spare_b; /* must be left on the file system; 0: 1 GiB */
    uint64_t min_rate_b_s; /* a source below it for some seconds is replaced, and the last one
                              left is an error; 0: 64 KiB/s */
    uint64_t max_rate_b_s; /* of all together; 0: no limit */
    unsigned max_streams;  /* 0: 16 */
    struct http_way way;   /* what it points to is borrowed; {0}: directly */
    /* It must be whole by then (clock_mono_ns), or it is too old when it is here; 0: whenever. Ends
     * the job when it is sure that it will not be (deadline.h) and no other source could do it. */
    uint64_t whole_by_ns;
    void (*progress)(void *arg, const struct fetch_progress *p); /* about twice a second; or NULL */
    /* Asked as often; an error ends the job, and what has arrived stays for the next one. Or NULL.
     */
    struct err *(*may_go_on)(void *arg);
    /* A source was given up, also without proof of anything; may be NULL. */
    void (*dropped)(void *arg, const char *label, const struct err *e);
    /* It will be too late and is not gone on with: the error that follows is ERR_TIMEOUT; may be
     * NULL. */
    void (*late)(void *arg);
    /* A source is proven to have sent wrong bytes: two others sent the same other ones, or the
     * archive's own check says no with its bytes and yes with those of others, or it says no to a
     * file of which this one alone has sent every byte up to there (whole). May be NULL. */
    void (*blamed)(void *arg, const char *label, const struct err *e, bool whole);
    /* It is whole and proven and gets its name when this returns NULL; may be NULL. */
    struct err *(*finishing)(void *arg, const struct fetch_report *r);
    void *arg;
};
struct fetch_report {
    struct snapcheck_report check; /* what was proven */
    uint64_t size_b;
    uint64_t resumed_b; /* was here from a run before */
    uint64_t wire_b;    /* received by this run, with what was compared */
    uint64_t front_b;   /* so much was there without a gap when 1/32 of the file was missing */
    double seconds, first_byte_s;
    struct fetch_share *shares;
    size_t n_shares;
    struct strlist dropped;   /* "label: why" */
    struct strlist bad_peers; /* labels of those that were blamed */
};
void fetch_report_clear(struct fetch_report *r);

/* dir/name, by way of dir/tmp-<name> and its map dir/.agavectl/<name>.map. Blocks until done. The
 * file has its final name only when it is whole, verified, on disk and its owner's. After
 * ERR_CANCELLED, a lost disk or the last source the unfinished file stays, and the same call goes
 * on with it, also after kill -9 (what this boot wrote counts; after another boot only what was
 * made durable); only what blamed sources alone gave is taken away. ERR_REFUSED: the final name
 * exists, somebody else is getting it, or something at the temporary name is no plain file of ours;
 * ERR_SYS: disk (ENOSPC: before the first byte where lengths are told); ERR_REMOTE, ERR_TIMEOUT,
 * ERR_NOTFOUND, ERR_CORRUPT: no source is left, with each one's reason; ERR_TIMEOUT also: it will
 * be too late, and what has come stays; ERR_BADINPUT: name or URL. */
struct err *fetch_archive(struct ctx *ctx, const struct fetch_job *job, struct fetch_report *ret)
    MUST_CHECK;
