/* The stand-in's log file. One write a line, so that a rotation never splits one. */
#include "lab/node/agave_log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>

#include "base/str.h"

struct agave_log {
    pthread_mutex_t lock;
    char *path;
    int fd;
};

static int open_file(const char *path)
{
    if (str_eq(path, "-"))
        return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

struct err *agave_log_open(const char *path, struct agave_log **ret)
{
    int fd = open_file(path);
    struct agave_log *l;

    if (fd < 0)
        return err_sys(errno, "cannot open the log '%s'", path);
    l = xcalloc(1, sizeof(*l));
    pthread_mutex_init(&l->lock, NULL);
    l->path = xstrdup(path);
    l->fd = fd;
    *ret = l;
    return NULL;
}

struct agave_log *agave_log_close(struct agave_log *l)
{
    if (!l)
        return NULL;
    close(l->fd);
    pthread_mutex_destroy(&l->lock);
    free(l->path);
    free(l);
    return NULL;
}

void agave_log_reopen(struct agave_log *l)
{
    int fd = open_file(l->path);

    if (fd < 0)
        return;
    pthread_mutex_lock(&l->lock);
    close(l->fd);
    l->fd = fd;
    pthread_mutex_unlock(&l->lock);
}

static PRINTF(5, 0) void put_line(struct agave_log *l, const char *level, const char *target,
                                  const char *prefix, const char *fmt, va_list ap)
{
    AUTO(strbuf_clear) struct strbuf line = {0};
    AUTO(freep) char *text = xvasprintf(fmt, ap);
    char stamp[32];
    struct timespec now;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
    strbuf_printf(&line, "[%s.%09ldZ %-5s %s] %s%s\n", stamp, now.tv_nsec, level, target, prefix,
                  text);
    pthread_mutex_lock(&l->lock);
    (void)!write(l->fd, line.data, line.len); /* a full disk must not stop a validator */
    pthread_mutex_unlock(&l->lock);
}

void agave_log_info(struct agave_log *l, const char *target, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    put_line(l, "INFO", target, "", fmt, ap);
    va_end(ap);
}

void agave_log_warn(struct agave_log *l, const char *target, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    put_line(l, "WARN", target, "", fmt, ap);
    va_end(ap);
}

void agave_log_error(struct agave_log *l, const char *target, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    put_line(l, "ERROR", target, "", fmt, ap);
    va_end(ap);
}

void agave_log_point(struct agave_log *l, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    put_line(l, "INFO", "solana_metrics::metrics", "datapoint: ", fmt, ap);
    va_end(ap);
}
