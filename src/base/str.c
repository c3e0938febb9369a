/* Text: growing buffers, lists, numbers from text, and figures for people. No locale anywhere. */
#include "base/str.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void strbuf_clear(struct strbuf *b)
{
    free(b->data);
    *b = (struct strbuf){0};
}

static void reserve(struct strbuf *b, size_t more)
{
    b->data = xgrow(b->data, &b->cap, b->len + more + 1, 1);
}

void strbuf_add(struct strbuf *b, const void *data, size_t n)
{
    reserve(b, n);
    if (n)
        memcpy(b->data + b->len, data, n);
    b->len += n;
    b->data[b->len] = 0;
}

void strbuf_puts(struct strbuf *b, const char *s)
{
    strbuf_add(b, s, strlen(s));
}

void strbuf_printf(struct strbuf *b, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    reserve(b, (size_t)n);
    va_start(ap, fmt);
    vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
}

char *strbuf_take(struct strbuf *b)
{
    char *text = b->data ? b->data : xstrdup("");

    *b = (struct strbuf){0};
    return text;
}

const char *strbuf_text(const struct strbuf *b)
{
    return b->data ? b->data : "";
}

void strlist_clear(struct strlist *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->items[i]);
    free(l->items);
    *l = (struct strlist){0};
}

static void list_push(struct strlist *l, char *owned)
{
    l->items = xgrow(l->items, &l->cap, l->n + 2, sizeof(*l->items));
    l->items[l->n++] = owned;
    l->items[l->n] = NULL;
}

void strlist_add(struct strlist *l, const char *s)
{
    list_push(l, xstrdup(s));
}

void strlist_addf(struct strlist *l, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    list_push(l, xvasprintf(fmt, ap));
    va_end(ap);
}

bool strlist_has(const struct strlist *l, const char *s)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->items[i], s) == 0)
            return true;
    return false;
}

bool str_eq(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);

    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

bool str_has_control(const char *s)
{
    const uint8_t *p = (const uint8_t *)s;

    for (; *p; p++) {
        if (*p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f))
            return true;
        if (*p == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9))
            return true;
        if (*p == 0xef && p[1] == 0xbf && (p[2] == 0xbe || p[2] == 0xbf))
            return true;
    }
    return false;
}

char *str_shown(const char *s, size_t max)
{
    char *shown = xstrndup(s, max);

    for (char *p = shown; *p; p++)
        if (*p < ' ' || *p > '~')
            *p = '?';
    return shown;
}

struct err *parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;
    const char *p = text;

    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *p - '0', &v))
            break;
    if (p == text || *p || v < min || v > max)
        return err_new(ERR_BADINPUT, "'%s' is not a number from %llu to %llu", text,
                       (unsigned long long)min, (unsigned long long)max);
    *ret = v;
    return NULL;
}

static struct err *bad_size(const char *text)
{
    return err_new(ERR_BADINPUT, "'%s' is not a size such as 512M, 4GiB or 1.5T", text);
}

/* Length of "12" or "1.5" at the start of text, or 0: strtod alone takes 0x10 and 1e3 as well. */
static size_t decimal_n(const char *text)
{
    static const char digits[] = "0123456789";
    size_t whole = strspn(text, digits), part = 0;

    if (whole && text[whole] == '.') {
        part = strspn(text + whole + 1, digits);
        return part ? whole + 1 + part : 0;
    }
    return whole;
}

struct err *parse_size(const char *text, uint64_t *ret_b)
{
    static const char units[] = "KMGTPE";
    size_t n = decimal_n(text);
    char *rest = NULL;
    double v = strtod(text, &rest);
    const char *unit;

    if (!n || rest != text + n)
        return bad_size(text);
    unit = *rest ? strchr(units, *rest) : NULL;
    if (unit) {
        v = ldexp(v, 10 * (int)(unit - units + 1));
        rest++;
    }
    if (unit && strcmp(rest, "iB") == 0)
        rest += 2;
    else if (strcmp(rest, "B") == 0)
        rest++;
    if (*rest || v >= 18446744073709551616.0)
        return bad_size(text);
    *ret_b = (uint64_t)v;
    return NULL;
}

static size_t edit_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), row[65];

    if (m >= ARRAY_LEN(row) || n >= ARRAY_LEN(row))
        return SIZE_MAX;
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t above = row[j], best = diagonal + (a[i - 1] != b[j - 1]);

            if (above + 1 < best)
                best = above + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
            diagonal = above;
        }
    }
    return row[m];
}

const char *str_nearest(const char *word, const char *const *names)
{
    const char *best = NULL;
    size_t limit = strlen(word) / 3 + 1;

    for (; *names; names++) {
        size_t d = edit_distance(word, *names);

        if (d <= limit && (!best || d < edit_distance(word, best)))
            best = *names;
    }
    return best;
}

const char *fmt_size(uint64_t size_b, char *buf, size_t n)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double v = (double)size_b;
    size_t u = 0;

    for (; v >= 1024 && u + 1 < ARRAY_LEN(units); u++)
        v /= 1024;
    snprintf(buf, n, u && v < 100 ? "%.1f %s" : "%.0f %s", v, units[u]);
    return buf;
}

const char *fmt_duration(double seconds, char *buf, size_t n)
{
    unsigned long s = seconds > 0 ? (unsigned long)(seconds + 0.5) : 0;

    if (seconds < 1)
        snprintf(buf, n, "%.0f ms", seconds > 0 ? seconds * 1000 : 0);
    else if (s < 120)
        snprintf(buf, n, "%lu s", s);
    else if (s < 7200)
        snprintf(buf, n, "%lu min %lu s", s / 60, s % 60);
    else if (s < 172800)
        snprintf(buf, n, "%lu h %lu min", s / 3600, s / 60 % 60);
    else
        snprintf(buf, n, "%lu d %lu h", s / 86400, s / 3600 % 24);
    return buf;
}

const char *fmt_utc(uint64_t wall_ms, char *buf, size_t n)
{
    time_t t = (time_t)(wall_ms / 1000);
    struct tm tm;

    if (!gmtime_r(&t, &tm) || strftime(buf, n, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
        snprintf(buf, n, "?");
    return buf;
}
