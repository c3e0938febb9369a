#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

/* The form of our part of a shared file: one block of whole lines between two marks, each a comment
 * of its own line. Pure functions on the file's bytes, which may be anything. */
#define OWN_BLOCK_BEGIN "# agavectl: begin; 'agavectl prepare --undo --apply' removes these lines"
#define OWN_BLOCK_END   "# agavectl: end"
/* What else the last mark may say, so that the bytes of before can be made again. */
#define OWN_BLOCK_NOTE_NEWLINE " (the line above the block had no newline)"
#define OWN_BLOCK_NOTE_FILE    " (this file was made for it)"

struct own_block {
    bool there;
    size_t begin, end;           /* with the marks: [begin, end) */
    size_t text_begin, text_end; /* without them */
    bool plain;                  /* both marks are byte for byte as agavectl writes them */
    bool newline, file;          /* the notes */
};
/* ERR_CORRUPT: the marks are damaged (one without the other, a second block, one in another, a mark
 * that was edited), with the line. */
struct err *own_block_find(const char *data, size_t n, struct own_block *ret) MUST_CHECK;
/* data with our block of this text in it: where it was, or at the end. made: data is a file that
 * is not there yet. text: lines that end in "\n", no mark among them (else ERR_BUG). ERR_CORRUPT.
 */
struct err *own_block_put(const char *data, size_t n, bool made, const char *text,
                          struct strbuf *ret) MUST_CHECK;
/* data without our block, as it was before that. *ret_file: nothing is left, and the file was made
 * for the block. ERR_CORRUPT. */
struct err *own_block_take(const char *data, size_t n, struct strbuf *ret, bool *ret_file)
    MUST_CHECK;
