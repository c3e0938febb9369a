"""A machine within the machine, for tests that need a Docker of their own.

enter() starts the test again as the first process of new process, mount and network namespaces: when the test
ends, however it ends, everything that it started is gone with them. What namespaces do not hold (control groups, a
few sysctls that a kubelet sets) is put back by the process outside.
"""
import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
from until import until  # noqa: E402

INSIDE = "AGAVECTL_TEST_MACHINE"
PACKAGES = "run tools/install-deps --cluster"
# A kubelet sets these for the whole machine.
SYSCTLS = ["kernel/panic", "kernel/panic_on_oops", "vm/overcommit_memory", "vm/panic_on_oom",
           "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes"]
CONTROLLERS = ["cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids"]
CGROUPS = Path("/sys/fs/cgroup")


def skip_all(part, why):
    print(f"# not real: {part}: {why}")
    print(f"1..0 # SKIP {why}", flush=True)
    sys.exit(0)


def need_tools(part, names):
    if os.geteuid() != 0:
        skip_all(part, "needs root")
    for name in names:
        if not shutil.which(name):
            skip_all(part, f"no {name}; {PACKAGES}")


def removed(group):
    try:
        os.rmdir(group)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def remove_cgroups(name):
    """The control groups that Docker made below one name of ours; all of them are empty by now."""
    found = [p for top in [CGROUPS, *CGROUPS.glob("*")] for p in [top / name] if p.is_dir()]
    for top in found:
        for path, _, _ in os.walk(top, topdown=False):
            until(f"the end of the last process in {path}", lambda p=path: removed(p), 10)


def note_device(device):
    """A loop or zram device, before anything is done with it: it must go with the test, however that ends."""
    with open(f"/tmp/{os.environ[INSIDE]}/devices", "a") as f:
        f.write(f"{device}\n")


def remove_device(device):
    """False: something still uses it."""
    try:
        if device.startswith("loop"):
            subprocess.run(["losetup", "-d", f"/dev/{device}"], check=True)
        else:
            Path(f"/sys/block/{device}/reset").write_text("1")
            Path("/sys/class/zram-control/hot_remove").write_text(device.removeprefix("zram"))
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def remove_devices(name):
    noted = Path(f"/tmp/{name}/devices")
    for device in noted.read_text().split() if noted.exists() else []:
        until(f"the end of the last mount of {device}", lambda d=device: remove_device(d), 10)
    noted.unlink(missing_ok=True)


def outside(part):
    """Starts this test again inside; ends with its exit code."""
    name = f"agavectl-test-{os.getpid()}"
    before = {key: Path("/proc/sys", key).read_text() for key in SYSCTLS if Path("/proc/sys", key).exists()}
    command = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
               sys.executable, *sys.argv]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a time-out cleans up as well
    with contextlib.ExitStack() as undo:  # from the last to the first, each of them whatever happens to the others
        undo.callback(shutil.rmtree, f"/tmp/{name}", ignore_errors=True)
        undo.callback(remove_devices, name)
        undo.callback(remove_cgroups, name)
        undo.callback(put_back, before)
        child = subprocess.Popen(command, env={**os.environ, INSIDE: name})
        undo.callback(child.wait)
        undo.callback(child.kill)
        code = child.wait()
    sys.exit(code)


def put_back(sysctls):
    for key, value in sysctls.items():
        if Path("/proc/sys", key).read_text() != value:
            Path("/proc/sys", key).write_text(value)


def reap():
    """The first process of a namespace inherits every orphan: a child does the work, this one waits."""
    pid = os.fork()
    if pid == 0:
        # the test itself must go when the machine does, also while it waits for something
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        return
    while True:
        done, status = os.wait()
        if done == pid:
            os._exit(os.waitstatus_to_exitcode(status) & 255)


