/* usage: test_property [--both]
 *
 * The property that holds for every stage with a plan; see property.h. */
#include "property.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/str.h"
#include "flow/change.h"
#include "flow/op.h"
#include "flow/prepare.h"
#include "flow/undo.h"
#include "flow/unit_state.h"
#include "host/loop.h"
#include "host/mounts.h"
#include "host/own_block.h"
#include "host/own_file.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "io/proc.h"
#include "stage/engine.h"

#define JOURNALS "/aside/op"
#define DEPTH    32

static struct real *real; /* NULL: not on this machine */
static bool both;         /* after each kill: gone on with, and taken back */

/* No validator runs on these hosts. */
struct err *__wrap_unit_look(struct ctx *ctx, const struct unit_config *u, bool *ret_there);
struct err *__wrap_unit_look(struct ctx *ctx, const struct unit_config *u, bool *ret_there)
{
    *ret_there = false;
    return NULL;
}

/* --- beds --- */

char *bed_path(const struct bed *b, const char *path)
{
    return xasprintf("%s%s", b->real ? b->dir : "", path);
}

const char *bed_loop(struct bed *b, size_t at, unsigned long long size_b)
{
    AUTO(freep) char *name = xasprintf("property.%zu", at);

    assert_true(b->real && at < ARRAY_LEN(b->device) && !b->device[at]);
    b->device[at] = real_loop(b->real, name, size_b);
    return b->device[at];
}

void bed_config(struct bed *b, const char *fmt, ...)
{
    AUTO(strbuf_clear) struct strbuf yaml = {0};
    va_list ap;

    va_start(ap, fmt);
    AUTO(freep) char *text = xvasprintf(fmt, ap);
    va_end(ap);
    for (const char *p = text; *p; p++)
        if (*p == '@')
            strbuf_puts(&yaml, b->real ? b->dir : "");
        else
            strbuf_add(&yaml, p, 1);
    const char *top = b->real ? b->real->dir : "";
    strbuf_printf(&yaml, "\njournal_dir: %s" JOURNALS "\nstate_dir: %s/aside/state\n", top, top);
    b->cfg = config_free(b->cfg);
    assert_ok(config_parse(strbuf_text(&yaml), yaml.len, "test", &b->cfg));
    b->ctx.cfg = b->cfg;
}

static void new_tree(struct bed *b)
{
    fixture_new(&b->tree);
    b->ctx = b->tree.ctx;
    b->dir = xstrdup(b->tree.dir);
    fixture_put(&b->tree, "/proc/sys/kernel/random/boot_id",
                "aaaaaaaa-0000-0000-0000-000000000000\n");
    fixture_put(&b->tree, "/proc/self/mountinfo", "27 1 254:0 / / rw - ext4 /dev/vda rw\n");
    fixture_dir(&b->tree, "/aside");
}

static struct bed bed_new(const struct row *row)
{
    struct bed b = {0};

    if (row->real) {
        b.real = real;
        b.ctx = real->ctx;
        b.dir = real_dir(real, "host");
        AUTO(freep) char *aside = real_dir(real, "aside");
    } else {
        new_tree(&b);
    }
    b.ctx.clock = &clock_system;
    if (!b.ctx.proc)
        b.ctx.proc = &proc_system;
    row->break_it(&b);
    assert_non_null(b.cfg);
    return b;
}

static void bed_clear(struct bed *b)
{
    if (b->real) {
        AUTO(freep) char *aside = real_path(real, "aside");

        real_umount_all(b->real);
        for (size_t i = 0; i < ARRAY_LEN(b->device); i++)
            if (b->device[i])
                assert_ok(loop_detach(&b->ctx, b->device[i]));
        remove_tree(b->dir);
        remove_tree(aside);
    } else {
        fixture_clear(&b->tree);
    }
    for (size_t i = 0; i < ARRAY_LEN(b->device); i++)
        free(b->device[i]);
    free(b->dir);
    b->cfg = config_free(b->cfg);
}

/* --- what is compared --- */

static uint64_t sum_of(const char *path)
{
    uint64_t sum = 1469598103934665603ULL; /* FNV-1a */
    AUTO(closep) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    uint8_t part[4096];
    ssize_t n;

    assert_true(fd >= 0);
    while ((n = read(fd, part, sizeof(part))) > 0)
        for (ssize_t i = 0; i < n; i++)
            sum = (sum ^ part[i]) * 1099511628211ULL;
    assert_int_equal(n, 0);
    return sum;
}

