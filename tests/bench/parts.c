/* Parts of agavectl that no command runs alone, for bench.py to time as processes:
 *   parts rocksdb LEDGER       RocksDB's own open and a walk over "meta": the floor of `shreds`
 *   parts verify ARCHIVE       the check of a snapshot archive
 *   parts fetch URL DIR NAME   one archive into DIR/NAME, verified on its way
 *   parts get none|structure DIR NAME URL...   the same from several, whose URLs are of the file */
#include <signal.h>
#include <stdio.h>

#include "base/str.h"
#include "fetch/archive.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "io/http.h"
#include "solana/rocksdb_api.h"

enum { FAMILIES = 4 };

static struct err *walk(const struct rocksdb_api *a, struct rdb_db *db, struct rdb_cf *meta)
{
    struct rdb_read *r = a->readoptions_create();
    struct rdb_iter *i = a->create_iterator_cf(db, r, meta);
    size_t seen = 0, n;

    for (a->iter_seek_to_first(i); a->iter_valid(i); a->iter_next(i))
        seen += a->iter_value(i, &n) != NULL;
    a->iter_destroy(i);
    a->readoptions_destroy(r);
    return seen ? NULL : err_new(ERR_NOTFOUND, "the ledger has no slots");
}

static struct err *rocksdb(const char *ledger)
{
    static const char *const names[FAMILIES] = {"default", "meta", "root", "dead_slots"};
    AUTO(rocksdb_api_closep) struct rocksdb_api *a = NULL;
    AUTO(freep) char *dir = xasprintf("%s/rocksdb", ledger);
    struct rdb_cf *cfs[FAMILIES];
    struct rdb_db *db;
    char *text = NULL;
    struct err *e;

    TRY(rocksdb_api_open(&a));
    struct rdb_options *o = a->options_create();
    const struct rdb_options *const all[FAMILIES] = {o, o, o, o};
    db = a->open_for_read_only_column_families(o, dir, FAMILIES, names, all, cfs, 0, &text);
    TRY(rocksdb_api_fail(a, ERR_CORRUPT, text, "cannot open '%s'", dir));
    e = walk(a, db, cfs[1]);
    for (size_t i = 0; i < FAMILIES; i++)
        a->column_family_handle_destroy(cfs[i]);
    a->close(db);
    a->options_destroy(o);
    return e;
}

static struct err *get(struct ctx *ctx, int n, char **argv)
{
    AUTO(freep) struct fetch_source *sources = xcalloc((size_t)n, sizeof(*sources));
    AUTO(fetch_report_clear) struct fetch_report fetched = {0};
    const struct fetch_job job = {.name = argv[2],
                                  .dir = argv[1],
                                  .sources = sources,
                                  .n_sources = (size_t)n - 3,
                                  .uid = UINT32_MAX,
                                  .gid = UINT32_MAX,
                                  .verify = str_eq(argv[0], "none") ? FETCH_VERIFY_NONE
                                                                    : FETCH_VERIFY_STRUCTURE};

    for (int i = 3; i < n; i++)
        sources[i - 3].url = argv[i];
    return fetch_archive(ctx, &job, &fetched);
}

static struct err *run(struct ctx *ctx, int argc, char **argv)
{
    struct snapcheck_report verified;
    AUTO(fetch_report_clear) struct fetch_report fetched = {0};

    if (argc == 3 && str_eq(argv[1], "rocksdb"))
        return rocksdb(argv[2]);
    if (argc == 3 && str_eq(argv[1], "verify"))
        return snapshot_archive_verify_file(ctx, argv[2], NULL, NULL, NULL, &verified);
    if (argc == 5 && str_eq(argv[1], "fetch")) {
        const struct fetch_source source = {.url = argv[2]};
        const struct fetch_job job = {.name = argv[4],
                                      .dir = argv[3],
                                      .sources = &source,
                                      .n_sources = 1,
                                      .uid = UINT32_MAX,
                                      .gid = UINT32_MAX,
                                      .verify = FETCH_VERIFY_STRUCTURE};

        return fetch_archive(ctx, &job, &fetched);
    }
    if (argc > 5 && str_eq(argv[1], "get"))
        return get(ctx, argc - 2, argv + 2);
    return err_new(ERR_BADINPUT, "usage: parts rocksdb|verify|fetch|get ...");
}

int main(int argc, char **argv)
{
    static const volatile sig_atomic_t never;
    AUTO(fsroot_closep) struct fsroot *root = NULL;
    struct err *e = fsroot_open("/", &root);
    struct ctx ctx = {
        .root = root, .http = &http_curl, .clock = &clock_system, .cancelled = &never};
    int code;

    if (!e)
        e = run(&ctx, argc, argv);
    if (e)
        fprintf(stderr, "parts: %s\n", e->text);
    code = err_exit_code(e);
    err_free(e);
    return code;
}
