#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"

/* What has failed and is not tried again: nodes whose bytes were wrong, for a day, and snapshots
 * that are no good wherever they come from, for ever. Kept in a file of JSON, so that the next run
 * knows. */
enum blacklist_kind { BLACKLIST_PEER, BLACKLIST_HASH, BLACKLIST_VERSION, BLACKLIST_KINDS };
const char *blacklist_kind_name(enum blacklist_kind k);

#define BLACKLIST_MAX     4096 /* entries */
#define BLACKLIST_PEER_MS ((uint64_t)24 * 3600 * 1000)

struct blacklist_entry {
    enum blacklist_kind kind;
    char *value;       /* an id in base58 or "http://host:port"; a hash; a version */
    char *why;         /* for people */
    uint64_t until_ms; /* since 1970; 0: for ever */
};
struct blacklist {
    struct blacklist_entry *items;
    size_t n, cap;
    bool changed; /* since it was loaded or saved */
};
void blacklist_clear(struct blacklist *b);

/* A file's text; entries that have ended are left out. ERR_BADINPUT: it is none. */
struct err *blacklist_parse(const char *text, size_t n, uint64_t now_ms, struct blacklist *ret)
    MUST_CHECK;
char *blacklist_text(const struct blacklist *b); /* to be freed */

/* No file is an empty list. ERR_BADINPUT (what to do about it is in the text), ERR_SYS. */
struct err *blacklist_load(struct ctx *ctx, const char *path, struct blacklist *ret) MUST_CHECK;
/* Makes the folder where it is missing; nothing when nothing has changed. ERR_SYS. */
struct err *blacklist_save(struct ctx *ctx, const char *path, struct blacklist *b) MUST_CHECK;

/* The later end counts when it is there already. Of a list that is full, the peer that would end
 * first goes; where there is none, nothing is added. */
void blacklist_add(struct blacklist *b, enum blacklist_kind k, const char *value, const char *why,
                   uint64_t until_ms);
/* Every entry of this value; false: there is none. */
bool blacklist_forget(struct blacklist *b, const char *value);
/* NULL: it is not listed, or no longer. */
const struct blacklist_entry *blacklist_find(const struct blacklist *b, enum blacklist_kind k,
                                             const char *value, uint64_t now_ms);
