/* What a value must be, key by key, and what the keys must be to each other. Nothing here looks at
 * the machine: that is the stages' work. */
#include "config/parts.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/base58.h"

#define PORTS_MIN 25 /* agave-validator 3.0.14 and later want as many */

/* Each returns NULL, or what is wrong with the text. */
static const char *check_path(const struct config_key *k, const char *text)
{
    if (!*text)
        return k->may_be_empty ? NULL : "must not be empty";
    if (*text != '/')
        return "is not an absolute path";
    if (strstr(text, "/../") || str_ends(text, "/.."))
        return "must not contain '..'";
    return strlen(text) > 1 && str_ends(text, "/") ? "must not end in '/'" : NULL;
}

static const char *check_ports(const char *text)
{
    const char *dash = strchr(text, '-');
    AUTO(freep) char *first = dash ? xstrndup(text, (size_t)(dash - text)) : NULL;
    uint64_t a = 0, b = 0;
    struct err *e = dash ? parse_u64(first, 1, 65535, &a) : NULL;

    if (dash && !e)
        e = parse_u64(dash + 1, 1, 65535, &b);
    if (!dash || e) {
        err_free(e);
        return "is not a port range such as 8002-8040";
    }
    return b < a + PORTS_MIN ? "is too narrow: at least 25 ports are needed" : NULL;
}

static const char *check_url(const char *text)
{
    const char *host = str_starts(text, "http://")    ? text + 7
                       : str_starts(text, "https://") ? text + 8
                                                      : NULL;

    return !host || !*host || *host == '/' || strpbrk(text, " \t\"") ? "is not an http or https URL"
                                                                     : NULL;
}

static const char *check_hostport(const char *text)
{
    const char *colon = strrchr(text, ':');
    uint64_t port;
    struct err *e = colon && colon > text ? parse_u64(colon + 1, 1, 65535, &port) : NULL;
    bool bad = !colon || colon == text || e;

    err_free(e);
    return bad ? "is not of the form host:port" : NULL;
}

/* Names are looked up by the proxy (socks5h): no plain socks5, which would tell them to our own
 * resolver. */
static const char *check_proxy(const struct config_key *k, const char *text)
{
    const char *host = str_starts(text, "http://")      ? text + 7
                       : str_starts(text, "socks5h://") ? text + 10
                                                        : NULL;

    if (!*text && k->may_be_empty)
        return NULL;
    return !host || strpbrk(host, "/ \t\"") || check_hostport(host)
               ? "is not of the form http://host:port or socks5h://host:port"
               : NULL;
}

