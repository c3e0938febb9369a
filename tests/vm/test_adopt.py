#!/usr/bin/env python3
"""What agavectl writes for the next boot, on a systemd that is really booted (machine_systemd.py): a bare host, and one that
the runbook prepared, which is taken over under a running validator and given back; what runs must not notice."""
import contextlib
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "integration"), str(HERE.parent / "cluster")]
import machine  # noqa: E402
import runbook  # noqa: E402
from booted import find_disk  # noqa: E402
from harness import Skip, test, main  # noqa: E402
from image import Absent  # noqa: E402

try:
    find_disk()
except Absent as absent:
    machine.skip_all("systemd", absent)
FOLDER = machine.enter("adopt", ["losetup", "mkfs.xfs", "nsenter"])
from machine_systemd import Container  # noqa: E402

VOLUME = "disk/by-id/virtio-vol0"
XFS_MIB = 320
CONFIG = f"""storage:
  volume: {{device: /dev/{VOLUME}}}
  ramdisk: {{device: /dev/ram0}}
kind: {{cluster: test}}
"""
STAGES = "units fstab adopt"
OURS = ["agavectl-ramdisk.service", "agavectl-boot.service", "agavectl-boot-seen.service", "agavectl-boot-seen.timer",
        "docker.service.d/50-agavectl.conf", "kubelet.service.d/50-agavectl.conf"]
THEIRS = ["format-ramdisk.service", "ramdisk-accounts.service", "docker.service.d/10-solana-ramdisk.conf"]
# The validator: it holds the lock of its ledger, works in its folders and has a file open on the RAM disk.
VALIDATOR = """cd /srv/solana/ramdisk/accounts && exec 3>held && \
setsid flock /srv/solana/ledger/ledger.lock sleep infinity >/dev/null 2>&1 </dev/null & echo started"""


@contextlib.contextmanager
def a_host(t):
    c = Container(FOLDER)
    try:
        c.volume, c.ram = c.add_disk(VOLUME, XFS_MIB), c.add_disk("ram0", XFS_MIB)
        c.boot()
        c.write("/etc/agavectl/agavectl.yaml", CONFIG)
        yield c
    finally:
        c.close()


def etc(c):
    """Everything below /etc: names, links, modes, owners and content; agavectl's own journal is not there."""
    return c.ok("cd /etc && find . ! -name .updated -printf '%p %y %m %U:%G %l\\n' | sort && "
                "find . -type f ! -name .updated -exec sha256sum {} + | sort -k 2")


def processes(c):
    """The validator, Docker and kubelet."""
    pids = c.ok("pgrep -x 'sleep|flock|what-it-saw'").split()
    assert len(pids) >= 4, pids
    return pids


def live(c, pids):
    """What is mounted, with ids; what runs, with its start; which run of each unit it is."""
    units = c.ok("systemctl show -p Id -p ActiveState -p InvocationID -p MainPID docker kubelet "
                 "srv-solana.mount srv-solana-ramdisk.mount srv-kind-solana.mount")
    runs = c.ok(f"cd /proc && for p in {' '.join(pids)}; do cut -d' ' -f 1,2,22 $p/stat; done")
    return c.ok("cat /proc/self/mountinfo"), units, runs


def there(c, names):
    return [n for n in names if c.run(f"test -e /etc/systemd/system/{n}")[0] == 0]


def prepare(c, *options):
    return c.ok(f"agavectl prepare --no-lab {' '.join(options)} {STAGES}")


def diff(a, b):
    a, b = a.splitlines(), b.splitlines()
    return "\n".join([f"-{x}" for x in a if x not in b] + [f"+{x}" for x in b if x not in a])


