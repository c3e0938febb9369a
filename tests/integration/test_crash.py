"""agavectl killed or interrupted at random points: the next run goes on, nothing is done twice, nothing is left.

usage: test_crash.py [ROUNDS] [REGEX]     (3 rounds when nothing is said)
"""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import crash
import lab
from harness import BIN, Skip, main, test

ROUNDS = int(sys.argv.pop(1)) if len(sys.argv) > 1 and sys.argv[1].isdigit() else 3
VALIDATOR = "/var/lib/agavectl/lab/bin/agavectl-lab-validator"


def same_footprint(t, before):
    """Devices of other tests may come and go meanwhile; the lab's own must be gone."""
    last = {}

    def same():
        last.update(lab.footprint(t))
        return last == before
    try:
        t.until("the footprint of before", same, 20, 0.5)
    except AssertionError:
        raise AssertionError({k: (before[k], last[k]) for k in before if before[k] != last[k]}) from None


def devices():
    state = json.loads(Path("/run/agavectl/lab/state.json").read_text())
    return [state["volume"], state["ramdisk"]]


def uuids():
    """The file systems on the lab's devices, "" for none."""
    return [subprocess.run(["blkid", "-p", "-s", "UUID", "-o", "value", d], capture_output=True, text=True).stdout.strip()
            for d in devices()]


def snapshots(t):
    r = t.run(*lab.ENTER, "find", "/srv/solana/snapshots", "-maxdepth", "1", "-type", "f", bin="/usr/bin/nsenter")
    return [Path(x) for x in r.out.split()]


def in_the_lab(p):
    """Not in somebody else's, in a container of this machine."""
    try:
        return os.readlink(p / "ns/mnt") == f"mnt:[{os.stat('/run/agavectl/lab/ns/mnt').st_ino}]"
    except OSError:
        return False


def validators():
    return [p.name for p in Path("/proc").glob("[0-9]*") if lab.exe(p) == VALIDATOR and in_the_lab(p)]


def up_at_the_tip(t, before):
    """up goes on after whatever happened; before: the file systems that were there."""
    r = crash.gone_on(t, "--lab", "up", "--yes")
    assert r.code == 0, r
    s = lab.at_tip(t)
    assert len(s["unit"]["pids"]) == 1, s
    assert validators() == [str(s["unit"]["pids"][0])], (validators(), s)
    for old, new in zip(before, uuids()):
        assert new and old in ("", new), f"made twice: {old} and {new}"
    for f in snapshots(t):      # nothing half, under whatever name
        assert not f.name.startswith("tmp-"), f
        t.sh("nsenter", *lab.ENTER, "zstd", "-tq", f)


@test
def lab_up_killed_anywhere(t):
    lab.need(t)
    print(f"# seed {crash.SEED}, {ROUNDS} rounds")
    t.later(lambda: crash.settled(t, "lab", "down"))
    before = lab.footprint(t)
    full = crash.took(lambda: t.run("lab", "up"))
    lab.down(t)
    same_footprint(t, before)
    for n in range(ROUNDS):
        code, delay, said = crash.cut_off(crash.KILL, full, "lab", "up")
        print(f"# round {n}: after {delay:.3f} s of {full:.3f}: {code}: {said.splitlines()[-1:]}", flush=True)
        if n % 2:      # every other time straight down
            r = crash.settled(t, "lab", "up")
            assert r.code == 0, r
            assert json.loads(t.run("lab", "status", "-o", "json").out)["world_pid"] > 0
        r = crash.settled(t, "lab", "down")
        assert r.code == 0, r
        same_footprint(t, before)


@test
def lab_up_interrupted_leaves_nothing(t):
    lab.need(t)
    print(f"# seed {crash.SEED}, {ROUNDS} rounds")
    t.later(lambda: crash.settled(t, "lab", "down"))
    before = lab.footprint(t)
    full = crash.took(lambda: t.run("lab", "up"))
    lab.down(t)
    for n in range(ROUNDS):
        code, delay, said = crash.cut_off(crash.INTERRUPT, full, "lab", "up")
        print(f"# round {n}: after {delay:.3f} s of {full:.3f}: {code}: {said.splitlines()[-1:]}", flush=True)
        assert code in (0, 5, -2), (code, said)     # -2: before it could catch the signal
        if code == 0:
            lab.down(t)
        same_footprint(t, before)


def up_cut_off(t, sig, codes):
    lab.need(t)
    print(f"# seed {crash.SEED}, {ROUNDS} rounds")
    t.later(lambda: lab.down(t))
    assert t.run("lab", "up", "--time-scale", "4").code == 0
    full = crash.took(lambda: up_at_the_tip(t, ["", ""]))
    for n in range(ROUNDS):
        lab.down(t)
        assert t.run("lab", "up", "--time-scale", "4").code == 0
        code, delay, said = crash.cut_off(sig, full, "--lab", "up", "--yes")
        print(f"# round {n}: after {delay:.3f} s of {full:.3f}: {code}: {said.splitlines()[-1:]}", flush=True)
        assert code in codes, (code, said)
        if code == 5:
            assert "interrupted" in said, said
        up_at_the_tip(t, uuids())
        again = t.run("--lab", "up", "--yes")
        assert again.code == 0 and "nothing was changed" in again.out, again
    t.real("block devices", f"an up cut off {ROUNDS} times, on loop and zram")


