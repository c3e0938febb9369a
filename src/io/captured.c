/* A captured host in place of the machine: what its host.json says about owners, devices and space,
 * and the answers that programs and servers gave. Nothing here runs or sends anything. */
#include "io/captured.h"

#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/str.h"
#include "io/fsroot.h"

#define BLOCK_B 4096

static struct err *number(const struct json *entry, const char *key, uint64_t def, uint64_t *ret)
{
    const struct json *v = json_get(entry, key);

    *ret = def;
    return v ? err_wrap(json_as_u64(v, ret), "%s", key) : NULL;
}

static struct err *text(const struct json *entry, const char *key, const char *def,
                        const char **ret)
{
    const struct json *v = json_get(entry, key);

    *ret = def;
    return v ? err_wrap(json_as_str(v, ret), "%s", key) : NULL;
}

/* "1:0" */
static struct err *device(const struct json *entry, const char *key, dev_t *ret)
{
    const char *s;
    uint64_t major, minor;

    TRY(text(entry, key, "0:0", &s));
    const char *colon = strchr(s, ':');
    if (!colon)
        return err_new(ERR_BADINPUT, "%s: '%s' is not major:minor", key, s);
    AUTO(freep) char *first = xstrndup(s, (size_t)(colon - s));
    TRY(parse_u64(first, 0, UINT32_MAX, &major));
    TRY(parse_u64(colon + 1, 0, UINT32_MAX, &minor));
    *ret = makedev((unsigned int)major, (unsigned int)minor);
    return NULL;
}

static struct err *file_mode(const struct json *entry, mode_t *ret)
{
    static const struct {
        const char *name;
        mode_t type, mode;
    } types[] = {
        {"dir", S_IFDIR, 0755},  {"file", S_IFREG, 0644}, {"block", S_IFBLK, 0660},
        {"char", S_IFCHR, 0600}, {"link", S_IFLNK, 0777}, {"socket", S_IFSOCK, 0660},
        {"fifo", S_IFIFO, 0600},
    };
    const char *type, *mode;
    char *end;

    TRY(text(entry, "type", "dir", &type));
    TRY(text(entry, "mode", NULL, &mode));
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (!str_eq(types[i].name, type))
            continue;
        unsigned long m = mode ? strtoul(mode, &end, 8) : types[i].mode;
        if (m > 07777 || (mode && (*end || !*mode)))
            return err_new(ERR_BADINPUT, "mode: '%s' is not octal", mode);
        *ret = types[i].type | (mode_t)m;
        return NULL;
    }
    return err_new(ERR_BADINPUT, "type: '%s' is none", type);
}

static struct err *stat_of(const struct json *entry, struct stat *ret)
{
    struct stat st = {.st_nlink = 1};
    uint64_t uid, gid, ino, size;

    TRY(file_mode(entry, &st.st_mode));
    TRY(number(entry, "uid", 0, &uid));
    TRY(number(entry, "gid", 0, &gid));
    TRY(number(entry, "ino", 0, &ino));
    TRY(number(entry, "size_b", 0, &size));
    TRY(device(entry, "dev", &st.st_dev));
    TRY(device(entry, "rdev", &st.st_rdev));
    st.st_uid = (uid_t)uid;
    st.st_gid = (gid_t)gid;
    st.st_ino = ino;
    st.st_size = (off_t)(size & INT64_MAX);
    *ret = st;
    return NULL;
}

struct err *captured_stat(const struct json *facts, const char *path, struct stat *ret,
                          bool *ret_found)
{
    const struct json *entry = json_get(json_get(facts, "stat"), path);

    *ret_found = entry != NULL;
    return entry ? err_wrap(stat_of(entry, ret), "host.json: stat of '%s'", path) : NULL;
}

static struct err *statvfs_of(const struct json *entry, struct statvfs *ret)
{
    uint64_t size, free_b, files, files_free;
    bool read_only = false;

