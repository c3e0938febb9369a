/* Stages that write files of their own: plan, apply, check clean, plan empty, undo, as before; and
 * what they leave to the operator. */
#include "stage/own.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "host/own_file.h"
#include "io/fsroot.h"
#include "io/proc.h"
#include "tree.h"

#define NET    "/proc/sys/net/core/"
#define SYSCTL "/etc/sysctl.d/95-agavectl.conf"
#define LOGINS "/etc/security/limits.d/95-agavectl.conf"
#define DROPIN "/etc/systemd/system/sol.service.d/50-agavectl-limits.conf"
#define PASSWD "root:x:0:0::/root:/bin/sh\nsol:x:1000:1000::/home/sol:/bin/sh\n"
#define CALLED "AGAVECTL_TEST_CALLED"

/* Every file and folder below /etc and /proc/sys, with mode and content. */
static void list_below(struct tree *t, const char *dir, struct strbuf *b)
{
    AUTO(strlist_clear) struct strlist names = {0};
    struct err *e = fsroot_list(t->f.ctx.root, dir, &names);

    if (e) {
        err_free(e);
        return;
    }
    for (size_t i = 0; i < names.n; i++) {
        AUTO(freep) char *path = xasprintf("%s/%s", dir, names.items[i]);
        AUTO(freep) char *text = NULL;
        struct stat st;

        assert_ok(fsroot_stat(t->f.ctx.root, path, &st));
        strbuf_printf(b, "%s %o ", path, st.st_mode);
        if (S_ISREG(st.st_mode))
            assert_ok(fsroot_read(t->f.ctx.root, path, 1 << 20, &text, NULL));
        strbuf_printf(b, "%s\n", text ? text : "");
        if (S_ISDIR(st.st_mode))
            list_below(t, path, b);
    }
}

static char *all_of(struct tree *t)
{
    struct strbuf b = {0};

    list_below(t, "/etc", &b);
    list_below(t, "/proc/sys", &b);
    return strbuf_take(&b);
}

static void plan_of(struct tree *t, const char *stage, struct plan *ret)
{
    const struct stage *s = stage_by_name(stage_table, stage);

    tree_check(t, stage);
    *ret = (struct plan){.stage = s};
    assert_ok(s->plan(&t->f.ctx, &t->found, ret));
}

static void plan_is_empty(struct tree *t, const char *stage)
{
    AUTO(plan_clear) struct plan p;

    plan_of(t, stage, &p);
    for (size_t i = 0; i < p.n; i++)
        print_error("  %s %s\n", change_kind_name(p.items[i].kind), p.items[i].object);
    assert_int_equal(p.n, 0);
}

/* Plans and applies; the plan is the caller's, for undo. */
static void apply_all(struct tree *t, const char *stage, struct plan *p)
{
    plan_of(t, stage, p);
    assert_true(p->n > 0);
    for (size_t i = 0; i < p->n; i++) {
        assert_true(p->items[i].live && !p->items[i].destructive);
        assert_ok(p->stage->apply(&t->f.ctx, &p->items[i]));
        assert_ok(p->stage->apply(&t->f.ctx, &p->items[i])); /* after a crash */
    }
    plan_is_empty(t, stage);
}

static void undo_is(struct tree *t, const struct plan *p, size_t i, enum undo_verdict want,
                    const char *part)
{
    AUTO(undo_look_clear) struct undo_look l = {0};

    assert_ok(p->stage->undo_look(&t->f.ctx, &p->items[i], &l));
    if (l.verdict != want || (part && (!l.what || !strstr(l.what, part))))
        fail_msg("%s: verdict %d '%s'", p->items[i].object, (int)l.verdict, l.what ? l.what : "");
}

static void undo_all(struct tree *t, const struct plan *p)
{
    for (size_t i = p->n; i-- > 0;) {
        if (!p->items[i].undoable)
            continue;
        undo_is(t, p, i, UNDO_DO, NULL);
        assert_ok(p->stage->undo(&t->f.ctx, &p->items[i]));
        assert_ok(p->stage->undo(&t->f.ctx, &p->items[i]));
        undo_is(t, p, i, UNDO_GONE, NULL);
    }
}

