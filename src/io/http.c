/* HTTP over libcurl's multi interface: the only file that sees curl. All requests of a call run at
 * once in this thread, at most SOCKETS_MAX of them with a connection. What curl does by itself and
 * an operator would not expect is off: proxies from the environment, redirects to other hosts,
 * credentials in URLs, .netrc, other protocols. Responses are not trusted: everything is bounded.
 */
#include "io/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/log.h"
#include "base/str.h"
#include "io/clock.h"
#include "io/netns.h"

#define SOCKETS_MAX   256
#define CONNECT_MS    3000
#define BODY_MAX_B    (16ULL * 1024 * 1024)
#define HEADERS_MAX_B (256 * 1024)
#define REDIRECTS_MAX 5
#define POLL_MS       100 /* the operator's Ctrl-C is seen within this time */
#define STREAM_BUF_B  (512L * 1024)
#define NS_PER_MS     1000000ULL

/* One request on its way. Made when a place is free, gone when its response is written. */
struct transfer {
    const struct http_request *req;
    struct http_response *ret;
    CURL *easy;
    struct curl_slist *headers;
    char *bearer; /* the header that holds the token: wiped */
    int socket;   /* the Unix socket's file (O_PATH), or -1 */
    char *url;    /* of this hop */
    struct strbuf body;
    uint64_t begun_ns, taken_b, headers_b;
    int redirects;
    bool has_length, told_length;
    struct err *err; /* set by a callback that ended the transfer */
    char detail[CURL_ERROR_SIZE];
};

/* The URL for messages: a query may hold a provider's key. */
static char *shown(const char *url)
{
    return xstrndup(url, strcspn(url, "?#"));
}

static uint64_t since_ms(const struct transfer *t)
{
    return (clock_system.mono_ns() - t->begun_ns) / NS_PER_MS;
}

static bool is_success(const struct transfer *t)
{
    return t->ret->status >= 200 && t->ret->status < 300;
}

static uint64_t max_body_b(const struct http_request *req)
{
    return req->max_body_b ? req->max_body_b : BODY_MAX_B;
}

/* ---- what curl tells us ------------------------------------------------------------------- */

static bool header_is(const char *line, size_t n, const char *name)
{
    size_t len = strlen(name);

    return n > len && strncasecmp(line, name, len) == 0 && line[len] == ':';
}

static char *header_value(const char *line, size_t n)
{
    const char *p = memchr(line, ':', n);
    const char *end = line + n;

    for (p++; p < end && strchr(" \t", *p); p++)
        ;
    while (end > p && strchr(" \t\r\n", end[-1]))
        end--;
    return xstrndup(p, (size_t)(end - p));
}

/* A new status line (after a 1xx answer) starts again. */
static size_t on_header(char *line, size_t one, size_t n, void *arg)
{
    struct transfer *t = arg;

    t->headers_b += n;
    if (t->headers_b > HEADERS_MAX_B) {
        AUTO(freep) char *url = shown(t->url);

        t->err = err_remote(0, "%s: more than %d bytes of headers", url, HEADERS_MAX_B);
        return 0;
    }
    if (n > 5 && strncmp(line, "HTTP/", 5) == 0) {
        free(TAKE(t->ret->location));
        t->has_length = false;
    }
    if (header_is(line, n, "location") && !t->ret->location)
        t->ret->location = header_value(line, n);
    if (header_is(line, n, "content-length"))
        t->has_length = true;
    return n;
}

static void look_at_answer(struct transfer *t)
{
    curl_off_t length = -1;
    long status = 0;

    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    t->ret->status = (int)status;
    t->ret->length_b = t->has_length && length >= 0 ? (uint64_t)length : UINT64_MAX;
}

/* Once per 2xx answer, before its first piece or, when it has none, at its end. */
static struct err *tell_length(struct transfer *t)
{
    if (t->told_length || !t->req->on_data || !is_success(t))
        return NULL;
    t->told_length = true;
    return t->req->on_length ? t->req->on_length(t->req->arg, t->ret->length_b) : NULL;
}

static struct err *take(struct transfer *t, const char *data, size_t n)
{
    uint64_t max_b = max_body_b(t->req);

