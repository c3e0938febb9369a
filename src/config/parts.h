#pragma once

#include "config/config.h"

/* What the files of config/ share with each other and nobody else. */
struct faults {
    const char *name;     /* of the file, for messages */
    struct strlist lines; /* "name:line: what is wrong" */
};

/* The member of a key. */
static inline void *config_member(const struct config *c, const struct config_key *k)
{
    return (char *)(uintptr_t)c + k->offset;
}

/* NULL, or what is wrong with the text of a value or of one item of a list. */
const char *config_check_text(const struct config_key *k, const char *text);
/* What no single key can know; adds to f. */
void config_check_together(const struct config *c, struct faults *f);
