/* base/crc32c: the check value of the catalogues and the vectors of RFC 3720, B.4. */
#include "base/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void known_values(void **state)
{
    uint8_t zeros[32] = {0}, ones[32], up[32];

    memset(ones, 0xff, sizeof(ones));
    for (uint8_t i = 0; i < sizeof(up); i++)
        up[i] = i;
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, zeros, sizeof(zeros)), 0x8a9136aa);
    assert_int_equal(crc32c(0, ones, sizeof(ones)), 0x62a8ab43);
    assert_int_equal(crc32c(0, up, sizeof(up)), 0x46dd794e);
    assert_int_equal(crc32c(0, "", 0), 0);
}

static void parts_add_up(void **state)
{
    const char *text = "123456789";

    for (size_t i = 0; i <= 9; i++)
        assert_int_equal(crc32c(crc32c(0, text, i), text + i, 9 - i), 0xe3069283);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(parts_add_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
