#!/usr/bin/env python3
"""agavectl status against servers that answer well, badly, or not at all. All of it on loopback."""
import fcntl, json, os, pty, re, select, signal, socket, struct, subprocess, sys, termios, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from harness import BIN, Skip, test, main

SANITIZED_S = 1.0  # what the start of a sanitized program may add to the second that status has


def server(t, answer):
    """An HTTP server; answer(method, params) is a result, an Exception for an RPC error, or raw bytes."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                got = answer(request["method"], request.get("params") or [])
            except RpcError as e:
                got = {"jsonrpc": "2.0", "error": e.args[0], "id": request["id"]}
            status = 200
            if isinstance(got, tuple):
                status, got = got
            if not isinstance(got, (bytes, dict)):
                got = {"jsonrpc": "2.0", "result": got, "id": request["id"]}
            body = got if isinstance(got, bytes) else json.dumps(got).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                pass  # the client has seen enough

        def log_message(self, *args):
            pass

    s = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    s.daemon_threads = True
    threading.Thread(target=s.serve_forever, daemon=True).start()
    t.later(s.server_close)
    t.later(s.shutdown)
    return f"http://127.0.0.1:{s.server_address[1]}"


class RpcError(Exception):
    pass


def slots(n):
    """A reference at slot n."""
    return lambda method, params: n


def silent(t):
    """Accepts and never says a word."""
    s = socket.create_server(("127.0.0.1", 0))
    held = []

    def accept():
        while True:
            try:
                held.append(s.accept()[0])
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    t.later(s.close)
    return f"http://127.0.0.1:{s.getsockname()[1]}"


def closed(t):
    """A port that nobody listens on."""
    s = socket.create_server(("127.0.0.1", 0))
    port = s.getsockname()[1]
    s.close()
    return f"http://127.0.0.1:{port}"


class Admin:
    """A validator's admin socket. progress: the result of startProgress; None: accept and stall."""

    def __init__(self, t, ledger, progress="Running", start_s=1700000000):
        self.progress, self.start_s = progress, start_s
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(ledger / "admin.rpc"))
        self.socket.listen(8)
        self.held = []
        threading.Thread(target=self.serve, daemon=True).start()
        t.later(self.socket.close)

    def serve(self):
        while True:
            try:
                peer = self.socket.accept()[0]
            except OSError:
                return
            if self.progress is None:
                self.held.append(peer)
                continue
            request = json.loads(peer.recv(65536))
            result = {"startProgress": self.progress, "contactInfo": None,
                      "startTime": {"secs_since_epoch": self.start_s, "nanos_since_epoch": 0}}[request["method"]]
            peer.sendall(json.dumps({"jsonrpc": "2.0", "result": result, "id": request["id"]}).encode() + b"\n")
            peer.close()


class Node:
    """The validator's own RPC, with slots that can move."""

    def __init__(self, processed=1032, confirmed=1031, finalized=1000, health="ok"):
        self.slots = {"processed": processed, "confirmed": confirmed, "finalized": finalized}
        self.health = health

    def answer(self, method, params):
        if method == "getHealth":
            if self.health == "ok":
                return "ok"
            raise RpcError({"code": -32005, "message": "Node is unhealthy",
                            "data": {"numSlotsBehind": self.health if isinstance(self.health, int) else None}})
        if method == "getSlot":
            return self.slots[params[0]["commitment"]]
        raise RpcError({"code": -32601, "message": "Method not found"})


class Host:
    def __init__(self, t, node, references, timeout_ms=700):
        self.t = t
        self.ledger, self.snapshots = t.dir / "ledger", t.dir / "snapshots"
        self.ledger.mkdir()
        self.snapshots.mkdir()
        port = int((node or closed(t)).rsplit(":", 1)[1])
        self.config = t.dir / "agavectl.yaml"
        refs = "".join(f"\n    - {url}" for url in references) or " []"
        self.config.write_text(f"""validator:
  rpc_bind_address: 127.0.0.1
  rpc_port: {port}
  ledger: {self.ledger}
  snapshots: {self.snapshots}
cluster:
  references:{refs}
status:
  timeout_ms: {timeout_ms}
state_dir: {t.dir}/state
journal_dir: {t.dir}/op
""")

    def run(self, *args, **kw):
        return self.t.run("--config", self.config, "status", *args, **kw)

    def json(self, *args):
        r = self.run("-o", "json", *args)
        assert r.code == 0, r
        return json.loads(r.out), r


