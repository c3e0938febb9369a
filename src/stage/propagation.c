/* Layer 5: what is mounted on the host is what the kind node and the validator's pod have before
 * them (look/identity.h). A mount that did not get through fails silently: the pod writes into the
 * empty folder below the mount point. Nothing is repaired here: all of it needs a stop with proof
 * first, and a node or a pod that is made or started again. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "config/config.h"
#include "look/identity.h"
#include "stage/table.h"

#define LAYER 5

static bool propagation_enabled(const struct ctx *ctx)
{
    return ctx->cfg && *ctx->cfg->validator.ledger;
}

static char *table_of(const struct identity *i, enum identity_space space)
{
    return i->spaces[space].pid ? xasprintf("/proc/%d/mountinfo", (int)i->spaces[space].pid) : NULL;
}

/* The node's /mnt must receive what is mounted below kind_root later. */
static void check_receives(const struct ctx *ctx, const struct identity *i, struct findings *ret)
{
    AUTO(freep) char *source = table_of(i, IDENTITY_NODE);
    const char *root = ctx->cfg->storage.kind_root;

    for (size_t k = 0; k < i->n_receives; k++) {
        const struct identity_receives *r = &i->receives[k];

        if (!r->got)
            finding_compare(findings_add(ret, "propagation.mount", LAYER, SEV_FAIL,
                                         "the kind node sees nothing mounted at '%s': it must be "
                                         "made again with '%s' as an extra mount",
                                         r->path, root),
                            root, NULL, source);
        else
            finding_compare(
                findings_add(
                    ret, "propagation.receives", LAYER, r->ok ? SEV_OK : SEV_FAIL,
                    r->ok ? "what is mounted below '%s' later appears in the node's '%s'"
                          : "what is mounted below '%s' later does not appear in the node's "
                            "'%s': the extra mount needs propagation HostToContainer, and the "
                            "node must be made again after the validator is stopped with proof",
                    root, r->path),
                "slave or shared", r->got, source);
    }
}

static bool node_receives(const struct identity *i)
{
    for (size_t k = 0; k < i->n_receives; k++)
        if (!i->receives[k].ok)
            return false;
    return true;
}

#define STOP_FIRST "stop the validator with 'agavectl stop', "

static const char *mend_node(const struct identity *i, const struct identity_view *v)
{
    if (!node_receives(i))
        return STOP_FIRST "then make the node again with propagation HostToContainer";
    if (v->wrong == IDENTITY_WRONG_OTHER)
        return STOP_FIRST "then put right what is mounted in the node";
    return STOP_FIRST "then restart the node's container, which takes the mounts as they are then";
}

/* A pod is given what the node has when it is made. */
static const char *mend_pod(const struct ctx *ctx, const struct identity_place *p)
{
    enum identity_answer node = p->views[IDENTITY_NODE].answer;

    if (node == IDENTITY_DIFFERENT || node == IDENTITY_ABSENT)
        return STOP_FIRST "then put right first what the kind node sees";
    if (p->views[IDENTITY_POD].wrong == IDENTITY_WRONG_OTHER &&
        str_eq(ctx->cfg->validator.runtime, "kubernetes"))
        return STOP_FIRST "then correct the pod's volumes";
    return STOP_FIRST "then start it again, which gives it the mounts as they are then";
}

static enum severity severity_of(enum identity_answer a)
{
    static const enum severity of[] = {
        [IDENTITY_NOT_APPLICABLE] = SEV_OK, [IDENTITY_SAME] = SEV_OK,
        [IDENTITY_DIFFERENT] = SEV_FAIL,    [IDENTITY_ABSENT] = SEV_FAIL,
        [IDENTITY_UNSEEN] = SEV_UNKNOWN,
    };

    return of[a];
}

static char *say(const struct ctx *ctx, const struct identity *i, const struct identity_place *p,
                 enum identity_space space)
{
    const struct identity_view *v = &p->views[space];
    const char *who = i->spaces[space].who, *host = p->views[IDENTITY_HOST].path;
    const char *mend = space == IDENTITY_NODE ? mend_node(i, v) : mend_pod(ctx, p);

