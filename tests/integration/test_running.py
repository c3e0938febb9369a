#!/usr/bin/env python3
"""agavectl check on a validator that runs: what it says of the process, its files, ports and threads is held against
/proc, the packet filter and a file system that is really frozen."""
import json
import os
import shutil
import subprocess
from pathlib import Path

import agave
from harness import BIN, Skip, main, test


def config(t, more):
    """A config on a validator made by agave.voting_node_argv in t.dir/node1."""
    node, keys = t.dir / "node1", t.data("agave", "seed-cluster")
    validator = {"bin": "agave-validator", "uid": 0, "gid": 0, "voting": True,
                 "identity": str(keys / "validator-keypair.json"),
                 "vote_account": str(keys / "vote-account-keypair.json"), "ledger": str(node / "ledger"),
                 "snapshots": str(node / "snapshots"), "accounts": str(node / "accounts"), "log": str(node / "log"),
                 "bind_address": "127.0.0.1", "rpc_port": 8899, "gossip_port": 8001, "dynamic_port_range": "8002-8040"}
    path = t.dir / "agavectl.yaml"
    path.write_text(json.dumps({"validator": {**validator, **more}, "state_dir": str(t.dir / "state"),
                                "storage": {"kind_root": "", "bind": ""}}))
    return path


def check(t, ns, path, *what):
    """Findings by id: lists, as an id may come several times."""
    enter = ns.enter() if ns else ["/usr/bin/env"]
    bin = shutil.which(enter[0])
    r = t.run(*enter[1:], BIN, "--no-lab", "-c", path, "check", *what, "-o", "json", bin=bin)
    assert r.code in (0, 3), r
    found = {}
    for f in json.loads(r.out)["findings"]:
        found.setdefault(f["id"], []).append(f)
    return found


def written_files(pid):
    """Regular files that a process has open for writing, by the kernel's own account."""
    n = 0
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            path, info = os.readlink(fd), Path(f"/proc/{pid}/fdinfo/{fd.name}").read_text()
        except OSError:
            continue
        flags = int(next(x for x in info.splitlines() if x.startswith("flags:")).split()[1], 8)
        n += path.startswith("/") and flags & 3 != 0
    return n


def only(findings, id):
    assert len(findings[id]) == 1, findings[id]
    return findings[id][0]


def process_is_as_it_is(t, ns, pid):
    """The process, its command line and its files, right and wrong."""
    f = check(t, ns, config(t, {}), "unit")
    assert only(f, "unit.runs")["severity"] == "ok" and f"process {pid} " in f["unit.runs"][0]["what"], f["unit.runs"]
    assert only(f, "unit.flags")["severity"] == "ok", f["unit.flags"]
    assert only(f, "unit.uid")["severity"] == "ok" and only(f, "unit.program")["severity"] == "ok", f
    zfs = only(f, "unit.zfs")
    said, real = int(zfs["what"].split("(")[1].split()[0]), written_files(pid)
    assert zfs["severity"] == "ok" and said > 5 and abs(said - real) <= real / 2, (zfs, real)
    assert "unit.files" not in f and "unit.hang" not in f and "unit.stranger" not in f, f
    score = Path(f"/proc/{pid}/oom_score_adj").read_text().strip()
    assert only(f, "unit.oomscore")["got"] == score, (f["unit.oomscore"], score)

    f = check(t, ns, config(t, {"identity": "/etc/other.json", "rpc_port": 9999, "voting": False, "uid": 1234}), "unit")
    wants = {x["want"] for x in f["unit.flags"] if x["severity"] == "warn"}
    assert wants == {"/etc/other.json", "9999", "--no-voting"}, f["unit.flags"]
    assert only(f, "unit.uid")["severity"] == "warn", f["unit.uid"]

    f = check(t, ns, config(t, {"ledger": str(t.dir / "elsewhere")}), "unit")
    assert only(f, "unit.runs")["severity"] == "note" and f"process {pid} " in only(f, "unit.stranger")["what"], f


