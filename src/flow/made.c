/* made.json: one document, replaced as a whole whenever a note comes or goes. What is not
 * understood (the notes of a stage that a newer agavectl has) is kept as it is. Whether something
 * of a note is still there is asked of its stage, not here.
 *   {"schema_version": 1, "made": [{a change as in flow/change.h, "op": id, "at_s": 1790000000}]}
 */
#include "flow/made.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "flow/change.h"
#include "flow/journal.h"
#include "flow/op.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "stage/engine.h"

#define NAME    "made.json"
#define VERSION 1
#define MAX_B   (4u << 20)

void made_list_clear(struct made_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        change_clear(&l->items[i].change);
        free(l->items[i].op);
    }
    free(l->items);
    *l = (struct made_list){0};
}

/* Where it is; *ret_fd: the folder, ours alone. */
static struct err *open_place(struct ctx *ctx, bool make, char **ret_path, int *ret_fd)
{
    AUTO(op_dirs_clear) struct op_dirs dirs = {0};

    op_dirs_get(ctx, &dirs);
    TRY(journal_open_dir(ctx, dirs.journal, make, ret_fd));
    *ret_path = xasprintf("%s/%s", dirs.journal, NAME);
    return NULL;
}

/* Whoever else may write it could have anything removed. */
static struct err *ours_alone(int dir_fd, const char *path, bool *ret_there)
{
    struct stat st;

    *ret_there = fstatat(dir_fd, NAME, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (!*ret_there)
        return errno == ENOENT ? NULL : err_sys(errno, "cannot look at '%s'", path);
    if (!S_ISREG(st.st_mode))
        return err_new(ERR_REFUSED, "'%s' is no file: look yourself who put it there", path);
    if (st.st_uid != geteuid() || st.st_mode & 0022)
        return err_new(ERR_REFUSED,
                       "'%s' belongs to user %u with mode %04o: only the user that agavectl runs "
                       "as may write it; look at it, then chown and chmod it",
                       path, st.st_uid, st.st_mode & 07777);
    return NULL;
}

/* A note has at least what it is known by. */
static struct err *check_note(const struct json *j)
{
    const char *text;
    uint64_t verb;

    TRY_CTX(json_as_str(json_get(j, "stage"), &text), "stage");
    TRY_CTX(json_as_str(json_get(j, "object"), &text), "object");
    TRY_CTX(json_as_u64(json_get(j, "verb"), &verb), "verb");
    return NULL;
}

static struct err *corrupt(const char *path, struct err *e)
{
    struct err *bad = err_new(ERR_CORRUPT, "'%s' cannot be read: %s", path, e->text);

    err_free(e);
    return bad;
}

static struct err *check_doc(const struct json *doc, const char *path)
{
    const struct json *made = json_get(doc, "made");
    uint64_t version = 0;
    struct err *e = json_as_u64(json_get(doc, "schema_version"), &version);

    if (!e && version != VERSION)
        return err_new(ERR_REFUSED,
                       "'%s' is of version %" PRIu64 ", and this agavectl knows version %d: use "
                       "the agavectl that wrote it",
                       path, version, VERSION);
    if (!e && !json_is_array(made))
        e = err_new(ERR_CORRUPT, "it has no list");
    for (size_t i = 0; !e && i < json_len(made); i++)
        e = err_wrap(check_note(json_at(made, i)), "note %zu", i + 1);
    return e ? corrupt(path, e) : NULL;
}

/* *ret: the document; NULL when there is none. */
static struct err *read_doc(struct ctx *ctx, int dir_fd, const char *path, struct json **ret)
{
    AUTO(json_freep) struct json *doc = NULL;
    AUTO(freep) char *text = NULL;
    bool there = false;
    size_t n = 0;

    TRY(ours_alone(dir_fd, path, &there));
    if (!there)
        return NULL;
    TRY(fsroot_read(ctx->root, path, MAX_B, &text, &n));
    struct err *e = json_parse(text, n, &doc);
    if (e)
        return corrupt(path, e);
    TRY(check_doc(doc, path));
    *ret = TAKE(doc);
    return NULL;
}

/* Takes notes over. Without one the file goes. */
static struct err *write_doc(struct ctx *ctx, int dir_fd, const char *path, struct json *notes)
{
    AUTO(json_freep) struct json *doc = json_new_object();

