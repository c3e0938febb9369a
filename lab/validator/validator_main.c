/* agavectl-lab-validator: stands in for agave-validator 3.0.14 in the lab. Same flags, files, ports
 * and answers; it replays ticks, has no accounts and casts no votes. */
#include "lab/validator/validator.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <poll.h>

#include "io/clock.h"
#include "io/fsroot.h"
#include "io/http.h"
#include "io/proc.h"
#include "solana/admin.h"

#define EXIT_SLOTS 3 /* a clean end takes so many slots at least */

bool validator_rest(struct validator *v, uint64_t wait_ms)
{
    struct pollfd p = {.fd = v->exit_fd, .events = POLLIN};

    return poll(&p, 1, wait_ms > INT32_MAX ? INT32_MAX : (int)wait_ms) > 0;
}

bool validator_exiting(struct validator *v)
{
    return validator_rest(v, 0);
}

void validator_exit(struct validator *v)
{
    uint64_t one = 1;

    v->cancelled = 1; /* a word of its own, read as a signal handler's flag is */
    (void)!write(v->exit_fd, &one, sizeof(one)); /* an eventfd takes it */
}

void validator_phase(struct validator *v, enum phase phase, uint64_t slot, uint64_t max_slot)
{
    pthread_mutex_lock(&v->lock);
    v->phase = phase;
    v->phase_slot = slot;
    v->phase_max = max_slot;
    pthread_mutex_unlock(&v->lock);
}

bool validator_hello(struct validator *v, struct hello *ret, char host[static 16])
{
    bool known;

    pthread_mutex_lock(&v->lock);
    known = v->hello_known;
    *ret = v->hello;
    memcpy(host, v->hello_host, 16);
    pthread_mutex_unlock(&v->lock);
    return known;
}

uint16_t validator_shred_version(struct validator *v)
{
    struct hello hello;
    char host[16];

    if (v->o.expected_shred_version)
        return v->o.expected_shred_version;
    return validator_hello(v, &hello, host) ? hello.shred_version : v->genesis.shred_version;
}

uint64_t validator_slot_ns(struct validator *v)
{
    struct hello hello;
    char host[16];

    return validator_hello(v, &hello, host) ? hello.slot_us * 1000ull : 400000000ull;
}

/* SIGUSR1 opens the log anew. SIGTERM and SIGINT keep their default, as with Agave: no handler. */
static void *wait_signals(void *arg)
{
    struct validator *v = arg;
    struct timespec second = {.tv_sec = 1};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    while (!validator_exiting(v))
        if (sigtimedwait(&set, NULL, &second) == SIGUSR1)
            agave_log_reopen(v->log);
    return NULL;
}

static struct err *start(pthread_t *thread, bool *on, const char *name, void *(*fn)(void *),
                         struct validator *v)
{
    int error = pthread_create(thread, NULL, fn, v);

    if (error)
        return err_sys(error, "cannot start a thread");
    *on = true;
    pthread_setname_np(*thread, name);
    return NULL;
}

static struct err *start_services(struct validator *v)
{
    validator_phase(v, PHASE_STARTING_SERVICES, 0, 0);
    TRY(ip_echo_server_open(v->o.bind, v->ports[PORT_GOSSIP], validator_shred_version(v),
                            &v->ip_echo));
    TRY(start(&v->receive, &v->receive_on, "solRcvrShred00", validator_receive, v));
    TRY(start(&v->repair, &v->repair_on, "solRepairSvc", validator_repair, v));
    TRY(start(&v->replay, &v->replay_on, "solReplayStage", validator_replay, v));
    agave_log_point(v->log,
                    "validator-new id=\"%s\" version=\"3.0.14 (src:00000000; feat:3604001754, "
                    "client:Agave)\" cluster_type=3i waited_for_supermajority=false "
                    "shred_version=%ui",
                    v->id, validator_shred_version(v));
    return NULL;
}

static void mark_complete(struct validator *v)
{
    int fd = v->o.init_complete_file
                 ? open(v->o.init_complete_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644)
                 : -1;

    if (fd >= 0)
        close(fd);
    validator_phase(v, PHASE_RUNNING, 0, 0);
    agave_log_info(v->log, "agave_validator::commands::run::execute", "Validator initialized");
}

static void join(pthread_t thread, bool *on)
{
    if (*on)
        pthread_join(thread, NULL);
    *on = false;
}

/* The clean end: threads, ledger, servers, and the socket file last but the lock. */
static struct err *stop(struct validator *v)
{
    struct err *e = NULL;

    validator_exit(v);
    join(v->gossip, &v->gossip_on);
    join(v->receive, &v->receive_on);
    join(v->repair, &v->repair_on);
    join(v->replay, &v->replay_on);
    join(v->signals, &v->signals_on);
    v->ip_echo = ip_echo_server_close(v->ip_echo);
    v->rpc = rpc_pool_close(v->rpc);
    if (v->ledger)
        e = ledger_close(v->ledger);
    v->admin = admin_server_close(v->admin);
    return e;
}

/* The log becomes standard error as well, as with Agave: what a library prints is not lost. */
static struct err *open_log(struct validator *v, char **argv)
{
    AUTO(strbuf_clear) struct strbuf args = {0};
    int fd;

    TRY(agave_log_open(v->o.log, &v->log));
    if (!str_eq(v->o.log, "-")) {
        printf("log file: %s\n", v->o.log);
        fflush(stdout);
        fd = open(v->o.log, O_WRONLY | O_APPEND | O_CLOEXEC);
        if (fd >= 0) {
            dup2(fd, STDERR_FILENO);
            close(fd);
        }
    }
    for (size_t i = 0; argv[i]; i++)
        strbuf_printf(&args, "%s\"%s\"", i ? ", " : "", argv[i]);
    agave_log_info(v->log, "agave_validator::commands::run::execute",
                   "agave-validator 3.0.14 (src:00000000; feat:3604001754, client:Agave)");
    agave_log_info(v->log, "agave_validator::commands::run::execute",
                   "Starting validator with: ArgsOs { inner: [%s] }", strbuf_text(&args));
    return NULL;
}

