"""agavectl snapshot find: whom to believe, which is best, and what is said where nothing fits."""
import json
import os
import re
import subprocess

import world
from harness import BIN, main, test

world.enter()


def find(t, *argv, code=0):
    r = t.run("--no-lab", "snapshot", "find", "--no-speed", "-o", "json", *argv)
    assert r.code == code, r
    return json.loads(r.out), r


def addresses(doc):
    return {s["addr"].removeprefix("http://") for s in doc["sources"]}


def the_world(t, nodes=24, members=100):
    w = world.World(t, "--nodes", nodes, "--members", members, "--spread")
    w.big(2, 1)
    return w


@test
def every_good_node_and_no_other(t):
    w = the_world(t)
    bad = {5: ("dead", 1), 6: ("silent", 1), 7: ("not-http", 1), 8: ("error", 1), 9: ("no-snapshots", 1), 10: ("vanishes", 1),
           11: ("elsewhere", 1), 12: ("loops", 1), 13: ("bad-name", 3), 14: ("length", 1), 15: ("other-shred-version", 77),
           16: ("trickle", 500), 17: ("newer", 1)}
    for node, (name, value) in bad.items():
        w.fault(name, value, node)
    doc, _ = find(t, "--rpc", w.url(0), "--rpc", w.url(1))
    good = {w.host(i) for i in range(27) if i not in bad}
    assert addresses(doc) == good, (good - addresses(doc), addresses(doc) - good)
    assert doc["listed_by"] == 2 and doc["usable"] == len(good) and doc["tip"], doc["listed_by"]
    s = doc["sources"][0]
    assert set(s) >= {"addr", "id", "version", "shred_version", "full", "incremental", "latency_ms", "ranges", "rate_b_s",
                      "trust", "minutes_to_tip"}, s
    assert s["rate_b_s"] is None and s["minutes_to_tip"] is None and s["latency_ms"] < 1000, s
    assert set(s["full"]) >= {"name", "slot", "hash", "size_b"} and s["full"]["size_b"] > 1 << 20, s
    assert s["incremental"]["base"] == s["full"]["slot"] and s["trust"].startswith("peers:"), s
    for reason in ("no-rpc", "no-answer", "not-http", "status", "no-snapshot", "vanished", "elsewhere", "bad-name", "bad-size",
                   "shred-version"):
        assert doc["rejected"].get(reason), (reason, doc["rejected"])
    assert sum(doc["rejected"].values()) + doc["usable"] == doc["nodes"], doc["rejected"]


@test
def text_for_people(t):
    w = the_world(t)
    r = t.run("--no-lab", "snapshot", "find", "--no-speed", "--rpc", w.url(0), "--limit", "3")
    assert r.code == 0, r
    lines = r.out.splitlines()
    assert lines[0].split()[:3] == ["#", "NODE", "VERSION"] and "TRUST" in lines[0], r
    assert [x.split()[0] for x in lines[1:4]] == ["1", "2", "3"] and "more (--limit N" in lines[4], r
    assert re.search(r"tip [\d,]+; 27 of \d+ nodes can be used", r.out) and "not used: " in r.out, r


@test
def rates_are_measured(t):
    w = world.World(t, "--nodes", "6", "--spread")
    w.big(64)
    w.fault("slow", 8 << 20, 3)
    w.fault("slow", 2 << 20, 4)
    r = t.run("--no-lab", "snapshot", "find", "-o", "json", "--rpc", w.url(0))
    assert r.code == 0, r
    rate = {s["addr"].removeprefix("http://"): s["rate_b_s"] for s in json.loads(r.out)["sources"]}
    assert rate[w.host(4)] < rate[w.host(3)] < rate[w.host(5)], rate
    assert 4 << 20 < rate[w.host(3)] < 12 << 20, rate
    minutes = [s["minutes_to_tip"] for s in json.loads(r.out)["sources"]]
    assert all(m is not None for m in minutes) and minutes == sorted(minutes), minutes


@test
def a_snapshot_that_too_few_serve_is_not_believed(t):
    w = world.World(t, "--nodes", "9", "--spread")    # 3 to 5 are one network, 6 to 8 the next
    w.big(2)
    w.fault("dead", 1, 0, 2)
    w.fault("dead", 1, 6, 11)
    doc, r = find(t, "--rpc", w.url(3), code=1)
    assert doc["sources"] == [] and doc["rejected"]["untrusted"] == 3, doc
    assert "--trust-any" in doc["would_help"] and "3 untrusted" in r.err and "--known ID" in r.err, r
    doc, _ = find(t, "--rpc", w.url(3), "--trust-any")
    assert len(doc["sources"]) == 3 and doc["sources"][0]["trust"] == "none", doc
    doc, _ = find(t, "--rpc", w.url(3), "--known", w.ask(4, "getIdentity")["identity"])
    assert len(doc["sources"]) == 3 and doc["sources"][0]["trust"] == "known-validator", doc
    doc, _ = find(t, "--rpc", w.url(3), "--trust", w.url(5))
    assert len(doc["sources"]) == 3 and doc["sources"][0]["trust"] == "source", doc
    doc, _ = find(t, "--rpc", w.url(3), "--min-peers", "1")
    assert doc["sources"][0]["trust"] == "peers:1" and doc["groups"][0]["networks"] == 1, doc
    w.heal("dead", 6, 11)
    doc, _ = find(t, "--rpc", w.url(3))
    assert len(doc["sources"]) == 9 and doc["sources"][0]["trust"] == "peers:3", doc


