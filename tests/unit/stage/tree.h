#pragma once

#include "config/config.h"
#include "fixture.h"
#include "look/scene.h"
#include "stage/engine.h"

/* A made-up host with a config, and what one stage says about it. */
struct tree {
    struct fixture f;
    struct config *cfg;
    struct findings found;
};
/* yaml: the config; "" for the defaults. */
void tree_new(struct tree *t, const char *yaml);
void tree_clear(struct tree *t);
/* From now on it is a captured host with this host.json; nothing can be put into it any more. */
void tree_capture(struct tree *t, const char *host_json);
/* Looks with this stage alone; a check that failed is the finding of the stage's name. */
void tree_check(struct tree *t, const char *stage);
/* The only finding of this id has this severity, and what it says contains part (NULL: any). */
void tree_is_(struct tree *t, const char *id, enum severity sev, const char *part, const char *file,
              int line);
#define tree_is(t, id, sev, part) tree_is_(t, id, sev, part, __FILE__, __LINE__)
void tree_has_not_(struct tree *t, const char *id, const char *file, int line);
#define tree_has_not(t, id) tree_has_not_(t, id, __FILE__, __LINE__)
