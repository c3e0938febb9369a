/* agavectl config init: a config for this host, from what is found on it. Writes one file at most,
 * and never over another one. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "cmd/choose.h"
#include "cmd/commands.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "look/discover.h"

#define CONFIG_MAX_B (1 << 20)

struct init_opts {
    const char *deployment_dir, *kubeconfig, *root;
    bool write, force;
};

static const char *init_captured(const void *opts)
{
    const struct init_opts *o = opts;

    return o->root;
}

static const struct opt init_options[] = {
    {.type = OPT_STR,
     .lng = "deployment-dir",
     .arg = "DIR",
     .help = "laconic-so's deployment folder",
     .offset = offsetof(struct init_opts, deployment_dir)},
    {.type = OPT_STR,
     .lng = "kubeconfig",
     .arg = "FILE",
     .help = "the kubeconfig to name in the config",
     .offset = offsetof(struct init_opts, kubeconfig)},
    {.type = OPT_FLAG,
     .lng = "write",
     .help = "write it to " CONFIG_ETC,
     .offset = offsetof(struct init_opts, write)},
    {.type = OPT_FLAG,
     .lng = "force",
     .help = "with --write: replace the one that is there, and keep a copy of it",
     .offset = offsetof(struct init_opts, force)},
    {.type = OPT_STR,
     .lng = "root",
     .arg = "DIR",
     .help = "look at the captured host in this folder, not at this machine",
     .offset = offsetof(struct init_opts, root)},
    {0},
};

/* The old config under a name with the time in it, which nothing has yet. */
static struct err *keep_copy(struct ctx *ctx, const char *text, size_t n, char **ret)
{
    time_t now = (time_t)(clock_wall_ms(ctx) / 1000);
    AUTO(freep) char *path = NULL;
    struct stat st;
    struct tm tm;
    char when[32];

    gmtime_r(&now, &tm);
    strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm);
    path = xasprintf(CONFIG_ETC ".%s", when);
    struct err *e = fsroot_stat(ctx->root, path, &st);
    if (!e)
        return err_new(ERR_REFUSED, "'%s' is there already; try again in a second", path);
    if (e->kind != ERR_NOTFOUND)
        return e;
    err_free(e);
    TRY(fsroot_write_atomic(ctx->root, path, text, n, 0644));
    *ret = TAKE(path);
    return NULL;
}

/* *ret_copy NULL: there was nothing to keep. */
static struct err *write_config(struct ctx *ctx, const char *text, bool force, char **ret_copy)
{
    AUTO(freep) char *old = NULL;
    size_t n = 0;
    struct err *e = fsroot_read(ctx->root, CONFIG_ETC, CONFIG_MAX_B, &old, &n);

    *ret_copy = NULL;
    if (!e && !force)
        return err_new(ERR_REFUSED,
                       "'%s' is there already; nothing was written; --force keeps a "
                       "copy of it",
                       CONFIG_ETC);
    if (!e)
        TRY(keep_copy(ctx, old, n, ret_copy));
    else if (e->kind != ERR_NOTFOUND)
        return e;
    err_free(e);
    TRY(fsroot_mkdirs(ctx->root, "/etc/agavectl", 0755));
    return fsroot_write_atomic(ctx->root, CONFIG_ETC, text, strlen(text), 0644);
}

static struct err *check_options(const struct init_opts *o)
{
    if (o->force && !o->write)
        return err_new(ERR_BADINPUT, "'--force' is for '--write'");
    if (o->write && o->root)
        return err_new(ERR_BADINPUT, "'--write' and '--root' exclude each other: nothing is "
                                     "changed on a captured host");
    if (o->write && geteuid() != 0)
        return err_new(ERR_REFUSED, "writing '%s' needs root; run it with sudo", CONFIG_ETC);
    return NULL;
}

static void answer(const struct discovery *d, const char *text, const struct init_opts *o,
                   const char *copy, struct out *out)
{
    if (out->json) {
        struct json *doc = answer_new();

        json_put(doc, "file", json_new_str(o->write ? CONFIG_ETC : NULL));
        json_put(doc, "copy", json_new_str(copy));
        discovery_json(d, doc);
        out_json(out, doc);
        return;
    }
    if (!o->write) {
        out_printf(out, "%s", text);
        return;
    }
    if (copy)
        out_printf(out, "%s: what was there before\n", copy);
    out_printf(out, "%s: written; look through it, then 'agavectl check'\n", CONFIG_ETC);
}

static struct err *config_init_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                                   struct out *out)
{
    const struct init_opts *o = opts;
    struct discover_opts how = {.deployment_dir = o->deployment_dir, .kubeconfig = o->kubeconfig};
    AUTO(discovery_freep) struct discovery *d = NULL;
    AUTO(freep) char *copy = NULL;

    TRY(check_options(o));
    if (!o->root) { /* a captured host has an environment of its own */
        how.env_kubeconfig = getenv("KUBECONFIG");
        how.sudo_uid = getenv("SUDO_UID");
    }
    TRY(discover(ctx, &how, &d));
    AUTO(freep) char *text = discovery_yaml(d);
    if (o->write)
        TRY(write_config(ctx, text, o->force, &copy));
    const struct strlist *remarks = discovery_remarks(d);
    for (size_t i = 0; i < remarks->n; i++) {
        AUTO(freep) char *shown = str_shown(remarks->items[i], 500);
        log_note("note: %s", shown);
    }
    answer(d, text, o, copy, out);
    return NULL;
}

const struct cmd cmd_config_init = {
    .name = "init",
    .summary = "make a config from what is found on this host",
    .usage = "",
    .detail =
        "Looks for a validator: one that runs (its arguments, folders and user), laconic-so's "
        "deployment folder (spec.yml, deployment.yml, kind-config.yml), a systemd unit, the mounts "
        "and devices behind the folders and how large they are, a kubeconfig. Prints a config of what differs from the "
        "defaults: each key with where it comes from, what contradicts it (what runs wins), and "
        "what could not be found. 'agavectl config check' takes it.\n\n"
        "The deployment folder is --deployment-dir, else the config's laconic.deployment_dir, else "
        "the only one below /srv/deployments. The kubeconfig is --kubeconfig, else KUBECONFIG, "
        "else the config's, else the one in the home of sudo's caller, or of the deployment "
        "folder's owner.\n\n"
        "Nothing is changed without --write, and no config is ever overwritten: with --force the "
        "one that is there is kept under a name with the time in it. Of the identity only the "
        "path is looked at; the environment of the validator is not, since it may hold secrets.",
    .example = "sudo agavectl config init > agavectl.yaml",
    .flags = CMD_CONFIG_MAYBE | CMD_JSON,
    .opts = init_options,
    .opts_size = sizeof(struct init_opts),
    .captured = init_captured,
    .run = config_init_run,
};
