"""The lab's world alone: does each fault do what it says, and are its counts right?"""
import http.client
import socket
import time

import world
from harness import main, test

MIB = 1 << 20
FULL, INCREMENTAL = "/snapshot.tar.bz2", "/incremental-snapshot.tar.bz2"
world.enter()


def lies(body, truth):
    return [i for i, (a, b) in enumerate(zip(body, truth)) if a != b]


@test
def ranges_are_honoured_when_asked_for(t):
    w = world.World(t, "--nodes", "2")
    path = "/" + w.alias(FULL)
    status, headers, whole = w.request(3, "GET", path, {"Range": "bytes=0-0"})
    assert status == 200 and "accept-ranges" not in headers and len(whole) > 10000, (status, headers)    # stock Agave
    size = len(whole)
    w.fault("ranges", 1, 3)
    for asked, status, start, end in (("bytes=0-0", 206, 0, 1), ("bytes=100-199", 206, 100, 200), ("bytes=9000-", 206, 9000, size),
                                      ("bytes=-5", 206, size - 5, size), (f"bytes=5-{1 << 70}", 206, 5, size),
                                      (f"bytes={size}-", 416, 0, 0), ("bytes=-0", 416, 0, 0), ("bytes=5-4", 200, 0, size),
                                      ("bytes=0-1,5-6", 200, 0, size), ("lines=0-1", 200, 0, size), (None, 200, 0, size)):
        got, headers, body = w.request(3, "GET", path, {"Range": asked} if asked else {})
        assert got == status and body == whole[start:end] and headers["accept-ranges"] == "bytes", (asked, got, headers, len(body))
        assert headers["content-length"] == str(end - start), (asked, headers)
        want = {206: f"bytes {start}-{end - 1}/{size}", 416: f"bytes */{size}", 200: None}[status]
        assert headers.get("content-range") == want, (asked, headers)
        got, head, body = w.request(3, "HEAD", path, {"Range": asked} if asked else {})
        drop = lambda h: {k: v for k, v in h.items() if k != "date"}
        assert got == status and drop(head) == drop(headers) and body == b"", (asked, got, head)
    assert w.request(4, "GET", path, {"Range": "bytes=0-0"})[0] == 200


@test
def bytes_are_counted_as_they_leave(t):
    w = world.World(t, "--nodes", "1")
    path = "/" + w.big(24)[0]
    w.fault("ranges", 1, 3)
    size = len(w.request(3, "GET", path)[2])
    assert w.node(3)["bytes"] == size and w.bytes() == size and 22 * MIB < size < 26 * MIB, (w.node(3), size)
    w.request(3, "GET", path, {"Range": "bytes=1000-1999"})
    w.request(3, "HEAD", path)
    assert w.node(3)["bytes"] == size + 1000
    # A client that leaves: what it never read is not counted, but for what lies in its own kernel.
    w.small_buffers()
    with socket.create_connection(w.host(3).split(":")) as s:
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        got = 0
        while got < 8 * MIB:
            got += len(s.recv(65536))
    t.until("the end of the connection", lambda: w.node(3)["bytes"] > size + 1000 + got - 1024)
    over = w.node(3)["bytes"] - size - 1000 - got
    assert -1024 <= over < 384 << 10, over


