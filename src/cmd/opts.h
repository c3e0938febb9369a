#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "cmd/cmd.h"

/* Options that every command takes, before or after its name. */
struct globals {
    const char *config;
    const char *output; /* one of opts_formats, or NULL */
    bool lab, no_lab, quiet, verbose, help, version;
};
extern const struct opt global_opts[]; /* ended by lng == NULL; offsets are into struct globals */

/* Every word that -o may have, NULL-terminated; which of them a command takes: cmd_formats. */
extern const char *const opts_formats[];
/* The words that -o may have with this command, NULL-terminated: at least "text". */
const char *const *cmd_formats(const struct cmd *cmd);

/* A command line taken apart. Texts are borrowed from argv, the rest is owned (cmdline_clear). */
struct cmdline {
    struct globals globals;
    const struct cmd *cmd;    /* the last command named ("show" of "config show"); NULL: none */
    const struct cmd *parent; /* the command that cmd is a part of, or NULL */
    char *name;               /* "config show"; "" when cmd is NULL */
    void *opts;               /* the command's own options with their defaults */
    char **argv;              /* what is left: argc arguments and NULL */
    int argc;
};

/* "--" ends the options; "--name=value", "-n value", "-nvalue" and "-qv" are understood; an
 * abbreviated name is not, because it would change its meaning with the next release.
 * ERR_BADINPUT, with the nearest known word. The number of arguments is checked unless help was
 * asked for. *ret must be {0} and is to be cleared even after an error. */
struct err *cmdline_parse(const struct cmd *const *table, int argc, char **argv,
                          struct cmdline *ret) MUST_CHECK;
void cmdline_clear(struct cmdline *c);

/* The command called name in a list of them, or NULL. */
const struct cmd *cmd_find(const struct cmd *const *list, const char *name);
