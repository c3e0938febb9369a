/* A host before and after the runbook's playbook, as files: what stages for the next boot find. */
#include "runbook.h"

void runbook_bare(struct fixture *f, const char *fstab)
{
    fixture_dir(f, "/run/systemd/system");
    fixture_put(f, "/proc/self/mountinfo", "27 1 254:0 / / rw - ext4 /dev/vda rw\n");
    fixture_put(f, "/etc/fstab", "%s", fstab);
    fixture_put(f, "/usr/lib/systemd/system/docker.service", "[Service]\nExecStart=/d\n");
    fixture_dir(f, RUNBOOK_ETC "multi-user.target.wants");
}

void runbook_units(struct fixture *f)
{
    fixture_put(f, RUNBOOK_ETC "format-ramdisk.service", RUNBOOK_FORMAT);
    fixture_put(f, RUNBOOK_ETC "ramdisk-accounts.service",
                RUNBOOK_ACCOUNTS "[Install]\nWantedBy=multi-user.target\n");
    fixture_link(f, RUNBOOK_ETC "multi-user.target.wants/ramdisk-accounts.service",
                 RUNBOOK_ETC "ramdisk-accounts.service");
}

void runbook_docker(struct fixture *f)
{
    fixture_put(f, RUNBOOK_ETC "docker.service.d/10-solana-ramdisk.conf",
                "[Unit]\nRequiresMountsFor=/srv/solana/ramdisk /srv/kind/solana\n"
                "Requires=ramdisk-accounts.service\nAfter=ramdisk-accounts.service\n"
                "AssertPathIsMountPoint=/srv/kind/solana/ramdisk\n");
}

void runbook_docker_with_more(struct fixture *f)
{
    fixture_put(f, RUNBOOK_ETC "docker.service.d/10-solana-ramdisk.conf",
                "[Unit]\nRequiresMountsFor=/srv/solana/ramdisk /srv/kind/solana\n"
                "Requires=ramdisk-accounts.service\nAssertPathIsMountPoint=/srv/kind/solana\n"
                "[Service]\nLimitNOFILE=5\n");
}
