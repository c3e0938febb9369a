#!/usr/bin/env python3
"""agavectl config init on made-up hosts: what is found, what contradicts, what is refused."""
import json, os, sys
from pathlib import Path
import lab
from harness import BIN, SOURCE, main, test

CLUSTER = "laconic-70ce4c4b47e23b85"
DIR = "/srv/deployments/agave"
GENESIS = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d"
KNOWN = "7Np41oeYqPefeNQEHSv1UDhYrehxin3NStELsSKCT4K2"
SPEC = """\
stack: agave
deploy-to: k8s-kind
kind-mount-root: /srv/kind
network:
  ports: {agave: ["8899", "8001/udp"]}
volumes:
  validator-snapshots: /srv/kind/solana/snapshots
  validator-ledger: /srv/kind/solana/ledger
  validator-accounts: /srv/kind/solana/ramdisk/accounts
  validator-log: /srv/kind/solana/log
resources:
  containers:
    limits: {memory: 1099511627776}
security: {privileged: 'true'}
config:
  AGAVE_MODE: rpc
  EXTRA_ARGS: --limit-ledger-size 50000000
"""
DEPLOYMENT = f"cluster-id: {CLUSTER}\nstack-source: somewhere\n"
KIND = """\
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
- role: control-plane
  extraMounts:
  - hostPath: /srv/kind
    containerPath: /mnt
    propagation: HostToContainer
"""
# What a config needs to have the storage of the runbook made again.
MADE = {"storage.volume.size_gib": 8192, "storage.ramdisk.size_gib": 600, "storage.ramdisk.kind": "brd",
        "storage.kind_dataset": "tank/kind"}
HOST_MOUNTS = """\
20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 20 230:0 / /srv/solana rw,noatime shared:30 - xfs /dev/zd0 rw
31 30 1:0 / /srv/solana/ramdisk rw,noatime shared:31 - xfs /dev/ram0 rw
32 20 0:40 / /srv/kind rw shared:32 - zfs tank/kind rw
33 32 230:0 / /srv/kind/solana rw,noatime shared:33 master:30 - xfs /dev/zd0 rw
34 33 1:0 / /srv/kind/solana/ramdisk rw,noatime shared:34 master:31 - xfs /dev/ram0 rw
"""
POD_MOUNTS = """\
90 80 0:77 / / rw - overlay overlay rw
91 90 230:0 /ledger /data/ledger rw - xfs /dev/zd0 rw
92 90 230:0 /snapshots /data/snapshots rw - xfs /dev/zd0 rw
93 90 1:0 /accounts /data/accounts rw - xfs /dev/ram0 rw
94 90 230:0 /log /data/log rw - xfs /dev/zd0 rw
95 90 8:1 /srv/deployments/agave/data/keys /data/keys ro - ext4 /dev/sda1 rw
"""
ARGS = ["--identity", "/data/keys/identity.json", "--no-voting", "--ledger", "/data/ledger", "--snapshots=/data/snapshots",
        "--accounts", "/data/accounts", "--log", "/data/log/validator.log", "--rpc-port", "8899", "--gossip-port", "8001",
        "--dynamic-port-range", "9000-9100", "--rpc-bind-address", "0.0.0.0", "--full-rpc-api",
        "--entrypoint", "entrypoint.mainnet-beta.solana.com:8001", "-n", "entrypoint2.mainnet-beta.solana.com:8001",
        "--known-validator", KNOWN, "--expected-genesis-hash", GENESIS, "--limit-ledger-size", "50000000",
        "--no-snapshot-fetch"]


