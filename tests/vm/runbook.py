"""A host as the runbook has it, made by hand: what agavectl must find in order, and can take over (prepare --adopt)."""
from pathlib import Path

from image import HERE

HOST = HERE.parent / "hosts" / "runbook"
FILES = ["etc/fstab", "etc/modprobe.d/solana-ramdisk.conf", "etc/modules-load.d/solana.conf",
         "etc/systemd/system/format-ramdisk.service", "etc/systemd/system/ramdisk-accounts.service",
         "etc/systemd/system/docker.service.d/10-solana-ramdisk.conf"]


def files(volume, root="/dev/vda"):
    """{path: text} of the captured host, with these devices, without its ZFS, and with a RAM disk of 1 GiB."""
    found = {f"/{name}": (HOST / name).read_text() for name in FILES}
    found["/etc/fstab"] = "".join(
        line.replace("UUID=4d6ab4e8-4a6c-4c0f-9d2c-0d4b8b7a2a11", root).replace("/dev/zvol/tank/solana", volume)
        .replace(",x-systemd.requires=zfs-volume-wait.service", "").replace(",x-systemd.requires=zfs-mount.service", "")
        for line in found["/etc/fstab"].splitlines(True))
    found["/etc/modprobe.d/solana-ramdisk.conf"] = "options brd rd_nr=1 rd_size=1048576 max_part=0\n"
    assert volume in found["/etc/fstab"] and "zfs" not in found["/etc/fstab"], found
    return found


def make(machine, volume):
    """By an operator's hand: the files, the volume's file system, the folders. The next boot does the rest."""
    for path, text in files(volume).items():
        machine.write(path, text)
    machine.ok(f"mkfs.xfs -q {volume} && mkdir -p /srv/solana /srv/kind/solana && mount {volume} /srv/solana && "
               "mkdir -p /srv/solana/ramdisk /srv/solana/ledger /srv/solana/snapshots /srv/solana/log && "
               "chown 1000:1000 /srv/solana/ledger /srv/solana/snapshots /srv/solana/log && "
               "systemctl enable ramdisk-accounts.service")
