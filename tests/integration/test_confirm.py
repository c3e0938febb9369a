#!/usr/bin/env python3
"""What is asked before anything is changed: on a real pseudo terminal, without one, and by prepare, up and restart."""
import contextlib, json, os, pty, shutil, signal, subprocess, termios
import lab
from harness import BIN, Skip, main, test
from until import until

QUESTION = b"Go on? [y/N] "


class Terminal:
    """agavectl on a pseudo terminal of its own, in the foreground of a session of its own."""

    def __init__(self, t, *args, typed=b""):
        self.master, slave = pty.openpty()
        if typed:
            os.write(self.master, typed)
        env = {k: v for k, v in os.environ.items() if not k.startswith("AGAVECTL_CONFIG")}
        self.p = subprocess.Popen([str(BIN), *args], stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  start_new_session=True, env={**env, "NO_COLOR": "1"},
                                  preexec_fn=lambda: os.set_inheritable(slave, True) or self.control(slave))
        os.close(slave)
        self.seen = b""
        t.later(self.close)

    @staticmethod
    def control(slave):
        import fcntl
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    def close(self):
        if self.p.poll() is None:
            self.p.kill()
            self.p.wait()
        if self.master >= 0:
            os.close(self.master)
            self.master = -1

    def until_asked(self, timeout=60):
        os.set_blocking(self.master, False)

        def asks():
            assert self.p.poll() is None, (self.p.returncode, self.seen, self.p.stderr.read())
            with contextlib.suppress(BlockingIOError):
                self.seen += os.read(self.master, 4096)
            return QUESTION in self.seen
        until(lambda: f"the question after {self.seen}", asks, timeout, 0.02)
        return self.seen.decode()

    def answer(self, typed, timeout=120):
        self.until_asked()
        if typed is None:    # the terminal goes away
            os.close(self.master)
            self.master = -1
        else:
            os.write(self.master, typed)
        out, err = self.p.communicate(timeout=timeout)
        return self.p.returncode, out.decode(), err.decode()


def state(t):
    """What a change would have touched: the lab's mounts, its journals, its processes."""
    mounts = t.sh("nsenter", *lab.ENTER, "cat", "/proc/self/mountinfo").out
    ops = json.loads(t.run("--lab", "history", "-o", "json").out)
    return sorted(line.split()[4] for line in mounts.splitlines()), ops["operations"], lab.status(t)["unit"]["state"]


@test
def without_a_terminal(t):
    lab.up(t, "--time-scale", "4")
    before = state(t)
    r = t.run("--lab", "up", stdin="y\n")     # a pipe is no terminal, whatever comes through it
    assert r.code == 4 and not r.out, r
    assert "up would:" in r.err and "/srv/solana: " in r.err and "get a snapshot" in r.err, r
    assert r.err.splitlines()[-1] == "agavectl: nothing was changed: there is no terminal to ask on; say 'agavectl up " \
                                     "--yes', or look first with --plan", r
    r = t.run("--lab", "up", "--plan")
    assert r.code == 0 and r.out.startswith("up would:\n"), r
    doc = json.loads(t.run("--lab", "up", "--plan", "-o", "json").out)
    assert doc["flow"] == "up" and doc["asks"] is True and doc["not_allowed"] is None, doc
    steps = [s["step"] for s in doc["plan"]]
    assert steps[0] == "kind-root" and steps[-2:] == ["snapshot", "start"] and "tip" not in steps, steps
    r = t.run("--lab", "up", "--yes", "--destroy=/dev/sdz")
    assert r.code == 4 and "nothing that would be done destroys '/dev/sdz'; nothing was changed" in r.err, r
    assert state(t) == before
    r = t.run("--lab", "up", "--yes")
    assert r.code == 0 and "up would" not in r.err, r
    t.real("namespaces", "a lab that is asked about")
    r = t.run("--lab", "up")                  # nothing is left to ask about
    assert r.code == 0 and "nothing was changed" in r.out, r
    assert t.run("--lab", "up", "--plan").out == "up: nothing to change\n"
    assert t.run("--lab", "stop").code == 0
    r = t.run("--lab", "up", "--plan")        # only the start is left, and a look at the snapshot
    assert r.code == 0 and [line.split()[0] for line in r.out.splitlines()] == ["up", "STEP", "start"], r
    r = t.run("--lab", "up", "--no-wait")
    assert r.code == 0 and "done  start" in r.err, r


