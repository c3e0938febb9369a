/* Agave's RPC port on libmicrohttpd, whose only user this is. Each request is matched in the order
 * of Agave's request middleware: file paths first, whatever the method; everything else belongs to
 * JSON-RPC. Range is ignored, as there. */
#include "lab/node/rpc_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include <microhttpd.h>

#include "lab/node/archives.h"

#define BODY_MAX  51200 /* Agave's default of --rpc-max-request-body-size */
#define STALL_MAX 64

struct rpc_server {
    struct MHD_Daemon *daemon;
    char *archives, *ledger;
    bool full_api;
    struct rpc_source source;
    atomic_int lie;
    atomic_uint_fast64_t lie_amount;
    atomic_bool snapshots_off;
    pthread_mutex_t stalled_lock;
    struct MHD_Connection *stalled[STALL_MAX];
    size_t stalled_n;
};

/* One request while its body comes in. */
struct exchange {
    struct strbuf body;
    bool too_large;
};

struct reply {
    unsigned status;
    const char *type;     /* NULL: no content type, as for files */
    const char *location; /* NULL: none */
    const char *body;
};

static void destroy_response(struct MHD_Response **r)
{
    if (*r)
        MHD_destroy_response(*r);
}

static enum MHD_Result queue_text(struct MHD_Connection *conn, const struct reply *reply)
{
    AUTO(destroy_response)
    struct MHD_Response *r = MHD_create_response_from_buffer(
        strlen(reply->body), (void *)(uintptr_t)reply->body, MHD_RESPMEM_MUST_COPY);
    const char *origin = MHD_lookup_connection_value(conn, MHD_HEADER_KIND, "Origin");

    if (!r)
        return MHD_NO;
    if (reply->type)
        MHD_add_response_header(r, "content-type", reply->type);
    if (reply->location)
        MHD_add_response_header(r, "location", reply->location);
    if (reply->type && origin) {
        MHD_add_response_header(r, "vary", "origin");
        MHD_add_response_header(r, "access-control-allow-methods", "OPTIONS, POST");
        MHD_add_response_header(r, "access-control-allow-origin", origin);
        MHD_add_response_header(r, "access-control-max-age", "86400");
    }
    return MHD_queue_response(conn, reply->status, r);
}

static enum MHD_Result queue_status(struct MHD_Connection *conn, unsigned status)
{
    return queue_text(conn, &(struct reply){.status = status, .body = ""});
}

