/* A validator that does not end as it should, for the tests of the stop: it takes the ledger's lock
 * and answers on the admin socket as Agave does, and what it does when it is asked to exit is
 * chosen by flags. It ends on SIGTERM.
 *   --ledger DIR   as Agave's
 *   --deaf         closes the admin socket when asked
 *   --halt         stops itself with SIGSTOP when asked
 *   --child        ends when asked and leaves a child that holds the lock
 *   --idle-child   the same, but the child has dropped the lock
 *   --after S      ends with status 0, S seconds after it was asked
 *   --status N     with this one instead
 *   --no-lock      neither lock nor socket
 *   --write FILE   with --no-lock: creates FILE and waits then */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "lab/node/admin_server.h"

struct opts {
    const char *ledger, *write;
    int deaf, halt, child, idle_child, no_lock, status;
    double after; /* seconds; 0: never */
};

static void on_call(void *arg, const char *method, const struct json *params, struct strbuf *result,
                    struct jsonrpc_error *e)
{
    if (str_eq(method, "startProgress"))
        strbuf_puts(result, "\"Running\"");
    else if (str_eq(method, "exit")) {
        strbuf_puts(result, "null");
        sem_post(arg);
    } else
        jsonrpc_fail(e, JSONRPC_METHOD_NOT_FOUND, "Method not found");
}

static int die(const char *what)
{
    fprintf(stderr, "stubborn: %s: %s\n", what, strerror(errno));
    return 1;
}

static void wait_for_ever(void) __attribute__((noreturn));
static void wait_for_ever(void)
{
    for (;;)
        pause();
}

static int take_lock(const char *ledger)
{
    AUTO(freep) char *path = xasprintf("%s/ledger.lock", ledger);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 ? fd : -1;
}

/* The lock ends with the last descriptor of its open file. */
static void leave_child(int lock, const struct opts *o)
{
    pid_t pid = fork();

    if (pid == 0) {
        for (int fd = 3; fd < 64; fd++)
            if (fd != lock || o->idle_child)
                close(fd);
        wait_for_ever();
    }
    _exit(pid < 0);
}

static int run(const struct opts *o)
{
    AUTO(freep) char *path = xasprintf("%s/admin.rpc", o->ledger);
    struct admin_server *server = NULL;
    int lock = take_lock(o->ledger);
    sem_t asked;

    if (lock < 0)
        return die("cannot lock the ledger");
    sem_init(&asked, 0, 0);
    struct err *e = admin_server_open(path, on_call, &asked, &server);
    if (e) {
        fprintf(stderr, "stubborn: %s\n", e->text);
        return 1;
    }
    while (sem_wait(&asked) < 0)
        ;
    if (o->deaf || o->halt || o->child || o->idle_child)
        admin_server_close(server); /* when its answer is out */
    if (o->child || o->idle_child)
        leave_child(lock, o);
    if (o->halt)
        raise(SIGSTOP);
    if (o->after) {
        struct timespec left = {.tv_sec = (time_t)o->after};

        left.tv_nsec = (long)((o->after - (double)left.tv_sec) * 1e9);
        while (nanosleep(&left, &left) < 0)
            ;
        _exit(o->status);
    }
    wait_for_ever();
}

int main(int argc, char **argv)
{
    struct opts o = {0};
    const struct option longs[] = {
        {"ledger", required_argument, NULL, 'l'}, {"write", required_argument, NULL, 'w'},
        {"deaf", no_argument, &o.deaf, 1},        {"halt", no_argument, &o.halt, 1},
        {"child", no_argument, &o.child, 1},      {"idle-child", no_argument, &o.idle_child, 1},
        {"no-lock", no_argument, &o.no_lock, 1},  {"after", required_argument, NULL, 'a'},
        {"status", required_argument, NULL, 's'}, {0}};

    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        if (c == '?')
            return 2;
        if (c == 'l')
            o.ledger = optarg;
        if (c == 'w')
            o.write = optarg;
        if (c == 'a')
            o.after = strtod(optarg, NULL);
        if (c == 's')
            o.status = (int)strtol(optarg, NULL, 10);
    }
    if (!o.ledger)
        return 2;
    if (!o.no_lock)
        return run(&o);
    if (o.write && open(o.write, O_WRONLY | O_CREAT | O_CLOEXEC, 0644) < 0)
        return die("cannot create the file");
    wait_for_ever();
}
