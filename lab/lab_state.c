/* The lab's memory: one JSON file in LAB_DIR, written after each thing that was made, so that `lab
 * down` finds everything even after a kill in the middle of `lab up`. */
#include "lab/lab_state.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "io/fsroot.h"

#define STATE_MAX_B 65536

void lab_state_clear(struct lab_state *s)
{
    free(s->boot_id);
    free(s->image);
    free(s->volume);
    free(s->ramdisk);
    free(s->zram_before);
    *s = (struct lab_state){0};
}

static struct err *text_of(const struct json *j, const char *key, char **ret)
{
    const char *text;

    TRY_CTX(json_as_str(json_get(j, key), &text), "%s", key);
    *ret = xstrdup(text);
    return NULL;
}

static struct err *fields(const struct json *j, struct lab_state *s)
{
    uint64_t pid;

    TRY(text_of(j, "boot_id", &s->boot_id));
    TRY(text_of(j, "image", &s->image));
    TRY(text_of(j, "volume", &s->volume));
    TRY(text_of(j, "ramdisk", &s->ramdisk));
    TRY(json_as_bool(json_get(j, "ramdisk_is_loop"), &s->ramdisk_is_loop));
    TRY(json_as_u64(json_get(j, "ramdisk_b"), &s->ramdisk_b));
    if (json_get(j, "zram_before"))
        TRY(text_of(j, "zram_before", &s->zram_before));
    TRY(json_as_u64(json_get(j, "world_pid"), &pid));
    TRY(json_as_u64(json_get(j, "world_start"), &s->world_start));
    TRY(json_as_u64(json_get(j, "seed"), &s->seed));
    TRY(json_as_u64(json_get(j, "time_scale"), &s->time_scale));
    TRY(json_as_bool(json_get(j, "complete"), &s->complete));
    if (pid > INT32_MAX)
        return err_new(ERR_CORRUPT, "world_pid is no pid");
    s->world_pid = (pid_t)pid;
    return NULL;
}

struct err *lab_state_read(struct ctx *ctx, struct lab_state *ret)
{
    AUTO(freep) char *text = NULL;
    AUTO(json_freep) struct json *j = NULL;
    AUTO(lab_state_clear) struct lab_state s = {0};
    size_t n = 0;

    TRY(fsroot_read(ctx->root, LAB_DIR "/state.json", STATE_MAX_B, &text, &n));
    TRY_CTX(json_parse(text, n, &j), "cannot read '" LAB_DIR "/state.json'");
    TRY_CTX(fields(j, &s), "cannot read '" LAB_DIR "/state.json'");
    *ret = s;
    s = (struct lab_state){0};
    return NULL;
}

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

struct err *lab_state_write(struct ctx *ctx, const struct lab_state *s)
{
    AUTO(json_freep) struct json *j = json_new_object();
    AUTO(freep) char *text = NULL;

    json_put(j, "boot_id", json_new_str(or_empty(s->boot_id)));
    json_put(j, "image", json_new_str(or_empty(s->image)));
    json_put(j, "volume", json_new_str(or_empty(s->volume)));
    json_put(j, "ramdisk", json_new_str(or_empty(s->ramdisk)));
    json_put(j, "ramdisk_is_loop", json_new_bool(s->ramdisk_is_loop));
    json_put(j, "ramdisk_b", json_new_u64(s->ramdisk_b));
    json_put(j, "zram_before", json_new_str(s->zram_before));
    json_put(j, "world_pid", json_new_u64((uint64_t)s->world_pid));
    json_put(j, "world_start", json_new_u64(s->world_start));
    json_put(j, "seed", json_new_u64(s->seed));
    json_put(j, "time_scale", json_new_u64(s->time_scale));
    json_put(j, "complete", json_new_bool(s->complete));
    text = json_text(j, true);
    return fsroot_write_atomic(ctx->root, LAB_DIR "/state.json", text, strlen(text), 0644);
}
