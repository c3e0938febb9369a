/* solana/admin: recorded answers, every phase, and sockets that do not answer as they should. A
 * small server in this process plays the validator. */
#include "solana/admin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "io/clock.h"
#include "solana/rpc.h"
#include "tests/unit/solana/recordings.h"

static struct ctx ctx = {.clock = &clock_system};

static void assert_err(struct err *e, enum err_kind kind, const char *part)
{
    assert_non_null(e);
    if (e->kind != kind || !strstr(e->text, part))
        fail_msg("'%s' (%s) instead of '%s'", e->text, err_kind_name(e->kind), part);
    err_free(e);
}

/* ---- the server ------------------------------------------------------------------------------ */

struct server {
    char dir[64], path[96];
    const char *reply; /* NULL: accepts and says nothing; "": closes at once */
    int fd;
    char request[256];
    pthread_t thread;
};

static void *serve(void *arg)
{
    struct server *s = arg;
    int peer = accept(s->fd, NULL, NULL);
    ssize_t n;

    if (peer < 0)
        return NULL;
    n = read(peer, s->request, sizeof(s->request) - 1);
    if (n > 0 && s->reply && s->reply[0])
        n = write(peer, s->reply, strlen(s->reply));
    if (!s->reply) /* until the client has given up */
        n = read(peer, s->request, 1);
    close(peer);
    return n < 0 ? s : NULL;
}

static void server_bind(struct server *s)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};

    snprintf(s->dir, sizeof(s->dir), "/tmp/agavectl-admin-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->path, sizeof(s->path), "%s/admin.rpc", s->dir);
    snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", s->path);
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->fd, (const struct sockaddr *)&sun, sizeof(sun)), 0);
}

static void server_start(struct server *s, const char *reply)
{
    *s = (struct server){.reply = reply};
    server_bind(s);
    assert_int_equal(listen(s->fd, 1), 0);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_remove(struct server *s)
{
    close(s->fd);
    unlink(s->path);
    rmdir(s->dir);
}

static void server_stop(struct server *s)
{
    pthread_join(s->thread, NULL);
    server_remove(s);
}

/* ---- recordings ------------------------------------------------------------------------------ */

/* What a node said to a method, over a real socket. */
static void with_recorded(const char *node, const char *method, void (*check)(const char *ledger))
{
    AUTO(json_freep) struct json *all = recording(node, "admin_rpc");
    bool found = false;

    for (size_t i = 0; i < json_len(all) && !found; i++) {
        const struct json *entry = json_at(all, i);
        const char *asked = NULL, *bytes = NULL;
        struct server s;

        assert_null(json_as_str(json_get(json_get(entry, "request"), "method"), &asked));
        if (!str_eq(asked, method))
            continue;
        assert_null(json_as_str(json_get(entry, "response_bytes"), &bytes));
        found = true;
        server_start(&s, bytes);
        check(s.dir);
        server_stop(&s);
        assert_non_null(strstr(s.request, "\"jsonrpc\":\"2.0\""));
    }
    assert_true(found);
}

static void runs(const char *ledger)
{
    struct admin_progress p;

    assert_null(admin_start_progress(&ctx, ledger, 5000, &p));
    assert_int_equal(p.phase, ADMIN_RUNNING);
    assert_false(p.has_slot);
    assert_string_equal(p.text, "running");
    assert_string_equal(admin_phase_name(p.phase), "running");
}

static void started_in_2026(const char *ledger)
{
    uint64_t ms = 0;

    assert_null(admin_start_time(&ctx, ledger, 5000, &ms));
    assert_in_range(ms, 1795393569240ULL, 1795394699090ULL);
}

static void tells_its_rpc(const char *ledger)
{
    AUTO(freep) char *address = NULL;

    assert_null(admin_rpc_address(&ctx, ledger, 5000, &address));
    assert_true(str_starts(address, "127.0.0.1:"));
}

static void tells_its_contact(const char *ledger)
{
    struct admin_contact c;

    assert_null(admin_contact_info(&ctx, ledger, 5000, &c));
    assert_true(c.ready);
    assert_int_equal(c.shred_version, 34608);
    assert_string_equal(c.id, "3Ge7jUyTVAdpaU2jv66GPQhZ1yPcUmCjFTsFM6DCPM49");
    assert_string_equal(c.tvu, "127.0.0.1:9002");
    assert_string_equal(c.gossip, "127.0.0.1:9001");
    assert_string_equal(c.serve_repair, "127.0.0.1:9013");
    assert_string_equal(c.rpc, "0.0.0.0:0");
}

static void is_not_ready(const char *ledger)
{
    struct admin_contact c = {.ready = true};

    assert_null(admin_contact_info(&ctx, ledger, 5000, &c));
    assert_false(c.ready);
}

static void has_no_pid_method(const char *ledger)
{
    uint64_t pid;
    struct err *e = admin_pid(&ctx, ledger, 5000, &pid);

    assert_int_equal(e->remote, RPC_NO_METHOD);
    assert_err(e, ERR_REMOTE, "Method not found");
}

static void recorded_answers(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(recorded_nodes); i++) {
        with_recorded(recorded_nodes[i], "startProgress", runs);
        with_recorded(recorded_nodes[i], "startTime", started_in_2026);
        with_recorded(recorded_nodes[i], "rpcAddress", tells_its_rpc);
        with_recorded(recorded_nodes[i], "noSuchMethod", has_no_pid_method);
    }
    with_recorded("rpc", "contactInfo", tells_its_contact);
    with_recorded("tv", "contactInfo", is_not_ready);
}

