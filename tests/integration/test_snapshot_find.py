"""agavectl snapshot find on the lab's world: nodes of every kind, whom to believe, and what is said when nothing fits."""
import http.server
import json
import threading

import world
from harness import main, test

world.enter()

# What a node does, and the reason that it is counted under.
KINDS = (("dead", 1, "no-answer"), ("silent", 1, "no-answer"), ("trickle", 200, "no-answer"), ("late", 60000, "no-answer"),
         ("not-http", 1, "not-http"), ("error", 1, "status"), ("no-snapshots", 1, "no-snapshot"), ("elsewhere", 1, "elsewhere"),
         ("loops", 1, "elsewhere"), ("vanishes", 1, "vanished"), ("other-shred-version", 99, "shred-version"),
         ("length", 1, "bad-size"), ("length", 2, "bad-size"), ("bad-name", 1, "bad-name"), ("bad-name", 3, "bad-name"),
         ("bad-name", 4, "bad-name"), ("bad-name", 5, "elsewhere"), ("bad-name", 6, "elsewhere"), ("bad-name", 7, "bad-name"),
         ("stale", 30000, "untrusted"), ("newer", 1, "untrusted"))


def find(t, w, *flags, code=0):
    r = t.run("--no-lab", "snapshot", "find", "--rpc", w.url(0), "--no-speed", "-o", "json", *flags)
    assert r.code == code, r
    return json.loads(r.out) if r.out else r


def offered(doc):
    return {s["addr"].removeprefix("http://"): s for s in doc["sources"]}


@test
def every_kind_has_its_reason(t):
    w = world.World(t, "--nodes", "60", "--members", "500", "--spread", start_slot=120000)
    w.fault("ranges", 1, 5)
    w.fault("other-version", 20214, 6)
    w.fault("other-version", 30001, 7)
    for i, (name, value, _) in enumerate(KINDS, 10):
        w.fault(name, value, i)
    doc = find(t, w, "--rpc", w.url(1))
    good = {n["rpc"] for i, n in enumerate(w.call("nodes")) if not 10 <= i < 10 + len(KINDS)}
    assert set(offered(doc)) == good, set(offered(doc)) ^ good
    want = {}
    for _, _, reason in KINDS:
        want[reason] = want.get(reason, 0) + 1
    counted = {k: v for k, v in doc["rejected"].items() if k != "no-rpc"}
    assert counted == want and doc["rejected"].get("no-rpc", 500) == 500, (doc["rejected"], want)
    source = offered(doc)[w.host(3)]
    highest = w.highest(3)
    full, incremental = w.alias("/snapshot.tar.bz2", 3), w.alias("/incremental-snapshot.tar.bz2", 3)
    assert source["full"]["name"] == full and source["full"]["slot"] == highest["full"], source
    assert source["incremental"]["name"] == incremental and source["incremental"]["base"] == highest["full"], source
    for f in (source["full"], source["incremental"]):
        assert f["size_b"] == int(w.request(3, "HEAD", f"/{f['name']}")[1]["content-length"]), f
    assert source["ranges"] is False and offered(doc)[w.host(5)]["ranges"] is True and source["rate_b_s"] is None, source
    assert offered(doc)[w.host(6)]["version"] == "2.2.14" and doc["listed_by"] == 2, doc
    without = offered(find(t, w, "--exclude-version", "2.2", "--exclude-version", "3.0.1"))
    assert set(offered(doc)) - set(without) == {w.host(6), w.host(7)}, set(offered(doc)) ^ set(without)


@test
def one_list_that_fails_is_no_matter(t):
    w = world.World(t, "--nodes", "20", start_slot=120000)
    for node, fault in enumerate(("html", "no-answer"), 1):
        w.fault(fault, 1, node)
        doc = find(t, w, "--rpc", w.url(node))
        assert doc["listed_by"] == 1 and len(doc["errors"]) == 1 and len(doc["sources"]) == 23, doc
        w.heal()
    for node in range(3):
        w.fault("dead", 1, node)
    r = t.run("--no-lab", "snapshot", "find", *(x for i in range(3) for x in ("--rpc", w.url(i))), "--no-speed")
    assert r.code == 1 and w.host(0) in r.err and "refused" in r.err, r


