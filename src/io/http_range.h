#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The Range header as a server of whole files understands it (RFC 9110, 14.1.2 and 14.2): one range
 * of bytes. Pure. */
enum http_range {
    HTTP_RANGE_NONE,   /* none, another unit, several, or not a range: the whole file is sent */
    HTTP_RANGE_SOME,   /* first to last, both within the file */
    HTTP_RANGE_BEYOND, /* nothing of it is in the file: 416 */
};
/* header: what stands after "Range:", or NULL. Writes on HTTP_RANGE_SOME only. */
enum http_range http_range_parse(const char *header, uint64_t size_b, uint64_t *ret_first,
                                 uint64_t *ret_last);
