/* Sockets of other network namespaces: a socket stays in the namespace that it was made in, so only
 * socket() itself needs to be called there. Nothing else is done while this thread is away. */
#include "io/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

struct err *netns_socket(int netns_fd, int family, int type, int protocol, int *ret_fd)
{
    AUTO(closep) int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    int fd, e = errno;

    if (home < 0)
        return err_sys(e, "cannot open this process's network namespace");
    if (setns(netns_fd, CLONE_NEWNET) < 0) {
        e = errno;
        return err_new_(__FILE__, __LINE__, e == EPERM ? ERR_REFUSED : ERR_SYS, e, 0,
                        "cannot join the network namespace");
    }
    fd = socket(family, type | SOCK_CLOEXEC, protocol);
    e = errno;
    if (setns(home, CLONE_NEWNET) < 0)
        abort();
    if (fd < 0)
        return err_sys(e, "cannot make a socket in the network namespace");
    *ret_fd = fd;
    return NULL;
}