@test
def what_is_left_of_an_operation_is_asked_about(t):
    """Killed in the middle, the same command shows what is still to be done, and asks about that."""
    lab.up(t, "--time-scale", "4")
    r = t.run("--lab", "up", "--yes", env={"AGAVECTL_FAULT": "done@change-once:1"})
    if r.code == 0:
        raise Skip("built without fault points")
    assert r.code == -signal.SIGKILL, r
    full = json.loads(t.run("--lab", "op", "show", "-o", "json").out)["operation"]["steps"]
    r = t.run("--lab", "up")
    assert r.code == 4 and "up would:" in r.err, r
    for step in full:
        if step["step"].startswith("change"):
            assert (step["what"] in r.err) == (step["state"] == "todo"), (step, r)
    assert {"done", "todo"} <= {step["state"] for step in full}, full
    assert json.loads(t.run("--lab", "op", "list", "-o", "json").out)["operations"][0]["state"] == "unfinished"
    r = t.run("--lab", "up", "--yes")
    assert r.code == 0 and "resume" in r.err, r
    lab.at_tip(t)


@test
def on_a_terminal(t):
    lab.up(t, "--time-scale", "4")
    before = state(t)
    for typed, code, said in (
            (b"n\n", 4, "not confirmed; nothing was changed"), (b"\n", 4, "not confirmed"), (b"yolo\n", 4, "not confirmed"),
            (b"\x04", 4, "not confirmed"), (b"\x03", 5, "interrupted"), (None, (4, 5), "nothing was changed")):
        code_, out, err = Terminal(t, "--lab", "up").answer(typed)
        assert code_ in (code if isinstance(code, tuple) else (code,)), (typed, code_, err)
        assert said in err and "nothing was changed" in err and not out, (typed, out, err)
        assert state(t) == before, typed
    # What was typed before the question is no answer to it.
    code, out, err = Terminal(t, "--lab", "up", typed=b"y\n").answer(b"n\n")
    assert code == 4 and state(t) == before, (code, err)
    term = Terminal(t, "--lab", "up")
    seen = term.until_asked()
    assert "up would:" in seen and "get a snapshot" in seen and seen.endswith("Go on? [y/N] "), seen
    term.p.send_signal(signal.SIGTERM)        # as a stop would that takes the lock over
    out, err = term.p.communicate(timeout=30)
    assert term.p.returncode == 5 and b"nothing was changed" in err, (term.p.returncode, err)
    code, out, err = Terminal(t, "--lab", "up", "-o", "json").answer(b"y\n")
    assert code == 0 and json.loads(out)["changed"] is True, (code, out, err)
    lab.at_tip(t)
    t.real("terminal", "a pseudo terminal: y, n, end of input, Ctrl-C, hang-up")


@test
def prepare_plans_unless_told(t):
    lab.up(t)
    before = state(t)
    r = t.run("--lab", "prepare")
    assert r.code == 0 and r.out.startswith("prepare would:\n") and "volume" in r.out and "start" not in r.out, r
    one = t.run("--lab", "prepare", "volume")
    assert one.code == 0 and "ramdisk" not in one.out and "volume" in one.out, one
    plan = json.loads(t.run("--lab", "prepare", "2", "4", "-o", "json").out)["plan"]
    assert {s["step"] for s in plan} == {"kind-root", "volume", "ramdisk", "bind", "dirs"}, plan
    r = t.run("--lab", "prepare", "4")
    assert r.code == 4 and "while stage 'kind-root' fails" in r.err, r    # in the plan, not in its middle
    plan = json.loads(t.run("--lab", "prepare", "-o", "json").out)["plan"]
    assert {s["step"] for s in plan} == {"kind-root", "volume", "ramdisk", "bind", "dirs"}, plan
    assert state(t) == before
    for args, said in ((["volum"], "no stage or layer 'volum'; did you mean 'volume'?"), (["clock"], "no stage or layer"),
                       (["5x"], "these can be prepared: ")):
        r = t.run("--lab", "prepare", *args)
        assert r.code == 2 and said in r.err, r
    r = t.run("--lab", "prepare", "--apply", "-o", "json")
    assert r.code == 0 and json.loads(r.out)["changed"] is True, r
    done = [line.split(None, 2)[2] for line in r.err.splitlines() if line.startswith("  done")]
    planned = [s["what"].split(" ", 1)[1] for s in plan]
    assert done[:len(planned)] == planned, (planned, done)    # what was printed is what was done
    assert t.run("--lab", "prepare").out == "prepare: nothing to change\n"
    assert json.loads(t.run("--lab", "prepare", "-o", "json").out)["plan"] == []
    r = t.run("--lab", "prepare", "--apply")
    assert r.code == 0 and "nothing was changed" in r.out, r
    r = t.run("--lab", "prepare", "--apply", "--destroy=/srv/solana/ledger")
    assert r.code == 4 and "destroys '/srv/solana/ledger'; nothing was changed" in r.err, r
    t.real("block devices", "prepared by the plan that was printed")


