"""The driver conformance test, with the stand-in and with real Agave: the same claims for both."""
import os
import subprocess
from pathlib import Path

import agave
import lab
from harness import BUILD, main, test


def run(t, driver, argv, ledger, env, enter=()):
    full = dict(os.environ, DRIVER=driver, DRIVER_DIR=str(t.dir / "state"), DRIVER_LEDGER=str(ledger),
                DRIVER_ARGV="\n".join(map(str, argv)), DRIVER_ENV="\n".join(env),
                CMOCKA_MESSAGE_OUTPUT="STDOUT")
    (t.dir / "state").mkdir()
    p = subprocess.run([*enter, str(BUILD / "tests" / "conformance" / "driver")], env=full, text=True,
                       capture_output=True, timeout=800)
    for line in (p.stdout + p.stderr).splitlines():
        print(f"#   {line}")
    assert p.returncode == 0, "a claim failed"


@test
def process_driver_with_the_stand_in(t):
    """In a lab, with the very command line that `up` used there."""
    lab.up(t)
    assert t.run("--lab", "up", "--yes").code == 0
    pid = lab.status(t)["unit"]["pids"][0]
    argv = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
    env = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")[:-1]
    assert t.run("--lab", "stop").code == 0
    ledger = argv[argv.index("--ledger") + 1]
    run(t, "process", argv, ledger, env, ["nsenter", *lab.ENTER])


@test
def process_driver_with_real_agave(t):
    t.need_root()
    program = agave.program("agave-validator")
    agave.raise_sysctls(t)
    ns = agave.Namespaces(t)
    argv = agave.voting_node_argv(t, t.dir)
    run(t, "process", argv, t.dir / "ledger", agave.preload(), ns.enter())
    t.real("agave", f"{program.name} {agave.VERSION} under the process driver")


main()
