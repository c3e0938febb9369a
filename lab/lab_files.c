/* What the lab puts into files: copies of the programs, a throw-away identity, the config. */
#include "lab/lab_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/fsroot.h"
#include "io/proc.h"
#include "solana/ed25519.h"
#include "solana/keypair.h"
#include "solana/rocksdb_api.h"

#define BIN      LAB_BIN
#define KEYS     LAB_DIR "/keys"
#define IDENTITY KEYS "/identity.json"

static struct err *copy_bytes(int in, int out, const char *from, const char *to)
{
    for (;;) {
        ssize_t n = copy_file_range(in, NULL, out, NULL, 64 << 20, 0);

        if (n == 0)
            return NULL;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS))
            break; /* not between these two file systems */
        if (n < 0)
            return err_sys(errno, "cannot copy '%s' to '%s'", from, to);
    }
    for (;;) {
        char buf[65536];
        ssize_t n = read(in, buf, sizeof(buf));

        if (n == 0)
            return NULL;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(errno, "cannot read '%s'", from);
        for (ssize_t at = 0; at < n;) {
            ssize_t w = write(out, buf + at, (size_t)(n - at));
            if (w < 0 && errno != EINTR)
                return err_sys(errno, "cannot write '%s'", to);
            at += w > 0 ? w : 0;
        }
    }
}

static struct err *copy_file(const char *from, const char *to)
{
    AUTO(closep) int in = open(from, O_RDONLY | O_CLOEXEC);
    AUTO(closep) int out = -1;

    if (in < 0 && errno == ENOENT)
        return err_new(ERR_ABSENT, "'%s' is not there; build it with 'make'", from);
    if (in < 0)
        return err_sys(errno, "cannot open '%s'", from);
    out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0755);
    if (out < 0)
        return err_sys(errno, "cannot create '%s'", to);
    TRY(copy_bytes(in, out, from, to));
    if (fchmod(out, 0755) < 0 || close(TAKE_FD(out)) < 0)
        return err_sys(errno, "cannot write '%s'", to);
    return NULL;
}

/* The lab's programs are built beside this one. */
static struct err *own_folder(char **ret)
{
    TRY(proc_self(ret));
    *strrchr(*ret, '/') = 0;
    return NULL;
}

struct err *lab_copy_programs(struct ctx *ctx, const struct lab_opts *opts)
{
    static const char *const names[] = {"agavectl-lab-validator", "agavectl-lab-world"};
    AUTO(freep) char *folder = NULL;
    AUTO(rocksdb_api_closep) struct rocksdb_api *rocks = NULL;

    TRY(rocksdb_api_open(&rocks));
    if (opts->programs)
        folder = xstrdup(opts->programs);
    else
        TRY(own_folder(&folder));
    TRY(fsroot_mkdirs(ctx->root, BIN, 0755));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO(freep) char *from = xasprintf("%s/%s", folder, names[i]);
        AUTO(freep) char *to = xasprintf(BIN "/%s", names[i]);

        TRY(copy_file(from, to));
    }
    /* A system library has a soname instead of a path, and everybody can reach it. */
    return rocks->path[0] == '/' ? copy_file(rocks->path, LAB_ROCKSDB) : NULL;
}

static struct err *owned_by_lab(struct ctx *ctx, const char *path, mode_t mode)
{
    if (chown(path, LAB_UID, LAB_UID) < 0 || chmod(path, mode) < 0)
        return err_sys(errno, "cannot give '%s' to the lab's user", path);
    return NULL;
}

/* A keypair that is worth nothing: derived from the seed, so that a lab can be repeated. */
static struct err *write_identity(struct ctx *ctx, uint64_t seed)
{
    uint8_t bytes[ED25519_SEED_B] = "agavectl lab validator";
    char text[KEYPAIR_TEXT_MAX];
    struct ed25519_key key;

    memcpy(bytes + 24, &seed, sizeof(seed));
    ed25519_from_seed(bytes, &key);
    keypair_format(&key, text);
    struct err *e = fsroot_mkdirs(ctx->root, KEYS, 0755);
    if (!e)
        e = fsroot_write_atomic(ctx->root, IDENTITY, text, strlen(text), 0600);
    ed25519_wipe(&key, sizeof(key));
    ed25519_wipe(text, sizeof(text));
    TRY(e);
    return owned_by_lab(ctx, IDENTITY, 0600);
}

/* What is true of every lab, and of no host that should be put right. */
static void write_ignored(struct strbuf *c)
{
    static const struct {
        const char *why, *ids[8];
    } rows[] = {
        {"the lab's validator needs few", {"limits.nofile", "limits.memlock"}},
        {"the lab ends with the boot",
         {"kindroot.place", "fstab.volume", "fstab.ramdisk", "fstab.bind", "sysctl.rmem.boot",
          "sysctl.wmem.boot", "sysctl.maps.boot"}},
    };

    strbuf_puts(c, "check:\n  ignore:\n");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t k = 0; k < ARRAY_LEN(rows[i].ids) && rows[i].ids[k]; k++)
            strbuf_printf(c, "    - \"%s: %s\"\n", rows[i].ids[k], rows[i].why);
}

