/* The server of `agavectl snapshot serve` on libmicrohttpd, whose only user in src/ this is. One
 * thread: it waits for the library's epoll descriptor, and for the moment when the limit of the
 * rate lets more bytes out. It changes nothing on the disk. */
#include "fetch/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/ioprio.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <microhttpd.h>

#include "io/clock.h"
#include "io/fsroot.h"
#include "io/http_range.h"
#include "solana/snapshot_name.h"

#define NOBODY      65534u
#define PIECE_B     ((size_t)256 << 10)
#define IDLE_S      60           /* a client that takes nothing for so long is left */
#define WAKE_MS     500          /* how soon the end is noticed */
#define AHEAD_NS    10000000u    /* the rate is kept in pieces of 10 ms */
#define BEHIND_NS   100000000u   /* and what was missed is made up for, so far */
#define DROP_FROM_B (1ull << 30) /* larger files do not push others out of the page cache */
#define DROP_B      ((uint64_t)16 << 20)
#define NICE        10
#define IOPRIO_LOW  IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 7)

/* A request from its first line to its end. */
struct exchange {
    char *name; /* of the archive that is sent; NULL: none is */
    uint64_t first_b, n_b, sent_b, begun_ns;
};

/* The body of one. */
struct sending {
    struct server *server;
    struct MHD_Connection *conn;
    struct exchange *exchange;
    int fd;
    uint64_t first_b, whole_b, dropped_b;
    uint64_t until_ns; /* it rests */
    struct sending *next;
};

struct server {
    struct ctx *ctx;
    const struct serve_opts *o;
    struct MHD_Daemon *daemon;
    uint64_t next_ns;        /* when the limit lets more out */
    struct sending *waiting; /* whose connections rest */
};

static void destroy_response(struct MHD_Response **r)
{
    if (*r)
        MHD_destroy_response(*r);
}

static enum MHD_Result queue_text(struct MHD_Connection *conn, unsigned status, const char *text,
                                  const char *header, const char *value)
{
    AUTO(destroy_response)
    struct MHD_Response *r = MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text,
                                                             MHD_RESPMEM_MUST_COPY);

    if (!r || MHD_add_response_header(r, "Content-Type", "text/plain") != MHD_YES)
        return MHD_NO;
    if (header && MHD_add_response_header(r, header, value) != MHD_YES)
        return MHD_NO;
    return MHD_queue_response(conn, status, r);
}

/* Puts the connection to rest until the limit lets more out. */
static ssize_t rest(struct sending *f, uint64_t until_ns)
{
    f->until_ns = until_ns;
    f->next = f->server->waiting;
    f->server->waiting = f;
    MHD_suspend_connection(f->conn);
    return 0; /* what the library wants from a reader that has suspended its connection */
}

/* Wakes those whose time has come. When the next one's comes, or UINT64_MAX; 0: some were woken. */
static uint64_t wake(struct server *s, uint64_t now_ns)
{
    struct sending **at = &s->waiting;
    uint64_t next_ns = UINT64_MAX;
    bool some = false;

    while (*at) {
        struct sending *f = *at;

        if (f->until_ns <= now_ns) {
            *at = f->next;
            MHD_resume_connection(f->conn);
            some = true;
            continue;
        }
        next_ns = f->until_ns < next_ns ? f->until_ns : next_ns;
        at = &f->next;
    }
    return some ? 0 : next_ns;
}

static void count_rate(struct server *s, uint64_t now_ns, size_t n)
{
    if (!s->o->rate_b_s)
        return;
    if (s->next_ns + BEHIND_NS < now_ns)
        s->next_ns = s->next_ns ? now_ns - BEHIND_NS : now_ns;
    s->next_ns += (uint64_t)n * 1000000000 / s->o->rate_b_s;
}

static void drop_behind(struct sending *f, uint64_t pos_b)
{
    if (f->whole_b < DROP_FROM_B || pos_b < f->dropped_b + DROP_B)
        return;
    (void)posix_fadvise(f->fd, (off_t)f->dropped_b, (off_t)(pos_b - f->dropped_b),
                        POSIX_FADV_DONTNEED); /* only a hint */
    f->dropped_b = pos_b;
}

