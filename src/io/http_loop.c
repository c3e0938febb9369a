/* What runs when: places, ends, pauses and the rate of all together, over one epoll. Curl may not
 * be touched from its own callbacks, so what a callback asks for is noted and done by settle,
 * between two rounds. How HTTP is spoken is http_wire.c's work. */
#include "io/http_loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "io/captured.h"
#include "io/clock.h"
#include "io/http_wire.h"

#define SOCKETS_MAX 256
#define WAKE_MS     100 /* the operator's Ctrl-C is seen within this time */
#define EVENTS_MAX  256
#define NS_PER_MS   1000000ULL
#define NS_PER_S    1000000000ULL
/* The rate limit is an account that fills with time, up to this part of a second. */
#define BURST_PARTS 20
#define REFILL_MS   10

struct list {
    struct http_transfer *first, *last;
    size_t n;
};

struct http_transfer {
    struct http_loop *loop;
    struct list *in;
    struct http_transfer *prev, *next;
    struct http_request req;
    http_done_fn *done;
    void *arg;
    struct http_response ret;
    struct http_wire *wire;
    bool paused;    /* by its owner */
    bool throttled; /* by the limit of all */
    bool held;      /* the wire holds its bytes back, for one of the two */
};

struct http_loop {
    struct ctx *ctx;
    struct http_loop_opts o;
    struct http_wires *wires;
    int epoll;
    uint64_t due_ns; /* when curl wants to be woken; 0: it does not */
    bool working;    /* within a callback of curl */
    bool changed;    /* somebody was paused, resumed or throttled, or may go on */
    double account_b;
    uint64_t filled_ns;
    size_t throttled;
    /* Each transfer is in one: for a place, with a wire, or cancelled from a callback of curl. */
    struct list waiting, running, dead;
};

static uint64_t now_ns(void)
{
    return clock_system.mono_ns();
}

/* ---- lists -------------------------------------------------------------------------------- */

static void list_add(struct list *l, struct http_transfer *t)
{
    t->in = l;
    t->prev = l->last;
    t->next = NULL;
    *(l->last ? &l->last->next : &l->first) = t;
    l->last = t;
    l->n++;
}

static void list_take(struct http_transfer *t)
{
    struct list *l = t->in;

    *(t->prev ? &t->prev->next : &l->first) = t->next;
    *(t->next ? &t->next->prev : &l->last) = t->prev;
    t->in = NULL;
    l->n--;
}

static void set_throttled(struct http_transfer *t, bool yes)
{
    t->loop->throttled += (size_t)yes - (size_t)t->throttled;
    t->throttled = yes;
}

static void transfer_free(struct http_transfer *t)
{
    list_take(t);
    set_throttled(t, false);
    http_wire_free(t->wire);
    http_response_clear(&t->ret);
    free(t);
}

static void list_free(struct list *l)
{
    while (l->first)
        transfer_free(l->first);
}

/* ---- the rate of all ---------------------------------------------------------------------- */

static void fill_account(struct http_loop *l)
{
    uint64_t now = now_ns();
    double most_b = (double)l->o.rate_b_s / BURST_PARTS;

    l->account_b += (double)l->o.rate_b_s * (double)(now - l->filled_ns) / (double)NS_PER_S;
    if (l->account_b > most_b)
        l->account_b = most_b;
    l->filled_ns = now;
}

/* What was taken beyond the account is a debt, so that big pieces even out. Who was served goes to
 * the end of the line. */
static bool pay(struct http_transfer *t, size_t n)
{
    struct http_loop *l = t->loop;

    if (l->o.rate_b_s == 0)
        return true;
    fill_account(l);
    if (l->account_b <= 0)
        return false;
    l->account_b -= (double)n;
    list_take(t);
    list_add(&l->running, t);
    return true;
}

/* ---- what curl tells ---------------------------------------------------------------------- */

static void on_watch(void *arg, int fd, uint32_t events, bool known)
{
    struct http_loop *l = arg;
    struct epoll_event ev = {.events = events, .data.fd = fd};

    /* closed descriptors have left the epoll by themselves; a number can be in use anew */
    if (events == 0)
        epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, NULL);
    else if (epoll_ctl(l->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev) < 0)
        epoll_ctl(l->epoll, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &ev);
}

static void on_wake_in(void *arg, int64_t ms)
{
    struct http_loop *l = arg;

    l->due_ns = ms < 0 ? 0 : now_ns() + (uint64_t)ms * NS_PER_MS;
}

static enum http_gate on_gate(void *arg, void *owner, size_t n)
{
    struct http_loop *l = arg;
    struct http_transfer *t = owner;

    if (t->in == &l->dead)
        return HTTP_DROP;
    if (!t->paused && pay(t, n))
        return HTTP_TAKE;
    if (!t->paused)
        set_throttled(t, true);
    t->held = true;
    return HTTP_HOLD;
}

static bool on_wanted(void *arg, void *owner)
{
    const struct http_loop *l = arg;
    const struct http_transfer *t = owner;

    return t->in != &l->dead;
}

/* ---- the loop's life ---------------------------------------------------------------------- */

struct err *http_loop_new(struct ctx *ctx, const struct http_loop_opts *o, struct http_loop **ret)
{
    AUTO(http_loop_freep) struct http_loop *l = xcalloc(1, sizeof(*l));
    const struct http_wire_ops ops = {
        .watch = on_watch,
        .wake_in = on_wake_in,
        .gate = on_gate,
        .wanted = on_wanted,
        .arg = l,
    };
    int e;