class Host:
    """A captured host, file by file."""

    def __init__(self, at):
        self.at, self.facts = at, {"stat": {}, "uid": 0}
        self.file("/proc/self/mountinfo", "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n")
        self.file("/proc/self/stat", "1 (x) S 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0\n")
        self.file("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\noperator:x:1000:1000::/home/operator:/bin/bash\n")

    def file(self, path, text):
        at = self.at / path.lstrip("/")
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_text(text)
        return self

    def link(self, path, target):
        at = self.at / path.lstrip("/")
        at.parent.mkdir(parents=True, exist_ok=True)
        at.symlink_to(target)
        return self

    def owner(self, path, uid, gid=None, **more):
        self.facts["stat"][path] = {"uid": uid, "gid": uid if gid is None else gid, **more}
        return self

    def device(self, path, number):
        self.facts["stat"][path] = {"type": "block", "rdev": number}
        return self

    def size(self, number, name, size_b):
        if not (self.at / f"sys/dev/block/{number}").is_symlink():
            self.link(f"/sys/dev/block/{number}", f"../../block/{name}")
        return self.file(f"/sys/block/{name}/size", f"{size_b // 512}\n")

    def process(self, pid, argv, mounts, uid=1000, gid=1000, cgroup="/", exe=None):
        p = f"/proc/{pid}"
        self.file(f"{p}/stat", f"{pid} (agave-validator) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 500 0 0\n")
        self.file(f"{p}/status", f"Name:\tagave-validator\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t{gid}\t{gid}\t{gid}\t{gid}\n")
        self.file(f"{p}/cmdline", "".join(a + "\0" for a in argv))
        self.file(f"{p}/cgroup", f"0::{cgroup}\n")
        if mounts is not None:
            self.file(f"{p}/mountinfo", mounts)
        self.link(f"{p}/exe", exe or "/usr/local/bin/agave-validator")
        for ns, n in (("mnt", 4026532000), ("net", 4026531840), ("pid", 4026531836)):
            self.link(f"{p}/ns/{ns}", f"{ns}:[{n}]")
        return self

    def done(self):
        (self.at / "host.json").write_text(json.dumps(self.facts))
        return self.at


def storage(h):
    h.file("/proc/self/mountinfo", HOST_MOUNTS)
    h.device("/dev/zd0", "230:0").link("/dev/zvol/tank/solana", "../../zd0")
    h.size("230:0", "zd0", 8192 << 30).size("1:0", "ram0", 600 << 30)
    h.device("/dev/sda", "8:0").link("/dev/disk/by-id/wwn-0x5000", "../../sda")
    for d in ("ledger", "snapshots", "log"):
        h.owner(f"/srv/solana/{d}", 1000, type="dir")
    return h.owner("/srv/solana/ramdisk/accounts", 1000, type="dir")


def deployment(h, spec=SPEC, deployment=DEPLOYMENT, kind=KIND):
    for name, text in (("spec.yml", spec), ("deployment.yml", deployment), ("kind-config.yml", kind)):
        if text is not None:
            h.file(f"{DIR}/{name}", text)
    h.owner(DIR, 1000, type="dir")
    h.file("/home/operator/.local/bin/laconic-so", "").file("/home/operator/.kube/config", "x\n")
    h.file("/srv/kind/.keep", "")
    return h


def runbook(t, name="host"):
    return storage(deployment(Host(t.dir / name)))


def init(t, h, *args):
    return t.run("config", "init", "--root", h.done(), *args)


def effective(t, text):
    """Every key of a config, as agavectl itself reads it."""
    path = t.dir / f"c{len(list(t.dir.glob('c*.yaml')))}.yaml"
    path.write_text(text)
    r = t.run("config", "show", "-o", "json", "-c", path)
    assert r.code == 0, (r, text)
    return {k: v["value"] for k, v in json.loads(r.out)["keys"].items()}


def found(t, h, *args):
    r = init(t, h, *args)
    assert r.code == 0, r
    return effective(t, r.out)


@test
def the_host_of_the_runbook(t):
    """Its deployment folder and its mounts alone give every value of the runbook's tables."""
    got = found(t, runbook(t))
    want = {
        **MADE, "storage.volume.device": "/dev/zvol/tank/solana", "storage.volume.mount": "/srv/solana",
        "storage.ramdisk.device": "/dev/ram0", "storage.ramdisk.mount": "/srv/solana/ramdisk",
        "storage.kind_root": "/srv/kind", "storage.bind": "/srv/kind/solana", "kind.mount": "/mnt",
        "validator.runtime": "kubernetes", "validator.uid": 1000, "validator.gid": 1000,
        "validator.ledger": "/srv/solana/ledger", "validator.snapshots": "/srv/solana/snapshots",
        "validator.accounts": "/srv/solana/ramdisk/accounts", "validator.log": "/srv/solana/log/validator.log",
        "validator.args": ["--limit-ledger-size", "50000000"],
        "kind.cluster": CLUSTER, "kind.node": f"{CLUSTER}-control-plane",
        "kubernetes.namespace": f"laconic-{CLUSTER}", "kubernetes.deployment": f"{CLUSTER}-deployment",
        "kubernetes.volumes": ["validator-snapshots=/mnt/solana/snapshots", "validator-ledger=/mnt/solana/ledger",
                               "validator-accounts=/mnt/solana/ramdisk/accounts", "validator-log=/mnt/solana/log"],
        "kubernetes.kubeconfig": "/home/operator/.kube/config",
        "laconic.bin": "/home/operator/.local/bin/laconic-so", "laconic.deployment_dir": DIR,
    }
    assert {k: got[k] for k in want} == want, {k: (got[k], v) for k, v in want.items() if got[k] != v}


