/* The validator's command line read back into keys of the config. One table; what stands in no row
 * is passed on as it is. The other direction is in look/unit_config.c. */
#include "look/discover_args.h"

#include <stdlib.h>
#include <string.h>

struct flag {
    const char *flag, *key;
    bool path, list;
};
static const struct flag flags[] = {
    {"--identity", "validator.identity", .path = true},
    {"-i", "validator.identity", .path = true},
    {"--vote-account", "validator.vote_account", .path = true},
    {"--ledger", "validator.ledger", .path = true},
    {"-l", "validator.ledger", .path = true},
    {"--snapshots", "validator.snapshots", .path = true},
    {"--accounts", "validator.accounts", .path = true, .list = true},
    {"--log", "validator.log", .path = true},
    {"-o", "validator.log", .path = true},
    {"--bind-address", "validator.bind_address"},
    {"--rpc-bind-address", "validator.rpc_bind_address"},
    {"--rpc-port", "validator.rpc_port"},
    {"--gossip-port", "validator.gossip_port"},
    {"--dynamic-port-range", "validator.dynamic_port_range"},
    {"--entrypoint", "validator.entrypoints", .list = true},
    {"-n", "validator.entrypoints", .list = true},
    {"--known-validator", "validator.known_validators", .list = true},
    {"--trusted-validator", "validator.known_validators", .list = true},
    {"--expected-genesis-hash", "validator.genesis_hash"},
};

void discovered_args_clear(struct discovered_args *a)
{
    for (size_t i = 0; i < a->n; i++)
        strlist_clear(&a->values[i].items);
    free(a->values);
    strlist_clear(&a->rest);
    *a = (struct discovered_args){0};
}

const struct arg_value *discovered_arg(const struct discovered_args *a, const char *key)
{
    for (size_t i = 0; i < a->n; i++)
        if (str_eq(a->values[i].key, key))
            return &a->values[i];
    return NULL;
}

/* The row of a word, and where its value begins when it stands in the same word ("--ledger=/x"). */
static const struct flag *find_flag(const char *word, const char **ret_value)
{
    size_t n = strcspn(word, "=");

    *ret_value = word[n] ? word + n + 1 : NULL;
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        if (strlen(flags[i].flag) == n && memcmp(flags[i].flag, word, n) == 0)
            return &flags[i];
    return NULL;
}

static void add_value(struct discovered_args *a, const struct flag *f, const char *text)
{
    struct arg_value *v = NULL;

    for (size_t i = 0; i < a->n && !v; i++)
        if (str_eq(a->values[i].key, f->key))
            v = &a->values[i];
    if (!v) {
        a->values = xrealloc(a->values, (a->n + 1) * sizeof(*a->values));
        v = &a->values[a->n++];
        *v = (struct arg_value){.key = f->key, .flag = f->flag, .path = f->path};
    }
    if (!f->list)
        strlist_clear(&v->items);
    strlist_add(&v->items, text);
}

/* Those that agavectl gives by itself, or has no use for. */
static bool is_ours(const char *word)
{
    return str_eq(word, "--no-snapshot-fetch") || str_eq(word, "run");
}

void discover_args(char *const *argv, struct discovered_args *ret)
{
    *ret = (struct discovered_args){0};
    for (size_t i = 0; argv[i]; i++) {
        const char *value = NULL;
        const struct flag *f = find_flag(argv[i], &value);

        if (f && (value || argv[i + 1]))
            add_value(ret, f, value ? value : argv[++i]);
        else if (str_eq(argv[i], "--no-voting"))
            ret->no_voting = true;
        else if (!is_ours(argv[i]))
            strlist_add(&ret->rest, argv[i]);
    }
}

bool discover_args_runs(char *const *argv)
{
    static const char *const helpers[] = {
        "add-authorized-voter",
        "authorized-voter",
        "contact-info",
        "exit",
        "help",
        "init",
        "manage-block-production",
        "monitor",
        "plugin",
        "remove-all-authorized-voter",
        "repair-shred-from-peer",
        "repair-whitelist",
        "set-identity",
        "set-log-filter",
        "set-public-address",
        "staked-nodes-overrides",
        "wait-for-restart-window",
        "--help",
        "-h",
        "--version",
        "-V",
    };

    for (size_t i = 0; argv[i]; i++) {
        const char *value = NULL;

        if (find_flag(argv[i], &value)) {
            i += !value && argv[i + 1]; /* "--identity exit" is a file of that name */
            continue;
        }
        for (size_t h = 0; h < ARRAY_LEN(helpers); h++)
            if (str_eq(argv[i], helpers[h]))
                return false;
    }
    return true;
}
