/* io/captured: a folder with a host.json stands in for a machine. */
#include "io/captured.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/str.h"
#include "fixture.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "io/sock.h"

static const char host_json[] =
    "{\"captured_ms\": 1700000000123,"
    " \"stat\": {\"/dev/ram0\": {\"type\": \"block\", \"rdev\": \"1:0\", \"gid\": 6},"
    "            \"/srv/solana\": {\"uid\": 1000, \"mode\": \"0750\", \"dev\": \"0:43\"},"
    "            \"/bad\": {\"type\": \"tree\"}, \"/worse\": {\"mode\": \"09\"}},"
    " \"statvfs\": {\"/\": {\"size_b\": 40960, \"free_b\": 8192},"
    "               \"/srv\": {\"size_b\": 4096, \"free_b\": 0, \"files_free\": 7}},"
    " \"programs\": [{\"argv\": [\"zfs\", \"version\"], \"exit\": 3, \"out\": \"2.1\"}],"
    " \"answers\": [{\"url\": \"http://a/\", \"method\": \"POST\", \"body_has\": \"getSlot\","
    "               \"status\": 201, \"body\": {\"result\": 18446744073709551615}},"
    "              {\"url\": \"http://b/\", \"fail\": \"connection refused\"},"
    "              {\"unix\": \"/run/d.sock\", \"url\": \"http://d/info\", \"body\": {}},"
    "              {\"unix\": \"/run/c.sock\", \"fail\": \"permission denied\","
    "               \"kind\": \"refused\"}],"
    " \"sockets\": [{\"path\": \"/l/admin.rpc\", \"has\": \"startProgress\","
    "               \"line\": {\"result\": \"Running\"}},"
    "              {\"path\": \"/l/old.rpc\", \"fail\": \"nobody listens\", \"kind\": "
    "\"absent\"}]}";

static void host_open(struct fixture *f)
{
    fixture_new(f);
    fixture_put(f, "/host.json", "%s", host_json);
    fixture_put(f, "/etc/fstab", "x\n");
    f->ctx.root = fsroot_close(f->ctx.root);
    assert_ok(fsroot_open_captured(f->dir, &f->ctx.root));
    f->ctx.proc = &proc_captured;
    f->ctx.http = &http_captured;
}

static void owners_and_devices_are_the_hosts(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    struct stat st;

    host_open(&f);
    assert_ok(fsroot_stat(f.ctx.root, "/dev/ram0", &st)); /* is not in the folder at all */
    assert_true(S_ISBLK(st.st_mode));
    assert_int_equal(major(st.st_rdev), 1);
    assert_int_equal(st.st_gid, 6);
    assert_ok(fsroot_stat(f.ctx.root, "/srv/solana", &st));
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0750);
    assert_int_equal(st.st_uid, 1000);
    assert_int_equal(minor(st.st_dev), 43);
    assert_ok(fsroot_stat(f.ctx.root, "/etc/fstab", &st)); /* root's, whoever made the copy */
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(st.st_uid, 0);
    assert_err(fsroot_stat(f.ctx.root, "/none", &st), ERR_NOTFOUND, "/none");
    assert_err(fsroot_stat(f.ctx.root, "/bad", &st), ERR_BADINPUT, "type: 'tree' is none");
    assert_err(fsroot_stat(f.ctx.root, "/worse", &st), ERR_BADINPUT, "'09' is not octal");
}

static void free_space_is_that_of_the_nearest_place_above(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    struct statvfs v;

    host_open(&f);
    assert_ok(fsroot_statvfs(f.ctx.root, "/srv/solana/ledger", &v));
    assert_int_equal(v.f_bavail, 0);
    assert_int_equal(v.f_ffree, 7);
    assert_ok(fsroot_statvfs(f.ctx.root, "/var", &v));
    assert_int_equal(v.f_bavail * v.f_frsize, 8192);
}

static void nothing_is_written_to_it(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    int fd = -1;

    host_open(&f);
    assert_err(fsroot_write(f.ctx.root, "/etc/fstab", "y"), ERR_SYS, "Read-only");
    assert_err(fsroot_openat(f.ctx.root, "/new", O_WRONLY | O_CREAT, 0600, &fd), ERR_SYS, "/new");
    assert_err(fsroot_write_atomic(f.ctx.root, "/etc/fstab", "y", 1, 0644), ERR_REFUSED,
               "captured host");
    assert_err(fsroot_mkdirs(f.ctx.root, "/a/b", 0755), ERR_REFUSED, "captured host");
    assert_err(fsroot_unlink(f.ctx.root, "/etc/fstab"), ERR_REFUSED, "captured host");
}

