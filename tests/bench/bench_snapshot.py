#!/usr/bin/env python3
"""How fast does agavectl find and get snapshots against what could be had at best? Run by hand, on an idle machine:

    tests/bench/bench_snapshot.py [--alone] [NAME...]     a part: find many speed cpu ranges faults single kill

--alone: of `get` the download by itself, without finding first who has it.

Builds build-bench (release). The sources are the lab's world in a network namespace of its own: nodes that are dead,
slow or lying, and nodes whose rate is capped, so that the best is known. Every figure is of a whole command, start to
exit; curl and aria2c (where installed) fetch from the same sources in the same run. TMPDIR=/dev/shm leaves the disk
out; a part of 1 GiB needs twice that there. Past a limit, find out why before you release.
"""
import atexit, json, os, random, re, shutil, signal, statistics, subprocess, sys, tempfile, threading, time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tests" / "integration"))
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="agavectl-bench-state-")  # no memory of other runs
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"])
os.environ["AGAVECTL_BUILD"] = str(SOURCE / "build-bench")
import world
from harness import BUILD, Skip, Tools
from until import until

AGAVECTL, PARTS_BIN, MIB = BUILD / "agavectl", BUILD / "tests" / "bench" / "parts", 1 << 20
ALONE = "--alone" in sys.argv
FULL_MIB = int(os.environ.get("BENCH_MIB", "1024"))
CAPS = (60, 40, 20)     # MiB/s of the three sources
SOURCES = (3, 4, 5)     # their nodes: each has an address of its own
missed = []


def say(what, got, limit="", ok=None):
    """ok: is it within its limit? None: there is none."""
    verdict = "" if ok is None else "  ok" if ok else "  MISSED"
    if ok is False:
        missed.append(what)
    print(f"{what:<58} {got:>24}{'  limit ' + limit if limit else '':<22}{verdict}", flush=True)


class Run:
    """A command to its end: wall, CPU, the most memory and sockets, when it first kept bytes."""

    def __init__(self, argv, folder=None, sockets=False, during=None, timeout=300):
        self.out_file = tempfile.TemporaryFile()
        self.err_file = tempfile.TemporaryFile()
        self.rss = self.sockets = 0
        self.first_s = None
        self.folder = folder
        self.begun = time.monotonic()
        self.p = subprocess.Popen(list(map(str, argv)), stdout=self.out_file, stderr=self.err_file)
        watcher = threading.Thread(target=self.watch, args=(sockets,))
        watcher.start()
        if during:
            during(self)
        killer = threading.Timer(timeout, self.p.kill)
        killer.start()
        _, status, usage = os.wait4(self.p.pid, 0)
        self.wall = time.monotonic() - self.begun
        self.p.returncode = os.waitstatus_to_exitcode(status)
        killer.cancel()
        watcher.join()
        self.code, self.cpu = self.p.returncode, usage.ru_utime + usage.ru_stime

    def watch(self, sockets):
        proc = Path(f"/proc/{self.p.pid}")
        while self.p.returncode is None:
            try:
                found = re.search(r"VmHWM:\s+(\d+)", (proc / "status").read_text())
                self.rss = int(found[1]) / 1024 if found else self.rss
                if sockets:
                    self.sockets = max(self.sockets, len(self.tcp(proc)))
            except OSError:
                pass
            if self.first_s is None and self.folder and self.kept():
                self.first_s = time.monotonic() - self.begun
            time.sleep(0.005 if sockets else 0.02)

    def tcp(self, proc):
        """Its sockets without those of libraries for themselves."""
        own = {line.split()[6] for line in (proc / "net" / "unix").read_text().splitlines()[1:]}
        links = (os.readlink(f) for f in (proc / "fd").iterdir())
        return [x for x in links if x.startswith("socket:") and x[8:-1] not in own]

    def kept(self):
        """Bytes of archives in the folder, whole or not."""
        total = 0
        for f in self.folder.rglob("*snapshot-*"):
            try:
                total += f.stat().st_blocks * 512 if f.is_file() and f.suffix != ".map" and f.stat().st_size else 0
            except OSError:
                pass
        return total

    def text(self, f):
        f.seek(0)
        return f.read().decode(errors="replace")

    def check(self):
        if self.code != 0:
            raise AssertionError(f"exit {self.code} after {self.wall:.1f} s: {self.text(self.err_file)[-1500:]}")
        return self

    @property
    def out(self):
        return self.text(self.out_file)


def url(w, *nodes):
    return [x for n in nodes for x in ("--rpc", w.url(n))]


