#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/ctx.h"
#include "base/err.h"
#include "../remove_tree.h"

/* A made-up host in a temporary folder, with a ctx on it. */
struct fixture {
    char *dir;
    struct ctx ctx;
};
/* What a failed test does not clear goes with the program. */
void fixture_new(struct fixture *f);
void fixture_clear(struct fixture *f);
void fixture_put(struct fixture *f, const char *path, const char *fmt, ...) PRINTF(3, 4);
void fixture_link(struct fixture *f, const char *path, const char *target);
void fixture_dir(struct fixture *f, const char *path);
/* Is there a file, folder or link of that name, wherever it leads? */
bool fixture_has(const struct fixture *f, const char *path);
/* /proc/<pid> with stat, cmdline, status, cgroup, ns, exe (NULL: none), fd and one task. argv:
 * words separated by blanks. */
void fixture_process(struct fixture *f, int pid, const char *comm, const char *exe,
                     const char *argv, unsigned long long start);
void fixture_thread(struct fixture *f, int pid, int tid, const char *comm, char state,
                    const char *wchan, const char *stack);
/* Writes into a file in dir until its disk is full. */
void fill_disk(const char *dir);
/* Fails the test with the error's text. */
void assert_ok_(struct err *e, const char *file, int line);
#define assert_ok(call) assert_ok_(call, __FILE__, __LINE__)
/* The call must fail with this kind, and its text must contain part. */
void assert_err_(struct err *e, int kind, const char *part, const char *file, int line);
#define assert_err(call, kind, part) assert_err_(call, kind, part, __FILE__, __LINE__)