static void programs_answer_as_they_did(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(proc_result_clear) struct proc_result r = {0};
    struct proc_spec spec = {.path = "/sbin/zfs",
                             .argv = (const char *const[]){"zfs", "version", NULL}};

    host_open(&f);
    assert_ok(f.ctx.proc->run(&f.ctx, &spec, &r));
    assert_int_equal(r.exit, 3);
    assert_string_equal(r.out, "2.1");
    spec.argv = (const char *const[]){"zfs", "version", "-j", NULL};
    assert_err(f.ctx.proc->run(&f.ctx, &spec, &r), ERR_ABSENT, "/sbin/zfs");
}

static void servers_answer_as_they_did(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(http_response_clear) struct http_response r = {0};
    struct http_request req = {
        .method = "POST", .url = "http://a/", .body = "{getSlot}", .body_n = 9};

    host_open(&f);
    assert_ok(http_one(&f.ctx, &req, &r));
    assert_int_equal(r.status, 201);
    assert_non_null(strstr(r.body, "18446744073709551615"));
    req.body = "{getHealt}";
    assert_err(http_one(&f.ctx, &req, &r), ERR_REMOTE, "no answer of it");
    req.url = "http://b/";
    assert_err(http_one(&f.ctx, &req, &r), ERR_REMOTE, "http://b/: connection refused");
}

/* Requests name the socket as this process sees it, below the host's folder. */
static void sockets_answer_as_they_did(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(http_response_clear) struct http_response r = {0};

    host_open(&f);
    AUTO(freep) char *docker = fsroot_path(f.ctx.root, "/run/d.sock");
    AUTO(freep) char *closed = fsroot_path(f.ctx.root, "/run/c.sock");
    AUTO(freep) char *none = fsroot_path(f.ctx.root, "/run/n.sock");
    struct http_request req = {.method = "GET", .url = "http://d/info", .unix_socket = docker};

    assert_ok(http_one(&f.ctx, &req, &r));
    assert_string_equal(r.body, "{}");
    req.unix_socket = NULL;
    assert_err(http_one(&f.ctx, &req, &r), ERR_REMOTE, "no answer of it");
    req.unix_socket = closed;
    assert_err(http_one(&f.ctx, &req, &r), ERR_REFUSED, "'/run/c.sock': permission denied");
    req.unix_socket = none;
    assert_err(http_one(&f.ctx, &req, &r), ERR_NOTFOUND, "'/run/n.sock'");
}

/* The machine's own socket at that path must not be asked. */
static void lines_are_answered_as_they_were(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(freep) char *line = NULL;

    host_open(&f);
    AUTO(freep) char *admin = fsroot_path(f.ctx.root, "/l/admin.rpc");
    AUTO(freep) char *old = fsroot_path(f.ctx.root, "/l/old.rpc");
    assert_ok(sock_ask(&f.ctx, admin, "{startProgress}", 100, 100, &line));
    assert_string_equal(line, "{\"result\":\"Running\"}");
    assert_err(sock_ask(&f.ctx, admin, "{exit}", 100, 100, &line), ERR_NOTFOUND, "'/l/admin.rpc'");
    assert_err(sock_ask(&f.ctx, old, "{exit}", 100, 100, &line), ERR_ABSENT, "nobody listens");
}

static void its_time_is_the_captures(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    host_open(&f);
    f.ctx.clock = &clock_system;
    assert_int_equal(clock_wall_ms(&f.ctx), 1700000000123);
    f.ctx.root = fsroot_close(f.ctx.root);
    assert_ok(fsroot_open(f.dir, &f.ctx.root));
    assert_true(clock_wall_ms(&f.ctx) > 1700000000123);
}

static void a_folder_without_the_file_is_no_captured_host(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    struct fsroot *r = NULL;

    fixture_new(&f);
    assert_err(fsroot_open_captured(f.dir, &r), ERR_NOTFOUND, f.dir);
    fixture_put(&f, "/host.json", "[1]");
    assert_err(fsroot_open_captured(f.dir, &r), ERR_BADINPUT, "not an object");
    fixture_put(&f, "/host.json", "{");
    assert_err(fsroot_open_captured(f.dir, &r), ERR_BADINPUT, "not JSON");
    assert_null(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(owners_and_devices_are_the_hosts),
        cmocka_unit_test(free_space_is_that_of_the_nearest_place_above),
        cmocka_unit_test(nothing_is_written_to_it),
        cmocka_unit_test(programs_answer_as_they_did),
        cmocka_unit_test(servers_answer_as_they_did),
        cmocka_unit_test(sockets_answer_as_they_did),
        cmocka_unit_test(lines_are_answered_as_they_were),
        cmocka_unit_test(its_time_is_the_captures),
        cmocka_unit_test(a_folder_without_the_file_is_no_captured_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
