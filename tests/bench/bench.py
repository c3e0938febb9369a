#!/usr/bin/env python3
"""How fast is agavectl against what it could be at best? Ratios, because machines differ. Run by hand:

    tests/bench/bench.py [check|status|shreds|verify|fetch...]

Builds build-bench (release). Real ledgers and agave-ledger-tool are taken from AGAVECTL_TEST_DATA. Each figure is
the middle one of several runs of a whole process, file caches warm; TMPDIR=/dev/shm leaves the disk out. Past a limit,
find out why before you release.
"""
import fcntl, io, json, os, shutil, socket, statistics, subprocess, sys, tarfile, tempfile, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tests" / "integration"))
import agave
from harness import DATA

BUILD = SOURCE / "build-bench"
AGAVECTL, PARTS = BUILD / "agavectl", BUILD / "tests" / "bench" / "parts"
FULL = SOURCE / "tests/data/snapshots/snapshot-802-5vz4jENNJdy3VU1fUMjz9qomfbEaExGFtyJtmcTtQDYq.tar.zst"
UNPACKED_B = 768 << 20  # of the archive that is made for verify and fetch


def seconds(*argv, runs=5, env=None, before=lambda: None, codes=(0,)):
    taken = []
    for _ in range(runs):
        before()
        start = time.monotonic()
        p = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, **(env or {})})
        taken.append(time.monotonic() - start)
        if p.returncode not in codes:
            sys.exit(f"{argv[0]}: exit {p.returncode}: {p.stderr.decode()[-500:]}")
    return statistics.median(taken)


def say(what, got, against="", limit=""):
    print(f"{what:<44} {got:>14}  {against}{'; limit: ' if limit else ''}{limit}", flush=True)


class Handler(BaseHTTPRequestHandler):
    file = None  # what GET sends

    def do_POST(self):
        ask = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"jsonrpc": "2.0", "id": ask["id"],
                           "result": "ok" if ask["method"] == "getHealth" else 1000}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        with open(self.file, "rb") as f:
            self.send_response(200)
            self.send_header("Content-Length", str(os.fstat(f.fileno()).st_size))
            self.end_headers()
            self.connection.sendfile(f)

    log_message = lambda *args: None


