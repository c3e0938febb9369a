/* What systemd would do to the validator by itself. A stop that Agave survives is its own exit over
 * the admin socket: it has no signal handler (agave-validator 3.0.14), so SIGTERM ends it in
 * mid-write, and SIGKILL may leave threads in the kernel that never end. The unit is found by the
 * control group of the process, or by what the administrator's units start. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "config/config.h"
#include "host/unit_file.h"
#include "runtime/systemd_unit.h"
#include "stage/service.h"
#include "stage/unit_parts.h"

#define SERVICE        "Service"
#define DEFAULT_STOP_S 90 /* DefaultTimeoutStopSec, systemd-system.conf(5) */

/* systemd.time(7): "5min 20s", "600", "infinity"; UINT64_MAX for infinity. False: cannot be read.
 */
static bool parse_span(const char *text, uint64_t *ret_ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {
        {"ms", 1},          {"msec", 1},        {"s", 1000},     {"sec", 1000},
        {"second", 1000},   {"seconds", 1000},  {"m", 60000},    {"min", 60000},
        {"minute", 60000},  {"minutes", 60000}, {"h", 3600000},  {"hr", 3600000},
        {"hour", 3600000},  {"hours", 3600000}, {"d", 86400000}, {"day", 86400000},
        {"days", 86400000}, {"w", 604800000},   {"us", 0},       {"", 1000},
    };
    uint64_t sum = 0;

    if (str_eq(text, "infinity")) {
        *ret_ms = UINT64_MAX;
        return true;
    }
    for (const char *c = text + strspn(text, " "); *c; c += strspn(c, " ")) {
        AUTO(freep) char *number = xstrndup(c, strspn(c, "0123456789"));
        uint64_t n = 0, part = 0;
        size_t u = 0;

        c += strlen(number);
        c += strspn(c, " ");
        AUTO(freep) char *unit = xstrndup(c, strspn(c, "abcdefghijklmnopqrstuvwxyz"));
        c += strlen(unit);
        while (u < ARRAY_LEN(units) && !str_eq(units[u].unit, unit))
            u++;
        AUTO(err_freep) struct err *e = parse_u64(number, 0, UINT32_MAX, &n);
        if (e || u == ARRAY_LEN(units) || __builtin_mul_overflow(n, units[u].ms, &part) ||
            __builtin_add_overflow(sum, part, &sum))
            return false;
    }
    *ret_ms = sum;
    return *text != '\0';
}

/* "'/etc/systemd/system/sol.service' and its drop-ins"; to be freed. */
static char *source_of(const struct unit_file *u)
{
    return xasprintf("%s%s", *u->path ? u->path : u->name, u->dropins ? " and its drop-ins" : "");
}

static void add(const struct unit_file *u, struct findings *ret, const char *id, enum severity sev,
                const char *want, const char *got, const char *what)
{
    AUTO(freep) char *source = source_of(u);
    AUTO(freep) char *shown = str_shown(got, 200);

    finding_compare(findings_add(ret, id, 5, sev, "%s: %s", u->name, what), want, shown, source);
}

static void check_restart(const struct unit_file *u, struct findings *ret)
{
    const char *restart = unit_file_get(u, SERVICE, "Restart");

    if (!restart || !*restart || str_eq(restart, "no"))
        return;
    bool after_stop = str_eq(restart, "always") || str_eq(restart, "on-success");
    add(u, ret, "unit.restart", after_stop ? SEV_WARN : SEV_NOTE, "no", restart,
        after_stop
            ? "systemd starts it again after every clean exit, so that a stop is undone: set "
              "Restart=no or on-failure"
            : "systemd starts it again after a crash, whatever its snapshots are");
}

static void check_stop(const struct unit_file *u, struct findings *ret)
{
    AUTO(strlist_clear) struct strlist stops = {0};
    const char *mode = unit_file_get(u, SERVICE, "KillMode");
    const char *signal = unit_file_get(u, SERVICE, "KillSignal");

    unit_file_all(u, SERVICE, "ExecStop", &stops);
    for (size_t i = 0; i < stops.n; i++) {
        AUTO(strlist_clear) struct strlist words = {0};

        unit_file_split(stops.items[i], &words);
        if (is_admin_exit(&words))
            return;
    }
    if (str_eq(mode, "none"))
        return;
    add(u, ret, "unit.execstop", SEV_WARN, "agave-validator --ledger LEDGER exit --force",
        stops.n  ? stops.items[0]
        : signal ? signal
                 : "SIGTERM",
        stops.n ? "its ExecStop is not an exit over the admin socket that is waited for: systemd "
                  "then ends it by a signal, in mid-write; put 'agave-validator --ledger LEDGER "
                  "exit --force' there"
                : "it has no ExecStop: systemctl stop and a shutdown end it by a signal, in "
                  "mid-write; add ExecStop= with 'agave-validator --ledger LEDGER exit --force'");
}

/* The first that is set of the two; both is rare and the later one would count. */
static const char *stop_timeout(const struct unit_file *u)
{
    const char *v = unit_file_get(u, SERVICE, "TimeoutStopSec");

    return v && *v ? v : unit_file_get(u, SERVICE, "TimeoutSec");
}

static void check_timeout(const struct unit_look *l, const struct unit_file *u,
                          struct findings *ret)
{
    uint64_t ladder_s = l->ctx->cfg->stop.ladder_s, ms = DEFAULT_STOP_S * 1000;
    const char *text = stop_timeout(u);
    AUTO(freep) char *want = xasprintf("at least %" PRIu64 " s (stop.ladder_s)", ladder_s);