SIZED = ("storage.volume.size_gib", "storage.ramdisk.kind", "storage.ramdisk.size_gib", "storage.kind_dataset")


def with_ram(h, number, mount):
    """Another RAM disk than that of the runbook, wherever it is mounted."""
    text = HOST_MOUNTS.replace(" 1:0 / ", f" {number} / ").replace("xfs /dev/ram0 rw", mount)
    return h.file("/proc/self/mountinfo", text)


@test
def what_is_not_known_is_not_guessed(t):
    """Each with what is wrong, the part of the storage that is still found, and what is said of the rest."""
    def odd_zvol(h): h.size("230:0", "zd0", (8192 << 30) + 16384)
    def gone_zvol(h): (h.at / "sys/block/zd0/size").unlink()
    def odd_ram(h): h.size("1:0", "ram0", (600 << 30) - (1 << 20))
    def by_module(h):
        (h.at / "sys/block/ram0/size").unlink()
        h.file("/sys/module/brd/parameters/rd_size", f"{500 << 20}\n").file("/sys/module/brd/initstate", "live\n")
    def by_modprobe(h):
        (h.at / "sys/block/ram0/size").unlink()
        h.file("/etc/modprobe.d/b.conf", f"options brd rd_size={400 << 20}\n")
    def not_brd(h): with_ram(h, "7:3", "xfs /dev/ram0 rw")
    def zram(h): with_ram(h, "253:2", "xfs /dev/zram2 rw").file(
        "/sys/block/zram2/mm_stat", "0\n").size("253:2", "zram2", 100 << 30)
    def tmpfs(options): return lambda h: with_ram(h, "0:60", f"tmpfs tmpfs rw{options}")
    def larger_dataset(h): h.file("/proc/self/mountinfo", HOST_MOUNTS.replace("/srv/kind rw", "/srv rw").replace("tank/kind", "tank/srv"))
    whole, kind = MADE["storage.volume.size_gib"], "tank/kind"
    cases = [
        (odd_zvol, (0, "brd", 600, kind), "size_gib: not found: the size of '/dev/zvol/tank/solana' says 8796093038592 bytes"),
        (gone_zvol, (0, "brd", 600, kind), "zfs get -p volsize tank/solana"),
        (odd_ram, (whole, "device", 0, kind), "kind: not found: it is brd; set it together with size_gib"),
        (by_module, (whole, "brd", 500, kind), "from rd_size of the module brd"),
        (by_modprobe, (whole, "brd", 400, kind), "from rd_size in /etc/modprobe.d/b.conf:1"),
        (not_brd, (whole, "device", 0, kind), "'/dev/ram0' is not what its name says"),
        (zram, (whole, "zram", 100, kind), "from the driver of '/dev/zram2'"),
        (tmpfs(",size=629145600k"), (whole, "tmpfs", 600, kind), "from the tmpfs at /srv/solana/ramdisk"),
        (tmpfs(",mode=755,size=64g,uid=1"), (whole, "tmpfs", 64, kind), "from the tmpfs"),
        (tmpfs(",mode=755"), (whole, "device", 0, kind), "findmnt -b -o SIZE /srv/solana/ramdisk"),
        (tmpfs(",size=50%"), (whole, "device", 0, kind), "no size of its own"),
        (larger_dataset, (whole, "brd", 600, ""), "'/srv/kind' is a folder in the dataset 'tank/srv'"),
    ]
    for i, (broken, want, said) in enumerate(cases):
        h = runbook(t, f"h{i}")
        broken(h)
        r = init(t, h)
        got = effective(t, r.out)
        assert tuple(got[k] for k in SIZED) == want and said in r.out, (i, want, r.out[:1200])


@test
def without_a_mount_none_is_no_answer(t):
    """Accounts on the volume: by choice when a validator runs with them there, else the RAM disk may be missing."""
    mounts = "".join(line for line in HOST_MOUNTS.splitlines(True) if "/dev/ram0" not in line)
    pod = POD_MOUNTS.replace("1:0 /accounts /data/accounts rw - xfs /dev/ram0", "230:0 /accounts /data/accounts rw - xfs /dev/zd0")
    h = runbook(t, "down").file("/proc/self/mountinfo", mounts)
    r = init(t, h)
    assert effective(t, r.out)["storage.ramdisk.kind"] == "device" and "none, or what is missing there" in r.out, r.out
    h.process(4242, ["agave-validator", *ARGS], pod, cgroup="/kubepods/x")
    got = effective(t, init(t, h).out)
    assert (got["storage.ramdisk.kind"], got["storage.ramdisk.device"]) == ("none", ""), got


