/* OOM kills in the kernel's log. A kill is two records: "oom-kill:" with the cgroup, then "Killed
 * process" with the name. The second is the fact; the first only adds to it. */
#include "host/kmsg.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "io/clock.h"
#include "io/fsroot.h"

#define RECORD_MAX_B 8192        /* a smaller buffer is refused (EINVAL) */
#define TEXT_MAX_B   (16U << 20) /* the ring is seldom larger than 1 MiB */
#define RECORDS_MAX  (1U << 18)  /* somebody may write faster than we read */
#define LEVELS       8           /* from here on: not the kernel but a program, by facility */
#define CGROUP_MAX   4096
#define KILLED       "Killed process "

struct record {
    uint64_t us;
    const char *message; /* not terminated */
    size_t n;
};
/* What the last "oom-kill:" record said. */
struct victim {
    pid_t pid;
    char *cgroup;
};

static void victim_clear(struct victim *v)
{
    free(v->cgroup);
    *v = (struct victim){0};
}

void oom_kills_clear(struct oom_kills *k)
{
    for (size_t i = 0; i < k->n; i++)
        free(k->items[i].cgroup);
    *k = (struct oom_kills){0};
}

/* A number at *p, which moves behind it. sscanf would measure the rest of the log each time. */
static bool number(const char **p, uint64_t *ret)
{
    char *end;

    if (!isdigit((unsigned char)**p))
        return false;
    *ret = strtoull(*p, &end, 10);
    *p = end;
    return true;
}

static bool record_of(const char *line, size_t n, struct record *ret)
{
    const char *message = memchr(line, ';', n), *p = line;
    uint64_t level, sequence, us;

    if (!message || !number(&p, &level) || *p++ != ',' || !number(&p, &sequence) || *p++ != ',' ||
        !number(&p, &us) || level >= LEVELS)
        return false;
    message++;
    *ret = (struct record){us, message, n - (size_t)(message - line)};
    return true;
}

/* The first place of word in the record, or NULL. */
static const char *find(const struct record *r, const char *word)
{
    return memmem(r->message, r->n, word, strlen(word));
}

static bool pid_at(const char *digits, pid_t *ret)
{
    uint64_t v = 0;

    if (!number(&digits, &v) || v == 0 || v > INT_MAX)
        return false;
    *ret = (pid_t)v;
    return true;
}

/* "oom-kill:constraint=…,oom_memcg=/a,task_memcg=/a/b,task=name,pid=1,uid=0": the name is free
 * text, so the pid is the last one and the cgroup ends where ",task=" begins. */
static void take_victim(const struct record *r, struct victim *v)
{
    const char *cgroup = find(r, ",task_memcg="), *end = find(r, ",task="), *pid = NULL;
    struct record rest = *r;

    victim_clear(v);
    for (const char *p = find(&rest, ",pid="); p; p = find(&rest, ",pid=")) {
        pid = p + strlen(",pid=");
        rest = (struct record){r->us, pid, r->n - (size_t)(pid - r->message)};
    }
    if (!cgroup || !end || end < cgroup || !pid || !pid_at(pid, &v->pid))
        return;
    cgroup += strlen(",task_memcg=");
    if (end > cgroup && end - cgroup < CGROUP_MAX) {
        AUTO(freep) char *raw = xstrndup(cgroup, (size_t)(end - cgroup));

        v->cgroup = str_shown(raw, CGROUP_MAX);
    }
}

/* The name ends where the figures begin: it may hold a bracket itself. */
static const char *name_end(const struct record *r)
{
    const char *figures = find(r, ") total-vm:");

    if (!figures)
        figures = find(r, "), UID");
    return figures ? figures : find(r, ") ");
}

static void keep(struct oom_kills *k, const struct oom_kill *x)
{
    if (k->n == KMSG_KILLS_MAX) {
        free(k->items[0].cgroup);
        memmove(&k->items[0], &k->items[1], (KMSG_KILLS_MAX - 1) * sizeof(k->items[0]));
        k->n--;
        k->older = true;
    }
    k->items[k->n++] = *x;
}

static void take_kill(const struct record *r, uint64_t boot_ms, struct victim *v,
                      struct oom_kills *ret)
{
    const char *at = find(r, KILLED), *name, *end = name_end(r);
    AUTO(freep) char *raw = NULL, *shown = NULL;
    struct oom_kill k = {.by_limit = find(r, "emory cgroup out of memory") != NULL};

    if (!at || !end || !pid_at(at + strlen(KILLED), &k.pid))
        return;
    name = memchr(at, '(', (size_t)(r->message + r->n - at));
    if (!name || ++name > end || __builtin_add_overflow(boot_ms, r->us / 1000, &k.at_ms))
        return;
    raw = xstrndup(name, (size_t)(end - name));
    shown = str_shown(raw, sizeof(k.name) - 1);
    snprintf(k.name, sizeof(k.name), "%s", shown);
    if (v->pid == k.pid)
        k.cgroup = TAKE(v->cgroup);
    keep(ret, &k);
}

void kmsg_parse(const char *text, uint64_t boot_ms, struct oom_kills *ret)
{
    AUTO(victim_clear) struct victim v = {0};
    size_t n;

    for (const char *l = text; *l; l += n + (l[n] == '\n')) {
        struct record r;

        n = strcspn(l, "\n");
        if (*l == ' ' || !record_of(l, n, &r))
            continue;
        if (find(&r, "oom-kill:"))
            take_victim(&r, &v);
        else if (find(&r, KILLED))
            take_kill(&r, boot_ms, &v, ret);
    }
}

/* Each read is one record; a captured log is a plain file and ends in 0 bytes. */
static struct err *read_log(int fd, struct strbuf *b)
{
    char record[RECORD_MAX_B];

    for (unsigned i = 0; i < RECORDS_MAX && b->len < TEXT_MAX_B; i++) {
        ssize_t n = read(fd, record, sizeof(record));

        if (n < 0 && (errno == EINTR || errno == EPIPE))
            continue; /* EPIPE: overwritten before it was read; the next read goes on after it */
        if (n < 0 && errno == EAGAIN)
            return NULL;
        if (n < 0)
            return err_sys(errno, "cannot read '/dev/kmsg'");
        if (n == 0)
            return NULL;
        strbuf_add(b, record, (size_t)n);
    }
    return NULL;
}

struct err *kmsg_oom_kills(struct ctx *ctx, struct oom_kills *ret)
{
    AUTO(strbuf_clear) struct strbuf b = {0};
    AUTO(closep) int fd = -1;
    uint64_t mono_ms = clock_mono_ns(ctx) / 1000000, wall_ms = clock_wall_ms(ctx);

    TRY(fsroot_openat(ctx->root, "/dev/kmsg", O_RDONLY | O_NONBLOCK, 0, &fd));
    TRY(read_log(fd, &b));
    kmsg_parse(strbuf_text(&b), wall_ms > mono_ms ? wall_ms - mono_ms : 0, ret);
    return NULL;
}
