/* The display of snapshot get. Nothing is decided here. */
#include "cmd/get_show.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "cmd/cmd_status_host.h"
#include "cmd/watch.h"
#include "flow/snapshot_text.h"

#define LOG_EVERY_MS 10000
#define DOTS         "  ...  "

static uint64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- text -------------------------------------------------------------------------------------
 */

static void clear_line(struct get_show *s)
{
    if (s->open)
        dprintf(STDERR_FILENO, "\r\033[K");
    s->open = false;
}

/* Of the n bytes that fit, the parts that are whole: a number that is cut is another number. */
static size_t whole_parts(const char *text, size_t n)
{
    if (!text[n])
        return n;
    for (size_t i = n; i > 0; i--)
        if (text[i] == ',' || text[i] == ';')
            return i;
    return n; /* a name */
}

static void in_place(struct get_show *s, const char *text, bool begins)
{
    uint64_t now = now_ms();

    if (log_get_level() < LOG_NORMAL)
        return;
    if (s->tty) {
        /* A line that wraps could not be rewritten. */
        size_t n = whole_parts(text, watch_fits(STDERR_FILENO, text, strlen(DOTS)));

        dprintf(STDERR_FILENO, "\r\033[K" DOTS "%.*s", (int)n, text);
        s->open = true;
    } else if (begins || now - s->last_ms >= LOG_EVERY_MS) {
        s->last_ms = now;
        log_note(DOTS "%s", text);
    }
}

/* ---- lines of JSON ----------------------------------------------------------------------------
 */

static struct json *event_new(const char *event)
{
    struct json *j = answer_new();

    json_put(j, "event", json_new_str(event));
    return j;
}

/* One line each, at once: who reads them shows them. */
static void put_line(struct get_show *s, struct json *owned)
{
    AUTO(json_freep) struct json *j = owned;
    AUTO(freep) char *text = json_text(j, false);

    fprintf(s->out->f, "%s\n", text);
    fflush(s->out->f);
}

static struct json *size_json(uint64_t v)
{
    return v == UINT64_MAX ? NULL : json_new_u64(v);
}

static struct json *shares_json(const struct fetch_share *shares, size_t n)
{
    struct json *list = json_new_array();

    for (size_t i = 0; i < n; i++) {
        const struct fetch_share *s = &shares[i];
        struct json *j = json_new_object();

        json_put(j, "addr", json_new_str(s->label));
        json_put(j, "bytes_b", json_new_u64(s->bytes_b));
        json_put(j, "rate_b_s", json_new_u64((uint64_t)s->rate_b_s));
        json_put(j, "ranges", json_new_bool(s->ranges));
        json_put(j, "dropped", json_new_str(s->why));
        json_push(list, j);
    }
    return list;
}

static struct json *list_json(const struct strlist *l)
{
    struct json *j = json_new_array();

    for (size_t i = 0; i < l->n; i++)
        json_push(j, json_new_str(l->items[i]));
    return j;
}

/* ---- events -----------------------------------------------------------------------------------
 */

static void on_say(void *arg, const char *text)
{
    struct get_show *s = arg;

    if (!s->out->json) {
        in_place(s, text, true);
        return;
    }
    struct json *j = event_new("step");
    json_put(j, "text", json_new_str(text));
    put_line(s, j);
}

static void on_progress(void *arg, const struct fetch_progress *p)
{
    struct get_show *s = arg;

    if (!s->out->json) {
        AUTO(freep) char *text = snapshot_progress_text(p);

        in_place(s, text, false);
        return;
    }
    struct json *j = event_new("progress");
    json_put(j, "file", json_new_str(p->file));
    json_put(j, "done_b", json_new_u64(p->done_b));
    json_put(j, "total_b", size_json(p->total_b));
    json_put(j, "verified_b", json_new_u64(p->verified_b));
    json_put(j, "again_b", json_new_u64(p->again_b));
    json_put(j, "rate_b_s", json_new_u64((uint64_t)p->rate_b_s));
    json_put(j, "eta_s", p->eta_s < 0 ? NULL : json_new_f64(p->eta_s));
    json_put(j, "sources", shares_json(p->shares, p->n_shares));
    put_line(s, j);
}

static void on_dropped(void *arg, const char *label, const struct err *e)
{
    struct get_show *s = arg;

    if (!s->out->json) {
        clear_line(s);
        log_note("  left %s: %s", label, e->text);
        return;
    }
    struct json *j = event_new("dropped");
    json_put(j, "addr", json_new_str(label));
    json_put(j, "why", json_new_str(e->text));
    put_line(s, j);
}

static const char *proven(const struct snapcheck_report *c)
{
    return c->archive_b == 0                     ? "not verified"
           : c->hash_is == SNAPCHECK_HASH_PROVEN ? "verified, and its name's hash is its bank's"
                                                 : "verified; its name's hash was not";
}

