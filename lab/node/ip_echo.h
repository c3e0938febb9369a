#pragma once

#include <stdint.h>

#include "base/err.h"

/* The ip_echo server that Agave runs on the TCP side of its gossip port (solana-net-utils 3.0.14,
 * ip_echo_server.rs): tells a caller its address and the shred version, after one datagram to each
 * UDP port and a connection to each TCP port that it asks to have checked. */
struct ip_echo_server;

struct err *ip_echo_server_open(const char *bind, uint16_t port, uint16_t shred_version,
                                struct ip_echo_server **ret) MUST_CHECK;
struct ip_echo_server *ip_echo_server_close(struct ip_echo_server *s); /* NULL is fine */
void ip_echo_server_closep(struct ip_echo_server **s);
