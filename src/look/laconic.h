#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"

/* A deployment folder of laconic-so: spec.yml (what is deployed, its volumes), deployment.yml
 * (which cluster) and kind-config.yml (kind's own Cluster config, v1alpha4: what the node mounts).
 * They belong to an ordinary user, so nothing in them is believed that cannot be true. */
struct laconic_volume {
    char *name; /* "validator-ledger" */
    char *host; /* "/srv/kind/solana/ledger"; NULL: Kubernetes gives it a place */
    char *node; /* where the node has it: "/mnt/solana/ledger"; NULL like host */
    int line;   /* of spec.yml */
};
struct laconic_mount {
    char *host, *node; /* hostPath and containerPath of one of extraMounts */
    char *propagation; /* NULL: not set ("None") */
};
struct laconic {
    char *dir;       /* where it was read from; NULL after laconic_parse */
    char *cluster;   /* "laconic-70ce4c4b47e23b85" */
    char *kind_root; /* "/srv/kind"; NULL: spec.yml sets none */
    struct laconic_volume *volumes;
    size_t n_volumes;
    struct laconic_mount *mounts; /* none when there is no kind-config.yml */
    size_t n_mounts;
    bool has_kind;
    struct strlist flags; /* of spec.yml's config, words from the first that begins with "--" on */
    struct strlist notes; /* "spec.yml:3: …": what was not used, and what the files contradict
                           * each other in; for people */
};
void laconic_clear(struct laconic *l);

/* The texts of the three files; kind may be NULL. For what looks at foreign bytes only. */
struct laconic_text {
    const char *text;
    size_t n;
};
/* ERR_BADINPUT "spec.yml:4: …": not YAML of the kind that laconic-so takes, a path that is relative
 * to nothing or has "..", a name that is none, an unknown key that looks like a mistyped one. */
struct err *laconic_parse(struct laconic_text spec, struct laconic_text deployment,
                          const struct laconic_text *kind, struct laconic *ret) MUST_CHECK;
/* Reads a folder below ctx->root. ERR_NOTFOUND: no such folder, or no spec.yml or deployment.yml in
 * it; ERR_REFUSED: one of the files is a symbolic link or no regular file (they are a user's, and
 * we may be root); ERR_BADINPUT; ERR_SYS. */
struct err *laconic_load(struct ctx *ctx, const char *dir, struct laconic *ret) MUST_CHECK;
/* The deployment folders below /srv/deployments: those that have a spec.yml and a deployment.yml.
 * ERR_SYS. */
struct err *laconic_find(struct ctx *ctx, struct strlist *ret) MUST_CHECK;

/* Names that laconic-so gives; to be freed. */
char *laconic_namespace(const struct laconic *l);
char *laconic_deployment(const struct laconic *l);
char *laconic_node(const struct laconic *l);
const struct laconic_volume *laconic_volume(const struct laconic *l, const char *name);
