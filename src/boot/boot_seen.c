/* agavectl boot seen: the validator's folders of the host are what kind node and pod have before
 * them (look/identity.h says how that is known). Waits for them, and writes down when they came, or
 * that they did not. */
#include "boot/boot.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "boot/boot_parts.h"
#include "config/config.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "look/identity.h"
#include "look/scene_cluster.h"

#define COLUMNS 2
#define POLL_MS 5000
#define MORE_S  60 /* the deadline is that of the boot; this one holds when its clock stands */

/* One of the proof's two columns. */
struct column {
    const char *name; /* "the kind node" */
    enum identity_space space;
    bool asked;   /* false: this host has none */
    uint64_t *at; /* in the proof */
    char *why;    /* why it is not seen yet, or NULL */
};
struct seen {
    struct ctx *ctx;
    struct scene *scene;
    struct identity identity;
    struct boot_proof p;
    struct column columns[COLUMNS];
};
static void seen_clear(struct seen *s)
{
    for (size_t i = 0; i < COLUMNS; i++)
        free(s->columns[i].why);
    identity_clear(&s->identity);
    s->scene = scene_free(s->scene);
    boot_proof_clear(&s->p);
}

/* A pod that nobody wants (0 replicas) is not waited for. */
static bool is_wanted(struct seen *s)
{
    const struct kube_deployment *d = NULL;
    struct err *e = scene_deployment(s->ctx, s->scene, &d);
    bool wanted = e || d->replicas;

    err_free(e); /* not known to be unwanted is wanted */
    return wanted;
}

static void look_column(struct seen *s, struct column *c, struct strlist *said)
{
    enum identity_answer a = identity_sum(&s->identity, c->space, &c->why);

    if (a == IDENTITY_SAME) {
        *c->at = boot_clock_s(s->ctx);
        strlist_addf(said, "%s has the host's folders before it", c->name);
        return;
    }
    if (c->space == IDENTITY_POD && s->identity.spaces[c->space].none) {
        c->asked = is_wanted(s);
        free(c->why);
        c->why = xstrdup("no validator runs");
    }
    if (!c->why)
        c->why = xstrdup("it has no name for any of the validator's folders");
}

static bool is_waiting(const struct seen *s)
{
    for (size_t i = 0; i < COLUMNS; i++)
        if (s->columns[i].asked && !*s->columns[i].at)
            return true;
    return false;
}

static char *missing(const struct seen *s)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    for (size_t i = 0; i < COLUMNS; i++) {
        const struct column *c = &s->columns[i];

        if (c->asked && !*c->at)
            strbuf_printf(&b, "%s%s: %s", b.len ? "; " : "", c->name, c->why);
    }
    return str_shown(strbuf_text(&b), 4000);
}

/* "12345.67 …" of /proc/uptime (proc(5)). */
static struct err *uptime(struct ctx *ctx, uint64_t *ret_s)
{
    AUTO(freep) char *line = NULL;

    TRY(fsroot_read_line(ctx->root, "/proc/uptime", &line));
    line[strcspn(line, ". ")] = '\0';
    TRY_CTX(parse_u64(line, 0, UINT32_MAX, ret_s), "/proc/uptime");
    return NULL;
}

static void columns_of(struct seen *s)
{
    const struct config *c = s->ctx->cfg;
    AUTO(freep) char *node = scene_node_name(s->ctx);

    s->columns[0] = (struct column){.name = "the kind node",
                                    .space = IDENTITY_NODE,
                                    .asked = node && *c->storage.kind_root,
                                    .at = &s->p.node_seen_at};
    s->columns[1] = (struct column){.name = "the validator's pod",
                                    .space = IDENTITY_POD,
                                    .asked = str_eq(c->validator.runtime, "kubernetes") ||
                                             *c->kubernetes.deployment,
                                    .at = &s->p.pod_seen_at};
}

static struct err *look_columns(struct seen *s, struct strlist *said)
{
    columns_of(s);
    if (!is_waiting(s))
        return NULL;
    s->scene = scene_new();
    TRY(identity_look(s->ctx, s->scene, &s->identity));
    for (size_t i = 0; i < COLUMNS; i++)
        if (s->columns[i].asked && !*s->columns[i].at)
            look_column(s, &s->columns[i], said);
    return NULL;
}

/* One look, with the lock held for it alone: the commands before it in a boot must not wait. */
static struct err *look(struct ctx *ctx, struct strlist *said, char **ret_missing)
{
    AUTO(seen_clear) struct seen s = {.ctx = ctx};
    AUTO(freep) char *damaged = NULL;
    AUTO(closep) int lock = -1;

    TRY(boot_lock(ctx, &lock));
    TRY(boot_proof_now(ctx, &s.p, &damaged));
    if (!s.p.owned_at)
        return err_new(ERR_NOTFOUND, "the storage of this boot is not ready: 'agavectl boot "
                                     "finish' has not come to its end");
    TRY(look_columns(&s, said));
    freep(ret_missing);
    *ret_missing = is_waiting(&s) ? missing(&s) : NULL;
    if (!*ret_missing) {
        freep(&s.p.unseen);
        s.p.unseen = NULL;
    }
    return boot_proof_save(ctx, &s.p);
}

static struct err *give_up(struct ctx *ctx, const char *text)
{
    AUTO(boot_proof_clear) struct boot_proof p = {0};
    AUTO(freep) char *damaged = NULL;
    AUTO(closep) int lock = -1;

    TRY(boot_lock(ctx, &lock));
    TRY(boot_proof_now(ctx, &p, &damaged));
    free(p.unseen);
    p.unseen = xstrdup(text);
    TRY(boot_proof_save(ctx, &p));
    return err_new(ERR_TIMEOUT, "not seen within %" PRIu64 " s after the boot: %s",
                   ctx->cfg->boot.seen_timeout_s, text);
}

struct waiting {
    struct strlist *said;
    char *missing;
    bool last; /* the deadline has passed: there is no other look */
};

static struct err *look_again(struct ctx *ctx, void *arg, bool *ret_done)
{
    struct waiting *w = arg;
    uint64_t up = 0;

    TRY(uptime(ctx, &up)); /* before the look: there is always one after the deadline */
    TRY(look(ctx, w->said, &w->missing));
    w->last = up >= ctx->cfg->boot.seen_timeout_s;
    *ret_done = !w->missing || w->last;
    return NULL;
}

struct err *boot_seen(struct ctx *ctx, bool wait, struct strlist *ret_said)
{
    AUTO(freep) char *missing = NULL;
    struct waiting w = {.said = ret_said};
    uint64_t limit_ms = (ctx->cfg->boot.seen_timeout_s + MORE_S) * 1000;
    bool done = false;

    struct err *e = wait ? wait_until(ctx, "kind node and pod", limit_ms, POLL_MS, look_again, &w)
                         : look_again(ctx, &w, &done);
    missing = w.missing;
    TRY(e);
    if (missing && w.last)
        return give_up(ctx, missing);
    if (missing)
        return err_new(ERR_NOTFOUND, "not seen yet: %s", missing);
    strlist_add(ret_said, "nothing is left to wait for");
    return NULL;
}
