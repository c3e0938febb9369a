#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Reed-Solomon over GF(2^8), polynomial 0x11d, with the matrix of the reed-solomon-erasure crate
 * 6.0.0 that Agave uses: a Vandermonde matrix times the inverse of its top square, so that the
 * first n rows are the data itself. */
struct reed_solomon;

/* n data and m code shards: 1 or more each, 256 or fewer together. ERR_BADINPUT. */
struct err *reed_solomon_new(size_t n, size_t m, struct reed_solomon **ret) MUST_CHECK;
struct reed_solomon *reed_solomon_free(struct reed_solomon *rs); /* returns NULL */
void reed_solomon_freep(struct reed_solomon **rs);

/* data: n shards of size_b bytes; code: m shards, written. */
void reed_solomon_encode(const struct reed_solomon *rs, size_t size_b, const uint8_t *const *data,
                         uint8_t *const *code);
/* shards: n + m pointers to size_b bytes each, data first. Those with present[i] false are computed
 * in place from the others. ERR_CORRUPT when fewer than n are present. */
struct err *reed_solomon_recover(const struct reed_solomon *rs, size_t size_b,
                                 uint8_t *const *shards, const bool *present) MUST_CHECK;
