/* The world's control socket, through which a drill or an operator lets things fail. Positional
 * parameters; numbers are those of lab/faults.h:
 *   state []                          what the world did so far, and its faults
 *   nodes [first, last]               the RPC nodes (both may be left out)
 *   grow [n]                          so many nodes beside the first ones
 *   big [MiB, MiB]                    a full and an incremental archive of these sizes (0: none)
 *   fault [name, value]               of the world
 *   fault [name, value, first, last]  of nodes
 *   heal []                           everything as at the start
 *   heal [name], heal [name or null, first, last] */
#include "lab/world/world.h"

#include <string.h>

#include "base/json.h"
#include "base/str.h"

#define FINALIZED_DEPTH 32
#define BIG_MAX_MIB     16384

struct call {
    struct world *w;
    const struct json *params;
    struct strbuf *out;
    struct jsonrpc_error *e;
};

/* Numbers of the world for the answer to state. */
static void put_u64(struct strbuf *out, const char *name, uint64_t v)
{
    strbuf_printf(out, "%s\"%s\":%llu", out->data[out->len - 1] == '{' ? "" : ",", name,
                  (unsigned long long)v);
}

static void get_state(struct call *c)
{
    struct world *w = c->w;
    const struct chain_slot *final;

    pthread_mutex_lock(&w->lock);
    final = chain_below_tip(w->chain, FINALIZED_DEPTH);
    strbuf_puts(c->out, "{");
    put_u64(c->out, "slot", chain_last(w->chain));
    put_u64(c->out, "finalized", final ? final->slot : 0);
    put_u64(c->out, "first", chain_first(w->chain));
    put_u64(c->out, "blocks", w->stats.blocks);
    put_u64(c->out, "slotsSent", w->stats.slots_sent);
    put_u64(c->out, "slotsWhole", w->stats.slots_whole);
    put_u64(c->out, "shredsSent", w->stats.shreds_sent);
    put_u64(c->out, "shredsLost", w->stats.shreds_lost);
    put_u64(c->out, "repairAsked", w->stats.repair_asked);
    put_u64(c->out, "repairAnswered", w->stats.repair_answered);
    put_u64(c->out, "repairRefused", w->stats.repair_refused);
    put_u64(c->out, "nodes", w->nodes_n);
    put_u64(c->out, "members", w->o.members);
    strbuf_puts(c->out, ",\"faults\":{");
    for (size_t i = 0; i < WORLD_FAULTS_N; i++)
        put_u64(c->out, world_faults[i].name, w->faults[i]);
    strbuf_puts(c->out, "}}");
    pthread_mutex_unlock(&w->lock);
}

static void bad(struct call *c, const char *what)
{
    jsonrpc_fail(c->e, JSONRPC_INVALID_PARAMS, "bad parameters: %s", what);
}

static void failed(struct call *c, struct err *e)
{
    if (e)
        jsonrpc_fail(c->e, JSONRPC_INVALID_PARAMS, "%s", e->text);
    else
        strbuf_puts(c->out, "null");
    (void)err_free(e);
}

static const char *text_at(const struct call *c, size_t i)
{
    const struct json *j = json_at(c->params, i);
    const char *text = NULL;

    if (json_is_string(j))
        (void)err_free(json_as_str(j, &text)); /* it is a string */
    return text;
}

/* first and last of the nodes meant, from params[at] on. */
static bool range_at(struct call *c, size_t at, uint64_t *ret_first, uint64_t *ret_last)
{
    if (jsonrpc_u64(json_at(c->params, at), ret_first) &&
        jsonrpc_u64(json_at(c->params, at + 1), ret_last) && *ret_first <= *ret_last &&
        *ret_last < c->w->nodes_n)
        return true;
    bad(c, "no such nodes");
    return false;
}

static void get_nodes(struct call *c)
{
    uint64_t first = 0, last = WORLD_NODES_MAX;

    if (json_len(c->params) == 0 || range_at(c, 0, &first, &last))
        world_list_nodes(c->w, first, last, c->out);
}

static void grow(struct call *c)
{
    uint64_t n;

    if (!jsonrpc_u64(json_at(c->params, 0), &n))
        bad(c, "how many nodes?");
    else
        failed(c, world_grow(c->w, n));
}

