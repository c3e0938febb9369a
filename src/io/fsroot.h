#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

/* Files below a root directory: "/" in life, a captured or made-up host in tests. Paths are
 * absolute ("/proc/mounts") and are resolved below the root; ".." may not leave it. */
struct fsroot;

struct err *fsroot_open(const char *dir, struct fsroot **ret) MUST_CHECK;
/* A captured host: dir holds its files and "host.json", which says what files cannot hold (owners,
 * devices, free space, answers; io/captured.h). Nothing is written below such a root: ERR_REFUSED.
 * ERR_NOTFOUND, ERR_BADINPUT, ERR_SYS. */
struct err *fsroot_open_captured(const char *dir, struct fsroot **ret) MUST_CHECK;
/* The object in host.json; NULL for every other root. Owned by r. */
const struct json *fsroot_captured(const struct fsroot *r);
struct fsroot *fsroot_close(struct fsroot *r); /* NULL is fine; returns NULL */
void fsroot_closep(struct fsroot **r);
const char *fsroot_dir(const struct fsroot *r);
/* The path as the process sees it: root + path. To be freed. For what takes no descriptor. */
char *fsroot_path(const struct fsroot *r, const char *path);

/* The whole file, at most max_b bytes (more is ERR_BADINPUT "… is larger than …"); for /proc and
 * /sys as well. ERR_NOTFOUND, ERR_SYS. *ret is NUL-terminated and to be freed; ret_n may be NULL.
 */
struct err *fsroot_read(struct fsroot *r, const char *path, size_t max_b, char **ret, size_t *ret_n)
    MUST_CHECK;
/* The same of what is open already; path is for messages. */
struct err *fsroot_read_fd(int fd, const char *path, size_t max_b, char **ret, size_t *ret_n)
    MUST_CHECK;
/* The last bytes of a file, at most max_b (from the middle of a line then). As fsroot_read. */
struct err *fsroot_read_tail(struct fsroot *r, const char *path, size_t max_b, char **ret,
                             size_t *ret_n) MUST_CHECK;
/* One line without its newline, e.g. of /sys. */
struct err *fsroot_read_line(struct fsroot *r, const char *path, char **ret) MUST_CHECK;
struct err *fsroot_read_u64(struct fsroot *r, const char *path, uint64_t *ret) MUST_CHECK;
/* Into an existing file, in one write, e.g. of /proc/sys. */
struct err *fsroot_write(struct fsroot *r, const char *path, const char *text) MUST_CHECK;
/* All or nothing: temporary file beside it (O_EXCL, O_NOFOLLOW), fsync, rename, fsync of the
 * folder. */
struct err *fsroot_write_atomic(struct fsroot *r, const char *path, const void *data, size_t n,
                                mode_t mode) MUST_CHECK;
/* The same with the mode, owner and group of like. */
struct err *fsroot_replace(struct fsroot *r, const char *path, const void *data, size_t n,
                           const struct stat *like) MUST_CHECK;
/* Follows links. ERR_NOTFOUND, ERR_SYS. */
struct err *fsroot_stat(struct fsroot *r, const char *path, struct stat *ret) MUST_CHECK;
/* Of the file system that it lies on. ERR_NOTFOUND, ERR_SYS. */
struct err *fsroot_statvfs(struct fsroot *r, const char *path, struct statvfs *ret) MUST_CHECK;
/* What a link says, unresolved. ERR_NOTFOUND, ERR_SYS (EINVAL: no link). To be freed. */
struct err *fsroot_readlink(struct fsroot *r, const char *path, char **ret) MUST_CHECK;
/* Where the path really is, as the kernel's tables name it: links of the part that exists are
 * resolved, the rest is appended. Below the root again; to be freed. ERR_SYS. */
struct err *fsroot_real(struct fsroot *r, const char *path, char **ret) MUST_CHECK;
/* Is there a folder? Nothing there is false; something else there is ERR_BADINPUT; ERR_SYS. */
struct err *fsroot_is_folder(struct fsroot *r, const char *path, bool *ret) MUST_CHECK;
/* Directory and its missing parents with mode; existing ones are left alone. */
struct err *fsroot_mkdirs(struct fsroot *r, const char *path, mode_t mode) MUST_CHECK;
struct err *fsroot_unlink(struct fsroot *r, const char *path) MUST_CHECK; /* absent is fine */
struct err *fsroot_rmdir(struct fsroot *r, const char *path) MUST_CHECK;  /* absent is fine */
/* Durable, both. A link that says target; ERR_SYS (EEXIST: the name is taken). */
struct err *fsroot_symlink(struct fsroot *r, const char *target, const char *path) MUST_CHECK;
/* Another name in the same folder: name has no slash. Never over something (ERR_SYS, EEXIST); a
 * link is renamed itself. */
struct err *fsroot_rename(struct fsroot *r, const char *path, const char *name) MUST_CHECK;
/* Names in a directory, sorted bytewise, without "." and "..". ERR_NOTFOUND, ERR_SYS. */
struct err *fsroot_list(struct fsroot *r, const char *path, struct strlist *ret) MUST_CHECK;
/* Open below the root; O_CLOEXEC is added. The caller closes. ERR_NOTFOUND, ERR_SYS. */
struct err *fsroot_openat(struct fsroot *r, const char *path, int flags, mode_t mode, int *ret_fd)
    MUST_CHECK;
