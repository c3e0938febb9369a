/* Admin socket client. One connection per question: the server takes any number of them, and a
 * validator that hangs must not hang us. The reply's form is JSON-RPC's, so rpc_parse_reply reads
 * it. */
#include "solana/admin.h"

#include <stdlib.h>

#include "base/str.h"
#include "io/fsroot.h"
#include "io/sock.h"
#include "solana/rpc.h"

#define REPLY_MAX    (64u << 10)
#define INVALID_CALL (-32602) /* what "Retry once validator start up is complete" comes with */

static const struct {
    const char *agave, *name, *text;
} phases[] = {
    [ADMIN_INITIALIZING] = {"Initializing", "initializing", "initializing"},
    [ADMIN_SEARCHING_RPC] = {"SearchingForRpcService", "searching_rpc",
                             "searching an RPC node to download from"},
    [ADMIN_DOWNLOADING] = {"DownloadingSnapshot", "downloading_snapshot", "downloading a snapshot"},
    [ADMIN_CLEANING_BLOCKSTORE] = {"CleaningBlockStore", "cleaning_blockstore",
                                   "cleaning the blockstore"},
    [ADMIN_CLEANING_ACCOUNTS] = {"CleaningAccounts", "cleaning_accounts", "cleaning the accounts"},
    [ADMIN_LOADING_LEDGER] = {"LoadingLedger", "loading_ledger", "loading the ledger"},
    [ADMIN_PROCESSING_LEDGER] = {"ProcessingLedger", "processing_ledger", "processing the ledger"},
    [ADMIN_STARTING_SERVICES] = {"StartingServices", "starting_services", "starting services"},
    [ADMIN_HALTED] = {"Halted", "halted", "halted"},
    [ADMIN_WAITING_SUPERMAJORITY] = {"WaitingForSupermajority", "waiting_supermajority",
                                     "waiting for a supermajority"},
    [ADMIN_RUNNING] = {"Running", "running", "running"},
    [ADMIN_OTHER] = {"", "other", "in a state that agavectl does not know"},
};

const char *admin_phase_name(enum admin_phase p)
{
    return phases[p].name;
}

/* Asks and checks the form; the error object of a reply stays in *ret_error. */
static struct err *ask(struct ctx *ctx, const char *ledger, const char *method, uint32_t timeout_ms,
                       struct json **ret_result, struct json **ret_error)
{
    AUTO(freep) char *name = xasprintf("%s/admin.rpc", ledger);
    AUTO(freep) char *path = ctx->root ? fsroot_path(ctx->root, name) : xstrdup(name);
    AUTO(freep) char *reply = NULL;
    AUTO(freep)
    char *request =
        xasprintf("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":[]}", method);
    struct err *e = sock_ask(ctx, path, request, timeout_ms, REPLY_MAX, &reply);

    if (e && e->kind == ERR_ABSENT)
        e = err_hint(e, "the validator that made it is gone");
    if (!e)
        e = err_wrap(rpc_parse_reply(reply, strlen(reply), 1, ret_result, ret_error), "'%s'", path);
    return err_wrap(e, "%s", method);
}

/* The same for a method whose error is simply a failure. */
static struct err *ask_result(struct ctx *ctx, const char *ledger, const char *method,
                              uint32_t timeout_ms, struct json **ret)
{
    AUTO(json_freep) struct json *error = NULL;

    TRY(ask(ctx, ledger, method, timeout_ms, ret, &error));
    if (error) {
        struct err *e = rpc_error_of(error);

        e->kind = ERR_REMOTE; /* "not found" means the socket here, never a method */
        return err_wrap(e, "%s at '%s/admin.rpc'", method, ledger);
    }
    return NULL;
}

static enum admin_phase phase_of(const char *word)
{
    for (size_t i = 0; i < ADMIN_OTHER; i++)
        if (str_eq(word, phases[i].agave))
            return (enum admin_phase)i;
    return ADMIN_OTHER;
}

