/* logrotate's files: blocks of options for logs. Scripts in a block (postrotate … endscript) may
 * hold braces of the shell's. */
#include "host/logrotate_conf.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "io/fsroot.h"

#define FILE_MAX_B (1U << 20)
#define MAIN_PATH  "/etc/logrotate.conf"
#define FOLDER     "/etc/logrotate.d"

static const char *const scripts[] = {
    "prerotate", "postrotate", "firstaction", "lastaction", "preremove",
};
/* Endings of names that are not read. */
static const char *const taboo[] = {
    ",v",        ".bak",      ".cfsaved",  ".disabled",     ".dpkg-bak", ".dpkg-del", ".dpkg-dist",
    ".dpkg-new", ".dpkg-old", ".dpkg-tmp", ".rhn-cfg-tmp-", ".rpmnew",   ".rpmorig",  ".rpmsave",
    ".swp",      ".ucf-dist", ".ucf-new",  ".ucf-old",      "~",
};

void logrotate_conf_clear(struct logrotate_conf *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->items[i].patterns);
        free(c->items[i].body);
        free(c->items[i].file);
    }
    free(c->items);
    strlist_clear(&c->faults);
    *c = (struct logrotate_conf){0};
}

struct parser {
    struct strbuf head, body;
    bool inside, script;
    const char *file;
    uint32_t begun;
    struct logrotate_conf *c;
};

static bool starts_script(const char *line)
{
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        size_t n = strlen(scripts[i]);

        if (str_starts(line, scripts[i]) && strchr(" \t\r", line[n]))
            return true;
    }
    return false;
}

static void end_block(struct parser *p)
{
    struct logrotate_conf *c = p->c;

    c->items = xgrow(c->items, &c->cap, c->n + 1, sizeof(*c->items));
    c->items[c->n++] = (struct logrotate_block){.patterns = strbuf_take(&p->head),
                                                .body = strbuf_take(&p->body),
                                                .file = xstrdup(p->file),
                                                .line = p->begun};
    p->inside = false;
}

/* Of a block. Returns what is behind its end, or NULL. */
static const char *inside(struct parser *p, const char *s)
{
    const char *end = p->script ? NULL : strchr(s, '}');

    if (end) {
        strbuf_printf(&p->body, "%.*s", (int)(end - s), s);
        end_block(p);
        return end + 1;
    }
    strbuf_printf(&p->body, "%s\n", s);
    p->script = p->script ? !str_starts(s, "endscript") : starts_script(s);
    return NULL;
}

static void parse_line(struct parser *p, const char *s, uint32_t line)
{
    while (s) {
        s += strspn(s, " \t\r");
        if (*s == '#' || !*s)
            return;
        if (p->inside) {
            s = inside(p, s);
            continue;
        }
        size_t n = strcspn(s, "{");
        strbuf_printf(&p->head, "%.*s\n", (int)n, s);
        p->inside = s[n] == '{';
        p->begun = line;
        s = p->inside ? s + n + 1 : NULL;
    }
}

void logrotate_conf_parse(const char *text, size_t n, const char *file, struct logrotate_conf *c)
{
    struct parser p = {.file = file, .c = c};
    uint32_t line = 0;

    for (size_t at = 0; at < n; at++) {
        const char *nl = memchr(text + at, '\n', n - at);
        size_t len = nl ? (size_t)(nl - (text + at)) : n - at;
        AUTO(freep) char *copy = xstrndup(text + at, len);

        parse_line(&p, copy, ++line);
        at += len;
    }
    strbuf_clear(&p.head);
    strbuf_clear(&p.body);
}

static bool is_taboo(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(taboo); i++)
        if (str_ends(name, taboo[i]))
            return true;
    return false;
}

struct err *logrotate_conf_read(struct ctx *ctx, struct logrotate_conf *ret)
{
    AUTO(strlist_clear) struct strlist files = {0};
    AUTO(strlist_clear) struct strlist names = {0};
    struct err *e = fsroot_list(ctx->root, FOLDER, &names);

    *ret = (struct logrotate_conf){0};
    if (e && e->kind != ERR_NOTFOUND)
        return e;
    err_free(e);
    strlist_add(&files, MAIN_PATH);
    for (size_t i = 0; i < names.n; i++)
        if (!is_taboo(names.items[i]))
            strlist_addf(&files, FOLDER "/%s", names.items[i]);
    for (size_t i = 0; i < files.n; i++) {
        AUTO(freep) char *text = NULL;
        size_t n = 0;

        e = fsroot_read(ctx->root, files.items[i], FILE_MAX_B, &text, &n);
        if (!e)
            logrotate_conf_parse(text, n, files.items[i], ret);
        else if (e->kind != ERR_NOTFOUND)
            strlist_add(&ret->faults, e->text);
        err_free(e);
    }
    return NULL;
}

bool logrotate_block_means(const struct logrotate_block *b, const char *path)
{
    for (const char *c = b->patterns; *c;) {
        bool quoted = *c == '"' || *c == '\'';
        const char stop[] = {*c, '\0'};
        size_t n = quoted ? strcspn(c + 1, stop) : strcspn(c, " \t\r\n\"'");
        AUTO(freep) char *pattern = xstrndup(c + quoted, n);

        if (n && fnmatch(pattern, path, FNM_PATHNAME) == 0)
            return true;
        c += n + quoted;
        c += *c && (quoted || !n);
    }
    return false;
}
