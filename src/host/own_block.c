/* Our block in a shared file: found by its marks, put and taken out again so that every byte of the
 * others' is as it was. No files here: host/own_file.c reads and writes them. */
#include "host/own_block.h"

#include <string.h>

#define MARK_BEGIN "# agavectl: begin"

struct line {
    const char *s; /* without blanks around it, and without its newline */
    size_t n;
    size_t at, next; /* offsets of the whole line and of the one behind it */
    unsigned number;
    bool bare; /* nothing was left out of s but the newline, which is there */
};

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool next_line(const char *data, size_t n, struct line *l)
{
    const char *nl;
    size_t end;

    if (l->next >= n)
        return false;
    l->at = l->next;
    nl = memchr(data + l->at, '\n', n - l->at);
    end = nl ? (size_t)(nl - data) : n;
    l->next = end + (nl != NULL);
    l->number++;
    l->s = data + l->at;
    l->n = end - l->at;
    l->bare = nl != NULL;
    for (; l->n && blank(l->s[0]); l->s++, l->n--)
        l->bare = false;
    for (; l->n && blank(l->s[l->n - 1]); l->n--)
        l->bare = false;
    return true;
}

static bool line_starts(const struct line *l, const char *word)
{
    size_t n = strlen(word);

    return l->n >= n && memcmp(l->s, word, n) == 0;
}

static bool line_is(const struct line *l, const char *word)
{
    return l->n == strlen(word) && line_starts(l, word);
}

/* The last mark, with its notes. */
static bool read_end(const struct line *l, struct own_block *b)
{
    b->newline = line_is(l, OWN_BLOCK_END OWN_BLOCK_NOTE_NEWLINE);
    b->file = line_is(l, OWN_BLOCK_END OWN_BLOCK_NOTE_FILE);
    return b->newline || b->file || line_is(l, OWN_BLOCK_END);
}

static struct err *damaged(const struct line *l, const char *what)
{
    return err_new(ERR_CORRUPT, "line %u: %s", l->number, what);
}

static struct err *found_begin(const struct line *l, bool open, struct own_block *b)
{
    if (!line_is(l, OWN_BLOCK_BEGIN))
        return damaged(l, "a mark of agavectl's that was edited");
    if (open)
        return damaged(l, "a block of agavectl's begins within another");
    if (b->there)
        return damaged(l, "a second block of agavectl's");
    b->begin = l->at;
    b->text_begin = l->next;
    b->plain = l->bare;
    return NULL;
}

static struct err *found_end(const struct line *l, bool open, struct own_block *b)
{
    if (!read_end(l, b))
        return damaged(l, "a mark of agavectl's that was edited");
    if (!open)
        return damaged(l, "a block of agavectl's ends that has no beginning");
    b->text_end = l->at;
    b->end = l->next;
    b->plain = b->plain && l->bare;
    b->there = true;
    return NULL;
}

struct err *own_block_find(const char *data, size_t n, struct own_block *ret)
{
    struct own_block b = {0};
    struct line l = {0};
    unsigned begun = 0; /* line of a block that is open, or 0 */

    while (next_line(data, n, &l)) {
        if (line_starts(&l, MARK_BEGIN)) {
            TRY(found_begin(&l, begun, &b));
            begun = l.number;
        } else if (line_starts(&l, OWN_BLOCK_END)) {
            TRY(found_end(&l, begun, &b));
            begun = 0;
        }
    }
    if (begun)
        return err_new(ERR_CORRUPT, "line %u: a block of agavectl's begins that has no end", begun);
    *ret = b;
    return NULL;
}

/* A text that held a mark could never be taken out again. */
static struct err *must_be_lines(const char *text)
{
    size_t n = strlen(text);
    struct own_block b = {0};
    struct err *e = n && text[n - 1] != '\n' ? err_new(ERR_BUG, "its last line has no newline")
                                             : own_block_find(text, n, &b);

    if (!e && !b.there)
        return NULL;
    err_free(e);
    return err_new(ERR_BUG, "this text is none for a block: '%s'", text);
}

struct err *own_block_put(const char *data, size_t n, bool made, const char *text,
                          struct strbuf *ret)
{
    struct own_block b = {0};

    TRY(must_be_lines(text));
    TRY(own_block_find(data, n, &b));
    if (!b.there) {
        b.begin = b.end = n;
        b.newline = n && data[n - 1] != '\n';
        b.file = made;
        strbuf_add(ret, data, n);
        strbuf_puts(ret, b.newline ? "\n" : "");
    } else {
        strbuf_add(ret, data, b.begin);
    }
    strbuf_printf(ret, "%s\n%s%s%s\n", OWN_BLOCK_BEGIN, text, OWN_BLOCK_END,
                  b.newline ? OWN_BLOCK_NOTE_NEWLINE
                  : b.file  ? OWN_BLOCK_NOTE_FILE
                            : "");
    strbuf_add(ret, data + b.end, n - b.end);
    return NULL;
}

struct err *own_block_take(const char *data, size_t n, struct strbuf *ret, bool *ret_file)
{
    struct own_block b = {0};
    size_t head;

    TRY(own_block_find(data, n, &b));
    head = b.there ? b.begin : n;
    /* with lines behind the block the newline belongs to them by now */
    if (b.there && b.newline && b.end == n && head && data[head - 1] == '\n')
        head--;
    strbuf_add(ret, data, head);
    if (b.there)
        strbuf_add(ret, data + b.end, n - b.end);
    *ret_file = b.there && b.file && ret->len == 0;
    return NULL;
}
