/* The texts of the files that a plan writes. They stand in the plan itself, marks apart, and are
 * written from there: what is shown is what is written. */
#include "cmd/plan_files.h"

#include <string.h>

#include "base/str.h"
#include "host/own_block.h"
#include "host/own_file.h"
#include "stage/stage.h"

#define LINE_MAX 1000

static const char *member(const struct json *j, const char *key)
{
    const char *text = NULL;

    err_free(json_as_str(json_get(j, key), &text)); /* null: there is none */
    return text;
}

static bool is(const struct json *change, enum change_writes w)
{
    return str_eq(member(change, "writes"), change_writes_name(w)) && member(change, "arg");
}

/* NULL: no text is written. To be freed. */
static char *text_of(const struct json *change)
{
    const char *arg = member(change, "arg");

    if (is(change, WRITES_FILE))
        return own_file_bytes(arg);
    if (is(change, WRITES_BLOCK) && *arg)
        return xasprintf("%s\n%s%s\n", OWN_BLOCK_BEGIN, arg, OWN_BLOCK_END);
    return NULL;
}

struct json *plan_files_json(const struct json *change)
{
    AUTO(freep) char *text = text_of(change);
    bool link = is(change, WRITES_LINK);
    struct json *all = json_new_array(), *one;

    if (!text && !link)
        return all;
    one = json_new_object();
    json_put(one, "path", json_ref(json_get(change, "object")));
    json_put(one, "text", json_new_str(text));
    json_put(one, "link", json_new_str(link ? member(change, "arg") : NULL));
    json_put(one, "part", json_new_bool(is(change, WRITES_BLOCK)));
    json_push(all, one);
    return all;
}

void plan_files_print(const struct json *change, struct out *out)
{
    AUTO(freep) char *text = text_of(change);
    char *save = text;

    if (is(change, WRITES_LINK))
        out_printf(out, "\n%s -> %s\n", member(change, "object"), member(change, "arg"));
    if (!text)
        return;
    out_printf(out, "\n%s%s:\n", member(change, "object"),
               is(change, WRITES_BLOCK) ? ", in it" : "");
    for (char *line = strsep(&save, "\n"); line && (*line || save); line = strsep(&save, "\n")) {
        AUTO(freep) char *shown = str_shown(line, LINE_MAX);

        out_printf(out, "%s%s\n", *line ? "    " : "", shown);
    }
}
