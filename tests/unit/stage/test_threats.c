/* Stage "unit": who could end the validator without us. Each threat on a host that has it, and not
 * on the one that has none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"
#include "checked.h"
#include "io/fsroot.h"
#include "stage/table.h"

#define SERVICE "/etc/systemd/system/sol.service"
#define GOOD                                                                                       \
    "[Unit]\nAfter=docker.service\nRequires=srv-solana.mount\n[Service]\n"                         \
    "ExecStart=/usr/local/bin/agave-validator --ledger /srv/solana/ledger\n"                       \
    "ExecStop=/usr/local/bin/agave-validator --ledger /srv/solana/ledger exit --force\n"           \
    "TimeoutStopSec=11min\nRestart=no\n"

static void look(struct checked *c)
{
    checked_look(c, &stage_unit);
}

/* ---- systemd --------------------------------------------------------------------------------- */

static void by_systemd(struct checked *c)
{
    checked_new(c, NULL);
    checked_validator(c, "");
    fixture_put(&c->f, "/proc/100/cgroup", "0::/system.slice/sol.service\n");
}

static void a_unit_that_lets_it_stop_is_fine(void **state)
{
    AUTO(checked_clear) struct checked c;

    by_systemd(&c);
    fixture_put(&c.f, SERVICE, GOOD);
    look(&c);
    checked_has(&c, "unit.runs", SEV_OK, "systemd's sol.service");
    checked_has(&c, "unit.systemd", SEV_OK, "sol.service");
    for (size_t i = 0; i < c.r.findings.n; i++)
        if (strstr(c.r.findings.items[i].what, "sol.service:"))
            fail_msg("%s", c.r.findings.items[i].what);
}

static void what_systemd_would_do_to_it_is_told(void **state)
{
    static const struct {
        const char *line, *id, *part;
        enum severity sev;
    } rows[] = {
        {"Restart=always", "unit.restart", "a stop is undone", SEV_WARN},
        {"Restart=on-failure", "unit.restart", "after a crash", SEV_NOTE},
        {"ExecStop=\nKillSignal=SIGINT", "unit.execstop", "SIGINT", SEV_WARN},
        {"ExecStop=\n", "unit.execstop", "no ExecStop", SEV_WARN},
        {"ExecStop=\nExecStop=/bin/agave-validator -l /x exit -f --no-wait-for-exit",
         "unit.execstop", "waited for", SEV_WARN},
        {"ExecStop=\nExecStop=/bin/agave-validator -l /x exit", "unit.execstop", "waited",
         SEV_WARN},
        {"ExecStop=\nExecStop=/bin/kill -9 $MAINPID", "unit.execstop", "kill -9", SEV_WARN},
        {"TimeoutStopSec=90", "unit.stoptimeout", "at least 600 s", SEV_FAIL},
        {"TimeoutStopSec=9min 59s", "unit.stoptimeout", NULL, SEV_FAIL},
        {"TimeoutStopSec=", "unit.stoptimeout", "90 s (systemd's default)", SEV_FAIL},
        {"TimeoutStopSec=soon", "unit.stoptimeout", "soon", SEV_UNKNOWN},
        {"RuntimeMaxSec=4h", "unit.runtimemax", "4h", SEV_FAIL},
        {"WatchdogSec=30", "unit.watchdog", "30", SEV_FAIL},
        {"OOMPolicy=kill", "unit.oompolicy", NULL, SEV_WARN},
        {"MemoryMax=512G", "unit.memorymax", "512G", SEV_WARN},
        {"[Unit]\nPartOf=docker.service", "unit.bound", "PartOf=docker.service", SEV_WARN},
        {"[Unit]\nBindsTo=docker.service", "unit.bound", NULL, SEV_WARN},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(checked_clear) struct checked c;

        by_systemd(&c);
        fixture_put(&c.f, SERVICE, GOOD);
        fixture_put(&c.f, SERVICE ".d/10-more.conf", "[Service]\n%s\n", rows[i].line);
        look(&c);
        checked_has(&c, rows[i].id, rows[i].sev, rows[i].part);
    }
}

