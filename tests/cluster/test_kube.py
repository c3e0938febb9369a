#!/usr/bin/env python3
"""Our clients of kubeconfig, Kubernetes and Docker against a real cluster of kind, with a Deployment in the shape
that laconic-so gives it. The node's image is made once by make-node; without it this is left out."""
import json
import os
import signal
import subprocess
import sys
import time
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


# ---- what changes something: a Deployment of its own, whose pod ends when it is told to


CHANGE = BUILD / "tests/cluster/cluster_change"
OURS = "changing"
POD_SPEC = {"terminationGracePeriodSeconds": 5, "containers": [{
    "name": "main", "image": "localhost/busybox:1", "imagePullPolicy": "IfNotPresent", "command": [
        "sh", "-c", "trap 'while [ ! -e /tmp/go ]; do sleep 1; done; exit 0' TERM; while :; do sleep 1; done"]}]}


def config_map(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": OURS}, "data": data}


def stopper(replicas):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "stopper", "namespace": OURS},
            "spec": {"replicas": replicas, "strategy": {"type": "Recreate"},
                     "selector": {"matchLabels": {"app": "stopper"}},
                     "template": {"metadata": {"labels": {"app": "stopper"}}, "spec": POD_SPEC}}}


def change(*args, config=CONFIG, code=0, timeout=90):
    """What our client says: its lines, and its last one."""
    run = subprocess.run([str(CHANGE), str(config), *map(str, args)], capture_output=True, text=True, timeout=timeout)
    assert run.returncode == code, (args, run.returncode, run.stdout, run.stderr)
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    return {**lines[-1], "lines": lines[:-1]}


class Background:
    """The same, while something else is done."""

    def __init__(self, t, *args, config=CONFIG):
        self.out = open(t.dir / f"out-{args[0]}-{time.monotonic_ns()}", "w+")
        self.process = subprocess.Popen([str(CHANGE), str(config), *map(str, args)], stdin=subprocess.PIPE,
                                        stdout=self.out, text=True)
        t.later(self.process.kill)

    def lines(self):
        with open(self.out.name) as f:
            return [json.loads(line) for line in f.read().splitlines() if line.endswith("}")]

    def wait(self, code=0, timeout=60):
        assert self.process.wait(timeout) == code, self.lines()
        return self.lines()[-1]


def of(kind, name):
    return json.loads(kubectl("-n", OURS, "get", kind, name, "-o", "json"))


def ident(kind="deployment", name="stopper", wish=True):
    m = of(kind, name)["metadata"]
    return m.get("namespace", ""), m["name"], m["uid"], m["generation"] if wish else 0


def pods(**state):
    items = json.loads(kubectl("-n", OURS, "get", "pods", "-l", "app=stopper", "-o", "json"))["items"]
    return [p for p in items if not state or p["status"].get("phase") == state["phase"]]


def running_pod(t):
    t.until("the pod to run", lambda: any(p["status"].get("containerStatuses", [{}])[0].get("started")
                                          for p in pods(phase="Running")), 60)
    return pods(phase="Running")[0]["metadata"]


def with_user(name, user, owner=0):
    """The kubeconfig with another user, as text for its entry."""
    lines = CONFIG.read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("users:"))
    folder = FOLDER / name
    folder.mkdir(exist_ok=True)
    weak = folder / "config"
    weak.write_text("\n".join([*lines[:at], "users:", f"- name: kind-{CLUSTER}", "  user:", *user, ""]))
    weak.chmod(0o600)
    os.chown(folder, owner, owner)
    os.chown(weak, owner, owner)
    return weak


def token_user(name, account):
    return with_user(name, [f"    token: {kubectl('-n', OURS, 'create', 'token', account).strip()}"])


@test
def a_manifest_is_applied_and_a_conflict_is_told(t):
    change("create-namespace", OURS)
    got = change("create-namespace", OURS, code=1)
    assert got["conflict"] and "is there already" in got["text"], got
    several = {"apiVersion": "v1", "kind": "List", "items": [config_map("ours", a="1"), stopper(1)]}
    change("apply", json.dumps(several), "no")
    kubectl("-n", OURS, "wait", "--for=jsonpath={.status.phase}=Active", f"namespace/{OURS}")
    kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=gitops", "-f", "-",
            stdin=json.dumps(config_map("ours", a="2")))
    got = change("apply", json.dumps(config_map("ours", a="3")), "no", code=1)
    assert got["conflict"] and '"gitops"' in got["text"] and ".data.a" in got["text"], got
    assert of("configmap", "ours")["data"] == {"a": "2"}
    change("--dry", "apply", json.dumps(config_map("ours", a="3")), "force")
    assert of("configmap", "ours")["data"] == {"a": "2"}
    change("apply", json.dumps(config_map("ours", a="3")), "force")
    assert of("configmap", "ours")["data"] == {"a": "3"}


