/* Listening sockets for hundreds of nodes. A refused connection is a closed socket, a swallowed one
 * a socket with a full queue: what a client sees is the kernel's, not a pretence of ours. */
#include "lab/node/doors.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"

#define BACKLOG 128
#define FILLERS 2 /* connections of our own that fill a queue of length 0 */
#define EVENTS  64

struct door {
    struct doors *doors;
    struct sockaddr_in addr;
    door_accept *accept;
    void *arg;
    enum door_state state;
    int fd; /* -1: closed */
    int fillers[FILLERS];
};

struct doors {
    doors_tick *tick;
    void *arg;
    int epoll, wake;
    pthread_t thread;
    bool running;
    atomic_bool ending;
    pthread_mutex_t lock; /* guards what follows, and every door's state and descriptors */
    struct door **items;
    size_t n, cap;
};

static void shut_one(int *fd)
{
    int open = TAKE_FD(*fd);

    closep(&open);
}

static void shut(struct door *d)
{
    for (size_t i = 0; i < FILLERS; i++)
        shut_one(&d->fillers[i]);
    shut_one(&d->fd); /* leaves the epoll set with its last descriptor */
}

static struct err *listen_on(struct door *d, int backlog)
{
    AUTO(closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = d};
    char text[INET_ADDRSTRLEN];
    int one = 1;

    if (fd < 0)
        return err_sys(errno, "cannot open a socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&d->addr, sizeof(d->addr)) < 0 || listen(fd, backlog) < 0)
        return err_sys(errno, "cannot listen on %s:%u",
                       inet_ntop(AF_INET, &d->addr.sin_addr, text, sizeof(text)),
                       ntohs(d->addr.sin_port));
    if (backlog && epoll_ctl(d->doors->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
        return err_sys(errno, "cannot watch a socket");
    d->fd = TAKE_FD(fd);
    return NULL;
}

/* Nobody accepts: once the queue is full the kernel drops what knocks. */
static void fill_queue(struct door *d)
{
    for (size_t i = 0; i < FILLERS; i++) {
        d->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)!connect(d->fillers[i], (struct sockaddr *)&d->addr, sizeof(d->addr));
    }
}

static struct err *set_locked(struct door *d, enum door_state state)
{
    if (d->state == state)
        return NULL;
    shut(d);
    d->state = DOOR_CLOSED;
    if (state != DOOR_CLOSED)
        TRY(listen_on(d, state == DOOR_OPEN ? BACKLOG : 0));
    if (state == DOOR_SILENT)
        fill_queue(d);
    d->state = state;
    return NULL;
}

struct err *door_set(struct door *d, enum door_state state)
{
    struct err *e;

    pthread_mutex_lock(&d->doors->lock);
    e = set_locked(d, state);
    pthread_mutex_unlock(&d->doors->lock);
    return e;
}

/* The event may be older than the door's state: then there is nobody to accept. */
static void let_in(struct door *d)
{
    for (;;) {
        struct sockaddr_in from = {0};
        socklen_t len = sizeof(from);
        int fd = -1;

        pthread_mutex_lock(&d->doors->lock);
        if (d->state == DOOR_OPEN)
            fd = accept4(d->fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        pthread_mutex_unlock(&d->doors->lock);
        if (fd < 0)
            return;
        d->accept(d->arg, fd, &from);
    }
}

static void *serve(void *arg)
{
    struct doors *d = arg;
    int wait_ms = -1;

    while (!atomic_load(&d->ending)) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(d->epoll, events, EVENTS, wait_ms);
        uint64_t word;

        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                let_in(events[i].data.ptr);
            else
                (void)!read(d->wake, &word, sizeof(word)); /* only drained */
        }
        wait_ms = d->tick(d->arg);
    }
    return NULL;
}

struct err *doors_open(doors_tick *tick, void *arg, struct doors **ret)
{
    struct doors *d = xcalloc(1, sizeof(*d));
    struct epoll_event ev = {.events = EPOLLIN};
    int error;

    d->tick = tick;
    d->arg = arg;
    pthread_mutex_init(&d->lock, NULL);
    d->epoll = epoll_create1(EPOLL_CLOEXEC);
    d->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    error = d->epoll < 0 || d->wake < 0 || epoll_ctl(d->epoll, EPOLL_CTL_ADD, d->wake, &ev) < 0
                ? errno
                : pthread_create(&d->thread, NULL, serve, d);
    if (error) {
        doors_close(d);
        return err_sys(error, "cannot start the thread that accepts connections");
    }
    d->running = true;
    pthread_setname_np(d->thread, "labDoors");
    *ret = d;
    return NULL;
}

void doors_wake(struct doors *d)
{
    uint64_t one = 1;

    (void)!write(d->wake, &one, sizeof(one)); /* full: a wake is under way already */
}

struct doors *doors_close(struct doors *d)
{
    if (!d)
        return NULL;
    atomic_store(&d->ending, true);
    if (d->running) {
        doors_wake(d);
        pthread_join(d->thread, NULL);
    }
    for (size_t i = 0; i < d->n; i++) {
        shut(d->items[i]);
        free(d->items[i]);
    }
    free(d->items);
    closep(&d->epoll);
    closep(&d->wake);
    pthread_mutex_destroy(&d->lock);
    free(d);
    return NULL;
}

struct err *door_add(struct doors *d, const char *bind, uint16_t port, door_accept *accept,
                     void *arg, struct door **ret)
{
    AUTO(freep) struct door *door = xcalloc(1, sizeof(*door));
    struct err *e;

    *door = (struct door){.doors = d,
                          .addr = {.sin_family = AF_INET, .sin_port = htons(port)},
                          .accept = accept,
                          .arg = arg,
                          .state = DOOR_OPEN,
                          .fd = -1};
    for (size_t i = 0; i < FILLERS; i++)
        door->fillers[i] = -1;
    if (inet_pton(AF_INET, bind, &door->addr.sin_addr) != 1)
        return err_new(ERR_BADINPUT, "'%s' is no IPv4 address", bind);
    pthread_mutex_lock(&d->lock);
    e = listen_on(door, BACKLOG);
    if (!e) {
        d->items = xgrow(d->items, &d->cap, d->n + 1, sizeof(struct door *));
        d->items[d->n++] = *ret = TAKE(door);
    }
    pthread_mutex_unlock(&d->lock);
    return e;
}
