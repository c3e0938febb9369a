#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* JSON values. A value made or parsed is owned by the caller (json_free); what json_get and json_at
 * return is borrowed from the container; what json_put and json_push take is owned by it from then
 * on. u64 stays u64: RPC answers hold u64::MAX. */
struct json;

/* Parses exactly one document (blanks around it allowed). Depth is bounded at 64.
 * ERR_REMOTE "not JSON: … at byte N". */
struct err *json_parse(const char *text, size_t n, struct json **ret) MUST_CHECK;
struct json *json_free(struct json *j); /* returns NULL */
void json_freep(struct json **j);
/* One more owner of the same value; each calls json_free. NULL gives NULL. */
struct json *json_ref(const struct json *j);

bool json_is_null(const struct json *j); /* also true for a C NULL */
bool json_is_object(const struct json *j);
bool json_is_array(const struct json *j);
bool json_is_string(const struct json *j);
/* Member of an object; NULL when j is no object, has no such member or the member is null. */
const struct json *json_get(const struct json *j, const char *key);
/* Is there such a member, null or not? */
bool json_has(const struct json *j, const char *key);
size_t json_len(const struct json *j); /* elements of an array; 0 for anything else */
const struct json *json_at(const struct json *j, size_t i);
/* Appends the names of an object's members, null ones too, in the order of the text; none for
 * anything else. */
struct strlist;
void json_keys(const struct json *j, struct strlist *ret);

/* Typed reads. ERR_REMOTE "expected a number, got 'x'": a wrong type, a sign, a fraction or an
 * overflow is an error, never a silent 0. The text is borrowed from the value. */
struct err *json_as_u64(const struct json *j, uint64_t *ret) MUST_CHECK;
struct err *json_as_i64(const struct json *j, int64_t *ret) MUST_CHECK;
struct err *json_as_bool(const struct json *j, bool *ret) MUST_CHECK;
struct err *json_as_str(const struct json *j, const char **ret) MUST_CHECK;

struct json *json_new_object(void);
struct json *json_new_array(void);
struct json *json_new_u64(uint64_t v);
struct json *json_new_f64(double v); /* printed with at most 3 decimals */
struct json *json_new_bool(bool v);
struct json *json_new_str(const char *s); /* NULL gives null */
/* v NULL stores null. Member order is insertion order. */
void json_put(struct json *object, const char *key, struct json *v);
void json_push(struct json *array, struct json *v);

/* The text, to be freed by the caller; pretty: two blanks of indent, else one line. No newline at
 * the end. */
char *json_text(const struct json *j, bool pretty);
