"""A validator as a service of a real systemd, booted in namespaces: the lab's stand-in with a small world around it, or a
stubborn one (tests/conformance/stubborn.c) that does with an exit what a test wants."""
import json
import os
import subprocess
from pathlib import Path

from booted import AGAVECTL  # noqa: F401
from harness import CACHE
from image import BUILD, libraries
from machine_systemd import Container
from until import until

UNIT = "agave-validator.service"
PROGRAMS = "/opt/agavectl"  # the build's programs, as the machine sees them
WORLD = f"""[Service]
ExecStart={PROGRAMS}/agavectl-lab-world --dir /var/lib/world --gossip-port 9001 --rpc-port 9099 --repair-port 9013 \
--tvu 127.0.0.1:8002 --seed 11 --time-scale 4
"""
CONFIG = {
    "storage": {"kind_root": "", "bind": "", "ramdisk": {"kind": "none"}},
    "validator": {"runtime": "systemd", "uid": 0, "gid": 0, "ledger": "/srv/solana/ledger"},
    "cluster": {"references": ["http://127.0.0.1:9099"]},
    "stop": {"ladder_s": 60},
    "docker": {"socket": ""},
    "status": {"timeout_ms": 100},
}
FOLDERS = "/srv/solana/ledger /srv/solana/snapshots /srv/solana/ramdisk/accounts /srv/solana/log /run/agavectl"


def standin_argv():
    """The stand-in on the world of WORLD, with RocksDB from the cache."""
    return [f"{PROGRAMS}/agavectl-lab-validator", "--identity", "/etc/agavectl/id.json", "--no-voting", "--ledger",
            "/srv/solana/ledger", "--snapshots", "/srv/solana/snapshots", "--accounts", "/srv/solana/ramdisk/accounts",
            "--log", "/srv/solana/log/validator.log", "--rpc-port", "8899", "--full-rpc-api", "--rpc-bind-address",
            "127.0.0.1", "--bind-address", "127.0.0.1", "--gossip-port", "8001", "--dynamic-port-range", "8002-8040",
            "--entrypoint", "127.0.0.1:9001", "--no-port-check"]


def stubborn_argv(*flags):
    return [f"{PROGRAMS}/stubborn", "--ledger", "/srv/solana/ledger", *map(str, flags)]


def unit_text(argv, *lines, unit=()):
    """A service that starts argv; further lines of [Service] and of [Unit]."""
    return "\n".join(["[Unit]", *unit, "[Service]", "Environment=XDG_CACHE_HOME=/opt/cache",
                      f"ExecStart={' '.join(argv)}", *lines, ""])


def keypair(path):
    """A throw-away key file; the public half is computed by the openssl of the system."""
    seed = os.urandom(32)
    der = bytes.fromhex("302e020100300506032b657004220420") + seed
    p = subprocess.run(["openssl", "pkey", "-inform", "DER", "-pubout", "-outform", "DER"], input=der,
                       capture_output=True, check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(list(seed + p.stdout[-32:])))
    path.chmod(0o600)


class Host(Container):
    """Not booted yet."""

    def __init__(self, folder):
        super().__init__(folder)
        programs = [BUILD / name for name in ("agavectl-lab-world", "agavectl-lab-validator",
                                              "tests/conformance/stubborn", "tests/conformance/driver")]
        self.programs = self.root / PROGRAMS.lstrip("/")
        files = {f"{PROGRAMS}/{p.name}": (0o755, p.read_bytes()) for p in programs}
        rocksdb = CACHE / "rocksdb-10.4.2"
        needed = [*programs, *rocksdb.glob("librocksdb.so")]
        for library in {lib for p in needed for lib in libraries(p)}:
            name = str(library) if str(library).startswith("/usr/") else f"/usr{library}"
            files.setdefault(name, (0o755, library.read_bytes()))
        for file in rocksdb.glob("*"):
            files[f"/opt/cache/agavectl/{rocksdb.name}/{file.name}"] = (0o755, file.read_bytes())
        files["/etc/systemd/system/world.service"] = (0o644, WORLD.encode())
        self.put(files)
        keypair(self.root / "etc/agavectl/id.json")
        self.configure()
        for path in FOLDERS.split():
            (self.root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def configure(self, **more):
        """agavectl's config, while it is off or on; more: members of `validator` in place of the default's."""
        text = json.dumps({**CONFIG, "validator": {**CONFIG["validator"], **more}})
        if self.pid:
            self.write("/etc/agavectl/agavectl.yaml", text)
        else:
            self.put({"/etc/agavectl/agavectl.yaml": (0o644, text.encode())})

    def power_cut(self):
        self.process.kill()
        self.process.wait()
        self.pid = None

    def has_rocksdb(self):
        return (self.root / "opt/cache/agavectl/rocksdb-10.4.2/librocksdb.so").exists()

    def install(self, text, name=UNIT, folder="/etc/systemd/system"):
        """Wanted at the next boot, as a validator's unit is, and so not forgotten when it is down."""
        self.write(f"{folder}/{name}", text)
        if name == UNIT:
            self.ok(f"ln -sf {folder}/{name} /etc/systemd/system/multi-user.target.wants/")
        self.ok("systemctl daemon-reload")

    def show(self, *names, unit=UNIT):
        """{property: value}, as systemctl shows them."""
        out = self.ok(f"systemctl show {unit} " + " ".join(f"-p {n}" for n in names))
        return dict(line.split("=", 1) for line in out.splitlines())

    def main_pid(self, unit=UNIT):
        return int(self.show("MainPID", unit=unit)["MainPID"])

    def answers(self):
        """Does the validator listen on its admin socket?"""
        return self.status()["unit"]["state"] == "running"

    def status(self):
        return json.loads(self.run("agavectl status --no-lab -o json")[1])

    def until(self, what, probe, timeout=30):
        return until(what, probe, timeout)

    def dropins(self):
        return self.ok("find /run/systemd/system -name '*agavectl*'").split()
