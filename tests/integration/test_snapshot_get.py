"""agavectl snapshot get: the right pair arrives, whatever the nodes do, and can be gone on with."""
import hashlib
import json
import os
import re
import signal
import subprocess

import world
from harness import BIN, main, test

world.enter()
MIB = 1 << 20


def get(t, w, *argv, out=None, code=0, rpc=(0,)):
    out = out or t.dir / "out"
    r = t.run("--no-lab", "snapshot", "get", "-o", "json", "--out", out, *(x for n in rpc for x in ("--rpc", w.url(n))), *argv,
              env={"XDG_STATE_HOME": str(t.dir / "state")})
    assert r.code == code, r
    lines = [json.loads(x) for x in r.out.splitlines()]
    assert not lines or lines[-1]["event"] == "result" and lines[-1]["ok"] == (code == 0), r
    return lines, r


def the_world(t, *flags, nodes=9, full=8, incr=2):
    w = world.World(t, "--nodes", nodes, "--spread", *flags)
    return (w, *w.big(full, incr))


def same_as_served(w, folder, name, node=0):
    body = w.request(node, "GET", "/" + name, timeout=60)[2]
    return hashlib.sha256(body).digest() == hashlib.sha256((folder / name).read_bytes()).digest()


def files(folder):
    return sorted(f.name for f in folder.iterdir() if f.is_file())


@test
def a_pair_with_everything_that_is_known_of_it(t):
    w, full, incr = the_world(t)
    lines, r = get(t, w)
    out = t.dir / "out"
    assert files(out) == sorted([full, incr]), (files(out), r)
    assert same_as_served(w, out, full) and same_as_served(w, out, incr)
    plan = next(x for x in lines if x["event"] == "plan")
    assert plan["full"] == full and plan["incremental"] == incr and plan["full_trust"].startswith("peers:"), plan
    assert plan["full_sources"] == 12 and plan["disk_need_b"] > 12 * MIB, plan
    done = [x for x in lines if x["event"] == "fetched"]
    assert [x["file"] for x in done] == [full, incr] and done[0]["size_b"] == (out / full).stat().st_size, done
    end = lines[-1]
    assert end["fetched"] == [full, incr] and end["full"] == full and end["incremental"] == incr, end
    note = json.loads((out / ".agavectl" / (full + ".json")).read_text())
    assert note["verify"] == "structure" and note["trust"].startswith("peers:") and note["sources"], note
    assert (out / full).stat().st_mode & 0o777 == 0o644
    # again: what is here is not fetched again
    sent = w.bytes()
    lines, r = get(t, w)
    assert lines[-1]["fetched"] == [] and w.bytes() == sent, lines[-1]


@test
def the_text_of_it(t):
    w, full, incr = the_world(t)
    r = t.run("--no-lab", "snapshot", "get", "--rpc", w.url(0), "--out", t.dir / "out", env={"XDG_STATE_HOME": str(t.dir)})
    assert r.code == 0 and re.search(r"2 archives in .*; slot [\d,]+, [\d,]+ behind the tip", r.out), r
    assert re.search(rf"done {re.escape(full)}: .* from \d+ sources?, verified", r.err) and "trust: peers:" in r.err, r


@test
def dry_run_fetches_nothing(t):
    w, full, incr = the_world(t)
    (t.dir / "out").mkdir()
    sent = w.bytes()
    r = t.run("--no-lab", "snapshot", "get", "--rpc", w.url(0), "--out", t.dir / "out", "--dry-run")
    assert r.code == 0 and full in r.out and incr in r.out and "are free" in r.out and "sources" in r.out, r
    assert w.bytes() == sent and files(t.dir / "out") == []


@test
def one_of_the_two(t):
    w, full, incr = the_world(t)
    get(t, w, "--full-only")
    assert files(t.dir / "out") == [full]
    r = get(t, w, "--incremental-only", out=t.dir / "other", code=1)[1]
    assert "has no full snapshot" in r.err, r
    lines, _ = get(t, w, "--incremental-only")
    assert lines[-1]["fetched"] == [incr] and files(t.dir / "out") == sorted([full, incr]), lines[-1]


