/* See map_lock.h. Whoever gets the lock looks whether the name still leads to the file that it has
 * locked: the one before may have ended well and removed it. */
#include "fetch/map_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "fetch/provenance.h"

struct err *map_lock(int side_fd, const char *map_name, int flags, int *ret_fd)
{
    AUTO(closep)
    int fd = openat(side_fd, map_name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags, 0600);
    struct stat here, there;

    *ret_fd = -1;
    if (fd < 0)
        return err_sys(errno, "cannot open '" STORE_DIR "/%s'", map_name);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? err_new(ERR_REFUSED, MAP_BUSY)
                                    : err_sys(errno, "cannot lock '" STORE_DIR "/%s'", map_name);
    if (fstat(fd, &here) < 0)
        return err_sys(errno, "cannot look at '" STORE_DIR "/%s'", map_name);
    if (!S_ISREG(here.st_mode))
        return err_new(ERR_REFUSED, "'" STORE_DIR "/%s' is not a plain file", map_name);
    if (fstatat(side_fd, map_name, &there, AT_SYMLINK_NOFOLLOW) < 0 || here.st_ino != there.st_ino)
        return NULL;
    *ret_fd = TAKE_FD(fd);
    return NULL;
}
