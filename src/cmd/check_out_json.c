/* `agavectl check -o json`. */
#include "cmd/check_out.h"

struct json *check_finding_json(const struct finding *f)
{
    struct json *j = json_new_object();

    json_put(j, "id", json_new_str(f->id));
    json_put(j, "layer", json_new_u64(f->layer));
    json_put(j, "stage", json_new_str(f->stage));
    json_put(j, "severity", json_new_str(severity_name(f->sev)));
    json_put(j, "what", json_new_str(f->what));
    json_put(j, "want", json_new_str(f->want));
    json_put(j, "got", json_new_str(f->got));
    json_put(j, "source", json_new_str(f->source));
    json_put(j, "fix", json_new_str(f->fix));
    json_put(j, "ignored", json_new_bool(f->ignored));
    json_put(j, "reason", json_new_str(f->reason));
    return j;
}

static struct json *stage_json(const struct check_stage_view *s)
{
    struct json *j = json_new_object();

    json_put(j, "name", json_new_str(s->look->stage->name));
    json_put(j, "layer", json_new_u64(s->look->stage->layer));
    json_put(j, "state", json_new_str(check_stage_state(s)));
    json_put(j, "took_us", json_new_u64(s->look->took_us));
    return j;
}

static struct json *summary_json(const struct check_counts *c)
{
    struct json *j = json_new_object();

    for (int sev = SEV_OK; sev <= SEV_UNKNOWN; sev++)
        json_put(j, severity_name((enum severity)sev), json_new_u64(c->by[sev]));
    json_put(j, "ignored", json_new_u64(c->ignored));
    return j;
}

void check_out_json(const struct check_view *v, struct out *o)
{
    struct json *doc = answer_new(), *findings = json_new_array(), *stages = json_new_array();

    for (size_t i = 0; i < v->n; i++)
        json_push(findings, check_finding_json(v->items[i]));
    for (size_t i = 0; i < v->n_stages; i++)
        json_push(stages, stage_json(&v->stages[i]));
    json_put(doc, "findings", findings);
    json_put(doc, "stages", stages);
    json_put(doc, "summary", summary_json(&v->counts));
    out_json(o, doc);
}
