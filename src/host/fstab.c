/* /etc/fstab line by line. A parser of our own: libmount gives no line numbers, and skips what it
 * cannot read, which is just what an operator must be told before the next boot. */
#include "host/fstab.h"

#include <ctype.h>

#include "io/fsroot.h"

#define FILE_MAX_B (1U << 20)
#define LINE_MAX_B 65536U

enum { F_SPEC, F_TARGET, F_TYPE, F_OPTIONS, F_FREQ, F_PASS, F_MAX };

void fstab_clear(struct fstab *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->items[i].spec);
        free(f->items[i].target);
        free(f->items[i].type);
        free(f->items[i].options);
    }
    for (size_t i = 0; i < f->n_faults; i++)
        free(f->faults[i].text);
    free(f->items);
    free(f->faults);
    *f = (struct fstab){0};
}

/* Takes text. */
static void fault(struct fstab *f, uint32_t line, char *text)
{
    f->faults = xgrow(f->faults, &f->cap_faults, f->n_faults + 1, sizeof(*f->faults));
    f->faults[f->n_faults++] = (struct fstab_fault){.line = line, .text = text};
}

/* Three octal digits behind a backslash, at most \377 and never a zero byte; -1: none. */
static int octal(const char *s)
{
    int v;

    for (int i = 0; i < 3; i++)
        if (s[i] < '0' || s[i] > '7')
            return -1;
    v = (s[0] - '0') * 64 + (s[1] - '0') * 8 + (s[2] - '0');
    return v > 0 && v < 256 ? v : -1;
}

/* In place. False: a backslash that begins no escape. */
static bool unescape(char *s)
{
    char *to = s;
    bool ok = true;

    for (const char *p = s; *p; p++) {
        int v = *p == '\\' ? octal(p + 1) : -1;

        ok = ok && (*p != '\\' || v >= 0);
        *to++ = v >= 0 ? (char)v : *p;
        p += v >= 0 ? 3 : 0;
    }
    *to = '\0';
    return ok;
}

/* The line's fields, in place; how many there are, at most F_MAX + 1 (the rest in one). */
static size_t split(char *s, char *ret[static F_MAX + 1])
{
    size_t n = 0;

    for (; n <= F_MAX; n++) {
        s += strspn(s, " \t\r");
        if (!*s || (*s == '#' && n >= F_OPTIONS))
            break; /* a comment may stand behind what mount reads */
        ret[n] = s;
        s += strcspn(s, " \t\r");
        if (*s)
            *s++ = '\0';
    }
    return n;
}

static bool number(const char *s)
{
    size_t n = strspn(s, "0123456789");

    return n && !s[n];
}

static bool is_swap(char *const field[])
{
    return str_eq(field[F_TYPE], "swap") || str_eq(field[F_TARGET], "none") ||
           str_eq(field[F_TARGET], "swap");
}

/* What is wrong with the fields, or NULL. */
static char *wrong(char *const field[], size_t n)
{
    if (n <= F_TYPE)
        return xasprintf("has %zu of the fields device, mount point, type, options", n);
    if (n > F_MAX)
        return xasprintf("has more than six fields; a blank in a path is written \\040");
    for (size_t i = F_SPEC; i < n; i++)
        if (i <= F_OPTIONS && !unescape(field[i]))
            return xasprintf("has a backslash that is no escape; a backslash is written \\134");
    for (size_t i = F_FREQ; i < n; i++)
        if (!number(field[i]))
            return xasprintf("the dump and pass fields must be numbers");
    if (field[F_TARGET][0] != '/' && !is_swap(field))
        return xasprintf("its mount point is no absolute path");
    return NULL;
}

static void parse_line(struct fstab *f, uint32_t line, char *s)
{
    char *field[F_MAX + 1] = {0};
    size_t n;

    s += strspn(s, " \t\r");
    if (!*s || *s == '#')
        return;
    n = split(s, field);
    char *bad = wrong(field, n);
    if (bad) {
        fault(f, line, bad);
        return;
    }
    size_t len = strlen(field[F_TARGET]);
    while (len > 1 && field[F_TARGET][len - 1] == '/')
        field[F_TARGET][--len] = '\0';
    f->items = xgrow(f->items, &f->cap, f->n + 1, sizeof(*f->items));
    f->items[f->n++] = (struct fstab_entry){
        .line = line,
        .spec = xstrdup(field[F_SPEC]),
        .target = xstrdup(field[F_TARGET]),
        .type = xstrdup(field[F_TYPE]),
        .options = xstrdup(n > F_OPTIONS ? field[F_OPTIONS] : "defaults"),
    };
}

