/* Who ends the validator by the clock: cron (crontab(5)) and the administrator's systemd timers.
 * Only where, when and by which words is told: a command line may hold a secret. */
#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "host/unit_file.h"
#include "io/fsroot.h"
#include "stage/unit_danger.h"
#include "stage/unit_parts.h"

#define CRONTAB_MAX_B (1U << 20)

/* Past the schedule: five fields, or "@daily". *ret_n: its length. NULL: no entry. */
static const char *after_schedule(const char *line, size_t *ret_n)
{
    const char *c = line;
    int fields = *line == '@' ? 1 : 5;

    for (int i = 0; i < fields; i++) {
        size_t n = strcspn(c, " \t");

        if (n == 0)
            return NULL;
        *ret_n = (size_t)(c - line) + n;
        c += n;
        c += strspn(c, " \t");
    }
    return *c ? c : NULL;
}

static bool is_entry(const char *line)
{
    return *line == '@' || *line == '*' || isdigit((unsigned char)*line);
}

static void check_line(const struct unit_look *l, const char *file, size_t number, const char *line,
                       bool has_user, struct findings *ret)
{
    size_t n = 0;
    const char *command = is_entry(line) ? after_schedule(line, &n) : NULL;

    if (command && has_user) {
        command += strcspn(command, " \t");
        command += strspn(command, " \t");
    }
    AUTO(freep) char *found = command ? danger_of(l->ctx, command) : NULL;
    if (!found)
        return;
    AUTO(freep) char *schedule = xstrndup(line, n);
    AUTO(freep) char *shown = str_shown(schedule, 40);
    AUTO(freep) char *source = xasprintf("%s:%zu", file, number);
    finding_compare(findings_add(ret, "unit.cron", 5, SEV_FAIL,
                                 "cron ends it at '%s' (%s): remove that line of '%s'", shown,
                                 found, file),
                    NULL, found, source);
}

static void check_crontab(const struct unit_look *l, const char *file, const char *text,
                          bool has_user, struct findings *ret)
{
    size_t number = 1;

    for (const char *c = text; *c; c += strcspn(c, "\n"), c += *c == '\n', number++) {
        AUTO(freep) char *line = xstrndup(c, strcspn(c, "\n"));

        check_line(l, file, number, line + strspn(line, " \t"), has_user, ret);
    }
}

/* Absent is fine; anything else that cannot be read is told as its own finding, since the other
 * places are still worth a look. */
static void unreadable(struct err *e, const char *path, struct findings *ret)
{
    if (e && e->kind != ERR_NOTFOUND)
        findings_add(ret, "unit.cron", 5, SEV_UNKNOWN, "could not look into '%s': %s", path,
                     e->text);
    err_free(e);
}

static void check_file(const struct unit_look *l, const char *path, bool has_user,
                       struct findings *ret)
{
    AUTO(freep) char *text = NULL;
    struct err *e = fsroot_read(l->ctx->root, path, CRONTAB_MAX_B, &text, NULL);

    if (!e)
        check_crontab(l, path, text, has_user, ret);
    unreadable(e, path, ret);
}

/* A script that cron runs once an hour, a day … */
static void check_script(const struct unit_look *l, const char *path, const char *folder,
                         struct findings *ret)
{
    AUTO(freep) char *found = danger_of(l->ctx, path);

    if (found)
        finding_compare(findings_add(ret, "unit.cron", 5, SEV_FAIL,
                                     "cron runs '%s' (%s), which ends it: remove or change it",
                                     path, folder + strlen("/etc/cron.")),
                        NULL, found, path);
}

static void check_folder(const struct unit_look *l, const char *folder, bool scripts, bool has_user,
                         struct findings *ret)
{
    AUTO(strlist_clear) struct strlist names = {0};
    struct err *e = fsroot_list(l->ctx->root, folder, &names);

    for (size_t i = 0; !e && i < names.n; i++) {
        AUTO(freep) char *path = xasprintf("%s/%s", folder, names.items[i]);

        if (str_starts(names.items[i], ".")) /* cron passes over these */
            continue;
        if (scripts)
            check_script(l, path, folder, ret);
        else
            check_file(l, path, has_user, ret);
    }
    unreadable(e, folder, ret);
}

struct err *unit_check_cron(const struct unit_look *l, struct findings *ret)
{
    static const char *const periodic[] = {"/etc/cron.hourly", "/etc/cron.daily",
                                           "/etc/cron.weekly", "/etc/cron.monthly"};
    size_t before = ret->n;

    check_file(l, "/etc/crontab", true, ret);
    check_folder(l, "/etc/cron.d", false, true, ret);
    check_folder(l, "/var/spool/cron/crontabs", false, false, ret);
    for (size_t i = 0; i < ARRAY_LEN(periodic); i++)
        check_folder(l, periodic[i], true, false, ret);
    if (ret->n == before)
        findings_add(ret, "unit.cron", 5, SEV_OK, "cron leaves it alone");
    return NULL;
}

/* What a timer starts. */
static struct err *check_timer(const struct unit_look *l, const char *name, struct findings *ret)
{
    AUTO(unit_file_clear) struct unit_file timer = {0}, service = {0};
    AUTO(strlist_clear) struct strlist wanted = {0}, starts = {0};

    TRY(unit_file_load(l->ctx, name, &timer));
    TRY(unit_file_wanted_by(l->ctx, name, &wanted));
    if (timer.masked || !wanted.n)
        return NULL;
    const char *unit = unit_file_get(&timer, "Timer", "Unit");
    AUTO(freep)
    char *target = unit && *unit
                       ? xstrdup(unit)
                       : xasprintf("%.*s.service", (int)(strlen(name) - strlen(".timer")), name);
    TRY(unit_file_load(l->ctx, target, &service));
    unit_file_all(&service, "Service", "ExecStart", &starts);
    for (size_t i = 0; i < starts.n; i++) {
        AUTO(freep) char *found = danger_of(l->ctx, starts.items[i]);

        if (found)
            finding_compare(findings_add(ret, "unit.timers", 5, SEV_FAIL,
                                         "the timer %s ends it (%s): 'systemctl disable --now %s'",
                                         name, found, name),
                            NULL, found, service.path);
    }
    return NULL;
}

/* Timers of packages (apt-daily …) are looked at where their settings are. */
static struct err *check_timers_in(const struct unit_look *l, const char *folder,
                                   struct strlist *seen, struct findings *ret)
{
    AUTO(strlist_clear) struct strlist names = {0};
    struct err *e = fsroot_list(l->ctx->root, folder, &names);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    for (size_t i = 0; i < names.n; i++) {
        if (!str_ends(names.items[i], ".timer") || strlist_has(seen, names.items[i]))
            continue;
        strlist_add(seen, names.items[i]);
        e = check_timer(l, names.items[i], ret);
        if (e && e->kind == ERR_SYS)
            return e;
        err_free(e); /* a timer of nothing */
    }
    return NULL;
}

struct err *unit_check_timers(const struct unit_look *l, struct findings *ret)
{
    static const char *const folders[] = {"/etc/systemd/system", "/run/systemd/system",
                                          "/usr/local/lib/systemd/system"};
    AUTO(strlist_clear) struct strlist seen = {0};
    size_t before = ret->n;

    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        TRY(check_timers_in(l, folders[i], &seen, ret));
    if (ret->n == before)
        findings_add(ret, "unit.timers", 5, SEV_OK, "no timer of this host ends it");
    return NULL;
}