@test
def the_example_is_what_is_found_there(t):
    """Each value of examples/biscayne.yaml comes out of the discovery as well, but what no host knows."""
    example = SOURCE / "examples" / "biscayne.yaml"
    r = t.run("config", "check", "-c", example)
    assert r.code == 0 and r.out == f"{example}: ok\n", r
    want, got = effective(t, example.read_text()), found(t, runbook(t))
    differ = {k: (v, got[k]) for k, v in want.items() if got[k] != v}
    assert differ.pop("cluster.references") == (["https://api.mainnet-beta.solana.com"], []), differ
    assert differ.pop("validator.args") == ([], ["--limit-ledger-size", "50000000"]), differ
    assert not differ, differ


@test
def every_captured_host(t):
    """Each of tests/hosts gives a config that passes, also where the host is not as it must be."""
    sys.path.insert(0, str(SOURCE / "tests" / "hosts"))
    import hosts
    for name in hosts.names():
        root = hosts.build(name, t.dir / name)
        own = root / "etc/agavectl/agavectl.yaml"
        config = own.read_text() if own.exists() else ""
        own.unlink(missing_ok=True)    # it would be believed where it names the kubeconfig
        r = t.run("config", "init", "--root", root)
        if name == "blind":
            assert r.code == 1 and "/proc/self/mountinfo" in r.err and not r.out, r
            continue
        assert r.code == 0, (name, r)
        got = effective(t, r.out)
        if hosts.init_of(name).exists():
            assert r.out == hosts.init_of(name).read_text(), f"look at it with tests/hosts/bless {name}\n{r.out}"
        if name == "runbook":
            want = effective(t, config)
            assert want.pop("cluster.references")[0] == got["cluster.references"][0], got
            assert want.pop("kind.node") == "" and got["kind.node"] == f"{CLUSTER}-control-plane", got
            assert want.pop("validator.args") in ([], got["validator.args"])
            assert want.pop("validator.entrypoints") in ([], got["validator.entrypoints"])
            want.update(MADE)              # its operator's config leaves the making to others
            differ = {k: (v, got[k]) for k, v in want.items() if got[k] != v}
            assert not differ, differ


@test
def a_validator_in_a_pod(t):
    """Its own paths are the container's: they are found on the host, and not in what the kind node sees."""
    h = runbook(t).process(4242, ["agave-validator", *ARGS], POD_MOUNTS,
                           cgroup="/kubelet/kubepods/burstable/pod1/abc")
    r = init(t, h)
    assert r.code == 0 and not r.err, r
    got = effective(t, r.out)
    want = {
        "validator.ledger": "/srv/solana/ledger", "validator.accounts": "/srv/solana/ramdisk/accounts",
        "validator.snapshots": "/srv/solana/snapshots", "validator.log": "/srv/solana/log/validator.log",
        "validator.identity": f"{DIR}/data/keys/identity.json", "validator.voting": False,
        "validator.dynamic_port_range": "9000-9100", "validator.rpc_bind_address": "0.0.0.0",
        "validator.entrypoints": ["entrypoint.mainnet-beta.solana.com:8001", "entrypoint2.mainnet-beta.solana.com:8001"],
        "validator.known_validators": [KNOWN], "validator.genesis_hash": GENESIS,
        "validator.args": ["--full-rpc-api", "--limit-ledger-size", "50000000"],
        "validator.bin": "agave-validator", "validator.runtime": "kubernetes",
        "cluster.references": ["https://api.mainnet-beta.solana.com"],
    }
    assert {k: got[k] for k in want} == want, {k: (got[k], v) for k, v in want.items() if got[k] != v}
    assert "# from process 4242 (--identity /data/keys/identity.json)\n  identity:" in r.out, r.out


