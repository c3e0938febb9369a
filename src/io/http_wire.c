/* One HTTP request over libcurl, and curl's set of them: the only file that sees curl. What curl
 * does by itself and an operator would not expect is off: proxies from the environment, redirects
 * to other hosts, credentials in URLs, .netrc, other protocols. Answers are not trusted: everything
 * is bounded. When something runs, and how long one waits, is http_loop.c's work. */
#include "io/http_wire.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/str.h"
#include "io/clock.h"
#include "io/http_fault.h"
#include "io/http_intake.h"
#include "io/netns.h"
#include "io/sock.h"

#define REDIRECTS_MAX 5
#define STREAM_BUF_B  (512L * 1024)
#define NS_PER_MS     1000000ULL

struct http_wires {
    CURLM *multi;
    struct http_wire_ops ops;
};

struct http_wire {
    struct http_wires *set; /* NULL: not in curl's hands */
    void *owner;
    const struct http_request *req;
    struct http_response *ret;
    CURL *easy;
    struct curl_slist *headers;
    char *bearer;          /* the header that holds the token: wiped */
    int socket;            /* the Unix socket's file (O_PATH), or -1 */
    int fd;                /* of the connection, curl's; -1: none yet */
    char *url;             /* of this hop */
    struct http_intake in; /* the answer of this hop */
    uint64_t begun_ns;
    int redirects;
    bool by_proxy;
    struct err *err; /* set by a callback that ended the transfer */
    char detail[CURL_ERROR_SIZE];
};

static uint64_t since_ms(const struct http_wire *t)
{
    return (clock_system.mono_ns() - t->begun_ns) / NS_PER_MS;
}

/* ---- what curl tells us ------------------------------------------------------------------- */

/* Through a proxy it would be the proxy's. */
static uint32_t rtt_of(const struct http_wire *t)
{
    curl_socket_t fd = t->fd;

    /* on a kept connection an answer can be there before its socket was watched */
    if (fd < 0 && curl_easy_getinfo(t->easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK)
        return 0;
    return t->req->proxy || t->req->unix_socket || fd < 0 ? 0 : sock_rtt_us(fd);
}

static void look_at_address(struct http_wire *t)
{
    const char *ip = NULL;
    long port = 0;

    if (t->req->proxy || t->req->unix_socket ||
        curl_easy_getinfo(t->easy, CURLINFO_PRIMARY_IP, &ip) != CURLE_OK || !ip || !*ip ||
        curl_easy_getinfo(t->easy, CURLINFO_PRIMARY_PORT, &port) != CURLE_OK)
        return;
    snprintf(t->ret->address, sizeof(t->ret->address), strchr(ip, ':') ? "[%s]:%ld" : "%s:%ld", ip,
             port);
}

static size_t on_header(char *line, size_t one, size_t n, void *arg)
{
    struct http_wire *t = arg;
    struct err *e = http_intake_line(&t->in, t->url, line, n);

    if (e) {
        t->err = e;
        return 0;
    }
    if (!t->ret->rtt_us)
        t->ret->rtt_us = rtt_of(t);
    return n;
}

static void look_at_answer(struct http_wire *t)
{
    curl_off_t length = -1;
    long status = 0;

    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    http_intake_is(&t->in, (int)status, length);
}

static struct err *take(struct http_wire *t, const char *data, size_t n)
{
    look_at_answer(t);
    return http_intake_take(&t->in, t->url, data, n);
}

/* An error of on_data or on_answer reaches the caller as it is. */
static size_t on_body(char *data, size_t one, size_t n, void *arg)
{
    struct http_wire *t = arg;
    const struct http_wire_ops *ops = &t->set->ops;
    enum http_gate gate = t->err ? HTTP_DROP : ops->gate(ops->arg, t->owner, n);

    if (gate == HTTP_HOLD)
        return CURL_WRITEFUNC_PAUSE;
    if (gate == HTTP_TAKE)
        t->err = take(t, data, n);
    return t->err || gate == HTTP_DROP ? 0 : n;
}

/* ---- one request -------------------------------------------------------------------------- */

void http_wire_free(struct http_wire *t)
{
    if (!t)
        return;
    if (t->set)
        curl_multi_remove_handle(t->set->multi, t->easy);
    curl_easy_cleanup(t->easy);
    for (struct curl_slist *h = t->bearer ? t->headers : NULL; h; h = h->next)
        secret_wipe(h->data, strlen(h->data));
    curl_slist_free_all(t->headers);
    secret_textp(&t->bearer);
    closep(&t->socket);
    http_intake_clear(&t->in);
    err_free(t->err);
    free(t->url);
    free(t);
}

static void wire_freep(struct http_wire **t)
{
    http_wire_free(*t);
}

static void curlup(CURLU **u)
{
    curl_url_cleanup(*u);
}

static void curl_textp(char **text)
{
    curl_free(*text);
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
        return http_bad_url(url, "it must begin with http:// or https://");
    if (rc == CURLUE_USER_NOT_ALLOWED)
        return err_new(ERR_BADINPUT, "a URL with a user name or password is refused");
    if (rc != CURLUE_OK)
        return http_bad_url(url, curl_url_strerror(rc));
    if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK ||
        (!str_eq(scheme, "http") && !str_eq(scheme, "https")))
        return http_bad_url(url, "it must begin with http:// or https://");
    *ret = xasprintf("%s://%s:%s", scheme, host, port);
    for (char *p = *ret; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p | 0x20);
    return NULL;
}

