/* agavectl snapshot serve: the archives of this host for the operator's other hosts. */
#include "cmd/commands.h"

#include <inttypes.h>

#include "base/log.h"
#include "base/str.h"
#include "config/config.h"
#include "fetch/serve.h"
#include "look/snapshot_rules.h"

#define LISTEN "127.0.0.1:8890"

struct serve_cmd_opts {
    const char *dir, *listen;
    struct strlist allow;
    uint64_t max_rate, max_connections;
};

static const struct opt serve_options[] = {
    {.type = OPT_STR,
     .lng = "snapshots",
     .arg = "DIR",
     .help = "the folder with the archives; none: the config's",
     .offset = offsetof(struct serve_cmd_opts, dir)},
    {.type = OPT_STR,
     .lng = "listen",
     .arg = "ADDR:PORT",
     .help = "where to listen (default " LISTEN ")",
     .offset = offsetof(struct serve_cmd_opts, listen)},
    {.type = OPT_LIST,
     .lng = "allow",
     .arg = "CIDR",
     .help = "who may have them: a network or an address; once for each",
     .offset = offsetof(struct serve_cmd_opts, allow)},
    {.type = OPT_SIZE,
     .lng = "max-rate",
     .arg = "SIZE",
     .help = "at most so many bytes a second, of all transfers together",
     .offset = offsetof(struct serve_cmd_opts, max_rate)},
    {.type = OPT_U64,
     .lng = "max-connections",
     .arg = "N",
     .help = "at most so many at once, further ones wait (default 32)",
     .offset = offsetof(struct serve_cmd_opts, max_connections),
     .min = 1,
     .max = 1024,
     .def = 32},
    {0},
};

static void print_address(void *arg, const char *address)
{
    log_note("serving '%s' at http://%s", (const char *)arg, address);
}

static void print_line(void *arg, const char *line)
{
    log_note("%s", line);
}

/* Nobody but this host, unless it is said who: an archive is not secret, but a line and a disk are
 * not everybody's. */
static struct err *who_may(const struct serve_cmd_opts *o, const char *listen, struct nets *ret)
{
    AUTO(strlist_clear) struct strlist self = {0};
    struct sockaddr_storage addr;
    socklen_t n;

    if (o->allow.n)
        return nets_parse(&o->allow, ret);
    strlist_add(&self, "127.0.0.0/8");
    strlist_add(&self, "::1");
    TRY(nets_parse(&self, ret));
    TRY(listen_parse(listen, &addr, &n));
    if (!nets_match(ret, (struct sockaddr *)&addr))
        return err_new(ERR_BADINPUT,
                       "'--listen %s' is for others, and none is allowed; say who with '--allow'",
                       listen);
    return NULL;
}

static struct err *snapshot_serve_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                                      struct out *out)
{
    const struct serve_cmd_opts *o = opts;
    AUTO(nets_clear) struct nets allow = {0};
    struct snapdirs dirs =
        o->dir || !ctx->cfg ? (struct snapdirs){.dir = o->dir} : snapshot_dirs(ctx->cfg);
    const char *dir = dirs.full ? dirs.full : dirs.dir;
    struct serve_opts serve = {.listen = o->listen ? o->listen : LISTEN,
                               .allow = &allow,
                               .rate_b_s = o->max_rate,
                               .max_connections = (uint32_t)o->max_connections,
                               .listening = print_address,
                               .said = print_line};

    if (!dir)
        return err_new(ERR_BADINPUT, "which folder? give --snapshots DIR or --config FILE");
    TRY(who_may(o, serve.listen, &allow));
    serve.dir = dir;
    serve.incr_dir = dirs.incremental ? dirs.incremental : dirs.dir;
    serve.arg = (void *)(uintptr_t)dir;
    return serve_snapshots(ctx, &serve);
}

const struct cmd cmd_snapshot_serve = {
    .name = "serve",
    .summary = "give the archives of this host to your other hosts",
    .usage = "",
    .detail =
        "Serves the archives of the folder with the paths of Agave's RPC port, so that 'agavectl "
        "snapshot get', curl and aria2c can fetch them, and Agave itself behind a proxy that leads "
        "the rest to an RPC port (docs/snapshots.md): /snapshot.tar.bz2 and "
        "/incremental-snapshot.tar.bz2 lead to the newest pair, and /health says ok when there is "
        "a full archive. Unlike Agave it gives any part of a file (Range), so that a download can "
        "use several hosts at once and go on where it stopped. Nothing else is served: no other "
        "file, no link, nothing that is still on its way.\n"
        "Without '--allow' only this host is answered; others are not, with '--allow' those "
        "alone. There is no encryption: use your own network. It changes nothing on the disk, "
        "yields to whatever else the host does, becomes the user who owns the folder when root "
        "starts it, and ends with SIGTERM or an interrupt. It writes a line for each transfer.\n"
        "On the other hosts: name it in snapshot.sources, and in snapshot.trusted_sources when "
        "what it serves is to be trusted.",
    .example = "agavectl snapshot serve --listen 10.0.0.5:8890 --allow 10.0.0.0/24",
    .flags = CMD_CONFIG_MAYBE,
    .opts = serve_options,
    .opts_size = sizeof(struct serve_cmd_opts),
    .run = snapshot_serve_run,
};