static void there_and_back(struct tree *t, const char *stage, size_t changes)
{
    AUTO(plan_clear) struct plan p = {0};
    AUTO(freep) char *before = all_of(t);

    apply_all(t, stage, &p);
    assert_int_equal(p.n, changes);
    undo_all(t, &p);
    AUTO(freep) char *after = all_of(t);
    assert_string_equal(after, before);
}

static void content_is(struct tree *t, const char *path, const char *want)
{
    AUTO(freep) char *got = NULL;
    AUTO(freep) char *all = xasprintf("%s\n%s", OWN_FILE_MARK, want);

    assert_ok(fsroot_read(t->f.ctx.root, path, 1 << 20, &got, NULL));
    assert_string_equal(got, all);
}

static void value_is(struct tree *t, const char *path, uint64_t want)
{
    uint64_t got = 0;

    assert_ok(fsroot_read_u64(t->f.ctx.root, path, &got));
    assert_int_equal(got, want);
}

/* A fresh Debian: nothing is set. */
static void fresh(struct tree *t, const char *yaml)
{
    tree_new(t, yaml);
    fixture_put(&t->f, NET "rmem_max", "212992\n");
    fixture_put(&t->f, NET "wmem_max", "212992\n");
    fixture_put(&t->f, "/proc/sys/vm/max_map_count", "65530\n");
    fixture_put(&t->f, "/proc/sys/fs/nr_open", "1048576\n");
    fixture_put(&t->f, "/etc/sysctl.d/10-distribution.conf", "vm.max_map_count=262144\n");
    fixture_put(&t->f, "/etc/passwd", PASSWD);
    fixture_put(&t->f, "/etc/group", "root:x:0:\nsol:x:1000:\nops:x:50:a,sol\n");
    fixture_put(&t->f, "/proc/self/limits",
                "Limit Soft Hard Units\nMax open files 1024 1000000 files\n"
                "Max locked memory 65536 unlimited bytes\n");
    fixture_put(&t->f, "/proc/self/status", "Name:\tx\nCapEff:\t0\n");
}

static void sysctls_are_raised_kept_and_given_back(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(plan_clear) struct plan p = {0};

    fresh(&t, "");
    there_and_back(&t, "sysctl", 4);
    apply_all(&t, "sysctl", &p);
    content_is(&t, SYSCTL,
               "net.core.rmem_max = 134217728\nnet.core.wmem_max = 134217728\n"
               "vm.max_map_count = 1000000\n");
    assert_string_equal(p.items[0].after, "net.core.rmem_max = 134217728, net.core.wmem_max = "
                                          "134217728, vm.max_map_count = 1000000");
    assert_string_equal(p.items[1].before, "212992");
    value_is(&t, "/proc/sys/vm/max_map_count", 1000000);
    tree_has_not(&t, "sysctl.file");
    tree_is(&t, "sysctl.maps.boot", SEV_OK, NULL);
}

static void what_is_higher_stays(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(plan_clear) struct plan p = {0};

    fresh(&t, "");
    fixture_put(&t.f, NET "rmem_max", "268435456\n");
    fixture_put(&t.f, "/etc/sysctl.d/21-agave.conf",
                "net.core.rmem_max = 268435456\nnet.core.wmem_max = 134217728\n");
    fixture_put(&t.f, "/proc/sys/fs/nr_open", "4096\n"); /* by hand: no file sets it */
    apply_all(&t, "sysctl", &p);
    content_is(&t, SYSCTL, "vm.max_map_count = 1000000\n");
    value_is(&t, NET "rmem_max", 268435456);
    value_is(&t, NET "wmem_max", 134217728);
    value_is(&t, "/proc/sys/fs/nr_open", 1000000);
    /* Between plan and apply somebody has raised it. */
    fixture_put(&t.f, "/proc/sys/vm/max_map_count", "9000000\n");
    for (size_t i = 0; i < p.n; i++)
        assert_ok(p.stage->apply(&t.f.ctx, &p.items[i]));
    value_is(&t, "/proc/sys/vm/max_map_count", 9000000);
}