static void add_entry(struct strlist *to, const char *top, const char *path, int depth);

static void add_folder(struct strlist *to, const char *top, const char *path, int depth)
{
    DIR *d = opendir(path);

    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        AUTO(freep) char *below = xasprintf("%s/%s", path, e->d_name);

        if (str_eq(e->d_name, ".") || str_eq(e->d_name, "..") ||
            str_eq(below + strlen(top), "/aside"))
            continue;
        add_entry(to, top, below, depth - 1);
    }
    closedir(d);
}

static void add_entry(struct strlist *to, const char *top, const char *path, int depth)
{
    char target[256] = "";
    struct stat st;

    assert_true(depth > 0);
    assert_int_equal(lstat(path, &st), 0);
    if (S_ISLNK(st.st_mode))
        assert_true(readlink(path, target, sizeof(target) - 1) > 0);
    strlist_addf(to, "%s: %07o %u:%u %llx%s\n", path + strlen(top), st.st_mode, st.st_uid,
                 st.st_gid, S_ISREG(st.st_mode) ? (unsigned long long)sum_of(path) : 0, target);
    if (S_ISDIR(st.st_mode))
        add_folder(to, top, path, depth);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Files with owners, modes and content, and mounts with what they pass on. */
static char *state_of(struct bed *b)
{
    AUTO(strlist_clear) struct strlist all = {0};
    AUTO(strbuf_clear) struct strbuf text = {0};
    AUTO(mounts_clear) struct mounts m = {0};

    add_entry(&all, b->dir, b->dir, DEPTH);
    qsort(all.items, all.n, sizeof(*all.items), by_bytes);
    for (size_t i = 0; i < all.n; i++)
        strbuf_puts(&text, all.items[i]);
    if (!b->real)
        return strbuf_take(&text);
    assert_ok(mounts_read(&b->ctx, &m));
    for (size_t i = 0; i < m.n; i++)
        if (str_starts(m.items[i].target, b->dir))
            strbuf_printf(&text, "%s: %s of %s, %s, %s\n", m.items[i].target, m.items[i].fstype,
                          m.items[i].source, mount_propagation(&m.items[i]), m.items[i].options);
    return strbuf_take(&text);
}

/* The lines of a that b has not. */
static void print_missing(const char *a, const char *b, char sign)
{
    AUTO(freep) char *copy = xstrdup(a);
    char *save = NULL;

    for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
        if (!strstr(b, l))
            print_error("%c %s\n", sign, l);
}

static void same_state(struct bed *b, const struct row *row, const char *where, const char *want)
{
    AUTO(freep) char *got = state_of(b);

    if (str_eq(got, want))
        return;
    print_missing(want, got, '-');
    print_missing(got, want, '+');
    fail_msg("%s, %s: the host is not as before", row->name, where);
}

/* --- the property --- */

static struct err *prepare(struct bed *b, const struct row *row)
{
    struct prepare_opts opts = {.stages = row->stages, .adopt = row->adopt};
    struct flow_result r;

    return flow_prepare(&b->ctx, &opts, NULL, &r);
}

static void is_clean(struct bed *b, const struct row *row)
{
    for (size_t i = 0; row->stages[i]; i++) {
        const struct stage *s = stage_by_name(stage_table, row->stages[i]);
        AUTO(findings_clear) struct findings f = {0};
        AUTO(scene_freep) struct scene *scene = scene_new();

        assert_ok(s->check(&b->ctx, scene, &f));
        for (size_t k = 0; k < f.n; k++)
            if (f.items[k].sev >= SEV_FAIL)
                fail_msg("%s: %s: %s", row->name, f.items[k].id, f.items[k].what);
    }
}

/* How many changes would be made. */
static size_t planned(struct bed *b, const struct row *row)
{
    struct prepare_opts opts = {.stages = row->stages, .adopt = row->adopt};
    AUTO(flow_plan_clear) struct flow_plan p = {0};
    size_t n = 0;

    assert_ok(flow_plan_make(&b->ctx, &prepare_flow, &opts, &p));
    for (size_t i = 0; i < p.n; i++)
        n += !p.items[i].step->looks;
    return n;
}

static bool is_expected(const struct row *row, const char *kept)
{
    for (size_t i = 0; row->kept && row->kept[i]; i++)
        if (strstr(kept, row->kept[i]))
            return true;
    return false;
}

/* all: everything that may be kept must be. */
static void undo(struct bed *b, const struct row *row, const char *where, bool all)
{
    AUTO(strlist_clear) struct strlist kept = {0};
    struct flow_result r;
    size_t n = 0;
    struct err *e = flow_undo(&b->ctx, NULL, NULL, &r, &kept);

    if (e)
        print_error("%s, %s\n", row->name, where);
    assert_ok(e);
    for (size_t i = 0; i < kept.n; i++)
        if (!is_expected(row, kept.items[i]))
            fail_msg("%s, %s: kept: %s", row->name, where, kept.items[i]);
    while (row->kept && row->kept[n])
        n++;
    if (all && kept.n != n)
        fail_msg("%s, %s: %zu things are kept", row->name, where, kept.n);
}

/* What the plan shows of a change is what is there afterwards. */
static size_t is_as_shown(struct bed *b, const struct row *row, const struct json *data)
{
    AUTO(change_clear) struct change c = {0};
    AUTO(freep) char *got = NULL;
    AUTO(freep) char *want = NULL;
    const struct stage *s;
    size_t n = 0;

    assert_ok(change_from_json(data, &s, &c));
    if (str_starts(c.object, "/etc/") && c.kind != CHANGE_DELETE && !c.writes)
        fail_msg("%s: what is written to '%s' is not shown", row->name, c.object);
    if (c.writes == WRITES_NOTHING)
        return 0;
    if (c.writes == WRITES_LINK)
        assert_ok(fsroot_readlink(b->ctx.root, c.object, &got));
    else
        assert_ok(fsroot_read(b->ctx.root, c.object, 1 << 20, &got, &n));
    want = c.writes == WRITES_FILE    ? own_file_bytes(c.arg)
           : c.writes == WRITES_BLOCK ? xasprintf("%s\n%s%s", OWN_BLOCK_BEGIN, c.arg, OWN_BLOCK_END)
                                      : xstrdup(c.arg);
    if (c.writes == WRITES_BLOCK ? !strstr(got, want) : !str_eq(got, want))
        fail_msg("%s: '%s' is not what was shown:\n%s\nbut\n%s", row->name, c.object, want, got);
    return 1;
}

static void are_as_shown(struct bed *b, const struct row *row, const struct flow_plan *p)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n; i++)
        if (!p->items[i].step->looks)
            n += is_as_shown(b, row, p->items[i].data);
    if (!row->real && n == 0)
        fail_msg("%s: its plan shows no file", row->name);
}

