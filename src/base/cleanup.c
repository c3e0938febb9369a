/* Cleanup handlers and the allocation that cannot fail (see the header for why it aborts). */
#include "base/cleanup.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void freep(void *p)
{
    free(*(void **)p);
}

void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

void fclosep(FILE **f)
{
    if (*f)
        fclose(*f);
}

static void *alive(void *p)
{
    if (!p) {
        fputs("agavectl: out of memory\n", stderr);
        abort();
    }
    return p;
}

void *xmalloc(size_t size_b)
{
    return alive(malloc(size_b ? size_b : 1));
}

void *xcalloc(size_t n, size_t size_b)
{
    return alive(calloc(n ? n : 1, size_b ? size_b : 1));
}

void *xrealloc(void *p, size_t size_b)
{
    return alive(realloc(p, size_b ? size_b : 1));
}

void *xgrow(void *p, size_t *cap, size_t need, size_t size_b)
{
    size_t want = *cap ? *cap : 8, bytes;

    if (need <= *cap)
        return p;
    while (want < need)
        want = want > SIZE_MAX / 2 ? need : want * 2;
    if (__builtin_mul_overflow(want, size_b, &bytes))
        alive(NULL);
    *cap = want;
    return xrealloc(p, bytes);
}

char *xstrdup(const char *s)
{
    return alive(strdup(s));
}

char *xstrndup(const char *s, size_t n)
{
    return alive(strndup(s, n));
}

void *xmemdup(const void *p, size_t size_b)
{
    void *copy = xmalloc(size_b);

    if (size_b)
        memcpy(copy, p, size_b);
    return copy;
}

char *xvasprintf(const char *fmt, va_list ap)
{
    char *text = NULL;

    return alive(vasprintf(&text, fmt, ap) < 0 ? NULL : text);
}

char *xasprintf(const char *fmt, ...)
{
    va_list ap;
    char *text;

    va_start(ap, fmt);
    text = xvasprintf(fmt, ap);
    va_end(ap);
    return text;
}