static struct err *set_headers(struct http_wire *t)
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
static struct err *take_bearer(struct http_wire *t)
{
    const char *token = secret_bytes(t->req->bearer);
    AUTO(freep) char *url = http_shown(t->url);

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

static bool is_plain_get(const struct http_request *req)
{
    return str_eq(req->method, "GET");
}

static void set_method(struct http_wire *t)
{
    const struct http_request *req = t->req;

    if (str_eq(req->method, "HEAD")) {
        curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
    } else if (is_plain_get(req)) {
        curl_easy_setopt(t->easy, CURLOPT_HTTPGET, 1L);
    } else {
        curl_easy_setopt(t->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body_n);
        curl_easy_setopt(t->easy, CURLOPT_COPYPOSTFIELDS, req->body ? req->body : "");
        curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, req->method);
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

static void set_limits(struct http_wire *t)
{
    const struct http_request *req = t->req;

    curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(req->connect_ms ? req->connect_ms : HTTP_CONNECT_MS));
    if (req->min_rate_b_s) {
        curl_easy_setopt(t->easy, CURLOPT_LOW_SPEED_LIMIT, (long)req->min_rate_b_s);
        curl_easy_setopt(t->easy, CURLOPT_LOW_SPEED_TIME,
                         (long)(req->min_rate_s ? req->min_rate_s : 1));
    }
    if (req->last)
        curl_easy_setopt(t->easy, CURLOPT_FORBID_REUSE, 1L);
    if (req->on_data)
        curl_easy_setopt(t->easy, CURLOPT_BUFFERSIZE, STREAM_BUF_B);
}

static void set_options(struct http_wire *t)
{
    CURL *easy = t->easy;

    set_protocols(easy);
    curl_easy_setopt(easy, CURLOPT_PROXY, t->req->proxy ? t->req->proxy : "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, ""); /* not even from the environment, both of them */
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

/* Not copied: the request outlives the wire, and a copy of a key would not be wiped. */
static void set_blob(CURL *easy, CURLoption option, const char *data, size_t n)
{
    struct curl_blob blob = {.data = (void *)(uintptr_t)data, .len = n, .flags = CURL_BLOB_NOCOPY};

    curl_easy_setopt(easy, option, &blob);
}

static struct err *set_tls(struct http_wire *t)
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

static struct err *set_unix_socket(struct http_wire *t)
{
    char by_fd[64];

    if (!t->req->unix_socket)
        return NULL;
    TRY(http_unix_open(t->req->unix_socket, &t->socket));
    snprintf(by_fd, sizeof(by_fd), "/proc/self/fd/%d", t->socket);
    curl_easy_setopt(t->easy, CURLOPT_UNIX_SOCKET_PATH, by_fd);
    set_own_connection(t->easy);
    return NULL;
}

static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct http_wire *t = arg;
    int fd = CURL_SOCKET_BAD;

    if (t->err)
        return fd;
    t->err = netns_socket(t->req->netns_fd, a->family, a->socktype, a->protocol, &fd);
    if (t->err)
        t->err = err_wrap(t->err, "%.*s", (int)strcspn(t->url, "?#"), t->url);
    return fd;
}

static struct err *set_netns(struct http_wire *t)
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
        return http_bad_url(t->url, "another network namespace needs an IP address");
    curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETDATA, t);
    set_own_connection(t->easy);
    return NULL;
}

