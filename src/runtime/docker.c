/* Docker's Engine API, read only: GET is the one method here. Asking goes over the daemon's socket
 * by io/http; what the answers mean is read by tables. */
#include "runtime/docker.h"

#include "base/json.h"
#include "base/str.h"
#include "io/fsroot.h"
#include "io/http.h"
#include "runtime/fields.h"

#define BODY_MAX_B (4u << 20)
#define API_MINOR  41 /* Docker 20.10, the oldest with cgroup v2 */
#define ITEMS_MAX  10000

#define AT(type, member) offsetof(struct type, member)

/* ---- asking ------------------------------------------------------------------------------------
 */

/* Our own words for what io/http says, and what to do next. */
static struct err *tell(struct err *e, const struct docker *d, const char *url)
{
    AUTO(freep) char *reason = xstrdup(http_reason(e, url));

    free(e->text);
    e->text = e->kind == ERR_NOTFOUND || e->kind == ERR_ABSENT || e->kind == ERR_REFUSED
                  ? xstrdup(reason)
                  : xasprintf("docker at '%s': %s", d->socket, reason);
    if (e->kind == ERR_NOTFOUND)
        e->kind = ERR_ABSENT;
    if (e->kind == ERR_ABSENT)
        return err_hint(e, "docker does not run here, start it (systemctl start docker)");
    if (e->kind == ERR_REFUSED)
        return err_hint(e, "run this as root, or as a member of the group docker");
    return e;
}

/* An answer that is no success: Docker says why in {"message": …}. */
static struct err *refusal(const struct docker *d, int status, const char *body, size_t n)
{
    AUTO(json_freep) struct json *j = NULL;
    const char *why = "no reason given";
    struct err *e = json_parse(body, n, &j);

    if (!e && json_get(j, "message"))
        e = json_as_str(json_get(j, "message"), &why);
    err_free(e); /* no reason then */
    AUTO(freep) char *shown = str_shown(why, 200);
    return err_new_(__FILE__, __LINE__, status == 404 ? ERR_NOTFOUND : ERR_REMOTE, 0, status,
                    "docker at '%s': HTTP %d: %s", d->socket, status, shown);
}

static void question(struct ctx *ctx, const struct docker *d, const char *path,
                     struct http_question *ret)
{
    *ret = (struct http_question){
        .url = xasprintf("http://docker%s%s%s", *d->api ? "/" : "", d->api, path),
        .unix_socket = fsroot_path(ctx->root, d->socket),
    };
    ret->req = (struct http_request){
        .method = "GET",
        .url = ret->url,
        .unix_socket = ret->unix_socket,
        .timeout_ms = d->timeout_ms,
        .connect_ms = d->timeout_ms,
        .max_body_b = BODY_MAX_B,
    };
}

/* Is it a success? r->err is handed over. */
static struct err *verdict(const struct docker *d, const struct http_question *q,
                           struct http_response *r)
{
    if (r->err)
        return tell(TAKE(r->err), d, q->url);
    return r->status == 200 ? NULL : refusal(d, r->status, r->body, r->body_n);
}

static struct err *ask(struct ctx *ctx, const struct docker *d, const char *path,
                       struct http_response *ret)
{
    AUTO(http_question_clear) struct http_question q = {0};
    AUTO(http_response_clear) struct http_response r = {0};

    question(ctx, d, path, &q);
    struct err *e = http_one(ctx, &q.req, &r);
    if (e)
        r.err = e;
    TRY(verdict(d, &q, &r));
    *ret = r;
    r = (struct http_response){0};
    return NULL;
}

/* ---- GET /version ------------------------------------------------------------------------------
 */

/* "1.41" → 41. */
static struct err *api_minor(const struct json *j, const char *key, uint64_t *ret)
{
    const char *text;

