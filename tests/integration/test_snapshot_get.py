"""agavectl snapshot get: the right pair arrives, whatever the nodes do, and can be gone on with."""
import fcntl
import hashlib
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios

import world
from harness import BIN, main, test

world.enter()
MIB = 1 << 20


def get(t, w, *argv, out=None, code=0, rpc=(0,)):
    out = out or t.dir / "out"
    r = t.run("--no-lab", "snapshot", "get", "-o", "json", "--out", out, *(x for n in rpc for x in ("--rpc", w.url(n))), *argv,
              env={"XDG_STATE_HOME": str(t.dir / "state")})
    assert r.code == code, r
    lines = [json.loads(x) for x in r.out.splitlines()]
    assert not lines or lines[-1]["event"] == "result" and lines[-1]["ok"] == (code == 0), r
    return lines, r


def the_world(t, *flags, nodes=9, full=8, incr=2):
    w = world.World(t, "--nodes", nodes, "--spread", *flags)
    return (w, *w.big(full, incr))


def same_as_served(w, folder, name, node=0):
    body = w.request(node, "GET", "/" + name, timeout=60)[2]
    return hashlib.sha256(body).digest() == hashlib.sha256((folder / name).read_bytes()).digest()


def files(folder):
    return sorted(f.name for f in folder.iterdir() if f.is_file())


@test
def a_pair_with_everything_that_is_known_of_it(t):
    w, full, incr = the_world(t)
    lines, r = get(t, w)
    out = t.dir / "out"
    assert files(out) == sorted([full, incr]), (files(out), r)
    assert same_as_served(w, out, full) and same_as_served(w, out, incr)
    plan = next(x for x in lines if x["event"] == "plan")
    assert plan["full"] == full and plan["incremental"] == incr and plan["full_trust"].startswith("peers:"), plan
    assert plan["full_sources"] == 12 and plan["disk_need_b"] > 12 * MIB, plan
    done = [x for x in lines if x["event"] == "fetched"]
    assert [x["file"] for x in done] == [full, incr] and done[0]["size_b"] == (out / full).stat().st_size, done
    end = lines[-1]
    assert end["fetched"] == [full, incr] and end["full"] == full and end["incremental"] == incr, end
    note = json.loads((out / ".agavectl" / (full + ".json")).read_text())
    assert note["verify"] == "structure" and note["trust"].startswith("peers:") and note["sources"], note
    assert (out / full).stat().st_mode & 0o777 == 0o644
    # again: what is here is not fetched again
    sent = w.bytes()
    lines, r = get(t, w)
    assert lines[-1]["fetched"] == [] and w.bytes() == sent, lines[-1]


@test
def the_text_of_it(t):
    w, full, incr = the_world(t)
    r = t.run("--no-lab", "snapshot", "get", "--rpc", w.url(0), "--out", t.dir / "out", env={"XDG_STATE_HOME": str(t.dir)})
    assert r.code == 0 and re.search(r"2 archives in .*; slot [\d,]+, [\d,]+ behind the tip", r.out), r
    assert re.search(rf"done {re.escape(full)}: .* from \d+ sources?, verified", r.err) and "trust: peers:" in r.err, r


def on_a_terminal(columns, argv, env):
    """Exit status and what a terminal of that width is sent."""
    pid, fd = pty.fork()
    if pid == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        os.execve(argv[0], argv, env)
    sent = b""
    while True:
        try:
            part = os.read(fd, 65536)
        except OSError:
            break
        if not part:
            break
        sent += part
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), sent.decode()


SIZE = r"\d+(\.\d)?\ ([KMGT]i)?B"
PART = re.compile(rf"""\d+\ %|{SIZE}\ of\ {SIZE}|{SIZE}/s|(\d+\ (ms|s|min|h)\ ?)+\ left|verified\ \d+\ %
                    |[\d.]+:\d+\ {SIZE}/s|\d+\ more|{SIZE}\ read\ again\ to\ compare|waiting\ for\ the\ first\ bytes
                    |asking\ who\ has\ what""", re.X)


@test
def the_line_that_is_rewritten_fits_and_no_number_is_cut(t):
    w, full, incr = the_world(t, full=32)
    w.fault("ranges", 1, 3, 11)
    w.fault("slow", 1 * MIB, 0, 11)
    for columns in (60, 80, 120):
        code, sent = on_a_terminal(columns, [str(BIN), "--no-lab", "snapshot", "get", "--rpc", w.url(0), "--out",
                                             str(t.dir / f"out{columns}")],
                                   {**os.environ, "XDG_STATE_HOME": str(t.dir), "NO_COLOR": "1"})
        assert code == 0, sent
        assert set(re.findall(r"\x1b\[[0-9;]*[A-Za-z]", sent)) == {"\x1b[K"}, sent
        rewritten = re.findall(r"\r\x1b\[K(  \.\.\.  [^\r]*)", sent)
        assert any(" left" in x for x in rewritten) and max(map(len, rewritten)) < columns, rewritten
        for part in (x for line in rewritten for x in re.split("[,;] ", line.removeprefix("  ...  "))):
            assert PART.fullmatch(part) or full.startswith(part) or incr.startswith(part), (columns, part)


