/* The config as a unit. Every flag that agavectl sets is listed in one function, with the key it
 * comes from; the flags are those of agave-validator 3.0.14 (commands/run/args.rs). The validator
 * never fetches a snapshot itself: `up` brings one, from the best source and checked. */
#include "look/unit_config.h"

#include <stdlib.h>

#include "config/config.h"
#include "io/proc.h"
#include "look/snapshot_rules.h"

#define NO_FETCH "--no-snapshot-fetch"

/* Flags that have a key of their own: in validator.args they would contradict it, and the validator
 * refuses a flag that is given twice. */
static const struct {
    const char *flag, *key;
} owned[] = {
    {"--identity", "validator.identity"},
    {"-i", "validator.identity"},
    {"--vote-account", "validator.vote_account"},
    {"--no-voting", "validator.voting"},
    {"--ledger", "validator.ledger"},
    {"-l", "validator.ledger"},
    {"--snapshots", "validator.snapshots"},
    {"--accounts", "validator.accounts"},
    {"--log", "validator.log"},
    {"-o", "validator.log"},
    {"--bind-address", "validator.bind_address"},
    {"--rpc-bind-address", "validator.rpc_bind_address"},
    {"--rpc-port", "validator.rpc_port"},
    {"--gossip-port", "validator.gossip_port"},
    {"--dynamic-port-range", "validator.dynamic_port_range"},
    {"--expected-genesis-hash", "validator.genesis_hash"},
};

static void add(struct strlist *l, const char *flag, const char *value)
{
    if (!value || !value[0])
        return;
    strlist_add(l, flag);
    strlist_add(l, value);
}

static void add_number(struct strlist *l, const char *flag, uint64_t value)
{
    strlist_add(l, flag);
    strlist_addf(l, "%llu", (unsigned long long)value);
}

static void add_each(struct strlist *l, const char *flag, const struct strlist *values)
{
    for (size_t i = 0; i < values->n; i++)
        add(l, flag, values->items[i]);
}

static void fill_argv(const struct config *c, const char *bin, struct strlist *l)
{
    strlist_add(l, bin);
    add(l, "--identity", c->validator.identity);
    if (c->validator.voting)
        add(l, "--vote-account", c->validator.vote_account);
    else
        strlist_add(l, "--no-voting");
    add(l, "--ledger", c->validator.ledger);
    add(l, "--snapshots", c->validator.snapshots);
    add(l, "--accounts", c->validator.accounts);
    add(l, "--log", c->validator.log);
    add(l, "--bind-address", c->validator.bind_address);
    add(l, "--rpc-bind-address", c->validator.rpc_bind_address);
    add_number(l, "--rpc-port", c->validator.rpc_port);
    add_number(l, "--gossip-port", c->validator.gossip_port);
    add(l, "--dynamic-port-range", c->validator.dynamic_port_range);
    add_each(l, "--entrypoint", &c->validator.entrypoints);
    add_each(l, "--known-validator", &c->validator.known_validators);
    add(l, "--expected-genesis-hash", c->validator.genesis_hash);
    if (!strlist_has(&c->validator.args, NO_FETCH))
        strlist_add(l, NO_FETCH);
    for (size_t i = 0; i < c->validator.args.n; i++)
        strlist_add(l, c->validator.args.items[i]);
}

static void fill_env(const struct config *c, struct strlist *l)
{
    bool has_path = false;

    for (size_t i = 0; i < c->validator.env.n; i++) {
        strlist_add(l, c->validator.env.items[i]);
        has_path |= str_starts(c->validator.env.items[i], "PATH=");
    }
    if (!has_path)
        strlist_add(l, "PATH=/usr/local/bin:/usr/bin:/bin");
}

static char *own_rpc_url(const struct config *c)
{
    const char *address = c->validator.rpc_bind_address;

    return xasprintf("http://%s:%llu", str_eq(address, "0.0.0.0") ? "127.0.0.1" : address,
                     (unsigned long long)c->validator.rpc_port);
}

struct err *unit_config_new(struct ctx *ctx, const char *agave_bin, struct unit_config **ret)
{
    AUTO(unit_config_freep) struct unit_config *u = NULL;

