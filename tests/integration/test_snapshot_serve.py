"""agavectl snapshot serve: archives and nothing else, to those who may, at the rate that was said."""
import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import world
from harness import BIN, main, test

FULL = "snapshot-802-5vz4jENNJdy3VU1fUMjz9qomfbEaExGFtyJtmcTtQDYq.tar.zst"
OLDER = "snapshot-700-5vz4jENNJdy3VU1fUMjz9qomfbEaExGFtyJtmcTtQDYq.tar.lz4"
INCREMENTAL = "incremental-snapshot-802-1102-5vz4jENNJdy3VU1fUMjz9qomfbEaExGFtyJtmcTtQDYq.tar.zst"
world.enter()


class Serve:
    """The command in the background; its address and what it wrote."""

    def __init__(self, t, *flags, folder=None):
        t.sh("ip", "link", "set", "lo", "up")
        self.log = t.dir / "serve.log"
        argv = [BIN, "snapshot", "serve", "--no-lab", "--snapshots", folder or t.dir / "snapshots", *flags]
        if "--listen" not in flags:
            argv += ["--listen", "127.0.0.1:0"]
        with open(self.log, "w") as f:
            self.process = subprocess.Popen(list(map(str, argv)), stdout=f, stderr=f)
        t.later(self.end)
        t.until("the server", lambda: "http://" in self.text() or self.process.poll() is not None, 20)
        assert self.process.poll() is None, self.text()
        self.host, port = self.text().splitlines()[0].split("http://")[1].rsplit(":", 1)
        self.port = int(port)

    def text(self):
        return self.log.read_text()

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def request(self, method, path, headers={}, source=None):
        c = http.client.HTTPConnection(self.host.strip("[]"), self.port, timeout=20, source_address=source and (source, 0))
        c.putrequest(method, path, skip_accept_encoding=True)    # the path as it is
        for k, v in headers.items():
            c.putheader(k, v)
        c.endheaders()
        r = c.getresponse()
        return r.status, {k.lower(): v for k, v in r.getheaders()}, r.read()


def folder(t, size=3 << 20):
    """Archives, and much that is none."""
    d = t.dir / "snapshots"
    (d / "remote").mkdir(parents=True)
    (d / ".agavectl").mkdir()
    os.chmod(t.dir, 0o755)
    (d / FULL).write_bytes(os.urandom(size))
    (d / OLDER).write_bytes(b"older")
    (d / "remote" / INCREMENTAL).write_bytes(os.urandom(70000))
    (d / ".agavectl" / FULL.replace("802", "900")).write_text("waits")
    (d / f"tmp-{FULL}").write_text("half")
    (d / "secret.txt").write_text("secret")
    (d / FULL.replace("802", "704")).symlink_to(d / "secret.txt")
    os.mkfifo(d / FULL.replace("802", "806"))
    (d / FULL.replace("802", "808")).mkdir()
    return d