static ssize_t send_piece(void *arg, uint64_t pos, char *buf, size_t max)
{
    struct sending *f = arg;
    struct server *s = f->server;
    uint64_t now_ns = clock_mono_ns(s->ctx);
    ssize_t n;

    if (s->o->rate_b_s) {
        uint64_t most = s->o->rate_b_s / 20 + 1;

        if (s->next_ns > now_ns + AHEAD_NS)
            return rest(f, s->next_ns);
        max = max < most ? max : (size_t)most;
    }
    n = pread(f->fd, buf, max, (off_t)(f->first_b + pos));
    if (n <= 0)
        return MHD_CONTENT_READER_END_WITH_ERROR; /* shorter than it was: the client must see it */
    count_rate(s, now_ns, (size_t)n);
    drop_behind(f, f->first_b + pos);
    f->exchange->sent_b += (uint64_t)n;
    return n;
}

static void sending_free(void *arg)
{
    struct sending *f = arg;

    closep(&f->fd);
    free(f);
}

static const char *incr_dir(const struct server *s)
{
    return s->o->incr_dir ? s->o->incr_dir : s->o->dir;
}

/* A plain file of that name in the folder or in its remote/, which may belong to anybody: no link
 * is followed, and a pipe does not block. -1: there is none. */
static int open_archive(struct server *s, const char *name, struct stat *ret)
{
    AUTO(closep) int dir = -1;
    AUTO(closep) int remote = -1;
    AUTO(closep) int fd = -1;
    const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    const char *where = str_starts(name, "incremental-") ? incr_dir(s) : s->o->dir;
    struct err *e = fsroot_openat(s->ctx->root, where, O_RDONLY | O_DIRECTORY, 0, &dir);

    if (e) {
        err_free(e); /* for the client there is none; whoever looks at the folder sees why */
        return -1;
    }
    fd = openat(dir, name, flags);
    if (fd < 0 && errno == ENOENT) {
        remote = openat(dir, "remote", flags | O_DIRECTORY);
        fd = remote < 0 ? -1 : openat(remote, name, flags);
    }
    if (fd < 0 || fstat(fd, ret) < 0 || !S_ISREG(ret->st_mode))
        return -1;
    return TAKE_FD(fd);
}

/* Takes f over, also when it fails. */
static struct MHD_Response *make_response(struct sending *f, enum http_range range, uint64_t n_b)
{
    AUTO(destroy_response) struct MHD_Response *r = NULL;
    char text[96];

    if (range == HTTP_RANGE_SOME)
        snprintf(text, sizeof(text), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, f->first_b,
                 f->first_b + n_b - 1, f->whole_b);
    else
        snprintf(text, sizeof(text), "bytes */%" PRIu64, f->whole_b);
    r = MHD_create_response_from_callback(n_b, PIECE_B, send_piece, f, sending_free);
    if (!r) {
        sending_free(f);
        return NULL;
    }
    if (MHD_add_response_header(r, "Accept-Ranges", "bytes") != MHD_YES ||
        MHD_add_response_header(r, "Content-Type", "application/octet-stream") != MHD_YES ||
        (range != HTTP_RANGE_NONE && MHD_add_response_header(r, "Content-Range", text) != MHD_YES))
        return NULL;
    return TAKE(r);
}

static enum MHD_Result queue_archive(struct server *s, struct MHD_Connection *conn,
                                     struct exchange *x, const char *name, bool head)
{
    static const unsigned status[] = {
        [HTTP_RANGE_NONE] = 200, [HTTP_RANGE_SOME] = 206, [HTTP_RANGE_BEYOND] = 416};
    struct stat st;
    AUTO(closep) int fd = open_archive(s, name, &st);
    AUTO(destroy_response) struct MHD_Response *r = NULL;
    uint64_t first = 0, last = 0, n_b;
    enum http_range range;
    struct sending *f;

    if (fd < 0)
        return queue_text(conn, 404, "no such archive\n", NULL, NULL);
    range = http_range_parse(MHD_lookup_connection_value(conn, MHD_HEADER_KIND, "Range"),
                             (uint64_t)st.st_size, &first, &last);
    n_b = range == HTTP_RANGE_SOME ? last - first + 1 : (uint64_t)st.st_size;
    f = xcalloc(1, sizeof(*f));
    *f = (struct sending){.server = s,
                          .conn = conn,
                          .exchange = x,
                          .fd = TAKE_FD(fd),
                          .first_b = first,
                          .dropped_b = first,
                          .whole_b = (uint64_t)st.st_size};
    r = make_response(f, range, range == HTTP_RANGE_BEYOND ? 0 : n_b);
    if (!r)
        return MHD_NO;
    if (!head && range != HTTP_RANGE_BEYOND) {
        x->name = xstrdup(name);
        x->first_b = first;
        x->n_b = n_b;
        x->begun_ns = clock_mono_ns(s->ctx);
    }
    return MHD_queue_response(conn, status[range], r);
}