def spoil(w, first):
    """Nodes of every kind from first on; how many there are. None of them may be offered."""
    kinds = [("dead", 1, 40), ("silent", 1, 25), ("not-http", 1, 15), ("trickle", 200, 10), ("stale", 30000, 30), ("error", 1, 10),
             ("no-snapshots", 1, 30), ("late", 60000, 10), ("elsewhere", 1, 4), ("loops", 1, 4), ("vanishes", 1, 4),
             ("other-shred-version", 4321, 6), *[("bad-name", k, 1) for k in (1, 3, 4, 5, 6, 7)], ("length", 1, 1), ("length", 2, 1)]
    at = first
    for name, value, n in kinds:
        w.fault(name, value, at, at + n - 1)
        at += n
    return at - first


def find(t, nodes=300, members=4000, label="find, 300 RPC nodes of 4,300", wall=2.5, cpu=0.2, most=512):
    w = world.World(t, "--nodes", nodes - 3, "--members", members, programs=BUILD, start_slot=120000)
    bad = spoil(w, 20)
    good = {n["rpc"] for n in w.call("nodes") if not n["faults"]}
    argv = [AGAVECTL, "--no-lab", "snapshot", "find", *url(w, 0, 1, 2), "--no-speed", "-o", "json"]
    walls, cpus = [], []
    for _ in range(3):
        r = Run(argv).check()
        walls.append(r.wall)
        cpus.append(r.cpu)
    doc = json.loads(r.out)
    offered = {s["addr"].removeprefix("http://") for s in doc["sources"] if s.get("full")}
    say(f"{label}: wall", f"{statistics.median(walls):.2f} s", f"{wall} s", statistics.median(walls) <= wall)
    say(f"{label}: CPU", f"{statistics.median(cpus):.3f} s", f"{cpu} s" if cpu else "", statistics.median(cpus) <= cpu if cpu else None)
    say(f"{label}: good ones found", f"{len(good & offered)} of {len(good)}", "all", good <= offered)
    say(f"{label}: bad ones offered", f"{len(offered - good)} of {bad}", "none", not offered - good)
    if offered - good:
        faults = {n["rpc"]: n["faults"] for n in w.call("nodes")}
        print("#   offered:", *(f"{x} {faults[x]}" for x in sorted(offered - good)[:8]))
    r = Run(argv, sockets=True).check()
    say(f"{label}: sockets at most", str(r.sockets), str(most), r.sockets <= most)
    say(f"{label}: memory", f"{r.rss:.0f} MiB", "64 MiB", r.rss <= 64)


def many(t):
    find(t, 2000, 4000, "find, 2,000 RPC nodes of 6,000", wall=5, cpu=None)


def speed(t):
    """Rates between 1 and 6 MiB/s; the one that throttles is no good source."""
    w = world.World(t, "--nodes", "30", programs=BUILD, start_slot=120000)
    w.big(256, 32)
    w.fault("no-snapshots", 1, 0, 2)
    caps = {}
    for i in range(3, 33):
        caps[w.host(i)] = (1 + i % 6) * MIB
        w.fault("cap", caps[w.host(i)], i)
    w.fault("throttles", 4 * MIB, 8)        # by its cap it would be the best
    throttled = w.host(8)
    r = Run([AGAVECTL, "--no-lab", "snapshot", "find", *url(w, 0), "-o", "json"]).check()
    rates = {s["addr"].removeprefix("http://"): s["rate_b_s"] for s in json.loads(r.out)["sources"] if s["rate_b_s"] is not None}
    say("find with rates: wall", f"{r.wall:.1f} s", "10 s", r.wall <= 10)
    off = [abs(rates[a] / caps[a] - 1) for a in rates if a != throttled]
    say("find with rates: measured", f"{len(rates)} of {len(caps)}")
    say("find with rates: error in the middle, at most", f"{statistics.median(off):.0%}, {max(off):.0%}" if off else "-", "10 %",
        bool(off) and statistics.median(off) <= 0.1)
    if throttled in rates:
        say("find with rates: the one that throttles", f"{rates[throttled] / MIB:.1f} MiB/s", "1 MiB/s", rates[throttled] <= MIB)