@test
def archives_and_nothing_else(t):
    d = folder(t)
    s = Serve(t)
    whole = (d / FULL).read_bytes()
    for path, to in (("/snapshot.tar.bz2", FULL), ("/incremental-snapshot.tar.bz2", INCREMENTAL)):
        for method in ("GET", "HEAD"):
            status, headers, body = s.request(method, path)
            assert (status, headers["location"], body) == (303, f"/{to}", b""), (path, headers)
    assert s.request("GET", f"/{FULL}")[2] == whole
    assert s.request("GET", f"/{OLDER}")[2] == b"older"
    assert s.request("GET", f"/{INCREMENTAL}")[2] == (d / "remote" / INCREMENTAL).read_bytes()
    assert s.request("GET", "/health")[::2] == (200, b"ok")
    size = len(whole)
    for asked, status, start, end in (("bytes=0-0", 206, 0, 1), ("bytes=1000000-1999999", 206, 1000000, 2000000),
                                      ("bytes=-7", 206, size - 7, size), (f"bytes={size}-", 416, 0, 0), ("bytes=x", 200, 0, size)):
        got, headers, body = s.request("GET", f"/{FULL}", {"Range": asked})
        assert got == status and body == whole[start:end] and headers["accept-ranges"] == "bytes", (asked, got, headers)
        assert headers.get("content-range") == {206: f"bytes {start}-{end - 1}/{size}", 416: f"bytes */{size}", 200: None}[status]
        got, headers, body = s.request("HEAD", f"/{FULL}", {"Range": asked})
        assert got == status and body == b"" and headers["content-length"] == str(end - start), (asked, headers)
    for path in ("/", "/secret.txt", f"/tmp-{FULL}", f"/.agavectl/{FULL.replace('802', '900')}", f"/{FULL.replace('802', '900')}",
                 f"/remote/{INCREMENTAL}", f"/../snapshots/{FULL}", "/../../etc/passwd", "/%2e%2e/secret.txt", f"//{FULL}",
                 f"/{FULL}/", f"/{FULL}%00", f"/{FULL.replace('802', '704')}", f"/{FULL.replace('802', '806')}",
                 f"/{FULL.replace('802', '808')}", "/" + "a" * 4000, "/genesis.tar.bz2"):
        assert s.request("GET", path)[0] == 404, path
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert s.request(method, f"/{FULL}", {"Content-Length": "0"})[0] == 405, method
    assert s.end() == 0
    lines = s.text().splitlines()
    assert any(x.startswith(f"127.0.0.1 had {FULL} from byte 1000000: ") for x in lines), lines
    assert sum(" had " in x for x in lines) == 7 and "secret" not in s.text(), lines


@test
def an_empty_folder_gets_archives_later(t):
    d = t.dir / "snapshots"
    d.mkdir()
    os.chmod(t.dir, 0o755)
    s = Serve(t)
    assert s.request("GET", "/snapshot.tar.bz2")[0] == 404 and s.request("GET", "/health")[::2] == (200, b"unknown")
    (d / FULL).write_bytes(b"x" * 100)
    assert s.request("GET", "/snapshot.tar.bz2")[0] == 303 and s.request("GET", "/health")[2] == b"ok"
    assert s.request("GET", "/incremental-snapshot.tar.bz2")[0] == 404


