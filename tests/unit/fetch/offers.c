/* Offers without a network. */
#include "offers.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/str.h"

/* Texts of the alphabet of base58; that they are 32 bytes does not matter here. */
static char *hash_of(const char *given, uint64_t slot)
{
    return given ? xstrdup(given) : xasprintf("right%" PRIu64, slot);
}

static struct fetch_file file(const char *url, uint64_t base, uint64_t slot, const char *hash,
                              uint64_t size_b)
{
    struct fetch_file f = {.base = base, .slot = slot, .size_b = size_b ? size_b : UINT64_MAX};

    if (!slot)
        return (struct fetch_file){.size_b = UINT64_MAX};
    f.hash = hash_of(hash, slot);
    f.name = base ? xasprintf("incremental-snapshot-%" PRIu64 "-%" PRIu64 "-%s.tar.zst", base, slot,
                              f.hash)
                  : xasprintf("snapshot-%" PRIu64 "-%s.tar.zst", slot, f.hash);
    f.url = xasprintf("%s/%s", url, f.name);
    return f;
}

size_t offers_add(struct fetch_found *f, const struct offer_spec *s)
{
    struct fetch_offer o = {
        .peer = {.id = s->id ? xstrdup(s->id) : NULL,
                 .url = xstrdup(s->url),
                 .version = s->version ? xstrdup(s->version) : NULL,
                 .shred_version = {.known = s->shred_version != 0, .v = s->shred_version},
                 .address = s->address ? xstrdup(s->address) : NULL,
                 .given = s->given || s->rpc,
                 .rpc = s->rpc,
                 .known = s->known},
        .full = file(s->url, 0, s->full, s->hash, s->full_b),
        .incr =
            file(s->url, s->incr_base ? s->incr_base : s->full, s->incr, s->incr_hash, s->incr_b),
        .latency_us = {.known = s->latency_ms != 0, .v = s->latency_ms * 1000},
        .rate_b_s = s->rate_b_s > 0 ? s->rate_b_s : -1,
        .reason = s->reason,
    };

    f->offers = xgrow(f->offers, &f->cap, f->n + 1, sizeof(*f->offers));
    f->offers[f->n] = o;
    return f->n++;
}

static void file_clear(struct fetch_file *f)
{
    free(f->name);
    free(f->url);
    free(f->hash);
}

void offers_clear(struct fetch_found *f)
{
    for (size_t i = 0; i < f->n; i++) {
        struct fetch_offer *o = &f->offers[i];

        free(o->peer.id);
        free(o->peer.url);
        free(o->peer.version);
        free(o->peer.address);
        file_clear(&o->full);
        file_clear(&o->incr);
    }
    free(f->offers);
    *f = (struct fetch_found){0};
}
