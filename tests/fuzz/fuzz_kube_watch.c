/* Streams of a Kubernetes watch, and Status objects: whatever the bytes are and however they are
 * cut, the same lines, and of each an error or a whole event. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/kube_watch.h"
#include "runtime/kube_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct err *line(void *arg, const char *text, size_t n)
{
    struct strbuf *all = arg;
    struct kube_watch_event v = {0};
    struct err *e = kube_watch_event_parse(text, n, &v);

    assert(e ? !v.object && !v.uid && !v.version : v.object != NULL);
    if (!e && v.type != KUBE_EV_ERROR)
        assert(v.version && (v.uid || v.type == KUBE_EV_BOOKMARK));
    err_free(e);
    kube_watch_event_clear(&v);
    strbuf_add(all, text, n);
    strbuf_add(all, "|", 1);
    return NULL;
}

static void feed(const char *text, size_t n, size_t piece, struct strbuf *all)
{
    struct strbuf buf = {0};

    for (size_t at = 0; at < n; at += piece)
        err_free(kube_lines_feed(&buf, text + at, n - at < piece ? n - at : piece, line, all));
    strbuf_clear(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *text = (const char *)data;
    struct strbuf whole = {0}, cut = {0};
    struct kube_status status = {0};
    struct err *e = kube_parse_status(text, n, &status);

    assert(!e || (!status.reason && !status.message));
    err_free(e);
    kube_status_clear(&status);
    feed(text, n, n ? n : 1, &whole);
    feed(text, n, 7, &cut);
    assert(whole.len == cut.len && (whole.len == 0 || memcmp(whole.data, cut.data, cut.len) == 0));
    strbuf_clear(&whole);
    strbuf_clear(&cut);
    return 0;
}
