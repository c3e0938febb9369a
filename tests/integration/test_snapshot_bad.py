"""agavectl snapshot get against what must never be believed: refused in the name of who sent it, never the end while another
source is left, and gone on with afterwards."""
import hashlib
import io
import json
import os
import shutil
import struct
import subprocess
import tarfile

import front
import world
from harness import BIN, Skip, main, test

world.enter()
MIB = 1 << 20


def get(t, *argv, out="out", code=0):
    out = t.dir / out
    r = t.run("--no-lab", "snapshot", "get", "-o", "json", "--out", out, *argv, env={"XDG_STATE_HOME": str(t.dir / f"state-{out.name}")})
    assert r.code == code, r
    return [json.loads(x) for x in r.out.splitlines()], r


def files(folder):
    return sorted(f.name for f in folder.iterdir() if f.is_file()) if folder.exists() else []


def same_as_served(w, folder, name):
    body = w.request(0, "GET", "/" + name, timeout=60)[2]
    return hashlib.sha256(body).digest() == hashlib.sha256((folder / name).read_bytes()).digest()


# fault, its value, what is said of the node; every one of them alone, so that nobody else could be meant
KINDS = (("loops", 1, "circle"), ("elsewhere", 1, "another place"), ("bad-name", 1, "upwards"), ("bad-name", 2, "no snapshot|upwards|status|names"),
         ("bad-name", 3, "no snapshot"), ("bad-name", 4, "no snapshot|upwards"), ("bad-name", 5, "another place"),
         ("bad-name", 6, "another place"), ("bad-name", 7, "no snapshot"), ("length", 1, "is empty"), ("length", 2, "9223372036854775808 bytes"),
         ("length", 3, "announced|bytes|closed"), ("length", 4, None), ("trickle", 200, "no answer within"), ("vanishes", 1, "status 404"),
         ("not-http", 1, "not HTTP"), ("drops", 50, "closed after"))


@test
def each_alone_is_named_and_gone_on_with(t):
    w = world.World(t, "--nodes", str(len(KINDS)), "--spread")
    full, incr = w.big(4, 1)
    for node, (fault, value, why) in enumerate(KINDS, 3):
        w.fault(fault, value, node)
        flags = ("--source", w.url(node), "--trust", w.url(node), "--no-discover")
        out = f"out-{fault}-{value}"
        _, r = get(t, *flags, out=out, code=1)
        assert w.host(node) in r.err and (not why or any(x in r.err for x in why.split("|"))), (fault, value, r)
        assert not [x for x in files(t.dir / out) if not x.startswith("tmp-")], (fault, value, files(t.dir / out))
        # beside another one it is no matter
        lines, _ = get(t, *flags, "--source", w.url(0), "--trust", w.url(0), out=out + "-beside")
        assert lines[-1]["fetched"] == [full, incr] and same_as_served(w, t.dir / (out + "-beside"), full), (fault, value, lines[-1])
        w.heal()
        shutil.rmtree(t.dir / f"state-{out}", ignore_errors=True)    # who sent damage would be left out
        lines, _ = get(t, *flags, out=out)
        assert lines[-1]["fetched"] == [full, incr] and same_as_served(w, t.dir / out, full), (fault, value, lines[-1])
        if fault == "drops":
            assert next(x for x in lines if x["event"] == "fetched")["resumed_b"] > 0, lines


def member(name, kind=tarfile.REGTYPE, link="", size=0):
    m = tarfile.TarInfo(name)
    m.type, m.linkname, m.size = kind, link, size
    return m


def crafted(real, *more, raw=b""):
    """The tar of a real archive with more members, and bytes of our own, before its end."""
    tar = subprocess.run(["zstd", "-dqc"], input=real, capture_output=True, check=True).stdout
    got = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(tar)) as old, tarfile.open(fileobj=got, mode="w", format=tarfile.GNU_FORMAT) as new:
        for m in old:
            new.addfile(m, old.extractfile(m) if m.isreg() else None)
        for m in more:
            new.addfile(m, io.BytesIO(bytes(m.size)))
        new.fileobj.write(raw)
    return got.getvalue()


def zstd(data):
    return subprocess.run(["zstd", "-qc", "-1"], input=data, capture_output=True, check=True).stdout


def zstd_frame(data, window_log):
    """A frame of stored blocks that asks for a window of 2^window_log bytes (RFC 8878, 3.1.1)."""
    got = [struct.pack("<IBB", 0xFD2FB528, 0, (window_log - 10) << 3)]
    for at in range(0, len(data), 1 << 17):
        part = data[at:at + (1 << 17)]
        got += [struct.pack("<I", len(part) << 3 | (at + len(part) == len(data)))[:3], part]
    return b"".join(got)


