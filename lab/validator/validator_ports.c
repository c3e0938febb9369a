/* The validator's sockets: Agave's order, each on the first free port of the dynamic range; the
 * gossip port is the one asked for, or the first of the range. Most are bound only so that a check
 * of ports sees them. */
#include "lab/validator/validator.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

static struct err *bind_udp(const struct validator *v, uint16_t port, int *ret)
{
    AUTO(closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};

    if (fd < 0)
        return err_sys(errno, "cannot open a UDP socket");
    if (inet_pton(AF_INET, v->o.bind, &addr.sin_addr) != 1)
        return err_new(ERR_BADINPUT, "failed to parse bind-address '%s'", v->o.bind);
    if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
        return err_sys(errno, "%s:%u", v->o.bind, port);
    *ret = TAKE_FD(fd);
    return NULL;
}

/* The next free port at or after *port; *port moves behind it. */
static struct err *bind_next(struct validator *v, enum validator_port which, uint32_t *port)
{
    for (; *port <= v->o.port_last; ++*port) {
        struct err *e = bind_udp(v, (uint16_t)*port, &v->fds[which]);

        if (!e) {
            v->ports[which] = (uint16_t)(*port)++;
            return NULL;
        }
        if (e->sys != EADDRINUSE)
            return e;
        err_free(e);
    }
    return err_new(ERR_SYS, "No available UDP ports in (%u, %u)", v->o.port_first, v->o.port_last);
}

struct err *validator_bind(struct validator *v)
{
    uint32_t port = v->o.port_first;
    int size_b = 4 << 20;

    if (v->o.gossip_port) {
        TRY_CTX(bind_udp(v, v->o.gossip_port, &v->fds[PORT_GOSSIP]), "gossip_addr bind_to port %u",
                v->o.gossip_port);
        v->ports[PORT_GOSSIP] = v->o.gossip_port;
    }
    for (int i = v->o.gossip_port ? PORT_TVU : PORT_GOSSIP; i < PORTS_N; i++)
        TRY(bind_next(v, (enum validator_port)i, &port));
    /* What the system allows; the default loses packets while a block is replayed. */
    setsockopt(v->fds[PORT_TVU], SOL_SOCKET, SO_RCVBUF, &size_b, sizeof(size_b));
    setsockopt(v->fds[PORT_REPAIR], SOL_SOCKET, SO_RCVBUF, &size_b, sizeof(size_b));
    agave_log_info(v->log, "solana_gossip::node",
                   "Bound all network sockets as follows: gossip %u, tvu %u, repair %u",
                   v->ports[PORT_GOSSIP], v->ports[PORT_TVU], v->ports[PORT_REPAIR]);
    return NULL;
}
