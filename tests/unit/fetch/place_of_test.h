#pragma once

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/str.h"
#include "fetch/archive.h"
#include "lab/faults.h"
#include "lab/node/rpc_server.h"

/* A folder to fetch into, and nodes of the lab that have the file. Time runs ten times as fast, so
 * that patience is short. */
#define REAL  "incremental-snapshot-802-1102-AoNd8oJEBQNiREzWyRUXYkwgpteeWNRzDYEY4PYRQ9rM.tar.zst"
#define BIG   "snapshot-7-AoNd8oJEBQNiREzWyRUXYkwgpteeWNRzDYEY4PYRQ9rM.tar.zst"
#define MIB   ((size_t)1 << 20)
#define SIZE  (12 * MIB + 777) /* of BIG, which is noise */
#define NODES 5

struct place_of_test;
struct node_of_test {
    struct place_of_test *of;
    char *dir; /* its own archives; NULL: those of all */
};
struct place_of_test {
    char dir[32];
    struct fsroot *root;
    struct ctx ctx;
    volatile sig_atomic_t cancelled;
    char *from, *to;                    /* folders: of the nodes, of what is fetched */
    struct node_of_test folders[NODES]; /* dir NULL: from */
    char *big;
    struct rpc_pool *pool;
    struct rpc_server *nodes[NODES];
    char *urls[NODES];
    struct fetch_source sources[NODES];
    struct fetch_job job;
    struct strlist dropped, blamed, whole; /* as the callbacks say */
    uint64_t cancel_at_b, told_b;
    unsigned percent;  /* for on_told */
    unsigned told_max; /* cancelled then; 0: never */
    void (*on_told)(struct place_of_test *t);
    unsigned told, finished;
    void (*on_blamed)(struct place_of_test *t);
};

int place_setup(void **state);
int place_teardown(void **state);

void put_file(const char *dir, const char *name, const void *data, size_t n);
/* All nodes are opened anew, the first n are sources of that file. */
void want(struct place_of_test *t, const char *name, size_t n, enum fetch_verify verify);
void fault(struct place_of_test *t, size_t i, enum node_fault f, uint64_t value);
/* That node has other bytes under that name. */
void node_has(struct place_of_test *t, size_t i, const char *name, const void *data, size_t n);
uint64_t sent_b(const struct place_of_test *t);

struct err *get(struct place_of_test *t, struct fetch_report *ret);
void get_well(struct place_of_test *t, struct fetch_report *ret);
void get_badly(struct place_of_test *t, enum err_kind kind, const char *text);
/* Something of that name is in the folder. */
bool there(const struct place_of_test *t, const char *name);
/* The file, and nothing else. */
void expect_file(const struct place_of_test *t, const char *name, const void *data, size_t n);
void expect_big(const struct place_of_test *t);
/* The folder is empty again. */
void begin_again(struct place_of_test *t);
