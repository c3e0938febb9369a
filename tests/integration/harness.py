"""A small TAP harness for tests that run the real program.

    from harness import test, main, Skip
    @test
    def shows_version(t):
        r = t.run("--version"); assert r.code == 0
    main()

A test may raise Skip("why"). Each gets a fresh folder (t.dir). t.real("agave", "3.0.14") reports a real part
that ran, t.not_real("docker", "no engine") one that could not.
"""
import os, re, shutil, subprocess, sys, tempfile, time, traceback
from pathlib import Path

from until import until

SOURCE = Path(__file__).resolve().parents[2]
# The only place that names where optional real data is looked for: programs, ledgers and recordings of Agave.
DATA = Path(os.environ.get("AGAVECTL_TEST_DATA") or SOURCE.parent / "shared")
BUILD = Path(os.environ.get("AGAVECTL_BUILD") or SOURCE / "build-dev")
BIN = BUILD / "agavectl"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agavectl"
_tests = []


class Skip(Exception):
    """part: the real part that could not be had, for the list at the end of `make test`."""

    def __init__(self, why, part=None):
        super().__init__(why)
        self.part = part


class Result:
    def __init__(self, code, out, err, seconds):
        self.code, self.out, self.err, self.seconds = code, out, err, seconds

    def __repr__(self):
        return f"exit {self.code} after {self.seconds:.2f} s\n--- stdout\n{self.out}--- stderr\n{self.err}"


class Tools:
    def __init__(self, name):
        self.name = name
        self.dir = Path(tempfile.mkdtemp(prefix=f"agavectl-{name}-"))
        self.undo = []

    def run(self, *args, env=None, timeout=120, stdin=None, bin=None):
        """Runs agavectl with args; stdout and stderr as text. No config or memory of the machine leaks in."""
        full = {k: v for k, v in os.environ.items() if not k.startswith("AGAVECTL_CONFIG")}
        full.update({"NO_COLOR": "1", "AGAVECTL_TEST_DATA": str(DATA), "XDG_STATE_HOME": str(self.dir / "state")})
        full.update(env or {})
        start = time.monotonic()
        p = subprocess.run([str(bin or BIN), *map(str, args)], env=full, capture_output=True, timeout=timeout,
                           input=stdin, text=True, errors="replace")
        return Result(p.returncode, p.stdout, p.stderr, time.monotonic() - start)

    def sh(self, *args, timeout=120, check=True):
        """Runs any program (a list, never a shell line)."""
        p = subprocess.run(list(map(str, args)), capture_output=True, timeout=timeout, text=True, errors="replace")
        if check and p.returncode != 0:
            raise AssertionError(f"{args}: exit {p.returncode}: {p.stderr.strip()[-500:]}")
        return Result(p.returncode, p.stdout, p.stderr, 0)

    def until(self, what, probe, timeout=60, every=0.1):
        """until.py's; it may be asked for agavectl's answers, which is why it asks less often."""
        return until(what, probe, timeout, every)

    def later(self, fn):
        """Runs fn when the test ends, in reverse order, whatever happened."""
        self.undo.append(fn)

    def data(self, *parts):
        """A file of the optional real data, or Skip."""
        p = DATA.joinpath(*parts)
        if not p.exists():
            raise Skip(f"no real data: {Path(*parts)} (set AGAVECTL_TEST_DATA)", part="agave")
        return p

    def real(self, part, detail=""):
        print(f"# real: {part}: {detail}", flush=True)

    def not_real(self, part, why):
        print(f"# not real: {part}: {why}", flush=True)

    def need_rocksdb(self):
        """Skips when agavectl itself says that there is no RocksDB."""
        r = self.run("shreds", "--no-lab", "--ledger", SOURCE / "tests" / "data" / "ledgers" / "gap", "1")
        if r.code == 6:
            raise Skip("no RocksDB; run tools/get-rocksdb", part="rocksdb")
        self.real("rocksdb", "10.4.2" if (CACHE / "rocksdb-10.4.2").exists() else "the system's")

    def need_root(self):
        if os.geteuid() != 0:
            raise Skip("needs root")


def test(fn):
    _tests.append(fn)
    return fn


def main():
    chosen = [f for f in _tests if len(sys.argv) < 2 or re.search(sys.argv[1], f.__name__)]
    print(f"1..{len(chosen)}", flush=True)
    failed = 0
    for n, fn in enumerate(chosen, 1):
        t = Tools(fn.__name__)
        verdict, note = "ok", ""
        try:
            fn(t)
        except Skip as s:
            note = f" # SKIP {s}"
            if s.part:
                t.not_real(s.part, str(s))
        except BaseException:
            verdict, failed = "not ok", failed + 1
            for line in traceback.format_exc().splitlines():
                print(f"# {line}")
        for undo in reversed(t.undo):
            try:
                undo()
            except Exception:
                verdict, failed = "not ok", failed + 1
                print("# clean-up: " + traceback.format_exc().replace("\n", "\n# "))
        shutil.rmtree(t.dir, ignore_errors=True)
        print(f"{verdict} {n} - {fn.__name__}{note}", flush=True)
    sys.exit(1 if failed else 0)