static enum MHD_Result queue_alias(struct server *s, struct MHD_Connection *conn, bool incremental)
{
    AUTO(snapshot_dir_clear) struct snapshot_dir d = {0};
    AUTO(err_freep) struct err *e = snapshot_dirs_scan(s->ctx->root, s->o->dir, incr_dir(s), &d);
    char location[SNAPSHOT_NAME_MAX + 1] = "/";

    if (e || !(incremental ? d.has_incremental : d.has_full))
        return queue_text(conn, 404, "no such archive\n", NULL, NULL);
    snapshot_name_format(incremental ? &d.incremental.name : &d.full.name, location + 1);
    return queue_text(conn, 303, "", "Location", location);
}

static enum MHD_Result queue_health(struct server *s, struct MHD_Connection *conn)
{
    AUTO(snapshot_dir_clear) struct snapshot_dir d = {0};
    AUTO(err_freep) struct err *e = snapshot_dirs_scan(s->ctx->root, s->o->dir, incr_dir(s), &d);

    return queue_text(conn, 200, !e && d.has_full ? "ok" : "unknown", NULL, NULL);
}

static bool is_archive(const char *path)
{
    struct snapshot_name name;
    struct err *e =
        *path == '/' ? snapshot_name_parse(path + 1, &name) : err_new(ERR_BADINPUT, "no path");
    bool is = !e;

    err_free(e);
    return is;
}

static enum MHD_Result answer(struct server *s, struct MHD_Connection *conn, struct exchange *x,
                              const char *path, const char *method)
{
    bool head = str_eq(method, "HEAD");

    if (!head && !str_eq(method, "GET"))
        return queue_text(conn, 405, "GET and HEAD only\n", "Allow", "GET, HEAD");
    if (str_eq(path, "/health"))
        return queue_health(s, conn);
    if (str_eq(path, "/snapshot.tar.bz2"))
        return queue_alias(s, conn, false);
    if (str_eq(path, "/incremental-snapshot.tar.bz2"))
        return queue_alias(s, conn, true);
    if (!is_archive(path))
        return queue_text(conn, 404, "not found\n", NULL, NULL);
    return queue_archive(s, conn, x, path + 1, head);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *conn, const char *path,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_n, void **exchange)
{
    struct exchange *x = *exchange;

    if (!x) {
        *exchange = xcalloc(1, sizeof(*x));
        return MHD_YES;
    }
    if (*data_n) { /* what is sent to us is not looked at */
        *data_n = 0;
        return MHD_YES;
    }
    return answer(arg, conn, x, path, method);
}

static const struct sockaddr *peer_of(struct MHD_Connection *conn)
{
    static const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

    return i ? i->client_addr : &nobody;
}

/* "10.0.0.7 had snapshot-… from byte 0: 9.3 GiB in 95.0 s, 100.1 MiB/s" */
static void say(struct server *s, struct MHD_Connection *conn, const struct exchange *x, bool whole)
{
    double seconds = (double)(clock_mono_ns(s->ctx) - x->begun_ns) / 1e9;
    char who[LISTEN_TEXT_MAX], sent[32], all[32], rate[32];
    AUTO(freep) char *line = NULL;

    fmt_size(x->sent_b, sent, sizeof(sent));
    fmt_size(x->n_b, all, sizeof(all));
    fmt_size((uint64_t)((double)x->sent_b / (seconds > 0.001 ? seconds : 0.001)), rate,
             sizeof(rate));
    line = xasprintf("%s %s %s from byte %" PRIu64 ": %s%s%s in %.1f s, %s/s",
                     address_text(peer_of(conn), who), whole ? "had" : "left", x->name, x->first_b,
                     sent, whole ? "" : " of ", whole ? "" : all, seconds, rate);
    s->o->said(s->o->arg, line);
}

static void on_end(void *arg, struct MHD_Connection *conn, void **exchange,
                   enum MHD_RequestTerminationCode code)
{
    struct server *s = arg;
    struct exchange *x = *exchange;

    if (x && x->name && s->o->said)
        say(s, conn, x, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    if (x)
        free(x->name);
    free(x);
    *exchange = NULL;
}

/* No name needs an escape: what has one is none of ours, and %00 ends nothing. */
static size_t keep_escapes(void *arg, struct MHD_Connection *conn, char *text)
{
    return strlen(text);
}

static enum MHD_Result on_connect(void *arg, const struct sockaddr *addr, socklen_t n)
{
    const struct server *s = arg;