@test
def dry_run_fetches_nothing(t):
    w, full, incr = the_world(t)
    (t.dir / "out").mkdir()
    sent = w.bytes()
    r = t.run("--no-lab", "snapshot", "get", "--rpc", w.url(0), "--out", t.dir / "out", "--dry-run")
    assert r.code == 0 and full in r.out and incr in r.out and "are free" in r.out and "sources" in r.out, r
    assert w.bytes() == sent and files(t.dir / "out") == []


@test
def one_of_the_two(t):
    w, full, incr = the_world(t)
    get(t, w, "--full-only")
    assert files(t.dir / "out") == [full]
    r = get(t, w, "--incremental-only", out=t.dir / "other", code=1)[1]
    assert "has no full snapshot" in r.err, r
    lines, _ = get(t, w, "--incremental-only")
    assert lines[-1]["fetched"] == [incr] and files(t.dir / "out") == sorted([full, incr]), lines[-1]


@test
def too_few_witnesses(t):
    w, full, incr = the_world(t)
    w.fault("dead", 1, 0, 2)
    w.fault("dead", 1, 6, 11)
    r = get(t, w, code=1, rpc=(3,))[1]
    assert "untrusted" in r.err and "--trust-any" in r.err, r
    assert not (t.dir / "out").exists()
    lines, _ = get(t, w, "--trust-any", rpc=(3,))
    assert lines[-1]["fetched"] == [full, incr], lines[-1]
    assert json.loads((t.dir / "out" / ".agavectl" / (full + ".json")).read_text())["trust"] == "any"


@test
def nodes_that_fail_are_left_and_those_that_lie_remembered(t):
    w, full, incr = the_world(t, full=24)
    for node, (name, value) in {3: ("stalls", 30), 4: ("drops", 30), 5: ("slow", 100 << 10), 6: ("lies", 1), 7: ("short", 1),
                                8: ("vanishes", 1), 9: ("error", 1)}.items():
        w.fault(name, value, node)
    w.fault("ranges", 1, 6)
    w.fault("ranges", 1, 10, 11)
    lines, r = get(t, w)
    w.heal()
    assert same_as_served(w, t.dir / "out", full) and same_as_served(w, t.dir / "out", incr), r
    black = t.dir / "state" / "agavectl" / "snapshot-blacklist.json"
    if os.geteuid() != 0 and black.exists():
        assert all(e["kind"] == "peer" for e in json.loads(black.read_text())["entries"])


@test
def names_and_lengths_that_no_snapshot_has(t):
    w, full, incr = the_world(t, nodes=20)
    for node, value in enumerate((1, 2, 3, 4, 5, 6, 7), 3):
        w.fault("bad-name", value, node)
    for node, value in enumerate((1, 2, 3, 4), 10):
        w.fault("length", value, node)
    w.fault("elsewhere", 1, 14)
    w.fault("loops", 1, 15)
    w.fault("trickle", 500, 16)
    w.fault("not-http", 1, 17)
    lines, r = get(t, w)
    w.heal()
    assert lines[-1]["fetched"] == [full, incr] and same_as_served(w, t.dir / "out", full), lines[-1]
    assert files(t.dir / "out") == sorted([full, incr])