    if (v->answer == IDENTITY_SAME)
        return xasprintf("%s sees '%s' as '%s'", who, host, v->path);
    if (v->answer == IDENTITY_ABSENT)
        return xasprintf("%s does not see '%s': %s; %s", who, host, v->why, mend);
    if (v->answer == IDENTITY_UNSEEN)
        return xasprintf("could not look what %s has at '%s': %s", who, v->path, v->why);
    return xasprintf("%s does not see '%s' at '%s' but %s; %s", who, host, v->path, v->why, mend);
}

static const char *id_of(const struct identity_place *p, enum identity_space space)
{
    if (space == IDENTITY_POD)
        return "propagation.pod";
    return str_eq(p->name, "sentinel") ? "propagation.sentinel" : "propagation.node";
}

static void check_space(const struct ctx *ctx, const struct identity *i, enum identity_space space,
                        struct findings *ret)
{
    AUTO(freep) char *source = table_of(i, space);

    if (i->spaces[space].none)
        return;
    if (i->spaces[space].err) { /* one line, not one for each folder */
        findings_add(ret, space == IDENTITY_NODE ? "propagation.node" : "propagation.pod", LAYER,
                     SEV_UNKNOWN, "could not look: %s", i->spaces[space].err->text);
        return;
    }
    for (size_t k = 0; k < i->n; k++) {
        const struct identity_place *p = &i->places[k];
        const struct identity_view *v = &p->views[space];

        if (v->answer == IDENTITY_NOT_APPLICABLE)
            continue;
        AUTO(freep) char *what = say(ctx, i, p, space);
        finding_compare(
            findings_add(ret, id_of(p, space), LAYER, severity_of(v->answer), "%s", what),
            p->views[IDENTITY_HOST].is, v->is, source);
    }
}

/* That the folders are there is stage dirs' question; the host's own sentinel can be an old one. */
static void check_host(const struct identity *i, struct findings *ret)
{
    const struct identity_place *p = identity_find(i, "sentinel");
    const struct identity_view *v = p ? &p->views[IDENTITY_HOST] : NULL;

    if (!v || v->answer == IDENTITY_NOT_APPLICABLE || v->answer == IDENTITY_SAME)
        return;
    findings_add(ret, "propagation.sentinel", LAYER,
                 v->answer == IDENTITY_UNSEEN ? SEV_UNKNOWN : SEV_WARN,
                 v->answer == IDENTITY_UNSEEN
                     ? "could not look at '%s': %s"
                     : "'%s' is %s: 'agavectl boot finish' did not come to its end in this one",
                 v->path, v->why);
}

static struct err *propagation_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    AUTO(identity_clear) struct identity i = {0};

    TRY(identity_look(ctx, scene, &i));
    check_host(&i, ret);
    check_receives(ctx, &i, ret);
    check_space(ctx, &i, IDENTITY_NODE, ret);
    check_space(ctx, &i, IDENTITY_POD, ret);
    return NULL;
}

/* A validator that runs on the host itself can do without a Docker that cannot be asked. */
static bool propagation_bars_start(const struct ctx *ctx, const struct finding *f, bool anew)
{
    const bool of_pod = str_eq(f->id, "propagation.pod");

    if (of_pod)
        return !anew;
    return f->sev == SEV_FAIL || str_eq(ctx->cfg->validator.runtime, "kubernetes");
}

static const char *const after[] = {"cluster", "bind", NULL};

const struct stage stage_propagation = {
    .name = "propagation",
    .summary = "kind node and pod see the host's mounts",
    .layer = 5,
    .after = after,
    .order_reason = "there must be a node, and mounts that it could see",
    .bars_start = propagation_bars_start,
    .enabled = propagation_enabled,
    .asks = PARTY_DOCKER,
    .check = propagation_check,
};
