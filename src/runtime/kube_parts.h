#pragma once

#include "base/json.h"
#include "runtime/kube.h"

/* What the files that read the API's objects share (kube_read.c, kube_around.c, kube_lease.c). */

/* Reads each element of the list at path into a zeroed one of size_b; *ret_n counts those begun, so
 * that what was read in part is cleared as well. No list: none. ret_items: the address of the
 * pointer to the items. */
typedef struct err *kube_read_fn(const struct json *j, void *ret);
struct err *kube_read_list(const struct json *j, const char *path, kube_read_fn *read,
                           size_t size_b, void *ret_items, size_t *ret_n) MUST_CHECK;
/* m is zeroed; on failure filled in part. */
struct err *kube_read_meta(const struct json *j, struct kube_meta *m) MUST_CHECK;
/* ret: a zeroed struct kube_condition. */
struct err *kube_read_condition(const struct json *j, void *ret) MUST_CHECK;
/* An object of this kind, or an error that names what came instead. */
struct err *kube_need_kind(const struct json *j, const char *kind) MUST_CHECK;
/* And a list that is whole: one that the server cut short would be taken for all of it. */
struct err *kube_need_list(const struct json *j, const char *kind) MUST_CHECK;
/* The quantity at a path, as kube_parse_quantity; none leaves *ret. */
struct err *kube_read_quantity(const struct json *j, const char *path, uint32_t scale,
                               uint64_t *ret) MUST_CHECK;
