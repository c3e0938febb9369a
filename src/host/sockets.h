#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"
#include "host/ports.h"

/* The sockets that are bound to a port in the network namespace of a process, from the kernel's
 * tables net/tcp, tcp6, udp, udp6 (proc_pid_net(5)), and whose they are. */
struct bound_socket {
    enum port_proto proto;
    uint16_t port;
    bool v6;
    bool
        v4_meets; /* an IPv4 packet can reach it: not so for one that is bound to an IPv6 address */
    uint32_t v4;  /* IPv4 address in network order that it is bound to; 0: all of them */
    bool listens; /* TCP: waits for connections; UDP: always */
    uint64_t inode; /* 0: no descriptor holds it any more */
};
struct bound_sockets {
    struct bound_socket *items;
    size_t n, cap;
};
void bound_sockets_clear(struct bound_sockets *s);

/* Those of one protocol, added to ret. pid 0: our own namespace. What waits for its end (TIME_WAIT)
 * is left out. ERR_NOTFOUND (the process is gone), ERR_SYS. */
struct err *sockets_read(struct ctx *ctx, pid_t pid, enum port_proto proto,
                         struct bound_sockets *ret) MUST_CHECK;
/* Text of one table, added to ret. Lines that are none are left out. */
void sockets_parse(const char *text, enum port_proto proto, struct bound_sockets *ret);

/* Sockets that the process's descriptors lead to, added to ret. ERR_NOTFOUND (gone), ERR_SYS. */
struct inodes {
    uint64_t *items;
    size_t n, cap;
};
void inodes_clear(struct inodes *i);
bool inodes_has(const struct inodes *i, uint64_t inode);
struct err *sockets_of(struct ctx *ctx, pid_t pid, struct inodes *ret) MUST_CHECK;
/* Does one of them lead to this socket? For more than one question, sockets_of is quicker. */
struct err *socket_is_of(struct ctx *ctx, pid_t pid, uint64_t inode, bool *ret) MUST_CHECK;
/* Whose descriptor leads to it; *ret_pid 0: nobody who can be seen from here. *ret_comm: its name,
 * at most 15 bytes, to be freed. ERR_SYS. */
struct err *socket_owner(struct ctx *ctx, uint64_t inode, pid_t *ret_pid, char **ret_comm)
    MUST_CHECK;
