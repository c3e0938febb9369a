#!/usr/bin/env python3
"""The validator as a systemd service: started, looked at and stopped with proof by agavectl, under a real systemd."""
import contextlib
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "integration"), str(HERE.parent / "cluster")]
import machine  # noqa: E402
from booted import find_disk  # noqa: E402
from harness import Skip, test, main  # noqa: E402
from image import Absent  # noqa: E402

try:
    find_disk()
except Absent as absent:
    machine.skip_all("systemd", absent)
FOLDER = machine.enter("systemd", ["losetup", "nsenter", "openssl"])
from service import PROGRAMS, UNIT, Host, standin_argv, stubborn_argv, unit_text  # noqa: E402


@contextlib.contextmanager
def a_host(t):
    h = Host(FOLDER)
    try:
        h.boot()
        t.real("systemd", f"{h.ok('systemctl --version').splitlines()[0]}, booted in namespaces")
        yield h
    finally:
        h.close()


SET_UP = f"""#!/bin/sh
cp /root/unit /etc/systemd/system/{UNIT} && systemctl daemon-reload
"""


@test
def the_driver_keeps_its_promises(t):
    """The same claims as for the process driver. A restart by systemd itself is an hour away: between a death and the
    next start there is time to look."""
    with a_host(t) as h:
        if not h.has_rocksdb():
            raise Skip("no RocksDB; run tools/get-rocksdb", part="rocksdb")
        h.ok("systemctl start world")
        argv = standin_argv()
        h.write("/root/unit", unit_text(argv, "Restart=always", "RestartSec=3600", unit=["StartLimitIntervalSec=0"]))
        h.write("/root/set-up", SET_UP, mode="755")
        h.write("/root/env", f"""
export DRIVER=systemd DRIVER_UNIT={UNIT} DRIVER_SET_UP=/root/set-up DRIVER_DIR=/root/state DRIVER_ENV=XDG_CACHE_HOME=/opt/cache
export DRIVER_LEDGER=/srv/solana/ledger CMOCKA_MESSAGE_OUTPUT=STDOUT
export DRIVER_ARGV="{chr(10).join(argv)}"
""")
        h.ok("mkdir /root/state")
        code, out = h.run(f". /root/env; exec {PROGRAMS}/driver", timeout=240)
        for line in out.splitlines():
            print(f"#   {line}")
        assert code == 0, "a claim failed"
        assert h.dropins() == []


# ---- with the stubborn one: what an exit does is the test's choice

def installed(h, argv, *lines, unit=(), started=True):
    h.install(unit_text(argv, *lines, unit=unit))
    if started:
        start(h)


def start(h):
    h.ok(f"systemctl start {UNIT}")
    h.until("an answer on its admin socket", h.answers)


def stop(h, env="", timeout=60):
    """The program's answer: exit code and text."""
    return h.run(f"env {env} agavectl stop", timeout)


def stopped(h, ended="exited"):
    """Proven, back as it was, and it ended by itself."""
    code, out = stop(h)
    assert code == 0, out
    assert_down(h, ended)
    return out


def assert_down(h, ended="exited"):
    s = h.show("ActiveState", "MainPID", "ExecMainCode", "ExecMainStatus", "Restart", "KillSignal", "SendSIGKILL", "Job")
    assert s["MainPID"] == "0" and s["ActiveState"] in ("inactive", "failed") and not s.get("Job"), s
    assert s["ExecMainCode"] == {"exited": "1", "killed": "2"}[ended], s
    assert s["KillSignal"] == "15" and s["SendSIGKILL"] == "yes", s
    assert h.dropins() == [], h.dropins()


def in_background(h, script, name):
    """Its end is `finished`'s."""
    h.ok(f"rm -f /root/{name}.*; ({script} >/root/{name}.out 2>&1; echo $? >/root/{name}.code) </dev/null >/dev/null 2>&1 &")


def finished(h, name, timeout=60):
    code = h.until(f"the end of {name}", lambda: h.run(f"cat /root/{name}.code 2>/dev/null")[1].strip(), timeout)
    return int(code), h.ok(f"cat /root/{name}.out")


