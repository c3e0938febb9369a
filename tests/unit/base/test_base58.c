/* base/base58: keys as Solana prints them. The pairs come from the base58 package for Python. */
#include "base/base58.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const struct {
    uint8_t bytes[32];
    const char *text;
} pairs[] = {
    {{0}, "11111111111111111111111111111111"},
    {{[31] = 1}, "11111111111111111111111111111112"},
    {{0x79, 0x42, 0xbd, 0xf2, 0x21, 0x06, 0xf0, 0x84, 0x77, 0x62, 0xf0,
      0xf3, 0xcb, 0x4d, 0x76, 0x4d, 0xc7, 0x07, 0x20, 0x51, 0x15, 0x9a,
      0x0f, 0x89, 0xf2, 0xc6, 0xda, 0xca, 0xe3, 0x44, 0xbb, 0x31},
     "9AMMnZTjcQ66CWZm6M1s5LPar9y7anSg5WJjkMs412Pa"},
    {{0x12, 0x45, 0xfd, 0x6f, 0x84, 0xdf, 0x9a, 0xd7, 0xc5, 0xb3, 0xd0,
      0x76, 0xac, 0x0e, 0x8f, 0x53, 0xa7, 0x35, 0x6c, 0x88, 0x91, 0x3f,
      0x20, 0xf6, 0xf7, 0x2d, 0xb0, 0x22, 0xd2, 0x4d, 0x0a, 0x96},
     "2ELEopTmVgMSmKQhPmKJpmkCBSsz3B75LaJYfFLDNcUd"},
};

static void known_pairs(void **state)
{
    char text[BASE58_32_MAX];
    uint8_t bytes[32];

    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        assert_string_equal(base58_encode32(pairs[i].bytes, text), pairs[i].text);
        assert_null(base58_decode32(text, strlen(text), bytes));
        assert_memory_equal(bytes, pairs[i].bytes, 32);
    }
}

static void the_largest_value_fits_its_buffer(void **state)
{
    char text[BASE58_32_MAX];
    uint8_t bytes[32], back[32];

    memset(bytes, 0xff, sizeof(bytes));
    assert_string_equal(base58_encode32(bytes, text),
                        "JEKNVnkbo3jma5nREBBJCDoXFVeKkD56V3xKrvRmWxFG");
    assert_int_equal(strlen(text), BASE58_32_MAX - 1);
    assert_null(base58_decode32(text, strlen(text), back));
    assert_memory_equal(bytes, back, 32);
}

static void text_need_not_end_at_n(void **state)
{
    static const char name[] = "9AMMnZTjcQ66CWZm6M1s5LPar9y7anSg5WJjkMs412Pa.tar.zst";
    uint8_t bytes[32];

    assert_null(base58_decode32(name, 44, bytes));
    assert_memory_equal(bytes, pairs[2].bytes, 32);
}

static void what_is_not_32_bytes_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "1111111111111111111111111111111",              /* 31 bytes */
        "111111111111111111111111111111111",            /* 33 bytes */
        "JEKNVnkbo3jma5nREBBJCDoXFVeKkD56V3xKrvRmWxFH", /* 2^256 */
        "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", /* far above */
        "9AMMnZTjcQ66CWZm6M1s5LPar9y7anSg5WJjkMs412P0", /* 0, O, I and l are no digits */
        "9AMMnZTjcQ66CWZm6M1s5LPar9y7anSg5WJjkMs412Pl",
        "9AMMnZTjcQ66CWZm6M1s5LPar9y7anSg5WJjkMs412P ",
        "19AMMnZTjcQ66CWZm6M1s5LPar9y7anSg5WJjkMs412P",
    };
    uint8_t bytes[32] = {7};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(err_freep) struct err *e = base58_decode32(bad[i], strlen(bad[i]), bytes);

        assert_non_null(e);
        assert_int_equal(e->kind, ERR_BADINPUT);
        assert_int_equal(bytes[0], 7);
    }
    AUTO(err_freep) struct err *nul = base58_decode32(pairs[2].text, 45, bytes);
    assert_non_null(nul);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_pairs),
        cmocka_unit_test(the_largest_value_fits_its_buffer),
        cmocka_unit_test(text_need_not_end_at_n),
        cmocka_unit_test(what_is_not_32_bytes_is_refused),
    };

    return cmocka_run_group_tests_name("base58", tests, NULL, NULL);
}