static void on_fetched(void *arg, const char *name, const struct fetch_report *r)
{
    struct get_show *s = arg;
    char size[32], time[32], rate[32];
    size_t gave = 0;

    for (size_t i = 0; i < r->n_shares; i++)
        gave += r->shares[i].bytes_b > 0;
    if (!s->out->json) {
        double took = r->seconds > 0.001 ? r->seconds : 0.001;

        clear_line(s);
        log_note(
            "  done %s: %s in %s, %s/s from %zu source%s, %s", name,
            fmt_size(r->size_b, size, sizeof(size)), fmt_duration(took, time, sizeof(time)),
            fmt_size((uint64_t)((double)(r->size_b - r->resumed_b) / took), rate, sizeof(rate)),
            gave, gave == 1 ? "" : "s", proven(&r->check));
        return;
    }
    struct json *j = event_new("fetched");
    json_put(j, "file", json_new_str(name));
    json_put(j, "size_b", json_new_u64(r->size_b));
    json_put(j, "resumed_b", json_new_u64(r->resumed_b));
    json_put(j, "wire_b", json_new_u64(r->wire_b));
    json_put(j, "seconds", json_new_f64(r->seconds));
    json_put(j, "first_byte_s", json_new_f64(r->first_byte_s));
    json_put(j, "hash", json_new_str(snapcheck_hash_name(r->check.hash_is)));
    json_put(j, "sources", shares_json(r->shares, r->n_shares));
    put_line(s, j);
}

/* ---- the plan ---------------------------------------------------------------------------------
 */

static void say_plan(struct get_show *s, const char *fmt, ...) PRINTF(2, 3);
/* The answer of a dry run, else news on stderr. */
static void say_plan(struct get_show *s, const char *fmt, ...)
{
    AUTO(freep) char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        abort();
    va_end(ap);
    if (s->dry_run)
        out_printf(s->out, "%s\n", text);
    else
        log_note("%s", text);
}

static void plan_file(struct get_show *s, const char *what, const char *name, uint64_t size_b,
                      size_t sources, const char *trust)
{
    char size[32];

    say_plan(s, "  %-12s %s", what, name);
    say_plan(s, "  %-12s %s, %zu source%s, trust: %s", "",
             size_b == UINT64_MAX ? "size unknown" : fmt_size(size_b, size, sizeof(size)), sources,
             sources == 1 ? "" : "s",
             str_eq(trust, "any") ? "none, taken because of --trust-any" : trust);
}

static void plan_time(struct get_show *s, const struct pair_plan *p)
{
    const struct rank_time *t = p->time;
    char transfer[32], unpack[32], replay[32], rate[32];

    if (!p->measured) {
        say_plan(s, "  %-12s not known before the first bytes: no rate was measured", "time");
        return;
    }
    fmt_duration(t->transfer_s, transfer, sizeof(transfer));
    fmt_duration(t->unpack_s, unpack, sizeof(unpack));
    fmt_duration(t->replay_s, replay, sizeof(replay));
    fmt_size((uint64_t)s->unpack_b_s, rate, sizeof(rate));
    if (t->minutes < 0)
        say_plan(
            s,
            "  %-12s transfer %s, unpacking %s (%s/s, %s), then never at the tip: replay (%.1f "
            "slots/s, %s) is slower than the cluster",
            "time", transfer, unpack, rate, s->unpack_from, s->replay_slots_s, s->replay_from);
    else
        say_plan(s,
                 "  %-12s %.1f min to the tip: transfer %s, unpacking %s (%s/s, %s), replay %s "
                 "(%.1f slots/s, %s)",
                 "time", t->minutes, transfer, unpack, rate, s->unpack_from, replay,
                 s->replay_slots_s, s->replay_from);
    if (t->superseded)
        say_plan(s,
                 "  %-12s the next full snapshot comes before this one is here; its last "
                 "incremental may be gone then",
                 "warning");
}

static void plan_text(struct get_show *s, const struct pair_plan *p)
{
    char slot[32], age[32], need[32], there[32];

    clear_line(s);
    for (size_t i = 0; i < p->relaxed->n; i++)
        say_plan(s, "  %s", p->relaxed->items[i]);
    if (p->have_full)
        say_plan(s, "  %-12s %s, here already", "full", p->full);
    else
        plan_file(s, "full", p->full, p->full_b, p->full_sources, p->full_trust);
    if (p->incr)
        plan_file(s, "incremental", p->incr, p->incr_b, p->incr_sources, p->incr_trust);
    if (p->incr && !p->have_full)
        say_plan(s, "  %-12s looked for again when the full one is here", "");
    say_plan(s, "  %-12s %s, %s behind the tip%s", "slot", status_grouped(p->slot, slot),
             status_grouped(p->tip > p->slot ? p->tip - p->slot : 0, age),
             p->tip_known ? "" : " (guessed: no RPC node tells)");
    plan_time(s, p);
    say_plan(s, "  %-12s %s will be needed (with the next incremental), %s are free%s", "disk",
             fmt_size(p->need_b, need, sizeof(need)), fmt_size(p->free_b, there, sizeof(there)),
             p->need_b > p->free_b ? ": not enough" : "");
}

