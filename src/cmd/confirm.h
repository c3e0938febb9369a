#pragma once

#include "base/ctx.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/out.h"
#include "flow/engine.h"

/* The one rule of what is confirmed, for every command that carries out a flow. A plan with a step
 * that asks (flow/engine.h) is printed and asked about on the terminal; where there is none, --yes
 * is needed, else ERR_REFUSED with the plan printed. --plan only prints. What loses data is named
 * by --destroy=OBJECT each, or beforehand in the config (recover.may_destroy); --yes alone never
 * destroys. Commands that only start and stop what they are named for ask nothing. */
struct confirm_opts {
    bool yes, plan;
    struct strlist destroy;
};
/* The rows of a command's options; member: its struct confirm_opts. */
#define CONFIRM_YES(OWNER, MEMBER)                                                                 \
    {                                                                                              \
        .type = OPT_FLAG, .shrt = 'y', .lng = "yes", .help = "do not ask: carry out the plan",     \
        .offset = offsetof(OWNER, MEMBER.yes)                                                      \
    }
#define CONFIRM_PLAN(OWNER, MEMBER)                                                                \
    {                                                                                              \
        .type = OPT_FLAG, .lng = "plan", .help = "print what would be done, and change nothing",   \
        .offset = offsetof(OWNER, MEMBER.plan)                                                     \
    }
#define CONFIRM_DESTROY(OWNER, MEMBER)                                                             \
    {                                                                                              \
        .type = OPT_LIST, .lng = "destroy", .arg = "OBJECT",                                       \
        .help = "the data of this object may be lost; once for each",                              \
        .offset = offsetof(OWNER, MEMBER.destroy)                                                  \
    }

/* What may be destroyed: --destroy and the config's recover.may_destroy, for the flow's opts. */
void confirm_destroys(const struct ctx *ctx, const struct confirm_opts *o, struct strlist *ret);

struct confirm {
    struct ctx *ctx;
    const struct confirm_opts *opts;
};
/* For struct flow_how.confirm; arg: a struct confirm. Waits for the operator, at most 10 minutes.
 * ERR_REFUSED: not confirmed, or an object of --destroy that the plan does not destroy;
 * ERR_CANCELLED; ERR_TIMEOUT. */
struct err *confirm_ask(void *arg, const struct flow_plan *p, size_t from) MUST_CHECK;

/* The question alone, for a command that is no flow: plan is shown, command is what to repeat with
 * --yes where there is no terminal. ERR_REFUSED, ERR_CANCELLED, ERR_TIMEOUT. */
struct err *confirm_text(struct ctx *ctx, const char *plan, const char *command) MUST_CHECK;

/* --plan: decides and prints, on stdout; says on stderr when an operation is unfinished. */
struct err *confirm_print_plan(struct ctx *ctx, const struct flow *f, const void *opts,
                               struct out *out) MUST_CHECK;
