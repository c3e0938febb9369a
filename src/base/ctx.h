#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct config;
struct fsroot;
struct proc_ops;
struct http_ops;
struct clock_ops;

/* Everything outside the process, built once in cmd/main.c and replaced piece by piece in tests.
 * Nothing in it is owned by the functions that receive it. */
struct ctx {
    const struct config *cfg; /* NULL for commands that need none; read by stage/ and above only */
    struct fsroot *root;      /* /proc, /sys, /etc, /dev and our own files: below this root */
    const struct proc_ops *proc;   /* the only way to run a program */
    const struct http_ops *http;   /* the only way to speak HTTP */
    const struct clock_ops *clock; /* the only way to know the time and to wait */
    const volatile sig_atomic_t
        *cancelled; /* not 0: the operator wants to leave; every wait looks */
};
