/* Which programs are there and which versions, from files: running laconic-so only to ask takes
 * seconds. */
#include "host/packages.h"

#include "base/str.h"
#include "io/fsroot.h"

#define STATUS_MAX_B (64U << 20)
#define SCRIPT_MAX_B (64U << 20) /* a zipapp is a script with an archive behind it */

struct err *program_find(struct ctx *ctx, const char *name, char **ret)
{
    static const char *const folders[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                          "/usr/bin",        "/sbin",          "/bin"};
    struct stat st;

    if (strchr(name, '/')) {
        TRY(fsroot_stat(ctx->root, name, &st));
        *ret = xstrdup(name);
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        AUTO(freep) char *path = xasprintf("%s/%s", folders[i], name);
        struct err *e = fsroot_stat(ctx->root, path, &st);

        if (!e) {
            *ret = TAKE(path);
            return NULL;
        }
        if (e->kind != ERR_NOTFOUND)
            return e;
        err_free(e);
    }
    return err_new(ERR_NOTFOUND, "no program '%s' in the usual folders", name);
}

void dpkg_clear(struct dpkg *d)
{
    freep(&d->text);
}

struct err *dpkg_read(struct ctx *ctx, struct dpkg *ret)
{
    AUTO(freep) char *text = NULL;

    TRY(fsroot_read(ctx->root, "/var/lib/dpkg/status", STATUS_MAX_B, &text, NULL));
    ret->text = xasprintf("\n%s", text); /* every field then follows a newline */
    return NULL;
}

/* The value of a field of the paragraph, or NULL; to be freed. */
static char *field(const char *paragraph, size_t n, const char *name)
{
    const char *at = memmem(paragraph, n, name, strlen(name));

    if (!at)
        return NULL;
    at += strlen(name);
    return xstrndup(at, strcspn(at, "\n"));
}

char *dpkg_version(const struct dpkg *d, const char *package)
{
    AUTO(freep) char *head = xasprintf("\nPackage: %s\n", package);

    for (const char *at = d->text; (at = strstr(at, head)) != NULL; at++) {
        const char *end = strstr(at + 1, "\n\n");
        size_t n = end ? (size_t)(end - at) : strlen(at);
        AUTO(freep) char *status = field(at, n, "\nStatus: ");

        if (str_ends(status ? status : "", " installed"))
            return field(at, n, "\nVersion: ");
    }
    return NULL;
}

/* "laconic_stack_orchestrator-1.1.0.dist-info" → "1.1.0"; NULL: another name. To be freed. */
static char *dist_version(const char *name, const char *part)
{
    const char *dash = strrchr(name, '-');
    size_t n;

    if (!str_ends(name, ".dist-info") || !strstr(name, part))
        return NULL;
    n = strlen(name) - strlen(".dist-info"); /* its own "-info" is the last dash */
    for (dash = name + n; dash > name && *dash != '-'; dash--)
        ;
    return dash > name ? xstrndup(dash + 1, n - (size_t)(dash - name) - 1) : NULL;
}

static struct err *look_in(struct ctx *ctx, const char *folder, const char *part, char **ret)
{
    AUTO(strlist_clear) struct strlist names = {0};
    struct err *e = fsroot_list(ctx->root, folder, &names);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    for (size_t i = 0; i < names.n && !*ret; i++)
        *ret = dist_version(names.items[i], part);
    return NULL;
}

/* <prefix>/lib/python3.11/{site,dist}-packages */
static struct err *look_below(struct ctx *ctx, const char *prefix, const char *part, char **ret)
{
    AUTO(freep) char *lib = xasprintf("%s/lib", prefix);
    AUTO(strlist_clear) struct strlist names = {0};
    struct err *e = fsroot_list(ctx->root, lib, &names);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    for (size_t i = 0; i < names.n && !*ret; i++) {
        AUTO(freep) char *site = xasprintf("%s/%s/site-packages", lib, names.items[i]);
        AUTO(freep) char *dist = xasprintf("%s/%s/dist-packages", lib, names.items[i]);

        if (!str_starts(names.items[i], "python3"))
            continue;
        TRY(look_in(ctx, site, part, ret));
        if (!*ret)
            TRY(look_in(ctx, dist, part, ret));
    }
    return NULL;
}

/* "/a/b/bin/x" → "/a/b"; NULL: too short. To be freed. */
static char *prefix_of(const char *program)
{
    AUTO(freep) char *s = xstrdup(program);

    for (int i = 0; i < 2; i++) {
        char *slash = strrchr(s, '/');

        if (!slash)
            return NULL;
        *slash = '\0';
    }
    return TAKE(s);
}

/* The interpreter of a script, without env's detour; NULL: it is none. To be freed. */
static char *interpreter_of(const char *text)
{
    if (!str_starts(text, "#!"))
        return NULL;
    text += 2 + strspn(text + 2, " \t");
    return xstrndup(text, strcspn(text, " \t\r\n"));
}

struct err *python_version(struct ctx *ctx, const char *program, const char *part, char **ret)
{
    AUTO(freep) char *real = NULL;
    AUTO(freep) char *text = NULL;
    AUTO(freep) char *found = NULL;

    TRY(fsroot_real(ctx->root, program, &real));
    TRY(fsroot_read(ctx->root, real, SCRIPT_MAX_B, &text, NULL));
    AUTO(freep) char *python = interpreter_of(text);
    AUTO(freep) char *own = prefix_of(real);
    AUTO(freep) char *other = python ? prefix_of(python) : NULL;
    if (own)
        TRY(look_below(ctx, own, part, &found));
    if (other && !found)
        TRY(look_below(ctx, other, part, &found));
    if (!found)
        return err_new(ERR_NOTFOUND, "no folder of '%s' says its version", program);
    *ret = TAKE(found);
    return NULL;
}
