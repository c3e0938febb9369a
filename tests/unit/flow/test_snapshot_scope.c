/* flow/snapshot_scope: what the config and this host's own past say about a search. */
#include "flow/snapshot_scope.h"

#include "config/config.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "look/rates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* How fast this host replays and unpacks: what was seen of it, else what most hosts do. */
static void rates_are_what_was_seen(void **state)
{
    char dir[] = "/tmp/agavectl-test-XXXXXX";
    AUTO(config_freep) struct config *cfg = config_defaults();
    struct ctx ctx = {.clock = &clock_system, .cfg = cfg};
    const struct rate seen = {.known = true, .per_s = {7.25, 2.5}};
    struct rates_book book = {0};
    struct snapshot_scope s;

    assert_non_null(mkdtemp(dir));
    assert_null(fsroot_open(dir, &ctx.root));
    assert_null(snapshot_scope_init(&ctx, NULL, &s));
    assert_string_equal(s.replay_from, "default");
    assert_true(s.limits.rates.replay_slots_s == RANK_REPLAY_SLOTS_S);
    snapshot_scope_clear(&s);

    rates_note_replay(&book, &seen, 9000, clock_wall_ms(&ctx));
    rates_save(&ctx, cfg->state_dir, &book);
    assert_null(snapshot_scope_init(&ctx, NULL, &s));
    assert_string_equal(s.replay_from, "measured");
    assert_true(s.limits.rates.replay_slots_s > 7.24 && s.limits.rates.replay_slots_s < 7.26);
    assert_string_equal(s.unpack_from, "default");
    assert_true(s.limits.rates.unpack_b_s == (double)cfg->snapshot.unpack_mib_s * 1048576);
    snapshot_scope_clear(&s);

    rates_note_unpack(&book, 5000000000, 10, clock_wall_ms(&ctx));
    rates_save(&ctx, cfg->state_dir, &book);
    assert_null(snapshot_scope_init(&ctx, NULL, &s));
    assert_string_equal(s.unpack_from, "measured");
    assert_true(s.limits.rates.unpack_b_s == 5e8);
    snapshot_scope_clear(&s);

    ctx.cfg = NULL; /* whose host it is about is not known */
    assert_null(snapshot_scope_init(&ctx, NULL, &s));
    assert_string_equal(s.replay_from, "default");
    snapshot_scope_clear(&s);

    AUTO(freep) char *file = xasprintf("%s/status-sample.json", cfg->state_dir);
    assert_null(fsroot_unlink(ctx.root, file));
    assert_null(fsroot_rmdir(ctx.root, cfg->state_dir));
    assert_null(fsroot_rmdir(ctx.root, "/run"));
    fsroot_close(ctx.root);
    assert_int_equal(rmdir(dir), 0);
}

/* The option's file in place of the config's, and nothing that holds no certificate. */
static void authorities_of_ones_own(void **state)
{
    static const char pem[] = "-----BEGIN CERTIFICATE-----\n", none[] = "a key\n";
    char dir[] = "/tmp/agavectl-test-XXXXXX";
    AUTO(config_freep) struct config *cfg = config_defaults();
    struct ctx ctx = {.clock = &clock_system, .cfg = cfg};
    struct snapshot_scope s;

    assert_non_null(mkdtemp(dir));
    assert_null(fsroot_open(dir, &ctx.root));
    assert_null(fsroot_write_atomic(ctx.root, "/ca.pem", pem, strlen(pem), 0644));
    assert_null(fsroot_write_atomic(ctx.root, "/none.pem", none, strlen(none), 0644));
    assert_null(snapshot_scope_init(&ctx, NULL, &s));
    assert_null(s.find.way.tls);
    snapshot_scope_clear(&s);
    free(cfg->snapshot.ca_file);
    cfg->snapshot.ca_file = xstrdup("/ca.pem");
    assert_null(snapshot_scope_init(&ctx, NULL, &s));
    assert_ptr_equal(s.find.way.tls, &s.tls);
    assert_int_equal(s.tls.ca_n, strlen(pem));
    assert_string_equal(s.tls.ca, pem);
    snapshot_scope_clear(&s);
    struct err *e = snapshot_scope_init(&ctx, "/none.pem", &s);
    snapshot_scope_clear(&s);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_BADINPUT);
    assert_string_equal(e->text, "authorities for https: '/none.pem' holds no certificate (PEM)");
    err_free(e);
    e = snapshot_scope_init(&ctx, "/nowhere.pem", &s);
    snapshot_scope_clear(&s);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_NOTFOUND);
    err_free(e);

    assert_null(fsroot_unlink(ctx.root, "/ca.pem"));
    assert_null(fsroot_unlink(ctx.root, "/none.pem"));
    fsroot_close(ctx.root);
    assert_int_equal(rmdir(dir), 0);
}

/* Whose cluster it is, the validator's own arguments say; else most of the nodes that are asked. */
static void the_cluster_of_the_validator(void **state)
{
    static const struct {
        const char *args[2];
        uint64_t version; /* 0: unknown */
    } rows[] = {{{NULL}, 0},
                {{"--expected-shred-version", "50093"}, 50093},
                {{"--expected-shred-version=50093", NULL}, 50093},
                {{"--expected-shred-version=70000", NULL}, 0},
                {{"--expected-shred-version", NULL}, 0}};
    char dir[] = "/tmp/agavectl-test-XXXXXX";
    struct ctx ctx = {.clock = &clock_system};

    assert_non_null(mkdtemp(dir));
    assert_null(fsroot_open(dir, &ctx.root));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(config_freep) struct config *cfg = config_defaults();
        AUTO(snapshot_scope_clear) struct snapshot_scope s = {0};

        for (size_t k = 0; k < ARRAY_LEN(rows[i].args) && rows[i].args[k]; k++)
            strlist_add(&cfg->validator.args, rows[i].args[k]);
        ctx.cfg = cfg;
        assert_null(snapshot_scope_init(&ctx, NULL, &s));
        assert_int_equal(s.limits.shred_version.known, rows[i].version != 0);
        if (rows[i].version)
            assert_int_equal(s.limits.shred_version.v, rows[i].version);
    }
    fsroot_close(ctx.root);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_what_was_seen),
        cmocka_unit_test(authorities_of_ones_own),
        cmocka_unit_test(the_cluster_of_the_validator),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
