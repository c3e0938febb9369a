/* agavectl-lab-world: a small Solana cluster in one process, for the lab. It has an entrypoint, RPC
 * nodes with snapshots, a leader that makes blocks and sends them by turbine, and repair. It does
 * not speak gossip (lab/node/hello.h) and executes no transaction. */
#include "lab/world/world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/str.h"
#include "io/clock.h"
#include "lab/node/args.h"

#define SLOT_NS 400000000u

static const struct arg_spec specs[] = {
    {"dir", 0, ARG_VALUE, "DIR"},
    {"bind", 0, ARG_VALUE, "ADDRESS"},
    {"gossip-port", 0, ARG_VALUE, "PORT"},
    {"rpc-port", 0, ARG_VALUE, "PORT"},
    {"repair-port", 0, ARG_VALUE, "PORT"},
    {"tvu", 0, ARG_VALUE, "HOST:PORT"},
    {"seed", 0, ARG_VALUE, "NUMBER"},
    {"time-scale", 0, ARG_VALUE, "NUMBER"},
    {"snapshot-interval", 0, ARG_VALUE, "SLOTS"},
    {"full-snapshot-interval", 0, ARG_VALUE, "SLOTS"},
    {"start-slot", 0, ARG_VALUE, "SLOT"},
    {"ready-file", 0, ARG_VALUE, "FILE"},
    {"turbine-coverage", 0, ARG_VALUE, "PERCENT"},
    {"repair-recent-slots", 0, ARG_VALUE, "SLOTS"},
    {"repair-old-per-s", 0, ARG_VALUE, "SHREDS"},
    {"sets", 0, ARG_VALUE, "NUMBER"},
    {"nodes", 0, ARG_VALUE, "NUMBER"},
    {"members", 0, ARG_VALUE, "NUMBER"},
    {"spread", 0, ARG_FLAG, NULL},
    {"help", 'h', ARG_FLAG, NULL},
};

static void usage(void)
{
    puts("agavectl-lab-world --dir DIR [options]\n"
         "A simulated Solana cluster for 'agavectl lab': entrypoint, RPC nodes, leader, repair.\n");
    for (size_t i = 0; i < ARRAY_LEN(specs); i++)
        printf("  --%s %s\n", specs[i].name, specs[i].value ? specs[i].value : "");
}

void world_opts_clear(struct world_opts *o)
{
    free(o->dir);
    free(o->bind);
    free(o->ready_file);
    *o = (struct world_opts){0};
}

static struct err *parse_addr(const char *text, struct sockaddr_in *ret)
{
    const char *colon = strrchr(text, ':');
    AUTO(freep) char *host = colon ? xstrndup(text, (size_t)(colon - text)) : xstrdup(text);
    uint64_t port = 0;

    if (!colon)
        return err_new(ERR_BADINPUT, "'%s' is not HOST:PORT", text);
    TRY(parse_u64(colon + 1, 1, UINT16_MAX, &port));
    *ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &ret->sin_addr) != 1)
        return err_new(ERR_BADINPUT, "'%s' is no IPv4 address", host);
    return NULL;
}

static struct err *parse_lists(const struct args *a, struct world_opts *o)
{
    AUTO(strlist_clear) struct strlist rpcs = {0};
    AUTO(strlist_clear) struct strlist tvus = {0};

    args_all(a, "rpc-port", &rpcs);
    args_all(a, "tvu", &tvus);
    if (!rpcs.n)
        strlist_add(&rpcs, "8899");
    if (rpcs.n > WORLD_RPC_MAX || tvus.n > WORLD_TVU_MAX)
        return err_new(ERR_BADINPUT, "at most %d of --rpc-port and of --tvu", WORLD_RPC_MAX);
    for (size_t i = 0; i < rpcs.n; i++) {
        uint64_t port;

        TRY_CTX(parse_u64(rpcs.items[i], 1, UINT16_MAX, &port), "--rpc-port");
        o->rpc_ports[o->rpc_n++] = (uint16_t)port;
    }
    for (size_t i = 0; i < tvus.n; i++)
        TRY_CTX(parse_addr(tvus.items[i], &o->tvus[o->tvu_n++]), "--tvu");
    return NULL;
}

static struct err *parse_faults(const struct args *a, struct world_opts *o)
{
    uint64_t coverage;

