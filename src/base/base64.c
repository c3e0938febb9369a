/* Base64, strict: what a kubeconfig holds its certificates and keys in. */
#include "base/base64.h"

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters at a time into three bytes; what is left over must be zero bits. */
struct group {
    uint32_t bits;
    unsigned n, pad;
};

static bool group_end(struct group *g, char *out, size_t *at)
{
    if (g->pad > 2 || (g->pad == 2 && (g->bits & 0xffff)) || (g->pad == 1 && (g->bits & 0xff)))
        return false;
    for (unsigned i = 0; i < 3 - g->pad; i++)
        out[(*at)++] = (char)(g->bits >> (16 - 8 * i));
    g->bits = g->n = 0;
    return true;
}

static struct err *decode(const char *text, size_t n, char *out, size_t *ret_n)
{
    struct group g = {0};
    size_t at = 0;

    for (size_t i = 0; i < n; i++) {
        int v = value_of(text[i]);

        if (text[i] == ' ' || text[i] == '\n' || text[i] == '\r' || text[i] == '\t')
            continue;
        if (text[i] == '=' && (g.n >= 2 || g.pad))
            g.pad++, v = 0;
        else if (g.pad)
            v = -1; /* nothing follows the padding */
        if (v < 0 || g.pad > 2)
            return err_new(ERR_BADINPUT, "not base64: byte %zu", i);
        g.bits = g.bits << 6 | (uint32_t)v;
        if (++g.n == 4 && !group_end(&g, out, &at))
            return err_new(ERR_BADINPUT, "not base64: byte %zu", i);
    }
    if (g.n)
        return err_new(ERR_BADINPUT, "not base64: it ends too early, byte %zu", n);
    *ret_n = at;
    return NULL;
}

struct err *base64_decode(const char *text, size_t n, struct secret **ret)
{
    size_t max = n / 4 * 3 + 3, got = 0;
    char *out = xmalloc(max);
    struct err *e = decode(text, n, out, &got);

    if (!e)
        *ret = secret_new(out, got);
    secret_wipe(out, max);
    free(out);
    return e;
}

char *base64_encode(const void *data, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *in = data;
    struct strbuf b = {0};

    for (size_t i = 0; i < n; i += 3) {
        size_t have = n - i < 3 ? n - i : 3;
        uint32_t bits = (uint32_t)in[i] << 16 | (uint32_t)(have > 1 ? in[i + 1] : 0) << 8 |
                        (uint32_t)(have > 2 ? in[i + 2] : 0);
        char four[4] = {digits[bits >> 18], digits[bits >> 12 & 63], '=', '='};

        if (have > 1)
            four[2] = digits[bits >> 6 & 63];
        if (have > 2)
            four[3] = digits[bits & 63];
        strbuf_add(&b, four, sizeof(four));
    }
    return strbuf_take(&b);
}
