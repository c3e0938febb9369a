"""agavectl snapshot keep: what is fresh waits, nothing else in the folder changes, and a voter is left alone."""
import fcntl
import json
import os
import signal
import subprocess

import world
from harness import BIN, main, test

world.enter()


class Host:
    """Folders and a config whose cluster is the world."""

    def __init__(self, t, w, **validator):
        self.t, self.dir = t, t.dir / "snapshots"
        self.dir.mkdir()
        self.ledger = t.dir / "ledger"
        self.ledger.mkdir()
        self.config = t.dir / "agavectl.yaml"
        identity = t.dir / "identity.json"
        self.config.write_text(json.dumps({
            "state_dir": str(t.dir / "state"), "journal_dir": str(t.dir / "op"),
            "validator": {"uid": os.getuid(), "gid": os.getgid(), "identity": str(identity), "bin": "/bin/true",
                          "ledger": str(self.ledger), "snapshots": str(self.dir),
                          "accounts": str(t.dir / "accounts"), "log": str(t.dir / "log"), **validator},
            "cluster": {"references": [w.url(0), w.url(1)]},
            "snapshot": {"fresh_slots": 40, "convergence_slots": 30}}))

    def argv(self, *args):
        return [str(a) for a in (BIN, "-c", self.config, "snapshot", "keep", "-o", "json", *args)]

    def round(self, code=0):
        r = self.t.run(*self.argv()[1:])
        assert r.code == code, r
        return json.loads(r.out)["round"], r

    def names(self, *below):
        d = self.dir.joinpath(*below)
        return sorted(f.name for f in d.iterdir() if f.is_file() and "snapshot-" in f.name and f.suffix == ".zst")


@test
def what_is_fetched_waits_and_is_fresh_then(t):
    t.need_root()
    w = world.World(t, "--nodes", 9, "--spread")
    full, incr = w.big(4, 1)
    host = Host(t, w)
    got, r = host.round()
    assert got["outcome"] == "fetched" and got["fetched"] == [full, incr], r
    assert host.names() == [] and host.names(".agavectl") == sorted([full, incr]), os.listdir(host.dir)
    assert got["age_slots"] == max(0, got["tip"] - got["slot"]) and got["why"] is None, got
    sent = w.bytes()
    got, r = host.round()
    assert got["outcome"] == "fresh" and got["fetched"] == [] and w.bytes() == sent, r
    listed = json.loads(t.run("-c", host.config, "snapshot", "list", "-o", "json", "--agave-version", "3.0.14").out)
    assert listed["would_load"]["from"] == "genesis" and {f["where"] for f in listed["files"]} == {"waiting"}, listed
    assert all(f["fetched"]["trust"].startswith("peers:") for f in listed["files"]), listed


@test
def a_voter_that_runs_is_left_alone(t):
    t.need_root()
    w = world.World(t, "--nodes", 9, "--spread")
    w.big(4, 1)
    host = Host(t, w, voting=True, vote_account="11111111111111111111111111111111")
    asked = sum(n["requests"] for n in w.call("nodes"))
    with open(host.ledger / "ledger.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        got, r = host.round()
        assert got["outcome"] == "quiet" and got["tip"] is None and os.listdir(host.dir) == [], r
        assert sum(n["requests"] for n in w.call("nodes")) == asked
    assert host.round()[0]["outcome"] == "fetched"  # it does not run any more


@test
def get_beside_a_validator_that_runs_waits_as_well(t):
    t.need_root()
    w = world.World(t, "--nodes", 9, "--spread")
    full, incr = w.big(4, 1)
    host = Host(t, w)
    with open(host.ledger / "ledger.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        w.fault("no-snapshots", 1, 0, 11)
        for code, flags in ((1, ()), (0, ("--dry-run",))):
            r = t.run("-c", host.config, "snapshot", "get", *flags)
            assert r.code == code and "a validator runs on" in r.err and os.listdir(host.dir) == [], r
            w.heal()
        r = t.run("-c", host.config, "snapshot", "get")
        assert r.code == 0 and host.names() == [] and host.names(".agavectl") == sorted([full, incr]), r


@test
def a_voter_that_is_started_meanwhile_ends_the_fetch(t):
    t.need_root()
    w = world.World(t, "--nodes", 9, "--spread")
    full, _ = w.big(32, 1)
    host = Host(t, w, voting=True, vote_account="11111111111111111111111111111111")
    config = json.loads(host.config.read_text())
    config["snapshot"]["max_rate_mib_s"] = 1             # half a minute and more
    host.config.write_text(json.dumps(config))
    p = subprocess.Popen(host.argv(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    t.later(lambda: p.poll() is None and p.kill())
    half = host.dir / ".agavectl" / f"tmp-{full}"
    t.until("half a file", lambda: half.exists() and half.stat().st_size > 2 << 20, 60)
    with open(host.ledger / "ledger.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        out, err = p.communicate(timeout=20)
        got = json.loads(out)["round"]
        assert p.returncode == 0 and got["outcome"] == "quiet" and "started meanwhile" in got["why"], (out, err)
        assert half.exists() and host.names(".agavectl") == [half.name] and host.names() == [], out
    config["snapshot"]["max_rate_mib_s"] = 0
    host.config.write_text(json.dumps(config))
    got, r = host.round()                                # and is gone on with
    assert got["outcome"] == "fetched" and got["fetched"][0] == full, r


@test
def nobody_is_there(t):
    t.need_root()
    w = world.World(t, "--nodes", 3)
    host = Host(t, w)
    w.end()
    got, r = host.round(code=5)          # it can be repeated
    assert got["outcome"] == "failed" and "no reference tells the tip" in got["why"], r


@test
def round_after_round_until_it_is_told_to_end(t):
    t.need_root()
    w = world.World(t, "--nodes", 9, "--spread")
    first = w.big(4, 1)
    host = Host(t, w)
    p = subprocess.Popen(host.argv("--on-interval", "1s"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    t.later(lambda: p.poll() is None and p.kill())
    signal.alarm(120)                        # a round that never comes

    def next_round(outcome):
        for line in p.stdout:
            got = json.loads(line)["round"]
            if got["outcome"] == outcome:
                return got
            assert got["outcome"] in ("fresh", "stale"), got
        raise AssertionError(p.communicate()[1])

    assert next_round("fetched")["fetched"] == list(first)
    slot = int(first[1].split("-")[3])
    t.until("a tip far ahead", lambda: w.call("state")["finalized"] > slot + 80, 60)
    w.call("big", 2, 0)                      # a new full one
    got = next_round("fetched")
    assert got["slot"] > slot and got["removed"] == 2, got
    assert host.names(".agavectl") == got["fetched"] and host.names() == [], os.listdir(host.dir / ".agavectl")
    p.send_signal(signal.SIGTERM)
    out, err = p.communicate(timeout=20)
    signal.alarm(0)
    assert p.returncode == 0 and err == "", (p.returncode, err)


@test
def what_makes_no_sense_is_said(t):
    for interval in ("", "x", "0", "10d", "25h", "-1s", "s"):
        r = t.run("--no-lab", "snapshot", "keep", "--on-interval", interval)
        assert r.code in (2, 4), r


main()
