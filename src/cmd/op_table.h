#pragma once

#include <stddef.h>

#include "cmd/out.h"
#include "flow/op.h"

/* Operations as an answer, the last `last` of them (0: all): {"operations": […]} or a table, which
 * is left out when it would be empty. */
void op_table_print(const struct ops *ops, size_t last, struct out *out);
