/* The kernel's log: whatever is in it, a kill has a pid and a printable name. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"
#include "host/kmsg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(freep) char *text = xstrndup((const char *)data, n);
    AUTO(oom_kills_clear) struct oom_kills k = {0};

    kmsg_parse(text, 1700000000000, &k);
    assert(k.n <= KMSG_KILLS_MAX);
    for (size_t i = 0; i < k.n; i++) {
        assert(k.items[i].pid > 0 && k.items[i].at_ms >= 1700000000000);
        assert(memchr(k.items[i].name, '\0', sizeof(k.items[i].name)));
        assert(!str_has_control(k.items[i].name));
        assert(!k.items[i].cgroup || !str_has_control(k.items[i].cgroup));
    }
    return 0;
}
