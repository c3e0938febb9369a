"""agavectl boot in a mount namespace of the test's own: real mounts, a /run and a boot id that are the test's, and a
real validator that loses its accounts. Nothing of the machine is written."""
import json, os, shutil, subprocess, sys
from pathlib import Path

from harness import BIN, Skip, main, test
import agave

POD = """import fcntl, sys
lock = open(sys.argv[2] + "/ledger.lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print("up", flush=True)
sys.stdin.read()
"""


class Host:
    """A volume with a tmpfs as RAM disk and the bind, mounted in a namespace of its own."""

    def __init__(self, t, kind="tmpfs", more=""):
        t.need_root()
        self.t, self.dir = t, t.dir
        self.ns = agave.Namespaces(t)
        self.vol, self.bind = t.dir / "vol", t.dir / "kind" / "solana"
        self.ram = self.vol / "ramdisk"
        self.accounts = self.ram / "accounts" if kind == "tmpfs" else self.vol / "accounts"
        for folder in (self.vol / "ledger", self.vol / "snapshots", self.ram, self.bind):
            folder.mkdir(parents=True)
        self.config = t.dir / "config.yaml"
        ramdisk = "{kind: none}" if kind == "none" else \
            f"{{kind: tmpfs, size_gib: 1, device: \"\", mount: {self.ram}}}"
        self.config.write_text(
            f"storage:\n  volume: {{device: \"\", mount: {self.vol}}}\n  ramdisk: {ramdisk}\n"
            f"  kind_root: {t.dir / 'kind'}\n  bind: {self.bind}\nboot: {{seen_timeout_s: 10}}\n"
            f"journal_dir: {t.dir / 'op'}\nvalidator:\n  uid: 0\n  gid: 0\n  ledger: {self.vol / 'ledger'}\n"
            f"  snapshots: {self.vol / 'snapshots'}\n  accounts: {self.accounts}\n  log: {self.vol / 'log'}\n{more}")
        self.sh("mount", "-t", "tmpfs", "none", "/run")
        self.boots = 0
        self.boot(kind)

    def sh(self, *args, check=True):
        return self.t.sh(*self.ns.enter(), *args, check=check)

    def boot(self, kind="tmpfs"):
        """As after a reboot: another boot id, nothing in /run, a blank RAM disk."""
        self.boots += 1
        boot_id = self.dir / f"boot-id-{self.boots}"
        boot_id.write_text(f"0c3f0b0e-7d9e-4a54-9a0e-{self.boots:012x}\n")
        self.sh("umount", self.bind / "ramdisk", self.bind, self.ram, check=False)
        self.sh("rm", "-rf", "/run/agavectl")
        self.sh("mount", "--bind", boot_id, "/proc/sys/kernel/random/boot_id")
        if kind == "tmpfs":
            self.sh("mount", "-t", "tmpfs", "-o", "size=1g", "ram", self.ram)
        self.rbind()

    def rbind(self):
        self.sh("mount", "-o", "rbind,rslave", self.vol, self.bind)
        self.sh("mount", "--make-rshared", self.bind)

    def agavectl(self, *args, env=None):
        env = {**{k: v for k, v in os.environ.items() if not k.startswith("AGAVECTL_")}, **(env or {})}
        p = subprocess.run([*self.ns.enter(), str(BIN), "--config", str(self.config), *map(str, args)],
                           env={**env, "NO_COLOR": "1"}, capture_output=True, text=True, timeout=120)
        return p

    def proof(self):
        return json.loads(self.sh("cat", "/run/agavectl/boot.json").out)

    def finish(self):
        p = self.agavectl("boot", "finish")
        assert p.returncode == 0, p
        return self.proof()

    def ok(self):
        return self.sh("test", "-e", "/run/agavectl/boot-ok", check=False).code == 0