    if (json_get(entry, "read_only"))
        TRY(json_as_bool(json_get(entry, "read_only"), &read_only));
    TRY(number(entry, "size_b", 0, &size));
    TRY(number(entry, "free_b", 0, &free_b));
    TRY(number(entry, "files", 0, &files));
    TRY(number(entry, "files_free", 0, &files_free));
    *ret = (struct statvfs){
        .f_bsize = BLOCK_B,
        .f_frsize = BLOCK_B,
        .f_blocks = size / BLOCK_B,
        .f_bfree = free_b / BLOCK_B,
        .f_bavail = free_b / BLOCK_B,
        .f_files = files,
        .f_ffree = files_free,
        .f_favail = files_free,
        .f_flag = read_only ? ST_RDONLY : 0,
    };
    return NULL;
}

struct err *captured_statvfs(const struct json *facts, const char *path, struct statvfs *ret)
{
    const struct json *all = json_get(facts, "statvfs");
    AUTO(freep) char *at = xstrdup(path);

    for (;;) {
        const struct json *entry = json_get(all, *at ? at : "/");
        char *slash = strrchr(at, '/');

        if (entry)
            return err_wrap(statvfs_of(entry, ret), "host.json: statvfs of '%s'", at);
        if (!slash)
            return err_new(ERR_NOTFOUND, "this captured host does not say how much is free at '%s'",
                           path);
        *slash = 0;
    }
}

static bool same_argv(const struct json *argv, const char *const *want)
{
    size_t n = 0;

    while (want[n])
        n++;
    if (json_len(argv) != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        const char *s = NULL;
        struct err *e = json_as_str(json_at(argv, i), &s);

        err_free(e);
        if (!str_eq(s, want[i]))
            return false;
    }
    return true;
}

static struct err *proc_captured_run(struct ctx *ctx, const struct proc_spec *spec,
                                     struct proc_result *ret)
{
    const struct json *all = json_get(fsroot_captured(ctx->root), "programs");

    for (size_t i = 0; i < json_len(all); i++) {
        const struct json *p = json_at(all, i);
        const char *out, *err;
        uint64_t exit;

        if (!same_argv(json_get(p, "argv"), spec->argv))
            continue;
        TRY(number(p, "exit", 0, &exit));
        TRY(text(p, "out", "", &out));
        TRY(text(p, "err", "", &err));
        *ret = (struct proc_result){
            .exit = (int)exit,
            .out = xstrdup(out),
            .err = xstrdup(err),
            .out_n = strlen(out),
            .err_n = strlen(err),
        };
        return NULL;
    }
    return err_new(ERR_ABSENT, "this captured host has no answer of '%s'", spec->path);
}

const struct proc_ops proc_captured = {.run = proc_captured_run};

/* A path as that host names it; whoever asks has the root in front. NULL stays NULL. */
static const char *on_host(const struct ctx *ctx, const char *path)
{
    const char *dir = fsroot_dir(ctx->root);
    size_t n = strlen(dir);

    return path && strncmp(path, dir, n) == 0 && path[n] == '/' ? path + n : path;
}

static bool fits(const struct json *answer, const char *sock, const struct http_request *req)
{
    const char *url = NULL, *method = NULL, *has = NULL, *at = NULL;
    struct err *e = text(answer, "url", req->url, &url);

    if (!e)
        e = text(answer, "unix", NULL, &at);
    if (!e)
        e = text(answer, "method", req->method, &method);
    if (!e)
        e = text(answer, "body_has", NULL, &has);
    bool bad = e;
    err_free(e);
    return !bad && str_eq(at, sock) && str_eq(url, req->url) && str_eq(method, req->method) &&
           (!has || (req->body && memmem(req->body, req->body_n, has, strlen(has))));
}

/* A JSON-RPC reply has the id of its request, which is another one each time. */
static struct err *reply_to(const struct http_request *req, const struct json *result,
                            struct json **ret)
{
    AUTO(json_freep) struct json *ask = NULL;

    TRY(json_parse(req->body ? req->body : "", req->body_n, &ask));
    struct json *reply = json_new_object();
    json_put(reply, "jsonrpc", json_new_str("2.0"));
    json_put(reply, "id", json_ref(json_get(ask, "id")));
    json_put(reply, "result", json_ref(result));
    *ret = reply;
    return NULL;
}

