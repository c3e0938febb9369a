"""Drills: each sees its end, heals what it did, and says so when it did not see it.

usage: test_drills.py [ROUNDS] [REGEX]     rounds of kill-anywhere; 2 when nothing is said
"""
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import lab
from harness import BIN, main, test

ROUNDS = sys.argv.pop(1) if len(sys.argv) > 1 and sys.argv[1].isdigit() else "2"
LINGER = Path("/run/agavectl/lab/linger")
READY = ("disk-full", "frozen-fs", "kill-anywhere", "mirrors-die", "ramdisk-lost", "wont-stop")


def writable(t):
    """The lab's volume takes a new file at once."""
    t.sh("nsenter", *lab.ENTER, "timeout", "5", "touch", "/srv/solana/can-write")
    return True


@test
def every_drill_sees_its_end(t):
    before = lab.up(t, "--time-scale", "4")
    listed = {d["name"]: d["needs"] for d in json.loads(t.run("lab", "drill", "--list", "-o", "json").out)["drills"]}
    assert sorted(n for n in listed if not listed[n]) == sorted(READY), listed
    for name in ("disk-full", "ramdisk-lost", "wont-stop", "kill-anywhere", "frozen-fs", "mirrors-die"):
        r = t.run("lab", "drill", name, "--rounds", ROUNDS, "--seed", str(time.time_ns() % 100000), "-o", "json",
                  timeout=600 if ROUNDS == "2" else 3000)
        for line in r.err.splitlines():
            print(f"# {line}", flush=True)
        assert r.code == 0, r
        doc = json.loads(r.out)
        assert doc["drill"] == name and doc["seen"] is True and len(doc["steps"]) >= 3, doc
        lab.at_tip(t)
        assert writable(t) and not LINGER.exists()
        world = json.loads(t.run("lab", "fault", "-o", "json").out)
        assert not any(n["faults"] for n in world["nodes"]), world
    t.real("block devices", "a frozen and a full XFS, a RAM disk that was lost")
    t.real("mounts", "a volume without its mounts, as after a restart")
    lab.down(t)
    after = lab.footprint(t)
    assert after == before, {k: (before[k], after[k]) for k in before if before[k] != after[k]}


@test
def drills_that_cannot_be_run_say_what_they_need(t):
    t.need_root()
    for name, what in (("relay-outage", "recover"), ("api-gone", "Kubernetes"), ("propagation-private", "kind node")):
        r = t.run("lab", "drill", name)
        assert r.code == 6 and what in r.err and r.err.count("agavectl:") == 1, r
    r = t.run("lab", "drill", "frozen")
    assert r.code == 2 and "did you mean" in r.err or "--list" in r.err, r
    text = t.run("lab", "drill", "--list").out
    for name in (*READY, "relay-outage"):
        assert f"\n{name} " in text, text


@test
def a_drill_that_sees_something_else_fails(t):
    """Somebody lets the stubborn validator go: stop succeeds where the drill expects that it gives up."""
    lab.up(t, "--time-scale", "4")

    def let_go():
        t.until("the validator that lingers", LINGER.exists, 60, 0.01)
        LINGER.unlink()
    helper = threading.Thread(target=let_go)
    helper.start()
    r = t.run("lab", "drill", "wont-stop")
    helper.join()
    assert r.code == 1 and "stop: exit 0, not 5" in r.err and "was seen" not in r.out, r


@test
def a_drill_that_is_cut_off_is_healed(t):
    lab.up(t, "--time-scale", "4")
    for sig, code in ((signal.SIGINT, 5), (signal.SIGKILL, -9)):
        p = subprocess.Popen([str(BIN), "lab", "drill", "frozen-fs"], stderr=subprocess.PIPE, text=True,
                             env=dict(os.environ, NO_COLOR="1"))
        for line in p.stderr:
            if "frozen: " in line:
                break
        other = t.run("lab", "drill", "wont-stop")
        assert other.code == 4 and "another drill is at work" in other.err, other
        p.send_signal(sig)
        p.stderr.read()
        assert p.wait(60) == code, p.returncode
        if sig == signal.SIGKILL:
            r = t.run("lab", "heal")
            assert r.code == 0, r
        assert writable(t)
    # What the killed drill had started goes on by itself, and ends.
    t.until("the lab is down", lambda: t.run("lab", "down").code == 0, 60, 0.5)


main()
