/* The answers are written byte by byte here: a correct HTTP library would not make these faults. */
#include "http_server.h"

#include <assert.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

struct conn {
    struct server *server;
    int fd;
};

static long long now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static bool say_n(int fd, const void *data, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t rc = send(fd, (const char *)data + done, n - done, MSG_NOSIGNAL);

        if (rc <= 0)
            return false;
        done += (size_t)rc;
    }
    return true;
}

static bool say(int fd, const char *text)
{
    return say_n(fd, text, strlen(text));
}

/* Until the client gives up. */
static void stall(int fd)
{
    char c;

    while (recv(fd, &c, 1, 0) > 0)
        ;
}

static void flood(int fd, const char *head)
{
    static const char piece[65536];

    say(fd, head);
    while (say_n(fd, piece, sizeof(piece)))
        ;
}

static void flood_headers(int fd)
{
    say(fd, "HTTP/1.1 200 OK\r\n");
    while (say(fd, "X-More: 0123456789012345678901234567890123456789\r\n"))
        ;
}

/* Holds every request until hold_until of them are here and no more come for a while. */
static void hold(struct server *s, int fd)
{
    pthread_mutex_lock(&s->lock);
    s->holding++;
    s->last_ms = now_ms();
    if (s->holding > s->peak)
        s->peak = s->holding;
    while (!s->released) {
        struct timespec until;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 20000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&s->changed, &s->lock, &until);
        if (s->holding >= s->hold_until && now_ms() - s->last_ms > 200) {
            s->released = true;
            pthread_cond_broadcast(&s->changed);
        }
    }
    s->holding--;
    pthread_mutex_unlock(&s->lock);
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
}

/* Sends the request's own body back. */
static void echo(int fd, const char *request)
{
    const char *body = strstr(request, "\r\n\r\n") + 4;
    char head[128];

    snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", strlen(body));
    say(fd, head);
    say(fd, body);
}

