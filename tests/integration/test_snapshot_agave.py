"""Snapshots of real Agave: fetched from a voting node, given on by `snapshot serve`, and started from by another node."""
import json
import os
import re
import shutil
import signal
import subprocess

import agave
from harness import BIN, main, test

RPC = "http://127.0.0.1:8899"


class Cluster:
    """A voting node in namespaces of the test's own, with a full and an incremental archive to give."""

    def __init__(self, t):
        t.need_root()
        agave.program("agave-validator")
        agave.raise_sysctls(t)
        self.t, self.ns = t, agave.Namespaces(t)
        self.node1 = agave.VotingNode(t, self.ns)
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


def archives(folder):
    return sorted(f.name for f in folder.iterdir() if f.is_file())


@test
def what_is_fetched_is_what_another_node_starts_from(t):
    c = Cluster(t)
    out = t.dir / "node2" / "snapshots"
    out.parent.mkdir()

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
    serve = c.spawn("serve.log", BIN, "--no-lab", "snapshot", "serve", "--dir", out, "--listen", "127.0.0.1:8890")
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


main()
