#!/usr/bin/env python3
"""Is the lab's ledger a real one? Agave's own ledger-tool reads and replays what lab/chain/ledger wrote, and real
ledgers' shreds give the values that the real validator stored."""
import hashlib
import json
import re

import agave
from harness import BUILD, Skip, main, test

TOOL = BUILD / "tests" / "integration" / "lab_ledger"
SLOTS = [s for s in range(41) if s != 5]


def lab_ledger(t, *args):
    r = t.run(*args, bin=TOOL, timeout=300)
    if r.code == 6:
        t.not_real("rocksdb", r.err.strip())
        raise Skip("no RocksDB")
    assert r.code == 0, r
    t.real("rocksdb", "written by lab/chain/ledger")
    return r.out


def make(t):
    """A folder with the seed cluster's genesis and a ledger of the lab on top of it."""
    genesis = t.data("agave", "seed-cluster", "genesis.bin").read_bytes()
    ledger = t.dir / "ledger"
    ledger.mkdir()
    (ledger / "genesis.bin").write_bytes(genesis)
    lab_ledger(t, "make", ledger, hashlib.sha256(genesis).hexdigest())
    return ledger


def ledger_tool(t, ledger, *args):
    program = agave.program("agave-ledger-tool")
    r = t.run(*agave.preload(), program, "--ledger", ledger, *args, bin="/usr/bin/env", timeout=300)
    assert r.code == 0, r
    t.real("agave", f"agave-ledger-tool {agave.VERSION} {args[0]}")
    return r


@test
def ledger_tool_sees_every_slot(t):
    ledger = make(t)
    got = json.loads(ledger_tool(t, ledger, "bounds", "--all", "--output", "json").out)
    assert got["allSlots"] == SLOTS, got
    assert got["roots"] == {"total": 11, "first": 0, "last": 11, "numAfterLastRoot": 29}, got
    roots = ledger_tool(t, ledger, "list-roots", "--max-height", "100", "--num-roots", "100").out
    assert re.findall(r"^\d+", roots, re.M) == ["11", "10", "9", "8", "7", "6", "4", "3", "2", "1", "0"], roots
    assert ledger_tool(t, ledger, "dead-slots").out.split() == ["35"]


@test
def ledger_tool_agrees_on_slots(t):
    ledger = make(t)
    full = ledger_tool(t, ledger, "slot", "6", "-v").out
    for part in ("is_full: true", "parent_slot: Some(4)", "next_slots: [7]", "consumed: 32,",
                 "connected_flags: ConnectedFlags(CONNECTED | PARENT_CONNECTED)", "hashes: 128"):
        assert part in full, (part, full)
    fork = ledger_tool(t, ledger, "slot", "10", "-v").out
    assert "next_slots: [11, 12]" in fork, fork
    broken = ledger_tool(t, ledger, "slot", "30", "-v").out
    for part in ("is_full: false", "consumed: 20, received: 20", "last_index: None",
                 "ConnectedFlags(PARENT_CONNECTED)"):
        assert part in broken, (part, broken)
    # Its parent is broken, so it is whole but connected to nothing.
    after = ledger_tool(t, ledger, "slot", "31", "-v").out
    assert "is_full: true" in after and "ConnectedFlags(0x0)" in after, after


@test
def agave_replays_the_ledger(t):
    """Proof of history, number of ticks, last erasure set: all of it must hold, or a bank is not frozen."""
    ledger = make(t)
    log = ledger_tool(t, ledger, "verify", "--halt-at-slot", "29").err
    frozen = [int(s) for s in re.findall(r"bank frozen: (\d+) ", log)]
    # Slot 12 is on a fork below the root 11 that verify starts to keep.
    assert frozen == [s for s in range(30) if s not in (5, 12)], frozen
    assert "failed to verify" not in log


@test
def agave_writes_and_the_lab_reads_on(t):
    """With primary access, Agave's RocksDB 9.9 changes what the lab's has written, and the other way round."""
    ledger, copy = make(t), t.dir / "copy"
    copy.mkdir()
    ledger_tool(t, ledger, "set-dead-slot", "33")
    ledger_tool(t, ledger, "purge", "38", "40")
    assert ledger_tool(t, ledger, "dead-slots").out.split() == ["33", "35"]
    out = lab_ledger(t, "copy", ledger, copy)
    assert re.search(r"^meta same 37 other 0$", out, re.M), out
    assert re.search(r"^index same 37 other 0$", out, re.M), out
    got = json.loads(ledger_tool(t, ledger, "bounds", "--all", "--output", "json").out)
    assert got["allSlots"] == [s for s in SLOTS if s < 38], got


def same_values(t, name):
    packed = t.data("agave", "ledgers", name, "ledger.tar.zst")
    real, copy = t.dir / "real", t.dir / "copy"
    real.mkdir()
    copy.mkdir()
    t.sh("tar", "-C", real, "--use-compress-program=zstd -d --long=27", "-xf", packed)
    out = lab_ledger(t, "copy", real, copy)
    t.real("agave", f"ledger '{name}' of {agave.VERSION}")
    counts = {cf: (int(same), int(other)) for cf, same, other in re.findall(r"^(\w+) same (\d+) other (\d+)$", out, re.M)}
    assert len(counts) == 6 and all(same > 0 for same, _ in counts.values()), out
    return counts, out


@test
def a_broken_real_ledger_gives_the_same_values(t):
    counts, out = same_values(t, "gap")
    assert all(other == 0 for _, other in counts.values()), out
    assert counts["meta"][0] == 503, out


@test
def a_clean_real_ledger_gives_the_same_values(t):
    counts, out = same_values(t, "clean")
    assert all(other == 0 for _, other in counts.values()), out


main()
