/* Changes in Kubernetes: look, ask for the change of exactly what was seen, and after an answer
 * that did not come look again. What may be changed when is decided by who calls; the two rules
 * that are kept here are that a grace is never made shorter and a template never changes under a
 * pod. */
#include "runtime/kube_change.h"

#include "base/str.h"
#include "io/clock.h"
#include "runtime/kube_parts.h"
#include "runtime/kube_wire.h"

static const char merge[] = "application/merge-patch+json";
static const char strategic[] = "application/strategic-merge-patch+json";
static const char apply[] = "application/apply-patch+yaml";

bool kube_is_conflict(const struct err *e)
{
    return e && e->kind == ERR_REFUSED && e->remote == 409;
}

/* ---- the way of a change -----------------------------------------------------------------------
 */

struct change {
    struct ctx *ctx;
    struct kube k;   /* whose questions are asked once: the change as a whole is what is repeated */
    unsigned n;      /* of this try, from 1 */
    bool unsure;     /* an earlier try may have done it */
    char *version;   /* resourceVersion of the last look; NULL: the object has none for us */
    const void *arg; /* of look and act */
    /* Is it as wanted already? Refuses what is not the object that was meant. */
    struct err *(*look)(struct change *c, bool *ret_done);
    struct err *(*act)(struct change *c);
};

static void change_clear(struct change *c)
{
    free(c->version);
}

static void keep_version(struct change *c, const struct kube_meta *m)
{
    free(c->version);
    c->version = m->resource_version ? xstrdup(m->resource_version) : NULL;
}

/* refused: the conflict that the last try ended in, or NULL. One at which nothing has moved since
 * is none of versions, and would come again. */
static struct err *try_once(struct change *c, struct err **refused, bool *ret_again)
{
    AUTO(err_freep) struct err *last = TAKE(*refused);
    AUTO(freep) char *old = c->version ? xstrdup(c->version) : NULL;
    bool done = false;
    struct err *e = c->look(c, &done);

    *ret_again = e && kube_may_pass(e);
    if (e || (done && !c->k.dry_run))
        return e;
    if (last && str_eq(old, c->version))
        return TAKE(last);
    e = c->act(c);
    if (!e)
        return NULL;
    *ret_again = kube_may_pass(e) || kube_is_conflict(e);
    c->unsure |= kube_may_pass(e);
    if (kube_is_conflict(e))
        *refused = err_copy(e);
    return e;
}

static struct err *carry(struct ctx *ctx, const struct kube *k, struct change *c)
{
    uint64_t deadline = deadline_in_ms(ctx, k->retry_ms ? k->retry_ms : KUBE_CHANGE_MS);
    AUTO(err_freep) struct err *refused = NULL;

    c->ctx = ctx;
    c->k = *k;
    c->k.retry_ms = 0;
    for (c->n = 1;; c->n++) {
        bool again;
        struct err *e = try_once(c, &refused, &again);

        if (!e || !again || deadline_passed(ctx, deadline))
            return e;
        err_free(e);
        TRY(kube_wait_to_retry(ctx, c->n, deadline));
    }
}

/* ---- parts of all ------------------------------------------------------------------------------
 */

static struct err *conflict(const struct change *c, enum kube_kind kind, const char *name,
                            const char *why)
{
    return err_new_(__FILE__, __LINE__, ERR_REFUSED, 0, 409, "kubernetes at '%s': %s '%s': %s",
                    c->k.access->server, kube_kind_info(kind)->kind, name, why);
}

/* Is what is there now still what was seen? */
static struct err *same(const struct change *c, enum kube_kind kind, const struct kube_meta *live,
                        const struct kube_meta *seen, bool with_wish)
{
    if (!seen->uid || !*seen->uid)
        return err_new(ERR_BUG, "a change of a %s without its UID", kube_kind_info(kind)->kind);
    if (!live->uid || !str_eq(live->uid, seen->uid))
        return conflict(c, kind, seen->name, "another object has its name since it was looked at");
    if (with_wish && seen->generation && live->generation != seen->generation)
        return conflict(c, kind, seen->name,
                        "somebody else has changed it since it was looked at; look again");
    return NULL;
}

/* A member of an object that is made in place. */
static struct json *put_object(struct json *o, const char *key)
{
    struct json *made = json_new_object();

    json_put(o, key, made);
    return made;
}

/* {"metadata": {"uid", "resourceVersion"}}: what a request is bound to. */
static struct json *bound_body(const struct change *c, const struct kube_meta *seen,
                               struct json **ret_meta)
{
    struct json *body = json_new_object(), *meta = put_object(body, "metadata");

