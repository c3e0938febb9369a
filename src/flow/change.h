#pragma once

#include "base/err.h"
#include "base/json.h"
#include "stage/stage.h"

/* A change of a stage as JSON: frozen in journals, noted in made.json, shown by -o json.
 *   {stage, kind: "create", verb, object, before, after, destructive, once, undoable, live, adopt,
 *    arg, old}; texts that are not there are null. */
struct json *change_json(const struct stage *s, const struct change *c);
/* ERR_CORRUPT: no change of a stage that this agavectl knows; ERR_REMOTE: a member of another type.
 * *ret is to be cleared in either case. */
struct err *change_from_json(const struct json *j, const struct stage **ret_stage,
                             struct change *ret) MUST_CHECK;
