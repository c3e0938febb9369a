/* Rules of a packet filter, as JSON and as saved text: whatever they are, every port gets an
 * answer, and one that is not "passes" says where. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/str.h"
#include "host/fw.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(freep) char *text = xstrndup((const char *)data, n);
    AUTO(fw_clear) struct fw f = {0};

    err_free(fw_parse_nft(text, strlen(text), &f));
    fw_parse_save(text, &f);
    for (uint16_t port = 8000; port < 8003; port++) {
        AUTO(freep) char *where = NULL;

        assert((fw_input(&f, PORT_UDP, port, &where) == FW_PASSES) == !where);
        const struct fw_rule *r = fw_dnat(&f, PORT_TCP, port);
        assert(!r || r->action == FW_DNAT);
    }
    return 0;
}
