/* Kubeconfig files: a context, its cluster and its user, complete and in memory. Every text that
 * was read is wiped, since any of them may be a key; nothing of a value is in a message, only
 * names. */
#include "runtime/kubeconfig.h"

#include "base/base64.h"
#include "base/json.h"
#include "base/yaml.h"
#include "io/fsroot.h"
#include "runtime/kubeconfig_files.h"

#define NAME_SHOWN 80

struct doc {
    const char *path; /* borrowed */
    struct kube_file file;
    struct yaml_node *tree;
};
struct docs {
    struct ctx *ctx; /* NULL: no files may be read */
    struct doc *items;
    size_t n;
};

/* A cluster, a user or a context, and where it stands. */
struct part {
    const struct doc *doc;
    const struct yaml_node *map;
};

static void wipe(struct yaml_node *node)
{
    if (node->text)
        secret_wipe(node->text, strlen(node->text));
    for (size_t i = 0; i < node->n; i++)
        wipe(node->items[i]);
}

static void docs_clear(struct docs *d)
{
    for (size_t i = 0; i < d->n; i++) {
        if (d->items[i].tree)
            wipe(d->items[i].tree);
        yaml_tree_free(d->items[i].tree);
        kube_file_clear(&d->items[i].file);
    }
    free(d->items);
    *d = (struct docs){0};
}

void kube_access_clear(struct kube_access *a)
{
    free(a->path);
    free(a->context);
    free(a->cluster);
    free(a->user);
    free(a->server);
    free(a->name_space);
    free(a->ca);
    free(a->cert);
    secret_free(a->key);
    secret_free(a->token);
    kube_exec_free(a->exec);
    *a = (struct kube_access){0};
}

/* ---- the tree ----------------------------------------------------------------------------------
 */

static struct err *bad_at(const struct doc *doc, int line, const char *why)
{
    return err_new(ERR_BADINPUT, "%s:%d: %s", doc->path, line, why);
}

/* Text of a key; NULL when it is not there, null or empty: kubectl writes '' for "not set". */
static struct err *text_of(const struct part *p, const char *key, const char **ret)
{
    const struct yaml_node *node = yaml_get(p->map, key);

    *ret = NULL;
    if (!node)
        return NULL;
    if (node->kind != YAML_SCALAR) {
        AUTO(freep) char *why = xasprintf("%s: expected a text", key);

        return bad_at(p->doc, node->line, why);
    }
    if (*node->text && (node->quoted || (!str_eq(node->text, "null") && !str_eq(node->text, "~"))))
        *ret = node->text;
    return NULL;
}

/* Something that needs a program or a way that is not here. */
static struct err *not_supported(const struct part *p, const char *key, const char *instead)
{
    const struct yaml_node *node = yaml_get(p->map, key);

    if (!node || (node->kind == YAML_SCALAR && (!*node->text || str_eq(node->text, "null"))))
        return NULL;
    return err_new(ERR_ABSENT, "%s:%d: '%s' is not supported; %s", p->doc->path, node->key_line,
                   key, instead);
}

/* The map below singular of the entry with that name in the list plural, in the first file that has
 * it; map NULL: none has it. */
static struct err *find_in(const struct doc *doc, const char *plural, const char *singular,
                           const char *name, struct part *ret)
{
    const struct yaml_node *list = yaml_get(doc->tree, plural);

    for (size_t i = 0; list && list->kind == YAML_LIST && i < list->n; i++) {
        const struct yaml_node *entry = list->items[i];
        const struct yaml_node *own = entry->kind == YAML_MAP ? yaml_get(entry, "name") : NULL;

        if (!own || own->kind != YAML_SCALAR || !str_eq(own->text, name))
            continue;
        if (ret->map)
            return bad_at(doc, own->line, "a second entry of the same name");
        *ret = (struct part){.doc = doc, .map = yaml_get(entry, singular)};
        if (!ret->map || ret->map->kind != YAML_MAP) {
            AUTO(freep) char *why = xasprintf("expected a map '%s'", singular);

            return bad_at(doc, entry->line, why);
        }
    }
    return NULL;
}

static struct err *find(const struct docs *d, const char *plural, const char *singular,
                        const char *name, struct part *ret)
{
    *ret = (struct part){0};
    for (size_t i = 0; i < d->n && !ret->map; i++)
        TRY(find_in(&d->items[i], plural, singular, name, ret));
    return NULL;
}

