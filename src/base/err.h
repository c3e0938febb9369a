#pragma once

#include <stdbool.h>

#include "base/cleanup.h"

/* The one error channel. A function that can fail returns struct err *: NULL is success, anything
 * else is owned by the caller, who handles it (err_free), wraps it (err_wrap) or passes it on. */
enum err_kind {
    ERR_SYS,       /* a system call failed; sys holds errno */
    ERR_NOTFOUND,  /* the thing asked for is not there */
    ERR_REFUSED,   /* a safety rule, a lock, a missing confirmation or missing rights */
    ERR_BADINPUT,  /* usage, config, a file or name that the operator gave */
    ERR_REMOTE,    /* the other side answered with an error or with nonsense */
    ERR_TIMEOUT,   /* a deadline passed */
    ERR_CANCELLED, /* the operator interrupted */
    ERR_CORRUPT,   /* data that must be whole is not */
    ERR_ABSENT,    /* a program, library or service that this needs is not on this machine */
    ERR_BUG,       /* a promise of our own was broken */
};

struct err {
    enum err_kind kind; /* the only thing a caller may branch on */
    int sys;            /* errno, or 0 when no system call failed */
    int remote;         /* HTTP status, JSON-RPC code, exit status, 128+signal, or 0 */
    char *text;         /* one line, lower case, no full stop */
    const char *file;   /* where it was born */
    int line;
};

struct err *err_new_(const char *file, int line, enum err_kind kind, int sys, int remote,
                     const char *fmt, ...) PRINTF(6, 7) MUST_CHECK;
/* Prepends "fmt: "; e may be NULL (then NULL is returned). Takes and returns ownership. */
struct err *err_wrap(struct err *e, const char *fmt, ...) PRINTF(2, 3) MUST_CHECK;
/* Appends "; fmt": the place for what to do next. */
struct err *err_hint(struct err *e, const char *fmt, ...) PRINTF(2, 3) MUST_CHECK;
/* Another one with the same content, for a failure that is remembered. NULL gives NULL. */
struct err *err_copy(const struct err *e) MUST_CHECK;
/* Returns NULL, so that "e = err_free(e)" reads well. NULL is fine. */
struct err *err_free(struct err *e);
void err_freep(struct err **e);
/* Exit code (CONVENTIONS.md): 1 failed, 2 usage or config, 4 refused, 5 interrupted or timed out,
 * 6 a needed thing is absent; 0 for NULL. */
int err_exit_code(const struct err *e);
const char *err_kind_name(enum err_kind kind);

#define err_new(kind, ...) err_new_(__FILE__, __LINE__, kind, 0, 0, __VA_ARGS__)
/* errno is read on the line after the failing call and given here; ": strerror" is appended. */
#define err_sys(errnum, ...)  err_new_(__FILE__, __LINE__, ERR_SYS, errnum, 0, __VA_ARGS__)
#define err_remote(code, ...) err_new_(__FILE__, __LINE__, ERR_REMOTE, 0, code, __VA_ARGS__)

/* The only macros that hide a return. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        struct err *try_ = (call);                                                                 \
        if (try_)                                                                                  \
            return try_;                                                                           \
    } while (0)
#define TRY_CTX(call, ...)                                                                         \
    do {                                                                                           \
        struct err *try_ = (call);                                                                 \
        if (try_)                                                                                  \
            return err_wrap(try_, __VA_ARGS__);                                                    \
    } while (0)
