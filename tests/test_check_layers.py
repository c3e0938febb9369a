#!/usr/bin/env python3
"""tools/check-layers finds each kind of fault in a small tree that is otherwise in order. TAP."""
import os, subprocess, sys, tempfile

CHECKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools", "check-layers")
GOOD = {
    "src/base/banned.h": "#pragma once\n",
    "src/base/a.h": "#pragma once\nint a(void);\n",
    "src/io/b.h": '#pragma once\n#include "base/a.h"\n',
    "src/io/b.c": '#include "io/b.h"\n#include <curl/curl.h>\n',
    "src/host/c.h": "#pragma once\n",
    "src/solana/d.c": '#include "io/b.h"\n',
    "src/config/config.h": "#pragma once\n",
    "src/fetch/e.h": "#pragma once\n",
    "src/stage/f.c": '#include "config/config.h"\n#include "fetch/e.h"\n',
    "src/cmd/g.c": '#include "lab/lab.h"\n',
    "lab/lab.h": '#pragma once\n#include "host/c.h"\n',
    "lab/other.h": "#pragma once\n",
}
FAULTS = [
    ("nothing is wrong", {}, None),
    ("base sees io", {"src/base/x.c": '#include "io/b.h"\n'}, "base/ must not see 'io/b.h'"),
    ("solana sees host", {"src/solana/d.c": '#include "host/c.h"\n'}, "solana/ must not see 'host/c.h'"),
    ("runtime sees fetch", {"src/runtime/x.c": '#include "fetch/e.h"\n'}, "runtime/ must not see"),
    ("fetch sees config", {"src/fetch/x.c": '#include "config/config.h"\n'}, "fetch/ must not see"),
    ("an indented include counts", {"src/io/b.c": '  #  include "host/c.h"\n'}, "io/ must not see"),
    ("lab sees fetch", {"lab/x.c": '#include "fetch/e.h"\n'}, "lab/ must not see"),
    ("cmd sees more of lab than its door", {"src/cmd/g.c": '#include "lab/other.h"\n'}, "cmd/ must not see"),
    ("flow sees cmd", {"src/flow/x.c": '#include "cmd/g.h"\n', "src/cmd/g.h": "#pragma once\n"}, "flow/ must not"),
    ("a new layer sees nothing", {"src/new/x.c": '#include "base/a.h"\n'}, "new/ must not see"),
    ("an include without its folder", {"src/io/b.c": '#include "b.h"\n'}, "not a full path"),
    ("curl in two files", {"src/host/x.c": "#include <curl/multi.h>\n"}, "one file must hold it"),
    ("curl in a header", {"src/fetch/e.h": "#pragma once\n#include <curl/curl.h>\n"}, "a header must not include"),
    ("no #pragma once", {"src/host/c.h": "int c(void);\n"}, "no #pragma once"),
    ("a header that needs another one", {"src/host/c.h": "#pragma once\nsize_t c(void);\n"}, "does not compile alone"),
]


def check(change, want):
    with tempfile.TemporaryDirectory() as root:
        for path, text in (GOOD | change).items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w") as f:
                f.write(text)
        run = subprocess.run([CHECKER, root], text=True, capture_output=True)
    if want is None:
        return run.returncode == 0 and "\nnot ok" not in run.stdout, run
    return run.returncode == 1 and "\nnot ok" in run.stdout and want in run.stdout, run


failed = 0
print(f"1..{len(FAULTS)}")
for number, (what, change, want) in enumerate(FAULTS, 1):
    good, run = check(change, want)
    failed += not good
    print(f"{'ok' if good else 'not ok'} {number} - {what}")
    if not good:
        print("\n".join("# " + line for line in (run.stdout + run.stderr).splitlines()))
sys.exit(1 if failed else 0)
