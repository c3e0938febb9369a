/* agavectl boot check: two proofs that people take for one. The static one reads what lies on the
 * disk and says what the next boot will do; the real one says what this boot did, and whether it is
 * still so. */
#include "cmd/commands.h"

#include "boot/boot_verify.h"
#include "cmd/check_out.h"
#include "base/str.h"
#include "io/clock.h"
#include "look/boot_proof.h"

/* One of the two. */
struct part {
    const char *name, *title;
    const struct finding *items[256];
    size_t n;
    struct check_counts counts;
    bool known; /* the real one: this boot is recorded at all */
};

static bool of_boot(const void *arg, const struct stage *s)
{
    return str_eq(s->name, "fstab") || str_eq(s->name, "units") || str_eq(s->name, "boot");
}

/* Findings of this boot; all others speak of the next one. */
static bool is_real(const struct finding *f)
{
    static const char *const ids[] = {"boot.proof", "boot.storage", "boot.seen", "boot.left",
                                      "boot.state"};

    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        if (str_eq(f->id, ids[i]))
            return true;
    return false;
}

static void take(struct part *p, const struct finding *f)
{
    if (p->n < ARRAY_LEN(p->items))
        p->items[p->n++] = f;
    if (f->ignored)
        p->counts.ignored++;
    else
        p->counts.by[f->sev]++;
}

static const char *verdict(const struct part *p)
{
    if (check_counts_bad(&p->counts))
        return "not right";
    if (!p->known)
        return "not recorded";
    return p->counts.by[SEV_WARN] ? "right, with warnings" : "right";
}

static void print_part(const struct part *p, bool all, struct out *out)
{
    if (out->json)
        return;
    fprintf(out->f, "%s: %s\n", p->title, verdict(p));
    for (size_t i = 0; i < p->n; i++)
        if (all || p->items[i]->ignored || p->items[i]->sev != SEV_OK)
            check_put_finding(out, p->items[i]);
}

static struct json *part_json(const struct part *p)
{
    struct json *j = json_new_object(), *findings = json_new_array();
    bool bad = check_counts_bad(&p->counts);

    for (size_t i = 0; i < p->n; i++)
        json_push(findings, check_finding_json(p->items[i]));
    json_put(j, "ok", bad || p->known ? json_new_bool(!bad) : NULL);
    json_put(j, "findings", findings);
    return j;
}

/* The record itself, of this boot or not; null: none that can be read. */
static struct json *proof_json(struct ctx *ctx)
{
    AUTO(boot_proof_clear) struct boot_proof p = {0};
    struct err *e = boot_proof_read(ctx, BOOT_PROOF_PATH, &p);
    struct json *j = e ? NULL : boot_proof_json(&p);

    err_free(e); /* boot.proof says it */
    return j;
}

struct boot_check_opts {
    bool all;
    const char *root;
};

static const char *boot_check_captured(const void *opts)
{
    const struct boot_check_opts *o = opts;

    return o->root;
}

static struct err *boot_check_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                                  struct out *out)
{
    const struct boot_check_opts *o = opts;
    AUTO(check_report_clear) struct check_report report = {0};
    AUTO(findings_clear) struct findings verified = {0};
    struct part next = {
        .name = "static", .title = "the next boot (what lies on the disk)", .known = true};
    struct part now = {.name = "real", .title = "this boot (what was done and seen)"};

    stages_check(ctx, &(struct check_opts){.wanted = of_boot}, &report);
    if (!o->root)
        boot_verify(ctx, &verified);
    if (ctx_cancelled(ctx))
        return err_new(ERR_CANCELLED, "interrupted; nothing was changed");
    for (size_t i = 0; i < report.findings.n; i++) {
        const struct finding *f = &report.findings.items[i];

        take(is_real(f) ? &now : &next, f);
        now.known = now.known || (str_eq(f->id, "boot.proof") && f->sev != SEV_NOTE);
    }
    for (size_t i = 0; i < verified.n; i++)
        take(&next, &verified.items[i]);
    print_part(&next, o->all, out);
    print_part(&now, o->all, out);
    out->exit = check_counts_bad(&next.counts) || check_counts_bad(&now.counts) ? 3 : 0;
    if (!out->json)
        return NULL;
    struct json *doc = answer_new();
    json_put(doc, next.name, part_json(&next));
    json_put(doc, now.name, part_json(&now));
    json_put(doc, "proof", proof_json(ctx));
    out_json(out, doc);
    return NULL;
}

static const struct opt boot_check_options[] = {
    {.type = OPT_FLAG,
     .shrt = 'a',
     .lng = "all",
     .help = "show what is ok as well",
     .offset = offsetof(struct boot_check_opts, all)},
    {.type = OPT_STR,
     .lng = "root",
     .arg = "DIR",
     .help = "look at the captured host in this folder, not at this machine",
     .offset = offsetof(struct boot_check_opts, root)},
    {0},
};

const struct cmd cmd_boot_check = {
    .name = "check",
    .summary = "show whether the next boot is right and this one was",
    .usage = "",
    .detail =
        "Two answers. The next boot: what /etc/fstab, mount units and unit files will do, whether "
        "their order has a circle, and what systemd-analyze verify says where it is installed. "
        "This boot: the record of what was done before anything used the storage, and whether "
        "devices, mounts and the accounts folder are still those. A host that was prepared since "
        "it was booted has no record yet: that is told and is no fault.\n"
        "Exits 3 when one of both is not right or could not be looked at, else 0.",
    .example = "agavectl boot check",
    .flags = CMD_CONFIG | CMD_JSON,
    .opts = boot_check_options,
    .opts_size = sizeof(struct boot_check_opts),
    .captured = boot_check_captured,
    .run = boot_check_run,
};