static void what_it_would_not_do_is_not_told(void **state)
{
    static const char *const lines[] = {
        "TimeoutStopSec=infinity",
        "TimeoutStopSec=0",
        "TimeoutStopSec=600",
        "TimeoutStopSec=20min",
        "RuntimeMaxSec=infinity",
        "WatchdogSec=0",
        "OOMPolicy=continue",
        "MemoryMax=infinity",
        "SendSIGKILL=no\nTimeoutStopSec=5",
        "ExecStop=\nExecStop=/usr/bin/agavectl stop",
        "KillMode=none\nExecStop=",
    };

    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        AUTO(checked_clear) struct checked c;

        by_systemd(&c);
        fixture_put(&c.f, SERVICE, GOOD);
        fixture_put(&c.f, SERVICE ".d/10-more.conf", "[Service]\n%s\n", lines[i]);
        look(&c);
        checked_has(&c, "unit.systemd", SEV_OK, "sol.service");
    }
}

static void a_unit_that_would_start_it_is_found_while_it_is_down(void **state)
{
    AUTO(checked_clear) struct checked c;

    checked_new(&c, NULL);
    fixture_put(&c.f, SERVICE,
                "[Service]\nExecStart=/usr/local/bin/agave-validator --ledger /srv/solana/ledger\n"
                "Restart=always\n");
    fixture_put(&c.f, "/etc/systemd/system/other.service",
                "[Service]\nExecStart=/bin/other\nRestart=always\n");
    look(&c); /* nothing starts it by itself */
    checked_fine(&c, "unit.restart");
    fixture_link(&c.f, "/etc/systemd/system/multi-user.target.wants/sol.service", SERVICE);
    fixture_link(&c.f, "/etc/systemd/system/multi-user.target.wants/other.service",
                 "/etc/systemd/system/other.service");
    look(&c);
    checked_has(&c, "unit.restart", SEV_WARN, "sol.service");
    for (size_t i = 0; i < c.r.findings.n; i++)
        assert_null(strstr(c.r.findings.items[i].what, "other.service"));
}

static void a_unit_without_a_file_is_not_ok(void **state)
{
    AUTO(checked_clear) struct checked c;

    by_systemd(&c);
    look(&c);
    checked_has(&c, "unit.systemd", SEV_UNKNOWN, "sol.service");
}

/* ---- memory ---------------------------------------------------------------------------------- */

#define GROUP "/sys/fs/cgroup/system.slice/sol.service"

