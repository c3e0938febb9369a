"""Faults of the lab's world, and what agavectl makes of each: sources that die, lie or stall, losses of turbine."""
import json
import time
from pathlib import Path

import lab
from harness import BIN, main, test

SNAPSHOTS = "/srv/solana/snapshots"


def fault(t, *words, node=None):
    r = t.run("lab", "fault", *(("--node", node) if node is not None else ()), *words)
    assert r.code == 0, r


def shown(t):
    r = t.run("lab", "fault", "-o", "json")
    assert r.code == 0, r
    return json.loads(r.out)


def up_from(t, *nodes):
    """up with nothing but these nodes of the world as sources; what it said."""
    assert t.run("--lab", "stop").code == 0
    t.sh("nsenter", *lab.ENTER, "find", SNAPSHOTS, "-maxdepth", "1", "-type", "f", "-delete")
    Path("/var/lib/agavectl/lab/snapshot-blacklist.json").unlink(missing_ok=True)    # liars of before are asked again
    config = t.dir / "agavectl.yaml"
    urls = ", ".join(f'"http://127.1.0.{n - 2}:8899"' for n in nodes)   # 3 is the first with an address of its own
    config.write_text(Path("/run/agavectl/lab/agavectl.yaml").read_text() + f"snapshot: {{discover: false, sources: [{urls}], trusted_sources: [{urls}]}}\n")
    r = t.run(*lab.ENTER, BIN, "-c", config, "up", "--yes", bin="/usr/bin/nsenter")
    assert r.code == 0, r
    s = lab.at_tip(t)
    assert len(s["unit"]["pids"]) == 1, s
    left = t.sh("nsenter", *lab.ENTER, "ls", SNAPSHOTS).out
    assert "tmp-" not in left and "snapshot-" in left, left
    return next(line for line in r.err.splitlines() if line.split()[:2] == ["done", "snapshot"]), r.seconds


def rejected(line, node, why):
    address = f"http://127.1.0.{node - 2}:8899 ("
    assert address in line, (node, line)
    part = line.split(address)[1].split(")")[0]
    assert why in part, (node, why, part)


@test
def up_gets_past_sources_that_fail(t):
    lab.up(t, "--time-scale", "4", "--nodes", "12")
    assert t.run("--lab", "up", "--yes").code == 0
    kinds = ("dead", "silent", "not-http", "error", "no-snapshots", "stale=3000")
    for node, kind in enumerate(kinds, 3):
        fault(t, kind, node=node)
    line, _ = up_from(t, *range(3, 10))    # 9 is good
    rejected(line, 3, "refused")
    rejected(line, 4, "no answer within")
    rejected(line, 5, "")
    rejected(line, 6, "status 500")
    rejected(line, 7, "it has no snapshot")
    assert "127.1.0.7:" not in line, line

    assert t.run("lab", "heal").code == 0
    for node, kind in enumerate(("corrupt", "short", "drops=30%", "wrong-hash"), 3):
        fault(t, kind, node=node)
    line, _ = up_from(t, *range(3, 8))
    # Of equal ones it is chance which is tried first; whoever is not tried before the good one is not heard of.
    assert any(f"127.1.0.{n}:" in line for n in (1, 2, 3, 4)), line
    assert "127.1.0.5:" not in line, line
    assert shown(t)["nodes"][7]["files_whole"] >= 1

    assert t.run("lab", "heal").code == 0
    fault(t, "newer", node="3-4")
    line, _ = up_from(t, 3, 4, 5)      # most sources, the highest slot, and nobody has what they say
    for node in (3, 4):
        rejected(line, node, "hash")
    assert "127.1.0.3:" not in line and shown(t)["nodes"][5]["files_whole"] >= 1, line

    assert t.run("lab", "heal").code == 0
    fault(t, "long", node=3)
    fault(t, "slow=400KiB", "late=300ms", node=4)
    line, _ = up_from(t, 3, 4)
    rejected(line, 3, "")
    assert "127.1.0.2:" not in line, line
    assert shown(t)["nodes"][4]["files_whole"] >= 1


@test
def hundreds_of_sources_are_asked_at_once(t):
    """250, 80 of them dead, silent, late, lying or not HTTP: each kind costs its own time-out once, not a sum."""
    lab.up(t, "--time-scale", "4", "--nodes", "250", "--members", "4000")
    assert t.run("--lab", "up", "--yes").code == 0
    alone = up_from(t, 252)[1]
    for first, kinds in ((3, ("dead",)), (23, ("silent",)), (43, ("not-http",)), (63, ("late=1500ms",)), (83, ("stale=900",)),
                         (93, ("error",)), (103, ("no-snapshots",)), (113, ("slow=100KiB",))):
        fault(t, *kinds, node=f"{first}-{first + 9}")
    line, seconds = up_from(t, *range(3, 253))
    rejected(line, 3, "refused")
    assert "and " in line.split("not used")[1] and " more" in line, line
    print(f"# up from one source {alone:.1f} s, from 250 with 80 bad ones {seconds:.1f} s", flush=True)
    assert seconds < alone + 25, (alone, seconds)