@test
def a_change_is_bound_to_what_was_seen(t):
    running_pod(t)
    seen = ident()
    kubectl("-n", OURS, "annotate", "deployment/stopper", "somebody=else")
    got = change("scale", *seen, 0, code=1)
    assert got["conflict"] and "somebody else has changed it" in got["text"], got
    other = (*seen[:2], seen[2][:-4] + "0000", 0)
    got = change("scale", *other, 0, code=1)
    assert got["conflict"] and "another object has its name" in got["text"], got
    change("--dry", "scale", *ident(), 0)
    got = change("template", *ident(), '{"spec": {"terminationGracePeriodSeconds": 600}}', code=1)
    assert got["kind"] == "refused" and "has replicas (1 wanted, 1 there)" in got["text"], got
    got = change("apply", json.dumps(stopper(1)), "force", code=1)
    assert got["kind"] == "refused" and "scale it to 0 first" in got["text"], got
    assert of("deployment", "stopper")["spec"]["replicas"] == 1 and len(pods()) == 1
    change("annotate", *ident(), "agavectl/operation", "stop-1")
    assert of("deployment", "stopper")["metadata"]["annotations"]["agavectl/operation"] == "stop-1"
    change("annotate", *ident(), "agavectl/operation", "")
    assert "agavectl/operation" not in of("deployment", "stopper")["metadata"]["annotations"]
    t.real("kind", "scale refused after somebody else's change; no template is written over a pod")


@test
def who_may_not_is_told_and_nothing_happens(t):
    kubectl("-n", OURS, "create", "serviceaccount", "reader")
    kubectl("-n", OURS, "create", "role", "reader", "--verb=get", "--resource=deployments,pods")
    kubectl("-n", OURS, "create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={OURS}:reader")
    weak, pod = token_user("reader", "reader"), running_pod(t)
    for dry in ([], ["--dry"]):
        got = change(*dry, "scale", *ident(), 0, config=weak, code=1)
        assert got["kind"] == "refused" and not got["conflict"] and 'cannot update resource "deployments/scale"' in \
            got["text"] and f"system:serviceaccount:{OURS}:reader" in got["text"], got
        got = change(*dry, "delete-pod", OURS, pod["name"], pod["uid"], 0, 600, config=weak, code=1)
        assert got["kind"] == "refused" and 'cannot delete resource "pods"' in got["text"], got
    assert of("deployment", "stopper")["spec"]["replicas"] == 1
    assert "deletionTimestamp" not in of("pod", pod["name"])["metadata"]
    # not even a watch is allowed: the pod is looked at instead
    got = change("gone", OURS, pod["name"], pod["uid"], 0, 1, config=weak, code=1)
    assert got["kind"] == "timeout", got


@test
def the_first_delete_decides_how_long_a_pod_has(t):
    uid = json.loads(kubectl("get", "node", NODE, "-o", "json"))["metadata"]["uid"]
    pod = running_pod(t)
    change("--dry", "cordon", NODE, uid, "stop-1")
    change("--dry", "delete-pod", OURS, pod["name"], pod["uid"], 0, 600)
    assert not objects()["node"]["cordoned"] and "deletionTimestamp" not in of("pod", pod["name"])["metadata"]
    change("cordon", NODE, uid, "stop-1")
    change("cordon", NODE, uid, "stop-1")  # after a crash
    assert objects()["node"]["cordoned"] is True
    assert change("delete-pod", OURS, pod["name"], pod["uid"], 0, 600)["grace_s"] == 600
    waits = Background(t, "gone", OURS, pod["name"], pod["uid"], 0, 60)
    change("scale", *ident(wish=False), 0)
    assert change("delete-pod", OURS, pod["name"], pod["uid"], 0, 5)["grace_s"] == 600  # is not made shorter
    live = of("pod", pod["name"])["metadata"]
    assert live["deletionGracePeriodSeconds"] == 600 and live["uid"] == pod["uid"], live
    t.until("the pod that could not be placed to be gone", lambda: len(pods()) == 1, 30)
    assert change("events", OURS, pod["uid"])["lines"][-1]["reason"] == "Killing"
    assert waits.process.poll() is None
    kubectl("-n", OURS, "exec", pod["name"], "--", "sh", "-c", ">/tmp/go")
    waits.wait(timeout=30)
    assert not pods()
    got = change("delete-pod", OURS, pod["name"], pod["uid"], 0, 600, code=1)
    assert got["kind"] == "not found", got
    got = change("uncordon", NODE, uid, "another", code=1)
    assert got["conflict"] and "another operation of agavectl" in got["text"], got
    change("uncordon", NODE, uid, "stop-1")
    change("uncordon", NODE, uid, "stop-1")
    assert objects()["node"]["cordoned"] is False
    kubectl("cordon", NODE)
    got = change("uncordon", NODE, uid, "stop-1", code=1)
    assert got["conflict"] and "somebody else has cordoned it" in got["text"], got
    kubectl("uncordon", NODE)
    t.real("kind", "a grace of 600 s as the first delete, kept through a scale to 0, with the node cordoned")


