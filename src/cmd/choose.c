/* The choice of the config, and with it of the host or the lab. */
#include "cmd/choose.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "lab/lab.h"

static bool readable(const char *path)
{
    return access(path, F_OK) == 0;
}

static struct err *load_lab(struct config **ret)
{
    AUTO(config_freep) struct config *c = NULL;

    TRY(config_load(LAB_CONFIG, &c));
    if (geteuid() != 0)
        return err_new(ERR_REFUSED, "the lab can be entered by root only; run it with sudo");
    TRY_CTX(lab_enter(), "cannot enter the lab");
    *ret = TAKE(c);
    return NULL;
}

/* A path that the caller gave must lead to a config. */
static struct err *load_given(const char *path, const char *where, struct config **ret)
{
    struct err *e = config_load(path, ret);

    if (e && e->kind == ERR_NOTFOUND) {
        err_free(e);
        return err_new(ERR_BADINPUT, "no config at '%s' (given by %s)", path, where);
    }
    return e;
}

struct err *choose_config(const struct globals *g, bool needed, struct config **ret)
{
    const char *env = getenv("AGAVECTL_CONFIG");
    bool lab = readable(LAB_CONFIG);

    *ret = NULL;
    if (g->lab && g->no_lab)
        return err_new(ERR_BADINPUT, "--lab and --no-lab contradict each other");
    if (g->lab && g->config)
        return err_new(ERR_BADINPUT, "--lab and --config contradict each other");
    if (g->config)
        return load_given(g->config, "--config", ret);
    if (g->lab && !lab)
        return err_new(ERR_BADINPUT, "no lab is up; make one with 'agavectl lab up'");
    if (g->lab)
        return load_lab(ret);
    if (env && *env)
        return load_given(env, "AGAVECTL_CONFIG", ret);
    if (readable(CONFIG_ETC))
        return config_load(CONFIG_ETC, ret);
    if (lab && !g->no_lab) {
        log_note("agavectl: no config given: working on the lab (--no-lab for none)");
        return load_lab(ret);
    }
    if (!needed)
        return NULL;
    return err_new(ERR_BADINPUT, "no config: neither --config nor AGAVECTL_CONFIG is given and "
                                 "there is no '" CONFIG_ETC "'; begin with 'agavectl config "
                                 "example', or with 'agavectl lab up'");
}
