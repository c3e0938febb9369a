#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

/* Members of a foreign JSON object into a struct, by a table. A member that is not there, or null,
 * leaves what the struct holds; one of a wrong type or out of range is an error. */
enum field_type {
    FIELD_STR,  /* char *: a copy; what was there is freed */
    FIELD_BOOL, /* bool */
    FIELD_U64,  /* uint64_t */
    FIELD_U32,  /* uint32_t */
    FIELD_I64,  /* int64_t */
    FIELD_PID,  /* pid_t, not negative */
    FIELD_TIME, /* int64_t, seconds since 1970, of RFC 3339 text; 0 for years before */
};
struct field {
    const char *path; /* "State/Pid" */
    enum field_type type;
    size_t at; /* offset in the struct */
};
/* ERR_REMOTE "State/Pid: expected a number, got 'x'". On failure the struct may be filled in part
 * and is the caller's to clear. */
struct err *fields_read(const struct json *j, const struct field *fields, size_t n, void *ret)
    MUST_CHECK;
/* The member at a path, or NULL when it or one on the way is not there or no object. Borrowed. */
const struct json *fields_at(const struct json *j, const char *path);
/* As fields_at, and it must be a list, or not there (NULL). ERR_REMOTE. */
struct err *fields_list(const struct json *j, const char *path, const struct json **ret) MUST_CHECK;

/* "2026-11-23T04:55:20.123456789Z", "2026-11-23T05:55:20+01:00" in seconds since 1970 (RFC 3339;
 * the year has four digits). ERR_REMOTE. */
struct err *time_parse(const char *text, int64_t *ret) MUST_CHECK;
