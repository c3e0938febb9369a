#pragma once

#include <stddef.h>
#include <stdint.h>

/* CRC-32C (Castagnoli; RFC 3720, appendix B.4), reflected, as iSCSI, ext4 and XFS use it. Begin
 * with crc 0; the result of one call is the crc of the next, so that parts can be added up. */
uint32_t crc32c(uint32_t crc, const void *data, size_t n);