/* The request's first line and its body. */
static void echo_method(int fd, const char *request)
{
    const char *body = strstr(request, "\r\n\r\n");
    AUTO(freep)
    char *text = xasprintf("%.*s|%s", (int)strcspn(request, "\r\n"), request, body ? body + 4 : "");
    AUTO(freep)
    char *all = xasprintf("HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(text), text);

    say(fd, all);
}

static void echo_head(int fd, const char *request)
{
    char head[128];

    snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", strlen(request));
    say(fd, head);
    say(fd, request);
}

/* n bytes, each of them the low byte of its own offset. */
static void flow(int fd, size_t n)
{
    static char piece[65536];
    char head[64];

    for (size_t i = 0; i < sizeof(piece); i++)
        piece[i] = (char)i;
    snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", n);
    if (!say(fd, head))
        return;
    for (size_t done = 0; done < n; done += sizeof(piece))
        if (!say_n(fd, piece, n - done < sizeof(piece) ? n - done : sizeof(piece)))
            return;
}

/* Bytes for ever: each connection at rate_b_s, or all of them together; after so many at a tenth of
 * it (0: never). */
static void pour(struct server *s, int fd, size_t rate_b_s, bool shared, size_t until_b)
{
    static const char piece[4096];
    long long begun = now_ms();
    size_t mine = 0;
    atomic_size_t *sent = shared ? &s->poured : &(atomic_size_t){0};

    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n");
    if (shared) {
        pthread_mutex_lock(&s->lock);
        s->pour_ms = s->pour_ms ? s->pour_ms : begun;
        begun = s->pour_ms;
        pthread_mutex_unlock(&s->lock);
    }
    for (;;) {
        bool slow = until_b && mine > until_b;
        size_t due = slow ? until_b + (size_t)(now_ms() - begun) * rate_b_s / 10000
                          : (size_t)(now_ms() - begun) * rate_b_s / 1000;

        if (atomic_load(sent) >= due) {
            nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
            continue;
        }
        /* who waits is not owed: with sockets that block, the others get it */
        atomic_fetch_add(sent, sizeof(piece));
        if (!say_n(fd, piece, sizeof(piece)))
            return;
        mine += sizeof(piece);
    }
}

static const struct {
    const char *path, *answer;
} canned[] = {
    {"/html", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n"
              "<html>no</html>"},
    {"/500", "HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nboom"},
    {"/none", "HTTP/1.1 204 No Content\r\n\r\n"},
    {"/zero", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
    {"/empty", ""},
    {"/early", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789"},
    {"/less", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n0123456789"},
    {"/length", "HTTP/1.1 200 OK\r\nContent-Length: nonsense\r\n\r\n0123456789"},
    {"/until-close", "HTTP/1.1 200 OK\r\n\r\nall of it"},
    {"/chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"},
    {"/chunk-cut", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"},
    {"/chunk-bad", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n"},
    {"/ssh", "SSH-2.0-OpenSSH_9.2p1\r\n"},
    {"/huge-length", "HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\nx"},
    {"/same", "HTTP/1.1 302 Found\r\nLocation: /html\r\nContent-Length: 3\r\n\r\nmov"},
    {"/other", "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:1/x?key=s3cret\r\n"
               "Content-Length: 0\r\n\r\n"},
    {"/scheme", "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"},
    {"/loop", "HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n"},
    {"/keep", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
    {"/part", "HTTP/1.1 206 Partial Content\r\nAccept-Ranges: none, bytes\r\n"
              "Content-Range: bytes 5-9/100\r\nContent-Length: 5\r\n\r\n56789"},
    {"/part-lies", "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 9-5/100\r\n"
                   "Content-Length: 5\r\n\r\n56789"},
    {"/part-200", "HTTP/1.1 200 OK\r\nContent-Range: bytes 5-9/100\r\n"
                  "Content-Length: 5\r\n\r\n01234"},
    {"/early-hint", "HTTP/1.1 103 Early Hints\r\nLocation: /wrong\r\n\r\n"
                    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
};

static void answer(struct conn *c, const char *path, const char *request)
{
    for (size_t i = 0; i < ARRAY_LEN(canned); i++)
        if (strcmp(path, canned[i].path) == 0)
            say(c->fd, canned[i].answer);
    if (strcmp(path, "/echo") == 0)
        echo(c->fd, request);
    if (strcmp(path, "/echo-head") == 0)
        echo_head(c->fd, request);
    if (strcmp(path, "/echo-method") == 0)
        echo_method(c->fd, request);
    if (strncmp(path, "/pour-", 6) == 0) /* KiB/s */
        pour(c->server, c->fd, strtoul(path + 6, NULL, 10) << 10, false, 0);
    if (strncmp(path, "/share-", 7) == 0)
        pour(c->server, c->fd, strtoul(path + 7, NULL, 10) << 10, true, 0);
    if (strncmp(path, "/tire-", 6) == 0)
        pour(c->server, c->fd, strtoul(path + 6, NULL, 10) << 10, false, 256 << 10);
    if (strcmp(path, "/flow") == 0)
        flow(c->fd, SERVER_FLOW_B);
    if (strcmp(path, "/giant") == 0)
        flood(c->fd, "HTTP/1.1 200 OK\r\n\r\n");
    if (strcmp(path, "/giant-500") == 0)
        flood(c->fd, "HTTP/1.1 500 Oops\r\n\r\n");
    if (strcmp(path, "/headers") == 0)
        flood_headers(c->fd);
    if (strcmp(path, "/slow-body") == 0 &&
        say(c->fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n01"))
        stall(c->fd);
    if (strcmp(path, "/hold") == 0)
        hold(c->server, c->fd);
    if (strcmp(path, "/cancel") == 0)
        c->server->cancel = 1;
    if (strcmp(path, "/cancel") == 0 || strcmp(path, "/stall") == 0)
        stall(c->fd);
}

static bool whole(const char *request)
{
    const char *head = strstr(request, "\r\n\r\n"), *length = strstr(request, "Content-Length: ");

    if (!head)
        return false;
    return !length || strlen(head + 4) >= strtoul(length + 16, NULL, 10);
}

/* One request and its answer; false: the connection is not to be kept. */
static bool serve_one(struct conn *c)
{
    char request[8192] = "", path[64] = "";
    size_t n = 0;
    ssize_t got = 1;

    while (got > 0 && !whole(request) && n < sizeof(request) - 1) {
        got = recv(c->fd, request + n, sizeof(request) - 1 - n, 0);
        n += got > 0 ? (size_t)got : 0;
        request[n] = 0;
    }
    if (sscanf(request, "%*s http://%*[^/]%63[^ ?]", path) == 1) /* we are a proxy */
        c->server->n_proxied++;
    else if (sscanf(request, "%*s %63[^ ?]", path) != 1)
        return false;
    answer(c, path, request);
    return strcmp(path, "/keep") == 0;
}

static void *serve(void *arg)
{
    struct conn *c = arg;

    while (serve_one(c))
        ;
    shutdown(c->fd, SHUT_WR);
    stall(c->fd); /* a close with unread bytes would be a reset */
    close(c->fd);
    free(c);
    return NULL;
}

static void *accept_loop(void *arg)
{
    struct server *s = arg;
    int fd;

    while ((fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        struct conn *c = xcalloc(1, sizeof(*c));

        *c = (struct conn){.server = s, .fd = fd};
        assert(s->n_conns < SERVER_CONNS_MAX);
        pthread_create(&s->conns[s->n_conns++], NULL, serve, c);
    }
    return NULL;
}

static int listen_on(int backlog, int *ret_port)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(sin);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&sin, n) < 0 || listen(fd, backlog) < 0 ||
        getsockname(fd, (struct sockaddr *)&sin, &n) < 0)
        abort();
    *ret_port = ntohs(sin.sin_port);
    return fd;
}

struct server *server_start(void)
{
    struct server *s = xcalloc(1, sizeof(*s));

    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->fd = listen_on(512, &s->port);
    pthread_create(&s->thread, NULL, accept_loop, s);
    return s;
}

void server_stop(struct server *s)
{
    shutdown(s->fd, SHUT_RDWR); /* accept returns */
    pthread_join(s->thread, NULL);
    for (int i = 0; i < s->n_conns; i++)
        pthread_join(s->conns[i], NULL);
    close(s->fd);
    free(s);
}

int dead_port(int fds[3])
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int port;

    fds[0] = listen_on(0, &port);
    sin.sin_port = htons((uint16_t)port);
    for (int i = 1; i < 3; i++) { /* the queue of one is full with the first */
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)!connect(fds[i], (struct sockaddr *)&sin, sizeof(sin));
    }
    return port;
}