@test
def too_few_witnesses(t):
    w, full, incr = the_world(t)
    w.fault("dead", 1, 0, 2)
    w.fault("dead", 1, 6, 11)
    r = get(t, w, code=1, rpc=(3,))[1]
    assert "untrusted" in r.err and "--trust-any" in r.err, r
    assert files(t.dir / "out") == []
    lines, _ = get(t, w, "--trust-any", rpc=(3,))
    assert lines[-1]["fetched"] == [full, incr], lines[-1]
    assert json.loads((t.dir / "out" / ".agavectl" / (full + ".json")).read_text())["trust"] == "any"


@test
def nodes_that_fail_are_left_and_those_that_lie_remembered(t):
    w, full, incr = the_world(t, full=24)
    for node, (name, value) in {3: ("stalls", 30), 4: ("drops", 30), 5: ("slow", 100 << 10), 6: ("lies", 1), 7: ("short", 1),
                                8: ("vanishes", 1), 9: ("error", 1)}.items():
        w.fault(name, value, node)
    w.fault("ranges", 1, 6)
    w.fault("ranges", 1, 10, 11)
    lines, r = get(t, w)
    w.heal()
    assert same_as_served(w, t.dir / "out", full) and same_as_served(w, t.dir / "out", incr), r
    black = t.dir / "state" / "agavectl" / "snapshot-blacklist.json"
    if os.geteuid() != 0 and black.exists():
        assert all(e["kind"] == "peer" for e in json.loads(black.read_text())["entries"])


@test
def names_and_lengths_that_no_snapshot_has(t):
    w, full, incr = the_world(t, nodes=20)
    for node, value in enumerate((1, 2, 3, 4, 5, 6, 7), 3):
        w.fault("bad-name", value, node)
    for node, value in enumerate((1, 2, 3, 4), 10):
        w.fault("length", value, node)
    w.fault("elsewhere", 1, 14)
    w.fault("loops", 1, 15)
    w.fault("trickle", 500, 16)
    w.fault("not-http", 1, 17)
    lines, r = get(t, w)
    w.heal()
    assert lines[-1]["fetched"] == [full, incr] and same_as_served(w, t.dir / "out", full), lines[-1]
    assert files(t.dir / "out") == sorted([full, incr])


@test
def interrupted_it_says_how_to_go_on_and_does(t):
    w, full, incr = the_world(t, full=48)
    w.fault("slow", 4 * MIB, 0, 11)
    out = t.dir / "out"
    argv = [BIN, "--no-lab", "snapshot", "get", "-o", "json", "--rpc", w.url(0), "--out", out]
    half = out / ("tmp-" + full)
    p = subprocess.Popen(list(map(str, argv)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in p.stdout:
        if json.loads(line).get("done_b", 0) > 4 * MIB:
            break
    p.send_signal(signal.SIGINT)
    _, err = p.communicate(timeout=20)
    assert p.returncode == 5 and "the same command goes on with it" in err, (p.returncode, err)
    assert half.exists() and not (out / full).exists()
    w.heal("slow")
    lines, _ = get(t, w)
    done = next(x for x in lines if x["event"] == "fetched")
    assert done["resumed_b"] > 3 * MIB and same_as_served(w, out, full), done


@test
def no_room_is_said_before_the_first_byte(t):
    t.need_root()
    w, full, incr = the_world(t, full=64)
    small = t.dir / "small"
    small.mkdir()
    t.sh("mount", "-t", "tmpfs", "-o", "size=32m", "small", small)
    t.later(lambda: t.sh("umount", small))
    sent = w.bytes()
    r = get(t, w, out=small, code=1)[1]
    assert "no room" in r.err and "are needed" in r.err and "are free" in r.err, r
    assert w.bytes() == sent and files(small) == []


@test
def what_makes_no_sense_is_said(t):
    for argv, words in ((["--rpc", "http://a"], "no folder is known"),
                        (["--rpc", "http://a", "--out", ""], "must not be empty"),
                        (["--rpc", "http://a", "--out", "x", "--full-only", "--incremental-only"], "exclude each other"),
                        (["--rpc", "http://a", "--out", "x", "--verify", "most"], "'most' is not one of none, structure, full"),
                        (["--rpc", "http://a", "--out", "x", "--io-class", "realtime"], "is not one of idle, best-effort"),
                        (["--out", "x"], "nobody to ask is known")):
        r = t.run("--no-lab", "snapshot", "get", *argv)
        assert r.code == 2 and words in r.err, r


main()