def ports_are_as_they_are(t, ns, path):
    f = check(t, ns, path, "firewall")
    for id in ("firewall.gossip", "firewall.rpc", "firewall.range"):
        assert all(x["severity"] == "ok" and "the validator's" in x["what"] for x in f[id]), f[id]
    if not shutil.which("nft"):
        t.not_real("nftables", "no nft")
        return
    assert {x["severity"] for x in f["firewall.rules"]} == {"ok"}, f["firewall.rules"]
    t.sh(*ns.enter(), "nft", "table inet faults { chain in { type filter hook input priority 0; "
         "udp dport 8002-8010 drop; ip saddr 10.0.0.0/8 tcp dport 8001 accept; }; }")
    f = check(t, ns, path, "firewall")
    dropped = [x for x in f["firewall.rules"] if x["severity"] == "fail"]
    assert len(dropped) == 1 and "'inet faults in' (9 ports, 8002 first)" in dropped[0]["what"], f["firewall.rules"]
    t.sh(*ns.enter(), "nft", "delete table inet faults")
    t.real("nftables", "rules that drop a validator's ports, and that do not")


def health_and_snapshots(t, ns, node, path):
    def started():
        f = check(t, ns, path, "health", "snapshots")
        return None if "it starts" in only(f, "health.state")["what"] else f

    f = t.until("the end of the start", started, 60, 0.5)
    assert only(f, "health.state")["severity"] == "unknown", f["health.state"]      # nobody else tells the tip
    assert "getHealth alone proves nothing" in f["health.state"][0]["what"], f["health.state"]
    assert only(f, "snapshots.age")["severity"] == "unknown", f["snapshots.age"]
    full = t.until("a snapshot", lambda: node.call(8899, "getHighestSnapshotSlot"), 120, 0.5)["full"]
    f = check(t, ns, path, "snapshots")
    assert f"slot {full}" in only(f, "snapshots.full")["what"], (full, f["snapshots.full"])
    assert not any(x["severity"] in ("warn", "fail") for x in sum(f.values(), [])), f


@test
def a_real_validator_is_seen_as_it_is(t):
    t.need_root()
    agave.program("agave-validator")
    agave.raise_sysctls(t)
    ns = agave.Namespaces(t)
    node = agave.VotingNode(t, ns)
    node.wait_ready()
    pid = node.process.pid
    process_is_as_it_is(t, ns, pid)
    path = config(t, {})
    ports_are_as_they_are(t, ns, path)
    health_and_snapshots(t, ns, node, path)
    t.real("agave", f"agave-validator {agave.VERSION} and its process, files and ports in 'check'")


@test
def a_thread_on_a_frozen_file_system_is_named(t):
    t.need_root()
    image, mount, bin = t.dir / "img", t.dir / "mnt", t.dir / "agave-validator"
    mount.mkdir()
    with open(image, "wb") as f:
        f.truncate(400 << 20)
    if not shutil.which("mkfs.xfs"):
        raise Skip("no mkfs.xfs", part="block devices")
    t.sh("mkfs.xfs", "-q", image)
    t.sh("mount", "-o", "loop", image, mount)
    t.later(lambda: t.sh("umount", mount))
    (mount / "ledger").mkdir()
    shutil.copy(shutil.which("dd"), bin)   # its name is all that it has of a validator
    path = config(t, {"ledger": str(mount / "ledger")})
    f = check(t, None, path, "unit")
    assert "unit.hang" not in f and "unit.threads" not in f, f
    t.sh("fsfreeze", "--freeze", mount)
    t.later(lambda: t.sh("fsfreeze", "--unfreeze", mount, check=False))
    p = subprocess.Popen([bin, "if=/dev/zero", f"of={mount}/ledger/x", "count=1"], stderr=subprocess.DEVNULL)
    t.until("a thread in D", lambda: Path(f"/proc/{p.pid}/stat").read_text().split(") ")[1][0] == "D", 10)
    f = check(t, None, path, "unit")
    hang = only(f, "unit.hang")
    assert hang["severity"] == "fail" and f"process {p.pid} " in hang["what"], hang
    assert "its file system is frozen" in hang["what"] and "percpu_rwsem_wait" in hang["got"], hang
    t.sh("fsfreeze", "--unfreeze", mount)
    assert p.wait(10) == 0
    f = check(t, None, path, "unit")
    assert "unit.hang" not in f, f
    t.real("block devices", "a thread that hangs on a frozen XFS")


main()
