/* A Unix stream server for few and short conversations: the stand-in's admin socket and the world's
 * control socket. Bounded in connections and in bytes of one request. */
#include "lab/node/admin_server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define PEERS_MAX   32
#define REQUEST_MAX (1u << 20)
#define READ_MS     1000

struct peer {
    int fd;
    struct strbuf in;
};

struct admin_server {
    pthread_t thread;
    bool running;
    int listener, wake;
    char *path;
    jsonrpc_call *call;
    void *arg;
    struct peer peers[PEERS_MAX];
    size_t n;
};

static void drop(struct admin_server *s, size_t i)
{
    close(s->peers[i].fd);
    strbuf_clear(&s->peers[i].in);
    s->peers[i] = s->peers[--s->n];
}

/* Most answers fit in a socket's buffer; for one that does not, a peer may take its second. */
static bool send_all(int fd, const char *text, size_t n)
{
    while (n) {
        ssize_t done = send(fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        struct pollfd p = {.fd = fd, .events = POLLOUT};

        if (done < 0 && errno == EAGAIN && poll(&p, 1, READ_MS) == 1)
            continue;
        if (done < 0)
            return false;
        text += done;
        n -= (size_t)done;
    }
    return true;
}

/* Answers what is whole in the peer's buffer. False: the peer is lost. */
static bool answer(struct admin_server *s, struct peer *p)
{
    size_t used = 0, n;

    while ((n = jsonrpc_frame(p->in.data + used, p->in.len - used)) > 0) {
        AUTO(freep) char *text = jsonrpc_answer(p->in.data + used, n, s->call, s->arg);
        size_t len = strlen(text);

        used += n;
        if (!send_all(p->fd, text, len))
            return false;
    }
    memmove(p->in.data, p->in.data + used, p->in.len - used);
    p->in.len -= used;
    return p->in.len < REQUEST_MAX;
}

static bool receive(struct admin_server *s, struct peer *p)
{
    char buf[4096];
    ssize_t n = recv(p->fd, buf, sizeof(buf), MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        return false;
    strbuf_add(&p->in, buf, (size_t)n);
    return answer(s, p);
}

static void accept_peer(struct admin_server *s)
{
    int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    if (s->n == PEERS_MAX)
        close(fd);
    else
        s->peers[s->n++] = (struct peer){.fd = fd};
}

static void *serve(void *arg)
{
    struct admin_server *s = arg;
    struct pollfd fds[2 + PEERS_MAX];

    for (;;) {
        size_t n = s->n;

        fds[0] = (struct pollfd){.fd = s->wake, .events = POLLIN};
        fds[1] = (struct pollfd){.fd = s->listener, .events = POLLIN};
        for (size_t i = 0; i < n; i++)
            fds[2 + i] = (struct pollfd){.fd = s->peers[i].fd, .events = POLLIN};
        if (poll(fds, 2 + n, -1) < 0 && errno != EINTR)
            return NULL;
        if (fds[0].revents)
            return NULL;
        for (size_t i = n; i-- > 0;)
            if (fds[2 + i].revents && !receive(s, &s->peers[i]))
                drop(s, i);
        if (fds[1].revents)
            accept_peer(s);
    }
}

static struct err *listen_at(struct admin_server *s)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    if (strlen(s->path) >= sizeof(addr.sun_path))
        return err_new(ERR_BADINPUT, "'%s' is too long for a socket", s->path);
    memcpy(addr.sun_path, s->path, strlen(s->path));
    s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->listener < 0)
        return err_sys(errno, "cannot open a Unix socket");
    if (unlink(s->path) < 0 && errno != ENOENT)
        return err_sys(errno, "cannot remove '%s'", s->path);
    /* The mode of the descriptor becomes the file's: nobody may connect in between. */
    if (fchmod(s->listener, 0600) < 0 ||
        bind(s->listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 || chmod(s->path, 0600) < 0 ||
        listen(s->listener, 16) < 0)
        return err_sys(errno, "cannot listen at '%s'", s->path);
    return NULL;
}

struct err *admin_server_open(const char *path, jsonrpc_call *call, void *arg,
                              struct admin_server **ret)
{
    AUTO(admin_server_closep) struct admin_server *s = xcalloc(1, sizeof(*s));
    int error;

    s->path = xstrdup(path);
    s->call = call;
    s->arg = arg;
    s->listener = -1;
    s->wake = eventfd(0, EFD_CLOEXEC);
    if (s->wake < 0)
        return err_sys(errno, "cannot make an eventfd");
    TRY(listen_at(s));
    error = pthread_create(&s->thread, NULL, serve, s);
    if (error)
        return err_sys(error, "cannot start a thread");
    s->running = true;
    pthread_setname_np(s->thread, "solAdminRpcEl");
    *ret = TAKE(s);
    return NULL;
}

struct admin_server *admin_server_close(struct admin_server *s)
{
    uint64_t one = 1;

    if (!s)
        return NULL;
    if (s->running && write(s->wake, &one, sizeof(one)) == sizeof(one)) {
        pthread_join(s->thread, NULL);
        unlink(s->path);
    }
    while (s->n)
        drop(s, 0);
    closep(&s->listener);
    closep(&s->wake);
    free(s->path);
    free(s);
    return NULL;
}

void admin_server_closep(struct admin_server **s)
{
    *s = admin_server_close(*s);
}
