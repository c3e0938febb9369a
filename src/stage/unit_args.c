/* Is what runs the validator that the config means? Its user, its program, and the flags that the
 * config has keys for. Paths are compared as places (file system and folder in it), since a pod
 * names the same ledger by another path. Only what contradicts is told: a value, never more of the
 * command line, which may hold anything. */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "base/str.h"
#include "config/config.h"
#include "io/fsroot.h"
#include "look/discover_args.h"
#include "stage/unit_parts.h"

/* Flags of agave-validator 3.0.14 (commands/run/args.rs) that have a key of their own. */
enum flag_kind { FLAG_PATH, FLAG_TEXT, FLAG_NUMBER };
static const struct {
    const char *flag, *short_flag, *key;
    enum flag_kind kind;
    bool must; /* not given is another value than the config's */
    size_t offset;
} flags[] = {
#define AT(member) offsetof(struct config, member)
    {"--ledger", "-l", "validator.ledger", FLAG_PATH, true, AT(validator.ledger)},
    {"--identity", "-i", "validator.identity", FLAG_PATH, true, AT(validator.identity)},
    {"--accounts", NULL, "validator.accounts", FLAG_PATH, true, AT(validator.accounts)},
    {"--snapshots", NULL, "validator.snapshots", FLAG_PATH, true, AT(validator.snapshots)},
    {"--log", "-o", "validator.log", FLAG_PATH, true, AT(validator.log)},
    {"--rpc-port", NULL, "validator.rpc_port", FLAG_NUMBER, true, AT(validator.rpc_port)},
    {"--gossip-port", NULL, "validator.gossip_port", FLAG_NUMBER, true, AT(validator.gossip_port)},
    {"--dynamic-port-range", NULL, "validator.dynamic_port_range", FLAG_TEXT, true,
     AT(validator.dynamic_port_range)},
    {"--rpc-bind-address", NULL, "validator.rpc_bind_address", FLAG_TEXT, false,
     AT(validator.rpc_bind_address)},
    {"--bind-address", NULL, "validator.bind_address", FLAG_TEXT, false,
     AT(validator.bind_address)},
    {"--expected-genesis-hash", NULL, "validator.genesis_hash", FLAG_TEXT, false,
     AT(validator.genesis_hash)},
#undef AT
};

static bool among(const struct pids *all, pid_t pid)
{
    for (size_t i = 0; i < all->n; i++)
        if (all->items[i].id.pid == pid)
            return true;
    return false;
}

/* Another validator takes ports, memory and perhaps the identity of ours. */
static struct err *check_strangers(const struct unit_look *l, struct findings *ret)
{
    AUTO(pids_clear) struct pids found = {0};
    const char *bin = unit_base_name(l->ctx->cfg->validator.bin);
    struct pids_match m = {.name = bin};

    TRY(pids_find(l->ctx, &m, &found));
    for (size_t i = 0; i < found.n; i++) {
        const struct pid_info *p = &found.items[i];
        size_t at = 0;

        if (among(l->pids, p->id.pid) || !p->argv[0] || !discover_args_runs(p->argv + 1))
            continue;
        const char *ledger = unit_arg_next(p, "--ledger", "-l", &at);
        AUTO(freep) char *shown = str_shown(ledger ? ledger : "not named", 200);
        AUTO(freep) char *comm = str_shown(p->comm, 64);
        finding_compare(
            findings_add(ret, "unit.stranger", 5, SEV_WARN,
                         "process %d (%s) is another validator, not on this config's ledger: name "
                         "its ledger in the config, or end it by 'agave-validator --ledger "
                         "ITS_LEDGER exit --force'",
                         p->id.pid, comm),
            l->ctx->cfg->validator.ledger, shown, "/proc");
    }
    return NULL;
}

/* The same file or folder, each named in its own view? theirs is not resolved: links in a container
 * cannot be followed from here. */
static struct err *same_place(const struct unit_look *l, const char *theirs, const char *ours,
                              bool *ret)
{
    AUTO(freep) char *real = NULL;

    *ret = str_eq(theirs, ours);
    if (*ret && (l->own_view || l->blind))
        return NULL;
    TRY(err_copy(l->blind));
    TRY(fsroot_real(l->ctx->root, ours, &real));
    if (l->own_view) {
        AUTO(freep) char *their_real = NULL;

        TRY(fsroot_real(l->ctx->root, theirs, &their_real));
        *ret = str_eq(real, their_real);
        return NULL;
    }
    const struct mount_info *a = mounts_over(&l->view, theirs);
    const struct mount_info *b = mounts_over(l->host, real);
    if (!a || !b)
        return err_new(ERR_CORRUPT, "the table of mounts has no root");
    AUTO(freep) char *inner_a = mount_inner_path(a, theirs);
    AUTO(freep) char *inner_b = mount_inner_path(b, real);
    *ret = a->major == b->major && a->minor == b->minor && str_eq(inner_a, inner_b);
    return NULL;
}

