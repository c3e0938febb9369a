/* /proc/<pid>/stat: any text is refused, or gives a name that is terminated and a state. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"
#include "host/procfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(freep) char *text = xstrndup((const char *)data, n);
    struct proc_stat s = {0};
    struct err *e = procfs_stat_parse(text, &s);

    if (!e)
        assert(s.state && memchr(s.comm, '\0', sizeof(s.comm)));
    else
        assert(e->text[0]);
    err_free(e);
    return 0;
}
