#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"

/* A file that says whom to trust, or holds what proves who we are: read whole, wiped when cleared.
 */
struct kube_file {
    char *text; /* NUL-terminated */
    size_t n;
    uid_t uid;
    bool loose; /* every user of this host can read it */
};
void kube_file_clear(struct kube_file *f);

/* A kubeconfig: of root, of this user, or of who owns its folder, and not for everyone to write.
 * ERR_REFUSED, ERR_NOTFOUND, ERR_BADINPUT (no regular file, more than 1 MiB), ERR_SYS. */
struct err *kube_file_read(struct ctx *ctx, const char *path, struct kube_file *ret) MUST_CHECK;
/* A file that the kubeconfig of by names; may_differ: it may be anybody's, since nothing of it is
 * sent (an authority). Errors as above; ERR_REFUSED for a file of another owner. */
struct err *kube_file_read_named(struct ctx *ctx, const char *path, uid_t by, bool may_differ,
                                 struct kube_file *ret) MUST_CHECK;

/* A user of this host, or of its directory service when ctx->root is that of this machine. */
struct user_entry {
    char *name, *home;
    gid_t gid;
};
void user_entry_clear(struct user_entry *u);
/* ERR_NOTFOUND: no such user, or one without a home. ERR_SYS, ERR_BADINPUT. */
struct err *user_look(struct ctx *ctx, uid_t uid, struct user_entry *ret) MUST_CHECK;
