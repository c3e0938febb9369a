/* Down a path one name at a time, each opened below the one before and never through a link. The
 * kernel's RESOLVE_NO_SYMLINKS (openat2(2)) says the same, but makes no folders, and a sandbox may
 * not know it. */
#include "io/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

/* 0 or errno; ELOOP: the name is a link. */
static int step_down(int at, const char *name, mode_t make, int *ret_fd)
{
    bool made = make && mkdirat(at, name, make) == 0;
    struct stat st;

    if (make && !made && errno != EEXIST)
        return errno;
    *ret_fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int sys = *ret_fd < 0 || (made && fchmod(*ret_fd, make) < 0) ? errno : 0;
    bool link = sys && fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
    return link ? ELOOP : sys;
}

static struct err *not_opened(int sys, const char *path, size_t upto)
{
    if (sys == ELOOP)
        return err_new(ERR_REFUSED,
                       "will not follow the symbolic link '%.*s' (of '%s'): name the folder itself",
                       (int)upto, path, path);
    if (sys == ENOENT)
        return err_new(ERR_NOTFOUND, "there is no folder '%.*s'", (int)upto, path);
    return err_sys(sys, "cannot open the folder '%.*s'", (int)upto, path);
}

struct err *folder_open(struct fsroot *r, const char *path, mode_t make, int *ret_fd)
{
    AUTO(freep) char *copy = xstrdup(path);
    AUTO(closep) int at = -1;
    char *save = NULL;

    if (make && fsroot_captured(r))
        return err_new(ERR_REFUSED, "'%s': nothing is changed on a captured host", path);
    TRY(fsroot_openat(r, "/", O_RDONLY | O_DIRECTORY, 0, &at));
    for (char *n = strtok_r(copy, "/", &save); n; n = strtok_r(NULL, "/", &save)) {
        int below = -1;

        if (str_eq(n, ".."))
            return err_new(ERR_BADINPUT, "'%s' is not a plain path", path);
        if (str_eq(n, "."))
            continue;
        int sys = step_down(at, n, make, &below);
        close(at);
        at = below;
        if (sys)
            return not_opened(sys, path, (size_t)(n - copy) + strlen(n));
    }
    *ret_fd = TAKE_FD(at);
    return NULL;
}

struct err *folder_remove(struct fsroot *r, const char *path)
{
    const char *slash = strrchr(path, '/');
    AUTO(freep) char *above = slash ? xstrndup(path, (size_t)(slash - path)) : NULL;
    AUTO(closep) int fd = -1;

    if (!slash || !slash[1])
        return err_new(ERR_BADINPUT, "'%s' does not name a folder", path);
    if (fsroot_captured(r))
        return err_new(ERR_REFUSED, "'%s': nothing is changed on a captured host", path);
    struct err *e = folder_open(r, above, 0, &fd);
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e); /* no folder, so no such name in it */
    TRY(e);
    if (unlinkat(fd, slash + 1, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return err_sys(errno, "cannot delete '%s'", path);
    return NULL;
}
