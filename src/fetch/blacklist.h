#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"

/* What has failed and is not tried again: nodes whose bytes were wrong, for a day, and snapshots
 * that are no good wherever they come from, for ever. Kept in a file of JSON, so that the next run
 * knows.
 *
 * A node is who its id says, at whatever address it is; another id at the same address is another
 * node. One without an id (a file server, a node in no list) is its address and port: whoever
 * answers there later is listed with it, and one that was listed by its id is known again at its
 * address as long as no id is told there. */
enum blacklist_kind { BLACKLIST_PEER, BLACKLIST_HASH, BLACKLIST_VERSION, BLACKLIST_KINDS };
const char *blacklist_kind_name(enum blacklist_kind k);

#define BLACKLIST_MAX     4096 /* entries */
#define BLACKLIST_PEER_MS ((uint64_t)24 * 3600 * 1000)

struct blacklist_entry {
    enum blacklist_kind kind;
    char *value;       /* an id in base58 or "http://host:port"; a hash; a version */
    char *addr;        /* of an id: "http://host:port" where it was seen last; or NULL */
    char *why;         /* for people */
    uint64_t until_ms; /* since 1970; 0: for ever */
    bool ours;         /* added since the list was loaded or saved */
};
struct blacklist {
    struct blacklist_entry *items;
    size_t n, cap;
    bool changed;             /* since it was loaded or saved */
    struct strlist forgotten; /* since then */
};
void blacklist_clear(struct blacklist *b);

/* A file's text; entries that have ended are left out. ERR_BADINPUT: it is none. */
struct err *blacklist_parse(const char *text, size_t n, uint64_t now_ms, struct blacklist *ret)
    MUST_CHECK;
char *blacklist_text(const struct blacklist *b); /* to be freed */

/* No file is an empty list. ERR_BADINPUT (what to do about it is in the text), ERR_SYS. */
struct err *blacklist_load(struct ctx *ctx, const char *path, struct blacklist *ret) MUST_CHECK;
/* What was added and forgotten here is put into the file as it is by now, which becomes the list:
 * what other runs have saved meanwhile stays. One at a time, by a lock on "<path>.lock", which
 * stays and which is waited for up to 5 s. Makes the folder where it is missing; nothing when
 * nothing has changed. ERR_TIMEOUT, ERR_CANCELLED: the lock is another's; ERR_BADINPUT: the file is
 * broken by now, and stays; ERR_SYS. */
struct err *blacklist_save(struct ctx *ctx, const char *path, struct blacklist *b) MUST_CHECK;

/* The later end counts when it is there already. Of a list that is full, the peer that would end
 * first goes; where there is none, nothing is added. */
void blacklist_add(struct blacklist *b, enum blacklist_kind k, const char *value, const char *why,
                   uint64_t until_ms);
/* A node: by its id, or where it has none (NULL) by origin, "http://host:port". */
void blacklist_add_peer(struct blacklist *b, const char *id, const char *origin, const char *why,
                        uint64_t until_ms);
/* Every entry of this value or address; false: there is none. */
bool blacklist_forget(struct blacklist *b, const char *value);
/* NULL: it is not listed, or no longer. */
const struct blacklist_entry *blacklist_find(const struct blacklist *b, enum blacklist_kind k,
                                             const char *value, uint64_t now_ms);
/* The entry of a node; id may be NULL. */
const struct blacklist_entry *blacklist_find_peer(const struct blacklist *b, const char *id,
                                                  const char *origin, uint64_t now_ms);
