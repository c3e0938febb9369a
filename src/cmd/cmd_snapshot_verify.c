/* agavectl snapshot verify: are archives what their names say, and whole? Says what was proven and
 * what was not. Reads each file once, from front to end, and unpacks nothing to the disk. */
#include "cmd/commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "cmd/agave_opt.h"
#include "cmd/path_arg.h"
#include "cmd/progress.h"
#include "flow/agave_of.h"
#include "io/fsroot.h"
#include "solana/snapshot_archive.h"

#define EXIT_FOUND 3 /* a check found something, or could not look */

struct verify_opts {
    const char *verify, *agave_version;
};

static const char *const levels[] = {"structure", "full", NULL};

static const struct opt verify_options[] = {
    {.type = OPT_STR,
     .lng = "verify",
     .arg = "LEVEL",
     .help = "structure, or full: the name's hash as well (default)",
     .choices = levels,
     .offset = offsetof(struct verify_opts, verify)},
    AGAVE_VERSION_OPT(struct verify_opts, agave_version),
    {0},
};

/* One file's result. */
struct verified {
    const char *path; /* as it was given */
    char *full_path;
    struct snapcheck_report report; /* when e is NULL */
    struct err *e;
    bool full, hash_must;
};

static void verified_clear(struct verified *v)
{
    err_free(v->e);
    free(v->full_path);
}

/* ---- what was proven --------------------------------------------------------------------------
 */

/* null in JSON: nothing was read, or not enough to say. */
static bool is_damage(const struct err *e)
{
    return e->kind == ERR_CORRUPT || e->kind == ERR_BADINPUT;
}

static const char *hash_word(const struct verified *v)
{
    if (v->report.hash_is == SNAPCHECK_HASH_PROVEN)
        return "proven";
    return v->full ? "not-checkable" : "not-asked";
}

/* What is known of the hash is known at every level; only what follows from it differs. */
static void list_proven(const struct verified *v, struct strlist *ret)
{
    const struct snapcheck_report *r = &v->report;
    char size[32];

    strlist_add(ret, "the compressed data decodes to its end");
    strlist_add(ret, "the tar is whole and holds only what Agave unpacks, version 1.2.0");
    strlist_addf(ret,
                 "it holds one bank file, for slot %llu, as the name says, and one status cache",
                 (unsigned long long)r->slot);
    strlist_addf(ret, "%llu accounts files, %s, none of a slot that it may not hold",
                 (unsigned long long)r->accounts_files,
                 fmt_size(r->accounts_b, size, sizeof(size)));
    if (r->hash_is == SNAPCHECK_HASH_PROVEN)
        strlist_add(ret, "the hash in the name is that of the bank's lattice hash");
}

static void list_hash_not_proven(const struct verified *v, struct strlist *ret)
{
    const struct snapcheck_report *r = &v->report;

    if (r->hash_is == SNAPCHECK_HASH_OTHER && !v->full)
        strlist_addf(ret,
                     "the hash in the name: the bank gives %s; '--verify=full' judges that, and "
                     "Agave 3.0 and later would not load it",
                     r->bank_hash);
    else if (r->hash_is == SNAPCHECK_HASH_OTHER)
        strlist_addf(ret,
                     "the hash in the name: the bank gives %s; clusters before 3.0 put a hash of "
                     "another kind there, and what loads it is not known to be 3.0 or later "
                     "(--agave-version)",
                     r->bank_hash);
    else if (r->hash_is == SNAPCHECK_HASH_NONE)
        strlist_add(ret, "the hash in the name: the bank file holds no lattice hash, as those of "
                         "Agave 2.2 and older (--agave-version)");
}

static void list_not_proven(const struct verified *v, struct strlist *ret)
{
    list_hash_not_proven(v, ret);
    strlist_add(ret, "the rest of the bank file and the status cache: Agave reads them at its "
                     "start");
    strlist_add(ret, "the sum over all accounts, and with it their bytes, for which an archive has "
                     "no checksums: Agave checks it at its start");
    if (!v->report.full)
        strlist_addf(ret,
                     "that it goes on from the full archive of slot %llu without a gap, and that "
                     "this one is good",
                     (unsigned long long)v->report.base);
}

/* ---- output -----------------------------------------------------------------------------------
 */

static struct json *texts(const struct strlist *l)
{
    struct json *j = json_new_array();

    for (size_t i = 0; i < l->n; i++)
        json_push(j, json_new_str(l->items[i]));
    return j;
}

static void put_report(struct json *j, const struct verified *v)
{
    const struct snapcheck_report *r = &v->report;
    AUTO(strlist_clear) struct strlist proven = {0}, not_proven = {0};

    list_proven(v, &proven);
    list_not_proven(v, &not_proven);
    json_put(j, "kind", json_new_str(r->full ? "full" : "incremental"));
    json_put(j, "slot", json_new_u64(r->slot));
    json_put(j, "base", r->full ? NULL : json_new_u64(r->base));
    json_put(j, "name_hash", json_new_str(r->hash));
    json_put(j, "bank_hash",
             json_new_str(r->hash_is == SNAPCHECK_HASH_PROVEN ? r->hash
                          : r->bank_hash[0]                   ? r->bank_hash
                                                              : NULL));
    json_put(j, "hash", json_new_str(hash_word(v)));
    json_put(j, "size_b", json_new_u64(r->archive_b));
    json_put(j, "unpacked_b", json_new_u64(r->unpacked_b));
    json_put(j, "accounts_files", json_new_u64(r->accounts_files));
    json_put(j, "proven", texts(&proven));
    json_put(j, "not_proven", texts(&not_proven));
}

