/* The lab's life: up makes what is missing, in an order in which each thing needs only earlier
 * ones, and notes each in the state file before the next; down takes away in the reverse order
 * whatever is there. The host around it is not touched: no file in /etc, no mount, no address, no
 * sysctl. */
#include "lab/lab.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "host/loop.h"
#include "host/pids.h"
#include "host/zram.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "lab/drill_run.h"
#include "lab/lab_faults.h"
#include "lab/lab_files.h"
#include "lab/lab_ns.h"
#include "lab/lab_state.h"

#define VOLUME_B       (4ULL << 30)
#define RAMDISK_B      (1ULL << 30)
#define WORLD_READY_MS 60000
#define WORLD_END_MS   15000
#define WORLD_DIR      LAB_DATA "/world"
#define WORLD_READY    WORLD_DIR "/ready"
#define IMAGE          LAB_DATA "/volume.img"
#define RAM_IMAGE      LAB_DATA "/ramdisk.img"

static void tell(const struct lab_report *r, bool changed, const char *step, const char *text)
{
    if (r)
        r->step(r->arg, changed, step, text);
}

static struct err *is_this_boot(struct ctx *ctx, const struct lab_state *s, bool *ret)
{
    AUTO(freep) char *boot = NULL;

    TRY(fsroot_read_line(ctx->root, "/proc/sys/kernel/random/boot_id", &boot));
    *ret = str_eq(boot, s->boot_id);
    return NULL;
}

struct err *lab_read(struct ctx *ctx, struct lab_state *ret)
{
    AUTO(lab_state_clear) struct lab_state s = {0};
    bool now = false;
    struct err *e = lab_state_read(ctx, &s);

    if (e && e->kind != ERR_NOTFOUND)
        return e;
    if (!e)
        TRY(is_this_boot(ctx, &s, &now));
    err_free(e);
    if (!now || !s.complete)
        return err_new(ERR_NOTFOUND, "no lab is up; make one with 'agavectl lab up'");
    *ret = s;
    s = (struct lab_state){0};
    return NULL;
}

/* A sparse image on a loop device. */
static struct err *make_loop(struct ctx *ctx, const char *image, uint64_t size_b, char **ret_dev)
{
    struct loop_opts opts = {.direct_io = true};
    AUTO(closep) int fd = -1;

    TRY(fsroot_openat(ctx->root, image, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, &fd));
    if (ftruncate(fd, (off_t)size_b) < 0)
        return err_sys(errno, "cannot make '%s' %" PRIu64 " bytes long", image, size_b);
    return loop_attach(image, &opts, ret_dev);
}

/* The zram devices of this machine, as "zram0 zram1 ". */
static struct err *zram_names(struct ctx *ctx, char **ret)
{
    AUTO(strlist_clear) struct strlist names = {0};
    AUTO(strbuf_clear) struct strbuf b = {0};

    TRY(fsroot_list(ctx->root, "/sys/block", &names));
    for (size_t i = 0; i < names.n; i++)
        if (str_starts(names.items[i], "zram"))
            strbuf_printf(&b, "%s ", names.items[i]);
    *ret = strbuf_take(&b);
    return NULL;
}

static struct err *make_disks(struct ctx *ctx, const struct lab_opts *opts, struct lab_state *s,
                              const struct lab_report *report)
{
    uint64_t ram_b = opts->ramdisk_b ? opts->ramdisk_b : RAMDISK_B;
    char text[160], size[32];

    s->image = xstrdup(IMAGE);
    TRY(make_loop(ctx, IMAGE, opts->volume_b ? opts->volume_b : VOLUME_B, &s->volume));
    TRY(lab_state_write(ctx, s));
    snprintf(text, sizeof(text), "%s, a blank disk of %s", s->volume,
             fmt_size(opts->volume_b ? opts->volume_b : VOLUME_B, size, sizeof(size)));
    tell(report, true, "volume", text);

    s->ramdisk_is_loop = !zram_available(ctx);
    s->ramdisk_b = ram_b;
    if (!s->ramdisk_is_loop)
        TRY(zram_names(ctx, &s->zram_before));
    TRY(lab_state_write(ctx, s));
    if (s->ramdisk_is_loop)
        TRY(make_loop(ctx, RAM_IMAGE, ram_b, &s->ramdisk));
    else
        TRY(zram_add(ctx, ram_b, &s->ramdisk));
    TRY(lab_state_write(ctx, s));
    snprintf(text, sizeof(text), "%s, a blank %s of %s", s->ramdisk,
             s->ramdisk_is_loop ? "disk (no zram in this kernel)" : "disk in memory",
             fmt_size(ram_b, size, sizeof(size)));
    tell(report, true, "ramdisk", text);
    return NULL;
}

