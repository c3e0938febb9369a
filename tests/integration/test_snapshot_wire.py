"""agavectl snapshot find and get over TLS, IPv6 and proxies: the right pair arrives, or it is said who failed, and why."""
import hashlib
import json
import os
import re
import shutil
import subprocess

import front
import world
from harness import BIN, Skip, main, test

world.enter()
MIB = 1 << 20
PASSWORD = "s3cr3t-w0rd"


def snapshot(t, command, *argv, code=0, env={}):
    r = t.run("--no-lab", "snapshot", command, "-o", "json", *argv, env={"XDG_STATE_HOME": str(t.dir / "state"), **env})
    assert r.code == code, r
    lines = [json.loads(x) for x in r.out.splitlines()] if command == "get" else json.loads(r.out) if r.out else None
    return lines, r


def find(t, *argv, **more):
    return snapshot(t, "find", "--no-speed", *argv, **more)


def get(t, *argv, out=None, **more):
    return snapshot(t, "get", "--out", out or t.dir / "out", *argv, **more)


def the_world(t, nodes=9, full=8, incr=2):
    w = world.World(t, "--nodes", nodes, "--spread")
    return (w, *w.big(full, incr))


def need_openssl(t):
    if not shutil.which("openssl"):
        raise Skip("no openssl program to make certificates with", part="tls")
    t.real("tls", "OpenSSL on both sides")
    return front.Pki(t)


def expect_whole(t, w, *names, out=None):
    folder = out or t.dir / "out"
    for name in names:
        body = w.request(0, "GET", "/" + name, timeout=60)[2]
        assert hashlib.sha256(body).digest() == hashlib.sha256((folder / name).read_bytes()).digest(), name
    assert sorted(f.name for f in folder.iterdir() if f.is_file()) == sorted(names)


# ---- TLS


@test
def a_pair_over_https(t):
    pki = need_openssl(t)
    w, full, incr = the_world(t)
    tls = pki.context("good")
    tls.set_alpn_protocols(["h2", "http/1.1"])
    f = front.Front(t, w.host(3), tls=tls, nodes=[])
    w.fault("ranges", 1, 3)
    doc, _ = find(t, "--trust", f.url, "--rpc", f.url, "--ca-file", pki.ca)
    source, = doc["sources"]
    assert source["addr"] == f.url and source["ranges"] is True and source["full"]["name"] == full, source
    lines, _ = get(t, "--trust", f.url, "--rpc", f.url, "--ca-file", pki.ca)
    assert lines[-1]["fetched"] == [full, incr], lines[-1]
    expect_whole(t, w, full, incr)
    assert {x.rsplit(" ", 1)[1] for x in f.asked} == {"HTTP/1.1"}, f.asked[:3]
    ranged = [x for x in lines if x["event"] == "fetched"]
    assert len([x for x in f.asked if x.startswith("GET /" + full)]) > 1, (f.asked, ranged)   # in parts
    note = json.loads((t.dir / "out" / ".agavectl" / (full + ".json")).read_text())
    assert note["sources"] == [f.url] and note["trust"] == "source", note


@test
def the_authorities_of_a_config(t):
    pki = need_openssl(t)
    w, full, incr = the_world(t, full=2, incr=1)
    f = front.Front(t, w.host(3), tls=pki.context("good"), nodes=[])
    config = t.dir / "agavectl.yaml"
    config.write_text(f"cluster: {{references: ['{f.url}']}}\nsnapshot: {{ca_file: {pki.ca}, trusted_sources: ['{f.url}'], sources: ['{f.url}']}}\n"
                      f"journal_dir: {t.dir}/op\n")
    doc, _ = find(t, "-c", config)
    assert doc["tip"] and doc["sources"][0]["addr"] == f.url, doc
    other = front.Front(t, w.host(3), tls=pki.context("self"), nodes=[])
    r = find(t, "-c", config, "--rpc", other.url, code=1)[1]
    assert other.hostport in r.err and "self-signed" in r.err, r
    doc, _ = find(t, "-c", config, "--rpc", other.url, "--trust", other.url, "--ca-file", pki.dir / "self.pem")
    assert doc["sources"][0]["addr"] == other.url, doc


