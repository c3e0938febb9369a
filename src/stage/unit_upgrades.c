/* Updates without a person: unattended-upgrades restarts Docker with the kind node in it, or
 * reboots; needrestart restarts whatever uses a new library. Read from apt's configuration
 * (apt.conf(5)) and needrestart's (Perl; only plain assignments are understood). */
#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "io/fsroot.h"
#include "stage/unit_parts.h"

#define CONF_MAX_B (1U << 20)
#define DEPTH_MAX  16

struct apt {
    char *periodic, *reboot; /* values that count; NULL: not set */
    char *periodic_file, *reboot_file;
    bool spares_docker; /* Unattended-Upgrade::Package-Blacklist names it */
};

static void apt_clear(struct apt *a)
{
    free(a->periodic);
    free(a->reboot);
    free(a->periodic_file);
    free(a->reboot_file);
}

static void keep(char **value, char **file, const char *v, const char *f)
{
    free(*value);
    free(*file);
    *value = xstrdup(v);
    *file = xstrdup(f);
}

/* One assignment with its full name: "APT::Periodic::Unattended-Upgrade". */
static void apt_take(struct apt *a, const char *name, const char *value, const char *file)
{
    if (strcasecmp(name, "APT::Periodic::Unattended-Upgrade") == 0)
        keep(&a->periodic, &a->periodic_file, value, file);
    else if (strcasecmp(name, "Unattended-Upgrade::Automatic-Reboot") == 0)
        keep(&a->reboot, &a->reboot_file, value, file);
    else if (strncasecmp(name, "Unattended-Upgrade::Package-Blacklist", 37) == 0)
        a->spares_docker |= strstr(value, "docker") != NULL;
}

/* A token: a name, a text in quotes, or one of "{};". NULL at the end; quoted: it was a text. */
static char *apt_token(const char **at, bool *quoted)
{
    const char *c = *at;

    for (;;) {
        c += strspn(c, " \t\r\n");
        if (c[0] == '#' || (c[0] == '/' && c[1] == '/'))
            c += strcspn(c, "\n");
        else if (c[0] == '/' && c[1] == '*')
            c = strstr(c, "*/") ? strstr(c, "*/") + 2 : c + strlen(c);
        else
            break;
    }
    size_t n = *c == '"'           ? strcspn(c + 1, "\"")
               : strchr("{};", *c) ? !!*c
                                   : strcspn(c, " \t\r\n{};\"");
    *quoted = *c == '"';
    char *token = n || *quoted ? xstrndup(c + *quoted, n) : NULL;
    c += n + *quoted;
    *at = c + (*quoted && *c == '"');
    return token;
}

/* Scopes as a path: names of open braces, joined by "::". */
struct apt_scope {
    size_t ends[DEPTH_MAX]; /* length of path at each brace */
    size_t depth;
    struct strbuf path;
};

static void scope_open(struct apt_scope *s, const char *name)
{
    if (s->depth == DEPTH_MAX)
        return;
    s->ends[s->depth++] = s->path.len;
    strbuf_printf(&s->path, "%s%s", s->path.len ? "::" : "", name);
}

static void scope_close(struct apt_scope *s)
{
    if (!s->depth)
        return;
    s->path.len = s->ends[--s->depth];
    if (s->path.data)
        s->path.data[s->path.len] = '\0';
}

static void apt_parse(struct apt *a, const char *text, const char *file)
{
    AUTO(freep) char *name = NULL;
    struct apt_scope s = {0};
    bool quoted = false;

    for (char *t = apt_token(&text, &quoted); t; t = apt_token(&text, &quoted)) {
        if (quoted) { /* a value; in a list it has no name of its own */
            AUTO(freep)
            char *full = xasprintf("%s%s%s", strbuf_text(&s.path), s.path.len && name ? "::" : "",
                                   name ? name : "");
            apt_take(a, full, t, file);
        } else if (str_eq(t, "{")) {
            scope_open(&s, name ? name : "");
            free(TAKE(name));
        } else if (str_eq(t, "}")) {
            scope_close(&s);
        } else if (!str_eq(t, ";")) {
            free(name);
            name = TAKE(t);
        }
        if (t && (quoted || strchr("};", *t)))
            free(TAKE(name));
        free(t);
    }
    strbuf_clear(&s.path);
}

