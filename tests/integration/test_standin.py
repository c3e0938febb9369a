"""The lab's world and stand-in validator: do they answer as real Agave did, and does a node come up?

With AGAVECTL_STANDIN_RPC=host:port (and AGAVECTL_STANDIN_LEDGER=folder) the conformance tests look at a
validator that runs already, a real one for instance, and at nothing else.
"""
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import agave
from harness import BUILD, SOURCE, Skip, main, test

RECORDINGS = SOURCE / "tests" / "data" / "recordings"
WORLD, VALIDATOR = BUILD / "agavectl-lab-world", BUILD / "agavectl-lab-validator"
BASE = 21000  # ports of this test, far from Agave's own
SEED = 11


def ask(port, method, params=None, host="127.0.0.1"):
    c = http.client.HTTPConnection(host, port, timeout=10)
    body = {"jsonrpc": "2.0", "id": 1, "method": method, **({"params": params} if params is not None else {})}
    c.request("POST", "/", json.dumps(body), {"Content-Type": "application/json"})
    return json.loads(c.getresponse().read())


def slot(port, commitment="processed"):
    return ask(port, "getSlot", [{"commitment": commitment}])["result"]


def lines(path, request, answers=1):
    """What a Unix socket says to a request: the given number of lines, or what came within a second."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(1)
        s.connect(str(path))
        s.sendall(request.encode())
        got = b""
        try:
            while got.count(b"\n") < answers:
                part = s.recv(65536)
                if not part:
                    break
                got += part
        except TimeoutError:
            pass
        return got.decode()


def control(t, method, params=()):
    return json.loads(lines(t.dir / "world" / "control.sock",
                            json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})))


def keypair(t, seed):
    """A throw-away key file. The public half is computed by the openssl of the system."""
    from_seed = bytes([seed]) * 32
    der = bytes.fromhex("302e020100300506032b657004220420") + from_seed
    p = subprocess.run(["openssl", "pkey", "-inform", "DER", "-pubout", "-outform", "DER"], input=der,
                       capture_output=True, check=True)
    path = t.dir / f"id{seed}.json"
    path.write_text(json.dumps(list(from_seed + p.stdout[-32:])))
    path.chmod(0o600)
    return path


def end(p):
    if p.poll() is None:
        p.terminate()
        try:
            p.wait(20)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()


def world(t, *flags):
    for program in (WORLD, VALIDATOR):
        if not program.exists():
            raise Skip(f"{program.name} is not built")
    ready = t.dir / "ready"
    with open(t.dir / "world.log", "w") as log:
        p = subprocess.Popen([WORLD, "--dir", t.dir / "world", "--gossip-port", str(BASE + 1), "--rpc-port",
                              str(BASE + 99), "--rpc-port", str(BASE + 199), "--repair-port", str(BASE + 13), "--tvu",
                              f"127.0.0.1:{BASE + 502}", "--seed", str(SEED), "--time-scale", "4", "--ready-file",
                              ready, *flags], stdout=log, stderr=log)
    t.later(lambda: end(p))
    t.until("the world", lambda: ready.exists() or p.poll() is not None, 60)
    assert p.poll() is None, (t.dir / "world.log").read_text()
    return p


def validator_argv(t, *flags):
    t.need_rocksdb()
    return [VALIDATOR, "--identity", keypair(t, 1), "--no-voting", "--ledger", t.dir / "ledger", "--snapshots",
            t.dir / "snapshots", "--accounts", t.dir / "accounts", "--log", t.dir / "log", "--rpc-port",
            str(BASE + 599), "--full-rpc-api", "--rpc-bind-address", "127.0.0.1", "--bind-address", "127.0.0.1",
            "--gossip-port", str(BASE + 501), "--dynamic-port-range", f"{BASE + 502}-{BASE + 540}", "--entrypoint",
            f"127.0.0.1:{BASE + 1}", "--no-port-check", *flags]


def validator(t, *flags):
    with open(t.dir / "validator.out", "a") as out:
        p = subprocess.Popen(validator_argv(t, *flags), stdout=out, stderr=out)
    t.later(lambda: end(p))
    return p


def is_running(ledger):
    try:
        return '"Running"' in lines(ledger / "admin.rpc", '{"jsonrpc":"2.0","id":1,"method":"startProgress"}')
    except (FileNotFoundError, ConnectionRefusedError):  # not yet, or left behind by the last one
        return False


def running(t, p):
    def probe():
        assert p.poll() is None, (t.dir / "log").read_text()[-2000:]
        return is_running(t.dir / "ledger")
    t.until("startProgress Running", probe, 60)


def caught_up(t, limit=8, timeout=60):
    t.until(f"gap at most {limit}", lambda: slot(BASE + 99) - slot(BASE + 599) <= limit, timeout)


def shape(v, key=""):
    """Keys and types; maps whose keys are data (leader schedules) and lists keep one element's shape."""
    if isinstance(v, dict):
        if v and all(32 <= len(k) <= 44 for k in v):
            return {"<id>": shape(next(iter(v.values())))}
        return {k: shape(x, k) for k, x in v.items()}
    if isinstance(v, list):
        return [shape(v[0])] if v else ["anything"]
    return "null" if v is None else type(v).__name__


