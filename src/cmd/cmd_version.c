/* agavectl version. */
#include "cmd/commands.h"

static struct err *version_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                               struct out *out)
{
    out_printf(out, "agavectl %s\n", AGAVECTL_VERSION);
    if (out->json) {
        struct json *doc = answer_new();

        json_put(doc, "version", json_new_str(AGAVECTL_VERSION));
        out_json(out, doc);
    }
    return NULL;
}

const struct cmd cmd_version = {
    .name = "version",
    .summary = "print the version",
    .usage = "",
    .flags = CMD_JSON,
    .run = version_run,
};
