/* sysctl.d: any text gives settings with a name and a line, and the last plain one of a name is the
 * one that is found. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "host/sysctl_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(sysctl_conf_clear) struct sysctl_conf c = {0};

    sysctl_conf_parse((const char *)data, n, "/f", &c);
    for (size_t i = 0; i < c.n; i++) {
        const struct sysctl_setting *s = sysctl_conf_get(&c, c.items[i].key);

        assert(c.items[i].key[0] && c.items[i].line);
        assert(!c.items[i].value || s);
        assert(!s || s->value);
    }
    return 0;
}