@test
def a_certificate_that_does_not_hold(t):
    """Each is refused by its name and reason, no request is sent, and nobody asks in clear instead."""
    pki = need_openssl(t)
    w, full, incr = the_world(t, full=2, incr=1)
    authority = ("--ca-file", pki.ca)
    for kind, flags, why in (("good", (), "unable to get local issuer certificate"), ("expired", authority, "certificate has expired"),
                             ("wrong", authority, "no alternative certificate subject name matches"), ("self", authority, "self-signed certificate"),
                             ("self", (), "self-signed certificate")):
        f = front.Front(t, w.host(3), tls=pki.context(kind))
        for command in (find, get):
            _, r = command(t, "--rpc", f.url, "--trust-any", *flags, code=1)
            assert f.url in r.err and why in r.err, (kind, r)
        assert f.asked == [] and f.connections >= 2, (kind, f.asked)
        # one of many: the others do, and it is told who did not
        lines, r = get(t, "--source", f.url, "--rpc", w.url(0), *flags, out=t.dir / f"out-{kind}-{len(flags)}")
        assert lines[-1]["fetched"] == [full, incr] and f.asked == [], lines[-1]
        f.close()


@test
def https_where_there_is_none(t):
    w, full, incr = the_world(t, full=2, incr=1)
    _, r = find(t, "--rpc", "https://" + w.host(3), code=1)
    assert f"https://{w.host(3)}: " in r.err and "SSL" in r.err.upper() and w.node(3)["files"] == 0, r
    if shutil.which("openssl"):
        f = front.Front(t, w.host(3), tls=front.Pki(t).context("good"))
        _, r = find(t, "--rpc", f.url.replace("https", "http"), code=1)
        assert f"http://{f.hostport}: " in r.err and f.asked == [], r


@test
def from_https_no_redirect_leads_down(t):
    pki = need_openssl(t)
    w, full, incr = the_world(t, full=2, incr=1)
    for what, redirect in (("its alias", lambda m, path, h: path.endswith(".tar.bz2") and (303, {"Location": f"http://{f.hostport}/{full}"})),
                           ("the file", lambda m, path, h: path.startswith("/snapshot-") and (302, {"Location": f"http://{f.hostport}{path}"})),
                           ("only when it is fetched", lambda m, path, h: m == "GET" and path.startswith("/snapshot-") and
                            (302, {"Location": f"http://{w.host(3)}{path}"}))):
        f = front.Front(t, w.host(3), tls=pki.context("good"), nodes=[], answer=redirect)
        before = w.node(3)["files"]
        flags = ("--trust", f.url, "--rpc", f.url, "--ca-file", pki.ca)
        if "only" not in what:
            doc, r = find(t, *flags, code=1)
            assert doc["rejected"] == {"elsewhere": 1}, (what, doc)
        _, r = get(t, *flags, code=1)
        assert f.url in r.err and "redirects to another place" in r.err, (what, r)
        assert w.node(3)["files"] == before, what
        lines, _ = get(t, *flags, "--source", w.url(4), "--rpc", w.url(5), out=t.dir / ("out " + what))
        assert lines[-1]["fetched"] == [full, incr], lines[-1]


@test
def a_file_of_authorities_that_is_none(t):
    for text, code, words in ((None, 1, "authorities for https"), ("no certificate", 2, "holds no certificate"), ("", 2, "holds no certificate")):
        path = t.dir / "ca.pem"
        if text is not None:
            path.write_text(text)
        r = t.run("--no-lab", "snapshot", "find", "--rpc", "https://127.0.0.1:1", "--ca-file", path)
        assert r.code == code and words in r.err and str(path) in r.err, r


# ---- IPv6


def six(t, *addresses):
    if not os.path.exists("/proc/sys/net/ipv6"):
        raise Skip("this kernel has no IPv6", part="ipv6")
    for a in addresses:
        t.sh("ip", "-6", "address", "replace", f"{a}/128", "dev", "lo")
        t.later(lambda a=a: t.sh("ip", "-6", "address", "del", f"{a}/128", "dev", "lo"))
    t.real("ipv6", f"{len(addresses)} addresses in a namespace")


