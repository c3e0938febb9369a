/* Secrets in memory: one copy, wiped at its end. What a library (OpenSSL, libcurl) copies for
 * itself is out of reach. */
#include "base/secret.h"

#include "base/cleanup.h"

struct secret {
    size_t n;
    char bytes[];
};

struct secret *secret_new(const void *data, size_t n)
{
    size_t size_b;

    if (__builtin_add_overflow(n, sizeof(struct secret) + 1, &size_b))
        abort();
    struct secret *s = xcalloc(1, size_b);
    s->n = n;
    if (n)
        memcpy(s->bytes, data, n);
    return s;
}

struct secret *secret_free(struct secret *s)
{
    if (s)
        explicit_bzero(s->bytes, s->n);
    free(s);
    return NULL;
}

void secret_freep(struct secret **s)
{
    *s = secret_free(*s);
}

const char *secret_bytes(const struct secret *s)
{
    return s ? s->bytes : NULL;
}

size_t secret_n(const struct secret *s)
{
    return s ? s->n : 0;
}

void secret_wipe(void *data, size_t n)
{
    if (n)
        explicit_bzero(data, n);
}

void secret_textp(char **text)
{
    if (*text)
        explicit_bzero(*text, strlen(*text));
    free(TAKE(*text));
}
