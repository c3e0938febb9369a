#include "server.h"

#include "base/str.h"

#include <arpa/inet.h>
#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

struct server {
    const struct page *pages;
    int fd, stop;
    pthread_t thread;
    bool quiet;
    char url[40];
    struct strbuf log;
    unsigned counts[32]; /* requests for each page */
};

static void send_all(int fd, const void *data, size_t n)
{
    const char *p = data;

    while (n) {
        ssize_t done = send(fd, p, n, MSG_NOSIGNAL);

        if (done <= 0)
            return;
        p += done;
        n -= (size_t)done;
    }
}

static bool wait_for(const struct server *s, int fd)
{
    struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = s->stop, .events = POLLIN}};

    return poll(p, 2, -1) > 0 && !p[1].revents;
}

static const struct page *page_of(const struct server *s, const char *path)
{
    static const struct page none = {.path = "", .status = 404};

    for (const struct page *p = s->pages; p->path; p++)
        if (str_eq(p->path, path))
            return p;
    return &none;
}

static void answer(struct server *s, int fd, const char *method, const char *path, bool range)
{
    const struct page *p = page_of(s, path);
    bool head = str_eq(method, "HEAD"), half = p->manner == SERVE_SHORT;
    bool sized = p->manner != SERVE_UNSIZED && p->manner != SERVE_HALF_WAY;
    int status = head && p->head_status ? p->head_status : p->status ? p->status : 200;
    AUTO(strbuf_clear) struct strbuf b = {0};
    size_t at = p->path[0] ? (size_t)(p - s->pages) : 0;
    unsigned before = p->path[0] && at < ARRAY_LEN(s->counts) ? s->counts[at]++ : 0;
    const char *location = before && p->next_location ? p->next_location : p->location;

    if (before < p->mute) {
        (void)wait_for(s, fd);
        return;
    }
    if (p->raw) {
        send_all(fd, p->raw, strlen(p->raw));
        return;
    }
    if (range && p->ranges) {
        strbuf_printf(&b,
                      "HTTP/1.1 206 X\r\nConnection: close\r\nContent-Length: 1\r\n"
                      "Content-Range: bytes 0-0/%zu\r\n\r\n",
                      p->length ? p->length : p->body_n);
        send_all(fd, b.data, b.len);
        send_all(fd, p->body, head ? 0 : 1);
        return;
    }
    half = half || p->manner == SERVE_HALF_WAY || p->manner == SERVE_STALL;
    strbuf_printf(&b, "HTTP/1.1 %d X\r\nConnection: close\r\n", status);
    if (sized)
        strbuf_printf(&b, "Content-Length: %zu\r\n",
                      status / 100 != 2 ? 0
                      : p->length       ? p->length
                                        : p->body_n);
    if (location)
        strbuf_printf(&b, "Location: %s\r\n", location);
    strbuf_puts(&b, "\r\n");
    send_all(fd, b.data, b.len);
    if (!head && status / 100 == 2)
        send_all(fd, p->body, half ? p->body_n / 2 : p->body_n);
    if (p->manner == SERVE_STALL && !head)
        (void)wait_for(s, fd);
}

static bool is_whole(const char *request)
{
    const char *body = strstr(request, "\r\n\r\n");
    const char *length = strcasestr(request, "\r\ncontent-length:");

    return body && (!length || length > body ||
                    strlen(body + 4) >= strtoul(length + strlen("\r\ncontent-length:"), NULL, 10));
}

static void serve(struct server *s, int fd)
{
    char request[4096], method[16], path[1024];
    size_t n = 0;

    while (n < sizeof(request) - 1) {
        ssize_t got = wait_for(s, fd) ? recv(fd, request + n, sizeof(request) - 1 - n, 0) : 0;

        if (got <= 0)
            return;
        n += (size_t)got;
        request[n] = 0;
        if (is_whole(request))
            break;
    }
    if (sscanf(request, "%15s %1023s", method, path) != 2)
        return;
    strbuf_printf(&s->log, "%s %s%s\n", method, path,
                  strcasestr(request, "\r\nrange:") ? " with a range" : "");
    answer(s, fd, method, path, strcasestr(request, "\r\nrange:"));
}

static void *run(void *arg)
{
    struct server *s = arg;

    while (wait_for(s, s->fd)) {
        AUTO(closep) int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);

        if (fd >= 0)
            serve(s, fd);
    }
    return NULL;
}

static int listening(struct sockaddr_in *a)
{
    socklen_t n = sizeof(*a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *a = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert(fd >= 0 && bind(fd, (struct sockaddr *)a, n) == 0 && listen(fd, 50) == 0);
    assert(getsockname(fd, (struct sockaddr *)a, &n) == 0);
    return fd;
}

struct server *server_start(const struct page *pages)
{
    struct server *s = xcalloc(1, sizeof(*s));
    struct sockaddr_in a;

    s->pages = pages;
    s->fd = listening(&a);
    s->stop = eventfd(0, EFD_CLOEXEC);
    snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u", ntohs(a.sin_port));
    assert(s->stop >= 0 && pthread_create(&s->thread, NULL, run, s) == 0);
    return s;
}

const char *server_url(const struct server *s)
{
    return s->url;
}

const char *server_log(const struct server *s)
{
    return strbuf_text(&s->log);
}

void server_quiet(struct server *s)
{
    uint64_t one = 1;

    if (s->quiet)
        return;
    assert(write(s->stop, &one, sizeof(one)) == sizeof(one));
    pthread_join(s->thread, NULL);
    s->quiet = true;
}

void server_stop(struct server *s)
{
    server_quiet(s);
    close(s->fd);
    close(s->stop);
    strbuf_clear(&s->log);
    free(s);
}

char *nobodys_url(void)
{
    struct sockaddr_in a;
    int fd = listening(&a);

    close(fd);
    return xasprintf("http://127.0.0.1:%u", ntohs(a.sin_port));
}
