#include "tests/unit/boot/host.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usual[] =
    "storage:\n"
    "  volume: {device: \"\", mount: /srv/solana}\n"
    "  ramdisk: {kind: tmpfs, size_gib: 1, device: \"\", mount: /srv/solana/ramdisk}\n"
    "  kind_root: /srv/kind\n"
    "  bind: /srv/kind/solana\n";

void host_boot(struct host *h, const char *id)
{
    fixture_put(&h->f, "/proc/sys/kernel/random/boot_id", "%s\n", id);
}

void host_booted_at(struct host *h, unsigned long at_s)
{
    fixture_put(&h->f, "/proc/stat", "cpu 0 0\nbtime %lu\nprocesses 1\n", at_s);
}

void host_mounts(struct host *h, bool ramdisk, bool bind)
{
    fixture_put(&h->f, "/proc/self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n%s%s",
                ramdisk ? "2 1 0:51 / /srv/solana/ramdisk rw - tmpfs tmpfs rw\n" : "",
                bind ? "3 1 8:1 /srv/solana /srv/kind/solana rw - ext4 /dev/sda1 rw\n" : "");
}

void host_new(struct host *h, const char *more)
{
    AUTO(freep)
    char *yaml = xasprintf("%svalidator: {uid: %u, gid: %u, accounts: " ACCOUNTS
                           ", snapshots: " SNAPS ", ledger: /srv/solana/ledger%s",
                           usual, geteuid(), getegid(), *more ? more : "}\n");

    *h = (struct host){0};
    fixture_new(&h->f);
    assert_ok(config_parse(yaml, strlen(yaml), "test", &h->cfg));
    h->f.ctx.cfg = h->cfg;
    host_boot(h, BOOT_A);
    host_booted_at(h, 4102444800); /* 2100 */
    fixture_put(&h->f, "/proc/self/stat", "1");
    fixture_put(&h->f, "/proc/locks", "%s", "");
    fixture_put(&h->f, "/proc/uptime", "60.5 100.0\n");
    fixture_process(&h->f, (int)getpid(), "test", "/bin/test", "test", 1);
    fixture_dir(&h->f, "/srv/solana/ramdisk");
    fixture_dir(&h->f, SNAPS);
    fixture_link(&h->f, "/srv/kind/solana", "/srv/solana");
    host_mounts(h, true, true);
}

void host_clear(struct host *h)
{
    strlist_clear(&h->said);
    h->cfg = config_free(h->cfg);
    fixture_clear(&h->f);
}

void host_bank_snapshot(struct host *h, unsigned slot, bool accounts)
{
    AUTO(freep) char *mark = xasprintf(SNAPS "/snapshots/%u/storages_flushed", slot);
    AUTO(freep)
    char *link = xasprintf(SNAPS "/snapshots/%u/accounts_hardlinks/account_path_0", slot);
    AUTO(freep) char *target = xasprintf(ACCOUNTS "/snapshot/%u", slot);
    AUTO(freep) char *file = xasprintf(ACCOUNTS "/snapshot/%u/%u.9", slot, slot);

    fixture_put(&h->f, mark, "%s", "");
    fixture_link(&h->f, link, target);
    if (accounts)
        fixture_put(&h->f, file, "accounts");
}

bool host_has(const struct host *h, const char *path)
{
    AUTO(freep) char *real = xasprintf("%s%s", h->f.dir, path);

    return access(real, F_OK) == 0;
}

bool host_said(const struct host *h, const char *part)
{
    for (size_t i = 0; i < h->said.n; i++)
        if (strstr(h->said.items[i], part))
            return true;
    return false;
}
