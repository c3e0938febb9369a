/* Agave's RPC port on libmicrohttpd, whose only user this is. Each request is matched in the order
 * of Agave's request middleware: file paths first, whatever the method; everything else belongs to
 * JSON-RPC. Range is ignored, as there, unless a server is told to honour it. */
#include "lab/node/rpc_server.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <linux/sockios.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <microhttpd.h>

#include "io/clock.h"
#include "io/http_range.h"
#include "lab/node/archives.h"
#include "lab/node/doors.h"
#include "lab/node/feed.h"
#include "lab/node/redirect.h"
#include "lab/node/trickle.h"

#define BODY_MAX        51200 /* Agave's default of --rpc-max-request-body-size */
#define CONNECTIONS_MAX 4096
#define PIECE_B         (128 << 10)
#define FOREVER         FEED_FOREVER
#define BANNER          "SSH-2.0-OpenSSH_9.2p1\r\n" /* what is often found on a port that moved */

struct rpc_server {
    struct rpc_pool *pool;
    struct door *door;
    char *ledger, *host; /* host: "ADDRESS:PORT" */
    bool full_api, archives;
    struct rpc_source source;
    struct feed_node node;
    atomic_uint_fast64_t requests, files, files_whole, ranged;
};

/* A connection that waits: for a moment, or until a fault ends. */
struct hold {
    struct MHD_Connection *conn;
    struct rpc_server *server;
    uint64_t until_ns;
};

struct rpc_pool {
    struct MHD_Daemon *daemon;
    struct doors *doors;
    pthread_mutex_t lock; /* guards what follows */
    bool ending;
    struct rpc_server **items;
    size_t n, cap;
    struct hold *holds;
    size_t holds_n, holds_cap;
    struct rpc_server **of_fd; /* whose connection a descriptor is */
    size_t of_fd_cap;
    struct trickles *trickles;
};

/* One request while its body comes in. */
struct exchange {
    struct rpc_server *server;
    struct strbuf body;
    bool too_large, delayed, sends_file;
    uint64_t sent_b; /* of a file */
};

struct reply {
    unsigned status;
    const char *type;     /* NULL: no content type, as for files */
    const char *location; /* NULL: none */
    const char *body;
};

static uint64_t fault(const struct rpc_server *s, enum node_fault f)
{
    return atomic_load(&s->node.faults[f]);
}

/* Puts the connection to rest; false: the pool is ending and nobody would wake it. */
static bool hold(struct rpc_server *s, struct MHD_Connection *conn, uint64_t until_ns)
{
    struct rpc_pool *p = s->pool;
    bool held = false;

    pthread_mutex_lock(&p->lock);
    if (!p->ending) {
        p->holds = xgrow(p->holds, &p->holds_cap, p->holds_n + 1, sizeof(*p->holds));
        p->holds[p->holds_n++] = (struct hold){conn, s, until_ns};
        MHD_suspend_connection(conn);
        held = true;
    }
    pthread_mutex_unlock(&p->lock);
    if (held && until_ns != FOREVER)
        doors_wake(p->doors);
    return held;
}

/* Wakes those whose time has come, and all of one server (or of every one: server NULL). */
static uint64_t release(struct rpc_pool *p, uint64_t now_ns, const struct rpc_server *server,
                        bool all)
{
    uint64_t next_ns = FOREVER;

    for (size_t i = 0; i < p->holds_n;) {
        const struct hold *h = &p->holds[i];

        if (all || h->server == server || h->until_ns <= now_ns) {
            MHD_resume_connection(h->conn);
            p->holds[i] = p->holds[--p->holds_n];
            continue;
        }
        next_ns = h->until_ns < next_ns ? h->until_ns : next_ns;
        i++;
    }
    return next_ns;
}

static int tick(void *arg)
{
    struct rpc_pool *p = arg;
    uint64_t now_ns = clock_system.mono_ns(), next_ns, trickle_ns;

    pthread_mutex_lock(&p->lock);
    next_ns = release(p, now_ns, NULL, false);
    trickle_ns = trickles_tick(p->trickles, now_ns);
    pthread_mutex_unlock(&p->lock);
    next_ns = trickle_ns < next_ns ? trickle_ns : next_ns;
    return next_ns == FOREVER ? -1 : (int)((next_ns - now_ns) / 1000000 + 1);
}

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

/* A file on its way. */
struct sending {
    struct rpc_server *server;
    struct MHD_Connection *conn;
    struct exchange *exchange;
    struct feed feed;
};

