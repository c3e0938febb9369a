"""Snapshots of real Agave: found and fetched from a voting node, gone on with after kill -9, given on by `snapshot serve`,
and started from by another node."""
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import tarfile

import agave
from harness import BIN, main, test

RPC = "http://127.0.0.1:8899"
MIB = 1 << 20


class Cluster:
    """A voting node in namespaces of the test's own, with a full and an incremental archive to give."""

    def __init__(self, t, full_every=400, *more):
        t.need_root()
        agave.program("agave-validator")
        agave.raise_sysctls(t)
        self.t, self.ns = t, agave.Namespaces(t)
        self.node1 = agave.VotingNode(t, self.ns, full_every, *more)
        self.served = t.dir / "node1" / "snapshots"
        self.node1.wait_ready()
        t.until("a pair to fetch", lambda: (self.node1.call(8899, "getHighestSnapshotSlot") or {}).get("incremental"), 180, 0.5)
        self.id = self.node1.call(8899, "getIdentity")["identity"]

    def run(self, *args, timeout=200):
        enter = self.ns.enter()
        return self.t.run(*enter[1:], BIN, "--no-lab", *args, bin=f"/usr/bin/{enter[0]}", timeout=timeout,
                          env={"XDG_STATE_HOME": str(self.t.dir / "state")})

    def spawn(self, name, *argv, env=None):
        p = subprocess.Popen([*self.ns.enter(), *map(str, argv)], env=dict(os.environ, **(env or {})), stdin=subprocess.DEVNULL,
                             stdout=open(self.t.dir / name, "wb"), stderr=subprocess.STDOUT)

        def end():
            if p.poll() is None:
                p.send_signal(signal.SIGTERM)
                p.wait(30)
        self.t.later(end)
        return p


def found_as_it_is(t, c):
    r = c.run("snapshot", "find", "--rpc", RPC, "--no-speed", "--trust-any", "-o", "json")
    assert r.code == 0, r
    (source,) = json.loads(r.out)["sources"]
    nodes = {n["pubkey"]: n for n in c.node1.call(8899, "getClusterNodes")}
    assert source["id"] == c.id and source["version"] == agave.VERSION, source
    assert source["shred_version"] == nodes[c.id]["shredVersion"], (source, nodes)
    assert source["ranges"] is False and source["rate_b_s"] is None and source["trust"] == "none", source
    assert source["incremental"]["base"] == source["full"]["slot"], source
    for f in (source["full"], source["incremental"]):
        if (c.served / f["name"]).exists():    # an incremental may have given way to the next one
            assert f["size_b"] == (c.served / f["name"]).stat().st_size, f
    t.real("agave", f"snapshots of agave-validator {agave.VERSION}, found")


def archives(folder):
    return sorted(f.name for f in folder.iterdir() if f.is_file())