def alike(got, want):
    """Same shape; an empty list fits any list, null fits any address, and the other way round."""
    if got == want or "null" in (got, want) or "anything" in (got, want):
        return True
    if isinstance(got, dict) and isinstance(want, dict):
        return list(got) == list(want) and all(alike(got[k], want[k]) for k in got)
    if isinstance(got, list) and isinstance(want, list):
        return alike(got[0], want[0])
    return False


# Errors that depend on what a node holds: either side may have the result instead.
STATEFUL = {"getBlockTime", "getBlock"}


def compare_rpc(record, status, kind, text):
    assert status == record["status"], (record, status)
    if "content_type" in record:
        assert kind == record["content_type"], (record, kind)
    want, name = record["response"], record.get("request", {}).get("method")
    if isinstance(want, str):
        assert bool(text) == bool(want) and text.endswith("\n") == want.endswith("\n"), (record, text)
        if not want:
            return
        want = json.loads(want)
    got = json.loads(text)
    # Members of the envelope in order; within results json-c keeps Agave's order as well.
    if name in STATEFUL and ("error" in got) != ("error" in want):
        return
    assert alike(shape(got), shape(want)), (record.get("request"), got, want)
    if isinstance(want, dict) and "error" in want and name not in STATEFUL:
        assert got["error"]["code"] == want["error"]["code"], (got, want)
        assert got["error"]["message"] == want["error"]["message"], (got, want)


def conform_rpc(host, port, kinds):
    n = 0
    for kind in kinds:
        for record in json.loads((RECORDINGS / kind / "json_rpc.json").read_text()):
            c = http.client.HTTPConnection(host, port, timeout=30)
            body = record["raw_request"] if "raw_request" in record else json.dumps(record["request"])
            c.request("POST", "/", body, {"Content-Type": "application/json"})
            r = c.getresponse()
            compare_rpc(record, r.status, r.headers["content-type"], r.read().decode())
            n += 1
    return n


def get(host, port, method, path, headers):
    c = http.client.HTTPConnection(host, port, timeout=10)
    c.request(method, path, headers=headers)
    r = c.getresponse()
    return r.status, {k.lower(): v for k, v in r.getheaders()}, r.read()


