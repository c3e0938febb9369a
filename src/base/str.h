#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

/* A growing byte buffer. data is always NUL-terminated when len or cap is not 0. Initialise with
 * {0}; release with strbuf_clear (AUTO(strbuf_clear)). */
struct strbuf {
    char *data;
    size_t len, cap;
};

void strbuf_clear(struct strbuf *b);
void strbuf_add(struct strbuf *b, const void *data, size_t n);
void strbuf_puts(struct strbuf *b, const char *s);
void strbuf_printf(struct strbuf *b, const char *fmt, ...) PRINTF(2, 3);
/* Hands the text over (never NULL, "" when empty) and resets the buffer. */
char *strbuf_take(struct strbuf *b);
/* The text so far, "" when empty; owned by the buffer. */
const char *strbuf_text(const struct strbuf *b);

/* A list of owned strings, ready to be an argv: items[n] is NULL whenever items is not NULL. */
struct strlist {
    char **items;
    size_t n, cap;
};

void strlist_clear(struct strlist *l);
void strlist_add(struct strlist *l, const char *s);
void strlist_addf(struct strlist *l, const char *fmt, ...) PRINTF(2, 3);
bool strlist_has(const struct strlist *l, const char *s);

bool str_eq(const char *a, const char *b); /* NULL equals NULL only */
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);

/* Does this UTF-8 text hold a control character (an escape sequence begins with one), a line
 * separator of Unicode (YAML folds it into a blank), or U+FFFE or U+FFFF (YAML refuses them)? */
bool str_has_control(const char *s);
/* Foreign text for a message: at most max bytes, '?' for all but printable ASCII, so that it brings
 * neither control sequences nor lines of its own to a terminal. To be freed. */
char *str_shown(const char *s, size_t max);

/* Decimal text to a number: the whole text, no sign, no blank, at most max.
 * ERR_BADINPUT "'x' is not a number from <min> to <max>". */
struct err *parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret) MUST_CHECK;
/* "512", "64K", "1.5G", "600GiB": bytes, powers of 1024. ERR_BADINPUT. */
struct err *parse_size(const char *text, uint64_t *ret_b) MUST_CHECK;
/* The name in names (NULL-terminated) that is nearest to word by edit distance, or NULL when none
 * is near enough to be meant. For "did you mean". */
const char *str_nearest(const char *word, const char *const *names);

/* "1.2 GiB", "512 B"; "3 h 12 min", "42 s", "350 ms". Written into buf (returned). */
const char *fmt_size(uint64_t size_b, char *buf, size_t n);
const char *fmt_duration(double seconds, char *buf, size_t n);
/* "2026-11-23 04:44:22 UTC", from milliseconds since 1970. */
const char *fmt_utc(uint64_t wall_ms, char *buf, size_t n);
