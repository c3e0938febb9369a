"""Programs that are killed or interrupted at random points. AGAVECTL_TEST_SEED repeats a run."""
import os
import random
import signal
import subprocess
import time

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
    end = time.monotonic() + 30
    while True:
        r = t.run(*args)
        busy = r.code == 4 and ("another agavectl is at work" in r.err or "mkfs.xfs" in r.err)
        if not busy or time.monotonic() > end:
            return r
        time.sleep(0.1)


KILL, INTERRUPT = signal.SIGKILL, signal.SIGINT
