#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"

/* UDP as the kernel counts it in the network namespace of a process: everybody's in there, not only
 * the process's own (proc(5), proc_pid_net(5)). */

/* IPv4, since the namespace was made. RFC 4113, and rcvbuf_errors: those of in_errors that found
 * the socket's buffer full. */
struct udp_counters {
    uint64_t in_datagrams, in_errors, rcvbuf_errors;
};
/* ERR_NOTFOUND (the process is gone), ERR_CORRUPT, ERR_SYS. */
struct err *udp_counters(struct ctx *ctx, pid_t pid, struct udp_counters *ret) MUST_CHECK;

/* All sockets that are bound to a port, IPv4 and IPv6: several can share one (SO_REUSEPORT). */
struct udp_port {
    uint32_t sockets;    /* 0: nobody */
    uint64_t rx_queue_b; /* waits to be read, with the kernel's own overhead */
    uint64_t drops;      /* datagrams that found the buffer full, since the sockets were made */
};
/* The same errors. */
struct err *udp_port(struct ctx *ctx, pid_t pid, uint16_t port, struct udp_port *ret) MUST_CHECK;

/* The network namespace of a process (pid 0: our own) as a number. ERR_NOTFOUND, ERR_SYS. */
struct err *netns_of(struct ctx *ctx, pid_t pid, uint64_t *ret) MUST_CHECK;
/* Is it surely another one than ours? Not when it cannot be looked at. */
bool netns_differs(struct ctx *ctx, pid_t pid);

/* The parts that look at text: of /proc/<pid>/net/snmp; of net/udp and net/udp6, which adds to
 * *ret. ERR_CORRUPT. */
struct err *udp_counters_parse(const char *text, struct udp_counters *ret) MUST_CHECK;
struct err *udp_port_parse(const char *text, uint16_t port, struct udp_port *ret) MUST_CHECK;
