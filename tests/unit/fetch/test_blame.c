/* Who is blamed for wrong bytes, with nodes that each have a file of their own: never one that sent
 * the right ones, whatever it is found beside. */
#include "place_of_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/blake3.h"
#include "fetch/segment_map.h"
#include "io/fsroot.h"
#include "lab/node/snapshot_maker.h"
#include "solana/snapshot_archive.h"

#define B ((size_t)SEGMENT_BLOCK_B)

/* An archive that the check can trip over. */
struct archive_of_test {
    char *name, *data;
    size_t n;
};

static void archive_clear(struct archive_of_test *a)
{
    free(a->name);
    free(a->data);
}

static void make(struct place_of_test *t, struct archive_of_test *ret)
{
    const struct snapshot_maker_spec spec = {
        .seed = 5,
        .slot = 77,
        .accounts_files = 8000,
        .accounts_b = 1000,
        .compressible = 0,
    };
    AUTO(freep) char *path = NULL;

    assert_null(snapshot_maker_write(t->from, &spec, &ret->name));
    path = xasprintf("%s/%s", t->from, ret->name);
    assert_null(fsroot_read(t->root, path, 64 * MIB, &ret->data, &ret->n));
}

/* The block at which the check says no; SIZE_MAX: it says yes. */
static size_t trips_at(const char *name, const char *data, size_t n)
{
    AUTO(snapcheck_freep) struct snapcheck *c = NULL;
    struct snapcheck_report r;
    struct err *e = NULL;

    assert_null(snapcheck_new(name, NULL, &c));
    for (size_t at = 0; at < n; at += B) {
        e = snapcheck_feed(c, data + at, n - at < B ? n - at : B);
        if (e) {
            err_free(e);
            return at / B;
        }
    }
    e = snapcheck_finish(c, &r);
    return e ? (err_free(e), n / B) : SIZE_MAX;
}

/* The archive with the end of that block wrong; to be freed. Each salt is another lie. */
static char *with_lie(const struct archive_of_test *a, size_t block, char salt)
{
    char *data = xmemdup(a->data, a->n);

    for (size_t i = 1; i <= 1500; i++)
        data[(block + 1) * B - i] = (char)(data[(block + 1) * B - i] ^ salt);
    return data;
}

/* From there on, a block at whose end a lie is found so many blocks later. */
static size_t late_block(const struct archive_of_test *a, size_t block, size_t later)
{
    for (;; block++) {
        AUTO(freep) char *data = with_lie(a, block, 0x55);
        size_t trip = trips_at(a->name, data, a->n);

        assert_true(trip < SIZE_MAX && trip >= block && block < a->n / B - 4);
        if (trip == block + later)
            return block;
    }
}

static bool has_url(const struct strlist *labels, const char *url)
{
    for (size_t i = 0; i < labels->n; i++)
        if (str_starts(url, labels->items[i]))
            return true;
    return false;
}

/* Nobody but the first n has been blamed. */
static void expect_blamed(const struct place_of_test *t, size_t n)
{
    for (size_t i = n; i < NODES; i++)
        if (has_url(&t->blamed, t->urls[i]))
            fail_msg("source %zu was blamed", i);
}

static void with_ranges(struct place_of_test *t, size_t n, uint64_t cap)
{
    for (size_t i = 0; i < n; i++) {
        fault(t, i, NODE_RANGES, 1);
        fault(t, i, NODE_CAP, cap);
    }
}

/* The first one gives all up to a place and leaves, and the second one is busy with its fingerprint
 * until then. One stream: block after block. */
static void one_after_another(struct place_of_test *t)
{
    t->job.max_streams = 1;
    t->job.min_rate_b_s = 1024; /* a busy machine is nobody's fault */
    fault(t, 0, NODE_CAP, 4 * MIB);
    fault(t, 0, NODE_DROPS, t->told_b < 50 * B ? 0 : t->percent);
    fault(t, 1, NODE_CAP, t->told_b < 66 * B ? MIB : 0);
}

/* The liar writes the wrong block and leaves; the check trips in a block of the other one. */
static void damage_before_the_place_where_it_trips(void **state)
{
    struct place_of_test *t = *state;
    AUTO(archive_clear) struct archive_of_test a = {0};
    size_t block;
    bool seen = false;

    make(t, &a);
    t->percent = 55;
    do { /* its last one but one: the last one is compared by whoever goes on */
        t->percent++;
        block = a.n / 100 * t->percent / B - 2;
    } while (late_block(&a, block, 2) != block);
    AUTO(freep) char *bad = with_lie(&a, block, 0x55);
    for (int tries = 0; tries < 4 && !seen; tries++) { /* who writes what is a race */
        AUTO(fetch_report_clear) struct fetch_report r = {0};

        node_has(t, 0, a.name, bad, a.n);
        want(t, a.name, 2, FETCH_VERIFY_STRUCTURE);
        with_ranges(t, 2, 0);
        t->told_b = 0;
        t->on_told = one_after_another;
        one_after_another(t);
        get_well(t, &r);
        expect_file(t, a.name, a.data, a.n);
        expect_blamed(t, 1);
        seen = t->blamed.n > 0; /* it has written that block */
        assert_int_equal(r.bad_peers.n, t->blamed.n);
        begin_again(t);
    }
}

