#!/usr/bin/env python3
"""What systemd makes of the next boot's files: booted for real, in namespaces (machine_systemd.py), in seconds.

Devices are loop devices with the names that a host would have; their content is formatted and mounted for real.
"""
import contextlib
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "integration"), str(HERE.parent / "cluster")]
import machine  # noqa: E402
import runbook  # noqa: E402
from booted import find_disk  # noqa: E402
from harness import test, main  # noqa: E402
from image import Absent  # noqa: E402

try:
    find_disk()
except Absent as absent:
    machine.skip_all("systemd", absent)
FOLDER = machine.enter("systemd", ["losetup", "mkfs.xfs", "nsenter"])
from machine_systemd import Container  # noqa: E402

VOLUME = "disk/by-id/virtio-vol0"
XFS_MIB = 320  # a little more than the smallest XFS
GUARDED = ["docker.service"]


@contextlib.contextmanager
def a_host(t, ram_mib=XFS_MIB):
    c = Container(FOLDER)
    try:
        c.volume = c.add_disk(VOLUME, XFS_MIB)
        c.ram = c.add_disk("ram0", ram_mib)
        c.boot()
        yield c
    finally:
        c.close()


def stopped(c):
    """Degraded and reachable; what is guarded did not start."""
    assert c.state("multi-user.target", "emergency.target", "rescue.target") == {
        "multi-user.target": "active", "emergency.target": "inactive", "rescue.target": "inactive"}
    for unit in GUARDED:
        assert c.state(unit)[unit] in ("inactive", "failed"), unit
        assert c.saw(unit.removesuffix(".service")) is None, c.saw(unit.removesuffix(".service"))


def seen(c):
    return {"/srv/solana": [c.volume, "xfs"], "/srv/solana/ramdisk": [c.ram, "xfs"],
            "/srv/kind/solana": [c.volume, "xfs"], "/srv/kind/solana/ramdisk": [c.ram, "xfs"],
            "accounts": ["directory", "1000:1000"]}


@test
def order_at_boot(t):
    """Formatted, mounted, made and owned before Docker is started, at every boot."""
    with a_host(t) as c:
        t.real("systemd", f"{c.ok('systemctl --version').splitlines()[0]}, booted in namespaces")
        runbook.make(c, f"/dev/{VOLUME}")
        for _ in range(2):
            assert c.reboot() == "running", c.run("systemctl --failed")[1]
            assert c.saw("docker") == seen(c), c.saw("docker")
            assert c.run("test -e /srv/solana/ramdisk/stale")[0] == 1
            assert "ordering cycle" not in c.journal()
            c.ok("touch /srv/solana/ramdisk/stale")


@test
def a_failed_format(t):
    """Of a RAM disk that is too small for an XFS."""
    with a_host(t, ram_mib=4) as c:
        runbook.make(c, f"/dev/{VOLUME}")
        assert c.reboot() == "degraded"
        assert c.state("format-ramdisk.service") == {"format-ramdisk.service": "failed"}
        stopped(c)


@test
def a_missing_line(t):
    """Requirements of a mount that nothing makes mean nothing; the assertion stops Docker."""
    with a_host(t) as c:
        runbook.make(c, f"/dev/{VOLUME}")
        c.ok("sed -i /ram0/d /etc/fstab")
        c.reboot()
        stopped(c)
        assert c.ok("systemctl show -p AssertResult docker") == "AssertResult=no\n"


main()
