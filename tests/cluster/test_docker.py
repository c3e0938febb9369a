#!/usr/bin/env python3
"""Our client of Docker against a real one: a private dockerd, with containers named and labelled as kind does it."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
import machine
from harness import BUILD, main, test

DRIVER = BUILD / "tests/cluster/cluster_driver"
FOLDER = machine.enter("docker", ["dockerd", "docker", "containerd", "runc", "busybox", "iptables", "tar"])
docker = machine.Docker(FOLDER)
SOURCE = Path("/srv/kind")
SLEEP = b"sleep\x00600\x00"


def ask(*args, socket="", code=0, user=None, timeout=30):
    start = time.monotonic()
    run = subprocess.run([str(FOLDER / "driver"), "docker", str(socket), *args], capture_output=True, text=True, timeout=timeout,
                         user=user, group=user, extra_groups=[] if user else None)
    assert run.returncode == code, (run.returncode, run.stdout, run.stderr)
    return {**json.loads(run.stdout), "seconds": time.monotonic() - start}


def node(name, propagation, *options, command=("sleep", "600")):
    """What kind runs for its node, as far as Docker can tell."""
    docker("run", "-d", "--name", f"{name}-control-plane", "--label", f"io.x-k8s.kind.cluster={name}",
           "--label", "io.x-k8s.kind.role=control-plane",
           "--mount", f"type=bind,src={SOURCE},dst=/mnt,bind-propagation={propagation}",
           *options, "localhost/busybox:1", *command)
    return f"{name}-control-plane"


def inspect(name, what):
    return docker("inspect", "-f", what, name)


@test
def a_daemon_tells_about_itself(t):
    got = ask()
    assert got["version"] == docker("version", "-f", "{{.Server.Version}}"), got
    assert re.fullmatch(r"v1\.\d+", got["api"]), got
    assert got["root_dir"] == docker("info", "-f", "{{.DockerRootDir}}") == str(FOLDER / "docker"), got
    assert got["driver"] == "overlay2" and got["live_restore"] is True, got
    assert got["cgroup_driver"] == docker("info", "-f", "{{.CgroupDriver}}"), got
    assert str(got["cgroup_version"]) == docker("info", "-f", "{{.CgroupVersion}}"), got
    assert got["kind_nodes"] == [], got
    assert got["seconds"] < 2, got
    t.real("docker", f"dockerd {got['version']}, API {got['api']}")


@test
def nodes_and_their_propagation(t):
    docker("run", "-d", "--name", "other", "localhost/busybox:1", "sleep", "600")
    for propagation in ("rshared", "rslave", "rprivate"):
        name = node(propagation, propagation, "--restart=on-failure:1", "-m", "64m", "--privileged")
        got = ask(name)["container"]
        assert got["name"] == name and got["kind_cluster"] == propagation, got
        assert got["id"] == inspect(name, "{{.Id}}") and got["image"] == "localhost/busybox:1", got
        assert got["status"] == "running" and got["running"] and not got["oom_killed"], got
        assert got["mounts"] == [{"source": str(SOURCE), "destination": "/mnt", "propagation": propagation,
                                  "rw": True}], got
        assert got["restart_policy"] == "on-failure" and got["memory_b"] == 64 << 20 and got["privileged"], got
        assert got["ip"] == inspect(name, "{{.NetworkSettings.IPAddress}}"), got
        assert Path(f"/proc/{got['pid']}/cmdline").read_bytes() == SLEEP, got
        said = datetime.fromisoformat(inspect(name, "{{.State.StartedAt}}")[:19]).replace(tzinfo=timezone.utc)
        assert got["started_at"] == int(said.timestamp()) and got["finished_at"] == 0, got
    assert sorted(ask()["kind_nodes"]) == [f"{p}-control-plane" for p in ("rprivate", "rshared", "rslave")]


@test
def what_docker_says_of_propagation_is_so(t):
    """A mount made later on the host is seen where Docker says rshared or rslave, and nowhere else."""
    later = SOURCE / "later"
    later.mkdir()
    t.sh("mount", "-t", "tmpfs", "-o", "size=1m", "later", later)
    t.later(lambda: t.sh("umount", later))
    (later / "f").write_text("x")
    for propagation in ("rshared", "rslave", "rprivate"):
        got = ask(f"{propagation}-control-plane")["container"]
        seen = Path(f"/proc/{got['pid']}/root/mnt/later/f").exists()
        assert seen == (got["mounts"][0]["propagation"] != "rprivate"), got


def write_config(t, cluster, runtime="kubernetes"):
    config = t.dir / "agavectl.yaml"
    config.write_text(f"""
kind: {{cluster: {cluster}}}
storage:
  kind_root: {SOURCE}
  bind: ""
  volume: {{mount: {SOURCE}/solana}}
  ramdisk: {{mount: {SOURCE}/solana/ramdisk, kind: none}}
host: {{persist: false}}
validator:
  runtime: {runtime}
  bin: /bin/false
  uid: 0
  gid: 0
  identity: {t.dir}/identity.json
  ledger: {SOURCE}/solana/ledger
  snapshots: {SOURCE}/solana/snapshots
  accounts: {SOURCE}/solana/ramdisk/accounts
  log: {SOURCE}/solana/log/validator.log
