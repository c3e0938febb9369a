#pragma once

#include "base/str.h"
#include "cmd/opts.h"

/* What the program is, which config it takes, its exit codes: for --help and the manual page. */
extern const char *const help_about, *const help_config, *const help_exit;

/* Help texts, at most 80 columns wide, appended to b. */
void help_program(const struct cmd *const *table, struct strbuf *b);
/* name as it is typed: "config show". */
void help_command(const struct cmd *cmd, const char *name, struct strbuf *b);

/* Does this command take that global option? -o only where -o json is understood, --config and the
 * lab only where a config is used. For help, completion and the man page alike. */
bool help_takes_global(const struct cmd *cmd, const struct opt *global);
/* What an option says about itself: its help, its choices, its default; cmd: of which command, or
 * NULL. To be freed. */
char *help_opt_text(const struct cmd *cmd, const struct opt *o);
/* The words that an option may have, NULL-terminated, or NULL: any. */
const char *const *help_opt_choices(const struct cmd *cmd, const struct opt *o);

/* "show it" as a sentence: "Show it."; to be freed. */
char *help_sentence(const char *summary);

/* Appends text with each line indented by indent blanks and wrapped at 80 columns; the first line
 * starts at column at. A line of text that starts with a blank is kept as it is; an empty one ends
 * a paragraph. */
void help_wrap(struct strbuf *b, const char *text, size_t indent, size_t at);