def held(h):
    return h.until("the hold", lambda: h.show("Restart")["Restart"] == "no" and h.dropins())


def phase(h):
    return h.status()["unit"]["state"]


@test
def restart_always_and_a_short_timeout(t):
    """It needs longer than TimeoutStopSec, is not killed and does not come back; whoever else starts or stops it meanwhile
    does no harm."""
    with a_host(t) as h:
        installed(h, stubborn_argv("--after", 6), "Restart=always", "RestartSec=0", "TimeoutStopSec=2",
                  "KillMode=control-group")
        in_background(h, "agavectl stop", "stop")
        held(h)
        assert h.show("SendSIGKILL", "TimeoutStopUSec", "KillSignal", "ExecStop") == \
            {"SendSIGKILL": "no", "TimeoutStopUSec": "infinity", "KillSignal": "18"}, h.show("KillSignal")
        assert phase(h) == "stopping"
        h.ok(f"systemctl stop --no-block {UNIT}")
        h.until("somebody's stop", lambda: h.show("ActiveState")["ActiveState"] == "deactivating")
        in_background(h, f"systemctl restart {UNIT}", "restart")
        code, out = finished(h, "stop")
        assert code == 0 and "Restart=always, KillSignal=SIGTERM, TimeoutStopSec=2 s and no ExecStop" in out, out
        code, out = finished(h, "restart")
        assert code != 0, f"the restart that somebody asked for was not stopped: {out}"
        assert_down(h)
        assert h.show("NRestarts", "Restart") == {"NRestarts": "0", "Restart": "always"}
        assert phase(h) == "stopped"


@test
def nobody_starts_it_during_a_stop(t):
    with a_host(t) as h:
        installed(h, stubborn_argv("--after", 3), "Restart=always", "RestartSec=0")
        assert stop(h, "AGAVECTL_FAULT=done@hold")[0] == 137
        h.ok(f"kill -9 {h.main_pid()}")
        h.until("its end", lambda: h.show("ActiveState")["ActiveState"] == "failed")
        code, out = h.run(f"systemctl start {UNIT}")
        assert code != 0 and "Assert" in out, out
        assert "agavectl-holds-it" in h.run(f"systemctl status --no-pager {UNIT}")[1]
        code, out = stop(h)
        assert code == 0, out
        assert_down(h, "killed")
        h.ok("agavectl start")
        assert phase(h) == "running" and h.dropins() == []
        stopped(h)


POINTS = ["begun", "entered@hold", "acting@dropin", "acting@reloaded", "acted@hold", "done@hold", "entered@ask", "acted@ask",
          "done@ask", "entered@wait", "acted@wait", "done@wait", "entered@prove", "acting@proven", "acting@kept", "acting@removed",
          "acted@prove", "done@prove", "unended"]


@test
def killed_at_each_step(t):
    """agavectl, with SIGKILL; the next stop goes on from there, and nothing is left behind."""
    with a_host(t) as h:
        installed(h, stubborn_argv("--after", 0.3), "Restart=always", "RestartSec=0", "TimeoutStopSec=1", started=False,
                  unit=["StartLimitIntervalSec=0"])
        for point in POINTS:
            start(h)
            code, out = stop(h, f"AGAVECTL_FAULT={point}")
            assert code == 137, (point, code, out)
            before = h.main_pid()
            out = stopped(h)
            assert h.show("Restart", "NRestarts") == {"Restart": "always", "NRestarts": "0"}, (point, out)
            assert phase(h) == "stopped", (point, before)


@test
def a_restart_that_is_cut_off(t):
    """agavectl is killed in the middle of a restart; once the power is cut in between, and what held the unit is gone."""
    with a_host(t) as h:
        installed(h, stubborn_argv("--after", 0.3), "Restart=always", "RestartSec=0", "TimeoutStopSec=1",
                  unit=["StartLimitIntervalSec=0"])
        for point in ("done@held", "entered@stopped", "acting@proven", "done@stopped", "acting@start", "power cut"):
            before = h.show("InvocationID")
            code, out = h.run(f"AGAVECTL_FAULT={'done@held' if point == 'power cut' else point} agavectl restart")
            assert code == 137, (point, out)
            if point == "power cut":
                h.power_cut()
                h.boot()
                h.until("an answer", h.answers)
            code, out = h.run("agavectl restart")
            assert code == 0 and h.dropins() == [], (point, out)
            h.until("an answer", h.answers)
            assert h.show("InvocationID") != before and h.show("Restart") == {"Restart": "always"}, (point, out)
        stopped(h)


