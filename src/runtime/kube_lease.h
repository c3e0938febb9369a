#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "runtime/kube.h"

/* Leases (coordination.k8s.io/v1): "not two hosts at once". What a lease says of times is for
 * people: of two clocks one may be wrong. A lease has run out when *this* process has seen it
 * unchanged for its duration, by its own monotonic clock. */

struct kube_lease {
    struct kube_meta meta;
    char *holder;        /* NULL: nobody has it */
    uint32_t duration_s; /* for how long it holds without being renewed */
    uint64_t transitions;
    int64_t renewed_at; /* by the holder's clock; 0: not said */
    /* Of one that is ours: by our monotonic clock, until when nobody else can have it. */
    uint64_t ours_until_ns;
};
void kube_lease_clear(struct kube_lease *l);
/* ERR_NOTFOUND: nobody ever had it. */
struct err *kube_get_lease(struct ctx *ctx, const struct kube *k, const char *name_space,
                           const char *name, struct kube_lease *ret) MUST_CHECK;
struct err *kube_parse_lease(const char *body, size_t n, struct kube_lease *ret) MUST_CHECK;

/* Who wants it. The holder's name is the same after a crash of this program and another on another
 * host: what is ours already is taken again at once. */
struct kube_lease_want {
    const char *name_space, *name;
    const char *holder;
    uint32_t duration_s; /* at least 1 */
};
/* What was seen of somebody else's lease, over several calls of kube_lease_take; {0} at first. */
struct kube_lease_seen {
    char *version;
    uint64_t since_ns;
};
void kube_lease_seen_clear(struct kube_lease_seen *s);

/* One try, which does not wait. *ret_ours: it is ours until ret->ours_until_ns (made, taken over,
 * or it was). Else ret is the lease of who has it, and *ret_wait_ms says when to come again with
 * the same seen: it can be free then, at the earliest. Somebody who was quicker is no error but
 * that. *ret is cleared first. Blocks and fails as kube_change.h; with k->dry_run nothing is taken.
 */
struct err *kube_lease_take(struct ctx *ctx, const struct kube *k, const struct kube_lease_want *w,
                            struct kube_lease_seen *seen, struct kube_lease *ret, bool *ret_ours,
                            uint32_t *ret_wait_ms) MUST_CHECK;
/* Makes mine (from kube_lease_take) last its duration anew; meant for every third of it.
 * ERR_REFUSED (kube_is_conflict): somebody else has it now, or it was taken away: it is lost. Any
 * other error: not known, mine->ours_until_ns still counts, try again before it. */
struct err *kube_lease_renew(struct ctx *ctx, const struct kube *k, struct kube_lease *mine)
    MUST_CHECK;
/* Others may have it at once. One that is not ours any more is done. */
struct err *kube_lease_release(struct ctx *ctx, const struct kube *k, const struct kube_lease *mine)
    MUST_CHECK;
