#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "base/json.h"

/* What a config for this host would say, found on the host itself: laconic-so's deployment folder,
 * a validator that runs, a systemd unit, the mounts and the devices behind its folders. Reads only;
 * works on a captured host. */
struct discover_opts {
    const char *deployment_dir; /* NULL: ctx->cfg's, else looked for below /srv/deployments */
    const char *kubeconfig;     /* --kubeconfig, or NULL */
    const char *env_kubeconfig; /* KUBECONFIG, or NULL */
    const char *sudo_uid;       /* SUDO_UID, or NULL */
};
struct discovery;
/* A fact has one value: that of the first source in the order validator that runs, unit, deployment
 * folder, files; what the others say instead is kept as a contradiction. ERR_NOTFOUND: there is no
 * trace of a validator; ERR_BADINPUT, ERR_REFUSED: a source that was found cannot be believed (see
 * look/laconic.h), or what was found cannot be one config; ERR_SYS. */
struct err *discover(struct ctx *ctx, const struct discover_opts *opts, struct discovery **ret)
    MUST_CHECK;
struct discovery *discovery_free(struct discovery *d); /* NULL is fine; returns NULL */
void discovery_freep(struct discovery **d);

/* The config: the keys that differ from their defaults, each with where it comes from, what
 * contradicts it, and what could not be found as comments. config_parse takes it. To be freed. */
char *discovery_yaml(const struct discovery *d);
/* Puts keys {name: {value, origin}}, contradictions, missing, notes and yaml into an object. */
void discovery_json(const struct discovery *d, struct json *to);
/* The contradictions and notes, one a line, for stderr. */
const struct strlist *discovery_remarks(const struct discovery *d);
