/* modprobe.d and the kernel's command line: any text gives options with a key, each key once. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"
#include "host/kmodule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(kmodule_options_clear) struct kmodule_options o = {0};
    AUTO(freep) char *text = xstrndup((const char *)data, n);

    kmodule_options_parse(text, "/f", "brd", &o);
    kmodule_options_parse_cmdline(text, "brd", &o);
    for (size_t i = 0; i < o.n; i++) {
        assert(kmodule_options_find(&o, o.items[i].key) == &o.items[i]);
        assert(o.items[i].value && str_starts(o.items[i].source, "/"));
        assert(!strchr(o.items[i].key, '=') && !strpbrk(o.items[i].value, " \t\n"));
    }
    return 0;
}