static void a_host_that_sets_them_itself_gets_nothing(void **state)
{
    AUTO(tree_clear) struct tree t;

    fresh(&t, "");
    fixture_put(&t.f, NET "rmem_max", "134217728\n");
    fixture_put(&t.f, NET "wmem_max", "134217728\n");
    fixture_put(&t.f, "/proc/sys/vm/max_map_count", "1000000\n");
    fixture_put(&t.f, "/etc/sysctl.d/99-x.conf",
                "net.core.*mem_max = 134217728\n"
                "vm/max_map_count = 1000000\n");
    plan_is_empty(&t, "sysctl");
    tree_has_not(&t, "sysctl.file");
}

static void a_later_file_keeps_its_word(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(plan_clear) struct plan p = {0};

    fresh(&t, "");
    fixture_put(&t.f, "/etc/sysctl.d/99-operator.conf",
                "net.core.rmem_max = 1000\nfs.nr_open = 1024\n*/max_map_count = 5\n");
    apply_all(&t, "sysctl", &p);
    content_is(&t, SYSCTL, "net.core.wmem_max = 134217728\nvm.max_map_count = 1000000\n");
    tree_is(&t, "sysctl.rmem.boot", SEV_WARN,
            "the next boot sets net.core.rmem_max to 1000 (/etc/sysctl.d/99-operator.conf): raise");
    assert_null(findings_find(&t.found, "sysctl.rmem.boot")->fix);
    tree_is(&t, "sysctl.files.boot", SEV_WARN, "1024");
    tree_is(&t, "sysctl.maps.boot", SEV_OK, NULL); /* a name counts over a pattern */
}

static void an_own_file_grows_with_what_is_missing(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(plan_clear) struct plan p = {0}, more = {0};

    fresh(&t, "");
    fixture_put(&t.f, "/etc/sysctl.d/20-x.conf", "net.core.rmem_max = 134217728\n");
    apply_all(&t, "sysctl", &p);
    fixture_put(&t.f, "/etc/sysctl.d/20-x.conf", "\n");
    apply_all(&t, "sysctl", &more);
    assert_int_equal(more.n, 1);
    assert_int_equal(more.items[0].kind, CHANGE_UPDATE);
    content_is(&t, SYSCTL,
               "net.core.rmem_max = 134217728\nnet.core.wmem_max = 134217728\n"
               "vm.max_map_count = 1000000\n");
    undo_is(&t, &p, 0, UNDO_KEEP, "was changed since"); /* only the last note counts */
    undo_is(&t, &more, 0, UNDO_DO, "'" SYSCTL "' is removed");
}

static void undo_leaves_what_others_did(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(plan_clear) struct plan p = {0};

    fresh(&t, "");
    apply_all(&t, "sysctl", &p);
    fixture_put(&t.f, NET "rmem_max", "999999999\n");
    undo_is(&t, &p, 1, UNDO_KEEP, "net.core.rmem_max is 999999999 by now");
    fixture_put(&t.f, NET "rmem_max", "212992\n"); /* a boot without the file */
    undo_is(&t, &p, 1, UNDO_GONE, NULL);
    fixture_put(&t.f, SYSCTL, OWN_FILE_MARK "\nnet.core.rmem_max = 7\n");
    undo_is(&t, &p, 0, UNDO_KEEP, "was changed since");
    fixture_put(&t.f, SYSCTL, "net.core.rmem_max = 7\n");
    undo_is(&t, &p, 0, UNDO_KEEP, "is not agavectl's");
    fixture_process(&t.f, 70, "agave-validator", "/opt/agave-validator", "agave-validator", 5);
    AUTO(undo_look_clear) struct undo_look l = {0};
    assert_err(p.stage->undo_look(&t.f.ctx, &p.items[2], &l), ERR_REFUSED, "process 70");
}

