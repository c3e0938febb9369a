#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/known.h"
#include "base/str.h"
#include "solana/snapshot_name.h"

/* Everything of snapshots that lies in a validator's folder. Names and marks are looked at, no
 * archive is opened: whether one is whole is snapshot_archive.h's business, what a start would
 * begin from snapshot_load.h's. */

/* Where they lie: bank snapshots, and archives where nothing else is said, in dir (--snapshots);
 * full archives in full (--full-snapshot-archive-path), incrementals in incremental
 * (--incremental-snapshot-archive-path); NULL: in dir. Agave 3.0.14, commands/run/args.rs. */
struct snapdirs {
    const char *dir, *full, *incremental;
};
enum snaplocal_kind {
    SNAPLOCAL_ARCHIVE, /* has a final name */
    SNAPLOCAL_HALF,    /* on its way */
    SNAPLOCAL_LEFT,    /* of ours, about something that is not there: a map, a note */
};
enum snaplocal_maker {
    SNAPLOCAL_ANYBODY,
    SNAPLOCAL_OURS,  /* tmp-<name>, with its map in .agavectl/ */
    SNAPLOCAL_AGAVE, /* tmp-snapshot-archive-*, remote/tmp-*: removed or begun anew by itself */
};
enum snaplocal_place {
    SNAPLOCAL_TOP,    /* the folder */
    SNAPLOCAL_REMOTE, /* its remote/: where Agave downloads to; read as well */
    SNAPLOCAL_STAGED, /* its .agavectl/: waits until the validator is stopped */
};
const char *snaplocal_place_name(enum snaplocal_place p); /* "here", "remote", "waiting" */

struct snaplocal_file {
    enum snaplocal_kind kind;
    enum snaplocal_maker maker;
    enum snaplocal_place place;
    bool named;                /* name is filled: an archive, or what the half will be */
    struct snapshot_name name; /* legacy: a format that 3.0 and later do not read */
    char *file, *path;         /* bare, and as given to fsroot */
    char *home;                /* the folder whose place it is */
    bool apart;                /* an archive where Agave does not look for such ones */
    bool link;                 /* a symbolic link: size_b is of what it leads to */
    bool no_file;              /* an archive by its name, which is all that Agave looks at (3.0.14,
                                  snapshot_utils.rs): a folder, a pipe, a link to nothing. size_b is 0 */
    bool unfinished;           /* an archive by its name, whose download another program has not
                                  ended (aria2's control file lies beside it) */
    uint64_t size_b, disk_b;   /* disk_b: what is free again when it is removed */
    uint64_t mtime_s;          /* for people; nothing is decided by it */
    uint32_t uid, gid, mode;
    bool busy;   /* a half of ours: somebody holds the flock of its map */
    bool loaded; /* written by snapload_decide */
    char *why;   /* the same: why it is loaded, or not */
};

/* A bank snapshot: <dir>/snapshots/<slot>/, with its accounts elsewhere. */
struct snaplocal_bank {
    uint64_t slot;
    char *path;
    bool version_ok, status_cache, bank; /* files: version is 1.2.0, the others are there */
    bool pre;                            /* <slot>.pre: not finished (3.0) */
    bool state_complete, flushed;        /* marks of 3.0, and of up to 3.1 */
    struct known_u64 full_slot;          /* of the full snapshot it builds on (3.0) */
    bool fastboot_bad;                   /* its fastboot_version is none */
    struct known_u64 fastboot;           /* its major number (3.1 and later) */
    bool accounts_known, has_accounts;   /* the hard links in <accounts>/snapshot/<slot>/ */
    bool loaded;
    char *why; /* by snapload_decide */
};
struct snaplocal {
    char *dir, *full_dir, *incr_dir; /* of bank snapshots, of archives; often one */
    struct snaplocal_file *files;    /* archives first, the highest slot first; then halves */
    size_t n, cap;
    struct snaplocal_bank *banks; /* the highest slot first */
    size_t n_banks, cap_banks;
    struct strlist odd; /* what an operator should know of: sentences */
};
void snaplocal_clear(struct snaplocal *l);
/* accounts: the validator's account path, or NULL: not known. ERR_NOTFOUND: no such folder;
 * ERR_SYS. Nothing in it is success. */
struct err *snaplocal_read(struct ctx *ctx, const char *dir, const char *accounts,
                           struct snaplocal *ret) MUST_CHECK;
/* The same of up to three folders; full and incremental need not be there. */
struct err *snaplocal_read_dirs(struct ctx *ctx, const struct snapdirs *dirs, const char *accounts,
                                struct snaplocal *ret) MUST_CHECK;
struct snapdirs snaplocal_dirs(const struct snaplocal *l); /* borrows */