@test
def at_the_tip(t):
    node = Node()
    host = Host(t, server(t, node.answer), [server(t, slots(1010)), server(t, slots(1012))])
    Admin(t, host.ledger)
    got, r = host.json()
    assert got["schema_version"] == 1
    assert got["health"] == "ok" and got["reason"] is None, r
    assert got["slots"] == {"processed": 1032, "confirmed": 1031, "finalized": 1000}, r
    assert (got["tip"], got["gap"], got["eta_s"], got["tip_references"]) == (1010, 10, 0, 2), r
    assert got["phase"] == "running", r
    assert [x["slot"] for x in got["references"]] == [1010, 1012], r
    assert all(x["error"] is None and x["age_ms"] < 2000 for x in got["references"]), r
    assert got["replay_rate"] is None and got["chain_rate"] is None, r
    assert host.run("--check").code == 0


@test
def bad_references_are_named_and_cost_no_second(t):
    bad = {
        "html": (server(t, lambda m, p: b"<html><body>hello</body></html>"), "a web page instead of JSON-RPC"),
        "500": (server(t, lambda m, p: (500, b"{}")), "HTTP status 500"),
        "giant": (server(t, lambda m, p: b" " * (3 << 20)), "larger than 1048576 bytes"),
        "nothing": (silent(t), "within"),
        "empty": (server(t, lambda m, p: b""), "an empty answer"),
        "type": (server(t, lambda m, p: "1000"), "expected a number"),
        "object": (server(t, lambda m, p: {"jsonrpc": "2.0", "result": {"slot": 5}, "id": 99}), "id"),
        "max": (server(t, lambda m, p: (1 << 64) - 1), "18446744073709551615 is not a plausible slot"),
        "closed": (closed(t), "connection refused"),
        "port": ("http://127.0.0.1:1/key", "connection refused"),
    }
    node = Node()
    host = Host(t, server(t, node.answer), [url for url, _ in bad.values()] + [server(t, slots(1010))])
    Admin(t, host.ledger)
    t.run("version")  # the program is in the page cache
    got, r = host.json()
    for (name, (url, error)), ref in zip(bad.items(), got["references"]):
        assert ref["slot"] is None and ref["age_ms"] is None, (name, ref)
        assert error in ref["error"] and "getSlot at '" in ref["error"], (name, ref)
    assert got["tip"] == 1010 and got["tip_references"] == 1, r
    assert got["health"] == "ok", r
    assert r.seconds < 1 + SANITIZED_S, f"{r.seconds:.2f} s"
    text = host.run()
    assert "from one source of 11" in text.out, text
    for _, error in bad.values():
        assert error in text.out, (error, text)


@test
def everything_is_silent(t):
    """The node, its admin socket and all references accept and stall: status and check wait for all of them at once."""
    host = Host(t, silent(t), [silent(t) for _ in range(20)])
    Admin(t, host.ledger, progress=None)
    t.run("version")
    got, r = host.json()
    assert r.seconds < 1 + SANITIZED_S, f"{r.seconds:.2f} s"
    for key in ("tip", "gap", "replay_rate", "chain_rate", "eta_s", "phase"):
        assert got[key] is None, (key, r)
    assert got["slots"] == {"processed": None, "confirmed": None, "finalized": None}, r
    assert got["health"] != "ok", r
    assert "within" in got["rpc_error"], r
    assert host.run("--check").code == 3
    r = t.run("--config", host.config, "check", "health", "snapshots", "-o", "json")
    assert r.seconds < 1 + SANITIZED_S, f"{r.seconds:.2f} s"
    said = {f["id"]: f["severity"] for f in json.loads(r.out)["findings"]}
    assert r.code == 3 and said["health.references"] == "unknown", r


@test
def one_liar_of_three_changes_nothing(t):
    node = Node()
    for lie in (5, 500_000, 1 << 39):
        folder = t.dir / str(lie)
        folder.mkdir()
        t.dir, keep = folder, t.dir
        host = Host(t, server(t, node.answer), [server(t, slots(1010)), server(t, slots(lie)), server(t, slots(1012))])
        Admin(t, host.ledger)
        got, r = host.json()
        t.dir = keep
        assert got["tip"] in (1010, 1012) and got["health"] == "ok", (lie, r)
        assert got["tip_references"] == 2, (lie, r)


