"""The driver conformance test, with the stand-in and with real Agave: the same claims for both."""
import os
import shutil
import subprocess

import agave
from harness import BUILD, Skip, main, test

KINDS = ("process",)


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
    program = BUILD / "agavectl-lab-validator"
    if not program.exists():
        raise Skip("the stand-in is not built")
    for folder in ("ledger", "snapshots", "accounts"):
        (t.dir / folder).mkdir()
    argv = [program, "--identity", t.dir / "id.json", "--no-voting", "--ledger", t.dir / "ledger", "--snapshots",
            t.dir / "snapshots", "--accounts", t.dir / "accounts", "--log", t.dir / "log", "--rpc-port", "18899",
            "--rpc-bind-address", "127.0.0.1", "--bind-address", "127.0.0.1", "--gossip-port", "18001",
            "--dynamic-port-range", "18002-18040", "--no-snapshot-fetch", "--no-genesis-fetch"]
    shutil.copy(t.data("agave", "seed-cluster", "node2-keypair.json"), t.dir / "id.json")
    shutil.copy(t.data("agave", "seed-cluster", "genesis.tar.bz2"), t.dir / "ledger")
    ns = agave.Namespaces(t)
    run(t, "process", argv, t.dir / "ledger", [f"HOME={os.environ.get('HOME', '/root')}"], ns.enter())


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