/* Points the handle at t->url; the time-out covers all hops together. */
static struct err *aim(struct http_wire *t)
{
    uint64_t gone_ms = since_ms(t);
    AUTO(freep) char *text = http_shown(t->url);

    t->detail[0] = 0;
    http_intake_again(&t->in);
    if (t->req->timeout_ms && gone_ms >= t->req->timeout_ms)
        return err_new(ERR_TIMEOUT, "%s: not done within %.6g s", text,
                       (double)t->req->timeout_ms / 1000);
    curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS,
                     t->req->timeout_ms ? (long)(t->req->timeout_ms - gone_ms) : 0L);
    if (curl_easy_setopt(t->easy, CURLOPT_URL, t->url) != CURLE_OK)
        return http_bad_url(t->url, "it is too long");
    return NULL;
}

static struct err *wire_new(const struct http_request *req, struct http_response *ret,
                            struct http_wire **ret_wire)
{
    AUTO(wire_freep) struct http_wire *t = xcalloc(1, sizeof(*t));
    AUTO(freep) char *origin = NULL;

    t->req = req;
    t->ret = ret;
    t->in.req = req;
    t->begun_ns = clock_system.mono_ns();
    t->url = xstrdup(req->url);
    t->socket = t->fd = -1;
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
    *ret_wire = TAKE(t);
    return NULL;
}

/* ---- how it ended ------------------------------------------------------------------------- */

static int os_errno(const struct http_wire *t)
{
    long sys = 0;

    curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &sys);
    return (int)sys;
}

/* curl has a hundred codes; what is not named here is told in its own words. */
static enum http_fails what_failed(CURLcode rc)
{
    static const struct {
        CURLcode rc;
        enum http_fails what;
    } known[] = {
        {CURLE_OPERATION_TIMEDOUT, HTTP_FAILS_TIME},
        {CURLE_URL_MALFORMAT, HTTP_FAILS_URL},
        {CURLE_COULDNT_RESOLVE_HOST, HTTP_FAILS_NAME},
        {CURLE_COULDNT_RESOLVE_PROXY, HTTP_FAILS_PROXY_NAME},
        {CURLE_COULDNT_CONNECT, HTTP_FAILS_CONNECT},
        {CURLE_GOT_NOTHING, HTTP_FAILS_EMPTY},
        {CURLE_PARTIAL_FILE, HTTP_FAILS_CUT},
        {CURLE_UNSUPPORTED_PROTOCOL, HTTP_FAILS_NOT_HTTP},
        {CURLE_WEIRD_SERVER_REPLY, HTTP_FAILS_NOT_HTTP},
        {CURLE_RECV_ERROR, HTTP_FAILS_IO},
        {CURLE_SEND_ERROR, HTTP_FAILS_IO},
        {CURLE_PROXY, HTTP_FAILS_PROXY},
    };

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (known[i].rc == rc)
            return known[i].what;
    return HTTP_FAILS_OTHERWISE;
}

/* What a proxy says to plain HTTP looks like the node's own answer, but for 407. */
static int proxy_status(const struct http_wire *t, CURLcode rc)
{
    long status = 0;

    if (!t->req->proxy)
        return 0;
    if (rc == CURLE_OK)
        return t->in.status == 407 ? 407 : 0;
    curl_easy_getinfo(t->easy, CURLINFO_HTTP_CONNECTCODE, &status);
    return status >= 300 ? (int)status : 0;
}

static struct err *failure_err(struct http_wire *t, CURLcode rc, int proxy_status)
{
    curl_off_t connect_us = 0;