def conform_http(host, port, kinds):
    """Paths of archives are replaced by those that the node itself redirects to."""
    n, here = 0, {}
    for kind in kinds:
        for record in json.loads((RECORDINGS / kind / "http_snapshots.json").read_text()):
            path = record["path"]
            for alias, begin in (("/snapshot.tar.bz2", "/snapshot-"),
                                 ("/incremental-snapshot.tar.bz2", "/incremental-snapshot-")):
                if path.startswith(begin) and "-1-1111" not in path:
                    path = get(host, port, "GET", alias, {})[1].get("location", path)
            status, headers, body = get(host, port, record["method"], path, record["request_headers"])
            missing = record["path"].startswith("/incremental") and 404 in (status, record["status"])
            if missing:  # a node has an incremental or it has none
                continue
            assert status == record["status"], (record, status)
            assert headers.get("content-type") == record["headers"].get("content-type"), (record, headers)
            assert ("location" in headers) == ("location" in record["headers"]), (record, headers)
            for absent in ("accept-ranges", "content-range", "etag"):
                assert absent not in headers, (record, headers)
            if "location" in headers:
                name = record["headers"]["location"]
                assert headers["location"].split("-")[0] == name.split("-")[0], (record, headers)
                assert int(headers["content-length"]) == len(headers["location"]), headers
            if record["method"] == "GET":
                assert int(headers["content-length"]) == len(body), (record, headers)
                here.setdefault(path, len(body))
                assert here[path] == len(body), f"{path}: a Range request changes the length"
                if status == 200 and record["path"].startswith("/snapshot-"):
                    assert body[:4] == bytes.fromhex(record["body_start"])[:4], "not zstd"
                if status in (404, 405):
                    assert body == bytes.fromhex(record["body_start"]), (record, body)
            n += 1
    return n


def conform_admin(path, kinds):
    n = 0
    for kind in kinds:
        for record in json.loads((RECORDINGS / kind / "admin_rpc.json").read_text()):
            got = lines(path, json.dumps(record["request"]))
            assert got.endswith("\n") and got.count("\n") == 1, (record, got)
            got, want = json.loads(got), json.loads(record["response_bytes"])
            assert alike(shape(got), shape(want)), (record["request"], got, want)
            if "error" in want:
                assert got["error"] == want["error"], (got, want)
            n += 1
    return n


def outside():
    rpc = os.environ.get("AGAVECTL_STANDIN_RPC")
    return (rpc.rsplit(":", 1)[0], int(rpc.rsplit(":", 1)[1])) if rpc else None


def conform(host, port, ledger):
    # The test validator's admin socket answers "Retry once…" for ever: its recording is of another state.
    n = conform_rpc(host, port, ("rpc", "voter", "tv")) + conform_http(host, port, ("rpc", "voter", "tv"))
    n += conform_admin(ledger / "admin.rpc", ("rpc", "voter")) if ledger else 0
    print(f"# {n} recorded requests", flush=True)


@test
def stand_in_answers_as_agave_did(t):
    if outside():
        ledger = os.environ.get("AGAVECTL_STANDIN_LEDGER")
        if ledger:
            t.until("startProgress Running", lambda: is_running(Path(ledger)), 60)
        conform(*outside(), Path(ledger) if ledger else None)
        return
    world(t)
    p = validator(t)
    running(t, p)
    # The recorded nodes had run for a while: an incremental of its own, and a full tip.
    t.until("an incremental snapshot", lambda: ask(BASE + 599, "getHighestSnapshotSlot")["result"]["incremental"], 60)
    conform("127.0.0.1", BASE + 599, t.dir / "ledger")


@test
def real_agave_answers_so_too(t):
    """The same test against the real thing, in namespaces of its own: or it proves nothing."""
    if outside():
        raise Skip("looks at another validator")
    t.need_root()
    agave.program("agave-validator")
    agave.raise_sysctls(t)
    ns = agave.Namespaces(t)
    node = agave.VotingNode(t, ns)
    node.wait_ready()
    env = dict(os.environ, AGAVECTL_STANDIN_RPC="127.0.0.1:8899", AGAVECTL_STANDIN_LEDGER=str(node.dir / "ledger"))
    p = subprocess.run([*ns.enter(), sys.executable, __file__, "stand_in_answers"], env=env, text=True,
                       capture_output=True, timeout=300)
    for line in p.stdout.splitlines():
        print(f"#   {line}", flush=True)
    assert p.returncode == 0, p.stdout[-3000:]
    t.real("agave", f"agave-validator {agave.VERSION} passes the stand-in's conformance test")