    l->ctx = ctx;
    l->o = *o;
    l->filled_ns = now_ns();
    l->epoll = -1;
    if (ctx->http == &http_captured)
        return err_new(ERR_ABSENT, "this host was captured: it has no network");
    if (l->o.max_sockets == 0)
        l->o.max_sockets = SOCKETS_MAX;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    e = errno;
    if (l->epoll < 0)
        return err_sys(e, "HTTP: cannot make an epoll");
    TRY(http_wires_new(l->o.max_sockets, &ops, &l->wires));
    *ret = TAKE(l);
    return NULL;
}

struct http_loop *http_loop_free(struct http_loop *l)
{
    if (!l)
        return NULL;
    list_free(&l->waiting);
    list_free(&l->running);
    list_free(&l->dead);
    http_wires_free(l->wires);
    closep(&l->epoll);
    free(l);
    return NULL;
}

void http_loop_freep(struct http_loop **l)
{
    *l = http_loop_free(*l);
}

struct http_transfer *http_begin(struct http_loop *l, const struct http_request *req,
                                 http_done_fn *done, void *arg)
{
    struct http_transfer *t = xcalloc(1, sizeof(*t));

    t->loop = l;
    t->req = *req;
    t->done = done;
    t->arg = arg;
    list_add(&l->waiting, t);
    return t;
}

void http_cancel(struct http_transfer *t)
{
    struct http_loop *l = t->loop;

    if (!t->in)
        return; /* its done is being called */
    if (!l->working || t->in == &l->waiting) {
        transfer_free(t);
        return;
    }
    list_take(t);
    list_add(&l->dead, t);
}

void http_pause(struct http_transfer *t)
{
    t->paused = true;
    t->loop->changed = true;
}

void http_resume(struct http_transfer *t)
{
    t->paused = false;
    t->loop->changed = true;
}

/* ---- a round ------------------------------------------------------------------------------ */

static void end(struct http_transfer *t)
{
    list_take(t);
    set_throttled(t, false);
    http_wire_free(TAKE(t->wire));
    t->done(t->arg, t, &t->ret);
    http_response_clear(&t->ret);
    free(t);
}

static bool is_to_be_held(const struct http_transfer *t)
{
    return t->paused || (t->throttled && t->loop->account_b <= 0);
}

static struct http_transfer *next_change(struct http_loop *l)
{
    struct http_transfer *t = l->running.first;

    while (t && t->held == is_to_be_held(t))
        t = t->next;
    return t;
}

/* Tells the wires to hold or to go on. One that goes on may use up what the others wait for. */
static void settle_holds(struct http_loop *l)
{
    struct http_transfer *t;

    if (l->throttled)
        fill_account(l);
    if (!l->changed && !(l->throttled && l->account_b > 0))
        return;
    l->changed = false;
    while ((t = next_change(l))) {
        bool over;

        t->held = !t->held;
        set_throttled(t, false);
        l->working = true;
        http_wire_hold(t->wire, t->held, &over);
        l->working = false;
        if (over && t->in == &l->running)
            end(t);
    }
}

static void start(struct http_loop *l, struct http_transfer *t)
{
    list_take(t);
    list_add(&l->running, t);
    t->ret = (struct http_response){0};
    t->ret.err = http_wire_start(l->wires, &t->req, &t->ret, t, &t->wire);
    if (t->ret.err)
        end(t);
}

static void settle(struct http_loop *l)
{
    list_free(&l->dead);
    settle_holds(l);
    list_free(&l->dead);
    while (l->waiting.first && l->running.n < l->o.max_sockets)
        start(l, l->waiting.first);
}

static struct err *collect(struct http_loop *l)
{
    for (;;) {
        struct http_transfer *t;
        void *owner;

        TRY(http_wires_over(l->wires, &owner));
        t = owner;
        if (!t)
            return NULL;
        if (t->in == &l->running)
            end(t);
    }
}

static int wait_ms(const struct http_loop *l, uint32_t wake_ms)
{
    uint64_t now = now_ns();
    uint64_t ms = wake_ms && wake_ms < WAKE_MS ? wake_ms : WAKE_MS;

    if (l->throttled && ms > REFILL_MS)
        ms = REFILL_MS;
    if (l->changed || (l->due_ns && l->due_ns <= now))
        return 0;
    if (l->due_ns && (l->due_ns - now + NS_PER_MS - 1) / NS_PER_MS < ms)
        ms = (l->due_ns - now + NS_PER_MS - 1) / NS_PER_MS;
    return (int)ms;
}

static struct err *let_curl_work(struct http_loop *l, const struct epoll_event *evs, int n)
{
    for (int i = 0; i < n; i++)
        TRY(http_wires_ready(l->wires, evs[i].data.fd, evs[i].events));
    if (l->due_ns && l->due_ns <= now_ns()) {
        l->due_ns = 0;
        TRY(http_wires_due(l->wires));
    }
    return NULL;
}

static struct err *work(struct http_loop *l, uint32_t wake_ms)
{
    struct epoll_event evs[EVENTS_MAX];
    int n = epoll_wait(l->epoll, evs, EVENTS_MAX, wait_ms(l, wake_ms));
    int e = errno;
    struct err *err;

    if (n < 0 && e != EINTR)
        return err_sys(e, "HTTP: epoll_wait");
    l->working = true;
    err = let_curl_work(l, evs, n);
    l->working = false;
    TRY(err);
    return collect(l);
}

struct err *http_loop_run(struct http_loop *l, uint32_t wake_ms,
                          struct err *(*tick)(void *arg, bool *ret_stop), void *arg)
{
    bool stop = false;

    for (;;) {
        settle(l);
        if (tick)
            TRY(tick(arg, &stop));
        if (stop || l->waiting.n + l->running.n == 0)
            return NULL;
        if (ctx_cancelled(l->ctx))
            return err_new(ERR_CANCELLED, "HTTP: interrupted");
        settle(l); /* what tick changed */
        TRY(work(l, wake_ms));
    }
}
