/* Base58 of exactly 32 bytes: a number in base 256 to base 58 and back, by long division. Leading
 * zero bytes are leading '1's. No checksum variant: Solana has none. */
#include "base/base58.h"

#include <string.h>

static const char alphabet[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

const char *base58_encode32(const uint8_t in[static 32], char *buf)
{
    uint8_t digits[BASE58_32_MAX - 1] = {0}; /* least significant first */
    size_t n = 0, zeros = 0, at = 0;

    while (zeros < 32 && in[zeros] == 0)
        zeros++;
    for (size_t i = zeros; i < 32; i++) {
        unsigned int carry = in[i];

        for (size_t k = 0; k < n || carry; k++) {
            carry += digits[k] * 256U;
            digits[k] = (uint8_t)(carry % 58);
            carry /= 58;
            if (k == n)
                n++;
        }
    }
    while (at < zeros)
        buf[at++] = alphabet[0];
    while (n > 0)
        buf[at++] = alphabet[digits[--n]];
    buf[at] = 0;
    return buf;
}

/* num (big endian) = num * 58 + digit; false when it no longer fits. */
static bool push_digit(uint8_t num[static 32], unsigned int digit)
{
    for (size_t k = 32; k-- > 0;) {
        digit += num[k] * 58U;
        num[k] = (uint8_t)digit;
        digit >>= 8;
    }
    return digit == 0;
}

static struct err *bad_text(const char *text, size_t n)
{
    return err_new(ERR_BADINPUT, "'%.*s' is not 32 bytes in base58", (int)(n < 64 ? n : 64), text);
}

struct err *base58_decode32(const char *text, size_t n, uint8_t ret[static 32])
{
    uint8_t num[32] = {0};
    size_t ones = 0, zeros = 0;

    if (n < 32 || n > BASE58_32_MAX - 1)
        return bad_text(text, n < BASE58_32_MAX ? n : BASE58_32_MAX);
    while (ones < n && text[ones] == alphabet[0])
        ones++;
    for (size_t i = ones; i < n; i++) {
        const char *digit = memchr(alphabet, text[i], sizeof(alphabet) - 1);

        if (!digit || !push_digit(num, (unsigned int)(digit - alphabet)))
            return bad_text(text, n);
    }
    while (zeros < 32 && num[zeros] == 0)
        zeros++;
    if (zeros != ones) /* one text for one value: too few '1's would be another length */
        return bad_text(text, n);
    memcpy(ret, num, sizeof(num));
    return NULL;
}