    return nets_match(s->o->allow, addr) ? MHD_YES : MHD_NO;
}

static struct err *open_listener(const struct serve_opts *o, int *ret,
                                 char ret_text[static LISTEN_TEXT_MAX])
{
    struct sockaddr_storage addr;
    socklen_t n;
    AUTO(closep) int fd = -1;
    int one = 1;

    TRY(listen_parse(o->listen, &addr, &n));
    fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_sys(errno, "cannot open a socket");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(fd, (struct sockaddr *)&addr, n) < 0 || listen(fd, 64) < 0)
        return err_sys(errno, "cannot listen on '%s'", o->listen);
    if (getsockname(fd, (struct sockaddr *)&addr, &n) < 0)
        return err_sys(errno, "cannot ask for the port of '%s'", o->listen);
    listen_text((struct sockaddr *)&addr, ret_text);
    *ret = TAKE_FD(fd);
    return NULL;
}

/* For good: no right comes back, and none is gained by a program that is run. */
static struct err *become(uid_t uid, gid_t gid)
{
    if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        return err_sys(errno, "cannot become user %u", uid);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_sys(errno, "cannot give up new rights");
    return NULL;
}

static struct err *lower_rights(struct ctx *ctx, const char *dir)
{
    AUTO(closep) int fd = -1;
    struct stat st;
    struct err *e;

    (void)setpriority(PRIO_PROCESS, 0, NICE); /* where it is not allowed it is as it was */
    (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_LOW);
    TRY(fsroot_stat(ctx->root, dir, &st));
    if (geteuid() != 0)
        return NULL;
    /* The folder's group may be root's also where its owner is not root. */
    TRY(become(st.st_uid ? st.st_uid : NOBODY, st.st_uid && st.st_gid ? st.st_gid : NOBODY));
    e = fsroot_openat(ctx->root, dir, O_RDONLY | O_DIRECTORY, 0, &fd);
    if (e && e->sys == EACCES) {
        err_free(e);
        return err_new(ERR_REFUSED,
                       "'%s' cannot be read by user %u, as whom it would be served; give it to the "
                       "validator's user",
                       dir, geteuid());
    }
    return e;
}

static struct err *start(struct server *s, int listener)
{
    s->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC, 0,
                                 on_connect, s, on_request, s, MHD_OPTION_LISTEN_SOCKET, listener,
                                 MHD_OPTION_NOTIFY_COMPLETED, on_end, s,
                                 MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
                                 MHD_OPTION_CONNECTION_LIMIT, (unsigned)s->o->max_connections,
                                 MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_END);
    return s->daemon ? NULL : err_new(ERR_BUG, "cannot start the HTTP service");
}

static struct err *work(struct server *s)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);

    if (!info)
        return err_new(ERR_BUG, "the HTTP service has no epoll descriptor");
    while (!ctx_cancelled(s->ctx)) {
        uint64_t now_ns = clock_mono_ns(s->ctx), next_ns = wake(s, now_ns);
        struct pollfd p = {.fd = info->epoll_fd, .events = POLLIN};
        MHD_UNSIGNED_LONG_LONG ms = WAKE_MS;
        int wait_ms = WAKE_MS;

        if (next_ns == 0 && MHD_run(s->daemon) != MHD_YES) /* takes back those who rested ... */
            return err_new(ERR_BUG, "the HTTP service stopped working");
        if (MHD_get_timeout(s->daemon, &ms) == MHD_YES && ms < WAKE_MS)
            wait_ms = (int)ms;
        if (next_ns == 0) /* ... and the next round gives them something */
            wait_ms = 0;
        else if (next_ns != UINT64_MAX && (next_ns - now_ns) / 1000000 < (uint64_t)wait_ms)
            wait_ms = (int)((next_ns - now_ns) / 1000000) + 1;
        if (poll(&p, 1, wait_ms) < 0 && errno != EINTR)
            return err_sys(errno, "cannot wait for clients");
        if (MHD_run(s->daemon) != MHD_YES)
            return err_new(ERR_BUG, "the HTTP service stopped working");
    }
    return NULL;
}

struct err *serve_snapshots(struct ctx *ctx, const struct serve_opts *o)
{
    struct server s = {.ctx = ctx, .o = o};
    AUTO(closep) int listener = -1;
    char address[LISTEN_TEXT_MAX];
    struct stat st;
    struct err *e;

    TRY(fsroot_stat(ctx->root, o->dir, &st));
    TRY(open_listener(o, &listener, address));
    TRY(lower_rights(ctx, o->dir));
    TRY(start(&s, listener));
    listener = -1; /* the library's from here on */
    if (o->listening)
        o->listening(o->arg, address);
    e = work(&s);
    wake(&s, UINT64_MAX); /* none may rest when the library ends */
    MHD_stop_daemon(s.daemon);
    return e;
}
