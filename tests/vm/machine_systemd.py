"""A Debian whose systemd is the first process of namespaces of its own: a boot in seconds, with this machine's kernel.

The root is an overlay on make-disk's disk and survives reboots. Call machine.enter() (tests/cluster) first: all of it
then goes with the test. Nothing here may reach the real machine, so that systemd's own writers are off: no udevd (its
database is written here, which is what makes systemd believe in a device), no modules, /proc/sys read-only.
"""
import ctypes
import itertools
import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

from booted import Died, Machine, find_disk, put_files
from image import HERE

sys.path[:0] = [str(HERE.parent / "cluster"), str(HERE.parent / "integration")]
from machine import CGROUPS, INSIDE, note_device, remove_devices  # noqa: E402
from until import until  # noqa: E402

BOOT_S = 60
NODES = ["null", "zero", "full", "random", "urandom", "tty"]
MASKED = ["systemd-udevd.service", "systemd-udevd-control.socket", "systemd-udevd-kernel.socket",
          "systemd-udev-trigger.service", "systemd-modules-load.service", "systemd-sysctl.service",
          "systemd-remount-fs.service", "dev-hugepages.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount"]
CAP_SYS_MODULE, CAP_SYS_TIME, PR_CAPBSET_DROP, MNT_DETACH = 16, 25, 24, 2
SYS_PIVOT_ROOT = 155  # x86-64; libc has no name for it


def mount(*args):
    subprocess.run(["mount", *map(str, args)], check=True)


# ---- inside: the first process, before it becomes systemd

def fill_dev(dev, devices):
    """devices: {name below /dev: its other name there}."""
    for name in [*NODES, *devices]:
        (dev / name).touch()
        mount("--bind", f"/dev/{name}", dev / name)
    for name in ("pts", "shm"):
        (dev / name).mkdir()
    mount("-t", "devpts", "-o", "newinstance,ptmxmode=666", "devpts", dev / "pts")
    (dev / "ptmx").symlink_to("pts/ptmx")
    (dev / "fd").symlink_to("/proc/self/fd")
    for name, link in devices.items():
        (dev / link).parent.mkdir(parents=True, exist_ok=True)
        (dev / link).symlink_to(f"/dev/{name}")


def udev_of(name, link):
    """What udevd would have written of a device, which has the tag that makes systemd have a .device unit for it: its
    file's name and content."""
    number = os.stat(f"/dev/{name}").st_rdev
    return f"b{os.major(number)}:{os.minor(number)}", f"S:{link}\nI:1\nG:systemd\nQ:systemd\nV:1\n"


def fill_udev(run, devices):
    tags, data = run / "udev/tags/systemd", run / "udev/data"
    tags.mkdir(parents=True)
    data.mkdir()
    for name, link in devices.items():
        block, text = udev_of(name, link)
        (tags / block).touch()
        (data / block).write_text(text)


def mount_cgroups(target):
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        mount("-t", "cgroup2", "cgroup2", target)
        return
    mount("-t", "tmpfs", "-o", "mode=755", "cgroup", target)
    (target / "systemd").mkdir()
    mount("-t", "cgroup", "-o", "none,name=systemd", "cgroup", target / "systemd")


def become_systemd(root, devices, late):
    libc = ctypes.CDLL(None, use_errno=True)
    mount("--make-rprivate", "/")
    mount("-t", "proc", "proc", root / "proc")
    mount("-t", "sysfs", "sysfs", root / "sys")
    mount_cgroups(root / "sys/fs/cgroup")
    for name in ("dev", "run"):
        mount("-t", "tmpfs", "-o", "mode=755", name, root / name)
    fill_dev(root / "dev", devices)
    fill_udev(root / "run", {name: link for name, link in devices.items() if name not in late})
    mount("-o", "bind,ro", root / "proc/sys", root / "proc/sys")
    # each boot is one of its own for journald, and for proofs of a boot
    (root / "run/boot_id").write_text(f"{uuid.uuid4()}\n")
    mount("--bind", root / "run/boot_id", root / "proc/sys/kernel/random/boot_id")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for capability in (CAP_SYS_MODULE, CAP_SYS_TIME):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    os.chdir(root)
    if libc.syscall(SYS_PIVOT_ROOT, b".", b".") or libc.umount2(b".", MNT_DETACH):
        raise OSError(ctypes.get_errno(), "pivot_root")
    os.chdir("/")
    # a container's first process finds its mounts as they are; on a host systemd makes them all shared
    mount("--make-rshared", "/")
    os.execve("/sbin/init", ["/sbin/init"],
              {"container": "test", "SYSTEMD_PROC_CMDLINE": "systemd.show_status=0", "PATH": "/usr/sbin:/usr/bin"})


# ---- outside

def enter_cgroup():
    """Its root of control groups is one of the test's name (which machine.py removes)."""
    tops = [CGROUPS] if (CGROUPS / "cgroup.controllers").exists() else \
        [p for p in CGROUPS.iterdir() if (p / "cgroup.procs").exists() and p.name != "cpuset"]
    for top in tops:
        (top / os.environ[INSIDE]).mkdir(exist_ok=True)
        (top / os.environ[INSIDE] / "cgroup.procs").write_text("0")