static ssize_t send_piece(void *arg, uint64_t pos, char *buf, size_t max)
{
    struct sending *f = arg;
    uint64_t until_ns = FOREVER;
    ssize_t n = feed_read(&f->feed, pos, buf, max, clock_system.mono_ns(), &until_ns);

    if (n == FEED_FAILED)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (n == 0) /* libmicrohttpd wants 0 from a reader that has suspended its connection */
        return hold(f->server, f->conn, until_ns) ? 0 : MHD_CONTENT_READER_END_WITH_ERROR;
    f->exchange->sent_b += (uint64_t)n;
    return n;
}

static void sending_free(void *arg)
{
    struct sending *f = arg;

    closep(&f->feed.fd);
    free(f);
}

/* One that answers this range with all of the file. */
static bool is_cold(struct rpc_server *s)
{
    uint64_t each = fault(s, NODE_COLD);

    return each && atomic_fetch_add(&s->ranged, 1) % each == each - 1;
}

/* 200 with all of the file, 206 with a part of it or 416. No link is followed, as Agave does it. */
static struct MHD_Response *make_file(struct rpc_server *s, struct MHD_Connection *conn,
                                      struct sending *f, unsigned *ret_status)
{
    uint64_t first = 0, last = 0, size_b = f->feed.size_b;
    enum http_range range = HTTP_RANGE_NONE;
    struct MHD_Response *r;
    char text[80];

    if (fault(s, NODE_RANGES) && !is_cold(s))
        range = http_range_parse(MHD_lookup_connection_value(conn, MHD_HEADER_KIND, "Range"),
                                 size_b, &first, &last);
    if (range == HTTP_RANGE_SOME)
        snprintf(text, sizeof(text), "bytes %llu-%llu/%llu", (unsigned long long)first,
                 (unsigned long long)last, (unsigned long long)size_b);
    else
        snprintf(text, sizeof(text), "bytes */%llu", (unsigned long long)size_b);
    f->feed.first_b = first;
    if (range == HTTP_RANGE_BEYOND)
        size_b = 0;
    else if (range == HTTP_RANGE_SOME)
        size_b = last - first + 1;
    r = MHD_create_response_from_callback(size_b, PIECE_B, send_piece, f, sending_free);
    if (!r)
        return NULL;
    if (range != HTTP_RANGE_NONE)
        MHD_add_response_header(r, "content-range", text);
    if (fault(s, NODE_RANGES))
        MHD_add_response_header(r, "accept-ranges", "bytes");
    *ret_status = range == HTTP_RANGE_NONE ? 200 : range == HTTP_RANGE_SOME ? 206 : 416;
    return r;
}

static enum MHD_Result queue_file(struct rpc_server *s, struct MHD_Connection *conn,
                                  struct exchange *x, const char *path)
{
    AUTO(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    AUTO(destroy_response) struct MHD_Response *r = NULL;
    struct sending *f;
    unsigned status = 200;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return queue_status(conn, 404);
    f = xcalloc(1, sizeof(*f));
    *f = (struct sending){.server = s, .conn = conn, .exchange = x};
    f->feed = (struct feed){.node = &s->node,
                            .fd = TAKE_FD(fd),
                            .size_b = feed_announced(&s->node, (uint64_t)st.st_size)};
    r = make_file(s, conn, f, &status);
    if (!r) {
        sending_free(f);
        return MHD_NO;
    }
    return MHD_queue_response(conn, status, r);
}

static const char *archives_of(const struct rpc_server *s)
{
    return s->source.archives(s->source.arg);
}

static enum MHD_Result queue_location(struct MHD_Connection *conn, const char *location)
{
    return queue_text(conn, &(struct reply){.status = 303, .location = location, .body = location});
}

/* To the same path on the pool's first server. */
static enum MHD_Result queue_elsewhere(struct rpc_server *s, struct MHD_Connection *conn,
                                       const char *name)
{
    AUTO(freep) char *location = NULL;

    pthread_mutex_lock(&s->pool->lock);
    location = xasprintf("http://%s/%s", s->pool->items[0]->host, name);
    pthread_mutex_unlock(&s->pool->lock);
    return queue_location(conn, location);
}

static enum MHD_Result queue_redirect(struct rpc_server *s, struct MHD_Connection *conn,
                                      const char *path)
{
    bool incremental = str_starts(path, "/incremental-");
    AUTO(freep) char *location = NULL;
    struct archive full, inc;
    AUTO(err_freep) struct err *e = archives_highest(archives_of(s), &full, &inc);
    const char *name = incremental ? inc.name : full.name;

    if (e || (incremental && !inc.slot))
        return queue_status(conn, 404);
    if (str_starts(name, "remote/"))
        name += strlen("remote/");
    if (fault(s, NODE_ELSEWHERE))
        return queue_elsewhere(s, conn, name);
    if (fault(s, NODE_LOOPS))
        location = xstrdup(path);
    else if (fault(s, NODE_BAD_NAME))
        location = redirect_bad(fault(s, NODE_BAD_NAME), name);
    else
        location = xasprintf("/%s", name);
    return queue_location(conn, location);
}

static enum MHD_Result queue_archive(struct rpc_server *s, struct MHD_Connection *conn,
                                     struct exchange *x, const char *name)
{
    const char *dir = archives_of(s);
    AUTO(freep) char *top = xasprintf("%s/%s", dir, name);
    AUTO(freep) char *remote = xasprintf("%s/remote/%s", dir, name);
    AUTO(freep) char *self = xasprintf("/%s", name);

