/* The first contact with everybody outside, in one http_many: the time that is spent on those who
 * do not answer is that of one, however many they are. What is asked here is what would have been
 * asked first of each anyway. Later questions are those of scene_cluster.c. */
#include "look/scene_contact.h"

#include "config/config.h"
#include "look/scene_parts.h"
#include "look/unit_config.h"

void scene_expect(struct scene *s, unsigned parties)
{
    s->expected |= parties;
}

/* Whom the config names. */
static unsigned named(const struct ctx *ctx)
{
    AUTO(freep) char *node = scene_node_name(ctx);
    unsigned parties = PARTY_STATUS;

    if (node && *ctx->cfg->docker.socket)
        parties |= PARTY_DOCKER;
    if (*ctx->cfg->kubernetes.namespace && *ctx->cfg->kubernetes.deployment)
        parties |= PARTY_KUBE;
    return parties;
}

/* ---- Docker and Kubernetes ---------------------------------------------------------------------
 */

static bool docker_ask(struct ctx *ctx, struct scene *s, struct http_question *ret)
{
    docker_ask_version(ctx, ctx->cfg->docker.socket, (uint32_t)ctx->cfg->status.timeout_ms,
                       &s->docker, ret);
    return true;
}

static void docker_take(struct scene *s, const struct http_question *q, struct http_response *r)
{
    s->docker_met = docker_take_version(q, r, &s->docker);
}

static bool kube_ask(struct ctx *ctx, struct scene *s, struct http_question *ret)
{
    const struct kube_access *access;

    s->pvs_asked = (struct asked){true, scene_kube_access(ctx, s, &access)};
    if (s->pvs_asked.err)
        return false;
    kube_ask_pvs(&s->kube, ret);
    return true;
}

static void kube_take(struct scene *s, const struct http_question *q, struct http_response *r)
{
    s->pvs_asked.err = scene_heard(s, kube_take_pvs(&s->kube, q, r, &s->pvs));
}

static const struct {
    enum party party;
    bool (*ask)(struct ctx *ctx, struct scene *s, struct http_question *ret); /* false: nothing */
    void (*take)(struct scene *s, const struct http_question *q, struct http_response *r);
} asked[] = {
    {PARTY_DOCKER, docker_ask, docker_take},
    {PARTY_KUBE, kube_ask, kube_take},
};

/* ---- status ------------------------------------------------------------------------------------
 */

static struct err *status_look(struct ctx *ctx, struct scene *s, const struct http_beside *beside,
                               bool *ret_sent)
{
    AUTO(unit_config_freep) struct unit_config *u = NULL;
    const struct pids *pids = NULL;

    TRY(unit_config_look(ctx, NULL, &u));
    struct status_params p = unit_config_status(ctx, u);
    p.state_dir = NULL; /* a check leaves nothing behind */
    p.beside = beside;
    if (!p.runtime) {
        struct err *e = scene_validator(ctx, s, &pids);

        if (!e && pids->n)
            p.pid = pids->items[0].id.pid;
        err_free(e); /* the validator's own stage tells it */
    }
    *ret_sent = true;
    return status_gather(ctx, &p, &s->status);
}

/* ---- all at once -------------------------------------------------------------------------------
 */

static void send(struct ctx *ctx, struct scene *s, bool status, const struct http_beside *beside)
{
    bool sent = false;

    if (status)
        s->status_asked = (struct asked){true, status_look(ctx, s, beside, &sent)};
    if (sent || !beside->n)
        return;
    struct err *e = ctx->http->many(ctx, beside->reqs, beside->n, beside->ret);
    for (size_t i = 0; e && i < beside->n; i++)
        beside->ret[i] = (struct http_response){.err = err_copy(e)};
    err_free(e);
}

void scene_meet(struct ctx *ctx, struct scene *s, enum party who)
{
    struct http_request reqs[ARRAY_LEN(asked)];
    struct http_response got[ARRAY_LEN(asked)] = {0};
    struct http_question q[ARRAY_LEN(asked)] = {0};
    size_t whose[ARRAY_LEN(asked)], n = 0;

    if (s->met & who)
        return;
    unsigned now = (who | (s->expected & named(ctx))) & ~s->met;
    s->met |= now;
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        if (!(now & asked[i].party) || !asked[i].ask(ctx, s, &q[n]))
            continue;
        reqs[n] = q[n].req;
        whose[n++] = i;
    }
    send(ctx, s, now & PARTY_STATUS, &(struct http_beside){reqs, n, got});
    for (size_t i = 0; i < n; i++) {
        asked[whose[i]].take(s, &q[i], &got[i]);
        http_response_clear(&got[i]);
        http_question_clear(&q[i]);
    }
}

struct err *scene_heard(struct scene *s, struct err *e)
{
    if (e && e->kind == ERR_TIMEOUT && !s->kube_silent)
        s->kube_silent = err_copy(e);
    return e;
}