    curl_easy_getinfo(t->easy, CURLINFO_CONNECT_TIME_T, &connect_us);
    return http_failure_err(t->req, t->url,
                            &(struct http_failure){
                                .what = what_failed(rc),
                                .sys = os_errno(t),
                                .proxy_status = proxy_status,
                                .connected = connect_us != 0,
                                .detail = *t->detail ? t->detail : curl_easy_strerror(rc),
                                .gone_ms = since_ms(t),
                                .taken_b = t->in.taken_b,
                                .length_b = t->in.length_b,
                            },
                            &t->by_proxy);
}

/* Aims at the next hop: *ret_again; a redirect to another place is an error that names it. */
static struct err *redirect(struct http_wire *t, bool *ret_again)
{
    AUTO(freep) char *here = NULL;
    AUTO(freep) char *there = NULL;
    AUTO(freep) char *text = http_shown(t->url);
    char *next = NULL; /* borrowed from the handle */

    if (!t->req->follow || (!is_plain_get(t->req) && !str_eq(t->req->method, "HEAD")))
        return NULL;
    curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &next);
    if (!next || t->in.status < 300 || t->in.status > 399)
        return NULL;
    if (++t->redirects > REDIRECTS_MAX)
        return err_remote(t->in.status, "%s: more than %d redirects", text, REDIRECTS_MAX);
    TRY(origin_of(t->url, &here));
    TRY(err_wrap(origin_of(next, &there), "%s: its redirect", text));
    if (!str_eq(here, there))
        return err_remote(t->in.status, "%s: redirects to another place, '%s'; use that instead",
                          text, there);
    free(t->url);
    t->url = xstrdup(next);
    *ret_again = true;
    return aim(t);
}

static void fill_response(struct http_wire *t)
{
    struct http_response *ret = t->ret;

    ret->url = TAKE(t->url);
    ret->seconds = (double)since_ms(t) / 1000;
    http_intake_give(&t->in, ret);
    look_at_address(t);
}

/* Something came, and it cannot be read. */
static bool is_nonsense(const struct http_wire *t, CURLcode rc)
{
    if (rc == CURLE_RECV_ERROR)
        return os_errno(t) <= 0;
    return rc == CURLE_UNSUPPORTED_PROTOCOL || rc == CURLE_WEIRD_SERVER_REPLY ||
           rc == CURLE_HTTP2 || rc == CURLE_BAD_CONTENT_ENCODING;
}

/* An error of a callback stays as it is. NULL: an answer. */
static struct err *failure(struct http_wire *t, CURLcode rc)
{
    int status = proxy_status(t, rc);

    if (t->err)
        return TAKE(t->err);
    return rc == CURLE_OK && !status ? NULL : failure_err(t, rc, status);
}

/* Writes the response, or says *ret_again when it goes on at another URL. */
static void finish(struct http_wire *t, CURLcode rc, bool *ret_again)
{
    struct err *e;

    look_at_answer(t);
    e = failure(t, rc);
    if (!e)
        e = redirect(t, ret_again);
    if (!e && !*ret_again)
        e = http_intake_end(&t->in);
    if (!e && !*ret_again)
        fill_response(t);
    if (!e)
        return;
    *ret_again = false;
    http_response_clear(t->ret);
    t->ret->err = e;
    t->ret->by_proxy = t->by_proxy;
    t->ret->nonsense = t->in.nonsense || (!t->by_proxy && is_nonsense(t, rc));
}

/* ---- the set ------------------------------------------------------------------------------ */

static struct err *multi_err(CURLMcode rc)
{
    return rc == CURLM_OK ? NULL : err_new(ERR_BUG, "HTTP: %s", curl_multi_strerror(rc));
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *seen)
{
    struct http_wires *w = arg;
    struct http_wire *t = NULL;
    uint32_t events = what == CURL_POLL_IN      ? EPOLLIN
                      : what == CURL_POLL_OUT   ? EPOLLOUT
                      : what == CURL_POLL_INOUT ? EPOLLIN | EPOLLOUT
                                                : 0;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
    if (t && (events || t->fd == fd))
        t->fd = events ? fd : -1;
    w->ops.watch(w->ops.arg, fd, events, seen != NULL);
    if (!seen && events)
        curl_multi_assign(w->multi, fd, w);
    return 0;
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
    struct http_wires *w = arg;

    w->ops.wake_in(w->ops.arg, ms);
    return 0;
}

