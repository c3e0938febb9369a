/* Redirects that nobody should follow, and names that nobody should write to. */
#include "lab/node/redirect.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define LONG_NAME 300

char *redirect_bad(uint64_t kind, const char *name)
{
    AUTO(freep) char *stem = xstrndup(name, strcspn(name, "."));
    char digits[LONG_NAME];

    memset(digits, '1', sizeof(digits));
    switch (kind) {
    case 1:
        return xasprintf("/../../%s", name);
    case 2:
        return xasprintf("/etc/%s", name);
    case 3:
        return xasprintf("/snapshot-%.*s-1.tar.zst",
                         (int)(LONG_NAME - strlen("snapshot--1.tar.zst")), digits);
    case 4:
        return xasprintf("/%s%%00.tar.zst", stem);
    case 5:
        return xasprintf("file:///etc/%s", name);
    case 6:
        return xasprintf("//elsewhere.invalid/%s", name);
    default:
        return xstrdup("/");
    }
}