@test
def the_storage_is_made_ready_once(t):
    h = Host(t)
    t.real("mounts", "tmpfs and rbind in a namespace of its own")
    first = h.finish()
    assert h.ok() and first["mounted_at"] and first["owned_at"] and first["left"] is None, first
    st = h.sh("stat", "-c", "%d %i %a", h.accounts).out.split()
    assert [first["accounts"]["dev"], first["accounts"]["ino"]] == [int(st[0]), int(st[1])] and st[2] == "755", st
    sentinel = json.loads(h.sh("cat", h.bind / ".agavectl-boot.json").out)
    assert sentinel["boot_id"] == first["boot_id"]
    assert h.finish() == first, "a second time changes nothing"
    r = h.agavectl("boot", "check", "-o", "json")
    real = json.loads(r.stdout)["real"]
    assert real["ok"] is True, r
    assert {f["id"] for f in real["findings"]} >= {"boot.proof", "boot.storage"}, real


@test
def what_changed_since_the_boot_is_seen(t):
    h = Host(t)
    h.finish()
    h.sh("umount", h.bind / "ramdisk", h.bind)
    r = h.agavectl("boot", "check", "-o", "json")
    assert r.returncode == 3, r
    assert "the bind is not mounted" in r.stdout, r
    r = h.agavectl("boot", "finish")
    assert r.returncode == 1 and "the bind is not mounted" in r.stderr and not h.ok(), r
    assert "the bind is not mounted" in h.proof()["failed"]


@test
def another_ram_disk_in_its_place_is_seen(t):
    h = Host(t)
    h.finish()
    h.sh("mount", "-t", "tmpfs", "other", h.ram)
    r = h.agavectl("boot", "check")
    assert r.returncode == 3 and "boot.storage" in r.stdout, r


def a_state(h, slot):
    """Local state of a validator, without accounts."""
    links = h.vol / "snapshots" / "snapshots" / str(slot) / "accounts_hardlinks"
    h.sh("mkdir", "-p", links)
    h.sh("ln", "-s", f"{h.accounts}/snapshot/{slot}", links / "account_path_0")


@test
def killed_between_any_two_changes_it_goes_on(t):
    h = Host(t)
    points = ["boot-owned", "state-renamed", "boot-aside", "boot-noted", "boot-recorded"]
    for n, point in enumerate(points, 1):
        h.boot()
        a_state(h, n)
        p = h.agavectl("boot", "finish", env={"AGAVECTL_FAULT": point})
        if p.returncode == 0:
            raise Skip("this build has no fault points")
        assert p.returncode == -9 and not h.ok(), (point, p)
        proof = h.finish()
        assert h.ok() and proof["owned_at"] and proof["failed"] is None, (point, proof)
        aside = h.vol / "snapshots" / f"snapshots.aside-{n}" / str(n)
        assert aside.is_dir() and not (h.vol / "snapshots" / f"snapshots.aside-{n + 1}").exists(), point
        if point != "state-renamed":
            assert f"slot {n}" in proof["disabled"], (point, proof)


def a_zram(t):
    """A disk in memory of the test's own."""
    control = Path("/sys/class/zram-control")
    if not control.exists() or not shutil.which("mkfs.xfs"):
        raise Skip("no zram, or no mkfs.xfs", part="block devices")
    n = (control / "hot_add").read_text().strip()
    t.later(lambda: (control / "hot_remove").write_text(n))
    Path(f"/sys/block/zram{n}/disksize").write_text("512M")
    return Path(f"/dev/zram{n}")