/* ---- phases ---------------------------------------------------------------------------------- */

static void every_phase(void **state)
{
    static const struct {
        const char *json;
        enum admin_phase phase;
        const char *text;
    } good[] = {
        {"\"Initializing\"", ADMIN_INITIALIZING, "initializing"},
        {"\"SearchingForRpcService\"", ADMIN_SEARCHING_RPC,
         "searching an RPC node to download from"},
        {"{\"DownloadingSnapshot\":{\"slot\":5,\"rpc_addr\":\"1.2.3.4:8899\"}}", ADMIN_DOWNLOADING,
         "downloading a snapshot: slot 5, from 1.2.3.4:8899"},
        {"{\"DownloadingSnapshot\":{\"slot\":5,\"rpc_addr\":\"\\u001b[2J\"}}", ADMIN_DOWNLOADING,
         "downloading a snapshot: slot 5"},
        {"{\"DownloadingSnapshot\":{\"slot\":5,\"rpc_addr\":7}}", ADMIN_DOWNLOADING,
         "downloading a snapshot: slot 5"},
        {"\"CleaningBlockStore\"", ADMIN_CLEANING_BLOCKSTORE, "cleaning the blockstore"},
        {"\"CleaningAccounts\"", ADMIN_CLEANING_ACCOUNTS, "cleaning the accounts"},
        {"\"LoadingLedger\"", ADMIN_LOADING_LEDGER, "loading the ledger"},
        {"{\"ProcessingLedger\":{\"slot\":5,\"max_slot\":100}}", ADMIN_PROCESSING_LEDGER,
         "processing the ledger: slot 5 of 100"},
        {"\"StartingServices\"", ADMIN_STARTING_SERVICES, "starting services"},
        {"\"Halted\"", ADMIN_HALTED, "halted"},
        {"{\"WaitingForSupermajority\":{\"slot\":7,\"gossip_stake_percent\":66}}",
         ADMIN_WAITING_SUPERMAJORITY,
         "waiting for a supermajority: slot 7, 66 % of the stake is in gossip"},
        {"\"Running\"", ADMIN_RUNNING, "running"},
        {"\"Dreaming\"", ADMIN_OTHER, "in a state that agavectl does not know"},
        {"{\"Dreaming\":{\"slot\":1}}", ADMIN_OTHER, "in a state that agavectl does not know"},
    };
    static const char *const bad[] = {
        "null",
        "5",
        "[]",
        "{\"ProcessingLedger\":{\"slot\":-1,\"max_slot\":100}}",
        "{\"ProcessingLedger\":{\"slot\":18446744073709551615,\"max_slot\":100}}",
    };
    struct admin_progress p;

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        AUTO(json_freep) struct json *j = NULL;

        assert_null(json_parse(good[i].json, strlen(good[i].json), &j));
        assert_null(admin_parse_progress(j, &p));
        assert_int_equal(p.phase, good[i].phase);
        assert_string_equal(p.text, good[i].text);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(json_freep) struct json *j = NULL;

        assert_null(json_parse(bad[i], strlen(bad[i]), &j));
        assert_err(admin_parse_progress(j, &p), ERR_REMOTE, "startProgress: ");
    }
}

