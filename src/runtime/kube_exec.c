/* Credential plugins. What such a program prints is a secret: it is held in struct secret and its
 * text is wiped. It is run as who named it, never with more rights than that user has. */
#include "runtime/kube_exec.h"

#include <unistd.h>

#include "base/json.h"
#include "io/clock.h"
#include "io/proc.h"
#include "runtime/fields.h"
#include "runtime/kubeconfig_files.h"

#define OUT_MAX_B (256u << 10)
#define MARGIN_S  10
#define TOKEN_MAX (64u << 10)

void kube_credentials_clear(struct kube_credentials *c)
{
    free(c->cert);
    secret_free(c->key);
    secret_free(c->token);
    *c = (struct kube_credentials){0};
}

struct kube_exec *kube_exec_free(struct kube_exec *x)
{
    if (!x)
        return NULL;
    free(x->config);
    free(x->user);
    free(x->api_version);
    free(x->command);
    strlist_clear(&x->args);
    strlist_clear(&x->env);
    free(x->hint);
    free(x->cluster);
    kube_credentials_clear(&x->now);
    free(x);
    return NULL;
}

/* ---- what it said ------------------------------------------------------------------------------
 */

static struct err *text_at(const struct json *j, const char *path, const char **ret)
{
    const struct json *member = fields_at(j, path);
    AUTO(err_freep) struct err *e = NULL;

    *ret = NULL;
    if (!member)
        return NULL;
    e = json_as_str(member, ret);
    if (e) /* its own words would show the value */
        return err_remote(0, "%s: expected a text", path);
    if (!**ret)
        *ret = NULL;
    return NULL;
}

static struct err *need_same(const struct json *j, const char *member, const char *want)
{
    const char *got;

    TRY(text_at(j, member, &got));
    if (got && str_eq(got, want))
        return NULL;
    AUTO(freep) char *shown = str_shown(got ? got : "nothing", 60);
    return err_remote(0, "expected %s '%s', got '%s'", member, want, shown);
}

static struct err *take_token(const char *text, struct secret **ret)
{
    size_t n = strlen(text);

    if (n > TOKEN_MAX)
        return err_remote(0, "status/token: more than %u bytes", TOKEN_MAX);
    for (size_t i = 0; i < n; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return err_remote(0, "status/token: not one line of plain text");
    *ret = secret_new(text, n);
    return NULL;
}

static struct err *take_certificate(const char *cert, const char *key, struct kube_credentials *c)
{
    if (!cert != !key)
        return err_remote(0, "clientCertificateData and clientKeyData need each other");
    if (!cert)
        return NULL;
    if (!strstr(cert, "-----BEGIN ") || !strstr(key, "-----BEGIN "))
        return err_remote(0, "clientCertificateData or clientKeyData is not in PEM format");
    c->cert = xstrdup(cert);
    c->cert_n = strlen(cert);
    c->key = secret_new(key, strlen(key));
    return NULL;
}

static struct err *read_status(const struct json *j, struct kube_credentials *c)
{
    const char *token, *cert, *key, *expires;

    TRY(text_at(j, "status/token", &token));
    TRY(text_at(j, "status/clientCertificateData", &cert));
    TRY(text_at(j, "status/clientKeyData", &key));
    TRY(text_at(j, "status/expirationTimestamp", &expires));
    if (token)
        TRY(take_token(token, &c->token));
    TRY(take_certificate(cert, key, c));
    if (!c->token && !c->cert)
        return err_remote(0, "neither a token nor a certificate");
    if (expires)
        TRY_CTX(time_parse(expires, &c->expires_at), "status/expirationTimestamp");
    return NULL;
}

/* The texts of the tree are ours to overwrite: nobody else looks at them again. */
static void wipe(const struct json *j, const char *path)
{
    const char *text = NULL;
    struct err *e = text_at(j, path, &text);

    err_free(e);
    if (text)
        secret_wipe((void *)(uintptr_t)text, strlen(text));
}

struct err *kube_exec_parse(const char *text, size_t n, const char *api_version,
                            struct kube_credentials *ret)
{
    AUTO(kube_credentials_clear) struct kube_credentials c = {0};
    AUTO(json_freep) struct json *j = NULL;
    struct err *e;

    TRY(json_parse(text, n, &j));
    e = need_same(j, "kind", "ExecCredential");
    if (!e)
        e = need_same(j, "apiVersion", api_version);
    if (!e)
        e = read_status(j, &c);
    wipe(j, "status/token");
    wipe(j, "status/clientKeyData");
    TRY(e);
    *ret = c;
    c = (struct kube_credentials){0};
    return NULL;
}

/* ---- running it --------------------------------------------------------------------------------
 */

struct run {
    struct user_entry who;
    struct proc_user as;
    bool other; /* not as we are */
    char *program;
    struct strlist argv, env;
};

static void run_clear(struct run *r)
{
    user_entry_clear(&r->who);
    free(r->program);
    strlist_clear(&r->argv);
    strlist_clear(&r->env);
}

/* Root takes the place of the file's owner; nobody else can. */
static struct err *choose_user(struct ctx *ctx, const struct kube_exec *x, struct run *r)
{
    uid_t me = geteuid(), runs = x->owner;