/* What the config has for a flag, as the command line would say it; "" for nothing. To be freed. */
static char *configured(const struct config *c, size_t i)
{
    const void *at = (const char *)c + flags[i].offset;

    if (flags[i].kind == FLAG_NUMBER)
        return xasprintf("%" PRIu64, *(const uint64_t *)at);
    return xstrdup(*(char *const *)at);
}

static struct err *agrees(const struct unit_look *l, size_t i, const char *got, const char *want,
                          bool *ret)
{
    *ret = false;
    if (!got)
        return NULL;
    if (flags[i].kind == FLAG_PATH && got[0] == '/')
        return same_place(l, got, want, ret);
    *ret = str_eq(got, want);
    return NULL;
}

static struct err *check_flag(const struct unit_look *l, size_t i, struct findings *ret)
{
    AUTO(freep) char *want = configured(l->ctx->cfg, i);
    size_t at = 0;
    bool same = false;
    const char *got = NULL;

    /* The last one counts, except of --accounts, which may be given several times. */
    for (const char *v = unit_arg_next(l->main, flags[i].flag, flags[i].short_flag, &at); v;
         v = unit_arg_next(l->main, flags[i].flag, flags[i].short_flag, &at))
        got = v;
    if (!*want || (!got && !flags[i].must))
        return NULL;
    TRY(agrees(l, i, got, want, &same));
    if (same)
        return NULL;
    AUTO(freep) char *shown = str_shown(got ? got : "not given", 200);
    finding_compare(findings_add(ret, "unit.flags", 5, SEV_WARN,
                                 "the running validator has another '%s' than %s: put the config "
                                 "right, or stop it and start it from the config",
                                 flags[i].flag, flags[i].key),
                    want, shown, "/proc/PID/cmdline");
    return NULL;
}

static void check_voting(const struct unit_look *l, struct findings *ret)
{
    bool wants = l->ctx->cfg->validator.voting, votes = true;

    for (char **a = l->main->argv; *a; a++)
        votes &= !str_eq(*a, "--no-voting");
    if (votes == wants)
        return;
    finding_compare(findings_add(ret, "unit.flags", 5, SEV_WARN,
                                 "the running validator %s, and validator.voting says %s: put the "
                                 "config right, or stop it and start it from the config",
                                 votes ? "votes" : "does not vote", wants ? "true" : "false"),
                    wants ? "voting" : "--no-voting", votes ? "voting" : "--no-voting",
                    "/proc/PID/cmdline");
}

static struct err *check_flags(const struct unit_look *l, struct findings *ret)
{
    size_t before = ret->n;

    if (!l->main->argv[0]) {
        findings_add(ret, "unit.flags", 5, SEV_UNKNOWN,
                     "process %d has given up its memory (it is on its way out): its command line "
                     "is gone",
                     l->main->id.pid);
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        TRY(check_flag(l, i, ret));
    check_voting(l, ret);
    if (ret->n == before)
        findings_add(ret, "unit.flags", 5, SEV_OK, "its command line is the config's");
    return NULL;
}

static void check_user(const struct unit_look *l, struct findings *ret)
{
    uint64_t want = l->ctx->cfg->validator.uid;
    bool ok = l->main->uid == want;
    AUTO(freep) char *wanted = xasprintf("%" PRIu64, want);
    AUTO(freep) char *got = xasprintf("%u", l->main->uid);

    finding_compare(findings_add(ret, "unit.uid", 5, ok ? SEV_OK : SEV_WARN, "it runs as user %u%s",
                                 l->main->uid,
                                 ok ? ""
                                    : ": what it writes will not belong to validator.uid; put the "
                                      "config or its unit right"),
                    wanted, got, "/proc/PID/status");
}

/* A program that was replaced runs on; the next start is another version. */
static void check_program(const struct unit_look *l, struct findings *ret)
{
    if (!l->main->exe)
        return;
    bool deleted = str_ends(l->main->exe, " (deleted)");
    AUTO(freep) char *exe = str_shown(l->main->exe, 300);
    findings_add(ret, "unit.program", 5, deleted ? SEV_NOTE : SEV_OK, "its program is '%s'%s", exe,
                 deleted ? ": replaced or removed since, the next start runs what is there now"
                         : "");
}

struct err *unit_check_args(const struct unit_look *l, struct findings *ret)
{
    TRY(check_strangers(l, ret));
    if (!l->main)
        return NULL;
    check_user(l, ret);
    check_program(l, ret);
    return check_flags(l, ret);
}
