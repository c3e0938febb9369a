/* Users and groups of the host that is looked at, which need not be this machine's. */
#include "host/accounts.h"

#include "base/str.h"
#include "io/fsroot.h"

#define FILE_MAX_B (4U << 20)

/* Both files have the number in the third field. */
static struct err *number_of(struct ctx *ctx, const char *path, const char *name, uint64_t *ret)
{
    AUTO(freep) char *text = NULL;
    char *save = NULL;
    size_t n = strlen(name);

    if (*name >= '0' && *name <= '9')
        return parse_u64(name, 0, UINT32_MAX, ret);
    TRY(fsroot_read(ctx->root, path, FILE_MAX_B, &text, NULL));
    for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        if (strncmp(l, name, n) != 0 || l[n] != ':')
            continue;
        const char *number = strchr(l + n + 1, ':');
        AUTO(freep) char *field = number ? xstrndup(number + 1, strcspn(number + 1, ":")) : NULL;

        if (field)
            return err_wrap(parse_u64(field, 0, UINT32_MAX, ret), "%s: '%s'", path, name);
    }
    return err_new(ERR_NOTFOUND, "%s has no '%s'", path, name);
}

struct err *account_uid(struct ctx *ctx, const char *user, uint64_t *ret)
{
    return number_of(ctx, "/etc/passwd", user, ret);
}

struct err *account_gid(struct ctx *ctx, const char *group, uint64_t *ret)
{
    return number_of(ctx, "/etc/group", group, ret);
}

/* name:password:number:… in place: the name, the number and what stands behind it. */
static bool split(char *line, char **ret_name, uint64_t *ret_number, char **ret_rest)
{
    char *save = NULL, *number;

    *ret_name = strtok_r(line, ":", &save);
    save = save ? strchr(save, ':') : NULL; /* an empty password is a field all the same */
    number = save ? save + 1 : NULL;
    if (!*ret_name || !number)
        return false;
    *ret_rest = number + strcspn(number, ":");
    if (**ret_rest)
        *(*ret_rest)++ = '\0';
    AUTO(err_freep) struct err *bad = parse_u64(number, 0, UINT32_MAX, ret_number);
    return !bad;
}

struct err *account_name(struct ctx *ctx, uint64_t uid, char **ret)
{
    AUTO(freep) char *text = NULL;
    char *save = NULL, *name, *rest;
    uint64_t number;

    TRY(fsroot_read(ctx->root, "/etc/passwd", FILE_MAX_B, &text, NULL));
    for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        if (!split(l, &name, &number, &rest) || number != uid)
            continue;
        *ret = xstrdup(name);
        return NULL;
    }
    return err_new(ERR_NOTFOUND, "/etc/passwd has no user with the number %llu",
                   (unsigned long long)uid);
}

static bool is_member(char *members, const char *user)
{
    char *save = NULL;

    for (char *m = strtok_r(members, ",", &save); m; m = strtok_r(NULL, ",", &save))
        if (str_eq(m, user))
            return true;
    return false;
}

struct err *account_groups(struct ctx *ctx, const char *user, uint64_t gid, struct strlist *ret)
{
    AUTO(freep) char *text = NULL;
    char *save = NULL, *name, *members;
    uint64_t number;

    TRY(fsroot_read(ctx->root, "/etc/group", FILE_MAX_B, &text, NULL));
    for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
        if (split(l, &name, &number, &members) && (number == gid || is_member(members, user)))
            strlist_add(ret, name);
    return NULL;
}
