#pragma once

#include <stddef.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"

/* Files that are ours alone (a drop-in, a unit, a file of sysctl.d), and our part of a file that we
 * share (a marked block of /etc/fstab; host/own_block.h has its form). Whatever is not ours is
 * never written over. A path whose folders others than root (or ourselves) can write is not safe:
 * it counts as somebody else's. */

/* First line of each of our files. */
#define OWN_FILE_MARK "# agavectl writes this file; 'agavectl prepare --undo --apply' removes it."

enum own_state {
    OWN_ABSENT, /* no such file; of a block: no block in it, or no such file */
    OWN_SAME,   /* ours, with this very text */
    OWN_OTHER,  /* ours, with another text or mode */
    OWN_FOREIGN /* somebody else's file (or link, or folder) has the name; a block: its marks are
                   damaged */
};
/* text: without the mark, lines that end in "\n"; NULL: any (never OWN_SAME). *ret_why (may be
 * NULL): of OWN_FOREIGN, for people, NULL otherwise; to be freed. A file is at most 1 MiB
 * (ERR_BADINPUT). ERR_SYS. */
struct err *own_file_look(struct ctx *ctx, const char *path, const char *text, enum own_state *ret,
                          char **ret_why) MUST_CHECK;
/* Durable and whole, mode 0644, with the missing folders of its path. ERR_REFUSED when it is
 * somebody else's; ERR_SYS (EROFS: a read-only /etc). */
struct err *own_file_write(struct ctx *ctx, const char *path, const char *text) MUST_CHECK;
/* The very bytes of such a file, the mark included. To be freed. */
char *own_file_bytes(const char *text);
/* Removes ours, and those of folders (may be NULL; as own_file_new_folders named them before it was
 * written) that are empty then. Durable. Absent is fine; ERR_REFUSED when it is somebody else's. */
struct err *own_file_remove(struct ctx *ctx, const char *path, const char *folders) MUST_CHECK;
/* Folders that own_file_write(path) would make, deepest first, one a line; NULL: none. To be freed;
 * for struct change's old. */
struct err *own_file_new_folders(struct ctx *ctx, const char *path, char **ret) MUST_CHECK;

/* The same for our block. Bytes outside it stay as they are, and so do owner and mode of the file.
 * A new block goes to the end, behind a newline where the last line has none; removing it takes
 * that away again, and a file that was made for it goes with it. A link is followed only to a file
 * that root owns, and stays a link. */
struct err *own_block_look(struct ctx *ctx, const char *path, const char *text, enum own_state *ret,
                           char **ret_why) MUST_CHECK;
struct err *own_block_write(struct ctx *ctx, const char *path, const char *text) MUST_CHECK;
struct err *own_block_remove(struct ctx *ctx, const char *path) MUST_CHECK;
/* Another edit of a file that we share, in one write and by the same rules: edit appends the file's
 * new bytes to ret. The file must be there (ERR_NOTFOUND). */
struct err *own_shared_edit(struct ctx *ctx, const char *path,
                            struct err *(*edit)(void *arg, const char *data, size_t n,
                                                struct strbuf *ret),
                            void *arg) MUST_CHECK;