    look_at_answer(t);
    if (n > max_b - t->taken_b || (t->ret->length_b != UINT64_MAX && t->ret->length_b > max_b)) {
        AUTO(freep) char *url = shown(t->url);

        return err_remote(t->ret->status, "%s: the answer is larger than %llu bytes", url,
                          (unsigned long long)max_b);
    }
    t->taken_b += n;
    TRY(tell_length(t));
    if (t->req->on_data && is_success(t))
        return t->req->on_data(t->req->arg, data, n);
    strbuf_add(&t->body, data, n);
    return NULL;
}

/* An error of on_data or on_length reaches the caller as it is. */
static size_t on_body(char *data, size_t one, size_t n, void *arg)
{
    struct transfer *t = arg;

    if (!t->err)
        t->err = take(t, data, n);
    return t->err ? 0 : n;
}

/* ---- one transfer ------------------------------------------------------------------------- */

static void transfer_free(struct transfer *t)
{
    if (!t)
        return;
    curl_easy_cleanup(t->easy);
    for (struct curl_slist *h = t->bearer ? t->headers : NULL; h; h = h->next)
        secret_wipe(h->data, strlen(h->data));
    curl_slist_free_all(t->headers);
    secret_textp(&t->bearer);
    closep(&t->socket);
    strbuf_clear(&t->body);
    err_free(t->err);
    free(t->url);
    free(t);
}

static void transfer_freep(struct transfer **t)
{
    transfer_free(*t);
}

static void curlup(CURLU **u)
{
    curl_url_cleanup(*u);
}

static void curl_textp(char **text)
{
    curl_free(*text);
}

static struct err *bad_url(const char *url, const char *why)
{
    AUTO(freep) char *text = shown(url);

    return err_new(ERR_BADINPUT, "'%s' is not a URL that can be asked: %s", text, why);
}

/* ret: "scheme://host:port", the unit within which a redirect is followed. */
static struct err *origin_of(const char *url, char **ret)
{
    AUTO(curlup) CURLU *u = curl_url();
    AUTO(curl_textp) char *scheme = NULL;
    AUTO(curl_textp) char *host = NULL;
    AUTO(curl_textp) char *port = NULL;
    CURLUcode rc = curl_url_set(u, CURLUPART_URL, url, CURLU_DISALLOW_USER);

    if (rc == CURLUE_UNSUPPORTED_SCHEME || rc == CURLUE_BAD_SCHEME)
        return bad_url(url, "it must begin with http:// or https://");
    if (rc == CURLUE_USER_NOT_ALLOWED)
        return err_new(ERR_BADINPUT, "a URL with a user name or password is refused");
    if (rc != CURLUE_OK)
        return bad_url(url, curl_url_strerror(rc));
    if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK ||
        (!str_eq(scheme, "http") && !str_eq(scheme, "https")))
        return bad_url(url, "it must begin with http:// or https://");
    *ret = xasprintf("%s://%s:%s", scheme, host, port);
    for (char *p = *ret; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p | 0x20);
    return NULL;
}

static struct err *set_headers(struct transfer *t)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:"); /* no 100-continue round trip */

    for (const char *const *h = t->req->headers; h && *h; h++) {
        if (strpbrk(*h, "\r\n")) {
            curl_slist_free_all(list);
            return err_new(ERR_BUG, "a request header holds a line break");
        }
        list = curl_slist_append(list, *h);
    }
    if (t->bearer)
        list = curl_slist_append(list, t->bearer);
    t->headers = list;
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
    return NULL;
}

/* The token goes where nobody else can read it, and can be nothing but the header's end. */
static struct err *take_bearer(struct transfer *t)
{
    const char *token = secret_bytes(t->req->bearer);
    AUTO(freep) char *url = shown(t->url);

    if (!token)
        return NULL;
    if (!t->req->unix_socket && strncasecmp(t->url, "https:", 6) != 0)
        return err_new(ERR_BADINPUT, "%s: a token is sent over https only", url);
    for (size_t i = 0; i < secret_n(t->req->bearer); i++)
        if (token[i] <= ' ' || token[i] > '~')
            return err_new(ERR_BADINPUT, "%s: the token is not one line of plain text", url);
    t->bearer = xasprintf("Authorization: Bearer %s", token);
    return NULL;
}

static void set_method(struct transfer *t)
{
    const struct http_request *req = t->req;

    if (str_eq(req->method, "HEAD")) {
        curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
    } else if (str_eq(req->method, "POST")) {
        curl_easy_setopt(t->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, req->body ? req->body : "");
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body_n);
    } else {
        curl_easy_setopt(t->easy, CURLOPT_HTTPGET, 1L);
    }
}

