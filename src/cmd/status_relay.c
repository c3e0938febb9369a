/* The relay in a status: the worst finding of the stage relay, which knows what a relay needs. */
#include "cmd/status_relay.h"

#include <stdlib.h>

#include "cmd/cmd_status_host.h"
#include "config/config.h"
#include "stage/engine.h"
#include "stage/table.h"

static bool is_relay(const void *arg, const struct stage *s)
{
    return s == &stage_relay;
}

void status_relay_look(struct ctx *ctx, struct status_relay *ret)
{
    AUTO(check_report_clear) struct check_report r = {0};
    const struct finding *worst = NULL;

    *ret = (struct status_relay){0};
    if (!ctx->cfg || !*ctx->cfg->relay.listen)
        return;
    stages_check(ctx, &(struct check_opts){.wanted = is_relay}, &r);
    for (size_t i = 0; i < r.findings.n; i++) {
        const struct finding *f = &r.findings.items[i];

        if (!f->ignored && (!worst || f->sev > worst->sev))
            worst = f;
    }
    *ret = (struct status_relay){
        .listen = ctx->cfg->relay.listen,
        .state = severity_name(worst ? worst->sev : SEV_UNKNOWN),
        .what = worst ? xstrdup(worst->what) : NULL,
    };
}

void status_relay_clear(struct status_relay *r)
{
    free(r->what);
    *r = (struct status_relay){0};
}

void status_relay_print(const struct status_relay *r, struct out *out)
{
    if (!r->listen)
        out_printf(out, STATUS_LABEL "not configured\n", "relay");
    else
        out_printf(out, STATUS_LABEL "%s at %s: %s\n", "relay", r->state, r->listen,
                   r->what ? r->what : "nothing is known of it");
}

struct json *status_relay_json(const struct status_relay *r)
{
    struct json *j;

    if (!r->listen)
        return NULL;
    j = json_new_object();
    json_put(j, "listen", json_new_str(r->listen));
    json_put(j, "state", json_new_str(r->state));
    json_put(j, "what", json_new_str(r->what));
    return j;
}
