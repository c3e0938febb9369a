"""Snapshots on this host: verify, list and prune from the command line, and whether real Agave begins from what
`snapshot list` says."""
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess

import agave
from harness import BIN, SOURCE, main, test

ARCHIVES = SOURCE / "tests" / "data" / "snapshots"
F100 = "snapshot-100-GupLekLKvChSdAVpYZvMdESWrG1UFBr7rgcGPq5exWnR.tar.zst"
F802 = "snapshot-802-5vz4jENNJdy3VU1fUMjz9qomfbEaExGFtyJtmcTtQDYq.tar.zst"
F1202 = "snapshot-1202-3kZy2zZ3QQDmdAadiZe4pCsP8ZS8MU4pRcRsVZUxVVfF.tar.zst"
I1102 = "incremental-snapshot-802-1102-AoNd8oJEBQNiREzWyRUXYkwgpteeWNRzDYEY4PYRQ9rM.tar.zst"


def folder(t, *names):
    d = t.dir / "snapshots"
    d.mkdir()
    for name in names:
        shutil.copy(ARCHIVES / name, d / name)
    return d


def run(t, *args, code=0, **kw):
    r = t.run("--no-lab", "snapshot", *args, **kw)
    assert r.code == code, r
    return r


def as_json(t, *args, code=0):
    return json.loads(run(t, *args, "-o", "json", code=code).out)


@test
def verify_says_what_is_proven(t):
    r = run(t, "verify", ARCHIVES / F100, ARCHIVES / I1102)
    assert r.out.count(": good\n") == 2 and r.out.count("not proven  the sum over all accounts") == 2, r
    assert r.out.count("proven      the hash in the name is that of the bank's lattice hash") == 2, r
    f = as_json(t, "verify", ARCHIVES / I1102)["files"][0]
    assert f["ok"] is True and f["hash"] == "proven" and f["base"] == 802 and f["slot"] == 1102, f


@test
def another_hash_is_bad_only_where_that_is_known(t):
    d = folder(t)
    other = d / F100.replace("GupLekLKvChSdAVpYZvMdESWrG1UFBr7rgcGPq5exWnR", F802.split("-")[2].split(".")[0])
    shutil.copy(ARCHIVES / F100, other)
    f = as_json(t, "verify", other)["files"][0]
    assert f["ok"] is True and f["hash"] == "not-checkable" and f["bank_hash"] in F100, f
    assert any("--agave-version" in why for why in f["not_proven"]), f
    f = as_json(t, "verify", "--agave-version", "3.0.14", other, code=3)["files"][0]
    assert f["ok"] is False and "not the one in its name" in f["error"], f
    f = as_json(t, "verify", "--verify=structure", "--agave-version", "3.0.14", other)["files"][0]
    assert f["ok"] is True and f["hash"] == "not-asked", f
    assert any("would not load it" in why for why in f["not_proven"]), f
    assert all(any(word in why for why in f["not_proven"]) for word in ("no checksums", "status cache")), f


@test
def damage_and_what_cannot_be_looked_at(t):
    d = folder(t, F100)
    cut = d / F802
    cut.write_bytes((ARCHIVES / F802).read_bytes()[:-100])
    gone, old = d / F1202, d / F100.replace(".zst", ".bz2")
    old.write_bytes(b"x")
    files = as_json(t, "verify", cut, gone, old, d / F100, code=3)["files"]
    assert [f["ok"] for f in files] == [False, None, False, True], files
    assert "cut off" in files[0]["error"] and "up to 2.3" in files[2]["error"], files
    r = run(t, "verify", cut, gone, code=3)
    assert f"{cut}: bad: " in r.out and f"{gone}: not looked at: " in r.out, r
    assert t.run("--no-lab", "snapshot", "verify").code == 2


