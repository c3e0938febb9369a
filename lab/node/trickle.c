/* The slow ones: see trickle.h. What the client asks is never read. */
#include "lab/node/trickle.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

static const char head[] = "HTTP/1.1 200 OK\r\nx-more: ";

struct one {
    int fd;
    const void *owner;
    uint64_t every_ns, next_ns;
    size_t sent;
};

struct trickles {
    struct one *items;
    size_t n, cap;
};

struct trickles *trickles_new(void)
{
    return xcalloc(1, sizeof(struct trickles));
}

struct trickles *trickles_free(struct trickles *t)
{
    for (size_t i = 0; t && i < t->n; i++)
        close(t->items[i].fd);
    if (t)
        free(t->items);
    free(t);
    return NULL;
}

void trickles_add(struct trickles *t, int fd, const void *owner, uint64_t every_ms, uint64_t now_ns)
{
    t->items = xgrow(t->items, &t->cap, t->n + 1, sizeof(*t->items));
    t->items[t->n++] =
        (struct one){.fd = fd, .owner = owner, .every_ns = every_ms * 1000000, .next_ns = now_ns};
}

static void drop(struct trickles *t, size_t i)
{
    close(t->items[i].fd);
    t->items[i] = t->items[--t->n];
}

uint64_t trickles_tick(struct trickles *t, uint64_t now_ns)
{
    uint64_t next_ns = UINT64_MAX;

    for (size_t i = 0; i < t->n;) {
        struct one *o = &t->items[i];
        const char *byte = o->sent < strlen(head) ? &head[o->sent] : "x";

        if (o->next_ns <= now_ns) {
            if (send(o->fd, byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1) {
                drop(t, i); /* the client has left */
                continue;
            }
            o->sent++;
            o->next_ns = now_ns + o->every_ns;
        }
        next_ns = o->next_ns < next_ns ? o->next_ns : next_ns;
        i++;
    }
    return next_ns;
}

void trickles_drop(struct trickles *t, const void *owner)
{
    for (size_t i = t->n; i-- > 0;)
        if (t->items[i].owner == owner)
            drop(t, i);
}
