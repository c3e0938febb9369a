/* Failures of HTTP in our own words: what an operator reads, whatever library speaks it. */
#include "io/http_fault.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

char *http_shown(const char *url)
{
    return xstrndup(url, strcspn(url, "?#"));
}

struct err *http_bad_url(const char *url, const char *why)
{
    AUTO(freep) char *text = http_shown(url);

    return err_new(ERR_BADINPUT, "'%s' is not a URL that can be asked: %s", text, why);
}

/* errno in the style of our messages, to be freed; NULL for 0. */
static char *os_reason(int sys)
{
    char *text;

    if (sys <= 0)
        return NULL;
    text = xstrdup(strerror(sys));
    if (*text >= 'A' && *text <= 'Z')
        *text = (char)(*text | 0x20);
    return text;
}

/* What the caller can do about it differs. */
static struct err *unix_err(const char *path, int sys)
{
    enum err_kind kind = ERR_SYS;

    if (sys == ENOENT || sys == ENOTDIR)
        kind = ERR_NOTFOUND;
    else if (sys == EACCES || sys == EPERM)
        kind = ERR_REFUSED;
    else if (sys == ECONNREFUSED)
        kind = ERR_ABSENT;
    return err_new_(__FILE__, __LINE__, kind, sys, 0, "cannot connect to '%s'", path);
}

/* ---- what failed -------------------------------------------------------------------------- */

/* Of the connection, the whole, or the least rate. */
static struct err *time_err(const struct http_request *req, const char *text,
                            const struct http_failure *f)
{
    uint32_t connect_ms = req->connect_ms ? req->connect_ms : HTTP_CONNECT_MS;

    if (req->timeout_ms && f->gone_ms + 1 >= req->timeout_ms)
        return err_new(ERR_TIMEOUT, "%s: %s within %.6g s", text,
                       f->connected ? "not done" : "no connection", (double)req->timeout_ms / 1000);
    if (!f->connected || !req->min_rate_b_s)
        return err_new(ERR_TIMEOUT, "%s: no connection within %.6g s", text,
                       (double)connect_ms / 1000);
    return err_new(ERR_TIMEOUT, "%s: slower than %u bytes/s for %u s", text, req->min_rate_b_s,
                   req->min_rate_s);
}

static struct err *cut_err(const char *text, const struct http_failure *f)
{
    if (f->length_b == UINT64_MAX)
        return err_remote(0, "%s: the connection closed in the middle of the answer", text);
    return err_remote(0, "%s: the connection closed after %llu of %llu bytes", text,
                      (unsigned long long)f->taken_b, (unsigned long long)f->length_b);
}

/* The other side's. */
static struct err *plain_err(const struct http_request *req, const char *url,
                             const struct http_failure *f)
{
    AUTO(freep) char *text = http_shown(url);
    AUTO(freep) char *reason = os_reason(f->sys);

    switch (f->what) {
    case HTTP_FAILS_TIME:
        return time_err(req, text, f);
    case HTTP_FAILS_URL:
        return http_bad_url(url, f->detail);
    case HTTP_FAILS_NAME:
        return err_remote(0, "%s: cannot resolve the host name", text);
    case HTTP_FAILS_CONNECT:
        return req->unix_socket ? unix_err(req->unix_socket, f->sys)
                                : err_remote(0, "%s: %s", text, reason ? reason : "cannot connect");
    case HTTP_FAILS_EMPTY:
        return err_remote(0, "%s: the connection closed without an answer", text);
    case HTTP_FAILS_CUT:
        return cut_err(text, f);
    case HTTP_FAILS_NOT_HTTP:
        return err_remote(0, "%s: the answer is not HTTP", text);
    case HTTP_FAILS_IO:
        return err_remote(0, "%s: %s", text, reason ? reason : f->detail);
    case HTTP_FAILS_PROXY_NAME:
    case HTTP_FAILS_PROXY:
    case HTTP_FAILS_OTHERWISE:
        break;
    }
    return err_remote(0, "%s: %s", text, f->detail);
}

/* NULL: not the proxy's. */
static char *proxy_why(const struct http_failure *f)
{
    if (f->proxy_status == 407)
        return xstrdup("it wants another user and password, http://user:password@host:port (status "
                       "407)");
    if (f->proxy_status)
        return xasprintf("%s (status %d)",
                         f->proxy_status >= 500 ? "it does not get through"
                                                : "it refuses to connect to the other side",
                         f->proxy_status);
    if (f->what == HTTP_FAILS_PROXY_NAME)
        return xstrdup("cannot resolve its name");
    if (f->what == HTTP_FAILS_CONNECT)
        return f->sys > 0 ? os_reason(f->sys) : xstrdup("cannot connect to it");
    if (f->what == HTTP_FAILS_TIME && !f->connected)
        return xstrdup("cannot connect to it in time");
    return f->what == HTTP_FAILS_PROXY ? xstrdup(f->detail) : NULL;
}

struct err *http_failure_err(const struct http_request *req, const char *url,
                             const struct http_failure *f, bool *ret_by_proxy)
{
    AUTO(freep) char *text = http_shown(url);
    AUTO(freep) char *proxy = req->proxy ? http_origin(req->proxy) : NULL;
    AUTO(freep) char *why = proxy ? proxy_why(f) : NULL;

    *ret_by_proxy = why != NULL;
    if (why)
        return err_new_(__FILE__, __LINE__, f->what == HTTP_FAILS_TIME ? ERR_TIMEOUT : ERR_REMOTE,
                        0, f->proxy_status, "%s: proxy '%s': %s", text, proxy, why);
    return proxy ? err_hint(plain_err(req, url, f), "it was asked through the proxy '%s'", proxy)
                 : plain_err(req, url, f);
}

/* ---- Unix sockets ------------------------------------------------------------------------- */

struct err *http_unix_open(const char *path, int *ret_fd)
{
    AUTO(closep) int fd = open(path, O_PATH | O_CLOEXEC);
    int e = errno;
    struct stat st;

    if (fd < 0)
        return unix_err(path, e);
    if (fstat(fd, &st) < 0)
        return err_sys(errno, "'%s'", path);
    if (!S_ISSOCK(st.st_mode))
        return err_new(ERR_BADINPUT, "'%s' is not a socket", path);
    *ret_fd = TAKE_FD(fd);
    return NULL;
}