@test
def list_without_a_config(t):
    d = folder(t, F100, F802, I1102)
    shutil.copy(ARCHIVES / F1202, d / ("tmp-" + F1202))
    (d / ".agavectl").mkdir()
    shutil.copy(ARCHIVES / F1202, d / ".agavectl" / F1202)
    got = as_json(t, "list", "--snapshots", d, "--agave-version", "3.0.14")
    load = got["would_load"]
    assert load["from"] == "archives" and load["slot"] == 1102 and load["doubts"] == [], got
    assert load["full"].endswith(F802) and load["incremental"].endswith(I1102), got
    assert {(f["slot"], f["kind"], f["where"]) for f in got["files"]} == {
        (100, "full", "here"), (802, "full", "here"), (1102, "incremental", "here"), (1202, "half", "here"),
        (1202, "full", "waiting")}, got
    r = run(t, "list", "--snapshots", os.path.relpath(d), "--explain")
    assert re.search(r"^\* +802 +full .* the highest full archive$", r.out, re.M), r
    assert "a start of Agave: the full archive of slot 802 and the incremental to slot 1102" in r.out, r
    assert t.run("--no-lab", "snapshot", "list").code == 2
    assert t.run("--no-lab", "snapshot", "list", "--snapshots", d, "--agave-version", "2.3.1").code == 2


@test
def list_looks_where_the_validator_does(t):
    d = folder(t, F100, F802)
    r = run(t, "list", d)
    assert "a start of Agave: the full archive of slot 802" in r.out, r
    assert t.run("--no-lab", "snapshot", "list", d, "--snapshots", d).code == 2
    for name, archive in (("full", F100), ("incr", I1102)):
        (d / name).mkdir()
        shutil.copy(ARCHIVES / archive, d / name)
    config = t.dir / "agavectl.yaml"
    config.write_text(json.dumps({"validator": {
        "snapshots": str(d), "bin": "/bin/true", "accounts": str(t.dir / "accounts"),
        "args": ["--full-snapshot-archive-path", str(d / "full"),
                 f"--incremental-snapshot-archive-path={d / 'incr'}"]}}))
    got = json.loads(t.run("-c", config, "snapshot", "list", "-o", "json", "--agave-version", "3.0.14").out)
    assert got["full_dir"] == str(d / "full") and got["incremental_dir"] == str(d / "incr"), got
    assert got["would_load"]["full"] == str(d / "full" / F100), got
    assert {(f["slot"], f["where"]) for f in got["files"]} == {
        (100, "apart"), (802, "apart"), (100, "here"), (1102, "here")}, got
    r = t.run("-c", config, "snapshot", "list", "--explain")
    assert f"where such archives are not looked for; that is '{d / 'full'}'" in r.out, r
    shutil.copy(ARCHIVES / F802, d / "full")
    r = t.run("-c", config, "snapshot", "prune", "--yes")
    assert r.code == 0 and os.listdir(d / "full") == [F802], r
    assert (d / F100).exists() and os.listdir(d / "incr") == [I1102], r


RUNS = """
hold='import fcntl, signal, sys; f = open(sys.argv[2] + "/ledger.lock", "wb"); fcntl.flock(f, fcntl.LOCK_EX); signal.pause()'
(exec -a agave-validator python3 -c "$hold" --ledger {ledger} --snapshots {d} --full-snapshot-archive-path {d}/full) &
for i in $(seq 300); do flock -n {ledger}/ledger.lock true || break; sleep 0.1; done
{agavectl} --no-lab snapshot list -o json --agave-version 3.0.14; code=$?
kill $!; wait $!; exit $code
"""


@test
def list_looks_where_the_one_that_runs_was_told_to(t):
    """In a namespace of processes of its own: others on this host may run validators."""
    t.need_root()
    d, ledger = folder(t, F802, I1102), t.dir / "ledger"
    for p in (d / "full", ledger):
        p.mkdir()
    (ledger / "ledger.lock").touch()
    shutil.copy(ARCHIVES / F100, d / "full")
    script = RUNS.format(d=d, ledger=ledger, agavectl=BIN)
    r = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--mount-proc", "bash", "-c", script], capture_output=True, text=True,
                       timeout=60)
    assert r.returncode == 0, r
    got = json.loads(r.stdout)
    assert (got["dir"], got["full_dir"], got["incremental_dir"]) == (str(d), str(d / "full"), str(d)), got
    assert got["would_load"]["full"] == str(d / "full" / F100), got