@test
def get_health_is_not_believed(t):
    """A real node said ok for ever while it was stuck behind the tip."""
    node = Node(448, 448, 448)
    host = Host(t, server(t, node.answer), [server(t, slots(1010)), server(t, slots(1012))])
    Admin(t, host.ledger)
    got, r = host.json()
    assert got["health"] == "behind" and got["gap"] == 562, r
    assert "getHealth alone says ok" in got["reason"], r
    node.health = "sick"
    got, r = host.json()
    assert got["health"] == "unhealthy", r


@test
def no_reference_no_ok(t):
    node = Node()
    host = Host(t, server(t, node.answer), [])
    Admin(t, host.ledger)
    got, r = host.json()
    assert got["health"] == "unknown" and got["tip"] is None and got["gap"] is None, r
    assert got["unit"]["age_s"] > 1_000_000, r  # by the admin socket: agavectl did not start it


@test
def the_node_is_no_reference_of_itself(t):
    node = Node()
    url = server(t, node.answer)
    host = Host(t, url, [url])
    Admin(t, host.ledger)
    got, r = host.json()
    assert got["health"] == "unknown" and got["tip"] is None, r
    assert "the node itself" in got["references"][0]["error"], r


@test
def starting(t):
    host = Host(t, None, [server(t, slots(1010))])
    Admin(t, host.ledger, progress={"ProcessingLedger": {"slot": 5, "max_slot": 100}})
    got, r = host.json()
    assert got["health"] == "starting" and got["phase"] == "processing_ledger", r
    assert got["start"] == {"text": "processing the ledger: slot 5 of 100", "slot": 5, "max_slot": 100, "from": None,
                            "stake_percent": None, "slots_per_s": None, "eta_s": None}, r
    assert re.search("^phase +processing the ledger: slot 5 of 100$", host.run().out, re.M)


@test
def a_start_that_goes_on(t):
    """10 slots/s of the ledger: how long it will take."""
    host = Host(t, None, [])
    begun = time.monotonic()
    admin = Admin(t, host.ledger, progress={"ProcessingLedger": {"slot": 1000, "max_slot": 3000}})

    def moved():
        admin.progress = {"ProcessingLedger": {"slot": 1000 + int(10 * (time.monotonic() - begun)), "max_slot": 3000}}
        got, _ = host.json()
        return got["start"] if got["start"]["slots_per_s"] is not None else None

    start = t.until("a rate of the start", moved, 20, 0.3)
    assert 4 < start["slots_per_s"] < 20, start
    assert abs(start["eta_s"] - (3000 - start["slot"]) / start["slots_per_s"]) <= 2, start
    assert re.search(r"^phase +processing the ledger: slot \d+ of 3000, [\d.]+ slots/s, through in ", host.run().out, re.M)


@test
def stopped(t):
    host = Host(t, None, [server(t, slots(1010))])
    got, r = host.json()
    assert got["health"] == "stopped" and got["tip"] == 1010 and got["gap"] is None, r
    # what a killed validator leaves: a socket that nobody listens on
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(host.ledger / "admin.rpc"))
    s.close()
    got, r = host.json()
    assert got["health"] == "stopped" and got["phase"] is None, r
    assert "nobody listens" in host.run().out