static struct err *world_ready(struct ctx *ctx, void *arg, bool *ret_done)
{
    const struct lab_state *s = arg;
    struct stat st;
    uint32_t left = 0;
    struct err *e = fsroot_stat(ctx->root, WORLD_READY, &st);

    *ret_done = !e;
    if (!e || e->kind != ERR_NOTFOUND)
        return e;
    err_free(e);
    TRY(pids_threads_left(ctx, s->world_pid, s->world_start, &left));
    if (left == 0)
        return err_new(ERR_REMOTE,
                       "the lab's world ended at once; its log is '" LAB_DATA "/world.log'");
    return NULL;
}

static struct err *start_world(struct ctx *ctx, const struct lab_opts *opts, struct lab_state *s)
{
    AUTO(strlist_clear) struct strlist argv = {0};
    AUTO(strlist_clear) struct strlist env = {0};
    struct proc_daemon_spec spec = {.path = LAB_BIN "/agavectl-lab-world",
                                    .log = LAB_DATA "/world.log",
                                    .uid = LAB_UID,
                                    .gid = LAB_UID};
    struct stat st;

    TRY(fsroot_mkdirs(ctx->root, WORLD_DIR, 0755));
    if (chown(WORLD_DIR, LAB_UID, LAB_UID) < 0)
        return err_sys(errno, "cannot give '" WORLD_DIR "' to the lab's user");
    strlist_add(&argv, "agavectl-lab-world");
    strlist_addf(&argv, "--dir=%s", WORLD_DIR);
    strlist_add(&argv, "--bind=127.0.0.1");
    strlist_addf(&argv, "--gossip-port=%d", LAB_GOSSIP_PORT);
    strlist_addf(&argv, "--rpc-port=%d", LAB_RPC_PORT_1);
    strlist_addf(&argv, "--rpc-port=%d", LAB_RPC_PORT_2);
    strlist_addf(&argv, "--rpc-port=%d", LAB_RPC_PORT_3);
    strlist_addf(&argv, "--repair-port=%d", LAB_REPAIR_PORT);
    strlist_addf(&argv, "--tvu=127.0.0.1:%d", LAB_VAL_TVU);
    strlist_addf(&argv, "--seed=%" PRIu64, s->seed);
    strlist_addf(&argv, "--time-scale=%" PRIu64, s->time_scale);
    strlist_addf(&argv, "--nodes=%" PRIu64, opts->nodes);
    strlist_addf(&argv, "--members=%" PRIu64, opts->members);
    strlist_addf(&argv, "--ready-file=%s", WORLD_READY);
    strlist_add(&env, "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
    if (stat(LAB_ROCKSDB, &st) == 0)
        strlist_add(&env, "AGAVECTL_ROCKSDB=" LAB_ROCKSDB);
    spec.argv = (const char *const *)argv.items;
    spec.env = (const char *const *)env.items;
    TRY_CTX(lab_ns_spawn(ctx, &spec, &s->world_pid), "cannot start the lab's world");
    TRY(pid_start(ctx, s->world_pid, &s->world_start));
    TRY(lab_state_write(ctx, s));
    return wait_until(ctx, "the lab's world", WORLD_READY_MS, 50, world_ready, s);
}

static struct err *make_all(struct ctx *ctx, const struct lab_opts *opts, struct lab_state *s,
                            const struct lab_report *report)
{
    char text[160];
    bool changed;

    TRY(fsroot_mkdirs(ctx->root, LAB_DIR, 0755));
    TRY(fsroot_mkdirs(ctx->root, LAB_DATA, 0755));
    TRY(fsroot_read_line(ctx->root, "/proc/sys/kernel/random/boot_id", &s->boot_id));
    TRY(lab_state_write(ctx, s));
    TRY(lab_copy_programs(ctx, opts));
    TRY(make_disks(ctx, opts, s, report));
    TRY(lab_ns_make(ctx, &changed));
    TRY(lab_ns_mount_srv(ctx));
    tell(report, true, "namespaces", "mounts and network of its own in " LAB_NS);
    TRY(lab_write_files(ctx, opts, s));
    tell(report, true, "config", LAB_CONFIG);
    TRY(start_world(ctx, opts, s));
    snprintf(text, sizeof(text),
             "process %d: leader, entrypoint and RPC on 127.0.0.1:%d, :%d and :%d, time x%" PRIu64,
             s->world_pid, LAB_RPC_PORT_1, LAB_RPC_PORT_2, LAB_RPC_PORT_3, s->time_scale);
    tell(report, true, "world", text);
    s->complete = true;
    return lab_state_write(ctx, s);
}

/* A lab is whole when up came to its end, the machine has not been started since, and its world
 * lives. */
static struct err *is_whole(struct ctx *ctx, const struct lab_state *s, bool *ret)
{
    uint32_t left = 0;
    bool now;