    json_put(meta, "uid", json_new_str(seen->uid));
    if (c->version)
        json_put(meta, "resourceVersion", json_new_str(c->version));
    *ret_meta = meta;
    return body;
}

/* more: further members of the query, "" or "&force=true". */
static struct err *send(const struct change *c, const char *method, const char *path,
                        const char *more, const char *content, const struct json *body)
{
    AUTO(http_response_clear) struct http_response r = {0};
    AUTO(freep)
    char *full = xasprintf("%s?fieldManager=" KUBE_MANAGER "%s%s", path, more,
                           c->k.dry_run ? "&dryRun=All" : "");
    const struct kube_call call = {
        .method = method, .path = full, .content = content, .body = body};

    return kube_call(c->ctx, &c->k, &call, &r);
}

static struct err *patch(const struct change *c, enum kube_kind kind, const struct kube_meta *seen,
                         const char *content, const struct json *body)
{
    AUTO(freep) char *path = NULL;

    TRY(kube_path(kind, seen->name_space, seen->name, &path));
    return send(c, "PATCH", path, "", content, body);
}

/* ---- replicas ----------------------------------------------------------------------------------
 */

struct scale {
    const struct kube_meta *seen;
    uint64_t replicas;
};

static struct err *scale_look(struct change *c, bool *ret_done)
{
    const struct scale *s = c->arg;
    AUTO(kube_deployment_clear) struct kube_deployment d = {0};

    TRY(kube_get_deployment(c->ctx, &c->k, s->seen->name_space, s->seen->name, &d));
    TRY(same(c, KUBE_DEPLOYMENT, &d.meta, s->seen, false));
    keep_version(c, &d.meta);
    *ret_done = d.replicas == s->replicas;
    return *ret_done ? NULL : same(c, KUBE_DEPLOYMENT, &d.meta, s->seen, true);
}

static struct err *scale_act(struct change *c)
{
    const struct scale *s = c->arg;
    struct json *meta;
    AUTO(json_freep) struct json *body = bound_body(c, s->seen, &meta);
    AUTO(freep) char *path = NULL;

    TRY(kube_path(KUBE_DEPLOYMENT, s->seen->name_space, s->seen->name, &path));
    AUTO(freep) char *scale = xasprintf("%s/scale", path);
    json_put(body, "kind", json_new_str("Scale"));
    json_put(body, "apiVersion", json_new_str("autoscaling/v1"));
    json_put(meta, "name", json_new_str(s->seen->name));
    json_put(meta, "namespace", json_new_str(s->seen->name_space));
    json_put(put_object(body, "spec"), "replicas", json_new_u64(s->replicas));
    return send(c, "PUT", scale, "", NULL, body);
}

struct err *kube_scale(struct ctx *ctx, const struct kube *k, const struct kube_meta *seen,
                       uint64_t replicas)
{
    const struct scale s = {seen, replicas};
    AUTO(change_clear) struct change c = {.arg = &s, .look = scale_look, .act = scale_act};

    return carry(ctx, k, &c);
}

/* ---- deletes -----------------------------------------------------------------------------------
 */

struct removal {
    enum kube_kind kind;
    const struct kube_meta *seen;
    int64_t grace_s;  /* -1: the server's */
    int64_t *ret_got; /* what the object has now; NULL: nobody asks */
};

/* One that is terminating is left alone: a delete could only make its grace shorter. */
static struct err *removal_look(struct change *c, bool *ret_done)
{
    const struct removal *r = c->arg;
    AUTO(http_response_clear) struct http_response answer = {0};
    AUTO(json_freep) struct json *j = NULL;
    AUTO(kube_meta_clear) struct kube_meta live = {0};
    AUTO(freep) char *path = NULL;

    TRY(kube_path(r->kind, r->seen->name_space, r->seen->name, &path));
    TRY(kube_ask(c->ctx, &c->k, path, &answer));
    TRY(kube_from(json_parse(answer.body, answer.body_n, &j), &c->k, path));
    TRY(kube_from(kube_read_meta(j, &live), &c->k, path));
    struct err *e = same(c, r->kind, &live, r->seen, false);
    if (e && kube_is_conflict(e))
        e->kind = ERR_NOTFOUND; /* the one that was meant is gone */
    TRY(e);
    if (live.deleting && r->ret_got)
        *r->ret_got = live.deletion_grace_s;
    *ret_done = live.deleting;
    return NULL;
}

