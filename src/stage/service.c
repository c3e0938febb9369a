/* Which systemd service is the validator's, from what lies on the disk and what runs. */
#include "stage/service.h"

#include <string.h>

#include "base/str.h"
#include "config/config.h"

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* One command line: its program, on this ledger or on none that is told (a script of its own). */
static bool line_starts(const struct config *c, const char *line)
{
    AUTO(strlist_clear) struct strlist words = {0};
    bool named = false;

    unit_file_split(line, &words);
    for (size_t i = 0; i < words.n; i++) {
        const char *w = base_name(words.items[i]);

        named |= str_eq(w, "agave-validator") || str_eq(w, base_name(c->validator.bin));
    }
    return named && (strlist_has(&words, c->validator.ledger) || !strlist_has(&words, "--ledger"));
}

bool service_starts_it(const struct config *c, const struct unit_file *u)
{
    AUTO(strlist_clear) struct strlist starts = {0};

    unit_file_all(u, "Service", "ExecStart", &starts);
    for (size_t i = 0; i < starts.n; i++)
        if (line_starts(c, starts.items[i]))
            return true;
    return false;
}

static struct err *find_local(struct ctx *ctx, struct unit_file *ret)
{
    AUTO(strlist_clear) struct strlist names = {0};

    TRY(unit_files_local(ctx, &names));
    for (size_t i = 0; i < names.n; i++) {
        AUTO(unit_file_clear) struct unit_file u = {0};
        struct err *e = unit_file_load(ctx, names.items[i], &u);

        if (e && e->kind == ERR_SYS)
            return e;
        if (!e && !u.masked && service_starts_it(ctx->cfg, &u)) {
            *ret = u;
            u = (struct unit_file){0};
            return NULL;
        }
        err_free(e); /* not a unit that systemd could start */
    }
    return err_new(ERR_NOTFOUND, "no systemd service starts '%s'", ctx->cfg->validator.bin);
}

struct err *service_find(struct ctx *ctx, struct scene *scene, struct unit_file *ret)
{
    const struct pids *pids = NULL;
    AUTO(err_freep) struct err *blind = scene_validator(ctx, scene, &pids);
    AUTO(freep) char *name = !blind && pids->n ? service_of_cgroup(pids->items[0].cgroup) : NULL;

    if (name)
        return unit_file_load(ctx, name, ret);
    if (str_eq(ctx->cfg->validator.runtime, "systemd")) {
        struct err *e = unit_file_load(ctx, ctx->cfg->validator.unit, ret);

        if (!e || e->kind != ERR_NOTFOUND)
            return e;
        err_free(e); /* one that starts it under another name is worth looking at */
    }
    return find_local(ctx, ret);
}