@test
def nodes_of_ipv6(t):
    addresses = ("2001:db8::1", "2001:db8:0:7::2", "2001:db9::1", "2001:dba:ffff:ffff:ffff:ffff:ffff:ffff")
    w, full, incr = the_world(t)
    six(t, *addresses)
    fronts = [front.Front(t, w.host(3 + i), host=a, port=8899) for i, a in enumerate(addresses)]
    rpc = front.Front(t, w.host(0), host="::1", nodes=[f.hostport for f in fronts[:2]])
    assert rpc.url.startswith("http://[::1]:")
    # two of one /32, and the one that was named: three are needed
    doc, _ = find(t, "--rpc", rpc.url, code=1)
    assert doc["rejected"] == {"untrusted": 3} and {g["networks"] for g in doc["groups"]} == {2}, doc
    rpc.nodes = [f.hostport for f in fronts]
    doc, _ = find(t, "--rpc", rpc.url)
    assert {s["addr"] for s in doc["sources"]} == {rpc.url, *(f.url for f in fronts)}, doc["sources"]
    assert {g["networks"] for g in doc["groups"]} == {4} and doc["sources"][0]["trust"] == "peers:4", doc["groups"]
    for s in doc["sources"]:
        assert s["full"]["url"] == f"{s['addr']}/{full}" and s["latency_ms"] is not None, s
    r = t.run("--no-lab", "snapshot", "find", "--no-speed", "--rpc", rpc.url)
    assert all(f.url in r.out for f in fronts), r
    lines, _ = get(t, "--rpc", rpc.url)
    assert lines[-1]["fetched"] == [full, incr], lines[-1]
    expect_whole(t, w, full, incr)
    note = json.loads((t.dir / "out" / ".agavectl" / (full + ".json")).read_text())
    assert set(note["sources"]) <= {rpc.url, *(f.url for f in fronts)} and note["trust"] == "peers:4", note


@test
def an_ipv6_node_that_lies_is_remembered(t):
    w, full, incr = the_world(t, full=2, incr=1)
    six(t, "2001:db9::1")
    liar = front.Front(t, w.host(3), host="2001:db9::1", port=8899,
                       answer=lambda m, path, h: path == "/" + full and (200, {}, os.urandom(MIB)))
    _, r = get(t, "--source", liar.url, "--trust", liar.url, "--no-discover", code=1)
    assert liar.url in r.err, r
    path = t.dir / "state" / "agavectl" / "snapshot-blacklist.json"
    entries = json.loads(path.read_text())["entries"]
    assert [(e["kind"], e["value"]) for e in entries] == [("peer", liar.url)], (entries, r)
    doc, _ = find(t, "--source", liar.url, "--rpc", w.url(0), "--rpc", w.url(4), "--min-peers", "2", "--no-discover")
    assert doc["rejected"] == {"blacklisted": 1}, doc["rejected"]
    r = snapshot(t, "find", "--forget", liar.url)[1]
    assert json.loads(r.out)["entries"] == [], r
    doc, _ = find(t, "--source", liar.url, "--rpc", w.url(0), "--rpc", w.url(4), "--min-peers", "2", "--no-discover")
    assert doc["rejected"] == {} and doc["usable"] == 3, doc["rejected"]


@test
def https_of_an_ipv6_address_through_an_ipv6_proxy(t):
    pki = need_openssl(t)
    w, full, incr = the_world(t, full=2, incr=1)
    six(t)
    f = front.Front(t, w.host(3), host="::1", tls=pki.context("good"), nodes=[])
    p = front.Proxy(t, host="::1")
    lines, _ = get(t, "--trust", f.url, "--rpc", f.url, "--ca-file", pki.ca, "--proxy", p.url)
    assert lines[-1]["fetched"] == [full, incr] and p.asked and {x.split(" ")[1] for x in p.asked} == {f.hostport}, p.asked
    expect_whole(t, w, full, incr)


# ---- proxies


def requests(w):
    return sum(n["requests"] for n in w.call("nodes"))


@test
def everything_goes_through_the_proxy(t):
    w, full, incr = the_world(t)
    p = front.Proxy(t)
    before = requests(w)
    doc, _ = find(t, "--rpc", w.url(0), "--proxy", p.url)
    assert len(doc["sources"]) == 12 and doc["tip"], doc
    assert {s["latency_ms"] for s in doc["sources"]} == {None}, doc["sources"][0]   # it would be the proxy's
    assert any(x.startswith("POST ") for x in p.asked) and requests(w) - before == p.passed, (requests(w) - before, p.passed)
    lines, _ = get(t, "--rpc", w.url(0), "--proxy", p.url)
    assert lines[-1]["fetched"] == [full, incr] and requests(w) - before == p.passed, lines[-1]
    expect_whole(t, w, full, incr)