    *ret = false;
    TRY(is_this_boot(ctx, s, &now));
    if (!now || !s->complete)
        return NULL;
    TRY(pids_threads_left(ctx, s->world_pid, s->world_start, &left));
    *ret = left > 0;
    return NULL;
}

/* More nodes for a world that is there. */
static struct err *grow(struct ctx *ctx, uint64_t nodes, const struct lab_report *report,
                        bool *ret_changed)
{
    char text[64];

    if (nodes == 0)
        return NULL;
    TRY(lab_world_grow(ctx, nodes, ret_changed));
    snprintf(text, sizeof(text), "%" PRIu64 " RPC nodes beside the first three", nodes);
    tell(report, *ret_changed, "nodes", text);
    return NULL;
}

struct err *lab_up(struct ctx *ctx, const struct lab_opts *opts, const struct lab_report *report,
                   bool *ret_changed)
{
    AUTO(lab_state_clear) struct lab_state s = {0};
    AUTO(lab_state_clear) struct lab_state fresh = {0};
    bool whole = false, ignored;
    struct err *e = lab_state_read(ctx, &s);

    if (!e)
        TRY(is_whole(ctx, &s, &whole));
    else if (e->kind != ERR_NOTFOUND)
        return e;
    err_free(e);
    *ret_changed = !whole;
    if (whole) {
        tell(report, false, "lab", "up, with its world at work");
        return grow(ctx, opts->nodes, report, ret_changed);
    }
    TRY_CTX(lab_down(ctx, NULL, &ignored), "an older lab is in the way");
    fresh.seed = opts->seed;
    fresh.time_scale = opts->time_scale ? opts->time_scale : 1;
    e = make_all(ctx, opts, &fresh, report);
    if (!e)
        return NULL;
    struct ctx calm = *ctx; /* an interrupt ended the making, and must not end the clearing up */
    calm.cancelled = NULL;
    struct err *left = lab_down(&calm, NULL, &ignored);
    if (left)
        e = err_hint(e, "and it could not be taken away again: %s", left->text);
    err_free(left);
    return e;
}

static struct err *world_gone(struct ctx *ctx, void *arg, bool *ret_done)
{
    const struct lab_state *s = arg;
    uint32_t left = 0;

    TRY(pids_threads_left(ctx, s->world_pid, s->world_start, &left));
    *ret_done = left == 0;
    return NULL;
}

/* The world is ours and keeps nothing that matters: after a fair wait it may be killed. */
static struct err *end_world(struct ctx *ctx, const struct lab_state *s)
{
    struct pid_id id = {.pid = s->world_pid, .start = s->world_start};
    static const int signals[] = {SIGTERM, SIGKILL};

    if (s->world_pid == 0)
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        struct err *e = pid_signal(ctx, id, signals[i]);

        if (e && e->kind == ERR_NOTFOUND)
            return err_free(e);
        if (e)
            return e;
        e = wait_until(ctx, "the end of the lab's world", WORLD_END_MS, 20, world_gone,
                       (void *)(uintptr_t)s);
        if (!e || e->kind != ERR_TIMEOUT || i + 1 == ARRAY_LEN(signals))
            return e;
        err_free(e);
    }
    return NULL;
}

static struct err *remove_disk(struct ctx *ctx, const char *dev, bool is_loop)
{
    struct err *e;

    if (!dev || !*dev)
        return NULL;
    e = is_loop ? loop_detach(ctx, dev) : zram_remove(ctx, dev);
    return e && e->kind == ERR_NOTFOUND ? err_free(e) : e;
}

/* Was it made by an up that was killed before it could note it? One that is new since then, has our
 * size or none yet, and in which nothing was ever written; whoever it is, nothing can be lost. */
static struct err *is_unnoted_zram(struct ctx *ctx, const struct lab_state *s, const char *name,
                                   bool *ret)
{
    AUTO(freep) char *word = xasprintf("%s ", name);
    AUTO(freep) char *size_path = xasprintf("/sys/block/%s/disksize", name);
    AUTO(freep) char *use_path = xasprintf("/sys/block/%s/mm_stat", name);
    AUTO(freep) char *use = NULL;
    uint64_t size_b = 0, used_b = 0;
    const char *at = s->zram_before;

    *ret = false;
    while ((at = strstr(at, word)) && at != s->zram_before && at[-1] != ' ')
        at++;
    if (at || !str_starts(name, "zram"))
        return NULL;
    TRY(fsroot_read_u64(ctx->root, size_path, &size_b));
    TRY(fsroot_read_line(ctx->root, use_path, &use));
    *ret = (size_b == 0 || size_b == s->ramdisk_b) && sscanf(use, "%" SCNu64, &used_b) == 1 &&
           used_b == 0;
    return NULL;
}