@test
def a_ram_disk_is_formatted_once_a_boot(t):
    t.need_root()
    dev = a_zram(t)
    h = Host(t, kind="none")
    h.accounts = h.ram / "accounts"
    text = h.config.read_text().replace("{kind: none}", f"{{device: {dev}, mount: {h.ram}}}")
    h.config.write_text(text.replace(str(h.vol / "accounts"), str(h.accounts)))

    def fstype():
        return t.sh("blkid", "-p", "-s", "TYPE", "-o", "value", dev, check=False).out.strip()

    def uuid():
        return t.sh("blkid", "-p", "-s", "UUID", "-o", "value", dev, check=False).out.strip()
    t.sh("mkfs.ext4", "-q", dev)     # what an old playbook left
    r = h.agavectl("boot", "format")
    assert r.returncode == 0 and fstype() == "xfs", r
    first = uuid()
    assert h.proof()["formatted_at"] and h.proof()["ramdisk"]["path"] == str(dev)
    r = h.agavectl("boot", "format")
    assert r.returncode == 0 and uuid() == first, r
    h.sh("umount", h.bind)
    h.sh("mount", dev, h.ram)
    h.rbind()
    h.sh("mkdir", "-p", h.vol / "snapshots" / "snapshots" / "7" / "accounts_hardlinks")
    p = h.finish()
    assert p["formatted_at"] and p["ramdisk"]["size_b"] == 512 << 20 and "slot 7" in p["disabled"], p
    h.sh("rm", "/run/agavectl/boot.json")   # as if nobody knew that it was formatted
    r = h.agavectl("boot", "format")
    assert r.returncode == 0 and uuid() == first, "a mounted RAM disk is left alone"
    h.boot("none")
    r = h.agavectl("boot", "format")
    assert r.returncode == 0 and uuid() not in ("", first), r
    r = h.agavectl("boot", "finish")
    assert r.returncode == 1 and "the RAM disk is not mounted" in r.stderr and not h.ok(), r
    t.real("block devices", "zram: ext4, then a fresh xfs at each boot")


def pod(h, propagation):
    """A process in a mount namespace of its own, made before the next boot's mounts, that holds the ledger's lock as
    the validator does. Its accounts are the bind's."""
    seen = h.bind / h.accounts.relative_to(h.vol)
    p = subprocess.Popen([*h.ns.enter(), "unshare", "--mount", "--propagation", propagation, sys.executable, "-c", POD,
                          "--ledger", str(h.vol / "ledger"), "--accounts", str(seen)],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def end():
        p.stdin.close()
        p.wait(10)
    h.t.later(end)
    assert p.stdout.readline() == "up\n"


POD_CONFIG = "  runtime: kubernetes\n"


@test
def a_pod_that_got_the_mount_is_seen(t):
    h = Host(t, more=POD_CONFIG)
    h.finish()
    pod(h, "slave")
    r = h.agavectl("boot", "seen", "--once")
    assert r.returncode == 0, r
    assert h.proof()["pod_seen_at"] and h.proof()["unseen"] is None
    t.real("namespaces", "a process in a mount namespace that receives the host's mounts")


@test
def a_pod_that_did_not_get_it_is_told(t):
    """The mount comes after the namespace: with private propagation the pod has the folder below it."""
    h = Host(t, more=POD_CONFIG)
    h.sh("umount", h.bind / "ramdisk", h.bind, h.ram)
    pod(h, "private")
    h.sh("mount", "-t", "tmpfs", "-o", "size=1g", "ram", h.ram)
    h.rbind()
    h.sh("mkdir", "-m", "755", h.accounts)   # under a running validator finish changes nothing
    assert h.agavectl("boot", "finish").returncode == 0
    r = h.agavectl("boot", "seen")
    assert r.returncode == 5 and "the validator's pod" in r.stderr, r
    p = h.proof()
    assert p["pod_seen_at"] is None and "the validator's pod" in p["unseen"], p
    t.real("namespaces", "a process in a private mount namespace")


class Validator:
    """A real voting node on the host's folders."""

    def __init__(self, t, h):
        self.t, self.h = t, h
        seed = t.dir / "seed"
        argv = [str(a) for a in agave.voting_node_argv(t, seed)]
        for name in ("ledger", "snapshots"):
            for f in (seed / name).iterdir():
                shutil.move(str(f), h.vol / name / f.name)
        swap = {str(seed / "ledger"): h.vol / "ledger", str(seed / "snapshots"): h.vol / "snapshots",
                str(seed / "accounts"): h.accounts, str(seed / "log"): h.vol / "log"}
        self.argv = [str(swap.get(a, a)) for a in argv]
        for flag, slots in (("--full-snapshot-interval-slots", "100"), ("--snapshot-interval-slots", "25")):
            self.argv[self.argv.index(flag) + 1] = slots
        self.log, self.process = h.vol / "log", None
        agave.raise_sysctls(t)
        t.later(self.kill)

    def start(self):
        self.h.sh("rm", "-f", self.log)
        env = dict(os.environ, **dict(e.split("=", 1) for e in agave.preload()))
        self.process = subprocess.Popen([*self.h.ns.enter(), *self.argv], env=env, stdin=subprocess.DEVNULL,
                                        stdout=open(self.t.dir / "out", "ab"), stderr=subprocess.STDOUT)

    def said(self, text):
        return self.log.exists() and text in self.log.read_text(errors="replace")

    def slot(self):
        p = subprocess.run([*self.h.ns.enter(), "curl", "-s", "-m", "5", "127.0.0.1:8899", "-d",
                            '{"jsonrpc":"2.0","id":1,"method":"getSlot","params":[{"commitment":"processed"}]}',
                            "-H", "content-type: application/json"], capture_output=True, text=True)
        try:
            return json.loads(p.stdout).get("result")
        except ValueError:
            return None

    def ends_by_itself(self):
        self.process.wait(60)
        return self.process.returncode

    def runs(self):
        """Replays slots of its own making."""
        first = self.t.until("the validator's RPC", self.slot, 90, 0.5)
        self.t.until("new slots", lambda: (self.slot() or 0) > first or self.process.poll() is not None, 60, 0.5)
        assert self.process.poll() is None, "the validator ended"

    def exit(self):
        # It would wait for a pid that is gone only when this process has reaped it.
        self.t.sh(*self.h.ns.enter(), self.argv[0], "--ledger", self.h.vol / "ledger", "exit", "--force",
                  "--no-wait-for-exit")
        self.process.wait(60)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)