/* systemd.unit(5): letters, digits, ":-_.\\@", at most 255. */
static const char *check_service(const char *text)
{
    static const char legal[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                ":-_.\\@";
    size_t n = strlen(text);

    if (!str_ends(text, ".service") || n == strlen(".service") || n > 255 ||
        strspn(text, legal) != n)
        return "is not the name of a service, such as agave-validator.service";
    return strstr(text, "@.") ? "is a template: name the instance, such as agave@1.service" : NULL;
}

static const char *check_hash(const struct config_key *k, const char *text)
{
    uint8_t hash[32];
    struct err *e = *text || !k->may_be_empty ? base58_decode32(text, strlen(text), hash) : NULL;
    bool bad = e;

    err_free(e);
    return bad ? "is not 32 bytes in base58" : NULL;
}

static const char *check_env(const char *text)
{
    const char *equals = strchr(text, '=');

    return !equals || equals == text ? "is not of the form NAME=value" : NULL;
}

/* "validator-ledger=/mnt/solana/ledger" */
static const char *check_volume(const char *text)
{
    const char *equals = strchr(text, '=');

    if (!equals || equals == text || equals[1] != '/' || strstr(equals, "/../") ||
        str_ends(text, "/.."))
        return "is not of the form name=/path";
    return NULL;
}

/* "volume.hidden: the old files are kept on purpose" */
static const char *check_ignore(const char *text)
{
    const char *colon = strchr(text, ':');

    if (!colon || colon == text || colon[1] != ' ' || !colon[2] ||
        strcspn(text, " \t") < (size_t)(colon - text))
        return "is not of the form \"id: reason\"";
    return NULL;
}

static const char *check_choice(const struct config_key *k, const char *text)
{
    for (const char *const *w = k->choices; *w; w++)
        if (str_eq(*w, text))
            return NULL;
    return "is not something that may be destroyed (accounts, bank-snapshots, old-archives)";
}

const char *config_check_text(const struct config_key *k, const char *text)
{
    struct in_addr ip;

    switch (k->type) {
    case CONFIG_PATH:
        return check_path(k, text);
    case CONFIG_ADDRESS:
        return inet_pton(AF_INET, text, &ip) == 1 ? NULL : "is not an IPv4 address";
    case CONFIG_PORTS:
        return check_ports(text);
    case CONFIG_URLS:
        return check_url(text);
    case CONFIG_HOSTPORTS:
        return check_hostport(text);
    case CONFIG_SERVICE:
        return check_service(text);
    case CONFIG_PROXY:
        return check_proxy(k, text);
    case CONFIG_HASH:
    case CONFIG_HASHES:
        return check_hash(k, text);
    case CONFIG_ENV:
        return check_env(text);
    case CONFIG_VOLUMES:
        return check_volume(text);
    case CONFIG_IGNORES:
        return check_ignore(text);
    case CONFIG_DESTROYS:
        return check_choice(k, text);
    case CONFIG_STR:
    case CONFIG_STRS:
        return *text || k->may_be_empty ? NULL : "must not be empty";
    case CONFIG_NUMBER:
    case CONFIG_BOOL:
    case CONFIG_CHOICE:
        break; /* set_scalar knows them */
    }
    return NULL;
}

static bool below(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    return strncmp(path, dir, n) == 0 && path[n] == '/';
}

/* A fault of several keys stands at the line of the last one that the file sets; one of them is
 * set, because the defaults agree with each other. */
static void fault_of(struct faults *f, const struct config *c, const char *const *keys,
                     const char *text)
{
    uint32_t line = 0;

    for (; *keys; keys++) {
        const struct config_key *k = config_find_key(*keys);

        if (k && c->lines[k - config_keys] > line)
            line = c->lines[k - config_keys];
    }
    strlist_addf(&f->lines, "%s:%u: %s", f->name, line, text);
}
#define FAULT_OF(f, c, text, ...) fault_of(f, c, (const char *const[]){__VA_ARGS__, NULL}, text)

/* Both name the same thing, which is not nothing. */
static void must_differ(struct faults *f, const struct config *c, const char *a, const char *b)
{
    const char *x = *(char **)config_member(c, config_find_key(a)),
               *y = *(char **)config_member(c, config_find_key(b));
    AUTO(freep) char *text = NULL;

    if (!*x || !str_eq(x, y))
        return;
    text = xasprintf("%s and %s are both '%s'; they must differ", a, b, x);
    FAULT_OF(f, c, text, a, b);
}

static bool is_numbered(const char *text, const char *name)
{
    uint64_t n;
    struct err *e = str_starts(text, name) ? parse_u64(text + strlen(name), 0, 63, &n)
                                           : err_new(ERR_BADINPUT, "another name");
    bool right = !e;

    err_free(e);
    return right;
}

/* What is made needs a size, and a device that is made the name that its driver gives. */
static void check_ramdisk(const struct config *c, struct faults *f)
{
    const char *kind = c->storage.ramdisk.kind, *device = c->storage.ramdisk.device;
    bool brd = str_eq(kind, "brd"), zram = str_eq(kind, "zram"), tmpfs = str_eq(kind, "tmpfs");

    if ((brd || zram || tmpfs) && !c->storage.ramdisk.size_gib)
        FAULT_OF(f, c, "storage.ramdisk.kind brd, zram and tmpfs need storage.ramdisk.size_gib",
                 "storage.ramdisk.kind", "storage.ramdisk.size_gib");
    if (brd && !is_numbered(device, "/dev/ram"))
        FAULT_OF(f, c, "storage.ramdisk.kind brd needs storage.ramdisk.device /dev/ram0 (to 63)",
                 "storage.ramdisk.kind", "storage.ramdisk.device");
    if (zram && !is_numbered(device, "/dev/zram"))
        FAULT_OF(f, c, "storage.ramdisk.kind zram needs storage.ramdisk.device /dev/zram0 (to 63)",
                 "storage.ramdisk.kind", "storage.ramdisk.device");
    if ((tmpfs || str_eq(kind, "none")) && *device)
        FAULT_OF(f, c, "storage.ramdisk.kind tmpfs and none have no storage.ramdisk.device",
                 "storage.ramdisk.kind", "storage.ramdisk.device");
}

/* What no single key can know. */
void config_check_together(const struct config *c, struct faults *f)
{
    static const char *const differ[][2] = {
        {"validator.ledger", "validator.snapshots"},
        {"validator.ledger", "validator.accounts"},
        {"validator.snapshots", "validator.accounts"},
        {"storage.volume.device", "storage.ramdisk.device"},
        {"storage.volume.mount", "storage.ramdisk.mount"},
    };

    for (size_t i = 0; i < ARRAY_LEN(differ); i++)
        must_differ(f, c, differ[i][0], differ[i][1]);
    check_ramdisk(c, f);
    if (c->validator.voting && (!*c->validator.identity || !*c->validator.vote_account))
        FAULT_OF(f, c, "validator.voting needs validator.identity and validator.vote_account",
                 "validator.voting");
    /* Where somebody kills at its end, as Kubernetes does, a short ladder is a kill in mid-write.
     */
    if (c->stop.ladder_s < 60 && !str_eq(c->validator.runtime, "process"))
        FAULT_OF(f, c, "stop.ladder_s below 60 is for the runtime 'process' only", "stop.ladder_s");
    if (!*c->storage.bind)
        return;
    if (!*c->storage.kind_root)
        FAULT_OF(f, c, "storage.bind needs storage.kind_root; set both or none", "storage.bind",
                 "storage.kind_root");
    else if (!below(c->storage.bind, c->storage.kind_root))
        FAULT_OF(f, c, "storage.bind is not below storage.kind_root", "storage.bind",
                 "storage.kind_root");
}
