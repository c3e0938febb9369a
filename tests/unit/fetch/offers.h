#pragma once

#include <stdint.h>

#include "fetch/find.h"

/* Offers made up for tests of what decides about them. */
struct offer_spec {
    const char *url;
    uint64_t full;                /* slot; 0: none */
    uint64_t incr;                /* slot of an incremental; 0: none */
    uint64_t incr_base;           /* 0: full */
    const char *hash, *incr_hash; /* NULL: the right one of the slot */
    uint64_t full_b, incr_b;      /* 0: it does not say */
    double rate_b_s;              /* 0: not measured */
    uint64_t latency_ms;          /* 0: unknown */
    const char *version, *id;
    uint64_t shred_version; /* 0: unknown */
    const char *address;    /* who answered; NULL: unknown */
    bool known, given, rpc;
    enum fetch_reason reason;
};
/* One more offer; returns its index. */
size_t offers_add(struct fetch_found *f, const struct offer_spec *s);
void offers_clear(struct fetch_found *f);
