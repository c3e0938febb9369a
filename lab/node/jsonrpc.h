#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/str.h"

/* JSON-RPC 2.0 as Agave's servers speak it (jsonrpc-core 18 behind RPC and admin socket, recorded
 * on 3.0.14), wrong requests included: batches, notifications, the exact error objects. */
struct jsonrpc_error {
    int code;
    char *message; /* owned; NULL: no error */
    char *data;    /* owned JSON text, or NULL */
};

#define JSONRPC_INVALID_REQUEST  -32600
#define JSONRPC_METHOD_NOT_FOUND -32601
#define JSONRPC_INVALID_PARAMS   -32602

void jsonrpc_error_clear(struct jsonrpc_error *e);
/* Sets code and message; an earlier one is dropped. */
void jsonrpc_fail(struct jsonrpc_error *e, int code, const char *fmt, ...) PRINTF(3, 4);
/* More than max positional parameters: sets the error that Agave gives and returns false. */
bool jsonrpc_count(const struct json *params, size_t max, struct jsonrpc_error *e);

/* A number without sign? Anything else leaves *ret alone. */
bool jsonrpc_u64(const struct json *j, uint64_t *ret);

/* One call: writes the JSON text of the result to *result, or sets *e. params is an array or NULL.
 */
typedef void jsonrpc_call(void *arg, const char *method, const struct json *params,
                          struct strbuf *result, struct jsonrpc_error *e);

/* The answer to one request text, ending in a newline; "" when there is none to give (only
 * notifications, or an empty batch). To be freed. */
char *jsonrpc_answer(const char *text, size_t n, jsonrpc_call *call, void *arg);

/* How many bytes of buf make up the first whole request of a stream: brackets outside strings
 * balance; 0: more is needed. Bytes before a bracket are cut in pairs, which the parser then
 * refuses, as jsonrpc-server-utils 18 does. */
size_t jsonrpc_frame(const char *buf, size_t n);
