/* What limits the next start gives, read from what lies on the disk, and the lines that raise them.
 * Nothing is lowered, and a file of the host's that is read behind ours keeps its word. */
#include "stage/limits_next.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/str.h"
#include "config/config.h"
#include "host/accounts.h"
#include "host/conf_files.h"
#include "host/limits_conf.h"
#include "io/fsroot.h"
#include "stage/service.h"

#define FILE_MAX_B  (1U << 20)
#define DROPIN      "50-agavectl-limits.conf"
#define LOGIN_PATH  "/etc/security/limits.d/95-agavectl.conf"
#define DAEMON_JSON "/etc/docker/daemon.json"

void limits_next_clear(struct limits_next *n)
{
    free(n->who);
    free(n->source);
    free(n->path);
    free(n->text);
    free(n->when);
    *n = (struct limits_next){0};
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* systemd-system.conf(5) of 252: the main file, then drop-ins; all into one. */
static struct err *read_manager(struct ctx *ctx, struct unit_file *ret)
{
    static const char *const mains[] = {"/etc/systemd/system.conf", "/usr/lib/systemd/system.conf"};
    static const char *const folders[] = {
        "/etc/systemd/system.conf.d", "/run/systemd/system.conf.d",
        "/usr/local/lib/systemd/system.conf.d", "/usr/lib/systemd/system.conf.d"};
    AUTO(strlist_clear) struct strlist files = {0};
    AUTO(strlist_clear) struct strlist all = {0};
    bool main_read = false;

    TRY(conf_files_find(ctx, folders, ARRAY_LEN(folders), ".conf", &files));
    for (size_t i = 0; i < ARRAY_LEN(mains); i++)
        strlist_add(&all, mains[i]);
    for (size_t i = 0; i < files.n; i++)
        strlist_add(&all, files.items[i]);
    for (size_t i = 0; i < all.n; i++) {
        AUTO(freep) char *text = NULL;
        size_t n = 0;

        if (main_read && i < ARRAY_LEN(mains))
            continue;
        struct err *e = fsroot_read(ctx->root, all.items[i], FILE_MAX_B, &text, &n);
        if (e && e->kind == ERR_NOTFOUND) {
            err_free(e);
            continue;
        }
        TRY(e);
        main_read = main_read || i < ARRAY_LEN(mains);
        unit_file_parse(text, n, all.items[i], ret);
    }
    return NULL;
}

/* One limit of a unit. */
struct row {
    enum limits_item item;
    const char *key, *def_key;
    bool in_bytes;
    uint64_t least;
    struct limit def; /* systemd 252's own */
};
static const struct row nofile_row = {LIMITS_NOFILE, "LimitNOFILE",      "DefaultLimitNOFILE",
                                      false,         LIMIT_NOFILE_LEAST, {1024, 524288}};
static const struct row memlock_row = {LIMITS_MEMLOCK, "LimitMEMLOCK",      "DefaultLimitMEMLOCK",
                                       true,           LIMIT_MEMLOCK_LEAST, {8U << 20, 8U << 20}};

/* text has a line for it now. */
static void raises(struct limits_next *n, const struct row *r)
{
    if (r->item == LIMITS_NOFILE)
        n->raises_nofile = true;
    else
        n->raises_memlock = true;
}

/* The last setting that is not in our file. */
static const struct unit_setting *theirs(const struct unit_file *u, const char *key,
                                         const char *own)
{
    const struct unit_setting *found = NULL;

    for (size_t i = 0; i < u->n; i++)
        if (str_eq(u->items[i].section, "Service") && str_eq(u->items[i].key, key) &&
            !str_eq(u->items[i].file, own))
            found = &u->items[i];
    return found;
}

static struct err *limit_of(const char *value, const struct row *r, const struct limit *def,
                            const char *name, struct limit *ret)
{
    *ret = *def;
    if (!value || !*value)
        return NULL;
    return err_wrap(limit_parse_systemd(value, r->in_bytes, ret), "%s of '%s'", r->key, name);
}

static struct err *manager_limit(const struct unit_file *manager, const struct row *r,
                                 struct limit *ret)
{
    return limit_of(unit_file_get(manager, "Manager", r->def_key), r, &r->def, "systemd", ret);
}

/* What the unit gives, and a line of ours where that is too little. */
static struct err *add_row(const struct unit_file *u, const struct unit_file *manager,
                           const struct row *r, struct limits_next *n, struct strbuf *text,
                           struct limit *ret)
{
    const struct unit_setting *set = theirs(u, r->key, n->path);
    const char *slash_name = set ? base_name(set->file) : "";
    struct limit def, other;

    TRY(manager_limit(manager, r, &def));
    TRY(limit_of(unit_file_get(u, "Service", r->key), r, &def, u->name, ret));
    TRY(limit_of(set ? set->value : NULL, r, &def, u->name, &other));
    bool counts = !set || str_eq(set->file, u->path) || strcmp(slash_name, DROPIN) < 0;
    if (other.hard >= r->least || !counts)
        return NULL;
    raises(n, r);
    /* Containers keep their soft limit: some programs in them walk through all descriptors. */
    if (n->indirect)
        strbuf_printf(text, "%s=%" PRIu64 ":%" PRIu64 "\n", r->key, other.soft, r->least);
    else
        strbuf_printf(text, "%s=%" PRIu64 "\n", r->key, r->least);
    return NULL;
}

static struct err *of_unit(struct ctx *ctx, const struct unit_file *u, struct limits_next *ret)
{
    AUTO(unit_file_clear) struct unit_file manager = {0};
    AUTO(strbuf_clear) struct strbuf text = {0};

    ret->systemd = true;
    ret->who = xasprintf("'%s'", u->name);
    ret->source = xasprintf("%s%s", u->path, u->dropins ? " and its drop-ins" : "");
    ret->path = xasprintf("/etc/systemd/system/%s.d/" DROPIN, u->name);
    TRY(read_manager(ctx, &manager));
    TRY(add_row(u, &manager, &nofile_row, ret, &text, &ret->nofile));
    TRY(add_row(u, &manager, &memlock_row, ret, &text, &ret->memlock));
    if (text.len)
        ret->text = xasprintf("[Service]\n%s", text.data);
    return NULL;
}

static struct err *of_service(struct ctx *ctx, struct scene *scene, struct limits_next *ret)
{
    AUTO(unit_file_clear) struct unit_file u = {0};

    TRY(service_find(ctx, scene, &u));
    ret->when = xasprintf("from the next start of '%s' on", u.name);
    return of_unit(ctx, &u, ret);
}

/* "default-ulimits": {"nofile": {"Name": "nofile", "Hard": 1, "Soft": 1}} of Docker's daemon.json,
 * dockerd(8) 20.10; -1 is no limit. */
static struct err *of_daemon_json(const struct json *all, const char *name, struct limit *ret)
{
    const struct json *x = json_get(all, name);
    int64_t hard = 0, soft = 0;

    if (!x)
        return NULL;
    TRY_CTX(json_as_i64(json_get(x, "Hard"), &hard), "daemon.json: default-ulimits");
    TRY_CTX(json_as_i64(json_get(x, "Soft"), &soft), "daemon.json: default-ulimits");
    *ret = (struct limit){.soft = soft < 0 ? UINT64_MAX : (uint64_t)soft,
                          .hard = hard < 0 ? UINT64_MAX : (uint64_t)hard};
    return NULL;
}

static struct err *load_daemon(struct ctx *ctx, struct unit_file *ret)
{
    struct err *e = unit_file_load(ctx, "containerd.service", ret);

    if (!e || e->kind != ERR_NOTFOUND)
        return e;
    err_free(e);
    return unit_file_load(ctx, "docker.service", ret);
}

/* Containers get what containerd has, unless Docker's daemon is told otherwise; what runs in the
 * kind node gets the node's. */
static struct err *of_containers(struct ctx *ctx, struct limits_next *ret)
{
    AUTO(unit_file_clear) struct unit_file u = {0};
    AUTO(json_freep) struct json *daemon = NULL;
    AUTO(freep) char *text = NULL;
    size_t n = 0;

    TRY(load_daemon(ctx, &u));
    ret->indirect = true;
    ret->when = xasprintf("from the next start of '%s' on, when the validator is stopped (it ends "
                          "the kind node: agavectl does not do it)",
                          u.name);
    TRY(of_unit(ctx, &u, ret));
    struct err *e = fsroot_read(ctx->root, DAEMON_JSON, FILE_MAX_B, &text, &n);
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    TRY_CTX(json_parse(text, n, &daemon), DAEMON_JSON);
    const struct json *ulimits = json_get(daemon, "default-ulimits");
    if (!ulimits)
        return NULL;
    TRY(of_daemon_json(ulimits, "nofile", &ret->nofile));
    TRY(of_daemon_json(ulimits, "memlock", &ret->memlock));
    free(ret->source);
    ret->source = xasprintf(DAEMON_JSON ", %s", u.path);
    return NULL;
}

/* The files of others. items are conf's; only the list is to be freed. */
static struct limits_conf others_of(const struct limits_conf *conf)
{
    struct limits_conf others = {.items = xcalloc(conf->n + 1, sizeof(*others.items))};

    for (size_t i = 0; i < conf->n; i++)
        if (!str_eq(conf->items[i].file, LOGIN_PATH))
            others.items[others.n++] = conf->items[i];
    return others;
}

static bool counts_over(const struct limits_line *l)
{
    return !l || limits_line_is_weak(l) || !str_starts(l->file, "/etc/security/limits.d/") ||
           strcmp(base_name(l->file), base_name(LOGIN_PATH)) < 0;
}

/* One limit of a login; without a line it stays what it is (l), systemd's default. */
static void login_row(const struct limits_conf *all, const struct limits_conf *others,
                      const struct limits_user *u, const struct row *r, struct limits_next *n,
                      struct strbuf *text, struct limit *l)
{
    const struct limits_line *now = limits_conf_get(all, u, r->item);
    const struct limits_line *other = limits_conf_get(others, u, r->item);
    bool low = (other ? other->hard : l->hard) < r->least;

    l->hard = now ? now->hard : l->hard;
    if (!low || !counts_over(other))
        return;
    raises(n, r);
    strbuf_printf(text, "%s hard %s %" PRIu64 "\n", u->name, r->in_bytes ? "memlock" : "nofile",
                  r->in_bytes ? r->least / 1024 : r->least);
}

/* A limit above fs.nr_open cannot be set, and pam_limits then refuses the login. */
static bool nr_open_is_enough(struct ctx *ctx)
{
    uint64_t v = 0;
    AUTO(err_freep) struct err *e = fsroot_read_u64(ctx->root, "/proc/sys/fs/nr_open", &v);

    return !e && v >= LIMIT_NOFILE_LEAST;
}

static struct err *of_login(struct ctx *ctx, struct limits_next *ret)
{
    const struct config *c = ctx->cfg;
    AUTO(unit_file_clear) struct unit_file manager = {0};
    AUTO(limits_conf_clear) struct limits_conf conf = {0};
    AUTO(strlist_clear) struct strlist groups = {0};
    AUTO(strbuf_clear) struct strbuf text = {0};
    AUTO(freep) char *name = NULL;

    TRY(account_name(ctx, c->validator.uid, &name));
    err_free(account_groups(ctx, name, c->validator.gid, &groups)); /* no file: no groups */
    TRY(limits_conf_read(ctx, &conf));
    TRY(read_manager(ctx, &manager));
    TRY(manager_limit(&manager, &nofile_row, &ret->nofile));
    TRY(manager_limit(&manager, &memlock_row, &ret->memlock));
    struct limits_conf others = others_of(&conf);
    const struct limits_user u = {
        .name = name, .uid = c->validator.uid, .gid = c->validator.gid, .groups = &groups};
    login_row(&conf, &others, &u, &nofile_row, ret, &text, &ret->nofile);
    login_row(&conf, &others, &u, &memlock_row, ret, &text, &ret->memlock);
    free(others.items);
    ret->who = xasprintf("a login of '%s'", name);
    ret->source = xstrdup("/etc/security/limits.conf and limits.d");
    ret->path = xstrdup(LOGIN_PATH);
    ret->when = xasprintf("from the next login of '%s' on", name);
    if (text.len && nr_open_is_enough(ctx))
        ret->text = strbuf_take(&text);
    return NULL;
}

struct err *limits_next_find(struct ctx *ctx, struct scene *scene, struct limits_next *ret)
{
    const char *runtime = ctx->cfg->validator.runtime;

    if (str_eq(runtime, "systemd"))
        return of_service(ctx, scene, ret);
    if (str_eq(runtime, "kubernetes"))
        return of_containers(ctx, ret);
    return of_login(ctx, ret);
}
