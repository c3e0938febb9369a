#!/usr/bin/env python3
"""The next boot's files under systemd's own eyes, in less than a second and without a boot (units.py).

It sees cycles and lines that systemd does not understand. What prepare writes needs a systemd that reads it again: it is
shown to the same eyes in tests/vm/test_systemd_boot.py and test_reboot.py, where it also runs.
"""
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "vm"))
import runbook  # noqa: E402
import units  # noqa: E402
from harness import Skip, test, main  # noqa: E402

VOLUME = "/dev/disk/by-id/virtio-vol0"
UNITS = ["multi-user.target", "docker.service", "kubelet.service", "srv-solana-ramdisk.mount", "srv-kind-solana.mount"]


def by_hand(t):
    """The runbook's files and stand-ins of Docker and kubelet; their etc folder."""
    if units.missing():
        raise Skip(units.missing(), part="systemd")
    for path, text in runbook.files(VOLUME).items():
        file = t.dir / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for name in ("docker", "kubelet"):
        stand_in = HERE.parent / "vm/host/etc/systemd/system" / f"{name}.service"
        (t.dir / "etc/systemd/system" / stand_in.name).write_text(stand_in.read_text())
    return t.dir / "etc"


def edit(path, old, new):
    text = path.read_text()
    assert old in text, text
    path.write_text(text.replace(old, new))


@test
def by_hand_it_is_right(t):
    etc = by_hand(t)
    assert units.complaints(etc, t.dir / "out", UNITS) == []
    made = {p.name for p in (t.dir / "out/normal").iterdir()}
    assert {"srv-solana.mount", "srv-solana-ramdisk.mount", "srv-kind-solana.mount"} <= made, made
    t.real("systemd", "its fstab generator and verifier, without a boot")


@test
def a_cycle_is_seen(t):
    """A unit before local-fs.target that waits for what comes after it."""
    etc = by_hand(t)
    edit(etc / "systemd/system/format-ramdisk.service", "DefaultDependencies=no\n", "")
    assert any("ordering cycle" in line for line in units.complaints(etc, t.dir / "out", UNITS))


@test
def a_word_that_systemd_does_not_know_is_seen(t):
    etc = by_hand(t)
    edit(etc / "systemd/system/docker.service.d/10-solana-ramdisk.conf", "AssertPathIsMountPoint=/srv/solana/ramdisk",
         "AssertPathIsAMountPoint=/srv/solana/ramdisk")
    said = units.complaints(etc, t.dir / "out", UNITS)
    assert any("AssertPathIsAMountPoint" in line for line in said), said


main()