static struct err *number(const struct json *j, const char *key, bool *has, uint64_t *ret)
{
    uint64_t v = 0;

    if (!json_get(j, key))
        return NULL;
    TRY_CTX(json_as_u64(json_get(j, key), &v), "startProgress: %s", key);
    if (v > RPC_SLOT_MAX)
        return err_new(ERR_REMOTE, "startProgress: %s: %llu is not plausible", key,
                       (unsigned long long)v);
    *ret = v;
    *has = true;
    return NULL;
}

static bool is_address(const char *text)
{
    return text[0] && strlen(text) < 64 && !text[strspn(text, "0123456789abcdefABCDEF.:[]%")];
}

/* Where a snapshot comes from: only for people, so one that is no address is not told. */
static void take_source(const struct json *body, struct admin_progress *p)
{
    const char *text = "";
    struct err *e =
        json_get(body, "rpc_addr") ? json_as_str(json_get(body, "rpc_addr"), &text) : NULL;

    if (!e && is_address(text))
        snprintf(p->from, sizeof(p->from), "%s", text);
    (void)err_free(e);
}

static void describe(struct admin_progress *p)
{
    const char *what = phases[p->phase].text;

    if (p->has_slot && p->has_max)
        snprintf(p->text, sizeof(p->text), "%s: slot %llu of %llu", what,
                 (unsigned long long)p->slot, (unsigned long long)p->max_slot);
    else if (p->has_slot && p->has_percent)
        snprintf(p->text, sizeof(p->text), "%s: slot %llu, %llu %% of the stake is in gossip", what,
                 (unsigned long long)p->slot, (unsigned long long)p->percent);
    else if (p->has_slot)
        snprintf(p->text, sizeof(p->text), "%s: slot %llu%s%s", what, (unsigned long long)p->slot,
                 p->from[0] ? ", from " : "", p->from);
    else
        snprintf(p->text, sizeof(p->text), "%s", what);
}

struct err *admin_parse_progress(const struct json *result, struct admin_progress *ret)
{
    struct admin_progress p = {.phase = ADMIN_OTHER};
    const char *word = NULL;

    if (json_is_string(result)) {
        TRY(json_as_str(result, &word));
        p.phase = phase_of(word);
    } else if (json_is_object(result)) {
        const struct json *body = NULL;

        /* External tagging: one member, named by the variant. */
        for (size_t i = 0; i < ADMIN_OTHER && !body; i++)
            if (json_is_object(json_get(result, phases[i].agave))) {
                body = json_get(result, phases[i].agave);
                p.phase = (enum admin_phase)i;
            }
        TRY(number(body, "slot", &p.has_slot, &p.slot));
        TRY(number(body, "max_slot", &p.has_max, &p.max_slot));
        TRY(number(body, "gossip_stake_percent", &p.has_percent, &p.percent));
        take_source(body, &p);
    } else {
        return err_new(ERR_REMOTE, "startProgress: expected a word or an object");
    }
    describe(&p);
    *ret = p;
    return NULL;
}

struct err *admin_start_progress(struct ctx *ctx, const char *ledger, uint32_t timeout_ms,
                                 struct admin_progress *ret)
{
    AUTO(json_freep) struct json *result = NULL;

    TRY(ask_result(ctx, ledger, "startProgress", timeout_ms, &result));
    return admin_parse_progress(result, ret);
}

struct err *admin_parse_start_time(const struct json *result, uint64_t *ret_ms)
{
    uint64_t s = 0, ns = 0;

    TRY_CTX(json_as_u64(json_get(result, "secs_since_epoch"), &s), "startTime: secs_since_epoch");
    TRY_CTX(json_as_u64(json_get(result, "nanos_since_epoch"), &ns),
            "startTime: nanos_since_epoch");
    if (s > UINT32_MAX || ns >= 1000000000)
        return err_new(ERR_REMOTE, "startTime: %llu s is not plausible", (unsigned long long)s);
    *ret_ms = s * 1000 + ns / 1000000;
    return NULL;
}

