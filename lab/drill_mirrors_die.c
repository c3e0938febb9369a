/* mirrors-die: four sources of snapshots; one dies in the middle of a file, the next falls silent,
 * the next sends wrong bytes. The fourth is good, and from it the validator must reach the tip. */
#include "lab/drill_run.h"

#include <inttypes.h>

#include "io/clock.h"
#include "lab/lab_faults.h"

#define FIRST   3 /* the references, nodes 0 to 2, stay as they are */
#define MIRRORS 4
#define SLOW    "slow=48KiB" /* so that there is a middle of a file */
#define TURN_S  90
#define LIST                                                                                       \
    "[\"http://127.1.0.1:8899\", \"http://127.1.0.2:8899\", \"http://127.1.0.3:8899\", "           \
    "\"http://127.1.0.4:8899\"]"

struct counts {
    uint64_t bytes, files_whole;
};

static struct err *counts_of(struct ctx *ctx, unsigned mirror, struct counts *ret)
{
    AUTO(json_freep) struct json *list = NULL;
    AUTO(freep) char *params = xasprintf("[%u,%u]", FIRST + mirror, FIRST + mirror);
    const struct json *node;

    TRY(lab_world_ask(ctx, "nodes", params, &list));
    node = json_at(list, 0);
    TRY_CTX(json_as_u64(json_get(node, "bytes"), &ret->bytes), "the lab's world");
    TRY_CTX(json_as_u64(json_get(node, "files_whole"), &ret->files_whole), "the lab's world");
    return NULL;
}

static struct err *fault(struct drill_run *d, unsigned mirror, const char *word)
{
    AUTO(strlist_clear) struct strlist nodes = {0};

    strlist_addf(&nodes, "%u", FIRST + mirror);
    return lab_fault_set(d->ctx, word, &nodes);
}

struct turn {
    struct drill_run *d;
    struct drill_child *up;
    struct counts before;
    unsigned mirror;
};

static struct err *sends(struct ctx *ctx, void *arg, bool *ret)
{
    struct turn *t = arg;
    struct counts now;
    bool ended = false;

    TRY(drill_ended(t->d, t->up, &ended));
    if (ended)
        return err_new(ERR_REMOTE, "up ended (exit %d) before mirror %u was asked: %s", t->up->exit,
                       t->mirror + 1, t->up->err);
    TRY(counts_of(ctx, t->mirror, &now));
    *ret = now.bytes > t->before.bytes;
    return NULL;
}

/* Waits until this mirror is in the middle of a file. */
static struct err *its_turn(struct drill_run *d, struct drill_child *up, unsigned mirror)
{
    struct turn t = {.d = d, .up = up, .mirror = mirror};
    char what[64];

    TRY(counts_of(d->ctx, mirror, &t.before));
    snprintf(what, sizeof(what), "up turns to mirror %u", mirror + 1);
    return wait_until(d->ctx, what, TURN_S * 1000, 50, sends, &t);
}

static struct err *they_die(struct drill_run *d, struct drill_child *up)
{
    static const struct {
        const char *fault, *text;
    } ends[MIRRORS - 1] = {
        {"dead", "died"},
        {"stalls=1%", "fell silent"},
        {"corrupt", "sends wrong bytes"},
    };

    for (unsigned i = 0; i < MIRRORS; i++) {
        TRY(its_turn(d, up, i));
        if (i > 0) /* the one before has had its turn: it is not asked again for the next file */
            TRY(fault(d, i - 1, "dead"));
        if (i + 1 < MIRRORS)
            TRY(fault(d, i, ends[i].fault));
        drill_say(d, "mirror %u began to send%s%s", i + 1, i + 1 < MIRRORS ? ", and " : "",
                  i + 1 < MIRRORS ? ends[i].text : "; it is the last good one");
    }
    return fault(d, MIRRORS - 1, "slow=off");
}

static struct err *prepare(struct drill_run *d)
{
    bool changed;

    TRY(lab_world_grow(d->ctx, MIRRORS, &changed));
    /* Nobody but these four, and one that is left is believed alone. */
    TRY(drill_config(d, "snapshot:\n  discover: false\n  sources: " LIST "\n"
                        "  trusted_sources: " LIST "\n"));
    TRY(drill_stop(d));
    TRY(drill_remove_snapshots(d));
    for (unsigned i = 0; i < MIRRORS; i++)
        TRY(fault(d, i, SLOW));
    drill_say(d, "stopped; its snapshots are removed, and there are %d slow mirrors", MIRRORS);
    return NULL;
}

static struct err *run(struct drill_run *d)
{
    AUTO(drill_child_clear) struct drill_child up = {0};
    AUTO(freep) char *names = NULL;
    struct counts before, after;

    TRY(prepare(d));
    TRY(counts_of(d->ctx, MIRRORS - 1, &before));
    TRY(drill_spawn(d, DRILL_ARGS("up"), &up));
    TRY(they_die(d, &up));
    TRY(drill_wait(d, &up, DRILL_TIP_S));
    if (up.exit != 0)
        return err_new(ERR_REMOTE, "up: exit %d: %s", up.exit, up.err);
    TRY(drill_tip(d));
    TRY(counts_of(d->ctx, MIRRORS - 1, &after));
    TRY(drill_snapshots(d, &names));
    if (after.files_whole == before.files_whole || strstr(names, "tmp-"))
        return err_new(ERR_REMOTE, "the last mirror sent %" PRIu64 " files; there are: %s",
                       after.files_whole - before.files_whole, names);
    drill_say(d, "at the tip, with %" PRIu64 " files from the last mirror",
              after.files_whole - before.files_whole);
    return NULL;
}

const struct drill drill_mirrors_die = {
    .name = "mirrors-die",
    .summary = "snapshot sources die, stall and corrupt, one after another",
    .run = run,
};
