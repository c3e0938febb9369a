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


main()