@test
def prune_asks_and_keeps_what_is_needed(t):
    d = folder(t, F100, F802, I1102)
    args = ["prune", "--snapshots", d]
    r = run(t, *args, "--plan")
    assert re.search(rf"^remove .* {F100} ", r.out, re.M) and re.search(rf"^keep .* {F802} ", r.out, re.M), r
    r = run(t, *args, code=4)
    assert "there is no terminal to ask on" in r.err and F100 in r.err, r
    r = run(t, *args, "--yes", F802, code=4)
    assert f"--destroy='{F802}'" in r.err, r
    assert sorted(os.listdir(d)) == sorted([F100, F802, I1102]), os.listdir(d)
    got = as_json(t, *args, "--yes")
    assert got["changed"] is True and got["running"] is None, got
    assert sorted(os.listdir(d)) == sorted([F802, I1102]), os.listdir(d)
    assert as_json(t, *args, "--yes")["changed"] is False
    r = run(t, *args, "--yes", f"--destroy={I1102}")
    assert "a start would then take the full archive of slot 802" in r.out, r
    assert os.listdir(d) == [F802], os.listdir(d)


@test
def prune_leaves_what_is_being_fetched(t):
    d = folder(t, F802)
    half, side = d / ("tmp-" + F100), d / ".agavectl"
    shutil.copy(ARCHIVES / F100, half)
    half.chmod(0o600)
    side.mkdir()
    with open(side / (F100 + ".map"), "wb") as map_file:
        fcntl.flock(map_file, fcntl.LOCK_EX)
        assert as_json(t, "prune", "--snapshots", d, "--yes")["changed"] is False
        assert half.exists()
    assert as_json(t, "prune", "--snapshots", d, "--yes")["changed"] is True
    assert not half.exists() and not (side / (F100 + ".map")).exists()


