#!/usr/bin/env python3
"""Our clients of kubeconfig, Kubernetes and Docker against a real cluster of kind, with a Deployment in the shape
that laconic-so gives it. The node's image is made once by make-node; without it this is left out."""
import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
import machine
from harness import BUILD, main, test

HERE = Path(__file__).resolve().parent
where = subprocess.run([str(HERE / "make-node"), "--where"], capture_output=True, text=True)
if where.returncode != 0:
    machine.skip_all("kind", "its node is not made; run tests/cluster/make-node")
PARTS = Path(where.stdout.strip())
FOLDER = machine.enter("kind", ["dockerd", "docker", "containerd", "runc", "busybox", "iptables", "tar"])
DRIVER = BUILD / "tests/cluster/cluster_driver"
CLUSTER = "laconic-test"
NODE = f"{CLUSTER}-control-plane"
NAMESPACE, DEPLOYMENT = f"laconic-{CLUSTER}", f"{CLUSTER}-deployment"
CONFIG = FOLDER / "kubeconfig"
docker = machine.Docker(FOLDER)


def program(name, *args, timeout=240, stdin=None):
    run = subprocess.run([str(PARTS / name), *map(str, args)], capture_output=True, text=True, timeout=timeout,
                         input=stdin, env={**docker.env(), "KUBECONFIG": str(CONFIG), "HOME": str(FOLDER),
                                           "PATH": f"{PARTS}:{os.environ['PATH']}"})
    if run.returncode != 0:
        raise AssertionError(f"{name} {args}: {run.stderr[-3000:]}")
    return run.stdout


def kubectl(*args, **kwargs):
    return program("kubectl", *args, **kwargs)


def said(kind, name=None):
    """An object, or the only pod, as kubectl shows it."""
    j = json.loads(kubectl("-n", NAMESPACE, "get", kind, *([name] if name else []), "-o", "json"))
    return j if name else j["items"][0]


def ask(config=CONFIG, context="", *more, code=0):
    run = subprocess.run([str(DRIVER), "kube", str(config), context, *more], capture_output=True, text=True, timeout=60)
    assert run.returncode == code, (run.returncode, run.stdout, run.stderr)
    return json.loads(run.stdout)


def objects():
    return ask(CONFIG, "", NAMESPACE, DEPLOYMENT, NODE)


def seconds(text):
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


@test
def the_node_as_docker_sees_it(t):
    run = subprocess.run([str(DRIVER), "docker", "", NODE], capture_output=True, text=True, timeout=60)
    got = json.loads(run.stdout)
    assert got["kind_nodes"] == [NODE], got
    node = got["container"]
    assert node["kind_cluster"] == CLUSTER and node["running"] and node["privileged"], node
    mounts = [m for m in node["mounts"] if m["destination"] == "/mnt"]
    assert mounts == [{"source": "/srv/kind", "destination": "/mnt", "propagation": "rslave", "rw": True}], node
    assert node["restart_policy"] == "on-failure", node
    # what is only in a file of the node: kubelet's own limits for eviction
    config = Path(f"/proc/{node['pid']}/root/var/lib/kubelet/config.yaml").read_text()
    assert "evictionHard:" in config, config


@test
def what_kind_wrote_leads_to_the_api(t):
    got = ask()
    assert got["context"] == f"kind-{CLUSTER}", got
    assert got["server"].startswith("https://127.0.0.1:"), got
    assert got["version"] == "v1.34.4", got
    t.real("kind", f"v0.33.0, Kubernetes {got['version']}, one node")


@test
def a_deployment_and_its_pod(t):
    kubectl("apply", "-f", HERE / "deployment.yaml")
    kubectl("-n", NAMESPACE, "rollout", "status", f"deployment/{DEPLOYMENT}", "--timeout=180s")
    t.until("the pod to have been out of memory once and to be ready", lambda: any(
        p["ready"] and any(s["restarts"] for s in p["statuses"]) for p in objects()["pods"]), 120)
    got, real, pod = objects(), said("deployment", DEPLOYMENT), said("pods")
    assert got["meta"]["uid"] == real["metadata"]["uid"], got
    assert got["meta"]["created_at"] == seconds(real["metadata"]["creationTimestamp"]), got
    assert got["meta"]["generation"] == got["observed_generation"] == real["metadata"]["generation"], got
    assert got["replicas"] == 1 and got["strategy"] == "Recreate" and got["host_network"], got
    assert got["selector"] == f"app={DEPLOYMENT}" and got["grace_s"] == 5, got
    validator, eater = got["containers"]
    assert validator == {"name": "agave-validator", "memory_limit_b": 64 << 20, "cpu_limit_m": 500, "liveness": "exec",
                         "liveness_period_s": 30, "liveness_failures": 5, "readiness": "httpGet", "mounts": 3}, got
    assert eater["memory_limit_b"] == 32 << 20 and eater["liveness"] is None, got
    assert got["volumes"] == {"validator-ledger": "/mnt/solana/ledger", "run": None,
                              "validator-accounts": "/mnt/solana/ramdisk/accounts"}, got
    assert got["pvs"] == 2, got
    [mine] = got["pods"]
    assert mine["meta"]["uid"] == pod["metadata"]["uid"] and mine["meta"]["owner_kind"] == "ReplicaSet", mine
    assert mine["phase"] == "Running" and mine["ready"] and mine["node"] == NODE, mine
    assert mine["ip"] == pod["status"]["podIP"] and mine["started_at"] == seconds(pod["status"]["startTime"]), mine
    status = {s["name"]: s for s in mine["statuses"]}
    assert status["eater"]["restarts"] >= 1 and status["eater"]["last_reason"] == "OOMKilled", status
    assert status["eater"]["last_exit"] == 137 and status["agave-validator"]["restarts"] == 0, status
    assert status["agave-validator"]["container_id"].startswith("containerd://"), status


