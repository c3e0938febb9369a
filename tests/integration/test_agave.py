"""Real Agave: a cluster of two, whose second node agavectl takes from bare block devices to the tip, looks at
and stops with proof. The first node votes; both live in namespaces of the test's own."""
import json
import os
import re

import agave
from harness import BIN, main, test


class Disk:
    """A blank loop device, gone when the test ends."""

    def __init__(self, t, name, size):
        image = t.dir / name
        with open(image, "wb") as f:
            f.truncate(size)
        self.dev = t.sh("losetup", "--find", "--show", image).out.strip()
        t.later(lambda: t.sh("losetup", "--detach", self.dev))


class Node2:
    """The host that agavectl works on: disks, keys, config."""

    def __init__(self, t, ns, genesis):
        self.t, self.ns, self.srv = t, ns, t.dir / "srv"
        self.srv.mkdir()
        volume, ram = Disk(t, "volume.img", 4 << 30), Disk(t, "ram.img", 1 << 30)
        identity = t.dir / "identity.json"
        identity.write_bytes((t.data("agave", "seed-cluster") / "node2-keypair.json").read_bytes())
        identity.chmod(0o600)
        self.config = t.dir / "agavectl.yaml"
        self.config.write_text(json.dumps({      # JSON is YAML
            "state_dir": str(t.dir / "state"), "journal_dir": str(t.dir / "op"),
            "storage": {"volume": {"device": volume.dev, "mount": str(self.srv / "solana")},
                        "ramdisk": {"device": ram.dev, "mount": str(self.srv / "solana" / "ramdisk")},
                        "kind_root": str(self.srv / "kind"), "bind": str(self.srv / "kind" / "solana")},
            "validator": {
                "bin": str(agave.program("agave-validator")), "uid": 0, "gid": 0, "identity": str(identity),
                "ledger": str(self.srv / "solana/ledger"), "snapshots": str(self.srv / "solana/snapshots"),
                "accounts": str(self.srv / "solana/ramdisk/accounts"),
                "log": str(self.srv / "solana/log/validator.log"), "bind_address": "127.0.0.1",
                "rpc_port": 9899, "gossip_port": 9001, "dynamic_port_range": "9002-9040",
                "entrypoints": ["127.0.0.1:8001"], "genesis_hash": genesis,
                "args": ["--private-rpc", "--full-rpc-api", "--no-poh-speed-test", "--no-os-network-limits-test",
                         "--allow-private-addr", "--limit-ledger-size", "50000000"],
                "env": agave.preload()},
            "cluster": {"references": ["http://127.0.0.1:8899"]},
            "snapshot": {"trusted_sources": ["http://127.0.0.1:8899"]},
            "up": {"timeout_s": 240}}))

    def run(self, *args, timeout=400):
        enter = self.ns.enter()
        return self.t.run(*enter[1:], BIN, "-c", self.config, *args, bin=f"/usr/bin/{enter[0]}", timeout=timeout)

    def json(self, *args):
        r = self.run(*args, "-o", "json")
        assert r.code == 0, r
        return json.loads(r.out)


def cluster(t):
    t.need_root()
    agave.program("agave-validator")
    agave.raise_sysctls(t)
    ns = agave.Namespaces(t)
    node1 = agave.VotingNode(t, ns)
    node1.wait_ready()
    t.until("a snapshot to fetch", lambda: node1.call(8899, "getHighestSnapshotSlot"), 120, 0.5)
    return ns, node1, Node2(t, ns, node1.call(8899, "getGenesisHash"))


