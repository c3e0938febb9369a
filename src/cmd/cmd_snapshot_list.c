/* agavectl snapshot list: what lies in the folder of snapshots, and what a start would begin from.
 * Looks at names and marks alone; whether an archive is whole is verify's business. */
#include "cmd/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/str.h"
#include "cmd/agave_opt.h"
#include "cmd/path_arg.h"
#include "config/config.h"
#include "fetch/provenance.h"
#include "flow/agave_of.h"
#include "look/found.h"
#include "look/snapshot_rules.h"

#define SHOWN_MAX 200 /* of a name */

struct list_opts {
    const char *snapshots, *accounts, *agave_version;
    bool explain;
};

static const struct opt list_options[] = {
    {.type = OPT_STR,
     .lng = "snapshots",
     .arg = "DIR",
     .help = "the folder of snapshots, in place of the config's",
     .offset = offsetof(struct list_opts, snapshots)},
    {.type = OPT_STR,
     .lng = "accounts",
     .arg = "DIR",
     .help = "the validator's accounts, in place of the config's",
     .offset = offsetof(struct list_opts, accounts)},
    AGAVE_VERSION_OPT(struct list_opts, agave_version),
    {.type = OPT_FLAG,
     .lng = "explain",
     .help = "say of each why it would be loaded or not",
     .offset = offsetof(struct list_opts, explain)},
    {0},
};

/* What is listed, and who has vouched for it. */
struct listing {
    struct snaplocal l;
    struct snapload d;
    struct agave_version version;
    char *no_version;         /* why it is not known */
    struct provenance *notes; /* by file; name NULL: nothing is known */
};

static void listing_clear(struct listing *s)
{
    for (size_t i = 0; s->notes && i < s->l.n; i++)
        provenance_clear(&s->notes[i]);
    free(s->notes);
    free(s->no_version);
    snapload_clear(&s->d);
    snaplocal_clear(&s->l);
}

/* A note that cannot be read is as good as none, but said. */
static void read_notes(struct ctx *ctx, struct listing *s)
{
    s->notes = xcalloc(s->l.n + 1, sizeof(*s->notes));
    for (size_t i = 0; i < s->l.n; i++) {
        const struct snaplocal_file *f = &s->l.files[i];
        struct err *e = f->kind == SNAPLOCAL_ARCHIVE
                            ? provenance_read(ctx, f->home, f->file, &s->notes[i])
                            : NULL;

        if (e && e->kind != ERR_NOTFOUND)
            log_note("note: %s", e->text);
        err_free(e);
    }
}

/* Whose folders they are, in this order: named, the config's, those of the one validator that runs.
 */
struct folders {
    struct snapdirs dirs;
    char *given, *accounts;
    struct founds founds;
};

static void folders_clear(struct folders *f)
{
    founds_clear(&f->founds);
    free(f->given);
    free(f->accounts);
}

static struct err *of_who_runs(struct ctx *ctx, struct folders *ret)
{
    const struct found *f;
    size_t unseen = 0;

    TRY(found_validators(ctx, &ret->founds, &unseen));
    f = ret->founds.items;
    if (ret->founds.n == 1 && f->snapshots) {
        ret->dirs = (struct snapdirs){.dir = f->snapshots,
                                      .full = f->full_snapshots,
                                      .incremental = f->incremental_snapshots};
        return NULL;
    }
    return err_new(ERR_BADINPUT, "no folder of snapshots is known%s; give one, or --config FILE",
                   ret->founds.n > 1 ? " (more than one validator runs)"
                   : unseen && !ret->founds.n
                       ? " (a validator of another user may run: try as root)"
                       : "");
}

static struct err *choose(struct ctx *ctx, const struct list_opts *o, const char *dir,
                          struct folders *ret)
{
    const struct config *cfg = ctx->cfg;