    TRY(unit_config_look(ctx, agave_bin, &u));
    if (!u->runtime)
        return err_new(ERR_ABSENT,
                       "this version has no driver for runtime '%s' yet: check, status, config "
                       "and prepare work",
                       ctx->cfg->validator.runtime);
    *ret = TAKE(u);
    return NULL;
}

struct err *unit_config_look(struct ctx *ctx, const char *agave_bin, struct unit_config **ret)
{
    AUTO(unit_config_freep) struct unit_config *u = xcalloc(1, sizeof(*u));
    const struct config *c = ctx->cfg;
    const char *bin = agave_bin ? agave_bin : c->validator.bin;

    u->runtime = runtime_by_name(c->validator.runtime);
    /* Not there: the name stays as it is, for unit_config_check to complain about. */
    (void)err_free(proc_find(ctx, bin, &u->bin));
    if (!u->bin)
        u->bin = xstrdup(bin);
    u->rpc_url = own_rpc_url(c);
    fill_argv(c, u->bin, &u->argv);
    fill_env(c, &u->env);
    u->unit = (struct unit){
        .name = "agave-validator",
        .bin = u->bin,
        .argv = (const char *const *)u->argv.items,
        .env = (const char *const *)u->env.items,
        .uid = (uint32_t)c->validator.uid,
        .gid = (uint32_t)c->validator.gid,
        .ledger = c->validator.ledger,
        .log = c->validator.log,
        .state_dir = c->state_dir,
        .ladder_s = (uint32_t)c->stop.ladder_s,
    };
    if (u->runtime == &runtime_systemd) {
        u->systemd.unit = c->validator.unit;
        u->unit.systemd = &u->systemd;
    }
    *ret = TAKE(u);
    return NULL;
}

/* Is arg the flag, or "flag=value"? */
static bool is_flag(const char *arg, const char *flag)
{
    size_t n = strlen(flag);

    return strncmp(arg, flag, n) == 0 && (arg[n] == 0 || arg[n] == '=');
}

struct err *unit_config_check(struct ctx *ctx, const struct unit_config *u)
{
    const struct config *c = ctx->cfg;
    AUTO(freep) char *found = NULL;

    if (u->unit.systemd) /* its command line is the unit file's */
        return NULL;
    TRY_CTX(proc_find(ctx, u->bin, &found), "validator.bin");
    if (!c->validator.identity[0])
        return err_new(ERR_BADINPUT,
                       "validator.identity is not set: the validator needs a keypair file");
    for (size_t i = 0; i < c->validator.args.n; i++)
        for (size_t o = 0; o < ARRAY_LEN(owned); o++)
            if (is_flag(c->validator.args.items[i], owned[o].flag))
                return err_new(ERR_BADINPUT, "validator.args: '%s' belongs in %s", owned[o].flag,
                               owned[o].key);
    return NULL;
}

struct unit_config *unit_config_free(struct unit_config *u)
{
    if (u) {
        free(u->rpc_url);
        free(u->bin);
        strlist_clear(&u->argv);
        strlist_clear(&u->env);
        free(u);
    }
    return NULL;
}

void unit_config_freep(struct unit_config **u)
{
    *u = unit_config_free(*u);
}

struct status_params unit_config_status(const struct ctx *ctx, const struct unit_config *u)
{
    const struct config *c = ctx->cfg;
    const struct snapdirs dirs = snapshot_dirs(c);

    return (struct status_params){
        .rpc_url = u->rpc_url,
        .refs = (const char *const *)c->cluster.references.items,
        .n_refs = c->cluster.references.n,
        .ledger = c->validator.ledger,
        .snapshots_dir = dirs.dir,
        .full_dir = dirs.full,
        .incremental_dir = dirs.incremental,
        .runtime = u->runtime,
        .unit = &u->unit,
        .port_range = c->validator.dynamic_port_range,
        .state_dir = c->state_dir,
        .tip_slots = c->up.tip_slots,
        .timeout_ms = (uint32_t)c->status.timeout_ms,
    };
}
