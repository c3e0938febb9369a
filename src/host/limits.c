/* Limits of processes as /proc shows them, and as systemd writes them. */
#include "host/limits.h"

#include "base/str.h"
#include "io/fsroot.h"

#define CAP_SYS_RESOURCE_BIT 24 /* linux/capability.h */

static struct err *number(const char *word, uint64_t *ret)
{
    if (!str_eq(word, "unlimited"))
        return parse_u64(word, 0, UINT64_MAX, ret);
    *ret = UINT64_MAX;
    return NULL;
}

static struct err *row(const char *text, const char *name, struct limit *ret)
{
    char soft[32], hard[32];
    const char *line = strstr(text, name);

    if (!line || sscanf(line + strlen(name), " %31s %31s", soft, hard) != 2)
        return err_new(ERR_CORRUPT, "the limits have no row '%s'", name);
    TRY_CTX(number(soft, &ret->soft), "limits: '%s'", name);
    return err_wrap(number(hard, &ret->hard), "limits: '%s'", name);
}

struct err *limits_parse(const char *text, struct process_limits *ret)
{
    struct process_limits l = {0};

    TRY(row(text, "\nMax open files", &l.nofile));
    TRY(row(text, "\nMax locked memory", &l.memlock));
    *ret = l;
    return NULL;
}

static struct err *read_capability(struct ctx *ctx, const char *dir, bool *ret)
{
    AUTO(freep) char *path = xasprintf("%s/status", dir);
    AUTO(freep) char *text = NULL;
    unsigned long long eff = 0;

    TRY(fsroot_read(ctx->root, path, 65536, &text, NULL));
    const char *line = strstr(text, "\nCapEff:");
    *ret = line && sscanf(line, "\nCapEff: %llx", &eff) == 1 && eff >> CAP_SYS_RESOURCE_BIT & 1;
    return NULL;
}

struct err *limits_of(struct ctx *ctx, pid_t pid, struct process_limits *ret)
{
    AUTO(freep) char *dir = pid ? xasprintf("/proc/%d", (int)pid) : xstrdup("/proc/self");
    AUTO(freep) char *path = xasprintf("%s/limits", dir);
    AUTO(freep) char *text = NULL;
    struct process_limits l;

    TRY(fsroot_read(ctx->root, path, 65536, &text, NULL));
    TRY_CTX(limits_parse(text, &l), "%s", path);
    TRY(read_capability(ctx, dir, &l.sys_resource));
    *ret = l;
    return NULL;
}

static struct err *one(const char *text, bool in_bytes, uint64_t *ret)
{
    if (str_eq(text, "infinity")) {
        *ret = UINT64_MAX;
        return NULL;
    }
    return in_bytes ? parse_size(text, ret) : parse_u64(text, 0, UINT64_MAX, ret);
}

struct err *limit_parse_systemd(const char *text, bool in_bytes, struct limit *ret)
{
    const char *colon = strchr(text, ':');
    AUTO(freep) char *soft = colon ? xstrndup(text, (size_t)(colon - text)) : xstrdup(text);
    struct limit l;

    TRY(one(soft, in_bytes, &l.soft));
    TRY(one(colon ? colon + 1 : text, in_bytes, &l.hard));
    *ret = l;
    return NULL;
}
