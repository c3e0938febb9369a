#!/usr/bin/env python3
"""agavectl check while everybody outside is silent at once: as long as one of them, not as all of them one by one."""
import json, socket, threading

from harness import test, main

TIMEOUT_S = 1.0
# One after another they would take at least two time-outs; what the rest of a check takes is measured before.
BOUND_S = 1.5 * TIMEOUT_S


def accepts(t, s):
    """Takes every connection and says nothing."""
    held = []

    def accept():
        while True:
            try:
                held.append(s.accept()[0])
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    t.later(s.close)
    return s


def silent(t):
    return "127.0.0.1:%d" % accepts(t, socket.create_server(("127.0.0.1", 0))).getsockname()[1]


def black_hole(t):
    """Nobody accepts and the queue is full: the kernel drops every further SYN."""
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen(0)
    t.later(s.close)
    for _ in range(16):
        c = socket.socket()
        c.setblocking(False)
        c.connect_ex(s.getsockname())
        t.later(c.close)
    probe = socket.socket()
    probe.settimeout(0.3)
    t.later(probe.close)
    try:
        probe.connect(s.getsockname())
        raise AssertionError("a connection came through")
    except TimeoutError:
        return "127.0.0.1:%d" % s.getsockname()[1]


def refuses(t):
    with socket.create_server(("127.0.0.1", 0)) as s:
        return "127.0.0.1:%d" % s.getsockname()[1]


def unix(t, name, answers=True):
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(t.dir / name))
    if answers:
        s.listen(8)
        accepts(t, s)
    else:
        s.close()
    return t.dir / name


class Host:
    """Docker's socket, the API server, the node and two references, each made by a function of those above."""

    def __init__(self, t, docker, address):
        self.t = t
        ledger = t.dir / "ledger"
        ledger.mkdir(exist_ok=True)
        api, node = address(t), address(t)
        kubeconfig = t.dir / "kubeconfig"
        kubeconfig.write_text(f"""apiVersion: v1
kind: Config
current-context: x
clusters: [{{name: x, cluster: {{server: "http://{api}"}}}}]
users: [{{name: x, user: {{}}}}]
contexts: [{{name: x, context: {{cluster: x, user: x}}}}]
""")
        kubeconfig.chmod(0o600)
        self.config = t.dir / "agavectl.yaml"
        self.config.write_text(f"""docker:
  socket: {docker}
kind:
  cluster: c1
kubernetes:
  kubeconfig: {kubeconfig}
  namespace: laconic-c1
  deployment: c1-deployment
cluster:
  references: ["http://{address(t)}", "http://{address(t)}"]
validator:
  ledger: {ledger}
  snapshots: {t.dir}
  rpc_bind_address: 127.0.0.1
  rpc_port: {node.rsplit(":", 1)[1]}
status:
  timeout_ms: {int(TIMEOUT_S * 1000)}
state_dir: {t.dir}/state
journal_dir: {t.dir}/op
""")

    def check(self, *stages):
        env = {k: "" for k in ("KUBECONFIG", "SUDO_UID")}
        r = self.t.run("--config", self.config, "check", *stages, "-o", "json", env=env)
        return r, {f["id"]: f["severity"] for f in json.loads(r.out)["findings"]}


def compared(t, address):
    """Everything, and each part alone, against the same with nobody there at all."""
    asked = [(), ("docker",), ("cluster",), ("docker", "cluster", "health", "snapshots")]
    host = Host(t, unix(t, "gone.sock", answers=False), refuses)
    t.run("version")  # the program is in the page cache
    quick = [host.check(*stages)[0].seconds for stages in asked]
    host = Host(t, unix(t, "docker.sock"), address)
    for stages, base in zip(asked, quick):
        r, said = host.check(*stages)
        assert r.code == 3, r
        assert TIMEOUT_S < r.seconds < base + BOUND_S, f"{stages}: {r.seconds:.2f} s, and {base:.2f} s with nobody there"
        print(f"# {' '.join(stages) or 'check'}: {r.seconds:.2f} s, with nobody there {base:.2f} s")
        for one in ("docker.reach", "cluster.node", "cluster.api"):
            if not stages or one.split(".")[0] in stages:
                assert said[one] == "unknown", (one, r)
        if not stages or "health" in stages:
            assert said["health.references"] == "unknown", r
        assert not [i for i, s in said.items() if s == "ok" and i.split(".")[0] in ("docker", "cluster", "health")], r


@test
def all_accept_and_never_answer(t):
    compared(t, silent)


@test
def no_connection_is_made(t):
    compared(t, black_hole)


@test
def what_docker_would_have_said_is_not_ok_without_it(t):
    host = Host(t, unix(t, "gone.sock", answers=False), refuses)
    for one in ("docker.root", "docker.liverestore"):
        r, said = host.check(one)
        assert r.code == 3 and said == {"docker.reach": "fail"}, r
    r = t.run("--config", host.config, "check", "docker.root", "-o", "nagios")
    assert r.code == 2 and "docker.reach" in r.out, r


main()
