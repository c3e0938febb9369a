/* agavectl boot leave: the last that is heard of a boot. The mark says that no validator was torn
 * off in mid-write, so it is written only when that was looked at, and only while the host goes
 * down: a validator that somebody starts after it would make it a lie. */
#include "boot/boot.h"

#include "boot/boot_parts.h"
#include "io/proc.h"
#include "host/systemd.h"

#define SYSTEMCTL   "/usr/bin/systemctl"
#define SYSTEMCTL_S 20

/* systemctl(1) 252, is-system-running: "stopping" while the manager shuts down. The manager's own
 * socket answers it, also when D-Bus has gone. */
static struct err *goes_down(struct ctx *ctx, bool *ret, char **ret_state)
{
    static const char *const argv[] = {SYSTEMCTL, "is-system-running", NULL};
    struct proc_spec spec = {.path = argv[0], .argv = argv, .timeout_s = SYSTEMCTL_S};
    AUTO(proc_result_clear) struct proc_result r = {0};
    bool booted = false;

    TRY(systemd_booted(ctx, &booted));
    if (!booted) { /* another init calls this when it must */
        *ret = true;
        *ret_state = xstrdup("not booted by systemd");
        return NULL;
    }
    TRY_CTX(ctx->proc->run(ctx, &spec, &r), "is the host going down");
    r.out[strcspn(r.out, "\n")] = '\0';
    *ret = str_eq(r.out, "stopping");
    *ret_state = str_shown(r.out, 40);
    return NULL;
}

static struct err *why_not(struct ctx *ctx, char **ret)
{
    AUTO(freep) char *who = NULL, *state = NULL;
    bool down = false;

    TRY(boot_validator(ctx, &who));
    TRY(goes_down(ctx, &down, &state));
    if (who)
        *ret = xasprintf("%s is still there", who);
    else if (!down)
        *ret = xasprintf("the host is not going down (%s)", state);
    return NULL;
}

struct err *boot_leave(struct ctx *ctx, struct strlist *ret_said)
{
    AUTO(freep) char *why = NULL;
    AUTO(closep) int lock = -1;

    TRY(boot_lock(ctx, &lock));
    struct err *e = why_not(ctx, &why);
    if (e) { /* not known to be in order is not in order */
        why = xasprintf("could not look: %s", e->text);
        err_free(e);
    }
    if (why) {
        strlist_addf(ret_said, "no mark of an orderly end: %s", why);
        return NULL;
    }
    TRY(boot_left_end(ctx));
    strlist_add(ret_said, "this boot ends in order: no validator is left");
    return NULL;
}
