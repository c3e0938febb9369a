#pragma once

#include <stddef.h>

/* Bytes that must never be shown: a private key, a token. Nothing here formats them, and they are
 * wiped when freed. Only the function that hands them to their library asks for the bytes. */
struct secret;

/* A copy of n bytes; the caller wipes its own (secret_wipe). Never NULL. */
struct secret *secret_new(const void *data, size_t n);
struct secret *secret_free(struct secret *s); /* NULL is fine; returns NULL */
void secret_freep(struct secret **s);
/* The bytes, with a NUL behind them that secret_n does not count; owned by the secret. NULL gives
 * NULL and 0. */
const char *secret_bytes(const struct secret *s);
size_t secret_n(const struct secret *s);

/* Overwrites a buffer that held a secret, in a way that the compiler does not leave out. */
void secret_wipe(void *data, size_t n);
/* For AUTO: wipes a NUL-terminated heap text, up to its NUL, and frees it. */
void secret_textp(char **text);