@test
def it_dies_while_nobody_looks(t):
    """agavectl is killed after the hold, and then the validator: it is not brought back, whatever its unit says."""
    with a_host(t) as h:
        installed(h, stubborn_argv("--after", 1), "Restart=always", "RestartSec=0", started=False,
                  unit=["StartLimitIntervalSec=0"])
        for point in ("acting@reloaded", "done@hold", "entered@ask"):
            start(h)
            assert stop(h, f"AGAVECTL_FAULT={point}")[0] == 137
            h.ok(f"kill -9 {h.main_pid()}")
            h.until("its end", lambda: h.show("ActiveState")["ActiveState"] == "failed")
            code, out = stop(h)
            assert code == 0, (point, out)
            assert_down(h, "killed")


@test
def one_that_waits_to_be_restarted(t):
    """It died, and systemd is about to start it again: the stop calls that off, and a start does not wait for it."""
    with a_host(t) as h:
        installed(h, stubborn_argv("--after", 1), "Restart=always", "RestartSec=3600")
        for _ in range(2):
            h.ok(f"kill -9 {h.main_pid()}")
            h.until("the wait", lambda: h.show("SubState")["SubState"] == "auto-restart")
            u = h.status()
            assert u["unit"]["state"] == "failed" and "signal KILL" in u["reason"] and "Restart=always" in u["reason"], u
            h.ok("agavectl start")
            h.until("an answer", h.answers)
        h.ok(f"kill -9 {h.main_pid()}")
        h.until("the wait", lambda: h.show("SubState")["SubState"] == "auto-restart")
        code, out = stop(h)
        assert code == 0 and "it did not run; proven" in out, out
        assert h.show("ActiveState", "SubState") == {"ActiveState": "inactive", "SubState": "dead"}
        assert h.dropins() == []


@test
def somebody_is_stopping_it(t):
    """systemctl stop came first: what it would kill with is put off, in each of its stages."""
    with a_host(t) as h:
        installed(h, stubborn_argv("--after", 6), "Restart=always", "TimeoutStopSec=30", "ExecStop=/bin/sleep 3")
        h.ok(f"systemctl stop --no-block {UNIT}")
        h.until("its ExecStop", lambda: h.show("SubState")["SubState"] == "stop")
        out = stopped(h)
        assert "somebody is stopping it already" in out, out
        # SIGTERM was sent and is ignored; the SIGKILL of 3 s later is not to come
        argv = ["/bin/sh", "-c", f"'trap \"\" TERM; exec {' '.join(stubborn_argv('--after', 6))}'"]
        installed(h, argv, "Restart=always", "TimeoutStopSec=3")
        h.ok(f"systemctl stop --no-block {UNIT}")
        h.until("SIGTERM", lambda: h.show("SubState")["SubState"] == "stop-sigterm")
        stopped(h)


@test
def its_exec_stop_is_agavectl(t):
    """ExecStop=agavectl stop carries the stop out; a stop by hand does not run it a second time."""
    with a_host(t) as h:
        installed(h, stubborn_argv("--after", 3), "Restart=always", "TimeoutStopSec=2", "ExecStop=/usr/bin/agavectl stop")
        h.ok(f"systemctl stop {UNIT}")
        # its own limit must not count while agavectl leaves, and nobody is there to take this away after it
        assert [Path(p).name for p in h.dropins()] == ["zzz-agavectl-leave.conf"]
        s = h.show("ActiveState", "Result", "Restart", "ExecMainStatus")
        assert s == {"ActiveState": "inactive", "Result": "success", "Restart": "always", "ExecMainStatus": "0"}, s
        assert "was asked to exit" in h.journal("was asked to exit")
        start(h)
        out = stopped(h)
        assert "an ExecStop that asks it to exit" in out, out
        # as it is recommended
        installed(h, stubborn_argv("--after", 3), "Restart=always", "TimeoutStopSec=infinity",
                  "ExecStop=/usr/bin/agavectl stop")
        h.ok(f"systemctl stop {UNIT}")
        assert_down(h)
        assert h.ok("agavectl op list").strip() == "no operation is unfinished"