    TRY_CTX(json_as_str(json_get(j, key), &text), "%s", key);
    if (!str_starts(text, "1.") || strlen(text) > 6)
        return err_remote(0, "%s: not a version of the API that is known", key);
    struct err *e = parse_u64(text + 2, 0, 9999, ret);
    if (e)
        e->kind = ERR_REMOTE;
    return err_wrap(e, "%s", key);
}

struct err *docker_parse_version(const char *body, size_t n, struct docker *ret)
{
    AUTO(json_freep) struct json *j = NULL;
    const char *version = "";
    uint64_t newest = 0, oldest = 0;

    TRY(json_parse(body, n, &j));
    TRY(api_minor(j, "ApiVersion", &newest));
    if (json_get(j, "MinAPIVersion"))
        TRY(api_minor(j, "MinAPIVersion", &oldest));
    if (json_get(j, "Version"))
        TRY_CTX(json_as_str(json_get(j, "Version"), &version), "Version");
    if (newest < API_MINOR)
        return err_remote(0, "its API is 1.%llu, older than 1.%d; install Docker 20.10 or later",
                          (unsigned long long)newest, API_MINOR);
    AUTO(freep) char *shown = str_shown(version, sizeof(ret->version) - 1);
    snprintf(ret->version, sizeof(ret->version), "%s", shown);
    snprintf(ret->api, sizeof(ret->api), "v1.%u",
             (unsigned)(oldest > API_MINOR ? oldest : API_MINOR));
    return NULL;
}

void docker_ask_version(struct ctx *ctx, const char *socket, uint32_t timeout_ms,
                        struct docker *ret, struct http_question *ret_q)
{
    *ret = (struct docker){
        .socket = socket ? socket : DOCKER_SOCKET,
        .timeout_ms = timeout_ms ? timeout_ms : DOCKER_TIMEOUT_MS,
    };
    question(ctx, ret, "/version", ret_q);
}

struct err *docker_take_version(const struct http_question *q, struct http_response *r,
                                struct docker *d)
{
    TRY(verdict(d, q, r));
    TRY_CTX(docker_parse_version(r->body, r->body_n, d), "docker at '%s'", d->socket);
    return NULL;
}

struct err *docker_connect(struct ctx *ctx, const char *socket, uint32_t timeout_ms,
                           struct docker *ret)
{
    AUTO(http_question_clear) struct http_question q = {0};
    AUTO(http_response_clear) struct http_response r = {0};
    struct docker d;

    docker_ask_version(ctx, socket, timeout_ms, &d, &q);
    struct err *e = http_one(ctx, &q.req, &r);
    if (e)
        r.err = e;
    TRY(docker_take_version(&q, &r, &d));
    *ret = d;
    return NULL;
}

/* ---- GET /info ---------------------------------------------------------------------------------
 */

void docker_info_clear(struct docker_info *i)
{
    free(i->root_dir);
    free(i->driver);
    free(i->cgroup_driver);
    *i = (struct docker_info){0};
}

static const struct field info_fields[] = {
    {"DockerRootDir", FIELD_STR, AT(docker_info, root_dir)},
    {"Driver", FIELD_STR, AT(docker_info, driver)},
    {"CgroupDriver", FIELD_STR, AT(docker_info, cgroup_driver)},
    {"LiveRestoreEnabled", FIELD_BOOL, AT(docker_info, live_restore)},
};

struct err *docker_parse_info(const char *body, size_t n, struct docker_info *ret)
{
    AUTO(json_freep) struct json *j = NULL;
    AUTO(docker_info_clear) struct docker_info i = {0};
    const char *cgroup = "0"; /* a text, in a member of its own only since API 1.41 */
    uint64_t version = 0;

    TRY(json_parse(body, n, &j));
    TRY(fields_read(j, info_fields, ARRAY_LEN(info_fields), &i));
    if (json_get(j, "CgroupVersion"))
        TRY_CTX(json_as_str(json_get(j, "CgroupVersion"), &cgroup), "CgroupVersion");
    err_free(parse_u64(cgroup, 1, 2, &version)); /* anything else: not known */
    i.cgroup_version = (uint32_t)version;
    *ret = i;
    i = (struct docker_info){0};
    return NULL;
}

