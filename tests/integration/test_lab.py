"""The lab and the first light: what `make run` does, twice, and that nothing is left of it."""
import json
import os
import re
import sys
import socket
import subprocess
from pathlib import Path

import lab
from harness import BIN, BUILD, SOURCE, main, test


@test
def first_light_twice_and_nothing_left(t):
    lab.need(t)
    before = lab.footprint(t)
    t.later(lambda: lab.down(t))
    first = t.sh(SOURCE / "tools" / "first-light", BIN, timeout=300)
    for step in ("volume", "ramdisk", "bind", "dirs", "snapshot", "start"):
        assert re.search(rf"done +{step} ", first.err), (step, first)
    assert "health     ok" in first.out, first
    t.real("block devices", "a loop device and zram, blank to XFS")
    t.real("mounts", "XFS and rbind in a mount namespace")
    t.real("namespaces", "mount and network")
    t.real("rocksdb", "the stand-in's blockstore")

    s = lab.status(t)
    assert s["health"] == "ok" and s["gap"] <= 32 and len(s["references"]) == 3, s
    pids = s["unit"]["pids"]

    second = t.sh(SOURCE / "tools" / "first-light", BIN, timeout=300)
    assert "done" not in second.err and "nothing was changed" in second.out, second
    assert lab.status(t)["unit"]["pids"] == pids

    down = t.run("lab", "down")
    assert down.code == 0, down
    after = lab.footprint(t)
    assert after == before, {k: (before[k], after[k]) for k in before if before[k] != after[k]}
    assert t.run("lab", "down").out.strip() == "there was no lab"


@test
def the_lab_is_used_when_there_is_no_config_and_says_so(t):
    lab.up(t)
    r = t.run("status", "-o", "json")
    assert r.code == 0 and "working on the lab" in r.err, r
    assert json.loads(r.out)["health"] == "stopped"
    r = t.run("--lab", "status", "-o", "json")
    assert r.code == 0 and r.err == "", r
    # where no process is to be seen: without a config, a validator of this machine would be looked at
    r = t.run("--pid", "--fork", "--mount-proc", BIN, "--no-lab", "status", bin="unshare")
    assert r.code == 2 and "no config" in r.err, r


@test
def up_refuses_a_disk_with_content_and_changes_nothing(t):
    lab.up(t)
    state = json.loads(t.run("lab", "status", "-o", "json").out)
    t.sh("mkfs.ext4", "-q", state["volume"])
    with open(state["volume"], "rb") as f:
        before = f.read(1 << 20)
    r = t.run("--lab", "up", "--yes")
    assert r.code == 4 and state["volume"] in r.err and "ext4" in r.err, r
    with open(state["volume"], "rb") as f:
        assert f.read(1 << 20) == before
    assert lab.status(t)["health"] == "stopped"


@test
def up_goes_on_after_the_snapshots_were_gone(t):
    lab.up(t)
    config = Path("/run/agavectl/lab/agavectl.yaml").read_text()
    broken = t.dir / "agavectl.yaml"
    broken.write_text(config + "snapshot: {discover: false, sources: [\"http://127.0.0.1:1\"]}\nup: {timeout_s: 60}\n")
    # The lab's namespaces with a config of ours: its snapshot source is dead.
    r = t.run(*lab.ENTER, BIN, "-c", broken, "up", "--yes", bin="/usr/bin/nsenter")
    assert r.code == 1 and "snapshot" in r.err and "127.0.0.1:1" in r.err, r
    left = t.run(*lab.ENTER, "ls", "/srv/solana/snapshots", bin="/usr/bin/nsenter")
    assert left.out == "", left
    r = t.run("--lab", "up", "--yes")
    assert r.code == 0 and re.search(r"done +snapshot", r.err) and not re.search(r"done +volume", r.err), r


@test
def a_caller_that_ignores_its_children_does_no_harm(t):
    """SIGCHLD is inherited as ignored: without a word from us, the kernel reaps the programs that we wait for."""
    lab.up(t)
    r = t.run("-c", "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); "
              "os.execv(sys.argv[1], sys.argv[1:])", BIN, "--lab", "up", "--yes", bin=sys.executable)
    assert r.code == 0 and re.search(r"done +volume +\S+: xfs", r.err), r


@test
def a_validator_that_dies_is_told_and_comes_back(t):
    lab.up(t, "--time-scale", "4")
    assert t.run("--lab", "up", "--yes").code == 0
    pid = lab.status(t)["unit"]["pids"][0]
    os.kill(pid, 9)
    s = t.until("the death in status", lambda: (lambda x: x if x["unit"]["state"] == "failed" else None)(lab.status(t)), 20)
    assert s["health"] == "stopped", s
    r = t.run("--lab", "up", "--yes")
    assert r.code == 0, r
    # The clock runs fast here: a moment after up, it may be a few slots too far again.
    s = lab.at_tip(t)
    assert s["unit"]["restarts"] == 1, s


