/* Facts of one look, gathered once. A failure is remembered as well: asking again would be another
 * look, with another answer. */
#include "look/scene.h"

#include "base/str.h"
#include "config/config.h"
#include "host/pid_files.h"
#include "look/discover_args.h"
#include "look/scene_parts.h"

struct err *scene_once(struct ctx *ctx, struct scene *s, struct asked *a,
                       struct err *(*gather)(struct ctx *ctx, struct scene *s))
{
    if (!a->done)
        a->err = gather(ctx, s);
    a->done = true;
    return err_copy(a->err);
}

struct scene *scene_new(void)
{
    return xcalloc(1, sizeof(struct scene));
}

struct scene *scene_free(struct scene *s)
{
    if (!s)
        return NULL;
    mounts_clear(&s->mounts);
    err_free(s->mounts_asked.err);
    pids_clear(&s->validator);
    err_free(s->validator_asked.err);
    scene_clear_cluster(s);
    scene_clear_status(s);
    scene_clear_firewall(s);
    free(s);
    return NULL;
}

void scene_freep(struct scene **s)
{
    *s = scene_free(*s);
}

static struct err *gather_mounts(struct ctx *ctx, struct scene *s)
{
    return mounts_read(ctx, &s->mounts);
}

struct err *scene_mounts(struct ctx *ctx, struct scene *s, const struct mounts **ret)
{
    TRY(scene_once(ctx, s, &s->mounts_asked, gather_mounts));
    *ret = &s->mounts;
    return NULL;
}

/* "--ledger DIR", "-l DIR", "--ledger=DIR" */
static bool given_ledger(const struct pid_info *p, const char *ledger)
{
    for (char **a = p->argv; *a; a++) {
        if (str_starts(*a, "--ledger=") && str_eq(*a + strlen("--ledger="), ledger))
            return true;
        if ((str_eq(*a, "--ledger") || str_eq(*a, "-l")) && a[1] && str_eq(a[1], ledger))
            return true;
    }
    return false;
}

static struct err *by_name(struct ctx *ctx, const char *name, struct pids *ret)
{
    AUTO(pids_clear) struct pids named = {0};
    const char *slash = strrchr(name, '/');
    struct pids_match m = {.name = slash ? slash + 1 : name};

    TRY(pids_find(ctx, &m, &named));
    ret->unseen += named.unseen;
    for (size_t i = 0; i < named.n; i++) {
        char **argv = named.items[i].argv;

        /* "agave-validator --ledger X monitor" is none */
        if (!given_ledger(&named.items[i], ctx->cfg->validator.ledger) ||
            !discover_args_runs(argv + 1))
            continue;
        struct err *e = pids_get(ctx, named.items[i].id.pid, ret);
        if (e && e->kind != ERR_NOTFOUND)
            return e;
        err_free(e); /* ended meanwhile */
    }
    return NULL;
}

static struct err *gather_validator(struct ctx *ctx, struct scene *s)
{
    static const char usual[] = "agave-validator";
    AUTO(freep) char *lock = xasprintf("%s/ledger.lock", ctx->cfg->validator.ledger);
    const char *bin = ctx->cfg->validator.bin;
    struct pids *ret = &s->validator;
    AUTO(err_freep) struct err *blind = pids_flock_holders(ctx, lock, ret);

    if (ret->n)
        return NULL;
    TRY(by_name(ctx, usual, ret));
    if (!ret->n && !str_eq(bin, usual) && !str_ends(bin, "/agave-validator"))
        TRY(by_name(ctx, bin, ret));
    if (!ret->n && blind && blind->kind != ERR_NOTFOUND)
        return TAKE(blind);
    return NULL;
}

struct err *scene_validator(struct ctx *ctx, struct scene *s, const struct pids **ret)
{
    TRY(scene_once(ctx, s, &s->validator_asked, gather_validator));
    *ret = &s->validator;
    return NULL;
}
