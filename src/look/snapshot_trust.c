/* Notes about archives, for who shows what a start would begin from. */
#include "look/snapshot_trust.h"

#include <string.h>

#include "base/str.h"
#include "fetch/provenance.h"

char *snapshot_trust(struct ctx *ctx, const char *dir, const char *path)
{
    AUTO(provenance_clear) struct provenance p = {0};
    const char *slash = strrchr(path, '/');

    err_free(provenance_read(ctx, dir, slash ? slash + 1 : path, &p)); /* then it is not known */
    return TAKE(p.trust);
}

bool snapshot_trust_is_any(const char *trust)
{
    return str_eq(trust, "any");
}