/* The object as it is now; a Status where nothing is left of it. */
static struct err *read_grace(const struct http_response *r, int64_t *ret)
{
    AUTO(json_freep) struct json *j = NULL;
    AUTO(kube_meta_clear) struct kube_meta live = {0};
    const char *kind = "";

    TRY(json_parse(r->body, r->body_n, &j));
    if (json_get(j, "kind"))
        TRY(json_as_str(json_get(j, "kind"), &kind));
    *ret = 0;
    if (str_eq(kind, "Status"))
        return NULL;
    TRY(kube_read_meta(j, &live));
    *ret = live.deletion_grace_s < 0 ? 0 : live.deletion_grace_s;
    return NULL;
}

static struct err *removal_act(struct change *c)
{
    const struct removal *r = c->arg;
    AUTO(http_response_clear) struct http_response answer = {0};
    AUTO(json_freep) struct json *body = json_new_object();
    AUTO(freep) char *path = NULL;

    TRY(kube_path(r->kind, r->seen->name_space, r->seen->name, &path));
    json_put(body, "kind", json_new_str("DeleteOptions"));
    json_put(body, "apiVersion", json_new_str("v1"));
    json_put(put_object(body, "preconditions"), "uid", json_new_str(r->seen->uid));
    if (r->grace_s >= 0)
        json_put(body, "gracePeriodSeconds", json_new_u64((uint64_t)r->grace_s));
    if (c->k.dry_run) { /* of a delete with a body the server does not read the query */
        struct json *all = json_new_array();

        json_push(all, json_new_str("All"));
        json_put(body, "dryRun", all);
    }
    TRY(kube_call(c->ctx, &c->k,
                  &(struct kube_call){.method = "DELETE", .path = path, .body = body}, &answer));
    return r->ret_got ? kube_from(read_grace(&answer, r->ret_got), &c->k, path) : NULL;
}

static struct err *remove_it(struct ctx *ctx, const struct kube *k, const struct removal *r)
{
    AUTO(change_clear) struct change c = {.arg = r, .look = removal_look, .act = removal_act};
    struct err *e = carry(ctx, k, &c);

    if (e && e->kind == ERR_NOTFOUND && c.unsure) /* by the try whose answer did not come */
        return err_hint(e, "it may be this request that removed it");
    return e;
}

struct err *kube_delete_pod(struct ctx *ctx, const struct kube *k, const struct kube_meta *pod,
                            int64_t grace_s, int64_t *ret_grace_s)
{
    int64_t got = -1;
    const struct removal r = {KUBE_POD, pod, grace_s, &got};

    if (grace_s < 1) /* 0 is a kill, and the object goes at once */
        return err_new(ERR_BUG, "a pod is deleted with a grace of at least 1 s");
    TRY(remove_it(ctx, k, &r));
    *ret_grace_s = got;
    return NULL;
}

struct err *kube_delete_namespace(struct ctx *ctx, const struct kube *k,
                                  const struct kube_meta *seen)
{
    const struct removal r = {KUBE_NAMESPACE, seen, -1, NULL};

    return remove_it(ctx, k, &r);
}

/* ---- cordon ------------------------------------------------------------------------------------
 */

struct cordon {
    const struct kube_meta *node;
    const char *mark;
    bool on;
};

static struct err *cordon_look(struct change *c, bool *ret_done)
{
    const struct cordon *o = c->arg;
    AUTO(kube_node_clear) struct kube_node n = {0};

    TRY(kube_get_node(c->ctx, &c->k, o->node->name, &n));
    TRY(same(c, KUBE_NODE, &n.meta, o->node, false));
    keep_version(c, &n.meta);
    const char *mark = kube_value(&n.meta.annotations, KUBE_MARK);
    bool ours = mark && str_eq(mark, o->mark);
    if (n.cordoned && !ours)
        return conflict(c, KUBE_NODE, o->node->name,
                        mark ? "another operation of agavectl has cordoned it"
                             : "somebody else has cordoned it");
    *ret_done = o->on ? n.cordoned : !n.cordoned && !ours;
    return NULL;
}

static struct err *cordon_act(struct change *c)
{
    const struct cordon *o = c->arg;
    struct json *meta;
    AUTO(json_freep) struct json *body = bound_body(c, o->node, &meta);

    json_put(put_object(meta, "annotations"), KUBE_MARK, o->on ? json_new_str(o->mark) : NULL);
    json_put(put_object(body, "spec"), "unschedulable", o->on ? json_new_bool(true) : NULL);
    return patch(c, KUBE_NODE, o->node, merge, body);
}

