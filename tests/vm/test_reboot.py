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
import runbook  # noqa: E402
from booted import find_disk  # noqa: E402
from harness import test, main  # noqa: E402
from image import Absent  # noqa: E402
from machine_vm import QEMU, VM  # noqa: E402

REBOOTS = int(sys.argv.pop(1)) if sys.argv[1:2] and sys.argv[1].isdigit() else 1
VOLUME = "/dev/disk/by-id/virtio-vol0"
CONFIG = f"""storage:
  volume: {{device: {VOLUME}}}
  ramdisk: {{device: /dev/ram0}}
"""
SEEN = {"/srv/solana": ["/dev/vdb", "xfs"], "/srv/solana/ramdisk": ["/dev/ram0", "xfs"],
        "/srv/kind/solana": ["/dev/vdb", "xfs"], "/srv/kind/solana/ramdisk": ["/dev/ram0", "xfs"],
        "accounts": ["directory", "1000:1000"]}


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


def comes_back(vm, *guarded):
    """A reboot: all of it is there again, made anew, before what is guarded."""
    before, stale = vm.boot_id, "/srv/solana/ramdisk/stale"
    vm.ok(f"echo stale >{stale}; touch /srv/solana/kept; sync")
    vm.reboot()
    assert vm.boot_id != before
    assert vm.settle() == "running", vm.run("systemctl --failed")[1]
    for name in guarded:
        assert vm.saw(name) == SEEN, (name, vm.saw(name))
    assert vm.run(f"test ! -e {stale} && test -e /srv/solana/kept")[0] == 0, vm.ok("ls /srv/solana/ramdisk /srv/solana")
    assert "ordering cycle" not in vm.journal().lower()


@test
def by_hand(t):
    """As the runbook has it, and agavectl agrees."""
    with a_vm(t) as vm:
        runbook.make(vm, VOLUME)
        comes_back(vm, "docker")
        found = vm.check("volume", "ramdisk", "bind", "dirs", "fstab", "units")
        assert all(said == {"ok"} for said in found.values()), found
        t.real("reboot", f"by hand, kernel {vm.ok('uname -r').strip()}, {vm.ok('systemctl --version').split(chr(10))[0]}")
        vm.poweroff()


if not shutil.which(QEMU):
    skip_all(f"no {QEMU}; run tools/install-deps --vm")
try:
    find_disk()
except Absent as absent:
    skip_all(absent)
main()
