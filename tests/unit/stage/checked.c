/* A stage on a made-up host, and what must be among its findings. */
#include "checked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/str.h"
#include "io/clock.h"
#include "io/fsroot.h"

static const char mounts[] =
    "20 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw\n"
    "21 20 0:20 / /proc rw - proc proc rw\n"
    "30 20 230:0 / /srv/solana rw,noatime shared:2 - xfs /dev/zd0 rw,attr2\n"
    "31 30 1:0 / /srv/solana/ramdisk rw,noatime shared:3 - xfs /dev/ram0 rw,attr2\n";

/* Time goes on only when somebody waits. */
static uint64_t now_ns = 1000000000;

static uint64_t fake_mono(void)
{
    return now_ns;
}

static uint64_t fake_wall(void)
{
    return 1700000000000 + now_ns / 1000000;
}

static void fake_wait(uint64_t wait_ns, const volatile sig_atomic_t *cancelled)
{
    now_ns += wait_ns;
}

static const struct clock_ops fake_clock = {fake_mono, fake_wall, fake_wait};

void checked_new(struct checked *c, const char *more)
{
    static const char plain[] = "validator:\n  identity: /etc/agave/id.json\n";

    *c = (struct checked){0};
    fixture_new(&c->f);
    c->f.ctx.clock = &fake_clock;
    assert_ok(config_parse(more ? more : plain, strlen(more ? more : plain), "test", &c->cfg));
    c->f.ctx.cfg = c->cfg;
    fixture_put(&c->f, "/proc/self/stat", "1 (test) S 0\n");
    fixture_put(&c->f, "/proc/self/mountinfo", "%s", mounts);
    fixture_dir(&c->f, "/srv/solana/ledger");
}

void checked_clear(struct checked *c)
{
    check_report_clear(&c->r);
    fixture_clear(&c->f);
    config_free(c->cfg);
}

/* What makes process 100 the validator for everybody who asks. */
static void lock_ledger(struct checked *c)
{
    struct stat st;

    fixture_put(&c->f, "/srv/solana/ledger/ledger.lock", "%s", "");
    assert_ok(fsroot_stat(c->f.ctx.root, "/srv/solana/ledger/ledger.lock", &st));
    fixture_put(&c->f, "/proc/locks", "1: FLOCK  ADVISORY  WRITE 100 %x:%x:%llu 0 EOF\n",
                major(st.st_dev), minor(st.st_dev), (unsigned long long)st.st_ino);
}

void checked_validator(struct checked *c, const char *more_args)
{
    AUTO(freep)
    char *argv = xasprintf(
        "agave-validator --identity /etc/agave/id.json --no-voting --ledger /srv/solana/ledger "
        "--snapshots /srv/solana/snapshots --accounts /srv/solana/ramdisk/accounts --log "
        "/srv/solana/log/validator.log --rpc-port 8899 --gossip-port 8001 --dynamic-port-range "
        "8002-8040%s%s",
        *more_args ? " " : "", more_args);

    fixture_process(&c->f, 100, "agave-validator", "/usr/local/bin/agave-validator", argv, 5000);
    lock_ledger(c);
    fixture_put(&c->f, "/proc/100/status", "Name:\tx\nUid:\t1000\t1000\t1000\t1000\n");
    fixture_put(&c->f, "/proc/100/mountinfo", "%s", mounts);
    fixture_put(&c->f, "/proc/100/oom_score_adj", "0\n");
    fixture_put(&c->f, "/proc/100/cgroup", "0::/user.slice/user-0.slice/session-1.scope\n");
}

void checked_look(struct checked *c, const struct stage *s)
{
    const struct stage *table[] = {s, NULL};
    struct check_opts opts = {.table = table};

    check_report_clear(&c->r);
    stages_check(&c->f.ctx, &opts, &c->r);
}

static void show(const struct checked *c)
{
    for (size_t i = 0; i < c->r.findings.n; i++) {
        const struct finding *f = &c->r.findings.items[i];

        print_error("%s %s: %s (want %s, got %s, from %s)\n", severity_name(f->sev), f->id, f->what,
                    f->want ? f->want : "-", f->got ? f->got : "-", f->source ? f->source : "-");
    }
}

static bool has(const char *text, const char *part)
{
    return text && strstr(text, part);
}

void checked_has(struct checked *c, const char *id, enum severity sev, const char *part)
{
    for (size_t i = 0; i < c->r.findings.n; i++) {
        const struct finding *f = &c->r.findings.items[i];

        if (str_eq(f->id, id) && f->sev == sev &&
            (!part || has(f->what, part) || has(f->want, part) || has(f->got, part) ||
             has(f->source, part)))
            return;
    }
    show(c);
    fail_msg("no %s %s with '%s'", severity_name(sev), id, part ? part : "");
}

void checked_fine(struct checked *c, const char *id)
{
    for (size_t i = 0; i < c->r.findings.n; i++)
        if (str_eq(c->r.findings.items[i].id, id) && c->r.findings.items[i].sev != SEV_OK) {
            show(c);
            fail_msg("%s is not fine", id);
        }
}

void checked_clean(struct checked *c)
{
    for (size_t i = 0; i < c->r.findings.n; i++)
        if (c->r.findings.items[i].sev > SEV_NOTE) {
            show(c);
            fail_msg("%s", c->r.findings.items[i].id);
        }
}
