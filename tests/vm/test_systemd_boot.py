#!/usr/bin/env python3
"""What systemd makes of the next boot's files: booted for real, in namespaces (machine_systemd.py), in seconds.

Devices are loop devices with the names that a host would have; their content is formatted and mounted for real.
"""
import contextlib
import sys
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "integration"), str(HERE.parent / "cluster")]
import machine  # noqa: E402
import picture  # noqa: E402
import runbook  # noqa: E402
from booted import find_disk  # noqa: E402
from harness import Skip, test, main  # noqa: E402
from image import Absent  # noqa: E402

try:
    find_disk()
except Absent as absent:
    machine.skip_all("systemd", absent)
FOLDER = machine.enter("systemd", ["losetup", "mkfs.xfs", "nsenter"])
from machine_systemd import Container  # noqa: E402
from prepared import Prepared  # noqa: E402

VOLUME = "disk/by-id/virtio-vol0"
XFS_MIB = 320  # a little more than the smallest XFS
STAGES = "kind-root volume ramdisk bind dirs fstab units"


@contextlib.contextmanager
def a_machine(t):
    c = Container(FOLDER)
    try:
        c.volume = c.add_disk(VOLUME, XFS_MIB)
        yield c
    finally:
        c.close()


def by_hand(c, ram_mib=XFS_MIB, add=Container.add_disk):
    """As the runbook has it; its RAM disk is a device that has that name too."""
    ram = add(c, "ram0", ram_mib)
    c.boot()
    runbook.make(c, f"/dev/{VOLUME}")
    return Prepared(c, [c.volume, "xfs"], [ram, "xfs"], guarded=["docker"])


def configure(c, ramdisk):
    c.write("/etc/agavectl/agavectl.yaml",
            f"storage:\n  volume: {{device: /dev/{VOLUME}}}\n  ramdisk: {{{ramdisk}}}\n")


def zram(c, link, size_mib):
    device = c.add_zram(link, size_mib)
    if not device:
        raise Skip("no zram in this kernel", part="block devices")
    return device


def on_a_device(c, size_mib=XFS_MIB):
    device = zram(c, "ram-for-accounts", size_mib)
    c.boot()
    configure(c, f"device: {device}")
    return Prepared(c, [c.volume, "xfs"], [device, "xfs"], stages=STAGES)


def on_a_tmpfs(c):
    c.boot()
    configure(c, "kind: tmpfs, size_gib: 1")
    return Prepared(c, [c.volume, "xfs"], ["tmpfs", "tmpfs"], stages=STAGES)


@test
def by_hand_it_boots(t):
    """Formatted, mounted, made and owned before Docker is started, at every boot."""
    with a_machine(t) as c:
        h = by_hand(c)
        t.real("systemd", f"{c.ok('systemctl --version').splitlines()[0]}, booted in namespaces")
        c.reboot()
        h.comes_back()


@test
def by_hand_a_failed_format(t):
    """Of a RAM disk that is too small for an XFS."""
    with a_machine(t) as c:
        h = by_hand(c, ram_mib=4)
        assert c.reboot() == "degraded"
        assert c.state("format-ramdisk.service") == {"format-ramdisk.service": "failed"}
        h.stopped()


@test
def by_hand_a_missing_line(t):
    """Requirements of a mount that nothing makes mean nothing; the assertion stops Docker."""
    with a_machine(t) as c:
        h = by_hand(c)
        c.ok("sed -i /ram0/d /etc/fstab")
        c.reboot()
        h.stopped()
        assert c.ok("systemctl show -p AssertResult docker") == "AssertResult=no\n"


def round_trip(c, h):
    before = picture.take(c)
    h.prepare()
    for _ in range(2):
        h.comes_back()
        h.ready()
        c.ok("agavectl boot check")
    c.ok(f"agavectl prepare --undo --apply {STAGES}")
    left = picture.changes(before, picture.take(c))
    assert left == [], "\n".join(left)


@test
def zram_there_and_back(t):
    with a_machine(t) as c:
        round_trip(c, on_a_device(c))


@test
def tmpfs_there_and_back(t):
    with a_machine(t) as c:
        round_trip(c, on_a_tmpfs(c))


@test
def a_failed_format(t):
    """Too small for an XFS at this boot, while it was large enough before; the next boot is right again."""
    with a_machine(t) as c:
        h = on_a_device(c)
        h.prepare()
        device = next(name for name in c.devices if name.startswith("zram"))
        c.poweroff()
        resize_zram(device, 4)
        c.boot()
        h.stopped()
        c.poweroff()
        resize_zram(device, XFS_MIB)
        c.boot()
        h.comes_back()


def resize_zram(name, size_mib):
    Path(f"/sys/block/{name}/reset").write_text("1")
    Path(f"/sys/block/{name}/disksize").write_text(f"{size_mib}M")


