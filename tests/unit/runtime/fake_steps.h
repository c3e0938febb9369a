#pragma once

/* A Kubernetes API as a script: what is asked for next, and what is said to it. Time is a number
 * that only waiting moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "io/clock.h"
#include "io/http.h"
#include "runtime/kube.h"

#define SERVER "https://127.0.0.1:40405"

struct step {
    const char *asks; /* "PUT /path?query" */
    const char *has;  /* in its body; NULL: any, or none */
    int status;       /* 0: body is the error's text, kind its kind */
    const char *body;
    enum err_kind kind;
};
static const struct step *steps; /* ends with one that asks nothing */
static size_t step_at;
static uint64_t now_ns, now_wall_ms;

static struct err *answer(struct ctx *ctx, const struct http_request *reqs, size_t n,
                          struct http_response *ret)
{
    const struct step *s = &steps[step_at];

    assert_int_equal(n, 1);
    AUTO(freep)
    char *asked = xasprintf("%s %s", reqs->method, reqs->url + strlen(SERVER));
    if (!s->asks)
        fail_msg("step %zu: nobody expected '%s'", step_at, asked);
    assert_string_equal(asked, s->asks);
    if (s->has && (!reqs->body || !strstr(reqs->body, s->has)))
        fail_msg("step %zu: want '%s' in '%s'", step_at, s->has, reqs->body);
    assert_true(!reqs->body || reqs->body_n == strlen(reqs->body));
    step_at++;
    *ret = (struct http_response){.status = s->status};
    if (s->status) {
        ret->body = xstrdup(s->body);
        ret->body_n = strlen(s->body);
    } else {
        ret->err = err_new(s->kind, "%s", s->body);
    }
    return NULL;
}

static uint64_t fake_mono(void)
{
    return now_ns;
}

static uint64_t fake_wall(void)
{
    return now_wall_ms;
}

static void fake_wait(uint64_t wait_ns, const volatile sig_atomic_t *cancelled)
{
    now_ns += wait_ns;
}

static const struct http_ops fake = {.many = answer};
static const struct clock_ops fake_clock = {
    .mono_ns = fake_mono, .wall_ms = fake_wall, .wait = fake_wait};
static struct ctx ctx = {.http = &fake, .clock = &fake_clock};
static struct kube_access access_ = {
    .path = (char *)(uintptr_t) "/home/op/.kube/config",
    .user = (char *)(uintptr_t) "kind-x",
    .server = (char *)(uintptr_t)SERVER,
};
static struct kube kube = {.access = &access_, .timeout_ms = 700, .retry_ms = 3000};

static int setup(void **state)
{
    now_ns = 1000000000;
    now_wall_ms = 1790000000000;
    step_at = 0;
    kube = (struct kube){.access = &access_, .timeout_ms = 700, .retry_ms = 3000};
    return 0;
}

/* The script and no more than it. */
static inline void play(const struct step *script)
{
    steps = script;
    step_at = 0;
}

static inline void assert_played(void)
{
    if (steps[step_at].asks)
        fail_msg("step %zu was not asked for: '%s'", step_at, steps[step_at].asks);
}

static inline void assert_err(struct err *e, enum err_kind kind, const char *part)
{
    assert_non_null(e);
    if (e->kind != kind || !strstr(e->text, part))
        fail_msg("want %s '%s', got %s '%s'", err_kind_name(kind), part, err_kind_name(e->kind),
                 e->text);
    err_free(e);
}

static inline void assert_ok(struct err *e)
{
    if (e)
        fail_msg("%s", e->text);
}
