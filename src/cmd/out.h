#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"

/* Where an answer goes: stdout, as text for people or as one JSON document. */
struct out {
    FILE *f;
    const char *format; /* of -o; NULL: text */
    bool json;          /* format is "json" */
    bool color;
    int exit; /* exit code when run() succeeds; 0, or 3 for a check that found something */
};

/* Text for people: prints nothing in JSON mode, so that a command needs no branch for it. The same
 * holds for table_print. */
void out_printf(struct out *o, const char *fmt, ...) PRINTF(2, 3);
/* Every JSON answer begins so: {"schema_version": 1}. Members are added later; none changes its
 * meaning while the number stays. */
struct json *answer_new(void);
/* Prints the document (pretty when a terminal, else one line) and a newline. Takes ownership. */
void out_json(struct out *o, struct json *doc);

/* The answer of a command that changes something: {"changed": …}, or one of two lines. */
void out_changed(struct out *o, bool changed, const char *yes, const char *no);

/* A table: header row, then rows; columns padded to their widest cell; a column is right-aligned
 * when its header starts with '>' (which is not printed). Cells are copied; NULL prints "-". */
struct table;
struct table *table_new(const char *const *headers); /* NULL-terminated */
/* As many cells as there are headers. */
void table_row(struct table *t, const char *const *cells);
void table_print(struct table *t, struct out *o);
struct table *table_free(struct table *t);
void table_freep(struct table **t);

/* Columns of a UTF-8 text on a terminal, taking each character as one wide. */
size_t text_columns(const char *s);
