/* Paths of the command line. They are not resolved: a link stays a link for who opens it. */
#include "cmd/path_arg.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct err *path_arg(const char *path, char **ret)
{
    AUTO(freep) char *cwd = NULL;

    if (path[0] == '/') {
        *ret = xstrdup(path);
        return NULL;
    }
    cwd = getcwd(NULL, 0);
    if (!cwd)
        return err_sys(errno, "cannot tell the working directory");
    *ret = xasprintf("%s/%s", cwd, path);
    return NULL;
}
