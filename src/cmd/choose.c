/* The choice of the config, and with it of the host or the lab. */
#include "cmd/choose.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "io/fsroot.h"
#include "lab/lab.h"

#define CONFIG_MAX_B (1024 * 1024)

/* A place that cannot be looked at (EACCES) counts as there: opening it says what is wrong, and
 * working on something else instead without a word would be worse. */
static bool there(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
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

/* A path that the caller gave must lead to a config. The lab's own names devices and ports that are
 * right only within the lab, so it brings the lab with it. */
static struct err *load_given(const struct globals *g, const char *path, const char *where,
                              struct config **ret)
{
    if (!g->no_lab && same_file(path, LAB_CONFIG))
        return load_lab(ret);
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
    bool lab = there(LAB_CONFIG);

    *ret = NULL;
    if (g->lab && g->config)
        return err_new(ERR_BADINPUT, "'--lab' and '--config' exclude each other");
    if (g->config)
        return load_given(g, g->config, "--config", ret);
    if (g->lab && !lab)
        return err_new(ERR_BADINPUT, "no lab is up; make one with 'agavectl lab up'");
    if (g->lab)
        return load_lab(ret);
    if (env && *env)
        return load_given(g, env, "AGAVECTL_CONFIG", ret);
    if (there(CONFIG_ETC))
        return config_load(CONFIG_ETC, ret);
    /* A command that can do without does without where the lab is closed to it. */
    if (lab && !g->no_lab && (needed || geteuid() == 0)) {
        log_note("agavectl: no config given: working on the lab (--no-lab for none)");
        return load_lab(ret);
    }
    if (!needed)
        return NULL;
    return err_new(ERR_BADINPUT, "no config: neither --config nor AGAVECTL_CONFIG is given and "
                                 "there is no '" CONFIG_ETC "'; begin with 'agavectl config "
                                 "example', or with 'agavectl lab up'");
}

/* Read below the host's root: a link in the folder must not lead to a file of this machine. */
struct err *choose_captured(const struct globals *g, struct fsroot *host, bool needed,
                            struct config **ret)
{
    AUTO(freep) char *name = fsroot_path(host, CONFIG_ETC), *text = NULL;
    size_t n;

    *ret = NULL;
    if (g->lab)
        return err_new(ERR_BADINPUT, "a captured host has no lab; leave '--lab' out");
    if (g->config)
        return load_given(&(struct globals){.no_lab = true}, g->config, "--config", ret);
    struct err *e = fsroot_read(host, CONFIG_ETC, CONFIG_MAX_B, &text, &n);
    if (e && e->kind == ERR_NOTFOUND && !needed)
        return err_free(e);
    if (e && e->kind == ERR_NOTFOUND) {
        err_free(e);
        return err_new(ERR_BADINPUT, "no config: '%s' is not there; give one with --config", name);
    }
    TRY(e);
    return config_parse(text, n, name, ret);
}
