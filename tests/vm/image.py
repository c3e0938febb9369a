"""What make-vm and make-disk share: running programs, libraries of a program, archives that a kernel unpacks."""
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = Path(os.environ.get("AGAVECTL_BUILD") or HERE.parents[1] / "build-dev")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agavectl" / "vm"


class Absent(Exception):
    pass


def output(*command, **kwargs):
    run = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True, **kwargs)
    if run.returncode != 0:
        why = (run.stderr.strip() or run.stdout.strip() or f"exit {run.returncode}").splitlines()[-1]
        raise Absent(f"{command[0]}: {why}")
    return run.stdout


def need(*programs):
    for name in programs:
        if not shutil.which(name):
            raise Absent(f"no {name}; run tools/install-deps --vm")


def cached_kernel():
    """make-vm's vmlinuz, or None."""
    found = sorted((p for p in CACHE.glob("linux-*/vmlinuz") if (p.parent / "modules").exists()),
                   key=lambda p: p.stat().st_mtime)
    return found[-1] if found else None


def libraries(program):
    """The files that ldd names, the loader among them, at the paths where the loader looks."""
    return [Path(p) for p in re.findall(r"(?:=> |^\s*)(/\S+) \(0x", output("ldd", program), re.M)]


def stripped(program, work):
    """A program without its debug information, which is two thirds of it."""
    if not program.exists():
        raise Absent(f"no {program.name} in '{program.parent}'")
    small = work / program.name
    output("strip", "-o", small, program)
    return small.read_bytes()


def entry(number, name, mode, data=b""):
    """One entry of a cpio archive in its "newc" form (kernel: driver-api/early-userspace/buffer-format.rst)."""
    raw = name.encode() + b"\0"
    fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0]
    head = b"070701" + b"".join(b"%08x" % f for f in fields) + raw
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def cpio(files, folders):
    """files: {path: (mode, bytes)}; folders: those that are to be there beside theirs."""
    folders = {str(p) for name in files for p in Path(name).parents if p.name} | set(folders)
    parts = [entry(n, name, stat.S_IFDIR | 0o755) for n, name in enumerate(sorted(folders), 1)]
    parts += [entry(1000 + n, name, stat.S_IFREG | mode, data) for n, (name, (mode, data)) in enumerate(files.items())]
    return b"".join([*parts, entry(0, "TRAILER!!!", 0)])