static struct err *write_config(struct ctx *ctx, const struct lab_state *s)
{
    AUTO(strbuf_clear) struct strbuf c = {0};
    struct stat st;

    strbuf_printf(&c,
                  "# Written by 'agavectl lab up'; gone after 'agavectl lab down'.\n"
                  "state_dir: " LAB_DIR "\n"
                  "journal_dir: " LAB_DATA "/op\n"
                  "host:\n  persist: false\n" /* /etc is the host's own */
                  "storage:\n"
                  "  volume: {device: %s, mount: /srv/solana}\n"
                  "  ramdisk: {device: %s, mount: /srv/solana/ramdisk}\n"
                  "  kind_root: /srv/kind\n"
                  "  bind: /srv/kind/solana\n",
                  s->volume, s->ramdisk);
    strbuf_printf(&c,
                  "validator:\n"
                  "  runtime: process\n"
                  "  bin: %s\n"
                  "  uid: %d\n"
                  "  gid: %d\n"
                  "  identity: " IDENTITY "\n"
                  "  ledger: /srv/solana/ledger\n"
                  "  snapshots: /srv/solana/snapshots\n"
                  "  accounts: /srv/solana/ramdisk/accounts\n"
                  "  log: /srv/solana/log/validator.log\n"
                  "  bind_address: 127.0.0.1\n"
                  "  rpc_port: %d\n"
                  "  gossip_port: %d\n"
                  "  dynamic_port_range: " LAB_VAL_PORTS "\n"
                  "  entrypoints: [\"127.0.0.1:%d\"]\n"
                  "  args: [--full-rpc-api, --private-rpc, --no-port-check, --limit-ledger-size,"
                  " \"50000000\"]\n",
                  BIN "/agavectl-lab-validator", LAB_UID, LAB_UID, LAB_VAL_RPC_PORT, LAB_VAL_GOSSIP,
                  LAB_GOSSIP_PORT);
    strbuf_printf(&c, "  env: [\"AGAVECTL_LAB_LINGER=" LAB_DIR "/linger\"%s]\n",
                  stat(LAB_ROCKSDB, &st) == 0 ? ", \"AGAVECTL_ROCKSDB=" LAB_ROCKSDB "\"" : "");
    strbuf_printf(&c,
                  "cluster:\n"
                  "  references: [\"http://127.0.0.1:%d\", \"http://127.0.0.1:%d\", "
                  "\"http://127.0.0.1:%d\"]\n",
                  LAB_RPC_PORT_1, LAB_RPC_PORT_2, LAB_RPC_PORT_3);
    write_ignored(&c);
    return fsroot_write_atomic(ctx->root, LAB_CONFIG, c.data, c.len, 0644);
}

struct err *lab_write_files(struct ctx *ctx, const struct lab_opts *opts, const struct lab_state *s)
{
    TRY(write_identity(ctx, opts->seed));
    return write_config(ctx, s);
}

/* fd is consumed. Deep trees are bounded by the depth that the lab's own programs make. */
static struct err *empty_folder(int fd, const char *path, dev_t dev, int depth)
{
    DIR *d = fdopendir(fd);
    struct err *e = NULL;

    if (!d) {
        e = err_sys(errno, "cannot list '%s'", path);
        close(fd);
        return e;
    }
    for (struct dirent *f; !e && (f = readdir(d));) {
        AUTO(freep) char *below = xasprintf("%s/%s", path, f->d_name);
        struct stat st;

        if (str_eq(f->d_name, ".") || str_eq(f->d_name, ".."))
            continue;
        if (fstatat(fd, f->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            e = err_sys(errno, "cannot stat '%s'", below);
        else if (st.st_dev != dev)
            e = err_new(ERR_REFUSED, "'%s' is another file system and is left alone", below);
        else if (S_ISDIR(st.st_mode) && depth > 0) {
            int sub = openat(fd, f->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

            e = sub < 0 ? err_sys(errno, "cannot open '%s'", below)
                        : empty_folder(sub, below, dev, depth - 1);
        }
        if (!e && unlinkat(fd, f->d_name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) < 0)
            e = err_sys(errno, "cannot remove '%s'", below);
    }
    closedir(d);
    return e;
}

struct err *lab_remove_tree(struct ctx *ctx, const char *path)
{
    AUTO(freep) char *real = fsroot_path(ctx->root, path);
    int fd = open(real, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0 && errno == ENOENT)
        return NULL;
    if (fd < 0)
        return err_sys(errno, "cannot open '%s'", real);
    if (fstat(fd, &st) < 0) {
        struct err *e = err_sys(errno, "cannot stat '%s'", real);
        close(fd);
        return e;
    }
    TRY(empty_folder(fd, real, st.st_dev, 32));
    return fsroot_rmdir(ctx->root, path);
}
