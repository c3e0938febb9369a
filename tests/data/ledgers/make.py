#!/usr/bin/env python3
"""Makes the small ledgers of this folder out of the real ones.

usage: make.py LEDGERS     (LEDGERS holds <name>/ledger.tar.zst and <name>/golden.json)

Copies the column families meta, root and dead_slots of each, values byte for byte, into a fresh database with the
real library: the lower half of the slots flushed to tables, the upper half left in the write-ahead log, as a running
validator has it. The text logs, the lock and the options are left out; golden.json is copied as it is.
"""
import ctypes as C, shutil, subprocess, sys, tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
FAMILIES = [b"default", b"meta", b"root", b"dead_slots"]
DROP = ("LOG*", "LOCK", "OPTIONS-*")


class Rocks:
    """As much of the C API as this needs."""

    def __init__(self, path):
        self.lib = C.CDLL(path)
        for name in ("options_create", "readoptions_create", "writeoptions_create", "flushoptions_create",
                     "create_iterator_cf", "iter_key", "iter_value", "open_column_families",
                     "open_for_read_only_column_families"):
            getattr(self.lib, "rocksdb_" + name).restype = C.c_void_p
        self.lib.rocksdb_iter_valid.restype = C.c_ubyte

    def call(self, name, *args):
        err = C.c_char_p()
        ret = getattr(self.lib, "rocksdb_" + name)(*args, C.byref(err))
        if err.value:
            sys.exit(f"{name}: {err.value.decode()}")
        return ret

    def open(self, folder, write):
        options = C.c_void_p(self.lib.rocksdb_options_create())
        if write:
            self.lib.rocksdb_options_set_create_if_missing(options, C.c_ubyte(1))
            self.lib.rocksdb_options_set_create_missing_column_families(options, C.c_ubyte(1))
            self.lib.rocksdb_options_set_compression(options, 0)
        n = len(FAMILIES)
        handles = (C.c_void_p * n)()
        args = [options, str(folder).encode(), n, (C.c_char_p * n)(*FAMILIES), (C.c_void_p * n)(*[options] * n), handles]
        db = self.call("open_column_families" if write else "open_for_read_only_column_families", *args,
                       *([] if write else [C.c_ubyte(0)]))
        return C.c_void_p(db), [C.c_void_p(h) for h in handles]

    def close(self, db, handles):
        for h in handles:
            self.lib.rocksdb_column_family_handle_destroy(h)
        self.lib.rocksdb_close(db)

    def items(self, db, handle):
        i = C.c_void_p(self.lib.rocksdb_create_iterator_cf(db, C.c_void_p(self.lib.rocksdb_readoptions_create()), handle))
        n = C.c_size_t()
        self.lib.rocksdb_iter_seek_to_first(i)
        while self.lib.rocksdb_iter_valid(i):
            key = C.string_at(self.lib.rocksdb_iter_key(i, C.byref(n)), n.value)
            yield key, C.string_at(self.lib.rocksdb_iter_value(i, C.byref(n)), n.value)
            self.lib.rocksdb_iter_next(i)
        self.call("iter_get_error", i)
        self.lib.rocksdb_iter_destroy(i)

    def put(self, db, handle, key, value):
        self.call("put_cf", db, C.c_void_p(self.lib.rocksdb_writeoptions_create()), handle, key, C.c_size_t(len(key)),
                  value, C.c_size_t(len(value)))

    def flush(self, db, handle):
        self.call("flush_cf", db, C.c_void_p(self.lib.rocksdb_flushoptions_create()), handle)


def copy(rocks, source, target):
    db, handles = rocks.open(source, False)
    found = [list(rocks.items(db, h)) for h in handles]
    rocks.close(db, handles)
    keys = sorted(key for key, _ in found[1])
    middle = keys[len(keys) // 2]
    db, handles = rocks.open(target, True)
    for lower in (True, False):
        for h, items in zip(handles[1:], found[1:]):
            for key, value in items:
                if (key < middle) == lower:
                    rocks.put(db, h, key, value)
            if lower:
                rocks.flush(db, h)
    rocks.close(db, handles)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    library = subprocess.run([HERE.parents[2] / "tools" / "get-rocksdb"], capture_output=True, text=True, check=True)
    rocks = Rocks(library.stdout.strip())
    for real in sorted(Path(sys.argv[1]).iterdir()):
        with tempfile.TemporaryDirectory() as tmp:
            subprocess.run(["tar", "--zstd", "-xf", real / "ledger.tar.zst", "-C", tmp], check=True)
            target = HERE / real.name
            shutil.rmtree(target, ignore_errors=True)
            (target / "rocksdb").mkdir(parents=True)
            copy(rocks, Path(tmp) / "rocksdb", target / "rocksdb")
            for pattern in DROP:
                for path in (target / "rocksdb").glob(pattern):
                    path.unlink()
            shutil.copyfile(real / "golden.json", target / "golden.json")


main()