static struct err *remove_unnoted_zram(struct ctx *ctx, const struct lab_state *s)
{
    AUTO(strlist_clear) struct strlist names = {0};

    if ((s->ramdisk && *s->ramdisk) || !s->zram_before || s->ramdisk_is_loop)
        return NULL;
    TRY(fsroot_list(ctx->root, "/sys/block", &names));
    for (size_t i = 0; i < names.n; i++) {
        AUTO(freep) char *dev = xasprintf("/dev/%s", names.items[i]);
        bool ours = false;
        struct err *e = is_unnoted_zram(ctx, s, names.items[i], &ours);

        if (!e && ours)
            e = zram_remove(ctx, dev);
        if (e && (e->kind == ERR_NOTFOUND || e->kind == ERR_REFUSED))
            e = err_free(e); /* went away meanwhile, or somebody uses it: not ours */
        TRY(e);
    }
    return NULL;
}

/* Also those that an up was killed before it could note. */
static struct err *detach_image(struct ctx *ctx, const char *image)
{
    AUTO(strlist_clear) struct strlist devices = {0};
    struct err *e = loop_find(ctx, image, &devices);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    for (size_t i = 0; i < devices.n; i++)
        TRY(remove_disk(ctx, devices.items[i], true));
    return NULL;
}

/* A world that an up was killed before it could note: by its program, in the lab's namespaces. */
static struct err *find_world(struct ctx *ctx, struct lab_state *s)
{
    struct pids_match match = {.exe = LAB_BIN "/agavectl-lab-world"};
    AUTO(pids_clear) struct pids found = {0};
    struct stat st;

    struct err *e = fsroot_stat(ctx->root, LAB_NS_MNT, &st);
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    TRY(pids_find(ctx, &match, &found));
    for (size_t i = 0; i < found.n && s->world_pid == 0; i++) {
        if (found.items[i].ns_mnt != st.st_ino)
            continue;
        s->world_pid = found.items[i].id.pid;
        s->world_start = found.items[i].id.start;
    }
    return NULL;
}

/* What this boot's lab has in the kernel. */
static struct err *take_down(struct ctx *ctx, struct lab_state *s, const struct lab_report *report)
{
    AUTO(freep) char *users = NULL;

    TRY(drill_thaw(ctx)); /* of a drill that was killed: an unmount would wait for it */
    if (s->world_pid == 0)
        TRY(find_world(ctx, s));
    TRY(end_world(ctx, s));
    tell(report, true, "world", "ended");
    TRY(lab_ns_users(ctx, &users));
    if (users)
        return err_new(ERR_REFUSED,
                       "still in the lab: %s; end it first (a validator with 'agavectl stop')",
                       users);
    TRY(lab_ns_umount_srv(ctx));
    TRY(lab_ns_remove(ctx));
    tell(report, true, "namespaces", "removed, with their mounts");
    TRY(remove_disk(ctx, s->ramdisk, s->ramdisk_is_loop));
    TRY(remove_unnoted_zram(ctx, s));
    TRY(remove_disk(ctx, s->volume, true));
    TRY(detach_image(ctx, IMAGE));
    TRY(detach_image(ctx, RAM_IMAGE));
    tell(report, true, "disks", "detached");
    return NULL;
}

/* Folders that the lab may have made around its own; others' content keeps them. */
static struct err *remove_if_empty(struct ctx *ctx, const char *dir)
{
    struct err *e = fsroot_rmdir(ctx->root, dir);

    return e && e->kind == ERR_SYS && (e->sys == ENOTEMPTY || e->sys == EBUSY) ? err_free(e) : e;
}

struct err *lab_down(struct ctx *ctx, const struct lab_report *report, bool *ret_changed)
{
    AUTO(lab_state_clear) struct lab_state s = {0};
    struct err *e = lab_state_read(ctx, &s);
    bool now = false;
    struct stat st;

    if (e && e->kind != ERR_NOTFOUND)
        return e;
    *ret_changed = !e;
    err_free(e);
    if (*ret_changed) {
        TRY(is_this_boot(ctx, &s, &now));
        if (now)
            TRY(take_down(ctx, &s, report));
    } else {
        e = fsroot_stat(ctx->root, LAB_DATA, &st);
        *ret_changed = !e;
        err_free(e);
    }
    /* The state goes last: until then a second try finds its way. */
    TRY(lab_remove_tree(ctx, LAB_DATA));
    TRY(lab_remove_tree(ctx, LAB_DIR));
    TRY(remove_if_empty(ctx, "/var/lib/agavectl"));
    TRY(remove_if_empty(ctx, "/run/agavectl"));
    if (*ret_changed)
        tell(report, true, "files", "removed");
    return NULL;
}
