#pragma once

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/err.h"
#include "base/json.h"
#include "io/http.h"
#include "io/proc.h"

/* A captured host: a folder with files of its /proc, /sys, /etc …, and "host.json" with what files
 * cannot hold. Members of host.json, each optional:
 *
 *   captured_ms  when, ms since 1970: the clock's time for whoever looks at this host
 *   uid          effective user that "looks": 0 unless said otherwise
 *   stat         {path: {type: dir|file|block|char|link|socket|fifo, mode: "0755", uid, gid,
 *                 rdev: "1:0", dev: "0:43", ino, size_b}}; a path without an entry is what the
 *                 folder has there, owned by root, 0755 or 0644
 *   statvfs      {mount point or path: {size_b, free_b, files, files_free, read_only}}; the nearest
 *                 one above a path counts
 *   block        {device: {size_b, sector_b, read_only, content: blank|filesystem|partitions|
 *                 member|swap|unknown, fstype, uuid, label}} (read by host/block.c)
 *   kernel_clock {synchronized, offset_ms, max_error_ms} (read by host/timesync.c)
 *   programs     [{argv: […], exit, out, err}]; a program that is not listed is not there
 *   answers      [{method, url, unix, body_has, status, body}]: body is a text or any JSON; in its
 *                 place result: of a JSON-RPC reply to the request; or fail: a text, with kind:
 *                 absent|notfound|refused|timeout|remote. No url fits every one; the first that
 *                 fits answers. unix is the socket that was asked; one without an answer is not
 *                 there
 *   sockets      [{path, has, line}] or with fail and kind as above: a Unix socket that answers a
 *                 line with a line (any JSON) when has is in it
 */
extern const struct proc_ops proc_captured; /* from "programs" of ctx->root */
extern const struct http_ops http_captured; /* from "answers" of ctx->root */

/* For io/fsroot.c. facts: host.json. *ret_found false: it says nothing about this path.
 * ERR_BADINPUT when an entry cannot be read. */
struct err *captured_stat(const struct json *facts, const char *path, struct stat *ret,
                          bool *ret_found) MUST_CHECK;
struct err *captured_statvfs(const struct json *facts, const char *path, struct statvfs *ret)
    MUST_CHECK;

/* For io/sock.c: path as the process sees it. The errors of sock_ask. */
struct err *captured_sock_ask(const struct ctx *ctx, const char *path, const char *request,
                              char **ret) MUST_CHECK;