@test
def turbine_that_is_healed_and_turbine_that_is_not(t):
    lab.up(t, "--time-scale", "8")
    assert t.run("--lab", "up", "--yes").code == 0
    for attempt in range(3):    # on a busy machine the kernel may lose a datagram more, and no repair heals that
        fault(t, "repair=off", "shred-loss=20%")
        begun = lab.status(t)["slots"]["processed"]
        try:
            s = t.until("100 slots replayed with a fifth of the shreds lost",
                        lambda: (lambda x: x if x["slots"]["processed"] > begun + 100 else None)(lab.status(t)), 25, 0.5)
            break
        except AssertionError:
            assert attempt < 2
            assert t.run("lab", "heal").code == 0
            lab.at_tip(t)
    assert s["health"] == "ok", s
    assert t.run("lab", "heal", "shred-loss").code == 0
    fault(t, "slot-loss=30%", "slot-burst=4")
    s = t.until("a gap: a lost slot is lost", lambda: (lambda x: x if x["health"] == "behind" else None)(lab.status(t)),
                60, 0.5)
    world = shown(t)["world"]
    assert world["slotsWhole"] < world["slotsSent"] and world["faults"]["repair"] == 0, world
    fault(t, "repair=on", "repair-recent=0", "repair-old=0", "slot-loss=off")
    t.until("refused requests", lambda: shown(t)["world"]["repairRefused"] > 20, 30)
    assert lab.status(t)["health"] == "behind"
    fault(t, "repair-old=20")     # slow for old slots: 20 requests a second, and a second's worth at once
    granted = lambda: (lambda w: w["repairAsked"] - w["repairRefused"])(shown(t)["world"])
    first, begun = granted(), time.monotonic()
    t.until("80 requests for old slots", lambda: granted() >= first + 80, 60)
    assert time.monotonic() - begun > 2, "repair of old slots is not held back"
    assert lab.status(t)["health"] == "behind"
    fault(t, "repair-recent=100000")    # none of them is old now: the same requests are answered at once
    lab.at_tip(t, 90)
    r = t.run("lab", "heal")
    assert r.code == 0, r
    lab.at_tip(t, 90)


@test
def faults_are_said_in_an_operators_words(t):
    r = t.run("lab", "fault", "slot-loss=20%")
    if t.run("lab", "status").code != 0:
        assert r.code == 1 and "no lab is up" in r.err, r
    lab.up(t, "--nodes", "2", "--members", "10")
    for words, said in ((["slw"], "did you mean 'slow'"), (["slow"], "say which with '--node'"),
                        (["--node", "3", "turbine=off"], "leave '--node' out"), (["--node", "9", "dead"], "no such nodes"),
                        (["--node", "x", "dead"], "'x' is not a number"), (["slot-loss=101%"], "from 0 to 100"),
                        (["--node", "3", "slow=abc"], "slow")):
        r = t.run("lab", "fault", *words)
        assert r.code == 2 and said in r.err, (words, r)
    fault(t, "turbine=off", "slot-loss")
    fault(t, "slow=1MiB", "dead", node="3-4")
    doc = shown(t)
    assert doc["world"]["faults"]["turbine"] == 0 and doc["world"]["faults"]["slot-loss"] == 20, doc
    assert [n["faults"] for n in doc["nodes"]] == [{}, {}, {}] + [{"dead": 1, "slow": 1 << 20}] * 2, doc
    r = t.run("lab", "status")
    assert "faults   turbine off, slot-loss 20 %, faults of 2 nodes\n" in r.out, r
    text = t.run("lab", "fault").out
    assert "slow 1.0 MiB/s" in text and "5 RPC nodes, 2 with faults" in text, text
    assert t.run("lab", "heal", "--node", "3", "slow").code == 0
    assert shown(t)["nodes"][3]["faults"] == {"dead": 1} and shown(t)["nodes"][4]["faults"]["slow"] == 1 << 20
    r = t.run("lab", "up", "--nodes", "40")
    assert r.code == 0 and "40 RPC nodes" in r.err, r
    r = t.run("lab", "up", "--nodes", "40")
    assert r.code == 0 and "nothing was changed" in r.out, r
    assert t.run("lab", "heal").code == 0
    assert json.loads(t.run("lab", "status", "-o", "json").out)["faults"] == "none"
    doc = shown(t)
    assert len(doc["nodes"]) == 43 and not any(n["faults"] for n in doc["nodes"]), doc
    assert doc["world"]["faults"]["turbine"] == 1 and doc["world"]["faults"]["slot-loss"] == 0, doc


main()