@test
def names_are_looked_up_by_socks(t):
    w, full, incr = the_world(t, full=2, incr=1)
    s = front.Socks(t)
    lines, _ = get(t, "--rpc", f"http://localhost:{w.host(0).split(':')[1]}", "--proxy", s.url.replace("http", "socks5h"))
    assert lines[-1]["fetched"] == [full, incr], lines[-1]
    assert any(x.startswith("localhost:") for x in s.asked), s.asked[:3]
    s.close()
    _, r = find(t, "--rpc", w.url(0), "--proxy", s.url.replace("http", "socks5h"), code=1)
    assert f"proxy 'socks5h://{s.hostport}': connection refused" in r.err and w.host(0) not in r.err, r


@test
def the_environment_is_not_asked(t):
    w, full, incr = the_world(t, full=2, incr=1)
    dead = {k: "http://127.0.0.1:1" for k in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy")}
    doc, _ = find(t, "--rpc", w.url(0), env={**dead, "SSL_CERT_FILE": "/nonexistent"})
    assert len(doc["sources"]) == 12, doc
    p = front.Proxy(t)
    doc, _ = find(t, "--rpc", w.url(0), "--proxy", p.url, env={"no_proxy": "*", "NO_PROXY": "*"})
    assert len(doc["sources"]) == 12 and p.passed > 12, doc


def told(text, what):
    return len(re.findall(re.escape(what), text))


@test
def a_proxy_that_is_not_there(t):
    """Its name, once, and none of the nodes'."""
    w, full, incr = the_world(t, full=2, incr=1)
    p = front.Proxy(t)
    p.close()
    flags = [x for i in range(9) for x in ("--source", w.url(i))]
    before = requests(w)
    for command in (find, get):
        _, r = command(t, "--rpc", w.url(0), "--rpc", w.url(1), *flags, "--proxy", p.url, code=1)
        assert told(r.err, f"proxy '{p.url}': connection refused") == 1 and told(r.err, "127.0.0.1") == 1 and "60." not in r.err, r
        assert "snapshot.proxy" in r.err, r
    assert requests(w) == before
    _, r = find(t, "--rpc", w.url(0), "--proxy", "http://proxy.invalid:3128", code=1)
    assert "proxy 'http://proxy.invalid:3128': cannot resolve its name" in r.err, r


@test
def a_proxy_that_refuses(t):
    pki = need_openssl(t)
    w, full, incr = the_world(t, full=2, incr=1)
    f = front.Front(t, w.host(3), tls=pki.context("good"))
    for status, why in ((407, "user and password"), (502, "does not get through"), (503, "does not get through"), (403, "refuses to connect")):
        p = front.Proxy(t, status=status)
        for url, flags in ((w.url(0), ()), (f.url, ("--ca-file", pki.ca))):
            if status == 403 and url == w.url(0):
                continue      # in clear it cannot be told from the node's own
            for command in (find, get):
                _, r = command(t, "--rpc", url, "--rpc", url + "/", "--proxy", p.url, *flags, code=1)
                assert told(r.err, f"proxy '{p.url}': ") == 1 and why in r.err and f"status {status}" in r.err, (status, url, r)
    assert f.asked == []


@test
def a_proxy_that_fails_for_hundreds_is_told_once(t):
    """The list comes through, and then nothing any more."""
    w = world.World(t, "--nodes", "400", start_slot=120000)
    p = front.Proxy(t, status=lambda line: None if line.startswith("POST") else 503)
    doc, r = find(t, "--rpc", w.url(0), "--proxy", p.url, code=1)
    why = f"proxy '{p.url}': it does not get through (status 503)"
    assert doc["rejected"] == {"proxy": 403} and doc["errors"] == [why], doc
    assert told(r.err, "proxy '") == 1 and f"403 nodes could not be asked: {why}" in r.err, r
    _, r = get(t, "--rpc", w.url(0), "--proxy", p.url, code=1)
    assert told(r.err, f"proxy '{p.url}'") == 1 and "403 proxy" in r.err, r


@test
def a_proxy_of_which_some_are_out_of_reach(t):
    """Those are left out, and the rest is as good as ever."""
    w, full, incr = the_world(t)
    dead = {w.host(i) for i in (4, 7)}
    p = front.Proxy(t, status=lambda line: 504 if any(h in line for h in dead) else None)
    doc, r = find(t, "--rpc", w.url(0), "--proxy", p.url)
    assert doc["rejected"] == {"proxy": 2} and len(doc["sources"]) == 10, doc["rejected"]
    lines, _ = get(t, "--rpc", w.url(0), "--proxy", p.url)
    assert lines[-1]["fetched"] == [full, incr], lines[-1]


@test
def a_proxy_that_dies_in_the_middle(t):
    w, full, incr = the_world(t, full=48)
    w.fault("slow", 4 * MIB, 0, 11)
    p = front.Proxy(t)
    argv = [BIN, "--no-lab", "snapshot", "get", "-o", "json", "--rpc", w.url(0), "--out", t.dir / "out", "--proxy", p.url]
    run = subprocess.Popen(list(map(str, argv)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           env={**os.environ, "XDG_STATE_HOME": str(t.dir / "state")})
    lines = []
    for line in run.stdout:
        lines.append(json.loads(line))
        if lines[-1].get("done_b", 0) > 4 * MIB:
            break
    p.cut()
    rest, err = run.communicate(timeout=60)
    lines += [json.loads(x) for x in rest.splitlines()]
    why = f"proxy '{p.url}'"
    assert run.returncode == 1 and why in err and told(err, why) == 1, err
    dropped = [x for x in lines if x["event"] == "dropped"]
    assert [x["addr"] for x in dropped] == [why] and dropped[0]["why"] == "connection refused", dropped
    half = t.dir / "out" / ("tmp-" + full)
    assert half.exists() and not (t.dir / "out" / full).exists()
    p.listen(p.port)
    w.heal("slow")
    lines, _ = get(t, "--rpc", w.url(0), "--proxy", p.url)
    done = next(x for x in lines if x["event"] == "fetched")
    assert done["resumed_b"] > 3 * MIB, done
    expect_whole(t, w, full, incr)


@test
def what_a_proxy_is_paid_with_stays_secret(t):
    pki = need_openssl(t)
    w, full, incr = the_world(t, full=2, incr=1)
    f = front.Front(t, w.host(3), tls=pki.context("good"), nodes=[])
    p = front.Proxy(t, password=f"operator:{PASSWORD}")
    with_password = p.url.replace("http://", f"http://operator:{PASSWORD}@")
    said = []

    def run(*argv, code=0):
        r = t.run("--no-lab", *argv, env={"XDG_STATE_HOME": str(t.dir / "state")})
        assert r.code == code, r
        said.append(r.out + r.err)
        return r

    for url, flags in ((w.url(0), ()), (f.url, ("--trust", f.url, "--ca-file", pki.ca))):
        out = t.dir / f"out{len(said)}"
        run("-v", "snapshot", "find", "--no-speed", "-o", "json", "--rpc", url, "--proxy", with_password, *flags)
        run("-v", "snapshot", "get", "-o", "json", "--rpc", url, "--proxy", with_password, "--out", out, *flags)
        expect_whole(t, w, full, incr, out=out)
        # another password: refused, and neither is shown
        r = run("-v", "snapshot", "get", "--rpc", url, "--proxy", with_password.replace("operator:", "operator:not-"), "--out", t.dir / "none", *flags, code=1)
        assert f"proxy '{p.url}': it wants another user and password" in r.err, r
    config = t.dir / "agavectl.yaml"
    config.write_text(f"snapshot: {{proxy: '{with_password}'}}\njournal_dir: {t.dir}/op\n")
    run("-v", "snapshot", "find", "-c", config, "--no-speed", "--rpc", w.url(0))
    for flags in ((), ("-o", "json")):
        assert p.hostport in run("config", "show", "-c", config, *flags).out
    config.write_text(f"snapshot: {{proxy: '{with_password}/x'}}\n")
    assert "snapshot.proxy" in run("config", "check", "-c", config, code=2).err
    run("snapshot", "find", "--rpc", w.url(0), "--proxy", with_password + "/x", code=2)
    p.close()
    run("-v", "snapshot", "get", "--rpc", w.url(0), "--proxy", with_password, "--out", t.dir / "none", code=1)
    files = [x for x in t.dir.rglob("*") if x.is_file() and x != config and x.stat().st_size < MIB]
    said += [x.read_text(errors="replace") for x in files]
    assert any(x.name.endswith(".json") for x in files) and not [x for x in said if PASSWORD in x]


main()
