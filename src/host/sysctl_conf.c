/* Settings of the kernel that are made again at every boot. */
#include "host/sysctl_conf.h"

#include <fnmatch.h>

#include "host/conf_files.h"
#include "io/fsroot.h"

#define FILE_MAX_B (1U << 20)

static const char *const folders[] = {
    "/etc/sysctl.d",     "/run/sysctl.d", "/usr/local/lib/sysctl.d",
    "/usr/lib/sysctl.d", "/lib/sysctl.d",
};

void sysctl_conf_clear(struct sysctl_conf *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->items[i].key);
        free(c->items[i].value);
        free(c->items[i].file);
    }
    free(c->items);
    strlist_clear(&c->faults);
    *c = (struct sysctl_conf){0};
}

static char *trim(char *s)
{
    size_t n;

    s += strspn(s, " \t\r");
    n = strlen(s);
    while (n && strchr(" \t\r", s[n - 1]))
        s[--n] = '\0';
    return s;
}

/* The first separator decides: with a slash first, dots are part of names (sysctl.d(5)). */
static char *path_of(const char *key)
{
    char *path = xstrdup(key);
    bool dots = path[strcspn(path, "./")] == '.';

    for (char *p = path; dots && *p; p++)
        *p = *p == '.' ? '/' : *p == '/' ? '.' : *p;
    return path;
}

static void parse_line(char *s, const char *file, uint32_t line, struct sysctl_conf *c)
{
    char *eq = strchr(s, '=');
    char *key = s + (*s == '-'); /* with a value: errors are ignored */

    if (!eq && *s != '-') {
        strlist_addf(&c->faults, "%s:%u: no value", file, line);
        return;
    }
    if (eq)
        *eq = '\0';
    key = trim(key);
    if (!*key) {
        strlist_addf(&c->faults, "%s:%u: no name", file, line);
        return;
    }
    c->items = xgrow(c->items, &c->cap, c->n + 1, sizeof(*c->items));
    c->items[c->n++] = (struct sysctl_setting){
        .key = path_of(key),
        .value = eq ? xstrdup(trim(eq + 1)) : NULL,
        .file = xstrdup(file),
        .line = line,
    };
}

void sysctl_conf_parse(const char *text, size_t n, const char *file, struct sysctl_conf *c)
{
    uint32_t line = 0;

    for (size_t at = 0; at < n; at++) {
        const char *nl = memchr(text + at, '\n', n - at);
        size_t len = nl ? (size_t)(nl - (text + at)) : n - at;
        AUTO(freep) char *copy = xstrndup(text + at, len);
        char *s = trim(copy);

        line++;
        if (*s && *s != '#' && *s != ';')
            parse_line(s, file, line, c);
        at += len;
    }
}

struct err *sysctl_conf_read(struct ctx *ctx, struct sysctl_conf *ret)
{
    AUTO(strlist_clear) struct strlist files = {0};

    *ret = (struct sysctl_conf){0};
    TRY(conf_files_find(ctx, folders, ARRAY_LEN(folders), ".conf", &files));
    for (size_t i = 0; i < files.n; i++) {
        AUTO(freep) char *text = NULL;
        size_t n = 0;
        struct err *e = fsroot_read(ctx->root, files.items[i], FILE_MAX_B, &text, &n);

        if (e) { /* a dangling link; systemd goes on without it as well */
            strlist_add(&ret->faults, e->text);
            err_free(e);
            continue;
        }
        sysctl_conf_parse(text, n, files.items[i], ret);
    }
    return NULL;
}

static bool is_pattern(const char *key)
{
    return strpbrk(key, "*?[") != NULL;
}

const struct sysctl_setting *sysctl_conf_get(const struct sysctl_conf *c, const char *key)
{
    const struct sysctl_setting *found = NULL;
    bool alone = false;

    for (size_t i = 0; i < c->n; i++) {
        bool same = str_eq(c->items[i].key, key);

        alone = alone || (same && !c->items[i].value);
        if (same && c->items[i].value)
            found = &c->items[i];
    }
    for (size_t i = 0; !found && !alone && i < c->n; i++) {
        const struct sysctl_setting *s = &c->items[c->n - 1 - i];

        if (s->value && is_pattern(s->key) && fnmatch(s->key, key, FNM_PATHNAME) == 0)
            found = s;
    }
    return found;
}
