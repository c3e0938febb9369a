/* The made-up host. Every effect is one line in /log, then a fault point, then its file: a process
 * that is killed between them leaves a half-done effect, which only the log knows. */
#include "world.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fault.h"
#include "base/str.h"
#include "fixture.h"
#include "flow/journal.h"
#include "flow/ports.h"
#include "flow/proof.h"
#include "flow/snapshot_get.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "look/status.h"
#include "look/unit_config.h"
#include "solana/admin.h"
#include "stage/stage.h"

#define JOURNALS "/var/lib/agavectl/op"
#define STOPS    "/run/agavectl/op"
#define BOOT_ID  "/proc/sys/kernel/random/boot_id"
#define PID      4242

static bool has(const struct ctx *ctx, const char *path)
{
    AUTO(freep) char *full = fsroot_path(ctx->root, path);

    return access(full, F_OK) == 0;
}

static void put_bytes(const struct ctx *ctx, const char *path, const void *data, size_t n,
                      int flags)
{
    AUTO(freep) char *full = fsroot_path(ctx->root, path);
    int fd = open(full, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);

    if (fd < 0 || write(fd, data, n) != (ssize_t)n || close(fd) != 0)
        abort(); /* not an assertion: children come here as well */
}

static void put(const struct ctx *ctx, const char *path, const char *text)
{
    put_bytes(ctx, path, text, strlen(text), O_TRUNC);
}

static void gone(const struct ctx *ctx, const char *path)
{
    AUTO(freep) char *full = fsroot_path(ctx->root, path);

    (void)unlink(full);
}

static void begin_effect(const struct ctx *ctx, const char *name)
{
    AUTO(freep) char *line = xasprintf("%s\n", name);

    put_bytes(ctx, "/log", line, strlen(line), O_APPEND);
    FAULT_AT("acting", name);
}

static void effect(const struct ctx *ctx, const char *name)
{
    AUTO(freep) char *path = xasprintf("/world/%s", name);

    begin_effect(ctx, name);
    put(ctx, path, "done");
}

/* --- storage: three stages --- */

static bool on(const struct ctx *ctx)
{
    return true;
}

static bool wipe_on(const struct ctx *ctx)
{
    return has(ctx, "/want-wipe");
}

static void need(const struct ctx *ctx, const char *name, struct findings *ret, const char *id)
{
    AUTO(freep) char *path = xasprintf("/world/%s", name);

    findings_add(ret, id, 4, has(ctx, path) ? SEV_OK : SEV_FAIL, "%s", name);
}

static bool fails(const struct findings *f, const char *id)
{
    const struct finding *x = findings_find(f, id);

    return x && x->sev == SEV_FAIL;
}

static struct err *apply(struct ctx *ctx, const struct change *c)
{
    effect(ctx, c->object);
    return NULL;
}

/* A format stays; everything else goes, what was made last first. */
static struct err *undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
{
    AUTO(freep) char *path = xasprintf("/world/%s", c->object);

    *ret = (struct undo_look){.verdict = UNDO_GONE};
    if (has(ctx, path))
        *ret = (struct undo_look){.verdict = str_eq(c->object, "format") ? UNDO_KEEP : UNDO_DO,
                                  .what = xstrdup(c->object)};
    return NULL;
}

static struct err *undo(struct ctx *ctx, const struct change *c)
{
    AUTO(freep) char *path = xasprintf("/world/%s", c->object);
    AUTO(freep) char *name = xasprintf("undo %s", c->object);

    begin_effect(ctx, name);
    if (has(ctx, "/world/process"))
        begin_effect(ctx, "VIOLATION: taken back under the validator");
    if (str_eq(c->object, "mount") && (has(ctx, "/world/make") || has(ctx, "/world/chown")))
        begin_effect(ctx, "VIOLATION: not the last one first");
    gone(ctx, path);
    return NULL;
}

static struct change *plan_one(struct plan *p, const char *object)
{
    return plan_add(p, CHANGE_CREATE, 1, object, NULL, "made");
}

static struct err *disk_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    need(ctx, "format", ret, "volume.fstype");
    need(ctx, "mount", ret, "volume.mount");
    return NULL;
}