@test
def a_validator_on_the_host_itself(t):
    h = Host(t.dir / "host").process(
        77, ["/opt/agave/bin/agave-validator", "--identity", "/home/sol/id.json", "--vote-account", "/home/sol/vote.json",
             "--ledger", "/mnt/ledger", "--snapshots", "/mnt/snapshots", "--accounts", "/mnt/accounts",
             "--log", "-", "--rpc-port", "8890", "--wal-recovery-mode", "skip_any_corrupted_record"],
        HOST_MOUNTS.splitlines()[0] + "\n35 20 259:1 / /mnt rw - xfs /dev/nvme0n1 rw\n", uid=1001, gid=1002,
        exe="/opt/agave/bin/agave-validator")
    h.file("/proc/self/mountinfo", HOST_MOUNTS.splitlines()[0] + "\n35 20 259:1 / /mnt rw - xfs /dev/nvme0n1 rw\n")
    h.device("/dev/nvme0n1", "259:0").device("/dev/nvme0n1p1", "259:1")
    h.link("/dev/disk/by-id/nvme-eui.0025", "../../nvme0n1").link("/dev/disk/by-id/nvme-Samsung_PM9A3_1", "../../nvme0n1")
    h.link("/dev/disk/by-id/nvme-Samsung_PM9A3_1-part1", "../../nvme0n1p1").owner("/mnt/ledger", 1001, 1002, type="dir")
    r = init(t, h)
    assert r.code == 0, r
    got = effective(t, r.out)
    want = {
        "validator.runtime": "process", "validator.uid": 1001, "validator.gid": 1002, "validator.voting": True,
        "validator.vote_account": "/home/sol/vote.json", "validator.rpc_port": 8890,
        "validator.bin": "/opt/agave/bin/agave-validator", "storage.volume.device": "/dev/disk/by-id/nvme-Samsung_PM9A3_1",
        "storage.volume.mount": "/mnt", "storage.ramdisk.device": "", "storage.ramdisk.mount": "/mnt/accounts",
        "storage.kind_root": "", "storage.bind": "", "docker.socket": "", "kind.cluster": "",
        "validator.args": ["--wal-recovery-mode", "skip_any_corrupted_record"],
    }
    assert {k: got[k] for k in want} == want, {k: (got[k], v) for k, v in want.items() if got[k] != v}
    assert "# log: not found: process 77 writes its log to stdout\n" in r.out, r.out
    assert "# references: not found: name at least one RPC node" in r.out, r.out


@test
def a_real_host(t):
    """The lab: real devices and mounts and a process that runs. Its own config comes out again."""
    lab.up(t, "--time-scale", "4")
    config = Path("/run/agavectl/lab/agavectl.yaml").read_text()
    r = t.run("--lab", "up", "--yes", "--no-wait")
    assert r.code == 0, r
    r = t.run("--lab", "config", "init")
    assert r.code == 0, r
    want, got = effective(t, config), effective(t, r.out)
    for key in ("state_dir", "journal_dir", "validator.env", "cluster.references", "docker.socket", "check.min_free_gib",
                "check.ignore", "host.persist"):
        want.pop(key)                      # no host knows them, or the lab has its reasons
    zram = want["storage.ramdisk.device"].startswith("/dev/zram")  # the lab made it before there was a config
    want.update({"storage.ramdisk.kind": "zram", "storage.ramdisk.size_gib": 1} if zram else {})
    differ = {k: (v, got[k]) for k, v in want.items() if got[k] != v}
    assert not differ, (differ, r.out)
    assert "# from process " in r.out and "# from what is mounted at /srv/solana (/dev/loop" in r.out, r.out
    r = t.run("config", "init", "--no-lab")   # the lab is not this machine's validator
    assert "agavectl-lab-validator" not in r.out and "/dev/loop" not in r.out, r
    t.real("block devices", "a loop device and a RAM disk found behind the folders of a process that runs")
    t.real("mounts", "an rbind found below the kind root")


@test
def only_the_validator_itself_counts(t):
    for sub in (["monitor"], ["exit", "--force"], ["--ledger", "/x", "wait-for-restart-window"], ["--version"]):
        h = Host(t.dir / ("h" + sub[0].strip("-"))).process(9, ["agave-validator", "--ledger", "/l", *sub], HOST_MOUNTS)
        r = init(t, h)
        assert r.code == 1 and "no trace of a validator" in r.err, (sub, r)
    h = Host(t.dir / "two")
    for pid in (8, 9):
        h.process(pid, ["agave-validator", "--ledger", f"/l{pid}", "--rpc-port", "8899"], HOST_MOUNTS)
    r = init(t, h)
    assert r.code == 0 and "note: process 9 is a validator as well" in r.err and "ledger: /l8" in r.out, r


