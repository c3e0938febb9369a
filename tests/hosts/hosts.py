"""Captured hosts: folders that `agavectl check --root` looks at in place of a machine.

A base host is a folder with the host's files and a host.json (src/io/captured.h says what it holds); what /proc and
/sys have in one line, and links, are members of its small.json: {"files": {path: text}, "links": {path: to}}. Every
other host is an overlay, so that the difference is the fault: a folder with an overlay.json,

    {"base": "runbook",              the host that it is like
     "why": "...",                   what is wrong there, or healthy, in a sentence
     "remove": ["/etc/x", ...],      files and folders of the base that it does not have
     "edit": [["/etc/fstab", "old", "new"], ...]   the text stands there exactly once
     "files": {...}, "links": {...}  as in small.json
     "host": {...}}                  merged into the base's host.json

and files of its own, which replace the base's. In "host" a null removes a member, objects are merged member by
member, and lists (programs, answers) are put before the base's: the first that fits answers.
"""
import json, os, shutil, subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
OVERLAY, SMALL = "overlay.json", "small.json"


def names():
    return sorted(p.name for p in HERE.iterdir() if (p / OVERLAY).exists() or (p / "host.json").exists())


def overlay_of(name):
    path = HERE / name / OVERLAY
    return json.loads(path.read_text()) if path.exists() else {}


def golden_of(name):
    return HERE / f"{name}.golden.json"


def init_of(name):
    """What config init answers there."""
    return HERE / f"{name}.init.yaml"


def init_text(program, root):
    """Its answer for a host that has no config yet. It changes the host: call it last."""
    (root / "etc/agavectl/agavectl.yaml").unlink(missing_ok=True)
    return subprocess.run([str(program), "config", "init", "--root", str(root)], capture_output=True, text=True).stdout


def merge(base, over):
    """RFC 7396, but lists are joined, the overlay's first."""
    if isinstance(base, list) and isinstance(over, list):
        return over + base
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    out = dict(base)
    for key, value in over.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merge(out.get(key), value)
    return out


def inside(root, path):
    """A path of the host below root; its parents must not lead out of it."""
    at = root / path.lstrip("/")
    if ".." in at.parts or not at.parent.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"'{path}' leads out of the host")
    return at


def remove(root, path):
    at = inside(root, path)
    if at.is_dir() and not at.is_symlink():
        shutil.rmtree(at)
    else:
        at.unlink()  # one that is not there is a mistake in the overlay


def edit(root, path, old, new):
    at = inside(root, path)
    text = at.read_text()
    if text.count(old) != 1:
        raise ValueError(f"'{old}' stands {text.count(old)} times in '{path}'")
    at.write_text(text.replace(old, new))


def copy_over(src, dst):
    """Files and links of src; one of dst with the same name makes way."""
    for folder, dirs, files in os.walk(src):
        to = dst / Path(folder).relative_to(src)
        to.mkdir(parents=True, exist_ok=True)
        for name in files + [d for d in dirs if (Path(folder) / d).is_symlink()]:
            if Path(folder) == src and name in (OVERLAY, SMALL, "host.json"):
                continue
            if (to / name).is_symlink() or (to / name).exists():
                (to / name).unlink()
            shutil.copy2(Path(folder) / name, to / name, follow_symlinks=False)


def put_small(root, small):
    for path, text in small.get("files", {}).items():
        at = inside(root, path)
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_text(text)
    for path, to in small.get("links", {}).items():
        at = root / path.lstrip("/")
        at.parent.mkdir(parents=True, exist_ok=True)
        if at.is_symlink():
            at.unlink()
        at.symlink_to(to)


def put_folders(root, facts):
    """Folders that only host.json speaks of: git keeps no empty ones."""
    for path, entry in facts.get("stat", {}).items():
        if entry and entry.get("type", "dir") == "dir":
            (root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)


def build(name, to):
    """Makes the host's folder at `to` and returns it."""
    to = Path(to)
    over = overlay_of(name)
    facts = {}
    if over:
        build(over["base"], to)
        facts = json.loads((to / "host.json").read_text())
    to.mkdir(parents=True, exist_ok=True)
    for path in over.get("remove", []):
        remove(to, path)
    copy_over(HERE / name, to)
    if (HERE / name / SMALL).exists():
        put_small(to, json.loads((HERE / name / SMALL).read_text()))
    put_small(to, over)
    for path, old, new in over.get("edit", []):
        edit(to, path, old, new)
    own = HERE / name / "host.json"
    facts = merge(facts, json.loads(own.read_text()) if own.exists() else over.get("host", {}))
    put_folders(to, facts)
    (to / "host.json").write_text(json.dumps(facts, indent=1) + "\n")
    return to


def golden_text(answer):
    """What of check's JSON answer is kept: what is not ok, and the counts."""
    doc = json.loads(answer)
    kept = [f for f in doc["findings"] if f["severity"] != "ok"]
    kept = [{k: v for k, v in f.items() if v is not None and v is not False} for f in kept]
    absent = [s["name"] for s in doc["stages"] if s["state"] == "absent"]
    summary = {k: v for k, v in doc["summary"].items() if k != "ok"}
    return json.dumps({"summary": summary, "absent": absent, "findings": kept}, indent=1, ensure_ascii=False) + "\n"
