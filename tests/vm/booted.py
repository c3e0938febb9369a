"""What tests ask of a machine that systemd has booted, whatever it is made of (machine_vm.py, machine_systemd.py)."""
import base64
import io
import json
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

from image import BUILD, HERE, Absent, libraries, stripped

AGAVECTL = "/usr/bin/agavectl"
# A machine that is done with all that it started; is-system-running says "starting" before.
SETTLED = "systemctl is-system-running --wait || true"


class Died(AssertionError):
    pass


def find_disk():
    """make-disk's folder; Absent says why there is none."""
    if os.geteuid() != 0:
        raise Absent("needs root")
    made = subprocess.run([HERE / "make-disk", "--where"], capture_output=True, text=True)
    if made.returncode != 0:
        raise Absent("no disk; run tests/vm/make-disk")
    return Path(made.stdout.strip())


def put_files():
    """What every machine of a test gets: {path: (mode, bytes or the target of a link)}."""
    with tempfile.TemporaryDirectory() as work:
        files = {AGAVECTL: (0o755, stripped(BUILD / "agavectl", Path(work)))}
    for library in libraries(BUILD / "agavectl"):
        name = str(library)
        files[name if name.startswith("/usr/") else f"/usr{name}"] = (0o755, library.read_bytes())
    for path in sorted(p for p in (HERE / "host").rglob("*") if p.is_file()):
        files[f"/{path.relative_to(HERE / 'host')}"] = (path.stat().st_mode & 0o777, path.read_bytes())
    for name in ("docker", "kubelet", "test-agent"):
        files[f"/etc/systemd/system/multi-user.target.wants/{name}.service"] = (0o777, f"../{name}.service")
    return files


def tar_of(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, (mode, data) in files.items():
            info = tarfile.TarInfo(name.lstrip("/"))
            info.mode = mode
            if isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
                tar.addfile(info)
            else:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


class Machine:
    """What a test asks of a machine, whatever it is made of: run() is the only way in."""

    def ok(self, script, timeout=120):
        code, out = self.run(script, timeout)
        assert code == 0, f"exit {code}: {script}\n{out}"
        return out

    def write(self, path, text, mode="644"):
        coded = base64.b64encode(text.encode()).decode()
        self.ok(f"mkdir -p $(dirname {path}) && echo {coded} | base64 -d >{path} && chmod {mode} {path}")

    def state(self, *units):
        """{unit: ActiveState}"""
        said = self.run(f"systemctl is-active {' '.join(units)}")[1].split()
        assert len(said) == len(units), said
        return dict(zip(units, said))

    def settle(self, timeout=180):
        """Waits until nothing is being started any more; "running" or "degraded"."""
        return self.run(SETTLED, timeout)[1].strip()

    def journal(self, *pattern):
        return self.run("journalctl -b --no-pager -q -o short-monotonic" + "".join(f" -g '{p}'" for p in pattern))[1]

    def saw(self, name):
        """What docker or kubelet (host/usr/local/sbin/what-it-saw) found when it started: {mount point: [source, type]},
        and "accounts"; None when it did not start in this boot."""
        code, out = self.run(f"cat /run/{name}-saw")
        return {line.split()[0]: line.split()[1:] for line in out.splitlines()} if code == 0 else None

    def check(self, *what):
        """What `agavectl check` finds: {id: {severity, ...}}."""
        code, out = self.run(f"agavectl check --no-lab -a -o json {' '.join(what)}")
        assert code in (0, 3), out
        found = {}
        for f in json.loads(out)["findings"]:
            found.setdefault(f["id"], set()).add(f["severity"])
        return found
