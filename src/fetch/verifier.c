/* See verifier.h. The thread touches nothing but its own check and what partial.h allows to any
 * thread; what it found is handed over under the lock. */
#include "fetch/verifier.h"

#include "fetch/segment_map.h"

#include <pthread.h>
#include <sys/sysinfo.h>

#define READ_B ((size_t)1 << 20)
#define FEED_B ((size_t)SEGMENT_BLOCK_B)
#define DROP_B ((uint64_t)16 << 20)

struct verifier {
    const struct partial *partial;
    struct snapcheck *check;
    uint64_t done_b; /* written by the thread, atomic */
    bool drops;      /* pages behind it: the file would push others out of memory */

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more, over; /* the frontier moved; there is an answer */
    bool has_thread, leave, is_over;
    struct snapcheck_report report;
    struct err *failed;
};

/* A file of more than a quarter of the memory. */
static bool is_large(const struct partial *p)
{
    struct sysinfo info;

    return sysinfo(&info) == 0 && partial_total_b(p) / info.mem_unit > (uint64_t)info.totalram / 4;
}

/* Blocks until something more than done_b is there. false: leave. */
static bool wait_for_more(struct verifier *v, uint64_t *ret_to_b)
{
    bool leave;

    pthread_mutex_lock(&v->lock);
    /* asked once: when bytes are taken back it is lower the next time, and we are to leave */
    while (!v->leave && (*ret_to_b = partial_frontier_b(v->partial)) <= v->done_b)
        pthread_cond_wait(&v->more, &v->lock);
    leave = v->leave;
    pthread_mutex_unlock(&v->lock);
    return !leave;
}

static void drop_behind(const struct verifier *v, uint64_t *dropped_b)
{
    if (!v->drops || v->done_b - *dropped_b < DROP_B)
        return;
    partial_drop_cache(v->partial, *dropped_b, v->done_b);
    *dropped_b = v->done_b;
}

/* Block by block: where it ends says who wrote that block, and a bomb of a block is soon over. */
static struct err *feed(struct verifier *v, const char *data, size_t n)
{
    while (n && !__atomic_load_n(&v->leave, __ATOMIC_RELAXED)) {
        size_t part = n < FEED_B ? n : FEED_B;

        TRY(snapcheck_feed(v->check, data, part));
        __atomic_store_n(&v->done_b, v->done_b + part, __ATOMIC_RELEASE);
        data += part;
        n -= part;
    }
    return NULL;
}

static struct err *read_all(struct verifier *v, bool *ret_left)
{
    AUTO(freep) char *buf = xmalloc(READ_B);
    uint64_t to_b = 0, total_b = partial_total_b(v->partial), dropped_b = 0;

    *ret_left = false;
    while (v->done_b < total_b) {
        size_t n;

        if (v->done_b >= to_b || __atomic_load_n(&v->leave, __ATOMIC_RELAXED)) {
            *ret_left = !wait_for_more(v, &to_b);
            if (*ret_left)
                return NULL;
        }
        n = to_b - v->done_b < READ_B ? (size_t)(to_b - v->done_b) : READ_B;
        TRY(partial_read(v->partial, v->done_b, buf, n));
        TRY(feed(v, buf, n));
        drop_behind(v, &dropped_b);
    }
    return NULL;
}

static void *verify(void *arg)
{
    struct verifier *v = arg;
    struct snapcheck_report report = {0};
    bool left;
    struct err *e = read_all(v, &left);

    if (!e && !left)
        e = snapcheck_finish(v->check, &report);
    pthread_mutex_lock(&v->lock);
    v->report = report;
    v->failed = e;
    __atomic_store_n(&v->is_over, true, __ATOMIC_RELEASE);
    pthread_cond_signal(&v->over);
    pthread_mutex_unlock(&v->lock);
    return NULL;
}

struct err *verifier_start(const struct partial *p, const char *name, bool hash_must,
                           struct verifier **ret)
{
    const struct snapcheck_limits limits = {.hash_must = hash_must};
    AUTO(verifier_freep) struct verifier *v = xcalloc(1, sizeof(*v));
    pthread_condattr_t monotonic;
    int e;

    v->partial = p;
    v->drops = is_large(p);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&v->lock, NULL);
    pthread_cond_init(&v->more, NULL);
    pthread_cond_init(&v->over, &monotonic);
    pthread_condattr_destroy(&monotonic);
    TRY(snapcheck_new(name, &limits, &v->check));
    e = pthread_create(&v->thread, NULL, verify, v);
    if (e)
        return err_sys(e, "cannot start a thread");
    v->has_thread = true;
    *ret = TAKE(v);
    return NULL;
}

void verifier_wake(struct verifier *v)
{
    pthread_mutex_lock(&v->lock);
    pthread_cond_signal(&v->more);
    pthread_mutex_unlock(&v->lock);
}

uint64_t verifier_done_b(const struct verifier *v)
{
    return __atomic_load_n(&v->done_b, __ATOMIC_ACQUIRE);
}

bool verifier_is_over(const struct verifier *v)
{
    return __atomic_load_n(&v->is_over, __ATOMIC_ACQUIRE);
}

bool verifier_wait(struct verifier *v, uint32_t wait_ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&v->lock);
    while (!v->is_over && pthread_cond_timedwait(&v->over, &v->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&v->lock);
    return verifier_is_over(v);
}

struct err *verifier_answer(struct verifier *v, struct snapcheck_report *ret, uint64_t *ret_at_b)
{
    *ret_at_b = verifier_done_b(v);
    TRY(TAKE(v->failed));
    *ret = v->report;
    return NULL;
}

struct verifier *verifier_free(struct verifier *v)
{
    if (!v)
        return NULL;
    if (v->has_thread) {
        pthread_mutex_lock(&v->lock);
        __atomic_store_n(&v->leave, true, __ATOMIC_RELAXED);
        pthread_cond_signal(&v->more);
        pthread_mutex_unlock(&v->lock);
        pthread_join(v->thread, NULL);
    }
    pthread_cond_destroy(&v->more);
    pthread_cond_destroy(&v->over);
    pthread_mutex_destroy(&v->lock);
    snapcheck_free(v->check);
    err_free(v->failed);
    free(v);
    return NULL;
}

void verifier_freep(struct verifier **v)
{
    *v = verifier_free(*v);
}