    if (o->snapshots && dir)
        return err_new(ERR_BADINPUT, "give the folder once: as argument, or with '--snapshots'");
    if (o->snapshots || dir) {
        TRY(path_arg(dir ? dir : o->snapshots, &ret->given));
        ret->dirs.dir = ret->given;
    } else if (cfg) {
        ret->dirs = snapshot_dirs(cfg);
    } else {
        TRY(of_who_runs(ctx, ret));
    }
    if (o->accounts)
        return path_arg(o->accounts, &ret->accounts);
    /* The config's accounts are those of the config's snapshots. */
    ret->accounts = cfg && !ret->given ? xstrdup(cfg->validator.accounts) : NULL;
    return NULL;
}

static struct err *look(struct ctx *ctx, const struct list_opts *o, const char *dir,
                        struct listing *s)
{
    AUTO(folders_clear) struct folders f = {0};
    struct snapload_rules rules;

    TRY(choose(ctx, o, dir, &f));
    TRY(agave_of(ctx, o->agave_version, NULL, &s->version, &s->no_version));
    TRY(snaplocal_read_dirs(ctx, &f.dirs, f.accounts, &s->l));
    rules = snapshot_rules(ctx->cfg, &s->version);
    snapload_decide(&s->l, &rules, &s->d);
    read_notes(ctx, s);
    return NULL;
}

/* ---- JSON -------------------------------------------------------------------------------------
 */

static struct json *known_json(const struct known_u64 *v)
{
    return v->known ? json_new_u64(v->v) : NULL;
}

static const char *kind_of(const struct snaplocal_file *f)
{
    if (f->kind == SNAPLOCAL_HALF)
        return "half";
    if (f->kind == SNAPLOCAL_LEFT)
        return "left";
    return f->name.incremental ? "incremental" : "full";
}

static struct json *json_file(const struct snaplocal_file *f, const struct provenance *note)
{
    static const char *const makers[] = {
        [SNAPLOCAL_OURS] = "agavectl", [SNAPLOCAL_AGAVE] = "agave"};
    struct json *j = json_new_object();

    json_put(j, "path", json_new_str(f->path));
    json_put(j, "kind", json_new_str(kind_of(f)));
    json_put(j, "where", json_new_str(f->apart ? "apart" : snaplocal_place_name(f->place)));
    json_put(j, "slot", f->named ? json_new_u64(f->name.slot) : NULL);
    json_put(j, "base", f->named && f->name.incremental ? json_new_u64(f->name.base) : NULL);
    json_put(j, "hash", json_new_str(f->named ? f->name.hash : NULL));
    json_put(j, "usable",
             json_new_bool(f->kind == SNAPLOCAL_ARCHIVE && !f->name.legacy && !f->apart));
    json_put(j, "size_b", json_new_u64(f->size_b));
    json_put(j, "disk_b", json_new_u64(f->disk_b));
    if (f->kind == SNAPLOCAL_HALF) {
        json_put(j, "of", json_new_str(makers[f->maker]));
        json_put(j, "being_fetched", json_new_bool(f->busy));
    }
    json_put(j, "loaded", json_new_bool(f->loaded));
    json_put(j, "why", json_new_str(f->why));
    json_put(j, "fetched", note->name ? provenance_json(note) : NULL);
    return j;
}

static struct json *json_bank(const struct snaplocal_bank *b)
{
    struct json *j = json_new_object();

    json_put(j, "path", json_new_str(b->path));
    json_put(j, "slot", json_new_u64(b->slot));
    json_put(j, "full_snapshot_slot", known_json(&b->full_slot));
    json_put(j, "fastboot_version", known_json(&b->fastboot));
    json_put(j, "storages_flushed", json_new_bool(b->flushed));
    json_put(j, "accounts", b->accounts_known ? json_new_bool(b->has_accounts) : NULL);
    json_put(j, "loaded", json_new_bool(b->loaded));
    json_put(j, "why", json_new_str(b->why));
    return j;
}

static struct json *path_of(const struct snaplocal *l, size_t i)
{
    return i == SNAPLOAD_NONE ? NULL : json_new_str(l->files[i].path);
}