/* One of a group that agrees on its fingerprints lies within, where the check trips again and
 * again. */
static void one_of_a_group_lies(void **state)
{
    struct place_of_test *t = *state;
    AUTO(archive_clear) struct archive_of_test a = {0};

    make(t, &a);
    AUTO(freep) char *bad = xmemdup(a.data, a.n);
    for (size_t k = 34; k + 20 < a.n / B; k += 7) {
        AUTO(freep) char *once = with_lie(&a, k, 0x55);

        memcpy(bad + k * B, once + k * B, B);
    }
    for (size_t i = 0; i < 4; i++) {
        AUTO(fetch_report_clear) struct fetch_report r = {0};
        size_t n = 2 + i % 2;

        node_has(t, 0, a.name, bad, a.n);
        want(t, a.name, n, FETCH_VERIFY_STRUCTURE);
        with_ranges(t, n, 16 * MIB);
        get_well(t, &r);
        expect_file(t, a.name, a.data, a.n);
        expect_blamed(t, 1);
        begin_again(t);
    }
}

/* Two liars, each with lies of its own in the same blocks: three versions say nothing yet, and the
 * fourth source decides. */
static void three_versions(void **state)
{
    struct place_of_test *t = *state;
    unsigned both = 0;

    for (size_t i = 0; i < 5; i++) {
        AUTO(fetch_report_clear) struct fetch_report r = {0};

        for (size_t liar = 0; liar < 2; liar++) {
            AUTO(freep) char *bad = xmemdup(t->big, SIZE);

            for (size_t k = 40; k + 20 < SIZE / B; k += 16)
                memset(bad + k * B, 'a' + (int)liar, 100);
            node_has(t, liar, BIG, bad, SIZE);
        }
        want(t, BIG, 4, FETCH_VERIFY_NONE);
        with_ranges(t, 4, 32 * MIB);
        get_well(t, &r);
        expect_blamed(t, 2);
        both += t->blamed.n == 2;
        begin_again(t);
    }
    assert_true(both > 0);
}

/* One leaves, the other one sends damage: what the first one gave is not thrown away. */
static void honest_bytes_stay(void **state)
{
    struct place_of_test *t = *state;
    AUTO(archive_clear) struct archive_of_test a = {0};
    AUTO(fetch_report_clear) struct fetch_report r = {0};
    AUTO(freep) char *tmp = NULL;

    make(t, &a);
    AUTO(freep) char *bad = with_lie(&a, late_block(&a, 105, 1), 0x55);
    tmp = xasprintf("tmp-%s", a.name);
    node_has(t, 1, a.name, bad, a.n);
    want(t, a.name, 2, FETCH_VERIFY_STRUCTURE);
    with_ranges(t, 3, 0);
    t->percent = 60;
    t->on_told = one_after_another;
    one_after_another(t);
    get_badly(t, ERR_CORRUPT, "127.0.0.1");
    assert_true(there(t, tmp));
    assert_false(has_url(&t->blamed, t->urls[0])); /* the other one is, if it was asked for all */
    t->on_told = NULL;
    t->sources[0] = t->sources[2];
    t->job.n_sources = 1;
    get_well(t, &r);
    expect_file(t, a.name, a.data, a.n);
    assert_true(r.resumed_b > a.n / 3);
    assert_false(has_url(&t->blamed, t->urls[2]));
}

/* The only one, and bad: it is asked once more for what the check tripped over, and is to blame
 * then, since nobody else has sent a byte. */
static void the_only_one_is_asked_again(void **state)
{
    struct place_of_test *t = *state;
    AUTO(archive_clear) struct archive_of_test a = {0};
    AUTO(freep) char *tmp = NULL;

    make(t, &a);
    AUTO(freep) char *bad = with_lie(&a, late_block(&a, 110, 1), 0x55);
    tmp = xasprintf("tmp-%s", a.name);
    node_has(t, 0, a.name, bad, a.n);
    for (uint64_t ranges = 0; ranges < 2; ranges++) {
        want(t, a.name, 1, FETCH_VERIFY_STRUCTURE);
        fault(t, 0, NODE_RANGES, ranges);
        get_badly(t, ERR_CORRUPT, "127.0.0.1");
        assert_false(there(t, tmp) || there(t, ".agavectl"));
        assert_true(has_url(&t->whole, t->urls[0]));
        assert_int_equal(t->blamed.n, 1);
        assert_true(sent_b(t) > 150 * B); /* 111 and 64 */
        begin_again(t);
    }
}

