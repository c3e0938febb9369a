"""`agavectl prepare --root`: the plan for a captured host. That of the example's host, before anything of the
validator's storage was made there, is what the runbook's layer 4 makes by hand, all of it and nothing else."""
import hashlib, json, sys

from harness import SOURCE, main, test

sys.path.insert(0, str(SOURCE / "tests" / "hosts"))
import hosts

EXAMPLE = SOURCE / "examples" / "biscayne.yaml"
UNITS = "/etc/systemd/system"
# What the runbook says, and what is planned for it: stage, kind, object, what it is to be.
LAYER_4 = [
    ("/srv/solana is XFS on a zvol", [
        ("volume", "create", "zvol tank/solana", "8.0 TiB in blocks of 16 KiB, room kept for all of it"),
        ("volume", "create", "/dev/zvol/tank/solana", "xfs on zvol tank/solana"),
        ("volume", "create", "/srv/solana", "/dev/zvol/tank/solana"),
    ]),
    ("/srv/solana/ramdisk is XFS on /dev/ram0", [
        ("ramdisk", "create", "/etc/modprobe.d/agavectl-ramdisk.conf",
         "options brd rd_nr=1 rd_size=629145600 max_part=0"),
        ("ramdisk", "run", "module brd", "loaded with rd_nr=1 rd_size=629145600 max_part=0"),
        ("ramdisk", "create", "/dev/ram0", "xfs on RAM disk (brd), 600 GiB"),
        ("ramdisk", "create", "/srv/solana/ramdisk", "/dev/ram0"),
    ]),
    ("/srv/kind/solana is an rbind of /srv/solana", [
        ("bind", "create", "/srv/kind/solana", "rbind of /srv/solana (rslave, rshared)"),
    ]),
    ("ledger, snapshots, accounts and log are the validator's", [
        ("dirs", "create", "/srv/solana/ledger", "folder of 1000:1000"),
        ("dirs", "create", "/srv/solana/snapshots", "folder of 1000:1000"),
        ("dirs", "create", "/srv/solana/ramdisk/accounts", "folder of 1000:1000"),
        ("dirs", "create", "/srv/solana/log", "folder of 1000:1000"),
    ]),
    ("a unit formats the RAM disk at boot", [
        ("units", "create", f"{UNITS}/agavectl-ramdisk.service", "formats the RAM disk at boot"),
    ]),
    ("a unit makes the accounts folder after the mount, before Docker", [
        ("units", "create", f"{UNITS}/agavectl-boot.service",
         "makes the accounts folder and proves the boot, before Docker"),
        ("units", "create", f"{UNITS}/agavectl-boot-seen.service", "looks whether node and pod see the storage"),
        ("units", "create", f"{UNITS}/agavectl-boot-seen.timer", "starts that after a boot"),
        ("units", "create", f"{UNITS}/multi-user.target.wants/agavectl-boot.service", "enables it"),
        ("units", "create", f"{UNITS}/timers.target.wants/agavectl-boot-seen.timer", "enables it"),
        ("units", "create", f"{UNITS}/docker.service.d/50-agavectl.conf", "docker.service starts with the storage only"),
        ("units", "run", "systemd", "reads its files again"),
    ]),
    ("fstab mounts all three", [
        ("fstab", "update", "/etc/fstab", "3 lines of agavectl's"),
        ("fstab", "run", "systemd", "reads its files again"),
    ]),
]


def files_of(root):
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() and not p.is_symlink() else ""
            for p in sorted(root.rglob("*"))}


def plan(t, root, *args):
    before = files_of(root)
    r = t.run("prepare", "--root", root, "-o", "json", *args)
    assert r.code == 0, r
    assert files_of(root) == before, "a plan changes nothing"
    return [tuple(c[k] for k in ("stage", "kind", "object", "after")) for c in json.loads(r.out)["plan"]
            if c.get("stage") and c.get("kind")]


@test
def a_fresh_host_gets_the_runbooks_layer_4(t):
    root = hosts.build("fresh", t.dir / "host")
    got = plan(t, root, "--config", EXAMPLE)
    want = [change for _, changes in LAYER_4 for change in changes]
    assert got == want, "\n".join(f"{'=' if g == w else '!'} {g} {w if g != w else ''}"
                                  for g, w in zip(got + [None] * len(want), want + [None] * len(got)) if g or w)
    assert plan(t, root, "--config", EXAMPLE, "4") == want, "all of it is layer 4"


