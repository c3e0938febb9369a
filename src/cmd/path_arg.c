/* Paths of the command line. They are not resolved: a link stays a link for who opens it. */
#include "cmd/path_arg.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "DIR/" and "DIR/." are DIR. */
static void trim(char *path)
{
    for (size_t n = strlen(path); n > 1; n = strlen(path)) {
        bool dot = n > 2 && path[n - 1] == '.' && path[n - 2] == '/';

        if (path[n - 1] != '/' && !dot)
            return;
        path[n - 1] = 0;
    }
}

struct err *path_arg(const char *path, char **ret)
{
    AUTO(freep) char *cwd = NULL;
    char *whole;

    while (path[0] == '.' && path[1] == '/')
        path += 2;
    if (path[0] != '/') {
        cwd = getcwd(NULL, 0);
        if (!cwd)
            return err_sys(errno, "cannot tell the working directory");
    }
    whole = cwd ? xasprintf("%s/%s", cwd, path) : xstrdup(path);
    trim(whole);
    *ret = whole;
    return NULL;
}