/* All of them have the same damage: nobody is blamed for what all say, and nothing is kept. */
static void all_have_the_same_damage(void **state)
{
    struct place_of_test *t = *state;
    AUTO(archive_clear) struct archive_of_test a = {0};
    AUTO(freep) char *tmp = NULL;

    make(t, &a);
    AUTO(freep) char *bad = with_lie(&a, late_block(&a, 100, 1), 0x55);
    tmp = xasprintf("tmp-%s", a.name);
    put_file(t->from, a.name, bad, a.n);
    want(t, a.name, 3, FETCH_VERIFY_STRUCTURE);
    with_ranges(t, 3, 8 * MIB);
    get_badly(t, ERR_CORRUPT, "send the same");
    assert_false(there(t, tmp) || there(t, ".agavectl"));
    assert_int_equal(t->blamed.n, 0);
}

/* What a run before this one left is damaged: that is nobody's fault who is asked now. */
static void a_half_file_is_nobodys_fault(void **state)
{
    struct place_of_test *t = *state;
    AUTO(archive_clear) struct archive_of_test a = {0};

    make(t, &a);
    AUTO(freep) char *bad = with_lie(&a, late_block(&a, 40, 1), 0x55);
    AUTO(freep) char *tmp = xasprintf("%s/tmp-%s", t->to, a.name);
    for (size_t i = 0; i < 4; i++) {
        AUTO(fetch_report_clear) struct fetch_report r = {0};
        int fd;

        want(t, a.name, 1 + i / 2, FETCH_VERIFY_STRUCTURE);
        with_ranges(t, 2, 8 * MIB);
        fault(t, 0, NODE_RANGES, i % 2);
        fault(t, 1, NODE_RANGES, i % 2);
        t->cancel_at_b = 60 * B;
        get_badly(t, ERR_CANCELLED, "interrupted");
        t->cancelled = 0;
        t->cancel_at_b = 0;
        fd = open(tmp, O_WRONLY | O_CLOEXEC);
        assert_true(fd >= 0 && pwrite(fd, bad, 50 * B, 0) == (ssize_t)(50 * B));
        close(fd);
        get_well(t, &r);
        expect_file(t, a.name, a.data, a.n);
        assert_int_equal(t->blamed.n, 0);
        begin_again(t);
    }
}

static void leave(struct place_of_test *t)
{
    t->cancelled = 1;
}

/* A run after this one does not take the liar for somebody who is proven. */
static void a_liar_is_proven_no_more(void **state)
{
    struct place_of_test *t = *state;
    bool seen = false;

    for (int tries = 0; tries < 5 && !seen; tries++) {
        AUTO(segment_map_clear) struct segment_map map = {0};
        AUTO(freep) char *text = NULL;
        AUTO(freep) char *path = xasprintf("%s/.agavectl/" BIG ".map", t->to);
        uint64_t tokens[3];
        size_t n, others = 0;

        want(t, BIG, 3, FETCH_VERIFY_NONE);
        with_ranges(t, 3, 16 * MIB);
        fault(t, 0, NODE_LIES_WITHIN, 1);
        t->on_blamed = leave;
        AUTO(fetch_report_clear) struct fetch_report r = {0};
        AUTO(err_freep) struct err *e = get(t, &r);
        expect_blamed(t, 1);
        if (!e) { /* it was not noticed in time */
            begin_again(t);
            continue;
        }
        assert_int_equal(e->kind, ERR_CANCELLED);
        t->cancelled = 0;
        for (size_t i = 0; i < 3; i++) {
            uint8_t hash[32];

            blake3_256(t->urls[i], strlen(t->urls[i]), hash);
            memcpy(&tokens[i], hash, sizeof(tokens[i]));
        }
        assert_null(fsroot_read(t->root, path, MIB, &text, &n));
        assert_null(segment_map_parse(text, n, "", &map));
        for (size_t i = 0; i < SEGMENT_PROVEN_MAX; i++) {
            assert_true(map.proven[i] != tokens[0]);
            others += map.proven[i] == tokens[1] || map.proven[i] == tokens[2];
        }
        seen = others > 0;
        begin_again(t);
    }
    assert_true(seen);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(damage_before_the_place_where_it_trips),
        CASE(one_of_a_group_lies),
        CASE(three_versions),
        CASE(honest_bytes_stay),
        CASE(the_only_one_is_asked_again),
        CASE(all_have_the_same_damage),
        CASE(a_half_file_is_nobodys_fault),
        CASE(a_liar_is_proven_no_more),
    };

    return cmocka_run_group_tests_name("fetch/blame", tests, NULL, NULL);
}
