/* Who listens where, pieced together from the kernel's tables of sockets and the descriptors of
 * processes. Whether a port can be bound is another question (host/ports.c tries it). */
#include "host/sockets.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "host/procfs.h"
#include "io/fsroot.h"

#define TABLE_MAX_B  (64U << 20)
#define TCP_TIMEWAIT 6 /* include/net/tcp_states.h */
#define TCP_LISTENS  10

void bound_sockets_clear(struct bound_sockets *s)
{
    free(s->items);
    *s = (struct bound_sockets){0};
}

/* The address part of a line: 8 hex digits, or 32 of IPv6; each group of 8 is in the byte order of
 * the machine. All zeros, and IPv4 mapped into IPv6, are met by IPv4 as well. */
static void read_address(const char *hex, struct bound_socket *s)
{
    s->v6 = strlen(hex) == 32;
    bool prefix = strspn(hex, "0") >= 16;
    bool mapped = prefix && strncmp(hex + 16, "FFFF0000", 8) == 0;

    s->v4_meets = !s->v6 || mapped || strspn(hex, "0") == 32;
    s->v4 = (uint32_t)strtoul(s->v6 ? hex + 24 : hex, NULL, 16);
}

/* "0: 0100007F:22C3 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000  0 12345 …" */
static bool parse_line(const char *line, enum port_proto proto, struct bound_socket *ret)
{
    char hex[33];
    unsigned port = 0, state = 0;

    *ret = (struct bound_socket){.proto = proto};
    if (sscanf(line, " %*u: %32[0-9A-F]:%4x %*s %x %*s %*s %*s %*s %*s %" SCNu64, hex, &port,
               &state, &ret->inode) != 4)
        return false;
    if ((strlen(hex) != 8 && strlen(hex) != 32) || port > UINT16_MAX)
        return false;
    read_address(hex, ret);
    ret->port = (uint16_t)port;
    ret->listens = proto == PORT_UDP || state == TCP_LISTENS;
    return proto == PORT_UDP || state != TCP_TIMEWAIT;
}

void sockets_parse(const char *text, enum port_proto proto, struct bound_sockets *ret)
{
    for (const char *l = text; *l; l += strcspn(l, "\n"), l += *l == '\n') {
        struct bound_socket s;
        AUTO(freep) char *line = xstrndup(l, strcspn(l, "\n"));

        if (!parse_line(line, proto, &s))
            continue;
        ret->items = xgrow(ret->items, &ret->cap, ret->n + 1, sizeof(*ret->items));
        ret->items[ret->n++] = s;
    }
}

static struct err *read_table(struct ctx *ctx, pid_t pid, const char *table, enum port_proto proto,
                              struct bound_sockets *ret)
{
    AUTO(freep)
    char *path =
        pid ? xasprintf("/proc/%d/net/%s", (int)pid, table) : xasprintf("/proc/self/net/%s", table);
    AUTO(freep) char *text = NULL;
    struct err *e = fsroot_read(ctx->root, path, TABLE_MAX_B, &text, NULL);

    if (e && e->kind == ERR_NOTFOUND && str_ends(table, "6"))
        return err_free(e); /* a kernel without IPv6 */
    TRY(e);
    sockets_parse(text, proto, ret);
    return NULL;
}

struct err *sockets_read(struct ctx *ctx, pid_t pid, enum port_proto proto,
                         struct bound_sockets *ret)
{
    bool tcp = proto == PORT_TCP;

    TRY(read_table(ctx, pid, tcp ? "tcp" : "udp", proto, ret));
    return read_table(ctx, pid, tcp ? "tcp6" : "udp6", proto, ret);
}

void inodes_clear(struct inodes *i)
{
    free(i->items);
    *i = (struct inodes){0};
}

bool inodes_has(const struct inodes *i, uint64_t inode)
{
    for (size_t k = 0; k < i->n; k++)
        if (i->items[k] == inode)
            return true;
    return false;
}

static struct err *read_inodes(int proc_fd, struct inodes *ret)
{
    AUTO(freep) pid_t *fds = NULL;
    size_t n = 0;

    TRY(procfs_numbers(proc_fd, "fd", &fds, &n));
    for (size_t i = 0; i < n; i++) {
        AUTO(freep) char *name = xasprintf("fd/%d", (int)fds[i]);
        AUTO(freep) char *link = NULL;
        uint64_t v = 0;
        struct err *e = procfs_link(proc_fd, name, &link);

        if (procfs_gone(&e))
            continue; /* closed meanwhile */
        TRY(e);
        if (sscanf(link, "socket:[%" SCNu64 "]", &v) != 1)
            continue;
        ret->items = xgrow(ret->items, &ret->cap, ret->n + 1, sizeof(*ret->items));
        ret->items[ret->n++] = v;
    }
    return NULL;
}

struct err *sockets_of(struct ctx *ctx, pid_t pid, struct inodes *ret)
{
    AUTO(closep) int fd = -1;

    TRY(procfs_open_live(ctx, pid, &fd));
    return read_inodes(fd, ret);
}

struct err *socket_is_of(struct ctx *ctx, pid_t pid, uint64_t inode, bool *ret)
{
    AUTO(inodes_clear) struct inodes all = {0};

    TRY(sockets_of(ctx, pid, &all));
    *ret = inodes_has(&all, inode);
    return NULL;
}

/* *ret_comm stays NULL when the process has no such socket. */
static struct err *owner_name(struct ctx *ctx, pid_t pid, uint64_t inode, char **ret_comm)
{
    AUTO(closep) int fd = -1;
    AUTO(inodes_clear) struct inodes all = {0};
    struct proc_stat s;

    TRY(procfs_open_live(ctx, pid, &fd));
    TRY(read_inodes(fd, &all));
    if (!inodes_has(&all, inode))
        return NULL;
    TRY(procfs_stat(fd, "stat", &s));
    *ret_comm = xstrdup(s.comm);
    return NULL;
}

struct err *socket_owner(struct ctx *ctx, uint64_t inode, pid_t *ret_pid, char **ret_comm)
{
    AUTO(freep) pid_t *pids = NULL;
    AUTO(freep) char *comm = NULL;
    size_t n = 0;

    TRY(procfs_pids(ctx, &pids, &n));
    *ret_pid = 0;
    for (size_t i = 0; i < n && inode && !comm; i++) {
        struct err *e = owner_name(ctx, pids[i], inode, &comm);

        if (!procfs_hidden(&e) && !procfs_gone(&e))
            TRY_CTX(e, "cannot look for a socket's owner in process %d", (int)pids[i]);
        if (comm)
            *ret_pid = pids[i];
    }
    *ret_comm = TAKE(comm);
    return NULL;
}
