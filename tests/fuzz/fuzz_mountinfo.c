/* mountinfo: any text is refused, or becomes a table in which every entry is complete and every
 * lookup ends, whatever its ids and mount points are (cycles included). */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "host/mounts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(mounts_clear) struct mounts m = {0};
    struct err *e = mounts_parse((const char *)data, n, &m);

    if (e) {
        assert(e->text[0] && m.n == 0);
        err_free(e);
        return 0;
    }
    for (size_t i = 0; i < m.n; i++) {
        const struct mount_info *x = &m.items[i], *at = mounts_at(&m, x->target);

        assert(x->root && x->target[0] == '/' && x->options && x->fstype && x->source);
        assert(mount_propagation(x)[0]);
        assert(!at || strcmp(at->target, x->target) == 0);
    }
    (void)mounts_over(&m, "/srv/solana/ledger");
    return 0;
}