@test
def manual_and_readme_show_what_is_printed(t):
    root = hosts.build("fresh", t.dir / "host")
    said = t.run("prepare", "--root", root, "--config", EXAMPLE, "volume", "ramdisk", "bind").out
    assert said.count("\n") > 5, said
    manual = t.run("man").out.replace("\\-", "-")
    readme = (SOURCE / "README.md").read_text()
    for line in said.splitlines():
        assert f"\n  {line}\n" in manual, line
        assert f"\n{line}\n" in readme, line


@test
def the_runbooks_own_host_needs_nothing(t):
    assert plan(t, hosts.build("runbook", t.dir / "host"), "--config", EXAMPLE) == []


@test
def without_a_size_nothing_is_made_up(t):
    """The same host with a config that does not say how large the zvol is to be."""
    root = hosts.build("fresh", t.dir / "host")
    config = t.dir / "agavectl.yaml"
    config.write_text(EXAMPLE.read_text().replace("size_gib: 8192", "size_gib: 0"))
    config.chmod(0o600)
    r = t.run("prepare", "--root", root, "--config", config)
    assert r.code == 4 and "set storage.volume.size_gib to have it made" in r.err, r


def read_only_etc(t, name):
    root = hosts.build(name, t.dir / name)
    doc = json.loads((root / "host.json").read_text())
    doc.setdefault("statvfs", {}).setdefault("/etc", {})["read_only"] = True
    (root / "host.json").write_text(json.dumps(doc))
    return root


@test
def nothing_is_planned_for_a_read_only_etc(t):
    """Whichever stage would write there, and as a whole; a plan that writes nothing there is made."""
    fresh, runbook = read_only_etc(t, "fresh"), read_only_etc(t, "runbook")
    for root, args, code in ((fresh, [], 4), (fresh, ["units"], 4), (fresh, ["ramdisk"], 4), (fresh, ["volume"], 0),
                             (runbook, [], 0), (runbook, ["--adopt"], 4)):
        r = t.run("prepare", "--root", root, "--config", EXAMPLE, *args)
        said = "'/etc' is read-only" in r.err and "make it writable (mount -o remount,rw)" in r.err
        assert r.code == code and said == (code == 4), (args, r)


@test
def the_files_of_a_plan_are_shown(t):
    """With -o json and -v: each file, link and line that is written, and its whole text."""
    root = hosts.build("fresh", t.dir / "host")
    args = ("prepare", "--root", root, "--config", EXAMPLE)
    changes = json.loads(t.run(*args, "-o", "json").out)["plan"]
    files = {f["path"]: f for c in changes for f in c["files"]}
    below_etc = {c["object"] for c in changes if c["object"].startswith("/etc/")}
    assert set(files) == below_etc and len(below_etc) == 9, (files, below_etc)
    assert files["/etc/modprobe.d/agavectl-ramdisk.conf"]["text"].endswith("\noptions brd rd_nr=1 rd_size=629145600 max_part=0\n")
    assert "\nExecStart=/usr/bin/agavectl boot format\n" in files[f"{UNITS}/agavectl-ramdisk.service"]["text"]
    link = files[f"{UNITS}/multi-user.target.wants/agavectl-boot.service"]
    assert (link["link"], link["text"]) == ("../agavectl-boot.service", None), link
    fstab = files["/etc/fstab"]
    assert fstab["part"] and fstab["text"].count("\n") == 5 and "/dev/ram0 /srv/solana/ramdisk xfs" in fstab["text"], fstab
    plain, said = t.run(*args).out, t.run("-v", *args).out
    assert said.startswith(plain) and "[Unit]" not in plain, said
    for path, f in files.items():
        assert f"\n{path}{' -> ' + f['link'] if f['link'] else ', in it:' if f['part'] else ':'}\n" in said, path
        assert all(f"\n    {line}\n" in said for line in (f["text"] or "").splitlines() if line), (path, said)


@test
def a_captured_host_is_only_planned_for(t):
    root = hosts.build("fresh", t.dir / "host")
    for option in ("--apply", "--undo"):
        r = t.run("prepare", option, "--root", root, "--config", EXAMPLE)
        assert r.code == 2 and "nothing is changed on a captured host" in r.err, r


main()