    for (size_t i = 0; i < WORLD_FAULTS_N; i++)
        o->faults[i] = world_faults[i].normal;
    TRY(args_u64(a, "turbine-coverage", 0, 100, 100, &coverage));
    o->faults[WORLD_SHRED_LOSS] = 100 - coverage;
    TRY(args_u64(a, "repair-recent-slots", 0, UINT32_MAX, o->faults[WORLD_REPAIR_RECENT],
                 &o->faults[WORLD_REPAIR_RECENT]));
    return args_u64(a, "repair-old-per-s", 0, 1000000, o->faults[WORLD_REPAIR_OLD],
                    &o->faults[WORLD_REPAIR_OLD]);
}

static struct err *parse_opts(const struct args *a, struct world_opts *o)
{
    uint64_t gossip = 0, repair = 0;

    if (!args_has(a, "dir"))
        return err_new(ERR_BADINPUT, "--dir is needed");
    o->dir = xstrdup(args_get(a, "dir", ""));
    o->bind = xstrdup(args_get(a, "bind", "127.0.0.1"));
    o->ready_file = args_has(a, "ready-file") ? xstrdup(args_get(a, "ready-file", "")) : NULL;
    TRY(args_u64(a, "gossip-port", 1, UINT16_MAX, 8001, &gossip));
    TRY(args_u64(a, "repair-port", 1, UINT16_MAX, 8013, &repair));
    o->gossip_port = (uint16_t)gossip;
    o->repair_port = (uint16_t)repair;
    TRY(args_u64(a, "seed", 0, UINT64_MAX, 1, &o->seed));
    TRY(args_u64(a, "time-scale", 1, 20, 1, &o->time_scale));
    TRY(args_u64(a, "snapshot-interval", 10, 100000, 100, &o->snapshot_interval));
    TRY(args_u64(a, "full-snapshot-interval", 10, 1000000, 1000, &o->full_interval));
    TRY(args_u64(a, "start-slot", 0, (uint64_t)1 << 40, 1500, &o->start_slot));
    TRY(args_u64(a, "sets", 1, 64, 2, &o->sets));
    TRY(args_u64(a, "nodes", 0, WORLD_NODES_MAX - WORLD_RPC_MAX, 0, &o->nodes));
    TRY(args_u64(a, "members", 0, 100000, 0, &o->members));
    o->spread = args_has(a, "spread");
    TRY(parse_faults(a, o));
    return parse_lists(a, o);
}

static struct err *open_udp(const char *host, uint16_t port, int *ret)
{
    AUTO(closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};

    if (fd < 0)
        return err_sys(errno, "cannot open a UDP socket");
    if (inet_pton(AF_INET, host, &addr.sin_addr) != 1)
        return err_new(ERR_BADINPUT, "'%s' is no IPv4 address", host);
    if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
        return err_sys(errno, "cannot bind UDP %s:%u", host, port);
    *ret = TAKE_FD(fd);
    return NULL;
}

/* SIGTERM and SIGINT arrive as readable bytes; every thread inherits the mask. */
static struct err *open_signals(struct world *w)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    w->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    return w->signal_fd < 0 ? err_sys(errno, "cannot watch signals") : NULL;
}

/* A listening socket for each node, and one more for each that has a client. */
static void raise_files(void)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) < 0)
        return;
    l.rlim_cur = l.rlim_max;
    (void)!setrlimit(RLIMIT_NOFILE, &l); /* too few: the sockets say so */
}

static struct err *open_world(struct world *w)
{
    struct ed25519_key vote;

    w->slot_ns = SLOT_NS / w->o.time_scale;
    memcpy(w->faults, w->o.faults, sizeof(w->faults));
    w->old_budget_at_ns = clock_system.mono_ns();
    genesis_from_seed(w->o.seed, &w->genesis);
    shredder_leader_from_seed(w->o.seed, &w->shredder.leader);
    shredder_leader_from_seed(w->o.seed + 1, &vote);
    memcpy(w->vote, vote.public, 32);
    w->shredder.version = w->genesis.shred_version;
    w->shredder.sets = (unsigned)w->o.sets;
    raise_files();
    TRY(open_signals(w));
    TRY(world_make_dirs(w));
    TRY(genesis_write(w->o.dir, w->o.seed));
    TRY(open_udp(w->o.bind, w->o.gossip_port, &w->gossip_fd));
    TRY(open_udp(w->o.bind, w->o.repair_port, &w->repair_fd));
    TRY(open_udp(w->o.bind, 0, &w->turbine_fd));
    TRY(world_make_history(w));
    w->genesis_s = clock_system.wall_ms() / 1000 - chain_last(w->chain) * w->slot_ns / 1000000000;
    TRY(world_open_nodes(w));
    TRY(ip_echo_server_open(w->o.bind, w->o.gossip_port, w->genesis.shred_version, &w->ip_echo));
    return world_open_control(w);
}

