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

struct err *http_timeout_err(const struct http_request *req, const char *url, bool connected,
                             uint64_t gone_ms)
{
    uint32_t connect_ms = req->connect_ms ? req->connect_ms : HTTP_CONNECT_MS;
    AUTO(freep) char *text = http_shown(url);

    if (req->timeout_ms && gone_ms + 1 >= req->timeout_ms)
        return err_new(ERR_TIMEOUT, "%s: %s within %.6g s", text,
                       connected ? "not done" : "no connection", (double)req->timeout_ms / 1000);
    if (!connected || !req->min_rate_b_s)
        return err_new(ERR_TIMEOUT, "%s: no connection within %.6g s", text,
                       (double)connect_ms / 1000);
    return err_new(ERR_TIMEOUT, "%s: slower than %u bytes/s for %u s", text, req->min_rate_b_s,
                   req->min_rate_s);
}

struct err *http_cut_err(const char *url, uint64_t taken_b, uint64_t length_b)
{
    AUTO(freep) char *text = http_shown(url);

    if (length_b == UINT64_MAX)
        return err_remote(0, "%s: the connection closed in the middle of the answer", text);
    return err_remote(0, "%s: the connection closed after %llu of %llu bytes", text,
                      (unsigned long long)taken_b, (unsigned long long)length_b);
}

char *http_os_reason(int sys)
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
struct err *http_unix_err(const char *path, int sys)
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

struct err *http_unix_open(const char *path, int *ret_fd)
{
    AUTO(closep) int fd = open(path, O_PATH | O_CLOEXEC);
    int e = errno;
    struct stat st;

    if (fd < 0)
        return http_unix_err(path, e);
    if (fstat(fd, &st) < 0)
        return err_sys(errno, "'%s'", path);
    if (!S_ISSOCK(st.st_mode))
        return err_new(ERR_BADINPUT, "'%s' is not a socket", path);
    *ret_fd = TAKE_FD(fd);
    return NULL;
}
