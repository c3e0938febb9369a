#!/usr/bin/env python3
"""What every command promises: help, exit codes, the two streams, completion scripts, manual pages."""
import json, os, re, shutil, subprocess
from harness import BIN, Skip, main, test

def commands(t):
    """Every command and part of one, hidden ones too, as the program lists them."""
    r = t.run("__commands")
    assert r.code == 0 and r.out and not r.err, r
    found = [line.split() for line in r.out.splitlines()]
    assert ["config", "show"] in found, found
    return found


def refused(r, code=2):
    assert r.code == code, r
    assert not r.out, r
    assert r.err.startswith("agavectl: ") and r.err.endswith("\n"), r
    return r.err


@test
def help_is_the_same_everywhere(t):
    for words in [[]] + commands(t):
        short, long = t.run(*words, "-h"), t.run(*words, "--help")
        assert short.code == long.code == 0, (words, long)
        assert not short.err and not long.err, (words, long)
        assert short.out == long.out, words
        assert t.run("--help", *words).out == long.out, words
        first = long.out.splitlines()[0]
        assert first.startswith(f"Usage: agavectl {' '.join(words)}".rstrip()), first
        for line in long.out.splitlines():
            assert len(line) <= 80, (words, line)
            assert line == line.rstrip(), (words, line)
            assert "\x1b" not in line, (words, line)
        if words:
            assert t.run("help", *words).out == long.out, words


@test
def help_names_each_visible_command(t):
    text = t.run("--help").out
    for words in commands(t):
        if len(words) == 1 and words[0] not in ("__commands", "man"):
            assert re.search(rf"^  {words[0]} +\S", text, re.M), words
    assert "__commands" not in text


@test
def a_wrong_option_is_a_usage_error(t):
    for words in [[]] + commands(t):
        assert "--no-such-thing" in refused(t.run(*words, "--no-such-thing")), words
        assert "'-?'" in refused(t.run(*words, "-?")), words
    assert "did you mean '--version'" in refused(t.run("--versoin"))
    assert "did you mean '--origin'" in refused(t.run("config", "show", "--orign"))


@test
def a_wrong_command_is_a_usage_error(t):
    assert "no command given" in refused(t.run())
    assert "did you mean 'version'" in refused(t.run("verison"))
    assert "did you mean 'config show'" in refused(t.run("config", "shwo"))
    assert "needs a command" in refused(t.run("config"))
    assert "does not take the argument 'x'" in refused(t.run("version", "x"))
    assert "needs an argument" in refused(t.run("completion"))
    assert "is not one of text, json" in refused(t.run("-o", "xml", "version"))
    assert "has no JSON answer" in refused(t.run("config", "example", "-o", "json"))


@test
def options_stand_on_both_sides(t):
    for words in (["-o", "json", "version"], ["version", "-ojson"], ["--output=json", "version"],
                  ["-q", "version", "--output", "json", "-v"]):
        r = t.run(*words)
        assert r.code == 0 and r.out.startswith("{") and "version" in r.out, r
    assert t.run("-V").out == t.run("version").out == t.run("--version").out


@test
def a_json_answer_says_its_version(t):
    for words in (["version"], ["config", "show", "-c", empty(t)], ["config", "check", "-c", empty(t)]):
        doc = json.loads(t.run(*words, "-o", "json").out)
        assert list(doc)[0] == "schema_version" and doc["schema_version"] == 1, (words, doc)


@test
def root_is_asked_for_first(t):
    """A command that needs root says so before it looks at anything else."""
    if os.geteuid() != 0:
        raise Skip("needs root to become somebody else")
    seen = 0
    for words in commands(t):
        page = t.run(*words, "--help").out
        if "Needs root" not in page:
            continue
        # Run as nobody: the program's folder may be closed to it, so the descriptor is inherited.
        fd = os.open(BIN, os.O_RDONLY)
        needed = ["x"] if re.search(r"^[Uu]sage:.* [A-Z]+$", page, re.M) else []
        p = subprocess.run([f"/proc/self/fd/{fd}", *words, *needed, "--config", "/nonexistent"], pass_fds=[fd], user=65534, group=65534,
                           extra_groups=[], capture_output=True, text=True, timeout=60,
                           env={"ASAN_OPTIONS": "detect_leaks=0"})
        os.close(fd)
        assert p.returncode == 4, (words, p)
        assert f"agavectl {' '.join(words)} needs root; run it with sudo" in p.stderr, (words, p.stderr)
        assert not p.stdout, p.stdout
        seen += 1
    assert seen >= 2, seen


