/* The one table of keys: parsing, defaults, `config show`, `config example` and the documentation
 * come from it. */
#include <stddef.h>

#include "config/parts.h"

#define AT(member) .offset = offsetof(struct config, member)

static const char *const runtimes[] = {"process", "systemd", "kubernetes", NULL};
/* What a recovery may throw away by itself. The ledger is not a legal value. */
static const char *const destroys[] = {"accounts", "bank-snapshots", "old-archives", NULL};

static const char *const verifies[] = {"none", "structure", "full", NULL};

static const char *const ramdisks[] = {"device", "brd", "zram", "tmpfs", "none", NULL};

const struct config_key config_keys[] = {
    {"storage.volume.device", CONFIG_PATH, "",
     "block device of the volume; \"\": the folder as it is", AT(storage.volume.device),
     .may_be_empty = true},
    {"storage.volume.mount", CONFIG_PATH, "/srv/solana", "where the volume is mounted",
     AT(storage.volume.mount)},
    {"storage.volume.size_gib", CONFIG_NUMBER, "0",
     "size of the zvol that is made where the device is a missing one; 0: none",
     AT(storage.volume.size_gib), 0, 1048576},
    {"storage.ramdisk.kind", CONFIG_CHOICE, "device",
     "what holds the accounts: a device that is there or is made, tmpfs, or none",
     AT(storage.ramdisk.kind), .choices = ramdisks},
    {"storage.ramdisk.device", CONFIG_PATH, "",
     "block device in memory; \"\": tmpfs, none, or the folder as it is",
     AT(storage.ramdisk.device), .may_be_empty = true},
    {"storage.ramdisk.size_gib", CONFIG_NUMBER, "0", "its size, of brd, zram and tmpfs",
     AT(storage.ramdisk.size_gib), 0, 65536},
    {"storage.ramdisk.mount", CONFIG_PATH, "/srv/solana/ramdisk", "where that is mounted",
     AT(storage.ramdisk.mount)},
    {"storage.kind_root", CONFIG_PATH, "/srv/kind",
     "what the kind node sees as /mnt; \"\": no kind", AT(storage.kind_root), .may_be_empty = true},
    {"storage.kind_dataset", CONFIG_STR, "",
     "ZFS dataset that is made and mounted at kind_root; \"\": a folder", AT(storage.kind_dataset),
     .may_be_empty = true},
    {"storage.bind", CONFIG_PATH, "/srv/kind/solana",
     "where the volume appears below kind_root; \"\": nowhere", AT(storage.bind),
     .may_be_empty = true},
    {"host.persist", CONFIG_BOOL, "true",
     "may /etc be written: fstab, units, sysctl.d, limits; false: only looked at",
     AT(host.persist)},
    {"boot.seen_timeout_s", CONFIG_NUMBER, "1800",
     "how long after a boot node and pod may take to see the storage", AT(boot.seen_timeout_s), 10,
     86400},
    {"validator.runtime", CONFIG_CHOICE, "process", "how the validator runs", AT(validator.runtime),
     .choices = runtimes},
    {"validator.bin", CONFIG_STR, "agave-validator",
     "the program: a path, or a name looked up in PATH", AT(validator.bin)},
    {"validator.uid", CONFIG_NUMBER, "1000", "its user", AT(validator.uid), 0, 4294967294},
    {"validator.gid", CONFIG_NUMBER, "1000", "its group", AT(validator.gid), 0, 4294967294},
    {"validator.identity", CONFIG_PATH, "", "its keypair file", AT(validator.identity),
     .may_be_empty = true},
    {"validator.vote_account", CONFIG_STR, "", "vote account: a keypair file or an address",
     AT(validator.vote_account), .may_be_empty = true},
    {"validator.voting", CONFIG_BOOL, "false", "does it vote", AT(validator.voting)},
    {"validator.ledger", CONFIG_PATH, "/srv/solana/ledger", "holds rocksdb/ and the admin socket",
     AT(validator.ledger)},
    {"validator.snapshots", CONFIG_PATH, "/srv/solana/snapshots", "snapshot archives",
     AT(validator.snapshots)},
    {"validator.accounts", CONFIG_PATH, "/srv/solana/ramdisk/accounts", "accounts",
     AT(validator.accounts)},
    {"validator.log", CONFIG_PATH, "/srv/solana/log/validator.log", "its log", AT(validator.log)},
    {"validator.bind_address", CONFIG_ADDRESS, "0.0.0.0", "address of gossip, TVU and the others",
     AT(validator.bind_address)},
    {"validator.rpc_bind_address", CONFIG_ADDRESS, "127.0.0.1", "address of its RPC",
     AT(validator.rpc_bind_address)},
    {"validator.rpc_port", CONFIG_NUMBER, "8899", "port of its RPC", AT(validator.rpc_port), 1,
     65534},
    {"validator.gossip_port", CONFIG_NUMBER, "8001", "port of gossip", AT(validator.gossip_port), 1,
     65535},
    {"validator.dynamic_port_range", CONFIG_PORTS, "8002-8040",
     "ports of TVU, TPU, repair; at least 25", AT(validator.dynamic_port_range)},
    {"validator.entrypoints", CONFIG_HOSTPORTS, "", "gossip entrypoints",
     AT(validator.entrypoints)},
    {"validator.known_validators", CONFIG_HASHES, "",
     "public keys whose snapshot hashes it believes", AT(validator.known_validators)},
    {"validator.genesis_hash", CONFIG_HASH, "", "expected genesis hash; \"\": not checked",
     AT(validator.genesis_hash), .may_be_empty = true},
    {"validator.args", CONFIG_STRS, "", "more flags, passed on as they are", AT(validator.args)},
    {"validator.env", CONFIG_ENV, "", "its environment, NAME=value", AT(validator.env)},
    {"cluster.references", CONFIG_URLS, "", "RPC nodes that together decide what the tip is",
     AT(cluster.references)},
    {"snapshot.sources", CONFIG_URLS, "", "RPC nodes to fetch snapshots from; none: the references",
     AT(snapshot.sources)},
    {"snapshot.trusted_sources", CONFIG_URLS, "",
     "sources whose snapshots are believed without further witnesses",
     AT(snapshot.trusted_sources)},
    {"snapshot.discover", CONFIG_BOOL, "true",
     "are the nodes that sources and references list asked, too", AT(snapshot.discover)},
    {"snapshot.min_peers", CONFIG_NUMBER, "3",
     "distinct networks that must serve a snapshot when no known validator does",
     AT(snapshot.min_peers), 1, 1000},
    {"snapshot.max_age_slots", CONFIG_NUMBER, "20000", "older than this behind the tip is too old",
     AT(snapshot.max_age_slots), 1, 10000000},
    {"snapshot.leapfrog_slots", CONFIG_NUMBER, "5000",
     "a validator this far behind is at the tip sooner by a new snapshot",
     AT(snapshot.leapfrog_slots), 1, 10000000},
    {"snapshot.fresh_slots", CONFIG_NUMBER, "1300",
     "fresher than this is looked for first; older only when there is none",
     AT(snapshot.fresh_slots), 1, 10000000},
    {"snapshot.convergence_slots", CONFIG_NUMBER, "500",
     "an incremental further behind the tip than this is followed by another one",
     AT(snapshot.convergence_slots), 1, 10000000},
    {"snapshot.min_rate_mib_s", CONFIG_NUMBER, "1",
     "a source below it is replaced while there are others", AT(snapshot.min_rate_mib_s), 0,
     1000000},
    {"snapshot.max_rate_mib_s", CONFIG_NUMBER, "0",
     "all sources together send at most this much; 0: no limit", AT(snapshot.max_rate_mib_s), 0,
     1000000},
    {"snapshot.max_latency_ms", CONFIG_NUMBER, "0",
     "sources with a longer round trip wait for the others; 0: no limit",
     AT(snapshot.max_latency_ms), 0, 60000},
    {"snapshot.verify", CONFIG_CHOICE, "structure",
     "what is proven while it arrives; full: the name's hash is the bank's as well",
     AT(snapshot.verify), .choices = verifies},
    {"snapshot.proxy", CONFIG_PROXY, "",
     "http://host:port or socks5h://host:port for everything; \"\": none", AT(snapshot.proxy),
     .may_be_empty = true},
    {"snapshot.unpack_mib_s", CONFIG_NUMBER, "900",
     "MiB of an archive that the validator unpacks in a second", AT(snapshot.unpack_mib_s), 1,
     1000000},
    {"snapshot.exclude_versions", CONFIG_STRS, "",
     "Agave versions whose snapshots are not taken: 3.0.1; 3.0 is all of them",
     AT(snapshot.exclude_versions)},
    {"stop.ladder_s", CONFIG_NUMBER, "600", "how long a stop may need", AT(stop.ladder_s), 5, 7200},
    {"up.timeout_s", CONFIG_NUMBER, "3600", "how long up waits for the tip", AT(up.timeout_s), 1,
     604800},
    {"up.tip_slots", CONFIG_NUMBER, "32", "at the tip when the gap is at most this",
     AT(up.tip_slots), 0, 100000},
    {"status.timeout_ms", CONFIG_NUMBER, "700", "how long a look at the cluster may take",
     AT(status.timeout_ms), 100, 10000},
    {"docker.socket", CONFIG_PATH, "/var/run/docker.sock", "Docker's socket; \"\": no Docker",
     AT(docker.socket), .may_be_empty = true},
    {"kind.cluster", CONFIG_STR, "", "name of the kind cluster; \"\": none", AT(kind.cluster),
     .may_be_empty = true},
    {"kind.node", CONFIG_STR, "", "its node's container; \"\": <cluster>-control-plane",
     AT(kind.node), .may_be_empty = true},
    {"kind.mount", CONFIG_PATH, "/mnt", "where the node sees storage.kind_root", AT(kind.mount)},
    {"kubernetes.kubeconfig", CONFIG_PATH, "",
     "\"\": KUBECONFIG, or the one of the user behind sudo", AT(kubernetes.kubeconfig),
     .may_be_empty = true},
    {"kubernetes.context", CONFIG_STR, "", "\"\": the kubeconfig's current one",
     AT(kubernetes.context), .may_be_empty = true},
    {"kubernetes.namespace", CONFIG_STR, "", "where the validator's Deployment is; \"\": none",
     AT(kubernetes.namespace), .may_be_empty = true},
    {"kubernetes.deployment", CONFIG_STR, "", "its name; \"\": none", AT(kubernetes.deployment),
     .may_be_empty = true},
    {"kubernetes.volumes", CONFIG_VOLUMES, "", "persistent volumes and their paths in the node",
     AT(kubernetes.volumes)},
    {"laconic.bin", CONFIG_STR, "laconic-so", "the program: a path, or a name looked up in PATH",
     AT(laconic.bin)},
    {"laconic.deployment_dir", CONFIG_PATH, "", "its deployment folder; \"\": none",
     AT(laconic.deployment_dir), .may_be_empty = true},
    {"relay.listen", CONFIG_STR, "", "host:port where relayed shreds arrive; \"\": no relay",
     AT(relay.listen), .may_be_empty = true},
    {"check.ignore", CONFIG_IGNORES, "", "findings that may be, each with its reason: \"id: why\"",
     AT(check.ignore)},
    {"check.min_free_gib", CONFIG_NUMBER, "200", "less free space than this is a finding",
     AT(check.min_free_gib), 0, 1000000},
    {"check.clock_ms", CONFIG_NUMBER, "500", "a clock that may be off by more is a finding",
     AT(check.clock_ms), 1, 60000},
    {"recover.may_destroy", CONFIG_DESTROYS, "", "what a recovery may wipe without being asked",
     AT(recover.may_destroy), .choices = destroys},
    {"state_dir", CONFIG_PATH, "/run/agavectl", "notes of agavectl about this boot", AT(state_dir)},
    {"journal_dir", CONFIG_PATH, "/var/lib/agavectl/op",
     "records of operations, kept over reboots; only root may write there", AT(journal_dir)},
    {0},
};

size_t config_keys_n(void)
{
    return sizeof(config_keys) / sizeof(config_keys[0]) - 1;
}

bool config_is_list(const struct config_key *k)
{
    return k->type == CONFIG_STRS || k->type == CONFIG_URLS || k->type == CONFIG_HOSTPORTS ||
           k->type == CONFIG_HASHES || k->type == CONFIG_ENV || k->type == CONFIG_VOLUMES ||
           k->type == CONFIG_IGNORES || k->type == CONFIG_DESTROYS;
}

const struct config_key *config_find_key(const char *name)
{
    for (const struct config_key *k = config_keys; k->name; k++)
        if (str_eq(k->name, name))
            return k;
    return NULL;
}
