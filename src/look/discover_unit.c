/* A systemd unit that starts the validator: its command line and its user, as the next boot would
 * read them. A script in between is not read: what it does is only known when it runs. */
#include <stdlib.h>
#include <string.h>

#include "host/unit_file.h"
#include "io/fsroot.h"
#include "look/discover_args.h"
#include "look/discover_parts.h"

#define SCRIPT_B (256 << 10)
#define PASSWD_B (1 << 20)

static bool is_validator(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

    return str_eq(name, "agave-validator") || str_eq(name, "solana-validator");
}

/* Does it look like a script that starts one? */
static bool names_validator(struct asking *a, const char *path)
{
    AUTO(freep) char *text = NULL;
    struct err *e = *path == '/' ? fsroot_read(a->ctx->root, path, SCRIPT_B, &text, NULL)
                                 : err_new(ERR_NOTFOUND, "no path");

    err_free(e); /* what cannot be read cannot be said to start one */
    return text && str_starts(text, "#!") &&
           (strstr(text, "agave-validator") || strstr(text, "solana-validator"));
}

/* "name:x:uid:gid:…"; false: no such user in the host's own file. */
static bool ids_of(const char *passwd, const char *name, uint64_t *ret_uid, uint64_t *ret_gid)
{
    size_t n = strlen(name);

    for (const char *line = passwd; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        unsigned uid, gid;

        if (strncmp(line, name, n) != 0 || line[n] != ':' ||
            sscanf(line + n + 1, "%*[^:\n]:%u:%u:", &uid, &gid) != 2)
            continue;
        *ret_uid = uid;
        *ret_gid = gid;
        return true;
    }
    return false;
}

static struct err *found_user(struct asking *a, const struct unit_file *u)
{
    const char *user = unit_file_get(u, "Service", "User");
    AUTO(freep) char *origin = xasprintf("User= of %s", u->name);
    AUTO(freep) char *passwd = NULL;
    uint64_t uid = 0, gid = 0;

    if (!user || !*user) {
        found_number(a->d, "validator.uid", 0, u->name);
        found_number(a->d, "validator.gid", 0, u->name);
        return NULL;
    }
    TRY(fsroot_read(a->ctx->root, "/etc/passwd", PASSWD_B, &passwd, NULL));
    if (!ids_of(passwd, user, &uid, &gid)) {
        not_found(a->d, "validator.uid", "%s: no user '%s' in /etc/passwd", origin, user);
        return NULL;
    }
    found_number(a->d, "validator.uid", uid, origin);
    if (!unit_file_get(u, "Service", "Group"))
        found_number(a->d, "validator.gid", gid, origin);
    return NULL;
}

/* Is the validator that runs one of this unit's processes? */
static bool runs_in(const struct asking *a, const char *unit)
{
    AUTO(freep) char *end = xasprintf("/%s", unit);

    return a->cgroup && (str_ends(a->cgroup, end));
}

static struct err *take_unit(struct asking *a, const struct unit_file *u,
                             const struct strlist *words, bool direct)
{
    if (a->has_unit) {
        noted(a->d, "%s starts a validator as well; it was not looked at", u->name);
        return NULL;
    }
    a->has_unit = true;
    found_text(a->d, "validator.runtime", "systemd", u->path);
    found_text(a->d, "validator.unit", u->name, u->path);
    if (a->n_running && !runs_in(a, u->name))
        noted(a->d, "a validator runs, but not as a process of %s", u->name);
    else
        noted(a->d, "the unit is %s; its environment is not copied, since it may hold secrets",
              u->name);
    if (direct) {
        found_text(a->d, "validator.bin", words->items[0], u->name);
        found_args(a, u->name, NULL, words->items + 1);
    } else if (!a->n_running) {
        noted(a->d,
              "%s runs the script '%s': what it gives the validator is only known while that "
              "runs; start it and call again",
              u->name, words->items[0]);
    }
    return found_user(a, u);
}

static struct err *ask_unit(struct asking *a, const char *name)
{
    AUTO(unit_file_clear) struct unit_file u = {0};
    AUTO(strlist_clear) struct strlist words = {0};
    struct err *e = unit_file_load(a->ctx, name, &u);

    if (e && (e->kind == ERR_NOTFOUND || e->kind == ERR_CORRUPT)) {
        noted(a->d, "%s could not be read: %s", name, e->text);
        return err_free(e);
    }
    TRY(e);
    const char *start = unit_file_get(&u, "Service", "ExecStart");
    if (u.masked || !start)
        return NULL;
    unit_file_split(start + strspn(start, "@-:+!"), &words);
    if (!words.n)
        return NULL;
    bool direct = is_validator(words.items[0]);
    if ((direct && discover_args_runs(words.items + 1)) || names_validator(a, words.items[0]))
        return take_unit(a, &u, &words, direct);
    return NULL;
}

struct err *ask_units(struct asking *a)
{
    AUTO(strlist_clear) struct strlist names = {0};

    TRY(unit_files_local(a->ctx, &names));
    for (size_t i = 0; i < names.n; i++)
        TRY(ask_unit(a, names.items[i]));
    return NULL;
}
