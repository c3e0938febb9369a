#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"

/* Kernel modules: seen in /sys/module and in /lib/modules/RELEASE (modules.builtin, modules.dep of
 * kmod 30), loaded and unloaded by modprobe(8). A name has underscores, as in /sys/module. */
enum kmodule_state {
    KMODULE_MISSING,  /* this kernel has none of the name */
    KMODULE_LOADABLE, /* its file is there */
    KMODULE_LOADED,
    KMODULE_BUILTIN, /* part of the kernel: its options stand on the kernel's command line */
};
/* ERR_SYS. */
struct err *kmodule_look(struct ctx *ctx, const char *name, enum kmodule_state *ret) MUST_CHECK;
/* A parameter of a loaded or built-in module. ERR_NOTFOUND, ERR_BADINPUT (no number). */
struct err *kmodule_param_u64(struct ctx *ctx, const char *name, const char *param, uint64_t *ret)
    MUST_CHECK;

/* What the files of modprobe.d(5) set for a module, as a later one overrides an earlier one. */
struct kmodule_option {
    char *key, *value; /* "rd_size", "629145600"; value "" where there is none */
    char *source;      /* "/etc/modprobe.d/x.conf:3" */
};
struct kmodule_options { /* one for each key: the one that counts */
    struct kmodule_option *items;
    size_t n, cap;
};
void kmodule_options_clear(struct kmodule_options *o);
/* ERR_SYS, ERR_BADINPUT (a file larger than 1 MiB). */
struct err *kmodule_options_read(struct ctx *ctx, const char *name, struct kmodule_options *ret)
    MUST_CHECK;
/* One file's text, and the kernel's command line ("brd.rd_size=…"); what comes later overrides.
 * Never fail: a line that is no option of the module is left out, as modprobe does. */
void kmodule_options_parse(const char *text, const char *path, const char *name,
                           struct kmodule_options *o);
void kmodule_options_parse_cmdline(const char *text, const char *name, struct kmodule_options *o);
const struct kmodule_option *kmodule_options_find(const struct kmodule_options *o, const char *key);

/* params: "rd_nr=1", NULL-terminated, or NULL; they come after those of modprobe.d. Already loaded
 * is fine (then they do nothing). ERR_ABSENT (no modprobe), ERR_REMOTE (with its reason). Blocks,
 * at most 60 s. */
struct err *kmodule_load(struct ctx *ctx, const char *name, const char *const *params) MUST_CHECK;
/* ERR_REFUSED while it is in use. Not loaded is fine. */
struct err *kmodule_unload(struct ctx *ctx, const char *name) MUST_CHECK;