static bool can_run(const struct row *row)
{
    return real || !row->real;
}

static void there_and_back(void **state)
{
    for (size_t i = 0; rows[i]; i++) {
        const struct row *row = rows[i];

        if (!can_run(row))
            continue;
        AUTO(bed_clear) struct bed b = bed_new(row);
        AUTO(freep) char *before = state_of(&b);
        struct flow_result r;

        if (planned(&b, row) == 0)
            fail_msg("%s: there is no fault in it", row->name);
        same_state(&b, row, "planned", before);
        AUTO(flow_plan_clear) struct flow_plan p = {0};
        struct prepare_opts opts = {.stages = row->stages, .adopt = row->adopt};
        assert_ok(flow_plan_make(&b.ctx, &prepare_flow, &opts, &p));
        struct err *e = prepare(&b, row);
        if (e)
            print_error("%s\n", row->name);
        assert_ok(e);
        are_as_shown(&b, row, &p);
        is_clean(&b, row);
        assert_int_equal(planned(&b, row), 0);
        undo(&b, row, "undone", true);
        same_state(&b, row, "undone", before);
        assert_ok(flow_undo(&b.ctx, NULL, NULL, &r, NULL));
        assert_int_equal(r.changed, 0);
        same_state(&b, row, "undone twice", before);
    }
}