@test
def half_files_of_a_killed_fetch_are_removed(t):
    lab.up(t)
    assert t.run("--lab", "up", "--yes").code == 0
    assert t.run("--lab", "stop").code == 0
    name = next(f.name for f in snapshots(t) if f.name.startswith("snapshot-"))
    folder = "/srv/solana/snapshots"
    ours, other = f"{folder}/tmp-{name.replace('-1', '-2', 1)}", f"{folder}/tmp-{name.replace('-1', '-3', 1)}"
    mine = f"{folder}/tmp-mine"
    for path, mode in ((ours, "600"), (other, "644"), (mine, "600")):
        t.sh("nsenter", *lab.ENTER, "touch", path)
        t.sh("nsenter", *lab.ENTER, "chmod", mode, path)
    r = t.run("--lab", "up", "--yes")
    assert r.code == 0, r
    left = [str(f) for f in snapshots(t) if f.name.startswith("tmp-")]
    assert sorted(left) == sorted([other, mine]), left


def killed_at(t, point, *args):
    r = t.run("--lab", *args, env={"AGAVECTL_FAULT": point})
    if r.code == 0:
        raise Skip("built without fault points")
    assert r.code == -9, (point, r)


def the_only_op(t, flow):
    """What is unfinished: named by `op list`, and in the way of every other flow."""
    op, = json.loads(t.run("--lab", "op", "list", "-o", "json").out)["operations"]
    assert op["flow"] == flow and op["unfinished"], op
    listed = t.run("--lab", "op", "list")
    for part in (op["id"], f"agavectl op resume {op['id']}", f"agavectl op abandon {op['id']}"):
        assert part in listed.out, listed
    return op


def refused(t, op, *args):
    r = t.run("--lab", *args)
    assert r.code == 4, r
    for part in (op["id"], f"agavectl op resume {op['id']}", f"agavectl op abandon {op['id']}"):
        assert part in r.err, r


@test
def up_killed_at_each_point_goes_on(t):
    lab.need(t)
    t.later(lambda: lab.down(t))
    for point in ("begun", "entered@change", "entered@change-once", "acted@change-once:2", "done@change:4",
                  "entered@snapshot", "acted@snapshot", "acting@start", "acted@start", "unended"):
        lab.down(t)
        assert t.run("lab", "up", "--time-scale", "4").code == 0
        killed_at(t, point, "up", "--yes")
        op = the_only_op(t, "up")
        refused(t, op, "start")
        r = crash.gone_on(t, "--lab", "op", "resume")
        assert r.code == 0, (point, r)
        print(f"# {point}: at step {op['steps_done']} of {op['steps_n']}", flush=True)
        s = lab.at_tip(t)
        assert len(s["unit"]["pids"]) == 1, s
        assert validators() == [str(s["unit"]["pids"][0])], s
        last = json.loads(t.run("--lab", "history", "-o", "json").out)["operations"][-1]
        assert last["id"] == op["id"] and last["state"] == "done", last
    t.real("block devices", "an up killed at ten points, on loop and zram")


@test
def stop_takes_over_and_the_up_goes_on_after_it(t):
    lab.up(t, "--time-scale", "4")
    killed_at(t, "acted@start", "up", "--yes")
    op = the_only_op(t, "up")
    r = t.run("--lab", "stop")
    assert r.code == 0 and op["id"] in r.err, r
    show = json.loads(t.run("--lab", "op", "show", op["id"], "-o", "json").out)["operation"]
    stop = json.loads(t.run("--lab", "history", "-o", "json").out)["operations"][-1]
    assert show["state"] == "suspended" and show["suspended_by"] == stop["id"], (show, stop)
    refused(t, op, "start")
    assert validators() == []
    r = t.run("--lab", "op", "resume")
    assert r.code == 0, r
    lab.at_tip(t)
    assert len(validators()) == 1
    for point in ("begun", "acted@hold", "acted@ask", "acted@wait", "unended"):     # the stop itself
        killed_at(t, point, "stop")
        the_only_op(t, "stop")
        r = t.run("--lab", "stop")
        assert r.code == 0, (point, r)
        assert validators() == []
        r = t.run("--lab", "start")
        assert r.code == 0, r


@test
def stop_asks_a_running_up_to_leave(t):
    lab.up(t, "--time-scale", "4")
    assert t.run("lab", "fault", "turbine=off", "repair=off").code == 0      # it hears nothing and gets nowhere
    p = subprocess.Popen([str(BIN), "--lab", "up", "--yes"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    t.later(p.kill)
    t.until("a validator", validators, 60)
    r = t.run("--lab", "stop")
    assert r.code == 0, r
    out, err = p.communicate(timeout=30)
    assert p.returncode == 5 and "interrupted" in err, (p.returncode, out, err)
    assert the_only_op(t, "up")["state"] == "suspended"
    assert validators() == []
    assert t.run("lab", "heal").code == 0
    r = t.run("--lab", "op", "resume")
    assert r.code == 0, r


@test
def up_killed_anywhere(t):
    up_cut_off(t, crash.KILL, (0, -9))


@test
def up_interrupted_anywhere(t):
    up_cut_off(t, crash.INTERRUPT, (0, 5, -2))


main()
