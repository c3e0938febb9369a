#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "stage/engine.h"

#define CHECK_LAYERS 5

/* Which layers, stages and findings a look is about. Nothing selected is everything. */
struct check_selection {
    const struct stage *const *table;
    bool any;
    bool layers[CHECK_LAYERS + 1];
    struct strlist stages, ids;
};
void check_selection_clear(struct check_selection *s);
/* A layer's number, a stage's name or a finding's id each. ERR_BADINPUT with the nearest known
 * word. *ret is to be cleared after an error as well. */
struct err *check_select(const struct stage *const *table, char **words, int n,
                         struct check_selection *ret) MUST_CHECK;
/* For struct check_opts: has this stage to be looked at? arg: the selection. */
bool check_wants(const void *arg, const struct stage *s);

struct check_counts {
    size_t by[SEV_UNKNOWN + 1]; /* findings by enum severity, those that are not ignored */
    size_t ignored;
};
struct check_stage_view {
    const struct stage_look *look;
    struct check_counts counts;
    bool absent;
    enum severity worst;
};
struct check_layer_view {
    struct check_counts counts;
    size_t stages; /* that are not absent, or whose findings belong here */
    bool absent;   /* nothing of this layer was looked at */
    enum severity worst;
};
/* What a look found, as it is shown: selected, and by layer, in each layer by stage. */
struct check_view {
    const struct finding **items;
    size_t n;
    struct check_stage_view *stages;
    size_t n_stages;
    struct check_layer_view layers[CHECK_LAYERS + 1];
    struct check_counts counts;
    uint64_t took_us;
};
/* Borrows from r. */
void check_view_init(struct check_view *v, const struct check_report *r,
                     const struct check_selection *sel);
void check_view_clear(struct check_view *v);

const char *check_layer_name(unsigned int layer); /* "base system" */
/* Does it need somebody: is there a fail or an unknown? */
bool check_counts_bad(const struct check_counts *c);
/* "absent", or the name of the worst severity. */
const char *check_stage_state(const struct check_stage_view *s);
/* Text that came from outside as one line that is safe on a terminal. To be freed. */
char *check_line(const char *text);