/* Half of a format was seen there, which no plan would hold. */
static struct err *disk_cut_off(struct ctx *ctx, const struct change *c, bool *ret)
{
    *ret = str_eq(c->object, "format") && has(ctx, "/torn") && !has(ctx, "/world/format");
    return NULL;
}

static struct err *disk_plan(const struct ctx *ctx, const struct findings *f, struct plan *ret)
{
    if (has(ctx, "/torn") && fails(f, "volume.fstype"))
        return NULL;
    if (fails(f, "volume.fstype"))
        plan_undoable(plan_one(ret, "format"), NULL)->once = true;
    if (fails(f, "volume.mount"))
        plan_one(ret, "mount")->undoable = true;
    return NULL;
}

static struct err *wipe_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    need(ctx, "wipe", ret, "volume.users");
    return NULL;
}

static struct err *wipe_plan(const struct ctx *ctx, const struct findings *f, struct plan *ret)
{
    if (!fails(f, "volume.users"))
        return NULL;
    struct change *c = plan_one(ret, "wipe");
    c->once = c->destructive = true;
    return NULL;
}

/* The second change can be seen only when the first is made and the disk is mounted. */
static struct err *dirs_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    need(ctx, "make", ret, "dirs.ledger");
    if (has(ctx, "/world/make") && has(ctx, "/world/mount"))
        need(ctx, "chown", ret, "dirs.ledger.owner");
    return NULL;
}

static struct err *dirs_plan(const struct ctx *ctx, const struct findings *f, struct plan *ret)
{
    if (fails(f, "dirs.ledger"))
        plan_one(ret, "make")->undoable = true;
    if (fails(f, "dirs.ledger.owner"))
        plan_one(ret, "chown")->undoable = true;
    return NULL;
}

static const char *const after_disk[] = {"disk", NULL};
#define STAGE(n, ...)                                                                              \
    static const struct stage stage_##n = {.name = #n,                                             \
                                           .summary = "s",                                         \
                                           .layer = 4,                                             \
                                           .order_reason = "r",                                    \
                                           .gate = true,                                           \
                                           .check = n##_check,                                     \
                                           .plan = n##_plan,                                       \
                                           .apply = apply,                                         \
                                           .undo_look = undo_look,                                 \
                                           .undo = undo,                                           \
                                           __VA_ARGS__}
STAGE(disk, .enabled = on, .cut_off = disk_cut_off);
STAGE(wipe, .enabled = wipe_on);
STAGE(dirs, .enabled = on, .after = after_disk);
const struct stage *const stage_table[] = {&stage_disk, &stage_wipe, &stage_dirs, NULL};

/* --- the unit: /world/unit says whether it is wanted, /world/process is its process --- */

static bool wanted(const struct ctx *ctx)
{
    AUTO(freep) char *text = NULL;

    err_free(fsroot_read(ctx->root, "/world/unit", 64, &text, NULL));
    return str_eq(text, "wanted");
}

static struct err *fake_status(struct ctx *ctx, const struct unit *u, struct unit_status *ret)
{
    bool there = has(ctx, "/world/process");

    *ret = (struct unit_status){.age_s = UINT64_MAX};
    if (!has(ctx, "/world/unit"))
        ret->phase = PH_ABSENT;
    else if (wanted(ctx))
        ret->phase = there ? PH_RUNNING : PH_FAILED;
    else
        ret->phase = there ? PH_STOPPING : PH_STOPPED;
    return NULL;
}

static struct err *fake_start(struct ctx *ctx, const struct unit *u)
{
    if (has(ctx, "/world/process"))
        begin_effect(ctx, "VIOLATION: a second process");
    if (!has(ctx, "/world/mount"))
        begin_effect(ctx, "VIOLATION: started without its volume");
    put(ctx, "/world/unit", "wanted");
    effect(ctx, "process");
    return NULL;
}

static struct err *fake_stop_begin(struct ctx *ctx, const struct unit *u, uint32_t grace_s,
                                   const struct json *way, struct json **ret_undo)
{
    bool was = wanted(ctx);

    begin_effect(ctx, "hold");
    if (has(ctx, "/world/unit"))
        put(ctx, "/world/unit", "unwanted");
    *ret_undo = json_new_object();
    json_put(*ret_undo, "wanted", json_new_bool(was));
    return NULL;
}