def check(t, *what, accounts="/mnt/solana/ramdisk/accounts"):
    """Severities by id, and the whole answer, of agavectl check."""
    config = t.dir / "agavectl.yaml"
    config.write_text(f"""
kind: {{cluster: {CLUSTER}}}
kubernetes:
  kubeconfig: {CONFIG}
  namespace: {NAMESPACE}
  deployment: {DEPLOYMENT}
  volumes: [validator-ledger=/mnt/solana/ledger, validator-accounts={accounts}]
storage:
  volume: {{mount: /srv/kind/solana}}
  ramdisk: {{mount: /srv/kind/solana/ramdisk}}
  bind: ""
validator:
  runtime: kubernetes
  ledger: /srv/kind/solana/ledger
  accounts: /srv/kind/solana/ramdisk/accounts
  snapshots: /srv/kind/solana/snapshots
""")
    found, answer = machine.check(t, config, *what)
    return {name: set(severities) for name, severities in found.items()}, answer


@test
def check_says_what_could_kill_the_validator(t):
    got, text = check(t, "docker", "cluster")
    for fine in ("docker.reach", "docker.liverestore", "docker.root", "cluster.node", "cluster.mount",
                 "cluster.propagation", "cluster.eviction", "cluster.api", "cluster.deployment", "cluster.strategy",
                 "cluster.rollout", "cluster.volumes", "cluster.ready"):
        assert got[fine] == {"ok"}, (fine, got[fine], text)
    assert got["cluster.grace"] == got["cluster.grace.live"] == {"fail"}, text
    assert got["cluster.liveness"] == {"fail"} and got["cluster.startup"] == {"ok"}, text
    assert got["cluster.oom"] == {"warn"}, text
    assert "cluster.claims" not in got and "cluster.pressure" not in got, text
    got, text = check(t, "cluster.volumes", accounts="/mnt/solana/elsewhere")
    assert got == {"cluster.volumes": {"ok", "fail"}}, text


@test
def check_sees_the_pod_that_writes_below_a_mount(t):
    """A process in the pod holds the ledger's lock, as Agave does; then the RAM disk comes, too late for the pod."""
    [pod] = [p.parent.name for p in Path("/proc").glob("[0-9]*/cmdline") if b"httpd\0-f\0-p\0" in p.read_bytes()]
    code = ("import ctypes, fcntl, os, sys\n"
            f"assert ctypes.CDLL(None).setns(os.open('/proc/{pod}/ns/mnt', os.O_RDONLY), 0x20000) == 0\n"
            "f = open('/ledger/ledger.lock', 'w')\nfcntl.flock(f, fcntl.LOCK_EX)\nsys.stdin.read()\n")
    holder = subprocess.Popen([sys.executable, "-c", code, "--ledger", "/ledger", "--accounts", "/accounts"],
                              stdin=subprocess.PIPE)
    t.later(holder.kill)
    t.until("the lock in the pod", lambda: "propagation.pod" in check(t, "propagation")[0], 60)
    got, text = check(t, "propagation")
    assert got["propagation.node"] == got["propagation.pod"] == got["propagation.receives"] == {"ok"}, text
    t.sh("mount", "-t", "tmpfs", "late", "/srv/kind/solana/ramdisk")
    t.later(lambda: t.sh("umount", "/srv/kind/solana/ramdisk"))
    Path("/srv/kind/solana/ramdisk/accounts").mkdir()
    got, text = check(t, "propagation")
    assert got["propagation.node"] == got["propagation.receives"] == {"ok"}, text
    assert got["propagation.pod"] == {"ok", "fail"}, text  # the ledger, and the accounts
    [bad] = [f for f in text["findings"] if f["id"] == "propagation.pod" and f["severity"] == "fail"]
    assert "'/accounts' but the folder below the mount point '/srv/kind/solana/ramdisk'" in bad["what"], bad
    t.real("kind", "a pod that has the folder below a mount point that came later")