def bank_snapshot(h):
    """Slot of the local state that was made ready at an orderly end."""
    made = [p.parent.name for p in (h.vol / "snapshots" / "snapshots").glob("*/storages_flushed")]
    return int(made[0]) if made else None


def make_state(t, h, v):
    """Runs the validator until its local state is newer than every archive that is left."""
    v.start()
    v.runs()

    def incremental():
        return sorted(int(p.name.split("-")[3]) for p in (h.vol / "snapshots").glob("incremental-snapshot-*.tar.zst"))
    t.until("an incremental snapshot", incremental, 120, 0.5)
    v.exit()
    slot = bank_snapshot(h)
    assert slot, "the validator left no local state"
    for p in (h.vol / "snapshots").glob(f"incremental-snapshot-*-{slot}-*"):
        p.unlink()   # its state is newer than what is left
    return slot


@test
def a_validator_that_lost_its_accounts_starts_from_its_archives(t):
    h = Host(t)
    v = Validator(t, h)
    h.finish()
    slot = make_state(t, h, v)
    lost = f"failed to read account snapshot dir '{h.accounts}/snapshot/{slot}'"
    h.boot()
    h.sh("mkdir", h.accounts)
    for _ in range(2):   # and so at every start
        v.start()
        assert v.ends_by_itself() != 0 and v.said(lost), v.log.read_text()[-2000:]
    proof = h.finish()
    assert f"slot {slot}" in proof["disabled"], proof
    v.start()
    v.runs()
    assert v.said("Loading bank from full snapshot archive") and not v.said(lost)
    v.exit()
    t.real("agave", f"3.0.14 started from archives older than its local state of slot {slot}")


@test
def an_unclean_boot_distrusts_accounts_on_a_disk(t):
    h = Host(t, kind="none")
    v = Validator(t, h)
    h.finish()
    slot = make_state(t, h, v)
    assert h.agavectl("boot", "leave").returncode == 0
    h.boot("none")
    proof = h.finish()   # left in order: the state is used
    assert proof["disabled"] is None and proof["left"] == "clean", proof
    v.start()
    v.runs()
    assert v.said(f"Loading bank from snapshot dir: {h.vol}/snapshots/snapshots/{slot}"), v.log.read_text()[-3000:]
    v.exit()
    h.boot("none")       # no mark: the power was cut
    proof = h.finish()
    assert proof["left"] == "unclean" and "did not end in order" in proof["disabled"], proof
    v.start()
    v.runs()
    assert v.said("Loading bank from full snapshot archive")
    v.exit()
    t.real("agave", "3.0.14 from local state after an orderly end, from archives after another")


main()
