/* limits.conf: any text gives lines that are complete, and faults that name a line; the one that
 * counts for a user is one of them. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "host/limits_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(limits_conf_clear) struct limits_conf c = {0};
    const struct limits_user sol = {.name = "sol", .uid = 1000, .gid = 1000};
    const struct limits_user root = {.name = "root"};

    limits_conf_parse((const char *)data, n, "f", &c);
    for (size_t i = 0; i < c.n; i++)
        assert(c.items[i].line && c.items[i].domain[0]);
    for (size_t i = 0; i < c.faults.n; i++)
        assert(strncmp(c.faults.items[i], "f:", 2) == 0);
    const struct limits_line *l = limits_conf_get(&c, &sol, LIMITS_NOFILE);
    assert(!l || (l >= c.items && l < c.items + c.n && l->item == LIMITS_NOFILE));
    l = limits_conf_get(&c, &root, LIMITS_MEMLOCK);
    assert(!l || strcmp(l->domain, "root") == 0);
    return 0;
}
