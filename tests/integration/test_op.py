"""op and history on a folder of journals: what is listed, what is refused, and the way out of a bad one."""
import json
import os
import struct

from harness import main, test


class Host:
    """A config of its own; nothing runs, and its ledger does not exist."""

    def __init__(self, t):
        t.need_root()
        self.t, self.op = t, t.dir / "op"
        self.config = t.dir / "agavectl.yaml"
        self.config.write_text(f"validator: {{ledger: {t.dir}/ledger, snapshots: {t.dir}/snapshots, "
                               f"accounts: {t.dir}/accounts, log: {t.dir}/log/validator.log}}\n"
                               f"storage: {{volume: {{mount: {t.dir}}}, kind_root: \"\", bind: \"\"}}\n"
                               f"state_dir: {t.dir}/state\njournal_dir: {self.op}\n")

    def run(self, *args):
        return self.t.run("--config", self.config, *args)

    def json(self, *args):
        r = self.run(*args, "-o", "json")
        assert r.code == 0, r
        doc = json.loads(r.out)
        assert doc["schema_version"] == 1, doc
        return doc


@test
def without_any_operation(t):
    h = Host(t)
    assert h.run("op", "list").out == "no operation is unfinished\n"
    assert h.json("op", "list")["operations"] == []
    assert h.run("history").out == "there has been no operation yet\n"
    r = h.run("op", "resume")
    assert r.code == 0 and "nothing was changed" in r.out, r
    assert h.run("op", "abandon", "20261123T044422Z-up").code == 1
    assert h.run("op", "show").code == 1
    assert h.run("op", "abandon").code == 2
    assert h.run("op", "show", "../../etc/passwd").code == 2
    assert h.run("op", "resume", "--again", "--done").code == 2
    assert not h.op.exists()        # looking makes nothing


@test
def stops_are_in_the_history(t):
    h = Host(t)
    for _ in range(3):
        r = h.run("stop")
        assert r.code == 0 and "proven" in r.out, r
    ops = h.json("history")["operations"]
    assert [o["flow"] for o in ops] == ["stop"] * 3 and [o["state"] for o in ops] == ["done"] * 3, ops
    assert h.json("history", "-n", "2")["operations"] == ops[1:]
    shown = h.json("op", "show", ops[0]["id"])["operation"]
    assert [s["step"] for s in shown["steps"]] == ["hold", "ask", "wait", "prove"], shown
    assert {s["state"] for s in shown["steps"]} == {"done"}, shown
    assert h.json("op", "show")["operation"]["id"] == ops[2]["id"]
    assert (t.dir / "state" / "op").stat().st_mode & 0o7777 == 0o700
    for f in (t.dir / "state" / "op").iterdir():
        assert f.stat().st_mode & 0o7777 == 0o600, f
    assert not h.op.exists()        # a stop needs no other folder


@test
def a_journal_of_another_version_is_in_the_way_of_all_but_a_stop(t):
    h = Host(t)
    h.op.mkdir(mode=0o700)
    name = "20261123T044422Z-up"
    (h.op / f"{name}.j").write_bytes(b"agvctl-j" + struct.pack("<II", 7, 0) + b"\1" * 100)
    listed = h.run("op", "list")
    assert listed.code == 0 and "journal of version 7" in listed.out and f"op abandon {name}" in listed.out, listed
    assert h.json("op", "list")["operations"][0]["state"] == "unreadable"
    for words in (["start"], ["up", "--yes"], ["op", "resume"]):
        r = h.run(*words)
        assert r.code in (4, 6) and (r.code == 6 or "journal of version 7" in r.err), (words, r)
    r = h.run("stop")
    assert r.code == 0 and name in r.err, r
    assert h.run("op", "abandon", name).code == 0
    assert h.run("op", "list").out == "no operation is unfinished\n"
    assert (h.op / f"{name}.j.aside").exists()


@test
def a_folder_that_others_may_write_is_refused(t):
    h = Host(t)
    h.op.mkdir()
    os.chmod(h.op, 0o777)
    (h.op / "20261123T044422Z-up.j").write_bytes(b"x")
    r = h.run("op", "list")
    assert r.code == 4 and "may write there" in r.err, r
    assert h.run("stop").code == 0      # which does without


main()
