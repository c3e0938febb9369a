#!/usr/bin/env python3
"""A kernel with control groups of version 2, whatever the machine itself has: a virtual machine, booted once, emulated.

It runs a unit test that has a child killed for its memory, and agavectl status next to a stand-in of a validator below
two limits (guest/init); the tests here judge what came over the serial line.
"""
import functools
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
from harness import test, main  # noqa: E402

MIB = 1 << 20
DEADLINE_S = 300
QEMU = "qemu-system-x86_64"


def skip_all(why):
    print(f"# not real: VM: {why}")
    print(f"1..0 # SKIP {why}", flush=True)
    sys.exit(0)


def make(folder):
    """Kernel and initramfs, or the reason why there are none."""
    if not shutil.which(QEMU):
        skip_all(f"no {QEMU}; run tools/install-deps --vm")
    made = subprocess.run([HERE / "make-vm", "--initramfs", folder / "initramfs"], capture_output=True, text=True)
    if made.returncode == 6:
        skip_all(made.stderr.strip().removeprefix("make-vm: "))
    assert made.returncode == 0, made.stderr
    return made.stdout.strip(), folder / "initramfs"


def boot(kernel, initramfs):
    """What the machine said until it was off, {part: (exit code, text)}."""
    command = ["timeout", "-k", "5", str(DEADLINE_S), QEMU, "-M", "q35", "-accel", "tcg,thread=multi",
               "-cpu", "max,la57=off", "-smp", "2", "-m", "1024", "-nodefaults", "-no-user-config", "-display", "none",
               "-serial", "stdio", "-no-reboot", "-kernel", kernel, "-initrd", initramfs,
               "-append", "console=ttyS0 loglevel=1 panic=-1 mitigations=off nokaslr"]
    start = time.monotonic()
    run = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = run.stdout.decode(errors="replace").replace("\r", "")
    print(f"# the machine was off after {time.monotonic() - start:.0f} s")
    found = re.findall(r"^@@@ begin (\w+)\n(.*?)^@@@ end \1 (\d+)$", text, re.M | re.S)
    assert found and "\n@@@ done\n" in text, f"exit {run.returncode} before its end:\n{text[-3000:]}"
    return {name: (int(code), part) for name, part, code in found}


with tempfile.TemporaryDirectory(prefix="agavectl-vm-") as work:
    FILES = make(Path(work))

    @functools.cache
    def machine():
        """Booted once; a machine that fails fails every test, without another wait."""
        try:
            return boot(*FILES)
        except AssertionError as e:
            return e

    def part(name):
        got = machine()
        if isinstance(got, AssertionError):
            raise got
        code, text = got[name]
        assert code == 0, f"{name}: exit {code}\n{text}"
        return text

    def expected_held():
        """What the kernel counts at the lower limit, without the page cache of files."""
        stat = dict(line.split() for line in part("stat").splitlines())
        cache = int(stat["file"]) - int(stat["shmem"])
        assert cache >= 12 * MIB and int(stat["shmem"]) >= 4 * MIB and int(stat["anon"]) >= 4 * MIB, stat
        return int(part("current")) - cache

    @test
    def a_kill_on_version_2(t):
        """The unit test's child, killed at its limit and found in the kernel's log."""
        said = part("unit")
        assert "not ok" not in said and re.search(r"^ok \d+ - a_real_kill$", said, re.M), said
        assert re.search(r"^# real: cgroups: version 2, ", said, re.M), said
        t.real("cgroups", f"version 2, in a VM with kernel {part('kernel').strip()}")

    @test
    def status_against_the_lower_limit(t):
        assert part("validator") == f"ready {4 * MIB}\n", part("validator")
        got = json.loads(part("json"))
        memory, group = got["memory"], got["memory"]["cgroup"]
        assert len(got["unit"]["pids"]) == 1 and memory["error"] is None, got
        assert group["version"] == 2, memory
        assert (group["path"], group["limit_path"]) == ("/pod/validator", "/pod"), memory
        assert (memory["limit_by"], memory["limit_b"]) == ("cgroup", 48 * MIB), memory
        # the kernel counts in batches per CPU
        assert abs(memory["held_b"] - expected_held()) < 2 * MIB, (memory, expected_held())
        assert 8 * MIB < memory["held_b"] < memory["limit_b"], memory
        assert 4 * MIB <= memory["resident_b"] < 48 * MIB, memory

    @test
    def kills_are_those_of_the_kernel(t):
        """The unit test's kill is seen, and is not this validator's."""
        oom = json.loads(part("json"))["oom"]
        assert oom["host_kills"] == 1 and oom["error"] is None, oom
        assert [(k["name"], k["by"], k["own"]) for k in oom["kills"]] == [("oom (test)", "cgroup", False)], oom

    @test
    def in_words(t):
        text = part("text")
        assert re.search(r"^memory +\S.* resident; \S+ ?\S* of its limit of 48(\.0)? ?MiB held", text, re.M), text
        assert not re.search(r"^oom ", text, re.M), text

    main()
