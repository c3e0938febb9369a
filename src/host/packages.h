#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"

/* Programs of the host that is looked at, and the versions of their packages; nothing is run. */

/* Where a program lies: as it is when it has a slash, else in the usual folders. ERR_NOTFOUND. To
 * be freed. */
struct err *program_find(struct ctx *ctx, const char *name, char **ret) MUST_CHECK;
/* dpkg's list of installed packages (deb-status format, dpkg 1.21), read once. ERR_NOTFOUND: no
 * such list, another distribution. */
struct dpkg {
    char *text;
};
void dpkg_clear(struct dpkg *d);
struct err *dpkg_read(struct ctx *ctx, struct dpkg *ret) MUST_CHECK;
/* Version of an installed package, or NULL; to be freed. */
char *dpkg_version(const struct dpkg *d, const char *package);
/* Version of the Python distribution behind a program, from the *.dist-info folder whose name has
 * this part, beside the program and its interpreter. ERR_NOTFOUND. To be freed. */
struct err *python_version(struct ctx *ctx, const char *program, const char *part, char **ret)
    MUST_CHECK;
