#!/usr/bin/env python3
"""Cuts recordings of real nodes down to what tests need.

    cut.py SOURCE_DIR TARGET_DIR

SOURCE_DIR holds rec-<node>/{json_rpc,admin_rpc,http_snapshots}.json. Every question stays with its answer; only
lists of more than 32 entries lose their tail (getLeaderSchedule names every slot of an epoch). An entry that was
cut says so: "cut": true. What is left is as it was on the wire.
"""
import json, sys
from pathlib import Path

KEEP = 32


def cut(value):
    """The value with long lists shortened, and whether anything was."""
    if isinstance(value, dict):
        parts = {k: cut(v) for k, v in value.items()}
        return {k: v for k, (v, _) in parts.items()}, any(c for _, c in parts.values())
    if isinstance(value, list):
        parts = [cut(v) for v in value[:KEEP]]
        return [v for v, _ in parts], len(value) > KEEP or any(c for _, c in parts)
    return value, False


def main(source, target):
    for folder in sorted(Path(source).glob("rec-*")):
        out = Path(target) / folder.name.removeprefix("rec-")
        out.mkdir(parents=True, exist_ok=True)
        for name in ("json_rpc", "admin_rpc", "http_snapshots"):
            entries = []
            for entry in json.loads((folder / f"{name}.json").read_text()):
                response, was_cut = cut(entry.get("response"))
                if was_cut:
                    entry = {**entry, "response": response, "cut": True}
                entries.append(entry)
            lines = ",\n".join(json.dumps(e) for e in entries)
            (out / f"{name}.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