static struct json *plan_json(const struct get_show *s, const struct pair_plan *p)
{
    struct json *j = event_new("plan");
    bool timed = p->measured && p->time->minutes >= 0;

    json_put(j, "full", json_new_str(p->full));
    json_put(j, "full_here", json_new_bool(p->have_full));
    json_put(j, "full_b", size_json(p->full_b));
    json_put(j, "full_sources", json_new_u64(p->full_sources));
    json_put(j, "full_trust", json_new_str(p->full_trust));
    json_put(j, "incremental", json_new_str(p->incr));
    json_put(j, "incremental_b", size_json(p->incr_b));
    json_put(j, "incremental_sources", json_new_u64(p->incr_sources));
    json_put(j, "incremental_trust", json_new_str(p->incr_trust));
    json_put(j, "slot", json_new_u64(p->slot));
    json_put(j, "tip", p->tip_known ? json_new_u64(p->tip) : NULL);
    json_put(j, "transfer_s", p->measured ? json_new_f64(p->time->transfer_s) : NULL);
    json_put(j, "minutes_to_tip", timed ? json_new_f64(p->time->minutes) : NULL);
    json_put(j, "replay_slots_s", json_new_f64(s->replay_slots_s));
    json_put(j, "replay_from", json_new_str(s->replay_from));
    json_put(j, "unpack_b_s", json_new_f64(s->unpack_b_s));
    json_put(j, "unpack_from", json_new_str(s->unpack_from));
    json_put(j, "disk_need_b", json_new_u64(p->need_b));
    json_put(j, "disk_free_b", json_new_u64(p->free_b));
    json_put(j, "relaxed", list_json(p->relaxed));
    return j;
}

static struct err *on_plan(void *arg, const struct pair_plan *p, bool *ret_go)
{
    struct get_show *s = arg;

    if (s->out->json)
        put_line(s, plan_json(s, p));
    else
        plan_text(s, p);
    *ret_go = !s->dry_run;
    return NULL;
}

void get_show_init(struct get_show *s, struct out *out, bool dry_run)
{
    *s = (struct get_show){
        .events = {.say = on_say,
                   .plan = on_plan,
                   .progress = on_progress,
                   .dropped = on_dropped,
                   .fetched = on_fetched,
                   .arg = s},
        .out = out,
        .dry_run = dry_run,
        .tty = isatty(STDERR_FILENO),
    };
}

void get_show_close(struct get_show *s)
{
    clear_line(s);
}

static void result_text(struct get_show *s, const char *dir, const struct pair_report *r,
                        const struct pair_local *local)
{
    char slot[32], age[32], size[32], time[32];

    if (r->stopped)
        return;
    out_printf(s->out, "%s: ", dir);
    if (!r->fetched.n)
        out_printf(s->out, "nothing better than what is there; ");
    else
        out_printf(s->out, "%zu archive%s in %s, %s over the wire; ", r->fetched.n,
                   r->fetched.n == 1 ? "" : "s", fmt_duration(r->seconds, time, sizeof(time)),
                   fmt_size(r->wire_b, size, sizeof(size)));
    out_printf(s->out, "slot %s, %s behind the tip%s\n", status_grouped(local->slot, slot),
               status_grouped(r->tip > local->slot ? r->tip - local->slot : 0, age),
               r->tip_known ? "" : " (guessed)");
}

void get_show_result(struct get_show *s, const char *dir, const struct pair_report *r,
                     const struct pair_local *local, const struct err *e)
{
    struct json *j;

    clear_line(s);
    if (!s->out->json) {
        if (!e)
            result_text(s, dir, r, local);
        return;
    }
    j = event_new("result");
    json_put(j, "ok", json_new_bool(!e));
    json_put(j, "error", json_new_str(e ? e->text : NULL));
    json_put(j, "dry_run", json_new_bool(s->dry_run));
    json_put(j, "dir", json_new_str(dir));
    json_put(j, "fetched", list_json(&r->fetched));
    json_put(j, "full", json_new_str(local->full));
    json_put(j, "incremental", json_new_str(local->incr));
    json_put(j, "slot", local->full ? json_new_u64(local->slot) : NULL);
    json_put(j, "tip", r->tip_known ? json_new_u64(r->tip) : NULL);
    json_put(j, "wire_b", json_new_u64(r->wire_b));
    json_put(j, "seconds", json_new_f64(r->seconds));
    json_put(j, "relaxed", list_json(&r->relaxed));
    json_put(j, "rejected", list_json(&r->rejected));
    put_line(s, j);
}
