#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "host/ports.h"

/* Rules of the kernel's packet filter, as far as they decide whether a packet from outside to a
 * port of this host arrives: read from nft's JSON (libnftables-json(5)) or from the text of
 * iptables-save(8). What a rule asks besides protocol and port makes it one that may apply. */
enum fw_action {
    FW_NOTHING, /* counts, logs, marks */
    FW_ACCEPT,
    FW_DROP, /* reject as well */
    FW_JUMP,
    FW_RETURN,
    FW_DNAT,
};
struct fw_range {
    uint32_t first, last;
};
struct fw_rule {
    bool tcp, udp;          /* protocols that it is for */
    struct fw_range *ports; /* of the destination; none: any */
    size_t n_ports, cap_ports;
    bool never;    /* not for a first packet from outside: established flows, loopback, icmp */
    bool narrowed; /* asks more: addresses, interfaces, rates */
    enum fw_action action;
    char *target;     /* JUMP: name of a chain; DNAT: address, or NULL */
    uint32_t to_port; /* DNAT: 0: the same */
};
struct fw_chain {
    char *table; /* "inet filter": names are unique below it */
    char *name;
    char *hook;   /* "input", "prerouting"; NULL: only jumped to */
    bool filters; /* false: of type nat or route, where drop is no policy */
    bool drops;   /* its policy */
    struct fw_rule *rules;
    size_t n, cap;
};
struct fw {
    struct fw_chain *chains;
    size_t n, cap;
};
void fw_clear(struct fw *f);

/* Both add to ret; tables of iptables are called "iptables filter". ERR_CORRUPT, ERR_REMOTE (not
 * JSON). Rules that are not understood are narrowed ones that may accept: they never make a port
 * look open or closed that is not. */
struct err *fw_parse_nft(const char *text, size_t n, struct fw *ret) MUST_CHECK;
void fw_parse_save(const char *text, struct fw *ret);

/* Leaves out the chains of a table ("ip filter"). */
void fw_forget(struct fw *f, const char *table);
bool fw_has_table(const struct fw *f, const char *table);

enum fw_verdict { FW_PASSES, FW_DROPPED, FW_UNKNOWN };
/* A first packet from anywhere outside to this port of this host. *ret_where: the chain that
 * decides ("inet filter input"), to be freed; NULL when it passes; may be NULL. */
enum fw_verdict fw_input(const struct fw *f, enum port_proto proto, uint16_t port,
                         char **ret_where);
/* The rule that sends packets to this port elsewhere before they are delivered, or NULL. */
const struct fw_rule *fw_dnat(const struct fw *f, enum port_proto proto, uint16_t port);

/* For the parsers. */
struct fw_chain *fw_chain_get(struct fw *f, const char *table, const char *name);
struct fw_rule *fw_rule_add(struct fw_chain *c);
void fw_rule_port(struct fw_rule *r, uint32_t first, uint32_t last);