def serve():
    s = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    s.daemon_threads = True
    threading.Thread(target=s.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{s.server_address[1]}"


def slowest(config):
    doc = json.loads(subprocess.run([AGAVECTL, "--config", config, "check", "-o", "json"], capture_output=True).stdout)
    return ", ".join(f"{s['name']} {s['took_us'] / 1000:.0f}" for s in sorted(doc["stages"], key=lambda s: -s["took_us"])[:3])


def check(folder):
    """As root on a host of your own, or beside a lab: what a look at everything costs."""
    silent = socket.create_server(("127.0.0.1", 0), backlog=64)
    dead = f"http://127.0.0.1:{silent.getsockname()[1]}"
    config = folder / "check.yaml"
    for name, references, rpc, limit in (("all live", [serve(), serve()], serve(), 0.2), ("all dead", [dead, dead], dead, 1.0)):
        config.write_text(json.dumps({"storage": {"volume": {"mount": str(folder)}, "kind_root": "", "bind": ""},
                                      "validator": {"ledger": f"{folder}/ledger", "snapshots": f"{folder}/snapshots",
                                                    "rpc_port": int(rpc.rsplit(":")[-1])},
                                      "cluster": {"references": references}, "state_dir": f"{folder}/state"}))
        config.chmod(0o600)
        took = seconds(AGAVECTL, "--config", config, "check", codes=(0, 3))
        say(f"check, {name}", f"{took * 1000:.0f} ms", f"{took / limit:.2f} of the limit (slowest, ms: {slowest(config)})", f"{limit} s")


def status(folder):
    silent = socket.create_server(("127.0.0.1", 0), backlog=64)  # connects, and never says a word
    dead = f"http://127.0.0.1:{silent.getsockname()[1]}"
    (folder / "ledger").mkdir(exist_ok=True)
    lock = open(folder / "ledger" / "ledger.lock", "w")
    fcntl.flock(lock, fcntl.LOCK_EX)  # this process is the validator: its memory and sockets are looked at
    for name, references in (("two live references", [serve(), serve()]), ("one of two dead", [serve(), dead])):
        config = folder / "agavectl.yaml"
        config.write_text(json.dumps({"validator": {"ledger": f"{folder}/ledger", "snapshots": f"{folder}/snapshots",
                                                    "rpc_port": int(serve().rsplit(":")[-1])},
                                      "cluster": {"references": references}, "state_dir": f"{folder}/state", "journal_dir": f"{folder}/op"}))
        config.chmod(0o600)
        took = seconds(AGAVECTL, "--config", config, "status")
        say(f"status, {name}", f"{took * 1000:.0f} ms", f"{took:.2f} of the limit", "1 s")


def shreds(folder):
    packed = DATA / "agave" / "ledgers" / "gap" / "ledger.tar.zst"
    if not packed.exists():
        return say("shreds 500", "-", "no real ledger: set AGAVECTL_TEST_DATA")
    tool = agave.program("agave-ledger-tool")
    subprocess.run(["tar", "--zstd", "-xf", packed, "-C", folder], check=True)
    ours = seconds(AGAVECTL, "--no-lab", "shreds", "--ledger", folder, "500")
    floor = seconds(PARTS, "rocksdb", folder)
    say("shreds 500, real ledger", f"{ours * 1000:.0f} ms", f"{ours / floor:.2f} x RocksDB's open and walk", "1.5 x")
    try:
        tool = agave.program("agave-ledger-tool")
    except Skip as why:
        return say("agave-ledger-tool bounds", "-", str(why))
    shim = dict(line.split("=", 1) for line in agave.preload())
    theirs = seconds(tool, "-l", folder, "--ignore-ulimit-nofile-error", "bounds", env=shim)
    say("agave-ledger-tool bounds", f"{theirs * 1000:.0f} ms", f"{ours / theirs:.2f} of it is what shreds takes", "1 x")


def big_archive(folder):
    """The real archive with more accounts files, half noise: its name still holds."""
    target, tar = folder / FULL.name, folder / "big.tar"
    if target.exists():
        return target
    subprocess.run(["zstd", "-dqf", FULL, "-o", tar], check=True)
    with tarfile.open(tar, "a", format=tarfile.GNU_FORMAT) as t:
        for n in range(UNPACKED_B >> 23):
            entry = tarfile.TarInfo(f"accounts/{n % 800 + 1}.{n + 100000}")
            entry.size = 1 << 23
            t.addfile(entry, io.BytesIO(b"".join(os.urandom(2048) + bytes(2048) for _ in range(2048))))
    subprocess.run(["zstd", "-1", "-q", "-f", tar, "-o", target], check=True)
    tar.unlink()
    return target


def verify(folder):
    archive = big_archive(folder)
    ours = seconds(PARTS, "verify", archive, runs=3)
    zstd = seconds("zstd", "-dqc", archive, runs=3)
    mb = archive.stat().st_size / 1e6
    say(f"verify an archive of {mb:.0f} MB", f"{mb / ours:.0f} MB/s", f"{ours / zstd:.2f} x zstd -d alone", "1.2 x")


def fetch(folder):
    archive, here = big_archive(folder), folder / "here"
    Handler.file, url = archive, f"{serve()}/{archive.name}"
    here.mkdir()
    empty = lambda: [p.unlink() for p in here.iterdir()]
    ours = seconds(PARTS, "fetch", url, here, archive.name, runs=3, before=empty)
    curl = seconds("curl", "-sfo", here / "curl", url, runs=3, before=empty)
    zstd = seconds("zstd", "-dqc", archive, runs=3)
    mb = archive.stat().st_size / 1e6
    # Ours ends with an fsync, curl does not.
    say(f"fetch {mb:.0f} MB", f"{mb / ours:.0f} MB/s", f"{ours / (curl + zstd):.2f} x curl, then zstd -d", "1.3 x")
    say("curl alone", f"{mb / curl:.0f} MB/s", f"ours takes {ours / curl:.2f} x as long, verified and on the disk")


def main():
    if not (BUILD / "build.ninja").exists():
        subprocess.run(["meson", "setup", BUILD, SOURCE, "--buildtype=release"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", BUILD, "--quiet", "agavectl", "tests/bench/parts"], check=True)
    parts = {"check": check, "status": status, "shreds": shreds, "verify": verify, "fetch": fetch}
    folder = Path(tempfile.mkdtemp(prefix="agavectl-bench-"))
    try:
        for name in sys.argv[1:] or parts:
            parts[name](folder)
    finally:
        shutil.rmtree(folder)


main()
