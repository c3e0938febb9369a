/* lab/node/feed: a node's bytes, their pace and its lies, on a clock of the test's own. */
#include "lab/node/feed.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#define MIB    ((uint64_t)1 << 20)
#define SIZE_B (5 * MIB)
#define SECOND 1000000000u

struct made {
    struct feed_node node;
    struct feed feed;
    uint64_t now_ns;
};

/* A file of zeros, so that every other byte is a lie. */
static int setup(void **state)
{
    static struct made m;

    m = (struct made){.node.salt = 4242, .now_ns = 7 * (uint64_t)SECOND};
    m.feed = (struct feed){.node = &m.node, .size_b = SIZE_B};
    m.feed.fd = memfd_create("feed", MFD_CLOEXEC);
    assert_true(m.feed.fd >= 0 && ftruncate(m.feed.fd, SIZE_B) == 0);
    *state = &m;
    return 0;
}

static int teardown(void **state)
{
    struct made *m = *state;

    close(m->feed.fd);
    return 0;
}

/* Reads until n bytes came or the node ends it; waits by moving the clock. */
static uint64_t read_all(struct made *m, uint64_t n, unsigned *ret_lies, uint64_t *ret_first_lie)
{
    static char buf[64 << 10];
    uint64_t pos = 0;

    *ret_lies = 0;
    while (pos < n) {
        uint64_t until_ns = 0;
        ssize_t got = feed_read(&m->feed, pos, buf, sizeof(buf), m->now_ns, &until_ns);

        if (got < 0 || (got == 0 && until_ns == FEED_FOREVER))
            break;
        if (got == 0) {
            assert_true(until_ns > m->now_ns);
            m->now_ns = until_ns;
        }
        for (ssize_t i = 0; i < got; i++)
            if (buf[i] && ++*ret_lies == 1)
                *ret_first_lie = m->feed.first_b + pos + (uint64_t)i;
        pos += (uint64_t)got;
    }
    return pos;
}

static void honest_and_at_once(void **state)
{
    struct made *m = *state;
    uint64_t begun = m->now_ns, first;
    unsigned lies;

    assert_int_equal(read_all(m, SIZE_B, &lies, &first), SIZE_B);
    assert_int_equal(lies, 0);
    assert_int_equal(m->now_ns, begun);
    assert_int_equal(m->node.bytes, SIZE_B);
}

static void paces(void **state)
{
    static const struct {
        enum node_fault f;
        uint64_t value, want_ms;
    } rows[] = {{NODE_SLOW, MIB, 5000}, {NODE_CAP, 2 * MIB, 2500}, {NODE_THROTTLES, 4 * MIB, 5000}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct made *m = *state;
        uint64_t begun = m->now_ns, ms, first;
        unsigned lies;

        m->node.faults[rows[i].f] = rows[i].value;
        m->node.throttle_from = m->node.bytes;
        assert_int_equal(read_all(m, SIZE_B, &lies, &first), SIZE_B);
        ms = (m->now_ns - begun) / 1000000;
        assert_in_range(ms, rows[i].want_ms * 95 / 100, rows[i].want_ms * 105 / 100);
        m->node.faults[rows[i].f] = 0;
        m->node.next_ns = 0;
        m->feed.next_ns = 0;
        m->now_ns += SECOND;
    }
}

static void a_cap_is_of_all_files(void **state)
{
    struct made *m = *state;
    struct feed other = m->feed;
    uint64_t begun = m->now_ns, pos[2] = {0}, until_ns = 0;
    static char buf[64 << 10];

    m->node.faults[NODE_CAP] = MIB;
    while (pos[0] + pos[1] < 4 * MIB) {
        struct feed *f = pos[0] <= pos[1] ? &m->feed : &other;
        ssize_t got = feed_read(f, pos[f == &other], buf, sizeof(buf), m->now_ns, &until_ns);

        assert_true(got >= 0);
        pos[f == &other] += (uint64_t)got;
        m->now_ns = got ? m->now_ns : until_ns;
    }
    assert_in_range((m->now_ns - begun) / 1000000, 3800, 4200);
}

static void lies(void **state)
{
    struct made *m = *state;
    uint64_t first = 0;
    unsigned n;

    m->node.faults[NODE_LIES] = 1;
    read_all(m, SIZE_B, &n, &first);
    assert_int_equal(n, 5);
    assert_int_equal(first, 4242);
    m->node.faults[NODE_LIES] = 0;
    m->node.faults[NODE_LIES_WITHIN] = 1;
    read_all(m, SIZE_B, &n, &first);
    assert_int_equal(n, 2);
    assert_int_equal(first, 2 * MIB + 4242);
    m->feed.first_b = 3 * MIB + 4242; /* a range that begins with a lie */
    read_all(m, 10, &n, &first);
    assert_int_equal(n, 1);
    assert_int_equal(first, 3 * MIB + 4242);
}

static void ends_and_waits(void **state)
{
    struct made *m = *state;
    uint64_t first;
    unsigned n;

    m->node.faults[NODE_DROPS] = 40;
    assert_int_equal(read_all(m, SIZE_B, &n, &first), SIZE_B / 100 * 40);
    m->node.faults[NODE_DROPS] = 0;
    m->node.faults[NODE_STALLS] = 60;
    assert_int_equal(read_all(m, SIZE_B, &n, &first), SIZE_B / 100 * 60);
    m->node.faults[NODE_STALLS] = 0;
    m->feed.size_b = 2 * SIZE_B; /* more was announced than there is */
    assert_int_equal(read_all(m, 2 * SIZE_B, &n, &first), SIZE_B);
}

static void what_is_announced(void **state)
{
    static const struct {
        enum node_fault f;
        uint64_t value, want_b;
    } rows[] = {{NODE_LENGTH, 0, SIZE_B},       {NODE_LENGTH, 1, 0},
                {NODE_LENGTH, 2, 1ull << 63},   {NODE_LENGTH, 3, SIZE_B + MIB},
                {NODE_LENGTH, 4, SIZE_B - MIB}, {NODE_SHORT, 1, SIZE_B / 2},
                {NODE_LONG, 1, SIZE_B / 2 * 3}};
    struct made *m = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        m->node.faults[rows[i].f] = rows[i].value;
        assert_int_equal(feed_announced(&m->node, SIZE_B), rows[i].want_b);
        m->node.faults[rows[i].f] = 0;
    }
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(honest_and_at_once),    CASE(paces),
        CASE(a_cap_is_of_all_files), CASE(lies),
        CASE(ends_and_waits),        CASE(what_is_announced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
