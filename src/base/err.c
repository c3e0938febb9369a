/* The error object: born once with its place, wrapped on the way up, printed by cmd/ alone. */
#include "base/err.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct err *err_new_(const char *file, int line, enum err_kind kind, int sys, int remote,
                     const char *fmt, ...)
{
    struct err *e = xcalloc(1, sizeof(*e));
    va_list ap;

    e->kind = kind;
    e->sys = sys;
    e->remote = remote;
    e->file = file;
    e->line = line;
    va_start(ap, fmt);
    e->text = xvasprintf(fmt, ap);
    va_end(ap);
    if (sys) {
        char *bare = e->text;

        e->text = xasprintf("%s: %s", bare, strerror(sys));
        free(bare);
    }
    return e;
}

static PRINTF(3, 0) struct err *join(struct err *e, bool front, const char *fmt, va_list ap)
{
    AUTO(freep) char *more = xvasprintf(fmt, ap);
    char *joined = front ? xasprintf("%s: %s", more, e->text) : xasprintf("%s; %s", e->text, more);

    free(e->text);
    e->text = joined;
    return e;
}

struct err *err_wrap(struct err *e, const char *fmt, ...)
{
    va_list ap;

    if (!e)
        return NULL;
    va_start(ap, fmt);
    e = join(e, true, fmt, ap);
    va_end(ap);
    return e;
}

struct err *err_hint(struct err *e, const char *fmt, ...)
{
    va_list ap;

    if (!e)
        return NULL;
    va_start(ap, fmt);
    e = join(e, false, fmt, ap);
    va_end(ap);
    return e;
}

struct err *err_copy(const struct err *e)
{
    if (!e)
        return NULL;
    struct err *c = xmemdup(e, sizeof(*e));
    c->text = xstrdup(e->text);
    return c;
}

struct err *err_free(struct err *e)
{
    if (e) {
        free(e->text);
        free(e);
    }
    return NULL;
}

void err_freep(struct err **e)
{
    *e = err_free(*e);
}

int err_exit_code(const struct err *e)
{
    if (!e)
        return 0;
    switch (e->kind) {
    case ERR_BADINPUT:
        return 2;
    case ERR_REFUSED:
        return 4;
    case ERR_TIMEOUT:
    case ERR_CANCELLED:
        return 5;
    case ERR_ABSENT:
        return 6;
    case ERR_SYS:
    case ERR_NOTFOUND:
    case ERR_REMOTE:
    case ERR_CORRUPT:
    case ERR_BUG:
        return 1;
    }
    return 1;
}

const char *err_kind_name(enum err_kind kind)
{
    static const char *const names[] = {
        [ERR_SYS] = "system",          [ERR_NOTFOUND] = "not found",
        [ERR_REFUSED] = "refused",     [ERR_BADINPUT] = "bad input",
        [ERR_REMOTE] = "remote",       [ERR_TIMEOUT] = "timeout",
        [ERR_CANCELLED] = "cancelled", [ERR_CORRUPT] = "corrupt",
        [ERR_ABSENT] = "absent",       [ERR_BUG] = "bug",
    };

    return names[kind];
}
