#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"
#include "io/http.h"

/* What Docker says, read only: no call here changes anything. Docker Engine API 1.41 (Docker
 * 20.10), or the oldest that a newer daemon still speaks. Every answer is outside input: members
 * of a wrong type are ERR_REMOTE, members that are not there are 0, false or NULL. */
#define DOCKER_SOCKET     "/var/run/docker.sock"
#define DOCKER_TIMEOUT_MS 500

/* Where to ask; filled by docker_connect. */
struct docker {
    const char *socket;  /* borrowed */
    uint32_t timeout_ms; /* of each call */
    char api[16];        /* "v1.41": the version that the calls use */
    char version[64];    /* of the daemon: "20.10.24+dfsg1" */
};

/* Asks the daemon for its version. socket NULL: DOCKER_SOCKET; timeout_ms 0: DOCKER_TIMEOUT_MS.
 * The socket lies below ctx->root. Like every call here, blocks at most timeout_ms: ERR_ABSENT (no
 * socket, or nobody listens on it: Docker does not run), ERR_REFUSED (this user may not use it),
 * ERR_BADINPUT (no socket), ERR_TIMEOUT, ERR_REMOTE (an error or nonsense), ERR_CANCELLED. */
struct err *docker_connect(struct ctx *ctx, const char *socket, uint32_t timeout_ms,
                           struct docker *ret) MUST_CHECK;

/* The two halves of docker_connect, for a caller that asks others at the same moment: the question,
 * and what became of it. The place is filled but for the version; q is to be cleared. r->err is
 * handed over, the rest of r stays the caller's. Neither blocks; errors as docker_connect's. */
void docker_ask_version(struct ctx *ctx, const char *socket, uint32_t timeout_ms,
                        struct docker *ret, struct http_question *ret_q);
struct err *docker_take_version(const struct http_question *q, struct http_response *r,
                                struct docker *d) MUST_CHECK;

struct docker_info {
    char *root_dir;          /* "/var/lib/docker" */
    char *driver;            /* of images: "overlay2", "zfs" */
    char *cgroup_driver;     /* "systemd", "cgroupfs", "none" */
    uint32_t cgroup_version; /* 1 or 2; 0: not said */
    bool live_restore;       /* containers live on when the daemon restarts */
};
void docker_info_clear(struct docker_info *i);
struct err *docker_get_info(struct ctx *ctx, const struct docker *d, struct docker_info *ret)
    MUST_CHECK;

/* Label that kind puts on its nodes (kind 0.33, pkg/cluster/constants), with the cluster's name. */
#define DOCKER_KIND_CLUSTER "io.x-k8s.kind.cluster"
#define DOCKER_KIND_ROLE    "io.x-k8s.kind.role"

struct docker_container {
    char *id, *name; /* the name without the slash that Docker puts before it */
    char *image;
    char *state; /* "created", "running", "paused", "restarting", "removing", "exited", "dead" */
    char *kind_cluster, *kind_role; /* of its labels; NULL: not kind's */
};
struct docker_list {
    struct docker_container *items;
    size_t n;
};
void docker_list_clear(struct docker_list *l);
/* Containers, those that do not run as well. name: that name exactly, kind_cluster: the nodes of
 * that cluster, "" of any; each may be NULL. None found is an empty list. */
struct err *docker_list_containers(struct ctx *ctx, const struct docker *d, const char *name,
                                   const char *kind_cluster, struct docker_list *ret) MUST_CHECK;

struct docker_mount {
    char *type; /* "bind", "volume", "tmpfs" */
    char *source, *destination;
    char *mode;
    char *propagation; /* "rprivate", "rslave", "rshared", ...; "": none (a volume) */
    bool rw;
};
struct docker_inspect {
    char *id, *name, *image; /* image: the name that it was made from */
    char *kind_cluster, *kind_role;
    char *status; /* as docker_container's state */
    bool running, oom_killed;
    bool restarting; /* ended, and Docker is about to start it again */
    pid_t pid;       /* of its first process as the host sees it; 0: none */
    int64_t exit_code;
    int64_t started_at, finished_at; /* seconds since 1970; 0: never */
    uint64_t restart_count;
    char *restart_policy; /* "no", "always", "unless-stopped", "on-failure" */
    uint64_t restart_max; /* of on-failure; 0: no limit */
    uint64_t memory_b;    /* limit; 0: none */
    uint64_t memory_reservation_b;
    int64_t memory_swap_b; /* memory and swap together; 0: not set, -1: no limit */
    uint64_t shm_b;
    char *pid_mode, *network_mode, *cgroupns_mode; /* "", "host", "private", "container:ID" */
    bool privileged, oom_kill_disabled;
    char *ip; /* IPv4 on its first network that has one, else NULL */
    struct docker_mount *mounts;
    size_t n_mounts;
};
void docker_inspect_clear(struct docker_inspect *i);
/* By name or id. ERR_NOTFOUND: Docker has no such container. */
struct err *docker_inspect(struct ctx *ctx, const struct docker *d, const char *container,
                           struct docker_inspect *ret) MUST_CHECK;
/* The mount at or next above a path in the container ("/mnt/solana"), or NULL. Borrowed. */
const struct docker_mount *docker_mount_over(const struct docker_inspect *i, const char *path);

/* The parts that look at foreign bytes: body of GET /version, /info, /containers/json and
 * /containers/ID/json. ERR_REMOTE; *ret is written on success only. */
struct err *docker_parse_version(const char *body, size_t n, struct docker *ret) MUST_CHECK;
struct err *docker_parse_info(const char *body, size_t n, struct docker_info *ret) MUST_CHECK;
struct err *docker_parse_list(const char *body, size_t n, struct docker_list *ret) MUST_CHECK;
struct err *docker_parse_inspect(const char *body, size_t n, struct docker_inspect *ret) MUST_CHECK;