    if (!unit_file_bool(u, SERVICE, "SendSIGKILL", true))
        return;
    if (text && *text && !parse_span(text, &ms)) {
        add(u, ret, "unit.stoptimeout", SEV_UNKNOWN, want, text,
            "its TimeoutStopSec cannot be read");
        return;
    }
    if (ms == 0 || ms / 1000 >= ladder_s) /* 0: no limit, systemd.service(5) */
        return;
    add(u, ret, "unit.stoptimeout", SEV_FAIL, want,
        text && *text ? text : "90 s (systemd's default)",
        "systemd kills it before a stop can be complete: raise TimeoutStopSec");
}

static bool is_set(const struct unit_file *u, const char *key, const char **ret)
{
    uint64_t ms = 1;
    const char *v = unit_file_get(u, SERVICE, key);

    *ret = v;
    return v && *v && !str_eq(v, "infinity") && !(parse_span(v, &ms) && ms == 0);
}

static void check_limits(const struct unit_file *u, struct findings *ret)
{
    const char *v;

    if (is_set(u, "RuntimeMaxSec", &v))
        add(u, ret, "unit.runtimemax", SEV_FAIL, "infinity", v,
            "systemd ends it when it has run for so long: remove RuntimeMaxSec");
    if (is_set(u, "WatchdogSec", &v))
        add(u, ret, "unit.watchdog", SEV_FAIL, "0", v,
            "the validator never tells systemd's watchdog that it lives, and is killed for it: "
            "remove WatchdogSec");
    v = unit_file_get(u, SERVICE, "OOMPolicy");
    if (str_eq(v, "kill"))
        add(u, ret, "unit.oompolicy", SEV_WARN, "continue", v,
            "one process of the unit killed for memory takes all others with it: set "
            "OOMPolicy=continue");
    if (is_set(u, "MemoryMax", &v) || is_set(u, "MemoryLimit", &v))
        add(u, ret, "unit.memorymax", SEV_WARN, "infinity", v,
            "the kernel kills it at this limit, and its RAM disk's pages may count: remove it or "
            "leave room");
}

/* Units whose end is its end. Requires= of a mount is meant: it cannot run without. */
static void check_bound(const struct unit_file *u, struct findings *ret)
{
    static const char *const keys[] = {"BindsTo", "PartOf", "Requires"};

    for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
        AUTO(strlist_clear) struct strlist words = {0};

        unit_file_words(u, "Unit", keys[k], &words);
        for (size_t i = 0; i < words.n; i++) {
            if (!str_ends(words.items[i], ".service") && !str_ends(words.items[i], ".socket"))
                continue;
            AUTO(freep) char *got = xasprintf("%s=%s", keys[k], words.items[i]);
            add(u, ret, "unit.bound", SEV_WARN, "Wants=", got,
                "when that unit is stopped or restarted, systemd stops the validator as well: use "
                "Wants= and After=");
        }
    }
}

static struct err *check_unit(const struct unit_look *l, const char *name, struct findings *ret)
{
    AUTO(unit_file_clear) struct unit_file u = {0};
    struct err *e = unit_file_load(l->ctx, name, &u);
    size_t before = ret->n;

    if (e && e->kind == ERR_NOTFOUND) { /* made by systemd-run, or removed since */
        findings_add(ret, "unit.systemd", 5, SEV_UNKNOWN,
                     "the validator runs in '%s', whose unit file is not there: what systemd may "
                     "do to it is not known",
                     name);
        return err_free(e);
    }
    TRY(e);
    check_restart(&u, ret);
    check_stop(&u, ret);
    check_timeout(l, &u, ret);
    check_limits(&u, ret);
    check_bound(&u, ret);
    if (ret->n == before)
        findings_add(ret, "unit.systemd", 5, SEV_OK, "%s lets the validator run and stop in peace",
                     u.name);
    return NULL;
}

/* Would it start the validator by itself, or is it the way that the config wants? */
static struct err *matters(const struct unit_look *l, const char *name, bool *ret)
{
    AUTO(strlist_clear) struct strlist wanted = {0};
    AUTO(unit_file_clear) struct unit_file u = {0};
    struct err *e = unit_file_load(l->ctx, name, &u);

    *ret = false;
    if (e && e->kind != ERR_SYS)
        return err_free(e); /* not a unit that systemd could start */
    TRY(e);
    bool systemd = str_eq(l->ctx->cfg->validator.runtime, "systemd");
    bool named = systemd && str_eq(name, l->ctx->cfg->validator.unit);
    if (u.masked || !(named || service_starts_it(l->ctx->cfg, &u)))
        return NULL;
    TRY(unit_file_wanted_by(l->ctx, name, &wanted));
    *ret = wanted.n || systemd;
    return NULL;
}

static struct err *check_local_units(const struct unit_look *l, const char *seen,
                                     struct findings *ret)
{
    AUTO(strlist_clear) struct strlist names = {0};

    TRY(unit_files_local(l->ctx, &names));
    for (size_t i = 0; i < names.n; i++) {
        bool yes = false;

        if (str_eq(names.items[i], seen) || strchr(names.items[i], '@'))
            continue; /* a template starts nothing */
        TRY(matters(l, names.items[i], &yes));
        if (yes)
            TRY(check_unit(l, names.items[i], ret));
    }
    return NULL;
}

struct err *unit_check_service(const struct unit_look *l, struct findings *ret)
{
    AUTO(freep) char *unit = l->main ? service_of_cgroup(l->main->cgroup) : NULL;

    if (unit)
        TRY(check_unit(l, unit, ret));
    return check_local_units(l, unit, ret);
}