@test
def what_the_leader_left_is_not_killed(t):
    """A child that holds the ledger outlives it: systemd sends nothing that it dies of, and the stop names it."""
    with a_host(t) as h:
        for mode in ("control-group", "mixed", "process"):
            installed(h, stubborn_argv("--child"), "Restart=always", "TimeoutStopSec=1", f"KillMode={mode}")
            code, out = h.run("timeout -s INT 5 agavectl stop")
            assert code == 124, out
            left = h.status()["unit"]
            assert left["state"] == "stopping" and len(left["pids"]) == 1, left
            h.ok(f"kill {left['pids'][0]}")  # the test's own way out
            code, out = stop(h)
            assert code == 0, out
            assert_down(h)


@test
def asked_to_go_and_failed(t):
    with a_host(t) as h:
        installed(h, stubborn_argv("--after", 1, "--status", 3), "Restart=always", "RestartSec=0")
        stopped(h)
        assert h.show("ActiveState", "NRestarts") == {"ActiveState": "failed", "NRestarts": "0"}
        u = h.status()
        assert u["unit"]["state"] == "stopped" and "asked to stop, and ended with status 3" in u["reason"], u
        start(h)
        h.ok(f"systemctl kill -s KILL {UNIT}")
        h.until("its next life", lambda: h.show("NRestarts")["NRestarts"] == "1")
        h.until("an answer", h.answers)
        assert h.status()["unit"]["restarts"] == 1
        stopped(h)


@test
def what_would_start_it_again(t):
    """An active timer, and a unit that upholds it: it is held until agavectl start."""
    with a_host(t) as h:
        h.install("[Timer]\nOnActiveSec=1\nOnUnitInactiveSec=1\nAccuracySec=10ms\n", "agave-validator.timer")
        h.install(f"[Unit]\nUpholds={UNIT}\n[Service]\nExecStart=/bin/sleep infinity\n", "keeper.service")
        installed(h, stubborn_argv("--after", 1), "Restart=always", started=False, unit=["StartLimitIntervalSec=0"])
        h.ok("systemctl start agave-validator.timer")
        h.until("an answer", h.answers)
        for other in ("agave-validator.timer", "keeper.service"):
            if other == "keeper.service":
                h.ok("systemctl stop agave-validator.timer; systemctl start keeper.service")
            code, out = stop(h)
            assert code == 0 and f"{other} would start it again: it is held until 'agavectl start'" in out, out
            assert [Path(p).name for p in h.dropins()] == ["zzz-agavectl-hold.conf"]
            h.run(f"systemctl start {UNIT}")
            assert h.show("ActiveState", "KillSignal") == {"ActiveState": "inactive", "KillSignal": "15"}
            s = h.status()
            assert s["unit"]["state"] == "stopped" and "'agavectl start'" in s["reason"], s
            code, out = stop(h)
            assert code == 0 and "it did not run; proven" in out, out
            h.ok("agavectl start")
            h.until("an answer", h.answers)
            assert h.dropins() == []
        h.ok("systemctl stop keeper.service")
        stopped(h)


