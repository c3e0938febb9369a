#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* From when to when the first certificate in a PEM text is valid (RFC 5280, 4.1.2.5), in seconds
 * since 1970. A server that refuses an expired one says "Unauthorized" and nothing more.
 * ERR_REMOTE: it cannot be read. */
struct err *kube_cert_times(const char *pem, size_t n, int64_t *ret_from, int64_t *ret_until)
    MUST_CHECK;
