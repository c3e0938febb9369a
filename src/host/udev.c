/* Properties of block devices as udev found them: the serial number of a disk is known to it for
 * more kinds of disks than to /sys. Read from its files; udev itself is not asked. */
#include "host/udev.h"

#include <string.h>

#include "base/str.h"
#include "io/fsroot.h"

#define FILE_MAX_B (256U << 10)

char *udev_value(const char *data, size_t n, const char *name)
{
    size_t len = strlen(name);
    const char *end = data + n;

    for (const char *at = data; at < end;) {
        const char *nl = memchr(at, '\n', (size_t)(end - at));
        const char *stop = nl ? nl : end;
        size_t line = (size_t)(stop - at);

        if (line > len + 3 && at[0] == 'E' && at[1] == ':' && memcmp(at + 2, name, len) == 0 &&
            at[len + 2] == '=' && at[len + 3])
            return xstrndup(at + len + 3, line - len - 3);
        at = stop + 1;
    }
    return NULL;
}

struct err *udev_property(struct ctx *ctx, uint32_t major, uint32_t minor, const char *name,
                          char **ret)
{
    AUTO(freep) char *path = xasprintf("/run/udev/data/b%u:%u", major, minor);
    AUTO(freep) char *data = NULL;
    size_t n = 0;
    struct err *e = fsroot_read(ctx->root, path, FILE_MAX_B, &data, &n);

    *ret = NULL;
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    *ret = udev_value(data, n, name);
    return NULL;
}