static struct err *fake_stop_end(struct ctx *ctx, const struct unit *u, const struct json *undo)
{
    if (has(ctx, "/world/process"))
        begin_effect(ctx, "VIOLATION: ended before the process");
    if (!undo)
        begin_effect(ctx, "VIOLATION: what is to be undone is lost");
    put(ctx, "/world/ended", "");
    return NULL;
}

static struct err *fake_pids(struct ctx *ctx, const struct unit *u, pid_t **ret, size_t *ret_n)
{
    *ret = xcalloc(1, sizeof(**ret));
    **ret = PID;
    *ret_n = has(ctx, "/world/process");
    return NULL;
}

const struct runtime runtime_fake = {
    .name = "fake",
    .status = fake_status,
    .start = fake_start,
    .stop_begin = fake_stop_begin,
    .stop_end = fake_stop_end,
    .pids = fake_pids,
};
const struct unit world_unit = {
    .name = "fake", .ledger = "/ledger", .state_dir = "/run/agavectl", .ladder_s = 600};

/* --- what the flows call below themselves; the linker leads their calls here --- */

const struct runtime *__wrap_runtime_by_name(const char *name);
struct err *__wrap_unit_config_check(struct ctx *ctx, const struct unit_config *u);
struct err *__wrap_ports_check(struct ctx *ctx);
struct err *__wrap_snapshot_get(struct ctx *ctx, uint64_t tip, const struct flow_report *report,
                                bool *ret_changed, char **ret_summary);
struct err *__wrap_status_gather(struct ctx *ctx, const struct status_params *p,
                                 struct status *ret);
struct err *__wrap_admin_start_progress(struct ctx *ctx, const char *ledger, uint32_t timeout_ms,
                                        struct admin_progress *ret);
struct err *__wrap_admin_exit(struct ctx *ctx, const char *ledger, uint32_t timeout_ms);
struct err *__wrap_stop_prove(struct ctx *ctx, const struct runtime *rt, const struct unit *u,
                              struct stop_proof **ret);
struct stop_proof *__wrap_stop_proof_release(struct stop_proof *p);
struct err *__wrap_journal_list(struct ctx *ctx, const char *dir, struct strlist *ret);
struct err *__real_journal_list(struct ctx *ctx, const char *dir, struct strlist *ret);

const struct runtime *__wrap_runtime_by_name(const char *name)
{
    return &runtime_fake;
}

struct err *__wrap_unit_config_check(struct ctx *ctx, const struct unit_config *u)
{
    return NULL;
}

struct err *__wrap_ports_check(struct ctx *ctx)
{
    return NULL;
}

struct err *__wrap_snapshot_get(struct ctx *ctx, uint64_t tip, const struct flow_report *report,
                                bool *ret_changed, char **ret_summary)
{
    *ret_changed = !has(ctx, "/world/snapshot");
    if (*ret_changed)
        effect(ctx, "snapshot");
    *ret_summary = xstrdup("a snapshot");
    return NULL;
}

/* At the tip, and replaying; the slot is the time, so that it moves. */
struct err *__wrap_status_gather(struct ctx *ctx, const struct status_params *p, struct status *ret)
{
    *ret = (struct status){.health = HEALTH_OK, .tip = {true, 1000}, .gap = {true, 0}};
    ret->slots[RPC_PROCESSED] = (struct known_u64){true, clock_mono_ns(ctx)};
    ret->full_slot = (struct known_u64){has(ctx, "/world/snapshot"), 1000};
    return p->runtime ? fake_status(ctx, p->unit, &ret->unit) : NULL;
}

struct err *__wrap_admin_start_progress(struct ctx *ctx, const char *ledger, uint32_t timeout_ms,
                                        struct admin_progress *ret)
{
    *ret = (struct admin_progress){.phase = ADMIN_RUNNING};
    return has(ctx, "/world/process") ? NULL : err_new(ERR_NOTFOUND, "nobody listens");
}

struct err *__wrap_admin_exit(struct ctx *ctx, const char *ledger, uint32_t timeout_ms)
{
    if (wanted(ctx))
        begin_effect(ctx, "VIOLATION: asked while something would start it again");
    begin_effect(ctx, "exit");
    gone(ctx, "/world/process");
    return NULL;
}

