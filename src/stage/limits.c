/* Layer 4: open files and locked memory of the validator: of its process where it runs, and of what
 * would start it next. Agave 3.0.14 raises its own soft limit to 1,000,000 open files and cannot
 * open its blockstore when the hard limit forbids that; io_uring's buffers need 2,000,000,000 bytes
 * of locked memory, without which unpacking a snapshot fails (accounts-db/src/io_uring/memory.rs).
 *
 * A file of ours raises what the next start gives; what runs keeps what it has, and nothing is
 * started or stopped for it. */
#include <inttypes.h>

#include "base/str.h"
#include "config/config.h"
#include "host/limits.h"
#include "io/fsroot.h"
#include "stage/limits_next.h"
#include "stage/own.h"
#include "stage/reload.h"
#include "stage/table.h"

#define OWN_ID    "limits.file"
#define RELOAD_ID "limits.reload"

enum { VERB_FILE = 1, VERB_DROPIN, VERB_RELOAD };

/* One answer and where it is from. */
struct answer {
    struct limit nofile, memlock;
    bool free_to_raise; /* CAP_SYS_RESOURCE */
    bool indirect;      /* something between it and the validator may get more */
    char *who, *source; /* for people */
};

static void answer_clear(struct answer *a)
{
    free(a->who);
    free(a->source);
    *a = (struct answer){0};
}

static bool limits_enabled(const struct ctx *ctx)
{
    return ctx->cfg && *ctx->cfg->validator.ledger;
}

static struct err *of_process(struct ctx *ctx, pid_t pid, const char *who, struct answer *ret)
{
    struct process_limits l;

    TRY(limits_of(ctx, pid, &l));
    ret->nofile = l.nofile;
    ret->memlock = l.memlock;
    ret->free_to_raise = l.sys_resource;
    ret->who = xstrdup(who);
    ret->source = pid ? xasprintf("/proc/%d/limits", (int)pid) : xstrdup("/proc/self/limits");
    return NULL;
}

static struct answer of_next(const struct limits_next *n)
{
    return (struct answer){.nofile = n->nofile,
                           .memlock = n->memlock,
                           .indirect = n->indirect,
                           .who = xstrdup(n->who),
                           .source = xstrdup(n->source)};
}

static char *limit_text(uint64_t v)
{
    return v == UINT64_MAX ? xstrdup("unlimited") : xasprintf("%" PRIu64, v);
}

struct kind {
    const char *id, *id_next; /* of now, and of the next start */
    const char *what, *raise;
    uint64_t least;
};
static const struct kind files_kind = {
    "limits.nofile", "limits.nofile.next", "open files",
    "set LimitNOFILE=1000000 in the unit that starts it, or 'nofile 1000000' in "
    "/etc/security/limits.d for a login, and start that again ('agavectl stop' first where a "
    "validator runs)",
    LIMIT_NOFILE_LEAST};
static const struct kind memory_kind = {
    "limits.memlock", "limits.memlock.next", "bytes of locked memory",
    "set LimitMEMLOCK=2000000000 in the unit that starts it, or 'memlock 2000000' (KiB) in "
    "/etc/security/limits.d for a login, and start that again ('agavectl stop' first where a "
    "validator runs)",
    LIMIT_MEMLOCK_LEAST};

static const struct limit *limit_of(const struct answer *a, const struct kind *k)
{
    return k == &files_kind ? &a->nofile : &a->memlock;
}

/* low: the severity when it is too low. todo: what the operator does then; NULL: a file of ours
 * puts it right. */
static void judge(const struct answer *a, const struct kind *k, const char *id, enum severity low,
                  const char *todo, struct findings *ret)
{
    const struct limit *l = limit_of(a, k);
    bool ok = l->hard >= k->least || a->free_to_raise;
    AUTO(freep) char *got = limit_text(l->hard);
    AUTO(freep) char *want = xasprintf("at least %" PRIu64, k->least);
    struct finding *f =
        findings_add(ret, id, 4, ok ? SEV_OK : low, "%s may have %s %s%s%s%s", a->who, got, k->what,
                     ok && l->hard < k->least ? ", and may raise that itself" : "",
                     !ok && todo ? ": " : "", !ok && todo ? todo : "");

    finding_compare(f, want, got, a->source);
    f->repair = ok || todo ? NULL : "limits";
}

/* What runs works with what it has; only its next start may have more. after NULL: not known. */
static void judge_now(const struct answer *now, const struct answer *after, const struct kind *k,
                      struct findings *ret)
{
    bool more = after && !after->indirect && limit_of(after, k)->hard >= k->least;

    judge(now, k, k->id, more ? SEV_WARN : SEV_FAIL,
          more ? "a new login, or the next start of its service, has enough" : k->raise, ret);
}

static void judge_next(const struct answer *after, const struct kind *k, bool there, bool repair,
                       struct findings *ret)
{
    judge(after, k, there ? k->id_next : k->id, there || after->indirect ? SEV_WARN : SEV_FAIL,
          repair ? NULL : k->raise, ret);
}