@test
def a_hash_needs_witnesses_of_many_networks(t):
    """Five nodes of two networks offer what nobody else has; then a sixth, of a third network, does."""
    w = world.World(t, "--nodes", "12", "--spread", start_slot=120000)
    w.fault("newer", 1, 3, 7)     # 60.0.1.1 to 60.0.1.3, 60.1.1.1 and 60.1.1.2
    doc = find(t, w)
    liars = {w.host(i) for i in range(3, 8)}
    assert not liars & set(offered(doc)) and doc["rejected"]["untrusted"] == 5, doc["rejected"]
    assert [(g["sources"], g["networks"], g["trust"]) for g in doc["groups"] if g["slot"] > 120500] == [(5, 2, "none")], doc["groups"]
    ids = {s["addr"].removeprefix("http://"): s["id"] for s in doc["sources"]}
    some = next(iter(ids))
    assert offered(find(t, w, "--known", ids[some]))[some]["trust"] == "known-validator"
    assert liars < set(offered(find(t, w, "--trust-any")))
    assert liars < set(offered(find(t, w, "--min-peers", "2")))
    w.fault("newer", 1, 9)        # 60.2.1.1
    assert liars < set(offered(find(t, w)))


class Hosted(http.server.BaseHTTPRequestHandler):
    """A node behind a path that is its key."""
    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        for k, v in {"Content_Length": len(body), **headers}.items():
            self.send_header(k.replace("_", "-"), str(v))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.reply(200, b'{"jsonrpc":"2.0","id":1,"result":[]}')

    def do_HEAD(self):
        if self.path == "/k3y/snapshot.tar.bz2":
            self.reply(303, Location="snapshot-1000-11111111111111111111111111111112.tar.zst")
        else:
            self.reply(404 if "incremental" in self.path else 200, Content_Length=1000)

    def log_message(self, *args):
        pass


@test
def keys_in_urls_are_not_shown(t):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hosted)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    flags = ("--no-lab", "snapshot", "find", "--no-speed", "--trust-any")
    url = f"http://127.0.0.1:{server.server_port}/k3y"
    r = t.run(*flags, "--rpc", url, "-o", "json")
    assert r.code == 0 and "k3y" not in r.out + r.err, r
    source, = json.loads(r.out)["sources"]
    assert source["full"]["slot"] == 1000 and source["full"]["url"] is None, source
    for wrong in (("--rpc", "htp://user:k3y@rpc.test/k3y"), ("--rpc", "http://rpc.test/?api-key=k3y k3y"),
                  ("--proxy", "ftp://user:k3y@proxy.test:1")):
        r = t.run(*flags, "--rpc", "http://rpc.test", *wrong)
        assert r.code == 2 and "k3y" not in r.out + r.err and ".test" in r.err, r
    server.shutdown()


@test
def when_nothing_fits_it_says_what_would(t):
    w = world.World(t, "--nodes", "20", start_slot=120000)
    w.fault("no-snapshots", 1, 0, 2)
    w.fault("stale", 30000, 3, 22)
    doc = find(t, w, code=1)
    assert doc["usable"] == 0 and doc["rejected"] == {"no-snapshot": 3, "too-old": 20}, doc
    assert "--max-age" in json.dumps(doc["would_help"]), doc["would_help"]
    r = t.run("--no-lab", "snapshot", "find", "--rpc", w.url(0), "--no-speed")
    assert r.code == 1 and "20 too-old" in r.out + r.err and "--max-age" in r.out + r.err, r
    assert len(find(t, w, "--max-age", "40000")["sources"]) == 20


@test
def hundreds_are_found_with_bounded_sockets(t):
    """1,200 of them, a quarter silent: all the good ones, within the time of one silent one and a little."""
    w = world.World(t, "--nodes", "1200", "--members", "2000", start_slot=120000)
    for i in range(4, 1200, 4):
        w.fault("silent", 1, i)
    r = t.run("--no-lab", "snapshot", "find", "--rpc", w.url(0), "--no-speed", "-o", "json")
    doc = json.loads(r.out)
    assert len(doc["sources"]) == 1203 - 299, len(doc["sources"])
    assert r.seconds < 10, r.seconds


@test
def rates_are_those_that_last(t):
    w = world.World(t, "--nodes", "4", "--spread")
    w.big(48)
    w.fault("no-snapshots", 1, 0, 2)
    w.fault("cap", 800 << 10, 3)
    w.fault("cap", 3200 << 10, 4)
    w.fault("throttles", 2 << 20, 5)
    w.fault("cap", 100 << 10, 6)
    r = t.run("--no-lab", "snapshot", "find", "--rpc", w.url(0), "-o", "json", "--trust-any", "--min-rate", "1")
    doc = json.loads(r.out)
    rates = {s["addr"].removeprefix("http://"): s["rate_b_s"] / 1024 for s in doc["sources"]}
    assert 560 < rates[w.host(3)] < 1040 and 2240 < rates[w.host(4)] < 4160, rates
    assert rates[w.host(5)] < 400 and rates[w.host(6)] < 150, rates
    assert doc["sources"][0]["addr"].endswith(w.host(4)), rates
    assert r.seconds < 14, r.seconds


main()