    if (fault(s, NODE_VANISHES))
        return queue_status(conn, 404);
    if (fault(s, NODE_ELSEWHERE))
        return queue_elsewhere(s, conn, name);
    if (fault(s, NODE_LOOPS))
        return queue_location(conn, self);
    return queue_file(s, conn, x, access(top, F_OK) == 0 ? top : remote);
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

static enum MHD_Result queue_genesis(struct rpc_server *s, struct MHD_Connection *conn,
                                     struct exchange *x)
{
    AUTO(freep) char *path = xasprintf("%s/genesis.tar.bz2", s->ledger);

    return queue_file(s, conn, x, path);
}

/* Paths that Agave takes before JSON-RPC sees the request. False: not one of them. */
static bool try_path(struct rpc_server *s, struct MHD_Connection *conn, struct exchange *x,
                     const char *path, enum MHD_Result *ret)
{
    bool snapshots = s->archives && !fault(s, NODE_NO_SNAPSHOTS);
    struct archive a;

    if (str_eq(path, "/health"))
        *ret = queue_health(s, conn);
    else if (str_eq(path, "/v0/circulating-supply") || str_eq(path, "/v0/total-supply"))
        *ret = queue_supply(s, conn);
    else if (str_eq(path, "/genesis.tar.bz2") && s->archives)
        *ret = queue_genesis(s, conn, x);
    else if (s->archives &&
             (str_eq(path, "/snapshot.tar.bz2") || str_eq(path, "/incremental-snapshot.tar.bz2")))
        *ret = snapshots ? queue_redirect(s, conn, path) : queue_status(conn, 404);
    else if (*path == '/' && archive_parse(path + 1, &a) && s->archives) {
        x->sends_file = snapshots;
        *ret = snapshots ? queue_archive(s, conn, x, path + 1) : queue_status(conn, 404);
    } else
        return false;
    return true;
}

/* A node that stands still, or claims what does not exist yet. */
static void shift(struct rpc_server *s, struct node_state *st)
{
    uint64_t stale = fault(s, NODE_STALE), ahead = fault(s, NODE_AHEAD);

    for (int i = 0; i < 3; i++) {
        uint64_t back = stale && st->slot[i] > stale ? st->slot[i] - stale : 0;

        st->slot[i] += ahead - back;
        st->height[i] = st->height[i] > back ? st->height[i] + ahead - back : 0;
    }
}

static void state(void *arg, struct node_state *ret)
{
    struct rpc_server *s = arg;

    s->source.state(s->source.arg, ret);
    shift(s, ret);
}

static bool peer(void *arg, size_t i, struct node_peer *ret)
{
    struct rpc_server *s = arg;

    return s->source.peer(s->source.arg, i, ret);
}

static void peers(void *arg, struct strbuf *out)
{
    struct rpc_server *s = arg;

    s->source.peers(s->source.arg, out);
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

    if (!s->archives || fault(s, NODE_NO_SNAPSHOTS))
        return false;
    e = archives_highest(archives_of(s), &full, &incremental);
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
    struct rpc_source source = {.arg = s,
                                .state = state,
                                .peer = peer,
                                .peers = s->source.peers ? peers : NULL,
                                .has_block = has_block,
                                .snapshots = snapshots};

    rpc_methods_call(&source, s->full_api, method, params, result, e);
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
    if (fault(s, NODE_NO_ANSWER))
        return hold(s, conn, FOREVER) ? MHD_YES : MHD_NO;
    if (fault(s, NODE_HTML))
        return queue_text(conn, &(struct reply){200, "text/html", NULL,
                                                "<html><body>Welcome to nginx!</body></html>\n"});
    text = jsonrpc_answer(strbuf_text(&x->body), x->body.len, call, s);
    return queue_text(conn, &(struct reply){200, "application/json; charset=utf-8", NULL, text});
}

static struct rpc_server *server_of(struct MHD_Connection *conn)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info ? info->socket_context : NULL;
}

static enum MHD_Result answer(struct exchange *x, struct MHD_Connection *conn, const char *path,
                              const char *method)
{
    struct rpc_server *s = x->server;
    uint64_t late_ms = fault(s, NODE_LATE);
    enum MHD_Result done;

    if (late_ms && !x->delayed) { /* asked again after the rest */
        x->delayed = true;
        if (hold(s, conn, clock_system.mono_ns() + late_ms * 1000000))
            return MHD_YES;
    }
    if (fault(s, NODE_ERROR))
        return queue_text(conn, &(struct reply){500, "text/plain", NULL, "internal error\n"});
    if (try_path(s, conn, x, path, &done)) {
        x->sends_file = x->sends_file && !str_eq(method, "HEAD");
        atomic_fetch_add(&s->files, x->sends_file);
        return done;
    }
    return answer_json(s, conn, x, method);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *conn, const char *path,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_n, void **exchange)
{
    struct exchange *x = *exchange;

    if (!x) {
        *exchange = x = xcalloc(1, sizeof(*x));
        x->server = server_of(conn);
        if (x->server)
            atomic_fetch_add(&x->server->requests, 1);
        return x->server ? MHD_YES : MHD_NO;
    }
    if (*data_n) {
        if (x->body.len + *data_n <= BODY_MAX)
            strbuf_add(&x->body, data, *data_n);
        else
            x->too_large = true;
        *data_n = 0;
        return MHD_YES;
    }
    return answer(x, conn, path, method);
}

static int fd_of(struct MHD_Connection *conn)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);

    return info ? info->connect_fd : -1;
}