static struct json *json_load(const struct listing *s)
{
    struct json *j = json_new_object(), *doubts = json_new_array();

    for (size_t i = 0; i < s->d.doubts.n; i++)
        json_push(doubts, json_new_str(s->d.doubts.items[i]));
    json_put(j, "from", json_new_str(snapload_from_name(s->d.from)));
    json_put(j, "slot", s->d.from == SNAPLOAD_GENESIS ? NULL : json_new_u64(s->d.slot));
    json_put(j, "full", path_of(&s->l, s->d.full));
    json_put(j, "incremental", path_of(&s->l, s->d.incr));
    json_put(j, "bank",
             s->d.bank == SNAPLOAD_NONE ? NULL : json_new_str(s->l.banks[s->d.bank].path));
    json_put(j, "why", json_new_str(s->d.why));
    json_put(j, "doubts", doubts);
    return j;
}

static char *version_text(const struct agave_version *v)
{
    return v->known ? xasprintf("%u.%u.%u", v->major, v->minor, v->patch) : NULL;
}

static void print_json(const struct listing *s, struct out *out)
{
    struct json *doc = answer_new(), *files = json_new_array(), *banks = json_new_array();
    struct json *odd = json_new_array();
    AUTO(freep) char *version = version_text(&s->version);

    for (size_t i = 0; i < s->l.n; i++)
        json_push(files, json_file(&s->l.files[i], &s->notes[i]));
    for (size_t i = 0; i < s->l.n_banks; i++)
        json_push(banks, json_bank(&s->l.banks[i]));
    json_put(doc, "dir", json_new_str(s->l.dir));
    json_put(doc, "full_dir", json_new_str(s->l.full_dir));
    json_put(doc, "incremental_dir", json_new_str(s->l.incr_dir));
    json_put(doc, "agave_version", json_new_str(version));
    json_put(doc, "would_load", json_load(s));
    for (size_t i = 0; i < s->l.odd.n; i++)
        json_push(odd, json_new_str(s->l.odd.items[i]));
    json_put(doc, "files", files);
    json_put(doc, "odd", odd);
    json_put(doc, "bank_snapshots", banks);
    out_json(out, doc);
}

/* ---- text -------------------------------------------------------------------------------------
 */

static const char *trust_of(const struct snaplocal_file *f, const struct provenance *note)
{
    if (f->kind != SNAPLOCAL_ARCHIVE || !note->name)
        return "";
    return str_eq(note->trust, "any") ? "nobody" : note->trust;
}

static void file_row(struct table *t, const struct snaplocal_file *f, const struct provenance *note,
                     bool explain)
{
    AUTO(freep) char *slot = f->named ? xasprintf("%" PRIu64, f->name.slot) : NULL;
    AUTO(freep)
    char *base =
        f->named && f->name.incremental ? xasprintf("%" PRIu64, f->name.base) : xstrdup("");
    AUTO(freep) char *name = str_shown(f->file, SHOWN_MAX);
    char size[32];
    const char *const cells[] = {f->loaded ? "*" : "",
                                 slot,
                                 kind_of(f),
                                 base,
                                 fmt_size(f->size_b, size, sizeof(size)),
                                 f->apart ? "apart" : snaplocal_place_name(f->place),
                                 trust_of(f, note),
                                 explain ? f->why : name,
                                 NULL};

    table_row(t, cells);
}

static void print_nothing(const struct listing *s, struct out *out)
{
    out_printf(out, "no archive is in '%s'", s->l.full_dir);
    if (!str_eq(s->l.full_dir, s->l.incr_dir))
        out_printf(out, " or '%s'", s->l.incr_dir);
    out_printf(out, "\n");
}

