#pragma once

#include "base/err.h"

/* A socket (close-on-exec) of another network namespace: netns_fd is an open /proc/PID/ns/net or a
 * bound name of one. Only this thread goes there, and it is back when the call returns; should the
 * way back be closed, the process aborts, since nothing it did next could be trusted. The caller
 * closes *ret_fd. ERR_REFUSED (no CAP_SYS_ADMIN), ERR_SYS. Does not block. */
struct err *netns_socket(int netns_fd, int family, int type, int protocol, int *ret_fd) MUST_CHECK;
