#!/usr/bin/env python3
"""Every fuzz target for real, a while each: new inputs, not only the corpus. TAP.

usage: fuzz_all.py SOURCE BUILD SECONDS [TARGET...]
Needs clang with libFuzzer; makes its own build in BUILD/fuzz. What breaks a target is kept there and printed.
"""
import base64, os, re, shutil, subprocess, sys, tempfile
from pathlib import Path

CLANG = next((c for c in ("clang", *(f"clang-{n}" for n in range(21, 13, -1))) if shutil.which(c)), None)
OPTIONS = ["-Dfuzz=true", "-Db_sanitize=address,undefined", "-Db_lundef=false"]
ENV = {**os.environ, "CC": CLANG or "", "ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": "halt_on_error=1"}


def say(text):
    for line in text.splitlines():
        print(f"# {line}")


def has_libfuzzer():
    code = b"int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return 0; }"
    return CLANG and subprocess.run([CLANG, "-fsanitize=fuzzer,address", "-x", "c", "-o", "/dev/null", "-"], input=code,
                                    capture_output=True).returncode == 0


def build(source, folder, targets):
    if not (folder / "build.ninja").exists():
        subprocess.run(["meson", "setup", folder, source, *OPTIONS], env=ENV, check=True, stdout=subprocess.DEVNULL)
    made = subprocess.run(["ninja", "-C", folder, *(f"tests/fuzz/fuzz_{t}" for t in targets)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if made.returncode:
        say(made.stdout[-3000:])
        sys.exit("Bail out! the fuzz targets cannot be built")


def fuzz(source, folder, target, seconds):
    """What libFuzzer said at its end, and whether nothing was found."""
    kept = folder / "found"
    kept.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="agavectl-fuzz-") as new:
        run = subprocess.run([folder / "tests/fuzz" / f"fuzz_{target}", f"-max_total_time={seconds}", "-timeout=10",
                              "-rss_limit_mb=2048", f"-artifact_prefix={kept}/{target}-", new,
                              source / "tests/fuzz/corpus" / target], env=ENV, text=True, errors="replace",
                             stdin=subprocess.DEVNULL, capture_output=True)
    for path in re.findall(r"Test unit written to (\S+)", run.stderr):
        say(f"{path}\nbase64: {base64.b64encode(Path(path).read_bytes()).decode()[:2000]}")
    if run.returncode:
        say(run.stderr[-4000:])
    last = re.findall(r"^#(\d+)\s+DONE\s+cov: (\d+)", run.stderr, re.M)
    say(f"{target}: {last[-1][0]} inputs, {last[-1][1]} edges" if last else f"{target}: no end")
    return run.returncode == 0 and last


def main():
    source, folder, seconds = Path(sys.argv[1]), Path(sys.argv[2]) / "fuzz", int(sys.argv[3])
    targets = sys.argv[4:]
    if not targets or not has_libfuzzer():
        print("1..0 # SKIP no clang with libFuzzer" if targets else "1..0 # SKIP no targets")
        return
    build(source, folder, targets)
    print(f"1..{len(targets)}", flush=True)
    bad = 0
    for number, target in enumerate(targets, 1):
        good = fuzz(source, folder, target, seconds)
        bad += not good
        print(f"{'ok' if good else 'not ok'} {number} - {target} for {seconds} s", flush=True)
    sys.exit(1 if bad else 0)


main()