static void set_protocols(CURL *easy)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
    /* a name server that does not answer must not hold the end of the call up */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
}

static void set_limits(struct transfer *t)
{
    const struct http_request *req = t->req;

    curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(req->connect_ms ? req->connect_ms : CONNECT_MS));
    if (req->min_rate_b_s) {
        curl_easy_setopt(t->easy, CURLOPT_LOW_SPEED_LIMIT, (long)req->min_rate_b_s);
        curl_easy_setopt(t->easy, CURLOPT_LOW_SPEED_TIME,
                         (long)(req->min_rate_s ? req->min_rate_s : 1));
    }
    if (req->on_data)
        curl_easy_setopt(t->easy, CURLOPT_BUFFERSIZE, STREAM_BUF_B);
}

static void set_options(struct transfer *t)
{
    CURL *easy = t->easy;

    set_protocols(easy);
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* not even from the environment */
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "agavectl/" AGAVECTL_VERSION);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->detail);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
}

/* ---- where it goes, and as whom ----------------------------------------------------------- */

/* Not copied: the request outlives the transfer, and a copy of a key would not be wiped. */
static void set_blob(CURL *easy, CURLoption option, const char *data, size_t n)
{
    struct curl_blob blob = {.data = (void *)(uintptr_t)data, .len = n, .flags = CURL_BLOB_NOCOPY};

    curl_easy_setopt(easy, option, &blob);
}

static struct err *set_tls(struct transfer *t)
{
    const struct http_tls *tls = t->req->tls;

    curl_easy_setopt(t->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (!tls)
        return NULL;
    if (!tls->cert != !tls->key)
        return err_new(ERR_BUG, "a client certificate needs its key");
    if (tls->ca) {
        set_blob(t->easy, CURLOPT_CAINFO_BLOB, tls->ca, tls->ca_n);
        curl_easy_setopt(t->easy, CURLOPT_CAPATH, NULL); /* or the system's would count as well */
    }
    if (!tls->cert)
        return NULL;
    set_blob(t->easy, CURLOPT_SSLCERT_BLOB, tls->cert, tls->cert_n);
    set_blob(t->easy, CURLOPT_SSLKEY_BLOB, secret_bytes(tls->key), secret_n(tls->key));
    curl_easy_setopt(t->easy, CURLOPT_SSLCERTTYPE, "PEM");
    curl_easy_setopt(t->easy, CURLOPT_SSLKEYTYPE, "PEM");
    return NULL;
}

/* Never from or into the pool of connections, which knows neither namespaces nor descriptors. */
static void set_own_connection(CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
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

/* The path, of any length, is resolved once: what was looked at is what is connected to. */
static struct err *set_unix_socket(struct transfer *t)
{
    const char *path = t->req->unix_socket;
    char by_fd[64];
    struct stat st;
    int e;

    if (!path)
        return NULL;
    t->socket = open(path, O_PATH | O_CLOEXEC);
    e = errno;
    if (t->socket < 0)
        return unix_err(path, e);
    if (fstat(t->socket, &st) < 0)
        return err_sys(errno, "'%s'", path);
    if (!S_ISSOCK(st.st_mode))
        return err_new(ERR_BADINPUT, "'%s' is not a socket", path);
    snprintf(by_fd, sizeof(by_fd), "/proc/self/fd/%d", t->socket);
    curl_easy_setopt(t->easy, CURLOPT_UNIX_SOCKET_PATH, by_fd);
    set_own_connection(t->easy);
    return NULL;
}

static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct transfer *t = arg;
    int fd = CURL_SOCKET_BAD;

    if (t->err)
        return fd;
    t->err = netns_socket(t->req->netns_fd, a->family, a->socktype, a->protocol, &fd);
    if (t->err)
        t->err = err_wrap(t->err, "%.*s", (int)strcspn(t->url, "?#"), t->url);
    return fd;
}

static struct err *set_netns(struct transfer *t)
{
    AUTO(curlup) CURLU *u = curl_url();
    AUTO(curl_textp) char *host = NULL;
    unsigned char address[sizeof(struct in6_addr)];

