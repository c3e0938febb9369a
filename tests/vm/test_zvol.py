#!/usr/bin/env python3
"""A volume on a real zvol: a virtual machine with the module of ZFS (make-zfs), a pool, and what prepare makes of it."""
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
from booted import find_disk  # noqa: E402
from harness import test, main  # noqa: E402
from image import Absent  # noqa: E402
from machine_vm import VM  # noqa: E402
from prepared import Prepared  # noqa: E402

CONFIG = """storage:
  volume: {device: /dev/zvol/tank/solana, size_gib: 1}
  ramdisk: {kind: tmpfs, size_gib: 1}
"""


def find_zfs():
    find_disk()
    made = subprocess.run([HERE / "make-zfs", "--where"], capture_output=True, text=True)
    if made.returncode != 0:
        raise Absent(made.stderr.strip().removeprefix("make-zfs: "))
    return made.stdout.strip()


try:
    ZFS = find_zfs()
except Absent as absent:
    print(f"# not real: zvol: {absent}")
    print(f"1..0 # SKIP {absent}", flush=True)
    sys.exit(0)


@test
def a_zvol(t):
    with tempfile.TemporaryDirectory(prefix="agavectl-vm-", dir="/var/tmp") as work:
        vm = VM(work, {"pool0": 2048}, memory_mib=2048, tars=[ZFS])
        try:
            vm.boot()
            vm.write("/etc/agavectl/agavectl.yaml", CONFIG)
            vm.ok("modprobe zfs && zpool create -f tank /dev/disk/by-id/virtio-pool0")
            t.real("zvol", vm.ok("zfs version").strip().replace("\n", ", "))
            h = Prepared(vm, ["/dev/zd0", "xfs"], ["tmpfs", "tmpfs"])
            h.prepare()
            assert vm.ok("zfs get -Hpo value volsize tank/solana").strip() == str(1 << 30)
            for _ in range(2):
                h.comes_back()
                h.ready()
            vm.poweroff()
        finally:
            vm.close()


main()
