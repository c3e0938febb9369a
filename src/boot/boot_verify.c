/* agavectl boot check: systemd-analyze verify on the units of the boot. */
#include "boot/boot_verify.h"

#include <string.h>

#include "base/str.h"
#include "config/config.h"
#include "host/unit_file.h"
#include "io/proc.h"

#define LAYER     4
#define ID        "boot.verify"
#define PROGRAM   "/usr/bin/systemd-analyze"
#define TIMEOUT_S 60
#define OWN       "agavectl-"

bool boot_verify_read(const char *text, struct findings *ret)
{
    bool any = false;

    while (*text) {
        size_t n = strcspn(text, "\n");
        AUTO(freep) char *raw = xstrndup(text, n);
        AUTO(freep) char *line = str_shown(raw, 300);
        bool cycle = strstr(line, "ordering cycle") != NULL;

        if (cycle || strstr(line, OWN)) {
            findings_add(ret, ID, LAYER, cycle ? SEV_FAIL : SEV_WARN, "systemd-analyze says: %s",
                         line);
            any = true;
        }
        text += n + (text[n] == '\n');
    }
    return any;
}

/* Any unit's fault makes it exit 1; without a word of a unit it is its own. */
static bool tells_of_unit(const char *text)
{
    static const char *const kinds[] = {
        ".service:", ".mount:", ".target:", ".socket:", ".timer:",    ".device:",
        ".path:",    ".slice:", ".swap:",   ".scope:",  ".automount:"};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strstr(text, kinds[i]))
            return true;
    return strstr(text, "Unit ") && strstr(text, " not found."); /* a mount that nobody asks for */
}

static void add_mount(const char *path, struct strlist *argv)
{
    AUTO(freep) char *stem = unit_path_escape(path);

    if (*path)
        strlist_addf(argv, "%s.mount", stem);
}

/* It refuses a name that it does not know. */
static struct err *add_known(struct ctx *ctx, const char *name, struct strlist *argv)
{
    AUTO(unit_file_clear) struct unit_file u = {0};
    struct err *e = unit_file_load(ctx, name, &u);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    if (!u.masked)
        strlist_add(argv, name);
    return NULL;
}

static struct err *run(struct ctx *ctx, struct proc_result *ret)
{
    static const char *const head[] = {PROGRAM, "verify", "--man=no", "--recursive-errors=yes"};
    const struct config *c = ctx->cfg;
    AUTO(strlist_clear) struct strlist names = {0};
    AUTO(strlist_clear) struct strlist argv = {0};

    strlist_add(&names, "multi-user.target");
    strlist_add(&names, OWN "ramdisk.service");
    strlist_add(&names, OWN "boot.service");
    strlist_add(&names, "docker.service");
    strlist_add(&names, "kubelet.service");
    add_mount(c->storage.volume.mount, &names);
    add_mount(c->storage.ramdisk.mount, &names);
    add_mount(c->storage.bind, &names);
    for (size_t i = 0; i < ARRAY_LEN(head); i++)
        strlist_add(&argv, head[i]);
    for (size_t i = 0; i < names.n; i++)
        TRY(add_known(ctx, names.items[i], &argv));
    struct proc_spec spec = {
        .path = PROGRAM, .argv = (const char *const *)argv.items, .timeout_s = TIMEOUT_S};
    return ctx->proc->run(ctx, &spec, ret);
}

void boot_verify(struct ctx *ctx, struct findings *ret)
{
    AUTO(proc_result_clear) struct proc_result r = {0};
    struct err *e = run(ctx, &r);

    if (e && e->kind != ERR_ABSENT)
        findings_add(ret, ID, LAYER, SEV_UNKNOWN, "could not look: %s", e->text);
    if (!e) {
        bool any = boot_verify_read(r.err, ret);

        any = boot_verify_read(r.out, ret) || any;
        if (!any && r.exit && !tells_of_unit(r.err) && !tells_of_unit(r.out)) {
            AUTO(freep) char *said = str_shown(*r.err ? r.err : r.out, 300);

            findings_add(ret, ID, LAYER, SEV_UNKNOWN, "could not look: " PROGRAM " exits %d: %s",
                         r.exit, said);
        } else if (!any)
            findings_add(ret, ID, LAYER, SEV_OK, "systemd-analyze finds no ordering cycle");
    }
    err_free(e);
}