    json_put(doc, "schema_version", json_new_u64(VERSION));
    json_put(doc, "made", notes);
    if (json_len(notes) == 0) {
        TRY(fsroot_unlink(ctx->root, path));
        return fsync(dir_fd) < 0 ? err_sys(errno, "cannot write '%s' to disk", path) : NULL;
    }
    AUTO(freep) char *text = json_text(doc, true);
    AUTO(freep) char *lines = xasprintf("%s\n", text);
    if (strlen(lines) > MAX_B)
        return err_new(ERR_REFUSED, "'%s' would be larger than 4 MiB", path);
    return fsroot_write_atomic(ctx->root, path, lines, strlen(lines), 0600);
}

static bool is_of(const struct json *note, const struct stage *s, const struct change *c)
{
    const char *stage = NULL, *object = NULL;
    uint64_t verb = 0;
    struct err *e = json_as_str(json_get(note, "stage"), &stage);

    if (!e)
        e = json_as_str(json_get(note, "object"), &object);
    if (!e)
        e = json_as_u64(json_get(note, "verb"), &verb);
    bool same = !e && str_eq(stage, s->name) && str_eq(object, c->object) && c->verb >= 0 &&
                verb == (uint64_t)c->verb;
    err_free(e); /* looked at when the document was read */
    return same;
}

/* first: the note of the first time, or NULL. */
static struct json *note_json(struct ctx *ctx, const struct stage *s, const struct change *c,
                              const char *op, const struct json *first)
{
    static const char *const kept[] = {"kind", "before", "old"};
    struct json *j = change_json(s, c);

    for (size_t i = 0; first && i < ARRAY_LEN(kept); i++)
        json_put(j, kept[i], json_ref(json_get(first, kept[i])));
    json_put(j, "op", json_new_str(op));
    json_put(j, "at_s", json_new_u64(clock_wall_ms(ctx) / 1000));
    return j;
}

/* Is nothing left of what the note is about? Its old value is of no use then: a boot has put
 * something else there, which is what undo must bring back. One that could not be looked at, or is
 * held by somebody, counts as being there. */
static bool is_gone(struct ctx *ctx, const struct stage *s, const struct json *note)
{
    AUTO(change_clear) struct change c = {0};
    AUTO(undo_look_clear) struct undo_look l = {.verdict = UNDO_KEEP};
    const struct stage *of = NULL;
    struct err *e = s->undo_look ? change_from_json(note, &of, &c) : NULL;

    if (of == s && !e)
        e = s->undo_look(ctx, &c, &l);
    bool gone = of == s && !e && l.verdict == UNDO_GONE;
    if (e)
        log_debug("cannot look what became of '%s': %s", c.object ? c.object : "a note", e->text);
    err_free(e);
    return gone;
}

static bool is_of_stage(const struct json *note, const struct stage *s)
{
    const char *stage = NULL;
    struct err *e = json_as_str(json_get(note, "stage"), &stage);
    bool same = !e && str_eq(stage, s->name);

    err_free(e); /* looked at when the document was read */
    return same;
}

/* The notes from before with the one of c: last, or, when something of its first time is left,
 * behind all others of its stage. What it is made of now may have been made by that stage since
 * then (a mount of another device), and is to be taken back after it. */
static struct json *notes_with(struct ctx *ctx, const struct stage *s, const struct change *c,
                               const char *op, const struct json *before)
{
    struct json *notes = json_new_array();
    const struct json *first = NULL;
    size_t behind = 0;

    for (size_t i = 0; i < json_len(before); i++) {
        const struct json *note = json_at(before, i);

        if (is_of(note, s, c) && !is_gone(ctx, s, note))
            first = note;
        if (is_of_stage(note, s))
            behind = i;
    }
    for (size_t i = 0; i < json_len(before); i++) {
        const struct json *note = json_at(before, i);

        if (!is_of(note, s, c))
            json_push(notes, json_ref(note));
        if (first && i == behind)
            json_push(notes, note_json(ctx, s, c, op, first));
    }
    if (!first)
        json_push(notes, note_json(ctx, s, c, op, NULL));
    return notes;
}

struct err *made_note(struct ctx *ctx, const struct stage *s, const struct change *c,
                      const char *op)
{
    AUTO(freep) char *path = NULL;
    AUTO(closep) int dir_fd = -1;
    AUTO(json_freep) struct json *doc = NULL;

    TRY(open_place(ctx, true, &path, &dir_fd));
    TRY(read_doc(ctx, dir_fd, path, &doc));
    struct json *notes = notes_with(ctx, s, c, op, json_get(doc, "made"));

    return write_doc(ctx, dir_fd, path, notes);
}

struct err *made_forget(struct ctx *ctx, const struct stage *s, const struct change *c)
{
    AUTO(freep) char *path = NULL;
    AUTO(closep) int dir_fd = -1;
    AUTO(json_freep) struct json *doc = NULL;
    struct err *e = open_place(ctx, false, &path, &dir_fd);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    TRY(read_doc(ctx, dir_fd, path, &doc));
    const struct json *before = json_get(doc, "made");
    struct json *notes = json_new_array();
    for (size_t i = 0; i < json_len(before); i++)
        if (!is_of(json_at(before, i), s, c))
            json_push(notes, json_ref(json_at(before, i)));
    if (json_len(notes) < json_len(before))
        return write_doc(ctx, dir_fd, path, notes);
    json_free(notes);
    return NULL;
}

static struct err *read_note(const struct json *j, struct made *ret)
{
    const char *op = NULL;

    TRY(change_from_json(j, &ret->stage, &ret->change));
    TRY_CTX(json_as_str(json_get(j, "op"), &op), "op");
    ret->op = xstrdup(op);
    TRY_CTX(json_as_u64(json_get(j, "at_s"), &ret->at_s), "at_s");
    return NULL;
}

static struct err *read_notes(const struct json *notes, struct made_list *l)
{
    for (size_t i = 0; i < json_len(notes); i++) {
        const char *stage = NULL;

        TRY(json_as_str(json_get(json_at(notes, i), "stage"), &stage));
        if (!stage_by_name(stage_table, stage))
            continue;
        l->items = xgrow(l->items, &l->cap, l->n + 1, sizeof(*l->items));
        l->items[l->n++] = (struct made){0};
        TRY_CTX(read_note(json_at(notes, i), &l->items[l->n - 1]), "note %zu", i + 1);
    }
    return NULL;
}

struct err *made_load(struct ctx *ctx, struct made_list *ret)
{
    AUTO(freep) char *path = NULL;
    AUTO(closep) int dir_fd = -1;
    AUTO(json_freep) struct json *doc = NULL;
    struct made_list l = {0};
    struct err *e = open_place(ctx, false, &path, &dir_fd);

    if (e && e->kind == ERR_NOTFOUND) {
        *ret = l;
        return err_free(e);
    }
    TRY(e);
    TRY(read_doc(ctx, dir_fd, path, &doc));
    e = read_notes(json_get(doc, "made"), &l);
    if (e) {
        made_list_clear(&l);
        return corrupt(path, e);
    }
    *ret = l;
    return NULL;
}
