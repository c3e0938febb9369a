"""Programs that are killed or interrupted at random points. AGAVECTL_TEST_SEED repeats a run."""
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

from harness import BIN

SEED = int(os.environ.get("AGAVECTL_TEST_SEED") or time.time_ns() % 1000000)
chance = random.Random(SEED)


def cut_off(sig, within, *args):
    """Runs agavectl and sends it sig after a random time; its exit code, the time, and what it said. Only the one
    process is hit, as by the kernel's OOM killer; what it started is left alone."""
    p = subprocess.Popen([str(BIN), *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                         env=dict(os.environ, NO_COLOR="1"))
    delay = 0.003 + within * chance.random() ** 2   # more often early, where the steps are short
    try:
        out, err = p.communicate(timeout=delay)
    except subprocess.TimeoutExpired:
        p.send_signal(sig)
        try:
            out, err = p.communicate(timeout=120)
        finally:
            if p.poll() is None:
                p.kill()
    return p.returncode, delay, out + err


def took(fn):
    start = time.monotonic()
    fn()
    return time.monotonic() - start


def settled(t, *args):
    """The next run. What a killed one had started (mkfs, a helper in the lab's namespaces) still holds the host
    lock or the device for a moment, and is told so."""
    last = []

    def free():
        last[:] = [t.run(*args)]
        return not (last[0].code == 4 and ("another agavectl is at work" in last[0].err or "mkfs.xfs" in last[0].err))
    t.until(lambda: f"a free host; the last answer: {last[0]}", free, 30)
    return last[0]


def answer(t):
    """The operator's answer about a step that may be done once: has its file system been made?"""
    op = json.loads(t.run("--lab", "op", "show", "-o", "json").out)["operation"]
    asked = [s for s in op["steps"] if s["state"] in ("entered", "failed") and ": xfs" in s["what"]]
    assert len(asked) == 1, op
    device = asked[0]["what"].split()[1].rstrip(":")
    t.until("the end of mkfs.xfs", lambda: not any(device.encode() in cmdline(p) for p in Path("/proc").glob("[0-9]*")
                                                   if (b"mkfs.xfs" in cmdline(p))), 30)
    made = subprocess.run(["blkid", "-p", "-s", "TYPE", "-o", "value", device], capture_output=True, text=True)
    return "--done" if made.stdout.strip() == "xfs" else "--again"


def cmdline(p):
    try:
        return (p / "cmdline").read_bytes()
    except OSError:
        return b""


def asks(r):
    return r.code == 4 and "'agavectl op resume --done'" in r.err


def gone_on(t, *args):
    """The next run of a command that was cut off; what it asks is answered."""
    r = settled(t, *args)
    return settled(t, "--lab", "op", "resume", answer(t)) if asks(r) else r


KILL, INTERRUPT = signal.SIGKILL, signal.SIGINT