/* ---- certificates and keys ---------------------------------------------------------------------
 */

/* What a key names: its "-data" in base64, else the file. *ret NULL: neither is there. */
static struct err *bytes_of(const struct docs *d, const struct part *p, const char *key,
                            bool is_public, struct secret **ret, bool *ret_loose)
{
    AUTO(freep) char *data_key = xasprintf("%s-data", key);
    AUTO(kube_file_clear) struct kube_file file = {0};
    const char *data, *name;

    TRY(text_of(p, data_key, &data));
    if (data) {
        *ret_loose = p->doc->file.loose;
        return err_wrap(base64_decode(data, strlen(data), ret), "%s:%d: %s", p->doc->path,
                        yaml_get(p->map, data_key)->line, data_key);
    }
    TRY(text_of(p, key, &name));
    if (!name)
        return NULL;
    const char *slash = strrchr(p->doc->path, '/');
    AUTO(freep)
    char *path = *name == '/' || !slash
                     ? xstrdup(name)
                     : xasprintf("%.*s/%s", (int)(slash - p->doc->path), p->doc->path, name);
    if (!d->ctx)
        return err_new(ERR_NOTFOUND, "%s:%d: %s: no files here", p->doc->path, p->map->line, key);
    TRY_CTX(kube_file_read_named(d->ctx, path, p->doc->file.uid, is_public, &file), "%s: %s",
            p->doc->path, key);
    *ret_loose = file.loose;
    *ret = secret_new(file.text, file.n);
    return NULL;
}

static struct err *pem_of(const struct docs *d, const struct part *p, const char *key,
                          bool is_public, struct secret **ret, bool *ret_loose)
{
    AUTO(secret_freep) struct secret *pem = NULL;
    bool loose = false;

    TRY(bytes_of(d, p, key, is_public, &pem, &loose));
    if (!pem)
        return NULL;
    if (memchr(secret_bytes(pem), 0, secret_n(pem)) || !strstr(secret_bytes(pem), "-----BEGIN "))
        return err_new(ERR_BADINPUT, "%s: %s: not in PEM format", p->doc->path, key);
    if (strstr(secret_bytes(pem), "ENCRYPTED"))
        return err_new(ERR_ABSENT,
                       "%s: %s: encrypted keys are not supported; give one without a password",
                       p->doc->path, key);
    *ret = TAKE(pem);
    *ret_loose |= loose;
    return NULL;
}

/* A certificate is no secret: a plain text. */
static struct err *cert_of(const struct docs *d, const struct part *p, const char *key,
                           bool any_owner, char **ret, size_t *ret_n)
{
    AUTO(secret_freep) struct secret *pem = NULL;
    bool ignored = false;

    TRY(pem_of(d, p, key, any_owner, &pem, &ignored));
    if (!pem)
        return NULL;
    *ret = xstrdup(secret_bytes(pem));
    *ret_n = secret_n(pem);
    return NULL;
}

/* ---- cluster and user --------------------------------------------------------------------------
 */

static bool is_loopback(const char *host)
{
    size_t n = strcspn(host, ":/");

    if (str_starts(host, "[::1]"))
        return true;
    if (n == 9 && strncmp(host, "localhost", n) == 0)
        return true;
    return str_starts(host, "127.") && strspn(host, "0123456789.") == n;
}

static struct err *read_server(const struct part *p, struct kube_access *a)
{
    const char *server;
    size_t n;

    TRY(text_of(p, "server", &server));
    if (!server)
        return bad_at(p->doc, p->map->line, "the cluster has no server");
    n = strlen(server);
    while (n && server[n - 1] == '/')
        n--;
    for (size_t i = 0; i < n; i++)
        if (server[i] <= ' ' || server[i] > '~' || strchr("?#@\\", server[i]))
            return bad_at(p->doc, yaml_get(p->map, "server")->line, "server: not a plain URL");
    if (!str_starts(server, "https://") &&
        !(str_starts(server, "http://") && is_loopback(server + 7)))
        return bad_at(p->doc, yaml_get(p->map, "server")->line,
                      "server: must begin with https:// (plain http only to this host)");
    a->server = xstrndup(server, n);
    return NULL;
}

static struct err *read_cluster(const struct docs *d, const struct part *p, struct kube_access *a)
{
    const char *insecure;