@test
def who_may_not_is_not_answered(t):
    folder(t)
    t.sh("ip", "link", "set", "lo", "up")
    for argv, said in ((["--listen", "0.0.0.0:0"], "say who with '--allow'"), (["--allow", "10.0.0.1/8"], "bits beyond"),
                       (["--listen", "somewhere:1"], "is no address"), (["--max-connections", "0"], "1 to 1024")):
        r = t.run("snapshot", "serve", "--no-lab", "--snapshots", t.dir / "snapshots", *argv)
        assert r.code == 2 and said in r.err, (argv, r)
    r = t.run("snapshot", "serve", "--no-lab", "--snapshots", t.dir / "none")
    assert r.code == 1 and "none" in r.err, r
    s = Serve(t, "--listen", "0.0.0.0:0", "--allow", "127.0.0.5", "--allow", "127.7.0.0/16")
    for source, allowed in (("127.0.0.5", True), ("127.7.1.1", True), ("127.0.0.6", False), ("127.8.0.1", False)):
        try:
            got = s.request("GET", "/health", source=source)[0] == 200
        except (ConnectionError, http.client.RemoteDisconnected):
            got = False
        assert got == allowed, source
    with socket.create_server((s.host, 0)) as taken:
        r = t.run("snapshot", "serve", "--no-lab", "--snapshots", t.dir / "snapshots", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
        assert r.code == 1 and "cannot listen" in r.err, r


@test
def rate_and_connections_are_limited(t):
    d = folder(t, 6 << 20)
    s = Serve(t, "--max-rate", "4MiB", "--max-connections", "2")
    start = time.monotonic()
    first = [http.client.HTTPConnection(s.host, s.port, timeout=20) for _ in range(2)]
    for c in first:
        c.request("GET", f"/{FULL}", headers={"Range": f"bytes=0-{(4 << 20) - 1}"})
    third = http.client.HTTPConnection(s.host, s.port, timeout=1)
    third.connect()
    third.request("GET", "/health")
    try:
        third.getresponse()
        raise AssertionError("a third one was answered beside two")
    except (TimeoutError, http.client.RemoteDisconnected, ConnectionError):
        pass
    answers = [c.getresponse() for c in first]
    for _ in range(8):
        assert all(len(r.read(1 << 19)) == 1 << 19 for r in answers)
    took = time.monotonic() - start
    assert 1.6 < took < 20, took     # 8 MiB in all
    for c in first:
        c.close()
    t.until("room again", lambda: s.request("GET", "/health")[0] == 200, 10)
    assert (d / FULL).stat().st_size == 6 << 20


@test
def root_becomes_the_owner_of_the_folder(t):
    t.need_root()
    d = folder(t)
    for uid, gid, expect, group in ((1234, 1234, 1234, 1234), (1234, 0, 1234, 65534), (0, 0, 65534, 65534)):
        for p in (d, *d.rglob("*")):
            os.chown(p, uid, gid, follow_symlinks=False)
        s = Serve(t)
        status = Path(f"/proc/{s.process.pid}/status").read_text()
        assert f"Uid:\t{expect}\t{expect}\t{expect}\t{expect}\n" in status and f"Gid:\t{group}\t{group}\t{group}\t{group}\n" in status, status
        assert "Groups:\t \n" in status and "NoNewPrivs:\t1" in status and "CapEff:\t0000000000000000" in status, status
        assert s.request("GET", f"/{FULL}")[0] == 200
        assert s.end() == 0
    os.chmod(d, 0o700)
    r = t.run("snapshot", "serve", "--no-lab", "--snapshots", d, "--listen", "127.0.0.1:0")
    assert r.code == 4 and "give it to the validator's user" in r.err, r


@test
def it_ends_in_the_middle_of_a_transfer(t):
    folder(t, 64 << 20)
    s = Serve(t, "--max-rate", "1MiB")
    c = http.client.HTTPConnection(s.host, s.port, timeout=20)
    c.request("GET", f"/{FULL}")
    r = c.getresponse()
    r.read(100000)
    start = time.monotonic()
    assert s.end() == 0 and time.monotonic() - start < 30     # the rest takes twice as long
    assert f"127.0.0.1 left {FULL} from byte 0: " in s.text() and " of 64.0 MiB in" in s.text(), s.text()


@test
def many_at_once_and_one_that_takes_nothing(t):
    d = folder(t, 24 << 20)
    s = Serve(t)
    want = hashlib.sha256((d / FULL).read_bytes()).digest()
    stuck = socket.create_connection((s.host, s.port))
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stuck.sendall(f"GET /{FULL} HTTP/1.1\r\nHost: x\r\n\r\n".encode())      # and never reads
    gone = socket.create_connection((s.host, s.port))
    gone.sendall(f"GET /{FULL} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    gone.recv(1000)
    gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    gone.close()                                                           # a reset in the middle
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda i: s.request("GET", f"/{FULL}", {"Range": f"bytes={i * 1000}-"} if i % 2 else {}), range(8)))
    for i, (status, _, body) in enumerate(got):
        assert status == (206 if i % 2 else 200) and len(body) == (24 << 20) - (i * 1000 if i % 2 else 0), (i, status, len(body))
        assert i % 2 or hashlib.sha256(body).digest() == want, i
    t.until("the one that left is told", lambda: f" left {FULL} from byte 0" in s.text(), 20)
    assert s.process.poll() is None and s.end() == 0
    assert s.text().count(f" had {FULL}") == 8, s.text()
    stuck.close()