static struct err *set_cordon(struct ctx *ctx, const struct kube *k, const struct cordon *o)
{
    AUTO(change_clear) struct change c = {.arg = o, .look = cordon_look, .act = cordon_act};

    return carry(ctx, k, &c);
}

struct err *kube_cordon(struct ctx *ctx, const struct kube *k, const struct kube_meta *node,
                        const char *mark)
{
    return set_cordon(ctx, k, &(struct cordon){.node = node, .mark = mark, .on = true});
}

struct err *kube_uncordon(struct ctx *ctx, const struct kube *k, const struct kube_meta *node,
                          const char *mark)
{
    return set_cordon(ctx, k, &(struct cordon){.node = node, .mark = mark, .on = false});
}

/* ---- annotations -------------------------------------------------------------------------------
 */

struct annotation {
    enum kube_kind kind;
    const struct kube_meta *seen;
    const char *key, *value;
};

static struct err *annotation_look(struct change *c, bool *ret_done)
{
    const struct annotation *a = c->arg;
    AUTO(http_response_clear) struct http_response r = {0};
    AUTO(json_freep) struct json *j = NULL;
    AUTO(kube_meta_clear) struct kube_meta live = {0};
    AUTO(freep) char *path = NULL;

    TRY(kube_path(a->kind, a->seen->name_space, a->seen->name, &path));
    TRY(kube_ask(c->ctx, &c->k, path, &r));
    TRY(kube_from(json_parse(r.body, r.body_n, &j), &c->k, path));
    TRY(kube_from(kube_read_meta(j, &live), &c->k, path));
    TRY(same(c, a->kind, &live, a->seen, false));
    keep_version(c, &live);
    *ret_done = str_eq(kube_value(&live.annotations, a->key), a->value);
    return NULL;
}

static struct err *annotation_act(struct change *c)
{
    const struct annotation *a = c->arg;
    struct json *meta;
    AUTO(json_freep) struct json *body = bound_body(c, a->seen, &meta);

    json_put(put_object(meta, "annotations"), a->key, a->value ? json_new_str(a->value) : NULL);
    return patch(c, a->kind, a->seen, merge, body);
}

struct err *kube_annotate(struct ctx *ctx, const struct kube *k, enum kube_kind kind,
                          const struct kube_meta *seen, const char *key, const char *value)
{
    const struct annotation a = {kind, seen, key, value};
    AUTO(change_clear)
    struct change c = {.arg = &a, .look = annotation_look, .act = annotation_act};

    return carry(ctx, k, &c);
}

/* ---- a template, a manifest --------------------------------------------------------------------
 */

/* Its controller has to have seen the wish, or pods of the old one may still be on their way. */
static struct err *need_none(const struct change *c, const struct kube_deployment *d)
{
    if (d->replicas == 0 && d->now == 0 && d->observed_generation >= d->meta.generation)
        return NULL;
    return err_new(
        ERR_REFUSED,
        "kubernetes at '%s': Deployment '%s' has replicas (%llu wanted, %llu there): its "
        "template is not written, since that replaces the pod with the old grace; scale "
        "it to 0 first",
        c->k.access->server, d->meta.name, (unsigned long long)d->replicas,
        (unsigned long long)d->now);
}

struct template
{
    const struct kube_meta *seen;
    const struct json *patch;
};

static struct err *template_look(struct change *c, bool *ret_done)
{
    const struct template *t = c->arg;
    AUTO(kube_deployment_clear) struct kube_deployment d = {0};

    TRY(kube_get_deployment(c->ctx, &c->k, t->seen->name_space, t->seen->name, &d));
    TRY(same(c, KUBE_DEPLOYMENT, &d.meta, t->seen, !c->unsure)); /* the wish may be ours by now */
    keep_version(c, &d.meta);
    return need_none(c, &d);
}

static struct err *template_act(struct change *c)
{
    const struct template *t = c->arg;
    struct json *meta;
    AUTO(json_freep) struct json *body = bound_body(c, t->seen, &meta);

    json_put(put_object(body, "spec"), "template", json_ref(t->patch));
    return patch(c, KUBE_DEPLOYMENT, t->seen, strategic, body);
}

struct err *kube_write_template(struct ctx *ctx, const struct kube *k, const struct kube_meta *seen,
                                const struct json *patch)
{
    const struct template t = {seen, patch};
    AUTO(change_clear) struct change c = {.arg = &t, .look = template_look, .act = template_act};

    return carry(ctx, k, &c);
}

