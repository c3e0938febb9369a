/* Who listens on a port. Whether one is free is asked of the kernel by trying; only the name of its
 * holder is pieced together, from the tables of sockets (/proc/net/tcp and the like, proc(5)) and
 * the descriptors of all processes. */
#include "host/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "host/procfs.h"
#include "io/fsroot.h"

#define TABLE_MAX_B  (64U << 20)
#define TCP_TIMEWAIT 6 /* include/net/tcp_states.h */

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

/* The address part of a line: 8 hex digits, or 32 of IPv6; each group of 8 is in the byte order of
 * the machine. False: an IPv6 address that an IPv4 socket cannot collide with. */
static bool line_address(const char *hex, in_addr_t *ret)
{
    bool v6 = strlen(hex) == 32;
    const char *v4 = v6 ? hex + 24 : hex;

    *ret = (in_addr_t)strtoul(v4, NULL, 16);
    if (!v6)
        return true;
    bool prefix = strspn(hex, "0") >= 16;
    bool mapped = prefix && strncmp(hex + 16, "FFFF0000", 8) == 0;

    return mapped || strspn(hex, "0") == 32;
}

/* "0: 0100007F:22C3 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000  0 12345 …" */
static uint64_t holder_inode(const char *line, in_addr_t address, uint16_t port)
{
    char hex[33];
    unsigned local = 0, state = 0;
    uint64_t inode = 0;
    in_addr_t theirs;

    if (sscanf(line, " %*u: %32[0-9A-F]:%x %*s %x %*s %*s %*s %*s %*s %" SCNu64, hex, &local,
               &state, &inode) != 4)
        return 0;
    if (local != port || state == TCP_TIMEWAIT || !line_address(hex, &theirs))
        return 0;
    return !theirs || !address || theirs == address ? inode : 0;
}

static struct err *add_inodes(struct ctx *ctx, const char *table, in_addr_t address, uint16_t port,
                              uint64_t *ret)
{
    AUTO(freep) char *path = xasprintf("/proc/self/net/%s", table);
    AUTO(freep) char *text = NULL;
    char *save = NULL;
    struct err *e = fsroot_read(ctx->root, path, TABLE_MAX_B, &text, NULL);

    if (procfs_gone(&e)) /* a kernel without IPv6 */
        return NULL;
    TRY(e);
    for (char *l = strtok_r(text, "\n", &save); l && !*ret; l = strtok_r(NULL, "\n", &save))
        *ret = holder_inode(l, address, port);
    return NULL;
}

static struct err *has_socket(int proc_fd, uint64_t inode, bool *ret)
{
    AUTO(freep) pid_t *fds = NULL;
    size_t n = 0;

    TRY(procfs_numbers(proc_fd, "fd", &fds, &n));
    for (size_t i = 0; i < n && !*ret; i++) {
        AUTO(freep) char *name = xasprintf("fd/%d", (int)fds[i]);
        AUTO(freep) char *link = NULL;
        uint64_t v = 0;
        struct err *e = procfs_link(proc_fd, name, &link);

        if (procfs_gone(&e))
            continue; /* closed meanwhile */
        TRY(e);
        *ret = sscanf(link, "socket:[%" SCNu64 "]", &v) == 1 && v == inode;
    }
    return NULL;
}

static struct err *owner_name(struct ctx *ctx, pid_t pid, uint64_t inode, char **ret)
{
    AUTO(closep) int fd = -1;
    struct proc_stat s;
    bool yes = false;

    TRY(procfs_open_live(ctx, pid, &fd));
    TRY(has_socket(fd, inode, &yes));
    if (!yes)
        return NULL;
    TRY(procfs_stat(fd, "stat", &s));
    *ret = xasprintf("process %d (%s)", (int)pid, s.comm);
    return NULL;
}

struct err *port_holder(struct ctx *ctx, const char *address, uint16_t port, enum port_proto proto,
                        char **ret)
{
    AUTO(freep) pid_t *pids = NULL;
    AUTO(freep) char *who = NULL;
    struct in_addr a;
    uint64_t inode = 0;
    size_t n = 0;

    TRY(parse_address(address, &a));
    TRY(add_inodes(ctx, proto == PORT_TCP ? "tcp" : "udp", a.s_addr, port, &inode));
    if (!inode)
        TRY(add_inodes(ctx, proto == PORT_TCP ? "tcp6" : "udp6", a.s_addr, port, &inode));
    TRY(procfs_pids(ctx, &pids, &n));
    for (size_t i = 0; i < n && inode && !who; i++) {
        struct err *e = owner_name(ctx, pids[i], inode, &who);

        if (!procfs_hidden(&e) && !procfs_gone(&e))
            TRY_CTX(e, "cannot look for the holder of port %u in process %d", port, (int)pids[i]);
    }
    *ret = who ? TAKE(who) : xstrdup("somebody who cannot be seen from here");
    return NULL;
}