/* What still lies in the kernel when a connection ends before its answer has not left: the counts
 * are of what a client can have had, to a piece. */
static void take_back_unsent(struct exchange *x, struct MHD_Connection *conn)
{
    uint64_t n;
    int queued = 0;

    if (ioctl(fd_of(conn), SIOCOUTQ, &queued) < 0 || queued <= 0)
        return;
    n = (uint64_t)queued < x->sent_b ? (uint64_t)queued : x->sent_b;
    atomic_fetch_sub(&x->server->node.bytes, n);
}

static void on_end(void *arg, struct MHD_Connection *conn, void **exchange,
                   enum MHD_RequestTerminationCode code)
{
    struct exchange *x = *exchange;

    if (x) {
        if (x->sends_file && code == MHD_REQUEST_TERMINATED_COMPLETED_OK)
            atomic_fetch_add(&x->server->files_whole, 1);
        else if (x->sent_b && code != MHD_REQUEST_TERMINATED_COMPLETED_OK)
            take_back_unsent(x, conn);
        strbuf_clear(&x->body);
    }
    free(x);
    *exchange = NULL;
}

static void on_connection(void *arg, struct MHD_Connection *conn, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct rpc_pool *p = arg;
    int fd = fd_of(conn);

    pthread_mutex_lock(&p->lock);
    if (fd >= 0 && (size_t)fd < p->of_fd_cap) {
        *socket_context = p->of_fd[fd];
        if (code == MHD_CONNECTION_NOTIFY_CLOSED)
            p->of_fd[fd] = NULL;
    }
    pthread_mutex_unlock(&p->lock);
}

static void on_accept(void *arg, int fd, const struct sockaddr_in *from)
{
    struct rpc_server *s = arg;
    struct rpc_pool *p = s->pool;

    if (fault(s, NODE_NOT_HTTP)) {
        (void)!send(fd, BANNER, strlen(BANNER), MSG_NOSIGNAL); /* gone already: just as well */
        close(fd);
        return;
    }
    pthread_mutex_lock(&p->lock);
    if (fault(s, NODE_TRICKLE)) {
        trickles_add(p->trickles, fd, s, fault(s, NODE_TRICKLE), clock_system.mono_ns());
        pthread_mutex_unlock(&p->lock);
        return;
    }
    if ((size_t)fd >= p->of_fd_cap) {
        size_t before = p->of_fd_cap;

        p->of_fd = xgrow(p->of_fd, &p->of_fd_cap, (size_t)fd + 1, sizeof(struct rpc_server *));
        for (size_t i = before; i < p->of_fd_cap; i++)
            p->of_fd[i] = NULL;
    }
    p->of_fd[fd] = s;
    pthread_mutex_unlock(&p->lock);
    /* Closes the descriptor when it fails: too many, the client sees a reset. */
    (void)MHD_add_connection(p->daemon, fd, (const struct sockaddr *)from, sizeof(*from));
}