def look_as_the_kernel(t, node1, node2, pid):
    """What status says of a real validator's memory, UDP and TVU port, against other sources."""
    def rates():
        s = node2.json("status")
        return s if s["udp"]["in_per_s"] is not None and s["udp"]["tvu"]["drops_per_s"] is not None else None

    s = t.until("rates of UDP", rates, 30, 0.5)
    resident = int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read())[1]) << 10
    assert abs(s["memory"]["resident_b"] - resident) < resident / 10, (s["memory"], resident)
    assert 0 < s["memory"]["held_b"] <= s["memory"]["limit_b"], s["memory"]
    assert s["memory"]["error"] is None and s["oom"]["error"] is None, s
    assert s["udp"]["in_per_s"] > 0 and s["udp"]["error"] is None, s["udp"]
    assert s["udp"]["scope"] == f"network namespace of process {pid}", s["udp"]
    gossip = {n["tvu"] for n in node1.call(8899, "getClusterNodes") if n["gossip"] == "127.0.0.1:9001"}
    tvu = s["udp"]["tvu"]
    assert gossip == {f"127.0.0.1:{tvu['port']}"} and tvu["port_from"] == "contact_info", (gossip, tvu)
    assert tvu["sockets"] >= 1 and tvu["rx_queue_b"] is not None and tvu["error"] is None, tvu
    assert s["start"]["text"] == "running" and s["operation"] is None, s

    # From outside of its network namespace the same RPC answers, and nothing else does.
    outside = t.run("-t", node2.ns.holder.pid, "--mount", BIN, "-c", node2.config, "status", "-o", "json",
                    bin="/usr/bin/nsenter")
    got = json.loads(outside.out)
    assert got["via"] == f"netns of process {pid}" and got["slots"]["finalized"] >= s["slots"]["finalized"], outside
    assert got["tip"] is None and got["health"] == "unknown", outside
    # And without a config.
    found = t.run(*node2.ns.enter()[1:], BIN, "--no-lab", "status", "-o", "json", bin="/usr/bin/nsenter")
    if found.code == 0:      # else the cluster's other node is found as well
        raise AssertionError(found)
    assert found.code == 2 and "2 validators run here" in found.err and f"process {pid} on ledger" in found.err, found


@test
def from_bare_devices_to_the_tip_and_back(t):
    ns, node1, node2 = cluster(t)

    t.later(lambda: node2.run("stop"))
    up = node2.run("up", "--yes")
    assert up.code == 0, up
    for step in ("volume", "ramdisk", "bind", "dirs", "snapshot", "start"):
        assert re.search(rf"done +{step} ", up.err), (step, up)
    t.real("agave", f"agave-validator {agave.VERSION} taken to the tip of a cluster of two by 'up'")

    again = node2.run("up", "--yes")
    assert again.code == 0 and "nothing was changed" in again.out, again

    s = node2.json("status")
    assert s["health"] == "ok" and s["phase"] == "running" and s["gap"] <= 32, s
    assert s["unit"]["state"] == "running" and len(s["unit"]["pids"]) == 1, s
    pid = s["unit"]["pids"][0]
    assert os.readlink(f"/proc/{pid}/exe") == str(agave.program("agave-validator"))

    look_as_the_kernel(t, node1, node2, pid)

    # The ledger of a validator that is writing it: every slot that was replayed is complete.
    last = s["slots"]["finalized"]
    shreds = node2.json("shreds", "200")
    by_slot = {x["slot"]: x for x in shreds["slots"]}
    full = [n for n, x in by_slot.items() if x["full"]]
    assert full and max(by_slot) >= last, (last, shreds["first"], shreds["last"])
    assert all(by_slot[n]["full"] for n in by_slot if shreds["runs"][0]["first"] <= n <= last and
               by_slot[n]["received"]), shreds
    t.real("rocksdb", "the blockstore of a running agave-validator")

    stop = node2.run("stop")
    assert stop.code == 0 and "stopped, with proof" in stop.out, stop
    assert not os.path.exists(f"/proc/{pid}/exe")
    assert node2.run("stop").out.strip() == "it did not run; proven"
    s = node2.json("status")
    assert s["health"] == "stopped" and s["unit"]["state"] == "stopped" and s["unit"]["pids"] == [], s

    start = node2.run("start", "--wait")
    assert start.code == 0, start
    assert node2.json("status")["health"] == "ok"
    assert node2.run("stop").code == 0


@test
def a_stuck_validator_is_not_called_healthy(t):
    ns, node1, node2 = cluster(t)

    t.later(lambda: node2.run("stop"))
    up = node2.run("up", "--yes")
    assert up.code == 0, up
    rules = "table inet faults { chain in { type filter hook input priority 0; udp dport 9002-9040 drop; " \
            "udp sport 8013 drop; }; }"
    t.sh(*ns.enter(), "nft", rules)
    s = t.until("a gap that status sees", lambda: (lambda x: x if (x["gap"] or 0) > 32 else None)(
        node2.json("status")), 180, 1)
    # getHealth goes on saying ok on a node that hears nothing of its cluster.
    assert s["health"] == "behind", s
    assert node1.call(9899, "getHealth") == "ok"
    t.sh(*ns.enter(), "nft", "delete table inet faults")
    t.until("the tip again", lambda: node2.json("status")["health"] == "ok", 180, 1)
    assert node2.run("stop").code == 0
    t.real("agave", f"agave-validator {agave.VERSION} cut off from turbine and repair, and healed")


main()
