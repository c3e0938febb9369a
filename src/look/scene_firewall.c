/* The rules of the packet filter. There is no file of the kernel to read them from, so the two
 * programs that show them are run. Tables that iptables made show in nft's answer as well, without
 * what their extensions ask: those are taken from iptables-save instead. */
#include "look/scene_firewall.h"

#include <string.h>

#include "base/str.h"
#include "io/fsroot.h"
#include "io/proc.h"
#include "look/scene_parts.h"

#define OUT_MAX_B  (32U << 20)
#define FILE_MAX_B (16U << 20)
#define RUN_S      2

void firewall_clear(struct firewall *f)
{
    fw_clear(&f->fw);
    free(f->unknown);
    *f = (struct firewall){0};
}

/* ERR_ABSENT: there is no such program. */
static struct err *run(struct ctx *ctx, const char *const *argv, struct proc_result *ret)
{
    AUTO(freep) char *path = NULL;

    if (fsroot_captured(ctx->root))
        path = xstrdup(argv[0]);
    else
        TRY(proc_find(ctx, argv[0], &path));
    const struct proc_spec spec = {
        .path = path, .argv = argv, .out_max_b = OUT_MAX_B, .timeout_s = RUN_S};
    return ctx->proc->run(ctx, &spec, ret);
}

static bool absent(struct err **e)
{
    if (!*e || (*e)->kind != ERR_ABSENT)
        return false;
    *e = err_free(*e);
    return true;
}

static void blind(struct firewall *f, const char *program, const struct proc_result *r)
{
    AUTO(freep) char *line = xstrndup(r->err, strcspn(r->err, "\n"));
    AUTO(freep) char *shown = str_shown(line, 120);

    if (!f->unknown)
        f->unknown = xasprintf("%s: exit %d: %s", program, r->exit, shown);
}

static struct err *from_nft(struct ctx *ctx, struct firewall *f, bool *ret_ran)
{
    static const char *const argv[] = {"nft", "-j", "list", "ruleset", NULL};
    AUTO(proc_result_clear) struct proc_result r = {0};
    struct err *e = run(ctx, argv, &r);

    if (absent(&e))
        return NULL;
    TRY(e);
    *ret_ran = true;
    if (r.exit)
        blind(f, "nft", &r);
    else if (r.out_n) /* nothing: not even an empty set of rules was ever made */
        TRY_CTX(fw_parse_nft(r.out, r.out_n, &f->fw), "nft list ruleset");
    return NULL;
}

static struct err *from_iptables(struct ctx *ctx, struct firewall *f, bool *ret_ran)
{
    static const char *const argv[] = {"iptables-save", NULL};
    static const char *const tables[] = {"filter", "nat", "raw", "mangle"};
    AUTO(proc_result_clear) struct proc_result r = {0};
    struct err *e = run(ctx, argv, &r);

    if (absent(&e))
        return NULL;
    TRY(e);
    if (r.exit && *ret_ran)
        return NULL; /* nft has told it all */
    *ret_ran = true;
    if (r.exit)
        blind(f, "iptables-save", &r);
    fw_parse_save(r.out, &f->fw);
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        AUTO(freep) char *old = xasprintf("iptables %s", tables[i]);
        AUTO(freep) char *same = xasprintf("ip %s", tables[i]);

        if (fw_has_table(&f->fw, old))
            fw_forget(&f->fw, same);
    }
    return NULL;
}

/* ---- files --------------------------------------------------------------------------------------
 */

static struct err *maybe_read(struct ctx *ctx, const char *path, char **ret)
{
    struct err *e = fsroot_read(ctx->root, path, FILE_MAX_B, ret, NULL);

    return e && e->kind == ERR_NOTFOUND ? err_free(e) : e;
}

/* "NAME=value" or "NAME="value"" in a file of a shell. */
static bool says(const char *text, const char *name, const char *value)
{
    for (const char *c = text; c && *c; c += strcspn(c, "\n"), c += *c == '\n') {
        if (!str_starts(c, name) || c[strlen(name)] != '=')
            continue;
        const char *v = c + strlen(name) + 1;

        v += *v == '"';
        if (strncasecmp(v, value, strlen(value)) == 0)
            return true;
    }
    return false;
}

/* ufw: the rules of the user between rules of its own that let established flows in; what is left
 * is the default policy's. */
static struct err *from_ufw(struct ctx *ctx, struct firewall *f, bool *ret_found)
{
    AUTO(freep) char *conf = NULL;
    AUTO(freep) char *defaults = NULL;
    AUTO(freep) char *rules = NULL;

    TRY(maybe_read(ctx, "/etc/ufw/ufw.conf", &conf));
    if (!conf || !says(conf, "ENABLED", "yes"))
        return NULL;
    TRY(maybe_read(ctx, "/etc/default/ufw", &defaults));
    TRY(maybe_read(ctx, "/etc/ufw/user.rules", &rules));
    bool accepts = defaults && says(defaults, "DEFAULT_INPUT_POLICY", "ACCEPT");
    AUTO(freep)
    char *base =
        xasprintf("*filter\n:INPUT %s [0:0]\n-A INPUT -j ufw-user-input\n:ufw-user-input - "
                  "[0:0]\n",
                  accepts ? "ACCEPT" : "DROP");
    fw_parse_save(base, &f->fw);
    if (rules)
        fw_parse_save(rules, &f->fw);
    f->source = "/etc/ufw";
    *ret_found = true;
    return NULL;
}

/* nft's own language is not read: where it has an input chain, nothing can be said. */
static struct err *from_nft_conf(struct ctx *ctx, struct firewall *f, bool *ret_found)
{
    AUTO(freep) char *text = NULL;

    TRY(maybe_read(ctx, "/etc/nftables.conf", &text));
    if (!text || (!strstr(text, "hook input") && !strstr(text, "dnat") && !strstr(text, "include")))
        return NULL;
    f->source = "/etc/nftables.conf";
    f->unknown = xstrdup("'/etc/nftables.conf' has rules, and no nft is here to show them");
    *ret_found = true;
    return NULL;
}

struct err *firewall_persistent(struct ctx *ctx, struct firewall *ret)
{
    AUTO(freep) char *saved = NULL;
    bool found = false;

    ret->source = "the files that are loaded at boot";
    TRY(from_ufw(ctx, ret, &found));
    TRY(maybe_read(ctx, "/etc/iptables/rules.v4", &saved));
    if (saved && !found) {
        fw_parse_save(saved, &ret->fw);
        ret->source = "/etc/iptables/rules.v4";
        found = true;
    }
    return found ? NULL : from_nft_conf(ctx, ret, &found);
}

/* ---- the fact -----------------------------------------------------------------------------------
 */

static struct err *gather(struct ctx *ctx, struct scene *s)
{
    struct firewall *f = &s->firewall;
    bool ran = false;

    TRY(from_nft(ctx, f, &ran));
    TRY(from_iptables(ctx, f, &ran));
    f->live = ran;
    f->source = "nft list ruleset and iptables-save";
    return ran ? NULL : firewall_persistent(ctx, f);
}

void scene_clear_firewall(struct scene *s)
{
    firewall_clear(&s->firewall);
    err_free(s->firewall_asked.err);
}

struct err *scene_firewall(struct ctx *ctx, struct scene *s, const struct firewall **ret)
{
    TRY(scene_once(ctx, s, &s->firewall_asked, gather));
    *ret = &s->firewall;
    return NULL;
}
