/* A unit_host as members of the status document: unknown is null, never 0. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/str.h"
#include "look/unit_host.h"

static struct json *u64_or_null(struct known_u64 n)
{
    return n.known ? json_new_u64(n.v) : NULL;
}

static struct json *per_s(const struct rate *r, size_t i)
{
    return r->known ? json_new_f64(r->per_s[i]) : NULL;
}

static void put_usage(struct json *j, const struct cgroup_usage *u)
{
    json_put(j, "usage_b", u64_or_null(u->usage_b));
    json_put(j, "anon_b", u64_or_null(u->anon_b));
    json_put(j, "file_b", u64_or_null(u->file_b));
    json_put(j, "shmem_b", u64_or_null(u->shmem_b));
}

struct json *unit_memory_json(const struct unit_host *u)
{
    const struct unit_memory *m = &u->memory;
    const struct cgroup_memory *c = &m->cgroup;
    struct json *j, *group = NULL;

    if (!u->pid)
        return NULL;
    j = json_new_object();
    json_put(j, "resident_b", u64_or_null(m->resident_b));
    json_put(j, "limit_b", u64_or_null(m->limit_b));
    json_put(j, "limit_by",
             !m->limit_b.known ? NULL : json_new_str(m->host_is_limit ? "host" : "cgroup"));
    json_put(j, "held_b", u64_or_null(m->held_b));
    json_put(j, "trend_b_s", per_s(&m->trend, 0));
    json_put(j, "trend_over_ms", m->trend.known ? json_new_u64(m->trend.over_ms) : NULL);
    json_put(j, "limit_in_s", u64_or_null(m->limit_in_s));
    if (m->counted) {
        group = json_new_object();
        json_put(group, "version", json_new_u64((uint64_t)c->version));
        json_put(group, "path", json_new_str(c->path));
        put_usage(group, &c->own);
        json_put(group, "limit_b", u64_or_null(c->limit_b));
        json_put(group, "limit_path", json_new_str(c->limit_path));
        json_put(group, "high_b", u64_or_null(c->high_b));
        json_put(group, "oom_kills", u64_or_null(c->oom_kills));
    }
    json_put(j, "cgroup", group);
    json_put(j, "host_total_b", u64_or_null(m->host.total_b));
    json_put(j, "host_available_b", u64_or_null(m->host.available_b));
    json_put(j, "error", json_new_str(m->error));
    return j;
}

struct json *unit_oom_json(const struct unit_host *u)
{
    struct json *j, *list = NULL;

    if (!u->looked)
        return NULL;
    j = json_new_object();
    json_put(j, "host_kills", u64_or_null(u->memory.host.oom_kills));
    if (u->oom.known)
        list = json_new_array();
    for (size_t i = 0; i < u->oom.kills.n && list; i++) {
        const struct oom_kill *k = &u->oom.kills.items[i];
        struct json *one = json_new_object();
        char at[32];

        json_put(one, "at", json_new_str(fmt_utc(k->at_ms, at, sizeof(at))));
        json_put(one, "pid", json_new_u64((uint64_t)k->pid));
        json_put(one, "name", json_new_str(k->name));
        json_put(one, "cgroup", json_new_str(k->cgroup));
        json_put(one, "by", json_new_str(k->by_limit ? "cgroup" : "host"));
        json_put(one, "own", json_new_bool(unit_host_own_kill(u, k)));
        json_push(list, one);
    }
    json_put(j, "kills", list);
    json_put(j, "error", json_new_str(u->oom.error));
    return j;
}

static struct json *tvu_json(const struct unit_udp *d)
{
    struct json *j = json_new_object();
    struct known_u64 no = {0};

    json_put(j, "port", u64_or_null(d->tvu_port));
    json_put(j, "port_from",
             d->tvu_from == TVU_CONTACT ? json_new_str("contact_info")
             : d->tvu_from == TVU_RANGE ? json_new_str("port_range")
                                        : NULL);
    json_put(j, "sockets",
             u64_or_null(d->tvu_known ? (struct known_u64){true, d->tvu.sockets} : no));
    json_put(j, "rx_queue_b",
             u64_or_null(d->tvu_known ? (struct known_u64){true, d->tvu.rx_queue_b} : no));
    json_put(j, "drops", u64_or_null(d->tvu_known ? (struct known_u64){true, d->tvu.drops} : no));
    json_put(j, "drops_per_s", per_s(&d->tvu_rate, 0));
    json_put(j, "error", json_new_str(d->tvu_error));
    return j;
}

struct json *unit_udp_json(const struct unit_host *u)
{
    const struct unit_udp *d = &u->udp;
    AUTO(freep) char *scope = NULL;
    struct json *j;

    if (!u->pid)
        return NULL;
    j = json_new_object();
    scope = xasprintf("network namespace of process %d", (int)u->pid);
    json_put(j, "scope", json_new_str(scope));
    json_put(j, "in_datagrams", d->known ? json_new_u64(d->counters.in_datagrams) : NULL);
    json_put(j, "in_per_s", per_s(&d->rate, 0));
    json_put(j, "errors_per_s", per_s(&d->rate, 1));
    json_put(j, "rcvbuf_errors_per_s", per_s(&d->rate, 2));
    json_put(j, "error", json_new_str(d->error));
    json_put(j, "tvu", tvu_json(d));
    return j;
}