static struct err *apt_read(const struct unit_look *l, struct apt *a)
{
    AUTO(strlist_clear) struct strlist names = {0};
    struct err *e = fsroot_list(l->ctx->root, "/etc/apt/apt.conf.d", &names);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    for (size_t i = 0; i < names.n; i++) {
        AUTO(freep) char *path = xasprintf("/etc/apt/apt.conf.d/%s", names.items[i]);
        AUTO(freep) char *text = NULL;

        if (strchr(names.items[i], '.') && !str_ends(names.items[i], ".conf"))
            continue; /* apt passes over backups */
        TRY(fsroot_read(l->ctx->root, path, CONF_MAX_B, &text, NULL));
        apt_parse(a, text, path);
    }
    return NULL;
}

static bool is_on(const char *v)
{
    return v && *v && !str_eq(v, "0") && strcasecmp(v, "false") != 0 && strcasecmp(v, "no") != 0 &&
           strcasecmp(v, "off") != 0;
}

static void check_apt(const struct apt *a, struct findings *ret)
{
    bool on = is_on(a->periodic);

    if (on && is_on(a->reboot))
        finding_compare(findings_add(ret, "unit.reboot", 5, SEV_FAIL,
                                     "unattended-upgrades reboots the machine when it likes: set "
                                     "Unattended-Upgrade::Automatic-Reboot \"false\" in '%s'",
                                     a->reboot_file),
                        "false", a->reboot, a->reboot_file);
    if (on)
        finding_compare(
            findings_add(ret, "unit.upgrades", 5, a->spares_docker ? SEV_NOTE : SEV_WARN,
                         "unattended-upgrades installs new packages by itself%s",
                         a->spares_docker
                             ? " (Docker is in its blacklist)"
                             : ", and an update of Docker or containerd restarts it: name them in "
                               "Unattended-Upgrade::Package-Blacklist, or turn it off"),
            "0", a->periodic, a->periodic_file);
    else
        findings_add(ret, "unit.upgrades", 5, SEV_OK, "no packages are installed unattended");
}

/* "$nrconf{restart} = 'a';", not behind a '#'. The last one counts. */
static void needrestart_parse(const char *text, char *mode)
{
    for (const char *c = text; *c; c += strcspn(c, "\n"), c += *c == '\n') {
        const char *s = c + strspn(c, " \t");

        if (!str_starts(s, "$nrconf{restart}"))
            continue;
        s += strcspn(s, "'\"\n");
        if (*s == '\'' || *s == '"')
            *mode = s[1];
    }
}

static struct err *check_needrestart(const struct unit_look *l, struct findings *ret)
{
    AUTO(strlist_clear) struct strlist files = {0};
    AUTO(strlist_clear) struct strlist names = {0};
    char mode = 'i';
    struct err *e = fsroot_list(l->ctx->root, "/etc/needrestart/conf.d", &names);

    if (e && e->kind != ERR_NOTFOUND)
        return e;
    err_free(e);
    strlist_add(&files, "/etc/needrestart/needrestart.conf");
    for (size_t i = 0; i < names.n; i++)
        if (str_ends(names.items[i], ".conf"))
            strlist_addf(&files, "/etc/needrestart/conf.d/%s", names.items[i]);
    for (size_t i = 0; i < files.n; i++) {
        AUTO(freep) char *text = NULL;

        e = fsroot_read(l->ctx->root, files.items[i], CONF_MAX_B, &text, NULL);
        if (e && e->kind != ERR_NOTFOUND)
            return e;
        if (!e)
            needrestart_parse(text, &mode);
        err_free(e); /* not installed */
    }
    if (mode == 'a')
        finding_compare(findings_add(ret, "unit.needrestart", 5, SEV_WARN,
                                     "needrestart restarts services by itself after an update, "
                                     "Docker among them: set $nrconf{restart} = 'l'"),
                        "l", "a", "/etc/needrestart");
    return NULL;
}

struct err *unit_check_upgrades(const struct unit_look *l, struct findings *ret)
{
    AUTO(apt_clear) struct apt a = {0};

    TRY(apt_read(l, &a));
    check_apt(&a, ret);
    return check_needrestart(l, ret);
}
