#pragma once

/* HTTP for tests of what asks Docker and Kubernetes: a table of URLs instead of a server, and files
 * of tests/data. GET is the only method that is allowed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "io/http.h"

struct row {
    const char *url;
    int status; /* 0: body is the error's text, kind its kind */
    const char *body;
    enum err_kind kind;
};
static const struct row *rows;    /* ends with a row without a URL */
static struct http_request asked; /* the last request; what it points to is gone */
static bool asked_unix, asked_bearer, asked_tls;

static struct err *answer(struct ctx *ctx, const struct http_request *reqs, size_t n,
                          struct http_response *ret)
{
    assert_int_equal(n, 1);
    assert_string_equal(reqs->method, "GET");
    assert_true(reqs->max_body_b > 0 && reqs->max_body_b <= 16 << 20);
    assert_true(reqs->timeout_ms > 0);
    asked = *reqs;
    asked_unix = reqs->unix_socket;
    asked_bearer = reqs->bearer;
    asked_tls = reqs->tls && reqs->tls->ca && reqs->tls->cert && reqs->tls->key;
    *ret = (struct http_response){0};
    for (const struct row *r = rows; r->url; r++) {
        if (!str_eq(r->url, reqs->url))
            continue;
        if (r->status) {
            ret->status = r->status;
            ret->body = xstrdup(r->body);
            ret->body_n = strlen(r->body);
        } else {
            ret->err = err_new(r->kind, "%s", r->body);
        }
        return NULL;
    }
    fail_msg("nobody expected '%s'", reqs->url);
    return NULL;
}

static const struct http_ops fake = {.many = answer};
static struct fsroot *root;
static struct ctx ctx = {.http = &fake, .clock = &clock_system};

static int setup(void **state)
{
    assert_null(fsroot_open("/", &root));
    ctx.root = root;
    return 0;
}

static int teardown(void **state)
{
    root = fsroot_close(root);
    return 0;
}

static void assert_err(const struct err *e, enum err_kind kind, const char *part)
{
    assert_non_null(e);
    if (e->kind != kind || !strstr(e->text, part))
        fail_msg("want %s '%s', got %s '%s'", err_kind_name(kind), part, err_kind_name(e->kind),
                 e->text);
}

static inline void assert_ok(struct err *e)
{
    if (e)
        fail_msg("%s", e->text);
}

/* tests/data/NAME.json; to be freed. */
static char *data(const char *name)
{
    const char *source = getenv("AGAVECTL_TEST_SOURCE");
    AUTO(freep) char *path = xasprintf("%s/tests/data/%s.json", source ? source : ".", name);
    char *text = NULL;

    assert_ok(fsroot_read(root, path, 1 << 20, &text, NULL));
    return text;
}
