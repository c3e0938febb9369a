/* Tables of sockets: any text gives sockets with a port and an inode of that text, or none. */
#include <assert.h>
#include <stdint.h>

#include "base/str.h"
#include "host/sockets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(freep) char *text = xstrndup((const char *)data, n);
    AUTO(bound_sockets_clear) struct bound_sockets all = {0};

    sockets_parse(text, PORT_UDP, &all);
    for (size_t i = 0; i < all.n; i++)
        assert(all.items[i].listens && (all.items[i].v6 || all.items[i].v4_meets));
    assert(all.n <= n);
    return 0;
}