    TRY(text_of(p, "insecure-skip-tls-verify", &insecure));
    if (insecure && !str_eq(insecure, "false"))
        return err_new(ERR_REFUSED,
                       "%s:%d: insecure-skip-tls-verify is refused: anyone could answer; put the "
                       "cluster's certificate-authority-data in its place",
                       p->doc->path, yaml_get(p->map, "insecure-skip-tls-verify")->line);
    TRY(not_supported(p, "proxy-url", "give a server that is reached directly"));
    TRY(not_supported(p, "tls-server-name", "give a server whose certificate has its name"));
    TRY(read_server(p, a));
    return cert_of(d, p, "certificate-authority", true, &a->ca, &a->ca_n);
}

/* A file goes before the text, as kubectl has it. */
static struct err *read_token(const struct docs *d, const struct part *p, struct kube_access *a)
{
    AUTO(secret_freep) struct secret *bytes = NULL;
    const char *token, *file, *text;
    size_t n;

    TRY(text_of(p, "token", &token));
    TRY(text_of(p, "tokenFile", &file));
    if (file) {
        TRY(bytes_of(d, p, "tokenFile", false, &bytes, &a->loose));
    } else if (token) {
        bytes = secret_new(token, strlen(token));
        a->loose |= p->doc->file.loose;
    }
    if (!bytes)
        return NULL;
    text = secret_bytes(bytes);
    n = secret_n(bytes);
    while (n && strchr(" \t\r\n", text[n - 1]))
        n--;
    for (size_t i = 0; i < n; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return err_new(ERR_BADINPUT, "%s: the token is not one line of plain text",
                           p->doc->path);
    if (n == 0)
        return err_new(ERR_BADINPUT, "%s: the token is empty", p->doc->path);
    a->token = secret_new(text, n);
    return NULL;
}

/* ---- a program that gives credentials ----------------------------------------------------------
 */

static struct err *read_args(const struct part *p, struct kube_exec *x)
{
    const struct yaml_node *args = yaml_get(p->map, "args");

    if (!args || (args->kind == YAML_SCALAR && !args->quoted && str_eq(args->text, "null")))
        return NULL;
    if (args->kind != YAML_LIST)
        return bad_at(p->doc, args->line, "args: expected a list");
    for (size_t i = 0; i < args->n; i++) {
        if (args->items[i]->kind != YAML_SCALAR)
            return bad_at(p->doc, args->items[i]->line, "args: expected texts");
        strlist_add(&x->args, args->items[i]->text);
    }
    return NULL;
}

static struct err *read_env(const struct part *p, struct kube_exec *x)
{
    const struct yaml_node *env = yaml_get(p->map, "env");

    if (!env || (env->kind == YAML_SCALAR && !env->quoted && str_eq(env->text, "null")))
        return NULL;
    if (env->kind != YAML_LIST)
        return bad_at(p->doc, env->line, "env: expected a list");
    for (size_t i = 0; i < env->n; i++) {
        const struct part one = {.doc = p->doc, .map = env->items[i]};
        const char *name = NULL, *value = NULL;

        if (one.map->kind == YAML_MAP) {
            TRY(text_of(&one, "name", &name));
            TRY(text_of(&one, "value", &value));
        }
        if (!name || strchr(name, '='))
            return bad_at(p->doc, env->items[i]->line, "env: expected a name and a value");
        strlist_addf(&x->env, "%s=%s", name, value ? value : "");
    }
    return NULL;
}

/* Of these two the answer has the same members. */
static struct err *read_version(const struct part *p, struct kube_exec *x)
{
    static const char group[] = "client.authentication.k8s.io/";
    const char *text, *mode;

    TRY(text_of(p, "apiVersion", &text));
    if (!text || !str_starts(text, group) ||
        (!str_eq(text + strlen(group), "v1") && !str_eq(text + strlen(group), "v1beta1")))
        return err_new(ERR_ABSENT,
                       "%s:%d: exec: its apiVersion is not supported; use "
                       "client.authentication.k8s.io/v1",
                       p->doc->path, p->map->line);
    x->api_version = xstrdup(text);
    TRY(text_of(p, "interactiveMode", &mode));
    if (mode && str_eq(mode, "Always"))
        return err_new(
            ERR_ABSENT,
            "%s:%d: exec: a program that needs a terminal is not supported; use a client "
            "certificate or a token",
            p->doc->path, yaml_get(p->map, "interactiveMode")->line);
    return NULL;
}

/* A name with a slash is from the kubeconfig's folder. */
static struct err *read_command(const struct part *p, struct kube_exec *x)
{
    const char *command, *hint, *slash = strrchr(p->doc->path, '/');