def on_mount(t, path):
    """A process of the lab's mount namespace that stands there."""
    p = subprocess.Popen(["nsenter", *lab.ENTER, "sh", "-c", f"cd {path} && echo there && exec sleep 600"],
                         stdout=subprocess.PIPE, text=True)
    t.later(lambda: (p.kill(), p.wait()))
    assert p.stdout.readline() == "there\n"
    return p


@test
def what_was_prepared_can_be_undone(t):
    lab.up(t)
    mounts = state(t)[0]
    r = t.run("--lab", "prepare", "--undo")
    assert r.code == 0 and r.out == "undo: nothing to change\n", r
    for words in (["--adopt"], ["--destroy=/dev/ram0"]):
        r = t.run("--lab", "prepare", "--undo", *words)
        assert r.code == 2 and "--undo stands alone" in r.err, r
    assert t.run("--lab", "prepare", "--apply").code == 0
    prepared = state(t)[0]
    assert prepared != mounts
    r = t.run("--lab", "prepare", "--undo")
    assert r.code == 0 and r.out.startswith("undo would:\n") and "kept: the file system on " in r.out, r
    plan = json.loads(t.run("--lab", "prepare", "--undo", "-o", "json").out)["plan"]
    stages = list(dict.fromkeys(s["stage"] for s in plan))
    assert stages == ["dirs", "ramdisk", "bind", "volume", "kind-root"], plan
    assert {s["step"] for s in plan} == set(stages) and all(s["undoable"] for s in plan), plan
    one = json.loads(t.run("--lab", "prepare", "--undo", "dirs", "-o", "json").out)["plan"]
    assert one and {s["stage"] for s in one} == {"dirs"}, one
    # Nothing is taken back while somebody is there, and who it is is said.
    holder = on_mount(t, "/srv/kind/solana/ramdisk")
    r = t.run("--lab", "prepare", "--undo", "--apply")
    assert r.code == 4 and f"in use by process {holder.pid} (sleep)" in r.err and state(t)[0] == prepared, r
    holder.kill()
    holder.wait()
    # The volume alone: it is still shown elsewhere.
    r = t.run("--lab", "prepare", "--undo", "--apply", "volume")
    assert r.code == 4 and "mounted at '/srv/kind/solana'" in r.err and state(t)[0] == prepared, r
    r = t.run("--lab", "prepare", "--undo", "--apply", "-o", "json")
    answer = json.loads(r.out)
    assert r.code == 0 and answer["changed"] is True and len(answer["kept"]) == 2, r
    assert all("the file system on" in k for k in answer["kept"]), answer
    assert state(t)[0] == mounts, (mounts, state(t)[0])
    last = json.loads(t.run("--lab", "history", "-o", "json").out)["operations"]
    assert sorted(o["flow"] for o in last) == ["prepare", "undo"] and {o["state"] for o in last} == {"done"}, last
    r = t.run("--lab", "prepare", "--undo", "--apply")
    assert r.code == 0 and "nothing to take back; nothing was changed" in r.out, r
    # What is kept is used again: no second mkfs.
    r = t.run("--lab", "prepare")
    assert r.code == 0 and "xfs" not in r.out, r
    assert t.run("--lab", "prepare", "--apply").code == 0 and state(t)[0] == prepared
    t.real("mounts", "taken back with a process on one of them, and without")