struct err *__wrap_stop_prove(struct ctx *ctx, const struct runtime *rt, const struct unit *u,
                              struct stop_proof **ret)
{
    if (has(ctx, "/world/process"))
        return err_new(ERR_REFUSED, "process %d is left", PID);
    *ret = xcalloc(1, 1);
    return NULL;
}

struct stop_proof *__wrap_stop_proof_release(struct stop_proof *p)
{
    free(p);
    return NULL;
}

struct err *__wrap_journal_list(struct ctx *ctx, const char *dir, struct strlist *ret)
{
    while (str_eq(dir, JOURNALS) && has(ctx, "/hang"))
        pause();
    return __real_journal_list(ctx, dir, ret);
}

/* --- time: a wait costs nothing; the wall clock jumps at every look --- */

static uint64_t mono_ns = 1000000000, jumps;

static uint64_t fake_mono_ns(void)
{
    return mono_ns += 1000;
}

static uint64_t fake_wall_ms(void)
{
    static const uint64_t at[] = {1790000000000, 1000, 1790000000000, 4100000000000, 1789999990000};

    return at[jumps++ % ARRAY_LEN(at)];
}

static void fake_wait(uint64_t wait_ns, const volatile sig_atomic_t *cancelled)
{
    mono_ns += wait_ns;
}

static const struct clock_ops clock_fake = {
    .mono_ns = fake_mono_ns, .wall_ms = fake_wall_ms, .wait = fake_wait};

/* --- the folder --- */

static const char *const folders[] = {"/world", JOURNALS, STOPS, ""};

static void empty(const struct world *w, const char *folder)
{
    AUTO(freep) char *full = xasprintf("%s%s", w->dir, folder);
    DIR *d = opendir(full);

    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        (void)unlinkat(dirfd(d), e->d_name, 0); /* folders stay */
    closedir(d);
}

void world_new(struct world *w)
{
    static const char text[] = "state_dir: /run/agavectl\n"
                               "journal_dir: " JOURNALS "\n"
                               "cluster: {references: [\"http://127.0.0.1:1\"]}\n"
                               "validator: {ledger: /ledger}\n";
    char shm[] = "/dev/shm/agavectl-unit-XXXXXX", tmp[] = "/tmp/agavectl-unit-XXXXXX";
    const char *dir = mkdtemp(shm);

    if (!dir)
        dir = mkdtemp(tmp);
    assert_non_null(dir);
    *w = (struct world){.dir = xstrdup(dir), .ctx = {.clock = &clock_fake}};
    assert_ok(fsroot_open(dir, &w->ctx.root));
    assert_ok(config_parse(text, strlen(text), "test.yaml", &w->cfg));
    w->ctx.cfg = w->cfg;
    assert_ok(fsroot_mkdirs(w->ctx.root, "/proc/sys/kernel/random", 0755));
    assert_ok(fsroot_mkdirs(w->ctx.root, "/world", 0755));
    assert_ok(fsroot_mkdirs(w->ctx.root, "/var/lib/agavectl", 0755));
    assert_ok(fsroot_mkdirs(w->ctx.root, "/run/agavectl", 0755));
    assert_ok(fsroot_mkdirs(w->ctx.root, JOURNALS, 0700));
    assert_ok(fsroot_mkdirs(w->ctx.root, STOPS, 0700));
}

void world_clear(struct world *w)
{
    w->ctx.root = fsroot_close(w->ctx.root);
    w->cfg = config_free(w->cfg);
    remove_tree(w->dir);
    freep(&w->dir);
}

bool world_has(const struct world *w, const char *path)
{
    return has(&w->ctx, path);
}

void world_write(struct world *w, const char *path, const void *data, size_t n)
{
    put_bytes(&w->ctx, path, data, n, O_TRUNC);
}

void world_has_node(struct world *w, bool on)
{
    free(w->cfg->kind.node);
    w->cfg->kind.node = xstrdup(on ? "node" : "");
}

void world_reset(struct world *w)
{
    world_has_node(w, false);
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        empty(w, folders[i]);
    put(&w->ctx, BOOT_ID, "aaaaaaaa-0000-0000-0000-000000000000\n");
    put(&w->ctx, "/log", "");
}