struct err *rpc_pool_open(struct rpc_pool **ret)
{
    struct rpc_pool *p = xcalloc(1, sizeof(*p));
    struct err *e;

    pthread_mutex_init(&p->lock, NULL);
    p->trickles = trickles_new();
    errno = 0;
    p->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME |
            MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC,
        0, NULL, NULL, on_request, p, MHD_OPTION_NOTIFY_COMPLETED, on_end, p,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, p, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, 120u, MHD_OPTION_END);
    e = p->daemon ? doors_open(tick, p, &p->doors)
                  : err_sys(errno ? errno : EIO, "cannot start the HTTP service");
    if (e) {
        rpc_pool_close(p);
        return e;
    }
    *ret = p;
    return NULL;
}

struct rpc_pool *rpc_pool_close(struct rpc_pool *p)
{
    if (!p)
        return NULL;
    p->doors = doors_close(p->doors);
    pthread_mutex_lock(&p->lock);
    p->ending = true; /* nobody is put to rest from here on */
    release(p, 0, NULL, true);
    pthread_mutex_unlock(&p->lock);
    if (p->daemon)
        MHD_stop_daemon(p->daemon);
    for (size_t i = 0; i < p->n; i++) {
        free(p->items[i]->ledger);
        free(p->items[i]->host);
        free(p->items[i]);
    }
    pthread_mutex_destroy(&p->lock);
    free(p->items);
    free(p->holds);
    free(p->of_fd);
    trickles_free(p->trickles);
    free(p);
    return NULL;
}

struct err *rpc_server_open(const struct rpc_server_spec *spec, struct rpc_server **ret)
{
    struct rpc_pool *p = spec->pool;
    struct rpc_server *s = xcalloc(1, sizeof(*s));

    s->pool = p;
    s->full_api = spec->full_api;
    s->source = spec->source;
    s->archives = spec->archives;
    s->ledger = xstrdup(spec->ledger);
    s->host = xasprintf("%s:%u", spec->bind, spec->port);
    pthread_mutex_lock(&p->lock); /* the pool owns it also when it cannot listen */
    p->items = xgrow(p->items, &p->cap, p->n + 1, sizeof(struct rpc_server *));
    s->node.salt = p->n * 0x9e3779b97f4a7c15u + 4242;
    p->items[p->n++] = s;
    pthread_mutex_unlock(&p->lock);
    TRY_CTX(door_add(p->doors, spec->bind, spec->port, on_accept, s, &s->door), "cannot serve RPC");
    *ret = s;
    return NULL;
}

/* Whoever is connected sees what a dead machine's peer sees. */
static void cut_connections(struct rpc_server *s)
{
    struct rpc_pool *p = s->pool;

    pthread_mutex_lock(&p->lock);
    for (size_t fd = 0; fd < p->of_fd_cap; fd++)
        if (p->of_fd[fd] == s)
            (void)!shutdown((int)fd, SHUT_RDWR); /* its end is on the way already */
    trickles_drop(p->trickles, s);
    pthread_mutex_unlock(&p->lock);
}

struct err *rpc_server_fault(struct rpc_server *s, enum node_fault f, uint64_t value)
{
    struct rpc_pool *p = s->pool;
    struct err *e = NULL;

    if (f == NODE_THROTTLES)
        atomic_store(&s->node.throttle_from, atomic_load(&s->node.bytes));
    atomic_store(&s->node.faults[f], value);
    if (f == NODE_DEAD || f == NODE_SILENT) {
        enum door_state state = fault(s, NODE_DEAD)     ? DOOR_CLOSED
                                : fault(s, NODE_SILENT) ? DOOR_SILENT
                                                        : DOOR_OPEN;

        e = door_set(s->door, state);
        if (state != DOOR_OPEN)
            cut_connections(s);
    }
    pthread_mutex_lock(&p->lock);
    release(p, 0, s, false); /* those who wait look again */
    if (f == NODE_TRICKLE && !value)
        trickles_drop(p->trickles, s);
    pthread_mutex_unlock(&p->lock);
    return e;
}

void rpc_server_counts(const struct rpc_server *s, struct rpc_counts *ret)
{
    *ret = (struct rpc_counts){.requests = atomic_load(&s->requests),
                               .files = atomic_load(&s->files),
                               .files_whole = atomic_load(&s->files_whole),
                               .bytes = atomic_load(&s->node.bytes)};
}