@test
def one_limit_would_help_and_it_does(t):
    w = world.World(t, "--nodes", "9", "--spread", start_slot=120000)
    w.big(1)
    w.fault("stale", 30000, 3, 11)
    w.fault("no-snapshots", 1, 0, 2)
    doc, r = find(t, "--rpc", w.url(0), code=1)
    assert doc["rejected"]["too-old"] == 9, doc["rejected"]
    age = re.search(r"9 nodes are only too old: --max-age (\d+) \(snapshot.max_age_slots\) would help", r.err)
    assert age and int(age[1]) > 20000, r
    doc, _ = find(t, "--rpc", w.url(0), "--max-age", age[1])
    assert len(doc["sources"]) == 9, doc


@test
def age_gives_way_in_steps_and_says_so(t):
    w = world.World(t, "--nodes", "9", "--spread", start_slot=120000)
    w.big(1)
    w.fault("stale", 4000, 3, 11)
    w.fault("no-snapshots", 1, 0, 2)
    doc, r = find(t, "--rpc", w.url(0))
    assert len(doc["sources"]) == 9 and doc["relaxed"][-1].endswith("up to 5200 are taken"), doc["relaxed"]
    assert "nothing within 1300 slots of the tip" in r.err, r


@test
def versions_that_are_excluded(t):
    w = the_world(t, nodes=9)
    w.fault("other-version", 40000, 3, 5)
    doc, _ = find(t, "--rpc", w.url(0), "--exclude-version", "4")
    assert doc["rejected"]["version"] == 3 and len(doc["sources"]) == 9, doc["rejected"]
    doc, _ = find(t, "--rpc", w.url(0), "--exclude-version", "4.0.1")
    assert "version" not in doc["rejected"], doc["rejected"]


@test
def a_plain_user_and_no_config(t):
    w = the_world(t, nodes=9)
    t.need_root()
    argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", BIN, "--no-lab", "snapshot", "find", "--no-speed",
            "--rpc", w.url(0)]
    r = subprocess.run(list(map(str, argv)), capture_output=True, text=True, env={"PATH": "/usr/bin", "HOME": "/nonexistent"},
                       timeout=60)
    assert r.returncode == 0 and "can be used" in r.stdout, r


@test
def what_is_no_question(t):
    for argv, words in (([], "nobody to ask is known"),
                        (["--rpc", "127.0.0.1:8899"], "'127.0.0.1:8899' is not an http or https URL"),
                        (["--rpc", "file:///etc/passwd"], "is not an http or https URL"),
                        (["--rpc", "http://"], "is not an http or https URL"),
                        (["--rpc", "http://a", "--known", "0OIl"], "option '--known'"),
                        (["--rpc", "http://a", "--proxy", "socks5://a:1"], "option '--proxy'"),
                        (["--rpc", "http://a", "--replay-rate", "0"], "option '--replay-rate'"),
                        (["--rpc", "http://a", "--replay-rate", "nan"], "option '--replay-rate'"),
                        (["--rpc", "http://a", "--max-age", "-1"], "option '--max-age'")):
        r = t.run("--no-lab", "snapshot", "find", *argv)
        assert r.code == 2 and words in r.err, r
    t.sh("ip", "link", "set", "lo", "up")
    r = t.run("--no-lab", "snapshot", "find", "--rpc", "http://127.0.0.1:1")
    assert r.code == 1 and "127.0.0.1:1" in r.err and "refused" in r.err, r


@test
def the_list_of_what_failed(t):
    t.need_root()
    state = t.dir / "agavectl"
    config = t.dir / "agavectl.yaml"
    config.write_text(f"journal_dir: {state}/op\n")
    state.mkdir()
    file = state / "snapshot-blacklist.json"
    file.write_text(json.dumps({"schema_version": 1, "entries": [
        {"kind": "peer", "value": "http://192.0.2.1:8899", "why": "sent other bytes", "until_ms": 4102444800000},
        {"kind": "hash", "value": "abc", "why": "its tar is torn", "until_ms": None}]}))
    r = t.run("snapshot", "find", "-c", config, "--blacklist")
    assert r.code == 0 and "http://192.0.2.1:8899" in r.out and "for ever" in r.out and "its tar is torn" in r.out, r
    r = t.run("snapshot", "find", "-c", config, "--forget", "abc", "-o", "json")
    assert r.code == 0 and [e["value"] for e in json.loads(r.out)["entries"]] == ["http://192.0.2.1:8899"], r
    assert "abc" not in file.read_text()
    r = t.run("snapshot", "find", "-c", config, "--forget", "abc")
    assert r.code == 1 and "is not on the list" in r.err, r
    file.write_text("{")
    r = t.run("snapshot", "find", "-c", config, "--blacklist")
    assert r.code == 2 and str(file) in r.err and "remove it" in r.err, r


if __name__ == "__main__":
    main()