@test
def snapshots_are_read_from_the_folder(t):
    host = Host(t, None, [server(t, slots(2000))])
    h = "5vz4jENNJdy3VU1fUMjz9qomfbEaExGFtyJtmcTtQDYq"
    (host.snapshots / "remote").mkdir()
    for name in (f"snapshot-802-{h}.tar.zst", f"remote/incremental-snapshot-802-1102-{h}.tar.zst",
                 f"tmp-snapshot-1500-{h}.tar.zst", f"incremental-snapshot-5-1900-{h}.tar.zst"):
        (host.snapshots / name).write_bytes(b"x")
    got, r = host.json()
    assert got["snapshot"] == {"full_slot": 802, "incremental_slot": 1102, "full_trust": None,
                               "incremental_trust": None, "error": None}, r
    assert "full 802 (1,198 slots old), incremental 1,102 (898 slots old)" in host.run().out
    # What agavectl notes of one that it has fetched: nobody vouched for it, and that is shown from then on.
    notes = host.snapshots / ".agavectl"
    notes.mkdir()
    name = f"incremental-snapshot-802-1102-{h}.tar.zst"
    note = {"schema_version": 1, "name": "x", "size_b": 1, "at_ms": 1, "sources": ["a:1"], "trust": "any"}
    (notes / f"{name}.json").write_text(json.dumps(note))
    assert host.json()[0]["snapshot"]["incremental_trust"] is None, "it is about another archive"
    (notes / f"{name}.json").write_text(json.dumps({**note, "name": name}))
    assert host.json()[0]["snapshot"]["incremental_trust"] == "any"
    assert "; nobody vouched for the incremental (--trust-any)\n" in host.run().out
    r = t.run("--config", host.config, "check", "snapshots")
    assert re.search(r"snapshots.trust.*nobody vouches for '.*-802-1102-", r.out), r
    (notes / f"{name}.json").write_text("no note")
    assert host.json()[0]["snapshot"]["incremental_trust"] is None


@test
def rates_need_two_looks(t):
    node, tip = Node(5000, 4990, 4960), [9000]
    host = Host(t, server(t, node.answer), [server(t, lambda m, p: tip[0])])
    Admin(t, host.ledger)
    start = time.monotonic()
    got, r = host.json()
    assert got["replay_rate"] is None and got["eta_s"] is None and got["gap"] == 4040, r
    sample = t.dir / "state" / "status-sample.json"
    assert sample.stat().st_mode & 0o777 == 0o600

    def moved():
        """The node at 100 slots/s, the cluster at 10: by the clock, so that the asking may take its time."""
        seconds = time.monotonic() - start
        for name, at in (("processed", 5000), ("confirmed", 4990), ("finalized", 4960)):
            node.slots[name] = at + int(100 * seconds)
        tip[0] = 9000 + int(10 * seconds)
        got, _ = host.json()
        return got if got["replay_rate"] is not None else None

    got = t.until("a rate", moved, timeout=20, every=0.3)
    assert 50 < got["replay_rate"] < 200 and 5 < got["chain_rate"] < 20, got
    gain = got["replay_rate"] - got["chain_rate"]
    assert abs(got["eta_s"] - got["gap"] / gain) <= 2, got
    assert "at the tip in" in host.run().out
    sample.write_text("{")
    got, r = host.json()
    assert got["replay_rate"] is None, r


@test
def no_key_of_a_url_is_shown(t):
    host = Host(t, None, [server(t, slots(1010)) + "/s3cret", closed(t) + "/?api-key=s3cret"])
    for r in (host.run(), host.run("-o", "json"), host.run("--verbose")):
        assert r.code == 0 and "s3cret" not in r.out + r.err, r


@test
def a_voting_node_has_the_minimal_methods_only(t):
    """-32601 for getHighestSnapshotSlot is no reason to fail."""
    node = Node()
    host = Host(t, server(t, node.answer), [server(t, slots(1010))])
    host.snapshots.rmdir()
    Admin(t, host.ledger)
    got, r = host.json()
    assert got["health"] == "ok", r
    assert got["snapshot"]["full_slot"] is None and got["snapshot"]["error"], r