@test
def a_template_is_written_at_no_replicas(t):
    change("template", *ident(), '{"spec": {"terminationGracePeriodSeconds": 600}}')
    live = of("deployment", "stopper")["spec"]
    assert live["template"]["spec"]["terminationGracePeriodSeconds"] == 600 and live["replicas"] == 0, live
    assert not pods()


@test
def who_would_scale_it_up_again_is_seen(t):
    assert change("who", OURS, "stopper")["who"] is None
    kubectl("-n", OURS, "annotate", "deployment/stopper", "argocd.argoproj.io/tracking-id=app:apps/Deployment:x")
    kubectl("-n", OURS, "autoscale", "deployment", "stopper", "--min=1", "--max=2", "--cpu-percent=50")
    # the server keeps nobody's name for a scale, but for one who writes the Deployment itself it does
    assert change("who", OURS, "stopper")["replicas_by"] is None
    kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=argocd-controller", "-f", "-",
            stdin=json.dumps(stopper(1)))
    got = change("who", OURS, "stopper")
    assert "Argo CD (app:apps/Deployment:x: turn the automated sync" in got["who"], got
    assert "HorizontalPodAutoscaler (stopper" in got["who"], got
    assert got["replicas_by"] == "argocd-controller" and got["replicas"] == 1, got
    change("scale", *ident(), 0)
    assert change("who", OURS, "stopper")["replicas"] == 0


@test
def a_lease_is_taken_over_only_after_its_time(t):
    # one whose holder's clock is an hour behind is no older for it
    kubectl("apply", "-f", "-", stdin=json.dumps({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "one", "namespace": OURS},
        "spec": {"holderIdentity": "a", "leaseDurationSeconds": 3, "renewTime": "2020-01-01T00:00:00.000000Z"}}))
    start = time.monotonic()
    got = change("lease", OURS, "one", "b", 2, "keep")
    took = time.monotonic() - start
    assert 3 <= took < 8, took
    assert [line["ours"] for line in got["lines"]] == [False, True] and got["lines"][0]["holder"] == "a", got
    assert got["lines"][1]["transitions"] == 1, got
    assert change("lease", OURS, "one", "b", 3, "keep")["lines"][0]["ours"]  # ours is ours at once
    holder = Background(t, "lease", OURS, "one", "b", 2, "renew")
    t.until("the lease", holder.lines, 20)
    other = Background(t, "lease", OURS, "one", "c", 2, "keep")
    for n in (1, 2):
        time.sleep(1)  # a holder's pace, not a wait for something
        holder.process.stdin.write("\n")
        holder.process.stdin.flush()
        t.until("the renewal", lambda: len(holder.lines()) == 1 + n, 20)
        assert not any(line["ours"] for line in other.lines()), other.lines()
    renewed = time.monotonic()
    other.wait()
    assert time.monotonic() - renewed >= 1.9 and other.lines()[-2]["ours"], other.lines()
    holder.process.stdin.write("\n")
    holder.process.stdin.flush()
    got = holder.wait(code=1)
    assert got["conflict"] and "is lost: 'c' has it now" in got["text"], got
    change("lease", OURS, "one", "c", 60, "release")
    assert len(change("lease", OURS, "one", "d", 60, "keep")["lines"]) == 1  # nobody's, so at once
    t.real("kind", "a lease, renewed, taken over after its time and lost")


def api_server():
    return [p.parent.name for p in Path("/proc").glob("[0-9]*/cmdline")
            if p.read_bytes().split(b"\0")[0].endswith(b"kube-apiserver")]


def answers():
    run = subprocess.run([str(PARTS / "kubectl"), "--kubeconfig", str(CONFIG), "get", "--raw", "/readyz"],
                         capture_output=True, timeout=30)
    return run.returncode == 0


