#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "cmd/out.h"

/* One command = one const object in its own file; parsing, --help, completion and the man page all
 * come from it (cmd/table.c is the one list). Options land by offset in the command's own struct,
 * which the dispatcher allocates zeroed and frees (texts in it are borrowed from argv). */
enum opt_type {
    OPT_FLAG, /* bool */
    OPT_STR,  /* const char * */
    OPT_U64,  /* uint64_t; min..max */
    OPT_SIZE, /* uint64_t, "600GiB" */
    OPT_LIST, /* struct strlist: may be given again and again */
};
struct opt {
    enum opt_type type;
    char shrt;        /* 0: none */
    const char *lng;  /* without "--" */
    const char *arg;  /* name of the argument in help: "DIR"; NULL for flags */
    const char *help; /* one line */
    size_t offset;
    uint64_t min, max, def;     /* OPT_U64 */
    const char *const *choices; /* OPT_STR: allowed words, NULL-terminated, or NULL */
    const char
        *bare; /* "--name" alone means "--name=BARE": the value never stands apart; or NULL */
};

enum cmd_flags {
    CMD_ROOT = 1 << 0,         /* effective uid 0 wanted: else exit 4 before anything is touched */
    CMD_LOCK = 1 << 1,         /* holds the host lock while it runs */
    CMD_CONFIG = 1 << 2,       /* a config must be found (ctx->cfg is set) */
    CMD_JSON = 1 << 3,         /* understands -o json */
    CMD_CONFIG_MAYBE = 1 << 4, /* uses a config when there is one */
    CMD_HIDDEN = 1 << 5,       /* not in the list of commands */
    CMD_TAKEOVER = 1 << 6,     /* with CMD_LOCK: asks another agavectl that holds it to leave */
};

struct cmd {
    const char *name;    /* "up" */
    const char *summary; /* one line, at most 60 columns, for the list of commands */
    const char *usage;   /* arguments after the options: "[N|A-B]"; "" for none */
    const char *detail;  /* paragraphs for --help and the man page, wrapped by the printer */
    const char *example; /* one example command line with a word on it, or NULL */
    const char *sample;  /* for the manual: a command and what it printed, each line after blanks */
    uint32_t flags;
    uint32_t min_args, max_args;
    const struct opt *opts; /* ended by lng == NULL; NULL: none */
    size_t opts_size;
    const char *const *formats; /* of -o, NULL-terminated; NULL: text, and json with CMD_JSON */
    /* The captured host that these options ask for in place of this machine, or NULL. Then nothing
     * of this machine is looked at and no program is run: no lock, no lab, the config is the one of
     * --config or the host's own. A NULL pointer: the command knows no captured hosts. */
    const char *(*captured)(const void *opts);
    const struct cmd *const *subs; /* NULL-terminated; a command with subs has no run */
    struct err *(*run)(struct ctx *ctx, const void *opts, int argc, char **argv, struct out *out);
};
extern const struct cmd *const cmd_table[]; /* NULL-terminated, alphabetical */
