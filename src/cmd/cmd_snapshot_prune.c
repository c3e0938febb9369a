/* agavectl snapshot prune: removes what no start needs any more. What goes, and what of it needs a
 * word of its own, is fetch/prune.c's decision; here it is shown and asked about. */
#include "cmd/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "cmd/agave_opt.h"
#include "cmd/confirm.h"
#include "cmd/path_arg.h"
#include "config/config.h"
#include "fetch/prune.h"
#include "flow/agave_of.h"
#include "io/lock.h"
#include "look/scene.h"
#include "look/snapshot_rules.h"

#define SHOWN_MAX 160

struct prune_opts {
    struct confirm_opts confirm;
    const char *snapshots, *agave_version;
    uint64_t keep_full;
    bool partial;
};

static const struct opt prune_options[] = {
    {.type = OPT_U64,
     .lng = "keep-full",
     .arg = "N",
     .help = "so many full archives stay, each with its newest incremental",
     .offset = offsetof(struct prune_opts, keep_full),
     .min = 1,
     .max = 100,
     .def = 1},
    {.type = OPT_FLAG,
     .lng = "partial",
     .help = "remove half downloads too that could be gone on with",
     .offset = offsetof(struct prune_opts, partial)},
    {.type = OPT_STR,
     .lng = "snapshots",
     .arg = "DIR",
     .help = "the folder of snapshots, in place of the config's",
     .offset = offsetof(struct prune_opts, snapshots)},
    AGAVE_VERSION_OPT(struct prune_opts, agave_version),
    CONFIRM_YES(struct prune_opts, confirm),
    CONFIRM_PLAN(struct prune_opts, confirm),
    CONFIRM_DESTROY(struct prune_opts, confirm),
    {0},
};

struct pruning {
    struct snaplocal l;
    struct snapload_rules rules;
    struct strlist names;
    struct prune_want want;
    struct prune_plan plan;
    bool running_known;
};

static void pruning_clear(struct pruning *p)
{
    strlist_clear(&p->names);
    prune_plan_clear(&p->plan);
    snaplocal_clear(&p->l);
}

/* ---- deciding ---------------------------------------------------------------------------------
 */

/* Of a folder that is not the config's nobody knows: then its validator's own files stay. */
static struct err *look_who_runs(struct ctx *ctx, const struct prune_opts *o, struct pruning *p)
{
    AUTO(scene_freep) struct scene *scene = NULL;
    const struct pids *pids = NULL;

    p->want.running = true;
    if (!ctx->cfg || o->snapshots)
        return NULL;
    scene = scene_new();
    TRY(scene_validator(ctx, scene, &pids));
    p->running_known = true;
    p->want.running = pids->n > 0;
    return NULL;
}

static struct err *decide(struct ctx *ctx, const struct prune_opts *o, int argc, char **argv,
                          struct pruning *p)
{
    AUTO(freep) char *dir = NULL, *why = NULL;
    struct agave_version version;
    struct snapdirs dirs = {0};

    if (o->snapshots)
        TRY(path_arg(o->snapshots, &dir));
    else if (ctx->cfg)
        dirs = snapshot_dirs(ctx->cfg);
    else
        return err_new(ERR_BADINPUT,
                       "no folder of snapshots is known; give --snapshots DIR or --config FILE");
    TRY(agave_of(ctx, o->agave_version, NULL, &version, &why));
    p->rules = snapshot_rules(ctx->cfg, &version);
    TRY(look_who_runs(ctx, o, p));
    if (dir)
        dirs.dir = dir;
    TRY(snaplocal_read_dirs(ctx, &dirs, NULL, &p->l));
    for (int i = 0; i < argc; i++)
        strlist_add(&p->names, argv[i]);
    for (size_t i = 0; i < o->confirm.destroy.n; i++)
        if (!strlist_has(&p->names, o->confirm.destroy.items[i]))
            strlist_add(&p->names, o->confirm.destroy.items[i]);
    p->want.keep_full = o->keep_full;
    p->want.halves = o->partial;
    p->want.names = &p->names;
    p->want.destroy = &o->confirm.destroy;
    return prune_plan_make(&p->l, &p->rules, &p->want, &p->plan);
}

/* ---- showing ----------------------------------------------------------------------------------
 */

static void print_items(const struct pruning *p, struct out *out)
{
    static const char *const headers[] = {"", ">SIZE", "WHERE", "NAME", "WHY", NULL};
    AUTO(table_freep) struct table *t = table_new(headers);

    for (size_t i = 0; i < p->plan.n; i++) {
        const struct snaplocal_file *f = &p->l.files[i];
        AUTO(freep) char *name = str_shown(f->file, SHOWN_MAX);
        char size[32];
        const char *const cells[] = {p->plan.items[i].remove ? "remove" : "keep",
                                     fmt_size(f->disk_b, size, sizeof(size)),
                                     f->apart ? "apart" : snaplocal_place_name(f->place),
                                     name,
                                     p->plan.items[i].why,
                                     NULL};

        table_row(t, cells);
    }
    table_print(t, out);
}

