"""`agavectl check --root` on every captured host of tests/hosts gives its golden answer, in every format."""
import json, re, sys
import xml.etree.ElementTree as xml
from pathlib import Path

from harness import SOURCE, main, test

sys.path.insert(0, str(SOURCE / "tests" / "hosts"))
import hosts

SERIES = re.compile(r'^[a-z_]+(\{[a-z]+="([^"\\\n]|\\["\\n])*"(,[a-z]+="([^"\\\n]|\\["\\n])*")*\})? [0-9.]+$')


def check(t, root, *args):
    return t.run("check", "--root", root, *args)


def bad(summary):
    return summary["fail"] + summary["unknown"] > 0


def same_as_golden(name):
    def run(t):
        root = hosts.build(name, t.dir / "host")
        r = check(t, root, "-o", "json")
        golden = hosts.golden_of(name).read_text()
        assert hosts.golden_text(r.out) == golden, f"look at it with tests/hosts/bless {name}\n{r.out}\n{r.err}"
        assert r.code == (3 if bad(json.loads(golden)["summary"]) else 0), r
        every_format(t, root, json.loads(r.out))
        one_by_one(t, root, json.loads(r.out))

    run.__name__ = name.replace("-", "_")
    return run


def every_format(t, root, doc):
    s, findings = doc["summary"], doc["findings"]
    r = check(t, root, "-o", "nagios")
    code = 2 if s["fail"] else 3 if s["unknown"] else 1 if s["warn"] else 0
    assert r.code == code and r.out.startswith(f"AGAVECTL {['OK', 'WARNING', 'CRITICAL', 'UNKNOWN'][code]} - "), r
    assert r.out.splitlines()[0].count("|") == 1 and r.out.count("|") == 1, r
    root_xml = xml.fromstring(check(t, root, "-o", "junit").out)
    cases = root_xml.findall("testsuite/testcase")
    assert len(root_xml.findall(".//failure")) == s["fail"] and len(root_xml.findall(".//error")) == s["unknown"]
    assert len(cases) >= len(findings)
    for suite in root_xml.findall("testsuite"):
        assert int(suite.get("tests")) == len(suite.findall("testcase")), suite.get("name")
    lines = [l for l in check(t, root, "-o", "prometheus").out.splitlines() if not l.startswith("#")]
    assert all(SERIES.match(l) for l in lines), lines
    names = [l.rsplit(" ", 1)[0] for l in lines]
    assert len(names) == len(set(names)), "a series stands there twice"
    text = check(t, root, "--all").out
    for f in findings:
        assert f"{f['id']}: " in text, f


def one_by_one(t, root, doc):
    """A finding that is asked for alone is found alone."""
    for one in sorted({f["id"] for f in doc["findings"] if f["severity"] != "ok"}):
        if one in {s["name"] for s in doc["stages"]}:
            continue
        got = [f for f in json.loads(check(t, root, one, "-o", "json").out)["findings"]
               if f["id"] == one]
        assert got == [f for f in doc["findings"] if f["id"] == one], (one, got)


@test
def no_host_without_its_golden_answer(t):
    stale = {p.name.removesuffix(".golden.json") for p in hosts.HERE.glob("*.golden.json")} ^ set(hosts.names())
    assert not stale, stale


@test
def the_runbooks_host_passes(t):
    s = json.loads(hosts.golden_of("runbook").read_text())["summary"]
    assert s["fail"] == s["unknown"] == s["warn"] == s["ignored"] == 0, s


@test
def layers_and_stages_are_chosen(t):
    root = hosts.build("runbook", t.dir / "host")
    everything = json.loads(check(t, root, "-o", "json").out)
    for layer in "12345":
        doc = json.loads(check(t, root, layer, "-o", "json").out)
        want = [s["name"] for s in everything["stages"] if s["layer"] == int(layer)]
        assert [s["name"] for s in doc["stages"]] == want, layer
    for stage in ("volume", "ramdisk", "dirs"):
        doc = json.loads(check(t, root, stage, "-o", "json").out)
        assert [s["name"] for s in doc["stages"]] == [stage] and doc["findings"], stage


@test
def a_finding_that_could_not_be_looked_at_is_not_ok(t):
    """Asked for alone: who gives no answer must not look like a host without the fault."""
    root = hosts.build("fresh-boot", t.dir / "host")
    for one in ("cluster.grace", "cluster.mount", "propagation.pod", "firewall.gossip"):
        r = check(t, root, one, "-o", "json")
        assert r.code == 3 and json.loads(r.out)["summary"]["unknown"] > 0, (one, r)
        r = check(t, root, one, "-o", "nagios")
        assert r.code == 3 and r.out.startswith("AGAVECTL UNKNOWN - "), (one, r)
    for one in ("volume.mount", "snapshots.full"):  # these were found: nothing else is told
        doc = json.loads(check(t, root, one, "-o", "json").out)
        assert [f["id"] for f in doc["findings"]] == [one], doc
    r = check(t, hosts.build("runbook", t.dir / "healthy"), "cluster.pressure", "-o", "nagios")
    assert r.code == 0, r


@test
def a_stopped_validators_ports_are_those_of_its_node(t):
    """On the host Docker's own proxy holds what is published of the node: nobody to be ended."""
    root = hosts.build("stopped", t.dir / "host")
    row = "   0: 00000000:22C3 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 700 1 0 100 0 0 10 0\n"
    with (root / "proc/net/tcp").open("a") as f:
        f.write(row)
    doc = json.loads(check(t, root, "firewall", "-o", "json").out)
    assert doc["summary"]["fail"] == doc["summary"]["unknown"] == 0, doc
    with (root / "proc/2301/net/tcp").open("a") as f:
        f.write(row)
    doc = json.loads(check(t, root, "firewall.rpc", "-o", "json").out)
    assert doc["summary"]["fail"] == 1 and "TCP port 8899 is held by" in doc["findings"][0]["what"], doc


@test
def a_folder_that_is_none_is_refused(t):
    r = t.run("check", "--root", t.dir)
    assert r.code == 1 and "host.json" in r.err, r
    (t.dir / "host.json").write_text("{}")
    r = t.run("check", "--root", t.dir)
    assert r.code == 2 and "no config" in r.err and "--config" in r.err, r
    r = t.run("check", "--root", t.dir, "--lab")
    assert r.code == 2 and "no lab" in r.err, r
    r = t.run("check", "volume.mont", "-o", "nagios", "--root", t.dir)
    assert r.code == 3 and r.out.startswith("AGAVECTL UNKNOWN - "), r


for one in hosts.names():
    test(same_as_golden(one))
main()