# A process that looks like a validator to the kernel: it holds the lock on its ledger, has an admin socket, an RPC
# port, and TVU sockets that it never reads, so that they drop. In a network namespace of its own.
VALIDATOR = r"""
import ctypes, fcntl, json, os, socket, subprocess, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
args = dict(zip(sys.argv[1::2], sys.argv[2::2]))
held = bytearray(os.urandom(1 << 20) * 64)
if ctypes.CDLL(None, use_errno=True).unshare(0x40000000):
    sys.exit("no network namespace: " + os.strerror(ctypes.get_errno()))
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
if "--private-run" in args:
    subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
lock = open(args["--ledger"] + "/ledger.lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
tvu = []
for _ in range(2):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    s.bind(("127.0.0.1", 8012))
    tvu.append(s)

def send():
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            for _ in range(20):
                out.sendto(bytes(1000), ("127.0.0.1", 8012))
        time.sleep(0.05)

def result(method, params):
    return {"startProgress": "Running", "startTime": {"secs_since_epoch": 1700000000, "nanos_since_epoch": 0},
            "contactInfo": {"id": "3Ge7jUyTVAdpaU2jv66GPQhZ1yPcUmCjFTsFM6DCPM49", "gossip": "127.0.0.1:8001",
                            "tvu": "127.0.0.1:8012", "tpu": "127.0.0.1:1", "serve_repair": "127.0.0.1:1",
                            "rpc": "0.0.0.0:0", "shred_version": 7},
            "getHealth": "ok", "getSlot": 1000}.get(method)

def reply(body):
    ask = json.loads(body)
    return json.dumps({"jsonrpc": "2.0", "id": ask["id"], "result": result(ask["method"], ask["params"])}).encode()

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = reply(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    log_message = lambda *args: None

def admin(s):
    while True:
        peer = s.accept()[0]
        peer.sendall(reply(peer.recv(65536)) + b"\n")
        peer.close()

threading.Thread(target=send, daemon=True).start()
listener = socket.socket(socket.AF_UNIX)
listener.bind(args["--ledger"] + "/admin.rpc")
listener.listen(8)
threading.Thread(target=admin, args=(listener,), daemon=True).start()
rpc = ThreadingHTTPServer(("127.0.0.1", int(args["--rpc-port"])), Handler)
threading.Thread(target=rpc.serve_forever, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
os._exit(0)
"""


class Validator:
    """VALIDATOR as a process; pid is as the host sees it."""

    def __init__(self, t, ledger, rpc_port, *more, before=()):
        t.need_root()
        script = t.dir / "validator.py"
        script.write_text(VALIDATOR)
        argv = ["agave-validator", script, "--ledger", ledger, "--rpc-port", rpc_port, *more]
        if before:
            argv = [*before, sys.executable, *argv[1:]]
        self.process = subprocess.Popen(list(map(str, argv)), executable=None if before else sys.executable,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        t.later(self.end)
        assert self.process.stdout.readline() == b"ready\n"
        self.pid = self.process.pid
        if before:  # unshare --fork: the child is the one
            self.pid = int(Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text())

    def end(self):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()

    def resident(self):
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())[1]) << 10


def memory_cgroup(proc=Path("/proc/self/cgroup"), top=Path("/sys/fs/cgroup")):
    """Version 1 or 2, and a folder in which a cgroup with a limit of its own can be made. Version 2: the nearest one
    above us that gives the controller to its children; ours has processes and must not (no internal processes)."""
    own = None
    for line in proc.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return 1, top / "memory" / path.lstrip("/")
        if not controllers:
            own = top / path.lstrip("/")
    while own and own != top and "memory" not in (own / "cgroup.subtree_control").read_text().split():
        own = own.parent
    return 2, own or top


def limited(t, v, limit):
    """Puts a validator into a memory cgroup of its own with a limit; its path as the kernel names it, or None."""
    try:
        version, parent = memory_cgroup()
        group = parent / f"agavectl-test-{os.getpid()}"
        group.mkdir()
        t.later(group.rmdir)
        (group / ("memory.limit_in_bytes" if version == 1 else "memory.max")).write_text(str(limit))
        (group / "cgroup.procs").write_text(str(v.pid))
    except OSError as e:
        print(f"# not real: cgroups: {e}")
        return None
    t.later(lambda: t.until("an empty cgroup", lambda: not (group / "cgroup.procs").read_text(), 20))
    t.later(v.end)
    t.real("cgroups", f"version {version}, with a limit of its own")
    return re.sub(r"^/sys/fs/cgroup(/memory)?", "", str(group))


@test
def a_limit_is_set_where_the_kernel_allows_one(t):
    """On version 2 not below our own cgroup, which has processes; trees as a session and a service have them."""
    proc, top = t.dir / "cgroup", t.dir / "fs"
    (top / "user.slice" / "session.scope").mkdir(parents=True)
    for path, given in ((".", "cpu memory pids"), ("user.slice", "pids memory"), ("user.slice/session.scope", "")):
        (top / path / "cgroup.subtree_control").write_text(given + "\n")
    proc.write_text("0::/user.slice/session.scope\n")
    assert memory_cgroup(proc, top) == (2, top / "user.slice")
    (top / "user.slice" / "cgroup.subtree_control").write_text("pids\n")
    assert memory_cgroup(proc, top) == (2, top)
    proc.write_text("4:memory:/a/b\n1:cpu:/\n0::/\n")
    assert memory_cgroup(proc, top) == (1, top / "memory" / "a" / "b")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


