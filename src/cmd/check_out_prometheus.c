/* `agavectl check -o prometheus`: gauges in the text format. A series may stand there once only, so
 * a finding that was met several times (two folders with the same fault) is one line. */
#include "cmd/check_out.h"

#include <inttypes.h>

#include "base/str.h"

/* A label's value: backslash, quote and newline are escaped. */
static void put_label(struct strbuf *b, const char *name, const char *value)
{
    strbuf_printf(b, "%s=\"", name);
    for (; *value; value++) {
        if (*value == '\\' || *value == '"')
            strbuf_printf(b, "\\%c", *value);
        else if (*value == '\n')
            strbuf_puts(b, "\\n");
        else
            strbuf_add(b, value, 1);
    }
    strbuf_puts(b, "\"");
}

static const char *severity_of(const struct finding *f)
{
    return f->ignored ? "ignored" : severity_name(f->sev);
}

static bool reported(const struct check_view *v, size_t at)
{
    const struct finding *f = v->items[at];

    for (size_t i = 0; i < at; i++)
        if (str_eq(v->items[i]->id, f->id) && str_eq(v->items[i]->stage, f->stage) &&
            v->items[i]->layer == f->layer && str_eq(severity_of(v->items[i]), severity_of(f)))
            return true;
    return false;
}

static void put_findings(const struct check_view *v, struct strbuf *b)
{
    strbuf_puts(b, "# HELP agavectl_check_finding A finding that is not ok.\n"
                   "# TYPE agavectl_check_finding gauge\n");
    for (size_t i = 0; i < v->n; i++) {
        const struct finding *f = v->items[i];

        if ((f->sev == SEV_OK && !f->ignored) || reported(v, i))
            continue;
        strbuf_puts(b, "agavectl_check_finding{");
        put_label(b, "id", f->id);
        strbuf_printf(b, ",layer=\"%u\",", f->layer);
        put_label(b, "stage", f->stage);
        strbuf_puts(b, ",");
        put_label(b, "severity", severity_of(f));
        strbuf_puts(b, "} 1\n");
    }
}

static void put_stages(const struct check_view *v, struct strbuf *b)
{
    strbuf_puts(b, "# HELP agavectl_check_ok 0 when a stage has a fail or an unknown.\n"
                   "# TYPE agavectl_check_ok gauge\n");
    for (size_t i = 0; i < v->n_stages; i++) {
        const struct check_stage_view *s = &v->stages[i];

        if (s->absent)
            continue;
        strbuf_puts(b, "agavectl_check_ok{");
        put_label(b, "stage", s->look->stage->name);
        strbuf_printf(b, ",layer=\"%u\"} %d\n", s->look->stage->layer,
                      !check_counts_bad(&s->counts));
    }
}

void check_out_prometheus(const struct check_view *v, uint64_t wall_ms, struct out *o)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    put_findings(v, &b);
    put_stages(v, &b);
    strbuf_printf(&b,
                  "# HELP agavectl_check_timestamp_seconds When this look was made.\n"
                  "# TYPE agavectl_check_timestamp_seconds gauge\n"
                  "agavectl_check_timestamp_seconds %" PRIu64 ".%03" PRIu64 "\n",
                  wall_ms / 1000, wall_ms % 1000);
    fputs(strbuf_text(&b), o->f);
}
