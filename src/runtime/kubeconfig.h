#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/secret.h"
#include "base/str.h"
#include "runtime/kube_exec.h"

/* Kubeconfig files (kubernetes/client-go 0.34, tools/clientcmd/api/v1): which API server, whom to
 * trust, and as whom. Read, never written. */

/* What one context of a kubeconfig means, complete and in memory. */
struct kube_access {
    char *path;    /* the file that holds the context, for messages */
    char *context; /* its names */
    char *cluster, *user;
    char *server;     /* "https://127.0.0.1:40405", without a slash at its end */
    char *name_space; /* of the context; NULL: not set ("default") */
    char *ca;         /* PEM; NULL: the system's authorities */
    size_t ca_n;
    char *cert; /* PEM of the client; NULL: none */
    size_t cert_n;
    struct secret *key, *token; /* of cert; bearer token; NULL: none */
    struct kube_exec *exec;     /* a program gives them instead (kube_exec.h), or NULL */
    bool loose; /* a file with the key or the token can be read by every user of this host */
};
void kube_access_clear(struct kube_access *a);

/* Where a kubeconfig may be; each may be NULL. The first that is set decides, whether its file is
 * there or not; of the two homes, the first that has the file. */
struct kubeconfig_places {
    const char *flag;       /* --kubeconfig */
    const char *env;        /* KUBECONFIG: files joined by ':', merged as kubectl does */
    const char *config;     /* of our own config */
    const char *sudo_uid;   /* SUDO_UID: the caller's home below /etc/passwd, else our own home's */
    const char *deployment; /* laconic-so's deployment folder: its owner's home */
};
struct kubeconfig_paths {
    struct strlist files;
    const char
        *from; /* static: "--kubeconfig", "KUBECONFIG", "the config", "the caller's home"... */
};
void kubeconfig_paths_clear(struct kubeconfig_paths *p);
/* ERR_ABSENT: none is set and no home has one (says where it looked). ERR_SYS, ERR_BADINPUT. */
struct err *kubeconfig_find(struct ctx *ctx, const struct kubeconfig_places *where,
                            struct kubeconfig_paths *ret) MUST_CHECK;

/* The home of a user: below ctx->root's /etc/passwd, on this machine also of a directory service.
 * *ret NULL: none. To be freed. ERR_SYS, ERR_BADINPUT. */
struct err *user_home(struct ctx *ctx, uid_t uid, char **ret) MUST_CHECK;

/* Reads the files (one that is missing is skipped while another is there) and those that they name
 * (relative to the file's folder), below ctx->root, and resolves a context; NULL: current-context.
 * A program that gives the credentials is run (kube_exec_fresh, whose errors come as well): blocks
 * for KUBE_EXEC_S at most.
 *
 * A kubeconfig says whom to trust: it must be of root, of this user or of who owns its folder, and
 * neither it nor its folder for everyone to write. A certificate, key or token in a file that it
 * names must be of the kubeconfig's own owner (root and this user may name any): a user's file
 * cannot make root send root's. Both ERR_REFUSED; so is insecure-skip-tls-verify.
 * ERR_ABSENT: none of the files is there; or it wants what is not supported (auth-provider plugins,
 * a program that needs a terminal, passwords, impersonation, a proxy, tls-server-name, encrypted
 * keys).
 * ERR_NOTFOUND: no such context; a file that it names is not there.
 * ERR_BADINPUT: not a kubeconfig; no current-context, or a name in it that is not there; data that
 * is no base64 or no PEM; plain http to another host. ERR_SYS. */
struct err *kubeconfig_load(struct ctx *ctx, const struct kubeconfig_paths *paths,
                            const char *context, struct kube_access *ret) MUST_CHECK;

/* One text without files and programs: the part that looks at foreign bytes. name is for messages.
 * A file that it names is ERR_NOTFOUND. */
struct err *kubeconfig_parse(const char *text, size_t n, const char *name, const char *context,
                             struct kube_access *ret) MUST_CHECK;
