/* solana/slot_meta: every layout that a release wrote, and what is not a slot meta. */
#include "solana/slot_meta.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "base/str.h"

struct shape {
    uint64_t consumed, received, last_index, parent;
    uint64_t children;
    uint64_t list_n; /* V1: 32-bit indexes; V2, V3: bytes of bitmap */
    size_t list_b, tail_b;
};

static void put(struct strbuf *b, uint64_t v)
{
    uint8_t raw[8];

    put_le64(raw, v);
    strbuf_add(b, raw, sizeof(raw));
}

static void zeros(struct strbuf *b, size_t n)
{
    while (n-- > 0)
        strbuf_add(b, "", 1);
}

/* As Agave's bincode writes it: fixed-width little-endian integers in the order of the struct. */
static void encode(struct strbuf *b, const struct shape *s)
{
    put(b, 4711);
    put(b, s->consumed);
    put(b, s->received);
    put(b, 1700000000000);
    put(b, s->last_index);
    put(b, s->parent);
    put(b, s->children);
    for (uint64_t i = 0; i < s->children; i++)
        put(b, 4712 + i);
    strbuf_add(b, "\x81", 1);
    put(b, s->list_n);
    zeros(b, s->list_b);
    zeros(b, s->tail_b);
}

static void layouts(void **state)
{
    static const struct {
        const char *name;
        struct shape shape;
        enum slot_meta_layout layout;
        bool full;
    } cases[] = {
        {"V1", {160, 160, 159, 4710, 1, 5, 20, 0}, SLOT_META_V1, true},
        {"V1, nothing completed", {0, 0, UINT64_MAX, UINT64_MAX, 0, 0, 0, 0}, SLOT_META_V1, false},
        {"V1, 12 indexes", {1, 2, 3, 4, 0, 12, 48, 0}, SLOT_META_V1, false},
        {"V2", {160, 160, 159, 4709, 2, 4096, 4096, 0}, SLOT_META_V2, true},
        {"V3", {160, 160, 159, 4709, 0, 4096, 4096, 36}, SLOT_META_V3, true},
        {"unknown tail", {160, 160, 159, 4709, 3, 4096, 4096, 37}, SLOT_META_OTHER, true},
        {"list cut", {160, 160, 159, 4709, 3, 4096, 4000, 0}, SLOT_META_OTHER, true},
        {"a hole", {33, 160, 159, 4710, 0, 5, 20, 0}, SLOT_META_V1, false},
        {"the end not seen", {33, 33, UINT64_MAX, 4710, 0, 5, 20, 0}, SLOT_META_V1, false},
        {"beyond the end", {161, 161, 159, 4710, 0, 5, 20, 0}, SLOT_META_V1, false},
        {"absurd count", {1, 1, 0, 4710, 0, UINT64_MAX, 20, 0}, SLOT_META_OTHER, true},
        {"count that wraps by four",
         {1, 1, 0, 4710, 0, UINT64_C(1) << 62, 0, 0},
         SLOT_META_OTHER,
         true},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(strbuf_clear) struct strbuf b = {0};
        const struct shape *s = &cases[i].shape;
        struct slot_meta m;

        encode(&b, s);
        AUTO(err_freep) struct err *e = slot_meta_decode(b.data, b.len, &m);
        if (e)
            fail_msg("%s: %s", cases[i].name, e->text);
        if (m.layout != cases[i].layout || m.full != cases[i].full)
            fail_msg("%s: layout %d, full %d", cases[i].name, m.layout, m.full);
        assert_int_equal(m.slot, 4711);
        assert_true(m.consumed == s->consumed && m.received == s->received);
        assert_true(m.last_index == s->last_index && m.parent == s->parent);
    }
}

/* The tail was never kept, so every length from the flags on is valid and every one below is not.
 */
static void cut_at_every_length(void **state)
{
    AUTO(strbuf_clear) struct strbuf b = {0};
    const struct shape s = {160, 160, 159, 4710, 2, 5, 20, 0};
    const size_t head = 56 + 2 * 8 + 1;

    encode(&b, &s);
    for (size_t n = 0; n <= b.len; n++) {
        AUTO(freep) void *exact = xmemdup(b.data, n);
        struct slot_meta m = {.slot = 1};
        AUTO(err_freep) struct err *e = slot_meta_decode(exact, n, &m);

        if (n < head) {
            assert_non_null(e);
            assert_int_equal(e->kind, ERR_CORRUPT);
            assert_int_equal(m.slot, 1);
            continue;
        }
        assert_null(e);
        assert_true(m.full);
        assert_int_equal(m.layout, n == b.len ? SLOT_META_V1 : SLOT_META_OTHER);
    }
}

static void children_are_bounded(void **state)
{
    static const uint64_t bad[] = {65537, UINT64_C(1) << 61, UINT64_MAX};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint8_t value[200] = {0};
        struct slot_meta m;

        put_le64(value + 48, bad[i]);
        AUTO(err_freep) struct err *e = slot_meta_decode(value, sizeof(value), &m);
        assert_non_null(e);
        assert_int_equal(e->kind, ERR_CORRUPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts),
        cmocka_unit_test(cut_at_every_length),
        cmocka_unit_test(children_are_bounded),
    };

    return cmocka_run_group_tests_name("slot_meta", tests, NULL, NULL);
}
