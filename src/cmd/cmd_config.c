/* agavectl config: what the config says, where each value comes from, and whether it holds. */
#include "cmd/cmd.h"

#include <stdlib.h>

#include "base/json.h"
#include "cmd/commands.h"
#include "config/config.h"

struct show_opts {
    bool origin;
};

static const struct opt show_options[] = {
    {.type = OPT_FLAG,
     .lng = "origin",
     .help = "say where each value comes from",
     .offset = offsetof(struct show_opts, origin)},
    {0},
};

static char *origin_of(const struct config *c, size_t i)
{
    return c->lines[i] ? xasprintf("%s:%u", c->file, c->lines[i]) : xstrdup("default");
}

static void show_json(const struct config *c, struct out *out)
{
    struct json *doc = answer_new(), *keys = json_new_object();

    for (size_t i = 0; i < config_keys_n(); i++) {
        struct json *key = json_new_object();
        AUTO(freep) char *origin = origin_of(c, i);

        json_put(key, "value", config_json_shown(c, &config_keys[i]));
        json_put(key, "origin", json_new_str(origin));
        json_put(keys, config_keys[i].name, key);
    }
    json_put(doc, "file", json_new_str(c->file));
    json_put(doc, "keys", keys);
    out_json(out, doc);
}

static struct err *config_show(struct ctx *ctx, const void *opts, int argc, char **argv,
                               struct out *out)
{
    static const char *const plain[] = {"key", "value", NULL};
    static const char *const origins[] = {"key", "value", "origin", NULL};
    const struct show_opts *o = opts;
    AUTO(table_freep) struct table *t = NULL;

    if (out->json) {
        show_json(ctx->cfg, out);
        return NULL;
    }
    t = table_new(o->origin ? origins : plain);
    for (size_t i = 0; i < config_keys_n(); i++) {
        AUTO(freep) char *value = config_value_shown(ctx->cfg, &config_keys[i]);
        AUTO(freep) char *origin = origin_of(ctx->cfg, i);
        const char *cells[] = {config_keys[i].name, value, origin};

        table_row(t, cells);
    }
    table_print(t, out);
    return NULL;
}

/* A config that could be loaded has passed every check. */
static struct err *config_check(struct ctx *ctx, const void *opts, int argc, char **argv,
                                struct out *out)
{
    if (out->json) {
        struct json *doc = answer_new();

        json_put(doc, "file", json_new_str(ctx->cfg->file));
        json_put(doc, "ok", json_new_bool(true));
        out_json(out, doc);
    } else {
        out_printf(out, "%s: ok\n", ctx->cfg->file);
    }
    return NULL;
}

static struct err *config_print_example(struct ctx *ctx, const void *opts, int argc, char **argv,
                                        struct out *out)
{
    AUTO(freep) char *text = config_example();

    out_printf(out, "%s", text);
    return NULL;
}

static const struct cmd show_cmd = {
    .name = "show",
    .summary = "print every key and its value",
    .usage = "",
    .detail = "Prints the effective value of every key: from the file, or its default.",
    .example = "agavectl config show --origin",
    .flags = CMD_CONFIG | CMD_JSON,
    .opts = show_options,
    .opts_size = sizeof(struct show_opts),
    .run = config_show,
};
static const struct cmd check_cmd = {
    .name = "check",
    .summary = "say whether the config is good",
    .usage = "",
    .detail = "Reads the config and names every fault with its line: unknown and duplicate keys, "
              "wrong types, values out of range, contradictions. Exit code 2 when there is one.",
    .example = "agavectl --config ./agavectl.yaml config check",
    .flags = CMD_CONFIG | CMD_JSON,
    .run = config_check,
};
static const struct cmd example_cmd = {
    .name = "example",
    .summary = "print a commented config with every key",
    .usage = "",
    .detail = "Prints every key at its default, with what it means. A config needs only the keys "
              "that differ.",
    .example = "agavectl config example > agavectl.yaml",
    .run = config_print_example,
};
static const struct cmd *const config_subs[] = {&check_cmd, &example_cmd, &cmd_config_init,
                                                &show_cmd, NULL};

const struct cmd cmd_config = {
    .name = "config",
    .summary = "make, show and check the config",
    .usage = "",
    .detail = "The config is one YAML file. Which one is used is said in 'agavectl --help'.",
    .subs = config_subs,
};