/* The whole file from byte 0, whatever was asked; no link is followed, as Agave does it. */
static enum MHD_Result queue_file(struct rpc_server *s, struct MHD_Connection *conn,
                                  const char *dir, const char *name)
{
    AUTO(freep) char *path = xasprintf("%s/%s", dir, name);
    AUTO(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    AUTO(destroy_response) struct MHD_Response *r = NULL;
    struct stat st;
    uint64_t size_b;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return queue_status(conn, 404);
    size_b = (uint64_t)st.st_size;
    if (atomic_load(&s->lie) == RPC_LIE_FILE)
        size_b /= 2;
    r = MHD_create_response_from_fd64(size_b, fd);
    if (!r)
        return MHD_NO;
    (void)TAKE_FD(fd); /* the response closes it */
    return MHD_queue_response(conn, 200, r);
}

static enum MHD_Result queue_redirect(struct rpc_server *s, struct MHD_Connection *conn,
                                      bool incremental)
{
    struct archive full, inc;
    AUTO(err_freep) struct err *e = archives_highest(s->archives, &full, &inc);
    const char *name = incremental ? inc.name : full.name;
    char location[sizeof(full.name) + 1];

    if (e || (incremental && !inc.slot))
        return queue_status(conn, 404);
    if (str_starts(name, "remote/"))
        name += strlen("remote/");
    snprintf(location, sizeof(location), "/%s", name);
    return queue_text(conn, &(struct reply){.status = 303, .location = location, .body = location});
}

static enum MHD_Result queue_archive(struct rpc_server *s, struct MHD_Connection *conn,
                                     const char *name)
{
    AUTO(freep) char *top = xasprintf("%s/%s", s->archives, name);
    AUTO(freep) char *remote = xasprintf("remote/%s", name);

    return queue_file(s, conn, s->archives, access(top, F_OK) == 0 ? name : remote);
}

static enum MHD_Result queue_health(struct rpc_server *s, struct MHD_Connection *conn)
{
    static const char *const words[] = {[NODE_HEALTH_OK] = "ok",
                                        [NODE_HEALTH_BEHIND] = "behind",
                                        [NODE_HEALTH_UNKNOWN] = "unknown"};
    AUTO(freep) struct node_state *state = xcalloc(1, sizeof(*state));

    s->source.state(s->source.arg, state);
    return queue_text(conn, &(struct reply){.status = 200, .body = words[state->health]});
}

static enum MHD_Result queue_supply(struct rpc_server *s, struct MHD_Connection *conn)
{
    AUTO(freep) struct node_state *state = xcalloc(1, sizeof(*state));
    char text[64];
    uint64_t lamports = 503000512301814213u;

    s->source.state(s->source.arg, state);
    lamports -= state->tx_count * 5000;
    snprintf(text, sizeof(text), "%llu.%09llu", (unsigned long long)(lamports / 1000000000),
             (unsigned long long)(lamports % 1000000000));
    return queue_text(conn, &(struct reply){.status = 200, .body = text});
}

/* Paths that Agave takes before JSON-RPC sees the request. False: not one of them. */
static bool try_path(struct rpc_server *s, struct MHD_Connection *conn, const char *path,
                     enum MHD_Result *ret)
{
    bool snapshots = s->archives && !atomic_load(&s->snapshots_off);
    struct archive a;

    if (str_eq(path, "/health"))
        *ret = queue_health(s, conn);
    else if (str_eq(path, "/v0/circulating-supply") || str_eq(path, "/v0/total-supply"))
        *ret = queue_supply(s, conn);
    else if (str_eq(path, "/genesis.tar.bz2") && s->archives)
        *ret = queue_file(s, conn, s->ledger, "genesis.tar.bz2");
    else if (str_eq(path, "/snapshot.tar.bz2") && s->archives)
        *ret = snapshots ? queue_redirect(s, conn, false) : queue_status(conn, 404);
    else if (str_eq(path, "/incremental-snapshot.tar.bz2") && s->archives)
        *ret = snapshots ? queue_redirect(s, conn, true) : queue_status(conn, 404);
    else if (*path == '/' && archive_parse(path + 1, &a) && s->archives)
        *ret = snapshots ? queue_archive(s, conn, path + 1) : queue_status(conn, 404);
    else
        return false;
    return true;
}

/* Slots that a lying node adds; everything else it says is true. */

static void state_with_lie(void *arg, struct node_state *ret)
{
    struct rpc_server *s = arg;

    s->source.state(s->source.arg, ret);
    if (atomic_load(&s->lie) != RPC_LIE_AHEAD)
        return;
    for (int i = 0; i < 3; i++) {
        ret->slot[i] += atomic_load(&s->lie_amount);
        ret->height[i] += atomic_load(&s->lie_amount);
    }
}

static bool has_block(void *arg, uint64_t slot)
{
    struct rpc_server *s = arg;

    return s->source.has_block(s->source.arg, slot);
}

static bool snapshots(void *arg, uint64_t *ret_full, uint64_t *ret_incremental)
{
    struct rpc_server *s = arg;
    struct archive full, incremental;
    AUTO(err_freep) struct err *e = NULL;

    if (!s->archives || atomic_load(&s->snapshots_off))
        return false;
    e = archives_highest(s->archives, &full, &incremental);
    if (e)
        return false;
    *ret_full = full.slot;
    *ret_incremental = incremental.slot;
    return true;
}

static void call(void *arg, const char *method, const struct json *params, struct strbuf *result,
                 struct jsonrpc_error *e)
{
    struct rpc_server *s = arg;
    struct rpc_source source = {
        .arg = s, .state = state_with_lie, .has_block = has_block, .snapshots = snapshots};

    rpc_methods_call(&source, s->full_api, method, params, result, e);
}

/* Holds the connection without an answer until the lie ends. */
static enum MHD_Result stall(struct rpc_server *s, struct MHD_Connection *conn)
{
    enum MHD_Result done = MHD_NO;

    pthread_mutex_lock(&s->stalled_lock);
    if (s->stalled_n < STALL_MAX) {
        s->stalled[s->stalled_n++] = conn;
        MHD_suspend_connection(conn);
        done = MHD_YES;
    }
    pthread_mutex_unlock(&s->stalled_lock);
    return done;
}

static void resume_all(struct rpc_server *s)
{
    pthread_mutex_lock(&s->stalled_lock);
    for (size_t i = 0; i < s->stalled_n; i++)
        MHD_resume_connection(s->stalled[i]);
    s->stalled_n = 0;
    pthread_mutex_unlock(&s->stalled_lock);
}

static bool is_json(struct MHD_Connection *conn)
{
    const char *type = MHD_lookup_connection_value(conn, MHD_HEADER_KIND, "Content-Type");

    return type && (strcasecmp(type, "application/json") == 0 ||
                    strncasecmp(type, "application/json;", 17) == 0);
}

static enum MHD_Result answer_options(struct MHD_Connection *conn)
{
    AUTO(destroy_response)
    struct MHD_Response *r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);

    if (!r)
        return MHD_NO;
    MHD_add_response_header(r, "content-type", "application/json; charset=utf-8");
    MHD_add_response_header(r, "allow", "OPTIONS, POST");
    MHD_add_response_header(r, "accept", "application/json");
    return MHD_queue_response(conn, 200, r);
}