static struct json *json_verified(const struct verified *v)
{
    struct json *j = json_new_object();

    json_put(j, "path", json_new_str(v->path));
    json_put(j, "ok", !v->e || is_damage(v->e) ? json_new_bool(!v->e) : NULL);
    json_put(j, "error", v->e ? json_new_str(v->e->text) : NULL);
    json_put(j, "verify", json_new_str(v->full ? "full" : "structure"));
    if (!v->e)
        put_report(j, v);
    return j;
}

/* The path stands in front already. */
static const char *without_path(const struct verified *v)
{
    size_t n = strlen(v->full_path);
    const char *t = v->e->text;

    if (t[0] != '\'' || !str_starts(t + 1, v->full_path) || !str_starts(t + 1 + n, "': "))
        return t;
    return t + n + 4;
}

static void print_verified(const struct verified *v, struct out *out)
{
    AUTO(strlist_clear) struct strlist proven = {0}, not_proven = {0};

    if (v->e) {
        out_printf(out, "%s: %s: %s\n", v->path, is_damage(v->e) ? "bad" : "not looked at",
                   without_path(v));
        return;
    }
    list_proven(v, &proven);
    list_not_proven(v, &not_proven);
    out_printf(out, "%s: good\n", v->path);
    for (size_t i = 0; i < proven.n; i++)
        out_printf(out, "  proven      %s\n", proven.items[i]);
    for (size_t i = 0; i < not_proven.n; i++)
        out_printf(out, "  not proven  %s\n", not_proven.items[i]);
}

/* ---- the work ---------------------------------------------------------------------------------
 */

static struct err *on_progress(void *arg, uint64_t done_b, uint64_t total_b)
{
    const struct flow_report *report = arg;
    char done[32], total[32];

    report_progress(report, "%s of %s", fmt_size(done_b, done, sizeof(done)),
                    fmt_size(total_b, total, sizeof(total)));
    return NULL;
}

/* A name that was mistyped, before what lies there is judged. */
static struct err *is_file(struct ctx *ctx, const char *path)
{
    AUTO(freep) char *full = fsroot_path(ctx->root, path);
    struct stat st;

    if (stat(full, &st) < 0)
        return err_sys(errno, "it cannot be opened");
    if (S_ISDIR(st.st_mode))
        return err_new(ERR_NOTFOUND, "it is a folder; name the archives in it, or see "
                                     "'agavectl snapshot list --snapshots DIR'");
    return NULL;
}

static struct err *verify_one(struct ctx *ctx, struct verified *v)
{
    const struct snapcheck_limits limits = {.hash_must = v->full && v->hash_must};
    struct progress p;

    const char *slash = strrchr(v->path, '/'), *name = slash ? slash + 1 : v->path;

    TRY(path_arg(v->path, &v->full_path));
    v->e = is_file(ctx, v->full_path);
    if (v->e)
        return NULL;
    progress_init(&p);
    report_begin(&p.report, "verify");
    v->e = snapshot_archive_verify_file(ctx, v->full_path, &limits, on_progress, &p.report,
                                        &v->report);
    progress_drop(&p);
    if (v->e && v->e->kind == ERR_BADINPUT && str_starts(name, "tmp-"))
        v->e = err_hint(v->e, "it is half a download: 'snapshot get' goes on with it");
    if (v->e && v->e->kind == ERR_CANCELLED)
        return TAKE(v->e);
    return NULL;
}

static struct err *snapshot_verify_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                                       struct out *out)
{
    const struct verify_opts *o = opts;
    struct json *files = out->json ? json_new_array() : NULL;
    struct agave_version version;
    AUTO(freep) char *why = NULL;
    struct err *e = agave_of(ctx, o->agave_version, NULL, &version, &why);

    for (int i = 0; i < argc && !e; i++) {
        AUTO(verified_clear)
        struct verified v = {
            .path = argv[i], .full = !str_eq(o->verify, "structure"), .hash_must = version.known};

        e = verify_one(ctx, &v);
        if (v.e)
            out->exit = EXIT_FOUND;
        if (e)
            break;
        if (files)
            json_push(files, json_verified(&v));
        print_verified(&v, out);
    }
    if (e) {
        json_free(files);
        return e;
    }
    if (files) {
        struct json *doc = answer_new();

        json_put(doc, "files", files);
        out_json(out, doc);
    }
    return NULL;
}

const struct cmd cmd_snapshot_verify = {
    .name = "verify",
    .summary = "is an archive whole, and what its name says",
    .usage = "FILE...",
    .detail =
        "Reads each archive once and says what is proven: that it decodes to its end, that its tar "
        "is whole and holds only what Agave unpacks, that its bank is of the slot in its name, "
        "and, with full, that the name's hash is that of the bank. Names of clusters before 3.0 "
        "hold another kind of hash: there a hash that differs is *not checkable*, unless the Agave "
        "that will load the archive is known to be 3.0 or later, which would refuse it.\n"
        "Exits with 3 when an archive is bad or cannot be looked at.",
    .example = "agavectl snapshot verify /srv/solana/snapshots/*.tar.zst",
    .flags = CMD_CONFIG_MAYBE | CMD_JSON,
    .min_args = 1,
    .max_args = 1000,
    .opts = verify_options,
    .opts_size = sizeof(struct verify_opts),
    .run = snapshot_verify_run,
};
