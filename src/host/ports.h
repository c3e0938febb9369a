#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"

/* Ports of this process's network namespace, IPv4: can a program bind them, and who has them if
 * not.
 */
enum port_proto { PORT_TCP, PORT_UDP };
const char *port_proto_name(enum port_proto proto); /* "TCP" */

/* Tries it: binds (and listens, for TCP) and lets go at once. Connections of an earlier program
 * that only wait for their end (TIME_WAIT) do not count. ERR_BADINPUT: address is none of this
 * host's; ERR_SYS. */
struct err *port_is_free(const char *address, uint16_t port, enum port_proto proto, bool *ret)
    MUST_CHECK;
/* Who has it: "process 123 (nginx)", or "somebody who cannot be seen from here". Sockets that are
 * bound to an address that does not collide are left out. To be freed. ERR_SYS. */
struct err *port_holder(struct ctx *ctx, const char *address, uint16_t port, enum port_proto proto,
                        char **ret) MUST_CHECK;
