#pragma once

#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"

/* Numbers of names in /etc/passwd and /etc/group (passwd(5)); a number stands for itself. Other
 * sources of users (LDAP, systemd's) are not asked. ERR_NOTFOUND (no such name), ERR_SYS. */
struct err *account_uid(struct ctx *ctx, const char *user, uint64_t *ret) MUST_CHECK;
struct err *account_gid(struct ctx *ctx, const char *group, uint64_t *ret) MUST_CHECK;
