#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "look/scene.h"
#include "look/scene_contact.h"
#include "stage/finding.h"

/* Desired state of one concern of the host. check reads only and reports all faults; plan is pure;
 * apply does one change; the engine checks again afterwards. */
enum change_kind { CHANGE_CREATE, CHANGE_UPDATE, CHANGE_DELETE, CHANGE_RUN };
const char *change_kind_name(enum change_kind k);

/* What a change writes at its object, where its argument is all that it writes: shown with the
 * plan, and written as it was shown or not at all. */
enum change_writes {
    WRITES_NOTHING, /* or what the argument does not tell */
    WRITES_FILE,    /* a file of ours: its text, without the mark */
    WRITES_BLOCK,   /* our block in a file of others: its lines, without the marks */
    WRITES_LINK,    /* a symbolic link: what it says */
};
struct change {
    enum change_kind kind;
    enum change_writes writes;
    bool destructive; /* loses data or stops a voting validator */
    bool once; /* a second time would do harm: after a crash in the middle the operator is asked */
    bool undoable; /* noted before it is made (flow/made.h); its stage has undo */
    /* Touches nothing that a running validator has open or needs: may be made under it. */
    bool live;
    /* Takes over what somebody else made for the same end: left out unless that was asked for. */
    bool adopt;
    /* Planned only because others of this plan make it due: by itself it is not wanted. */
    bool follows;
    char *object, *before, *after; /* for people and for -o json; before may be NULL */
    int verb;                      /* the stage's own number for it */
    char *arg;                     /* the stage's own argument, or NULL */
    char *old; /* the stage's own note of what was there before, for undo; or NULL */
};
/* "file", "block", "link"; NULL of WRITES_NOTHING. */
const char *change_writes_name(enum change_writes w);
void change_clear(struct change *c);
struct plan {
    const struct stage *stage;
    struct change *items;
    size_t n, cap;
};
/* For a change that would write something else by now than was shown: ERR_REFUSED. */
struct err *change_was_other(const struct change *c) MUST_CHECK;
/* Texts are copied. */
struct change *plan_add(struct plan *p, enum change_kind kind, int verb, const char *object,
                        const char *before, const char *after);
/* Its stage can take it back, with that note (copied; NULL: none). Returns c. */
struct change *plan_undoable(struct change *c, const char *old);
void plan_clear(struct plan *p);

/* What has become of a change that was made at another time, maybe before this boot. */
enum undo_verdict {
    UNDO_GONE, /* nothing of it is left */
    UNDO_DO,   /* it is as we made it: can be taken back now */
    UNDO_KEEP, /* stays: a file system, a folder with content, what others have changed since */
};
enum undo_mount {
    UNDO_NO_MOUNT,
    UNDO_MOUNT, /* of a file system: it must be free afterwards */
    UNDO_BIND,  /* shows what is mounted elsewhere as well */
    UNDO_RBIND, /* and what is mounted below that */
};
struct undo_look {
    enum undo_verdict verdict;
    char *what; /* for people: what would be done, or why it stays; NULL with UNDO_GONE. Owned */
    /* With UNDO_DO: this mount point (the change's object) would be unmounted. Who holds it is the
     * flow's question, which knows what else is taken away before it. */
    enum undo_mount unmounts;
    char *source; /* of UNDO_RBIND: the folder that it shows; NULL: its own. Owned */
};
void undo_look_clear(struct undo_look *l);

struct stage {
    const char *name, *summary; /* never NULL */
    uint8_t layer;
    const char *const *after; /* stages that must hold first; NULL-terminated; order has a reason */
    const char *order_reason; /* why after it is so; never NULL */
    /* Wrong here, no validator is started: up, start and prepare refuse while it fails. The others
     * are looked at by check alone. */
    bool gate;
    /* No gate of prepare, which could not repair it, but looked at before a start: does this
     * finding, FAIL or UNKNOWN, keep the validator from being started? anew: one that runs is
     * stopped before, so that what it has now does not count. NULL: never looked at then. */
    bool (*bars_start)(const struct ctx *ctx, const struct finding *f, bool anew);
    /* Does the config ask for it? False: the stage is absent, which is not failing. */
    bool (*enabled)(const struct ctx *ctx);
    /* Whom its check may have to wait for: a set of enum party, so that all parties of a look are
     * asked at once. */
    unsigned asks;
    /* The finding that says that /etc is read-only; NULL: nothing of it is below /etc, which is
     * where the object of a change says that it is. The engine looks (stage/etc.h). */
    const char *readonly;
    /* scene: what this look has seen so far, shared with the other stages. */
    struct err *(*check)(struct ctx *ctx, struct scene *scene, struct findings *ret);
    struct err *(*plan)(const struct ctx *ctx, const struct findings *f,
                        struct plan *ret); /* NULL: check only */
    struct err *(*apply)(struct ctx *ctx, const struct change *c);
    /* Of a change that may have been cut off in its middle, and that a new plan would not hold: is
     * what is there just the middle of it, so that apply goes on without harm? Reads only. NULL:
     * never. */
    struct err *(*cut_off)(struct ctx *ctx, const struct change *c, bool *ret);
    /* Both or neither; neither asks the config. undo_look reads only; ERR_REFUSED when somebody
     * holds what would be taken away, with who (of a mount: see undo_look.unmounts). undo takes
     * back one change that was looked at and is UNDO_DO (a mount by stage/unmount.h); it is called
     * again after a crash in its middle. */
    struct err *(*undo_look)(struct ctx *ctx, const struct change *c, struct undo_look *ret);
    struct err *(*undo)(struct ctx *ctx, const struct change *c);
    /* Stages whose changes do harm without what this one made: they are taken back with it.
     * NULL-terminated; NULL: none. */
    const char *const *undo_with;
};
/* The one list, in the order of application; NULL-terminated. */
extern const struct stage *const stage_table[];
