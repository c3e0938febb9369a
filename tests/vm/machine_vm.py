"""A virtual machine with a real boot: Debian's cloud kernel and systemd on a disk of its own, emulated by qemu.

The disk is a copy of make-disk's; agavectl and the files of host/ are put into it before its first boot. A reboot is a
new qemu on the same disks (the guest shuts down cleanly, its memory is gone). Commands run in the guest through the
second serial line, where a service answers that stands for ssh: in emergency mode there is none.
"""
import base64
import itertools
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from booted import Died, Machine, find_disk, put_files, tar_of
from image import HERE, Absent

sys.path.insert(0, str(HERE.parent / "integration"))
from until import until  # noqa: E402

QEMU = "qemu-system-x86_64"


class VM(Machine):
    def __init__(self, folder, disks=None, memory_mib=1536, tars=()):
        """disks: {serial: MiB}, blank, found in the guest as /dev/disk/by-id/virtio-<serial>. tars: more files for its
        root."""
        self.folder, self.memory_mib, self.process, self.line = Path(folder), memory_mib, None, None
        self.source = find_disk()
        if not shutil.which(QEMU):
            raise Absent(f"no {QEMU}; run tools/install-deps --vm")
        self.boots, self.seconds, self.boot_id, self.ids = 0, [], None, itertools.count()
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", self.source / "disk.img", self.folder / "root"],
                       check=True)
        (self.folder / "put").write_bytes(tar_of(put_files()))
        for path in tars:
            subprocess.run(["tar", "-Af", self.folder / "put", path], check=True)
        self.disks = ["root", *(disks or {}), "put"]
        for serial, size_mib in (disks or {}).items():
            with open(self.folder / serial, "wb") as f:
                f.truncate(size_mib << 20)

    # ---- on and off

    def command(self, words):
        drives = []
        for n, serial in enumerate(self.disks):
            drives += ["-drive", f"id=d{n},file={self.folder / serial},format=raw,if=none,cache=unsafe",
                       "-device", f"virtio-blk-pci,drive=d{n},serial={serial}"]
        append = f"console=ttyS0 root=/dev/vda rw quiet panic=-1 mitigations=off nokaslr {words}"
        return [QEMU, "-M", "q35", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max,la57=off", "-smp", "2",
                "-m", str(self.memory_mib), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                "-kernel", str(self.source / "vmlinuz"), "-initrd", str(self.source / "initrd"), "-append", append,
                "-serial", f"file:{self.folder / 'console'}",
                "-chardev", f"socket,id=line,path={self.folder / 'line.sock'},server=on,wait=off",
                "-serial", "chardev:line", *drives]

    def boot(self, words="", timeout=300):
        """Until an operator could log in. words: more of the kernel's command line."""
        start = time.monotonic()
        words += " put" if self.boots == 0 else ""
        (self.folder / "console").touch()
        self.process = subprocess.Popen(self.command(words), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.boots += 1
        self.connect()
        said = self.wait_for(rb"@@@ ready (\S+)\n", timeout)
        self.boot_id = said[1].decode()
        self.seconds.append(time.monotonic() - start)

    def connect(self):
        self.line, self.received = socket.socket(socket.AF_UNIX), b""

        def connected():
            try:
                self.line.connect(str(self.folder / "line.sock"))
            except OSError:
                if self.process.poll() is not None:
                    raise Died(f"qemu does not start: {self.process.stderr.read().decode()}") from None
                return False
            return True
        until("qemu's serial line", connected, 20)

    def off(self, timeout):
        """Waits for the guest to end by itself."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Died(f"not off within {timeout} s\n{self.console()}") from None
        self.close()

    def close(self):
        """The power is cut, if it is still on."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.line:
            self.line.close()
        self.line = None
        (self.folder / "line.sock").unlink(missing_ok=True)

    def reboot(self, words="", timeout=180):
        self.send("systemctl reboot")
        self.off(timeout)
        self.boot(words)

    def poweroff(self, timeout=180):
        self.send("systemctl poweroff")
        self.off(timeout)

    def console(self, tail=4000):
        text = (self.folder / "console").read_text(errors="replace")
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", text)[-tail:]

    # ---- commands

    def wait_for(self, pattern, timeout):
        end = time.monotonic() + timeout
        while True:
            found = re.search(pattern, self.received)
            if found:
                self.received = self.received[found.end():]
                return found
            if "emergency mode" in self.console():
                raise Died(f"the machine is in emergency mode\n{self.console()}")
            left = end - time.monotonic()
            if left <= 0:
                raise Died(f"no answer within {timeout} s\n{self.console()}")
            self.line.settimeout(min(left, 1))
            try:
                got = self.line.recv(65536)
            except TimeoutError:
                continue
            if not got:
                raise Died(f"the machine went off\n{self.console()}")
            self.received += got

    def send(self, script):
        """Starts it; the number of its answer."""
        coded = base64.b64encode(script.encode()).decode()
        self.line.sendall(b"begin\n")
        self.wait_for(rb"@@@ more\n", 60)
        for at in range(0, len(coded), 1000):
            self.line.sendall(f"more {coded[at:at + 1000]}\n".encode())
            self.wait_for(rb"@@@ more\n", 60)
        number = next(self.ids)
        self.line.sendall(f"run {number}\n".encode())
        return number

    def run(self, script, timeout=120):
        """A shell's script in the guest, as root: (exit code, stdout and stderr)."""
        number = self.send(script)
        said = self.wait_for(rb"@@@ done %d (\d+) (\S*)\n" % number, timeout)
        return int(said[1]), base64.b64decode(said[2]).decode(errors="replace")