def mount_cgroups():
    """dockerd needs the hierarchies mounted; where no init system did it, in this mount namespace only."""
    if not os.path.ismount(CGROUPS):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "cgroup", CGROUPS], check=True)
    if (CGROUPS / "cgroup.controllers").exists():
        return
    for name in [*CONTROLLERS, "systemd"]:
        folder = CGROUPS / name
        folder.mkdir(exist_ok=True)
        options = "none,name=systemd" if name == "systemd" else name
        if not os.path.ismount(folder):
            subprocess.run(["mount", "-t", "cgroup", "-o", options, "cgroup", folder], check=True)


def enter(part, tools):
    """Returns inside, in a machine without any Docker: own /run, lo up, a folder below /tmp that goes with it."""
    name = os.environ.get(INSIDE)
    if not name:
        need_tools(part, ["unshare", "ip", *tools])
        outside(part)
    reap()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "run", "/run"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    mount_cgroups()
    folder = Path("/tmp") / name
    folder.mkdir(exist_ok=True)
    return folder


def make_kind_root():
    """/srv/kind as on a host: shared, so that what is mounted in it later can reach a node."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "srv", "/srv"], check=True)
    root = Path("/srv/kind")
    root.mkdir()
    subprocess.run(["mount", "--bind", root, root], check=True)
    subprocess.run(["mount", "--make-rshared", root], check=True)
    return root


def check(t, config, *what):
    """What `agavectl check` finds: {id: [severity, ...]}, and the whole answer."""
    r = t.run("check", "--no-lab", "-c", config, "-a", "-o", "json", *what)
    assert r.code in (0, 3), r
    answer = json.loads(r.out)
    found = {}
    for f in answer["findings"]:
        found.setdefault(f["id"], []).append(f["severity"])
    return found, answer


class Docker:
    """dockerd, its socket at the usual place. live_restore: containers live on without it."""

    def __init__(self, folder, live_restore=True):
        self.folder, self.live_restore, self.process = Path(folder), live_restore, None
        self.socket = Path("/run/docker.sock")

    def start(self):
        command = ["dockerd", "--data-root", self.folder / "docker", "--exec-root", "/run/docker-exec",
                   "--pidfile", "/run/dockerd.pid", "-H", f"unix://{self.socket}", "--storage-driver", "overlay2",
                   "--cgroup-parent", f"/{os.environ[INSIDE]}",
                   "--add-runtime", f"bounded={HERE / 'runc-bounded'}", "--default-runtime", "bounded"]
        if self.live_restore:
            command.append("--live-restore")
        log = open(self.folder / "dockerd.log", "a")
        self.process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log, stdin=subprocess.DEVNULL)

        def said():
            return f"dockerd\n{(self.folder / 'dockerd.log').read_text()[-2000:]}"

        def answers():
            assert self.process.poll() is None, f"dockerd ended\n{said()}"
            return subprocess.run(["docker", "version"], env=self.env(), capture_output=True).returncode == 0
        until(said, answers)

    def stop(self):
        self.process.terminate()
        self.process.wait(60)

    def env(self):
        return {**os.environ, "DOCKER_HOST": f"unix://{self.socket}"}

    def __call__(self, *args, timeout=120, **kwargs):
        """The docker program, as an operator would use it; its output."""
        run = subprocess.run(["docker", *map(str, args)], env=self.env(), capture_output=True, text=True,
                             timeout=timeout, **kwargs)
        if run.returncode != 0:
            raise AssertionError(f"docker {args[0]}: {run.stderr.strip()[-1000:]}")
        return run.stdout.strip()

    def import_busybox(self, name="localhost/busybox:1"):
        """An image of one static program: no registry is needed."""
        tree = self.folder / "busybox"
        (tree / "bin").mkdir(parents=True)
        (tree / "tmp").mkdir()
        shutil.copy(shutil.which("busybox"), tree / "bin/busybox")
        for applet in ("sh", "sleep", "cat", "dd", "mkdir", "mount", "httpd", "echo", "tail"):
            (tree / "bin" / applet).symlink_to("busybox")
        tar = self.folder / "busybox.tar"
        subprocess.run(["tar", "-C", tree, "-cf", tar, "."], check=True)
        self("import", "--change", 'CMD ["/bin/sh"]', "--change", "ENV PATH=/bin", tar, name)
        return name
