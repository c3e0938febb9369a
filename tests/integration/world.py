"""The lab's world alone, without a host around it, in a network namespace of the test's own.

    import world
    world.enter()                      # first of all: the test program goes on in the namespace
    w = world.World(t, "--nodes", "20")
    w.fault("slow", 1 << 20, 3)        # node 3; the first three share 127.0.0.1
    w.big(256, 16)                     # MiB of a full and an incremental archive
    t.run("snapshot", "find", "--rpc", w.url(0))

What node i is asked for and sends: w.node(i)["requests"], ["files"], ["bytes"] (of files).
"""
import http.client
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from harness import BUILD, Skip

WORLD = BUILD / "agavectl-lab-world"
PORT = 8899
MARK = "AGAVECTL_TEST_NETNS"
SPREAD = "60.0.0.0/6"  # where --spread puts the nodes


def enter():
    """This program once more, in a network of its own with nothing but lo (as a plain user too, where that is allowed).
    Without: the tests skip."""
    if os.environ.get(MARK):
        return
    unshare = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode == 0:
        os.environ[MARK] = "made"
        os.execvp("unshare", [*unshare, sys.executable, *sys.argv])
    os.environ[MARK] = "none"


class World:
    def __init__(self, t, *flags, programs=BUILD, start_slot=1500):
        program = Path(programs) / "agavectl-lab-world"
        if not program.exists():
            raise Skip(f"{program.name} is not built")
        if os.environ.get(MARK) != "made":
            raise Skip("no network namespace can be made", part="namespaces")
        self.t, self.dir = t, t.dir / "world"
        for argv in (["ip", "link", "set", "lo", "up"], ["ip", "route", "replace", "local", SPREAD, "dev", "lo"]):
            t.sh(*argv)
        ready, log = t.dir / "ready", open(t.dir / "world.log", "w")
        # Few slots a second and no snapshot of its own accord: what a test sees does not change under its eyes.
        self.process = subprocess.Popen(
            [program, "--dir", self.dir, "--rpc-port", str(PORT), "--rpc-port", str(PORT + 100), "--rpc-port", str(PORT + 200),
             "--seed", "11", "--snapshot-interval", "1000", "--full-snapshot-interval", "100000", "--start-slot", str(start_slot),
             "--ready-file", ready, *map(str, flags)], stdout=log, stderr=log)
        t.later(self.end)
        t.until("the world", lambda: ready.exists() or self.process.poll() is not None, 60)
        assert self.process.poll() is None, (t.dir / "world.log").read_text()

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)

    def call(self, method, *params):
        """What the world's control socket answers (lab/world/world_control.c)."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(120)
            s.connect(str(self.dir / "control.sock"))
            s.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode())
            got = b""
            while not got.endswith(b"\n"):
                part = s.recv(1 << 20)
                if not part:
                    break
                got += part
        answer = json.loads(got)
        assert "error" not in answer, answer
        return answer["result"]

    def fault(self, name, value, first, last=None):
        self.call("fault", name, int(value), first, first if last is None else last)

    def heal(self, name=None, first=None, last=None):
        self.call("heal", name, *(() if first is None else (first, first if last is None else last)))

    def big(self, full_mib, incremental_mib=0):
        """Makes them the newest archives; their names."""
        self.t.until("finalized slots", lambda: self.call("state")["finalized"] > max(v or 0 for v in self.highest().values()) + 8, 30)
        self.call("big", full_mib, incremental_mib)
        return self.alias("/snapshot.tar.bz2"), self.alias("/incremental-snapshot.tar.bz2") if incremental_mib else None

    def small_buffers(self):
        """From here on little lies in the kernel of a client that is killed: what was sent is nearly what it had."""
        for name, most in (("rmem", 65536), ("wmem", 1048576)):
            Path(f"/proc/sys/net/ipv4/tcp_{name}").write_text(f"4096 65536 {most}")

    def node(self, i):
        return self.call("nodes", i, i)[0]

    def bytes(self):
        """Of files, that all nodes have sent."""
        return sum(n["bytes"] for n in self.call("nodes"))

    def host(self, i):
        return self.node(i)["rpc"]

    def url(self, i):
        return f"http://{self.host(i)}"

    def request(self, i, method, path, headers={}, timeout=10):
        """Status, headers and body of node i's answer."""
        c = http.client.HTTPConnection(self.host(i), timeout=timeout)
        c.request(method, path, headers=headers)
        r = c.getresponse()
        return r.status, {k.lower(): v for k, v in r.getheaders()}, r.read()

    def ask(self, i, method, *params):
        c = http.client.HTTPConnection(self.host(i), timeout=10)
        c.request("POST", "/", json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}),
                  {"Content-Type": "application/json"})
        return json.loads(c.getresponse().read())["result"]

    def highest(self, i=0):
        return self.ask(i, "getHighestSnapshotSlot")

    def alias(self, path, i=0):
        """The file name that an alias leads to."""
        status, headers, _ = self.request(i, "GET", path)
        assert status == 303, (status, headers)
        return headers["location"].removeprefix("/")
