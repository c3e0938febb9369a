/* Answers on stdout: plain text, tables, or one JSON document. Nothing here looks at whether a
 * write worked; the dispatcher asks the stream once at the end, so that no command has to. */
#include "cmd/out.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

void out_printf(struct out *o, const char *fmt, ...)
{
    va_list ap;

    if (o->json)
        return;
    va_start(ap, fmt);
    vfprintf(o->f, fmt, ap);
    va_end(ap);
}

struct json *answer_new(void)
{
    struct json *doc = json_new_object();

    json_put(doc, "schema_version", json_new_u64(1));
    return doc;
}

void out_json(struct out *o, struct json *doc)
{
    AUTO(json_freep) struct json *owned = doc;
    AUTO(freep) char *text = json_text(owned, isatty(fileno(o->f)));

    fprintf(o->f, "%s\n", text);
}

void out_changed(struct out *o, bool changed, const char *yes, const char *no)
{
    struct json *doc;

    out_printf(o, "%s\n", changed ? yes : no);
    if (!o->json)
        return;
    doc = answer_new();
    json_put(doc, "changed", json_new_bool(changed));
    out_json(o, doc);
}

size_t text_columns(const char *s)
{
    size_t n = 0;

    for (; *s; s++)
        n += (*s & 0xc0) != 0x80;
    return n;
}

struct table {
    size_t columns, cells, cap;
    bool *right;
    char **cell; /* row after row, the header first */
};

static void add_cell(struct table *t, const char *text)
{
    t->cell = xgrow(t->cell, &t->cap, t->cells + 1, sizeof(*t->cell));
    t->cell[t->cells++] = xstrdup(text);
}

struct table *table_new(const char *const *headers)
{
    struct table *t = xcalloc(1, sizeof(*t));

    while (headers[t->columns])
        t->columns++;
    t->right = xcalloc(t->columns, sizeof(*t->right));
    for (size_t c = 0; c < t->columns; c++) {
        t->right[c] = headers[c][0] == '>';
        add_cell(t, headers[c] + t->right[c]);
    }
    return t;
}

void table_row(struct table *t, const char *const *cells)
{
    for (size_t c = 0; c < t->columns; c++)
        add_cell(t, cells[c] ? cells[c] : "-");
}

static void print_row(const struct table *t, char **row, const size_t *width, struct out *o)
{
    /* Blanks are owed, not printed, so that no line ends in one. */
    size_t owed = 0;

    for (size_t c = 0; c < t->columns; c++) {
        size_t pad = width[c] - text_columns(row[c]);

        if (t->right[c])
            owed += pad;
        if (*row[c]) {
            fprintf(o->f, "%*s%s", (int)owed, "", row[c]);
            owed = 0;
        }
        owed += 2 + (t->right[c] ? 0 : pad);
    }
    fputc('\n', o->f);
}

void table_print(struct table *t, struct out *o)
{
    AUTO(freep) size_t *width = xcalloc(t->columns, sizeof(*width));

    if (o->json || t->columns == 0)
        return;
    for (size_t i = 0; i < t->cells; i++) {
        size_t n = text_columns(t->cell[i]);

        if (n > width[i % t->columns])
            width[i % t->columns] = n;
    }
    for (size_t i = 0; i < t->cells; i += t->columns)
        print_row(t, t->cell + i, width, o);
}

struct table *table_free(struct table *t)
{
    if (t) {
        for (size_t i = 0; i < t->cells; i++)
            free(t->cell[i]);
        free(t->cell);
        free(t->right);
        free(t);
    }
    return NULL;
}

void table_freep(struct table **t)
{
    *t = table_free(*t);
}