@test
def contradictions_are_named(t):
    """What runs is kept; what the deployment says instead is said on stderr, in the file and in JSON."""
    args = [a.replace("/data/ledger", "/data/old") for a in ARGS]
    h = runbook(t).process(4242, ["agave-validator", *args], POD_MOUNTS.replace("/ledger /data/ledger", "/old /data/old"),
                           cgroup="/kubepods/x")
    r = init(t, h)
    assert r.code == 0, r
    assert "note: validator.ledger: /srv/solana/ledger (/srv/deployments/agave/spec.yml:8) contradicts " \
           "/srv/solana/old (process 4242 (--ledger /data/old)), which is kept" in r.err, r.err
    assert "# contradiction: /srv/deployments/agave/spec.yml:8 says /srv/solana/ledger\n  ledger: /srv/solana/old\n" in r.out, r.out
    doc = json.loads(init(t, h, "-o", "json").out)
    one = [c for c in doc["contradictions"] if c["key"] == "validator.ledger"]
    assert one == [{"key": "validator.ledger", "kept": "/srv/solana/old", "kept_from": "process 4242 (--ledger /data/old)",
                    "other": "/srv/solana/ledger", "other_from": "/srv/deployments/agave/spec.yml:8"}], doc
    assert doc["keys"]["validator.ledger"]["value"] == "/srv/solana/old" and doc["yaml"] == r.out, doc
    h = storage(deployment(Host(t.dir / "k"), kind=KIND.replace("containerPath: /mnt", "containerPath: /data")))
    r = init(t, h)
    assert r.code == 0 and "should be at '/mnt/solana/ledger' in the node, and kind-config.yml mounts it at " \
                           "'/data/solana/ledger'" in r.err, r


@test
def paths_without_kind_mount_root(t):
    """Then each volume has a mount of its own, and its PV is /mnt/<name>."""
    spec = SPEC.replace("kind-mount-root: /srv/kind\n", "").replace("/srv/kind/solana", "/srv/solana")
    spec += "volumes-of-nothing: 1\n"
    mounts = "".join(f"  - hostPath: /srv/solana/{p}\n    containerPath: /mnt/validator-{n}\n" for p, n in
                     (("snapshots", "snapshots"), ("ledger", "ledger"), ("ramdisk/accounts", "accounts"), ("log", "log")))
    r = init(t, storage(deployment(Host(t.dir / "h"), spec, DEPLOYMENT, KIND.split("  - hostPath")[0] + mounts)))
    assert r.code == 0 and "note: /srv/deployments/agave/spec.yml:17: key 'volumes-of-nothing' is not known" in r.err, r
    got = effective(t, r.out)
    assert "validator-accounts=/mnt/validator-accounts" in got["kubernetes.volumes"], got["kubernetes.volumes"]
    assert got["storage.kind_root"] == "" and got["storage.bind"] == "", got
    assert "# no kind-mount-root in /srv/deployments/agave/spec.yml\n  kind_root: \"\"\n" in r.out, r.out


UNIT = """\
[Unit]
Description=validator
[Service]
User=sol
Environment=SOLANA_METRICS_CONFIG=host=x,u=me,p=topsecret
ExecStart=/opt/bin/agave-validator --identity /home/sol/id.json \\
    --ledger /mnt/ledger --snapshots /mnt/snapshots --accounts /mnt/accounts \\
    --log /home/sol/validator.log --rpc-port 8899 --no-voting --private-rpc
[Install]
WantedBy=multi-user.target
"""


def unit(h, text=UNIT):
    h.file("/etc/systemd/system/sol.service", text)
    return h.file("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nsol:x:1005:1006::/home/sol:/bin/sh\n")


@test
def a_systemd_unit(t):
    r = init(t, unit(Host(t.dir / "h")))
    assert r.code == 0 and "note: the unit is sol.service" in r.err and "topsecret" not in r.out + r.err, r
    got = effective(t, r.out)
    want = {"validator.runtime": "systemd", "validator.uid": 1005, "validator.gid": 1006, "validator.ledger": "/mnt/ledger",
            "validator.identity": "/home/sol/id.json", "validator.log": "/home/sol/validator.log",
            "validator.bin": "/opt/bin/agave-validator", "validator.args": ["--private-rpc"], "validator.env": []}
    assert {k: got[k] for k in want} == want, got
    h = unit(Host(t.dir / "script"), UNIT.split("ExecStart")[0] + "ExecStart=/home/sol/bin/validator.sh\n")
    h.file("/home/sol/bin/validator.sh", "#!/bin/sh\nexec agave-validator --ledger /x\n")
    r = init(t, h)
    assert r.code == 0 and "sol.service runs the script '/home/sol/bin/validator.sh'" in r.err, r
    got = effective(t, r.out)
    assert got["validator.runtime"] == "systemd" and got["validator.uid"] == 1005 and got["validator.ledger"] != "/x", got
    h.process(50, ["agave-validator", "--ledger", "/mnt/l", "--snapshots", "/mnt/s", "--rpc-port", "8899"], HOST_MOUNTS,
              uid=1005, gid=1006, cgroup="/system.slice/sol.service")
    r = init(t, h)
    got = effective(t, r.out)
    assert got["validator.runtime"] == "systemd" and got["validator.ledger"] == "/mnt/l" and "script" not in r.err, r
    r = init(t, unit(deployment(Host(t.dir / "both"))))
    assert r.code == 0 and 'validator.runtime: systemd (/etc/systemd/system/sol.service) contradicts kubernetes' in r.err, r