@test
def what_is_refused(t):
    with a_host(t) as h:
        code, out = h.run("agavectl start")
        assert code == 6 and f"systemd has no unit '{UNIT}'" in out, out
        assert phase(h) == "absent"
        code, out = stop(h)
        assert code == 0 and "it did not run; proven" in out, out
        # another service has it, which nobody holds
        h.install(unit_text(stubborn_argv("--after", 1), "Restart=always"), "sol.service")
        installed(h, stubborn_argv("--after", 1), "Restart=always", started=False)
        h.ok("systemctl start sol")
        h.until("an answer", h.answers)
        pid = h.main_pid("sol.service")
        code, out = stop(h)
        assert code == 4 and f"process {pid} is of 'sol.service', and validator.unit is '{UNIT}'" in out, out
        code, out = h.run("agavectl start")
        assert "it runs already" in out, out
        assert h.main_pid("sol.service") == pid and h.dropins() == []
        h.configure(unit="sol.service")
        code, out = stop(h)
        assert code == 0 and "sol.service has Restart=always" in out, out
        h.configure()
        # a drop-in that comes after ours
        h.write(f"/etc/systemd/system/{UNIT}.d/zzzz.conf", "[Service]\nRestart=always\n")
        h.ok("systemctl daemon-reload")
        start(h)
        pid = h.main_pid()
        code, out = stop(h)
        assert code == 4 and "systemd does not take 'zzz-agavectl-stop.conf'" in out, out
        assert h.main_pid() == pid and h.dropins() == [] and phase(h) == "running"
        h.ok(f"rm /etc/systemd/system/{UNIT}.d/zzzz.conf")
        stopped(h)
        code, out = h.run("agavectl start --agave-bin /bin/true")
        assert code == 2 and "--agave-bin" in out, out


@test
def masked_and_limited(t):
    with a_host(t) as h:
        h.install(unit_text(stubborn_argv("--after", 1), "Restart=always", "RestartSec=0",
                            unit=["StartLimitIntervalSec=3600", "StartLimitBurst=1"]), folder="/usr/lib/systemd/system")
        start(h)

        def limited():
            h.run(f"systemctl kill -s KILL {UNIT}")
            return h.show("ActiveState")["ActiveState"] == "failed"
        h.until("the limit", limited)
        assert h.run(f"systemctl start {UNIT}")[0] != 0 and h.journal("repeated too quickly")
        s = h.status()
        assert s["unit"]["state"] == "failed" and "without being asked to: signal KILL" in s["reason"], s
        h.ok("agavectl start")
        h.until("an answer", h.answers)
        h.ok(f"systemctl mask {UNIT}")
        code, out = stop(h)
        assert code == 0, out
        assert h.main_pid() == 0 and h.dropins() == []
        code, out = h.run("agavectl start")
        assert code == 4 and "is masked" in out, out
        h.ok(f"systemctl unmask {UNIT}")
        h.ok("agavectl start")
        stopped(h)


@test
def not_root_and_no_systemd(t):
    """A plain user sees what the bus tells; without a bus, and without systemd at all, it is said so."""
    with a_host(t) as h:
        installed(h, stubborn_argv("--after", 1), "Restart=always")
        nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups agavectl"
        code, out = h.run(f"{nobody} stop")
        assert code == 4 and "root" in out, out
        h.ok("systemctl stop dbus.socket dbus.service")
        code, out = h.run(f"{nobody} status -o json")
        assert '"state":null' in out and "run this as root" in out, out
        assert phase(h) == "running"  # root needs no bus
        stopped(h)
    config = t.dir / "config.yaml"
    config.write_text(f"validator: {{runtime: systemd, ledger: {t.dir}}}\nstate_dir: {t.dir}\njournal_dir: {t.dir}/op\n")
    for command in ("stop", "start", "restart"):
        r = t.run(command, "--no-lab", "-c", config)
        assert r.code == 6 and "systemd did not boot this host" in r.err, r


@test
def the_stand_in_from_start_to_stop(t):
    """With a world around it: start, restart and stop by agavectl; up to the tip each time."""
    with a_host(t) as h:
        if not h.has_rocksdb():
            raise Skip("no RocksDB; run tools/get-rocksdb", part="rocksdb")
        h.ok("systemctl start world")
        installed(h, standin_argv(), "Restart=always", "RestartSec=0", "TimeoutStopSec=5", started=False)
        h.ok("agavectl start --wait", timeout=120)
        first = h.main_pid()
        out = h.ok("agavectl restart --wait", timeout=120)
        assert "Restart=always" in out and h.main_pid() not in (0, first), out
        assert h.status()["unit"]["restarts"] == 1
        stopped(h)
        assert phase(h) == "stopped"


main()