struct err *docker_get_info(struct ctx *ctx, const struct docker *d, struct docker_info *ret)
{
    AUTO(http_response_clear) struct http_response r = {0};

    TRY(ask(ctx, d, "/info", &r));
    return err_wrap(docker_parse_info(r.body, r.body_n, ret), "docker at '%s': info", d->socket);
}

/* ---- GET /containers/json ----------------------------------------------------------------------
 */

static void container_clear(struct docker_container *c)
{
    free(c->id);
    free(c->name);
    free(c->image);
    free(c->state);
    free(c->kind_cluster);
    free(c->kind_role);
    *c = (struct docker_container){0};
}

void docker_list_clear(struct docker_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        container_clear(&l->items[i]);
    free(l->items);
    *l = (struct docker_list){0};
}

static const struct field container_fields[] = {
    {"Id", FIELD_STR, AT(docker_container, id)},
    {"Image", FIELD_STR, AT(docker_container, image)},
    {"State", FIELD_STR, AT(docker_container, state)},
    {"Labels/" DOCKER_KIND_CLUSTER, FIELD_STR, AT(docker_container, kind_cluster)},
    {"Labels/" DOCKER_KIND_ROLE, FIELD_STR, AT(docker_container, kind_role)},
};

/* Of the names, the one without a second slash: the others are links ("/other/name"). */
static struct err *own_name(const struct json *names, char **ret)
{
    for (size_t i = 0; i < json_len(names) && !*ret; i++) {
        const char *name;

        TRY_CTX(json_as_str(json_at(names, i), &name), "Names");
        if (*name == '/' && !strchr(name + 1, '/'))
            *ret = xstrdup(name + 1);
    }
    if (!*ret)
        *ret = xstrdup("");
    return NULL;
}

static struct err *need_id(const char *id)
{
    if (!id || !*id || strspn(id, "0123456789abcdef") != strlen(id))
        return err_remote(0, "Id: expected a container's id");
    return NULL;
}

static struct err *read_container(const struct json *j, struct docker_container *c)
{
    const struct json *names;

    TRY(fields_read(j, container_fields, ARRAY_LEN(container_fields), c));
    TRY(need_id(c->id));
    TRY(fields_list(j, "Names", &names));
    return own_name(names, &c->name);
}

struct err *docker_parse_list(const char *body, size_t n, struct docker_list *ret)
{
    AUTO(json_freep) struct json *j = NULL;
    AUTO(docker_list_clear) struct docker_list l = {0};

    TRY(json_parse(body, n, &j));
    if (!json_is_array(j))
        return err_remote(0, "expected a list of containers");
    if (json_len(j) > ITEMS_MAX)
        return err_remote(0, "more than %d containers", ITEMS_MAX);
    l.items = xcalloc(json_len(j) + 1, sizeof(*l.items));
    for (size_t i = 0; i < json_len(j); i++)
        TRY(read_container(json_at(j, i), &l.items[l.n++]));
    *ret = l;
    l = (struct docker_list){0};
    return NULL;
}

static bool wanted(const struct docker_container *c, const char *name, const char *kind_cluster)
{
    if (name && !str_eq(c->name, name))
        return false;
    if (!kind_cluster)
        return true;
    return c->kind_cluster && (!*kind_cluster || str_eq(c->kind_cluster, kind_cluster));
}

struct err *docker_list_containers(struct ctx *ctx, const struct docker *d, const char *name,
                                   const char *kind_cluster, struct docker_list *ret)
{
    AUTO(http_response_clear) struct http_response r = {0};
    struct docker_list l = {0};
    size_t kept = 0;

    TRY(ask(ctx, d, "/containers/json?all=1", &r));
    TRY_CTX(docker_parse_list(r.body, r.body_n, &l), "docker at '%s': containers", d->socket);
    /* Docker's own filter for names is a regular expression over part of them */
    for (size_t i = 0; i < l.n; i++) {
        if (wanted(&l.items[i], name, kind_cluster))
            l.items[kept++] = l.items[i];
        else
            container_clear(&l.items[i]);
    }
    l.n = kept;
    *ret = l;
    return NULL;
}

