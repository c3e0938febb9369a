/* Discovery: asks the sources one after the other, the one that says most about what really runs
 * first, and looks where the folders that they name are. */
#include "look/discover.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/fsroot.h"
#include "look/discover_parts.h"
#include "runtime/kubeconfig.h"

static void asking_clear(struct asking *a)
{
    mounts_clear(&a->host);
    laconic_clear(&a->laconic);
    fstab_clear(&a->fstab);
    free(a->cgroup);
}

const char *asking_kind_root(const struct asking *a)
{
    const char *root = a->laconic.kind_root ? a->laconic.kind_root : a->d->cfg->storage.kind_root;

    return *root ? root : NULL;
}

/* What fstab binds at boot below the kind root is where its source is. */
static char *bound_from(const struct asking *a, const char *path)
{
    for (size_t i = 0; i < a->fstab.n; i++) {
        const struct fstab_entry *f = &a->fstab.items[i];
        size_t n = strlen(f->target);

        if ((fstab_option(f, "bind", NULL) || fstab_option(f, "rbind", NULL)) &&
            strncmp(path, f->target, n) == 0 && (path[n] == '/' || !path[n]))
            return xasprintf("%s%s", f->spec, path + n);
    }
    return NULL;
}

char *asking_place(const struct asking *a, const char *path)
{
    const char *root = asking_kind_root(a);
    char *place = place_on_host(&a->host, &a->host, path, root);
    size_t n = root ? strlen(root) : 0;

    if (place && !(root && strncmp(place, root, n) == 0 && place[n] == '/'))
        return place;
    free(place);
    place = bound_from(a, path);
    return place ? place : xstrdup(path);
}

/* One public RPC node is known of each public cluster: better than none, and not enough. */
static void found_references(struct discovery *d)
{
    static const struct {
        const char *genesis, *suffix, *url;
    } clusters[] = {
        {"5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d",
         ".mainnet-beta.solana.com:", "https://api.mainnet-beta.solana.com"},
        {NULL, ".testnet.solana.com:", "https://api.testnet.solana.com"},
        {"EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG",
         ".devnet.solana.com:", "https://api.devnet.solana.com"},
    };
    const struct config *c = d->cfg;

    for (size_t i = 0; i < ARRAY_LEN(clusters); i++) {
        bool is = str_eq(c->validator.genesis_hash, clusters[i].genesis);

        for (size_t n = 0; n < c->validator.entrypoints.n; n++)
            is |= strstr(c->validator.entrypoints.items[n], clusters[i].suffix) != NULL;
        if (!is)
            continue;
        found_text(d, "cluster.references", clusters[i].url,
                   "the cluster that it is on; add two of your own: one reference can be wrong");
        return;
    }
    not_found(d, "cluster.references", "name at least one RPC node of the cluster, better three");
}

static void found_runtime(struct asking *a)
{
    struct discovery *d = a->d;

    if (a->n_running && !a->contained)
        found_text(d, "validator.runtime", a->has_unit ? "systemd" : "process",
                   "a validator runs on the host itself");
    if (a->contained && !a->has_laconic)
        noted(d, "the validator runs in a pod, but no deployment folder was found: set runtime, "
                 "kind and kubernetes by hand, or say where it is with --deployment-dir");
    if (!is_found(d, "validator.identity") && !a->has_laconic)
        not_found(d, "validator.identity", "nothing that starts a validator names it");
    if (!is_found(d, "validator.entrypoints"))
        not_found(d, "validator.entrypoints", "nothing that starts a validator names them");
}

static struct err *found_docker(struct asking *a)
{
    struct stat st;

    if (a->has_laconic)
        return NULL;
    struct err *e = fsroot_stat(a->ctx->root, a->d->cfg->docker.socket, &st);
    if (!e || e->kind != ERR_NOTFOUND)
        return e;
    err_free(e);
    found_text(a->d, "docker.socket", "", "no Docker on this host");
    return NULL;
}

/* Only its place: what is in it is read when it is used. */
static struct err *found_kubeconfig(struct asking *a)
{
    const struct config *c = a->ctx->cfg;
    const struct kubeconfig_places where = {
        .flag = a->opts->kubeconfig,
        .env = a->opts->env_kubeconfig,
        .config = c && *c->kubernetes.kubeconfig ? c->kubernetes.kubeconfig : NULL,
        .sudo_uid = a->opts->sudo_uid,
        .deployment = a->has_laconic ? a->laconic.dir : NULL,
    };
    AUTO(kubeconfig_paths_clear) struct kubeconfig_paths paths = {0};

    if (!a->has_laconic && !where.flag)
        return NULL;
    struct err *e = kubeconfig_find(a->ctx, &where, &paths);
    if (e && e->kind == ERR_ABSENT) {
        not_found(a->d, "kubernetes.kubeconfig", "%s", e->text);
        return err_free(e);
    }
    TRY(e);
    found_text(a->d, "kubernetes.kubeconfig", paths.files.items[0], paths.from);
    if (paths.files.n > 1)
        noted(a->d, "KUBECONFIG names %zu files; the first is used", paths.files.n);
    return NULL;
}

static struct err *read_tables(struct asking *a)
{
    TRY(mounts_read(a->ctx, &a->host));
    struct err *e = fstab_read(a->ctx, &a->fstab);
    if (e && e->kind == ERR_BADINPUT)
        noted(a->d, "/etc/fstab was not used: %s", e->text);
    bool without = e && (e->kind == ERR_NOTFOUND || e->kind == ERR_BADINPUT);
    return without ? err_free(e) : e;
}

static struct err *ask_all(struct asking *a)
{
    if (geteuid() != 0 && !fsroot_captured(a->ctx->root))
        noted(a->d, "looked without root: folders and processes of others may be missing");
    TRY(read_tables(a));
    TRY(ask_laconic(a)); /* first: it knows where kind's copies of our folders are */
    TRY(ask_processes(a));
    TRY(ask_units(a));
    ask_deployed(a);
    if (!a->n_running && !a->has_unit && !a->has_laconic)
        return err_new(ERR_NOTFOUND, "no trace of a validator on this host: none runs, no unit "
                                     "starts one, and there is no deployment below "
                                     "/srv/deployments; begin with 'agavectl config example'");
    found_runtime(a);
    TRY(discover_storage(a));
    TRY(found_docker(a));
    TRY(found_kubeconfig(a));
    found_references(a->d);
    return NULL;
}

/* What is printed must be a config: the keys were checked one by one, now together. */
static struct err *must_hold(const struct discovery *d)
{
    AUTO(freep) char *text = discovery_yaml(d);
    AUTO(config_freep) struct config *c = NULL;

    TRY_CTX(config_parse(text, strlen(text), "found", &c),
            "what was found on this host cannot be one config");
    return NULL;
}

struct err *discover(struct ctx *ctx, const struct discover_opts *opts, struct discovery **ret)
{
    AUTO(discovery_freep) struct discovery *d = xcalloc(1, sizeof(*d));
    AUTO(asking_clear) struct asking a = {.ctx = ctx, .opts = opts, .d = d};

    d->cfg = config_defaults();
    d->origins = xcalloc(config_keys_n(), sizeof(*d->origins));
    TRY(ask_all(&a));
    TRY(must_hold(d));
    *ret = TAKE(d);
    return NULL;
}
