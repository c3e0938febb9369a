/* Lines on stderr, written in one call each so that two writers do not mix within a line. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/str.h"

static enum log_level level = LOG_NORMAL;

void log_set_level(enum log_level l)
{
    level = l;
}

enum log_level log_get_level(void)
{
    return level;
}

static PRINTF(2, 0) void line(const char *prefix, const char *fmt, va_list ap)
{
    AUTO(freep) char *text = xvasprintf(fmt, ap);
    AUTO(strbuf_clear) struct strbuf b = {0};

    strbuf_printf(&b, "%s%s\n", prefix, text);
    if (write(STDERR_FILENO, b.data, b.len) < 0)
        return; /* nobody left to tell */
}

void log_note(const char *fmt, ...)
{
    va_list ap;

    if (level < LOG_NORMAL)
        return;
    va_start(ap, fmt);
    line("", fmt, ap);
    va_end(ap);
}

void log_debug(const char *fmt, ...)
{
    va_list ap;

    if (level < LOG_DEBUG)
        return;
    va_start(ap, fmt);
    line("debug: ", fmt, ap);
    va_end(ap);
}