@test
def a_watch_goes_on_over_an_api_server_that_dies(t):
    kubectl("apply", "-f", "-", stdin=json.dumps(config_map("last")))
    watch = Background(t, "watch", OURS, "last")
    t.until("the list", lambda: {"listed": "yes"} in watch.lines(), 20)
    kubectl("-n", OURS, "create", "configmap", "before")
    t.until("the new one", lambda: {"seen": "ADDED", "name": "before"} in watch.lines(), 10)
    [pid] = api_server()
    os.kill(int(pid), signal.SIGKILL)
    t.until("the watch to say so", lambda: any("away" in line for line in watch.lines()), 20)
    t.until("the API server to be back", answers, 90)
    kubectl("-n", OURS, "create", "configmap", "after")
    kubectl("-n", OURS, "delete", "configmap", "before", "last")
    watch.wait()
    told = [(line["seen"], line["name"]) for line in watch.lines() if "seen" in line]
    assert len(told) == len(set(told)), told  # nothing twice
    for one in (("ADDED", "after"), ("DELETED", "before"), ("DELETED", "last")):
        assert one in told, told
    t.real("kind", "a watch over an API server that was killed")


@test
def credentials_of_a_program(t):
    kubectl("-n", OURS, "create", "serviceaccount", "plugin")
    kubectl("create", "clusterrolebinding", "plugin", "--clusterrole=cluster-admin", f"--serviceaccount={OURS}:plugin")
    token = kubectl("-n", OURS, "create", "token", "plugin").strip()
    folder = FOLDER / "plugin"
    folder.mkdir()
    FOLDER.chmod(0o755)
    (folder / "token").write_text("wrong")
    (folder / "runs").write_text("")
    script = folder / "give"
    script.write_text(f"""#!/bin/sh
cd {folder} && id -u >>runs && echo "$1 $PLACE $KUBERNETES_EXEC_INFO" >info
printf '{{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{{"token":"%s"}}}}' "$(cat token)"
echo {token} >token
""")
    script.chmod(0o755)
    weak = with_user("plugin", ["    exec:", "      apiVersion: client.authentication.k8s.io/v1", "      command: ./give",
                                "      args: [now]", "      env: [{name: PLACE, value: here}]",
                                "      interactiveMode: IfAvailable", "      provideClusterInfo: true"], owner=65534)
    for file in folder.iterdir():
        os.chown(file, 65534, 65534)
    got = change("who", OURS, "stopper", config=weak)
    assert got["replicas"] == 0, got
    assert (folder / "runs").read_text() == "65534\n65534\n"  # as who owns it; refused once, and asked anew
    info = (folder / "info").read_text()
    assert info.startswith("now here {") and '"interactive":false' in info and '"server":"https://127.0.0.1:' in info, info
    script.write_text("#!/bin/sh\necho the lock is rusty >&2\nexit 3\n")
    got = change("who", OURS, "stopper", config=weak, code=1)
    assert got["kind"] == "remote" and "exit 3: the lock is rusty" in got["text"], got
    t.real("kind", "credentials of a program that ran as the kubeconfig's owner")


@test
def a_certificate_that_has_expired_is_named(t):
    pid = docker("inspect", "--format", "{{.State.Pid}}", NODE)
    ca = Path(f"/proc/{pid}/root/etc/kubernetes/pki")
    t.sh("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", t.dir / "key", "-out", t.dir / "csr", "-subj",
         "/O=system:masters/CN=late")
    t.sh("openssl", "x509", "-req", "-in", t.dir / "csr", "-CA", ca / "ca.crt", "-CAkey", ca / "ca.key", "-set_serial",
         "7", "-days", "-1", "-out", t.dir / "crt")
    late = with_user("late", [f"    client-certificate: {t.dir}/crt", f"    client-key: {t.dir}/key"])
    got = change("who", OURS, "stopper", config=late, code=1)
    assert got["kind"] == "refused" and "HTTP 401" in got["text"], got
    assert f"the client certificate of user 'kind-{CLUSTER}' expired on 20" in got["text"], got


@test
def a_namespace_that_is_held_up_says_by_what(t):
    held = config_map("held")
    held["metadata"].update(finalizers=["example.com/hold"], namespace="held")
    for name in ("held", "empty"):
        change("create-namespace", name)
    kubectl("apply", "-f", "-", stdin=json.dumps(held))
    goes, empty = Background(t, "delete-namespace", "held"), Background(t, "delete-namespace", "empty")
    t.until("the reason", lambda: any("example.com/hold" in line.get("stuck", "") for line in goes.lines()), 40)
    empty.wait()
    assert "empty" not in kubectl("get", "namespaces"), empty.lines()
    assert goes.process.poll() is None and "held" in kubectl("get", "namespaces"), goes.lines()


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
