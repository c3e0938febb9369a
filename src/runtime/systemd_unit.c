/* What the manager tells about a service, as plain data. Nothing is decided here. */
#include "runtime/systemd_unit.h"

#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/fields.h"

#define CALL_MS 5000

static const struct field unit_fields[] = {
#define AT(member) offsetof(struct systemd_unit, member)
    {"Id", FIELD_STR, AT(id)},
    {"LoadState", FIELD_STR, AT(load)},
    {"ActiveState", FIELD_STR, AT(active)},
    {"SubState", FIELD_STR, AT(sub)},
    {"FragmentPath", FIELD_STR, AT(file)},
    {"InvocationID", FIELD_STR, AT(invocation)},
    {"NeedDaemonReload", FIELD_BOOL, AT(need_reload)},
};
static const struct field service_fields[] = {
    {"Type", FIELD_STR, AT(type)},
    {"Restart", FIELD_STR, AT(restart)},
    {"RemainAfterExit", FIELD_BOOL, AT(remain)},
    {"KillMode", FIELD_STR, AT(kill_mode)},
    {"KillSignal", FIELD_U64, AT(kill_signal)},
    {"SendSIGKILL", FIELD_BOOL, AT(send_sigkill)},
    {"TimeoutStopUSec", FIELD_U64, AT(stop_us)},
    {"ControlGroup", FIELD_STR, AT(cgroup)},
    {"MainPID", FIELD_U64, AT(main_pid)},
    {"ControlPID", FIELD_U64, AT(control_pid)},
    {"NRestarts", FIELD_U64, AT(restarts)},
    {"Result", FIELD_STR, AT(result)},
    {"ExecMainStartTimestamp", FIELD_U64, AT(started_us)},
    {"ExecMainCode", FIELD_U64, AT(main_code)},
    {"ExecMainStatus", FIELD_U64, AT(main_status)},
#undef AT
};

void systemd_unit_clear(struct systemd_unit *s)
{
    char **const texts[] = {&s->id,      &s->load,      &s->load_error, &s->active, &s->sub,
                            &s->result,  &s->file,      &s->invocation, &s->cgroup, &s->type,
                            &s->restart, &s->kill_mode, &s->program};
    struct strlist *const lists[] = {&s->dropins, &s->stops, &s->triggers, &s->upholders,
                                     &s->bound};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free(*texts[i]);
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        strlist_clear(lists[i]);
    *s = (struct systemd_unit){0};
}

static struct err *add_texts(const struct json *j, const char *name, struct strlist *ret)
{
    const struct json *list = NULL;
    const char *text;

    TRY(fields_list(j, name, &list));
    for (size_t i = 0; i < json_len(list); i++) {
        TRY_CTX(json_as_str(json_at(list, i), &text), "%s", name);
        strlist_add(ret, text);
    }
    return NULL;
}

/* Units other than mounts and targets, whose going is that of the machine. */
static struct err *add_bound(const struct json *j, struct strlist *ret)
{
    static const char *const names[] = {"BindsTo", "PartOf", "Requires"};
    static const char *const kinds[] = {".service", ".socket", ".scope"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO(strlist_clear) struct strlist all = {0};

        TRY(add_texts(j, names[i], &all));
        for (size_t k = 0; k < all.n; k++)
            for (size_t m = 0; m < ARRAY_LEN(kinds); m++)
                if (str_ends(all.items[k], kinds[m]))
                    strlist_addf(ret, "%s=%s", names[i], all.items[k]);
    }
    return NULL;
}

/* One of ExecStart's: path, words, flag, then when it ran and how it ended. */
static struct err *command_of(const struct json *j, const char **ret_path,
                              struct strlist *ret_words)
{
    const struct json *words = json_at(j, 1);
    const char *text;

    TRY(json_as_str(json_at(j, 0), ret_path));
    for (size_t i = 0; i < json_len(words); i++) {
        TRY(json_as_str(json_at(words, i), &text));
        strlist_add(ret_words, text);
    }
    return NULL;
}

static char *joined(const struct strlist *words)
{
    struct strbuf b = {0};

    for (size_t i = 0; i < words->n; i++)
        strbuf_printf(&b, "%s%s", i ? " " : "", words->items[i]);
    return strbuf_take(&b);
}

static struct err *read_commands(const struct json *j, struct systemd_unit *s)
{
    const struct json *starts = NULL, *stops = NULL;
    const char *path = "";

    TRY(fields_list(j, "ExecStart", &starts));
    TRY(fields_list(j, "ExecStop", &stops));
    if (json_len(starts)) {
        AUTO(strlist_clear) struct strlist words = {0};

        TRY_CTX(command_of(json_at(starts, 0), &path, &words), "ExecStart");
    }
    s->program = xstrdup(path);
    for (size_t i = 0; i < json_len(stops); i++) {
        AUTO(strlist_clear) struct strlist words = {0};

        TRY_CTX(command_of(json_at(stops, i), &path, &words), "ExecStop");
        AUTO(freep) char *line = joined(&words);
        strlist_add(&s->stops, line);
        s->stops_by_exit |= is_admin_exit(&words);
    }
    return NULL;
}

