/* A process's command line, which anybody may write: it is taken apart without a word lost, and
 * each word lands in one place. Words are separated by NUL bytes, as in /proc. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "look/discover_args.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(strlist_clear) struct strlist argv = {0};
    AUTO(discovered_args_clear) struct discovered_args a = {0};
    AUTO(freep) char *text = xstrndup("", 0);
    size_t words = 0;

    text = xrealloc(text, n + 1);
    if (n)
        memcpy(text, data, n);
    text[n] = 0;
    for (size_t i = 0; i < n && words < 1000; i += strlen(text + i) + 1, words++)
        strlist_add(&argv, text + i);
    if (!argv.items)
        return 0;
    discover_args(argv.items, &a);
    (void)discover_args_runs(argv.items);
    assert(a.rest.n <= argv.n);
    for (size_t i = 0; i < a.n; i++) {
        assert(a.values[i].key && a.values[i].flag && a.values[i].items.n >= 1);
        assert(discovered_arg(&a, a.values[i].key) == &a.values[i]);
    }
    return 0;
}