static void print_plan(const struct pruning *p, struct out *out)
{
    char size[32];

    if (p->plan.n)
        print_items(p, out);
    for (size_t i = 0; i < p->plan.notes.n; i++)
        out_printf(out, "costs: %s\n", p->plan.notes.items[i]);
    if (p->plan.refused)
        out_printf(out, "'%s': %s; it is refused until the loss is named: --destroy='%s'\n",
                   p->plan.refused_name, p->plan.refused, p->plan.refused_name);
    if (p->plan.n_removed)
        out_printf(out, "%zu file%s, %s\n", p->plan.n_removed, p->plan.n_removed == 1 ? "" : "s",
                   fmt_size(p->plan.freed_b, size, sizeof(size)));
    else
        out_printf(out, "nothing to remove in '%s'\n", p->l.dir);
}

static char *plan_text(const struct pruning *p)
{
    char *text = NULL;
    size_t n = 0;
    struct out out = {.f = open_memstream(&text, &n)};

    if (!out.f)
        abort();
    print_plan(p, &out);
    if (fclose(out.f) != 0)
        abort();
    return text;
}

static void print_json(const struct pruning *p, bool changed, struct out *out)
{
    struct json *doc = answer_new(), *files = json_new_array(), *notes = json_new_array();

    for (size_t i = 0; i < p->plan.n; i++) {
        struct json *j = json_new_object();

        json_put(j, "path", json_new_str(p->l.files[i].path));
        json_put(j, "remove", json_new_bool(p->plan.items[i].remove));
        json_put(j, "disk_b", json_new_u64(p->l.files[i].disk_b));
        json_put(j, "why", json_new_str(p->plan.items[i].why));
        json_push(files, j);
    }
    for (size_t i = 0; i < p->plan.notes.n; i++)
        json_push(notes, json_new_str(p->plan.notes.items[i]));
    json_put(doc, "changed", json_new_bool(changed));
    json_put(doc, "running", p->running_known ? json_new_bool(p->want.running) : NULL);
    json_put(doc, "freed_b", json_new_u64(p->plan.freed_b));
    json_put(doc, "files", files);
    json_put(doc, "costs", notes);
    json_put(doc, "not_allowed", json_new_str(p->plan.refused_name));
    out_json(out, doc);
}

/* ---- doing ------------------------------------------------------------------------------------
 */

static struct err *confirm(struct ctx *ctx, const struct prune_opts *o, const struct pruning *p)
{
    AUTO(freep) char *text = NULL;

    if (p->plan.refused)
        return err_new(ERR_REFUSED,
                       "'%s' is not removed: %s; name the loss with --destroy='%s', or look first "
                       "with --plan",
                       p->plan.refused_name, p->plan.refused, p->plan.refused_name);
    if (o->confirm.yes || !p->plan.n_removed)
        return NULL;
    text = plan_text(p);
    return confirm_text(ctx, text, "snapshot prune");
}

static struct err *snapshot_prune_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                                      struct out *out)
{
    AUTO(hostlock_releasep) struct hostlock *lock = NULL;
    AUTO(pruning_clear) struct pruning p = {0};
    const struct prune_opts *o = opts;
    size_t n = 0;

    /* Of the config's folder alone: no operation is at work on another one, and what is being
     * fetched into it has locks of its own. */
    if (geteuid() == 0 && !o->snapshots && !o->confirm.plan)
        TRY(hostlock_take(HOSTLOCK_PATH, "snapshot prune", &lock));
    TRY(decide(ctx, o, argc, argv, &p));
    if (!o->confirm.plan) {
        TRY(confirm(ctx, o, &p));
        TRY(look_who_runs(ctx, o, &p)); /* it may have been started meanwhile */
        TRY(prune(ctx, &p.l, &p.rules, &p.want, &p.plan, &n));
    }
    if (out->json)
        print_json(&p, n > 0, out);
    else
        print_plan(&p, out);
    if (!o->confirm.plan && n)
        out_printf(out, "removed\n");
    return NULL;
}

const struct cmd cmd_snapshot_prune = {
    .name = "prune",
    .summary = "remove snapshots that no start needs",
    .usage = "[NAME...]",
    .detail =
        "Keeps the newest full archive and the newest incremental that builds on it, by slot and "
        "never by the time of a file, what waits in .agavectl/ when it is newer, and half "
        "downloads that can be gone on with. Bank snapshots, files of other programs and what is "
        "being fetched are left alone; while a validator runs, its own half files too.\n"
        "Names decide, and no archive is opened: when in doubt, 'verify' what is to stay first.\n"
        "NAME is removed as well. One that a start would load, the last one that can be used, and "
        "one that 3.0 needs to take its local state (fast boot) is refused unless it is named with "
        "--destroy.",
    .example = "agavectl snapshot prune --plan",
    .flags = CMD_CONFIG_MAYBE | CMD_JSON,
    .max_args = 1000,
    .opts = prune_options,
    .opts_size = sizeof(struct prune_opts),
    .run = snapshot_prune_run,
};