@test
def rates_are_kept(t):
    w = world.World(t, "--nodes", "1")
    path = "/" + w.big(12)[0]

    def seconds():
        start = time.monotonic()
        w.request(3, "GET", path)
        return time.monotonic() - start
    w.fault("slow", 8 * MIB, 3)
    assert 1.2 < seconds() < 12
    w.heal()
    w.fault("cap", 8 * MIB, 3)      # two at a time share it
    w.fault("ranges", 1, 3)
    start = time.monotonic()
    pair = [http.client.HTTPConnection(w.host(3)) for _ in range(2)]
    for c in pair:
        c.request("GET", path, headers={"Range": f"bytes=0-{6 * MIB - 1}"})
    answers = [c.getresponse() for c in pair]
    for _ in range(24):
        for r in answers:
            assert len(r.read(MIB // 4)) == MIB // 4
    assert 1.2 < time.monotonic() - start < 12, time.monotonic() - start
    w.heal()
    w.fault("throttles", 10 * MIB, 3)
    start = time.monotonic()
    c = http.client.HTTPConnection(w.host(3))
    c.request("GET", path)
    r = c.getresponse()
    r.read(10 * MIB - 65536)
    quick = time.monotonic() - start
    r.read(256 << 10)
    rest = time.monotonic() - start - quick
    assert rest > 0.7 and quick / 10 < rest, (quick, rest)     # a byte of the rest took four times as long and more


@test
def lies_are_told(t):
    w = world.World(t, "--nodes", "4")
    path = "/" + w.big(6)[0]
    truth = w.request(0, "GET", path)[2]
    w.fault("lies", 1, 3, 4)
    first, second = (lies(w.request(i, "GET", path)[2], truth) for i in (3, 4))
    assert [i // MIB for i in first] == list(range(len(first))) and len(first) in (len(truth) // MIB, len(truth) // MIB + 1), first
    assert len({i % MIB for i in first}) == 1 and not set(first) & set(second), (first, second)
    w.fault("lies-within", 1, 5)
    within = lies(w.request(5, "GET", path)[2], truth)
    assert within and min(within) >= 2 * MIB and max(within) < len(truth) - MIB, within
    w.fault("ranges", 1, 5)
    body = w.request(5, "GET", path, {"Range": f"bytes={within[0] - 10}-{within[0] + 9}"})[2]
    assert lies(body, truth[within[0] - 10:within[0] + 10]) == [10]
    for value in (1, 2):
        w.fault("recompressed", value, 6)
        body = w.request(6, "GET", path)[2]
        assert w.alias(FULL, 6) == path[1:] and body != truth and len(body) > MIB
        (t.dir / path[1:]).write_bytes(body)
        t.sh("zstd", "-tq", t.dir / path[1:])
        w.heal()


@test
def redirects_lead_astray(t):
    w = world.World(t, "--nodes", "2")
    name, size = w.alias(FULL), len(w.request(0, "GET", "/" + w.alias(FULL))[2])
    w.fault("vanishes", 1, 3)
    assert w.alias(FULL, 3) == name and w.request(3, "GET", "/" + name)[0] == 404
    w.heal()
    w.fault("elsewhere", 1, 3)
    for path in (FULL, "/" + name):
        status, headers, _ = w.request(3, "GET", path)
        assert status == 303 and headers["location"] == f"{w.url(0)}/{name}", headers
    w.heal()
    w.fault("loops", 1, 3)
    for path in (FULL, INCREMENTAL, "/" + name):
        status, headers, _ = w.request(3, "GET", path)
        assert status == 303 and headers["location"] == path, headers
    w.heal()
    for value, said in ((1, "/../../snapshot-"), (2, "/etc/snapshot-"), (3, "/snapshot-11111"), (4, "%00.tar.zst"), (5, "file:///etc"),
                        (6, "//elsewhere.invalid/"), (7, "/")):
        w.fault("bad-name", value, 3)
        status, headers, _ = w.request(3, "HEAD", FULL)
        assert status == 303 and said in headers["location"], (value, headers)
        assert value != 3 or len(headers["location"]) == 301, headers
    w.heal()
    for value, length in ((1, 0), (2, 1 << 63), (3, size + MIB), (4, size // 2)):
        w.fault("length", value, 3)
        assert w.request(3, "HEAD", "/" + name)[1]["content-length"] == str(length), value


@test
def others_are_listed_as_they_say(t):
    w = world.World(t, "--nodes", "1200", "--members", "3000", "--spread")
    listed = lambda: {x["rpc"]: x for x in w.ask(0, "getClusterNodes")}
    peers = w.ask(0, "getClusterNodes")
    rpcs = [x["rpc"] for x in peers if x["rpc"]]
    assert len(peers) == 4203 and len(rpcs) == 1203, (len(peers), len(rpcs))
    networks = {".".join(x.split(".")[:2]) for x in rpcs}
    assert len(networks) == 401, len(networks)
    assert w.ask(1000, "getSlot") > 1000
    w.call("grow", 2500)
    assert len(w.call("nodes")) == 2503 and w.ask(2502, "getHealth") == "ok"
    plain = listed()[w.host(7)]
    w.fault("other-version", 20214, 7)
    w.fault("other-shred-version", 99, 7)
    assert listed()[w.host(7)] == {**plain, "version": "2.2.14", "shredVersion": 99}
    assert w.ask(7, "getVersion")["solana-core"] == "2.2.14" and w.ask(8, "getVersion")["solana-core"] == "3.0.14"
    w.heal()
    assert listed()[w.host(7)] == plain


@test
def a_head_that_never_ends(t):
    w = world.World(t, "--nodes", "1")
    w.fault("trickle", 50, 3)
    with socket.create_connection(w.host(3).split(":")) as s:
        s.settimeout(5)
        s.sendall(b"HEAD /snapshot.tar.bz2 HTTP/1.1\r\nHost: x\r\n\r\n")
        got, start = b"", time.monotonic()
        while len(got) < 40:
            got += s.recv(100)
        assert got.startswith(b"HTTP/1.1 200 OK\r\n") and b"\r\n\r\n" not in got and time.monotonic() - start > 1
        w.heal()
        try:
            while s.recv(100):
                pass
        except ConnectionResetError:
            pass
    assert w.request(3, "HEAD", FULL)[0] == 303


main()
