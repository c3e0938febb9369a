/* What laconic-so's deployment folder says, as keys of the config. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/fsroot.h"
#include "look/discover_args.h"
#include "look/discover_parts.h"
#include "runtime/kubeconfig.h"

#define SPEC "spec.yml"

static struct err *choose_deployment(struct asking *a, char **ret)
{
    const struct config *c = a->ctx->cfg;
    AUTO(strlist_clear) struct strlist all = {0};
    const char *given = a->opts->deployment_dir;

    if (!given && c && *c->laconic.deployment_dir)
        given = c->laconic.deployment_dir;
    if (given) {
        *ret = xstrdup(given);
        return NULL;
    }
    TRY(laconic_find(a->ctx, &all));
    if (all.n == 1)
        *ret = xstrdup(all.items[0]);
    if (all.n < 2)
        return NULL;
    AUTO(strbuf_clear) struct strbuf names = {0};
    for (size_t i = 0; i < all.n; i++)
        strbuf_printf(&names, "%s'%s'", i ? ", " : "", all.items[i]);
    return err_new(ERR_BADINPUT, "%zu deployment folders: %s; say which with --deployment-dir",
                   all.n, strbuf_text(&names));
}

static void found_volumes(struct asking *a, const char *spec)
{
    static const struct {
        const char *volume, *key, *file;
    } roles[] = {
        {"validator-ledger", "validator.ledger", ""},
        {"validator-snapshots", "validator.snapshots", ""},
        {"validator-accounts", "validator.accounts", ""},
        {"validator-log", "validator.log", "/validator.log"},
    };
    AUTO(strlist_clear) struct strlist all = {0};

    for (size_t i = 0; i < a->laconic.n_volumes; i++)
        if (a->laconic.volumes[i].node)
            strlist_addf(&all, "%s=%s", a->laconic.volumes[i].name, a->laconic.volumes[i].node);
    if (all.n)
        found(a->d, "kubernetes.volumes", &all, spec);
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        const struct laconic_volume *v = laconic_volume(&a->laconic, roles[i].volume);
        AUTO(freep) char *origin = v ? xasprintf("%s:%d", spec, v->line) : NULL;

        if (!v || !v->host) {
            not_found(a->d, roles[i].key, "%s has no volume '%s' with a path", spec,
                      roles[i].volume);
            continue;
        }
        AUTO(freep) char *place = asking_place(a, v->host);
        AUTO(freep) char *path = xasprintf("%s%s", place, roles[i].file);
        /* The name of the file within the log folder is only known of a validator that runs. */
        if (!*roles[i].file || !is_found(a->d, roles[i].key))
            found_text(a->d, roles[i].key, path, origin);
    }
}

/* Then each volume has a mount of its own, and nothing needs a bind. */
static void found_no_kind_root(struct discovery *d, const char *spec)
{
    AUTO(freep) char *origin = xasprintf("no kind-mount-root in %s", spec);

    found_text(d, "storage.kind_root", "", origin);
    found_text(d, "storage.bind", "", origin);
}

static void found_kind(struct asking *a, const char *spec, const char *deployment)
{
    const struct laconic *l = &a->laconic;
    AUTO(freep) char *node = laconic_node(l);
    AUTO(freep) char *name_space = laconic_namespace(l);
    AUTO(freep) char *name = laconic_deployment(l);
    AUTO(freep) char *origin = xasprintf("cluster-id of %s", deployment);

    found_text(a->d, "validator.runtime", "kubernetes", deployment);
    found_text(a->d, "kind.cluster", l->cluster, origin);
    found_text(a->d, "kind.node", node, origin);
    found_text(a->d, "kubernetes.namespace", name_space, origin);
    found_text(a->d, "kubernetes.deployment", name, origin);
    if (l->kind_root)
        found_text(a->d, "storage.kind_root", l->kind_root, spec);
    else
        found_no_kind_root(a->d, spec);
    for (size_t i = 0; l->kind_root && i < l->n_mounts; i++)
        if (str_eq(l->mounts[i].host, l->kind_root))
            found_text(a->d, "kind.mount", l->mounts[i].node, "extraMounts of kind-config.yml");
}

/* Where the deployment's owner has laconic-so: an editable install is in no PATH of root's. */
static struct err *found_laconic_bin(struct asking *a)
{
    AUTO(freep) char *home = NULL;
    AUTO(freep) char *path = NULL;
    struct stat st;

    TRY(fsroot_stat(a->ctx->root, a->laconic.dir, &st));
    TRY(user_home(a->ctx, st.st_uid, &home));
    if (!home)
        return NULL;
    path = xasprintf("%s/.local/bin/laconic-so", home);
    struct err *e = fsroot_stat(a->ctx->root, path, &st);
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    found_text(a->d, "laconic.bin", path, "the home of the deployment folder's owner");
    return NULL;
}

struct err *ask_laconic(struct asking *a)
{
    AUTO(freep) char *dir = NULL;

    TRY(choose_deployment(a, &dir));
    if (!dir) {
        if (!a->opts->deployment_dir)
            not_found(a->d, "laconic.deployment_dir", "no deployment below /srv/deployments");
        return NULL;
    }
    TRY(laconic_load(a->ctx, dir, &a->laconic));
    AUTO(freep) char *spec = xasprintf("%s/" SPEC, dir);
    AUTO(freep) char *deployment = xasprintf("%s/deployment.yml", dir);
    a->has_laconic = true;
    for (size_t i = 0; i < a->laconic.notes.n; i++)
        noted(a->d, "%s/%s", dir, a->laconic.notes.items[i]);
    found_text(a->d, "laconic.deployment_dir", dir,
               a->opts->deployment_dir ? "--deployment-dir" : "its spec.yml and deployment.yml");
    found_kind(a, spec, deployment);
    return found_laconic_bin(a);
}

/* After the process: what runs wins over what was deployed. */
void ask_deployed(struct asking *a)
{
    AUTO(freep) char *spec = a->has_laconic ? xasprintf("%s/" SPEC, a->laconic.dir) : NULL;
    AUTO(discovered_args_clear) struct discovered_args args = {0};

    if (!spec)
        return;
    found_volumes(a, spec);
    if (!a->laconic.flags.n)
        return;
    discover_args(a->laconic.flags.items, &args);
    for (size_t i = 0; i < args.n; i++)
        if (!args.values[i].path) /* paths of the container */
            found(a->d, args.values[i].key, &args.values[i].items, spec);
    if (args.rest.n && !is_found(a->d, "validator.args"))
        found(a->d, "validator.args", &args.rest, spec);
}
