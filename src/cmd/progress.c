/* Steps on stderr. A terminal gets the progress of the running step rewritten in place; a log file
 * gets a line every few seconds, so that neither fills up nor looks dead. */
#include "cmd/progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "cmd/watch.h"

#define LOG_EVERY_MS 10000

static unsigned long now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (unsigned long)ts.tv_sec * 1000 + (unsigned long)ts.tv_nsec / 1000000;
}

static void progress_begin(void *arg, const char *step)
{
    struct progress *p = arg;

    snprintf(p->step, sizeof(p->step), "%s", step);
    p->open = true;
    p->last_ms = now_ms();
    if (p->tty && log_get_level() >= LOG_NORMAL)
        dprintf(STDERR_FILENO, "\r\033[K  ...  %-10s", p->step);
}

static void progress_text(void *arg, const char *text)
{
    struct progress *p = arg;

    if (log_get_level() < LOG_NORMAL)
        return;
    if (p->tty) {
        dprintf(STDERR_FILENO, "\r\033[K  ...  %-10s %.*s", p->step,
                (int)watch_fits(STDERR_FILENO, text, 18), text);
    } else if (now_ms() - p->last_ms >= LOG_EVERY_MS) {
        p->last_ms = now_ms();
        log_note("  ...  %-10s %s", p->step, text);
    }
}

static void progress_end(void *arg, bool changed, const char *text)
{
    struct progress *p = arg;

    if (p->tty && log_get_level() >= LOG_NORMAL)
        dprintf(STDERR_FILENO, "\r\033[K");
    log_note("  %s  %-10s %s", changed ? "done" : "  ok", p->step, text);
    *(changed ? &p->changed : &p->kept) += 1;
    p->open = false;
}

void progress_init(struct progress *p)
{
    *p = (struct progress){
        .report = {.begin = progress_begin,
                   .progress = progress_text,
                   .end = progress_end,
                   .arg = p},
        .tty = isatty(STDERR_FILENO),
    };
}

void progress_close(struct progress *p)
{
    if (p->open && log_get_level() >= LOG_NORMAL)
        dprintf(STDERR_FILENO, "%sfailed %-10s\n", p->tty ? "\r\033[K" : "", p->step);
    p->open = false;
}

void progress_drop(struct progress *p)
{
    if (p->open && p->tty && log_get_level() >= LOG_NORMAL)
        dprintf(STDERR_FILENO, "\r\033[K");
    p->open = false;
}
