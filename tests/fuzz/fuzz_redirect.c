/* Where a redirect leads: never off the place that sent it. The first line is what was asked. */
#include "fetch/questions.h"

#include <assert.h>
#include <string.h>

#include "base/str.h"
#include "io/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *text = (const char *)data;
    const char *line = n ? memchr(text, '\n', n) : NULL;
    size_t asked_n = line ? (size_t)(line - text) : 0;
    AUTO(freep) char *path = line ? xstrndup(text, asked_n) : xstrdup("");
    AUTO(freep) char *location = line ? xstrndup(line + 1, n - asked_n - 1) : xstrdup("");
    AUTO(freep) char *asked = xasprintf("http://h:1/%s", path);
    AUTO(freep) char *to = fetch_redirect(asked, location);

    if (!to)
        return 0;
    assert(http_origin_n(to) == strlen("http://h:1") && str_starts(to, "http://h:1/"));
    assert(strlen(to) <= strlen(asked) + 1 + strlen(location));
    return 0;
}