void world_prepared(struct world *w, bool running)
{
    static const char *const all[] = {"/world/format", "/world/mount", "/world/make",
                                      "/world/chown"};

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        put(&w->ctx, all[i], "done");
    if (!running)
        return;
    put(&w->ctx, "/world/unit", "wanted");
    put(&w->ctx, "/world/process", "done");
}

void world_wants_wipe(struct world *w)
{
    put(&w->ctx, "/want-wipe", "");
}

void world_unwants_wipe(struct world *w)
{
    gone(&w->ctx, "/want-wipe");
}

void world_loses(struct world *w, const char *name)
{
    AUTO(freep) char *path = xasprintf("/world/%s", name);

    gone(&w->ctx, path);
}

void world_hangs(struct world *w, bool on)
{
    if (on)
        put(&w->ctx, "/hang", "");
    else
        gone(&w->ctx, "/hang");
}

void world_reboot(struct world *w)
{
    gone(&w->ctx, "/world/process");
    gone(&w->ctx, "/world/mount");
    put(&w->ctx, BOOT_ID, "bbbbbbbb-0000-0000-0000-000000000000\n");
}

bool world_unfinished(struct world *w, struct op *ret)
{
    AUTO(op_dirs_clear) struct op_dirs dirs = {0};
    bool found = false;

    op_dirs_get(&w->ctx, &dirs);
    assert_ok(op_unfinished(&w->ctx, &dirs, ret, &found));
    return found;
}

unsigned world_effects(const struct world *w, const char *name)
{
    AUTO(freep) char *text = NULL;
    unsigned n = 0;

    assert_ok(fsroot_read(w->ctx.root, "/log", 1 << 20, &text, NULL));
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
        n += str_starts(line, name);
    return n;
}

/* --- images --- */

struct image_file {
    char *path, *data;
    size_t n;
};
struct image {
    struct image_file *files;
    size_t n, cap;
};

static void save_file(struct image *i, const struct world *w, const char *path)
{
    struct image_file f = {.path = xstrdup(path)};
    struct stat st;

    assert_ok(fsroot_stat(w->ctx.root, path, &st));
    if (!S_ISREG(st.st_mode)) {
        free(f.path);
        return;
    }
    assert_ok(fsroot_read(w->ctx.root, path, 8 << 20, &f.data, &f.n));
    i->files = xgrow(i->files, &i->cap, i->n + 1, sizeof(*i->files));
    i->files[i->n++] = f;
}

struct image *world_save(const struct world *w)
{
    struct image *i = xcalloc(1, sizeof(*i));

    for (size_t k = 0; k < ARRAY_LEN(folders); k++) {
        AUTO(strlist_clear) struct strlist names = {0};

        assert_ok(fsroot_list(w->ctx.root, *folders[k] ? folders[k] : "/", &names));
        for (size_t f = 0; f < names.n; f++) {
            AUTO(freep) char *path = xasprintf("%s/%s", folders[k], names.items[f]);

            save_file(i, w, path);
        }
    }
    return i;
}

void world_restore(struct world *w, const struct image *i)
{
    for (size_t k = 0; k < ARRAY_LEN(folders); k++)
        empty(w, folders[k]);
    put(&w->ctx, BOOT_ID, "aaaaaaaa-0000-0000-0000-000000000000\n");
    for (size_t f = 0; f < i->n; f++)
        world_write(w, i->files[f].path, i->files[f].data, i->files[f].n);
}

struct image *image_free(struct image *i)
{
    for (size_t f = 0; i && f < i->n; f++) {
        free(i->files[f].path);
        free(i->files[f].data);
    }
    if (i)
        free(i->files);
    free(i);
    return NULL;
}

void image_freep(struct image **i)
{
    *i = image_free(*i);
}

const char *image_at(const struct image *i, size_t at, const char **ret_data, size_t *ret_n)
{
    if (at >= i->n)
        return NULL;
    *ret_data = i->files[at].data;
    *ret_n = i->files[at].n;
    return i->files[at].path;
}

char *world_text(const struct world *w)
{
    AUTO(image_freep) struct image *i = world_save(w);
    AUTO(strbuf_clear) struct strbuf b = {0};

    for (size_t f = 0; f < i->n; f++)
        if (str_starts(i->files[f].path, "/world/"))
            strbuf_printf(&b, "%s: %s\n", i->files[f].path, i->files[f].data);
    return strbuf_take(&b);
}