/* ---- GET /containers/ID/json -------------------------------------------------------------------
 */

void docker_inspect_clear(struct docker_inspect *i)
{
    for (size_t k = 0; k < i->n_mounts; k++) {
        struct docker_mount *m = &i->mounts[k];

        free(m->type);
        free(m->source);
        free(m->destination);
        free(m->mode);
        free(m->propagation);
    }
    free(i->mounts);
    free(i->id);
    free(i->name);
    free(i->image);
    free(i->kind_cluster);
    free(i->kind_role);
    free(i->status);
    free(i->restart_policy);
    free(i->pid_mode);
    free(i->network_mode);
    free(i->cgroupns_mode);
    free(i->ip);
    *i = (struct docker_inspect){0};
}

static const struct field inspect_fields[] = {
    {"Id", FIELD_STR, AT(docker_inspect, id)},
    {"Config/Image", FIELD_STR, AT(docker_inspect, image)},
    {"Config/Labels/" DOCKER_KIND_CLUSTER, FIELD_STR, AT(docker_inspect, kind_cluster)},
    {"Config/Labels/" DOCKER_KIND_ROLE, FIELD_STR, AT(docker_inspect, kind_role)},
    {"State/Status", FIELD_STR, AT(docker_inspect, status)},
    {"State/Running", FIELD_BOOL, AT(docker_inspect, running)},
    {"State/OOMKilled", FIELD_BOOL, AT(docker_inspect, oom_killed)},
    {"State/Restarting", FIELD_BOOL, AT(docker_inspect, restarting)},
    {"State/Pid", FIELD_PID, AT(docker_inspect, pid)},
    {"State/ExitCode", FIELD_I64, AT(docker_inspect, exit_code)},
    {"State/StartedAt", FIELD_TIME, AT(docker_inspect, started_at)},
    {"State/FinishedAt", FIELD_TIME, AT(docker_inspect, finished_at)},
    {"RestartCount", FIELD_U64, AT(docker_inspect, restart_count)},
    {"HostConfig/RestartPolicy/Name", FIELD_STR, AT(docker_inspect, restart_policy)},
    {"HostConfig/RestartPolicy/MaximumRetryCount", FIELD_U64, AT(docker_inspect, restart_max)},
    {"HostConfig/Memory", FIELD_U64, AT(docker_inspect, memory_b)},
    {"HostConfig/MemoryReservation", FIELD_U64, AT(docker_inspect, memory_reservation_b)},
    {"HostConfig/MemorySwap", FIELD_I64, AT(docker_inspect, memory_swap_b)},
    {"HostConfig/ShmSize", FIELD_U64, AT(docker_inspect, shm_b)},
    {"HostConfig/PidMode", FIELD_STR, AT(docker_inspect, pid_mode)},
    {"HostConfig/NetworkMode", FIELD_STR, AT(docker_inspect, network_mode)},
    {"HostConfig/CgroupnsMode", FIELD_STR, AT(docker_inspect, cgroupns_mode)},
    {"HostConfig/Privileged", FIELD_BOOL, AT(docker_inspect, privileged)},
    {"HostConfig/OomKillDisable", FIELD_BOOL, AT(docker_inspect, oom_kill_disabled)},
};

static const struct field mount_fields[] = {
    {"Type", FIELD_STR, AT(docker_mount, type)},
    {"Source", FIELD_STR, AT(docker_mount, source)},
    {"Destination", FIELD_STR, AT(docker_mount, destination)},
    {"Mode", FIELD_STR, AT(docker_mount, mode)},
    {"Propagation", FIELD_STR, AT(docker_mount, propagation)},
    {"RW", FIELD_BOOL, AT(docker_mount, rw)},
};

