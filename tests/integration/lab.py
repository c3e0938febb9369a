"""The lab for tests: up, down, what it says, and what it would leave behind."""
import json
import os
import re
from pathlib import Path

from harness import BUILD, Skip

ENTER = ["--mount=/run/agavectl/lab/ns/mnt", "--net=/run/agavectl/lab/ns/net"]


def footprint(t):
    """Everything that a lab might leave behind."""
    loops = t.sh("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE").out
    mounts = {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    links = t.sh("ip", "-o", "link").out
    return {
        "loops": sorted(x for x in loops.splitlines() if "agavectl/lab" in x),
        "zram": sorted(p.name for p in Path("/sys/block").glob("zram*")),
        "mounts": sorted(m for m in mounts if "agavectl" in m or m.startswith("/srv/")),
        "links": sorted(re.findall(r"^\d+: ([^:@]+)", links, re.M)),
        "files": sorted(str(p) for d in ("/run/agavectl", "/var/lib/agavectl", "/etc/agavectl", "/srv")
                        for p in Path(d).rglob("*")),
        "processes": sorted(p.name for p in Path("/proc").glob("[0-9]*") if ours(t, p)),
    }


def exe(p):
    try:
        return os.readlink(p / "exe")
    except OSError:
        return ""


def ours(t, p):
    """A lab's program of this build or of the test, and not of another root: others on this machine may have theirs."""
    program = exe(p)
    if "agavectl-lab" not in program or not program.startswith((f"{BUILD.resolve()}/", f"{t.dir.resolve()}/")):
        return False
    try:
        return os.path.samestat(os.stat(p / "root"), os.stat("/"))
    except OSError:
        return False


def need(t):
    t.need_root()
    t.need_rocksdb()
    if Path("/run/agavectl/lab/state.json").exists():
        raise Skip("a lab is up on this machine; take it down with 'agavectl lab down'")
    if Path("/etc/agavectl/agavectl.yaml").exists():
        raise Skip("this machine has a config in /etc/agavectl")


def down(t):
    r = t.run("lab", "down")
    assert r.code == 0, r


def up(t, *flags):
    """A lab that goes away with the test, and the footprint from before it."""
    need(t)
    before = footprint(t)
    t.later(lambda: down(t))
    r = t.run("lab", "up", *flags)
    assert r.code == 0, r
    return before


def status(t):
    r = t.run("--lab", "status", "-o", "json")
    assert r.code == 0, r
    return json.loads(r.out)


def at_tip(t, timeout=60):
    """The status that says ok. A lab's clock runs faster than a busy machine may look: one look is no claim."""
    return t.until("the tip", lambda: (lambda s: s if s["health"] == "ok" else None)(status(t)), timeout, 0.3)