class Node:
    """The cluster's voting node, started again and again on the same folders."""

    def __init__(self, t, ns):
        self.t, self.dir, self.ns, self.n = t, t.dir / "node", ns, 0
        self.argv = [str(a) for a in agave.voting_node_argv(t, self.dir)]
        at = self.argv.index("--snapshot-interval-slots")
        self.argv[at + 1] = "25"
        self.log = self.dir / "log"
        t.later(self.stop)

    def start(self):
        self.log.unlink(missing_ok=True)
        self.n += 1
        env = dict(os.environ, **dict(e.split("=", 1) for e in agave.preload()))
        self.process = subprocess.Popen([*self.ns.enter(), *self.argv], env=env, stdin=subprocess.DEVNULL,
                                        stdout=open(self.dir / f"out{self.n}", "wb"), stderr=subprocess.STDOUT)

    def begins_from(self):
        """What its log says that it loads."""
        said = {"bank": r"Loading bank from snapshot dir: .*/(\d+)",
                "archives": r"Loading bank from full snapshot archive: .*snapshot-(\d+)-",
                "genesis": r"No snapshot package found.*will load from (genesis)"}

        def look():
            text = self.log.read_text(errors="replace") if self.log.exists() else ""
            for what, pattern in said.items():
                m = re.search(pattern, text)
                if m:
                    return what, m.group(1), text
            assert self.process.poll() is None, text[-2000:]
            return None

        return self.t.until("the log of what is loaded", look, 60, 0.2)

    def leave(self):
        """The clean end, by its admin socket: only then 3.0 marks its local state as loadable."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.argv[self.argv.index("--ledger") + 1] + "/admin.rpc")
            s.sendall(b'{"jsonrpc":"2.0","id":1,"method":"exit"}\n')
            s.recv(4096)
        self.process.wait(60)

    def stop(self):
        if self.n and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)


def told(t, node):
    return as_json(t, "list", "--snapshots", node.dir / "snapshots", "--accounts", node.dir / "accounts",
                   "--agave-version", agave.VERSION)


@test
def agave_begins_from_what_list_says(t):
    t.need_root()
    agave.program("agave-validator")
    agave.raise_sysctls(t)
    node = Node(t, agave.Namespaces(t))
    load = told(t, node)["would_load"]
    assert (load["from"], load["slot"]) == ("archives", 100), load
    node.start()
    assert node.begins_from()[:2] == ("archives", "100")

    # It makes its own: the local state is as new as the archives then, and loadable after a clean end.
    t.until("a bank snapshot", lambda: told(t, node)["bank_snapshots"], 120, 0.5)
    assert told(t, node)["would_load"]["from"] == "archives"
    node.leave()
    got = told(t, node)
    load = got["would_load"]
    assert load["from"] == "bank" and load["doubts"] == [] and load["slot"] > 100, got
    assert load["full"].endswith(F100) and got["bank_snapshots"][0]["accounts"] is True, got
    node.start()
    assert node.begins_from()[:2] == ("bank", str(load["slot"]))
    t.real("agave", f"{agave.VERSION} began from archives and from its local state, as told")
    node.stop()

    # A higher full archive beside it, and 3.0 does not take the local state any more.
    snapshots = node.dir / "snapshots"
    shutil.copy(t.data("agave", "snapshots") / F802, snapshots)
    load = told(t, node)["would_load"]
    assert (load["from"], load["slot"]) == ("archives", 802), load
    r = run(t, "prune", "--snapshots", snapshots, "--agave-version", agave.VERSION, "--plan")
    assert re.search(rf"^keep .* {F802} ", r.out, re.M), r
    node.start()
    assert node.begins_from()[:2] == ("archives", "802")
    node.stop()

    # And without any, whatever else is there, it begins from genesis.
    for archive in snapshots.glob("snapshot-*"):
        archive.unlink()
    got = told(t, node)
    assert got["would_load"]["from"] == "genesis", got
    node.start()
    assert node.begins_from()[0] == "genesis"
    t.real("agave", f"{agave.VERSION} left its local state for a higher archive, and began from genesis without one")
    node.stop()


@test
def a_wrong_path_is_told_from_a_bad_archive(t):
    d = folder(t, F100)
    r = run(t, "verify", d, code=3)
    assert "not looked at: it is a folder" in r.out, r
    r = run(t, "verify", t.dir / F100, code=3)
    assert "not looked at: it cannot be opened" in r.out and ": bad" not in r.out, r
    os.truncate(d / F100, 1000)
    r = run(t, "verify", os.path.relpath(d / F100), code=3)
    assert r.out.startswith(f"{os.path.relpath(d / F100)}: bad: the file is cut off"), r


@test
def get_ends_with_a_result_when_what_is_here_is_broken(t):
    d = folder(t, F100)
    os.truncate(d / F100, 1000)
    r = run(t, "get", "--rpc", "http://127.0.0.1:1", "--out", d, "-o", "json", code=1)
    lines = [json.loads(line) for line in r.out.splitlines()]
    assert [e["event"] for e in lines] == ["step", "result"] and lines[-1]["ok"] is False, r
    assert "move it away" in lines[-1]["error"], r


@test
def what_is_odd_is_said(t):
    d = folder(t, F802)
    shutil.copy(ARCHIVES / F100, d / "snapshot-100.tar.zst")
    (d / F100).symlink_to(ARCHIVES / F100)
    (d / ".agavectl").symlink_to("/etc")
    r = run(t, "list", d)
    assert f"odd: '{d}/snapshot-100.tar.zst' is not the name of an archive" in r.out, r
    assert f"odd: '{d}/.agavectl' is no folder, or a link" in r.out, r
    assert len(as_json(t, "list", f"{d}/.")["odd"]) == 2 and as_json(t, "list", f"{d}/")["dir"] == str(d)
    r = run(t, "verify", d / F100, d / f"tmp-{F100}", code=3)
    assert f"{d / F100}: not looked at: is a symbolic link" in r.out.replace(f"'{d / F100}' ", ""), r
    shutil.copy(ARCHIVES / F100, d / f"tmp-{F100}")
    r = run(t, "verify", d / f"tmp-{F100}", code=3)
    assert "it is half a download: 'snapshot get' goes on with it" in r.out, r
    (d / ".agavectl").unlink()
    if os.geteuid() == 0:                              # who may not look is told where
        os.chmod(t.dir, 0o755)
        os.chmod(d, 0o700)
        shutil.copy(BIN, t.dir)                        # where it may be run
        r = subprocess.run([t.dir / BIN.name, "--no-lab", "snapshot", "list", d], capture_output=True, text=True, user=65534, group=65534, cwd="/")
        assert r.returncode == 1 and f"cannot open '{d}': Permission denied" in r.stderr, r
    for name in ("gone", F802):
        assert run(t, "list", d / name, code=1).err.startswith("agavectl: snapshots: cannot open"), name


@test
def manual_and_readme_show_what_is_printed(t):
    said = run(t, "list", "--explain", "--snapshots", folder(t, F1202, F802, I1102), "--agave-version", "3.0.14").out
    assert said.count("\n") == 6, said
    manual = t.run("man").out.replace("\\-", "-")
    readme = (SOURCE / "README.md").read_text()
    for line in filter(None, said.splitlines()):
        assert f"\n  {line}\n" in manual, line
        assert f"\n{line}\n" in readme, line


main()
