#pragma once

#include <stdint.h>

#include "cmd/out.h"
#include "look/unit_host.h"

#define STATUS_LABEL "%-10s "

/* "1,234,567": long numbers that people compare. */
const char *status_grouped(uint64_t v, char buf[static 32]);
/* The rows memory, oom, udp and tvu; only oom when no process is known. */
void status_print_host(const struct unit_host *u, struct out *out);
