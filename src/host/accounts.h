#pragma once

#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"

/* Numbers of names in /etc/passwd and /etc/group (passwd(5)); a number stands for itself. Other
 * sources of users (LDAP, systemd's) are not asked. ERR_NOTFOUND (no such name), ERR_SYS. */
struct err *account_uid(struct ctx *ctx, const char *user, uint64_t *ret) MUST_CHECK;
struct err *account_gid(struct ctx *ctx, const char *group, uint64_t *ret) MUST_CHECK;
/* The name of a number. ERR_NOTFOUND (nobody has it), ERR_SYS. To be freed. */
struct err *account_name(struct ctx *ctx, uint64_t uid, char **ret) MUST_CHECK;
/* Names of the groups with this number, or that have this user as a member. */
struct err *account_groups(struct ctx *ctx, const char *user, uint64_t gid, struct strlist *ret)
    MUST_CHECK;