@test
def a_validator_as_the_kernel_sees_it(t):
    """Memory, UDP and TVU of a process, whose RPC can be reached in its own network namespace only."""
    # Another node has the same address and port where we are.
    host = Host(t, server(t, Node(77, 77, 77).answer), [server(t, slots(1010))])
    port = int(re.search(r"rpc_port: (\d+)", host.config.read_text())[1])
    v = Validator(t, host.ledger, port)
    limit = 1 << 30
    group = limited(t, v, limit)
    t.real("namespaces", "RPC of a process in a network namespace of its own")
    got, r = host.json()
    assert got["unit"]["pids"] == [v.pid] and got["via"] == f"netns of process {v.pid}", r
    assert got["slots"]["finalized"] == 1000 and got["rpc_error"] is None, r
    assert got["health"] == "ok" and got["phase"] == "running" and got["start"]["text"] == "running", r
    memory = got["memory"]
    assert abs(memory["resident_b"] - v.resident()) < v.resident() / 10, (memory, v.resident())
    assert memory["resident_b"] > 64 << 20, memory
    assert memory["held_b"] <= memory["limit_b"] <= memory["host_total_b"], memory
    assert memory["trend_b_s"] is None and memory["limit_in_s"] is None, memory
    if group:
        assert memory["limit_by"] == "cgroup" and memory["limit_b"] == limit, memory
        assert memory["cgroup"]["path"] == memory["cgroup"]["limit_path"] == group, (group, memory)
        assert memory["cgroup"]["oom_kills"] == 0, memory
    assert got["udp"]["scope"] == f"network namespace of process {v.pid}", r
    assert got["udp"]["in_per_s"] is None and got["udp"]["error"] is None, r
    tvu = got["udp"]["tvu"]
    assert (tvu["port"], tvu["port_from"], tvu["sockets"]) == (8012, "contact_info", 2), tvu
    assert tvu["rx_queue_b"] > 0, tvu
    assert got["relay"] is None and got["oom"]["error"] is None, r

    def second():
        got, _ = host.json()
        return got if got["udp"]["errors_per_s"] is not None and got["udp"]["tvu"]["drops_per_s"] else None

    got = t.until("rates of UDP", second, 20, 0.3)
    assert 50 < got["udp"]["rcvbuf_errors_per_s"] <= got["udp"]["errors_per_s"] < 2000, got["udp"]
    assert 50 < got["udp"]["tvu"]["drops_per_s"] < 2000 and got["udp"]["tvu"]["drops"] > 100, got["udp"]
    text = host.run().out
    for part in (r"^rpc +asked in the network namespace of process \d+$", r"^memory +\d.* resident; ",
                 r"^udp +[\d,]+ in, [\d.]+ lost to full buffers", r"^tvu +port 8012: [\d,]+ dropped \([\d.]+/s\), ",
                 r"^relay +not configured$"):
        assert re.search(part, text, re.M), (part, text)


@test
def another_user_still_gets_an_answer(t):
    """Without the right to enter the namespace the node is asked from here alone, and that fails."""
    host = Host(t, None, [server(t, slots(1010))])
    port = int(re.search(r"rpc_port: (\d+)", host.config.read_text())[1])
    Validator(t, host.ledger, port)
    for p in (t.dir, host.ledger, host.snapshots):
        p.chmod(0o755)
    r = t.run("--reuid=65534", "--regid=65534", "--clear-groups", BIN, "--config", host.config, "status", "-o", "json",
              bin="/usr/bin/setpriv", env={"ASAN_OPTIONS": "detect_leaks=0"})
    if r.code == 127 or "ermission denied" in r.err:
        raise Skip("another user cannot run the program from this folder")
    got = json.loads(r.out)
    assert got["via"] is None and got["slots"]["finalized"] is None and got["rpc_error"], r
    assert got["health"] != "ok", r


