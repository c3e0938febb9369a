"""The ZFS of the stages kind-root and volume on real pools: zfs-fuse, in namespaces of the test's own. It has no
zvols: what is planned for one is looked at here, and made only in tests/unit/stage/test_volume_zvol.c."""
import json, os, re, shutil, signal, subprocess, sys
from pathlib import Path

from harness import BUILD, main, test
from until import until

INSIDE = "AGAVECTL_TEST_ZFS"
SOCKET = Path("/run/zfs/zfs_socket")
POOL = "testpool"
FIRST = [sys.executable, *sys.argv]


def skip_all(why):
    print(f"# not real: zfs: {why}")
    print(f"1..0 # SKIP {why}", flush=True)
    sys.exit(0)


def zfs(*args, check=True):
    p = subprocess.run(["zfs", *args], capture_output=True, text=True)
    assert p.returncode == 0 or not check, (args, p.stderr)
    return p.stdout.strip() if check else p


def mounted_at(path):
    """File system type and source of what is mounted there."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, right = line.split(" - ")
        if left.split()[4] == str(path):
            return tuple(right.split()[:2])
    return None


def start_pool():
    """In the new namespaces: a folder for everything that zfs-fuse and we keep, the daemon, and a pool on a file."""
    for at in ("/run", "/srv", "/var/lib/zfs", "/var/lib/agavectl"):
        Path(at).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", at], check=True)
    subprocess.run(["mount", "--make-rshared", "/"], check=True)
    for at in ("lock", "zfs", "sendsigs.omit.d"):
        Path("/run", at).mkdir()
    daemon = subprocess.Popen(["zfs-fuse", "-n", "--no-kstat-mount"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)

    def listens():
        if daemon.poll() is not None:
            skip_all("zfs-fuse does not start here (no FUSE?)")
        return SOCKET.exists()
    until("zfs-fuse's socket", listens, 20)
    image = Path("/srv/pool.img")
    with image.open("wb") as f:
        f.truncate(512 << 20)
    subprocess.run(["zpool", "create", "-f", "-O", "mountpoint=none", POOL, str(image)], check=True,
                   capture_output=True)
    return daemon


def inside():
    daemon = start_pool()
    version = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "zfs-fuse"], capture_output=True, text=True).stdout
    print(f"# real: zfs: zfs-fuse {version}, a pool on a file", flush=True)
    try:
        main()
    finally:
        subprocess.run(["zpool", "destroy", "-f", POOL], capture_output=True)
        daemon.terminate()
        daemon.wait()


class Host:
    """A config with one dataset, and what agavectl says of it."""

    def __init__(self, t, dataset, root=None, more="", bind=None):
        self.t, self.dataset, self.root = t, dataset, Path(root or f"/srv/{t.name}")
        self.config = t.dir / "agavectl.yaml"
        self.config.write_text(f"storage:\n  kind_root: {self.root}\n  kind_dataset: {dataset or json.dumps(dataset)}\n"
                               f"  bind: {json.dumps(str(self.root / bind) if bind else '')}\n{more}"
                               f"state_dir: {t.dir}/state\njournal_dir: {t.dir}/journal\n")
        self.config.chmod(0o600)

    def run(self, *args):
        return self.t.run(*args, "--config", self.config)

    def found(self, one, stage="kind-root"):
        doc = json.loads(self.run("check", stage, "-o", "json").out)
        all_of = [f for f in doc["findings"] if f["id"] == one]
        assert len(all_of) == 1, doc["findings"]
        return all_of[0]

    def is_refused(self, words, severity="fail"):
        """One finding says why, and nothing is planned and nothing changed."""
        before = zfs("list", "-H", "-r", "-o", "name,mountpoint,canmount,mounted", POOL)
        f = self.found("kindroot.dataset")
        assert f["severity"] == severity and words in f["what"] and not f.get("fix"), f
        r = self.run("prepare", "--apply", "kind-root")
        assert r.code != 0 and words in r.err, r
        assert zfs("list", "-H", "-r", "-o", "name,mountpoint,canmount,mounted", POOL) == before

    def made(self):
        r = self.run("prepare", "--apply", "kind-root")
        assert r.code == 0, r
        assert mounted_at(self.root) == ("fuse.zfs", self.dataset), mounted_at(self.root)


def dataset_of(t):
    return f"{POOL}/{t.name}"


def exists(name):
    return zfs("list", "-H", name, check=False).returncode == 0


@test
def made_checked_and_taken_back(t):
    h = Host(t, dataset_of(t))
    f = h.found("kindroot.dataset")
    assert f["severity"] == "fail" and f["fix"] == "agavectl prepare --apply kind-root", f
    r = h.run("prepare", "kind-root")
    assert r.code == 0 and re.search(rf"kind-root +create +{h.root} +dataset {h.dataset}$", r.out, re.M), r
    assert not exists(h.dataset)
    h.made()
    assert zfs("get", "-H", "-o", "value", "mountpoint", h.dataset) == str(h.root)
    assert h.found("kindroot.dataset")["severity"] == "ok" and h.found("kindroot.shared")["severity"] == "ok"
    r = h.run("prepare", "--apply", "kind-root")
    assert r.code == 0 and "nothing was changed" in r.out, r
    r = h.run("prepare", "--undo", "kind-root")
    assert r.code == 0 and f"destroy the empty dataset '{h.dataset}'" in r.out and exists(h.dataset), r
    r = h.run("prepare", "--undo", "--apply", "kind-root")
    assert r.code == 0 and "kept" not in r.out, r
    assert not exists(h.dataset) and not h.root.exists() and not mounted_at(h.root)
    r = h.run("prepare", "--undo", "--apply", "kind-root")
    assert r.code == 0 and "nothing to take back" in r.out, r


@test
def what_is_not_empty_is_kept(t):
    h = Host(t, dataset_of(t))
    h.made()

    def kept(words):
        r = h.run("prepare", "--undo", "--apply", "kind-root")
        assert r.code == 0 and "kept: " in r.out and words in r.out and exists(h.dataset), r

    (h.root / "pvc").mkdir()
    kept(f"has content ('{h.root}/pvc')")
    (h.root / "pvc").rmdir()
    zfs("snapshot", f"{h.dataset}@monday")
    kept(f"'{h.dataset}@monday'")
    zfs("destroy", f"{h.dataset}@monday")
    zfs("create", "-o", "mountpoint=none", f"{h.dataset}/child")
    kept(f"'{h.dataset}/child'")
    zfs("destroy", f"{h.dataset}/child")
    zfs("unmount", h.dataset)
    kept("is not mounted")
    zfs("mount", h.dataset)
    r = h.run("prepare", "--undo", "--apply", "kind-root")
    assert r.code == 0 and not exists(h.dataset), r


@test
def nothing_is_taken_from_who_works_there(t):
    h = Host(t, dataset_of(t))
    h.made()
    p = subprocess.Popen(["sleep", "60"], cwd=h.root)
    r = h.run("prepare", "--undo", "--apply", "kind-root")
    assert r.code == 4 and f"process {p.pid}" in r.err and mounted_at(h.root), r
    p.kill()
    p.wait()
    r = h.run("prepare", "--undo", "--apply", "kind-root")
    assert r.code == 0 and not exists(h.dataset), r


@test
def what_was_mounted_in_it_goes_first(t):
    """The whole of the storage that hangs on it, made and taken back at once: in the end the dataset is empty."""
    image, volume = Path("/srv/volume.img"), Path("/srv/volume")
    with image.open("wb") as f:
        f.truncate(400 << 20)
    t.later(image.unlink)
    device = t.sh("losetup", "--find", "--show", image).out.strip()
    t.later(lambda: t.sh("losetup", "--detach", device))
    h = Host(t, dataset_of(t), more=f"  volume:\n    device: {device}\n    mount: {volume}\n  ramdisk: {{kind: none}}\n",
             bind="solana")
    stages = ["kind-root", "volume", "bind"]
    r = h.run("prepare", "--apply", *stages)
    assert r.code == 0 and mounted_at(h.root / "solana")[0] == "xfs", r
    Path("/srv/volume/ledger").touch()
    held = h.root / "solana" / "ledger"
    with held.open():
        r = h.run("prepare", "--undo", "--apply", *stages)
        assert r.code == 4 and f"process {os.getpid()}" in r.err and held.exists(), r
    r = h.run("prepare", "--undo", "--apply", *stages)
    assert r.code == 0 and r.out.count("kept: ") == 1 and device in r.out, r
    assert not exists(h.dataset) and not h.root.exists() and not volume.exists()
    t.real("block devices", f"XFS on {device}, bound into a dataset")


@test
def a_mount_of_others_in_it_holds_it(t):
    h = Host(t, dataset_of(t))
    h.made()
    (h.root / "x").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(h.root / "x")], check=True)
    t.later(lambda: subprocess.run(["umount", str(h.root / "x")], check=True))
    r = h.run("prepare", "--undo", "--apply", "kind-root")
    assert r.code == 4 and f"'{h.root}/x' is mounted below it" in r.err and mounted_at(h.root), r


@test
def one_that_was_there_is_not_ours(t):
    h = Host(t, dataset_of(t))
    zfs("create", "-o", f"mountpoint={h.root}", h.dataset)
    r = h.run("prepare", "--apply", "kind-root")
    assert r.code == 0 and "nothing was changed" in r.out, r
    r = h.run("prepare", "--undo", "--apply", "kind-root")
    assert r.code == 0 and exists(h.dataset) and mounted_at(h.root), r


@test
def refusals_have_one_reason_each(t):
    Host(t, f"{POOL}/no/such/parent").is_refused(f"dataset '{POOL}/no/such' is not there")
    Host(t, "elsewhere/kind").is_refused("pool 'elsewhere' is not there: import it")
    Host(t, "elsewhere").is_refused("pool 'elsewhere' is not there")
    Host(t, f"{POOL}/a@b").is_refused("letters, digits")
    Host(t, f"{POOL}/" + "n" * 300).is_refused("ZFS takes 255")
    h = Host(t, dataset_of(t))
    h.root.mkdir()
    (h.root / "data").touch()
    h.is_refused(f"'{h.root}' has content of its own ('data')")
    (h.root / "data").unlink()
    zfs("create", "-o", "mountpoint=/srv/other", h.dataset)
    h.is_refused(f"zfs set mountpoint={h.root} {h.dataset}")
    zfs("set", "canmount=off", h.dataset)
    zfs("set", f"mountpoint={h.root}", h.dataset)
    h.is_refused(f"zfs set canmount=on {h.dataset}")
    zfs("set", "canmount=noauto", h.dataset)
    h.is_refused(f"zfs mount {h.dataset}")
    zfs("destroy", h.dataset)


@test
def another_mount_or_a_link_is_refused(t):
    h = Host(t, dataset_of(t))
    h.root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(h.root)], check=True)
    t.later(lambda: subprocess.run(["umount", str(h.root)], check=True))
    h.is_refused("not the dataset of the config")
    link = Path("/srv/link")
    link.symlink_to(h.root)
    t.later(link.unlink)
    linked = Host(t, dataset_of(t), root=link)
    f = linked.found("kindroot.folder")
    assert f["severity"] == "fail" and "symbolic link" in f["what"], f
    r = linked.run("prepare", "--apply", "kind-root")
    assert r.code == 4 and "symbolic link" in r.err and not exists(dataset_of(t)), r


@test
def a_zvol_is_planned_with_the_room_that_there_is(t):
    dev = f"/dev/zvol/{POOL}/{t.name}"
    volume = f"  volume:\n    device: {dev}\n    mount: /srv/{t.name}\n    size_gib: %d\n"
    h = Host(t, "", more=volume % 1)  # the pool's file has half of it
    f = h.found("volume.zvol", "volume")
    assert f["severity"] == "fail" and f"of 1.0 GiB is not made: '{POOL}' has room for" in f["what"], f
    r = h.run("prepare", "--apply", "volume")
    assert r.code == 4 and "has room for" in r.err and not exists(f"{POOL}/{t.name}"), r
    h = Host(t, "", more=volume % 0)
    assert "set storage.volume.size_gib" in h.found("volume.zvol", "volume")["what"]


@test
def a_zfs_that_does_not_answer_is_not_ok(t):
    h = Host(t, dataset_of(t))
    SOCKET.rename("/run/zfs/away")
    t.later(lambda: Path("/run/zfs/away").rename(SOCKET))
    f = h.found("kindroot.dataset")
    assert f["severity"] == "unknown" and "could not look" in f["what"], f
    r = h.run("prepare", "--apply", "kind-root")
    assert r.code != 0 and "could not look" in r.err, r


if os.environ.get(INSIDE):
    inside()
elif os.geteuid() != 0:
    skip_all("needs root")
elif not all(shutil.which(p, path="/usr/sbin:/sbin") for p in ("zfs-fuse", "zfs", "zpool")):
    skip_all("no zfs-fuse; run tools/install-deps --zfs")
else:
    child = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *FIRST],
                             env={**os.environ, INSIDE: "1", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    signal.signal(signal.SIGTERM, lambda *_: child.kill())
    sys.exit(child.wait())