static void a_foreign_file_of_our_name_is_said(void **state)
{
    AUTO(tree_clear) struct tree t;

    fresh(&t, "");
    fixture_put(&t.f, SYSCTL, "x = 1\n");
    tree_check(&t, "sysctl");
    tree_is(&t, "sysctl.file", SEV_WARN, "is not agavectl's");
    assert_null(findings_find(&t.found, "sysctl.file")->repair);
}

static void nothing_is_planned_that_may_not_last(void **state)
{
    AUTO(tree_clear) struct tree t;

    fresh(&t, "host: {persist: false}\n");
    plan_is_empty(&t, "sysctl");
    tree_is(&t, "sysctl.rmem", SEV_FAIL, "sysctl -w");
    assert_null(findings_find(&t.found, "sysctl.rmem")->fix);
    tree_is(&t, "sysctl.rmem.boot", SEV_FAIL, "put 'net.core.rmem_max");
    plan_is_empty(&t, "limits");
    tree_is(&t, "limits.nofile.next", SEV_WARN, "/etc/security/limits.d");
}

static void limits_of_logins(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(plan_clear) struct plan p = {0};

    fresh(&t, "");
    there_and_back(&t, "limits", 1);
    apply_all(&t, "limits", &p);
    content_is(&t, LOGINS, "sol hard nofile 1000000\nsol hard memlock 1953125\n");
    tree_is(&t, "limits.nofile.next", SEV_OK, "a login of 'sol' may have 1000000 open files");
    tree_is(&t, "limits.memlock.next", SEV_OK, "2000000000");
    undo_all(&t, &p);
    fixture_put(&t.f, "/etc/security/limits.d/99-x.conf",
                "sol - nofile 2000\n@ops hard memlock 1\n");
    plan_clear(&p);
    apply_all(&t, "limits", &p);
    content_is(&t, LOGINS, "sol hard memlock 1953125\n");
    tree_is(&t, "limits.nofile.next", SEV_WARN, "a login of 'sol' may have 2000 open files: set");
}

static void limits_that_the_host_gives(void **state)
{
    AUTO(tree_clear) struct tree t;

    fresh(&t, "");
    fixture_put(&t.f, "/etc/security/limits.conf",
                "@ops\thard nofile 1048576 # ours\n"
                "* hard memlock unlimited\n");
    plan_is_empty(&t, "limits");
    tree_is(&t, "limits.nofile.next", SEV_OK, "1048576");
    tree_has_not(&t, "limits.file");
    fixture_put(&t.f, "/etc/security/limits.conf", "\n");
    fixture_put(&t.f, "/etc/systemd/system.conf.d/a.conf",
                "[Manager]\nDefaultLimitNOFILE=1024:1048576\nDefaultLimitMEMLOCK=infinity\n");
    plan_is_empty(&t, "limits");
}