@test
def what_fstab_would_mount(t):
    """After a reboot that went wrong nothing is mounted; the next boot's table says where things are."""
    h = deployment(Host(t.dir / "h"))
    h.device("/dev/zd0", "230:0").link("/dev/zvol/tank/solana", "../../zd0")
    h.file("/etc/fstab", "/dev/zd0 /srv/solana xfs noatime 0 0\n/dev/ram0 /srv/solana/ramdisk xfs noatime,nofail 0 0\n"
                         "/srv/solana /srv/kind/solana none rbind,nofail 0 0\nbroken\n")
    got = found(t, h)
    want = {"storage.volume.device": "/dev/zvol/tank/solana", "storage.volume.mount": "/srv/solana",
            "storage.ramdisk.device": "/dev/ram0", "storage.ramdisk.mount": "/srv/solana/ramdisk",
            "storage.bind": "/srv/kind/solana", "validator.ledger": "/srv/solana/ledger",
            "validator.accounts": "/srv/solana/ramdisk/accounts"}
    assert {k: got[k] for k in want} == want, got


BOMB = "a: &a [x,x]\nb: &b [*a,*a]\nvolumes: {}\n"
BAD = [  # which file, its text, exit code, what is said
    ("spec", BOMB, 2, "spec.yml:1: anchors and tags are not allowed"),
    ("spec", "volumes:\n\tx: /y\n", 2, "spec.yml:2: a tab indents this line; YAML wants blanks"),
    ("spec", SPEC.replace("kind-mount-root", "kind-mount-rot"), 2,
     "spec.yml:3: unknown key 'kind-mount-rot'; did you mean 'kind-mount-root'?"),
    ("spec", SPEC.replace("/srv/kind/solana/ledger", "/srv/kind/../../etc"), 2,
     "spec.yml:8: '/srv/kind/../../etc' must not contain '..'"),
    ("spec", SPEC.replace("validator-ledger:", "validator_ledger=x:"), 2, "'validator_ledger=x' is not a name"),
    ("spec", SPEC.replace("kind-mount-root: /srv/kind", "kind-mount-root: srv/kind"), 2, "'srv/kind' is not an absolute path"),
    ("spec", "volumes: [a, b]\n", 2, "spec.yml:1: volumes must be a map"),
    ("spec", "volumes:\n  a: [1]\n", 2, "'a' must be one value"),
    ("spec", "- x\n", 2, "spec.yml:1: the file must be a map"),
    ("spec", "volumes:\n  a: /x\n  a: /y\n", 2, "spec.yml:3: duplicate key 'a'"),
    ("spec", "volumes:\n  a: \"/x\\ny\"\n", 2, "has control characters"),
    ("spec", "#" * (300 << 10), 2, "spec.yml' is larger than 256 KiB"),
    ("deployment", "x: 1\n", 2, "deployment.yml:1: no cluster-id"),
    ("deployment", "cluster-id: ../../x\n", 2, "deployment.yml:1: '../../x' is not a name"),
    ("deployment", f"cluster-id: {'a' * 64}\n", 2, "at most 63"),
    ("kind", "kind: Pod\n", 2, "kind-config.yml:1: not a Cluster config of kind"),
    ("kind", "kind: Cluster\nnodes:\n- extraMounts:\n  - containerPath: /mnt\n", 2, "kind-config.yml:4: a mount without hostPath"),
    ("kind", "kind: Cluster\nnodes:\n- extraMounts: {a: b}\n", 2, "extraMounts must be a list"),
    ("kind", "kind: Cluster\nnodes: x\n", 2, "nodes must be a list"),
    ("kind", KIND.replace("hostPath: /srv/kind", "hostPath: /srv/../etc"), 2, "must not contain '..'"),
]


@test
def bad_deployment_folders_are_refused_by_name(t):
    for i, (which, text, code, part) in enumerate(BAD):
        r = init(t, deployment(Host(t.dir / f"h{i}"), **{which: text}))
        assert r.code == code and not r.out and part in r.err and DIR in r.err, (i, part, r)
        assert len(r.err.splitlines()) == 1, r


