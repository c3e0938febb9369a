/* Memory in the kernel's "Name:   123 kB" tables. Reads only. */
#include "host/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "io/fsroot.h"

#define FILE_MAX_B 65536

/* The number behind a key at the start of a line, times unit. */
static struct known_u64 field(const char *text, const char *key, uint64_t unit)
{
    size_t n = strlen(key);

    for (const char *l = text; l && *l; l = strchr(l, '\n') ? strchr(l, '\n') + 1 : NULL) {
        uint64_t v, product;

        if (strncmp(l, key, n) == 0 && sscanf(l + n, " %" SCNu64, &v) == 1 &&
            !__builtin_mul_overflow(v, unit, &product))
            return (struct known_u64){true, product};
    }
    return (struct known_u64){0};
}

struct err *host_memory(struct ctx *ctx, struct host_memory *ret)
{
    AUTO(freep) char *meminfo = NULL, *vmstat = NULL;

    TRY(fsroot_read(ctx->root, "/proc/meminfo", FILE_MAX_B, &meminfo, NULL));
    struct err *e = fsroot_read(ctx->root, "/proc/vmstat", FILE_MAX_B, &vmstat, NULL);
    if (e && e->kind != ERR_NOTFOUND)
        return e;
    (void)err_free(e); /* a captured host may lack it: then the kills are unknown */
    *ret = (struct host_memory){
        .total_b = field(meminfo, "MemTotal:", 1024),
        .available_b = field(meminfo, "MemAvailable:", 1024),
        .oom_kills = field(vmstat ? vmstat : "", "oom_kill ", 1),
    };
    return NULL;
}

struct err *process_memory(struct ctx *ctx, pid_t pid, struct process_memory *ret)
{
    AUTO(freep) char *path = xasprintf("/proc/%d/status", (int)pid);
    AUTO(freep) char *text = NULL;

    TRY(fsroot_read(ctx->root, path, FILE_MAX_B, &text, NULL));
    *ret = (struct process_memory){
        .resident_b = field(text, "VmRSS:", 1024),
        .anon_b = field(text, "RssAnon:", 1024),
        .swap_b = field(text, "VmSwap:", 1024),
    };
    return NULL;
}
