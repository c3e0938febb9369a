"""agavectl shreds: real ledgers slot for slot, the answer's two forms, what is said when there is no answer."""
import json, os, shutil, subprocess
from harness import BIN, CACHE, SOURCE, Skip, main, test

LEDGERS = SOURCE / "tests" / "data" / "ledgers"
NOBODY = 65534


def shreds(t, *args, **more):
    """Never with the config of a lab that happens to be up."""
    return t.run("shreds", "--no-lab", *args, **more)


def answer(t, *args):
    r = shreds(t, "-o", "json", *args)
    assert r.code == 0, r
    return json.loads(r.out)


def one_line(r, code, *parts):
    assert r.code == code and r.out == "", r
    lines = r.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("agavectl: "), r
    for part in parts:
        assert part in lines[0], r


def unpack(t, name):
    archive = t.data("agave", "ledgers", name, "ledger.tar.zst")
    folder = t.dir / name
    folder.mkdir()
    t.sh("tar", "--zstd", "-xf", archive, "-C", folder)
    return folder, json.loads((archive.parent / "golden.json").read_text())


@test
def small_ledgers_slot_for_slot(t):
    t.need_rocksdb()
    for name in "clean", "gap":
        doc = answer(t, "--ledger", LEDGERS / name, "0-100000")
        assert doc["slots"] == json.loads((LEDGERS / name / "golden.json").read_text())
        assert doc["schema_version"] == 1 and doc["ready"] is True and doc["warnings"] == []


@test
def full_ledgers_slot_for_slot(t):
    t.need_rocksdb()
    for name in "clean", "gap":
        folder, golden = unpack(t, name)
        doc = answer(t, "--ledger", folder, "0-100000")
        assert doc["slots"] == golden
        t.real("agave", f"ledger {name}: {len(golden)} slots, open {doc['open_ms']} ms")


@test
def window_and_runs(t):
    t.need_rocksdb()
    gap = LEDGERS / "gap"
    doc = answer(t, "--ledger", gap)
    assert (doc["first"], doc["last"]) == (104, 603)
    assert doc["runs"] == [{"first": 104, "last": 448, "slots": 344}, {"first": 488, "last": 602, "slots": 115}]
    assert doc["ready_run"] == {"first": 488, "last": 602, "slots": 115}
    assert doc["total"] == doc["complete"] + doc["incomplete"] and doc["incomplete"] == 40
    # The run that counts is followed below a small window.
    doc = answer(t, "--ledger", gap, 5)
    assert (doc["first"], doc["last"]) == (599, 603) and doc["ready"]
    assert doc["ready_run"] == {"first": 488, "last": 602, "slots": 115}
    doc = answer(t, "--ledger", gap, "449-487")
    assert doc["complete"] == 0 and doc["incomplete"] == 39 and doc["runs"] == []
    unknown = [s for s in doc["slots"] if s["last_index"] is None]
    assert all(not s["full"] for s in unknown)


@test
def text(t):
    t.need_rocksdb()
    r = shreds(t, "--ledger", LEDGERS / "gap")
    assert r.code == 0 and r.err == "", r
    assert "total       499 slots" in r.out and "complete    459 (92.0 %)" in r.out, r
    assert "READY: yes" in r.out and "488 to 602: 115 slots" in r.out, r
    assert "incomplete slots: 449-487 603\n" in r.out, r
    picture = [line.split() for line in r.out.splitlines() if line[:12].strip().isdigit() and line[12:13] == " "
               and set(line[13:]) <= set("#+xo.")]
    assert [int(first) for first, _ in picture] == list(range(104, 604, 64)), r
    drawn = "".join(line for _, line in picture)
    assert len(drawn) == 500 and drawn.count("#") == 459 and drawn.count("+") == 40, r
    assert "\033" not in r.out


@test
def the_picture_ends_with_the_last_slot_there_can_be(t):
    t.need_rocksdb()
    r = shreds(t, "--ledger", LEDGERS / "gap", "18446744073709551500-18446744073709551614", timeout=20)
    assert r.code == 0, r
    rows = [line.split()[1] for line in r.out.splitlines() if line.split()[:1] == [line[:20].strip()] and "." in line]
    assert "".join(rows) == "." * 115, r


@test
def bad_ranges(t):
    for args, part in [(["0"], "'0'"), (["x"], "'x'"), (["5-"], "last slot of '5-'"), (["-5"], ""),
                       (["9-3"], "ends before it begins"), (["1-99999999"], "smaller range"),
                       (["1-2-3"], "'2-3'"), (["99999999999999999999"], ""), (["1", "2"], "")]:
        r = shreds(t, "--ledger", LEDGERS / "gap", *args)
        assert r.code == 2 and r.out == "" and part in r.err, r


@test
def places(t):
    one_line(shreds(t, "--ledger", t.dir / "gone"), 1, "no ledger folder", "gone", "give the")
    one_line(shreds(t, "--ledger", t.dir), 1, "no blockstore")
    (t.dir / "rocksdb").mkdir()
    one_line(shreds(t, "--ledger", t.dir), 1, "is empty")
    (t.dir / "rocksdb" / "readme").write_text("x")
    one_line(shreds(t, "--ledger", t.dir), 1, "no file CURRENT")
    one_line(shreds(t, "--ledger", LEDGERS / "make.py"), 2, "is not a folder")