    TRY(text_of(p, "command", &command));
    TRY(text_of(p, "installHint", &hint));
    if (!command)
        return bad_at(p->doc, p->map->line, "exec: no command");
    x->command = *command != '/' && strchr(command, '/') && slash
                     ? xasprintf("%.*s/%s", (int)(slash - p->doc->path), p->doc->path, command)
                     : xstrdup(command);
    x->hint = hint ? xstrdup(hint) : NULL;
    return NULL;
}

static struct err *read_cluster_info(const struct part *p, const struct kube_access *a,
                                     struct kube_exec *x)
{
    AUTO(json_freep) struct json *cluster = json_new_object();
    AUTO(freep) char *ca = a->ca ? base64_encode(a->ca, a->ca_n) : NULL;
    const char *wanted;

    TRY(text_of(p, "provideClusterInfo", &wanted));
    if (!wanted || !str_eq(wanted, "true"))
        return NULL;
    json_put(cluster, "server", json_new_str(a->server));
    if (ca)
        json_put(cluster, "certificate-authority-data", json_new_str(ca));
    x->cluster = json_text(cluster, false);
    return NULL;
}

static void exec_freep(struct kube_exec **x)
{
    *x = kube_exec_free(*x);
}

static struct err *read_exec(const struct part *user, struct kube_access *a)
{
    AUTO(exec_freep) struct kube_exec *x = NULL;
    const struct part p = {.doc = user->doc, .map = yaml_get(user->map, "exec")};

    if (!p.map || (p.map->kind == YAML_SCALAR && !*p.map->text))
        return NULL;
    if (p.map->kind == YAML_SCALAR && !p.map->quoted && str_eq(p.map->text, "null"))
        return NULL;
    if (p.map->kind != YAML_MAP)
        return bad_at(p.doc, p.map->line, "exec: expected a map");
    if (a->cert || a->token)
        return bad_at(p.doc, p.map->line, "exec beside a certificate or a token: only one counts");
    x = xcalloc(1, sizeof(*x));
    x->config = xstrdup(p.doc->path);
    x->user = xstrdup(a->user);
    x->owner = p.doc->file.uid;
    TRY(read_version(&p, x));
    TRY(read_command(&p, x));
    TRY(read_args(&p, x));
    TRY(read_env(&p, x));
    TRY(read_cluster_info(&p, a, x));
    a->exec = TAKE(x);
    return NULL;
}

static struct err *read_user(const struct docs *d, const struct part *p, struct kube_access *a)
{
    static const char instead[] = "use a client certificate or a token";

    TRY(not_supported(p, "auth-provider", instead));
    TRY(not_supported(p, "username", instead));
    TRY(not_supported(p, "password", instead));
    TRY(not_supported(p, "as", "use the credentials of that user"));
    TRY(cert_of(d, p, "client-certificate", false, &a->cert, &a->cert_n));
    TRY(pem_of(d, p, "client-key", false, &a->key, &a->loose));
    if (!a->cert != !a->key)
        return bad_at(p->doc, p->map->line, "client-certificate and client-key need each other");
    TRY(read_token(d, p, a));
    return read_exec(p, a);
}

/* ---- a context ---------------------------------------------------------------------------------
 */

static struct err *current_context(const struct docs *d, const char **ret, const struct doc **ret_d)
{
    *ret = NULL;
    for (size_t i = 0; i < d->n && !*ret; i++) {
        const struct part top = {.doc = &d->items[i], .map = d->items[i].tree};

        TRY(text_of(&top, "current-context", ret));
        *ret_d = top.doc;
    }
    if (!*ret)
        return err_new(ERR_BADINPUT,
                       "%s: no current-context; set one with 'kubectl config use-context NAME'",
                       d->items[0].path);
    return NULL;
}

static struct err *find_context(const struct docs *d, const char *wanted, struct part *ret,
                                const char **ret_name)
{
    const struct doc *from = &d->items[0];
    const char *name = wanted;

    if (!name)
        TRY(current_context(d, &name, &from));
    TRY(find(d, "contexts", "context", name, ret));
    if (!ret->map) {
        AUTO(freep) char *shown = str_shown(name, NAME_SHOWN);

        return err_new(wanted ? ERR_NOTFOUND : ERR_BADINPUT, "%s: there is no context '%s'%s",
                       from->path, shown, wanted ? "" : ", which is its current-context");
    }
    *ret_name = name;
    return NULL;
}

/* The part that a context names by key. */
static struct err *follow(const struct docs *d, const struct part *context, const char *key,
                          const char *plural, struct part *ret, char **ret_name)
{
    const char *name;

    TRY(text_of(context, key, &name));
    if (!name) {
        AUTO(freep) char *why = xasprintf("the context names no %s", key);

        return bad_at(context->doc, context->map->line, why);
    }
    TRY(find(d, plural, key, name, ret));
    if (!ret->map) {
        AUTO(freep) char *shown = str_shown(name, NAME_SHOWN);
        AUTO(freep) char *why = xasprintf("there is no %s '%s'", key, shown);

        return bad_at(context->doc, yaml_get(context->map, key)->line, why);
    }
    *ret_name = xstrdup(name);
    return NULL;
}

static struct err *resolve(const struct docs *d, const char *wanted, struct kube_access *ret)
{
    AUTO(kube_access_clear) struct kube_access a = {0};
    struct part context, cluster, user;
    const char *name, *name_space;

