/* ip_echo, the server's side (solana-net-utils 3.0.14 `ip_echo_server.rs`). One thread takes the
 * callers one after another; each may cost at most its own time-outs. */
#include "lab/node/ip_echo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/bytes.h"

#define REQUEST_B  21
#define RESPONSE_B 27
#define PORTS      4
#define IO_MS      5000

struct ip_echo_server {
    pthread_t thread;
    bool running;
    int listener, wake;
    uint16_t shred_version;
};

/* Waits for one event of fd, or for the end of the server. */
static bool ready(const struct ip_echo_server *s, int fd, short events)
{
    struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = s->wake, .events = POLLIN}};

    return poll(fds, 2, IO_MS) > 0 && !fds[1].revents && fds[0].revents;
}

/* Reads until the request is whole or is one of HTTP. */
static bool read_request(const struct ip_echo_server *s, int fd, uint8_t request[REQUEST_B])
{
    size_t have = 0;

    while (have < REQUEST_B) {
        ssize_t n;

        if (!ready(s, fd, POLLIN))
            return false;
        n = recv(fd, request + have, REQUEST_B - have, MSG_DONTWAIT);
        if (n <= 0)
            return false;
        have += (size_t)n;
        if (have >= 4 && memcmp(request, "\0\0\0\0", 4) != 0)
            return true;
    }
    return true;
}

static void send_datagram(struct sockaddr_in to, uint16_t port)
{
    AUTO(closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    to.sin_port = htons(port);
    if (fd >= 0) /* lost or not, the caller finds out by itself */
        (void)!sendto(fd, "", 1, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to));
}

static bool reaches(const struct ip_echo_server *s, struct sockaddr_in to, uint16_t port)
{
    AUTO(closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error = 0;
    socklen_t len = sizeof(error);

    to.sin_port = htons(port);
    if (fd < 0)
        return false;
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
        return true;
    return errno == EINPROGRESS && ready(s, fd, POLLOUT) &&
           getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0;
}

static void answer(const struct ip_echo_server *s, int fd, struct sockaddr_in from)
{
    static const char http[] = "HTTP/1.1 400 Bad Request\r\nContent-length: 0\r\n\r\n";
    uint8_t request[REQUEST_B] = {0}, response[RESPONSE_B] = {0};

    if (!read_request(s, fd, request))
        return;
    if (memcmp(request, "GET ", 4) == 0 || memcmp(request, "POST", 4) == 0) {
        (void)!send(fd, http, strlen(http), MSG_NOSIGNAL);
        return;
    }
    if (memcmp(request, "\0\0\0\0", 4) != 0 || request[REQUEST_B - 1] != '\n')
        return;
    for (size_t i = 0; i < PORTS; i++)
        if (get_le16(request + 4 + 2 * PORTS + 2 * i))
            send_datagram(from, get_le16(request + 4 + 2 * PORTS + 2 * i));
    for (size_t i = 0; i < PORTS; i++)
        if (get_le16(request + 4 + 2 * i) && !reaches(s, from, get_le16(request + 4 + 2 * i)))
            return;
    memcpy(response + 8, &from.sin_addr, 4); /* enum tag 0 before it: IPv4 */
    response[12] = 1;
    put_le16(response + 13, s->shred_version);
    (void)!send(fd, response, sizeof(response), MSG_NOSIGNAL);
}

static void *serve(void *arg)
{
    const struct ip_echo_server *s = arg;

    for (;;) {
        struct pollfd fds[2] = {{.fd = s->listener, .events = POLLIN},
                                {.fd = s->wake, .events = POLLIN}};
        struct sockaddr_in from;
        socklen_t len = sizeof(from);

        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return NULL;
        if (fds[1].revents)
            return NULL;
        AUTO(closep) int fd = accept4(s->listener, (struct sockaddr *)&from, &len, SOCK_CLOEXEC);
        if (fd >= 0)
            answer(s, fd, from);
    }
}

struct err *ip_echo_server_open(const char *bind_addr, uint16_t port, uint16_t shred_version,
                                struct ip_echo_server **ret)
{
    AUTO(ip_echo_server_closep) struct ip_echo_server *s = xcalloc(1, sizeof(*s));
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    int one = 1, error;

    s->shred_version = shred_version;
    s->wake = eventfd(0, EFD_CLOEXEC);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->listener < 0 || s->wake < 0)
        return err_sys(errno, "cannot open a socket");
    if (inet_pton(AF_INET, bind_addr, &addr.sin_addr) != 1)
        return err_new(ERR_BADINPUT, "'%s' is no IPv4 address", bind_addr);
    setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(s->listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
        listen(s->listener, 64) < 0)
        return err_sys(errno, "cannot listen on %s:%u", bind_addr, port);
    error = pthread_create(&s->thread, NULL, serve, s);
    if (error)
        return err_sys(error, "cannot start a thread");
    s->running = true;
    pthread_setname_np(s->thread, "solIpEchoSrvrRt");
    *ret = TAKE(s);
    return NULL;
}

struct ip_echo_server *ip_echo_server_close(struct ip_echo_server *s)
{
    uint64_t one = 1;

    if (!s)
        return NULL;
    if (s->running && write(s->wake, &one, sizeof(one)) == sizeof(one))
        pthread_join(s->thread, NULL);
    closep(&s->listener);
    closep(&s->wake);
    free(s);
    return NULL;
}

void ip_echo_server_closep(struct ip_echo_server **s)
{
    *s = ip_echo_server_close(*s);
}
