#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Base58 with Bitcoin's alphabet, as Solana prints keys and hashes. */
#define BASE58_32_MAX 45 /* text of 32 bytes with its NUL */

/* buf must hold BASE58_32_MAX bytes; returns buf. */
const char *base58_encode32(const uint8_t in[static 32], char *buf);
/* Exactly 32 bytes or ERR_BADINPUT; text need not end at n. */
struct err *base58_decode32(const char *text, size_t n, uint8_t ret[static 32]) MUST_CHECK;