struct manifest {
    enum kube_kind kind;
    const char *name, *name_space;
    const struct json *body;
    bool force;
};

/* A Deployment that is there is bound to the version at which it had no replicas. */
static struct err *manifest_look(struct change *c, bool *ret_done)
{
    const struct manifest *m = c->arg;
    AUTO(kube_deployment_clear) struct kube_deployment d = {0};

    if (m->kind != KUBE_DEPLOYMENT)
        return NULL;
    struct err *e = kube_get_deployment(c->ctx, &c->k, m->name_space, m->name, &d);
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    keep_version(c, &d.meta);
    return need_none(c, &d);
}

static struct err *manifest_act(struct change *c)
{
    const struct manifest *m = c->arg;
    AUTO(json_freep) struct json *body = NULL;
    AUTO(freep) char *text = json_text(m->body, false);
    AUTO(freep) char *path = NULL;

    TRY(kube_path(m->kind, m->name_space, m->name, &path));
    TRY(json_parse(text, strlen(text), &body));
    if (c->version) /* the tree is ours: the object of the caller stays as it is */
        json_put((struct json *)(uintptr_t)json_get(body, "metadata"), "resourceVersion",
                 json_new_str(c->version));
    return send(c, "PATCH", path, m->force ? "&force=true" : "", apply, body);
}

static struct err *read_manifest(const struct json *j, struct manifest *ret)
{
    const char *version, *kind, *space = "default";
    const struct json *meta = json_get(j, "metadata");

    TRY(json_as_str(json_get(j, "apiVersion"), &version));
    TRY(json_as_str(json_get(j, "kind"), &kind));
    TRY_CTX(json_as_str(json_get(meta, "name"), &ret->name), "metadata");
    if (json_get(meta, "namespace"))
        TRY_CTX(json_as_str(json_get(meta, "namespace"), &space), "metadata");
    ret->name_space = space;
    if (kube_kind_of(version, kind, &ret->kind))
        return NULL;
    AUTO(freep) char *shown = str_shown(kind, 60);
    return err_new(ERR_BADINPUT, "'%s' is no kind that agavectl applies", shown);
}

static struct err *apply_one(struct ctx *ctx, const struct kube *k, const struct json *j,
                             bool force)
{
    struct manifest m = {.body = j, .force = force};
    AUTO(change_clear) struct change c = {.arg = &m, .look = manifest_look, .act = manifest_act};
    struct err *e = read_manifest(j, &m);

    if (e) {
        e->kind = ERR_BADINPUT;
        return err_wrap(e, "manifest");
    }
    return err_wrap(carry(ctx, k, &c), "%s '%s'", kube_kind_info(m.kind)->kind, m.name);
}

struct err *kube_apply(struct ctx *ctx, const struct kube *k, const struct json *manifest,
                       bool force)
{
    const struct json *items = json_get(manifest, "items");

    if (!json_is_array(items))
        return apply_one(ctx, k, manifest, force);
    for (size_t i = 0; i < json_len(items); i++)
        TRY(apply_one(ctx, k, json_at(items, i), force));
    return NULL;
}

/* ---- namespaces --------------------------------------------------------------------------------
 */

static struct err *namespace_look(struct change *c, bool *ret_done)
{
    AUTO(kube_namespace_clear) struct kube_namespace n = {0};
    struct err *e = kube_get_namespace(c->ctx, &c->k, c->arg, &n);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    *ret_done = c->unsure;
    return c->unsure ? NULL
                     : conflict(c, KUBE_NAMESPACE, c->arg,
                                n.meta.deleting ? "one of that name is being deleted"
                                                : "one of that name is there already");
}

static struct err *namespace_act(struct change *c)
{
    AUTO(json_freep) struct json *body = json_new_object();
    AUTO(freep) char *path = NULL;

    TRY(kube_path(KUBE_NAMESPACE, NULL, NULL, &path));
    json_put(body, "apiVersion", json_new_str("v1"));
    json_put(body, "kind", json_new_str("Namespace"));
    json_put(put_object(body, "metadata"), "name", json_new_str(c->arg));
    return send(c, "POST", path, "", NULL, body);
}

struct err *kube_create_namespace(struct ctx *ctx, const struct kube *k, const char *name)
{
    AUTO(change_clear)
    struct change c = {.arg = name, .look = namespace_look, .act = namespace_act};

    return carry(ctx, k, &c);
}
