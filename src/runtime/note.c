/* The drivers' note about a unit, <state_dir>/<unit>.json. It never decides who runs: that is asked
 * of the kernel. */
#include "runtime/note.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "io/fsroot.h"

#define NOTE_MAX_B 4096

void note_clear(struct note *n)
{
    free(n->bin);
    free(n->stopped);
    *n = (struct note){0};
}

static char *note_path(const struct unit *u)
{
    return xasprintf("%s/%s.json", u->state_dir, u->name);
}

static struct err *boot_id(struct ctx *ctx, char **ret)
{
    return fsroot_read_line(ctx->root, "/proc/sys/kernel/random/boot_id", ret);
}

static struct err *note_fields(const struct json *j, const char *boot, struct note *ret)
{
    const char *text;
    uint64_t pid;

    TRY(json_as_bool(json_get(j, "wanted"), &ret->wanted));
    TRY(json_as_u64(json_get(j, "pid"), &pid));
    TRY(json_as_u64(json_get(j, "start"), &ret->id.start));
    TRY(json_as_u64(json_get(j, "started_ms"), &ret->started_ms));
    TRY(json_as_u64(json_get(j, "restarts"), &ret->restarts));
    TRY(json_as_str(json_get(j, "boot_id"), &text));
    ret->this_boot = str_eq(text, boot);
    if (pid > INT32_MAX)
        return err_new(ERR_CORRUPT, "pid %" PRIu64 " is no pid", pid);
    if (json_get(j, "bin")) { /* null: adopted at a stop, started by somebody else */
        const char *bin;

        TRY(json_as_str(json_get(j, "bin"), &bin));
        ret->bin = xstrdup(bin);
    }
    if (json_get(j, "stopped")) {
        TRY(json_as_str(json_get(j, "stopped"), &text));
        ret->stopped = xstrdup(text);
    }
    ret->id.pid = (pid_t)pid;
    ret->known = true;
    return NULL;
}

struct err *note_read(struct ctx *ctx, const struct unit *u, struct note *ret)
{
    AUTO(freep) char *path = note_path(u), *text = NULL, *boot = NULL;
    AUTO(json_freep) struct json *j = NULL;
    size_t n = 0;
    struct err *e = fsroot_read(ctx->root, path, NOTE_MAX_B, &text, &n);

    if (e && e->kind == ERR_NOTFOUND) {
        err_free(e); /* never started by us */
        return NULL;
    }
    if (e)
        return e;
    TRY(boot_id(ctx, &boot));
    e = json_parse(text, n, &j);
    if (!e)
        e = note_fields(j, boot, ret);
    if (e)
        return err_hint(err_wrap(e, "cannot read '%s'", path),
                        "remove it if the validator does not run");
    return NULL;
}

struct err *note_write(struct ctx *ctx, const struct unit *u, const struct note *n)
{
    AUTO(freep) char *path = note_path(u), *boot = NULL, *text = NULL;
    AUTO(json_freep) struct json *j = json_new_object();

    TRY(boot_id(ctx, &boot));
    json_put(j, "wanted", json_new_bool(n->wanted));
    json_put(j, "pid", json_new_u64((uint64_t)n->id.pid));
    json_put(j, "start", json_new_u64(n->id.start));
    json_put(j, "boot_id", json_new_str(boot));
    json_put(j, "started_ms", json_new_u64(n->started_ms));
    json_put(j, "restarts", json_new_u64(n->restarts));
    json_put(j, "bin", json_new_str(n->bin));
    if (n->stopped)
        json_put(j, "stopped", json_new_str(n->stopped));
    text = json_text(j, false);
    TRY(fsroot_mkdirs(ctx->root, u->state_dir, 0755));
    return fsroot_write_atomic(ctx->root, path, text, strlen(text), 0644);
}

struct err *note_write_stop(struct ctx *ctx, const struct unit *u, const struct note *n)
{
    struct err *e = note_write(ctx, u, n);

    if (!e || e->kind != ERR_SYS)
        return e;
    log_debug("%s", e->text);
    return err_free(e);
}

void note_adopt(struct note *note, const struct pid_info *p)
{
    bool same = note->known && note->this_boot && note->id.pid == p->id.pid &&
                note->id.start == p->id.start;

    if (same)
        return;
    free(note->bin);
    note->bin = NULL;
    note->known = note->this_boot = true;
    note->id = p->id;
    note->started_ms = 0;
}
