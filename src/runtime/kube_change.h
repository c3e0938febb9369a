#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/json.h"
#include "runtime/kube.h"

/* What changes something in Kubernetes. API of 1.34 (apps/v1, autoscaling/v1 Scale, core/v1).
 *
 * Each call is bound to what was looked at, by its UID (one that was deleted and made anew is
 * another object) and, where the server takes it, by the resourceVersion of a look that the call
 * takes itself directly before. A status that moves meanwhile does no harm; a wish that somebody
 * else has changed does: ERR_REFUSED, and kube_is_conflict says so. What is already as it is
 * wanted is done. So each call may be repeated after a crash.
 *
 * A request whose end is not known is looked at and tried again, for k->retry_ms (0:
 * KUBE_CHANGE_MS); a call blocks at most for that and for two requests (k->timeout_ms). Errors as
 * in runtime/kube.h: ERR_REFUSED 403 says who may not do what; 404 ERR_NOTFOUND; ERR_TIMEOUT and
 * ERR_REMOTE without a status: it may have been done, look again.
 *
 * With k->dry_run the server decides everything (rights, admission, preconditions) and changes
 * nothing: asked for each change of a way before the first is made, so that a refusal comes while
 * nothing is touched. "Already as it is wanted" is no short cut then. */
#define KUBE_CHANGE_MS 10000
/* How our writes are signed (managedFields). */
#define KUBE_MANAGER "agavectl"
/* Annotation of what we hold on to, for us after a crash and for operators: the operation's name.
 */
#define KUBE_MARK "agavectl/operation"

/* 409: somebody else has changed it since it was looked at, or has it now (AlreadyExists). */
bool kube_is_conflict(const struct err *e);

/* Replicas of a Deployment: seen is its identity; a generation that is not 0 must still be its own
 * (nobody has changed what is wanted, template and annotations included); 0: whatever it is now.
 * Uses the scale subresource, so that it can touch nothing else. */
struct err *kube_scale(struct ctx *ctx, const struct kube *k, const struct kube_meta *seen,
                       uint64_t replicas) MUST_CHECK;

/* Makes a pod terminating with at least grace_s from now, which as the *first* delete may be more
 * than its spec says; *ret_grace_s: what it has (from the answer). A grace that runs can only be
 * made shorter: one that is seen to be long enough is left alone, and one that is shorter stays as
 * it is: compare *ret_grace_s. ERR_NOTFOUND: it is gone, or another one has its name. */
struct err *kube_delete_pod(struct ctx *ctx, const struct kube *k, const struct kube_meta *pod,
                            int64_t grace_s, int64_t *ret_grace_s) MUST_CHECK;

/* Nothing new is scheduled on the node; mark is written beside it (KUBE_MARK), in the same request.
 * One that is cordoned by others, or with another mark, is a conflict. */
struct err *kube_cordon(struct ctx *ctx, const struct kube *k, const struct kube_meta *node,
                        const char *mark) MUST_CHECK;
/* Takes back what kube_cordon did with that mark, and nothing else: a node that is not cordoned is
 * done (a mark of ours is taken away), one that others have cordoned is a conflict and stays. */
struct err *kube_uncordon(struct ctx *ctx, const struct kube *k, const struct kube_meta *node,
                          const char *mark) MUST_CHECK;

/* Sets (value NULL: removes) one annotation of an object itself, never of a pod template. The
 * annotations of a Deployment count as a wish: its generation goes up. */
struct err *kube_annotate(struct ctx *ctx, const struct kube *k, enum kube_kind kind,
                          const struct kube_meta *seen, const char *key, const char *value)
    MUST_CHECK;

/* Merges patch (strategic merge) into spec.template of a Deployment that has 0 replicas and no pod
 * left; ERR_REFUSED otherwise: a template that changes under a running pod replaces that pod, with
 * the old grace. seen as in kube_scale. */
struct err *kube_write_template(struct ctx *ctx, const struct kube *k, const struct kube_meta *seen,
                                const struct json *patch) MUST_CHECK;

/* Server-side apply of a manifest (one object, or a v1 List of them, in its order) as KUBE_MANAGER:
 * makes it or brings the members that it names to what it says. A member that belongs to another
 * manager and differs is a conflict that names both; force takes it over. A Deployment that is
 * there and has replicas, now or by its wish, is ERR_REFUSED, as above. ERR_BADINPUT: a manifest
 * without apiVersion, kind and name, or of a kind that is not in enum kube_kind. */
struct err *kube_apply(struct ctx *ctx, const struct kube *k, const struct json *manifest,
                       bool force) MUST_CHECK;

/* A conflict when there is one already. */
struct err *kube_create_namespace(struct ctx *ctx, const struct kube *k, const char *name)
    MUST_CHECK;
/* With everything in it, pods with their grace. Returns when it is terminating; kube_wait_gone
 * (kube_watch.h) waits, kube_namespace_stuck says what holds it up. ERR_NOTFOUND: gone. */
struct err *kube_delete_namespace(struct ctx *ctx, const struct kube *k,
                                  const struct kube_meta *seen) MUST_CHECK;