/* What Agave's threads take to end, in the cluster's time. */
static void rest_before_end(struct validator *v)
{
    uint64_t ns = validator_slot_ns(v) * EXIT_SLOTS;
    struct timespec step = {.tv_sec = (time_t)(ns / 1000000000),
                            .tv_nsec = (long)(ns % 1000000000)};

    nanosleep(&step, NULL);
}

/* A drill's validator that does not end: as long as the file that this names is there. */
static void linger(void)
{
    const char *file = getenv("AGAVECTL_LAB_LINGER");
    struct timespec step = {.tv_nsec = 100000000};

    while (file && access(file, F_OK) == 0)
        nanosleep(&step, NULL);
}

static struct err *run(struct validator *v)
{
    TRY(start(&v->signals, &v->signals_on, "solSigUsr1", wait_signals, v));
    TRY(validator_boot(v));
    if (!validator_exiting(v)) {
        TRY(start_services(v));
        mark_complete(v);
    }
    while (!validator_rest(v, INT32_MAX))
        ;
    agave_log_info(v->log, "solana_core::validator", "validator exit requested");
    rest_before_end(v);
    linger();
    return NULL;
}

static int run_validator(struct validator *v, char **argv)
{
    AUTO(err_freep) struct err *e = NULL;
    AUTO(err_freep) struct err *e2 = NULL;
    sigset_t set;

    /* Every thread inherits this: only the signal thread takes it. */
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    v->start_ns = clock_system.wall_ms() * 1000000;
    e = open_log(v, argv);
    if (!e)
        e = run(v);
    e2 = stop(v);
    if (e && e->kind == ERR_CANCELLED)
        e = err_free(e);
    if (e && e->kind == ERR_REFUSED) {
        fprintf(stderr, "Error: %s\n", e->text);
    } else if (e || e2) {
        if (v->log)
            agave_log_error(v->log, "agave_validator", "Failed to start validator: %s",
                            e ? e->text : e2->text);
        fprintf(stderr, "Validator command failed: %s\n", e ? e->text : e2->text);
    }
    return e || e2 ? 1 : 0;
}

static struct err *process_gone(struct ctx *ctx, void *arg, bool *ret_done)
{
    const uint64_t *pid = arg;

    *ret_done = kill((pid_t)*pid, 0) < 0 && errno == ESRCH;
    return NULL;
}

/* "exit": always as with --force; a restart window is not waited for. */
static int run_exit(struct validator *v)
{
    AUTO(freep) char *ledger = realpath(v->o.ledger, NULL);
    const char *where = ledger ? ledger : v->o.ledger;
    uint64_t pid = 0;
    AUTO(err_freep) struct err *e = admin_pid(&v->ctx, where, 10000, &pid);

    if (!e)
        e = admin_exit(&v->ctx, where, 10000);
    if (e) {
        printf("Validator command failed: admin rpc error: %s\n", e->text);
        return 1;
    }
    puts("Exit request sent");
    if (v->o.no_wait)
        return 0;
    printf("Waiting for agave-validator process %llu to terminate\n", (unsigned long long)pid);
    fflush(stdout);
    e = wait_until(&v->ctx, "the validator's end", 600000, 200, process_gone, &pid);
    printf("Done, agave-validator process %llu has terminated\n", (unsigned long long)pid);
    return e ? 1 : 0;
}

static void clear(struct validator *v)
{
    for (size_t i = 0; i < PORTS_N; i++)
        closep(&v->fds[i]);
    closep(&v->exit_fd);
    closep(&v->lock_fd);
    v->banks = banks_free(v->banks);
    ed25519_wipe(&v->key, sizeof(v->key));
    v->log = agave_log_close(v->log);
    fsroot_close(v->ctx.root);
    validator_opts_clear(&v->o);
}

static int run_command(struct validator *v, enum validator_command command, char **argv)
{
    switch (command) {
    case VALIDATOR_VERSION:
        puts("agavectl-lab-validator " AGAVECTL_VERSION " (stand-in for agave-validator 3.0.14)");
        return 0;
    case VALIDATOR_HELP:
        validator_opts_usage();
        return 0;
    case VALIDATOR_EXIT:
        return run_exit(v);
    case VALIDATOR_RUN:
        return run_validator(v, argv);
    }
    return 1;
}

int main(int argc, char **argv)
{
    struct validator v = {.lock_fd = -1,
                          .lock = PTHREAD_MUTEX_INITIALIZER,
                          .write_lock = PTHREAD_MUTEX_INITIALIZER,
                          .exit_fd = eventfd(0, EFD_CLOEXEC)};
    enum validator_command command = VALIDATOR_RUN;
    AUTO(err_freep) struct err *e = NULL;
    int code;

    for (size_t i = 0; i < PORTS_N; i++)
        v.fds[i] = -1;
    v.ctx = (struct ctx){.proc = &proc_system,
                         .http = &http_curl,
                         .clock = &clock_system,
                         .cancelled = &v.cancelled};
    e = fsroot_open("/", &v.ctx.root);
    if (!e)
        e = validator_opts_parse(argv, &v.o, &command);
    if (e)
        fprintf(stderr, "error: %s\n", e->text);
    code = e ? 1 : run_command(&v, command, argv);
    clear(&v);
    return code;
}