class Download:
    """A world with one big archive at three sources; folders to fetch it to."""

    def __init__(self, t, ranges, caps=CAPS):
        self.t = t
        self.w = w = world.World(t, "--nodes", len(SOURCES), programs=BUILD, start_slot=120000)
        self.name = w.big(FULL_MIB)[0]
        self.path = w.dir / "snapshots" / self.name
        self.size = self.path.stat().st_size
        w.fault("no-snapshots", 1, 0, 2)
        self.n, self.ranges, self.caps = 0, ranges, caps
        self.reset()

    def reset(self):
        self.w.heal()
        self.w.fault("no-snapshots", 1, 0, 2)
        for i, cap in zip(SOURCES, self.caps):
            self.w.fault("cap", cap * MIB, i)
            self.w.fault("ranges", int(self.ranges), i)

    def folder(self):
        self.n += 1
        d = self.t.dir / f"out{self.n}"
        d.mkdir()
        return d

    def argv(self, folder, verify="none"):
        if ALONE:
            return [PARTS_BIN, "get", verify, folder, self.name, *self.urls()]
        return [AGAVECTL, "--no-lab", "snapshot", "get", *url(self.w, 0), "--out", folder, "--full-only", f"--verify={verify}"]

    def get(self, verify="none", during=None, folder=None):
        folder = folder or self.folder()
        r = Run(self.argv(folder, verify), folder=folder, during=during).check()
        self.same(folder)
        return r

    def same(self, folder):
        assert subprocess.run(["cmp", "-s", self.path, folder / self.name]).returncode == 0, "not the same bytes"
        shutil.rmtree(folder)

    def urls(self):
        return [f"{self.w.url(i)}/{self.name}" for i in SOURCES]

    def ratio(self, what, r, best_s):
        say(what, f"{best_s / r.wall:.1%} of the best ({r.wall:.1f} s)", "95 %", best_s / r.wall >= 0.95)

    def at_share(self, share, act, argv_folder):
        """When so much has left the sources: act. Returns the hook for Run and what the moment was."""
        moment = {}

        def hook(run):
            until("the moment", lambda: self.w.bytes() - moment["before"] >= share * self.size or run.p.poll() is not None, 600)
            moment["at_s"], moment["sent_b"] = time.monotonic() - run.begun, self.w.bytes() - moment["before"]
            act()
        moment["before"] = self.w.bytes()
        return hook, moment


def cpu(t):
    """No cap: what a GiB costs."""
    d = Download(t, ranges=True, caps=(0, 0, 0))
    gib = d.size / (1 << 30)
    runs = [d.get() for _ in range(3)]
    ours = statistics.median(r.cpu for r in runs) / gib
    say("get, three sources without a cap: CPU", f"{ours:.2f} s/GiB", "1.2 s/GiB", ours <= 1.2)
    say("get, three sources without a cap: memory", f"{max(r.rss for r in runs):.0f} MiB", "64 MiB", max(r.rss for r in runs) <= 64)
    say("get, three sources without a cap: wall", f"{statistics.median(r.wall for r in runs):.2f} s")
    say("get, three sources without a cap: first byte kept", f"{max(r.first_s or 99 for r in runs):.2f} s", "10 s",
        max(r.first_s or 99 for r in runs) <= 10)
    structure = d.get("structure")
    say("the same with --verify=structure: CPU", f"{structure.cpu / gib:.2f} s/GiB")
    others = {"curl": lambda f: ["curl", "-sfo", f / d.name, d.urls()[0]],
              "aria2c": lambda f: ["aria2c", "-q", "-x4", "-s12", "-k1M", "--file-allocation=none", "-d", f, *d.urls()]}
    for program, argv in others.items():
        if not shutil.which(program):
            say(f"{program}", "not installed")
            continue
        took = []
        for _ in range(3):
            folder = d.folder()
            took.append(Run(argv(folder)).check())
            d.same(folder)
        theirs = statistics.median(r.cpu for r in took) / gib
        say(f"{program}: CPU", f"{theirs:.2f} s/GiB", "", None)
        say(f"{program}: wall; ours of its CPU", f"{statistics.median(r.wall for r in took):.2f} s; {ours / theirs:.2f}")