    if (x->owner != me && x->owner != 0 && me != 0)
        return err_new(ERR_REFUSED,
                       "%s: the program '%s' of user '%s' is not run: the file belongs to user %u",
                       x->config, x->command, x->user, x->owner);
    if (me != 0)
        runs = me;
    r->other = runs != me;
    TRY_CTX(user_look(ctx, runs, &r->who), "the owner of '%s'", x->config);
    r->as = (struct proc_user){.uid = runs, .gid = r->who.gid};
    return NULL;
}

static bool is_program(const char *path)
{
    return access(path, X_OK) == 0;
}

/* Another user's PATH is not known: the usual places, and the two in its home. */
static struct err *find_program(struct ctx *ctx, const struct kube_exec *x, struct run *r,
                                const char *path)
{
    struct err *e = NULL;

    if (*x->command == '/') {
        r->program = xstrdup(x->command);
    } else if (!r->other) {
        e = proc_find(ctx, x->command, &r->program);
    } else {
        for (const char *p = path; *p && !r->program; p += strspn(p, ":")) {
            size_t n = strcspn(p, ":");
            AUTO(freep) char *there = xasprintf("%.*s/%s", (int)n, p, x->command);

            if (is_program(there))
                r->program = TAKE(there);
            p += n;
        }
    }
    if (!e && r->program)
        return NULL;
    err_free(e);
    AUTO(freep) char *hint = x->hint ? str_shown(x->hint, 300) : NULL;
    return err_new(ERR_ABSENT, "%s: user '%s' needs the program '%s', which is not there%s%s",
                   x->config, x->user, x->command, hint ? "; " : "", hint ? hint : "");
}

/* What the kubeconfig sets goes before. */
static void set_env(struct run *r, const char *name, const char *value)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < r->env.n; i++)
        if (strncmp(r->env.items[i], name, n) == 0 && r->env.items[i][n] == '=')
            return;
    strlist_addf(&r->env, "%s=%s", name, value);
}

static struct err *prepare(struct ctx *ctx, const struct kube_exec *x, struct run *r)
{
    static const char usual[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    TRY(choose_user(ctx, x, r));
    AUTO(freep)
    char *path = xasprintf("%s:%s/.local/bin:%s/bin", usual, r->who.home, r->who.home);
    TRY(find_program(ctx, x, r, path));
    strlist_add(&r->argv, r->program);
    for (size_t i = 0; i < x->args.n; i++)
        strlist_add(&r->argv, x->args.items[i]);
    for (size_t i = 0; i < x->env.n; i++)
        strlist_add(&r->env, x->env.items[i]);
    set_env(r, "PATH", path);
    set_env(r, "HOME", r->who.home);
    set_env(r, "USER", r->who.name);
    set_env(r, "LOGNAME", r->who.name);
    set_env(r, "LC_ALL", "C");
    strlist_addf(&r->env,
                 "KUBERNETES_EXEC_INFO={\"kind\":\"ExecCredential\",\"apiVersion\":\"%s\","
                 "\"spec\":{\"interactive\":false%s%s}}",
                 x->api_version, x->cluster ? ",\"cluster\":" : "", x->cluster ? x->cluster : "");
    return NULL;
}

/* Its last line is for the operator; it is the program's business that it is no secret. */
static struct err *failed(const struct kube_exec *x, const struct proc_result *r)
{
    const char *end = r->err + r->err_n, *start;

    while (end > r->err && strchr(" \t\r\n", end[-1]))
        end--;
    for (start = end; start > r->err && start[-1] != '\n'; start--)
        ;
    AUTO(freep) char *line = xstrndup(start, (size_t)(end - start));
    AUTO(freep) char *shown = str_shown(line, 300);

    return err_remote(r->exit, "%s: the program '%s' of user '%s' gave no credentials: exit %d%s%s",
                      x->config, x->command, x->user, r->exit, *shown ? ": " : "", shown);
}

static struct err *run_it(struct ctx *ctx, const struct kube_exec *x, struct kube_credentials *ret)
{
    AUTO(run_clear) struct run run = {0};
    struct proc_result out = {0};
    struct err *e;

    TRY(prepare(ctx, x, &run));
    const struct proc_spec spec = {
        .path = run.program,
        .argv = (const char *const *)run.argv.items,
        .env = (const char *const *)run.env.items,
        .as = run.other ? &run.as : NULL,
        .out_max_b = OUT_MAX_B,
        .timeout_s = KUBE_EXEC_S,
    };
    TRY_CTX(ctx->proc->run(ctx, &spec, &out), "%s: the credentials of user '%s'", x->config,
            x->user);
    if (out.exit != 0)
        e = failed(x, &out);
    else
        e = err_wrap(kube_exec_parse(out.out, out.out_n, x->api_version, ret),
                     "%s: what the program '%s' of user '%s' printed", x->config, x->command,
                     x->user);
    secret_wipe(out.out, out.out_n);
    proc_result_clear(&out);
    return e;
}

struct err *kube_exec_fresh(struct ctx *ctx, struct kube_exec *x, bool anew)
{
    struct kube_credentials got = {0};
    bool have = x->now.token || x->now.cert;

    if (have && !anew &&
        (!x->now.expires_at || x->now.expires_at > (int64_t)(clock_wall_ms(ctx) / 1000) + MARGIN_S))
        return NULL;
    TRY(run_it(ctx, x, &got));
    kube_credentials_clear(&x->now);
    x->now = got;
    return NULL;
}