@test
def what_is_fetched_is_what_another_node_starts_from(t):
    c = Cluster(t)
    out = t.dir / "node2" / "snapshots"
    out.parent.mkdir()

    found_as_it_is(t, c)

    # One node alone is no witness, unless it is known.
    r = c.run("snapshot", "get", "--rpc", RPC, "--out", out)
    assert r.code == 1 and "untrusted" in r.err, r
    r = c.run("snapshot", "get", "--rpc", RPC, "--out", out, "--known", c.id, "--verify=full", "-o", "json")
    assert r.code == 0, r
    lines = [json.loads(x) for x in r.out.splitlines()]
    result, fetched = lines[-1], [x for x in lines if x["event"] == "fetched"]
    assert result["ok"] and archives(out) == sorted(x["file"] for x in fetched) and result["full"] in archives(out), r
    assert all(x["hash"] == "proven" for x in fetched), fetched
    t.real("agave", f"snapshots of agave-validator {agave.VERSION}, fetched and their names' hashes proven")

    # What we have is what it had: by our own server and by the node itself, together.
    t.dir.chmod(0o755)    # it becomes another user
    serve = c.spawn("serve.log", BIN, "--no-lab", "snapshot", "serve", "--snapshots", out, "--listen", "127.0.0.1:8890")
    t.until("the server", lambda: "serving" in (t.dir / "serve.log").read_text() or serve.poll() is not None, 20)
    assert serve.poll() is None, (t.dir / "serve.log").read_text()
    r = c.run("snapshot", "get", "--rpc", RPC, "--source", "http://127.0.0.1:8890", "--trust", "http://127.0.0.1:8890", "--no-discover",
              "--full-only", "--out", t.dir / "again", "-o", "json")
    assert r.code == 0, r
    (name,) = archives(t.dir / "again")
    if (out / name).exists():    # the node may have made a newer one meanwhile
        assert (t.dir / "again" / name).read_bytes() == (out / name).read_bytes()

    # Another real node starts from it, with nothing else.
    keys, ledger = t.data("agave", "seed-cluster"), t.dir / "node2" / "ledger"
    for d in (ledger, t.dir / "node2" / "accounts"):
        d.mkdir()
    for f in ("genesis.bin", "genesis.tar.bz2"):
        shutil.copy(keys / f, ledger / f)
    before = archives(out)
    slot = result["slot"]
    node2 = c.spawn("node2.out", agave.program("agave-validator"), "--identity", keys / "node2-keypair.json", "--no-voting", "--ledger",
                    ledger, "--snapshots", out, "--accounts", t.dir / "node2" / "accounts", "--entrypoint", "127.0.0.1:8001",
                    "--expected-genesis-hash", c.node1.call(8899, "getGenesisHash"), "--rpc-port", "9899", "--gossip-port", "9001",
                    "--dynamic-port-range", "9002-9040", "--private-rpc", "--no-snapshot-fetch", "--limit-ledger-size", "50000000",
                    *agave.FLAGS, "--log", t.dir / "node2" / "log", env=dict(e.split("=", 1) for e in agave.preload()))

    def replays():
        assert node2.poll() is None, (t.dir / "node2" / "log").read_text(errors="replace")[-1500:]
        return (c.node1.slot(9899) or 0) > slot
    t.until("the second node goes on from there", replays, 240, 0.5)
    log = (t.dir / "node2" / "log").read_text(errors="replace")
    assert set(before) <= set(archives(out)) or "snapshot" in log
    loaded = set(re.findall(r"(?:incremental-)?snapshot-[0-9-]+-[A-Za-z0-9]+\.tar\.zst", log))
    assert result["full"] in loaded and (not result["incremental"] or result["incremental"] in loaded), loaded
    assert c.node1.call(9899, "getGenesisHash") == c.node1.call(8899, "getGenesisHash")
    t.real("agave", f"a second agave-validator started from what 'snapshot get' had fetched, slot {slot}")


# What a proxy in front of a validator does: archives are ours, everything else is its RPC port's.
SPLIT = """
import http.client, http.server, sys
class Split(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        ours = "snapshot" in self.path
        c = http.client.HTTPConnection("127.0.0.1", 8890 if ours else 8899, timeout=60)
        c.request(self.command, self.path, self.rfile.read(int(self.headers.get("Content-Length") or 0)),
                  {"Content-Type": self.headers.get("Content-Type") or "text/plain"})
        r = c.getresponse()
        body = r.read()
        self.send_response(r.status)
        for k, v in r.getheaders():
            if k.lower() in ("location", "content-type"):
                self.send_header(k, v)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *args):
        print("ours" if "snapshot" in self.path else "rpc", self.command, self.path, args[2], flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", 7000), Split).serve_forever()
"""


@test
def agave_itself_takes_its_snapshot_from_serve(t):
    """Through a proxy: it asks the address in gossip for getVersion, getGenesisHash, getSlot and the genesis as well."""
    c = Cluster(t, 400, "--public-rpc-address", "127.0.0.1:7000")
    t.dir.chmod(0o755)    # it becomes another user
    serve = c.spawn("serve.log", BIN, "--no-lab", "snapshot", "serve", "--snapshots", c.served, "--listen", "127.0.0.1:8890")
    c.spawn("split.log", "python3", "-c", SPLIT)
    t.until("the server", lambda: "serving" in (t.dir / "serve.log").read_text() or serve.poll() is not None, 20)
    d = t.dir / "node2"
    for name in ("ledger", "snapshots", "accounts"):
        (d / name).mkdir(parents=True)
    node2 = c.spawn("node2.out", agave.program("agave-validator"), "--identity", t.data("agave", "seed-cluster") / "node2-keypair.json",
                    "--no-voting", "--ledger", d / "ledger", "--snapshots", d / "snapshots", "--accounts", d / "accounts",
                    "--entrypoint", "127.0.0.1:8001", "--known-validator", c.id, "--only-known-rpc",
                    "--expected-genesis-hash", c.node1.call(8899, "getGenesisHash"), "--rpc-port", "9899", "--gossip-port", "9001",
                    "--dynamic-port-range", "9002-9040", "--private-rpc", "--limit-ledger-size", "50000000",
                    *agave.FLAGS, "--log", d / "log", env=dict(e.split("=", 1) for e in agave.preload()))

    def replays():
        assert node2.poll() is None, (d / "log").read_text(errors="replace")[-1500:]
        return (c.node1.slot(9899) or 0) > 100
    t.until("the second node at work", replays, 240, 0.5)
    said = (t.dir / "serve.log").read_text()
    had = re.findall(r"127\.0\.0\.1 had ((?:incremental-)?snapshot-\S+) from byte 0", said)
    assert any(name.startswith("snapshot-") for name in had), said
    split = (t.dir / "split.log").read_text()
    assert "rpc POST / 200" in split and "rpc GET /genesis.tar.bz2 200" in split, split
    t.real("agave", f"agave-validator {agave.VERSION} downloaded {', '.join(had)} from 'snapshot serve' and started from it")


