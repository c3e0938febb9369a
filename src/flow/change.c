/* Changes of stages as JSON and back. What is read may come from another version of agavectl, or
 * from somebody's editor. */
#include "flow/change.h"

#include <stdlib.h>

#include "base/str.h"
#include "stage/engine.h"

struct json *change_json(const struct stage *s, const struct change *c)
{
    struct json *j = json_new_object();

    json_put(j, "stage", json_new_str(s->name));
    json_put(j, "kind", json_new_str(change_kind_name(c->kind)));
    json_put(j, "verb", json_new_u64((uint64_t)c->verb));
    json_put(j, "object", json_new_str(c->object));
    json_put(j, "before", json_new_str(c->before));
    json_put(j, "after", json_new_str(c->after));
    json_put(j, "destructive", json_new_bool(c->destructive));
    json_put(j, "once", json_new_bool(c->once));
    json_put(j, "undoable", json_new_bool(c->undoable));
    json_put(j, "live", json_new_bool(c->live));
    json_put(j, "adopt", json_new_bool(c->adopt));
    json_put(j, "writes", json_new_str(change_writes_name(c->writes)));
    json_put(j, "arg", json_new_str(c->arg));
    json_put(j, "old", json_new_str(c->old));
    return j;
}

static struct err *text_of(const struct json *j, const char *key, char **ret)
{
    const char *text;

    if (!json_get(j, key))
        return NULL;
    TRY_CTX(json_as_str(json_get(j, key), &text), "%s", key);
    *ret = xstrdup(text);
    return NULL;
}

static struct err *kind_of(const char *name, enum change_kind *ret)
{
    for (int k = CHANGE_CREATE; k <= CHANGE_RUN; k++)
        if (str_eq(name, change_kind_name((enum change_kind)k))) {
            *ret = (enum change_kind)k;
            return NULL;
        }
    return err_new(ERR_CORRUPT, "there is no kind of change '%s'", name);
}

static struct err *flags_of(const struct json *j, struct change *ret)
{
    const struct {
        const char *key;
        bool *to;
    } flags[] = {{"destructive", &ret->destructive},
                 {"once", &ret->once},
                 {"undoable", &ret->undoable},
                 {"live", &ret->live},
                 {"adopt", &ret->adopt}};

    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        TRY_CTX(json_as_bool(json_get(j, flags[i].key), flags[i].to), "%s", flags[i].key);
    return NULL;
}

/* Missing: of an older version, or nothing. */
static struct err *writes_of(const struct json *j, enum change_writes *ret)
{
    AUTO(freep) char *name = NULL;

    TRY(text_of(j, "writes", &name));
    for (int w = WRITES_FILE; name && w <= WRITES_LINK; w++)
        if (str_eq(name, change_writes_name((enum change_writes)w))) {
            *ret = (enum change_writes)w;
            return NULL;
        }
    return name ? err_new(ERR_CORRUPT, "a change writes no '%s'", name) : NULL;
}

struct err *change_from_json(const struct json *j, const struct stage **ret_stage,
                             struct change *ret)
{
    const char *name, *kind;
    uint64_t verb;

    TRY_CTX(json_as_str(json_get(j, "stage"), &name), "stage");
    TRY_CTX(json_as_str(json_get(j, "kind"), &kind), "kind");
    TRY_CTX(json_as_u64(json_get(j, "verb"), &verb), "verb");
    *ret_stage = stage_by_name(stage_table, name);
    if (!*ret_stage || !(*ret_stage)->plan || verb > INT32_MAX)
        return err_new(ERR_CORRUPT, "there is no such change of a stage '%s'", name);
    ret->verb = (int)verb;
    TRY(kind_of(kind, &ret->kind));
    TRY(flags_of(j, ret));
    TRY(writes_of(j, &ret->writes));
    TRY(text_of(j, "object", &ret->object));
    TRY(text_of(j, "before", &ret->before));
    TRY(text_of(j, "after", &ret->after));
    TRY(text_of(j, "arg", &ret->arg));
    TRY(text_of(j, "old", &ret->old));
    return ret->object ? NULL : err_new(ERR_CORRUPT, "a change of '%s' has no object", name);
}
