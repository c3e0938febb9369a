/* Names of snapshot archives: one that parses is printed as a name that parses to the same. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/str.h"
#include "solana/snapshot_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *text = xstrndup((const char *)data, n);
    struct snapshot_name name, again;
    char buf[SNAPSHOT_NAME_MAX];
    struct err *e = snapshot_name_parse(text, &name);

    if (!e) {
        assert(strlen(name.hash) >= 32 && (!name.incremental || name.base < name.slot));
        e = snapshot_name_parse(snapshot_name_format(&name, buf), &again);
        assert(!e && again.slot == name.slot && again.base == name.base && again.ext == name.ext);
        assert(str_eq(again.hash, name.hash) && again.incremental == name.incremental);
    }
    err_free(e);
    free(text);
    return 0;
}