def make_larger(t, archive, mib):
    """The same state in more bytes: accounts files of that slot that no bank refers to. A running node serves its archives
    by name and reads them no more."""
    plain = subprocess.run(["zstd", "-dcq", "--long=27", archive], stdout=subprocess.PIPE, check=True).stdout
    grown = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(plain)) as old, tarfile.open(fileobj=grown, mode="w") as new:
        for member in old:
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
        for i in range(mib):
            info = tarfile.TarInfo(f"accounts/100.{900000 + i}")
            info.size = MIB
            new.addfile(info, io.BytesIO(os.urandom(MIB)))
    part = t.dir / "larger.tar.zst"
    subprocess.run(["zstd", "-1qf", "-o", part], input=grown.getvalue(), check=True)
    os.replace(part, archive)


def nobody_vouched(t, c, out, name):
    """What was taken with --trust-any is shown as such: in its note, by list, and by status."""
    assert json.loads((out / ".agavectl" / f"{name}.json").read_text())["trust"] == "any"
    r = c.run("snapshot", "list", "--snapshots", out, "--agave-version", agave.VERSION, "-o", "json")
    (listed,) = [f for f in json.loads(r.out)["files"] if f["loaded"]]
    assert listed["path"].endswith(name) and listed["fetched"]["trust"] == "any", r
    config = t.dir / "agavectl.yaml"
    config.write_text(json.dumps({      # JSON is YAML
        "state_dir": str(t.dir / "state"), "journal_dir": str(t.dir / "op"),
        "validator": {"bin": str(agave.program("agave-validator")), "ledger": str(t.dir / "ledger"), "snapshots": str(out),
                      "accounts": str(t.dir / "accounts"), "log": str(t.dir / "log"), "rpc_port": 9899, "gossip_port": 9001,
                      "dynamic_port_range": "9002-9040"},
        "cluster": {"references": [RPC]}}))
    r = c.run("-c", config, "status")
    assert "nobody vouched for the full one" in r.out, r


@test
def killed_in_the_middle_and_gone_on_with(t):
    c = Cluster(t, full_every=100000)
    (archive,) = c.served.glob("snapshot-100-*")
    make_larger(t, archive, 32)
    size, out = archive.stat().st_size, t.dir / "out"
    part = out / f"tmp-{archive.name}"
    get = ("snapshot", "get", "--rpc", RPC, "--out", out, "--trust-any", "--full-only", "-o", "json")

    for times in range(3):
        p = subprocess.Popen([*c.ns.enter(), *map(str, (BIN, "--no-lab", *get, "--max-rate", "8MiB"))], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            events = (json.loads(line) for line in p.stdout)
            assert any(e["event"] == "progress" and e["done_b"] > (times + 1) * 6 * MIB for e in events), "it ended by itself"
        finally:
            p.kill()
            p.wait()
            p.stdout.close()
        assert part.exists() and not (out / archive.name).exists(), times

    # A real node answers a Range with the whole file: what is here is compared, and only the rest written.
    r = c.run(*get)
    assert r.code == 0, r
    (done,) = [e for e in map(json.loads, r.out.splitlines()) if e["event"] == "fetched"]
    assert 17 * MIB < done["resumed_b"] < size <= done["wire_b"], done
    assert not any(s["ranges"] for s in done["sources"]) and sum(s["bytes_b"] for s in done["sources"]) < size, done
    assert hashlib.sha256((out / archive.name).read_bytes()).digest() == hashlib.sha256(archive.read_bytes()).digest()
    assert archives(out) == [archive.name], list(out.iterdir())
    t.real("agave", f"a transfer from agave-validator {agave.VERSION} killed three times, gone on with, byte-identical")
    nobody_vouched(t, c, out, archive.name)


main()