@test
def interrupted_it_says_how_to_go_on_and_does(t):
    w, full, incr = the_world(t, full=48)
    w.fault("slow", 4 * MIB, 0, 11)
    out = t.dir / "out"
    argv = [BIN, "--no-lab", "snapshot", "get", "-o", "json", "--rpc", w.url(0), "--out", out]
    half = out / ("tmp-" + full)
    p = subprocess.Popen(list(map(str, argv)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in p.stdout:
        if json.loads(line).get("done_b", 0) > 4 * MIB:
            break
    p.send_signal(signal.SIGINT)
    _, err = p.communicate(timeout=20)
    assert p.returncode == 5 and "the same command goes on with it" in err, (p.returncode, err)
    assert half.exists() and not (out / full).exists()
    w.heal("slow")
    lines, _ = get(t, w)
    done = next(x for x in lines if x["event"] == "fetched")
    assert done["resumed_b"] > 3 * MIB and same_as_served(w, out, full), done


def tmpfs(t, name, options):
    folder = t.dir / name
    folder.mkdir()
    t.sh("mount", "-t", "tmpfs", "-o", options, name, folder)
    t.later(lambda: t.sh("umount", folder))
    return folder


def refused(t, w, folder, code, *words, user=None):
    """Before anybody is asked for anything, and nothing is made or changed."""
    asked = sum(n["requests"] for n in w.call("nodes"))
    argv = [BIN, "--no-lab", "snapshot", "get", "--rpc", w.url(0), "--out", folder]
    r = t.sh(*(["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []), *argv, check=False)
    assert r.code == code and all(x in r.err for x in words), r
    assert sum(n["requests"] for n in w.call("nodes")) == asked, r


@test
def nothing_is_made_before_something_is_to_be_fetched(t):
    w, full, incr = the_world(t)
    new = t.dir / "new" / "folder"
    r = t.run("--no-lab", "snapshot", "get", "--rpc", "http://127.0.0.1:1", "--out", new)
    assert r.code == 1 and "connection refused" in r.err and "--rpc" in r.err and not new.parent.exists(), r
    r = t.run("--no-lab", "snapshot", "get", "--rpc", w.url(0), "--out", new, "--dry-run")
    assert r.code == 0 and full in r.out and "are free" in r.out and not new.parent.exists(), r
    w.fault("html", 1, 0)
    r = get(t, w, out=new, code=1)[1]
    assert "web page instead of JSON-RPC" in r.err and "--rpc" in r.err and not new.parent.exists(), r
    w.heal()
    w.fault("no-snapshots", 1, 0, 11)
    r = get(t, w, out=new, code=1)[1]
    assert "12 no-snapshot" in r.err and "--source URL" in r.err and not new.parent.exists(), r
    w.heal()
    get(t, w, out=new)
    assert files(new) == sorted([full, incr])


@test
def a_folder_that_cannot_be_written_is_refused_at_once(t):
    t.need_root()
    w = the_world(t)[0]
    t.dir.chmod(0o755)
    there = t.dir / "there"
    there.mkdir()
    for folder in (there, there / "new"):
        refused(t, w, folder, 4, "user 65534 may not write into", str(there), "a folder of yours", user=65534)
    (t.dir / "file").write_text("")
    refused(t, w, t.dir / "file", 2, "is not a folder")
    refused(t, w, t.dir / "file" / "new", 2, "is not a folder")
    link = t.dir / "link"
    link.symlink_to(there)
    os.lchown(link, 65534, 65534)
    for folder in (link, link / "new"):
        refused(t, w, folder, 4, "is a link of user 65534", str(there))
    (t.dir / "nowhere").symlink_to(t.dir / "absent")
    refused(t, w, t.dir / "nowhere" / "new", 1, "is a link to", "absent', which is not there")
    refused(t, w, tmpfs(t, "frozen", "ro"), 4, "is mounted read-only")
    (there / ".agavectl").mkdir()
    os.chown(there / ".agavectl", 65534, 65534)
    refused(t, w, there, 4, "/.agavectl'")
    refused(t, w, tmpfs(t, "small", "size=32m"), 1, "no room in", "32.0 MiB are free", "1.0 GiB must be left")
    assert sorted(x.name for x in there.iterdir()) == [".agavectl"]
    os.lchown(link, 0, 0)
    (there / ".agavectl").rmdir()
    get(t, w, out=link)     # a link of root's own


@test
def no_room_is_said_before_the_first_byte(t):
    t.need_root()
    w, full, incr = the_world(t, full=64)
    small = tmpfs(t, "small", "size=1050m")
    sent = w.bytes()
    r = get(t, w, out=small, code=1)[1]
    assert "no room" in r.err and "are needed" in r.err and "are free" in r.err, r
    assert w.bytes() == sent and files(small) == []


@test
def a_disk_that_becomes_full_says_what_is_missing(t):
    t.need_root()
    w, full, incr = the_world(t, full=48)
    out = tmpfs(t, "out", "size=1200m")
    w.fault("slow", 1 * MIB, 0, 11)
    p = subprocess.Popen(list(map(str, [BIN, "--no-lab", "snapshot", "get", "-o", "json", "--rpc", w.url(0), "--out", out])),
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in p.stdout:
        if json.loads(line).get("done_b", 0) > 2 * MIB:
            break
    other = os.open(out / "other", os.O_WRONLY | os.O_CREAT)
    p.send_signal(signal.SIGSTOP)   # the disk becomes full between two looks
    os.posix_fallocate(other, 0, 700 * MIB)
    p.send_signal(signal.SIGCONT)
    _, err = p.communicate(timeout=60)
    assert p.returncode == 1, (p.returncode, err)
    missing = re.search(r"(\d+) MiB more must be free; .*what has arrived is kept: make room, and the same command goes on", err)
    assert missing and 450 < int(missing[1]) < 620, err
    os.close(other)
    (out / "other").unlink()
    w.heal("slow")
    lines, _ = get(t, w, out=out)
    done = next(x for x in lines if x["event"] == "fetched")
    assert done["resumed_b"] > 1 * MIB and same_as_served(w, out, full), done


@test
def what_makes_no_sense_is_said(t):
    for argv, words in ((["--rpc", "http://a"], "no folder is known"),
                        (["--rpc", "http://a", "--out", ""], "must not be empty"),
                        (["--rpc", "http://a", "--out", "x", "--full-only", "--incremental-only"], "exclude each other"),
                        (["--rpc", "http://a", "--out", "x", "--verify", "most"], "'most' is not one of none, structure, full"),
                        (["--rpc", "http://a", "--out", "x", "--io-class", "realtime"], "is not one of idle, best-effort"),
                        (["--out", "x"], "nobody to ask is known")):
        r = t.run("--no-lab", "snapshot", "get", *argv)
        assert r.code == 2 and words in r.err, r


main()