/* The body as it would have come over the wire. */
static struct err *give_body(const struct json *body, const struct http_request *req,
                             struct http_response *ret)
{
    struct http_answer head = {.status = ret->status, .total_b = UINT64_MAX};
    AUTO(freep) char *s = NULL;

    if (json_is_string(body)) {
        const char *t;
        TRY(json_as_str(body, &t));
        s = xstrdup(t);
    } else {
        s = body ? json_text(body, false) : xstrdup("");
    }
    ret->body_n = ret->length_b = head.length_b = strlen(s);
    if (req->on_answer && ret->status / 100 == 2)
        TRY(req->on_answer(req->arg, &head));
    if (!req->on_data) {
        ret->body = TAKE(s);
        return NULL;
    }
    return req->on_data(req->arg, s, ret->body_n);
}

/* A failure as io/http.h names it. */
static struct err *fail_as(const struct json *answer, const char *sock, const char *url,
                           const char *why)
{
    static const struct {
        const char *name;
        enum err_kind kind;
    } kinds[] = {{"absent", ERR_ABSENT},
                 {"notfound", ERR_NOTFOUND},
                 {"refused", ERR_REFUSED},
                 {"timeout", ERR_TIMEOUT},
                 {"remote", ERR_REMOTE}};
    const char *kind;

    TRY(text(answer, "kind", "remote", &kind));
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (!str_eq(kinds[i].name, kind))
            continue;
        if (sock)
            return err_new(kinds[i].kind, "'%s': %s", sock, why);
        return err_new(kinds[i].kind, "%s: %s", url, why);
    }
    return err_new(ERR_BADINPUT, "host.json: kind: '%s' is none", kind);
}

static struct err *answer_of(const struct ctx *ctx, const struct http_request *req,
                             struct http_response *ret)
{
    const struct json *all = json_get(fsroot_captured(ctx->root), "answers");
    const char *fail, *sock = on_host(ctx, req->unix_socket);
    uint64_t status;

    for (size_t i = 0; i < json_len(all); i++) {
        const struct json *a = json_at(all, i);

        if (!fits(a, sock, req))
            continue;
        TRY(text(a, "fail", NULL, &fail));
        if (fail)
            return fail_as(a, sock, req->url, fail);
        TRY(number(a, "status", 200, &status));
        ret->status = (int)status;
        ret->url = xstrdup(req->url);
        if (!json_has(a, "result"))
            return give_body(json_get(a, "body"), req, ret);
        AUTO(json_freep) struct json *reply = NULL;
        TRY(reply_to(req, json_get(a, "result"), &reply));
        return give_body(reply, req, ret);
    }
    if (sock)
        return err_new(ERR_NOTFOUND, "'%s': this captured host has no answer of it", sock);
    return err_new(ERR_REMOTE, "%s: this captured host has no answer of it", req->url);
}

static struct err *http_captured_many(struct ctx *ctx, const struct http_request *reqs, size_t n,
                                      struct http_response *ret)
{
    for (size_t i = 0; i < n; i++) {
        ret[i] = (struct http_response){.length_b = UINT64_MAX};
        ret[i].err = answer_of(ctx, &reqs[i], &ret[i]);
    }
    return NULL;
}

const struct http_ops http_captured = {.many = http_captured_many};

struct err *captured_sock_ask(const struct ctx *ctx, const char *path, const char *request,
                              char **ret)
{
    const struct json *all = json_get(fsroot_captured(ctx->root), "sockets");
    const char *sock = on_host(ctx, path), *at, *has, *fail;

    for (size_t i = 0; i < json_len(all); i++) {
        const struct json *s = json_at(all, i), *line = json_get(s, "line");

        TRY(text(s, "path", "", &at));
        TRY(text(s, "has", "", &has));
        if (!str_eq(at, sock) || !strstr(request, has))
            continue;
        TRY(text(s, "fail", NULL, &fail));
        if (fail)
            return fail_as(s, sock, NULL, fail);
        *ret = line ? json_text(line, false) : xstrdup("");
        return NULL;
    }
    return err_new(ERR_NOTFOUND, "'%s': this captured host has no answer of it", sock);
}
