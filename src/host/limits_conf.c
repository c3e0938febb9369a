/* Limits of logins. The order of pam_limits: what is said of the user himself wins over his groups,
 * those over everybody; within one of these the line that is read last. */
#include "host/limits_conf.h"

#include <stdlib.h>
#include <string.h>

#include "host/conf_files.h"
#include "io/fsroot.h"

#define FILE_MAX_B (1U << 20)

enum rank { RANK_NONE, RANK_ALL, RANK_GROUP, RANK_USER };

void limits_conf_clear(struct limits_conf *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->items[i].domain);
        free(c->items[i].file);
    }
    free(c->items);
    strlist_clear(&c->faults);
    *c = (struct limits_conf){0};
}

/* memlock is in KiB. */
static bool read_value(const char *text, enum limits_item item, uint64_t *ret)
{
    uint64_t unit = item == LIMITS_MEMLOCK ? 1024 : 1;

    *ret = UINT64_MAX;
    if (str_eq(text, "unlimited") || str_eq(text, "infinity") || str_eq(text, "-1"))
        return true;
    struct err *e = parse_u64(text, 0, UINT64_MAX, ret);
    if (!e && __builtin_mul_overflow(*ret, unit, ret))
        *ret = UINT64_MAX;
    return err_free(e) == NULL && *ret != UINT64_MAX;
}

static void add_line(char *const field[4], const char *file, uint32_t line, struct limits_conf *c)
{
    bool files = str_eq(field[2], "nofile");
    enum limits_item item = files ? LIMITS_NOFILE : LIMITS_MEMLOCK;
    bool known = files || str_eq(field[2], "memlock");
    uint64_t hard = 0;

    if (!str_eq(field[1], "hard") && !str_eq(field[1], "-") && !str_eq(field[1], "soft")) {
        strlist_addf(&c->faults, "%s:%u: the type is none of hard, soft and -", file, line);
        return;
    }
    if (!known || str_eq(field[1], "soft"))
        return;
    if (!read_value(field[3], item, &hard)) {
        strlist_addf(&c->faults, "%s:%u: no number", file, line);
        return;
    }
    c->items = xgrow(c->items, &c->cap, c->n + 1, sizeof(*c->items));
    c->items[c->n++] = (struct limits_line){.domain = xstrdup(field[0]),
                                            .item = item,
                                            .hard = hard,
                                            .file = xstrdup(file),
                                            .line = line};
}

void limits_conf_parse(const char *text, size_t n, const char *file, struct limits_conf *c)
{
    uint32_t line = 0;

    for (size_t at = 0; at < n; at++) {
        const char *nl = memchr(text + at, '\n', n - at);
        size_t len = nl ? (size_t)(nl - (text + at)) : n - at, k = 0;
        AUTO(freep) char *copy = xstrndup(text + at, len);
        char *field[4] = {0}, *save = NULL;

        line++;
        at += len;
        copy[strcspn(copy, "#")] = '\0';
        for (char *w = strtok_r(copy, " \t\r", &save); w && k < 4; k++) {
            field[k] = w;
            w = strtok_r(NULL, " \t\r", &save);
        }
        if (k == 4)
            add_line(field, file, line, c);
        else if (k && !(k == 2 && str_eq(field[1], "-"))) /* "user -": no limits for him */
            strlist_addf(&c->faults, "%s:%u: not domain, type, item and value", file, line);
    }
}

static struct err *read_one(struct ctx *ctx, const char *path, struct limits_conf *c)
{
    AUTO(freep) char *text = NULL;
    size_t n = 0;
    struct err *e = fsroot_read(ctx->root, path, FILE_MAX_B, &text, &n);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    if (e) {
        strlist_add(&c->faults, e->text);
        return err_free(e);
    }
    limits_conf_parse(text, n, path, c);
    return NULL;
}

struct err *limits_conf_read(struct ctx *ctx, struct limits_conf *ret)
{
    static const char *const folders[] = {"/etc/security/limits.d"};
    AUTO(strlist_clear) struct strlist files = {0};

    *ret = (struct limits_conf){0};
    TRY(conf_files_find(ctx, folders, ARRAY_LEN(folders), ".conf", &files));
    TRY(read_one(ctx, "/etc/security/limits.conf", ret));
    for (size_t i = 0; i < files.n; i++)
        TRY(read_one(ctx, files.items[i], ret));
    return NULL;
}

/* "5:9", ":9" (that one), "5:" (and above). */
static bool in_range(const char *text, uint64_t id)
{
    const char *colon = strchr(text, ':');
    uint64_t min = 0, max = UINT32_MAX;

    if (!colon)
        return false;
    AUTO(freep) char *low = xstrndup(text, (size_t)(colon - text));
    struct err *e = *low ? parse_u64(low, 0, UINT32_MAX, &min) : NULL;
    if (!e && colon[1])
        e = parse_u64(colon + 1, 0, UINT32_MAX, &max);
    bool ok = !e && (*low || colon[1]);
    err_free(e);
    if (ok && !*low)
        min = max;
    return ok && id >= min && id <= max;
}

static enum rank rank_of(const char *domain, const struct limits_user *u)
{
    if (u->name && str_eq(domain, u->name))
        return RANK_USER;
    if (u->uid == 0)
        return RANK_NONE;
    if (str_eq(domain, "*"))
        return RANK_ALL;
    if (*domain == '@')
        return in_range(domain + 1, u->gid) || (u->groups && strlist_has(u->groups, domain + 1))
                   ? RANK_GROUP
                   : RANK_NONE;
    return in_range(domain, u->uid) ? RANK_USER : RANK_NONE;
}

const struct limits_line *limits_conf_get(const struct limits_conf *c, const struct limits_user *u,
                                          enum limits_item item)
{
    const struct limits_line *found = NULL;
    enum rank best = RANK_NONE;

    for (size_t i = 0; i < c->n; i++) {
        enum rank r = rank_of(c->items[i].domain, u);

        if (c->items[i].item != item || r == RANK_NONE || r < best)
            continue;
        best = r;
        found = &c->items[i];
    }
    return found;
}

bool limits_line_is_weak(const struct limits_line *l)
{
    return *l->domain == '@' || str_eq(l->domain, "*");
}
