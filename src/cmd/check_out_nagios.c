/* `agavectl check -o nagios`: what a plugin prints (Nagios Plugin API: first line "text |
 * perfdata", then long output; '|' ends the text, so that it cannot occur in it). */
#include "cmd/check_out.h"

#include <string.h>

static char *plain(const char *text)
{
    char *line = check_line(text);

    for (char *p = line; *p; p++)
        if (*p == '|')
            *p = '!';
    return line;
}

static bool counts(const struct finding *f)
{
    return !f->ignored && f->sev >= SEV_WARN;
}

/* The one to name in the first line: of the severity that decides. */
static const struct finding *first_of(const struct check_view *v, enum severity sev)
{
    for (size_t i = 0; i < v->n; i++)
        if (!v->items[i]->ignored && v->items[i]->sev == sev)
            return v->items[i];
    return NULL;
}

int check_out_nagios(const struct check_view *v, struct out *o)
{
    static const struct {
        enum severity sev;
        int code;
        const char *name;
    } order[] = {{SEV_FAIL, 2, "CRITICAL"}, {SEV_UNKNOWN, 3, "UNKNOWN"}, {SEV_WARN, 1, "WARNING"}};
    const struct check_counts *c = &v->counts;
    const struct finding *first = NULL;
    const char *name = "OK";
    int code = 0;

    for (size_t i = 0; i < ARRAY_LEN(order) && !first; i++) {
        first = first_of(v, order[i].sev);
        name = first ? order[i].name : name;
        code = first ? order[i].code : code;
    }
    AUTO(freep) char *what = plain(first ? first->what : "everything holds");
    fprintf(o->f, "AGAVECTL %s - %zu fail, %zu unknown, %zu warn: %s%s%s", name, c->by[SEV_FAIL],
            c->by[SEV_UNKNOWN], c->by[SEV_WARN], first ? first->id : "", first ? ": " : "", what);
    fprintf(o->f, " | fail=%zu;;0;0 unknown=%zu;;;0 warn=%zu;0;;0 ignored=%zu;;;0 time=%.6fs;;;0\n",
            c->by[SEV_FAIL], c->by[SEV_UNKNOWN], c->by[SEV_WARN], c->ignored,
            (double)v->took_us / 1e6);
    for (size_t i = 0; i < v->n; i++) {
        const struct finding *f = v->items[i];
        AUTO(freep) char *text = plain(f->what), *fix = f->fix ? plain(f->fix) : NULL;

        if (counts(f))
            fprintf(o->f, "%s %s: %s%s%s\n", severity_name(f->sev), f->id, text,
                    fix ? "; fix: " : "", fix ? fix : "");
    }
    return code;
}
