#!/usr/bin/env python3
"""tools/capture-host on this machine: what check says of the capture is what it says of the lab itself, and nothing
that may be private is in it."""
import importlib.machinery, importlib.util, json, os, re, shutil, socket, subprocess
from pathlib import Path

import lab
from harness import BUILD, SOURCE, Skip, main, test

TOOL = SOURCE / "tools" / "capture-host"
NS = Path("/run/agavectl/lab/ns")
CONFIG = "/run/agavectl/lab/agavectl.yaml"
# Stages whose answer is the machine's state and nothing that moves from one look to the next.
SAME = ["kernel", "volume", "ramdisk", "bind", "dirs", "sysctl", "limits", "fstab", "units", "kind-root"]


# Asked by writing a file, which is not done on a captured host.
TRIED = ["ramdisk.odirect"]


USER = re.compile(r"(login of) '[^']*'")  # a placeholder in the capture


def findings(answer, stages):
    return sorted((f["stage"], f["id"], f["severity"], USER.sub(r"\1 a user", f["what"]))
                  for f in json.loads(answer)["findings"] if f["stage"] in stages and f["id"] not in TRIED)


@test
def a_capture_answers_as_the_host(t):
    t.need_root()
    for program in ("nsenter", "blkid"):
        if not shutil.which(program):
            raise Skip(f"no {program}", part="namespaces")
    lab.up(t)
    r = t.run("up", "--lab", "--yes", timeout=300)
    assert r.code == 0, r
    mount = next(p for p in (NS / "mnt", NS / "mount") if p.exists())
    secret = "hunter2-" + os.urandom(6).hex()
    planted = Path("/etc/systemd/system/agavectl-capture-test.service")
    planted.write_text(f"[Service]\nEnvironment=SOLANA_TOKEN={secret}\nExecStart=/bin/true --password {secret} {socket.gethostname()} 8.8.4.4\n")
    t.later(planted.unlink)
    to = t.dir / "host"
    command = ["nsenter", f"--mount={mount}", f"--net={NS / 'net'}", str(TOOL), str(to), "--config", CONFIG,
               "--agavectl", str(BUILD / "agavectl")]
    t.sh(*command, timeout=180)
    live, captured = t.run("check", "--lab", "-o", "json"), t.run("check", "--root", to, "-o", "json")
    assert captured.code in (0, 3), captured
    stages = {s["name"] for s in json.loads(live.out)["stages"]}
    for stage in SAME:
        if stage in stages:
            a, b = findings(live.out, [stage]), findings(captured.out, [stage])
            assert a == b, (stage, [x for x in a if x not in b], [x for x in b if x not in a])
    nothing_private(to, secret)
    # Made again in the same place; a folder with other content is refused.
    t.sh(*command, timeout=180)
    assert t.run("check", "--root", to, "-o", "json").code == captured.code
    other = t.dir / "other"
    other.mkdir()
    (other / "x").write_text("mine")
    r = t.sh(*command[:4], str(other), *command[5:], check=False)
    assert r.code == 1 and "other content" in r.err and (other / "x").exists(), r
    t.real("namespaces", f"a capture of the lab, {len(list(to.rglob('*')))} files")


def nothing_private(to, secret):
    words = [secret, "8.8.4.4"]
    host = socket.gethostname()
    if host not in ("localhost", "validator") and len(host) > 4:
        words.append(host)
    identity = next(Path("/run/agavectl/lab").rglob("*identity*.json"), None)
    if identity:
        words.append(identity.read_text().strip()[:40])
    for path in to.rglob("*"):
        if path.is_file() and not path.is_symlink():
            text = path.read_text(errors="replace")
            for word in words:
                assert word not in text, (path, word)
            assert not re.search(r"PRIVATE KEY", text), path


def scrub():
    loader = importlib.machinery.SourceFileLoader("capture_host", str(TOOL))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("capture_host", loader))
    loader.exec_module(module)
    return module


@test
def secrets_become_placeholders(t):
    module = scrub()
    s = module.Scrub()
    pair = json.dumps(list(range(64)))
    words = {"token: abcdef123456": "abcdef", "--password hunter22": "hunter22", "api_key=\"k3y5\"": "k3y5", pair: "12, 13",
             "peer 8.8.4.4": "8.8.4.4", "peer 2001:4860:4860::8844": "4860", "link aa:bb:cc:dd:ee:ff": "aa:bb:cc",
             "https://key-in-name.rpc.example.com/v1/s3cret?x=1": "s3cret", "wwn-0x5000c500a1b2c3d4": "c500a1",
             "5" * 88: "5555", "-----BEGIN EC PRIVATE KEY-----\nMHcCAQ\n-----END EC PRIVATE KEY-----": "MHcCAQ"}
    for text, word in words.items():
        once = s(text)
        assert word not in once, (text, once)
        assert s(once) == once, (once, s(once))
    for text in ("127.0.0.1:8899", "10.244.0.7", "rev 3.0.14", "https://api.mainnet-beta.solana.com", "http://127.0.0.1:8899",
                 "UUID=4d6ab4e8-4a6c-4c0f-9d2c-0d4b8b7a2a11", "12:30:45", "/srv/solana/ledger", "snapshot-1-AoNd8oJEBQNiREzWyRUXYkwgpteeWNRzDYEY4PYRQ9rM"):
        assert s(text) == text, (text, s(text))
    assert s("8.8.4.4 8.8.8.8 8.8.4.4").split()[0] == s("8.8.4.4") != s("8.8.8.8")
    assert "hidden" not in s.assignments('Environment=NAME=hidden "OTHER=hidden"')
    assert module.without_values({"env": [{"value": "hidden"}], "a": {"annotations": {"x": "hidden"}, "b": [1]}}) == {"a": {"b": [1]}}
    assert module.hex_address(s, "0100007F:1F90") == "0100007F:1F90" and "04040808" not in module.hex_address(s, "04040808:1F90")


@test
def a_process_that_ends_meanwhile_is_left_out(t):
    capture = scrub().Capture
    with subprocess.Popen(["sleep", "60"]) as p:
        at = f"/proc/{p.pid}"
        assert capture.names(f"{at}/task") == [str(p.pid)]
        # its program may have to be read from a disk that is busy
        t.until("a process that waits for nothing but its time", lambda: not capture.is_stuck(f"{at}/task/{p.pid}"), 30)
        p.kill()
    assert capture.names(f"{at}/task") == [] and not capture.is_stuck(f"{at}/task/{p.pid}")


@test
def it_says_what_it_needs(t):
    r = t.sh(TOOL, t.dir / "x", "--config", t.dir / "none.yaml", check=False)
    assert r.code == 1 and ("no config" in r.err or "needs root" in r.err), r


main()