def ranges(t):
    d = Download(t, ranges=True)
    best = d.size / (sum(CAPS) * MIB)
    d.ratio("get, 60 + 40 + 20 MiB/s with ranges", d.get(), best)
    # Can the machine do it at all? Three curls, each with its share.
    begun, at, curls = time.monotonic(), 0, []
    for u, cap in zip(d.urls(), CAPS):
        end = min(d.size, at + d.size * cap // sum(CAPS) + 1)
        curls.append(subprocess.Popen(["curl", "-sf", "-r", f"{at}-{end - 1}", "-o", "/dev/null", u]))
        at = end
    assert all(c.wait() == 0 for c in curls) and at == d.size
    took = time.monotonic() - begun
    say("three curls that know the caps", f"{best / took:.1%} of the best ({took:.1f} s)")
    if shutil.which("aria2c"):
        folder = d.folder()
        r = Run(["aria2c", "-q", "-x4", "-s12", "-k1M", "--file-allocation=none", "-d", folder, *d.urls()]).check()
        d.same(folder)
        say("aria2c, the same", f"{best / r.wall:.1%} of the best ({r.wall:.1f} s)")


def faults(t):
    """The second source, of 40 MiB/s, fails when 30 % have left; the best that can be had then is known."""
    d = Download(t, ranges=True)
    second = SOURCES[1]
    for what, name, value in (("dies", "dead", 1), ("stalls", "stalls", 1), ("throttles to 0.2 MiB/s", "throttles", 1)):
        d.reset()
        hook, moment = d.at_share(0.3, lambda: d.w.fault(name, value, second), None)
        r = d.get(during=hook)
        best = moment["at_s"] + (d.size - moment["sent_b"]) / ((CAPS[0] + CAPS[2]) * MIB)
        d.ratio(f"get with ranges, the second {what}", r, best)
    d.reset()
    d.w.fault("lies-within", 1, second)
    d.ratio("get with ranges, the second lies", d.get(), d.size / ((CAPS[0] + CAPS[2]) * MIB))


def single(t):
    """Stock Agave: no ranges."""
    d = Download(t, ranges=False)
    best = d.size / (CAPS[0] * MIB)
    d.ratio("get without ranges, 60, 40 or 20 MiB/s", d.get(), best)
    for what, name, value in (("dies", "dead", 1), ("stalls", "stalls", 1), ("throttles to 0.2 MiB/s", "throttles", 1)):
        d.reset()
        before = d.w.node(SOURCES[0])["bytes"]
        moment = {}

        def hook(run):
            until("the moment", lambda: d.w.node(SOURCES[0])["bytes"] - before >= 0.3 * d.size or run.p.poll() is not None, 600)
            moment["at_s"] = time.monotonic() - run.begun
            d.w.fault(name, value, SOURCES[0])
        r = d.get(during=hook)
        d.ratio(f"get without ranges, the best one {what}", r, moment["at_s"] + d.size / (CAPS[1] * MIB))
    d.reset()
    d.w.fault("lies", 1, SOURCES[0])
    d.ratio("get without ranges, the best one lies", d.get("structure"), d.size / (CAPS[1] * MIB))


def settled(w):
    """What has left the sources, once no connection of a killed client is served any more."""
    counts = [w.bytes()]
    until("the end of the last connection", lambda: counts.append(w.bytes()) or len(counts) > 2 and counts[-1] == counts[-3], 30, 0.3)
    return counts[-1]


def kill(t):
    """Ten times kill -9, each somewhere in the rest; then to the end."""
    for with_ranges in (True, False):
        d = Download(t, ranges=with_ranges)
        d.w.small_buffers()
        rand, folder = random.Random(7), d.folder()
        before, best = d.w.bytes(), d.size / ((sum(CAPS) if with_ranges else CAPS[0]) * MIB)
        for i in range(10):
            p = subprocess.Popen(list(map(str, d.argv(folder))), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            start = d.w.bytes()
            target = rand.uniform(0.01, 0.09) * d.size
            until("the moment", lambda: d.w.bytes() - start >= target or p.poll() is not None, 120, 0.02)
            p.send_signal(signal.SIGKILL)
            p.wait()
        r = d.get(folder=folder)
        again = settled(d.w) - before - d.size
        if with_ranges:
            say("ten times kill -9 with ranges: fetched twice", f"{again / MIB:.1f} MiB", "64 MiB", again <= 64 * MIB)
        else:
            say("ten times kill -9 without ranges: fetched again", f"{again / d.size:.1f} x the file")
        d.w.end()
        shutil.rmtree(d.w.dir)
        (t.dir / "ready").unlink()


PARTS = {"find": find, "many": many, "speed": speed, "cpu": cpu, "ranges": ranges, "faults": faults, "single": single, "kill": kill}


def build():
    if not (BUILD / "build.ninja").exists():
        subprocess.run(["meson", "setup", BUILD, SOURCE, "--buildtype=release"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", BUILD, "--quiet", "agavectl", "agavectl-lab-world", "tests/bench/parts"], check=True, stdout=subprocess.DEVNULL)


def main():
    if os.environ.get(world.MARK) is None:
        build()
    world.enter()
    for name in [x for x in sys.argv[1:] if x != "--alone"] or PARTS:
        t = Tools(f"bench-{name}")
        try:
            PARTS[name](t)
        except (AssertionError, LookupError, Skip) as e:    # one part that cannot be measured does not hide the others
            say(name, "failed", "", False)
            print(f"#   {type(e).__name__}: {e}", flush=True)
        finally:
            for undo in reversed(t.undo):
                undo()
            shutil.rmtree(t.dir, ignore_errors=True)
    print(f"{len(missed)} limits missed{': ' if missed else ''}{', '.join(missed)}")
    sys.exit(bool(missed))


main()
