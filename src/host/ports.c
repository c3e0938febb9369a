/* Who listens on a port. Whether one is free is asked of the kernel by trying; only the name of its
 * holder is pieced together (host/sockets.c). */
#include "host/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "host/sockets.h"

const char *port_proto_name(enum port_proto proto)
{
    return proto == PORT_TCP ? "TCP" : "UDP";
}

static struct err *parse_address(const char *address, struct in_addr *ret)
{
    if (inet_pton(AF_INET, address, ret) != 1)
        return err_new(ERR_BADINPUT, "'%s' is not an IPv4 address", address);
    return NULL;
}

struct err *port_is_free(const char *address, uint16_t port, enum port_proto proto, bool *ret)
{
    const int type = proto == PORT_TCP ? SOCK_STREAM : SOCK_DGRAM, on = 1;
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    AUTO(closep) int fd = -1;

    TRY(parse_address(address, &addr.sin_addr));
    fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_sys(errno, "cannot open a %s socket", port_proto_name(proto));
    /* Only TCP has connections that linger; for UDP the option would share the port. */
    if (proto == PORT_TCP && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        return err_sys(errno, "cannot prepare a TCP socket");
    int rc = bind(fd, (const struct sockaddr *)&addr, sizeof(addr));
    if (rc == 0 && proto == PORT_TCP)
        rc = listen(fd, 1);
    if (rc < 0 && errno == EADDRNOTAVAIL)
        return err_new(ERR_BADINPUT, "%s is not an address of this host", address);
    if (rc < 0 && errno != EADDRINUSE)
        return err_sys(errno, "cannot try port %u (%s)", port, port_proto_name(proto));
    *ret = rc == 0;
    return NULL;
}

static uint64_t holder_inode(const struct bound_sockets *all, in_addr_t address, uint16_t port,
                             enum port_proto proto)
{
    for (size_t i = 0; i < all->n; i++) {
        const struct bound_socket *s = &all->items[i];

        if (s->inode && s->proto == proto && s->port == port && s->v4_meets &&
            (!s->v4 || !address || s->v4 == address))
            return s->inode;
    }
    return 0;
}

struct err *port_holder(struct ctx *ctx, const char *address, uint16_t port, enum port_proto proto,
                        char **ret)
{
    AUTO(bound_sockets_clear) struct bound_sockets all = {0};
    AUTO(freep) char *comm = NULL;
    struct in_addr a;
    pid_t pid = 0;

    TRY(parse_address(address, &a));
    TRY(sockets_read(ctx, 0, proto, &all));
    uint64_t inode = holder_inode(&all, a.s_addr, port, proto);
    TRY_CTX(socket_owner(ctx, inode, &pid, &comm), "port %u", port);
    *ret = comm ? xasprintf("process %d (%s)", (int)pid, comm)
                : xstrdup("somebody who cannot be seen from here");
    return NULL;
}
