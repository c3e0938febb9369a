/* cmd/confirm: which plans are asked about, and what counts as a permission to destroy. The
 * question itself is asked on a real terminal by the integration test. */
#include "cmd/confirm.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "config/config.h"

static const struct step looks = {.name = "look", .looks = true};
static const struct step changes = {.name = "change", .asks = true};
static const struct step starts = {.name = "start"};
static const struct flow flow = {.name = "up", .summary = "test"};

static void assert_refused(struct err *e, const char *part)
{
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_REFUSED);
    if (!strstr(e->text, part))
        fail_msg("'%s' instead of '%s'", e->text, part);
    err_free(e);
}

static struct flow_plan plan_new(void)
{
    struct flow_plan p = {.flow = &flow, .inputs = json_new_object()};

    flow_plan_add(&p, &changes, "volume", NULL, "create /dev/x: xfs");
    flow_plan_add(&p, &changes, "wipe", NULL, "delete /dev/old")->destroys = xstrdup("/dev/old");
    flow_plan_add(&p, &looks, NULL, NULL, "look at the storage");
    flow_plan_add(&p, &starts, "start", NULL, "start the validator");
    return p;
}

static void what_only_looks_or_starts_is_not_asked_about(void **state)
{
    struct confirm_opts o = {0};
    struct confirm c = {.opts = &o};
    AUTO(flow_plan_clear) struct flow_plan p = plan_new();

    assert_null(confirm_ask(&c, &p, 2)); /* the changes are done: an operation that goes on */
    assert_refused(confirm_ask(&c, &p, 1), "there is no terminal to ask on; say 'agavectl up "
                                           "--yes', or look first with --plan");
    o.yes = true;
    assert_null(confirm_ask(&c, &p, 0));
    o.yes = false;
    p.items[0].in_place = p.items[1].in_place = true;
    assert_null(confirm_ask(&c, &p, 0));
}

static void a_permission_is_for_what_the_plan_destroys(void **state)
{
    struct confirm_opts o = {.yes = true};
    struct confirm c = {.opts = &o};
    AUTO(flow_plan_clear) struct flow_plan p = plan_new();

    strlist_add(&o.destroy, "/dev/old");
    assert_null(confirm_ask(&c, &p, 0));
    assert_null(confirm_ask(&c, &p, 2)); /* done already: the same command goes on */
    strlist_add(&o.destroy, "/dev/x");   /* it is changed, and loses nothing */
    assert_refused(confirm_ask(&c, &p, 0), "nothing that would be done destroys '/dev/x'");
    strlist_clear(&o.destroy);
    strlist_add(&o.destroy, "/dev/old/");
    assert_refused(confirm_ask(&c, &p, 0), "destroys '/dev/old/'");
    strlist_clear(&o.destroy);
    assert_null(confirm_ask(&c, &p, 0)); /* without a name the engine refuses: p.not_allowed */
}

static void what_the_config_allows_is_allowed(void **state)
{
    AUTO(config_freep) struct config *cfg = NULL;
    AUTO(strlist_clear) struct strlist all = {0};
    static const char text[] = "recover: {may_destroy: [accounts, bank-snapshots]}\n";
    struct confirm_opts o = {0};

    assert_null(config_parse(text, sizeof(text) - 1, "t", &cfg));
    struct ctx ctx = {.cfg = cfg};
    strlist_add(&o.destroy, "/dev/old");
    confirm_destroys(&ctx, &o, &all);
    assert_int_equal(all.n, 3);
    assert_string_equal(all.items[0], "/dev/old");
    assert_string_equal(all.items[2], "bank-snapshots");
    strlist_clear(&o.destroy);
    static const char ledger[] = "recover: {may_destroy: [ledger]}\n";
    AUTO(config_freep) struct config *bad = NULL;
    struct err *e = config_parse(ledger, sizeof(ledger) - 1, "t", &bad);
    assert_non_null(e); /* the ledger is no legal value */
    err_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_only_looks_or_starts_is_not_asked_about),
        cmocka_unit_test(a_permission_is_for_what_the_plan_destroys),
        cmocka_unit_test(what_the_config_allows_is_allowed),
    };
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0) /* no terminal, wherever the test runs */
        return 1;
    log_set_level(LOG_QUIET);
    return cmocka_run_group_tests_name("confirm", tests, NULL, NULL);
}