/* The process that runs, or that would start it: not the next start's files. *ret_there. */
static struct err *of_now(struct ctx *ctx, struct scene *scene, struct answer *ret, bool *ret_there)
{
    const struct pids *pids = NULL;

    TRY(scene_validator(ctx, scene, &pids));
    *ret_there = pids->n || str_eq(ctx->cfg->validator.runtime, "process");
    if (!*ret_there)
        return NULL;
    return of_process(
        ctx, pids->n ? pids->items[0].id.pid : 0,
        pids->n ? "the running validator" : "this process, which would start the validator,", ret);
}

static void unknown(const char *nofile, const char *memlock, const struct err *e,
                    struct findings *ret)
{
    findings_add(ret, nofile, 4, SEV_UNKNOWN, "could not look: %s", e->text);
    findings_add(ret, memlock, 4, SEV_UNKNOWN, "could not look: %s", e->text);
}

/* A validator.uid that no user of the host has. */
static bool no_user(const struct ctx *ctx, const struct err *e, struct findings *ret)
{
    if (e->kind != ERR_NOTFOUND || !str_eq(ctx->cfg->validator.runtime, "process"))
        return false;
    findings_add(ret, "limits.user", 4, SEV_WARN,
                 "limits of logins: %s: correct validator.uid, or make the user", e->text);
    return true;
}

static struct err *check_own(struct ctx *ctx, const struct limits_next *n, struct findings *ret)
{
    struct own_file f = {.path = n->path,
                         .text = n->text,
                         .id = OWN_ID,
                         .stage = "limits",
                         .layer = 4,
                         .missing = SEV_NOTE};

    if (n->systemd)
        TRY(reload_check(ctx, RELOAD_ID, "limits", ret));
    if (!n->text)
        return NULL;
    AUTO(freep) char *what = xasprintf("it raises the limits %s", n->when);
    f.what = what;
    return own_check(ctx, &f, ret);
}

static struct err *limits_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    AUTO(limits_next_clear) struct limits_next next = {0};
    AUTO(answer_clear) struct answer a = {0}, after = {0};
    bool there = true;
    AUTO(err_freep) struct err *blind = of_now(ctx, scene, &a, &there);
    AUTO(err_freep) struct err *e = limits_next_find(ctx, scene, &next);
    static const struct kind *const kinds[] = {&files_kind, &memory_kind};
    bool may = next.text && ctx->cfg->host.persist;

    if (!e)
        after = of_next(&next);
    if (blind)
        unknown(files_kind.id, memory_kind.id, blind, ret);
    for (size_t i = 0; !blind && there && i < ARRAY_LEN(kinds); i++)
        judge_now(&a, e ? NULL : &after, kinds[i], ret);
    if (e && no_user(ctx, e, ret))
        return NULL;
    if (e) {
        unknown(there ? files_kind.id_next : files_kind.id,
                there ? memory_kind.id_next : memory_kind.id, e, ret);
        return NULL;
    }
    judge_next(&after, &files_kind, there, may && next.raises_nofile, ret);
    judge_next(&after, &memory_kind, there, may && next.raises_memlock, ret);
    return check_own(ctx, &next, ret);
}

static struct err *limits_plan(const struct ctx *ctx, const struct findings *f, struct plan *ret)
{
    const struct finding *own = findings_find(f, OWN_ID);
    bool dropin = own && own->source && str_starts(own->source, "/etc/systemd/");

    own_plan(f, OWN_ID, dropin ? VERB_DROPIN : VERB_FILE, own ? strstr(own->what, "it raises") : "",
             ret);
    if (dropin || !own)
        reload_plan(f, RELOAD_ID, VERB_RELOAD, ret);
    return NULL;
}

static struct err *limits_apply(struct ctx *ctx, const struct change *c)
{
    if (c->verb == VERB_RELOAD)
        return reload_do(ctx);
    if (c->verb == VERB_DROPIN)
        TRY(reload_note(ctx));
    return own_apply(ctx, c);
}

static struct err *limits_undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
{
    return own_undo_look(ctx, c, ret);
}

static struct err *limits_undo(struct ctx *ctx, const struct change *c)
{
    if (c->verb != VERB_DROPIN)
        return own_undo(ctx, c);
    TRY(reload_note(ctx));
    TRY(own_undo(ctx, c));
    return reload_do(ctx);
}

const struct stage stage_limits = {
    .name = "limits",
    .summary = "open files and locked memory of the validator, or of what would start it",
    .layer = 4,
    .order_reason = "needs nothing of the others",
    .enabled = limits_enabled,
    .readonly = "limits.readonly",
    .check = limits_check,
    .plan = limits_plan,
    .apply = limits_apply,
    .undo_look = limits_undo_look,
    .undo = limits_undo,
};