@test
def no_permission(t):
    t.need_root()
    t.need_rocksdb()
    ledger = t.dir / "ledger"
    shutil.copytree(LEDGERS / "gap", ledger)
    os.chmod(t.dir, 0o755)
    for locked in "rocksdb", "rocksdb/CURRENT", "rocksdb/000010.log":
        path = ledger / locked
        mode = path.stat().st_mode & 0o777
        os.chmod(path, 0)
        p = as_nobody(t, ledger)
        assert p.returncode == 4 and "permission denied" in p.stderr.lower() and "run as root" in p.stderr, (locked, p)
        assert len(p.stderr.splitlines()) == 1, p
        os.chmod(path, mode)
    before = sorted((p.name, p.stat().st_mtime_ns) for p in (ledger / "rocksdb").iterdir())
    p = as_nobody(t, ledger)
    assert p.returncode == 0, p
    assert before == sorted((p.name, p.stat().st_mtime_ns) for p in (ledger / "rocksdb").iterdir())


def as_nobody(t, ledger):
    """A user who may read the ledger but not write to it, with copies of the program and library he may read."""
    program, library = t.dir / "agavectl", t.dir / "librocksdb.so"
    if not program.exists():
        shutil.copy(BIN, program)
        source = CACHE / "rocksdb-10.4.2" / "librocksdb.so"
        if not source.exists():
            raise Skip("RocksDB is the system's")
        shutil.copy(source, library)
        os.chmod(library, 0o644)
    return subprocess.run([program, "shreds", "--no-lab", "--ledger", ledger], capture_output=True, text=True, timeout=60,
                          user=NOBODY, group=NOBODY, extra_groups=[],
                          env={"AGAVECTL_ROCKSDB": str(library), "PATH": "/usr/bin:/bin"})


@test
def torn_log_is_told(t):
    t.need_rocksdb()
    ledger = t.dir / "ledger"
    shutil.copytree(LEDGERS / "gap", ledger)
    log = ledger / "rocksdb" / "000010.log"
    os.truncate(log, log.stat().st_size - 20)
    doc = answer(t, "--ledger", ledger)
    assert len(doc["warnings"]) == 1 and "000010.log" in doc["warnings"][0], doc["warnings"]
    assert doc["last"] == 602  # the last record was that of slot 603
    r = shreds(t, "--ledger", ledger)
    assert r.code == 0 and "torn" in r.err, r


@test
def damage_is_one_error(t):
    t.need_rocksdb()
    for name, damage in [("000009.sst", lambda p: os.truncate(p, 5000)), ("000009.sst", os.unlink),
                         ("MANIFEST-000005", lambda p: os.truncate(p, 450)), ("CURRENT", os.unlink),
                         ("000010.log", os.unlink), ("000011.sst", lambda p: flip(p, 60)),
                         ("000010.log", lambda p: flip(p, 12000))]:
        ledger = t.dir / "ledger"
        shutil.rmtree(ledger, ignore_errors=True)
        shutil.copytree(LEDGERS / "gap", ledger)
        damage(ledger / "rocksdb" / name)
        one_line(shreds(t, "--ledger", ledger), 1)


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 0xff
    path.write_bytes(data)


@test
def no_library(t):
    r = shreds(t, "--ledger", LEDGERS / "gap", env={"AGAVECTL_ROCKSDB": str(t.dir / "none.so")})
    one_line(r, 6, "none.so")
    r = shreds(t, "--ledger", LEDGERS / "gap", env={"XDG_CACHE_HOME": str(t.dir), "SUDO_USER": ""})
    if r.code != 0:  # no usable library of the system either
        one_line(r, 6, "run tools/get-rocksdb")


@test
def the_tool_does_nothing_twice(t):
    t.need_rocksdb()
    r = t.sh(SOURCE / "tools" / "get-rocksdb")
    path = r.out.strip()
    before = os.stat(path).st_mtime_ns
    assert t.sh(SOURCE / "tools" / "get-rocksdb").out.strip() == path and os.stat(path).st_mtime_ns == before


@test
def the_tool_says_what_is_missing(t):
    env = {"PATH": str(t.dir), "XDG_CACHE_HOME": str(t.dir / "cache"), "HOME": str(t.dir)}
    python = shutil.which("python3")
    p = subprocess.run([os.path.realpath(python), SOURCE / "tools" / "get-rocksdb", "--fetch"], env=env,
                       capture_output=True, text=True, timeout=60)
    assert p.returncode == 6 and p.stdout == "" and "mvn is not on this machine" in p.stderr, p
    (t.dir / "mvn").write_text("#!/bin/sh\necho '[ERROR] cannot resolve host'\nexit 1\n")
    os.chmod(t.dir / "mvn", 0o755)
    p = subprocess.run([os.path.realpath(python), SOURCE / "tools" / "get-rocksdb", "--fetch"], env=env,
                       capture_output=True, text=True, timeout=60)
    assert p.returncode == 6 and p.stdout == "" and "cannot resolve host" in p.stderr, p
    # The build goes on without, and says what that costs.
    p = subprocess.run([os.path.realpath(python), SOURCE / "tools" / "get-rocksdb", "--try"], env=env,
                       capture_output=True, text=True, timeout=60)
    assert p.returncode == 0 and p.stdout == "" and "'agavectl shreds'" in p.stderr, p
    assert not list(t.dir.glob("cache/**/*.so"))


main()
