#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A number that was looked at, or not: "unknown" is never 0. v means nothing unless known. */
struct known_u64 {
    bool known;
    uint64_t v;
};
