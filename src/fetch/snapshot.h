#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"
#include "solana/snapshot_archive.h"

/* Downloading: one stream for each file, verified while it is received. A file takes its final name
 * only when it is whole, verified, on disk and owned by the validator's user. Stock Agave ignores
 * Range and always sends the whole file (solana-rpc 3.0.14, rpc_service.rs), so nothing is resumed
 * or split. */
struct fetch_progress {
    const char *file, *source;
    uint64_t done_b, total_b; /* total UINT64_MAX: unknown */
    double rate_b_s;          /* over the last seconds */
    double eta_s;             /* < 0: unknown */
};
struct fetch_job {
    const char *name;      /* final file name */
    const char *dir;       /* below ctx->root; must exist */
    uint32_t uid, gid;     /* of the file; UINT32_MAX: ours */
    uint64_t spare_b;      /* must be left on the file system; 0: 1 GiB */
    uint32_t min_rate_b_s; /* slower than this for min_rate_s is an error; 0: no such limit */
    uint32_t min_rate_s;   /* 0: 30 */
    void (*progress)(void *arg, const struct fetch_progress *p); /* about twice a second; or NULL */
    /* fetch_best: a source ("http://host:port") failed and another one follows; may be NULL. */
    void (*failed)(void *arg, const char *source, const struct err *e);
    void *arg;
};
struct fetch_report {
    struct snapcheck_report check;
    char *source; /* the URL that it came from */
    uint64_t size_b;
    double seconds;
    uint64_t leftover_b; /* size of an incomplete download of a killed run that was removed first */
};
void fetch_report_clear(struct fetch_report *r);

/* url to job->dir/job->name, by way of place.h. Blocks until done. Whatever goes wrong, the
 * temporary file is gone afterwards and nothing has the final name. The text of the error names
 * source, file and reason. ERR_REFUSED: the final name exists, or something at the temporary name
 * is not a plain file; ERR_SYS: disk (ENOSPC: not enough room, found before the first byte);
 * ERR_REMOTE, ERR_TIMEOUT, ERR_NOTFOUND (404), ERR_CORRUPT: the source's fault; ERR_BADINPUT: name
 * or URL; ERR_CANCELLED. */
struct err *fetch_snapshot(struct ctx *ctx, const char *url, const struct fetch_job *job,
                           struct fetch_report *ret) MUST_CHECK;
/* The urls one after another until one works, at most five of them. Goes on only when the source
 * is at fault. */
struct err *fetch_best(struct ctx *ctx, const struct strlist *urls, const struct fetch_job *job,
                       struct fetch_report *ret) MUST_CHECK;
