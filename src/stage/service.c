/* Which systemd service is the validator's, from what lies on the disk and what runs. */
#include "stage/service.h"

#include "base/str.h"
#include "config/config.h"

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* "/system.slice/sol.service" → "sol.service"; NULL: a session, a container. To be freed. */
static char *service_of(const char *cgroup)
{
    const char *name = cgroup ? base_name(cgroup) : "";

    if (!str_ends(name, ".service") || str_starts(name, "user@") || strstr(cgroup, "kubepods") ||
        strstr(cgroup, "docker"))
        return NULL;
    return xstrdup(name);
}

static bool starts_it(const struct config *c, const struct unit_file *u)
{
    AUTO(strlist_clear) struct strlist words = {0};

    unit_file_words(u, "Service", "ExecStart", &words);
    for (size_t i = 0; i < words.n; i++) {
        const char *w = base_name(words.items[i]);

        if (str_eq(w, "agave-validator") || str_eq(w, base_name(c->validator.bin)))
            return true;
    }
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
        if (!e && !u.masked && starts_it(ctx->cfg, &u)) {
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
    AUTO(freep) char *name = !blind && pids->n ? service_of(pids->items[0].cgroup) : NULL;

    return name ? unit_file_load(ctx, name, ret) : find_local(ctx, ret);
}
