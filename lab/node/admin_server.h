#pragma once

#include "base/err.h"
#include "lab/node/jsonrpc.h"

/* Agave's admin socket (agave-validator 3.0.14, admin_rpc_service.rs): <ledger>/admin.rpc, mode
 * 0600, JSON-RPC without separators in, a line out. One thread; a stale file is replaced, as there.
 */
struct admin_server;

/* path: at most 107 bytes (ERR_BADINPUT). call runs on the server's thread. ERR_SYS. */
struct err *admin_server_open(const char *path, jsonrpc_call *call, void *arg,
                              struct admin_server **ret) MUST_CHECK;
/* Ends the thread and removes the socket file; NULL is fine. Never from call itself. */
struct admin_server *admin_server_close(struct admin_server *s);
void admin_server_closep(struct admin_server **s);