static void big(struct call *c)
{
    uint64_t full, incremental;

    if (!jsonrpc_u64(json_at(c->params, 0), &full) ||
        !jsonrpc_u64(json_at(c->params, 1), &incremental) || !full || full > BIG_MAX_MIB ||
        incremental > BIG_MAX_MIB)
        bad(c, "how many MiB of a full and of an incremental archive?");
    else
        failed(c, world_make_big(c->w, full << 20, incremental << 20));
}

/* The entrypoint's TCP side is a thread of its own: off means that its port is closed. */
static struct err *power_entrypoint(struct world *w)
{
    if (!world_fault(w, WORLD_ENTRYPOINT)) {
        w->ip_echo = ip_echo_server_close(w->ip_echo);
        return NULL;
    }
    if (w->ip_echo)
        return NULL;
    return ip_echo_server_open(w->o.bind, w->o.gossip_port, w->genesis.shred_version, &w->ip_echo);
}

static struct err *set_world(struct world *w, size_t f, uint64_t value)
{
    pthread_mutex_lock(&w->lock);
    w->faults[f] = value;
    pthread_mutex_unlock(&w->lock);
    if (f == WORLD_RPC)
        return world_nodes_power(w);
    return f == WORLD_ENTRYPOINT ? power_entrypoint(w) : NULL;
}

static struct err *set_nodes(struct world *w, uint64_t first, uint64_t last, size_t f,
                             uint64_t value)
{
    for (uint64_t i = first; i <= last; i++)
        TRY(world_node_fault(w, i, (enum node_fault)f, value));
    return NULL;
}

static void set_fault(struct call *c)
{
    const char *name = text_at(c, 0);
    bool of_nodes = json_len(c->params) > 2;
    const struct fault_def *table = of_nodes ? node_faults : world_faults;
    int f = name ? fault_find(table, of_nodes ? NODE_FAULTS_N : WORLD_FAULTS_N, name) : -1;
    uint64_t value, first = 0, last = 0;

    if (f < 0)
        bad(c, "no such fault");
    else if (!jsonrpc_u64(json_at(c->params, 1), &value) || value > table[f].max)
        bad(c, "the value is out of range");
    else if (!of_nodes)
        failed(c, set_world(c->w, (size_t)f, value));
    else if (range_at(c, 2, &first, &last))
        failed(c, set_nodes(c->w, first, last, (size_t)f, value));
}

/* name NULL: every fault. */
static struct err *heal_nodes(struct world *w, const char *name, uint64_t first, uint64_t last)
{
    for (size_t f = 0; f < NODE_FAULTS_N; f++)
        if (!name || str_eq(name, node_faults[f].name))
            TRY(set_nodes(w, first, last, f, node_faults[f].normal));
    return NULL;
}

static struct err *heal_world(struct world *w, const char *name)
{
    for (size_t f = 0; f < WORLD_FAULTS_N; f++)
        if (!name || str_eq(name, world_faults[f].name))
            TRY(set_world(w, f, w->o.faults[f]));
    return heal_nodes(w, name, 0, w->nodes_n - 1);
}

static void heal(struct call *c)
{
    const char *name = text_at(c, 0);
    uint64_t first, last;

    if (name && fault_find(world_faults, WORLD_FAULTS_N, name) < 0 &&
        fault_find(node_faults, NODE_FAULTS_N, name) < 0)
        bad(c, "no such fault");
    else if (json_len(c->params) <= 1)
        failed(c, heal_world(c->w, name));
    else if (range_at(c, 1, &first, &last))
        failed(c, heal_nodes(c->w, name, first, last));
}

static void control(void *arg, const char *method, const struct json *params, struct strbuf *result,
                    struct jsonrpc_error *e)
{
    static const struct {
        const char *name;
        void (*fn)(struct call *c);
    } methods[] = {{"state", get_state}, {"nodes", get_nodes}, {"grow", grow},
                   {"big", big},         {"fault", set_fault}, {"heal", heal}};
    struct call c = {.w = arg, .params = params, .out = result, .e = e};

    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (str_eq(methods[i].name, method)) {
            methods[i].fn(&c);
            return;
        }
    jsonrpc_fail(e, JSONRPC_METHOD_NOT_FOUND, "Method not found");
}

struct err *world_open_control(struct world *w)
{
    AUTO(freep) char *path = xasprintf("%s/control.sock", w->o.dir);

    return admin_server_open(path, control, w, &w->control);
}
