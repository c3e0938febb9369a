#!/usr/bin/env python3
"""docs/findings.md and the stages name the same ids, README's table names real ones of every layer, and each id is seen:
on a captured host (tests/hosts) or in a test. TAP."""
import json, re, sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]


OTHERS = {"docker.io"}  # a package
UNITS = (".service", ".socket", ".target", ".timer", ".slice")  # docker.service is no finding


def ids_of_stages():
    """Dotted words in quotes that begin with a stage's name; DIR_IDS makes one more for each of its suffixes."""
    text = "\n".join(p.read_text() for d in ("stage", "boot") for p in sorted((SOURCE / "src" / d).glob("*.c")))
    macro = re.search(r"^#define DIR_IDS.*(?:\\\n.*)*", text, re.M)
    bases = re.findall(r'DIR_IDS\("([a-z.]+)"\)', text)
    if not macro or not bases:
        sys.exit("Bail out! DIR_IDS is gone: look again where ids come from")
    text = re.sub(r'str_(eq|starts)\([^"()]*"[^"]*"\)', "", text)  # names of file systems, options
    suffixes = re.findall(r'x "(\.[a-z]+)"', macro[0])
    families = {n.replace("-", "") for n in re.findall(r'\.name = "([a-z-]+)"', text)} | {"kindroot"}
    words = re.findall(r'"([a-z]+(?:\.[a-z]+)+)"', text)
    ids = {w for w in words if w.split(".")[0] in families and not w.endswith(UNITS)}
    return ids - OTHERS | {b + s for b in bases for s in suffixes}


def ids_of_page():
    text = (SOURCE / "docs" / "findings.md").read_text()
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return set(re.findall(r"`([a-z.]+)`", " ".join(rows)))


def rows_of_readme():
    """(layer, ids) of the table that maps what must be so to findings."""
    text = (SOURCE / "README.md").read_text()
    rows = [line.split("|") for line in text.splitlines() if re.match(r"\| [1-5] \|", line)]
    return [(int(r[1]), set(re.findall(r"`([a-z.]+)`", r[3]))) for r in rows]


def ids_that_are_seen():
    goldens = sorted((SOURCE / "tests" / "hosts").glob("*.golden.json"))
    seen = {f["id"] for g in goldens for f in json.loads(g.read_text())["findings"]}
    tests = [*(SOURCE / "tests" / "unit").rglob("*.c"), *(SOURCE / "tests" / "integration").glob("*.py")]
    words = set(re.findall(r"[a-z]+(?:\.[a-z]+)+", "\n".join(p.read_text() for p in tests)))
    return seen | words


def main():
    code, page, bad = ids_of_stages(), ids_of_page(), 0
    rows = rows_of_readme()
    checks = [("every id of the stages is in the page", code - page), ("the page has no other", page - code),
              ("README's table names real ids", set().union(*(ids for _, ids in rows)) - page),
              ("README's table has every layer", {str(n) for n in range(1, 6)} - {str(layer) for layer, _ in rows}),
              ("every id is seen on a host or in a test", page - ids_that_are_seen())]
    print(f"1..{len(checks)}")
    for n, (what, wrong) in enumerate(checks, 1):
        bad += bool(wrong) or not code
        print(f"{'not ok' if wrong or not code else 'ok'} {n} - {what}")
        for one in sorted(wrong):
            print(f"# {one}")
    sys.exit(1 if bad else 0)


main()
