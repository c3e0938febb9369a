/* What a command line of the validator says, as keys of the config: its paths as the host has them.
 */
#include <stdlib.h>
#include <string.h>

#include "look/discover_args.h"
#include "look/discover_parts.h"

/* Who gives this command line. */
struct speaker {
    struct asking *a;
    const char *who;          /* "process 4242" */
    const struct mounts *own; /* where its paths mean something; NULL: on the host */
};

/* A path of the speaker as one of the host; relative ones have no meaning here. */
static void found_path(const struct speaker *s, const struct arg_value *v)
{
    struct asking *a = s->a;
    const char *path = v->items.items[0];
    AUTO(freep) char *origin = xasprintf("%s (%s %s)", s->who, v->flag, path);
    AUTO(freep) char *place = NULL;

    if (*path != '/') {
        not_found(a->d, v->key, "%s is no absolute path", origin);
        return;
    }
    place = s->own ? place_on_host(s->own, &a->host, path, asking_kind_root(a)) : xstrdup(path);
    if (!place)
        not_found(a->d, v->key, "%s is on a file system that the host has not mounted", origin);
    else
        found_text(a->d, v->key, place, origin);
}

static void found_value(const struct speaker *s, const struct arg_value *v)
{
    struct discovery *d = s->a->d;
    AUTO(freep) char *origin = xasprintf("%s (%s)", s->who, v->flag);
    const char *first = v->items.items[0];

    if (str_eq(v->key, "validator.log") && str_eq(first, "-"))
        not_found(d, v->key, "%s writes its log to stdout", s->who);
    else if (v->path && !(str_eq(v->key, "validator.vote_account") && *first != '/'))
        found_path(s, v);
    else
        found(d, v->key, &v->items, origin); /* a vote account may be an address */
    if (v->path && v->items.n > 1)
        noted(d, "%s: %s is given %zu times; the first is used", v->key, v->flag, v->items.n);
}

/* What the command line leaves out, Agave decides, and not as our defaults say. */
static void found_left_out(const struct speaker *s, const struct discovered_args *args)
{
    struct discovery *d = s->a->d;
    bool votes = discovered_arg(args, "validator.vote_account") && !args->no_voting;

    if (votes && (!is_found(d, "validator.identity") || !is_found(d, "validator.vote_account")))
        not_found(d, "validator.voting",
                  "it votes, but its identity or vote account could not be found on the host");
    else
        found_text(d, "validator.voting", votes ? "true" : "false", s->who);
    /* Without --snapshots the archives are in the ledger folder (3.0.14). */
    if (!discovered_arg(args, "validator.snapshots"))
        not_found(d, "validator.snapshots",
                  "%s keeps its snapshots in the ledger folder; agavectl wants a folder for them "
                  "(--snapshots)",
                  s->who);
    if (!discovered_arg(args, "validator.rpc_port"))
        not_found(d, "validator.rpc_port", "%s has no --rpc-port, so it serves no RPC", s->who);
}

void found_args(struct asking *a, const char *who, const struct mounts *own, char *const *argv)
{
    const struct speaker s = {.a = a, .who = who, .own = own};
    AUTO(discovered_args_clear) struct discovered_args args = {0};

    discover_args(argv, &args);
    for (size_t i = 0; i < args.n; i++)
        found_value(&s, &args.values[i]);
    if (args.rest.n)
        found(a->d, "validator.args", &args.rest, who);
    found_left_out(&s, &args);
}