@test
def a_transfer_goes_on_with_the_file_that_it_began_with(t):
    d = folder(t, 24 << 20)
    s = Serve(t, "--max-rate", "16MiB")
    want = (d / FULL).read_bytes()
    c = http.client.HTTPConnection(s.host, s.port, timeout=30)
    c.request("GET", f"/{FULL}")
    r = c.getresponse()
    first = r.read(1 << 20)
    (d / "new").write_bytes(b"another one")
    os.rename(d / "new", d / FULL)
    assert s.request("GET", f"/{FULL}")[2] == b"another one"
    assert first + r.read() == want
    c.request("GET", f"/{INCREMENTAL}")                # pruned while it is sent
    r = c.getresponse()
    (d / "remote" / INCREMENTAL).unlink()
    assert len(r.read()) == 70000 and s.request("GET", f"/{INCREMENTAL}")[0] == 404


@test
def a_file_that_is_cut_is_not_taken_for_whole(t):
    d = folder(t, 24 << 20)
    s = Serve(t, "--max-rate", "16MiB")
    c = http.client.HTTPConnection(s.host, s.port, timeout=30)
    c.request("GET", f"/{FULL}")
    r = c.getresponse()
    r.read(1 << 20)
    os.truncate(d / FULL, 2 << 20)
    try:
        r.read()
        raise AssertionError("the end of a file that is not there")
    except (http.client.IncompleteRead, ConnectionError):
        pass
    assert s.request("GET", "/health")[2] == b"ok"


@test
def what_cannot_be_served_is_said(t):
    for args, code, text in ((["--snapshots", t.dir / "gone"], 1, "gone"),
                             (["--snapshots", t.dir, "--listen", "10.0.0.5:8890"], 2, "--allow"),
                             (["--snapshots", t.dir, "--listen", "nowhere"], 2, "nowhere"),
                             (["--snapshots", t.dir, "--allow", "10.0.0.0/33"], 2, "10.0.0.0/33"),
                             ([], 2, "give --snapshots DIR or --config FILE")):
        r = t.run("--no-lab", "snapshot", "serve", *args)
        assert r.code == code and text in r.err, r


@test
def agavectl_finds_it_there(t):
    """As a source that the operator trusts: nobody else need serve the same."""
    d = folder(t)
    s = Serve(t)
    r = t.run("--no-lab", "snapshot", "find", "--source", f"http://{s.host}:{s.port}", "--trust", f"http://{s.host}:{s.port}",
              "--no-discover", "--no-speed", "--max-age", "0", "-o", "json")
    assert r.code == 0, r
    (source,) = json.loads(r.out)["sources"]
    assert source["full"]["name"] == FULL and source["full"]["size_b"] == (d / FULL).stat().st_size, source
    assert source["incremental"]["name"] == INCREMENTAL and source["trust"] == "source" and source["ranges"] is True, source


@test
def the_usual_clients_get_it(t):
    """curl goes on where it stopped; aria2c, where it is installed, takes it in parts."""
    d = folder(t, 24 << 20)
    s = Serve(t)
    want = hashlib.sha256((d / FULL).read_bytes()).hexdigest()
    part = t.dir / FULL
    part.write_bytes((d / FULL).read_bytes()[:5 << 20])
    t.sh("curl", "-sfL", "-C", "-", "-o", part, f"http://{s.host}:{s.port}/{FULL}")
    assert hashlib.sha256(part.read_bytes()).hexdigest() == want
    assert f"from byte {5 << 20}: 19.0 MiB in" in s.text(), s.text()
    t.sh("curl", "-sfL", "-o", part, f"http://{s.host}:{s.port}/snapshot.tar.bz2")
    assert hashlib.sha256(part.read_bytes()).hexdigest() == want
    if subprocess.run(["which", "aria2c"], capture_output=True).returncode:
        return t.not_real("aria2c", "not installed")
    part.unlink()
    t.sh("aria2c", "-q", "-x4", "-s4", "-k1M", "-d", t.dir, f"http://{s.host}:{s.port}/{FULL}")
    assert hashlib.sha256(part.read_bytes()).hexdigest() == want
    t.real("aria2c", t.sh("aria2c", "--version").out.split("\n")[0])


main()