@test
def a_look_alike_matters_only_on_the_same_ledger(t):
    """A process with the validator's name and ledger argument: elsewhere it is nobody, here it blocks the proof."""
    lab.up(t)
    assert t.run("--lab", "up", "--yes").code == 0
    pretend = "exec -a agavectl-lab-validator python3 -c 'import sys; print(1, flush=True); sys.stdin.read()' " \
              "--ledger /srv/solana/ledger"
    elsewhere = "mount -t tmpfs none /srv && mkdir -p /srv/solana/ledger && " + pretend
    for enter, code in ((["unshare", "--mount", "--propagation", "private", "bash", "-c", elsewhere], 0),
                        (["nsenter", *lab.ENTER, "bash", "-c", pretend], 4)):
        p = subprocess.Popen(enter, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert p.stdout.readline() == b"1\n"
            r = t.run("--lab", "stop")
            assert r.code == code, (enter, r)
            assert code == 0 or f"process {p.pid}" in r.err, r
        finally:
            p.stdin.close()
            p.wait(10)
    assert t.run("--lab", "stop").code == 0


def world(method, *params):
    """The world's control socket: faults of the cluster around the validator."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect("/var/lib/agavectl/lab/world/control.sock")
        s.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}).encode() + b"\n")
        answer = json.loads(s.makefile().readline())
    assert "error" not in answer, answer
    return answer["result"]


@test
def one_lying_reference_changes_nothing(t):
    lab.up(t)
    assert t.run("--lab", "up", "--yes").code == 0
    for kind, amount in (("ahead", 100000), ("html", 1), ("error", 1), ("no-answer", 1)):
        world("fault", kind, amount, 0, 0)
        r = t.run("--lab", "status", "-o", "json")
        s = json.loads(r.out)
        assert s["health"] == "ok" and s["gap"] <= 32 and r.seconds < 1.5, (kind, s, r.seconds)
        first = s["references"][0]
        assert kind == "ahead" or (first["slot"] is None and first["error"]), (kind, first)
        world("heal", kind)
    t.run("--lab", "status")


@test
def a_cluster_that_falls_silent_is_seen(t):
    lab.up(t, "--time-scale", "4")
    assert t.run("--lab", "up", "--yes").code == 0
    world("fault", "turbine", 0)
    world("fault", "repair", 0)
    s = t.until("a gap", lambda: (lambda x: x if x["health"] == "behind" else None)(lab.status(t)), 60, 0.5)
    assert s["gap"] > 32 and s["slots"]["processed"] is not None, s
    world("heal")
    lab.at_tip(t)


@test
def shreds_of_the_running_stand_in(t):
    lab.up(t, "--time-scale", "8")
    assert t.run("--lab", "up", "--yes").code == 0
    def ready():
        doc = json.loads(t.run("--lab", "shreds", "600", "-o", "json").out)
        return doc if doc["ready"] else None
    doc = t.until("more than 100 complete slots in a run", ready, 60, 0.5)
    assert doc["schema_version"] == 1 and doc["slots"], doc
    numbers = [s["slot"] for s in doc["slots"]]
    assert numbers == sorted(set(numbers))


HOLDER = """
import socket, sys
kind, port = sys.argv[1], int(sys.argv[2])
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
s.bind(("127.0.0.1", port))
if kind == "tcp": s.listen()
print("ready", flush=True)
sys.stdin.read()
"""


def in_lab(t, *args):
    """A process in the lab that ends with the test; returns when it said its first line."""
    p = subprocess.Popen(["nsenter", *lab.ENTER, *map(str, args)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         text=True)

    def end():
        p.stdin.close()
        p.terminate()
        p.wait(10)
    t.later(end)
    return p, end


def blank(device):
    with open(device, "rb") as f:
        return f.read(1 << 20) == bytes(1 << 20)


@test
def a_taken_port_is_told_before_anything_is_changed(t):
    lab.up(t)
    volume = json.loads(t.run("lab", "status", "-o", "json").out)["volume"]
    for kind, port, what in (("tcp", 9899, "RPC"), ("tcp", 9900, "RPC's WebSocket"), ("tcp", 9001, "gossip"),
                             ("udp", 9001, "gossip")):
        p, end = in_lab(t, "python3", "-c", HOLDER, kind, port)
        assert p.stdout.readline() == "ready\n"
        r = t.run("--lab", "up", "--yes")
        assert r.code == 4 and f"port {port} ({what}" in r.err and f"process {p.pid} (python3)" in r.err, r
        assert "done" not in r.err and blank(volume), r
        end()
    ports = [in_lab(t, "python3", "-c", HOLDER, "udp", port) for port in range(9002, 9017)]   # 24 of 39 are left
    for p, _ in ports:
        assert p.stdout.readline() == "ready\n"
    r = t.run("--lab", "up", "--yes")
    assert r.code == 4 and "only 24 ports of 9002-9040 are free for UDP" in r.err and "port 9002 is taken" in r.err, r
    assert blank(volume)
    ports[0][1]()
    r = t.run("--lab", "up", "--yes")     # 25 are enough
    assert r.code == 0, r
    assert t.run("--lab", "stop").code == 0
    p, end = in_lab(t, "python3", "-c", HOLDER, "tcp", 9899)
    assert p.stdout.readline() == "ready\n"
    r = t.run("--lab", "start")
    assert r.code == 4 and "port 9899 (RPC) is taken by process" in r.err, r


@test
def storage_is_not_changed_under_a_running_validator(t):
    """One that somebody started on the folder below the mount: the mount would hide its ledger, and a second one
    would be started on the same identity."""
    lab.up(t)
    volume = json.loads(t.run("lab", "status", "-o", "json").out)["volume"]
    t.sh("nsenter", *lab.ENTER, "mkdir", "-p", "/srv/solana/ledger")
    p, end = in_lab(t, BUILD / "tests" / "conformance" / "stubborn", "--ledger", "/srv/solana/ledger")
    t.until("its ledger's lock", lambda: t.run("--lab", "status", "-o", "json").out.count('"running"'), 20)
    r = t.run("--lab", "up", "--yes")
    assert r.code == 4 and "while the validator runs" in r.err and "agavectl stop" in r.err, r
    assert "done" not in r.err and blank(volume), r
    end()
    r = t.run("--lab", "up", "--yes")
    assert r.code == 0, r


main()
