#!/usr/bin/env python3
"""The RAM disk on a real kernel with real modules: brd loaded, loaded anew, formatted by name, used by others; zram of
one number; a tmpfs that knows no noswap and takes no O_DIRECT. One virtual machine for all."""
import shutil
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
from booted import find_disk  # noqa: E402
from harness import test, main  # noqa: E402
from image import Absent  # noqa: E402
from machine_vm import QEMU, VM  # noqa: E402

CONFIG = "/etc/agavectl/agavectl.yaml"
PLACE = "/srv/solana/ramdisk"
CONF = "/etc/modprobe.d/agavectl-ramdisk.conf"


def skip_all(why):
    print(f"# not real: ramdisk: {why}")
    print(f"1..0 # SKIP {why}", flush=True)
    sys.exit(0)


def configure(vm, kind, device="", more=""):
    vm.write(CONFIG, f"""storage:
  volume: {{mount: /srv/solana}}
  ramdisk: {{kind: {kind}, device: "{device}", size_gib: 1, mount: {PLACE}}}
  kind_root: ""
  bind: ""
{more}""")


def param(vm, name):
    return int(vm.ok(f"cat /sys/module/brd/parameters/{name}"))


def content(vm, device):
    return vm.ok(f"blkid -p -o value -s TYPE -s LABEL {device} | tr '\\n' ' '").split()


def prepare(vm, *words, ok=True):
    code, out = vm.run(f"agavectl prepare {' '.join(words)} ramdisk 2>&1", 180)
    assert (code == 0) == ok, (code, out)
    return out


def in_place(vm):
    assert "nothing was changed" in prepare(vm, "--apply")
    assert not {"fail", "unknown", "warn"} & set().union(*vm.check("ramdisk").values()), vm.check("ramdisk")


def gone(vm):
    """By hand, so that each test begins on a host without a RAM disk."""
    vm.run(f"umount {PLACE}; modprobe -r brd; echo 1 >/sys/block/zram1/reset; echo 1 >/sys/class/zram-control/hot_remove; "
           f"modprobe -r zram; rm -f {CONF}")
    assert vm.run(f"mountpoint -q {PLACE}")[0] != 0