@test
def under_a_running_validator(t):
    with a_host(t) as c:
        t.real("systemd", f"{c.ok('systemctl --version').splitlines()[0]}, booted in namespaces")
        runbook.make(c, f"/dev/{VOLUME}")
        assert c.reboot() == "running", c.run("systemctl --failed")[1]
        c.ok(VALIDATOR)
        c.ok("for i in $(seq 100); do pgrep -x flock && exit 0; sleep 0.05; done; exit 1")
        pids = processes(c)
        before, alive = etc(c), live(c, pids)

        prepare(c, "--apply")  # unasked nothing of it is touched
        assert etc(c) == before

        prepare(c, "--adopt", "--apply")
        assert there(c, OURS) == OURS and there(c, THEIRS) == []
        assert live(c, pids) == alive, "what runs or is mounted has changed"
        fstab = c.ok("cat /etc/fstab")
        assert fstab.count("\n#agavectl-adopted# ") == 3, fstab
        assert c.ok("systemctl show -p NeedDaemonReload --value docker kubelet srv-solana-ramdisk.mount").split() == ["no"] * 3
        said = c.run("systemd-analyze verify --man=no multi-user.target docker.service srv-solana-ramdisk.mount")[1]
        assert "ordering cycle" not in said and "agavectl" not in said, said
        wants = c.ok("systemctl show -p Requires -p Wants -p After srv-solana-ramdisk.mount docker")
        assert "agavectl-ramdisk.service" in wants and "agavectl-boot.service" in wants, wants
        assert "format-ramdisk" not in wants and "ramdisk-accounts" not in wants, wants
        adopted = etc(c)
        prepare(c, "--adopt", "--apply")
        assert etc(c) == adopted, "a second time changes something"

        c.ok(f"agavectl prepare --no-lab --undo --apply {STAGES}")
        assert etc(c) == before, diff(before, etc(c))
        assert live(c, pids) == alive
        wants = c.ok("systemctl show -p Requires -p Wants -p After srv-solana-ramdisk.mount docker")
        assert "agavectl" not in wants and "format-ramdisk.service" in wants, wants
        assert c.reboot() == "running", c.run("systemctl --failed")[1]  # by their units again
        assert c.saw("docker")["accounts"] == ["directory", "1000:1000"]


BARE = f"""storage:
  volume: {{device: /dev/{VOLUME}}}
  ramdisk: {{kind: tmpfs, size_gib: 1}}
kind: {{cluster: test}}
"""
GUARDED = ["docker.service", "kubelet.service"]


@test
def a_bare_host(t):
    """Prepared, it boots by itself; without one of the mounts nothing that needs it starts; undone it is as before."""
    with a_host(t) as c:
        c.write("/etc/agavectl/agavectl.yaml", BARE)
        before = etc(c)
        prepare_all(c, "--apply")
        for _ in range(2):
            assert c.reboot() == "running", c.run("systemctl --failed; journalctl -b -u 'agavectl*' --no-pager")[1]
            seen = c.saw("docker")
            assert seen["/srv/kind/solana/ramdisk"] == ["tmpfs", "tmpfs"] and seen["/srv/kind/solana"][1] == "xfs", seen
            assert seen["accounts"] == ["directory", "1000:1000"], seen
            assert "ordering cycle" not in c.journal()
            bad = {i: s for i, s in c.check("units", "fstab", "adopt").items() if s - {"ok", "note"}}
            assert not bad, bad
            assert "nothing to change" in prepare_all(c)
        c.ok("cp /etc/fstab /root/fstab && sed -i '/tmpfs/d' /etc/fstab")
        c.reboot()
        assert c.state(*GUARDED) == dict.fromkeys(GUARDED, "inactive")
        assert c.saw("docker") is None and c.state("multi-user.target") == {"multi-user.target": "active"}
        # put right by hand, all of it goes on without a reboot
        c.ok("cp /root/fstab /etc/fstab && rm /root/fstab && systemctl daemon-reload && systemctl start docker kubelet")
        assert c.saw("docker")["accounts"] == ["directory", "1000:1000"]
        c.ok("systemctl stop docker kubelet")
        assert "kept: the file system on" in c.ok("agavectl prepare --no-lab --undo --apply")
        assert etc(c) == before, diff(before, etc(c))


def prepare_all(c, *options):
    return c.ok(f"agavectl prepare --no-lab {' '.join(options)} kind-root volume ramdisk bind dirs {STAGES} 2>&1")


def by_hand(c, ram):
    """The runbook's host, with this RAM disk."""
    for path, text in runbook.files(f"/dev/{VOLUME}").items():
        c.write(path, text.replace("/dev/ram0", ram).replace("dev-ram0", ram[1:].replace("/", "-"))
                .replace("modprobe@brd", "modprobe@zram"))
    c.ok("rm /etc/modprobe.d/solana-ramdisk.conf")
    c.write("/etc/agavectl/agavectl.yaml", CONFIG.replace("/dev/ram0", ram))