LATE_S = 100  # systemd itself gives up after 90


@test
def a_disk_that_takes_long(t):
    """The volume's, with agavectl's config on it: the host is up meanwhile, and Docker waits."""
    meanwhile = {}

    def comes():
        meanwhile.update(c.state("local-fs.target", "basic.target", "docker"), saw=c.saw("docker"))
        c.appears(Path(c.volume).name)

    with a_machine(t) as c:
        h = on_a_device(c)
        h.prepare()
        c.ok("cp /etc/agavectl/agavectl.yaml /srv/solana/ && "
             "agavectl -c /srv/solana/agavectl.yaml prepare --apply units")
        assert "--config /srv/solana" in c.ok("systemctl show -p ExecStart agavectl-ramdisk.service")
        c.poweroff()
        c.late = [Path(c.volume).name]
        timer = threading.Timer(LATE_S, comes)
        timer.start()
        try:
            said = c.boot(timeout=2 * LATE_S)
        finally:
            timer.cancel()
            timer.join()
        assert meanwhile == {"local-fs.target": "active", "basic.target": "active", "docker": "inactive", "saw": None}, \
            meanwhile
        assert said == "running", c.run("systemctl --failed; journalctl -b --no-pager -u '*srv*'")[1]
        assert c.seconds[-1] > LATE_S and c.saw("docker") == h.seen, (c.seconds, c.saw("docker"))


@test
def a_missing_line(t):
    """Of fstab: nothing is mounted, nothing fails, and yet nothing may start."""
    with a_machine(t) as c:
        h = on_a_tmpfs(c)
        h.prepare()
        c.ok("sed -i '/^tmpfs/d' /etc/fstab")
        c.reboot()
        h.stopped()


# As Debian's: wanted by sysinit.target, which every other service requires.
TIMESYNCD = """[Unit]
DefaultDependencies=no
Before=sysinit.target
Conflicts=shutdown.target
[Service]
ExecStart=/usr/bin/sleep infinity
[Install]
WantedBy=sysinit.target
"""
CLOCK = "systemd-timesyncd.service"


@test
def a_time_service_for_the_next_boot(t):
    """Enabled and not started, also not with the next service that somebody starts; from the next boot on it runs."""
    with a_machine(t) as c:
        c.boot()
        c.settle()
        configure(c, "kind: tmpfs, size_gib: 1")
        c.write(f"/etc/systemd/system/{CLOCK}", TIMESYNCD)
        c.write("/etc/systemd/system/other.service", "[Service]\nExecStart=/usr/bin/sleep infinity\n")
        c.ok("systemctl daemon-reload")
        before = picture.take(c)
        c.ok("agavectl prepare --apply time")
        assert c.ok(f"systemctl is-enabled {CLOCK}") == "enabled\n"
        c.ok("systemctl daemon-reload && systemctl start other && systemctl restart other")
        assert c.state(CLOCK) == {CLOCK: "inactive"}
        c.reboot()
        assert c.settle() == "running" and c.state(CLOCK) == {CLOCK: "active"}
        assert "nothing to change" in c.ok("agavectl prepare time")
        c.ok("agavectl prepare --undo --apply time")
        assert c.state(CLOCK) == {CLOCK: "active"}, "what runs goes on"
        c.reboot()
        c.settle()
        assert c.state(CLOCK) == {CLOCK: "inactive"}
        changed = picture.changes(before, picture.take(c))
        assert changed == [], "\n".join(changed)


def mounts_of(c):
    """With their ids, which a mount that is made again does not keep."""
    return [line for line in c.ok("cat /proc/1/mountinfo").splitlines() if "/srv" in line]


@test
def adopt_and_give_back(t):
    """The runbook's units and lines are taken over below a process that works there, and given back."""
    with a_machine(t) as c:
        h = by_hand(c, add=zram)
        configure(c, "device: /dev/ram0")
        c.reboot()
        h.comes_back()
        c.ok("(cd /srv/solana/ramdisk/accounts && exec sleep 1000 3>held) >/dev/null 2>&1 &")
        before, mounts = picture.take(c), mounts_of(c)
        c.ok(f"agavectl prepare --adopt --apply {STAGES} adopt")
        assert mounts_of(c) == mounts
        h.stages, h.guarded = f"{STAGES} adopt", ["docker", "kubelet"]
        h.comes_back()
        h.ready()
        old = c.state("format-ramdisk.service", "ramdisk-accounts.service")
        assert set(old.values()) == {"inactive"}, old
        mounts = mounts_of(c)
        c.ok(f"agavectl prepare --undo --apply {STAGES} adopt")
        assert mounts_of(c) == mounts
        left = picture.changes(before, picture.take(c))
        assert left == [], "\n".join(left)
        h.guarded = ["docker"]
        h.comes_back()


main()