@test
def world_answers_as_agave_did(t):
    if outside():
        raise Skip("looks at another validator")
    world(t)
    for port in (BASE + 99, BASE + 199):
        n = conform_rpc("127.0.0.1", port, ("voter", "rpc")) + conform_http("127.0.0.1", port, ("voter", "rpc"))
        print(f"# {n} recorded requests", flush=True)


@test
def minimal_rpc_has_the_minimal_set(t):
    if outside():
        raise Skip("looks at another validator")
    world(t)
    flags = [f for f in validator_argv(t) if f != "--full-rpc-api"]
    p = subprocess.Popen(flags, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    t.later(lambda: end(p))
    running(t, p)
    assert isinstance(slot(BASE + 599), int)
    assert ask(BASE + 599, "getClusterNodes")["error"] == {"code": -32601, "message": "Method not found"}
    for method in ("getHealth", "getVersion", "getIdentity", "getGenesisHash", "getEpochInfo", "getBlockHeight",
                   "getHighestSnapshotSlot", "getTransactionCount", "getVoteAccounts"):
        assert "result" in ask(BASE + 599, method), method


@test
def node_reaches_the_tip_and_ends_cleanly(t):
    if outside():
        raise Skip("looks at another validator")
    world(t, "--turbine-coverage", "70")
    start = time.monotonic()
    p = validator(t, "--limit-ledger-size", "--init-complete-file", t.dir / "complete")
    running(t, p)
    caught_up(t)
    assert time.monotonic() - start < 60
    assert (t.dir / "complete").exists()
    assert oct((t.dir / "ledger" / "admin.rpc").stat().st_mode)[-3:] == "600"
    state = control(t, "state")["result"]
    assert state["shredsLost"] > 0 and state["repairAnswered"] > 0, state
    t.until("a root", lambda: slot(BASE + 599, "finalized") > slot(BASE + 99) - 60, 30)
    # More than 100 slots from the snapshot on, so that the ledger is READY.
    t.until("100 slots", lambda: slot(BASE + 599) > ask(BASE + 599, "minimumLedgerSlot")["result"] + 120, 60)
    log = (t.dir / "log").read_text()
    for wanted in ("bank frozen: ", "datapoint: bank-forks_set_root ", "Validator initialized",
                   "datapoint: optimistic_slot slot="):
        assert wanted in log, wanted
    # Its own wait looks at the pid, which stays until we have reaped it.
    r = t.run("--ledger", t.dir / "ledger", "exit", "--force", "--no-wait-for-exit", bin=VALIDATOR)
    assert r.code == 0 and "Exit request sent" in r.out, r
    assert p.wait(20) == 0
    assert not (t.dir / "ledger" / "admin.rpc").exists()
    r = t.run("shreds", "--no-lab", "--ledger", t.dir / "ledger", "-o", "json")
    ledger = json.loads(r.out)
    assert ledger["ready"] and ledger["tip_run"]["slots"] > 30, r
    assert any(s["root"] for s in ledger["slots"]), r
    t.real("rocksdb", "agavectl shreds reads the stand-in's ledger")


@test
def hole_of_a_downtime_is_repaired(t):
    if outside():
        raise Skip("looks at another validator")
    world(t)
    p = validator(t)
    running(t, p)
    caught_up(t)
    p.terminate()  # no handler, as with Agave: gone at once, the socket stays
    assert p.wait(10) == -signal.SIGTERM
    assert (t.dir / "ledger" / "admin.rpc").exists()
    control(t, "fault", ["repair", 0])
    stood = slot(BASE + 99)
    t.until("a hole of 20 slots", lambda: slot(BASE + 99) > stood + 20, 30)
    p = validator(t, "--no-snapshot-fetch")
    running(t, p)
    t.until("turbine at work", lambda: ask(BASE + 599, "getMaxShredInsertSlot")["result"] > stood + 25, 30)
    assert slot(BASE + 599) <= stood, "replayed over a hole"
    control(t, "heal", ["repair"])
    caught_up(t)


@test
def second_start_is_refused(t):
    if outside():
        raise Skip("looks at another validator")
    world(t)
    running(t, validator(t))
    r = t.run(*validator_argv(t)[1:], bin=VALIDATOR)
    assert r.code == 1
    assert "Check if another validator is running" in (t.dir / "log").read_text()


@test
def wrong_archives_end_the_start(t):
    if outside():
        raise Skip("looks at another validator")
    world(t)
    (t.dir / "snapshots").mkdir()
    full = next((t.dir / "world" / "snapshots").glob("snapshot-*"))
    data, name = full.read_bytes(), full.name
    flags = [*validator_argv(t, "--no-snapshot-fetch")[1:]]
    other = name.rsplit("-", 1)[0] + "-5vz4jENNJdy3VU1fUMjz9qomfbEaExGFtyJtmcTtQDYq.tar.zst"
    for file, content in ((other, data), (name, data[:len(data) // 2])):
        path = t.dir / "snapshots" / file
        path.write_bytes(content)
        r = t.run(*flags, bin=VALIDATOR)
        assert r.code == 1, r
        last = (t.dir / "log").read_text()
        assert f"Failed to start validator: failed to load bank: " in last and file in last, last[-800:]
        path.unlink()
    (t.dir / "snapshots" / name).write_bytes(data)
    r = t.run(*flags, "--expected-genesis-hash", "5vz4jENNJdy3VU1fUMjz9qomfbEaExGFtyJtmcTtQDYq", bin=VALIDATOR)
    assert r.code == 1 and "genesis hash mismatch" in (t.dir / "log").read_text()


@test
def command_line_is_agaves(t):
    if outside():
        raise Skip("looks at another validator")
    r = t.run("--ledger", t.dir, "--nonsense", bin=VALIDATOR)
    assert r.code == 1 and "Found argument '--nonsense' which wasn't expected" in r.err, r
    r = t.run("--ledger", t.dir, bin=VALIDATOR)
    assert r.code == 1 and "--identity <KEYPAIR> argument is required" in r.err, r
    r = t.run("--version", bin=VALIDATOR)
    assert r.code == 0 and "stand-in for agave-validator 3.0.14" in r.out, r
    r = t.run("--ledger", t.dir / "nothing", "exit", bin=VALIDATOR)
    assert r.code == 1, r


def good(t, what, *params):
    answer = control(t, what, params)
    assert "error" not in answer, answer
    return answer["result"]


@test
def world_lies_when_told(t):
    if outside():
        raise Skip("looks at another validator")
    world(t)
    good(t, "fault", "ahead", 5000, 1, 1)
    assert slot(BASE + 199) > slot(BASE + 99) + 4000
    good(t, "fault", "error", 1, 1, 1)
    assert get("127.0.0.1", BASE + 199, "GET", "/health", {})[0] == 500
    good(t, "heal", "error")
    good(t, "fault", "html", 1, 1, 1)
    try:
        ask(BASE + 199, "getSlot")
        raise AssertionError("JSON from a liar")
    except json.JSONDecodeError:
        pass
    good(t, "heal", None, 1, 1)
    assert abs(slot(BASE + 199) - slot(BASE + 99)) < 10
    good(t, "fault", "no-snapshots", 1, 0, 1)
    assert get("127.0.0.1", BASE + 99, "GET", "/snapshot.tar.bz2", {})[0] == 404
    for wrong in (["shred-loss", 101], ["nonsense", 1], ["turbine", 2], ["slow"], ["slow", 1, 0, 2], ["html", 1, 1, 0]):
        assert control(t, "fault", wrong)["error"]["code"] == -32602, wrong
    assert control(t, "heal", ["nonsense"])["error"]["code"] == -32602
    assert control(t, "grow", [100000])["error"]["code"] == -32602


def fetch(host, port, path, timeout=5):
    """Bytes that came, the length that was announced, and whether the connection broke before."""
    with socket.create_connection((host, port), timeout) as s:
        s.settimeout(timeout)
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        got = b""
        while True:
            part = s.recv(65536)
            if not part:
                break
            got += part
    head, body = got.split(b"\r\n\r\n", 1)
    length = int(next(x for x in head.lower().split(b"\r\n") if x.startswith(b"content-length")).split(b":")[1])
    return body, length


@test
def nodes_of_every_kind(t):
    """Hundreds of them on two threads, each with an address of its own; what a fault does is seen from outside."""
    if outside():
        raise Skip("looks at another validator")
    p = world(t, "--nodes", "200", "--members", "500")
    threads = len(os.listdir(f"/proc/{p.pid}/task"))
    assert threads < 10, threads
    good(t, "grow", 300)
    peers = ask(BASE + 99, "getClusterNodes")["result"]
    rpcs = [x["rpc"] for x in peers if x["rpc"]]
    assert len(peers) == 802 and len(rpcs) == len(set(rpcs)) == 302 and len({x["pubkey"] for x in peers}) == 802
    last = rpcs[301].split(":")
    assert last[0].startswith("127.1.") and ask(int(last[1]), "getSlot", host=last[0])["result"] > 1000
    host, port = "127.1.0.1", BASE + 99     # node 2, the first with an address of its own
    n = conform_rpc(host, port, ("voter", "rpc")) + conform_http(host, port, ("voter", "rpc"))
    print(f"# {n} recorded requests to a node with an address of its own", flush=True)
    path = get(host, port, "GET", "/snapshot.tar.bz2", {})[1]["location"]
    whole, length = fetch(host, port, path)
    assert len(whole) == length > 10000 and whole == fetch("127.0.0.1", BASE + 99, path)[0]

    def with_fault(name, value, probe):
        good(t, "fault", name, value, 2, 2)
        assert good(t, "nodes", 2, 2)[0]["faults"] == {name: value}
        try:
            return probe()
        finally:
            good(t, "heal", None, 2, 2)

    def broken(error):
        def probe():
            try:
                fetch(host, port, "/health", 1)
            except error:
                return True
        return probe
    assert with_fault("dead", 1, broken(ConnectionRefusedError))
    assert with_fault("silent", 1, broken(TimeoutError))
    assert with_fault("not-http", 1, broken((ValueError, ConnectionResetError)))
    assert fetch(host, port, "/health")[0] == b"ok"
    body, length = with_fault("short", 1, lambda: fetch(host, port, path))
    assert len(body) == length == len(whole) // 2
    body, length = with_fault("long", 1, lambda: fetch(host, port, path))
    assert length > len(whole) == len(body)
    body, length = with_fault("corrupt", 1, lambda: fetch(host, port, path))
    assert len(body) == length == len(whole) and sum(a != b for a, b in zip(body, whole)) == (length + 511) // 1024
    body, length = with_fault("drops", 50, lambda: fetch(host, port, path))
    assert length == len(whole) and len(body) == length // 100 * 50, (len(body), length)
    body, length = with_fault("wrong-hash", 1, lambda: fetch(host, port, path))
    assert body != whole and body[:4] == whole[:4], "another archive under the same name"
    start = time.monotonic()
    body, length = with_fault("slow", len(whole) * 2, lambda: fetch(host, port, path))
    assert body == whole and 0.35 < time.monotonic() - start, time.monotonic() - start
    start = time.monotonic()
    assert with_fault("late", 400, lambda: fetch(host, port, "/health")[0]) == b"ok"
    assert 0.4 <= time.monotonic() - start
    assert with_fault("stale", 700, lambda: slot(BASE + 99) - ask(port, "getSlot", host=host)["result"]) >= 650
    old = with_fault("stale", 700, lambda: ask(port, "getHighestSnapshotSlot", host=host)["result"])
    assert old["full"] <= slot(BASE + 99) - 700 and old["incremental"] is None, old
    counts = good(t, "nodes", 2, 2)[0]
    assert counts["files"] > counts["files_whole"] > 3 and counts["bytes"] > len(whole), counts


@test
def a_file_in_mid_air_stalls_goes_on_and_is_cut(t):
    if outside():
        raise Skip("looks at another validator")
    world(t, "--nodes", "1")
    path = get("127.1.0.1", BASE + 99, "GET", "/snapshot.tar.bz2", {})[1]["location"]
    size = len(fetch("127.1.0.1", BASE + 99, path)[0])
    for end_of_it in ("heal", "dead"):
        good(t, "fault", "stalls", 50, 2, 2)
        with socket.create_connection(("127.1.0.1", BASE + 99), 5) as s:
            s.settimeout(1)
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            got, stalled = b"", False
            while not stalled:
                try:
                    got += s.recv(65536)
                except TimeoutError:
                    stalled = True
            assert size // 2 - 200 < len(got) < size, (len(got), size)
            if end_of_it == "dead":
                good(t, "fault", "dead", 1, 2, 2)
            good(t, "heal", "stalls")
            rest = b""
            try:
                while len(got) + len(rest) < size:
                    part = s.recv(65536)
                    if not part:
                        break
                    rest += part
            except ConnectionResetError:
                pass
            assert (len(got) + len(rest) >= size) == (end_of_it == "heal"), (end_of_it, len(got), len(rest), size)
        good(t, "heal")


@test
def cuts_of_the_world_are_real(t):
    if outside():
        raise Skip("looks at another validator")
    world(t, "--nodes", "1")
    state = good(t, "state")
    assert state["faults"]["rpc"] == 1 and state["nodes"] == 3, state
    good(t, "fault", "dead", 1, 2, 2)
    good(t, "fault", "rpc", 0)
    good(t, "fault", "entrypoint", 0)
    for host, port in (("127.0.0.1", BASE + 99), ("127.1.0.1", BASE + 99), ("127.0.0.1", BASE + 1)):
        try:
            socket.create_connection((host, port), 2).close()
            raise AssertionError(f"{host}:{port} is open")
        except ConnectionRefusedError:
            pass
    assert good(t, "state")["faults"]["rpc"] == 0
    good(t, "heal", "rpc")
    good(t, "heal", "entrypoint")
    assert isinstance(slot(BASE + 99), int)
    socket.create_connection(("127.0.0.1", BASE + 1), 2).close()
    try:
        socket.create_connection(("127.1.0.1", BASE + 99), 2)
        raise AssertionError("a node that was dead by itself came back with the others")
    except ConnectionRefusedError:
        pass
    good(t, "fault", "slot-loss", 50)
    before = good(t, "state")
    after = t.until("40 more slots", lambda: (lambda s: s if s["slotsSent"] >= before["slotsSent"] + 40 else None)(
        good(t, "state")), 30)
    share = (after["slotsWhole"] - before["slotsWhole"]) / (after["slotsSent"] - before["slotsSent"])
    assert 0.2 < share < 0.8, share


@test
def entrypoint_speaks_ip_echo(t):
    if outside():
        raise Skip("looks at another validator")
    world(t)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
        udp.bind(("127.0.0.1", 0))
        udp.settimeout(5)
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        ports = tcp.getsockname()[1].to_bytes(2, "little") + bytes(6) + udp.getsockname()[1].to_bytes(2, "little")
        with socket.create_connection(("127.0.0.1", BASE + 1), 5) as s:
            s.sendall(bytes(4) + ports + bytes(6) + b"\n")
            got = s.recv(64)
        assert udp.recv(10) == b"\0"
        assert len(got) == 27 and got[:8] == bytes(8) and got[8:12] == bytes([127, 0, 0, 1]) and got[12] == 1, got
        assert int.from_bytes(got[13:15], "little") == ask(BASE + 99, "getClusterNodes")["result"][0]["shredVersion"]
        tcp.close()
        with socket.create_connection(("127.0.0.1", BASE + 1), 5) as s:  # an unreachable port: no answer at all
            s.sendall(bytes(4) + ports + bytes(6) + b"\n")
            assert s.recv(64) == b""
    with socket.create_connection(("127.0.0.1", BASE + 1), 5) as s:
        s.sendall(b"GET / HTTP/1.1\r\n\r\n" + bytes(8))
        assert s.recv(64).startswith(b"HTTP/1.1 400")


main()
