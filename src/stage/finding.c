/* Lists of findings: what was seen on the host against what must be true. */
#include "stage/finding.h"

#include <stdarg.h>

#include "base/str.h"

const char *severity_name(enum severity s)
{
    static const char *const names[] = {
        [SEV_OK] = "ok",     [SEV_NOTE] = "note",       [SEV_WARN] = "warn",
        [SEV_FAIL] = "fail", [SEV_UNKNOWN] = "unknown",
    };

    return names[s];
}

struct finding *findings_add(struct findings *f, const char *id, uint8_t layer, enum severity sev,
                             const char *what_fmt, ...)
{
    char *what = NULL;
    va_list ap;

    va_start(ap, what_fmt);
    if (vasprintf(&what, what_fmt, ap) < 0)
        what = xstrdup(what_fmt);
    va_end(ap);
    f->items = xgrow(f->items, &f->cap, f->n + 1, sizeof(*f->items));
    f->items[f->n] = (struct finding){.id = id, .layer = layer, .sev = sev, .what = what};
    return &f->items[f->n++];
}

static char *copy(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

struct finding *finding_compare(struct finding *f, const char *want, const char *got,
                                const char *source)
{
    free(f->want);
    free(f->got);
    free(f->source);
    f->want = copy(want);
    f->got = copy(got);
    f->source = copy(source);
    return f;
}

struct finding *finding_fix(struct finding *f, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    free(f->fix);
    f->fix = xvasprintf(fmt, ap);
    va_end(ap);
    return f;
}

void findings_clear(struct findings *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->items[i].what);
        free(f->items[i].want);
        free(f->items[i].got);
        free(f->items[i].source);
        free(f->items[i].fix);
        free(f->items[i].old);
        free(f->items[i].reason);
    }
    free(f->items);
    *f = (struct findings){0};
}

/* The enum is in this order. */
enum severity findings_worst(const struct findings *f)
{
    enum severity worst = SEV_OK;

    for (size_t i = 0; i < f->n; i++)
        if (!f->items[i].ignored && f->items[i].sev > worst)
            worst = f->items[i].sev;
    return worst;
}

const struct finding *findings_find(const struct findings *f, const char *id)
{
    for (size_t i = 0; i < f->n; i++)
        if (str_eq(f->items[i].id, id))
            return &f->items[i];
    return NULL;
}