/* (number, object path). */
static struct err *read_job(const struct json *unit, struct systemd_unit *s)
{
    const struct json *job = NULL;

    TRY(fields_list(unit, "Job", &job));
    if (json_len(job))
        TRY_CTX(json_as_u64(json_at(job, 0), &s->job), "Job");
    return NULL;
}

/* (name, text); both empty when it could be loaded. */
static struct err *read_load_error(const struct json *unit, struct systemd_unit *s)
{
    const struct json *error = NULL;
    const char *text = "";

    TRY(fields_list(unit, "LoadError", &error));
    if (json_len(error) > 1)
        TRY_CTX(json_as_str(json_at(error, 1), &text), "LoadError");
    s->load_error = xstrdup(text);
    return NULL;
}

static void fill_missing(struct systemd_unit *s)
{
    char **const texts[] = {&s->id,     &s->load,    &s->active,     &s->sub,
                            &s->result, &s->file,    &s->invocation, &s->cgroup,
                            &s->type,   &s->restart, &s->kill_mode};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (!*texts[i])
            *texts[i] = xstrdup("");
    if (strspn(s->invocation, "0") == strlen(s->invocation))
        *s->invocation = '\0';
}

struct err *systemd_unit_parse(const struct json *unit, const struct json *service,
                               struct systemd_unit *ret)
{
    AUTO(systemd_unit_clear) struct systemd_unit s = {.send_sigkill = true};

    TRY(fields_read(unit, unit_fields, ARRAY_LEN(unit_fields), &s));
    TRY(fields_read(service, service_fields, ARRAY_LEN(service_fields), &s));
    TRY(add_texts(unit, "DropInPaths", &s.dropins));
    TRY(add_texts(unit, "TriggeredBy", &s.triggers));
    TRY(add_texts(unit, "UpheldBy", &s.upholders));
    TRY(add_bound(unit, &s.bound));
    TRY(read_load_error(unit, &s));
    TRY(read_job(unit, &s));
    TRY(read_commands(service, &s));
    if (!s.id || !s.load || !s.active || !s.sub)
        return err_remote(0, "systemd does not say what state the unit is in");
    fill_missing(&s);
    *ret = s;
    s = (struct systemd_unit){0};
    return NULL;
}

struct err *systemd_unit_read(struct sysbus *b, const char *name, struct systemd_unit *ret)
{
    AUTO(json_freep) struct json *unit = NULL;
    AUTO(json_freep) struct json *service = NULL;
    AUTO(freep) char *object = NULL;

    TRY_CTX(sysbus_call(b, "LoadUnit", (const char *const[]){name, NULL}, CALL_MS,
                        "look at the unit", &object),
            "'%s'", name);
    TRY(sysbus_properties(b, object, "org.freedesktop.systemd1.Unit", &unit));
    if (str_ends(name, ".service"))
        TRY(sysbus_properties(b, object, "org.freedesktop.systemd1.Service", &service));
    else
        service = json_new_object();
    TRY_CTX(systemd_unit_parse(unit, service, ret), "'%s'", name);
    return NULL;
}

char *systemd_unit_end(const struct systemd_unit *s)
{
    bool by_signal = s->main_code == CLD_KILLED || s->main_code == CLD_DUMPED;
    const char *signal = by_signal ? sigabbrev_np((int)s->main_status) : NULL;

    if (str_eq(s->result, "exit-code") || (str_eq(s->result, "success") && s->main_code))
        return by_signal ? xasprintf("signal %s", signal ? signal : "?")
                         : xasprintf("status %" PRIu64, s->main_status);
    if (by_signal && (str_eq(s->result, "signal") || str_eq(s->result, "core-dump")))
        return xasprintf("signal %s", signal ? signal : "?");
    return xstrdup(s->result);
}

bool systemd_unit_is_down(const struct systemd_unit *s)
{
    return str_eq(s->active, "inactive") || str_eq(s->active, "failed");
}

bool is_admin_exit(const struct strlist *words)
{
    bool force = strlist_has(words, "--force") || strlist_has(words, "-f");
    bool leaves = strlist_has(words, "--no-wait-for-exit");
    const char *slash = words->n ? strrchr(words->items[0], '/') : NULL;
    const char *program = slash ? slash + 1 : words->n ? words->items[0] : "";

    program += strspn(program, "-+!:@");
    if (str_eq(program, "agavectl"))
        return strlist_has(words, "stop");
    return strlist_has(words, "exit") && force && !leaves;
}
