#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

/* Ownership on the stack. AUTO(fn) runs fn(&var) when the variable leaves its scope, TAKE(p) hands
 * the pointer over and disarms it. A variable marked AUTO is initialised where it is declared. */
#define AUTO(fn) __attribute__((cleanup(fn), unused)) /* unused: clang does not count fn's use */
#define TAKE(p)                                                                                    \
    ({                                                                                             \
        __auto_type take_ = (p);                                                                   \
        (p) = NULL;                                                                                \
        take_;                                                                                     \
    })
#define TAKE_FD(fd)                                                                                \
    ({                                                                                             \
        int take_ = (fd);                                                                          \
        (fd) = -1;                                                                                 \
        take_;                                                                                     \
    })

#define MUST_CHECK        __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define ARRAY_LEN(a)      (sizeof(a) / sizeof((a)[0]))

/* For AUTO: free a heap pointer, close a descriptor (-1 = none; for reading only, a descriptor that
 * was written is closed by hand and checked), close a stream that was only read. */
void freep(void *p);
void closep(int *fd);
void fclosep(FILE **f);

/* Allocation that aborts when memory is out: every flow can be resumed, so a clean death is safer
 * than a branch that no test ever takes. The result is never NULL. */
void *xmalloc(size_t size_b);
void *xcalloc(size_t n, size_t size_b);
void *xrealloc(void *p, size_t size_b);
/* Room for at least need elements of size_b: doubles *cap; the product is checked. */
void *xgrow(void *p, size_t *cap, size_t need, size_t size_b);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
void *xmemdup(const void *p, size_t size_b);
char *xasprintf(const char *fmt, ...) PRINTF(1, 2);
char *xvasprintf(const char *fmt, va_list ap) PRINTF(1, 0);