static struct err *read_mounts(const struct json *j, struct docker_inspect *i)
{
    const struct json *list;

    TRY(fields_list(j, "Mounts", &list));
    if (json_len(list) > ITEMS_MAX)
        return err_remote(0, "more than %d mounts", ITEMS_MAX);
    i->mounts = xcalloc(json_len(list) + 1, sizeof(*i->mounts));
    for (size_t k = 0; k < json_len(list); k++) {
        struct docker_mount *m = &i->mounts[i->n_mounts++];

        TRY_CTX(fields_read(json_at(list, k), mount_fields, ARRAY_LEN(mount_fields), m), "Mounts");
        if (!m->destination || m->destination[0] != '/')
            return err_remote(0, "Mounts: Destination: expected an absolute path");
    }
    return NULL;
}

/* The default network's address stands by itself too, and only in versions before API 1.52. */
static struct err *read_ip(const struct json *j, char **ret)
{
    const struct json *networks = fields_at(j, "NetworkSettings/Networks");
    AUTO(strlist_clear) struct strlist names = {0};
    const char *ip;

    json_keys(networks, &names);
    for (size_t i = 0; i < names.n && !*ret; i++) {
        const struct json *member = json_get(json_get(networks, names.items[i]), "IPAddress");

        if (!member)
            continue;
        TRY_CTX(json_as_str(member, &ip), "IPAddress");
        if (*ip)
            *ret = xstrdup(ip);
    }
    return NULL;
}

struct err *docker_parse_inspect(const char *body, size_t n, struct docker_inspect *ret)
{
    AUTO(json_freep) struct json *j = NULL;
    AUTO(docker_inspect_clear) struct docker_inspect i = {0};
    const char *name = "";

    TRY(json_parse(body, n, &j));
    TRY(fields_read(j, inspect_fields, ARRAY_LEN(inspect_fields), &i));
    TRY(need_id(i.id));
    if (json_get(j, "Name"))
        TRY_CTX(json_as_str(json_get(j, "Name"), &name), "Name");
    i.name = xstrdup(*name == '/' ? name + 1 : name);
    TRY(read_mounts(j, &i));
    TRY(read_ip(j, &i.ip));
    *ret = i;
    i = (struct docker_inspect){0};
    return NULL;
}

/* As Docker names them: [a-zA-Z0-9][a-zA-Z0-9_.-]+ */
static bool is_name(const char *s)
{
    static const char alnum[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    size_t first = strspn(s, alnum);

    if (first == 0 || strlen(s) > 255)
        return false;
    for (; *s; s++)
        if (!strchr(alnum, *s) && !strchr("_.-", *s))
            return false;
    return true;
}

struct err *docker_inspect(struct ctx *ctx, const struct docker *d, const char *container,
                           struct docker_inspect *ret)
{
    AUTO(http_response_clear) struct http_response r = {0};

    if (!is_name(container)) {
        AUTO(freep) char *shown = str_shown(container, 80);

        return err_new(ERR_BADINPUT, "'%s' cannot be a container's name", shown);
    }
    AUTO(freep) char *path = xasprintf("/containers/%s/json", container);
    TRY(ask(ctx, d, path, &r));
    return err_wrap(docker_parse_inspect(r.body, r.body_n, ret), "docker at '%s': container '%s'",
                    d->socket, container);
}

const struct docker_mount *docker_mount_over(const struct docker_inspect *i, const char *path)
{
    const struct docker_mount *best = NULL;
    size_t best_n = 0;

    for (size_t k = 0; k < i->n_mounts; k++) {
        const struct docker_mount *m = &i->mounts[k];
        size_t n = strlen(m->destination);

        while (n > 1 && m->destination[n - 1] == '/')
            n--;
        if (n < best_n || strncmp(path, m->destination, n) != 0)
            continue;
        if (n > 1 && path[n] && path[n] != '/')
            continue;
        best = m;
        best_n = n;
    }
    return best;
}