uint64_t world_fault(struct world *w, enum world_fault f)
{
    uint64_t value;

    pthread_mutex_lock(&w->lock);
    value = w->faults[f];
    pthread_mutex_unlock(&w->lock);
    return value;
}

static void close_world(struct world *w)
{
    w->control = admin_server_close(w->control);
    w->ip_echo = ip_echo_server_close(w->ip_echo);
    world_close_nodes(w);
    for (size_t i = 0; i < WORLD_RECENT; i++)
        block_clear(&w->recent[i]);
    for (size_t i = 0; i < WORLD_OLD; i++)
        block_clear(&w->old[i]);
    closep(&w->gossip_fd);
    closep(&w->repair_fd);
    closep(&w->turbine_fd);
    closep(&w->signal_fd);
    chain_free(w->chain);
    free(w->links);
    free(w->snapshots);
    for (size_t m = 0; m < MIRRORS_N; m++)
        free(w->mirrors[m]);
    pthread_mutex_destroy(&w->lock);
    pthread_mutex_destroy(&w->files_lock);
    world_opts_clear(&w->o);
}

/* Serves the sockets until the moment at_ns or a signal. True: a signal came. */
static bool serve_until(struct world *w, uint64_t at_ns)
{
    for (;;) {
        uint64_t now = clock_system.mono_ns();
        struct pollfd fds[] = {{.fd = w->gossip_fd, .events = POLLIN},
                               {.fd = w->repair_fd, .events = POLLIN},
                               {.fd = w->signal_fd, .events = POLLIN}};
        struct timespec left = {0};

        if (at_ns > now)
            left = (struct timespec){.tv_sec = (time_t)((at_ns - now) / 1000000000),
                                     .tv_nsec = (long)((at_ns - now) % 1000000000)};
        if (ppoll(fds, ARRAY_LEN(fds), &left, NULL) <= 0 && clock_system.mono_ns() >= at_ns)
            return false;
        if (fds[2].revents)
            return true;
        if (fds[0].revents)
            world_answer_hello(w);
        if (fds[1].revents)
            world_answer_repair(w);
        if (clock_system.mono_ns() >= at_ns)
            return false;
    }
}

/* One slot after another, each block's sets spread over its slot. A world that falls behind its
 * clock goes on from now: it must not flood a host to make up. */
static struct err *world_run(struct world *w)
{
    uint64_t start = clock_system.mono_ns();

    for (;; start += w->slot_ns) {
        const struct block *b = NULL;
        uint64_t now = clock_system.mono_ns();
        size_t sets;

        if (now > start + 8 * w->slot_ns)
            start = now;
        TRY(world_make_slot(w, &b));
        sets = b ? b->n : 0;
        for (size_t i = 0; i < sets; i++) {
            if (serve_until(w, start + (i + 1) * w->slot_ns / (sets + 1)))
                return NULL;
            world_send_set(w, b, i);
        }
        if (serve_until(w, start + w->slot_ns))
            return NULL;
    }
}

static struct err *write_ready(const struct world *w)
{
    int fd = w->o.ready_file ? open(w->o.ready_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644) : -2;

    if (fd == -1)
        return err_sys(errno, "cannot create '%s'", w->o.ready_file);
    if (fd >= 0)
        close(fd);
    return NULL;
}

static struct err *run(char **argv, struct world *w)
{
    AUTO(args_clear) struct args args = {0};

    TRY(args_parse(specs, ARRAY_LEN(specs), argv, &args));
    if (args.rest.n)
        return err_new(ERR_BADINPUT, "Found argument '%s' which wasn't expected",
                       args.rest.items[0]);
    if (args_has(&args, "help")) {
        usage();
        return NULL;
    }
    TRY(parse_opts(&args, &w->o));
    TRY(open_world(w));
    TRY(write_ready(w));
    return world_run(w);
}

int main(int argc, char **argv)
{
    struct world w = {.gossip_fd = -1,
                      .repair_fd = -1,
                      .turbine_fd = -1,
                      .signal_fd = -1,
                      .lock = PTHREAD_MUTEX_INITIALIZER,
                      .files_lock = PTHREAD_MUTEX_INITIALIZER};
    AUTO(err_freep) struct err *e = run(argv, &w);

    close_world(&w);
    if (e)
        fprintf(stderr, "agavectl-lab-world: %s\n", e->text);
    return err_exit_code(e);
}
