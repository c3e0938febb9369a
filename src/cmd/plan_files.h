#pragma once

#include "base/json.h"
#include "cmd/cmd.h"

/* What a plan writes into files, as it will be written. change: as flow/change.h has it. */

/* [{path, text, link, part}]: text is the whole file, or with part true our marked lines in a file
 * of others; of a link text is null. Empty: it writes none. (The last mark of a part may get a note of how the
 * file ended before.) */
struct json *plan_files_json(const struct json *change);
/* The same for people: the path, then its lines. */
void plan_files_print(const struct json *change, struct out *out);