/* What would do harm alone goes with what it needs, and the plan says so. */
static void a_stage_takes_with_it_what_needs_it(void **state)
{
    static const struct {
        const char *row, *asked, *with; /* with: whose change the plan names, or NULL */
    } cases[] = {
        {"fstab", "fstab", "units"},       {"fstab", "units", "fstab"},
        {"adopt", "fstab", "adopt"},       {"adopt", "units", "adopt"},
        {"adopt_tmpfs", "units", "adopt"}, {"adopt_tmpfs", "fstab", "adopt"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *const only[] = {cases[i].asked, NULL};
        const struct undo_opts opts = {.stages = only};
        const struct row *row = NULL;
        struct flow_result r;
        bool named = false;

        for (size_t k = 0; rows[k]; k++)
            row = str_eq(rows[k]->name, cases[i].row) ? rows[k] : row;
        assert_non_null(row);
        AUTO(bed_clear) struct bed b = bed_new(row);
        AUTO(flow_plan_clear) struct flow_plan p = {0};
        AUTO(freep) char *before = state_of(&b);
        assert_ok(prepare(&b, row));
        assert_ok(flow_plan_make(&b.ctx, &undo_flow, &opts, &p));
        for (size_t k = 0; k < p.n; k++)
            named = named || (str_eq(p.items[k].title, cases[i].with) &&
                              strstr(p.items[k].what, "goes with stage '"));
        assert_true(named);
        assert_ok(flow_undo(&b.ctx, &opts, NULL, &r, NULL));
        same_state(&b, row, cases[i].asked, before);
    }
}

/* --- killed --- */

#ifdef AGAVECTL_FAULTS
/* False: there is no such pass of that point. */
static bool killed_at(struct bed *b, const struct row *row, const char *armed)
{
    int status = 0;

    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        setenv("AGAVECTL_FAULT", armed, 1);
        struct err *e = prepare(b, row);
        if (e)
            fprintf(stderr, "# %s, %s: %s\n", row->name, armed, e->text);
        _exit(e ? 1 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status))
        return true;
    if (WEXITSTATUS(status) != 0)
        fail_msg("%s, %s: it neither ended well nor was killed", row->name, armed);
    return false;
}

/* It goes on, or says in one sentence how it would. */
static void go_on(struct bed *b, const struct row *row, const char *armed)
{
    struct err *e = prepare(b, row);

    if (!e) {
        is_clean(b, row);
        assert_int_equal(planned(b, row), 0);
        return;
    }
    if (e->kind != ERR_REFUSED || !strstr(e->text, "agavectl op "))
        fail_msg("%s, %s: %s", row->name, armed, e->text);
    err_free(e);
}

static bool kill_at(const struct row *row, const char *armed, bool goes_on)
{
    AUTO(bed_clear) struct bed b = bed_new(row);
    AUTO(freep) char *before = state_of(&b);

    if (!killed_at(&b, row, armed))
        return false;
    if (goes_on)
        go_on(&b, row, armed);
    undo(&b, row, armed, false);
    same_state(&b, row, armed, before);
    return true;
}

static void killed_between_changes(void **state)
{
    static const char *const points[] = {"noted", "acted", "entered", "done"};
    size_t n_points = both ? ARRAY_LEN(points) : 2;

    for (size_t i = 0; rows[i]; i++) {
        unsigned kills = 0;

        for (size_t p = 0; can_run(rows[i]) && p < n_points; p++)
            for (int n = 1;; n++) {
                AUTO(freep) char *armed = xasprintf("%s:%d", points[p], n);

                /* the long suite does both everywhere */
                if (!kill_at(rows[i], armed, (size_t)n % 2 == p % 2))
                    break;
                if (both)
                    kill_at(rows[i], armed, (size_t)n % 2 != p % 2);
                kills += both ? 2 : 1;
            }
        if (can_run(rows[i]) && kills == 0)
            fail_msg("%s: it was never killed", rows[i]->name);
        print_message("# %s: killed %u times\n", rows[i]->name, kills);
    }
}
#endif

#ifdef AGAVECTL_FAULTS
/* How much of mkfs's work is on the device when everything stops: none, its first part (a
 * superblock without the rest), the rest without its first part, all. */
enum half { HALF_NONE, HALF_FIRST, HALF_REST, HALF_ALL, HALF_N };
static enum half half; /* of the child */

static void wipe(const char *dev, off_t from, off_t n)
{
    AUTO(freep) char *zeros = xcalloc(1, 1 << 20);
    int fd = open(dev, O_WRONLY | O_CLOEXEC);

    for (off_t at = from; fd >= 0 && at < from + n; at += 1 << 20)
        if (pwrite(fd, zeros, 1 << 20, at) != 1 << 20)
            break; /* its end */
    if (fd < 0 || fsync(fd) < 0 || close(fd) < 0)
        _exit(9);
}

