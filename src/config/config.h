#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

/* The config: one YAML file, typed by the table in keys.c. Every member has its default when the
 * file does not name it; "" means "none" where the key's help says so. */
struct config {
    struct {
        struct {
            char *device, *mount;
            uint64_t size_gib; /* of a zvol that is made; 0: none is made */
        } volume;
        struct {
            char *kind, *device, *mount;
            uint64_t size_gib; /* of what is made; 0: nothing is */
        } ramdisk;
        char *kind_root, *kind_dataset, *bind;
    } storage;
    struct {
        bool persist;
    } host;
    struct {
        uint64_t seen_timeout_s;
    } boot;
    struct {
        char *runtime, *unit, *bin;
        uint64_t uid, gid;
        char *identity, *vote_account;
        bool voting;
        char *ledger, *snapshots, *accounts, *log;
        char *bind_address, *rpc_bind_address;
        uint64_t rpc_port, gossip_port;
        char *dynamic_port_range;
        struct strlist entrypoints, known_validators;
        char *genesis_hash;
        struct strlist args, env;
    } validator;
    struct {
        struct strlist references;
    } cluster;
    struct {
        struct strlist sources, trusted_sources;
        bool discover;
        uint64_t min_peers;
        uint64_t max_age_slots, leapfrog_slots, fresh_slots, convergence_slots;
        uint64_t min_rate_mib_s, max_rate_mib_s, max_latency_ms;
        char *verify; /* "none", "structure", "full" */
        char *proxy, *ca_file;
        uint64_t unpack_mib_s;
        struct strlist exclude_versions;
    } snapshot;
    struct {
        uint64_t ladder_s;
    } stop;
    struct {
        uint64_t timeout_s, tip_slots;
    } up;
    struct {
        uint64_t timeout_ms;
    } status;
    struct {
        char *socket;
    } docker;
    struct {
        char *cluster, *node, *mount;
    } kind;
    struct {
        char *kubeconfig, *context, *namespace, *deployment;
        struct strlist volumes;
    } kubernetes;
    struct {
        char *bin, *deployment_dir;
    } laconic;
    struct {
        char *listen;
    } relay;
    struct {
        struct strlist ignore;
        uint64_t min_free_gib, clock_ms;
    } check;
    struct {
        struct strlist may_destroy;
    } recover;
    char *state_dir, *journal_dir;

    char *file;      /* where it came from; NULL: defaults only */
    uint32_t *lines; /* by index into config_keys: line of the key in file, 0 = default */
};

enum config_type {
    CONFIG_STR,
    CONFIG_PATH,    /* absolute; "" only where empty is allowed */
    CONFIG_ADDRESS, /* an IPv4 address */
    CONFIG_PORTS,   /* "8002-8040", at least 25 ports */
    CONFIG_NUMBER,
    CONFIG_BOOL,
    CONFIG_CHOICE,
    CONFIG_SERVICE, /* "agave-validator.service" */
    CONFIG_PROXY,   /* "http://host:port", "socks5h://host:port" */
    CONFIG_HASH,    /* 32 bytes in base58: a public key, a genesis hash */
    CONFIG_STRS,
    CONFIG_HASHES,
    CONFIG_ENV,       /* "NAME=value" */
    CONFIG_URLS,      /* http or https */
    CONFIG_HOSTPORTS, /* "host:port" */
    CONFIG_VOLUMES,   /* "validator-ledger=/mnt/solana/ledger": a PV and its path in the node */
    CONFIG_IGNORES,   /* "volume.hidden: the reason": a finding's id and why it may be */
    CONFIG_DESTROYS,  /* of choices; the ledger is never one of them */
};
struct config_key {
    const char *name; /* "storage.volume.device": maps nest at the dots */
    enum config_type type;
    const char *def;   /* as it would stand in the file; "" for an empty list */
    const char *help;  /* one line */
    size_t offset;     /* in struct config */
    uint64_t min, max; /* CONFIG_NUMBER */
    const char *const *choices;
    bool may_be_empty;
};
extern const struct config_key config_keys[]; /* ended by name == NULL */
size_t config_keys_n(void);

/* Reads and checks text. All faults at once: ERR_BADINPUT, one "name:line: …" a line. */
struct err *config_parse(const char *text, size_t n, const char *name, struct config **ret)
    MUST_CHECK;
/* The same for a file: at most 1 MiB, a regular file (links are followed), which not everybody may
 * write when we are root. ERR_NOTFOUND, ERR_REFUSED, ERR_BADINPUT, ERR_SYS. */
struct err *config_load(const char *path, struct config **ret) MUST_CHECK;
/* Every key at its default. */
struct config *config_defaults(void);
/* Sets a key: one value, or the items of a list. ERR_BADINPUT: it is not what the key takes. What
 * keys must be to each other is not looked at: config_parse the printed text for that. */
struct err *config_set(struct config *c, const struct config_key *k, const struct strlist *values)
    MUST_CHECK;
struct config *config_free(struct config *c); /* NULL is fine; returns NULL */
void config_freep(struct config **c);

const struct config_key *config_find_key(const char *name); /* or NULL */
bool config_is_list(const struct config_key *k);

/* The value of a key as one line of YAML; to be freed. */
char *config_value(const struct config *c, const struct config_key *k);
/* What of it may be shown: without the user and the password of a proxy. */
char *config_value_shown(const struct config *c, const struct config_key *k);
/* The same as JSON, with its type; owned by the caller. */
struct json *config_json(const struct config *c, const struct config_key *k);
struct json *config_json_shown(const struct config *c, const struct config_key *k);
/* What a key takes, for people: "a number from 1 to 65535"; to be freed. */
char *config_type_text(const struct config_key *k);
/* A commented file with every key at its default; to be freed. */
char *config_example(void);
/* What stands in a printed config for a key: the lines of the comment above it (NULL: none; "\n"
 * between them), and whether the key itself is written. */
struct config_remark {
    char *comment; /* freed by the printer */
    bool write;
};
/* A file of those keys that remark wants, with its comments; top stands above all. To be freed. */
char *config_print(const struct config *c, const char *top,
                   struct config_remark (*remark)(void *arg, const struct config_key *k),
                   void *arg);
