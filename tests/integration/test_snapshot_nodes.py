"""The nodes that agavectl snapshot find asks, in the lab's world: every good node is found and every other one has its reason, whatever
the nodes do. Rates are real time; names of reasons are the histogram's."""
import json

import world
from harness import main, test

KIB = 1 << 10
# What a node does, and what find calls it. value: of the fault.
BAD = [("dead", 1, "no-answer"), ("silent", 1, "no-answer"), ("trickle", 500, "no-answer"), ("late", 5000, "no-answer"),
       ("not-http", 1, "not-http"), ("error", 1, "status"), ("no-snapshots", 1, "no-snapshot"), ("elsewhere", 1, "elsewhere"),
       ("loops", 1, "elsewhere"), ("vanishes", 1, "vanished"), ("length", 1, "bad-size"), ("length", 2, "bad-size"),
       ("bad-name", 1, "bad-name"), ("bad-name", 3, "bad-name"), ("other-shred-version", 4321, "shred-version")]
world.enter()


def find(t, w, *args, rpcs=(0, 1)):
    """Result and its JSON; None when it failed."""
    asked = [x for i in rpcs for x in ("--rpc", w.url(i))]
    r = t.run("--no-lab", "snapshot", "find", *asked, "-o", "json", *args)
    return r, json.loads(r.out) if r.code == 0 else None


def hosts(doc):
    return {s["addr"].removeprefix("http://") for s in doc["sources"]}


@test
def every_good_node_and_every_reason(t):
    w = world.World(t, "--nodes", 120, "--members", 400, "--spread", start_slot=120000)
    reasons, bad = {}, set()
    for i in range(3, 123):
        name, value, reason = BAD[i % len(BAD)]
        if i % 4 == 0:
            continue
        w.fault(name, value, i)
        bad.add(w.host(i))
        reasons[reason] = reasons.get(reason, 0) + 1
    w.fault("ranges", 1, 4)
    r, doc = find(t, w, "--no-speed")
    assert doc, r
    good = {w.host(i) for i in range(123)} - bad
    assert hosts(doc) == good, (hosts(doc) ^ good, doc["rejected"])
    rejected = dict(doc["rejected"])
    assert rejected.pop("no-rpc") == 400
    assert rejected == reasons, (rejected, reasons)
    assert doc["nodes"] == 523 and doc["listed_by"] == 2, doc
    for s in doc["sources"]:
        assert s["rate_b_s"] is None and 0 < s["latency_ms"] < 1000, s
        assert s["full"]["size_b"] > 10000 and s["full"]["name"] == w.alias("/snapshot.tar.bz2"), s
        assert s["ranges"] is (s["addr"] == w.url(4)), s
        assert s["id"] and s["version"] == "3.0.14", s


@test
def a_list_that_does_not_come_holds_nobody_up(t):
    """An RPC node that accepts calls and is silent, one that sends a web page, one that is not there: the fourth lists."""
    w = world.World(t, "--nodes", 20, "--spread")
    w.fault("no-answer", 1, 0)
    w.fault("html", 1, 1)
    w.fault("dead", 1, 2)
    r, doc = find(t, w, "--no-speed", rpcs=(0, 1, 2, 3))
    assert doc, r
    assert len(hosts(doc)) >= 20 and doc["listed_by"] == 1, doc
    assert len(doc["errors"]) == 3, doc["errors"]
    assert r.seconds < 8, r.seconds
    w.fault("dead", 1, 3)
    r, doc = find(t, w, "--no-speed", rpcs=(2, 3))
    assert r.code != 0 and "connection refused" in r.err, r.err


@test
def rates_are_those_that_last(t):
    w = world.World(t, "--nodes", 4, "--spread")
    w.big(48)
    w.fault("no-snapshots", 1, 0, 2)
    w.fault("cap", 800 * KIB, 3)
    w.fault("cap", 3200 * KIB, 4)
    w.fault("throttles", 2048 * KIB, 5)
    w.fault("cap", 100 * KIB, 6)
    r, doc = find(t, w, "--trust-any", "--min-rate", "1", rpcs=(0,))
    assert doc, r
    rates = {s["addr"]: s["rate_b_s"] / KIB for s in doc["sources"]}
    assert 560 < rates[w.url(3)] < 1040 and 2240 < rates[w.url(4)] < 4160, rates
    assert rates[w.url(5)] < 400 and rates[w.url(6)] < 150, rates
    assert doc["sources"][0]["addr"] == w.url(4), rates
    assert r.seconds < 14, r.seconds


main()
