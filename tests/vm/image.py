"""What make-vm and make-disk share: running programs, libraries of a program, archives that a kernel unpacks."""
import fcntl
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


def make_once(target, make):
    """make() is called where the target is not there, by one at a time."""
    if target.exists():
        return
    with open(CACHE / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            make()


def debian(root, suite, packages, components=()):
    """A tree of packages from the machine's own sources, and from these components of theirs; without documentation."""
    need("mmdebstrap")
    sources = []
    for path in (Path("/etc/apt/sources.list"), Path("/etc/apt/sources.list.d/debian.sources")):
        if path.exists() and path.stat().st_size:
            copy = Path(root).parent / path.name
            copy.write_text(re.sub(r"^((?:Components:|deb .*) ?\bmain\b)", rf"\1 {' '.join(components)}", path.read_text(),
                                   flags=re.M))
            sources.append(copy)
    leave = [f"--dpkgopt=path-exclude=/usr/share/{d}/*" for d in ("doc", "man", "locale", "zoneinfo")]
    apt = [f"--aptopt={o}" for o in ('Acquire::Check-Valid-Until "false"', 'Acquire::Check-Date "false"',
                                     'APT::Install-Recommends "false"')]
    output("mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(packages)}", *apt, *leave, suite,
           root, *sources)


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
