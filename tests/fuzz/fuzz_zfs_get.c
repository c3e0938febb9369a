/* The answer of zfs get: it is refused, or says what the dataset is; texts are one line each.
 * Names: what is taken has no more than 255 bytes and a parent that can be taken as well. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"
#include "host/zfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void names(const char *name)
{
    struct err *e = zfs_name_check(name);
    AUTO(freep) char *parent = zfs_parent(name);

    if (!e) {
        assert(strlen(name) <= 255 && !strpbrk(name, "@#\n\t"));
        if (parent)
            e = zfs_name_check(parent);
        assert(!e);
    }
    err_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(zfs_dataset_clear) struct zfs_dataset d = {0};
    AUTO(freep) char *name = xstrndup((const char *)data, n);
    struct err *e = zfs_get_parse((const char *)data, n, &d);

    assert(e || !d.mountpoint || !strchr(d.mountpoint, '\n'));
    assert(e || memmem(data, n, "type\t", 5));
    assert(!e || !d.mountpoint);
    err_free(e);
    names(name);
    return 0;
}