    if (t->req->netns_fd <= 0)
        return NULL;
    curl_url_set(u, CURLUPART_URL, t->url, 0);
    curl_url_get(u, CURLUPART_HOST, &host, 0);
    /* an IPv6 address stands in brackets, and nothing else does */
    if (!host || (host[0] != '[' && inet_pton(AF_INET, host, address) != 1))
        return bad_url(t->url, "another network namespace needs an IP address");
    curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETDATA, t);
    set_own_connection(t->easy);
    return NULL;
}

/* Points the handle at t->url; the time-out covers all hops together. */
static struct err *aim(struct transfer *t)
{
    uint64_t gone_ms = since_ms(t);
    AUTO(freep) char *text = shown(t->url);

    t->detail[0] = 0;
    t->headers_b = 0;
    t->has_length = false;
    if (t->req->timeout_ms && gone_ms >= t->req->timeout_ms)
        return err_new(ERR_TIMEOUT, "%s: not done within %.6g s", text,
                       (double)t->req->timeout_ms / 1000);
    curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS,
                     t->req->timeout_ms ? (long)(t->req->timeout_ms - gone_ms) : 0L);
    if (curl_easy_setopt(t->easy, CURLOPT_URL, t->url) != CURLE_OK)
        return bad_url(t->url, "it is too long");
    return NULL;
}

static struct err *transfer_new(const struct http_request *req, struct http_response *ret,
                                struct transfer **ret_t)
{
    AUTO(transfer_freep) struct transfer *t = xcalloc(1, sizeof(*t));
    AUTO(freep) char *origin = NULL;

    t->req = req;
    t->ret = ret;
    t->begun_ns = clock_system.mono_ns();
    t->url = xstrdup(req->url);
    t->socket = -1;
    TRY(origin_of(req->url, &origin));
    t->easy = curl_easy_init();
    if (!t->easy)
        return err_new(ERR_SYS, "cannot start libcurl");
    set_options(t);
    set_limits(t);
    set_method(t);
    TRY(take_bearer(t));
    TRY(set_headers(t));
    TRY(set_tls(t));
    TRY(set_unix_socket(t));
    TRY(set_netns(t));
    TRY(aim(t));
    *ret_t = TAKE(t);
    return NULL;
}

/* ---- how it ended ------------------------------------------------------------------------- */

/* The time-out that passed, in words: connect, whole transfer, or the least rate. */
static struct err *timeout_err(const struct transfer *t, const char *url)
{
    const struct http_request *req = t->req;
    curl_off_t connect_us = 0;
    uint32_t connect_ms = req->connect_ms ? req->connect_ms : CONNECT_MS;

    curl_easy_getinfo(t->easy, CURLINFO_CONNECT_TIME_T, &connect_us);
    if (req->timeout_ms && since_ms(t) + 1 >= req->timeout_ms)
        return err_new(ERR_TIMEOUT, "%s: %s within %.6g s", url,
                       connect_us ? "not done" : "no connection", (double)req->timeout_ms / 1000);
    if (connect_us == 0 || !req->min_rate_b_s)
        return err_new(ERR_TIMEOUT, "%s: no connection within %.6g s", url,
                       (double)connect_ms / 1000);
    return err_new(ERR_TIMEOUT, "%s: slower than %u bytes/s for %u s", url, req->min_rate_b_s,
                   req->min_rate_s);
}

static int os_errno(const struct transfer *t)
{
    long sys = 0;

    curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &sys);
    return (int)sys;
}

/* errno in the style of our messages; NULL when curl has none. */
static char *os_reason(const struct transfer *t)
{
    char *text;

    if (os_errno(t) <= 0)
        return NULL;
    text = xstrdup(strerror(os_errno(t)));
    if (*text >= 'A' && *text <= 'Z')
        *text = (char)(*text | 0x20);
    return text;
}

static struct err *cut_err(const struct transfer *t, const char *url)
{
    if (t->ret->length_b == UINT64_MAX)
        return err_remote(0, "%s: the connection closed in the middle of the answer", url);
    return err_remote(0, "%s: the connection closed after %llu of %llu bytes", url,
                      (unsigned long long)t->taken_b, (unsigned long long)t->ret->length_b);
}

static struct err *curl_err(const struct transfer *t, CURLcode rc)
{
    AUTO(freep) char *url = shown(t->url);
    AUTO(freep) char *reason = os_reason(t);
    const char *detail = *t->detail ? t->detail : curl_easy_strerror(rc);