struct err *http_wires_new(size_t max_sockets, const struct http_wire_ops *ops,
                           struct http_wires **ret)
{
    struct http_wires *w;

    /* Counted, never undone, and safe from any thread since libcurl 7.84 (CURL_VERSION_THREADSAFE);
     * that is why no flag of our own is needed. */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_new(ERR_SYS, "cannot start libcurl");
    w = xcalloc(1, sizeof(*w));
    w->ops = *ops;
    w->multi = curl_multi_init();
    if (!w->multi) {
        free(w);
        return err_new(ERR_SYS, "cannot start libcurl");
    }
    curl_multi_setopt(w->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)max_sockets);
    curl_multi_setopt(w->multi, CURLMOPT_MAXCONNECTS, (long)max_sockets);
    curl_multi_setopt(w->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(w->multi, CURLMOPT_SOCKETDATA, w);
    curl_multi_setopt(w->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(w->multi, CURLMOPT_TIMERDATA, w);
    *ret = w;
    return NULL;
}

void http_wires_free(struct http_wires *w)
{
    if (!w)
        return;
    curl_multi_cleanup(w->multi);
    free(w);
}

struct err *http_wire_start(struct http_wires *w, const struct http_request *req,
                            struct http_response *ret, void *owner, struct http_wire **ret_wire)
{
    AUTO(wire_freep) struct http_wire *t = NULL;

    TRY(wire_new(req, ret, &t));
    t->owner = owner;
    TRY(multi_err(curl_multi_add_handle(w->multi, t->easy)));
    t->set = w;
    *ret_wire = TAKE(t);
    return NULL;
}

/* Out of curl's hands, or back in them at another URL. */
static struct err *over(struct http_wire *t, CURLcode rc, bool *ret_over)
{
    struct http_wires *w = TAKE(t->set);
    bool again = false;

    if (!t->ret->rtt_us)
        t->ret->rtt_us = rtt_of(t);
    curl_multi_remove_handle(w->multi, t->easy);
    if (w->ops.wanted(w->ops.arg, t->owner))
        finish(t, rc, &again);
    *ret_over = !again;
    if (!again)
        return NULL;
    t->set = w;
    return multi_err(curl_multi_add_handle(w->multi, t->easy));
}

void http_wire_hold(struct http_wire *t, bool hold, bool *ret_over)
{
    CURLcode rc = curl_easy_pause(t->easy, hold ? CURLPAUSE_RECV : CURLPAUSE_CONT);

    *ret_over = false;
    /* what was held is handed on from within curl_easy_pause, which does not end a transfer */
    if (rc != CURLE_OK)
        err_free(over(t, rc, ret_over)); /* no redirect: a 2xx was on its way */
}

struct err *http_wires_ready(struct http_wires *w, int fd, uint32_t events)
{
    int what = 0, running;

    if (events & (EPOLLIN | EPOLLHUP))
        what |= CURL_CSELECT_IN;
    if (events & EPOLLOUT)
        what |= CURL_CSELECT_OUT;
    if (events & EPOLLERR)
        what |= CURL_CSELECT_ERR;
    return multi_err(curl_multi_socket_action(w->multi, fd, what, &running));
}

struct err *http_wires_due(struct http_wires *w)
{
    int running;

    return multi_err(curl_multi_socket_action(w->multi, CURL_SOCKET_TIMEOUT, 0, &running));
}

struct err *http_wires_over(struct http_wires *w, void **ret_owner)
{
    const CURLMsg *msg;
    int left;

    *ret_owner = NULL;
    while ((msg = curl_multi_info_read(w->multi, &left))) {
        struct http_wire *t = NULL;
        bool is_over;

        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        TRY(over(t, msg->data.result, &is_over));
        if (is_over) {
            *ret_owner = t->owner;
            return NULL;
        }
    }
    return NULL;
}