static void print_files(const struct listing *s, bool explain, struct out *out)
{
    static const char *const plain[] = {"",      ">SLOT", "KIND", ">BASE", ">SIZE",
                                        "WHERE", "TRUST", "NAME", NULL};
    static const char *const with_why[] = {"",      ">SLOT", "KIND", ">BASE", ">SIZE",
                                           "WHERE", "TRUST", "WHY",  NULL};
    AUTO(table_freep) struct table *t = table_new(explain ? with_why : plain);

    for (size_t i = 0; i < s->l.n; i++)
        file_row(t, &s->l.files[i], &s->notes[i], explain);
    if (s->l.n)
        table_print(t, out);
    else
        print_nothing(s, out);
}

static void print_banks(const struct listing *s, struct out *out)
{
    static const char *const headers[] = {"", ">SLOT", "BANK SNAPSHOT: WHY", NULL};
    AUTO(table_freep) struct table *t = table_new(headers);

    if (!s->l.n_banks)
        return;
    for (size_t i = 0; i < s->l.n_banks; i++) {
        const struct snaplocal_bank *b = &s->l.banks[i];
        AUTO(freep) char *slot = xasprintf("%" PRIu64, b->slot);
        const char *const cells[] = {b->loaded ? "*" : "", slot, b->why, NULL};

        table_row(t, cells);
    }
    out_printf(out, "\n");
    table_print(t, out);
}

static void print_list(const struct listing *s, bool explain, struct out *out)
{
    AUTO(freep) char *version = version_text(&s->version);

    print_files(s, explain, out);
    if (explain)
        print_banks(s, out);
    out_printf(out, "\na start of Agave%s%s: %s\n", version ? " " : "", version ? version : "",
               s->d.why);
    for (size_t i = 0; i < s->d.doubts.n; i++)
        out_printf(out, "  doubt: %s\n", s->d.doubts.items[i]);
    for (size_t i = 0; i < s->l.odd.n; i++)
        out_printf(out, "  odd: %s\n", s->l.odd.items[i]);
    if (explain && s->no_version)
        out_printf(out, "  its version is not known (%s); give --agave-version\n", s->no_version);
}

static struct err *snapshot_list_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                                     struct out *out)
{
    AUTO(listing_clear) struct listing s = {0};
    const struct list_opts *o = opts;

    TRY(look(ctx, o, argc ? argv[0] : NULL, &s));
    if (out->json)
        print_json(&s, out);
    else
        print_list(&s, o->explain, out);
    return NULL;
}

const struct cmd cmd_snapshot_list = {
    .name = "list",
    .summary = "show the local snapshots and what would be loaded",
    .usage = "[DIR]",
    .detail =
        "Shows every archive in the folder and in its remote/, what waits in .agavectl/ until the "
        "validator is stopped, half files, and what a start would begin from (*): the highest full "
        "archive and the highest incremental that builds on just that one, unless a local bank "
        "snapshot is as new and can be loaded (fast boot). With --explain it says so of each, and "
        "lists the bank snapshots. Without DIR the folders are the config's, or else those of the "
        "one validator that runs on this host; archives that it takes from other folders "
        "(--full-snapshot-archive-path, --incremental-snapshot-archive-path) are shown with them. "
        "What can be loaded differs between 3.0, 3.1 and 4.0.\n"
        "TRUST tells why the hash of an archive that agavectl has fetched is believed; nobody: it "
        "was taken with --trust-any.",
    .example = "agavectl snapshot list --explain",
    .sample = "  $ agavectl snapshot list --explain\n"
              "     SLOT  KIND         BASE      SIZE  WHERE  TRUST  WHY\n"
              "  *  1202  full                415 KiB  here          the highest full archive\n"
              "     1102  incremental   802  51.4 KiB  here          it builds on slot 802, and "
              "the highest full archive is of slot 1202\n"
              "      802  full                406 KiB  here          a higher full archive is "
              "there (slot 1202)\n"
              "\n"
              "  a start of Agave 3.0.14: the full archive of slot 1202\n",
    .flags = CMD_CONFIG_MAYBE | CMD_JSON,
    .max_args = 1,
    .opts = list_options,
    .opts_size = sizeof(struct list_opts),
    .run = snapshot_list_run,
};
