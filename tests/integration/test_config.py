#!/usr/bin/env python3
"""The config as an operator meets it: which one is used, what is said about a bad one, what is shown."""
import json, os
from harness import Skip, main, test

ETC = "/etc/agavectl/agavectl.yaml"
LAB = "/run/agavectl/lab/agavectl.yaml"

# A config, and all that is said about it, line by line.
BAD = [
    ("validator:\n  ledgr: /a\n  voting: maybe\nstop: {ladder_s: 4}\n",
     ["FILE:2: unknown key 'validator.ledgr'; did you mean 'validator.ledger'?",
      "FILE:3: validator.voting: 'maybe' is not true or false",
      "FILE:4: stop.ladder_s: '4' is not a number from 5 to 7200"]),
    ("up: {tip_slots: 1}\nup: {tip_slots: 2}\n", ["FILE:2: duplicate key 'up'"]),
    ("validator:\n\tvoting: true\n", ["FILE:2: a tab indents this line; YAML wants blanks"]),
    ("validator:\n  log: /a\udcff\n", ["FILE:2: invalid leading UTF-8 octet"]),
    ("storage:\n  volume: {mount: srv}\n", ["FILE:2: storage.volume.mount: 'srv' is not an absolute path"]),
    ("validator: {dynamic_port_range: 8000-8024}\n",
     ["FILE:1: validator.dynamic_port_range: '8000-8024' is too narrow: at least 25 ports are needed"]),
    ("validator: {voting: true}\n",
     ["FILE:1: validator.voting needs validator.identity and validator.vote_account"]),
    ("# big\n" + "#" * (1 << 20), ["'FILE' is larger than 1 MiB"]),
]


def write(path, text, mode=0o600):
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    path.chmod(mode)
    return path


@test
def every_fault_is_said_on_its_own_line(t):
    for i, (text, want) in enumerate(BAD):
        path = write(t.dir / f"bad{i}.yaml", text)
        for words in (["config", "check"], ["config", "show", "-o", "json"]):
            r = t.run(*words, "--config", path)
            assert r.code == 2 and not r.out, r
            got = [line.replace(str(path), "FILE") for line in r.err.splitlines()]
            assert got == ["agavectl: " + line for line in want], (text[:80], got)


@test
def files_that_are_no_config(t):
    fifo, link = t.dir / "fifo", t.dir / "link"
    os.mkfifo(fifo)
    link.symlink_to(write(t.dir / "good", "up: {tip_slots: 5}\n"))
    for path, want in ((t.dir / "none", f"no config at '{t.dir}/none' (given by --config)"),
                       (t.dir, f"'{t.dir}' is not a regular file"),
                       (fifo, f"'{fifo}' is not a regular file")):
        r = t.run("config", "check", "-c", path, timeout=20)
        assert r.code == 2 and r.err == f"agavectl: {want}\n", r
    r = t.run("config", "check", "-c", link)
    assert r.code == 0 and r.out == f"{link}: ok\n", r


@test
def a_config_that_everybody_may_write(t):
    t.need_root()
    path = write(t.dir / "open.yaml", "", 0o666)
    r = t.run("config", "check", "-c", path)
    assert r.code == 4 and not r.out, r
    assert r.err == f"agavectl: '{path}' can be written by everybody; run 'chmod o-w {path}' first\n", r


@test
def the_option_wins_over_the_environment(t):
    one, two = write(t.dir / "1.yaml", "up: {tip_slots: 1}\n"), write(t.dir / "2.yaml", "up: {tip_slots: 2}\n")
    env = {"AGAVECTL_CONFIG": str(one)}
    assert t.run("config", "check", env=env).out == f"{one}: ok\n"
    assert t.run("config", "check", "-c", two, env=env).out == f"{two}: ok\n"
    r = t.run("config", "check", env={"AGAVECTL_CONFIG": "/nonexistent/x"})
    assert r.code == 2 and "no config at '/nonexistent/x' (given by AGAVECTL_CONFIG)" in r.err, r


@test
def none_at_all_names_the_places(t):
    if os.path.exists(ETC):
        raise Skip(f"this machine has {ETC}")
    r = t.run("config", "check", "--no-lab")
    assert r.code == 2 and not r.out, r
    for word in ("--config", "AGAVECTL_CONFIG", ETC, "config example", "lab up"):
        assert word in r.err, (word, r)
    assert len(r.err.splitlines()) == 1, r
    r = t.run("config", "check", "--lab", "--no-lab")
    assert r.code == 2 and not r.out, r
    if not os.path.exists(LAB):
        r = t.run("config", "check", "--lab")
        assert r.code == 2 and "no lab is up; make one with 'agavectl lab up'" in r.err, r


@test
def show_says_where_a_value_comes_from(t):
    path = write(t.dir / "c.yaml", "# mine\nup:\n  tip_slots: 5\ncluster:\n  references: [http://127.0.0.1:1]\n")
    r = t.run("config", "show", "--origin", "-c", path)
    assert r.code == 0 and not r.err, r
    rows = {line.split()[0]: line.split()[1:] for line in r.out.splitlines()}
    assert rows["up.tip_slots"] == ["5", f"{path}:3"], rows
    assert rows["cluster.references"] == ['["http://127.0.0.1:1"]', f"{path}:5"], rows
    assert rows["stop.ladder_s"] == ["600", "default"], rows
    doc = json.loads(t.run("config", "show", "-o", "json", "-c", path).out)
    assert doc["file"] == str(path) and doc["schema_version"] == 1, doc
    assert doc["keys"]["up.tip_slots"]["value"] == 5, doc
    assert doc["keys"]["cluster.references"]["value"] == ["http://127.0.0.1:1"], doc
    assert doc["keys"]["validator.voting"]["value"] is False, doc
    assert set(doc["keys"]) == set(rows) - {"key"}, doc["keys"].keys() ^ rows.keys()


@test
def the_example_is_a_good_config(t):
    path = write(t.dir / "example.yaml", t.run("config", "example").out)
    r = t.run("config", "check", "-c", path)
    assert r.code == 0, r
    empty = write(t.dir / "empty.yaml", "")
    a, b = (t.run("config", "show", "-c", p).out for p in (path, empty))
    assert a == b and "validator.ledger" in a, a


main()