@test
def without_a_config(t):
    """In a pid namespace with one validator in it: found by its lock, told by its command line."""
    if Path("/etc/agavectl/agavectl.yaml").exists():
        raise Skip("this machine has a config in /etc/agavectl")
    ledger = t.dir / "ledger"
    ledger.mkdir()
    (ledger / "snapshot-802-5vz4jENNJdy3VU1fUMjz9qomfbEaExGFtyJtmcTtQDYq.tar.zst").write_bytes(b"x")
    v = Validator(t, ledger, free_port(), "--private-run", "yes",
                  before=["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"])
    enter = ["-t", v.pid, "--mount", "--pid", BIN, "--no-lab", "status"]
    r = t.run(*enter, "-o", "json", bin="/usr/bin/nsenter")
    assert r.code == 0 and f"on ledger '{ledger}'" in r.err, r
    got = json.loads(r.out)
    assert got["unit"] == {"runtime": None, "state": "running", "pids": [1], "restarts": None,
                           "age_s": got["unit"]["age_s"], "error": None}, r
    assert got["unit"]["age_s"] > 1_000_000 and got["phase"] == "running", r
    assert got["slots"]["processed"] == 1000 and got["via"] == "netns of process 1", r
    assert got["health"] == "unknown" and "no reference tells the tip" in got["reason"], r
    assert got["snapshot"]["full_slot"] == 802, r
    assert got["memory"]["resident_b"] > 64 << 20 and got["udp"]["tvu"]["port"] == 8012, r
    v.end()
    r = t.run("--fork", "--mount", "--pid", "--mount-proc", BIN, "--no-lab", "status", bin="/usr/bin/unshare")
    assert r.code == 2 and "no validator runs on this host" in r.err, r


@test
def a_proc_of_another_pid_namespace(t):
    """Its processes are not those that our pids mean: nobody says that the validator is down."""
    t.need_root()
    host = Host(t, None, [server(t, slots(1010))])
    Validator(t, host.ledger, free_port())
    elsewhere = lambda *args: t.run("--pid", "--fork", BIN, "--config", host.config, *args, bin="/usr/bin/unshare")
    r = elsewhere("status", "-o", "json")
    got = json.loads(r.out)
    assert got["health"] == "unknown" and got["unit"]["state"] is None, r
    assert "another pid namespace" in got["unit"]["error"], r
    r = elsewhere("check", "unit", "-o", "json")
    assert r.code == 3 and json.loads(r.out)["summary"]["unknown"] > 0 and "another pid namespace" in r.out, r
    for words in (["stop"], ["start"]):
        r = elsewhere(*words)
        assert r.code == 1 and "another pid namespace" in r.err, (words, r)
    t.real("namespaces", "a pid namespace without a /proc of its own")


