/* Flags of the start that decide what it begins from, and where that lies (agave-validator 3.0.14,
 * commands/run/args.rs).
 */
#include "look/snapshot_rules.h"

#include <string.h>

#include "base/str.h"

#define USE             "--use-snapshot-archives-at-startup"
#define FULL_DIR        "--full-snapshot-archive-path"
#define INCREMENTAL_DIR "--incremental-snapshot-archive-path"
#define SHRED_VERSION   "--expected-shred-version"

/* "--flag=value", or the word after it; NULL: not given. */
static const char *value_of(const struct strlist *args, const char *flag)
{
    size_t n = strlen(flag);

    for (size_t i = 0; i < args->n; i++) {
        const char *a = args->items[i];

        if (str_starts(a, flag) && a[n] == '=')
            return a + n + 1;
        if (str_eq(a, flag) && i + 1 < args->n)
            return args->items[i + 1];
    }
    return NULL;
}

struct snapload_rules snapshot_rules(const struct config *cfg, const struct agave_version *v)
{
    struct snapload_rules r = {.version = *v};
    const char *use = cfg ? value_of(&cfg->validator.args, USE) : NULL;

    if (str_eq(use, "always"))
        r.use = SNAPLOAD_ALWAYS;
    else if (str_eq(use, "never"))
        r.use = SNAPLOAD_NEVER;
    r.no_snapshots = cfg && strlist_has(&cfg->validator.args, "--no-snapshots");
    return r;
}

struct known_u64 snapshot_shred_version(const struct config *cfg)
{
    const char *text = value_of(&cfg->validator.args, SHRED_VERSION);
    struct known_u64 v = {0};
    struct err *e = text ? parse_u64(text, 1, UINT16_MAX, &v.v) : NULL;

    v.known = text && !e;
    err_free(e); /* the validator itself refuses it */
    return v;
}

struct snapdirs snapshot_dirs_of(const struct strlist *args, const char *dir)
{
    return (struct snapdirs){.dir = dir,
                             .full = value_of(args, FULL_DIR),
                             .incremental = value_of(args, INCREMENTAL_DIR)};
}

struct snapdirs snapshot_dirs(const struct config *cfg)
{
    return snapshot_dirs_of(&cfg->validator.args, cfg->validator.snapshots);
}