@test
def links_and_pipes_are_refused(t):
    h = deployment(Host(t.dir / "a"))
    (h.at / "secret").write_text("secret: yes\n")
    (h.at / "srv/deployments/agave/spec.yml").unlink()
    h.link(f"{DIR}/spec.yml", "/secret")
    r = init(t, h)
    assert r.code == 4 and "spec.yml' is a symbolic link" in r.err and "secret" not in r.err, r
    h = deployment(Host(t.dir / "b"), kind=None)
    os.mkfifo(h.at / "srv/deployments/agave/kind-config.yml")
    r = init(t, h)
    assert r.code == 4 and "kind-config.yml' is not a regular file" in r.err, r
    r = init(t, storage(deployment(Host(t.dir / "c"), kind=None)))
    assert r.code == 0 and "kind-config.yml: not there" in r.err, r


@test
def which_deployment_folder(t):
    h = runbook(t)
    for name in ("spec.yml", "deployment.yml"):
        h.file(f"/srv/deployments/other/{name}", (h.at / DIR.lstrip("/") / name).read_text())
    r = init(t, h)
    assert r.code == 2 and not r.out, r
    assert r.err == "agavectl: 2 deployment folders: '/srv/deployments/agave', '/srv/deployments/other'; say which with " \
                    "--deployment-dir\n", r.err
    assert found(t, h, "--deployment-dir", "/srv/deployments/other")["laconic.deployment_dir"] == "/srv/deployments/other"
    h.file("/etc/agavectl/agavectl.yaml", f"laconic: {{deployment_dir: {DIR}}}\n")
    assert found(t, h)["laconic.deployment_dir"] == DIR
    r = init(t, h, "--deployment-dir", "/nowhere")
    assert r.code == 1 and "/nowhere/spec.yml" in r.err, r


@test
def written_once_and_never_over(t):
    """In a mount namespace of its own, so that /etc and /srv are not this machine's."""
    t.need_root()
    script = t.dir / "script.py"
    script.write_text(f"""
import glob, os, subprocess, sys
for d in ("/etc", "/srv"):
    subprocess.run(["mount", "-t", "tmpfs", "none", d], check=True)
os.makedirs("{DIR}")
for name, text in {dict(zip(("spec.yml", "deployment.yml", "kind-config.yml"), (SPEC, DEPLOYMENT, KIND)))!r}.items():
    open("{DIR}/" + name, "w").write(text)
def run(*args):
    p = subprocess.run([sys.argv[1], "config", "init", "--no-lab", *args], capture_output=True, text=True)
    return p.returncode, p.stdout, p.stderr
etc = "/etc/agavectl/agavectl.yaml"
code, text, err = run()
assert code == 0 and "{CLUSTER}" in text and not os.path.exists(etc), (code, text, err)
code, out, err = run("--write")
assert code == 0 and open(etc).read() == text and out.startswith(etc + ": written"), (code, out, err)
assert os.stat(etc).st_mode & 0o777 == 0o644
open(etc, "a").write("up: {{tip_slots: 5}}\\n")
mine = open(etc).read()
code, out, err = run("--write")
assert code == 4 and not out and "is there already; nothing was written" in err and open(etc).read() == mine, (code, err)
code, out, err = run("--write", "--force")
copies = glob.glob(etc + ".*")
assert code == 0 and len(copies) == 1 and open(copies[0]).read() == mine and open(etc).read() != mine, (code, out, err)
p = subprocess.run([sys.argv[1], "config", "check", "--no-lab"], capture_output=True, text=True)
assert p.returncode == 0 and p.stdout == etc + ": ok\\n", p
open(etc, "w").write("broken: [\\n")
code, out, err = run("--write", "--force")
assert code == 2 and open(etc).read() == "broken: [\\n", (code, out, err)
""")
    t.sh("unshare", "--mount", "--propagation", "private", sys.executable, script, BIN)
    t.real("namespaces", "a mount namespace for /etc and /srv")


@test
def nothing_is_found_and_nothing_is_written(t):
    h = Host(t.dir / "h")
    r = init(t, h)
    assert r.code == 1 and not r.out and "begin with 'agavectl config example'" in r.err, r
    r = init(t, h, "--write")
    assert r.code == 2 and "'--write' and '--root' exclude each other" in r.err, r
    r = t.run("config", "init", "--force")
    assert r.code == 2 and "'--force' is for '--write'" in r.err, r


main()