state_dir: {t.dir}/state
journal_dir: {t.dir}/journal
""")
    return config


def mount_storage(t):
    """Volume and RAM disk, mounted after the nodes were made, with the proof of this boot."""
    at = SOURCE / "solana"
    at.mkdir(exist_ok=True)
    t.sh("mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "volume", at)
    t.later(lambda: t.sh("umount", at))
    (at / "ramdisk").mkdir()
    t.sh("mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "ramdisk", at / "ramdisk")
    t.later(lambda: t.sh("umount", at / "ramdisk"))
    for name in ("ledger", "snapshots", "log", "ramdisk/accounts"):
        (at / name).mkdir()
    device = {"path": None, "major": None, "minor": None, "size_b": None}
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    (at / ".agavectl-boot.json").write_text(json.dumps(
        {"schema_version": 1, "boot_id": boot, "formatted_at": None, "mounted_at": 1, "owned_at": 1,
         "node_seen_at": None, "pod_seen_at": None, "volume": device, "ramdisk": device,
         "accounts": {"dev": None, "ino": None}, "left": None, "disabled": None, "failed": None, "unseen": None}))
    t.real("mounts", "made on the host after the nodes, looked for in them")


@test
def check_finds_the_node_that_sees_nothing(t):
    """The same three nodes: told to Docker, found in the kernel, and mounts made later that one misses."""
    mount_storage(t)
    for propagation in ("rshared", "rslave", "rprivate"):
        found, answer = machine.check(t, write_config(t, propagation), "docker", "cluster", "propagation")
        for name in ("docker.reach", "docker.liverestore", "docker.root", "cluster.node", "cluster.mount"):
            assert found[name] == ["ok"], (name, answer)
        assert found["cluster.node.memory"] == ["warn"], answer  # they were given 64 MiB
        want = {"fail" if propagation == "rprivate" else "ok"}
        for name in ("cluster.propagation", "propagation.receives", "propagation.node", "propagation.sentinel"):
            assert set(found[name]) == want, (name, propagation, answer)


@test
def no_start_while_the_node_sees_nothing(t):
    """Refused before anything is done; with the right node the (broken) validator is started."""
    mount_storage(t)
    (t.dir / "identity.json").write_text("[]")
    run = lambda cluster, *what: t.run(*what, "--no-lab", "-c", write_config(t, cluster, "process"))
    for what in (["start"], ["restart"], ["up", "--yes"]):
        r = run("rprivate", *what)
        assert r.code == 4 and "propagation." in r.err and "made again" in r.err, (what, r)
    r = run("rslave", "start")
    assert r.code == 1 and "ok  storage" in r.err and "ended" in r.err, r


@test
def a_docker_that_is_silent_is_not_ok(t):
    os.kill(docker.process.pid, signal.SIGSTOP)
    t.later(lambda: os.kill(docker.process.pid, signal.SIGCONT))
    found, answer = machine.check(t, write_config(t, "rslave"), "propagation")
    assert found == {"propagation.node": ["unknown"]}, answer


@test
def one_that_ran_out_of_memory(t):
    name = node("oom", "rprivate", "-m", "16m", "--memory-swap", "16m",
                command=("sh", "-c", "dd if=/dev/zero of=/dev/null bs=256M count=1"))
    t.until("its end", lambda: not ask(name)["container"]["running"], 30)
    got = ask(name)["container"]
    assert got["oom_killed"] is (inspect(name, "{{.State.OOMKilled}}") == "true"), got
    assert got["status"] == "exited" and got["pid"] == 0 and got["exit_code"] == 137, got
    assert got["finished_at"] >= got["started_at"] > 0, got


@test
def no_such_container(t):
    got = ask("none-control-plane", code=1)
    assert got["kind"] == "not found" and "No such container" in got["text"], got


@test
def a_forbidden_socket_is_not_a_stopped_daemon(t):
    got = ask(socket=docker.socket, code=1, user=65534)
    assert got["kind"] == "refused", got
    assert "permission denied" in got["text"].lower() and "group docker" in got["text"], got
    got = ask(socket="/run/none.sock", code=1)
    assert got["kind"] == "absent" and "systemctl start docker" in got["text"], got


@test
def a_daemon_that_does_not_answer(t):
    os.kill(docker.process.pid, signal.SIGSTOP)
    t.later(lambda: os.kill(docker.process.pid, signal.SIGCONT))
    got = ask(code=1)
    assert got["kind"] == "timeout" and "not done within 0.5 s" in got["text"], got
    assert got["seconds"] < 2, got


@test
def containers_outlive_the_daemon(t):
    """Live-restore: the daemon is gone, its socket's file is still there, the node still runs."""
    pid = ask("rslave-control-plane")["container"]["pid"]
    docker.process.kill()
    docker.process.wait()
    assert docker.socket.exists()
    got = ask(code=1)
    assert got["kind"] == "absent" and "connection refused" in got["text"].lower(), got
    assert Path(f"/proc/{pid}/cmdline").read_bytes() == SLEEP
    docker.start()
    got = ask("rslave-control-plane")["container"]
    assert got["pid"] == pid and got["running"], got


@test
def live_restore_is_seen_when_it_is_off(t):
    docker.stop()
    docker.live_restore = False
    docker.start()
    assert ask()["live_restore"] is False


machine.make_kind_root()
shutil.copy(DRIVER, FOLDER / "driver")  # other users run it too
docker.start()
docker.import_busybox()
main()