static enum MHD_Result answer_json(struct rpc_server *s, struct MHD_Connection *conn,
                                   struct exchange *x, const char *method)
{
    static const char plain[] = "text/plain; charset=utf-8";
    AUTO(freep) char *text = NULL;

    if (str_eq(method, "OPTIONS"))
        return answer_options(conn);
    if (!str_eq(method, "POST"))
        return queue_text(
            conn,
            &(struct reply){405, plain, NULL,
                            "Used HTTP Method is not allowed. POST or OPTIONS is required\n"});
    if (!is_json(conn))
        return queue_text(conn, &(struct reply){415, plain, NULL,
                                                "Supplied content type is not allowed. "
                                                "Content-Type: application/json is required\n"});
    if (x->too_large)
        return queue_text(
            conn, &(struct reply){413, plain, NULL, "request body size exceeds allowed maximum"});
    if (atomic_load(&s->lie) == RPC_LIE_STALL)
        return stall(s, conn);
    if (atomic_load(&s->lie) == RPC_LIE_HTML)
        return queue_text(conn, &(struct reply){200, "text/html", NULL,
                                                "<html><body>Welcome to nginx!</body></html>\n"});
    text = jsonrpc_answer(strbuf_text(&x->body), x->body.len, call, s);
    return queue_text(conn, &(struct reply){200, "application/json; charset=utf-8", NULL, text});
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *conn, const char *path,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_n, void **state)
{
    struct rpc_server *s = arg;
    struct exchange *x = *state;
    enum MHD_Result done;

    if (!x) {
        *state = xcalloc(1, sizeof(*x));
        return MHD_YES;
    }
    if (*data_n) {
        if (x->body.len + *data_n <= BODY_MAX)
            strbuf_add(&x->body, data, *data_n);
        else
            x->too_large = true;
        *data_n = 0;
        return MHD_YES;
    }
    if (atomic_load(&s->lie) == RPC_LIE_ERROR)
        return queue_text(conn, &(struct reply){500, "text/plain", NULL, "internal error\n"});
    if (try_path(s, conn, path, &done))
        return done;
    return answer_json(s, conn, x, method);
}

static void on_end(void *arg, struct MHD_Connection *conn, void **state,
                   enum MHD_RequestTerminationCode code)
{
    struct exchange *x = *state;

    if (x)
        strbuf_clear(&x->body);
    free(x);
    *state = NULL;
}

struct err *rpc_server_open(const struct rpc_server_spec *spec, struct rpc_server **ret)
{
    AUTO(rpc_server_closep) struct rpc_server *s = xcalloc(1, sizeof(*s));
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(spec->port)};
    int error;

    s->full_api = spec->full_api;
    s->source = spec->source;
    s->archives = spec->archives ? xstrdup(spec->archives) : NULL;
    s->ledger = xstrdup(spec->ledger);
    pthread_mutex_init(&s->stalled_lock, NULL);
    if (inet_pton(AF_INET, spec->bind, &addr.sin_addr) != 1)
        return err_new(ERR_BADINPUT, "'%s' is no IPv4 address", spec->bind);
    errno = 0;
    s->daemon =
        MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME,
                         spec->port, NULL, NULL, on_request, s, MHD_OPTION_SOCK_ADDR, &addr,
                         MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL, MHD_OPTION_CONNECTION_LIMIT,
                         512u, MHD_OPTION_CONNECTION_TIMEOUT, 120u, MHD_OPTION_END);
    error = errno;
    if (!s->daemon)
        return err_sys(error ? error : EADDRINUSE, "cannot serve RPC on %s:%u", spec->bind,
                       spec->port);
    *ret = TAKE(s);
    return NULL;
}

struct rpc_server *rpc_server_close(struct rpc_server *s)
{
    if (!s)
        return NULL;
    atomic_store(&s->lie, RPC_LIE_NONE);
    resume_all(s);
    if (s->daemon)
        MHD_stop_daemon(s->daemon);
    pthread_mutex_destroy(&s->stalled_lock);
    free(s->archives);
    free(s->ledger);
    free(s);
    return NULL;
}

void rpc_server_closep(struct rpc_server **s)
{
    *s = rpc_server_close(*s);
}

void rpc_server_lie(struct rpc_server *s, enum rpc_lie lie, uint64_t amount)
{
    atomic_store(&s->lie_amount, amount);
    atomic_store(&s->lie, lie);
    if (lie != RPC_LIE_STALL)
        resume_all(s);
}

void rpc_server_snapshots(struct rpc_server *s, bool on)
{
    atomic_store(&s->snapshots_off, !on);
}