@test
def a_validator_keeps_what_was_made(t):
    lab.up(t, "--time-scale", "4")
    assert t.run("--lab", "up", "--yes", "--no-wait").code == 0
    before = state(t)
    r = t.run("--lab", "prepare", "--undo", "--apply")
    assert r.code == 4 and "it is not taken back while the validator runs" in r.err, r
    assert "agavectl stop" in r.err and state(t)[0] == before[0], r
    assert t.run("--lab", "stop").code == 0
    r = t.run("--lab", "prepare", "--undo", "--apply")
    assert r.code == 0 and "kept: " in r.out and "has content" in r.out, r


@test
def restart_is_one_operation(t):
    lab.up(t, "--time-scale", "4")
    assert t.run("--lab", "up", "--yes").code == 0
    first = lab.status(t)["unit"]["pids"]
    r = t.run("--lab", "restart", "--wait")
    assert r.code == 0 and r.out == "restarted\n", r
    order = [line.split()[1] for line in r.err.splitlines() if line.startswith("  ")]
    assert order == ["storage", "hold", "ask", "wait", "prove", "start", "tip"], order
    second = lab.status(t)["unit"]["pids"]
    assert second and first != second, (first, second)
    last = json.loads(t.run("--lab", "history", "-o", "json").out)["operations"]
    assert [o["flow"] for o in last if o["flow"] == "restart"] == ["restart"] and not [o for o in last if o["flow"] == "stop"], last
    # Refused before anything is stopped: a program that is not there.
    r = t.run("--lab", "restart", "--agave-bin", "/nonexistent/agave")
    assert r.code == 6 and lab.status(t)["unit"]["pids"] == second, r
    assert t.run("--lab", "stop").code == 0
    r = t.run("--lab", "restart")
    assert r.code == 0 and lab.status(t)["unit"]["pids"], r


@test
def a_runtime_without_a_driver(t):
    t.need_root()
    config = t.dir / "k.yaml"
    config.write_text("validator: {runtime: kubernetes}\nstatus: {timeout_ms: 100}\n")
    for words in (["up", "--yes"], ["up", "--plan"], ["start"], ["stop"], ["restart"]):
        r = t.run(*words, "-c", config)
        assert r.code == 6 and not r.out, (words, r)
        assert r.err.splitlines()[-1] == "agavectl: this version has no driver for runtime 'kubernetes' yet: check, status, " \
                                         "config and prepare work", (words, r)
    r = t.run("status", "-c", config, "-o", "json")
    assert r.code == 0 and json.loads(r.out)["health"] in ("unknown", "stopped"), r
    assert t.run("config", "check", "-c", config).code == 0


@test
def storage_is_prepared_without_a_driver(t):
    """Whoever starts the validator there, its storage is the host's; while any validator runs it is left alone."""
    t.need_root()
    at, config, program = t.dir / "v", t.dir / "k.yaml", t.dir / "agave-validator"
    config.write_text(f"""
validator: {{runtime: kubernetes, ledger: {at}/ledger, snapshots: {at}/snapshots, accounts: {at}/ramdisk/accounts,
            log: {at}/log/validator.log}}
storage: {{kind_root: "", bind: "", volume: {{mount: {at}}}, ramdisk: {{mount: {at}/ramdisk}}}}
journal_dir: {t.dir}/op
state_dir: {t.dir}/state
host: {{persist: false}}
""")
    shutil.copy(shutil.which("sleep"), program)
    running = subprocess.Popen([str(program), "600"])
    try:
        r = t.run("prepare", "--apply", "-c", config)
        assert r.code == 4 and "nothing is changed while the validator runs" in r.err and not at.exists(), r
    finally:
        running.kill()
        running.wait()
    r = t.run("prepare", "--apply", "-c", config)
    assert r.code == 0 and (at / "ledger").stat().st_uid == 1000, r
    r = t.run("prepare", "-c", config)
    assert r.code == 0 and "ledger" not in r.out, r


main()
