/* What a start fetches from the entrypoint's RPC node: the genesis when the ledger has none, and
 * snapshots when the local ones are missing or too old. Downloads as Agave does it: whole files,
 * into remote/, under a temporary name until complete. */
#include "lab/validator/validator.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "io/clock.h"
#include "io/http.h"
#include "solana/rpc.h"

#define CONNECT_MS  5000
#define MIN_RATE    1024 /* bytes a second; slower for a minute is given up */
#define MAX_BYTES_B ((uint64_t)1 << 40)

struct sink {
    int fd;
};

static struct err *sink_data(void *arg, const void *data, size_t n)
{
    struct sink *s = arg;
    const char *p = data;

    while (n > 0) {
        ssize_t w = write(s->fd, p, n);

        if (w < 0)
            return err_sys(errno, "cannot write a download");
        p += w;
        n -= (size_t)w;
    }
    return NULL;
}

/* url → dir/name through dir/tmp-name. */
static struct err *download(struct validator *v, const char *url, const char *dir, const char *name)
{
    AUTO(freep) char *tmp = xasprintf("%s/tmp-%s", dir, name);
    AUTO(freep) char *path = xasprintf("%s/%s", dir, name);
    AUTO(closep) int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    struct sink sink = {.fd = fd};
    struct http_request request = {.method = "GET",
                                   .url = url,
                                   .connect_ms = CONNECT_MS,
                                   .max_body_b = MAX_BYTES_B,
                                   .min_rate_b_s = MIN_RATE,
                                   .min_rate_s = 60,
                                   .on_data = sink_data,
                                   .arg = &sink};
    AUTO(http_response_clear) struct http_response response = {0};

    if (fd < 0)
        return err_sys(errno, "cannot create '%s'", tmp);
    TRY(http_one(&v->ctx, &request, &response));
    if (response.status != 200)
        return err_remote(response.status, "'%s' answered %d", url, response.status);
    if (close(TAKE_FD(fd)) < 0 || rename(tmp, path) < 0)
        return err_sys(errno, "cannot write '%s'", path);
    return NULL;
}

/* "http://host:port" of the RPC node, waited for a while as Agave searches for one. */
static struct err *find_rpc(struct validator *v, char **ret)
{
    struct hello hello;
    char host[16];

    validator_phase(v, PHASE_SEARCHING, 0, 0);
    while (!validator_hello(v, &hello, host))
        if (validator_rest(v, 100))
            return err_new(ERR_CANCELLED, "exit requested");
    *ret = xasprintf("http://%s:%u", host, hello.rpc_port);
    return NULL;
}

struct err *validator_fetch_genesis(struct validator *v)
{
    AUTO(freep) char *rpc = NULL;
    AUTO(freep) char *url = NULL;

    TRY(find_rpc(v, &rpc));
    url = xasprintf("%s/genesis.tar.bz2", rpc);
    return download(v, url, v->o.ledger, "genesis.tar.bz2");
}

/* Follows an alias by hand: the name is in the redirect, and the file must keep it. */
static struct err *fetch_alias(struct validator *v, const char *rpc, const char *alias,
                               const char *dir)
{
    AUTO(freep) char *url = xasprintf("%s/%s", rpc, alias);
    AUTO(freep) char *file_url = NULL;
    struct http_request request = {.method = "HEAD", .url = url, .timeout_ms = CONNECT_MS};
    AUTO(http_response_clear) struct http_response response = {0};
    struct archive a;

    TRY(http_one(&v->ctx, &request, &response));
    if (response.status == 404)
        return err_new(ERR_NOTFOUND, "'%s' has none", url);
    if (!response.location || response.location[0] != '/' ||
        !archive_parse(response.location + 1, &a))
        return err_remote(response.status, "'%s' leads to no snapshot", url);
    pthread_mutex_lock(&v->lock);
    snprintf(v->phase_addr, sizeof(v->phase_addr), "%.23s", rpc + strlen("http://"));
    pthread_mutex_unlock(&v->lock);
    validator_phase(v, PHASE_DOWNLOADING, a.slot, 0);
    file_url = xasprintf("%s/%s", rpc, a.name);
    agave_log_info(v->log, "solana_file_download", "Downloading from %s...", file_url);
    return download(v, file_url, dir, a.name);
}

/* Is what we have near enough to the cluster's newest snapshot? */
static struct err *local_is_enough(struct validator *v, const char *rpc, bool *ret)
{
    struct archive full, incremental;
    struct rpc_snapshots theirs;
    uint64_t ours, newest;
    struct err *e = archives_highest(v->o.snapshots, &full, &incremental);

    *ret = false;
    if (e && e->kind == ERR_NOTFOUND) {
        err_free(e);
        return NULL;
    }
    TRY(e);
    ours = incremental.slot ? incremental.slot : full.slot;
    TRY(rpc_get_snapshots(&v->ctx, rpc, CONNECT_MS, &theirs));
    newest = theirs.has_incremental ? theirs.incremental : theirs.full;
    *ret = ours + v->o.max_local_age >= newest;
    if (*ret)
        agave_log_info(v->log, "agave_validator::bootstrap",
                       "Reusing local snapshot at slot %llu instead of downloading a snapshot for "
                       "slot %llu.",
                       (unsigned long long)ours, (unsigned long long)newest);
    else
        agave_log_info(v->log, "agave_validator::bootstrap",
                       "Local snapshot from slot %llu is too old. Downloading a newer snapshot for "
                       "slot %llu.",
                       (unsigned long long)ours, (unsigned long long)newest);
    return NULL;
}

struct err *validator_fetch_snapshots(struct validator *v)
{
    AUTO(freep) char *rpc = NULL;
    AUTO(freep) char *remote = xasprintf("%s/remote", v->o.snapshots);
    struct err *e;
    bool enough;

    TRY(find_rpc(v, &rpc));
    TRY(local_is_enough(v, rpc, &enough));
    if (enough)
        return NULL;
    if (mkdir(remote, 0755) < 0 && errno != EEXIST)
        return err_sys(errno, "cannot make '%s'", remote);
    TRY(fetch_alias(v, rpc, "snapshot.tar.bz2", remote));
    e = fetch_alias(v, rpc, "incremental-snapshot.tar.bz2", remote);
    if (e && e->kind == ERR_NOTFOUND) /* none since the full one */
        return err_free(e);
    return e;
}