@test
def adopted_it_boots(t):
    """With our units a RAM disk that keeps its content (as after a soft reboot) is blank at every boot. When it cannot be
    made, the host is there and Docker is not."""
    with contextlib.closing(Container(FOLDER)) as c:
        c.volume, ram = c.add_disk(VOLUME, XFS_MIB), c.add_zram("test-ram", XFS_MIB)
        if not ram:
            raise Skip("this kernel has no zram", part="systemd")
        c.boot()
        runbook.make(c, f"/dev/{VOLUME}")
        by_hand(c, ram)
        assert c.reboot() == "running", c.run("systemctl --failed")[1]
        prepare(c, "--adopt", "--apply")
        for _ in range(2):
            c.ok("touch /srv/solana/ramdisk/stale")
            assert c.reboot() == "running", c.run("systemctl --failed; journalctl -b -u 'agavectl*' --no-pager")[1]
            assert c.run("test -e /srv/solana/ramdisk/stale")[0] == 1
            assert c.saw("docker")["/srv/kind/solana/ramdisk"] == [ram, "xfs"], c.saw("docker")
            assert c.saw("docker")["accounts"] == ["directory", "1000:1000"]
            assert "ordering cycle" not in c.journal()
        c.ok("mv /usr/sbin/mkfs.xfs /usr/sbin/mkfs.xfs.gone")
        assert c.reboot() == "degraded"
        assert c.state(*GUARDED, "agavectl-ramdisk.service", "multi-user.target", "emergency.target") == {
            **dict.fromkeys(GUARDED, "inactive"), "agavectl-ramdisk.service": "failed", "multi-user.target": "active",
            "emergency.target": "inactive"}
        c.ok("mv /usr/sbin/mkfs.xfs.gone /usr/sbin/mkfs.xfs && systemctl start docker kubelet")
        assert c.saw("docker")["accounts"] == ["directory", "1000:1000"]


@test
def the_power_goes_in_the_middle(t):
    """Their unit that formats is started by a link of its own, too. After the exchange of the lines and before that unit is
    turned off, the boot has one mkfs, and it is ours."""
    with contextlib.closing(Container(FOLDER)) as c:
        c.volume, ram = c.add_disk(VOLUME, XFS_MIB), c.add_zram("test-ram", XFS_MIB)
        if not ram:
            raise Skip("this kernel has no zram", part="systemd")
        c.boot()
        runbook.make(c, f"/dev/{VOLUME}")
        by_hand(c, ram)
        c.ok("printf '[Install]\\nWantedBy=local-fs.target\\n' >>/etc/systemd/system/format-ramdisk.service && "
             "systemctl enable format-ramdisk.service")
        assert c.reboot() == "running", c.run("systemctl --failed")[1]
        before = etc(c)
        code, said = c.run(f"AGAVECTL_FAULT=noted@adopt agavectl prepare --no-lab --adopt --apply {STAGES}")
        if code == 0:
            raise Skip("agavectl was built without fault points", part="systemd")
        assert code == 137, (code, said)
        assert there(c, THEIRS) == THEIRS and "\n#agavectl-adopted# " in c.ok("cat /etc/fstab")
        c.ok("sync")
        c.process.kill()
        c.process.wait()
        c.pid = None
        assert c.boot() == "running", c.run("systemctl --failed; journalctl -b --no-pager -u '*ramdisk*'")[1]
        assert c.ok("systemctl show -p ConditionResult --value format-ramdisk.service agavectl-ramdisk.service").split() == [
            "no", "yes"], c.journal()
        assert c.saw("docker")["/srv/kind/solana/ramdisk"] == [ram, "xfs"], c.saw("docker")
        prepare(c, "--adopt", "--apply")
        assert there(c, THEIRS) == []
        assert c.reboot() == "running"
        c.ok(f"agavectl prepare --no-lab --undo --apply {STAGES}")
        assert etc(c) == before, diff(before, etc(c))
        assert c.reboot() == "running"
        assert c.ok("systemctl show -p ConditionResult --value format-ramdisk.service") == "yes\n"


@test
def a_stop_of_ours_is_refused(t):
    """It would unmount the RAM disk, and with it stop Docker."""
    with a_host(t) as c:
        runbook.make(c, f"/dev/{VOLUME}")
        assert c.reboot() == "running"
        prepare(c, "--adopt", "--apply")
        for unit in ("agavectl-ramdisk.service", "agavectl-boot.service"):
            code, said = c.run(f"systemctl stop {unit}")
            assert code != 0 and "may be requested by dependency only" in said, said
        assert c.state("docker.service", "srv-solana-ramdisk.mount") == {
            "docker.service": "active", "srv-solana-ramdisk.mount": "active"}


main()
