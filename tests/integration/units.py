"""What systemd itself says of the next boot's files, without a boot: its generator for fstab, and systemd-analyze."""
import os
import shutil
import subprocess
from pathlib import Path

GENERATOR = Path("/usr/lib/systemd/system-generators/systemd-fstab-generator")
SYSTEM = "/usr/lib/systemd/system"


def missing():
    """Why nothing can be said here, or None."""
    if not GENERATOR.exists() or not shutil.which("systemd-analyze"):
        return "no systemd-fstab-generator or no systemd-analyze"
    return None


def generate(etc, out):
    """The units that systemd makes of etc/fstab; their folder."""
    folders = [Path(out) / name for name in ("normal", "early", "late")]
    for folder in folders:
        folder.mkdir(parents=True)
    said = subprocess.run([GENERATOR, *folders], capture_output=True, text=True,
                          env={**os.environ, "SYSTEMD_FSTAB": str(Path(etc) / "fstab"), "SYSTEMD_IN_CHROOT": "0"})
    assert said.returncode == 0 and not said.stderr, said
    return folders[0]


def complaints(etc, out, units):
    """What systemd has against these units and all that they pull in. Its exit code says nothing: of an ordering cycle it
    only tells. Programs are not looked for: not all are on this machine."""
    path = f"{Path(etc) / 'systemd/system'}:{generate(etc, out)}:{SYSTEM}"
    said = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=yes", *units],
                          capture_output=True, text=True, env={**os.environ, "SYSTEMD_UNIT_PATH": path})
    return [line for line in (said.stdout + said.stderr).splitlines() if "is not executable" not in line]
