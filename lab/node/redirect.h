#pragma once

#include <stdint.h>

/* Where a node with NODE_BAD_NAME sends those who ask for its newest snapshot, whose file name is
 * name; kind: the fault's value. To be freed. */
char *redirect_bad(uint64_t kind, const char *name);