static struct err *run_and_die(struct ctx *ctx, const struct proc_spec *spec,
                               struct proc_result *ret)
{
    const char *dev = NULL;

    for (size_t i = 0; spec->argv[i]; i++)
        dev = spec->argv[i];
    if (!strstr(spec->argv[0], "mkfs"))
        return proc_system.run(ctx, spec, ret);
    if (half != HALF_NONE)
        err_free(proc_system.run(ctx, spec, ret));
    if (half == HALF_FIRST)
        wipe(dev, 1 << 20, (off_t)1 << 30);
    if (half == HALF_REST)
        wipe(dev, 0, 1 << 20);
    raise(SIGKILL);
    return NULL;
}
static const struct proc_ops dying = {.run = run_and_die};

static void die_in_mkfs(struct bed *b, const struct row *row, enum half how)
{
    int status = 0;

    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        half = how;
        b->ctx.proc = &dying;
        err_free(prepare(b, row));
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFSIGNALED(status))
        fail_msg("%s: it was not killed in mkfs", row->name);
}

static void killed_in_mkfs(void **state)
{
    for (size_t i = 0; rows[i]; i++)
        for (int how = 0; how < 2 * HALF_N && can_run(rows[i]) && rows[i]->kept; how++) {
            AUTO(bed_clear) struct bed b = bed_new(rows[i]);
            AUTO(freep) char *before = state_of(&b);
            AUTO(freep) char *where = xasprintf("killed in mkfs, %d", how);

            die_in_mkfs(&b, rows[i], (enum half)(how / 2));
            if (how % 2)
                go_on(&b, rows[i], where);
            undo(&b, rows[i], where, false);
            same_state(&b, rows[i], where, before);
        }
}
#endif

/* One refusal that says why, in the plan already, and nothing is changed. */
static void refuses(struct bed *b, const struct row *row, struct err *e)
{
    if (!e || e->kind != ERR_REFUSED || !strstr(e->text, "'/etc' is read-only"))
        fail_msg("%s: /etc was read-only: %s", row->name, e ? e->text : "no word of it");
    err_free(e);
}

static void a_read_only_etc(void **state)
{
    for (size_t i = 0; rows[i]; i++) {
        if (rows[i]->real)
            continue;
        AUTO(bed_clear) struct bed b = bed_new(rows[i]);
        AUTO(freep) char *etc = fsroot_path(b.ctx.root, "/etc");
        AUTO(freep) char *before = state_of(&b);
        AUTO(flow_plan_clear) struct flow_plan p = {0};
        struct prepare_opts opts = {.stages = rows[i]->stages, .adopt = rows[i]->adopt};

        assert_int_equal(mount(etc, etc, NULL, MS_BIND, NULL), 0);
        assert_int_equal(mount(NULL, etc, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
        struct err *planned_e = flow_plan_make(&b.ctx, &prepare_flow, &opts, &p);
        struct err *e = prepare(&b, rows[i]);
        assert_ok(mounts_umount(etc));
        refuses(&b, rows[i], planned_e);
        refuses(&b, rows[i], e);
        same_state(&b, rows[i], "/etc is read-only", before);
    }
}

static bool has_row(const struct stage *s)
{
    for (size_t i = 0; rows[i]; i++)
        if (str_eq(rows[i]->stages[0], s->name))
            return true;
    return false;
}

static void each_stage_with_a_plan_has_a_row(void **state)
{
    for (size_t i = 0; stage_table[i]; i++) {
        const struct stage *s = stage_table[i];

        if (s->plan && !has_row(s))
            fail_msg("stage '%s' has a plan and no row in rows.c", s->name);
        if (s->plan && (!s->undo_look || !s->undo))
            fail_msg("stage '%s' has a plan and no way back", s->name);
    }
}

int main(int argc, char **argv)
{
    static const char *const parts[] = {"block devices", "mounts", NULL};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_stage_with_a_plan_has_a_row),
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(a_stage_takes_with_it_what_needs_it),
        cmocka_unit_test(a_read_only_etc),
#ifdef AGAVECTL_FAULTS
        cmocka_unit_test(killed_between_changes),
        cmocka_unit_test(killed_in_mkfs),
#endif
    };

    both = argc > 1 && str_eq(argv[1], "--both");
    return real_main(real, parts, tests);
}
