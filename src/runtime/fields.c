/* Tables of members for the answers of Docker and Kubernetes: they hold hundreds of members, of
 * which a few dozen are read. */
#include "runtime/fields.h"

#include <sys/types.h>

#include "base/str.h"

#define NAME_MAX_B 64

const struct json *fields_at(const struct json *j, const char *path)
{
    char name[NAME_MAX_B];

    for (;;) {
        size_t n = strcspn(path, "/");

        if (n >= sizeof(name))
            return NULL;
        memcpy(name, path, n);
        name[n] = 0;
        j = json_get(j, name);
        if (!j || !path[n])
            return j;
        path += n + 1;
    }
}

struct err *fields_list(const struct json *j, const char *path, const struct json **ret)
{
    const struct json *list = fields_at(j, path);

    if (list && !json_is_array(list))
        return err_remote(0, "%s: expected a list", path);
    *ret = list;
    return NULL;
}

static struct err *read_text(const struct json *j, char **ret)
{
    const char *text;

    TRY(json_as_str(j, &text));
    free(*ret);
    *ret = xstrdup(text);
    return NULL;
}

static struct err *read_number(const struct json *j, uint64_t max, uint64_t *ret)
{
    uint64_t v;

    TRY(json_as_u64(j, &v));
    if (v > max)
        return err_remote(0, "%llu is too large", (unsigned long long)v);
    *ret = v;
    return NULL;
}

static struct err *read_time(const struct json *j, int64_t *ret)
{
    const char *text;
    int64_t at;

    TRY(json_as_str(j, &text));
    TRY(time_parse(text, &at));
    *ret = at < 0 ? 0 : at; /* Docker's "never" is the year 1 */
    return NULL;
}

static struct err *read_one(const struct json *j, enum field_type type, void *at)
{
    uint64_t v;

    switch (type) {
    case FIELD_STR:
        return read_text(j, at);
    case FIELD_BOOL:
        return json_as_bool(j, at);
    case FIELD_U64:
        return json_as_u64(j, at);
    case FIELD_U32:
        TRY(read_number(j, UINT32_MAX, &v));
        *(uint32_t *)at = (uint32_t)v;
        return NULL;
    case FIELD_I64:
        return json_as_i64(j, at);
    case FIELD_PID:
        TRY(read_number(j, INT32_MAX, &v));
        *(pid_t *)at = (pid_t)v;
        return NULL;
    case FIELD_TIME:
        return read_time(j, at);
    }
    return err_new(ERR_BUG, "a field of no type");
}

struct err *fields_read(const struct json *j, const struct field *fields, size_t n, void *ret)
{
    if (!json_is_object(j))
        return err_remote(0, "expected an object");
    for (size_t i = 0; i < n; i++) {
        const struct json *member = fields_at(j, fields[i].path);

        if (member)
            TRY_CTX(read_one(member, fields[i].type, (char *)ret + fields[i].at), "%s",
                    fields[i].path);
    }
    return NULL;
}

/* Exactly n digits, a number from min to max. */
static bool digits(const char **p, size_t n, int min, int max, int *ret)
{
    int v = 0;

    for (size_t i = 0; i < n; i++) {
        char c = (*p)[i];

        if (c < '0' || c > '9')
            return false;
        v = v * 10 + (c - '0');
    }
    *p += n;
    *ret = v;
    return v >= min && v <= max;
}

static bool sign(const char **p, char c)
{
    if (**p != c)
        return false;
    (*p)++;
    return true;
}

static bool zone(const char **p, int64_t *ret_s)
{
    int h, m, way = **p == '-' ? -1 : 1;

    *ret_s = 0;
    if (sign(p, 'Z') || sign(p, 'z'))
        return true;
    if (!sign(p, '+') && !sign(p, '-'))
        return false;
    if (!digits(p, 2, 0, 23, &h) || !sign(p, ':') || !digits(p, 2, 0, 59, &m))
        return false;
    *ret_s = way * (h * 3600 + m * 60);
    return true;
}

static bool read_rfc3339(const char *p, struct tm *tm, int64_t *ret_zone_s)
{
    if (!digits(&p, 4, 0, 9999, &tm->tm_year) || !sign(&p, '-') ||
        !digits(&p, 2, 1, 12, &tm->tm_mon) || !sign(&p, '-') ||
        !digits(&p, 2, 1, 31, &tm->tm_mday) || (!sign(&p, 'T') && !sign(&p, 't')) ||
        !digits(&p, 2, 0, 23, &tm->tm_hour) || !sign(&p, ':') ||
        !digits(&p, 2, 0, 59, &tm->tm_min) || !sign(&p, ':') || !digits(&p, 2, 0, 60, &tm->tm_sec))
        return false;
    if (sign(&p, '.')) {
        if (*p < '0' || *p > '9')
            return false;
        p += strspn(p, "0123456789");
    }
    return zone(&p, ret_zone_s) && *p == 0;
}

struct err *time_parse(const char *text, int64_t *ret)
{
    struct tm tm = {0};
    int64_t zone_s = 0;

    if (!read_rfc3339(text, &tm, &zone_s)) {
        AUTO(freep) char *got = str_shown(text, 40);

        return err_remote(0, "expected a time, got '%s'", got);
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *ret = (int64_t)timegm(&tm) - zone_s;
    return NULL;
}