@test
def check_sees_whether_mounts_get_through(t):
    run = lambda *command: subprocess.run(list(map(str, command)), check=True)
    run("mount", "-t", "tmpfs", "later", "/srv/kind/solana")
    got, text = check(t, "propagation")
    assert got["propagation.receives"] == {"ok"} and got["propagation.node"] == {"ok"}, text
    pid = docker("inspect", "--format", "{{.State.Pid}}", NODE)
    run("nsenter", "--target", pid, "--mount", "mount", "--make-rprivate", "/mnt")
    Path("/srv/kind/solana/ramdisk").mkdir()
    run("mount", "-t", "tmpfs", "lost", "/srv/kind/solana/ramdisk")
    got, text = check(t, "propagation")
    assert got["propagation.receives"] == {"fail"}, text
    assert got["propagation.node"] == {"ok", "fail"}, text  # what was mounted before, and what came after
    run("umount", "/srv/kind/solana/ramdisk")
    run("umount", "/srv/kind/solana")
    t.real("mounts", "seen by check in a real kind node, and the one that did not get through")


@test
def the_node_as_kubernetes_sees_it(t):
    real = json.loads(kubectl("get", "node", NODE, "-o", "json"))
    got = objects()["node"]
    assert got["meta"]["uid"] == real["metadata"]["uid"] and got["ready"] == "True" and not got["cordoned"], got
    assert got["kubelet"] == "v1.34.4" and got["memory_b"] == int(real["status"]["capacity"]["memory"][:-2]) << 10, got
    assert got["internal_ip"] in [a["address"] for a in real["status"]["addresses"]], got
    kubectl("cordon", NODE)
    assert objects()["node"]["cordoned"] is True
    kubectl("uncordon", NODE)
    assert objects()["node"]["cordoned"] is False


@test
def nothing_runs_after_a_scale_to_nothing(t):
    before = objects()["meta"]
    kubectl("-n", NAMESPACE, "scale", f"deployment/{DEPLOYMENT}", "--replicas=0")
    t.until("the pod's end", lambda: not objects()["pods"], 60)
    got = objects()
    assert got["replicas"] == 0 and got["ready"] == 0, got
    assert got["meta"]["uid"] == before["uid"] and got["meta"]["resource_version"] != before["resource_version"], got


@test
def what_is_not_there_and_what_is_not_ours(t):
    got = ask(CONFIG, "", NAMESPACE, "none-deployment", NODE, code=1)
    assert got["kind"] == "not found" and "not found" in got["text"], got
    got = ask(CONFIG, "other", code=1)
    assert got["kind"] == "not found" and "there is no context 'other'" in got["text"], got
    kubectl("create", "serviceaccount", "nobody", "-n", NAMESPACE)
    token = kubectl("create", "token", "nobody", "-n", NAMESPACE).strip()
    assert len(token) > 100
    with open(CONFIG) as f:
        lines = f.read().splitlines()
    user = next(i for i, line in enumerate(lines) if line.startswith("users:"))
    weak = FOLDER / "weak"
    weak.write_text("\n".join([*lines[:user], "users:", f"- name: kind-{CLUSTER}", "  user:", f"    token: {token}",
                               ""]))
    weak.chmod(0o600)
    got = ask(weak, "", NAMESPACE, DEPLOYMENT, NODE, code=1)
    assert got["version"] == "v1.34.4", got  # that much everyone may see
    assert got["kind"] == "refused" and "cannot get resource" in got["text"] and token not in json.dumps(got), got
    weak.write_text(weak.read_text().replace(token, token[:-8] + "AAAAAAAA"))
    got = ask(weak, "", NAMESPACE, DEPLOYMENT, NODE, code=1)
    assert got["kind"] == "refused" and "401" in got["text"], got


@test
def a_server_with_another_authority_is_not_believed(t):
    other = FOLDER / "other"
    lines = CONFIG.read_text().splitlines()
    cert = next(line for line in lines if "client-certificate-data:" in line).split(": ")[1]
    text = "\n".join(f"    certificate-authority-data: {cert}" if "certificate-authority-data" in line else line
                     for line in lines)
    other.write_text(text + "\n")
    other.chmod(0o600)
    got = ask(other, code=1)
    assert got["kind"] == "remote" and "certificate" in got["text"], got


@test
def an_api_that_is_gone(t):
    docker("kill", NODE)
    got = ask(code=1)
    assert got["kind"] in ("remote", "timeout") and got["text"].startswith("kubernetes at 'https://127.0.0.1:"), got
    got, text = check(t, "cluster")
    assert got["cluster.node"] == {"fail"} and got["cluster.api"] == {"unknown"}, text
    assert "cluster.deployment" not in got, text  # not known: neither right nor wrong


machine.make_kind_root()
Path("/srv/kind/solana/ledger").mkdir(parents=True)
Path("/srv/kind/solana/ramdisk/accounts").mkdir(parents=True)
docker.start()
docker("load", "-i", PARTS / "node.tar")
program("kind", "create", "cluster", "--name", CLUSTER, "--image", "localhost/kind-node:v1.34.4", "--config",
        HERE / "kind.yaml", "--kubeconfig", CONFIG)
kubectl("wait", "--for=condition=Ready", f"node/{NODE}", "--timeout=120s")
main()
