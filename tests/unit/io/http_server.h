#pragma once

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

/* A small HTTP server on 127.0.0.1 that misbehaves on request; one thread for each connection. */
#define SERVER_CONNS_MAX 1024
#define SERVER_FLOW_B    (4U << 20) /* of /flow: each byte is the low one of its offset */
struct server {
    int fd, port;
    pthread_t thread, conns[SERVER_CONNS_MAX];
    atomic_int n_conns, n_proxied;
    volatile sig_atomic_t cancel; /* set when /cancel is asked for */

    pthread_mutex_t lock; /* for what follows: /hold */
    pthread_cond_t changed;
    int holding, peak, hold_until;
    bool released;
    long long last_ms;
    long long pour_ms; /* of /share-N: when it began */
    atomic_size_t poured;
};

struct server *server_start(void);
void server_stop(struct server *s);
/* A port that takes no further connection: connecting to it hangs. fds: 3 to be closed. */
int dead_port(int fds[3]);
