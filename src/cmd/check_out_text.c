/* `agavectl check` for people: read at night, so what is wrong comes with what was wanted, what was
 * seen and the command that helps; all else is one line a layer. */
#include "cmd/check_out.h"

#include "base/str.h"

#define WORD_COLUMNS 9 /* of a severity, with the blanks behind it */

static const char *color_of(enum severity sev)
{
    static const char *const colors[] = {
        [SEV_OK] = "\033[32m",     [SEV_NOTE] = "\033[36m",      [SEV_WARN] = "\033[33m",
        [SEV_FAIL] = "\033[1;31m", [SEV_UNKNOWN] = "\033[1;35m",
    };

    return colors[sev];
}

static void put_word(const struct out *o, enum severity sev, const char *word, int columns)
{
    if (o->color)
        fprintf(o->f, "%s%-*s\033[0m", color_of(sev), columns, word);
    else
        fprintf(o->f, "%-*s", columns, word);
}

/* "2 fail, 1 warn", or "ok". */
static char *counts_text(const struct check_counts *c)
{
    static const enum severity order[] = {SEV_FAIL, SEV_UNKNOWN, SEV_WARN, SEV_NOTE};
    struct strbuf b = {0};

    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        if (c->by[order[i]])
            strbuf_printf(&b, "%s%zu %s", b.len ? ", " : "", c->by[order[i]],
                          severity_name(order[i]));
    if (c->ignored)
        strbuf_printf(&b, "%s%zu ignored", b.len ? ", " : "", c->ignored);
    if (!check_counts_bad(c) && !c->by[SEV_WARN]) {
        AUTO(freep) char *rest = strbuf_take(&b);

        strbuf_printf(&b, "ok%s%s%s", *rest ? " (" : "", rest, *rest ? ")" : "");
    }
    return strbuf_take(&b);
}

static void put_detail(const struct out *o, const char *label, const char *text)
{
    AUTO(freep) char *line = text ? check_line(text) : NULL;

    if (line)
        fprintf(o->f, "%*s%-6s%s\n", 2 + WORD_COLUMNS, "", label, line);
}

static void put_compared(const struct out *o, const struct finding *f)
{
    AUTO(freep) char *got = NULL;

    if (f->got && f->source)
        got = xasprintf("%s (%s)", f->got, f->source);
    put_detail(o, "want", f->want);
    put_detail(o, "got", got ? got : f->got);
}

void check_put_finding(const struct out *o, const struct finding *f)
{
    AUTO(freep) char *what = check_line(f->what);

    fprintf(o->f, "  ");
    if (f->ignored)
        put_word(o, SEV_NOTE, "ignored", WORD_COLUMNS);
    else
        put_word(o, f->sev, severity_name(f->sev), WORD_COLUMNS);
    fprintf(o->f, "%s: %s\n", f->id, what);
    if (f->ignored)
        put_detail(o, "why", f->reason);
    if (f->ignored || f->sev < SEV_WARN)
        return;
    put_compared(o, f);
    put_detail(o, "fix", f->fix);
}

/* Which layers stand on which. */
static void put_note(const struct check_view *v, const struct out *o, unsigned int layer)
{
    bool below = check_counts_bad(&v->layers[1].counts) || check_counts_bad(&v->layers[2].counts);
    bool storage = check_counts_bad(&v->layers[4].counts);

    if (!check_counts_bad(&v->layers[layer].counts))
        return;
    if (layer == 4 && below)
        fprintf(o->f, "  layer 4 needs 1 and 2: begin there\n");
    else if ((layer == 3 || layer == 5) && storage)
        fprintf(o->f, "  3 and 5 are started only when 4 holds: begin there\n");
}

static bool to_show(const struct finding *f, bool all)
{
    return all || f->ignored || f->sev != SEV_OK;
}

/* With --all: stages that have nothing to say. */
static void put_silent(const struct check_view *v, const struct out *o, unsigned int layer)
{
    for (size_t i = 0; i < v->n_stages; i++) {
        const struct check_stage_view *s = &v->stages[i];
        const struct stage *stage = s->look->stage;

        if (stage->layer != layer || s->look->n)
            continue;
        fprintf(o->f, "  ");
        put_word(o, SEV_OK, s->absent ? "absent" : "ok", WORD_COLUMNS);
        fprintf(o->f, "%s: %s\n", stage->name, stage->summary);
    }
}

static void put_layer(const struct check_view *v, bool all, const struct out *o, unsigned int layer)
{
    const struct check_layer_view *l = &v->layers[layer];
    AUTO(freep) char *counts = counts_text(&l->counts);

    fprintf(o->f, "%u %-18s", layer, check_layer_name(layer));
    put_word(o, l->worst, l->absent ? "absent" : counts, 0);
    fprintf(o->f, "\n");
    put_note(v, o, layer);
    for (size_t i = 0; i < v->n; i++)
        if (v->items[i]->layer == layer && to_show(v->items[i], all))
            check_put_finding(o, v->items[i]);
    if (all)
        put_silent(v, o, layer);
}

static bool has_stage(const struct check_view *v, unsigned int layer)
{
    for (size_t i = 0; i < v->n_stages; i++)
        if (v->stages[i].look->stage->layer == layer)
            return true;
    return v->layers[layer].stages > 0;
}

void check_out_text(const struct check_view *v, bool all, struct out *o)
{
    AUTO(freep) char *counts = counts_text(&v->counts);
    enum severity worst = SEV_OK;
    char took[32];

    for (unsigned int layer = 1; layer <= CHECK_LAYERS; layer++) {
        if (has_stage(v, layer))
            put_layer(v, all, o, layer);
        if (v->layers[layer].worst > worst)
            worst = v->layers[layer].worst;
    }
    put_word(o, worst, counts, 0);
    fprintf(o->f, "; %zu stage%s in %s\n", v->n_stages, v->n_stages == 1 ? "" : "s",
            fmt_duration((double)v->took_us / 1e6, took, sizeof(took)));
}
