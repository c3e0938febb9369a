/* One request, one line of answer over a Unix stream socket (Agave's admin.rpc: jsonrpc-ipc-server
 * 18.0.0 cuts requests by brace depth and ends each answer with a newline). Knows no JSON. And what
 * the kernel has measured of a TCP socket. */
#include "io/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <netinet/in.h>
#include <linux/tcp.h>

#include "base/str.h"
#include "io/captured.h"
#include "io/clock.h"
#include "io/fsroot.h"

#define CANCEL_POLL_MS 100
#define BACKLOG_MS     20 /* a full accept queue of a Unix socket cannot be polled for */
#define NS_PER_MS      1000000ULL

struct talk {
    struct ctx *ctx;
    const char *path;
    int fd;
    uint64_t deadline_ns; /* on the system's clock: a peer does not know a test's */
    uint32_t timeout_ms;
};

/* sun_path has 108 bytes; a longer path is reached through a descriptor of its folder. */
static struct err *fill_address(const char *path, struct sockaddr_un *sun, int *ret_dir)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    AUTO(freep) char *folder = slash ? xstrndup(path, (size_t)(slash - path) + 1) : xstrdup(".");
    int n;

    *sun = (struct sockaddr_un){.sun_family = AF_UNIX};
    n = snprintf(sun->sun_path, sizeof(sun->sun_path), "%s", path);
    if (n < (int)sizeof(sun->sun_path))
        return NULL;
    *ret_dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*ret_dir < 0)
        return err_new_(__FILE__, __LINE__, errno == ENOENT ? ERR_NOTFOUND : ERR_SYS, errno, 0,
                        "cannot open the folder '%s'", folder);
    n = snprintf(sun->sun_path, sizeof(sun->sun_path), "/proc/self/fd/%d/%s", *ret_dir, name);
    if (n >= (int)sizeof(sun->sun_path))
        return err_new(ERR_BADINPUT,
                       "'%s' cannot be a socket: its name has more than %zu bytes; give the socket "
                       "a shorter one",
                       path, sizeof(sun->sun_path) - 1);
    return NULL;
}

/* Waits for events, or for wait_ms when events is 0. */
static struct err *wait_for(struct talk *t, short events, int wait_ms)
{
    struct pollfd p = {.fd = events ? t->fd : -1, .events = events};

    for (;;) {
        uint64_t now = clock_system.mono_ns(), left_ms;

        if (ctx_cancelled(t->ctx))
            return err_new(ERR_CANCELLED, "'%s': interrupted", t->path);
        if (now >= t->deadline_ns)
            return err_new(ERR_TIMEOUT, "'%s': no answer within %.6g s", t->path,
                           (double)t->timeout_ms / 1000);
        left_ms = (t->deadline_ns - now) / NS_PER_MS + 1;
        if (poll(&p, 1, left_ms < (uint64_t)wait_ms ? (int)left_ms : wait_ms) > 0 || !events)
            return NULL;
    }
}

static struct err *connect_err(const char *path, int sys)
{
    switch (sys) {
    case ENOENT:
    case ENOTDIR:
        return err_new_(__FILE__, __LINE__, ERR_NOTFOUND, sys, 0, "cannot connect to '%s'", path);
    case ECONNREFUSED:
        return err_new(ERR_ABSENT, "nobody listens on '%s'", path);
    case EPROTOTYPE:
        return err_remote(0, "'%s' is not a stream socket", path);
    case EACCES:
    case EPERM:
        return err_hint(err_sys(sys, "cannot connect to '%s'", path),
                        "run as its owner or as root");
    default:
        return err_sys(sys, "cannot connect to '%s'", path);
    }
}

static struct err *connect_to(struct talk *t)
{
    AUTO(closep) int dir = -1;
    struct sockaddr_un sun;

    TRY(fill_address(t->path, &sun, &dir));
    t->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (t->fd < 0)
        return err_sys(errno, "cannot make a socket");
    while (connect(t->fd, (const struct sockaddr *)&sun, sizeof(sun)) < 0) {
        if (errno != EAGAIN && errno != EINTR)
            return connect_err(t->path, errno);
        TRY(wait_for(t, 0, BACKLOG_MS));
    }
    return NULL;
}

static struct err *send_line(struct talk *t, const char *request)
{
    AUTO(freep) char *line = xasprintf("%s\n", request);
    size_t n = strlen(line), done = 0;

    while (done < n) {
        ssize_t rc = send(t->fd, line + done, n - done, MSG_NOSIGNAL);
        int sys = errno;

        if (rc < 0 && (sys == EPIPE || sys == ECONNRESET))
            return err_remote(0, "'%s' was closed before it took the request", t->path);
        if (rc < 0 && sys != EAGAIN && sys != EINTR)
            return err_sys(sys, "cannot write to '%s'", t->path);
        if (rc < 0)
            TRY(wait_for(t, POLLOUT, CANCEL_POLL_MS));
        done += rc > 0 ? (size_t)rc : 0;
    }
    return NULL;
}

static struct err *read_line(struct talk *t, size_t max_b, char **ret)
{
    AUTO(strbuf_clear) struct strbuf text = {0};
    char piece[16384];

    for (;;) {
        ssize_t n = recv(t->fd, piece, sizeof(piece), 0);
        int sys = errno;
        const char *end = n > 0 ? memchr(piece, '\n', (size_t)n) : NULL;

        if (n == 0 || (n < 0 && sys == ECONNRESET))
            return err_remote(0, "'%s' was closed before its answer was whole", t->path);
        if (n < 0 && sys != EAGAIN && sys != EINTR)
            return err_sys(sys, "cannot read from '%s'", t->path);
        if (n < 0) {
            TRY(wait_for(t, POLLIN, CANCEL_POLL_MS));
            continue;
        }
        if (end)
            n = end - piece;
        if ((size_t)n > max_b - text.len)
            return err_remote(0, "'%s' answered more than %zu bytes", t->path, max_b);
        strbuf_add(&text, piece, (size_t)n);
        if (end) {
            *ret = strbuf_take(&text);
            return NULL;
        }
    }
}

struct err *sock_ask(struct ctx *ctx, const char *path, const char *request, uint32_t timeout_ms,
                     size_t max_b, char **ret)
{
    struct talk t = {.ctx = ctx,
                     .path = path,
                     .fd = -1,
                     .timeout_ms = timeout_ms,
                     .deadline_ns = clock_system.mono_ns() + timeout_ms * NS_PER_MS};

    if (ctx && fsroot_captured(ctx->root))
        return captured_sock_ask(ctx, path, request, ret);
    struct err *e = connect_to(&t);
    if (!e)
        e = send_line(&t, request);
    if (!e)
        e = read_line(&t, max_b, ret);
    closep(&t.fd);
    return e;
}

uint32_t sock_rtt_us(int fd)
{
    struct tcp_info info = {0};
    socklen_t n = sizeof(info);

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0 ||
        n < offsetof(struct tcp_info, tcpi_min_rtt) + sizeof(info.tcpi_min_rtt) ||
        info.tcpi_min_rtt == UINT32_MAX)
        return 0;
    return info.tcpi_min_rtt ? info.tcpi_min_rtt : 1;
}
