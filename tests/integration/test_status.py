#!/usr/bin/env python3
"""agavectl status against servers that answer well, badly, or not at all. All of it on loopback."""
import json, socket, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from harness import test, main

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
            result = {"startProgress": self.progress,
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
    """The node, its admin socket and all references accept and stall."""
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
    assert "processing the ledger: slot 5 of 100" in host.run().out


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
    assert got["snapshot"] == {"full_slot": 802, "incremental_slot": 1102, "error": None}, r
    assert "full 802 (1,198 slots old), incremental 1,102 (898 slots old)" in host.run().out


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


main()