    TRY(find_context(d, wanted, &context, &name));
    a.path = xstrdup(context.doc->path);
    a.context = xstrdup(name);
    TRY(text_of(&context, "namespace", &name_space));
    a.name_space = name_space ? xstrdup(name_space) : NULL;
    TRY(follow(d, &context, "cluster", "clusters", &cluster, &a.cluster));
    TRY(follow(d, &context, "user", "users", &user, &a.user));
    TRY(read_cluster(d, &cluster, &a));
    TRY(read_user(d, &user, &a));
    *ret = a;
    a = (struct kube_access){0};
    return NULL;
}

/* ---- files -------------------------------------------------------------------------------------
 */

static struct err *parse_doc(struct doc *doc, const char *text, size_t n)
{
    struct part top = {.doc = doc};
    const char *kind;

    TRY(yaml_parse(text, n, doc->path, &doc->tree));
    top.map = doc->tree;
    if (doc->tree->kind != YAML_MAP)
        return bad_at(doc, 1, "not a kubeconfig");
    TRY(text_of(&top, "kind", &kind));
    if (kind && !str_eq(kind, "Config"))
        return bad_at(doc, yaml_get(doc->tree, "kind")->line, "not a kubeconfig: kind is another");
    return NULL;
}

struct err *kubeconfig_parse(const char *text, size_t n, const char *name, const char *context,
                             struct kube_access *ret)
{
    AUTO(docs_clear) struct docs d = {.items = xcalloc(1, sizeof(*d.items)), .n = 1};

    d.items[0].path = name;
    TRY(parse_doc(&d.items[0], text, n));
    return resolve(&d, context, ret);
}

struct err *kubeconfig_load(struct ctx *ctx, const struct kubeconfig_paths *paths,
                            const char *context, struct kube_access *ret)
{
    AUTO(kube_access_clear) struct kube_access a = {0};
    AUTO(docs_clear) struct docs d = {.ctx = ctx};

    d.items = xcalloc(paths->files.n + 1, sizeof(*d.items));
    for (size_t i = 0; i < paths->files.n; i++) {
        struct doc *doc = &d.items[d.n];
        struct err *e;

        doc->path = paths->files.items[i];
        e = kube_file_read(ctx, doc->path, &doc->file);
        if (e && e->kind == ERR_NOTFOUND) {
            err_free(e); /* another may be there */
            continue;
        }
        TRY(e);
        d.n++;
        TRY(parse_doc(doc, doc->file.text, doc->file.n));
    }
    if (d.n == 0)
        return err_new(ERR_ABSENT, "no kubeconfig: '%s', given by %s, is not there",
                       paths->files.n ? paths->files.items[0] : "", paths->from);
    TRY(resolve(&d, context, &a));
    if (a.exec)
        TRY(kube_exec_fresh(ctx, a.exec, false));
    *ret = a;
    a = (struct kube_access){0};
    return NULL;
}