void fstab_parse(const char *text, size_t n, struct fstab *ret)
{
    uint32_t line = 0;

    *ret = (struct fstab){0};
    for (size_t at = 0; at < n;) {
        const char *nl = memchr(text + at, '\n', n - at);
        size_t len = nl ? (size_t)(nl - (text + at)) : n - at;
        AUTO(freep) char *copy = NULL;

        line++;
        if (len > LINE_MAX_B) {
            fault(ret, line, xasprintf("is longer than %u bytes", LINE_MAX_B));
        } else if (memchr(text + at, '\0', len)) {
            fault(ret, line, xstrdup("has a zero byte"));
        } else {
            copy = xstrndup(text + at, len);
            parse_line(ret, line, copy);
        }
        at += len + 1;
    }
}

struct err *fstab_read(struct ctx *ctx, struct fstab *ret)
{
    AUTO(freep) char *text = NULL;
    size_t n = 0;

    TRY(fsroot_read(ctx->root, "/etc/fstab", FILE_MAX_B, &text, &n));
    fstab_parse(text, n, ret);
    return NULL;
}

const struct fstab_entry *fstab_at(const struct fstab *f, const char *target, size_t *ret_n)
{
    const struct fstab_entry *first = NULL;
    size_t n = 0;

    for (size_t i = 0; i < f->n; i++) {
        if (!str_eq(f->items[i].target, target))
            continue;
        first = first ? first : &f->items[i];
        n++;
    }
    if (ret_n)
        *ret_n = n;
    return first;
}

/* The option at or behind *at; *at moves behind it. NULL: no more. ret_n: its length. */
static const char *next_option(const char **at, size_t *ret_n)
{
    const char *s = *at;

    if (!*s)
        return NULL;
    *ret_n = strcspn(s, ",");
    *at = s + *ret_n + (s[*ret_n] == ',');
    return s;
}

bool fstab_option(const struct fstab_entry *e, const char *name, char **ret_value)
{
    const char *at = e->options, *o;
    size_t n = 0, len = strlen(name);
    bool found = false;

    while (!found && (o = next_option(&at, &n)) != NULL) {
        found = n >= len && strncmp(o, name, len) == 0 && (n == len || o[len] == '=');
        if (found && ret_value)
            *ret_value = n > len ? xstrndup(o + len + 1, n - len - 1) : NULL;
    }
    return found;
}

void fstab_option_all(const struct fstab_entry *e, const char *name, struct strlist *ret)
{
    const char *at = e->options, *o;
    size_t n = 0, len = strlen(name);

    while ((o = next_option(&at, &n)) != NULL)
        if (n > len && strncmp(o, name, len) == 0 && o[len] == '=')
            strlist_addf(ret, "%.*s", (int)(n - len - 1), o + len + 1);
}

/* udev's names of links: anything but these is \xHH (util_replace_chars of systemd 252). */
static char *link_name(const char *folder, const char *value, bool lower)
{
    AUTO(strbuf_clear) struct strbuf b = {0};
    size_t n = strlen(value);

    if (n >= 2 && value[0] == '"' && value[n - 1] == '"') {
        value++;
        n -= 2;
    }
    strbuf_printf(&b, "/dev/disk/%s/", folder);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)value[i];

        if (isalnum(c) || strchr("#+-.:=@_", c) || c >= 0x80)
            strbuf_printf(&b, "%c", lower ? tolower(c) : c);
        else
            strbuf_printf(&b, "\\x%02x", c);
    }
    return strbuf_take(&b);
}

char *fstab_device(const struct fstab_entry *e)
{
    static const struct {
        const char *tag, *folder;
        bool lower;
    } tags[] = {
        {"UUID=", "by-uuid", false},
        {"LABEL=", "by-label", false},
        {"PARTUUID=", "by-partuuid", true},
        {"PARTLABEL=", "by-partlabel", false},
        {"ID=", "by-id", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(tags); i++)
        if (str_starts(e->spec, tags[i].tag))
            return link_name(tags[i].folder, e->spec + strlen(tags[i].tag), tags[i].lower);
    return xstrdup(e->spec);
}
