/* laconic-so's files: any texts are refused with one line, or become a deployment whose names and
 * paths can be used as they are. The input is the three files, each ended by a line "%%". */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "look/laconic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct laconic_text cut(const char **at, const char *end)
{
    const char *sep = memmem(*at, (size_t)(end - *at), "\n%%\n", 4);
    struct laconic_text t = {.text = *at, .n = (size_t)((sep ? sep + 1 : end) - *at)};

    *at = sep ? sep + 4 : end;
    return t;
}

static void is_path(const char *p)
{
    size_t n = strlen(p);

    assert(*p == '/' && !strstr(p, "//") && !strstr(p, "/../") && !str_has_control(p));
    assert(n == 1 || p[n - 1] != '/');
    assert(!str_ends(p, "/.."));
}

static void is_name(const char *s)
{
    assert(*s && strlen(s) <= 63 && !strpbrk(s, "/.= \"'"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *at = (const char *)data, *end = at + n;
    struct laconic_text spec = cut(&at, end), deployment = cut(&at, end), kind = cut(&at, end);
    AUTO(laconic_clear) struct laconic l = {0};
    AUTO(err_freep)
    struct err *e = laconic_parse(spec, deployment, kind.n ? &kind : NULL, &l);

    if (e) {
        assert(e->kind == ERR_BADINPUT && *e->text && !strpbrk(e->text, "\n\033"));
        return 0;
    }
    is_name(l.cluster);
    if (l.kind_root)
        is_path(l.kind_root);
    for (size_t i = 0; i < l.n_volumes; i++) {
        is_name(l.volumes[i].name);
        assert(!l.volumes[i].host == !l.volumes[i].node);
        if (l.volumes[i].host)
            is_path(l.volumes[i].host);
        if (l.volumes[i].node)
            is_path(l.volumes[i].node);
    }
    for (size_t i = 0; i < l.n_mounts; i++) {
        is_path(l.mounts[i].host);
        is_path(l.mounts[i].node);
    }
    for (size_t i = 0; i < l.notes.n; i++)
        assert(!strpbrk(l.notes.items[i], "\n\033"));
    return 0;
}