@test
def a_configured_relay_is_looked_at(t):
    """Somebody who takes its packets, and nobody."""
    t.need_root()
    host = Host(t, None, [server(t, slots(1010))])
    taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taken.bind(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    with host.config.open("a") as f:
        f.write(f"relay: {{listen: '127.0.0.1:{port}'}}\n")
    got = json.loads(host.run("-o", "json").out)["relay"]
    assert got["listen"] == f"127.0.0.1:{port}" and got["state"] == "warn", got   # no service starts this test again
    assert f"process {os.getpid()} " in got["what"], got
    taken.close()
    got = json.loads(host.run("-o", "json").out)["relay"]
    assert got["state"] in ("fail", "unknown") and "nobody listens" in got["what"], got
    r = host.run()
    assert r.code == 0 and re.search(r"^relay +(fail|unknown) at 127\.0\.0\.1:\d+: nobody listens", r.out, re.M), r


@test
def a_runtime_without_a_driver(t):
    """The process is found by its lock, and in a watch again and again."""
    host = Host(t, None, [server(t, slots(1010))])
    host.config.write_text(host.config.read_text().replace("validator:", "validator:\n  runtime: kubernetes"))
    v = Validator(t, host.ledger, int(re.search(r"rpc_port: (\d+)", host.config.read_text())[1]))
    p = watch(t, host, "--watch=1", "-o", "json", stdout=subprocess.PIPE)
    got = json.loads(p.stdout.readline())
    assert got["unit"]["runtime"] is None and got["unit"]["pids"] == [v.pid] and got["health"] == "ok", got
    assert got["memory"]["resident_b"] > 64 << 20 and got["udp"]["tvu"]["port"] == 8012, got
    v.end()
    got = t.until("a frame without it", lambda: (lambda d: d if not d["unit"]["pids"] else None)(
        json.loads(p.stdout.readline())), 20)
    assert got["memory"] is None and got["udp"] is None and got["via"] is None and got["health"] != "ok", got
    assert got["oom"]["error"] is None and got["oom"]["host_kills"] is not None, got
    p.send_signal(signal.SIGINT)
    p.stdout.read()
    assert p.wait(20) == 0


@test
def an_unfinished_operation_comes_first(t):
    host = Host(t, None, [server(t, slots(1010))])
    got, r = host.json()
    assert got["operation"] is None and got["operation_error"] is None, r
    assert host.run().out.startswith("health "), r
    (t.dir / "op").mkdir(mode=0o700)
    (t.dir / "op" / "20261123T050000-1.j").write_bytes(b"agvctl-j" + struct.pack("<II", 99, 0))  # of another version
    (t.dir / "op" / "20261123T050000-1.j").chmod(0o600)
    got, r = host.json()
    assert got["operation"]["id"] == "20261123T050000-1", r
    text = host.run().out.splitlines()
    assert text[0].startswith("operation 20261123T050000-1 ") and text[1].startswith("health "), text


def watch(t, host, *args, **kw):
    p = subprocess.Popen([BIN, "--config", host.config, "status", *args], stdin=subprocess.DEVNULL, **kw)
    t.later(lambda: p.poll() is None and (p.kill(), p.wait()))
    return p


@test
def watch_as_blocks_and_as_lines(t):
    node = Node()
    host = Host(t, server(t, node.answer), [server(t, slots(1010))])
    Admin(t, host.ledger)
    p = watch(t, host, "--watch=1", "-o", "json", stdout=subprocess.PIPE)
    docs = [json.loads(p.stdout.readline()) for _ in range(4)]
    p.send_signal(signal.SIGINT)
    p.stdout.read()
    assert p.wait(20) == 0
    assert all(d["schema_version"] == 1 and d["tip"] == 1010 for d in docs), docs
    assert docs[0]["replay_rate"] is None and docs[3]["replay_rate"] == 0, docs
    p = watch(t, host, "--watch=1", stdout=subprocess.PIPE)
    text = b""
    while text.count(b"health ") < 3:
        text += p.stdout.readline()
    p.send_signal(signal.SIGTERM)
    text += p.stdout.read()
    assert p.wait(20) == 0
    assert b"\033" not in text, text
    frames = text.decode().split("\n\nhealth ")
    assert len(frames) >= 3 and all("REFERENCE" in f for f in frames[:2]), text
    r = host.run("--watch", "--check")
    assert r.code == 2 and "exclude each other" in r.err, r
    r = host.run("--watch=0")
    assert r.code == 2, r


@test
def watch_redraws_in_place(t):
    """On a terminal: home, erased line by line, cut to the window, again when the window changes."""
    node = Node()
    host = Host(t, server(t, node.answer), [server(t, slots(1010))])
    Admin(t, host.ledger)
    master, slave = pty.openpty()
    resize = lambda rows, columns: fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    resize(9, 40)
    p = watch(t, host, "--watch=1", stdout=slave)
    seen = b""

    def read_until(what, probe, timeout=20):
        nonlocal seen
        end = time.monotonic() + timeout
        while not probe(seen):
            assert time.monotonic() < end, (what, seen)
            if select.select([master], [], [], 0.2)[0]:
                seen += os.read(master, 65536)

    read_until("two frames", lambda s: s.count(b"\033[J") >= 2)
    frames = seen.decode().split("\033[H")[1:]
    assert len(frames) >= 2 and seen.startswith(b"\033[H"), seen
    assert "\033[2J" not in seen.decode() and "\033[?" not in seen.decode(), seen
    for f in frames[:2]:
        lines = f.removesuffix("\033[J").replace("\r", "").split("\n")
        assert lines[0].startswith("health ") and len(lines) == 9 and lines[-1] == "", f
        assert all(len(x.removesuffix("\033[K")) <= 39 and x.endswith("\033[K") for x in lines[:-1]), f
    p2 = watch(t, host, "--watch=3600", stdout=slave)
    p.send_signal(signal.SIGINT)
    assert p.wait(20) == 0
    seen = b""
    read_until("the first frame", lambda s: b"\033[J" in s)
    seen = b""
    resize(40, 120)
    read_until("a frame of the new size", lambda s: b"REFERENCE" in s and b"\033[J" in s)
    p2.send_signal(signal.SIGINT)
    assert p2.wait(20) == 0
    os.close(master)
    os.close(slave)


main()