static void a_user_is_not_shut_out_and_must_be_known(void **state)
{
    AUTO(tree_clear) struct tree t;

    fresh(&t, "");
    fixture_put(&t.f, "/proc/sys/fs/nr_open", "4096\n");
    plan_is_empty(&t, "limits");
    tree_is(&t, "limits.nofile.next", SEV_WARN, NULL);
    fixture_put(&t.f, "/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    plan_is_empty(&t, "limits");
    tree_is(&t, "limits.user", SEV_WARN, "/etc/passwd has no user with the number 1000");
    tree_has_not(&t, "limits.nofile.next");
}

static void limits_of_a_service(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(plan_clear) struct plan p = {0};

    fresh(&t, "validator: {runtime: systemd}\n");
    fixture_put(&t.f, "/etc/systemd/system/sol.service",
                "[Service]\nExecStart=/opt/agave-validator --ledger /srv/solana/ledger\n"
                "LimitNOFILE=1024:2000000\n");
    there_and_back(&t, "limits", 2);
    apply_all(&t, "limits", &p);
    content_is(&t, DROPIN, "[Service]\nLimitMEMLOCK=2000000000\n");
    assert_string_equal(p.items[0].after,
                        "it raises the limits from the next start of 'sol.service' on");
    tree_is(&t, "limits.nofile", SEV_OK, "2000000");
    tree_is(&t, "limits.memlock", SEV_OK, "2000000000");
    undo_all(&t, &p);
    assert_false(fixture_has(&t.f, "/etc/systemd/system/sol.service.d"));
    fixture_put(&t.f, "/etc/systemd/system/sol.service.d/90-x.conf",
                "[Service]\nLimitMEMLOCK=1M\n");
    plan_is_empty(&t, "limits");
    tree_is(&t, "limits.memlock", SEV_FAIL, "1048576 bytes of locked memory: set");
}

static void systemd_is_asked_to_read_again_after_a_crash_as_well(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(plan_clear) struct plan p;

    fresh(&t, "validator: {runtime: systemd}\n");
    fixture_put(&t.f, "/etc/systemd/system/sol.service",
                "[Service]\nExecStart=/opt/agave-validator --ledger /srv/solana/ledger\n"
                "LimitNOFILE=infinity\nLimitMEMLOCK=infinity\n");
    fixture_put(&t.f, "/run/agavectl/systemd-reload", "%s", "");
    plan_is_empty(&t, "limits"); /* this host is not run by systemd */
    fixture_dir(&t.f, "/run/systemd/system");
    plan_of(&t, "limits", &p);
    assert_int_equal(p.n, 1);
    tree_is(&t, "limits.reload", SEV_WARN, "has not read its files again");
    assert_err(p.stage->apply(&t.f.ctx, &p.items[0]), ERR_ABSENT, NULL);
}

static void limits_of_containers(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(plan_clear) struct plan p = {0};

    fresh(&t, "validator: {runtime: kubernetes}\n");
    fixture_put(&t.f, "/usr/lib/systemd/system/docker.service", "[Service]\n");
    there_and_back(&t, "limits", 2);
    apply_all(&t, "limits", &p);
    content_is(&t, "/etc/systemd/system/docker.service.d/50-agavectl-limits.conf",
               "[Service]\nLimitNOFILE=1024:1000000\nLimitMEMLOCK=8388608:2000000000\n");
    assert_non_null(strstr(p.items[0].after, "when the validator is stopped"));
    tree_is(&t, "limits.nofile", SEV_OK, "'docker.service'");
}

#define LOGROTATE "/etc/logrotate.d/agavectl"

/* A host with logrotate, its timer and a log. */
static void with_logrotate(struct tree *t, const char *yaml)
{
    fresh(t, yaml);
    free(TAKE(t->cfg->file)); /* there is none */
    fixture_put(&t->f, "/usr/sbin/logrotate", "x");
    fixture_put(&t->f, "/lib/systemd/system/logrotate.timer", "[Timer]\nOnCalendar=daily\n");
    fixture_link(&t->f, "/etc/systemd/system/timers.target.wants/logrotate.timer",
                 "/lib/systemd/system/logrotate.timer");
    fixture_put(&t->f, "/etc/logrotate.d/apt", "/var/log/apt/*.log {\n  weekly\n}\n");
    fixture_put(&t->f, "/srv/solana/log/validator.log", "line\n");
    AUTO(freep) char *bin = fsroot_path(t->f.ctx.root, "/usr/sbin/logrotate");
    assert_int_equal(chmod(bin, 0755), 0);
}

static void the_log_is_turned(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(plan_clear) struct plan p = {0};
    AUTO(freep) char *text = NULL;

    with_logrotate(&t, "");
    there_and_back(&t, "logrotate", 1);
    tree_is(&t, "logrotate.log", SEV_OK, "agavectl's file"); /* of the last check, before undo */
    tree_check(&t, "logrotate");
    tree_is(&t, "logrotate.log", SEV_NOTE, "nothing turns '/srv/solana/log/validator.log', 5 B");
    tree_is(&t, "logrotate.program", SEV_OK, NULL);
    tree_is(&t, "logrotate.daily", SEV_OK, "timer");
    apply_all(&t, "logrotate", &p);
    assert_ok(fsroot_read(t.f.ctx.root, LOGROTATE, 4096, &text, NULL));
    assert_non_null(strstr(text, "\"/srv/solana/log/validator.log\" {\n    su sol sol\n"
                                 "    create 0640 sol sol\n"));
    assert_non_null(strstr(text, "' log reopen --no-lab\n    endscript\n"));
    assert_null(strstr(text, "kill"));
    tree_is(&t, "logrotate.file", SEV_OK, NULL);
}

static void a_log_without_a_user_or_a_plain_name(void **state)
{
    AUTO(tree_clear) struct tree t, odd;
    AUTO(plan_clear) struct plan p = {0};
    AUTO(freep) char *text = NULL;

    with_logrotate(&t, "validator: {uid: 4321}\n");
    apply_all(&t, "logrotate", &p);
    assert_ok(fsroot_read(t.f.ctx.root, LOGROTATE, 4096, &text, NULL));
    assert_null(strstr(text, " su "));
    assert_non_null(strstr(text, "    nocreate\n"));
    with_logrotate(&odd, "validator: {log: '/srv/a*/v.log'}\n");
    plan_is_empty(&odd, "logrotate");
    tree_is(&odd, "logrotate.log", SEV_WARN, "cannot be written into a file of logrotate's");
}

static void a_log_that_others_turn_is_theirs(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(plan_clear) struct plan p = {0};

    with_logrotate(&t, "");
    fixture_put(&t.f, "/etc/logrotate.d/sol",
                "/var/log/x\n\"/srv/solana/log/*.log\" {\n  postrotate\n    for i in {1}; do kill "
                "-USR1 $i; done\n  endscript\n}\n");
    plan_is_empty(&t, "logrotate");
    tree_is(&t, "logrotate.log", SEV_OK, "is turned by '/etc/logrotate.d/sol'");
    assert_string_equal(findings_find(&t.found, "logrotate.log")->source, "/etc/logrotate.d/sol:2");
    fixture_put(&t.f, "/etc/logrotate.d/sol.dpkg-old", "/srv/solana/log/*.log {\n}\n");
    tree_check(&t, "logrotate");
    tree_is(&t, "logrotate.log", SEV_OK, NULL);
    assert_ok(fsroot_unlink(t.f.ctx.root, "/etc/logrotate.d/sol"));
    apply_all(&t, "logrotate", &p);
    fixture_put(&t.f, "/etc/logrotate.d/sol", "/srv/solana/log/*.log { weekly }\n");
    plan_is_empty(&t, "logrotate");
    tree_is(&t, "logrotate.log", SEV_WARN, "takes away agavectl's");
}

static void a_host_where_nothing_turns_logs(void **state)
{
    AUTO(tree_clear) struct tree t;

    with_logrotate(&t, "");
    AUTO(freep) char *log = fsroot_path(t.f.ctx.root, "/srv/solana/log/validator.log");
    assert_int_equal(truncate(log, 11LL << 30), 0);
    assert_ok(
        fsroot_unlink(t.f.ctx.root, "/etc/systemd/system/timers.target.wants/logrotate.timer"));
    fixture_put(&t.f, "/etc/cron.daily/logrotate", "x");
    tree_check(&t, "logrotate");
    tree_is(&t, "logrotate.daily", SEV_WARN, "systemctl enable --now logrotate.timer");
    tree_is(&t, "logrotate.log", SEV_WARN, "11.0 GiB");
    assert_ok(fsroot_unlink(t.f.ctx.root, "/lib/systemd/system/logrotate.timer"));
    tree_check(&t, "logrotate");
    tree_is(&t, "logrotate.daily", SEV_OK, "cron");
    assert_ok(fsroot_unlink(t.f.ctx.root, "/usr/sbin/logrotate"));
    plan_is_empty(&t, "logrotate");
    tree_is(&t, "logrotate.program", SEV_WARN, "install logrotate");
}

/* The written file in the hands of the real program; our script is this test's own program. */
static void the_real_logrotate_takes_it(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(plan_clear) struct plan p = {0};

    if (access("/usr/sbin/logrotate", X_OK) < 0 || geteuid() != 0) {
        printf("# not real: logrotate: %s\n", geteuid() ? "needs root" : "not installed");
        return;
    }
    with_logrotate(&t, "validator: {uid: 0, gid: 0}\n");
    AUTO(freep) char *log = fsroot_path(t.f.ctx.root, "/srv/solana/log/validator.log");
    free(t.cfg->validator.log);
    t.cfg->validator.log = xstrdup(log);
    apply_all(&t, "logrotate", &p);
    AUTO(freep) char *file = fsroot_path(t.f.ctx.root, LOGROTATE);
    AUTO(freep) char *note = fsroot_path(t.f.ctx.root, "/state");
    AUTO(freep) char *called = xasprintf("%s/srv/solana/log/called", t.f.dir);
    AUTO(freep) char *env = xasprintf(CALLED "=%s", called);
    const char *const argv[] = {"/usr/sbin/logrotate", "-f", "-s", note, file, NULL};
    const char *const envp[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", env, NULL};
    const struct proc_spec spec = {.path = argv[0], .argv = argv, .env = envp};
    for (int i = 0; i < 2; i++) {
        AUTO(proc_result_clear) struct proc_result r = {0};

        assert_ok(t.f.ctx.proc->run(&t.f.ctx, &spec, &r));
        assert_int_equal(r.exit, 0);
        assert_string_equal(r.err, "");
        assert_int_equal(access(called, F_OK), 0);
        assert_int_equal(unlink(called), 0);
        fixture_put(&t.f, "/srv/solana/log/validator.log", "more\n");
    }
    AUTO(strlist_clear) struct strlist names = {0};
    assert_ok(fsroot_list(t.f.ctx.root, "/srv/solana/log", &names));
    assert_int_equal(names.n, 3);
    assert_string_equal(names.items[1], "validator.log.1");
    assert_string_equal(names.items[2], "validator.log.2.gz");
    printf("# real: logrotate: the file that prepare writes\n");
}

/* As called by logrotate in the test above: says so beside the log. */
static int log_reopen(void)
{
    const char *log = getenv(CALLED);
    return log ? close(open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) : 1;
}

int main(int argc, char **argv)
{
    if (argc > 2 && str_eq(argv[1], "log") && str_eq(argv[2], "reopen"))
        return log_reopen();

    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sysctls_are_raised_kept_and_given_back),
        cmocka_unit_test(what_is_higher_stays),
        cmocka_unit_test(a_host_that_sets_them_itself_gets_nothing),
        cmocka_unit_test(a_later_file_keeps_its_word),
        cmocka_unit_test(an_own_file_grows_with_what_is_missing),
        cmocka_unit_test(undo_leaves_what_others_did),
        cmocka_unit_test(a_foreign_file_of_our_name_is_said),
        cmocka_unit_test(nothing_is_planned_that_may_not_last),
        cmocka_unit_test(limits_of_logins),
        cmocka_unit_test(limits_that_the_host_gives),
        cmocka_unit_test(a_user_is_not_shut_out_and_must_be_known),
        cmocka_unit_test(limits_of_a_service),
        cmocka_unit_test(systemd_is_asked_to_read_again_after_a_crash_as_well),
        cmocka_unit_test(limits_of_containers),
        cmocka_unit_test(the_log_is_turned),
        cmocka_unit_test(a_log_without_a_user_or_a_plain_name),
        cmocka_unit_test(a_log_that_others_turn_is_theirs),
        cmocka_unit_test(a_host_where_nothing_turns_logs),
        cmocka_unit_test(the_real_logrotate_takes_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