    /* curl has a hundred codes; what is not named here is told in its own words */
    if (rc == CURLE_OPERATION_TIMEDOUT)
        return timeout_err(t, url);
    if (rc == CURLE_URL_MALFORMAT)
        return bad_url(t->url, detail);
    if (rc == CURLE_COULDNT_RESOLVE_HOST)
        return err_remote(0, "%s: cannot resolve the host name", url);
    if (rc == CURLE_COULDNT_CONNECT && t->req->unix_socket)
        return unix_err(t->req->unix_socket, os_errno(t));
    if (rc == CURLE_COULDNT_CONNECT)
        return err_remote(0, "%s: %s", url, reason ? reason : "cannot connect");
    if (rc == CURLE_GOT_NOTHING)
        return err_remote(0, "%s: the connection closed without an answer", url);
    if (rc == CURLE_PARTIAL_FILE)
        return cut_err(t, url);
    if (rc == CURLE_UNSUPPORTED_PROTOCOL || rc == CURLE_WEIRD_SERVER_REPLY)
        return err_remote(0, "%s: the answer is not HTTP", url);
    if ((rc == CURLE_RECV_ERROR || rc == CURLE_SEND_ERROR) && reason)
        return err_remote(0, "%s: %s", url, reason);
    return err_remote(0, "%s: %s", url, detail);
}

/* Aims at the next hop: *ret_again; a redirect to another place is an error that names it. */
static struct err *redirect(struct transfer *t, bool *ret_again)
{
    AUTO(freep) char *here = NULL;
    AUTO(freep) char *there = NULL;
    AUTO(freep) char *text = shown(t->url);
    char *next = NULL; /* borrowed from the handle */

    if (!t->req->follow || str_eq(t->req->method, "POST"))
        return NULL;
    curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &next);
    if (!next || t->ret->status < 300 || t->ret->status > 399)
        return NULL;
    if (++t->redirects > REDIRECTS_MAX)
        return err_remote(t->ret->status, "%s: more than %d redirects", text, REDIRECTS_MAX);
    TRY(origin_of(t->url, &here));
    TRY(err_wrap(origin_of(next, &there), "%s: its redirect", text));
    if (!str_eq(here, there))
        return err_remote(t->ret->status, "%s: redirects to another place, '%s'; use that instead",
                          text, there);
    free(t->url);
    t->url = xstrdup(next);
    strbuf_clear(&t->body);
    t->taken_b = 0;
    *ret_again = true;
    return aim(t);
}

static void fill_response(struct transfer *t)
{
    struct http_response *ret = t->ret;

    ret->url = TAKE(t->url);
    ret->seconds = (double)since_ms(t) / 1000;
    ret->body_n = t->body.len;
    ret->body = t->req->on_data && is_success(t) ? NULL : strbuf_take(&t->body);
}

/* Writes the response, or says *ret_again when the transfer goes on at another URL. */
static void finish(struct transfer *t, CURLcode rc, bool *ret_again)
{
    struct err *e = TAKE(t->err);

    look_at_answer(t);
    if (!e && rc != CURLE_OK)
        e = curl_err(t, rc);
    if (!e)
        e = redirect(t, ret_again);
    if (!e && !*ret_again)
        e = tell_length(t);
    if (!e && !*ret_again)
        fill_response(t);
    if (!e)
        return;
    *ret_again = false;
    http_response_clear(t->ret);
    t->ret->err = e;
}

/* ---- all of them -------------------------------------------------------------------------- */

struct pool {
    CURLM *multi;
    const struct http_request *reqs;
    struct http_response *ret;
    size_t n, next, active;
    struct transfer *slots[SOCKETS_MAX];
};

static void pool_clear(struct pool *p)
{
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        if (p->slots[i])
            curl_multi_remove_handle(p->multi, p->slots[i]->easy);
        transfer_free(p->slots[i]);
    }
    curl_multi_cleanup(p->multi);
}

/* Starts requests while there is room; their time begins then, not before. */
static CURLMcode pool_fill(struct pool *p)
{
    CURLMcode rc = CURLM_OK;

    for (size_t i = 0; i < SOCKETS_MAX && p->next < p->n && rc == CURLM_OK; i++) {
        struct http_response *ret = &p->ret[p->next];

        if (p->slots[i])
            continue;
        ret->err = transfer_new(&p->reqs[p->next], ret, &p->slots[i]);
        p->next++;
        if (!p->slots[i])
            continue; /* refused before it began: the place stays free for this round */
        rc = curl_multi_add_handle(p->multi, p->slots[i]->easy);
        p->active++;
    }
    return rc;
}

