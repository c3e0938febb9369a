/* From a report of the engine to what is shown of it: the operator's selection, the order, the
 * counts. Prints nothing. */
#include "cmd/check_view.h"

#include <stdlib.h>
#include <string.h>

#include "stage/finding_ids.h"

#define LINE_MAX_B 2000

const char *check_layer_name(unsigned int layer)
{
    static const char *const names[CHECK_LAYERS + 1] = {
        "other", "base system", "kind storage", "cluster", "validator storage", "validator",
    };

    return names[layer <= CHECK_LAYERS ? layer : 0];
}

void check_selection_clear(struct check_selection *s)
{
    strlist_clear(&s->stages);
    strlist_clear(&s->ids);
}

static bool known_id(const char *word)
{
    for (size_t i = 0; finding_ids[i]; i++)
        if (str_eq(finding_ids[i], word))
            return true;
    return false;
}

static struct err *unknown_word(const struct stage *const *table, const char *word)
{
    AUTO(strlist_clear) struct strlist names = {0};

    for (size_t i = 0; table[i]; i++)
        strlist_add(&names, table[i]->name);
    for (size_t i = 0; finding_ids[i]; i++)
        strlist_add(&names, finding_ids[i]);
    const char *near = str_nearest(word, (const char *const *)names.items);
    if (near)
        return err_new(ERR_BADINPUT,
                       "no layer, stage or finding is called '%s'; did you mean '%s'?", word, near);
    return err_new(ERR_BADINPUT,
                   "no layer (1 to %d), stage or finding is called '%s'; 'agavectl check --all' "
                   "shows them",
                   CHECK_LAYERS, word);
}

struct err *check_select(const struct stage *const *table, char **words, int n,
                         struct check_selection *ret)
{
    ret->table = table;
    for (int i = 0; i < n; i++) {
        const char *w = words[i];

        ret->any = true;
        if (w[0] >= '1' && w[0] <= '0' + CHECK_LAYERS && !w[1])
            ret->layers[w[0] - '0'] = true;
        else if (stage_by_name(table, w))
            strlist_add(&ret->stages, w);
        else if (known_id(w))
            strlist_add(&ret->ids, w);
        else
            return unknown_word(table, w);
    }
    return NULL;
}

/* Does the id begin with the stage's name? An id has no '-': "kindroot.folder" is of kind-root. */
static bool id_is_of(const char *id, const char *stage)
{
    for (; *stage; stage++) {
        if (*stage == '-')
            continue;
        if (*id++ != *stage)
            return false;
    }
    return *id == '.';
}

static bool stage_selected(const struct check_selection *sel, const struct stage *s)
{
    return !sel->any || (s->layer <= CHECK_LAYERS && sel->layers[s->layer]) ||
           strlist_has(&sel->stages, s->name);
}

/* An id that begins with no stage's name may be of any. */
static bool may_find(const struct stage *const *table, const char *id, const struct stage *s)
{
    for (size_t i = 0; table[i]; i++)
        if (id_is_of(id, table[i]->name))
            return id_is_of(id, s->name);
    return true;
}

bool check_wants(const void *arg, const struct stage *s)
{
    const struct check_selection *sel = arg;

    if (stage_selected(sel, s))
        return true;
    for (size_t i = 0; i < sel->ids.n; i++)
        if (may_find(sel->table, sel->ids.items[i], s))
            return true;
    return false;
}

/* Is a finding wanted that the stage may have, and said nothing of? */
static bool asked_in_vain(const struct check_selection *sel, const struct check_report *r,
                          const struct stage_look *look)
{
    for (size_t i = 0; i < sel->ids.n; i++) {
        bool found = !may_find(sel->table, sel->ids.items[i], look->stage);

        for (size_t k = look->first; k < look->first + look->n && !found; k++)
            found = str_eq(r->findings.items[k].id, sel->ids.items[i]);
        if (!found)
            return true;
    }
    return false;
}

/* Whoever asks for one finding must hear when its stage could not look: silence would be taken for
 * ok. */
static bool shown(const struct check_selection *sel, const struct check_report *r,
                  const struct stage_look *look, const struct finding *f)
{
    return stage_selected(sel, look->stage) || strlist_has(&sel->ids, f->id) ||
           str_eq(f->id, look->stage->name) ||
           ((f->sev == SEV_UNKNOWN || f->blinds) && asked_in_vain(sel, r, look));
}

static void count(struct check_counts *c, enum severity *worst, const struct finding *f)
{
    if (f->ignored) {
        c->ignored++;
        return;
    }
    c->by[f->sev]++;
    if (f->sev > *worst)
        *worst = f->sev;
}

static unsigned int layer_of(const struct finding *f)
{
    return f->layer <= CHECK_LAYERS ? f->layer : 0;
}

/* The findings of one layer, in the order of the stages. */
static void add_layer(struct check_view *v, const struct check_report *r,
                      const struct check_selection *sel, unsigned int layer)
{
    struct check_layer_view *l = &v->layers[layer];

    for (size_t i = 0; i < r->n_stages; i++) {
        const struct stage_look *look = &r->stages[i];
        struct check_stage_view *s = &v->stages[i];
        size_t before = v->n;

        for (size_t k = look->first; k < look->first + look->n; k++) {
            const struct finding *f = &r->findings.items[k];

            if (layer_of(f) != layer || !shown(sel, r, look, f))
                continue;
            v->items[v->n++] = f;
            count(&v->counts, &(enum severity){SEV_OK}, f);
            count(&l->counts, &l->worst, f);
            count(&s->counts, &s->worst, f);
        }
        l->stages += v->n > before || (look->stage->layer == layer && !look->absent);
    }
    l->absent = l->stages == 0;
}

void check_view_init(struct check_view *v, const struct check_report *r,
                     const struct check_selection *sel)
{
    *v = (struct check_view){
        .items = xcalloc(r->findings.n + 1, sizeof(const struct finding *)),
        .stages = xcalloc(r->n_stages + 1, sizeof(*v->stages)),
        .n_stages = r->n_stages,
    };
    for (size_t i = 0; i < r->n_stages; i++) {
        v->stages[i].look = &r->stages[i];
        v->stages[i].absent = r->stages[i].absent;
        v->took_us += r->stages[i].took_us;
    }
    for (unsigned int layer = 0; layer <= CHECK_LAYERS; layer++)
        add_layer(v, r, sel, layer);
}

void check_view_clear(struct check_view *v)
{
    free(v->items);
    free(v->stages);
    *v = (struct check_view){0};
}

bool check_counts_bad(const struct check_counts *c)
{
    return c->by[SEV_FAIL] || c->by[SEV_UNKNOWN];
}

const char *check_stage_state(const struct check_stage_view *s)
{
    return s->absent ? "absent" : severity_name(s->worst);
}

char *check_line(const char *text)
{
    return str_has_control(text) ? str_shown(text, LINE_MAX_B) : xstrdup(text);
}
