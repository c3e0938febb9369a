#!/usr/bin/env python3
"""agavectl log reopen: real Agave goes on in a new file when its log was moved, by hand and by the real logrotate with
the file that prepare writes; nobody is sent a signal that would end him. /etc is a copy in a namespace of the test's own."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import agave
from harness import BIN, Skip, main, test


def config(t, ledger, log, **more):
    path = t.dir / "agavectl.yaml"
    path.write_text(json.dumps({"validator": {"uid": 0, "gid": 0, "ledger": str(ledger), "log": str(log)},
                                "storage": {"kind_root": "", "bind": "", **more},
                                "state_dir": str(t.dir / "state"), "journal_dir": str(t.dir / "op")}))
    return path


def run(t, ns, *args):
    enter = ns.enter()
    return t.run(*enter[1:], *args, bin=shutil.which(enter[0]))


def grows(t, path):
    size = path.stat().st_size
    t.until(f"more lines in {path}", lambda: path.stat().st_size > size, 30)


def is_open(pid, path):
    want = path.stat()
    return any(os.path.samestat(want, s) for s in map(stat_of, Path(f"/proc/{pid}/fd").iterdir()) if s)


def stat_of(path):
    try:
        return path.stat()
    except OSError:
        return None


def own_etc(t, ns):
    """A copy of /etc that only this namespace sees."""
    for part in ("upper", "work"):
        (t.dir / "etc" / part).mkdir(parents=True, exist_ok=True)
    mounts = [["mount", "-t", "tmpfs", "tmpfs", t.dir / "etc"], ["mkdir", t.dir / "etc/upper", t.dir / "etc/work"],
              ["mount", "-t", "overlay", "overlay", "-o",
               f"lowerdir=/etc,upperdir={t.dir}/etc/upper,workdir={t.dir}/etc/work", "/etc"]]
    for m in mounts:
        p = subprocess.run([*ns.enter(), *map(str, m)], capture_output=True, text=True)
        if p.returncode:
            raise Skip(f"no /etc of the test's own: {p.stderr.strip()}", part="mounts")


def prepare(t, ns, cfg, *args):
    return run(t, ns, BIN, "--no-lab", "-c", cfg, "prepare", *args)


def check(t, ns, cfg, *what):
    r = run(t, ns, BIN, "--no-lab", "-c", cfg, "check", *what, "-o", "json")
    return {f["id"]: f for f in json.loads(r.out)["findings"]}


def etc_of(ns):
    """What the namespace's /etc holds where prepare writes."""
    p = subprocess.run([*ns.enter(), "find", "/etc/logrotate.d", "/etc/security", "-type", "f", "-printf",
                        "%p %m %u %s %T@\n"], capture_output=True, text=True)
    return sorted(p.stdout.splitlines())


def by_hand(t, ns, node, cfg, log):
    """Moved, then told: the new file has the new lines, the old one is closed."""
    pid, old = node.process.pid, log.with_name("moved")
    log.rename(old)
    r = run(t, ns, BIN, "--no-lab", "-c", cfg, "log", "reopen", "-o", "json")
    assert r.code == 0 and json.loads(r.out) == {"schema_version": 1, "changed": True, "pid": pid}, r
    assert is_open(pid, log)
    grows(t, log)
    assert not is_open(pid, old), "it still has the moved file open"
    assert node.process.poll() is None
    r = run(t, ns, BIN, "--no-lab", "-c", cfg, "log", "reopen")
    assert r.code == 0 and f"process {pid} has opened" in r.out, r


def by_logrotate(t, ns, node, cfg, log):
    logrotate = shutil.which("logrotate") or "/usr/sbin/logrotate"
    if not Path(logrotate).exists():
        t.not_real("logrotate", "not installed")
        return
    own_etc(t, ns)
    before = etc_of(ns)
    r = prepare(t, ns, cfg, "--apply", "logrotate", "limits")
    assert r.code == 0 and node.process.poll() is None, r
    found = check(t, ns, cfg, "logrotate", "limits")
    assert all(found[i]["severity"] == "ok" for i in ("logrotate.file", "logrotate.log", "limits.file")), found
    plan = prepare(t, ns, cfg, "-o", "json", "logrotate", "limits")
    assert plan.code == 0 and json.loads(plan.out)["plan"] == [], plan
    for n in (1, 2):
        r = run(t, ns, logrotate, "-f", "-s", t.dir / "logrotate.state", "/etc/logrotate.d/agavectl")
        assert r.code == 0 and not r.err, r
        assert is_open(node.process.pid, log) and node.process.poll() is None
        grows(t, log)
    names = {p.name for p in log.parent.iterdir() if p.name.startswith(log.name)}
    assert names == {log.name, log.name + ".1", log.name + ".2.gz"}, names
    t.real("logrotate", "turns the log of real Agave")
    r = prepare(t, ns, cfg, "--undo", "--apply", "logrotate", "limits")
    assert r.code == 0 and node.process.poll() is None, r
    assert etc_of(ns) == before, (before, etc_of(ns), r)


@test
def real_agave_goes_on_in_a_new_log(t):
    t.need_root()
    ns = agave.Namespaces(t)
    node = agave.VotingNode(t, ns)
    log = node.dir / "log"
    cfg = config(t, node.dir / "ledger", log)
    node.wait_ready()
    t.real("agave", agave.VERSION)
    by_hand(t, ns, node, cfg, log)
    by_logrotate(t, ns, node, cfg, log)


LOCKER = """import fcntl, signal, sys
f = open(sys.argv[1], "w")
fcntl.flock(f, fcntl.LOCK_EX)
if sys.argv[2] == "deaf":
    signal.signal(signal.SIGUSR1, lambda *a: None)
print("ready", flush=True)
sys.stdin.read()
"""


def locker(t, kind):
    p = subprocess.Popen([sys.executable, "-c", LOCKER, t.dir / "ledger.lock", kind], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True)
    t.later(lambda: (p.stdin.close(), p.stdout.close(), p.wait(10)))
    assert p.stdout.readline() == "ready\n"
    return p


@test
def nobody_runs(t):
    t.need_root()
    cfg = config(t, t.dir, t.dir / "log")
    for _ in range(2):
        r = t.run("--no-lab", "-c", cfg, "log", "reopen")
        assert r.code == 0 and r.out == "no validator runs\n", r
        (t.dir / "ledger.lock").write_text("")


@test
def one_that_would_die_of_it_is_left_alone(t):
    t.need_root()
    cfg, p = config(t, t.dir, t.dir / "log"), locker(t, "plain")
    r = t.run("--no-lab", "-c", cfg, "log", "reopen")
    assert r.code == 4 and f"process {p.pid} holds the ledger's lock and would be ended" in r.err, r
    assert p.poll() is None


@test
def one_that_does_not_open_it_is_told(t):
    t.need_root()
    cfg, p = config(t, t.dir, t.dir / "log"), locker(t, "deaf")
    r = t.run("--no-lab", "-c", cfg, "log", "reopen")
    assert r.code == 5 and "is '" in r.err and "its log?" in r.err, r
    assert p.poll() is None


@test
def a_user_is_refused(t):
    t.need_root()
    t.dir.chmod(0o755)
    cfg = config(t, t.dir, t.dir / "log")
    r = t.run("--reuid", "65534", "--clear-groups", BIN, "--no-lab", "-c", cfg, "log", "reopen",
              bin=shutil.which("setpriv"))
    assert r.code == 4, r


main()
