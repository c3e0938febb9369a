"""What must be true of a prepared host after each boot, whatever the machine is made of (booted.Machine)."""
import picture

STALE, KEPT = "/srv/solana/ramdisk/stale", "/srv/solana/kept"

WHY = r"""systemctl --failed --no-legend; cat /run/agavectl/boot.json
journalctl -b --no-pager -q -o short-monotonic | grep -iE 'agavectl|srv|docker|kubelet|ramdisk|fail|depend'"""
# Its exit code says nothing: of an ordering cycle it only tells.
VERIFY = """export SYSTEMD_UNIT_PATH=/etc/systemd/system:/run/systemd/generator:/usr/lib/systemd/system
systemd-analyze verify --man=no --recursive-errors=yes multi-user.target docker.service kubelet.service \\
    srv-solana.mount srv-solana-ramdisk.mount srv-kind-solana.mount agavectl-boot.service agavectl-boot-seen.timer"""


class Prepared:
    """machine: off or on. volume, ram: what is mounted, as findmnt says it: [source, type]. guarded: services that must
    not start without. stages: those that prepare is asked for; "": all."""

    def __init__(self, machine, volume, ram, guarded=("docker", "kubelet"), stages=""):
        self.machine, self.guarded, self.stages = machine, guarded, stages
        self.seen = {"/srv/solana": volume, "/srv/solana/ramdisk": ram, "/srv/kind/solana": volume,
                     "/srv/kind/solana/ramdisk": ram, "accounts": ["directory", "1000:1000"]}

    def comes_back(self):
        """A reboot: all of it is there again, made anew, before what is guarded."""
        m, before = self.machine, self.machine.boot_id
        m.settle()
        m.ok(f"echo stale >{STALE} && touch {KEPT} && sync")
        m.reboot()
        assert m.boot_id != before
        assert m.settle() == "running", m.run(WHY)[1]
        for name in self.guarded:
            assert m.saw(name) == self.seen, (name, m.saw(name), m.run(WHY)[1])
        assert m.run(f"test ! -e {STALE} && test -e {KEPT}")[0] == 0, m.run("ls /srv/solana /srv/solana/ramdisk")[1]
        assert "ordering cycle" not in m.journal()

    def stopped(self):
        """A boot that went wrong: degraded and reachable; what is guarded did not start, and wrote nothing."""
        m = self.machine
        assert m.settle() in ("running", "degraded")
        assert m.state("multi-user.target", "emergency.target", "rescue.target") == {
            "multi-user.target": "active", "emergency.target": "inactive", "rescue.target": "inactive"}
        for name in self.guarded:
            assert m.saw(name) is None and m.state(name)[name] in ("inactive", "failed"), m.run(WHY)[1]

    def prepare(self):
        """From the plan, which changes nothing, to a second plan, which is empty."""
        m = self.machine
        before = picture.take(m)
        plan = m.ok(f"agavectl prepare {self.stages}")
        changed = picture.changes(before, picture.take(m))
        assert changed == [], "\n".join(changed)
        m.ok(f"agavectl prepare --apply {self.stages}", 300)
        said = m.run(VERIFY)[1]
        assert said == "", said
        self.ready()
        return plan

    def ready(self):
        """As agavectl sees it: nothing fails, and nothing is left to do."""
        m = self.machine
        wrong = {name: said for name, said in m.check(self.stages or "4").items() if "fail" in said}
        assert not wrong, wrong
        said = m.ok(f"agavectl prepare {self.stages}")
        assert "nothing to change" in said, said
