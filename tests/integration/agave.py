"""Real Agave for tests: programs, and a voting node in namespaces of the test's own.

Programs are looked for in PATH, then below the optional real data (unpacked into the cache once).
"""
import fcntl
import json
import os
import shutil
import signal
import subprocess
import urllib.request
from pathlib import Path

from harness import CACHE, DATA, Skip

VERSION = "3.0.14"
SYSCTLS = {"net/core/rmem_max": 134217728, "net/core/wmem_max": 134217728, "vm/max_map_count": 1000000}


def program(name):
    """Path of a real program, or Skip."""
    found = shutil.which(name)
    if found:
        return Path(found)
    packed = DATA / "agave" / "bin" / f"{name}-{VERSION}-linux-amd64.zst"
    if not packed.exists():
        raise Skip(f"no {name}: not in PATH and not below AGAVECTL_TEST_DATA", part="agave")
    folder = CACHE / f"agave-{VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / name
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            part = target.with_suffix(".part")
            subprocess.run(["zstd", "-dqf", "--long=27", str(packed), "-o", str(part)], check=True)
            part.chmod(0o755)
            part.rename(target)
    return target


def preload():
    """Environment for machines whose hard limits cannot be raised: the limit shim, built once."""
    source = DATA / "agave" / "rlimit_shim.c"
    if not source.exists():
        return []
    folder = CACHE / f"agave-{VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    shim = folder / "rlimit_shim.so"
    if not shim.exists():
        part = folder / f"rlimit_shim.{os.getpid()}"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(part), str(source), "-ldl"], check=True)
        part.rename(shim)
    return [f"LD_PRELOAD={shim}"]


def raise_sysctls(t):
    """Agave refuses to start below these; the old values come back when the test ends."""
    for key, want in SYSCTLS.items():
        path = Path("/proc/sys") / key
        old = path.read_text().strip()
        if int(old) < want:
            path.write_text(str(want))
            t.later(lambda p=path, o=old: p.write_text(o))


class Namespaces:
    """A network and a mount namespace, kept by one sleeping process."""

    def __init__(self, t):
        self.holder = subprocess.Popen(["unshare", "--mount", "--net", "--propagation", "slave", "cat"],
                                       stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        t.later(self.close)
        own = os.readlink("/proc/self/ns/net")
        t.until("own namespaces", lambda: os.readlink(f"/proc/{self.holder.pid}/ns/net") != own and
                Path(f"/proc/{self.holder.pid}/comm").read_text().strip() == "cat", 10)
        subprocess.run([*self.enter(), "ip", "link", "set", "lo", "up"], check=True)

    def enter(self):
        return ["nsenter", "-t", str(self.holder.pid), "--mount", "--net"]

    def close(self):
        self.holder.stdin.close()
        self.holder.wait(10)


FLAGS = ["--no-poh-speed-test", "--no-os-network-limits-test", "--allow-private-addr", "--full-rpc-api",
         "--rpc-bind-address", "127.0.0.1", "--bind-address", "127.0.0.1"]


def voting_node_argv(t, folder, full_every=400):
    """Folders and command line of a voting node that goes on from the clean ledger of the real data."""
    keys, ledger = t.data("agave", "seed-cluster"), folder / "ledger"
    for name in ("ledger", "snapshots", "accounts"):
        (folder / name).mkdir(parents=True)
    with subprocess.Popen(["zstd", "-dcq", "--long=27", t.data("agave", "ledgers", "clean", "ledger.tar.zst")],
                          stdout=subprocess.PIPE) as zstd:
        subprocess.run(["tar", "-C", ledger, "-xf", "-"], stdin=zstd.stdout, check=True)
    for name in ("genesis.bin", "genesis.tar.bz2"):
        shutil.copy(keys / name, ledger / name)
    for archive in t.data("agave", "snapshots").glob("snapshot-100-*"):
        shutil.copy(archive, folder / "snapshots")
    vote = keys / "vote-account-keypair.json"
    return [program("agave-validator"), "--identity", keys / "validator-keypair.json", "--vote-account", vote,
            "--authorized-voter", vote, "--ledger", ledger, "--snapshots", folder / "snapshots",
            "--accounts", folder / "accounts", "--rpc-port", "8899", "--gossip-port", "8001",
            "--dynamic-port-range", "8002-8040", "--full-snapshot-interval-slots", str(full_every),
            "--snapshot-interval-slots", "100", "--no-wait-for-vote-to-start-leader", *FLAGS,
            "--log", folder / "log"]


class VotingNode:
    """The cluster's one voting node."""

    def __init__(self, t, ns, full_every=400, *more):
        self.t, self.ns, self.dir = t, ns, t.dir / "node1"
        args = [*voting_node_argv(t, self.dir, full_every), *more]
        env = dict(os.environ, **dict(e.split("=", 1) for e in preload()))
        self.process = subprocess.Popen([*ns.enter(), *map(str, args)], env=env, stdin=subprocess.DEVNULL,
                                        stdout=open(self.dir / "out", "wb"), stderr=subprocess.STDOUT)
        t.later(self.kill)

    def call(self, port, method, *params):
        """One JSON-RPC call inside the namespace; the result, or None while nobody answers."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
        p = subprocess.run([*self.ns.enter(), "curl", "-s", "-m", "5", f"127.0.0.1:{port}", "-d", body,
                            "-H", "content-type: application/json"], capture_output=True, text=True)
        try:
            return json.loads(p.stdout).get("result")
        except ValueError:
            return None

    def slot(self, port=8899, commitment="finalized"):
        return self.call(port, "getSlot", {"commitment": commitment})

    def wait_ready(self):
        """Until it makes blocks and has a snapshot to give."""
        first = self.t.until("first finalized slot of the voting node", lambda: self.slot(), 120, 0.5)
        self.t.until("new blocks of the voting node", lambda: (self.slot() or 0) > first, 60, 0.5)

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)   # ours, and nothing of it is kept
            self.process.wait(30)