static void pool_drop(struct pool *p, struct transfer *t)
{
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        if (p->slots[i] == t)
            p->slots[i] = NULL;
    transfer_free(t);
    p->active--;
}

static CURLMcode pool_collect(struct pool *p)
{
    CURLMcode added = CURLM_OK;
    const CURLMsg *msg;
    int left;

    while (added == CURLM_OK && (msg = curl_multi_info_read(p->multi, &left))) {
        CURL *easy = msg->easy_handle;
        CURLcode rc = msg->data.result; /* msg is gone after remove_handle */
        struct transfer *t = NULL;
        bool again = false;

        curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
        curl_multi_remove_handle(p->multi, easy);
        finish(t, rc, &again);
        if (again)
            added = curl_multi_add_handle(p->multi, easy);
        else
            pool_drop(p, t);
    }
    return added;
}

static struct err *pool_run(struct ctx *ctx, struct pool *p)
{
    for (;;) {
        CURLMcode rc = pool_fill(p);
        int running = 0;

        if (p->active == 0 && p->next == p->n)
            return NULL;
        if (ctx_cancelled(ctx))
            return err_new(ERR_CANCELLED, "HTTP: interrupted");
        if (rc == CURLM_OK)
            rc = curl_multi_perform(p->multi, &running);
        if (rc == CURLM_OK)
            rc = pool_collect(p);
        if (rc == CURLM_OK && p->active > 0 && running > 0)
            rc = curl_multi_poll(p->multi, NULL, 0, POLL_MS, NULL);
        if (rc != CURLM_OK)
            return err_new(ERR_BUG, "HTTP: %s", curl_multi_strerror(rc));
    }
}

static struct err *http_curl_many(struct ctx *ctx, const struct http_request *reqs, size_t n,
                                  struct http_response *ret)
{
    AUTO(pool_clear) struct pool p = {.reqs = reqs, .ret = ret, .n = n};
    struct err *e;

    if (n == 0)
        return NULL;
    memset(ret, 0, n * sizeof(*ret));
    /* Counted, never undone, and safe from any thread since libcurl 7.84 (CURL_VERSION_THREADSAFE);
     * that is why no flag of our own is needed. */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_new(ERR_SYS, "cannot start libcurl");
    p.multi = curl_multi_init();
    if (!p.multi)
        return err_new(ERR_SYS, "cannot start libcurl");
    curl_multi_setopt(p.multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)SOCKETS_MAX);
    e = pool_run(ctx, &p);
    for (size_t i = 0; e && i < n; i++)
        http_response_clear(&ret[i]);
    return e;
}

const struct http_ops http_curl = {.many = http_curl_many};

void http_response_clear(struct http_response *r)
{
    free(r->body);
    free(r->location);
    free(r->url);
    err_free(r->err);
    *r = (struct http_response){0};
}

size_t http_origin_n(const char *url)
{
    const char *rest = strstr(url, "://");

    return rest ? (size_t)(rest - url) + 3 + strcspn(rest + 3, "/?#") : strlen(url);
}

char *http_join(const char *base, const char *path)
{
    size_t n = strlen(base);

    while (n && base[n - 1] == '/')
        n--;
    return xasprintf("%.*s%s", (int)n, base, path);
}

const char *http_reason(const struct err *e, const char *url)
{
    size_t n = http_origin_n(url);
    const char *end = n && strncmp(e->text, url, n) == 0 ? strstr(e->text + n, ": ") : NULL;

    return end ? end + 2 : e->text;
}

void http_question_clear(struct http_question *q)
{
    free(q->url);
    free(q->unix_socket);
    *q = (struct http_question){0};
}

struct err *http_one(struct ctx *ctx, const struct http_request *req, struct http_response *ret)
{
    struct http_response res = {0};

    TRY(ctx->http->many(ctx, req, 1, &res));
    if (res.err) {
        struct err *e = TAKE(res.err);

        http_response_clear(&res);
        return e;
    }
    *ret = res;
    return NULL;
}
