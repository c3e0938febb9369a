/* Facts of one look, gathered once. A failure is remembered as well: asking again would be another
 * look, with another answer. */
#include "look/scene.h"

#include "base/str.h"
#include "config/config.h"
#include "host/pid_files.h"

/* Was it asked for, and how did that end? */
struct asked {
    bool done;
    struct err *err;
};

struct scene {
    struct asked mounts_asked;
    struct mounts mounts;
    struct asked validator_asked;
    struct pids validator;
};

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
    free(s);
    return NULL;
}

void scene_freep(struct scene **s)
{
    *s = scene_free(*s);
}

struct err *scene_mounts(struct ctx *ctx, struct scene *s, const struct mounts **ret)
{
    if (!s->mounts_asked.done) {
        s->mounts_asked.err = mounts_read(ctx, &s->mounts);
        s->mounts_asked.done = true;
    }
    TRY(err_copy(s->mounts_asked.err));
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
        if (!given_ledger(&named.items[i], ctx->cfg->validator.ledger))
            continue;
        struct err *e = pids_get(ctx, named.items[i].id.pid, ret);
        if (e && e->kind != ERR_NOTFOUND)
            return e;
        err_free(e); /* ended meanwhile */
    }
    return NULL;
}

static struct err *find_validator(struct ctx *ctx, struct pids *ret)
{
    static const char usual[] = "agave-validator";
    AUTO(freep) char *lock = xasprintf("%s/ledger.lock", ctx->cfg->validator.ledger);
    AUTO(err_freep) struct err *blind = pids_flock_holders(ctx, lock, ret);
    const char *bin = ctx->cfg->validator.bin;

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
    if (!s->validator_asked.done) {
        s->validator_asked.err = find_validator(ctx, &s->validator);
        s->validator_asked.done = true;
    }
    TRY(err_copy(s->validator_asked.err));
    *ret = &s->validator;
    return NULL;
}