/* ---- sockets --------------------------------------------------------------------------------- */

static void no_socket_and_a_dead_one(void **state)
{
    struct admin_progress p;
    struct server s = {0};

    assert_err(admin_start_progress(&ctx, "/nonexistent", 500, &p), ERR_NOTFOUND,
               "startProgress: cannot connect to '/nonexistent/admin.rpc'");
    server_bind(&s); /* bound, but nobody listens: what a killed validator leaves */
    assert_err(admin_start_progress(&ctx, s.dir, 500, &p), ERR_ABSENT,
               "the validator that made it is gone");
    server_remove(&s);
}

static void answers_that_are_none(void **state)
{
    static const struct {
        const char *reply;
        enum err_kind kind;
        const char *part;
    } bad[] = {
        {NULL, ERR_TIMEOUT, "startTime: "},
        {"", ERR_REMOTE, "was closed"},
        {"\n", ERR_REMOTE, "an empty answer"},
        {"HTTP/1.1 200 OK\n", ERR_REMOTE, "not JSON"},
        {"{\"jsonrpc\":\"2.0\",\"result\":1,\"id\":2}\n", ERR_REMOTE, "the id 2 instead of 1"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1}\n", ERR_REMOTE, "neither result nor error"},
        {"{\"jsonrpc\":\"2.0\",\"result\":{\"secs_since_epoch\":18446744073709551615,"
         "\"nanos_since_epoch\":0},\"id\":1}\n",
         ERR_REMOTE, "not plausible"},
        {"{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32602,\"message\":\"Retry\"},\"id\":1}\n",
         ERR_REMOTE, "startTime at '/tmp/agavectl-admin-"},
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct server s;
        uint64_t ms = 1;

        server_start(&s, bad[i].reply);
        assert_err(admin_start_time(&ctx, s.dir, bad[i].reply ? 5000 : 100, &ms), bad[i].kind,
                   bad[i].part);
        assert_int_equal(ms, 1);
        server_stop(&s);
    }
}

static void exit_is_asked_in_the_right_words(void **state)
{
    struct server s;

    server_start(&s, "{\"jsonrpc\":\"2.0\",\"result\":null,\"id\":1}\n");
    assert_null(admin_exit(&ctx, s.dir, 5000));
    server_stop(&s);
    assert_string_equal(s.request, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"exit\","
                                   "\"params\":[]}\n");
}

/* "Not yet" is one error only; any other is a failure. */
static void contact_info_fails(void **state)
{
    struct admin_contact c;
    struct server s;

    server_start(&s, "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32000,\"message\":\"no\"},"
                     "\"id\":1}\n");
    assert_err(admin_contact_info(&ctx, s.dir, 5000, &c), ERR_REMOTE, "error -32000: no");
    server_stop(&s);
    server_start(&s, "{\"jsonrpc\":\"2.0\",\"result\":{\"id\":\"x\"},\"id\":1}\n");
    assert_err(admin_contact_info(&ctx, s.dir, 5000, &c), ERR_REMOTE, "contactInfo: id");
    server_stop(&s);
}

static void rpc_may_be_off(void **state)
{
    struct server s;
    char *address = s.path; /* not NULL */

    server_start(&s, "{\"jsonrpc\":\"2.0\",\"result\":null,\"id\":1}\n");
    assert_null(admin_rpc_address(&ctx, s.dir, 5000, &address));
    server_stop(&s);
    assert_null(address);
    server_start(&s, "{\"jsonrpc\":\"2.0\",\"result\":\"\\u001b[2J\",\"id\":1}\n");
    assert_err(admin_rpc_address(&ctx, s.dir, 5000, &address), ERR_REMOTE, "not an address");
    server_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_answers),
        cmocka_unit_test(every_phase),
        cmocka_unit_test(no_socket_and_a_dead_one),
        cmocka_unit_test(answers_that_are_none),
        cmocka_unit_test(exit_is_asked_in_the_right_words),
        cmocka_unit_test(contact_info_fails),
        cmocka_unit_test(rpc_may_be_off),
    };

    return cmocka_run_group_tests_name("admin", tests, NULL, NULL);
}