class Container(Machine):
    ids = itertools.count()

    def __init__(self, folder):
        self.folder = Path(folder) / f"systemd-{next(self.ids)}"
        self.root, self.process, self.pid, self.seconds = self.folder / "root", None, None, []
        self.devices, self.boot_id = {}, None
        self.late = []  # names of those that are not there yet when it boots
        for name in ("disk", "rw", "root"):
            (self.folder / name).mkdir(parents=True)
        mount("-o", "ro,loop", find_disk() / "disk.img", self.folder / "disk")
        mount("-t", "tmpfs", "rw", self.folder / "rw")
        for name in ("up", "work", "images"):
            (self.folder / "rw" / name).mkdir()
        mount("-t", "overlay", "-o", f"lowerdir={self.folder}/disk,upperdir={self.folder}/rw/up,"
              f"workdir={self.folder}/rw/work", "root", self.root)
        self.put({**put_files(), "/etc/fstab": (0o644, b""),
                  **{f"/etc/systemd/system/{name}": (0o777, "/dev/null") for name in MASKED}})

    def put(self, files):
        """{path: (mode, bytes or the target of a link)}, while it is off."""
        for name, (mode, data) in files.items():
            path = self.root / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            if isinstance(data, str):
                path.symlink_to(data)
            else:
                path.write_bytes(data)
                path.chmod(mode)

    def add_disk(self, link, size_mib):
        """A blank loop device in memory, which the machine has as /dev/<link> as well; its own path."""
        image = self.folder / "rw/images" / link.replace("/", "-")
        with open(image, "wb") as f:
            f.truncate(size_mib << 20)
        said = subprocess.run(["losetup", "--show", "-f", image], check=True, capture_output=True, text=True).stdout
        note_device(Path(said.strip()).name)
        self.devices[Path(said.strip()).name] = link
        return said.strip()

    def add_zram(self, link, size_mib):
        """A blank disk in memory; None where the kernel makes none."""
        control = Path("/sys/class/zram-control/hot_add")
        if not control.exists():
            return None
        name = f"zram{control.read_text().strip()}"
        note_device(name)
        Path(f"/sys/block/{name}/disksize").write_text(f"{size_mib}M")
        self.devices[name] = link
        return f"/dev/{name}"

    # ---- on and off

    def boot(self, timeout=BOOT_S):
        """Until nothing is being started any more; what systemctl is-system-running says then."""
        start = time.monotonic()
        log = open(self.folder / "console", "wb")
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--net", "--uts", "--ipc", "--cgroup",
             sys.executable, __file__, self.root, json.dumps(self.devices), json.dumps(self.late)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=enter_cgroup)
        until("systemd", self.find_init, timeout)
        said = until(self.still_starting, self.settled, timeout)
        self.seconds.append(time.monotonic() - start)
        self.boot_id = self.ok("cat /proc/sys/kernel/random/boot_id").strip()
        return said

    def console(self):
        return (self.folder / "console").read_text(errors="replace")[-2000:]

    def alive(self):
        if self.process.poll() is not None:
            raise Died(f"systemd ended: {self.console()}")

    def settled(self):
        self.alive()
        said = self.run("systemctl is-system-running", 20)[1].strip()
        return said if said in ("running", "degraded") else None

    def still_starting(self):
        return f"the end of the boot\n{self.run('systemctl list-jobs --no-pager')[1]}{self.console()}"

    def appears(self, name):
        """A late device is there now."""
        block, text = udev_of(name, self.devices[name])
        self.write(f"/run/udev/data/{block}", text)
        self.ok(f"touch /run/udev/tags/systemd/{block} && systemctl daemon-reload")

    def find_init(self):
        """systemd's pid, once it is that and no more the script that prepares its root."""
        self.alive()
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if not children or Path(f"/proc/{children[0]}/comm").read_text().strip() not in ("init", "systemd"):
            return None
        self.pid = children[0]
        return self.pid

    def off(self, timeout=BOOT_S):
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Died(f"not off within {timeout} s: {self.run('systemctl list-jobs --no-pager')[1]}") from None
        self.pid = None

    def reboot(self):
        self.run("systemctl reboot")
        self.off()
        return self.boot()

    def poweroff(self):
        self.run("systemctl poweroff")
        self.off()

    def close(self):
        """The power is cut, if it is still on; disks go."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for path in (self.root, self.folder / "rw", self.folder / "disk"):
            subprocess.run(["umount", "-l", path], check=True)
        remove_devices(os.environ[INSIDE])

    def run(self, script, timeout=60):
        """A shell's script in it, as root: (exit code, stdout and stderr)."""
        done = subprocess.run(["nsenter", "-t", self.pid, "-a", "env", "-i", "PATH=/usr/sbin:/usr/bin", "sh", "-c", script],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
        return done.returncode, done.stdout.decode(errors="replace")


if __name__ == "__main__":
    become_systemd(Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3]))