static void in_a_group(struct checked *c, const char *limit, const char *anon, const char *kills)
{
    by_systemd(c);
    fixture_put(&c->f, SERVICE, GOOD);
    fixture_put(&c->f, "/proc/100/mountinfo",
                "20 1 259:2 / / rw - ext4 /dev/x rw\n"
                "25 20 0:25 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    fixture_put(&c->f, "/proc/self/mountinfo",
                "20 1 259:2 / / rw - ext4 /dev/x rw\n"
                "25 20 0:25 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    fixture_put(&c->f, GROUP "/memory.max", "%s\n", limit);
    fixture_put(&c->f, GROUP "/memory.high", "max\n");
    fixture_put(&c->f, GROUP "/memory.current", "%s\n", anon);
    fixture_put(&c->f, GROUP "/memory.stat", "anon %s\nfile 0\nshmem 0\n", anon);
    fixture_put(&c->f, GROUP "/memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill %s\n", kills);
    fixture_put(&c->f, "/sys/fs/cgroup/cgroup.controllers", "memory\n");
    fixture_put(&c->f, "/sys/fs/cgroup/system.slice/memory.max", "max\n");
}

static void memory_limits_and_kills_are_told(void **state)
{
    AUTO(checked_clear) struct checked calm, tight;

    in_a_group(&calm, "1000000000", "500000000", "0");
    look(&calm);
    checked_has(&calm, "unit.memory", SEV_OK, "are held");
    checked_has(&calm, "unit.oomkills", SEV_OK, NULL);
    in_a_group(&tight, "1000000000", "950000000", "3");
    fixture_put(&tight.f, "/proc/100/oom_score_adj", "967\n");
    look(&tight);
    checked_has(&tight, "unit.memory", SEV_WARN, "the kernel kills it there");
    checked_has(&tight, "unit.oomkills", SEV_WARN, "killed 3 processes");
    checked_has(&tight, "unit.oomscore", SEV_WARN, "967");
}

static void killers_in_user_space_are_named(void **state)
{
    AUTO(checked_clear) struct checked c;

    checked_new(&c, NULL);
    look(&c);
    checked_fine(&c, "unit.earlyoom");
    checked_fine(&c, "unit.oomd");
    fixture_process(&c.f, 60, "earlyoom", "/usr/bin/earlyoom", "/usr/bin/earlyoom -r 3600", 1);
    fixture_process(&c.f, 61, "systemd-oomd", "/lib/systemd/systemd-oomd", "systemd-oomd", 1);
    look(&c);
    checked_has(&c, "unit.earlyoom", SEV_WARN, "process 60");
    checked_has(&c, "unit.oomd", SEV_WARN, "process 61");
    fixture_process(&c.f, 60, "earlyoom", "/usr/bin/earlyoom",
                    "/usr/bin/earlyoom --avoid ^agave-validator$", 1);
    look(&c);
    checked_fine(&c, "unit.earlyoom");
}

/* ---- the clock ------------------------------------------------------------------------------- */

static void cron_that_ends_it_is_found(void **state)
{
    static const struct {
        const char *file, *text, *part; /* part NULL: harmless */
    } rows[] = {
        {"/etc/cron.d/agave", "0 */4 * * * root laconic-so deployment --dir /srv/d restart\n",
         "'0 */4 * * *' (restart … laconic-so)"},
        {"/etc/crontab", "SHELL=/bin/sh\n@daily root /sbin/reboot\n", "'@daily' (reboot)"},
        {"/etc/cron.d/x", "5 4 * * 0 root kubectl -n laconic rollout restart deployment/x\n",
         "kubectl"},
        {"/etc/cron.d/x", "5 4 * * 0 root docker restart laconic-control-plane\n", "docker"},
        {"/etc/cron.d/x", "5 4 * * 0 root systemctl restart sol.service\n", "sol.service"},
        {"/etc/cron.d/x", "5 4 * * 0 root pkill -f agave-validator\n", "agave-validator"},
        {"/etc/cron.d/x", "5 4 * * 0 root /opt/nightly --now\n", "restart … kubectl in '/opt/nig"},
        {"/var/spool/cron/crontabs/root", "5 4 * * * docker kill node\n", "crontabs/root:1"},
        {"/etc/cron.daily/tidy", "#!/bin/sh\nset -e\nshutdown -r now\n", "cron.daily/tidy"},
        {"/etc/cron.d/x", "# 5 4 * * 0 root docker restart x\n", NULL},
        {"/etc/cron.d/x", "5 4 * * 0 root certbot renew --post-hook 'systemctl restart nginx'\n",
         NULL},
        {"/etc/cron.d/x", "5 4 * * 0 root [ -e /run/reboot-required ] && logger agave\n", NULL},
        {"/etc/cron.d/x", "5 4 * * 0 root docker image prune -f\n", NULL},
        {"/etc/cron.d/x", "RESTART=docker restart\n", NULL},
        {"/etc/cron.daily/x", "#!/bin/sh\n # docker restart x\nexit 0\n", NULL},
        {"/etc/cron.d/x", "5 4 * * 0 root\n", NULL},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(checked_clear) struct checked c;

        checked_new(&c, NULL);
        fixture_put(&c.f, "/opt/nightly",
                    "#!/bin/bash\n# kubectl restart\nkubectl rollout restart x\n");
        fixture_put(&c.f, rows[i].file, "%s", rows[i].text);
        look(&c);
        if (rows[i].part)
            checked_has(&c, "unit.cron", SEV_FAIL, rows[i].part);
        else
            checked_has(&c, "unit.cron", SEV_OK, NULL);
    }
}

static void what_cron_runs_is_never_quoted(void **state)
{
    AUTO(checked_clear) struct checked c;

    checked_new(&c, NULL);
    fixture_put(&c.f, "/etc/cron.d/x", "1 2 * * * root TOKEN=hunter2 kubectl delete pod agave\n");
    look(&c);
    checked_has(&c, "unit.cron", SEV_FAIL, "delete … kubectl");
    for (size_t i = 0; i < c.r.findings.n; i++)
        assert_null(strstr(c.r.findings.items[i].what, "hunter2"));
}

static void timers_that_end_it_are_found_when_enabled(void **state)
{
    AUTO(checked_clear) struct checked c;

    checked_new(&c, NULL);
    fixture_put(
        &c.f, "/etc/systemd/system/nightly.timer",
        "[Timer]\nOnCalendar=daily\nUnit=bounce.service\n[Install]\nWantedBy=timers.target\n");
    fixture_put(&c.f, "/etc/systemd/system/bounce.service",
                "[Service]\nType=oneshot\nExecStart=/usr/bin/docker restart node\n");
    look(&c);
    checked_has(&c, "unit.timers", SEV_OK, NULL); /* is there, but nothing starts it */
    fixture_link(&c.f, "/etc/systemd/system/timers.target.wants/nightly.timer",
                 "/etc/systemd/system/nightly.timer");
    look(&c);
    checked_has(&c, "unit.timers", SEV_FAIL, "nightly.timer ends it (restart … docker)");
    fixture_put(&c.f, "/etc/systemd/system/bounce.service",
                "[Service]\nExecStart=/usr/bin/backup\n");
    look(&c);
    checked_has(&c, "unit.timers", SEV_OK, NULL);
}

/* ---- updates --------------------------------------------------------------------------------- */

static void unattended_upgrades_and_reboots_are_told(void **state)
{
    AUTO(checked_clear) struct checked c;

    checked_new(&c, NULL);
    fixture_put(&c.f, "/etc/apt/apt.conf.d/20auto-upgrades",
                "APT::Periodic::Update-Package-Lists \"1\";\n"
                "APT::Periodic::Unattended-Upgrade \"0\";\n"
                "// APT::Periodic::Unattended-Upgrade \"1\";\n"
                "/* APT::Periodic::Unattended-Upgrade \"1\"; */\n");
    fixture_put(&c.f, "/etc/apt/apt.conf.d/50unattended-upgrades",
                "Unattended-Upgrade {\n  Automatic-Reboot \"true\"; /* at once */\n"
                "  Package-Blacklist { \"vim\"; };\n};\n");
    look(&c);
    checked_has(&c, "unit.upgrades", SEV_OK, NULL);
    checked_fine(&c, "unit.reboot");
    fixture_put(&c.f, "/etc/apt/apt.conf.d/99on",
                "APT { Periodic { Unattended-Upgrade \"1\"; }; };");
    look(&c);
    checked_has(&c, "unit.upgrades", SEV_WARN, "99on");
    checked_has(&c, "unit.reboot", SEV_FAIL, "50unattended-upgrades");
    fixture_put(&c.f, "/etc/apt/apt.conf.d/99x.dpkg-old",
                "APT::Periodic::Unattended-Upgrade \"0\";");
    fixture_put(&c.f, "/etc/apt/apt.conf.d/51local",
                "Unattended-Upgrade::Automatic-Reboot \"false\";\n"
                "Unattended-Upgrade::Package-Blacklist:: \"docker-ce\";\n");
    look(&c);
    checked_has(&c, "unit.upgrades", SEV_NOTE, "blacklist");
    checked_fine(&c, "unit.reboot");
}

static void needrestart_by_itself_is_told(void **state)
{
    AUTO(checked_clear) struct checked c;

    checked_new(&c, NULL);
    fixture_put(&c.f, "/etc/needrestart/needrestart.conf", "#$nrconf{restart} = 'a';\n");
    look(&c);
    checked_fine(&c, "unit.needrestart");
    fixture_put(&c.f, "/etc/needrestart/conf.d/auto.conf", "$nrconf{restart} = 'a';\n");
    look(&c);
    checked_has(&c, "unit.needrestart", SEV_WARN, "Docker among them");
}

/* ---- rivals ---------------------------------------------------------------------------------- */

static void the_stacks_gap_monitor_is_named_without_its_secrets(void **state)
{
    static const char environ[] = "SNAPSHOT_LEAPFROG_SLOTS=5000\0TOKEN=hunter2\0"
                                  "SNAPSHOT_MONITOR_GRACE=600";
    AUTO(checked_clear) struct checked c;

    checked_new(&c, NULL);
    fixture_process(&c.f, 90, "python3", "/usr/bin/python3",
                    "python3 /usr/local/bin/entrypoint.py serve", 1);
    assert_ok(
        fsroot_write_atomic(c.f.ctx.root, "/proc/90/environ", environ, sizeof(environ), 0400));
    checked_validator(&c, "");
    fixture_put(&c.f, "/proc/100/stat",
                "100 (agave-validator) S 90 1 1 0 -1 4194560 9 0 0 0 1 2 3 4 20 0 1 0 1 99 7\n");
    look(&c);
    checked_has(&c, "unit.monitor", SEV_WARN, "SNAPSHOT_LEAPFROG_SLOTS, SNAPSHOT_MONITOR_GRACE");
    for (size_t i = 0; i < c.r.findings.n; i++)
        assert_null(c.r.findings.items[i].got ? strstr(c.r.findings.items[i].got, "hunter2")
                                              : NULL);
    fixture_process(&c.f, 90, "supervisord", "/usr/bin/python3", "python3 supervisord", 1);
    look(&c);
    checked_has(&c, "unit.supervisor", SEV_WARN, "process 90");
}

static void logrotate_is_judged_by_its_signal(void **state)
{
    static const struct {
        const char *text;
        enum severity sev;
    } rows[] = {
        {"/srv/solana/log/validator.log {\n rotate 7\n postrotate\n  systemctl kill -s USR1 "
         "sol.service\n endscript\n}\n",
         SEV_OK},
        {"/var/log/a.log\n\"/srv/solana/log/*.log\" {\n rotate 7\n copytruncate\n}\n", SEV_WARN},
        {"/srv/solana/log/*.log {\n postrotate\n  pkill -HUP agave-validator\n endscript\n}\n",
         SEV_FAIL},
        {"/srv/solana/log/*.log {\n postrotate\n  systemctl restart sol.service\n endscript\n}\n",
         SEV_FAIL},
        {"/srv/solana/log/*.log {\n weekly\n}\n", SEV_NOTE},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(checked_clear) struct checked c;

        checked_new(&c, NULL);
        fixture_put(&c.f, "/etc/logrotate.conf", "weekly\n# {\ninclude /etc/logrotate.d\n");
        fixture_put(&c.f, "/etc/logrotate.d/agave", "%s", rows[i].text);
        fixture_put(&c.f, "/etc/logrotate.d/other",
                    "/var/log/other.log {\n postrotate\n  pkill -HUP agave\n endscript\n}\n");
        look(&c);
        checked_has(&c, "unit.logrotate", rows[i].sev, NULL);
        if (rows[i].sev != SEV_FAIL)
            assert_true(findings_worst(&c.r.findings) < SEV_FAIL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unit_that_lets_it_stop_is_fine),
        cmocka_unit_test(what_systemd_would_do_to_it_is_told),
        cmocka_unit_test(what_it_would_not_do_is_not_told),
        cmocka_unit_test(a_unit_that_would_start_it_is_found_while_it_is_down),
        cmocka_unit_test(a_unit_without_a_file_is_not_ok),
        cmocka_unit_test(memory_limits_and_kills_are_told),
        cmocka_unit_test(killers_in_user_space_are_named),
        cmocka_unit_test(cron_that_ends_it_is_found),
        cmocka_unit_test(what_cron_runs_is_never_quoted),
        cmocka_unit_test(timers_that_end_it_are_found_when_enabled),
        cmocka_unit_test(unattended_upgrades_and_reboots_are_told),
        cmocka_unit_test(needrestart_by_itself_is_told),
        cmocka_unit_test(the_stacks_gap_monitor_is_named_without_its_secrets),
        cmocka_unit_test(logrotate_is_judged_by_its_signal),
    };

    return cmocka_run_group_tests_name("threats", tests, NULL, NULL);
}
