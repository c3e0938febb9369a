#!/usr/bin/env python3
"""A host that really reboots: a virtual machine with Debian's kernel and systemd, prepared, rebooted, broken, undone.

The first argument is the number of reboots that it must come through without a hand.
"""
import contextlib
import shutil
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
import picture  # noqa: E402
import runbook  # noqa: E402
from booted import find_disk  # noqa: E402
from harness import Skip, test, main  # noqa: E402
from image import Absent  # noqa: E402
from machine_vm import QEMU, VM  # noqa: E402
from prepared import Prepared  # noqa: E402

REBOOTS = int(sys.argv.pop(1)) if sys.argv[1:2] and sys.argv[1].isdigit() else 1
LONG = REBOOTS > 1
VOLUME = "/dev/disk/by-id/virtio-vol0"
CONFIG = f"""storage:
  volume: {{device: {VOLUME}}}
  ramdisk: {{kind: brd, device: /dev/ram0, size_gib: 1}}
"""

def skip_all(why):
    print(f"# not real: reboot: {why}")
    print(f"1..0 # SKIP {why}", flush=True)
    sys.exit(0)


@contextlib.contextmanager
def a_vm(t):
    with tempfile.TemporaryDirectory(prefix="agavectl-vm-", dir="/var/tmp") as work:
        vm = VM(work, {"vol0": 1024})
        start = time.monotonic()
        try:
            vm.boot()
            vm.write("/etc/agavectl/agavectl.yaml", CONFIG)
            yield vm
        finally:
            vm.close()
            said = ", ".join(f"{s:.0f}" for s in vm.seconds)
            print(f"# {t.name}: {len(vm.seconds)} boots ({said} s) in {time.monotonic() - start:.0f} s", flush=True)


def host(vm, **kwargs):
    return Prepared(vm, ["/dev/vdb", "xfs"], ["/dev/ram0", "xfs"], **kwargs)


def broken(h, do, undo):
    """Boots with a RAM disk that cannot be made: reachable, and nothing runs that would write to the bare directory."""
    vm = h.machine
    vm.ok(do)
    vm.reboot()
    h.stopped()
    assert vm.run("ls -A /srv/solana/ramdisk")[1] == "", vm.run("ls -lA /srv/solana/ramdisk")[1]
    assert vm.run("agavectl boot check")[0] == 3, vm.run("agavectl boot check")
    vm.ok(undo)


@test
def bare_to_ready_and_back(t):
    with a_vm(t) as vm:
        h = host(vm)
        before = picture.take(vm)
        h.prepare()
        for _ in range(REBOOTS):
            h.comes_back()
            h.ready()
            vm.ok("agavectl boot check")
        t.real("reboot", f"{REBOOTS} of a prepared host, kernel {vm.ok('uname -r').strip()}, brd")
        broken(h, "echo install brd /bin/false >/etc/modprobe.d/zz-test.conf", "rm /etc/modprobe.d/zz-test.conf")
        if LONG:
            broken(h, "mv /usr/sbin/mkfs.xfs /usr/sbin/no-mkfs", "mv /usr/sbin/no-mkfs /usr/sbin/mkfs.xfs")
        vm.reboot()
        h.comes_back()
        undone(vm, before)
        vm.reboot()
        assert vm.settle() == "running", vm.run("systemctl --failed")[1]
        left = picture.changes(before, picture.take(vm))
        assert left == [], "\n".join(left)
        vm.poweroff()


def undone(vm, before):
    said = vm.ok("agavectl prepare --undo --apply", 300)
    print("# undo: " + said.strip().replace("\n", "\n#       "))
    left = picture.changes(before, picture.take(vm))
    assert left == [], "\n".join(left)


@test
def by_hand(t):
    """As the runbook has it, and agavectl agrees."""
    if not LONG:
        raise Skip("in make test-long; test_systemd_boot.py has the same files")
    with a_vm(t) as vm:
        h = host(vm, guarded=["docker"])
        runbook.make(vm, VOLUME)
        vm.reboot()
        h.comes_back()
        found = vm.check("volume", "ramdisk", "bind", "dirs", "fstab", "units")
        assert all(said <= {"ok", "note"} for said in found.values()), found
        t.real("reboot", "a host that was prepared by hand")
        vm.poweroff()


if not shutil.which(QEMU):
    skip_all(f"no {QEMU}; run tools/install-deps --vm")
try:
    find_disk()
except Absent as absent:
    skip_all(absent)
main()