def run_with(argv, **more):
    return subprocess.run([BIN, *argv], stderr=subprocess.PIPE, text=True, timeout=60, **more)


@test
def a_lost_answer_is_a_failure(t):
    for argv in (["version"], ["--help"], ["config", "example"], ["version", "-o", "json"]):
        with open("/dev/full", "w") as full:
            p = run_with(argv, stdout=full)
        assert p.returncode == 1 and "cannot write the answer: No space left" in p.stderr, (argv, p)
        p = run_with(argv, preexec_fn=lambda: os.close(1))
        assert p.returncode == 1 and "cannot write the answer" in p.stderr, (argv, p)
        rd, wr = os.pipe()
        os.close(rd)
        p = run_with(argv, stdout=wr)
        os.close(wr)
        assert p.returncode == 1 and "Broken pipe" in p.stderr, (argv, p)


@test
def closed_streams_do_not_meet_files(t):
    """With descriptors 0 to 2 closed, the first file opened must not become stdout or stderr."""
    p = subprocess.run([BIN, "config", "check", "--config", "/dev/null"], timeout=60,
                       preexec_fn=lambda: [os.close(fd) for fd in (0, 1, 2)])
    assert p.returncode == 2, p


@test
def completion_for_bash(t):
    script = t.dir / "agavectl.bash"
    script.write_text(t.run("completion", "bash").out)
    t.sh("bash", "-n", script)

    def complete(*words):
        line = " ".join(f"'{w}'" for w in ("agavectl", *words))
        code = (f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words)}; _agavectl; "
                "printf '%s\\n' \"${COMPREPLY[@]}\"")
        return set(t.sh("bash", "--norc", "-c", code).out.split())

    top = {w[0] for w in commands(t) if w[0] not in ("__commands", "man")}
    assert complete("") == top, complete("")
    assert complete("verb") == set()
    assert complete("ver") == {"version"}
    assert complete("config", "") == {"check", "example", "init", "show"}
    assert complete("-q", "config", "s") == {"show"}
    assert complete("config", "show", "--or") == {"--origin"}
    assert complete("config", "show", "-o", "") == {"text", "json"}
    assert complete("completion", "") == {"bash", "zsh", "fish"}
    assert complete("config", "show", "--config", "") == set()  # files: bash's own default
    for words in commands(t):
        if words[0] in ("__commands", "man"):
            continue
        shown = set(re.findall(r"^ +(?:-\w, )?(--[\w-]+)", t.run(*words, "--help").out, re.M))
        assert complete(*words, "--") == shown, (words, shown)


@test
def completion_for_zsh_and_fish(t):
    for shell in ("zsh", "fish"):
        r = t.run("completion", shell)
        assert r.code == 0 and "config show" in r.out and "--origin" in r.out + r.out.replace("-l origin", "--origin"), r
        if shutil.which(shell):
            script = t.dir / shell
            script.write_text(r.out)
            t.sh(shell, "-n", script)
        else:
            print(f"# not parsed by its shell: no {shell} here")
    assert "there is one for bash, zsh and fish" in refused(t.run("completion", "tcsh"))


@test
def manual_pages_render(t):
    if not shutil.which("groff"):
        raise Skip("no groff")
    for page, words in (("1", []), ("5", ["config"])):
        file = t.dir / f"page.{page}"
        file.write_text(t.run("man", *words).out)
        r = t.sh("groff", "-man", "-ww", "-Tutf8", "-P-c", file)
        assert not r.err, r.err
        text = re.sub(r".\x08", "", r.out)
        flat = " ".join(text.split())
        if page == "5":
            for key in re.findall(r"^(\S+) ", t.run("config", "show", "-c", empty(t)).out, re.M)[1:]:
                assert key in flat, key
            continue
        for words in commands(t):
            if words[0] not in ("__commands", "man"):
                assert f"agavectl {' '.join(words)}" in flat, words
        for name in ("AGAVECTL_CONFIG", "AGAVECTL_ROCKSDB", "NO_COLOR"):
            assert name in flat, name


def empty(t):
    path = t.dir / "empty.yaml"
    path.write_text("")
    path.chmod(0o600)
    return path


main()