with tempfile.TemporaryDirectory(prefix="agavectl-vm-", dir="/var/tmp") as work:
    if not shutil.which(QEMU):
        skip_all(f"no {QEMU}; run tools/install-deps --vm")
    try:
        find_disk()
    except Absent as absent:
        skip_all(absent)
    machine = VM(work)

    @test
    def brd_from_nothing(t):
        vm, start = machine, time.monotonic()
        vm.boot()
        vm.ok("mkdir -p /srv/solana/snapshots")
        assert vm.run("test -d /sys/module/brd")[0] != 0, "brd is loaded already: it proves nothing"
        configure(vm, "brd", "/dev/ram0")
        plan = prepare(vm)
        for part in (CONF, "module brd", "/dev/ram0", PLACE):
            assert part in plan, plan
        assert vm.run(f"test -e {CONF} || test -d /sys/module/brd")[0] != 0, "the plan alone changed something"
        prepare(vm, "--apply")
        assert vm.ok(f"tail -1 {CONF}").strip() == "options brd rd_nr=1 rd_size=1048576 max_part=0"
        assert (param(vm, "rd_nr"), param(vm, "rd_size")) == (1, 1048576)
        assert vm.ok(f"findmnt -no SOURCE,FSTYPE {PLACE}").split() == ["/dev/ram0", "xfs"]
        in_place(vm)
        assert vm.check("ramdisk")["ramdisk.odirect"] == {"ok"}
        t.real("block devices", f"brd of {vm.ok('uname -r').strip()}, the first after {time.monotonic() - start:.0f} s")

    @test
    def brd_in_use_is_left_alone(t):
        vm = machine
        vm.ok(f"umount {PLACE} && mkdir -p /other && mount /dev/ram0 /other")
        out = prepare(vm, "--apply", ok=False)
        assert "mounted at '/other'" in out, out
        vm.ok("modprobe -r brd 2>&1 || true; mountpoint /other && umount /other")
        prepare(vm, "--apply")  # the same file system again
        in_place(vm)

    @test
    def brd_of_another_size(t):
        vm = machine
        vm.ok(f"umount {PLACE} && modprobe -r brd && modprobe brd rd_nr=2 rd_size=65536 && mkfs.ext4 -q /dev/ram1")
        out = prepare(vm, "--apply", ok=False)
        assert "'/dev/ram1' is cleared" in out, out
        assert content(vm, "/dev/ram1")[0] == "ext4" and param(vm, "rd_size") == 65536
        vm.ok("mount /dev/ram1 /other")
        out = prepare(vm, "--apply", ok=False)
        assert "/dev/ram1: mounted at '/other'" in out, out
        vm.ok("umount /other && wipefs -qa /dev/ram1 && dd if=/dev/zero of=/dev/ram1 bs=1M count=64 2>&1")
        prepare(vm, "--apply")
        assert (param(vm, "rd_nr"), param(vm, "rd_size")) == (1, 1048576)
        in_place(vm)

    @test
    def other_content_by_its_name(t):
        vm = machine
        vm.ok(f"umount {PLACE} && mkfs.ext4 -qF /dev/ram0 && mkdir -p /srv/solana/snapshots/snapshots/100")
        out = prepare(vm, "--apply", ok=False)
        assert "--destroy" in out and content(vm, "/dev/ram0")[0] == "ext4", out
        prepare(vm, "--apply", "--destroy=/dev/ram0")
        assert content(vm, "/dev/ram0") == ["accounts", "xfs"] or content(vm, "/dev/ram0") == ["xfs", "accounts"]
        in_place(vm)

    @test
    def brd_is_taken_back(t):
        vm = machine
        vm.ok(f"cd {PLACE} && (sleep 600 >/dev/null 2>&1 & echo $! >/run/holder)")
        code, out = vm.run("agavectl prepare --undo --apply ramdisk 2>&1", 180)
        assert code == 4 and "sleep" in out, (code, out)
        assert param(vm, "rd_nr") == 1 and vm.run(f"mountpoint -q {PLACE} && test -e {CONF}")[0] == 0
        vm.ok("kill $(cat /run/holder)")
        out = vm.ok("agavectl prepare --undo --apply ramdisk 2>&1", 180)
        for path in (CONF, "/sys/module/brd", "/dev/ram0", PLACE):
            assert vm.run(f"test -e {path}")[0] != 0, (path, out)
        assert "kept" not in vm.ok("agavectl prepare --undo ramdisk 2>&1", 180)

    @test
    def a_kernel_without_the_module(t):
        vm = machine
        gone(vm)
        where = vm.ok("modinfo -n brd").strip()
        vm.ok(f"mv {where} /brd.hidden && depmod")
        out = prepare(vm, "--apply", ok=False)
        assert "no module brd" in out and "zram or tmpfs" in out, out
        vm.ok(f"mv /brd.hidden {where} && depmod")

    @test
    def zram_of_one_number(t):
        vm = machine
        gone(vm)
        configure(vm, "zram", "/dev/zram1")
        prepare(vm, "--apply")
        assert vm.ok("cat /sys/block/zram1/disksize").strip() == str(1 << 30)
        assert vm.ok(f"findmnt -no SOURCE,FSTYPE {PLACE}").split() == ["/dev/zram1", "xfs"]
        assert vm.check("ramdisk")["ramdisk.odirect"] == {"note"}
        assert "nothing was changed" in prepare(vm, "--apply")
        vm.ok("agavectl prepare --undo --apply ramdisk 2>&1", 180)
        assert vm.run("test -e /sys/block/zram1 || test -e /sys/module/zram")[0] != 0
        t.real("block devices", "zram as a module")

    @test
    def tmpfs_of_an_older_kernel(t):
        vm = machine
        gone(vm)
        configure(vm, "tmpfs")
        prepare(vm, "--apply")
        options = vm.ok(f"findmnt -no FSTYPE,OPTIONS {PLACE}")
        assert "size=1048576k" in options and "uid=1000" in options and "noswap" not in options, options
        in_place(vm)
        assert vm.check("ramdisk")["ramdisk.odirect"] == {"note"}
        vm.ok(f"umount {PLACE}")
        vm.poweroff()

    try:
        main()
    finally:
        machine.close()
