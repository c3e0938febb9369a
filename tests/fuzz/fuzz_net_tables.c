/* net/snmp and net/udp of a process: refused, or numbers. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"
#include "host/netstat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(freep) char *text = xstrndup((const char *)data, n);
    struct udp_counters c = {0};
    struct udp_port p = {0};
    struct err *e = udp_counters_parse(text, &c);

    assert(!e || e->kind == ERR_CORRUPT);
    err_free(e);
    e = udp_port_parse(text, 8002, &p);
    assert(!e || e->kind == ERR_CORRUPT);
    err_free(e);
    return 0;
}
