/* Counters and sockets of a network namespace, read through a process that lives in it: no need to
 * enter it, and the counters are those that the process's own packets pass. Reads only. */
#include "host/netstat.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "host/procfs.h"
#include "io/fsroot.h"

#define SNMP_MAX_B  65536
#define TABLE_MAX_B (16U << 20)
#define LINE_MAX_B  512
#define PREFIX      "Udp:"

/* The line after line, or NULL. */
static const char *next_line(const char *line)
{
    const char *end = strchr(line, '\n');

    return end ? end + 1 : NULL;
}

static bool next_word(const char **p, const char **word, size_t *n)
{
    *word = *p + strspn(*p, " ");
    *n = strcspn(*word, " \n");
    *p = *word + *n;
    return *n > 0;
}

static struct err *take_value(const char *name, size_t name_n, const char *value, size_t value_n,
                              struct udp_counters *c, unsigned *seen)
{
    const struct {
        const char *name;
        uint64_t *to;
    } wanted[] = {{"InDatagrams", &c->in_datagrams},
                  {"InErrors", &c->in_errors},
                  {"RcvbufErrors", &c->rcvbuf_errors}};

    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        AUTO(freep) char *text = NULL;
        struct err *e;

        if (strlen(wanted[i].name) != name_n || memcmp(wanted[i].name, name, name_n) != 0)
            continue;
        text = xstrndup(value, value_n);
        e = parse_u64(text, 0, UINT64_MAX, wanted[i].to);
        if (e) {
            (void)err_free(e); /* the kernel wrote it */
            return err_new(ERR_CORRUPT, "net/snmp: %s is not a number", wanted[i].name);
        }
        *seen |= 1U << i;
    }
    return NULL;
}

struct err *udp_counters_parse(const char *text, struct udp_counters *ret)
{
    const char *names = NULL, *values = NULL, *name, *value;
    struct udp_counters c = {0};
    size_t name_n, value_n;
    unsigned seen = 0;

    /* Two lines begin so: the names, then the values in the same order. */
    for (const char *l = text; l && !values; l = next_line(l)) {
        if (!str_starts(l, PREFIX))
            continue;
        if (names)
            values = l + strlen(PREFIX);
        else
            names = l + strlen(PREFIX);
    }
    if (!values)
        return err_new(ERR_CORRUPT, "net/snmp has no lines for UDP");
    while (next_word(&names, &name, &name_n) && next_word(&values, &value, &value_n))
        TRY(take_value(name, name_n, value, value_n, &c, &seen));
    if (seen != 7)
        return err_new(ERR_CORRUPT, "net/snmp does not tell InDatagrams, InErrors, RcvbufErrors");
    *ret = c;
    return NULL;
}

struct err *udp_port_parse(const char *text, uint16_t port, struct udp_port *ret)
{
    const char *l = next_line(text); /* the header */

    for (; l && *l; l = next_line(l)) {
        char line[LINE_MAX_B];
        uint64_t queue = 0, drops = 0;
        unsigned local = 0;

        /* A copy: sscanf would measure the rest of the table each time. */
        snprintf(line, sizeof(line), "%.*s", (int)strcspn(l, "\n"), l);

        /* sl local rem st tx:rx tr:when retrnsmt uid timeout inode ref pointer drops */
        if (sscanf(line,
                   " %*u: %*[0-9A-F]:%x %*s %*x %*x:%" SCNx64 " %*s %*s %*u %*d %*u %*d %*s "
                   "%" SCNu64,
                   &local, &queue, &drops) != 3)
            return err_new(ERR_CORRUPT, "a line of net/udp cannot be read");
        if (local != port)
            continue;
        ret->sockets++;
        if (__builtin_add_overflow(ret->rx_queue_b, queue, &ret->rx_queue_b) ||
            __builtin_add_overflow(ret->drops, drops, &ret->drops))
            return err_new(ERR_CORRUPT, "a number of net/udp is too large");
    }
    return NULL;
}

struct err *udp_counters(struct ctx *ctx, pid_t pid, struct udp_counters *ret)
{
    AUTO(freep) char *text = NULL;
    AUTO(closep) int fd = -1;

    TRY(procfs_open_live(ctx, pid, &fd));
    TRY(procfs_read(fd, "net/snmp", SNMP_MAX_B, &text, NULL));
    return udp_counters_parse(text, ret);
}

struct err *udp_port(struct ctx *ctx, pid_t pid, uint16_t port, struct udp_port *ret)
{
    static const char *const tables[] = {"net/udp", "net/udp6"};
    AUTO(closep) int fd = -1;
    struct udp_port p = {0};

    TRY(procfs_open_live(ctx, pid, &fd));
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        AUTO(freep) char *text = NULL;
        struct err *e = procfs_read(fd, tables[i], TABLE_MAX_B, &text, NULL);

        if (i > 0 && procfs_gone(&e))
            break; /* a kernel without IPv6 */
        TRY(e);
        TRY(udp_port_parse(text, port, &p));
    }
    *ret = p;
    return NULL;
}

struct err *netns_of(struct ctx *ctx, pid_t pid, uint64_t *ret)
{
    AUTO(closep) int fd = -1;

    if (pid == 0)
        TRY(fsroot_openat(ctx->root, "/proc/self", O_RDONLY | O_DIRECTORY, 0, &fd));
    else
        TRY(procfs_open_live(ctx, pid, &fd));
    return procfs_ns(fd, "net", ret);
}

bool netns_differs(struct ctx *ctx, pid_t pid)
{
    uint64_t own = 0, theirs = 0;
    struct err *e = netns_of(ctx, 0, &own);

    if (!e)
        e = netns_of(ctx, pid, &theirs);
    if (e) { /* gone, or not ours to look at: then it cannot be entered either */
        (void)err_free(e);
        return false;
    }
    return own != theirs;
}