def sparse(name, size):
    """A GNU sparse member that claims size bytes and stores none."""
    head = bytearray(member(name).tobuf(tarfile.GNU_FORMAT))
    head[156:157] = b"S"
    head[386:398] = b"%011o\0" % 0
    head[483:495] = b"\x80\0\0\0" + struct.pack(">Q", size)
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head)


@test
def archives_that_would_do_harm(t):
    if not shutil.which("zstd"):
        raise Skip("no zstd program to make archives with")
    w = world.World(t, "--nodes", "6", "--spread")
    full, incr = w.big(4, 1)
    real = w.request(0, "GET", "/" + full, timeout=60)[2]
    slot = full.split("-")[1]
    cases = {
        "a link to a file": (zstd(crafted(real, member(f"accounts/{slot}.9", tarfile.SYMTYPE, "/etc/passwd"))), "link, device or pipe"),
        "a hard link": (zstd(crafted(real, member(f"accounts/{slot}.9", tarfile.LNKTYPE, "version"))), "link, device or pipe"),
        "a device": (zstd(crafted(real, member("snapshots/sda", tarfile.BLKTYPE))), "link, device or pipe"),
        "a pipe": (zstd(crafted(real, member("snapshots/pipe", tarfile.FIFOTYPE))), "link, device or pipe"),
        "upwards": (zstd(crafted(real, member("accounts/../../../etc/cron.d/x", size=10))), "accounts/.."),
        "absolute": (zstd(crafted(real, member("/etc/cron.d/x", size=10))), "/etc/cron.d/x"),
        "a sparse bomb": (zstd(crafted(real, raw=sparse(f"accounts/{slot}.9", 1 << 62))), "sparse"),
        "a size beyond all": (zstd(crafted(real, raw=sparse(f"accounts/{slot}.9", 1 << 62).replace(b"S", b"0", 1))), ""),
        "a window of 2 GiB": (zstd_frame(crafted(real), 31), "window"),
        "cut short": (real[:len(real) // 2], ""),
        "no archive": (os.urandom(MIB), ""),
    }
    for name, (body, why) in cases.items():
        def answer(method, path, head, body=body):
            return (200, {}, body) if path == "/" + full else None
        f = front.Front(t, w.host(3), answer=answer)
        out = name.replace(" ", "-")
        flags = ("--source", f.url, "--trust", f.url, "--no-discover", "--full-only")
        lines, r = get(t, *flags, out=out, code=1)
        assert f.hostport in r.err and why in r.err, (name, why, r)
        assert files(t.dir / out) == [], (name, files(t.dir / out))
        black = t.dir / f"state-{out}" / "agavectl" / "snapshot-blacklist.json"
        entries = json.loads(black.read_text())["entries"]
        assert f.url in [e["value"] for e in entries], (name, entries)
        assert full.split("-")[2].split(".")[0] not in [e["value"] for e in entries], (name, entries)   # the others' may be good
        # the same name at others, who have the right one
        lines, _ = get(t, *flags, "--source", w.url(0), "--source", w.url(4), out=out + "-beside")
        assert lines[-1]["fetched"] == [full] and same_as_served(w, t.dir / (out + "-beside"), full), (name, lines[-1])
        f.close()


@test
def a_disk_that_fills_in_the_middle(t):
    """Somebody else takes the room that was there when it began: said, nothing is lost, and gone on with."""
    t.need_root()
    w = world.World(t, "--nodes", "3", "--spread")
    full, incr = w.big(16, 4)
    w.fault("slow", 4 * MIB, 0, 5)
    out = t.dir / "small"
    out.mkdir()
    t.sh("mount", "-t", "tmpfs", "-o", "size=1200m", "small", out)
    t.later(lambda: t.sh("umount", out))
    flags = ("--rpc", w.url(0), "--min-peers", "1", "--max-rate", "6M")
    run = subprocess.Popen(list(map(str, (BIN, "--no-lab", "snapshot", "get", "-o", "json", "--out", out, *flags))), stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, env={**os.environ, "XDG_STATE_HOME": str(t.dir / "state")})
    for line in run.stdout:
        if json.loads(line).get("done_b", 0) > 2 * MIB:
            break
    filler = out / "filler"
    with open(filler, "wb") as f:
        try:
            while True:
                f.write(bytes(MIB))
                f.flush()
        except OSError:
            pass
    _, err = run.communicate(timeout=100)
    assert run.returncode == 1 and "No space left" in err and "make room" in err and full in err, (run.returncode, err)
    assert incr not in files(out)
    half = [x for x in files(out) if x.startswith("tmp-") or x == full]
    filler.unlink()
    w.heal()
    lines, _ = get(t, *flags, out="small")
    assert full not in lines[-1]["fetched"] or next(x for x in lines if x["event"] == "fetched")["resumed_b"] > MIB, lines
    assert half and same_as_served(w, out, full) and same_as_served(w, out, incr), (half, lines[-1])
    assert files(out) == sorted([full, incr]), files(out)


main()