struct err *admin_start_time(struct ctx *ctx, const char *ledger, uint32_t timeout_ms,
                             uint64_t *ret_ms)
{
    AUTO(json_freep) struct json *result = NULL;

    TRY(ask_result(ctx, ledger, "startTime", timeout_ms, &result));
    return admin_parse_start_time(result, ret_ms);
}

struct err *admin_pid(struct ctx *ctx, const char *ledger, uint32_t timeout_ms, uint64_t *ret)
{
    AUTO(json_freep) struct json *result = NULL;
    uint64_t pid = 0;

    TRY(ask_result(ctx, ledger, "pid", timeout_ms, &result));
    TRY_CTX(json_as_u64(result, &pid), "pid");
    if (pid == 0 || pid > INT32_MAX)
        return err_new(ERR_REMOTE, "pid: %llu is not one", (unsigned long long)pid);
    *ret = pid;
    return NULL;
}

struct err *admin_rpc_address(struct ctx *ctx, const char *ledger, uint32_t timeout_ms, char **ret)
{
    AUTO(json_freep) struct json *result = NULL;
    const char *text = NULL;

    TRY(ask_result(ctx, ledger, "rpcAddress", timeout_ms, &result));
    if (result) {
        TRY_CTX(json_as_str(result, &text), "rpcAddress");
        if (!is_address(text))
            return err_new(ERR_REMOTE, "rpcAddress: not an address");
    }
    *ret = text ? xstrdup(text) : NULL;
    return NULL;
}

struct err *admin_parse_contact(const struct json *result, struct admin_contact *ret)
{
    struct admin_contact c = {.ready = true};
    const struct {
        const char *key;
        char *to;
    } fields[] = {{"gossip", c.gossip},
                  {"tvu", c.tvu},
                  {"tpu", c.tpu},
                  {"serve_repair", c.serve_repair},
                  {"rpc", c.rpc}};
    const char *text = NULL;
    uint64_t version = 0;

    TRY_CTX(rpc_as_key(json_get(result, "id"), c.id), "contactInfo: id");
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        TRY_CTX(json_as_str(json_get(result, fields[i].key), &text), "contactInfo: %s",
                fields[i].key);
        if (!is_address(text))
            return err_new(ERR_REMOTE, "contactInfo: %s is not an address", fields[i].key);
        snprintf(fields[i].to, sizeof(c.gossip), "%s", text);
    }
    TRY_CTX(json_as_u64(json_get(result, "shred_version"), &version), "contactInfo: shred_version");
    if (version > UINT16_MAX)
        return err_new(ERR_REMOTE, "contactInfo: shred version %llu is not one",
                       (unsigned long long)version);
    c.shred_version = (uint16_t)version;
    *ret = c;
    return NULL;
}

struct err *admin_contact_info(struct ctx *ctx, const char *ledger, uint32_t timeout_ms,
                               struct admin_contact *ret)
{
    AUTO(json_freep) struct json *result = NULL, *error = NULL;
    AUTO(err_freep) struct err *e = NULL;

    TRY(ask(ctx, ledger, "contactInfo", timeout_ms, &result, &error));
    if (!error)
        return admin_parse_contact(result, ret);
    e = rpc_error_of(error);
    if (e->kind != ERR_REMOTE || e->remote != INVALID_CALL)
        return err_wrap(TAKE(e), "contactInfo at '%s/admin.rpc'", ledger);
    *ret = (struct admin_contact){.ready = false};
    return NULL;
}

struct err *admin_exit(struct ctx *ctx, const char *ledger, uint32_t timeout_ms)
{
    AUTO(json_freep) struct json *result = NULL;

    return ask_result(ctx, ledger, "exit", timeout_ms, &result);
}
