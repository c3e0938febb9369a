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
