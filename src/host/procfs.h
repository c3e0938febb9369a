#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"

/* The parts of /proc/<pid> that several modules read. A process may end at any moment: that is
 * ERR_NOTFOUND from each of them (the kernel says ENOENT, ESRCH, or EINVAL for a zombie's
 * mountinfo), and for the caller a reason to go on with the next one. */
struct err *procfs_pids(struct ctx *ctx, pid_t **ret, size_t *ret_n) MUST_CHECK;
/* Handle on /proc/<pid>: stays with this process even when the pid is used again. */
struct err *procfs_open(struct ctx *ctx, pid_t pid, int *ret_fd) MUST_CHECK;
/* The same of a thread of it that still has its memory and files: the main thread may have ended
 * before the others. Same names below it ("fd", "ns/mnt", "maps"), except "task". */
struct err *procfs_open_live(struct ctx *ctx, pid_t pid, int *ret_fd) MUST_CHECK;
/* A file or folder of it, for reading, reached through no link: the kernel has files in these
 * places, but a captured tree may hold links that lead out of it. "root", "cwd", "exe" and what
 * lies in "fd", "ns" and "map_files" are links, which this refuses. The caller closes. */
struct err *procfs_openat(int dir_fd, const char *name, int flags, int *ret_fd) MUST_CHECK;
/* Numbers in a folder of it ("task", "fd"), ascending. */
struct err *procfs_numbers(int dir_fd, const char *name, pid_t **ret, size_t *ret_n) MUST_CHECK;
/* The whole file, at most max_b bytes (the rest is cut: ERR_CORRUPT), NUL-terminated. */
struct err *procfs_read(int dir_fd, const char *name, size_t max_b, char **ret, size_t *ret_n)
    MUST_CHECK;
/* What a descriptor or link of it leads to; in a captured tree the link itself, since the file that
 * it names is another one on this machine. */
struct err *procfs_stat_file(int dir_fd, const char *name, struct stat *ret) MUST_CHECK;
/* What a link of it says. */
struct err *procfs_link(int dir_fd, const char *name, char **ret) MUST_CHECK;
/* "mnt:[4026531840]" of ns/mnt as a number. */
struct err *procfs_ns(int dir_fd, const char *kind, uint64_t *ret) MUST_CHECK;
/* The fields of stat that matter here; comm may hold blanks and brackets. comm needs 64 bytes. */
struct proc_stat {
    char comm[64], state;
    pid_t ppid;
    uint64_t start;
};
struct err *procfs_stat(int dir_fd, const char *name, struct proc_stat *ret) MUST_CHECK;
struct err *procfs_stat_parse(const char *text, struct proc_stat *ret) MUST_CHECK;
/* ERR_SYS when /proc is not there, or is that of another pid namespace: every process would look
 * gone, or be another one. */
struct err *procfs_mounted(struct ctx *ctx) MUST_CHECK;
/* Frees e and says true when it only means that the process is gone. */
bool procfs_gone(struct err **e);
/* Frees e and says true when root itself was refused: a process with capabilities that we lack (the
 * init of a machine whose containers are bounded). For everybody else a refusal stays an error. */
bool procfs_hidden(struct err **e);
