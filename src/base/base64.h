#pragma once

#include <stddef.h>

#include "base/err.h"
#include "base/secret.h"

/* Base64 (RFC 4648, §4), with or without line breaks and blanks; padding is needed. The bytes are
 * a secret's until somebody says otherwise. ERR_BADINPUT "not base64: byte N" (none of the text is
 * in the message). */
struct err *base64_decode(const char *text, size_t n, struct secret **ret) MUST_CHECK;
/* Without line breaks; to be freed. For what is no secret. */
char *base64_encode(const void *data, size_t n);
